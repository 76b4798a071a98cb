"""The state a slide is drawn from: one lesion of one subject at one stored time, whatever its geometry.

Everything that follows reads a `TissueState` and not the result, so that another geometry only has to fill this in and say
where its compartments lie (`section.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from locokine.engine.variables import DEATHS, FIELD, LESION
from locokine.errors import InputError
from locokine.histology.patterns import PATTERNS, Pattern, pattern_of
from locokine.scenario.protocol import CAVITIES

if TYPE_CHECKING:
    from locokine.results.result import Result

Array = NDArray[np.float64]

TRACK_DAYS = 5.0
"""How long a needle track stays visible (assumed; skin wounds of this size close within a week)."""
VESSEL_REMNANT_DAYS = 3.0
"""How long what is left of a destroyed vessel is recognised (assumed)."""
MITOSIS_HOURS = 0.8
"""Visible part of mitosis (assumed; 0.5 to 1 h in culture)."""
APOPTOSIS_HOURS = 3.0
"""How long an apoptotic body is seen (Kerr, Wyllie & Currie 1972, doi:10.1038/bjc.1972.33: hours)."""
FRESH_HOURS = 20.0
"""How long after death fragments of the nucleus are seen before they fade (assumed; karyolysis within 1 to 2 days)."""


@dataclass(frozen=True)
class Track:
    """A needle track: age in days, distance of its tip from the tumour's edge in mm (nan: into the centre)."""

    age: float
    distance: float


@dataclass(frozen=True)
class TissueState:
    """One lesion at one time.

    Attributes
    ----------
    experiment, arm, subject, lesion, day
        Which; `day` is the stored time, in days.
    geometry
        "shells", "well-mixed" or "cavity".
    site
        A site of `scenario.protocol.Site`.
    radius
        Outer radius of every compartment, mm, from the centre outwards.
    core
        Which compartments are tumour (or the fluid of a cavity); the others are the rim of host tissue.
    fields
        Name → value per compartment (`engine.variables.FIELD`), and "lost_vessels" (1/mm²: destroyed in the last days).
    lesion_values
        Name → value of the lesion (`engine.variables.LESION`).
    parameters
        This subject's parameters by name, the line's with them, internal units (mm, h, cells).
    births, killed, died
        Per living cell and hour: births, deaths other than by starvation; per dead cell present: deaths in `FRESH_HOURS`.
    tracks
        Needle tracks still to be seen, oldest first.
    seed
        Seed of the run.
    pattern
        How the tumour is built.
    """

    experiment: str
    arm: str
    subject: int
    lesion: str
    day: float
    geometry: str
    site: str
    radius: Array
    core: NDArray[np.bool_]
    fields: dict[str, Array]
    lesion_values: dict[str, float]
    parameters: dict[str, float]
    births: float
    killed: float
    died: float
    tracks: tuple[Track, ...]
    seed: int
    pattern: Pattern = PATTERNS["solid"]

    @property
    def volumes(self) -> Array:
        """Volume of every compartment, mm³."""
        cubes = np.concatenate([[0.0], self.radius**3])
        return 4.0 / 3.0 * np.pi * np.diff(cubes)

    @property
    def tumour_radius(self) -> float:
        """Radius of the tumour (or of the fluid), mm."""
        return float(self.radius[self.core].max())


def read_state(result: Result, arm: str, subject: int, day: float, lesion: str | None = None) -> TissueState:
    """Read the state of a lesion from a stored result.

    Parameters
    ----------
    result
        A result with fields.
    arm, subject, lesion
        Which; the first lesion by default.
    day
        In days; the nearest stored time is taken, at most half a storing interval away.

    Raises
    ------
    InputError
        If the arm, subject, lesion or day was not stored, or the host was dead or had no lesion then.
    """
    fields = result.fields
    _one_of("--arm", arm, list(result.arms), "arm")
    stored = [int(s) for s in fields["subject"].values]
    if int(subject) not in stored:
        told = f"{stored[0]} to {stored[-1]}" if stored else "none"
        raise InputError("--subject", f"the tissue of subject {subject} was not stored (stored: {told})", "name a stored one")
    lesions = [str(name) for name in fields["lesion"].values]
    lesion = lesions[0] if lesion is None else lesion
    _one_of("--lesion", lesion, lesions, "lesion")
    at = _nearest(fields["field_time"].values, day)
    here = fields.sel(arm=arm, subject=subject, lesion=lesion)
    now = here.isel(field_time=at)
    radius = np.asarray(now["radius"].values, dtype=float)
    if not (np.isfinite(radius).all() and radius[-1] > 0.0):
        raise InputError("--day", _why_nothing(result, arm, subject, day), "choose an earlier (or later) day")
    plan = next(item for item in result.protocol.lesions if item.name == lesion)
    cavity = plan.site in CAVITIES
    core = np.ones(radius.size, dtype=bool)
    core[-(1 if radius.size == 2 else result.protocol.rim_shells) :] = False
    hour = float(fields["field_time_h"].values[at])
    series = _series(result, arm, subject, lesion, hour)
    parameters, pattern = _parameters(result, subject, plan.line)
    values = {item.name: np.asarray(now[item.name].values, dtype=float) for item in FIELD if item.name != "radius"}
    values["lost_vessels"] = _lost_vessels(here, at)
    return TissueState(
        experiment=str(result.manifest.get("experiment", "")),
        arm=arm,
        subject=int(subject),
        lesion=lesion,
        day=hour / 24.0,
        geometry="cavity" if cavity else "shells" if radius.size > 2 else "well-mixed",
        site=plan.site,
        radius=radius,
        core=core,
        fields=values,
        lesion_values=series["now"],
        parameters=parameters,
        births=series["births"],
        killed=series["killed"],
        died=series["died"] / max(_dead_cells(series["now"], parameters), 1.0),
        tracks=_tracks(result, arm, subject, lesion, hour),
        seed=int(result.manifest["seed"]),
        pattern=pattern,
    )


