"""What a slide takes and shows: its frame, memory and disk, and the table of cells as Parquet and as GeoJSON for QuPath.

Every file is written whole or not at all.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from locokine.errors import InputError
from locokine.histology.kinds import ABOUT, Kind
from locokine.histology.scene import Cells, Scene
from locokine.histology.section import PITCH, Tissue
from locokine.results.store import disk_errors, write_atomic

if TYPE_CHECKING:
    import pandas as pd

PACKING = 1
"""Level of deflate for small things: higher ones take several times as long for files a few per cent smaller."""
PACKED = 0.80
"""Size of a slide relative to the bytes of its first level, at most: 0.72 measured where tissue fills an H&E slide."""
SHARE_OF_MEMORY = 0.7
"""Of the free memory that a slide may ask for."""
RED_CELLS = (Kind.ERYTHROCYTE_INSIDE, Kind.ERYTHROCYTE_OUTSIDE)


@dataclass(frozen=True)
class Frame:
    """The part of the section that a picture shows: corner in µm, pixels, and the side of a pixel in µm."""

    left: float
    top: float
    columns: int
    rows: int
    pixel: float

    @classmethod
    def around(cls, scene: Scene, pixel: float, window: tuple[float, float, float, float] | None = None) -> Frame:
        """Frame of a window in µm (left, top, width, height), or of all tissue with a margin of glass.

        Raises
        ------
        InputError
            If the window does not touch the section.
        """
        s = scene.section
        if window is None:
            rows, columns = np.nonzero(s.tissue != Tissue.GLASS)
            edge = 100.0
            left, top = s.x0 + PITCH * columns.min() - edge, s.y0 + PITCH * rows.min() - edge
            width = PITCH * (columns.max() - columns.min() + 1) + 2.0 * edge
            height = PITCH * (rows.max() - rows.min() + 1) + 2.0 * edge
        else:
            left, top, width, height = window
            x, y = s.coordinates()
            inside = (x >= left) & (x <= left + width) & (y >= top) & (y <= top + height)
            if not (inside & (s.tissue != Tissue.GLASS)).any():
                half = 0.5e-3 * s.size[0]
                raise InputError(
                    "--window", "there is no tissue in it", f"the lesion's centre is 0 0; tissue reaches to about ±{half:.1f} mm"
                )
        return cls(left, top, max(round(width / pixel), 1), max(round(height / pixel), 1), pixel)


def needed(frame: Frame, channels: int, cells: float) -> float:
    """Memory that writing a slide takes at most, bytes: the pyramid from its third level on, profiles with tables, the program.

    Measured at 10 × 10 mm with 0.7 million profiles, H&E, tables written meanwhile: 1.13 GB, for which this says 1.20.
    """
    return 0.10 * frame.columns * frame.rows * channels + 900.0 * cells + 4.5e8


def free_memory() -> float:
    """Memory that is free, bytes (infinite where the system does not say)."""
    try:
        with open("/proc/meminfo", encoding="ascii") as stream:
            for line in stream:
                if line.startswith("MemAvailable:"):
                    return 1024.0 * float(line.split()[1])
    except OSError:
        pass
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return float("inf")


def check_memory(frame: Frame, channels: int, cells: float) -> None:
    """Refuse a slide that does not fit into memory.

    Raises
    ------
    InputError
        Saying how large the slide is, how much it needs, and which size fits.
    """
    need, free = needed(frame, channels, cells), SHARE_OF_MEMORY * free_memory()
    if need <= free:
        return
    width, height = 1e-3 * frame.pixel * frame.columns, 1e-3 * frame.pixel * frame.rows
    fits = np.sqrt(max(free - 5e8, 0.0) / max(need - 5e8, 1.0))
    told = f"a --window of at most {fits * width:.1f} × {fits * height:.1f} mm" if fits > 0.02 else "a machine with more memory"
    raise InputError(
        "--pixel",
        f"{width:.1f} × {height:.1f} mm at {frame.pixel:g} µm a pixel are {frame.columns} × {frame.rows} pixels and need "
        f"{need / 1e9:.1f} GB, {free / 1e9:.1f} GB can be used",
        f"take larger pixels or {told}",
    )


def check_disk(folder: Path, frame: Frame, channels: list[int]) -> None:
    """Refuse slides that do not fit on the disk: one with so many channels each.

    Raises
    ------
    InputError
        Saying how much they take and how much is free.
    """
    try:
        free = float(shutil.disk_usage(folder).free)
    except OSError:
        return
    sizes = [PACKED * count * frame.columns * frame.rows for count in channels]
    # planes of fluorescence lie beside the file until their turn comes
    need = sum(sizes) + max(0.25 * size if count <= 3 else size for size, count in zip(sizes, channels, strict=True))
    if need > free:
        raise InputError(
            str(folder),
            f"{frame.columns} × {frame.rows} pixels take about {need / 1e9:.1f} GB on the disk, {free / 1e9:.1f} GB are free",
            "free some space, choose another --out, take larger pixels or a --window, or write pictures alone (--png-only)",
        )


# ---------------------------------------------------------------------- cells
def cell_table(scene: Scene, frame: Frame) -> pd.DataFrame:
    """Every profile in a frame: a row each, with places in µm from the lesion's centre and in pixels of the picture."""
    import pandas as pd

    cells, section = scene.cells, scene.section
    x, y = (cells.x - frame.left) / frame.pixel, (cells.y - frame.top) / frame.pixel
    inside = (x >= 0.0) & (y >= 0.0) & (x < frame.columns) & (y < frame.rows)
    c = Cells(**{name: getattr(cells, name)[inside] for name in cells.__dataclass_fields__})
    rows = np.clip(((c.y - section.y0) / PITCH).astype(int), 0, section.shape[0] - 1)
    columns = np.clip(((c.x - section.x0) / PITCH).astype(int), 0, section.shape[1] - 1)
    tissues = np.array([t.name.lower() for t in Tissue])
    kinds = np.array([about.name for about in ABOUT])
    return pd.DataFrame(
        {
            "cell": np.flatnonzero(inside),
            "kind": pd.Categorical.from_codes(c.kind.astype(np.int64), list(kinds)),
            "x_um": c.x,
            "y_um": c.y,
            "x_px": x[inside],
            "y_px": y[inside],
            "nucleus_area_um2": np.pi * c.nucleus.astype(np.float64) ** 2,
            "cell_area_um2": np.pi * c.body.astype(np.float64) ** 2,
            "aspect": c.aspect,
            "angle_rad": c.angle,
            "compartment": c.zone,
            "tissue": pd.Categorical.from_codes(section.tissue[rows, columns].astype(np.int64), list(tissues)),
            "proliferating": c.proliferating,
            "hypoxic": c.hypoxic,
            "from_state": c.from_state,
        }
    )


