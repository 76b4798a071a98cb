"""Units at the boundary: text becomes numbers here and nowhere else.

Inside locokine every number is in one fixed set of units: mm, h, fmol, mmHg, cells, µg, degC, IU
(so a concentration is fmol/mm³ = nM and a protein concentration µg/mm³ = mg/mL).
Two quantities that physics would merge are kept apart on purpose, because mixing them up is the usual mistake:
the mass of a host (kg) is not a mass of substance (µg), and biological activity (IU and the units of suppliers) is
neither mass nor amount of substance; only an agent's own record connects them.
Pressure (mmHg) is a base unit of its own, so that hydraulic units such as cm²/mmHg/s stay readable.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from locokine.errors import InputError

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_FACTOR = re.compile(r"([A-Za-zµμ°%]+(?:_[A-Za-z]+)?(?:\[[A-Za-z]+\])?)\s*(?:(?:\^|\*\*)?\s*([+-]?\d{1,2}))?$")
_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_NOT_FINITE = re.compile(r"^\s*[+-]?\.?(nan|inf|infinity)\b", re.IGNORECASE)

DIMENSIONS: dict[str, tuple[str, str]] = {
    "length": ("mm", "9 mm"),
    "time": ("h", "5 days"),
    "volume": ("mm3", "0.1 mL"),
    "cells": ("cells", "1e6 cells"),
    "body mass": ("kg", "70 kg"),
    "mass": ("ug", "1.2 ug"),
    "amount of substance": ("fmol", "80 pmol"),
    "activity": ("IU", "20000 IU"),
    "concentration": ("nM", "15 nM"),
    "pressure": ("mmHg", "15 mmHg"),
    "temperature": ("degC", "37 degC"),
    "rate": ("1/h", "0.5 1/day"),
    "radiation dose": ("Gy", "2 Gy"),
    "dimensionless": ("1", "0.3"),
}
"""Name of a dimension → its internal unit and an example that error messages show."""


@dataclass(frozen=True)
class Supplier:
    """A supplier's unit of interleukin activity from before the international standard.

    Attributes
    ----------
    iu, low, high
        International units per supplier's unit, and the 90 % range.
    status
        "assumed" unless somebody checked the factor at its source.
    note
        Where the value comes from.
    """

    name: str
    iu: float
    low: float
    high: float
    status: str
    note: str


SUPPLIERS: dict[str, Supplier] = {
    supplier.name: supplier
    for supplier in (
        Supplier(
            "Cetus",
            6.0,
            2.3,
            6.0,
            "assumed",
            "textbook value (1 Cetus or Chiron unit = 6 IU), not checked at its source",
        ),
        Supplier("Eurocetus", 6.0, 2.3, 6.0, "assumed", "taken equal to the unit of the parent company, Cetus"),
        Supplier("Roche", 3.0, 2.3, 6.0, "assumed", "textbook range 2.3 to 3 IU, not checked at its source"),
        Supplier("BRMP", 2.3, 2.0, 6.0, "assumed", "textbook range 2.3 to 3 IU, not checked at its source"),
        Supplier(
            "Biogen",
            3.5,
            2.0,
            6.0,
            "assumed",
            "no source found: geometric mean of the range 2 to 6 IU of the other suppliers",
        ),
    )
}
"""Units of suppliers, written `U[Cetus]`; a bare `U` is refused because these differ up to threefold."""

_PREFIXES = (
    "pico- = 1e-12 = p-",
    "nano- = 1e-9 = n-",
    "micro- = 1e-6 = µ- = μ- = u-",
    "milli- = 1e-3 = m-",
    "centi- = 1e-2 = c-",
    "deci- = 1e-1 = d-",
    "femto- = 1e-15 = f-",
    "kilo- = 1e3 = k-",
    "mega- = 1e6 = M-",
)
_UNITS = (
    "millimetre = [length] = mm",
    "hour = [time] = h",
    "femtomole = [substance] = fmol",
    "millimetre_Hg = [pressure] = mmHg",
    "cell = [cells] = cell",
    "microgram = [mass] = ug = µg = μg",
    "degree_Celsius = [temperature] = degC = °C",
    "international_unit = [activity] = IU",
    "gray = [radiation] = Gy",
    "kilogram = [body_mass] = kg",
    "metre = 1000 * mm = m",
    "litre = 1e6 * mm ** 3 = L = l",
    "gram = 1e6 * ug = g",
    "mole = 1e15 * fmol = mol",
    "molecule = 1.6605390671738466e-09 * fmol = molecule",  # 1e15 / Avogadro's number
    "molar = mol / L = M",
    "dalton = 1e-9 * ug / fmol = Da",
    "second = h / 3600 = s",
    "minute = h / 60 = min",
    "day = 24 * h = d",
    "week = 168 * h = wk",
    "pascal = mmHg / 133.322387415 = Pa",
    "percent = 0.01 = percent",
    "dyne_per_cm2 = 0.1 * Pa = dyn_cm",
)


@lru_cache(maxsize=1)
def registry() -> Any:
    """Return the unit registry, built at the first call (importing pint costs a quarter of a second).

    Returns
    -------
    pint.UnitRegistry
        Its base units are the internal units of locokine, so `to_base_units` gives internal numbers.
    """
    import pint

    nothing: Any = None  # an empty registry; "" would load the units of pint
    made = pint.UnitRegistry(nothing)
    for line in (*_PREFIXES, *_UNITS):
        made.define(line)
    for supplier in SUPPLIERS.values():
        made.define(f"supplier_{supplier.name} = {supplier.iu} * IU = U_{supplier.name}")
    return made


class _UnitError(ValueError):
    """Internal: a unit text cannot be understood (problem, remedy)."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem, self.remedy = problem, remedy
        super().__init__(problem)


