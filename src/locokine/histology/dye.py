"""How much of each stain lies at every pixel of a tile.

`stain_he` and `stain_markers` turn what lies where (`paint.lay`) into amounts of stain, optical density along the stain's
vector. All compiled code that shares a helper is in this file, because numba's cache does not notice edits in another one.
"""

from __future__ import annotations

import numpy as np

from locokine._jit import numba

# numbers of `kinds.Kind` and `section.Tissue` that compiled code needs
_TUMOUR, _MITOSIS, _APOPTOTIC, _GHOST, _KARYORRHEXIS = 0, 1, 2, 3, 4
_LAK, _MACROPHAGE, _ENDOTHELIUM, _FIBROBLAST, _MYOCYTE, _KERATINOCYTE, _MESOTHELIUM, _ADIPOCYTE = 8, 9, 10, 11, 12, 13, 14, 15
_G, _T, _CAPSULE, _LOOSE, _FAT, _DERMIS, _EPIDERMIS, _MUSCLE, _FLUID, _TRACK = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
_STAGNANT, _DESTROYED = 1, 2

# no counting of references: nothing is allocated here, and counting those of the textures took half of the time
_LOOP = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True, _nrt=False)
_INLINE = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True, inline="always")
# directions are one byte of `dice`, so a table has them all: sines took a fifth of the time of a tile
_COSINE = np.cos(2.0 * np.pi * np.arange(256) / 256.0).astype(np.float32)
_SINE = np.sin(2.0 * np.pi * np.arange(256) / 256.0).astype(np.float32)


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
def _speckle(t, x, y):
    """The same without interpolation: for grain so fine that it does not show."""
    return np.float32(t[int(y + 65536.0) & 1023, int(x + 65536.0) & 1023]) * np.float32(0.00392157)


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
def _hash(dice, k, salt):
    """Number in [0, 1) for profile `k`, from a table of random bytes: what one profile needs lies together."""
    return np.float32(dice[k & 4095, salt]) * np.float32(0.00390625)


@_LOOP
def warp(left, top, n, pixel, mid, xs, ys):
    """Places of the pixels, µm, moved a little by a smooth texture so that no outline is a circle."""
    for j in range(n):
        y = top + (j + 0.5) * pixel
        for i in range(n):
            x = left + (i + 0.5) * pixel
            xs[j, i] = x + 2.6 * (_texture(mid, 1.1 * x, 1.1 * y) - 0.5)
            ys[j, i] = y + 2.6 * (_texture(mid, 1.1 * x + 377.0, 1.1 * y + 611.0) - 0.5)


# ---------------------------------------------------------------------- between cells
@_INLINE
def _fibrils(x, y, mid, fibre):
    """Wavy collagen in two directions, evenly distributed over 0 to 1."""
    slow = _texture(mid, 0.05 * x, 0.05 * y) - 0.5
    fast = _texture(mid, 0.19 * x + 500.0, 0.17 * y) - 0.5
    a, b = x + 70.0 * slow + 15.0 * fast, y + 60.0 * slow - 17.0 * fast
    f = _texture(fibre, 0.9 * a + 0.3 * b, 1.5 * b - 0.7 * a)
    f = max(f, _texture(fibre, 0.9 * a - 0.5 * b, 1.8 * b + 0.8 * a))
    return f * f  # the larger of two even numbers: its square is even again


@_INLINE
def _even_sum(s, small):
    """Sum of two even numbers from 0 to `small` and from 0 to 1 - `small` (the larger), made even over 0 to 1."""
    large = 1.0 - small
    if s < small:
        return s * s / (2.0 * small * large)
    if s > large:
        return 1.0 - (1.0 - s) * (1.0 - s) / (2.0 * small * large)
    return (s - 0.5 * small) / large


