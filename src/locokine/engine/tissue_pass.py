"""Loops over shells and subjects that apply the coupled laws to one lesion."""

from __future__ import annotations

import numpy as np

from locokine._jit import loop
from locokine.biology import antigen, niche, receptors, traffic
from locokine.biology.arithmetic import decay, gain, hill, hill2, largest, relax, smallest
from locokine.engine import couple
from locokine.tissue.layout import (
    CARRIERS,
    NODE,
    SHELL,
    SOL,
    B,
    C,
    L,
    N,
    S,
    T,
    W,
    load_agent,
    load_body,
    load_body_inputs,
    load_body_outputs,
    load_exchange,
    load_host,
    load_inputs,
    load_line,
    load_tissue,
    store_exchange,
    store_outputs,
    store_tissue,
)

ZERO = np.uint64(0)
ONE = np.uint64(1)


@loop
def exchange_pass(w, n, body, host, line):
    """Volumes, pressure and exchange coefficients of every shell."""
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            x, a = load_tissue(w, o, s), load_inputs(w, o, s)
            p, l = load_host(host, ZERO, s), load_line(line, ZERO, s)
            b = load_body_outputs(body, ZERO, s)
            store_exchange(w, o, s, couple.exchange(x, a, b, p, l))
    feed(w, n)


@loop
def feed(w, n):
    """Tell every shell how freely blood crosses the rim, whose shells lie in series (`upstream`, 1 in health)."""
    for s in range(W):
        w[T.diagonal + s] = 0.0
        w[T.right + s] = 1e-9
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            rim = (1.0 - w[o + T.core + s]) * w[o + T.volume + s]
            w[T.diagonal + s] += rim
            w[T.right + s] += rim / (w[o + T.perfusion + s] + 1e-6)
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            w[o + T.upstream + s] = (w[T.diagonal + s] + 1e-9) / w[T.right + s]


@loop
def secretion_pass(w, solute, n, host, dt):
    """What armed T cells that meet their targets secrete over the next `dt` (the source of endogenous IL-2, agent 0), and
    how many cells take IL-2 up.

    Their number and arms are taken half way on, as they have been growing: the solutes are not extrapolated.
    """
    for k in range(n):
        o, q = k * SHELL, k * SOL
        for s in range(W):
            p = load_host(host, ZERO, s)
            noticed = p.presence_half * w[o + T.volume + s] / w[o + T.lesion_volume + s]
            targets = w[o + T.viable + s] / (w[o + T.viable + s] + noticed)
            grown = 1.0 + smallest(largest(0.5 * dt * w[o + T.t_growth + s], -0.5), 1.0)
            armed = w[o + T.armed + s] + 0.5 * dt * w[o + T.armed_rate + s]
            armed = smallest(largest(armed, 0.0), 1.0)
            making = w[o + T.t_specific + s] * armed * grown * targets * p.switch_endogenous
            solute[q + S.source + s] = receptors.secretion(making, p.secretion)
            w[o + T.takers + s] = w[o + T.t_all + s] * grown + w[o + T.nk + s] + w[o + T.treg + s]


@loop
def uptake_pass(w, solute, first, n, agent, host):
    """How much of an agent, whose shells begin at `first`, cells take up at its present concentration."""
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            p, d = load_host(host, ZERO, s), load_agent(agent, ZERO, s)
            solute[q + S.uptake + s] = d.potency_effector * receptors.uptake_coefficient(
                w[o + T.takers + s], p.uptake_most, p.uptake_kd, solute[q + S.concentration + s]
            )


@loop
def outflow_pass(solute, first, n, open_to, to_blood, to_lymph, drained):
    """Add up how a lesion's exchange with blood and lymph stands now: clearance and lymph (mm³/h), amounts per h."""
    for k in range(n):
        q = first + k * SOL
        for s in range(W):
            c = solute[q + S.concentration + s]
            open_to[s] += solute[q + S.blood + s]
            to_blood[s] += solute[q + S.blood + s] * c
            to_lymph[s] += solute[q + S.drain + s] * c
            drained[s] += solute[q + S.drain + s]


@loop
def ledger_pass(solute, first, n, ledger, dt):
    """Enter what the cells of a lesion made of an agent."""
    for k in range(n):
        q = first + k * SOL
        for s in range(W):
            ledger[1, s] += dt * solute[q + S.source + s]


