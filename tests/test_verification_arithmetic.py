"""Arithmetic helpers against the library's, and small laws against exact solutions and chance itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from solutions import orders, plain

arithmetic = plain("biology.arithmetic")
endothelium = plain("biology.endothelium")
extinction = plain("biology.extinction")
killing = plain("biology.killing")


def test_log() -> None:
    """Relative error below 1e-9 over the stated range 1e-6 to 1e6 (near 1 the logarithm itself is 0: absolute)."""
    for x in np.geomspace(1e-6, 1e6, 2001):
        assert arithmetic.log(x) == pytest.approx(math.log(x), rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("limit", [1.0, 5.0, 10.0, 20.0, 30.0])
def test_exp(limit: float) -> None:
    """Relative error below 1e-9 over the stated range |x| < 30."""
    worst = max(abs(arithmetic.exp(x) / math.exp(x) - 1.0) for x in np.linspace(-limit, limit, 2001))
    assert worst < 1e-9


def test_power() -> None:
    """Cube roots and squares; the errors of `log` (1e-9, times |exponent log x| < 10) and of `exp` add up."""
    for x in np.geomspace(1e-5, 1e6, 500):
        for exponent in (1.0 / 3.0, 0.5, -0.7):
            assert arithmetic.power(x, exponent) == pytest.approx(x**exponent, rel=2e-8)


def test_compiled_helpers_are_the_same_source() -> None:
    """Compiled and plain differ by at most a few roundings (1e-14): the machine may fuse a product and a sum."""
    from locokine.biology import arithmetic as compiled

    for x in (-3.0, -0.1, 0.3, 2.0, 25.0):
        assert compiled.exp(x) == pytest.approx(arithmetic.exp(x), rel=1e-14)
        assert compiled.log(x * x) == pytest.approx(arithmetic.log(x * x), rel=1e-14)


def test_normal_distribution_function() -> None:
    """Absolute error below 2e-4, as Bowling et al. 2009 state for their approximation."""
    z = np.linspace(-8.0, 8.0, 801)
    assert max(abs(arithmetic.normal_cdf(v) - norm.cdf(v)) for v in z) < 2e-4


def test_smooth_and_exact_extremes() -> None:
    """`largest` and `smallest` are exact to rounding (1e-12 of operands of 1e3); `positive` within half its width."""
    random = np.random.default_rng(1)
    for a, b in random.normal(0.0, 1e3, (200, 2)):
        assert arithmetic.largest(a, b) == pytest.approx(max(a, b), abs=1e-12)
        assert arithmetic.smallest(a, b) == pytest.approx(min(a, b), abs=1e-12)
        assert 0.0 < arithmetic.positive(a, 0.1) - max(a, 0.0) <= 0.05 + 1e-12
    assert arithmetic.positive(0.0, 0.1) == pytest.approx(0.05)


@pytest.mark.parametrize("name", ["decay", "gain", "relax"])
def test_steps_are_fourth_order(name: str) -> None:
    """exp(-z), exp(z) and the step of dx/dt = s - r x: over a fixed time, halving the step leaves a sixteenth of the error."""
    errors = []
    for steps in (8, 16, 32, 64):
        h = 2.0 / steps
        x = 1.0
        for _ in range(steps):
            if name == "relax":
                x = arithmetic.relax(x, 0.3, 1.0, h)
            else:
                x = x * getattr(arithmetic, name)(h)
        exact = {"decay": math.exp(-2.0), "gain": math.exp(2.0), "relax": 0.3 + 0.7 * math.exp(-2.0)}[name]
        errors.append(abs(x - exact))
    assert orders(errors)[-1] == pytest.approx(4.0, abs=0.1)


def test_relax_is_exact_for_small_and_large_steps() -> None:
    """Limits of the step: source alone, and the settled value (1e-9 of a step a million times the time constant)."""
    assert arithmetic.relax(2.0, 3.0, 0.0, 5.0) == pytest.approx(17.0, rel=1e-15)
    assert arithmetic.relax(2.0, 3.0, 1.5, 1e9) == pytest.approx(2.0, rel=1e-8)
    assert arithmetic.relax(50.0, 3.0, 1.5, 1e9) == pytest.approx(2.0, rel=1e-8)


def test_endothelial_arm_against_its_exact_solution() -> None:
    """dE/dt = g(1-E)/on - (1-g)E/off at a constant drive is exponential; the step is fourth order and settles exactly."""
    on, off, time = 1.5, 6.0, 4.0
    for drive in (0.05, 0.4, 1.0):
        up, down = drive / on, (1.0 - drive) / off
        exact = up / (up + down) * (1.0 - math.exp(-(up + down) * time))
        errors = []
        for steps in (16, 32, 64):
            state = 0.0
            for _ in range(steps):
                state = endothelium.arm(state, drive, on, off, time / steps)
            errors.append(abs(state - exact))
        assert orders(errors) == pytest.approx(4.0, abs=0.3)
        assert errors[0] < 2e-6  # at a step of a quarter of an hour
        assert endothelium.arm(0.3, drive, on, off, 1e12) == pytest.approx(up / (up + down), rel=1e-9)
    assert endothelium.arm(0.0, 0.0, on, off, 3.0) == 0.0


def test_arms_act_independently() -> None:
    """E = 1 - Π(1-E_i); no arm, no leak; the neutral state leaves coefficients as they are."""
    assert endothelium.leak(0.0, 0.0, 0.0) == 0.0
    assert endothelium.leak(0.2, 0.5, 0.1) == pytest.approx(1.0 - 0.8 * 0.5 * 0.9, rel=1e-15)
    assert endothelium.fold(12.0, 0.0) == 1.0
    assert endothelium.reflection(0.8, 0.7, 0.0) == 0.8


def test_kills_are_saturable_in_both_partners() -> None:
    """kTN/(h + T + N): few killers each kill `fastest`, few targets each die at `fastest`; none without killers."""
    assert killing.per_target(0.0, 1e5, 14.0, 100.0) == 0.0
    assert killing.per_target(1.0, 1e8, 14.0, 100.0) * 1e8 == pytest.approx(14.0, rel=1e-5)  # 100/1e8
    assert killing.per_target(1e8, 1.0, 14.0, 100.0) == pytest.approx(14.0, rel=1e-5)


def _extinct(start: int, birth: float, deaths: tuple[float, float], switch: float, end: float, runs: int) -> float:
    """Share of birth–death processes that are extinct at `end`; the death rate changes at time `switch` (Gillespie)."""
    random = np.random.default_rng(11)
    n = np.full(runs, start)
    t = np.zeros(runs)
    while True:
        live = np.flatnonzero((n > 0) & (t < end))
        if not live.size:
            return float(np.mean(n == 0))
        death = np.where(t[live] < switch, deaths[0], deaths[1])
        wait = random.exponential(1.0 / (n[live] * (birth + death)))
        limit = np.where(t[live] < switch, switch, end)
        crosses = t[live] + wait >= limit  # memoryless: stop at the change of rate and draw again
        t[live] = np.where(crosses, limit, t[live] + wait)
        up = random.random(live.size) < birth / (birth + death)
        n[live] += np.where(crosses, 0, np.where(up, 1, -1))


@pytest.mark.parametrize(("deaths", "switch"), [((0.09, 0.09), 30.0), ((0.02, 0.12), 20.0)])
def test_extinction_probability_against_chance_itself(deaths: tuple[float, float], switch: float) -> None:
    """exp(-n/(1 + nJ)) against 6,000 simulated birth–death processes of 60 cells whose death rate changes once.

    Tolerance: four standard errors of the simulated share, and 1/(2 n0) = 0.01 for replacing [1 - x/n0]^n0 by exp(-x).
    """
    start, birth, end, runs = 60, 0.04, 80.0, 6000
    t = np.linspace(0.0, end, 80001)
    net = birth - np.where(t < switch, *deaths)
    mean = start * np.exp(np.concatenate([[0.0], np.cumsum(0.5 * (net[1:] + net[:-1]) * np.diff(t))]))
    j = float(np.sum(0.5 * (birth / mean[1:] + birth / mean[:-1]) * np.diff(t)))
    predicted = math.exp(-extinction.exponent(mean[-1], j))
    seen = _extinct(start, birth, deaths, switch, end, runs)
    assert 0.05 < seen < 0.98  # the case says something
    assert predicted == pytest.approx(seen, abs=4.0 * math.sqrt(seen * (1.0 - seen) / runs) + 0.5 / start)
