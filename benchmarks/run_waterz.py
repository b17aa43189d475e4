"""Agglomerate a volume with waterz, which prints what it does: the time of each line tells the stages apart.

Run as ``python -u run_waterz.py FOLDER THRESHOLD``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def main(folder, threshold):
    import waterz

    fragments, affinities = (np.load(Path(folder) / f"{name}.npy") for name in ("fragments", "affinities"))
    next(waterz.agglomerate(affinities, [float(threshold)], fragments=fragments))


if __name__ == "__main__":
    main(*sys.argv[1:])
