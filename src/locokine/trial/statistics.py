"""Statistics of arms: exact intervals, differences, survival, medians with bands, and the data of the usual plots."""

from __future__ import annotations

from math import nan, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locokine.outcome.summary import Proportion, exact_interval
from locokine.outcome.survival import Curve, kaplan_meier
from locokine.results.result import quantile
from locokine.results.schema import count, where

if TYPE_CHECKING:
    import pandas as pd

    from locokine.outcome.assess import Outcome

Array = NDArray[np.float64]

__all__ = [
    "Band",
    "Curve",
    "LogRank",
    "Proportion",
    "compare_arms",
    "duration_of_response",
    "exact_interval",
    "exact_test",
    "kaplan_meier",
    "lesion_correlation",
    "log_rank",
    "median_band",
    "median_interval",
    "paired_difference",
    "paired_risk_difference",
    "restricted_mean",
    "restricted_mean_difference",
    "risk_difference",
    "spider",
    "waterfall",
]


class LogRank(NamedTuple):
    """Log-rank test: z statistic and two-sided p (nan when nobody died)."""

    statistic: float
    p: float


class Band(NamedTuple):
    """Median over the last axis, the band around it, and how many values it rests on."""

    median: Array
    low: Array
    high: Array
    n: NDArray[np.int64]


def risk_difference(
    hits: int, total: int, hits_reference: int, total_reference: int, level: float = 0.95
) -> Proportion:
    """Difference of two shares with the hybrid score interval (Newcombe 1998, method 10).

    Returns value, low and high of share − reference share.

    Raises
    ------
    ValueError
        If an arm is empty.
    """
    from scipy.stats import binomtest

    if not total or not total_reference:
        raise ValueError("an arm without subjects has no share")
    here, there = hits / total, hits_reference / total_reference
    a = binomtest(hits, total).proportion_ci(level, method="wilson")
    b = binomtest(hits_reference, total_reference).proportion_ci(level, method="wilson")
    difference = here - there
    low = difference - sqrt((here - a.low) ** 2 + (b.high - there) ** 2)
    high = difference + sqrt((a.high - here) ** 2 + (there - b.low) ** 2)
    return Proportion(difference, float(low), float(high))


def log_rank(day: Any, died: Any, day_reference: Any, died_reference: Any) -> LogRank:
    """Compare two survival curves (Mantel 1966); inputs as in `kaplan_meier`."""
    from scipy.stats import CensoredData, logrank

    dead, dead_reference = np.asarray(died, dtype=bool), np.asarray(died_reference, dtype=bool)
    if not dead.any() and not dead_reference.any():
        return LogRank(nan, nan)
    found = logrank(
        CensoredData.right_censored(np.asarray(day, dtype=np.float64), ~dead),
        CensoredData.right_censored(np.asarray(day_reference, dtype=np.float64), ~dead_reference),
    )
    return LogRank(float(found.statistic), float(found.pvalue))


def exact_test(hits: int, total: int, hits_reference: int, total_reference: int) -> float:
    """Two-sided p of Fisher's exact test that two shares are equal."""
    from scipy.stats import fisher_exact

    table = [[hits, total - hits], [hits_reference, total_reference - hits_reference]]
    return float(fisher_exact(table).pvalue)  # type: ignore[attr-defined]


class Paired(NamedTuple):
    """A paired contrast: mean difference with its interval, and two-sided p."""

    value: float
    low: float
    high: float
    p: float


def paired_risk_difference(first: Any, second: Any, level: float = 0.95) -> Paired:
    """Difference of the shares of two conditions of the same subjects, `first` less `second`.

    Interval: square-and-add of Wilson intervals with the correlation of the pairs (Newcombe 1998, Stat Med 17:2635,
    method 10). p: exact McNemar test, binomial on the discordant pairs.

    Parameters
    ----------
    first, second
        Truth values, an entry per subject, in the same order.

    Raises
    ------
    ValueError
        If the conditions do not have the same subjects, or none.
    """
    from scipy.stats import binomtest

    one, two = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    if one.shape != two.shape or not one.size:
        raise ValueError(f"{one.size} and {two.size} subjects cannot be paired")
    n = one.size
    both, only, other, none = (count(x) for x in (one & two, one & ~two, ~one & two, ~one & ~two))
    here, there = (both + only) / n, (both + other) / n
    a = binomtest(both + only, n).proportion_ci(level, method="wilson")
    b = binomtest(both + other, n).proportion_ci(level, method="wilson")
    margins = float(both + only) * (other + none) * (both + other) * (only + none)
    cross = both * none - only * other
    if cross > 0:  # the continuity correction of method 10
        cross = max(cross - n / 2.0, 0.0)
    phi = cross / sqrt(margins) if margins else 0.0

    def width(x: float, y: float) -> float:
        return sqrt(max(x * x - 2.0 * phi * x * y + y * y, 0.0))

    low = here - there - width(here - a.low, b.high - there)
    high = here - there + width(a.high - here, there - b.low)
    p = float(binomtest(only, only + other).pvalue) if only + other else 1.0
    return Paired(here - there, float(low), float(high), p)


