"""Which law feeds which state: the model, one line a mechanism.

Scalar functions of named fields, one subject and one shell at a time: `p` parameters of host and laws, `l` of the
tumour line, `x` the state of the shell, `a` what the shell is told, `b` body outputs. The loops around them are in
`engine.tissue_pass` and `engine.body_pass`.
"""

from __future__ import annotations

from math import sqrt

from locokine._jit import coupling as law
from locokine.biology import (
    bleeding,
    endothelium,
    fluid,
    interferon,
    killing,
    oxygen,
    perfusion,
    radiation,
    starvation,
    traffic,
)
from locokine.biology.arithmetic import decay, gain, hill, largest, relax, smallest
from locokine.body import circulation, fever, hazard
from locokine.tissue.layout import Blood, Body, BodyOutputs, Exchange, Outputs, Tissue, Water

PI = 3.141592653589793


@law
def mix(core, tumour, normal):
    """A value in the tumour (core = 1) or in host tissue (core = 0); the other one does not touch it, however large."""
    return core * tumour + (1.0 - core) * normal


@law
def leak_state(x):
    """Leak state of the shell's endothelium."""
    return endothelium.leak(x.e_direct, x.e_thrombotic, x.e_lymphocyte)


@law
def solids(x, l):
    """Volume of all that is not free fluid, mm³."""
    return (x.viable + x.loss) * l.cell_volume + x.dead + x.host + x.erythrocytes


@law
def tissue_pressure(x, a, strain, filled, p):
    """Interstitial pressure of a shell (or of the cavity) from its fluid, mmHg."""
    modulus = mix(a.core, p.tumour_modulus, p.normal_modulus)
    rest = mix(a.core, p.tumour_rest_pressure, p.normal_rest_pressure)
    tissue = fluid.elastic_pressure(rest, modulus, strain, x.strain_ref, p.relaxed_share, p.strain_cap)
    tissue = tissue - fluid.drying_pressure(modulus, p.strain_cap, filled)
    inside = fluid.cavity_pressure(x.fluid, p.cavity_rest_fluid, p.cavity_rest_pressure, p.cavity_modulus)
    return mix(a.core * a.cavity, inside, tissue)


@law
def exchange(x, a, b, p, l):
    """Volumes, and the coefficients with which fluid and solutes move in this shell."""
    dry = solids(x, l)
    volume = dry + x.fluid
    holds = mix(a.core, p.tumour_fluid_ratio, p.normal_fluid_ratio)
    reference = holds + (p.dead_fluid_ratio - holds) * x.dead / dry  # dead tissue is lax: it holds fluid unpressed
    strain = (x.fluid / dry - reference) / (1.0 + reference)
    leak = leak_state(x)
    cells = x.viable + x.loss
    leaky = a.core * mix(a.cavity, hill(cells, p.cavity_tumour_cells), 1.0)  # a cavity's wall is normal at first
    sigma = endothelium.reflection(mix(leaky, p.tumour_reflection, p.normal_reflection), p.leak_reflection_drop, leak)
    surface = 2.0 * PI * p.vessel_radius * x.vessels
    open_share = smallest(x.perfusion, 1.0)
    conductivity = mix(a.core * (1.0 - a.cavity), p.tumour_vessel_conductivity, p.normal_vessel_conductivity)
    filtration = conductivity * surface * open_share * endothelium.fold(p.leak_conductivity_fold, leak)
    tissue_protein = x.protein / x.fluid
    stop = fluid.filtration_pressure(
        p.vessel_pressure * b.filling, sigma, b.oncotic, fluid.oncotic_interstitial(tissue_protein)
    )
    filled = x.fluid / (dry * reference)
    pressure = tissue_pressure(x, a, strain, filled, p)
    modulus = mix(a.core, p.tumour_modulus, p.normal_modulus)
    creep = modulus * (1.0 - p.relaxed_share) * (strain - x.strain_ref) / p.creep_time * (1.0 - a.core * a.cavity)
    tangent = fluid.stiffness(modulus, strain, p.strain_cap) / (dry * (1.0 + reference))
    tangent = tangent + fluid.drying_stiffness(modulus, p.strain_cap, filled) / (dry * reference)
    tangent = mix(a.core * a.cavity, fluid.cavity_stiffness(x.fluid, p.cavity_rest_fluid, p.cavity_modulus), tangent)
    in_rim = 1.0 - a.core
    open_lymph = 1.0 - p.cavity_obstruction * hill(cells, p.cavity_tumour_cells)
    lymph_normal = p.lymph_conductance * volume * in_rim
    lymph_normal = lymph_normal + p.cavity_lymph * open_lymph * p.cavity_area * a.core * a.cavity
    lymph = fluid.lymph_conductance(
        lymph_normal, pressure - p.lymph_pressure, p.lymph_most, p.normal_rest_pressure - p.lymph_pressure
    )
    permeable = surface * open_share * endothelium.fold(p.leak_permeability_fold, leak)
    protein_ps = permeable * mix(leaky, p.protein_permeability, p.protein_permeability_normal)
    flow = p.flow_normal * x.vessels / p.vessel_density * x.perfusion
    return Exchange(
        volume, strain, leak, filtration, stop, tangent, lymph, p.lymph_pressure, protein_ps, permeable, flow, sigma,
        pressure, creep,
    )


