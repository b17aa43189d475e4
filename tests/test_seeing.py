"""Colours, overlays, charts of merge trees, and viewers: what one sees is what the arrays hold."""

import json
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from skimage.color import deltaE_ciede2000, rgb2lab

from gala import MergeTree
from gala.datasets import synthetic
from gala.errors import LabelError, SettingError, ShapeError
from gala.viz import LabelColours, dendrogram, merge_order_curve, montage, overlay, view
from gala.viz.colours import named_merges, palette, separations
from gala.viz.shown import as_picture
from strategies import forests, label_volumes

few = settings(max_examples=30, deadline=None)

SUPERPIXELS = np.repeat([[3, 5, 8, 9]], 3, axis=0).repeat(4, axis=1)
TREE = MergeTree(4, np.array([[0, 1], [2, 3], [4, 5]]), np.array([0.1, 0.3, 0.8]))
GREY = np.linspace(0, 1, SUPERPIXELS.size).reshape(SUPERPIXELS.shape)


def picture_of(panel):
    return np.asarray(panel.images[0].get_array())


def middles(picture, shape):
    """Return the pixel in the middle of each voxel, shape (M, N, 3)."""
    times = picture.shape[0] // shape[0]
    return picture[times // 2 :: times, times // 2 :: times]


# ------------------------------------------------------------------------------------------ colours


def test_palette__colours_differ_by_another_measure_too():
    lab = rgb2lab(palette()[np.newaxis] / 255)[0]
    differences = deltaE_ciede2000(lab[:, np.newaxis], lab[np.newaxis])
    assert differences[~np.eye(32, dtype=bool)].min() > 5
    assert separations()[~np.eye(32, dtype=bool)].min() > 0.05


@few
@given(labels=label_volumes(max_dims=3, dtype=np.uint64), other=label_volumes(max_dims=2))
def test_colours__of_a_label_are_the_same_in_every_picture(labels, other):
    colours = LabelColours()
    found = {label: colours([label])[0].tolist() for label in (*labels.ravel().tolist(), *other.ravel().tolist())}
    for picture in (labels, other):
        expected = np.array([found[label] for label in picture.ravel().tolist()])
        np.testing.assert_array_equal(colours(picture).reshape(-1, 3), expected)


def test_colours__are_spread_evenly_over_consecutive_labels():
    counts = np.bincount(LabelColours().numbers_of(np.arange(3200)), minlength=32)
    assert len(counts) == 32
    assert 50 < counts.min() <= counts.max() < 150


@st.composite
def superpixels_and_trees(draw):
    tree = draw(forests(min_leaves=1, max_leaves=9))
    labels = sorted(draw(st.lists(st.integers(1, 2**64 - 1), min_size=9, max_size=9, unique=True)))
    shape = draw(st.sampled_from([(4, 5), (2, 3, 4), (20,)]))
    seed = draw(st.integers(0, 2**32))
    leaves = np.arange(np.prod(shape)) % tree.n_leaves  # each is there
    labels = np.array(labels[: tree.n_leaves], dtype=np.uint64)
    return labels[np.random.default_rng(seed).permutation(leaves)].reshape(shape), labels, tree


@settings(max_examples=12, deadline=None)
@given(case=superpixels_and_trees())
def test_colours_from_tree__neighbours_differ_in_every_cut(case):
    superpixels, labels, tree = case
    colours = LabelColours.from_tree(superpixels, tree)
    apart = separations()
    for threshold in (-np.inf, *tree.height, np.inf):
        seg = labels[tree.cut(threshold)][np.searchsorted(labels, superpixels)]
        numbers = colours.numbers_of(seg.ravel()).reshape(seg.shape)
        for axis in range(seg.ndim):
            steps = [np.moveaxis(array, axis, 0) for array in (seg, numbers)]
            (a, b), (x, y) = ((step[:-1], step[1:]) for step in steps)
            assert (apart[x, y][a != b] > 0.05).all()


def test_colours_from_tree__keep_those_of_the_hash_where_nothing_is_in_the_way():
    superpixels = synthetic((4, 40, 40), seed=1).superpixels
    colours, plain = LabelColours.from_tree(superpixels), LabelColours()
    labels = np.unique(superpixels)
    assert (colours.numbers_of(labels) == plain.numbers_of(labels)).mean() > 0.4
    assert colours.numbers_of(np.array([10**6])) == plain.numbers_of(np.array([10**6]))


@few
@given(tree=forests())
def test_named_merges__make_each_cut_one_after_the_other(tree):
    merges = list(named_merges(tree))
    heights = np.sort(tree.height)
    for threshold in (-np.inf, *heights, np.inf):
        name = np.arange(tree.n_leaves)
        for kept, absorbed in merges[: np.searchsorted(heights, threshold, side="right")]:
            name[name == absorbed] = kept
        np.testing.assert_array_equal(name, tree.cut(threshold))


# ----------------------------------------------------------------------------------------- overlays


def test_overlay__mixes_the_colours_of_labels_into_the_image():
    picture = middles(picture_of(overlay(GREY, SUPERPIXELS, opacity=0.25).axes[0]), SUPERPIXELS.shape)
    grey = as_picture(GREY, GREY.shape)[..., np.newaxis]
    np.testing.assert_array_equal(picture, (0.75 * grey + 0.25 * LabelColours()(SUPERPIXELS)).round())


def test_overlay__has_dark_lines_between_regions_and_only_there():
    picture = picture_of(overlay(GREY * 0, SUPERPIXELS, opacity=1).axes[0])
    plain = LabelColours()(SUPERPIXELS).repeat(len(picture) // 3, axis=0).repeat(len(picture) // 3, axis=1)
    columns = np.flatnonzero((picture != plain).any(axis=(0, 2)))
    borders = picture.shape[1] // 4 * np.array([1, 2, 3])
    assert columns.tolist() == sorted([*(borders - 1), *borders])
    assert (picture[:, columns].sum(axis=-1) < plain[:, columns].sum(axis=-1)).all()


def test_overlay__leaves_the_background_as_it_is():
    labels = np.where(SUPERPIXELS == 5, 0, SUPERPIXELS)
    grey = np.repeat(as_picture(GREY, GREY.shape)[..., np.newaxis], 3, axis=-1)
    bare = middles(picture_of(overlay(GREY, labels).axes[0]), labels.shape)
    full = middles(picture_of(overlay(GREY, labels, background=None).axes[0]), labels.shape)
    np.testing.assert_array_equal((bare == grey).all(axis=-1), labels == 0)
    assert (full != grey).any(axis=-1).all()


def test_overlay__takes_planes_across_any_axis_in_the_shape_of_the_sample():
    rng = np.random.default_rng(0)
    labels, image = rng.integers(1, 9, (4, 5, 6)), rng.integers(0, 255, (4, 5, 6), dtype=np.uint8)
    for axis, aspect in enumerate((3 / 2, 20 / 2, 20 / 3)):
        panel = overlay(image, labels, plane=2, axis=axis, spacing=(20, 3, 2), opacity=1).axes[0]
        expected = LabelColours()(np.take(labels, 2, axis))
        np.testing.assert_array_equal(middles(picture_of(panel), expected.shape), expected)
        assert panel.get_aspect() == aspect
        assert panel.get_title() == f"{('plane', 'row', 'column')[axis]} 2"


def test_overlay__shows_colours_and_the_first_of_other_channels():
    rgb = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    labels = np.zeros((4, 5), dtype=int)
    np.testing.assert_array_equal(middles(picture_of(overlay(rgb, labels).axes[0]), (4, 5)), rgb)
    four = np.stack([GREY, GREY * 0, GREY, GREY], axis=-1)
    np.testing.assert_array_equal(as_picture(four, GREY.shape), as_picture(GREY, GREY.shape))


@few
@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6))
def test_as_picture__stretches_any_range(low, width):
    found = as_picture(low + width * np.linspace(0, 1, 1001), (1001,))
    assert (found[0], found[-1]) == (0, 255)
    assert (np.diff(found.astype(int)) >= 0).all()


