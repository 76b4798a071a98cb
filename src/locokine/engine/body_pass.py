"""Loops over subjects that advance the host: solute pools, node, circulation."""

from __future__ import annotations

import numpy as np

from locokine._jit import law, loop
from locokine.biology import node as node_laws
from locokine.biology import receptors, traffic
from locokine.biology.arithmetic import decay, gain, hill, hill2, largest, relax, smallest
from locokine.engine import couple
from locokine.tissue.layout import (
    NODE,
    A,
    B,
    L,
    N,
    W,
    load_agent,
    load_body,
    load_body_inputs,
    load_body_outputs,
    load_host,
    store_body,
    store_body_outputs,
)

ZERO = np.uint64(0)


@loop
def outputs_pass(body, host):
    """What follows from the body's state at once (pressure, resistance, leak index)."""
    for s in range(W):
        store_body_outputs(body, ZERO, s, couple.read_body(load_body(body, ZERO, s), load_host(host, ZERO, s)))


@law
def two_compartments(x, y, gained, k10, k12, k21, dt):
    """Plasma and periphery after `dt`, and the mean amount in plasma: the step of `tissue.shells.step_solute` for two pools.

    `gained` (amount) enters the plasma evenly over the step; rates in 1/h.
    """
    a, b = 1.0 + dt * (k10 + k12), 1.0 + dt * k21
    below = a * b - dt * dt * k12 * k21
    total = largest(x + gained, 0.0)
    x1, y1 = (total * b + dt * k21 * y) / below, (y * a + dt * k12 * total) / below
    u, v = 0.5 + 0.5 * x / (x1 + 1e-300), 0.5 + 0.5 * y / (y1 + 1e-300)
    a, b = 1.0 + dt * u * (k10 + k12), 1.0 + dt * v * k21
    below = a * b - dt * dt * u * v * k12 * k21
    x2, y2 = (total * b + dt * v * k21 * y) / below, (y * a + dt * u * k12 * total) / below
    return x2, y2, u * x2


@law
def stirred(x, gained, rate, dt):
    """A stirred pool after `dt` and its mean amount: the same step for one pool; `gained` enters evenly, `rate` in 1/h."""
    after = (x + gained) / (1.0 + dt * rate)
    weight = 0.5 + 0.5 * x / (after + 1e-300)
    after = (x + gained) / (1.0 + dt * weight * rate)
    return after, weight * after


@law
def node_rinse(p, drained):
    """Rate in 1/h at which lymph rinses the node: what its basin sends at rest, and what lesions drain (mm³/h).

    An injected or oedematous tumour sends more lymph with its IL-2, so that the node is never more concentrated than what
    drains into it.
    """
    return (p.node_flow + drained) / p.node_volume


@law
def node_loss(p, d, amount, cells):
    """Rate in 1/h at which an agent is lost in the node: degraded, and taken up by `cells` at its present `amount`."""
    taken = d.potency_effector * receptors.uptake_coefficient(cells, p.uptake_most, p.uptake_kd, amount / p.node_volume)
    return p.node_degradation * d.degradation_factor + taken / p.node_volume


@loop
def predict_plasma(pools, first, plasma, at, host, agent, rate, into_node, cells, open_to, to_blood, to_lymph, drained, dt):
    """Mean plasma concentration over the step if what leaves the lesions stays as it is: what their exchange is given.

    A lesion that saw the plasma of the beginning of the step would take up far too much after a bolus. `open_to` (mm³/h)
    is the clearance of the lesions, `to_blood` and `to_lymph` what leaves them per h; the rest as for `pools_pass`.
    """
    for s in range(W):
        p, d = load_host(host, ZERO, s), load_agent(agent, ZERO, s)
        cavity = p.peritoneum_survival * (1.0 - decay(p.peritoneum_absorption * dt)) * pools[first + A.peritoneum + s]
        skin = p.subcutis_survival * (1.0 - decay(p.subcutis_absorption * dt)) * pools[first + A.subcutis + s]
        out, there = node_rinse(p, drained[s]), pools[first + A.node + s]
        lymph = dt * (to_lymph[s] + into_node[s]) + p.peritoneum_lymph * cavity + p.subcutis_lymph * skin
        _, held = stirred(there, lymph, out + node_loss(p, d, there, cells[s]), dt)
        direct = (1.0 - p.peritoneum_lymph) * cavity + (1.0 - p.subcutis_lymph) * skin
        _, _, mean = two_compartments(
            pools[first + A.plasma + s], pools[first + A.peripheral + s], direct + dt * (rate[s] + to_blood[s] + out * held),
            (p.clearance * d.clearance_factor + open_to[s]) / p.central_volume, p.distribution_flow / p.central_volume,
            p.distribution_flow / p.peripheral_volume, dt,
        )
        plasma[at + s] = mean / p.central_volume


