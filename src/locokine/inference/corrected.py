"""Predictions between two geometries: well-mixed ones corrected by half of what shells change, the other half an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locokine.evidence.library import Observation
from locokine.inference.rows import Reading
from locokine.inference.sweep import Simulator

Array = NDArray[np.float64]


def corrected(found: Mapping[str, Reading], shells: Mapping[str, tuple[Reading, Reading]]) -> dict[str, Reading]:
    """Predictions half-way between both geometries; half of what lies between them is an error of either."""
    made = dict(found)
    for name, (fine, coarse) in shells.items():
        half = 0.5 * float(fine.value[0] - coarse.value[0])
        old = found[name]
        made[name] = Reading(old.value + half, old.chance + half * half, old.sampled)
    return made


@dataclass(frozen=True)
class Corrected:
    """A simulator whose predictions are corrected by what shells change."""

    simulate: Simulator
    shells: Mapping[str, tuple[Reading, Reading]]

    def __call__(self, rows: Sequence[Observation], names: Sequence[str], z: Array, hosts: int) -> dict[str, Reading]:
        """See `Simulator`."""
        wanted = {row.name for row in rows}
        return corrected(
            self.simulate(rows, names, z, hosts), {name: pair for name, pair in self.shells.items() if name in wanted}
        )
