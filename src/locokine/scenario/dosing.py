"""The dosing language: one line of a lab's own words → doses and rules.

    AGENT [AMOUNT [per lesion]] ROUTE [in VOLUME] [at DISTANCE] [over DURATION] [into LESION[, LESION]]
        SCHEDULE[, RULE]...

    schedules   daily days 10-14 · day 3 · days 1, 4, 9 · daily x5 from day 10 · every 2 days days 10-20
                q8h x14 from day 0 · q8h days 10-14 · weekly · twice weekly · three times weekly from day 3 for 4 weeks
    rules       until complete response · hold while hypotension >= 3 · stop at any >= 4

Every element of the grammar is a row of a table in `scenario.grammar`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from locokine.errors import InputError
from locokine.parameters.reading import suggest
from locokine.scenario.amounts import DOSE_EXAMPLES, AgentUnits, Amount, parse_amount
from locokine.scenario.grammar import (
    DAY,
    FORM,
    LOCAL_ROUTES,
    MAX_DOSES,
    MODIFIERS,
    NUMERIC,
    ROUTES,
    RULES,
    Cursor,
    Parts,
    Schedule,
    parse_rules,
    parse_schedule,
)
from locokine.scenario.protocol import Dose, LesionPlan, Route, Rule


@dataclass(frozen=True)
class Course:
    """One parsed dosing line, still in the user's terms (names of lesions not resolved, amount not converted)."""

    agent: str
    route: Route
    schedule: Schedule
    amount: Amount | None = None
    per_lesion: bool = False
    volume: float | None = None
    distance: float | None = None
    duration: float = 0.0
    lesions: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    text: str = ""


def parse_course(text: str, place: str, agents: Collection[str]) -> Course:
    """Parse one dosing line.

    Parameters
    ----------
    text
        The line, see the module's docstring.
    place
        Where it was written, for errors.
    agents
        Names of the known agents.

    Returns
    -------
    Course

    Raises
    ------
    InputError
        Pointing at the word that is not understood.
    """
    if not isinstance(text, str) or not text.strip():
        raise InputError(place, "the dosing line is empty", f"write {FORM}")
    cursor = Cursor(text, place)
    agent = cursor.peek()
    if agent not in agents:
        if agent.lower() in RULES:
            raise cursor.error(
                "a line cannot begin with a rule", "put quotes around the whole line: a list in [ ] is cut at commas"
            )
        raise cursor.error(f"unknown agent '{agent}'", suggest(agent, agents))
    cursor.take()
    amount, per_lesion = _amount(cursor)
    route = ROUTES.get(cursor.peek().lower())
    if route is None:
        problem = f"unknown route '{cursor.peek()}'" if cursor.peek() else "a route is expected here"
        if amount is None and cursor.peek():
            problem += " (or a dose without a number)"
        raise cursor.error(problem, suggest(cursor.peek().lower(), [name for name in ROUTES if "." not in name]))
    cursor.take()
    parts: Parts = {}
    while cursor.peek().lower() in MODIFIERS:
        at = cursor.position
        new = MODIFIERS[cursor.take().lower()](cursor)
        if parts.keys() & new.keys():
            raise cursor.error("is given twice", "remove one", at)
        parts.update(new)
    schedule = parse_schedule(cursor)
    rules = parse_rules(cursor)
    course = Course(agent, route, schedule, amount, per_lesion, rules=rules, text=" ".join(text.split()), **parts)
    _check_route(course, place)
    return course


def _amount(cursor: Cursor) -> tuple[Amount | None, bool]:
    if not NUMERIC.match(cursor.peek()):
        return None, False
    at = cursor.position
    amount = parse_amount(cursor.quantity_text(f"a dose such as {DOSE_EXAMPLES}"), f"{cursor.place}, word {at + 1}")
    return amount, cursor.accept("per", "lesion")


def _check_route(course: Course, place: str) -> None:
    local = course.route in LOCAL_ROUTES
    if course.lesions and not local:
        raise InputError(
            place, f"an {course.route} dose is not given into a lesion", "remove 'into …', or inject intratumoural"
        )
    if course.per_lesion and not local:
        raise InputError(place, f"an {course.route} dose cannot be 'per lesion'", "remove 'per lesion'")
    if course.distance is not None and course.route != "peritumoural":
        raise InputError(place, "'at DISTANCE' belongs to peritumoural doses", "remove it, or inject peritumoural")


