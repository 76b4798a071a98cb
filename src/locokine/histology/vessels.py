"""Vessels and blood: where vessels lie, which are open, what starves for want of them, and erythrocytes in and outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtri

from locokine.histology import noise, packing
from locokine.histology.counts import Plan, profiles
from locokine.histology.kinds import ABOUT, ERYTHROCYTE_VOLUME, Kind
from locokine.histology.scene import DESTROYED, PERFUSED, STAGNANT, Cells, Vessels, as_cells, joined
from locokine.histology.section import PITCH, Section, Tissue, distance_to

Array = NDArray[np.float64]
Map = NDArray[np.float32]


LENGTHWISE, SLITS = 0.22, 0.12
"""Shares of capillary profiles that are cut lengthwise, and that are collapsed to slits (assumed)."""
REACH = 40.0
"""How far from its middle a vessel may reach, µm, so that tiles that it touches all paint it."""
FRAY = 0.07
"""How far the border of necrosis frays at the scale of single cells, in standard deviations of the field it is cut from."""


def place_vessels(section: Section, plan: Plan, seed: int) -> Vessels:
    """Vessel profiles: density, open share and recent loss are the state's."""
    state, areas = section.state, plan.areas()
    solid = section.inside(Tissue.GLASS, Tissue.EPIDERMIS, Tissue.TRACK, Tissue.FLUID)
    weight = np.where(solid, 0.0, 1.0).astype(np.float32)
    has = np.array([bool(np.any(weight.ravel()[place] > 0.0)) for place in plan.places])
    density = np.where(has, section.compartments["vessel_density"], 0.0)
    lost = np.where(has, section.compartments["lost_vessels"], 0.0)
    plan.expected["vessel"] = density * areas
    patch = noise.field(seed, "patency", section.shape, (10.0, 10.0)).ravel()
    random = noise.stream(seed, "vessels")
    at, status, zones = [], [], []
    for z, places in enumerate(plan.spots("vessel", density * areas, weight)):
        order = np.argsort(patch[places] + 0.7 * random.standard_normal(places.size))
        shut = np.ones(places.size, dtype=np.uint8) * STAGNANT
        shut[order[: round(places.size * float(section.compartments["open"][z]))]] = PERFUSED
        at.append(places)
        status.append(shut)
        zones.append(np.full(places.size, z, dtype=np.int16))
    for z, places in enumerate(plan.spots("lost vessel", lost * areas, weight)):
        at.append(places)
        status.append(np.full(places.size, DESTROYED, dtype=np.uint8))
        zones.append(np.full(places.size, z, dtype=np.int16))
    cell, state_of = np.concatenate(at), np.concatenate(status)
    n = cell.size
    radius = 1000.0 * state.parameters["vessel_radius"] * np.exp(0.3 * random.standard_normal(n) - 0.045)
    in_host = section.depth.ravel()[cell] > 0.0
    radius = np.clip(radius * np.where(in_host & (random.random(n) < 0.08), 2.2, 1.0), 3.5, 28.0)
    radius = np.where(state_of == STAGNANT, 1.2 * radius, radius)
    aspect = 1.0 + np.abs(0.5 * random.standard_normal(n))
    aspect = np.where(section.tissue.ravel()[cell] == Tissue.CAPSULE, aspect + 0.6, aspect)
    # a plane cuts many capillaries lengthwise, and without flow some are slits; what reaches far is kept short enough to paint
    shape, fine = random.random(n), radius < 12.0
    aspect = np.where(fine & (shape < LENGTHWISE), 3.0 + 2.5 * random.random(n), aspect)
    radius = np.where(fine & (shape < LENGTHWISE), 1.35 * radius, radius)
    slit = fine & (shape > 1.0 - SLITS) & (state_of != STAGNANT)
    aspect, radius = np.where(slit, 4.5, aspect), np.where(slit, 0.62 * radius, radius)
    label = np.where(section.tissue == Tissue.TUMOUR, 1, 0).astype(np.int32) + 2 * section.zone.astype(np.int32)
    x, y, r = np.zeros(n), np.zeros(n), radius * np.sqrt(aspect) + 2.0
    packing.place(
        x, y, r, cell, label, label.ravel()[cell], section.x0, section.y0, PITCH, 4.0, 0, noise.key(seed, "vessels"), 0.5
    )
    scale = (r - 2.0) / (radius * np.sqrt(aspect))
    tangent = np.arctan2(y, x) + 0.5 * np.pi
    capsule = section.tissue.ravel()[cell] == Tissue.CAPSULE
    angle = np.where(capsule, tangent + 0.2 * random.standard_normal(n), random.random(n) * np.pi)
    long, short = radius * np.sqrt(aspect) * scale, radius / np.sqrt(aspect) * scale
    long = np.maximum(np.minimum(long, REACH / (1.0 + 3.6 / short)), short)
    axes = long.astype(np.float32), short.astype(np.float32)
    return Vessels(x, y, *axes, angle.astype(np.float32), state_of, np.concatenate(zones))


