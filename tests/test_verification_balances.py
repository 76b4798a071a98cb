"""Nothing is lost: IL-2, water, protein and tumour cells, re-computed from stored state and series; nothing negative."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locokine.scenario.experiment import Experiment
from locokine.scenario.protocol import Dose
from locokine.tissue import layout
from reference import (
    ASCITES,
    BODY_AT,
    FLANK,
    LESION_AT,
    SIGNED,
    SKIN,
    WIDTH,
    Opened,
    experiment,
    lesion_view,
    open_run,
    random_population,
    simulate,
    with_doses,
)
from solutions import plain

MIXED: dict[str, Any] = {
    "mouse": {"lesions": FLANK, "geometry": "well-mixed"},
    "mouse in shells": {"lesions": FLANK, "geometry": "shells", "shells": 8, "rim_shells": 3},
    "cavity": {"lesions": ASCITES, "geometry": "well-mixed"},
    "two lesions": {
        "lesions": {"left": FLANK["flank"], "right": {**FLANK["flank"], "day": 3, "cells": "3e5 cells"}},
        "geometry": "shells",
        "shells": 6,
        "rim_shells": 2,
    },
    "human": {"host": "human", "lesions": SKIN, "geometry": "well-mixed"},
}
ROUTES = ("intratumoural", "peritumoural", "intravenous", "intraperitoneal", "subcutaneous")


def everything(case: str) -> Experiment:
    """Doses by every route, one after the other, and an infusion."""
    made = experiment(follow_up="24 days", agents=["aldesleukin", "inert_protein"], subjects=16, **MIXED[case])
    cavity = case == "cavity"
    scale = 100.0 if case == "human" else 1.0
    doses = [
        Dose(240.0 + 12.0 * i, "aldesleukin", 8e4 * scale, route, volume=50.0, course=0)
        for i, route in enumerate(ROUTES)
        if not (cavity and route in ROUTES[:2])
    ]
    doses.append(Dose(312.0, "inert_protein", 5e4 * scale, "intravenous", duration=3.0))
    doses.append(Dose(318.0, "aldesleukin", 5e4 * scale, "intravenous", duration=0.25))
    return with_doses(made, all=doses)


@pytest.fixture(scope="module", params=list(MIXED))
def opened(request: pytest.FixtureRequest) -> Opened:
    return open_run(everything(request.param))


def test_il2(opened: Opened) -> None:
    """Given + made = in lesions + pools + lost + cleared, for every agent.

    1e-11 of the amount handled: a few thousand steps, each rounding at 1e-16 of amounts that pass through several pools.
    """
    held = opened.solutes().sum(axis=(0, 2)) + opened.block.pools.reshape(len(opened.block.agent), -1, WIDTH).sum(
        axis=1
    )
    gone = opened.ledger("lost") + opened.ledger("outside_lost") + opened.ledger("cleared")
    came = opened.ledger("given") + opened.ledger("made")
    assert (opened.ledger("given")[1:].max(axis=1) > 0.0).all()
    np.testing.assert_allclose(held + gone, came, rtol=1e-11, atol=1e-12)


def test_il2_from_the_series_alone(opened: Opened) -> None:
    """Supplied = in lesions + elsewhere + gone, all agents together, at every stored time (1e-11 as above)."""
    supplied = opened.body("agent_supplied")
    error = supplied - opened.body("agent_elsewhere") - opened.body("agent_gone")
    error -= np.nansum(opened.lesion("agent_total"), axis=0)
    seen = np.isfinite(error)
    assert seen.sum() > 1000
    assert np.abs(error[seen]).max() < 1e-11 * supplied[seen].max()


def test_il2_given_is_what_the_log_says(opened: Opened) -> None:
    """The ledger's "given" is the sum of the amounts in the event log (rounding)."""
    block = opened.block
    for s in range(WIDTH):
        log = block.log[: int(block.logged[s]), :, s]
        for agent in range(1, len(block.agent)):
            rows = log[(log[:, 1] == 3) & (log[:, 2] == agent)]
            assert rows[:, 3].sum() == pytest.approx(opened.ledger("given")[agent, s], rel=1e-13)