def paired_difference(first: Any, second: Any, level: float = 0.95) -> Paired:
    """Mean difference of a quantity between two conditions of the same subjects, `first` less `second`.

    Interval: Student's t on the differences. p: Wilcoxon's signed-rank test (1 where all differences are 0). Pairs with
    a nan are left out; all are nan if fewer than two are left.
    """
    from scipy.stats import ttest_1samp, wilcoxon

    d = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    d = d[~np.isnan(d)]
    if len(d) < 2:
        return Paired(nan, nan, nan, nan)
    if not d.any() or np.ptp(d) == 0.0:
        p = 1.0 if not d.any() else float(wilcoxon(d).pvalue)  # type: ignore[attr-defined]
        return Paired(float(d[0]), float(d[0]), float(d[0]), p)
    found = ttest_1samp(d, 0.0).confidence_interval(level)
    return Paired(float(d.mean()), float(found.low), float(found.high), float(wilcoxon(d).pvalue))  # type: ignore[attr-defined]


class Mean(NamedTuple):
    """A mean, its standard error and its interval."""

    value: float
    error: float
    low: float
    high: float


def restricted_mean(day: Any, died: Any, horizon: float, level: float = 0.95) -> Mean:
    """Restricted mean survival time: area under the Kaplan–Meier curve up to `horizon`, days.

    Variance after Greenwood (Royston and Parmar 2013, BMC Med Res Methodol 13:152, doi:10.1186/1471-2288-13-152).

    Parameters
    ----------
    day, died
        As in `kaplan_meier`; who is alive at the horizon is censored there.
    horizon
        Days; not beyond what was observed.
    """
    from scipy.stats import norm

    day, died = np.asarray(day, dtype=np.float64), np.asarray(died, dtype=bool)
    died, day = died & (day <= horizon), np.minimum(day, horizon)
    curve = kaplan_meier(day, died)
    steps = np.append(curve.day, horizon)
    areas = curve.survival * np.maximum(np.diff(steps), 0.0)
    value = float(areas.sum())
    rest = np.cumsum(areas[::-1])[::-1]  # area from each time on
    deaths = np.array([count(died & (day == time)) for time in curve.day])
    left = curve.at_risk - deaths
    known = (deaths > 0) & (left > 0)  # after the last death of all, no area is left and nothing is uncertain
    terms = rest[known] ** 2 * deaths[known] / (curve.at_risk[known] * left[known])
    error = sqrt(float(terms.sum()))
    z = float(norm.ppf(0.5 + level / 2.0))
    return Mean(value, error, value - z * error, value + z * error)


def restricted_mean_difference(one: Mean, two: Mean, level: float = 0.95) -> Paired:
    """Difference of two restricted means of independent groups, with its normal interval and p."""
    from scipy.stats import norm

    difference, error = one.value - two.value, sqrt(one.error**2 + two.error**2)
    z = float(norm.ppf(0.5 + level / 2.0))
    p = 2.0 * float(norm.sf(abs(difference) / error)) if error > 0.0 else (1.0 if difference == 0.0 else 0.0)
    return Paired(difference, difference - z * error, difference + z * error, p)


def median_interval(curve: Curve) -> tuple[float | None, float | None, float | None]:
    """Median of a Kaplan–Meier curve with the 95 % interval of Brookmeyer and Crowley (1982); None where not reached."""

    def reached(values: Array) -> float | None:
        below = np.flatnonzero(values <= 0.5 + 1e-12)
        return float(curve.day[below[0]]) if len(below) else None

    return curve.median, reached(curve.low), reached(curve.high)


def duration_of_response(part: pd.DataFrame) -> Curve | None:
    """Kaplan–Meier curve of the duration of response, days, of the responders among some subjects; None without any.

    Progression and death end a response; the end of follow-up censors it.
    """
    rows = where(part, part["response_duration"].notna())
    if not len(rows):
        return None
    return kaplan_meier(rows["response_duration"].to_numpy(), ~rows["response_ongoing"].to_numpy(dtype=bool))


class Clustered(NamedTuple):
    """Lesions that respond: how many of how many, share with interval, correlation within a subject (nan if unknown)."""

    hits: int
    total: int
    share: Proportion
    correlation: float


