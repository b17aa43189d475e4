"""Policies written as row kernels, of gala or of a user, which run inside the compiled loop."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from gala._kernels import loop, topology
from gala._kernels.jit import joined_kernels, row_kernels, user_row_kernel
from gala._kernels.models import identity
from gala._kernels.program import Part, Program
from gala._types import Array, ArrayLike, Floats
from gala.engine.policy.base import CallablePolicy, Compiled, Policy, as_policy
from gala.errors import FeatureError, PolicyError, SettingError
from gala.features.base import Composite, Null
from gala.graph.caches import CacheSpec, RowKernel
from gala.graph.regions import RegionGraph

if TYPE_CHECKING:
    from gala.engine.running import RunningGraph

Numbers = Sequence[float] | Callable[[RegionGraph], Sequence[float]]
_ARGUMENTS = "(params, u, v, edge, out)"
_TO_THE_END = np.iinfo(np.int32).max  # a slice up to here is a whole row
# Columns that the engine adds to rows, counted from the end: those of regions, and the last of contacts.
_TOPOLOGY = {
    "degree": topology.DEGREE - topology.REGION_FIRST,
    "all contacts": topology.TOTAL - topology.REGION_FIRST,
    "largest contact": topology.LARGEST - topology.REGION_FIRST,
    "common neighbours": topology.COMMON - topology.N_CONTACT_COLUMNS,
}
_OF_THE_ENGINE = {"border": -topology.BORDER, **_TOPOLOGY}


class RowPolicy(CallablePolicy):
    """A policy written as one row kernel, which writes a priority to ``out[0]``.

    With `after`, the kernel rewrites the priority that this policy has written there; such policies can be put around
    each other. See `row_policy` for what the kernel receives.
    """

    def __init__(
        self,
        name: str,
        kernel: RowKernel,
        needs: Null,
        columns: Sequence[str] = (),
        *,
        numbers: Numbers = (),
        after: Policy | None = None,
        linkage: str | None = None,
    ) -> None:
        self.name = name
        self.kernel = kernel
        self.own_needs = needs
        self.needs = needs if after is None else Composite([after.needs, needs])
        self.columns = tuple(columns)
        self.numbers = numbers
        self.after = after
        self.linkage = linkage
        self.make: Callable[..., RowPolicy] | None = None  # set by `adjustable`

    @overload
    def __call__(self, g: RunningGraph, edges: ArrayLike, /) -> Floats: ...

    @overload
    def __call__(self, g: RunningGraph, u: int, v: int, /) -> float: ...

    @overload
    def __call__(self, /, **settings: Any) -> RowPolicy: ...

    def __call__(self, g: RunningGraph | None = None, where: Any = (), v: int | None = None, /, **settings: Any) -> Any:
        """Return the priority of each edge in an array of shape (B, 2), or that of merging two regions.

        With settings alone, return the policy that has them, such as ``boundary_mean(channel=1)``.
        """
        policy = self.with_settings(**settings) if settings else self
        return policy if g is None else CallablePolicy.__call__(policy, g, where, v)  # type: ignore[arg-type]  # either

    def __repr__(self) -> str:
        return f"<policy {self.name}>" if self.after is None else f"<policy {self.name} after {self.after!r}>"

    def compiled(self, graph: RegionGraph) -> Compiled | None:
        """Return the policy laid flat for `graph`, or None if the one before it must be called."""
        if self.after is None:
            return Compiled(self._added(_nothing(), "steps", graph), identity(), 1)
        before = self.after.compiled(graph)
        return before and before._replace(program=self._added(before.program, "finish", graph))

    def prepared(self, graph: RegionGraph, *, n_threads: int | None = None) -> RegionGraph:
        """Return `graph` with what the policy before this one must know before the first merge."""
        return graph if self.after is None else self.after.prepared(graph, n_threads=n_threads)

    def with_settings(self, **settings: Any) -> RowPolicy:
        """Return the policy that differs from the default one in the settings given.

        Raises
        ------
        SettingError
            If it has no such setting, or a value is out of range.
        """
        known = [] if self.make is None else list(inspect.signature(self.make).parameters)
        unknown = [name for name in settings if name not in known]
        if self.make is None or unknown:
            has = f"the settings {', '.join(known)}" if known else "no settings"
            raise SettingError(f"policy {self.name} has {has}; got {', '.join(unknown)}.")
        return adjustable(self.name.partition("(")[0], self.make, **settings)

    def _priorities(self, g: RunningGraph, edges: Array) -> Floats:
        contacts = g.find_contacts(edges)
        compiled = self.compiled(g.graph)
        if compiled is not None:
            return g.score(compiled, contacts)
        assert self.after is not None  # or it would be compiled
        priorities = np.array(self.after(g, edges), dtype=np.float64)
        program = self._added(_nothing(), "finish", g.graph)
        if program.reads_topology:
            g.keep_topology()
        loop.finish_edges(g.state, program, contacts, priorities)
        return priorities

    def _added(self, program: Program, kind: str, graph: RegionGraph) -> Program:
        """Return `program` with a step of this kind, "steps" or "finish", that runs the kernel on whole rows."""
        numbers = self.numbers(graph) if callable(self.numbers) else self.numbers
        params = np.array([*(self._place(name, graph) for name in self.columns), *numbers], dtype=np.float64)
        n = len(program.params)
        step = [len(program.kernels), Part.CONTACT, 0, _TO_THE_END, 0, _TO_THE_END, 0, 1, n, n + len(params)]
        steps = np.vstack([getattr(program, kind), np.array(step, dtype=np.int64)])
        program = program._replace(
            kernels=joined_kernels(program.kernels, row_kernels([self.kernel])),
            params=np.concatenate([program.params, params]),
            reads_topology=program.reads_topology or any(name in _TOPOLOGY for name in self.columns),
        )
        return program._replace(steps=steps) if kind == "steps" else program._replace(finish=steps)

    def _place(self, name: str, graph: RegionGraph) -> int:
        """Return where column `name` is in the rows of regions, of contacts or both."""
        if name in _OF_THE_ENGINE:
            return _OF_THE_ENGINE[name]
        column = CacheSpec.sums(name)
        found = [spec.find(column) for spec in (graph.region_spec, graph.contact_spec)]
        places = {place for place in found if place is not None}
        if len(places) > 1:
            raise FeatureError(f"the graph keeps {name} in one place for regions and in another for contacts.")
        if places:
            return places.pop()
        raise FeatureError(
            f"policy {self.name} needs the columns {', '.join(self.columns)}, and the graph keeps "
            f"{', '.join(graph.contact_spec.names)}. Build the graph with {self.name}.needs among its features."
        )


def _nothing() -> Program:
    """Return the program that does nothing."""
    return Program(row_kernels([]), np.empty((0, 10), dtype=np.int64), np.empty(0))


def adjustable(name: str, make: Callable[..., RowPolicy], **settings: Any) -> RowPolicy:
    """Return the policy that `make` makes; called with other settings of `make`, it returns the one that has them."""
    policy = make(**settings)
    given = ", ".join(f"{key}={value!r}" for key, value in settings.items())
    policy.name = f"{name}({given})" if given else name
    policy.make = make
    policy.__doc__ = make.__doc__
    return policy


def row_policy(
    kernel: Callable[..., None],
    *,
    needs: Null | None = None,
    columns: Sequence[str] = (),
    numbers: Numbers = (),
    after: Policy | Callable[..., Any] | None = None,
) -> RowPolicy:
    """Return the policy that a row kernel of yours computes; it runs inside the compiled loop.

    Parameters
    ----------
    kernel : function
        ``kernel(params, u, v, edge, out)`` writes a priority to ``out[0]``, float64: the lowest merges first, infinity
        never. Compiled by ``numba.njit``, or a plain function of what Numba can compile. All five are float64 arrays
        of one dimension: `params` are the positions of `columns`, then `numbers`; `u`, `v` and `edge` are the whole
        cache rows of the smaller region, of the larger one (of one size: the lower node first) and of their contact.
        Column 0 is the number of voxels.
    needs : feature manager, optional
        Keeps the columns; the graph must be built with it. `gala.agglo.Rag` does so by itself.
    columns : sequence of str, optional
        Names of columns, such as "p1[0]", the sum of channel 0; ``graph.contact_spec.names`` lists those of a graph.
        The engine adds some, counted from the end: of regions "border", the voxels at the border of the volume,
        "degree", the number of neighbours, and the voxels of "all contacts" and of the "largest contact", the border
        being a neighbour; of contacts "common neighbours", their number.
    numbers : sequence of float, or function of the graph that returns one, optional
        Whatever else the kernel needs.
    after : policy or function, optional
        Another policy, whose priority ``out[0]`` is when the kernel starts, so that it can rewrite it. Where that is
        NaN the kernel does not run.

    Raises
    ------
    PolicyError
        If the kernel does not take five arguments, returns a value, or does not compile for these types.
    FeatureError
        When it is used, if the graph does not keep the columns.

    Notes
    -----
    A kernel must not read or write beyond the end of a row: nobody checks.

    Examples
    --------
    >>> from gala.agglo import Rag
    >>> def size_difference(params, u, v, edge, out):
    ...     out[0] = v[0] - u[0]
    >>> g = Rag(np.array([1, 1, 2, 3, 3, 3, 4, 4]), None, row_policy(size_difference))
    >>> g.agglomerate(1)
    >>> g.get_segmentation()
    array([1, 1, 2, 3, 3, 3, 4, 4])
    >>> g.agglomerate(1.5)
    >>> g.get_segmentation()
    array([1, 1, 1, 3, 3, 3, 3, 3])
    """
    name = getattr(kernel, "__name__", repr(kernel))
    manager = Null() if needs is None else needs
    if not isinstance(manager, Null):
        raise PolicyError(f"needs must be a feature manager from gala.features; got {needs!r}.")
    if isinstance(columns, str) or not all(isinstance(column, str) for column in columns):
        raise PolicyError(f"columns must be a list of names; got {columns!r}.")
    if not callable(numbers):
        numbers = _checked_numbers(numbers)
    before = None if after is None else as_policy(after)
    return RowPolicy(name, checked_kernel(kernel, name), manager, columns, numbers=numbers, after=before)


def _checked_numbers(numbers: Any) -> list[float]:
    try:
        return [float(number) for number in numbers]
    except (TypeError, ValueError):
        raise PolicyError(f"numbers must be a list of numbers, or a function of the graph; got {numbers!r}.") from None


def checked_kernel(kernel: Any, name: str) -> RowKernel:
    """Return a user's row kernel, compiled.

    Raises
    ------
    PolicyError
        If it is not one.
    """
    try:
        taken = inspect.signature(kernel).parameters.values()
    except (TypeError, ValueError):  # it cannot be called, or does not tell how
        raise PolicyError(f"a row kernel must be a function of {_ARGUMENTS}; got {kernel!r}.") from None
    by_place = [p for p in taken if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(by_place) != 5 or len(taken) != 5:
        names = ", ".join(str(p) for p in taken)
        raise PolicyError(f"a row kernel must take the five arguments {_ARGUMENTS}; {name} takes ({names}).")
    try:
        compiled: RowKernel = user_row_kernel(kernel)
    except Exception as error:  # Numba raises many kinds
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in lines if not line.startswith("Failed in ")), type(error).__name__)
        raise PolicyError(
            f"row kernel {name} must compile for five float64 arrays, {_ARGUMENTS}, and return nothing; Numba says: "
            f"{reason}"
        ) from error
    return compiled
