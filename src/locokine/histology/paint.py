"""Painting a tile: which cell a pixel belongs to, and how much of each stain lies there.

`lay` finds for every pixel the nearest cell, erythrocyte and vessel; `stain_he` and `stain_marker` turn that into amounts of
stain (optical density along the stain's vector); `render.py` turns amounts into colours. All compiled code of the painter is in
this file, because numba's cache does not notice edits in another one.
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

# numbers of `kinds.Kind` and `section.Tissue` that compiled code needs
_TUMOUR, _MITOSIS, _APOPTOTIC, _GHOST, _KARYORRHEXIS = 0, 1, 2, 3, 4
_LAK, _MACROPHAGE, _ENDOTHELIUM, _FIBROBLAST, _MYOCYTE, _KERATINOCYTE, _MESOTHELIUM, _ADIPOCYTE = 8, 9, 10, 11, 12, 13, 14, 15
_G, _T, _CAPSULE, _LOOSE, _FAT, _DERMIS, _EPIDERMIS, _MUSCLE, _FLUID, _TRACK = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
_STAGNANT, _DESTROYED = 1, 2

_LOOP = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
_INLINE = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True, inline="always")


@_INLINE
def _texture(t, x, y):
    """Value (0 to 1) of a wrapped texture of bytes at a place given in its pixels, bilinear; x and y above -65536."""
    i, j = int(x + 65536.0), int(y + 65536.0)
    u, v = np.float32(x + 65536.0 - i), np.float32(y + 65536.0 - j)
    i0, i1, j0, j1 = i & 1023, (i + 1) & 1023, j & 1023, (j + 1) & 1023
    a, b, c, d = np.float32(t[j0, i0]), np.float32(t[j0, i1]), np.float32(t[j1, i0]), np.float32(t[j1, i1])
    top = a + u * (b - a)
    return (top + v * (c + u * (d - c) - top)) * np.float32(0.00392157)


@_INLINE
def _map(m, x, y):
    """Value of a map at a place given in its cells (bilinear, held at the border)."""
    rows, columns = m.shape
    x, y = min(max(x - 0.5, 0.0), columns - 1.001), min(max(y - 0.5, 0.0), rows - 1.001)
    i, j = int(x), int(y)
    u, v = np.float32(x - i), np.float32(y - j)
    top = m[j, i] + u * (m[j, i + 1] - m[j, i])
    low = m[j + 1, i] + u * (m[j + 1, i + 1] - m[j + 1, i])
    return top + v * (low - top)


@_INLINE
def _step(low, high, x):
    """0 below `low`, 1 above `high`, smooth between."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@_INLINE
def _hash(k, salt):
    """Number in [0, 1) for profile `k`."""
    z = np.uint64(k) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(salt) * np.uint64(0xD1B54A32D192ED03)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = z ^ (z >> np.uint64(31))
    return np.float32(float(z >> np.uint64(40)) / 16777216.0)


@_INLINE
def _frame(dx, dy, c, s, long, short):
    """Place in the frame of an ellipse, in units of its half axes."""
    return (c * dx + s * dy) / long, (c * dy - s * dx) / short


@_LOOP
def warp(left, top, n, pixel, mid, xs, ys):
    """Places of the pixels, µm, moved a little by a smooth texture so that no outline is a circle."""
    for j in range(n):
        y = top + (j + 0.5) * pixel
        for i in range(n):
            x = left + (i + 0.5) * pixel
            xs[j, i] = x + 2.6 * (_texture(mid, 1.1 * x, 1.1 * y) - 0.5)
            ys[j, i] = y + 2.6 * (_texture(mid, 1.1 * x + 377.0, 1.1 * y + 611.0) - 0.5)


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


