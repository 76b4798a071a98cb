"""The kinds of cells a slide shows: natural sizes, and what each is called where people look at it.

Sizes are typical textbook values in tissue and count as assumed; the tumour cell's come from the line (`cell_volume`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """What a cell profile is."""

    TUMOUR = 0
    MITOSIS = 1
    APOPTOTIC = 2
    GHOST = 3
    KARYORRHEXIS = 4
    CD8 = 5
    TREG = 6
    NK = 7
    LAK = 8
    MACROPHAGE = 9
    ENDOTHELIUM = 10
    FIBROBLAST = 11
    MYOCYTE = 12
    KERATINOCYTE = 13
    MESOTHELIUM = 14
    ADIPOCYTE = 15
    ERYTHROCYTE_OUTSIDE = 16
    ERYTHROCYTE_INSIDE = 17


class About(NamedTuple):
    """Name, diameters of cell and nucleus (µm; 0: from the tumour line), shape of the nucleus, colour in QuPath."""

    name: str
    cell: float
    nucleus: float
    aspect: float
    colour: tuple[int, int, int]


ABOUT: tuple[About, ...] = (
    About("tumour", 0.0, 0.0, 1.16, (200, 0, 0)),
    About("tumour, mitosis", 0.0, 0.0, 1.1, (255, 120, 0)),
    About("tumour, apoptotic", 0.0, 0.0, 1.05, (255, 200, 0)),
    About("tumour, necrotic ghost", 0.0, 0.0, 1.15, (190, 140, 140)),
    About("tumour, karyorrhexis", 0.0, 0.0, 1.1, (130, 80, 80)),
    About("CD8 T cell", 8.0, 6.6, 1.08, (0, 160, 0)),
    About("regulatory T cell", 8.0, 6.6, 1.08, (0, 200, 160)),
    About("NK cell", 9.0, 7.0, 1.1, (0, 90, 220)),
    About("NK cell, lymphokine-activated", 12.0, 8.0, 1.15, (0, 0, 160)),
    About("macrophage", 19.0, 7.6, 1.4, (150, 0, 200)),
    About("endothelium", 7.0, 6.0, 3.2, (230, 0, 150)),
    About("fibroblast", 6.4, 6.2, 3.6, (120, 120, 60)),
    About("muscle nucleus", 6.4, 6.2, 3.0, (160, 80, 30)),
    About("keratinocyte", 10.0, 7.0, 1.3, (90, 60, 140)),
    About("mesothelium", 9.0, 7.0, 1.9, (90, 140, 160)),
    About("adipocyte", 55.0, 0.0, 1.0, (230, 220, 120)),
    About("erythrocyte, extravasated", 6.0, 6.0, 1.25, (220, 60, 60)),
    About("erythrocyte, in vessel", 6.0, 6.0, 1.25, (240, 140, 140)),
)
"""In the order of `Kind`."""

TUMOUR_KINDS = (Kind.TUMOUR, Kind.MITOSIS)
DEAD_KINDS = (Kind.GHOST, Kind.KARYORRHEXIS, Kind.APOPTOTIC)

ERYTHROCYTE_VOLUME = 50.0
"""µm³, mouse (mean corpuscular volume 45 to 55 fL); human ones are about 90."""


def sphere_diameter(volume: float) -> float:
    """Diameter of a sphere of this volume, in the same length unit."""
    return (6.0 * volume / 3.141592653589793) ** (1.0 / 3.0)


def counted_depth(thickness: float, diameter: float) -> float:
    """Depth of tissue (µm) whose profiles a section shows: thickness + diameter (Abercrombie 1946).

    A section of thickness t shows every sphere of diameter d whose centre is within t + d of depth, so profiles per area
    are number per volume × (t + d). Abercrombie M. Anat Rec 1946;94:239-247, doi:10.1002/ar.1090940210.
    """
    return thickness + diameter
