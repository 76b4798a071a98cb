"""Writing a slide as a pyramidal OME-TIFF, tile by tile; the bytes do not depend on the number of threads.

Tiles are painted, halved and packed in squares of two by two, so that the next level of the pyramid is made where the first one
is, on the thread that painted it. Of a picture in colours the first level goes straight into the file; planes that the file
wants one after another wait beside it.
"""

from __future__ import annotations

import os
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from locokine.histology import paint
from locokine.histology.files import Frame
from locokine.histology.render import TILE, Painter, Picture, in_order
from locokine.results.store import disk_errors

PACKING = 1
"""Level of deflate: higher ones take several times as long for files a few per cent smaller."""
SMALLEST = 700
"""A pyramid ends when its longer side is below this, pixels."""


def write_tiff(path: Path, painter: Painter, frame: Frame, threads: int, title: str) -> None:
    """Paint a frame into a pyramidal OME-TIFF.

    Raises
    ------
    InputError
        If the file cannot be written or the disk is full.
    """
    with disk_errors(path), tempfile.TemporaryFile(dir=path.parent) as spool:
        part = path.with_name(f".{path.name}.part")  # by name, not by `write_atomic`: tifffile wants a file that has one
        try:
            _write_levels(part, _Pyramid(painter, frame, threads, spool), title)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


