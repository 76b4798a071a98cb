"""Cure, freedom from disease and rejection of a new tumour.

Cured means that no clonogen is left (the engine's event) in a host that lived to the end of follow-up; free of disease
at a day means alive without a detectable tumour on that day, which is something else. Rejected means alive and without
a tumour of 3 mm or more a stated time after challenge; it counts only if at least 90 % of naive hosts grew the tumour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locokine.engine.run import ArmRun
from locokine.engine.variables import LESION
from locokine.outcome.response import Criteria, alive, day_index, diameter, measure, sites_of
from locokine.outcome.survival import Deaths, event_times
from locokine.results.result import NAIVE, Result
from locokine.results.schema import CHALLENGES, count, where
from locokine.scenario.protocol import Protocol

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

TAKE = 3.0
"""Diameter in mm from which a challenge has taken."""
TAKE_RATE = 0.9
"""Share of naive hosts in which it must take for a rejection to mean anything."""

_CALIPER = [item.name for item in LESION].index("caliper_volume")


class Cure(NamedTuple):
    """Per subject: cured and alive at the end, day of extinction (nan without), probability of extinction."""

    cured: Bools
    day: Array
    probability: Array


def cure(run: ArmRun, dead: Deaths) -> Cure:
    """Cures of an arm.

    Without the engine's own probability, that of a subject is what its draw gave: 0 or 1.
    """
    times, _ = event_times(run, ("cured",))
    cured = ~np.isnan(times) & ~dead.died
    known = cured.astype(np.float64) if run.cure_probability is None else np.nan_to_num(run.cure_probability)
    return Cure(cured, times / 24.0, np.where(dead.died, 0.0, known))


def disease_free(run: ArmRun, protocol: Protocol, day: float, criteria: Criteria) -> Bools:
    """Whether each subject is alive without a detectable tumour on `day`."""
    at = day_index(run, np.array([day]))
    sizes = measure(run, sites_of(protocol, run.lesions), at, criteria)[:, 0]
    return alive(run, at)[0] & (np.nan_to_num(sizes) == 0.0).all(axis=0)


def challenge_outcome(run: ArmRun, observe: float) -> tuple[Bools, Array, Bools]:
    """Alive, diameter of the largest tumour (mm) and rejected, per subject, `observe` days after the challenge.

    The challenge is the engine's event "challenged"; without one it is the start of the run.
    """
    times, _ = event_times(run, ("challenged",))
    start = np.where(np.isnan(times), run.daily_time[0], times)
    at = day_index(run, start / 24.0 + observe)
    column = np.arange(run.subjects)
    lives = ~np.isnan(run.daily_body[0, at, column])
    size = diameter(run.daily_lesion[_CALIPER][:, at, column]).max(axis=0, initial=0.0)
    return lives, np.where(lives, size, np.nan), lives & (size < TAKE)


def challenge_table(result: Result) -> pd.DataFrame:
    """A row per challenged host (columns: `results.schema.CHALLENGES`)."""
    import pandas as pd

    observe = result.protocol.rechallenge.observe if result.protocol.rechallenge else 0.0
    kinds = {"subject": "int64", "alive": "bool", "diameter": "float64", "rejected": "bool"}
    columns: dict[str, list] = {item.name: [] for item in CHALLENGES}
    for (arm, line), run in result.challenges.items():
        lives, size, rejected = challenge_outcome(run, observe)
        columns["arm"] += [arm] * run.subjects
        columns["line"] += [line] * run.subjects
        columns["subject"] += run.subject_ids.tolist()
        columns["alive"] += lives.tolist()
        columns["diameter"] += size.tolist()
        columns["rejected"] += rejected.tolist()
    return pd.DataFrame({name: pd.Series(values, dtype=kinds.get(name, "str")) for name, values in columns.items()})


def challenge_counts(table: pd.DataFrame, arm: str, line: str) -> dict[str, int]:
    """Challenged and rejected, of an arm and of the naive controls of the same line."""
    counts: dict[str, int] = {}
    for prefix, who in (("", arm), ("naive_", NAIVE)):
        rows = where(table, (table["arm"] == who) & (table["line"] == line))
        counts[f"{prefix}challenged"] = len(rows)
        counts[f"{prefix}rejected"] = count(rows["rejected"])
    return counts


def valid_challenge(counts: dict[str, int]) -> bool:
    """Whether enough naive controls grew the tumour for the challenge to be valid."""
    taken = counts["naive_challenged"] - counts["naive_rejected"]
    return counts["naive_challenged"] > 0 and taken >= TAKE_RATE * counts["naive_challenged"]