@_INLINE
def _living_ground(dice, x, y, between, stroma, cloud, grain, mid, fibre):
    """Interstitium of living tumour: protein and fibrils in what leaked, strands of stroma."""
    slow = _texture(mid, 0.12 * x, 0.12 * y + 400.0) - 0.5
    strand = _texture(fibre, 1.5 * x + 0.6 * y, 1.7 * (y + 15.0 * slow) - 0.5 * x)
    share = stroma / (stroma + between + 1e-6)
    held = _step(share + 0.10, share - 0.10, strand)
    wisp = _texture(fibre, 1.1 * (x + 22.0 * slow) + 300.0, 2.1 * (y - 16.0 * slow) + 0.7 * x)
    thread = _step(0.60, 0.98, wisp)
    pool = _texture(mid, 0.16 * x + 700.0, 0.16 * y)  # protein has settled unevenly
    e = 0.034 + 0.030 * cloud + 0.026 * pool + 0.012 * grain + 0.045 * thread
    e += held * (0.10 + 0.07 * grain + 0.06 * strand)
    return 0.010 + 0.012 * held, e


@_INLINE
def _dead_ground(dice, x, y, dead, cloud, grain):
    """Granular eosinophilic debris, paler with age, with holes."""
    old = min(dead * 3.0, 1.0)
    e = 0.20 + 0.12 * grain + 0.06 * cloud - 0.05 * old
    h = 0.012 + 0.04 * grain * (1.0 - 0.7 * old)
    hole = _step(0.20, 0.08, cloud)
    return h * (1.0 - 0.6 * hole), e * (1.0 - 0.5 * hole)


@_INLINE
def _muscle(dice, x, y, between, grain, cloud, mid, fine):
    """Striated fibres cut lengthwise; oedema opens some clefts more than others."""
    wide = 25.0
    v = y + 190.0 * (_texture(mid, 0.007 * x, 0.009 * y) - 0.5) + 26.0 * (_texture(mid, 0.04 * x + 70.0, 0.04 * y) - 0.5)
    row = np.floor(v / wide)
    part = v / wide - row
    near = min(part, 1.0 - part)
    line = row + (1.0 if part > 0.5 else 0.0)
    loose = _hash(dice, int(line + 4096.0), 3)
    wide_open = 0.2 + 1.6 * _step(0.25, 0.75, _texture(mid, 0.045 * x + 37.0 * line, 5.0 * line))
    wide_open *= 1.9 if loose < 0.25 else 0.7  # 1 in the mean, 3.42 at most
    # uneven only as far as no cleft is wider than its fibre, or fluid would be lost
    uneven = min((1.0 / max(between, 0.01) - 1.0) / 2.42, 1.0)
    edge = 0.5 * between * (1.0 + uneven * (wide_open - 1.0))
    inside = _step(edge - 0.045, edge + 0.045, near)
    tint = 0.09 * (_texture(mid, 5.0 * row, 0.03 * x) - 0.5)
    band = 0.030 * np.cos(2.73 * (x + 2.5 * cloud + 1.7 * row + 0.12 * v)) * _texture(mid, 0.5 * x + 11.0, 0.3 * y)
    fibril = 0.045 * (_texture(fine, 0.10 * x + 40.0 * row, 2.3 * v) - 0.5)
    flesh = 0.265 + tint + band + fibril + 0.03 * grain - 0.06 * _step(0.30, edge, near)
    e = 0.035 + 0.045 * _texture(mid, 0.35 * x, 0.9 * y) + inside * flesh
    return 0.010 + inside * 0.028, e


