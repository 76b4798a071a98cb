"""What a lesion that is in place at the start has already: dead tissue where it is not fed, and a quiet infiltrate.

A lesion given by its volume has been there for long. Without this, all places without oxygen would die on the first day,
an alarm that no established tumour gives, and no T cell would know its antigens, although tumours that respond to
local IL-2 are infiltrated before it (Maas 1991, Becker: as many lymphocytes untreated as treated).
"""

from __future__ import annotations

import math

import numpy as np

from locokine._jit import inner, kernel, part
from locokine.engine import body_pass, couple, events, tissue_pass
from locokine.tissue import shells
from locokine.tissue.layout import (
    CARRIERS,
    SHELL,
    B,
    C,
    L,
    T,
    W,
    load_body_outputs,
    load_host,
    load_inputs,
    load_line,
    load_tissue,
)

ZERO = np.uint64(0)
STEP, STEPS = 12.0, 120
"""Steps (h) over which the infiltrate comes to terms with the lesion: 60 days, longer than any of its turnovers."""
MOMENT = 1e-3
"""A step (h) short enough to change nothing and long enough to read rates off."""


@part
def in_place(plan, l):
    """Whether a lesion was given by its volume, and is solid."""
    return not math.isnan(plan.implant_volume[l]) and plan.cavity[l] == 0.0


@part
def starve(b, plan, l):
    """Let the tissue that a lesion in place does not feed be dead from the start; its volume stays."""
    if not in_place(plan, l):
        return
    w, lesion = b.tissue[l], b.lesion[l]
    for s in range(W):
        p, q, o = load_host(b.host, ZERO, s), load_line(b.line[l], ZERO, s), load_body_outputs(b.body, ZERO, s)
        cells = 0.0
        for k in range(plan.cores):
            at = k * SHELL
            x, a = load_tissue(w, at, s), load_inputs(w, at, s)
            hypoxic, _, _, _ = couple.supply(x, a, couple.exchange(x, a, o, p, q), o, p, q)
            died = hypoxic * (x.viable + x.loss) * q.cell_volume
            w[at + T.viable + s] *= 1.0 - hypoxic
            w[at + T.loss + s] *= 1.0 - hypoxic
            w[at + T.dead + s] = p.dead_solid_share * died
            w[at + T.fluid + s] += (1.0 - p.dead_solid_share) * died
            lesion[L.fluid_released + s] += (1.0 - p.dead_solid_share) * died
            cells += (1.0 - hypoxic) * (x.viable + x.loss)
        lesion[L.cells + s] = cells
        lesion[L.baseline_cells + s] = cells


@inner
def immune_step(b, plan, time, homing, dt):
    """T cells and antigen of all lesions, and the node; `homing` is the blood cleared by all of them (mm³/h)."""
    for s in range(W):
        b.body[B.helped + s] = 0.0
        b.body[B.carried + s] = 1e-6
        for g in range(plan.antigens):
            b.antigen_total[np.uint64(g) * W + s] = 0.0
            b.returned[np.uint64(g) * W + s] = 0.0
            b.contracted[np.uint64(g) * W + s] = 0.0
    for l in range(b.tissue.shape[0]):
        if time < plan.implant_time[l]:
            continue
        w, lesion = b.tissue[l], b.lesion[l]
        tissue_pass.t_cell_pass(w, b.tcells[l], b.node, b.body, b.host, b.line[l], plan.antigens, b.weights[l], plan.shells,
                                homing, b.returned, b.contracted, dt)
        tissue_pass.antigen_pass(w, lesion, b.carriers[l], b.node, b.body, b.host, b.line[l], plan.antigens, b.weights[l],
                                 plan.shells, dt)
        for g in range(plan.antigens):
            for s in range(W):
                b.antigen_total[np.uint64(g) * W + s] += b.carriers[l, np.uint64(g) * CARRIERS + C.antigen + s]
                b.antigen_total[np.uint64(g) * W + s] += b.weights[l, g] * lesion[L.cells + s]
    body_pass.node_pass(b.node, b.naive, b.antigen_total, b.body, b.host, plan.antigens, homing, b.returned, b.contracted,
                        dt)


@part
def infiltrate(b, plan, time):
    """Give the lesions of a host the T cells that they have by the time one in place is first seen.

    Tissue stands still meanwhile; only T cells, antigen and the node go on, until they are in balance.
    """
    homing = b.flux[0]
    for s in range(W):
        homing[s] = 0.0
    for l in range(b.tissue.shape[0]):
        if time < plan.implant_time[l]:
            continue
        w, lesion, rim = b.tissue[l], b.lesion[l], b.flux[1]
        for s in range(W):
            rim[s] = load_host(b.host, ZERO, s).rim_thickness
        tissue_pass.exchange_pass(w, plan.shells, b.body, b.host, b.line[l])
        shells.place_shells(w, lesion, plan.shells, plan.cores, rim)
        tissue_pass.clear_drives(w, plan.shells)
        tissue, account = b.tried_tissue, b.tried_lesion
        for i in range(w.shape[0]):
            tissue[i] = w[i]
        for i in range(lesion.shape[0]):
            account[i] = lesion[i]
        tissue_pass.interferon_pass(tissue, plan.shells, plan.cores, b.scratch[8], b.scratch[9], b.host)
        tissue_pass.biology_pass(tissue, account, plan.shells, plan.cores, b.body, b.host, b.line[l], MOMENT)
        for s in range(W):
            lesion[L.homing + s] = account[L.homing + s]
            homing[s] += account[L.homing + s]
            for k in range(plan.shells):
                o = k * SHELL
                w[o + T.homing + s] = tissue[o + T.homing + s]
                w[o + T.antigen_in + s] = tissue[o + T.antigen_in + s] * STEP / MOMENT
                w[o + T.danger_in + s] = tissue[o + T.danger_in + s] * STEP / MOMENT
    body_pass.clear_body_drives(b.body)
    for _ in range(STEPS):
        immune_step(b, plan, time, homing, STEP)
    for s in range(W):
        b.body[B.homing + s] = homing[s]
        b.body[B.node_growth + s] = 0.0
        for l in range(b.tissue.shape[0]):
            for k in range(plan.shells):
                b.tissue[l, k * SHELL + T.armed_rate + s] = 0.0
                b.tissue[l, k * SHELL + T.t_growth + s] = 0.0


@inner
def lesions_due(plan, since, time):
    """Whether a lesion is to be implanted after `since` and up to `time`."""
    due = False
    for l in range(plan.implant_time.shape[0]):
        due = due or since < plan.implant_time[l] <= time
    return due


@kernel
def implant_due(b, plan, since, time):
    """Implant the lesions that are due after `since` and up to `time`, and give those in place what they have already."""
    body_pass.outputs_pass(b.body, b.host)
    settled = False
    for l in range(b.tissue.shape[0]):
        if not since < plan.implant_time[l] <= time:
            continue
        events.implant(b, plan, l)
        starve(b, plan, l)
        for s in range(W):
            events.note(b, s, time, events.IMPLANTED, l, b.lesion[l, L.cells + s])
        settled = settled or in_place(plan, l)
    if settled:
        infiltrate(b, plan, time)
