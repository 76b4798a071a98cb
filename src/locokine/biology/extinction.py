"""Probability that no clonogen is left: a time-varying birth-death process.

Zaider & Minerbo 2000 (doi 10.1088/0031-9155/45/2/303), after Kendall 1948. With mean number n(t) and J = ∫ b/n dt,
the probability of extinction by t is [1 - (n/n0)/(1 + n J)]^n0, which for many clonogens is exp(-n/(1 + n J)).
"""

from __future__ import annotations

from locokine._jit import law


@law
def exponent(cells: float, births_over_cells: float) -> float:
    """-log of the probability of extinction: n/(1 + nJ)."""
    return cells / (1.0 + cells * births_over_cells)
