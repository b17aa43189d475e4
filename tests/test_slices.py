"""The page of slices: what is in it, what a browser makes of it, and what there is no room for."""

import html
import json
import re
import shutil
import subprocess
import zlib
from base64 import b64decode

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from gala import MergeTree, agglomerate, build_graph
from gala.agglo import boundary_mean
from gala.datasets import synthetic
from gala.errors import FileError, GalaWarning, LabelError, SettingError, ShapeError
from gala.viz import LabelColours, write_slices_page
from gala.viz.shown import as_picture
from real import read
from strategies import forests

few = settings(max_examples=30, deadline=None)

TYPES = {"labels": "<u8", "sizes": "<f8", "colours": "u1", "merges": "<u4", "heights": "<f8", "image": "u1"}
SUPERPIXELS = np.repeat([[3, 5, 8, 9]], 3, axis=0).repeat(4, axis=1)
TREE = MergeTree(4, np.array([[0, 1], [2, 3], [4, 5]]), np.array([0.1, 0.3, 0.8]))
GREY = np.linspace(0, 1, SUPERPIXELS.size).reshape(SUPERPIXELS.shape)


def contents_of(file):
    """Return the state that a page opens with, and its arrays."""
    text = file.read_text(encoding="utf-8")
    parts = dict(re.findall(r'<script type="(?:text/plain|application/json)" id="(\w+)">([^<]*)</script>', text))
    state = json.loads(parts.pop("state"))
    types = TYPES | {"leaves": f"<u{state['bytes']}"}
    arrays = {name: np.frombuffer(zlib.decompress(b64decode(part)), types[name]) for name, part in parts.items()}
    shape = state["shape"]
    for name in ("image", "leaves"):
        differences = arrays[name].reshape(-1, *shape)
        arrays[name] = np.cumsum(differences, axis=-1, dtype=differences.dtype)
    arrays["leaves"] = arrays["leaves"][0]
    return state, arrays


# ----------------------------------------------------------------------------------- what is in it


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@few
@given(tree=forests(min_leaves=1), seed=st.integers(0, 99), has_background=st.booleans())
def test_page__holds_all_that_it_takes_to_cut_the_tree(folder, tree, seed, has_background):
    rng = np.random.default_rng(seed)
    labels = np.unique(rng.integers(1, 2**64, 40, dtype=np.uint64))[: tree.n_leaves]
    leaves = rng.permutation(np.arange(48) % (tree.n_leaves + has_background)).reshape(3, 4, 4) - has_background
    superpixels = np.where(leaves < 0, 0, labels[leaves])
    state, held = contents_of(write_slices_page(folder / "page.html", superpixels % 256, superpixels, tree))
    np.testing.assert_array_equal(held["leaves"], leaves + 1)
    np.testing.assert_array_equal(held["labels"], labels)
    np.testing.assert_array_equal(held["sizes"], [(leaves == leaf).sum() for leaf in range(tree.n_leaves)])
    np.testing.assert_array_equal(held["image"][0], as_picture(superpixels % 256, superpixels.shape))
    expected = LabelColours.from_tree(superpixels, tree)(labels)
    np.testing.assert_array_equal(np.array(state["palette"], dtype=np.uint8)[held["colours"]], expected)
    for threshold in (-np.inf, *tree.height, np.inf):
        name = np.arange(tree.n_leaves)
        for kept, absorbed in held["merges"].reshape(-1, 2)[held["heights"] <= threshold]:
            name[name == absorbed] = kept
        np.testing.assert_array_equal(name, tree.cut(threshold))


def test_page__without_a_tree_shows_labels_as_they_are(tmp_path):
    labels = np.where(SUPERPIXELS == 5, 0, SUPERPIXELS)
    _, held = contents_of(write_slices_page(tmp_path / "page.html", GREY, labels))
    assert held["labels"].tolist() == [3, 8, 9]
    assert held["merges"].size == held["heights"].size == 0
    np.testing.assert_array_equal(held["leaves"][0] == 0, labels == 0)


