"""Grades of toxicity from simulated quantities: the one place where the thresholds stand.

The engine's treatment rules and the tables of `outcome.toxicity` use the same functions. The wording of the grades is
that of CTCAE v5.0 (National Cancer Institute, 2017); where CTCAE asks for signs or for a doctor's decision that is not
simulated, the threshold on the simulated quantity that stands for it is an assumption and marked so in the table of
`outcome.toxicity`.

Every function is arithmetic on floats: it compiles, and its `py_func` works on arrays as well. A quantity that is nan
has grade 0. Names are those of the terms in treatment rules.
"""

from __future__ import annotations

from locokine._jit import law

TERMS: tuple[str, ...] = ("hypotension", "weight_gain", "capillary_leak", "fever", "injection_site_reaction")
"""Terms that treatment rules may name, in the order of `ArmRun.worst_grades`."""

HYPOTENSION = (0.90, 0.80, 0.66, 0.56)
"""Mean arterial pressure / normal below which grades 1–4 begin (of 98 mmHg: 88, 78, 65, 55)."""
PRESSOR = (0.1, 0.9)
"""Pressor support (share of full dose) from which hypotension is grade 3, and counts as refractory below 0.66."""
WEIGHT_GAIN = (0.05, 0.10, 0.20)
"""Gain / weight before treatment from which grades 1–3 begin (CTCAE v5; no grade 4)."""
WEIGHT_LOSS = (0.05, 0.10, 0.20)
"""Loss / weight before treatment from which grades 1–3 begin (CTCAE v5; no grade 4)."""
LEAK_STATE = (0.1, 0.2, 0.3, 0.5)
"""Systemic leak state from which capillary leak can be grade 1–4, if weight is gained as well."""
LEAK_GAIN = (0.02, 0.05, 0.10, 0.15)
"""Gain of weight / before treatment that grades 1–4 of capillary leak need besides the leak."""
LEAK_ALBUMIN = (3.0, 2.0)
"""Albumin in g/dL below which alone a leaking host with `LEAK_GAIN` can be grade 3 and 4."""
LUNG_LEAK = (1.5, 2.5, 5.0, 10.0)
"""Albumin leak index of the lung / normal from which grades 1–4 begin (animals)."""
FEVER = (38.0, 39.0, 40.0)
"""Temperature in degC above which grades 1–3 begin (CTCAE v5)."""
FEVER_HOURS = 24.0
"""Hours above 40 degC that make fever grade 4 (CTCAE v5)."""
ALBUMIN = (3.5, 3.0, 2.0)
"""Serum albumin in g/dL below which grades 1–3 begin (CTCAE v5), of a host whose normal is `ALBUMIN_NORMAL`."""
ALBUMIN_NORMAL = 4.2
"""Albumin in g/dL of the host for whom CTCAE's limits were made (middle of 3.5–5)."""
SITE_LEAK = 0.10
"""Leak state of the host tissue around an injected lesion from which redness and warmth are seen (grade 1)."""
SITE_OEDEMA = (0.05, 0.10)
"""Fluid strain of that tissue above its strain before the first injection (a growing tumour swells its surroundings as well)
from which the reaction is grade 1 and 2, if it lasts: the fluid of an injection is not a reaction."""
SITE_OEDEMA_HOURS = 24.0
"""Hours that such swelling must have lasted."""
SITE_PERFUSION = 0.05
"""Perfusion / normal below which host tissue around the lesion is ischaemic."""
SITE_HOURS = 24.0
"""Hours of such ischaemia after which host tissue ulcerates (grade 3)."""


@law
def hypotension(pressure: float, normal: float, pressor: float) -> float:
    """Grade 0–4 of hypotension.

    Parameters
    ----------
    pressure, normal
        Mean arterial pressure now and before treatment, in the same unit.
    pressor
        Pressor support, 0 none to 1 full dose.
    """
    ratio = pressure / normal
    mild = 1.0 * (ratio < HYPOTENSION[0]) + 1.0 * (ratio < HYPOTENSION[1])
    treated = (ratio < HYPOTENSION[2]) | (pressor > PRESSOR[0])
    refractory = (ratio < HYPOTENSION[3]) | ((pressor > PRESSOR[1]) & (ratio < HYPOTENSION[2]))
    severe = 3.0 * treated + 1.0 * refractory
    return severe + (1.0 - 1.0 * treated) * mild


