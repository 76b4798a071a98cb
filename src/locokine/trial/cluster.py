"""Workers of a Dask cluster (Rocklin 2015, doi:10.25080/Majora-7b98e3ed-013): the same pieces, simulated elsewhere.

A piece is a part of an arm, named by its first subject; its bits depend on nothing but the experiment, so that it does
not matter which worker does it, in which order, or how often. A worker that dies loses only the piece it was at: the
scheduler gives it to another. Finished pieces travel as files (`ArmRun.save`) and are kept as those of a run without a
cluster, so that either can go on with what the other began.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

from locokine import __version__
from locokine.engine.run import ArmRun
from locokine.errors import InputError
from locokine.trial.execute import Challenge, Piece

if TYPE_CHECKING:
    from distributed import Client

    from locokine.scenario.experiment import Experiment

PLACE = "--cluster"
LOCAL = "local"
ANSWER = 10.0
"""Seconds within which a scheduler must answer and have a worker."""
PATIENCE = 60.0
"""Seconds without any worker or finished piece after which a cluster without workers counts as lost."""
DEATHS = 5
"""Workers that may die on one piece before it is held to be the cause."""
WAITING = 4
"""Pieces on their way for each thread of the cluster: enough to keep it busy, few enough for its memory."""


# --- on the worker ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _prepared(content: bytes) -> tuple[Experiment, Any]:
    from locokine.population import draw

    experiment = pickle.loads(content)
    return experiment, draw(experiment)


def _bytes(run: ArmRun | None) -> bytes | None:
    if run is None:
        return None
    stream = BytesIO()
    run.save(stream)
    return stream.getvalue()


def _same_code(code: str) -> None:
    """Refuse to work with other code than the client's: its bits would be other bits."""
    from locokine._jit import source_hash

    if source_hash() != code:
        raise InputError(
            PLACE, "a worker has other code than this process", f"install locokine {__version__} on every worker"
        )


def _simulate_piece(content: bytes, code: str, arm: str, first: int, count: int) -> bytes | None:
    """A piece of an arm, as the bytes of its file."""
    from locokine.engine.batch import simulate_arm

    _same_code(code)
    experiment, population = _prepared(content)
    return _bytes(simulate_arm(experiment, population, arm, first, count, 1))


def _simulate_challenge(content: bytes, code: str, run: bytes | None, line: str) -> bytes | None:
    """A rechallenge of the hosts of `run` (None: naive ones), as the bytes of its file."""
    from locokine.engine.batch import simulate_rechallenge

    _same_code(code)
    experiment, population = _prepared(content)
    hosts = None if run is None else ArmRun.load(BytesIO(run))
    return _bytes(simulate_rechallenge(experiment, population, hosts, line, 1))


def _about() -> tuple[str, str, str]:
    """Version, code and processor type of a worker."""
    from llvmlite.binding import get_host_cpu_name

    from locokine._jit import source_hash

    return __version__, source_hash(), get_host_cpu_name()


# --- here ------------------------------------------------------------------------------------------------------------


class Workers:
    """A `Workforce` of Dask workers."""

    def __init__(self, client: Client, experiment: Experiment) -> None:
        from locokine._jit import compiled_before, source_hash

        self.client, self.code = client, source_hash()
        self.content = pickle.dumps(experiment, protocol=5)
        self.warm = compiled_before()

    def arms(self, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, ArmRun]]:
        """Simulate pieces; they come back in any order."""
        waiting = list(pieces)
        if waiting and not self.warm:  # the first compiles for all: workers of one machine share the compiled code
            first = waiting.pop(0)
            yield from self._gathered({self._submitted(first): first})
            self.warm = True
        yield from self._gathered({}, waiting)

    def challenges(
        self, wanted: Sequence[Challenge], runs: Mapping[str, ArmRun]
    ) -> Iterator[tuple[Challenge, ArmRun | None]]:
        """Challenge the cured hosts of arms; None where there are none."""
        light = {arm: _bytes(_for_challenge(run)) for arm, run in runs.items()}
        sent = {
            self.client.submit(
                _simulate_challenge, self.content, self.code, light.get(item.arm), item.line, pure=False
            ): item
            for item in wanted
        }
        yield from self._gathered(sent)

    def _submitted(self, piece: Piece) -> Any:
        return self.client.submit(
            _simulate_piece, self.content, self.code, piece.arm, piece.first, piece.subjects, pure=False
        )

    def _gathered(self, sent: dict[Any, Any], waiting: Sequence[Piece] = ()) -> Iterator[tuple[Any, Any]]:
        """Results as they come; a finished piece makes room for one that waits."""
        from distributed import as_completed

        queue = list(reversed(waiting))
        room = WAITING * max(sum(worker["nthreads"] for worker in self._workers().values()), 1)
        while queue and len(sent) < room:
            piece = queue.pop()
            sent[self._submitted(piece)] = piece
        finished = as_completed(list(sent), loop=self.client.loop, raise_errors=False)
        try:
            while sent:
                for future in self._finished(finished):
                    item, content = sent.pop(future), self._result(future)
                    if queue:
                        following = queue.pop()
                        sent[new := self._submitted(following)] = following
                        finished.add(new)
                    yield item, None if content is None else ArmRun.load(BytesIO(content))
        finally:
            if self.client.status == "running":
                self.client.cancel(list(sent))

    def _workers(self) -> dict[str, Any]:
        return self.client.scheduler_info(n_workers=-1)["workers"]

    def _finished(self, sent: Any) -> list[Any]:
        """The next finished ones; complains if none can come any more."""
        from time import monotonic, sleep

        since = monotonic()
        while not (batch := sent.next_batch(block=False)):
            if self._alive():
                since = monotonic()
            elif monotonic() - since > PATIENCE:
                raise InputError(
                    PLACE, "all workers are gone", "start some and run the same command again: what is finished is kept"
                )
            sleep(0.05)
        return batch

    def _alive(self) -> bool:
        """Whether there is a worker; complains if there is no scheduler any more."""
        if self.client.status != "running":
            raise _lost()
        return bool(self._workers())

    def _result(self, future: Any) -> bytes | None:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            return future.result()
        except FutureCancelledError:
            raise _lost() from None
        except KilledWorker:
            raise InputError(
                PLACE, f"{DEATHS} workers died on the same piece", "give them more memory, or run without --cluster"
            ) from None
        except (ModuleNotFoundError, AttributeError, pickle.UnpicklingError) as error:
            raise InputError(
                PLACE, f"a worker cannot run locokine ({error})", f"install locokine {__version__} on every worker"
            ) from None


