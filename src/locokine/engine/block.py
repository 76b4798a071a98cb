"""All arrays of one block of subjects, by name."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from locokine.body import grades

Array = NDArray[np.float64]


class Block(NamedTuple):
    """State, parameters and scratch of `WIDTH` subjects (flat arrays laid out by `tissue.layout`).

    Shapes: `lesions`, `agents`, `antigens`, `n` shells (tumour and rim together).
    """

    state: Array  # all of tissue, tcells, carriers, lesion, body and node, one after another: those are views of it
    rows: NDArray[np.int64]  # rows of the state that are extrapolated, their kinds, and rows of running means
    kinds: NDArray[np.int64]
    drive_rows: NDArray[np.int64]
    before: Array  # (rows x WIDTH) the state before a step, and after two half steps
    halves: Array
    drives: Array  # (drive rows x WIDTH)
    tissue: Array  # (lesions, n x SHELL)
    solute: Array  # (lesions, agents x n x SOL)
    tcells: Array  # (lesions, n x antigens x WIDTH)
    carriers: Array  # (lesions, antigens x CARRIERS)
    lesion: Array  # (lesions, fields x WIDTH)
    body: Array  # (fields x WIDTH)
    pools: Array  # (agents x POOLS)
    node: Array  # (antigens x NODE)
    naive: Array  # (antigens x WIDTH) normal number of naive cells
    host: Array  # (parameters x WIDTH)
    line: Array  # (lesions, parameters x WIDTH)
    agent: Array  # (agents, parameters x WIDTH)
    weights: Array  # (lesions, antigens)
    plasma: Array  # (agents x WIDTH) concentration
    mean_plasma: Array  # (agents x WIDTH) mean concentration over the last fine step, in plasma and in the node
    mean_node: Array
    rate: Array  # (agents, WIDTH) infusion into plasma, fmol/h
    running: Array  # (doses, WIDTH) rate of an infusion that was begun, fmol/h
    peak: Array  # (places, agents + 1, WIDTH)
    auc: Array  # (places, agents + 1, WIDTH)
    entered: Array  # (agents, WIDTH) reached plasma
    dosed: Array  # (agents, WIDTH)
    ledger: Array  # (agents, len(LEDGER), WIDTH)
    cure_draw: Array  # (lesions, WIDTH)
    death_draw: Array  # (WIDTH,)
    hot: Array  # (WIDTH,) h above 40 degC
    ischaemic: Array  # (lesions, WIDTH) h without flow in the rim
    injected: Array  # (lesions, WIDTH) 1 once injected
    rim_before: Array  # (lesions, WIDTH) fluid strain of the rim before the first injection
    swollen: Array  # (lesions, 2, WIDTH) h that it has been above that by the limits of `grades.SITE_OEDEMA`
    treated: Array  # (WIDTH,) 1 once dosed
    grade: Array  # (terms, WIDTH) present toxicity grades
    worst: Array  # (terms, WIDTH) worst since the first dose
    end_time: Array  # (WIDTH,) death; inf while alive
    course_over: Array  # (courses, WIDTH)
    course_share: Array  # (courses, WIDTH) share of each dose that is still given
    log: Array  # (capacity, 4, WIDTH) time, kind, lesion, value
    logged: Array  # (WIDTH,)
    potency: Array  # (agents, WIDTH) activity on effector cells
    agent_arrays: Array  # (agents, 5, WIDTH) diffusion and permeability in tumour and host tissue, loss
    antigen_total: Array  # (antigens x WIDTH)
    returned: Array  # (antigens x WIDTH) T cells going back to the blood in this step
    contracted: Array  # (antigens x WIDTH) T cells dying in tissue or lost on the way in this step
    present: NDArray[np.int64]  # (agents,) 1 once an agent has been given
    share: Array  # (n,) scratch
    tried_tissue: Array  # (n x SHELL) copies of a lesion and its totals to try a step on
    tried_lesion: Array  # (fields x WIDTH)
    flux: Array  # (7, WIDTH) scratch
    scratch: Array  # (16, WIDTH)
    report_lesion: Array  # (variables, WIDTH)
    report_body: Array  # (variables, WIDTH)


LEDGER = ("given", "made", "to_blood", "to_lymph", "lost", "outside_lost", "cleared")
"""Cumulative amounts of each agent: the balance that a test re-computes."""


class Plan(NamedTuple):
    """What an arm does and when, as arrays (the same for all its subjects)."""

    step: Array  # (steps,) h, one step of biology each
    first: NDArray[np.int64]  # (2 steps + 1,) first fine step of each half step
    fine: Array  # (fine steps,) h
    time: Array  # (steps + 1,) h
    output: NDArray[np.int64]  # (steps + 1, 3) index of daily, series, field output at this time; -1 none
    dose_first: NDArray[np.int64]  # (steps + 2,) doses given at the beginning of each step
    dose_time: Array
    dose_agent: NDArray[np.int64]
    dose_route: NDArray[np.int64]
    dose_amount: Array
    dose_per_kg: Array
    dose_volume: Array
    dose_distance: Array
    dose_duration: Array
    dose_each: NDArray[np.int64]
    dose_course: NDArray[np.int64]
    dose_lesion: NDArray[np.int64]  # (doses, lesions) 0/1
    dose_local: NDArray[np.int64]
    dose_points: NDArray[np.int64]
    rule_kind: NDArray[np.int64]
    rule_term: NDArray[np.int64]
    rule_grade: Array
    rule_course: NDArray[np.int64]
    rule_share: Array
    act_time: Array  # irradiation and resection
    act_kind: NDArray[np.int64]  # place in `ACTS`
    act_size: Array  # Gy, or the share of the lesion that is left
    act_left: Array  # cells that are left, nan if a share is
    act_lesion: NDArray[np.int64]  # (acts, lesions) 0/1
    implant_time: Array  # (lesions,)
    implant_cells: Array  # (lesions,) nan if given by volume
    implant_volume: Array
    cavity: Array  # (lesions,) 1 in a cavity
    seed_from: NDArray[np.int64]  # (lesions,) lesion whose cells travel here, -1 none
    held: NDArray[np.int64]  # (agents,) 1 if matrix binds it or a depot releases it
    toxic: NDArray[np.int64]  # (agents,) 1 if it kills cells
    cores: np.uint64
    shells: np.uint64
    agents: np.uint64
    antigens: np.uint64
    patient: float


KINDS = (
    "implanted", "extinct", "cured", "dose", "dose_held", "course_ended", "humane_endpoint", "toxic_death",
    "tumour_death", "irradiated", "resected", "dose_reduced",
)
"""Kinds of the event log inside the kernel, by number."""
ROUTES = ("intratumoural", "peritumoural", "intravenous", "intraperitoneal", "subcutaneous", "intra-arterial", "intracavitary")
RULES = ("until", "hold", "stop", "reduce")
ACTS = ("radiotherapy", "resection")
TERMS = ("complete_response", "any", *grades.TERMS)
