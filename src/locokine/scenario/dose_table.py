"""Dose tables as NONMEM reads them, out of an experiment and into the dosing language.

    ID,TIME,AMT,RATE,CMT,EVID,II,ADDL            read by any pharmacometric program
    ARM,AGENT,UNIT,ROUTE,LESION,VOLUME,…         what else a dose is; NONMEM drops them (`$INPUT … ARM=DROP`)

TIME and II are in h after day 0, AMT in UNIT, RATE in UNIT/h (0 is a bolus), ID is the number of the arm. Radiotherapy and
resections are other events (EVID 2, AMT 0), which programs for pharmacokinetics pass over: AGENT says which, SIZE and UNIT
how much (Gy; cells or a share that are left). A table has no rules ("until complete response"): they are lost on the way out.

A table comes in as dosing lines, one a record, so that an experiment stays readable and complete in itself. In a scenario
the line `table FILE [id N] [agent NAME] [unit UNIT]` stands for them.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from locokine.errors import InputError
from locokine.parameters.reading import read_file, suggest
from locokine.scenario.acts import ACTS
from locokine.scenario.amounts import AgentUnits
from locokine.scenario.experiment import Experiment
from locokine.scenario.grammar import DAY, INTO_CAVITY, MAX_DOSES, ROUTES
from locokine.scenario.protocol import Act, Dose

COLUMNS = ("ID", "TIME", "AMT", "RATE", "CMT", "EVID", "II", "ADDL")
"""Columns with NONMEM's own meaning."""
EXTRA = ("ARM", "AGENT", "UNIT", "ROUTE", "LESION", "VOLUME", "DISTANCE", "DURATION", "PER_LESION", "POINTS", "SIZE")
"""What else is needed to give the same doses again: text, mm³, mm, h, 0 or 1, number, size of an act."""
COMPARTMENTS = {1: "intravenous", 2: "subcutaneous", 3: "intraperitoneal", 4: "intracavitary"}
"""CMT of routes that aim at no lesion; lesion i (from 1, in the order of the scenario) is one of the next three plus i."""
LESION_COMPARTMENTS = {1000: "intratumoural", 2000: "peritumoural", 3000: "intra-arterial"}
"""CMT 1000, 2000 and 3000 alone mean the lesions named in LESION, or all."""
CALENDAR = ("DATE", "DAT1", "DAT2", "DAT3")
"""NONMEM's columns of calendar days, which shift TIME."""
MAX_ROWS = 100_000
_LINE = re.compile(r"table\s+(?P<file>.+?)(?P<options>(?:\s+(?:id|agent|unit)\s+\S+)*)\s*$")
_MISSING = ("", ".")
_SAME = 1e-9
"""h within which two times are one."""
_AGREE = 1e-3
"""Relative difference between AMT/RATE and DURATION up to which they are one number that was rounded."""


# --- out -------------------------------------------------------------------------------------------------------------


def write_table(experiment: Experiment) -> str:
    """Return the doses of all arms as a table; equally spaced doses become one record (II, ADDL).

    Fractions of radiotherapy and resections are records of their own. Untreated arms have none. Doses per m² are written per kg.
    """
    names = [plan.name for plan in experiment.protocol.lesions]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow((*COLUMNS, *EXTRA))
    for number, arm in enumerate(experiment.protocol.arms, 1):
        made = [
            (dose.time, _row(dose, interval, more, number, arm.name, names, experiment.agent_units(dose.agent)))
            for dose, interval, more in _folded(arm.doses)
        ]
        made += [(act.time, _act_row(act, number, arm.name)) for act in arm.acts]
        writer.writerows(row for _, row in sorted(made, key=lambda item: item[0]))
    return stream.getvalue()


def _folded(doses: Sequence[Dose]) -> list[tuple[Dose, float, int]]:
    """Return (first dose, interval, further doses) of each run of equal doses of one line, by time."""
    found: list[tuple[Dose, float, int]] = []
    for course in sorted({dose.course for dose in doses}):
        line = [dose for dose in doses if dose.course == course]
        at = 0
        while at < len(line):
            run = 1
            step = line[at + 1].time - line[at].time if at + 1 < len(line) else 0.0
            while (
                at + run < len(line)
                and repr(replace(line[at + run], time=line[at].time)) == repr(line[at])  # nan equals nan
                and abs(line[at + run].time - line[at].time - run * step) < _SAME
            ):
                run += 1
            found.append((line[at], step if run > 1 else 0.0, run - 1))
            at += run
    return sorted(found, key=lambda item: (item[0].time, item[0].course))


