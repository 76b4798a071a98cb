"""What must not matter does not: names, empty doses, inert proteins, twins; and an untreated tumour grows as it should."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from locokine.engine.run import ArmRun
from locokine.parameters.library import load_library
from locokine.scenario.experiment import Experiment
from locokine.scenario.protocol import Dose
from locokine.trial.finite import check_finite
from reference import (
    ASCITES,
    BODY_AT,
    COURSE,
    FLANK,
    LESION_AT,
    PACKAGE,
    SKIN,
    differing,
    experiment,
    open_run,
    simulate,
    with_doses,
)


def _outcomes(run: ArmRun) -> dict[str, np.ndarray]:
    """All that outcomes are read from, amounts of the agent itself left out."""
    lesion = [i for name, i in LESION_AT.items() if not name.startswith("agent_")]
    body = [i for name, i in BODY_AT.items() if not name.startswith("agent_")]
    return {
        "daily": run.daily_lesion[lesion],
        "body": run.daily_body[body],
        "series": run.series_lesion[lesion],
        "fields": run.fields,
        "worst": run.worst_grades,
        "cure": run.cure_probability,
        "active": run.exposure[:, -1],
    }


def _unlike(one: ArmRun, other: ArmRun) -> list[str]:
    """Outcomes that two runs do not share to the bit (nan is nan), and "events" if anything but a dose happened otherwise."""
    a, b = _outcomes(one), _outcomes(other)
    found = [name for name in a if not np.array_equal(np.asarray(a[name]), np.asarray(b[name]), equal_nan=True)]
    kinds = [[k for k in run.events["kind"] if k != "dose"] for run in (one, other)]
    return found + (["events"] if kinds[0] != kinds[1] else [])


@pytest.mark.parametrize("geometry", ["well-mixed", "shells"])
@pytest.mark.parametrize("host", ["dba2_mouse", "human"])
def test_untreated_tumour_stays_perfused(host: str, geometry: str) -> None:
    """Without treatment, flow per vessel stays normal until the host is taken out: a tumour must not treat itself.

    Every day the median host has at least 0.75 of normal flow, and nine of ten hosts at least 0.4: tissue pressure rises
    with size and collapses a part of the vessels in hosts with stiff tumours (claimed pressures reach p_v - 5 mmHg).
    """
    lesions = FLANK if host != "human" else {"skin": {**SKIN["skin"], "count": 1}}
    run = simulate(
        experiment(
            host=host, lesions=lesions, follow_up="60 days", subjects=16, geometry=geometry, shells=8, rim_shells=2
        )
    )
    lowest = np.nanmin(run.daily_lesion[LESION_AT["perfusion"], 0], axis=0)
    assert np.median(lowest) > 0.75
    assert np.quantile(lowest, 0.1) > 0.4


@pytest.mark.parametrize(
    ("line", "host", "site", "low", "high"),
    [
        ("sl2", "dba2_mouse", "subcutis", 24.0, 40.0),
        ("sl2", "dba2_mouse", "peritoneum", 14.0, 24.0),
        ("p815", "dba2_mouse", "subcutis", 18.0, 48.0),
        ("melanoma_skin", "human", "skin", 8 * 24.0, 212 * 24.0),
        ("melanoma_visceral", "human", "viscera", 8 * 24.0, 212 * 24.0),
        ("renal_carcinoma", "human", "viscera", 8 * 24.0, 212 * 24.0),
    ],
)
def test_untreated_tumour_grows_at_its_lines_rate(line: str, host: str, site: str, low: float, high: float) -> None:
    """Doubling time of the median host in days 1 to 3, in the range known of the line; births never above its rate.

    SL2: 16 h in ascites, 1 to 1.5 days under the skin (10 % beyond, at both ends); P815: 18 to 22 h in vitro, slower
    in tissue; human melanoma: 8 to 212 days (docs/model). 1 % on the births is the error of the step.
    """
    size = {"cells": "1e5 cells"} if host != "human" else {"diameter": "9 mm"}
    made = experiment(
        host=host, lesions={"a": {"line": line, "site": site, "day": 0, **size}}, follow_up="4 days", subjects=16
    )
    opened = open_run(made, chance=False)
    cells, births = opened.lesion("viable_cells")[0], opened.lesion("births")[0]
    first, last = np.searchsorted(opened.time, [24.0, 72.0])
    net = np.log(cells[last] / cells[first]) / 48.0
    assert low < np.log(2.0) / np.median(net) < high
    rate = (births[last] - births[first]) / np.trapezoid(cells[first : last + 1], opened.time[first : last + 1], axis=0)
    assert (rate <= 1.01 * opened.line("birth_rate")).all()


def test_zero_dose_is_the_vehicle_without_volume() -> None:
    """0 IU in no volume and a vehicle without volume, by three routes: the same bits in every outcome."""
    made = experiment(agents=["aldesleukin", "vehicle"], subjects=16)
    times = [240.0 + 24.0 * i for i in range(5)]
    for route in ("intratumoural", "intravenous", "subcutaneous"):
        made = with_doses(
            made,
            zero=[Dose(t, "aldesleukin", 0.0, route, volume=0.0) for t in times],
            vehicle=[Dose(t, "vehicle", 0.0, route, volume=0.0) for t in times],
        )
        zero, vehicle = simulate(made, "zero"), simulate(made, "vehicle")
        assert _unlike(zero, vehicle) == []


def beside_doses_of_nothing(**options: Any) -> Experiment:
    """An untreated arm, and one that gets five doses of a vehicle without volume from day 10 on."""
    made = experiment(agents=["vehicle"], subjects=16, follow_up="16 days", **options)
    doses = [Dose(240.0 + 24.0 * i, "vehicle", 0.0, "intratumoural", volume=0.0) for i in range(5)]
    return with_doses(made, untreated=[], vehicle=doses)


def test_doses_of_nothing_are_no_treatment() -> None:
    """Empty doses refine the grid and do nothing else: the median host's volume within 1 % of the untreated arm."""
    made = beside_doses_of_nothing()
    i = LESION_AT["tumour_volume"]
    a, b = simulate(made, "untreated").daily_lesion[i, 0], simulate(made, "vehicle").daily_lesion[i, 0]
    worst = np.nanmax(np.abs(b / a - 1.0), axis=0)
    assert np.median(worst) < 0.01


