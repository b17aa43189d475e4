"""Running the units of a stage, here or on workers: what is done is skipped, an error names its block."""

from __future__ import annotations

import errno
import logging
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple, TypeAlias
from uuid import uuid4

from tqdm import tqdm

from gala.errors import FileError, GalaError, SettingError
from gala.graph.blockwise import dask_module
from gala.pipeline.blockwise.manifest import Manifest, task_of

Tell: TypeAlias = Callable[[str, int, int], Any]
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
_TIMEOUT = "10s"  # for a scheduler to answer
_QUIET = 60.0  # seconds after which a log is told how far a stage is
_AHEAD = 8  # units that each worker is given at a time, so that the scheduler never holds millions


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of work that is done as a whole, or not at all."""

    name: str
    key: str  # hash of all that its result depends on
    arguments: tuple[Any, ...]
    where: str  # for errors
    n_voxels: int = 0
    result: Path | None = None  # a file without which it is not done, whatever its marker says


@dataclass(frozen=True, slots=True)
class Stage:
    """Units that can be done in any order, and what does one."""

    name: str
    work: Callable[..., dict[str, Any] | None]  # what else to remember of a unit
    units: Sequence[Unit]
    title: str = ""  # of its progress bar


class Failure(NamedTuple):
    """Why a unit was not done."""

    kind: type[GalaError]
    reason: str


def do_unit(work: Callable[..., dict[str, Any] | None], stage: str, unit: Unit, manifest: Manifest) -> Any:
    """Do a unit and mark it as finished; return what is to be remembered of it, or a `Failure`."""
    try:
        with task_of(manifest.folder):
            known = {"key": unit.key, **(work(*unit.arguments) or {})}
            manifest.finish(stage, unit.name, known)
    except GalaError as error:
        return Failure(type(error), str(error))
    except MemoryError:
        return Failure(FileError, "there was not enough memory; give smaller chunks")
    except OSError as error:
        full = "; the disk is full" if error.errno in _FULL else ""
        return Failure(FileError, f"{' '.join(str(error).split())}{full}")
    except Exception as error:  # of which nobody thought
        error.add_note(f"This happened in {unit.where}.")
        raise
    return known


def _is_done(unit: Unit, known: Mapping[str, Mapping[str, Any]]) -> bool:
    marker = known.get(unit.name, {})
    return marker.get("key") == unit.key and (unit.result is None or unit.result.exists())


@dataclass(slots=True)
class Crew:
    """Who does the work: the workers of a dask client, or this process."""

    manifest: Manifest
    hire: Callable[[], Any] = lambda: None  # returns a dask client, or None to work here; called if there is work
    progress: str | Tell | None = "bar"  # as `segment_blockwise` takes it
    done: dict[str, tuple[int, int]] = field(default_factory=dict)  # stage: units done now, and before

    def run(self, stage: Stage) -> dict[str, dict[str, Any]]:
        """Do the units of a stage that are not done; return what is known of each, by name.

        Raises
        ------
        GalaError
            Of the first unit that cannot be done, naming it. What was done stays done.
        """
        known = self.manifest.read(stage.name)
        found = {unit.name: known[unit.name] for unit in stage.units if _is_done(unit, known)}
        waiting = [unit for unit in stage.units if unit.name not in found]
        now, before = self.done.get(stage.name, (0, 0))
        self.done[stage.name] = now + len(waiting), before + len(found)
        with self._shown(stage, len(found)) as step:
            for unit, result in self._results(stage, waiting):
                if isinstance(result, Failure):
                    raise result.kind(f"{unit.where}: {result.reason}")
                found[unit.name] = result
                step(unit)
        return found

    def _results(self, stage: Stage, units: Sequence[Unit]) -> Iterator[tuple[Unit, Any]]:
        client = self.hire() if units else None
        if client is None:
            for unit in units:
                yield unit, do_unit(stage.work, stage.name, unit, self.manifest)
            return
        distributed = dask_module("distributed")
        waiting = iter(units)
        n_ahead = _AHEAD * max(1, sum(client.nthreads().values()))
        of_unit = {self._submit(client, stage, unit): unit for unit in islice(waiting, n_ahead)}
        results = distributed.as_completed(list(of_unit), raise_errors=False, loop=client.loop)
        try:
            for future in results:
                unit = of_unit.pop(future)
                yield unit, self._result(future)
                for more in islice(waiting, 1):
                    new = self._submit(client, stage, more)
                    of_unit[new] = more
                    results.add(new)
        finally:
            client.cancel(list(of_unit))

    def _submit(self, client: Any, stage: Stage, unit: Unit) -> Any:
        key = f"{(stage.title or stage.name).replace(' ', '_')}-{uuid4().hex}"  # the dashboard shows what is before -
        return client.submit(do_unit, stage.work, stage.name, unit, self.manifest, key=key, pure=False)

    def _result(self, future: Any) -> Any:
        if future.status == "finished":
            return future.result()
        error = future.exception() if future.status == "error" else None
        if isinstance(error, dask_module("distributed").scheduler.KilledWorker):
            reason = "workers died at it again and again, most likely for want of memory; give smaller chunks"
            return Failure(FileError, reason)
        if error is None:
            return Failure(FileError, "the scheduler lost it; start the same command again")
        raise error

    def _shown(self, stage: Stage, n_before: int) -> AbstractContextManager[Callable[[Unit], Any]]:
        tell, n, title = self.progress, len(stage.units), stage.title or stage.name
        if callable(tell):
            done = iter(range(n_before + 1, n + 1))
            return nullcontext(lambda _: tell(title, next(done), n))
        if tell is None:
            return nullcontext(lambda _: None)
        return (_bar if sys.stderr.isatty() else _lines)(title, n, n_before)


@contextmanager
def _bar(title: str, n: int, n_before: int) -> Iterator[Callable[[Unit], None]]:
    with tqdm(total=n, initial=n_before, desc=title, unit="block", file=sys.stderr) as bar:
        n_voxels = 0

        def step(unit: Unit) -> None:
            nonlocal n_voxels
            n_voxels += unit.n_voxels
            bar.set_postfix_str(_rate(n_voxels, bar.format_dict["elapsed"]), refresh=False)
            bar.update()

        yield step


@contextmanager
def _lines(title: str, n: int, n_before: int) -> Iterator[Callable[[Unit], None]]:
    """Show a stage as lines of text, which are read in the log of a cluster: its start, now and then, its end."""
    start = said = perf_counter()
    n_done, n_voxels = n_before, 0

    def say(what: str) -> None:
        tqdm.write(f"{title}: {what}", file=sys.stderr)

    def step(unit: Unit) -> None:
        nonlocal n_done, n_voxels, said
        n_done, n_voxels, now = n_done + 1, n_voxels + unit.n_voxels, perf_counter()
        if n_done == n or now - said >= _QUIET:
            said = now
            rate = f", {_rate(n_voxels, now - start)}" if n_voxels else ""
            say(f"{n_done} of {n} done, {now - start:.1f} s{rate}")

    say(f"{n_before} of {n} were done before" if n_before else f"0 of {n} done")
    yield step


def _rate(n_voxels: int, seconds: float) -> str:
    return f"{n_voxels / max(seconds, 1e-9) / 1e6:.3g} Mvoxel/s"


def check_memory(limit: str | int | None) -> None:
    """Raise an error unless a limit of memory is one that dask understands.

    Raises
    ------
    SettingError
        If it is not.
    """
    if isinstance(limit, str) and limit != "auto":
        try:
            dask_module("dask.utils").parse_bytes(limit)
        except ValueError as error:
            raise SettingError(f'memory_limit must be a size, such as "2GB", or "auto"; got {limit!r}.') from error


@contextmanager
def client_of(
    scheduler: str | None, workers: int | None, memory_limit: str | int | None, *, show: bool
) -> Iterator[Any]:
    """Yield a client of the cluster at an address, or of a new one on this machine; None for no workers.

    Raises
    ------
    SettingError
        If there is no dask, or no scheduler answers.
    """
    if scheduler is None and workers == 0:
        yield None
        return
    distributed = dask_module("distributed")
    if scheduler is not None:
        try:
            client = distributed.Client(scheduler, timeout=_TIMEOUT, set_as_default=False)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise SettingError(
                f"no dask scheduler answers at {scheduler}: {reason}. Start one, or leave it out."
            ) from error
        with client:
            _show_dashboard(client, show=show)
            yield client
        return
    limit = {} if memory_limit is None else {"memory_limit": memory_limit}
    cluster = distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=logging.ERROR,  # errors of tasks are raised here
        preload=[__name__],  # see dask_setup
        **limit,
    )
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        _show_dashboard(client, show=show)
        yield client


def dask_setup(_: Any) -> None:
    """Have a worker leave Ctrl-C, which a terminal sends to all processes, to the run that ends it; dask calls this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _show_dashboard(client: Any, *, show: bool) -> None:
    """Say where to look, where there are bars."""
    if show and sys.stderr.isatty():
        tqdm.write(f"dask dashboard: {client.dashboard_link}", file=sys.stderr)
