"""`locokine calibrate`: from the rows of evidence to a posterior and to values for the library.

Calibrate, emulate, sample (Cleary and others 2021, doi:10.1016/j.jcp.2020.109716): draws of the prior show which parameters
the rows answer to; an ensemble of those moves, stage by stage, to where the rows are met (`inference.kalman`); the rows
are regressed on the coordinates there and the posterior is sampled (`inference.emulate`); the best point is searched for
with the regressions as a guide, and judged by the engine. `docs/calibration_model.md` has the statistical model.

Everything is seeded and every simulation kept (`inference.ledger`). Time is counted by the seconds that the kept
simulations took, so that a calibration that was killed makes the same decisions again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from locokine.evidence.calibration import Schedule, Size, staged
from locokine.evidence.library import Observation
from locokine.evidence.score import STRATA
from locokine.inference import emulate, kalman
from locokine.inference.corrected import Corrected, corrected
from locokine.inference.fit import Scores, influence, normal_draws, prior_batch, strongest
from locokine.inference.prior import Free
from locokine.inference.rows import Reading, Target, log_posterior, targets, worth
from locokine.inference.sweep import UNIT, Simulator
from locokine.population.draw import stream

Array = NDArray[np.float64]
LIMIT = 1.6448536269514722
"""Furthest coordinate: nothing leaves the range that its record states."""
NEAREST = 4
"""Points that a regression uses, per parameter that moves."""
CHANCE = 2.8
"""A rank correlation counts from so many of its standard errors on."""
WORTH = 1.0
"""What moving parameters has to be worth, in units of log score: less, and they are put back to where they began."""
FINAL = 48
"""Hosts of the last choice, as many as the scoreboard has: a point may owe its rank to the few that it was found with."""
LEAST = 0.1
"""Narrowest boxes."""
SEARCHED, UNCORRECTED = 0.85, 0.6
"""Share of the time at which the search ends: the last one, and that before the correction by shells."""
FORBIDDEN = 1e4
"""What breaking a requirement costs: more than all rows together can gain."""
BACK = (1.0, 0.8, 0.6, 0.4, 0.2)
"""Shares of the way to a proposed point that are tried until one keeps the requirements."""
SPARE = 3
"""Draws of the posterior from which those are chosen that keep the requirements, per draw that is stored."""
REACH = (0.25, 0.5, 1.0)
"""Half-widths of the boxes in which the regressions are followed, in prior standard deviations."""
Tell = Callable[[str], None]


@dataclass
class Points:
    """Simulated points: coordinates (points, n), the prediction of every row, and with how many hosts."""

    z: Array
    found: dict[str, Reading]

    def __len__(self) -> int:
        return len(self.z)

    def add(self, z: Array, found: Mapping[str, Reading]) -> None:
        """More of them."""
        self.z = np.concatenate([self.z, z])
        self.found = {name: Reading.joined([old, found[name]]) for name, old in self.found.items()}

    def part(self, which: NDArray[np.int64]) -> dict[str, Reading]:
        """Predictions of some."""
        return {name: reading.part(which) for name, reading in self.found.items()}


@dataclass
class Study:
    """A calibration in progress.

    Attributes
    ----------
    rows
        What is fitted.
    schedule, size
        Stages, and how much computing.
    free
        Parameters that may move, by key.
    units
        Coordinates of units whose size is not known.
    simulate
        Predicts rows.
    shells
        Predicts rows with solid tumours in shells; None where there is no such thing.
    seed
        Of everything.
    spent
        Seconds of simulation so far (those kept from an interrupted calibration included).
    plays
        Whether a coordinate has a part in a row at all.
    breaks
        How far draws (names, coordinates) break what every point must keep; 0 where all is kept.
    from_prior
        Whether the search begins at the medians of the priors, and what gains nothing stays there; else at the library's values.
    trace
        What was done: one mapping a step.
    """

    rows: Sequence[Observation]
    schedule: Schedule
    size: Size
    free: Mapping[str, Free]
    units: Sequence[str]
    simulate: Simulator
    shells: Simulator | None = None
    seed: int = 1
    spent: Callable[[], float] = lambda: 0.0
    tell: Tell = lambda text: None
    plays: Callable[[Observation, str], bool] = lambda row, name: True
    breaks: Callable[[Sequence[str], Array], Array] = lambda names, z: np.zeros(len(z))
    from_prior: bool = False
    trace: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.goals: dict[str, Target] = {goal.name: goal for goal in targets(self.rows)}

    def start(self, names: Sequence[str]) -> Array:
        """Coordinates where the search begins, and of what does not move: of the priors' medians or the library; 0 for units."""
        here = [self.free[name].here if name in self.free and not self.from_prior else 0.0 for name in names]
        return np.clip(here, -LIMIT, LIMIT)

    @property
    def spreads(self) -> list[str]:
        """Parameters that are spreads: they move from the last stage on, all of them."""
        return [key for key, item in self.free.items() if item.spread]

    def late(self, share: float) -> bool:
        """Whether so large a share of the time is used up."""
        return self.spent() > share * 3600.0 * self.size.hours

    def part(self, rows: Sequence[Observation], names: Sequence[str]) -> NDArray[np.bool_]:
        """Which coordinate has a part in which row; shape (names, rows)."""
        return np.array([[self.plays(row, name) for row in rows] for name in names], dtype=bool).reshape(len(names), len(rows))

    def surfaces(self, names: Sequence[str], points: Points, centre: Array) -> dict[str, emulate.Surface]:
        """Regressions of all rows around a point."""
        goals, nearest = list(self.goals.values()), NEAREST * len(names) + 60
        return emulate.fit_surfaces(points.z, goals, points.found, centre, nearest, self.part(self.rows, names))

    def at_doses(self, names: Sequence[str], z: Array) -> list[Array]:
        """The same points with all units at each of the doses of the scoreboard (the library knows no fitted unit)."""
        units = np.array([name.startswith(UNIT) for name in names], dtype=bool)
        if not units.any():
            return [z]
        return [np.where(units, level, z) for level in STRATA]

    def judge(self, names: Sequence[str], z: Array, least: int = 0) -> tuple[Array, Array, dict[str, Reading]]:
        """What points are worth, with at least so many hosts; all points that were simulated for it; their predictions."""
        doses = self.at_doses(names, z)
        found = [self.simulate(self.rows, names, one, max(self.size.judged, least)) for one in doses]
        together = {name: Reading.joined([one[name] for one in found]) for name in found[0]}
        broken = self.breaks(names, z)
        values = worth(z, list(self.goals.values()), found) - FORBIDDEN * ((broken > 0.0) + broken)
        return values, np.concatenate(doses), together

    def note(self, **facts: object) -> None:
        """Keep a line of the trace and tell it."""
        self.trace.append({**facts, "minutes": round(self.spent() / 60.0, 2)})
        self.tell(", ".join(f"{name} {value}" for name, value in self.trace[-1].items()))

    def draws(self, names: Sequence[str], count: int) -> Array:
        """Coordinates of the prior within the limit, shape (count, names): every coordinate from its own stream."""
        return np.stack([ranged(stream(self.seed, f"prior:{name}", count)) for name in names], axis=1)


