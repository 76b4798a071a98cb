"""Statistics against known values, and runs that are interrupted, resumed, repeated and refused."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fake_runs import course, dose, event, healthy_run, kill, protocol, result_of, set_volume
from locokine import api
from locokine.engine.run import ArmRun
from locokine.engine.variables import LESION
from locokine.errors import InputError
from locokine.results import store
from locokine.results.result import Result
from locokine.scenario.protocol import Arm, Protocol, Rechallenge
from locokine.scenario.templates import examples as shipped
from locokine.trial import execute, statistics
from locokine.trial.finite import check_finite

ARMS = (Arm("untreated"), Arm("treated", (dose(3.0),)))


# ---------------------------------------------------------------------- statistics
@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    [
        (0, 10, 0.0, 1 - 0.025 ** (1 / 10)),  # closed forms at the ends
        (10, 10, 0.025 ** (1 / 10), 1.0),
        (1, 10, 0.0025285785, 0.4450161),  # R: binom.test(1, 10)
        (7, 10, 0.3475471, 0.9332605),  # R: binom.test(7, 10)
    ],
)
def test_exact_interval(hits: int, total: int, low: float, high: float) -> None:
    found = statistics.exact_interval(hits, total)
    assert found.value == hits / total
    # the tabled values have 7 digits
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-8), pytest.approx(high, abs=5e-8))


def test_exact_interval_of_a_published_trial() -> None:
    found = statistics.exact_interval(43, 270)  # Atkins 1999: 16 % (12–21 %)
    assert [round(100 * value) for value in found] == [16, 12, 21]


def test_exact_interval_refuses_the_impossible() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        statistics.exact_interval(3, 2)
    assert statistics.exact_interval(0, 0) == (0.0, 0.0, 1.0)


def test_risk_difference_of_newcombe() -> None:
    # Newcombe 1998 (Stat Med 17:873), table II, method 10: 56/70 and 48/80 → 0.2000 (0.0524, 0.3339)
    found = statistics.risk_difference(56, 70, 48, 80)
    assert found == (pytest.approx(0.2, abs=1e-12), pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))
    with pytest.raises(ValueError, match="without subjects"):
        statistics.risk_difference(0, 0, 1, 2)


def test_kaplan_meier_by_hand() -> None:
    # deaths at 6 (3 of 21), 7 (1 of 17), 10 (1 of 15): treated arm of Freireich 1963, as in every textbook
    day = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    died = [True] * 9 + [False] * 12
    curve = statistics.kaplan_meier(np.array(day, float), np.array(died))
    at = dict(zip(curve.day, curve.survival, strict=True))
    # printed with three digits
    assert [round(at[day], 3) for day in (6, 7, 10, 13, 16, 22, 23)] == [0.857, 0.807, 0.753, 0.69, 0.627, 0.538, 0.448]
    assert curve.median == 23.0
    assert (curve.low <= curve.survival).all()
    assert (curve.survival <= curve.high).all()


def test_log_rank_of_a_textbook() -> None:
    # Freireich 1963: 6-MP against placebo; log-rank chi-square 16.79 (z = 4.098)
    treated = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    found = statistics.log_rank(treated, [True] * 9 + [False] * 12, placebo, [True] * 21)
    assert found.statistic**2 == pytest.approx(16.79, abs=0.005)
    nobody = statistics.log_rank([60, 60], [False, False], [60, 60], [False, False])
    assert np.isnan(nobody.p)


def test_median_band_leaves_out_the_dead() -> None:
    band = statistics.median_band(np.array([[1.0, 2.0, 3.0, np.nan], [np.nan] * 4]), 0.0, 1.0)
    assert (band.median[0], band.low[0], band.high[0]) == (2.0, 1.0, 3.0)
    assert np.isnan(band.median[1])
    assert band.n.tolist() == [3, 0]


def test_waterfall_spider_and_comparison() -> None:
    runs = {}
    for arm in ARMS:
        run = healthy_run(arm.name, subjects=4, days=30)
        if arm.doses:
            for subject, end in enumerate((20.0, 150.0, 60.0)):
                set_volume(run, course(30, (0, 100), (3, 100), (9, end), (30, end)), subject)
        else:
            for subject in range(4):
                kill(run, 20.0 + subject, "tumour_death", subject)
        kill(run, 4.0, "toxic_death", 3)
        runs[arm.name] = run
    result = Result(result_of(runs["treated"]).manifest, protocol(*ARMS, days=30), runs)
    table = statistics.waterfall(result.outcome, "treated")
    assert table["subject"].tolist() == [1, 2, 0]  # 3 died before its first visit
    np.testing.assert_allclose(table["best_change"], [50 / 3, -40.0, -80.0], rtol=1e-12)  # first visit: day 5
    assert table["best_response"].tolist() == ["PD", "SD", "PR"]
    lines = statistics.spider(result.outcome, "treated", subjects=1)
    assert lines["day"].tolist() == [3, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    assert lines["status"].tolist()[0] == "baseline"
    row = statistics.compare_arms(result.outcome, "untreated").iloc[0]
    assert (row["arm"], row["response_difference"], row["cure_difference"]) == ("treated", 0.25, 0.0)
    assert row["response_difference_low"] < 0.25 < row["response_difference_high"]
    assert 0.0 < row["log_rank_p"] < 1.0


# ---------------------------------------------------------------------- running
@dataclass
class MadeUp:
    """The parts of an experiment that running needs."""

    subjects: int = 150
    seed: int = 5
    name: str = "made up"
    host: str = "mouse"
    value: float = 1.0
    protocol: Protocol = field(default_factory=lambda: protocol(*ARMS, days=10, rechallenge=Rechallenge(("sl2",), 1e6)))
    library: Any = field(
        default_factory=lambda: SimpleNamespace(
            hosts={"mouse": SimpleNamespace(meta={"criteria": "caliper"})}, digest="abc"
        )
    )

    def resolved(self) -> dict[str, Any]:
        return {"subjects": self.subjects, "seed": self.seed, "parameters": {"value": self.value}}


class Engine:
    """Stands for the engine: counts its calls, fails when told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.fail_at: int | None = None
        self.error: BaseException = KeyboardInterrupt()

    def _call(self, *what: Any) -> None:
        if self.fail_at is not None and len(self.calls) >= self.fail_at:
            raise self.error
        self.calls.append(what)

    def draw(self, experiment: MadeUp) -> str:
        return "population"

    def simulate_arm(
        self, experiment: MadeUp, population: Any, arm: str, first: int, count: int, threads: int
    ) -> ArmRun:
        self._call(arm, first, count)
        run = healthy_run(arm, subjects=count, first=first, days=10, seed=experiment.seed)
        if arm == "treated":
            event(run, "cured", 5.0, 0)
        run.end_state = {"cells": run.daily_lesion[2, :, -1]}
        return run

    def simulate_rechallenge(
        self, experiment: MadeUp, population: Any, run: ArmRun | None, line: str, threads: int
    ) -> ArmRun | None:
        self._call("challenge", run.arm if run else None, line)
        if run is None:
            return healthy_run("naive", subjects=experiment.subjects, days=70, seed=3)
        assert run.end_state["cells"].shape[-1] == experiment.subjects
        cured = [s for s, kind in zip(run.events["subject"], run.events["kind"], strict=True) if kind == "cured"]
        return healthy_run(run.arm, subjects=len(cured), days=70, seed=4) if cured else None


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    parts = execute._Engine(made.draw, made.simulate_arm, made.simulate_rechallenge)
    monkeypatch.setattr(execute, "_engine", lambda: parts)
    monkeypatch.setattr(execute, "_code_hash", lambda: "code")
    monkeypatch.setattr(store, "_flush", lambda folder: None)  # waiting for the disk is tested elsewhere
    return made


