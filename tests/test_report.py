"""Charts, pictures of the worst objects, and reports: what a page shows, what JSON holds, what a command says."""

import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings, strategies as st
from matplotlib.colors import to_hex

from gala import MergeTree, imio
from gala.classify import reliability
from gala.cli import main
from gala.datasets import synthetic
from gala.errors import FileError, LabelError, SettingError, ShapeError
from gala.evaluate import (
    Skeletons,
    adapted_rand_error,
    best_possible_segmentation,
    curve,
    false_splits,
    run_lengths,
    split_vi,
    to_json,
)
from gala.imio import read
from gala.viz import (
    Picture,
    Report,
    Table,
    WorstObject,
    draw_breakdown,
    draw_curves,
    draw_reliability,
    draw_worst_objects,
    evaluation_report,
)

# Of these, JSON has all, and a page the worst or a picture.
FULL = ("curve", "reliability", "worst_merges", "false_merges", "false_splits", "run_lengths")
VOID = ("meta", "img", "br", "link")
few = settings(max_examples=25, deadline=None)

# Four superpixels in a row, two true objects; the tree merges the right pairs, then both objects.
SUPERPIXELS = np.repeat([[1, 2, 3, 4]], 3, axis=0).repeat(4, axis=1)
TRUTH = np.repeat([[5, 5, 9, 9]], 3, axis=0).repeat(4, axis=1)
TREE = MergeTree(4, np.array([[0, 1], [2, 3], [4, 5]]), np.array([0.1, 0.3, 0.8]))