def test_page__has_the_colours_of_an_image_that_has_them(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 255, (*SUPERPIXELS.shape, 3), dtype=np.uint8)
    state, held = contents_of(write_slices_page(tmp_path / "page.html", rgb, SUPERPIXELS, TREE))
    assert state["channels"] == 3
    np.testing.assert_array_equal(held["image"][:, 0], np.moveaxis(rgb, -1, 0))


def test_page__of_many_superpixels_is_exact(tmp_path):
    superpixels = np.arange(70_000).reshape(7, 100, 100) + 1
    state, held = contents_of(write_slices_page(tmp_path / "page.html", superpixels, superpixels))
    assert state["bytes"] == 4
    np.testing.assert_array_equal(held["leaves"], superpixels)


def test_page__of_the_same_is_the_same_bytes(tmp_path):
    first, second = (write_slices_page(tmp_path / f"{k}.html", GREY, SUPERPIXELS, TREE, title="t") for k in (1, 2))
    assert first.read_bytes() == second.read_bytes()


def test_page__names_are_never_markup_and_nothing_is_loaded(tmp_path):
    evil = "</script><script>alert(1)</script><img src=http://x> {{STATE}}"
    text = write_slices_page(tmp_path / "page.html", GREY, SUPERPIXELS, TREE, title=evil).read_text(encoding="utf-8")
    assert "<img" not in text
    assert text.count("<script>") == 1
    assert html.escape(evil) in text
    assert contents_of(tmp_path / "page.html")[0]["title"] == evil
    assert not re.search(r"https?://(?!x)|@import|url\(|\bsrc=[^h]|\bhref=|fetch\(|XMLHttp|WebSocket|sendBeacon", text)
    assert "default-src 'none'" in text


def test_page__is_as_it_was_if_the_new_one_cannot_be_written(tmp_path, monkeypatch):
    file = tmp_path / "page.html"
    file.write_text("old")

    def write_half(path, text, **_):
        path.write_bytes(text.encode()[:9])
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.write_text", write_half)
    with pytest.raises(FileError, match="disk full"):
        write_slices_page(file, GREY, SUPERPIXELS)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


# --------------------------------------------------------------------------- what there is room for

NOISE = np.random.default_rng(0).integers(0, 256, (20, 100, 120), dtype=np.uint8)
BLOCKS = np.arange(20 * 100 * 120).reshape(NOISE.shape) // 12_000 + 1


def test_page__leaves_out_rows_and_columns_to_fit_and_says_so(tmp_path):
    with pytest.warns(GalaWarning, match=r"one row and column in [23], to stay below 0.12 MB"):
        file = write_slices_page(tmp_path / "page.html", NOISE, BLOCKS, max_megabytes=0.12, spacing=(4, 1, 1))
    assert file.stat().st_size <= 0.12e6
    state, held = contents_of(file)
    every = state["every"]
    np.testing.assert_array_equal(held["leaves"], BLOCKS[:, ::every, ::every])
    assert state["spacing"] == [4, every, every]
    assert held["sizes"].tolist() == [12_000] * 20  # of all voxels


