"""Painting a tile: which cell a pixel belongs to, and the light that comes through.

`lay` finds for every pixel the nearest cell, erythrocyte and vessel; `dye.py` turns that into amounts of stain; `colour` turns
amounts into colours, and `soften` blurs them as a lens does.
"""

from __future__ import annotations

import numpy as np

from locokine._jit import numba

TEXTURE = 1024
"""Side of the wrapped textures, in their own pixels of 0.5 µm."""
MARGIN = 48.0
"""How far outside a tile something can lie and still reach into it, µm."""
BIN = 128.0
"""Side of the squares by which profiles are sorted, µm."""

_LOOP = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True, _nrt=False)


@_LOOP
def lay(
    left, top, n, pixel, xs, ys, start, order, bins, x0, y0, cx, cy, half_long, half_short, cosine, sine, reach,
    near, second, own,
):
    """For every pixel the profile whose ellipse it is deepest in: normalised distance, that of the next, and its number.

    `start`, `order` and `bins` sort profiles by squares of `BIN` µm; `reach` is how far an ellipse is followed, in units of
    its axes.
    """
    for j in range(n):
        for i in range(n):
            near[j, i], second[j, i], own[j, i] = 9.0, 9.0, -1
    columns, rows = bins
    width = n * pixel
    for b in range(max(int((top - MARGIN - y0) / BIN), 0), min(int((top + width + MARGIN - y0) / BIN) + 1, rows)):
        for a in range(max(int((left - MARGIN - x0) / BIN), 0), min(int((left + width + MARGIN - x0) / BIN) + 1, columns)):
            for place in range(start[b * columns + a], start[b * columns + a + 1]):
                k = order[place]
                far = reach[k] * max(half_long[k], half_short[k]) + 1.6
                i0, i1 = int((cx[k] - far - left) / pixel), int((cx[k] + far - left) / pixel) + 1
                j0, j1 = int((cy[k] - far - top) / pixel), int((cy[k] + far - top) / pixel) + 1
                if i1 <= 0 or j1 <= 0 or i0 >= n or j0 >= n:
                    continue
                c, s = cosine[k], sine[k]
                ca, sa = c / half_long[k], s / half_long[k]
                cb, sb = c / half_short[k], s / half_short[k]
                x, y, most = cx[k], cy[k], reach[k] * reach[k]
                for j in range(max(j0, 0), min(j1, n)):
                    for i in range(max(i0, 0), min(i1, n)):
                        dx, dy = xs[j, i] - x, ys[j, i] - y
                        u, v = ca * dx + sa * dy, cb * dy - sb * dx
                        q = u * u + v * v
                        if q < most:
                            if q < near[j, i]:
                                second[j, i] = near[j, i]
                                near[j, i] = q
                                own[j, i] = k
                            elif q < second[j, i]:
                                second[j, i] = q
    for j in range(n):
        for i in range(n):
            near[j, i] = np.sqrt(near[j, i])
            second[j, i] = np.sqrt(second[j, i])


@_LOOP
def colour(amounts, vectors, table, white, out):
    """RGB of amounts of stain, shape (stains, rows, columns), by Beer and Lambert's law: white × 10^(-amounts · vectors).

    `table` holds 10^(-i / 1024) for i to 4095.
    """
    stains, height, width = amounts.shape
    fine, half = np.float32(1024.0), np.float32(0.5)
    third = stains - 1  # of two stains the second is taken again and counts for nothing
    there = np.float32(1024.0 if stains > 2 else 0.0)
    for k in range(3):
        a, b, c, full = fine * vectors[0, k], fine * vectors[1, k], there * vectors[third, k], white[k]
        for j in range(height):
            for i in range(width):
                density = a * amounts[0, j, i] + b * amounts[1, j, i] + c * amounts[third, j, i] + half
                place = np.uint32(min(max(density, np.float32(0.0)), np.float32(4095.0)))
                out[j, i, k] = np.uint8(np.int32(full * table[place] + half))


@_LOOP
def halve(tile, out):
    """Mean of 2 × 2 pixels, rounded, of (n, n, channels) into `out` (n/2, n/2, channels)."""
    height, width, channels = out.shape
    for j in range(height):
        for i in range(width):
            for c in range(channels):
                total = (
                    np.uint16(tile[2 * j, 2 * i, c]) + np.uint16(tile[2 * j, 2 * i + 1, c])
                    + np.uint16(tile[2 * j + 1, 2 * i, c]) + np.uint16(tile[2 * j + 1, 2 * i + 1, c])
                )
                out[j, i, c] = np.uint8((total + np.uint16(2)) >> 2)


@_LOOP
def soften(sharp, taps, channels, line, wide, out):
    """Blur of a lens: `sharp` (n + 2 m, (n + 2 m) channels) into `out` (n, n channels), m = len(taps) - 1.

    `taps` are weights, in 256ths, of 0, 1, ... m pixels to either side, along columns and then along rows; light is what
    adds. `line` and `wide` are room for a row each. All are whole numbers below 2^24, which single precision holds exactly, and
    places are counted without sign, so that no one asks whether they are below 0: the loops become vectors.
    """
    height, width = out.shape
    m = taps.size - 1
    half, scale = np.float32(32768.0), np.float32(1.0 / 65536.0)
    for j in range(height):
        here = np.uint64(j + m)
        for i in range(line.size):
            line[np.uint64(i)] = taps[0] * np.float32(sharp[here, np.uint64(i)])
        for d in range(1, m + 1):
            weight = taps[d]
            above, below = np.uint64(j + m - d), np.uint64(j + m + d)
            for i in range(line.size):
                at = np.uint64(i)
                line[at] += weight * (np.float32(sharp[above, at]) + np.float32(sharp[below, at]))
        row, far = np.uint64(j), np.uint64(m * channels)
        for i in range(width):
            at = np.uint64(i)
            wide[at] = taps[0] * line[at + far] + half
        for d in range(1, m + 1):
            weight = taps[d]
            left, right = np.uint64((m - d) * channels), np.uint64((m + d) * channels)
            for i in range(width):
                at = np.uint64(i)
                wide[at] += weight * (line[at + left] + line[at + right])
        for i in range(width):
            at = np.uint64(i)
            out[row, at] = np.uint8(np.int32(wide[at] * scale))
