"""Rows of evidence simulated for many draws of the parameters, kept by setting so that a killed calibration goes on.

A draw is a point in standard normal coordinates: one for each free parameter of the library (`inference.prior`), and one
for each unit whose size in IU is not known ("unit.unknown:UT", "unit.Cetus"), which scales the doses of its rows.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from locokine.evidence.library import Evidence, Group, Observation
from locokine.evidence.trial import Trial, scaled
from locokine.inference.ledger import Ledger
from locokine.inference.prior import Free, population_of, rows_of
from locokine.inference.rows import Reading, Stats, reading
from locokine.parameters.library import Library
from locokine.scenario.experiment import Experiment

Array = NDArray[np.float64]
COLUMNS = 256
"""Engine columns of one batch."""
LONG = 300.0
"""Lesion-days of a scenario above which it gets fewer hosts."""
FEWEST = 2
UNIT = "unit."
BIN = 0.5
"""Doses of uncertain units are given in steps of half a standard deviation, so that draws share a simulation."""


def unit_of(row: Observation) -> str | None:
    """Coordinate of the unit of a row's dose; rows of one laboratory or supplier share it."""
    if row.factor == (0.0, 0.0):
        return None
    supplier = row.dose[1]
    if supplier != "unknown":
        return UNIT + supplier
    return f"{UNIT}unknown:{''.join(takewhile(str.isalpha, row.name)) or row.name}"


class Setting(NamedTuple):
    """What has to be simulated once for all that is read from it."""

    scenario: str
    switches: tuple[tuple[str, bool], ...]
    overrides: tuple[tuple[str, str], ...]
    unit: str | None
    factor: tuple[float, float]


def setting_of(row: Observation, group: Group) -> Setting:
    """The setting of a group of a row."""
    return Setting(group.scenario, group.switches, group.overrides, unit_of(row), row.factor)


class Simulator(Protocol):
    """Whatever predicts rows for draws: the engine, or known functions in a test."""

    def __call__(self, rows: Sequence[Observation], names: Sequence[str], z: Array, hosts: int) -> dict[str, Reading]:
        """Row → its prediction in each draw; `z` has shape (draws, names)."""
        ...


