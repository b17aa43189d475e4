"""What `build_graph` refuses and what it does not, its memory, and the graphs of the real volumes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gala import agglo
from gala.errors import FeatureError, GalaError, ImageError, LabelError, SettingError, ShapeError
from gala.features import histogram, moments
from gala.features.base import Composite, Null
from gala.graph import volume as volumes
from gala.graph.build import build_graph
from gala.graph.caches import Channels, ImageKind
from gala.graph.volume import check_volume
from gala.graph.voxels import contact_voxels, region_voxels
from real import read, reference

labels = np.arange(24).reshape(2, 3, 4) // 5
image = np.linspace(0, 1, 24).reshape(2, 3, 4)


def image_with(values):
    """Return an image that holds some values, by position."""
    changed = image.copy()
    for position, value in values.items():
        changed[position] = value
    return changed


def labels_with(values):
    """Return float labels that hold some values, by position."""
    changed = labels.astype(float)
    for position, value in values.items():
        changed[position] = value
    return changed


# ------------------------------------------------------------------------------------------ errors

ERRORS = {
    "volume without voxels": (ShapeError, ["at least one voxel", "(2, 0, 4)"], {"labels": np.zeros((2, 0, 4), int)}),
    "one number": (ShapeError, ["one dimension or more", "7"], {"labels": 7}),
    "five dimensions": (
        ShapeError,
        ["1 to 4 dimensions", "(1, 1, 1, 2, 2)"],
        {"labels": np.ones((1, 1, 1, 2, 2), int)},
    ),
    "image of another shape": (ShapeError, ["(2, 3, 4)", "(3, 2, 4)"], {"image": np.zeros((3, 2, 4))}),
    "channels first": (ShapeError, ["(2, 3, 4)", "(4, 2, 3, 4)", "last axis"], {"image": np.zeros((4, 2, 3, 4))}),
    "image of fewer dimensions": (ShapeError, ["(2, 3, 4)", "(3, 4)"], {"image": np.zeros((3, 4))}),
    "mask of another shape": (ShapeError, ["mask", "(2, 3, 4)", "(2, 3)"], {"mask": np.ones((2, 3), bool)}),
    "negative labels": (
        LabelError,
        ["labels", "-3 at (0, 1, 2)", "first of 2"],
        {"labels": labels_with({(0, 1, 2): -3, (1, 0, 0): -1}).astype(int)},
    ),
    "fractional labels": (LabelError, ["1.5 at (1, 2, 3)", "first of 1"], {"labels": labels_with({(1, 2, 3): 1.5})}),
    "labels NaN": (LabelError, ["nan at (0, 0, 0)"], {"labels": labels_with({(0, 0, 0): np.nan})}),
    "labels too high": (LabelError, ["2**64 - 1", "at (0, 0, 1)"], {"labels": labels_with({(0, 0, 1): 2.0**64})}),
    "labels in words": (LabelError, ["whole numbers", "<U1"], {"labels": np.full((2, 3, 4), "a")}),
    "image NaN": (
        ImageError,
        ["finite", "2 values", "nan at (0, 2, 1, 0)", "mask"],
        {"image": image_with({(0, 2, 1): np.nan, (1, 0, 0): np.inf})},
    ),
    "image infinite both ways": (
        ImageError,
        ["2 values", "-inf at (0, 0, 3, 0)"],
        {"image": image_with({(0, 0, 3): -np.inf, (1, 2, 3): np.inf})},
    ),
    "second channel NaN": (
        ImageError,
        ["1 values", "nan at (1, 1, 1, 1)", "channel last"],
        {"image": np.stack([image, image_with({(1, 1, 1): np.nan})], axis=-1).astype(np.float32)},
    ),
    "image of complex numbers": (ImageError, ["real numbers", "complex128"], {"image": image * 1j}),
    "image of objects": (ImageError, ["real numbers", "object"], {"image": image.astype(object)}),
    "connectivity 0": (SettingError, ["connectivity", "dimensions, 3", "got 0"], {"connectivity": 0}),
    "connectivity above dimensions": (SettingError, ["connectivity", "got 4"], {"connectivity": 4}),
    "connectivity between": (SettingError, ["connectivity", "got 1.5"], {"connectivity": 1.5}),
    "connectivity a truth": (SettingError, ["connectivity", "got True"], {"connectivity": True}),
    "background negative": (SettingError, ["background", "got -1"], {"background": -1}),
    "background too high": (SettingError, ["background", str(2**64)], {"background": 2**64}),
    "background fractional": (SettingError, ["background", "got 1.5"], {"background": 1.5}),
    "background in words": (SettingError, ["background", "got 'none'"], {"background": "none"}),
    "spacing of too few axes": (SettingError, ["spacing", "3 axes", "got (1, 1)"], {"spacing": (1, 1)}),
    "spacing one number": (SettingError, ["spacing", "got 2"], {"spacing": 2}),
    "spacing 0": (SettingError, ["spacing", "above 0", "got (1, 0, 1)"], {"spacing": (1, 0, 1)}),
    "spacing infinite": (SettingError, ["spacing", "finite", "inf"], {"spacing": (1, 1, np.inf)}),
    "spacing NaN": (SettingError, ["spacing", "finite", "nan"], {"spacing": (1, 1, np.nan)}),
    "spacing in words": (SettingError, ["spacing", "got 'abc'"], {"spacing": "abc"}),
    "no threads": (SettingError, ["n_threads", "got 0"], {"n_threads": 0}),
    "half a thread": (SettingError, ["n_threads", "got 0.5"], {"n_threads": 0.5}),
    "no image for features": (FeatureError, ["moments", "image with at least one channel"], {"image": None}),
    "no oriented channels": (FeatureError, ["oriented"], {"features": moments.Manager(oriented=True)}),
    "manager of the historic protocol": (
        FeatureError,
        ["declared", "gala.agglo.Rag"],
        {"features": Composite([moments.Manager(), type("Own", (Null,), {})()])},
    ),
    "feature by name": (FeatureError, ["moments"], {"features": "moments"}),
    "module for its manager": (FeatureError, ["gala.features.moments"], {"features": moments}),
    "channel that is not there": (FeatureError, ["channel", "1"], {"channels": Channels((0, 1))}),
}


@pytest.mark.parametrize("name", ERRORS)
def test_build_graph__says_what_is_wrong(name):
    kind, facts, changed = ERRORS[name]
    arguments = {"labels": labels, "image": image, "features": moments.Manager(), **changed}
    with pytest.raises(kind) as error:
        build_graph(arguments.pop("labels"), arguments.pop("image"), arguments.pop("features"), **arguments)
    assert isinstance(error.value, GalaError)
    for fact in facts:
        assert fact in str(error.value)


def test_build_graph__counts_nan_in_all_slabs_together():
    wrong = image_with({(0, 2, 1): np.nan, (1, 0, 0): np.inf, (1, 2, 2): np.nan})
    mask = np.ones(labels.shape, dtype=bool)
    mask[0, 2, 1] = False
    with mock.patch.object(volumes, "SLAB_VOXELS", 12):
        assert len(volumes.slabs_of(labels.shape)) == 2
        with pytest.raises(
            ImageError, match=re.escape("3 values are NaN or infinite, the first is nan at (0, 2, 1, 0)")
        ):
            build_graph(labels, wrong)
        with pytest.raises(
            ImageError, match=re.escape("2 values are NaN or infinite, the first is inf at (1, 0, 0, 0)")
        ):
            build_graph(labels, wrong, mask=mask)


def test_build_graph__nan_outside_of_regions_is_no_error():
    hole = image_with({(0, 0, 0): np.nan, (0, 0, 1): np.inf})
    mask = np.isfinite(hole)
    masked = build_graph(labels, hole, moments.Manager(), mask=mask)
    assert np.isfinite(masked.region_cache).all()
    assert masked.sizes.tolist() == [3, 5, 5, 5, 4]
    background = build_graph(np.where(mask, labels, 99), hole, moments.Manager(), background=99)
    assert_array_equal(background.region_cache, masked.region_cache)


# ---------------------------------------------------------------------------------- what is no error


def test_build_graph__constant_image_is_no_error():
    graph = build_graph(labels, np.full(labels.shape, 0.25), moments.Manager(nmoments=1))
    assert_array_equal(graph.contact_cache[:, 2], 0.25 * graph.contact_sizes)


@pytest.mark.parametrize("shape", [(1,), (5,), (1, 1, 1), (3, 4, 5), (2, 2, 2, 2)])
def test_build_graph__one_label_has_no_contacts(shape):
    graph = build_graph(np.full(shape, 2**63), np.ones(shape), moments.Manager())
    assert graph.labels.tolist() == [2**63]
    assert graph.sizes.tolist() == [np.prod(shape)]
    assert graph.at_border.tolist() == [True]
    assert graph.edges.shape == (0, 2)
    assert graph.contact_cache.shape == (0, len(graph.contact_spec))


def test_build_graph__keeps_the_kind_of_image():
    assert build_graph(labels, image).kind == ImageKind(Channels((0,)), 3, (1.0, 1.0, 1.0))
    several = build_graph(labels, np.stack([image] * 2, -1), spacing=np.array([30, 4, 4])).kind
    assert several == ImageKind(Channels((0, 1)), 3, (30.0, 4.0, 4.0))
    assert agglo.Rag(labels, image, spacing=[2, 1, 0.5]).kind.spacing == (2.0, 1.0, 0.5)


def test_build_graph__regions_apart_have_no_contacts():
    graph = build_graph([[1, 0, 2], [1, 0, 2], [0, 0, 3]], background=0)
    assert graph.labels.tolist() == [1, 2, 3]
    assert graph.labels[graph.edges].tolist() == [[2, 3]]
    volume = check_volume([[1, 0, 2]], background=0)
    alone = build_graph([[1, 0, 2]], background=0)
    assert alone.edges.shape == (0, 2)
    assert contact_voxels(volume, alone).first.tolist() == [0]


@pytest.mark.parametrize("nothing", [{"mask": np.zeros(labels.shape, bool)}, {"labels": labels * 0, "background": 0}])
def test_build_graph__without_any_region_is_empty(nothing):
    arguments = {"labels": labels, **nothing}
    empty = build_graph(image=image, features=moments.Manager(), **arguments)
    assert empty.n_regions == 0
    assert empty.edges.shape == (0, 2)
    volume = check_volume(**arguments)
    assert len(region_voxels(volume, empty).first) == len(contact_voxels(volume, empty).first) == 1
    whole = build_graph(labels, image, moments.Manager())
    for graph in (whole.join(empty), empty.join(whole)):
        assert_array_equal(graph.region_cache, whole.region_cache)
        assert_array_equal(graph.labels[graph.edges], whole.labels[whole.edges])


def test_build_graph__does_not_change_its_arguments():
    arrays = [labels.copy(), image.copy(), labels > 0]
    before = [array.tobytes() for array in arrays]
    build_graph(*arrays[:2], moments.Manager(), mask=arrays[2])
    assert [array.tobytes() for array in arrays] == before
    assert all(array.flags.writeable for array in arrays)


# ----------------------------------------------------------------------------------------- the graph


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_find__returns_positions_of_any_shape(dtype):
    graph = build_graph(np.array([5, 9, 7, 200], dtype=np.int64).astype(dtype))
    assert graph.find([[7, 5], [200, 200]]).tolist() == [[1, 0], [3, 3]]
    assert graph.find(9) == 2
    assert graph.find([]).tolist() == []


@pytest.mark.parametrize("wanted", [[6], [5, 8], [-1], [201], [5.5], [np.nan]])
def test_find__names_the_label_that_is_not_there(wanted):
    graph = build_graph(np.array([5, 9, 7, 200]))
    with pytest.raises(LabelError, match=re.escape(f"there is no region with label {wanted[-1]}")):
        graph.find(wanted)


def test_find__tells_high_labels_apart_whatever_their_type():
    high = [2**60, 2**60 + 1, 2**63 - 1]
    for own in (np.int64, np.uint64):
        graph = build_graph(np.array(high, dtype=own))
        for dtype in (np.int64, np.uint64):
            assert graph.find(np.array(high, dtype=dtype)).tolist() == [0, 1, 2]
    with pytest.raises(LabelError, match=str(2**64 - 1)):
        graph.find(np.array([2**64 - 1], dtype=np.uint64))
    with pytest.raises(LabelError, match="-1"):
        build_graph(np.array([0, 2**64 - 1], dtype=np.uint64)).find(np.array([-1]))


def test_labels__in_lists_keep_every_digit():
    graph = build_graph([2**64 - 1, 2**63 + 1, 7])  # NumPy makes floats of these
    assert graph.labels.tolist() == [7, 2**63 + 1, 2**64 - 1]


def test_find__in_a_graph_without_regions_says_so():
    empty = build_graph([0, 0], background=0)
    with pytest.raises(LabelError, match="there are no regions, so none with label 3"):
        empty.find([3])
    assert empty.find([]).tolist() == []


def test_join__of_labels_of_two_types_keeps_every_digit():
    low, high = np.array([1, 2**60 + 1]), np.array([2**60 + 1, 2**64 - 1], dtype=np.uint64)
    graph = build_graph(low).join(build_graph(high))
    assert graph.labels.tolist() == [1, 2**60 + 1, 2**64 - 1]
    assert graph.labels.dtype == np.uint64
    assert graph.sizes.tolist() == [1, 2, 1]
    assert graph.labels[graph.edges].tolist() == [[1, 2**60 + 1], [2**60 + 1, 2**64 - 1]]


@pytest.mark.parametrize(
    ("other", "fact"),
    [
        (lambda: build_graph(labels, image, moments.Manager(nmoments=2)), "region_spec"),
        (lambda: build_graph(labels, np.stack([image] * 2, -1), histogram.Manager()), "region_spec"),
        (lambda: build_graph(labels, np.stack([image] * 2, -1)), "kind"),
        (lambda: build_graph(labels[0], image[0]), "kind"),
        (lambda: build_graph(labels, image, spacing=(2, 1, 1)), "kind"),
    ],
)
def test_join__of_graphs_that_keep_other_things_is_refused(other, fact):
    mine = {"region_spec": moments.Manager(nmoments=3)}.get(fact, ())
    with pytest.raises(FeatureError, match=f"{fact} is .* Build all of them with the same features"):
        build_graph(labels, image, mine).join(other())


# -------------------------------------------------------------------------------------------- memory

MEMORY = """
import re, sys
from pathlib import Path
import numpy as np
from gala.features import histogram, moments
from gala.graph.build import build_graph

