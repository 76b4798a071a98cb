"""The time grid, made before the run from the protocol: the same for all subjects of an arm.

After each dose or implantation steps grow in proportion to the time since, from `biology` to `settled`, and later, slower,
to `longest`, as far as the growth of the tumour lets them; each is two halves, in which the solutes take fine steps that grow
in the same way from `shortest`. Every dose, implantation and output time is a grid point. The grid covers every possible
dose: rules only skip doses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from locokine.errors import InputError


@dataclass(frozen=True)
class Accuracy:
    """How finely time and space are cut; the defaults are chosen by the published error test (docs/verification).

    Attributes
    ----------
    longest
        Longest step, h.
    division
        Largest product of a step and the birth rate of the fastest line (a tumour that doubles daily asks for shorter steps
        than one that takes a month).
    settled
        Longest step, h, while what a dose did goes on; `later` times the time since it, if that is more.
    later, growth
        Step per time since the last dose, late and early; `growth` also holds for fine steps.
    biology, shortest
        First step after a dose, h, and first fine step.
    output
        Time between outputs, h.
    """

    longest: float = 4.0
    division: float = 0.05
    settled: float = 1.0
    later: float = 0.03
    growth: float = 0.1
    biology: float = 0.0225
    shortest: float = 1.0 / 60.0
    output: float = 4.0

    def finer(self, factor: float) -> Accuracy:
        """Return the same with steps `factor` times smaller (output times unchanged)."""
        steps = {item.name: getattr(self, item.name) / factor for item in fields(self) if item.name != "output"}
        return replace(self, **steps)

    def most(self, birth_rate: float) -> float:
        """Longest step, h, for lines that divide at most at `birth_rate` (1/h)."""
        return min(self.longest, self.division / birth_rate) if birth_rate > 0.0 else self.longest

    def wish(self, since: float, most: float) -> float:
        """Step, h, that is wished for `since` h after the last dose if it may be `most`."""
        return min(most, max(min(self.settled, self.biology + self.growth * since), self.later * since))


@dataclass(frozen=True)
class Grid:
    """Steps (`step`, h), and the fine steps of each half of them (`fine[first[2 i]:first[2 i + 1]]` in the first)."""

    time: NDArray[np.float64]
    step: NDArray[np.float64]
    first: NDArray[np.int64]
    fine: NDArray[np.float64]


def make_grid(end: float, starts: Sequence[float], knots: Sequence[float], accuracy: Accuracy, birth_rate: float) -> Grid:
    """Build the grid from 0 to `end` h.

    Parameters
    ----------
    end
        Length of the run, h.
    starts
        Times after which steps begin small (doses, implantations), h.
    knots
        Other times that must be grid points, h.
    accuracy
        Step sizes.
    birth_rate
        Of the line that divides fastest, 1/h.

    Raises
    ------
    InputError
        If the run is empty.
    """
    if not end > 0.0:
        raise InputError("follow-up", "the run has no length", "write e.g. follow-up: 60 days")
    outputs = np.arange(0.0, end, accuracy.output)
    starts = sorted({float(t) for t in starts if 0.0 <= t < end})
    marks = np.unique(np.round([*outputs, *starts, *(t for t in knots if 0.0 < t < end), 0.0, end], 9))
    step: list[float] = []
    time: list[float] = [0.0]
    first: list[int] = [0]
    fine: list[float] = []
    since, most = np.inf, accuracy.most(birth_rate)
    begins = {round(t, 9) for t in starts}
    for here, there in pairwise(marks):
        if round(float(here), 9) in begins:
            since = 0.0
        left = float(there - here)
        while left > 1e-9:
            wish = accuracy.wish(since, most)
            count = np.ceil(left / wish - 1e-9)
            h = left / count if count <= 2 or wish >= min(most, accuracy.settled) else wish
            for half in range(2):
                parts = fine_steps(0.5 * h, since + 0.5 * h * half, accuracy)
                fine.extend(parts)
                first.append(len(fine))
            step.append(h)
            since += h
            left -= h
            time.append(float(there) - left if left > 1e-9 else float(there))  # marks are met to the bit
    return Grid(np.array(time), np.array(step), np.array(first, dtype=np.int64), np.array(fine))


def fine_steps(length: float, since: float, accuracy: Accuracy) -> list[float]:
    """Steps of the solutes over `length` h that begins `since` h after the last dose."""
    made: list[float] = []
    left = length
    while left > 1e-9 * length:
        wish = accuracy.shortest + accuracy.growth * since
        count = np.ceil(left / wish - 1e-9) if np.isfinite(wish) else 1.0
        h = left / count if count <= 2 else wish
        made.append(h)
        since += h
        left -= h
    return made
