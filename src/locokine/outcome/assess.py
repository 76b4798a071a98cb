"""From a result to its outcomes: tables with a row per subject, visit, lesion and challenged host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from locokine.engine.run import ArmRun
from locokine.engine.variables import LESION, PLACES
from locokine.errors import InputError
from locokine.outcome import immunity, response, summary, survival, toxicity
from locokine.outcome.response import CODES, PD, PR, SD, STATUS, Assessment, Criteria
from locokine.results.result import Result
from locokine.results.schema import LESIONS, SUBJECTS, VISITS, where

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
_LESION = {item.name: i for i, item in enumerate(LESION)}
ENDOGENOUS = "endogenous"
"""What the host's own cells make: on the agent axis, but never given."""


@dataclass
class Outcome:
    """Outcomes of an experiment.

    Attributes
    ----------
    criteria
        How response was read.
    arm_names, challenge_lines
        Arms, and lines of rechallenge, in the order of the protocol.
    subjects, visits, lesions, challenges
        Tables; their columns are `results.schema.SUBJECTS`, `VISITS`, `LESIONS` and `CHALLENGES`.
    """

    criteria: Criteria
    arm_names: tuple[str, ...]
    challenge_lines: tuple[str, ...]
    subjects: pd.DataFrame
    visits: pd.DataFrame
    lesions: pd.DataFrame
    challenges: pd.DataFrame
    manifest: dict[str, Any]
    stored_summary: dict[str, Any] | None = None

    def of(self, arm: str) -> pd.DataFrame:
        """Rows of `subjects` of one arm.

        Raises
        ------
        InputError
            If there is no such arm.
        """
        if arm not in self.arm_names:
            raise InputError("arm", f"there is no arm {arm!r}", f"choose one of {', '.join(self.arm_names)}")
        return where(self.subjects, self.subjects["arm"] == arm)

    @property
    def arms(self) -> pd.DataFrame:
        """A row per arm; see `summary.arm_table`."""
        return summary.arm_table(self)

    @property
    def rechallenge(self) -> pd.DataFrame:
        """A row per arm and line; see `summary.rechallenge_table`."""
        return summary.rechallenge_table(self)

    @property
    def toxicity(self) -> pd.DataFrame:
        """Subjects by arm, term and grade; see `summary.toxicity_counts`."""
        return summary.toxicity_counts(self)

    def survival(self, arm: str) -> survival.Curve:
        """Kaplan–Meier curve of an arm, in days after day 0."""
        rows = self.of(arm)
        return survival.kaplan_meier(rows["survival"].to_numpy(), rows["died"].to_numpy())

    def summary(self) -> dict[str, Any]:
        """The content of `summary.json`."""
        return self.stored_summary or summary.summary(self, self.manifest)


def assess(result: Result, criteria: Criteria | None = None) -> Outcome:
    """Read the outcomes of a result.

    Parameters
    ----------
    result
        Fresh, or opened from disk (whose stored tables are taken as they are).
    criteria
        Other criteria than those of the host; needs the day values of all subjects.

    Raises
    ------
    InputError
        If other criteria are asked of a result that holds only some of its subjects.
    """
    lines = result.protocol.rechallenge.lines if result.protocol.rechallenge else ()
    chosen = criteria or Criteria.of(str(result.manifest.get("criteria", "caliper")))

    def outcome(tables: list[pd.DataFrame], challenges: pd.DataFrame, stored: dict[str, Any] | None) -> Outcome:
        subjects, visits, lesions = tables
        return Outcome(
            chosen, result.arms, tuple(lines), subjects, visits, lesions, challenges, result.manifest, stored
        )

    if criteria is None and "subjects" in result.stored:
        tables = [result.stored[name] for name in ("subjects", "visits", "lesions")]
        return outcome(tables, result.stored["challenge_table"], result.stored["summary"])
    if not result.complete:
        raise InputError(
            "criteria",
            "the stored result has day values of some subjects only",
            "run the experiment again in memory, or save it with full=True",
        )
    import pandas as pd

    parts = [_assess_arm(run, result, chosen) for run in result.runs.values()]
    tables = [pd.concat([part[i] for part in parts], ignore_index=True) for i in range(3)]
    return outcome(tables, immunity.challenge_table(result), None)