@pytest.mark.parametrize("geometry", ["well-mixed", "shells"])
def test_untreated_hosts_have_no_oedema_that_nothing_has_not(geometry: str) -> None:
    """Oedema is what exceeds the fluid at rest, also where nobody is treated: about what doses of nothing have.

    Those are compared with their tissue before the first dose, which pressure has stretched by some hundredths of its volume.
    (Untreated tissue was once compared with nothing: all its fluid, 0.25 and more, was oedema.) Looked at on day 8: from day 9 on
    growing tumours swell by what their vessels filter.
    """
    made = beside_doses_of_nothing(geometry=geometry, shells=6, rim_shells=2)
    i = LESION_AT["oedema_fraction"]
    a, b = simulate(made, "untreated").daily_lesion[i, 0], simulate(made, "vehicle").daily_lesion[i, 0]
    np.testing.assert_allclose(np.nanmedian(a, axis=1), np.nanmedian(b, axis=1), atol=0.1)
    assert np.nanmedian(a[8]) < 0.02
    assert np.nanmax(a[16]) > np.nanmax(a[8])  # some growing tumours do swell


@pytest.mark.parametrize(
    "route", ["intratumoural in 0.1 mL", "peritumoural in 0.1 mL at 1 mm", "intravenous in 0.1 mL"]
)
def test_inert_protein_is_the_vehicle(route: str) -> None:
    """A protein of equal size and volume without receptors changes no bit of any outcome; but it is there."""
    made = experiment(
        {
            "inert": [f"inert_protein 1.2 ug {route} daily days 10-14"],
            "vehicle": [f"vehicle {route} daily days 10-14"],
        },
        geometry="shells",
        shells=6,
        rim_shells=2,
        subjects=16,
    )
    inert, vehicle = simulate(made, "inert"), simulate(made, "vehicle")
    assert _unlike(inert, vehicle) == []
    agent = inert.agents.index("inert_protein")
    assert (inert.exposure[-1, agent, 1] > 0.0).sum() > 8  # some hosts are taken out before


