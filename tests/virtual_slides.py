"""States of tissue made by hand, and the sections drawn from them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from locokine.histology.populate import populate
from locokine.histology.scene import Scene
from locokine.histology.section import cut
from locokine.histology.state import TissueState

if TYPE_CHECKING:
    pass


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
