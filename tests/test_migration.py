"""The migration page tells the truth: a historic name is where it says and runs, and what is not kept is not there."""

from __future__ import annotations

import importlib
import importlib.util
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from gala import agglo, classify, evaluate, features, imio

PAGE = Path(__file__).parents[1] / "docs" / "migration.md"
WS = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]])
PR = np.array([[0, 0.1, 0.1, 0], [0.9, 0.5, 0.5, 0.9], [0.9, 0.5, 0.5, 0.9], [0, 0.1, 0.1, 0]])
GT = np.array([[7, 7, 7, 7]] * 2 + [[8, 8, 8, 8]] * 2)
NEST = np.pad(np.array([[2]]), 1, constant_values=1)  # region 2 inside region 1
VOL = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


# ------------------------------------------------------------------------------------------- the page


def rows():
    """Return the rows of all tables: section, historic names, where they are, the rest of the row."""
    section, found = "", []
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ").strip("`")
        cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
        if line.startswith("|") and not line.startswith(("| ---", "| historic")):
            names = re.findall(r"`([\w.]+)`", cells[0])
            found.append((section, names, cells[1].strip("` |"), line))
    return found


KEPT = [row for row in rows() if row[0] != "Not kept"]
SAME = {
    f"{section}.{name}": f"{section}.{name}" for section, names, here, _ in KEPT for name in names if here == "same"
}
OTHER = {f"{section}.{name}": here for section, names, here, _ in KEPT for name in names if here != "same"}
GONE = [name for section, names, *_ in rows() if section == "Not kept" for name in names]


def find(path):
    """Return what is at a path below gala, or anywhere else; of `Rag`, an attribute of a new graph."""
    if path.startswith("agglo.Rag."):
        return getattr(graph(), path.removeprefix("agglo.Rag."))
    for root in ("gala.", ""):
        *module, name = f"{root}{path}".split(".")
        for n in range(len(module), 0, -1):
            try:
                found = importlib.import_module(".".join(module[:n]))
            except ModuleNotFoundError:
                continue
            for part in [*module[n:], name]:
                found = getattr(found, part, None)
            if found is not None:
                return found
    raise AttributeError(f"there is no {path}")


def test_page__has_a_name_and_a_place_in_each_row():
    assert len(SAME) > 150
    for section, names, here, line in rows():
        assert section
        assert names, line
        assert here, line
        assert line.count(" | ") == (1 if section == "Not kept" else 2) or line.endswith("| |"), line


def test_page__names_nothing_twice():
    names = [*SAME, *OTHER, *GONE]
    assert len(names) == len({*SAME, *OTHER, *GONE}) == len(set(names))


@pytest.mark.parametrize("name", sorted(SAME))
def test_same_name__runs_as_scripts_call_it(name, tmp_path, monkeypatch):
    assert name in EXAMPLES, f"give {name} an example below"
    monkeypatch.chdir(tmp_path)
    assert EXAMPLES[name](find(SAME[name]))


@pytest.mark.parametrize("name", sorted(OTHER))
def test_other_name__is_one_that_runs_or_is_of_another_library(name):
    assert find(OTHER[name]) is not None
    assert OTHER[name] in EXAMPLES or getattr(find(OTHER[name]), "__module__", "").partition(".")[0] != "gala"
    with pytest.raises(AttributeError):
        find(name)


@pytest.mark.parametrize("name", GONE)
def test_name_not_kept__is_not_there(name):
    with pytest.raises(AttributeError):
        find(name)
    if "." not in name:
        assert importlib.util.find_spec(f"gala.{name}") is None


def test_examples__are_of_names_on_the_page():
    assert set(EXAMPLES) - {*SAME, *OTHER.values()} == set()


# ------------------------------------------------------------------------------------------- examples


def composite():
    return features.base.Composite(children=[features.moments.Manager(), features.histogram.Manager()])


def graph():
    return agglo.Rag(WS, PR, agglo.boundary_mean, GT, composite())


def of(f):
    """Return the graph that a method belongs to."""
    return f.__self__


def merged(f):
    """Merge all regions of the graph that a method belongs to; return it."""
    of(f).agglomerate(np.inf)
    return of(f)


