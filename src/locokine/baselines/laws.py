"""The equations of Kirschner and Panetta, and of Banerjee, who delays one term of them. Arithmetic only.

    dE/dt = c T − μ2 E + p1 E I / (g1 + I) + s1        effector cells
    dT/dt = r2 T (1 − b T) − a E T / (g2 + T)          tumour cells
    dI/dt = p2 E T / (g3 + T) − μ3 I + s2              interleukin-2

Kirschner D, Panetta JC 1998, J Math Biol 37:235, doi:10.1007/s002850050127. (BioModels 732 leaves out the saturation
of the third term of the first line; here it is as in the paper.) Banerjee S 2008, Int J Appl Math Comput Sci 18:389,
doi:10.2478/v10006-008-0035-6: effector cells answer to the interleukin-2 of an earlier time, p1 E(t−τ) I(t−τ)/(g1 + I(t−τ)).
"""

from __future__ import annotations

from typing import Any, NamedTuple


class State(NamedTuple):
    """Effector cells, tumour cells, interleukin-2 (in the units of the paper)."""

    effectors: Any
    tumour: Any
    il2: Any


def stimulation(x: State, p: Any) -> Any:
    """Growth of effector cells by interleukin-2, the term that may come late."""
    return p.p1 * x.effectors * x.il2 / (p.g1 + x.il2)


def change(x: State, p: Any, stimulated: Any) -> tuple[Any, Any, Any]:
    """Return dE/dt, d(ln T)/dt and dI/dt per day; `stimulated` is `stimulation` now or at an earlier time.

    The logarithm of the tumour is what is integrated: between relapses it falls by more orders than a sum keeps.
    """
    effectors = p.c * x.tumour - p.mu2 * x.effectors + stimulated + p.s1
    tumour = p.r2 * (1.0 - p.b * x.tumour) - p.a * x.effectors / (p.g2 + x.tumour)
    il2 = p.p2 * x.effectors * x.tumour / (p.g3 + x.tumour) - p.mu3 * x.il2 + p.s2
    return effectors, tumour, il2
