"""Compile what evaluation runs, before anybody waits for it."""

from __future__ import annotations

import numpy as np

from gala.evaluate.causes import blame, breakdown
from gala.evaluate.contingency import contingency_table
from gala.evaluate.curves import cut_table
from gala.evaluate.skeletons import run_lengths
from gala.graph.skeletons import Skeletons
from gala.graph.tree import MergeTree


def warm_up() -> None:
    """Compile the loops of tables, curves, blame and run lengths, for labels of 32 and of 64 bits.

    Compiled code stays on disk, so that later runs start at once: `gala warmup` is for this.

    Examples
    --------
    >>> warm_up()
    """
    tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([0.25, 0.5]))
    neuron = Skeletons(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), np.array([[0, 1]]))
    for dtype in (np.uint32, np.int64, np.uint64):
        superpixels = np.array([[[1, 2], [3, 3]]], dtype=dtype)
        table = contingency_table(superpixels, superpixels)
        breakdown(tree, table, threshold=0.5)
        cut_table(tree, table)
        blame(tree, superpixels, superpixels, runs=run_lengths(neuron, superpixels))
