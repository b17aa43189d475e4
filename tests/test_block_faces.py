"""What blocks keep of their faces: they see what the volume holds there, whether anything was kept or not."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import zarr
from hypothesis import given, settings, strategies as st
from numpy.testing import assert_array_equal

from gala import imio
from gala.features import moments
from gala.graph.build import build_graph
from gala.graph.files import read_graph
from gala.graph.grid import Grid
from gala.graph.regions import joined
from gala.imio.axes import axis_names
from gala.imio.volume import Volume
from gala.pipeline.blockwise import faces, segment_blockwise
from gala.pipeline.blockwise.inputs import Input
from gala.pipeline.blockwise.plan import Plan
from gala.pipeline.blockwise.stages import build_block
from strategies import label_volumes

few = settings(max_examples=15, deadline=None)


def planned(folder, grid, background=None, **arrays):
    """Return the plan of a run over these arrays, written to a folder in chunks that blocks cut through."""
    chunks = tuple(max(1, side - 1) for side in grid.block_shape)
    for name, array in arrays.items():
        imio.write(folder / f"{name}.zarr", array, chunks=chunks)
    volumes = {name: Input.of(name, str(folder / f"{name}.zarr"), may_lack=True) for name in arrays}
    mask = volumes.get("mask")
    return Plan(folder / "work", grid, volumes["map"], volumes["sp"], mask, {}, background, None, skip=False)


def grids(data, shape):
    return Grid(tuple(shape), tuple(data.draw(st.integers(1, n)) for n in shape))


def is_diagonal(grid, place):
    """Return where what a block sees is beyond it along more than one axis."""
    beyond = np.ones([part.stop - part.start for part in grid.seen(place)], dtype=int) * len(grid.shape)
    for axis, part in enumerate(grid.inner(place)):
        np.moveaxis(beyond, axis, 0)[part] -= 1
    return beyond > 1


# ---------------------------------------------------------------------------------------------- laws


@given(label_volumes(max_dims=3), st.data())
@few
def test_faces__blocks_see_the_volume_whatever_their_neighbours_kept(labels, data):
    grid = grids(data, labels.shape)
    with TemporaryDirectory() as folder:
        plan = planned(Path(folder), grid, sp=labels, map=np.zeros(labels.shape, np.uint8))
        for place in data.draw(st.permutations([*grid.places(), *grid.places()])):
            seen, diagonal = faces.read_superpixels(plan, place), is_diagonal(grid, place)
            assert_array_equal(seen[~diagonal], labels[grid.seen(place)][~diagonal])
            assert_array_equal(seen[diagonal], labels[grid.box(place)].flat[0])


@given(label_volumes(max_dims=3), st.data())
@few
def test_faces__graphs_of_blocks_join_into_that_of_the_whole_under_masks(labels, data):
    grid = grids(data, labels.shape)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    image, mask = rng.random(labels.shape).astype(np.float32), rng.random(labels.shape) < 0.7
    background = data.draw(st.sampled_from([None, 0]))
    manager = moments.Manager(nmoments=2)
    with TemporaryDirectory() as folder:
        plan = planned(Path(folder), grid, background, sp=labels, map=image, mask=mask)
        for place in grid.places():
            build_block(plan, "part", [manager], place)
        graph = joined([read_graph(plan.graph_file("part", place))[0] for place in grid.places()])
    expected = build_graph(labels, image, manager, mask=mask, background=background)
    assert_array_equal(graph.labels, expected.labels)
    assert_array_equal(graph.edges, expected.edges)
    for name in ("region_cache", "contact_cache"):
        np.testing.assert_allclose(getattr(graph, name), getattr(expected, name), rtol=1e-12)


@pytest.mark.parametrize("name", ["a.zarr", "a.npy"])
@pytest.mark.parametrize("letters", ["zyx", "xyz", "tczyx", "xyzct"])
def test_read_into__writes_what_slices_give(tmp_path, name, letters):
    values = np.arange(60, dtype=np.uint16).reshape([{"z": 3, "y": 4, "x": 5}.get(letter, 1) for letter in letters])
    if name == "a.zarr":
        zarr.create_array(tmp_path / name, data=values)
    else:
        np.save(tmp_path / name, values)
    with imio.open(tmp_path / name) as volume:
        stored = replace(volume._stored, axes=axis_names(letters), has_all_axes=True)
    volume = Volume(stored, name)
    assert volume.shape == (3, 4, 5)
    box, out = (slice(1, 3), slice(0, 2), slice(4, 5)), np.zeros((3, 4, 5), dtype=np.uint64)
    volume.read_into(box, out[box])
    assert_array_equal(out[box], volume[box])
    assert np.count_nonzero(out) == volume[box].size


# ---------------------------------------------------------------------------------------------- what is kept


@pytest.fixture
def kept(tmp_path):
    """Return a plan of two blocks, of which the second has kept the layer at its face, and its labels."""
    labels = np.arange(8, dtype=np.uint64).reshape(4, 2)
    plan = planned(tmp_path, Grid((4, 2), (2, 2)), sp=labels, map=np.zeros((4, 2), np.uint8))
    faces.read_superpixels(plan, (1, 0))
    return plan, labels


def boxes_read(monkeypatch, plan, place):
    """Return what is read of the volume, besides the block itself."""
    boxes = []
    read = Input.read
    monkeypatch.setattr(Input, "read", lambda volume, box: boxes.append(box) or read(volume, box))
    faces.read_superpixels(plan, place)
    monkeypatch.undo()
    return boxes


def test_kept_layer__stands_for_the_volume(kept, monkeypatch):
    plan, labels = kept
    assert boxes_read(monkeypatch, plan, (0, 0)) == []
    assert_array_equal(faces.read_superpixels(plan, (0, 0)), labels[:3])


@pytest.mark.parametrize(
    "harm", ["volume changed", "archive damaged", "archive lost", "marker damaged", "other blocks"]
)
def test_layer_that_does_not_hold__is_read_from_the_volume(kept, monkeypatch, harm):
    plan, labels = kept
    archive, marker = plan.work / "faces/1-0.npz", plan.work / "done/faces/1-0.json"
    if harm == "volume changed":
        labels = labels + 100
        zarr.open_array(plan.superpixels.path, mode="r+")[:] = labels
    elif harm == "archive damaged":
        archive.write_bytes(archive.read_bytes()[:-40])
    elif harm == "archive lost":
        archive.unlink()
    elif harm == "marker damaged":
        marker.write_text(marker.read_text()[:-3])
    else:
        plan = Plan(plan.work, Grid((4, 2), (1, 2)), plan.image, plan.superpixels, None, {}, None, None, skip=False)
    assert len(boxes_read(monkeypatch, plan, (0, 0))) == 1
    assert_array_equal(faces.read_superpixels(plan, (0, 0)), labels[: plan.grid.block_shape[0] + 1])


def test_killed_while_keeping__leaves_no_marker_of_other_layers(kept, monkeypatch):
    plan, labels = kept
    zarr.open_array(plan.superpixels.path, mode="r+")[:] = labels + 100

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(faces, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        faces.read_superpixels(plan, (1, 0))
    monkeypatch.undo()
    assert not (plan.work / "done/faces/1-0.json").exists()
    assert_array_equal(faces.read_superpixels(plan, (0, 0)), labels[:3] + 100)


def test_superpixels_made_here__are_never_read_for_a_layer(tmp_path, monkeypatch):
    image = np.random.default_rng(0).random((24, 36)).astype(np.float32)
    imio.write(tmp_path / "map.zarr", image, chunks=(12, 12))
    boxes = []
    read = Input.read
    monkeypatch.setattr(Input, "read", lambda volume, box: boxes.append((volume.name, box)) or read(volume, box))
    segment_blockwise(tmp_path / "map.zarr", tmp_path / "seg.zarr", chunks=(12, 12), workers=0, progress=None)
    sides = {tuple(part.stop - part.start for part in box) for name, box in boxes if name == "superpixels"}
    assert sides == {(12, 12)}  # as the segmentation is written
