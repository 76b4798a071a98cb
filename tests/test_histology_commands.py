"""Virtual histology: from a stored result to slides, on the command line and in the report."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import tifffile

from locokine.cli import main
from locokine.errors import InputError
from locokine.histology import files, picture, readback, slide, stains, tiff
from locokine.histology.counts import immune_densities
from locokine.histology.kinds import Kind
from locokine.histology.render import Painter
from locokine.histology.scene import Scene
from locokine.histology.section import cut
from locokine.histology.state import read_state

if TYPE_CHECKING:
    from locokine.results.result import Result

from PIL import Image

from virtual_slides import scene_of, tissue, within


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A tumour of 1.8 mm with some necrosis."""
    return scene_of(tissue())


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
        tiff.write_tiff(
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
    assert all("oedema" in view.numbers and "in the rim" in view.numbers for row in made.rows for view in row)
    assert made.rows[0][0].large == made.rows[1][0].large  # before treatment arms are the same host
    assert made.rows[0][1].large != made.rows[1][1].large
    assert len(made.large) == 3  # each state once
    for text, width in ((made.rows[0][0].jpeg, plate.SMALL), (made.large[0], plate.LARGE)):
        picture = Image.open(BytesIO(base64.b64decode(text)))
        assert picture.size == (width, round(0.75 * width))
    _clicks(small_result, made)


def _clicks(result: Result, made: Any) -> None:
    """The page as the browser gets it: every picture is a button, which names a large picture that is there."""
    from locokine import api
    from locokine.report import build

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "make_plate", lambda _: made)
        page = build.render(result, api.load(result.scenario))
    pattern = r'<button type="button" data-slide="([^"]+)" data-large="(-?\d+)"><img [^>]*alt="([^"]+)" src="data:'
    buttons = re.findall(pattern, page)
    assert len(buttons) == 4
    large = json.loads(re.search(r'<script type="application/json" id="large">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert tuple(large) == made.large
    for told, number, alt in buttons:
        assert large[int(number)]
        assert told.split(":")[0] in alt
    assert '<dialog id="slide">' in page
    script = page[page.rindex("<script>") :]
    assert "showModal()" in script
    assert 'large[Number(button.dataset.large)]' in script
    assert "slide.close()" in script


def test_large_pictures_of_the_plate_keep_within_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise compresses badly: the quality goes down until all fit, and no further than it must."""
    from locokine.report import plate

    random = np.random.default_rng(0)
    pictures = [Image.fromarray(random.integers(0, 256, (96, 128, 3), dtype=np.uint8)) for _ in range(3)]
    best, third = (sum(len(plate._jpeg(one, plate.QUALITY[i])) for one in pictures) for i in (0, 2))
    assert sum(map(len, plate._large([*pictures, None]))) == best
    monkeypatch.setattr(plate, "MOST", third + 1)
    assert sum(map(len, plate._large([*pictures, None]))) == third


def test_a_run_takes_slides_only_with_a_report(tmp_path: Path, examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", str(examples / "ascites_sl2.yaml"), "--out", str(tmp_path / "x"), "--slides", "--no-report"]
    assert main(words) == 2
    assert "--no-report leaves out" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_report_has_slides_when_asked(small_result: Result, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that is newer than its result stays as it is, unless slides are asked for."""
    from locokine import api
    from locokine.report import build

    asked: list[bool] = []
    monkeypatch.setattr(build, "make_plate", lambda _: asked.append(True))
    for slides, drawn in ((False, 0), (False, 0), (True, 1)):
        api.write_report(small_result, api.load(small_result.scenario), stored, slides=slides)
        assert len(asked) == drawn


def test_a_report_without_the_plate_says_how_to_get_it(small_result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    from locokine import api
    from locokine.report.build import render

    page = render(small_result, api.load(small_result.scenario), slides=False)
    assert "<code>locokine report DIR</code>" in page
    assert 'id="large"' not in page
    monkeypatch.setattr(small_result, "fields", None)
    bare = render(small_result, api.load(small_result.scenario), slides=False)
    assert "<code>locokine report DIR</code>" not in bare  # nothing to draw


@pytest.mark.parametrize("name", ["cd8", "multiplex"])
def test_fields_are_where_positive_cells_are(name: str) -> None:
    """A patch of CD8 cells in one place is found; without any the caption says so."""
    made = scene_of(tissue(lymphocytes=0.0, radius=0.6))
    cells, stain = made.cells, stains.STAINS[name]
    cells.proliferating[:], cells.hypoxic[:] = False, False
    cells.kind[cells.of(Kind.CD8, Kind.NK, Kind.LAK, Kind.ENDOTHELIUM)] = Kind.TREG
    assert picture.positives(made, stain) == 0
    assert "no positive cell on the section" in picture.caption(made, stain)
    assert picture.spots(made, stain) == picture.spots(made, stains.STAINS["he"])
    patch = (np.hypot(cells.x + 250.0, cells.y - 200.0) < 70.0) & cells.of(Kind.TUMOUR)
    cells.kind[np.flatnonzero(patch)[::2]] = Kind.CD8
    spots = picture.spots(made, stain)
    assert np.hypot(spots[40][0] + 250.0, spots[40][1] - 200.0) < 120.0
    assert picture.positives(made, stain, spots[40], 40) > 20
    assert "no positive" not in picture.caption(made, stain)


def test_a_well_mixed_run_has_slides_too(examples: Path, tmp_path: Path) -> None:
    """Two compartments, tumour and rim: section, numbers and reading work as with shells."""
    from locokine import api

    asked = api.load(examples / "local_versus_systemic.yaml", subjects=1)
    asked = replace(asked, protocol=replace(asked.protocol, geometry="well-mixed", arms=asked.protocol.arms[:2]))
    result = api.run(asked, tmp_path / "mixed", report=False)
    state = read_state(result, result.arms[0], 0, 9.0)
    assert state.core.tolist() == [True, False]
    edge = 1000.0 * state.tumour_radius
    made = slide.scene_of(state, window=(edge - 512.0, -256.0, 768.0, 512.0))
    assert within(readback.read_back(made, 1, (20, 20)), readback.drawn_from(made)) == []
