"""Images beside the main one: the managers that read them, the graphs that keep them, and what can be wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gala.agglo import Rag, boundary_mean, classifier_probability
from gala.classify import DefaultRandomForest
from gala.errors import FeatureError, ImageError, SettingError, ShapeError
from gala.features import axes, contact, convex_hull, default, extrema, histogram, moments
from gala.features.base import Composite
from gala.features.program import output_names
from gala.graph import volume
from gala.graph.build import build_graph
from gala.graph.caches import Channels

KINDS = [moments.Manager, histogram.Manager, extrema.Manager, contact.Manager, axes.Manager]
rng = np.random.default_rng(0)
labels = rng.integers(1, 9, (5, 6, 7))
image = rng.integers(0, 64, (*labels.shape, 2)) / 64
raw = rng.integers(0, 64, labels.shape) / 64
others = {"raw": raw, "fine": rng.integers(0, 64, (*labels.shape, 3)) / 64}


def features_of(manager, main, **options):
    g = Rag(labels, main, feature_manager=manager, **options)
    return g.features(manager, np.array(g.real_edges()))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", others)
def test_features__of_an_extra_image_are_those_of_the_image_by_itself(kind, name):
    assert_array_equal(features_of(kind(image=name), image, extra=others), features_of(kind(), others[name]))
    assert_array_equal(features_of(kind(), image, extra=others), features_of(kind(), image))


def test_names__of_columns_and_features_say_which_image():
    graph = build_graph(labels, image, [kind(image="raw") for kind in KINDS], extra=others)
    for names in (graph.region_spec.names, graph.contact_spec.names):
        assert all(name.startswith("raw.") for name in names[1:])
    names = output_names(Composite([moments.Manager(1), moments.Manager(1, image="raw")]), graph.kind)
    assert names[:5] == (
        "smaller count",
        "smaller mean[0]",
        "smaller mean[1]",
        "smaller raw.count",
        "smaller raw.mean[0]",
    )


def test_graph__is_that_of_one_image_whose_channels_have_names(monkeypatch):
    managers = [moments.Manager(), histogram.Manager(image="fine"), moments.Manager(2, image="raw")]
    monkeypatch.setattr(volume, "SLAB_VOXELS", 100)
    apart = build_graph(labels, image, managers, extra=others)
    together = np.concatenate([image, others["fine"], raw[..., np.newaxis]], axis=-1)
    channels = Channels((0, 1), extra=(("fine", (2, 3, 4)), ("raw", (5,))))
    assert apart.kind.channels == channels
    one = build_graph(labels, together, managers, channels=channels)
    assert_array_equal(apart.region_cache, one.region_cache)
    assert_array_equal(apart.contact_cache, one.contact_cache)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, bool])
def test_extra_image__may_be_of_another_type(dtype):
    grey = rng.integers(0, 2, labels.shape).astype(dtype)
    manager = moments.Manager(image="grey")
    expected = features_of(manager, image, extra={"grey": grey.astype(float)})
    assert_array_equal(features_of(manager, image.astype(np.float32), extra={"grey": grey}), expected)
    assert_array_equal(features_of(manager, None, extra={"grey": grey}), expected)


def test_extra_image__is_not_normalized_and_goes_with_oriented_channels():
    managers = Composite([extrema.Manager(oriented=True), extrema.Manager(image="raw")])
    options = {"channel_is_oriented": [False, True], "normalize_probabilities": True}
    g = Rag(labels, 4 * image, feature_manager=managers, extra={"raw": raw}, **options)
    assert g.kind.channels == Channels((0,), 1, 2, (("raw", (3,)),))
    assert g.nodes[1]["feature-cache"][1].tolist() == [raw[labels == 1].min(), raw[labels == 1].max()]


def test_volume__without_extra_images_is_not_copied():
    checked = volume.check_volume(labels, image)
    assert np.shares_memory(checked.values(slice(1, 3)), image)


def test_python_engine__reads_extra_images_too():
    declared = Composite([kind(image="raw") for kind in KINDS])
    slow = Composite([declared, convex_hull.Manager()])
    g, h = (Rag(labels, image, feature_manager=features, extra=others) for features in (slow, declared))
    for u, v in g.real_edges():
        for of_python, of_compiled in zip(
            g.edges[u, v]["feature-cache"][0], h.edges[u, v]["feature-cache"], strict=True
        ):
            assert_array_equal(of_python, of_compiled)


def test_policy__learns_from_extra_images_and_their_description():
    features = Composite([moments.Manager(), histogram.Manager(8, image="raw")])
    truth = labels // 3
    g = Rag(labels, image, boundary_mean, feature_manager=features, extra=others)
    X, y = g.learn_agglomerate(truth, features, random_state=0)[0][:2]
    forest = DefaultRandomForest(random_state=0).fit(X, y[:, 0])
    again = Composite.load_dict(json.loads(json.dumps(features.write_fm())))
    segmentations = []
    for manager in (features, again):
        run = Rag(labels, image, classifier_probability(manager, forest), feature_manager=manager, extra=others)
        run.agglomerate(0.5)
        segmentations.append(run.get_segmentation())
    assert_array_equal(*segmentations)


def test_modern__reads_the_images_that_it_is_told_to():
    assert_array_equal(features_of(default.modern([]), image), features_of(default.modern(), image, extra=others))
    assert_array_equal(
        features_of(default.modern("raw"), image, extra=others),
        features_of(default.modern(["raw"]), image, extra=others),
    )
    assert len(default.modern(["raw", "fine"]).children) == 7


WRONG = {
    "image not there": (FeatureError, ["moments", "'raw'", "fine", "extra={'raw'"], {"extra": {"fine": raw}}),
    "no images": (FeatureError, ["'raw'", "there are none"], {}),
    "a list": (SettingError, ["dictionary", '"raw"'], {"extra": [raw]}),
    "a nameless one": (SettingError, ["by name"], {"extra": {"": raw}}),
    "another shape": (ShapeError, ["extra['raw']", "(5, 6, 7)", "(5, 6)"], {"extra": {"raw": raw[..., 0]}}),
    "NaN": (
        ImageError,
        ["extra['raw'] must be finite", "at (0, 0, 0, 0)"],
        {"extra": {"raw": np.full_like(raw, np.nan)}},
    ),
    "words": (ImageError, ["extra['raw'] must hold real numbers"], {"extra": {"raw": raw.astype(str)}}),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
@pytest.mark.parametrize("build", [build_graph, Rag], ids=["build_graph", "Rag"])
def test_extra_image__that_is_wrong_is_named(build, case):
    error, words, options = WRONG[case]
    needs = {"features" if build is build_graph else "feature_manager": moments.Manager(image="raw")}
    with pytest.raises(error) as raised:
        build(labels, image, **needs, **options)
    assert all(word in str(raised.value) for word in words)


def test_extra_image__of_a_name_that_channels_have_is_refused():
    with pytest.raises(SettingError, match="channels and extra both have an image 'raw'"):
        build_graph(labels, image, channels=Channels((0,), extra=(("raw", (1,)),)), extra={"raw": raw})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("wrong", [{"image": ""}, {"image": 0}, {"image": "raw", "oriented": True}], ids=str)
def test_manager__of_no_image_is_refused(kind, wrong):
    with pytest.raises(SettingError, match="image"):
        kind(**wrong)
