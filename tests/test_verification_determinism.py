"""Same bits: alone or among others, in any arms, on any threads, after an interruption; and never stale physics."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from locokine.engine import batch
from locokine.engine.run import ArmRun
from locokine.population import draw
from locokine.scenario.experiment import Experiment
from locokine.trial.execute import run_experiment
from reference import COURSE, PACKAGE, differing, experiment, simulate

ARMS = {
    "untreated": [],
    "local": [COURSE.format(route="intratumoural")],
    "blood": [COURSE.format(route="intravenous")],
}


def column(run: ArmRun, subject: int) -> dict[str, bytes]:
    """All output of one subject."""
    at = list(run.subject_ids).index(subject)
    made = {
        name: np.ascontiguousarray(getattr(run, name)[..., at]).tobytes()
        for name in (
            "daily_lesion",
            "daily_body",
            "exposure",
            "dosed",
            "reached_plasma",
            "worst_grades",
            "cure_probability",
        )
    }
    rows = [i for i, s in enumerate(run.events["subject"]) if s == subject]
    made["events"] = repr([[run.events[name][i] for name in run.events] for i in rows]).encode()
    return made


def test_subject_17_alone_is_subject_17_of_100() -> None:
    """The same bits alone, among a hundred, at another place of a block, and from a larger population."""
    made = experiment(ARMS, subjects=100, geometry="shells", shells=6, rim_shells=2)
    everyone = simulate(made, "local")
    people = draw(made)
    wanted = column(everyone, 17)
    for first, count in ((17, 1), (3, 20), (16, 5)):
        assert column(batch.simulate_arm(made, people, "local", first, count), 17) == wanted
    more = made.changed(subjects=300)
    assert column(batch.simulate_arm(more, draw(more), "local", 17, 1), 17) == wanted


def test_chunks_join_to_the_whole() -> None:
    """An arm in pieces of any size is the arm: bits of everything but which subjects have fields."""
    made = experiment(ARMS, subjects=40)
    people = draw(made)
    whole = batch.simulate_arm(made, people, "local", 0, 40)
    parts = ArmRun.concatenate(
        [batch.simulate_arm(made, people, "local", a, n) for a, n in ((0, 16), (16, 7), (23, 17))]
    )
    for subject in (0, 15, 16, 22, 23, 39):
        assert column(whole, subject) == column(parts, subject)


def test_permuted_and_added_arms_change_nothing() -> None:
    """Arms in another order, and new arms with another agent beside them: the same bits in each arm."""
    plain = experiment(ARMS, subjects=20)
    turned = experiment(dict(reversed(ARMS.items())), subjects=20)
    more = experiment(
        {
            **ARMS,
            "inert": ["inert_protein 5 ug intratumoural in 0.1 mL daily days 3-9"],
            "vehicle": ["vehicle peritumoural in 0.2 mL at 2 mm daily days 10-14"],
        },
        subjects=20,
    )
    for arm in ARMS:
        first = simulate(plain, arm)
        assert differing(first, simulate(turned, arm)) == []
        among = simulate(more, arm)
        assert among.agents[:2] == first.agents[:2] if arm != "untreated" else True
        for subject in range(20):
            wanted, found = column(first, subject), column(among, subject)
            for name in ("daily_lesion", "daily_body", "worst_grades", "cure_probability", "events"):
                assert wanted[name] == found[name], (arm, subject, name)


def test_seed_matters() -> None:
    """Another seed, other hosts."""
    made = experiment(ARMS)
    assert (
        simulate(made, "local").daily_lesion.tobytes() != simulate(made.changed(seed=2), "local").daily_lesion.tobytes()
    )


@pytest.mark.parametrize("geometry", ["well-mixed", "shells"])
def test_one_and_two_threads(geometry: str) -> None:
    """The same bytes on one and on two threads."""
    made = experiment(ARMS, subjects=70, geometry=geometry, shells=4, rim_shells=2, follow_up="20 days")
    for arm in ARMS:
        assert differing(simulate(made, arm, threads=1), simulate(made, arm, threads=2)) == []


def _runs(made: Experiment, folder: Path, threads: int, stop_after: int | None = None) -> dict[str, ArmRun]:
    told = 0

    def progress(done: int, total: int, what: str) -> None:
        nonlocal told
        told += 1
        if stop_after is not None and told > stop_after:
            raise KeyboardInterrupt

    result = run_experiment(made, folder, threads=threads, progress=progress)
    return {**result.runs, **{f"{arm}-{line}": run for (arm, line), run in result.challenges.items()}}


def test_interrupted_and_resumed(tmp_path: Path) -> None:
    """Killed after any chunk and run again, the bits are those of an undisturbed run, on one thread and on two."""
    made = experiment(
        ARMS,
        subjects=80,
        follow_up="30 days",
        rechallenge={"lines": ["sl2"], "cells": "1e5 cells", "observe": "20 days"},
    )
    whole = _runs(made, tmp_path / "whole", 1)
    for stop, threads in ((1, 1), (4, 2), (7, 1)):
        folder = tmp_path / f"stopped{stop}"
        with pytest.raises(KeyboardInterrupt):
            _runs(made, folder, threads, stop)
        assert not (folder / "summary.json").exists()
        resumed = _runs(made, folder, threads)
        assert set(resumed) == set(whole)
        for name, run in whole.items():
            assert differing(run, resumed[name]) == []
        assert (folder / "summary.json").read_bytes() == (tmp_path / "whole" / "summary.json").read_bytes()


def test_population_is_a_named_stream() -> None:
    """A longer stream begins with the shorter one, and another parameter's stream is another one."""
    made = experiment(ARMS, subjects=50)
    few, many = draw(made, 10), draw(made, 50)
    assert few.names == many.names
    np.testing.assert_array_equal(few.values, many.values[:, :10])
    varied = [row for row in many.values if np.ptp(row) > 0.0]
    ranks = {tuple(np.argsort(row)) for row in varied}
    assert len(ranks) == len(varied)


