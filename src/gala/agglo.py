"""The historic interface: a graph that agglomerates itself, its policies, and how it learns.

Permanent, and thin: `Rag` is a running graph made from volumes, under the names that scripts have used since 2013.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from tqdm.auto import tqdm

from gala._types import Array, ArrayLike, Floats, Labels
from gala.classify import get_classifier
from gala.engine.learn import (
    Schedule,
    TrainingSet,
    check_truths,
    learn_agglomerate,
    learn_flat,
    truths_of,
)

# Written "x as x": the policies that scripts find here.
from gala.engine.policy import (
    Policy,
    approximate_boundary_mean as approximate_boundary_mean,
    as_policy,
    boundary_mean as boundary_mean,
    boundary_median as boundary_median,
    classifier_probability as classifier_probability,
    ordered_priority as ordered_priority,
    random_priority as random_priority,
)
from gala.engine.running import RunningGraph
from gala.engine.state import Constraints, overlap_bags
from gala.errors import FeatureError, SettingError, ShapeError
from gala.evaluate import split_vi
from gala.features.base import Declared, Null
from gala.graph.build import build_graph
from gala.graph.caches import Channels
from gala.graph.labels import as_labels
from gala.graph.tree import check_threshold
from gala.graph.volume import check_volume
from gala.graph.voxels import map_labels

History = tuple[list[tuple[int, int]], list[float], list[tuple[int, Floats]]]


class Rag(RunningGraph):
    """The region adjacency graph of a volume, which agglomerates itself.

    Regions go by their labels; a merge makes a new region, with a number above all labels. The border of the volume
    counts as a region too, number ``labels.max() + 1``, which touches every region there and never merges.

    Parameters
    ----------
    watershed : array of int, shape (M, ..., P), 1 to 4 dimensions
        The regions (superpixels), 0 included: any integers from 0 to 2**64 - 1, or whole floats.
    probabilities : array, shape (M, ..., P) or (M, ..., P, C), optional
        For example boundary probabilities; channels last.
    merge_priority_function : policy or function, optional
        ``f(graph, u, v)`` or ``f(graph, edges)``; the lowest priority merges first.
    gt_vol : array of int, shape (M, ..., P), optional
        The truth, for `split_vi` and `agglomerate` with history.
    feature_manager : feature manager, optional
        What is kept about regions and contacts.
    mask : array of bool, shape (M, ..., P), optional
        Voxels that are False belong to no region, and are 0 in segmentations.
    show_progress : bool, optional
        Show a progress bar while merging and learning.
    connectivity : int, optional
        Voxels are neighbours if they differ by 1 in at most this many coordinates.
    channel_is_oriented : sequence of bool, shape (C,), optional
        Channels that describe boundaries facing one way. Managers made with ``oriented=True`` see the largest of
        them in regions, and the one that `orientation_map` names in contacts; the others see the other channels.
    orientation_map : array of int, shape (M, ..., P), optional
        For each voxel, which of the oriented channels counts.
    normalize_probabilities : bool, optional
        Scale the probabilities to 0 to 1.
    exclusions : array of int, shape (M, ..., P), optional
        Two regions that hold the same label of this image, other than 0, never merge.
    isfrozennode, isfrozenedge : function, optional
        ``isfrozennode(graph, u)`` and ``isfrozenedge(graph, u, v)``, asked once: what they say yes to never merges.
    use_slow : bool, optional
        Accepted and ignored: contacts are always exact.
    update_unchanged_edges : bool, optional
        After a merge, give a new priority to all contacts of the new region, not only to those both parts had.
    background : int, optional
        The label that is no region.
    random_state : int or numpy.random.Generator, optional
        For policies that draw random numbers.
    n_threads : int, optional
        By default the environment variable GALA_NUM_THREADS, or else the number of cores.

    Raises
    ------
    ShapeError, LabelError, ImageError, SettingError, FeatureError
        See `gala.graph.build.build_graph`.

    Examples
    --------
    >>> g = Rag(np.array([1, 1, 2, 2, 3, 3]), np.array([0, 0.2, 0.3, 0, 1, 1]))
    >>> g.agglomerate(0.5)
    >>> g.get_segmentation()
    array([1, 1, 1, 1, 3, 3])
    """

    def __init__(
        self,
        watershed: ArrayLike,
        probabilities: ArrayLike | None = None,
        merge_priority_function: Policy | Callable[..., Any] = boundary_mean,
        gt_vol: ArrayLike | None = None,
        feature_manager: Null | None = None,
        mask: ArrayLike | None = None,
        show_progress: bool = False,
        connectivity: int = 1,
        channel_is_oriented: Sequence[bool] | None = None,
        orientation_map: ArrayLike | None = None,
        normalize_probabilities: bool = False,
        exclusions: ArrayLike | None = None,
        isfrozennode: Callable[[Any, int], Any] | None = None,
        isfrozenedge: Callable[[Any, int, int], Any] | None = None,
        use_slow: bool = True,  # noqa: ARG002  # scripts pass it; contacts are always exact
        update_unchanged_edges: bool = False,
        *,
        background: int | None = None,
        random_state: int | np.random.Generator | None = None,
        n_threads: int | None = None,
    ) -> None:
        features = Null() if feature_manager is None else feature_manager
        if not isinstance(features, Null):
            raise FeatureError(
                f"feature_manager must be one from gala.features, or derive from Null; got {features!r}."
            )
        policy = as_policy(merge_priority_function)
        image = None if probabilities is None or np.size(probabilities) == 0 else np.asarray(probabilities)
        check = partial(check_volume, watershed, connectivity=connectivity, mask=mask, background=background)
        given = check(image)
        image, channels = _oriented(given.image, channel_is_oriented, orientation_map)
        if normalize_probabilities:
            image = _normalized(image, given.mask)
        volume = check(image, channels=channels)
        kept = [
            leaf
            for m in (features, policy.needs, boundary_mean.needs)
            if m is not boundary_mean.needs or volume.channels.plain  # the mean is that of a plain channel
            for leaf in m.leaves()
            if isinstance(leaf, Declared)
        ]
        graph = build_graph(
            volume.labels,
            volume.image,
            kept,
            connectivity=connectivity,
            mask=volume.mask,
            background=background,
            channels=channels,
            n_threads=n_threads,
        )
        constraints = Constraints.none(graph)
        if exclusions is not None and np.size(exclusions):
            labels = _same_shape(exclusions, volume.labels, "exclusions")
            constraints = constraints._replace(exclusions=overlap_bags(graph, volume, labels, n_threads=n_threads))
        super().__init__(
            graph,
            policy,
            volume=volume,
            features=features,
            rescore="all" if update_unchanged_edges else "shared",
            constraints=constraints,
            random=np.random.default_rng(random_state),
            n_threads=n_threads,
        )
        top = int(graph.labels.max()) if graph.n_regions else 0
        self.border = top + 1
        fits = top + 1 + graph.n_regions < 2**63
        new_names = [top + 2 + k for k in range(max(graph.n_regions - 1, 0))]
        self.names = np.array([*graph.labels.tolist(), *new_names], dtype=np.int64 if fits else object)
        self.show_progress = show_progress
        self.gt: Labels | None = None
        if gt_vol is not None:
            self.set_ground_truth(gt_vol)
        if isfrozennode is not None:
            self.state.frozen_region[:] = [bool(isfrozennode(self, n)) for n in graph.labels.tolist()]
        if isfrozenedge is not None:
            self.state.frozen_contact[:] = [
                bool(isfrozenedge(self, u, v)) for u, v in graph.labels[graph.edges].tolist()
            ]

    # -- what it is made of --------------------------------------------------------------------------------------

    @property
    def boundary_body(self) -> int | None:
        """The number of the region beyond the border of the volume."""
        return self.border

    @property
    def watershed(self) -> Labels:
        """The regions that the graph was made from, shape (M, ..., P)."""
        return self._need_volume().labels

    @property
    def merge_priority_function(self) -> Policy:
        """The policy; to set another one is to score all edges again."""
        return self.policy

    @merge_priority_function.setter
    def merge_priority_function(self, function: Policy | Callable[..., Any]) -> None:
        self.policy = as_policy(function)
        self.rebuild_merge_queue()

    def real_edges(self) -> list[tuple[int, int]]:
        """Return the edges between regions, those to the border left out."""
        return [(u, v) for u, v in self.edge_names() if self.border not in (u, v)]

    def copy(self) -> Self:
        """Return a graph that goes on from here by itself."""
        return super().copy()  # type: ignore[return-value]  # a copy is of the same type

    # -- agglomeration -------------------------------------------------------------------------------------------

    def agglomerate(  # type: ignore[override]  # the historic signature
        self, threshold: float = 0.5, save_history: bool = False, *, max_merges: int | None = None
    ) -> History | None:
        """Merge while the lowest priority is below `threshold`.

        Parameters
        ----------
        threshold : float, optional
            Merges of just this priority are not made.
        save_history : bool, optional
            Return what was done.
        max_merges : int, optional
            Stop after so many merges.

        Returns
        -------
        history, scores, evaluation : only with `save_history`
            The pairs of regions merged and their priorities, and, if there is a truth, the number of regions and
            `split_vi` after each merge.

        Raises
        ------
        SettingError
            If `threshold` is NaN.
        PolicyError
            If a user's policy returns NaN; the merges made before stay.
        """
        before = self.n_merges
        if save_history and self.gt is not None:
            return self._with_evaluation(threshold, max_merges)
        self._merge_in_steps(threshold, max_merges)
        return self._history(before, []) if save_history else None

    def agglomerate_count(self, stepsize: int = 100, save_history: bool = False) -> History | None:
        """Merge `stepsize` times, or until nothing is left to merge; returns as `agglomerate` does."""
        if stepsize < 0:
            raise SettingError(f"stepsize must be 0 or more; got {stepsize}.")
        return self.agglomerate(np.inf, save_history, max_merges=stepsize)

    def merge_nodes(self, n1: int, n2: int, merge_priority: float = 0.0) -> int:
        """Merge two regions, whatever the policy says, and return the number of the new one.

        Raises
        ------
        LabelError
            If there never was such a region.
        KeyError
            If one of them is part of a larger one by now.
        """
        u, v = self.region_of(n1), self.region_of(n2)
        if u == v:
            raise SettingError(f"two different regions can be merged; got {n1} twice.")
        return self.merge_regions(u, v, float(merge_priority))

    def get_segmentation(self, threshold: float | None = None) -> Labels:
        """Return the label image of the regions as they are, or of merges of a height up to `threshold`.

        A segment has the smallest label of the regions in it, at every threshold. With a threshold, the graph is
        agglomerated further if that is needed, and finer segmentations than the present one can be had too.

        Returns
        -------
        segmentation : array of int, shape (M, ..., P)
            Of the type of the regions' labels; 0 where there is no region.
        """
        if threshold is not None:
            self.agglomerate(math.nextafter(check_threshold(threshold), math.inf))
        return self._paint(self.graph.labels, np.inf if threshold is None else threshold)

    # -- truth ---------------------------------------------------------------------------------------------------

    def set_ground_truth(self, gt: ArrayLike | None = None) -> None:
        """Keep `gt`, shape (M, ..., P), as the truth; None forgets it."""
        self.gt = None if gt is None else _same_shape(gt, self.watershed, "truth")

    def split_vi(self, gt: ArrayLike | None = None) -> Floats:
        """Return false merges and false splits, in bits, against `gt` or the truth set before; 0 is ignored."""
        truth = self.gt if gt is None else _same_shape(gt, self.watershed, "truth")
        if truth is None:
            raise SettingError("there is no truth to compare with; pass it, or call set_ground_truth first.")
        # Numbered from 1, since 0 is ignored, and may be the label of a region.
        return split_vi(self._paint(np.arange(self.graph.n_regions) + 1, np.inf), truth)

    def learn_flat(self, gts: ArrayLike | Sequence[ArrayLike], feature_map: Null) -> TrainingSet:
        """Return one example for each edge: features, labels, weights and pairs; see `learn_agglomerate`."""
        truths = truths_of(self, check_truths(gts, self._need_volume()))
        return learn_flat(self, truths, feature_map)

    def learn_agglomerate(
        self,
        gts: ArrayLike | Sequence[ArrayLike],
        feature_map: Null,
        min_num_samples: int = 1,
        learn_flat: bool = True,  # historic
        learning_mode: str = "strict",
        labeling_mode: str = "assignment",
        priority_mode: str = "active",
        memory: bool = True,
        unique: bool = True,
        random_state: int | np.random.Generator | None = None,
        max_num_epochs: int = 10,
        min_num_epochs: int = 2,
        max_num_samples: float = np.inf,
        classifier: str | Any = "random forest",
        active_function: Callable[[Null, Any], Any] = classifier_probability,
        mpf: Policy | Callable[..., Any] = boundary_mean,
    ) -> tuple[TrainingSet, list[TrainingSet]]:
        """Learn to agglomerate: collect examples of right and wrong merges over several epochs.

        Parameters
        ----------
        gts : array of int, shape (M, ..., P), or list of such
            The truth, or several; 0 is unknown.
        feature_map : feature manager
            What is computed about each pair. The graph must keep its caches.
        min_num_samples : int, optional
            Go on, after `min_num_epochs`, until there are more examples than this.
        learn_flat : bool, optional
            Begin with one example for each edge of the graph, without merging.
        learning_mode : {"strict", "loose", "permissive"}, optional
            Strict records merges that truth forbids, and does not make them; loose makes every merge; permissive
            makes those that truth allows or to which the policy gives less than 0.5.
        labeling_mode : {"assignment", "vi-sign", "rand-sign"}, optional
            The label to train on, and to obey: do both regions overlap most with one true object (ties to the lower
            label), does the merge lower the variation of information, does it raise the Rand index.
        priority_mode : {"active", "random", "mixed", "mean", "custom"}, optional
            The order of merges: by a classifier trained on the examples so far, random, these two in turn, by the
            boundary mean, or by `mpf`.
        memory : bool, optional
            Train on the examples of all epochs, not of the last one only.
        unique : bool, optional
            Drop examples with the features of an earlier one.
        random_state : int or numpy.random.Generator, optional
            The same number gives the same examples, byte for byte.
        max_num_epochs, min_num_epochs : int, optional
            How many epochs, the flat one included.
        max_num_samples : int, optional
            Train on a random choice of so many examples.
        classifier : str or estimator, optional
            A name for `gala.classify.get_classifier`, or an estimator of scikit-learn, which is cloned.
        active_function : function, optional
            Makes a policy of a feature map and a classifier.
        mpf : policy, optional
            For ``priority_mode="custom"``.

        Returns
        -------
        data, per_epoch : TrainingSet, list of TrainingSet
            Each unpacks as features, shape (S, F); labels, shape (S, 3), -1 merge and 1 don't, by the three labeling
            modes; changes of VI and Rand index, shape (S, 2); pairs of regions, shape (S, 2).

        Raises
        ------
        ShapeError, LabelError
            If a truth does not fit, or gives only one kind of example.
        SettingError
            If an option is out of range.

        Notes
        -----
        ``learning_mode="loose", labeling_mode="rand-sign", memory=False`` is LASH (Jain et al. 2011, Learning to
        agglomerate superpixel hierarchies, NIPS 24).

        References
        ----------
        Nunez-Iglesias et al. 2013, doi:10.1371/journal.pone.0071715.
        """
        schedule = Schedule(
            learn_flat=learn_flat,
            learning_mode=learning_mode,
            labeling_mode=labeling_mode,
            priority_mode=priority_mode,
            memory=memory,
            unique=unique,
            min_num_samples=min_num_samples,
            max_num_samples=max_num_samples,
            min_num_epochs=min_num_epochs,
            max_num_epochs=max_num_epochs,
        )
        random = np.random.default_rng(random_state)
        truths = truths_of(self, check_truths(gts, self._need_volume()))
        with tqdm(total=max_num_epochs, desc="learning", unit="epoch", disable=not self.show_progress) as bar:
            return learn_agglomerate(
                self,
                truths,
                feature_map,
                schedule=schedule,
                classifier=lambda: get_classifier(classifier, random_state=int(random.integers(2**31))),
                active_function=active_function,
                mpf=mpf,
                random=random,
                on_epoch=lambda *_: _advance(bar),
            )

    # -- private -------------------------------------------------------------------------------------------------

    def _paint(self, names: Labels, threshold: float) -> Labels:
        """Return the segments of a cut as an image, each by the name, shape (N,), of its lowest region."""
        volume = self._need_volume()
        return map_labels(
            volume.labels,
            self.graph.labels,
            names[self.tree.cut(threshold)],
            mask=volume.mask,
            background=volume.background,
            n_threads=self.n_threads,
        )

    def _merge_in_steps(self, threshold: float, max_merges: int | None) -> None:
        """Merge, all at once, or so many merges at a time that a progress bar moves."""
        if not self.show_progress:
            super().agglomerate(threshold, max_merges=max_merges)
            return
        limit = self.graph.n_regions - 1 - self.n_merges if max_merges is None else max_merges
        step = max(limit // 100, 1)
        with tqdm(total=limit, desc="merging", unit="merge") as bar:
            made = -1
            while made != 0 and bar.n < limit:
                before = self.n_merges
                super().agglomerate(threshold, max_merges=min(step, limit - int(bar.n)))
                made = self.n_merges - before
                bar.update(made)

    def _with_evaluation(self, threshold: float, max_merges: int | None) -> History:
        """Merge one pair at a time, and compare with the truth after each."""
        before, evaluation = self.n_merges, []
        limit = self.graph.n_regions if max_merges is None else max_merges
        while self.n_merges - before < limit:
            now = self.n_merges
            super().agglomerate(threshold, max_merges=1)
            if self.n_merges == now:
                break
            evaluation.append((self.graph.n_regions - self.n_merges, self.split_vi()))
        return self._history(before, evaluation)

    def _history(self, before: int, evaluation: list[tuple[int, Floats]]) -> History:
        tree = self.tree
        pairs = [(u, v) for u, v in self.names[tree.children[before:]].tolist()]
        return pairs, tree.priority[before:].tolist(), evaluation


def _advance(bar: Any) -> None:
    bar.update()


def _same_shape(array: ArrayLike, labels: Labels, name: str) -> Labels:
    found = as_labels(array, name)
    if found.shape != labels.shape:
        raise ShapeError(f"{name} must have the shape of the labels, {labels.shape}; got {found.shape}.")
    return found


def _normalized(image: Array, mask: Array | None) -> Array:
    """Return the image scaled to 0 to 1 within the mask, float32 or float64."""
    values = image.astype(np.result_type(image.dtype, np.float32), copy=False)
    kept = values if mask is None else values[mask]
    low, high = kept.min(initial=np.inf), kept.max(initial=-np.inf)
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _oriented(
    image: Array, channel_is_oriented: Sequence[bool] | None, orientation_map: ArrayLike | None
) -> tuple[Array, Channels | None]:
    """Return the image with what managers see of its oriented channels as two more, and which is which."""
    if channel_is_oriented is None:
        return image, None
    is_oriented = np.asarray(channel_is_oriented, dtype=np.bool_)
    n_oriented = int(is_oriented.sum())
    if is_oriented.shape != image.shape[-1:]:
        raise ShapeError(
            f"channel_is_oriented must say yes or no for each of {image.shape[-1]} channels; got {is_oriented.size}."
        )
    if n_oriented == 0:
        return image, None
    if orientation_map is None or np.size(orientation_map) == 0:
        chosen = np.zeros(image.shape[:-1], dtype=np.intp)
    else:
        chosen = _same_shape(orientation_map, image[..., 0], "orientation_map").astype(np.intp)
    if chosen.max() >= n_oriented:
        raise SettingError(
            f"orientation_map must name one of {n_oriented} oriented channels, from 0; got {chosen.max()}."
        )
    oriented = image[..., is_oriented]
    largest = oriented.max(axis=-1, keepdims=True)
    named = np.take_along_axis(oriented, chosen[..., np.newaxis], axis=-1)
    n_plain = image.shape[-1] - n_oriented
    together = np.concatenate([image[..., ~is_oriented], largest, named], axis=-1)
    return together, Channels(tuple(range(n_plain)), n_plain, n_plain + 1)
