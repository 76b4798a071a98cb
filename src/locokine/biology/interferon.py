"""Interferon gamma, made by armed T cells while they are on their antigen, and what it does to a tumour.

T cells make it only where they recognise antigen; from there it spreads further than 0.8 mm, so that few T cells reach
most of a tumour, cells without the antigen included (Hoekstra 2020, Thibaut 2020). Tumour cells rest in G1, which
does more to a tumour than killing does while T cells are few (Matsushita 2015); its vessels regress and do not grow again
(Qin 2003, Kammertoens 2017); macrophages are activated, and the wall of the vessels calls lymphocytes.
"""

from __future__ import annotations

from locokine._jit import law


@law
def held(answer: float, most: float) -> float:
    """Factor on a growth that interferon gamma holds back, by `most` at full answer. Neutral: no answer, or `most` 0: 1."""
    return 1.0 - most * answer
