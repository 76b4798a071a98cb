"""The loop over time for one block of subjects."""

from __future__ import annotations

import numpy as np

from locokine._jit import inner, kernel, part, unit
from locokine.engine import body_pass, events, extrapolate, partners, report_pass, settle, tissue_pass
from locokine.tissue import held, shells
from locokine.tissue.layout import POOLS, SHELL, SOL, B, L, T, W, load_host

ZERO = np.uint64(0)
ONE = np.uint64(1)
NONE = np.int64(-1)
LONG = 0.9
"""Steps (h) above which flow answers to the tissue pressure of their end: with that of their beginning it would swing. Shorter
ones take that of the beginning, which is the more accurate (docs/model/numerics.md)."""


@inner
def remember_rest(b, plan, l):
    """Keep the tumour's fluid share before treatment: oedema is what exceeds it."""
    w, lesion = b.tissue[l], b.lesion[l]
    for s in range(W):
        if b.treated[s] > 0.0:
            continue
        volume = 1e-12
        fluid = 0.0
        for k in range(plan.cores):
            volume += w[k * SHELL + T.volume + s]
            fluid += w[k * SHELL + T.fluid + s]
        lesion[L.tumour_fluid_share + s] = min(fluid / volume, 0.99)


@inner
def move_fluid(b, plan, l, late, dt):
    """Fluid and protein of one lesion over `dt`; `late` as for `shells.step_fluid`."""
    w, lesion, n, cores = b.tissue[l], b.lesion[l], plan.shells, plan.cores
    tissue_pass.exchange_pass(w, n, b.body, b.host, b.line[l])
    shells.place_shells(w, lesion, n, cores, b.scratch[0])
    shells.face_conductance(w, n, cores, b.scratch[1], b.scratch[2], T.face_hydraulic, 1.0)
    if plan.cavity[l] > 0.0:
        for s in range(W):
            w[(cores - ONE) * SHELL + T.face_hydraulic + s] = 0.0
    shells.step_fluid(w, lesion, n, b.scratch[3], b.scratch[7], late, dt)
    shells.step_protein(w, lesion, n, b.scratch[4], b.scratch[5], dt)


@inner
def prepare_solutes(b, plan, l, dt):
    """The coefficients that the solutes of one lesion move with over `dt`."""
    w, n, cores = b.tissue[l], plan.shells, plan.cores
    for g in range(plan.agents):
        d = b.agent_arrays[g]
        shells.set_solute(w, b.solute[l], g * n * SOL, n, cores, d[0], d[1], d[2], d[3], d[4], plan.cavity[l],
                          b.scratch[6], 1.0)
        if plan.cavity[l] > 0.0:
            held.void_pass(w, b.solute[l], g * n * SOL, n, b.host)
        if plan.held[g] != 0:
            held.set_sites(w, b.solute[l], g * n * SOL, n, b.agent[g])
    tissue_pass.secretion_pass(w, b.solute[l], n, b.host, dt)
    tissue_pass.clear_drives(w, n)
    partners.clear_toxic(w, n)


@part
def fill_scratch(b):
    """Per-subject numbers that the shell operators take as arrays."""
    for s in range(W):
        p = load_host(b.host, ZERO, s)
        b.scratch[0, s] = p.rim_thickness
        b.scratch[1, s] = p.tumour_conductivity
        b.scratch[2, s] = p.normal_conductivity
        b.scratch[3, s] = p.normal_rest_pressure
        b.scratch[4, s] = b.body[B.protein + s]
        b.scratch[5, s] = p.normal_tissue_protein
        b.scratch[6, s] = p.cavity_area / p.cavity_wall_depth


