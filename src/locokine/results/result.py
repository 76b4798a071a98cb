"""The result of one experiment: labelled views of what the engine handed over.

Nothing here interprets: responses, grades and cures are read by `locokine.outcome`, which stands below this folder and
therefore registers itself here (`Result.register_outcome`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from locokine.engine.run import ArmRun
from locokine.engine.variables import BODY, FIELD, LESION, PLACES, Variable
from locokine.results import schema
from locokine.scenario.protocol import Protocol

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = NDArray[np.float64]
NAIVE = "naive"
"""Stands for the arm in the keys of `Result.challenges` where hosts had no first tumour."""


class Result:
    """What happened in every host of every arm.

    Parameters
    ----------
    manifest
        Facts of the run: `experiment`, `version`, `seed`, `subjects`, `command`, `input_hash`, `library_hash`,
        `code` (hash of the equations), `criteria` ("recist" or "caliper").
    protocol
        What was given, to whom and when.
    runs
        Output of each arm. In a result opened from disk these hold only the subjects whose series were stored.
    challenges
        Output of each rechallenge, by (arm or "naive", line).
    scenario
        The resolved scenario: every parameter, seed and version.

    Attributes
    ----------
    complete
        Whether `runs` hold all subjects.
    """

    _assess: ClassVar[Callable[[Result], Any] | None] = None

    def __init__(
        self,
        manifest: Mapping[str, Any],
        protocol: Protocol,
        runs: Mapping[str, ArmRun],
        challenges: Mapping[tuple[str, str], ArmRun] | None = None,
        scenario: Mapping[str, Any] | None = None,
    ) -> None:
        self.manifest = dict(manifest)
        self.protocol = protocol
        self.runs = dict(runs)
        self.challenges = dict(challenges or {})
        self.scenario = dict(scenario or {})
        self.complete = True
        self.stored: dict[str, Any] = {}
        """Tables and datasets read from disk, by name; empty for a fresh result."""

    @classmethod
    def register_outcome(cls, assess: Callable[[Result], Any]) -> None:
        """Tell results how outcomes are read (called once, by `locokine.outcome`)."""
        cls._assess = staticmethod(assess)

    # ------------------------------------------------------------------ labelled views
    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms, in the order of the protocol."""
        return tuple(self.runs)

    @cached_property
    def daily(self) -> xr.Dataset:
        """Day values: lesion variables (arm, lesion, day, subject), body variables (arm, day, subject).

        `day` is in days; values after a host's death are nan. Opened from disk: the stored subjects only
        (`quantiles` is for all).
        """
        if "daily" in self.stored:
            return self.stored["daily"]
        return _series(self.runs, "day", "daily_time", "daily_lesion", "daily_body")

    def daily_of_first(self, count: int | None) -> xr.Dataset:
        """`daily` of the first `count` subjects (None: all), without touching the others."""
        if "daily" in self.stored:
            return self.stored["daily"].isel(subject=slice(None, count))
        return _series(self.runs, "day", "daily_time", "daily_lesion", "daily_body", count)

    @cached_property
    def series(self) -> xr.Dataset:
        """Full series of the first subjects: as `daily`, with `time` (in days) for `day`."""
        if "series" in self.stored:
            return self.stored["series"]
        return _series(self.runs, "time", "series_time", "series_lesion", "series_body")

    @cached_property
    def quantiles(self) -> xr.Dataset:
        """Quantiles over all living subjects for every day: as `daily`, with `quantile` for `subject`; `alive`."""
        if "quantiles" in self.stored:
            return self.stored["quantiles"]
        return _quantiles(self.runs)

    @cached_property
    def fields(self) -> xr.Dataset:
        """Radius–time fields: (arm, lesion, field_time in days, shell, subject)."""
        if "fields" in self.stored:
            return self.stored["fields"]
        return _fields(self.runs)

    @cached_property
    def exposure(self) -> xr.Dataset:
        """`peak_nM`, `auc_nM_h` (arm, place, agent, subject); amounts and bioavailability (arm, agent, subject)."""
        if "exposure" in self.stored:
            return self.stored["exposure"]
        return _exposure(self.runs)

    @cached_property
    def challenge_daily(self) -> xr.Dataset:
        """Day values of the rechallenges: (challenge, lesion, day, subject), nan where there is no subject."""
        if "challenges" in self.stored:
            return self.stored["challenges"]
        return _challenges(self.challenges)

    # ------------------------------------------------------------------ tables
    @cached_property
    def _all_events(self) -> pd.DataFrame:
        if "events" in self.stored:
            return self.stored["events"]
        return _events(self.runs, self.challenges)

    @cached_property
    def events(self) -> pd.DataFrame:
        """Event log: arm, subject, time_h, kind, lesion, value."""
        table = self._all_events
        return schema.where(table, table["challenge"] == "").drop(columns="challenge").reset_index(drop=True)

    @cached_property
    def challenge_events(self) -> pd.DataFrame:
        """Event log of the rechallenges: as `events`, with the line in `challenge`."""
        table = self._all_events
        return schema.where(table, table["challenge"] != "").reset_index(drop=True)

    @cached_property
    def outcome(self) -> Any:
        """Responses, toxicity, immunity and survival (`locokine.outcome.Outcome`)."""
        if Result._assess is None:
            raise RuntimeError("outcomes are read by locokine.outcome; import it first")
        return Result._assess(self)

    @property
    def subjects(self) -> pd.DataFrame:
        """A row per arm and subject, with its outcome (columns: `locokine.results.schema.SUBJECTS`)."""
        return self.outcome.subjects

    def summary(self) -> dict[str, Any]:
        """The content of `summary.json`."""
        return self.outcome.summary()

    # ------------------------------------------------------------------ disk
    def save(self, directory: str | Path, *, full: bool = False) -> Path:
        """Write the result to a folder; see `locokine.results.store.save`."""
        from locokine.results.store import save

        return save(self, Path(directory), full=full)

    @classmethod
    def open(cls, directory: str | Path) -> Result:
        """Read a result from a folder; see `locokine.results.store.open_result`."""
        from locokine.results.store import open_result

        return open_result(Path(directory))

    def __repr__(self) -> str:
        return (
            f"<locokine result: {self.manifest.get('experiment', '?')}, {len(self.runs)} arms, "
            f"{self.manifest.get('subjects', '?')} subjects each; research use only>"
        )


