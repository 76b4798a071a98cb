"""Spherical shells: radii, faces, and steps of fluid, protein and solutes through them.

Shells move with the solid tissue (material coordinate): their volumes follow from what is in them, and only fluid and
what it carries crosses a face. A well-mixed lesion is one shell and a rim; a cavity is one shell of fluid and its wall.
Between the mean of a shell and its faces lie the distances to its volume midpoint; in the innermost shell the distance
is r/5, which makes the exchange of a uniformly filtering sphere exact (Baxter & Jain 1989: 15 K/R² per volume).
All solves are implicit tridiagonal systems over shells, for all subjects of a block at once.
"""

from __future__ import annotations

import numpy as np

from locokine._jit import law, loop
from locokine.biology.arithmetic import exp, largest, power, smallest
from locokine.tissue.layout import SHELL, SOL, L, S, T, W

FOUR_PI = 12.566370614359172
ONE = np.uint64(1)


@law
def radius_of(volume: float) -> float:
    """Radius of a sphere, mm, from its volume in mm³."""
    return 0.6203504908994 * power(largest(volume, 1e-5), 1.0 / 3.0)


@law
def rim_share(inside: float, rims: float) -> float:
    """Share of the rim's thickness that `inside` of its `rims` shells take: each twice as thick as the one before it.

    The layer in which pressure falls to that of host tissue, √(K/(Lp S/V + lymph)), is about 0.2 mm.
    """
    return (2.0**inside - 1.0) / (2.0**rims - 1.0)


@loop
def place_shells(w, lesion, n, cores, thickness):
    """Radii, face areas and half distances of every shell from its volume; radius and volume of the lesion.

    `w` tissue workspace, `lesion` lesion totals, `n` shells of which `cores` belong to the tumour; `thickness` (mm per
    subject) of the rim sets the host tissue a rim shell should hold, written to `host_target`.
    """
    for s in range(W):
        w[T.inner_half + s] = 0.0
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            inner = 0.0
            below = 0.0
            if k > 0:
                inner = w[o - SHELL + T.outer_radius + s]
                below = inner * inner * inner / 0.238732414637843
            volume = w[o + T.volume + s]
            outer = radius_of(below + volume)
            middle = radius_of(below + 0.5 * volume)
            if k == 0:
                middle = 0.8 * outer
            w[o + T.outer_radius + s] = outer
            w[o + T.inner_half + s] = middle - inner
            w[o + T.outer_half + s] = largest(outer - middle, 1e-6)
            w[o + T.face_area + s] = FOUR_PI * outer * outer
    edge = (cores - ONE) * SHELL
    rims = n - cores
    for s in range(W):
        radius = w[edge + T.outer_radius + s]
        lesion[L.radius + s] = radius
        lesion[L.volume + s] = radius * radius * radius / 0.238732414637843
        lesion[L.diameter + s] = 2.0 * radius
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            radius = w[edge + T.outer_radius + s]
            w[o + T.radius + s] = radius
            w[o + T.lesion_volume + s] = radius * radius * radius / 0.238732414637843
            w[o + T.host_target + s] = 0.0
            if k >= cores:
                inner = radius + thickness[s] * rim_share(k - cores, rims)
                outer = radius + thickness[s] * rim_share(k - cores + ONE, rims)
                w[o + T.host_target + s] = (outer * outer * outer - inner * inner * inner) / 0.238732414637843


@loop
def face_conductance(w, n, cores, conductivity_core, conductivity_rim, target, outside):
    """Conductance of every face for a flux with the given conductivities, written to field `target` of the shells.

    `outside` > 0 gives the last face the steady resistance of unbounded tissue beyond it, 1/(4πrK); 0 closes it.
    """
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            here = conductivity_core[s]
            beyond = conductivity_core[s]
            if k >= cores:
                here = conductivity_rim[s]
            if k + ONE >= cores:
                beyond = conductivity_rim[s]
            half = w[o + T.outer_radius + s]
            if k + ONE < n:
                half = w[o + SHELL + T.inner_half + s]
            g = w[o + T.face_area + s] / (w[o + T.outer_half + s] / here + half / beyond)
            if k + ONE == n:
                g = g * outside
            w[o + target + s] = g


