"""Compare segmentations with the truth: each metric takes two arrays, or one contingency table.

Conventions differ from tool to tool, so each function says what it does with label 0, which pairs it
counts, and by what it divides.
"""

from gala.evaluate.boundaries import BoundaryScores, boundary_scores
from gala.evaluate.causes import Breakdown, blame, breakdown, false_merges, false_splits
from gala.evaluate.comparison import Comparison, Score, compare
from gala.evaluate.contingency import LabelTable, contingency_table
from gala.evaluate.conventions import CONVENTIONS, Rules, conventions_of, rules_of
from gala.evaluate.cremi import cremi_score
from gala.evaluate.curves import Curve, curve, cut_table
from gala.evaluate.edits import assignment_table, best_possible_segmentation, edit_distance
from gala.evaluate.historic import (
    rand_by_threshold,
    relabel_from_one,
    split_components,
    vi_by_threshold,
    vi_pairwise_matrix,
)
from gala.evaluate.information import sorted_vi_components, split_vi, vi, vi_tables
from gala.evaluate.lookups import NodeLabels, node_labels
from gala.evaluate.matching import Matches, average_precision, match_instances
from gala.evaluate.pairs import adapted_rand_error, adj_rand_index, fm_index, rand_index
from gala.evaluate.records import to_json, write_csv
from gala.evaluate.skeletons import RunLengths, run_lengths
from gala.evaluate.thinning import skeletonize
from gala.evaluate.warming import warm_up
from gala.graph.skeletons import Skeletons

__all__ = [
    "CONVENTIONS",
    "BoundaryScores",
    "Breakdown",
    "Comparison",
    "Curve",
    "LabelTable",
    "Matches",
    "NodeLabels",
    "Rules",
    "RunLengths",
    "Score",
    "Skeletons",
    "adapted_rand_error",
    "adj_rand_index",
    "assignment_table",
    "average_precision",
    "best_possible_segmentation",
    "blame",
    "boundary_scores",
    "breakdown",
    "compare",
    "contingency_table",
    "conventions_of",
    "cremi_score",
    "curve",
    "cut_table",
    "edit_distance",
    "false_merges",
    "false_splits",
    "fm_index",
    "match_instances",
    "node_labels",
    "rand_by_threshold",
    "rand_index",
    "relabel_from_one",
    "rules_of",
    "run_lengths",
    "skeletonize",
    "sorted_vi_components",
    "split_components",
    "split_vi",
    "to_json",
    "vi",
    "vi_by_threshold",
    "vi_pairwise_matrix",
    "vi_tables",
    "warm_up",
    "write_csv",
]
