"""The endothelium's leak state: three arms, each with its own drive and memory.

direct       IL-2 on the endothelial cell itself (isolated lung: only at or above 1e4 U/mL; human cells: 15 min to 3 h)
thrombotic   acute adhesion and plugging
lymphocyte   activated NK/LAK cells and T cells; the arm of the days-long leak of Rosenstein 1986, absent without them

No quantitative model was published; form and constants are calibrated (docs/model, "Endothelium").
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import decay


@law
def arm(state: float, drive: float, on: float, off: float, dt: float) -> float:
    """Advance dE/dt = g(1-E)/on - (1-g)E/off over `dt`; g is the drive (0 to 1), on and off in h. Neutral drive: 0."""
    up = drive / on
    down = (1.0 - drive) / off
    settled = up / (up + down)
    return settled + (state - settled) * decay((up + down) * dt)


@law
def lymphocyte_drive(lak: float, t_active: float, half: float, t_weight: float) -> float:
    """Drive of the lymphocyte arm from activated cells per mm³: n/(n + half), n = LAK + t_weight T. Neutral: 0 cells."""
    n = lak + t_weight * t_active
    return n / (n + half)


@law
def leak(direct: float, thrombotic: float, lymphocyte: float) -> float:
    """Leak state of arms acting independently, E = 1 - Π(1-E_i)."""
    return 1.0 - (1.0 - direct) * (1.0 - thrombotic) * (1.0 - lymphocyte)


@law
def reflection(normal: float, drop: float, state: float) -> float:
    """Osmotic reflection coefficient for plasma protein; neutral state 0."""
    return normal * (1.0 - drop * state)


@law
def fold(most: float, state: float) -> float:
    """Factor on hydraulic or diffusive permeability, 1 at rest and `most` at full leak."""
    return 1.0 + (most - 1.0) * state