@pytest.mark.parametrize("what", ["fluid", "protein"])
def test_water_and_protein_of_the_lesions_from_the_series_alone(opened: Opened, what: str) -> None:
    """Held = gained (with what was there at implantation) - lost, at every stored time: 1e-10 of all that passed through.

    Flows through a rim exceed what is in it a hundredfold. That what is held is the sum over the shells is checked beside.
    """
    held, gained, lost = (opened.lesion(f"{what}_{name}") for name in ("held", "gained", "lost"))
    seen = np.isfinite(held)
    assert seen.sum() > 100
    assert np.nanmax(np.abs(lost)) > 0.0
    through = np.abs(opened.total("fluid_left" if what == "fluid" else "protein_left")).max() + gained[seen].max()
    assert np.abs(held - (gained - lost))[seen].max() < 1e-10 * through
    alive = opened.block.end_time == np.inf
    np.testing.assert_allclose(held[:, -1][:, alive], opened.tissue(what).sum(axis=1)[:, alive], rtol=1e-12)


def test_tumour_cells_from_the_series_alone(opened: Opened) -> None:
    """Cells = implanted (event log) + births - deaths by every cause, at every stored time: 1e-10 of all births."""
    deaths = sum(opened.lesion(name) for name in LESION_AT if name.startswith("deaths_"))
    births, cells = opened.lesion("births"), opened.lesion("viable_cells")
    block = opened.block
    for lesion in range(len(block.tissue)):
        for s in range(WIDTH):
            log = block.log[: int(block.logged[s]), :, s]
            first = log[(log[:, 1] == 0) & (log[:, 2] == lesion)]
            seen = np.isfinite(births[lesion, :, s])
            made = first[0, 3] + births[lesion, seen, s] - deaths[lesion, seen, s]
            assert seen.any()
            np.testing.assert_allclose(
                cells[lesion, seen, s], made, atol=1e-10 * (first[0, 3] + births[lesion, seen, s].max())
            )


def test_cells_of_a_whole_result_from_its_stored_series() -> None:
    """The same from an `ArmRun` alone, through extinction, death of the host and several blocks of subjects."""
    made = experiment(
        {"it": ["aldesleukin 20000 IU intratumoural in 0.1 mL daily days 10-14"]}, subjects=40, follow_up="40 days"
    )
    run = simulate(made)
    value = {name: run.daily_lesion[i, 0] for name, i in LESION_AT.items()}
    first = np.array([v for v, k in zip(run.events["value"], run.events["kind"], strict=True) if k == "implanted"])
    balance = first + value["births"] - sum(value[name] for name in value if name.startswith("deaths_"))
    seen = np.isfinite(balance)
    assert seen.sum() > 500
    error = np.abs(balance - value["viable_cells"])[seen] / (first + value["births"])[seen]
    assert error.max() < 1e-10


def lane(opened: Opened, s: int) -> tuple[layout.Body, layout.BodyInputs, layout.Host]:
    """State of the body, what it is told, and parameters of one host."""
    rows = opened.block.body.reshape(-1, WIDTH)[:, s]
    first = layout.BODY_FIELDS.index(layout.BODY_INPUTS[0])
    told = rows[first : first + len(layout.BODY_INPUTS)]
    return (
        layout.Body(*rows[: len(layout.BODY)]),
        layout.BodyInputs(*told),
        layout.Host(*opened.block.host.reshape(-1, WIDTH)[:, s]),
    )


def test_the_body_exchanges_water_and_protein_and_makes_none() -> None:
    """No intake, no support, no synthesis, no lesion: plasma + interstitium keep water and protein to rounding (1e-12)."""
    couple = plain("engine.couple")
    opened = open_run(everything("mouse"), chance=False)
    for s in range(WIDTH):
        x, u, p = lane(opened, s)
        if not np.isfinite(x).all():
            continue  # this host was taken out before
        x = x._replace(
            plasma_volume=1.1 * p.plasma_volume, interstitial_volume=1.2 * p.interstitial_volume, e_direct=0.4
        )
        u = u._replace(fluid_taken=0.0, protein_taken=0.0, plasma_answer=0.0, protein_answer=0.0)
        p = p._replace(intake=0.0, supportive_care=0.0, protein_synthesis=0.0, protein_loss=0.0)
        y, _, _ = couple.advance_body(x, u, couple.read_body(x, p), p, 0.5)
        assert y.plasma_volume != x.plasma_volume
        assert y.plasma_volume + y.interstitial_volume == pytest.approx(
            x.plasma_volume + x.interstitial_volume, rel=1e-12
        )
        assert y.protein_plasma + y.protein_interstitial == pytest.approx(
            x.protein_plasma + x.protein_interstitial, rel=1e-12
        )


