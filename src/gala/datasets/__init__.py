"""Volumes to try things on: made on the spot, or read from a folder of ten files."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "endless": ["SyntheticBox", "synthetic_box", "write_synthetic_zarr"],
        "em": ["ExampleVolume", "synthetic"],
        "example": ["make_folder", "read_example", "synthetic_pair", "write_example"],
    },
)
