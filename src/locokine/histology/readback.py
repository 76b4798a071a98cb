"""Reading a slide as a pathologist would: fields of view, stain separation, segmentation, counting.

Nothing here looks at the cells that were placed: it sees pictures, the outline of the tumour (which a reader draws by hand), the
thickness of the section and the sizes of erythrocytes. `drawn_from` gives the same measures from the state, for comparison.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from locokine.histology.counts import immune_densities, profiles
from locokine.histology.kinds import ABOUT, ERYTHROCYTE_VOLUME, Kind, counted_depth
from locokine.histology.render import TILE, Painter, Picture
from locokine.histology.scene import Scene
from locokine.histology.section import PITCH, Tissue
from locokine.histology.stains import STAINS, WHITE, Stain, vectors

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
PIXEL = 0.5
"""µm per pixel of the fields that are read."""
FIELDS = (40, 20)
"""Fields of view that are read in the tumour and in the rim, at most."""
EDGE = 4
"""Pixels along the border of a field that filters make unsafe."""
RIM = 2
"""Pixels around an erythrocyte that are blurred into it."""
COARSE = 4
"""Pixels per side of the blocks in which whole areas are judged (2 µm)."""
CELL = 3.0
"""Standard deviation of the view in which a place is judged living or dead, in blocks (6 µm)."""
FLUID, CYTOPLASM, CLEFT = 0.085, 0.24, 0.045
"""Optical density of fluid with a little protein, of cytoplasm where a field shows too little, and of fluid between fibres."""
LIVING = 0.05
"""Share of a tumour that has to live for the fluid between its living cells to be read: in less there is nothing to measure."""
VESSEL = 80.0
"""Area from which a brown wall and what it surrounds count as a vessel, µm²: destroyed ones are in smaller pieces."""
SPARSE = 500.0
"""Living tumour cells per mm² of tumour from which their hypoxic share is read (some 7 % of those of an untreated lymphoma).

