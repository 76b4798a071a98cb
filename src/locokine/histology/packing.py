"""Putting profiles on the plane without overlap: sequential placing with counter-based random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from locokine._jit import numba

Array = NDArray[np.float64]

FINE, SEARCH, COARSE = 8.0, 16.0, 64.0
"""Sides of the squares in which small and large neighbours are looked up, µm."""
LARGE = 10.0
"""Radius from which a profile is looked up in the coarse squares, µm."""
TRIES = 90
"""Places tried for one profile before it is made smaller to fit."""


@numba.njit(cache=True, nogil=True)
def _uniform(key: np.uint64, counter: np.uint64) -> float:
    """Number in [0, 1) of a counter (SplitMix64, Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195)."""
    z = key + (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _grid(x, y, x0, y0, columns, rows, side, which):
    """Chained squares: head of each chain and links; only profiles marked in `which`."""
    head = np.full(columns * rows, -1, dtype=np.int32)
    link = np.full(x.size, -1, dtype=np.int32)
    for k in range(x.size):
        if which[k]:
            _chain(k, x[k], y[k], head, link, x0, y0, columns, rows, side)
    return head, link


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _chain(k, px, py, head, link, x0, y0, columns, rows, side):
    i = min(max(int((px - x0) / side), 0), columns - 1)
    j = min(max(int((py - y0) / side), 0), rows - 1)
    link[k] = head[j * columns + i]
    head[j * columns + i] = k


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _clearance(px, py, r, x, y, rr, head, link, columns, rows, x0, y0, side, reach, least):
    """Distance from the rim of a profile at (px, py) to the nearest rim there, or any value below `least` if under it."""
    best = 1e9
    i0, i1 = max(int((px - reach - x0) / side), 0), min(int((px + reach - x0) / side), columns - 1)
    j0, j1 = max(int((py - reach - y0) / side), 0), min(int((py + reach - y0) / side), rows - 1)
    for j in range(j0, j1 + 1):
        for i in range(i0, i1 + 1):
            k = head[j * columns + i]
            while k >= 0:
                dx, dy = x[k] - px, y[k] - py
                best = min(best, np.sqrt(dx * dx + dy * dy) - rr[k] - r)
                if best < least:
                    return best
                k = link[k]
    return best


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _place(x, y, r, cell, label, home, first, count, mates, x0, y0, pitch, gap, start, key, smallest, coarse):
    """Loop of `place`; `mates[first[k] : first[k] + count[k]]` are cells of the map for profiles of the same home."""
    rows, columns = label.shape
    fx, fy = int(columns * pitch / FINE) + 2, int(rows * pitch / FINE) + 2
    cx, cy = int(columns * pitch / COARSE) + 2, int(rows * pitch / COARSE) + 2
    there = np.zeros(x.size, dtype=np.bool_)
    there[:start] = True
    large = r > LARGE
    head, link = _grid(x, y, x0, y0, fx, fy, FINE, there & ~large)
    big_head, big_link = _grid(x, y, x0, y0, cx, cy, COARSE, there & large)
    most, most_large = 0.0, 0.0
    for k in range(x.size):
        if large[k]:
            most_large = max(most_large, r[k])
        else:
            most = max(most, r[k])
    gave, overlap = 0, 0.0
    for k in range(start, x.size):
        best, best_x, best_y = -1e9, 0.0, 0.0
        for t in range(TRIES):
            counter = np.uint64(k) * np.uint64(4 * TRIES) + np.uint64(4 * t)
            base, spread = cell[k], pitch * (0.5 + 0.04 * t)
            if t > TRIES // 2:  # it is full here: try where others of its kind of place were meant to be
                base = mates[first[k] + int(_uniform(key, counter + np.uint64(2)) * count[k])]
                spread = pitch if t < 3 * TRIES // 4 else 6.0 * pitch
            row, column = base // columns, base % columns
            px = x0 + (column + 0.5) * pitch + spread * (2.0 * _uniform(key, counter) - 1.0)
            py = y0 + (row + 0.5) * pitch + spread * (2.0 * _uniform(key, counter + np.uint64(1)) - 1.0)
            i, j = int((px - x0) / pitch), int((py - y0) / pitch)
            if px < x0 or py < y0 or i >= columns or j >= rows:
                continue
            if label[j, i] != home[k] and (t < 3 * TRIES // 4 or label[j, i] // coarse != home[k] // coarse):
                continue
            reach = r[k] + gap
            free = _clearance(px, py, r[k], x, y, r, head, link, fx, fy, x0, y0, FINE, reach + most, best)
            if free > best:
                far = _clearance(px, py, r[k], x, y, r, big_head, big_link, cx, cy, x0, y0, COARSE, reach + most_large, best)
                free = min(free, far)
            if free > best:
                best, best_x, best_y = free, px, py
            if free >= gap * (1.0 - t / TRIES):
                break
        if best < 0.0:
            shrunk = max(r[k] + best, smallest * r[k])
            overlap = max(overlap, shrunk - r[k] - best)
            r[k] = shrunk
            gave += 1
        x[k], y[k] = best_x, best_y
        if large[k]:
            _chain(k, best_x, best_y, big_head, big_link, x0, y0, cx, cy, COARSE)
        else:
            _chain(k, best_x, best_y, head, link, x0, y0, fx, fy, FINE)
    return gave, overlap


def place(
    x: Array, y: Array, r: Array, cell: NDArray[np.int64], label: NDArray[np.int32], home: NDArray[np.int32],
    x0: float, y0: float, pitch: float, gap: float, start: int, key: np.uint64, smallest: float, coarse: int = 1,
) -> tuple[int, float]:
    """Place profiles `start` and following one after another.

    Parameters
    ----------
    x, y, r
        Shape (n,): places and radii, µm; those before `start` are obstacles, the others are filled in (and `r` made
        smaller where nothing else fits, never below `smallest` of it).
    cell, home
        Shape (n,): the cell of the map that each is meant for, and the label of the map that it must stay in.
    label
        Shape (rows, columns).
    gap
        Wanted space between rims, µm; given up before the radius is.
    smallest
        Least factor on a radius.
    coarse
        Where a home is full, places count whose label divided by this is the same.

    Returns
    -------
    tuple
        How many radii had to give, and the most that two profiles still overlap, µm.
    """
    order = np.argsort(home[start:], kind="stable")
    _, begin, which, number = np.unique(home[start:][order], return_index=True, return_inverse=True, return_counts=True)
    first, count = np.zeros(home.size, dtype=np.int64), np.ones(home.size, dtype=np.int64)
    first[start:][order], count[start:][order] = begin[which], number[which]
    return _place(
        x, y, r, cell, label, home, first, count, cell[start:][order], x0, y0, pitch, gap, start, key, smallest, coarse
    )


@numba.njit(cache=True, nogil=True)
def reach_of(px, py, x, y, size, columns, rows, x0, y0):
    """Smallest distance / size from each point to any profile: the scale at which the profiles begin to cover it.

    Shape (points,); 9 where nothing is near.
    """
    bx, by = int(columns / SEARCH) + 2, int(rows / SEARCH) + 2
    head, link = _grid(x, y, x0, y0, bx, by, SEARCH, np.ones(x.size, dtype=np.bool_))
    found = np.full(px.size, 9.0)
    for n in range(px.size):
        cx, cy = int((px[n] - x0) / SEARCH), int((py[n] - y0) / SEARCH)
        for j in range(max(cy - 2, 0), min(cy + 3, by)):
            for i in range(max(cx - 2, 0), min(cx + 3, bx)):
                k = head[j * bx + i]
                while k >= 0:
                    d = np.sqrt((x[k] - px[n]) ** 2 + (y[k] - py[n]) ** 2) / size[k]
                    found[n] = min(found[n], d)
                    k = link[k]
    return found


def choose(weight: NDArray[Any], count: int, offset: Array) -> NDArray[np.int64]:
    """Cells of a map for `count` profiles, in proportion to `weight`, spread evenly (stratified sampling).

    Parameters
    ----------
    weight
        Non-negative, any shape; cells are numbered in reading order.
    offset
        Shape (count,), in [0, 1): where in its stratum each lies.
    """
    total = np.cumsum(weight, axis=None, dtype=np.float64)
    if count == 0 or total[-1] <= 0.0:
        return np.zeros(0, dtype=np.int64)
    steps = (np.arange(count) + offset) * (total[-1] / count)
    return np.minimum(np.searchsorted(total, steps, side="right"), total.size - 1)
