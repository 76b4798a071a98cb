"""What is on a section: profiles of cells and of vessels, and maps of what is dead or hypoxic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locokine.histology import noise
from locokine.histology.kinds import ABOUT, Kind
from locokine.histology.section import PITCH, Section

Array = NDArray[np.float64]
Map = NDArray[np.float32]
PERFUSED, STAGNANT, DESTROYED = 0, 1, 2


@dataclass
class Cells:
    """Profiles of cells: one entry each.

    Attributes
    ----------
    x, y
        Middle, µm.
    nucleus, body
        Radius of a circle of the same area, µm; `body` is the cell with its nucleus.
    thick
        Share of the section's thickness that the nucleus takes where it is thickest: caps are paler.
    aspect, angle
        Length by width of the nucleus, and its direction (radians).
    kind, zone
        `Kind`, and the compartment (-1 none).
    proliferating, hypoxic
        Shown by the stains for proliferation and pimonidazole.
    from_state
        Whether the state says how many there are.
    """

    x: Array
    y: Array
    nucleus: Map
    body: Map
    thick: Map
    aspect: Map
    angle: Map
    kind: NDArray[np.uint8]
    zone: NDArray[np.int16]
    proliferating: NDArray[np.bool_]
    hypoxic: NDArray[np.bool_]
    from_state: NDArray[np.bool_]

    def __len__(self) -> int:
        return self.x.size

    def of(self, *kinds: Kind) -> NDArray[np.bool_]:
        """Which are of these kinds."""
        return np.isin(self.kind, kinds)


@dataclass
class Vessels:
    """Vessel profiles: middle, half axes (µm), direction, PERFUSED, STAGNANT or DESTROYED, compartment."""

    x: Array
    y: Array
    long: Map
    short: Map
    angle: Map
    status: NDArray[np.uint8]
    zone: NDArray[np.int16]


@dataclass
class Scene:
    """Everything on a section. `necrosis` and `hypoxia` are maps that are above 0 where tissue is dead or hypoxic.

    `expected` holds, for every kind that the state counts, the profiles per compartment before rounding.
    """

    section: Section
    cells: Cells
    vessels: Vessels
    necrosis: Map
    hypoxia: Map
    expected: dict[str, Array]
    overlap: float


def as_cells(
    x: Array, y: Array, nucleus: Array, body: Array, kind: Kind, section: Section, counted: bool = False
) -> Cells:
    """Profiles of one kind with ordinary shape and random direction."""
    n = x.size
    random = noise.stream(section.seed, f"shape:{kind}")
    rows = np.clip(((y - section.y0) / PITCH).astype(int), 0, section.shape[0] - 1)
    columns = np.clip(((x - section.x0) / PITCH).astype(int), 0, section.shape[1] - 1)
    return Cells(
        x=x, y=y, nucleus=nucleus.astype(np.float32), body=body.astype(np.float32), thick=np.ones(n, dtype=np.float32),
        aspect=(ABOUT[kind].aspect * np.exp(0.1 * random.standard_normal(n))).astype(np.float32),
        angle=(np.pi * random.random(n)).astype(np.float32), kind=np.full(n, kind, dtype=np.uint8),
        zone=section.zone[rows, columns], proliferating=np.zeros(n, dtype=bool), hypoxic=np.zeros(n, dtype=bool),
        from_state=np.full(n, counted),
    )


def joined(one: Cells, two: Cells) -> Cells:
    """Both together."""
    return Cells(**{name: np.concatenate([getattr(one, name), getattr(two, name)]) for name in one.__dataclass_fields__})
