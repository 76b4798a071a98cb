"""Blood flow through the lesion's vessels, and the vessels themselves.

Flow per vessel falls with arterial pressure (not above 85 mmHg), with viscosity, when tissue pressure nears the
pressure in the vessel (collapse), and when leukocytes and platelets plug it. Shut vessels are lost; vessels grow
towards all tissue, not towards viable tissue (which would trap a dying tumour without them).
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import exp, hill2, positive, smallest, smooth_min


@law
def autoregulation(pressure: float, full: float, least: float) -> float:
    """Flow factor from mean arterial pressure in mmHg: 1 above `full`, falling linearly, never below least/full."""
    return smooth_min(1.0, (least + positive(pressure - least, 1.0)) / full, 0.01)


@law
def viscosity(haematocrit_ratio: float) -> float:
    """Flow factor from haemoconcentration; 1 at normal haematocrit (apparent viscosity ~ exp(2.3 Hct), linearised)."""
    return 1.0 / (1.0 + 1.0 * positive(haematocrit_ratio - 1.0, 0.001))


@law
def collapse(transmural: float, reference: float, half: float) -> float:
    """Flow factor from transmural pressure in mmHg: 1 at `reference`, half-closed about `half`.

    Vessels of a tumour live with its pressure: microvascular and interstitial pressure are nearly equal (Boucher & Jain
    1992), so what shuts them is a rise above the pressure they have adapted to.
    """
    x = positive(transmural, 0.1)
    return hill2(x, half) / hill2(reference, half)


@law
def collapse_slope(transmural: float, half: float) -> float:
    """Relative rise of `collapse` per transmural pressure, 1/mmHg."""
    x = positive(transmural, 0.1) + 0.001
    return 2.0 * half * half / (x * (x * x + half * half))


@law
def plugging(direct: float, thrombotic: float, lymphocyte: float, share: float) -> float:
    """Flow factor from cells stuck to the wall; `share` is what full thrombotic plugging closes. Neutral: no arms."""
    return (1.0 - 0.1 * direct) * (1.0 - share * thrombotic) * (1.0 - 0.1 * lymphocyte)


@law
def in_series(own: float, upstream: float, share: float) -> float:
    """Flow through two resistances in series, relative to normal: `share` of it lies upstream, with the flow factor `upstream`.

    A tumour has no hilum: its vessels come from, and return to, the tissue around it, so blood on its way to the core
    crosses the rim twice. Neutral: `upstream` 1 and `own` 1; with `share` 0, `own`.
    """
    return own * upstream / ((1.0 - share) * upstream + share * own + 1e-9)


@law
def loss_rate(flow: float, threshold: float, fastest: float) -> float:
    """Rate at which vessels without flow are lost, 1/h."""
    x = positive(threshold - flow, 0.02) / threshold
    return fastest * x * x


@law
def exchange(flow: float, conductance: float) -> float:
    """Flow-limited exchange of a solute with blood, Q(1 - exp(-PS/Q)) in mm³/h (Renkin 1959, Crone 1963)."""
    q = flow + 1e-12
    return q * (1.0 - exp(-smallest(conductance / q, 25.0)))
