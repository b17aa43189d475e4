"""Constraints: what must merge, and what must never, as data about superpixels.

They name superpixels by their labels, so they know no graph: one object serves a graph, its copies and its trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gala import _files
from gala._types import Array, ArrayLike, Bools, Ints, Labels
from gala.errors import ConstraintError, LabelError, ShapeError
from gala.graph.labels import as_labels
from gala.graph.overlaps import Overlaps, volume_overlaps
from gala.graph.regions import RegionGraph
from gala.graph.violations import Parts, Violation, incompatible, listed, sharing_a_mark
from gala.graph.volume import check_volume

FORMAT = 2  # of merge trees too, which are saved with their constraints; 1 had none
_OF_LABELS = ("must_link", "cannot_link", "frozen")  # fields that hold nothing else
_MOST_CLASSES = 62  # as many as there are bits in the engine's masks, less two of its own


def _nothing() -> Labels:
    return np.empty(0, dtype=np.uint64)


@dataclass(frozen=True, eq=False)
class Constraints:
    """What a segmentation of superpixels must obey. All labels are those of superpixels, kept as uint64.

    Rows come in any order; they are kept sorted, each once, so that constraints that say the same are equal.

    Parameters
    ----------
    must_link, cannot_link : array of int, shape (M, 2) and (L, 2), optional
        Pairs that are in one segment of every cut, and pairs that are in none. They need not touch.
    frozen : array of int, shape (F,), optional
        Superpixels that stay alone.
    exclusions : array of int, shape (X, 2), optional
        Superpixels and a mark of each; one may have several. No two that share a mark are in one segment. Marks are
        renumbered from 1: they only tell who is with whom.
    classes : array of int, shape (C, 2), optional
        Superpixels and the class of each, from 1 to 62. Those without one, or with 0, may merge with all.
    compatible : array of bool, shape (K, K), optional
        Whether superpixels of class i and class j may share a segment. By default only those of one class may.

    Raises
    ------
    ConstraintError
        If must_link contradicts the others, also through chains of pairs; if a superpixel is paired with itself or
        has two classes; if classes are out of range or `compatible` is not symmetric.
    ShapeError, LabelError
        If an array has another shape, or holds what cannot be labels.

    Notes
    -----
    Classes are inherited: what an axon merges with is axon from then on. The engine obeys at the cost of a bit mask
    for each region and a flag for each contact; exclusions, and pairs of `cannot_link` that do not touch, are lists
    that are walked at each merge.

    Examples
    --------
    >>> Constraints(must_link=[(5, 3)]).must_link.tolist()
    [[3, 5]]
    >>> Constraints(must_link=[(1, 2), (2, 3)], cannot_link=[(1, 3)])
    Traceback (most recent call last):
    gala.errors.ConstraintError: must_link joins superpixels that must stay apart: 1 and 3 (cannot_link). ...
    """

    must_link: Labels = field(default_factory=_nothing)
    cannot_link: Labels = field(default_factory=_nothing)
    frozen: Labels = field(default_factory=_nothing)
    exclusions: Labels = field(default_factory=_nothing)
    classes: Labels = field(default_factory=_nothing)
    compatible: Bools = field(default_factory=lambda: np.empty((0, 0), dtype=np.bool_))

    def __post_init__(self) -> None:
        classes = _classes(self.classes)
        made = {
            "must_link": _pairs(self.must_link, "must_link"),
            "cannot_link": _pairs(self.cannot_link, "cannot_link"),
            "frozen": _frozen(self.frozen),
            "exclusions": _numbered(_rows(self.exclusions, "exclusions")),
            "classes": classes,
            "compatible": _matrix(self.compatible, classes),
        }
        for name, array in made.items():
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        wrong = self.violations(*self.linked())
        if wrong:
            raise ConstraintError(
                f"must_link joins superpixels that must stay apart: {listed(wrong)}. "
                "Remove these constraints, or pairs that lead from one to the other."
            )

    @classmethod
    def from_exclusions(
        cls,
        labels: ArrayLike,
        exclusions: ArrayLike,
        *,
        mask: ArrayLike | None = None,
        background: int | None = None,
        n_threads: int | None = None,
    ) -> Constraints:
        """Return the constraint that superpixels which hold the same label of `exclusions`, not 0, stay apart.

        Parameters
        ----------
        labels, exclusions : array of int, shape (M, ..., P)
            The superpixels, and an image whose labels, other than 0, each mark superpixels of different objects.
        mask, background, n_threads : optional
            As in `gala.graph.build.build_graph`.

        Raises
        ------
        ShapeError, LabelError
            If the images do not fit each other, or hold what cannot be labels.

        Examples
        --------
        >>> Constraints.from_exclusions([1, 1, 2, 2, 3], [0, 9, 9, 0, 0]).exclusions.tolist()
        [[1, 1], [2, 1]]
        """
        found = _shared(labels, exclusions, "exclusions", mask, background, n_threads)
        return cls(exclusions=_columns(found.seg_labels[found.seg_index], found.truth_labels[found.truth_index]))

    @classmethod
    def from_classes(
        cls,
        labels: ArrayLike,
        classes: ArrayLike,
        *,
        compatible: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        background: int | None = None,
        n_threads: int | None = None,
    ) -> Constraints:
        """Return the constraint that each superpixel has the class of most of its voxels.

        Parameters
        ----------
        labels, classes : array of int, shape (M, ..., P)
            The superpixels, and an image of classes from 1 to 62, or 0 where none is known. Of several classes with
            most voxels the lowest is taken, 0 included.
        compatible : array of bool, shape (K, K), optional
            See the class.
        mask, background, n_threads : optional
            As in `gala.graph.build.build_graph`.

        Raises
        ------
        ShapeError, LabelError, ConstraintError
            If the images do not fit each other, or classes are out of range.

        Examples
        --------
        >>> Constraints.from_classes([1, 1, 1, 2, 2], [3, 3, 0, 0, 0]).classes.tolist()
        [[1, 3]]
        """
        found = _shared(labels, classes, "classes", mask, background, n_threads)
        order = np.lexsort((found.truth_index, -found.counts, found.seg_index))
        _, first = np.unique(found.seg_index[order], return_index=True)
        rows = _columns(found.seg_labels, found.truth_labels[found.truth_index[order[first]]])
        return cls(classes=rows) if compatible is None else cls(classes=rows, compatible=np.asarray(compatible))

    def __and__(self, other: Constraints) -> Constraints:
        """Return constraints that allow only what both allow.

        Marks of exclusions are taken as unrelated, numbers of classes as the same.

        Raises
        ------
        ConstraintError
            If the two contradict each other, or have classes and do not agree on which are compatible.

        Examples
        --------
        >>> both = Constraints(frozen=[7]) & Constraints(must_link=[(1, 2)])
        >>> both.frozen.tolist(), both.must_link.tolist()
        ([7], [[1, 2]])
        """
        marked = other.exclusions.copy()
        marked[:, 1] += self.exclusions[:, 1].max(initial=0)
        return Constraints(
            must_link=np.concatenate([self.must_link, other.must_link]),
            cannot_link=np.concatenate([self.cannot_link, other.cannot_link]),
            frozen=np.concatenate([self.frozen, other.frozen]),
            exclusions=np.concatenate([self.exclusions, marked]),
            classes=np.concatenate([self.classes, other.classes]),
            compatible=_common_matrix(self, other),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constraints):
            return NotImplemented
        return all(np.array_equal(array, other.to_arrays()[name]) for name, array in self.to_arrays().items())

    def linked(self) -> tuple[Labels, Ints]:
        """Return the superpixels that `must_link` names, increasing, and a number for each: equal if together."""
        labels, ends = np.unique(self.must_link, return_inverse=True)
        if not len(labels):
            return labels, np.empty(0, dtype=np.int64)
        u, v = ends.reshape(-1, 2).T
        links = coo_array((np.ones(len(u)), (u, v)), shape=(len(labels), len(labels)))
        return labels, connected_components(links, directed=False)[1].astype(np.int64)

    def violations(self, labels: ArrayLike, segments: ArrayLike) -> list[Violation]:
        """Return pairs of superpixels that a segmentation has together, or apart, against a constraint.

        Parameters
        ----------
        labels, segments : array of int, shape (N,)
            Superpixels and the segment of each. Constraints on other superpixels are not looked at.

        Returns
        -------
        violations : list of Violation
            Empty if all is well; at least one for each segment and kind of constraint that is not.

        Examples
        --------
        >>> Constraints(cannot_link=[(1, 3)], frozen=[5]).violations([1, 3, 4, 5], [1, 1, 4, 4])
        [Violation(kind='cannot_link', u=1, v=3), Violation(kind='frozen', u=5, v=4)]
        """
        parts = Parts.of(labels, segments)
        found = {
            "must_link": self.must_link[parts.are(self.must_link, together=False)],
            "cannot_link": self.cannot_link[parts.are(self.cannot_link, together=True)],
            "frozen": parts.companions(self.frozen),
            "exclusions": sharing_a_mark(parts, self.exclusions),
            "classes": incompatible(parts, self.classes, self.compatible),
        }
        return [Violation(kind, u, v) for kind, pairs in found.items() for u, v in pairs.tolist()]

    def validate(self, graph: RegionGraph) -> None:
        """Check that every superpixel that is named is a region of `graph`.

        Raises
        ------
        LabelError
            If some are not; it names up to ten of each list, and how many there are.
        """
        named = {name: array.ravel() for name, array in self.to_arrays().items() if name in _OF_LABELS}
        named |= {"exclusions": self.exclusions[:, 0], "classes": self.classes[:, 0]}
        everything = Parts(graph.labels.astype(np.uint64), np.zeros(graph.n_regions, dtype=np.int64))
        unknown = {name: np.unique(labels[everything.find(labels) < 0]) for name, labels in named.items()}
        words = [f"{name} names {listed(labels.tolist())}" for name, labels in unknown.items() if len(labels)]
        if words:
            raise LabelError(f"constraints must name superpixels of the graph, which has others: {'; '.join(words)}.")

    def to_arrays(self) -> dict[str, Array]:
        """Return the fields by their names."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    def save(self, file: _files.FileName) -> None:
        """Write the constraints to `file`, a NumPy archive (.npz); an older file is only replaced by a complete one.

        Raises
        ------
        FileError
            If the file cannot be written.
        """
        _files.write_archive(file, FORMAT, self.to_arrays())

    @classmethod
    def load(cls, file: _files.FileName) -> Constraints:
        """Read constraints that `save` wrote. Nothing in the file is ever executed.

        Raises
        ------
        FileError
            If the file is missing, damaged, holds no constraints, or is from a newer version.
        """
        return _files.read_archive(file, "constraints", FORMAT, cls.from_arrays)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Constraints:
        """Return the constraints whose fields are in `arrays`, others aside."""
        return cls(**{part.name: arrays[part.name] for part in fields(cls)})