_KNOWN_NAMES = (
    "mm",
    "cm",
    "um",
    "h",
    "min",
    "s",
    "day",
    "days",
    "week",
    "weeks",
    "mL",
    "uL",
    "L",
    "mm3",
    "cells",
    "kg",
    "g",
    "mg",
    "ug",
    "fmol",
    "pmol",
    "nmol",
    "nM",
    "pM",
    "uM",
    "mmHg",
    "kPa",
    "degC",
    "IU",
    "kIU",
    "MIU",
    "kDa",
    "Gy",
    "percent",
)


def suppliers_text() -> str:
    """Return the accepted supplier units as text: `U[Cetus], U[Roche], …`."""
    return ", ".join(f"U[{name}]" for name in SUPPLIERS)


def _pint_name(name: str) -> str:
    """Translate the name of one unit to the name the registry knows."""
    if name == "%":
        return "percent"
    supplied = re.fullmatch(r"([kM]?)U(?:\[([A-Za-z]+)\])?", name)
    if supplied:
        prefix, supplier = supplied.groups()
        if supplier is None:
            raise _UnitError(
                f"a bare '{name}' does not say how much: the units of suppliers differ up to threefold",
                f"write IU, or name the supplier: {suppliers_text()}",
            )
        if supplier not in SUPPLIERS:
            raise _UnitError(f"unknown supplier '{supplier}' in '{name}'", f"known: {suppliers_text()}")
        return f"{prefix}U_{supplier}"
    if "[" in name or "_" in name:
        raise _UnitError(f"unknown unit '{name}'", f"suppliers' units are {suppliers_text()}")
    return name


def _split_unit(text: str) -> list[tuple[str, int]]:
    """Split `cm2/mmHg/s` into (name, exponent) pairs; `/` divides by the one factor after it."""
    if len(text) > 80:
        raise _UnitError("the unit is too long", "write it like mL/h/mmHg")
    factors: list[tuple[str, int]] = []
    for position, part in enumerate(text.translate(_SUPERSCRIPT).split("/")):
        words = re.sub(r"\s*(\*\*|\^)\s*", "^", part.strip()).replace("·", " ").replace("*", " ").split()
        if not words:
            if position == 0:
                continue
            raise _UnitError(f"'{text}' is not a unit", "write it like mL/h/mmHg")
        for index, word in enumerate(words):
            if word == "1":
                continue
            match = _FACTOR.match(word)
            if match is None:
                raise _UnitError(f"'{word}' is not a unit", "write it like mL/h/mmHg")
            exponent = int(match.group(2) or 1)
            divided = position > 0 and index == 0
            factors.append((_pint_name(match.group(1)), -exponent if divided else exponent))
    return factors