@law
def supply(x, a, e, b, p, l):
    """Oxygen and glucose of a shell: hypoxic share, capillary pO2, pO2 of viable cells, glucose level."""
    cells = x.viable + x.loss
    consumers = (cells * l.cell_volume + p.rim_consumption * x.host * (1.0 - a.core)) / (
        e.volume * p.reference_cell_share
    )
    consumption = l.oxygen_consumption * consumers
    density = x.vessels / e.volume
    rate = p.flow_normal * density / p.vessel_density * x.perfusion
    extracted = oxygen.extraction(
        consumption * p.oxygen_solubility, rate * p.arterial_oxygen * b.haematocrit_ratio, p.extraction_most
    )
    capillary = oxygen.capillary(
        extracted, p.arterial_saturation, p.capillary_weight, p.oxygen_half, p.oxygen_hill
    )
    supply_radius = 1.0 / sqrt(PI * (density * smallest(largest(x.perfusion, 0.005), 1.0) + 0.05))
    supply_radius = largest(supply_radius, 1.5 * p.vessel_radius)
    reached = oxygen.reach(capillary - p.hypoxia_threshold, consumption, p.oxygen_diffusion, p.vessel_radius)
    outside = oxygen.avascular(a.radius, p.avascular_radius)
    in_tissue = oxygen.hypoxic(reached, supply_radius, p.supply_spread) * (1.0 - outside)
    supported = p.cavity_supported_cells * x.vessels / a.vessel_target * x.perfusion + 1.0
    floating = a.cavity * a.core
    hypoxic = mix(floating, oxygen.cavity_hypoxic(cells, supported), in_tissue)
    edge = oxygen.krogh_drop(consumption, p.oxygen_diffusion, smallest(supply_radius, reached), p.vessel_radius)
    in_cords = oxygen.mean_supplied(capillary, edge, hypoxic, p.hypoxia_threshold)
    po2 = mix(floating, oxygen.cavity_po2(capillary, cells, supported), in_cords)
    uptake = p.glucose_uptake * cells / e.volume
    tissue_glucose = starvation.glucose(p.blood_glucose, rate, uptake)
    free = smallest(p.blood_glucose, p.blood_glucose * supported / (cells + 1.0))
    level = mix(floating, free, mix(outside, p.blood_glucose, tissue_glucose))
    return hypoxic, capillary, po2, level


@law
def t_cells_at_work(x, a, e, p):
    """Armed specific T cells per mm³ that are not suppressed."""
    quiet = killing.suppression(x.treg, a.t_all, p.treg_weight * p.switch_regulatory, a.g_treg)
    return a.t_specific * x.armed * quiet / e.volume


@law
def interferon_makers(x, a, e, p):
    """T cells of a shell that are on their antigen, and make interferon gamma: as many as kill. All cells are scanned."""
    targets = (x.viable + x.loss) / e.volume
    return killing.per_target(t_cells_at_work(x, a, e, p), targets, 1.0, p.kill_half) * x.viable


