"""Volumes in files: any format through `open`, `read` and `write`; the historic functions; skeletons."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cremi": ["read_cremi", "read_cremi_geometry", "write_cremi"],
        "files": ["open", "read", "write"],
        "hdf5": ["read_h5_stack", "write_h5_stack"],
        "historic": [
            "extract_segments",
            "read_multi_page_tif",
            "read_prediction_from_ilastik_batch",
            "write_png_image_stack",
        ],
        "mapped": [
            "apply_segmentation_map",
            "compute_sp_to_body_map",
            "read_mapped_segmentation",
            "read_mapped_segmentation_raw",
            "write_mapped_segmentation",
        ],
        "metadata": ["provenance"],
        "stacks": ["read_image_stack", "write_image_stack"],
        "swc": ["read_swc", "write_swc"],
        "volume": ["Volume"],
        "vtk": ["read_vtk", "read_vtk_spacing", "write_vtk"],
    },
)
