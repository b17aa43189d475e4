"""Classifiers come by name, learn from examples that stay whole, and keep in files that run no code."""

import io
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from sklearn import (
    base,
    calibration,
    ensemble,
    linear_model,
    naive_bayes,
    neighbors,
    pipeline,
    preprocessing,
    tree,
)
from sklearn.tree._tree import Tree

from gala import classify
from gala.errors import ClassifierError, FileError, SettingError, ShapeError

few = settings(max_examples=40, deadline=None)
TREE = "sklearn.tree._tree.Tree"
HISTOGRAM_TREE = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"


@st.composite
def element_lists(draw, most=4):
    """Lists of elements whose feature vectors are few, so that some come twice."""
    n_features = draw(st.integers(0, 3))
    elements = []
    for _ in range(draw(st.integers(1, most))):
        n = draw(st.integers(0, 6))
        values = st.sampled_from([-0.0, 0.0, 1.0, 2.5])
        X = draw(hnp.arrays(float, (n, n_features), elements=values))
        y, w, merges = (
            draw(hnp.arrays(kind, (n, k), elements=st.integers(-1, 9))) for kind, k in ((int, 3), (float, 2), (int, 2))
        )
        elements.append([X, y, w, merges])
    return elements


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    return X, np.where(X[:, 0] + X[:, 1] ** 2 > 0.5, 1, -1)


# Classifiers by name


def test_default_random_forest__is_a_forest_of_deep_entropy_trees_on_all_examples(examples):
    forest = classify.DefaultRandomForest(random_state=1)
    wanted = {"n_estimators": 100, "criterion": "entropy", "max_depth": 20, "bootstrap": False, "n_jobs": -1}
    assert wanted.items() <= forest.get_params().items()
    assert len(forest.fit(*examples).estimators_) == 100


def test_default_random_forest__same_seed_gives_the_same_forest(examples):
    X, y = examples
    first, second = (
        base.clone(classify.DefaultRandomForest(random_state=3, n_estimators=5)).fit(X, y) for _ in range(2)
    )
    for one, other in zip(first.estimators_, second.estimators_, strict=True):
        assert one.tree_.__getstate__()["nodes"].tobytes() == other.tree_.__getstate__()["nodes"].tobytes()


@pytest.mark.parametrize("name", ["random forest", "naive bayes", "logistic regression"])
def test_get_classifier__learns_and_gives_probabilities(examples, name):
    X, y = examples
    classifier = classify.get_classifier(name, random_state=0).fit(X, y)
    probability = classifier.predict_proba(X)
    assert_array_equal(classifier.classes_, [-1, 1])
    assert probability.shape == (200, 2)
    assert np.mean((probability[:, 1] > 0.5) == (y == 1)) > 0.7


def test_get_classifier__options_reach_the_classifier():
    assert classify.get_classifier("random forest", max_depth=3).max_depth == 3
    assert classify.get_classifier("naive bayes", var_smoothing=0.5).var_smoothing == 0.5
    assert classify.get_classifier("logistic regression", C=0.5)[-1].C == 0.5


def test_get_classifier__unknown_name_lists_the_known():
    with pytest.raises(
        SettingError, match=r"'forest'; known are 'random forest', 'extra trees', 'bagged trees', 'naive"
    ):
        classify.get_classifier("forest")


# Examples to learn from


@few
@given(element_lists())
def test_concatenate__keeps_every_example_in_order(elements):
    together = classify.concatenate_data_elements(elements)
    ends = np.cumsum([len(X) for X, *_ in elements])[:-1]
    for k, array in enumerate(together):
        for part, element in zip(np.split(array, ends), elements, strict=True):
            assert_array_equal(part, element[k])


@few
@given(element_lists())
def test_unique__is_the_first_example_of_each_feature_vector(elements):
    expected, seen = [], set()
    for element in elements:
        for row in zip(*element, strict=True):
            features = tuple(row[0] + 0.0)
            if features not in seen:
                seen.add(features)
                expected.append(row)
    unique = classify.unique_learning_data_elements(elements)
    assert len({len(array) for array in unique} | {len(expected)}) == 1
    for k, array in enumerate(unique):
        assert_array_equal(array, np.array([row[k] for row in expected]).reshape(array.shape))
        assert array.dtype == elements[0][k].dtype


