"""One parameter: value, unit, range, distribution, between-subject spread, source and status."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from locokine.errors import InputError
from locokine.parameters.reading import Block, at_line, suggest
from locokine.units import dimension_of, format_quantity, parse_quantity, split_quantity

DISTRIBUTIONS = ("lognormal", "normal", "logit", "fixed")
STRICT = ("lognormal", "logit")
"""Distributions without a 0."""
STATUSES = ("measured", "derived", "calibrated", "assumed")
FIELDS = (
    "value", "unit", "prior", "range", "distribution", "between", "within", "spread", "physical", "status", "source", "note",
    "replaces",
)  # fmt: skip
OF_ONE_VALUE = ("prior", "range", "status", "source", "note")
"""Fields that are said of one value: a record that states another does not take them from the one below."""
SPREAD_FIELDS = ("between", "prior_between", "within", "prior_within", "status", "source", "note")
"""Of `spread`: the ranges of `between` and `within`, the medians of their priors, and where they come from."""


@dataclass(frozen=True)
class Spread:
    """How surely the spread of a parameter is known: 90 % ranges, (0, 0) where it has none, and where they come from.

    `prior` has the medians of the priors of `between` and `within`, `stated` the entry that states the spread; no prediction
    depends on them, so that they are not in the text of which the digest of a library is made.
    """

    between: tuple[float, float] = (0.0, 0.0)
    within: tuple[float, float] = (0.0, 0.0)
    status: str = "assumed"
    source: tuple[str, ...] = ()
    note: str = ""
    prior: tuple[float, float] = field(default=(0.0, 0.0), repr=False)
    stated: str = field(default="", repr=False)


@dataclass(frozen=True)
class Record:
    """A parameter with everything needed to draw, cite and doubt it.

    Attributes
    ----------
    name
        Identifier, the field's name in the engine.
    value
        Central value (median for lognormal and logit), internal units.
    unit
        Unit as written in the library ("1" for dimensionless).
    low, high
        90 % prior range, internal units.
    prior
        Median of the prior, internal units: the value before any fit or move by hand towards outcomes. The value itself
        where the record states none.
    distribution
        Of prior and of subjects: "lognormal", "normal", "logit" or "fixed".
    between
        Between-subject spread: log-sd (lognormal), sd/|value| (normal), logit-sd (logit); 0 is the same in everybody.
    physical_low, physical_high
        Hard bounds, internal units, -inf or inf where there is none.
    status
        "measured", "derived", "calibrated" or "assumed".
    source
        Keys of the bibliography; empty only if assumed.
    note
        One line.
    scope
        Where it belongs: "laws", or "hosts.NAME", "lines.NAME", "agents.NAME".
    within
        Share of the variance `between`² that lies between the lesions of one subject (of a line only); 0: they are alike.
    spread
        Ranges of `between` and `within`; None where the spread itself is not in question.
    stated
        Name of the entry that states the value (this one, or one that it inherits from); "" for the definition.
    positive
        Whether the definition allows no 0, whatever the distribution of this record: it is log-normal or logit there and states
        no physical bounds.
    """

    name: str
    value: float
    unit: str
    low: float
    high: float
    prior: float
    distribution: str
    between: float
    physical_low: float
    physical_high: float
    status: str
    source: tuple[str, ...]
    note: str
    scope: str
    within: float = 0.0
    spread: Spread | None = None
    positive: bool = False
    stated: str = ""

    @property
    def cited(self) -> tuple[str, ...]:
        """Sources of value and spread."""
        return tuple(dict.fromkeys((*self.source, *(self.spread.source if self.spread else ()))))

    def spreads(self) -> list[Record]:
        """The spreads that are uncertain, as records of their own: "NAME.between" and "NAME.within", without a unit."""
        if self.spread is None:
            return []
        found = []
        for name, value, ends, prior, kind, top in (
            ("between", self.between, self.spread.between, self.spread.prior[0], "lognormal", math.inf),
            ("within", self.within, self.spread.within, self.spread.prior[1], "logit", 1.0),
        ):
            if ends != (0.0, 0.0):
                found.append(Record(
                    f"{self.name}.{name}", value, "1", *ends, prior, kind, 0.0, 0.0, top, self.spread.status, self.spread.source,
                    self.spread.note, self.scope, stated=self.spread.stated,
                ))
        return found

    def with_value(self, value: float, place: str) -> Record:
        """Return this record with another central value; the prior range keeps its width around it if it must move.

        The median of the prior stays where it is, and moves with a range that moves.

        Raises
        ------
        InputError
            If the value is outside the physical range.
        """
        check_physical(self, value, place)
        if self.low <= value <= self.high:
            return replace(self, value=value)
        if self.distribution == "lognormal":
            shift = value / self.value
            return replace(self, value=value, low=self.low * shift, high=self.high * shift, prior=self.prior * shift)
        low = min(max(value - (self.value - self.low), self.physical_low), value)
        high = max(min(value + (self.high - self.value), self.physical_high), value)
        return replace(self, value=value, low=low, high=high, prior=min(max(self.prior + value - self.value, low), high))

    def text(self, digits: int | None = 4) -> str:
        """Return the value with its unit as written in the library."""
        return format_quantity(self.value, self.unit, digits)

    def prior_text(self, digits: int | None = 4) -> str:
        """Return the median of the prior likewise, nothing where it is the value."""
        return "" if self.prior == self.value else format_quantity(self.prior, self.unit, digits)


def check_physical(record: Record, value: float, place: str) -> None:
    """Raise an `InputError` unless `value` (internal units) can be a value of `record` at all."""
    low, high = record.physical_low, record.physical_high
    strict = record.positive or record.distribution in STRICT
    outside = not math.isfinite(value) or value < low or value > high
    if not outside and strict:
        outside = value <= 0.0 or (record.distribution == "logit" and value >= 1.0)
    if outside:
        shown = format_quantity(value, record.unit, 6) if math.isfinite(value) else str(value)
        if strict and low <= 0.0:
            bounds = f"above {format_quantity(0.0, record.unit, 6)}"
        elif math.isfinite(low):
            bounds = f"at least {format_quantity(low, record.unit, 6)}"
        else:
            bounds = "any number"
        top = min(high, 1.0) if record.distribution == "logit" else high
        if math.isfinite(top):
            joint = "below" if record.distribution == "logit" else "at most"
            bounds += f" and {joint} {format_quantity(top, record.unit, 6)}"
        raise InputError(place, f"{shown} is outside the physical range of {record.name}", f"it must be {bounds}")


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a partial record over a fuller one.

    A record that states its own value does not take prior, range, status, source or note from the one below: a source
    that supports one number does not support another.
    """
    merged = dict(below)
    if "value" in above:
        for key in OF_ONE_VALUE:
            merged.pop(key, None)
    if "between" in above or "within" in above:
        merged.pop("spread", None)
    merged.update(above)
    return merged