@loop
def drive_pass(w, solute, agents, n, agent, host, weight):
    """Add `weight` times the saturations that IL-2 drives to the running means, and keep the active concentration."""
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            w[o + T.il2 + s] = 0.0
            w[o + T.diagonal + s] = 0.0
            w[o + T.right + s] = 0.0
        for g in range(agents):
            q = (g * n + k) * SOL
            for s in range(W):
                d = load_agent(agent[g], ZERO, s)
                c = solute[q + S.mean + s]
                w[o + T.il2 + s] += d.potency_effector * c
                w[o + T.diagonal + s] += d.potency_endothelium * c
                w[o + T.right + s] += d.potency_regulatory * c
        for s in range(W):
            p = load_host(host, ZERO, s)
            wall = 1.0 + w[o + T.core + s] * w[o + T.cavity + s] * (p.cavity_wall_share - 1.0)
            active, vessel = w[o + T.il2 + s], w[o + T.diagonal + s] * wall
            w[o + T.g_direct + s] += weight * hill2(vessel, p.direct_ec50)
            w[o + T.g_thrombotic + s] += weight * hill2(vessel, p.thrombotic_ec50)
            w[o + T.g_armed + s] += weight * hill2(active, p.armed_ec50)
            w[o + T.g_lak + s] += weight * hill2(active, p.lak_ec50)
            w[o + T.g_effector + s] += weight * hill(active, p.effector_kd)
            w[o + T.g_t + s] += weight * hill(active, p.t_kd)
            w[o + T.g_treg + s] += weight * hill(w[o + T.right + s], p.treg_kd)


@loop
def clear_drives(w, n):
    """Start new running means."""
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            w[o + T.g_direct + s] = 0.0
            w[o + T.g_thrombotic + s] = 0.0
            w[o + T.g_armed + s] = 0.0
            w[o + T.g_lak + s] = 0.0
            w[o + T.g_effector + s] = 0.0
            w[o + T.g_t + s] = 0.0
            w[o + T.g_treg + s] = 0.0


@loop
def interferon_pass(w, n, cores, made, volume, host):
    """Answer of a tumour to the interferon gamma of its T cells; `made` and `volume` are scratch.

    It spreads further than 0.8 mm (Hoekstra 2020), so one level serves a tumour; a level for every shell would depend on
    how many there are, for T cells call others to where they are. Host tissue around it answers with none.
    """
    for s in range(W):
        made[s] = 0.0
        volume[s] = 1e-12
    for k in range(cores):
        o = k * SHELL
        for s in range(W):
            x, a, e, p = load_tissue(w, o, s), load_inputs(w, o, s), load_exchange(w, o, s), load_host(host, ZERO, s)
            made[s] += couple.interferon_makers(x, a, e, p)
            volume[s] += e.volume
    for s in range(W):
        p = load_host(host, ZERO, s)
        made[s] = p.switch_interferon * hill(made[s] / volume[s], p.interferon_half)
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            w[o + T.interferon + s] = w[o + T.core + s] * made[s]


@loop
def biology_pass(w, lesion, n, cores, body, host, line, dt):
    """One step of tissue biology in every shell; host tissue joining or leaving the rim brings its fluid along."""
    for s in range(W):
        lesion[L.cells + s] = 0.0
        lesion[L.homing + s] = 0.0
        lesion[L.nk_back + s] = 0.0
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            x, a, e = load_tissue(w, o, s), load_inputs(w, o, s), load_exchange(w, o, s)
            p, l = load_host(host, ZERO, s), load_line(line, ZERO, s)
            b = load_body_outputs(body, ZERO, s)
            u = couple.blood_met(load_body(body, ZERO, s), load_body_inputs(body, ZERO, s), b, p, dt)
            new, out, released = couple.advance_tissue(x, a, e, b, p, l, u, dt)
            store_tissue(w, o, s, new)
            store_outputs(w, o, s, out)
            # the rim: new host tissue comes with normal fluid and protein, tissue that leaves takes its share
            change = (new.host - x.host) * (1.0 - a.core)
            joins, leaves = largest(change, 0.0), largest(-change, 0.0) / x.host
            fluid_in = joins * p.normal_fluid_ratio
            fluid_out, protein_out = leaves * new.fluid, leaves * new.protein
            protein_in = fluid_in * p.normal_tissue_protein
            dry, grown = couple.solids(x, l), couple.solids(new, l)
            kept = (grown - dry) / dry * x.fluid * (1.0 - a.core * a.cavity)
            w[o + T.armed_rate + s] = x.armed  # before this step; `t_cell_pass` makes a rate of it
            w[o + T.drift + s] = (released + fluid_in - fluid_out - kept) / (dt * x.fluid)
            w[o + T.fluid + s] += fluid_in - fluid_out
            w[o + T.protein + s] += protein_in - protein_out
            lesion[L.fluid_released + s] += released
            lesion[L.fluid_recruited + s] += fluid_in - fluid_out
            lesion[L.protein_recruited + s] += protein_in - protein_out
            lesion[L.births + s] += out.births
            lesion[L.deaths_starved + s] += out.died_starved
            lesion[L.deaths_t + s] += out.died_t
            lesion[L.deaths_lak + s] += out.died_lak
            lesion[L.deaths_macrophage + s] += out.died_macrophage
            lesion[L.deaths_spontaneous + s] += out.died_spontaneous
            lesion[L.deaths_treatment + s] += out.died_treatment
            lesion[L.cells + s] += new.viable + new.loss
            lesion[L.homing + s] += out.homing
            lesion[L.nk_back + s] += p.nk_return * p.nk_exit * new.nk


