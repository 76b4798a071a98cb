"""The words of the dosing language: a reader of words, and a table each of routes, modifiers, schedules and rules.

To extend the language, add a row to a table and its small parser; nothing else changes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from locokine.errors import InputError
from locokine.parameters.reading import suggest
from locokine.scenario.protocol import Route, Rule
from locokine.units import parse_quantity

FORM = "AGENT AMOUNT ROUTE [in VOLUME] [at DISTANCE] [over DURATION] [into LESION] SCHEDULE[, RULE]"
MAX_DOSES = 20_000
_WORD = re.compile(r">=|≥|,|>|[^\s,>≥]+")
NUMERIC = re.compile(r"[+-]?\.?\d|[+-]?\.?(?:nan|inf|infinity)\b", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(
    r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$|[+-]?\.?(?:nan|inf|infinity)$", re.IGNORECASE
)
_DAY = re.compile(r"(\d{1,5}(?:\.\d+)?)$")
_DAY_RANGE = re.compile(r"(\d{1,5})[-–](\d{1,5})$")
_EVERY_HOURS = re.compile(r"q(\d{1,4}(?:\.\d+)?)h$", re.IGNORECASE)
_TIMES = re.compile(r"[x×](\d{1,6})$", re.IGNORECASE)
DAY = 24.0
WEEK = 168.0

ROUTES: dict[str, Route] = {
    "intratumoural": "intratumoural",
    "intratumoral": "intratumoural",
    "intralesional": "intratumoural",
    "i.t.": "intratumoural",
    "peritumoural": "peritumoural",
    "peritumoral": "peritumoural",
    "perilesional": "peritumoural",
    "p.t.": "peritumoural",
    "intravenous": "intravenous",
    "i.v.": "intravenous",
    "intraperitoneal": "intraperitoneal",
    "i.p.": "intraperitoneal",
    "subcutaneous": "subcutaneous",
    "s.c.": "subcutaneous",
}
"""Words for routes → the route's name in the protocol."""

LOCAL_ROUTES = ("intratumoural", "peritumoural")
TERMS = ("any", "hypotension", "weight_gain", "capillary_leak", "fever", "injection_site_reaction")
"""Toxicity terms that rules may name (graded by `outcome`)."""

_COUNTS = {"once": 1, "twice": 2, "thrice": 3, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}
_WEEK_DAYS = {
    1: (0,),
    2: (0, 3),
    3: (0, 2, 4),
    4: (0, 1, 3, 4),
    5: (0, 1, 2, 3, 4),
    6: (0, 1, 2, 3, 4, 5),
    7: (0, 1, 2, 3, 4, 5, 6),
}


@dataclass(frozen=True)
class Schedule:
    """When the doses of one line are given.

    Attributes
    ----------
    start
        First possible time, h.
    period
        Length of the repeating pattern, h; 0 for a list of times.
    pattern
        Times within the period, h after its start (for a list: after `start`).
    count
        Number of doses, or None.
    span
        Doses are given while time < start + span, h, or None. With neither, to the end of follow-up.
    """

    start: float
    period: float
    pattern: tuple[float, ...]
    count: int | None = None
    span: float | None = None

    @property
    def open_ended(self) -> bool:
        """Whether only the end of follow-up or a rule ends it."""
        return self.period > 0 and self.count is None and self.span is None

    def times(self, end: float) -> list[float]:
        """Return all dose times, h; an open-ended schedule stops before `end`."""
        if self.period <= 0:
            return [self.start + offset for offset in self.pattern]
        limit = end if self.span is None else self.start + self.span
        if self.count is not None and self.span is None:
            limit = math.inf
        found: list[float] = []
        cycle = 0
        while True:
            for offset in self.pattern:
                time = self.start + cycle * self.period + offset
                if time >= limit - 1e-9 or (self.count is not None and len(found) >= self.count):
                    return found
                found.append(time)
                if len(found) > MAX_DOSES:
                    return found
            cycle += 1


# --- words -----------------------------------------------------------------------------------------------------------


