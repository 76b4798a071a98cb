"""Arm runs with known truth, for everything that reads results: no engine, every number chosen here."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locokine.engine.run import ArmRun
from locokine.engine.variables import BODY, FIELD, LESION, PLACES
from locokine.results.result import Result
from locokine.scenario.protocol import Arm, Dose, LesionPlan, Protocol, Rechallenge

Array = NDArray[np.float64]
LESION_AT = {item.name: i for i, item in enumerate(LESION)}
BODY_AT = {item.name: i for i, item in enumerate(BODY)}
NORMAL = {
    "plasma_volume": 1.0,
    "interstitial_volume": 4.0,
    "albumin": 4.2,
    "mean_arterial_pressure": 98.0,
    "vascular_resistance": 1.0,
    "cardiac_output": 1.0,
    "weight": 0.02,
    "temperature": 37.0,
    "organ_leak": 1.0,
}
"""A healthy host; every other body variable is 0."""
HEALTHY_RIM = {"rim_perfusion": 1.0, "perfusion": 1.0}
CELLS_PER_MM3 = 2e5


def sphere(diameter: float | Array) -> Any:
    """Volume in mm³ of a sphere of this diameter in mm."""
    return pi / 6.0 * np.asarray(diameter, dtype=np.float64) ** 3


def healthy_run(
    arm: str = "arm",
    subjects: int = 1,
    days: int = 60,
    lesions: Sequence[str] = ("tumour",),
    first: int = 0,
    detailed: int = 50,
    pictured: int = 2,
    seed: int | None = None,
) -> ArmRun:
    """Hosts with lesions of 100 mm³ that do nothing; with a seed, variables without a normal value are random."""
    agents = ("endogenous", "aldesleukin")
    hours = np.arange(days + 1) * 24.0
    body = np.zeros((len(BODY), days + 1, subjects))
    lesion = np.zeros((len(LESION), len(lesions), days + 1, subjects))
    fields = np.zeros((len(FIELD), len(lesions), 3, 4, max(min(pictured - first, subjects), 0)))
    if seed is not None:  # a stream per subject: what a subject is does not depend on who else is there
        for s in range(subjects):
            random = np.random.default_rng([seed, first + s])
            body[..., s] = random.random(body.shape[:-1])
            lesion[..., s] = random.random(lesion.shape[:-1])
            if s < fields.shape[-1]:
                fields[..., s] = random.random(fields.shape[:-1])
    for name, value in NORMAL.items():
        body[BODY_AT[name]] = value
    for name in ("pressor", "systemic_leak"):
        body[BODY_AT[name]] = 0.0
    for name in ("rim_leak", "rim_oedema"):
        lesion[LESION_AT[name]] = 0.0
    for name, value in HEALTHY_RIM.items():
        lesion[LESION_AT[name]] = value
    count = max(min(detailed - first, subjects), 0)
    run = ArmRun(
        arm=arm,
        lesions=tuple(lesions),
        agents=agents,
        subject_ids=np.arange(first, first + subjects),
        daily_time=hours,
        daily_lesion=lesion,
        daily_body=body,
        series_time=hours[:11] / 3.0,
        series_lesion=lesion[:, :, :11, :count].copy(),
        series_body=body[:, :11, :count].copy(),
        field_time=hours[:3],
        fields=fields,
        exposure=np.ones((len(PLACES), len(agents) + 1, 2, subjects)),
        dosed=np.zeros((len(agents), subjects)),
        reached_plasma=np.zeros((len(agents), subjects)),
        events={"subject": [], "time_h": [], "kind": [], "lesion": [], "value": []},
    )
    for i in range(len(lesions)):
        for s in range(subjects):
            set_volume(run, np.full(days + 1, 100.0), s, i)
    return run


def set_volume(run: ArmRun, volume: Array, subject: int = 0, lesion: int = 0, cells: Array | None = None) -> None:
    """Give a lesion this volume (mm³) on every day; cells follow it unless given."""
    for name in ("caliper_volume", "tumour_volume"):
        run.daily_lesion[LESION_AT[name], lesion, :, subject] = volume
    living = CELLS_PER_MM3 * np.nan_to_num(volume) if cells is None else cells
    run.daily_lesion[LESION_AT["viable_cells"], lesion, :, subject] = living


def set_diameter(run: ArmRun, diameter: Array, subject: int = 0, lesion: int = 0, cells: Array | None = None) -> None:
    """Give a lesion this diameter (mm) on every day."""
    set_volume(run, sphere(diameter), subject, lesion, cells)


def set_body(run: ArmRun, name: str, values: Any, subject: int = 0) -> None:
    """Give a body variable this value (on every day, or per day)."""
    run.daily_body[BODY_AT[name], :, subject] = values


def event(run: ArmRun, kind: str, day: float, subject: int = 0, lesion: str = "", value: float = 0.0) -> None:
    """Add an entry to the event log; `subject` is the column."""
    entry = (int(run.subject_ids[subject]), day * 24.0, kind, lesion, value)
    for name, item in zip(("subject", "time_h", "kind", "lesion", "value"), entry, strict=True):
        run.events[name].append(item)


def kill(run: ArmRun, day: float, kind: str, subject: int = 0) -> None:
    """End a life on this day: an event, and nan afterwards."""
    event(run, kind, day, subject)
    after = run.daily_time > day * 24.0
    run.daily_body[:, after, subject] = np.nan
    run.daily_lesion[:, :, after, subject] = np.nan


def course(days: int, *points: tuple[float, float]) -> Array:
    """Values for every day by linear interpolation between (day, value)."""
    return np.interp(np.arange(days + 1.0), [day for day, _ in points], [value for _, value in points])


def dose(day: float, lesions: Sequence[str] = ("tumour",), route: Any = "intratumoural") -> Dose:
    """A dose of aldesleukin."""
    return Dose(time=day * 24.0, agent="aldesleukin", amount=1.0, route=route, lesions=tuple(lesions))


def protocol(
    *arms: Arm,
    lesions: Sequence[LesionPlan] = (LesionPlan("tumour", "sl2", "subcutis", cells=1e5),),
    days: float = 60.0,
    rechallenge: Rechallenge | None = None,
) -> Protocol:
    """Protocol of these arms (one untreated arm called "arm" by default)."""
    return Protocol(
        lesions=tuple(lesions),
        agents=("aldesleukin",),
        arms=arms or (Arm("arm"),),
        follow_up=days * 24.0,
        rechallenge=rechallenge,
    )


def manifest(subjects: int, criteria: str = "caliper", **changes: Any) -> dict[str, Any]:
    """Manifest of a made-up experiment."""
    return {
        "experiment": "made up",
        "version": "0.0.0",
        "seed": 7,
        "subjects": subjects,
        "command": "run",
        "criteria": criteria,
        "input_hash": "0123",
        "library_hash": "4567",
    } | changes


def result_of(run: ArmRun, plan: Protocol | None = None, criteria: str = "caliper", **more: Any) -> Result:
    """Result of a single arm."""
    import locokine.outcome  # noqa: F401  tells results how outcomes are read

    return Result(manifest(run.subjects, criteria), plan or protocol(), {run.arm: run}, **more)
