"""Partners of IL-2: irradiation, cytotoxic drugs, surgery; seeded nodes; further routes and rules."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locokine.biology import cytotoxic, radiation
from locokine.engine.run import ArmRun
from reference import ASCITES, BODY_AT, FLANK, LESION_AT, WIDTH, experiment, open_run, simulate, with_doses

NODE = {**FLANK, "node": {"line": "sl2", "seeded-by": "flank"}}


def run(line: str | None = None, **changed: Any) -> ArmRun:
    """One arm of sixteen hosts that no load of tumour takes out."""
    settings: dict[str, Any] = {"subjects": 16, "follow_up": "16 days", **changed}
    settings["overrides"] = {"endpoint_burden": "1 L", **changed.get("overrides", {})}
    return simulate(experiment({"a": [line] if line else []}, **settings))


def lesion(made: ArmRun, name: str, day: float, which: int = 0) -> np.ndarray:
    return made.series_lesion[LESION_AT[name], which, np.searchsorted(made.series_time, day * 24.0 - 1e-6)]


def body(made: ArmRun, name: str, day: float) -> np.ndarray:
    return made.series_body[BODY_AT[name], np.searchsorted(made.series_time, day * 24.0 - 1e-6)]


def kinds(made: ArmRun) -> Counter[str]:
    return Counter(made.events["kind"])


# --- laws ---


def test_linear_quadratic_survival_by_hand() -> None:
    """2 Gy at α 0.3/Gy, β 0.03/Gy²: 0.6 + 0.12; no dose and no sensitivity kill nobody."""
    assert radiation.log_kill(2.0, 0.3, 0.03) == pytest.approx(0.72, rel=1e-14)
    assert radiation.log_kill(0.0, 0.3, 0.03) == 0.0
    assert radiation.log_kill(2.0, 0.0, 0.0) == 0.0


def test_cells_without_oxygen_need_more() -> None:
    """All with oxygen: the law itself. None: that of a dose 2.8 times smaller. Both: the survivors add up (1e-8: exp and log)."""
    assert radiation.log_kill_mixed(6.0, 0.3, 0.03, 0.0, 2.8) == pytest.approx(2.88, rel=1e-8)
    assert radiation.log_kill_mixed(6.0, 0.3, 0.03, 1.0, 3.0) == pytest.approx(0.72, rel=1e-8)
    mixed = -math.log(0.9 * math.exp(-2.88) + 0.1 * math.exp(-0.72))
    assert radiation.log_kill_mixed(6.0, 0.3, 0.03, 0.1, 3.0) == pytest.approx(mixed, rel=1e-8)
    assert math.isfinite(radiation.log_kill_mixed(100.0, 0.6, 0.06, 0.0, 2.8))


@given(damage=st.floats(0.0, 25.0), dt=st.floats(1e-3, 2.0))
def test_pending_damage_falls_due_in_full(damage: float, dt: float) -> None:
    """The rates of many steps add up to what was pending (1e-3 after twelve mean times)."""
    left, due = damage, 0.0
    for _ in range(int(600.0 / dt)):
        rate = radiation.death_rate(left, 48.0, dt)
        due += rate * dt
        left -= rate * dt
    assert due == pytest.approx(damage, rel=1e-3, abs=1e-9)
    assert radiation.death_rate(0.0, 48.0, dt) == 0.0


def test_a_drug_by_hand() -> None:
    """Half the highest rate at `half`; linear far below it; neutral without drug or rate."""
    assert cytotoxic.death_rate(50.0, 50.0, 0.4) == 0.2
    assert cytotoxic.death_rate(1e-6, 50.0, 0.4) == pytest.approx(0.4e-6 / 50.0, rel=1e-6)
    assert cytotoxic.death_rate(0.0, 50.0, 0.4) == 0.0
    assert cytotoxic.death_rate(50.0, 50.0, 0.0) == 0.0


# --- irradiation ---


def test_what_survives_is_what_the_curve_says() -> None:
    """No births, no other deaths: cells after 20 days = before × survival, with the hypoxic share of the moment (1 %).

    The share of 1 %: a hundredth of the damage is still pending, and deaths make steps of finite length.
    """
    overrides = {"birth_rate": "1e-9 1/h", "spontaneous_death": "1e-9 1/h"}
    made = experiment(
        {"a": ["radiotherapy 4 Gy to flank day 2"]},
        follow_up="25 days",
        subjects=16,
        overrides=overrides,
        switches={"starvation": False, "immunity": False},
    )
    opened = open_run(made, chance=False)
    at = int(np.searchsorted(opened.time, 48.0))
    before, after = opened.lesion("viable_cells")[0, at], opened.lesion("viable_cells")[0, -1]
    hypoxic = opened.lesion("hypoxic_fraction")[0, at]
    alpha, beta, enhancement = (
        opened.line("radiation_alpha"),
        opened.line("radiation_beta"),
        opened.host("radiation_oxygen_enhancement"),
    )
    survival = (1.0 - hypoxic) * np.exp(-alpha * 4.0 - beta * 16.0)
    less = 4.0 / enhancement
    survival = survival + hypoxic * np.exp(-alpha * less - beta * less**2)
    np.testing.assert_allclose(after / before, survival, rtol=0.01)
    died = opened.lesion("deaths_treatment")[0]
    assert (died[at] == 0.0).all()
    half = (died[int(np.searchsorted(opened.time, 48.0 + 33.0))] / died[-1]).mean()  # 48 h x ln 2
    assert 0.4 < half < 0.75  # over days, not at once


def test_fractions_spare_against_one_dose() -> None:
    """Five fractions of 2 Gy in a day and a half leave more cells than one of 10 Gy (the quadratic term), fewer than none.

    Oxygen set aside: hypoxic cells become oxygenated between fractions, which can outweigh the quadratic term.
    """
    alike = {"radiation_oxygen_enhancement": "1"}
    untreated = lesion(run(), "viable_cells", 13.0)
    single = lesion(run("radiotherapy 10 Gy to flank day 9", overrides=alike), "viable_cells", 13.0)
    many = lesion(run("radiotherapy 2 Gy to flank q8h x5 from day 9", overrides=alike), "viable_cells", 13.0)
    assert (single < many).all()
    assert (many < untreated).all()


def test_lymphocytes_of_the_field_die_at_once_and_those_elsewhere_do_not() -> None:
    """exp(-α D) of the NK cells in the lesion (0.1 %: four hours of arrival are not between, both are read at the moment)."""
    made = experiment({"a": ["radiotherapy 3 Gy to flank day 9"], "b": []}, follow_up="10 days", subjects=16)
    with_it, without = open_run(made, "a", chance=False), open_run(made, "b", chance=False)
    at = int(np.searchsorted(with_it.time, 9 * 24.0))
    ratio = with_it.lesion("nk")[0, at] / without.lesion("nk")[0, at]
    np.testing.assert_allclose(ratio, np.exp(-3.0 * with_it.host("radiation_lymphocyte_alpha")), rtol=1e-3)
    np.testing.assert_array_equal(with_it.body("blood_nk")[at], without.body("blood_nk")[at])


# --- drugs ---


@pytest.mark.parametrize("route", ["intratumoural", "peritumoural", "intravenous", "intraperitoneal"])
def test_cisplatin_kills_tumour_cells_and_most_where_it_is_put(route: str) -> None:
    died = lesion(run(f"cisplatin 60 ug {route} in 0.1 mL day 9"), "deaths_treatment", 15.0)
    assert (died > 0.0).all()
    if route != "intratumoural":
        local = lesion(run("cisplatin 60 ug intratumoural in 0.1 mL day 9"), "deaths_treatment", 15.0)
        assert (local > died).all()


def test_low_dose_cyclophosphamide_takes_regulatory_t_cells_first() -> None:
    """50 mg/kg: within hours regulatory T cells of the tumour fall by a third to two thirds, NK cells of the blood by less."""
    untreated, made = run(follow_up="20 days"), run("cyclophosphamide 50 mg per kg intraperitoneal day 6", follow_up="20 days")
    regulatory = lesion(made, "treg", 6.5) / lesion(untreated, "treg", 6.5)
    others = body(made, "blood_nk", 6.5) / body(untreated, "blood_nk", 6.5)
    assert 0.33 < np.median(regulatory) < 0.67
    assert np.median(regulatory) < np.median(others) < 1.0
    assert np.median(lesion(made, "treg", 12.0) / lesion(untreated, "treg", 12.0)) > np.median(regulatory)


@pytest.mark.parametrize(
    ("switch", "line"),
    [("radiation", "radiotherapy 20 Gy to flank day 9"), ("cytotoxic", "cisplatin 60 ug intratumoural in 0.1 mL day 9")],
)
def test_switched_off_they_kill_nobody(switch: str, line: str) -> None:
    """The neutral value in a whole course: no cell dies of them, T and NK cells are those of the same course of saline."""
    off = run(line, switches={switch: False})
    assert np.nanmax(off.series_lesion[LESION_AT["deaths_treatment"]]) == 0.0
    assert np.nanmax(run(line).series_lesion[LESION_AT["deaths_treatment"]]) > 0.0
    if switch == "radiation":
        same = run()
        for name in ("viable_cells", "nk", "t_specific", "treg"):
            np.testing.assert_allclose(lesion(off, name, 12.0), lesion(same, name, 12.0), rtol=5e-3)  # steps after day 9 differ


# --- surgery ---


def test_a_clean_resection_cures_and_leaves_no_cell() -> None:
    made = run("resection of flank day 12", follow_up="20 days")
    assert kinds(made)["cured"] == 16
    assert (lesion(made, "viable_cells", 13.0) == 0.0).all()
    assert (lesion(made, "tumour_volume", 13.0) < 0.01 * lesion(run(), "tumour_volume", 12.0)).all()


@pytest.mark.parametrize(("left", "share"), [("leaving 10 %", 0.1), ("leaving 1e4 cells", None)])
@pytest.mark.parametrize("geometry", ["well-mixed", "shells"])
def test_what_a_resection_leaves(left: str, share: float | None, geometry: str) -> None:
    """Cells at the moment after it, and the balance of cells through it (1e-10 of all births)."""
    made = run(f"resection of flank {left} day 10", geometry=geometry, shells=6, rim_shells=2, follow_up="12 days")
    without = run(geometry=geometry, shells=6, rim_shells=2, follow_up="12 days")
    cells, before = lesion(made, "viable_cells", 10.0), lesion(without, "viable_cells", 10.0)
    np.testing.assert_allclose(cells, 1e4 if share is None else share * before, rtol=1e-9)
    deaths = sum(made.series_lesion[LESION_AT[name], 0] for name in LESION_AT if name.startswith("deaths_"))
    births, now = made.series_lesion[LESION_AT["births"], 0], made.series_lesion[LESION_AT["viable_cells"], 0]
    first = np.array([v for v, k in zip(made.events["value"], made.events["kind"], strict=True) if k == "implanted"])
    error = first + births - deaths - now
    assert np.nanmax(np.abs(error) / (first + births)) < 1e-10


@pytest.mark.parametrize("geometry", ["well-mixed", "shells"])
def test_balances_hold_through_acts(geometry: str) -> None:
    """IL-2 (1e-12), water and protein (1e-10 of what passed through) with doses, fractions and a resection between them."""

    arm = [
        "aldesleukin 20000 IU intratumoural in 0.1 mL daily x4 from day 8",
        "radiotherapy 3 Gy daily x3 from day 8",
        "cisplatin 20 ug intravenous day 8",
        "resection of flank leaving 1 % day 10",
    ]
    made = experiment({"a": arm}, subjects=16, follow_up="14 days", geometry=geometry, shells=6, rim_shells=2)
    opened = open_run(made, chance=False)
    error = opened.body("agent_supplied") - opened.body("agent_elsewhere") - opened.body("agent_gone")
    error = error - opened.lesion("agent_total").sum(axis=0)
    assert np.nanmax(np.abs(error)) < 1e-12 * np.nanmax(opened.body("agent_supplied"))
    for what in ("fluid", "protein"):
        held, gained, lost = (opened.lesion(f"{what}_{name}") for name in ("held", "gained", "lost"))
        error = held - (gained - lost)
        assert np.nanmax(np.abs(error)) < 1e-10 * np.nanmax(np.abs(gained) + np.abs(lost))


# --- a seeded node ---


def test_a_node_is_seeded_by_its_source_alone() -> None:
    """Cells arrive at the stated rate and count in the balance; the seeding switch stops them.

    The trapezoidal rule over values stored every 4 h is 0.1 % off in a tumour that grows by 3 % an hour, and as much again is
    for that of the steps.
    """
    made = run(lesions=NODE, follow_up="14 days", overrides={"seeding_rate": "1e-6 1/h"})
    source = made.series_lesion[LESION_AT["viable_cells"], 0]
    wanted = 1e-6 * np.trapezoid(source, made.series_time, axis=0)
    opened = open_run(experiment(lesions=NODE, follow_up="14 days", subjects=16, overrides={"seeding_rate": "1e-6 1/h"}))
    rates = opened.block.line[1].reshape(-1, WIDTH)
    from locokine.tissue import layout

    spread = rates[layout.Line._fields.index("seeding_rate")] / 1e-6
    np.testing.assert_allclose(made.series_lesion[LESION_AT["seeded"], 1, -1], wanted * spread, rtol=2e-3)
    deaths = sum(made.series_lesion[LESION_AT[name], 1] for name in LESION_AT if name.startswith("deaths_"))
    births, now = made.series_lesion[LESION_AT["births"], 1], made.series_lesion[LESION_AT["viable_cells"], 1]
    came = made.series_lesion[LESION_AT["seeded"], 1]
    assert np.nanmax(np.abs(came + births - deaths - now)) < 1e-9 * np.nanmax(came + births)
    off = run(lesions=NODE, follow_up="14 days", switches={"seeding": False})
    assert np.nanmax(off.series_lesion[LESION_AT["viable_cells"], 1]) == 0.0


def test_early_resection_saves_the_node_and_late_resection_does_not() -> None:
    """Nobody is cured while cells still come; cut on day 4 most nodes stay free, cut on day 12 few."""
    overrides = {"seeding_rate": "1e-9 1/h"}
    early = run("resection of flank day 4", lesions=NODE, follow_up="14 days", overrides=overrides, switches={"immunity": False})
    late = run("resection of flank day 12", lesions=NODE, follow_up="14 days", overrides=overrides, switches={"immunity": False})
    assert kinds(early)["cured"] > kinds(late)["cured"]
    times = [t for t, k in zip(late.events["time_h"], late.events["kind"], strict=True) if k == "extinct"]
    assert min(times) >= 12 * 24.0


# --- routes ---


def test_the_first_pass_through_the_vessels_of_the_lesion() -> None:
    """An artery gives the tumour more than a vein does, at the same dose; a wide territory beside it takes that away."""
    artery = run("aldesleukin 20000 IU intra-arterial into flank day 9")
    vein = run("aldesleukin 20000 IU intravenous day 9")
    wide = run("aldesleukin 20000 IU intra-arterial into flank day 9", overrides={"artery_flow": "6000 mL/h"})
    tumour = {name: made.exposure[0, 1, 0] for name, made in (("artery", artery), ("vein", vein), ("wide", wide))}
    assert (tumour["artery"] > tumour["wide"]).all()
    assert np.median(tumour["artery"] / tumour["vein"]) > 1.5
    np.testing.assert_allclose(wide.exposure[3, 1, 1], vein.exposure[3, 1, 1], rtol=0.02)


def test_a_fan_inside_a_tumour_reaches_more_of_it() -> None:
    """In shells the dose of one needle lies in the centre; that of twelve is spread: a lower peak there, the same amount."""
    settings: dict[str, Any] = {"geometry": "shells", "shells": 12, "rim_shells": 3, "follow_up": "13 days"}
    lines = "aldesleukin 20000 IU intratumoural in 0.02 mL {}into flank day 10"
    one, many = (
        open_run(experiment({"a": [lines.format(f)]}, subjects=16, **settings), chance=False) for f in ("", "fan of 12 ")
    )
    at = int(10 * 24 / 12)
    il2 = 1
    spread = [made.fields[il2, 0, at, :12].std(axis=0) / made.fields[il2, 0, at, :12].mean(axis=0) for made in (one, many)]
    there = np.isfinite(spread[0])  # hosts that still have a tumour
    assert there.sum() >= 12
    assert (spread[1] < 0.5 * spread[0])[there].all()
    index = int(np.searchsorted(one.time, 10 * 24.0))
    np.testing.assert_allclose(many.lesion("agent_total")[0, index], one.lesion("agent_total")[0, index], rtol=1e-9)


@pytest.mark.parametrize(("site", "route"), [("pleura", "intrapleural"), ("bladder", "intravesical")])
@pytest.mark.parametrize("host", ["dba2_mouse", "human"])
def test_pleura_and_bladder_beside_the_peritoneum(site: str, route: str, host: str) -> None:
    """A cavity of its own size: its fluid at rest is the host's for that site, and the dose goes into it."""
    line, cells = ("sl2", "2e4 cells") if host != "human" else ("melanoma_visceral", "1e8 cells")
    scale = 1 if host != "human" else 1000
    made = experiment(
        {"a": [f"aldesleukin {20000 * scale} IU {route} in {0.05 * scale} mL daily x3 from day 3"]},
        host=host,
        subjects=16,
        lesions={"cavity": {"line": line, "site": site, "cells": cells}},
        follow_up="8 days",
    )
    opened = open_run(made, chance=False)
    stated = made.records()["cavity_rest_fluid"].value
    assert stated != made.host_entry.records["cavity_rest_fluid"].value
    assert np.median(opened.lesion("fluid_volume")[0, 0]) == pytest.approx(stated, rel=0.3)  # cells come with some
    assert (opened.exposure("tumour")[1] > 5.0 * opened.exposure("plasma")[1]).all()
    assert made.protocol.arms[0].doses[0].route == "intracavitary"


