import subprocess
import sys
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from gala import agglo, classify, evaluate as ev
from gala.datasets import ExampleVolume, read_example, synthetic, synthetic_pair, write_example
from gala.datasets.neurites import Widths, grow
from gala.datasets.noise import grain, smooth_noise
from gala.errors import FileError, SettingError, ShapeError
from gala.features import base, histogram, moments
from gala.imio import read_h5_stack, write_h5_stack
from gala.morpho import relabel_connected, seg_to_bdry

SMALL = (12, 40, 48)
FILES = {
    f"{part}-{name}"
    for part in ("train", "test")
    for name in ("image.h5", "p1.lzf.h5", "p4.lzf.h5", "ws.lzf.h5", "gt.lzf.h5")
}
PRINT_DIGEST = """
import hashlib
from dataclasses import fields
from gala.datasets import synthetic
volume = synthetic((9, 33, 20), seed=5)
print(hashlib.sha256(b"".join(getattr(volume, f.name).tobytes() for f in fields(volume))).hexdigest())
"""


def arrays_of(volume):
    return {field.name: getattr(volume, field.name) for field in fields(ExampleVolume)}


def assert_same(a, b):
    for name, array in arrays_of(a).items():
        assert array.dtype == getattr(b, name).dtype
        np.testing.assert_array_equal(array, getattr(b, name), err_msg=name)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=3), st.integers(0, 2**32))
def test_synthetic__makes_any_shape(shape, seed):
    volume = synthetic(shape, seed=seed)
    size = tuple(shape)
    assert {name: (a.shape, a.dtype) for name, a in arrays_of(volume).items()} == {
        "image": (size, np.uint8),
        "p1": (size, np.float32),
        "p4": ((*size, 4), np.float32),
        "superpixels": (size, np.int32),
        "truth": (size, np.int32),
    }
    for probability in (volume.p1, volume.p4):
        assert probability.min() >= 0
        assert probability.max() <= 1
    np.testing.assert_allclose(volume.p4.sum(axis=-1), 1, atol=1e-6)
    superpixels = np.unique(volume.superpixels)
    np.testing.assert_array_equal(superpixels, np.arange(1, len(superpixels) + 1))
    assert volume.truth.min() >= 0


