"""The dosing language: a table each of routes, modifiers and rules (schedules: `scenario.schedules`).

To extend the language, add a row to a table and its small parser; nothing else changes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from locokine.parameters.reading import suggest
from locokine.scenario.protocol import CAVITIES, Route, Rule
from locokine.scenario.schedules import DAY, DAYS_OF_WEEK, MAX_DOSES, SCHEDULES, Schedule, begins_schedule, parse_schedule
from locokine.scenario.words import KEYWORDS, NUMERIC, Cursor, is_keyword

__all__ = [
    "CAVITIES", "DAY", "FORM", "INTO_CAVITY", "LOCAL_ROUTES", "MAX_DOSES", "MODIFIERS", "NOT_SIMULATED", "NUMERIC", "ROUTES",
    "RULES", "SCHEDULES", "SITE_OF_ROUTE", "TERMS", "Cursor", "Parts", "Schedule", "begins_schedule", "lesion_names",
    "parse_rules", "parse_schedule",
]

FORM = "AGENT AMOUNT ROUTE [in VOLUME] [at DISTANCE] [over DURATION] [into LESION] [fan of N] SCHEDULE[, RULE]"
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)%?$")

ROUTES: dict[str, Route] = {
    "intratumoural": "intratumoural",
    "intratumoral": "intratumoural",
    "intralesional": "intratumoural",
    "i.t.": "intratumoural",
    "it": "intratumoural",
    "peritumoural": "peritumoural",
    "peritumoral": "peritumoural",
    "perilesional": "peritumoural",
    "p.t.": "peritumoural",
    "pt": "peritumoural",
    "intravenous": "intravenous",
    "i.v.": "intravenous",
    "iv": "intravenous",
    "intraperitoneal": "intraperitoneal",
    "i.p.": "intraperitoneal",
    "ip": "intraperitoneal",
    "intracavitary": "intraperitoneal",
    "subcutaneous": "subcutaneous",
    "s.c.": "subcutaneous",
    "sc": "subcutaneous",
    "intrapleural": "intracavitary",
    "intravesical": "intracavitary",
    "intra-arterial": "intra-arterial",
    "intraarterial": "intra-arterial",
    "i.a.": "intra-arterial",
    "ia": "intra-arterial",
}
"""Words for routes → the route's name in the protocol."""

INTO_CAVITY = ("intracavitary", "intrapleural", "intravesical")
"""Words that ask for a lesion in a cavity (intraperitoneal alone is a depot where there is none)."""

SITE_OF_ROUTE = {"intrapleural": "pleura", "intravesical": "bladder"}
"""Words for routes into one kind of cavity → its site."""

NOT_SIMULATED = {
    "intranodal": "subcutaneous passes through the node as well",
    "perilymphatic": "subcutaneous passes through the node as well",
    "intramuscular": "subcutaneous is the nearest depot",
    "i.m.": "subcutaneous is the nearest depot",
    "im": "subcutaneous is the nearest depot",
    "inhaled": "there is no airway yet; subcutaneous is the nearest depot",
}
"""Routes of the literature that the engine does not have → the nearest that it has."""

LOCAL_ROUTES = ("intratumoural", "peritumoural", "intra-arterial")
TERMS = ("any", "hypotension", "weight_gain", "capillary_leak", "fever", "injection_site_reaction")
"""Toxicity terms that rules may name (graded by `outcome`)."""

LESIONS_MAY_BE_CALLED = (
    "fan", "on", "weekdays", "intracavitary", "reduce", "it", "pt", "iv", "ip", "sc", "ia", *DAYS_OF_WEEK,
)
"""Words of the language that may follow `into` all the same."""


# --- modifiers -------------------------------------------------------------------------------------------------------

Parts = dict[str, Any]


def _in(cursor: Cursor) -> Parts:
    return {"volume": cursor.quantity("volume", "0.1 mL")}


def _at(cursor: Cursor) -> Parts:
    return {"distance": cursor.quantity("length", "2 mm")}


def _over(cursor: Cursor) -> Parts:
    return {"duration": cursor.quantity("time", "24 h")}


def _into(cursor: Cursor) -> Parts:
    return {"lesions": lesion_names(cursor)}


def lesion_names(cursor: Cursor) -> tuple[str, ...]:
    """Read the names of lesions, with commas between them."""
    names: list[str] = []
    while True:
        word = cursor.peek()
        keyword = is_keyword(word) and word.lower() not in LESIONS_MAY_BE_CALLED
        if not word or word in (",", ">", ">=") or keyword:
            raise cursor.error("the name of a lesion is expected here", "write e.g. into flank, axilla")
        if word in names:
            raise cursor.error(f"the lesion '{word}' is named twice", "name each lesion once")
        names.append(cursor.take())
        if cursor.peek() != "," and cursor.peek().lower() != "and":
            return tuple(names)
        cursor.take()


def _fan(cursor: Cursor) -> Parts:
    """`fan of 12 [injections]`."""
    cursor.accept("of")
    if not re.fullmatch(r"\d{1,3}", cursor.peek()) or not 2 <= int(cursor.peek()) <= 100:
        raise cursor.error("a number of injections from 2 to 100 is expected here", "write e.g. fan of 12")
    points = int(cursor.take())
    _ = cursor.accept("injections") or cursor.accept("points")
    return {"points": points}


MODIFIERS: dict[str, Callable[[Cursor], Parts]] = {"in": _in, "at": _at, "over": _over, "into": _into, "fan": _fan}
"""First word of a modifier → parser of what follows it."""


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


def _reduce(cursor: Cursor) -> Rule:
    """`reduce to 50 % at hypotension >= 3`."""
    cursor.accept("to")
    match = _PERCENT.match(cursor.peek())
    if match is None or not 0.0 < float(match.group(1)) < 100.0:
        raise cursor.error("a share of the dose is expected here", "write e.g. reduce to 50 % at hypotension >= 3")
    cursor.take()
    cursor.accept("%")
    if not cursor.accept("at"):
        raise cursor.error("'at' is expected here", "write e.g. reduce to 50 % at hypotension >= 3")
    return Rule("reduce", *_toxicity(cursor, "reduce to 50 % at"), share=float(match.group(1)) / 100.0)


RULES: dict[str, Callable[[Cursor], Rule]] = {"until": _until, "hold": _hold, "stop": _stop, "reduce": _reduce}
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
                "rules are until complete response, hold while TERM >= GRADE, stop at TERM >= GRADE, "
                "reduce to SHARE % at TERM >= GRADE; "
                f"the order is {FORM}",
            )
        cursor.take()
        rule = RULES[word](cursor)
        if rule in rules:
            raise cursor.error("the same rule is given twice", "remove one", cursor.position - 1)
        rules.append(rule)
    return tuple(rules)


KEYWORDS.update(ROUTES, MODIFIERS, SCHEDULES, RULES)