@cache
def learned():
    """Return examples, and a classifier that learned from them."""
    data = graph().learn_agglomerate(GT, composite(), random_state=0)[0]
    return data, classify.DefaultRandomForest(n_estimators=5, random_state=0).fit(data[0], data[1][:, 0])


def run(policy, threshold=np.inf, ws=WS, pr=PR, **options):
    """Return the segmentation that a policy makes."""
    g = agglo.Rag(ws, pr, policy, feature_manager=composite(), **options)
    g.agglomerate(threshold)
    return g.get_segmentation()


HALVES = [[1, 1, 1, 1]] * 2 + [[3, 3, 3, 3]] * 2
ONES = [[1] * 4] * 4
MITO = np.stack([PR, 0 * PR, np.where(WS == 4, 1.0, 0.0)], axis=-1)  # region 4 is a mitochondrion


class Size(features.base.Null):
    """A manager in the historic way."""

    def create_node_cache(self, g, n):
        return np.array([g.node[n]["size"]], float)

    def create_edge_cache(self, g, n1, n2):
        return np.array([len(g[n1][n2]["boundary"])], float)

    def update_node_cache(self, g, n1, n2, dst, src):  # noqa: ARG002  # the protocol
        dst += src

    def update_edge_cache(self, g, e1, e2, dst, src):  # noqa: ARG002  # the protocol
        dst += src

    def compute_node_features(self, g, n, cache=None):
        return g.node[n][self.default_cache] if cache is None else cache

    def compute_edge_features(self, g, n1, n2, cache=None):
        return g[n1][n2][self.default_cache] if cache is None else cache


def size_graph():
    return agglo.Rag(WS, PR, feature_manager=Size())


def described(make, n_features=None, **options):
    """Tell whether the features of a pair are finite, and as many as expected."""
    manager = make(**options)
    found = manager(agglo.Rag(WS, PR, feature_manager=manager), 1, 2)
    return np.isfinite(found).all() and len(found) == (n_features or len(found))


def round_trip(write, read, name, *arguments):
    write(VOL, name, *arguments)
    return np.array_equal(read(name), VOL)


AGGLO = {
    "Rag": lambda f: f(WS, PR, agglo.boundary_mean, None, composite(), None, False, 1, use_slow=True).has_edge(1, 2),
    "boundary_mean": lambda f: np.isclose(f(graph(), 1, 2), 0.3) and run(f, 0.5).tolist() == HALVES,
    "boundary_median": lambda f: np.isclose(f(graph(), 1, 2), 0.3) and run(f, 0.5).tolist() == HALVES,
    "approximate_boundary_mean": lambda f: np.allclose(f(graph(), [(1, 2), (1, 3)]), [0.3, 0.7]),
    "oriented_boundary_mean": lambda f: (
        run(f, 0.5, pr=np.stack([PR, PR], -1), channel_is_oriented=[True, False], orientation_map=0 * WS).tolist()
        == HALVES
    ),
    "boundary_mean_plus_sem": lambda f: f(graph(), [(1, 2)], alpha=0) == f(graph(), 1, 2, alpha=0) != f(graph(), 1, 2),
    "random_priority": lambda f: 0 <= f(graph(), 1, 2) <= 1,
    "ordered_priority": lambda f: run(f([(1, 3)])).tolist() == [[1, 1, 2, 2]] * 2 + [[1, 1, 4, 4]] * 2,
    "classifier_probability": lambda f: run(f(composite(), learned()[1]), 0.5).tolist() == HALVES,
    "expected_change_vi": lambda f: f(composite(), learned()[1], alpha=1.0, beta=1.0)(graph(), 1, 2) < np.inf,
    "expected_change_rand": lambda f: f(composite(), learned()[1], alpha=1.0, beta=1.0)(graph(), 1, 2) < np.inf,
    "make_ladder": lambda f: f(agglo.boundary_mean, 5, strictness=1)(graph(), 1, 2) == np.inf,  # both at the border
    "boundary_mean_ladder": lambda f: f(5, 1)(graph(), 1, 2) == np.inf,
    "no_mito_merge": lambda f: 4 in run(f(agglo.boundary_mean), pr=MITO) and 4 not in run(agglo.boundary_mean, pr=MITO),
    "mito_merge": lambda f: f()(agglo.Rag(WS, MITO, f()), 3, 4) < np.inf == f()(agglo.Rag(WS, MITO, f()), 1, 2),
    "is_mito": lambda f: f(agglo.Rag(WS, MITO), 4) and not f(agglo.Rag(WS, MITO), 1, channel=2, threshold=0.5),
    "is_mito_boundary": lambda f: not f(agglo.Rag(WS, MITO), 3, 4) and f(agglo.Rag(WS, MITO), 3, 4, threshold=0.4),
    "best_possible_segmentation": lambda f: np.array_equal(f(WS, GT), GT),
    "as_policy": lambda f: run(f(lambda _g, _u, v: float(v)), 3.0).tolist() == [[1] * 4] * 2 + [[3, 3, 4, 4]] * 2,
}