def test_a_bladder_is_emptied_and_a_pleura_is_not() -> None:
    """Voiding: little of a dose reaches the blood from a bladder, much of it from a pleura."""
    shares = {}
    for site, route in (("pleura", "intrapleural"), ("bladder", "intravesical")):
        made = run(
            f"aldesleukin 20000 IU {route} in 0.05 mL day 3",
            lesions={"c": {"line": "sl2", "site": site, "cells": "2e4 cells"}},
            follow_up="6 days",
        )
        shares[site] = np.median(made.reached_plasma.sum(axis=0) / made.dosed.sum(axis=0))
    assert shares["bladder"] < 0.1 < shares["pleura"]


def test_growth_in_a_cavity_is_limited_by_what_its_wall_supports() -> None:
    """Twice the cells that the wall supports are never exceeded, and more support means more cells."""
    few = run(lesions=ASCITES, follow_up="25 days", overrides={"cavity_supported_cells": "1e7 cells", "endpoint_cavity": "1 L"})
    many = run(lesions=ASCITES, follow_up="25 days", overrides={"cavity_supported_cells": "1e8 cells", "endpoint_cavity": "1 L"})
    most = [np.nanmax(made.series_lesion[LESION_AT["viable_cells"], 0], axis=0) for made in (few, many)]
    assert (most[0] < most[1]).all()
    assert np.median(most[0]) < 4e7


