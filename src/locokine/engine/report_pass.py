"""What a block reports at an output time, in the order of `engine.variables`."""

from __future__ import annotations

import numpy as np

from locokine._jit import inner, loop, part
from locokine.biology import traffic
from locokine.biology.arithmetic import largest, smallest
from locokine.biology.binding import free_concentration
from locokine.engine import couple
from locokine.engine.variables import LESION
from locokine.tissue.layout import (
    NODE,
    POOLS,
    SHELL,
    SOL,
    A,
    B,
    L,
    N,
    S,
    T,
    W,
    load_agent,
    load_body,
    load_body_outputs,
    load_host,
    load_line,
)

ZERO = np.uint64(0)
V = {variable.name: i for i, variable in enumerate(LESION)}


@part
def bound_amount(b, plan, l, g, k, s):
    """What matrix holds of agent `g` in shell `k` of lesion `l`, fmol."""
    if plan.held[g] == 0:
        return 0.0
    d = load_agent(b.agent[g], ZERO, s)
    q = (np.uint64(g) * plan.shells + k) * SOL
    fluid, sites = b.tissue[l, k * SHELL + T.fluid + s], b.solute[l, q + S.sites + s]
    free = free_concentration(b.solute[l, q + S.amount + s], fluid, sites, d.matrix_kd)
    return sites * free / (d.matrix_kd + free)


@part
def seen_amount(b, plan, l, g, k, s):
    """The amount of agent `g` in shell `k` that cells see: what is free, and the share of what is bound that is active."""
    amount = b.solute[l, (np.uint64(g) * plan.shells + k) * SOL + S.amount + s]
    if plan.held[g] == 0:
        return amount
    d = load_agent(b.agent[g], ZERO, s)
    return amount - (1.0 - d.bound_activity) * bound_amount(b, plan, l, g, k, s)


@part
def report_amounts(b, plan, l, out):
    """What a lesion and its rim hold: agents in all, bound, in depots (rows 42 to 44); fluid and protein and where they came
    from and went (45 to 50), so that every balance can be made up from what is stored."""
    w, lesion = b.tissue[l], b.lesion[l]
    for s in range(W):
        out[46, s] = lesion[L.fluid_recruited + s] + lesion[L.fluid_filtered + s] + lesion[L.fluid_injected + s]
        out[46, s] += lesion[L.fluid_released + s]
        out[47, s] = lesion[L.fluid_drained + s] + lesion[L.fluid_left + s]
        out[49, s] = lesion[L.protein_recruited + s] + lesion[L.protein_entered + s]
        out[50, s] = lesion[L.protein_drained + s] + lesion[L.protein_left + s]
    for k in range(plan.shells):
        for s in range(W):
            out[45, s] += w[k * SHELL + T.fluid + s]
            out[48, s] += w[k * SHELL + T.protein + s]
    for g in range(plan.agents):
        for k in range(plan.shells):
            q = (np.uint64(g) * plan.shells + k) * SOL
            for s in range(W):
                depot = b.solute[l, q + S.depot + s]
                out[42, s] += b.solute[l, q + S.amount + s] + depot
                out[43, s] += bound_amount(b, plan, l, g, k, s)
                out[44, s] += depot


