"""Superpixels: minima, seeds, watersheds, boundaries and connected pieces of label images, in 1 to 4 dimensions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "borders": ["juicy_center", "non_traversing_segments", "orphans", "pad"],
        "boundaries": ["damify", "remove_merged_boundaries", "seg_to_bdry", "undam"],
        "minima": ["complement", "hminima", "impose_minima", "morphological_reconstruction", "regional_minima"],
        "pieces": ["relabel_connected", "relabel_from_one", "remove_small_connected_components"],
        "polarities": ["Polarity", "boundary_labels", "check_polarity", "polarity"],
        "seeds": ["minimum_seeds", "multiscale_regular_seeds", "multiscale_seed_sequence", "refined_seeding"],
        "splits": ["manual_split", "split_exclusions"],
        "blocks": ["BlockSuperpixels", "superpixels_of_block"],
        "oversegmentation": ["superpixels"],
        "watersheds": ["compact_watershed", "watershed", "watershed_sequence"],
    },
)