def test_as_picture__takes_what_is_not_a_number_for_black_and_a_flat_image_for_grey():
    assert as_picture([np.nan, -np.inf, 0.0, 1.0, np.inf], (5,)).tolist() == [0, 0, 0, 255, 255]
    assert set(as_picture(np.full(9, 7.0), (9,)).tolist()) == {128}
    assert as_picture([np.nan], (1,)).tolist() == [0]
    assert as_picture([True, False], (2,)).tolist() == [255, 0]


def test_montage__shows_planes_evenly_spread_or_those_asked_for():
    image = np.arange(10 * 4 * 6).reshape(10, 4, 6)
    spread = montage(image, planes=3)
    assert [panel.get_title() for panel in spread.axes] == ["plane 1", "plane 5", "plane 8"]
    grey = as_picture(image, image.shape)[1, ..., np.newaxis].repeat(3, axis=-1)
    np.testing.assert_array_equal(middles(picture_of(spread.axes[0]), (4, 6)), grey)
    chosen = montage(image, image, planes=[5, 0], axis=2, n_columns=1, opacity=1, background=None)
    assert [panel.get_title() for panel in chosen.axes] == ["column 5", "column 0"]
    np.testing.assert_array_equal(middles(picture_of(chosen.axes[0]), (10, 4)), LabelColours()(image[:, :, 5]))
    assert len(montage(image, planes=99).axes) == 10


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (lambda: overlay(GREY, SUPERPIXELS[0]), ShapeError, "2 or 3 dimensions"),
        (lambda: overlay(GREY.T, SUPERPIXELS), ShapeError, r"image must have .*\(3, 16\).*got \(16, 3\)"),
        (lambda: overlay(GREY[..., :0, None], SUPERPIXELS[..., :0]), ShapeError, "at least one voxel"),
        (lambda: overlay(GREY[..., None][..., :0], SUPERPIXELS), ShapeError, "at least one channel"),
        (lambda: overlay(GREY + 1j, SUPERPIXELS), ShapeError, "real numbers"),
        (lambda: overlay(GREY, SUPERPIXELS + 0.5), LabelError, "labels"),
        (lambda: overlay(GREY, SUPERPIXELS, opacity=2), SettingError, "opacity must be from 0 to 1; got 2"),
        (lambda: overlay(GREY, SUPERPIXELS, plane=0), SettingError, "plane is for volumes of 3"),
        (lambda: overlay(GREY, SUPERPIXELS, axis=2), SettingError, "axis must be from 0 to 1; got 2"),
        (lambda: overlay(GREY[None], SUPERPIXELS[None], plane=3, axis=1), SettingError, "row must be from 0 to 2"),
        (lambda: overlay(GREY, SUPERPIXELS, spacing=(1,)), SettingError, "spacing"),
        (lambda: montage(GREY), ShapeError, "3 dimensions"),
        (lambda: montage(GREY[None], planes=0), SettingError, "at least one plane"),
        (lambda: montage(GREY[None], planes=[1]), SettingError, "plane must be from 0 to 0; got 1"),
        (lambda: LabelColours.from_tree(SUPERPIXELS, MergeTree.empty(9)), SettingError, "9 of them, .*; got 4"),
    ],
)
def test_figures__name_wrong_input(draw, error, words):
    with pytest.raises(error, match=words):
        draw()


