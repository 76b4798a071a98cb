"""Results: labelled views, the round trip to disk, and what happens when the disk says no."""

from __future__ import annotations

import errno
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import locokine.outcome  # noqa: F401  tells results how outcomes are read
from fake_runs import (
    BODY_AT,
    course,
    dose,
    event,
    healthy_run,
    kill,
    manifest,
    protocol,
    set_diameter,
    set_volume,
)
from locokine.engine.run import ArmRun
from locokine.engine.variables import BODY, FIELD, LESION
from locokine.errors import InputError
from locokine.outcome import Criteria, assess
from locokine.results import Result, data_dictionary, store
from locokine.results.result import quantile
from locokine.results.schema import protocol_from_dict, protocol_to_dict
from locokine.scenario.protocol import Arm, LesionPlan, Rechallenge, Rule

ARMS = (Arm("untreated"), Arm("into it", (dose(10.0),), (Rule("hold", "hypotension", 3),), ("20000 IU",)))
PLAN = protocol(*ARMS, rechallenge=Rechallenge(("sl2", "p815"), 1e6))


def made_up(subjects: int = 3, detailed: int = 50, **changes: Any) -> Result:
    """Two arms and a rechallenge; one treated host is cured, one dies."""
    runs = {}
    for number, arm in enumerate(ARMS):
        run = healthy_run(arm.name, subjects=subjects, days=40, seed=number, detailed=detailed)
        set_volume(run, course(40, (0, 10), (40, 3000)), 0)
        kill(run, 30.0, "tumour_death", 0)
        runs[arm.name] = run
    treated = runs["into it"]
    set_volume(treated, course(40, (0, 50), (10, 50), (14, 0), (40, 0)), 1)
    event(treated, "cured", 20.0, 1, value=0.97)
    treated.dosed[1], treated.reached_plasma[1] = 400.0, 100.0
    challenges = {}
    for arm, hosts in (("naive", subjects), ("into it", 1)):
        again = healthy_run(arm, subjects=hosts, days=100, lesions=("tumour", "challenge"), seed=9)
        for i in range(hosts):
            set_volume(again, np.zeros(101), i, 0)
            set_diameter(again, np.full(101, 9.0 if arm == "naive" else 0.0), i, 1)
            event(again, "challenged", 40.0, i)
        challenges[(arm, "sl2")] = again
    return Result(manifest(subjects, **changes), PLAN, runs, challenges, {"seed": 7, "note": "zwölf µm", "list": [1.5]})


@pytest.fixture
def result() -> Result:
    return made_up()


# ---------------------------------------------------------------------- views
def test_views_have_units_meanings_and_the_agreed_axes(result: Result) -> None:
    assert result.daily["viable_cells"].dims == ("arm", "lesion", "day", "subject")
    assert result.daily["albumin"].dims == ("arm", "day", "subject")
    assert result.series["il2"].dims == ("arm", "lesion", "time", "subject")
    assert result.fields["il2"].dims == ("arm", "lesion", "field_time", "shell", "subject")
    assert result.exposure["peak_nM"].dims == ("arm", "place", "agent", "subject")
    assert result.exposure["bioavailability"].dims == ("arm", "agent", "subject")
    for dataset in (result.daily, result.series, result.quantiles, result.fields, result.exposure):
        assert all({"units", "long_name"} <= set(item.attrs) for item in dataset.data_vars.values())
    assert result.daily["day"].values.tolist() == list(range(41))
    assert result.daily["albumin"].attrs["units"] == "g/dL"


def test_views_are_found_by_name(result: Result) -> None:
    run = result.runs["into it"]
    seen = result.daily["albumin"].sel(arm="into it", day=12.0).values
    np.testing.assert_array_equal(seen, run.daily_body[BODY_AT["albumin"], 12])
    share = result.exposure["bioavailability"].sel(arm="into it", agent="aldesleukin").values
    assert share.tolist() == [0.25, 0.25, 0.25]
    assert np.isnan(result.exposure["bioavailability"].sel(arm="untreated")).all()  # nothing given: no share


def test_values_after_death_are_nan_and_the_living_are_counted(result: Result) -> None:
    assert np.isnan(result.daily["albumin"].sel(arm="untreated", subject=0, day=31.0))
    assert result.quantiles["alive"].sel(arm="untreated").values[[30, 31]].tolist() == [3, 2]


def test_quantiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(1).random((4, 5, 30))
    values[values < 0.3] = np.nan
    values[0, 0] = np.nan
    levels = (0.05, 0.5, 0.95)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a slice of nan alone
        expected = np.nanquantile(values, levels, axis=-1)
    np.testing.assert_allclose(quantile(values, levels), expected, rtol=1e-12)  # same formula: rounding only


def test_events_of_rechallenges_are_kept_apart(result: Result) -> None:
    assert list(result.events.columns) == ["arm", "subject", "time_h", "kind", "lesion", "value"]
    assert set(result.events["kind"]) == {"tumour_death", "cured"}
    assert result.challenge_events["kind"].tolist() == ["challenged"] * 4


