"""How many of what lies where: profiles per compartment, and the weights by which places are chosen.

The *number* of every kind in every compartment is the state's, rounded; *where* within the compartment is a picture: living
cells around vessels that are perfused, dead ones farthest from them, lymphocytes near vessels. Connective tissue, muscle and
skin have nuclei too, at ordinary densities that no state holds (`Cells.from_state` is false for them).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from locokine.histology import noise, packing
from locokine.histology.kinds import ABOUT, Kind, counted_depth, sphere_diameter
from locokine.histology.section import PITCH, Section, Tissue
from locokine.histology.state import APOPTOSIS_HOURS

Array = NDArray[np.float64]
Map = NDArray[np.float32]

HOST_NUCLEI: dict[Tissue, tuple[Kind, float]] = {
    Tissue.CAPSULE: (Kind.FIBROBLAST, 1100.0),
    Tissue.LOOSE: (Kind.FIBROBLAST, 420.0),
    Tissue.FAT: (Kind.FIBROBLAST, 130.0),
    Tissue.DERMIS: (Kind.FIBROBLAST, 520.0),
    Tissue.TRACK: (Kind.FIBROBLAST, 300.0),
    Tissue.MUSCLE: (Kind.MYOCYTE, 520.0),
    Tissue.EPIDERMIS: (Kind.KERATINOCYTE, 7500.0),
}
"""Kind and profiles per mm² of what host tissue is made of (assumed; drawn, not from the state)."""
TUMOUR_STROMA_NUCLEI = 180.0
"""Fibroblast profiles per mm² of tumour at a stroma share of 0.06 (assumed)."""


class Plan:
    """Collects what is to be placed: for every profile a cell of the map, a radius, a kind and a compartment."""

    def __init__(self, section: Section, seed: int) -> None:
        self.section, self.seed = section, seed
        zone = section.zone.ravel()
        self.zones = section.compartments["between"].size
        order = np.argsort(zone, kind="stable")
        ends = np.searchsorted(zone[order], np.arange(self.zones + 1))
        self.places = [order[ends[z] : ends[z + 1]] for z in range(self.zones)]
        self.cell: list[NDArray[np.int64]] = []
        self.kind: list[NDArray[np.uint8]] = []
        self.zone: list[NDArray[np.int16]] = []
        self.counted: list[NDArray[np.bool_]] = []
        self.expected: dict[str, Array] = {}

    def areas(self) -> Array:
        """Area of every compartment on the section, mm²."""
        return np.array([place.size for place in self.places]) * (PITCH * 1e-3) ** 2

    def spots(self, purpose: str, numbers: Array, weight: Map, most: float = np.inf) -> list[NDArray[np.int64]]:
        """Cells of the map for `numbers` profiles per compartment (rounded so that sums stay right), by weight.

        `most` is how many a cell of the map has room for; what would be above it goes elsewhere.
        """
        random = noise.stream(self.seed, purpose)
        counts = np.diff(np.round(np.concatenate([[0.0], np.cumsum(numbers)]))).astype(int)
        flat = weight.ravel()
        found = []
        for z, place in enumerate(self.places):
            w = flat[place] if place.size else np.zeros(0, dtype=np.float32)
            if counts[z] and w.size and w.sum() <= 0.0:
                w = np.ones_like(w)
            if np.isfinite(most) and counts[z]:
                for _ in range(8):
                    w = np.minimum(w * (counts[z] / max(float(w.sum()), 1e-9)), most)
            at = packing.choose(w, counts[z], random.random(counts[z])) if w.size else np.zeros(0, dtype=np.int64)
            found.append(place[at])
        return found

    def add(self, kind: Kind, numbers: Array, weight: Map, counted: bool = True, name: str | None = None) -> None:
        """Plan profiles of one kind."""
        name = ABOUT[kind].name if name is None else name
        if counted:
            self.expected[name] = self.expected.get(name, 0.0) + numbers
        for z, at in enumerate(self.spots(f"{name}:{len(self.cell)}", numbers, weight)):
            self.cell.append(at)
            self.kind.append(np.full(at.size, kind, dtype=np.uint8))
            self.zone.append(np.full(at.size, z, dtype=np.int16))
            self.counted.append(np.full(at.size, counted))


def nucleus_diameter(section: Section, kind: Kind) -> float:
    """Diameter of the nucleus of a kind, µm."""
    about = ABOUT[kind]
    if about.nucleus > 0.0:
        return about.nucleus
    state = section.state
    return sphere_diameter(state.pattern.nucleus_share * state.parameters["cell_volume"] * 1e9)


def profiles(section: Section, kind: Kind, density: Array, areas: Array) -> Array:
    """Profiles on a section of cells at `density` (1/mm³) over `areas` (mm²)."""
    return density * areas * counted_depth(section.thickness, nucleus_diameter(section, kind)) * 1e-3


def plan_tumour(section: Section, plan: Plan, necrosis: Map) -> None:
    """Tumour cells, living in what lives and dead in what is dead; apoptotic ones among the living."""
    state, areas, p = section.state, plan.areas(), section.state.parameters
    fields = section.compartments
    tumour = section.inside(Tissue.TUMOUR, Tissue.FLUID)
    living = np.where(tumour & (necrosis <= 0.0), _nests(section, plan.seed), 0.0).astype(np.float32)
    viable = profiles(section, Kind.TUMOUR, np.where(state.core, fields["viable_density"], 0.0), areas)
    dead = np.where(state.core, fields["dead_fraction"], 0.0) / (p["dead_solid_share"] * p["cell_volume"])
    dead = profiles(section, Kind.GHOST, dead, areas)
    apoptotic = np.minimum(state.killed * APOPTOSIS_HOURS * viable, 0.5 * dead)
    plan.add(Kind.TUMOUR, viable, living)
    plan.add(Kind.APOPTOTIC, apoptotic, living)
    plan.add(Kind.GHOST, dead - apoptotic, np.where(tumour & (necrosis > 0.0), 1.0, 0.0).astype(np.float32))


NEST = 5.5
"""Standard deviation of the fields that nests are cut from, in cells of the map: nests of some 100 µm (assumed)."""
COHESION = 0.90
"""Share of a nest that its cells cover (assumed)."""


def _nests(section: Section, seed: int) -> Map:
    """Weight for living tumour cells: 1 in nests where cells cohere, little in the bands between them; 1 in a diffuse sheet.

    Bands lie where either of two random fields is near 0, and take what the state leaves for fluid and stroma.
    """
    nested = section.state.pattern.nested
    if nested <= 0.0 or section.state.geometry == "cavity":
        return np.ones(section.shape, dtype=np.float32)
    away = np.full(section.shape, 9.0, dtype=np.float32)
    for part in ("nests", "nests across"):
        away = np.minimum(away, np.abs(noise.field(seed, part, section.shape, (NEST, NEST))))
    solid = np.clip(1.0 - section.of("seen_fluid") - section.of("seen_stroma"), 0.0, 1.0)
    bands = nested * (1.0 - np.minimum(solid / COHESION, 1.0))
    return np.where(noise.ranked(away) < bands, 0.015, 1.0).astype(np.float32)


def immune_densities(section: Section) -> dict[Kind, Array]:
    """Cells per mm³ and compartment: the stored density of NK and T cells together, divided as in the whole lesion.

    Regulatory T cells and macrophages are stored for the lesion only and lie evenly in the tumour.
    """
    state, values = section.state, section.state.lesion_values
    density = section.compartments["lymphocyte_density"]
    volume = state.volumes[state.core].sum()
    together = max(float((density * state.volumes)[state.core].sum()), values["nk"], 1e-9)
    nk = density * min(values["nk"] / together, 1.0)
    lak = nk * min(values["lak"] / max(values["nk"], 1e-9), 1.0)
    even = np.where(state.core, 1.0 / volume, 0.0)
    return {
        Kind.CD8: density - nk,
        Kind.NK: nk - lak,
        Kind.LAK: lak,
        Kind.TREG: values["treg"] * even,
        Kind.MACROPHAGE: values["macrophages"] * even,
    }


def plan_immune(section: Section, plan: Plan, near: Map, necrosis: Map) -> None:
    """Lymphocytes near vessels, macrophages where there is something to clear."""
    areas = plan.areas()
    loose = section.inside(Tissue.GLASS, Tissue.EPIDERMIS)
    patches = np.exp(0.45 * noise.field(plan.seed, "lymphocytes", section.shape, (8.0, 8.0)))
    around = (1.0 + 3.0 * np.exp(-near / 18.0)) * patches * np.where(section.inside(Tissue.MUSCLE), 0.35, 1.0)
    lymph = np.where(loose, 0.0, around * np.where(necrosis > 0.08, 0.45, 1.0)).astype(np.float32)
    edge = 1.0 + 4.0 * np.exp(-np.abs(necrosis) / 0.05)
    clear = np.where(loose, 0.0, edge * np.where(necrosis > 0.0, 0.8, 1.0)).astype(np.float32)
    for kind, density in immune_densities(section).items():
        plan.add(kind, profiles(section, kind, density, areas), clear if kind == Kind.MACROPHAGE else lymph)


def plan_host(section: Section, plan: Plan) -> None:
    """Nuclei of connective tissue, muscle, skin and stroma at ordinary densities."""
    for tissue, (kind, density) in HOST_NUCLEI.items():
        where = section.inside(tissue)
        _add_uncounted(section, plan, kind, density, where)
    _add_uncounted(section, plan, Kind.FIBROBLAST, TUMOUR_STROMA_NUCLEI, section.inside(Tissue.TUMOUR))
    if section.state.geometry == "cavity":
        lining = section.inside(Tissue.CAPSULE) & (section.depth < 1.5 * PITCH)
        _add_uncounted(section, plan, Kind.MESOTHELIUM, 4500.0, lining)


def _add_uncounted(section: Section, plan: Plan, kind: Kind, density: float, where: NDArray[np.bool_]) -> None:
    per_zone = np.array([where.ravel()[place].sum() for place in plan.places]) * (PITCH * 1e-3) ** 2
    if kind == Kind.FIBROBLAST and bool((where & section.inside(Tissue.TUMOUR)).any()):
        per_zone = per_zone * np.clip(section.compartments["stroma"] / 0.06, 0.0, 2.0)
    plan.add(kind, density * per_zone, where.astype(np.float32), counted=False, name=f"{ABOUT[kind].name}:{density:g}")