@law
def death_rates(x, a, e, p, l, hypoxic, glucose):
    """Death rates per cell in 1/h: starved, by T cells, LAK, macrophages, spontaneous."""
    tissue = (x.viable + x.loss) * l.cell_volume + 1e-12
    dead = x.dead / p.dead_solid_share * (1.0 - a.cavity)
    exposed = starvation.newly_exposed(hypoxic, dead / (dead + tissue))
    starved = p.switch_starvation * starvation.death_rate(
        exposed, p.anoxic_death_rate, glucose, p.glucose_half, p.glucose_boost
    )
    targets = (x.viable + x.loss) / e.volume
    armed = t_cells_at_work(x, a, e, p)
    by_t = p.switch_t_killing * killing.per_target(armed, targets, p.ctl_kill_rate, p.kill_half)
    lak = x.nk * x.lak_level / e.volume
    by_lak = p.switch_lak_killing * killing.per_target(lak, targets, p.lak_kill_rate, p.kill_half)
    by_macrophage = p.switch_macrophages * killing.per_target(
        x.macrophages / e.volume * a.interferon, targets, p.macrophage_kill_rate, p.kill_half
    )
    return starved, by_t, by_lak, by_macrophage, l.spontaneous_death


@law
def advance_vessels(x, a, e, b, p, drive_t, middle, above, dt):
    """Endothelial arms, flow and vessels after `dt`.

    `middle` is the volume half a step on (keeps the step second order), `above` by how much tissue pressure exceeds what vessels
    have adapted to.
    """
    e1 = endothelium.arm(x.e_direct, a.g_direct * p.switch_leak_direct, p.direct_on, p.direct_off, dt)
    e2 = endothelium.arm(x.e_thrombotic, a.g_thrombotic * p.switch_leak_thrombotic, p.thrombotic_on,
                         p.thrombotic_off, dt)
    lak = x.nk * x.lak_level / e.volume
    g3 = endothelium.lymphocyte_drive(lak, drive_t, p.lymphocyte_half, p.lymphocyte_t_weight)
    e3 = endothelium.arm(x.e_lymphocyte, g3 * p.switch_leak_lymphocyte, p.lymphocyte_on, p.lymphocyte_off, dt)
    transmural = p.collapse_reference - above
    target = (
        perfusion.autoregulation(b.pressure, p.autoregulation_full, p.autoregulation_least)
        * perfusion.viscosity(b.haematocrit_ratio)
        * perfusion.collapse(transmural, p.collapse_reference, p.collapse_half)
        * perfusion.plugging(e1, e2, e3, p.plugging_share)
    )
    target = perfusion.in_series(target, a.upstream, p.switch_rim_supply * p.feeding_share * a.core * (1.0 - a.cavity))
    # more flow, more filtration, more pressure, less flow: within `dt` this loop closes many times
    rises = e.filtration * (e.filtration_pressure - e.pressure) * dt / (
        1.0 / e.stiffness + dt * (e.filtration + e.lymph)) / largest(x.perfusion, 0.05) * hill(1.0, x.perfusion)
    loop = target * perfusion.collapse_slope(transmural, p.collapse_half) * largest(rises, 0.0)
    flow = relax(x.perfusion, (target + loop * x.perfusion) / p.perfusion_lag, (1.0 + loop) / p.perfusion_lag, dt)
    lost = perfusion.loss_rate(flow, p.vessel_loss_flow, p.vessel_loss_rate)
    lost = lost + p.vessel_destruction_rate * a.interferon
    wanted = mix(a.core, p.vessel_density, p.rim_vessel_density) * middle
    wanted = mix(a.core * a.cavity, a.vessel_target, wanted)
    regrowth = p.angiogenesis * interferon.held(a.interferon, p.angiostasis)
    vessels = relax(x.vessels, regrowth * wanted, regrowth + lost, dt)
    gone = relax(x.vessels_lost, lost * x.vessels, p.dead_clearance, dt)
    return e1, e2, e3, flow, vessels, gone


