"""The ten files of the example: a volume to learn from and one to try the result on, in one folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gala._files import FileName
from gala.datasets.em import ExampleVolume, synthetic
from gala.errors import FileError, ShapeError
from gala.imio import read_h5_stack, write_h5_stack

parts = ("train", "test")
_files = {
    "image": "image.h5",
    "p1": "p1.lzf.h5",
    "p4": "p4.lzf.h5",
    "superpixels": "ws.lzf.h5",
    "truth": "gt.lzf.h5",
}


def write_example(
    folder: FileName, *, shape: Sequence[int] = (64, 128, 128), seed: int = 0
) -> dict[str, ExampleVolume]:
    """Make two synthetic volumes and write them as the ten files of the example.

    Parameters
    ----------
    folder : str or path
        Where to write ``train-image.h5``, ``train-p1.lzf.h5``, ... ``test-gt.lzf.h5``; made if it is not there.
    shape, seed
        See `synthetic_pair`.

    Returns
    -------
    volumes : dict
        The volumes, under "train" and "test".

    Raises
    ------
    FileError
        If a file cannot be written.
    ShapeError, SettingError
        See `synthetic`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     written = write_example(folder, shape=(4, 16, 16))
    ...     sorted(path.name for path in Path(folder).glob("test-*"))
    ['test-gt.lzf.h5', 'test-image.h5', 'test-p1.lzf.h5', 'test-p4.lzf.h5', 'test-ws.lzf.h5']
    """
    make_folder(folder)
    volumes = synthetic_pair(shape, seed=seed)
    for part, volume in volumes.items():
        for field, name in _files.items():
            compression = "lzf" if ".lzf." in name else None
            write_h5_stack(getattr(volume, field), Path(folder, f"{part}-{name}"), compression=compression)
    return volumes


def read_example(folder: FileName) -> dict[str, ExampleVolume]:
    """Read the ten files of the example.

    Parameters
    ----------
    folder : str or path
        Where the files are; `write_example` tells their names.

    Returns
    -------
    volumes : dict
        The volumes, under "train" and "test".

    Raises
    ------
    FileError
        If the folder or one of the files is missing or cannot be read.
    ShapeError
        If the arrays of a volume do not fit together.
    """
    source = Path(folder)
    if not source.is_dir():
        raise FileError(f"there is no folder {source}; `gala example-data {source}` makes one.")
    wanted = [f"{part}-{name}" for part in parts for name in _files.values()]
    missing = [name for name in wanted if not (source / name).exists()]
    if missing:
        raise FileError(
            f"the folder {source} must hold the {len(wanted)} files of the example; missing: {', '.join(missing)}."
        )
    return {part: _read(source, part) for part in parts}


def synthetic_pair(shape: Sequence[int] = (64, 128, 128), *, seed: int = 0) -> dict[str, ExampleVolume]:
    """Make two synthetic volumes, one to learn from and one to try the result on.

    Parameters
    ----------
    shape : sequence of int
        As for `synthetic`.
    seed : int
        Other pairs for other numbers: the volumes are those of seeds ``2 * seed`` and ``2 * seed + 1``.

    Returns
    -------
    volumes : dict
        The volumes, under "train" and "test".

    Examples
    --------
    >>> sorted(synthetic_pair((4, 16, 16)))
    ['test', 'train']
    """
    return {part: synthetic(shape, seed=2 * seed + number) for number, part in enumerate(parts)}


def make_folder(folder: FileName) -> None:
    """Make a folder, and those it is in, if they are not there.

    Raises
    ------
    FileError
        If that cannot be done.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"the folder {folder} cannot be made: {error.strerror}.") from error


def _read(source: Path, part: str) -> ExampleVolume:
    arrays = {field: read_h5_stack(source / f"{part}-{name}") for field, name in _files.items()}
    shape = arrays["superpixels"].shape
    for field, array in arrays.items():
        expected = (*shape, 4) if field == "p4" else shape
        if array.shape != expected:
            raise ShapeError(
                f"{part}-{_files[field]} must have shape {expected}, to fit {part}-{_files['superpixels']}; "
                f"got {array.shape}."
            )
    return ExampleVolume(**arrays)