@_INLINE
def _connective(tissue, x, y, between, grain, cloud, mid, fibre):
    """Collagen: parallel and dense in a capsule, woven in skin, loose elsewhere, torn in a track."""
    soft = 0.12
    if tissue == _TRACK:
        clot = _texture(mid, 0.11 * x + 31.0, 0.08 * y)  # fluid with clots, and fibrin along the way of the needle
        bend = 30.0 * (_texture(mid, 0.05 * x, 0.05 * y + 210.0) - 0.5)
        fibrin = _texture(fibre, 0.8 * (y + bend), 2.6 * (x + bend))
        return 0.016, 0.05 + 0.05 * cloud + (0.05 + 0.20 * _step(0.45, 0.75, clot)) * fibrin + 0.02 * grain
    if tissue == _CAPSULE:
        along, across = 1500.0 * np.arctan2(y, x), np.sqrt(x * x + y * y)
        across += 24.0 * (_texture(mid, 0.09 * x, 0.09 * y) - 0.5)
        across += 5.0 * (_texture(mid, 0.16 * along, 0.05 * across) - 0.5)
        f = _texture(fibre, 0.55 * along, 2.4 * across)
        h, e = 0.020, 0.17 + 0.10 * f + 0.06 * _texture(fibre, 1.3 * along, 5.5 * across) + 0.03 * grain
    elif tissue == _DERMIS:
        f = _fibrils(0.62 * x + 900.0, 0.62 * y, mid, fibre)
        h, e = 0.016, 0.20 + 0.12 * f + 0.06 * grain
        f = _even_sum(0.45 * f + 0.55 * _texture(mid, 0.20 * x, 0.33 * y), 0.45)
    else:
        f = _fibrils(x, y, mid, fibre)
        h, e = 0.012, 0.07 + 0.12 * f + 0.05 * grain
        soft = 0.30
    gap = _step(between + soft, between - soft, f)
    return h + gap * (0.009 - h), e + gap * (0.028 + 0.035 * cloud - e)


@_INLINE
def _ground(dice, tissue, x, y, between, stroma, dead, under, fine, mid, fibre):
    """Haematoxylin and eosin of what lies between cells; `under`: depth below the surface of the skin."""
    grain = _speckle(fine, 2.0 * x, 2.0 * y)
    cloud = _texture(mid, 0.62 * x + 91.0, 0.62 * y + 13.0)
    h, e = 0.010, 0.022 + 0.022 * cloud
    if tissue == _T:
        share = _step(-0.02, 0.02, dead + 0.025 * (cloud - 0.5))
        if share < 1.0:
            h, e = _living_ground(dice, x, y, between, stroma, cloud, grain, mid, fibre)
        if share > 0.0:
            h2, e2 = _dead_ground(dice, x, y, dead, cloud, grain)
            h, e = h + share * (h2 - h), e + share * (e2 - e)
    elif tissue == _MUSCLE:
        h, e = _muscle(dice, x, y, between, grain, cloud, mid, fine)
    elif tissue == _EPIDERMIS:
        h, e = 0.10 + 0.04 * cloud, 0.20 + 0.05 * grain
        if under > -9.0:
            h, e = 0.03, 0.32 + 0.12 * _texture(fibre, 0.5 * x, 3.0 * under)
    elif tissue == _FLUID:
        e = 0.026 + 0.024 * cloud + 0.012 * grain
    else:
        h, e = _connective(tissue, x, y, between, grain, cloud, mid, fibre)
    return h, e


# ---------------------------------------------------------------------- cells
@_INLINE
def _fragments(dice, k, u, v, count, size, spread):
    """How deep a place is in one of a few dense balls (1 in the middle, 0 outside)."""
    found = -1.0
    for f in range(count):
        angle, away = dice[k & 4095, 20 + f], spread * np.sqrt(_hash(dice, k, 40 + f))
        r = size * (0.5 + 0.9 * _hash(dice, k, 60 + f))
        du, dv = u - away * _COSINE[angle], v - away * _SINE[angle]
        found = max(found, 1.0 - np.sqrt(du * du + dv * dv) / r)
    return found


