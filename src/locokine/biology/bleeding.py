"""Erythrocytes that leave damaged vessels and lie in the tissue (a correlate of tumour death, Jacobs 2005)."""

from __future__ import annotations

from locokine._jit import law


@law
def extravasation(leak: float, thrombotic: float, vessel_volume: float, rate: float) -> float:
    """Volume of erythrocytes leaving the vessels, mm³/h; needs leak and plugged outflow together. Neutral: 0."""
    return rate * vessel_volume * leak * leak * thrombotic