@dataclass
class Sweep:
    """The engine as a `Simulator`.

    Attributes
    ----------
    evidence, library
        Scenarios and parameters.
    free
        Parameters that may move, by key.
    seed, threads
        Of subjects; of the engine.
    ledger
        Keeps what was simulated, with the seconds of processor time that it took.
    still
        Values of parameters that stay where they are, by key, where that is not the library's value.
    geometry
        "shells" runs solid tumours in shells; None as the scenario says.
    tell
        Told what is next.
    """

    evidence: Evidence
    library: Library
    free: Mapping[str, Free]
    seed: int = 1
    threads: int = 1
    ledger: Ledger = field(default_factory=lambda: Ledger(None, {}))
    still: Mapping[str, float] = field(default_factory=dict)
    geometry: str | None = None
    tell: Callable[[str], None] = lambda text: None
    _experiments: dict[Setting, Experiment] = field(default_factory=dict)
    _playing: dict[tuple[str, Setting], bool] = field(default_factory=dict)

    def experiment(self, setting: Setting) -> Experiment:
        """The experiment of a setting, in the geometry asked for."""
        if setting not in self._experiments:
            group = Group(setting.scenario, "", setting.switches, setting.overrides)
            found = self.evidence.experiment(group, self.seed, self.library)
            self._experiments[setting] = in_geometry(found, self.geometry)
        return self._experiments[setting]

    def plays(self, row: Observation, name: str) -> bool:
        """Whether a coordinate has a part in a row at all."""
        settings = {setting_of(row, group) for group in row.groups}
        return any(self._plays(name, self.experiment(setting), setting) for setting in settings)

    def __call__(self, rows: Sequence[Observation], names: Sequence[str], z: Array, hosts: int) -> dict[str, Reading]:
        """See `Simulator`."""
        wanted: dict[Setting, list[tuple[Observation, int]]] = {}
        for row in rows:
            for place, group in enumerate(row.groups):
                wanted.setdefault(setting_of(row, group), []).append((row, place))
        found: dict[tuple[str, int], Stats] = {}
        for setting, readers in wanted.items():
            found |= self._setting(setting, readers, names, z, hosts)
        return {row.name: reading(row, [found[row.name, i] for i in range(len(row.groups))]) for row in rows}

    def _setting(
        self, setting: Setting, readers: Sequence[tuple[Observation, int]], names: Sequence[str], z: Array, hosts: int
    ) -> dict[tuple[str, int], Stats]:
        experiment = self.experiment(setting)
        subjects = hosts_of(experiment, hosts)
        playing = [i for i, name in enumerate(names) if self._plays(name, experiment, setting)]
        read = [(row.name, place) for row, place in readers]
        first, back = alike(z[:, playing])
        key = key_of(setting, self.geometry, read, [names[i] for i in playing], z[first][:, playing], subjects)

        def make() -> dict[str, Array]:
            started = time.process_time()
            self.tell(f"{setting.scenario} ({len(first)} x {subjects})")
            made = self._simulate(experiment, setting, readers, names, z[first], subjects)
            return {**made, "seconds": np.array([time.process_time() - started])}

        kept = self.ledger.get(key, make)
        return {
            (name, place): Stats(*kept[f"{name}/{place}"][:, back]) for name, place in read
        }

    def _plays(self, name: str, experiment: Experiment, setting: Setting) -> bool:
        if name.startswith(UNIT):
            return name == setting.unit
        if (name, setting) not in self._playing:
            item = self.free[name]
            fixed = {key.rpartition(".")[2] for key in experiment.overrides}
            self._playing[name, setting] = item.parameter not in fixed and bool(rows_of(item, experiment))
        return self._playing[name, setting]

    def _simulate(
        self, experiment: Experiment, setting: Setting, readers: Sequence[tuple[Observation, int]],
        names: Sequence[str], z: Array, subjects: int,
    ) -> dict[str, Array]:
        """Statistics of every group in every draw, shape (3, draws) each."""
        out = {f"{row.name}/{place}": np.empty((3, len(z))) for row, place in readers}
        for dose, members in doses(setting, names, z):
            size = max(COLUMNS // subjects, 1)
            for part in (members[i:i + size] for i in range(0, len(members), size)):
                values = {
                    self.free[name]: np.full(len(part), value) for name, value in self.still.items()
                    if self._plays(name, experiment, setting)
                }
                values |= {
                    self.free[name]: self.free[name].at(z[part, i])
                    for i, name in enumerate(names)
                    if not name.startswith(UNIT) and self._plays(name, experiment, setting)
                }
                people = population_of(experiment, values, len(part), subjects)
                trial = Trial(scaled(experiment, dose), people, self.threads)
                for row, place in readers:
                    with np.errstate(all="ignore"), warnings.catch_warnings():
                        warnings.simplefilter("ignore", RuntimeWarning)  # all hosts of a draw dead: nan
                        read = row.read(trial, row.groups[place]).reshape(len(part), subjects)
                        stats = Stats.of(row.likelihood, read)
                    out[f"{row.name}/{place}"][:, part] = (stats.centre, stats.spread, stats.count)
        return out


@dataclass(frozen=True)
class Solid:
    """A sweep in another geometry, of rows with a lesion that the geometry changes (not in a cavity, not without lesion)."""

    sweep: Sweep

    def __call__(self, rows: Sequence[Observation], names: Sequence[str], z: Array, hosts: int) -> dict[str, Reading]:
        """See `Simulator`; only those rows."""
        chosen = [row for row in rows if any(self._solid(row, group) for group in row.groups)]
        return self.sweep(chosen, names, z, hosts)

    def _solid(self, row: Observation, group: Group) -> bool:
        experiment = self.sweep.experiment(setting_of(row, group))
        return any(plan.site != "peritoneum" for plan in experiment.protocol.lesions)


def in_geometry(experiment: Experiment, geometry: str | None) -> Experiment:
    """The same experiment in another geometry."""
    if geometry is None or experiment.protocol.geometry == geometry:
        return experiment
    from dataclasses import replace

    protocol = replace(experiment.protocol, geometry=geometry)
    return replace(experiment, protocol=protocol, source={**experiment.source, "geometry": geometry})


def alike(points: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that differ, in the order in which they first appear, and which of them every row is; of shape (n, k)."""
    if not points.shape[1]:
        return np.zeros(min(1, len(points)), dtype=np.int64), np.zeros(len(points), dtype=np.int64)
    _, first, back = np.unique(points, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return first[order], place[back.ravel()]


def hosts_of(experiment: Experiment, hosts: int) -> int:
    """Simulated hosts of a draw: fewer in long scenarios and with many lesions, which cost more and say more each."""
    work = max(len(experiment.protocol.lesions), 1) * experiment.protocol.follow_up / 24.0
    return max(min(hosts, round(hosts * LONG / work)), min(FEWEST, hosts))


def doses(setting: Setting, names: Sequence[str], z: Array) -> Iterable[tuple[float, NDArray[np.int64]]]:
    """Dose factor → the draws that are given it."""
    if setting.unit is None or setting.unit not in names:
        yield 1.0, np.arange(len(z))
        return
    steps = np.round(z[:, list(names).index(setting.unit)] / BIN) * BIN
    below, above = setting.factor
    for level in np.unique(steps):
        yield float(np.exp(level * (below if level < 0.0 else above))), np.flatnonzero(steps == level)


def key_of(*parts: Any) -> str:
    """Short hash of anything that is text, numbers and arrays."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        digest.update(b"|")
    return digest.hexdigest()[:24]