def check_fields(raw: Any, file: str, line: int | None, field: str) -> Block:
    """Return the raw record if it is a mapping of known fields, else raise an `InputError`."""
    if not isinstance(raw, dict):
        raise InputError(
            at_line(file, line, field), "is not a record", "write value, range, distribution, status and source"
        )
    lines = getattr(raw, "lines", {})
    for key in raw:
        if key not in FIELDS:
            raise InputError(
                at_line(file, lines.get(key, line), f"{field}.{key}"), f"unknown field '{key}'", suggest(key, FIELDS)
            )
    return raw if isinstance(raw, Block) else Block(raw)


class _Reader:
    """Turns one merged raw record into a `Record`, with the place of every complaint."""

    def __init__(
        self, name: str, raw: Mapping[str, Any], lines: Mapping[str, tuple[str, int]], scope: str, home: tuple[str, int],
        defined: object,
    ):
        self.name, self.raw, self.lines, self.scope, self.home, self.defined = name, raw, lines, scope, home, defined

    def place(self, key: str = "") -> str:
        file, line = self.lines.get(key, self.home)
        owner = "" if self.scope == "laws" else self.scope.split(".", 1)[-1] + "."
        return at_line(file, line, f"{owner}{self.name}" + (f".{key}" if key else ""))

    def choice(self, key: str, known: tuple[str, ...]) -> str:
        value = self.raw.get(key)
        if value is None:
            raise InputError(self.place(), f"{key} is missing", f"one of {', '.join(known)}")
        if value not in known:
            raise InputError(self.place(key), f"unknown {key} '{value}'", f"one of {', '.join(known)}")
        return str(value)

    def number(self, key: str, value: object, unit: str) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0 and key != "value":
            return 0.0
        return parse_quantity(value, unit, self.place(key), minimum=None)

    def unit(self) -> str:
        """Return the unit as written, "1" where the record says that it is dimensionless."""
        if "value" not in self.raw or self.raw["value"] is None:
            raise InputError(self.place(), "value is missing", "state it here or in the definition, e.g. value: 15 nM")
        declared = self.raw.get("unit")
        if declared is not None and str(declared) != "1":
            raise InputError(
                self.place("unit"),
                f"unit '{declared}' is not understood",
                'write the unit in the value; unit is only ever "1"',
            )
        _, unit = split_quantity(self.raw["value"], self.place("value"))
        if unit:
            return unit
        if declared is None:
            raise InputError(
                self.place("value"),
                f"'{self.raw['value']}' has no unit",
                'write the unit, or unit: "1" for a dimensionless number',
            )
        return "1"

    def pair(self, key: str) -> tuple[object, object]:
        value = self.raw[key]
        if not isinstance(value, list) or len(value) != 2:
            raise InputError(self.place(key), f"{key} must be two values", f"write e.g. {key}: [1 nM, 40 nM]")
        return value[0], value[1]

    def bounds(self, unit: str, distribution: str) -> tuple[float, float]:
        if self.raw.get("physical") is None:
            return 0.0, (1.0 if distribution == "logit" else math.inf)
        low, high = self.pair("physical")
        first = -math.inf if low is None else self.number("physical", low, unit)
        last = math.inf if high is None else self.number("physical", high, unit)
        if first > last:
            raise InputError(self.place("physical"), "the lower bound is above the upper", "write [low, high]")
        return first, last

    def range(self, unit: str, value: float, distribution: str) -> tuple[float, float]:
        if self.raw.get("range") is None:
            if distribution == "fixed":
                return value, value
            raise InputError(
                self.place(), "range is missing", "state the 90 % range of this value, e.g. range: [1 nM, 40 nM]"
            )
        first, last = self.pair("range")
        low, high = self.number("range", first, unit), self.number("range", last, unit)
        if not low <= value <= high:
            raise InputError(
                self.place("range"),
                f"the range does not contain the value {self.raw['value']}",
                "write range: [low, high] around it",
            )
        return low, high

    def prior(self, unit: str, value: float, low: float, high: float) -> float:
        """Median of the prior: as stated, or the value."""
        stated = self.raw.get("prior")
        if stated is None:
            return value
        prior = self.number("prior", stated, unit)
        if not low <= prior <= high:
            ends = " to ".join(format_quantity(end, unit, 6) for end in (low, high))
            raise InputError(
                self.place("prior"),
                f"the prior {stated} is outside the range {ends}",
                "state the value before any fit, and a range that has both",
            )
        return prior

    def between(self, distribution: str) -> float:
        value = self.raw.get("between", 0.0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
            raise InputError(
                self.place("between"), f"'{value}' is not a spread", "a number of at least 0, e.g. between: 0.3"
            )
        if distribution == "fixed" and value > 0:
            raise InputError(
                self.place("between"),
                "a fixed parameter cannot differ between subjects",
                "between: 0, or another distribution",
            )
        return float(value)

    def within(self) -> float:
        value = self.raw.get("within", 0.0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < 1.0:
            raise InputError(self.place("within"), f"'{value}' is not a share", "a number from 0 to below 1, e.g. within: 0.3")
        if value > 0.0 and not self.scope.startswith("lines."):
            raise InputError(
                self.place("within"), "only values of a line can differ between lesions of one subject", "leave it out"
            )
        return float(value)

    def spread(self, between: float, within: float) -> Spread | None:
        """Ranges of the spread; the values must lie in them."""
        raw = self.raw.get("spread")
        if raw is None:
            return None
        if not isinstance(raw, dict) or not raw or set(raw) - set(SPREAD_FIELDS):
            raise InputError(
                self.place("spread"), "is not the uncertainty of a spread",
                "write e.g. spread: {between: [0.1, 1], status: assumed}",
            )
        ends: dict[str, tuple[float, float]] = {}
        priors: list[float] = []
        for key, value in (("between", between), ("within", within)):
            pair = raw.get(key, [0.0, 0.0])
            good = isinstance(pair, list) and len(pair) == 2 and all(
                isinstance(x, (int, float)) and not isinstance(x, bool) for x in pair
            )
            if not good or (key in raw and not 0.0 < pair[0] <= value <= pair[1]):
                raise InputError(
                    self.place("spread"), f"the range of {key} does not contain its value {value:g}, or is no range",
                    f"write {key}: [low, high] around it, above 0",
                )
            ends[key] = (float(pair[0]), float(pair[1]))
            prior = raw.get(f"prior_{key}", value)
            if isinstance(prior, bool) or not isinstance(prior, (int, float)) or (
                f"prior_{key}" in raw and not pair[0] <= prior <= pair[1]
            ):
                raise InputError(
                    self.place("spread"), f"the prior '{prior}' of {key} is outside its range, or there is no range",
                    f"write {key}: [low, high] around it",
                )
            priors.append(float(prior))
        status = raw.get("status")
        if status not in STATUSES:
            raise InputError(self.place("spread"), f"unknown status '{status}'", f"one of {', '.join(STATUSES)}")
        source, note = raw.get("source") or [], raw.get("note") or ""
        if not isinstance(source, list) or (not source and status != "assumed"):
            raise InputError(self.place("spread"), f"a {status} spread needs a source", "add source: [key], or status: assumed")
        keys = tuple(str(key) for key in source)
        return Spread(ends["between"], ends["within"], str(status), keys, str(note), (priors[0], priors[1]))

    def source(self, status: str) -> tuple[str, ...]:
        value = self.raw.get("source")
        keys = [] if value is None else value
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise InputError(self.place("source"), "source must be a list of keys", "write e.g. source: [author1987]")
        if not keys and status != "assumed":
            raise InputError(
                self.place(),
                f"a {status} value needs a source",
                "add source: [key of references.bib], or status: assumed",
            )
        return tuple(keys)

    def record(self) -> Record:
        unit = self.unit()
        distribution, status = self.choice("distribution", DISTRIBUTIONS), self.choice("status", STATUSES)
        value = self.number("value", self.raw["value"], unit)
        if distribution == "logit" and dimension_of(unit):
            raise InputError(
                self.place("distribution"), "logit is for shares, which have no unit", "lognormal or normal"
            )
        low, high = self.range(unit, value, distribution)
        physical = self.bounds(unit, distribution)
        note = self.raw.get("note")
        if note is not None and not isinstance(note, str):
            raise InputError(self.place("note"), "note must be text", "put quotes around it")
        between, within = self.between(distribution), self.within()
        record = Record(
            self.name,
            value,
            unit,
            low,
            high,
            self.prior(unit, value, low, high),
            distribution,
            between,
            *physical,
            status,
            self.source(status),
            note or "",
            self.scope,
            within,
            self.spread(between, within),
            self.defined in STRICT and self.raw.get("physical") is None,
        )
        for key, number in (("value", value), ("range", low), ("range", high)):
            check_physical(record, number, self.place(key))
        return record


def build_record(
    name: str, raw: Mapping[str, Any], lines: Mapping[str, tuple[str, int]], scope: str, home: tuple[str, int],
    defined: object = None,
) -> Record:
    """Check a merged raw record and convert it to internal units.

    Parameters
    ----------
    name, scope
        Of the record.
    raw
        The fields of the library, already merged over the definition.
    lines
        Field → (file, line) where it was written.
    home
        (file, line) of the record itself.
    defined
        Distribution that the definition states (the record may have another).

    Raises
    ------
    InputError
        With file, line and field, if anything is missing, unknown, inconsistent or not physical.
    """
    return _Reader(name, raw, lines, scope, home, defined).record()
