"""Events: implantation, doses and their rules, extinction and cure, death."""

from __future__ import annotations

import math

import numpy as np

from locokine._jit import inner, part, unit
from locokine.biology.arithmetic import largest
from locokine.biology.binding import free_concentration
from locokine.biology.extinction import exponent
from locokine.biology.fluid import oncotic_interstitial, oncotic_plasma
from locokine.body import grades
from locokine.tissue.layout import (
    POOLS,
    SHELL,
    SOL,
    A,
    B,
    L,
    S,
    T,
    W,
    load_agent,
    load_body_outputs,
    load_host,
    load_line,
)
from locokine.tissue.shells import rim_share

ZERO = np.uint64(0)
ONE = np.uint64(1)
NOWHERE = np.int64(-1)
(IMPLANTED, EXTINCT, CURED, DOSE, DOSE_HELD, COURSE_ENDED, HUMANE_ENDPOINT, TOXIC_DEATH, TUMOUR_DEATH, IRRADIATED, RESECTED,
 DOSE_REDUCED) = np.arange(12)
"""Places in `block.KINDS`. Numbers of a type, not Python's: `note` would be compiled anew for each of those."""
PALPABLE = 2.0
"""Diameter in mm below which a deposit cannot be felt."""


@part
def note(b, s, time, kind, lesion, value):
    """Write one entry into the event log of subject `s`."""
    at = int(b.logged[s])
    if at < b.log.shape[0]:
        b.log[at, 0, s] = time
        b.log[at, 1, s] = kind
        b.log[at, 2, s] = lesion
        b.log[at, 3, s] = value
        b.logged[s] = at + 1