def _row(
    dose: Dose, interval: float, more: int, number: int, arm: str, names: Sequence[str], units: AgentUnits
) -> list[Any]:
    per_kg = math.isnan(dose.amount)
    fmol = dose.amount_per_kg if per_kg else dose.amount
    unit, factor = ("IU", units.fmol_per_iu) if units.fmol_per_iu is not None else ("fmol", 1.0)
    amount = _quotient(fmol, factor)
    rate = float(amount) / dose.duration if dose.duration > 0.0 else 0.0
    values = {
        "ID": number, "TIME": _text(dose.time), "AMT": amount, "RATE": _text(rate), "CMT": compartment(dose, names),
        "EVID": 1, "II": _text(interval), "ADDL": more, "ARM": arm, "AGENT": dose.agent,
        "UNIT": unit + ("/kg" if per_kg else ""), "ROUTE": dose.route, "LESION": " ".join(dose.lesions) or ".",
        "VOLUME": _text(dose.volume) if math.isfinite(dose.volume) else ".",
        "DISTANCE": _text(dose.distance) if dose.route == "peritumoural" else ".",
        "DURATION": _text(dose.duration), "PER_LESION": int(dose.per_lesion), "POINTS": dose.points,
    }
    return [values.get(name, ".") for name in (*COLUMNS, *EXTRA)]


def _act_row(act: Act, number: int, arm: str) -> list[Any]:
    """A fraction or a resection as an event that is no dose; II and ADDL belong to doses, so each has a record."""
    if act.kind == "radiotherapy":
        size, unit = act.size, "Gy"
    else:
        size, unit = (100.0 * act.size, "%") if math.isnan(act.left) else (act.left, "cells")
    values = {
        "ID": number, "TIME": _text(act.time), "AMT": 0, "RATE": 0, "CMT": 0, "EVID": 2, "II": 0, "ADDL": 0, "ARM": arm,
        "AGENT": act.kind, "UNIT": unit, "LESION": " ".join(act.lesions), "SIZE": _text(float(f"{size:.15g}")),
    }
    return [values.get(name, ".") for name in (*COLUMNS, *EXTRA)]


def compartment(dose: Dose, names: Sequence[str]) -> int:
    """Return the number of the compartment that a dose goes into."""
    for base, route in LESION_COMPARTMENTS.items():
        if dose.route == route:
            return base + (names.index(dose.lesions[0]) + 1 if len(dose.lesions) == 1 else 0)
    return next(number for number, route in COMPARTMENTS.items() if route == dose.route)


def _quotient(value: float, factor: float) -> str:
    """Return the shortest text of value / factor that multiplied by the factor gives the value again."""
    quotient = value / factor
    for candidate in (*(float(f"{quotient:.{digits}g}") for digits in (6, 12, 15)), quotient):
        if candidate * factor == value:
            return _text(candidate)
    return _text(quotient)


