"""Permeability of tumour vessels and accessible space by molecular size: a two-pore wall.

Schmidt & Wittrup 2009 (doi 10.1158/1535-7163.MCT-09-0195): hydrodynamic radius R = 0.912 MW^0.333 nm, free diffusion
3e-6/R cm²/s, pores of 4.5 nm (17.6/cm) and 500 nm (0.65/cm). Hindrance after Renkin 1954.
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import largest

CM2_PER_S = 360000.0
"""1 cm²/s in mm²/h."""


@law
def renkin(ratio: float) -> float:
    """Partition times hindrance of a sphere in a pore; `ratio` is radius/pore radius, 0 beyond 1."""
    x = 1.0 - largest(1.0 - ratio, 0.0)
    return (1.0 - x) * (1.0 - x) * (1.0 - 2.104 * x + 2.09 * x * x * x - 0.95 * x * x * x * x * x)


@law
def free_diffusion(radius: float) -> float:
    """Diffusion coefficient in water, mm²/h, of a molecule of hydrodynamic `radius` in nm."""
    return 3e-6 / radius * CM2_PER_S


@law
def two_pore(radius: float, small: float, large: float, small_area: float, large_area: float) -> float:
    """Permeability of the vessel wall in mm/h.

    `radius` and the pore radii `small`, `large` in nm; pore area per path length `small_area`, `large_area` in 1/mm.
    """
    return free_diffusion(radius) * (small_area * renkin(radius / small) + large_area * renkin(radius / large))