@_INLINE
def _ground(tissue, x, y, between, stroma, dead, depth, fine, mid, fibre, soft):
    """Haematoxylin and eosin of what lies between cells."""
    grain = _texture(fine, 2.0 * x, 2.0 * y)
    cloud = _texture(mid, 0.62 * x + 91.0, 0.62 * y + 13.0)
    h, e = 0.012, 0.022 + 0.022 * cloud
    if tissue == _T:
        if dead > 0.0:
            old = min(dead * 4.0, 1.0)
            e = 0.20 + 0.10 * grain + 0.07 * cloud - 0.05 * old
            h = 0.035 + 0.035 * grain * (1.0 - 0.7 * old)
            hole = _step(0.16, 0.08, cloud)
            e, h = e * (1.0 - 0.6 * hole), h * (1.0 - 0.6 * hole)
        else:
            sway = 15.0 * (_texture(mid, 0.12 * x, 0.12 * y + 400.0) - 0.5)
            strand = _texture(fibre, 1.5 * x + 0.6 * y, 1.7 * (y + sway) - 0.5 * x)
            share = stroma / (stroma + between + 1e-6)
            held = _step(share + soft, share - soft, strand)
            e += held * (0.17 + 0.06 * grain)
            # a little protein and fibrin in what leaked
            fibrin = _step(0.75, 1.0, _texture(fibre, 2.6 * y + 300.0, 2.6 * x + 77.0))
            e += (1.0 - held) * 0.05 * fibrin * min(2.0 * between, 1.0)
    elif tissue in (_CAPSULE, _LOOSE, _DERMIS, _TRACK, _FAT):
        r, turn = np.sqrt(x * x + y * y), np.arctan2(y, x)
        sway = 26.0 * (_texture(mid, 0.09 * x, 0.09 * y) - 0.5)
        along, across = 1500.0 * turn, r + sway
        if tissue == _CAPSULE:
            f = _texture(fibre, 0.55 * along, 3.0 * across)
            e, h = 0.27 + 0.13 * f + 0.05 * grain, 0.022
        elif tissue == _DERMIS:
            sway2 = 9.0 * (_texture(mid, 0.16 * x + 50.0, 0.16 * y) - 0.5)
            f = 0.72 * _texture(fibre, 0.33 * along, 0.85 * (across + sway2)) + 0.28 * cloud
            f = min(max((f - 0.5) * 1.25 + 0.5, 0.0), 1.0)
            e, h = 0.31 + 0.14 * f + 0.05 * grain, 0.018
        else:
            sway2 = 16.0 * (_texture(mid, 0.13 * x + 500.0, 0.13 * y) - 0.5)
            a, b = x + sway + sway2, y + 1.4 * sway - sway2
            f = _texture(fibre, 0.8 * a + 0.45 * b, 1.5 * b - 0.8 * a)
            f = max(f, _texture(fibre, 0.8 * a - 0.55 * b, 1.5 * b + 0.9 * a))
            f = f * f  # the larger of two even numbers: its square is even again
            e, h = 0.09 + 0.13 * f + 0.04 * grain, 0.012
        if tissue == _TRACK:
            fibrin = _texture(fibre, 1.4 * x, 2.2 * y)
            e, h = 0.03 + 0.30 * fibrin * fibrin * cloud, 0.02
        else:
            gap = _step(between + soft, between - soft, f)
            e, h = e + gap * (0.03 + 0.02 * cloud - e), h + gap * (0.01 - h)
    elif tissue == _MUSCLE:
        wide = 34.0
        v = y + 22.0 * (_texture(mid, 0.05 * x, 0.09 * y) - 0.5) + 0.06 * x
        row = np.floor(v / wide)
        part = v / wide - row
        near = min(part, 1.0 - part)
        line = row + (1.0 if part > 0.5 else 0.0)  # fibres lie closer here and farther there
        edge = between * (0.15 + 0.7 * _texture(mid, 0.035 * x + 37.0 * line, 5.0 * line))
        edge *= 0.5 + _hash(int(line + 4096.0), 3)
        inside = _step(edge - 0.03, edge + 0.03, near)
        tint = 0.05 * (_texture(mid, 5.0 * row, 0.05 * x) - 0.5)
        band = 0.022 * np.cos(2.73 * (x + 3.0 * cloud + 5.0 * row))
        e = 0.03 + inside * (0.33 + tint + band + 0.05 * grain)
        h = 0.012 + inside * 0.03
    elif tissue == _EPIDERMIS:
        e, h = 0.26 + 0.06 * grain, 0.11 + 0.04 * cloud
        if depth > -9.0:
            e, h = 0.40 + 0.12 * _texture(fibre, 0.5 * x, 3.0 * depth), 0.03
    elif tissue == _FLUID:
        e = 0.028 + 0.025 * cloud + 0.012 * grain
    return h, e


@_INLINE
def _fragments(k, u, v, count, size, spread):
    """How deep a place is in one of a few dense balls (1 in the middle, 0 outside)."""
    found = -1.0
    for f in range(count):
        angle, away = 6.2832 * _hash(k, 20 + f), spread * np.sqrt(_hash(k, 40 + f))
        r = size * (0.6 + 0.8 * _hash(k, 60 + f))
        du, dv = u - away * np.cos(angle), v - away * np.sin(angle)
        found = max(found, 1.0 - np.sqrt(du * du + dv * dv) / r)
    return found


