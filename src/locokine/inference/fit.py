"""Draws of the prior, and which parameters the rows answer to.

A batch from the prior of every candidate shows, by rank correlation, which parameters each row answers to; in turn the
strongest of every row are those that a calibration moves. Everything is seeded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locokine.inference.prior import Free
from locokine.population.draw import stream

Array = NDArray[np.float64]
LIMIT = 2.5
"""Furthest a draw may be from the median of its prior, in standard deviations."""


@dataclass(frozen=True)
class Scores:
    """Predictions and log-likelihoods of some draws: `predicted` and `log`, each of shape (rows, draws)."""

    predicted: Array
    log: Array


def normal_draws(seed: int, purpose: str, count: int) -> Array:
    """Standard normal numbers of a named stream, within the limits of the search."""
    from scipy.special import ndtri

    return np.clip(ndtri(stream(seed, purpose, count)), -LIMIT, LIMIT)


def prior_batch(free: Sequence[Free], count: int, seed: int) -> Array:
    """Coordinates of prior draws, shape (count, free): every parameter from its own stream."""
    if not free:
        return np.zeros((count, 0))
    return np.stack([normal_draws(seed, f"prior:{item.key}", count) for item in free], axis=1)


def influence(z: Array, scores: Scores) -> Array:
    """Absolute rank correlation of each parameter with each row's prediction, shape (parameters, rows)."""
    from scipy.stats import rankdata

    x = rankdata(z, axis=0)
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12)
    found = np.zeros((z.shape[1], len(scores.predicted)))
    for i, prediction in enumerate(scores.predicted):
        y = rankdata(np.nan_to_num(prediction, nan=-1e30, posinf=1e30, neginf=-1e30))
        if y.std() > 0.0:
            found[:, i] = np.abs(x.T @ ((y - y.mean()) / y.std())) / len(y)
    return found


def strongest(strength: Array, most: int, noise: float) -> list[int]:
    """The parameters to move: in turn the strongest not yet chosen of every row, while stronger than `noise`.

    Parameters
    ----------
    strength
        Shape (parameters, rows).
    most
        How many at most.
    """
    chosen: list[int] = []
    order = np.argsort(-strength, axis=0, kind="stable")
    for place in range(len(strength)):
        for row in range(strength.shape[1]):
            item = int(order[place, row])
            if len(chosen) < most and item not in chosen and strength[item, row] > noise:
                chosen.append(item)
    return sorted(chosen)
