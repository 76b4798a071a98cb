"""Nothing is lost: IL-2, water, protein and tumour cells, re-computed from stored state and series; nothing negative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference import (
    ASCITES, BODY_AT, FLANK, LESION_AT, SKIN, WIDTH, Opened, experiment, implanted, lesion_view, open_run,
    random_population, simulate, tissue_view, with_doses,
)
from locokine.scenario.experiment import Experiment
from locokine.scenario.protocol import Dose
from locokine.tissue import layout

MIXED: dict[str, Any] = {
    "mouse": {"lesions": FLANK, "geometry": "well-mixed"},
    "mouse in shells": {"lesions": FLANK, "geometry": "shells", "shells": 8, "rim_shells": 3},
    "cavity": {"lesions": ASCITES, "geometry": "well-mixed"},
    "two lesions": {
        "lesions": {"left": FLANK["flank"], "right": {**FLANK["flank"], "day": 3, "cells": "3e5 cells"}},
        "geometry": "shells", "shells": 6, "rim_shells": 2,
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
        for i, route in enumerate(ROUTES) if not (cavity and route in ROUTES[:2])
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
    held = opened.solutes().sum(axis=(0, 2)) + opened.block.pools.reshape(len(opened.block.agent), -1, WIDTH).sum(axis=1)
    gone = opened.ledger("lost") + opened.ledger("outside_lost") + opened.ledger("cleared")
    came = opened.ledger("given") + opened.ledger("made")
    assert (opened.ledger("given")[1:] > 0.0).all()
    np.testing.assert_allclose(held + gone, came, rtol=1e-11, atol=1e-12)


def test_il2_given_is_what_the_log_says(opened: Opened) -> None:
    """The ledger's "given" is the sum of the amounts in the event log (rounding)."""
    block = opened.block
    for s in range(WIDTH):
        log = block.log[: int(block.logged[s]), :, s]
        for agent in range(1, len(block.agent)):
            rows = log[(log[:, 1] == 3) & (log[:, 2] == agent)]
            assert rows[:, 3].sum() == pytest.approx(opened.ledger("given")[agent, s], rel=1e-13)


def test_water_of_the_lesions(opened: Opened) -> None:
    """Fluid now = at implantation + injected + filtered + released by dying cells + recruited - drained - left.

    1e-10 of all that passed through: flows through a rim exceed what is in it a hundredfold.
    """
    start = tissue_view(implanted(opened), "fluid").sum(axis=1)
    now = opened.tissue("fluid").sum(axis=1)
    total = opened.total
    came = start + total("fluid_injected") + total("fluid_filtered") + total("fluid_released") + total("fluid_recruited")
    through = np.abs(total("fluid_filtered")) + np.abs(total("fluid_left")) + now
    np.testing.assert_allclose((now - came + total("fluid_drained") + total("fluid_left")) / through, 0.0, atol=1e-10)


def test_protein_of_the_lesions(opened: Opened) -> None:
    """Protein now = at implantation + entered + recruited - drained - left, 1e-10 of all that passed through."""
    start = tissue_view(implanted(opened), "protein").sum(axis=1)
    now = opened.tissue("protein").sum(axis=1)
    total = opened.total
    error = now - start - total("protein_entered") - total("protein_recruited")
    error = error + total("protein_drained") + total("protein_left")
    through = np.abs(total("protein_entered")) + np.abs(total("protein_left")) + now
    np.testing.assert_allclose(error / through, 0.0, atol=1e-10)


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
            np.testing.assert_allclose(cells[lesion, seen, s], made, atol=1e-10 * (first[0, 3] + births[lesion, seen, s].max()))


def test_cells_of_a_whole_result_from_its_stored_series() -> None:
    """The same from an `ArmRun` alone, through extinction, death of the host and several blocks of subjects."""
    made = experiment({"it": ["aldesleukin 20000 IU intratumoural in 0.1 mL daily days 10-14"]}, subjects=40,
                      follow_up="40 days")
    run = simulate(made)
    value = {name: run.daily_lesion[i, 0] for name, i in LESION_AT.items()}
    first = np.array([v for v, k in zip(run.events["value"], run.events["kind"], strict=True) if k == "implanted"])
    balance = first + value["births"] - sum(value[name] for name in value if name.startswith("deaths_"))
    seen = np.isfinite(balance)
    assert seen.sum() > 500
    error = np.abs(balance - value["viable_cells"])[seen] / (first + value["births"])[seen]
    assert error.max() < 1e-10


