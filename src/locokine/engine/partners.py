"""Partners of IL-2 in the engine: what cytotoxic drugs drive, irradiation, resection, cells that seed another lesion."""

from __future__ import annotations

import math

import numpy as np

from locokine._jit import inner, loop, part, unit
from locokine.biology import cytotoxic, radiation
from locokine.biology.arithmetic import exp
from locokine.engine.events import IRRADIATED, RESECTED, note
from locokine.tissue.layout import SHELL, SOL, TISSUE_FIELDS, B, L, S, T, W, load_agent, load_host, load_line

ZERO = np.uint64(0)
CUT = tuple(
    TISSUE_FIELDS.index(name) for name in (
        "viable", "loss", "dead", "fluid", "protein", "host", "vessels", "vessels_lost", "erythrocytes", "nk", "treg",
        "macrophages", "t_specific", "t_all",
    )
)
"""Fields of a shell that a resection takes away with the tissue."""
BARE = 1e-4
"""Share of the tissue that a resection leaves as a scar where it leaves no cell (assumed; keeps the shells defined)."""


@loop
def clear_toxic(w, n):
    """Start new running means of what drugs do in a lesion."""
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            w[o + T.toxic_tumour + s] = 0.0
            w[o + T.toxic_regulatory + s] = 0.0
            w[o + T.toxic_lymphocyte + s] = 0.0


@loop
def toxic_pass(w, solute, first, n, agent, weight):
    """Add `weight` times the death rates that one agent causes in a lesion to the running means."""
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            d = load_agent(agent, ZERO, s)
            c = solute[q + S.mean + s]
            w[o + T.toxic_tumour + s] += weight * cytotoxic.death_rate(c, d.toxic_half, d.toxic_tumour)
            w[o + T.toxic_regulatory + s] += weight * cytotoxic.death_rate(c, d.toxic_half, d.toxic_regulatory)
            w[o + T.toxic_lymphocyte + s] += weight * cytotoxic.death_rate(c, d.toxic_half, d.toxic_lymphocyte)


@loop
def clear_toxic_body(body):
    """Start new running means of what drugs do in blood and node."""
    for s in range(W):
        body[B.toxic_regulatory + s] = 0.0
        body[B.toxic_lymphocyte + s] = 0.0


@loop
def toxic_body_pass(body, mean_plasma, at, agent, weight):
    """The same for lymphocytes of blood and node, which see the plasma."""
    for s in range(W):
        d = load_agent(agent, ZERO, s)
        c = mean_plasma[at + s]
        body[B.toxic_regulatory + s] += weight * cytotoxic.death_rate(c, d.toxic_half, d.toxic_regulatory)
        body[B.toxic_lymphocyte + s] += weight * cytotoxic.death_rate(c, d.toxic_half, d.toxic_lymphocyte)


@inner
def toxic_drives(b, plan, time, weight):
    """Running means of what all cytotoxic agents do, in lesions, blood and node."""
    for g in range(plan.agents):
        if plan.toxic[g] == 0:
            continue
        for l in range(b.tissue.shape[0]):
            if time >= plan.implant_time[l]:
                toxic_pass(b.tissue[l], b.solute[l], g * plan.shells * SOL, plan.shells, b.agent[g], weight)
        toxic_body_pass(b.body, b.mean_plasma, g * W, b.agent[g], weight)


@part
def irradiate(b, plan, l, dose, s, time):
    """One fraction of `dose` Gy to a lesion and its rim: damage to tumour cells falls due later, lymphocytes die at once."""
    w = b.tissue[l]
    p, q = load_host(b.host, ZERO, s), load_line(b.line[l], ZERO, s)
    spared = exp(-min(p.switch_radiation * p.radiation_lymphocyte_alpha * dose, 25.0))
    for k in range(plan.shells):
        o = k * SHELL
        w[o + T.damage + s] += radiation.log_kill_mixed(
            dose, q.radiation_alpha, q.radiation_beta, w[o + T.hypoxic + s], p.radiation_oxygen_enhancement
        )
        for f in (T.nk, T.treg, T.t_specific, T.t_all):
            w[o + f + s] *= spared
        for g in range(plan.antigens):
            b.tcells[l, (k * plan.antigens + np.uint64(g)) * W + s] *= spared
    note(b, s, time, IRRADIATED, l, dose)


