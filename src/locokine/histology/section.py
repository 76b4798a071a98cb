"""Where everything is on the plane that is cut: compartments, host tissue and fields as maps.

A `Section` is all that placing and painting know of the tissue. `cut` makes it from compartments around a centre; a block with
three dimensions would fill the same maps by slicing.

Lengths are in µm from the centre of the lesion; x to the right, y downwards, skin above.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from locokine.histology import noise
from locokine.histology.state import TissueState

Map = NDArray[np.float32]
PITCH = 8.0
"""Side of a cell of the maps, µm."""
OUTLINE = 0.05
"""Unevenness of outlines, standard deviation relative to the radius."""
BLUR = 110.0
"""Unevenness of the borders between compartments, µm."""
FRINGE = 32.0
"""How far compartments reach into each other at the scale of a few cells, so that packed and loose tissue shade over, µm."""
TRACK_WIDTH = 200.0
"""Width of a needle track at the surface, µm (27 to 30 gauge needles are 0.41 to 0.31 mm wide)."""


class Tissue(IntEnum):
    """What tissue a place belongs to."""

    GLASS = 0
    TUMOUR = 1
    CAPSULE = 2
    LOOSE = 3
    FAT = 4
    DERMIS = 5
    EPIDERMIS = 6
    MUSCLE = 7
    FLUID = 8
    TRACK = 9


@dataclass(frozen=True)
class Section:
    """Maps of one section; all arrays have shape (rows, columns) and cells of `PITCH` µm.

    Attributes
    ----------
    x0, y0
        Left and upper edge, µm.
    zone
        Number of the compartment, -1 outside the tissue.
    tissue
        `Tissue` of every place.
    compartments
        Field → value per compartment, from which `of` makes maps.
    depth
        Distance to the edge of the tumour, µm; negative inside.
    thickness
        Of the section, µm.
    seed
        From which all that is drawn follows.
    """

    state: TissueState
    x0: float
    y0: float
    zone: NDArray[np.int16]
    tissue: NDArray[np.uint8]
    compartments: dict[str, NDArray[np.float64]]
    depth: Map
    thickness: float
    seed: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.zone.shape  # type: ignore[return-value]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, µm."""
        return self.shape[1] * PITCH, self.shape[0] * PITCH

    def of(self, name: str) -> Map:
        """Map of a field; 0 outside the tissue."""
        values = np.append(self.compartments[name], 0.0).astype(np.float32)
        return values[self.zone]

    def inside(self, *kinds: Tissue) -> NDArray[np.bool_]:
        """Where one of these tissues is."""
        return np.isin(self.tissue, kinds)

    def coordinates(self) -> tuple[Map, Map]:
        """x (1, columns) and y (rows, 1) of the middles, µm."""
        x = self.x0 + PITCH * (np.arange(self.shape[1], dtype=np.float32) + 0.5)
        y = self.y0 + PITCH * (np.arange(self.shape[0], dtype=np.float32) + 0.5)
        return x[None, :], y[:, None]


Window = tuple[float, float, float, float]
"""Left, top, width and height, µm."""


def cut(state: TissueState, thickness: float, seed: int, window: Window | None = None) -> Section:
    """Cut a section through the centre of the lesion.

    Shells become rings of the same radii with uneven outlines that keep their area; a cavity is cut with its wall around it.

    Parameters
    ----------
    thickness
        Of the section, µm.
    window
        Keep only this part of it.
    """
    outer = 1000.0 * float(state.radius[-1])
    count = 2 * int(np.ceil((outer * 1.12 + 40.0) / PITCH))
    x0 = y0 = -0.5 * count * PITCH
    grid = _Grid(seed, (count, count), _part(window, x0, y0, count))
    rows, columns = np.arange(count)[grid.part[0]], np.arange(count)[grid.part[1]]
    x, y = (x0 + PITCH * (columns + 0.5))[None, :], (y0 + PITCH * (rows + 0.5))[:, None]
    radius = np.hypot(x, y) / _outline(seed, np.arctan2(y, x))
    edges = 1000.0 * state.radius
    # compartments shade into each other: their borders are uneven too, but not the tumour's edge nor the outer one
    tumour = 1000.0 * state.tumour_radius
    calm = np.minimum(np.abs(radius - tumour), np.maximum(outer - radius, 0.0))
    blurred = radius + np.minimum(BLUR, 0.4 * calm) * grid.noise("borders", 9.0)
    blurred += np.minimum(FRINGE, 0.15 * calm) * grid.noise("fringes", 1.8)
    blurred = np.where(radius < tumour, np.minimum(blurred, tumour - 1e-6), np.maximum(blurred, tumour))
    zone = np.searchsorted(edges, np.where(radius < outer, np.minimum(blurred, outer - 1e-6), radius).ravel(), side="right")
    zone = zone.reshape(radius.shape)
    zone = np.where(zone >= edges.size, -1, zone).astype(np.int16)
    depth = (radius - tumour).astype(np.float32)
    tissue = _anatomy(state, zone, depth, x, y, outer, grid)
    left, top = x0 + PITCH * int(columns[0]), y0 + PITCH * int(rows[0])
    return Section(state, left, top, zone, tissue, _compartments(state), depth, thickness, seed)


