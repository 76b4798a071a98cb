"""Virtual histology: what is on a slide is what the state says, what is read from it comes back, files open, bytes repeat."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.spatial import cKDTree

from locokine.cli import main
from locokine.errors import InputError
from locokine.histology import files, packing, paint, picture, readback, slide, stains
from locokine.histology.counts import immune_densities, nucleus_diameter, profiles
from locokine.histology.kinds import ABOUT, DEAD_KINDS, TUMOUR_KINDS, Kind, counted_depth
from locokine.histology.patterns import PATTERNS, pattern_of
from locokine.histology.picture import annotated, sheet
from locokine.histology.populate import populate
from locokine.histology.render import TILE, Painter, as_rgb
from locokine.histology.scene import DESTROYED, PERFUSED, Scene
from locokine.histology.section import PITCH, Tissue, cut
from locokine.histology.state import TissueState, Track, read_state
from locokine.parameters.library import HISTOLOGIES

if TYPE_CHECKING:
    from locokine.results.result import Result

SHARES = {"cell_volume": 1e-6, "dead_solid_share": 0.35, "dead_fluid_ratio": 3.4, "tumour_fluid_ratio": 0.5625}
PARAMETERS = SHARES | {"normal_fluid_ratio": 0.2, "vessel_radius": 0.008, "birth_rate": 0.0433}


def tissue(
    shells: int = 3, cells: float = 5.5e5, dead: float = 0.03, fluid: float = 0.38, perfusion: float = 0.8, hypoxic: float = 0.2,
    lymphocytes: float = 3e4, blood: float = 0.004, rim_fluid: float = 0.17, radius: float = 0.9, geometry: str = "shells",
    **changes: Any,
) -> TissueState:
    """A lesion of `radius` mm, even throughout, with a rim of 0.5 mm in one compartment."""
    core = np.arange(shells + 1) < shells
    outer = np.append(radius * (np.arange(1, shells + 1) / shells) ** (1 / 3), radius + 0.5)

    def per(inside: float, outside: float) -> np.ndarray:
        return np.where(core, inside, outside)

    fields = {
        "viable_density": per(cells, 0.0),
        "dead_fraction": per(dead, 0.0),
        "fluid_fraction": per(fluid, rim_fluid),
        "perfusion": per(perfusion, 1.0),
        "hypoxic_fraction": per(hypoxic, 0.0),
        "lymphocyte_density": per(lymphocytes, 1e4),
        "vessel_density": per(60.0, 110.0),
        "erythrocyte_fraction": per(blood, blood),
        "lost_vessels": per(0.0, 0.0),
    }
    volume = 4.0 / 3.0 * np.pi * radius**3
    values = {"nk": 0.2 * lymphocytes * volume, "lak": 0.05 * lymphocytes * volume, "treg": 500.0, "macrophages": 5e3 * volume}
    state = TissueState(
        experiment="made up", arm="arm", subject=0, lesion="tumour", day=12.0, geometry=geometry, site="subcutis", radius=outer,
        core=core, fields=fields, lesion_values=values, parameters=PARAMETERS, births=0.03, killed=0.001, died=0.3,
        tracks=(), seed=1,
    )
    return replace(state, **changes)


def scene_of(state: TissueState, seed: int = 3) -> Scene:
    return populate(cut(state, 4.0, seed), seed)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A tumour of 1.8 mm with some necrosis."""
    return scene_of(tissue())


# ---------------------------------------------------------------------- what is placed
def test_every_kind_is_there_as_often_as_the_state_says(scene: Scene) -> None:
    """Per compartment within one: numbers are rounded so that sums stay right."""
    cells, zones = scene.cells, scene.section.state.core.size
    groups = {"tumour": TUMOUR_KINDS, "tumour, necrotic ghost": (Kind.GHOST, Kind.KARYORRHEXIS)}
    checked = 0
    for name, expected in scene.expected.items():
        if name == "vessel":
            placed = np.bincount(scene.vessels.zone[scene.vessels.status != DESTROYED], minlength=zones)
        else:
            kinds = groups.get(name, tuple(k for k in Kind if ABOUT[k].name == name))
            placed = np.bincount(cells.zone[cells.of(*kinds) & cells.from_state], minlength=zones)
        assert np.all(np.abs(placed[:zones] - expected) <= 1.0), name
        checked += int(placed.sum())
    assert checked > 20_000