# -- private: what a user gave ----------------------------------------------------------------------------------------


def _rows(rows: ArrayLike, name: str) -> Labels:
    """Return rows of two labels, uint64 of shape (B, 2), sorted, each once."""
    found = as_labels(rows, name, allow_empty=True).astype(np.uint64)
    if found.size and (found.ndim != 2 or found.shape[1] != 2):
        raise ShapeError(f"{name} must be rows of two, shape (n, 2); got shape {found.shape}.")
    return np.unique(found.reshape(-1, 2), axis=0)


def _columns(a: Labels, b: Labels) -> Labels:
    return np.column_stack([a.astype(np.uint64), b.astype(np.uint64)])


def _pairs(pairs: ArrayLike, name: str) -> Labels:
    """Return pairs u < v, shape (B, 2), sorted, each once."""
    found = np.unique(np.sort(_rows(pairs, name), axis=1), axis=0)
    same = found[found[:, 0] == found[:, 1], 0]
    if len(same):
        raise ConstraintError(f"{name} must pair two different superpixels; got {listed(same.tolist())} with itself.")
    return found


def _frozen(labels: ArrayLike) -> Labels:
    found = as_labels(labels, "frozen", allow_empty=True).astype(np.uint64)
    if found.ndim != 1:
        raise ShapeError(f"frozen must be a list of labels, shape (F,); got shape {found.shape}.")
    return np.unique(found)