def _lost() -> InputError:
    return InputError(
        PLACE, "the scheduler no longer answers", "start it and run the same command again: what is finished is kept"
    )


def _for_challenge(run: ArmRun) -> ArmRun:
    """What a rechallenge needs of an arm: its hosts, their events and the state in which they ended."""
    names = ("daily_lesion", "daily_body", "series_lesion", "series_body", "fields")
    return replace(run, **{name: getattr(run, name)[..., :0] for name in names})


@contextmanager
def connected(experiment: Experiment, address: str, threads: int) -> Iterator[Workers]:
    """Workers for as long as the block lasts.

    Parameters
    ----------
    experiment
        What they simulate.
    address
        Of a scheduler, or "local" for processes on this machine.
    threads
        Processes to start for "local".

    Raises
    ------
    InputError
        If Dask is not installed, the address is none, nobody answers there, there are no workers, or they have other
        code.
    """
    try:
        from dask import config
        from distributed import Client, LocalCluster
    except ImportError:
        raise InputError(PLACE, "needs Dask, which is not installed", "pip install 'locokine[cluster]'") from None
    quiet = {
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.logging.distributed": "error",
        "distributed.worker.daemon": True,
    }
    with config.set(quiet):
        if address == LOCAL:
            cluster = LocalCluster(
                n_workers=threads, threads_per_worker=1, processes=True, silence_logs=50,
                dashboard_address=None,  # type: ignore[arg-type]
            )
            with cluster, Client(cluster) as client:
                yield _ready(client, experiment)
            return
        with _client(address) as client:
            yield _ready(client, experiment)


def _client(address: str) -> Client:
    from distributed import Client

    form = "write tcp://HOST:PORT of a running `dask scheduler`, or local"
    if "://" not in address:
        raise InputError(PLACE, f"'{address}' is not an address", form)
    try:
        return Client(address, timeout=ANSWER, set_as_default=False)
    except (OSError, TimeoutError):
        raise InputError(
            PLACE, f"{address} does not answer within {ANSWER:g} s", "check the address and that the scheduler runs"
        ) from None
    except ValueError as error:
        raise InputError(PLACE, f"'{address}' is not an address ({error})", form) from None


def _ready(client: Client, experiment: Experiment) -> Workers:
    """Workers that answer and have this very code."""
    try:
        client.wait_for_workers(1, timeout=ANSWER)
    except TimeoutError:
        raise InputError(PLACE, "the scheduler has no workers", "start some: `dask worker ADDRESS`") from None
    try:
        found: Any = client.run(_about)
    except (ModuleNotFoundError, AttributeError) as error:
        raise InputError(
            PLACE, f"a worker cannot run locokine ({error})", f"install locokine {__version__} on every worker"
        ) from None
    mine = _about()
    for worker, about in found.items():
        if about[:2] != mine[:2]:
            raise InputError(
                PLACE, f"the worker {worker} has locokine {about[0]} with other code", f"install locokine {__version__} there"
            )
        if about[2] != mine[2]:
            import warnings

            warnings.warn(
                f"the worker {worker} has another type of processor ({about[2]}, not {mine[2]}): results agree to 1e-9, "
                "not to the bit",
                stacklevel=2,
            )
    return Workers(client, experiment)