def write_cells(folder: Path, name: str, scene: Scene, frame: Frame) -> list[Path]:
    """Write `NAME.cells.parquet` (all profiles) and `NAME.cells.geojson.gz` (all but erythrocytes, for QuPath)."""
    table = cell_table(scene, frame)
    parquet, geojson = folder / f"{name}.cells.parquet", folder / f"{name}.cells.geojson.gz"
    with disk_errors(folder):
        write_atomic(parquet, lambda stream: table.to_parquet(stream, index=False))
        write_atomic(geojson, lambda stream: _write_geojson(stream, table, frame.pixel))
    return [parquet, geojson]


CORNERS = 10
"""Of the outline of a nucleus in GeoJSON."""


def _write_geojson(stream: IO[bytes], table: pd.DataFrame, pixel: float) -> None:
    """One detection per nucleus (of fat cells: per cell), outlined in pixels of the picture."""
    red = [ABOUT[kind].name for kind in RED_CELLS]
    rows: Any = table[~table["kind"].isin(red).to_numpy()]
    area = np.where(rows["nucleus_area_um2"] > 0.5, rows["nucleus_area_um2"], rows["cell_area_um2"])
    radius, aspect, angle = np.sqrt(area / np.pi) / pixel, np.sqrt(rows["aspect"].to_numpy()), rows["angle_rad"].to_numpy()
    turn = 2.0 * np.pi * np.arange(CORNERS + 1) / CORNERS
    u, v = (radius * aspect)[:, None] * np.cos(turn), (radius / aspect)[:, None] * np.sin(turn)
    c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
    px = np.rint(10.0 * (rows["x_px"].to_numpy()[:, None] + c * u - s * v)).astype(np.int64)
    py = np.rint(10.0 * (rows["y_px"].to_numpy()[:, None] + s * u + c * v)).astype(np.int64)
    px[:, -1], py[:, -1] = px[:, 0], py[:, 0]
    points = np.stack([px, py], axis=2).reshape(len(rows), -1)
    # every number that occurs is written once: formatting millions of them took longer than all the rest
    least = int(points.min()) if points.size else 0
    written = np.array([f"{i / 10.0:g}" for i in range(least, int(points.max()) + 1)] if points.size else [], dtype=object)
    classes = [json.dumps({"name": a.name.replace(",", ":"), "color": a.colour}) for a in ABOUT]
    codes = rows["kind"].cat.codes.to_numpy()
    outline = ",".join(["[%s,%s]"] * (CORNERS + 1))
    feature = (
        '{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[' + outline + "]]},"
        '"properties":{"objectType":"detection","classification":%s}}'
    )
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=PACKING, mtime=0, filename="") as out:
        out.write(b'{"type":"FeatureCollection","features":[')
        for start in range(0, len(rows), 20_000):
            part = written[points[start : start + 20_000] - least].tolist()
            text = ",\n".join(
                feature % (*row, classes[code]) for row, code in zip(part, codes[start : start + 20_000].tolist(), strict=True)
            )
            out.write(((",\n" if start else "\n") + text).encode())
        out.write(b"\n]}\n")