def expand_course(
    course: Course,
    index: int,
    lesions: Sequence[LesionPlan],
    groups: Mapping[str, tuple[str, ...]],
    units: AgentUnits,
    follow_up: float,
    place: str,
) -> tuple[tuple[Dose, ...], tuple[Rule, ...]]:
    """Turn a parsed line into doses (in order of time) and rules.

    Parameters
    ----------
    course, index
        The line, and its place among the lines of the arm.
    lesions
        All lesions of the host.
    groups
        Name used by the scenario → names of lesions (a lesion with `count: 10` is a group of ten).
    units
        Of the agent.
    follow_up
        Length of the experiment, days; open-ended schedules run to its end.
    place
        For errors.

    Raises
    ------
    InputError
        If the amount cannot be converted, a lesion is unknown, not yet there or not of a kind that can be injected,
        or a dose falls after the end of follow-up.
    """
    amount = _fmol(course, units, place)
    end = follow_up * DAY
    times = course.schedule.times(end)
    if len(times) > MAX_DOSES:
        raise InputError(place, f"more than {MAX_DOSES} doses", "shorten the schedule")
    if not times or times[-1] >= end:
        late = f"a dose on day {times[-1] / DAY:g}" if times else "the course"
        raise InputError(
            place,
            f"{late} is not before the end of follow-up (day {follow_up:g})",
            "lengthen follow-up or shorten the schedule",
        )
    targets = _targets(course, lesions, groups, place)
    optional: dict[str, Any] = {"duration": course.duration, "per_lesion": course.per_lesion, "course": index}
    if course.volume is not None:
        optional["volume"] = course.volume
    if course.distance is not None:
        optional["distance"] = course.distance
    if course.amount is not None and course.amount.per_kg:
        optional["amount_per_kg"] = amount
        amount = math.nan
    doses = tuple(
        Dose(time, course.agent, amount, course.route, _present(course, targets, time, place), **optional)
        for time in times
    )
    return doses, tuple(replace(rule, course=index) for rule in course.rules)


def _fmol(course: Course, units: AgentUnits, place: str) -> float:
    if course.amount is not None:
        return units.to_fmol(course.amount, course.agent, place)
    if units.inert:
        return 0.0
    raise InputError(place, f"the dose of {course.agent} is missing", f"write it after the name, e.g. {DOSE_EXAMPLES}")


def _targets(
    course: Course, lesions: Sequence[LesionPlan], groups: Mapping[str, tuple[str, ...]], place: str
) -> tuple[LesionPlan, ...]:
    if course.route not in LOCAL_ROUTES:
        return ()
    if not course.lesions:
        solid = tuple(plan for plan in lesions if plan.site != "peritoneum")
        if not solid:
            raise InputError(
                place,
                f"there is no solid lesion for an {course.route} dose",
                "write intraperitoneal for a fluid cavity",
            )
        return solid
    by_name = {plan.name: plan for plan in lesions}
    names: list[str] = []
    for name in course.lesions:
        if name not in groups and name not in by_name:
            raise InputError(place, f"unknown lesion '{name}'", suggest(name, dict.fromkeys((*groups, *by_name))))
        names += [member for member in groups.get(name, (name,)) if member not in names]
    for name in names:
        if by_name[name].site == "peritoneum":
            raise InputError(place, f"the lesion '{name}' is a fluid cavity", "write intraperitoneal, without 'into'")
    return tuple(by_name[name] for name in names)


def _present(course: Course, targets: tuple[LesionPlan, ...], time: float, place: str) -> tuple[str, ...]:
    """Return the names of the targets that exist at `time`; all must if they are named, else at least one."""
    if course.route not in LOCAL_ROUTES:
        return ()
    absent = [plan for plan in targets if plan.day * DAY > time]
    if absent and (course.lesions or len(absent) == len(targets)):
        first = absent[0]
        raise InputError(
            place,
            f"the dose on day {time / DAY:g} comes before the lesion '{first.name}' exists (day {first.day:g})",
            "dose later, or let the lesion begin earlier",
        )
    return tuple(plan.name for plan in targets if plan.day * DAY <= time)
