"""What is done: a small file for each finished block of each stage, and the lock of the run that writes them.

A block's marker is written after its data, and replaces an older one in one step. It holds the hash of all that the
block was made of, so a block whose inputs or parameters are others is not finished. Killed at any moment, a run leaves
blocks with their marker, which the next one skips, and blocks without, which it makes again, the same bytes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from gala._files import replacing
from gala.errors import FileError

_WAIT = 60.0  # seconds for the last tasks of a run that was killed


@dataclass(frozen=True, slots=True)
class Manifest:
    """The finished blocks of a run, in a folder."""

    folder: Path

    def read(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return what is known of each finished block of a stage, by its name."""
        found = {}
        for file in self.folder.joinpath(stage).glob("*.json"):
            try:
                found[file.stem] = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError):  # a marker that cannot be read marks nothing
                continue
        return {name: known for name, known in found.items() if isinstance(known, dict)}

    def finish(self, stage: str, name: str, known: dict[str, Any]) -> None:
        """Mark a block as finished."""
        folder = self.folder / stage
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / f"{name}.json") as new:
            new.write_text(json.dumps(known, sort_keys=True), encoding="utf-8")

    def forget(self, stage: str) -> None:
        """Mark all blocks of a stage, and of those named after it, as not finished."""
        for file in self.folder.glob("*/*.json"):
            if file.parent.name.startswith(stage):
                file.unlink(missing_ok=True)


@contextmanager
def only_run(folder: Path, what: str) -> Iterator[None]:
    """Hold the lock of an output; the operating system gives it back when the process ends, however it ends.

    Raises
    ------
    FileError
        If another process has it, or tasks of a run that was killed do not come to their end.
    """
    with folder.joinpath("lock").open("a+", encoding="utf-8") as file:
        if not _lock(file, shared=False):
            file.seek(0)
            raise FileError(f"{what} is being written by another run: {file.read().strip()}. Wait for it, or stop it.")
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename if hasattr(os, 'uname') else 'this machine'}")
        file.flush()
        _wait_for_tasks(folder, what)
        yield


@contextmanager
def task_of(folder: Path) -> Iterator[None]:
    """Let no other run begin while a task writes, though the run that it belongs to be killed."""
    with folder.joinpath("tasks").open("a+", encoding="utf-8") as file:
        if not _lock(file, shared=True):
            raise FileError(f"{folder} now belongs to another run.")
        yield


def _wait_for_tasks(folder: Path, what: str) -> None:
    with folder.joinpath("tasks").open("a+", encoding="utf-8") as file:
        end = time.monotonic() + _WAIT
        while not _lock(file, shared=False):
            if time.monotonic() > end:
                raise FileError(f"workers of an earlier run still write {what}; stop them first.")
            time.sleep(0.1)


try:
    import fcntl

    def _lock(file: IO[str], *, shared: bool) -> bool:
        """Lock a file until it is closed, if nobody else has it."""
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

except ImportError:  # Windows, which has no shared locks: there, tasks that outlive their run are not waited for
    import msvcrt

    def _lock(file: IO[str], *, shared: bool) -> bool:
        """Lock a file until it is closed, if nobody else has it."""
        if shared:
            return True
        try:
            file.seek(2**20)  # others can read what is before
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # there on Windows
        except OSError:
            return False
        return True