@inner
def fine_step(b, plan, time, h, weight, present):
    """Solutes in lesions, node and plasma over one fine step."""
    blood, lymph, lost, made, around, cells, drained = (
        b.flux[0], b.flux[1], b.flux[2], b.flux[3], b.flux[4], b.flux[5], b.flux[6]
    )
    for g in range(plan.agents):
        if present[g] == 0:
            continue
        for s in range(W):
            blood[s] = 0.0
            lymph[s] = 0.0
            lost[s] = 0.0
            made[s] = 0.0
            around[s] = 0.0
            drained[s] = 0.0
        if g == 0:
            body_pass.node_cells(b.node, b.body, b.host, plan.antigens, cells, made, 0.5 * h / weight)
        ledger = b.ledger[g]
        for l in range(b.tissue.shape[0]):
            if time >= plan.implant_time[l]:
                tissue_pass.outflow_pass(b.solute[l], g * plan.shells * SOL, plan.shells, lost, blood, lymph,
                                         drained)
        body_pass.predict_plasma(b.pools, g * POOLS, b.plasma, g * W, b.host, b.agent[g], b.rate[g], made, cells, lost, blood,
                                 lymph, drained, h)
        for s in range(W):
            blood[s] = 0.0
            lymph[s] = 0.0
            lost[s] = 0.0
        for l in range(b.tissue.shape[0]):
            if time >= plan.implant_time[l]:
                first = g * plan.shells * SOL
                tissue_pass.uptake_pass(b.tissue[l], b.solute[l], first, plan.shells, b.agent[g], b.host)
                if plan.held[g] != 0:
                    held.step_held(b.tissue[l], b.solute[l], first, plan.shells, b.agent[g], b.host, b.agent_arrays[g, 4],
                                   b.plasma, g * W, blood, lymph, lost, around, h)
                else:
                    shells.step_solute(b.tissue[l], b.solute[l], first, plan.shells, b.plasma, g * W, blood, lymph,
                                       lost, around, h)
                tissue_pass.ledger_pass(b.solute[l], first, plan.shells, ledger, h)
        if plan.held[g] != 0:
            held.release_pools(b.pools, g * POOLS, b.agent[g], h)
        body_pass.lesions_pass(b.pools, g * POOLS, ledger, made, blood, lymph, lost, around, h)
        body_pass.pools_pass(b.pools, g * POOLS, b.plasma, b.mean_plasma, b.mean_node, g * W, b.host, b.agent[g],
                             b.rate[g], blood, lymph, drained, made, cells, b.entered[g], ledger, h)
    for l in range(b.tissue.shape[0]):
        if time >= plan.implant_time[l]:
            tissue_pass.drive_pass(b.tissue[l], b.solute[l], plan.agents, plan.shells, b.agent, b.host, weight)
    body_pass.body_drive_pass(b.body, b.mean_plasma, b.mean_node, plan.agents, b.agent, b.host, weight)
    partners.toxic_drives(b, plan, time, weight)
    report_pass.track_exposure(b, plan, time, h)


@inner
def slow_step(b, plan, time, dt):
    """Biology of lesions, node and host over one step."""
    homing, taken, back = b.flux[0], b.flux[1], b.flux[4]
    for s in range(W):
        homing[s] = 0.0
        taken[s] = 0.0
        back[s] = 0.0
    for l in range(b.tissue.shape[0]):
        if time < plan.implant_time[l]:
            continue
        w, lesion = b.tissue[l], b.lesion[l]
        tissue_pass.interferon_pass(w, plan.shells, plan.cores, b.scratch[8], b.scratch[9], b.host)
        tissue_pass.biology_pass(w, lesion, plan.shells, plan.cores, b.body, b.host, b.line[l], dt)
        tissue_pass.clonogen_pass(w, lesion, plan.cores, dt)
        for s in range(W):
            homing[s] += lesion[L.homing + s]
            back[s] += lesion[L.nk_back + s]
            for k in range(plan.shells):
                taken[s] += dt * w[k * SHELL + T.nk_in + s]
    settle.immune_step(b, plan, time, homing, dt)
    body, volume, protein = b.body, b.flux[2], b.flux[3]
    for s in range(W):
        body[B.nk_taken + s] = taken[s]
        body[B.homing + s] = homing[s]  # of this step: how much of the blood the next one can take cells from
        body[B.nk_back + s] = back[s]
        body[B.fluid_taken + s] = 0.0
        body[B.protein_taken + s] = 0.0
        body[B.plasma_answer + s] = 0.0
        body[B.protein_answer + s] = 0.0
    for l in range(b.tissue.shape[0]):
        if time >= plan.implant_time[l]:
            tissue_pass.owed_pass(b.tissue[l], b.lesion[l], plan.shells, dt)
            body_pass.demand_pass(b.body, b.host, b.lesion[l], dt)
    body_pass.advance_pass(b.body, b.host, volume, protein, dt)
    for l in range(b.tissue.shape[0]):
        if time >= plan.implant_time[l]:
            body_pass.supply_pass(b.lesion[l], volume, protein, dt)


