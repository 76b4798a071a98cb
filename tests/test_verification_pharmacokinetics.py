"""Plasma and tissue exposure: two compartments, bioavailability, units of a dose."""

from __future__ import annotations

import numpy as np
import pytest

from locokine.engine.grid import Accuracy
from locokine.scenario.protocol import Dose
from reference import BODY_AT, FLANK, PLACE_AT, SKIN, WIDTH, Opened, experiment, open_run, simulate, with_doses
from solutions import TwoCompartments, orders

LATER = {"flank": {**FLANK["flank"], "day": 2}}
"""The tumour comes after the plasma curve is over: nothing but plasma, periphery and clearance."""
AMOUNT = 80_000.0


def curve(factor: float, duration: float, host: str = "dba2_mouse") -> tuple[Opened, np.ndarray, np.ndarray]:
    """Plasma curve of the engine at every grid point, and the closed form, for one intravenous dose at 0 h."""
    lesions = LATER if host != "human" else {"skin": {**SKIN["skin"], "day": 2}}
    made = experiment(
        {"dose": ["aldesleukin 20000 IU intravenous daily days 0-0"]}, host=host, lesions=lesions, follow_up="3 days"
    )
    made = with_doses(made, dose=[Dose(0.0, "aldesleukin", AMOUNT, "intravenous", duration=duration)])
    opened = open_run(made, accuracy=Accuracy().finer(factor), every_step=True)
    time = opened.time[opened.time <= 24.0]
    found = opened.series_body[BODY_AT["il2_plasma"], : len(time), 0]
    model = TwoCompartments(
        AMOUNT,
        *(
            float(opened.host(name)[0])
            for name in ("clearance", "central_volume", "distribution_flow", "peripheral_volume")
        ),
    )
    return opened, found, model.infusion(time, duration) if duration else model.bolus(time)


@pytest.mark.parametrize("host", ["dba2_mouse", "human"])
@pytest.mark.parametrize("duration", [0.0, 0.25])
def test_plasma_curve_is_biexponential(host: str, duration: float) -> None:
    """Bolus and infusion over 15 min: the curve converges to the closed form, the default step is near it.

    The error is the area between the curves over the area under the curve, as the trapezoidal rule has it. Steps are
    second order, so it falls sixteenfold with the step; the order is read between the two finest, 2 within 0.3. A
    mouse's plasma empties at 20/h; the area itself is exact at any step (next test), and that is what acts.
    """
    errors = []
    for factor in (1.0, 4.0, 16.0, 64.0):
        opened, found, exact = curve(factor, duration, host)
        time = opened.time[: len(found)]
        errors.append(float(np.trapezoid(np.abs(found - exact), time) / np.trapezoid(exact, time)))
    assert errors[0] < 0.05
    assert errors[2] < 0.001
    assert orders(errors, 4.0)[-1] == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize("duration", [0.0, 0.25])
def test_area_under_the_plasma_curve_is_dose_over_clearance(duration: float) -> None:
    """Implicit steps conserve: the area is exact at any step, to rounding (1e-9 after 24 h of a half-life below 2 h)."""
    opened, _, _ = curve(1.0, duration)
    area = opened.exposure("plasma", agent=1)[1]
    assert area == pytest.approx(AMOUNT / opened.host("clearance"), rel=1e-9)


@pytest.mark.parametrize(
    "route",
    [
        "intravenous in 0.1 mL",
        "intratumoural in 0.1 mL",
        "peritumoural in 0.1 mL at 1 mm",
        "subcutaneous in 0.1 mL",
        "intraperitoneal in 0.5 mL",
    ],
)
def test_area_times_clearance_is_the_reported_bioavailability(route: str) -> None:
    """Plasma AUC × clearance / dose = reached_plasma / dosed, host by host, for every route.

    What entered the plasma can only be cleared, return to tissue (counted off), or still be there five days later:
    1e-6 of the dose covers the latter (depots empty with half-lives of hours).
    """
    made = experiment({"dose": [f"aldesleukin 20000 IU {route} daily days 8-8"]}, follow_up="14 days", subjects=16)
    run = simulate(made)
    opened = open_run(made)
    agent = run.agents.index("aldesleukin")
    area = run.exposure[-1, agent, 1]
    share = area * opened.host("clearance") / run.dosed[agent]
    assert run.dosed[agent] == pytest.approx(AMOUNT, rel=1e-12)
    np.testing.assert_allclose(share, run.reached_plasma[agent] / run.dosed[agent], rtol=0.0, atol=1e-6)
    if "intravenous" not in route:
        assert (share < 1.0).all()