def test_numbers_follow_abercrombie(scene: Scene) -> None:
    """An even density N over an area A shows N A (t + d): worked out here from the radius of the state alone."""
    state = scene.section.state
    diameter = nucleus_diameter(scene.section, Kind.TUMOUR)
    assert diameter == pytest.approx((6 * 0.28 * 1000 / np.pi) ** (1 / 3))  # nuclei take 0.28 of a cell of 1000 µm³
    assert counted_depth(4.0, diameter) == 4.0 + diameter
    area = np.pi * state.tumour_radius**2
    living = int(scene.cells.of(*TUMOUR_KINDS).sum())
    # the outline keeps its area to the cells of the map along it (about 0.3 % here)
    assert living == pytest.approx(5.5e5 * area * (4.0 + diameter) * 1e-3, rel=0.01)


def test_nothing_overlaps(scene: Scene) -> None:
    """Discs of the nuclei's size around all nuclei; rounding of single precision only."""
    cells = scene.cells
    which = ~cells.of(Kind.ADIPOCYTE, Kind.ENDOTHELIUM, Kind.ERYTHROCYTE_INSIDE, Kind.ERYTHROCYTE_OUTSIDE)
    places, radius = np.column_stack([cells.x, cells.y])[which], cells.nucleus[which].astype(float)
    pairs = cKDTree(places).query_pairs(2.0 * radius.max(), output_type="ndarray")
    distance = np.hypot(*(places[pairs[:, 0]] - places[pairs[:, 1]]).T)
    assert len(pairs) > 10_000
    assert np.min(distance - radius[pairs].sum(axis=1)) > -1e-5
    assert scene.overlap == 0.0


def test_cells_keep_off_vessels(scene: Scene) -> None:
    cells, vessels = scene.cells, scene.vessels
    living = cells.of(*TUMOUR_KINDS)
    near, _ = cKDTree(np.column_stack([vessels.x, vessels.y])).query(np.column_stack([cells.x, cells.y])[living])
    assert near.min() > vessels.short.min()


def test_dead_tissue_covers_the_area_of_the_state_and_lies_far_from_open_vessels(scene: Scene) -> None:
    section = scene.section
    tumour = section.inside(Tissue.TUMOUR)
    dead = (scene.necrosis > 0.0) & tumour
    wanted = 0.03 * (1.0 + 3.4)  # dead solids with the fluid that they hold
    # to the cells of the map that a threshold decides together
    assert dead.sum() / tumour.sum() == pytest.approx(wanted, abs=2e-3)
    open_ones = scene.vessels.status == PERFUSED
    tree = cKDTree(np.column_stack([scene.vessels.x, scene.vessels.y])[open_ones])
    x, y = section.coordinates()
    places = np.column_stack([np.broadcast_to(x, tumour.shape)[tumour], np.broadcast_to(y, tumour.shape)[tumour]])
    distance = tree.query(places)[0]
    in_dead = dead[tumour]
    assert distance[in_dead].mean() > 1.3 * distance[~in_dead].mean()
    hypoxic = (scene.hypoxia[tumour] > 0.0) & ~in_dead
    assert hypoxic.sum() / (~in_dead).sum() == pytest.approx(0.2, abs=5e-3)
    ghosts = scene.cells.of(Kind.GHOST, Kind.KARYORRHEXIS)
    rows = ((scene.cells.y[ghosts] - section.y0) / PITCH).astype(int)
    columns = ((scene.cells.x[ghosts] - section.x0) / PITCH).astype(int)
    assert np.mean(scene.necrosis[rows, columns] > 0.0) > 0.95  # a full place sends some next door


def test_mitoses_follow_growth_and_open_vessels_perfusion() -> None:
    for births, perfusion in ((0.0, 0.25), (0.02, 0.5), (0.04, 1.0)):
        made = scene_of(replace(tissue(perfusion=perfusion, dead=0.0, radius=0.5), births=births))
        living = int(made.cells.of(*TUMOUR_KINDS).sum())
        assert int(made.cells.of(Kind.MITOSIS).sum()) == round(births * 0.8 * living)
        core = made.vessels.zone < 3
        share = np.mean(made.vessels.status[core] == PERFUSED)
        assert share == pytest.approx(perfusion, abs=1.5 / 12)  # rounded in each of three compartments of about 15 vessels


