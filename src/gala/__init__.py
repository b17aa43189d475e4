"""Turn an image that has been cut into too many pieces into a segmentation you can trust.

Superpixels and a probability map go in, a region adjacency graph is built, a policy decides which regions to merge,
and a merge tree comes out, from which a segmentation at any threshold is one look-up. Names are loaded when they are
first used: ``import gala`` is cheap.
"""

import lazy_loader

__version__ = "0.1.0.dev0"

__getattr__, __dir__, _lazy = lazy_loader.attach(
    __name__,
    submodules=["agglo", "classify", "datasets", "errors", "evaluate", "features", "imio", "morpho", "pipeline", "viz"],
    submod_attrs={
        "agglo": ["Rag"],
        "engine.agglomerate": ["agglomerate"],
        "engine.editing": ["Editing"],
        "graph.affinity_graph": ["LiftedEdges", "build_affinity_graph"],
        "graph.build": ["build_graph"],
        "graph.constraints": ["Constraints"],
        "graph.regions": ["RegionGraph"],
        "graph.tree": ["MergeTree"],
        "graph.voxels": ["map_labels"],
        "pipeline": ["Segmenter"],
    },
)

__all__ = [
    "Constraints",
    "Editing",
    "LiftedEdges",
    "MergeTree",
    "Rag",
    "RegionGraph",
    "Segmenter",
    "__version__",
    "agglo",
    "agglomerate",
    "build_affinity_graph",
    "build_graph",
    "classify",
    "datasets",
    "errors",
    "evaluate",
    "features",
    "imio",
    "map_labels",
    "morpho",
    "pipeline",
    "viz",
]
