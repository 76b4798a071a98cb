"""From simulated points to a posterior: a regression of every row with its own error, sampled by emcee.

The last two steps of "calibrate, emulate, sample" (Cleary and others 2021, doi:10.1016/j.jcp.2020.109716): once an ensemble
lies where the rows are met, each row's prediction is regressed on the coordinates there, the error of the regression
(leave-one-out) joins the error of the row, and the posterior is sampled with the affine-invariant ensemble sampler of
emcee (Goodman and Weare 2010, doi:10.2140/camcos.2010.5.65; Foreman-Mackey and others 2013, doi:10.1086/670067).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from locokine.inference.kalman import filled
from locokine.inference.rows import Reading, Target, below, log_error, worth

Array = NDArray[np.float64]
RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""Penalties that the regression chooses from, by its leave-one-out error."""
TINY = 1e-9
"""Least variance of a point: one that is known exactly would count alone."""
CURVED = 12
"""Parameters whose squares a row's regression may use besides: those it answers to most."""


@dataclass(frozen=True)
class Surface:
    """Regression of one row.

    Attributes
    ----------
    centre
        Shape (n,): coordinates are taken from there.
    slope, curved, bend
        Shape (n,); places of parameters with a square; their coefficients.
    constant
        Value at the centre.
    variance
        Of the error that the regression leaves, chance of the simulated hosts included.
    explained
        Share of the variance of the points that it explains, leave-one-out.
    sampled
        Variance of sampling the study's hosts.
    """

    centre: Array
    slope: Array
    curved: NDArray[np.int64]
    bend: Array
    constant: float
    variance: float
    explained: float
    sampled: float

    def slopes(self, z: Array) -> Array:
        """Derivatives in points, shape (points, n)."""
        made = np.repeat(self.slope[None], len(z), axis=0)
        made[:, self.curved] += 2.0 * self.bend * (z - self.centre)[:, self.curved]
        return made

    def __call__(self, z: Array) -> Reading:
        """Prediction of draws, shape (draws, n), with the error of the regression as chance."""
        x = z - self.centre
        value = self.constant + x @ self.slope + x[:, self.curved] ** 2 @ self.bend
        return Reading(value, np.full(len(z), self.variance), np.full(len(z), self.sampled))


def fit_surface(
    z: Array, goal: Target, found: Reading, centre: Array, plays: NDArray[np.bool_] | None = None
) -> Surface:
    """Regress one row on the coordinates of points; `found` are its predictions in them, the rest as in `regress`.

    Points that were simulated with more hosts say more: their chance joins what the model is allowed to be wrong by.
    """
    weights = 1.0 / np.maximum(goal.discrepancy**2 + np.nan_to_num(found.chance), TINY)
    return regress(z, filled(found.value, goal), centre, plays, weights, float(np.nanmedian(found.sampled)))


def regress(
    z: Array, y: Array, centre: Array, plays: NDArray[np.bool_] | None = None, weights: Array | None = None,
    sampled: float = 0.0,
) -> Surface:
    """Regress a quantity on the coordinates of points.

    Parameters
    ----------
    z, y
        Shape (points, n) and (points,).
    centre
        Where the coordinates are taken from.
    plays
        Shape (n,): coordinates that have a part in it; without, all.
    weights
        Shape (points,): how much each point counts; without, all alike.
    sampled
        Variance of sampling the study's hosts, for the record.
    """
    if plays is not None and not plays.all():
        return _widened(regress(z[:, plays], y, centre[plays], None, weights, sampled), plays, centre)
    share = np.full(len(y), 1.0 / len(y)) if weights is None else weights / weights.sum()
    root = np.sqrt(len(y) * share)
    x = z - centre
    scale = np.maximum(x.std(axis=0), 1e-9)
    linear = np.abs(((x - x.mean(axis=0)).T * share) @ (y - y.mean())) / scale  # empty where nothing plays
    curved = np.sort(np.argsort(-linear, kind="stable")[:min(CURVED, x.shape[1])])
    design = np.concatenate([x, x[:, curved] ** 2], axis=1)
    mean, shift = share @ design, float(share @ y)
    widths = np.maximum(np.sqrt(share @ (design - mean) ** 2), 1e-9)
    u, s, vt = np.linalg.svd(root[:, None] * (design - mean) / widths, full_matrices=False)
    aim = root * (y - shift)
    best, errors = RIDGES[-1], None
    for ridge in RIDGES:
        shrink = s**2 / (s**2 + ridge)
        leverage = np.minimum((u**2) @ shrink + share, 0.99)
        left = (aim - (u * shrink) @ (u.T @ aim)) / (1.0 - leverage)
        if errors is None or (left**2).mean() < (errors**2).mean():
            best, errors = ridge, left
    assert errors is not None
    coefficients = vt.T @ ((s / (s**2 + best)) * (u.T @ aim)) / widths
    n = x.shape[1]
    variance, total = float(((errors / root) ** 2).mean()), max(float(y.var()), 1e-12)
    return Surface(
        centre, coefficients[:n], curved, coefficients[n:], shift - float(mean @ coefficients), variance,
        float(np.clip(1.0 - variance / total, 0.0, 1.0)), sampled,
    )


def _widened(surface: Surface, plays: NDArray[np.bool_], centre: Array) -> Surface:
    """A regression on some coordinates as one on all of them."""
    slope = np.zeros(len(centre))
    slope[plays] = surface.slope
    return replace(surface, centre=centre, slope=slope, curved=np.flatnonzero(plays)[surface.curved])