def test_water_and_protein_of_the_body_are_exchanged_not_made() -> None:
    """Over one step plasma + interstitium change by intake + support - urine and by synthesis - loss alone."""
    from reference import plain

    couple, circulation = plain("engine.couple"), plain("body.circulation")
    opened = open_run(everything("mouse"))
    p = layout.load_host.py_func(opened.block.host, 0, 3) if hasattr(layout.load_host, "py_func") else None
    assert p is not None
    names = {name: i for i, name in enumerate(layout.BODY_FIELDS)}
    rows = opened.block.body.reshape(-1, WIDTH)[:, 3]
    x = layout.Body(*rows[: len(layout.BODY)])._replace(plasma_volume=p.plasma_volume * 1.1)
    first = names[layout.BODY_INPUTS[0]]
    u = layout.BodyInputs(*rows[first:first + len(layout.BODY_INPUTS)])
    o = couple.read_body(x, p)
    dt = 0.5
    y = couple.advance_body(x, u, o, p, dt)
    urine = circulation.urine(p.intake, o.map_ratio, x.plasma_volume / p.plasma_volume)
    given = y.fluids_given - x.fluids_given
    gained = (given + dt * (p.intake - urine)) / (1.0 + dt * 5.0 * urine / x.plasma_volume)
    water = y.plasma_volume + y.interstitial_volume - x.plasma_volume - x.interstitial_volume
    assert water == pytest.approx(gained, rel=1e-9)  # a difference of volumes a thousand times larger
    acute = 1.0 - p.synthesis_fall * x.mediator
    protein = y.protein_plasma + y.protein_interstitial - x.protein_plasma - x.protein_interstitial
    made = dt * (p.protein_synthesis * acute - p.protein_loss * x.protein_plasma)
    assert protein == pytest.approx(made, rel=1e-8)


def test_a_host_at_rest_stays_at_rest() -> None:
    """Without a dose nothing of the body drifts: volumes, albumin and pressure within 0.1 % over 20 days.

    Smooth maxima (`positive`) are not exactly 0 at rest; that is the 0.1 %.
    """
    for host, lesions in (("dba2_mouse", FLANK), ("human", SKIN)):
        made = experiment(host=host, lesions=lesions, follow_up="20 days", subjects=16)
        opened = open_run(made, chance=False)
        for name in ("plasma_volume", "interstitial_volume", "albumin", "mean_arterial_pressure", "weight"):
            series = opened.body(name)
            first = series[0]
            np.testing.assert_allclose(series, np.broadcast_to(first, series.shape), rtol=1e-3, err_msg=f"{host} {name}")


SIGNED = {"interstitial_pressure", "rim_oedema"}


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
        doses.append(Dose(
            data.draw(st.sampled_from([96.0, 120.5, 240.0, 240.0, 241.0, 300.0, 500.0])), "aldesleukin", 8e4 * scale, route,
            volume=data.draw(st.sampled_from([0.0, 20.0, 100.0, 500.0])),
            duration=data.draw(st.sampled_from([0.0, 0.0, 0.25, 24.0])),
            distance=data.draw(st.sampled_from([0.0, 1.0, 10.0])),
        ))
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
            if name not in SIGNED:
                assert (value >= 0.0).all(), name
    for name in layout.TISSUE:
        value = opened.tissue(name)
        assert np.isfinite(value).all(), name
        assert name == "strain_ref" or (value >= 0.0).all(), name
    for name in ("solute", "pools", "tcells", "carriers", "node", "ledger", "auc", "peak"):
        if name == "ledger":
            continue  # "to_blood" is a net amount
        assert np.isfinite(getattr(opened.block, name)).all(), name
        assert name == "solute" or (getattr(opened.block, name) >= 0.0).all(), name
    assert (opened.solutes() >= 0.0).all()
    assert np.isfinite(lesion_view(opened.block, "antigen")).all()
