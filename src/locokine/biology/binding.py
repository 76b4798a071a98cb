"""Agents held by matrix, and agents released from a depot.

Binding to matrix is taken to be in balance at once: bound = B c/(Kd + c) with B sites (Langmuir 1918, doi
10.1021/ja02242a004). It is faster than wash-out when sites times the rate of association exceed it: 1e5 /M/s and 1 uM of
sites give ten seconds. What moves is the free part only, so that a bound agent is held back by the factor amount / (free).
A depot (particles, precursors that water cleaves) lets go of the same share of what is left per time.
"""

from __future__ import annotations

from math import sqrt

from locokine._jit import law
from locokine.biology.arithmetic import decay


@law
def free_concentration(amount: float, fluid: float, sites: float, kd: float) -> float:
    """Free concentration, nM, of `amount` fmol in `fluid` mm³ with `sites` fmol of binding sites of affinity `kd` nM.

    The positive root of F c² + (F Kd + B - A) c - A Kd = 0, in the form that does not cancel. Neutral value: amount / fluid
    (no sites).
    """
    b = fluid * kd + sites - amount
    root = sqrt(b * b + 4.0 * fluid * amount * kd)
    rare = 0.5 + 0.5 * b / (abs(b) + 1e-300)
    spread = 2.0 * amount * kd / (root + abs(b) + 1e-300)
    crowded = (root + abs(b)) / (2.0 * fluid)
    return rare * spread + (1.0 - rare) * crowded


@law
def room(concentration: float, fluid: float, sites: float, kd: float) -> float:
    """Amount per free concentration, mm³: fluid + B/(Kd + c). Neutral value: the fluid (no sites)."""
    return fluid + sites / (kd + concentration)


@law
def released(depot: float, rate: float, dt: float) -> float:
    """Amount that leaves a depot in `dt` h at `rate` per h. Neutral value 0 (rate 0)."""
    return depot * (1.0 - decay(rate * dt))
