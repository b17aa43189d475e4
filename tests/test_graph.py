"""Region graphs: equal to their slow twin, and independent of everything that is not the volume."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal

import naive
import strategies
from gala._kernels.jit import gather_kernel
from gala.errors import LabelError, SettingError, ShapeError
from gala.features import histogram, moments
from gala.features.base import Composite, Declared
from gala.graph import build, volume as volumes
from gala.graph.build import build_graph
from gala.graph.caches import CacheSpec, Join, Layout
from gala.graph.regions import joined
from gala.graph.volume import check_volume
from gala.graph.voxels import contact_voxels, map_labels, region_voxels

some = settings(deadline=None, max_examples=50)
few = settings(deadline=None, max_examples=25)

features = Composite([moments.Manager(nmoments=2), histogram.Manager(nbins=5)])
VALUES = [0, 1, 4, 9, 16, 25]  # the labels of `strategies.label_volumes`


class Case(NamedTuple):
    """A volume and how to read it."""

    labels: np.ndarray
    image: np.ndarray
    connectivity: int
    mask: np.ndarray | None
    background: int | None

    def build(self, features=features, **options):
        return build_graph(self.labels, self.image, features, **self._options(), **options)

    def volume(self):
        return check_volume(self.labels, self.image, **self._options())

    def _options(self):
        return {"connectivity": self.connectivity, "mask": self.mask, "background": self.background}

    def inside(self):
        """Return which voxels belong to a region."""
        inside = np.ones(self.labels.shape, dtype=bool) if self.mask is None else self.mask.copy()
        return inside if self.background is None else inside & (self.labels != self.background)


@st.composite
def cases(draw, *, values=strategies.DYADIC, **options):
    labels = draw(strategies.label_volumes(**options))
    return Case(
        labels,
        draw(strategies.images(labels.shape, max_channels=2, values=values)),
        draw(st.integers(1, labels.ndim)),
        draw(st.none() | hnp.arrays(bool, labels.shape)),
        draw(st.none() | st.sampled_from([0, 1, 25, 2**63])),
    )


def parts(graph):
    """Return all that a graph holds, to the last bit."""
    arrays = (graph.labels, graph.edges, graph.region_cache, graph.contact_cache, graph.border_sizes)
    return [array.tolist() for array in arrays]


def named(graph, name_of=int):
    """Return what a graph says about each region and contact, whatever their order."""
    names = [name_of(label) for label in graph.labels.tolist()]
    regions = zip(names, graph.region_cache.tolist(), graph.border_sizes.tolist(), strict=True)
    pairs = [frozenset((names[u], names[v])) for u, v in graph.edges.tolist()]
    return {n: rest for n, *rest in regions}, dict(zip(pairs, graph.contact_cache.tolist(), strict=True))


def slabs_of(n_voxels):
    """Cut volumes into slabs of about this many voxels."""
    return mock.patch.object(volumes, "SLAB_VOXELS", n_voxels)


def lists(voxel_lists):
    return [voxel_lists.of(i).tolist() for i in range(len(voxel_lists.first) - 1)]


# ----------------------------------------------------------------------------------- the slow twin


def check_against_twin(case):
    inside = case.inside()
    regions = naive.regions(case.labels, mask=inside)
    contacts = naive.contacts(case.labels, case.connectivity, mask=inside)
    values = case.image.reshape(case.labels.size, -1)

    graph = case.build(moments.Manager(nmoments=2))

    def row(voxels):
        x = values[voxels]
        return [len(voxels), len(voxels), *x.sum(axis=0), *(x * x).sum(axis=0)]

    assert graph.labels.tolist() == list(regions)
    assert [tuple(pair) for pair in graph.labels[graph.edges].tolist()] == list(contacts)
    assert graph.sizes.tolist() == list(map(len, regions.values()))
    assert graph.contact_sizes.tolist() == list(map(len, contacts.values()))
    outer = naive.at_border(case.labels, mask=inside)
    assert graph.border_sizes.tolist() == [len(outer.get(label, [])) for label in regions]
    assert graph.labels[graph.at_border].tolist() == list(outer)
    assert graph.region_cache.tolist() == [row(voxels) for voxels in regions.values()]
    assert graph.contact_cache.tolist() == [row(voxels) for voxels in contacts.values()]
    assert lists(region_voxels(case.volume(), graph)) == list(regions.values())
    assert lists(contact_voxels(case.volume(), graph)) == list(contacts.values())


@given(cases())
@settings(deadline=None, max_examples=80)
def test_graph__equals_its_slow_twin(case):
    check_against_twin(case)


@given(cases(), st.integers(1, 30))
@some
def test_graph__in_slabs_equals_its_slow_twin(case, n_voxels):
    with slabs_of(n_voxels):
        check_against_twin(case)


def compiled(*values):
    return pytest.param(*values, marks=pytest.mark.compiled)


@pytest.mark.parametrize(
    ("shape", "n_labels"),
    [
        ((1300,), 10**5),
        compiled((7, 530), 10**5),
        compiled((2, 34, 40), 10**5),
        compiled((70, 530), 3),
        compiled((2, 36, 520), 3),
        compiled((2, 2, 35, 40), 3),
    ],
)
def test_graph__of_long_rows_or_many_regions_equals_its_slow_twin(shape, n_labels):
    rng = np.random.default_rng(0)
    case = Case(
        labels=rng.integers(0, n_labels, shape),
        image=rng.integers(0, 64, (*shape, 1)) / 64,
        connectivity=1,
        mask=rng.random(shape) < 0.9,
        background=None,
    )
    check_against_twin(case)


# -------------------------------------------------------------------------------- what is the same


def high_values(dtype):
    """Return as many labels as `VALUES`, increasing, up to the highest one of a type."""
    if np.dtype(dtype).kind != "f":
        top = np.iinfo(dtype).max
        return np.array([0, 1, 7, top // 2, top - 1, top], dtype=dtype)
    highest = np.finfo(dtype).max
    top = highest if float(highest) < 2.0**64 else np.nextafter(dtype(2.0**64), dtype(0))
    return np.array([0, 1, 7, np.floor(top / 4), np.nextafter(top, dtype(0)), top], dtype=dtype)


TYPES = [np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64]
WHOLE_FLOATS = [np.float16, np.float32, np.float64]


@given(cases(), st.sampled_from(TYPES + WHOLE_FLOATS))
@settings(deadline=None, max_examples=80)
def test_graph__depends_on_the_order_of_labels_alone(case, dtype):
    values = high_values(dtype)
    labels = values[np.searchsorted(VALUES, case.labels)]
    background = int(values[VALUES.index(case.background)]) if case.background in VALUES else None
    mapped = case._replace(labels=labels, background=background)

    plain, high = case.build(), mapped.build()

    assert high.labels.tolist() == values[np.searchsorted(VALUES, plain.labels)].tolist()
    assert parts(high)[1:] == parts(plain)[1:]
    assert dtype in WHOLE_FLOATS or high.labels.dtype == dtype
    assert lists(contact_voxels(mapped.volume(), high)) == lists(contact_voxels(case.volume(), plain))
    assert lists(region_voxels(mapped.volume(), high)) == lists(region_voxels(case.volume(), plain))


@given(cases(), st.permutations(range(100, 106)))
@some
def test_graph__of_renamed_regions_is_the_same_up_to_names(case, names):
    labels = np.array(names)[np.searchsorted(VALUES, case.labels)]
    background = names[VALUES.index(case.background)] if case.background in VALUES else None
    renamed = case._replace(labels=labels, background=background)
    assert named(renamed.build()) == named(case.build(), lambda label: names[VALUES.index(label)])


@given(cases(min_dims=2), st.data())
@some
def test_graph__of_a_turned_volume_is_the_same(case, data):
    axes = data.draw(st.permutations(range(case.labels.ndim)))
    flipped = data.draw(st.sets(st.sampled_from(axes)))

    def turn(volume):
        turned = np.flip(volume, tuple(flipped))
        return turned.transpose(*axes, *range(len(axes), volume.ndim))

    turned = case._replace(
        labels=turn(case.labels), image=turn(case.image), mask=None if case.mask is None else turn(case.mask)
    )
    assert parts(turned.build()) == parts(case.build())


ORDERS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "backwards": lambda a: np.ascontiguousarray(np.flip(a))[(slice(None, None, -1),) * a.ndim],
    "every second plane": lambda a: np.repeat(a, 2, axis=0)[::2],
    "every second column": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}
_orders = st.sampled_from(sorted(ORDERS)).map(ORDERS.get)


@given(cases(values=st.floats(-1e3, 1e3)), _orders, _orders, _orders)
@some
def test_graph__does_not_depend_on_memory_order(case, order_labels, order_image, order_mask):
    mask = case.mask if case.mask is None else order_mask(case.mask)
    other = case._replace(labels=order_labels(case.labels), image=order_image(case.image), mask=mask)
    assert parts(other.build()) == parts(case.build())
    assert lists(contact_voxels(other.volume(), other.build())) == lists(contact_voxels(case.volume(), case.build()))


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.int64, np.float16, np.float32, ">f4", ">i2"])
def test_graph__of_an_image_of_any_type_is_that_of_its_values(dtype):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 9, (5, 6, 7))
    image = (rng.normal(size=(5, 6, 7, 2)) * 3).astype(dtype)
    in_float64 = build_graph(labels, image.astype(np.float64), features)
    assert parts(build_graph(labels, image, features)) == parts(in_float64)


def test_graph__one_channel_needs_no_axis_of_its_own():
    rng = np.random.default_rng(0)
    labels, image = rng.integers(0, 9, (5, 6)), rng.random((5, 6))
    assert parts(build_graph(labels, image, features)) == parts(build_graph(labels, image[..., np.newaxis], features))


@given(cases(), st.integers(0, 24))
@some
def test_graph__masked_voxels_may_hold_anything(case, seed):
    rng = np.random.default_rng(seed)
    mask = rng.random(case.labels.shape) < 0.6
    inside = mask[..., np.newaxis]
    anything = rng.choice([np.nan, np.inf, -np.inf, 7.0], case.image.shape)
    case = case._replace(mask=mask)
    other = case._replace(
        labels=np.where(mask, case.labels, rng.choice([0, 3, 99], case.labels.shape)),
        image=np.where(inside, case.image, anything),
    )
    assert parts(other.build()) == parts(case.build())


@given(cases())
@some
def test_graph__background_is_a_mask(case):
    case = case._replace(background=4)
    assert parts(case.build()) == parts(case._replace(mask=case.inside(), background=None).build())


# -------------------------------------------------------------------------------- slabs and threads


@given(cases(), st.integers(1, 30))
@some
def test_slabs__do_not_change_the_graph(case, n_voxels):
    whole = case.build()
    with slabs_of(n_voxels):
        assert parts(case.build()) == parts(whole)


@given(cases(values=st.floats(-1e3, 1e3)), st.integers(1, 30))
@some
def test_slabs__change_sums_by_rounding_alone(case, n_voxels):
    whole = case.build()
    with slabs_of(n_voxels):
        cut = case.build()
    assert parts(cut)[:2] == parts(whole)[:2]
    size = case._replace(image=np.abs(case.image)).build()  # what rounding is relative to
    is_sum = np.array([name.startswith(("p1", "p2")) for name in whole.region_spec.names])
    for name in ("region_cache", "contact_cache"):
        ours, theirs, scale = (getattr(graph, name) for graph in (cut, whole, size))
        assert_array_equal(ours[:, ~is_sum], theirs[:, ~is_sum])
        assert (np.abs(ours - theirs)[:, is_sum] <= 1e-12 * scale[:, is_sum]).all()


def textured(shape=(24, 20, 30)):
    """Return a volume in which slabs share regions and contacts, and an image whose sums are not exact."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(1, 60, [-(-n // 4) for n in shape])
    return blocks[tuple(np.indices(shape) // 4)], rng.random((*shape, 2))


@pytest.mark.parametrize("n_threads", [2, 3, 4])
def test_threads__do_not_change_a_single_bit(n_threads):
    labels, image = textured()
    volume = check_volume(labels, image)
    with slabs_of(1300):
        assert len(volumes.slabs_of(labels.shape)) > 4
        alone, together = (build_graph(labels, image, features, n_threads=n) for n in (1, n_threads))
        for name in ("labels", "edges", "region_cache", "contact_cache", "border_sizes"):
            assert getattr(alone, name).tobytes() == getattr(together, name).tobytes(), name
        voxels = [contact_voxels(volume, alone, n_threads=n) for n in (1, n_threads)]
    assert voxels[0].voxels.tobytes() == voxels[1].voxels.tobytes()


def test_threads__are_as_many_as_the_environment_says(monkeypatch):
    labels, image = textured()
    monkeypatch.setenv("GALA_NUM_THREADS", "2")
    with slabs_of(1300):
        assert parts(build_graph(labels, image, features)) == parts(build_graph(labels, image, features, n_threads=1))


@given(cases(), st.integers(1, 30), st.randoms(use_true_random=False))
@some
def test_join__of_slabs_in_any_order_is_the_graph_of_the_whole(case, n_voxels, random):
    whole = case.build()
    slabs = []
    with slabs_of(n_voxels), mock.patch.object(build, "joined", lambda graphs: slabs.extend(graphs) or whole):
        case.build()
        assert len(slabs) == len(volumes.slabs_of(case.labels.shape))
    random.shuffle(slabs)
    one_by_one = joined([reduce(lambda a, b: a.join(b), slabs)])  # a single slab has its edges as they were met
    half = len(slabs) // 2
    halves = [reduce(lambda a, b: b.join(a), part) for part in (slabs[:half], slabs[half:]) if part]
    assert parts(one_by_one) == parts(joined([reduce(lambda a, b: a.join(b), halves)])) == parts(whole)


@given(cases(), st.integers(0, 9))
@some
def test_join__of_regions_in_two_parts_has_the_rows_of_whole_regions(case, seed):
    part = np.random.default_rng(seed).random(case.labels.shape) < 0.5
    whole = case._replace(mask=None).build()
    pair = [case._replace(mask=mask).build() for mask in (part, ~part)]
    assert named(pair[0].join(pair[1]))[0] == named(whole)[0]


# ---------------------------------------------------------------------- managers that ask for more


@gather_kernel
def _gather_box(params, channels, values, coords, faces, owner, first, out):  # noqa: ARG001  # all have these
    """Join coordinates into their sums, minima and maxima."""
    ndim = coords.shape[1]
    for i in range(owner.size):
        for axis in range(ndim):
            row, x = out[owner[i]], coords[i, axis]
            row[first + axis] += x
            row[first + ndim + axis] = min(row[first + ndim + axis], x)
            row[first + 2 * ndim + axis] = max(row[first + 2 * ndim + axis], x)


class Box(Declared):
    """Where voxels are: the sum of their coordinates, and their bounding box."""

    gather = staticmethod(_gather_box)

    def layout(self, kind):
        names = tuple(f"{stem}{axis}" for stem in ("sum", "low", "high") for axis in range(kind.ndim))
        joins = tuple(join for join in (Join.SUM, Join.MIN, Join.MAX) for _ in range(kind.ndim))
        return Layout(CacheSpec(names, joins), np.empty(0), (), (), (), (), (), needs_coords=True)


def boxes(voxel_lists, shape):
    coords = [np.stack(np.unravel_index(np.array(voxels), shape), axis=1) for voxels in voxel_lists]
    return [[*x.sum(axis=0), *x.min(axis=0), *x.max(axis=0)] for x in coords]


@given(cases(), st.integers(1, 60), st.booleans())
@some
def test_coordinates__are_those_of_the_volume_in_every_slab(case, n_voxels, with_others):
    inside, ndim = case.inside(), case.labels.ndim
    with slabs_of(n_voxels):
        graph = case.build([features, Box()] if with_others else Box())
    first = graph.region_spec.names.index("sum0")
    columns = slice(first, first + 3 * ndim)
    regions = naive.regions(case.labels, mask=inside).values()
    contacts = naive.contacts(case.labels, case.connectivity, mask=inside).values()
    assert graph.region_cache[:, columns].tolist() == boxes(regions, case.labels.shape)
    assert graph.contact_cache[:, columns].tolist() == boxes(contacts, case.labels.shape)
    if with_others:
        plain = case.build()
        width = len(plain.region_spec)
        assert_array_equal(np.delete(graph.region_cache, columns, axis=1)[:, :width], plain.region_cache)


@pytest.mark.compiled
def test_coordinates__are_right_in_long_rows():
    labels, image = textured((3, 70, 540))
    with slabs_of(70 * 540):
        graph = build_graph(labels, image, Box())
    assert graph.region_cache[:, 1:].tolist() == boxes(naive.regions(labels).values(), labels.shape)


def test_columns__that_two_managers_share_are_kept_once():
    labels, image = textured((4, 6, 8))
    both = build_graph(labels, image, [moments.Manager(nmoments=2), moments.Manager(nmoments=4)])
    assert parts(both) == parts(build_graph(labels, image, moments.Manager(nmoments=4)))
    assert len(set(both.region_spec.names)) == len(both.region_spec)


# ------------------------------------------------------------------------------------------ labels


@given(cases(), st.sampled_from([np.uint8, np.int64, np.uint64]), st.integers(1, 30), st.integers(1, 3))
@some
def test_map_labels__looks_up_each_label(case, dtype, n_voxels, n_threads):
    keys = np.array(VALUES)
    values = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, len(keys), dtype=dtype, endpoint=True)
    with slabs_of(n_voxels):
        read = {"mask": case.mask, "background": case.background}
        mapped = map_labels(case.labels, keys, values, n_threads=n_threads, **read)
    expected = np.where(case.inside(), values[np.searchsorted(keys, case.labels)], dtype(0))
    assert mapped.dtype == dtype
    assert_array_equal(mapped, expected)


@given(cases(), st.sampled_from([np.int32, np.uint64]), st.integers(1, 30), st.integers(1, 3))
@some
def test_map_labels__writes_to_an_array_that_may_be_the_labels(case, dtype, n_voxels, n_threads):
    keys, values = np.array(VALUES), np.arange(len(VALUES))[::-1]
    options = {"mask": case.mask, "background": case.background, "n_threads": n_threads}
    with slabs_of(n_voxels):
        expected = map_labels(case.labels, keys, values, **options)
        for labels in (case.labels, case.labels.astype(dtype)):
            for out in (np.full(labels.shape, 9, dtype=dtype), np.array(labels, order="C")):
                given_labels = out if out[...].tolist() == labels.tolist() else labels
                assert map_labels(given_labels, keys, values, out=out, **options) is out
                assert_array_equal(out, expected)


def test_map_labels__leaves_all_as_it_was_if_a_label_is_unknown():
    labels = np.array([[7, 7], [9, 8]])
    with slabs_of(2), pytest.raises(LabelError, match="no region with label 8"):
        map_labels(labels, [7, 9], [1, 2], out=labels)
    assert labels.tolist() == [[7, 7], [9, 8]]


def test_map_labels__says_what_out_must_be():
    labels, wide = np.array([[7, 9]]), np.zeros((1, 5), dtype=int)
    for out, error, message in [
        (wide, ShapeError, "of the shape of labels, .1, 2.; got .1, 5"),
        ([[0, 0]], ShapeError, "out must be an array of the shape of labels"),
        (np.zeros((1, 2)), SettingError, "labels up to 300; got an array of float64. Try int64"),
        (np.zeros((1, 2), dtype=np.uint8), SettingError, "labels up to 300; got an array of uint8"),
        (wide[:, ::4], SettingError, "in one piece"),
    ]:
        with pytest.raises(error, match=message):
            map_labels(labels, [7, 9], [1, 300], out=out)
    line = np.array([7, 9, 7])
    with pytest.raises(SettingError, match="share nothing"):
        map_labels(line[:2], [7, 9], [1, 2], out=line[1:])
    assert line.tolist() == [7, 9, 7]


@pytest.mark.parametrize("values", [[1], [1, 2, 3], [[1, 2]]])
def test_map_labels__needs_a_value_for_each_key(values):
    labels = np.array([7, 9])
    with pytest.raises(ShapeError, match="one entry for each of keys"):
        map_labels(labels, [7, 9], values, out=labels)
    assert labels.tolist() == [7, 9]


def test_map_labels__names_a_label_without_an_entry():
    with pytest.raises(LabelError, match="no region with label 8"):
        map_labels([[7, 8, 9]], [7, 9], [1, 2])
    assert map_labels([[7, 8, 9]], [7, 9], [1, 2], background=8).tolist() == [[1, 0, 2]]


@pytest.mark.parametrize("connectivity", [1, 2, 3])
def test_contacts__of_a_cube_in_a_larger_one_by_connectivity(connectivity):
    labels = np.zeros((5, 5, 5), dtype=int)
    labels[1:4, 1:4, 1:4] = 1
    graph = build_graph(labels, connectivity=connectivity)
    # The shell of the cube, and around it faces, then edges, then corners too.
    assert graph.contact_sizes.tolist() == [26 + {1: 54, 2: 90, 3: 98}[connectivity]]
    assert graph.at_border.tolist() == [True, False]


def test_sums__are_those_of_numpy_up_to_rounding():
    labels, image = textured()
    graph = build_graph(labels, image, moments.Manager(nmoments=4))
    for n, voxels in enumerate(naive.regions(labels).values()):
        x = image.reshape(-1, 2)[voxels]
        expected = np.concatenate([(x**k).sum(axis=0) for k in range(1, 5)])
        assert_allclose(graph.region_cache[n, 2:], expected, rtol=1e-12)
