"""Lymphocytes between blood and tissue: homing needs flow and activated vessels, and fails while blood holds much IL-2.

Acute margination within minutes of an intravenous bolus, rebound over days (Lotze 1985).
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import gain, hill


@law
def homing(flow: float, extraction: float, activation: float, boost: float) -> float:
    """Blood cleared of lymphocytes by a tissue, mm³/h: flow x share extracted, raised by an activated wall."""
    return flow * extraction * (1.0 + boost * activation)


@law
def margination(il2_plasma: float, half: float, most: float) -> float:
    """Share of circulating lymphocytes still free to home at this plasma IL-2; 1 without IL-2."""
    return 1.0 - most * hill(il2_plasma, half)


@law
def met(blood: float, cleared: float, cells: float, entering: float) -> float:
    """Cells that meet what clears the blood in a step, a mean number over it: of `cells` there are, and `entering` evenly.

    A tumour may clear its host's blood within a step: it takes no more than there are, and what enters meanwhile.
    Exact for z = cleared/blood held fixed: cells (1 - exp(-z))/z + entering (z - 1 + exp(-z))/z². Limit of small steps:
    `cells`.
    """
    z = cleared / blood
    first = 1.0 + z * (0.5 + z * (1.0 / 6.0 + z / 24.0))
    second = 0.5 + z * (1.0 / 3.0 + z * (0.125 + z / 24.0))
    return (cells * first + entering * second) / gain(z)


@law
def natural_killers(turnover: float, marrow: float, survival: float, occupied: float) -> tuple[float, float]:
    """Rates in 1/h at which the marrow makes blood NK cells (per normal number) and at which they are lost.

    Picomolar IL-2 on the high-affinity receptor (`occupied`) makes precursors into NK cells and delays their death; mature
    cells hardly divide at that level (Fehniger 2000; receptor: Nagler 1990). Neutral: `occupied` = 0, both `turnover`.
    """
    return turnover * (1.0 + marrow * occupied), turnover * (1.0 - survival * occupied)


@law
def host_flow(outside: float, perfusion: float, reach: float) -> float:
    """Flow in mm³/h of the host tissue within `reach` mm that serves a deposit too small for vessels of its own."""
    return outside * perfusion * 4.18879 * reach * reach * reach * 8.0