@_INLINE
def _outline(dice, k, u, v, e, rough):
    """Distance from the middle of a nucleus whose outline is uneven: low harmonics and, in some, a cleft."""
    inverse = 1.0 / max(e, 0.25)
    c, s = u * inverse, v * inverse
    c2, s2 = c * c - s * s, 2.0 * c * s
    c3, s3 = c * c2 - s * s2, s * c2 + c * s2
    bump = (_hash(dice, k, 31) - 0.5) * c3 + (_hash(dice, k, 32) - 0.5) * s3 + (_hash(dice, k, 33) - 0.5) * (c2 * c2 - s2 * s2)
    turn = 2.0 * _hash(dice, k, 34) - 1.0
    cleft = _step(0.80, 1.0, c * turn + s * (1.0 - abs(turn))) * (1.2 if _hash(dice, k, 35) < 0.35 else 0.0)
    return e * (1.0 + rough * (1.5 * bump + cleft))


@_INLINE
def _mitosis(dice, k, u, v, x, y, mid):
    """Distance from chromosomes of a dividing cell, about 1 at their edge."""
    fuzz = 0.55 * (_texture(mid, 6.5 * x, 6.5 * y) - 0.5)
    stage = _hash(dice, k, 7)
    if stage < 0.42:  # metaphase plate, seen from the side
        d = np.sqrt((u / 0.95) ** 4 + (v / 0.30) ** 4) ** 0.5
    elif stage < 0.58:  # anaphase and telophase
        apart = 0.45 + 0.35 * _hash(dice, k, 17)
        d = np.sqrt((u / 0.78) ** 4 + ((abs(v) - apart + 0.16 * u * u) / 0.24) ** 4) ** 0.5
    elif stage < 0.8:  # a plate from above
        d = abs(np.sqrt(u * u + v * v) - 0.36) / 0.42
    else:  # prometaphase: a knotted clump
        d = np.sqrt(u * u + 1.5 * v * v) / 0.72
        fuzz *= 1.9
    return d + fuzz


@_INLINE
def _nucleus(dice, kind, k, u, v, e, edge, x, y, thick, tone, look, fine, mid):
    """Haematoxylin of a nucleus at (u, v) in units of its half axes, e from the middle, and how much of it is there."""
    dark, contrast, rim, nucleoli = look[kind, 0], look[kind, 1], look[kind, 2], look[kind, 3]
    if kind == _GHOST:
        ring = _step(0.55, 0.95, e)
        shown = _step(1.0 + 2.0 * edge, 1.0 - 2.0 * edge, e) * (0.15 + 0.85 * _hash(dice, k, 9)) * (1.0 - 0.55 * tone)
        return dark * (0.5 + 0.5 * ring), shown
    if kind == _KARYORRHEXIS:
        d = _fragments(dice, k, u, v, 4 + int(5.0 * _hash(dice, k, 5)), 0.27, 1.2)
        if _hash(dice, k, 6) < 0.4:  # pyknosis: one shrunken ball
            d = 1.0 - e / (0.5 + 0.25 * _hash(dice, k, 16))
        return dark * (0.6 + 0.6 * _hash(dice, k, 15)), _step(-0.35, 0.40, d)
    if kind == _APOPTOTIC:
        d = _fragments(dice, k, u, v, 2 + int(3.0 * _hash(dice, k, 5)), 0.42, 0.62)
        return dark, _step(-0.15, 0.15, d)
    if kind == _MITOSIS:
        return dark, _step(1.30, 0.80, _mitosis(dice, k, u, v, x, y, mid))
    whole = _step(0.35, 0.85, thick)  # caps are pale, blurred and show no membrane
    edge += 0.30 * (1.0 - whole)
    shown = _step(1.0 + edge, 1.0 - edge, e)
    coarse = _texture(mid, 4.4 * x + 311.0 * _hash(dice, k, 1), 4.4 * y + 173.0 * _hash(dice, k, 2))
    small = _texture(fine, 2.7 * x + 97.0 * _hash(dice, k, 3), 2.7 * y)
    clump = _step(0.34, 0.80, 0.52 * coarse + 0.48 * small)
    h = dark * (1.0 - 0.52 * contrast + 1.05 * contrast * clump)
    h += dark * rim * whole * _step(0.76, 0.96, e) * (0.25 + 1.1 * coarse)
    for f in range(int(nucleoli * (0.6 + 1.6 * _hash(dice, k, 4)) * whole)):
        a, away = dice[k & 4095, 10 + f], 0.6 * _hash(dice, k, 13 + f)
        du, dv = u - away * _COSINE[a], v - away * _SINE[a]
        r = look[kind, 8] * (0.7 + 0.6 * _hash(dice, k, 18 + f))
        if du * du + dv * dv < 1.69 * r * r:
            h += 0.85 * dark * _step(1.30, 0.70, np.sqrt(du * du + dv * dv) / r)
    h *= (0.84 + 0.32 * _hash(dice, k, 8)) * (1.0 + 0.45 * tone)
    return h, shown