def _text(number: float) -> str:
    """Write a number without an exponent, as short as it reads back exactly."""
    text = format(Decimal(repr(float(number))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


# --- in --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """What is taken from a table, and what is to be assumed where a column is missing.

    `number` is an ID as written; `agent` and `unit` stand in for the columns AGENT and UNIT.
    """

    number: str | None = None
    agent: str | None = None
    unit: str | None = None


def is_table(line: str) -> bool:
    """Whether a dosing line stands for a table."""
    return line.split(maxsplit=1)[:1] == ["table"]


def lines_of(line: str, arm: str, lesions: Sequence[str], base: Path, place: str) -> list[str]:
    """Return the dosing lines that `table FILE [id N] [agent NAME] [unit UNIT]` stands for.

    Parameters
    ----------
    line
        As written in the scenario.
    arm
        Name of the arm; a table with a column ARM gives the records of that arm if it has any.
    lesions
        Names of the lesions in their order.
    base
        Folder that the file's name is relative to.
    place
        Where the line was written, for errors.

    Raises
    ------
    InputError
        If the line or the table cannot be understood, with file, row and column.
    """
    match = _LINE.match(line.strip())
    if match is None:
        raise InputError(place, f"'{line.strip()[:60]}' is not understood", "write table FILE [id N] [agent NAME]")
    words = match.group("options").split()
    options = dict(zip(words[::2], words[1::2], strict=True))
    if 2 * len(options) < len(words):
        raise InputError(place, "an option of the table is given twice", "write each of id, agent and unit once")
    path = base / match.group("file")
    choice = Choice(options.get("id"), options.get("agent"), options.get("unit"))
    return read_table(read_file(path), str(path), arm, lesions, choice)


def read_table(text: str, name: str, arm: str, lesions: Sequence[str], choice: Choice | None = None) -> list[str]:
    """Return the dosing lines of one arm of a table, one a record.

    Parameters
    ----------
    text, name
        The table (comma, semicolon, tab or blanks between columns; one line of headings) and its name for errors.
    arm, lesions
        As for `lines_of`.
    choice
        Which records, and what to assume.

    Raises
    ------
    InputError
        With file, row and column: unknown or missing columns and values, steady state, resets, modelled rates.
    """
    chosen = choice or Choice()
    rows = _rows(text, name)
    rows = _of_arm(rows, name, arm, chosen)
    made = [_line(row, lesions, chosen) if row.is_dose() else _act_line(row) for row in rows if row.is_dose() or row.is_act()]
    if not made:
        raise InputError(name, "the table has no dose", "a dose has EVID 1 and an AMT")
    return made


@dataclass(frozen=True)
class _Row:
    """One record: its cells by heading, and where it stands."""

    cells: Mapping[str, str]
    place: str

    def text(self, column: str) -> str | None:
        value = self.cells.get(column, "").strip()
        return None if value in _MISSING else value

    def error(self, column: str, problem: str, remedy: str) -> InputError:
        return InputError(f"{self.place}, {column}", problem, remedy)

    def number(self, column: str, default: float | None = None, least: float = 0.0) -> float:
        text = self.text(column)
        if text is None:
            if default is None:
                raise self.error(column, "is missing", "write a number")
            return default
        try:
            value = float(text.replace("D", "e").replace("d", "e"))
        except ValueError:
            raise self.error(column, f"'{text[:30]}' is not a number", "write e.g. 24; a missing value is '.'") from None
        if not math.isfinite(value):
            raise self.error(column, f"'{text[:30]}' is not a finite number", "write an ordinary number")
        if value < least:
            raise self.error(column, f"{text[:30]} must be at least {least:g}", "change the number")
        return value

    def whole(self, column: str, default: int, most: int = 10**6) -> int:
        value = self.number(column, float(default))
        if value != int(value) or value > most:
            raise self.error(column, f"{value:g} is not a whole number up to {most}", "change the number")
        return int(value)

    def is_dose(self) -> bool:
        """Whether the record gives a dose; what cannot be simulated is refused.

        Without EVID a record is a dose if its AMT is above 0, as in NONMEM. With EVID 1 an AMT of 0 is one as well: a vehicle.
        """
        amount = self.number("AMT", 0.0)
        kind = self.whole("EVID", int(amount > 0.0))
        if amount <= 0.0 and self.number("RATE", 0.0, least=-math.inf) != 0.0:
            raise self.error("RATE", "is a rate of nothing: AMT is 0", "write the amount, or 0 and '.' for an observation")
        if amount > 0.0 and kind in (0, 2):
            raise self.error("AMT", f"EVID {kind} is not a dose, yet it has an AMT", "write EVID 1, or AMT 0")
        if amount > 0.0 and kind == 1 and self.number("MDV", 1.0) == 0.0:
            raise self.error("MDV", "is 0 (an observation), yet the record is a dose", "write MDV 1, or AMT 0")
        if kind in (3, 4):
            raise self.error("EVID", f"a reset (EVID {kind}) cannot be given to a living host", "begin another ID")
        if kind not in (0, 1, 2):
            raise self.error("EVID", f"{kind} is not a kind of event", "0 observation, 1 dose, 2 other")
        if kind == 1 and self.whole("SS", 0):
            raise self.error("SS", "a steady state is not simulated", "write the doses before it, with II and ADDL")
        return kind == 1

    def is_act(self) -> bool:
        """Whether the record is a fraction of radiotherapy or a resection."""
        return self.whole("EVID", 0) == 2 and self.text("AGENT") in ACTS

    def is_comment(self) -> bool:
        """Whether NONMEM passes the record over: a C in the column C, or # at its beginning."""
        if next(iter(self.cells.values()), "").lstrip().startswith("#"):
            return True
        mark = self.text("C")
        if mark not in (None, "0") and not mark.upper().startswith("C"):
            problem = f"'{mark[:30]}' is no mark of a comment"
            raise self.error("C", problem, "write C to pass the record over, else '.'; rename the column if it is something else")
        return mark not in (None, "0")

    def check_columns(self) -> None:
        """Refuse what other columns would change: calendar days, durations under another name."""
        for column in CALENDAR:
            if self.text(column) is not None:
                raise self.error(column, "calendar days are not read", "write TIME in h after day 0 and remove the column")
        if self.text("DUR") is not None:
            raise self.error("DUR", "is not a column that is read", "call it DURATION (h), or write RATE")


def _rows(text: str, name: str) -> list[_Row]:
    lines = text.splitlines()
    if not any(line.strip() for line in lines):
        raise InputError(name, "the table is empty", f"its first line names the columns: {','.join(COLUMNS)}")
    head = next(line for line in lines if line.strip())
    delimiter = next((mark for mark in (",", ";", "\t") if mark in head), None)
    try:
        if delimiter is None:
            table = [line.split() for line in lines]
        else:
            table = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InputError(name, f"is not a table ({error})", "write one record a line, columns between commas") from None
    numbered = [(number, row) for number, row in enumerate(table, 1) if any(cell.strip() for cell in row)]
    if len(numbered) > MAX_ROWS:
        raise InputError(name, f"has more than {MAX_ROWS} rows", "split it")
    headings = [cell.strip().lstrip("#").upper() for cell in numbered[0][1]]
    for wanted in ("TIME", "AMT"):
        if wanted not in headings:
            raise InputError(f"{name}, row {numbered[0][0]}", f"there is no column {wanted}", suggest(wanted, headings))
    for heading in (*COLUMNS, *EXTRA):
        if headings.count(heading) > 1:
            raise InputError(f"{name}, row {numbered[0][0]}", f"two columns are called {heading}", "remove one")
    found = []
    for number, row in numbered[1:]:
        place = f"{name}, row {number}"
        if len(row) > len(headings):
            raise InputError(place, f"has {len(row)} columns instead of {len(headings)}", "quote texts with a comma")
        record = _Row(dict(zip(headings, row, strict=False)), place)
        if not record.is_comment():
            record.check_columns()
            found.append(record)
    return found


def _of_arm(rows: Sequence[_Row], name: str, arm: str, choice: Choice) -> list[_Row]:
    """Return the records of one ID, or of the arm that the table names."""
    if choice.number is not None:
        found = [row for row in rows if _same_number(row.text("ID"), choice.number)]
        if not found:
            known = dict.fromkeys(row.text("ID") or "." for row in rows)
            raise InputError(name, f"there is no ID {choice.number}", suggest(choice.number, known))
        return found
    named = [row for row in rows if row.text("ARM") == arm]
    found = named or list(rows)
    numbers = list(dict.fromkeys(row.text("ID") for row in found))
    if len(numbers) > 1:
        shown = ", ".join(str(number) for number in numbers[:5])
        raise InputError(name, f"the table has several IDs ({shown}{', …' if len(numbers) > 5 else ''})", "write id N")
    return found


def _same_number(one: str | None, other: str) -> bool:
    try:
        return one is not None and (one == other or float(one) == float(other))
    except ValueError:
        return False


def _line(row: _Row, lesions: Sequence[str], choice: Choice) -> str:
    """Return one record as a dosing line."""
    agent = row.text("AGENT") or choice.agent
    if agent is None:
        raise row.error("AGENT", "the table does not say what is given", "write table FILE agent NAME")
    unit = row.text("UNIT") or choice.unit
    if unit is None:
        raise row.error("UNIT", "the table does not say the unit of AMT", "write table FILE unit IU")
    amount = row.number("AMT")
    route, named = _where(row, lesions)
    parts = [agent, f"{_text(amount)} {unit}"]
    if row.whole("PER_LESION", 0, 1):
        parts.append("per lesion")
    parts.append(route)
    volume = row.number("VOLUME", math.nan)
    if math.isfinite(volume):
        parts.append(f"in {_text(volume)} mm3")
    if route == "peritumoural" and row.text("DISTANCE") is not None:
        parts.append(f"at {_text(row.number('DISTANCE'))} mm")
    duration = _duration(row, amount)
    if duration > 0.0:
        parts.append(f"over {_text(duration)} h")
    if named:
        parts.append(f"into {', '.join(named)}")
    points = row.whole("POINTS", 1, 100)
    if points > 1:
        parts.append(f"fan of {points}")
    return " ".join([*parts, _schedule(row)])


def _act_line(row: _Row) -> str:
    """Return radiotherapy or a resection as a line of the dosing language."""
    kind, named = row.text("AGENT"), (row.text("LESION") or "").split()
    if row.whole("ADDL", 0):
        raise row.error("ADDL", "further times belong to doses", f"write one record for each {kind}")
    size, unit, day = row.number("SIZE"), row.text("UNIT"), _quotient(row.number("TIME"), DAY)
    units = ("Gy",) if kind == "radiotherapy" else ("%", "cells")
    if unit not in units:
        raise row.error("UNIT", f"'{(unit or '.')[:30]}' is not the unit of a {kind}", f"write {' or '.join(units)}")
    if kind == "radiotherapy":
        return f"radiotherapy {_text(size)} Gy {'to ' + ', '.join(named) + ' ' if named else ''}day {day}"
    if not named:
        raise row.error("LESION", "does not say what is cut out", "name the lesion")
    left = f"leaving {_text(size)} {unit} " if size > 0.0 or unit == "cells" else ""
    return f"resection of {', '.join(named)} {left}day {day}"


def _where(row: _Row, lesions: Sequence[str]) -> tuple[str, list[str]]:
    """Return route and names of lesions, from ROUTE and LESION, from CMT, or from both where they agree."""
    route, named = row.text("ROUTE"), (row.text("LESION") or "").split()
    number = row.whole("CMT", 0)
    if number == 0:
        if route is None:
            raise row.error("CMT", "neither CMT nor ROUTE says where the dose goes", "write one of them, e.g. ROUTE intravenous")
        return route, named
    meant, lesion = _compartment(row, number, lesions)
    if route is None:
        route = meant
    elif not _agree(route, meant):
        remedy = "correct one of them, or write '.' for CMT where its numbers are another program's"
        raise row.error("CMT", f"{number} means {meant}, yet ROUTE is {route[:30]}", remedy)
    if lesion and named and named != [lesion]:
        raise row.error("CMT", f"{number} means the lesion {lesion}, yet LESION is {' '.join(named)[:60]}", "correct one of them")
    return route, named or ([lesion] if lesion else [])


def _compartment(row: _Row, number: int, lesions: Sequence[str]) -> tuple[str, str]:
    """Return the route that a number means, and the lesion ("" if it names none)."""
    if number in COMPARTMENTS:
        return COMPARTMENTS[number], ""
    for base, name in LESION_COMPARTMENTS.items():
        index = number - base
        if 0 <= index <= len(lesions):
            return name, lesions[index - 1] if index else ""
    known = ", ".join(f"{key} {value}" for key, value in {**COMPARTMENTS, **LESION_COMPARTMENTS}.items())
    raise row.error("CMT", f"{number} is not a compartment", f"{known}, the last three plus the number of a lesion")


def _agree(route: str, meant: str) -> bool:
    """Whether a word for a route is one for the route of the compartment; unknown words are told where the line is read."""
    word = route.lower()
    if word in INTO_CAVITY:
        return meant in ("intraperitoneal", "intracavitary")
    return word not in ROUTES or ROUTES[word] == meant


def _duration(row: _Row, amount: float) -> float:
    """Return over how many hours a dose is given, from DURATION, RATE, or both where they agree."""
    rate = row.number("RATE", math.nan, least=-math.inf)
    if rate < 0.0:
        raise row.error("RATE", f"{rate:g} asks for a modelled rate or duration", "write the rate, or 0 for a bolus")
    from_rate = amount / rate if rate > 0.0 else 0.0
    stated = row.number("DURATION", math.nan)
    if not math.isfinite(stated):
        return float(f"{from_rate:.12g}")
    if amount > 0.0 and math.isfinite(rate) and abs(from_rate - stated) > _AGREE * max(from_rate, stated):
        said = f"AMT/RATE is {from_rate:.6g} h" if rate > 0.0 else "RATE 0 is a bolus"
        raise row.error("DURATION", f"{said}, yet DURATION is {stated:g} h", "correct one of them, or write '.' for it")
    return stated


def _schedule(row: _Row) -> str:
    time, more = row.number("TIME"), row.whole("ADDL", 0, MAX_DOSES - 1)
    day = _quotient(time, DAY)
    if not more:
        return f"day {day}"
    interval = row.number("II", 0.0)
    if interval <= 0.0:
        raise row.error("II", "further doses (ADDL) need an interval above 0", "write it in h")
    return f"every {_text(interval)} h x{more + 1} from day {day}"
