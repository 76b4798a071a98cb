"""When the doses of a line fall: the schedules of the dosing language, and the words they are written in."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from locokine.parameters.reading import suggest
from locokine.scenario.words import Cursor

MAX_DOSES = 20_000
DAY = 24.0
WEEK = 168.0
_DAY = re.compile(r"(\d{1,5}(?:\.\d+)?)$")
_DAY_RANGE = re.compile(r"(\d{1,5})[-–](\d{1,5})$")
_WHOLE = re.compile(r"\d{1,5}$")
_DIGIT = re.compile(r"\d")
_EVERY_HOURS = re.compile(r"q(\d{1,4}(?:\.\d+)?)h$", re.IGNORECASE)
_RANGE = re.compile(r"\d+(?:\.\d+)?[-–]\d+(?:\.\d+)?$")
_TIMES = re.compile(r"[x×](\d{1,30})$", re.IGNORECASE)
_DAY_NAME = (
    r"(?:(mon)(?:day)?|(tue)(?:s|sday)?|(wed)(?:nesday)?|(thu)(?:r|rs|rsday)?|(fri)(?:day)?|(sat)(?:urday)?|(sun)(?:day)?)s?"
)
_WEEKDAY = re.compile(rf"{_DAY_NAME}(?:[-–]{_DAY_NAME})?$", re.IGNORECASE)
DAYS_OF_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
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
    cycle, cycles
        All of it is repeated every `cycle` h, `cycles` times in all (None: to the end of follow-up); 0 for once.
    """

    start: float
    period: float
    pattern: tuple[float, ...]
    count: int | None = None
    span: float | None = None
    cycle: float = 0.0
    cycles: int | None = None

    @property
    def open_ended(self) -> bool:
        """Whether only the end of follow-up or a rule ends it."""
        endless = self.period > 0 and self.count is None and self.span is None
        return endless or (self.cycle > 0.0 and self.cycles is None)

    @property
    def length(self) -> float:
        """Time that one cycle treats, h: whole days for a list of days, whole periods for a number of doses."""
        if self.span is not None:
            return self.span
        if self.period <= 0.0:
            return self.pattern[-1] - self.pattern[0] + DAY
        return math.ceil((self.count or 0) / len(self.pattern)) * self.period

    def times(self, end: float) -> list[float]:
        """Return all dose times, h; an open-ended schedule stops before `end`."""
        first = self._cycle_times(end)
        if self.cycle <= 0.0:
            return first
        found: list[float] = []
        for index in range(MAX_DOSES + 1 if self.cycles is None else self.cycles):
            made = [time + index * self.cycle for time in first]
            if self.cycles is None:
                made = [time for time in made if time < end - 1e-9]
            found += made
            if not made or len(found) > MAX_DOSES:
                break
        return found

    def _cycle_times(self, end: float) -> list[float]:
        """Times of the first cycle."""
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


def _day(cursor: Cursor) -> float:
    """Read the number of a day."""
    match = _DAY.match(cursor.peek())
    if match is None:
        _whole(cursor, cursor.position, "days 10.5, 11.5, 12.5")
        raise cursor.error("a day is expected here", "write its number, e.g. day 3")
    cursor.take()
    return float(match.group(1))


def _whole(cursor: Cursor, at: int, instead: str) -> None:
    """Refuse a range of days with fractions at word `at`."""
    if at < len(cursor.words) and _RANGE.match(cursor.words[at]) and not _DAY_RANGE.match(cursor.words[at]):
        raise cursor.error("a range is of whole days", f"write days 10-14, or {instead}", at)


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
        if word == "days":
            _whole(cursor, cursor.position + 1, "from day 10.5 for 4 days")
        if word == "days" and _is_range(cursor, 1):
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


