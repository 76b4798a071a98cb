"""Putting it all down: everything that the state of a section says is there, without overlap and at natural size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from locokine.histology import noise, packing
from locokine.histology.counts import Plan, nucleus_diameter, plan_host, plan_immune, plan_tumour
from locokine.histology.kinds import ABOUT, Kind, counted_depth
from locokine.histology.scene import DESTROYED, Cells, Scene, Vessels, as_cells, joined
from locokine.histology.section import PITCH, Section, Tissue, distance_to
from locokine.histology.state import MITOSIS_HOURS
from locokine.histology.vessels import endothelium, erythrocytes, mark, obstacles, place_vessels, starved

Array = NDArray[np.float64]
Map = NDArray[np.float32]

PYKNOSIS = 0.82
"""Radius of the nucleus of a dead cell relative to a living one (assumed; it shrinks before it breaks up)."""
ADIPOCYTE_COVER = 0.62
"""Share of fat tissue that discs of adipocytes take before they are drawn as polygons."""


def populate(section: Section, seed: int) -> Scene:
    """Place everything that the state of a section says is there."""
    plan = Plan(section, seed)
    vessels = place_vessels(section, plan, seed)
    near = distance_to(mark(section, vessels.x, vessels.y, vessels.status != DESTROYED))
    necrosis, hypoxia = starved(section, vessels, seed)
    plan_tumour(section, plan, necrosis)
    plan_immune(section, plan, near, necrosis)
    plan_host(section, plan)
    cells, overlap = _place(section, plan, vessels, necrosis, hypoxia, seed)
    cells = joined(cells, endothelium(section, vessels, seed))
    _fill(section, cells, vessels, necrosis)
    red = erythrocytes(section, plan, cells, vessels, near, seed)
    return Scene(section, joined(cells, red), vessels, necrosis, hypoxia, plan.expected, overlap)


def _place(
    section: Section, plan: Plan, vessels: Vessels, necrosis: Map, hypoxia: Map, seed: int
) -> tuple[Cells, float]:
    """Put every planned profile down without overlap, around the vessels and the fat cells."""
    cell, kind = np.concatenate(plan.cell), np.concatenate(plan.kind)
    zone, counted = np.concatenate(plan.zone), np.concatenate(plan.counted)
    random = noise.stream(seed, "sizes")
    n = cell.size
    full = np.array([nucleus_diameter(section, Kind(k)) for k in range(Kind.ADIPOCYTE)])[kind]
    depth = (random.random(n) - 0.5) * (section.thickness + full)
    outside = np.maximum(np.abs(depth) - 0.5 * section.thickness, 0.0)
    radius = np.sqrt(np.maximum((0.5 * full) ** 2 - outside**2, (0.2 * full) ** 2))
    held = np.minimum(depth + 0.5 * full, 0.5 * section.thickness) - np.maximum(depth - 0.5 * full, -0.5 * section.thickness)
    thick = np.clip(held / min(section.thickness, float(full.min())), 0.3, 1.0)
    pattern = section.state.pattern
    radius *= np.exp(np.where(kind <= Kind.KARYORRHEXIS, pattern.spread, 0.05) * random.standard_normal(n))
    radius *= np.where(np.isin(kind, (Kind.GHOST, Kind.APOPTOTIC)), PYKNOSIS, 1.0)
    shape = np.where(kind <= Kind.MITOSIS, pattern.aspect, np.array([a.aspect for a in ABOUT])[kind])
    aspect = np.maximum(shape * np.exp(0.08 * random.standard_normal(n)), 1.0)
    fat_x, fat_y, fat_r = _adipocytes(section, vessels, seed)
    ox, oy, orr = obstacles(vessels)
    start = ox.size + fat_x.size
    label = section.zone.astype(np.int32) * 64 + section.tissue.astype(np.int32) * 2 + (necrosis > 0.0)
    # large ones first: small ones find room between them
    order = np.argsort(-radius, kind="stable")
    x, y = np.concatenate([ox, fat_x, np.zeros(n)]), np.concatenate([oy, fat_y, np.zeros(n)])
    r = np.concatenate([orr, 0.93 * fat_r, np.sqrt(np.minimum(aspect, 2.0))[order] * radius[order]])
    at = np.concatenate([np.zeros(start, dtype=np.int64), cell[order]])
    home = np.concatenate([np.zeros(start, dtype=np.int32), label.ravel()[cell[order]]])
    before = r[start:].copy()
    _, overlap = packing.place(
        x, y, r, at, label, home, section.x0, section.y0, PITCH, 0.9, start, noise.key(seed, "cells"), 0.25, 64
    )
    scale = r[start:] / before
    rows = ((y[start:] - section.y0) / PITCH).astype(int)
    columns = ((x[start:] - section.x0) / PITCH).astype(int)
    tangent = np.arctan2(y[start:], x[start:]) + 0.5 * np.pi
    kind, zone, counted, radius = kind[order], zone[order], counted[order], radius[order] * scale
    layered = np.isin(section.tissue[rows, columns], (Tissue.CAPSULE, Tissue.DERMIS, Tissue.EPIDERMIS))
    angle = np.where(layered | (kind == Kind.MESOTHELIUM), tangent + 0.3 * random.standard_normal(n), random.random(n) * np.pi)
    angle = np.where(kind == Kind.MYOCYTE, 0.08 * random.standard_normal(n), angle)
    cells = Cells(
        x=x[start:],
        y=y[start:],
        nucleus=radius.astype(np.float32),
        body=np.zeros(n, dtype=np.float32),
        thick=thick[order].astype(np.float32),
        aspect=aspect[order].astype(np.float32),
        angle=angle.astype(np.float32),
        kind=kind.copy(),
        zone=zone,
        proliferating=np.zeros(n, dtype=bool),
        hypoxic=np.zeros(n, dtype=bool),
        from_state=counted,
    )
    _states(section, cells, necrosis[rows, columns], hypoxia[rows, columns], random)
    return joined(cells, as_cells(fat_x, fat_y, 0.0 * fat_r, fat_r, Kind.ADIPOCYTE, section)), overlap


def _adipocytes(section: Section, vessels: Vessels, seed: int) -> tuple[Array, Array, Array]:
    """Fat cells, packed where there is fat."""
    where = section.inside(Tissue.FAT)
    random = noise.stream(seed, "fat cells")
    mean = 0.5 * ABOUT[Kind.ADIPOCYTE].cell
    count = int(where.sum() * PITCH**2 * ADIPOCYTE_COVER / (np.pi * mean**2))
    cell = packing.choose(where.astype(np.float32), count, random.random(count))
    radius = np.clip(mean * np.exp(0.18 * random.standard_normal(count)), 14.0, 42.0)
    radius = np.sort(radius)[::-1].copy()
    random.shuffle(cell)
    k = vessels.x.size
    x, y = np.concatenate([vessels.x, np.zeros(count)]), np.concatenate([vessels.y, np.zeros(count)])
    r = np.concatenate([vessels.long.astype(np.float64), radius])
    at = np.concatenate([np.zeros(k, dtype=np.int64), cell])
    home = np.concatenate([np.zeros(k, dtype=np.int32), np.ones(count, dtype=np.int32)])
    label = where.astype(np.int32)
    packing.place(x, y, r, at, label, home, section.x0, section.y0, PITCH, 1.0, k, noise.key(seed, "fat cells"), 0.3)
    return x[k:], y[k:], r[k:]


def _states(section: Section, cells: Cells, necrosis: Map, hypoxia: Map, random: np.random.Generator) -> None:
    """Which of the living divide (where there is oxygen), which of the dead are fresh (at the edge)."""
    state = section.state
    living = np.flatnonzero(cells.kind == Kind.TUMOUR)
    starved = hypoxia[living] + 0.25 * random.standard_normal(living.size)
    order = living[np.argsort(starved, kind="stable")]
    growing = min(state.births / max(state.parameters["birth_rate"], 1e-9), 1.0)
    cells.proliferating[order[: round(growing * living.size)]] = True
    dividing = random.permutation(order[: round(growing * living.size)])
    cells.kind[dividing[: round(min(state.births * MITOSIS_HOURS, 0.2) * living.size)]] = Kind.MITOSIS
    dead = np.flatnonzero(cells.kind == Kind.GHOST)
    edge = necrosis[dead] + 0.04 * random.standard_normal(dead.size)
    fresh = dead[np.argsort(edge, kind="stable")[: round(min(state.died, 0.9) * dead.size)]]
    cells.kind[fresh] = Kind.KARYORRHEXIS
    immune = cells.of(Kind.CD8, Kind.LAK)
    cells.proliferating |= immune & (random.random(len(cells)) < 0.25)
    tumour = cells.of(Kind.TUMOUR, Kind.MITOSIS)
    cells.hypoxic[:] = False
    # of every compartment's living cells as many as the state says: those where oxygen is least likely
    least = -(hypoxia + 0.03 * random.standard_normal(len(cells)))
    share = np.clip(section.compartments["hypoxic_fraction"], 0.0, 1.0)
    living = np.bincount(cells.zone[tumour], minlength=share.size)
    # rounded so that the sum over compartments stays right: where few live, each would round to none
    counts = np.diff(np.round(np.concatenate([[0.0], np.cumsum(share * living)]))).astype(int)
    for z, count in enumerate(counts):
        mine = np.flatnonzero(tumour & (cells.zone == z))
        cells.hypoxic[mine[np.argsort(least[mine], kind="stable")[:count]]] = True


def _fill(section: Section, cells: Cells, vessels: Vessels, necrosis: Map) -> None:
    """Make cell bodies as large as they must be to cover the state's share of living tissue, compartment by compartment.

    For random points outside vessels, the distance to the nearest cell in units of its size tells which scale covers which share.
    """
    state = section.state
    volume = state.parameters["cell_volume"] * 1e9
    depth = counted_depth(section.thickness, nucleus_diameter(section, Kind.TUMOUR))
    own = np.sqrt(volume / depth / np.pi)
    fixed = np.array([a.cell / a.nucleus if a.nucleus else 1.0 for a in ABOUT])[cells.kind]
    spread = np.exp(0.08 * noise.stream(section.seed, "bodies").standard_normal(len(cells)))
    tumour = cells.kind <= Kind.KARYORRHEXIS
    # a thin profile of the nucleus goes with a thin one of the cell, though less so
    relative = 0.55 + 0.45 * cells.nucleus / max(float(cells.nucleus[tumour].mean()) if tumour.any() else 1.0, 1e-6)
    body = np.where(tumour, own * spread * relative, cells.nucleus * fixed)
    body = np.where(cells.kind == Kind.ADIPOCYTE, cells.body, body)
    body = np.where(cells.kind == Kind.APOPTOTIC, 0.75 * body, body)
    random = noise.stream(section.seed, "fill")
    share = 1.0 - section.compartments["seen_fluid"] - section.compartments["seen_stroma"]
    ghost = 0.86
    walls = (vessels.x, vessels.y, (1.12 * np.sqrt(vessels.long * vessels.short) + 1.5).astype(np.float64))
    other = ~tumour & (cells.kind != Kind.ADIPOCYTE)
    width, height = section.size
    reach = (width, height, section.x0, section.y0)
    for z in range(state.core.size):
        if not state.core[z]:
            continue
        for dead in (False, True):
            where = (section.zone == z) & section.inside(Tissue.TUMOUR, Tissue.FLUID) & ((necrosis > 0.0) == dead)
            mine = tumour & (cells.zone == z) & (cells.of(Kind.GHOST, Kind.KARYORRHEXIS) == dead)
            places = np.flatnonzero(where)
            if places.size < 50 or mine.sum() < 20:
                continue
            at = places[random.integers(0, places.size, 8000)]
            px = section.x0 + PITCH * (at % section.shape[1] + random.random(at.size))
            py = section.y0 + PITCH * (at // section.shape[1] + random.random(at.size))
            outside = packing.reach_of(px, py, *walls, *reach) > 1.0
            px, py = px[outside], py[outside]
            taken = packing.reach_of(px, py, cells.x[other], cells.y[other], body[other].astype(np.float64), *reach) < 1.0
            near = packing.reach_of(px, py, cells.x[mine], cells.y[mine], body[mine].astype(np.float64), *reach)
            wanted = ghost if dead else float(np.clip(share[z], 0.02, 0.93))
            left = (wanted - taken.mean()) / max(1.0 - float(taken.mean()), 1e-6)
            scale = float(np.quantile(near[~taken], np.clip(left, 0.0, 1.0)))
            body[mine] *= np.clip(scale, 0.6, 2.2)
    least = 1.06 * cells.nucleus * np.where(cells.kind == Kind.GHOST, 0.0, 1.0)
    cells.body = np.maximum(body, least).astype(np.float32)