def ranged(u: Array) -> Array:
    """Standard normal numbers within the limit, from uniform ones."""
    from scipy.special import ndtr, ndtri

    low = ndtr(-LIMIT)
    return np.clip(np.asarray(ndtri(low + (1.0 - 2.0 * low) * u)), -LIMIT, LIMIT)


@dataclass(frozen=True)
class Posterior:
    """What a calibration found.

    Attributes
    ----------
    names
        Coordinates that moved.
    screened
        Parameter → its strongest rank correlation with a row, over draws of the prior.
    point, draws
        Coordinates of the best point, shape (n,), and of posterior draws, shape (draws, n).
    before, after
        Every row at the start and at the point, with the same hosts.
    checked
        Every row in some posterior draws.
    shells
        Rows that shells change, at the point: in shells and well-mixed, with the same hosts.
    surfaces
        Regressions of the rows.
    informs
        Shape (n, rows): by how much each row narrows each coordinate, 1 - sd with / sd without it.
    slow
        Longest autocorrelation time of the sampler, in steps.
    """

    names: tuple[str, ...]
    screened: dict[str, float]
    point: Array
    draws: Array
    before: dict[str, Reading]
    after: dict[str, Reading]
    checked: dict[str, Reading]
    shells: dict[str, tuple[Reading, Reading]]
    surfaces: dict[str, emulate.Surface]
    informs: Array
    slow: float