def stored_days(result: Result) -> Array:
    """Days at which tissue was stored."""
    return np.asarray(result.fields["field_time"].values, dtype=float)


def _one_of(place: str, name: str, known: list[str], what: str) -> None:
    if name not in known:
        raise InputError(place, f"there is no {what} '{name}' in this result", f"use one of: {'; '.join(known)}")


def _nearest(days: Array, day: float) -> int:
    at = int(np.argmin(np.abs(days - day))) if days.size else -1
    step = float(np.diff(days).min()) if days.size > 1 else 0.0
    if at < 0 or not np.isfinite(day) or abs(float(days[at]) - day) > 0.5 * step + 1e-9:
        told = f"days {days[0]:g} to {days[-1]:g}, every {step:g}" if days.size else "none"
        raise InputError("--day", f"day {day:g} was not stored (stored: {told})", "name a stored day")
    return at


def _why_nothing(result: Result, arm: str, subject: int, day: float) -> str:
    events = result.events
    mine = (events["arm"] == arm) & (events["subject"] == subject) & events["kind"].isin(DEATHS)
    ends = events[mine & (events["time_h"] <= day * 24.0 + 1e-6)]
    if len(ends):
        last = ends.iloc[0]
        return f"subject {subject} was dead on day {day:g} ({str(last['kind']).replace('_', ' ')}, day {last['time_h'] / 24:.1f})"
    return f"subject {subject} had no lesion on day {day:g}"


def _lost_vessels(here: Any, at: int) -> Array:
    """Vessels per mm² of today's tissue that the last days destroyed: length then (its most) less length now."""
    times = here["field_time"].values
    window = slice(int(np.searchsorted(times, times[at] - VESSEL_REMNANT_DAYS - 1e-9)), at + 1)
    radius = np.asarray(here["radius"].values[window], dtype=float)
    cubes = np.concatenate([np.zeros((radius.shape[0], 1)), radius**3], axis=1)
    volume = 4.0 / 3.0 * np.pi * np.diff(cubes, axis=1)
    length = np.nan_to_num(np.asarray(here["vessel_density"].values[window], dtype=float) * volume)
    return np.maximum(length.max(axis=0) - length[-1], 0.0) / np.maximum(np.nan_to_num(volume[-1]), 1e-9)


def _series(result: Result, arm: str, subject: int, lesion: str, hour: float) -> dict[str, Any]:
    """Values of the lesion now, and rates from the cumulative counts around now."""
    series = result.series.sel(arm=arm, lesion=lesion, subject=subject)
    hours = np.asarray(series["time_h"].values, dtype=float)

    def at(name: str, when: float) -> float:
        values = np.asarray(series[name].values, dtype=float)
        known = np.isfinite(values)
        return float(np.interp(when, hours[known], values[known])) if known.any() else 0.0

    living = max(at("viable_cells", hour), 1e-9)
    causes = [item.name for item in LESION if item.name.startswith("deaths_")]

    def rate(name: str, back: float) -> float:
        return max(at(name, hour) - at(name, max(hour - back, 0.0)), 0.0)

    return {
        "now": {item.name: at(item.name, hour) for item in LESION},
        "births": rate("births", 6.0) / 6.0 / living,
        "killed": sum(rate(name, APOPTOSIS_HOURS) for name in causes if name != "deaths_starved") / APOPTOSIS_HOURS / living,
        "died": sum(rate(name, FRESH_HOURS) for name in causes),
    }


def _dead_cells(now: dict[str, float], parameters: dict[str, float]) -> float:
    return now["dead_volume"] / (parameters["dead_solid_share"] * parameters["cell_volume"])


def _parameters(result: Result, subject: int, line: str) -> tuple[dict[str, float], Pattern]:
    """Host, laws and line of this very subject; streams are prefixes of each other, so few have to be drawn."""
    from locokine.population import draw
    from locokine.scenario.load import load

    experiment = load(result.scenario)
    population = draw(experiment, subject + 1)
    prefix = f"line:{line}:"
    plain = {name: float(population[name][subject]) for name in population.names if ":" not in name}
    own = {name.removeprefix(prefix): float(population[name][subject]) for name in population.names if name.startswith(prefix)}
    return plain | own, pattern_of(str(experiment.library.lines[line].meta.get("histology", "solid")), line)


def _tracks(result: Result, arm: str, subject: int, lesion: str, hour: float) -> tuple[Track, ...]:
    """Doses really given into or beside this lesion (event log), as far as their tracks are still seen."""
    events = result.events
    mine = (events["arm"] == arm) & (events["subject"] == subject) & (events["kind"] == "dose")
    given = np.asarray(events[mine]["time_h"], dtype=float)
    doses = next(item for item in result.protocol.arms if item.name == arm).doses
    found = []
    for dose in doses:
        local = dose.route in ("intratumoural", "peritumoural") and (not dose.lesions or lesion in dose.lesions)
        age = (hour - dose.time) / 24.0
        if local and 0.0 <= age <= TRACK_DAYS and given.size and np.abs(given - dose.time).min() < 0.5:
            found.append(Track(age, dose.distance if dose.route == "peritumoural" else float("nan")))
    return tuple(sorted(found, key=lambda track: -track.age))
