"""Simulation-based calibration: does the posterior contain the truth as often as it says?

A truth is drawn from the prior, rows are observed under it with the errors of the statistical model, and the calibration
is run on them; over many truths the rank of the truth among the posterior's draws is uniform if all is well (Talts and
others 2018, arXiv 1804.06788).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from locokine.evidence.library import Observation
from locokine.inference.calibrate import Posterior, run
from locokine.inference.rows import FREEDOM, WITHIN, Reading, targets
from locokine.inference.study import Study, ranged
from locokine.population.draw import stream

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Recovery:
    """Ranks of truths.

    Attributes
    ----------
    ranks
        Coordinate → rank (0 to 1) of each truth among the draws, of the calibrations in which it moved.
    covered
        Share of all ranks within the central 90 %.
    p
        Kolmogorov–Smirnov probability that all ranks together are uniform.
    """

    ranks: Mapping[str, Array]
    covered: float
    p: float


def observed(rows: Sequence[Observation], truth: Mapping[str, Reading], seed: int) -> list[Observation]:
    """The same rows with what would have been seen under a truth: of a bound or ordering the side on which that falls.

    Parameters
    ----------
    truth
        Predictions under the truth, one draw, with many hosts.
    seed
        Of the errors, which are correlated within a study.
    """
    random = np.random.default_rng(seed)
    of_study: dict[str, float] = {}
    made = []
    for row, goal in zip(rows, targets(rows), strict=True):
        shared = of_study.setdefault(row.origin, float(random.standard_normal()))
        own = float(random.standard_normal())
        heavy = float(np.sqrt(FREEDOM / random.chisquare(FREEDOM)))
        error = heavy * (np.sqrt(WITHIN) * shared + np.sqrt(1.0 - WITHIN) * own)
        value = float(truth[row.name].value[0])
        like = row.likelihood
        if not goal.known:
            seen = value + float(np.hypot(np.sqrt(truth[row.name].sampled[0]), goal.discrepancy)) * error
            if seen < goal.low:
                like = replace(like, value=like.above, above=float("-inf"), below=like.above)
            elif seen > goal.high:
                like = replace(like, value=like.below, above=like.below, below=float("inf"))
            made.append(replace(row, likelihood=like))
            continue
        if like.kind == "binomial":
            p = 1.0 / (1.0 + np.exp(-(value + goal.discrepancy * error)))
            hits = float(random.binomial(max(round(like.hosts), 1), p))
            n = float(max(round(like.hosts), 1))
            like = replace(like, value=100.0 * hits / n, successes=hits, n=n, effective=n)
        else:
            seen = value + float(np.hypot(goal.error, goal.discrepancy)) * error
            like = replace(like, value=float(np.exp(seen)) if like.kind == "lognormal" else seen)
        made.append(replace(row, likelihood=like))
    return made


def spread_out(names: Sequence[str], truths: int, seed: int) -> Array:
    """Truths of the prior, one in each of as many equal parts of it for every coordinate, paired at random; (truths, names).

    A dozen independent draws lie below the median by chance more often than a calibration is wrong.
    """
    columns = []
    for name in names:
        order = np.argsort(stream(seed, f"truths:{name}:order", truths))
        columns.append(ranged((order + stream(seed, f"truths:{name}", truths)) / truths))
    return np.stack(columns, axis=1)


def recover(
    study: Callable[[Sequence[Observation], int], Study], rows: Sequence[Observation], names: Sequence[str], truths: int,
    seed: int, hosts: int = 64, tell: Callable[[str], None] = lambda text: None,
) -> Recovery:
    """Calibrate to rows observed under truths of the prior.

    Parameters
    ----------
    study
        Makes a calibration of some rows with a seed.
    rows
        What is observed; the numbers are replaced by what would have been seen.
    names
        Coordinates that have a truth; all others stay at the library's values.
    truths, seed
        How many, and of all of them.
    hosts
        With which the truth is simulated.
    """
    from scipy.stats import kstest

    first = study(rows, seed)
    z = spread_out(names, truths, seed)
    ranks: dict[str, list[float]] = {}
    for number in range(truths):
        truth = first.simulate(rows, names, z[number:number + 1], hosts)
        found: Posterior = run(study(observed(rows, truth, seed + number), seed + 1000 * (number + 1)))
        for i, name in enumerate(found.names):
            if name in names:
                true = z[number, list(names).index(name)]
                ranks.setdefault(name, []).append(float((found.draws[:, i] < true).mean()))
        tell(f"truth {number + 1} of {truths}: {len(found.names)} coordinates moved")
    together = np.concatenate([np.array(values) for values in ranks.values()]) if ranks else np.array([0.5])
    covered = float(((together >= 0.05) & (together <= 0.95)).mean())
    p = float(getattr(kstest(together, "uniform"), "pvalue"))  # noqa: B009
    return Recovery({name: np.array(values) for name, values in ranks.items()}, covered, p)