@dataclass(frozen=True)
class _Grid:
    """The grid of the whole section, and the part of it that is wanted."""

    seed: int
    shape: tuple[int, int]
    part: noise.Part

    def noise(self, purpose: str, correlation: float) -> Map:
        """Random field on the wanted part, the same as on the whole."""
        return noise.field(self.seed, purpose, self.shape, (correlation, correlation), self.part)


def _part(window: Window | None, x0: float, y0: float, count: int) -> noise.Part:
    """Rows and columns of a window; at least one of each."""
    if window is None:
        return slice(0, count), slice(0, count)
    found = []
    for first, length, origin in ((window[1], window[3], y0), (window[0], window[2], x0)):
        low = min(max(int((first - origin) / PITCH), 0), count - 1)
        found.append(slice(low, min(max(int(np.ceil((first + length - origin) / PITCH)), low + 1), count)))
    return found[0], found[1]


def _outline(seed: int, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factor on the radius by direction: some low harmonics, with a mean square of 1 so that areas stay."""
    random = noise.stream(seed, "outline")
    around = np.linspace(-np.pi, np.pi, 4096, endpoint=False)
    total = np.ones_like(around)
    for k in range(2, 9):
        size = OUTLINE / k
        total += size * (random.standard_normal() * np.cos(k * around) + random.standard_normal() * np.sin(k * around))
    return np.interp(angle, around, total / np.sqrt(np.mean(total**2)), period=2.0 * np.pi)


def _compartments(state: TissueState) -> dict[str, NDArray[np.float64]]:
    """Fields per compartment, and how each is divided between dead and living tissue.

    A dead cell keeps its place until it is cleared: dead solids hold `dead_fluid_ratio` of fluid, so that they take
    dead (1 + ratio) of the volume, unless what lives and is solid leaves less. The rest of the fluid lies between the living.
    Erythrocytes lie in both, as densely: what they take of the dead is room for fluid among the living. In a cavity the dead
    float among the living, each as large as it was: what water it holds is not fluid between cells.
    """
    p, f = state.parameters, state.fields
    dead = np.where(state.core, np.nan_to_num(f["dead_fraction"]), 0.0)
    cells = np.nan_to_num(f["viable_density"]) * p["cell_volume"]
    fluid = np.nan_to_num(f["fluid_fraction"])
    blood = np.nan_to_num(f["erythrocyte_fraction"])
    stroma = np.clip(1.0 - cells - dead - fluid - blood, 0.0, 1.0)
    necrotic = np.minimum(dead * (1.0 + p["dead_fluid_ratio"]), np.maximum(1.0 - (cells + stroma + blood) / 0.9, dead))
    necrotic = np.clip(necrotic, 0.0, 0.995)
    held, floating = np.maximum(necrotic * (1.0 - blood) - dead, 0.0), np.where(necrotic > 0.0, 0.0, dead)
    if state.geometry == "cavity":
        necrotic, floating = np.zeros_like(dead), dead / p["dead_solid_share"]
        held = floating - dead
    alive = 1.0 - necrotic
    between = np.clip(fluid - held, 0.0, None) / alive
    solid = (cells + stroma + floating) / alive + blood
    share = between / np.maximum(between + solid, 1e-9)
    made = {name: np.nan_to_num(values) for name, values in f.items()}
    made["necrotic_area"] = necrotic
    made["between"] = share
    made["stroma"] = np.clip(stroma / alive / np.maximum(between + solid, 1e-9), 0.0, 1.0)
    # erythrocytes are laid over all: what is seen beside them stands for what they hide
    made["seen_fluid"] = np.clip(share / np.maximum(1.0 - blood, 1e-9), 0.0, 1.0)
    made["seen_stroma"] = np.clip(made["stroma"] / np.maximum(1.0 - blood, 1e-9), 0.0, 1.0)
    made["open"] = np.clip(made["perfusion"], 0.0, 1.0)
    return made


def _anatomy(
    state: TissueState, zone: NDArray[np.int16], depth: Map, x: NDArray[Any], y: NDArray[Any],
    outer: float, grid: _Grid,
) -> NDArray[np.uint8]:
    """What host tissue lies where: a picture of the site, not something the model knows."""
    rim = outer - 1000.0 * state.tumour_radius
    tumour = (zone >= 0) & (zone <= int(np.flatnonzero(state.core)[-1]))
    uneven = grid.noise("anatomy", 60.0)
    up = -y / np.maximum(np.hypot(x, y), 1.0) + 0.06 * uneven  # 1 towards the skin, -1 away from it
    under = rim - depth  # below the surface of the specimen
    tissue = np.full(zone.shape, Tissue.LOOSE, dtype=np.uint8)
    if state.geometry == "cavity":
        tissue[depth + 0.05 * rim * uneven < 0.6 * rim] = Tissue.MUSCLE
        tissue[depth < 60.0 + 12.0 * uneven] = Tissue.CAPSULE
    else:
        fat = grid.noise("fat", 25.0) > 0.1
        tissue[(depth > 0.25 * rim) & fat & (up > -0.4)] = Tissue.FAT
        if state.site in ("skin", "subcutis"):
            dermis = (0.4 if state.site == "subcutis" else 0.85) * rim
            taper = np.clip((up - 0.05) / 0.45, 0.0, 1.0) ** 0.6  # skin runs out towards the sides, where it was cut
            tissue[(under < dermis * taper * (1.0 + 0.12 * uneven)) & (up > 0.05)] = Tissue.DERMIS
            tissue[(under < 26.0 + 0.01 * rim) & (up > 0.10)] = Tissue.EPIDERMIS
        tissue[(depth + 0.10 * rim * uneven > (0.22 + 1.2 * np.maximum(up + 0.6, 0.0)) * rim) & (up < 0.0)] = Tissue.MUSCLE
        tissue[(depth < 70.0 + 15.0 * uneven) & (depth >= 0.0)] = Tissue.CAPSULE
    tissue[tumour] = Tissue.FLUID if state.geometry == "cavity" else Tissue.TUMOUR
    track = _tracks(state, x, y, grid)
    tissue[track & np.isin(tissue, (Tissue.MUSCLE, Tissue.FLUID, Tissue.EPIDERMIS), invert=True)] = Tissue.TRACK
    tissue[zone < 0] = Tissue.GLASS
    return tissue


def _tracks(state: TissueState, x: NDArray[Any], y: NDArray[Any], grid: _Grid) -> NDArray[np.bool_]:
    """Slits that needles left, from above towards the centre or to the side of the tumour; older ones have closed."""
    random = noise.stream(grid.seed, "track")
    found = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    wander = grid.noise("track", 12.0)
    edge = 1000.0 * state.tumour_radius
    for track in state.tracks:
        lean, width = 0.35 * random.standard_normal(), TRACK_WIDTH * np.exp(-track.age / 1.5)
        tip = 0.15 * random.standard_normal(2) * edge
        if np.isfinite(track.distance):  # beside the tumour
            side = 1.0 if random.random() < 0.5 else -1.0
            tip = np.array([side * 0.75 * edge, -0.75 * edge - 700.0 * track.distance])
        along, across = y - tip[1], (x - tip[0]) - lean * (y - tip[1]) + 18.0 * wander
        taper = np.clip((120.0 - along) / 700.0, 0.0, 1.0)
        found |= (along < 120.0) & (np.abs(across) < 0.5 * width * taper)
    return found


def distance_to(where: NDArray[np.bool_]) -> Map:
    """Distance of every place to the nearest marked one, µm (1e6 if none is)."""
    if not where.any():
        return np.full(where.shape, 1e6, dtype=np.float32)
    distance: Any = ndimage.distance_transform_edt(~where)
    return (PITCH * distance).astype(np.float32)
