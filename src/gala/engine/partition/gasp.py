"""Agglomeration of signed graphs, in the engine: the strongest edge first, until nothing attracts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gala._kernels import heap, signed
from gala._kernels.jit import row_kernel
from gala._kernels.models import new_scratch
from gala._types import ArrayLike, Floats
from gala.engine.agglomerate import agglomerate
from gala.engine.partition.costs import checked_weights
from gala.engine.partition.result import Partition, energy_of
from gala.engine.policy import RowPolicy, boundary_max, boundary_mean, boundary_min, boundary_sum
from gala.engine.running import RunningGraph
from gala.errors import SettingError
from gala.features.base import Null
from gala.graph.caches import CacheSpec, Join
from gala.graph.constraints import Constraints
from gala.graph.regions import RegionGraph
from gala.graph.tree import MergeTree

_JOINS = {"p0": Join.SUM, "p1[0]": Join.SUM, "min[0]": Join.MIN, "max[0]": Join.MAX}


@row_kernel
def _write_strongest(params: Floats, u: Floats, v: Floats, edge: Floats, out: Floats) -> None:
    """Write the column, of two, that is farther from 0; the first if neither is."""
    low, high = edge[int(params[0])], edge[int(params[1])]
    out[0] = low if -low >= high else high


# Of minus the weights, so that the lowest merges first: the highest weight is the lowest of these.
LINKAGES = {
    "mean": boundary_mean,
    "sum": boundary_sum,
    "max": boundary_min,
    "min": boundary_max,
    "abs-max": RowPolicy("strongest", _write_strongest, Null(), ("min[0]", "max[0]")),
}


def gasp(
    graph: RegionGraph,
    weights: ArrayLike,
    linkage: str = "mean",
    *,
    sizes: ArrayLike | None = None,
    cannot_link: bool = False,
    constraints: Constraints | None = None,
    n_threads: int | None = None,
) -> Partition:
    """Merge the regions that attract each other most, until none do.

    Parameters
    ----------
    graph : RegionGraph
        Its regions and contacts; what it keeps about them is not read.
    weights : array of float, shape (E,)
        Of each contact: positive if its regions attract each other, negative if they repel. See
        `gala.engine.partition.signed` and `log_odds`.
    linkage : {"mean", "sum", "max", "min", "abs-max"}, optional
        The weight of two contacts that become one: their mean, weighted by their sizes, their sum, the higher or the
        lower, or the one farther from 0.
    sizes : array of int, shape (E,), optional
        Weights of the mean; by default the sizes of the contacts.
    cannot_link : bool, optional
        Whether to take repulsive contacts too, in the order of their strength: the two regions, and what they merge
        with, stay apart from then on.
    constraints : Constraints, optional
        What must merge, and what must not, whatever the weights.
    n_threads : int, optional
        Never changes the result.

    Returns
    -------
    partition : Partition
        With its merge tree; priorities are minus the weights at which regions merged, so that
        ``tree.cut(-w)`` stops at weight w. Its energy is the sum of the weights of the contacts that are cut.

    Raises
    ------
    SettingError
        If there is no such linkage, or weights are not finite.
    ShapeError
        If there is not one weight, and one size, for each contact.
    LabelError
        If constraints name superpixels that the graph does not have.

    Notes
    -----
    Of contacts equally strong, the one of the lowest regions comes first. Contacts of weight 0 do nothing. With
    "sum" this is greedy additive edge contraction, or with `cannot_link` greedy fixation; with "abs-max" it is the
    mutex watershed, with and without `cannot_link`; "max" without it gives the components that attraction connects.

    References
    ----------
    Bailoni et al. 2022, GASP, a generalized framework for agglomerative clustering of signed graphs, arXiv:1906.11713.

    Examples
    --------
    >>> from gala.graph.build import build_graph
    >>> graph = build_graph([[1, 1, 2], [3, 3, 3]])
    >>> found = gasp(graph, [0.5, -0.75, 0.25], "sum")
    >>> found.labels.tolist(), found.tree.priority.tolist(), found.energy
    ([1, 1, 3], [-0.5], -0.5)
    """
    if linkage not in LINKAGES:
        raise SettingError(f"linkage must be one of {', '.join(LINKAGES)}; got {linkage!r}.")
    known = checked_weights(len(graph.edges), weights)
    size = graph.contact_cache[:, 0] if sizes is None else checked_weights(len(graph.edges), sizes, "sizes")
    if (size <= 0).any():
        raise SettingError("sizes must be above 0; got 0 or less.")
    of_weights = _with_weights(graph, known, size, linkage)
    if cannot_link:
        tree = _keep_apart(of_weights, LINKAGES[linkage], constraints, n_threads)
    else:
        tree = agglomerate(of_weights, LINKAGES[linkage], 0.0, constraints=constraints, n_threads=n_threads)
    segments = tree.cut()
    return Partition(graph.labels, graph.labels[segments], tree, energy_of(graph.edges, known, segments))


def _with_weights(graph: RegionGraph, weights: Floats, sizes: Floats, linkage: str) -> RegionGraph:
    """Return the graph that keeps minus the weights in place of the image's values."""
    names = LINKAGES[linkage].columns
    columns = [sizes if name == "p0" else -weights * sizes if linkage == "mean" else -weights for name in names]
    return replace(
        graph,
        region_spec=CacheSpec.counts("count"),
        region_cache=graph.region_cache[:, :1],
        contact_spec=CacheSpec(("count", *names), (Join.COUNT, *(_JOINS[name] for name in names))),
        contact_cache=np.column_stack([graph.contact_cache[:, 0], *columns]),
    )


def _keep_apart(
    graph: RegionGraph, linkage: RowPolicy, constraints: Constraints | None, n_threads: int | None
) -> MergeTree:
    """Return the tree of merges made while repulsive contacts keep regions apart, all in the order of strength."""
    running = RunningGraph(graph, linkage, constraints=constraints, n_threads=n_threads)
    running.priorities()
    np.negative(np.abs(running.state.priority), out=running.state.priority)
    heap.fill_heap(running.state, 0.0)
    compiled = linkage.compiled(graph)
    assert compiled is not None  # no policy comes before these
    room = np.empty(compiled.n_features), new_scratch(compiled.model)
    running.check_priority(signed.agglomerate_signed(running.state, compiled.program, compiled.model, *room))
    running.follow_merges()
    return running.tree