def test_synthetic__same_seed_gives_same_bytes_in_any_process():
    environments = [{"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": n} for seed, n in (("0", "1"), ("1", "2"))]
    digests = set()
    for environment in environments:
        command = [sys.executable, "-c", PRINT_DIGEST]
        path = {"PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run(command, env=environment | path, check=True, capture_output=True, text=True)
        digests.add(done.stdout)
    assert len(digests) == 1
    assert_same(synthetic(SMALL, seed=3), synthetic(SMALL, seed=3))


def test_synthetic__other_seed_gives_another_volume():
    a, b = synthetic(SMALL, seed=3), synthetic(SMALL, seed=4)
    for name, array in arrays_of(a).items():
        assert (array != getattr(b, name)).any(), name


@pytest.fixture(scope="module")
def volume():
    return synthetic((48, 96, 96), seed=11)


def test_synthetic__superpixels_have_about_a_thousand_voxels(volume):
    assert 700 < volume.superpixels.size / volume.superpixels.max() < 1400
    assert relabel_connected(volume.superpixels).max() == volume.superpixels.max()


def test_synthetic__superpixels_of_an_image_have_about_a_hundred_pixels():
    image = synthetic((256, 256), seed=11)
    assert 60 < image.superpixels.size / image.superpixels.max() < 160


def test_synthetic__truth_is_void_on_some_voxels_of_membranes(volume):
    assert 0.02 < (volume.truth == 0).mean() < 0.15
    cells, _ = grow(np.random.default_rng(11), volume.truth.shape, Widths())
    void = volume.truth == 0
    assert seg_to_bdry(cells)[void].all()
    np.testing.assert_array_equal(volume.truth[~void], cells[~void])


def test_synthetic__errors_lie_between_superpixels(volume):
    """Superpixels split objects much more than they merge them, so there is something to agglomerate."""
    merges, splits = ev.split_vi(volume.superpixels, volume.truth)
    best = ev.split_vi(ev.best_possible_segmentation(volume.superpixels, volume.truth), volume.truth)
    assert merges < 0.4
    assert 1.5 < splits < 3.5
    assert best.sum() < 0.6


def test_grow__puts_thin_neurites_beside_large_ones():
    cells, organelles = grow(np.random.default_rng(2), (48, 96, 96), Widths())
    sizes = np.bincount(cells.ravel())[1:]
    assert sizes.min() > 100
    assert relabel_connected(cells).max() == len(sizes)
    assert np.percentile(sizes, 90) > 5 * np.percentile(sizes, 25)
    assert 0.01 < organelles.mean() < 0.2
    assert not (organelles & seg_to_bdry(cells)).any()


def test_synthetic__organelles_are_dark_and_their_membranes_look_like_those_of_cells(volume):
    cells, organelles = grow(np.random.default_rng(11), volume.truth.shape, Widths())
    skin, membrane = seg_to_bdry(organelles), seg_to_bdry(cells)
    cytoplasm = ~(organelles | skin | membrane)
    assert volume.image[organelles].mean() < volume.image[cytoplasm].mean() - 40
    assert volume.image[membrane].mean() < volume.image[cytoplasm].mean() - 40
    assert abs(volume.p1[skin].mean() - volume.p1[membrane].mean()) < 0.15
    assert volume.p1[cytoplasm].mean() < 0.25
    np.testing.assert_array_less(0.5, volume.p4[..., 2][organelles & ~skin].mean())
    np.testing.assert_array_less(volume.p4[..., 2][~organelles & ~skin].mean(), 0.05)


def test_synthetic__some_membranes_are_weak(volume):
    cells, _ = grow(np.random.default_rng(11), volume.truth.shape, Widths())
    on_membranes = volume.p1[seg_to_bdry(cells)]
    assert np.percentile(on_membranes, 10) < 0.45
    assert np.percentile(on_membranes, 90) > 0.8


def learned(train, test, channels):
    features = base.Composite(children=[moments.Manager(), histogram.Manager()])
    g = agglo.Rag(train.superpixels, getattr(train, channels), feature_manager=features)
    X, y, *_ = g.learn_agglomerate(train.truth, features, random_state=0)[0]
    forest = classify.DefaultRandomForest(random_state=0).fit(X, y[:, 0])
    policy = agglo.classifier_probability(features, forest)
    g = agglo.Rag(test.superpixels, getattr(test, channels), policy, feature_manager=features)
    g.agglomerate(0.5)
    return ev.split_vi(g.get_segmentation(), test.truth).sum()


@pytest.mark.slow
def test_synthetic__the_mean_at_its_best_threshold_is_clearly_beaten_by_learning():
    train, test = synthetic_pair((48, 96, 96), seed=1).values()
    g = agglo.Rag(test.superpixels, test.p1)
    thresholds = np.arange(0.2, 0.9, 0.05)
    mean = min(ev.split_vi(g.get_segmentation(t), test.truth).sum() for t in thresholds)
    with_one, with_four = learned(train, test, "p1"), learned(train, test, "p4")
    assert with_one < 0.7 * mean
    assert with_four < 0.6 * mean


@pytest.mark.parametrize("shape", [(30,), (4, 4, 4, 4), (4, 0), (4, 4.5), (-1, 4)])
def test_synthetic__names_a_shape_it_cannot_make(shape):
    with pytest.raises(ShapeError, match="2 or 3 whole numbers"):
        synthetic(shape)


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_synthetic__names_a_seed_it_cannot_use(seed):
    with pytest.raises(SettingError, match="seed must be a whole number"):
        synthetic(SMALL, seed=seed)


@pytest.mark.parametrize("draw", [lambda r, s: smooth_noise(r, s, 4), grain])
def test_noise__has_mean_0_and_variance_1(draw):
    noise = draw(np.random.default_rng(0), (100, 120, 110))
    assert noise.dtype == np.float32
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05


@pytest.mark.parametrize("scale", [2, 7.5])
def test_smooth_noise__varies_over_its_scale(scale):
    noise = smooth_noise(np.random.default_rng(0), (200, 201), scale)
    near, far = (np.corrcoef(noise[:-d].ravel(), noise[d:].ravel())[0, 1] for d in (1, int(4 * scale)))
    assert near > 0.7
    assert abs(far) < 0.1


def test_write_example__writes_the_ten_files_of_the_script(tmp_path):
    folder = tmp_path / "new" / "example"
    written = write_example(folder, shape=SMALL, seed=2)
    assert {path.name for path in folder.iterdir()} == FILES
    for part, seed in (("train", 4), ("test", 5)):
        assert_same(written[part], synthetic(SMALL, seed=seed))
        assert_same(read_example(folder)[part], written[part])
    np.testing.assert_array_equal(read_h5_stack(folder / "test-ws.lzf.h5"), written["test"].superpixels)


def test_read_example__says_what_is_missing(tmp_path):
    with pytest.raises(FileError, match="there is no folder"):
        read_example(tmp_path / "nowhere")
    write_example(tmp_path, shape=(4, 8, 8))
    (tmp_path / "test-p4.lzf.h5").unlink()
    (tmp_path / "train-gt.lzf.h5").unlink()
    with pytest.raises(FileError, match=r"missing: train-gt\.lzf\.h5, test-p4\.lzf\.h5"):
        read_example(tmp_path)


def test_read_example__names_a_file_that_does_not_fit(tmp_path):
    write_example(tmp_path, shape=(4, 8, 8))
    write_h5_stack(np.zeros((4, 8, 9), dtype=np.int32), tmp_path / "train-gt.lzf.h5")
    with pytest.raises(ShapeError, match=r"train-gt\.lzf\.h5 must have shape \(4, 8, 8\)"):
        read_example(tmp_path)


def test_write_example__says_that_a_folder_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileError, match="cannot be made"):
        write_example(tmp_path / "file", shape=(4, 8, 8))
