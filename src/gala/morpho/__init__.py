"""Superpixels: minima, seeds, watersheds, boundaries and connected pieces of label images, in 1 to 4 dimensions."""

from gala.morpho.borders import juicy_center, non_traversing_segments, orphans, pad
from gala.morpho.boundaries import damify, remove_merged_boundaries, seg_to_bdry, undam
from gala.morpho.minima import complement, hminima, impose_minima, morphological_reconstruction, regional_minima
from gala.morpho.pieces import relabel_connected, relabel_from_one, remove_small_connected_components
from gala.morpho.seeds import minimum_seeds, multiscale_regular_seeds, multiscale_seed_sequence, refined_seeding
from gala.morpho.splits import manual_split, split_exclusions
from gala.morpho.watersheds import compact_watershed, watershed, watershed_sequence

__all__ = [
    "compact_watershed",
    "complement",
    "damify",
    "hminima",
    "impose_minima",
    "juicy_center",
    "manual_split",
    "minimum_seeds",
    "morphological_reconstruction",
    "multiscale_regular_seeds",
    "multiscale_seed_sequence",
    "non_traversing_segments",
    "orphans",
    "pad",
    "refined_seeding",
    "regional_minima",
    "relabel_connected",
    "relabel_from_one",
    "remove_merged_boundaries",
    "remove_small_connected_components",
    "seg_to_bdry",
    "split_exclusions",
    "undam",
    "watershed",
    "watershed_sequence",
]