ALL_CALLS = [
    *((arm, first, count) for arm in ("untreated", "treated") for first, count in ((0, 64), (64, 64), (128, 22))),
    *(("challenge", arm, "sl2") for arm in (None, "untreated", "treated")),
]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(experiment: MadeUp, out: Path | None, **options: Any) -> Result:
    return execute.run_experiment(experiment, out, threads=1, **options)  # type: ignore[arg-type]


def test_subjects_are_run_in_chunks_and_put_together(engine: Engine) -> None:
    result = run(MadeUp(), None)
    assert engine.calls == ALL_CALLS
    assert result.runs["treated"].subject_ids.tolist() == list(range(150))
    assert set(result.challenges) == {("naive", "sl2"), ("treated", "sl2")}
    assert len(result.challenges[("treated", "sl2")].subject_ids) == 3
    assert result.manifest["subjects"] == 150
    assert result.manifest["criteria"] == "caliper"


def test_progress_rises_to_the_end(engine: Engine) -> None:
    seen: list[tuple[int, int, str]] = []
    run(MadeUp(), None, progress=lambda *what: seen.append(what))
    done = [item[0] for item in seen]
    assert done == sorted(done)
    assert seen[0] == (0, 450, "untreated")
    assert seen[-1] == (453, 453, "finished")
    assert all(item[0] <= item[1] for item in seen)


