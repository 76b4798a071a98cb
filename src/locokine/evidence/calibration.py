"""What `locokine calibrate` fits: its stages, and how much computing they are worth (`calibration.yaml`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from locokine.errors import InputError
from locokine.evidence.library import Evidence, Group, Observation
from locokine.evidence.observables import OBSERVABLES
from locokine.parameters.library import Library
from locokine.parameters.reading import plain, read_file, read_yaml, suggest
from locokine.parameters.records import Record
from locokine.units import parse_quantity

FILE = Path(__file__).parent / "calibration.yaml"
START = Path(__file__).parent / "calibration_start.yaml"


@dataclass(frozen=True)
class Stage:
    """A stage: its name, what its rows measure, and how many parameters it may add to those that move."""

    name: str
    observables: tuple[str, ...]
    most: int


@dataclass(frozen=True)
class Requirement:
    """What every point must keep: an output of the first arm of a scenario on a day, within limits.

    Attributes
    ----------
    name
        In words.
    scenario
        As in a file of `locokine run`.
    quantity
        An output of lesions or of the host (`engine.variables`).
    day
        Day of the scenario.
    relative
        Whether the limits are relative to the first day.
    low, high
        Limits, in the unit of the output.
    """

    name: str
    scenario: Mapping[str, Any]
    quantity: str
    day: int
    relative: bool
    low: float
    high: float


@dataclass(frozen=True)
class Size:
    """How much computing a calibration is worth; see the comments of `calibration.yaml`.

    Attributes
    ----------
    prior, members
        Draws of the screening; members of the ensemble.
    steps, joint
        Steps of the ensemble in each stage, and in the last one with all rows.
    hosts
        Simulated hosts of a member and group.
    rounds, points
        Of the search for the best point.
    corrected
        Rounds of the search that follows the correction by shells; 0: shells are only compared with.
    judged, shells
        Hosts with which the point is judged, and with which it is looked at in shells.
    walk
        Steps of the sampler.
    draws, checked
        Draws of the posterior that are stored, and that are simulated.
    days, lesion_days
        Longest follow-up, and most lesions times days, of a scenario whose rows are fitted.
    hours
        Limit; what is left of steps and rounds by then is left out.
    """

    prior: int
    members: int
    steps: int
    joint: int
    hosts: int
    rounds: int
    points: int
    corrected: int
    judged: int
    shells: int
    walk: int
    draws: int
    checked: int
    days: float
    lesion_days: float
    hours: float


@dataclass(frozen=True)
class Schedule:
    """Stages in order, sizes by name, and what every point must keep."""

    stages: tuple[Stage, ...]
    sizes: Mapping[str, Size]
    requirements: tuple[Requirement, ...] = ()


@lru_cache(maxsize=4)
def read_schedule(path: Path = FILE) -> Schedule:
    """Read stages and sizes.

    Raises
    ------
    InputError
        If an observable does not exist, or belongs to two stages.
    """
    tree = plain(read_yaml(read_file(path), path.name))
    seen: dict[str, str] = {}
    for name, raw in tree["stages"].items():
        for observable in raw["observables"]:
            place = f"{path.name}, stages.{name}"
            if observable not in OBSERVABLES:
                raise InputError(place, f"there is no observable '{observable}'", suggest(observable, OBSERVABLES))
            if observable in seen:
                raise InputError(place, f"'{observable}' belongs to '{seen[observable]}' too", "name it once")
            seen[observable] = name
    stages = tuple(Stage(name, tuple(raw["observables"]), int(raw["most"])) for name, raw in tree["stages"].items())
    required = tuple(Requirement(name, **raw) for name, raw in tree.get("requirements", {}).items())
    return Schedule(stages, {name: Size(**raw) for name, raw in tree["sizes"].items()}, required)


def read_start(records: Mapping[str, Record], path: Path = START) -> dict[str, float]:
    """Where the search begins: values of OWNER.NAME in internal units; those that no fitted row uses are left out.

    Parameters
    ----------
    records
        Of the parameters that may move, by key.

    Raises
    ------
    InputError
        If a value has the wrong unit, or is outside the range of its record.
    """
    found: dict[str, float] = {}
    for key, text in plain(read_yaml(read_file(path), path.name)).items():
        if key not in records:
            continue
        record, place = records[key], f"{path.name}, {key}"
        value = parse_quantity(text, record.unit, place, minimum=None)
        slack = 1e-9 * max(abs(record.low), abs(record.high))
        if not record.low - slack <= value <= record.high + slack:
            raise InputError(place, f"{text} is outside the range of its record", "take a value within, or leave it out")
        found[key] = value
    return found


def staged(schedule: Schedule, rows: Sequence[Observation]) -> dict[str, list[Observation]]:
    """Rows of each stage; an observable that no stage names belongs to the last."""
    found: dict[str, list[Observation]] = {stage.name: [] for stage in schedule.stages}
    home = {observable: stage.name for stage in schedule.stages for observable in stage.observables}
    for row in rows:
        found[home.get(row.observable, schedule.stages[-1].name)].append(row)
    return found


def fitted_rows(evidence: Evidence, library: Library, size: Size) -> tuple[list[Observation], dict[str, str]]:
    """Rows that may be fitted and can be expressed, and those that cannot, or are too long, with the reason."""
    rows: list[Observation] = []
    left: dict[str, str] = {}
    for item in evidence.observations.values():
        if item.use != "calibrate":
            continue
        lacks = [lack for group in item.groups for lack in evidence.missing(group, library)]
        if lacks:
            left[item.name] = ", ".join(dict.fromkeys(lacks)) + " unknown"
        elif not all(_short(evidence, group, library, size) for group in item.groups):
            left[item.name] = "its scenario is too long for this size"
        else:
            rows.append(item)
    return rows, left


def _short(evidence: Evidence, group: Group, library: Library, size: Size) -> bool:
    protocol = evidence.experiment(group, 1, library).protocol
    days = protocol.follow_up / 24.0
    return days <= size.days and days * len(protocol.lesions) <= size.lesion_days
