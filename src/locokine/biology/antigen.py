"""Antigen and danger from dead cells, and the dendritic cells that carry them to the node.

Priming needs *acute* danger: the share x = danger/(cells + danger), to the second power, or the help of T cells that
are armed already. Every dead cell gives its antigens; those of slow turnover give hardly any danger.
Carriers arrive from 24 h on, most at 48 h.
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import hill, hill2


@law
def danger_share(danger: float, cells: float) -> float:
    """Danger (cells that died violently, equivalents) / (danger + living cells)."""
    return danger / (danger + cells + 1.0)


@law
def alarm(share: float, danger_half: float, helpers: float, licence_half: float, quiet: float) -> float:
    """Share of dendritic cells that leave: by danger, licensed by armed T and LAK cells (`helpers` per mm³), or in peace.

    The share `quiet` leaves a tissue at peace as well; T cells it meets divide, but without IL-2 they are not armed. T
    cells that meet their antigen on a dendritic cell replace danger through CD40 (Ridge 1998, Bennett 1998, Schoenberger
    1998), so a response that has begun keeps itself going while the antigen lasts; NK cells that IL-2 has activated
    mature dendritic cells by themselves (Gerosa 2002). Neutral: no helpers, `quiet` 0.
    """
    return 1.0 - (1.0 - quiet) * (1.0 - hill2(share, danger_half)) * (1.0 - hill(helpers, licence_half))


@law
def maturation(antigen: float, alarmed: float, volume: float, density: float, rate: float, antigen_half: float) -> float:
    """Antigen-bearing dendritic cells that leave for the node per h.

    `alarmed` is the share that matures (`alarm`), `density` in 1/mm³ of lesion, `rate` in 1/h (migrating share included),
    `antigen_half` in cell equivalents per mm³.
    """
    return density * volume * rate * alarmed * hill(antigen / (volume + 1e-3), antigen_half)
