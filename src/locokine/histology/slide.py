"""From a stored result to slides: one section with its files, or a series of them over the days of treatment."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from locokine.errors import InputError
from locokine.histology.section import Window, cut
from locokine.histology.state import TissueState, read_state, stored_days
from locokine.results.store import disk_errors, write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from locokine.histology.scene import Scene
    from locokine.results.result import Result

THICKNESS = 4.0
"""Of a section, µm; what is usual for paraffin."""
PIXEL = 0.5
"""Side of a pixel, µm: 20× on a slide scanner."""
SERIES_MOST = 9
"""Days in a series, at most, unless they are named."""
Say = Callable[[str], None]


def seed_of(state: TissueState) -> int:
    """Seed of a section, from the run's seed and what is cut; not from names, so that renaming changes nothing."""
    text = f"{state.seed}:{state.subject}:{state.day:.6f}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "little")


def scene_of(state: TissueState, thickness: float = THICKNESS, window: Window | None = None) -> Scene:
    """Cut and populate a section of a state; `window` (µm) keeps only a part of it, and is quick."""
    from locokine.histology.populate import populate

    seed = seed_of(state)
    return populate(cut(state, thickness, seed, window), seed)


def name_of(state: TissueState, stain: str) -> str:
    """Name of the files of a slide."""
    plain = re.sub(r"[^\w.-]+", "_", state.arm).strip("_") or "arm"
    return f"{plain}_s{state.subject}_{re.sub(r'[^A-Za-z0-9_.-]+', '_', state.lesion)}_d{state.day:g}_{stain}"


def make_slide(
    result: Result, folder: Path, *, arm: str, subject: int, day: float, lesion: str | None = None,
    stains: Sequence[str] = ("he",), pixel: float = PIXEL, thickness: float = THICKNESS, window: Window | None = None,
    threads: int = 1, tiff: bool = True, read: bool = True, say: Say = lambda _: None,
) -> tuple[list[Path], dict[str, float], dict[str, float]]:
    """Make the slides of one lesion of one subject on one day.

    Parameters
    ----------
    result, folder
        From what, and where to.
    arm, subject, day, lesion
        Which.
    stains
        Names of stains; serial sections of the same tissue.
    pixel, thickness
        In µm.
    window
        Part of the section that the OME-TIFF and the tables show, in µm from the lesion's centre: left, top, width, height.
    tiff
        Write OME-TIFF and tables of cells, not only the PNG.
    read
        Read the slide back.

    Returns
    -------
    tuple
        The files, what was read from the slide, and what the state says (both empty unless `read`).

    Raises
    ------
    InputError
        If something was not stored, there is no such stain, or the slide does not fit into memory.
    """
    state = read_state(result, arm, subject, day, lesion)
    return draw_slide(
        state, folder, stains=stains, pixel=pixel, thickness=thickness, window=window, threads=threads, tiff=tiff, read=read,
        say=say,
    )


def draw_slide(
    state: TissueState, folder: Path, *, stains: Sequence[str] = ("he",), pixel: float = PIXEL, thickness: float = THICKNESS,
    window: Window | None = None, threads: int = 1, tiff: bool = True, read: bool = True, say: Say = lambda _: None,
) -> tuple[list[Path], dict[str, float], dict[str, float]]:
    """Make the slides of a state; the rest as for `make_slide`."""
    from locokine.histology import files, picture
    from locokine.histology import tiff as pyramids
    from locokine.histology.readback import drawn_from, read_back
    from locokine.histology.render import Painter
    from locokine.histology.stains import stain as find

    chosen = [find(name) for name in dict.fromkeys(stains)]
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if tiff:
        _room_before(state, folder, pixel, window, [len(one.channels) for one in chosen])
    say(f"placing cells of a {2.0 * state.radius[-1]:.1f} mm section ...")
    scene = scene_of(state, thickness)
    frame = files.Frame.around(scene, pixel, window)
    made: list[Path] = []
    with ThreadPoolExecutor(1) as beside:  # tables are written while tiles are painted
        tables = beside.submit(files.write_cells, folder, name_of(state, "section"), scene, frame) if tiff else None
        for one in chosen:
            name = name_of(state, one.name)
            if tiff:
                say(f"painting {one.title}: {frame.columns} × {frame.rows} pixels ...")
                path = folder / f"{name}.ome.tif"
                pyramids.write_tiff(path, Painter(scene, one, pixel), frame, threads, picture.caption(scene, one))
                made.append(path)
            made.append(picture.write_png(folder / f"{name}.png", picture.sheet(scene, one, threads)))
        made += tables.result() if tables is not None else []
    if not read:
        return made, {}, {}
    say("reading the slide back ...")
    seen, true = read_back(scene, threads), drawn_from(scene)
    made.append(_write_measures(folder / f"{name_of(state, 'section')}.read.json", seen, true))
    return made, seen, true


