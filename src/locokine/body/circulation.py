"""Whole-body fluid balance and pressure under vascular leak, with the support a clinic gives.

Four states (plasma and interstitial volume, plasma and interstitial protein) after Chapple 1993 and Xie 1995; values of
capillary leak under high-dose IL-2 from Textor 1987 and Lee 1989. All volumes in mm³, flows in mm³/h.
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import hill, largest, positive, power, smallest
from locokine.biology.fluid import oncotic_slope


@law
def systemic_drive(nk: float, occupied: float, help_: float, half: float) -> float:
    """Drive of the lymphocyte arm of systemic leak: NK number (relative to baseline) x occupancy² x help, saturating.

    `help_` (0 to 1) is what T cells under IL-2 add by their cytokines: nude mice have NK cells and hardly leak, and
    mice without NK cells hardly leak either (Rosenstein 1986). Neutral: no help, 0.
    """
    x = nk * occupied * occupied * help_
    return x / (x + half)


@law
def capillary_pressure(normal: float, volume_ratio: float) -> float:
    """Capillary pressure in mmHg; follows the filling of the circulation."""
    return normal * (0.5 + 0.5 * volume_ratio)


@law
def lymph_flow(normal: float, volume_ratio: float, most: float) -> float:
    """Lymph flow in mm³/h; rises with interstitial volume, at most `most` times normal."""
    x = positive(volume_ratio - 1.0, 0.005)
    return normal * (1.0 + (most - 1.0) * hill(x, 0.35))


LYMPH_SLOPE = 3.0
"""Steepest slope of `lymph_flow` per relative volume and `most` (1/0.35)."""
TISSUE_SLOPE = 14.0
"""Steepest slope of `interstitial_pressure` per relative volume, mmHg."""
DEMAND_WIDTH = 6.0
"""Fall of pressure below its target at which half of the support is given, mmHg."""


@law
def plasma_slope(capillary: float, reflection: float, protein: float, normal: float, plasma: float) -> float:
    """How far filtration pressure rises per plasma gained, mmHg/mm³: capillary pressure up, oncotic pressure down."""
    return 0.5 * capillary / normal + reflection * oncotic_slope(protein) * protein / plasma


@law
def interstitial_pressure(volume_ratio: float, normal: float) -> float:
    """Interstitial pressure in mmHg; a steep rise below and a flat one above normal volume (Chapple 1993, piecewise)."""
    x = volume_ratio - 1.0
    return normal + TISSUE_SLOPE * x / (1.0 + 10.0 * positive(x, 0.01))


@law
def resistance(drop: float, pressor: float, gain: float, filling: float, reflex: float) -> float:
    """Systemic vascular resistance relative to baseline; `drop` from IL-2, raised again by pressors and by lost volume.

    `filling` is blood volume relative to normal; the baroreflex answers with the power `reflex`.
    """
    return (1.0 - drop) * (1.0 + gain * pressor) * power(largest(filling, 0.2), -reflex)


@law
def output(filling: float, svr: float, reflex: float) -> float:
    """Cardiac output relative to baseline: filling, and the reflex answer to low resistance."""
    return filling * power(largest(svr, 0.05), -reflex)


@law
def thirst(normal: float, volume_ratio: float, gain: float) -> float:
    """Water taken in, mm³/h: rises by `gain` times what the plasma volume has fallen, relative. Neutral: gain 0."""
    return normal * (1.0 + gain * positive(1.0 - volume_ratio, 0.01))


@law
def water_loss(
    normal: float, map_ratio: float, volume_ratio: float, tone: float, retention: float, insensible: float, ill: float
) -> float:
    """Water lost in mm³/h: a share `insensible` by skin, lungs and gut, the rest as urine.

    Fever and diarrhoea raise the former (1 + `ill`) times; diarrhoea under IL-2 can be profuse (Dutcher 2014).

    Urine follows pressure natriuresis (third power), filling, and vascular tone to the power `retention`.

    A dilated arterial tree is underfilled, and the kidney holds sodium and water back even while the pressure is kept:
    under IL-2 renin rises and hardly any sodium is excreted (Textor 1987, Belldegrun 1987). Neutral: tone 1, ill 0.
    """
    m = smallest(largest(map_ratio, 0.0), 1.6)
    urine = m * m * m * volume_ratio * volume_ratio * power(largest(tone, 0.05), retention)
    return normal * (insensible * (1.0 + ill) + (1.0 - insensible) * urine)


@law
def demand(pressure: float, target: float, width: float) -> float:
    """How much support the team gives (0 to 1) when mean arterial pressure falls below its target."""
    x = positive(target - pressure, 0.2) / width
    return x / (1.0 + x)