@part
def implant(b, plan, l):
    """Put a tumour deposit into every host: cells in equal shells, host tissue around them at rest."""
    w, line, lesion = b.tissue[l], b.line[l], b.lesion[l]
    n, cores = plan.shells, plan.cores
    for s in range(W):
        p, q = load_host(b.host, ZERO, s), load_line(line, ZERO, s)
        cavity = plan.cavity[l]
        per_cell = q.cell_volume * (1.0 + p.stroma_share) * (1.0 + p.tumour_fluid_ratio)
        cells = plan.implant_cells[l] * q.implant_take
        if math.isnan(cells):
            cells = plan.implant_volume[l] / per_cell
            lost = 0.0
        else:
            lost = plan.implant_cells[l] - cells  # cells that do not take die at once: debris, antigen and danger
        share = cells / cores
        radius = 0.62035 * (per_cell * cells) ** (1.0 / 3.0)
        if cavity > 0.0:
            radius = 0.62035 * p.cavity_rest_fluid ** (1.0 / 3.0)
        for k in range(n):
            o = k * SHELL
            for f in range(SHELL // W):
                w[o + f * W + s] = 0.0
            w[o + T.perfusion + s] = 1.0
            w[o + T.cavity + s] = cavity
            w[o + T.radius + s] = radius
            if k < cores:
                w[o + T.core + s] = 1.0
                w[o + T.viable + s] = share * (1.0 - q.loss_share)
                w[o + T.loss + s] = share * q.loss_share
                w[o + T.host + s] = p.stroma_share * (share * q.cell_volume + p.smallest_stroma / cores)
                solid = share * q.cell_volume + w[o + T.host + s]
                # tissue starts near the pressure at which filtration stops, with vessels adapted to it
                protein = 0.78 * p.plasma_protein
                stop = p.vessel_pressure - p.tumour_reflection * (
                    oncotic_plasma(p.plasma_protein) - oncotic_interstitial(protein)
                )
                depth = radius * radius * p.tumour_vessel_conductivity * p.vessel_density
                held = 1.0 - 1.0 / (1.0 + depth * p.vessel_radius * 0.4 / p.tumour_conductivity)
                pressure = p.normal_rest_pressure + held * (stop - p.normal_rest_pressure)
                strain = (1.0 - cavity) * (pressure - p.tumour_rest_pressure) / p.tumour_modulus
                strain = max(strain, -0.5 * p.tumour_fluid_ratio / (1.0 + p.tumour_fluid_ratio))
                w[o + T.strain_ref + s] = strain
                w[o + T.pressure_ref + s] = (1.0 - cavity) * pressure + cavity * p.cavity_rest_pressure
                w[o + T.fluid + s] = solid * (p.tumour_fluid_ratio + strain * (1.0 + p.tumour_fluid_ratio))
                w[o + T.fluid + s] += cavity * p.cavity_rest_fluid
                w[o + T.vessels + s] = p.vessel_density * (solid + w[o + T.fluid + s])
                if cavity > 0.0:
                    w[o + T.vessels + s] = p.cavity_area / (6.283185307179586 * p.vessel_radius)
                w[o + T.macrophages + s] = p.macrophage_density * solid
            else:
                inner = radius + p.rim_thickness * rim_share(k - cores, n - cores)
                outer = radius + p.rim_thickness * rim_share(k - cores + ONE, n - cores)
                volume = (outer**3 - inner**3) / 0.238732414637843
                w[o + T.host + s] = volume / (1.0 + p.normal_fluid_ratio)
                w[o + T.host_target + s] = w[o + T.host + s]
                w[o + T.fluid + s] = volume - w[o + T.host + s]
                w[o + T.vessels + s] = p.rim_vessel_density * volume
                w[o + T.pressure_ref + s] = p.normal_rest_pressure
            protein = p.normal_tissue_protein
            if k < cores and cavity == 0.0:
                protein = 0.78 * p.plasma_protein
            w[o + T.protein + s] = protein * w[o + T.fluid + s]
            w[o + T.vessel_target + s] = w[o + T.vessels + s]
            w[o + T.treg + s] = p.treg_density * (w[o + T.host + s] + w[o + T.fluid + s])
            lesion[L.fluid_recruited + s] += w[o + T.fluid + s]
            lesion[L.protein_recruited + s] += w[o + T.protein + s]
        lesion[L.antigen + s] = lost
        lesion[L.danger + s] = lost
        lesion[L.implanted + s] = 1.0
        # until a first dose finds the tissue as it is, oedema is what exceeds the fluid of tissue at rest
        solids = max(cells * q.cell_volume * (1.0 + p.stroma_share), 1e-12)  # a lesion to be seeded is empty
        ratio = p.tumour_fluid_ratio + cavity * p.cavity_rest_fluid / solids
        lesion[L.tumour_fluid_share + s] = min(ratio / (1.0 + ratio), 0.99)
        lesion[L.cells + s] = cells
        lesion[L.baseline_cells + s] = cells


@inner
def grade_pass(b, plan, time, dt):
    """Present toxicity grades of every host (order of `body.grades.TERMS`), and the worst so far once treated."""
    for s in range(W):
        o, p = load_body_outputs(b.body, ZERO, s), load_host(b.host, ZERO, s)
        gained = (o.weight - p.weight) / p.weight
        hot = 1.0 * (o.temperature > grades.FEVER[2])
        b.hot[s] = hot * (b.hot[s] + dt)
        b.grade[0, s] = grades.hypotension(o.pressure, p.arterial_pressure, b.body[B.pressor + s])
        b.grade[1, s] = grades.weight_gain(gained)
        b.grade[2, s] = grades.capillary_leak(o.systemic_leak, gained, 0.06 * o.protein)
        b.grade[3, s] = grades.fever(o.temperature, b.hot[s])
        b.grade[4, s] = 0.0
    rim = plan.cores * SHELL
    for l in range(b.tissue.shape[0]):
        if time < plan.implant_time[l]:
            continue
        w = b.tissue[l]
        for s in range(W):
            shut = 1.0 * (w[rim + T.perfusion + s] < grades.SITE_PERFUSION)
            b.ischaemic[l, s] = shut * (b.ischaemic[l, s] + dt)
            for i in range(2):
                more = 1.0 * (w[rim + T.strain + s] - b.rim_before[l, s] >= grades.SITE_OEDEMA[i])
                b.swollen[l, i, s] = more * (b.swollen[l, i, s] + dt)
            site = grades.injection_site_reaction(
                w[rim + T.leak + s], b.swollen[l, 0, s], b.swollen[l, 1, s], b.ischaemic[l, s]
            )
            b.grade[4, s] = largest(b.grade[4, s], b.injected[l, s] * site)
    for s in range(W):
        alive = 1.0 * (b.end_time[s] >= time)
        for g in range(b.grade.shape[0]):
            b.worst[g, s] = largest(b.worst[g, s], alive * b.treated[s] * b.grade[g, s])


@part
def grade_of(b, term, s):
    """Present grade of a term of `block.TERMS` for subject `s`; "any" is the worst systemic term."""
    if term == 1:
        return max(b.grade[0, s], b.grade[1, s], b.grade[2, s], b.grade[3, s])
    return b.grade[term - 2, s]


@part
def all_clear(b, plan, dose, s):
    """Whether every lesion this dose is meant for (all lesions for a systemic dose) is extinct or not palpable."""
    for l in range(b.lesion.shape[0]):
        meant = plan.dose_local[dose] == 0 or plan.dose_lesion[dose, l] == 1
        if meant and b.lesion[l, L.implanted + s] > 0.0 and b.lesion[l, L.extinct + s] == 0.0:
            viable = b.lesion[l, L.cells + s]
            if b.lesion[l, L.diameter + s] >= PALPABLE and viable > 1e4:
                return False
    return True


@part
def allowed(b, plan, dose, s, time):
    """Whether the rules of the dose's course let it be given now; ends the course where they say so."""
    course = plan.dose_course[dose]
    if b.course_over[course, s] > 0.0:
        return False
    for r in range(plan.rule_kind.shape[0]):
        if plan.rule_course[r] != course:
            continue
        if plan.rule_term[r] == 0:
            hit = all_clear(b, plan, dose, s)
        else:
            hit = grade_of(b, plan.rule_term[r], s) >= plan.rule_grade[r]
        if hit:
            if plan.rule_kind[r] == 3:
                if b.course_share[course, s] > plan.rule_share[r]:
                    b.course_share[course, s] = plan.rule_share[r]
                    note(b, s, time, DOSE_REDUCED, NOWHERE, plan.rule_share[r])
                continue
            if plan.rule_kind[r] == 1:
                note(b, s, time, DOSE_HELD, NOWHERE, dose)
            else:
                b.course_over[course, s] = 1.0
                note(b, s, time, COURSE_ENDED, NOWHERE, course)
            return False
    return True


@part
def core_room(w, cores, p, s):
    """Volume in mm³ that the tumour still takes in before it is as full as tissue gets."""
    room = 0.0
    for k in range(cores):
        o = k * SHELL
        dry = w[o + T.volume + s] - w[o + T.fluid + s]
        room += max((p.strain_cap - w[o + T.strain + s]) * (1.0 + p.tumour_fluid_ratio) * dry, 0.0)
    return room


@part
def rim_room(w, cores, n, p, s):
    """Volume in mm³ that the rim still takes in; what does not fit spreads in the subcutis around it."""
    room = 0.0
    for k in range(cores, n):
        o = k * SHELL
        dry = w[o + T.volume + s] - w[o + T.fluid + s]
        room += max((p.strain_cap - w[o + T.strain + s]) * (1.0 + p.normal_fluid_ratio) * dry, 0.0)
    return room


@part
def fill_pools(w, cores, share, tumour, pool, points, s):
    """How much of each shell the pools of `points` needles fill: one from the centre outward, several spread evenly by volume."""
    begin = 0.0
    for k in range(cores):
        here = w[k * SHELL + T.volume + s]
        share[k] = 0.0
        if points <= 1:
            share[k] = min(here, max(pool - begin, 0.0))
        else:
            width = min(pool, tumour) / points
            for i in range(points):
                middle = (i + 0.5) / points * tumour
                overlap = min(begin + here, middle + 0.5 * width) - max(begin, middle - 0.5 * width)
                share[k] += max(overlap, 0.0)
        begin += here


@part
def depot_part(b, plan, agent, amount, s):
    """What of a dose into tissue a depot holds at first."""
    if plan.held[agent] == 0:
        return 0.0
    return load_agent(b.agent[agent], ZERO, s).depot_share * amount


@part
def set_free(b, plan, l, agent, k, s):
    """Free concentration of an agent in a shell whose amount or fluid has changed."""
    q = (np.uint64(agent) * plan.shells + k) * SOL
    amount, fluid = b.solute[l, q + S.amount + s], b.tissue[l, k * SHELL + T.fluid + s]
    if plan.held[agent] == 0:
        b.solute[l, q + S.concentration + s] = amount / fluid
    else:
        kd = load_agent(b.agent[agent], ZERO, s).matrix_kd
        b.solute[l, q + S.concentration + s] = free_concentration(amount, fluid, b.solute[l, q + S.sites + s], kd)


@part
def inject_lesion(b, plan, l, agent, amount, volume, route, distance, points, s):
    """Put an injection into one lesion: pools within it, what does not fit flows back to the rim; part stays in the depot."""
    w, lesion, solute = b.tissue[l], b.lesion[l], b.solute[l]
    n, cores = plan.shells, plan.cores
    tumour = lesion[L.volume + s]
    inside = 0.0
    if plan.cavity[l] > 0.0:
        inside = 1.0
    elif route == 0:
        inside = min(0.9, 0.2 * tumour / max(volume, 1e-6))
        inside = min(inside, core_room(w, cores, load_host(b.host, ZERO, s), s) / max(volume, 1e-6))
    share = b.share
    for k in range(n):
        share[k] = 0.0
    pool = max(3.0 * inside * volume, 0.05 * tumour)
    fill_pools(w, cores, share, tumour, pool, points, s)
    total = 0.0
    for k in range(cores):
        total += share[k]
    for k in range(cores):
        share[k] *= inside / max(total, 1e-30)
    rim = 0.0
    for k in range(cores, n):
        if route == 1:
            edge = lesion[L.radius + s]
            near = w[k * SHELL + T.outer_radius + s] - w[k * SHELL + T.outer_half + s] - edge
            weight = 1.0 / (0.05 + (near - distance) ** 2)
            share[k] = weight * w[k * SHELL + T.volume + s]
        else:
            share[k] = w[k * SHELL + T.volume + s]
        rim += share[k]
    p = load_host(b.host, ZERO, s)
    room = rim_room(w, cores, n, p, s)
    around = (1.0 - inside) * max(1.0 - room / max((1.0 - inside) * volume, 1e-9), 0.0)
    for k in range(cores, n):
        share[k] *= (1.0 - inside - around) / max(rim, 1e-30)
    held = depot_part(b, plan, agent, amount, s)
    b.pools[np.uint64(agent) * POOLS + A.subcutis + s] += around * (amount - held)
    b.pools[np.uint64(agent) * POOLS + A.held_subcutis + s] += around * held
    for k in range(n):
        o, q = k * SHELL, (np.uint64(agent) * n + k) * SOL
        solute[q + S.amount + s] += share[k] * (amount - held)
        solute[q + S.depot + s] += share[k] * held
        w[o + T.fluid + s] += share[k] * volume
        set_free(b, plan, l, agent, k, s)
    lesion[L.fluid_injected + s] += (1.0 - around) * volume
    note_injected(b, plan, l, s)


@part
def note_injected(b, plan, l, s):
    """A lesion is injected; what its rim was like before the first time stays noted."""
    if b.injected[l, s] == 0.0:
        b.rim_before[l, s] = b.tissue[l, plan.cores * SHELL + T.strain + s]
        b.injected[l, s] = 1.0


@part
def inject_artery(b, plan, l, agent, amount, s):
    """Into the artery that feeds a lesion: its vessels take their share at the first pass, the rest reaches the plasma.

    Blood of the artery flows through the lesion and, with `artery_flow`, through tissue that it feeds beside it. What the
    shells keep is the exchange coefficient PS-and-flow over the whole flow, as for the blood of the body.
    """
    solute, n = b.solute[l], plan.shells
    p = load_host(b.host, ZERO, s)
    flow = p.artery_flow
    for k in range(n):
        flow += b.tissue[l, k * SHELL + T.flow + s]
    left = amount
    for k in range(n):
        q = (np.uint64(agent) * n + k) * SOL
        kept = amount * min(solute[q + S.blood + s] / max(flow, 1e-30), 1.0)
        solute[q + S.amount + s] += kept
        set_free(b, plan, l, agent, k, s)
        left -= kept
    b.pools[np.uint64(agent) * POOLS + A.plasma + s] += left
    b.entered[agent, s] += left
    b.ledger[agent, 2, s] += left
    b.plasma[np.uint64(agent) * W + s] = b.pools[np.uint64(agent) * POOLS + A.plasma + s] / p.central_volume
    note_injected(b, plan, l, s)


@part
def infuse(b, plan, dose):
    """Add a running infusion to the rates of this step."""
    for s in range(W):
        b.rate[plan.dose_agent[dose], s] += b.running[dose, s]


@unit
def give(b, plan, dose, s, time):
    """Give one dose to subject `s` if its rules allow."""
    if not allowed(b, plan, dose, s, time):
        return
    agent, route = plan.dose_agent[dose], plan.dose_route[dose]
    p = load_host(b.host, ZERO, s)
    amount = plan.dose_amount[dose]
    if math.isnan(amount):
        amount = plan.dose_per_kg[dose] * p.weight
    amount *= b.course_share[plan.dose_course[dose], s]
    volume = plan.dose_volume[dose]
    local = plan.dose_local[dose]
    if local == 1:
        total = 0.0
        count = 0
        for l in range(b.lesion.shape[0]):
            if plan.dose_lesion[dose, l] == 1 and b.lesion[l, L.implanted + s] > 0.0:
                total += b.lesion[l, L.volume + s] + 1e-3
                count += 1
        given = 0.0
        for l in range(b.lesion.shape[0]):
            if plan.dose_lesion[dose, l] == 1 and b.lesion[l, L.implanted + s] > 0.0:
                part = (b.lesion[l, L.volume + s] + 1e-3) / total
                if plan.dose_each[dose] == 1:
                    part = 1.0
                if route == 5:
                    inject_artery(b, plan, l, agent, amount * part, s)
                    b.body[B.plasma_volume + s] += volume * part
                else:
                    inject_lesion(b, plan, l, agent, amount * part, volume * part, route, plan.dose_distance[dose],
                                  plan.dose_points[dose], s)
                given += amount * part
        amount = given
    else:
        a = np.uint64(agent) * POOLS
        held = depot_part(b, plan, agent, amount, s)
        if route == 2 and plan.dose_duration[dose] > 0.0:
            b.running[dose, s] = amount / plan.dose_duration[dose]
        elif route == 2:
            b.pools[a + A.plasma + s] += amount
            b.entered[agent, s] += amount
            b.ledger[agent, 2, s] += amount
            b.plasma[np.uint64(agent) * W + s] = b.pools[a + A.plasma + s] / p.central_volume
            b.body[B.plasma_volume + s] += volume
        elif route == 3:
            b.pools[a + A.peritoneum + s] += amount - held
            b.pools[a + A.held_peritoneum + s] += held
        else:
            b.pools[a + A.subcutis + s] += amount - held
            b.pools[a + A.held_subcutis + s] += held
    b.treated[s] = 1.0
    b.dosed[agent, s] += amount
    b.ledger[agent, 0, s] += amount
    note(b, s, time, DOSE, agent, amount)


@inner
def extinction(b, plan, time):
    """Set the clonogens of a lesion to zero once its probability of extinction passes the subject's draw.

    `time` is the end of a step: a lesion that is due then comes with the next one, and is neither extinct nor cured.
    """
    for l in range(b.lesion.shape[0]):
        w, lesion = b.tissue[l], b.lesion[l]
        if time <= plan.implant_time[l]:
            continue
        for s in range(W):
            if lesion[L.extinct + s] > 0.0:
                continue
            if plan.seed_from[l] >= 0 and b.lesion[plan.seed_from[l], L.extinct + s] == 0.0:
                continue  # cells may still come
            viable = 0.0
            loss = 0.0
            for k in range(plan.cores):
                viable += w[k * SHELL + T.viable + s]
                loss += w[k * SHELL + T.loss + s]
            if viable + loss > 1e4:
                continue
            e = exponent(viable, lesion[L.j_viable + s]) + exponent(loss, lesion[L.j_loss + s])
            if math.exp(-e) >= b.cure_draw[l, s]:
                for k in range(plan.cores):
                    lesion[L.deaths_spontaneous + s] += w[k * SHELL + T.viable + s] + w[k * SHELL + T.loss + s]
                    w[k * SHELL + T.viable + s] = 0.0
                    w[k * SHELL + T.loss + s] = 0.0
                lesion[L.extinct + s] = 1.0
                lesion[L.cells + s] = 0.0
                note(b, s, time, EXTINCT, l, 0.0)
                cured = True
                for m in range(b.lesion.shape[0]):
                    if b.lesion[m, L.extinct + s] == 0.0 or time <= plan.implant_time[m]:
                        cured = False
                if cured:
                    note(b, s, time, CURED, NOWHERE, 0.0)


@inner
def deaths(b, plan, time):
    """Death from toxicity or from tumour load; returns how many hosts are alive."""
    alive = 0
    for s in range(W):
        if b.end_time[s] < time:
            continue
        p = load_host(b.host, ZERO, s)
        solid = 0.0
        cavity = 0.0
        for l in range(b.lesion.shape[0]):
            if time >= plan.implant_time[l]:
                if plan.cavity[l] > 0.0:
                    cavity = max(cavity, b.lesion[l, L.volume + s])
                else:
                    solid += b.lesion[l, L.volume + s]
        if b.body[B.hazard + s] >= b.death_draw[s]:
            b.end_time[s] = time
            note(b, s, time, TOXIC_DEATH, NOWHERE, b.body[B.hazard + s])
        elif solid >= p.endpoint_burden or cavity >= p.endpoint_cavity:
            b.end_time[s] = time
            kind = HUMANE_ENDPOINT
            if plan.patient > 0.0:
                kind = TUMOUR_DEATH
            note(b, s, time, kind, NOWHERE, largest(solid, cavity))
        else:
            alive += 1
    return alive
