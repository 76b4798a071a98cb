"""The search for the point of the library: regressions propose, the engine judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locokine.inference import emulate
from locokine.inference.fit import normal_draws
from locokine.inference.rows import Reading, log_posterior, worth
from locokine.inference.study import LIMIT, Points, Study
from locokine.inference.sweep import UNIT
from locokine.population.draw import stream

Array = NDArray[np.float64]
WORTH = 1.0
"""What moving parameters has to be worth, in units of log score: less, and they are put back to where they began."""
FINAL = 48
"""Hosts of the last choice, as many as the scoreboard has: a point may owe its rank to the few that it was found with."""
LEAST = 0.1
"""Narrowest boxes."""
RETREAT = (1.0, 0.8, 0.6, 0.4, 0.2)
"""Shares of the way to a proposed point that are tried until one keeps the requirements."""
REACH = (0.25, 0.5, 1.0)
"""Half-widths of the boxes in which the regressions are followed, in prior standard deviations."""
FENCE, RIDGE, STEEP, GUARD = 160, 0.05, 300.0, 0.02
"""Points from which the requirements are learnt around the best one, penalty of that regression, what leaving them costs, and
from how far inside on."""
UNTIL = 0.85
"""Share of the time at which the search ends."""


@dataclass(frozen=True)
class Best:
    """The best point, every point that was simulated, and the rows at the start."""

    best: Array
    points: Points
    start: dict[str, Reading]


def without_units(names: Sequence[str], z: Array) -> Array:
    """Points with the coordinates of units at 0: a point for the library has none."""
    return np.where([name.startswith(UNIT) for name in names], 0.0, z)


def promising(study: Study, names: Sequence[str], z: Array, points: Points) -> Array:
    """Where a search may begin: the start, the middle of the ensemble, and its best members."""
    goals = list(study.goals.values())
    seen = worth(points.z, goals, [points.found]) + log_posterior(points.z, goals, points.found)
    best = points.z[np.argsort(-seen, kind="stable")[:max(study.size.points - 3, 1)]]
    start = study.start(names)
    others = without_units(names, np.concatenate([z.mean(axis=0)[None], np.median(z, axis=0)[None], best]))
    return np.concatenate([start[None], keeping(study, names, start, others)])


def keeping(study: Study, names: Sequence[str], good: Array, wanted: Array) -> Array:
    """Points (points, n) that break a requirement drawn back towards a good one, shape (n,), as far as is needed to keep all."""
    trials = good + np.array(RETREAT)[:, None, None] * (wanted - good)
    broken = study.broken(names, trials.reshape(-1, len(names))).reshape(trials.shape[:2]) > 0.0
    first = np.where(broken.all(axis=0), len(RETREAT) - 1, broken.argmin(axis=0))
    return trials[first, np.arange(len(wanted))]


def fence(study: Study, purpose: str, names: Sequence[str], best: Array, width: float) -> Callable[[Array], Array]:
    """What draws cost for leaving the requirements, by a linear model of each around the best point: a steep slope.

    The requirements are cheap to simulate, so that the model has points of its own, scattered around the best one.
    """
    n = len(best)
    normal = normal_draws(study.seed, f"{purpose}:fence", FENCE * n).reshape(FENCE, n)
    x = np.clip(best + 0.5 * width * normal, -LIMIT, LIMIT) - best
    outside = study.outside(names, np.concatenate([best[None], best + x]))
    here, away = outside[:, 0], outside[:, 1:] - outside[:, :1]
    square = x.T @ x
    slopes = np.linalg.solve(square + RIDGE * np.trace(square) / n * np.eye(n), x.T @ away.T)

    def cost(z: Array) -> Array:
        return STEEP * np.maximum(here + (z - best) @ slopes + GUARD, 0.0).sum(axis=1)

    return cost


def search(
    study: Study, stage: str, names: Sequence[str], first: Array, points: Points, rounds: int, until: float = UNTIL
) -> Best:
    """The point for the library: the best log score of all rows that is worth leaving the present values for.

    It is judged as the library will be, by the scoreboard's log score (a proper score: Gneiting and Raftery 2007,
    doi:10.1198/016214506000001437) with doses of an uncertain unit at three sizes, less half the squared coordinates.
    Regressions around the best point so far propose where to go: their best points in boxes of three sizes, half of the
    way, and scattered ones to learn from; the engine judges. Boxes shrink when nothing was gained.

    Parameters
    ----------
    first
        Shape (points, n): where to begin; the first of them is the start.
    points
        Simulated before.
    rounds
        At most so many.
    until
        Share of the time after which no further round begins.
    """
    values, simulated, found = study.judge(names, first)
    everything = Points(points.z, dict(points.found))
    everything.add(simulated, found)
    middle = len(first) if len(simulated) > len(first) else 0  # the start at the doses that are stated
    before = {name: r.part(np.array([middle])) for name, r in found.items()}
    best, value, width = first[values.argmax()], float(values.max()), 1.0
    study.note(stage=stage, round=0, worth=round(value, 2), start=round(float(values[0]), 2))
    for number in range(rounds):
        if study.late(until):
            break
        wanted = proposals(study, f"{stage}:{number}", names, study.surfaces(names, everything, best), best, width)
        values, simulated, found = study.judge(names, wanted)
        everything.add(simulated, found)
        gained = float(values.max()) - value
        if gained > 0.0:
            best, value = wanted[values.argmax()], float(values.max())
        width = min(width * 1.3, 1.5) if gained > 0.2 else max(width * 0.7, LEAST)
        study.note(stage=stage, round=number + 1, worth=round(value, 2), gained=round(gained, 2), width=round(width, 2))
    return Best(put_back(study, names, best), everything, before)


def proposals(
    study: Study, purpose: str, names: Sequence[str], surfaces: Mapping[str, emulate.Surface], best: Array, width: float
) -> Array:
    """Points worth simulating around the best one; `purpose` names the random numbers of the scattered ones."""
    goals, n = list(study.goals.values()), len(best)
    plain, cost = emulate.Density(goals, surfaces, np.inf), fence(study, purpose, names, best, width)

    def score(z: Array) -> Array:
        return emulate.scored(z, goals, surfaces, study.size.judged, study.at_doses(names, z)) - cost(z)

    def density(z: Array) -> Array:
        return plain(z) - cost(z)

    wanted: list[Array] = []
    for reach in REACH:
        low, high = (np.clip(best + sign * reach * width, -LIMIT, LIMIT) for sign in (-1.0, 1.0))
        top, robust = emulate.highest(score, best, low, high), emulate.highest(density, best, low, high)
        wanted += [top, 0.5 * (top + best), robust]
    scattered = max(study.size.points - len(wanted), 2)
    normal = normal_draws(study.seed, purpose, scattered * n).reshape(scattered, n)
    kept = stream(study.seed, f"{purpose}:which", scattered * n).reshape(scattered, n) < 0.3
    spread = np.array([name in study.spreads for name in names], dtype=bool)
    if spread.any():  # every other one moves spreads only: what they do is small beside the rest
        kept[1::2] = spread & (stream(study.seed, f"{purpose}:spreads", scattered * n).reshape(scattered, n) < 0.6)[1::2]
    wanted += list(np.clip(wanted[3] + 0.5 * width * normal * kept, -LIMIT, LIMIT))
    return keeping(study, names, best, without_units(names, np.stack(wanted[:max(study.size.points, 2)])))


def put_back(study: Study, names: Sequence[str], best: Array) -> Array:
    """The point with the least moved parameters (or all) put back to where they began, if that costs less than `WORTH`."""
    start = study.start(names)
    order = np.argsort(np.abs(best - start), kind="stable")
    counts = [round(len(best) * share) for share in (0.0, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.92)]
    trials = np.repeat(best[None], len(counts) + 1, axis=0)
    for trial, count in zip(trials, [*counts, len(best)], strict=True):
        trial[order[:count]] = start[order[:count]]
    values = study.judge(names, trials, FINAL)[0]
    return trials[np.flatnonzero(values >= values.max() - WORTH)[-1]]