# ---------------------------------------------------------------------- building the views
def _labels(names: Sequence[str]) -> np.ndarray:
    return np.array(list(names), dtype=object)


def _about(item: Variable) -> dict[str, str]:
    return {"units": item.unit, "long_name": item.meaning}


def _clock(hours: Array, name: str) -> dict[str, tuple[str, Array, dict[str, str]]]:
    """Coordinate `name` in days, and `<name>_h`: the exact hours."""
    about = "time after day 0 00:00"
    return {
        name: (name, np.asarray(hours) / 24.0, {"units": "d", "long_name": about}),
        f"{name}_h": (name, np.asarray(hours, dtype=np.float64), {"units": "h", "long_name": about}),
    }


def _coordinates(runs: Mapping[str, ArmRun], subjects: int) -> dict[str, Any]:
    first = next(iter(runs.values()))
    return {
        "arm": ("arm", _labels(list(runs))),
        "lesion": ("lesion", _labels(first.lesions)),
        "subject": ("subject", first.subject_ids[:subjects], {"long_name": "number of the subject in the population"}),
    }


def _series(
    runs: Mapping[str, ArmRun], axis: str, time: str, lesion: str, body: str, most: int | None = None
) -> xr.Dataset:
    import xarray as xr

    first = next(iter(runs.values()))
    count = min(getattr(run, body).shape[-1] for run in runs.values())
    count = count if most is None else min(count, most)
    data: dict[str, Any] = {}
    for i, item in enumerate(LESION):
        values = np.stack([getattr(run, lesion)[i, ..., :count] for run in runs.values()])
        data[item.name] = (("arm", "lesion", axis, "subject"), values, _about(item))
    for i, item in enumerate(BODY):
        values = np.stack([getattr(run, body)[i, ..., :count] for run in runs.values()])
        data[item.name] = (("arm", axis, "subject"), values, _about(item))
    return xr.Dataset(data, coords=_coordinates(runs, count) | _clock(getattr(first, time), axis))


def quantile(values: Array, levels: Sequence[float]) -> Array:
    """Quantiles over the last axis without nan (linear, as `numpy.nanquantile`), much faster on large arrays.

    Returns an array of shape (levels, *values.shape[:-1]); nan where all values are.
    """
    ordered = np.sort(values, axis=-1)  # nan go last
    valid = np.sum(~np.isnan(values), axis=-1)
    last = np.maximum(valid - 1, 0)
    found = []
    for level in levels:
        place = last * level
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, last)
        below = np.take_along_axis(ordered, low[..., None], axis=-1)[..., 0]
        above = np.take_along_axis(ordered, high[..., None], axis=-1)[..., 0]
        found.append(np.where(valid > 0, below + (place - low) * (above - below), np.nan))
    return np.stack(found)


def _quantiles(runs: Mapping[str, ArmRun]) -> xr.Dataset:
    import xarray as xr

    first = next(iter(runs.values()))
    levels = schema.QUANTILES
    data: dict[str, Any] = {}
    for i, item in enumerate(LESION):
        values = np.stack([quantile(run.daily_lesion[i], levels) for run in runs.values()], axis=1)
        data[item.name] = (("quantile", "arm", "lesion", "day"), values, _about(item))
    for i, item in enumerate(BODY):
        values = np.stack([quantile(run.daily_body[i], levels) for run in runs.values()], axis=1)
        data[item.name] = (("quantile", "arm", "day"), values, _about(item))
    alive = np.stack([np.sum(~np.isnan(run.daily_body[0]), axis=-1) for run in runs.values()])
    data["alive"] = (("arm", "day"), alive, {"units": "count", "long_name": "living subjects"})
    coordinates = _coordinates(runs, 0)
    del coordinates["subject"]
    coordinates["quantile"] = ("quantile", np.array(levels))
    return xr.Dataset(data, coords=coordinates | _clock(first.daily_time, "day"))