@dataclass
class Cursor:
    """Reads a line word by word; its errors name the word."""

    text: str
    place: str
    words: list[str] = field(default_factory=list)
    position: int = 0

    def __post_init__(self) -> None:
        self.words = _WORD.findall(self.text)

    def peek(self, ahead: int = 0) -> str:
        """Return the next word (lower case is the caller's business), or "" at the end."""
        index = self.position + ahead
        return self.words[index] if index < len(self.words) else ""

    def take(self) -> str:
        """Return the next word and step over it."""
        word = self.peek()
        self.position += 1
        return word

    def accept(self, *words: str) -> bool:
        """Step over the given words if they come next."""
        if [self.peek(index).lower() for index in range(len(words))] == list(words):
            self.position += len(words)
            return True
        return False

    def error(self, problem: str, remedy: str, at: int | None = None) -> InputError:
        """Return an error that points at word `at` (default: the next one)."""
        index = self.position if at is None else at
        if index < len(self.words):
            where = f"{self.place}, word {index + 1} '{self.words[index]}'"
        else:
            where = f"{self.place}, at the end of '{_shorten(self.text)}'"
        return InputError(where, problem, remedy)

    def quantity(self, dimension: str, example: str, *, positive: bool = False) -> float:
        """Read a number and its unit (`0.1 mL` or `0.1mL`) of a dimension, in internal units."""
        at = self.position
        text = self.quantity_text(f"a {dimension} such as {example}")
        place = f"{self.place}, word {at + 1}"
        return parse_quantity(text, dimension, place, positive=positive)

    def quantity_text(self, wanted: str) -> str:
        """Step over a number and its unit and return them as text."""
        if not NUMERIC.match(self.peek()):
            raise self.error(f"{wanted} is expected here", "write a number with its unit")
        first = self.take()
        following = self.peek()
        if _PLAIN_NUMBER.match(first) and following and following != "," and not _ends_quantity(following):
            return f"{first} {self.take()}"
        if _PLAIN_NUMBER.match(first) and following == "," and re.match(r"\d{3}\b", self.peek(1)):
            raise self.error("the number has a thousands separator", "write 20000, not 20,000", self.position - 1)
        return first


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 50 else "…" + line[-49:]


def _ends_quantity(word: str) -> bool:
    """Whether a word cannot be the unit of the number before it (`days` can)."""
    return _is_keyword(word) and word.lower() not in ("day", "days")


def _is_keyword(word: str) -> bool:
    lowered = word.lower()
    return (
        lowered in ROUTES or lowered in MODIFIERS or lowered in SCHEDULES or lowered in RULES or lowered in ("per", "x")
    )


def _day(cursor: Cursor) -> float:
    """Read the number of a day."""
    match = _DAY.match(cursor.peek())
    if match is None:
        raise cursor.error("a day is expected here", "write its number, e.g. day 3")
    cursor.take()
    return float(match.group(1))


# --- modifiers -------------------------------------------------------------------------------------------------------

Parts = dict[str, Any]


def _in(cursor: Cursor) -> Parts:
    return {"volume": cursor.quantity("volume", "0.1 mL")}


def _at(cursor: Cursor) -> Parts:
    return {"distance": cursor.quantity("length", "2 mm")}


def _over(cursor: Cursor) -> Parts:
    return {"duration": cursor.quantity("time", "24 h")}


def _into(cursor: Cursor) -> Parts:
    names: list[str] = []
    while True:
        word = cursor.peek()
        if not word or word in (",", ">", ">=") or _is_keyword(word):
            raise cursor.error("the name of a lesion is expected here", "write e.g. into flank, axilla")
        if word in names:
            raise cursor.error(f"the lesion '{word}' is named twice", "name each lesion once")
        names.append(cursor.take())
        if cursor.peek() != ",":
            return {"lesions": tuple(names)}
        cursor.take()


MODIFIERS: dict[str, Callable[[Cursor], Parts]] = {"in": _in, "at": _at, "over": _over, "into": _into}
"""First word of a modifier → parser of what follows it."""


# --- schedules -------------------------------------------------------------------------------------------------------


@dataclass
class _Limits:
    """What may follow the frequency: `days A-B`, or `from day N`, and one of `xN` and `for N weeks`."""

    start: float | None = None
    count: int | None = None
    span: float | None = None
    days: bool = False