def test_cells_cover_what_is_not_fluid() -> None:
    """Bodies are made as large as they must be: the fluid between them is the state's share, whatever it is."""
    for cells, fluid in ((5.5e5, 0.40), (2.0e5, 0.76)):
        made = scene_of(tissue(cells=cells, fluid=fluid, dead=0.0, blood=0.0, lymphocytes=0.0, radius=0.5))
        assert made.section.compartments["between"][0] == pytest.approx(fluid, abs=0.01)
        seen = readback.read_back(made, 2, (6, 0))
        assert seen["interstitial_fraction"] == pytest.approx(fluid, abs=0.06)  # edges of cells are half a pixel unsure


def test_a_cavity_has_free_cells_no_necrosis_and_a_lining() -> None:
    state = tissue(shells=1, cells=1.2e5, fluid=0.85, dead=0.02, geometry="cavity", site="peritoneum")
    made = scene_of(state)
    assert not (made.necrosis > 0.0).any()
    assert made.cells.of(Kind.MESOTHELIUM).sum() > 50
    assert made.cells.of(*DEAD_KINDS).sum() > 50
    assert not np.isin(made.section.tissue, (Tissue.TUMOUR, Tissue.DERMIS)).any()
    inside = made.vessels.zone == 0
    assert not inside.any()  # those of a cavity lie in its wall


def test_a_needle_leaves_a_track_that_closes() -> None:
    def width(age: float) -> int:
        return int(cut(tissue(tracks=(Track(age, float("nan")),)), 4.0, 3).inside(Tissue.TRACK).sum())

    assert width(0.5) > width(2.0) > 0
    assert not cut(tissue(), 4.0, 3).inside(Tissue.TRACK).any()


def test_a_window_is_a_part_of_the_whole() -> None:
    whole = cut(tissue(), 4.0, 3)
    part = cut(tissue(), 4.0, 3, (100.0, -200.0, 400.0, 300.0))
    i, j = round((part.x0 - whole.x0) / PITCH), round((part.y0 - whole.y0) / PITCH)
    rows, columns = part.shape
    assert np.array_equal(part.tissue, whole.tissue[j : j + rows, i : i + columns])
    assert np.array_equal(part.zone, whole.zone[j : j + rows, i : i + columns])


def test_nothing_of_the_tumour_left_is_still_a_section() -> None:
    made = scene_of(tissue(cells=0.0, dead=0.0, fluid=0.3, lymphocytes=0.0, radius=0.3))
    assert not made.cells.of(*TUMOUR_KINDS, *DEAD_KINDS).any()
    assert Painter(made, stains.STAINS["he"], 1.0).square(0.0, 0.0).shape == (TILE, TILE, 3)


def test_placing_shrinks_rather_than_overlaps() -> None:
    """Ten discs into a cell of the map with room for about two."""
    x, y, r = np.zeros(10), np.zeros(10), np.full(10, 3.0)
    label = np.zeros((3, 3), dtype=np.int32)
    label[1, 1] = 1
    gave, overlap = packing.place(
        x, y, r, np.full(10, 4), label, np.ones(10, dtype=np.int32), 0.0, 0.0, 8.0, 0.5, 0, np.uint64(5), 0.01
    )
    distance = np.hypot(x[:, None] - x, y[:, None] - y) - r[:, None] - r + 1e3 * np.eye(10)
    assert gave > 0
    assert distance.min() >= -overlap - 1e-9
    assert np.all((x >= 8.0) & (x <= 16.0) & (y >= 8.0) & (y <= 16.0))


def test_every_kind_of_tumour_of_the_library_can_be_drawn() -> None:
    assert tuple(PATTERNS) == HISTOLOGIES
    with pytest.raises(InputError, match="there is no pattern 'sarcoma'"):
        pattern_of("sarcoma", "line")