RAG = {
    "agglomerate": lambda f: f(0.5, save_history=True)[0] == [(1, 2), (3, 4)] and of(f).split_vi().tolist() == [0, 0],
    "agglomerate_count": lambda f: f(1, save_history=True)[0] == [(1, 2)],
    "agglomerate_ladder": lambda f: f(min_size=5, strictness=1) == 0,  # all are at the border
    "get_segmentation": lambda f: np.array_equal(f(), WS) and f(0.5).tolist() == HALVES,
    "learn_agglomerate": lambda f: (
        [part.shape[1:] for part in f(GT, composite(), 1, random_state=0)[0]] == [(33,), (3,), (2,), (2,)]
    ),
    "learn_flat": lambda f: np.array(f(GT, composite())[1]).tolist() == [[-1] * 3, [1] * 3, [1] * 3, [-1] * 3],
    "replay_merge_history": lambda f: f([(1, 2), (3, 4)], labels=[-1, 1], num_errors=1) == (2, (3, 4)),
    "merge_nodes": lambda f: f(1, 2, 0.3) == 6 and of(f).node[6]["fragments"] == {1, 2},
    "merge_subgraph": lambda f: len(f([1, 2, 3], source=1)) == 1 and of(f).number_of_nodes() == 3,
    "split_node": lambda f: len(f(merged(f).nodes()[0], n=2)) == 2,
    "separate_fragments": lambda f: merged(f) and f(1, 2) == [1, 2, 7],
    "delete_merge": lambda f: f(of(f).merge_nodes(1, 2)) == [1, 2] and np.array_equal(of(f).get_segmentation(), WS),
    "cluster_by_labels": lambda f: f([0, 0, 1], nodes=[1, 2, 3]) == 1,
    "remove_inclusions": lambda f: type(of(f)).remove_inclusions(agglo.Rag(NEST)) == 1 and f() == 0,
    "remove_obvious_inclusions": lambda f: (
        type(of(f)).remove_obvious_inclusions(agglo.Rag(NEST)) == 1 and f() is not None
    ),
    "orphans": lambda f: type(of(f)).orphans(agglo.Rag(NEST)) == [2] and f() == [],
    "traversing_bodies": lambda f: type(of(f)).traversing_bodies(agglo.Rag([[1, 2, 3]] * 3)) == [2] and f() == [],
    "non_traversing_bodies": lambda f: f() == [1, 2, 3, 4],
    "is_traversed_by_node": lambda f: f(1) is False,
    "at_volume_boundary": lambda f: f(1) is True,
    "build_volume": lambda f: np.array_equal(f([1]), np.where(WS == 1, 1, 0)) and np.array_equal(f(), WS),
    "build_boundary_map": lambda f: f(ebunch=of(f).real_edges()).max() == 0.7 and f().shape == WS.shape,
    "get_edge_coordinates": lambda f: f(1, 2).shape == (2,) and f(1, 2, arbitrary=True).shape == (2,),
    "should_merge": lambda f: f(1, 2) and not f(1, 3),
    "pixel_labels_array": lambda f: set(f(false_splits_only=True).flat) == {0, 2} and 1 in f(),
    "split_vi": lambda f: np.allclose(f(), [0, 1]) and np.allclose(f(WS), 0),
    "set_ground_truth": lambda f: f(WS) is None and np.allclose(of(f).split_vi(), 0),
    "set_exclusions": lambda f: f(np.where(WS < 3, 5, 0)) is None and 2 in merged(f).get_segmentation(),
    "rebuild_merge_queue": lambda f: f() is None,
    "copy": lambda f: f().merge_nodes(1, 2) == 6 and of(f).has_node(1),
    "boundary": lambda f: f(1, 2).tolist() == [1, 2, 5, 6],
    "extent": lambda f: f(1).tolist() == [0, 1, 4, 5],
    "real_edges": lambda f: sorted(f()) == [(1, 2), (1, 3), (2, 4), (3, 4)],
    "nodes": lambda v: v() == [1, 2, 3, 4, 5] and v[1]["size"] == 4,
    "edges": lambda v: (1, 5) in v() and v[1, 2]["boundary"].tolist() == [1, 2, 5, 6],
    "neighbors": lambda f: f(1) == [2, 3, 5] == list(of(f)[1]),
    "degree": lambda f: f(1) == 3 == len(of(f)[1]),
    "node": lambda v: v[1]["size"] == 4 and v[1]["fragments"] == {1},
    "has_node": lambda f: f(1) and not f(9) and 1 in of(f) and 9 not in of(f) and len(of(f)) == 5 == len([*of(f)]),
    "has_edge": lambda f: f(1, 2) and not f(1, 4) and of(f)[1][2]["size"] == 4 and 4 not in of(f)[1],
    "number_of_nodes": lambda f: f() == 5,
    "number_of_edges": lambda f: f() == 8,
    "watershed": lambda v: np.array_equal(v, WS),
    "probabilities_r": lambda v: np.array_equal(v, PR.reshape(-1, 1)),
    "boundary_body": lambda v: v == 5,
    "feature_manager": lambda v: len(v.children) == 2,
    "gt": lambda v: np.array_equal(v, GT),
    "merge_priority_function": lambda v: v is agglo.boundary_mean,
    "tree": lambda v: v.cut(0.5).tolist() == [0, 1, 2, 3],
    "show_progress": lambda v: v is False,
    "write_to_json": lambda f: f("g.json") is None and Path("g.json").read_text().startswith("{"),
    "constraints": lambda v: len(v.frozen) == 0,
}