Tens of macrophages and stromal cells per mm² are taken for them, which changes the share of fewer by more than is allowed.
"""
SPINDLE = 2.2
"""Length by width from which a nucleus is a fibroblast's (a tumour cell's is 1.0 to 1.6)."""
SCORES = (0.002, 0.01, 0.03)
"""Volume fractions of extravasated erythrocytes from which the score is 1, 2 and 3 (assumed)."""


@dataclass(frozen=True)
class Measure:
    """One thing that is read from a slide: its name, unit, and the tolerance within which it meets the state.

    `absolute` and `relative` are added; counts add twice their own sampling error.
    """

    name: str
    unit: str
    meaning: str
    absolute: float
    relative: float


MEASURES: tuple[Measure, ...] = (
    Measure("oedema_fraction", "1", "fluid above that at rest / tumour with the swelling of its rim", 0.08, 0.0),
    Measure("interstitial_fraction", "1", "fluid between cells / living tumour", 0.05, 0.0),
    Measure("necrotic_area", "1", "dead tumour / tumour", 0.05, 0.05),
    Measure("hypoxic_fraction", "1", "pimonidazole-positive / living tumour cells", 0.06, 0.12),
    Measure("vessel_density", "1/mm2", "CD31-positive vessels per area of tumour", 2.0, 0.10),
    Measure("cd8_centre", "1/mm2", "CD8-positive cells per area of tumour", 2.0, 0.12),
    Measure("cd8_rim", "1/mm2", "CD8-positive cells per area of the rim of host tissue", 2.0, 0.12),
    Measure("erythrocyte_fraction", "1", "volume of extravasated erythrocytes / tumour", 0.002, 0.25),
)


def score(fraction: float) -> int:
    """Erythrocyte score 0 to 3."""
    return int(np.searchsorted(SCORES, fraction, side="right"))


# ---------------------------------------------------------------------- the state
def drawn_from(scene: Scene) -> dict[str, float]:
    """Measures and "living_cells" as the state has them: compartments weighted by their areas; nan for what has no meaning."""
    s, p = scene.section, scene.section.state.parameters
    f, state = s.compartments, s.state
    count = state.core.size
    solid = s.inside(Tissue.TUMOUR, Tissue.FLUID)
    rim = s.zone >= int(state.core.sum())
    area = np.bincount(s.zone[solid], minlength=count)[:count] * (PITCH * 1e-3) ** 2
    host = np.bincount(s.zone[rim], minlength=count)[:count] * (PITCH * 1e-3) ** 2

    def mean(values: Any, weight: Any) -> float:
        total = float(np.sum(weight))
        return float(np.sum(values * weight) / total) if total > 0.0 else 0.0

    alive = area * (1.0 - f["necrotic_area"])
    cd8 = profiles(s, Kind.CD8, immune_densities(s)[Kind.CD8], np.ones(count))
    between, rim_fluid = mean(f["between"], alive), mean(f["between"], host)
    dead = mean(f["necrotic_area"], area)
    living = mean(profiles(s, Kind.TUMOUR, np.where(state.core, f["viable_density"], 0.0), np.ones(count)), area)
    return {
        "oedema_fraction": oedema(between, rim_fluid, dead, area.sum(), host.sum(), p),
        "interstitial_fraction": between if dead <= 1.0 - LIVING else float("nan"),
        "necrotic_area": dead,
        "hypoxic_fraction": mean(f["hypoxic_fraction"], area * f["viable_density"]) if living >= SPARSE else float("nan"),
        "vessel_density": mean(f["vessel_density"], area) if state.geometry != "cavity" else 0.0,
        "cd8_centre": mean(cd8, area),
        "cd8_rim": mean(cd8, host),
        "erythrocyte_fraction": mean(f["erythrocyte_fraction"], area),
        "living_cells": living,
    }


def oedema(between: float, rim: float, dead: float, area: float, host: float, parameters: dict[str, float]) -> float:
    """Oedema fraction from shares of fluid: what exceeds the shares at rest, in tumour and rim, per area with the swelling.

    As `oedema_fraction` of the result, on the plane of the section: fluid f in place of solids s exceeds its share at rest by
    f - s r, r the ratio at rest of fluid to solids.
    """
    inside = area * (1.0 - dead) * max(between - (1.0 - between) * parameters["tumour_fluid_ratio"], 0.0)
    outside = host * max(rim - (1.0 - rim) * parameters["normal_fluid_ratio"], 0.0)
    return (inside + outside) / max(area + outside, 1e-9)


# ---------------------------------------------------------------------- the pictures
def separate(picture: Picture, stain: Stain) -> Image:
    """Amounts of the stains of a bright-field picture, shape (rows, columns, 2 or 3), by colour deconvolution."""
    from skimage.color import separate_stains

    names = ("haematoxylin", "dab") if stain.markers else ("haematoxylin", "eosin", "haemoglobin")
    rows = vectors(*names)
    if len(names) == 2:  # a third direction across the others takes up what is left
        rows = np.vstack([rows, np.cross(rows[0], rows[1]) / np.linalg.norm(np.cross(rows[0], rows[1]))])
    light = np.clip(picture.astype(np.float32) / np.array(WHITE, np.float32), 1e-3, 1.0)
    # skimage divides by log(1e-6): amounts come in units of an absorbance of ln(1e6)/ln(10) = 6
    return (6.0 * separate_stains(light, np.linalg.inv(rows)))[..., : len(names)].astype(np.float32)


@dataclass
class _Field:
    """A field of view: its corner, and which of its pixels are tumour, rim, and tumour with the needle tracks in it."""

    left: float
    top: float
    tumour: Mask
    rim: Mask
    outline: Mask


def _fields(scene: Scene, count: tuple[int, int]) -> list[_Field]:
    """Fields spread evenly over tumour and rim (systematic sampling on a lattice)."""
    s = scene.section
    side = TILE * PIXEL
    cells = int(side / PITCH)
    rows, columns = s.shape[0] // cells, s.shape[1] // cells
    blocks = (slice(None, rows * cells), slice(None, columns * cells))
    solid = s.inside(Tissue.TUMOUR, Tissue.FLUID)
    connective = (s.zone >= int(s.state.core.sum())) & ~s.inside(Tissue.FAT, Tissue.EPIDERMIS, Tissue.TRACK)
    outline = (s.zone >= 0) & (s.zone < int(s.state.core.sum()))
    chosen: dict[tuple[int, int], None] = {}
    for mask, most, least in ((solid, count[0], 0.35), (connective, count[1], 0.5)):
        share = mask[blocks].reshape(rows, cells, columns, cells).mean(axis=(1, 3))
        places = np.argwhere(share >= min(least, max(float(share.max()) * 0.8, 1e-6)))
        if not most:
            continue
        step = max(len(places) / most, 1.0)
        for k in np.arange(0.5 * step, len(places), step).astype(int):
            chosen[(int(places[k][0]), int(places[k][1]))] = None
    fold = int(PITCH / PIXEL)
    found = []
    for row, column in sorted(chosen):
        part = (slice(row * cells, (row + 1) * cells), slice(column * cells, (column + 1) * cells))
        masks = [np.kron(mask[part], np.ones((fold, fold), dtype=bool)) for mask in (solid, connective, outline)]
        found.append(_Field(s.x0 + column * cells * PITCH, s.y0 + row * cells * PITCH, *masks))
    return found


def read_back(scene: Scene, threads: int = 1, fields: tuple[int, int] = FIELDS) -> dict[str, float]:
    """Read all measures from freshly painted fields of serial sections.

    Parameters
    ----------
    fields
        How many to read in the tumour and in the rim, at most.

    Returns
    -------
    dict
        Every measure by name (nan where it cannot be read), "erythrocyte_score", "living_cells" (tumour cells counted per mm²
        of tumour), "fields", and the areas read, "tumour_mm2" and "rim_mm2".
    """
    places = _fields(scene, fields)
    painters = {name: Painter(scene, STAINS[name], PIXEL) for name in ("he", "cd31", "cd8", "pimonidazole")}

    def read(field: _Field) -> dict[str, float]:
        pictures = {name: painter.square(field.left, field.top) for name, painter in painters.items()}
        return _read_field(pictures, field, scene.section.state.geometry == "cavity")

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(read, places))
    total = {name: sum(part[name] for part in parts) for name in parts[0]} if parts else {}
    return _measures(scene, total, len(places))


def _read_field(pictures: dict[str, Picture], field: _Field, cavity: bool) -> dict[str, float]:
    """Areas (mm²) and counts of one field."""
    size = PIXEL * 1e-3
    he = separate(pictures["he"], STAINS["he"])
    wall = separate(pictures["cd31"], STAINS["cd31"])[..., 1] > 0.22
    vessel = np.asarray(ndimage.binary_fill_holes(ndimage.binary_closing(wall, iterations=3)))
    lumen: Mask = np.asarray(ndimage.binary_dilation(vessel, iterations=2), dtype=bool)
    blood = (he[..., 2] > 0.11) & ~lumen  # to the soft edge of a disc
    hidden: Mask = np.asarray(ndimage.binary_dilation(blood, iterations=RIM), dtype=bool)
    nuclei = he[..., 0] > 0.24
    dead = np.zeros_like(nuclei) if cavity else _necrotic(he, nuclei) & field.tumour
    # ghosts and living cells mix at the border of necrosis: fluid is measured a cell away from it
    border: Mask = np.asarray(ndimage.maximum_filter(dead, size=8 * COARSE), dtype=bool)
    living = field.tumour & ~border & ~lumen
    near: Mask = np.asarray(ndimage.maximum_filter(nuclei, size=17), dtype=bool)
    pale = _pale(he, living & near & ~nuclei, hidden)
    host = field.rim & ~lumen
    cleft = _clefts(he, host)
    positive, negative = _hypoxic(pictures["pimonidazole"], field.tumour, dead)
    return {
        "tumour": float(field.tumour.sum()) * size**2,
        "rim": float(field.rim.sum()) * size**2,
        "dead": float(dead.sum()) * size**2,
        "living": float(living.sum()) * size**2,
        "nuclei": float((living & nuclei).sum()) * size**2,
        "seen": float((living & ~hidden & ~nuclei).sum()) * size**2,
        "pale": float((pale & living & ~hidden).sum()) * size**2,
        "living_blood": float((blood & living).sum()) * size**2,
        "host": float(host.sum()) * size**2,
        "host_seen": float((host & ~hidden).sum()) * size**2,
        "host_pale": float((cleft & host & ~hidden).sum()) * size**2,
        "host_blood": float((blood & host).sum()) * size**2,
        "outline": float(field.outline.sum()) * size**2,
        "blood": float((blood & field.outline).sum()) * size**2,  # much of it lies in tracks
        "vessels": _count(vessel, field.tumour, VESSEL),
        "hypoxic": positive,
        "oxygenated": negative,
        **_cd8(pictures["cd8"], field),
    }


def _pale(he: Image, cytoplasm: Mask, hidden: Mask) -> Mask:
    """Where there is fluid: paler than about two thirds of the way from fluid to the cytoplasm around nuclei of this very field.

    Cytoplasm is dense and blue in a lymphoma and nearly clear in a renal cell carcinoma, so no one threshold does for both.
    """
    # without the grain of cytoplasm, nor with what erythrocytes beside it would lend
    shown = ndimage.gaussian_filter((~hidden).astype(np.float32), 1.0) + 1e-3
    density = ndimage.gaussian_filter((he[..., 0] + he[..., 1]) * ~hidden, 1.0) / shown
    clear = he[..., 2] < 0.10
    seen = density[cytoplasm & clear & ~hidden & (density > 0.155)]
    level = float(np.median(seen)) if seen.size > 2000 else CYTOPLASM
    return (density < np.clip(FLUID + 0.65 * (level - FLUID), 0.14, 0.20)) & clear


def _clefts(he: Image, host: Mask) -> Mask:
    """Fluid between fibres: paler than about two fifths of the way from fluid to the fibres around.

    Dense fibres (skin, muscle) end sharply, so that their border is half-way; loose ones thin out, and the palest of them would
    count as fluid.
    """
    eosin = he[..., 1]
    clear = (he[..., 0] < 0.08) & (he[..., 2] < 0.10)
    fibres = host & (he[..., 0] < 0.20) & (he[..., 2] < 0.10) & (eosin > 0.10)
    seen = ndimage.gaussian_filter(_coarse(fibres), 7.5) + 1e-3
    level = np.maximum(ndimage.gaussian_filter(_coarse(eosin * fibres), 7.5) / seen, 0.12)
    border = np.clip(0.345 + 0.95 * (level - 0.17), 0.32, 0.48)
    return (eosin < np.kron(CLEFT + border * (level - CLEFT), np.ones((COARSE, COARSE), dtype=np.float32))) & clear


def _necrotic(he: Image, nuclei: Mask) -> Mask:
    """Where tissue is eosinophilic over some 20 µm and has no whole nuclei (dust of broken ones does not count).

    First how dead each place looks, from 0 to 1: cytoplasm between the nuclei of large cells is 0 as nuclei are, though it is
    more eosinophilic than they. (Taken for dead tissue it made necrosis too large, and what was left of such tumours too
    pale.) Then what holds for most of a neighbourhood, so that borders lie where one turns into the other, whatever the
    living look like.
    """
    pyknotic = ndimage.gaussian_filter(he[..., 0], 2.5) > 0.52  # shrunken and dark all through, as the dead are
    whole = _coarse(ndimage.binary_opening(nuclei & ~pyknotic, iterations=3))
    seen = he[..., 2] < 0.13  # erythrocytes take eosin too
    bare = ndimage.gaussian_filter(_coarse(seen), CELL) + 1e-3
    eosin = ndimage.gaussian_filter(_coarse(np.minimum(he[..., 1], 0.4) * seen), CELL) / bare
    looks = np.clip((eosin - 0.5 * ndimage.gaussian_filter(whole, CELL) - 0.115) / 0.09, 0.0, 1.0)
    dead = ndimage.gaussian_filter(looks, 2.0) > 0.5
    return np.kron(dead, np.ones((COARSE, COARSE), dtype=bool))


def _coarse(values: NDArray[Any]) -> Image:
    """Means of blocks of `COARSE` pixels."""
    n = values.shape[0] // COARSE
    return values.reshape(n, COARSE, n, COARSE).mean(axis=(1, 3), dtype=np.float32)


def _hypoxic(picture: Picture, tumour: Mask, dead: Mask) -> tuple[float, float]:
    """Numbers of nuclei of living tumour cells that lie in positive and in negative cells.

    Only what lives binds pimonidazole, and it does so beside necrosis: brown cells count wherever they lie. (Left out with
    the dead around them, they made the hypoxic share of nearly dead tumours too small.)
    """
    from skimage.measure import label, regionprops_table

    amounts = separate(picture, STAINS["pimonidazole"])
    found = label(ndimage.binary_opening((amounts[..., 0] > 0.115) & tumour, iterations=2))
    seen = np.dstack([amounts, dead])
    names = ("area", "mean_intensity", "axis_major_length", "axis_minor_length")
    table = regionprops_table(found, intensity_image=seen, properties=names)
    size = table["area"] * PIXEL**2
    # small ones are fragments of the dead; dark ones too, or lymphocytes, and long ones stroma, unless they are brown
    positive = table["mean_intensity-1"] > 0.055
    spindle = (table["axis_major_length"] > SPINDLE * table["axis_minor_length"]) & (size < 60.0)
    alive = (size > 18.0) & (table["mean_intensity-0"] < 0.28) & (table["mean_intensity-2"] < 0.5) & ~spindle
    cell = np.where(positive, size > 8.0, alive)
    weight = np.maximum(np.round(size / 55.0), 1.0)  # clumps hold several
    return float((weight * (cell & positive)).sum()), float((weight * (cell & ~positive)).sum())


def _count(objects: Mask, where: Mask, least: float) -> float:
    """Objects of at least this area (µm²) in a part of a field, each counted in one field only (Gundersen 1977).

    Those that touch the left or upper side are left to the neighbour; doi:10.1111/j.1365-2818.1977.tb00062.x.
    """
    from skimage.measure import label, regionprops_table

    found: Any = label(objects)
    out = np.union1d(found[:EDGE], found[:, :EDGE])
    table = regionprops_table(found, properties=("label", "area", "centroid"))
    rows, columns = table["centroid-0"].astype(int), table["centroid-1"].astype(int)
    good = (table["area"] * PIXEL**2 >= least) & ~np.isin(table["label"], out) & where[rows, columns]
    return float(good.sum())


def _cd8(picture: Picture, field: _Field) -> dict[str, float]:
    """CD8-positive cells in tumour and rim."""
    brown = separate(picture, STAINS["cd8"])[..., 1] > 0.14
    closed = ndimage.binary_fill_holes(ndimage.binary_closing(brown, iterations=2))
    cells = np.asarray(ndimage.binary_opening(closed, iterations=1))
    from skimage.measure import label
    from skimage.segmentation import watershed

    inside: Any = ndimage.distance_transform_edt(cells)
    depth = ndimage.gaussian_filter(inside.astype(np.float32), 1.5)
    top = (ndimage.maximum_filter(depth, size=11) == depth) & cells
    parts = watershed(-depth, label(top), mask=cells)
    single = cells & (parts == ndimage.grey_erosion(parts, size=(2, 2)))
    return {"cd8_centre": _count(single, field.tumour, 4.0), "cd8_rim": _count(single, field.rim, 4.0)}


def _measures(scene: Scene, total: dict[str, float], fields: int) -> dict[str, float]:
    """Measures from the sums over all fields."""
    if not total:
        nothing = dict.fromkeys(("erythrocyte_score", "living_cells", "fields", "tumour_mm2", "rim_mm2"), 0.0)
        return {measure.name: float("nan") for measure in MEASURES} | nothing
    s = scene.section
    # a disc of diameter d stands for so much area per volume in a section (Holmes' effect, as for counts)
    size = ABOUT[Kind.ERYTHROCYTE_OUTSIDE].nucleus
    shown = counted_depth(s.thickness, size) * 0.25 * np.pi * size**2 / ERYTHROCYTE_VOLUME

    def part(name: str, of: str) -> float:
        return total[name] / total[of] if total[of] > 0.0 else 0.0

    blood = part("blood", "outline") / shown
    # erythrocytes hide cytoplasm and fluid, but lie beside nuclei: beneath them it is as around, but for their own volume
    bare = part("pale", "seen") * (1.0 - part("nuclei", "living"))
    between = bare * (1.0 - part("living_blood", "living") / shown)
    rim = part("host_pale", "host_seen") * (1.0 - part("host_blood", "host") / shown)
    dead = part("dead", "tumour")
    zone = s.zone
    area = float(s.inside(Tissue.TUMOUR, Tissue.FLUID).sum())
    host = float((zone >= int(s.state.core.sum())).sum())
    cells = total["hypoxic"] + total["oxygenated"]
    living = cells / total["tumour"] if total["tumour"] > 0.0 else 0.0
    return {
        "oedema_fraction": oedema(between, rim, dead, area, host, s.state.parameters),
        "interstitial_fraction": between if dead <= 1.0 - LIVING else float("nan"),
        "necrotic_area": dead,
        "hypoxic_fraction": total["hypoxic"] / cells if living >= SPARSE else float("nan"),
        "vessel_density": part("vessels", "tumour"),
        "cd8_centre": part("cd8_centre", "tumour"),
        "cd8_rim": part("cd8_rim", "rim"),
        "erythrocyte_fraction": blood,
        "erythrocyte_score": float(score(blood)),
        "living_cells": living,
        "fields": float(fields),
        "tumour_mm2": total["tumour"],
        "rim_mm2": total["rim"],
    }