def _numbered(rows: Labels) -> Labels:
    """Return rows of superpixel and mark without marks that change nothing, the others renumbered from 1."""
    rows = rows[np.lexsort((rows[:, 0], rows[:, 1]))]
    rows = rows[rows[:, 1] > 0]
    groups = np.split(rows[:, 0], np.flatnonzero(np.diff(rows[:, 1])) + 1)
    distinct = sorted({tuple(group.tolist()) for group in groups if len(group) > 1})
    numbered = [(label, mark) for mark, group in enumerate(distinct, start=1) for label in group]
    return _rows(np.array(numbered, dtype=np.uint64), "exclusions")


def _classes(rows: ArrayLike) -> Labels:
    """Return superpixels that have a class, and the class of each, shape (C, 2)."""
    found = _rows(rows, "classes")
    found = found[found[:, 1] > 0]
    several = np.unique(found[1:][found[1:, 0] == found[:-1, 0], 0])
    if len(several):
        raise ConstraintError(
            f"classes must give each superpixel one class; got several for {listed(several.tolist())}."
        )
    return found


def _matrix(compatible: ArrayLike, classes: Labels) -> Bools:
    """Return which classes are compatible, bool of shape (K, K), and check that all classes are among them."""
    matrix = np.asarray(compatible)
    label, largest = classes[classes[:, 1].argmax()].tolist() if len(classes) else (None, 0)
    if matrix.size == 0 and largest <= _MOST_CLASSES:
        matrix = _same_or_unknown(largest + 1)
    if matrix.size and (matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]):
        raise ShapeError(f"compatible must have a row and a column for each class, from 0; got shape {matrix.shape}.")
    if len(matrix) > _MOST_CLASSES + 1:
        raise ConstraintError(f"there can be {_MOST_CLASSES} classes besides 0; compatible has {len(matrix) - 1}.")
    if largest >= len(matrix):
        limit = len(matrix) - 1 if len(matrix) else _MOST_CLASSES
        raise ConstraintError(f"classes must be from 1 to {limit}, or 0; superpixel {label} has {largest}.")
    if not np.isin(matrix, (0, 1)).all():
        raise ConstraintError("compatible must hold True and False, or 1 and 0.")
    i, j = np.nonzero(matrix != matrix.T)
    if len(i):
        raise ConstraintError(f"compatible must be symmetric; for classes {i[0]} and {j[0]} it is not.")
    if not matrix[0].all():
        raise ConstraintError("class 0 is unknown and may merge with all: row 0 of compatible must be True.")
    return matrix.astype(np.bool_) if len(classes) else _same_or_unknown(1)


