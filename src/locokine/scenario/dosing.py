"""The dosing language: one line of a lab's own words → doses and rules.

    AGENT [AMOUNT [per lesion | host | kg | m2]] ROUTE [in VOLUME] [at DISTANCE] [over DURATION]
        [into LESION[, LESION]] [fan of N] SCHEDULE [repeated every PERIOD | then PERIOD rest [xN]][, RULE]...

    amounts     20000 IU · 5000 U[Cetus] · 600000 IU/kg · 1e6 IU/m2 · 1.2 ug · an amount per time is an infusion:
                1e6 IU/m2/day days 0-4 (into the blood unless a route is said, each day from its beginning to its end)
                3000 IU/kg/h over 8 h day 2
    routes      intratumoural [fan of 5] · peritumoural [fan of 12] · intravenous · intra-arterial · subcutaneous
                intraperitoneal · intracavitary · intrapleural · intravesical
    schedules   daily days 10-14 · day 3 · days 1, 4, 9 · daily x5 from day 10 · every 2 days days 10-20
                q8h x14 from day 0 · q8h days 10-14 · weekly · twice weekly · three times weekly from day 3 for 4 weeks
                on Mon, Wed, Fri for 3 weeks · Mon-Fri days 0-13 (day 0 is a Monday)
    cycles      q8h x14 repeated every 14 days x2 · daily x5 then 9 days rest x3 (without xN: to the end of follow-up)
    rules       until complete response · hold while hypotension >= 3 · stop at any >= 4 · reduce to 50 % at fever >= 3

A dose per m² is turned into one per kg with the body surface of a host of median weight, so that within an arm it
follows weight, not its power 2/3. Every element of the grammar is a row of a table in `scenario.grammar` or
`scenario.schedules`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from locokine.errors import InputError
from locokine.parameters.reading import suggest
from locokine.scenario.amounts import DOSE_EXAMPLES, AgentUnits, Amount, parse_amount
from locokine.scenario.grammar import (
    CAVITIES,
    DAY,
    FORM,
    INTO_CAVITY,
    LOCAL_ROUTES,
    MAX_DOSES,
    MODIFIERS,
    NOT_SIMULATED,
    NUMERIC,
    ROUTES,
    RULES,
    SITE_OF_ROUTE,
    Cursor,
    Parts,
    Schedule,
    begins_schedule,
    parse_rules,
    parse_schedule,
)
from locokine.scenario.protocol import Dose, LesionPlan, Route, Rule

_EACH = re.compile(r"/(lesion|host)(?=/|$)", re.IGNORECASE)


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
    points: int = 1
    cavity: bool = False
    cavity_site: str = ""
    rules: tuple[Rule, ...] = ()
    text: str = ""


NOT_YET = Schedule(0.0, 0.0, ())
"""In place of a schedule that is still to be read."""
INFUSED: Route = "intravenous"
"""Route of an amount per time that states none."""


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
    word = cursor.peek().lower()
    if amount is not None and amount.rate and _may_follow_a_route(word):  # an infusion, hence into the blood
        return _finished(cursor, Course(agent, INFUSED, NOT_YET, amount, per_lesion), "", text, place)
    if word in NOT_SIMULATED:
        raise cursor.error(f"the route {word} is not simulated yet", NOT_SIMULATED[word])
    route = ROUTES.get(word)
    if route is None:
        problem = f"unknown route '{cursor.peek()}'" if cursor.peek() else "a route is expected here"
        if amount is not None and _may_follow_a_route(word):
            problem = f"a route is expected before '{cursor.peek()}'"
        if amount is None and cursor.peek():
            problem += " (or a dose without a number)"
        whole = [name for name in ROUTES if "." not in name and len(name) > 2]
        raise cursor.error(problem, suggest(cursor.peek().lower(), whole))
    cursor.take()
    return _finished(cursor, Course(agent, route, NOT_YET, amount, per_lesion), word, text, place)


def _may_follow_a_route(word: str) -> bool:
    """Whether a word begins what stands behind the route: a modifier or a schedule."""
    return word in MODIFIERS or begins_schedule(word)


def _finished(cursor: Cursor, begun: Course, word: str, text: str, place: str) -> Course:
    """Read what follows the route (`word`): modifiers, schedule and rules."""
    parts: Parts = {}
    while cursor.peek().lower() in MODIFIERS:
        at = cursor.position
        new = MODIFIERS[cursor.take().lower()](cursor)
        if parts.keys() & new.keys():
            raise cursor.error("is given twice", "remove one", at)
        parts.update(new)
    schedule = parse_schedule(cursor, MODIFIERS)
    rules = parse_rules(cursor)
    parts |= {"schedule": schedule, "rules": rules, "text": " ".join(text.split()), "cavity": word in INTO_CAVITY,
              "cavity_site": SITE_OF_ROUTE.get(word, "")}
    course = replace(begun, **parts)
    _check_route(course, place)
    return course


def _amount(cursor: Cursor) -> tuple[Amount | None, bool]:
    if not NUMERIC.match(cursor.peek()):
        return None, False
    at = cursor.position
    text = cursor.quantity_text(f"a dose such as {DOSE_EXAMPLES}")
    place = f"{cursor.place}, word {at + 1}"
    target = ""
    match = _EACH.search(text)
    if match is not None:  # 20000 IU/lesion
        text, target = text[: match.start()] + text[match.end():], match.group(1).lower()
    while cursor.accept("per"):
        what = cursor.peek().lower()
        if what not in ("lesion", "host", "kg", "m2", "m²"):
            raise cursor.error("what the dose is for is expected here", "write per lesion, per host, per kg or per m2")
        if what not in ("lesion", "host"):
            text += f"/{what}"
        elif target:
            raise cursor.error("what the dose is for is said twice", "write per lesion or per host, once")
        else:
            target = what
        cursor.take()
    return parse_amount(text, place), target == "lesion"


def _check_route(course: Course, place: str) -> None:
    local = course.route in LOCAL_ROUTES
    if course.lesions and not (local or course.cavity):
        raise InputError(
            place, f"an {course.route} dose is not given into a lesion", "remove 'into …', or inject intratumoural"
        )
    if course.per_lesion and not local:
        raise InputError(place, f"an {course.route} dose cannot be 'per lesion'", "remove 'per lesion'")
    if course.distance is not None and course.route != "peritumoural":
        raise InputError(place, "'at DISTANCE' belongs to peritumoural doses", "remove it, or inject peritumoural")
    if course.points > 1 and course.route not in ("intratumoural", "peritumoural"):
        remedy = "remove it, or inject intratumoural or peritumoural"
        raise InputError(place, "'fan of N' belongs to injections into or beside a tumour", remedy)


def expand_course(
    course: Course,
    index: int,
    lesions: Sequence[LesionPlan],
    groups: Mapping[str, tuple[str, ...]],
    units: AgentUnits,
    follow_up: float,
    place: str,
    surface: float | None = None,
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
    surface
        Body surface per body mass of the host, m²/kg; None where the host does not say.

    Raises
    ------
    InputError
        If the amount cannot be converted, a lesion is unknown, not yet there or not of a kind that can be injected,
        or a dose falls after the end of follow-up.
    """
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
    if units.particles and course.route in ("intravenous", "intra-arterial"):
        problem = f"'{course.agent}' is made of particles, which are not put into blood"
        raise InputError(place, problem, "give it into tissue: intratumoural, peritumoural, subcutaneous, into a cavity")
    duration = _duration(course, times, place)
    amount = _fmol(course, units, place)
    if course.amount is not None and course.amount.rate:
        amount *= duration
    targets = _targets(course, lesions, groups, place)
    optional: dict[str, Any] = {
        "duration": duration, "per_lesion": course.per_lesion, "course": index, "points": course.points
    }
    if course.volume is not None:
        optional["volume"] = course.volume
    if course.distance is not None:
        optional["distance"] = course.distance
    if course.amount is not None and course.amount.per != "host":
        optional["amount_per_kg"] = amount * _per_kg(course.amount, surface, place)
        amount = math.nan
    route = course.route
    if course.cavity and lesions_in_cavity(lesions)[0].site != "peritoneum":
        route = "intracavitary"
    elif course.cavity:
        route = "intraperitoneal"
    doses = tuple(
        Dose(time, course.agent, amount, route, _present(course, targets, time, place), **optional)
        for time in times
    )
    return doses, tuple(replace(rule, course=index) for rule in course.rules)


