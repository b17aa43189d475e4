"""Features of regions and contacts, one module per family; `base` says what a feature manager is."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submodules=["base", "default", "graph", "histogram", "inclusion", "moments", "topology"]
)
