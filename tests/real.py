"""The historic script, real volumes, and what the historic library gave; what is not there is skipped."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

SHARED = Path(__file__).parents[2] / "shared"
EXAMPLE = Path(os.environ.get("GALA_EXAMPLE_DATA", SHARED / "data" / "gala-example"))

# The historic script; it runs in the folder of the volumes.
SCRIPT = """
from gala import imio, classify, features, agglo, evaluate as ev
gt_train, pr_train, ws_train = map(imio.read_h5_stack, ['train-gt.lzf.h5', 'train-p1.lzf.h5', 'train-ws.lzf.h5'])
fm = features.moments.Manager(); fh = features.histogram.Manager()
fc = features.base.Composite(children=[fm, fh])
g_train = agglo.Rag(ws_train, pr_train, feature_manager=fc)
(X, y, w, merges) = g_train.learn_agglomerate(gt_train, fc)[0]
y = y[:, 0]                                    # three labelling schemes: assignment, VI sign, Rand sign
rf = classify.DefaultRandomForest().fit(X, y)
learned_policy = agglo.classifier_probability(fc, rf)
pr_test, ws_test = map(imio.read_h5_stack, ['test-p1.lzf.h5', 'test-ws.lzf.h5'])
g_test = agglo.Rag(ws_test, pr_test, learned_policy, feature_manager=fc)
g_test.agglomerate(0.5)
seg_test1 = g_test.get_segmentation()
# the same with 4 channels ('train-p4.lzf.h5', 'test-p4.lzf.h5'): channels last, nothing else changes
g_testm = agglo.Rag(ws_test, pr_test, merge_priority_function=agglo.boundary_mean)     # also agglo.boundary_median
g_testm.agglomerate(0.5); seg_testm = g_testm.get_segmentation()
gt_test = imio.read_h5_stack('test-gt.lzf.h5')
ev.split_vi(ws_test, gt_test); ev.split_vi(seg_test1, gt_test)
ev.rand_index(seg_test1, gt_test); ev.adj_rand_index(seg_test1, gt_test); ev.fm_index(seg_test1, gt_test)
# a user's own merge priority function is any callable f(graph, node1, node2) -> real number
"""


def path_of(name):
    """Return the file of a real volume, such as "train-ws"."""
    file = EXAMPLE / f"{name}.lzf.h5"
    if not file.exists():
        pytest.skip(f"{file} is not there; set GALA_EXAMPLE_DATA to the folder that holds it")
    return file


def read(name):
    """Return a real volume."""
    with h5py.File(path_of(name)) as file:
        return file["stack"][:]


def read_image(name):
    """Return a real volume of grey values, such as "train-image"."""
    file = EXAMPLE / f"{name}.h5"
    if not file.exists():
        pytest.skip(f"{file} is not there; set GALA_EXAMPLE_DATA to the folder that holds it")
    with h5py.File(file) as volume:
        return volume["stack"][:]


def reference(name):
    """Return the arrays of a reference file, or what is in a .json file."""
    file = SHARED / "reference" / (name if name.endswith(".json") else f"{name}.npz")
    if not file.exists():
        pytest.skip(f"{file} is not there")
    return json.loads(file.read_text()) if file.suffix == ".json" else np.load(file)