@loop
def clonogen_pass(w, lesion, n, dt):
    """Births per clonogen, accumulated for the probability of extinction; antigen-loss cells share the birth rate."""
    for s in range(W):
        viable = 1e-300
        loss = 1e-300
        born = 0.0
        for k in range(n):
            o = k * SHELL
            viable += w[o + T.viable + s]
            loss += w[o + T.loss + s]
            born += w[o + T.births + s]
        per_cell = born / (viable + loss)
        lesion[L.j_viable + s] += per_cell / viable
        lesion[L.j_loss + s] += per_cell / loss


@loop
def t_cell_pass(w, tcells, node, body, host, line, antigens, weights, n, total_homing, returned, contracted, dt):
    """Specific T cells of every antigen in every shell: arrival from blood, division, departure, death.

    Cells that leave go back to the blood (`returned`, per antigen), but for a share that is lost on the way and, with those
    that die in tissue, counts as `contracted`.
    """
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            w[o + T.diagonal + s] = w[o + T.t_all + s]
            w[o + T.t_growth + s] = 0.0
            w[o + T.right + s] = 0.0
            w[o + T.il2 + s] = 0.0
            w[o + T.t_all + s] = 0.0
            w[o + T.t_specific + s] = 0.0
    for g in range(antigens):
        weight = weights[g]
        for k in range(n):
            o, q = k * SHELL, (k * antigens + g) * W
            for s in range(W):
                p, l = load_host(host, ZERO, s), load_line(line, ZERO, s)
                blood = body[B.blood_volume + s]
                leaving = p.egress * node[g * NODE + N.dividing + s] * dt
                cells = tcells[q + s]
                noticed = p.presence_half * w[o + T.volume + s] / w[o + T.lesion_volume + s]
                present = weight * w[o + T.viable + s] / (weight * w[o + T.viable + s] + noticed)
                # a memory cell that meets no antigen on its way stays one
                remembered = p.memory_circulating * present * node[g * NODE + N.memory + s]
                here = node[g * NODE + N.effectors + s] + remembered
                divide = p.t_division * w[o + T.g_t + s] * present
                solid = w[o + T.volume + s] * (1.0 - w[o + T.core + s] * w[o + T.cavity + s])
                places = niche.places(solid, l.niche * p.dendritic_density, p.sites_per_dendritic)
                kept = p.switch_niche * niche.division(p.niche_division, places, cells) * present
                divide = largest(divide, kept)
                restless = 1.0 - p.t_retention * present  # those that meet their antigen become resident
                exits, dies = p.t_exit * restless, p.t_death * restless
                leave = exits + dies + p.switch_cytotoxic * w[o + T.toxic_lymphocyte + s]
                returned[g * W + s] += p.t_return * exits * cells * dt
                contracted[g * W + s] += ((1.0 - p.t_return) * exits + dies) * cells * dt
                mean = traffic.met(blood, total_homing[s] * dt, here, leaving)
                arrives = w[o + T.homing + s] * mean / blood
                share = body[B.armed + s] + (1.0 - body[B.armed + s]) * remembered / (here + 1e-9)
                w[o + T.right + s] += dt * arrives
                w[o + T.il2 + s] += dt * arrives * share
                crowded = cells / (p.t_most * w[o + T.volume + s] + 1.0)
                w[o + T.t_growth + s] += weight * (arrives + (divide * (1.0 - crowded) - leave) * cells)
                cells = relax(cells, arrives, leave, dt) * gain(divide * dt)
                cells = cells * decay(divide * cells / (p.t_most * w[o + T.volume + s] + 1.0) * dt)
                tcells[q + s] = cells
                w[o + T.t_all + s] += cells
                w[o + T.t_specific + s] += weight * cells
    for k in range(n):  # cells that arrive bring the arming they got in the node, or have as memory
        o = k * SHELL
        for s in range(W):
            before, came = w[o + T.diagonal + s], w[o + T.right + s]
            armed = w[o + T.armed + s]
            w[o + T.armed + s] = armed + (w[o + T.il2 + s] - armed * came) / (before + came + 1e-12)
            w[o + T.armed_rate + s] = (w[o + T.armed + s] - w[o + T.armed_rate + s]) / dt
            w[o + T.t_growth + s] /= w[o + T.t_specific + s] + 1e-9


