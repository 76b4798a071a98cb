"""On how much evidence a prediction rests: which parameters stand behind it, and what is known of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from locokine.parameters.records import Record
    from locokine.scenario.experiment import Experiment

STATUSES: tuple[str, ...] = ("measured", "derived", "calibrated", "assumed")

LINKS: dict[str, str] = {
    "exposure": r"fmol_per_iu|molar_mass|radius|clearance.*|central_.*|peripheral_.*|distribution_.*|peritoneum_.*"
    r"|subcutis_.*|tissue_degradation|degradation_factor|node_degradation|node_flow|node_volume|uptake_.*|secretion"
    r"|presence_half|.*_hindrance|potency_.*|cavity_(wall_.*|voiding)|matrix_.*|bound_.*|depot_share|release_rate|artery_flow",
    "leak": r"direct_.*|thrombotic_.*|lymphocyte_(half|t_weight|on|off)|leak_.*",
    "fluid": r"vessel_pressure|.*_vessel_conductivity|(tumour|normal)_(reflection|conductivity|fluid_ratio|modulus"
    r"|rest_pressure|tissue_protein)|relaxed_share|creep_time|strain_cap|lymph_(conductance|pressure|opening)"
    r"|protein_permeability.*|cavity_(?!supported).*|rim_thickness",
    "perfusion": r"vessel_(radius|density|loss_.*|destruction_.*)|rim_vessel_density|flow_normal|angiogenesis|angiostasis"
    r"|vessel_adaptation|plugging_share|feeding_share|perfusion_lag|autoregulation_.*|collapse_.*|bleeding_rate|erythrocyte_clearance",
    "oxygen": r"oxygen_.*|arterial_(oxygen|saturation)|extraction_most|capillary_weight|hypoxia_threshold"
    r"|reference_cell_share|supply_spread|avascular_radius|rim_consumption|anoxic_death_rate|blood_glucose|glucose_.*"
    r"|dead_.*|cavity_supported_cells",
    "priming": r"antigen_.*|danger_.*|licence_half|helped_share|quiet_share|dendritic_.*|sites_per_dendritic"
    r"|priming_rate|node_division|division_without"
    r"|progeny_per_site|node_most|egress|contraction|memory_.*|recall|naive_turnover|precursors|immunogenicity|epitopes",
    "killers": r"effector_kd|t_kd|treg_.*|armed_.*|lak_.*|ctl_.*|kill_half|macrophage_.*"
    r"|bystander_share|exhaustion_.*|homing_.*|margination_.*"
    r"|nk_(division|homing|exit|return|most|turnover|marrow|survival|high_kd|blood.*)|t_(division|exit|return|retention|death|most)|rebound.*"
    r"|niche.*|interferon_half",
    "growth": r"birth_rate|growth_arrest|spontaneous_death|cell_volume|stroma_.*|smallest_stroma|loss_share|implant_take"
    r"|radiation_.*|toxic_.*|seeding_rate",
    "body": r"systemic_.*|organ_.*|resistance_.*|pressor_.*|output_reflex|volume_reflex|fever_.*|synthesis_fall|shock_ratio"
    r"|sodium_retention|insensible_share|loss_rise"
    r"|death_rate|weight|plasma_.*|erythrocyte_volume|interstitial_volume|arterial_pressure|filtration_coefficient"
    r"|lymph_(flow|most)|protein_(escape|loss)|intake|thirst_gain|temperature|supportive_care|fluids_.*|endpoint_.*",
}
"""Link of the chain → names of its parameters (regular expressions; the first link that matches has it)."""

LINK_NAMES: dict[str, str] = {
    "exposure": "IL-2: where it goes",
    "leak": "Endothelium: leak",
    "fluid": "Interstitial fluid and pressure",
    "perfusion": "Vessels and blood flow",
    "oxygen": "Oxygen, glucose and necrosis",
    "priming": "Antigen, node and memory",
    "killers": "Lymphocytes and killing",
    "growth": "Tumour growth",
    "body": "Circulation, toxicity and end points",
    "other": "Other",
}

PREDICTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("IL-2 in tumour, node and plasma; bioavailability", ("exposure",)),
    ("Leak, oedema and pressure", ("exposure", "leak", "fluid")),
    ("Hypoxia and necrosis", ("exposure", "leak", "fluid", "perfusion", "oxygen")),
    ("Specific immunity and rechallenge", ("priming", "killers", "growth")),
    (
        "Tumour response, cure and survival",
        ("exposure", "leak", "fluid", "perfusion", "oxygen", "priming", "killers", "growth"),
    ),
    ("Systemic toxicity", ("exposure", "leak", "body")),
)
"""What the report predicts, and the links of the chain that stand behind it."""


class Support(NamedTuple):
    """A prediction, the number of parameters behind it, and the share (0–1) of each status, ordered as `STATUSES`."""

    prediction: str
    number: int
    shares: tuple[float, ...]


_PATTERNS = {link: re.compile(pattern) for link, pattern in LINKS.items()}


def link_of(name: str) -> str:
    """Link of the chain to which a parameter belongs, "other" if none claims it."""
    return next((link for link, pattern in _PATTERNS.items() if pattern.fullmatch(name)), "other")


def unique_records(experiment: Experiment) -> list[Record]:
    """Records in use, each scope's own copy of a parameter once, in the order of the library."""
    found = {(record.scope, record.name): record for record in experiment.used_records()}
    return list(found.values())


def support(records: Iterable[Record]) -> list[Support]:
    """Share of measured, derived, calibrated and assumed parameters behind each prediction.

    A parameter counts once, however much or little it moves the prediction: the shares say how well the numbers are
    known, not how sensitive the result is to them.
    """
    by_link: dict[str, list[str]] = {}
    for record in records:
        by_link.setdefault(link_of(record.name), []).append(record.status)
    rows = []
    for prediction, links in PREDICTIONS:
        statuses = [status for link in links for status in by_link.get(link, [])]
        total = max(len(statuses), 1)
        rows.append(Support(prediction, len(statuses), tuple(statuses.count(s) / total for s in STATUSES)))
    return rows