def mark(section: Section, x: Array, y: Array, which: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells of the map that hold a marked point."""
    found = np.zeros(section.shape, dtype=bool)
    found[((y[which] - section.y0) / PITCH).astype(int), ((x[which] - section.x0) / PITCH).astype(int)] = True
    return found


def starved(section: Section, vessels: Vessels, seed: int) -> tuple[Map, Map]:
    """Maps above 0 where tumour is dead, and where what lives is hypoxic; their areas are the state's.

    Places are ordered by how unlikely so great a distance to an open vessel would be if vessels lay at random
    (1 - exp(-π n d²), evenly distributed whatever the density n), blurred by a random field; the state's share of the area
    is then cut off from the top, necrosis first, so that hypoxia lies around it.
    """
    tumour = section.inside(Tissue.TUMOUR)
    area, share = section.of("necrotic_area"), section.of("hypoxic_fraction")
    if not tumour.any():
        none = np.full(section.shape, -1.0, dtype=np.float32)
        return none, none
    distance = distance_to(mark(section, vessels.x, vessels.y, vessels.status == PERFUSED))
    density = np.maximum(section.of("vessel_density") * section.of("open"), 0.5) * 1e-6
    far = np.clip(1.0 - np.exp(-np.pi * density * distance**2), 1e-4, 1.0 - 1e-4)
    patches = noise.field(seed, "necrosis", section.shape, (15.0, 15.0))
    patches += 0.5 * noise.field(seed, "necrosis fine", section.shape, (5.0, 5.0))
    order = ndimage.gaussian_filter(ndtri(far).astype(np.float32) * 0.8 + 0.55 * patches, 1.6)
    order += FRAY * noise.field(seed, "necrosis border", section.shape, (0.9, 0.9))
    rank = np.zeros(section.shape, dtype=np.float32)
    for z in np.unique(section.zone[tumour]):  # every compartment has its own share; a little blur hides where they meet
        here = tumour & (section.zone == z)
        rank[here] = noise.ranked(order[here])
    share_near = np.maximum(ndimage.gaussian_filter(tumour.astype(np.float32), 1.0), 1e-3)
    rank = np.where(tumour, ndimage.gaussian_filter(rank, 1.0) / share_near, np.float32(0.0))
    rank[tumour] = noise.ranked(rank[tumour])
    dead = _cut(rank, area, tumour)
    hypoxic = _cut(rank, (area + share * (1.0 - area)).astype(np.float32), tumour)
    outside = np.float32(-1.0)
    return np.where(tumour, dead, outside), np.where(tumour, hypoxic, outside)


def _cut(rank: Map, share: Map, where: NDArray[np.bool_]) -> Map:
    """Map that is above 0 in the top `share` of places; shifted a little so that the whole area is exact."""
    margin = (rank - 1.0 + share)[where]
    wanted = float(share[where].sum())
    if wanted < 1.0:
        return np.full(rank.shape, -1.0, dtype=np.float32)
    shift = float(np.sort(margin)[max(round(margin.size - wanted) - 1, 0)])
    return (rank - 1.0 + share - shift).astype(np.float32)


def obstacles(vessels: Vessels) -> tuple[Array, Array, Array]:
    """Discs that cover every vessel, so that cells keep off it: up to seven along the long axis."""
    xs, ys, rs = [], [], []
    for step in np.linspace(-1.0, 1.0, 7):
        reach = np.maximum(vessels.long - vessels.short, 0.0) * step
        xs.append(vessels.x + reach * np.cos(vessels.angle))
        ys.append(vessels.y + reach * np.sin(vessels.angle))
        rs.append(vessels.short + 2.2)
    return np.concatenate(xs), np.concatenate(ys), np.concatenate(rs).astype(np.float64)


def endothelium(section: Section, vessels: Vessels, seed: int) -> Cells:
    """Nuclei in the walls of vessels: about one for every 22 µm of their outline."""
    random = noise.stream(seed, "endothelium")
    outline = np.pi * (vessels.long + vessels.short)
    count = np.maximum(np.round(outline / 22.0).astype(int), 1)
    count = np.where(vessels.status == DESTROYED, 1, count)
    owner = np.repeat(np.arange(count.size), count)
    first = np.repeat(np.cumsum(count) - count, count)
    turn = 2.0 * np.pi * ((np.arange(owner.size) - first) / count[owner] + random.random(count.size)[owner])
    turn += 0.35 * random.standard_normal(owner.size)
    u, v = (vessels.long[owner] + 1.0) * np.cos(turn), (vessels.short[owner] + 1.0) * np.sin(turn)
    c, s = np.cos(vessels.angle[owner]), np.sin(vessels.angle[owner])
    slope = np.arctan2(vessels.short[owner] * np.cos(turn), -vessels.long[owner] * np.sin(turn)) + vessels.angle[owner]
    made = as_cells(
        vessels.x[owner] + c * u - s * v, vessels.y[owner] + s * u + c * v,
        np.full(owner.size, 2.1) * np.exp(0.1 * random.standard_normal(owner.size)), np.full(owner.size, 2.4),
        Kind.ENDOTHELIUM, section,
    )
    made.angle = slope.astype(np.float32)
    made.aspect = np.full(owner.size, 3.4, dtype=np.float32)
    return made


def erythrocytes(
    section: Section, plan: Plan, cells: Cells, vessels: Vessels, near: Map, seed: int
) -> Cells:
    """Erythrocytes: outside vessels as many as the state says, in clusters; inside few, or packed where flow has stopped.

    Those outside are placed with the discs that are drawn, off nuclei and vessels; in crowds they shrink to `SMALLEST` of
    themselves and, if that is not enough, lie on each other, as they do in sections. Those inside vessels are packed as tightly.
    """
    random = noise.stream(seed, "blood")
    size = ABOUT[Kind.ERYTHROCYTE_OUTSIDE].nucleus
    density = section.compartments["erythrocyte_fraction"] / (ERYTHROCYTE_VOLUME * 1e-9)
    numbers = profiles(section, Kind.ERYTHROCYTE_OUTSIDE, density, plan.areas())
    cluster = np.exp(1.6 * noise.field(seed, "bleeding", section.shape, (7.0, 7.0)) + 1.2 * np.exp(-near / 30.0))
    cluster = np.where(section.inside(Tissue.TRACK), 25.0, cluster)
    cluster = np.where(section.inside(Tissue.GLASS, Tissue.EPIDERMIS), 0.0, cluster)
    cluster = np.where(section.inside(Tissue.MUSCLE, Tissue.FAT), 0.35 * cluster, cluster)
    cluster = np.where(section.inside(Tissue.FLUID), 1.0, cluster).astype(np.float32)  # a cavity is stirred
    name = ABOUT[Kind.ERYTHROCYTE_OUTSIDE].name
    plan.expected[name] = numbers
    spots = plan.spots(name, numbers, cluster, 0.42 * PITCH**2 / (np.pi * (0.5 * size) ** 2))
    cell = np.concatenate(spots)
    zone = np.concatenate([np.full(s.size, z, dtype=np.int16) for z, s in enumerate(spots)])
    keep = cells.kind != Kind.ADIPOCYTE
    ox, oy, orr = obstacles(vessels)
    fixed = np.concatenate([cells.x[keep], ox]), np.concatenate([cells.y[keep], oy])
    k, n = fixed[0].size, cell.size
    x, y = np.concatenate([fixed[0], np.zeros(n)]), np.concatenate([fixed[1], np.zeros(n)])
    drawn = 0.5 * size * np.exp(0.06 * random.standard_normal(n))
    r = np.concatenate([cells.nucleus[keep].astype(np.float64), orr, drawn])
    label = section.zone.astype(np.int32)
    at, home = np.concatenate([np.zeros(k, dtype=np.int64), cell]), np.concatenate([np.zeros(k, dtype=np.int32), zone])
    packing.place(
        x, y, r, at, label, home.astype(np.int32), section.x0, section.y0, PITCH, 0.2, k, noise.key(seed, "blood"), SMALLEST
    )
    radius = r[k:]
    outside = as_cells(x[k:], y[k:], radius, radius, Kind.ERYTHROCYTE_OUTSIDE, section, counted=True)
    outside.zone = zone
    return joined(outside, _blood_inside(section, vessels, size, random))


SMALLEST = 0.85
"""Least size of an erythrocyte where they are crowded, relative to one alone."""


def _blood_inside(section: Section, vessels: Vessels, size: float, random: np.random.Generator) -> Cells:
    """Erythrocytes in lumina, on a jittered hexagonal lattice: all of it where flow has stopped, some where it runs."""
    step = 0.80 * size
    xs, ys = [], []
    for v in np.flatnonzero(vessels.status != DESTROYED):
        close = 0.22 if vessels.status[v] == STAGNANT else 0.35  # packed ones touch the wall
        a, b = float(vessels.long[v]) - close * size, float(vessels.short[v]) - close * size
        if a <= 0.0 or b <= 0.0:
            a, b = 0.1, 0.1
        i, j = np.mgrid[-11:12, -8:9]
        u = step * (i + 0.5 * (j % 2)).ravel() + 0.16 * size * random.standard_normal(i.size)
        w = step * 0.87 * j.ravel() + 0.16 * size * random.standard_normal(i.size)
        inside = (u / a) ** 2 + (w / b) ** 2 <= 1.0
        if vessels.status[v] == PERFUSED:
            inside &= random.random(i.size) < 0.4
        c, s = np.cos(vessels.angle[v]), np.sin(vessels.angle[v])
        xs.append(vessels.x[v] + c * u[inside] - s * w[inside])
        ys.append(vessels.y[v] + s * u[inside] + c * w[inside])
    x = np.concatenate(xs) if xs else np.zeros(0)
    y = np.concatenate(ys) if ys else np.zeros(0)
    radius = 0.5 * size * np.exp(0.06 * random.standard_normal(x.size))
    return as_cells(x, y, radius, radius, Kind.ERYTHROCYTE_INSIDE, section)
