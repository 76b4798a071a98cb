"""Virtual histology: what is on a section is what the state says, without overlap."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.spatial import cKDTree

from locokine.errors import InputError
from locokine.histology import packing, readback, stains
from locokine.histology.counts import nucleus_diameter
from locokine.histology.kinds import ABOUT, DEAD_KINDS, TUMOUR_KINDS, Kind, counted_depth
from locokine.histology.patterns import PATTERNS, pattern_of
from locokine.histology.render import TILE, Painter
from locokine.histology.scene import DESTROYED, PERFUSED, Scene
from locokine.histology.section import PITCH, Tissue, cut
from locokine.histology.state import Track
from locokine.parameters.meta import HISTOLOGIES

if TYPE_CHECKING:
    pass

from virtual_slides import scene_of, tissue


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A tumour of 1.8 mm with some necrosis."""
    return scene_of(tissue())


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


def test_the_hypoxic_are_as_many_as_the_state_says_where_few_live() -> None:
    """Over many compartments of a few cells each: rounded one by one, all would round to none."""
    scene = scene_of(tissue(shells=16, radius=0.4, cells=4e3, dead=0.185, fluid=0.75, hypoxic=0.15))
    living = scene.cells.of(*TUMOUR_KINDS)
    assert 20 <= living.sum() <= 60
    assert abs(scene.cells.hypoxic.sum() - 0.15 * living.sum()) <= 1.0


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


def test_erythrocytes_keep_off_nuclei_and_crowd_no_more_than_said(scene: Scene) -> None:
    """The discs that are drawn: off all nuclei; on each other only where they are crowded and already as small as they get."""
    cells = scene.cells
    red = cells.of(Kind.ERYTHROCYTE_OUTSIDE)
    nuclei = ~cells.of(Kind.ADIPOCYTE, Kind.ERYTHROCYTE_OUTSIDE, Kind.ERYTHROCYTE_INSIDE)
    places = np.column_stack([cells.x, cells.y])
    radius = cells.nucleus.astype(float)
    tree = cKDTree(places[nuclei])
    worst = 0.0
    near, which = tree.query(places[red], k=4)
    gap = near - radius[nuclei][which] - radius[red][:, None]
    worst = np.mean(gap.min(axis=1) < -0.05)
    assert worst < 0.03
    pairs = cKDTree(places[red]).query_pairs(2.0 * radius[red].max(), output_type="ndarray")
    apart = np.hypot(*(places[red][pairs[:, 0]] - places[red][pairs[:, 1]]).T) - radius[red][pairs].sum(axis=1)
    assert len(np.unique(pairs[apart < -0.05])) < 0.06 * red.sum()


def test_nuclei_keep_off_those_of_vessels(scene: Scene) -> None:
    """Endothelial nuclei are long and thin: three discs along each, of its half width; a curved wall lets few come near."""
    cells = scene.cells
    wall = cells.of(Kind.ENDOTHELIUM)
    other = ~wall & ~cells.of(Kind.ADIPOCYTE, Kind.ERYTHROCYTE_OUTSIDE, Kind.ERYTHROCYTE_INSIDE)
    root = np.sqrt(cells.aspect[wall].astype(float))
    long, short = cells.nucleus[wall] * root, cells.nucleus[wall] / root
    radius, tree = cells.nucleus[other].astype(float), cKDTree(np.column_stack([cells.x, cells.y])[other])
    touched = np.zeros(int(wall.sum()), dtype=bool)
    for along in (-1.0, 0.0, 1.0):
        reach = along * (long - short)
        x, y = cells.x[wall] + reach * np.cos(cells.angle[wall]), cells.y[wall] + reach * np.sin(cells.angle[wall])
        near, which = tree.query(np.column_stack([x, y]), k=3)
        touched |= (near - radius[which] - short[:, None]).min(axis=1) < -0.1
    assert touched.mean() < 0.02
