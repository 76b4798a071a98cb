"""Second order from a first-order step: Richardson's extrapolation of everything but the solutes.

A step of biology splits laws and freezes coefficients, which is first order. Two half steps make half the error of one
whole step, so 2 x halves - whole is second order, whatever the laws are: a new law needs no thought about order. What
extrapolation could make negative is limited per subject, by one factor for all its stocks and accounts, so that every
balance that the steps keep is kept (a balance is linear in them). Levels between 0 and 1 (leak, arming) enter no
balance and are limited each by itself.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from locokine._jit import loop
from locokine.biology.arithmetic import largest, smallest
from locokine.tissue.layout import BODY, BODY_FIELDS, LESION_FIELDS, TISSUE, TISSUE_FIELDS, W

Rows = NDArray[np.int64]
STOCK, LEVEL, ACCOUNT, FILLING = 1, 2, 3, 4
"""Kinds of rows: a stock stays positive, a level between 0 and 1, an account may be anything, a filling is a stock whose
tissue resists."""
MOST = 0.75
"""Largest share of what the half steps leave of a stock that extrapolation may take away."""
FULL = 0.1
"""The same for a filling, by which extrapolation may also add no more."""
FILLINGS = ("fluid",)
LEVELS = ("e_direct", "e_thrombotic", "e_lymphocyte", "lak_level", "armed", "resistance_drop", "mediator", "pressor")
TOLD = ("t_specific", "t_all", "drift", "t_growth", "armed_rate")
"""What a shell is told by the passes around it and goes on with."""
ACCOUNTS = ("strain_ref", "pressure_ref", *TOLD, "homing", "nk_back", "node_growth", "fluids_given", "hazard")
LESION_STOCKS, FOLLOW = ("antigen", "danger"), ("danger_share", "alarm", "licensed")
"""Of a lesion: what stays positive, and what follows from other rows at every step."""
TISSUE_DRIVES = ("g_direct", "g_thrombotic", "g_armed", "g_lak", "g_effector", "g_t", "g_treg", "toxic_tumour",
                 "toxic_regulatory", "toxic_lymphocyte")
BODY_DRIVES = ("il2_plasma", "il2_node", "g_direct", "occupied", "occupied_treg", "occupied_high", "g_armed",
               "toxic_regulatory", "toxic_lymphocyte")


def kind_of(name: str) -> int:
    """Kind of a row of the tissue's or the body's state."""
    return LEVEL if name in LEVELS else ACCOUNT if name in ACCOUNTS else FILLING if name in FILLINGS else STOCK


def state_rows(parts: dict[str, tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """(row, kind) of everything that is extrapolated; `parts` names the arrays of the state, with first row and rows."""
    tissue = [(TISSUE_FIELDS.index(name), kind_of(name)) for name in (*TISSUE, *TOLD)]
    for first in range(*_span(parts["tissue"]), len(TISSUE_FIELDS)):
        yield from ((first + row, kind) for row, kind in tissue)
    for name in (*BODY, "homing", "nk_back", "node_growth"):
        yield parts["body"][0] + BODY_FIELDS.index(name), kind_of(name)
    for name in ("tcells", "carriers", "node"):
        yield from ((row, STOCK) for row in range(*_span(parts[name])))
    accounts = [(i, STOCK if name in LESION_STOCKS else ACCOUNT) for i, name in enumerate(LESION_FIELDS) if name not in FOLLOW]
    for first in range(*_span(parts["lesion"]), len(LESION_FIELDS)):
        yield from ((first + row, kind) for row, kind in accounts)


def drive_rows(parts: dict[str, tuple[int, int]]) -> Iterator[int]:
    """Rows of the running means of what IL-2 drives."""
    for first in range(*_span(parts["tissue"]), len(TISSUE_FIELDS)):
        yield from (first + TISSUE_FIELDS.index(name) for name in TISSUE_DRIVES)
    yield from (parts["body"][0] + BODY_FIELDS.index(name) for name in BODY_DRIVES)


def _span(part: tuple[int, int]) -> tuple[int, int]:
    return part[0], part[0] + part[1]


@loop
def keep(state, rows, store):
    """Copy the rows of the state into a store."""
    for i in range(rows.shape[0]):
        at, to = np.uint64(rows[i]) * W, np.uint64(i) * W
        for s in range(W):
            store[to + s] = state[at + s]


@loop
def put(state, rows, store):
    """Copy a store back into the state."""
    for i in range(rows.shape[0]):
        at, to = np.uint64(rows[i]) * W, np.uint64(i) * W
        for s in range(W):
            state[at + s] = store[to + s]


@loop
def average(state, rows, store):
    """Replace rows of the state by the mean with what a store holds."""
    for i in range(rows.shape[0]):
        at, to = np.uint64(rows[i]) * W, np.uint64(i) * W
        for s in range(W):
            state[at + s] = 0.5 * (state[at + s] + store[to + s])


@loop
def combine(state, rows, kinds, before, halves, end_time, time, share):
    """State from a whole step (now in `state`) and two half steps; hosts that died before `time` stay as they were.

    `share` is scratch: the factor by which a subject's stocks and accounts follow the extrapolation.
    """
    for s in range(W):
        share[s] = 1.0
    for i in range(rows.shape[0]):
        at, to = np.uint64(rows[i]) * W, np.uint64(i) * W
        if kinds[i] == STOCK:
            for s in range(W):
                fine = halves[to + s]
                lost = state[at + s] - fine
                limit = (MOST * fine + 1e-300) / (largest(lost, MOST * fine) + 1e-300)
                share[s] = smallest(share[s], limit)
        elif kinds[i] == FILLING:
            for s in range(W):
                fine = halves[to + s]
                moved = abs(state[at + s] - fine)
                share[s] = smallest(share[s], (FULL * fine + 1e-300) / (largest(moved, FULL * fine) + 1e-300))
    for i in range(rows.shape[0]):
        at, to = np.uint64(rows[i]) * W, np.uint64(i) * W
        if kinds[i] == LEVEL:
            for s in range(W):
                fine = halves[to + s]
                change = fine - state[at + s]
                made = fine + smallest(largest(change, -MOST * fine), MOST * (1.0 - fine))
                state[at + s] = made if end_time[s] >= time else before[to + s]
        else:
            for s in range(W):
                fine = halves[to + s]
                made = fine + share[s] * (fine - state[at + s])
                state[at + s] = made if end_time[s] >= time else before[to + s]
