"""What a reader should be warned of before believing a run: few hosts, responses without treatment, deaths, switches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from locokine.outcome.immunity import TAKE_RATE
from locokine.results.schema import count, where

if TYPE_CHECKING:
    import pandas as pd

    from locokine.scenario.experiment import Experiment

FEW = 20
"""Hosts in an arm below which a share is hardly known: of 19, none means up to 18 % (Clopper and Pearson)."""


def caveats(result: Any, experiment: Experiment) -> list[str]:
    """Sentences for the head of the report; empty if there is nothing to warn of."""
    table = result.subjects
    return [
        *_numbers(int(result.manifest["subjects"])),
        *_switches(experiment),
        *_untreated(table, experiment),
        *_deaths(table),
        *_challenges(result.outcome.challenges),
    ]


def _numbers(subjects: int) -> Iterator[str]:
    if subjects < FEW:
        most = 100.0 * (1.0 - 0.025 ** (1.0 / subjects))
        yield f"{subjects} hosts an arm: a share of 0 may be anything up to {most:.0f} %; run more before comparing arms."


def _switches(experiment: Experiment) -> Iterator[str]:
    off = [name.replace("_", " ") for name, on in experiment.switches.items() if not on]
    if off:
        yield f"Switched off in all arms: {', '.join(off)}."


def _untreated(table: pd.DataFrame, experiment: Experiment) -> Iterator[str]:
    for arm in experiment.protocol.arms:
        if arm.times:
            continue
        rows = where(table, table["arm"] == arm.name)
        respond = count(rows["best_response"].isin(("CR", "PR")))
        if respond:
            yield f"{respond} of {len(rows)} hosts of the arm {arm.name!r} respond without any treatment; compare arms with it."


def _deaths(table: pd.DataFrame) -> Iterator[str]:
    for arm, rows in table.groupby("arm", sort=False):
        unseen = count(rows["best_response"] == "NE")
        if unseen:
            yield f"{unseen} of {len(rows)} hosts of the arm {arm!r} died before the first visit: no known response (NE)."


def _challenges(table: pd.DataFrame) -> Iterator[str]:
    if table is None or not len(table):
        return
    naive = where(table, table["arm"] == "naive")
    for line, rows in naive.groupby("line", sort=False):
        took = 1.0 - float(np.mean(rows["rejected"].astype(float)))
        if took < TAKE_RATE:
            yield f"{line} took in {100 * took:.0f} % of naive hosts only: its rejection by others says little."
