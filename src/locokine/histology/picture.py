"""Pictures for people: views at 4×, 10× and 40×, the whole section, scale bars, and the line that says what it is."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from locokine.histology.files import Frame
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
NOTICE = "virtual · research use only"


def pixel_of(magnification: float) -> float:
    """Side of a pixel at a magnification, µm: 0.25 at 40×, as slide scanners have it."""
    return 10.0 / magnification


def view(
    scene: Scene, stain: Stain, magnification: float, middle: tuple[float, float], threads: int, size: tuple[int, int] = SIZE
) -> Picture:
    """One field of view, as RGB of shape (height, width, 3).

    Low magnifications are painted at 0.5 µm per pixel and averaged, as a lens does.
    """
    pixel = pixel_of(magnification)
    fold = max(round(pixel / 0.5), 1)
    painter = Painter(scene, stain, pixel / fold)
    width, height = size[0] * pixel, size[1] * pixel
    picture = painter.window(middle[0] - 0.5 * width, middle[1] - 0.5 * height, width, height, threads)
    return as_rgb(_averaged(picture, fold), stain)


def _averaged(picture: Picture, fold: int) -> Picture:
    """Mean over blocks of fold × fold pixels."""
    if fold == 1:
        return picture
    rows, columns, channels = picture.shape[0] // fold, picture.shape[1] // fold, picture.shape[2]
    blocks = picture[: rows * fold, : columns * fold].reshape(rows, fold, columns, fold, channels)
    return (blocks.mean(axis=(1, 3), dtype=np.float32) + 0.5).astype(np.uint8)


def spots(scene: Scene) -> dict[int, tuple[float, float]]:
    """Where to look at each magnification: the tumour's edge with capsule, a border of necrosis or else living tumour."""
    s = scene.section
    tumour = s.inside(Tissue.TUMOUR, Tissue.FLUID)
    x, y = s.coordinates()
    if not tumour.any():
        return dict.fromkeys(MAGNIFICATIONS, (float(s.x0 + 0.5 * s.size[0]), float(s.y0 + 0.5 * s.size[1])))
    edge = float(-s.depth[tumour].min())

    def best(cost: np.ndarray) -> tuple[float, float]:
        at = np.unravel_index(int(np.argmin(np.where(tumour, cost, np.inf))), cost.shape)
        return float(s.x0 + PITCH * (at[1] + 0.5)), float(s.y0 + PITCH * (at[0] + 0.5))

    low = best(np.abs(s.depth + 0.25 * edge) + np.abs(np.arctan2(y, x) - 0.6) * 0.3 * edge)
    mid = best(np.abs(s.depth + min(300.0, 0.3 * edge)) + np.hypot(x - low[0], y - low[1]) * 0.3)
    near = np.hypot(x - mid[0], y - mid[1])
    border = np.abs(scene.necrosis + 0.01) * 2000.0 if (scene.necrosis > 0.0).any() else np.zeros(s.shape)
    return {4: low, 10: mid, 40: best(border + near + np.where(s.inside(Tissue.TRACK), 1e4, 0.0))}


# ---------------------------------------------------------------------- writing on pictures
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that matplotlib brings, so that a picture looks the same everywhere."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _bar(image: Image.Image, pixel: float, dark: bool) -> None:
    """Draw a scale bar of a round length in the lower right corner."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image, "RGBA")
    length = next(v for v in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if v / pixel > 0.12 * image.width or v == 5000)
    text = f"{length} µm" if length < 1000 else f"{length // 1000} mm"
    width, font = length / pixel, _font(max(image.width // 62, 12))
    right, bottom = image.width - 16, image.height - 14
    ink, paper = ((255, 255, 255, 255), (0, 0, 0, 120)) if dark else ((20, 20, 20, 255), (255, 255, 255, 190))
    wide = max(width, draw.textlength(text, font=font))
    draw.rectangle((right - wide - 10, bottom - font.size - 20, right + 8, bottom + 8), fill=paper)
    draw.rectangle((right - width, bottom - 5, right, bottom), fill=ink)
    draw.text((right - 0.5 * (width + draw.textlength(text, font=font)), bottom - font.size - 12), text, fill=ink, font=font)


def _tag(image: Image.Image, text: str, dark: bool) -> None:
    """Write a few words into the upper left corner."""
    from PIL import ImageDraw

    draw, font = ImageDraw.Draw(image, "RGBA"), _font(max(image.width // 50, 13))
    ink, paper = ((255, 255, 255, 255), (0, 0, 0, 130)) if dark else ((20, 20, 20, 255), (255, 255, 255, 200))
    draw.rectangle((0, 0, draw.textlength(text, font=font) + 18, font.size + 14), fill=paper)
    draw.text((9, 5), text, fill=ink, font=font)


def caption(scene: Scene, stain: Stain) -> str:
    """What a picture shows, in a line."""
    state = scene.section.state
    return (
        f"{stain.title} · {state.arm} · day {state.day:g} · subject {state.subject} · {state.lesion} · "
        f"{scene.section.thickness:g} µm section · {state.experiment.replace('_', ' ')} · {NOTICE}"
    )


def annotated(picture: Picture, pixel: float, tag: str, dark: bool) -> Image.Image:
    """Picture with a tag and a scale bar."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    _tag(image, tag, dark)
    _bar(image, pixel, dark)
    return image


def sheet(scene: Scene, stain: Stain, threads: int) -> Image.Image:
    """The whole section and views at 4×, 10× and 40×, with frames where they were taken."""
    from PIL import Image, ImageDraw

    width, height = SIZE
    dark, gap, foot = stain.fluorescent, 8, 34
    page = Image.new("RGB", (2 * width + 3 * gap, 2 * height + 3 * gap + foot), (255, 255, 255))
    places = spots(scene)
    frame = Frame.around(scene, 1.0)
    pixel = max(frame.columns / width, frame.rows / height)
    fold = max(int(np.ceil(pixel / 3.0)), 1)  # enough to average over; the texture of nuclei is lost anyway
    painter = Painter(scene, stain, pixel / fold)
    left = frame.left - 0.5 * (width * pixel - frame.columns)
    top = frame.top - 0.5 * (height * pixel - frame.rows)
    whole = as_rgb(_averaged(painter.window(left, top, width * pixel, height * pixel, threads), fold), stain)
    overview = annotated(whole[:height, :width], pixel, "whole section", dark)
    draw = ImageDraw.Draw(overview)
    for magnification, (x, y) in places.items():
        half = 0.5 * np.array(SIZE) * pixel_of(magnification)
        first, last = (np.array((x, y)) - half - (left, top)) / pixel, (np.array((x, y)) + half - (left, top)) / pixel
        box = (float(first[0]), float(first[1]), float(last[0]), float(last[1]))
        draw.rectangle(box, outline=(255, 255, 0) if dark else (0, 0, 0), width=2)
        if magnification < 40:
            draw.text((box[0] + 4, box[1] + 2), f"{magnification}×", fill=(255, 255, 0) if dark else (0, 0, 0), font=_font(16))
    page.paste(overview, (gap, gap))
    for i, magnification in enumerate(MAGNIFICATIONS, 1):
        shown = view(scene, stain, magnification, places[magnification], threads, SIZE)
        shown_image = annotated(shown, pixel_of(magnification), f"{magnification}×", dark)
        page.paste(shown_image, (gap + (i % 2) * (width + gap), gap + (i // 2) * (height + gap)))
    ImageDraw.Draw(page).text((gap + 2, page.height - foot), caption(scene, stain), fill=(30, 30, 30), font=_font(20))
    return page


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