def test_a_host_with_a_cavity_and_solid_tumours() -> None:
    """Both grow; only the cavity is injected, the solid tumours keep far less of the dose and grow on."""
    both = {**ASCITES, **FLANK}
    made = run("aldesleukin 20000 IU intracavitary in 0.1 mL daily x3 from day 5", lesions=both, follow_up="9 days")
    held = made.series_lesion[LESION_AT["agent_total"], :, np.searchsorted(made.series_time, 5 * 24.0)]
    assert (held[0] > 100.0 * held[1]).all()
    assert (lesion(made, "viable_cells", 8.0, 1) > lesion(made, "viable_cells", 4.0, 1)).all()


# --- rules ---


def test_a_dose_is_reduced_for_good_once_it_was_toxic() -> None:
    """From the first dose that meets the grade each gives half; without toxicity the rule changes no bit of an amount."""
    line = "aldesleukin 1000000 IU intravenous q8h x9 from day 9"
    plain, rule = run(line), run(f"{line}, reduce to 50 % at any >= 1")
    reduced = [s for s, k in zip(rule.events["subject"], rule.events["kind"], strict=True) if k == "dose_reduced"]
    assert reduced
    assert len(reduced) == len(set(reduced))
    for s in range(16):
        amounts = [
            v
            for v, who, k in zip(rule.events["value"], rule.events["subject"], rule.events["kind"], strict=True)
            if who == s and k == "dose"
        ]
        first = amounts[0]
        assert set(amounts) <= {first, 0.5 * first}
        assert sorted(amounts, reverse=True) == amounts
        assert (0.5 * first in amounts) == (s in reduced)
    assert plain.dosed.sum() > rule.dosed.sum() > 0.5 * plain.dosed.sum()
    np.testing.assert_array_equal(run(f"{line}, reduce to 50 % at fever >= 5").dosed, plain.dosed)