def _room_before(state: TissueState, folder: Path, pixel: float, window: Window | None, channels: list[int]) -> None:
    """Refuse what fits neither into memory nor on the disk before anything is placed."""
    from locokine.histology.files import Frame, check_disk, check_memory

    side = 2000.0 * float(state.radius[-1])
    width, height = (window[2], window[3]) if window is not None else (side, side)
    frame = Frame(0.0, 0.0, max(round(width / pixel), 1), max(round(height / pixel), 1), pixel)
    check_memory(frame, max(channels), 12_000.0 * np.pi * float(state.radius[-1]) ** 2)
    check_disk(folder, frame, channels)


def _write_measures(path: Path, seen: dict[str, float], true: dict[str, float]) -> Path:
    pairs = {name: {"read": seen[name], "state": true.get(name)} for name in seen}
    content = {name: {who: None if v is None or np.isnan(v) else v for who, v in pair.items()} for name, pair in pairs.items()}
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with disk_errors(path):
        write_atomic(path, lambda stream: stream.write(text.encode()))
    return path


# ---------------------------------------------------------------------- series
def series_days(result: Result, arm: str, subject: int, lesion: str | None = None, most: int = SERIES_MOST) -> list[float]:
    """Stored days around treatment on which the lesion is there: from the day before the first dose to a week after the last.

    Without any dose in the experiment: all days with a lesion. At most `most`, evenly spread.
    """
    doses = [time / 24.0 for item in result.protocol.arms for time in item.times]
    days = stored_days(result)
    days = days[np.abs(days - np.round(days)) < 1e-6]
    first, last = (min(doses) - 1.0, max(doses) + 7.0) if doses else (float(days[0]), float(days[-1]))
    names = [str(name) for name in result.fields["lesion"].values]
    radius = result.fields["radius"].sel(arm=arm, subject=subject, lesion=names[0] if lesion is None else lesion)
    good = []
    for day in days[(days >= first) & (days <= last)]:
        outer = np.asarray(radius.sel(field_time=day, method="nearest").values, dtype=float)
        if np.isfinite(outer).all() and outer[-1] > 0.0:
            good.append(float(day))
    step = -(-len(good) // most)
    return good[:: max(step, 1)]


def make_series(
    result: Result, folder: Path, *, arm: str, subject: int, lesion: str | None = None, days: Sequence[float] | None = None,
    stain: str = "he", thickness: float = THICKNESS, threads: int = 1, say: Say = lambda _: None,
) -> tuple[list[Path], list[dict[str, Any]]]:
    """Read slides of one lesion on several days, and plot what was read against the day of treatment.

    Returns
    -------
    tuple
        The files (PNG and CSV) and a row per day: "day", and per measure what was read and, as "state_...", what the state says.

    Raises
    ------
    InputError
        As for `make_slide`, or if there is no day with a lesion.
    """
    import pandas as pd

    from locokine.histology import picture
    from locokine.histology.readback import drawn_from, read_back, score
    from locokine.histology.stains import stain as find

    chosen = find(stain)
    state = read_state(result, arm, subject, days[0], lesion) if days else None
    wanted = list(days) if days else series_days(result, arm, subject, lesion)
    if not wanted:
        raise InputError("--series", f"subject {subject} of arm '{arm}' has no lesion on any day around treatment", "name days")
    rows, views = [], []
    for day in wanted:
        say(f"day {day:g} ...")
        state = read_state(result, arm, subject, day, lesion)
        scene = scene_of(state, thickness)
        seen, true = read_back(scene, threads), drawn_from(scene)
        true["erythrocyte_score"] = float(score(true["erythrocyte_fraction"]))
        rows.append({"day": state.day} | seen | {f"state_{name}": value for name, value in true.items()})
        views.append(picture.view(scene, chosen, 10, picture.spots(scene, chosen)[10], threads, (520, 390)))
    assert state is not None
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    name = name_of(state, "series").replace(f"_d{state.day:g}", "")
    table, drawing = folder / f"{name}.csv", folder / f"{name}.png"
    doses = [time / 24.0 for item in result.protocol.arms if item.name == arm for time in item.times]
    content = pd.DataFrame(rows).to_csv(index=False, float_format="%.6g").encode()
    from locokine.histology.series import plot_series

    figure = plot_series(rows, views, doses, state, chosen.title)
    with disk_errors(folder):
        write_atomic(table, lambda stream: stream.write(content))
        write_atomic(drawing, lambda stream: stream.write(_png(figure)))
    return [drawing, table], rows


def _png(figure: Figure) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    return buffer.getvalue()
