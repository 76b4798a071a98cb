"""Interstitial fluid: Starling filtration, oncotic pressure, the elastic tissue, lymph.

Baxter & Jain 1989 (doi 10.1016/0026-2862(89)90074-5) for the tumour's interstitium; oncotic polynomials as used in
the whole-body fluid models after Landis & Pappenheimer 1963; compliance after Reed & Wiig 1981.
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import largest, positive


@law
def oncotic_plasma(c: float) -> float:
    """Oncotic pressure of plasma in mmHg at total protein `c` in mg/mL."""
    return 0.1752 * c + 0.0028 * c * c


@law
def oncotic_slope(c: float) -> float:
    """Slope of `oncotic_plasma`, mmHg per mg/mL."""
    return 0.1752 + 0.0056 * c


@law
def oncotic_interstitial(c: float) -> float:
    """Oncotic pressure of interstitial fluid in mmHg at protein `c` in mg/mL."""
    return 0.2336 * c + 0.0034 * c * c


@law
def filtration_pressure(vessel: float, reflection: float, oncotic_vessel: float, oncotic_tissue: float) -> float:
    """Tissue pressure at which filtration stops, mmHg: p_v - sigma (pi_v - pi_i)."""
    return vessel - reflection * (oncotic_vessel - oncotic_tissue)


@law
def stiffness(modulus: float, strain: float, cap: float) -> float:
    """Tangent modulus in mmHg per unit strain: grows as the strain nears `cap` (tissue that is full resists)."""
    x = positive(strain, 0.01) / cap
    return modulus * (1.0 + x * x * x * x)


@law
def drying_pressure(modulus: float, cap: float, filled: float) -> float:
    """By how much pressure falls short in tissue that is drying out, mmHg: the last fluid is held ever more firmly.

    `filled` is the fluid over that of unstrained tissue. What holds water in it (gel and cells) swells the more the less
    there is: tissue is stiff below its normal volume (Guyton 1965). Without it a small tumour, whose
    pressure is that of the tissue around it, would be squeezed empty. Neutral: `filled` 1 and above, 0.
    """
    x = positive(1.0 - filled, 0.01)
    return modulus * cap * x * x * x / filled


@law
def drying_stiffness(modulus: float, cap: float, filled: float) -> float:
    """Fall of `drying_pressure` per `filled`, mmHg."""
    x = positive(1.0 - filled, 0.01)
    return modulus * cap * x * x * (3.0 * filled + x) / (filled * filled)


@law
def lymph_conductance(normal: float, above: float, most: float, resting: float) -> float:
    """Lymph uptake per pressure at `above` mmHg over the pressure where lymph stops.

    Flow is `normal` x `above` for small pressures and at most `most` times the flow at `resting` mmHg: initial
    lymphatics are pulled open, then the collectors limit (Aukland & Reed 1993). Tissue at rest drains: `resting` counts as
    0.1 mmHg at least.
    """
    x = positive(above, 0.05) / largest(resting, 0.1)
    return normal * most / (most - 1.0 + x)


@law
def elastic_pressure(rest: float, modulus: float, strain: float, reference: float, relaxed: float, cap: float) -> float:
    """Tissue pressure in mmHg of a standard linear solid that stiffens near `cap`.

    A share `relaxed` of the modulus answers to the strain for good, the rest only to what the tissue has not yet crept
    towards (`reference`). Integral of `stiffness`.
    """
    x = positive(strain, 0.01) / cap
    stiff = cap * x * x * x * x * x / 5.0
    return rest + modulus * (relaxed * strain + (1.0 - relaxed) * (strain - reference) + stiff)


@law
def cavity_pressure(fluid: float, rest: float, pressure: float, modulus: float) -> float:
    """Pressure in a cavity in mmHg: rises slowly with fluid, falls steeply (by mmHg) as the walls come to touch."""
    return pressure + modulus * (fluid - rest) - (rest / fluid - 1.0)


@law
def cavity_stiffness(fluid: float, rest: float, modulus: float) -> float:
    """Slope of `cavity_pressure`, mmHg/mm³."""
    return modulus + rest / (fluid * fluid)