def test_identical_lesions_stay_identical() -> None:
    """Two alike lesions in one host, treated alike: every bit alike, until chance lets one of them go extinct."""
    twins = {"left": FLANK["flank"], "right": FLANK["flank"]}
    for route in ("intratumoural", "intravenous"):
        made = experiment(
            {"a": [COURSE.format(route=route)]},
            lesions=twins,
            subjects=16,
            follow_up="25 days",
            geometry="shells",
            shells=6,
            rim_shells=2,
        )
        run = simulate(made)
        first = np.full(run.subjects, np.inf)
        for subject, time, kind in zip(run.events["subject"], run.events["time_h"], run.events["kind"], strict=True):
            if kind == "extinct":
                first[subject] = min(first[subject], time)
        before = run.daily_time[:, None] < first[None, :]
        assert before.mean() > 0.5
        for name, i in LESION_AT.items():
            left, right = run.daily_lesion[i, 0][before], run.daily_lesion[i, 1][before]
            np.testing.assert_array_equal(left, right, err_msg=f"{route}: {name}")


def test_two_lesions_share_one_host() -> None:
    """A second lesion far away changes the first only through blood and node: before treatment by less than 5 %.

    It takes blood lymphocytes and some plasma water; the bound is the share of the blood's NK cells it holds.
    """
    alone = simulate(experiment(follow_up="8 days", subjects=16))
    both = simulate(
        experiment(
            lesions={**FLANK, "other": {**FLANK["flank"], "cells": "1e5 cells"}}, follow_up="8 days", subjects=16
        )
    )
    i = LESION_AT["tumour_volume"]
    np.testing.assert_allclose(both.daily_lesion[i, 0], alone.daily_lesion[i, 0], rtol=0.05)


@pytest.mark.parametrize("site", ["subcutis", "peritoneum"])
def test_a_lesion_implanted_later(site: str) -> None:
    """A lesion of day 5 beside one of day 0 takes, goes extinct only after it has come, and nobody is cured while it lives."""
    lesions = {**FLANK, "late": {"line": "sl2", "site": site, "cells": "2e4 cells", "day": 5}}
    made = experiment({"a": [COURSE.format(route="intratumoural")]}, lesions=lesions, subjects=16, follow_up="30 days")
    run = simulate(made)
    check_finite(run)
    gone = np.full((2, run.subjects), np.nan)
    came, cured = gone.copy(), np.full(run.subjects, np.nan)
    for i, time in enumerate(run.events["time_h"]):
        subject, kind, name = run.events["subject"][i], run.events["kind"][i], run.events["lesion"][i]
        if kind in ("extinct", "implanted"):
            (gone if kind == "extinct" else came)[run.lesions.index(name), subject] = time
        elif kind == "cured":
            cured[subject] = time
    assert (came == np.array([[0.0], [120.0]])).all()
    assert not (gone <= came).any()
    assert np.isfinite(gone).any(axis=0).sum() >= 4  # there is something to see
    np.testing.assert_array_equal(cured, np.maximum(gone[0], gone[1]))  # nan unless both are gone
    assert (run.daily_lesion[LESION_AT["viable_cells"], 1, 6] > 1e4).all()


def test_a_lesion_grows_alike_whenever_it_is_implanted() -> None:
    """Five days later, five days on: to 1 %, the error of a grid whose steps follow the implantation in both."""
    late, soon = (
        simulate(experiment(lesions={"late": {**FLANK["flank"], "day": day}}, subjects=16, follow_up=f"{day + 6} days"))
        for day in (5, 0)
    )
    cells = LESION_AT["viable_cells"]
    np.testing.assert_allclose(late.daily_lesion[cells, 0, 6:], soon.daily_lesion[cells, 0, 1:], rtol=0.01)


