"""A calibration small enough for the tests, and rows and readings made by hand."""

from __future__ import annotations

from dataclasses import replace

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
