"""Body temperature: a mediator (interferon, TNF) follows plasma IL-2 with a lag; peak 4 h after a bolus (Konrad 1992)."""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import hill


@law
def mediator_source(il2_plasma: float, half: float, lag: float) -> float:
    """Source of the mediator, 1/h."""
    return hill(il2_plasma, half) / lag


@law
def temperature(normal: float, mediator: float, rise: float) -> float:
    """Body temperature in degC."""
    return normal + rise * mediator
