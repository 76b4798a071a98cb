"""What a published experiment measured, read from simulated arms: one number per subject.

An observable takes a `Trial` and the name of an arm and returns an array of shape (subjects,), nan where a subject has
no value (dead, nothing to measure). Shares are returned as 0 to 1 per subject.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from locokine.body.grades import LUNG_LEAK
from locokine.engine.batch import simulate_arm
from locokine.engine.grid import Accuracy
from locokine.engine.run import ArmRun
from locokine.engine.variables import BODY, LESION, PLACES
from locokine.outcome import response
from locokine.population.draw import Population
from locokine.scenario.experiment import Experiment
from locokine.tissue.layout import AGENT_POOLS

Array = NDArray[np.float64]
_BODY = {item.name: i for i, item in enumerate(BODY)}
_LESION = {item.name: i for i, item in enumerate(LESION)}
FINER = 32.0
"""How much finer than usual the steps are where a rate constant is read off."""
NOT_SEEN = 21.0
"""Days counted for a tumour that does not regress."""


@dataclass
class Trial:
    """Arms of one experiment in one population, simulated when first asked for.

    Attributes
    ----------
    experiment, population
        What is done, and to whom.
    threads
        Threads of the engine.
    """

    experiment: Experiment
    population: Population
    threads: int = 1
    _runs: dict[tuple[str, float, float], ArmRun] = field(default_factory=dict)

    def run(self, arm: str, until: float | None = None, finer: float = 1.0) -> ArmRun:
        """Run an arm to its end, or for `until` h, with steps `finer` times smaller."""
        end = self.experiment.protocol.follow_up if until is None else until
        key = (arm, end, finer)
        if key not in self._runs:
            experiment = replace(self.experiment, protocol=replace(self.experiment.protocol, follow_up=end))
            accuracy = Accuracy().finer(finer) if finer != 1.0 else Accuracy()
            self._runs[key] = simulate_arm(
                experiment, self.population, arm, 0, self.population.subjects, self.threads, accuracy
            )
        return self._runs[key]

    def agent(self, run: ArmRun) -> int:
        """Place of the (only) given agent on the agent axis."""
        return run.agents.index(self.experiment.protocol.agents[0])


def _plasma(trial: Trial, arm: str, hours: float) -> Array:
    """Amount of the agent in plasma after `hours`, fmol."""
    run = trial.run(arm, hours, FINER)
    row = trial.agent(run) * len(AGENT_POOLS) + AGENT_POOLS.index("plasma")
    return run.end_state["pools"][row]


def half_lives(c: Array, step: float) -> Array:
    """Half-lives of a sum of two exponentials from four equidistant values (Prony's method).

    Parameters
    ----------
    c
        Shape (4, subjects).
    step
        Distance in time.

    Returns
    -------
    ndarray
        Shape (2, subjects), the shorter one first; nan where the values are not such a sum.
    """
    det = c[0] * c[2] - c[1] * c[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        product = (c[1] * c[3] - c[2] * c[2]) / det
        total = (c[0] * c[3] - c[1] * c[2]) / det
        root = np.sqrt(total * total - 4.0 * product)
        roots = np.stack([(total - root) / 2.0, (total + root) / 2.0])
        return -np.log(2.0) * step / np.log(roots)


def _half_lives(trial: Trial, arm: str) -> Array:
    step = 0.5
    return half_lives(np.stack([_plasma(trial, arm, 0.1 + step * k) for k in range(4)]), step) * 60.0


def _exposure(trial: Trial, arm: str, place: str, what: int, until: float | None = None) -> Array:
    run = trial.run(arm, until, FINER if until is not None else 1.0)
    return run.exposure[PLACES.index(place), trial.agent(run), what]


def clearance(trial: Trial, arm: str) -> Array:
    """Dose / area under the curve, mL/min."""
    run = trial.run(arm)
    return run.dosed[trial.agent(run)] / _exposure(trial, arm, "plasma", 1) / 60e3


def level_against_bolus(trial: Trial, arm: str) -> Array:
    """Mean plasma level from 2 to 8 h, in % of the peak of the arm "intravenous"."""
    area = _exposure(trial, arm, "plasma", 1, 8.0) - _exposure(trial, arm, "plasma", 1, 2.0)
    return 100.0 * area / 6.0 / _exposure(trial, "intravenous", "plasma", 0)


def cavity_to_plasma(trial: Trial, arm: str) -> Array:
    """Area under the curve in the cavity against that in plasma."""
    return _exposure(trial, arm, "tumour", 1) / _exposure(trial, arm, "plasma", 1)


def cavity_half_life(trial: Trial, arm: str) -> Array:
    """ln 2 times the mean time that IL-2 stays in the cavity, h."""
    return np.log(2.0) * _exposure(trial, arm, "tumour", 1) / _exposure(trial, arm, "tumour", 0)


def _body(name: str, trial: Trial, arm: str) -> Array:
    return trial.run(arm).daily_body[_BODY[name]]


def organ_leak(day: int) -> Callable[[Trial, str], Array]:
    """Leak index of the lung on a day, relative to day 0."""

    def measured(trial: Trial, arm: str) -> Array:
        index = _body("organ_leak", trial, arm)
        return index[day] / index[0]

    return measured


def flooded_lungs(trial: Trial, arm: str) -> Array:
    """Whether the worst leak index of the lung is of grade 4 (a steep transition over 5 % of the index)."""
    index = _body("organ_leak", trial, arm)
    worst = np.nanmax(index, axis=0) / index[0]
    return 1.0 / (1.0 + np.exp(-np.clip(np.log(worst / LUNG_LEAK[3]) / 0.05, -50.0, 50.0)))


def lowest_resistance(trial: Trial, arm: str) -> Array:
    """Lowest daily vascular resistance, in % of that before."""
    index = _body("vascular_resistance", trial, arm)
    return 100.0 * np.nanmin(index[1:], axis=0) / index[0]


def weight_gain(day: int) -> Callable[[Trial, str], Array]:
    """Weight gained by a day, kg."""

    def measured(trial: Trial, arm: str) -> Array:
        weight = _body("weight", trial, arm)
        return weight[day] - weight[0]

    return measured


def albumin(day: int) -> Callable[[Trial, str], Array]:
    """Serum albumin on a day, in % of that before."""

    def measured(trial: Trial, arm: str) -> Array:
        level = _body("albumin", trial, arm)
        return 100.0 * level[day] / level[0]

    return measured


def cured(trial: Trial, arm: str) -> Array:
    """Probability that no clonogen is left; 0 for the dead."""
    run = trial.run(arm)
    lives = ~np.isnan(run.daily_body[0, -1])
    known = np.zeros(run.subjects) if run.cure_probability is None else np.nan_to_num(run.cure_probability)
    return np.where(lives, known, 0.0)


def regression_onset(trial: Trial, arm: str) -> Array:
    """Days from the first dose to the largest caliper volume before it first falls by a fifth; `NOT_SEEN` without."""
    run = trial.run(arm)
    start = int(response.baseline_day(trial.experiment.protocol, arm))
    volume = run.daily_lesion[_LESION["caliper_volume"], :, start:start + int(NOT_SEEN) + 1].sum(axis=0)
    volume = np.where(np.isnan(volume), np.inf, volume)  # dead: not regressed
    largest = np.maximum.accumulate(volume, axis=0)
    fallen = volume < 0.8 * largest
    first = fallen.argmax(axis=0)
    onset = np.array([float(np.argmax(volume[:at, i])) for i, at in enumerate(np.maximum(first, 1))])
    return np.where(fallen.any(axis=0), np.maximum(onset, 0.5), NOT_SEEN)


def lesions_cleared(trial: Trial, arm: str) -> Array:
    """Share of a patient's lesions that are not detectable at some weekly visit."""
    run = trial.run(arm)
    criteria = response.Criteria.of("recist")
    sites = response.sites_of(trial.experiment.protocol, run.lesions)
    sizes = response.measure(run, sites, np.arange(0, len(run.daily_time), 7), criteria)
    return np.any(sizes == 0.0, axis=1).mean(axis=0)


def objective_response(trial: Trial, arm: str) -> Array:
    """Whether the best response is complete or partial, by the criteria of the host."""
    run, protocol = trial.run(arm), trial.experiment.protocol
    criteria = response.Criteria.of(str(trial.experiment.host_entry.meta.get("criteria", "caliper")))
    first = response.baseline_day(protocol, arm)
    days = response.visit_days(first, float(run.daily_time[-1]) / 24.0, criteria)
    at = response.day_index(run, days)
    sites = response.sites_of(protocol, run.lesions)
    found = response.respond(
        response.measure(run, sites, at, criteria), response.viable_cells(run, at), days, sites, criteria
    )
    return (found.best <= response.PR).astype(np.float64)


OBSERVABLES: dict[str, Callable[[Trial, str], Array]] = {
    "half_life_first": lambda trial, arm: _half_lives(trial, arm)[0],
    "half_life_second": lambda trial, arm: _half_lives(trial, arm)[1],
    "clearance": clearance,
    "level_against_bolus": level_against_bolus,
    "cavity_to_plasma": cavity_to_plasma,
    "cavity_half_life": cavity_half_life,
    "organ_leak_day_1": organ_leak(1),
    "organ_leak_day_3": organ_leak(3),
    "organ_leak_day_6": organ_leak(6),
    "flooded_lungs": flooded_lungs,
    "lowest_resistance": lowest_resistance,
    "weight_gain_day_5": weight_gain(5),
    "albumin_day_5": albumin(5),
    "cured": cured,
    "regression_onset": regression_onset,
    "lesions_cleared": lesions_cleared,
    "objective_response": objective_response,
}
"""Name → what it reads."""
