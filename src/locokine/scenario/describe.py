"""What a scenario means before anything runs: dose tables, lesions, estimated time and memory. Data only, no layout."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from locokine.scenario.experiment import Experiment
from locokine.scenario.protocol import CAVITIES, Act, Arm, Dose

HOURS_PER_DAY = 24.0

# Lesion-subjects of 60 days per second on two threads, by geometry (shells: for 32 shells), as the benchmark
# measures them; replaced by the numbers of the machine at hand where the caller knows them.
RATES: dict[str, float] = {"shells": 90.0, "well-mixed": 600.0}
REFERENCE_SHELLS = 32
REFERENCE_DAYS = 60.0
BYTES_PER_VALUE = 8
VARIABLES = 69
"""Reported quantities per lesion and host together (engine.variables), for the estimate of memory."""
BASE_MEMORY = 350e6
"""Interpreter, libraries and compiled engine, bytes."""


@dataclass(frozen=True)
class DoseAmounts:
    """One amount in all its units; None where the agent has no such unit, or the amount is not known.

    `iu`, `micrograms`, `nanomoles`, and `per_kg` in IU/kg (µg/kg where the agent has no units of activity).
    """

    iu: float | None
    micrograms: float | None
    nanomoles: float | None
    iu_per_kg: float | None
    micrograms_per_kg: float | None


@dataclass(frozen=True)
class CourseRow:
    """One dosing line: what each dose, each day and the whole course give to one host of median mass.

    `per_day` is that of the day with most doses; `volume` (mm³) and `duration` (h) are per dose, `distance` (mm) is how far
    beside the lesion (None where it is not given there). All of it is what is planned: rules may hold or end it.
    """

    text: str
    agent: str
    route: str
    doses: int
    first_day: float
    last_day: float
    per_dose: DoseAmounts
    per_day: DoseAmounts
    total: DoseAmounts
    volume: float | None
    duration: float
    lesions: tuple[str, ...]
    per_lesion: bool
    rules: tuple[str, ...]
    points: int = 1
    distance: float | None = None


@dataclass(frozen=True)
class LesionRow:
    """One lesion: cells or volume (mm³) with the diameter (mm) of a sphere, and its first day."""

    name: str
    line: str
    label: str
    site: str
    cells: float | None
    volume: float | None
    diameter: float | None
    day: float


@dataclass(frozen=True)
class Estimate:
    """Rough cost: lesion-subjects of 60 days, seconds and bytes."""

    units: float
    seconds: float
    memory: float


@dataclass(frozen=True)
class Description:
    """Everything that `locokine check` shows."""

    name: str
    description: str
    host: str
    host_label: str
    host_weight_kg: float
    subjects: int
    seed: int
    follow_up_days: float
    geometry: str
    shells: int
    lesions: tuple[LesionRow, ...]
    arms: dict[str, tuple[CourseRow, ...]]
    rechallenge: str
    switches: dict[str, bool]
    overrides: dict[str, str]
    estimate: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, numbers and text, ready for JSON."""
        return dataclasses.asdict(self)


def describe(experiment: Experiment, threads: int = 2, rates: dict[str, float] | None = None) -> Description:
    """Return what an experiment means.

    Parameters
    ----------
    experiment
        As loaded.
    threads
        Threads that the run will use; more than two are credited in proportion.
    rates
        Lesion-subjects of 60 days per second on two threads, by geometry, instead of `RATES`.
    """
    protocol = experiment.protocol
    plan = protocol.rechallenge
    challenge = ""
    if plan is not None:
        what = f"{', '.join(plan.lines)}: {plan.cells:g} cells, {plan.site}"
        challenge = f"{what}, read after {plan.observe:g} days, beside naive controls"
    overrides = {}
    for key, text in experiment.resolved()["overrides"].items():
        overrides[key] = str(text)
    return Description(
        name=experiment.name,
        description=experiment.description,
        host=experiment.host,
        host_label=experiment.host_entry.label,
        host_weight_kg=experiment.host_weight_kg,
        subjects=experiment.subjects,
        seed=experiment.seed,
        follow_up_days=protocol.follow_up / HOURS_PER_DAY,
        geometry=protocol.geometry,
        shells=protocol.shells,
        lesions=tuple(_lesion_row(experiment, index) for index in range(len(protocol.lesions))),
        arms={arm.name: _course_rows(experiment, arm) for arm in protocol.arms},
        rechallenge=challenge,
        switches=dict(protocol.switches),
        overrides=overrides,
        estimate=estimate(experiment, threads, rates),
    )


