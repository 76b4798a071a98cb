"""The draining node: priming, division, departure and memory of specific T cells, for each antigen.

Precursors 100 to 200 per epitope and mouse, more than 14 divisions in a week, 5 % memory (Blattman 2002); division up to
2.8 per day with antigen and IL-2; contraction 0.24/d. Memory forms only where antigen is gone, and is not used up.
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import hill


@law
def priming_rate(sites: float, cells: float, fastest: float) -> float:
    """Rate per naive cell of meeting an antigen-bearing dendritic cell, 1/h: share of sites free x fastest."""
    return fastest * sites / (sites + cells + 100.0)


@law
def division_rate(sites: float, cells: float, fastest: float, progeny: float, il2: float, il2_half: float,
                  without: float) -> float:
    """Division rate in 1/h: an encounter starts a programme of `progeny` cells, so sites support that many.

    The IL-2 in the node raises the rate from the share `without` to 1.
    """
    help_ = without + (1.0 - without) * hill(il2, il2_half)
    supported = progeny * sites
    return fastest * help_ * supported / (supported + cells + 1.0)


@law
def antigen_gone(antigen: float, half: float) -> float:
    """1 when no antigen is left, 0 while there is plenty."""
    return half * half / (half * half + antigen * antigen)