def _limits(cursor: Cursor) -> _Limits:
    limits = _Limits()
    while True:
        word = cursor.peek().lower()
        if word == "days" and _DAY_RANGE.match(cursor.peek(1)):
            _once(cursor, limits.start is None and limits.span is None and limits.count is None)
            cursor.take()
            first, last = _day_range(cursor)
            limits.start, limits.span, limits.days = first * DAY, (last - first + 1) * DAY, True
        elif word == "from":
            _once(cursor, limits.start is None)
            cursor.take()
            if not cursor.accept("day"):
                raise cursor.error("'day' is expected here", "write e.g. from day 10")
            limits.start = _day(cursor) * DAY
        elif word == "for":
            _once(cursor, limits.span is None and limits.count is None)
            cursor.take()
            limits.span = cursor.quantity("time", "4 weeks", positive=True)
        elif _TIMES.match(word) or word in ("x", "×"):
            _once(cursor, limits.span is None and limits.count is None)
            limits.count = _count(cursor)
        else:
            return limits


def _once(cursor: Cursor, free: bool) -> None:
    if not free:
        raise cursor.error(
            "the start or length of the course is given twice",
            "use days 10-14, or from day 10 with one of x5 and for 5 days",
        )


def _count(cursor: Cursor) -> int:
    word = cursor.take()
    if word.lower() in ("x", "×"):
        word += cursor.take()
    match = _TIMES.match(word)
    if match is None or not 0 < int(match.group(1)) <= MAX_DOSES:
        raise cursor.error(f"the number of doses must be 1 to {MAX_DOSES}", "write e.g. x14", cursor.position - 1)
    return int(match.group(1))


def _day_range(cursor: Cursor) -> tuple[int, int]:
    match = _DAY_RANGE.match(cursor.peek())
    assert match is not None
    first, last = int(match.group(1)), int(match.group(2))
    if last < first:
        raise cursor.error("the last day is before the first", f"write {last}-{first}")
    cursor.take()
    return first, last


def _repeat(cursor: Cursor, period: float, pattern: tuple[float, ...]) -> Schedule:
    limits = _limits(cursor)
    return Schedule(limits.start or 0.0, period, pattern, limits.count, limits.span)


def _daily(cursor: Cursor) -> Schedule:
    return _repeat(cursor, DAY, (0.0,))


def _days(cursor: Cursor) -> Schedule:
    """`days 1, 4, 9` and `days 10-14` (every one of them)."""
    days: list[float] = []
    while True:
        if _DAY_RANGE.match(cursor.peek()):
            first, last = _day_range(cursor)
            new: Iterable[float] = range(first, last + 1)
        else:
            new = (_day(cursor),)
        for day in new:
            if day in days:
                raise cursor.error(f"day {day:g} is given twice", "name each day once", cursor.position - 1)
            days.append(float(day))
        if cursor.peek() == "," and re.match(r"\d", cursor.peek(1)):
            cursor.take()
            continue
        return Schedule(0.0, 0.0, tuple(day * DAY for day in sorted(days)))


def _single_day(cursor: Cursor) -> Schedule:
    day = _day(cursor)
    if cursor.peek() == "," and re.match(r"\d", cursor.peek(1)):
        raise cursor.error("several days need 'days'", "write e.g. days 1, 4, 9", cursor.position - 2)
    return Schedule(0.0, 0.0, (day * DAY,))


def _every(cursor: Cursor) -> Schedule:
    """`every 2 days`, `every 8 hours`, `every other day`, `every day`, `every week`."""
    if cursor.accept("other", "day"):
        return _repeat(cursor, 2 * DAY, (0.0,))
    if cursor.accept("day"):
        return _repeat(cursor, DAY, (0.0,))
    if cursor.accept("week"):
        return _repeat(cursor, WEEK, (0.0,))
    at = cursor.position
    period = cursor.quantity("time", "2 days", positive=True)
    return _repeat(cursor, _checked_period(cursor, period, at), (0.0,))


def _every_hours(cursor: Cursor) -> Schedule:
    at = cursor.position - 1
    match = _EVERY_HOURS.match(cursor.peek(-1))
    assert match is not None
    return _repeat(cursor, _checked_period(cursor, float(match.group(1)), at), (0.0,))


def _checked_period(cursor: Cursor, period: float, at: int) -> float:
    if not 0.25 <= period <= 5000.0:
        raise cursor.error("the interval must be between 15 min and 200 days", "write e.g. q8h or every 2 days", at)
    return period


def _weekly(cursor: Cursor) -> Schedule:
    return _repeat(cursor, WEEK, (0.0,))


