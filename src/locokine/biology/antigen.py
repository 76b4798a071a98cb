"""Antigen and danger from dead cells, and the dendritic cells that carry them to the node.

Priming needs *acute* danger: the share x = antigen/(cells + antigen), to the second power. The dead cells of slow
turnover make antigen without danger. Carriers arrive from 24 h on, most at 48 h.
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import hill, hill2


@law
def danger_share(antigen: float, cells: float) -> float:
    """Antigen (cell equivalents) / (antigen + living cells)."""
    return antigen / (antigen + cells + 1.0)


@law
def maturation(antigen: float, share: float, volume: float, density: float, rate: float, danger_half: float,
               antigen_half: float) -> float:
    """Antigen-bearing dendritic cells that leave for the node per h.

    `density` in 1/mm³ of lesion, `rate` in 1/h (migrating share included), `antigen_half` in cell equivalents per mm³.
    """
    return density * volume * rate * hill2(share, danger_half) * hill(antigen / (volume + 1e-3), antigen_half)