@part
def report_totals(b, plan, l, out):
    """Sums over the shells of a tumour into `out`; what will be a mean is weighted by volume or by cells."""
    w, solute = b.tissue[l], b.solute[l]
    for k in range(plan.cores):
        o = k * SHELL
        for s in range(W):
            q = load_line(b.line[l], ZERO, s)
            volume, cells = w[o + T.volume + s], w[o + T.viable + s] + w[o + T.loss + s]
            out[1, s] += volume
            out[2, s] += cells
            out[3, s] += w[o + T.loss + s]
            out[4, s] += w[o + T.dead + s]
            out[5, s] += w[o + T.fluid + s]
            out[8, s] += cells * q.cell_volume * w[o + T.hypoxic + s]
            out[9, s] += volume * w[o + T.perfusion + s]
            out[11, s] += w[o + T.vessels + s]
            out[12, s] += volume * w[o + T.pressure + s]
            out[13, s] += volume * w[o + T.capillary_po2 + s]
            out[14, s] += (cells + 1e-9) * w[o + T.viable_po2 + s]
            out[15, s] += volume * w[o + T.leak + s]
            out[16, s] += volume * w[o + T.e_direct + s]
            out[17, s] += volume * w[o + T.e_thrombotic + s]
            out[18, s] += volume * w[o + T.e_lymphocyte + s]
            out[21, s] += w[o + T.erythrocytes + s]
            for g in range(plan.agents):
                out[22, s] += b.potency[g, s] * seen_amount(b, plan, l, g, k, s)
            out[23, s] += solute[k * SOL + S.amount + s]
            out[24, s] += w[o + T.protein + s]
            out[27, s] += w[o + T.nk + s]
            out[28, s] += w[o + T.nk + s] * w[o + T.lak_level + s]
            out[29, s] += w[o + T.t_specific + s]
            out[30, s] += w[o + T.t_specific + s] * w[o + T.armed + s]
            out[31, s] += w[o + T.treg + s]
            out[32, s] += w[o + T.macrophages + s]
            out[51, s] += volume * w[o + T.interferon + s]


@part
def report_lesion(b, plan, l, out):
    """Totals and means of lesion `l` into `out` (variables, WIDTH)."""
    w, lesion = b.tissue[l], b.lesion[l]
    n, cores = plan.shells, plan.cores
    for v in range(out.shape[0]):
        for s in range(W):
            out[v, s] = 0.0
    report_totals(b, plan, l, out)
    rim = cores * SHELL
    for s in range(W):
        p, q = load_host(b.host, ZERO, s), load_line(b.line[l], ZERO, s)
        volume = largest(out[1, s], 1e-12)
        cells, fluid = out[2, s], largest(out[5, s], 1e-12)
        living = cells * q.cell_volume
        necrotic = out[4, s] / p.dead_solid_share
        out[7, s] = necrotic / (necrotic + living + 1e-9)
        out[8, s] = out[8, s] / (living + 1e-12)
        for v in (9, 12, 13, 15, 16, 17, 18, 51):
            out[v, s] /= volume
        out[11, s] /= volume
        out[14, s] /= cells + 1e-9 * cores
        out[22, s] /= fluid
        out[23, s] /= fluid
        out[24, s] /= fluid
        out[10, s] = w[rim + T.perfusion + s]
        out[19, s] = w[rim + T.leak + s]
        out[20, s] = w[rim + T.strain + s]
        out[25, s] = lesion[L.antigen + s]
        out[26, s] = lesion[L.danger_share + s]
        swelling = 0.0
        for k in range(cores, n):
            o = k * SHELL
            dry = w[o + T.volume + s] - w[o + T.fluid + s]
            swelling += w[o + T.fluid + s] - p.normal_fluid_ratio * dry
        swelling = largest(swelling, 0.0)
        caliper = out[1, s] + swelling
        out[0, s] = caliper
        share = lesion[L.tumour_fluid_share + s]
        held = p.dead_fluid_ratio * out[4, s]  # dead tissue keeps its place: its fluid is not oedema
        dry = out[1, s] - out[5, s] - out[4, s]
        excess = largest(out[5, s] - held - share / (1.0 - share) * dry, 0.0) + swelling
        out[6, s] = excess / largest(caliper, 1e-9)
        out[33, s] = lesion[L.births + s]
        out[34, s] = lesion[L.deaths_starved + s]
        out[35, s] = lesion[L.deaths_t + s]
        out[36, s] = lesion[L.deaths_lak + s]
        out[37, s] = lesion[L.deaths_macrophage + s]
        out[38, s] = lesion[L.deaths_spontaneous + s]
        out[39, s] = lesion[L.deaths_treatment + s]
        out[40, s] = lesion[L.deaths_resected + s]
        out[41, s] = lesion[L.seeded + s]
    report_amounts(b, plan, l, out)