INFO = {"feature_list": ["moments", "inclusiveness"], "inclusiveness": {}}
INFO["moments"] = {"nmoments": 2, "use_diff": False, "oriented": False, "normalize": False}

FEATURES = {
    "base.Null": lambda f: f()(agglo.Rag(WS, PR), 1, 2).size == 0,
    "base.Composite": lambda f: len(f(children=[Size(), features.moments.Manager()])(size_and_moments(f), 1, 2)) == 23,
    "base.Null.compute_features": lambda f: f(Size(), size_graph(), 1, 2).tolist() == [4, 4, 4],
    "base.Null.create_node_cache": lambda f: f(Size(), size_graph(), 1).size == 0,
    "base.Null.create_edge_cache": lambda f: f(Size(), size_graph(), 1, 2).size == 0,
    "base.Null.update_node_cache": lambda f: f(Size(), size_graph(), 1, 2, np.zeros(1), np.zeros(1)) is None,
    "base.Null.update_edge_cache": lambda f: f(Size(), size_graph(), (1, 3), (2, 3), np.zeros(1), np.zeros(1)) is None,
    "base.Null.compute_node_features": lambda f: f(Size(), size_graph(), 1, cache=np.zeros(1)).size == 0,
    "base.Null.compute_edge_features": lambda f: f(Size(), size_graph(), 1, 2, cache=np.zeros(1)).size == 0,
    "base.Null.compute_difference_features": lambda f: f(Size(), size_graph(), 1, 2, cache1=None).size == 0,
    "base.Null.write_fm": lambda f: (
        f(features.graph.Manager(), {"feature_list": ["x"]})["feature_list"] == ["x", "graph"]
    ),
    "base.Null.load_dict": lambda f: (
        features.moments.Manager.load_dict({"nmoments": 2}).nmoments == 2 and f({}) is not None
    ),
    "base.Mock": lambda f: np.rint(f(WS, GT)(agglo.Rag(WS), 1, 3)).tolist() == [1, 0],
    "io.create_fm": lambda f: [m.name for m in f(INFO).children] == ["moments", "inclusion"],
    "moments.Manager": lambda f: described(f) and described(f, 9, nmoments=2, use_diff_features=False),
    "histogram.Manager": lambda f: f(25, 0, 1, [0.1, 0.5, 0.9]).nbins == 25 and described(f, 13),
    "contact.Manager": lambda f: described(f, thresholds=[0.1, 0.5], oriented=False),
    "graph.Manager": lambda f: described(f, 7),
    "inclusion.Manager": lambda f: described(f, 10),
    "squiggliness.Manager": lambda f: described(f, 1, ndim=2),
    "orientation.Manager": lambda f: described(f),
    "convex_hull.Manager": lambda f: described(f),
    "default.paper_em": lambda f: described(f, 112),
    "default.snemi3d": lambda f: described(f, 140),
}


