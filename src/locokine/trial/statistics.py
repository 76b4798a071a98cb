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
    "exact_interval",
    "kaplan_meier",
    "log_rank",
    "median_band",
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
    """Every other arm against `reference`: differences of response, cure and severe toxicity, log-rank test.

    Intervals are 95 %; arms share their subjects, which these (unpaired) intervals do not use, so that they are wider
    than a paired analysis would give.
    """
    import pandas as pd

    base = outcome.of(reference)
    rows = []
    for arm in outcome.arm_names:
        if arm == reference:
            continue
        part = outcome.of(arm)
        row: dict[str, Any] = {"arm": arm, "reference": reference}
        for name, hits in _hits(part).items():
            difference = risk_difference(hits, len(part), _hits(base)[name], len(base))
            row |= {name: difference.value, f"{name}_low": difference.low, f"{name}_high": difference.high}
        test = log_rank(part["survival"], part["died"], base["survival"], base["died"])
        rows.append(row | {"log_rank_p": test.p})
    return pd.DataFrame(rows)


def _hits(part: pd.DataFrame) -> dict[str, int]:
    return {
        "response_difference": count(part["best_response"].isin(("CR", "PR"))),
        "cure_difference": count(part["cured"]),
        "severe_toxicity_difference": count(part["systemic_grade"] >= 3),
    }
