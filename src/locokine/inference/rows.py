"""The statistical model of a row: how far a prediction may be from what was seen (`docs/calibration_model.md`).

Predictions and observations are compared on a scale on which errors are about normal: the logit for shares, the
logarithm for positive means and ratios, the unit itself for the rest. The scale s of the error joins what the paper
states, the discrepancy of the model and the chance of so few simulated hosts. Errors follow Student's t with `FREEDOM`
degrees of freedom, so that one row that the model cannot meet does not drag the others (Lange, Little and Taylor 1989,
doi:10.1080/01621459.1989.10478852). Of a bound or an ordering only one side is known: it has the probability of that side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locokine.evidence.library import Observation
from locokine.evidence.likelihood import WORST, Likelihood
from locokine.evidence.predictive import REPLICATES

Array = NDArray[np.float64]
FREEDOM = 4.0
"""Degrees of freedom of the errors (`below` knows the distribution of these four only)."""
SHARE, MEAN, POINTS = 0.5, 0.25, 10.0
"""Discrepancy of the model: of the logit of a share, of the logarithm of a mean (and relative), of a difference in points."""
WITHIN = 0.5
"""Correlation of the errors of rows of one study: n of them count as n / (1 + (n - 1) WITHIN)."""


@dataclass(frozen=True)
class Stats:
    """A group of simulated hosts in each draw, as `Likelihood.moments` gives them: arrays of shape (draws,)."""

    centre: Array
    spread: Array
    count: Array

    @classmethod
    def of(cls, like: Likelihood, subjects: Array) -> Stats:
        """Of numbers per subject, shape (draws, subjects)."""
        centre, spread, count = like.moments(subjects)
        return cls(centre, spread, count.astype(np.float64))


@dataclass(frozen=True)
class Reading:
    """A row in some draws, on its scale: prediction, variance of chance, variance of sampling n hosts; shape (draws,)."""

    value: Array
    chance: Array
    sampled: Array

    def part(self, which: NDArray[np.int64] | slice) -> Reading:
        """Some of the draws."""
        return Reading(self.value[which], self.chance[which], self.sampled[which])

    @classmethod
    def joined(cls, parts: Sequence[Reading]) -> Reading:
        """Draws side by side."""
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("value", "chance", "sampled")))


@dataclass(frozen=True)
class Target:
    """What was seen, on the scale of the row.

    Attributes
    ----------
    name
        Of the row.
    low, high
        The observed value twice; of a bound or ordering the known side (the other end is infinite).
    error
        Standard deviation that the paper states or its number of hosts implies; nan for a bound or ordering, whose error
        is that of sampling n simulated hosts.
    discrepancy
        Of the model.
    weight
        Share of an independent row that it counts for: rows of one study are not independent.
    hosts, hits
        Of a count: how many hosts it stands for, and how many of them; nan for everything else.
    """

    name: str
    low: float
    high: float
    error: float
    discrepancy: float
    weight: float = 1.0
    hosts: float = float("nan")
    hits: float = float("nan")

    @property
    def known(self) -> bool:
        """Whether a value was seen, and not only a side."""
        return self.low == self.high

    def scale(self, reading: Reading) -> Array:
        """Standard deviation of the error in each draw."""
        error = reading.sampled if np.isnan(self.error) else self.error**2
        return np.sqrt(error + self.discrepancy**2 + reading.chance)

    def residual(self, value: Array) -> Array:
        """What was seen less the prediction; 0 on the known side of a bound."""
        return np.clip(value, self.low, self.high) - value

    def log(self, reading: Reading) -> Array:
        """Log-likelihood of each draw, relative to that of a perfect prediction; shape (draws,)."""
        s = self.scale(reading)
        if self.known:
            found = log_error((reading.value - self.low) / s)
        else:
            upper = below((self.high - reading.value) / s)
            found = np.log(np.maximum(upper - below((self.low - reading.value) / s), 1e-12))
        return self.weight * np.where(np.isfinite(found), found, -30.0)

    def score(self, reading: Reading) -> Array:
        """Log score of each draw as the scoreboard has it (`evidence.predictive`): no discrepancy, no weight."""
        from scipy.special import betaln, expit, gammaln
        from scipy.stats import norm

        if np.isfinite(self.hits):
            n, k, p = max(round(self.hosts), 1), round(self.hits), np.asarray(expit(reading.value))
            total = 1.0 / np.maximum(p * (1.0 - p) * reading.chance, 1e-12)
            a, b = p * total, (1.0 - p) * total
            choose = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
            found = choose + betaln(k + a, n - k + b) - betaln(a, b)
        else:
            error = 0.0 if np.isnan(self.error) else self.error**2
            s = np.sqrt(np.maximum(np.maximum(reading.sampled, error) + reading.chance, 1e-12))
            if self.known:
                found = norm.logpdf(self.low, reading.value, s)
            else:
                inside = norm.cdf((self.high - reading.value) / s) - norm.cdf((self.low - reading.value) / s)
                found = np.log((REPLICATES * inside + 0.5) / (REPLICATES + 1.0))
        return np.where(np.isfinite(found), np.maximum(found, WORST), WORST)


def log_error(z: Array) -> Array:
    """Log density of Student's t at an error of z scales, relative to that at 0."""
    return -0.5 * (FREEDOM + 1.0) * np.log1p(z * z / FREEDOM)


