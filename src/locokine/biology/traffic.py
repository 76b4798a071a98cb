"""Lymphocytes between blood and tissue: homing needs flow and activated vessels, and fails while blood holds much IL-2.

Acute margination within minutes of an intravenous bolus, rebound over days (Lotze 1985).
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import hill


@law
def homing(flow: float, extraction: float, activation: float, boost: float) -> float:
    """Blood cleared of lymphocytes by a tissue, mm³/h: flow x share extracted, raised by an activated wall."""
    return flow * extraction * (1.0 + boost * activation)


@law
def margination(il2_plasma: float, half: float, most: float) -> float:
    """Share of circulating lymphocytes still free to home at this plasma IL-2; 1 without IL-2."""
    return 1.0 - most * hill(il2_plasma, half)


@law
def host_flow(outside: float, perfusion: float, reach: float) -> float:
    """Flow in mm³/h of the host tissue within `reach` mm that serves a deposit too small for vessels of its own."""
    return outside * perfusion * 4.18879 * reach * reach * reach * 8.0
