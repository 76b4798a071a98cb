"""The first compile on two cores: what the other process is told is what is needed, and nothing depends on it."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from locokine._jit import cache_folder, numba
from locokine.engine import events, kernel, partners, settle, together
from locokine.engine.run import ArmRun
from reference import experiment, open_run, prepared, simulate

MODULES = {"kernel": kernel, "events": events, "partners": partners, "settle": settle}


class Compiled:
    """Stands for a function to be compiled: remembers that it was, and what to do then."""

    def __init__(self, name: str, then: Any = None) -> None:
        self.signatures: list[Any] = []
        self.then = then
        self.py_func = SimpleNamespace(__name__=name)

    def compile(self, signature: Any) -> None:
        if self.then is not None:
            self.then()
        self.signatures.append(signature)


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache and two cores."""
    monkeypatch.setenv("LOCOKINE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv(together.ALONE, raising=False)
    monkeypatch.setattr(together, "cores", lambda: 2)
    return tmp_path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Processes that were started."""
    made: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen

    def noted(*arguments: Any, **options: Any) -> Any:
        made.append(begin(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(together.subprocess, "Popen", noted)
    return made


def interpreter(folder: Path, text: str) -> str:
    """A program that stands for the other process's interpreter."""
    path = folder / "interpreter"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def block() -> tuple[Any, ...]:
    """A block, its plan and its output, as the engine is called with."""
    setting, made = prepared(experiment(subjects=1))
    return made, setting.plan, tuple(np.zeros((1,) * n) for n in (4, 3, 4, 3, 5))


def compile_with(step: Compiled) -> Compiled:
    """Compile a loop over time after its step."""
    whole = Compiled("advance_block")
    together.compile_first(whole, step, *block())
    return whole


def test_the_other_process_is_told_what_the_loop_needs() -> None:
    """Compiling the units for the signatures that the other process gets finds all of them in the cache of a run.

    A signature that is not the one needed would be compiled for nothing and the right one in line: slower, and silently so.
    """
    opened = open_run(experiment(subjects=1, follow_up="1 day"))
    if not any(cache_folder().rglob("*.nbi")):
        pytest.skip("the cache cannot be written here")
    out = (opened.daily_lesion, opened.daily_body, opened.series_lesion, opened.series_body, opened.fields)
    signatures = together.signatures_of(opened.block, opened.setting.plan, out)
    for module, name in (*kernel.UNITS, ("kernel", "step")):
        unit = getattr(MODULES[module], name)
        unit.compile(signatures[name])
        assert list(unit.signatures) == [signatures[name]]
        assert not unit.stats.cache_misses or unit.stats.cache_misses[signatures[name]] == 1
        files = list(cache_folder().rglob(f"*.{name}-*.nbc"))
        places = {file.parent for file in files}  # other clones of the same sources have theirs beside
        assert len(files) == len(places), f"{name} is compiled for several signatures"
    with together.helper(signatures) as other:  # a real one, which finds everything there already
        assert other is not None
        assert other.wait(120) == 0


def test_without_help_when_there_is_one_core(
    empty: Path, started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One core, a variable that says so, or a loop that is compiled already: no other process."""
    monkeypatch.setattr(together, "cores", lambda: 1)
    assert compile_with(Compiled("step")).signatures
    assert not started
    monkeypatch.setattr(together, "cores", lambda: 2)
    monkeypatch.setenv(together.ALONE, "1")
    assert compile_with(Compiled("step")).signatures
    assert not started
    monkeypatch.delenv(together.ALONE)
    cache_folder().mkdir(parents=True)
    (cache_folder() / "kernel.advance_block-1.py311.nbi").touch()
    assert compile_with(Compiled("step")).signatures
    assert not started


def test_without_help_when_the_cache_cannot_be_written(empty: Path, started: list[Any]) -> None:
    """Here a file lies where the folder should be."""
    (empty / "cache").touch()
    assert compile_with(Compiled("step")).signatures
    assert not started


def test_another_process_that_cannot_start(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are compiled here all the same."""
    monkeypatch.setattr(sys, "executable", str(empty / "no such program"))
    step = Compiled("step")
    assert compile_with(step).signatures
    assert step.signatures


def test_another_process_that_dies(empty: Path, started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, not having read what it was told."""
    monkeypatch.setattr(sys, "executable", interpreter(empty, "exit 3"))
    assert compile_with(Compiled("step")).signatures
    assert [one.returncode for one in started] == [3]


def test_another_process_that_hangs(empty: Path, started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for, but not for ever, and ended."""
    monkeypatch.setattr(sys, "executable", interpreter(empty, "exec sleep 60"))
    monkeypatch.setattr(together, "PATIENCE", 0.2)
    assert compile_with(Compiled("step")).signatures
    assert [one.returncode for one in started] == [-9]


def test_interruption_ends_the_other_process(empty: Path, started: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while this process compiles: no process stays behind, and numba is as it was."""
    monkeypatch.setattr(sys, "executable", interpreter(empty, "exec sleep 60"))
    before = numba.core.codegen.CPUCodeLibrary._optimize_functions

    def interrupt() -> None:
        assert numba.core.codegen.CPUCodeLibrary._optimize_functions is not before
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_with(Compiled("step", interrupt))
    assert [one.returncode for one in started] == [-9]
    assert numba.core.codegen.CPUCodeLibrary._optimize_functions is before


def test_other_sources_compile_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose sources are not ours (installed elsewhere, edited meanwhile) stops."""
    monkeypatch.setattr(together, "source_hash", lambda: "of other sources")
    with together.helper({}) as other:
        assert other is not None
        assert other.wait(120) == 1


def test_numba_whose_insides_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what `once_only` replaces, it replaces nothing."""
    monkeypatch.delattr(numba.core.codegen.CPUCodeLibrary, "_optimize_functions")
    with together.once_only():
        assert not hasattr(numba.core.codegen.CPUCodeLibrary, "_optimize_functions")


def test_runs_are_the_same_after_either() -> None:
    """Threads that begin together wait for one compile: the same bits as one after the other."""
    made = experiment(subjects=40, follow_up="2 days")
    runs: list[ArmRun] = [simulate(made, threads=threads) for threads in (2, 1)]
    assert runs[0].daily_lesion.tobytes() == runs[1].daily_lesion.tobytes()
