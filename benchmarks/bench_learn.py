"""Learning to agglomerate: two epochs or more, forests trained in between."""

from __future__ import annotations

import pytest

from gala.agglo import Rag


@pytest.fixture(params=["example", "synthetic"])
def volumes(request):
    """Superpixels, boundary map, truth, and what they are called."""
    if request.param == "example":
        return "real example", *request.getfixturevalue("example")
    volume = request.getfixturevalue("training_volume")
    return "synthetic", volume.superpixels, volume.p1, volume.truth


@pytest.mark.parametrize("n_threads", [1, 2])
def test_learn_agglomerate__gala(benchmark, volumes, basic, n_threads):
    name, superpixels, p1, truth = volumes
    benchmark.group = f"learn_agglomerate, {name} {' x '.join(map(str, p1.shape))}"
    g = Rag(superpixels, p1, feature_manager=basic, n_threads=n_threads)
    settings = {"random_state": 0}
    data, epochs = benchmark.pedantic(g.learn_agglomerate, (truth, basic), settings, rounds=3, warmup_rounds=1)
    benchmark.extra_info["note"] = f"{len(data.X)} examples, {len(epochs)} epochs; forests train on all cores"