def _times(cursor: Cursor) -> Schedule:
    """`twice weekly`, `three times weekly`, `three times daily`, `3 times a week`."""
    at = cursor.position - 1
    word = cursor.peek(-1).lower()
    number = _COUNTS.get(word) or int(word)
    times = cursor.accept("times")
    if not times and word not in ("once", "twice", "thrice"):
        raise cursor.error("'times' is expected here", "write e.g. three times weekly")
    if not 1 <= number <= 7:
        raise cursor.error("once to seven times is understood", "write every N hours or qNh instead", at)
    if cursor.accept("weekly") or cursor.accept("a", "week") or cursor.accept("per", "week"):
        return _repeat(cursor, WEEK, tuple(day * DAY for day in _WEEK_DAYS[number]))
    if cursor.accept("daily") or cursor.accept("a", "day") or cursor.accept("per", "day"):
        return _repeat(cursor, DAY, tuple(index * DAY / number for index in range(number)))
    raise cursor.error("'weekly' or 'daily' is expected here", "write e.g. three times weekly")


SCHEDULES: dict[str, Callable[[Cursor], Schedule]] = {
    "daily": _daily,
    "day": _single_day,
    "days": _days,
    "every": _every,
    "weekly": _weekly,
    **dict.fromkeys((*_COUNTS, *"1234567"), _times),
}
"""First word of a schedule → parser of what follows it; `q8h` words are matched by pattern."""


def parse_schedule(cursor: Cursor) -> Schedule:
    word = cursor.peek().lower()
    parser = _every_hours if _EVERY_HOURS.match(word) else SCHEDULES.get(word)
    if parser is None:
        known = [name for name in SCHEDULES if name.isalpha()] + ["q8h", *MODIFIERS]
        hint = suggest(word, known) if word else ""
        example = "e.g. daily days 10-14, day 3, q8h x14 from day 0, three times weekly"
        problem = "a schedule is expected here" if not word else "is neither a schedule nor in, at, over, into"
        raise cursor.error(problem, f"{hint} {example}" if hint.startswith("did") else example)
    cursor.take()
    return parser(cursor)


# --- rules -----------------------------------------------------------------------------------------------------------


def _until(cursor: Cursor) -> Rule:
    if not cursor.accept("complete", "response"):
        raise cursor.error("'complete response' is expected here", "write until complete response")
    return Rule("until", "complete_response")


def _toxicity(cursor: Cursor, kind: str) -> tuple[str, int]:
    words: list[str] = []
    at = cursor.position
    while cursor.peek() and cursor.peek() not in (">=", "≥", ",", ">"):
        words.append(cursor.take().lower())
    term = "_".join(words).replace("-", "_")
    if term not in TERMS:
        raise cursor.error("is not a toxicity that rules can name", suggest(term, TERMS), at)
    if cursor.peek() not in (">=", "≥"):
        raise cursor.error("'>=' and a grade are expected here", f"write e.g. {kind} {' '.join(words)} >= 3")
    cursor.take()
    cursor.accept("grade")
    if not re.fullmatch(r"[1-5]", cursor.peek()):
        raise cursor.error("a grade from 1 to 5 is expected here", f"write e.g. {kind} {' '.join(words)} >= 3")
    return term, int(cursor.take())


def _hold(cursor: Cursor) -> Rule:
    if not cursor.accept("while"):
        raise cursor.error("'while' is expected here", "write e.g. hold while hypotension >= 3")
    return Rule("hold", *_toxicity(cursor, "hold while"))


def _stop(cursor: Cursor) -> Rule:
    if not cursor.accept("at"):
        raise cursor.error("'at' is expected here", "write e.g. stop at any >= 4")
    return Rule("stop", *_toxicity(cursor, "stop at"))


RULES: dict[str, Callable[[Cursor], Rule]] = {"until": _until, "hold": _hold, "stop": _stop}
"""First word of a rule → parser of what follows it."""


def parse_rules(cursor: Cursor) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    while cursor.peek():
        comma = cursor.accept(",")
        word = cursor.peek().lower()
        if word not in RULES:
            if not word and comma:
                raise cursor.error(
                    "a rule is expected after the comma", "remove the comma, or add e.g. until complete response"
                )
            raise cursor.error(
                "is not understood after the schedule",
                "rules are until complete response, hold while TERM >= GRADE, stop at TERM >= GRADE; "
                f"the order is {FORM}",
            )
        cursor.take()
        rule = RULES[word](cursor)
        if rule in rules:
            raise cursor.error("the same rule is given twice", "remove one", cursor.position - 1)
        rules.append(rule)
    return tuple(rules)
