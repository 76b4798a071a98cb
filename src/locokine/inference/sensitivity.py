"""Which parameters decide an outcome: screening, tornado and shares of the variance.

Three looks at the same question, over the ranges of the records:

- Morris screening (Morris 1991, doi:10.1080/00401706.1991.10484804; μ* of Campolongo 2007,
  doi:10.1016/j.envsoft.2006.10.004): mean absolute effect of moving one parameter, at many places, of all of them.
- Tornado: the parameters that screening puts first, each at both ends of its range, all others at the values of the library.
- Sobol indices (Saltelli 2010, doi:10.1016/j.cpc.2009.09.018) of the few that matter: share of the variance that is due
  to a parameter alone, and together with all it interacts with.

Designs and indices are SALib's (Herman and Usher 2017, doi:10.21105/joss.00097). Every draw has the same subjects and the
same chance (`inference.ensemble`), so that an outcome is a smooth function of the parameters.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from locokine.errors import InputError
from locokine.inference.draws import PosteriorDraws, around_library, drawn_from, known_ranges
from locokine.inference.ensemble import TOGETHER, evaluate, movable
from locokine.inference.ledger import Ledger, identity
from locokine.inference.prior import Free, population_of
from locokine.outcome.endpoints import endpoint
from locokine.scenario.experiment import Experiment, draws_digest

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Progress = Callable[[int, int, str], None]
LEVELS = 4
"""Levels of the Morris design."""
RANGE = (0.05, 0.95)
"""Quantiles of the prior between which a parameter is moved by screening and tornado."""
WHOLE = (0.001, 0.999)
"""Quantiles for the shares of the variance."""
BARS = 15
"""Parameters of the tornado."""
STILL = 1e-9
"""Variation of an outcome, relative to its size, below which nothing moves it."""


@dataclass(frozen=True)
class Sensitivity:
    """Results of the three looks.

    Attributes
    ----------
    experiment, arm, outcomes, subjects
        What was run; the first outcome is the one that parameters are ranked by.
    median
        Outcome → its value with every parameter at its median.
    morris
        outcome, parameter, mu_star with conf (95 %), sigma, mu (signed), rank.
    tornado
        outcome, parameter, low, high: value of the outcome at the lower and upper end of the parameter's range.
    sobol
        outcome, parameter, first with first_conf, total with total_conf (95 %).
    missing
        Outcome → draws in which no subject had a value; they count as the mean of the others.
    """

    experiment: str
    arm: str
    outcomes: tuple[str, ...]
    subjects: int
    median: dict[str, float]
    morris: pd.DataFrame
    tornado: pd.DataFrame
    sobol: pd.DataFrame
    facts: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)


def sensitivity(
    experiment: Experiment,
    arm: str,
    outcomes: Sequence[str],
    parameters: Sequence[str] = (),
    trajectories: int = 8,
    top: int = 6,
    samples: int = 64,
    subjects: int = 16,
    out: Path | None = None,
    threads: int = 1,
    force: bool = False,
    progress: Progress | None = None,
    posterior: PosteriorDraws | None = None,
) -> Sensitivity:
    """Screen all parameters, then look closer at the first.

    Parameters
    ----------
    experiment, arm
        What is done.
    outcomes
        Names of end points; means over subjects are looked at. The first one ranks.
    parameters
        NAME or OWNER.NAME; all with a range by default.
    trajectories
        Of the Morris design: each costs one draw more than there are parameters.
    top, samples
        Parameters of the Sobol design (0 leaves it out) and its base sample, a power of 2: it costs `samples` times
        (`top` + 2) draws.
    subjects
        Of every draw.
    out, threads, force, progress
        As for `explain`.
    posterior
        Draws of parameters: these move over the 90 % of the draws, all others over the ranges of their records.

    Raises
    ------
    InputError
        For an unknown outcome or parameter, fewer than two parameters, or numbers that make no design.
    """
    names = tuple(dict.fromkeys(outcomes))
    for name in names:
        endpoint(name)
    frees = around_library(movable(experiment, parameters))
    if posterior is not None:
        frees = known_ranges(frees, posterior)
    _check(frees, trajectories, top, samples, subjects)
    facts = identity(
        "sensitivity", experiment, arm=arm, outcomes=names, parameters=[free.key for free in frees],
        trajectories=trajectories, top=top, samples=samples, per_draw=subjects, **drawn_from(posterior),
        ranges=draws_digest({free.key: (free.record.low, free.record.prior, free.record.high) for free in frees}),
    )
    run = _Runs(experiment, arm, names, subjects, Ledger(out, facts, force), threads, progress)
    run.total = 1 + trajectories * (len(frees) + 1) + 2 * min(BARS, len(frees)) + (samples * (top + 2) if top else 0)
    middle = run("median", frees, np.full((1, len(frees)), 0.5))
    morris = _morris(run, frees, trajectories, experiment.seed)
    ranked = [by_key(frees)[key] for key in morris.loc[morris["outcome"] == names[0]].sort_values("rank")["parameter"]]
    tornado = _tornado(run, ranked[:BARS])
    sobol = _sobol(run, ranked[:top], samples, experiment.seed)
    return Sensitivity(
        experiment.name, arm, names, subjects, {name: float(middle[name][0]) for name in names}, morris, tornado, sobol,
        facts, run.missing,
    )


def by_key(frees: Sequence[Free]) -> dict[str, Free]:
    """OWNER.NAME → parameter."""
    return {free.key: free for free in frees}


def _check(frees: Sequence[Free], trajectories: int, top: int, samples: int, subjects: int) -> None:
    if len(frees) < 2:
        raise InputError("--parameter", "one parameter has nothing to be compared with", "name at least two")
    if trajectories < 2:
        raise InputError("--trajectories", f"{trajectories} trajectories have no spread", "use 2 or more, better 8")
    if top < 0 or top == 1:
        raise InputError("--top", f"{top} parameters make no variance to share", "use 0 (none) or 2 or more")
    if top and (samples < 8 or samples & (samples - 1)):
        raise InputError("--samples", f"{samples} is not a power of 2 of at least 8", "use for example 64")
    if subjects < 1:
        raise InputError("--subjects", f"{subjects} must be at least 1", "use for example 16")


@dataclass
class _Runs:
    """Means of outcomes for points of the unit cube, kept in a ledger."""

    experiment: Experiment
    arm: str
    names: tuple[str, ...]
    subjects: int
    ledger: Ledger
    threads: int
    progress: Progress | None
    total: int = 0
    done: int = 0
    missing: dict[str, int] = field(default_factory=dict)

    def __call__(self, key: str, frees: Sequence[Free], points: Array) -> dict[str, Array]:
        """Outcome → means, shape (points,); `points` are quantiles of the priors, shape (points, parameters)."""
        from scipy.special import ndtri

        parts = []
        for first in range(0, len(points), TOGETHER):
            if self.progress:
                self.progress(self.done * self.subjects, self.total * self.subjects, key)
            z = ndtri(points[first:first + TOGETHER])
            parts.append(self.ledger.get(f"{key}/{first}", lambda: self._means(frees, z)))  # noqa: B023
            self.done += len(z)
        found = {name: np.concatenate([part[name] for part in parts]) for name in self.names}
        for name, values in found.items():  # an outcome that no subject of a draw has says nothing about parameters
            absent = np.isnan(values)
            if absent.any():
                self.missing[name] = self.missing.get(name, 0) + int(absent.sum())
                found[name] = np.where(absent, 0.0 if absent.all() else np.nanmean(values), values)
        return found

    def _means(self, frees: Sequence[Free], z: Array) -> dict[str, Array]:
        values = {free: free.at(z[:, i]) for i, free in enumerate(frees)}
        people = population_of(self.experiment, values, len(z), self.subjects)
        found = evaluate(self.experiment, self.arm, people, self.names, len(z), self.threads)
        means = {}
        for name, value in found.items():
            known = ~np.isnan(value)
            total = np.where(known, value, 0.0).sum(axis=1)
            means[name] = np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)
        return means


def _problem(frees: Sequence[Free], bounds: tuple[float, float]) -> dict[str, Any]:
    return {"num_vars": len(frees), "names": [free.key for free in frees], "bounds": [list(bounds)] * len(frees)}


def _still(values: Array) -> bool:
    """Whether an outcome does not vary."""
    return bool(np.ptp(values) <= STILL * max(float(np.abs(values).max()), 1e-300))


def _morris(run: _Runs, frees: Sequence[Free], trajectories: int, seed: int) -> pd.DataFrame:
    import pandas as pd
    from SALib.analyze import morris as analysis
    from SALib.sample import morris as design

    problem = _problem(frees, RANGE)
    points = design.sample(problem, trajectories, num_levels=LEVELS, seed=seed)
    found = run("morris", frees, points)
    rows = []
    for name in run.names:
        if _still(found[name]):
            mu = star = sigma = conf = np.zeros(len(frees))
        else:
            unit = (points - RANGE[0]) / (RANGE[1] - RANGE[0])  # effects per whole range
            made = analysis.analyze(_problem(frees, (0.0, 1.0)), unit, found[name], num_levels=LEVELS, seed=seed)
            mu, star, sigma, conf = (np.asarray(made[key], float) for key in ("mu", "mu_star", "sigma", "mu_star_conf"))
        rank = np.empty(len(frees), dtype=np.int64)
        rank[np.argsort(-star, kind="stable")] = np.arange(1, len(frees) + 1)
        rows += [
            {
                "outcome": name, "parameter": free.key, "mu_star": star[i], "conf": conf[i], "sigma": sigma[i],
                "mu": mu[i], "rank": int(rank[i]),
            }
            for i, free in enumerate(frees)
        ]  # fmt: skip
    return pd.DataFrame(rows)


def _tornado(run: _Runs, frees: Sequence[Free]) -> pd.DataFrame:
    import pandas as pd
    count = len(frees)
    points = np.full((2 * count, count), 0.5)
    points[np.arange(count), np.arange(count)] = RANGE[0]
    points[count + np.arange(count), np.arange(count)] = RANGE[1]
    found = run("tornado", frees, points)
    rows = [
        {
            "outcome": name, "parameter": free.key, "low": found[name][i], "high": found[name][count + i],
            "from": free.text(float(free.at(np.array(-1.6448536269514722)))),
            "to": free.text(float(free.at(np.array(1.6448536269514722)))),
        }
        for name in run.names for i, free in enumerate(frees)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _sobol(run: _Runs, frees: Sequence[Free], samples: int, seed: int) -> pd.DataFrame:
    import pandas as pd
    from SALib.analyze import sobol as analysis
    from SALib.sample import sobol as design

    columns = ["outcome", "parameter", "first", "first_conf", "total", "total_conf"]
    if len(frees) < 2:
        return pd.DataFrame(columns=columns)
    problem = _problem(frees, WHOLE)
    points = design.sample(problem, samples, calc_second_order=False, seed=seed)
    found = run("sobol", frees, points)
    rows = []
    for name in run.names:
        if _still(found[name]):
            indices = np.full((4, len(frees)), np.nan)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made = analysis.analyze(problem, found[name], calc_second_order=False, seed=seed)
            indices = np.array([made[key] for key in ("S1", "S1_conf", "ST", "ST_conf")], dtype=np.float64)
        rows += [(name, free.key, *map(float, indices[:, i])) for i, free in enumerate(frees)]
    return pd.DataFrame(rows, columns=columns)
