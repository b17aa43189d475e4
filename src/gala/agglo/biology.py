"""The historic names of what looks at a segmentation as biology: inclusions, orphans, small regions, contacts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gala._files import FileName
from gala._types import Array, ArrayLike, Floats, Ints, Labels
from gala.agglo.learning import Learning
from gala.engine import border, export, given, inclusions, sizes, truth, volumes
from gala.errors import SettingError

if TYPE_CHECKING:
    import networkx as nx


class Biology(Learning):
    """A running graph of a volume that knows inclusions, orphans, small regions and maps of its contacts."""

    _compared: tuple[Labels, truth.Truth] | None = None  # the last truth, and what was counted

    # -- merging -------------------------------------------------------------------------------------------------

    def remove_inclusions(self) -> int:
        """Merge regions inside others into them; see `gala.engine.inclusions.remove_inclusions`."""
        return inclusions.remove_inclusions(self)

    def remove_obvious_inclusions(self) -> int:
        """Merge regions with one neighbour into it; see `gala.engine.inclusions.remove_obvious_inclusions`."""
        return inclusions.remove_obvious_inclusions(self)

    def merge_small(self, min_size: float) -> int:
        """Merge small regions into their best neighbour; see `gala.engine.sizes.merge_small`."""
        return sizes.merge_small(self, min_size)

    def agglomerate_ladder(self, min_size: float = 1000, strictness: int = 2) -> int:
        """Agglomerate, small regions only; see `gala.engine.sizes.agglomerate_ladder`."""
        return sizes.agglomerate_ladder(self, min_size, strictness=strictness)

    def replay_merge_history(
        self, merge_seq: Iterable[Sequence[int]], labels: ArrayLike | None = None, num_errors: float = 1
    ) -> tuple[int, tuple[int, int] | None]:
        """Make the merges of a history up to its first errors; return how many pairs were read, and the last one.

        See `gala.engine.given.replay`.
        """
        pairs = [(int(u), int(v)) for u, v in merge_seq]
        n = given.replay(self, pairs, labels, num_errors=num_errors)
        return n, pairs[n - 1] if n else None

    def cluster_by_labels(self, labels: ArrayLike, nodes: Iterable[int] | None = None) -> int:
        """Merge the regions of one label, of all or of those in `nodes`; see `gala.engine.given.merge_labelled`."""
        return given.merge_labelled(self, labels, nodes)

    # -- who reaches the border ----------------------------------------------------------------------------------

    def orphans(self) -> list[int]:
        """Return the regions that do not touch the border of the volume."""
        return border.orphans(self)

    def traversing_bodies(self, between: str = "places") -> list[int]:
        """Return the regions that touch the border of the volume in two places; see `gala.engine.border.traversing`."""
        return border.traversing(self, between=between)

    def non_traversing_bodies(self, between: str = "places") -> list[int]:
        """Return the regions at the border that do not traverse the volume; see `gala.engine.border.traversing`."""
        return border.non_traversing(self, between=between)

    def is_traversed_by_node(self, n: int) -> bool:
        """Tell whether region `n` traverses the volume."""
        return border.traverses(self, n)

    # -- images --------------------------------------------------------------------------------------------------

    def build_volume(self, nbunch: Iterable[int] | None = None) -> Labels:
        """Return the label image of regions, by their numbers; see `gala.engine.volumes.build_volume`."""
        return volumes.build_volume(self, nbunch)

    def build_boundary_map(self, ebunch: ArrayLike | None = None) -> Floats:
        """Return the ultrametric contour map; see `gala.engine.volumes.build_boundary_map`."""
        return volumes.build_boundary_map(self, ebunch)

    def get_edge_coordinates(self, n1: int, n2: int, arbitrary: bool = False) -> Ints:
        """Return where to look at a contact; see `gala.engine.volumes.edge_coordinates`."""
        return volumes.edge_coordinates(self, n1, n2, where="any" if arbitrary else "most")

    # -- truth ---------------------------------------------------------------------------------------------------

    def assignment(self, gt: ArrayLike | None = None) -> dict[int, int]:
        """Return the true object that each region overlaps most, the lowest of several; 0 if it has none."""
        return truth.assignment(self, self._truth(gt))

    def should_merge(self, n1: int, n2: int) -> bool:
        """Tell whether two regions overlap most with one object of the truth that was set."""
        return truth.should_merge(self, self._truth(), n1, n2)

    def pixel_labels_array(self, false_splits_only: bool = False) -> Array:
        """Return 1 in voxels of contacts that truth keeps, 2 in those of false splits, and 0 elsewhere.

        See `gala.engine.truth.label_contacts`. With `false_splits_only`, the first are 0 too.
        """
        image = truth.label_contacts(self, self._truth())
        return image * (image == truth.MERGE) if false_splits_only else image

    # -- for other programs --------------------------------------------------------------------------------------

    def to_networkx(self) -> nx.Graph:
        """Return a plain graph with sizes and weights; see `gala.engine.export.to_networkx`."""
        return export.to_networkx(self)

    def to_json(self) -> str:
        """Return the graph as node-link JSON; see `gala.engine.export.to_json`."""
        return export.to_json(self)

    def write_to_json(self, fn: FileName) -> None:
        """Write the graph to a file as node-link JSON; see `gala.engine.export.to_json`."""
        export.write_json(self, fn)

    # -- private -------------------------------------------------------------------------------------------------

    def _truth(self, gt: ArrayLike | None = None) -> truth.Truth:
        """Return what superpixels share with `gt`, or with the truth set before, which is counted once."""
        if gt is not None:
            return truth.Truth.of(self, gt)
        if self.gt is None:
            raise SettingError("there is no truth to compare with; call set_ground_truth first.")
        if self._compared is None or self._compared[0] is not self.gt:
            self._compared = self.gt, truth.Truth.of(self, self.gt)
        return self._compared[1]
