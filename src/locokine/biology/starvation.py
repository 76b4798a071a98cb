"""Death and slowed growth from lack of oxygen and glucose.

The Krogh closure needs memory: dead tissue already occupies the worst-supplied places, so only tissue newly exposed
dies. Death takes 6 to 24 h (PhysiCell: 6 h in anoxia), faster when glucose is low too.
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import hill, positive


@law
def newly_exposed(hypoxic: float, dead_share: float) -> float:
    """Share of living tissue that is hypoxic once the dead share is set aside, max(0, (h - d)/(1 - d))."""
    return positive(hypoxic - dead_share, 0.004) / (1.001 - dead_share)


@law
def glucose(blood: float, flow: float, uptake: float) -> float:
    """Tissue glucose in mM of a stirred tissue: blood level, perfusion `flow` (1/h), uptake at blood level `uptake` (mM/h)."""
    return blood * flow * blood / (flow * blood + uptake)


@law
def death_rate(exposed: float, fastest: float, glucose_level: float, glucose_half: float, boost: float) -> float:
    """Death rate per cell in 1/h: exposed share times the rate in anoxia, up to 1 + boost times faster without glucose."""
    return fastest * exposed * (1.0 + boost * hill(glucose_half, glucose_level))


@law
def growth_factor(hypoxic: float, glucose_level: float, glucose_half: float) -> float:
    """Share of the line's birth rate that supply allows."""
    return (1.0 - hypoxic) * hill(glucose_level, glucose_half)
