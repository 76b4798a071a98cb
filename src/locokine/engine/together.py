"""The first compile on two cores: another process compiles half of the engine's units into the same cache.

Numba compiles in one thread, and its cache makes what one process has compiled known to the next. So before the first run on
a machine a second interpreter compiles the `UNITS` of the loop over time while this one compiles its step; then the loop
itself finds all of them. Without a second core, without a cache that can be written, or if the other process fails, this one
compiles everything alone, as it would have done anyway: nothing but time depends on the other one.
"""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from locokine._jit import PACKAGE, cache_folder, numba, source_hash
from locokine.processors import cores

ALONE = "LOCOKINE_COMPILE_ALONE"
"""Environment variable: set (to anything) it keeps the engine from starting another process to compile."""
PATIENCE = 300.0
"""Seconds that are waited for the other process after this one is done; far more than it takes."""
LOCK = threading.Lock()


def signatures_of(b: Any, plan: Any, arrays: tuple[Any, ...]) -> dict[str, tuple[Any, ...]]:
    """Numba's types of what the loop over time is called with, and of what it calls its step and the `UNITS` with."""
    block, schedule, present, *out = (numba.typeof(value) for value in (b, plan, b.present, *arrays))
    whole, place, real = numba.int64, numba.uint64, numba.float64
    return {
        "advance_block": (block, schedule, *out),
        "step": (block, schedule, whole, real, real, present),
        "implant_due": (block, schedule, real, real),
        "write_outputs": (block, schedule, whole, real, whole, whole, whole, out[0], out[1], out[4]),
        "give": (block, schedule, whole, place, real),
        "act": (block, schedule, real),
    }


def worthwhile(whole: Any) -> bool:
    """Whether a second process can help: two cores, nothing compiled yet, and a cache that both can write."""
    if os.environ.get(ALONE) or not sys.executable or cores() < 2:
        return False
    folder = cache_folder()
    if folder.exists() and any(folder.rglob(f"*.{whole.py_func.__name__}-*.nbi")):
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def compile_first(whole: Any, step: Any, b: Any, plan: Any, arrays: tuple[Any, ...]) -> None:
    """Compile the loop over time and before it its step, and meanwhile the `UNITS` in another process.

    Threads that come meanwhile wait; what is in the cache is read from it.
    """
    with LOCK:
        if whole.signatures:
            return
        signatures = signatures_of(b, plan, arrays)
        with once_only():
            if worthwhile(whole):
                with helper(signatures) as other:
                    step.compile(signatures["step"])
                    if other is not None:
                        wait(other)
            whole.compile(signatures["advance_block"])


@contextmanager
def helper(signatures: dict[str, Any]) -> Iterator[subprocess.Popen[bytes] | None]:
    """The other process, ended with the block if it has not ended itself; None if it cannot be started."""
    path = os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        other = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, ALONE: "1"},
        )
    except OSError:
        yield None
        return
    try:
        try:
            assert other.stdin is not None
            other.stdin.write(pickle.dumps((source_hash(), signatures)))
            other.stdin.close()
        except OSError:  # it is gone already
            pass
        yield other
    finally:
        if other.poll() is None:
            other.kill()
        other.wait()


def wait(other: subprocess.Popen[bytes]) -> None:
    """Wait until the other process is done, but not for ever."""
    with suppress(subprocess.TimeoutExpired):
        other.wait(PATIENCE)


@contextmanager
def once_only() -> Iterator[None]:
    """Let numba optimise whole modules only, as it does anyway, and not each function by itself before: a sixth of the time."""
    library: Any = getattr(numba.core.codegen, "CPUCodeLibrary", None)
    before = getattr(library, "_optimize_functions", None)
    if before is None:  # another numba
        yield
        return

    def laid_out(self: Any, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    library._optimize_functions = laid_out
    try:
        yield
    finally:
        library._optimize_functions = before


def main() -> int:
    """Compile the units whose signatures come over the standard input; 0 if all of them were."""
    code, signatures = pickle.loads(sys.stdin.buffer.read())
    if code != source_hash():
        return 1
    units = importlib.import_module("locokine.engine.kernel").UNITS
    with once_only():
        for module, name in units:
            getattr(importlib.import_module(f"locokine.engine.{module}"), name).compile(signatures[name])
    return 0


if __name__ == "__main__":
    sys.exit(main())
