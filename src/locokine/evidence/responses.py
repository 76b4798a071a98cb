"""Observables of tumour response: read as visits would read them, by the criteria of the host."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from locokine.engine.variables import LESION
from locokine.evidence.trial import Settings, Trial
from locokine.outcome import response

Array = NDArray[np.float64]
_LESION = {item.name: i for i, item in enumerate(LESION)}
NOT_SEEN = 21.0
"""Days counted for a tumour that does not regress."""
WEEK = 7


def cured(trial: Trial, arm: str, _: Settings) -> Array:
    """Probability that no clonogen is left; 0 for the dead."""
    run = trial.run(arm)
    lives = ~np.isnan(run.daily_body[0, -1])
    known = np.zeros(run.subjects) if run.cure_probability is None else np.nan_to_num(run.cure_probability)
    return np.where(lives, known, 0.0)


def regression_onset(trial: Trial, arm: str, _: Settings) -> Array:
    """Days from the first dose to the largest caliper volume before it first falls by a fifth; `NOT_SEEN` without."""
    run = trial.run(arm)
    start = int(response.baseline_day(trial.experiment.protocol, arm))
    volume = run.daily_lesion[_LESION["caliper_volume"], :, start:start + int(NOT_SEEN) + 1].sum(axis=0)
    volume = np.where(np.isnan(volume), np.inf, volume)  # dead: not regressed
    largest = np.maximum.accumulate(volume, axis=0)
    fallen = volume < 0.8 * largest
    first = fallen.argmax(axis=0)
    onset = np.array([float(np.argmax(volume[:at, i])) for i, at in enumerate(np.maximum(first, 1))])
    return np.where(fallen.any(axis=0), np.maximum(onset, 0.5), NOT_SEEN)


def best(trial: Trial, arm: str, lesion: str | None = None) -> NDArray[np.int8]:
    """Best response of each host (codes of `outcome.response`), of all lesions or of one."""
    run, protocol = trial.run(arm), trial.experiment.protocol
    criteria = _criteria(trial)
    days = response.visit_days(
        response.baseline_day(protocol, arm), float(run.daily_time[-1]) / 24.0, criteria
    )
    at = response.day_index(run, days)
    chosen = list(range(len(run.lesions))) if lesion is None else [run.lesions.index(lesion)]
    sites = response.sites_of(protocol, [run.lesions[i] for i in chosen])
    sizes = response.measure(run, response.sites_of(protocol, run.lesions), at, criteria)[chosen]
    viable = response.viable_cells(run, at, chosen)
    return response.respond(sizes, viable, days, sites, criteria).best


def _criteria(trial: Trial) -> response.Criteria:
    return response.Criteria.of(str(trial.experiment.host_entry.meta.get("criteria", "caliper")))


def complete_response(trial: Trial, arm: str, _: Settings) -> Array:
    """Whether the best response is complete."""
    return (best(trial, arm) == response.CR).astype(np.float64)


def partial_response(trial: Trial, arm: str, _: Settings) -> Array:
    """Whether the best response is partial."""
    return (best(trial, arm) == response.PR).astype(np.float64)


def objective_response(trial: Trial, arm: str, _: Settings) -> Array:
    """Whether the best response is complete or partial."""
    return (best(trial, arm) <= response.PR).astype(np.float64)


def lesion_response(trial: Trial, arm: str, at: Settings) -> Array:
    """Whether one lesion responded completely or partially."""
    return (best(trial, arm, str(at["lesion"])) <= response.PR).astype(np.float64)


def _weekly(trial: Trial, arm: str) -> NDArray[np.bool_]:
    """Whether each lesion is not detectable at each weekly visit; shape (lesions, visits, subjects)."""
    run = trial.run(arm)
    sites = response.sites_of(trial.experiment.protocol, run.lesions)
    return response.measure(run, sites, np.arange(0, len(run.daily_time), WEEK), _criteria(trial)) == 0.0


def lesions_cleared(trial: Trial, arm: str, _: Settings) -> Array:
    """Share of a host's lesions that are not detectable at some weekly visit."""
    return np.any(_weekly(trial, arm), axis=1).mean(axis=0)


def lesions_cleared_for(trial: Trial, arm: str, at: Settings) -> Array:
    """Share of a host's lesions that are not detectable at any weekly visit of so many days in a row."""
    gone = _weekly(trial, arm)
    needed = int(np.ceil(at["days"] / WEEK)) + 1
    stretch = np.zeros(gone.shape[::2], dtype=np.int64)
    longest = stretch.copy()
    for visit in range(gone.shape[1]):
        stretch = np.where(gone[:, visit], stretch + 1, 0)
        longest = np.maximum(longest, stretch)
    return (longest >= needed).mean(axis=0)