def _duration(course: Course, times: Sequence[float], place: str) -> float:
    """Return how long each dose takes, h: an amount per time without `over` runs through the day of the dose."""
    rate = course.amount is not None and course.amount.rate
    duration = course.duration or (DAY if rate else 0.0)
    gap = min((later - time for time, later in pairwise(times)), default=math.inf)
    if duration > gap + 1e-9 * max(1.0, times[-1]):
        problem = f"infusions of {duration:g} h every {gap:g} h would overlap"
        raise InputError(place, problem, f"say how long each one lasts, e.g. over {gap:g} h")
    return duration


def _per_kg(amount: Amount, surface: float | None, place: str) -> float:
    """Return what an amount per kg or m² is multiplied by to be one per kg."""
    if amount.per == "kg":
        return 1.0
    if surface is None:
        remedy = "give the dose per kg, or add to the host's meta e.g. surface: {area: 0.007 m2, weight: 0.02 kg}"
        raise InputError(place, f"'{amount.text}': the body surface of this host is not known", remedy)
    return surface


def _fmol(course: Course, units: AgentUnits, place: str) -> float:
    if course.amount is not None:
        return units.to_fmol(course.amount, course.agent, place)
    if units.inert:
        return 0.0
    raise InputError(place, f"the dose of {course.agent} is missing", f"write it after the name, e.g. {DOSE_EXAMPLES}")


