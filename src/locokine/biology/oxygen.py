"""Oxygen: capillary pressure from flow, and a Krogh cylinder inside every voxel or shell.

Krogh 1919; supply radius distributed log-normally, because a regular array of vessels has a cliff that tissue does not
have. Consumption is per cell: swelling dilutes vessels and consumers alike.
"""

from __future__ import annotations

from math import sqrt

from locokine._jit import law
from locokine.biology.arithmetic import (
    exp,
    hill,
    largest,
    log,
    normal_cdf,
    positive,
    power,
    smallest,
    smooth_min,
)

PI = 3.141592653589793


@law
def extraction(demand: float, supply: float, most: float) -> float:
    """Share of the arterial oxygen taken up: demand/supply, at most `most` (0.38 at rest, 0.95 at a fifth of the flow)."""
    return smooth_min(demand / (supply + 1e-12), most, 0.03)


@law
def capillary(extracted: float, arterial: float, weight: float, half: float, hill_exponent: float) -> float:
    """Effective capillary pO2 in mmHg: the Hill curve inverted at the saturation a share `weight` along the capillary."""
    s = smallest(arterial * (1.0 - weight * extracted), 0.985)
    return half * power(s / (1.0 - s), 1.0 / hill_exponent)


@law
def krogh_drop(consumption: float, diffusion: float, radius: float, vessel: float) -> float:
    """Fall of pO2 in mmHg from the vessel (radius `vessel`) to the edge of its cylinder (`radius`), lengths in mm.

    `consumption` in mmHg/h, `diffusion` in mm²/h.
    """
    ratio = radius / vessel
    return consumption * vessel * vessel / (4.0 * diffusion) * (2.0 * ratio * ratio * log(ratio) - ratio * ratio + 1.0)


@law
def reach(drop: float, consumption: float, diffusion: float, vessel: float) -> float:
    """Radius in mm that one vessel can keep above the threshold: `krogh_drop` solved for the radius.

    With y = (R/r)²: y ln y - y + 1 = K. From a start within 3 % for K between 1e-5 and 1e5, two of Newton's steps
    y <- (y - 1 + K)/ln y leave an error below 1e-4.
    """
    k = 4.0 * diffusion * positive(drop, 0.05) / (largest(consumption, 1.0) * vessel * vessel)
    k = smallest(k, 1e5)
    y = 1.00405 + sqrt(2.0 * k) + 1.63988 * k / (2.38913 + log(16.53577 + k))
    y = (y - 1.0 + k) / log(y)
    y = (y - 1.0 + k) / log(y)
    return vessel * sqrt(y)


@law
def hypoxic(reached: float, median: float, spread: float) -> float:
    """Share of tissue beyond `reached` (mm) of its vessel, cylinder radii log-normal about `median` (log-sd `spread`).

    E[(R² - reached²)+]/E[R²] in closed form.
    """
    u = reached / median
    z = log(smallest(largest(u, 1e-3), 1e3)) / spread
    beyond = normal_cdf(2.0 * spread - z) - u * u * exp(-2.0 * spread * spread) * normal_cdf(-z)
    return smallest(largest(beyond, 0.0), 1.0)


@law
def mean_supplied(capillary_po2: float, drop_at_edge: float, hypoxic_share: float, threshold: float) -> float:
    """Mean pO2 in mmHg over viable cells: supplied tissue loses 0.86 of the drop at its edge on average.

    The factor is the area mean of the Krogh profile for R/r between 4 and 20 (0.81 to 0.90). Cells in hypoxic tissue
    count with half the threshold.
    """
    supplied = capillary_po2 - 0.86 * smallest(drop_at_edge, largest(capillary_po2 - threshold, 0.0))
    return (1.0 - hypoxic_share) * supplied + hypoxic_share * 0.5 * threshold


@law
def avascular(radius: float, limit: float) -> float:
    """Share of supply that reaches a deposit from outside: 1 for a few cells, 0 beyond `limit` (mm; diameter 0.5 mm)."""
    x = radius / limit
    return 1.0 / (1.0 + x * x * x * x)


@law
def cavity_hypoxic(cells: float, supported: float) -> float:
    """Share of free-floating cells that the wall cannot supply: 1 - min(1, supported/cells), smooth."""
    return 1.0 - smooth_min(1.0, supported / (cells + 1.0), 0.05)


@law
def cavity_po2(wall: float, cells: float, supported: float) -> float:
    """Mean pO2 in mmHg in a stirred cavity whose wall at pO2 `wall` supplies `supported` cells."""
    return wall * hill(supported, cells + 1e-9)