# ---------------------------------------------------------------------- stains
def test_stains_obey_beer_and_lambert_and_separate_again() -> None:
    """Rounding to bytes moves a stain by at most a few thousandths of optical density at these amounts."""
    random = np.random.default_rng(0)
    amounts = (0.35 * random.random((40, 40, 3))).astype(np.float32)
    names = ("haematoxylin", "eosin", "haemoglobin")
    rows = stains.vectors(*names)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0)
    table = (10.0 ** (-np.arange(4096) / 1024.0)).astype(np.float32)
    out = np.empty((40, 40, 3), np.uint8)
    paint.colour(np.ascontiguousarray(np.moveaxis(amounts, 2, 0)), rows, table, np.array(stains.WHITE, np.float32), out)
    wanted = np.array(stains.WHITE) * 10.0 ** (-(amounts.astype(float) @ rows.astype(float)))
    assert np.abs(out - wanted).max() <= 1.2  # rounding, and a table of 1/1024
    back = readback.separate(out, stains.STAINS["he"])
    assert np.abs(back - amounts).max() < 0.03
    assert np.abs(back - amounts).mean() < 0.005


def test_a_marker_is_where_its_cells_are(scene: Scene) -> None:
    """Brown at CD8 cells, not at others of the same size; every stain shows its own."""
    corner = (-0.5 * TILE * 0.5, -0.5 * TILE * 0.5)
    for name, kind, r in (("cd8", Kind.CD8, 8), ("nk", Kind.NK, 8), ("ki67", Kind.MITOSIS, 2)):  # the last is in nuclei only
        shown = Painter(scene, stains.STAINS[name], 0.5).square(*corner)
        brown = readback.separate(shown, stains.STAINS[name])[..., 1]
        found = {}
        for k in (kind, Kind.MACROPHAGE):
            cells = scene.cells
            i, j = ((cells.x - corner[0]) / 0.5).astype(int), ((cells.y - corner[1]) / 0.5).astype(int)
            mine = cells.of(k) & (i > 12) & (j > 12) & (i < TILE - 12) & (j < TILE - 12) & (cells.nucleus > 2.2)
            if k == Kind.MITOSIS:
                mine &= cells.proliferating
            found[k] = [brown[y - r : y + r + 1, x - r : x + r + 1].max() for x, y in zip(i[mine], j[mine], strict=True)]
        assert np.median(found[kind]) > 0.3, name
        assert np.median(found[Kind.MACROPHAGE]) < 0.15, name