@part
def report_body(b, plan, time, out):
    """The host's quantities into `out` (variables, WIDTH); of an infusion only what has run in by `time` is supplied."""
    for s in range(W):
        o, p = load_body_outputs(b.body, ZERO, s), load_host(b.host, ZERO, s)
        for v in range(7):
            out[v, s] = 0.0
        for g in range(plan.agents):
            out[0, s] += b.potency[g, s] * b.plasma[g * W + s]
            out[1, s] += b.potency[g, s] * b.pools[g * POOLS + A.node + s] / p.node_volume
        for g in range(plan.antigens):
            q = g * NODE
            out[2, s] += b.node[q + N.dendritic + s]
            out[3, s] += b.node[q + N.naive + s]
            out[4, s] += b.node[q + N.dividing + s]
            out[5, s] += b.node[q + N.effectors + s]
            out[6, s] += b.node[q + N.memory + s]
        here = traffic.margination(b.body[B.il2_plasma + s], p.margination_half, p.margination_most)
        out[7, s] = here * b.body[B.lymphocytes + s]  # margination takes minutes
        out[8, s] = b.body[B.nk + s] / (p.nk_blood * p.blood_volume)
        out[9, s] = o.systemic_leak
        out[10, s] = b.body[B.plasma_volume + s] * 1e-3
        out[11, s] = b.body[B.interstitial_volume + s] * 1e-3
        out[12, s] = o.protein * 0.06
        out[13, s] = o.pressure
        out[14, s] = o.svr
        out[15, s] = o.cardiac_output
        out[16, s] = o.weight
        out[17, s] = o.temperature
        out[18, s] = b.body[B.fluids_given + s] * 1e-3
        out[19, s] = b.body[B.pressor + s]
        out[20, s] = o.organ_leak
        x = load_body(b.body, ZERO, s)
        filtered, _, sigma = couple.across_walls(x, o, p)
        out[24, s] = 100.0 * couple.protein_leaving(x, o, p, filtered, sigma)
        for v in range(21, 24):
            out[v, s] = 0.0
        for g in range(plan.agents):
            out[21, s] += b.ledger[g, 0, s] + b.ledger[g, 1, s]
            for a in range(POOLS // W):
                out[22, s] += b.pools[g * POOLS + a * W + s]
            out[23, s] += b.ledger[g, 4, s] + b.ledger[g, 5, s] + b.ledger[g, 6, s]
        for d in range(plan.dose_time.shape[0]):
            left = plan.dose_time[d] + plan.dose_duration[d] - time
            out[21, s] -= b.running[d, s] * smallest(largest(left, 0.0), plan.dose_duration[d])


@part
def report_field(b, plan, l, out):
    """Shell by shell quantities of lesion `l` into `out` (variables, shells, WIDTH)."""
    w = b.tissue[l]
    for k in range(plan.shells):
        o = k * SHELL
        for s in range(W):
            volume = w[o + T.volume + s]
            out[0, k, s] = w[o + T.outer_radius + s]
            out[1, k, s] = 0.0
            for g in range(plan.agents):
                out[1, k, s] += b.potency[g, s] * seen_amount(b, plan, l, g, k, s) / w[o + T.fluid + s]
            out[2, k, s] = w[o + T.pressure + s]
            out[3, k, s] = w[o + T.fluid + s] / volume
            out[4, k, s] = w[o + T.leak + s]
            out[5, k, s] = w[o + T.perfusion + s]
            out[6, k, s] = w[o + T.hypoxic + s]
            out[7, k, s] = (w[o + T.viable + s] + w[o + T.loss + s]) / volume
            out[8, k, s] = w[o + T.dead + s] / volume
            out[9, k, s] = (w[o + T.nk + s] + w[o + T.t_all + s]) / volume
            out[10, k, s] = w[o + T.vessels + s] / volume
            out[11, k, s] = w[o + T.erythrocytes + s] / volume


@loop
def expose(auc, peak, active_auc, active_peak, mean, end, active, active_end, potency, last, end_time, time, dt):
    """Enter a mean concentration of an agent over `dt` and that at its end, and its share of active IL-2; none for the dead.

    `active` and `active_end` add up the agents; those of the `last` one enter the account of active IL-2.
    """
    for s in range(W):
        alive = 1.0 * (end_time[s] >= time)
        auc[s] += alive * dt * mean[s]
        peak[s] = largest(peak[s], alive * end[s])
        active[s] += potency[s] * mean[s]
        active_end[s] += potency[s] * end[s]
        active_auc[s] += last * alive * dt * active[s]
        active_peak[s] = largest(active_peak[s], last * alive * active_end[s])


@loop
def clear_pair(mean, end):
    """Start two new sums."""
    for s in range(W):
        mean[s] = 0.0
        end[s] = 0.0


@loop
def add_lesion(mean, end, part, final, fluid, w, solute, at, first, last, count):
    """Add the mean concentrations of an agent (its shells begin at `at`) in shells `first` to `last`, over `count` lesions."""
    for s in range(W):
        part[s] = 0.0
        final[s] = 0.0
        fluid[s] = 1e-12
    for k in range(first, last):
        o, q = k * SHELL, at + k * SOL
        for s in range(W):
            part[s] += solute[q + S.mean + s] * w[o + T.fluid + s]
            final[s] += solute[q + S.amount + s]
            fluid[s] += w[o + T.fluid + s]
    for s in range(W):
        share = 1.0 / (fluid[s] * count)
        mean[s] += part[s] * share
        end[s] += final[s] * share


@loop
def add_blood(mean, end, mean_of, end_of, at):
    """Add the mean and final concentration of an agent in plasma."""
    for s in range(W):
        mean[s] += mean_of[at + s]
        end[s] += end_of[at + s]


@loop
def add_node(mean, end, mean_of, pools, at, first, host):
    """Add the mean and final concentration of an agent in the node."""
    for s in range(W):
        p = load_host(host, ZERO, s)
        mean[s] += mean_of[at + s]
        end[s] += pools[first + A.node + s] / p.node_volume


@part
def hide_bound(b, plan, l, g, first, stop, end, fluid, count):
    """Take what is bound and not active out of the concentration at the end of a step."""
    for k in range(first, stop):
        for s in range(W):
            amount = b.solute[l, (np.uint64(g) * plan.shells + k) * SOL + S.amount + s]
            end[s] -= (amount - seen_amount(b, plan, l, g, k, s)) / (fluid[s] * count)


@inner
def track_exposure(b, plan, time, dt):
    """Peak and area under the curve of every agent and of active IL-2 in tumour, rim, node and plasma."""
    last = b.peak.shape[1] - 1
    mean, end, active, active_end = b.scratch[8], b.scratch[9], b.scratch[10], b.scratch[11]
    count = 0.0
    for l in range(b.tissue.shape[0]):
        if time >= plan.implant_time[l]:
            count += 1.0
    for place in range(4):
        clear_pair(active, active_end)
        for g in range(plan.agents):
            at = g * W
            clear_pair(mean, end)
            if place < 2:
                first, stop = (ZERO, plan.cores) if place == 0 else (plan.cores, plan.shells)
                for l in range(b.tissue.shape[0]):
                    if time >= plan.implant_time[l]:
                        add_lesion(mean, end, b.scratch[12], b.scratch[13], b.scratch[14], b.tissue[l], b.solute[l],
                                   g * plan.shells * SOL, first, stop, count)
                        if plan.held[g] != 0:
                            hide_bound(b, plan, l, g, first, stop, end, b.scratch[14], count)
            elif place == 2:
                add_node(mean, end, b.mean_node, b.pools, at, g * POOLS, b.host)
            else:
                add_blood(mean, end, b.mean_plasma, b.plasma, at)
            expose(b.auc[place, g], b.peak[place, g], b.auc[place, last], b.peak[place, last], mean, end, active, active_end,
                   b.potency[g], 1.0 * (g + 1 == plan.agents), b.end_time, time, dt)