@loop
def lesions_pass(pools, first, ledger, made, blood, lymph, lost, around, dt):
    """Enter into the ledger what left all lesions; what went beyond their rims joins the depot under the skin."""
    for s in range(W):
        ledger[1, s] += dt * made[s]
        ledger[2, s] += blood[s]
        ledger[3, s] += lymph[s]
        ledger[4, s] += lost[s]
        pools[first + A.subcutis + s] += around[s]


@loop
def pools_pass(pools, first, plasma, mean_plasma, mean_node, at, host, agent, rate, from_tissue, from_lymph, drained,
               into_node, cells, entered, ledger, dt):
    """Advance one agent outside the lesions: depots → node and plasma ⇄ periphery, clearance.

    `from_tissue` and `from_lymph` are what the lesions gave to blood and lymph in this step (amounts), `drained` the lymph
    that carries it (mm³/h), `into_node` what the `cells` of the node made per h (they take it up as well), `rate` an
    infusion into the plasma (amount per h). `entered` collects what reached plasma. The agent's pools begin at `first`,
    its concentrations at `at`.
    """
    for s in range(W):
        p, d = load_host(host, ZERO, s), load_agent(agent, ZERO, s)
        cavity, skin = pools[first + A.peritoneum + s], pools[first + A.subcutis + s]
        kept = (1.0 - decay(p.peritoneum_absorption * dt)) * cavity
        gone = (1.0 - decay(p.subcutis_absorption * dt)) * skin
        pools[first + A.peritoneum + s] = cavity - kept
        pools[first + A.subcutis + s] = skin - gone
        survives_cavity, survives_skin = p.peritoneum_survival, p.subcutis_survival
        lymph = from_lymph[s] + into_node[s] * dt + p.peritoneum_lymph * survives_cavity * kept
        lymph = lymph + p.subcutis_lymph * survives_skin * gone
        direct = from_tissue[s] + (1.0 - p.peritoneum_lymph) * survives_cavity * kept
        direct = direct + (1.0 - p.subcutis_lymph) * survives_skin * gone + rate[s] * dt
        # node: stirred volume rinsed by lymph
        there = pools[first + A.node + s]
        out = node_rinse(p, drained[s])
        lost = node_loss(p, d, there, cells[s])
        here, mean = stirred(there, lymph, out + lost, dt)
        pools[first + A.node + s] = here
        mean_node[at + s] = mean / p.node_volume
        gained = direct + mean * out * dt
        entered[s] += gained
        k10 = p.clearance * d.clearance_factor / p.central_volume
        x, y, held = two_compartments(
            pools[first + A.plasma + s], pools[first + A.peripheral + s], gained, k10,
            p.distribution_flow / p.central_volume, p.distribution_flow / p.peripheral_volume, dt,
        )
        pools[first + A.plasma + s] = x
        pools[first + A.peripheral + s] = y
        plasma[at + s] = x / p.central_volume
        mean_plasma[at + s] = held / p.central_volume
        ledger[5, s] += (1.0 - survives_cavity) * kept + (1.0 - survives_skin) * gone
        ledger[5, s] += dt * lost * mean
        ledger[6, s] += dt * k10 * held


@loop
def body_drive_pass(body, mean_plasma, mean_node, agents, agent, host, weight):
    """Add `weight` times what IL-2 in plasma and node drives to the running means."""
    for s in range(W):
        p = load_host(host, ZERO, s)
        active = 0.0
        vessel = 0.0
        regulatory = 0.0
        nodal = 0.0
        for g in range(agents):
            d = load_agent(agent[g], ZERO, s)
            c = mean_plasma[g * W + s]
            active += d.potency_effector * c
            vessel += d.potency_endothelium * c
            regulatory += d.potency_regulatory * c
            nodal += d.potency_effector * mean_node[g * W + s]
        body[B.il2_plasma + s] += weight * active
        body[B.il2_node + s] += weight * nodal
        body[B.g_direct + s] += weight * hill2(vessel, p.direct_ec50)
        body[B.g_armed + s] += weight * hill2(nodal, p.armed_ec50)
        body[B.occupied + s] += weight * hill(active, p.effector_kd)
        body[B.occupied_treg + s] += weight * hill(regulatory, p.treg_kd)
        body[B.occupied_high + s] += weight * hill(regulatory, p.nk_high_kd)


@loop
def clear_body_drives(body):
    """Start new running means."""
    for s in range(W):
        body[B.il2_plasma + s] = 0.0
        body[B.il2_node + s] = 0.0
        body[B.g_direct + s] = 0.0
        body[B.g_armed + s] = 0.0
        body[B.occupied + s] = 0.0
        body[B.occupied_treg + s] = 0.0
        body[B.occupied_high + s] = 0.0