@_INLINE
def _cell(
    dice, what, k, q, q2, x, y, h, e, there, pixel, cx, cy, nuc_long, nuc_short, cosine, sine, body, thick, tone, look, fine, mid
):
    """Cytoplasm and nucleus over what lies there: haematoxylin and eosin."""
    dx, dy = x - cx, y - cy
    granular = np.float32(1.0) + look[what, 6] * (_speckle(fine, 2.1 * x + 40.0, 2.1 * y + 9.0) - 0.5)
    body_h, body_e = look[what, 4] * granular, look[what, 5] * granular
    if what == _MACROPHAGE:  # foamy: vacuoles paler than the septa between them, and a border that shows
        bubble = _step(0.40, 0.70, _texture(mid, 2.3 * x + 20.0, 2.3 * y))
        rim = _step(0.80, 0.96, q)
        body_h = body_h * (1.20 - 0.40 * bubble) + 0.02 * rim
        body_e = body_e * (1.20 - 0.50 * bubble) + 0.09 * rim
    elif what in (_GHOST, _KARYORRHEXIS):
        uneven = (0.72 + 0.5 * _hash(dice, k, 14)) * (1.0 - 0.30 * tone)
        body_e = uneven * body_e * (0.82 + 0.30 * _step(0.68, 0.98, q))
    elif what <= _APOPTOTIC:
        uneven = 0.82 + 0.36 * _hash(dice, k, 14)
        body_h = body_h * uneven * (1.0 - 0.35 * tone)
        body_e = body_e * uneven + (0.05 + 0.7 * look[what, 4]) * tone + look[what, 9] * _step(0.80, 1.0, q)
        cleft = 1.0 - 0.32 * _step(0.15, 0.0, q2 - q)  # between neighbours that touch
        body_h, body_e = body_h * cleft, body_e * cleft
    e += there * (body_e - e)
    h += there * (body_h - h)
    u = (cosine * dx + sine * dy) / nuc_long
    w = (cosine * dy - sine * dx) / nuc_short
    if what == _MACROPHAGE:  # kidney-shaped and to one side
        u, w = u + 0.35, w - 0.55 + 0.35 * u * u
    r = np.sqrt(u * u + w * w)
    if r < 1.4 or (what == _KARYORRHEXIS and r < 1.75):
        if look[what, 7] > 0.0:
            r = _outline(dice, k, u, w, r, look[what, 7])
        edge = 0.42 * pixel / nuc_short + 0.06
        dark, shown = _nucleus(dice, what, k, u, w, r, edge, x, y, thick, tone, look, fine, mid)
        h += shown * (thick * dark - h)
        e += shown * (0.135 - 0.72 * e)
    if what == _MACROPHAGE:  # what it swallowed: dust of nuclei in a vacuole, and pink remains
        scale = np.float32(1.0) / body
        du, dv = scale * (cosine * dx + sine * dy), scale * (cosine * dy - sine * dx)
        deep = _fragments(dice, k, du, dv + 0.12, 2 + int(5.0 * _hash(dice, k, 5)), 0.145, 0.60)
        round_it = _step(-0.75, -0.35, deep) * there
        h -= 0.7 * round_it * min(h, 0.06)
        e += round_it * (0.07 - 0.6 * e) * _step(0.30, 0.0, deep)
        dust = _step(0.0, 0.30, deep) * there
        dark = (0.35 + 0.5 * _hash(dice, k, 16)) * _step(0.15, 0.45, _hash(dice, k, 6))
        h += dust * (dark - 0.5 * h)
        e += dust * (0.30 - 0.5 * e)
    return h, e


