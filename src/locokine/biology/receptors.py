"""Receptor occupancy and the IL-2 that cells take up.

Farhat 2020 (receptor numbers), Fallon & Lauffenburger 2000 (trafficking), Rickert 2004 (affinities).
"""

from __future__ import annotations

from locokine._jit import law

MOLECULE = 1.0 / 6.02214076e8
"""One molecule in fmol."""


@law
def occupancy(c: float, kd: float) -> float:
    """Share of receptors occupied at `c` nM."""
    return c / (c + kd)


@law
def uptake_coefficient(cells: float, fastest: float, kd: float, c: float) -> float:
    """Uptake by `cells` per concentration, mm³/h: V/(K + c); `fastest` in molecules per cell and h."""
    return cells * fastest * MOLECULE / (kd + c)


@law
def secretion(cells: float, rate: float) -> float:
    """IL-2 made by `cells` activated T cells, fmol/h; `rate` in molecules per cell and h."""
    return cells * rate * MOLECULE
