"""Stains: their colours as optical densities, and what each of them shows.

Vectors are optical densities in red, green and blue of unit length. Haematoxylin and diaminobenzidine (DAB): Ruifrok AC,
Johnston DA. Anal Quant Cytol Histol 2001;23:291-299, PMID 11531144. Eosin: what QuPath separates H&E with unless told
otherwise (Bankhead P et al. Sci Rep 2017;7:16878, doi:10.1038/s41598-017-17204-5); that of 2001 is more violet than most
slides. Haemoglobin: assumed after the shape of its absorption (reviewed by Bosschaart N et al. Lasers Med Sci 2014;29:453-479,
doi:10.1007/s10103-013-1446-7): next to nothing in red beyond 600 nm, two bands in green, the flank of the Soret band in blue;
how far it leans to blue depends on the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from locokine.errors import InputError
from locokine.histology.kinds import Kind
from locokine.histology.patterns import Pattern

if TYPE_CHECKING:
    from locokine.histology.scene import Cells

Floats = NDArray[np.float32]

VECTORS: dict[str, tuple[float, float, float]] = {
    "haematoxylin": (0.65, 0.70, 0.29),
    "eosin": (0.216, 0.801, 0.558),
    "dab": (0.27, 0.57, 0.78),
    "haemoglobin": (0.057, 0.600, 0.798),
}
"""Optical density in red, green and blue."""
WHITE = (245.0, 244.0, 246.0)
"""Colour of glass."""


def vectors(*names: str) -> Floats:
    """Rows of unit length."""
    rows = np.array([VECTORS[name] for name in names], dtype=np.float32)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True)
class Marker:
    """What a marker shows.

    Attributes
    ----------
    name
        Of the channel.
    parts
        Kind → amounts in nucleus, outline and cytoplasm (optical density of DAB, or brightness).
    flag
        Name of the attribute of `Cells` that says which cells carry it; "" for all of these kinds.
    vessels
        Amount in the walls of vessels.
    colour
        Of the channel in fluorescence.
    """

    name: str
    parts: dict[Kind, tuple[float, float, float]]
    flag: str = ""
    vessels: float = 0.0
    colour: tuple[int, int, int] = (255, 255, 255)

    def carried_by(self, cells: Cells) -> NDArray[np.bool_]:
        """Which cells carry it."""
        found = cells.of(*self.parts)
        return found & getattr(cells, self.flag) if self.flag else found

    def recipe(self) -> Floats:
        """Shape (kinds, 3)."""
        table = np.zeros((len(Kind), 3), dtype=np.float32)
        for kind, parts in self.parts.items():
            table[kind] = parts
        return table


CD8 = Marker("CD8", {Kind.CD8: (0.08, 0.75, 0.25)}, colour=(255, 225, 40))
NK = Marker("NK (NKp46)", {Kind.NK: (0.08, 0.7, 0.25), Kind.LAK: (0.08, 0.75, 0.35)}, colour=(60, 255, 90))
CD31 = Marker("CD31", {Kind.ENDOTHELIUM: (0.5, 0.4, 0.6)}, vessels=0.65, colour=(255, 55, 55))
KI67 = Marker(
    "Ki-67",
    dict.fromkeys((Kind.TUMOUR, Kind.MITOSIS, Kind.CD8, Kind.LAK), (0.75, 0.0, 0.02)),
    flag="proliferating",
    colour=(255, 80, 255),
)
PIMONIDAZOLE = Marker(
    "pimonidazole", dict.fromkeys((Kind.TUMOUR, Kind.MITOSIS), (0.22, 0.12, 0.42)), flag="hypoxic", colour=(40, 215, 205)
)
DAPI = (80, 120, 255)
"""Colour of the nuclear counterstain in fluorescence."""


@dataclass(frozen=True)
class Stain:
    """One way of staining a section: bright field (none or one marker) or fluorescence (several)."""

    name: str
    title: str
    markers: tuple[Marker, ...] = ()
    fluorescent: bool = False

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels of the image."""
        return ("DAPI", *(marker.name for marker in self.markers)) if self.fluorescent else ("red", "green", "blue")

    @property
    def counterstain(self) -> float:
        """How strongly nuclei are stained, relative to H&E."""
        return 0.42 if self.markers else 1.0