@loop
def node_pass(node, naive_normal, antigen_total, body, host, antigens, homing, returned, contracted, dt):
    """Specific T cells of every antigen in the node and in blood; memory once the antigen is gone.

    Memory is left by effectors that contract in blood and in tissue (`contracted`) alike.

    Leaves behind which share of the cells that were activated in this step came from memory (`recalled`), and how fast the
    number of dividing cells grows (`node_growth`, 1/h).
    """
    for s in range(W):
        body[B.recalled + s] = 0.0
        body[B.activated + s] = 1e-6
        body[B.node_growth + s] = 0.0
    for g in range(antigens):
        q = g * NODE
        for s in range(W):
            p = load_host(host, ZERO, s)
            dendritic = node[q + N.dendritic + s] * decay(p.dendritic_death * dt)
            naive, dividing = node[q + N.naive + s], node[q + N.dividing + s]
            toxic = p.switch_cytotoxic * body[B.toxic_lymphocyte + s]
            effectors, memory = node[q + N.effectors + s], node[q + N.memory + s]
            sites = p.sites_per_dendritic * dendritic * p.switch_priming
            meet = node_laws.priming_rate(sites, dividing, p.priming_rate)
            il2 = body[B.il2_node + s]
            divide = node_laws.division_rate(
                sites, dividing, p.node_division, p.progeny_per_site, il2, p.t_kd, p.division_without
            )
            normal = naive_normal[g * W + s]
            primed = meet * naive
            node[q + N.dendritic + s] = dendritic
            node[q + N.naive + s] = relax(naive, p.naive_turnover * normal, p.naive_turnover + meet + toxic, dt)
            recalled = p.recall * meet * memory
            body[B.recalled + s] += recalled
            body[B.activated + s] += primed + recalled
            egress = p.egress
            grown = relax(dividing, primed + recalled, egress + toxic, dt) * gain(divide * dt)
            node[q + N.dividing + s] = grown * decay(divide * grown / p.node_most * dt)
            body[B.node_growth + s] += (node[q + N.dividing + s] - dividing) / dt
            left = egress * dividing * dt
            cleared, blood = homing[s] * dt, body[B.blood_volume + s]
            taken = cleared / blood * traffic.met(blood, cleared, effectors, left)
            stay = largest(effectors + left - taken, 0.0) * decay(toxic * dt)
            dying = (1.0 - decay(p.contraction * dt)) * stay
            node[q + N.effectors + s] = stay - dying + returned[g * W + s]
            gone = node_laws.antigen_gone(antigen_total[g * W + s], p.memory_antigen_half)
            formed = p.switch_memory * p.memory_share * gone * (dying + contracted[g * W + s])
            node[q + N.memory + s] = memory * decay(p.memory_loss * dt) + formed


@loop
def node_cells(node, body, host, antigens, cells, made, ahead):
    """Dividing T cells in the node `ahead` h from now, as they have been growing, and the IL-2 that they make, amount per h."""
    for s in range(W):
        p = load_host(host, ZERO, s)
        cells[s] = 0.0
        for g in range(antigens):
            cells[s] += node[g * NODE + N.dividing + s]
        grown = ahead * body[B.node_growth + s]
        cells[s] += smallest(largest(grown, -0.5 * cells[s]), cells[s])
        made[s] = p.switch_endogenous * receptors.secretion(cells[s], p.secretion)


@loop
def demand_pass(body, host, lesion, dt):
    """Add what a lesion has taken from the plasma and not yet been given, and how its taking answers to the plasma."""
    for s in range(W):
        x, o, p = load_body(body, ZERO, s), load_body_outputs(body, ZERO, s), load_host(host, ZERO, s)
        answer = lesion[L.plasma_answer + s] * couple.plasma_answer(x, o, p)
        lesion[L.plasma_answer + s] = answer
        lesion[L.protein_answer + s] /= x.plasma_volume
        body[B.fluid_taken + s] += lesion[L.fluid_owed + s] / dt
        body[B.protein_taken + s] += lesion[L.protein_owed + s] / dt
        body[B.plasma_answer + s] += answer
        body[B.protein_answer + s] += lesion[L.protein_answer + s]


@loop
def advance_pass(body, host, volume, protein, dt):
    """One step of the circulation; `volume` and `protein` get the changes of plasma."""
    for s in range(W):
        x, u, o = load_body(body, ZERO, s), load_body_inputs(body, ZERO, s), load_body_outputs(body, ZERO, s)
        p = load_host(host, ZERO, s)
        new, volume[s], protein[s] = couple.advance_body(x, u, o, p, dt)
        store_body(body, ZERO, s, new)


@loop
def supply_pass(lesion, volume, protein, dt):
    """Give a lesion from the plasma what it was owed, more or less as the plasma rose or fell; the rest stays owed.

    A large lesion answers to the plasma within a step: unless both are reckoned together, they overshoot in turn. What
    is owed is of second order in `dt`.
    """
    for s in range(W):
        lesion[L.fluid_from_plasma + s] += lesion[L.fluid_owed + s] + dt * lesion[L.plasma_answer + s] * volume[s]
        lesion[L.protein_from_plasma + s] += lesion[L.protein_owed + s] + dt * lesion[L.protein_answer + s] * protein[s]
