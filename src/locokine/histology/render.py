"""Pictures of a scene: any window at any pixel size, tile by tile, the same bytes on any number of threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locokine.histology import dye, noise, paint
from locokine.histology.kinds import Kind
from locokine.histology.scene import Cells, Scene
from locokine.histology.section import PITCH
from locokine.histology.stains import STAINS, WHITE, Marker, Stain, look, vectors

Picture = NDArray[np.uint8]
TILE = 512
"""Side of a tile, pixels."""
LENS = 0.25
"""Standard deviation of the blur of lens and thickness, µm (a dry objective of NA 0.75 resolves 0.45 µm; assumed)."""
FLOOR = 0.025
"""Light of a fluorescent channel that is shown as black."""
SPINDLES = (Kind.ENDOTHELIUM, Kind.FIBROBLAST, Kind.MYOCYTE, Kind.MESOTHELIUM)
_TABLE = (10.0 ** (-np.arange(4096) / 1024.0)).astype(np.float32)


@dataclass(frozen=True)
class _Sorted:
    """Ellipses sorted by squares, in the form that `paint.lay` reads."""

    arrays: tuple[Any, ...]

    @classmethod
    def of(cls, scene: Scene, x: Any, y: Any, long: Any, short: Any, angle: Any, reach: Any) -> _Sorted:
        section = scene.section
        width, height = section.size
        columns, rows = int(width / paint.BIN) + 1, int(height / paint.BIN) + 1
        a = np.clip(((x - section.x0) / paint.BIN).astype(np.int64), 0, columns - 1)
        b = np.clip(((y - section.y0) / paint.BIN).astype(np.int64), 0, rows - 1)
        bins = b * columns + a
        order = np.argsort(bins, kind="stable").astype(np.int64)
        start = np.searchsorted(bins[order], np.arange(columns * rows + 1)).astype(np.int64)
        floats = [np.ascontiguousarray(v, dtype=np.float32) for v in (x, y, long, short, np.cos(angle), np.sin(angle), reach)]
        return cls((start, order, (columns, rows), float(section.x0), float(section.y0), *floats))


@lru_cache(maxsize=1)
def _textures() -> tuple[Any, ...]:
    """Fine, middle and fibrous texture, each evenly distributed over 0 to 255, and random bytes; the same for every slide."""
    seed = 1
    side = (paint.TEXTURE, paint.TEXTURE)
    fine = noise.ranked(noise.field(seed, "fine", side, (1.1, 1.1)))
    mid = noise.ranked(noise.field(seed, "mid", side, (4.0, 4.0)) + 0.35 * noise.field(seed, "mid fine", side, (1.6, 1.6)))
    fibre = noise.ranked(noise.field(seed, "fibre", side, (1.7, 16.0)) + 0.6 * noise.field(seed, "fibre 2", side, (5.0, 30.0)))
    dice = noise.stream(seed, "dice").integers(0, 256, (4096, 96), dtype=np.uint8)
    return (*((255.0 * t + 0.5).astype(np.uint8) for t in (fine, mid, fibre)), dice)


class Painter:
    """Paints one scene in one stain.

    Parameters
    ----------
    scene
        What to paint.
    stain
        How.
    pixel
        Side of a pixel, µm.
    """

    def __init__(self, scene: Scene, stain: Stain, pixel: float) -> None:
        self.scene, self.stain, self.pixel = scene, stain, pixel
        cells, vessels = scene.cells, scene.vessels
        red = cells.of(Kind.ERYTHROCYTE_OUTSIDE, Kind.ERYTHROCYTE_INSIDE)
        self.cells = Cells(**{name: getattr(cells, name)[~red] for name in cells.__dataclass_fields__})
        c = self.cells
        root = np.sqrt(c.aspect)
        self.nucleus = [np.maximum(v, 0.3).astype(np.float32) for v in (c.nucleus * root, c.nucleus / root)]
        spindle, fat = c.of(*SPINDLES), c.kind == Kind.ADIPOCYTE
        shape = np.sqrt(np.where(spindle, c.aspect, 1.0 + 0.45 * (c.aspect - 1.0)))
        body = np.maximum(c.body, 0.5)
        self.body = body.astype(np.float32)
        reach = np.where(fat, 1.6, 1.25)
        self.angles = [np.cos(c.angle).astype(np.float32), np.sin(c.angle).astype(np.float32)]
        self.sorted = _Sorted.of(scene, c.x, c.y, body * shape, body / shape, c.angle, reach)
        r = [getattr(cells, name)[red] for name in ("x", "y", "nucleus", "aspect", "angle")]
        flat = np.sqrt(r[3])
        self.red = _Sorted.of(scene, r[0], r[1], r[2] * flat, r[2] / flat, r[4], np.full(r[0].size, 1.1))
        self.vessels = _Sorted.of(
            scene, vessels.x, vessels.y, vessels.long, vessels.short, vessels.angle,
            1.0 + 6.0 / np.maximum(vessels.short, 1.0),
        )
        section = scene.section
        self.between = section.compartments["seen_fluid"].astype(np.float32)
        self.stroma = section.compartments["seen_stroma"].astype(np.float32)
        self.rim = np.float32(1000.0 * (section.state.radius[-1] - section.state.tumour_radius))
        self.cores = int(section.state.core.sum())
        centre = np.ascontiguousarray(c.x, dtype=np.float32), np.ascontiguousarray(c.y, dtype=np.float32)
        self.profiles = (c.kind, *centre, *self.nucleus, *self.angles, self.body, c.thick, self._tone())
        self.maps = (
            PITCH, section.x0, section.y0, section.tissue, section.zone, scene.necrosis, section.depth, self.rim, self.cores,
        )
        self.look = look(section.state.pattern)
        sigma = LENS / pixel
        reach = np.arange(int(np.ceil(2.2 * sigma)) + 1) if sigma > 0.2 else np.arange(1)
        taps = np.exp(-0.5 * (reach / max(sigma, 0.2)) ** 2)
        self.taps = np.round(256.0 * taps / (2.0 * taps.sum() - taps[0])).astype(np.float32)
        self.taps[0] = 256.0 - 2.0 * self.taps[1:].sum()
        self.textures = _textures()
        self.markers = self._markers()

    @property
    def channels(self) -> int:
        """Number of channels of a picture."""
        return len(self.stain.channels)

    def amounts(self, left: float, top: float, n: int) -> NDArray[np.float32]:
        """Amounts of stain on a square of n × n pixels, corner at (left, top) µm, shape (stains, n, n).

        Haematoxylin, eosin and haemoglobin; or the nuclear counterstain and the markers.
        """
        v, pixel = self.scene.vessels, self.pixel
        xs, ys = np.empty((n, n), np.float32), np.empty((n, n), np.float32)
        dye.warp(left, top, n, pixel, self.textures[1], xs, ys)
        found = []
        for profiles in (self.sorted, self.red, self.vessels):
            near, second, own = np.empty((n, n), np.float32), np.empty((n, n), np.float32), np.empty((n, n), np.int32)
            paint.lay(left, top, n, pixel, xs, ys, *profiles.arrays, near, second, own)
            found.append((near, second, own))
        (near, second, own), (red, _, red_own), (wall, _, wall_own) = found
        layers, vessels = (near, second, own, red, red_own, wall, wall_own), (v.status, v.short)
        shares = self.between, self.stroma
        if not self.stain.markers:
            out = np.empty((3, n, n), np.float32)
            dye.stain_he(left, n, pixel, xs, ys, layers, self.maps, shares, self.profiles, vessels, self.look, self.textures, out)
            return out
        out = np.empty((1 + len(self.stain.markers), n, n), np.float32)
        dye.stain_markers(
            left, n, pixel, xs, ys, layers, self.maps, shares, self.profiles, vessels, self.stain.fluorescent, *self.markers,
            self.look, self.textures, out,
        )
        return out

    def _markers(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Per marker: its strength in every cell, its recipe per kind, and its amount in walls of vessels."""
        found = self.stain.markers
        flags = np.array([self._flag(marker) for marker in found], np.float32).reshape(len(found), len(self.cells))
        recipes = np.array([marker.recipe() for marker in found], np.float32).reshape(len(found), len(Kind), 3)
        return flags, recipes, np.array([marker.vessels for marker in found], np.float32)

    def _tone(self) -> NDArray[np.float32]:
        """What is wrong with a tumour cell, 0 to 1: the living next to necrosis are shrunken and dark, the dead fade with age."""
        c, dead = self.cells, self._at(self.scene.necrosis)
        living = np.clip(1.0 + dead / 0.05, 0.0, 1.0) * np.where(c.kind == Kind.TUMOUR, 1.0, 0.0)
        gone = np.clip(4.0 * dead, 0.0, 1.0)
        return np.where(c.of(Kind.GHOST, Kind.KARYORRHEXIS), gone, living).astype(np.float32)

    def _at(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Value of a map at every cell."""
        c, s = self.cells, self.scene.section
        rows = np.clip(((c.y - s.y0) / PITCH).astype(int), 0, s.shape[0] - 1)
        columns = np.clip(((c.x - s.x0) / PITCH).astype(int), 0, s.shape[1] - 1)
        return values[rows, columns]

    def _flag(self, marker: Marker) -> NDArray[np.float32]:
        """Strength of a marker in every cell: 0 where it has none, else uneven from cell to cell."""
        uneven = 0.65 + 0.7 * np.abs(np.modf(np.arange(len(self.cells)) * 0.6180339887)[0])
        carried = marker.carried_by(self.cells)
        if marker.flag == "hypoxic":  # the farther from vessels the more, up to the edge of necrosis
            uneven = (0.8 + 0.4 * uneven) * np.clip(0.72 + 4.0 * self._at(self.scene.hypoxia), 0.72, 1.3)
        return np.where(carried, uneven, 0.0).astype(np.float32)

    def square(self, left: float, top: float, n: int = TILE) -> Picture:
        """Picture of n × n pixels with its corner at (left, top) µm, shape (n, n, channels)."""
        if self._bare(left, top, n):
            return np.repeat(np.repeat(self.glass, n, axis=0), n, axis=1)
        m = self.taps.size - 1
        sharp = self._sharp(left - m * self.pixel, top - m * self.pixel, n + 2 * m)
        if not m:
            return sharp
        out = np.empty((n, n, self.channels), np.uint8)
        rows = sharp.reshape(n + 2 * m, -1)
        room = np.empty((2, rows.shape[1]), np.float32)
        paint.soften(rows, self.taps, self.channels, room[0], room[1], out.reshape(n, -1))
        return out

    def _bare(self, left: float, top: float, n: int) -> bool:
        """Whether there is nothing but glass on a square and around it, as far as outlines are moved."""
        s, edge = self.scene.section, 4
        width = n * self.pixel
        low = [max(int((at - origin) / PITCH) - edge, 0) for at, origin in ((top, s.y0), (left, s.x0))]
        high = [max(int((at + width - origin) / PITCH) + edge, 0) for at, origin in ((top, s.y0), (left, s.x0))]
        return not s.tissue[low[0] : high[0], low[1] : high[1]].any()

    @cached_property
    def glass(self) -> Picture:
        """A pixel without tissue, shape (1, 1, channels)."""
        return self._sharp(1e5, 1e5, 1)

    def _sharp(self, left: float, top: float, n: int) -> Picture:
        """Picture without the blur of the lens."""
        amounts = self.amounts(left, top, n)
        out = np.empty((n, n, self.channels), np.uint8)
        if self.stain.fluorescent:
            for i, amount in enumerate(amounts):
                out[..., i] = np.clip((210.0 if i == 0 else 250.0) * amount + (4.0 if i == 0 else 3.0), 0.0, 255.0)
            return out
        names = ("haematoxylin", "dab") if self.stain.markers else ("haematoxylin", "eosin", "haemoglobin")
        amounts[0] *= self.stain.counterstain
        paint.colour(amounts, vectors(*names), _TABLE, np.array(WHITE, np.float32), out)
        return out

    def window(self, left: float, top: float, width: float, height: float, threads: int = 1) -> Picture:
        """Picture of a window in µm, shape (rows, columns, channels)."""
        columns, rows = max(round(width / self.pixel), 1), max(round(height / self.pixel), 1)
        out = np.empty((rows, columns, self.channels), np.uint8)
        for row, column, tile in self.tiles(left, top, rows, columns, threads):
            part = out[row : row + TILE, column : column + TILE]
            part[...] = tile[: part.shape[0], : part.shape[1]]
        return out

    def tiles(self, left: float, top: float, rows: int, columns: int, threads: int) -> Iterator[tuple[int, int, Picture]]:
        """Yield (row, column, tile) in reading order."""
        corners = [(r, c) for r in range(0, rows, TILE) for c in range(0, columns, TILE)]

        def make(corner: tuple[int, int]) -> Picture:
            return self.square(left + corner[1] * self.pixel, top + corner[0] * self.pixel)

        for (row, column), tile in zip(corners, in_order(make, corners, threads), strict=True):
            yield row, column, tile


def in_order(make: Callable[[Any], Any], items: Sequence[Any], threads: int) -> Iterator[Any]:
    """Yield `make(item)` of all items in their order, made on so many threads, no more of them ahead than keep these busy."""
    with ThreadPoolExecutor(threads) as pool:
        ahead = 3 * threads
        waiting = deque(pool.submit(make, item) for item in items[:ahead])
        for i in range(len(items)):
            made = waiting.popleft().result()
            if i + ahead < len(items):
                waiting.append(pool.submit(make, items[i + ahead]))
            yield made


def as_rgb(picture: Picture, stain: Stain) -> Picture:
    """Colours for the eye: bright field as it is; fluorescence on black.

    A place shines as much as its channels let through together (1 - product of what each leaves), in the mean of their colours
    weighted by the square of their light, so that what carries two markers has a colour between them and is not white.
    """
    if not stain.fluorescent:
        return picture
    from locokine.histology.stains import DAPI

    dark, weight = np.ones(picture.shape[:2], np.float32), np.full(picture.shape[:2], 1e-6, np.float32)
    mixed = np.zeros((*picture.shape[:2], 3), np.float32)
    for i, shade in enumerate((DAPI, *(marker.colour for marker in stain.markers))):
        light = np.clip((picture[..., i].astype(np.float32) / 255.0 - FLOOR) * (1.7 if i == 0 else 1.25), 0.0, 1.0)
        much = light * light * (1.0 if i == 0 else 4.0)
        dark *= 1.0 - light
        weight += much
        mixed += much[..., None] * np.array(shade, np.float32)
    return np.clip(mixed * ((1.0 - dark) / weight)[..., None], 0.0, 255.0).astype(np.uint8)


__all__ = ["STAINS", "TILE", "Painter", "as_rgb"]
