"""From images to segmentations: an estimator that holds every step, and the recipe that it learns by."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "recipe": ["DECISIONS", "FEATURE_MAPS", "HISTORIC", "Learned", "Recipe", "VolumeGraph"],
        "segmenter": ["Segmenter"],
    },
)
