import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from gala.datasets import synthetic
from gala.errors import FileError, SettingError, ShapeError
from gala.evaluate import split_vi
from gala.viz import draw_segmentations, save_figure

BLACK, WHITE, RED = (0, 0, 0), (1, 1, 1), (1, 0, 0)

# Two objects side by side, and the segmentations that get each kind of thing wrong.
TRUTH = np.repeat([[1, 1, 1, 2, 2, 2]], 4, axis=0)
MERGED = np.full_like(TRUTH, 5)
SPLIT = np.repeat([[1, 1, 1, 2, 3, 3]], 4, axis=0)


def panels_of(figure):
    return {panel.get_title().partition("\n")[0]: np.asarray(panel.images[0].get_array()) for panel in figure.axes}


def colours_in(picture):
    return {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}


def test_draw_segmentations__has_a_panel_for_each_image_each_segmentation_and_the_truth():
    volume = synthetic((6, 30, 40))
    segmentations = {"superpixels": volume.superpixels, "one": np.ones_like(volume.superpixels)}
    figure = draw_segmentations(segmentations, volume.truth, {"image": volume.image, "boundaries": volume.p1})
    panels = panels_of(figure)
    assert list(panels) == ["image", "boundaries", "superpixels", "one", "truth"]
    np.testing.assert_array_equal(panels["image"], volume.image[3])
    merges, splits = split_vi(volume.superpixels, volume.truth)
    expected = f"superpixels\nVI {merges:.2f} + {splits:.2f} = {merges + splits:.2f}"
    assert figure.axes[2].get_title() == expected


def test_draw_segmentations__perfect_ones_have_the_colours_of_the_truth_and_black_lines_only():
    panels = panels_of(draw_segmentations({"same": TRUTH + 7}, TRUTH, {}))
    objects = colours_in(panels["truth"])
    assert len(objects) == 2
    assert colours_in(panels["same"]) == objects | {BLACK}


def test_draw_segmentations__draws_a_false_split_white():
    panels = panels_of(draw_segmentations({"split": SPLIT}, TRUTH, {}))
    assert colours_in(panels["split"]) == colours_in(panels["truth"]) | {BLACK, WHITE}


def test_draw_segmentations__draws_a_false_merge_red_in_the_colour_of_one_object():
    panels = panels_of(draw_segmentations({"merged": MERGED}, TRUTH, {}))
    assert len(colours_in(panels["merged"]) & colours_in(panels["truth"])) == 1
    red = (panels["merged"] == RED).all(axis=-1)
    columns = np.flatnonzero(red.any(axis=0)) / red.shape[1]
    assert red.any()
    assert 0.4 < columns.min() < columns.max() < 0.6


def test_draw_segmentations__void_is_black_in_the_truth_and_no_error_elsewhere():
    truth = np.where(np.arange(6) == 2, 0, TRUTH)
    panels = panels_of(draw_segmentations({"same": TRUTH}, truth, {}))
    assert colours_in(panels["truth"]) - colours_in(panels["same"]) == set()
    assert RED not in colours_in(panels["same"])
    assert WHITE not in colours_in(panels["same"])


def test_draw_segmentations__a_plane_of_void_has_no_errors():
    truth = np.stack([np.zeros_like(TRUTH), TRUTH])
    panels = panels_of(draw_segmentations({"same": np.stack([TRUTH, TRUTH])}, truth, {}, plane=0))
    assert colours_in(panels["truth"]) == {BLACK}
    assert {RED, WHITE}.isdisjoint(colours_in(panels["same"]))


def test_draw_segmentations__neighbours_have_different_colours():
    truth = synthetic((100, 100), seed=3).superpixels
    panel = panels_of(draw_segmentations({}, truth, {}))["truth"]
    differ = (panel[:, 1:] != panel[:, :-1]).any(axis=-1)
    np.testing.assert_array_equal(differ, truth[:, 1:] != truth[:, :-1])


def test_draw_segmentations__shows_the_plane_asked_for():
    image = np.arange(24).reshape(2, 3, 4)
    truth = np.ones((2, 3, 4), dtype=int)
    for plane in (0, 1):
        panels = panels_of(draw_segmentations({"all": truth}, truth, {"image": image}, plane=plane))
        np.testing.assert_array_equal(panels["image"], image[plane])


@pytest.mark.parametrize(
    ("draw", "error", "words"),
    [
        (lambda: draw_segmentations({}, TRUTH[0], {}), ShapeError, "2 or 3 dimensions"),
        (lambda: draw_segmentations({"a": TRUTH[1:]}, TRUTH, {}), ShapeError, r"'a' must have .*\(4, 6\)"),
        (lambda: draw_segmentations({}, TRUTH, {"b": TRUTH.T}), ShapeError, r"'b' must have"),
        (lambda: draw_segmentations({}, TRUTH[None], {}, plane=1), SettingError, "plane must be from 0 to 0; got 1"),
    ],
)
def test_draw_segmentations__names_wrong_input(draw, error, words):
    with pytest.raises(error, match=words):
        draw()


def test_save_figure__writes_a_picture_and_leaves_the_old_one_if_it_fails(tmp_path):
    file = tmp_path / "figure.png"
    save_figure(draw_segmentations({"split": SPLIT}, TRUTH, {}), file)
    written = file.read_bytes()
    assert written.startswith(b"\x89PNG")

    class Broken(Figure):
        def savefig(self, fname, **options):  # noqa: ARG002  # as the method it replaces
            fname.write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(FileError, match="disk full"):
        save_figure(Broken(), file)
    assert file.read_bytes() == written
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]


def test_viz__needs_no_window():
    code = "import sys, gala.viz.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


@pytest.mark.parametrize("images", [[TRUTH], TRUTH])
def test_draw_segmentations__asks_for_titles(images):
    with pytest.raises(SettingError, match="images must be a mapping from titles to arrays"):
        draw_segmentations({"same": TRUTH}, TRUTH, images)
