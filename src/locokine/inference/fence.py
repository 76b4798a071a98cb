"""What every point must keep, learnt around the best one: regressions of the readings, and points led back by them.

Requirements are physics that no row states (`inference.requirements`). Simulating them is cheap, so that they are learnt
from points of their own. What is regressed is the reading itself, not how far it is outside: between two limits that
has a kink, and no regression meets it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from locokine.inference import emulate
from locokine.inference.fit import normal_draws
from locokine.inference.study import LIMIT, Study

Array = NDArray[np.float64]
POINTS = 160
"""From which the requirements are learnt."""
BEYOND = 1.0
"""How far outside its limits (as a logarithm) a reading still counts as itself: what lies further is outside all the same."""
LEAD, SPARE = 6, 0.02
"""Steps by which a point is led back, and how far inside (as a logarithm) each of them aims."""
RETREAT = (1.0, 0.8, 0.6, 0.4, 0.2)
"""Shares of the way from a good point that are tried, until one keeps the requirements, where leading back does not help."""


@dataclass(frozen=True)
class Fence:
    """Regressions of all requirements around a point; `low`, `high` of shape (requirements,), logarithms."""

    surfaces: tuple[emulate.Surface, ...]
    low: Array
    high: Array

    def __call__(self, z: Array) -> Array:
        """Logarithm of the probability that draws (draws, n) keep all, the regressions' own errors taken into account."""
        total = np.zeros(len(z))
        for surface, low, high in zip(self.surfaces, self.low, self.high, strict=True):
            value, error = surface(z).value, max(np.sqrt(surface.variance), 1e-3)
            total += log_ndtr((value - low) / error) + log_ndtr((high - value) / error)
        return total

    def slopes(self, z: Array) -> Array:
        """Of every reading in points (points, n); shape (requirements, points, n)."""
        return np.array([surface.slopes(z) for surface in self.surfaces]).reshape(-1, *z.shape)


def learn(study: Study, purpose: str, names: Sequence[str], best: Array, width: float) -> Fence:
    """The requirements around a point, from points scattered by half of `width`; `purpose` names their random numbers."""
    low, high = study.required.low, study.required.high
    if not len(low):
        return Fence((), low, high)
    n = len(best)
    normal = normal_draws(study.seed, f"{purpose}:fence", POINTS * n).reshape(POINTS, n)
    z = np.concatenate([best[None], np.clip(best + 0.5 * width * normal, -LIMIT, LIMIT)])
    readings = np.clip(study.required(names, z), (low - BEYOND)[:, None], (high + BEYOND)[:, None])
    plays = study.required.plays(names)
    return Fence(
        tuple(emulate.regress(z, y, best, part) for y, part in zip(readings, plays, strict=True)), low, high
    )


def led_back(study: Study, names: Sequence[str], fence: Fence, wanted: Array) -> Array:
    """Points (points, n) that break a requirement moved along what it answers to, the engine saying how far it still is."""
    z = wanted.copy()
    if not fence.surfaces:
        return z
    low, high = fence.low[:, None], fence.high[:, None]
    for _ in range(LEAD):
        readings = np.clip(study.required(names, z), low - BEYOND, high + BEYOND)
        over, under = readings > high, readings < low
        if not (over | under).any():
            break
        miss = np.where(over, readings - high + SPARE, np.where(under, readings - low - SPARE, 0.0))
        slopes = fence.slopes(z)
        z = np.clip(z - (miss[..., None] * slopes / np.maximum((slopes**2).sum(axis=2), 1e-9)[..., None]).sum(axis=0),
                    -LIMIT, LIMIT)
    return z


def keeping(study: Study, names: Sequence[str], good: Array, wanted: Array) -> Array:
    """Points (points, n) that break a requirement drawn back towards a good one, shape (n,), as far as is needed to keep all."""
    trials = good + np.array(RETREAT)[:, None, None] * (wanted - good)
    broken = study.broken(names, trials.reshape(-1, len(names))).reshape(trials.shape[:2]) > 0.0
    first = np.where(broken.all(axis=0), len(RETREAT) - 1, broken.argmin(axis=0))
    return trials[first, np.arange(len(wanted))]