@few
@given(element_lists())
def test_unique__of_unique_changes_nothing(elements):
    once = classify.unique_learning_data_elements(elements)
    twice = classify.unique_learning_data_elements([once, once])
    for a, b in zip(once, twice, strict=True):
        assert_array_equal(a, b)


def test_concatenate__what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="at least one"):
        classify.concatenate_data_elements([])
    with pytest.raises(ShapeError, match=r"element 0 has \[\(2,\), \(\)\], element 1 has \[\(3,\), \(\)\]"):
        classify.concatenate_data_elements([[np.zeros((1, 2)), [1]], [np.zeros((1, 3)), [1]]])
    with pytest.raises(ShapeError, match=r"got shapes \(2, 2\), \(3,\)"):
        classify.concatenate_data_elements([[np.zeros((2, 2)), [1, 2, 3]]])
    with pytest.raises(ShapeError, match="features must have shape"):
        classify.unique_learning_data_elements([[[1.0, 2.0], [1, 2]]])


@few
@given(n=st.integers(0, 30), num_samples=st.integers(0, 40), seed=st.integers(0, 9))
def test_sample__is_rows_in_order_without_repeats(n, num_samples, seed):
    X, y = np.arange(2 * n).reshape(n, 2), 10 * np.arange(n)
    drawn, labels = classify.sample_training_data(X, y, num_samples, random_state=seed)
    rows = labels // 10
    assert len(rows) == min(n, num_samples)
    assert np.all(np.diff(rows) > 0)
    assert_array_equal(drawn, X[rows])
    again, _ = classify.sample_training_data(X, y, num_samples, random_state=np.random.default_rng(seed))
    assert_array_equal(drawn, again)


def test_sample__every_example_can_be_drawn():
    X = np.arange(10).reshape(10, 1)
    drawn = {int(classify.sample_training_data(X, X, 1, seed)[0][0, 0]) for seed in range(100)}
    assert drawn == set(range(10))
    assert_array_equal(classify.sample_training_data(X, X)[0], X)


@pytest.mark.parametrize("num_samples", [-1, 2.5, "all"])
def test_sample__must_be_a_number_of_examples(num_samples):
    with pytest.raises(SettingError, match=f"got {num_samples!r}"):
        classify.sample_training_data([[1]], [1], num_samples)


def test_sample__features_and_labels_are_paired():
    with pytest.raises(ShapeError, match=r"\(2, 1\), \(3,\)"):
        classify.sample_training_data([[1], [2]], [1, 2, 3])


@few
@given(element_lists(most=1))
def test_training_data__what_is_loaded_is_what_was_saved(tmp_path_factory, elements):
    fn = tmp_path_factory.mktemp("data") / "a.h5"
    classify.save_training_data_to_disk(elements[0], fn, info="moments")
    for again in (
        classify.load_training_data_from_disk(fn),
        classify.load_training_data_from_disk(str(fn), info="moments"),
    ):
        for a, b in zip(again, elements[0], strict=True):
            assert a.dtype == b.dtype
            assert_array_equal(a, b)


def test_training_data__names_and_info_must_match(tmp_path):
    fn = tmp_path / "a.h5"
    classify.save_training_data_to_disk([[[1.0]], [1]], fn, names=["X", "y"], info="moments")
    assert_array_equal(classify.load_training_data_from_disk(fn, ["y", "X"])[0], [1])
    with pytest.raises(FileError, match=r"no dataset 'features'.*there are: X, y"):
        classify.load_training_data_from_disk(fn)
    with pytest.raises(FileError, match=r"'X' of .* was saved with info 'moments', not 'histogram'"):
        classify.load_training_data_from_disk(fn, ["X", "y"], info="histogram")
    with pytest.raises(SettingError, match="names must be 2 different ones"):
        classify.save_training_data_to_disk([[[1.0]], [1]], fn)
    classify.save_training_data_to_disk([[[1.0], [2.0]]], fn, names=["X"])
    with pytest.raises(FileError, match=r"as many rows as each other; got X \(2, 1\), y \(1,\)"):
        classify.load_training_data_from_disk(fn, ["X", "y"])