# --- names -----------------------------------------------------------------------------------------------------------


def _renamed_library(folder: Path) -> tuple[Any, dict[str, str]]:
    """The built-in library under other names of every host, line, antigen and agent."""
    built = load_library()
    words = [*built.hosts, *built.lines, *built.agents]
    words += [str(name) for entry in built.lines.values() for name in entry.meta.get("antigens", {})]
    names = {word: f"x{i}_{word[::-1]}" for i, word in enumerate(dict.fromkeys(words))}
    folder.mkdir()
    for file in (PACKAGE / "parameters" / "library").iterdir():
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".yaml":
            head, found, entries = text.partition("\nentries:")
            for word, new in names.items():
                entries = re.sub(rf"(?<=\n  ){word}(?=:)", new, entries)
                entries = re.sub(rf"(?<=inherits: ){word}\b", new, entries)
                entries = (
                    re.sub(rf"(?<=[\[{{ ]){word}(?=[\],:])", new, entries) if file.name == "lines.yaml" else entries
                )
            text = head + found + entries
        (folder / file.name).write_text(text, encoding="utf-8")
    return load_library([folder], builtin=False), names


def test_renaming_changes_no_bit(tmp_path: Path) -> None:
    """Every host, line, antigen and agent of a copied library renamed, arms and lesions too: the same bits."""
    library, names = _renamed_library(tmp_path / "library")
    assert not set(library.lines) & set(load_library().lines)
    assert not set(library.hosts) & set(load_library().hosts)
    assert not set(library.agents) & set(load_library().agents)
    antigens = {name for entry in library.lines.values() for name in entry.meta["antigens"]}
    assert antigens <= set(names.values())
    for lesions in (FLANK, ASCITES):
        route = "intratumoural" if lesions is FLANK else "intraperitoneal"
        old = experiment(
            {"treated": [COURSE.format(route=route)]},
            lesions=lesions,
            subjects=16,
            rechallenge={"lines": ["sl2", "p815"], "cells": "1e5 cells"},
        )
        course = COURSE.format(route=route).replace("aldesleukin", names["aldesleukin"])
        other = {f"q_{name}": {**lesion, "line": names[lesion["line"]]} for name, lesion in lesions.items()}
        new = experiment(
            {"another": [course]},
            host=names["dba2_mouse"],
            lesions=other,
            subjects=16,
            library=library,
            rechallenge={"lines": [names["sl2"], names["p815"]], "cells": "1e5 cells"},
        )
        a, b = simulate(old), simulate(new)
        rows = [[value if value == "" else "lesion" for value in run.events["lesion"]] for run in (a, b)]
        a, b = (
            dataclasses.replace(run, events={**run.events, "lesion": row})
            for run, row in zip((a, b), rows, strict=True)
        )
        assert differing(a, b, but=("arm", "lesions", "agents")) == []


def test_no_name_of_the_library_stands_in_the_code() -> None:
    """No line, antigen, host or agent is named in code that computes."""
    built = load_library()
    words = {*built.hosts, *built.lines, *built.agents} - {"vehicle", "human", "mouse"}
    words |= {str(name) for entry in built.lines.values() for name in entry.meta.get("antigens", {})}
    for folder in ("biology", "tissue", "body", "population", "engine"):
        for file in (PACKAGE / folder).rglob("*.py"):
            code = re.sub(r'""".*?"""|#[^\n]*', "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
            for word in words:
                assert not re.search(rf"\b{word}\b", code), f"{file.name}: {word}"


def test_body_variables_are_complete() -> None:
    """Every reported quantity is written for a living host at every day (none is left at nan)."""
    run = simulate(experiment(follow_up="5 days"))
    for name, i in BODY_AT.items():
        assert np.isfinite(run.daily_body[i]).all(), name
    for name, i in LESION_AT.items():
        assert np.isfinite(run.daily_lesion[i]).all(), name