def below(z: Array) -> Array:
    """Probability that Student's t with four degrees of freedom is below z (closed form; z may be infinite)."""
    z = np.clip(z, -1e6, 1e6)
    u = z / np.sqrt(1.0 + 0.25 * z * z)
    return 0.5 + 0.375 * u * (1.0 - u * u / 12.0)


def logit(p: Array | float) -> Array:
    """Logarithm of the odds."""
    p = np.asarray(p, dtype=np.float64)
    return np.log(p) - np.log1p(-p)


def target(row: Observation, weight: float = 1.0) -> Target:
    """What a row observed, on its scale."""
    like = row.likelihood
    if like.kind == "binomial":
        n, hits = like.hosts, like.hosts * like.value / 100.0
        seen = float(logit((hits + 0.5) / (n + 1.0)))
        error = float(np.sqrt(1.0 / (hits + 0.5) + 1.0 / (n - hits + 0.5)))
        return Target(row.name, seen, seen, error, SHARE, weight, n, hits)
    if like.kind == "lognormal":
        seen = float(np.log(like.value))
        return Target(row.name, seen, seen, like.spread, MEAN, weight)
    contrast = like.share and row.against is not None
    if like.kind == "normal":
        discrepancy = POINTS if contrast else MEAN * max(abs(like.value), like.spread)
        return Target(row.name, like.value, like.value, like.spread, discrepancy, weight)
    low, high = (_limit(like, x, contrast) for x in (like.above, like.below))
    if contrast:
        discrepancy = POINTS
    elif like.share:
        discrepancy = SHARE
    elif like.logarithmic:
        discrepancy = MEAN
    else:
        discrepancy = MEAN * max(abs(x) for x in (low, high) if np.isfinite(x))
    return Target(row.name, low, high, float("nan"), max(discrepancy, 1e-9), weight)


def _limit(like: Likelihood, x: float, contrast: bool) -> float:
    if not np.isfinite(x):
        return x
    if like.share and not contrast:
        return float(logit(np.clip(x / 100.0, 0.5 / (like.hosts + 1.0), 1.0 - 0.5 / (like.hosts + 1.0))))
    return float(np.log(max(x, 1e-12))) if like.logarithmic else x


def targets(rows: Sequence[Observation]) -> list[Target]:
    """What rows observed; those of one study share its weight."""
    count: dict[str, int] = {}
    for row in rows:
        count[row.origin] = count.get(row.origin, 0) + 1
    return [target(row, 1.0 / (1.0 + (count[row.origin] - 1) * WITHIN)) for row in rows]


def reading(row: Observation, groups: Sequence[Stats]) -> Reading:
    """A row's prediction on its scale, from its group and the one it is compared with."""
    like = row.likelihood
    parts = [_part(like, group, row.against is not None) for group in groups]
    value, chance, sampled = parts[0]
    if len(parts) > 1:
        value, chance, sampled = value - parts[1][0], chance + parts[1][1], sampled + parts[1][2]
    return Reading(value, chance, sampled)


def _part(like: Likelihood, group: Stats, contrast: bool) -> tuple[Array, Array, Array]:
    """Value, variance of the simulated number of hosts, variance of sampling as many hosts as the study had."""
    known = group.count > 0
    count = np.maximum(group.count, 1.0)
    if not like.counts:
        variance = group.spread**2
        return np.where(known, group.centre, np.nan), variance / count, variance / like.hosts
    hits = np.where(known, group.centre, 50.0) / 100.0 * count
    p = (hits + 0.5) / (count + 1.0)
    if contrast:
        variance = 1e4 * p * (1.0 - p)
        return np.where(known, 100.0 * p, np.nan), variance / (count + 1.0), variance / like.hosts
    chance = 1.0 / (hits + 0.5) + 1.0 / (count - hits + 0.5)
    n = like.hosts
    return np.where(known, logit(p), np.nan), chance, 1.0 / (n * p + 0.5) + 1.0 / (n * (1.0 - p) + 0.5)


def worth(z: Array, goals: Sequence[Target], found: Sequence[Mapping[str, Reading]]) -> Array:
    """Sum of log scores of draws less the cost of leaving the library's values, by which the best point is chosen.

    Parameters
    ----------
    z
        Shape (draws, n).
    goals
        Rows.
    found
        Row → prediction of the draws, for each dose that an uncertain unit may mean: all are equally likely.
    """
    from scipy.special import logsumexp

    total = -0.5 * (z * z).sum(axis=1)
    for goal in goals:
        each = np.stack([goal.score(one[goal.name]) for one in found])
        total = total + np.asarray(logsumexp(each, axis=0)) - np.log(len(found))
    return total


def log_posterior(z: Array, goals: Sequence[Target], found: Mapping[str, Reading]) -> Array:
    """Log of the posterior density of draws up to a constant: standard normal prior of `z` (draws, n), and all rows."""
    total = -0.5 * (z * z).sum(axis=1)
    for goal in goals:
        total = total + goal.log(found[goal.name])
    return total
