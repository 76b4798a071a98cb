"""Cells killed by irradiation: linear-quadratic survival, less of it without oxygen, and death over days.

Survival of a fraction of D Gy is exp(-αD - βD²) (linear-quadratic: Fowler 1989, doi 10.1259/0007-1285-62-740-679); cells
without oxygen survive as if the dose were smaller by the oxygen enhancement ratio. Sterilised cells die when they divide, over
days: the logarithmic kill of a fraction is pending (`damage`) and falls due at a constant rate, so that the clonogens
that are left in the end are those that the survival curve gives.
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import decay, exp, log, smallest


@law
def log_kill(dose: float, alpha: float, beta: float) -> float:
    """-log of the surviving share after one fraction of `dose` Gy. Neutral value 0 (no dose, or α = β = 0)."""
    return dose * (alpha + beta * dose)


@law
def log_kill_mixed(dose: float, alpha: float, beta: float, hypoxic: float, enhancement: float) -> float:
    """The same for cells of which a share `hypoxic` is protected `enhancement`-fold. Capped at 25 (one cell in 7e10)."""
    in_air = smallest(log_kill(dose, alpha, beta), 25.0)
    without = smallest(log_kill(dose / enhancement, alpha, beta), 25.0)
    return -log((1.0 - hypoxic) * exp(-in_air) + hypoxic * exp(-without))


@law
def death_rate(damage: float, time: float, dt: float) -> float:
    """Rate in 1/h at which pending damage falls due, mean over `dt`: exact in sum. Neutral value 0 (no damage)."""
    return damage * (1.0 - decay(dt / time)) / dt