@law
def weight_gain(gained: float) -> float:
    """Grade 0–3 of weight gain; `gained` is the gain / weight before treatment."""
    return 1.0 * (gained >= WEIGHT_GAIN[0]) + 1.0 * (gained >= WEIGHT_GAIN[1]) + 1.0 * (gained >= WEIGHT_GAIN[2])


@law
def weight_loss(lost: float) -> float:
    """Grade 0–3 of weight loss; `lost` is the loss / weight before treatment."""
    return 1.0 * (lost >= WEIGHT_LOSS[0]) + 1.0 * (lost >= WEIGHT_LOSS[1]) + 1.0 * (lost >= WEIGHT_LOSS[2])


@law
def capillary_leak(leak: float, gained: float, albumin: float) -> float:
    """Grade 0–4 of capillary leak syndrome: a leak that has put on weight, in grades 3 and 4 with loss of albumin.

    Parameters
    ----------
    leak
        Leak state of the systemic microvasculature, 0–1.
    gained
        Gain of weight / weight before treatment (retained fluid).
    albumin
        Serum albumin, g/dL.
    """
    return (
        1.0 * ((leak >= LEAK_STATE[0]) & (gained >= LEAK_GAIN[0]))
        + 1.0 * ((leak >= LEAK_STATE[1]) & (gained >= LEAK_GAIN[1]))
        + 1.0 * ((leak >= LEAK_STATE[2]) & (gained >= LEAK_GAIN[2]) & (albumin < LEAK_ALBUMIN[0]))
        + 1.0 * ((leak >= LEAK_STATE[3]) & (gained >= LEAK_GAIN[3]) & (albumin < LEAK_ALBUMIN[1]))
    )


@law
def lung_leak(index: float) -> float:
    """Grade 0–4 equivalent of pulmonary leak in animals; `index` is albumin leak of the lung / normal."""
    return (
        1.0 * (index >= LUNG_LEAK[0])
        + 1.0 * (index >= LUNG_LEAK[1])
        + 1.0 * (index >= LUNG_LEAK[2])
        + 1.0 * (index >= LUNG_LEAK[3])
    )


@law
def fever(temperature: float, hours_above_40: float = 0.0) -> float:
    """Grade 0–4 of fever; `temperature` in degC, and for how many hours it has been above 40 degC."""
    return (
        1.0 * (temperature >= FEVER[0])
        + 1.0 * (temperature > FEVER[1])
        + 1.0 * (temperature > FEVER[2])
        + 1.0 * ((temperature > FEVER[2]) & (hours_above_40 > FEVER_HOURS))
    )


@law
def hypoalbuminaemia(albumin: float, normal: float) -> float:
    """Grade 0–3 of hypoalbuminaemia; limits scale with the host's albumin before treatment (same unit)."""
    scaled = albumin / normal * ALBUMIN_NORMAL
    return 1.0 * (scaled < ALBUMIN[0]) + 1.0 * (scaled < ALBUMIN[1]) + 1.0 * (scaled < ALBUMIN[2])


@law
def injection_site_reaction(leak: float, swollen_hours: float, tense_hours: float, ischaemic_hours: float) -> float:
    """Grade 0–3 of the reaction of host tissue around an injected lesion (grade 4 is not simulated).

    Parameters
    ----------
    leak
        Leak state of the rim, 0–1.
    swollen_hours, tense_hours
        For how long the fluid strain of the rim has been above the first and the second of `SITE_OEDEMA`, h.
    ischaemic_hours
        For how long the perfusion of the rim has been below `SITE_PERFUSION` of normal (plugged vessels), h.
    """
    tense = tense_hours >= SITE_OEDEMA_HOURS
    red = (leak >= SITE_LEAK) | (swollen_hours >= SITE_OEDEMA_HOURS) | tense
    ulcer = ischaemic_hours >= SITE_HOURS
    return 3.0 * ulcer + (1.0 - 1.0 * ulcer) * (1.0 * red + 1.0 * tense)