@part
def resect(b, plan, l, share, left, s, time):
    """Take a lesion out but for a share of it, or for `left` cells; the rim stays, what was in the tissue goes with it."""
    w, lesion, solute = b.tissue[l], b.lesion[l], b.solute[l]
    cells = 0.0
    for k in range(plan.cores):
        cells += w[k * SHELL + T.viable + s] + w[k * SHELL + T.loss + s]
    keep = share
    if not math.isnan(left):
        keep = min(left / max(cells, 1e-30), 1.0)
    tissue = max(keep, BARE)
    for k in range(plan.cores):
        o = k * SHELL
        lesion[L.deaths_resected + s] += (1.0 - keep) * (w[o + T.viable + s] + w[o + T.loss + s])
        lesion[L.fluid_left + s] += (1.0 - tissue) * w[o + T.fluid + s]
        lesion[L.protein_left + s] += (1.0 - tissue) * w[o + T.protein + s]
        for f in CUT:
            w[o + np.uint64(f) * W + s] *= tissue
        w[o + T.viable + s] *= keep / tissue
        w[o + T.loss + s] *= keep / tissue
        w[o + T.vessel_target + s] *= tissue * (1.0 - plan.cavity[l]) + plan.cavity[l]
        for g in range(plan.antigens):
            b.tcells[l, (k * plan.antigens + np.uint64(g)) * W + s] *= tissue
        for g in range(plan.agents):
            q = (np.uint64(g) * plan.shells + k) * SOL
            b.ledger[g, 4, s] += (1.0 - tissue) * (solute[q + S.amount + s] + solute[q + S.depot + s])
            solute[q + S.amount + s] *= tissue
            solute[q + S.depot + s] *= tissue
            solute[q + S.sites + s] *= tissue
    lesion[L.antigen + s] *= tissue
    lesion[L.danger + s] *= tissue
    lesion[L.cells + s] *= keep
    note(b, s, time, RESECTED, l, cells * keep)


@unit
def act(b, plan, time):
    """Carry out what is due now beside doses, in every host that lives: irradiation and resection."""
    for a in range(plan.act_time.shape[0]):
        if abs(plan.act_time[a] - time) > 1e-6:
            continue
        for l in range(b.tissue.shape[0]):
            if plan.act_lesion[a, l] == 0 or time < plan.implant_time[l]:
                continue
            for s in range(W):
                if b.end_time[s] > time:
                    if plan.act_kind[a] == 0:
                        irradiate(b, plan, l, plan.act_size[a], s, time)
                    else:
                        resect(b, plan, l, plan.act_size[a], plan.act_left[a], s, time)
                    b.treated[s] = 1.0


@inner
def acts_due(plan, time):
    """Whether anything beside doses is due now."""
    due = False
    for a in range(plan.act_time.shape[0]):
        due = due or abs(plan.act_time[a] - time) <= 1e-6
    return due


@inner
def seed(b, plan, time, dt):
    """Cells that travel from one lesion to another over `dt`; until their source is gone none of these can be extinct."""
    for l in range(b.tissue.shape[0]):
        source = plan.seed_from[l]
        if source < 0 or time < plan.implant_time[l] or time < plan.implant_time[source]:
            continue
        w, lesion = b.tissue[l], b.lesion[l]
        for s in range(W):
            if b.end_time[s] < time or b.lesion[source, L.extinct + s] > 0.0:
                continue
            p, q = load_host(b.host, ZERO, s), load_line(b.line[l], ZERO, s)
            come = dt * q.seeding_rate * p.switch_seeding * b.lesion[source, L.cells + s]
            for k in range(plan.cores):
                w[k * SHELL + T.viable + s] += come / plan.cores * (1.0 - q.loss_share)
                w[k * SHELL + T.loss + s] += come / plan.cores * q.loss_share
            lesion[L.cells + s] += come
            lesion[L.seeded + s] += come
            lesion[L.j_viable + s] = 0.0
            lesion[L.j_loss + s] = 0.0
