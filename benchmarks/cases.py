"""The experiments that are measured."""

from __future__ import annotations

from typing import Any

from locokine.scenario.experiment import Experiment
from locokine.scenario.load import load

DAYS = 60
DAYS_COMPARED = 16
"""Until two days after the last dose: later, cure and relapse part and errors say nothing about a solver."""


def mouse(geometry: str, subjects: int, days: int = DAYS, shells: int = 28, chance: bool = True) -> Experiment:
    """Mice with SL2 under the skin and five intratumoural doses; nobody is taken out, so that all work is done.

    Over 60 days the line grows slowly, or what is not cured would outgrow the host many times.

    32 shells are 28 in the tumour and 4 in the rim. Without `chance` nobody dies of toxicity either and lesions are
    too large to go extinct in the time compared.
    """
    overrides: dict[str, Any] = {"endpoint_burden": "1e9 mm3"}
    if days >= DAYS:
        overrides["sl2.birth_rate"] = "0.15 1/day"
    if not chance:
        overrides["death_rate"] = "1e-9 1/h"
    return load({
        "experiment": "benchmark", "host": "dba2_mouse",
        "lesions": {"flank": {"line": "sl2", "site": "subcutis", "cells": "1e6 cells", "day": 0}},
        "arms": {"intratumoural": ["aldesleukin 20000 IU intratumoural in 0.1 mL daily days 10-14"]},
        "subjects": subjects, "follow-up": f"{days} days", "geometry": geometry, "shells": shells, "seed": 1,
        "overrides": overrides,
    })