# ------------------------------------------------------------------------------------------- charts


def test_merge_order_curve__has_a_point_for_each_merge_and_a_line_for_each_cut():
    tree = MergeTree(5, np.array([[0, 1], [2, 3], [4, 5], [6, 7]]), np.array([-np.inf, 0.5, 0.25, 0.75]))
    axis = merge_order_curve(tree, thresholds=[0.5, 1]).axes[0]
    assert axis.collections[0].get_offsets().tolist() == [[1, 0.5], [2, 0.25], [3, 0.75]]
    np.testing.assert_array_equal(axis.lines[0].get_ydata(), [0.5, 0.5, 0.75])
    texts = [text.get_text() for text in axis.get_legend().get_texts()]
    assert texts[2:] == ["threshold 0.5: 2 segments", "threshold 1: 1 segments"]
    with pytest.raises(SettingError, match="at least one merge"):
        merge_order_curve(MergeTree.empty(3))
    with pytest.raises(SettingError, match="threshold must be a number"):
        merge_order_curve(tree, thresholds=[np.nan])


def branches_of(figure):
    return figure.axes[0].collections[0]


@few
@given(tree=forests(min_leaves=2, priorities=st.floats(-8, 8)), seed=st.integers(0, 99))
def test_dendrogram__draws_each_merge_of_an_object_at_its_height(tree, seed):
    if not tree.n_merges:
        return
    node = tree.n_leaves + seed % tree.n_merges
    below = tree.subtree(node)
    figure = dendrogram(tree, node)
    tops = sorted(float(line[1, 1]) for line in branches_of(figure).get_segments())
    np.testing.assert_array_equal(tops, np.sort(tree.height[below[below >= tree.n_leaves] - tree.n_leaves]))
    names = [int(text.get_text()) for text in figure.axes[0].get_xticklabels()]
    assert sorted(names) == tree.leaves_of(node).tolist()


