"""T cells that a tumour keeps: without IL-2 they divide slowly where antigen-presenting cells have places for them.

T cells in tumours are retained and divide, driven by interleukin-15 and by antigen, although they do little: they fill a niche
(Boldajipour 2016). Tumours without dense antigen-presenting cells are hardly infiltrated (Jansen 2019).
"""

from __future__ import annotations

from locokine._jit import law


@law
def places(volume: float, density: float, sites: float) -> float:
    """T cells that the antigen-presenting cells of `volume` mm³ serve: `density` of these (1/mm³) x `sites` each."""
    return volume * density * sites


@law
def division(fastest: float, places: float, cells: float) -> float:
    """Division rate in 1/h of `cells` T cells of one antigen that share `places`. Neutral: `fastest` 0."""
    return fastest * places / (places + cells + 1e-9)
