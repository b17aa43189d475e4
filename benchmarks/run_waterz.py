"""Agglomerate a volume with waterz, which prints what it does: the time of each line tells the stages apart.

Run as ``python -u run_waterz.py FOLDER THRESHOLD``, with a scoring function behind these if it is not the mean.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np


def main(folder, threshold, *function):
    import waterz

    fragments, affinities = (np.load(Path(folder) / f"{name}.npy") for name in ("fragments", "affinities"))
    options = {"scoring_function": function[0]} if function else {}
    next(waterz.agglomerate(affinities, [float(threshold)], fragments=fragments, **options))


if __name__ == "__main__":
    main(*sys.argv[1:])