def memory(kind):
    return int(re.search(kind + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

side = 256
z, y, x = np.indices((side, 1, 1))[0] // 10, np.arange(side)[:, None] // 10, np.arange(side) // 10
labels = ((z * 26 + y) * 26 + x).astype(np.int32)
image = np.random.default_rng(0).random(labels.shape, dtype=np.float32)
features = [moments.Manager(), histogram.Manager(25)]
n_threads = int(sys.argv[1])
build_graph(labels[:9, :9, :9], image[:9, :9, :9], features)  # compiled, or loaded, before anything is measured
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
before = memory("VmRSS")
graph = build_graph(labels, image, features, n_threads=n_threads)
print(graph.n_regions, labels.nbytes + image.nbytes, memory("VmHWM") - before)
"""


@pytest.mark.compiled
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="this system tells no peak of memory")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_build_graph__takes_less_memory_than_its_arguments(n_threads):
    run = subprocess.run([sys.executable, "-c", MEMORY, str(n_threads)], check=True, capture_output=True, text=True)
    n_regions, inputs, growth = map(int, run.stdout.split())
    assert n_regions == 26**3
    assert 0 < growth < inputs, f"{growth / 2**20:.0f} MB more than {inputs / 2**20:.0f} MB"


# -------------------------------------------------------------------------------- the real volumes


@pytest.mark.compiled
@pytest.mark.parametrize("split", ["train", "test"])
def test_build_graph__equals_the_reference_on_the_real_volumes(split):
    with reference(f"rag_{split}_slow") as archive:
        expected = dict(archive)
    regions, p1 = read(f"{split}-ws"), read(f"{split}-p1")
    real, border = expected["is_real"], expected["boundary_body"]
    first = expected["bnd_indptr"]
    padded = [expected["bnd_index_padded"][a:b] for a, b in pairwise(first)]

    graph = build_graph(regions, p1, moments.Manager(nmoments=1))
    voxels = contact_voxels(check_volume(regions, p1), graph)

    is_region = expected["node_ids"] != border
    assert_array_equal(graph.labels, expected["node_ids"][is_region])
    assert_array_equal(graph.sizes, expected["node_sizes"][is_region])
    assert_array_equal(graph.labels[graph.edges], expected["edges"][real])
    assert_array_equal(graph.contact_sizes, expected["boundary_size"][real])
    assert_allclose(graph.contact_cache[:, 2] / graph.contact_sizes, expected["mean_p1"][real], rtol=1e-12)
    assert_array_equal(graph.labels[graph.at_border], expected["edges"][~real, 0])
    assert_array_equal(graph.border_sizes[graph.at_border], expected["boundary_size"][~real])
    for i, contact in enumerate(np.flatnonzero(real)):
        places = np.unravel_index(padded[contact], expected["padded_shape"])
        assert_array_equal(voxels.of(i), np.ravel_multi_index([place - 1 for place in places], regions.shape))