# Files of classifiers

HARMLESS = {
    "forest": classify.DefaultRandomForest(n_estimators=5, random_state=0),
    "best-first forest": ensemble.RandomForestClassifier(n_estimators=5, max_leaf_nodes=9),
    "extra trees": ensemble.ExtraTreesClassifier(n_estimators=5),
    "tree": tree.DecisionTreeClassifier(),
    "boosting": ensemble.GradientBoostingClassifier(n_estimators=5),
    "exponential boosting": ensemble.GradientBoostingClassifier(n_estimators=5, loss="exponential", init="zero"),
    "histogram boosting": ensemble.HistGradientBoostingClassifier(max_iter=5, early_stopping=True),
    "logistic regression": classify.get_classifier("logistic regression"),
    "naive bayes": naive_bayes.GaussianNB(),
    "scaled histogram boosting": pipeline.make_pipeline(
        preprocessing.StandardScaler(), ensemble.HistGradientBoostingClassifier(max_iter=5)
    ),
    "calibrated": calibration.CalibratedClassifierCV(ensemble.RandomForestClassifier(n_estimators=5), cv=2),
    "bagging": ensemble.BaggingClassifier(n_estimators=3, max_features=2),
    "unfitted": ensemble.RandomForestClassifier(),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_classifier_file__what_is_loaded_predicts_as_what_was_saved(tmp_path, examples, name):
    X, y = examples
    classifier = base.clone(HARMLESS[name])
    if name != "unfitted":
        classifier.fit(X, y)
    classify.save_classifier(classifier, tmp_path / "a.skops")
    again = classify.load_classifier(tmp_path / "a.skops")
    assert type(again) is type(classifier)
    assert str(again.get_params()) == str(classifier.get_params())
    if name != "unfitted":
        assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))


def test_classifier_file__only_names_that_are_passed_are_trusted_too(tmp_path, examples):
    fn = tmp_path / "a.skops"
    classifier = neighbors.KNeighborsClassifier().fit(*examples)
    classify.save_classifier(classifier, fn)
    with pytest.raises(FileError, match=r"not trusted: sklearn\.metrics.*; if you know them.*trusted=\[") as caught:
        classify.load_classifier(fn)
    names = eval(str(caught.value).partition("trusted=")[2].rstrip("."))
    again = classify.load_classifier(fn, trusted=names)
    assert_array_equal(again.predict_proba(examples[0]), classifier.predict_proba(examples[0]))


class Treacherous:
    """Does harm, here a file, as soon as it is unpickled, made or given its state."""

    def __init__(self, fn="harm"):
        self.fn = str(fn)

    def __reduce__(self):
        return open, (self.fn, "w")

    def __setstate__(self, state):
        Path(state["fn"]).touch()

    predict_proba = None


def test_classifier_file__a_pickle_is_refused_unread(tmp_path):
    harm = tmp_path / "harm"
    fn = tmp_path / "a.pkl"
    fn.write_bytes(pickle.dumps(Treacherous(harm)))
    with pytest.raises(FileError, match="pickles are never read"):
        classify.load_classifier(fn)
    assert not harm.exists()
    pickle.loads(fn.read_bytes()).close()  # it was as harmful as it looked
    assert harm.exists()


def edited(classifier, edit):
    """Return the bytes of a file of `classifier` after `edit(schema)`."""
    source = zipfile.ZipFile(io.BytesIO(skops.io.dumps(classifier)))
    schema = json.loads(source.read("schema.json"))
    edit(schema)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as copy:
        for name in source.namelist():
            copy.writestr(name, json.dumps(schema) if name == "schema.json" else source.read(name))
    return target.getvalue()


