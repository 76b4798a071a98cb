"""Real worker processes: the same bits as without a cluster, and nothing lost when one of them is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from locokine.engine.run import ArmRun
from locokine.errors import InputError
from locokine.results.result import Result
from locokine.scenario.experiment import Experiment
from locokine.scenario.load import load
from locokine.trial import cluster, execute
from reference import differing

pytest.importorskip("distributed", reason="the optional group `cluster` is not installed")

SUBJECTS = 48
CHUNK = 16
"""One block of the engine: many pieces, so that a worker is surely killed while it works."""


@pytest.fixture(scope="module")
def experiment(examples: Path) -> Experiment:
    """Two arms and a rechallenge, well mixed and short."""
    found = load(examples / "local_versus_systemic.yaml", subjects=SUBJECTS)
    protocol = found.protocol
    assert protocol.rechallenge is not None
    again = replace(protocol.rechallenge, lines=protocol.rechallenge.lines[:1], observe=20.0)
    protocol = replace(
        protocol, arms=(protocol.arms[0], protocol.arms[-1]), follow_up=30 * 24.0, geometry="well-mixed", rechallenge=again
    )
    return replace(found, protocol=protocol)


@pytest.fixture(scope="module")
def alone(experiment: Experiment) -> Result:
    """The same experiment in this process, in one piece an arm."""
    return execute.run_experiment(experiment, threads=2)


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "CHUNK", CHUNK)


class Processes:
    """A scheduler and two workers without a nanny: a worker that is killed stays dead."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.folder = folder
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        self.workers = [self.worker() for _ in range(2)]

    def worker(self) -> subprocess.Popen[bytes]:
        return self._start(
            "worker", self.address, "--no-nanny", "--nthreads", "1", "--no-dashboard",
            "--local-directory", str(self.folder), "--death-timeout", "60",
        )  # fmt: skip

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "dask", *words]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path)
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:  # the scheduler needs a moment to listen
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(made.address.rpartition(":")[2]))) == 0:
                break
        time.sleep(0.1)
    yield made
    made.stop()


STORED = ("subject_ids", "daily_lesion", "daily_body", "exposure", "dosed", "worst_grades", "cure_probability", "events")


def apart(one: Result, two: Result) -> list[str]:
    """Which arrays, events and rechallenges of two results are not the same to the bit."""
    if set(one.runs) != set(two.runs) or set(one.challenges) != set(two.challenges):
        return ["arms or rechallenges"]
    pairs: dict[object, tuple[ArmRun, ArmRun]] = {name: (one.runs[name], two.runs[name]) for name in one.runs}
    pairs |= {key: (one.challenges[key], two.challenges[key]) for key in one.challenges}
    return [f"{key}: {name}" for key, (a, b) in pairs.items() for name in STORED if name in differing(a, b)]


@pytest.mark.slow
def test_a_worker_killed_in_mid_run_loses_nothing(
    experiment: Experiment, alone: Result, processes: Processes, pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 60.0)  # workers import the package on a busy machine
    killed: list[tuple[int, int]] = []

    def progress(done: int, total: int, what: str) -> None:
        # the first piece is back: by now both workers are at another, or soon will be
        if not killed and 0 < done < SUBJECTS and len(_connected(processes.address)) == 2:
            victim = processes.workers[0]
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()
            killed.append((done, total))

    result = execute.run_experiment(experiment, cluster=processes.address, progress=progress)
    assert killed, "nobody was killed: the test has shown nothing"
    assert processes.workers[0].returncode == -signal.SIGKILL
    assert len(_connected(processes.address)) == 1
    assert apart(result, alone) == []


def _connected(address: str) -> dict[str, Any]:
    """Workers that a scheduler knows, asked from outside."""
    from distributed import Client

    with Client(address, set_as_default=False, timeout=60) as client:
        return client.scheduler_info(n_workers=-1)["workers"]


@pytest.mark.slow
def test_a_local_cluster_gives_the_same_bits_and_goes_on_with_what_was_finished(
    experiment: Experiment, alone: Result, tmp_path: Path, pieces: None
) -> None:
    class StopError(Exception):
        pass

    def stop(done: int, total: int, what: str) -> None:
        if done >= 2 * CHUNK:
            raise StopError

    with pytest.raises(StopError):
        execute.run_experiment(experiment, tmp_path / "out", threads=1, progress=stop)
    kept = sorted(path.name for path in (tmp_path / "out" / execute.WORK).glob("arm*.npz"))
    assert kept == ["arm0-0.npz", "arm0-16.npz"]
    before = {name: (tmp_path / "out" / execute.WORK / name).stat().st_mtime_ns for name in kept}
    seen: dict[str, int] = {}

    def watch(done: int, total: int, what: str) -> None:
        work = tmp_path / "out" / execute.WORK
        seen.update({name: (work / name).stat().st_mtime_ns for name in kept if (work / name).exists()})

    result = execute.run_experiment(experiment, tmp_path / "out", threads=2, cluster="local", progress=watch)
    assert seen == before, "a finished piece was simulated again"
    assert apart(result, alone) == []


# ---------------------------------------------------------------------- what is said when it cannot be used
def test_an_address_that_is_none(experiment: Experiment) -> None:
    with pytest.raises(InputError, match=r"--cluster: 'here' is not an address; write tcp://HOST:PORT"):
        execute.run_experiment(experiment, cluster="here")
    with pytest.raises(InputError, match="is not an address"):
        execute.run_experiment(experiment, cluster="nonsense://127.0.0.1:1")


def test_a_cluster_that_does_not_answer(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 0.5)
    with pytest.raises(InputError, match=r"tcp://127.0.0.1:1 does not answer within 0.5 s; check the address"):
        execute.run_experiment(experiment, cluster="tcp://127.0.0.1:1")


def test_a_cluster_without_workers(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(cluster, "ANSWER", 2.0)
    with (
        LocalCluster(n_workers=0, dashboard_address=None, silence_logs=50) as made,
        pytest.raises(InputError, match=r"the scheduler has no workers; start some"),
    ):
        execute.run_experiment(experiment, cluster=made.scheduler_address)


class FakeClient:
    """Stands for a connection: what workers there are and what they say of themselves."""

    def __init__(self, **workers: tuple[str, str, str]) -> None:
        self.workers = workers
        self.status = "running"

    def wait_for_workers(self, count: int, timeout: float) -> None:
        assert len(self.workers) >= count

    def run(self, function: Any) -> dict[str, tuple[str, str, str]]:
        return self.workers

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": self.workers}


def test_workers_with_other_code_are_refused(experiment: Experiment) -> None:
    version, code, processor = cluster._about()
    with pytest.raises(InputError, match=r"the worker b has locokine 9\.9\.9 with other code; install locokine"):
        cluster._ready(FakeClient(a=(version, code, processor), b=("9.9.9", "other", processor)), experiment)  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="another type of processor"):
        cluster._ready(FakeClient(a=(version, code, "abacus")), experiment)  # type: ignore[arg-type]
    cluster._same_code(code)
    with pytest.raises(InputError, match="a worker has other code than this process"):
        cluster._same_code("other")


def test_a_cluster_that_has_lost_all_workers_is_not_waited_for(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sent:
        def next_batch(self, block: bool) -> list[Any]:
            return []

    monkeypatch.setattr(cluster, "PATIENCE", 0.1)
    client = FakeClient()
    workers = cluster.Workers(client, experiment)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="all workers are gone; start some and run the same command again"):
        workers._finished(Sent())
    client.status = "closed"
    with pytest.raises(InputError, match="the scheduler no longer answers"):
        workers._finished(Sent())