def _same_or_unknown(n_classes: int) -> Bools:
    """Return the matrix in which a class is compatible with itself and with 0."""
    matrix = np.eye(n_classes, dtype=np.bool_)
    matrix[0] = matrix[:, 0] = True
    return matrix


def _common_matrix(a: Constraints, b: Constraints) -> Bools:
    """Return the matrix that two constraints agree on; one without classes agrees to any."""
    if not (len(a.classes) and len(b.classes)):
        return a.compatible if len(a.classes) else b.compatible
    n_classes = max(len(a.compatible), len(b.compatible))
    first, second = (_same_or_unknown(n_classes) for _ in range(2))
    for matrix, given in ((first, a.compatible), (second, b.compatible)):
        matrix[: len(given), : len(given)] = given
    i, j = np.nonzero(first != second)
    if len(i):
        raise ConstraintError(
            f"two constraints with classes can be joined if they agree on which are compatible; one says that classes "
            f"{i[0]} and {j[0]} are, the other not. Give both the same matrix."
        )
    return first


def _shared(labels: ArrayLike, other: ArrayLike, name: str, mask: Any, background: Any, n_threads: Any) -> Overlaps:
    volume = check_volume(labels, mask=mask, background=background)
    return volume_overlaps(volume, other, name, n_threads=n_threads)
