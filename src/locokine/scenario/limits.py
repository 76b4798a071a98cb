"""What no host can hold: lesions and doses larger than itself, a follow-up longer than a long life.

Everything below these limits is simulated, sensible or not; what is above is a slip of a power of ten or of a unit.
"""

from __future__ import annotations

from math import isnan

from locokine.errors import InputError
from locokine.scenario.experiment import Experiment, weight_of
from locokine.scenario.protocol import Dose, LesionPlan
from locokine.scenario.validate import Where

LONGEST = 36_500.0 * 24.0
"""Hundred years, h."""
FILLING = 1e6
"""Volume of a host relative to its mass, mm³/kg (that of water)."""
REMEDY = "look at the number and at its unit"


def check_limits(experiment: Experiment, where: Where, places: dict[str, tuple[str, ...]]) -> None:
    """Refuse what cannot be, before anything is simulated.

    Parameters
    ----------
    experiment, where
        What was asked, and where it was written.
    places
        Arm → place of each of its lines.

    Raises
    ------
    InputError
        If lesions or one dose exceed the host, or a time exceeds a hundred years.
    """
    protocol = experiment.protocol
    _lasting(protocol.follow_up, where.place("follow-up"))
    weight = weight_of(experiment.library.hosts[experiment.host].records)
    challenge = protocol.rechallenge
    if challenge is not None:
        _lasting(24.0 * challenge.observe, where.place("rechallenge", "observe"))
    if weight is None:
        return
    for plan in protocol.lesions:
        name = plan.name if plan.name in where.root.get("lesions", {}) else plan.name.rpartition("_")[0]
        _held(_volume(experiment, plan), weight, f"the tumour '{plan.name}'", where.place("lesions", name))
    _held(sum(_volume(experiment, plan) for plan in protocol.lesions), weight, "all tumours", where.place("lesions"))
    if challenge is not None:
        for line in challenge.lines:
            volume = _of_cells(experiment, line, challenge.cells)
            _held(volume, weight, f"the challenge with {line}", where.place("rechallenge", "cells"))
    for arm in protocol.arms:
        for dose in arm.doses:
            _dose_held(experiment, dose, weight, places[arm.name][dose.course])


def _lasting(hours: float, place: str) -> None:
    if hours > LONGEST:
        raise InputError(place, f"{_number(hours / 24.0)} days are more than a hundred years", REMEDY)


def _volume(experiment: Experiment, plan: LesionPlan) -> float:
    """Volume of a lesion when it is implanted, mm³."""
    return _of_cells(experiment, plan.line, plan.cells) if isnan(plan.volume) else plan.volume


def _of_cells(experiment: Experiment, line: str, cells: float) -> float:
    """Volume of cells alone, mm³ (0 for a line that does not say how large they are)."""
    cell = experiment.library.lines[line].records.get("cell_volume")
    return cells * cell.value if cell is not None else 0.0


def _held(volume: float, weight: float, what: str, place: str) -> None:
    if volume > FILLING * weight:
        raise InputError(place, f"{what} would take {_number(1e-3 * volume)} mL, in a host of {weight:g} kg", REMEDY)


def _dose_held(experiment: Experiment, dose: Dose, weight: float, place: str) -> None:
    units = experiment.agent_units(dose.agent)
    amount = dose.amount_per_kg * weight if isnan(dose.amount) else dose.amount
    if units.molar_mass is not None:
        mass = 1e-15 * amount * units.molar_mass  # kg, from fmol of so many kDa
        if mass > weight:
            raise InputError(place, f"a dose weighs {_number(mass)} kg, the host {weight:g} kg", REMEDY)
    if not isnan(dose.volume) and dose.volume > FILLING * weight:
        raise InputError(place, f"{_number(1e-3 * dose.volume)} mL are more than a host of {weight:g} kg holds", REMEDY)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10.0 else f"{value:.3g}"
