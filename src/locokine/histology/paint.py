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
    """RGB of amounts of stain by Beer and Lambert's law: white × 10^(-amounts · vectors)."""
    height, width, stains = amounts.shape
    last = table.size - 1
    for j in range(height):
        for i in range(width):
            for c in range(3):
                density = np.float32(0.0)
                for s in range(stains):
                    density += amounts[j, i, s] * vectors[s, c]
                place = min(max(int(density * 1024.0 + 0.5), 0), last)
                out[j, i, c] = np.uint8(white[c] * table[place] + 0.5)


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
def soften(sharp, taps, channels, line, out):
    """Blur of a lens: `sharp` (n + 2 m, (n + 2 m) channels) into `out` (n, n channels), m = len(taps) - 1.

    `taps` are weights, in 256ths, of 0, 1, ... m pixels to either side, along columns and then along rows; light is what
    adds. `line` is room for a row.
    """
    height, width = out.shape
    m = taps.size - 1
    for j in range(height):
        for i in range(line.size):
            line[i] = taps[0] * np.int32(sharp[j + m, i])
        for d in range(1, m + 1):
            for i in range(line.size):
                line[i] += taps[d] * (np.int32(sharp[j + m - d, i]) + np.int32(sharp[j + m + d, i]))
        if m == 1:
            first, second = taps[0], taps[1]
            for i in range(width):
                at = i + channels
                total = first * line[at] + second * (line[at - channels] + line[at + channels])
                out[j, i] = np.uint8((total + np.int32(32768)) >> np.int32(16))
        else:
            for i in range(width):
                at = i + m * channels
                total = taps[0] * line[at] + np.int32(32768)
                for d in range(1, m + 1):
                    total += taps[d] * (line[at - d * channels] + line[at + d * channels])
                out[j, i] = np.uint8(total >> np.int32(16))