@law
def blood_met(x, u, o, p, dt):
    """What of the blood the lesions meet over `dt`: IL-2, and NK cells per mm³, those that enter meanwhile included."""
    made, _ = traffic.natural_killers(p.nk_turnover, p.nk_marrow, p.nk_survival, u.occupied_high)
    entering = made * p.nk_blood * p.blood_volume + p.nk_division * u.occupied * x.nk + u.nk_back
    return Blood(u.il2_plasma, traffic.met(o.blood_volume, p.nk_homing * u.homing * dt, x.nk, entering * dt) / o.blood_volume)


@law
def advance_immune(x, a, e, b, p, u, dt):
    """NK and regulatory T cells, their arming and that of T cells, macrophages; `u` as from `blood_met`."""
    adhesion = endothelium.leak(x.e_direct, x.e_thrombotic, 1.0 - (1.0 - x.e_lymphocyte) * (1.0 - a.interferon))
    free = traffic.margination(u.il2_plasma, p.margination_half, p.margination_most)
    outside = oxygen.avascular(a.radius, p.avascular_radius) * a.core * (1.0 - a.cavity)
    around = traffic.host_flow(outside, p.flow_normal * p.rim_vessel_density / p.vessel_density, p.avascular_radius)
    cleared = traffic.homing(e.flow + around * e.volume / a.lesion_volume, p.homing_extraction, adhesion,
                             p.homing_boost) * free
    nk_in = p.nk_homing * cleared * u.nk
    nk_division = p.nk_division * a.g_effector
    nk = relax(x.nk, nk_in, p.nk_exit + p.switch_cytotoxic * a.toxic_lymphocyte, dt) * gain(nk_division * dt)
    nk = nk * decay(nk_division * nk / (p.nk_most * e.volume + 1.0) * dt)
    lak_level = killing.competence(x.lak_level, a.g_lak, p.lak_on, p.lak_off, 1.0, dt)
    tired = killing.tiring(x.viable / e.volume, a.t_all / e.volume, p.kill_half, p.switch_exhaustion * p.exhaustion_most)
    armed = killing.competence(x.armed, a.g_armed, p.armed_on, p.armed_off, tired, dt)
    treg = relax(x.treg, p.treg_density * e.volume * p.treg_turnover * (1.0 + p.treg_expansion * a.g_treg),
                 p.treg_turnover + p.switch_cytotoxic * a.toxic_regulatory, dt)
    macrophages = relax(x.macrophages, p.macrophage_density * e.volume * p.macrophage_turnover,
                        p.macrophage_turnover, dt)
    return nk, lak_level, armed, treg, macrophages, nk_in - p.nk_return * p.nk_exit * x.nk, cleared


