"""Pictures of volumes and segmentations."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "charts": ["draw_breakdown", "draw_curves", "draw_reliability"],
        "colours": ["LabelColours"],
        "evaluation": ["evaluation_report"],
        "figures": ["draw_segmentations", "save_figure"],
        "objects": ["WorstObject", "draw_worst_objects"],
        "overlays": ["montage", "overlay"],
        "report": ["Picture", "Report", "Table"],
        "slices": ["write_slices_page"],
        "treecharts": ["dendrogram", "merge_order_curve"],
        "viewers": ["View", "view"],
    },
)