@_INLINE
def _nucleus(kind, k, u, v, e, edge, x, y, look, fine, mid):
    """Haematoxylin of a nucleus at (u, v) in units of its half axes, e from the middle, and how much of it is there."""
    dark, contrast, rim, nucleoli = look[kind, 0], look[kind, 1], look[kind, 2], look[kind, 3]
    shown = _step(1.0 + edge, 1.0 - edge, e)
    if kind == _GHOST:
        ring = np.exp(-((e - 0.9) / 0.16) ** 2)
        return dark * (0.4 + 0.6 * ring), shown * (0.25 + 0.75 * _hash(k, 9))
    if kind == _KARYORRHEXIS:
        d = _fragments(k, u, v, 4 + int(5.0 * _hash(k, 5)), 0.30, 1.25)
        if _hash(k, 6) < 0.3:  # pyknosis: one shrunken ball
            d = 1.0 - e / 0.62
        return dark * (0.7 + 0.5 * _hash(k, 15)), _step(-0.30, 0.35, d)
    if kind == _APOPTOTIC:
        d = _fragments(k, u, v, 2 + int(3.0 * _hash(k, 5)), 0.42, 0.62)
        return dark, _step(-0.12, 0.12, d)
    if kind == _MITOSIS:
        fuzz = 0.9 * (_texture(mid, 7.0 * x, 7.0 * y) - 0.5)
        if _hash(k, 7) < 0.4:  # metaphase plate, seen from the side
            d = np.sqrt((u / 1.0) ** 4 + (v / 0.34) ** 4) ** 0.5
        elif _hash(k, 7) < 0.55:  # anaphase
            d = np.sqrt((u / 0.85) ** 4 + ((abs(v) - 0.62 + 0.16 * u * u) / 0.27) ** 4) ** 0.5
        else:  # prometaphase or a plate from above
            d = abs(np.sqrt(u * u + v * v) - 0.35) / 0.45
        return dark, _step(1.35, 0.75, d + fuzz)
    coarse = _texture(mid, 4.6 * x + 311.0 * _hash(k, 1), 4.6 * y + 173.0 * _hash(k, 2))
    small = _texture(fine, 3.1 * x + 97.0 * _hash(k, 3), 3.1 * y)
    h = dark * (1.0 + contrast * ((0.65 * coarse + 0.35 * small) - 0.55))
    h += dark * rim * np.exp(-(((1.0 - e) / 0.14) ** 2))
    for f in range(int(nucleoli * (1.0 + 1.99 * _hash(k, 4)))):
        a, away = 6.2832 * _hash(k, 10 + f), 0.55 * _hash(k, 13 + f)
        d = np.sqrt((u - away * np.cos(a)) ** 2 + (v - away * np.sin(a)) ** 2)
        h += 0.55 * dark * _step(0.26, 0.12, d)
    return h * (0.86 + 0.28 * _hash(k, 8)), shown


@_INLINE
def _at(tissue, zone, depth, mx, my, x, y, fast, mid, cores):
    """Tissue and compartment of a place in cells of the map; the edge of the tumour is smooth, other borders ragged.

    `fast` is by how much the place was moved already.
    """
    rows, columns = tissue.shape
    if mx < 0.0 or my < 0.0 or mx >= columns or my >= rows:
        return _G, -1
    a, b = int(mx), int(my)
    if tissue[b, a] == _T and depth[b, a] < -30.0:  # well inside
        return _T, min(int(zone[b, a]), cores - 1)
    ragged = 0.35 * fast + 1.6 * (_texture(mid, 0.25 * x + 55.0, 0.25 * y) - 0.5)
    a, b = min(max(int(mx + ragged), 0), columns - 1), min(max(int(my - ragged), 0), rows - 1)
    t, z = int(tissue[b, a]), int(zone[b, a])
    if t in (_T, _CAPSULE):
        if _map(depth, mx, my) < 0.0:
            return _T, min(z, cores - 1)
        return _CAPSULE, max(z, cores)
    return t, z


