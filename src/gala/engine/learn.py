"""Learning to agglomerate: examples from the decisions that an agglomeration meets, judged by truth.

Epoch 0 takes every contact of the graph. Each later epoch trains a policy on the examples so far, agglomerates to
the end with it, and takes every contact that was popped: the policy learns from the situations it brings about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from gala._kernels import heap, learning
from gala._kernels.containers import Bags, pour
from gala._kernels.learning import Examples, Truths
from gala._kernels.models import new_scratch
from gala._types import Array, ArrayLike, Classifier, Floats, Ints
from gala.classify.training import concatenate_data_elements, unique_learning_data_elements
from gala.engine.constrain import may_merge
from gala.engine.policy import as_policy, boundary_mean, classifier_probability, random_priority
from gala.engine.running import RunningGraph
from gala.engine.state import bags_of, chain, copy_arrays, live_contacts, live_regions
from gala.engine.truth import Truth
from gala.errors import LabelError, SettingError, ShapeError
from gala.features.base import Null
from gala.features.program import build_program, is_declared, output_names
from gala.graph.labels import as_labels
from gala.graph.volume import Volume

_MODES = {"strict": learning.STRICT, "loose": learning.LOOSE, "permissive": learning.PERMISSIVE}
_SCHEMES = {"assignment": 0, "vi-sign": 1, "rand-sign": 2}
_ORDERS = ("active", "random", "mixed", "mean", "custom")


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """S examples of decisions; unpacks as X, y, w, merges."""

    X: Floats  # (S, F) features
    y: Floats  # (S, 3) by assignment, VI sign and Rand sign: -1 merge, +1 don't
    w: Floats  # (S, 2) change of VI, bits, and of the Rand index if the regions lay in two true objects
    merges: Array  # (S, 2) the regions

    def __iter__(self) -> Iterator[Array]:
        return (getattr(self, field.name) for field in fields(self))

    def __getitem__(self, i: int) -> Array:
        return tuple(self)[i]

    def __len__(self) -> int:
        return len(fields(self))


@dataclass(frozen=True, slots=True)
class Schedule:
    """How an agglomeration is learned; see `gala.agglo.Rag.learn_agglomerate` for each setting."""

    learn_flat: bool = True
    learning_mode: str = "strict"
    labeling_mode: str = "assignment"
    priority_mode: str = "active"
    memory: bool = True
    unique: bool = True
    min_num_samples: int = 1
    max_num_samples: float = np.inf
    min_num_epochs: int = 2
    max_num_epochs: int = 10

    def __post_init__(self) -> None:
        for name, known in (
            ("learning_mode", _MODES),
            ("labeling_mode", _SCHEMES),
            ("priority_mode", _ORDERS),
        ):
            if getattr(self, name) not in known:
                raise SettingError(f"{name} must be one of {', '.join(known)}; got {getattr(self, name)!r}.")
        if not 1 <= self.min_num_epochs <= self.max_num_epochs:
            raise SettingError(
                "epochs must satisfy 1 <= min_num_epochs <= max_num_epochs; "
                f"got {self.min_num_epochs} and {self.max_num_epochs}."
            )
        if self.max_num_samples < 2:
            raise SettingError(f"max_num_samples must be 2 or more; got {self.max_num_samples}.")

    def labels_of(self, data: TrainingSet) -> Floats:
        """Return the labels to train on, shape (S,).

        Raises
        ------
        LabelError
            If all are the same.
        """
        labels = data.y[:, _SCHEMES[self.labeling_mode]]
        if len(np.unique(labels)) < 2:
            word = "merge" if (labels < 0).any() else "don't merge"
            which = f'all {len(labels)} examples say "{word}"' if len(labels) else "there are no examples"
            raise LabelError(
                f"{which}, so there is nothing to learn: the truth must have objects of several regions, and touching "
                "objects."
            )
        return labels


def check_truths(truths: ArrayLike | Sequence[ArrayLike], volume: Volume) -> list[Array]:
    """Return one or several truths as a list of label images that fit the volume."""
    shape = volume.labels.shape
    given: list[Any] = [truths]
    if isinstance(truths, (list, tuple)) and (not truths or np.ndim(truths[0]) == len(shape)):
        given = list(truths)
    found = [as_labels(truth, "truth") for truth in given]
    if not found:
        raise ShapeError("truth must be a label image, or a list of them; got an empty list.")
    for truth in found:
        if truth.shape != shape:
            raise ShapeError(f"truth must have the shape of the labels, {shape}; got {truth.shape}.")
        if not truth.any():
            raise LabelError("truth must label some voxels; it is 0, which means unknown, everywhere.")
    return found


def compared(g: RunningGraph, truths: Sequence[Array]) -> list[Truth]:
    """Return how the superpixels of `g` overlap with each truth."""
    if g.volume is None:
        raise SettingError("learning compares voxels; the graph must have its volume.")
    return [Truth.of(g, truth) for truth in truths]


def truths_of(g: RunningGraph, truths: Sequence[Array]) -> Truths:
    """Return how the regions of `g`, as they are now, overlap with each truth."""
    return of_regions(g, compared(g, truths))


def of_regions(g: RunningGraph, truths: Sequence[Truth]) -> Truths:
    """Return how the regions of `g`, as they are now, overlap with each truth, given how superpixels do."""
    # Superpixels are numbered in the order of their labels, as overlaps are.
    bags = [bags_of(g.graph.n_regions, one.superpixel, one.object_index, one.counts) for one in truths]
    shifts = np.cumsum([0, *[len(bag.label) for bag in bags]])
    shifted = [
        bag._replace(
            head=np.where(bag.head >= 0, bag.head + shift, -1),
            following=np.where(bag.following >= 0, bag.following + shift, -1),
        )
        for bag, shift in zip(bags, shifts, strict=False)
    ]
    together = Bags(*(np.concatenate(arrays) for arrays in zip(*shifted, strict=True)))
    totals = np.array([bag.total.sum() for bag in bags])
    for region in live_regions(g.state).tolist():
        for leaf in chain(g.state.next_leaf, region)[1:]:
            for first in range(0, len(together.head), g.graph.n_regions):
                pour(together, first + region, first + leaf)
    return Truths(together, totals, g.graph.n_regions, float(g.graph.sizes.sum()))


def learn_flat(g: RunningGraph, truths: Truths, feature_map: Null) -> TrainingSet:
    """Return an example for each contact of the graph, without merging."""
    contacts = live_contacts(g.state)
    X = g.describe(feature_map, contacts)
    examples = _room(len(contacts), X.shape[1], Schedule())
    learning.write_examples(g.state, truths, examples, contacts)
    examples.y[~may_merge(g, contacts)] = learning.KEEP_APART
    return TrainingSet(X, examples.y, examples.w, g.pairs_of(contacts))


def learn_epoch(g: RunningGraph, truths: Truths, feature_map: Null, schedule: Schedule) -> TrainingSet:
    """Agglomerate `g` to the end with its policy; return an example for each contact popped."""
    truths = truths._replace(overlaps=copy_arrays(truths.overlaps))
    g.priorities()
    heap.fill_heap(g.state, np.inf)
    compiled = g.policy.compiled(g.graph)
    if compiled is None or not is_declared(feature_map):
        return _learn_by_calls(g, truths, feature_map, schedule)
    graph = g.graph
    program = build_program(feature_map, graph.region_spec, graph.contact_spec, graph.kind)
    if program.reads_topology:
        g.keep_topology()
    n_features = len(output_names(feature_map, graph.kind))
    room = np.empty(compiled.n_features), new_scratch(compiled.model)
    examples = _room(2 * graph.n_regions + 16, n_features, schedule)
    status = -2
    while status == -2:
        status = learning.learn(
            g.state, compiled.program, compiled.model, program, truths, examples, g.rescore_all, *room
        )
        if status == -2:
            examples = _with_more_room(examples)
    g.follow_merges()
    g.check_priority(status)
    n = examples.counters[learning.FULL]
    return TrainingSet(examples.X[:n], examples.y[:n], examples.w[:n], g.names[examples.merges[:n]])


def learn_agglomerate(
    start: RunningGraph,
    truths: Truths,
    feature_map: Null,
    *,
    schedule: Schedule,
    classifier: Callable[[], Classifier],
    active_function: Callable[[Null, Classifier], Any] = classifier_probability,
    mpf: Any = boundary_mean,
    random: np.random.Generator,
    on_epoch: Callable[[int, TrainingSet], None] | None = None,
) -> tuple[TrainingSet, list[TrainingSet]]:
    """Return all examples, and those of each epoch.

    Parameters
    ----------
    start : RunningGraph
        Each epoch starts from a copy.
    truths : Truths
        See `truths_of`.
    feature_map : feature manager
        What a classifier is given about a pair.
    schedule : Schedule
        What each epoch does.
    classifier : function
        Makes a new classifier.
    active_function, mpf : optional
        Make the policy of active epochs from features and classifier; the policy of "custom" epochs.
    random : numpy.random.Generator
        For random priorities and for sampling.
    on_epoch : function, optional
        Called with the number and the examples of each epoch that has ended.

    Raises
    ------
    LabelError
        If all examples have one label, so that nothing can be learned.
    """
    epochs: list[TrainingSet] = []
    data = None
    for epoch in range(schedule.max_num_epochs):
        if data is not None and epoch >= schedule.min_num_epochs and len(data.X) > schedule.min_num_samples:
            break
        if epoch == 0 and schedule.learn_flat:
            epochs.append(learn_flat(start, truths, feature_map))
        else:
            g = start.copy()
            g.random = random
            g.policy = _policy_of(epoch, data, schedule, feature_map, classifier, active_function, mpf)
            g.rebuild_merge_queue()
            epochs.append(learn_epoch(g, truths, feature_map, schedule))
        seen = epochs if schedule.memory else epochs[-1:]
        gather = unique_learning_data_elements if schedule.unique else concatenate_data_elements
        data = _sample(TrainingSet(*gather([list(element) for element in seen])), schedule.max_num_samples, random)
        if on_epoch is not None:
            on_epoch(epoch, epochs[-1])
    if data is None:
        raise SettingError("max_num_epochs must be 1 or more.")
    return data, epochs


def _policy_of(
    epoch: int,
    data: TrainingSet | None,
    schedule: Schedule,
    feature_map: Null,
    classifier: Callable[[], Classifier],
    active_function: Callable[[Null, Classifier], Any],
    mpf: Any,
) -> Any:
    """Return the policy that an epoch agglomerates with."""
    mode = schedule.priority_mode
    if mode == "mean":
        return boundary_mean
    if mode == "custom":
        return as_policy(mpf)
    if data is None or mode == "random" or (mode == "mixed" and epoch % 2 == 0):
        return random_priority
    model = classifier()
    model.fit(data.X, schedule.labels_of(data))
    return as_policy(active_function(feature_map, model))


def _learn_by_calls(g: RunningGraph, truths: Truths, feature_map: Null, schedule: Schedule) -> TrainingSet:
    """Do what the compiled loop does, with features or a policy that must be called."""
    rows: list[Floats] = []
    pairs: list[Ints] = []
    parts: list[Examples] = []
    while (contact := heap.pop_edge(g.state, np.inf)) != heap.NOTHING:
        rows.append(g.describe(feature_map, np.array([contact]))[0])
        pairs.append(g.pairs_of(np.array([contact]))[0])
        example = _room(1, 0, schedule)
        learning.write_example(g.state, truths, example, contact)
        parts.append(example)
        if not learning.allows(example, 0, g.state.priority[contact]):
            g.state.priority[contact] = np.inf
            continue
        u, v = g.state.ends[contact].tolist()
        g.merge_contact(contact)
        keep, gone = (u, v) if g.state.node[u] >= 0 else (v, u)
        for number in range(len(truths.totals)):
            first = number * truths.n_regions
            pour(truths.overlaps, first + keep, first + gone)
    X = np.array(rows, dtype=np.float64) if rows else g.describe(feature_map, live_contacts(g.state)[:1])[:0]
    y = np.concatenate([example.y for example in parts] or [np.empty((0, 3))])
    w = np.concatenate([example.w for example in parts] or [np.empty((0, 2))])
    return TrainingSet(X, y, w, np.array(pairs).reshape(-1, 2))


def _room(n: int, n_features: int, schedule: Schedule) -> Examples:
    return Examples(
        X=np.empty((n, n_features)),
        y=np.empty((n, 3)),
        w=np.empty((n, 2)),
        merges=np.empty((n, 2), dtype=np.int64),
        counters=np.array([0, -1]),
        mode=_MODES[schedule.learning_mode],
        scheme=_SCHEMES[schedule.labeling_mode],
    )


def _with_more_room(examples: Examples) -> Examples:
    arrays = (examples.X, examples.y, examples.w, examples.merges)
    X, y, w, merges = (np.concatenate([array, np.empty_like(array)]) for array in arrays)
    return examples._replace(X=X, y=y, w=w, merges=merges)


def _sample(data: TrainingSet, max_num_samples: float, random: np.random.Generator) -> TrainingSet:
    """Return at most `max_num_samples` examples of `data`, in their order."""
    if len(data.X) <= max_num_samples:
        return data
    chosen = np.sort(random.choice(len(data.X), int(max_num_samples), replace=False))
    return replace(data, **{field.name: getattr(data, field.name)[chosen] for field in fields(data)})
