"""Partitions of signed graphs: what attracts and what repels decides how many segments there are, not a threshold.

All of them take a region graph and signed weights of its contacts, and return a `Partition`.
"""

from gala.engine.partition.costs import edge_probabilities, log_odds, signed
from gala.engine.partition.gasp import gasp
from gala.engine.partition.multicut import multicut, multicut_of
from gala.engine.partition.mutex import VoxelSegments, mutex_watershed, mutex_watershed_of_voxels
from gala.engine.partition.named import METHODS, partition
from gala.engine.partition.result import Partition, energy_of

__all__ = [
    "METHODS",
    "Partition",
    "VoxelSegments",
    "edge_probabilities",
    "energy_of",
    "gasp",
    "log_odds",
    "multicut",
    "multicut_of",
    "mutex_watershed",
    "mutex_watershed_of_voxels",
    "partition",
    "signed",
]