@_LOOP
def stain_he(
    left, n, pixel, xs, ys, near, second, own, red, red_own, wall, wall_own, pitch, x0, y0, tissue, zone, between, stroma,
    necrosis, depth, rim, cores, kind, cx, cy, nuc_long, nuc_short, cosine, sine, body, thick, look, vessel_status,
    vessel_short, fine, mid, fibre, out,
):
    """Haematoxylin, eosin and haemoglobin of every pixel into `out` (n, n, 3)."""
    for j in range(n):
        for i in range(n):
            x, y = xs[j, i], ys[j, i]
            mx, my = (x - x0) / pitch, (y - y0) / pitch
            t, z = _at(tissue, zone, depth, mx, my, x, y, x - left - (i + 0.5) * pixel, mid, cores)
            if t == _G or z < 0:
                out[j, i, 0], out[j, i, 1], out[j, i, 2] = 0.0, 0.0, 0.0
                continue
            k, q, q2 = own[j, i], near[j, i], second[j, i]
            what = _ADIPOCYTE
            there = np.float32(0.0)
            if k >= 0:
                what = kind[k]
                if what != _ADIPOCYTE:
                    soften = 0.5 * pixel / body[k] + 0.04
                    # neighbours that touch keep a fine cleft between them
                    there = _step(1.0 + soften, 1.0 - soften, q) * (1.0 - 0.5 * _step(0.10, 0.02, q2 - q))
            h, e = np.float32(0.0), np.float32(0.0)
            if there < 0.97:
                dead = np.float32(-1.0)
                if t == _T:
                    dead = _map(necrosis, mx, my)
                under = np.float32(-100.0)
                if t == _EPIDERMIS:
                    under = _map(depth, mx, my) - rim
                h, e = _ground(t, x, y, between[z], stroma[z], dead, under, fine, mid, fibre, 0.09)
            inside = np.float32(0.0)
            v = wall_own[j, i]
            if v >= 0:
                h, e, inside = _vessel(v, wall[j, i], x, y, h, e, vessel_status, vessel_short, fine, mid)
            if what == _ADIPOCYTE:
                if k >= 0 and t == _FAT and inside < 0.5:
                    lumen = _step(1.55, 1.45, q) * _step(0.012, 0.045, q2 - q)
                    if q2 > 8.0:
                        lumen = _step(1.18, 1.10, q)
                    e += lumen * (0.008 - e)
                    h += lumen * (0.002 - h)
            elif inside < 0.5 or what == _ENDOTHELIUM:
                h, e = _cell(
                    what, k, x, y, h, e, there, pixel, cx[k], cy[k], nuc_long[k], nuc_short[k], cosine[k], sine[k],
                    thick[k], look, fine, mid,
                )
            blood = np.float32(0.0)
            if red_own[j, i] >= 0:
                q = red[j, i]
                blood = _step(1.08, 0.86, q) * (0.80 + 0.20 * _step(0.1, 0.8, q))
                if k >= 0:
                    blood *= 1.0 - min(h * 1.6, 0.85)
                e += blood * (0.15 - 0.6 * e)
                h *= 1.0 - 0.5 * blood
                blood *= 0.28
            out[j, i, 0], out[j, i, 1], out[j, i, 2] = h, e, blood


@_INLINE
def _vessel(v, q, x, y, h, e, status, short, fine, mid):
    """Wall and lumen of a vessel over what lies there: haematoxylin, eosin, and how much of the place is lumen."""
    thick = 1.6 / short[v]
    ring = _step(1.0, 1.0 + 0.4 * thick, q) * _step(1.0 + thick + 0.12, 1.0 + thick, q)
    inside = np.float32(0.0)
    if status[v] == _DESTROYED:
        ring *= _step(0.45, 0.55, _texture(mid, 1.5 * x, 1.5 * y))
        smudge = _step(1.5, 0.7, q)
        e += smudge * (0.30 * _texture(fine, 1.5 * x, 1.5 * y))
        h += smudge * 0.06
    else:
        inside = np.float32(_step(1.06, 0.97, q))
        e += inside * (0.05 - e)
        h += inside * (0.008 - h)
    e += ring * (0.26 - 0.5 * e)
    h += ring * 0.05
    return h, e, inside