def run(study: Study) -> Posterior:
    """Calibrate: screening, stages, all rows together, best point, shells, posterior, checks."""
    names, screened = screen(study)
    study.note(stage="screening", moving=len([n for n in names if not n.startswith(UNIT)]), of=len(study.free),
               units=len(study.units))
    spread = np.array([name in study.spreads for name in names], dtype=bool)
    z = study.draws(names, study.size.members)
    by_stage = staged(study.schedule, study.rows)
    for stage in study.schedule.stages[:-1]:
        if by_stage[stage.name]:
            z, _ = ensemble(study, stage.name, by_stage[stage.name], names, z, study.size.steps, 0.3, spread)
    z, points = ensemble(study, study.schedule.stages[-1].name, study.rows, names, z, study.size.joint, 0.5)
    points.add(z, study.simulate(study.rows, names, z, study.size.hosts))
    until = UNCORRECTED if study.size.corrected and study.shells else SEARCHED
    found = search(study, "point", names, promising(study, names, z, points), points, study.size.rounds, until)
    shells = in_shells(study, names, found.best)
    if study.size.corrected and shells:
        study = replace(study, simulate=Corrected(study.simulate, shells))
        points = Points(points.z, corrected(points.found, shells))
        start = np.stack([study.start(names), found.best])
        before = found.start
        found = replace(search(study, "corrected", names, start, points, study.size.corrected), start=before)
        shells = in_shells(study, names, found.best)
    return posterior(study, names, screened, z, found, shells)


def posterior(
    study: Study, names: Sequence[str], screened: dict[str, float], z: Array, at: Best,
    shells: dict[str, tuple[Reading, Reading]],
) -> Posterior:
    """Sample the posterior around the best point, and check it with the engine."""
    goals, size = list(study.goals.values()), study.size
    surfaces = study.surfaces(names, at.points, at.best)
    study.tell("sampling the posterior")
    start = np.concatenate([0.5 * z + 0.5 * at.best, at.best[None]])
    draws, slow = emulate.sample(goals, surfaces, start, study.seed, SPARE * size.draws, LIMIT, size.walk)
    kept = np.flatnonzero(study.breaks(names, draws) <= 0.0)
    study.note(stage="requirements", draws=len(draws), kept=len(kept))
    kept = kept if len(kept) >= min(size.checked, len(draws)) else np.arange(len(draws))
    draws = draws[kept[np.linspace(0, len(kept) - 1, size.draws).round().astype(np.int64)]]
    which = np.linspace(0, len(draws) - 1, size.checked).round().astype(np.int64)
    checked = study.simulate(study.rows, names, draws[which], size.hosts)
    after = study.simulate(study.rows, names, at.best[None], size.judged)
    study.note(stage="posterior", draws=len(draws), autocorrelation=round(slow, 1))
    return Posterior(
        tuple(names), screened, at.best, draws, at.start, after, checked, shells, surfaces,
        informed(goals, surfaces, at.best), slow,
    )


# --- shells ----------------------------------------------------------------------------------------------------------


def in_shells(study: Study, names: Sequence[str], point: Array) -> dict[str, tuple[Reading, Reading]]:
    """Rows at a point in shells and well-mixed, with the same hosts; only those that the geometry changes."""
    if study.shells is None:
        return {}
    study.tell("the same point in shells")
    fine = study.shells(study.rows, names, point[None], study.size.shells)
    coarse = study.simulate(study.rows, names, point[None], study.size.shells)
    found = {
        name: (fine[name], coarse[name]) for name in fine
        if np.isfinite(fine[name].value[0]) and not np.array_equal(fine[name].value, coarse[name].value)
    }
    apart = [abs(float(a.value[0] - b.value[0])) / study.goals[name].discrepancy for name, (a, b) in found.items()]
    study.note(stage="shells", rows=len(found), apart=round(float(np.median(apart)), 2) if apart else 0.0)
    return found


# --- which parameters move -------------------------------------------------------------------------------------------


