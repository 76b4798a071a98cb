"""Data of an entry that are no parameters: what they may be called, what they may say, and where their numbers come from.

Some of them hold numbers that the engine reads: weights of antigens (lines), cavities and body surface (hosts). Each of these is
written as it stands, and is then assumed, or as a small record that says more:

    antigens: {own: 1.0}        antigens: {own: {value: 1.0, status: assumed, note: "its own only"}}

They are the same in all subjects. `locokine parameters list` shows them as `antigens.own`, `cavities.pleura.cavity_area`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from locokine.errors import InputError
from locokine.parameters.reading import Block, at_line, suggest
from locokine.parameters.records import STATUSES
from locokine.units import parse_quantity

HISTOLOGIES = (
    "solid", "lymphoma", "mast cell", "carcinoma", "squamous carcinoma", "renal cell carcinoma", "melanoma", "mesothelioma",
)
"""What a line's `meta.histology` may be; how each looks is in `histology/patterns.py`."""
MOST_WEIGHT = 100.0
"""Largest weight of an antigen; more than a hundred times one of weight 1 is a slip of the pen."""
_FIELDS = ("value", "range", "status", "source", "note")
_ANTIGEN = "weight of this antigen relative to one of weight 1: share of its epitopes that the host can answer"
_CAVITY = "of this cavity, in place of the peritoneum's"
_SURFACE = "body surface at this weight; other weights by the power 2/3"


@dataclass(frozen=True)
class Datum:
    """One number of an entry's data: `value` and `range` as text with units, in internal meaning the same in all subjects."""

    name: str
    scope: str
    value: str
    range: str
    status: str
    source: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class _Place:
    """Where an entry's data were written."""

    file: str
    lines: Mapping[str, int]
    line: int
    owner: str
    scope: str

    def error(self, key: str, problem: str, remedy: str) -> InputError:
        top = key.split(".", 1)[0]
        return InputError(at_line(self.file, self.lines.get(top, self.line), f"{self.owner}.meta.{key}"), problem, remedy)


def read_meta(scope: str, owner: str, block: Block, file: str, line: int) -> tuple[dict[str, Any], tuple[Datum, ...]]:
    """Check the data that one entry states itself.

    Returns
    -------
    dict, tuple
        The data with every record replaced by its value, and their numbers with status and source.

    Raises
    ------
    InputError
        On an unknown name, a value of the wrong kind, or an incomplete record.
    """
    place = _Place(file, getattr(block, "lines", {}), getattr(block, "line", 0) or line, owner, f"{scope}.{owner}")
    known = _CHECKS[scope]
    made: dict[str, Any] = {}
    found: list[Datum] = []
    for key, value in block.items():
        if key not in known:
            raise place.error(key, f"unknown data '{key}'", suggest(key, known))
        made[key], data = known[key](place, key, value)
        found += data
    return made, tuple(found)


Checked = tuple[Any, list[Datum]]


def _flag(place: _Place, key: str, value: Any) -> Checked:
    if not isinstance(value, bool):
        raise place.error(key, f"{value!r} is neither true nor false", "write true or false")
    return value, []


def _one_of(*known: str) -> Callable[[_Place, str, Any], Checked]:
    def check(place: _Place, key: str, value: Any) -> Checked:
        if value not in known:
            raise place.error(key, f"unknown {key} '{value}'", f"use one of: {', '.join(known)}")
        return value, []

    return check


def _texts(place: _Place, key: str, value: Any) -> Checked:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise place.error(key, f"must be a list of {key}", f"write {key}: [name]")
    return list(value), []


def _histology(place: _Place, key: str, value: Any) -> Checked:
    if value not in HISTOLOGIES:
        remedy = suggest(value, HISTOLOGIES) if isinstance(value, str) else f"use one of: {', '.join(HISTOLOGIES)}"
        raise place.error(key, f"unknown kind of tumour {value!r}", remedy)
    return value, []