def size_and_moments(make):
    return agglo.Rag(WS, PR, feature_manager=make(children=[Size(), features.moments.Manager()]))


CLASSIFY = {
    "DefaultRandomForest": lambda f: len(f(3, max_depth=5, random_state=0).fit(*xy())) == 3,
    "get_classifier": lambda f: (
        f("random forest", n_estimators=7).n_estimators == 7 == f("Random-Forest", n_estimators=7).n_estimators
        and f().n_estimators == 100
    ),
    "save_classifier": lambda f: f(learned()[1], "a.skops") is None and Path("a.skops").exists(),
    "load_classifier": lambda f: same_predictions(f),
    "concatenate_data_elements": lambda f: len(f([learned()[0], learned()[0]])[0]) == 2 * len(learned()[0][0]),
    "unique_learning_data_elements": lambda f: len(f([learned()[0]] * 2)[0]) == len(f(learned()[0])[0]) > 0,
    "sample_training_data": lambda f: [len(part) for part in f(*xy(), num_samples=2)] == [2, 2],
    "save_training_data_to_disk": lambda f: f(learned()[0], "a.h5", names=None, info="moments") is None,
    "load_training_data_from_disk": lambda f: same_examples(f),
}


def xy():
    data = learned()[0]
    return data[0], data[1][:, 0]


def same_predictions(load):
    forest = learned()[1]
    classify.save_classifier(forest, "a.skops")
    return np.array_equal(load("a.skops").predict_proba(xy()[0]), forest.predict_proba(xy()[0]))


def same_examples(load):
    classify.save_training_data_to_disk(learned()[0], "a.h5")
    return all(np.array_equal(a, b) for a, b in zip(load("a.h5"), learned()[0], strict=True))


EVALUATE = {
    "split_vi": lambda f: (
        np.allclose(f(WS, GT, [0], [0]), [0, 1]) and np.allclose(f(WS, GT, ignore_x=[], ignore_y=[]), [0, 1])
    ),
    "vi": lambda f: np.isclose(f(WS, GT, [1, 1], ignore_x=[0], ignore_y=[0]), 1),
    "vi_tables": lambda f: len(f(WS, GT)) == 7 and f(WS, GT, ignore_x=[0], ignore_y=[0])[1].tolist() == [0.25] * 4,
    "sorted_vi_components": lambda f: f(WS, GT, [0], [0])[0].tolist() == [7, 8],
    "split_components": lambda f: f(7, evaluate.contingency_table(WS, GT), num_elems=1, axis=1) == [(1, 0.5, 1.0)],
    "vi_pairwise_matrix": lambda f: (
        np.allclose(f([WS, GT]), [[0, 1], [1, 0]]) and np.allclose(f([WS, GT], split=True), [[0, 0], [1, 0]])
    ),
    "vi_by_threshold": lambda f: f(PR, GT, [0], [0], npoints=2, nprocessors=1).shape == (3, 2),
    "rand_by_threshold": lambda f: f(PR, GT, npoints=2).shape == (3, 2),
    "contingency_table": lambda f: f(WS, GT, ignore_seg=[1], ignore_gt=[8], norm=False).tocsr()[2, 7] == 4,
    "assignment_table": lambda f: f(WS, GT).tocsr()[1].nonzero()[0].tolist() == [7],
    "rand_index": lambda f: np.isclose(f(WS, GT), 1 - 32 / 120) and f(evaluate.contingency_table(WS, WS)) == 1,
    "adj_rand_index": lambda f: f(WS, WS) == 1,
    "fm_index": lambda f: np.isclose(f(WS, WS), 1),
    "adapted_rand_error": lambda f: f(WS, WS) == 0 and f(WS, GT, all_stats=True)[1] == 1,
    "edit_distance": lambda f: f(WS, GT, size_threshold=0) == (0, 2) == f(WS, GT, 0, sp=WS),
    "relabel_from_one": lambda f: (
        f(WS + 5)[0].tolist() == WS.tolist() and f(WS + 5)[1][7] == 2 and f(WS + 5)[2][2] == 7
    ),
}

