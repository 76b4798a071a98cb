"""The quantities a run reports: one table of names, units and meanings, read by store, outcome, report and docs.

`LESION` quantities exist per lesion, `BODY` quantities per host, `FIELD` quantities per lesion and shell.
Order is the order in the engine's output arrays.
"""

from __future__ import annotations

from typing import NamedTuple


class Variable(NamedTuple):
    """Name, unit (UDUNITS-like text) and meaning of one reported quantity."""

    name: str
    unit: str
    meaning: str


LESION: tuple[Variable, ...] = (
    Variable("caliper_volume", "mm3", "volume a caliper would measure: tumour with its oedema, and the swelling of the rim"),
    Variable("tumour_volume", "mm3", "volume of the tumour itself (cells, dead tissue, fluid, blood outside vessels)"),
    Variable("viable_cells", "cells", "living tumour cells, all clones"),
    Variable("viable_cells_loss", "cells", "living tumour cells of the antigen-loss clone"),
    Variable("dead_volume", "mm3", "solids of dead tumour cells not yet cleared"),
    Variable("fluid_volume", "mm3", "interstitial (or cavity) fluid"),
    Variable(
        "oedema_fraction", "1",
        "fluid above that at rest, from a first dose on above its own before it (dead tissue set aside) / caliper volume",
    ),
    Variable("necrotic_fraction", "1", "dead solids expressed as tissue / (that + viable tissue)"),
    Variable("hypoxic_fraction", "1", "share of viable tissue below 2.5 mmHg"),
    Variable("perfusion", "1", "blood flow per vessel relative to normal, mean over the tumour"),
    Variable("rim_perfusion", "1", "the same in the rim of host tissue"),
    Variable("vessel_density", "1/mm2", "open and shut vessels per area, mean over the tumour"),
    Variable("interstitial_pressure", "mmHg", "interstitial fluid pressure, mean over the tumour"),
    Variable("capillary_pO2", "mmHg", "flow-dependent capillary oxygen pressure, mean over the tumour"),
    Variable("viable_pO2", "mmHg", "oxygen pressure, mean over viable cells"),
    Variable("leak", "1", "leak state of the endothelium (0 none, 1 maximal), mean over the tumour"),
    Variable("leak_direct", "1", "its direct arm"),
    Variable("leak_thrombotic", "1", "its thrombotic arm (adhesion and plugging)"),
    Variable("leak_lymphocyte", "1", "its lymphocyte arm"),
    Variable("rim_leak", "1", "leak state in the rim"),
    Variable("rim_oedema", "1", "fluid strain of the rim relative to normal tissue"),
    Variable("erythrocytes_outside", "mm3", "volume of extravasated erythrocytes"),
    Variable("il2", "nM", "receptor-active IL-2, mean over the tumour's fluid"),
    Variable("il2_endogenous", "nM", "the part of it that the host's own cells made"),
    Variable("protein", "mg/mL", "interstitial protein concentration, mean over the tumour"),
    Variable("antigen", "cells", "free antigen and danger from dead cells, in cell equivalents"),
    Variable("danger_share", "1", "antigen / (antigen + viable cells)"),
    Variable("nk", "cells", "NK cells in the tumour"),
    Variable("lak", "cells", "NK cells with lymphokine-activated killing"),
    Variable("t_specific", "cells", "T cells specific for an antigen of this lesion, in the tumour"),
    Variable("t_competent", "cells", "the part of them that is armed by IL-2"),
    Variable("treg", "cells", "regulatory T cells in the tumour"),
    Variable("macrophages", "cells", "macrophages in the tumour"),
    Variable("births", "cells", "cumulative tumour-cell births"),
    Variable("deaths_starved", "cells", "cumulative deaths from lack of oxygen and glucose"),
    Variable("deaths_t", "cells", "cumulative deaths by specific T cells"),
    Variable("deaths_lak", "cells", "cumulative deaths by NK and LAK cells"),
    Variable("deaths_macrophage", "cells", "cumulative deaths by macrophages"),
    Variable("deaths_spontaneous", "cells", "cumulative spontaneous deaths"),
    Variable("deaths_treatment", "cells", "cumulative deaths by irradiation and cytotoxic drugs"),
    Variable("deaths_resected", "cells", "cumulative tumour cells taken out by resection"),
    Variable("seeded", "cells", "cumulative tumour cells that came from another lesion"),
    Variable("agent_total", "fmol", "all agents and endogenous IL-2 in lesion and rim: free, bound and not yet released"),
    Variable("agent_bound", "fmol", "the part of it that is bound to matrix"),
    Variable("agent_depot", "fmol", "the part of it that a depot has not yet released"),
    Variable("fluid_held", "mm3", "interstitial (or cavity) fluid of lesion and rim"),
    Variable("fluid_gained", "mm3", "cumulative fluid that came: with tissue, filtered, injected, from dying cells"),
    Variable("fluid_lost", "mm3", "cumulative fluid that went: by lymph, into tissue around, taken out"),
    Variable("protein_held", "ug", "plasma protein in the fluid of lesion and rim"),
    Variable("protein_gained", "ug", "cumulative plasma protein that came: with tissue and from vessels"),
    Variable("protein_lost", "ug", "cumulative plasma protein that went: by lymph, into tissue around, taken out"),
    Variable("interferon", "1", "answer to interferon gamma of T cells on their antigen (0 none, 1 full), mean over the tumour"),
)