@_INLINE
def _vessel(v, q, x, y, h, e, status, short, fine, mid):
    """Wall and lumen of a vessel over what lies there: haematoxylin, eosin, and how much of the place is lumen."""
    thick = (0.8 + 1.1 * _texture(mid, 0.9 * x + 7.0, 0.9 * y)) / short
    grain = _speckle(fine, 1.7 * x, 1.7 * y)
    ring = _step(0.98, 1.0 + 0.4 * thick, q) * _step(1.0 + thick + 1.1 / short, 1.0 + 0.8 * thick, q)
    inside = np.float32(0.0)
    if status == _DESTROYED:  # smudged: fibrin and dust where the wall was
        smudge = _step(1.6, 0.7, q)
        ring *= 0.6 * _step(0.40, 0.60, _texture(mid, 1.5 * x, 1.5 * y))
        e += smudge * (0.08 + 0.22 * grain)
        h += smudge * 0.10 * _step(0.5, 0.9, _texture(mid, 2.4 * x, 2.4 * y))
    else:
        inside = np.float32(_step(1.08, 0.95, q))
        plasma = 0.24 if status == _STAGNANT else 0.03
        e += inside * (plasma + 0.03 * grain - e)
        h += inside * (0.008 - h)
        around = _step(1.0 + 3.6 / short, 1.0 + thick, q) * (1.0 - inside)
        e += around * 0.045 * grain
    e += ring * (0.19 + 0.05 * grain - 0.6 * e)
    h += ring * 0.05
    return h, e, inside


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
    ragged = 0.45 * fast + 3.2 * (_texture(mid, 0.20 * x + 55.0, 0.20 * y) - 0.5)
    a, b = min(max(int(mx + ragged), 0), columns - 1), min(max(int(my - ragged), 0), rows - 1)
    t, z = int(tissue[b, a]), int(zone[b, a])
    if t in (_T, _CAPSULE):
        if _map(depth, mx, my) < 0.0:
            return _T, min(z, cores - 1)
        return _CAPSULE, max(z, cores)
    return t, z


@_LOOP
def stain_he(left, n, pixel, xs, ys, layers, maps, shares, cells, vessels, look, textures, out):
    """Haematoxylin, eosin and haemoglobin of every pixel into `out` (3, n, n)."""
    near, second, own, red, red_own, wall, wall_own = layers
    pitch, x0, y0, tissue, zone, necrosis, depth, rim, cores = maps
    between, stroma = shares
    kind, cx, cy, nuc_long, nuc_short, cosine, sine, body, thick, tone = cells
    status, short = vessels
    fine, mid, fibre, dice = textures
    for j in range(n):
        for i in range(n):
            x, y = xs[j, i], ys[j, i]
            mx, my = (x - x0) / pitch, (y - y0) / pitch
            t, z = _at(tissue, zone, depth, mx, my, x, y, x - left - (i + 0.5) * pixel, mid, cores)
            if t == _G or z < 0:
                out[0, j, i], out[1, j, i], out[2, j, i] = 0.0, 0.0, 0.0
                continue
            k, q, q2 = own[j, i], near[j, i], second[j, i]
            what = _ADIPOCYTE
            there = np.float32(0.0)
            if k >= 0:
                what = kind[k]
                if what != _ADIPOCYTE:
                    soften = 0.5 * pixel / body[k] + 0.05
                    there = _step(1.0 + soften, 1.0 - soften, q)
            h, e = np.float32(0.0), np.float32(0.0)
            if there < 0.97:
                dead, under = np.float32(-1.0), np.float32(-100.0)
                if t == _T:
                    dead = _map(necrosis, mx, my)
                if t == _EPIDERMIS:
                    under = _map(depth, mx, my) - rim
                h, e = _ground(dice, t, x, y, between[z], stroma[z], dead, under, fine, mid, fibre)
            inside = np.float32(0.0)
            v = wall_own[j, i]
            if v >= 0:
                h, e, inside = _vessel(v, wall[j, i], x, y, h, e, status[v], short[v], fine, mid)
            if what == _ADIPOCYTE:
                if k >= 0 and t == _FAT and inside < 0.5:
                    lumen = _step(1.55, 1.45, q) * _step(0.008, 0.05, q2 - q)
                    if q2 > 8.0:
                        lumen = _step(1.18, 1.10, q)
                    e += lumen * (0.006 - e)
                    h += lumen * (0.002 - h)
            elif inside < 0.5 or what == _ENDOTHELIUM:
                h, e = _cell(
                    dice, what, k, q, q2, x, y, h, e, there, pixel, cx[k], cy[k], nuc_long[k], nuc_short[k], cosine[k], sine[k],
                    body[k], thick[k], tone[k], look, fine, mid,
                )
            blood = np.float32(0.0)
            if red_own[j, i] >= 0:
                q = red[j, i]
                blood = _step(1.10, 0.84, q) * (0.76 + 0.24 * _step(0.05, 0.75, q))
                if k >= 0:
                    blood *= 1.0 - min(h * 1.6, 0.85)
                e += blood * (0.27 - 0.7 * e)
                h *= 1.0 - 0.6 * blood
                blood *= 0.25
            elif inside > 0.5 and v >= 0 and status[v] == _STAGNANT:
                blood = np.float32(0.20 * inside)  # sludge between packed cells
            out[0, j, i], out[1, j, i], out[2, j, i] = h, e, blood


