"""Shared by the tests of virtual histology: lesions made up, their sections, and what counts as read correctly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from locokine.histology import readback
from locokine.histology.patterns import PATTERNS
from locokine.histology.populate import populate
from locokine.histology.scene import Scene
from locokine.histology.section import cut
from locokine.histology.state import TissueState

SHARES = {"cell_volume": 1e-6, "dead_solid_share": 0.35, "dead_fluid_ratio": 3.4, "tumour_fluid_ratio": 0.5625}

PARAMETERS = SHARES | {"normal_fluid_ratio": 0.2, "vessel_radius": 0.008, "birth_rate": 0.0433}


def tissue(
    shells: int = 3, cells: float = 5.5e5, dead: float = 0.03, fluid: float = 0.38, perfusion: float = 0.8, hypoxic: float = 0.2,
    lymphocytes: float = 3e4, blood: float = 0.004, rim_fluid: float = 0.17, radius: float = 0.9, geometry: str = "shells",
    **changes: Any,
) -> TissueState:
    """A lesion of `radius` mm, even throughout, with a rim of 0.5 mm in one compartment."""
    core = np.arange(shells + 1) < shells
    outer = np.append(radius * (np.arange(1, shells + 1) / shells) ** (1 / 3), radius + 0.5)

    def per(inside: float, outside: float) -> np.ndarray:
        return np.where(core, inside, outside)

    fields = {
        "viable_density": per(cells, 0.0),
        "dead_fraction": per(dead, 0.0),
        "fluid_fraction": per(fluid, rim_fluid),
        "perfusion": per(perfusion, 1.0),
        "hypoxic_fraction": per(hypoxic, 0.0),
        "lymphocyte_density": per(lymphocytes, 1e4),
        "vessel_density": per(60.0, 110.0),
        "erythrocyte_fraction": per(blood, blood),
        "lost_vessels": per(0.0, 0.0),
    }
    volume = 4.0 / 3.0 * np.pi * radius**3
    values = {"nk": 0.2 * lymphocytes * volume, "lak": 0.05 * lymphocytes * volume, "treg": 500.0, "macrophages": 5e3 * volume}
    state = TissueState(
        experiment="made up", arm="arm", subject=0, lesion="tumour", day=12.0, geometry=geometry, site="subcutis", radius=outer,
        core=core, fields=fields, lesion_values=values, parameters=PARAMETERS, births=0.03, killed=0.001, died=0.3,
        tracks=(), seed=1,
    )
    return replace(state, **changes)


def scene_of(state: TissueState, seed: int = 3) -> Scene:
    return populate(cut(state, 4.0, seed), seed)


def within(seen: dict[str, float], true: dict[str, float]) -> list[str]:
    """Measures outside their tolerance: stated absolute and relative, and for counts twice their own sampling error."""
    wrong = []
    for measure in readback.MEASURES:
        name, value = measure.name, true[measure.name]
        if np.isnan(value) or np.isnan(seen[name]):
            if not _nothing_to_read(name, seen, true):
                wrong.append(f"{name}: read {seen[name]:.3f}, state {value:.3f}")
            continue
        allowed = measure.absolute + measure.relative * value
        if name == "interstitial_fraction" and true["necrotic_area"] > 0.7:
            # what is left holds more lymphocytes and macrophages than tumour cells, and the state's fluid knows no room for them
            allowed += 0.10
        if measure.unit == "1/mm2":
            area = seen["rim_mm2"] if name.endswith("rim") else seen["tumour_mm2"]
            allowed += 2.0 * np.sqrt(max(value, 1.0) / max(area, 1e-6))
        if abs(seen[name] - value) > allowed:
            wrong.append(f"{name}: read {seen[name]:.3f}, state {value:.3f}, allowed {allowed:.3f}")
    return wrong


def _nothing_to_read(name: str, seen: dict[str, float], true: dict[str, float]) -> bool:
    """Whether hardly anything lives: both say so, or both are near the limit, beyond which one may."""
    if name == "interstitial_fraction":
        return min(true["necrotic_area"], seen["necrotic_area"]) >= 0.9
    return name == "hypoxic_fraction" and max(true["living_cells"], seen["living_cells"]) < 1.5 * readback.SPARSE


SIZES = {
    "solid": 1.5, "lymphoma": 1.0, "mast cell": 1.4, "carcinoma": 2.2, "squamous carcinoma": 2.5, "renal cell carcinoma": 3.0,
    "melanoma": 2.0, "mesothelioma": 2.0,
}
"""Volume of a cell, 1000 µm³ (what the library has, or near it)."""


def any_state(name: str, seed: int) -> TissueState:
    """A tumour of a kind in a state drawn at random: size of cells, dead tissue (half none), fluid, blood, flow, hypoxia."""
    random = np.random.default_rng(seed)
    volume, fluid = SIZES[name] * 1e-6 * random.uniform(0.75, 1.3), random.uniform(0.35, 0.72)
    dead = float(random.choice([0.0, random.uniform(0.01, 0.15)]))
    solid = max(0.96 - fluid - dead - random.uniform(0.0, 0.08), 0.05)
    return tissue(
        radius=1.2, cells=solid / volume, dead=dead, fluid=fluid, hypoxic=random.uniform(0.0, 0.5),
        blood=random.uniform(0.0, 0.012),
        perfusion=random.uniform(0.2, 1.0), lymphocytes=random.uniform(5e3, 8e4), rim_fluid=random.uniform(0.17, 0.4),
        pattern=PATTERNS[name], parameters=PARAMETERS | {"cell_volume": volume},
    )


def replace_scene(scene: Scene, state: TissueState) -> Scene:
    """The same plane with another state."""
    return replace(scene, section=cut(state, 4.0, scene.section.seed))