@loop
def step_fluid(w, lesion, n, outer_pressure, short, late, dt):
    """Advance interstitial fluid by `dt` (implicit in pressure); leaves face flows and filtered volumes behind.

    `drift` (1/h) is how fast the fluid becomes too much for the solids that hold it, as cells die or grow, `creep` (mmHg/h) how
    fast the tissue gives way: the pressure at the end of the step knows of both, or fluid would lag behind growth by a step.
    Biology goes by the pressure before if `late` is 0, by this one if it is 1.
    Where a shell would run dry, its flows are limited (`limit_flows`).
    """
    for k in range(n):  # forward elimination for the new pressure
        o = k * SHELL
        for s in range(W):
            t = 1.0 / w[o + T.stiffness + s]
            out = w[o + T.face_hydraulic + s]
            inward = 0.0
            if k > 0:
                inward = w[o - SHELL + T.face_hydraulic + s]
            lf, ly = w[o + T.filtration + s], w[o + T.lymph + s]
            d = t + dt * (out + inward + lf + ly)
            r = t * (w[o + T.pressure + s] - dt * w[o + T.creep + s]) + dt * (
                lf * w[o + T.filtration_pressure + s] + ly * w[o + T.lymph_pressure + s]
                + w[o + T.drift + s] * w[o + T.fluid + s]
            )
            if k > 0:
                m = dt * inward / w[o - SHELL + T.diagonal + s]
                d = d - m * dt * inward
                r = r + m * w[o - SHELL + T.right + s]
            if k + ONE == n:
                r = r + dt * out * outer_pressure[s]
            w[o + T.diagonal + s] = d
            w[o + T.right + s] = r
    for j in range(n):  # back substitution; `right` becomes the new pressure
        o = (n - ONE - j) * SHELL
        for s in range(W):
            r = w[o + T.right + s]
            if j > 0:
                r = r + dt * w[o + T.face_hydraulic + s] * w[o + SHELL + T.right + s]
            w[o + T.right + s] = r / w[o + T.diagonal + s]
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            p = w[o + T.right + s]
            outer = outer_pressure[s]
            if k + ONE < n:
                outer = w[o + SHELL + T.right + s]
            w[o + T.pressure + s] += late * (p - w[o + T.pressure + s])
            w[o + T.face_flow + s] = w[o + T.face_hydraulic + s] * (p - outer)
            w[o + T.filtered + s] = w[o + T.filtration + s] * (w[o + T.filtration_pressure + s] - p)
            w[o + T.drained + s] = largest(w[o + T.lymph + s] * (p - w[o + T.lymph_pressure + s]), 0.0)
    limit_flows(w, n, dt, short)
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            inward = 0.0
            if k > 0:
                inward = w[o - SHELL + T.face_flow + s]
            w[o + T.fluid + s] += dt * (
                inward - w[o + T.face_flow + s] + w[o + T.filtered + s] - w[o + T.drained + s]
            )
            lesion[L.fluid_filtered + s] += dt * w[o + T.filtered + s]
            lesion[L.fluid_drained + s] += dt * w[o + T.drained + s]
    last = (n - ONE) * SHELL
    for s in range(W):
        lesion[L.fluid_left + s] += dt * w[last + T.face_flow + s]


SWEEPS = 6
"""Times that flows are scaled for shells that would run dry; the last time without counting on what flows in."""


@loop
def limit_flows(w, n, dt, short):
    """Scale the flows out of each shell that would run dry so that it keeps a fifth of its fluid; others stay as they are.

    What a shell gets it may give on, or a wet tumour would be jammed by one dry shell. Where that does not end, because
    shells lose their supply in turn, the last sweep lets none of the subject's shells give more than it has.
    `short` (scratch) counts the shells that are short.
    """
    for sweep in range(SWEEPS):
        last = 1.0 * (sweep + 1 == SWEEPS)
        for s in range(W):
            short[s] = 0.0
        for k in range(n):
            o = k * SHELL
            for s in range(W):
                inward = 0.0
                if k > 0:
                    inward = w[o - SHELL + T.face_flow + s]
                change = inward - w[o + T.face_flow + s] + w[o + T.filtered + s] - w[o + T.drained + s]
                fluid = w[o + T.fluid + s]
                dry = 1.0 * (fluid + dt * change < 0.1 * fluid)
                w[o + T.diagonal + s] = dry
                short[s] += dry
        if short.sum() == 0.0:
            return
        for k in range(n):
            o = k * SHELL
            for s in range(W):
                inward = 0.0
                if k > 0:
                    inward = w[o - SHELL + T.right + s]
                flow, filtered, fluid = w[o + T.face_flow + s], w[o + T.filtered + s], w[o + T.fluid + s]
                w[o + T.right + s] = flow
                gets = largest(inward, 0.0) + largest(-flow, 0.0) + largest(filtered, 0.0)
                gives = largest(-inward, 0.0) + largest(flow, 0.0) + largest(-filtered, 0.0) + w[o + T.drained + s]
                share = smallest((0.8 * fluid / dt + (1.0 - last) * gets) / (gives + 1e-30), 1.0)
                here = w[o + T.diagonal + s] * (1.0 - last) + last * (short[s] > 0.0)
                w[o + T.diagonal + s] = 1.0 - here * (1.0 - share)
        for k in range(n):
            o = k * SHELL
            for s in range(W):
                giver = w[o + T.diagonal + s]
                taker = giver
                if k + ONE < n:
                    taker = w[o + SHELL + T.diagonal + s]
                flow, filtered = w[o + T.face_flow + s], w[o + T.filtered + s]
                w[o + T.face_flow + s] = giver * largest(flow, 0.0) - taker * largest(-flow, 0.0)
                w[o + T.filtered + s] = largest(filtered, 0.0) - giver * largest(-filtered, 0.0)
                w[o + T.drained + s] *= giver