@_INLINE
def _counterstained(dice, t, x, y, between, stroma, dead, under, fine, mid, fibre):
    """Faint haematoxylin and brown of what lies between cells: denser where eosin would be."""
    _, e = _ground(dice, t, x, y, between, stroma, dead, under, fine, mid, fibre)
    return np.float32(0.012 + 0.30 * e), np.float32(0.004 + 0.050 * e)


@_INLINE
def _wall(v, q, x, y, h, d, status, short, fluorescent, grain, mid):
    """Lumen over what lies there, and how much of the place is lumen and wall."""
    wide = (1.0 + 1.3 * _texture(mid, 0.9 * x + 7.0, 0.9 * y)) / short
    ring = np.float32(_step(0.94, 1.03, q) * _step(1.0 + wide + 0.15, 1.0 + wide, q))
    inside = np.float32(0.0)
    if status == _DESTROYED:
        ring *= 0.5 * _step(0.5, 0.6, _texture(mid, 1.5 * x, 1.5 * y))
    else:
        inside = np.float32(_step(1.02, 0.95, q))
        h, d = h * (1.0 - inside), d * (1.0 - inside)
        if status == _STAGNANT and not fluorescent:  # sludge between packed cells
            h, d = h + 0.10 * inside, d + 0.045 * inside
    return h, d, inside, ring * (0.65 + 0.7 * grain)