def _targets(
    course: Course, lesions: Sequence[LesionPlan], groups: Mapping[str, tuple[str, ...]], place: str
) -> tuple[LesionPlan, ...]:
    if course.cavity:
        return _cavities(course, lesions, groups, place)
    if course.route not in LOCAL_ROUTES:
        return ()
    if not course.lesions:
        solid = tuple(plan for plan in lesions if plan.site not in CAVITIES and not plan.seeded_by)
        if not solid:
            raise InputError(
                place,
                f"there is no solid lesion for an {course.route} dose",
                "write intraperitoneal for a fluid cavity",
            )
        return solid
    named = _named(course, lesions, groups, place)
    for plan in named:
        if plan.site in CAVITIES:
            raise InputError(
                place, f"the lesion '{plan.name}' is a fluid cavity", "write intraperitoneal, without 'into'"
            )
    return named


def _named(
    course: Course, lesions: Sequence[LesionPlan], groups: Mapping[str, tuple[str, ...]], place: str
) -> tuple[LesionPlan, ...]:
    by_name = {plan.name: plan for plan in lesions}
    names: list[str] = []
    for name in course.lesions:
        if name not in groups and name not in by_name:
            raise InputError(place, f"unknown lesion '{name}'", suggest(name, dict.fromkeys((*groups, *by_name))))
        names += [member for member in groups.get(name, (name,)) if member not in names]
    return tuple(by_name[name] for name in names)


def lesions_in_cavity(lesions: Sequence[LesionPlan]) -> tuple[LesionPlan, ...]:
    """Return the lesions in fluid cavities; all of a host's cavities are of one kind."""
    return tuple(plan for plan in lesions if plan.site in CAVITIES)


def _cavities(
    course: Course, lesions: Sequence[LesionPlan], groups: Mapping[str, tuple[str, ...]], place: str
) -> tuple[LesionPlan, ...]:
    """Return the lesions in a cavity: an intraperitoneal dose goes into all of them."""
    found = lesions_in_cavity(lesions)
    named = _named(course, lesions, groups, place) if course.lesions else found
    for plan in named:
        if plan not in found:
            raise InputError(place, f"the lesion '{plan.name}' is not in a cavity", "inject it intratumoural")
    if not found:
        raise InputError(place, "there is no lesion in a cavity", "write intraperitoneal for a host without one")
    if course.cavity_site and found[0].site != course.cavity_site:
        problem = f"the cavity of '{found[0].name}' is the {found[0].site}, not the {course.cavity_site}"
        raise InputError(place, problem, "write intracavitary for the cavity with the tumour")
    if len(named) < len(found):
        problem = "to inject one of several cavities is not simulated yet"
        raise InputError(place, problem, "leave out 'into …': all cavities share the dose")
    return found


def _present(course: Course, targets: tuple[LesionPlan, ...], time: float, place: str) -> tuple[str, ...]:
    """Return the names of the targets that exist at `time`; all must if they are named, else at least one.

    A dose into a cavity names none: the engine puts it into all cavities, so all of them must be there.
    """
    absent = [plan for plan in targets if plan.day * DAY > time]
    if absent and (course.lesions or course.cavity or len(absent) == len(targets)):
        first = absent[0]
        raise InputError(
            place,
            f"the dose on day {time / DAY:g} comes before the lesion '{first.name}' exists (day {first.day:g})",
            "dose later, or let the lesion begin earlier",
        )
    return () if course.cavity else tuple(plan.name for plan in targets if plan.day * DAY <= time)
