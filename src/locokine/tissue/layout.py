"""Where every number of a block of subjects lies in memory, by name.

Subjects are the innermost axis, in blocks of `WIDTH`, so that one instruction advances several of them. A workspace is
one flat array; a field's place is `shell * STRIDE + field * WIDTH + subject`. Constant distances between fields are what
lets the compiler prove that subjects do not disturb each other. Laws never see an index: `load_*` turn a place into a
named tuple, `store_*` write one back.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from locokine._jit import access

WIDTH = 16
"""Subjects in a block."""
W = np.uint64(WIDTH)

TISSUE = (
    # state of one shell; extensive quantities are totals of the shell
    "viable", "loss", "dead", "fluid", "protein", "host", "vessels", "vessels_lost", "perfusion",
    "e_direct", "e_thrombotic", "e_lymphocyte", "erythrocytes", "nk", "lak_level", "armed", "treg", "macrophages",
    "strain_ref", "pressure_ref", "damage",
)
INPUTS = (
    # what a shell is told by the passes around it
    "core", "cavity", "radius", "g_direct", "g_thrombotic", "g_armed", "g_lak", "g_effector", "g_t", "g_treg",
    "t_specific", "t_all", "vessel_target", "host_target", "lesion_volume", "drift",
    "t_growth", "armed_rate", "upstream", "interferon", "toxic_tumour", "toxic_regulatory", "toxic_lymphocyte",
)
EXCHANGE = (
    # what fluid and solutes need to know of a shell
    "volume", "strain", "leak", "filtration", "filtration_pressure", "stiffness", "lymph", "lymph_pressure",
    "protein_ps", "surface", "flow", "reflection", "pressure", "creep",
)
OUTPUTS = (
    # what a step of tissue biology reports
    "hypoxic", "capillary_po2", "viable_po2", "births", "died_starved", "died_t", "died_lak", "died_macrophage",
    "died_spontaneous", "nk_in", "antigen_in", "danger_in", "homing", "died_treatment",
)
SCRATCH = (
    # faces and tridiagonal systems
    "outer_radius", "inner_half", "outer_half", "face_area", "face_hydraulic", "face_flow", "filtered", "drained",
    "diagonal", "right", "il2", "takers",
)
TISSUE_FIELDS = TISSUE + INPUTS + EXCHANGE + OUTPUTS + SCRATCH

BODY = (
    "plasma_volume", "interstitial_volume", "protein_plasma", "protein_interstitial", "e_direct", "e_lymphocyte",
    "resistance_drop", "mediator", "nk", "lymphocytes", "treg", "pressor", "fluids_given", "hazard", "organ_water", "armed",
)
BODY_INPUTS = (
    "il2_plasma", "il2_node", "g_direct", "occupied", "occupied_treg", "occupied_high", "g_armed", "nk_taken", "fluid_taken",
    "protein_taken", "homing", "nk_back", "recalled", "activated", "helped", "carried", "plasma_answer", "protein_answer",
    "toxic_regulatory", "toxic_lymphocyte", "node_growth",
)
BODY_OUTPUTS = (
    "pressure", "svr", "cardiac_output", "temperature", "weight", "organ_leak", "oncotic", "haematocrit_ratio",
    "systemic_leak", "map_ratio", "blood_volume", "protein", "filling",
)
BODY_FIELDS = BODY + BODY_INPUTS + BODY_OUTPUTS

AGENT_POOLS = ("plasma", "peripheral", "peritoneum", "subcutis", "node", "held_peritoneum", "held_subcutis")
NODE_POOLS = ("dendritic", "naive", "dividing", "effectors", "memory")
CARRIER_POOLS = ("antigen", "transit_1", "transit_2")
SOLUTE = (
    # an agent in one shell: `amount` is free and bound to matrix, `depot` not yet released, `room` amount / free concentration
    "amount", "concentration", "mean", "face", "blood", "drain", "sink", "uptake", "source", "weight", "room", "sites", "depot",
)
LESION_FIELDS = (
    # totals and accumulators of one lesion
    "j_viable", "j_loss", "births", "deaths_starved", "deaths_t", "deaths_lak", "deaths_macrophage",
    "deaths_spontaneous", "implanted", "extinct", "fluid_baseline", "radius", "volume", "antigen", "danger", "danger_share",
    "alarm", "licensed", "fluid_filtered", "fluid_drained", "fluid_from_plasma", "protein_from_plasma",
    "fluid_injected", "fluid_released", "protein_entered", "protein_drained",
    "fluid_recruited", "fluid_left", "protein_recruited", "protein_left", "tumour_fluid_share", "cells", "baseline_cells",
    "diameter", "homing", "nk_back", "fluid_owed", "protein_owed", "plasma_answer", "protein_answer", "deaths_treatment",
    "deaths_resected", "seeded",
)

Tissue = namedtuple("Tissue", TISSUE)
Inputs = namedtuple("Inputs", INPUTS)
Exchange = namedtuple("Exchange", EXCHANGE)
Outputs = namedtuple("Outputs", OUTPUTS)
Blood = namedtuple("Blood", ("il2_plasma", "nk"))
Water = namedtuple("Water", ("plasma", "interstitial", "filtered", "lymph", "fluids", "reflection"))
Body = namedtuple("Body", BODY)
BodyInputs = namedtuple("BodyInputs", BODY_INPUTS)
BodyOutputs = namedtuple("BodyOutputs", BODY_OUTPUTS)


def _places(name: str, fields: tuple[str, ...], stride: int = WIDTH) -> Any:
    return namedtuple(name, fields)(*(np.uint64(i * stride) for i in range(len(fields))))


T = _places("T", TISSUE_FIELDS)
B = _places("B", BODY_FIELDS)
A = _places("A", AGENT_POOLS)
N = _places("N", NODE_POOLS)
C = _places("C", CARRIER_POOLS)
L = _places("L", LESION_FIELDS)
S = _places("S", SOLUTE)
SHELL = np.uint64(len(TISSUE_FIELDS) * WIDTH)
"""Distance between shells in a tissue workspace."""
SOL = np.uint64(len(SOLUTE) * WIDTH)
"""Distance between shells of a solute; solutes follow one another (agent, shell, field, subject)."""
POOLS = np.uint64(len(AGENT_POOLS) * WIDTH)
NODE = np.uint64(len(NODE_POOLS) * WIDTH)
CARRIERS = np.uint64(len(CARRIER_POOLS) * WIDTH)


def loader(kind: type, first: int) -> Callable[..., Any]:
    """Function (array, offset, subject) -> `kind`, its fields lying one after another from field number `first`."""
    names = kind._fields  # type: ignore[attr-defined]
    items = ", ".join(f"array[offset + U({(first + i) * WIDTH}) + s]" for i in range(len(names)))
    space: dict[str, Any] = {"Kind": kind, "U": np.uint64}
    exec(f"def load(array, offset, s):\n    return Kind({items})\n", space)
    return access(space["load"])


def storer(kind: type, first: int) -> Callable[..., None]:
    """Function (array, offset, subject, value): the inverse of `loader`."""
    names = kind._fields  # type: ignore[attr-defined]
    lines = "\n".join(
        f"    array[offset + U({(first + i) * WIDTH}) + s] = value.{name}" for i, name in enumerate(names)
    )
    space: dict[str, Any] = {"U": np.uint64}
    exec(f"def store(array, offset, s, value):\n{lines}\n", space)
    return access(space["store"])


_AT_INPUTS = len(TISSUE)
_AT_EXCHANGE = _AT_INPUTS + len(INPUTS)
_AT_OUTPUTS = _AT_EXCHANGE + len(EXCHANGE)
load_tissue, store_tissue = loader(Tissue, 0), storer(Tissue, 0)
load_inputs = loader(Inputs, _AT_INPUTS)
load_exchange, store_exchange = loader(Exchange, _AT_EXCHANGE), storer(Exchange, _AT_EXCHANGE)
store_outputs = storer(Outputs, _AT_OUTPUTS)
load_body, store_body = loader(Body, 0), storer(Body, 0)
load_body_inputs = loader(BodyInputs, len(BODY))
load_body_outputs = loader(BodyOutputs, len(BODY) + len(BODY_INPUTS))
store_body_outputs = storer(BodyOutputs, len(BODY) + len(BODY_INPUTS))


@lru_cache
def parameter_names(scope: str) -> tuple[str, ...]:
    """Names of the parameters of a scope, in the order of the library.

    `scope` is "host" (laws, hosts and switches together), "line" or "agent".
    """
    from locokine.biology.switches import SWITCHES
    from locokine.parameters.library import load_library

    library = load_library()
    if scope == "host":
        host = next(iter(library.hosts.values()))
        return (*library.laws.records, *host.records, *(f"switch_{name}" for name in SWITCHES))
    entries = library.lines if scope == "line" else library.agents
    return tuple(next(iter(entries.values())).records)


DERIVED_HOST = ("blood_volume", "protein_synthesis", "systemic_capillary_pressure")
"""Follow from other parameters, so that a host at rest stays at rest (`population.derive`)."""
Host = namedtuple("Host", (*parameter_names("host"), *DERIVED_HOST))
Line = namedtuple("Line", parameter_names("line"))
DERIVED_AGENT = ("permeability", "permeability_normal", "diffusion", "diffusion_normal")
Agent = namedtuple("Agent", (*parameter_names("agent"), *DERIVED_AGENT))
load_host, load_line, load_agent = loader(Host, 0), loader(Line, 0), loader(Agent, 0)
