"""`locokine calibrate`: from the rows of evidence to a posterior and to values for the library.

Calibrate, emulate, sample (Cleary and others 2021, doi:10.1016/j.jcp.2020.109716): draws of the prior show which parameters
the rows answer to; an ensemble of those moves, stage by stage, to where the rows are met (`inference.kalman`); the rows
are regressed on the coordinates there and the posterior is sampled (`inference.emulate`); the best point is searched for
with the regressions as a guide, and judged by the engine. `docs/calibration_model.md` has the statistical model.

Everything is seeded and every simulation kept (`inference.ledger`). Time is counted by the seconds that the kept
simulations took, so that a calibration that was killed makes the same decisions again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from locokine.evidence.calibration import staged
from locokine.evidence.library import Observation
from locokine.inference import emulate, kalman
from locokine.inference.corrected import Corrected, corrected
from locokine.inference.fence import keeping, learn
from locokine.inference.fit import Scores, influence, normal_draws, prior_batch, strongest
from locokine.inference.rows import Reading, Target
from locokine.inference.search import UNTIL, Best, promising, search
from locokine.inference.study import LIMIT, Points, Study
from locokine.inference.sweep import UNIT

Array = NDArray[np.float64]
CHANCE = 2.8
"""A rank correlation counts from so many of its standard errors on."""
UNCORRECTED = 0.6
"""Share of the time at which the search ends that comes before the correction by shells."""
WIDE = 2.0
"""Within which the requirements are learnt for the posterior: points are scattered by half of it, as far as the prior is wide."""
SPARE = 3
"""Draws of the posterior from which those are chosen that keep the requirements, per draw that is stored."""


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
    until = UNCORRECTED if study.size.corrected and study.shells else UNTIL
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
    plain, fence = emulate.Density(goals, surfaces, LIMIT), learn(study, "posterior", names, at.best, WIDE)
    draws, slow = emulate.sample(
        lambda points: plain(points) + fence(points), start, study.seed, SPARE * size.draws, LIMIT, size.walk
    )
    kept = np.flatnonzero(study.broken(names, draws) <= 0.0)
    study.note(stage="requirements", draws=len(draws), kept=len(kept))
    if len(kept) < min(size.checked, len(draws)):  # too few: those that break one are drawn back to the best point
        draws, kept = keeping(study, names, at.best, draws), np.arange(len(draws))
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



# --- what is known ---------------------------------------------------------------------------------------------------


def informed(goals: Sequence[Target], surfaces: Mapping[str, emulate.Surface], point: Array) -> Array:
    """By how much each row narrows each coordinate, in the linear model around the point; shape (n, rows)."""
    n = len(point)
    slopes, weights = [], []
    for goal in goals:
        surface = surfaces[goal.name]
        slope, here = surface.slopes(point[None])[0], surface(point[None])
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