@law
def advance_tissue(x, a, e, b, p, l, u, dt):
    """One step of tissue biology in one shell: the new state, and what happened."""
    drive_t = a.t_all * x.armed / e.volume
    hypoxic, capillary, po2, glucose = supply(x, a, e, b, p, l)
    starved, by_t, by_lak, by_m, spont = death_rates(x, a, e, p, l, hypoxic, glucose)
    supplied = starvation.growth_factor(hypoxic, glucose, p.glucose_half)
    grow = gain(l.birth_rate * supplied * interferon.held(a.interferon, p.growth_arrest) * dt)
    partner = p.switch_radiation * radiation.death_rate(x.damage, p.radiation_death_time, dt)
    partner = partner + p.switch_cytotoxic * a.toxic_tumour
    d_viable = starved + by_t + by_lak + by_m + spont + partner
    beside = p.switch_bystander * p.bystander_share * by_m  # macrophages do not ask for antigen, T cells that activate them do
    d_loss = starved + by_lak + spont + beside + partner
    born = (x.viable + x.loss) * (grow - 1.0)
    dead_viable = x.viable * grow * (1.0 - decay(d_viable * dt))
    dead_loss = x.loss * grow * (1.0 - decay(d_loss * dt))
    viable, loss = x.viable * grow - dead_viable, x.loss * grow - dead_loss
    v, w = dead_viable / (d_viable + 1e-30), dead_loss / (d_loss + 1e-30)
    died_starved, died_lak, died_spont = (v + w) * starved, (v + w) * by_lak, (v + w) * spont
    died_t, died_m, died_partner = v * by_t, v * by_m + w * beside, (v + w) * partner
    remains = (dead_viable + dead_loss) * l.cell_volume
    holds = 1.0 + mix(a.core, p.tumour_fluid_ratio, p.normal_fluid_ratio)
    middle = e.volume + 0.5 * born * l.cell_volume * (1.0 + p.stroma_share) * holds
    reference = relax(x.strain_ref, e.strain / p.creep_time, 1.0 / p.creep_time, dt)
    adapted = relax(x.pressure_ref, e.pressure / p.vessel_adaptation, 1.0 / p.vessel_adaptation, dt)
    e1, e2, e3, flow, vessels, gone = advance_vessels(x, a, e, b, p, drive_t, middle, e.pressure - adapted, dt)
    dead = relax(x.dead, p.dead_solid_share * remains / dt, p.dead_clearance, dt)
    released = (1.0 - p.dead_solid_share) * remains
    stroma = p.stroma_share * ((viable + loss) * l.cell_volume + p.smallest_stroma * e.volume / a.lesion_volume)
    host = relax(x.host, p.stroma_turnover * (a.core * stroma + a.host_target), p.stroma_turnover, dt)
    bled = p.switch_bleeding * bleeding.extravasation(
        e.leak, x.e_thrombotic, PI * p.vessel_radius * p.vessel_radius * x.vessels, p.bleeding_rate
    )
    erythrocytes = relax(x.erythrocytes, bled, p.erythrocyte_clearance, dt)
    nk, lak_level, armed, treg, macrophages, nk_in, cleared = advance_immune(x, a, e, b, p, u, dt)
    antigen_in = died_starved + died_t + died_lak + died_m + died_spont + died_partner
    danger_in = died_starved + p.danger_killed * (died_t + died_lak + died_m) + p.danger_spontaneous * died_spont
    danger_in = danger_in + p.danger_treatment * died_partner
    new = Tissue(
        viable, loss, dead, x.fluid + released, x.protein, host, vessels, gone, flow, e1, e2, e3, erythrocytes, nk,
        lak_level, armed, treg, macrophages, reference, adapted, x.damage * decay(dt / p.radiation_death_time),
    )
    return new, Outputs(
        hypoxic, capillary, po2, born, died_starved, died_t, died_lak, died_m, died_spont, nk_in, antigen_in, danger_in,
        cleared, died_partner,
    ), released


@law
def read_body(x, p):
    """Pressure, resistance, output and the rest that follows from the body's state at once."""
    leak = 1.0 - (1.0 - x.e_direct) * (1.0 - x.e_lymphocyte)
    full = (x.plasma_volume + p.erythrocyte_volume) / p.blood_volume
    svr = circulation.resistance(x.resistance_drop, x.pressor, p.pressor_gain, full, p.volume_reflex)
    out = circulation.output(full, svr, p.output_reflex)
    ratio = out * svr
    protein = x.protein_plasma / x.plasma_volume
    blood = x.plasma_volume + p.erythrocyte_volume
    haematocrit = p.erythrocyte_volume / blood * (p.plasma_volume + p.erythrocyte_volume) / p.erythrocyte_volume
    retained = (x.plasma_volume - p.plasma_volume + x.interstitial_volume - p.interstitial_volume) * 1e-6
    return BodyOutputs(
        p.arterial_pressure * ratio, svr, out, fever.temperature(p.temperature, x.mediator, p.fever_rise),
        p.weight + retained, 1.0 + p.organ_leak_gain * leak, fluid.oncotic_plasma(protein), haematocrit, leak, ratio,
        blood, protein, full * full,
    )


@law
def plasma_answer(x, o, p):
    """How far the pressure that filters into tissue falls per plasma lost, mmHg/mm³: less filling, higher oncotic pressure."""
    full = o.blood_volume / p.blood_volume
    return 2.0 * p.vessel_pressure * full / p.blood_volume + fluid.oncotic_slope(o.protein) * o.protein / x.plasma_volume