def test_page__shows_the_planes_and_the_rows_asked_for(tmp_path):
    file = write_slices_page(tmp_path / "page.html", NOISE, BLOCKS, planes=slice(5, 8), every=4)
    state, held = contents_of(file)
    assert (state["first"], state["every"]) == (5, 4)
    np.testing.assert_array_equal(held["leaves"], BLOCKS[5:8, ::4, ::4])
    assert len(held["labels"]) == 20


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((NOISE, BLOCKS), {"max_megabytes": 0.02}, SettingError, r"above max_megabytes=0.02: .*planes=slice\(0, 5\)"),
        ((NOISE, BLOCKS), {"max_megabytes": 0.1, "every": 1}, SettingError, r"page would have .* MB.*\(every=2\)"),
        ((NOISE, BLOCKS), {"max_megabytes": 0}, SettingError, "max_megabytes must be above 0; got 0"),
        ((NOISE, BLOCKS), {"every": 0}, SettingError, "every must be 1 or more; got 0"),
        ((NOISE, BLOCKS), {"planes": slice(30, 40)}, SettingError, "some of the 20 that there are"),
        ((NOISE, BLOCKS), {"planes": slice(0, 9, 2)}, SettingError, "without a step"),
        ((GREY, SUPERPIXELS), {"planes": slice(0, 1)}, SettingError, "volume of 3 dimensions"),
        ((GREY, SUPERPIXELS), {"thresholds": [0.1]}, SettingError, "give the tree too"),
        ((GREY, SUPERPIXELS, TREE), {"thresholds": [np.nan]}, SettingError, "threshold must be a number"),
        ((GREY, SUPERPIXELS, MergeTree.empty(7)), {}, SettingError, "7 of them, .*; got 4"),
        ((GREY, SUPERPIXELS), {"opacity": -1}, SettingError, "opacity"),
        ((GREY, SUPERPIXELS), {"spacing": (1, 1, 1)}, SettingError, "spacing"),
        ((GREY[0], SUPERPIXELS[0]), {}, ShapeError, "2 or 3 dimensions"),
        ((GREY.T, SUPERPIXELS), {}, ShapeError, "image must have"),
        ((GREY, SUPERPIXELS - 5), {}, LabelError, "superpixels"),
    ],
)
def test_page__wrong_input_gets_a_sentence_and_no_file(arguments, options, error, words, tmp_path):
    with pytest.raises(error, match=words):
        write_slices_page(tmp_path / "page.html", *arguments, **options)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------ what a browser makes of it

# Added to a copy of the page: does what is asked for once the page is ready, and notes what comes of it.
PROBE = """<script>
addEventListener("securitypolicyviolation", () => { found.violations += 1; });
const found = { violations: 0, answers: [] };
const asked = __ASKED__;
const rows = () => Object.fromEntries([...document.querySelectorAll("#list tbody tr")].map(
  (row) => [row.cells[0].textContent, [1, 2, 3].map((k) => Number(row.cells[k].textContent))]));
const pixel = () => {
  const canvas = document.getElementById("canvas"), copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const paper = copy.getContext("2d", { willReadFrequently: true });
  paper.drawImage(canvas, 0, 0);
  return (row, column) => [...paper.getImageData((column + 0.5) * (canvas.width / drawn.width),
    (row + 0.5) * (canvas.height / drawn.height), 1, 1).data].slice(0, 3);
};
const tell = (id, value, kind) => {
  const element = document.getElementById(id);
  element.value = value;
  element.dispatchEvent(new Event(kind));
};
const actions = {
  slide: (id, value) => tell(id, value, "input"),
  change: (id, value) => tell(id, value, "change"),
  key: (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })),
  click: (row, column) => {
    const canvas = document.getElementById("canvas"), box = canvas.getBoundingClientRect();
    canvas.dispatchEvent(new MouseEvent("click", { clientX: box.left + (column + 0.5) / drawn.width * box.width,
      clientY: box.top + (row + 0.5) / drawn.height * box.height }));
  },
  press: (text) => [...document.querySelectorAll("#cuts button")].find((b) => b.textContent === text).click(),
  go: (hash) => { location.hash = hash; openAsAddressSays(); },
};
function look() {
  const at = pixel();
  return { rows: rows(), plane: document.getElementById("plane-text").textContent, threshold: String(view.threshold),
    count: document.getElementById("count").textContent, chosen: document.getElementById("chosen").textContent,
    corner: at(0, 0), middle: at(drawn.height >> 1, drawn.width >> 1) };
}
const timer = setInterval(() => {
  const message = document.getElementById("message").textContent;
  if (!document.body.dataset.ready && !message.includes("cannot")) return;
  clearInterval(timer);
  document.getElementById("regions").open = true;
  for (const [name, ...values] of asked) { actions[name](...values); found.answers.push(look()); }
  const root = document.documentElement;
  found.overflow = root.scrollWidth - root.clientWidth;
  found.width = root.clientWidth;
  found.loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  found.message = message;
  parent.postMessage(JSON.stringify(found), "*");
}, 20);
</script></body>"""
# Around that copy, since a window is never as narrow as a phone: writes down what the probe sends.
FRAME = """<!DOCTYPE html><body style="margin: 0"><pre id="found"></pre>
<script>onmessage = (event) => { document.getElementById("found").textContent = event.data; };</script>
<iframe width="__WIDTH__" height="800" style="border: 0" src="__PAGE__"></iframe></body>"""

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --enable-logging=stderr --v=0 --virtual-time-budget=30000 --dump-dom"
)


