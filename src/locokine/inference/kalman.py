"""Ensemble Kalman inversion: an ensemble of parameter sets moves to where the rows are met, without derivatives.

Iglesias, Law and Stuart 2013 (doi:10.1088/0266-5611/29/4/045001); the likelihood enters in tempered steps whose lengths
come from the misfit (Iglesias and Yang 2021, doi:10.1088/1361-6420/abd29b). Correlations of a small ensemble are partly
chance: each gain is multiplied by the share of its squared correlation that chance does not explain. Rows that are missed
by far are weighted down as Student's t does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from locokine.inference.rows import FREEDOM, Reading, Target

Array = NDArray[np.float64]


def filled(values: Array, goal: Target) -> Array:
    """Predictions with the missing ones (all hosts dead) put at the far end of what the others give."""
    good = np.isfinite(values)
    if good.all():
        return values
    if not good.any():
        return np.zeros_like(values)
    miss = np.abs(goal.residual(values[good]))
    return np.where(good, values, values[good][miss.argmax()])


def noise(goals: Sequence[Target], readings: Sequence[Reading], predicted: Array) -> Array:
    """Variance of the error of each row, shape (rows,): rows far from the ensemble get more, as under Student's t."""
    variance = np.array([
        float(np.nanmean(goal.scale(r) ** 2)) / max(goal.weight, 1e-9) for goal, r in zip(goals, readings, strict=True)
    ])
    centre = np.array([float(np.mean(goal.residual(p))) for goal, p in zip(goals, predicted.T, strict=True)])
    spread = predicted.var(axis=0)
    weight = (FREEDOM + 1.0) / (FREEDOM + centre**2 / (variance + spread))
    return variance / np.minimum(weight, 1.0)


def temper(misfit: Array, rows: int, left: float) -> float:
    """Share of the likelihood that the next step may take in; at most `left`.

    Parameters
    ----------
    misfit
        Shape (members,): half the sum of squared residuals over their variance.
    rows
        How many rows.
    """
    mean, var = float(misfit.mean()), float(misfit.var())
    if mean <= 0.0 or var <= 0.0:
        return left
    step = max(rows / (2.0 * mean), np.sqrt(rows / (2.0 * var)))
    return float(min(step, left))


def localised(z: Array, predicted: Array) -> Array:
    """Covariance of parameters and predictions, (parameters, rows), less what chance explains."""
    members = len(z)
    dz, dg = z - z.mean(axis=0), predicted - predicted.mean(axis=0)
    covariance = dz.T @ dg / (members - 1)
    scale = np.outer(dz.std(axis=0), dg.std(axis=0))
    r2 = np.clip((covariance / np.where(scale > 0.0, scale, np.inf)) ** 2, 1e-12, 1.0)
    return covariance * np.clip(1.0 - 4.0 * (1.0 - r2) ** 2 / (members * r2), 0.0, 1.0)


def step(
    z: Array, goals: Sequence[Target], readings: Sequence[Reading], normal: Array, left: float, limit: float,
    least: float = 0.0, plays: NDArray[np.bool_] | None = None,
) -> tuple[Array, float]:
    """Move the ensemble once.

    Parameters
    ----------
    z
        Shape (members, parameters): standard normal coordinates.
    goals, readings
        Rows, and what each member predicts.
    normal
        Shape (members, rows): standard normal numbers that perturb what was seen.
    left
        Share of the likelihood not yet taken in.
    limit
        Furthest coordinate.
    least
        Share that is taken in even if the misfit asks for less: the steps are numbered.
    plays
        Shape (parameters, rows): which parameter has a part in which row at all; without, every one may.

    Returns
    -------
    ndarray, float
        The moved ensemble, and the share of the likelihood that it took in.
    """
    predicted = np.stack([filled(r.value, goal) for goal, r in zip(goals, readings, strict=True)], axis=1)
    variance = noise(goals, readings, predicted)
    residual = np.stack([goal.residual(p) for goal, p in zip(goals, predicted.T, strict=True)], axis=1)
    share = max(temper(0.5 * (residual**2 / variance).sum(axis=1), len(goals), left), min(least, left))
    dg = predicted - predicted.mean(axis=0)
    covariance = dg.T @ dg / (len(z) - 1)
    inflated = variance / share
    shared = localised(z, predicted) * (1.0 if plays is None else plays)
    gain = np.linalg.solve(covariance + np.diag(inflated), shared.T).T
    one_sided = np.array([not goal.known for goal in goals])
    pulled = residual + np.sqrt(inflated) * normal
    pulled = np.where(one_sided & (residual == 0.0), 0.0, pulled)
    return np.clip(z + pulled @ gain.T, -limit, limit), share