@_INLINE
def _cell(what, k, x, y, h, e, there, pixel, cx, cy, nuc_long, nuc_short, cosine, sine, thick, look, fine, mid):
    """Cytoplasm and nucleus over what lies there: haematoxylin and eosin."""
    granular = np.float32(1.0) + look[what, 6] * (_texture(fine, 2.4 * x + 40.0, 2.4 * y + 9.0) - 0.5)
    if what == _MACROPHAGE:  # foamy
        granular *= 0.6 + 0.8 * _texture(mid, 3.0 * x, 3.0 * y)
    if what <= _KARYORRHEXIS:
        granular *= 0.82 + 0.36 * _hash(k, 14)
    e += there * (look[what, 5] * granular - e)
    h += there * (look[what, 4] * granular - h)
    u, w = _frame(x - cx, y - cy, cosine, sine, nuc_long, nuc_short)
    if what == _MACROPHAGE:  # kidney-shaped and to one side
        u, w = u + 0.35, w - 0.55 + 0.35 * u * u
    r = np.sqrt(u * u + w * w)
    if r < 1.25 or (what == _KARYORRHEXIS and r < 1.7):
        edge = 0.42 * pixel / nuc_short + 0.05
        dark, shown = _nucleus(what, k, u, w, r, edge, x, y, look, fine, mid)
        h += shown * (thick * dark - h)
        e += shown * (0.05 - 0.75 * e)
    if what == _MACROPHAGE:  # what it swallowed
        h += 0.6 * _step(0.0, 0.3, _fragments(k, u * 0.55, w * 0.55 - 0.5, int(3.0 * _hash(k, 5)), 0.16, 0.5))
    return h, e


@_LOOP
def stain_marker(
    left, n, pixel, xs, ys, near, second, own, red_own, wall, wall_own, pitch, x0, y0, tissue, zone, between,
    necrosis, depth, cores, kind, flag, cx, cy, nuc_long, nuc_short, cosine, sine, body, thick, look, recipe, vessel_level,
    vessel_status, vessel_short, fine, mid, fibre, out,
):
    """Nuclear counterstain and one marker of every pixel into `out` (n, n, 2).

    `recipe` holds per kind how strongly nucleus, outline and cytoplasm carry the marker; `flag` which cells do at all.
    """
    for j in range(n):
        for i in range(n):
            x, y = xs[j, i], ys[j, i]
            mx, my = (x - x0) / pitch, (y - y0) / pitch
            out[j, i, 0], out[j, i, 1] = 0.0, 0.0
            t, z = _at(tissue, zone, depth, mx, my, x, y, x - left - (i + 0.5) * pixel, mid, cores)
            if t == _G or z < 0:
                continue
            grain = _texture(fine, 2.0 * x, 2.0 * y)
            matter = 0.6 + 0.5 * grain
            if (t == _T and _map(necrosis, mx, my) <= 0.0) or t == _FLUID:
                matter = 0.25
            h, d = 0.045 * matter, 0.018 * matter
            inside = 0.0
            v = wall_own[j, i]
            if v >= 0:
                wide = 2.4 / vessel_short[v]
                q = wall[j, i]
                ring = _step(0.95, 1.03, q) * _step(1.0 + wide + 0.15, 1.0 + wide, q)
                if vessel_status[v] == _DESTROYED:
                    ring *= 0.5 * _step(0.5, 0.6, _texture(mid, 1.5 * x, 1.5 * y))
                else:
                    inside = _step(1.02, 0.95, q)
                    h, d = h * (1.0 - inside), d * (1.0 - inside)
                d += vessel_level * ring * (0.75 + 0.5 * grain)
            k = own[j, i]
            if k >= 0 and kind[k] != _ADIPOCYTE and (inside < 0.5 or kind[k] == _ENDOTHELIUM):
                what = kind[k]
                q = near[j, i]
                soften = 0.5 * pixel / body[k] + 0.04
                there = _step(1.0 + soften, 1.0 - soften, q)
                strength = flag[k]
                outline = _step(0.55, 0.92, q)
                d += there * strength * (recipe[what, 1] * outline + recipe[what, 2] * (0.7 + 0.6 * grain))
                h += there * 0.02
                u, w = _frame(x - cx[k], y - cy[k], cosine[k], sine[k], nuc_long[k], nuc_short[k])
                if what == _MACROPHAGE:
                    u, w = u + 0.35, w - 0.55 + 0.35 * u * u
                r = np.sqrt(u * u + w * w)
                if r < 1.25 or (what == _KARYORRHEXIS and r < 1.7):
                    edge = 0.42 * pixel / nuc_short[k] + 0.05
                    dark, shown = _nucleus(what, k, u, w, r, edge, x, y, look, fine, mid)
                    h += shown * (thick[k] * dark - h)
                    d = d * (1.0 - 0.75 * shown) + shown * strength * recipe[what, 0] * (0.8 + 0.4 * grain)
            elif k >= 0 and kind[k] == _ADIPOCYTE and t == _FAT:
                h, d = 0.2 * h, 0.2 * d
            if red_own[j, i] >= 0:
                d += 0.012
            out[j, i, 0], out[j, i, 1] = h, d


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