def browsed(file, asked=(), *, folder, width=1280, fragment=""):
    """Open a page in a browser, do what is asked, and return what the probe found; the console must stay empty."""
    probed = file.with_suffix(".probed.html")
    text = file.read_text(encoding="utf-8")
    probed.write_text(text.replace("</body>", PROBE.replace("__ASKED__", json.dumps(list(asked)))), encoding="utf-8")
    frame = file.with_suffix(".frame.html")
    frame.write_text(FRAME.replace("__WIDTH__", str(width)).replace("__PAGE__", probed.as_uri() + fragment))
    where = [f"--user-data-dir={folder}/profile", "--window-size=1400,900", frame.as_uri()]
    ran = subprocess.run([CHROMIUM, *FLAGS.split(), *where], capture_output=True, text=True, timeout=120, check=True)
    assert [line for line in ran.stderr.splitlines() if "CONSOLE" in line] == []
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.+?)</pre>', ran.stdout).group(1)))
    assert (found["violations"], found["loaded"], found["message"]) == (0, [], "")
    return found


def expected_rows(superpixels, tree, labels, plane):
    """Return voxels in the plane, voxels in all and superpixels of each region of a cut, by label."""
    seg = labels[tree][np.searchsorted(labels, superpixels)]
    regions, here = np.unique(seg[plane], return_counts=True)
    n_leaves = np.bincount(tree, minlength=len(labels))
    return {
        str(label): [int(count), int((seg == label).sum()), int(n_leaves[np.searchsorted(labels, label)])]
        for label, count in zip(regions, here, strict=True)
    }


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """Return superpixels with labels beyond 2**53, their tree and page."""
    made = synthetic((12, 40, 56), seed=3)
    superpixels = made.superpixels.astype(np.uint64) + np.uint64(2**60)
    graph = build_graph(superpixels, made.p1, boundary_mean.needs)
    tree = agglomerate(graph, boundary_mean)
    file = tmp_path_factory.mktemp("browser") / "page.html"
    write_slices_page(file, made.image, superpixels, tree, thresholds=[0.4, 0.7], spacing=(3, 1, 1))
    return superpixels, graph.labels, tree, file