@loop
def step_protein(w, lesion, n, plasma, outside, dt):
    """Advance interstitial protein: carried by the fluid, filtered and exchanged with plasma, drained by lymph."""
    for k in range(n):
        o = k * SHELL
        for s in range(W):
            flow = w[o + T.face_flow + s]
            inward = 0.0
            if k > 0:
                inward = w[o - SHELL + T.face_flow + s]
            sieved = 1.0 - w[o + T.reflection + s]
            into = largest(w[o + T.filtered + s], 0.0) * sieved
            back = largest(-w[o + T.filtered + s], 0.0) * sieved
            ps = w[o + T.protein_ps + s]
            d = w[o + T.fluid + s] + dt * (
                largest(flow, 0.0) + largest(-inward, 0.0) + ps + back + w[o + T.drained + s]
            )
            r = w[o + T.protein + s] + dt * (ps + into) * plasma[s]
            if k + ONE == n:
                r = r + dt * largest(-flow, 0.0) * outside[s]
            if k > 0:
                m = dt * largest(inward, 0.0) / w[o - SHELL + T.diagonal + s]
                d = d - m * dt * largest(-inward, 0.0)
                r = r + m * w[o - SHELL + T.right + s]
            w[o + T.diagonal + s] = d
            w[o + T.right + s] = r
    for j in range(n):
        o = (n - ONE - j) * SHELL
        for s in range(W):
            r = w[o + T.right + s]
            if j > 0:
                r = r + dt * largest(-w[o + T.face_flow + s], 0.0) * w[o + SHELL + T.right + s]
            c = r / w[o + T.diagonal + s]
            w[o + T.right + s] = c
            w[o + T.protein + s] = c * w[o + T.fluid + s]
            sieved = 1.0 - w[o + T.reflection + s]
            into = (w[o + T.protein_ps + s] + largest(w[o + T.filtered + s], 0.0) * sieved) * plasma[s]
            back = w[o + T.protein_ps + s] + largest(-w[o + T.filtered + s], 0.0) * sieved
            lesion[L.protein_entered + s] += dt * (into - back * c)
            lesion[L.protein_drained + s] += dt * w[o + T.drained + s] * c
            if j == 0:
                flow = w[o + T.face_flow + s]
                lesion[L.protein_left + s] += dt * (largest(flow, 0.0) * c - largest(-flow, 0.0) * outside[s])


@loop
def solve_solute(w, solute, first, n, plasma, at_plasma, dt):
    """Solve for the concentrations (into `right`) at which amounts leave shells with `weight` times the rates given there.

    `room` is the amount per free concentration: the fluid, and more where matrix holds some of it.
    """
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            flow = w[o + T.face_flow + s]
            a = dt * solute[q + S.weight + s]
            d = solute[q + S.room + s] + a * (
                solute[q + S.face + s] + largest(flow, 0.0) + solute[q + S.blood + s] + solute[q + S.drain + s]
                + solute[q + S.sink + s] + solute[q + S.uptake + s]
            )
            r = solute[q + S.amount + s] + dt * (
                solute[q + S.source + s] + solute[q + S.blood + s] * plasma[at_plasma + s]
            )
            if k > 0:
                inward = w[o - SHELL + T.face_flow + s]
                h = solute[q - SOL + S.face + s]
                back = a * (h + largest(-inward, 0.0))
                m = dt * solute[q - SOL + S.weight + s] * (h + largest(inward, 0.0)) / w[o - SHELL + T.diagonal + s]
                d = d + back - m * back
                r = r + m * w[o - SHELL + T.right + s]
            w[o + T.diagonal + s] = d
            w[o + T.right + s] = r
    for j in range(n):
        o, q = (n - ONE - j) * SHELL, first + (n - ONE - j) * SOL
        for s in range(W):
            r = w[o + T.right + s]
            if j > 0:
                into = solute[q + S.face + s] + largest(-w[o + T.face_flow + s], 0.0)
                r = r + dt * solute[q + SOL + S.weight + s] * into * w[o + SHELL + T.right + s]
            w[o + T.right + s] = r / w[o + T.diagonal + s]


