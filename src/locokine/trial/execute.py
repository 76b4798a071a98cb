"""Run every arm of an experiment, in pieces that survive an interruption.

Subjects are simulated in chunks; each finished chunk is one file, written whole or not at all, in a hidden folder of
the output folder. A run that was killed finds them and goes on; since the bits of a subject do not depend on the chunk
it is in, the result is the same. What identifies a run is its resolved input and the version of locokine.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

import locokine.outcome  # noqa: F401  tells results how outcomes are read
from locokine import __version__
from locokine.engine.run import ArmRun
from locokine.errors import InputError
from locokine.processors import cores
from locokine.results.result import NAIVE, Result
from locokine.results.schema import plain
from locokine.results.store import FILES, disk_errors, read_manifest, write_atomic
from locokine.trial.finite import check_finite

if TYPE_CHECKING:
    from locokine.scenario.load import Experiment

CHUNK = 64
"""Subjects per chunk."""
LARGE = 2**26
"""Bytes from which an array of all subjects of an arm lies in a file."""
WORK = ".locokine-run"
"""Hidden folder of an unfinished run inside the output folder."""

Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, what)`: hosts simulated, hosts in all, what is next."""


@dataclass(frozen=True)
class _Engine:
    draw: Callable[..., Any]
    simulate_arm: Callable[..., ArmRun]
    simulate_rechallenge: Callable[..., ArmRun | None]


def _engine() -> _Engine:
    """The engine, imported when it is needed: compiling takes seconds."""
    from locokine.engine.batch import simulate_arm, simulate_rechallenge
    from locokine.population import draw

    return _Engine(draw, simulate_arm, simulate_rechallenge)


def _code_hash() -> str:
    from locokine._jit import source_hash

    return source_hash()


