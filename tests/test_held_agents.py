"""Agents that matrix binds and agents that a depot releases: laws, transport, balances, and what they change in a host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from locokine.biology import binding
from locokine.engine import batch
from locokine.errors import InputError
from locokine.parameters import load_library
from locokine.population import draw
from locokine.scenario.experiment import Experiment
from locokine.tissue import held, layout
from locokine.tissue import shells as operators
from reference import BODY_AT, LESION_AT, WIDTH, experiment, open_run, simulate
from solutions import Shells, sphere

FIRST = np.uint64(0)
DEPOTS = ("il2_microspheres", "il2_gel", "peg_il2")
BINDERS = ("collagen_anchored_il2", "matrix_immunocytokine")
FLUID, SITES, KD = 40.0, 4000.0, 10.0


# --- laws ---


@given(amount=st.floats(1e-9, 1e9), fluid=st.floats(1e-3, 1e5), sites=st.floats(0.0, 1e8), kd=st.floats(1e-3, 1e6))
def test_free_and_bound_make_up_the_amount(amount: float, fluid: float, sites: float, kd: float) -> None:
    """F c + B c/(Kd + c) = A for any of them: 1e-12, as the root is written without cancellation."""
    c = binding.free_concentration(amount, fluid, sites, kd)
    assert 0.0 <= c <= amount / fluid * (1.0 + 1e-12)
    assert fluid * c + sites * c / (kd + c) == pytest.approx(amount, rel=1e-12)
    assert binding.room(c, fluid, sites, kd) * c == pytest.approx(amount, rel=1e-12)


def test_free_concentration_by_hand() -> None:
    """F = 1, B = 6, Kd = 1: at c = 2 the matrix holds 4, so that A = 6. Without sites all is free; nothing stays nothing."""
    assert binding.free_concentration(6.0, 1.0, 6.0, 1.0) == pytest.approx(2.0, rel=1e-14)
    assert binding.free_concentration(6.0, 2.0, 0.0, 1.0) == pytest.approx(3.0, rel=1e-14)
    assert binding.room(3.0, 2.0, 0.0, 1.0) == 2.0
    assert binding.free_concentration(0.0, 1.0, 6.0, 1.0) == 0.0


def test_release_by_hand() -> None:
    """ln 2 / rate is the half-life (1e-4: the laws' exponential); rate 0 releases nothing."""
    assert binding.released(8.0, np.log(2.0) / 5.0, 5.0) == pytest.approx(4.0, rel=1e-3)
    assert binding.released(8.0, 0.0, 5.0) == 0.0


# --- transport of one agent in hand-filled shells ---


class Held(Shells):
    """Shells with an agent that is bound, lost, and exchanged with blood."""

    def __init__(self, volumes: Any, **values: float) -> None:
        super().__init__(volumes)
        fields = layout.Agent._fields
        self.agent = np.zeros(len(fields) * WIDTH)
        view = self.agent.reshape(-1, WIDTH)
        for name, value in {"matrix_kd": KD, "bound_activity": 1.0, **values}.items():
            view[fields.index(name)] = value
        self.host = np.zeros(len(layout.Host._fields) * WIDTH)
        self["fluid"] = FLUID
        self.sums = np.zeros((4, WIDTH))

    def step(self, dt: float, degradation: float = 0.0) -> None:
        held.step_held(
            self.w,
            self.solute,
            FIRST,
            self.n,
            self.agent,
            self.host,
            np.full(WIDTH, degradation),
            np.zeros(WIDTH),
            FIRST,
            *self.sums,
            dt,
        )

    def start(self, amount: Any) -> None:
        self.sol("amount")[:] = np.asarray(amount, dtype=float).reshape(-1, 1)
        held.release(self.w, self.solute, FIRST, self.n, self.agent, 0.0)

    @property
    def total(self) -> float:
        return float((self.sol("amount") + self.sol("depot"))[:, 0].sum() + self.sums[:, 0].sum())


def washed_out(steps: int, sites: float, amount: float, time: float = 6.0) -> Held:
    """One shell rinsed by blood at 20 mm³/h, with loss of what is free and a tenth of it of what is bound."""
    made = Held(np.array([100.0]), bound_loss=0.1)
    made.sol("sites")[:] = sites
    made.sol("blood")[:] = 20.0
    made.start(amount)
    for _ in range(steps):
        made.step(time / steps, 0.2)
    return made


def exact(sites: float, amount: float, time: float = 6.0) -> float:
    """The same by scipy, for the whole amount."""

    def change(_: float, y: Any) -> Any:
        a = max(float(y[0]), 0.0)
        b = FLUID * KD + sites - a
        c = (-b + np.sqrt(b * b + 4.0 * FLUID * a * KD)) / (2.0 * FLUID)
        return [-20.0 * c - 0.2 * (FLUID * c + 0.1 * sites * c / (KD + c))]

    return float(solve_ivp(change, (0.0, time), [amount], rtol=1e-10, atol=1e-9).y[0, -1])


def test_few_molecules_are_held_back_by_the_retardation_factor() -> None:
    """c << Kd: the amount falls as exp(-k t / R), R = 1 + B/(Kd F) = 11, for lossless matrix (1e-3: second order, 64 steps)."""
    made = Held(np.array([100.0]), bound_loss=0.0)
    made.sol("sites")[:] = SITES
    made.sol("blood")[:] = 20.0
    made.start(1e-3)
    for _ in range(64):
        made.step(12.0 / 64)
    retardation = 1.0 + SITES / (KD * FLUID)
    assert made.sol("amount")[0, 0] == pytest.approx(1e-3 * np.exp(-20.0 / FLUID * 12.0 / retardation), rel=1e-3)


@pytest.mark.parametrize(("sites", "amount"), [(0.0, 1e4), (SITES, 1.0), (SITES, 3e3), (SITES, 5e4), (1e6, 5e4)])
def test_saturable_binding_against_another_solver(sites: float, amount: float) -> None:
    """What is left after 6 h, from few molecules to more than there are sites: 2e-3 at 64 steps, falling with order 2."""
    wanted = exact(sites, amount)
    errors = [abs(float(washed_out(n, sites, amount).sol("amount")[0, 0]) - wanted) / amount for n in (16, 32, 64)]
    assert errors[-1] < 2e-3
    if errors[-1] > 1e-7:  # below that the other solver's tolerance and rounding show
        assert errors[0] / errors[2] > 9.0  # order 2 is 16, order 1 would be 4


@given(
    sites=st.floats(0.0, 1e6),
    kd=st.floats(1e-2, 1e4),
    rate=st.floats(0.0, 10.0),
    depot=st.floats(0.0, 1e5),
    dt=st.floats(1e-3, 20.0),
    loss=st.floats(0.0, 1.0),
)
def test_nothing_is_lost_or_negative(sites: float, kd: float, rate: float, depot: float, dt: float, loss: float) -> None:
    """Through eight shells with diffusion, drift, blood, loss and release, at any step: 1e-12 of what there was."""
    made = Held(sphere(3.0, 8), matrix_kd=kd, release_rate=rate, bound_loss=loss)
    made["face_flow"] = np.linspace(-3.0, 5.0, 8)
    made.sol("face")[:-1] = 7.0
    made.sol("blood")[:] = 2.0
    made.sol("sites")[:] = sites
    made.sol("depot")[2] = depot
    made.start([1e4, 0, 0, 50, 0, 0, 1e-6, 3])
    before = made.total
    for _ in range(5):
        made.step(dt, 0.3)
    assert made.total == pytest.approx(before, rel=1e-12)
    for name in ("amount", "depot", "concentration", "mean"):
        assert (made.sol(name) >= 0.0).all(), name


def test_without_sites_and_depot_it_is_the_step_of_any_agent() -> None:
    """The neutral values: the two steps agree to rounding (1e-13)."""
    plain = Held(sphere(3.0, 5))
    bound = Held(sphere(3.0, 5))
    for made in (plain, bound):
        made["face_flow"] = np.linspace(-3.0, 5.0, 5)
        made.sol("face")[:-1] = 7.0
        made.sol("blood")[:] = 2.0
        made.sol("sink")[:] = 0.3 * FLUID
        made.start([1e4, 0, 3, 0, 1])
    for _ in range(4):
        operators.step_solute(plain.w, plain.solute, FIRST, plain.n, np.zeros(WIDTH), FIRST, *plain.sums, 0.5)
        bound.step(0.5, 0.3)
    for name in ("amount", "concentration", "mean"):
        np.testing.assert_allclose(bound.sol(name), plain.sol(name), rtol=1e-13, err_msg=name)
    np.testing.assert_allclose(bound.sums, plain.sums, rtol=1e-13)


def test_bound_molecules_act_as_far_as_the_agent_says() -> None:
    """The mean concentration that cells meet is free + share of bound per fluid: at share 1, the whole amount per fluid."""
    means = {}
    for share in (0.0, 0.5, 1.0):
        made = Held(np.array([100.0]), bound_activity=share)
        made.sol("sites")[:] = SITES
        made.start(3e3)
        made.step(1e-6)
        means[share] = float(made.sol("mean")[0, 0])
    assert means[1.0] == pytest.approx(3e3 / FLUID, rel=1e-6)
    assert means[0.5] == pytest.approx(0.5 * (means[0.0] + means[1.0]), rel=1e-6)
    assert means[0.0] == pytest.approx(15.0, rel=1e-6)  # 40 x 15 + 4000 x 15 / 25 = 3000


# --- in hosts ---


def dosed(agent: str, route: str = "intratumoural", dose: str = "20000 IU", **changed: Any) -> Experiment:
    line = f"{agent} {dose} {route} in 0.1 mL daily x3 from day 9"
    return experiment({"a": [line]}, follow_up="20 days", subjects=16, **changed)


@pytest.mark.parametrize("agent", [*DEPOTS, *BINDERS])
@pytest.mark.parametrize("route", ["intratumoural", "peritumoural", "subcutaneous", "intraperitoneal"])
def test_the_balance_from_the_stored_series(agent: str, route: str) -> None:
    """Supplied = in lesions + elsewhere + gone at every stored time, from the series of the result alone: 1e-12."""
    run = simulate(dosed(agent, route))
    body = {name: run.series_body[BODY_AT[name]] for name in ("agent_supplied", "agent_elsewhere", "agent_gone")}
    there = run.series_lesion[LESION_AT["agent_total"]].sum(axis=0)
    error = body["agent_supplied"] - body["agent_elsewhere"] - body["agent_gone"] - there
    seen = np.isfinite(error)
    assert seen.sum() > 1000
    assert np.abs(error[seen]).max() < 1e-12 * np.nanmax(body["agent_supplied"])
    given = run.dosed.sum(axis=0)
    assert (np.nanmax(body["agent_supplied"], axis=0) >= given * (1.0 - 1e-12)).all()  # and what the host made
    assert given.min() > 0.0


@pytest.mark.parametrize("geometry", ["well-mixed", "shells"])
def test_what_is_bound_and_what_is_in_the_depot_are_reported(geometry: str) -> None:
    """An anchored agent is bound and never in a depot, microspheres the other way round, free IL-2 neither."""
    for agent, bound, depot in (
        ("collagen_anchored_il2", True, False),
        ("il2_microspheres", False, True),
        ("aldesleukin", False, False),
    ):
        run = simulate(dosed(agent, geometry=geometry, shells=6, rim_shells=2))
        total, one, two = (run.series_lesion[LESION_AT[name]] for name in ("agent_total", "agent_bound", "agent_depot"))
        assert bool(np.nanmax(one) > 0.0) is bound
        assert bool(np.nanmax(two) > 0.0) is depot
        assert (np.nan_to_num(one + two) <= np.nan_to_num(total) * (1.0 + 1e-9)).all()


def test_a_depot_empties_at_its_rate() -> None:
    """Microspheres in tissue that is not cut: what is not yet released falls as exp(-k t), whatever the tissue does (1e-3)."""
    made = experiment(
        {"a": ["il2_gel 20000 IU intratumoural in 0.1 mL day 5"]},
        follow_up="9 days",
        subjects=16,
        overrides={"release_rate": "0.02 1/h"},
    )
    run = simulate(made)
    depot = run.series_lesion[LESION_AT["agent_depot"], 0]
    at = np.searchsorted(run.series_time, 120.0 + np.array([4.0, 52.0]))
    np.testing.assert_allclose(depot[at[1]] / depot[at[0]], np.exp(-0.02 * 48.0), rtol=1e-3)


def test_free_against_anchored_at_equal_dose() -> None:
    """The same molecule with and without sites, 1,000 IU: matrix keeps it in the tumour and out of the blood, in every host.

    By area under the curve at least twofold in the tumour (the sites hold far more than the dose), and less in plasma.
    """
    tumour, plasma = {}, {}
    for agent in ("unanchored_il2", "collagen_anchored_il2"):
        run = simulate(dosed(agent, dose="1000 IU"))
        tumour[agent], plasma[agent] = run.exposure[0, 1, 1], run.exposure[3, 1, 1]
    assert (tumour["collagen_anchored_il2"] > 2.0 * tumour["unanchored_il2"]).all()
    assert (plasma["collagen_anchored_il2"] < plasma["unanchored_il2"]).all()


def test_release_flattens_the_peak_in_plasma() -> None:
    """Microspheres against the same IL-2 free, equal dose: a lower peak and a longer stay in the tumour, in every host."""
    free = simulate(dosed("aldesleukin"))
    slow = simulate(dosed("il2_microspheres"))
    assert (slow.exposure[3, 1, 0] < free.exposure[3, 1, 0]).all()
    late = LESION_AT["il2"], 0, np.searchsorted(free.series_time, 16 * 24.0)
    alive = np.isfinite(free.series_lesion[late] + slow.series_lesion[late])
    assert alive.sum() > 10
    assert (slow.series_lesion[late][alive] > free.series_lesion[late][alive]).all()


def test_particles_are_not_put_into_blood() -> None:
    for route in ("intravenous", "intra-arterial"):
        with pytest.raises(InputError, match="particles"):
            dosed("il2_microspheres", route)


def test_a_company_adds_its_own(tmp_path: Path) -> None:
    """One entry of YAML from mass, affinities and a matrix Kd: no code, and the sites do what they say."""
    entry = """\
entries:
  our_anchor:
    label: our anchored variant
    values:
      molar_mass: {value: 60 kDa, distribution: fixed, between: 0, status: assumed, source: [], note: mass spectrometry}
      radius: {value: 3.6 nm, range: [3.2 nm, 4 nm], status: assumed, source: [], note: 0.912 MW^0.333}
      potency_effector: {value: 0.8, unit: "1", range: [0.5, 1.2], status: assumed, source: [], note: pSTAT5}
      matrix_kd: {value: 40 nM, range: [20 nM, 80 nM], status: assumed, source: [], note: plasmon resonance on collagen I}
      matrix_sites: {value: 1100 nM, range: [100 nM, 10000 nM], distribution: lognormal, status: assumed, note: collagen}
"""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "agents.yaml").write_text(entry)
    made = dosed("our_anchor", library=load_library([folder]))
    setting = batch.prepare(
        made, draw(made), made.protocol.arms[0], made.protocol.lesions, made.protocol.follow_up, batch.Accuracy()
    )
    assert list(setting.plan.held) == [0, 1]
    assert list(setting.plan.toxic) == [0, 0]
    run = simulate(made)
    assert np.nanmax(run.series_lesion[LESION_AT["agent_bound"]]) > 0.0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("depot_share: {value: 1.2, unit: '1', status: assumed, source: [], note: x}", "outside the physical range"),
        ("matrix_kd: {value: 4 mm, status: assumed, source: [], note: x}", "does not fit the definition's unit"),
        ("matrix_sites: {value: -5 nM, status: assumed, source: [], note: x}", "outside the physical range"),
        ("matrix_side: {value: 5 nM, status: assumed, source: [], note: x}", "unknown parameter"),
    ],
)
def test_a_wrong_entry_is_explained(tmp_path: Path, values: str, said: str) -> None:
    (tmp_path / "agents.yaml").write_text(f"entries:\n  odd:\n    label: odd\n    values:\n      {values}\n")
    with pytest.raises(InputError, match=said):
        load_library([tmp_path])


def test_a_cavity_has_no_matrix() -> None:
    """In free fluid nothing is bound: an anchored agent in ascites is that without sites, but for the wall around it."""
    made = experiment(
        {"a": ["collagen_anchored_il2 20000 IU intracavitary in 0.1 mL day 6"]},
        lesions={"ascites": {"line": "sl2", "site": "peritoneum", "cells": "2e4 cells"}},
        follow_up="10 days",
        subjects=16,
    )
    opened = open_run(made)
    sites = opened.block.solute.reshape(1, 2, -1, len(layout.SOLUTE), WIDTH)[0, 1, :, layout.SOLUTE.index("sites")]
    assert (sites[0] == 0.0).all()
    assert (sites[1] > 0.0).all()