def test_dendrogram__colours_each_segment_of_a_cut():
    def colours(threshold):
        return sorted(map(tuple, branches_of(dendrogram(TREE, 6, threshold=threshold)).get_colors().tolist()))

    assert len(set(colours(0.3))) == 3
    assert len(set(colours(0.1))) == 2
    assert len(set(colours(0.8))) == len(set(colours(0))) == 1
    assert colours(0.8) != colours(0)


def test_dendrogram__of_a_large_and_deep_object_shows_its_top():
    n = 5000
    children = np.column_stack([np.r_[0, n : 2 * n - 2], np.arange(1, n)])
    tree = MergeTree(n, children, np.arange(n - 1.0))
    figure = dendrogram(tree, 2 * n - 2, max_leaves=20)
    names = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert len(names) == 20
    assert f"({n - 19})" in names
    tops = [float(line[1, 1]) for line in branches_of(figure).get_segments()]
    assert sorted(tops) == tree.height[-19:].tolist()


def test_dendrogram__draws_what_a_constraint_asked_for_lowest():
    tree = MergeTree(3, np.array([[0, 1], [2, 3]]), np.array([-np.inf, -0.5]))
    lines = branches_of(dendrogram(tree, 4)).get_segments()
    tops = sorted(float(line[1, 1]) for line in lines)
    assert np.isfinite(lines).all()
    assert tops[0] < tops[1] == -0.5
    assert min(line[:, 1].min() for line in lines) < tops[0]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"node": 2}, LabelError, "node 2 is a leaf.* from 4 on"),
        ({"node": 7}, LabelError, "no node 7"),
        ({"node": 6, "labels": [1, 2]}, LabelError, r"one for each leaf, 4; got shape \(2,\)"),
        ({"node": 6, "max_leaves": 1}, SettingError, "max_leaves must be 2 or more; got 1"),
        ({"node": 6, "threshold": np.nan}, SettingError, "threshold"),
    ],
)
def test_dendrogram__names_wrong_input(options, error, words):
    with pytest.raises(error, match=words):
        dendrogram(TREE, **options)


# ------------------------------------------------------------------------------------------ viewers


@pytest.fixture
def napari(monkeypatch):
    """A napari that notes what it is asked for, and a screen to show it on."""
    calls = []

    class Viewer:
        def __init__(self, **options):
            self.scale_bar = SimpleNamespace(unit=None, visible=False)
            calls.append(("Viewer", options))

        def add_image(self, image, **options):
            calls.append(("image", image, options))

        def add_labels(self, labels, **options):
            calls.append(("labels", labels, options))

    napari, utils = ModuleType("napari"), ModuleType("napari.utils")
    napari.Viewer, napari.run = Viewer, lambda: calls.append(("run",))
    utils.DirectLabelColormap = lambda *, color_dict: color_dict
    monkeypatch.setitem(sys.modules, "napari", napari)
    monkeypatch.setitem(sys.modules, "napari.utils", utils)
    monkeypatch.setenv("DISPLAY", ":0")
    return calls


def test_view__napari_gets_a_layer_for_each_threshold_in_the_colours_of_overlays(napari):
    shown = view(GREY, SUPERPIXELS, TREE, [0.1, 0.8], spacing=(4, 2), unit="nm")
    (_, _), (_, image, options), *layers = napari
    np.testing.assert_array_equal(image, as_picture(GREY, GREY.shape))
    assert options == {"name": "image", "scale": (4, 2), "rgb": False}
    assert [layer[2]["name"] for layer in layers] == ["superpixels", "segmentation at 0.1", "segmentation at 0.8"]
    assert [layer[2]["visible"] for layer in layers] == [False, False, True]
    expected = [SUPERPIXELS, np.where(SUPERPIXELS == 5, 3, SUPERPIXELS), SUPERPIXELS * 0 + 3]
    for (_, labels, options), wanted in zip(layers, expected, strict=True):
        np.testing.assert_array_equal(labels, wanted)
        assert options["scale"] == (4, 2)
    table = layers[0][2]["colormap"]
    colours = LabelColours.from_tree(SUPERPIXELS, TREE)
    for label in (3, 5, 8, 9):
        np.testing.assert_allclose(table[label], [*(colours([label])[0] / 255), 1])
    assert table[None][3] == table[0][3] == 0
    assert (shown.viewer, shown.opened.scale_bar.unit, shown.opened.scale_bar.visible) == ("napari", "nm", True)
    shown.wait()
    assert napari[-1] == ("run",)