def lesion_correlation(outcome: Outcome, arm: str, level: float = 0.95) -> Clustered:
    """Responses of the single lesions of an arm, and how alike those of one subject are.

    The correlation is the analysis-of-variance estimate of the intraclass correlation of a yes-or-no outcome (Ridout,
    Demétrio and Firth 1999, Biometrics 55:137, doi:10.1111/j.0006-341X.1999.00137.x). The interval counts subjects, not
    lesions: Wilson's, with the number of lesions divided by the design effect.
    """
    from scipy.stats import binomtest

    table = outcome.lesions
    rows = where(table, (table["arm"] == arm) & (table["best_response"] != "NE"))
    hit = rows["best_response"].isin(("CR", "PR")).to_numpy(dtype=np.float64)
    groups = [hit[at] for at in rows.groupby("subject", sort=False).indices.values()]
    total, hits = len(hit), int(hit.sum())
    if not total:
        return Clustered(0, 0, exact_interval(0, 0), nan)
    sizes = np.array([len(group) for group in groups], dtype=np.float64)
    correlation, effect, k = nan, 1.0, len(groups)
    if total > k > 1:
        size = (total - float((sizes**2).sum()) / total) / (k - 1)
        between = sum(len(g) * (g.mean() - hit.mean()) ** 2 for g in groups) / (k - 1)
        within = sum(float(((g - g.mean()) ** 2).sum()) for g in groups) / (total - k)
        if between + within > 0.0:
            correlation = (between - within) / (between + (size - 1.0) * within)
            effect = max(1.0 + (total / k - 1.0) * correlation, 1.0)
    independent = max(round(total / effect), 1)
    found = binomtest(round(hits / total * independent), independent).proportion_ci(level, method="wilson")
    return Clustered(hits, total, Proportion(hits / total, float(found.low), float(found.high)), correlation)


def median_band(values: Array, low: float = 0.05, high: float = 0.95) -> Band:
    """Median and band over the last axis, nan left out."""
    array = np.asarray(values, dtype=np.float64)
    below, middle, above = quantile(array, (low, 0.5, high))
    return Band(middle, below, above, np.sum(~np.isnan(array), axis=-1))


def waterfall(outcome: Outcome, arm: str) -> pd.DataFrame:
    """Best change (%) of every evaluable subject of an arm, largest first: subject, best_change, best_response."""
    rows = outcome.of(arm)
    rows = where(rows, rows["best_change"].notna())
    rows = rows.filter(["subject", "best_change", "best_response"])
    return rows.sort_values(["best_change", "subject"], ascending=[False, True], ignore_index=True)


def spider(outcome: Outcome, arm: str, subjects: int = 50) -> pd.DataFrame:
    """Change (%) at every visit of the first subjects of an arm: subject, day, change, status."""
    chosen = outcome.of(arm)["subject"].tolist()[:subjects]
    visits = outcome.visits
    rows = where(visits, (visits["arm"] == arm) & visits["subject"].isin(chosen))
    return rows.filter(["subject", "day", "change", "status"]).reset_index(drop=True)


def compare_arms(outcome: Outcome, reference: str) -> pd.DataFrame:
    """Every other arm against `reference`: response, cure, severe toxicity, survival.

    Columns: arm, reference; for each of response, cure and severe_toxicity the difference with its unpaired interval
    (`_low`, `_high`) and Fisher's exact `_p`, then `_paired_low`, `_paired_high` and `_paired_p` of the same subjects as
    their own controls (all arms share their subjects); log_rank_p; survival_gain (restricted mean to the end of
    follow-up, days) with interval and p. Intervals are 95 %.
    """
    import pandas as pd

    base = outcome.of(reference).sort_values("subject")
    rows = []
    for arm in outcome.arm_names:
        if arm == reference:
            continue
        part = outcome.of(arm).sort_values("subject")
        row: dict[str, Any] = {"arm": arm, "reference": reference}
        for name, hits in _hits(part).items():
            other = _hits(base)[name]
            counts = (count(hits), len(hits), count(other), len(other))
            row |= _named(f"{name}_difference", risk_difference(*counts))
            row[f"{name}_p"] = exact_test(*counts)
            paired = paired_risk_difference(hits, other)
            row |= {f"{name}_paired_low": paired.low, f"{name}_paired_high": paired.high, f"{name}_paired_p": paired.p}
        row["log_rank_p"] = log_rank(part["survival"], part["died"], base["survival"], base["died"]).p
        horizon = max(float(np.max(item["survival"].to_numpy())) for item in (part, base))  # the living are censored at the end
        here, there = (restricted_mean(item["survival"], item["died"], horizon) for item in (part, base))
        gain = restricted_mean_difference(here, there)
        rows.append(row | _named("survival_gain", gain) | {"survival_gain_p": gain.p})
    return pd.DataFrame(rows)


def _named(name: str, found: Proportion | Paired) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _hits(part: pd.DataFrame) -> dict[str, Any]:
    return {
        "response": part["best_response"].isin(("CR", "PR")).to_numpy(),
        "cure": part["cured"].to_numpy(dtype=bool),
        "severe_toxicity": (part["systemic_grade"] >= 3).to_numpy(),
    }
