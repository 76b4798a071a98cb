"""Virtual histology: slides of results, bad input, the commands and the plate of the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import tifffile

from locokine.cli import main
from locokine.errors import InputError
from locokine.histology import files, picture, readback, slide, stains
from locokine.histology.counts import immune_densities, profiles
from locokine.histology.kinds import Kind
from locokine.histology.render import Painter
from locokine.histology.scene import Scene
from locokine.histology.section import cut
from locokine.histology.state import read_state

if TYPE_CHECKING:
    from locokine.results.result import Result
from virtual_slides import scene_of, tissue


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