IMIO = {
    "read_h5_stack": lambda f: round_trip(imio.write_h5_stack, f, "a.h5"),
    "write_h5_stack": lambda f: f(VOL, "a.h5", group="g", compression="lzf", chunks=(1, 3, 4)) is None,
    "read_image_stack": lambda f: round_trip(imio.write_image_stack, f, "a.tif"),
    "write_image_stack": lambda f: round_trip(f, lambda _: imio.read_image_stack("plane-0*.png"), "plane-%02i.png"),
    "write_png_image_stack": lambda f: f(VOL, "a-%i.png", axis=0) is None and Path("a-1.png").exists(),
    "read_multi_page_tif": lambda f: round_trip(imio.write_image_stack, f, "a.tif"),
    "read_vtk": lambda f: round_trip(imio.write_vtk, f, "a.vtk", [3.0, 1.0, 1.0]),
    "write_vtk": lambda f: f(VOL, "a.vtk", spacing=[3.0, 1.0, 1.0]) is None and Path("a.vtk").exists(),
    "extract_segments": lambda f: f(WS, [4, 1]).tolist() == [[2, 2, 0, 0]] * 2 + [[0, 0, 1, 1]] * 2,
    "read_cremi": lambda f: np.array_equal(
        after_write(imio.write_cremi, {"volumes/raw": VOL}, lambda: f("a.h5", ["volumes/raw"])[0]), VOL
    ),
    "write_cremi": lambda f: f({"volumes/raw": VOL}, "a.h5", resolution=(40, 4, 4)) is None,
    "compute_sp_to_body_map": lambda f: f(WS, GT).tolist() == [[1, 7], [2, 7], [3, 8], [4, 8]],
    "apply_segmentation_map": lambda f: np.array_equal(f(WS, imio.compute_sp_to_body_map(WS, GT)), GT),
    "write_mapped_segmentation": lambda f: (
        f(WS, BODIES, "a.h5", sp_group="stack", sp_to_body_group="transforms") is None
    ),
    "read_mapped_segmentation": lambda f: np.array_equal(mapped(f), GT),
    "read_mapped_segmentation_raw": lambda f: [part.tolist() for part in mapped(f)] == [WS.tolist(), BODIES],
    "read_prediction_from_ilastik_batch": lambda f: np.array_equal(ilastik(f), VOL),
}
BODIES = [[1, 7], [2, 7], [3, 8], [4, 8]]


def after_write(write, what, read):
    write(what, "a.h5")
    return read()


def mapped(read):
    imio.write_mapped_segmentation(WS, BODIES, "a.h5")
    return read("a.h5", sp_group="stack", sp_to_body_group="transforms")


def ilastik(read):
    imio.write_h5_stack(VOL[np.newaxis, ..., np.newaxis], "a.h5", group="/volume/prediction")
    return read("a.h5")