def test_rechallenges_stand_side_by_side(result: Result) -> None:
    daily = result.challenge_daily
    assert daily["caliper_volume"].dims == ("challenge", "lesion", "day", "subject")
    assert daily["arm"].values.tolist() == ["naive", "into it"]
    assert daily["subject_id"].values.tolist() == [[0, 1, 2], [0, -1, -1]]


# ---------------------------------------------------------------------- parts of a run
def test_parts_of_an_arm_join_to_the_whole() -> None:
    whole = healthy_run(subjects=5, days=10, seed=2, detailed=3, pictured=1)
    parts = [
        healthy_run(subjects=count, first=first, days=10, seed=2, detailed=3, pictured=1)
        for first, count in ((0, 2), (2, 2), (4, 1))
    ]
    event(parts[1], "dose", 3.0, 1)
    event(parts[1], "dose", 2.0, 1)
    event(parts[0], "dose", 9.0, 0)
    joined = ArmRun.concatenate(parts)
    for name in ("subject_ids", "daily_lesion", "daily_body", "series_lesion", "series_body", "fields", "exposure"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
    assert joined.events["subject"] == [0, 3, 3]
    assert joined.events["time_h"] == [216.0, 48.0, 72.0]


def test_parts_of_different_arms_do_not_join() -> None:
    with pytest.raises(ValueError, match="parts differ in arm"):
        ArmRun.concatenate([healthy_run("a"), healthy_run("b")])
    with pytest.raises(ValueError, match="parts differ in daily_time"):
        ArmRun.concatenate([healthy_run(days=3), healthy_run(days=4)])


def test_a_run_is_stored_exactly_with_its_state(tmp_path: Path) -> None:
    run = healthy_run(subjects=2, days=5, seed=4)
    kill(run, 2.0, "toxic_death")
    run.worst_grades = np.arange(10.0).reshape(5, 2)
    state = {"tissue": np.random.default_rng(0).random((3, 2)), "clock": 120.0, "more": [("a", np.array([1, 2])), None]}
    run.end_state = state
    path = tmp_path / "run.npz"
    run.save(path)
    again = ArmRun.load(path)
    for name in ("daily_lesion", "daily_body", "series_lesion", "fields", "exposure", "worst_grades", "subject_ids"):
        np.testing.assert_array_equal(getattr(again, name), getattr(run, name))
    assert (again.events, again.arm, again.lesions, again.agents) == (run.events, run.arm, run.lesions, run.agents)
    np.testing.assert_array_equal(again.end_state["tissue"], state["tissue"])
    assert again.end_state["clock"] == 120.0
    assert again.end_state["more"][0][0] == "a"
    assert again.end_state["more"][1] is None
    assert isinstance(again.end_state["more"][0], tuple)


def test_states_of_parts_are_joined_along_subjects() -> None:
    parts = [healthy_run(subjects=n, days=2) for n in (2, 1)]
    for part, count in zip(parts, (2, 1), strict=True):
        part.end_state = {"x": np.full((3, count), count), "t": 5.0}
    joined = ArmRun.concatenate(parts).end_state
    assert joined["x"].tolist() == [[2, 2, 1]] * 3
    parts[1].end_state["t"] = 6.0
    with pytest.raises(ValueError, match="states that do not fit together"):
        ArmRun.concatenate(parts)


# ---------------------------------------------------------------------- disk
def test_protocol_is_stored_exactly() -> None:
    lesions = (LesionPlan("a", "sl2", "peritoneum", cells=1e5), LesionPlan("b", "sl2", "skin", volume=1 / 3, day=2.0))
    plan = protocol(*ARMS, lesions=lesions, rechallenge=Rechallenge(("sl2",), 1e6))
    again = protocol_from_dict(json.loads(json.dumps(protocol_to_dict(plan))))
    assert repr(again) == repr(plan)  # nan is not equal to itself, its text is


def test_round_trip_is_exact(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path / "out")
    again = Result.open(tmp_path / "out")
    for name in ("daily", "series", "quantiles", "fields", "exposure", "challenge_daily"):
        xr.testing.assert_identical(getattr(again, name), getattr(result, name))
    pd.testing.assert_frame_equal(again.events, result.events)
    pd.testing.assert_frame_equal(again.challenge_events, result.challenge_events)
    for name in ("subjects", "visits", "lesions", "challenges", "arms", "rechallenge", "toxicity"):
        pd.testing.assert_frame_equal(getattr(again.outcome, name), getattr(result.outcome, name))
    assert again.summary() == result.summary()
    assert again.manifest == result.manifest
    assert repr(again.protocol) == repr(result.protocol)
    assert {name: again.scenario[name] for name in result.scenario} == result.scenario
    assert again.complete
    for arm, run in result.runs.items():
        for name in ("daily_time", "daily_lesion", "daily_body", "series_time", "series_lesion", "fields", "exposure"):
            np.testing.assert_array_equal(getattr(again.runs[arm], name), getattr(run, name))
        np.testing.assert_array_equal(again.runs[arm].dosed, run.dosed)
        assert again.runs[arm].events == run.events
    for key, run in result.challenges.items():
        np.testing.assert_array_equal(again.challenges[key].daily_lesion, run.daily_lesion)
        assert again.challenges[key].subject_ids.tolist() == run.subject_ids.tolist()
    pd.testing.assert_frame_equal(assess(again, Criteria()).subjects, result.subjects)


def test_files_are_those_that_were_promised(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(store.FILES)
    assert json.loads((tmp_path / "summary.json").read_text()) == result.summary()
    assert len(pd.read_parquet(tmp_path / "subjects.parquet")) == 6
    assert "zwölf µm" in (tmp_path / "scenario.yaml").read_text(encoding="utf-8")
    assert (tmp_path / "scenario.yaml").read_text().startswith("schema_version: 1\n")


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        made_up().save(tmp_path / name)
    ours = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert ours == sorted(path.relative_to(tmp_path / "b") for path in (tmp_path / "b").rglob("*") if path.is_file())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in ours)


def test_many_subjects_keep_their_quantiles_and_outcomes_but_not_their_days(tmp_path: Path) -> None:
    result = made_up(subjects=60)
    result.save(tmp_path / "out")
    again = Result.open(tmp_path / "out")
    assert not again.complete
    assert again.daily.sizes["subject"] == again.series.sizes["subject"] == 50
    assert len(again.subjects) == 120
    xr.testing.assert_identical(again.quantiles, result.quantiles)
    xr.testing.assert_identical(again.exposure, result.exposure)
    assert again.summary() == result.summary()
    with pytest.raises(InputError, match="day values of some subjects only"):
        assess(again, Criteria(animal_pr=0.4))
    result.save(tmp_path / "full", full=True)
    assert Result.open(tmp_path / "full").complete


def test_labels_are_text_for_anyone_who_opens_the_store(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path)
    opened = xr.open_zarr(tmp_path / "series.zarr", group="daily", consolidated=False, chunks=None)
    assert [str(name) for name in opened["arm"].values] == ["untreated", "into it"]
    assert opened["il2"].attrs["units"] == "nM"
    assert opened.attrs["research_use_only"] == 1


def test_dictionary_names_every_stored_column_and_variable(result: Result, tmp_path: Path) -> None:
    result.save(tmp_path)
    table = pd.read_csv(tmp_path / "data_dictionary.csv")
    pd.testing.assert_frame_equal(table, data_dictionary())
    assert (table[["unit", "meaning"]] != "").all(axis=None)
    named = set(table["name"])
    for name in ("subjects", "visits", "lesions", "challenges", "events"):
        columns = set(pd.read_parquet(tmp_path / f"{name}.parquet").columns)
        assert columns == set(table["name"][table["place"] == f"{name}.parquet"])
    assert {item.name for item in (*LESION, *BODY, *FIELD)} <= named
    assert set(result.exposure.data_vars) <= named


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished result."""
    return made_up().save(tmp_path_factory.mktemp("finished") / "out")


@pytest.mark.parametrize("moment", ["_write_arrays", "_write_tables", "_write_text", "_flush"])
def test_a_full_disk_leaves_the_earlier_result_untouched(
    finished: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    out = finished
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("_write_arrays", "_write_tables", "_write_text", "_flush"):
        monkeypatch.setattr(store, name, full if name == moment else lambda *_: None)
    with pytest.raises(InputError, match=r"the disk is full .*; earlier results are untouched; free some space"):
        made_up(seed=8).save(out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert {path.name for path in out.iterdir()} == set(store.FILES)


def test_an_interrupted_file_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    store.write_atomic(path, lambda stream: stream.write(b"old"))

    def broken(stream: Any) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write_atomic(path, broken)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_written_is_named(result: Result, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match=r"file/out: cannot be written \(Not a directory\); choose a folder"):
        result.save(tmp_path / "file" / "out")


def test_other_files_in_the_folder_are_left_alone(result: Result, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / "series.zarr").mkdir()
    (tmp_path / "series.zarr" / "old").write_text("of an earlier result")
    result.save(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep"
    assert {path.name for path in tmp_path.iterdir()} == {*store.FILES, "mine.txt"}
    assert not (tmp_path / "series.zarr" / "old").exists()


def test_what_is_not_a_result_is_said(result: Result, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no finished result \(no manifest.json\)"):
        Result.open(tmp_path)
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    with pytest.raises(InputError, match="is not the manifest of a locokine result"):
        Result.open(tmp_path)
    result.save(tmp_path)
    content = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(content | {"schema_version": 99}))
    with pytest.raises(InputError, match="was written with schema version 99, this locokine reads 1"):
        Result.open(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    (tmp_path / "subjects.parquet").unlink()
    with pytest.raises(InputError, match=r"the result is damaged, or .* run the experiment again with --force"):
        Result.open(tmp_path)


def test_a_run_can_be_cut_to_its_first_subjects() -> None:
    run = healthy_run(subjects=4, days=3, seed=1)
    for subject in (0, 3):
        event(run, "dose", 1.0, subject)
    part = run.select(2)
    assert part.subject_ids.tolist() == [0, 1]
    assert part.events["subject"] == [0]
    np.testing.assert_array_equal(part.daily_body, run.daily_body[..., :2])
