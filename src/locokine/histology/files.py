"""Writing a slide: pyramidal OME-TIFF, and the table of cells as Parquet and as GeoJSON for QuPath.

Every file is written whole or not at all, tile by tile; the bytes do not depend on the number of threads.
"""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from locokine.errors import InputError
from locokine.histology import paint
from locokine.histology.kinds import ABOUT, Kind
from locokine.histology.render import TILE, Painter, Picture
from locokine.histology.scene import Cells, Scene
from locokine.histology.section import PITCH, Tissue
from locokine.results.store import disk_errors, write_atomic

if TYPE_CHECKING:
    import pandas as pd

PACKING = 1
"""Level of deflate for small things: higher ones take several times as long for files a few per cent smaller."""
SMALLEST = 700
"""A pyramid ends when its longer side is below this, pixels."""
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
    """Memory that writing a slide takes at most, bytes: the pyramid below its first level, profiles, maps and the program."""
    return 0.34 * frame.columns * frame.rows * channels + 600.0 * cells + 4.5e8


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


# ---------------------------------------------------------------------- OME-TIFF
def write_tiff(path: Path, painter: Painter, frame: Frame, threads: int, title: str) -> Picture:
    """Paint a frame into a pyramidal OME-TIFF.

    Returns
    -------
    array
        The smallest level of the pyramid, shape (rows, columns, channels).

    Raises
    ------
    InputError
        If the file cannot be written or the disk is full.
    """
    with disk_errors(path), tempfile.TemporaryFile(dir=path.parent) as spool:
        half, places = _paint(painter, frame, threads, spool)
        levels = [half]
        while max(levels[-1].shape[:2]) > SMALLEST:
            levels.append(_halved(levels[-1]))
        part = path.with_name(f".{path.name}.part")  # by name, not by `write_atomic`: tifffile wants a file that has one
        try:
            _write_levels(part, painter, frame, spool, places, levels, title)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    return levels[-1]


def _paint(painter: Painter, frame: Frame, threads: int, spool: IO[bytes]) -> tuple[Picture, list[list[tuple[int, int]]]]:
    """Paint all tiles; packed ones go to `spool`, and where each lies there is returned for every plane of the file."""
    planes = painter.channels if painter.stain.fluorescent else 1
    half = np.zeros(((frame.rows + 1) // 2, (frame.columns + 1) // 2, painter.channels), np.uint8)

    def pack(tile: Picture) -> tuple[Picture, list[bytes]]:
        small = np.empty((TILE // 2, TILE // 2, tile.shape[2]), np.uint8)
        paint.halve(tile, small)
        parts = [tile] if planes == 1 else [tile[..., c] for c in range(planes)]
        return small, [_packed(part) for part in parts]

    places: list[list[tuple[int, int]]] = [[] for _ in range(planes)]
    end = 0
    for row, column, (small, packed) in painter.tiles(frame.left, frame.top, frame.rows, frame.columns, threads, pack):
        part = half[row // 2 : row // 2 + TILE // 2, column // 2 : column // 2 + TILE // 2]
        part[...] = small[: part.shape[0], : part.shape[1]]
        for plane, data in zip(places, packed, strict=True):
            spool.write(data)
            plane.append((end, len(data)))
            end += len(data)
    return half, places


def _packed(tile: Picture) -> bytes:
    """A tile as differences along its rows (predictor 2 of TIFF), deflated without searching, which takes half as long again.

    Where neighbours are alike (glass) by runs, else by the frequency of bytes alone.
    """
    differences = tile.copy()
    differences[:, 1:] -= tile[:, :-1]
    alike = np.count_nonzero(differences) < 0.6 * differences.size
    packer = zlib.compressobj(PACKING, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE if alike else zlib.Z_HUFFMAN_ONLY)
    return packer.compress(differences.tobytes()) + packer.flush()


def _tiles_of(level: Picture) -> Iterator[bytes]:
    """A level of the pyramid in packed tiles, plane by plane where it has planes; filled up with its last rows and columns."""
    planes = [level] if level.shape[2] == 3 else [level[..., c] for c in range(level.shape[2])]
    for plane in planes:
        for row in range(0, plane.shape[0], TILE):
            for column in range(0, plane.shape[1], TILE):
                part = plane[row : row + TILE, column : column + TILE]
                short = ((0, TILE - part.shape[0]), (0, TILE - part.shape[1]), *((0, 0),) * (part.ndim - 2))
                yield _packed(np.pad(part, short, mode="edge"))


def _halved(level: Picture) -> Picture:
    """The next level of a pyramid."""
    rows, columns, channels = level.shape
    even = np.pad(level, ((0, rows % 2), (0, columns % 2), (0, 0)), mode="edge")
    out = np.empty((even.shape[0] // 2, even.shape[1] // 2, channels), np.uint8)
    paint.halve(even, out)
    return out


def _write_levels(
    path: Path, painter: Painter, frame: Frame, spool: IO[bytes], places: list[list[tuple[int, int]]],
    levels: list[Picture], title: str,
) -> None:
    import tifffile

    def packed() -> Iterator[bytes]:
        for plane in places:
            for start, length in plane:
                spool.seek(start)
                yield spool.read(length)

    fluorescent, channels = painter.stain.fluorescent, painter.channels
    shape = (channels, frame.rows, frame.columns) if fluorescent else (frame.rows, frame.columns, 3)
    named: dict[str, Any] = {"Name": list(painter.stain.channels)}
    if fluorescent:
        from locokine.histology.stains import DAPI

        shades = (DAPI, *(marker.colour for marker in painter.stain.markers))
        named["Color"] = [int.from_bytes(bytes((*shade, 255)), "big", signed=True) for shade in shades]
    else:
        named = {"Name": ["RGB"]}
    common: dict[str, Any] = {
        "photometric": "minisblack" if fluorescent else "rgb",
        "tile": (TILE, TILE),
        "compression": "zlib",
        "predictor": 2,
        "resolutionunit": "CENTIMETER",
    }
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as tiff:
        tiff.write(
            packed(),
            shape=shape,
            dtype=np.uint8,
            subifds=len(levels),
            resolution=(1e4 / frame.pixel, 1e4 / frame.pixel),
            metadata={
                "axes": "CYX" if fluorescent else "YXS",
                "Name": title,
                "UUID": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{title} {frame}")),  # the same slide, the same bytes
                "Description": f"{title}. Virtual histology of a simulation; research use only.",
                "PhysicalSizeX": frame.pixel,
                "PhysicalSizeXUnit": "µm",
                "PhysicalSizeY": frame.pixel,
                "PhysicalSizeYUnit": "µm",
                "Channel": named,
            },
            **common,
        )
        for i, level in enumerate(levels):
            size = frame.pixel * 2 ** (i + 1)
            tiff.write(
                _tiles_of(level),
                shape=(channels, *level.shape[:2]) if fluorescent else level.shape,
                dtype=np.uint8,
                subfiletype=1,
                resolution=(1e4 / size, 1e4 / size),
                metadata=None,
                **common,
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
