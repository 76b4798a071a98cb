"""What a study like the published one would report, by the model: interval, log score, and those of a naive baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from locokine.evidence.likelihood import WORST, Likelihood
from locokine.population.draw import stream

Array = NDArray[np.float64]
REPLICATES = 4000
"""Simulated studies that an interval is read from: its ends are sure to about 1 % of probability."""
LEVEL = 0.90
FACTOR_TEN = 1.4
"""Log-sd of a quantity known to a factor of ten (90 %): what the baseline's spread starts from."""


@dataclass(frozen=True)
class Predictive:
    """Predicted value with its central 90 % interval, log score, and probability of the observed side (bounds, orderings)."""

    value: float
    low: float
    high: float
    log_score: float
    satisfied: float = float("nan")


def predict(like: Likelihood, subjects: Array, other: Array | None, seed: int, purpose: str) -> Predictive:
    """Predictive distribution of the study.

    Parameters
    ----------
    like
        The observation.
    subjects, other
        Shape (draws, subjects): numbers per simulated host, of the group and of the one it is compared with.
    seed, purpose
        Name the stream of random numbers.

    Returns
    -------
    Predictive
        Every replicate is a study in one of the draws: n new hosts a group, with the error that the paper states where
        that is larger. A count's share is itself uncertain after so few simulated subjects.
    """
    draws = np.arange(REPLICATES) % len(subjects)
    u = stream(seed, f"evidence:{purpose}", 5 * REPLICATES).reshape(5, REPLICATES)
    if like.counts:
        found = _shares(like, subjects, draws, u[0], u[1])
        if other is not None:
            found = found - _shares(like, other, draws, u[2], u[3])
            found = found + _extra(like, subjects, other, draws, u[4])
    else:
        found = _means(like, subjects, other, draws, u[0])
    seen = found[np.isfinite(found)]
    if not len(seen):
        return Predictive(float("nan"), float("nan"), float("nan"), WORST, 0.0)
    low, middle, high = (float(x) for x in np.quantile(seen, [0.5 - LEVEL / 2.0, 0.5, 0.5 + LEVEL / 2.0]))
    value = float(np.mean(seen)) if like.counts else middle
    inside = (found > like.above) & (found < like.below)
    satisfied = float(inside.mean()) if like.kind in ("bound", "ordering") else float("nan")
    return Predictive(value, low, high, _log_score(like, subjects, other, inside), satisfied)


def _shares(like: Likelihood, subjects: Array, draws: NDArray[np.int64], u: Array, v: Array) -> Array:
    """Share in per cent that studies of n hosts count."""
    from scipy.stats import beta, binom

    a, b = like.beta(subjects)
    known = np.asarray(np.isfinite(subjects).any(axis=1))
    p = np.asarray(beta.ppf(u, a[draws], b[draws]))
    count = np.asarray(binom.ppf(v, _whole(like.hosts), np.clip(p, 0.0, 1.0)))
    return np.where(known[draws], 100.0 * count / _whole(like.hosts), np.nan)


def _extra(like: Likelihood, subjects: Array, other: Array, draws: NDArray[np.int64], u: Array) -> Array:
    """Error of the paper beyond that of sampling, for a difference of shares."""
    from scipy.special import ndtri

    if not np.isfinite(like.spread):
        return np.zeros(len(draws))
    sampled = np.sum([like.moments(group)[0] * (100.0 - like.moments(group)[0]) for group in (subjects, other)], axis=0)
    left = np.sqrt(np.maximum(like.spread**2 - sampled / like.hosts, 0.0))
    return left[draws] * ndtri(u)


def _means(like: Likelihood, subjects: Array, other: Array | None, draws: NDArray[np.int64], u: Array) -> Array:
    from scipy.special import ndtri

    centre, sd = like.replicate(subjects, other)
    found = centre[draws] + sd[draws] * ndtri(u)
    return np.exp(found) if like.logarithmic else found


def _whole(n: float) -> int:
    return max(round(n), 1)


def _log_score(like: Likelihood, subjects: Array, other: Array | None, inside: NDArray[np.bool_]) -> float:
    """Log of the predictive probability (density, for means) of what was observed."""
    from scipy.special import logsumexp
    from scipy.stats import norm

    if like.kind in ("bound", "ordering"):
        return log((inside.sum() + 0.5) / (len(inside) + 1.0))
    if like.kind == "binomial":
        a, b = like.beta(subjects)
        parts = np.where(np.isfinite(subjects).any(axis=1), _counted(like, a, b), -np.inf)
    else:
        centre, sd = like.replicate(subjects, other)
        seen = log(like.value) if like.kind == "lognormal" else like.value
        parts = np.where(np.isfinite(centre), norm.logpdf(seen, np.nan_to_num(centre), sd), -np.inf)
    if not np.isfinite(parts).any():
        return WORST
    return max(float(np.asarray(logsumexp(parts))) - log(len(parts)), WORST)


def _counted(like: Likelihood, a: Array | float, b: Array | float) -> Array:
    """Log probability of the observed count when the share is a Beta(a, b)."""
    from scipy.stats import betabinom

    n = _whole(like.hosts)
    return np.asarray(betabinom.logpmf(round(like.value / 100.0 * n), n, a, b))


# --- baseline --------------------------------------------------------------------------------------------------------


def baseline(like: Likelihood, others: Sequence[float], shares: Sequence[float]) -> float | None:
    """Log score of a prediction that knows nothing but the mean of its class.

    Parameters
    ----------
    like
        The observation.
    others
        Logarithms of what was observed in the other experiments of the class (means), in one unit.
    shares
        Shares (0 to 1) observed in the other experiments of the class (counts).

    Returns
    -------
    float or None
        None for a mean, or one side of a mean, that nothing else in its class can be compared with.
    """
    from scipy.stats import betabinom, norm

    if like.kind == "ordering" or (like.kind == "normal" and like.counts):
        return log(0.5) if like.kind == "ordering" else None
    if like.counts:
        a, b = 0.5 + sum(shares), 0.5 + len(shares) - sum(shares)
        if like.kind == "binomial":
            return max(float(_counted(like, a, b)), WORST)
        n = _whole(like.hosts)
        found = 100.0 * np.arange(n + 1) / n
        inside = (found > like.above) & (found < like.below)
        return max(float(np.log(betabinom.pmf(np.arange(n + 1), n, a, b)[inside].sum() + 1e-12)), WORST)
    if not others:
        return None
    mean, count = float(np.mean(others)), len(others)
    spread = (sum((x - mean) ** 2 for x in others) + FACTOR_TEN**2) / count * (1.0 + 1.0 / count)
    if like.kind == "bound":
        low, high = (log(x) if 0.0 < x < np.inf else np.sign(x) * np.inf for x in (like.above, like.below))
        return float(np.log(norm.cdf(high, mean, spread**0.5) - norm.cdf(low, mean, spread**0.5) + 1e-12))
    if like.kind == "lognormal":
        return float(norm.logpdf(log(like.value), mean, (spread + like.spread**2) ** 0.5))
    return None
