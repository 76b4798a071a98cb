"""Radiotherapy and surgery in the dosing language: what is done to lesions beside doses.

    radiotherapy DOSE [to LESION[, LESION]] SCHEDULE            radiotherapy 2 Gy to flank Mon-Fri from day 10 for 2 weeks
    resection of LESION[, LESION] [leaving CELLS | SHARE %] SCHEDULE        resection of flank leaving 1e4 cells day 20

Cytotoxic drugs are agents and are given like any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from locokine.errors import InputError
from locokine.parameters.reading import suggest
from locokine.scenario.grammar import CAVITIES, DAY, MAX_DOSES, NUMERIC, Cursor, Schedule, lesion_names, parse_schedule
from locokine.scenario.protocol import Act, LesionPlan

ACTS: tuple[Literal["radiotherapy", "resection"], ...] = ("radiotherapy", "resection")
"""First words of lines that give no agent."""
MOST_GRAY = 100.0
"""Largest dose of one fraction, Gy: more than anything that is done."""


@dataclass(frozen=True)
class ActLine:
    """One parsed line: `size` in Gy, or the share of cells left; `left` cells, nan if a share; names not resolved."""

    kind: Literal["radiotherapy", "resection"]
    size: float
    schedule: Schedule
    lesions: tuple[str, ...] = ()
    left: float = math.nan


def is_act(line: str) -> bool:
    """Whether a line of an arm is radiotherapy or surgery."""
    return isinstance(line, str) and line.split(maxsplit=1)[:1] != [] and line.split()[0].lower() in ACTS


def parse_act(text: str, place: str) -> ActLine:
    """Parse one line of radiotherapy or surgery.

    Raises
    ------
    InputError
        Pointing at the word that is not understood.
    """
    cursor = Cursor(text, place)
    kind = ACTS[ACTS.index(cursor.take().lower())]  # type: ignore[arg-type]
    made = _radiotherapy(cursor) if kind == "radiotherapy" else _resection(cursor)
    schedule = parse_schedule(cursor, ("to", "leaving"))
    if cursor.peek():
        problem = f"is not understood after the schedule of a {kind}"
        raise cursor.error(problem, "rules such as until complete response belong to doses: remove it")
    return ActLine(kind, made[0], schedule, made[1], made[2])


def _radiotherapy(cursor: Cursor) -> tuple[float, tuple[str, ...], float]:
    at = cursor.position
    dose = cursor.quantity("radiation dose", "2 Gy", positive=True)
    if dose > MOST_GRAY:
        raise cursor.error(f"{dose:g} Gy in one fraction is more than {MOST_GRAY:g} Gy", "write the dose of one fraction", at)
    names: tuple[str, ...] = ()
    if cursor.accept("to") or cursor.accept("into"):
        names = lesion_names(cursor)
    return dose, names, math.nan


def _resection(cursor: Cursor) -> tuple[float, tuple[str, ...], float]:
    if not cursor.accept("of"):
        raise cursor.error("'of' and the name of a lesion are expected here", "write e.g. resection of flank day 20")
    names = lesion_names(cursor)
    share, left = 0.0, math.nan
    if cursor.accept("leaving"):
        share, left = _left(cursor)
    return share, names, left


def _left(cursor: Cursor) -> tuple[float, float]:
    """What a resection leaves: a share, or cells."""
    at = cursor.position
    word, following = cursor.peek(), cursor.peek(1).lower()
    if NUMERIC.match(word) and (word.endswith("%") or following in ("%", "percent")):
        cursor.take()
        cursor.accept(following) if not word.endswith("%") else None
        try:
            share = float(word.rstrip("%")) / 100.0
        except ValueError:
            share = math.nan
        if not 0.0 <= share < 1.0:
            raise cursor.error("is not a share from 0 to below 100 %", "write e.g. leaving 0.1 % or leaving 1e4 cells", at)
        return share, math.nan
    return 0.0, cursor.quantity("cells", "1e4 cells")


def expand_act(
    line: ActLine, index: int, lesions: Sequence[LesionPlan], groups: Mapping[str, tuple[str, ...]], follow_up: float,
    place: str,
) -> tuple[Act, ...]:
    """Turn a parsed line into acts, in order of time; arguments as for `dosing.expand_course`.

    Raises
    ------
    InputError
        If a lesion is unknown, not yet there or cannot be cut out, or an act falls after the end of follow-up.
    """
    end = follow_up * DAY
    times = line.schedule.times(end)
    if len(times) > MAX_DOSES:
        raise InputError(place, f"more than {MAX_DOSES} times", "shorten the schedule")
    if not times or times[-1] >= end:
        problem = f"the {line.kind} is not before the end of follow-up (day {follow_up:g})"
        raise InputError(place, problem, "lengthen follow-up or shorten the schedule")
    by_name = {plan.name: plan for plan in lesions}
    names: list[str] = []
    for name in line.lesions or tuple(by_name):
        if name not in groups and name not in by_name:
            raise InputError(place, f"unknown lesion '{name}'", suggest(name, dict.fromkeys((*groups, *by_name))))
        names += [member for member in groups.get(name, (name,)) if member not in names]
    for name in names:
        if line.kind == "resection" and by_name[name].site in CAVITIES:
            raise InputError(place, f"'{name}' is a fluid cavity and cannot be cut out", "name a solid lesion")
    made = []
    for time in times:
        there = tuple(name for name in names if by_name[name].day * DAY <= time)
        if len(there) < len(names) and (line.lesions or not there):
            absent = next(name for name in names if name not in there)
            problem = f"day {time / DAY:g} comes before the lesion '{absent}' exists (day {by_name[absent].day:g})"
            raise InputError(place, problem, "do it later, or let the lesion begin earlier")
        made.append(Act(time, line.kind, line.size, there, line.left, index))
    return tuple(made)