def test_local_and_intravenous_areas_have_the_ratio_of_their_bioavailabilities() -> None:
    """AUC(i.t.)/AUC(i.v.) = F(i.t.)/F(i.v.) in the same hosts; the bound is that of the test above, twice."""
    made = experiment(
        {
            "iv": ["aldesleukin 20000 IU intravenous in 0.1 mL daily days 8-8"],
            "it": ["aldesleukin 20000 IU intratumoural in 0.1 mL daily days 8-8"],
        },
        follow_up="14 days",
    )
    iv, local = simulate(made, "iv"), simulate(made, "it")
    ratio = local.exposure[-1, 1, 1] / iv.exposure[-1, 1, 1]
    f = (local.reached_plasma[1] / local.dosed[1]) / (iv.reached_plasma[1] / iv.dosed[1])
    np.testing.assert_allclose(ratio, f, rtol=1e-5)


@pytest.mark.parametrize("volume", ["0.1 mL", "0.02 mL"])
@pytest.mark.parametrize("geometry", ["well-mixed", "shells"])
def test_the_node_is_never_more_concentrated_than_what_drains_into_it(geometry: str, volume: str) -> None:
    """An inert protein into the tumour: lymph of the basin dilutes it, the node's peak stays below that of tumour and rim.

    Nothing is taken up or made of it. With a constant rinse the node held more than twice what was injected.
    """
    made = experiment(
        {"dose": [f"inert_protein 80 pmol intratumoural in {volume} daily days 10-11"]}, follow_up="13 days",
        agents=["inert_protein"], geometry=geometry,
    )  # fmt: skip
    peaks = simulate(made).exposure[:, 1, 0]
    node = peaks[PLACE_AT["node"]]
    assert (node > 0.0).all()
    assert (node < np.maximum(peaks[PLACE_AT["tumour"]], peaks[PLACE_AT["rim"]])).all()


def test_units_of_one_dose() -> None:
    """20,000 IU = 80 pmol = 1.224 µg: the same outcome (per kg: the next test).

    The conversions differ by roundings of the amount (1e-15); 1e-9 allows the course to amplify them a million times.
    """
    words = ("20000 IU", "0.02 MIU", "1.224 ug", "0.08 nmol")
    runs = []
    for word in words:
        made = experiment({"dose": [f"aldesleukin {word} intratumoural in 0.1 mL daily days 10-14"]})
        runs.append(simulate(made))
    for word, run in zip(words[1:], runs[1:], strict=True):
        assert run.dosed == pytest.approx(runs[0].dosed, rel=1e-14), word
        np.testing.assert_allclose(run.daily_lesion, runs[0].daily_lesion, rtol=1e-9, atol=1e-9, err_msg=word)
        np.testing.assert_allclose(run.exposure, runs[0].exposure, rtol=1e-9, err_msg=word)
        assert run.events["kind"] == runs[0].events["kind"]


def test_dose_per_kg_follows_the_weight_of_each_host() -> None:
    """1 MIU/kg is 4e9 fmol/kg × the host's own weight (1e-12: a few roundings)."""
    made = experiment({"dose": ["aldesleukin 1 MIU/kg intravenous daily days 8-8"]}, follow_up="9 days", subjects=16)
    opened = open_run(made)
    assert opened.block.dosed[1] == pytest.approx(4e6 * opened.host("weight"), rel=1e-12)
    assert len(set(opened.block.dosed[1])) == WIDTH
