"""Courses, equilibria, their stability and the published thresholds of the baselines.

A delay is solved by the method of steps: on each interval of one delay the late term is known from the interval before.
For stability, and for programs that know no delays, the late signal is a line of Chebyshev points on [−τ, 0] along which it
is carried (pseudospectral collocation: Breda, Maset, Vermiglio 2005, SIAM J Sci Comput 27:482); with 16 points the error is
far below that of any parameter.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locokine.baselines.laws import State, change, stimulation
from locokine.baselines.models import Baseline
from locokine.errors import InputError

Array = NDArray[np.float64]
POINTS = 16
"""Chebyshev intervals that carry a late signal."""
MOST_STEPS = 20_000
"""Intervals of one delay in a course."""
TOLERANCE = 1e-9
MOST_EVALUATIONS = 1_000_000
"""Evaluations of the equations in one course (published behaviour over 20,000 days takes a fiftieth)."""
LARGEST = 1e100
"""Cells or units of interleukin-2 beyond which a course says nothing more."""


@dataclass(frozen=True)
class Course:
    """Days, and effector cells, the logarithm of the number of tumour cells, and interleukin-2 at them."""

    days: Array
    effectors: Array
    log_tumour: Array
    il2: Array

    @property
    def tumour(self) -> Array:
        """Tumour cells (0 where there are fewer than a computer can say)."""
        return np.exp(self.log_tumour)

    def fate(self) -> str:
        """In words, what the last third of the course is like."""
        last = self.tumour[2 * len(self.tumour) // 3:]
        low, high = float(last.min()), float(last.max())
        if high < 1.0:
            return "tumour below one cell"
        if high < 1.02 * low:
            return f"steady at {high:.3g} tumour cells"
        return f"tumour between {low:.3g} and {high:.3g} cells"


@dataclass(frozen=True)
class Equilibrium:
    """A state that stays, and the eigenvalue (per day) that decides whether small changes grow."""

    state: State
    eigenvalue: complex

    @property
    def stable(self) -> bool:
        """Whether small changes die out."""
        return self.eigenvalue.real < 0.0


def integrate(model: Baseline, days: float, every: float = 1.0) -> Course:
    """Return the course over `days`, reported `every` so many days.

    Raises
    ------
    InputError
        If the time is not a positive number, or the delay so short that it asks for too many steps.
    """
    if not 0.0 < days <= 1e6 or not 0.0 < every <= days:
        raise InputError("--days", f"{days:g} days cannot be simulated", "write a number of days up to 1e6")
    start = [one.value for one in model.start]
    first = np.array([start[0], np.log(start[1]), start[2]])
    times = np.linspace(0.0, days, round(days / every) + 1)
    y = _delayed(model, first, times) if model.delay > 0.0 else _immediate(model, first, times)
    return Course(times, y[0], y[1], y[2])


def _state(y: Any) -> State:
    return State(y[0], np.exp(y[1]), y[2])


class _Guard:
    """Counts evaluations of the equations, and ends a course that asks for too many or leaves the numbers."""

    def __init__(self) -> None:
        self.left = MOST_EVALUATIONS

    def __call__(self, f: Callable[[float, Array], Any]) -> Callable[[float, Array], Any]:
        def guarded(t: float, y: Array) -> Any:
            self.left -= 1
            if self.left < 0:
                problem = f"the course is too stiff from day {t:.4g} on"
                raise InputError("model", problem, "change fewer parameters, or write fewer days")
            if not max(abs(y[0]), abs(y[2])) < LARGEST or not y[1] < LARGEST:
                raise InputError("model", f"effector cells grow without bound (day {t:.4g})", "write fewer days")
            return f(t, y)

        return guarded


def _solve(f: Callable[[float, Array], Any], span: tuple[float, float], y: Array, **options: Any) -> Any:
    from scipy.integrate import solve_ivp

    # cells and interleukin-2 to 1e-6 of a unit, the logarithm of the tumour to 1e-9
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the solver says why it stopped: told below
        found = solve_ivp(f, span, y, method="LSODA", rtol=TOLERANCE, atol=[1e-6, 1e-9, 1e-6], **options)
    if not found.success or not np.isfinite(found.y).all():
        raise InputError("model", f"the equations could not be solved ({found.message})", "change fewer parameters")
    return found


def _immediate(model: Baseline, first: Array, times: Array) -> Array:
    p = model.values

    def rate(_: float, y: Array) -> Any:
        x = _state(y)
        return change(x, p, stimulation(x, p))

    return _solve(_Guard()(rate), (0.0, float(times[-1])), first, t_eval=times).y


def _delayed(model: Baseline, first: Array, times: Array) -> Array:
    """Method of steps; before day 0 the state was that of day 0."""
    p, tau = model.values, model.delay
    steps = int(np.ceil(times[-1] / tau - 1e-9))
    if steps > MOST_STEPS:
        raise InputError(
            "tau", f"a delay of {tau:g} days needs {steps} steps", f"write fewer days, or at least {times[-1] / MOST_STEPS:g}"
        )
    out = np.empty((3, len(times)))
    y = first
    guard = _Guard()
    before: Callable[[float], Array] = lambda _: first  # noqa: E731 (a dense solution takes its place)
    for step in range(steps):
        begin, end = step * tau, (step + 1) * tau
        late = before

        def rate(t: float, y: Array, late: Callable[[float], Array] = late) -> Any:
            return change(_state(y), p, stimulation(_state(late(t - tau)), p))

        found = _solve(guard(rate), (begin, end), y, dense_output=True)
        inside = (times >= begin - 1e-12) & (times <= end + 1e-12)
        if inside.any():
            out[:, inside] = found.sol(times[inside])
        before, y = found.sol, found.y[:, -1]
    return out


# --- equilibria ------------------------------------------------------------------------------------------------------


def equilibria(model: Baseline) -> list[Equilibrium]:
    """Return the equilibria with a tumour, by its size, after the one without a tumour where there is one.

    With a tumour, the second equation gives the effector cells and the third the interleukin-2, so that one equation in
    the size of the tumour is left; it is searched over fourteen decades.
    """
    from scipy.optimize import brentq

    p = model.values

    def others(tumour: float) -> State:
        effectors = p.r2 * (1.0 - p.b * tumour) * (p.g2 + tumour) / p.a
        return State(effectors, tumour, (p.s2 + p.p2 * effectors * tumour / (p.g3 + tumour)) / p.mu3)

    def left(tumour: float) -> float:
        x = others(tumour)
        return change(x, p, stimulation(x, p))[0]

    shares = np.unique(np.concatenate([np.logspace(-14, 0, 6000), 1.0 - np.logspace(-10, -1, 3000)]))
    sizes = shares * (1.0 - 1e-13) / p.b
    found = []
    free = _without_tumour(model)
    if free is not None:
        found.append(Equilibrium(free, leading_eigenvalue(model, free)))
    values = [left(size) for size in sizes]
    for low, high, one, two in zip(sizes[:-1], sizes[1:], values[:-1], values[1:], strict=True):
        if one * two < 0.0:
            root: Any = brentq(left, low, high, xtol=1e-300)
            state = others(float(root))
            found.append(Equilibrium(state, leading_eigenvalue(model, state)))
    return found


def _without_tumour(model: Baseline) -> State | None:
    """Effector cells and interleukin-2 without a tumour; None where effector cells grow without bound."""
    p = model.values
    il2 = p.s2 / p.mu3
    loss = p.mu2 - p.p1 * il2 / (p.g1 + il2)
    return State(p.s1 / loss, 0.0, il2) if loss > 0.0 else None


def leading_eigenvalue(model: Baseline, x: State, points: int = POINTS) -> complex:
    """Return the eigenvalue of largest real part, per day, of small changes around a state that stays."""
    now, late = _slopes(model, x)
    if model.delay <= 0.0:
        now[0] += late
        matrix = now
    else:
        carry = 2.0 / model.delay * differentiation(points)
        matrix = np.zeros((3 + points, 3 + points))
        matrix[:3, :3] = now
        matrix[0, -1] = 1.0
        matrix[3:, :3] = np.outer(carry[1:, 0], late)
        matrix[3:, 3:] = carry[1:, 1:]
    return complex(max(np.linalg.eigvals(matrix), key=lambda value: value.real))


def _slopes(model: Baseline, x: State) -> tuple[Array, Array]:
    """Jacobian of the three rates (of E, T, I), and gradient of the stimulation, exact to rounding (complex steps)."""
    p = model.values
    now, late = np.zeros((3, 3)), np.zeros(3)
    for column in range(3):
        step = 1e-30 * max(1.0, abs(x[column]))
        moved = State(*(value + 1j * step * (index == column) for index, value in enumerate(x)))
        rates = change(moved, p, 0.0)
        now[:, column] = [rates[0].imag / step, (rates[1] * moved.tumour).imag / step, rates[2].imag / step]
        late[column] = stimulation(moved, p).imag / step
    return now, late


def differentiation(points: int) -> Array:
    """Matrix of the derivative at the Chebyshev points cos(πj/n) from the values at them (Trefethen 2000, cheb.m)."""
    j = np.arange(points + 1)
    x = np.cos(np.pi * j / points)
    weight = np.where((j == 0) | (j == points), 2.0, 1.0) * (-1.0) ** j
    gap = x[:, None] - x[None, :]
    matrix = np.outer(weight, 1.0 / weight) / (gap + np.eye(points + 1))
    return matrix - np.diag(matrix.sum(axis=1))


# --- thresholds ------------------------------------------------------------------------------------------------------


def thresholds(model: Baseline) -> dict[str, float]:
    """Return the values at which the model's behaviour changes.

    Returns
    -------
    dict
        `s1_clears`: effector cells given per day above which the tumour-free state is stable, r2 g2 μ2 / a.
        `s2_unbounded`: interleukin-2 given per day above which effector cells grow without bound, μ2 g1 μ3 / (p1 − μ2);
        missing where no dose does that.
    """
    p = model.values
    found = {"s1_clears": p.r2 * p.g2 * p.mu2 / p.a}
    if p.p1 > p.mu2:
        found["s2_unbounded"] = p.mu2 * p.g1 * p.mu3 / (p.p1 - p.mu2)
    return found