def test_time_steps_do_not_decide() -> None:
    """Radiotherapy with a drug, at steps four times finer: survivors differ by less than 2 %.

    Twice the limit of the published error test: a drug in the tumour at hundreds of its half-value kills most cells within
    hours, the steps of biology after a dose begin at 0.1 h, and what is compared are the few cells that are left.
    """
    from locokine.engine.grid import Accuracy

    made = experiment(
        {"a": ["radiotherapy 3 Gy to flank daily x3 from day 5", "cisplatin 30 ug intratumoural in 0.1 mL day 6"]},
        follow_up="10 days",
        subjects=4,
    )
    cells = [open_run(made, accuracy=Accuracy().finer(f), chance=False).lesion("viable_cells")[0, -1] for f in (1.0, 4.0)]
    np.testing.assert_allclose(cells[0], cells[1], rtol=0.02)


def test_the_new_routes_keep_the_balance() -> None:
    """Doses by the new routes keep the balance too (1e-12), beyond what the language writes."""
    from locokine.scenario.protocol import Dose

    made = experiment(
        follow_up="14 days", agents=["aldesleukin", "il2_gel"], subjects=16, geometry="shells", shells=6, rim_shells=2
    )
    doses = [
        Dose(200.0 + 10 * i, "aldesleukin", 8e4, "intra-arterial", ("flank",), volume=50.0, duration=d)
        for i, d in enumerate((0.0, 4.0))
    ]
    doses.append(Dose(240.0, "il2_gel", 8e4, "intratumoural", ("flank",), volume=80.0, points=5))
    opened = open_run(with_doses(made, a=sorted(doses, key=lambda dose: dose.time)), chance=False)
    error = opened.body("agent_supplied") - opened.body("agent_elsewhere") - opened.body("agent_gone")
    error = error - opened.lesion("agent_total").sum(axis=0)
    assert np.nanmax(np.abs(error)) < 1e-12 * np.nanmax(opened.body("agent_supplied"))