def _count(cursor: Cursor, noun: str = "doses") -> int:
    """Read `x5`, `x 5` and `x5 doses`."""
    word = cursor.take()
    if word.lower() in ("x", "×"):
        word += cursor.take()
    match = _TIMES.match(word)
    if match is None or not 0 < int(match.group(1)) <= MAX_DOSES:
        raise cursor.error(f"the number of doses must be 1 to {MAX_DOSES}", "write e.g. x14", cursor.position - 1)
    _ = cursor.accept(noun) or cursor.accept(noun.removesuffix("s"))
    return int(match.group(1))


def _is_range(cursor: Cursor, ahead: int = 0) -> bool:
    """Whether `10-14` or `10 to 14` comes."""
    if _DAY_RANGE.match(cursor.peek(ahead)):
        return True
    ends = (cursor.peek(ahead), cursor.peek(ahead + 2))
    return cursor.peek(ahead + 1).lower() == "to" and all(_WHOLE.match(word) for word in ends)


def _day_range(cursor: Cursor) -> tuple[int, int]:
    match = _DAY_RANGE.match(cursor.peek())
    first, last = (int(match.group(1)), int(match.group(2))) if match else (int(cursor.peek()), int(cursor.peek(2)))
    if last < first:
        raise cursor.error("the last day is before the first", f"write {last}-{first}")
    cursor.position += 1 if match else 3
    return first, last


def _another(cursor: Cursor, pattern: re.Pattern[str]) -> bool:
    """Step over `,`, `and` or `, and` if another item follows it."""
    words = 2 if cursor.peek() == "," and cursor.peek(1).lower() == "and" else 1
    if cursor.peek().lower() not in (",", "and") or not pattern.match(cursor.peek(words)):
        return False
    cursor.position += words
    return True


def _repeat(cursor: Cursor, period: float, pattern: tuple[float, ...]) -> Schedule:
    limits = _limits(cursor)
    return Schedule(limits.start or 0.0, period, pattern, limits.count, limits.span)


def _daily(cursor: Cursor) -> Schedule:
    return _repeat(cursor, DAY, (0.0,))


def _days(cursor: Cursor) -> Schedule:
    """`days 1, 4, 9`, `days 1, 4 and 9`, `days 10-14` and `days 10 to 14` (every one of them)."""
    days: set[float] = set()
    while True:
        if _is_range(cursor):
            first, last = _day_range(cursor)
            new: Iterable[float] = range(first, last + 1)
        else:
            new = (_day(cursor),)
        for day in new:
            if day in days:
                raise cursor.error(f"day {day:g} is given twice", "name each day once", cursor.position - 1)
            days.add(float(day))
        if _another(cursor, _DIGIT):
            continue
        return Schedule(0.0, 0.0, tuple(day * DAY for day in sorted(days)))


def _single_day(cursor: Cursor) -> Schedule:
    day = _day(cursor)
    if cursor.peek().lower() in (",", "and", "to") and _DIGIT.match(cursor.peek(1)):
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
        made, unit = _repeat(cursor, WEEK, tuple(day * DAY for day in _WEEK_DAYS[number])), "week"
    elif cursor.accept("daily") or cursor.accept("a", "day") or cursor.accept("per", "day"):
        made, unit = _repeat(cursor, DAY, tuple(index * DAY / number for index in range(number))), "day"
    else:
        raise cursor.error("'weekly' or 'daily' is expected here", "write e.g. three times weekly")
    count, said = made.count, {word.lower() for word in cursor.words[at:cursor.position]}
    if number > 1 and count is not None and not said & {"dose", "doses"}:
        remedy = f"write x{count} doses, or for {count} {unit}{'s' if count > 1 else ''}"
        raise cursor.error(f"x{count} may mean {count} doses or {count} {unit}s", remedy, at)
    return made


def _on(cursor: Cursor) -> Schedule:
    """`on Mon, Wed, Fri`; day 0 is a Monday."""
    if not _WEEKDAY.match(cursor.peek()):
        raise cursor.error("a day of the week is expected here", "write e.g. on Mon, Wed, Fri or on Mon-Fri")
    cursor.take()
    return _weekdays(cursor)


