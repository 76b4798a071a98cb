"""The time grid, made before the run from the protocol: the same for all subjects of an arm.

After each dose fine steps of a minute grow geometrically; biology is stepped over groups of them of at least a quarter
of an hour; away from doses both are `longest`. Every dose, implantation and output time is a grid point. The grid covers
every possible dose: rules only skip doses.
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

    longest: float = 0.5
    shortest: float = 1.0 / 90.0
    growth: float = 0.15
    biology: float = 0.125
    output: float = 4.0

    def finer(self, factor: float) -> Accuracy:
        """Return the same with steps `factor` times smaller (output times unchanged)."""
        return Accuracy(self.longest / factor, self.shortest / factor, self.growth / factor, self.biology / factor,
                        self.output)


@dataclass(frozen=True)
class Grid:
    """Steps of biology (`step`, h) and the fine steps inside each (`fine[first[i]:first[i + 1]]`)."""

    time: NDArray[np.float64]
    step: NDArray[np.float64]
    first: NDArray[np.int64]
    fine: NDArray[np.float64]


def make_grid(end: float, doses: Sequence[float], knots: Sequence[float], accuracy: Accuracy) -> Grid:
    """Build the grid from 0 to `end` h.

    Parameters
    ----------
    end
        Length of the run, h.
    doses
        Times after which steps begin small, h.
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
    starts = sorted({float(t) for t in doses if 0.0 <= t < end})
    marks = np.unique(np.round([*outputs, *starts, *(t for t in knots if 0.0 < t < end), 0.0, end], 9))
    step: list[float] = []
    first: list[int] = [0]
    fine: list[float] = []
    since = np.inf
    begins = {round(t, 9) for t in starts}
    for here, there in pairwise(marks):
        if round(float(here), 9) in begins:
            since = 0.0
        left = float(there - here)
        group = 0.0
        while left > 1e-9:
            wish = min(accuracy.longest, accuracy.shortest + accuracy.growth * since)
            count = np.ceil(left / wish - 1e-9)
            h = left / count if count <= 2 or wish >= accuracy.longest else wish
            fine.append(h)
            group += h
            since += h
            left -= h
            if group >= accuracy.biology - 1e-9 or left <= 1e-9:
                step.append(group)
                first.append(len(fine))
                group = 0.0
    steps = np.array(step)
    return Grid(np.concatenate([[0.0], np.cumsum(steps)]), steps, np.array(first, dtype=np.int64), np.array(fine))