@loop
def antigen_pass(w, lesion, carriers, node, body, host, line, antigens, weights, n, dt):
    """Antigen and danger of one lesion; dendritic cells that carry each antigen to the node, and how many were licensed."""
    for s in range(W):
        p = load_host(host, ZERO, s)
        made = 0.0
        feared = 0.0
        armed = 0.0
        volume = 1e-3
        for k in range(n):
            made += w[k * SHELL + T.antigen_in + s]
            feared += w[k * SHELL + T.danger_in + s]
            armed += w[k * SHELL + T.t_specific + s] * w[k * SHELL + T.armed + s]
            armed += w[k * SHELL + T.nk + s] * w[k * SHELL + T.lak_level + s]
            volume += w[k * SHELL + T.volume + s]
        helpers = p.switch_licensing * armed / volume
        lesion[L.antigen + s] = relax(lesion[L.antigen + s], made / dt, p.antigen_loss, dt)
        lesion[L.danger + s] = relax(lesion[L.danger + s], feared / dt, p.antigen_loss, dt)
        lesion[L.danger_share + s] = antigen.danger_share(lesion[L.danger + s], lesion[L.cells + s])
        lesion[L.alarm + s] = antigen.alarm(lesion[L.danger_share + s], p.danger_half, helpers, p.licence_half,
                                               p.quiet_share)
        alone = antigen.alarm(lesion[L.danger_share + s], p.danger_half, 0.0, p.licence_half, p.quiet_share)
        lesion[L.licensed + s] = 1.0 - alone / lesion[L.alarm + s]
    for g in range(antigens):
        q = g * CARRIERS
        for s in range(W):
            p, l = load_host(host, ZERO, s), load_line(line, ZERO, s)
            amount = weights[g] * lesion[L.antigen + s]
            r = lesion[L.radius + s] + p.avascular_radius  # dendritic cells of the host tissue next to it take part
            reach = 4.18879 * r * r * r - lesion[L.volume + s]
            carriers[q + C.antigen + s] = amount
            leaving = l.immunogenicity * antigen.maturation(
                amount, lesion[L.alarm + s], lesion[L.volume + s] + reach, p.dendritic_density, p.dendritic_rate, p.antigen_half,
            )
            body[B.helped + s] += leaving * lesion[L.licensed + s]
            body[B.carried + s] += leaving
            rate = 2.0 / p.dendritic_delay
            first = carriers[q + C.transit_1 + s]
            second = carriers[q + C.transit_2 + s]
            carriers[q + C.transit_1 + s] = relax(first, leaving, rate, dt)
            carriers[q + C.transit_2 + s] = relax(second, rate * first, rate, dt)
            node[g * NODE + N.dendritic + s] += dt * rate * second


@loop
def owed_pass(w, lesion, n, dt):
    """What a lesion has taken from plasma and not yet been given, and how strongly its flows answer to the plasma.

    The answers are its filtration per pressure in plasma (mm³/h/mmHg), as far as tissue pressure does not rise with it over
    `dt`, and its exchange of protein per concentration (mm³/h).
    """
    for s in range(W):
        fluid = lesion[L.fluid_filtered + s] - lesion[L.fluid_drained + s]
        protein = lesion[L.protein_entered + s] - lesion[L.protein_drained + s]
        lesion[L.fluid_owed + s] = fluid - lesion[L.fluid_from_plasma + s]
        lesion[L.protein_owed + s] = protein - lesion[L.protein_from_plasma + s]
        lesion[L.plasma_answer + s] = 0.0
        lesion[L.protein_answer + s] = 0.0
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            through = w[o + T.filtration + s]
            away = w[o + T.face_hydraulic + s] + w[o + T.lymph + s]
            if k > 0:
                away = away + w[o - SHELL + T.face_hydraulic + s]
            rises = dt * through / (1.0 / w[o + T.stiffness + s] + dt * (away + through))
            lesion[L.plasma_answer + s] += through * (1.0 - rises)
            sieved = 1.0 - w[o + T.reflection + s]
            lesion[L.protein_answer + s] += w[o + T.protein_ps + s] + largest(w[o + T.filtered + s], 0.0) * sieved