@_LOOP
def stain_markers(
    left, n, pixel, xs, ys, layers, maps, shares, cells, vessels, fluorescent, flag, recipe, vessel_level, look, textures, out
):
    """Nuclear counterstain and markers of every pixel into `out` (1 + markers, n, n).

    `recipe` holds per marker and kind how strongly nucleus, outline and cytoplasm carry it; `flag`, shape (markers, cells), which
    cells do at all; `vessel_level` how strongly walls of vessels do. In `fluorescent` pictures only what is stained shows.
    """
    near, _, own, red, red_own, wall, wall_own = layers
    pitch, x0, y0, tissue, zone, necrosis, depth, rim, cores = maps
    between, stroma = shares
    kind, cx, cy, nuc_long, nuc_short, cosine, sine, body, thick, tone = cells
    fine, mid, fibre, dice = textures
    status, short = vessels
    markers = vessel_level.size
    for j in range(n):
        for i in range(n):
            x, y = xs[j, i], ys[j, i]
            mx, my = (x - x0) / pitch, (y - y0) / pitch
            for m in range(markers + 1):
                out[m, j, i] = 0.0
            t, z = _at(tissue, zone, depth, mx, my, x, y, x - left - (i + 0.5) * pixel, mid, cores)
            if t == _G or z < 0:
                continue
            grain = _speckle(fine, 2.0 * x, 2.0 * y)
            dead, under = np.float32(-1.0), np.float32(-100.0)
            if t == _T:
                dead = _map(necrosis, mx, my)
            if fluorescent:
                h, d = np.float32(0.018 + 0.022 * grain), np.float32(0.010 + 0.008 * grain)
            else:
                if t == _EPIDERMIS:
                    under = _map(depth, mx, my) - rim
                h, d = _counterstained(dice, t, x, y, between[z], stroma[z], dead, under, fine, mid, fibre)
            inside, ring = np.float32(0.0), np.float32(0.0)
            v = wall_own[j, i]
            if v >= 0:
                h, d, inside, ring = _wall(v, wall[j, i], x, y, h, d, status[v], short[v], fluorescent, grain, mid)
            k = own[j, i]
            there, shown, line = np.float32(0.0), np.float32(0.0), np.float32(0.0)
            what = _ADIPOCYTE
            if k >= 0 and kind[k] != _ADIPOCYTE and (inside < 0.5 or kind[k] == _ENDOTHELIUM):
                what = kind[k]
                q = near[j, i]
                soften = 0.5 * pixel / body[k] + 0.06
                there = np.float32(_step(1.0 + soften, 1.0 - soften, q))
                line = np.float32(_step(0.50, 0.92, q) * (0.6 + 0.8 * _texture(mid, 2.6 * x, 2.6 * y)))
                if not fluorescent:
                    cover = there * np.float32(0.8)
                    tint = np.float32(0.085 + 0.10 * look[what, 5]) * (0.6 + 0.8 * grain)
                    h, d = h + cover * (tint - h), d + cover * (0.012 - d)
                dx, dy = x - cx[k], y - cy[k]
                u = (cosine[k] * dx + sine[k] * dy) / nuc_long[k]
                w = (cosine[k] * dy - sine[k] * dx) / nuc_short[k]
                if what == _MACROPHAGE:
                    u, w = u + 0.35, w - 0.55 + 0.35 * u * u
                r = np.sqrt(u * u + w * w)
                if r < 1.4 or (what == _KARYORRHEXIS and r < 1.75):
                    if look[what, 7] > 0.0:
                        r = _outline(dice, k, u, w, r, look[what, 7])
                    edge = 0.42 * pixel / nuc_short[k] + 0.06
                    dark, full = _nucleus(dice, what, k, u, w, r, edge, x, y, thick[k], tone[k], look, fine, mid)
                    shown = np.float32(full)
                    h += shown * (thick[k] * dark - h)
            elif k >= 0 and kind[k] == _ADIPOCYTE and t == _FAT and inside < 0.5:
                h, d = 0.2 * h, 0.2 * d
            blood = np.float32(0.0)
            if red_own[j, i] >= 0 and not fluorescent:  # unstained, but not clear
                q = red[j, i]
                blood = np.float32(_step(1.10, 0.84, q) * (0.70 + 0.30 * _step(0.05, 0.75, q)) * (1.0 - min(1.6 * h, 0.85)))
                h += 0.10 * blood
            out[0, j, i] = h
            for m in range(markers):
                a = d + vessel_level[m] * ring
                if what != _ADIPOCYTE:
                    level = flag[m, k]
                    a += there * level * (recipe[m, what, 1] * line + recipe[m, what, 2] * (0.6 + 0.8 * grain))
                    a = a * (1.0 - 0.75 * shown) + shown * level * recipe[m, what, 0] * (0.7 + 0.6 * grain)
                out[1 + m, j, i] = a + 0.060 * blood
