"""The search for the point of the library: regressions propose, the engine judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locokine.inference import emulate
from locokine.inference.fence import keeping, learn, led_back
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
REACH = (0.1, 0.25, 0.5)
"""Half-widths of the boxes in which the regressions are followed, in prior standard deviations."""
CERTAIN = 10.0
"""What a proposal that may break a requirement pays: so many times the logarithm of the probability that it keeps all."""
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


def search(
    study: Study, stage: str, names: Sequence[str], first: Array, points: Points, rounds: int, until: float = UNTIL
) -> Best:
    """The point for the library: the best log score of all rows that is worth leaving the present values for.

    It is judged as the library will be, by the scoreboard's log score (a proper score: Gneiting and Raftery 2007,
    doi:10.1198/016214506000001437) with doses of an uncertain unit at three sizes, less half the squared coordinates.
    Regressions around the best point so far propose where to go: their best points in boxes of three sizes, and points
    scattered around it to learn from; the engine judges, with the same hosts and the same chance in every point. Boxes
    shrink when nothing was gained.

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
    plain, fence = emulate.Density(goals, surfaces, np.inf), learn(study, purpose, names, best, width)

    def score(z: Array) -> Array:
        return emulate.scored(z, goals, surfaces, study.size.judged, study.at_doses(names, z)) + CERTAIN * fence(z)

    def density(z: Array) -> Array:
        return plain(z) + CERTAIN * fence(z)

    wanted: list[Array] = []
    for reach in REACH:
        low, high = (np.clip(best + sign * reach * width, -LIMIT, LIMIT) for sign in (-1.0, 1.0))
        top, robust = emulate.highest(score, best, low, high), emulate.highest(density, best, low, high)
        wanted += [top, robust]
    scattered = max(study.size.points - len(wanted), 2)
    normal = normal_draws(study.seed, purpose, scattered * n).reshape(scattered, n)
    kept = stream(study.seed, f"{purpose}:which", scattered * n).reshape(scattered, n) < 0.3
    spread = np.array([name in study.spreads for name in names], dtype=bool)
    if spread.any():  # every other one moves spreads only: what they do is small beside the rest
        kept[1::2] = spread & (stream(study.seed, f"{purpose}:spreads", scattered * n).reshape(scattered, n) < 0.6)[1::2]
    wanted += list(np.clip(best + 0.5 * width * normal * kept, -LIMIT, LIMIT))
    within = led_back(study, names, fence, without_units(names, np.stack(wanted[:max(study.size.points, 2)])))
    return keeping(study, names, best, within)


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