@needs_browser
def test_browser__cuts_the_tree_as_python_does_wherever_the_sliders_are(volume, tmp_path):
    superpixels, labels, tree, file = volume
    heights = np.unique(tree.height)
    positions = [0, 1, len(heights) // 2, len(heights) - 3, len(heights)]
    asked = [("slide", "plane", 3), *[("slide", "threshold", position) for position in positions]]
    asked += [("change", "threshold-number", "0.55"), ("press", "superpixels"), ("press", "0.7")]
    cuts = [-np.inf if position == 0 else heights[position - 1] for position in positions]
    found = browsed(file, asked, folder=tmp_path)
    for answer, threshold in zip(found["answers"], [0.4, *cuts, 0.55, -np.inf, 0.7], strict=True):
        assert float(answer["threshold"].replace("Infinity", "inf")) == threshold
        assert answer["plane"] == "3"
        assert answer["rows"] == expected_rows(superpixels, tree.cut(threshold), labels, 3)
        assert f"{len(answer['rows'])} region" in answer["count"]
    assert found["overflow"] <= 0


@needs_browser
def test_browser__shows_what_the_address_asks_for_across_each_axis(volume, tmp_path):
    superpixels, labels, tree, file = volume
    places = [(0.5, 0, 7), (0.6, 1, 31), (0.3, 2, 50)]
    asked = [("go", f"threshold={t}&axis={axis}&plane={plane}&list=open") for t, axis, plane in places]
    found = browsed(file, asked, folder=tmp_path, fragment="#threshold=0.45&plane=2")
    for answer, (threshold, axis, plane) in zip(found["answers"], places, strict=True):
        across = (slice(None),) * axis + (plane,)
        assert answer["rows"] == expected_rows(superpixels, tree.cut(threshold), labels, across)


@needs_browser
def test_browser__paints_as_overlays_do(volume, tmp_path):
    superpixels, labels, tree, file = volume
    colours = LabelColours.from_tree(superpixels, tree)
    grey = contents_of(file)[1]["image"][0]
    found = browsed(file, [("slide", "plane", 6), ("slide", "opacity", 1), ("key", " ")], folder=tmp_path)
    mixed, full, bare = found["answers"]
    seg = labels[tree.cut(0.4)][np.searchsorted(labels, superpixels[6])]
    for place, where in (("corner", (0, 0)), ("middle", (20, 28))):
        assert full[place] == colours(seg)[where].tolist()
        assert bare[place] == [grey[6][where]] * 3
        assert mixed[place] == pytest.approx(0.4 * colours(seg)[where] + 0.6 * float(grey[6][where]), abs=1)


@needs_browser
def test_browser__a_click_chooses_a_region_that_is_followed_through_cuts(volume, tmp_path):
    superpixels, labels, tree, file = volume
    keys = [("key", "ArrowRight"), ("key", "ArrowUp"), ("key", "ArrowDown"), ("key", "ArrowLeft"), ("key", "Escape")]
    asked = [("slide", "plane", 5), ("click", 9, 11), *keys]
    before, clicked, right, up, down, left, escaped = browsed(file, asked, folder=tmp_path)["answers"]
    leaf = np.searchsorted(labels, superpixels[5, 9, 11])
    cut = tree.cut(0.4)
    size = int(np.isin(superpixels, labels[cut == cut[leaf]]).sum())
    assert before["chosen"] == escaped["chosen"] == ""
    assert clicked["chosen"].startswith(f"Region {labels[cut[leaf]]}: {size:,} voxel")
    assert (right["plane"], left["plane"]) == ("6", "5")
    heights = np.unique(tree.height)
    below = np.searchsorted(heights, 0.4, side="right")
    assert (float(up["threshold"]), float(down["threshold"])) == (heights[below], heights[below - 1])
    assert clicked["chosen"] == down["chosen"] == left["chosen"]


@needs_browser
def test_browser__a_phone_has_room_for_all_of_it(volume, tmp_path):
    found = browsed(volume[-1], [("slide", "plane", 3)], folder=tmp_path, width=390)
    assert 360 < found["width"] <= 390
    assert found["overflow"] <= 0


@needs_browser
@pytest.mark.parametrize(
    ("arguments", "options", "n_regions"),
    [
        ((GREY, SUPERPIXELS), {}, 4),
        ((GREY, SUPERPIXELS * 0, MergeTree.empty(1)), {}, 1),
        ((GREY, SUPERPIXELS * 0), {"title": "nothing but background"}, 0),
        ((GREY[..., None].repeat(3, axis=2), SUPERPIXELS, TREE), {"thresholds": [np.inf, -np.inf]}, 1),
        ((NOISE, BLOCKS), {"planes": slice(4, 9), "every": 3, "spacing": (1, 9, 2)}, 1),
    ],
)
def test_browser__opens_any_page(arguments, options, n_regions, tmp_path):
    file = write_slices_page(tmp_path / "page.html", *arguments, **options)
    (answer,) = browsed(file, [("slide", "plane", 1)], folder=tmp_path)["answers"]
    assert len(answer["rows"]) == n_regions


@needs_browser
@pytest.mark.compiled
def test_browser__cuts_the_real_volume_as_python_does(tmp_path):
    superpixels, boundary = read("test-ws"), read("test-p1")
    graph = build_graph(superpixels, boundary, boundary_mean.needs)
    tree = agglomerate(graph, boundary_mean)
    file = write_slices_page(tmp_path / "page.html", boundary, superpixels, tree)
    thresholds = [0.2, 0.4, 0.6, 0.95]
    asked = [("go", f"threshold={threshold}&plane=3&list=open") for threshold in thresholds]
    for answer, threshold in zip(browsed(file, asked, folder=tmp_path)["answers"], thresholds, strict=True):
        assert answer["rows"] == expected_rows(superpixels, tree.cut(threshold), graph.labels, 3)
