"""Parameters that follow from other parameters, so that a host at rest stays at rest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from locokine._jit import plain
from locokine.biology import fluid, permeability

Array = NDArray[np.float64]
NM = 1e6
"""nm in a mm."""
SMALL_PORE, LARGE_PORE = 4.5, 500.0
SMALL_AREA, LARGE_AREA = 1.76, 0.065
"""Two-pore wall of tumour vessels, nm and 1/mm (Schmidt & Wittrup 2009)."""
NORMAL_WALL = 0.2
"""Permeability of normal to tumour vessels for a 15 kDa protein (range 0.05 to 0.5, assumed; Jain 1987 gives 0.1 to 0.3)."""


def host(p: Mapping[str, Array]) -> dict[str, Array]:
    """Return blood volume, protein synthesis and capillary pressure that hold a host at rest.

    Parameters
    ----------
    p
        Parameters of host and laws by name, each of shape (subjects,).

    Returns
    -------
    dict
        `blood_volume` (mm³), `protein_synthesis` (µg/h), `systemic_capillary_pressure` (mmHg).
    """
    plasma, tissue = p["plasma_protein"], resting_protein(p)
    pull = plain(fluid.oncotic_plasma)(plasma) - plain(fluid.oncotic_interstitial)(tissue)
    capillary = p["lymph_flow_at_rest"] / p["filtration_coefficient"] + p["systemic_interstitial_pressure"]
    return {
        "blood_volume": p["plasma_volume"] + p["erythrocyte_volume"],
        "protein_synthesis": p["protein_loss"] * plasma * p["plasma_volume"],
        "systemic_capillary_pressure": capillary + p["systemic_reflection"] * pull,
    }


def resting_protein(p: Mapping[str, Array]) -> Array:
    """Interstitial protein of the body at rest, mg/mL: what leaks in leaves by lymph."""
    sieved = p["lymph_flow_at_rest"] * (1.0 - p["systemic_reflection"])
    return p["plasma_protein"] * (p["protein_escape"] + sieved) / (p["protein_escape"] + p["lymph_flow_at_rest"])


def agent(p: Mapping[str, Array]) -> dict[str, Array]:
    """Return permeability (mm/h) and diffusivity (mm²/h) of an agent in tumour and host tissue, from its radius."""
    radius = p["radius"] * NM
    free = plain(permeability.free_diffusion)(radius)
    wall = np.vectorize(permeability.two_pore)(radius, SMALL_PORE, LARGE_PORE, SMALL_AREA, LARGE_AREA)
    return {
        "permeability": wall,
        "permeability_normal": NORMAL_WALL * wall,
        "diffusion": free * p["tumour_hindrance"],
        "diffusion_normal": free * p["normal_hindrance"],
    }