@dataclass
class _Pyramid:
    """Levels of a picture: those that are large in packed tiles, those that are small as they are.

    Attributes
    ----------
    spool
        File beside the picture for packed tiles that have to wait.
    waiting
        Per level (0, 1) and plane, where in `spool` its tiles lie, in their order.
    quarter
        The third level, shape (rows, columns, channels), filled while the first is painted.
    """

    painter: Painter
    frame: Frame
    threads: int
    spool: IO[bytes]
    waiting: dict[tuple[int, int], list[tuple[int, int]]] = field(default_factory=dict)
    end: int = 0

    def __post_init__(self) -> None:
        self.sizes = [(self.frame.rows, self.frame.columns)]
        while len(self.sizes) == 1 or max(self.sizes[-1]) > SMALLEST:
            self.sizes.append(((self.sizes[-1][0] + 1) // 2, (self.sizes[-1][1] + 1) // 2))
        self.planes = self.painter.channels if self.painter.stain.fluorescent else 1
        fourth = ((self.sizes[1][0] + 1) // 2, (self.sizes[1][1] + 1) // 2)
        self.quarter = np.zeros((*fourth, self.painter.channels), np.uint8)
        for plane in range(self.planes):
            self.waiting[0, plane], self.waiting[1, plane] = [], []

    def painted(self) -> Iterator[bytes]:
        """Tiles of the first level, plane by plane, as they are painted; everything else is kept meanwhile."""
        side = 2 * TILE
        wide = -(-self.frame.columns // side)
        corners = [(r, c) for r in range(0, self.frame.rows, side) for c in range(0, self.frame.columns, side)]
        row: list[list[list[bytes]]] = []
        for (top, left), (packed, half, quarter) in zip(corners, in_order(self._square, corners, self.threads), strict=True):
            part = self.quarter[top // 4 : top // 4 + TILE // 2, left // 4 : left // 4 + TILE // 2]
            part[...] = quarter[: part.shape[0], : part.shape[1]]
            for plane, data in enumerate(half):
                self._keep(1, plane, data)
            row.append(packed)
            if len(row) == wide:  # two rows of tiles are complete
                for line in range(2):
                    for tiles in (tile for square in row for tile in square[2 * line : 2 * line + 2] if tile):
                        yield tiles[0]
                        for plane in range(1, self.planes):
                            self._keep(0, plane, tiles[plane])
                row = []
        for plane in range(1, self.planes):
            yield from self._kept(0, plane)

    def level(self, number: int) -> Iterator[bytes]:
        """Tiles of another level, plane by plane, after the first has been painted."""
        if number == 1:
            for plane in range(self.planes):
                yield from self._kept(1, plane)
            return
        level = self.quarter
        for _ in range(number - 2):
            level = _halved(level)
        parts = list(_tiles_of(level, self.planes))
        yield from in_order(_packed, parts, self.threads)

    def _square(self, corner: tuple[int, int]) -> tuple[list[list[bytes]], list[bytes], Picture]:
        """Four tiles, packed by plane (none where the frame has ended); the tile half as large, packed; and a quarter of it."""
        painter, frame = self.painter, self.frame
        square = np.empty((2 * TILE, 2 * TILE, painter.channels), np.uint8)
        packed: list[list[bytes]] = []
        for down in (0, TILE):
            for right in (0, TILE):
                row, column = corner[0] + down, corner[1] + right
                here = square[down : down + TILE, right : right + TILE]
                if row >= frame.rows or column >= frame.columns:
                    here[...] = painter.glass
                    packed.append([])
                    continue
                here[...] = painter.square(frame.left + column * frame.pixel, frame.top + row * frame.pixel)
                packed.append([_packed(part) for part in _planes(here, self.planes)])
        half, quarter = (np.empty((n, n, painter.channels), np.uint8) for n in (TILE, TILE // 2))
        paint.halve(square, half)
        paint.halve(half, quarter)
        return packed, [_packed(part) for part in _planes(half, self.planes)], quarter

    def _keep(self, level: int, plane: int, data: bytes) -> None:
        self.spool.seek(self.end)
        self.spool.write(data)
        self.waiting[level, plane].append((self.end, len(data)))
        self.end += len(data)

    def _kept(self, level: int, plane: int) -> Iterator[bytes]:
        for start, length in self.waiting[level, plane]:
            self.spool.seek(start)
            yield self.spool.read(length)


def _planes(picture: Picture, planes: int) -> list[Picture]:
    return [picture] if planes == 1 else [picture[..., c] for c in range(planes)]


def _packed(tile: Picture) -> bytes:
    """A tile as differences along its rows (predictor 2 of TIFF), deflated without searching, which takes half as long again.

    Where neighbours are alike (glass) by runs, else by the frequency of bytes alone.
    """
    differences = tile.copy()
    differences[:, 1:] -= tile[:, :-1]
    alike = np.count_nonzero(differences) < 0.6 * differences.size
    packer = zlib.compressobj(PACKING, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE if alike else zlib.Z_HUFFMAN_ONLY)
    return packer.compress(differences.tobytes()) + packer.flush()


def _tiles_of(level: Picture, planes: int) -> Iterator[Picture]:
    """A level of the pyramid in tiles, plane by plane where it has planes; filled up with its last rows and columns."""
    for plane in _planes(level, planes):
        for row in range(0, plane.shape[0], TILE):
            for column in range(0, plane.shape[1], TILE):
                part = plane[row : row + TILE, column : column + TILE]
                short = ((0, TILE - part.shape[0]), (0, TILE - part.shape[1]), *((0, 0),) * (part.ndim - 2))
                yield np.pad(part, short, mode="edge")


def _halved(level: Picture) -> Picture:
    """The next level of a pyramid."""
    rows, columns, channels = level.shape
    even = np.pad(level, ((0, rows % 2), (0, columns % 2), (0, 0)), mode="edge")
    out = np.empty((even.shape[0] // 2, even.shape[1] // 2, channels), np.uint8)
    paint.halve(even, out)
    return out


def _channels(painter: Painter) -> dict[str, Any]:
    """Names and, of fluorescence, colours of the channels, as OME wants them."""
    if not painter.stain.fluorescent:
        return {"Name": ["RGB"]}
    from locokine.histology.stains import DAPI

    shades = (DAPI, *(marker.colour for marker in painter.stain.markers))
    return {
        "Name": list(painter.stain.channels),
        "Color": [int.from_bytes(bytes((*shade, 255)), "big", signed=True) for shade in shades],
    }


def _write_levels(path: Path, pyramid: _Pyramid, title: str) -> None:
    import tifffile

    painter, frame = pyramid.painter, pyramid.frame
    fluorescent, channels = painter.stain.fluorescent, painter.channels

    def shape(size: tuple[int, int]) -> tuple[int, ...]:
        return (channels, *size) if fluorescent else (*size, 3)

    common: dict[str, Any] = {
        "dtype": np.uint8,
        "photometric": "minisblack" if fluorescent else "rgb",
        "tile": (TILE, TILE),
        "compression": "zlib",
        "predictor": 2,
        "resolutionunit": "CENTIMETER",
    }
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as tiff:
        tiff.write(
            pyramid.painted(),
            shape=shape(pyramid.sizes[0]),
            subifds=len(pyramid.sizes) - 1,
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
                "Channel": _channels(painter),
            },
            **common,
        )
        for i, size in enumerate(pyramid.sizes[1:], 1):
            tiff.write(
                pyramid.level(i),
                shape=shape(size),
                subfiletype=1,
                resolution=(1e4 / (frame.pixel * 2**i), 1e4 / (frame.pixel * 2**i)),
                metadata=None,
                **common,
            )
