"""Every exception and warning that gala raises on purpose.

Each one is a `GalaError`, and also the builtin exception that a caller who does not know gala would catch.
"""

from __future__ import annotations

__all__ = [
    "ClassifierError",
    "ConstraintError",
    "FeatureError",
    "FileError",
    "GalaError",
    "GalaWarning",
    "ImageError",
    "LabelError",
    "PolarityWarning",
    "PolicyError",
    "SettingError",
    "ShapeError",
]


class GalaError(Exception):
    """Base of the errors that gala raises on purpose."""


class ShapeError(GalaError, ValueError):
    """An array has a shape or number of dimensions that does not fit the others."""


class LabelError(GalaError, ValueError):
    """An array of labels holds values that cannot be labels, or a label is not there."""


class ImageError(GalaError, ValueError):
    """An image holds values that cannot be used, such as NaN."""


class FeatureError(GalaError, ValueError):
    """A feature manager does not fit the graph, or the other way round."""


class ClassifierError(GalaError, ValueError):
    """A classifier does not fit the features, or has classes that mean nothing here."""


class PolicyError(GalaError, ValueError):
    """A merge priority function cannot be one, or returned something that is not a priority."""


class ConstraintError(GalaError, ValueError):
    """Constraints contradict each other, or forbid what was asked for."""


class SettingError(GalaError, ValueError):
    """An option has a value that it cannot have."""


class FileError(GalaError, OSError):
    """A file is missing, damaged, or does not hold what was asked for."""


class GalaWarning(UserWarning):
    """Something was done that the caller may not have meant."""


class PolarityWarning(GalaWarning):
    """A boundary map is darker on boundaries than inside of regions."""