@pytest.mark.parametrize("killed_after", [0, 1, 4, 8])
def test_killed_and_resumed_gives_the_same_bytes(
    engine: Engine, tmp_path: Path, killed_after: int, uninterrupted: dict[str, bytes]
) -> None:
    engine.fail_at = killed_after
    with pytest.raises(KeyboardInterrupt):
        run(MadeUp(), tmp_path)
    engine.fail_at = None
    run(MadeUp(), tmp_path)
    assert len(engine.calls) <= len(ALL_CALLS) + 1  # arms without cures leave no chunk: asked again
    assert set(engine.calls) == set(ALL_CALLS)
    assert content(tmp_path) == uninterrupted


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of the run that nobody disturbed."""
    made, folder = Engine(), tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        parts = execute._Engine(made.draw, made.simulate_arm, made.simulate_rechallenge)
        patch.setattr(execute, "_engine", lambda: parts)
        patch.setattr(execute, "_code_hash", lambda: "code")
        run(MadeUp(), folder)
    return content(folder)


def test_a_finished_run_is_opened_again(engine: Engine, tmp_path: Path) -> None:
    first = run(MadeUp(), tmp_path)
    before, calls = content(tmp_path), len(engine.calls)
    again = run(MadeUp(), tmp_path)
    assert again.summary() == first.summary()
    assert len(engine.calls) == calls
    assert content(tmp_path) == before
    assert execute.is_finished(MadeUp(), tmp_path)  # type: ignore[arg-type]
    assert not execute.is_finished(MadeUp(seed=6), tmp_path)  # type: ignore[arg-type]
    assert not execute.is_finished(MadeUp(), tmp_path / "nowhere")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (MadeUp(seed=6), "seed 5, not 6"),
        (MadeUp(subjects=10), "subjects 150, not 10"),
        (MadeUp(name="another"), "experiment made up, not another"),
        (MadeUp(value=2.0), "made up with other settings"),
    ],
)
def test_the_folder_of_another_run_is_refused_without_force(
    engine: Engine, tmp_path: Path, other: MadeUp, words: str
) -> None:
    run(MadeUp(), tmp_path)
    before = content(tmp_path)
    with pytest.raises(InputError, match=rf"holds the result of another run \({words}\); .* --force"):
        run(other, tmp_path)
    assert content(tmp_path) == before
    replaced = run(other, tmp_path, force=True)
    assert json.loads((tmp_path / "summary.json").read_text()) == replaced.summary()


def test_the_same_input_has_the_same_manifest() -> None:
    assert execute.make_manifest(MadeUp())["input_hash"] != execute.make_manifest(MadeUp(seed=6))["input_hash"]  # type: ignore[arg-type]
    assert execute.make_manifest(MadeUp()) == execute.make_manifest(MadeUp())  # type: ignore[arg-type]


def test_a_manifest_that_cannot_be_read_is_replaced_with_force(engine: Engine, tmp_path: Path) -> None:
    run(MadeUp(), tmp_path)
    (tmp_path / "manifest.json").write_text("garbage")
    assert not execute.is_finished(MadeUp(), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"manifest\.json: cannot be read .* --force"):
        run(MadeUp(), tmp_path)
    run(MadeUp(), tmp_path, force=True)
    assert execute.is_finished(MadeUp(), tmp_path)  # type: ignore[arg-type]


def test_a_result_of_other_equations_is_refused_without_force(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version stays the same while the engine is worked on; what it computed before must not pass for what it computes."""
    run(MadeUp(), tmp_path)
    monkeypatch.setattr(execute, "_code_hash", lambda: "other")
    assert not execute.is_finished(MadeUp(), tmp_path)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"made by other equations of the same version; .* --force"):
        run(MadeUp(), tmp_path)
    run(MadeUp(), tmp_path, force=True)
    assert execute.is_finished(MadeUp(), tmp_path)  # type: ignore[arg-type]


