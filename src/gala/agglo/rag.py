"""The graph of a volume, which agglomerates itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial, reduce
from operator import and_
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from gala._types import ArrayLike, Bools, Floats, Labels
from gala.agglo.biology import Biology
from gala.agglo.editing import Editing
from gala.agglo.inputs import normalized, with_oriented
from gala.agglo.networks import Networks
from gala.engine.constrain import constrain
from gala.engine.policy import Policy, as_policy, boundary_mean
from gala.errors import FeatureError, SettingError
from gala.features.base import Declared, Null
from gala.graph.build import build_graph
from gala.graph.constraints import Constraints
from gala.graph.tree import check_threshold
from gala.graph.volume import check_volume

History = tuple[list[tuple[int, int]], list[float], list[tuple[int, Floats]]]


class Rag(Editing, Biology, Networks):
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
    constraints : Constraints, optional
        What must merge, and what must not, beside exclusions and what is frozen.
    background : int, optional
        The label that is no region.
    spacing : sequence of float, shape (ndim,), optional
        Size of a voxel along each axis, in physical units, for managers that measure lengths. By default 1.
    extra : dict of arrays by name, each of shape (M, ..., P) or (M, ..., P, C), optional
        Other images, such as ``{"raw": raw}``, for managers made with ``image="raw"``; the others do not see them.
    random_state : int or numpy.random.Generator, optional
        For policies that draw random numbers.
    n_threads : int, optional
        By default the environment variable GALA_NUM_THREADS, or else the number of cores.

    Raises
    ------
    ShapeError, LabelError, ImageError, SettingError, FeatureError
        See `gala.graph.build.build_graph`.
    ConstraintError
        If constraints contradict each other.

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
        constraints: Constraints | None = None,
        background: int | None = None,
        spacing: Sequence[float] | None = None,
        extra: Mapping[str, ArrayLike] | None = None,
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
        check = partial(
            check_volume, watershed, connectivity=connectivity, mask=mask, background=background, spacing=spacing
        )
        given = check(image)
        image, channels = with_oriented(given.image, channel_is_oriented, orientation_map)
        if normalize_probabilities:
            image = normalized(image, given.mask)
        volume = check(image, channels=channels, extra=extra)
        kept = [
            leaf
            for m in (features, policy.needs, boundary_mean.needs)
            if m is not boundary_mean.needs or volume.kind.channels.plain  # the mean is that of a plain channel
            for leaf in m.leaves()
            if isinstance(leaf, Declared)
        ]
        graph = build_graph(
            volume.labels,
            volume.image,
            kept,
            connectivity=connectivity,
            spacing=spacing,
            mask=volume.mask,
            background=background,
            channels=channels,
            extra=volume.extra,
            n_threads=n_threads,
        )
        super().__init__(
            graph,
            policy,
            volume=volume,
            features=features,
            rescore="all" if update_unchanged_edges else "shared",
            random=np.random.default_rng(random_state),
            n_threads=n_threads,
        )
        top = int(graph.labels.max()) if graph.n_regions else 0
        self.border = top + 1
        fits = top + 1 + graph.n_regions < 2**63
        new_names = [top + 2 + k for k in range(max(graph.n_regions - 1, 0))]
        self.names = np.array([*graph.labels.tolist(), *new_names], dtype=np.int64 if fits else object)
        self.show_progress = show_progress
        if gt_vol is not None:
            self.set_ground_truth(gt_vol)
        given_by = self._constraints_of(exclusions, isfrozennode, isfrozenedge)
        constrain(self, reduce(and_, given_by, Constraints() if constraints is None else constraints))

    # -- what it is made of --------------------------------------------------------------------------------------

    @property
    def boundary_body(self) -> int | None:
        """The number of the region beyond the border of the volume."""
        return self.border

    @property
    def merge_priority_function(self) -> Policy:
        """The policy; to set another one is to score all edges again."""
        return self.policy

    @merge_priority_function.setter
    def merge_priority_function(self, function: Policy | Callable[..., Any]) -> None:
        self.policy = as_policy(function)
        self.rebuild_merge_queue()

    def set_exclusions(self, exclusions: ArrayLike) -> None:
        """Never again merge regions that hold the same label, other than 0, of an image; merges made stay.

        Raises
        ------
        ShapeError, LabelError
            If the image does not fit, or holds what cannot be labels.
        ConstraintError
            If it contradicts other constraints.
        """
        for constraints in self._constraints_of(exclusions, None, None):
            self.follow(replace(self.tree, constraints=self.constraints & constraints))

    def real_edges(self) -> list[tuple[int, int]]:
        """Return the edges between regions, those to the border left out."""
        return [(u, v) for u, v in self.edge_names() if self.border not in (u, v)]

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
        return self.paint(self.graph.labels, np.inf if threshold is None else threshold)

    # -- private -------------------------------------------------------------------------------------------------

    def _constraints_of(
        self,
        exclusions: ArrayLike | None,
        isfrozennode: Callable[[Any, int], Any] | None,
        isfrozenedge: Callable[[Any, int, int], Any] | None,
    ) -> Iterator[Constraints]:
        """Yield the constraints in each of the historic arguments."""
        volume, labels = self._need_volume(), self.graph.labels
        if exclusions is not None and np.size(exclusions):
            yield Constraints.from_exclusions(
                volume.labels,
                exclusions,
                mask=volume.mask,
                background=volume.background,
                n_threads=self.n_threads,
            )
        if isfrozennode is not None:
            yield Constraints(frozen=labels[_each(isfrozennode(self, n) for n in labels.tolist())])
        if isfrozenedge is not None:
            pairs = labels[self.graph.edges]
            yield Constraints(cannot_link=pairs[_each(isfrozenedge(self, u, v) for u, v in pairs.tolist())])

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


def _each(answers: Iterable[Any]) -> Bools:
    return np.fromiter(map(bool, answers), dtype=np.bool_)