def _weekdays(cursor: Cursor) -> Schedule:
    """`Mon, Wed, Fri`, `Mon-Fri`, `weekdays`, with limits; the pattern is that of the weeks that begin on day 0."""
    days: list[int] = []
    while True:
        word = cursor.peek(-1).lower()
        match = _WEEKDAY.match("mon-fri" if word == "weekdays" else word)
        assert match is not None
        named = [index % 7 for index, name in enumerate(match.groups()) if name]
        first, last = named[0], named[-1]
        for day in (*range(first, last + 1),) if last >= first else (*range(first, 7), *range(last + 1)):
            if day in days:
                raise cursor.error("a day of the week is given twice", "name each once", cursor.position - 1)
            days.append(day)
        if _another(cursor, _WEEKDAY):
            cursor.take()
            continue
        made = _repeat(cursor, WEEK, ())
        return replace(made, pattern=tuple(sorted((day * DAY - made.start) % WEEK for day in days)))


SCHEDULES: dict[str, Callable[[Cursor], Schedule]] = {
    "on": _on,
    **dict.fromkeys(("weekdays", *DAYS_OF_WEEK), _weekdays),
    "daily": _daily,
    "day": _single_day,
    "days": _days,
    "every": _every,
    "weekly": _weekly,
    **dict.fromkeys((*_COUNTS, *"1234567"), _times),
}
"""First word of a schedule → parser of what follows it; `q8h` words are matched by pattern."""


def _parser(word: str) -> Callable[[Cursor], Schedule] | None:
    """What reads the schedule that a word begins, or None."""
    parser = _every_hours if _EVERY_HOURS.match(word) else SCHEDULES.get(word)
    return _weekdays if parser is None and _WEEKDAY.match(word) else parser


def begins_schedule(word: str) -> bool:
    """Whether a word (in lower case) can begin a schedule."""
    return _parser(word) is not None


def parse_schedule(cursor: Cursor, others: Iterable[str] = ()) -> Schedule:
    """Read a schedule; `others` are words that could stand in its place, for the hint."""
    word = cursor.peek().lower()
    parser = _parser(word)
    if parser is None:
        known = [name for name in SCHEDULES if name.isalpha()] + ["q8h", *others]
        hint = suggest(word, known) if word else ""
        example = "e.g. daily days 10-14, day 3, q8h x14 from day 0, three times weekly"
        problem = "a schedule is expected here" if not word else "is neither a schedule nor in, at, over, into"
        raise cursor.error(problem, f"{hint} {example}" if hint.startswith("did") else example)
    cursor.take()
    return _cycled(cursor, parser(cursor))


def _cycled(cursor: Cursor, schedule: Schedule) -> Schedule:
    """Read `repeated every 21 days [x3]` or `then 9 days rest [x3]` after a schedule, if they follow."""
    at = cursor.position
    rest = cursor.accept("then")
    if not rest and not cursor.accept("repeated", "every"):
        return schedule
    if schedule.open_ended:
        raise cursor.error("a cycle of no stated length cannot be repeated", "say how long it is, e.g. daily x5", at)
    time = cursor.quantity("time", "9 days" if rest else "21 days", positive=True)
    if rest and not cursor.accept("rest"):
        raise cursor.error("'rest' is expected here", "write e.g. daily x5 then 9 days rest x3")
    cycle = schedule.length + time if rest else time
    cycles = None
    if _TIMES.match(cursor.peek()) or cursor.peek().lower() in ("x", "×"):
        cycles = _count(cursor, "cycles")
    times = schedule.times(0.0)
    if cycle <= times[-1] - times[0]:
        raise cursor.error("the next cycle would begin before this one ends", "lengthen the cycle", at)
    return replace(schedule, cycle=cycle, cycles=cycles)