def _hash(content: Any) -> str:
    text = json.dumps(plain(content), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def make_manifest(experiment: Experiment, command: str = "run") -> dict[str, Any]:
    """Facts that identify a run; see `Result`. The same input and version give the same manifest."""
    resolved = experiment.resolved()
    host = experiment.library.hosts[experiment.host]
    return {
        "experiment": experiment.name,
        "version": __version__,
        "seed": experiment.seed,
        "subjects": experiment.subjects,
        "command": command,
        "criteria": host.meta.get("criteria", "caliper"),
        "input_hash": _hash([experiment.name, resolved, experiment.subjects, experiment.seed, __version__]),
        "library_hash": str(experiment.library.digest),
        "code": _code_hash(),
    }


def run_experiment(
    experiment: Experiment,
    out: Path | str | None = None,
    threads: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    *,
    full: bool = False,
    cluster: str | None = None,
) -> Result:
    """Simulate all arms, and the rechallenge if there is one.

    Parameters
    ----------
    experiment
        What to run.
    out
        Folder for the result; None keeps it in memory. A finished result of the same run there is opened instead; an
        unfinished one is continued.
    threads
        Threads to use; None takes all processors. The bits of the result do not depend on it.
    force
        Whether a result of another run in that folder may be replaced (it is, once this run has succeeded), and a
        result of the same run computed again.
    progress
        Told after every chunk.
    full
        Store the day values of all subjects, not only of the first 50.
    cluster
        Address of a Dask scheduler (`tcp://HOST:PORT`), or "local" for worker processes on this machine; None computes
        in this process. The bits of the result do not depend on it as long as all processors are of one type.

    Raises
    ------
    InputError
        If the folder holds another run, cannot be written, or the disk is full; if the cluster cannot be used.
    KeyboardInterrupt
        Passed on; the same call then continues.
    """
    threads = threads or cores()
    manifest = make_manifest(experiment)
    if out is None:
        with _workforce(experiment, threads, cluster) as workforce:
            runs, challenges = _simulate(experiment, _Memory(), workforce, progress)
        return Result(manifest, experiment.protocol, runs, challenges, experiment.resolved())
    folder = Path(out)
    finished = _check_folder(folder, manifest, force)
    if finished:
        shutil.rmtree(folder / WORK, ignore_errors=True)
        return Result.open(folder)
    chunks = _Chunks.start(folder, manifest, force)
    with _workforce(experiment, threads, cluster) as workforce:
        runs, challenges = _simulate(experiment, chunks, workforce, progress)
    result = Result(manifest, experiment.protocol, runs, challenges, experiment.resolved())
    result.save(folder, full=full)
    chunks.remove()
    return result


# ---------------------------------------------------------------------- the folder
def _check_folder(folder: Path, manifest: dict[str, Any], force: bool) -> bool:
    """Whether `folder` holds this very run, finished. Complains about another run unless `force`."""
    if folder.exists() and not folder.is_dir():
        raise InputError(str(folder), "is a file, not a folder", "choose another --out")
    if force:
        return False
    remedy = "choose another --out, or replace it with --force"
    try:
        found = read_manifest(folder)
    except InputError as error:
        raise InputError(error.place, error.problem, remedy) from error
    if found is not None:
        if found["input_hash"] == manifest["input_hash"]:
            if found.get("code", manifest["code"]) != manifest["code"]:
                raise InputError(str(folder), "holds the result of this run, made by other equations of the same version", remedy)
            return True
        raise InputError(str(folder), f"holds the result of another run ({_describe(found, manifest)})", remedy)
    started = _read_identity(folder / WORK)
    if started is not None and started["input_hash"] != manifest["input_hash"]:
        raise InputError(str(folder), f"holds another run, unfinished ({_describe(started, manifest)})", remedy)
    if started is None and any((folder / name).exists() for name in FILES):
        raise InputError(str(folder), "holds files of a result that is not whole", remedy)
    return False


def _describe(found: dict[str, Any], manifest: dict[str, Any]) -> str:
    """In what the run that was found differs, as far as names and numbers tell."""
    for name in ("experiment", "version", "seed", "subjects"):
        if found.get(name) != manifest[name]:
            return f"{name} {found.get(name)}, not {manifest[name]}"
    return f"{found.get('experiment')} with other settings"


def _read_identity(work: Path) -> dict[str, Any] | None:
    try:
        return json.loads((work / "identity.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class _Memory:
    """Keeps no chunks: for a run in memory."""

    def has(self, name: str) -> bool:
        """Never."""
        return False

    def get(self, name: str) -> ArmRun | None:
        """Nothing."""
        return None

    def need(self, name: str) -> ArmRun:
        """Nobody asks: all parts are kept."""
        raise KeyError(name)

    def put(self, name: str, run: ArmRun) -> ArmRun | None:
        """The run itself: nobody else has it."""
        return run

    def room(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Memory."""
        return np.empty(shape, dtype)


class _Chunks:
    """Finished chunks of a run, one file each."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.files = 0

    @classmethod
    def start(cls, folder: Path, manifest: dict[str, Any], force: bool) -> _Chunks:
        """Open the chunks of this run, or start anew if there are none or other code made them."""
        work = folder / WORK
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if force or _read_identity(work) != json.loads(json.dumps(manifest)):
                if work.exists():
                    shutil.rmtree(work)
                work.mkdir()
                text = json.dumps(manifest, indent=2).encode()
                write_atomic(work / "identity.json", lambda stream: stream.write(text))
        return cls(work)

    def has(self, name: str) -> bool:
        """Whether a chunk was finished before and can be read."""
        return self.get(name) is not None

    def need(self, name: str) -> ArmRun:
        """A chunk that has been put here."""
        found = self.get(name)
        if found is None:
            raise InputError(str(self.work), f"{name}.npz has gone or changed during the run", "start the run again; it goes on")
        return found

    def get(self, name: str) -> ArmRun | None:
        """A chunk that was finished before; None if there is none, or it cannot be read."""
        try:
            return ArmRun.load(self.work / f"{name}.npz")
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def put(self, name: str, run: ArmRun) -> ArmRun | None:
        """Keep a finished chunk; None: it need not stay in memory."""
        with disk_errors(self.work.parent):
            write_atomic(self.work / f"{name}.npz", run.save)
        return None

    def room(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Memory for what is small, a file for the day values of very many subjects (the system keeps of it what fits)."""
        if np.prod(shape) * np.dtype(dtype).itemsize < LARGE:
            return np.empty(shape, dtype)
        self.files += 1
        with disk_errors(self.work.parent):
            return np.lib.format.open_memmap(self.work / f"joined{self.files}.npy", "w+", dtype, shape)

    def remove(self) -> None:
        """Drop all chunks: the result is written."""
        shutil.rmtree(self.work, ignore_errors=True)


# ---------------------------------------------------------------------- who does the work
class Piece(NamedTuple):
    """A part of an arm: its name on disk, the arm, its first subject and how many."""

    name: str
    arm: str
    first: int
    subjects: int


class Challenge(NamedTuple):
    """A rechallenge: its name on disk, the arm whose cured hosts are challenged (or "naive"), the line."""

    name: str
    arm: str
    line: str


class Workforce(Protocol):
    """Whoever simulates: the threads of this process, or the workers of a cluster (`trial.cluster`)."""

    def arms(self, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, ArmRun]]:
        """Simulate pieces; they come back in any order."""
        ...

    def challenges(
        self, wanted: Sequence[Challenge], runs: Mapping[str, ArmRun]
    ) -> Iterator[tuple[Challenge, ArmRun | None]]:
        """Challenge the cured hosts of arms; None where there are none."""
        ...


class _Threads:
    """Simulates in this process, piece after piece."""

    def __init__(self, experiment: Experiment, threads: int) -> None:
        self.experiment, self.threads, self.engine = experiment, threads, _engine()
        self.population = self.engine.draw(experiment)

    def arms(self, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, ArmRun]]:
        for piece in pieces:
            yield piece, self.engine.simulate_arm(
                self.experiment, self.population, piece.arm, piece.first, piece.subjects, self.threads
            )

    def challenges(
        self, wanted: Sequence[Challenge], runs: Mapping[str, ArmRun]
    ) -> Iterator[tuple[Challenge, ArmRun | None]]:
        for item in wanted:
            yield item, self.engine.simulate_rechallenge(
                self.experiment, self.population, runs.get(item.arm), item.line, self.threads
            )


@contextmanager
def _workforce(experiment: Experiment, threads: int, cluster: str | None) -> Iterator[Workforce]:
    if cluster is None:
        yield _Threads(experiment, threads)
        return
    from locokine.trial.cluster import connected

    with connected(experiment, cluster, threads) as workers:
        yield workers


# ---------------------------------------------------------------------- simulating
def _simulate(
    experiment: Experiment, chunks: _Chunks | _Memory, workforce: Workforce, progress: Progress | None
) -> tuple[dict[str, ArmRun], dict[tuple[str, str], ArmRun]]:
    protocol, again = experiment.protocol, experiment.protocol.rechallenge
    lines = again.lines if again else ()
    total = experiment.subjects * (len(protocol.arms) + len(lines))  # cured hosts come on top when they are known
    done = 0

    def tell(what: str) -> None:
        if progress:
            progress(done, max(total, done), what)

    pieces = [
        Piece(f"arm{number}-{first}", arm.name, first, min(CHUNK, experiment.subjects - first))
        for number, arm in enumerate(protocol.arms)
        for first in range(0, experiment.subjects, CHUNK)
    ]
    missing = [piece for piece in pieces if not chunks.has(piece.name)]
    done = sum(piece.subjects for piece in pieces) - sum(piece.subjects for piece in missing)
    tell(missing[0].arm if missing else "rechallenge")
    kept: dict[str, ArmRun | None] = {}
    for piece, part in workforce.arms(missing):
        check_finite(part)
        kept[piece.name] = chunks.put(piece.name, part)
        done += piece.subjects
        tell(piece.arm)
    runs = {
        arm.name: ArmRun.gather(
            (kept.get(piece.name) or chunks.need(piece.name) for piece in pieces if piece.arm == arm.name),
            experiment.subjects, chunks.room,
        )
        for arm in protocol.arms
    }
    wanted = [
        Challenge(f"challenge{number}-{place}", arm, line)
        for number, line in enumerate(lines)
        for place, arm in enumerate([NAIVE, *runs])
    ]
    found: dict[str, ArmRun] = {item.name: run for item in wanted if (run := chunks.get(item.name)) is not None}
    done += sum(run.subjects for run in found.values())
    tell("rechallenge" if wanted else "finished")
    for item, run in workforce.challenges([item for item in wanted if item.name not in found], runs):
        if run is not None:
            check_finite(run)
            found[item.name] = replace(run, end_state=None)
            chunks.put(item.name, found[item.name])
            done += run.subjects
        tell(f"{item.arm} challenged with {item.line}")
    tell("finished")
    challenges = {(item.arm, item.line): found[item.name] for item in wanted if item.name in found}
    return {arm: replace(run, end_state=None) for arm, run in runs.items()}, challenges


def is_finished(experiment: Experiment, folder: Path | str) -> bool:
    """Whether a folder holds the finished result of this very experiment; one that cannot be read holds none."""
    try:
        found = read_manifest(Path(folder))
    except InputError:
        return False
    wanted = make_manifest(experiment)
    return found is not None and found["input_hash"] == wanted["input_hash"] and found.get("code") == wanted["code"]