def test_glass_is_not_painted_but_looks_as_if_it_were(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Squares at the edge of the tissue, in every kind of picture: those with nothing in them are filled in one go."""
    for name in ("he", "cd8", "multiplex"):
        painter = Painter(scene, stains.STAINS[name], 1.0)
        places = [(float(x), float(y)) for x in range(-1900, 1900, 300) for y in (-1700, -1250, 0)]
        bare = [painter._bare(*place, 128) for place in places]
        assert 5 < sum(bare) < len(bare) - 5
        quick = [painter.square(*place, 128) for place in places]
        with monkeypatch.context() as patch:
            patch.setattr(painter, "_bare", lambda *_: False)
            assert all(np.array_equal(one, painter.square(*place, 128)) for one, place in zip(quick, places, strict=True))


# ---------------------------------------------------------------------- files
def test_the_same_bytes_on_one_and_two_threads(scene: Scene, tmp_path: Path) -> None:
    for name in ("he", "multiplex"):
        painter = Painter(scene, stains.STAINS[name], 1.0)
        frame = files.Frame.around(scene, 1.0, (-600.0, -700.0, 900.0, 1100.0))
        content = []
        for threads in (1, 2):
            files.write_tiff(tmp_path / "slide.ome.tif", painter, frame, threads, "a slide")
            content.append((tmp_path / "slide.ome.tif").read_bytes())
        assert content[0] == content[1]
    assert not list(tmp_path.glob(".*"))


def test_ome_tiff_has_a_pyramid_a_pixel_size_and_named_channels(scene: Scene, tmp_path: Path) -> None:
    import xml.etree.ElementTree as ElementTree

    path = tmp_path / "slide.ome.tif"
    for name, axes in (("he", "YXS"), ("multiplex", "CYX")):
        painter = Painter(scene, stains.STAINS[name], 0.5)
        frame = files.Frame.around(scene, 0.5, (-450.0, -400.0, 901.0, 700.0))
        files.write_tiff(path, painter, frame, 2, "a slide")
        whole = painter.window(frame.left, frame.top, 901.0, 700.0)
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            assert tiff.is_ome
            assert series.axes == axes
            stored = series.asarray() if axes == "YXS" else np.moveaxis(series.asarray(), 0, 2)
            assert np.array_equal(stored, whole)
            assert len(series.levels) == 3
            second = series.levels[1].asarray() if axes == "YXS" else np.moveaxis(series.levels[1].asarray(), 0, 2)
            even = whole[:1400, :1802].reshape(700, 2, 901, 2, -1).astype(np.float64).mean(axis=(1, 3))
            assert np.abs(second[:700, :901] - even).max() <= 0.51  # rounding
            pixels = ElementTree.fromstring(tiff.ome_metadata or "").find(".//{*}Pixels")
            assert pixels is not None
            assert float(pixels.attrib["PhysicalSizeX"]) == 0.5
            assert pixels.attrib["PhysicalSizeXUnit"] == "µm"
            if axes == "CYX":
                channels = [channel.attrib["Name"] for channel in pixels.findall("{*}Channel")]
                assert channels == ["DAPI", "CD8", "NK (NKp46)", "CD31", "Ki-67", "pimonidazole"]


def test_cell_tables_hold_every_cell(scene: Scene, tmp_path: Path) -> None:
    frame = files.Frame.around(scene, 0.5)
    parquet, geojson = files.write_cells(tmp_path, "slide", scene, frame)
    table = pd.read_parquet(parquet)
    assert len(table) == len(scene.cells)
    assert np.allclose(table["x_px"] * 0.5 + frame.left, table["x_um"])
    assert (table["kind"] == "CD8 T cell").sum() == scene.cells.of(Kind.CD8).sum()
    with gzip.open(geojson, "rt", encoding="utf-8") as stream:
        content = json.load(stream)
    outlines = content["features"]
    assert len(outlines) == (~scene.cells.of(*files.RED_CELLS)).sum()
    ring = np.array(outlines[0]["geometry"]["coordinates"][0])
    assert np.array_equal(ring[0], ring[-1])
    first = table.iloc[0]
    # ten corners on an ellipse enclose 93.5 % of it; coordinates are rounded to 0.1 pixel
    area = 0.5 * abs(np.dot(ring[:-1, 0], ring[1:, 1]) - np.dot(ring[1:, 0], ring[:-1, 1])) * 0.25
    assert area == pytest.approx(0.935 * first["nucleus_area_um2"], rel=0.05)
    assert ring[:-1].mean(axis=0) == pytest.approx([first["x_px"], first["y_px"]], abs=0.2)
    assert outlines[0]["properties"]["objectType"] == "detection"


def test_pictures_say_what_they_are(scene: Scene) -> None:
    page = sheet(scene, stains.STAINS["he"], 2)
    assert page.size == (2024, 1558)
    assert len(np.unique(np.asarray(page)[::7, ::7].reshape(-1, 3), axis=0)) > 500
    dark = as_rgb(np.zeros((80, 120, 6), np.uint8), stains.STAINS["multiplex"])
    assert np.asarray(annotated(dark, 0.25, "40×", True)).max() == 255  # scale bar and words are light there


# ---------------------------------------------------------------------- reading back
def within(seen: dict[str, float], true: dict[str, float]) -> list[str]:
    """Measures outside their tolerance: stated absolute and relative, and for counts twice their own sampling error."""
    wrong = []
    for measure in readback.MEASURES:
        if measure.name == "interstitial_fraction" and true["necrotic_area"] > 0.7:
            continue  # a share of living tumour, of which there is hardly any
        allowed = measure.absolute + measure.relative * true[measure.name]
        if measure.unit == "1/mm2":
            area = seen["rim_mm2"] if measure.name.endswith("rim") else seen["tumour_mm2"]
            allowed += 2.0 * np.sqrt(max(true[measure.name], 1.0) / max(area, 1e-6))
        if abs(seen[measure.name] - true[measure.name]) > allowed:
            wrong.append(f"{measure.name}: read {seen[measure.name]:.3f}, state {true[measure.name]:.3f}, allowed {allowed:.3f}")
    return wrong


@pytest.mark.parametrize(
    "changes",
    [
        {"dead": 0.0, "blood": 0.0, "hypoxic": 0.1, "fluid": 0.38},
        {"dead": 0.03, "blood": 0.002},
        {"dead": 0.11, "cells": 1.2e5, "fluid": 0.74, "perfusion": 0.12, "hypoxic": 0.6, "rim_fluid": 0.35, "blood": 0.008},
        {"dead": 0.17, "cells": 2e4, "fluid": 0.77, "hypoxic": 0.0, "lymphocytes": 8e4, "rim_fluid": 0.3, "blood": 0.02},
    ],
    ids=["untreated", "some necrosis", "oedema and necrosis", "regressing"],
)
def test_what_is_read_from_a_slide_is_what_it_was_drawn_from(changes: dict[str, float]) -> None:
    # small enough to read nearly all of it: no error of sampling
    made = scene_of(tissue(radius=0.5, pattern=PATTERNS["lymphoma"], **changes))
    seen, true = readback.read_back(made, 2, (40, 6)), readback.drawn_from(made)
    assert within(seen, true) == []
    assert abs(seen["erythrocyte_score"] - readback.score(true["erythrocyte_fraction"])) <= 1


SIZES = {
    "solid": 1.5, "lymphoma": 1.0, "mast cell": 1.4, "carcinoma": 2.2, "squamous carcinoma": 2.5, "renal cell carcinoma": 3.0,
    "melanoma": 2.0, "mesothelioma": 2.0,
}
"""Volume of a cell, 1000 µm³ (what the library has, or near it)."""


def any_state(name: str, seed: int) -> TissueState:
    """A tumour of a kind in a state drawn at random: size of cells, dead tissue (half none), fluid, blood, flow, hypoxia."""
    random = np.random.default_rng(seed)
    volume, fluid = SIZES[name] * 1e-6 * random.uniform(0.75, 1.3), random.uniform(0.35, 0.72)
    dead = float(random.choice([0.0, random.uniform(0.01, 0.15)]))
    solid = max(0.96 - fluid - dead - random.uniform(0.0, 0.08), 0.05)
    return tissue(
        radius=1.2, cells=solid / volume, dead=dead, fluid=fluid, hypoxic=random.uniform(0.0, 0.5),
        blood=random.uniform(0.0, 0.012),
        perfusion=random.uniform(0.2, 1.0), lymphocytes=random.uniform(5e3, 8e4), rim_fluid=random.uniform(0.17, 0.4),
        pattern=PATTERNS[name], parameters=PARAMETERS | {"cell_volume": volume},
    )


@pytest.mark.parametrize("name", PATTERNS)
def test_reading_holds_for_every_kind_of_tumour(name: str) -> None:
    """States and seeds that nothing was chosen on (thresholds, tolerances and drawing: seeds up to 407)."""
    seed = 1400 + list(PATTERNS).index(name)
    made = populate(cut(any_state(name, seed), 4.0, seed, (432.0, -256.0, 1024.0, 512.0)), seed)
    seen, true = readback.read_back(made, 1, (20, 20)), readback.drawn_from(made)
    assert within(seen, true) == []


def test_reading_holds_for_arms_and_days_of_a_run(small_result: Result) -> None:
    """Every arm, during and after treatment: a strip from inside the tumour into the rim, all of it read.

    The same states are drawn as tumours of other kinds too, in turn. The reader was made on other days and subjects (0 to 2,
    days 11, 14 and 16).
    """
    checked, wrong = 0, []
    kinds = ("lymphoma", "carcinoma", "lymphoma", "melanoma", "mast cell")
    for arm in small_result.arms:
        for day in (10.5, 13.0) if arm != small_result.arms[1] else (9.0,):
            subject = 3 + checked % 3
            try:
                state = read_state(small_result, arm, subject, day)
            except InputError:  # dead, or cured
                continue
            kind = kinds[checked % len(kinds)]
            state, edge = replace(state, pattern=PATTERNS[kind]), 1000.0 * state.tumour_radius
            made = slide.scene_of(state, window=(edge - 512.0, -256.0, 768.0, 512.0))
            seen, true = readback.read_back(made, 2, (20, 20)), readback.drawn_from(made)
            wrong += [f"{arm}, subject {subject}, day {day:g}, {kind}: {text}" for text in within(seen, true)]
            checked += 1
    assert checked >= 8
    assert wrong == []


def test_reading_notices_a_different_slide() -> None:
    """The tolerances mean something: slides of other states fail them, measure by measure."""
    made = scene_of(tissue(radius=0.9))
    seen = readback.read_back(made, 2, (12, 4))
    other = {
        "interstitial_fraction": {"fluid": 0.55, "cells": 3.8e5},
        "necrotic_area": {"dead": 0.06},
        "hypoxic_fraction": {"hypoxic": 0.4},
        "cd8_centre": {"lymphocytes": 6e4},
        "erythrocyte_fraction": {"blood": 0.009},
    }
    for name, changes in other.items():
        true = readback.drawn_from(replace_scene(made, tissue(radius=0.9, **changes)))
        assert any(text.startswith(name) for text in within(seen, true)), name


def replace_scene(scene: Scene, state: TissueState) -> Scene:
    """The same plane with another state."""
    return replace(scene, section=cut(state, 4.0, scene.section.seed))


def test_oedema_of_tissue_at_rest_is_none() -> None:
    rest = 0.5625 / 1.5625
    assert readback.oedema(rest, 0.2 / 1.2, 0.0, 4.0, 2.0, PARAMETERS) == pytest.approx(0.0, abs=1e-12)
    # all solids of 1 mm² stay, fluid doubles: 0.36 more on top of the 1 it was
    doubled = 2 * rest / (1 + rest)
    assert readback.oedema(doubled, 0.2 / 1.2, 0.0, 1 + rest, 0.0, PARAMETERS) == pytest.approx(rest / (1 + rest))


# ---------------------------------------------------------------------- from results
@pytest.fixture(scope="module")
def stored(small_result: Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small run."""
    return small_result.save(tmp_path_factory.mktemp("slides") / "result")


def test_a_stored_result_gives_its_own_state(small_result: Result) -> None:
    state = read_state(small_result, "intratumoural", 2, 11.6)
    assert state.day == 11.5
    assert state.geometry == "shells"
    assert state.core.sum() == 16
    here = small_result.fields.sel(arm="intratumoural", subject=2, lesion="flank").sel(field_time=11.5)
    assert np.array_equal(state.fields["fluid_fraction"], here["fluid_fraction"].values)
    volume = 4.0 / 3.0 * np.pi * state.tumour_radius**3
    series = small_result.series["tumour_volume"].sel(arm="intratumoural", subject=2, lesion="flank")
    stored = float(series.sel(time=11.5, method="nearest"))
    assert volume == pytest.approx(stored, rel=1e-9)
    assert [round(track.age, 6) for track in state.tracks] == [1.5, 0.5]
    assert not read_state(small_result, "untreated", 2, 11.5).tracks
    # cells of all compartments are those of the lesion
    densities = immune_densities(cut(state, 4.0, 1))
    total = sum(float((d * state.volumes)[state.core].sum()) for k, d in densities.items() if k in (Kind.NK, Kind.LAK))
    assert total == pytest.approx(state.lesion_values["nk"], rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--arm", "nonsense", "--day", "11"], "no arm 'nonsense'"),
        (["--arm", "untreated", "--day", "11", "--subject", "12"], "subject 12 was not stored (stored: 0 to 7)"),
        (["--arm", "untreated", "--day", "500"], "day 500 was not stored (stored: days 0 to 60, every 0.5)"),
        (["--arm", "untreated", "--day", "59"], "was dead on day 59"),
        (["--arm", "untreated", "--day", "x"], "'x' is not a number"),
        (["--arm", "untreated"], "--day: is missing"),
        (["--arm", "untreated", "--day", "11", "--stain", "giemsa"], "no stain 'giemsa'"),
        (["--arm", "untreated", "--day", "11", "--lesion", "liver"], "no lesion 'liver'"),
        (["--arm", "untreated", "--day", "11", "--pixel", "0.5"], "has no unit"),
        (["--arm", "untreated", "--day", "11", "--pixel", "50 um"], "out of range"),
        (["--arm", "untreated", "--day", "11", "--window", "1 2 3"], "not four numbers"),
        (["--arm", "untreated", "--day", "11", "--series"], "a series has several days"),
        (["--arm", "untreated", "--day", "11", "--pixel", "0.1 um", "--window", "0 0 900 900"], "pixels and need"),
    ],
)
def test_bad_input_is_told_in_a_line(
    stored: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(["slide", str(stored), *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert error.count("\n") == 1


def test_a_slide_larger_than_memory_is_refused_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "free_memory", lambda: 2e9)
    frame = files.Frame(0.0, 0.0, 100_000, 80_000, 0.5)
    with pytest.raises(InputError) as caught:
        files.check_memory(frame, 3, 1e6)
    assert "50.0 × 40.0 mm" in caught.value.problem
    assert "100000 × 80000 pixels" in caught.value.problem
    assert "--window of at most" in caught.value.remedy
    files.check_memory(files.Frame(0.0, 0.0, 20_000, 20_000, 0.5), 3, 8e5)  # 10 × 10 mm fit into 2 GB (0.7 of it)


def test_a_window_beside_the_tissue_is_refused(scene: Scene) -> None:
    with pytest.raises(InputError, match="there is no tissue in it"):
        files.Frame.around(scene, 0.5, (9e4, 9e4, 100.0, 100.0))


def test_a_full_disk_leaves_nothing_behind(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile.TiffWriter, "write", full)
    with pytest.raises(InputError, match="disk is full"):
        files.write_tiff(
            tmp_path / "s.ome.tif", Painter(scene, stains.STAINS["he"], 4.0), files.Frame.around(scene, 4.0), 1, "a slide"
        )
    assert list(tmp_path.iterdir()) == []


def test_the_command_makes_a_slide_and_a_series(
    small_result: Result, stored: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On days when the tumour is small, and in small pictures, to be quick."""
    monkeypatch.setattr(picture, "SIZE", (300, 220))
    monkeypatch.setattr(readback.read_back, "__defaults__", (1, (4, 2)))
    folder = stored
    options = ["--arm", "untreated", "--subject", "1", "--threads", "2"]
    assert main(["slide", str(folder), *options, "--day", "2", "--stain", "cd8", "--pixel", "1 um"]) == 0
    text = capsys.readouterr().out
    assert "Read from the slide" in text
    assert "never for dosing" in text
    names = sorted(path.name for path in (folder / "slides").iterdir())
    assert names == [
        "untreated_s1_flank_d2_cd8.ome.tif", "untreated_s1_flank_d2_cd8.png", "untreated_s1_flank_d2_section.cells.geojson.gz",
        "untreated_s1_flank_d2_section.cells.parquet", "untreated_s1_flank_d2_section.read.json",
    ]  # fmt: skip
    assert main(["slide", str(folder), *options, "--series", "--days", "1.5,2"]) == 0
    table = pd.read_csv(folder / "slides" / "untreated_s1_flank_series.csv")
    assert list(table["day"]) == [1.5, 2.0]
    assert {"necrotic_area", "state_necrotic_area", "cd8_rim", "erythrocyte_score"} <= set(table.columns)
    assert (folder / "slides" / "untreated_s1_flank_series.png").stat().st_size > 50_000
    days = slide.series_days(small_result, "intratumoural", 2)
    assert days[0] == 9.0
    assert len(days) <= slide.SERIES_MOST


def test_the_report_has_a_plate(small_result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    from locokine.report import plate

    monkeypatch.setattr(plate, "AFTER_FIRST_DOSE", (-0.5, 1.0))
    monkeypatch.setattr(plate, "MAX_COLUMNS", 2)
    made = plate.make_plate(small_result)
    assert made is not None
    assert made.days == (9.5, 11.0)
    assert [len(row) for row in made.rows] == [2, 2]
    assert all("necrosis" in view.numbers for row in made.rows for view in row)
    assert made.rows[0][0].jpeg == made.rows[1][0].jpeg  # before treatment arms are the same host
    assert made.rows[0][1].jpeg != made.rows[1][1].jpeg
    assert profiles(cut(tissue(), 4.0, 1), Kind.CD8, np.array([1e4]), np.array([1.0]))[0] == pytest.approx(1e4 * 10.6e-3)