@unit
def write_outputs(b, plan, i, time, daily, series, field, out_lesion, out_body, fields):
    """Write what is due at grid point `i`: columns `daily` or `series` of the output, and fields; the dead stay nan."""
    at = max(daily, series)
    body_pass.outputs_pass(b.body, b.host)
    if at >= 0:
        report_pass.report_body(b, plan, time, b.report_body)
        for s in range(W):
            if b.end_time[s] >= time:
                for v in range(out_body.shape[0]):
                    out_body[v, at, s] = b.report_body[v, s]
    for l in range(b.tissue.shape[0]):
        if time < plan.implant_time[l]:
            for s in range(W):
                if at >= 0:
                    out_lesion[2, l, at, s] = 0.0
            continue
        tissue_pass.exchange_pass(b.tissue[l], plan.shells, b.body, b.host, b.line[l])
        shells.place_shells(b.tissue[l], b.lesion[l], plan.shells, plan.cores, b.scratch[0])
        if at >= 0:
            report_pass.report_lesion(b, plan, l, b.report_lesion)
            for s in range(W):
                if b.end_time[s] >= time:
                    for v in range(out_lesion.shape[0]):
                        out_lesion[v, l, at, s] = b.report_lesion[v, s]
        if field >= 0:
            report_pass.report_field(b, plan, l, fields[:, l, field])
            for s in range(W):
                if b.end_time[s] < time:
                    fields[:, l, field, :, s] = np.nan


@inner
def split_step(b, plan, time, dt, late, first, last, present):
    """Everything over `dt`, the solutes in the fine steps `first` to `last`: first order in `dt`.

    Without fine steps the solutes stay as they are, and biology goes by the running means that it finds. `late` as for
    `shells.step_fluid`.
    """
    body_pass.outputs_pass(b.body, b.host)
    fill_scratch(b)
    for l in range(b.tissue.shape[0]):
        if time >= plan.implant_time[l]:
            move_fluid(b, plan, l, late, dt)
            if first < last:
                prepare_solutes(b, plan, l, dt)
    if first < last:
        body_pass.clear_body_drives(b.body)
        partners.clear_toxic_body(b.body)
    for j in range(first, last):
        fine_step(b, plan, time, plan.fine[j], plan.fine[j] / dt, present)
    slow_step(b, plan, time, dt)


@unit
def step(b, plan, i, time, dt, present):
    """One step, second order by extrapolation: twice the result of two half steps less that of one whole step.

    The whole step goes by the mean of what the half steps have seen of IL-2.
    """
    late = 1.0 * (dt > LONG)
    extrapolate.keep(b.state, b.rows, b.before)
    for part_of in range(3):
        half = part_of < 2
        first = plan.first[2 * i + part_of] if half else plan.first[2 * i]
        last = plan.first[2 * i + part_of + 1] if half else first
        if part_of == 1:
            extrapolate.keep(b.state, b.drive_rows, b.drives)
        split_step(b, plan, time, 0.5 * dt if half else dt, late, first, last, present)
        if part_of == 1:
            extrapolate.average(b.state, b.drive_rows, b.drives)
            extrapolate.keep(b.state, b.rows, b.halves)
            extrapolate.put(b.state, b.rows, b.before)
    extrapolate.combine(b.state, b.rows, b.kinds, b.before, b.halves, b.end_time, time, b.flux[0])