def _fields(runs: Mapping[str, ArmRun]) -> xr.Dataset:
    import xarray as xr

    first = next(iter(runs.values()))
    count = min(run.pictured for run in runs.values())
    data = {
        item.name: (
            ("arm", "lesion", "field_time", "shell", "subject"),
            np.stack([run.fields[i, ..., :count] for run in runs.values()]),
            _about(item),
        )
        for i, item in enumerate(FIELD)
    }
    shell = ("shell", np.arange(first.fields.shape[3]), {"long_name": "shell, from the centre outwards"})
    coordinates = _clock(first.field_time, "field_time") | {"shell": shell}
    return xr.Dataset(data, coords=_coordinates(runs, count) | coordinates)


def _exposure(runs: Mapping[str, ArmRun]) -> xr.Dataset:
    import xarray as xr

    first = next(iter(runs.values()))
    peak = np.stack([run.exposure[:, :, 0, :] for run in runs.values()])
    area = np.stack([run.exposure[:, :, 1, :] for run in runs.values()])
    # "active" is a weighted sum over agents: it has concentrations but was not given as such
    none = np.full((len(runs), 1, first.subjects), np.nan)
    dosed = np.concatenate([np.stack([run.dosed for run in runs.values()]), none], axis=1)
    reached = np.concatenate([np.stack([run.reached_plasma for run in runs.values()]), none], axis=1)
    share = np.full_like(dosed, np.nan)
    np.divide(reached, dosed, out=share, where=dosed > 0.0)
    arrays = dict(zip((item.name for item in schema.EXPOSURE), (peak, area, dosed, reached, share), strict=True))
    data = {
        item.name: (
            ("arm", "place", "agent", "subject") if arrays[item.name].ndim == 4 else ("arm", "agent", "subject"),
            arrays[item.name],
            _about(item),
        )
        for item in schema.EXPOSURE
    }
    coordinates = _coordinates(runs, first.subjects)
    del coordinates["lesion"]
    coordinates |= {"place": ("place", _labels(PLACES)), "agent": ("agent", _labels([*first.agents, "active"]))}
    return xr.Dataset(data, coords=coordinates)


def _challenges(challenges: Mapping[tuple[str, str], ArmRun]) -> xr.Dataset:
    """Rechallenges side by side; those with fewer subjects, lesions or days are padded with nan."""
    import xarray as xr

    runs = list(challenges.values())
    lesions = list(dict.fromkeys(name for run in runs for name in run.lesions))
    days = max((len(run.daily_time) for run in runs), default=0)
    count = max((run.subjects for run in runs), default=0)
    data: dict[str, Any] = {}
    lesion_values = np.full((len(LESION), len(runs), len(lesions), days, count), np.nan)
    body_values = np.full((len(BODY), len(runs), days, count), np.nan)
    subjects = np.full((len(runs), count), -1, dtype=np.int64)
    hours = np.full((len(runs), days), np.nan)
    for i, run in enumerate(runs):
        length, hosts = len(run.daily_time), run.subjects
        rows = [lesions.index(name) for name in run.lesions]
        for place, row in enumerate(rows):
            lesion_values[:, i, row, :length, :hosts] = run.daily_lesion[:, place]
        body_values[:, i, :length, :hosts] = run.daily_body
        subjects[i, :hosts] = run.subject_ids
        hours[i, :length] = run.daily_time
    for i, item in enumerate(LESION):
        data[item.name] = (("challenge", "lesion", "day", "subject"), lesion_values[i], _about(item))
    for i, item in enumerate(BODY):
        data[item.name] = (("challenge", "day", "subject"), body_values[i], _about(item))
    data["subject_id"] = (("challenge", "subject"), subjects, {"long_name": "number in the population; -1 none"})
    data["time_h"] = (("challenge", "day"), hours, {"units": "h", "long_name": "time in the engine's clock"})
    coordinates = {
        "lesion": ("lesion", _labels(lesions)),
        "arm": ("challenge", _labels([arm for arm, _ in challenges])),
        "line": ("challenge", _labels([line for _, line in challenges])),
        "day": ("day", np.arange(days, dtype=np.float64), {"units": "d", "long_name": "days since the first value"}),
    }
    return xr.Dataset(data, coords=coordinates)


def _events(runs: Mapping[str, ArmRun], challenges: Mapping[tuple[str, str], ArmRun]) -> pd.DataFrame:
    import pandas as pd

    names = [item.name for item in schema.EVENT_COLUMNS]
    parts = [(arm, "", run) for arm, run in runs.items()]
    parts += [(arm, line, run) for (arm, line), run in challenges.items()]
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for arm, line, run in parts:
        count = len(run.events["subject"])
        columns["arm"] += [arm] * count
        columns["challenge"] += [line] * count
        for name in ("subject", "time_h", "kind", "lesion", "value"):
            columns[name] += run.events[name]
    kinds = {"subject": "int64", "time_h": "float64", "value": "float64"}
    return pd.DataFrame({name: pd.Series(columns[name], dtype=kinds.get(name, "str")) for name in names})