def screen(study: Study) -> tuple[list[str], dict[str, float]]:
    """Parameters that the rows answer to: in turn the strongest of every row of each stage, then all spreads and units.

    Few hosts say little about a spread, so that spreads are not screened: there are not many, and all of them move.
    """
    keys = [key for key, item in study.free.items() if not item.spread]
    z = prior_batch([study.free[key] for key in keys], study.size.prior, study.seed)
    z = np.clip(z, -LIMIT, LIMIT)
    found = study.simulate(study.rows, keys, z, max(study.size.hosts // 2, 2))
    by_stage = staged(study.schedule, study.rows)
    chosen: list[str] = []
    top = np.zeros(len(keys))
    for stage in study.schedule.stages:
        rows = by_stage[stage.name]
        if not rows:
            continue
        values = np.stack([kalman.filled(found[row.name].value, study.goals[row.name]) for row in rows])
        strength = influence(z, Scores(values, np.zeros_like(values))) * study.part(rows, keys)
        top = np.maximum(top, strength.max(axis=1))
        wanted = [keys[i] for i in strongest(strength, stage.most + len(chosen), CHANCE / np.sqrt(len(z)))]
        order = sorted(wanted, key=lambda key: -float(strength[keys.index(key)].max()))
        chosen += [key for key in order if key not in chosen][:stage.most]
    order_of = {key: i for i, key in enumerate(keys)}
    screened = {keys[i]: float(top[i]) for i in np.argsort(-top, kind="stable")}
    return [*sorted(chosen, key=order_of.__getitem__), *study.spreads, *study.units], screened


# --- the ensemble ----------------------------------------------------------------------------------------------------


def ensemble(
    study: Study, stage: str, rows: Sequence[Observation], names: Sequence[str], z: Array, steps: int, until: float,
    held: NDArray[np.bool_] | None = None,
) -> tuple[Array, Points]:
    """Move the ensemble to where some rows are met; returns it and all points that were simulated on the way.

    Parameters
    ----------
    steps
        At most so many; the last takes in what is left of the likelihood.
    until
        Share of the time after which only one more step is made.
    held
        Shape (names,): coordinates that this stage leaves alone.
    """
    goals = [study.goals[row.name] for row in rows]
    points: Points | None = None
    taken, part = 0.0, study.part(rows, names)
    if held is not None:
        part = part & ~held[:, None]
    for number in range(steps):
        found = study.simulate(rows, names, z, study.size.hosts)
        if points is None:
            points = Points(z, dict(found))
        else:
            points.add(z, found)
        last = number == steps - 1 or study.late(until)
        score = float(np.median(sum(goal.log(found[goal.name]) for goal in goals)))
        normal = normal_draws(study.seed, f"ensemble:{stage}:{number}", z.shape[0] * len(rows))
        moved, share = kalman.step(
            z, goals, [found[goal.name] for goal in goals], normal.reshape(z.shape[0], len(rows)), 1.0 - taken, LIMIT,
            least=(1.0 - taken) / (steps - number), plays=part,
        )
        taken += share
        study.note(stage=stage, step=number + 1, rows=len(rows), log_likelihood=round(score, 2), taken=round(taken, 3))
        z = moved
        if last or taken >= 1.0 - 1e-9:
            break
    assert points is not None
    return z, points


# --- the best point --------------------------------------------------------------------------------------------------


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
    trials = good + np.array(BACK)[:, None, None] * (wanted - good)
    broken = study.breaks(names, trials.reshape(-1, len(names))).reshape(trials.shape[:2]) > 0.0
    first = np.where(broken.all(axis=0), len(BACK) - 1, broken.argmin(axis=0))
    return trials[first, np.arange(len(wanted))]


def search(
    study: Study, stage: str, names: Sequence[str], first: Array, points: Points, rounds: int, until: float = SEARCHED
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
    density = emulate.Density(goals, surfaces, np.inf)

    def score(z: Array) -> Array:
        return emulate.scored(z, goals, surfaces, study.size.judged, study.at_doses(names, z))

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


# --- what is known ---------------------------------------------------------------------------------------------------


def informed(goals: Sequence[Target], surfaces: Mapping[str, emulate.Surface], point: Array) -> Array:
    """By how much each row narrows each coordinate, in the linear model around the point; shape (n, rows)."""
    n = len(point)
    slopes, weights = [], []
    for goal in goals:
        surface = surfaces[goal.name]
        slope = surface.slope.copy()
        slope[surface.curved] += 2.0 * surface.bend * (point - surface.centre)[surface.curved]
        here = surface(point[None])
        scale = float(goal.scale(here)[0])
        miss = float(goal.residual(here.value)[0])
        idle = not goal.known and miss == 0.0
        slopes.append(slope)
        weights.append(0.0 if idle else goal.weight / scale**2)
    a, w = np.stack(slopes), np.array(weights)
    precision = np.eye(n) + (a.T * w) @ a
    full = np.sqrt(np.diag(np.linalg.inv(precision)))
    found = np.zeros((n, len(goals)))
    for i, row in enumerate(a):
        without = np.sqrt(np.diag(np.linalg.inv(precision - w[i] * np.outer(row, row))))
        found[:, i] = 1.0 - full / without
    return found
