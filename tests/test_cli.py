import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from gala import __version__
from gala.cli import main
from gala.datasets import read_example, synthetic, write_example
from gala.evaluate import split_vi
from gala.imio import read_h5_stack
from real import SCRIPT

SIZE = ("--size", "12", "48", "48")
ROWS = ("superpixels", "mean at 0.5", "historic recipe", "learned, 1 channel", "learned, 4 channels", "best possible")
WRITTEN = {
    "mean at 0.5": "test-mean.lzf.h5",
    "historic recipe": "test-historic.lzf.h5",
    "learned, 1 channel": "test-learned-p1.lzf.h5",
    "learned, 4 channels": "test-learned-p4.lzf.h5",
    "best possible": "test-best.lzf.h5",
}


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def numbers_of(table):
    """Return the rows of the demo's table: {name: [false merges, false splits, VI, Rand F, segments]}."""
    rows = {}
    for line in table.splitlines()[1:]:
        name, *cells = re.split(r"\s{2,}", line)
        rows[name] = [float(cell) for cell in cells[:5]]
    return rows


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "new" / "out"
    return run("demo", *SIZE, "--seed", 3, "--out", out), out


def test_demo__prints_a_row_for_each_way_to_segment(demo):
    result, _ = demo
    assert result.exit_code == 0, result.output
    header = re.split(r"\s{2,}", result.stdout.splitlines()[0].strip())
    assert header == ["false merges", "false splits", "VI", "Rand F", "segments", "seconds"]
    rows = numbers_of(result.stdout)
    assert tuple(rows) == ROWS
    for merges, splits, vi, f_score, segments in rows.values():
        assert vi == pytest.approx(merges + splits, abs=2e-3)
        assert 0 <= f_score <= 1
        assert segments >= 1


def test_demo__writes_the_segmentations_of_the_table_and_a_figure(demo):
    result, out = demo
    assert {path.name for path in out.iterdir()} == {"segmentations.png", *WRITTEN.values()}
    assert (out / "segmentations.png").read_bytes().startswith(b"\x89PNG")
    test = synthetic((12, 48, 48), seed=7)
    rows = numbers_of(result.stdout)
    assert rows["superpixels"][:2] == pytest.approx(split_vi(test.superpixels, test.truth), abs=6e-4)
    for name, file in WRITTEN.items():
        segmentation = read_h5_stack(out / file)
        assert rows[name][:2] == pytest.approx(split_vi(segmentation, test.truth), abs=6e-4)
        assert rows[name][4] == len(np.unique(segmentation))


def test_demo__says_what_it_does_on_stderr_without_bars_when_nobody_watches(demo):
    result, out = demo
    assert "Segmenting: learned, 4 channels" in result.stderr
    assert str(out) in result.stderr
    assert "\r" not in result.stderr
    assert "it/s" not in result.stderr


def test_demo__from_files_gives_the_numbers_of_the_volumes_made_up(demo, tmp_path):
    made_up, _ = demo
    assert run("example-data", tmp_path / "data", *SIZE, "--seed", 3).exit_code == 0
    from_files = run("demo", "--data", tmp_path / "data", "--out", tmp_path / "out")
    assert from_files.exit_code == 0, from_files.output
    assert numbers_of(from_files.stdout) == numbers_of(made_up.stdout)


def test_example_data__writes_what_the_library_makes(tmp_path):
    result = run("example-data", tmp_path / "data", "--size", 4, 20, 30)
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "data").iterdir())) == 10
    volume = synthetic((4, 20, 30), seed=1)
    np.testing.assert_array_equal(read_example(tmp_path / "data")["test"].p4, volume.p4)


def test_example_data__is_what_the_historic_script_runs_on(tmp_path, monkeypatch):
    write_example(tmp_path, shape=(24, 64, 64))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(SCRIPT, names)
    assert names["X"].shape[1] == 33
    before, after = (split_vi(names[seg], names["gt_test"]) for seg in ("ws_test", "seg_test1"))
    assert after.sum() < before.sum()


def test_warmup__runs():
    result = run("warmup")
    assert result.exit_code == 0, result.output
    assert "Compiled everything" in result.stderr
    assert result.stdout == ""


def test_version__is_that_of_the_package():
    assert run("--version").stdout == f"gala, version {__version__}\n"


def test_help__names_the_commands():
    shown = run("--help").stdout
    assert all(command in shown for command in ("demo", "example-data", "warmup"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["demo", "--data", "nowhere"], 1, "there is no folder nowhere"),
        (["demo", "--data", "."], 1, "missing: train-image.h5"),
        (["demo", "--data", ".", "--seed", "1"], 2, "leave them out with --data"),
        (["demo", "--size", "4", "0", "4"], 2, "0 is not in the range x>=1"),
        (["demo", "--size", "4", "4"], 2, "3 values are required|requires 3 arguments"),
        (["demo", "--out", "file"], 1, "file cannot be made"),
        (["example-data", "file"], 1, "file cannot be made"),
        (["demo", "--seed", "-1"], 2, "-1 is not in the range"),
    ],
)
def test_wrong_input__gets_a_sentence(arguments, code, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    result = run(*arguments)
    assert result.exit_code == code
    assert re.search(words, result.stderr)
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""


def test_demo__of_a_volume_too_small_to_learn_from_gets_a_sentence(tmp_path):
    result = run("demo", "--size", 1, 1, 1, "--out", tmp_path)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert isinstance(result.exception, SystemExit)


def test_cli__loads_nothing_heavy_before_a_command_runs():
    code = "import sys, gala.cli; print({'numpy', 'numba', 'sklearn', 'h5py', 'matplotlib'} & set(sys.modules))"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
