"""Random fields and numbers that are the same everywhere and on any number of threads.

All randomness of a slide comes from named streams (seed, purpose), as in the rest of locokine; textures wrap at their edges.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Floats = NDArray[np.float32]


def stream(seed: int, purpose: str) -> np.random.Generator:
    """Random numbers of the stream (seed, purpose)."""
    digest = hashlib.sha256(f"slide:{seed}:{purpose}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def key(seed: int, purpose: str) -> np.uint64:
    """A 64-bit number that names the stream (seed, purpose), for counter-based numbers in compiled loops."""
    return np.uint64(int.from_bytes(hashlib.sha256(f"slide:{seed}:{purpose}".encode()).digest()[:8], "little"))


Part = tuple[slice, slice]
"""Rows and columns of a map that are wanted."""


def field(
    seed: int, purpose: str, shape: tuple[int, ...], correlation: tuple[float, float], part: Part | None = None
) -> Floats:
    """Gaussian random field of unit variance that wraps at the edges.

    Parameters
    ----------
    shape
        Rows, columns.
    correlation
        Standard deviation of the smoothing kernel along rows and columns, in cells of the grid. Smooth fields are made on a
        coarser grid and interpolated.
    part
        Only these rows and columns.
    """
    step = max(int(min(correlation) / 4.0), 1)
    coarse = tuple(-(-n // step) + 1 for n in shape) if step > 1 else shape
    white = stream(seed, purpose).standard_normal(coarse, dtype=np.float32)
    smooth: Any = fft.rfft2(white)
    fy = fft.fftfreq(coarse[0])[:, None] * correlation[0] / step
    fx = fft.rfftfreq(coarse[1])[None, :] * correlation[1] / step
    smooth *= np.exp(-2.0 * np.pi**2 * fy**2).astype(np.float32) * np.exp(-2.0 * np.pi**2 * fx**2).astype(np.float32)
    made: Any = fft.irfft2(smooth, s=coarse)
    made = ((made - made.mean()) / max(float(made.std()), 1e-12)).astype(np.float32)
    rows, columns = part if part is not None else (slice(None), slice(None))
    if step == 1:
        return made[rows, columns]
    return _stretched(made, step, np.arange(shape[0])[rows], np.arange(shape[1])[columns])


def _stretched(values: Any, step: int, *wanted: NDArray[np.int64]) -> Floats:
    """Linear interpolation to the wanted rows and columns of a grid that is `step` times as fine."""
    for axis, places in enumerate(wanted):
        low = places // step
        part = ((places - step * low) / np.float32(step)).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        first, second = np.take(values, low, axis), np.take(values, low + 1, axis)
        values = first + part * (second - first)
    return values


def ranked(values: NDArray[np.floating]) -> Floats:
    """Replace values by their rank in (0, 1): the share of the area below x is then x."""
    ranks = np.empty(values.size, dtype=np.float32)
    ranks[np.argsort(values, axis=None, kind="stable")] = (np.arange(values.size) + 0.5) / values.size
    return ranks.reshape(values.shape)
