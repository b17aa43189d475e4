"""Find where learning pays: learned policies against hand-made ones, on maps from good to poor.

    python benchmarks/accuracy/crossover.py FOLDER

FOLDER holds the example data (`gala example-data`). Writes all runs as JSON; docs/pictures/crossover.py makes tables
and a picture of them, and docs/crossover.md says what they mean. VI is in bits, false merges and false splits together;
voxels without truth do not count.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from recipes import RECIPES
from run import code_version, remembered
from scipy import ndimage
from scipy.sparse import coo_array
from sklearn.metrics import roc_auc_score
from volumes import Pair, read_pair

from gala import datasets, morpho
from gala.datasets.noise import grain, smooth_noise
from gala.engine.agglomerate import agglomerate
from gala.engine.partition import edge_probabilities, partition
from gala.engine.policy import boundary_mean, boundary_quantile
from gala.evaluate import adapted_rand_error, breakdown, curve, vi
from gala.features.base import Composite
from gala.graph.build import build_graph
from gala.graph.overlaps import count_overlaps
from gala.graph.tree import MergeTree

METRICS = {"vi": "VI", "adapted_rand_error": "adapted Rand error"}
UNKNOWN = {"ignore_seg": (0,), "ignore_truth": (0,)}
LEARNED = ("default", "historic")
QUANTILES = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9)
BIASES = tuple(round(0.025 * i, 3) for i in range(1, 40))
SIGNED = ("gasp-mean-cannot-link", "gasp-sum", "gasp-abs-max", "multicut")  # gasp-mean is the mean, cut at the bias
HAND_MADE = ("mean", *(f"quantile {q}" for q in sorted(QUANTILES)), "quantile", *SIGNED)
SWEEPS = ("structured", "unstructured")
EXAMPLE = tuple(product(("forward", "backward"), ("given", "own")))
SHAPE = (40, 64, 64)
_judge_again = 100  # what is added to the seed of a volume to learn from, for the one to judge by


class Case(NamedTuple):
    """What is segmented: volumes, and whose superpixels or how many errors in the map."""

    volumes: str
    how: str | float


class Cuts(NamedTuple):
    """A merge tree, whose settings are thresholds."""

    curve: Any

    def best(self, metric):
        return self.curve.best(metric).value

    def chosen(self, metric):
        """Return the middle of the range of thresholds that are best."""
        here = int(np.searchsorted(self.curve.threshold, self.curve.best(metric).threshold))
        around = self.curve.threshold[here : here + 2]
        return float(around.mean()) if np.isfinite(around).all() else float(around[-1])

    def at(self, setting):
        return self.curve.at(setting)


class Fixed(NamedTuple):
    """A segmentation, without settings."""

    metrics: Mapping[str, float]

    def best(self, metric):
        return self.metrics[metric]

    def chosen(self, metric):  # noqa: ARG002  # there is nothing to choose
        return None

    def at(self, setting):  # noqa: ARG002
        return self.metrics


class Choice(NamedTuple):
    """Several of these, one for each value of a setting; the middle one of the best is chosen."""

    of: Mapping[Any, Any]

    def best(self, metric):
        return min(one.best(metric) for one in self.of.values())

    def chosen(self, metric):
        least = self.best(metric)
        ties = [key for key, one in self.of.items() if one.best(metric) == least]
        key = ties[len(ties) // 2] if all(isinstance(one, Fixed) for one in self.of.values()) else ties[0]
        return key, self.of[key].chosen(metric)

    def at(self, setting):
        key, inner = setting
        return self.of[key].at(inner)


# -- volumes -----------------------------------------------------------------------------------------------------------


def volumes_of(case, seed, folder):
    """Return the volume to learn from and the one to judge by."""
    if case.volumes in SWEEPS:
        return [with_errors(number, *case) for number in (seed, seed + _judge_again)]
    pair, _ = read_pair(Pair(case.volumes, 0), folder)
    return pair if case.how == "given" else [with_superpixels(volume, volume.p1) for volume in pair]


def with_superpixels(volume, image):
    """Return a volume with another map, and superpixels made from it."""
    image = np.clip(image, 0, 1).astype(np.float32)
    return replace(volume, p1=image, superpixels=morpho.superpixels(image))


def with_errors(seed, errors, level):
    """Return a synthetic volume with a map that has so many errors: 0 is the contour of truth.

    "structured" are those of the map that the volume has, at level 1: weak membranes, gaps, organelles, vesicles.
    "unstructured" are gaps, blur and noise, which look the same everywhere.
    """
    volume = datasets.synthetic(SHAPE, kind="mixed", seed=seed)
    random = np.random.default_rng(1000 + seed)
    nearest = ndimage.distance_transform_edt(volume.truth == 0, return_distances=False, return_indices=True)
    contour = morpho.seg_to_bdry(volume.truth[tuple(nearest)]).astype(np.float32)
    ideal = np.minimum(1.4 * ndimage.gaussian_filter(contour, 1), 1)
    if errors == "structured":
        return with_superpixels(volume, ideal + level * (volume.p1 - ideal))
    gaps = 1 / (1 + np.exp(3 - 4 * smooth_noise(random, SHAPE, 5)))
    blurred = ndimage.gaussian_filter(ideal * (1 - np.minimum(level, 1) * gaps), level)
    return with_superpixels(volume, blurred + 0.15 * level * grain(random, SHAPE))


# -- runs --------------------------------------------------------------------------------------------------------------


def hand_made(volume):
    """Return what each hand-made method makes of a volume, for all settings."""
    needs = Composite([boundary_mean.needs, boundary_quantile(0.5).needs])
    graph = build_graph(volume.superpixels, volume.p1, needs)
    overlaps = count_overlaps(volume.superpixels, volume.truth.astype(volume.superpixels.dtype))

    def cuts(policy):
        return Cuts(curve(agglomerate(graph, policy, n_threads=1), overlaps, **UNKNOWN))

    def fixed(method, bias):
        labels = partition(graph, method, bias=bias, n_threads=1).labels
        where = labels[overlaps.seg_index], overlaps.truth_labels[overlaps.truth_index]
        table = coo_array((overlaps.counts, where)).tocsr()
        return Fixed({"vi": vi(table, **UNKNOWN), "adapted_rand_error": adapted_rand_error(table, **UNKNOWN)})

    quantiles = {q: cuts(boundary_quantile(q)) for q in QUANTILES}
    found = {"mean": cuts(boundary_mean), "quantile": Choice(quantiles)}
    found |= {f"quantile {q}": one for q, one in quantiles.items()}
    return found | {method: Choice({bias: fixed(method, bias) for bias in BIASES}) for method in SIGNED}


def how_well_the_mean_tells(volume):
    """Return how often the mean boundary is higher on a contact of two cells than on one within a cell."""
    graph = build_graph(volume.superpixels, volume.p1, boundary_mean.needs)
    overlaps = count_overlaps(volume.superpixels, volume.truth.astype(volume.superpixels.dtype))
    known = overlaps.truth_labels[overlaps.truth_index] != 0
    order = np.argsort(overlaps.counts[known], kind="stable")
    owner = np.zeros(len(overlaps.seg_labels), dtype=np.int64)  # the cell that a superpixel overlaps most
    owner[overlaps.seg_index[known][order]] = overlaps.truth_labels[overlaps.truth_index[known][order]]
    u, v = owner[graph.edges].T
    told = (u > 0) & (v > 0)
    return float(roc_auc_score((u != v)[told], edge_probabilities(graph, boundary_mean)[told]))


def by_hand(case, seed, folder):
    """Return metrics of the hand-made methods: at the setting chosen on the first volume, and at the best one."""
    train, test = volumes_of(case, seed, folder)
    made = [hand_made(volume) for volume in (train, test)]
    unmerged = MergeTree.empty(len(np.unique(test.superpixels)))
    oracle = breakdown(unmerged, test.superpixels, test.truth, threshold=0.0).superpixels
    shared = {
        "auc": how_well_the_mean_tells(train),
        "n_superpixels": unmerged.n_leaves,
        "oracle": oracle,
    }
    rows = []
    for method, metric in product(HAND_MADE, METRICS):
        setting = made[0][method].chosen(metric)
        found = {"learned": made[1][method].at(setting)[metric], "best": made[1][method].best(metric)}
        rows.append({"method": method, "metric": metric, "setting": str(setting), **found, **shared})
    return rows


def by_learning(case, seed, folder):
    """Return metrics of the learned policies: at a probability of 0.5, and at the best threshold."""
    train, test = volumes_of(case, seed, folder)
    rows = []
    for method in LEARNED:
        tree, threshold = RECIPES[method](train, test, "p1", None, seed)
        along = curve(tree, test.superpixels, test.truth, **UNKNOWN)
        for metric in METRICS:
            found = {"learned": along.at(threshold)[metric], "best": along.best(metric).value}
            rows.append({"method": method, "metric": metric, "setting": str(threshold), **found})
    return rows


WAYS = {"by hand": by_hand, "by learning": by_learning}


def kept(way, case, seed, folder, cache, version):
    """Return the rows of a way, from the cache if they are there."""
    key = json.dumps([way, case, seed, version])
    file = Path(cache, f"crossover-{hashlib.sha256(key.encode()).hexdigest()}.json")
    rows = remembered(file, lambda: WAYS[way](case, seed, folder))
    return [{"volumes": case.volumes, "how": case.how, "seed": seed, **row} for row in rows]


def jobs_of(levels, n_seeds):
    """Yield way, case and seed of each run; a map without errors has none of either sort."""
    sweeps = [Case(errors, level) for errors, level in product(SWEEPS, levels) if level > 0]
    example = [Case(*which) for which in EXAMPLE]
    for seed in range(n_seeds):
        for way, case in product(WAYS, (Case(SWEEPS[0], 0.0), *sweeps)):
            yield way, case, seed
    for case in example:
        yield "by hand", case, 0  # nothing about it depends on the seed
        for seed in range(2 * n_seeds):  # these volumes are the same for all seeds, and learners vary
            yield "by learning", case, seed


def main():
    """Write all runs as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--levels", nargs="+", type=float, default=[0.25, 0.5, 0.75, 1.0, 1.5])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", default=".accuracy-cache")
    parser.add_argument("--out", default="crossover.json")
    asked = parser.parse_args()
    Path(asked.cache).mkdir(exist_ok=True)
    version = code_version() + hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    jobs = [(*job, asked.folder, asked.cache, version) for job in jobs_of(asked.levels, asked.seeds)]
    runs = Parallel(n_jobs=asked.jobs, batch_size=1)(delayed(kept)(*job) for job in jobs)
    Path(asked.out).write_text(json.dumps([row for rows in runs for row in rows], indent=1))


if __name__ == "__main__":
    main()