def estimate(experiment: Experiment, threads: int = 2, rates: dict[str, float] | None = None) -> Estimate:
    """Return the estimated cost of a run: simulation only, without compiling and the report."""
    protocol = experiment.protocol
    days = protocol.follow_up / HOURS_PER_DAY
    solid = sum(plan.site not in CAVITIES for plan in protocol.lesions)
    cavities = len(protocol.lesions) - solid
    known = {**RATES, **(rates or {})}
    share = threads / 2.0
    per_arm = experiment.subjects * days / REFERENCE_DAYS
    arms = len(protocol.arms)
    solid_rate = known[protocol.geometry]
    if protocol.geometry == "shells":
        solid_rate *= REFERENCE_SHELLS / (protocol.shells + protocol.rim_shells)
    seconds = arms * per_arm * (solid / solid_rate + cavities / known["well-mixed"]) / share
    units = arms * per_arm * len(protocol.lesions)
    if protocol.rechallenge is not None:
        challenged = (
            (arms + 1)
            * len(protocol.rechallenge.lines)
            * experiment.subjects
            * protocol.rechallenge.observe
            / REFERENCE_DAYS
        )
        units += challenged
        seconds += challenged / solid_rate / share
    stored = experiment.subjects * arms * (days + 1.0) * VARIABLES * max(1, len(protocol.lesions)) * BYTES_PER_VALUE
    return Estimate(units, seconds, BASE_MEMORY + stored)


def _lesion_row(experiment: Experiment, index: int) -> LesionRow:
    plan = experiment.protocol.lesions[index]
    solid = math.isfinite(plan.volume)
    diameter = (6.0 * plan.volume / math.pi) ** (1.0 / 3.0) if solid else None
    return LesionRow(
        plan.name,
        plan.line,
        experiment.library.lines[plan.line].label,
        plan.site,
        None if solid else plan.cells,
        plan.volume if solid else None,
        diameter,
        plan.day,
    )


def _course_rows(experiment: Experiment, arm: Arm) -> tuple[CourseRow, ...]:
    acted = {act.course for act in arm.acts}
    return tuple(
        _act_row(text, [act for act in arm.acts if act.course == index]) if index in acted
        else _course_row(experiment, arm, index, text)
        for index, text in enumerate(arm.text)
    )


def _act_row(text: str, acts: list[Act]) -> CourseRow:
    """One line of radiotherapy or surgery; it has no amounts."""
    first, none = acts[0], DoseAmounts(None, None, None, None, None)
    what = "surgery"
    if first.kind == "radiotherapy":
        what = f"{first.size:g} Gy" if len(acts) == 1 else f"{first.size:g} Gy each, {first.size * len(acts):g} Gy in all"
    return CourseRow(
        text, first.kind, what, len(acts), first.time / HOURS_PER_DAY, acts[-1].time / HOURS_PER_DAY, none, none, none,
        None, 0.0, first.lesions, False, (),
    )


def _given(dose: Dose, weight: float) -> float:
    """Amount that one administration gives to one host of a mass (kg), fmol."""
    amount = dose.amount if math.isfinite(dose.amount) else dose.amount_per_kg * weight
    return amount * len(dose.lesions) if dose.per_lesion else amount


def _course_row(experiment: Experiment, arm: Arm, index: int, text: str) -> CourseRow:
    doses = [dose for dose in arm.doses if dose.course == index]
    weight = experiment.host_weight_kg
    per_day: dict[int, float] = {}
    for dose in doses:
        day = math.floor(dose.time / HOURS_PER_DAY + 1e-9)
        per_day[day] = per_day.get(day, 0.0) + _given(dose, weight)
    first = doses[0]

    def amounts(fmol: float) -> DoseAmounts:
        return _amounts(experiment, first.agent, fmol, weight)

    volume = first.volume * (len(first.lesions) if first.per_lesion else 1)
    rules = tuple(_rule_text(rule.kind, rule.term, rule.grade, rule.share) for rule in arm.rules if rule.course == index)
    return CourseRow(
        text=text,
        agent=first.agent,
        route=first.route,
        doses=len(doses),
        first_day=first.time / HOURS_PER_DAY,
        last_day=doses[-1].time / HOURS_PER_DAY,
        per_dose=amounts(_given(first, weight)),
        per_day=amounts(max(per_day.values())),
        total=amounts(sum(_given(dose, weight) for dose in doses)),
        volume=volume if math.isfinite(volume) else None,
        duration=first.duration,
        lesions=first.lesions,
        per_lesion=first.per_lesion,
        rules=rules,
        points=first.points,
        distance=first.distance if first.route == "peritumoural" else None,
    )


def _amounts(experiment: Experiment, agent: str, fmol: float, weight: float) -> DoseAmounts:
    units = experiment.agent_units(agent)
    iu, mass = units.iu(fmol), units.micrograms(fmol)
    return DoseAmounts(
        iu,
        mass,
        None if mass is None else fmol * 1e-6,
        None if iu is None else iu / weight,
        None if mass is None else mass / weight,
    )


def _rule_text(kind: str, term: str, grade: int, share: float = 1.0) -> str:
    words = term.replace("_", " ")
    return {
        "until": f"until {words}", "hold": f"hold while {words} >= {grade}", "stop": f"stop at {words} >= {grade}",
        "reduce": f"reduce to {100.0 * share:g} % at {words} >= {grade}",
    }[kind]