SEEDS = np.where(np.eye(4) * [1, 0, 0, 1], [[1, 0, 0, 2]], 0).astype(int)
MORPHO = {
    "watershed": lambda f: (
        set(f(PR, SEEDS, 1, None, 0.0, False, 0, False, override_skimage=True, show_progress=False).flat) == {1, 2}
        and 0 in f(PR, seeds=SEEDS, dams=True)
        and f(PR, smooth_thresh=0.2, smooth_seeds=False, minimum_seed_size=0).max() > 0
    ),
    "watershed_sequence": lambda f: f(np.stack([PR, PR]), axis=0, n_jobs=1, connectivity=1).shape == (2, 4, 4),
    "compact_watershed": lambda f: set(f(PR, SEEDS, compactness=0.01, connectivity=1).flat) == {1, 2},
    "multiscale_regular_seeds": lambda f: f(np.zeros((20, 20), bool), 4).max() > 0,
    "multiscale_seed_sequence": lambda f: (
        f(np.zeros((2, 20, 20)), l1_threshold=0, grid_density=10).shape == (2, 20, 20)
    ),
    "hminima": lambda f: f(np.array([1.0, 0.5, 1.0, 0.0]), 0.6).tolist() == [1.0, 1.0, 1.0, 0.6],
    "regional_minima": lambda f: f(np.array([1, 0, 1, 0]), connectivity=1).tolist() == [False, True, False, True],
    "morphological_reconstruction": lambda f: (
        f(np.array([0, 2, 0]), np.array([1, 3, 1]), connectivity=1).tolist() == [1, 2, 1]
    ),
    "complement": lambda f: f(np.array([1, 3])).tolist() == [2, 0],
    "minimum_seeds": lambda f: f(np.array([1, 0, 0, 0]), (np.array([3]),), connectivity=1)[3] > 0,
    "refined_seeding": lambda f: f(PR, maximum_height=0.2).shape == PR.shape,
    "impose_minima": lambda f: f(np.array([0, 5, 0]), np.array([1, 0, 0]), connectivity=1).argmin() == 0,
    "remove_small_connected_components": lambda f: f(np.array([1, 0, 2, 2]), 2).tolist() == [0, 0, 2, 2],
    "damify": lambda f: 0 in f(WS),
    "undam": lambda f: f(np.array([1, 0, 0, 2])).tolist() == [1, 1, 2, 2],
    "seg_to_bdry": lambda f: f(np.array([1, 1, 1, 2]), connectivity=1).tolist() == [False, False, True, True],
    "remove_merged_boundaries": lambda f: f(np.array([1, 0, 1, 0, 2]), connectivity=1).tolist() == [1, 1, 1, 0, 2],
    "relabel_connected": lambda f: len(np.unique(f(np.array([1, 2, 1]), connectivity=1))) == 3,
    "non_traversing_segments": lambda f: f(WS).tolist() == [1, 2, 3, 4],
    "juicy_center": lambda f: f(WS, 1).tolist() == [[1, 2], [3, 4]],
    "orphans": lambda f: f(NEST).tolist() == [2],
    "pad": lambda f: f(np.array([5]), [1, 0]).tolist() == [0, 1, 5, 1, 0],
    "split_exclusions": lambda f: (
        len(np.unique(f(PR[0], np.ones(4, int), np.array([1, 0, 0, 2]), dilation=0, connectivity=1))) == 2
    ),
    "manual_split": lambda f: (
        len(np.unique(f(PR, np.ones_like(WS), 1, SEEDS, connectivity=1, boundary_seeds=None))) == 2
    ),
    "relabel_from_one": lambda f: f(WS + 5)[0].tolist() == WS.tolist(),
}

VIZ = {
    "draw_segmentations": lambda f: isinstance(f({"superpixels": WS}, GT, {"boundaries": PR}), Figure),
    "draw_curves": lambda f: isinstance(
        f({"mean": evaluate.curve(graph().tree, WS, GT)}, chosen={"mean": 0.5}), Figure
    ),
}

EXAMPLES = {
    f"{section}.{name}": example
    for section, examples in {
        "agglo": AGGLO,
        "agglo.Rag": RAG,
        "features": FEATURES,
        "classify": CLASSIFY,
        "evaluate": EVALUATE,
        "imio": IMIO,
        "morpho": MORPHO,
        "viz": VIZ,
    }.items()
    for name, example in examples.items()
}
