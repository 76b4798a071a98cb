"""A calibration in progress: what is fitted, what may move, what predicts, and the points that were simulated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from locokine.evidence.calibration import Schedule, Size
from locokine.evidence.library import Observation
from locokine.evidence.score import STRATA
from locokine.inference import emulate
from locokine.inference.prior import Free
from locokine.inference.rows import Reading, Target, targets, worth
from locokine.inference.sweep import UNIT, Simulator
from locokine.population.draw import stream

Array = NDArray[np.float64]
LIMIT = 1.6448536269514722
"""Furthest coordinate: nothing leaves the range that its record states."""
NEAREST = 4
"""Points that a regression uses, per parameter that moves."""
FORBIDDEN = 1e4
"""What breaking a requirement costs: more than all rows together can gain."""
Tell = Callable[[str], None]


@dataclass
class Points:
    """Simulated points: coordinates (points, n), the prediction of every row, and with how many hosts."""

    z: Array
    found: dict[str, Reading]

    def __len__(self) -> int:
        return len(self.z)

    def add(self, z: Array, found: Mapping[str, Reading]) -> None:
        """More of them."""
        self.z = np.concatenate([self.z, z])
        self.found = {name: Reading.joined([old, found[name]]) for name, old in self.found.items()}

    def part(self, which: NDArray[np.int64]) -> dict[str, Reading]:
        """Predictions of some."""
        return {name: reading.part(which) for name, reading in self.found.items()}


class Requirements(Protocol):
    """What every point must keep: limits of shape (requirements,), logarithms."""

    @property
    def low(self) -> Array:
        """Least."""
        ...

    @property
    def high(self) -> Array:
        """Most."""
        ...

    def __call__(self, names: Sequence[str], z: Array) -> Array:
        """Logarithms of what is read in draws (draws, names); shape (requirements, draws)."""
        ...

    def plays(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Which coordinate has a part in which of them; shape (requirements, names)."""
        ...


class Nothing:
    """No requirement."""

    low = high = np.zeros(0)

    def __call__(self, names: Sequence[str], z: Array) -> Array:
        """See `Requirements`."""
        return np.zeros((0, len(z)))

    def plays(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """See `Requirements`."""
        return np.zeros((0, len(names)), dtype=bool)


@dataclass
class Study:
    """A calibration in progress.

    Attributes
    ----------
    rows
        What is fitted.
    schedule, size
        Stages, and how much computing.
    free
        Parameters that may move, by key.
    units
        Coordinates of units whose size is not known.
    simulate
        Predicts rows.
    shells
        Predicts rows with solid tumours in shells; None where there is no such thing.
    seed
        Of everything.
    spent
        Seconds of simulation so far; what an interrupted calibration has kept counts when it is asked for.
    plays
        Whether a coordinate has a part in a row at all.
    required
        Reads what every point must keep.
    origin
        Where the search begins, and where what gains nothing stays: values by key; the medians of the priors without.
    trace
        What was done: one mapping a step.
    """

    rows: Sequence[Observation]
    schedule: Schedule
    size: Size
    free: Mapping[str, Free]
    units: Sequence[str]
    simulate: Simulator
    shells: Simulator | None = None
    seed: int = 1
    spent: Callable[[], float] = lambda: 0.0
    tell: Tell = lambda text: None
    plays: Callable[[Observation, str], bool] = lambda row, name: True
    required: Requirements = field(default_factory=Nothing)
    origin: Mapping[str, float] = field(default_factory=dict)
    trace: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.goals: dict[str, Target] = {goal.name: goal for goal in targets(self.rows)}

    def start(self, names: Sequence[str]) -> Array:
        """Coordinates where the search begins, and of what does not move; 0 for units."""
        here = [self.free[name].coordinate(self.origin[name]) if name in self.origin else 0.0 for name in names]
        return np.clip(here, -LIMIT, LIMIT)

    @property
    def spreads(self) -> list[str]:
        """Parameters that are spreads: they move from the last stage on, all of them."""
        return [key for key, item in self.free.items() if item.spread]

    def late(self, share: float) -> bool:
        """Whether so large a share of the time is used up."""
        return self.spent() > share * 3600.0 * self.size.hours

    def part(self, rows: Sequence[Observation], names: Sequence[str]) -> NDArray[np.bool_]:
        """Which coordinate has a part in which row; shape (names, rows)."""
        return np.array([[self.plays(row, name) for row in rows] for name in names], dtype=bool).reshape(len(names), len(rows))

    def surfaces(self, names: Sequence[str], points: Points, centre: Array) -> dict[str, emulate.Surface]:
        """Regressions of all rows around a point."""
        goals, nearest = list(self.goals.values()), NEAREST * len(names) + 60
        return emulate.fit_surfaces(points.z, goals, points.found, centre, nearest, self.part(self.rows, names))

    def at_doses(self, names: Sequence[str], z: Array) -> list[Array]:
        """The same points with all units at each of the doses of the scoreboard (the library knows no fitted unit)."""
        units = np.array([name.startswith(UNIT) for name in names], dtype=bool)
        if not units.any():
            return [z]
        return [np.where(units, level, z) for level in STRATA]

    def broken(self, names: Sequence[str], z: Array) -> Array:
        """By how much draws break requirements, all together; 0 where all are kept."""
        readings, low, high = self.required(names, z), self.required.low[:, None], self.required.high[:, None]
        return (np.maximum(low - readings, 0.0) + np.maximum(readings - high, 0.0)).sum(axis=0)

    def judge(self, names: Sequence[str], z: Array, least: int = 0) -> tuple[Array, Array, dict[str, Reading]]:
        """What points are worth, with at least so many hosts; all points that were simulated for it; their predictions."""
        doses = self.at_doses(names, z)
        found = [self.simulate(self.rows, names, one, max(self.size.judged, least)) for one in doses]
        together = {name: Reading.joined([one[name] for one in found]) for name in found[0]}
        broken = self.broken(names, z)
        values = worth(z, list(self.goals.values()), found) - FORBIDDEN * ((broken > 0.0) + broken)
        return values, np.concatenate(doses), together

    def note(self, **facts: object) -> None:
        """Keep a line of the trace and tell it."""
        self.trace.append({**facts, "minutes": round(self.spent() / 60.0, 2)})
        self.tell(", ".join(f"{name} {value}" for name, value in self.trace[-1].items()))

    def draws(self, names: Sequence[str], count: int) -> Array:
        """Coordinates of the prior within the limit, shape (count, names): every coordinate from its own stream."""
        return np.stack([ranged(stream(self.seed, f"prior:{name}", count)) for name in names], axis=1)


def ranged(u: Array) -> Array:
    """Standard normal numbers within the limit, from uniform ones."""
    from scipy.special import ndtr, ndtri

    low = ndtr(-LIMIT)
    return np.clip(np.asarray(ndtri(low + (1.0 - 2.0 * low) * u)), -LIMIT, LIMIT)