def leaf(module, name, loader, **more):
    return {"__module__": module, "__class__": name, "__loader__": loader, **more}


def harmful_states(harm):
    """Return what skops could be told to make, and must not."""
    path = leaf("builtins", "str", "JsonNode", content=json.dumps(str(harm)), is_json=True)
    mode = leaf("builtins", "str", "JsonNode", content='"w"', is_json=True)
    arguments = leaf("builtins", "tuple", "TupleNode", content=[path, mode])
    keys = leaf("builtins", "list", "ListNode", content=[leaf("builtins", "str", "TypeNode")])
    attributes = leaf("builtins", "dict", "DictNode", key_types=keys, content={"fn": path})
    return {
        "call": leaf("io", "open", "ConstructorFromReduceNode", content=arguments),
        "object": leaf(__name__, "Treacherous", "ObjectNode", content=attributes),
        "function": leaf("posix", "system", "FunctionNode", content={"module_path": "posix", "function": "system"}),
        "tree": leaf("io", "open", "TreeNode", content=attributes) | {"__reduce__": {"args": arguments}},
    }


@pytest.mark.parametrize("kind", ["call", "object", "function", "tree"])
def test_classifier_file__a_harmful_skops_file_is_refused_unmade(tmp_path, examples, kind):
    harm = tmp_path / "harm"
    classifier = naive_bayes.GaussianNB().fit(*examples)

    def plant(schema):
        schema["content"]["content"]["priors"] = harmful_states(harm)[kind]

    fn = tmp_path / "a.skops"
    fn.write_bytes(edited(classifier, plant))
    with pytest.raises(FileError, match=r"a\.skops (holds|was)"):
        classify.load_classifier(fn)
    assert not harm.exists()


def test_classifier_file__a_class_of_ones_own_needs_trust(tmp_path):
    harm = tmp_path / "harm"
    fn = tmp_path / "a.skops"

    def become(schema):
        schema.update(harmful_states(harm)["object"])

    fn.write_bytes(edited(naive_bayes.GaussianNB(), become))
    with pytest.raises(FileError, match=r"not trusted: .*Treacherous"):
        classify.load_classifier(fn)
    assert not harm.exists()
    classify.load_classifier(fn, trusted=[f"{__name__}.Treacherous"])
    assert harm.exists()


def misled(classifier, where, value):
    """Change one number in the nodes of the first tree, or how many values each has."""
    while not hasattr(classifier, "tree_"):
        classifier = np.ravel(classifier.estimators_)[0]
    old = classifier.tree_
    state = old.__getstate__()
    n_classes = old.n_classes
    if where == "n_classes":
        n_classes = np.array([value])
        state["values"] = np.zeros((old.node_count, 1, value))
    else:
        state["nodes"][where][0] = value
    new = Tree(old.n_features, n_classes, 1)
    new.__setstate__(state)
    classifier.tree_ = new


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("left_child", 10**6),
        ("right_child", -7),
        ("left_child", 0),
        ("feature", 5),
        ("feature", -3),
        ("n_classes", 0),
    ],
)
@pytest.mark.parametrize("name", ["forest", "boosting", "calibrated"])
def test_classifier_file__trees_that_lead_nowhere_are_refused(tmp_path, examples, name, where, value):
    classifier = base.clone(HARMLESS[name]).fit(*examples)
    parts = classifier.calibrated_classifiers_[0].estimator if name == "calibrated" else classifier
    misled(parts, where, value)
    classify.save_classifier(classifier, tmp_path / "a.skops")
    with pytest.raises(FileError, match=r"a\.skops holds a (tree whose nodes|classifier that is damaged)"):
        classify.load_classifier(tmp_path / "a.skops")
    assert classify.load_classifier(tmp_path / "a.skops", trusted=[TREE]) is not None