def test_day_values_of_many_subjects_lie_in_files_and_give_the_same_result(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = run(MadeUp(), tmp_path / "memory")
    monkeypatch.setattr(execute, "LARGE", 1)
    large = run(MadeUp(), tmp_path / "files")
    assert isinstance(next(iter(large.runs.values())).daily_lesion, np.memmap)
    pd.testing.assert_frame_equal(large.subjects, small.subjects)
    xr.testing.assert_identical(large.quantiles, small.quantiles)
    assert not (tmp_path / "files" / execute.WORK).exists()


def test_an_unfinished_other_run_is_refused_too(engine: Engine, tmp_path: Path) -> None:
    engine.fail_at = 2
    with pytest.raises(KeyboardInterrupt):
        run(MadeUp(), tmp_path)
    engine.fail_at = None
    with pytest.raises(InputError, match=r"holds another run, unfinished \(seed 5, not 6\)"):
        run(MadeUp(seed=6), tmp_path)
    run(MadeUp(seed=6), tmp_path, force=True)
    assert json.loads((tmp_path / "summary.json").read_text())["seed"] == 6


def test_a_replaced_run_stays_until_the_new_one_is_finished(engine: Engine, tmp_path: Path) -> None:
    run(MadeUp(), tmp_path)
    before = content(tmp_path)
    engine.fail_at = len(engine.calls) + 1
    with pytest.raises(KeyboardInterrupt):
        run(MadeUp(seed=6), tmp_path, force=True)
    after = content(tmp_path)
    assert {name: after[name] for name in before} == before


def test_chunks_of_other_code_are_made_again(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.fail_at = 3
    with pytest.raises(KeyboardInterrupt):
        run(MadeUp(), tmp_path)
    engine.fail_at, engine.calls = None, []
    monkeypatch.setattr(execute, "_code_hash", lambda: "other code")
    run(MadeUp(), tmp_path)
    assert engine.calls == ALL_CALLS


def test_a_damaged_chunk_is_made_again(engine: Engine, tmp_path: Path) -> None:
    engine.fail_at = 2
    with pytest.raises(KeyboardInterrupt):
        run(MadeUp(), tmp_path)
    engine.fail_at, engine.calls = None, []
    (tmp_path / execute.WORK / "arm0-64.npz").write_bytes(b"half a file")
    run(MadeUp(), tmp_path)
    assert engine.calls == ALL_CALLS[1:]


def test_a_full_disk_is_said_and_the_run_goes_on_later(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(ArmRun, "save", full)
        with pytest.raises(InputError, match=r"the disk is full .* free some space .* it goes on where it stopped"):
            run(MadeUp(), tmp_path)
    run(MadeUp(), tmp_path)
    assert execute.is_finished(MadeUp(), tmp_path)  # type: ignore[arg-type]


def test_a_file_in_place_of_the_folder_is_named(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="is a file, not a folder; choose another --out"):
        run(MadeUp(), tmp_path / "out")
    with pytest.raises(InputError, match=r"cannot be written \(Not a directory\)"):
        run(MadeUp(), tmp_path / "out" / "deeper")


def test_files_of_a_broken_result_are_not_overwritten_silently(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(InputError, match="holds files of a result that is not whole"):
        run(MadeUp(), tmp_path)


# ---------------------------------------------------------------------- a state that leaves the numbers
def test_a_value_that_is_no_number_is_an_error_and_not_a_result() -> None:
    run = healthy_run("local", subjects=3, days=20, first=64)
    check_finite(run)
    run.daily_lesion[3, 0, 7:, 1] = np.nan
    run.daily_body[0, 7:, 1] = np.inf
    with pytest.raises(InputError) as caught:
        check_finite(run)
    assert caught.value.place == "arm local, subject 65, day 7"
    assert "viable_cells_loss, il2_plasma" in caught.value.problem


def test_a_lesion_has_no_values_before_it_is_implanted() -> None:
    run = healthy_run("local", subjects=2, days=20, lesions=("first", "late"))
    run.daily_lesion[:, 1, :5] = np.nan
    run.daily_lesion[[v.name for v in LESION].index("viable_cells"), 1, :5] = 0.0
    check_finite(run)
    run.daily_lesion[:, 1, 8, 1] = np.nan  # no value later is an error, whatever the rest says
    with pytest.raises(InputError, match="subject 1, day 8"):
        check_finite(run)


def test_the_dead_have_no_values() -> None:
    run = healthy_run(subjects=2, days=20, first=64)
    kill(run, 9.5, "tumour_death", 1)
    assert np.isnan(run.daily_body[0, 10, 1])
    check_finite(run)
    run.daily_body[0, 9, 1] = np.nan
    with pytest.raises(InputError, match="subject 65, day 9"):
        check_finite(run)


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_shipped_example_runs(name: str) -> None:
    """One host an arm, as they ship: a run ends in an error where a state leaves the numbers (an empty node to be seeded did)."""
    made = api.load(shipped()[name], subjects=1)
    result = api.run(made, report=False)
    assert result.daily["viable_cells"].sel(day=0).sum() > 0.0