@law
def across_walls(x, o, p):
    """Fluid that leaves the capillaries of the body in mm³/h, its rise per mmHg, and the share of protein they hold back."""
    vp, vi = x.plasma_volume / p.plasma_volume, x.interstitial_volume / p.interstitial_volume
    sigma = endothelium.reflection(p.systemic_reflection, p.systemic_reflection_drop, o.systemic_leak)
    pull = circulation.capillary_pressure(p.systemic_capillary_pressure, vp) - circulation.interstitial_pressure(
        vi, p.systemic_interstitial_pressure
    ) - sigma * (o.oncotic - fluid.oncotic_interstitial(x.protein_interstitial / x.interstitial_volume))
    coefficient = p.filtration_coefficient * endothelium.fold(p.systemic_conductivity_fold, o.systemic_leak)
    return coefficient * pull, coefficient, sigma


@law
def protein_leaving(x, o, p, filtered, sigma):
    """Share of the plasma's protein that leaves it per h, by diffusion and with fluid, whatever comes back."""
    ps = p.protein_escape * endothelium.fold(p.systemic_protein_fold, o.systemic_leak)
    return (ps + largest(filtered, 0.0) * (1.0 - sigma)) / x.plasma_volume


@law
def advance_water(x, u, o, p, dt):
    """Plasma and interstitial volume after `dt`, with lymph and leak in balance at rest.

    Linearly implicit in both volumes at once: every flow answers to the change that all of them make together.
    """
    vp, vi = x.plasma_volume / p.plasma_volume, x.interstitial_volume / p.interstitial_volume
    cp = x.protein_plasma / x.plasma_volume
    filtered, coefficient, sigma = across_walls(x, o, p)
    lymph = circulation.lymph_flow(p.lymph_flow, vi, p.lymph_most)
    by_plasma = coefficient * circulation.plasma_slope(p.systemic_capillary_pressure, sigma, cp, p.plasma_volume, x.plasma_volume)
    by_tissue = (coefficient * circulation.TISSUE_SLOPE + circulation.LYMPH_SLOPE * p.lymph_flow * p.lymph_most) / (
        p.interstitial_volume
    )
    lost = circulation.water_loss(
        p.intake, o.map_ratio, vp, 1.0 - x.resistance_drop, p.sodium_retention, p.insensible_share, p.loss_rise * x.mediator
    )
    fluids = p.switch_support * p.supportive_care * p.fluids_most * circulation.demand(
        o.pressure, p.fluids_target * p.arterial_pressure, circulation.DEMAND_WIDTH
    )
    gained = fluids + circulation.thirst(p.intake, vp, p.thirst_gain) - lost
    by_gain = (5.0 * lost + p.thirst_gain * p.intake) / x.plasma_volume
    by_gain = by_gain + p.switch_support * p.supportive_care * p.fluids_most * 2.0 * o.pressure / (
        circulation.DEMAND_WIDTH * o.blood_volume
    )
    a = 1.0 + dt * (by_gain + u.plasma_answer + by_plasma)
    b, c, d = dt * by_tissue, dt * by_plasma, 1.0 + dt * by_tissue
    first, second = dt * (gained - u.fluid_taken - filtered + lymph), dt * (filtered - lymph)
    below = a * d - b * c
    plasma = largest(x.plasma_volume + (first * d + b * second) / below, 0.35 * p.plasma_volume)
    interstitial = largest(x.interstitial_volume + (a * second + c * first) / below, 0.3 * p.interstitial_volume)
    return Water(plasma, interstitial, filtered, lymph, fluids, sigma)


@law
def advance_protein(x, u, o, p, water, dt):
    """Protein in plasma and interstitium after `dt`, linearly implicit in both; `water` as from `advance_water`."""
    ps = p.protein_escape * endothelium.fold(p.systemic_protein_fold, o.systemic_leak)
    out = protein_leaving(x, o, p, water.filtered, water.reflection)
    back = (ps + water.lymph) / x.interstitial_volume
    across = out * x.protein_plasma - back * x.protein_interstitial
    made = p.protein_synthesis * (1.0 - p.synthesis_fall * x.mediator)
    a = 1.0 + dt * (p.protein_loss + out + u.protein_answer)
    b, c, d = dt * back, dt * out, 1.0 + dt * back
    first, second = dt * (made - p.protein_loss * x.protein_plasma - across - u.protein_taken), dt * across
    below = a * d - b * c
    plasma = x.protein_plasma + (first * d + b * second) / below
    interstitial = x.protein_interstitial + (a * second + c * first) / below
    return largest(plasma, 0.1 * x.protein_plasma), largest(interstitial, 0.1 * x.protein_interstitial)


