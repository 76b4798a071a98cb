"""The time grid, made before the run from the protocol: the same for all subjects of an arm.

After each dose or implantation steps grow in proportion to the time since, from `biology` to `longest`; each is two halves,
in which the solutes take fine steps that grow in the same way from `shortest`. Every dose, implantation and output time is a grid
point. The grid covers every possible dose: rules only skip doses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from locokine.errors import InputError


@dataclass(frozen=True)
class Accuracy:
    """How finely time and space are cut; the defaults are chosen by the published error test (docs/verification)."""

    longest: float = 4.0 / 3.0
    shortest: float = 1.0 / 60.0
    growth: float = 0.075
    biology: float = 0.0225
    output: float = 4.0

    def finer(self, factor: float) -> Accuracy:
        """Return the same with steps `factor` times smaller (output times unchanged)."""
        return Accuracy(self.longest / factor, self.shortest / factor, self.growth / factor, self.biology / factor,
                        self.output)


@dataclass(frozen=True)
class Grid:
    """Steps (`step`, h), and the fine steps of each half of them (`fine[first[2 i]:first[2 i + 1]]` in the first)."""

    time: NDArray[np.float64]
    step: NDArray[np.float64]
    first: NDArray[np.int64]
    fine: NDArray[np.float64]


def make_grid(end: float, starts: Sequence[float], knots: Sequence[float], accuracy: Accuracy) -> Grid:
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
    since = np.inf
    begins = {round(t, 9) for t in starts}
    for here, there in pairwise(marks):
        if round(float(here), 9) in begins:
            since = 0.0
        left = float(there - here)
        while left > 1e-9:
            wish = min(accuracy.longest, accuracy.biology + accuracy.growth * since)
            count = np.ceil(left / wish - 1e-9)
            h = left / count if count <= 2 or wish >= accuracy.longest else wish
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
