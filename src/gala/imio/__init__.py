"""Volumes in files: HDF5, TIFF and PNG, read and written whole."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "hdf5": ["read_h5_stack", "write_h5_stack"],
        "stacks": ["read_image_stack", "write_image_stack"],
    },
)
