"""Reading and replacing files: what every module that touches the disk shares."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

from gala.errors import FileError

FileName: TypeAlias = str | os.PathLike[str]


def existing_file(fn: FileName) -> Path:
    """Return `fn` as a path if there is such a file."""
    path = Path(fn)
    if path.is_dir():
        raise FileError(f"{path} is a folder, not a file.")
    if not path.exists():
        raise FileError(f"there is no file {path} (looked in {path.absolute().parent}).")
    return path


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
    path = Path(fn).resolve()
    if not path.parent.is_dir():
        raise FileError(f"{fn} cannot be written: there is no folder {path.parent}; make it first.")
    if path.is_dir():
        raise FileError(f"{fn} cannot be written: it is a folder; give the name of a file in it.")
    new = path.with_name(f".{uuid4().hex[:8]}-{path.name}")
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
        reason = " ".join(str(error).split())  # in one line
        raise FileError(f"{fn} was not written, and is as it was before: {reason}.") from error
    finally:
        new.unlink(missing_ok=True)
