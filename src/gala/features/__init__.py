"""Features of regions and contacts, one module per family; `base` says what a feature manager is."""

import lazy_loader

_families = [
    "contact",
    "convex_hull",
    "extrema",
    "graph",
    "histogram",
    "inclusion",
    "moments",
    "orientation",
    "squiggliness",
]

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=["base", "default", "io", "topology", *_families]
)
