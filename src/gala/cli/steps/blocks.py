"""The steps of `gala segment` block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gala.cli.steps.volumes import check_outputs
from gala.errors import SettingError
from gala.pipeline.blockwise import segment_blockwise


def segment_in_blocks(
    image: str,
    out: str,
    thresholds: Sequence[float],
    *,
    chunks: Sequence[float] | None,
    pixels: Path | None = None,
    extra: Mapping[str, str],
    n_threads: int | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Segment a volume block by block; see `gala.pipeline.blockwise.segment_blockwise`."""
    if n_threads is not None:
        raise SettingError("--threads is for work in memory; in blocks, --workers are processes of one thread each.")
    volumes = [options.get(name) for name in ("superpixels", "mask", "truth")]
    check_outputs([out], [image, *volumes, *extra.values(), pixels])
    sides = None if chunks is None else [int(side) for side in chunks]
    if sides is not None and sides != list(chunks or ()):
        raise SettingError(f"--chunks must be whole numbers of voxels; got {chunks!r}.")
    shape = sides[0] if sides is not None and len(sides) == 1 else sides
    given = {"thresholds": thresholds or None, "chunks": shape, "pixels": pixels, "extra": extra}
    report: dict[str, Any] = segment_blockwise(image, out, **given, **options)
    return report