def test_view__napari_paints_superpixel_0_if_it_is_a_leaf(napari):
    view(GREY, SUPERPIXELS - 3, TREE, viewer="napari")
    assert napari[-1][2]["colormap"][0][3] == 1


@pytest.fixture
def neuroglancer():
    module = pytest.importorskip("neuroglancer", reason="neuroglancer is not installed")
    yield module
    module.stop()


@pytest.mark.usefixtures("neuroglancer")
def test_view__neuroglancer_gets_a_layer_for_each_threshold_and_a_local_link():
    volume = np.stack([SUPERPIXELS, SUPERPIXELS])
    shown = view(volume, volume, TREE, [0.1], viewer="neuroglancer", spacing=(40, 4, 4), unit="nm")
    assert shown.place.startswith("http://127.0.0.1:")
    state = json.loads(json.dumps(shown.opened.state.to_json()))
    assert state["dimensions"] == {"z": [4e-8, "m"], "y": [4e-9, "m"], "x": [4e-9, "m"]}
    layers = {layer["name"]: layer for layer in state["layers"]}
    assert list(layers) == ["image", "superpixels", "segmentation at 0.1"]
    assert [layer.get("visible", True) for layer in layers.values()] == [True, False, True]
    red, green, blue = LabelColours.from_tree(volume, TREE)([5])[0]
    assert layers["superpixels"]["segmentColors"]["5"] == f"#{red:02x}{green:02x}{blue:02x}"
    assert state["displayDimensions"] == ["x", "y", "z"]
    number = layers["segmentation at 0.1"]["source"][0]["url"].rpartition(".")[2]
    held = shown.opened.volume_manager.volumes[number].data
    np.testing.assert_array_equal(held, np.where(volume == 5, 3, volume))


@pytest.mark.usefixtures("neuroglancer")
@pytest.mark.parametrize(("unit", "scale"), [("micrometer", [4e-6, "m"]), ("pixel", [4, ""]), (None, [4, ""])])
def test_view__neuroglancer_knows_units_of_length(unit, scale):
    shown = view(GREY, SUPERPIXELS, TREE, viewer="neuroglancer", spacing=(4, 4), unit=unit)
    assert shown.opened.state.to_json()["dimensions"] == {"y": scale, "x": scale}


def test_view__takes_the_first_viewer_that_is_there(napari, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert view(GREY, SUPERPIXELS).viewer == "napari"
    assert view(GREY, SUPERPIXELS, out="a.html").place == "a.html"
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "neuroglancer", None)
    shown = view(GREY, SUPERPIXELS, TREE, [0.1])
    assert (shown.viewer, shown.place) == ("page", "slices.html")
    shown.wait()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "slices.html"]
    assert len([call for call in napari if call[0] == "Viewer"]) == 1


@pytest.mark.parametrize("name", ["napari", "neuroglancer"])
def test_view__says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingError, match=rf"pip install 'gala-segmentation\[{name}\]'"):
        view(GREY, SUPERPIXELS, viewer=name)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((GREY, SUPERPIXELS), {"viewer": "paper"}, SettingError, "viewer must be .* got 'paper'"),
        ((GREY, SUPERPIXELS), {"viewer": "napari", "out": "a.html"}, SettingError, "out is for viewer='page'"),
        ((GREY, SUPERPIXELS), {"viewer": "napari", "every": 2}, SettingError, "every is for viewer='page'"),
        ((GREY, SUPERPIXELS, None, [0.1]), {"viewer": "napari"}, SettingError, "give the tree too"),
        ((GREY, SUPERPIXELS, TREE, [np.nan]), {"viewer": "napari"}, SettingError, "threshold must be a number"),
        ((GREY[0], SUPERPIXELS[0]), {"viewer": "napari"}, ShapeError, "2 or 3 dimensions"),
    ],
)
def test_view__names_wrong_input(arguments, options, error, words):
    with pytest.raises(error, match=words):
        view(*arguments, **options)


def test_viz__loads_no_viewer_before_it_is_asked_for():
    code = "import sys, gala.viz.viewers; sys.exit(bool({'napari', 'neuroglancer'} & {*sys.modules}))"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
