"""The steps of `gala superpixels`."""

from __future__ import annotations

from typing import Any

from gala import imio
from gala.cli.steps.volumes import Lengths, check_outputs, check_same_voxels, common_spacing, read_maybe
from gala.cli.talk import step
from gala.morpho import superpixels


def run(
    boundary: str,
    out: str,
    *,
    mask: str | None = None,
    spacing: Lengths | None = None,
    dry_run: bool = False,
    **settings: Any,
) -> dict[str, Any]:
    """Cut a boundary map into superpixels, and write them."""
    inputs = [name for name in (mask, boundary) if name is not None]
    lengths = common_spacing(spacing, inputs)
    check_outputs([out], inputs)
    check_same_voxels(inputs)
    plan: dict[str, Any] = {"map": boundary, "file": out, "method": settings["method"]}
    if dry_run:
        return plan
    with step("Reading"):
        with imio.open(boundary) as volume:
            values = volume[..., 0] if "channel" in volume.axes else volume[...]
        keep = read_maybe(mask)
    with step("Cutting", values.size):
        labels = superpixels(values, spacing=lengths, mask=keep, **settings)
    given = {name: value for name, value in settings.items() if value is not None}
    origin = imio.provenance({"command": "superpixels", "spacing": lengths, **given}, inputs)
    with step(f"Writing {out}", labels.size):
        imio.write(out, labels, spacing=lengths, provenance=origin)
    return plan | {"superpixels": int(labels.max())}
