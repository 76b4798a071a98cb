"""Death from toxicity as a hazard, so that it is an event of chance with a mechanistic cause."""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import positive


@law
def toxic(pressure_ratio: float, lowest: float, organ_water: float, water_limit: float, rate: float) -> float:
    """Hazard in 1/h from shock (pressure below `lowest` of normal) and from flooded lungs (`organ_water` beyond its limit)."""
    shock = positive(lowest - pressure_ratio, 0.002) / lowest
    flood = positive(organ_water / water_limit - 1.0, 0.002)
    return rate * (25.0 * shock * shock + flood * flood)