STAINS: dict[str, Stain] = {
    "he": Stain("he", "H&E"),
    "cd8": Stain("cd8", "CD8 (DAB, haematoxylin)", (CD8,)),
    "nk": Stain("nk", "NKp46 (DAB, haematoxylin)", (NK,)),
    "cd31": Stain("cd31", "CD31 (DAB, haematoxylin)", (CD31,)),
    "ki67": Stain("ki67", "Ki-67, proliferation (DAB, haematoxylin)", (KI67,)),
    "pimonidazole": Stain("pimonidazole", "pimonidazole, hypoxia (DAB, haematoxylin)", (PIMONIDAZOLE,)),
    "multiplex": Stain("multiplex", "multiplex fluorescence", (CD8, NK, CD31, KI67, PIMONIDAZOLE), fluorescent=True),
}
"""Name on the command line → stain."""


def stain(name: str) -> Stain:
    """Find a stain by name.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if name not in STAINS:
        raise InputError("--stain", f"there is no stain '{name}'", f"use one of: {', '.join(STAINS)}")
    return STAINS[name]


def look(pattern: Pattern) -> Floats:
    """How each kind looks in H&E, shape (kinds, 10).

    Haematoxylin of the nucleus, contrast of its chromatin, its membrane, nucleoli (how many); haematoxylin and eosin of the
    cytoplasm and its grain; unevenness of the nucleus' outline; size of a nucleolus relative to the nucleus; eosin along the
    cell's border.
    """
    own = (
        0.50, pattern.contrast, 0.30, pattern.nucleoli, pattern.cytoplasm[0], pattern.cytoplasm[1], pattern.cytoplasm[2],
        pattern.uneven, pattern.nucleolus, pattern.border,
    )
    rows = {
        Kind.TUMOUR: own,
        Kind.MITOSIS: (1.00, 0.0, 0.0, 0.0, 0.6 * own[4], 0.8 * own[5], own[6], 0.0, 0.0, own[9]),
        Kind.APOPTOTIC: (1.20, 0.0, 0.0, 0.0, 0.10, 0.42, 0.15, 0.0, 0.0, 0.0),
        Kind.GHOST: (0.17, 0.0, 0.0, 0.0, 0.022, 0.31, 0.70, 0.06, 0.0, 0.0),
        Kind.KARYORRHEXIS: (0.95, 0.0, 0.0, 0.0, 0.06, 0.34, 0.55, 0.0, 0.0, 0.0),
        Kind.CD8: (0.90, 0.42, 0.12, 0.0, 0.08, 0.13, 0.2, 0.05, 0.0, 0.0),
        Kind.TREG: (0.86, 0.42, 0.12, 0.0, 0.08, 0.13, 0.2, 0.05, 0.0, 0.0),
        Kind.NK: (0.80, 0.40, 0.12, 0.0, 0.06, 0.15, 0.5, 0.08, 0.0, 0.0),
        Kind.LAK: (0.70, 0.50, 0.15, 0.4, 0.09, 0.21, 0.8, 0.08, 0.14, 0.0),
        Kind.MACROPHAGE: (0.50, 0.60, 0.25, 0.5, 0.045, 0.18, 0.4, 0.05, 0.12, 0.0),
        Kind.ENDOTHELIUM: (0.72, 0.40, 0.1, 0.0, 0.03, 0.17, 0.2, 0.0, 0.0, 0.0),
        Kind.FIBROBLAST: (0.68, 0.45, 0.1, 0.0, 0.02, 0.14, 0.2, 0.0, 0.0, 0.0),
        Kind.MYOCYTE: (0.62, 0.45, 0.1, 0.0, 0.03, 0.30, 0.1, 0.0, 0.0, 0.0),
        Kind.KERATINOCYTE: (0.56, 0.60, 0.25, 0.8, 0.10, 0.24, 0.3, 0.03, 0.14, 0.04),
        Kind.MESOTHELIUM: (0.60, 0.50, 0.2, 0.5, 0.08, 0.24, 0.2, 0.03, 0.14, 0.0),
    }
    table = np.zeros((len(Kind), 10), dtype=np.float32)
    for kind, row in rows.items():
        table[kind] = row
    return table
