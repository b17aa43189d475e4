"""What is written beside voxels: where a volume came from, and what else is known of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gala import __version__
from gala._files import FileName, existing
from gala.errors import SettingError
from gala.imio.locations import Location


def provenance(parameters: Mapping[str, Any], inputs: Iterable[FileName] = ()) -> dict[str, Any]:
    """Describe how a volume was made, for the option of `write` with that name.

    Parameters
    ----------
    parameters : mapping of str
        What was chosen: numbers, words, and lists and mappings of them.
    inputs : iterable of str or path
        The files and folders that were read; ``::dataset`` after a name is kept but does not change the hash.

    Returns
    -------
    provenance : dict
        ``"gala"``, the version; ``"parameters"``; and ``"inputs"``, the SHA-256 of each by name. The same for
        the same files and parameters, at any time.

    Raises
    ------
    FileError
        If an input is not there.
    SettingError
        If a parameter is not something that JSON can hold.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "a.txt")
    ...     _ = file.write_text("a")
    ...     made = provenance({"threshold": np.float64(0.5)}, [file])
    >>> made["parameters"], made["inputs"][str(file)][:8]
    ({'threshold': 0.5}, 'ca978112')
    """
    return {
        "gala": __version__,
        "parameters": as_json(parameters, "parameters"),
        "inputs": {str(name): hash_of(Location.of(name).path) for name in sorted(inputs, key=str)},
    }


def hash_of(path: FileName) -> str:
    """Return the SHA-256 of a file, or of the names and hashes of all files in a folder, as hexadecimal digits."""
    place = existing(path)
    if place.is_file():
        with place.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    total = hashlib.sha256()
    for file in sorted(item for item in place.rglob("*") if item.is_file()):
        total.update(f"{file.relative_to(place).as_posix()}\0{hash_of(file)}\n".encode())
    return total.hexdigest()


def as_json(values: Any, name: str) -> Any:
    """Return values as JSON would give them back, after checking that it can."""
    try:
        return json.loads(json.dumps(values, default=_plain, allow_nan=False, sort_keys=True))
    except (TypeError, ValueError) as error:
        raise SettingError(
            f"{name} must be finite numbers, words, and lists and mappings of them; got {error}."
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} of type {type(value).__name__}")


def parsed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a file as plain Python, with the provenance read."""
    found = {
        key: value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        for key, value in attributes.items()
    }
    if isinstance(found.get("provenance"), str):
        try:
            found["provenance"] = json.loads(found["provenance"])
        except ValueError:  # somebody else's, in words
            return found
    return found
