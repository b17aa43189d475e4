"""Reading and replacing files: what every module that touches the disk, or writes JSON, shares."""

from __future__ import annotations

import glob
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from uuid import uuid4
from zipfile import is_zipfile

import numpy as np

from gala._types import Array
from gala.errors import FileError

T = TypeVar("T")
FileName: TypeAlias = str | os.PathLike[str]


def existing_file(fn: FileName) -> Path:
    """Return `fn` as a path if there is such a file."""
    path = Path(fn)
    if path.is_dir():
        raise FileError(f"{path} is a folder, not a file.")
    if not path.exists():
        raise FileError(f"there is no file {path} (looked in {path.absolute().parent}).")
    return path


def existing(fn: FileName) -> Path:
    """Return `fn` as a path if there is such a file or folder."""
    path = Path(fn)
    return path if path.is_dir() else existing_file(path)


@contextmanager
def replacing(fn: FileName) -> Iterator[Path]:
    """Yield the name of a new file, which takes the place of `fn` once the block has ended without an error.

    The new file is in the folder of `fn` and has its extension. After an error or an interrupt it is removed,
    and `fn` is as it was.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     target = Path(folder, "a.txt")
    ...     with replacing(target) as new:
    ...         _ = new.write_text("all of it")
    ...     target.read_text()
    'all of it'
    """
    path, new = _names(fn)
    if path.is_dir():
        raise FileError(f"{fn} cannot be written: it is a folder; give the name of a file in it.")
    try:
        yield new
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, new)
        new.replace(path)
    except FileError:
        raise
    except OSError as error:
        raise _not_written(fn, error) from error
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def replacing_folder(fn: FileName, is_ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield the name of a new folder, which takes the place of `fn` once the block has ended without an error.

    A folder that is there is replaced only if it is empty or `is_ours` says so. After an error or an interrupt the new
    one is removed, and `fn` is as it was.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     target = Path(folder, "a")
    ...     with replacing_folder(target, lambda there: True) as new:
    ...         new.mkdir()
    ...     target.is_dir()
    True
    """
    path, new = _names(fn)
    if path.exists() and not (path.is_dir() and (is_ours(path) or not any(path.iterdir()))):
        raise FileError(f"{fn} cannot be written: something else has that name; remove it or choose another name.")
    old = _beside(path)
    try:
        yield new
        if path.exists():
            path.replace(old)
        try:
            new.replace(path)
        except BaseException:
            if old.exists():
                old.replace(path)
            raise
    except FileError:
        raise
    except OSError as error:
        raise _not_written(fn, error) from error
    finally:
        _remove(new)
        shutil.rmtree(old, ignore_errors=True)


def _names(fn: FileName) -> tuple[Path, Path]:
    """Return the place of `fn`, and the name of what is new beside it."""
    path = Path(fn).resolve()
    if not path.parent.is_dir():
        raise FileError(f"{fn} cannot be written: there is no folder {path.parent}; make it first.")
    return path, _beside(path)


_mark = ".????????-"  # in front of names that `_beside` gives


def _beside(path: Path) -> Path:
    return path.with_name(f".{uuid4().hex[:8]}-{path.name}")


def remove_unfinished(path: Path) -> None:
    """Remove what writers that were killed left beside `path` and, if that is a folder, in it: zarr's files, too."""
    beside = path.parent.glob(_mark + glob.escape(path.name))
    inside = (file for file in path.rglob("*") if file.match(f"{_mark}*") or file.suffix == ".partial")
    for left in [*beside, *inside]:
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink(missing_ok=True)


def _not_written(fn: FileName, error: OSError) -> FileError:
    reason = " ".join(str(error).split())  # in one line
    return FileError(f"{fn} was not written, and is as it was before: {reason}.")


def _remove(folder: Path) -> None:
    """Remove a folder that threads of an interrupted library may still write to, and so make anew."""
    if not folder.exists():
        return
    n_gone = 0
    for _ in range(200):  # they took more than a second on a busy machine
        shutil.rmtree(folder, ignore_errors=True)
        n_gone = 0 if folder.exists() else n_gone + 1
        if n_gone == 10:
            return
        time.sleep(0.05)


@contextmanager
def interrupted_afterwards() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block; a second one does not.

    Libraries that write with threads, or clean up in callbacks, which swallow the exception, end what they began.

    Examples
    --------
    >>> with interrupted_afterwards():
    ...     pass
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    pressed: list[int] = []

    def wait(number: int, frame: Any) -> None:
        if pressed:
            signal.default_int_handler(number, frame)
        pressed.append(number)

    signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt


def write_archive(fn: FileName, version: int, arrays: Mapping[str, Any]) -> None:
    """Write arrays, and the number of their format, to a NumPy archive (.npz) that takes the place of `fn`."""
    with replacing(fn) as new, new.open("wb") as stream:
        np.savez_compressed(stream, format=version, **arrays)


def read_archive(
    fn: FileName, what: str, newest: int, make: Callable[[Mapping[str, Array]], T], *, mark: str = "format"
) -> T:
    """Return what `make` makes of the arrays that `write_archive` wrote, of a format up to `newest`.

    Nothing in the file is ever executed. `what` it holds is named in errors; files of all formats have an array `mark`.
    """
    path = existing_file(fn)
    if not is_zipfile(path):
        raise FileError(f"{path} does not hold {what} that can be read: it is no complete NumPy archive (.npz).")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            version = int(archive["format"])
            archive[mark]
            if version <= newest:
                return make(archive)
    except Exception as error:  # there is no end to what a damaged archive leads to
        raise FileError(f"{path} does not hold {what} that can be read: {error}.") from error
    raise FileError(f"{path} holds {what} of format {version}; this version reads up to {newest}.")


def json_value(value: Any) -> Any:
    """Return a value, or a list of them, as JSON can hold it: it has no infinity, no NaN and no NumPy.

    Examples
    --------
    >>> json_value([np.float32(0.5), -np.inf, np.nan, "nan"])
    [0.5, '-inf', None, 'nan']
    """
    if isinstance(value, list | tuple):
        return [json_value(part) for part in value]
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, float) and not math.isfinite(plain):
        return None if math.isnan(plain) else str(plain)
    return plain