@loop
def step_solute(w, solute, first, n, plasma, at_plasma, to_blood, to_lymph, lost, around, dt):
    """Advance one solute by `dt`: diffusion and drift between shells, blood, lymph, loss, uptake, source.

    `solute` holds all agents' shells, this agent's begin at `first`; `plasma` at `at_plasma` its mean plasma concentration.
    Adds what left to `to_blood`, `to_lymph`, `lost` and `around` (amounts per subject; `around` is the tissue beyond the
    rim). A modified Patankar-Runge-Kutta step (Burchard, Deleersnijder & Meister 2003, doi 10.1016/S0168-9274(03)00101-6):
    implicit Euler first, then every rate out of a shell is weighted by the mean of its concentrations before and after,
    over that after. Second order, and as both systems are upwind M-matrices nothing becomes negative and amounts balance
    to rounding. Leaves behind the mean concentration over the step that the flows were reckoned with.
    """
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            solute[q + S.weight + s] = 1.0
            solute[q + S.room + s] = w[o + T.fluid + s]
    solve_solute(w, solute, first, n, plasma, at_plasma, dt)
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            before = solute[q + S.amount + s] / w[o + T.fluid + s]
            solute[q + S.weight + s] = 0.5 + 0.5 * before / (w[o + T.right + s] + 1e-300)
    solve_solute(w, solute, first, n, plasma, at_plasma, dt)
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            c = w[o + T.right + s]
            mean = solute[q + S.weight + s] * c
            solute[q + S.concentration + s] = c
            solute[q + S.mean + s] = mean
            solute[q + S.amount + s] = c * w[o + T.fluid + s]
            to_blood[s] += dt * solute[q + S.blood + s] * (mean - plasma[at_plasma + s])
            to_lymph[s] += dt * solute[q + S.drain + s] * mean
            lost[s] += dt * (solute[q + S.sink + s] + solute[q + S.uptake + s]) * mean
    o, q = (n - ONE) * SHELL, first + (n - ONE) * SOL
    for s in range(W):
        out = solute[q + S.face + s] + largest(w[o + T.face_flow + s], 0.0)
        around[s] += dt * out * solute[q + S.mean + s]


@loop
def set_solute(w, solute, first, n, cores, agent_diffusion, agent_diffusion_rim, permeability, permeability_rim,
               degradation, cavity, wall, outside):
    """Coefficients of one solute from the state of the shells, once per step of biology.

    `wall` (mm³/h per unit diffusivity) replaces the spherical face between a cavity and its wall.
    """
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            core = w[o + T.core + s]
            here = agent_diffusion_rim[s] + core * (agent_diffusion[s] - agent_diffusion_rim[s])
            here = here * w[o + T.fluid + s] / w[o + T.volume + s]
            beyond = here
            half = w[o + T.outer_radius + s]
            if k + ONE < n:
                next_core = w[o + SHELL + T.core + s]
                beyond = agent_diffusion_rim[s] + next_core * (agent_diffusion[s] - agent_diffusion_rim[s])
                beyond = beyond * w[o + SHELL + T.fluid + s] / w[o + SHELL + T.volume + s]
                half = w[o + SHELL + T.inner_half + s]
            g = w[o + T.face_area + s] / (w[o + T.outer_half + s] / here + half / beyond)
            if cavity > 0.0 and k + ONE == cores:
                g = wall[s] * beyond
            if k + ONE == n:
                g = g * outside
            solute[q + S.face + s] = g
            p = permeability_rim[s] + core * (permeability[s] - permeability_rim[s])
            ps = p * w[o + T.surface + s]
            flow = w[o + T.flow + s] + 1e-12
            x = smallest(ps / flow, 25.0)
            solute[q + S.blood + s] = flow * (1.0 - exp(-x))
            solute[q + S.drain + s] = w[o + T.drained + s]
            solute[q + S.sink + s] = degradation[s] * w[o + T.fluid + s] * (1.0 - core * cavity)  # not in free fluid
            solute[q + S.source + s] = 0.0

