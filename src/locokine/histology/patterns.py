"""How tumours of a kind are built: what a library entry may say of its tissue as `meta: {histology: NAME}`.

Patterns are textbook descriptions in numbers and count as assumed. They change how a slide looks and how large a nucleus is,
hence how many profiles a section shows of the same number of cells; nothing of the simulation depends on them.
"""

from __future__ import annotations

from typing import NamedTuple

from locokine.errors import InputError


class Pattern(NamedTuple):
    """Cells and their arrangement.

    Attributes
    ----------
    nucleus_share
        Share of a cell's volume that its nucleus takes: lymphomas are high, clear cells low.
    spread
        Standard deviation of the logarithm of nuclear radii (pleomorphism).
    uneven
        Of the nucleus' outline, relative to its radius.
    contrast
        Of chromatin: 0 even, 1 clumps on clear ground (vesicular).
    nucleoli, nucleolus
        How many, about, and the radius of one relative to the nucleus.
    cytoplasm
        Haematoxylin and eosin (optical density), and grain.
    border
        Eosin along borders of cells (optical density): cohesive cells have visible ones.
    nested
        0: diffuse sheet; 1: nests with stroma and fluid between them rather than between single cells.
    aspect
        Length by width of the nucleus.
    """

    nucleus_share: float
    spread: float
    uneven: float
    contrast: float
    nucleoli: float
    nucleolus: float
    cytoplasm: tuple[float, float, float]
    border: float
    nested: float
    aspect: float


PATTERNS: dict[str, Pattern] = {
    "solid": Pattern(0.28, 0.13, 0.10, 0.80, 1.0, 0.17, (0.085, 0.165, 0.45), 0.03, 0.3, 1.2),
    "lymphoma": Pattern(0.38, 0.10, 0.12, 0.80, 1.2, 0.15, (0.115, 0.15, 0.40), 0.0, 0.0, 1.14),
    "mast cell": Pattern(0.28, 0.10, 0.08, 0.70, 1.0, 0.16, (0.20, 0.13, 1.10), 0.0, 0.0, 1.14),
    "carcinoma": Pattern(0.22, 0.16, 0.10, 0.85, 1.1, 0.18, (0.075, 0.165, 0.45), 0.05, 1.0, 1.22),
    "squamous carcinoma": Pattern(0.20, 0.18, 0.10, 0.75, 1.0, 0.18, (0.055, 0.170, 0.30), 0.07, 1.0, 1.25),
    "renal cell carcinoma": Pattern(0.12, 0.14, 0.08, 0.60, 1.0, 0.20, (0.022, 0.165, 0.15), 0.05, 1.0, 1.12),
    "melanoma": Pattern(0.24, 0.20, 0.14, 0.62, 1.2, 0.26, (0.075, 0.18, 0.75), 0.02, 0.55, 1.30),
    "mesothelioma": Pattern(0.24, 0.14, 0.10, 0.75, 1.0, 0.17, (0.070, 0.17, 0.45), 0.04, 0.6, 1.30),
}
"""Name → pattern; "solid" where an entry says nothing."""


def pattern_of(name: str, line: str) -> Pattern:
    """Find a pattern by name.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if name not in PATTERNS:
        raise InputError(f"{line}.meta.histology", f"there is no pattern '{name}'", f"use one of: {', '.join(PATTERNS)}")
    return PATTERNS[name]
