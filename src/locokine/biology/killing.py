"""Tumour cells killed by T cells, by NK/LAK cells and by macrophages.

Saturable in both partners (a killer has one target at a time, a target is held by few killers): kills per volume
k T N/(h + T + N). In vivo 2 to 16 kills per CTL and day (Halle 2016), with several hits per target (Weigelin 2021).
"""

from __future__ import annotations

from locokine._jit import law


@law
def per_target(killers: float, targets: float, fastest: float, half: float) -> float:
    """Rate at which a target dies, 1/h, from the densities of armed killers and of all targets (per mm³).

    `fastest` in targets per killer and h. Neutral value 0 (no killers, or `fastest` = 0).
    """
    return fastest * killers / (half + killers + targets)


@law
def suppression(regulatory: float, effectors: float, weight: float, stimulated: float) -> float:
    """Factor on killing by T cells under regulatory T cells that IL-2 stimulates; 1 without them."""
    return 1.0 / (1.0 + weight * stimulated * regulatory / (regulatory + effectors + 1e-9))


@law
def tiring(targets: float, killers: float, half: float, most: float) -> float:
    """Factor on the rate at which T cells lose their arms: 1 + most x share of them that are on a target.

    T cells that never come off their antigen become dysfunctional, the more the higher the antigen (Wherry 2003), in
    tumours within days (Schietinger 2016). So arms last where tumour cells have become few, and not in a dense tumour.
    Neutral: no targets, 1.
    """
    return 1.0 + most * targets / (half + killers + targets)


@law
def competence(state: float, drive: float, on: float, off: float, faster: float, dt: float) -> float:
    """Advance the armed share of killers: gained under IL-2 within `on` h, kept for `off` h / `faster`."""
    up = drive / on
    down = faster / off
    z = (up + down) * dt
    d = 1.0 / (1.0 + z + 0.5 * z * z)
    return state * d + up / (up + down + 1e-12) * (1.0 - d)
