"""Which true object each region belongs to: the one that it overlaps most, the lowest label of several."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array

from gala._types import Array, ArrayLike, Ints, Labels
from gala.engine.running import RunningGraph
from gala.engine.volumes import contacts_now, paint_contacts
from gala.evaluate import assignment_table
from gala.graph.overlaps import volume_overlaps

KEEP, MERGE = 1, 2  # in images of contacts


class Truth(NamedTuple):
    """The voxels that N superpixels share with T true objects, in K pairs; void (label 0) is left out."""

    objects: Labels  # (T,) labels, increasing
    superpixel: Ints  # (K,) positions in the labels of the graph
    object_index: Ints  # (K,) positions in `objects`
    counts: Ints  # (K,)

    @classmethod
    def of(cls, g: RunningGraph, truth: ArrayLike) -> Truth:
        """Compare the superpixels of a graph that has its volume with `truth`, shape (M, ..., P)."""
        overlaps = volume_overlaps(g._need_volume(), truth, "truth", n_threads=g.n_threads)
        kept = overlaps.truth_labels[overlaps.truth_index] != 0
        superpixel = g.graph.find(overlaps.seg_labels[overlaps.seg_index[kept]].astype(g.graph.labels.dtype))
        return cls(overlaps.truth_labels, superpixel, overlaps.truth_index[kept], overlaps.counts[kept])

    def assign(self, segments: Ints) -> Labels:
        """Return the object of the segment that each superpixel is in, shape (N,); 0 if it has none.

        `segments`, shape (N,), are numbers from 0 to N - 1.
        """
        of_segment = np.zeros(len(segments), dtype=self.objects.dtype)
        if len(self.counts):
            shape = len(segments), len(self.objects)
            table = coo_array((self.counts, (segments[self.superpixel], self.object_index)), shape=shape)
            best = assignment_table(table).overlaps
            of_segment[best.seg_labels[best.seg_index]] = self.objects[best.truth_labels[best.truth_index]]
        return of_segment[segments]


def assignment(g: RunningGraph, truth: Truth) -> dict[int, int]:
    """Return the true object of each region that is there, by number; 0 if it has none."""
    objects = truth.assign(g.tree.cut())
    names = [n for n in g.region_names() if n != g.border]
    return {n: int(objects[g.region_of(n)]) for n in names}


def should_merge(g: RunningGraph, truth: Truth, u: int, v: int) -> bool:
    """Tell whether two regions belong to one true object; one without an object belongs to none.

    Raises
    ------
    LabelError, KeyError
        If there never was such a region, or it is part of a larger one.
    """
    places = [g.region_of(n) for n in (u, v)]
    part = np.full(g.graph.n_regions, 2)  # of the two regions, and of all others
    part[g.leaves_of(u)], part[g.leaves_of(v)] = 0, 1
    ours = part[truth.superpixel] < 2
    objects = truth._replace(**{name: getattr(truth, name)[ours] for name in ("superpixel", "object_index", "counts")})
    first, second = objects.assign(part)[places]
    return bool(first == second != 0)


def label_contacts(g: RunningGraph, truth: Truth) -> Array:
    """Return the image of what truth says of the contacts that are there.

    Returns
    -------
    labels : array of uint8, shape (M, ..., P)
        In voxels of a contact, 1 if its regions belong to two true objects, and 2 if they belong to one, so that the
        contact is a false split; 0 elsewhere, and where a region has no true object. Voxels of contacts of both
        kinds are 1.
    """
    u, v = truth.assign(g.tree.cut())[g.graph.edges].T
    known = (contacts_now(g) >= 0) & (u != 0) & (v != 0)
    labels = np.where(u == v, MERGE, KEEP).astype(np.uint8)
    image = paint_contacts(g, labels, known)
    image[paint_contacts(g, labels, known & (u != v)) == KEEP] = KEEP
    return image