def test_lesions_take_their_water_and_protein_from_the_plasma() -> None:
    """What vessels and lymph of the lesions took from plasma they hand over, but for what they are owed.

    A lesion may owe or be owed what flows in a fraction of a step: below 1 % of all the plasma has. On day 14, while hosts live.
    """
    made = everything("two lesions")
    opened = open_run(replace(made, protocol=replace(made.protocol, follow_up=14.0 * 24.0)))
    whole = {"fluid_from_plasma": opened.host("plasma_volume")}
    whole["protein_from_plasma"] = whole["fluid_from_plasma"] * opened.host("plasma_protein")
    for name, gains in (
        ("fluid_from_plasma", ("fluid_filtered", "fluid_drained")),
        ("protein_from_plasma", ("protein_entered", "protein_drained")),
    ):
        alive = opened.block.end_time == np.inf
        taken = opened.total(gains[0]) - opened.total(gains[1])
        owed = np.abs(opened.total(name) - taken) / whole[name]
        assert alive.sum() >= 8
        assert owed[:, alive].max() < 0.01, name
        assert np.abs(taken[:, alive]).max() > 0.0


def test_the_escape_of_albumin_is_what_a_step_moves() -> None:
    """With nothing made or lost, plasma changes by what returns from tissue less what escapes; a wall that leaks lets out more.

    In a step of a millionth of an hour; the difference of two numbers that agree in nine digits has seven left, and 1e-4 is
    far below what a wrong term would change.
    """
    couple = plain("engine.couple")
    opened = open_run(everything("human"), chance=False)
    for s in range(WIDTH):
        x, u, p = lane(opened, s)
        u = u._replace(fluid_taken=0.0, protein_taken=0.0, plasma_answer=0.0, protein_answer=0.0)
        p = p._replace(protein_synthesis=0.0, protein_loss=0.0)
        rates = []
        for leak in (0.0, 0.4):
            x = x._replace(e_direct=leak, e_lymphocyte=0.0)
            o = couple.read_body(x, p)
            filtered, _, sigma = couple.across_walls(x, o, p)
            rates.append(couple.protein_leaving(x, o, p, filtered, sigma))
            dt = 1e-6
            water = couple.advance_water(x, u, o, p, dt)
            plasma, _ = couple.advance_protein(x, u, o, p, water, dt)
            ps = p.protein_escape * (1.0 + (p.systemic_protein_fold - 1.0) * leak)
            back = (ps + water.lymph) / x.interstitial_volume * x.protein_interstitial
            assert (plasma - x.protein_plasma) / dt == pytest.approx(back - rates[-1] * x.protein_plasma, rel=1e-4)
        assert rates[1] > 1.2 * rates[0]


@pytest.mark.parametrize(("host", "lesions", "low", "high"), [("human", SKIN, 4.0, 10.0), ("dba2_mouse", FLANK, 8.0, 30.0)])
def test_albumin_escapes_as_fast_as_was_measured(host: str, lesions: dict[str, Any], low: float, high: float) -> None:
    """Per cent of the plasma's an hour, before any dose: 5 in healthy people, 9.4 in patients (Fleck 1985, Ballmer-Weber 1995).

    Small animals turn over more: 10 to 20 in rats and mice, from memory; a factor of 1.5 either way.
    """
    run = simulate(experiment(host=host, lesions=lesions, geometry="well-mixed", follow_up="2 days", subjects=16))
    assert low < np.median(run.daily_body[BODY_AT["albumin_escape"], 0]) < high


