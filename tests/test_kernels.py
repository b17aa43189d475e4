"""The containers that kernels use, against the dicts that they stand for; and work over threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from gala._kernels.adjacency import number_low_labels, number_regions
from gala._kernels.containers import (
    Bags,
    clear_table,
    grown_table,
    have_common_label,
    home_of,
    is_free,
    main_label,
    new_table,
    pour,
    slot_of,
)
from gala._kernels.jit import kernel
from gala._kernels.threads import map_over_threads, resolve_n_threads
from gala.errors import SettingError

some = settings(deadline=None, max_examples=100)

# ----------------------------------------------------------------------------------------- hash table

PUT, CLEAR = 0, 1


@kernel
def _replay(kinds, keys, values, n_slots):
    """Return the table after some operations; it grows before more than half of it is taken."""
    table = new_table(n_slots // 2)
    n_taken = 0
    for i in range(keys.size):
        slot = slot_of(table, keys[i])
        if kinds[i] == PUT:
            if is_free(table, slot):
                n_taken += 1
            table[slot, 0] = keys[i]
            table[slot, 1] = values[i]
        else:
            clear_table(table)
            n_taken = 0
        if 2 * n_taken > table.shape[0]:
            table = grown_table(table)
    return table


@kernel
def _look_up(table, keys):
    """Return whether each key is in the table, and its value."""
    found = np.zeros(keys.size, dtype=np.bool_)
    values = np.zeros(keys.size, dtype=np.uint64)
    for i in range(keys.size):
        slot = slot_of(table, keys[i])
        if not is_free(table, slot):
            found[i] = True
            values[i] = table[slot, 1]
    return found, values


@kernel
def _n_probes(table, keys):
    """Return how many slots are looked at to find each key."""
    last = np.uint64(table.shape[0] - 1)
    n_probes = np.zeros(keys.size, dtype=np.int64)
    for i in range(keys.size):
        n_probes[i] = 1 + ((slot_of(table, keys[i]) - home_of(keys[i], last)) & last)
    return n_probes


def uints(values):
    return np.array(values, dtype=np.uint64)


# Keys that all start from the first or the last slot of a table of 16, so that searches run around its end.
_crowded = [key for key in range(2000) if int(home_of(np.uint64(key), np.uint64(15))) in (0, 15)][:24]
_pair_keys = st.tuples(st.integers(0, 5), st.integers(0, 5)).map(lambda pair: pair[0] << 32 | pair[1])
_any_keys = st.integers(0, 2**64 - 1)
_operations = st.sampled_from([st.sampled_from(_crowded), _pair_keys, _any_keys]).flatmap(
    lambda keys: st.lists(
        st.tuples(st.sampled_from([PUT] * 20 + [CLEAR]), keys, st.integers(0, 2**64 - 2)), max_size=80
    )
)


@given(_operations)
@some
def test_table__holds_what_a_dict_holds(operations):
    expected = {}
    for kind, key, value in operations:
        if kind == PUT:
            expected[key] = value
        else:
            expected.clear()
    kinds, keys, values = (uints([operation[i] for operation in operations]) for i in range(3))

    table = _replay(kinds, keys, values, 16)

    found, looked_up = _look_up(table, keys)
    assert found.tolist() == [key in expected for key in keys.tolist()]
    assert dict(zip(keys[found].tolist(), looked_up[found].tolist(), strict=True)) == expected
    taken = [slot for slot in np.arange(len(table)).astype(np.uint64) if not is_free(table, slot)]
    assert sorted(table[taken, 0].tolist()) == sorted(expected), "each key takes one slot"


@given(st.permutations(_crowded))
@some
def test_table__of_keys_with_one_home_finds_each(order):
    stored, others = uints(order[:8]), uints(order[8:])  # of 16 slots: long searches around the end
    table = _replay(uints([PUT] * 8), stored, stored, 16)
    assert _look_up(table, stored)[0].all()
    assert not _look_up(table, others)[0].any()


@pytest.mark.parametrize("capacity", [0, 1, 8, 9, 1000])
def test_new_table__has_room_and_is_empty(capacity):
    table = new_table(capacity)
    assert len(table) >= max(2 * capacity, 1)
    assert len(table) & (len(table) - 1) == 0, "a power of two"
    found, _ = _look_up(table, uints([0, 1, 2**32, 2**64 - 1]))
    assert not found.any()


# ----------------------------------------------------------------------------------- numbers of regions


@given(
    hnp.arrays(np.uint32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 40)),
    st.data(),
)
@some
def test_number_low_labels__gives_what_a_hash_table_gives(labels, data):
    keep = data.draw(st.sampled_from([np.empty((0, 0), dtype=bool), labels % 3 > 0, labels < 20]))
    background = data.draw(st.sampled_from([[], [0], [7], [2**31]]))
    starts = np.arange(len(labels)) * labels.shape[1]
    outs = [np.zeros(labels.size, dtype=np.int32) for _ in range(2)]
    given_to = [(labels, keep, np.array(background, dtype=np.uint32), out, starts) for out in outs]
    found = number_regions(*given_to[0]), number_low_labels(*given_to[1], int(labels.max()) + 1)
    assert_array_equal(*found)
    assert_array_equal(*outs)
    inside = outs[0] >= 0
    assert_array_equal(found[0][outs[0][inside]], labels.ravel()[inside])


def test_table__values_up_to_the_one_that_means_free_are_kept():
    keys = uints([7, 2**64 - 1])
    table = _replay(uints([PUT, PUT]), keys, uints([2**64 - 2, 0]), 16)
    assert_array_equal(_look_up(table, keys)[1], uints([2**64 - 2, 0]))


def test_table__finds_the_edges_of_a_grid_in_few_probes():
    side = 12
    numbers = np.arange(side**3).reshape(side, side, side)
    pairs = [
        np.stack([numbers[: side - a, : side - b, : side - c], numbers[a:, b:, c:]], axis=-1).reshape(-1, 2)
        for a, b, c in [(0, 0, 1), (0, 1, 0), (1, 0, 0)]
    ]
    u, v = np.concatenate(pairs).astype(np.uint64).T
    keys = (u << np.uint64(32)) | v
    table = _replay(np.zeros_like(keys), keys, keys, 2 * len(keys))
    assert _n_probes(table, keys).mean() < 3


# ----------------------------------------------------------------------------------------------- bags

_bags = st.lists(st.dictionaries(st.integers(0, 8), st.integers(1, 9).map(float), max_size=6), min_size=1, max_size=7)


def bags_of(contents):
    """Return dicts from labels to amounts as Bags."""
    head = np.full(len(contents), -1)
    pairs = [(n, label, amount) for n, bag in enumerate(contents) for label, amount in sorted(bag.items())]
    following = np.full(len(pairs), -1)
    for i in reversed(range(len(pairs))):
        following[i] = head[pairs[i][0]]
        head[pairs[i][0]] = i
    label = np.array([pair[1] for pair in pairs], dtype=np.int64)
    amount = np.array([pair[2] for pair in pairs], dtype=np.float64)
    return Bags(head, following, label, amount, np.array([float(sum(bag.values())) for bag in contents]))


def contents_of(bags):
    """Return Bags as lists of pairs of a label and its amount."""
    contents = []
    for start in bags.head.tolist():
        contents.append([])
        i = start
        while i >= 0:
            contents[-1].append((int(bags.label[i]), float(bags.amount[i])))
            i = int(bags.following[i])
            assert len(contents[-1]) <= len(bags.label), "a list without an end"
    return contents


@given(_bags, st.data())
@some
def test_bags__hold_what_dicts_hold_after_any_pours(contents, data):
    bags = bags_of(contents)
    places = st.integers(0, len(contents) - 1)
    pairs = data.draw(st.lists(st.tuples(places, places).filter(lambda pair: pair[0] != pair[1]), max_size=10))
    for target, source in pairs if len(contents) > 1 else []:
        pour(bags, target, source)
        for label, amount in contents[source].items():
            contents[target][label] = contents[target].get(label, 0) + amount
        contents[source] = {}
        assert contents_of(bags) == [sorted(bag.items()) for bag in contents]
        assert bags.total.tolist() == [sum(bag.values()) for bag in contents]


@given(_bags, st.data())
@some
def test_bags__have_a_common_label_if_their_label_sets_meet(contents, data):
    u, v = (data.draw(st.integers(0, len(contents) - 1)) for _ in range(2))
    assert have_common_label(bags_of(contents), u, v) == bool(contents[u].keys() & contents[v].keys())


@given(_bags)
@some
def test_bags__main_label_has_most_and_is_the_lowest_of_several(contents):
    bags = bags_of(contents)
    for u, bag in enumerate(contents):
        assert main_label(bags, u) == min(bag, key=lambda label: (-bag[label], label), default=-1)


# -------------------------------------------------------------------------------------------- threads


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_map_over_threads__keeps_the_order_of_the_pieces(n_threads):
    assert map_over_threads(lambda i: i * i, range(20), n_threads=n_threads) == [i * i for i in range(20)]
    assert map_over_threads(abs, [], n_threads=n_threads) == []


def test_map_over_threads__runs_pieces_at_the_same_time():
    both = threading.Barrier(2, timeout=30)  # breaks, and raises, unless two threads meet
    assert sorted(map_over_threads(lambda _: both.wait(), range(2), n_threads=2)) == [0, 1]


@pytest.mark.parametrize("n_threads", [1, 3])
def test_map_over_threads__raises_what_a_piece_raises(n_threads):
    with pytest.raises(ZeroDivisionError):
        map_over_threads(lambda i: 1 / i, [2, 1, 0], n_threads=n_threads)


def test_resolve_n_threads__asks_argument_then_environment_then_machine(monkeypatch):
    monkeypatch.setenv("GALA_NUM_THREADS", "3")
    assert resolve_n_threads(2) == 2
    assert resolve_n_threads() == 3
    monkeypatch.setenv("GALA_NUM_THREADS", "")
    assert resolve_n_threads() >= 1
    monkeypatch.delenv("GALA_NUM_THREADS")
    assert resolve_n_threads() >= 1


@pytest.mark.parametrize("wrong", [0, -1, 1.5, "many", np.nan])
def test_resolve_n_threads__names_the_source_of_a_wrong_number(wrong, monkeypatch):
    with pytest.raises(SettingError, match="n_threads must be a whole number, 1 or more"):
        resolve_n_threads(wrong)
    monkeypatch.setenv("GALA_NUM_THREADS", str(wrong))
    with pytest.raises(SettingError, match=f"variable GALA_NUM_THREADS must be .* got '{wrong}'"):
        resolve_n_threads()
