"""Amounts of doses: what a user writes (IU, suppliers' units, mass, moles, per kg) and an agent's own conversion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from locokine.errors import InputError
from locokine.units import dimension_of, shortened, split_quantity, unit_factor

Kind = Literal["activity", "mass", "substance"]
Per = Literal["host", "kg", "m2"]
_KINDS: dict[str, Kind] = {"international_unit^1": "activity", "microgram^1": "mass", "femtomole^1": "substance"}
_PER_KG, _PER_AREA, _PER_TIME = "kilogram^-1", "millimetre^-2", "hour^-1"
DOSE_EXAMPLES = "20000 IU, 3 MIU, 600000 IU/kg, 1e6 IU/m2/day, 1.2 ug, 80 pmol"


@dataclass(frozen=True)
class Amount:
    """The amount of a dose as written.

    Attributes
    ----------
    value
        In IU, µg or fmol (by `kind`), per kg of body weight or m² of body surface (by `per`), per h if `rate`.
    kind
        "activity" (IU and suppliers' units), "mass" or "substance".
    per
        What it is multiplied by: nothing ("host"), body weight ("kg") or body surface ("m2").
    text
        The user's own text.
    rate
        Whether it is an amount per time, as of an infusion.
    """

    value: float
    kind: Kind
    per: Per
    text: str
    rate: bool = False

    @property
    def per_kg(self) -> bool:
        """Whether it is per kg of body weight."""
        return self.per == "kg"


def parse_amount(text: str, place: str = "dose") -> Amount:
    """Read the amount of a dose: IU and multiples, `U[supplier]`, mass or moles; each also per kg or m², and per time.

    Raises
    ------
    InputError
        On a bare number or bare `U`, an unknown supplier, a unit that is not a dose (mL, mm, …), or a number
        that is negative or not finite.
    """
    number, unit = split_quantity(text, place, "20000 IU")
    if not unit:
        raise InputError(place, f"the dose '{shortened(text)}' has no unit", f"write e.g. {DOSE_EXAMPLES}")
    factor, dimension = unit_factor(unit, place), dimension_of(unit, place)
    parts = dimension.split()
    per_kg, per_area, rate = (part in parts for part in (_PER_KG, _PER_AREA, _PER_TIME))
    kind = _KINDS.get(" ".join(part for part in parts if part not in (_PER_KG, _PER_AREA, _PER_TIME)))
    if kind is None or (per_kg and per_area):
        raise InputError(
            place,
            f"'{shortened(text)}' is not a dose: {unit} is not a unit of activity, mass or substance",
            f"write e.g. {DOSE_EXAMPLES}",
        )
    value = number * factor * (1e6 if per_area else 1.0)  # per mm² → per m²
    if value < 0.0:
        raise InputError(place, f"the dose '{shortened(text)}' must not be negative", f"write e.g. {DOSE_EXAMPLES}")
    if not math.isfinite(value):
        raise InputError(place, f"the dose '{shortened(text)}' is not a finite number", f"write e.g. {DOSE_EXAMPLES}")
    per: Per = "kg" if per_kg else "m2" if per_area else "host"
    return Amount(value, kind, per, " ".join(text.split()), rate)


@dataclass(frozen=True)
class AgentUnits:
    """How one agent's activity, mass and amount of substance are connected.

    Attributes
    ----------
    molar_mass
        kDa; None where the agent carries no substance (a vehicle).
    fmol_per_iu
        fmol per IU; None where the agent has no units of activity.
    inert
        Whether the agent does nothing but take up volume, so that its amount may be left out.
    particles
        Whether it is made of particles, which are not put into blood.
    """

    molar_mass: float | None
    fmol_per_iu: float | None
    inert: bool = False
    particles: bool = False

    def to_fmol(self, amount: Amount, agent: str, place: str) -> float:
        """Return the amount in fmol (per kg, m² and h as the amount is).

        Raises
        ------
        InputError
            If the agent has no such unit.
        """
        if self.molar_mass is None:
            if amount.value == 0.0:
                return 0.0
            raise InputError(
                place,
                f"{agent} carries no substance, so '{amount.text}' cannot be given",
                "leave the amount out and state the volume, e.g. in 0.1 mL",
            )
        if amount.kind == "substance":
            return amount.value
        if amount.kind == "mass":
            return amount.value * 1e6 / self.molar_mass
        if self.fmol_per_iu is None:
            raise InputError(
                place,
                f"{agent} has no units of activity, so '{amount.text}' says nothing",
                "give its mass or amount of substance, e.g. 1.2 ug or 80 pmol",
            )
        return amount.value * self.fmol_per_iu

    def iu(self, fmol: float) -> float | None:
        """Return the activity in IU of an amount in fmol, or None."""
        return None if self.fmol_per_iu is None else fmol / self.fmol_per_iu

    def micrograms(self, fmol: float) -> float | None:
        """Return the mass in µg of an amount in fmol, or None."""
        return None if self.molar_mass is None else fmol * self.molar_mass * 1e-6