@lru_cache(maxsize=2048)
def _unit(text: str) -> tuple[float, str]:
    """Return (factor to internal units, dimension as text) of a unit."""
    from pint.errors import PintError, UndefinedUnitError

    units = registry()
    factor, dimension = 1.0, units.Unit("")
    for name, exponent in _split_unit(text):
        try:
            one = units.Quantity(1.0, units.parse_units(name)).to_base_units()
        except UndefinedUnitError:
            close = difflib.get_close_matches(name, _KNOWN_NAMES, n=1)
            hint = f"did you mean {close[0]}?" if close else "units look like mm, mL, nM, 1/day, mmHg, IU"
            raise _UnitError(f"unknown unit '{name}'", hint) from None
        except (PintError, ValueError, ArithmeticError) as error:
            raise _UnitError(f"'{name}' is not a unit ({error})", "units look like mm, mL, nM, 1/day") from None
        factor *= float(one.magnitude) ** exponent
        dimension = dimension * one.units**exponent
    if not (0.0 < factor < math.inf):
        raise _UnitError(f"'{text}' is out of range", "units look like mm, mL, nM, 1/day")
    container = sorted((str(key), float(power)) for key, power in units.Quantity(1.0, dimension).unit_items())
    round_factor = float(f"{factor:.12g}")  # 1e-9 * 1e9 and the like, to the number that was meant
    if abs(round_factor - factor) <= 8.0 * math.ulp(factor):
        factor = round_factor
    return factor, " ".join(f"{key}^{power:g}" for key, power in container)


def unit_factor(unit: str, place: str = "unit") -> float:
    """Return what one `unit` is in internal units (`unit_factor("mL")` = 1000 mm³).

    Raises
    ------
    InputError
        If the unit is not known.
    """
    try:
        return _unit(unit)[0]
    except _UnitError as error:
        raise InputError(place, error.problem, error.remedy) from None


def dimension_of(unit: str, place: str = "unit") -> str:
    """Return the dimension of a unit as text in internal base units; equal texts mean equal dimensions."""
    try:
        return _unit(unit)[1]
    except _UnitError as error:
        raise InputError(place, error.problem, error.remedy) from None


def split_quantity(text: object, place: str, example: str = "15 nM") -> tuple[float, str]:
    """Split `"0.1 mL"` into (0.1, "mL") without interpreting the unit.

    Raises
    ------
    InputError
        If the text does not begin with one finite number.
    """
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise InputError(place, f"{_shown(text)} is not a quantity", f"write a number with a unit, e.g. {example}")
    if isinstance(text, (int, float)):
        try:
            number = float(text)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise InputError(place, f"{text} is not a finite number", f"write e.g. {example}")
        return number, ""
    if _NOT_FINITE.match(text):
        raise InputError(place, f"'{shortened(text)}' is not a finite number", f"write e.g. {example}")
    stripped = text.strip()
    match = _NUMBER.match(stripped)
    if match is None:
        raise InputError(place, f"'{shortened(text)}' is not a number with a unit", f"write e.g. {example}")
    unit = stripped[match.end() :].strip()
    if re.match(r"[,_']\d", unit):
        raise InputError(
            place, f"'{shortened(text)}' has a thousands separator", "write 20000, not 20,000; a decimal point is '.'"
        )
    number = float(match.group())
    if not math.isfinite(number):
        raise InputError(place, f"'{shortened(text)}' is not a finite number", f"write e.g. {example}")
    return number, unit


