"""Make the pictures of docs/histology.md from a stored run of `local_versus_systemic` (eight subjects are enough).

    locokine run examples/local_versus_systemic.yaml --subjects 8 --out RESULT
    python docs/scripts/slides.py RESULT
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from PIL import Image

from locokine import api
from locokine.histology import picture, slide
from locokine.histology.kinds import TUMOUR_KINDS, Kind
from locokine.histology.patterns import PATTERNS
from locokine.histology.stains import STAINS
from locokine.histology.state import TissueState, read_state

FIGURES = Path(__file__).resolve().parent.parent / "figures"
WIDTH = 1400
SHOWN = {"arm": "intratumoural", "subject": 2}
SIZES = {"lymphoma": 1.0, "mast cell": 1.4, "carcinoma": 2.2, "renal cell carcinoma": 3.0, "melanoma": 2.0, "mesothelioma": 2.0}
"""Patterns that are shown, and the volume of their cells, 1000 µm³."""


def save(page: Image.Image, name: str) -> None:
    """Write a picture for the docs."""
    small = page.resize((WIDTH, round(page.height * WIDTH / page.width)), Image.Resampling.LANCZOS)
    if name.endswith(".png"):
        small.quantize(256).save(FIGURES / name, optimize=True)
    else:
        small.save(FIGURES / name, quality=85)


def grid(tiles: list[Image.Image]) -> Image.Image:
    """Six pictures in two rows."""
    width, height = tiles[0].size
    page = Image.new("RGB", (3 * width + 16, 2 * height + 8), (255, 255, 255))
    for i, tile in enumerate(tiles):
        page.paste(tile, ((i % 3) * (width + 8), (i // 3) * (height + 8)))
    return page


def of_kind(state: TissueState, kind: str, volume: float) -> TissueState:
    """The same tissue made of as much living tumour of another kind."""
    parameters = state.parameters | {"cell_volume": volume * 1e-6}
    fewer = state.parameters["cell_volume"] / parameters["cell_volume"]
    fields = state.fields | {"viable_density": state.fields["viable_density"] * fewer}
    return replace(state, parameters=parameters, fields=fields, pattern=PATTERNS[kind])


def main(folder: Path) -> None:
    """Make all of them."""
    result = api.open_result(folder)
    for day, name in ((11.0, "slide_he.jpg"), (14.0, "slide_weak.jpg")):
        scene = slide.scene_of(read_state(result, day=day, **SHOWN))
        save(picture.sheet(scene, STAINS["he"], 1), name)
    markers(read_state(result, day=13.0, **SHOWN))
    patterns(read_state(result, day=9.0, **SHOWN))
    (series, _), _ = slide.make_series(result, folder / "slides", **SHOWN)
    save(Image.open(series).convert("RGB"), "slide_series.png")


def markers(state: TissueState) -> None:
    """One place in six stains: where NK and CD8 cells are among living tumour."""
    scene = slide.scene_of(state)
    cells, size = scene.cells, (460.0, 340.0)
    columns, rows = ((values // length).astype(int) for values, length in zip((cells.x, cells.y), size, strict=True))
    count: Counter[tuple[int, int]] = Counter()
    for kinds, most, weight in (((Kind.NK, Kind.LAK), 6, 40), ((Kind.CD8,), 12, 20), (TUMOUR_KINDS, 150, 1)):
        which = cells.of(*kinds) & (cells.zone < state.core.sum())
        here = Counter(zip(columns[which].tolist(), rows[which].tolist(), strict=True))
        count.update({spot: weight * min(number, most) for spot, number in here.items()})
    (column, row), _ = count.most_common(1)[0]
    place = ((column + 0.5) * size[0], (row + 0.5) * size[1])
    tiles = []
    for name in ("he", "cd8", "nk", "cd31", "pimonidazole", "multiplex"):
        stain = STAINS[name]
        shown = picture.view(scene, stain, 10, place, 1, (460, 340))
        tiles.append(picture.annotated(shown, 1.0, stain.title.removesuffix(" (DAB, haematoxylin)"), stain.fluorescent))
    save(grid(tiles), "slide_stains.jpg")


def patterns(state: TissueState) -> None:
    """The same tissue as tumours of six kinds."""
    edge = 1000.0 * state.tumour_radius
    tiles = []
    for kind, volume in SIZES.items():
        scene = slide.scene_of(of_kind(state, kind, volume), window=(edge - 900.0, -300.0, 600.0, 600.0))
        shown = picture.view(scene, STAINS["he"], 40, (edge - 600.0, 0.0), 1, (460, 340))
        tiles.append(picture.annotated(shown, 0.25, kind, False))
    save(grid(tiles), "slide_patterns.jpg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