class Page(HTMLParser):
    """A page, read as a browser would: its elements, and the text of the cells of each table."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.cells, self.text = [], [], {}, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag == "table":
            self.rows = self.cells[dict(attrs)["id"]] = []
        elif tag in ("td", "th"):
            self.rows[-1].append([dict(attrs).get("data-value"), ""])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        tags = [tag for tag, _ in self.open]
        self.text.append("" if {"script", "style"} & set(tags) else data)
        if {"td", "th"} & set(tags):
            self.rows[-1][-1][1] += data


def assert_page_holds(text, found):
    """Check that what is in the JSON `found` is on the page, but for FULL, and that the page needs nothing else."""
    page = Page(text)
    assert page.open == []
    for tag, name, value in page.attributes:
        assert name != "src" or value.startswith("data:image/png;base64,"), (tag, value)
        assert name not in ("href", "srcset", "action"), (tag, name)
        assert not name.startswith("on"), (tag, name)
    assert not re.search(r"https?://|@import|url\(", re.sub(r"base64,[^\"]*", "", text))
    for value in [found["title"], *found["facts"], *found["facts"].values()]:
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        assert shown in page.text
    for key in found.keys() - {"title", "facts"}:
        if not found[key] or key in FULL:
            continue
        head, *rows = page.cells[key]
        assert [name for _, name in head] == list(found[key][0])
        held = [[shown if exact is None else exact for exact, shown in row] for row in rows]
        assert held == [["–" if cell is None else str(cell) for cell in row.values()] for row in found[key]]


# ------------------------------------------------------------------------------------------- charts


def labels_of(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_draw_curves__marks_the_best_and_the_chosen_cut_of_each_tree():
    found = curve(TREE, SUPERPIXELS, TRUTH)
    figure = draw_curves({"a": found, "b": found}, chosen={"b": 0.2})
    (axis,) = figure.axes
    expected = ["a", "best: VI 0.000 at 0.3", "b", "best: VI 0.000 at 0.3", "chosen: VI 0.500 at 0.2"]
    assert labels_of(axis) == expected
    lines = [line for line in axis.lines if line.get_label() in "ab"]
    for line in lines:
        np.testing.assert_array_equal(line.get_xydata().T, [found.vi_merges, found.vi_splits])
    assert len({line.get_color() for line in lines}) == 2


def test_draw_curves__takes_curves_from_elsewhere():
    one = SimpleNamespace(threshold=np.array([0.0]), vi_merges=np.array([0.0]), vi_splits=np.array([0.0]))
    assert labels_of(draw_curves({"perfect": one}, chosen={"perfect": -1.0}).axes[0])[2] == "chosen: VI 0.000 at -1"


def test_draw_breakdown__ends_at_the_sum_with_pieces_end_to_end():
    figure = draw_breakdown({"a": {"x": 0.5, "y": 0.25}, "b": {"x": 0.5, "y": -0.125}})
    spans = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in figure.axes[0].patches]
    assert spans == [(0, 0.5), (0, 0.5), (0.5, 0.75), (0.5, 0.375)]
    assert [note.get_text().strip() for note in figure.axes[0].texts] == ["0.750", "0.375"]


def test_draw_reliability__shows_each_bin_and_its_size():
    found = reliability([0.1, 0.1, 0.7, 0.9], [0, 1, 1, 1], n_bins=2)
    above, below = draw_reliability({"one": found}).axes
    np.testing.assert_array_equal(above.lines[-1].get_xydata(), [[0.1, 0.5], [0.8, 1.0]])
    np.testing.assert_array_equal(below.lines[-1].get_ydata(), [2, 2])


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda: draw_curves({}), "at least one curve"),
        (lambda: draw_curves({"a": curve(TREE, SUPERPIXELS, TRUTH)}, chosen={"b": 1}), "on 'b', but the curves are a"),
        (lambda: draw_curves({"a": curve(TREE, SUPERPIXELS, TRUTH)}, chosen={"a": np.nan}), "must be a number"),
        (lambda: draw_breakdown({}), "same steps, one or more; got none"),
        (lambda: draw_breakdown({"a": {"x": 1}, "b": {"y": 1}}), "got a: x; b: y"),
        (lambda: draw_reliability({}), "at least one reliability"),
    ],
)
def test_charts__name_wrong_input(draw, words):
    with pytest.raises(SettingError, match=words):
        draw()


# ------------------------------------------------------------------------------------ worst objects


def pictures(figure):
    return [np.asarray(axis.images[0].get_array()) for axis in figure.axes]


def colours_in(picture):
    return {to_hex(colour) for colour in picture.reshape(-1, 3)}


def test_draw_worst_objects__shows_a_colour_for_the_same_object_on_both_sides():
    split = WorstObject("false split", 5, 0.5)
    image, truth, segmentation = pictures(draw_worst_objects([split], SUPERPIXELS, TRUTH, TRUTH))
    clear = colours_in(truth)
    assert len(clear) == 2  # the object, and the other one, faded
    assert clear < colours_in(segmentation)
    assert "#ffffff" in colours_in(segmentation)  # the line of a false split
    assert "#ffff00" in colours_in(image)


def test_draw_worst_objects__shows_the_plane_of_the_error_and_where_it_is():
    truth = np.zeros((5, 40, 60), dtype=int) + 1
    seg = truth.copy()
    truth[3, :, 30:] = 2
    figure = draw_worst_objects([WorstObject("false merge", 1, 0.25)], seg, truth)
    assert figure.axes[0].get_title() == "false merge: segment 1\n0.25 bits"
    assert figure.axes[0].get_xlabel() == "plane 3, rows 0–39, columns 0–59"


def test_draw_worst_objects__crops_around_small_ones():
    truth = np.ones((200, 300), dtype=int)
    truth[100:104, 150:158] = 2
    figure = draw_worst_objects([WorstObject("false split", 2, 0.1)], truth * 0 + 7, truth)
    assert figure.axes[0].get_xlabel() == "rows 90–113, columns 142–165"


@pytest.mark.parametrize(
    ("objects", "arrays", "error", "words"),
    [
        ([], (TRUTH, TRUTH), SettingError, "at least one object"),
        ([WorstObject("false split", 6, 1)], (TRUTH, TRUTH), LabelError, "no label 6 to show as a false split"),
        ([WorstObject("split", 5, 1)], (TRUTH, TRUTH), SettingError, "got 'split'"),
        ([WorstObject("false split", 5, 1)], (TRUTH.T, TRUTH), ShapeError, r"segments must have .*\(3, 16\)"),
        ([WorstObject("false split", 5, 1)], (TRUTH, TRUTH, TRUTH[:2]), ShapeError, "image must have"),
        ([WorstObject("false split", 5, 1)], (TRUTH[0], TRUTH[0]), ShapeError, "2 or 3 dimensions"),
    ],
)
def test_draw_worst_objects__names_wrong_input(objects, arrays, error, words):
    with pytest.raises(error, match=words):
        draw_worst_objects(objects, *arrays)


# ------------------------------------------------------------------------------------------ reports

cells = st.one_of(
    st.none(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), st.text(st.characters(codec="utf-8"))
).map(lambda cell: cell if not isinstance(cell, str) else re.sub(r"[\x00-\x1f\x7f]", " ", cell))
names = st.lists(st.text("ab<>&\"'é–", min_size=1), min_size=2, max_size=2, unique=True)


@few
@given(columns=names, rows=st.lists(st.tuples(cells, cells), max_size=3), title=st.text("<>&\"'/ script", min_size=1))
def test_report__page_holds_what_json_holds_whatever_the_names(columns, rows, title):
    report = Report(title, {title: title}, [Table("found", title, title, columns, rows)])
    found = json.loads(report.to_json())
    assert len(found["found"]) == len(rows)
    assert_page_holds(report.to_html(), found)


def test_report__names_are_never_markup():
    evil = "</script><script>alert(1)</script><img src=http://x onerror=alert(1)>"
    table = Table("t", evil, evil, [evil, "b"], [[evil, 1]])
    picture = Picture(evil, '"' + evil, draw_breakdown({"a": {"x": 1.0}}))
    page = Report(evil, {evil: evil}, [table, picture]).to_html()
    parsed = Page(page)
    assert [tag for tag, name, _ in parsed.attributes if name == "onerror"] == []
    assert page.count("<script>") == 1
    assert parsed.cells["t"][1][0][1] == evil


def test_report__text_lines_up_and_tells_what_is_missing():
    table = Table("t", "Title", "", ["name", "n"], [["a", None], ["long name", 1.23456], ["b", np.int64(12345)]])
    assert table.to_text().splitlines() == [
        "Title",
        "name           n",
        "a              –",
        "long name  1.235",
        "b          12345",
    ]


def test_report__json_writes_infinity_as_words_and_nan_as_null():
    text = Report("t", {"threshold": np.inf}, [Table("a", "", "", ["x"], [[-np.inf], [np.nan]])]).to_json()
    assert json.loads(text) == {"title": "t", "facts": {"threshold": "inf"}, "a": [{"x": "-inf"}, {"x": None}]}


def test_report__file_is_as_it_was_if_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    file = tmp_path / "report.html"
    file.write_text("old")

    def write_half(path, text, **_):
        path.write_bytes(text.encode()[:9])
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.write_text", write_half)
    for save in (Report("t", {}, []).save_html, Report("t", {}, []).save_json):
        with pytest.raises(FileError, match="disk full"):
            save(file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


# --------------------------------------------------------------------------------------- evaluation


def row_of(report, table, name):
    found = json.loads(report.to_json())[table]
    return next(row for row in found if name in row.values())


@pytest.fixture(scope="module")
def volume():
    return synthetic((8, 40, 40), seed=2)


def test_evaluation_report__has_the_numbers_of_the_metrics(volume):
    report = evaluation_report(volume.superpixels, volume.truth, image=volume.image)
    merges, splits = split_vi(volume.superpixels, volume.truth)
    assert row_of(report, "metrics", "VI false merges")["gala"] == pytest.approx(merges)
    assert row_of(report, "metrics", "VI false splits")["gala"] == pytest.approx(splits)
    error = adapted_rand_error(volume.superpixels, volume.truth, convention="skimage")
    assert row_of(report, "metrics", "adapted Rand error")["skimage"] == pytest.approx(error)
    pictures = [part.title for part in report.parts if isinstance(part, Picture)]
    assert pictures == ["Worst objects"]
    assert_page_holds(report.to_html(), json.loads(report.to_json()))


def test_evaluation_report__of_the_same_is_the_same_bytes(volume):
    first, second = (evaluation_report(volume.superpixels, volume.truth) for _ in range(2))
    assert first.to_html() == second.to_html()


def test_evaluation_report__of_a_perfect_segmentation_lists_no_errors(volume):
    best = best_possible_segmentation(volume.truth, volume.truth)
    report = evaluation_report(best, volume.truth)
    found = json.loads(report.to_json())
    assert found["false_merges"] == found["false_splits"] == []
    assert row_of(report, "metrics", "VI")["gala"] == 0
    assert "None." in report.to_html()


def test_evaluation_report__with_a_tree_evaluates_the_cut():
    report = evaluation_report(SUPERPIXELS, TRUTH, tree=TREE, threshold=0.2)
    found = json.loads(report.to_json())
    assert row_of(report, "metrics", "VI")["gala"] == 0.5
    assert row_of(report, "best_thresholds", "vi") == {
        "metric": "vi",
        "best threshold": 0.3,
        "value there": 0.0,
        "value at the chosen": 0.5,
    }
    assert {row["step"]: row["bits"] for row in found["breakdown"]} == {
        "superpixels": 0,
        "policy": 0,
        "threshold": 0.5,
        "total": 0.5,
    }
    assert [(row["merge"], row["vi"]) for row in found["worst_merges"]] == [(0, -0.5)]
    assert [(row["object"], row["segment"], row["overlap"]) for row in found["false_splits"]] == [
        (9, 3, 12),
        (9, 4, 12),
    ]
    assert found["curve"] == json.loads(to_json(curve(TREE, SUPERPIXELS, TRUTH).to_table()))
    assert found["reliability"][0] == {"predicted": 0.1, "observed": 0.0, "counts": 1}
    assert found["facts"]["segments"] == 3
    titles = [part.title for part in report.parts if isinstance(part, Picture)]
    assert "Do priorities come true" in titles
    assert_page_holds(report.to_html(), found)


def test_evaluation_report__lists_the_merge_that_joined_two_objects():
    found = json.loads(evaluation_report(SUPERPIXELS, TRUTH, tree=TREE).to_json())
    worst = found["worst_merges"][0]
    assert len(found["worst_merges"]) == 3
    assert (worst["merge"], worst["vi"], worst["object_a"], worst["object_b"]) == (2, 1.0, 5, 9)
    assert found["facts"]["threshold"] == "inf"
    assert [(row["segment"], row["object"], row["overlap"]) for row in found["false_merges"]] == [
        (1, 5, 24),
        (1, 9, 24),
    ]


def test_evaluation_report__page_lists_the_worst_and_json_all(volume):
    report = evaluation_report(volume.superpixels, volume.truth)
    found = json.loads(report.to_json())
    table = Page(report.to_html()).cells["false_splits"]
    expected = false_splits(volume.superpixels, volume.truth)
    assert found["false_splits"] == json.loads(to_json(expected))
    assert len(expected) > len(table) - 1
    objects = list(dict.fromkeys(expected["object"].tolist()))[:25]
    assert [row[0][0] for row in table[1:]] == [str(label) for label in objects]


def test_evaluation_report__has_the_run_lengths_of_the_cut():
    neurons = Skeletons(
        [[1, 1], [1, 7], [1, 9], [1, 30], [2, 8], [2, 15]], [[0, 1], [1, 2], [2, 3], [4, 5]], [1] * 4 + [2] * 2
    )
    in_superpixels = run_lengths(neurons, SUPERPIXELS)
    report = evaluation_report(SUPERPIXELS, TRUTH, tree=TREE, threshold=0.3, runs=in_superpixels)
    found, page = json.loads(report.to_json()), Page(report.to_html())
    here = run_lengths(neurons, np.where(SUPERPIXELS < 3, 1, 3))
    assert found["facts"]["expected run length"] == here.erl
    assert found["facts"]["nodes outside"] == 1
    assert found["curve"] == json.loads(to_json(curve(TREE, SUPERPIXELS, TRUTH, runs=in_superpixels).to_table()))
    assert [row["id"] for row in found["run_lengths"]] == [1, 2]
    assert [row["start"] for row in found["skeleton_splits"]] == here.splits["start"].tolist()
    assert [row[0][1] for row in page.cells["run_lengths"][1:]] == ["1", "2"]
    everything = json.loads(evaluation_report(SUPERPIXELS, TRUTH, tree=TREE, runs=in_superpixels).to_json())
    worst = everything["worst_merges_by_erl"][0]
    assert (worst["merge"], worst["erl"] < 0, worst["erl_after"]) == (2, True, 0)
    assert [(row["segment"], row["skeleton"]) for row in everything["skeleton_merges"]] == [(1, 2)]


def test_evaluation_report__superpixel_0_may_be_background():
    with_void = np.pad(SUPERPIXELS, 1)
    truth = np.pad(TRUTH, 1)
    report = evaluation_report(with_void, truth, tree=TREE, threshold=0.3)
    assert row_of(report, "metrics", "VI")["gala"] == 0
    assert json.loads(report.to_json())["facts"]["segments"] == 2


def test_evaluation_report__priorities_beyond_0_and_1_are_no_probabilities():
    large = MergeTree(4, TREE.children, TREE.priority * 100)
    titles = [part.title for part in evaluation_report(SUPERPIXELS, TRUTH, tree=large).parts]
    assert "Do priorities come true" not in titles


def test_evaluation_report__works_in_one_dimension_without_pictures_of_objects():
    report = evaluation_report([1, 1, 2, 2], [1, 1, 1, 1], tolerance=1, spacing=[2.0])
    assert [part for part in report.parts if isinstance(part, Picture)] == []
    assert row_of(report, "metrics", "boundary recall")["gala"] is not None


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((TRUTH, TRUTH[:2]), {}, ShapeError, r"same shape; got \(3, 16\) and \(2, 16\)"),
        ((TRUTH + 0.5, TRUTH), {}, LabelError, "seg"),
        ((TRUTH, TRUTH * 0), {}, LabelError, "no voxel is left"),
        ((TRUTH, TRUTH), {"tree": TREE}, SettingError, "4 of them, .*; got 2 labels"),
        ((SUPERPIXELS, TRUTH), {"tree": TREE, "threshold": np.nan}, SettingError, "threshold must be a number"),
        ((TRUTH, TRUTH), {"image": TRUTH[:2]}, ShapeError, "image must have"),
    ],
)
def test_evaluation_report__names_wrong_input(arguments, options, error, words):
    with pytest.raises(error, match=words):
        evaluation_report(*arguments, **options)


# -------------------------------------------------------------------------------------- the command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    imio.write_h5_stack(SUPERPIXELS[None], "a.h5", "volumes/sp")
    imio.write_h5_stack(TRUTH[None], "a.h5", "volumes/truth")
    imio.write_h5_stack(TRUTH[None], "stack.h5")
    imio.write_image_stack(TRUTH.astype(np.uint8), "truth <i> & co.png")
    imio.write_image_stack(TRUTH.astype(np.float32) + 0.5, "image.tif")
    TREE.save("tree.npz")
    (tmp_path / "not.h5").write_text("no")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def test_evaluate__prints_metrics_and_writes_what_it_is_asked_for(folder):
    given = ("a.h5::volumes/sp", "a.h5::volumes/truth", "--tree", "tree.npz", "--threshold", 0.2)
    result = run(*given, "--report", "out.html", "--json", "out.json")
    assert result.exit_code == 0, result.output
    assert re.search(r"^VI +0\.5 ", result.stdout, re.MULTILINE)
    assert "Best thresholds" in result.stdout
    found = json.loads((folder / "out.json").read_text())
    assert found["facts"]["segmentation"] == "a.h5::volumes/sp"
    assert found["facts"]["tree"] == "tree.npz"
    assert_page_holds((folder / "out.html").read_text(), found)
    assert result.stderr.splitlines() == ["Wrote out.html.", "Wrote out.json."]


def test_evaluate__names_of_files_are_never_markup(folder):
    result = run("truth <i> & co.png", "truth <i> & co.png", "--report", "out.html")
    assert result.exit_code == 0, result.output
    page = (folder / "out.html").read_text()
    assert "<i>" not in page
    assert "truth <i> & co.png" in Page(page).text


def test_evaluate__writes_no_file_that_it_is_not_asked_for(folder):
    before = sorted(folder.iterdir())
    assert run("stack.h5", "a.h5::volumes/truth").exit_code == 0
    assert sorted(folder.iterdir()) == before


@pytest.mark.usefixtures("folder")
def test_evaluate__compares_boundaries_at_a_tolerance():
    result = run("a.h5::volumes/sp", "stack.h5", "--tolerance", 3, "--spacing", "1,2,2")
    assert result.exit_code == 0, result.output
    assert "boundary recall" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none.h5", "stack.h5"], 1, "there is no file none.h5"),
        (["stack.h5", "a.h5"], 1, r"a.h5 does not hold one dataset, or one named 'stack'.*volumes/sp, volumes/truth"),
        (["stack.h5", "a.h5::truth"], 1, r"a.h5 has no dataset 'truth'"),
        (["not.h5", "stack.h5"], 1, "not.h5 cannot be opened as HDF5"),
        (["image.tif::stack", "stack.h5"], 1, "image.tif holds one volume .* leave '::stack' out"),
        (["stack.h5", "truth <i> & co.png"], 1, r"stack.h5 must have the shape of truth .*\(3, 16\); got \(1, 3, 16\)"),
        (["image.tif", "truth <i> & co.png"], 1, "image.tif"),
        (["stack.h5", "stack.h5", "--image", "image.tif"], 1, r"image.tif must have the shape of stack.h5"),
        (["stack.h5", "stack.h5", "--tree", "none.npz"], 1, "there is no file none.npz"),
        (["stack.h5", "stack.h5", "--tree", "a.h5"], 1, "a.h5 does not hold a merge tree"),
        (["stack.h5", "stack.h5", "--tree", "tree.npz"], 1, "4 of them, .*; got 2 labels"),
        (["stack.h5", "stack.h5", "--threshold", "1"], 2, "give --tree too"),
        (["stack.h5", "stack.h5", "--report", "no/out.html"], 1, "there is no folder"),
        (["stack.h5", "stack.h5", "--tolerance", "1", "--spacing", "a"], 2, "such as 40,4,4; got 'a'"),
        (["stack.h5"], 2, "Missing argument"),
    ],
)
def test_evaluate__wrong_input_gets_a_sentence_and_no_files(arguments, code, words, folder):
    before = sorted(folder.iterdir())
    result = run(*arguments, "--json", "out.json")
    assert result.exit_code == code, result.output
    assert re.search(words, result.stderr)
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert sorted(folder.iterdir()) == before


def test_read__a_path_with_colons_is_a_path(folder):
    imio.write_h5_stack(TRUTH, "a::b.h5")
    np.testing.assert_array_equal(read("a::b.h5"), TRUTH)
    np.testing.assert_array_equal(read(f"{folder}/a::b.h5::stack"), TRUTH)
