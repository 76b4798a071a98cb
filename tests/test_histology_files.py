"""Virtual histology: stains, pictures and files: they open, say what they are, and repeat byte for byte."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tifffile

from locokine.errors import InputError
from locokine.histology import files, paint, readback, stains, tiff
from locokine.histology.kinds import Kind
from locokine.histology.picture import annotated, sheet
from locokine.histology.render import TILE, Painter, as_rgb
from locokine.histology.scene import Scene
from virtual_slides import scene_of, tissue


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A tumour of 1.8 mm with some necrosis."""
    return scene_of(tissue())


def test_published_vectors_are_the_published_ones() -> None:
    """Written here again from the papers; of eosin as QuPath has it, rounded as it prints them."""
    assert stains.VECTORS["haematoxylin"] == (0.65, 0.70, 0.29)
    assert stains.VECTORS["dab"] == (0.27, 0.57, 0.78)
    assert stains.VECTORS["eosin"] == (0.216, 0.801, 0.558)
    red, green, blue = stains.VECTORS["haemoglobin"]  # assumed; what its absorption demands
    assert red < 0.15 * green < 0.15 * blue


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


def test_the_same_bytes_on_one_and_two_threads(scene: Scene, tmp_path: Path) -> None:
    for name in ("he", "multiplex"):
        painter = Painter(scene, stains.STAINS[name], 1.0)
        frame = files.Frame.around(scene, 1.0, (-600.0, -700.0, 900.0, 1100.0))
        content = []
        for threads in (1, 2):
            tiff.write_tiff(tmp_path / "slide.ome.tif", painter, frame, threads, "a slide")
            content.append((tmp_path / "slide.ome.tif").read_bytes())
        assert content[0] == content[1]
    assert not list(tmp_path.glob(".*"))


def test_ome_tiff_has_a_pyramid_a_pixel_size_and_named_channels(scene: Scene, tmp_path: Path) -> None:
    import xml.etree.ElementTree as ElementTree

    path = tmp_path / "slide.ome.tif"
    for name, axes in (("he", "YXS"), ("multiplex", "CYX")):
        painter = Painter(scene, stains.STAINS[name], 0.5)
        frame = files.Frame.around(scene, 0.5, (-450.0, -400.0, 901.0, 700.0))
        tiff.write_tiff(path, painter, frame, 2, "a slide")
        whole = painter.window(frame.left, frame.top, 901.0, 700.0)
        with tifffile.TiffFile(path) as opened:
            series = opened.series[0]
            assert opened.is_ome
            assert series.axes == axes
            stored = series.asarray() if axes == "YXS" else np.moveaxis(series.asarray(), 0, 2)
            assert np.array_equal(stored, whole)
            assert len(series.levels) == 3
            second = series.levels[1].asarray() if axes == "YXS" else np.moveaxis(series.levels[1].asarray(), 0, 2)
            even = whole[:1400, :1802].reshape(700, 2, 901, 2, -1).astype(np.float64).mean(axis=(1, 3))
            assert np.abs(second[:700, :901] - even).max() <= 0.51  # rounding
            pixels = ElementTree.fromstring(opened.ome_metadata or "").find(".//{*}Pixels")
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


def test_a_full_folder_is_refused_before_anything_is_painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = files.Frame(0.0, 0.0, 20_000, 20_000, 0.5)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=1.5e9))
    files.check_disk(tmp_path, frame, [3])
    with pytest.raises(InputError, match=r"20000 × 20000 pixels take about 4\.8 GB on the disk, 1\.5 GB are free"):
        files.check_disk(tmp_path, frame, [3, 6])


def test_what_carries_two_markers_is_not_white() -> None:
    """Full light in every pair of channels is never white; where one kind of cell carries both, it is a colour and not grey.

    Of five colours some are complements (the red of vessels, the cyan of hypoxia): no cell carries two of those.
    """
    stain = stains.STAINS["multiplex"]
    for one in range(1, 6):
        for two in range(one, 6):
            picture = np.zeros((1, 1, 6), np.uint8)
            picture[..., (0, one, two)] = 200, 255, 255
            shown = as_rgb(picture, stain)[0, 0].astype(int)
            assert shown.max() > 127
            assert shown.min() < 180, (one, two)
            together = {stain.markers[one - 1].name, stain.markers[two - 1].name}
            if one == two or together in ({"CD8", "Ki-67"}, {"Ki-67", "pimonidazole"}):
                assert shown.max() - shown.min() > 60, (one, two)
    assert as_rgb(np.full((1, 1, 6), 4, np.uint8), stain).max() <= 2
