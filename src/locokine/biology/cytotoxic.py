"""Cells killed by a cytotoxic drug (cisplatin, cyclophosphamide): a rate per cell that saturates with concentration.

The share killed follows the area under the concentration (Skipper, Schabel & Wilcox 1964: fractional kill), as long as the
concentration is below `half`. Tumour cells, regulatory T cells and other lymphocytes have rates of their own: low doses of
cyclophosphamide kill regulatory T cells first (Lutsiak 2005, Blood 105:2862; Heylmann 2013, PMC3871695).
"""

from __future__ import annotations

from locokine._jit import law
from locokine.biology.arithmetic import hill


@law
def death_rate(concentration: float, half: float, fastest: float) -> float:
    """Death rate per cell in 1/h at `concentration` nM. Neutral value 0 (no drug, or `fastest` = 0)."""
    return fastest * hill(concentration, half)
