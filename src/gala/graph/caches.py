"""Cache rows: what is kept about a set of voxels, so that the row of a union is the join of the rows.

``row(A ∪ B) == join(row(A), row(B))`` for disjoint A and B. Blocks of a volume, threads of a build, pieces of
a contact and the two sides of a merge all use this one law.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol

import numpy as np

from gala._kernels.rows import narrow_rows
from gala._types import Array, Floats, Ints


class Join(IntEnum):
    """How one column of two cache rows becomes one.

    A surface is a sum, but of two regions that merge it loses what their contact has in the column of the same name:
    that is inside now. A count is a sum of whole numbers.
    """

    SUM = 0
    MIN = 1
    MAX = 2
    SURFACE = 3
    COUNT = 4


_empty = {Join.SUM: 0.0, Join.MIN: np.inf, Join.MAX: -np.inf, Join.SURFACE: 0.0, Join.COUNT: 0.0}
_ufunc = {
    Join.SUM: np.add,
    Join.MIN: np.minimum,
    Join.MAX: np.maximum,
    Join.SURFACE: np.add,
    Join.COUNT: np.add,
}


@dataclass(frozen=True, slots=True)
class CacheSpec:
    """The columns of a cache, and how each is joined.

    A name says all about its column: two columns of one name hold the same numbers for the same voxels.

    Examples
    --------
    >>> spec = CacheSpec.sums("count", "sum") + CacheSpec(("peak",), (Join.MAX,))
    >>> spec.join([1, 0.5, 0.5], [2, 0.75, 0.5])
    array([3.  , 1.25, 0.5 ])
    """

    names: tuple[str, ...]
    joins: tuple[Join, ...]

    @classmethod
    def sums(cls, *names: str) -> CacheSpec:
        """Return columns that are all joined by addition."""
        return cls(names, (Join.SUM,) * len(names))

    @classmethod
    def counts(cls, *names: str) -> CacheSpec:
        """Return columns of whole numbers that are all joined by addition."""
        return cls(names, (Join.COUNT,) * len(names))

    @property
    def is_of_counts(self) -> bool:
        """Whether there is more than the number of voxels, and all of it is counted."""
        return len(self) > 1 and all(join is Join.COUNT for join in self.joins)

    @property
    def empty(self) -> Floats:
        """The row of no voxels, shape (C,): joining it changes nothing."""
        return np.array([_empty[join] for join in self.joins], dtype=float)

    def join(self, a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> Floats:
        """Join rows `a` and `b`, each of shape (..., C)."""
        left, right = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        out = np.empty(np.broadcast_shapes(left.shape, right.shape))
        for kind, ufunc in _ufunc.items():
            columns = np.array(self.joins, dtype=int) == kind
            out[..., columns] = ufunc(left[..., columns], right[..., columns])
        return out

    def find(self, other: CacheSpec) -> int | None:
        """Return the column at which those of `other` start in a row, or None if they are not all here."""
        width = len(other.names)
        starts = range(len(self.names) - width + 1)
        return next((s for s in starts if self.names[s : s + width] == other.names), None)

    def surfaces(self, other: CacheSpec) -> Ints:
        """Return the place of each surface in a row, and in rows with the columns of `other`, shape (K, 2)."""
        joins = enumerate(self.joins)
        pairs = [(i, other.names.index(self.names[i])) for i, join in joins if join is Join.SURFACE]
        return np.array(pairs, dtype=np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.names)

    def __add__(self, other: CacheSpec) -> CacheSpec:
        return CacheSpec(self.names + other.names, self.joins + other.joins)


def compact(spec: CacheSpec, rows: Array) -> Array:
    """Return rows, shape (R, C), that are counted alone as the narrowest of uint16 and uint32 that holds them all.

    What is in fewer bytes is as exact, and 256 bins of 786,799 contacts are 0.4 gigabytes in place of 1.6. Rows of
    other columns, and counts of 2**32 or more, are returned as they are.

    Examples
    --------
    >>> compact(CacheSpec.counts("count", "bin"), np.array([[3.0, 2.0]]))
    array([[3, 2]], dtype=uint16)
    """
    if not spec.is_of_counts or rows.dtype == np.uint16:
        return rows
    if rows.dtype == np.float64:
        out = np.empty(rows.shape, dtype=np.uint16)
        if narrow_rows(np.ascontiguousarray(rows), out):
            return out
    dtype = narrowest(rows.max(initial=0))
    return rows if dtype is None else rows.astype(dtype, copy=False)


def narrowest(highest: float) -> type[np.uint16] | type[np.uint32] | None:
    """Return the type that counts up to `highest` are kept in, or None if that is float64."""
    if highest < 2**16:
        return np.uint16
    return np.uint32 if highest < 2**32 else None


@dataclass(frozen=True, slots=True)
class Channels:
    """Which channels of an image mean what.

    An oriented channel describes boundaries that face one way; see `gala.agglo.Rag`. Of these, a manager sees
    one number per voxel: the largest in regions, the one that the orientation map names in contacts.
    """

    plain: tuple[int, ...]
    oriented_region: int | None = None
    oriented_contact: int | None = None
    extra: tuple[tuple[str, tuple[int, ...]], ...] = ()  # those of each extra image, by its name

    @classmethod
    def all_plain(cls, n_channels: int) -> Channels:
        """Return `n_channels` channels that know no orientation."""
        return cls(tuple(range(n_channels)))

    def with_extra(self, first: int, n_channels_of: Mapping[str, int]) -> Channels:
        """Add images of so many channels, by name, which follow each other from channel number `first` on.

        Examples
        --------
        >>> Channels.all_plain(1).with_extra(1, {"raw": 1, "flow": 2}).extra
        (('raw', (1,)), ('flow', (2, 3)))
        """
        ends = itertools.accumulate(n_channels_of.values(), initial=first)
        numbers = (tuple(range(*bounds)) for bounds in itertools.pairwise(ends))
        return replace(self, extra=self.extra + tuple(zip(n_channels_of, numbers, strict=True)))


@dataclass(frozen=True, slots=True)
class ImageKind:
    """What a feature manager must know of an image to lay out its columns."""

    channels: Channels
    ndim: int  # channels aside
    spacing: tuple[float, ...]  # (ndim,) size of a voxel along each axis, in physical units

    @classmethod
    def unit(cls, channels: Channels, ndim: int) -> ImageKind:
        """Return the kind of an image whose voxels have size 1 along each axis."""
        return cls(channels, ndim, (1.0,) * ndim)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a declared manager keeps, reads and writes, for images of a given kind.

    `gather`, `node`, `edge` and `difference` of the manager receive `params`; `node` writes as many numbers
    as there are `node_names`, and so on.
    """

    spec: CacheSpec
    params: Floats  # (P,)
    region_channels: tuple[int, ...]  # channels that `gather` reads for the voxels of a region
    contact_channels: tuple[int, ...]  # the same for a contact; as many
    node_names: tuple[str, ...]
    edge_names: tuple[str, ...]
    difference_names: tuple[str, ...]
    needs_coords: bool = False
    needs_faces: bool = False
    of_regions: bool = True  # whether rows of regions have these columns, as those of contacts do

    @property
    def region_spec(self) -> CacheSpec:
        """The columns of rows of regions: all of `spec`, or none."""
        return self.spec if self.of_regions else CacheSpec.sums()