@law
def advance_body(x, u, o, p, dt):
    """One step of circulation, leak, fever and blood lymphocytes; `u` what the host is told, `o` from `read_body`.

    Returns the new state and by how much plasma volume and plasma protein changed.
    """
    on = p.switch_systemic_leak
    e_direct = endothelium.arm(x.e_direct, on * p.switch_leak_direct * u.g_direct, p.direct_on, p.direct_off, dt)
    nk_ratio = x.nk / (p.nk_blood * p.blood_volume)
    help_ = p.switch_t_help * x.mediator
    drive = circulation.systemic_drive(nk_ratio, u.occupied, help_, p.systemic_leak_half)
    e_lymphocyte = endothelium.arm(x.e_lymphocyte, on * p.switch_leak_lymphocyte * drive, p.lymphocyte_on,
                                   p.lymphocyte_off, dt)
    drop = relax(x.resistance_drop, p.resistance_drop_most * p.switch_vasodilation * hill(u.il2_plasma, p.resistance_half)
                 / p.resistance_time, 1.0 / p.resistance_time, dt)
    mediator = relax(x.mediator, fever.mediator_source(u.il2_plasma, p.fever_half, p.fever_lag), 1.0 / p.fever_lag, dt)
    move = advance_water(x, u, o, p, dt)
    protein_p, protein_i = advance_protein(x, u, o, p, move, dt)
    need = p.switch_support * p.supportive_care
    wanted = circulation.demand(o.pressure, p.pressor_target * p.arterial_pressure, circulation.DEMAND_WIDTH)
    pressor = relax(x.pressor, need * wanted / 2.0, 0.5, dt)
    # lymphocytes of the blood
    division = p.nk_division * u.occupied
    toxic = p.switch_cytotoxic * u.toxic_lymphocyte
    made, lost = traffic.natural_killers(p.nk_turnover, p.nk_marrow, p.nk_survival, u.occupied_high)
    nk = relax(x.nk, made * p.nk_blood * p.blood_volume, lost + toxic, dt) * gain(division * dt)
    nk = nk * decay(division * nk / (p.nk_blood_most * p.nk_blood * p.blood_volume) * dt)
    nk = largest(nk - u.nk_taken, 0.001 * nk)
    # they multiply in lymphoid tissue under IL-2 and are seen in the blood once it is gone
    lymphocytes = relax(x.lymphocytes, (1.0 + p.rebound * u.occupied) / p.rebound_time, 1.0 / p.rebound_time + toxic, dt)
    treg = relax(x.treg, (1.0 + p.treg_expansion * u.occupied_treg) * p.treg_turnover,
                 p.treg_turnover + p.switch_cytotoxic * u.toxic_regulatory, dt)
    # armed without IL-2: memory, and a share of what licensed dendritic cells prime
    helpless = (1.0 - u.recalled / (u.activated + 1e-6)) * (1.0 - p.helped_share * u.helped / u.carried)
    driven = 1.0 - (1.0 - u.g_armed) * helpless
    armed = killing.competence(x.armed, driven, p.armed_on, p.armed_off, 1.0, dt)
    flood = relax(x.organ_water, o.organ_leak / p.organ_water_time, 1.0 / p.organ_water_time, dt)
    risk = x.hazard + dt * hazard.toxic(o.map_ratio, p.shock_ratio, flood, p.organ_water_limit, p.death_rate)
    return Body(
        move.plasma, move.interstitial, protein_p, protein_i, e_direct, e_lymphocyte, drop, mediator, nk, lymphocytes, treg,
        pressor, x.fluids_given + dt * move.fluids, risk, flood, armed,
    ), move.plasma - x.plasma_volume, protein_p - x.protein_plasma