def _antigens(place: _Place, key: str, value: Any) -> Checked:
    if not isinstance(value, dict):
        raise place.error(key, "must be a mapping of antigens to weights", "write antigens: {name: 1.0}")
    made: dict[str, float] = {}
    found: list[Datum] = []
    for name, raw in value.items():
        here = f"{key}.{name}"
        weight, datum = _datum(place, here, raw, _ANTIGEN)
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0.0 <= weight <= MOST_WEIGHT:
            raise place.error(here, f"'{weight}' is not a weight", f"write a number from 0 to {MOST_WEIGHT:g}")
        made[str(name)] = weight
        found.append(datum)
    return made, found


def _cavities(place: _Place, key: str, value: Any) -> Checked:
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise place.error(key, "must be a mapping of cavities to their data", "write cavities: {pleura: {cavity_area: 8 cm2}}")
    made: dict[str, dict[str, Any]] = {}
    found: list[Datum] = []
    for site, values in value.items():
        made[site] = {}
        for name, raw in values.items():
            made[site][name], datum = _datum(place, f"{key}.{site}.{name}", raw, _CAVITY)
            found.append(datum)
    return made, found


def _surface(place: _Place, key: str, value: Any) -> Checked:
    if not isinstance(value, dict) or not {"area", "weight"} <= set(value):
        raise place.error(key, "is not an area with its weight", "write {area: 0.007 m2, weight: 0.02 kg}")
    more = {name: item for name, item in value.items() if name not in ("area", "weight")}
    _, datum = _datum(place, key, {"value": value["area"], **more}, _SURFACE)
    shown = at_line(place.file, place.line, f"{place.owner}.meta.{key}")
    parse_quantity(value["area"], "mm2", shown, positive=True)
    parse_quantity(value["weight"], "body mass", shown, positive=True)
    text = f"{value['area']} at {value['weight']}"
    return {name: value[name] for name in ("area", "weight")}, [Datum(**{**vars(datum), "value": text})]


def _datum(place: _Place, key: str, raw: Any, note: str) -> tuple[Any, Datum]:
    """Return the value of a number, plain or with more said about it, and what is said."""
    record = raw if isinstance(raw, dict) else {"value": raw}
    for field in record:
        if field not in _FIELDS:
            raise place.error(key, f"unknown field '{field}'", suggest(field, _FIELDS))
    if record.get("value") is None:
        raise place.error(key, "value is missing", "write the number, or {value: …, status: assumed}")
    value = record["value"]
    if isinstance(value, float) and not math.isfinite(value):
        raise place.error(key, f"{value} is not a finite number", "write an ordinary number")
    status, source = record.get("status", "assumed"), record.get("source") or []
    if status not in STATUSES:
        raise place.error(key, f"unknown status '{status}'", f"one of {', '.join(STATUSES)}")
    if not isinstance(source, list) or not all(isinstance(item, str) for item in source):
        raise place.error(key, "source must be a list of keys", "write e.g. source: [author1987]")
    if not source and status != "assumed":
        raise place.error(key, f"a {status} value needs a source", "add source: [key of references.bib], or status: assumed")
    ends = record.get("range")
    if ends is not None and (not isinstance(ends, list) or len(ends) != 2):
        raise place.error(key, "range must be two values", "write e.g. range: [0.1, 1]")
    words = "fixed" if ends is None else f"{ends[0]} to {ends[1]}"
    said = str(record.get("note") or note)
    return value, Datum(key, place.scope, str(value), words, str(status), tuple(source), said)


_CHECKS: dict[str, dict[str, Callable[[_Place, str, Any], Checked]]] = {
    "hosts": {
        "criteria": _one_of("caliper", "recist"), "treated_as": _one_of("animal", "patient"), "surface": _surface,
        "cavities": _cavities,
    },
    "lines": {"hosts": _texts, "antigens": _antigens, "sites": _texts, "histology": _histology},
    "agents": {"endogenous": _flag, "synonyms": _texts, "substance": _flag, "particles": _flag},
}
"""Scope → name of data → what checks it."""