@pytest.mark.parametrize("name", ["estimators_", "n_trees_per_iteration_"])
def test_classifier_file__boosting_that_disagrees_about_its_columns_is_refused(tmp_path, examples, name):
    classifier = base.clone(HARMLESS["boosting"]).fit(*examples)
    wrong = {"estimators_": np.tile(classifier.estimators_, (1, 3)), "n_trees_per_iteration_": 0}
    setattr(classifier, name, wrong[name])
    classify.save_classifier(classifier, tmp_path / "a.skops")
    with pytest.raises(FileError, match="boosted trees of many classes, unchecked"):
        classify.load_classifier(tmp_path / "a.skops")


@pytest.mark.parametrize(("where", "value"), [("left", 10**6), ("right", 0), ("feature_idx", 5), ("feature_idx", -1)])
def test_classifier_file__histogram_trees_that_lead_nowhere_are_refused(tmp_path, examples, where, value):
    classifier = ensemble.HistGradientBoostingClassifier(max_iter=3).fit(*examples)
    classifier._predictors[1][0].nodes[where][0] = value
    classify.save_classifier(classifier, tmp_path / "a.skops")
    with pytest.raises(FileError, match="a tree whose nodes do not fit"):
        classify.load_classifier(tmp_path / "a.skops")


def test_classifier_file__trees_that_cannot_be_checked_need_trust(tmp_path, examples):
    X, y = examples
    many = ensemble.GradientBoostingClassifier(n_estimators=2).fit(X, np.arange(200) % 3)
    kinds = np.column_stack([X, np.arange(200) % 4])
    categories = ensemble.HistGradientBoostingClassifier(max_iter=2, categorical_features=[5]).fit(kinds, y)
    for classifier, name in ((many, TREE), (categories, HISTOGRAM_TREE)):
        fn = tmp_path / "a.skops"
        classify.save_classifier(classifier, fn)
        named = set(skops.io.get_untrusted_types(file=fn))
        with pytest.raises(FileError, match=r"trust"):
            classify.load_classifier(fn)
        assert classify.load_classifier(fn, trusted=sorted(named | {name})) is not None


def test_classifier_file__what_is_no_classifier_is_refused(tmp_path, examples):
    fn = tmp_path / "a.skops"
    classify.save_classifier(preprocessing.StandardScaler().fit(examples[0]), fn)
    with pytest.raises(FileError, match="a StandardScaler, which has no predict_proba"):
        classify.load_classifier(fn)


def test_classifier_file__damaged_and_missing_files_are_named(tmp_path, examples):
    fn = tmp_path / "a.skops"
    with pytest.raises(FileError, match=r"no file .*a\.skops"):
        classify.load_classifier(fn)
    classify.save_classifier(linear_model.LogisticRegression().fit(*examples), fn)
    content = fn.read_bytes()
    for n_bytes in (0, 10, len(content) // 2, len(content) - 1):
        fn.write_bytes(content[:n_bytes])
        with pytest.raises(FileError, match=r"a\.skops was not written by save_classifier, or is damaged"):
            classify.load_classifier(fn)
    with zipfile.ZipFile(fn, "w") as empty:
        empty.writestr("notes.txt", "no classifier")
    with pytest.raises(FileError, match=r"a\.skops was not written by save_classifier, or is damaged"):
        classify.load_classifier(fn)


def test_classifier_file__what_cannot_be_saved_leaves_the_old_file(tmp_path, examples):
    fn = tmp_path / "a.skops"
    classify.save_classifier(naive_bayes.GaussianNB().fit(*examples), fn)
    before = fn.read_bytes()
    classifier = naive_bayes.GaussianNB(priors=(n for n in range(2)))
    with pytest.raises(ClassifierError, match="a GaussianNB cannot be saved"):
        classify.save_classifier(classifier, fn)
    assert [item.read_bytes() for item in tmp_path.iterdir()] == [before]


# Imports


def test_training__needs_no_scikit_learn():
    script = "import sys, gala.classify.training; print(sorted({'sklearn', 'skops'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_classify__names_load_their_modules_when_used():
    script = (
        "import sys, gala.classify, gala.imio\n"
        "heavy = {'sklearn', 'skops', 'h5py', 'tifffile', 'imageio', 'numba'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
        "gala.classify.DefaultRandomForest; print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[:2] == ["[]", "['sklearn']"]
