"""Volumes larger than memory, block by block, on one machine or many: the stages, and what makes them survive."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"segment": ["segment_blockwise"]})
