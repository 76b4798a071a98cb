"""The plate of the report: virtual slides, arms by days, at one scale, with what was read from them beneath."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from locokine.report.figures_chain import MAX_COLUMNS
from locokine.report.figures_fields import has_fields, representative

WIDTH, HEIGHT = 900.0, 675.0
"""Of every view, µm; painted at 0.5 µm and shown at 1 µm per pixel (10×)."""
AFTER_FIRST_DOSE = (-0.5, 1.0, 3.0, 6.0)
"""Days of the plate relative to the first dose of any arm."""
QUALITY = 72
"""Of JPEG: the report stays within a few megabytes."""


class View(NamedTuple):
    """One picture: its JPEG in base64 (empty: no picture), and what is said beneath it and when it is large."""

    jpeg: str
    numbers: str
    title: str


class Plate(NamedTuple):
    """Names of the rows, days of the columns, and views by row."""

    arms: tuple[str, ...]
    days: tuple[float, ...]
    rows: tuple[tuple[View, ...], ...]
    subject: int
    lesion: str


def make_plate(result: Any) -> Plate | None:
    """Draw the plate of a result: the host and lesion of the radius–time maps, or None where no tissue was stored."""
    if not drawable(result):
        return None
    lesion = str(result.fields["lesion"].values[0])
    subject = representative(result, lesion) if has_fields(result) else int(result.fields["subject"].values[0])
    arms, days = tuple(result.arms)[:MAX_COLUMNS], _days(result)
    places = [(arm, day) for arm in arms for day in days]
    same = {place: _fingerprint(result, place[0], subject, place[1], lesion) for place in places}
    first = {mark: place for place, mark in reversed(same.items())}  # arms are alike until they are treated
    with ThreadPoolExecutor(2) as pool:  # painting lets other threads run
        made = pool.map(lambda place: _view(result, place[0], subject, place[1], lesion), first.values())
        drawn = dict(zip(first, made, strict=True))
    views = [drawn[same[place]]._replace(title=f"{place[0]}, day {place[1]:g}") for place in places]
    if not any(view.jpeg for view in views):
        return None
    width = len(days)
    rows = tuple(tuple(views[i * width : (i + 1) * width]) for i in range(len(arms)))
    return Plate(arms, days, rows, subject, lesion)


def drawable(result: Any) -> bool:
    """Whether compartments of tissue were stored, as many as the protocol says."""
    fields = getattr(result, "fields", None)
    if fields is None or "shell" not in fields.dims or not fields.sizes["subject"] or not fields.sizes["field_time"]:
        return False
    protocol, count = result.protocol, int(fields.sizes["shell"])
    return count == 2 or count == protocol.shells + protocol.rim_shells


def _fingerprint(result: Any, arm: str, subject: int, day: float, lesion: str) -> bytes:
    """What tells one state of a lesion from another: its stored tissue, and the day."""
    here = result.fields.sel(arm=arm, subject=subject, lesion=lesion).sel(field_time=day, method="nearest")
    return b"".join(np.asarray(here[name].values, dtype=float).tobytes() for name in sorted(here.data_vars)) + repr(day).encode()


def _days(result: Any) -> tuple[float, ...]:
    """Stored days of the plate, each once."""
    stored = np.asarray(result.fields["field_time"].values, dtype=float)
    doses = [time / 24.0 for arm in result.protocol.arms for time in arm.times]
    if doses:
        wanted = [min(doses) + shift for shift in AFTER_FIRST_DOSE]
    else:
        wanted = list(np.linspace(0.25, 1.0, len(AFTER_FIRST_DOSE)) * float(stored[-1]))
    return tuple(dict.fromkeys(float(stored[np.argmin(np.abs(stored - day))]) for day in wanted))


def _view(result: Any, arm: str, subject: int, day: float, lesion: str) -> View:
    """One view at the edge of the tumour, and four fields of it read back."""
    from locokine.errors import InputError
    from locokine.histology.picture import annotated, pixel_of, view
    from locokine.histology.readback import read_back
    from locokine.histology.slide import scene_of
    from locokine.histology.stains import STAINS
    from locokine.histology.state import read_state

    title = f"{arm}, day {day:g}"
    try:
        state = read_state(result, arm, subject, day, lesion)
    except InputError as error:
        return View("", "dead" if "dead" in error.problem else "no lesion", title)
    middle = (max(1000.0 * state.tumour_radius - 0.36 * WIDTH, 0.0), 0.0)
    scene = scene_of(state, window=(middle[0] - 0.5 * WIDTH, -0.5 * HEIGHT, WIDTH, HEIGHT))
    pixel = pixel_of(10)
    shown = view(scene, STAINS["he"], 10, middle, 1, (round(WIDTH / pixel), round(HEIGHT / pixel)))
    buffer = BytesIO()
    annotated(shown, pixel, "10× · virtual", False).save(buffer, "JPEG", quality=QUALITY)
    numbers = _numbers(read_back(scene, fields=(4, 0)))
    return View(base64.b64encode(buffer.getvalue()).decode("ascii"), numbers, title)


def _numbers(seen: dict[str, float]) -> str:
    """What was read, in a line."""
    if not seen["fields"]:
        return "no tumour left to read"
    return (
        f"fluid {100.0 * seen['interstitial_fraction']:.0f} % · necrosis {100.0 * seen['necrotic_area']:.0f} % · "
        f"hypoxia {100.0 * seen['hypoxic_fraction']:.0f} % · CD8 {seen['cd8_centre']:.0f}/mm² · "
        f"erythrocytes {seen['erythrocyte_score']:.0f}"
    )
