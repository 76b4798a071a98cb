"""Loops over subjects that advance the host: solute pools, node, circulation."""

from __future__ import annotations

import numpy as np

from locokine._jit import kernel
from locokine.biology import node as node_laws
from locokine.biology import receptors
from locokine.biology.arithmetic import decay, gain, hill, hill2, largest, relax
from locokine.engine import couple
from locokine.tissue.layout import (
    NODE,
    POOLS,
    A,
    B,
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


@kernel
def outputs_pass(body, host):
    """What follows from the body's state at once (pressure, resistance, leak index)."""
    for s in range(W):
        store_body_outputs(body, ZERO, s, couple.read_body(load_body(body, ZERO, s), load_host(host, ZERO, s)))


@kernel
def predict_plasma(pools, concentration, host, agent, first, rate, dt):
    """Plasma concentration at the end of the step as it would be without the lesions: what their exchange is given.

    A lesion that saw the plasma of the beginning of the step would take up far too much after a bolus.
    """
    for s in range(W):
        p, d = load_host(host, ZERO, s), load_agent(agent, ZERO, s)
        k10 = p.clearance * d.clearance_factor / p.central_volume
        k12, k21 = p.distribution_flow / p.central_volume, p.distribution_flow / p.peripheral_volume
        a, b = 1.0 + dt * (k10 + k12), 1.0 + dt * k21
        x = pools[first + A.plasma + s] + rate[s] * dt
        x = x + dt * p.node_flow / p.node_volume * pools[first + A.node + s] / (1.0 + dt * p.node_flow / p.node_volume)
        plasma = (x * b + dt * k21 * pools[first + A.peripheral + s]) / (a * b - dt * dt * k12 * k21)
        concentration[first // POOLS * W + s] = plasma / p.central_volume


@kernel
def pools_pass(pools, concentration, body, host, agent, first, rate, from_tissue, from_lymph, into_node,
               cells, entered, ledger, dt):
    """Advance one agent outside the lesions: depots → node and plasma ⇄ periphery, clearance; implicit.

    `from_tissue` and `from_lymph` are what the lesions gave to blood and lymph in this step (amounts), `into_node` what
    the `cells` of the node made per h (they take it up as well), `rate` an infusion into the plasma (amount per h).
    `entered` collects what reached plasma.
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
        out = p.node_flow / p.node_volume
        taken = d.potency_effector * receptors.uptake_coefficient(
            cells[s], p.uptake_most, p.uptake_kd, pools[first + A.node + s] / p.node_volume
        ) / p.node_volume
        lost = p.node_degradation * d.degradation_factor + taken
        here = (pools[first + A.node + s] + lymph) / (1.0 + dt * (out + lost))
        pools[first + A.node + s] = here
        leaving = here * out * dt
        gain_plasma = direct + leaving
        entered[s] += gain_plasma
        # plasma and periphery: two compartments, solved together
        k10 = p.clearance * d.clearance_factor / p.central_volume
        k12 = p.distribution_flow / p.central_volume
        k21 = p.distribution_flow / p.peripheral_volume
        a = 1.0 + dt * (k10 + k12)
        b = 1.0 + dt * k21
        x, y = pools[first + A.plasma + s] + gain_plasma, pools[first + A.peripheral + s]
        plasma = (x * b + dt * k21 * y) / (a * b - dt * dt * k12 * k21)
        plasma = largest(plasma, 0.0)
        pools[first + A.plasma + s] = plasma
        ledger[5, s] += (1.0 - survives_cavity) * kept + (1.0 - survives_skin) * gone
        ledger[5, s] += dt * lost * here
        ledger[6, s] += dt * k10 * plasma
        pools[first + A.peripheral + s] = (y + dt * k12 * plasma) / b
        concentration[first // POOLS * W + s] = plasma / p.central_volume


@kernel
def body_drive_pass(body, pools, agents, agent, host, weight):
    """Add `weight` times what IL-2 in plasma and node drives to the running means."""
    for s in range(W):
        p = load_host(host, ZERO, s)
        active = 0.0
        vessel = 0.0
        regulatory = 0.0
        nodal = 0.0
        for g in range(agents):
            d = load_agent(agent[g], ZERO, s)
            c = pools[g * POOLS + A.plasma + s] / p.central_volume
            active += d.potency_effector * c
            vessel += d.potency_endothelium * c
            regulatory += d.potency_regulatory * c
            nodal += d.potency_effector * pools[g * POOLS + A.node + s] / p.node_volume
        body[B.il2_plasma + s] += weight * active
        body[B.il2_node + s] += weight * nodal
        body[B.g_direct + s] += weight * hill2(vessel, p.direct_ec50)
        body[B.g_armed + s] += weight * hill2(nodal, p.armed_ec50)
        body[B.occupied + s] += weight * hill(active, p.effector_kd)
        body[B.occupied_treg + s] += weight * hill(regulatory, p.treg_kd)


@kernel
def clear_body_drives(body):
    """Start new running means."""
    for s in range(W):
        body[B.il2_plasma + s] = 0.0
        body[B.il2_node + s] = 0.0
        body[B.g_direct + s] = 0.0
        body[B.g_armed + s] = 0.0
        body[B.occupied + s] = 0.0
        body[B.occupied_treg + s] = 0.0


@kernel
def node_pass(node, naive_normal, antigen_total, body, host, antigens, homing, returned, dt):
    """Specific T cells of every antigen in the node and in blood; memory once the antigen is gone.

    Leaves behind which share of the cells that were activated in this step came from memory (`recalled`).
    """
    for s in range(W):
        body[B.recalled + s] = 0.0
        body[B.activated + s] = 1e-6
    for g in range(antigens):
        q = g * NODE
        for s in range(W):
            p = load_host(host, ZERO, s)
            dendritic = node[q + N.dendritic + s] * decay(p.dendritic_death * dt)
            naive, dividing = node[q + N.naive + s], node[q + N.dividing + s]
            effectors, memory = node[q + N.effectors + s], node[q + N.memory + s]
            sites = p.sites_per_dendritic * dendritic * p.switch_priming
            meet = node_laws.priming_rate(sites, dividing, p.priming_rate)
            il2 = body[B.il2_node + s]
            divide = node_laws.division_rate(
                sites, dividing, p.node_division, p.progeny_per_site, il2, p.effector_kd, p.division_without
            )
            normal = naive_normal[g * W + s]
            primed = meet * naive
            node[q + N.dendritic + s] = dendritic
            node[q + N.naive + s] = relax(naive, p.naive_turnover * normal, p.naive_turnover + meet, dt)
            recalled = p.recall * meet * memory
            body[B.recalled + s] += recalled
            body[B.activated + s] += primed + recalled
            egress = p.egress
            grown = relax(dividing, primed + recalled, egress, dt) * gain(divide * dt)
            node[q + N.dividing + s] = grown * decay(divide * grown / p.node_most * dt)
            left = relax(0.0, egress * dividing, 0.0, dt)
            blood = body[B.blood_volume + s] + homing[s] * dt
            taken = homing[s] * dt / blood * effectors
            stay = largest(effectors - taken, 0.0)
            dying = (1.0 - decay(p.contraction * dt)) * stay
            node[q + N.effectors + s] = stay - dying + left + returned[g * W + s]
            gone = node_laws.antigen_gone(antigen_total[g * W + s], p.memory_antigen_half)
            formed = p.switch_memory * p.memory_share * gone * dying
            node[q + N.memory + s] = memory * decay(p.memory_loss * dt) + formed


@kernel
def node_cells(node, host, antigens, cells, made):
    """Dividing T cells in the node, and the IL-2 that they make, amount per h."""
    for s in range(W):
        p = load_host(host, ZERO, s)
        cells[s] = 0.0
        for g in range(antigens):
            cells[s] += node[g * NODE + N.dividing + s]
        made[s] = p.switch_endogenous * receptors.secretion(cells[s], p.secretion)


@kernel
def advance_pass(body, host, dt):
    """One step of the circulation."""
    for s in range(W):
        x, u, o = load_body(body, ZERO, s), load_body_inputs(body, ZERO, s), load_body_outputs(body, ZERO, s)
        p = load_host(host, ZERO, s)
        store_body(body, ZERO, s, couple.advance_body(x, u, o, p, dt))