def test_population_has_the_spread_of_its_records() -> None:
    """Log-sd of 4,000 hosts is the record's `between` (four standard errors of a standard deviation: 4.5 %)."""
    made = experiment(ARMS, subjects=4000)
    people, records = draw(made), made.records()
    checked = 0
    for name, record in records.items():
        if record.distribution == "lognormal" and record.between > 0.0:
            value, logs = people[name], np.log(people[name])
            if record.physical_low < value.min() and value.max() < record.physical_high:
                assert np.std(logs) == pytest.approx(record.between, rel=0.045), name
                assert np.median(logs) == pytest.approx(np.log(record.value), abs=5.0 * record.between / 4000**0.5), (
                    name
                )
                checked += 1
    assert checked > 10


# --- stale code ------------------------------------------------------------------------------------------------------

ASKING = """
from locokine._jit import kernel
from locokine.biology.receptors import secretion

@kernel
def ask(cells):
    return secretion(cells, 2.0)
"""
ASK = """
from asking import ask
from locokine._jit import cache_folder
print(repr(ask(1e9)), sum(ask.stats.cache_hits.values()), cache_folder().name)
"""


@pytest.mark.slow
def test_an_edited_law_is_seen_by_compiled_code(tmp_path: Path) -> None:
    """Copy the package, run a kernel, edit a law *in another file*, run again: the new physics, never the cached one.

    Numba's own cache looks only at the file of the kernel; unchanged sources must still be read from the cache.
    """
    shutil.copytree(PACKAGE, tmp_path / "locokine", ignore=shutil.ignore_patterns("__pycache__", "examples"))
    (tmp_path / "locokine" / "examples").mkdir()
    (tmp_path / "asking.py").write_text(ASKING, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "LOCOKINE_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("NUMBA_CACHE_DIR", None)

    def ask() -> tuple[float, int, str]:
        done = subprocess.run(
            [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True, cwd=tmp_path
        )
        value, hits, folder = done.stdout.split()
        return float(value), int(hits), folder

    first, again = ask(), ask()
    assert first[0] > 0.0
    assert (first[1], again[1]) == (0, 1)
    assert (again[0], again[2]) == (first[0], first[2])
    law = tmp_path / "locokine" / "biology" / "receptors.py"
    text = law.read_text(encoding="utf-8")
    assert text.count("return cells * rate * MOLECULE") == 1
    law.write_text(
        text.replace("return cells * rate * MOLECULE", "return 3.0 * cells * rate * MOLECULE"), encoding="utf-8"
    )
    edited = ask()
    assert edited[0] == pytest.approx(3.0 * first[0], rel=1e-12)
    assert edited[1] == 0
    assert edited[2] != first[2]


def test_the_key_of_the_cache_covers_what_is_compiled() -> None:
    """Every file of ours that a kernel imports lies in a folder that the hash reads."""
    from locokine import _jit

    for folder in ("biology", "tissue", "body", "engine"):
        assert folder in _jit.COMPILED
    assert _jit.source_hash() == _jit.source_hash(PACKAGE)
    assert dataclasses.is_dataclass(Experiment)