def _assess_arm(run: ArmRun, result: Result, criteria: Criteria) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    protocol = result.protocol
    baseline = response.baseline_day(protocol, run.arm)
    first = int(response.day_index(run, baseline))
    days = response.visit_days(baseline, float(run.daily_time[-1]) / 24.0, criteria)
    at = response.day_index(run, days)
    sites = response.sites_of(protocol, run.lesions)
    sizes = response.measure(run, sites, at, criteria)
    viable = response.viable_cells(run, at)
    whole = response.respond(sizes, viable, days, sites, criteria)
    injected = response.injected_lesions(protocol, run.arm)
    dead = survival.deaths(run)
    columns: dict[str, Any] = {
        "arm": [run.arm] * run.subjects,
        "subject": run.subject_ids,
        "baseline_day": np.full(run.subjects, baseline),
        "baseline_size": whole.burden[0],
        "best_response": _names(_with_deaths(whole.best, dead)),
        "best_response_confirmed": _names(_with_deaths(whole.confirmed, dead)),
        **_subset_responses(run, sizes, days, sites, injected, criteria),
        **_course(whole, days, dead),
        "disease_free": immunity.disease_free(run, protocol, float(run.daily_time[-1]) / 24.0, criteria),
        **_cure_columns(run, dead),
        "doses_given": survival.event_counts(run, "dose"),
        "doses_held": survival.event_counts(run, "dose_held"),
        **_toxicity_columns(run, first, dead, injected, criteria),
        **_exposure_columns(run),
        **_tissue_columns(run, first),
    }
    lesion_parts = _lesion_responses(run, sizes, days, sites, injected, criteria)
    return _table(columns, SUBJECTS), _visit_table(run, whole, viable, days), _table(lesion_parts, LESIONS)


def _table(columns: dict[str, Any], items: tuple) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({item.name: pd.Series(columns[item.name]) for item in items})


def _names(codes: NDArray[np.int8]) -> list[str]:
    return [CODES[code] for code in codes]


def _with_deaths(best: NDArray[np.int8], dead: survival.Deaths) -> NDArray[np.int8]:
    """A stable tumour that nevertheless killed its host progressed between visits."""
    by_tumour = np.array([cause == "tumour_death" for cause in dead.cause], dtype=bool)
    return np.where((best == SD) & by_tumour, PD, best).astype(np.int8)


def _first(true: NDArray[np.bool_], days: Array) -> Array:
    """Day of the first visit at which something holds, nan without; `true` has shape (visits, subjects)."""
    return np.where(true.any(axis=0), days[true.argmax(axis=0)], np.nan)


def _course(whole: Assessment, days: Array, dead: survival.Deaths) -> dict[str, Any]:
    """How the response went over time."""
    base = whole.burden[0]
    later = np.where(np.isnan(whole.burden[1:]), np.inf, whole.burden[1:])
    smallest = later.min(axis=0, initial=np.inf)
    known = np.isfinite(smallest) & (np.nan_to_num(base) > 0.0)
    change = np.full(len(base), np.nan)
    change[known] = 100.0 * (smallest[known] / base[known] - 1.0)
    responding = (whole.status <= PR) & whole.counted
    start = _first(responding, days)
    progressed = whole.status == PD
    after = progressed & (days[:, None] > np.nan_to_num(start, nan=np.inf))
    relapse = _first(after, days)
    end = np.fmin(relapse, dead.day)  # day of death, else end of follow-up
    false_day = _first(whole.false_progression, days)
    return {
        "best_change": change,
        "time_to_response": start - days[0],
        "response_duration": end - start,
        "response_ongoing": ~np.isnan(start) & np.isnan(relapse) & ~dead.died,
        "progression_day": _first(progressed, days),
        "pseudoprogression": ~np.isnan(false_day),
        "pseudoprogression_day": false_day,
        "survival": dead.day,
        "died": dead.died,
        "cause_of_death": dead.cause,
    }


def _viable_of(run: ArmRun, days: Array, lesions: list[int]) -> Array:
    return response.viable_cells(run, response.day_index(run, days), lesions)


def _subset_responses(
    run: ArmRun, sizes: Array, days: Array, sites: tuple[str, ...], injected: frozenset[str], criteria: Criteria
) -> dict[str, list[str]]:
    """Best response of the injected and of the other lesions, each as if they were all; "" where there are none."""
    found = {}
    for name, wanted in (("injected", True), ("distant", False)):
        chosen = [i for i, lesion in enumerate(run.lesions) if (lesion in injected) == wanted and injected]
        if not chosen:
            found[f"best_response_{name}"] = [""] * run.subjects
            continue
        part = response.respond(
            sizes[chosen], _viable_of(run, days, chosen), days, [sites[i] for i in chosen], criteria
        )
        found[f"best_response_{name}"] = _names(part.best)
    return found


