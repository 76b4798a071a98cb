"""A calibration small enough for the tests, and rows and readings made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from locokine.evidence.calibration import Size
from locokine.evidence.library import Observation, read_evidence
from locokine.evidence.likelihood import Likelihood
from locokine.inference.rows import Reading

EVIDENCE = read_evidence()
SMALL = Size(
    prior=96, members=64, steps=2, joint=3, hosts=8, rounds=5, points=14, corrected=0, judged=32, shells=4, walk=300,
    draws=200, checked=8, days=1e6, lesion_days=1e6, hours=1.0,
)


def known(value: float) -> Reading:
    return Reading(np.array([value]), np.zeros(1), np.zeros(1))


def row(name: str, like: Likelihood | None = None, observable: str = "clearance") -> Observation:
    base = EVIDENCE.observations["PK02"]
    return replace(base, name=name, observable=observable, origin=name, likelihood=like or base.likelihood)


@dataclass(frozen=True)
class Below:
    """A requirement: one coordinate stays below a limit. What is read bends, as growth does."""

    name: str
    limit: float

    low = np.array([-np.inf])

    @property
    def high(self) -> np.ndarray:
        return np.array([np.sinh(self.limit)])

    def __call__(self, names: Sequence[str], z: np.ndarray) -> np.ndarray:
        return np.sinh(z[None, :, list(names).index(self.name)])

    def plays(self, names: Sequence[str]) -> np.ndarray:
        return np.array([[name == self.name for name in names]])