def fit_surfaces(
    z: Array, goals: Sequence[Target], found: Mapping[str, Reading], centre: Array, nearest: int,
    plays: NDArray[np.bool_] | None = None,
) -> dict[str, Surface]:
    """Regress every row on the points nearest to the centre; `plays` as in `kalman.step`, shape (n, rows)."""
    order = np.argsort(((z - centre) ** 2).sum(axis=1), kind="stable")[:nearest]
    return {
        goal.name: fit_surface(
            z[order], goal, found[goal.name].part(order), centre, None if plays is None else plays[:, i]
        )
        for i, goal in enumerate(goals)
    }


class Density:
    """Log posterior density of draws by the regressions of all rows, together: a few products of matrices."""

    def __init__(self, goals: Sequence[Target], surfaces: Mapping[str, Surface], limit: float) -> None:
        chosen = [surfaces[goal.name] for goal in goals]
        n = len(chosen[0].centre)
        self.limit, self.centre = limit, chosen[0].centre
        self.slope = np.stack([surface.slope for surface in chosen], axis=1)
        self.bend = np.zeros((n, len(chosen)))
        for i, surface in enumerate(chosen):
            self.bend[surface.curved, i] = surface.bend
        self.constant = np.array([surface.constant for surface in chosen])
        here = [surface(surface.centre[None]) for surface in chosen]
        self.scale = np.array([float(goal.scale(at)[0]) for goal, at in zip(goals, here, strict=True)])
        self.weight = np.array([goal.weight for goal in goals])
        self.low, self.high = (np.array([getattr(goal, end) for goal in goals]) for end in ("low", "high"))
        self.known = np.array([goal.known for goal in goals])

    def __call__(self, z: Array) -> Array:
        """Shape (draws,), of coordinates (draws, n); -inf beyond the limit."""
        x = z - self.centre
        value = self.constant + x @ self.slope + (x * x) @ self.bend
        over, under = (self.high - value) / self.scale, (self.low - value) / self.scale
        side = ~self.known
        log = np.empty_like(value)
        log[:, self.known] = log_error(under[:, self.known])
        log[:, side] = np.log(np.maximum(below(over[:, side]) - below(under[:, side]), 1e-12))
        total = log @ self.weight - 0.5 * (z * z).sum(axis=1)
        return np.where((np.abs(z) <= self.limit).all(axis=1), total, -np.inf)


def scored(
    z: Array, goals: Sequence[Target], surfaces: Mapping[str, Surface], hosts: int, at_doses: Sequence[Array]
) -> Array:
    """What draws are worth by the regressions, if they were judged with so many hosts (`rows.worth`).

    Parameters
    ----------
    z
        Shape (draws, n): what they cost.
    at_doses
        The same with the units at each dose that they may mean.
    """
    found = []
    for one in at_doses:
        part = {}
        for goal in goals:
            read = surfaces[goal.name](one)
            p = expit(read.value)
            counted = 1.0 / np.maximum(p * (1.0 - p) * (hosts + 1.0), 1e-3)
            part[goal.name] = Reading(read.value, counted if np.isfinite(goal.hits) else 0.1 * read.chance, read.sampled)
        found.append(part)
    return worth(z, goals, found)


def highest(function: Callable[[Array], Array], start: Array, low: Array, high: Array) -> Array:
    """Point of the highest value of a function of draws within a box (L-BFGS-B of SciPy)."""
    from scipy.optimize import minimize

    n, width = len(start), 1e-4

    def cost(x: Array) -> tuple[float, Array]:
        points = np.concatenate([x[None], x + width * np.eye(n)])
        values = -function(points)
        return float(values[0]), (values[1:] - values[0]) / width

    found = minimize(cost, np.clip(start, low, high), jac=True, method="L-BFGS-B", bounds=list(zip(low, high, strict=True)),
                     options={"maxiter": 200})
    return np.clip(np.asarray(found.x, dtype=np.float64), low, high)


def sample(
    density: Callable[[Array], Array], start: Array, seed: int, draws: int, limit: float, steps: int = 3000
) -> tuple[Array, float]:
    """Draws of a posterior.

    Parameters
    ----------
    density
        Its logarithm, of points of shape (points, n); -inf beyond the limit.
    start
        Shape (members, n): where walkers may start.
    seed, draws
        Of the sampler; how many draws are returned, evenly from the second half of all walkers.
    limit
        Furthest coordinate.
    steps
        Of every walker.

    Returns
    -------
    ndarray, float
        Shape (draws, n); and the longest integrated autocorrelation time of a coordinate, in steps.
    """
    import emcee

    n = start.shape[1]
    walkers = 2 * max(n + 1, 16)
    random = np.random.default_rng(seed)
    base = np.clip(start, -0.99 * limit, 0.99 * limit)[np.arange(walkers) % len(start)]
    at = np.clip(base + 0.05 * random.standard_normal((walkers, n)), -0.999 * limit, 0.999 * limit)
    moves = [(emcee.moves.DEMove(), 0.8), (emcee.moves.DESnookerMove(), 0.1), (emcee.moves.StretchMove(), 0.1)]
    sampler = emcee.EnsembleSampler(
        walkers, n, density, vectorize=True, moves=moves
    )
    sampler.random_state = np.random.RandomState(seed).get_state()
    sampler.run_mcmc(at, steps, progress=False, skip_initial_state_check=True)
    chain = np.asarray(sampler.get_chain(discard=steps // 2, flat=True))
    kept = chain[np.linspace(0, len(chain) - 1, draws).round().astype(np.int64)]
    times = np.asarray(sampler.get_autocorr_time(quiet=True, tol=0))
    return kept, float(np.nanmax(times))
