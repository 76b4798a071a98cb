"""Overall survival: who died when and of what, and the Kaplan–Meier curve with censoring at the end of follow-up."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from locokine.engine.run import ArmRun
from locokine.engine.variables import DEATHS

Array = NDArray[np.float64]


class Deaths(NamedTuple):
    """Per subject: day of death or end of follow-up, whether it died, of what ("" if alive)."""

    day: Array
    died: NDArray[np.bool_]
    cause: list[str]


class Curve(NamedTuple):
    """Kaplan–Meier estimate: a step function that starts at (0, 1).

    `low` and `high` are the pointwise 95 % band (log–log); `at_risk` counts those alive just before each time.
    """

    day: Array
    survival: Array
    low: Array
    high: Array
    at_risk: NDArray[np.int64]
    median: float | None


def event_times(run: ArmRun, kinds: tuple[str, ...]) -> tuple[Array, list[str]]:
    """Time in h of the first event of these kinds per subject (nan without), and its kind."""
    place = {int(subject): i for i, subject in enumerate(run.subject_ids)}
    times = np.full(run.subjects, np.nan)
    found = [""] * run.subjects
    for subject, time, kind in zip(run.events["subject"], run.events["time_h"], run.events["kind"], strict=True):
        i = place.get(int(subject))
        if kind in kinds and i is not None and not times[i] <= time:
            times[i], found[i] = float(time), str(kind)
    return times, found


def event_counts(run: ArmRun, kind: str) -> NDArray[np.int64]:
    """How many events of this kind each subject has."""
    place = {int(subject): i for i, subject in enumerate(run.subject_ids)}
    counts = np.zeros(run.subjects, dtype=np.int64)
    for subject, what in zip(run.events["subject"], run.events["kind"], strict=True):
        if what == kind and int(subject) in place:
            counts[place[int(subject)]] += 1
    return counts


def deaths(run: ArmRun) -> Deaths:
    """Survival of every subject, from day 0 of the experiment."""
    times, cause = event_times(run, DEATHS)
    died = ~np.isnan(times)
    return Deaths(np.where(died, times, run.daily_time[-1]) / 24.0, died, cause)


def kaplan_meier(day: Array, died: NDArray[np.bool_]) -> Curve:
    """Kaplan–Meier curve.

    Parameters
    ----------
    day, died
        Time of death or censoring and whether it was death, one entry per subject.
    """
    from scipy.stats import CensoredData, ecdf

    day, died = np.asarray(day, dtype=np.float64), np.asarray(died, dtype=bool)
    if not died.any():  # the estimator has nothing to step at
        one = np.ones(1)
        return Curve(np.zeros(1), one, one, one, np.array([len(day)]), None)
    fit = ecdf(CensoredData.right_censored(day, ~died)).sf
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # the band is undefined where survival is 0 or 1
        band = fit.confidence_interval(0.95, method="log-log")
    times = np.concatenate([[0.0], fit.quantiles])
    survival = np.concatenate([[1.0], fit.probabilities])
    low = np.concatenate([[1.0], np.where(np.isnan(band.low.probabilities), fit.probabilities, band.low.probabilities)])
    high = np.concatenate(
        [[1.0], np.where(np.isnan(band.high.probabilities), fit.probabilities, band.high.probabilities)]
    )
    at_risk = np.array([int(np.sum(day >= time)) for time in times])
    reached = np.flatnonzero(survival <= 0.5 + 1e-12)
    return Curve(times, survival, low, high, at_risk, float(times[reached[0]]) if len(reached) else None)
