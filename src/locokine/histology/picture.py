"""Pictures for people: views at 4×, 10× and 40×, the whole section, scale bars, and the line that says what it is."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from locokine.histology.files import Frame
from locokine.histology.kinds import Kind
from locokine.histology.render import Painter, Picture, as_rgb
from locokine.histology.scene import Scene
from locokine.histology.section import PITCH, Tissue
from locokine.histology.stains import Stain
from locokine.results.store import disk_errors, write_atomic

if TYPE_CHECKING:
    from PIL import Image, ImageFont

MAGNIFICATIONS: tuple[int, ...] = (4, 10, 40)
"""Objectives that a section is looked at with."""
SIZE = (1000, 750)
"""Width and height of a view, pixels."""
FINE = 0.85
"""Largest pixel that a view is painted at before it is averaged, µm."""
NOTICE = "virtual · research use only"


def pixel_of(magnification: float) -> float:
    """Side of a pixel at a magnification, µm: 0.25 at 40×, as slide scanners have it."""
    return 10.0 / magnification


def view(
    scene: Scene, stain: Stain, magnification: float, middle: tuple[float, float], threads: int, size: tuple[int, int] = SIZE
) -> Picture:
    """One field of view, as RGB of shape (height, width, 3).

    Low magnifications are painted at up to `FINE` µm per pixel and averaged, as a lens does.
    """
    pixel = pixel_of(magnification)
    fold = max(int(np.ceil(pixel / FINE)), 1)
    painter = Painter(scene, stain, pixel / fold)
    width, height = size[0] * pixel, size[1] * pixel
    picture = painter.window(middle[0] - 0.5 * width, middle[1] - 0.5 * height, width, height, threads)
    return as_rgb(_averaged(picture, fold), stain)


def _averaged(picture: Picture, fold: int) -> Picture:
    """Mean over blocks of fold × fold pixels."""
    if fold == 1:
        return picture
    rows, columns, channels = picture.shape[0] // fold, picture.shape[1] // fold, picture.shape[2]
    total = np.full((rows, columns, channels), fold**2 // 2, np.uint32)
    for i in range(fold):
        for j in range(fold):
            total += picture[i : rows * fold : fold, j : columns * fold : fold]
    return (total // fold**2).astype(np.uint8)


def spots(scene: Scene, stain: Stain) -> dict[int, tuple[float, float]]:
    """Where to look at each magnification: the tumour's edge with capsule, a border of necrosis or else living tumour.

    With a marker: where most cells that carry it lie among others that do not, in the tumour if there are any.
    """
    s = scene.section
    tumour = s.inside(Tissue.TUMOUR, Tissue.FLUID)
    x, y = s.coordinates()
    if not tumour.any():
        return dict.fromkeys(MAGNIFICATIONS, (float(s.x0 + 0.5 * s.size[0]), float(s.y0 + 0.5 * s.size[1])))
    edge = float(-s.depth[tumour].min())

    def best(cost: np.ndarray, where: np.ndarray = tumour) -> tuple[float, float]:
        at = np.unravel_index(int(np.argmin(np.where(where, cost, np.inf))), cost.shape)
        return float(s.x0 + PITCH * (at[1] + 0.5)), float(s.y0 + PITCH * (at[0] + 0.5))

    mixed = _mixed(scene, stain, 10)
    where = tumour if mixed[tumour].any() else s.inside(*(t for t in Tissue if t != Tissue.GLASS))
    if mixed[where].any():
        mid = best(-mixed, where)
        half = 0.5 * np.array(SIZE) * (pixel_of(10) - pixel_of(40))  # the smaller field lies in the larger one
        inside = where & (np.abs(x - mid[0]) <= half[0]) & (np.abs(y - mid[1]) <= half[1])
        low = best(np.abs(s.depth + 0.25 * edge) + 0.5 * np.hypot(x - mid[0], y - mid[1]))
        return {4: low, 10: mid, 40: best(-_mixed(scene, stain, 40), inside)}
    low = best(np.abs(s.depth + 0.25 * edge) + np.abs(np.arctan2(y, x) - 0.6) * 0.3 * edge)
    mid = best(np.abs(s.depth + min(300.0, 0.3 * edge)) + np.hypot(x - low[0], y - low[1]) * 0.3)
    near = np.hypot(x - mid[0], y - mid[1])
    border = np.abs(scene.necrosis + 0.01) * 2000.0 if (scene.necrosis > 0.0).any() else np.zeros(s.shape)
    return {4: low, 10: mid, 40: best(border + near + np.where(s.inside(Tissue.TRACK), 1e4, 0.0))}


def _mixed(scene: Scene, stain: Stain, magnification: int) -> np.ndarray:
    """How much a field around every place shows of a stain's markers: the smaller of cells with and without each, so to speak.

    p n / (p + n) for every marker, relative to the most there is; 0 everywhere without a positive cell.
    """
    from scipy import ndimage

    s, cells = scene.section, scene.cells
    counted = ~cells.of(Kind.ADIPOCYTE, Kind.ERYTHROCYTE_INSIDE, Kind.ERYTHROCYTE_OUTSIDE)
    field: Any = [max(round(pixel_of(magnification) * length / PITCH), 1) for length in reversed(SIZE)]
    rows = np.clip(((cells.y - s.y0) / PITCH).astype(int), 0, s.shape[0] - 1)
    columns = np.clip(((cells.x - s.x0) / PITCH).astype(int), 0, s.shape[1] - 1)

    def around(which: np.ndarray) -> np.ndarray:
        found = np.bincount(rows[which] * s.shape[1] + columns[which], minlength=s.zone.size).reshape(s.shape)
        return np.round(np.prod(field) * ndimage.uniform_filter(found.astype(np.float64), field, mode="constant"), 3)

    total, every = np.zeros(s.shape), around(counted)
    for marker in stain.markers:
        positive = around(counted & marker.carried_by(cells))
        mixed = positive * np.maximum(every - positive, 0.0) / np.maximum(every, 1.0)
        total += mixed / max(float(mixed.max()), 1e-9)
    return total


def positives(scene: Scene, stain: Stain, middle: tuple[float, float] | None = None, magnification: int = 10) -> int:
    """Cells that carry a marker of a stain, on the section or in a field of view."""
    cells = scene.cells
    found = np.zeros(len(cells), dtype=bool)
    for marker in stain.markers:
        found |= marker.carried_by(cells)
    if middle is not None:
        half = 0.5 * pixel_of(magnification) * np.array(SIZE)
        found &= (np.abs(cells.x - middle[0]) <= half[0]) & (np.abs(cells.y - middle[1]) <= half[1])
    return int(found.sum())


# ---------------------------------------------------------------------- writing on pictures
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that matplotlib brings, so that a picture looks the same everywhere."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _bar(image: Image.Image, pixel: float, dark: bool, letters: int) -> None:
    """Draw a scale bar of a round length in the lower right corner."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image, "RGBA")
    length = next(v for v in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if v / pixel > 0.12 * image.width or v == 5000)
    text = f"{length} µm" if length < 1000 else f"{length // 1000} mm"
    width, font = length / pixel, _font(letters or max(image.width // 62, 12))
    right, bottom = image.width - 16, image.height - 14
    ink, paper = ((255, 255, 255, 255), (0, 0, 0, 120)) if dark else ((20, 20, 20, 255), (255, 255, 255, 190))
    wide = max(width, draw.textlength(text, font=font))
    draw.rectangle((right - wide - 10, bottom - font.size - 20, right + 8, bottom + 8), fill=paper)
    draw.rectangle((right - width, bottom - 5, right, bottom), fill=ink)
    draw.text((right - 0.5 * (width + draw.textlength(text, font=font)), bottom - font.size - 12), text, fill=ink, font=font)


def _tag(image: Image.Image, text: str, dark: bool, letters: int) -> None:
    """Write a few words into the upper left corner."""
    from PIL import ImageDraw

    draw, font = ImageDraw.Draw(image, "RGBA"), _font(letters or max(image.width // 50, 13))
    ink, paper = ((255, 255, 255, 255), (0, 0, 0, 130)) if dark else ((20, 20, 20, 255), (255, 255, 255, 200))
    draw.rectangle((0, 0, draw.textlength(text, font=font) + 18, font.size + 14), fill=paper)
    draw.text((9, 5), text, fill=ink, font=font)


def caption(scene: Scene, stain: Stain) -> str:
    """What a picture shows, in a line."""
    state = scene.section.state
    none = " · no positive cell on the section" if stain.markers and not positives(scene, stain) else ""
    return (
        f"{stain.title}{none} · {state.arm} · day {state.day:g} · subject {state.subject} · {state.lesion} · "
        f"{scene.section.thickness:g} µm section · {state.experiment.replace('_', ' ')} · {NOTICE}"
    )


def annotated(picture: Picture, pixel: float, tag: str, dark: bool, letters: int = 0) -> Image.Image:
    """Picture with a tag and a scale bar; `letters` is the size of their font in pixels (0: by the size of the picture)."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    _tag(image, tag, dark, letters)
    _bar(image, pixel, dark, letters)
    return image


def sheet(scene: Scene, stain: Stain, threads: int) -> Image.Image:
    """The whole section and views at 4×, 10× and 40×, with frames where they were taken."""
    from PIL import Image, ImageDraw

    width, height = SIZE
    gap, foot = 8, 66 if stain.fluorescent else 34
    page = Image.new("RGB", (2 * width + 3 * gap, 2 * height + 3 * gap + foot), (255, 255, 255))
    places = spots(scene, stain)
    page.paste(_overview(scene, stain, places, threads), (gap, gap))
    for i, magnification in enumerate(MAGNIFICATIONS, 1):
        shown = view(scene, stain, magnification, places[magnification], threads, SIZE)
        none = stain.markers and not positives(scene, stain, places[magnification], magnification)
        tag = f"{magnification}×" + (" · no positive cell in this field" if none else "")
        page.paste(
            annotated(shown, pixel_of(magnification), tag, stain.fluorescent),
            (gap + (i % 2) * (width + gap), gap + (i // 2) * (height + gap)),
        )
    ImageDraw.Draw(page).text((gap + 2, page.height - foot), caption(scene, stain), fill=(30, 30, 30), font=_font(20))
    if stain.fluorescent:
        _key(page, scene, stain, page.height - 32)
    return page


def _overview(scene: Scene, stain: Stain, places: dict[int, tuple[float, float]], threads: int) -> Image.Image:
    """The whole section, with a frame and its magnification for every view."""
    from PIL import ImageDraw

    width, height = SIZE
    frame = Frame.around(scene, 1.0)
    pixel = max(frame.columns / width, frame.rows / height)
    fold = max(int(np.ceil(pixel / 3.0)), 1)  # enough to average over; the texture of nuclei is lost anyway
    painter = Painter(scene, stain, pixel / fold)
    left = frame.left - 0.5 * (width * pixel - frame.columns)
    top = frame.top - 0.5 * (height * pixel - frame.rows)
    whole = as_rgb(_averaged(painter.window(left, top, width * pixel, height * pixel, threads), fold), stain)
    overview = annotated(whole[:height, :width], pixel, "whole section", stain.fluorescent)
    draw, font = ImageDraw.Draw(overview, "RGBA"), _font(16)
    ink, paper = ((255, 255, 0), (0, 0, 0, 140)) if stain.fluorescent else ((0, 0, 0), (255, 255, 255, 180))
    # labels go outside their frames, each at a corner of its own: smaller frames lie in larger ones
    for magnification, (x, y) in places.items():
        half = 0.5 * np.array(SIZE) * pixel_of(magnification)
        first, last = (np.array((x, y)) - half - (left, top)) / pixel, (np.array((x, y)) + half - (left, top)) / pixel
        box = (float(first[0]), float(first[1]), float(last[0]), float(last[1]))
        draw.rectangle(box, outline=ink, width=2)
        text = f"{magnification}×"
        long = draw.textlength(text, font=font)
        at = {4: (box[0], box[1] - 21), 10: (box[0] - long - 5, box[1]), 40: (box[2] + 3, box[3] - 14)}[magnification]
        draw.rectangle((at[0] - 1, at[1], at[0] + long + 2, at[1] + 19), fill=paper)
        draw.text(at, text, fill=ink, font=font)
    return overview


def _key(page: Image.Image, scene: Scene, stain: Stain, top: int) -> None:
    """Names of the channels in their colours, on black; which of them no cell carries."""
    from PIL import ImageDraw

    from locokine.histology.stains import DAPI

    draw, font = ImageDraw.Draw(page), _font(20)
    draw.rectangle((8, top, page.width - 9, top + 27), fill=(0, 0, 0))
    x = 20.0
    named = [("DAPI (nuclei)", DAPI)]
    named += [(m.name + ("" if m.carried_by(scene.cells).any() else " (none)"), m.colour) for m in stain.markers]
    for name, shade in named:
        draw.ellipse((x, top + 7, x + 13, top + 20), fill=shade)
        draw.text((x + 20, top + 2), name, fill=shade, font=font)
        x += 50.0 + draw.textlength(name, font=font)


def png(image: Image.Image) -> bytes:
    """PNG without date, so that the same picture gives the same bytes."""
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def write_png(path: Path, image: Image.Image) -> Path:
    """Write a picture whole or not at all."""
    content = png(image)
    with disk_errors(path):
        write_atomic(path, lambda stream: stream.write(content))
    return path
