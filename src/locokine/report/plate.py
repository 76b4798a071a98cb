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
"""Of every view, µm; painted at 0.5 µm per pixel."""
SMALL, LARGE = 540, 1350
"""Width of a picture in the table (shown at half of that, for sharp screens) and when clicked, pixels."""
FIELDS = (4, 2)
"""Fields read of every view, chosen in the tumour and in the rim."""
AFTER_FIRST_DOSE = (-0.5, 1.0, 3.0, 6.0)
"""Days of the plate relative to the first dose of any arm."""
QUALITY = (78, 66, 54, 42)
"""Of the large JPEGs, the first with which all of them together take less than `MOST`."""
MOST = 9_000_000
"""Characters of all large pictures, so that the report stays below 12 MB."""
LETTERS = 24
"""Height of letters on a small picture, pixels: twelve on the screen."""


class View(NamedTuple):
    """One picture: its small JPEG in base64 (empty: no picture), the number of the large one, and what is said of it."""

    jpeg: str
    large: int
    numbers: str
    title: str


class Plate(NamedTuple):
    """Names of the rows, days of the columns, views by row, and the large pictures (JPEG in base64), each once."""

    arms: tuple[str, ...]
    days: tuple[float, ...]
    rows: tuple[tuple[View, ...], ...]
    subject: int
    lesion: str
    large: tuple[str, ...]


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
    views = [drawn[same[place]][0]._replace(title=f"{place[0]}, day {place[1]:g}") for place in places]
    if not any(view.jpeg for view in views):
        return None
    number = {mark: i for i, (mark, (_, picture)) in enumerate(drawn.items()) if picture is not None}
    views = [view._replace(large=number.get(same[place], -1)) for view, place in zip(views, places, strict=True)]
    large = _large([picture for _, picture in drawn.values()])
    width = len(days)
    rows = tuple(tuple(views[i * width : (i + 1) * width]) for i in range(len(arms)))
    return Plate(arms, days, rows, subject, lesion, large)


def _large(pictures: list[Any]) -> tuple[str, ...]:
    """All large pictures as JPEG in base64, as good as `MOST` allows (empty: none)."""
    made: tuple[str, ...] = ()
    for quality in QUALITY:
        made = tuple("" if picture is None else _jpeg(picture, quality) for picture in pictures)
        if sum(len(text) for text in made) < MOST:
            break
    return made


def _jpeg(picture: Any, quality: int) -> str:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


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


def _view(result: Any, arm: str, subject: int, day: float, lesion: str) -> tuple[View, Any]:
    """One view at the edge of the tumour with what was read from its fields, and the picture of it that a click shows."""
    from PIL import Image

    from locokine.errors import InputError
    from locokine.histology.picture import annotated
    from locokine.histology.readback import read_back
    from locokine.histology.render import Painter
    from locokine.histology.slide import scene_of
    from locokine.histology.stains import STAINS
    from locokine.histology.state import read_state

    title = f"{arm}, day {day:g}"
    try:
        state = read_state(result, arm, subject, day, lesion)
    except InputError as error:
        return View("", -1, "dead" if "dead" in error.problem else "no lesion", title), None
    middle = (max(1000.0 * state.tumour_radius - 0.36 * WIDTH, 0.0), 0.0)
    scene = scene_of(state, window=(middle[0] - 0.5 * WIDTH, -0.5 * HEIGHT, WIDTH, HEIGHT))
    painted = Painter(scene, STAINS["he"], 0.5).window(middle[0] - 0.5 * WIDTH, -0.5 * HEIGHT, WIDTH, HEIGHT)

    def shown(width: int) -> Any:
        return np.asarray(
            Image.fromarray(painted).resize((width, round(width * HEIGHT / WIDTH)), Image.Resampling.LANCZOS)
        )

    small = annotated(shown(SMALL), WIDTH / SMALL, "virtual", False, LETTERS)
    large = annotated(shown(LARGE), WIDTH / LARGE, f"{10.0 * LARGE / WIDTH:g}× · {title} · virtual", False)
    return View(_jpeg(small, 70), -1, _numbers(read_back(scene, fields=FIELDS)), title), large


def _numbers(seen: dict[str, float]) -> str:
    """What was read, in a line."""
    if not seen["fields"]:
        return "no tumour left to read"
    fluid = seen["interstitial_fraction"]
    between = "" if np.isnan(fluid) else f"fluid {100.0 * fluid:.0f} % · "
    hypoxic = seen["hypoxic_fraction"]
    hypoxia = "" if np.isnan(hypoxic) else f"hypoxia {100.0 * hypoxic:.0f} % · "
    return (
        f"oedema {100.0 * seen['oedema_fraction']:.0f} % · {between}"
        f"necrosis {100.0 * seen['necrotic_area']:.0f} % · {hypoxia}"
        f"vessels {seen['vessel_density']:.0f}/mm² · CD8 {seen['cd8_centre']:.0f}, in the rim {seen['cd8_rim']:.0f}/mm² · "
        f"erythrocytes {seen['erythrocyte_score']:.0f}"
    )