BODY: tuple[Variable, ...] = (
    Variable("il2_plasma", "nM", "receptor-active IL-2 in plasma"),
    Variable("il2_node", "nM", "receptor-active IL-2 in the draining node"),
    Variable("node_dendritic", "cells", "antigen-bearing dendritic cells in the draining node, all antigens"),
    Variable("node_naive", "cells", "naive specific T cells, all antigens"),
    Variable("node_proliferating", "cells", "dividing specific T cells in the node, all antigens"),
    Variable("blood_t_specific", "cells", "specific effector T cells in blood, all antigens"),
    Variable("memory", "cells", "memory T cells, all antigens"),
    Variable("blood_lymphocytes", "1", "circulating lymphocytes relative to baseline"),
    Variable("blood_nk", "1", "circulating NK cells relative to baseline"),
    Variable("systemic_leak", "1", "leak state of the systemic microvasculature (0 none, 1 maximal)"),
    Variable("plasma_volume", "mL", "plasma volume"),
    Variable("interstitial_volume", "mL", "interstitial volume of the body"),
    Variable("albumin", "g/dL", "serum albumin"),
    Variable("mean_arterial_pressure", "mmHg", "mean arterial pressure"),
    Variable("vascular_resistance", "1", "systemic vascular resistance relative to baseline (pressors included)"),
    Variable("cardiac_output", "1", "cardiac output relative to baseline"),
    Variable("weight", "kg", "body weight, retained fluid included (tumour excluded)"),
    Variable("temperature", "degC", "body temperature"),
    Variable("fluids_given", "mL", "cumulative intravenous fluids given as support"),
    Variable("pressor", "1", "pressor support (0 none, 1 full dose)"),
    Variable("organ_leak", "1", "albumin leak index of the lung relative to baseline (as measured with labelled albumin)"),
    Variable("agent_supplied", "fmol", "cumulative amount given or made by the host, all agents"),
    Variable("agent_elsewhere", "fmol", "amount outside the lesions: plasma, periphery, node, depots"),
    Variable("agent_gone", "fmol", "cumulative amount degraded, taken up, cleared or taken out, all agents"),
    Variable("albumin_escape", "%/h", "share of the plasma's protein that leaves it (as measured with labelled albumin)"),
)

FIELD: tuple[Variable, ...] = (
    Variable("radius", "mm", "outer radius of the shell"),
    Variable("il2", "nM", "receptor-active IL-2"),
    Variable("interstitial_pressure", "mmHg", "interstitial fluid pressure"),
    Variable("fluid_fraction", "1", "fluid share of the volume"),
    Variable("leak", "1", "leak state of the endothelium"),
    Variable("perfusion", "1", "blood flow per vessel relative to normal"),
    Variable("hypoxic_fraction", "1", "share of tissue below 2.5 mmHg"),
    Variable("viable_density", "1/mm3", "living tumour cells per volume"),
    Variable("dead_fraction", "1", "dead solids share of the volume"),
    Variable("lymphocyte_density", "1/mm3", "NK and T cells per volume"),
    Variable("vessel_density", "1/mm2", "vessels per area"),
    Variable("erythrocyte_fraction", "1", "extravasated erythrocytes' share of the volume"),
)

PLACES: tuple[str, ...] = ("tumour", "rim", "node", "plasma")
"""Places whose peak and area under the curve are accumulated at every step, per agent and for receptor-active IL-2."""

DEATHS: tuple[str, ...] = ("toxic_death", "tumour_death", "humane_endpoint")
"""Events that end a life; the humane endpoint counts as death."""

EVENTS: tuple[str, ...] = (
    "implanted", "extinct", "cured", "recurred", "dose", "dose_held", "course_ended", "humane_endpoint", "toxic_death",
    "tumour_death", "challenged", "rejected", "irradiated", "resected", "dose_reduced",
)
"""Kinds of entries in the event log (one row: arm, subject, time_h, kind, lesion or '', value)."""
