"""Pictures of volumes and segmentations."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={"figures": ["draw_segmentations", "save_figure"]},
)