def _lesion_responses(
    run: ArmRun, sizes: Array, days: Array, sites: tuple[str, ...], injected: frozenset[str], criteria: Criteria
) -> dict[str, Any]:
    columns: dict[str, list[Any]] = {item.name: [] for item in LESIONS}
    for i, lesion in enumerate(run.lesions):
        part = response.respond(sizes[[i]], _viable_of(run, days, [i]), days, sites[i : i + 1], criteria)
        base = sizes[i, 0]
        smallest = np.where(np.isnan(sizes[i, 1:]), np.inf, sizes[i, 1:]).min(axis=0, initial=np.inf)
        known = np.isfinite(smallest) & (np.nan_to_num(base) > 0.0)
        change = np.full(run.subjects, np.nan)
        change[known] = 100.0 * (smallest[known] / base[known] - 1.0)
        columns["arm"] += [run.arm] * run.subjects
        columns["subject"] += run.subject_ids.tolist()
        columns["lesion"] += [lesion] * run.subjects
        columns["injected"] += [lesion in injected] * run.subjects
        columns["baseline_size"] += base.tolist()
        columns["best_change"] += change.tolist()
        columns["best_response"] += _names(part.best)
    return columns


def _visit_table(run: ArmRun, whole: Assessment, viable: Array, days: Array) -> pd.DataFrame:
    there = ~np.isnan(whole.burden)
    visit, column = np.nonzero(there)
    order = np.lexsort((visit, column))
    visit, column = visit[order], column[order]
    size, base = whole.burden[visit, column], whole.burden[0, column]
    change = np.full(len(size), np.nan)
    change[base > 0.0] = 100.0 * (size[base > 0.0] / base[base > 0.0] - 1.0)
    columns = {
        "arm": [run.arm] * len(size),
        "subject": run.subject_ids[column],
        "day": days[visit],
        "size": size,
        "change": change,
        "viable_cells": viable[visit, column],
        "status": [STATUS[code] for code in whole.status[visit, column]],
    }
    return _table(columns, VISITS)


def _cure_columns(run: ArmRun, dead: survival.Deaths) -> dict[str, Any]:
    found = immunity.cure(run, dead)
    return {"cured": found.cured, "cure_day": found.day, "cure_probability": found.probability}


def _toxicity_columns(
    run: ArmRun, first: int, dead: survival.Deaths, injected: frozenset[str], criteria: Criteria
) -> dict[str, Any]:
    toxic = np.array([cause == "toxic_death" for cause in dead.cause], dtype=bool)
    found = toxicity.systemic_grades(run, first, toxic, criteria.kind == "caliper")
    worst, term = toxicity.worst_systemic(found)
    return {
        **{f"grade_{name}": values for name, values in found.items()},
        "systemic_grade": worst,
        "systemic_term": term,
        "injection_site_grade": toxicity.injection_site_grades(run, first, injected),
    }


def _exposure_columns(run: ArmRun) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for i, place in enumerate(PLACES):
        columns[f"il2_peak_{place}"] = run.exposure[i, -1, 0]
        columns[f"il2_auc_{place}"] = run.exposure[i, -1, 1]
    agents = [i for i, name in enumerate(run.agents) if name != ENDOGENOUS]
    dosed, reached = run.dosed[agents].sum(axis=0), run.reached_plasma[agents].sum(axis=0)
    given = dosed > 0.0
    columns["dosed"] = dosed
    columns["bioavailability"] = np.where(given, reached / np.where(given, dosed, 1.0), 0.0)
    return columns


def _tissue_columns(run: ArmRun, first: int) -> dict[str, Any]:
    """Worst of the tissue's course, each time averaged over the lesions that exist (pO2: over their living cells)."""

    def over_lesions(name: str, weight: Array) -> Array:
        values = run.daily_lesion[_LESION[name], :, first:]
        known = ~np.isnan(values) & (weight > 0.0)
        total = np.where(known, weight, 0.0).sum(axis=0)
        mean = np.where(known, values * weight, 0.0).sum(axis=0) / np.where(total > 0.0, total, 1.0)
        return np.where(total > 0.0, mean, np.nan)

    def extreme(values: Array, sign: float) -> Array:
        found = np.where(np.isnan(values), -np.inf, sign * values).max(axis=0, initial=-np.inf)
        return np.where(np.isfinite(found), sign * found, np.nan)

    cells = np.nan_to_num(run.daily_lesion[_LESION["viable_cells"], :, first:])
    names = ("hypoxic_fraction", "necrotic_fraction", "oedema_fraction")
    columns = {f"{name}_peak": extreme(over_lesions(name, np.ones_like(cells)), 1.0) for name in names}
    return columns | {"viable_pO2_min": extreme(over_lesions("viable_pO2", cells), -1.0)}
