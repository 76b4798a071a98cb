"""The step of an agent that matrix binds or that a depot releases: `shells.step_solute` with room for what is held.

The state is the whole mobile amount (free and bound) beside the depot; free concentrations follow from it. As the amount
is what is stepped, nothing is made or lost by binding, and the modified Patankar-Runge-Kutta step keeps its order: its
weights are the free concentrations before and after.
"""

from __future__ import annotations

import numpy as np

from locokine._jit import loop
from locokine.biology import binding
from locokine.tissue.layout import SHELL, SOL, A, S, T, W, load_agent, load_host
from locokine.tissue.shells import solve_solute

ZERO = np.uint64(0)
ONE = np.uint64(1)


@loop
def set_sites(w, solute, first, n, agent):
    """Sites of the matrix for one agent (fmol per shell), from the solids of host tissue; none in the fluid of a cavity."""
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            d = load_agent(agent, ZERO, s)
            core = w[o + T.core + s]
            density = core * d.matrix_sites + (1.0 - core) * d.matrix_sites_normal
            solute[q + S.sites + s] = density * w[o + T.host + s] * (1.0 - core * w[o + T.cavity + s])


@loop
def void_pass(w, solute, first, n, host):
    """Add what is emptied with the fluid of a cavity (a bladder) to the loss of an agent."""
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            floating = w[o + T.core + s] * w[o + T.cavity + s]
            solute[q + S.sink + s] += load_host(host, ZERO, s).cavity_voiding * floating * w[o + T.fluid + s]


@loop
def release(w, solute, first, n, agent, dt):
    """Let depots go for `dt`: what is released joins the mobile amount; free concentrations follow."""
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            d = load_agent(agent, ZERO, s)
            gone = binding.released(solute[q + S.depot + s], d.release_rate, dt)
            solute[q + S.depot + s] -= gone
            solute[q + S.amount + s] += gone
            solute[q + S.concentration + s] = binding.free_concentration(
                solute[q + S.amount + s], w[o + T.fluid + s], solute[q + S.sites + s], d.matrix_kd
            )


@loop
def release_pools(pools, first, agent, dt):
    """The same for the depots under the skin and in a cavity without tumour."""
    for s in range(W):
        d = load_agent(agent, ZERO, s)
        skin = binding.released(pools[first + A.held_subcutis + s], d.release_rate, dt)
        cavity = binding.released(pools[first + A.held_peritoneum + s], d.release_rate, dt)
        pools[first + A.held_subcutis + s] -= skin
        pools[first + A.subcutis + s] += skin
        pools[first + A.held_peritoneum + s] -= cavity
        pools[first + A.peritoneum + s] += cavity


@loop
def open_shells(w, solute, first, n, agent, host, degradation):
    """First stage: room and loss at the free concentrations before the step."""
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            d = load_agent(agent, ZERO, s)
            fluid = w[o + T.fluid + s]
            room = binding.room(solute[q + S.concentration + s], fluid, solute[q + S.sites + s], d.matrix_kd)
            floating = w[o + T.core + s] * w[o + T.cavity + s]
            lost = degradation[s] * (1.0 - floating) + load_host(host, ZERO, s).cavity_voiding * floating
            solute[q + S.weight + s] = 1.0
            solute[q + S.room + s] = room
            solute[q + S.sink + s] = lost * (fluid + d.bound_loss * (room - fluid))


@loop
def weigh_shells(w, solute, first, n, agent, host, degradation):
    """Second stage: room at the free concentrations of the first, weights and loss from those before and after."""
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            d = load_agent(agent, ZERO, s)
            fluid, sites = w[o + T.fluid + s], solute[q + S.sites + s]
            before = solute[q + S.concentration + s]
            there = w[o + T.right + s] * solute[q + S.room + s]
            after = binding.free_concentration(there, fluid, sites, d.matrix_kd)
            room = binding.room(after, fluid, sites, d.matrix_kd)
            floating = w[o + T.core + s] * w[o + T.cavity + s]
            lost = degradation[s] * (1.0 - floating) + load_host(host, ZERO, s).cavity_voiding * floating
            sink = lost * (fluid + d.bound_loss * (room - fluid))
            ratio = before / (after + 1e-300)
            solute[q + S.weight + s] = 0.5 + 0.5 * ratio
            solute[q + S.sink + s] = (sink + solute[q + S.sink + s] * ratio) / (1.0 + ratio)
            solute[q + S.room + s] = room


@loop
def close_shells(w, solute, first, n, agent, plasma, at_plasma, to_blood, to_lymph, lost, around, dt):
    """Amounts and free concentrations after the step, what left, and the mean concentration that cells have met."""
    for k in range(n):
        o, q = k * SHELL, first + k * SOL
        for s in range(W):
            d = load_agent(agent, ZERO, s)
            fluid, sites = w[o + T.fluid + s], solute[q + S.sites + s]
            mean = solute[q + S.weight + s] * w[o + T.right + s]
            amount = w[o + T.right + s] * solute[q + S.room + s]
            solute[q + S.amount + s] = amount
            solute[q + S.concentration + s] = binding.free_concentration(amount, fluid, sites, d.matrix_kd)
            to_blood[s] += dt * solute[q + S.blood + s] * (mean - plasma[at_plasma + s])
            to_lymph[s] += dt * solute[q + S.drain + s] * mean
            lost[s] += dt * (solute[q + S.sink + s] + solute[q + S.uptake + s]) * mean
            if k + ONE == n:
                out = solute[q + S.face + s] + 0.5 * (w[o + T.face_flow + s] + abs(w[o + T.face_flow + s]))
                around[s] += dt * out * mean
            solute[q + S.mean + s] = mean * (1.0 + d.bound_activity * sites / (d.matrix_kd + mean) / fluid)


@loop
def step_held(w, solute, first, n, agent, host, degradation, plasma, at_plasma, to_blood, to_lymph, lost, around, dt):
    """Advance an agent that is held by `dt`; arguments as for `shells.step_solute`, and the host's parameters.

    `degradation` is in 1/h per subject.

    Half of the release comes before the transport and half after it. Leaves behind the mean concentration that cells have
    met: free, and of what is bound the share that is active there.
    """
    release(w, solute, first, n, agent, 0.5 * dt)
    open_shells(w, solute, first, n, agent, host, degradation)
    solve_solute(w, solute, first, n, plasma, at_plasma, dt)
    weigh_shells(w, solute, first, n, agent, host, degradation)
    solve_solute(w, solute, first, n, plasma, at_plasma, dt)
    close_shells(w, solute, first, n, agent, plasma, at_plasma, to_blood, to_lymph, lost, around, dt)
    release(w, solute, first, n, agent, 0.5 * dt)