RowKernel = Callable[[Floats, Floats, Floats, Floats, Floats], None]
GatherKernel = Callable[[Floats, Ints, Floats, Floats, Floats, Ints, int, Floats], None]


class Declaration(Protocol):
    """A feature manager that says what it keeps and computes, so that compiled loops can run it."""

    gather: GatherKernel
    node: RowKernel
    edge: RowKernel
    difference: RowKernel

    def layout(self, kind: ImageKind) -> Layout:
        """Return columns, parameters and names of outputs for this kind of image."""


def lay_out(
    leaves: Sequence[Declaration], kind: ImageKind, *, of_regions: bool = False
) -> tuple[CacheSpec, tuple[int | None, ...]]:
    """Return the columns that `leaves` need side by side in rows of contacts, or of regions, and where each gathers.

    Column 0 is the number of voxels. A leaf whose columns another one keeps, or that needs none, gathers
    nowhere: its place is None.
    """
    layouts = [leaf.layout(kind) for leaf in leaves]
    specs = [layout.region_spec if of_regions else layout.spec for layout in layouts]
    row = CacheSpec.counts("count")
    firsts: list[int | None] = [None] * len(specs)
    # The widest first, since narrow ones may be part of them. Those of contacts only come last: the others are in the
    # same place in rows of regions and of contacts.
    for i in sorted(range(len(specs)), key=lambda i: (not layouts[i].of_regions, -len(specs[i]))):
        if row.find(specs[i]) is None:
            firsts[i] = len(row)
            row += specs[i]
    return row, tuple(firsts)
