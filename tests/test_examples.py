"""The stories in examples: each runs offline, draws pictures, and finds what its text says."""

from __future__ import annotations

import io
import re
import runpy
import socket
from contextlib import redirect_stdout
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

EXAMPLES = Path(__file__).parents[1] / "examples"
STORIES = sorted(EXAMPLES.glob("plot_*.py"))

pytestmark = pytest.mark.compiled


def finds_the_quickstart(names):
    assert names["learned_vi"] < names["superpixel_vi"] / 2
    assert names["raw_vi"] < names["superpixel_vi"] / 2


def finds_the_coins(names):
    assert names["count_coins"](names["segments"]) == 24
    assert max(names["counts"]["lower quartile"]) < max(names["counts"]["mean"]) == 24


def finds_the_channels(names):
    vi_of = names["vi_of"]
    assert vi_of["4 channels and raw"] < vi_of["1 channel"] < vi_of["mean"]
    assert names["last"].total == pytest.approx(vi_of["4 channels and raw"])


def finds_the_anisotropic(names):
    vi_of = names["vi_of"]
    assert vi_of["modern"] < vi_of["basic"] < vi_of["superpixels"] / 2
    assert names["kept_spacing"] == names["spacing"] == (30, 10, 10)


def finds_the_your_own(names):
    best = names["best"]
    assert best["without organelles"].value < best["smooth minimum"].value < best["mean"].value
    assert names["area"]["smooth minimum"] > names["area"]["mean"]


@pytest.fixture
def offline(monkeypatch):
    def refused(*_):
        raise AssertionError("a story must not need the network")

    monkeypatch.setattr(socket.socket, "connect", refused)


@pytest.fixture
def ran(tmp_path, monkeypatch, offline):  # noqa: ARG001  # offline is there for what it does
    """Return a function that runs a story in an empty folder, and gives its names and what it printed."""
    monkeypatch.chdir(tmp_path)
    kept = mpl.get_backend()
    plt.switch_backend("agg")

    def run(story):
        printed = io.StringIO()
        with redirect_stdout(printed):
            names = runpy.run_path(str(story), run_name="__main__")  # whose kernels Numba can load again
        return names, printed.getvalue()

    yield run
    plt.close("all")
    plt.switch_backend(kept)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.stem)
def test_story__draws_pictures_and_finds_what_its_text_says(ran, story, tmp_path):
    names, printed = ran(story)
    name = story.stem.partition("_")[2].partition("_")[2]
    assert (tmp_path / f"{name}.png").stat().st_size > 1000
    assert len(list(tmp_path.glob(f"{name}-*.png"))) >= 1
    globals()[f"finds_the_{name}"](names)
    found = [float(number) for number in re.findall(r"\d+\.\d+", printed)]
    told = [number for line in cells(story) for number in re.findall(r"(?<![\w.])\d+\.\d+", line)]
    for number in told:  # other versions of libraries may round another way
        assert min(abs(float(number) - value) for value in found) <= 0.03, f"{number} is not in\n{printed}"


def cells(story):
    """Return the lines of text of a story."""
    return [line for line in story.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]


def test_stories__are_those_of_the_readme():
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [story.name for story in STORIES] == re.findall(r"\]\((plot_\w+\.py)\)", readme)
    assert len(STORIES) == 5