def shortened(text: str) -> str:
    """Return a text on one line and at most 60 characters long, for messages."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."


def _shown(value: object) -> str:
    if value is None:
        return "an empty value"
    return f"'{shortened(str(value))}'"


def parse_quantity(
    text: object, dimension: str, place: str = "quantity", *, minimum: float | None = 0.0, positive: bool = False
) -> float:
    """Turn text with a unit into a number in internal units.

    Parameters
    ----------
    text
        What the user wrote, such as `"0.1 mL"`. A bare number is accepted only where `dimension` is "1".
    dimension
        A name of `DIMENSIONS`, or a unit of the wanted dimension such as `"mL/h/mmHg"`.
    place
        Where it was written, for the error.
    minimum
        Smallest value allowed, in internal units; None for no limit.
    positive
        Whether zero is refused too.

    Returns
    -------
    float
        Finite number in internal units (mm, h, fmol, mmHg, cells, µg, degC, IU; kg for hosts).

    Raises
    ------
    InputError
        On a bare number, an unknown unit, a wrong dimension, a negative, NaN or infinite number.
    """
    internal, example = DIMENSIONS.get(dimension, (dimension, f"1 {dimension}" if dimension != "1" else "0.3"))
    number, unit = split_quantity(text, place, example)
    wanted = dimension_of(internal, place)
    if not unit and wanted:
        raise InputError(place, f"{_shown(text)} has no unit", f"write it with its unit, e.g. {example}")
    factor, found = unit_factor(unit, place), dimension_of(unit, place)
    if found != wanted:
        if found == "microgram^1" and wanted == "kilogram^1":
            factor *= 1e-9  # the mass of a host in g or mg
        elif found == "kilogram^1" and wanted == "microgram^1":
            factor *= 1e9
        else:
            what = dimension if dimension in DIMENSIONS else f"a quantity in {dimension}"
            raise InputError(place, f"{_shown(text)} is not {_article(what)}", f"write e.g. {example}")
    value = number * factor
    if not math.isfinite(value):
        raise InputError(place, f"{_shown(text)} is not a finite number in internal units", f"write e.g. {example}")
    if positive and value <= 0.0:
        raise InputError(place, f"{_shown(text)} must be above zero", f"write e.g. {example}")
    if minimum is not None and value < minimum:
        problem = "must not be negative" if minimum == 0.0 else f"is below the minimum of {minimum:g}"
        raise InputError(place, f"{_shown(text)} {problem}", f"write e.g. {example}")
    return value


def _article(what: str) -> str:
    if what.startswith("a ") or what in ("cells", "dimensionless"):
        return what if what != "cells" else "a number of cells"
    return f"an {what}" if what[0] in "aeiou" else f"a {what}"


def format_quantity(value: float, unit: str, digits: int | None = None) -> str:
    """Write an internal number in a unit.

    Parameters
    ----------
    value
        Number in internal units.
    unit
        Unit to write it in.
    digits
        Significant digits; None writes as many as are needed for `parse_quantity` to give back the same float.

    Returns
    -------
    str
        Such as `"15 nM"`; a dimensionless number has no unit text.
    """
    factor = unit_factor(unit)
    name = "" if unit in ("", "1") else f" {unit}"
    if digits is not None:
        return f"{value / factor:.{digits}g}{name}"
    quotient = value / factor
    candidates = (quotient, math.nextafter(quotient, math.inf), math.nextafter(quotient, -math.inf))
    short = [float(f"{quotient:.{n}g}") for n in (12, 15, 16)]
    for candidate in (*short, *candidates):
        if candidate * factor == value:
            return f"{_plain(candidate)}{name}"
    container = dimension_of(unit)
    internal = " ".join(f"{_INTERNAL[part.split('^')[0]]}^{part.split('^')[1]}" for part in container.split())
    return f"{_plain(value)} {internal}"


_INTERNAL = {
    "millimetre": "mm",
    "hour": "h",
    "femtomole": "fmol",
    "millimetre_Hg": "mmHg",
    "cell": "cell",
    "microgram": "ug",
    "degree_Celsius": "degC",
    "international_unit": "IU",
    "kilogram": "kg",
}


def _plain(number: float) -> str:
    """Shortest text that reads back as the same float, without a trailing `.0`."""
    text = repr(float(number))
    return text[:-2] if text.endswith(".0") else text