@kernel
def advance_block(b, plan, daily_lesion, daily_body, series_lesion, series_body, fields):
    """What `run_block` calls once it is compiled."""
    present = b.present
    for g in range(plan.agents):
        present[g] = 1 * (g == 0)
    fill_scratch(b)
    steps = plan.step.shape[0]
    over = False
    for i in range(steps + 1):
        time = plan.time[i]
        before = plan.time[i - 1] if i > 0 else -1.0
        body_pass.outputs_pass(b.body, b.host)
        if settle.lesions_due(plan, before, time):
            settle.implant_due(b, plan, before, time)
        fill_scratch(b)
        acting = partners.acts_due(plan, time)
        dosed = acting or plan.dose_first[i] < plan.dose_first[i + 1]
        if dosed:
            for l in range(b.tissue.shape[0]):
                if time >= plan.implant_time[l]:
                    tissue_pass.exchange_pass(b.tissue[l], plan.shells, b.body, b.host, b.line[l])
                    shells.place_shells(b.tissue[l], b.lesion[l], plan.shells, plan.cores, b.scratch[0])
                    remember_rest(b, plan, l)
        dt = 0.0
        if i < steps:
            dt = plan.step[i]
        events.grade_pass(b, plan, time, dt)
        # a day's value is that before the dose of the day; the series show the moment after it
        if plan.output[i, 0] >= 0:
            write_outputs(b, plan, i, time, plan.output[i, 0], NONE, NONE, daily_lesion, daily_body, fields)
        if acting:
            partners.act(b, plan, time)
            for l in range(b.tissue.shape[0]):
                if time >= plan.implant_time[l]:
                    tissue_pass.exchange_pass(b.tissue[l], plan.shells, b.body, b.host, b.line[l])
                    shells.place_shells(b.tissue[l], b.lesion[l], plan.shells, plan.cores, b.scratch[0])
        for d in range(plan.dose_first[i], plan.dose_first[i + 1]):
            present[plan.dose_agent[d]] = 1
            for s in range(W):
                if b.end_time[s] > time:
                    events.give(b, plan, d, s, time)
        b.rate[:] = 0.0
        for d in range(plan.dose_time.shape[0]):  # infusions that run now
            running = plan.dose_time[d] <= time + 1e-9 < plan.dose_time[d] + plan.dose_duration[d]
            if running and plan.dose_route[d] == 2:
                present[plan.dose_agent[d]] = 1
                events.infuse(b, plan, d)
        if dosed:
            report_pass.track_exposure(b, plan, time, 0.0)
        if plan.output[i, 1] >= 0 or plan.output[i, 2] >= 0:
            write_outputs(b, plan, i, time, NONE, plan.output[i, 1], plan.output[i, 2], series_lesion, series_body, fields)
        if i == steps or over:
            return time
        partners.seed(b, plan, time, 0.5 * dt)  # half of the cells with those of the beginning, half with those of the end
        step(b, plan, i, time, dt, present)
        partners.seed(b, plan, plan.time[i + 1], 0.5 * dt)
        events.extinction(b, plan, plan.time[i + 1])
        over = events.deaths(b, plan, plan.time[i + 1]) == 0  # the moment of the last death is still written
    return plan.time[steps]


UNITS = (("settle", "implant_due"), ("kernel", "write_outputs"), ("events", "give"), ("partners", "act"))
"""What another process compiles while this one compiles `step`; about half of the work."""


def run_block(b, plan, daily_lesion, daily_body, series_lesion, series_body, fields):
    """Advance one block of subjects from the beginning to the end of the plan; returns the time it stopped at."""
    arrays = (daily_lesion, daily_body, series_lesion, series_body, fields)
    if not getattr(advance_block, "signatures", True):  # not yet compiled, or read from the cache, in this process
        from locokine.engine import together

        together.compile_first(advance_block, step, b, plan, arrays)
    return advance_block(b, plan, *arrays)