def test_a_host_at_rest_stays_at_rest() -> None:
    """Without dose and tumour nothing of the body drifts: volumes, albumin and pressure within 2 % over 20 days.

    Smooth maxima (`positive`) are not exactly 0 at rest: lymph is raised by half the width of its corner, which shifts
    about 1 % of the plasma and 2 % of the interstitial volume in the first days. No dose, no response: nothing further happens
    (0.3 %: albumin follows the volumes within its half-life of a day and more).
    """
    for host, lesions in (
        ("dba2_mouse", {"flank": {**FLANK["flank"], "day": 19}}),
        ("human", {"skin": {**SKIN["skin"], "day": 19}}),
    ):
        made = experiment(host=host, lesions=lesions, follow_up="20 days", subjects=16)
        opened = open_run(made, chance=False)
        for name in ("plasma_volume", "interstitial_volume", "albumin", "mean_arterial_pressure", "weight"):
            series = opened.body(name)
            np.testing.assert_allclose(series / series[0], 1.0, atol=2e-2, err_msg=f"{host} {name}")
            np.testing.assert_allclose(series[-1] / series[80], 1.0, atol=3e-3, err_msg=f"{host} {name} settles")


def test_an_empty_cavity_keeps_its_fluid() -> None:
    """A single cell in the cavity: its resting fluid stays within a fifth over ten days, in the median host.

    A fifth is far more than the smooth corners of the laws can move; a cavity that runs dry is held by the limiter of
    flows, and its volume is then a matter of step size.
    """
    made = experiment(lesions={"a": {**ASCITES["ascites"], "cells": "1 cells"}}, follow_up="10 days", subjects=16)
    opened = open_run(made, chance=False)
    share = opened.lesion("fluid_volume")[0] / opened.host("cavity_rest_fluid")
    assert np.median(share[-1]) == pytest.approx(1.0, abs=0.2)


SIGNED_SERIES = {"interstitial_pressure", "rim_oedema"}


@settings(max_examples=12)
@given(data=st.data())
def test_nothing_is_negative_or_undefined(data: st.DataObject) -> None:
    """Sixteen hosts with parameters from anywhere in the prior ranges, any protocol: every state finite and ≥ 0."""
    case = data.draw(st.sampled_from(list(MIXED)))
    made = experiment(follow_up="24 days", agents=["aldesleukin"], subjects=16, **MIXED[case])
    scale = data.draw(st.sampled_from([1e-3, 1.0, 30.0])) * (100.0 if case == "human" else 1.0)
    doses = []
    for _ in range(data.draw(st.integers(0, 8))):
        route = data.draw(st.sampled_from([r for r in ROUTES if case != "cavity" or r not in ROUTES[:2]]))
        doses.append(
            Dose(
                data.draw(st.sampled_from([96.0, 120.5, 240.0, 240.0, 241.0, 300.0, 500.0])),
                "aldesleukin",
                8e4 * scale,
                route,
                volume=data.draw(st.sampled_from([0.0, 20.0, 100.0, 500.0])),
                duration=data.draw(st.sampled_from([0.0, 0.0, 0.25, 24.0])),
                distance=data.draw(st.sampled_from([0.0, 1.0, 10.0])),
            )
        )
    made = with_doses(made, random=sorted(doses, key=lambda dose: dose.time))
    people = random_population(made, data.draw(st.integers(0, 10**6)))
    opened = open_run(made, population=people)
    alive = opened.block.end_time[None, :] >= opened.time[:, None]
    for name, i in BODY_AT.items():
        value = opened.series_body[i][alive]
        assert np.isfinite(value).all(), name
        assert (value >= 0.0).all(), name
    for lesion, plan in enumerate(opened.setting.lesions):
        there = alive & (opened.time[:, None] >= plan.day * 24.0)
        for name, i in LESION_AT.items():
            value = opened.series_lesion[i, lesion][there]
            assert np.isfinite(value).all(), name
            if name not in SIGNED_SERIES:
                assert (value >= 0.0).all(), name
    lives = opened.block.end_time == np.inf  # the lanes of the dead run on, unread
    for name in layout.TISSUE:
        value = opened.tissue(name)[..., lives]
        assert np.isfinite(value).all(), name
        assert name in SIGNED or (value >= 0.0).all(), name
    for name in ("pools", "tcells", "carriers", "node", "auc", "peak"):
        array = getattr(opened.block, name)
        value = array.reshape(-1, WIDTH)[:, lives]
        assert np.isfinite(value).all(), name
        assert (value >= 0.0).all(), name
    assert (opened.solutes()[..., lives] >= 0.0).all()
    assert np.isfinite(lesion_view(opened.block, "antigen")[:, lives]).all()
