"""One arm simulated for many draws of the parameters, all with the same subjects and the same chance.

Every draw is a call of its own of the engine, so that subject 3 of draw 7 meets the same random numbers as subject 3 of
draw 0: differences between draws are differences of parameters, not of luck. Draws run side by side on the threads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from locokine.engine.batch import simulate_arm
from locokine.engine.run import ArmRun
from locokine.errors import InputError
from locokine.inference.prior import Free, candidates, rows_of, scopes_of
from locokine.outcome.endpoints import read_endpoints
from locokine.parameters.reading import suggest
from locokine.population import Population
from locokine.scenario.experiment import Experiment

Array = NDArray[np.float64]
TOGETHER = 32
"""Draws whose outcomes are read together."""


def evaluate(
    experiment: Experiment, arm: str, population: Population, names: Sequence[str], draws: int = 1, threads: int = 1
) -> dict[str, Array]:
    """End points of an arm.

    Parameters
    ----------
    experiment, arm
        What is done.
    population
        Its columns are the subjects of draw 0, then those of draw 1, and so on (`population_of`).
    names
        End points (`outcome.endpoints`).
    draws
        How many.
    threads
        Draws (or blocks of subjects of the only draw) that run at the same time.

    Returns
    -------
    dict
        Name → values, shape (draws, subjects).
    """
    found: list[dict[str, Array]] = []
    for first in range(0, draws, TOGETHER):
        count = min(TOGETHER, draws - first)
        runs = simulate_draws(experiment, arm, population, range(first, first + count), draws, threads)
        found.append(read_endpoints(experiment, joined(list(runs)), names))
    return {name: np.concatenate([part[name] for part in found]).reshape(draws, -1) for name in names}


def simulate_draws(
    experiment: Experiment, arm: str, population: Population, which: Sequence[int], draws: int, threads: int
) -> Iterator[ArmRun]:
    """Runs of some draws, in order."""
    width = population.subjects // draws

    def one(draw: int, inner: int = 1) -> ArmRun:
        part = population.values[:, draw * width:(draw + 1) * width]
        return simulate_arm(experiment, Population(population.names, part, population.seed), arm, 0, width, inner)

    if len(which) == 1 or threads == 1:
        yield from (one(draw, threads) for draw in which)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(one, which)


def joined(runs: Sequence[ArmRun]) -> ArmRun:
    """Runs of several draws as one, subjects numbered through: outcomes are then read once for all."""
    parts, first = [], 0
    for run in runs:
        events = {**run.events, "subject": [first + int(s) for s in run.events["subject"]]}
        empty = {name: getattr(run, name)[..., :0] for name in ("series_lesion", "series_body", "fields")}
        numbers = np.arange(first, first + run.subjects)
        parts.append(replace(run, subject_ids=numbers, events=events, end_state=None, **empty))
        first += run.subjects
    return ArmRun.concatenate(parts)


def movable(experiment: Experiment, wanted: Sequence[str] = ()) -> list[Free]:
    """Parameters with a range that have a part in an experiment, in the order of the library; not what it overrides.

    Parameters
    ----------
    experiment
        Its laws, host, lines and agents.
    wanted
        Only these: NAME, or OWNER.NAME.

    Raises
    ------
    InputError
        If one of them is unknown or has no range.
    """
    known = candidates(experiment.library, scopes_of(experiment), statuses=("assumed", "calibrated", "measured", "derived"))
    fixed = experiment.overrides
    known = [
        free for free in known
        if rows_of(free, experiment) and free.record.name not in fixed and free.key not in fixed
    ]
    if not wanted:
        return known
    for name in wanted:
        if not any(name in (free.key, free.record.name) for free in known):
            names = [*(free.record.name for free in known), *(free.key for free in known)]
            raise InputError("--parameter", f"no parameter '{name}' with a range in this scenario", suggest(name, names))
    return [free for free in known if {free.key, free.record.name} & set(wanted)]


def prior_draws(frees: Sequence[Free], count: int, seed: int) -> Mapping[Free, Array]:
    """Independent draws of parameters from their priors; draw 0 is the library itself. Shape (count,) each."""
    from scipy.special import ndtri

    from locokine.population.draw import stream

    made = {}
    for free in frees:
        z = ndtri(stream(seed, f"prior:{free.key}", count))
        made[free] = free.at(z)
        made[free][0] = free.record.value
    return made
