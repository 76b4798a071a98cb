"""What a published experiment measured, read from simulated arms: one number per subject.

An observable takes a `Trial`, the name of an arm and its settings (a day, a lesion, a grade) and returns an array of
shape (subjects,), nan where a subject has no value (dead, nothing to measure). Shares are returned as 0 to 1 per subject.
`OBSERVABLES` is the table from which files of evidence name them; add a function and a row to measure something else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locokine._jit import plain
from locokine.body import grades
from locokine.engine.batch import simulate_rechallenge
from locokine.engine.variables import BODY, LESION, PLACES
from locokine.evidence import responses
from locokine.evidence.trial import Settings, Trial
from locokine.outcome import immunity, response, survival, toxicity
from locokine.results.schema import GRADE_TERMS
from locokine.tissue.layout import AGENT_POOLS

Array = NDArray[np.float64]
_BODY = {item.name: i for i, item in enumerate(BODY)}
_LESION = {item.name: i for i, item in enumerate(LESION)}
FINER = 32.0
"""How much finer than usual the steps are where a rate constant is read off."""
TERMS = ("any", *(term for term in GRADE_TERMS if term != "death"))
"""Toxicity terms that `graded` knows."""


@dataclass(frozen=True)
class Observable:
    """Something that can be measured.

    Attributes
    ----------
    read
        (trial, arm, settings) → one number per subject.
    unit
        Its unit; "%" for shares, whose numbers per subject are 0 to 1.
    group
        Kind of outcome: the class whose mean the baseline of the scoreboard predicts.
    meaning
        In words.
    takes
        Settings that it needs.
    share
        Whether a group of hosts gives a share (a count of n) and not a mean.
    """

    read: Callable[[Trial, str, Settings], Array]
    unit: str
    group: str
    meaning: str
    takes: tuple[str, ...] = ()
    share: bool = False

    def __call__(self, trial: Trial, arm: str, settings: Settings | None = None) -> Array:
        """One number per subject."""
        return self.read(trial, arm, settings or {})


# --- pharmacokinetics ------------------------------------------------------------------------------------------------


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


def clearance(trial: Trial, arm: str, _: Settings) -> Array:
    """Dose / area under the curve, mL/min."""
    run = trial.run(arm)
    return run.dosed[trial.agent(run)] / _exposure(trial, arm, "plasma", 1) / 60e3


def level_against_bolus(trial: Trial, arm: str, _: Settings) -> Array:
    """Mean plasma level from 2 to 8 h, in % of the peak of the arm "intravenous"."""
    area = _exposure(trial, arm, "plasma", 1, 8.0) - _exposure(trial, arm, "plasma", 1, 2.0)
    return 100.0 * area / 6.0 / _exposure(trial, "intravenous", "plasma", 0)


def bioavailability(trial: Trial, arm: str, _: Settings) -> Array:
    """Amount that reached the plasma, in % of what was given."""
    run = trial.run(arm)
    agent = trial.agent(run)
    return 100.0 * run.reached_plasma[agent] / run.dosed[agent]


def peak_plasma(trial: Trial, arm: str, _: Settings) -> Array:
    """Highest concentration of the agent in plasma, pM."""
    return 1000.0 * _exposure(trial, arm, "plasma", 0)


def cavity_to_plasma(trial: Trial, arm: str, _: Settings) -> Array:
    """Area under the curve in the cavity against that in plasma."""
    return _exposure(trial, arm, "tumour", 1) / _exposure(trial, arm, "plasma", 1)


def cavity_half_life(trial: Trial, arm: str, _: Settings) -> Array:
    """ln 2 times the mean time that IL-2 stays in the cavity, h."""
    return np.log(2.0) * _exposure(trial, arm, "tumour", 1) / _exposure(trial, arm, "tumour", 0)


# --- the body --------------------------------------------------------------------------------------------------------


def _body(name: str, trial: Trial, arm: str) -> Array:
    """Day values of the host, shape (days, subjects)."""
    return trial.run(arm).daily_body[_BODY[name]]


def organ_leak(trial: Trial, arm: str, at: Settings) -> Array:
    """Leak index of the lung on a day, relative to day 0."""
    index = _body("organ_leak", trial, arm)
    return index[int(at["day"])] / index[0]


def flooded_lungs(trial: Trial, arm: str, _: Settings) -> Array:
    """Whether the worst leak index of the lung is of grade 4 (a steep transition over 5 % of the index)."""
    index = _body("organ_leak", trial, arm)
    worst = np.nanmax(index, axis=0) / index[0]
    return 1.0 / (1.0 + np.exp(-np.clip(np.log(worst / grades.LUNG_LEAK[3]) / 0.05, -50.0, 50.0)))


def lowest_resistance(trial: Trial, arm: str, _: Settings) -> Array:
    """Lowest daily vascular resistance, in % of that before."""
    index = _body("vascular_resistance", trial, arm)
    return 100.0 * np.nanmin(index[1:], axis=0) / index[0]


def weight_gain(trial: Trial, arm: str, at: Settings) -> Array:
    """Weight gained by a day, kg."""
    weight = _body("weight", trial, arm)
    return weight[int(at["day"])] - weight[0]


def gained(trial: Trial, arm: str, at: Settings) -> Array:
    """Whether weight rose by so many per cent or more on any day."""
    weight = _body("weight", trial, arm)
    return (np.nanmax(weight, axis=0) / weight[0] >= 1.0 + at["percent"] / 100.0).astype(np.float64)


def albumin(trial: Trial, arm: str, at: Settings) -> Array:
    """Serum albumin on a day, in % of that before."""
    level = _body("albumin", trial, arm)
    return 100.0 * level[int(at["day"])] / level[0]


def albumin_escape(trial: Trial, arm: str, at: Settings) -> Array:
    """Transcapillary escape rate of albumin on a day, relative to before."""
    rate = _body("albumin_escape", trial, arm)
    return rate[int(at["day"])] / rate[0]


def blood_nk(trial: Trial, arm: str, at: Settings) -> Array:
    """Circulating NK cells on a day, relative to before."""
    cells = _body("blood_nk", trial, arm)
    return cells[int(at["day"])] / cells[0]


def peak_lymphocytes(trial: Trial, arm: str, _: Settings) -> Array:
    """Highest daily count of circulating lymphocytes, relative to before."""
    count = _body("blood_lymphocytes", trial, arm)
    return np.nanmax(count, axis=0) / count[0]


def pressors(trial: Trial, arm: str, _: Settings) -> Array:
    """Whether hypotension needed pressors or was otherwise of grade 3 at any step."""
    return graded(trial, arm, {"term": "hypotension", "grade": 3})


def graded(trial: Trial, arm: str, at: Settings) -> Array:
    """Whether the worst grade of a toxicity term ("any": of all systemic terms) is so high or higher."""
    run, experiment = trial.run(arm), trial.experiment
    first = int(response.baseline_day(experiment.protocol, arm))
    toxic = np.array([cause == "toxic_death" for cause in survival.deaths(run).cause], dtype=bool)
    animals = experiment.host_entry.meta.get("criteria", "caliper") == "caliper"
    found = toxicity.systemic_grades(run, first, toxic, animals)
    worst = toxicity.worst_systemic(found)[0] if at["term"] == "any" else found[at["term"]]
    return (worst >= at["grade"]).astype(np.float64)


def toxic_death(trial: Trial, arm: str, _: Settings) -> Array:
    """Whether the treatment killed the host."""
    return np.array([cause == "toxic_death" for cause in survival.deaths(trial.run(arm)).cause], dtype=np.float64)


def recovery(trial: Trial, arm: str, _: Settings) -> Array:
    """Days from the last dose until hypotension, capillary leak and fever are all below grade 2.

    Who does not recover counts with the rest of the follow-up; nan for the dead.
    """
    run = trial.run(arm)
    normal = {name: run.daily_body[i, 0] for name, i in _BODY.items()}
    body = {name: run.daily_body[i] for name, i in _BODY.items()}
    grade = np.maximum.reduce([
        plain(grades.hypotension)(body["mean_arterial_pressure"], normal["mean_arterial_pressure"], body["pressor"]),
        plain(grades.capillary_leak)(body["systemic_leak"], body["weight"] / normal["weight"] - 1.0, body["albumin"]),
        plain(grades.fever)(body["temperature"]),
    ])
    last = max(time for item in trial.experiment.protocol.arms if item.name == arm for time in item.times) / 24.0
    days = np.arange(len(grade), dtype=np.float64)
    lives = np.isfinite(body["weight"])
    after = (days[:, None] >= last) & (grade < 2.0) & lives
    first = np.where(after.any(axis=0), days[after.argmax(axis=0)], days[-1])
    return np.where(lives[-1], np.maximum(first - last, 0.5), np.nan)


# --- lesions ---------------------------------------------------------------------------------------------------------


def _over_lesions(names: tuple[str, ...], trial: Trial, arm: str, lesion: str | None = None) -> Array:
    """Day values of some quantities, added over them and over lesions (or of one); shape (days, subjects)."""
    run = trial.run(arm)
    values = run.daily_lesion if lesion is None else run.daily_lesion[:, [run.lesions.index(lesion)]]
    return np.sum([np.nansum(values[_LESION[name]], axis=0) for name in names], axis=0)


def lymphocytes(trial: Trial, arm: str, at: Settings) -> Array:
    """NK, specific T and regulatory T cells in the lesions on a day, cells."""
    cells = _over_lesions(("nk", "t_specific", "treg"), trial, arm)[int(at["day"])]
    return np.where(np.isnan(_body("weight", trial, arm)[int(at["day"])]), np.nan, cells)


def volume(trial: Trial, arm: str, at: Settings) -> Array:
    """Caliper volume of all lesions, or of one, on a day, mm³; of a host that has died, the last that was measured."""
    values = _over_lesions(("caliper_volume",), trial, arm, at.get("lesion"))
    lives = ~np.isnan(_body("weight", trial, arm))
    last = np.minimum(int(at["day"]), lives.sum(axis=0) - 1)
    return np.maximum(np.take_along_axis(values, last[None], axis=0)[0], 1e-3)


def lowest_vessel_density(trial: Trial, arm: str, _: Settings) -> Array:
    """Lowest vessel density from the first dose on, mean over lesions, relative to that at the first dose."""
    first = int(response.baseline_day(trial.experiment.protocol, arm))
    density = np.nanmean(trial.run(arm).daily_lesion[_LESION["vessel_density"], :, first:], axis=0)
    return np.nanmin(density, axis=0) / density[0]


def rejected(trial: Trial, arm: str, _: Settings) -> Array:
    """1 where a cured host rejects the first line of the rechallenge, 0 where it takes; nan where not cured."""
    run, plan = trial.run(arm), trial.experiment.protocol.rechallenge
    found = np.full(run.subjects, np.nan)
    again = plan and simulate_rechallenge(trial.experiment, trial.population, run, plan.lines[0], trial.threads)
    if plan and again:
        found[again.subject_ids] = immunity.challenge_outcome(again, plan.observe)[2]
    return found


def _row(
    read: Callable[[Trial, str, Settings], Array], unit: str, group: str, meaning: str, *takes: str, share: bool = False
) -> Observable:
    return Observable(read, unit, group, meaning, takes, share)


OBSERVABLES: dict[str, Observable] = {
    "half_life_first": _row(lambda trial, arm, _: _half_lives(trial, arm)[0], "min", "half-life",
                            "shorter half-life in plasma after a bolus"),
    "half_life_second": _row(lambda trial, arm, _: _half_lives(trial, arm)[1], "min", "half-life",
                             "longer half-life in plasma after a bolus"),
    "cavity_half_life": _row(cavity_half_life, "h", "half-life", "half-life in the fluid of the cavity"),
    "clearance": _row(clearance, "mL/min", "clearance", "dose / area under the plasma curve"),
    "level_against_bolus": _row(level_against_bolus, "%", "exposure",
                                "mean plasma level from 2 to 8 h, of the peak of the arm 'intravenous'"),
    "bioavailability": _row(bioavailability, "%", "exposure", "share of the dose that reaches plasma"),
    "cavity_to_plasma": _row(cavity_to_plasma, "1", "exposure", "area under the curve in the cavity / in plasma"),
    "peak_plasma": _row(peak_plasma, "pM", "concentration", "highest concentration of the agent in plasma"),
    "organ_leak": _row(organ_leak, "1", "relative to before", "albumin leak index of the lung on a day", "day"),
    "lowest_resistance": _row(lowest_resistance, "%", "relative to before", "lowest daily vascular resistance"),
    "albumin": _row(albumin, "%", "relative to before", "serum albumin on a day", "day"),
    "albumin_escape": _row(albumin_escape, "1", "relative to before",
                           "transcapillary escape rate of albumin on a day, relative to before", "day"),
    "blood_nk": _row(blood_nk, "1", "relative to before", "circulating NK cells on a day", "day"),
    "peak_lymphocytes": _row(peak_lymphocytes, "1", "relative to before", "highest daily count of blood lymphocytes"),
    "lowest_vessel_density": _row(lowest_vessel_density, "1", "relative to before",
                                  "lowest vessel density of the lesions from the first dose on"),
    "weight_gain": _row(weight_gain, "kg", "weight", "weight gained by a day", "day"),
    "regression_onset": _row(responses.regression_onset, "d", "days to an event",
                             "days from the first dose to the largest volume before regression; 21 without"),
    "recovery": _row(recovery, "d", "days to an event",
                     "days from the last dose until systemic grades are below 2"),
    "lymphocytes": _row(lymphocytes, "cells", "infiltrate", "NK, specific and regulatory T cells in the lesions", "day"),
    "volume": _row(volume, "mm3", "volume", "caliper volume of all lesions on a day", "day"),
    "lesion_volume": _row(volume, "mm3", "volume", "caliper volume of one lesion on a day", "day", "lesion"),
    "cured": _row(responses.cured, "%", "cure", "no clonogen left, and alive", share=True),
    "complete_response": _row(responses.complete_response, "%", "response",
                              "best response complete, by the criteria of the host", share=True),
    "partial_response": _row(responses.partial_response, "%", "response", "best response partial", share=True),
    "objective_response": _row(responses.objective_response, "%", "response",
                               "best response complete or partial", share=True),
    "lesion_response": _row(responses.lesion_response, "%", "response",
                            "complete or partial response of one lesion", "lesion", share=True),
    "rejected": _row(rejected, "%", "response",
                     "of those cured, how many reject the first line of the scenario's rechallenge", share=True),
    "lesions_cleared": _row(responses.lesions_cleared, "%", "response",
                            "share of lesions not detectable at some weekly visit", share=True),
    "lesions_cleared_for": _row(responses.lesions_cleared_for, "%", "response",
                                "share of lesions not detectable for so many days at a stretch", "days", share=True),
    "flooded_lungs": _row(flooded_lungs, "%", "toxicity", "leak index of the lung of 10 or more", share=True),
    "gained": _row(gained, "%", "toxicity", "weight gained by so many per cent", "percent", share=True),
    "pressors": _row(pressors, "%", "toxicity", "hypotension that needs pressors", share=True),
    "graded": _row(graded, "%", "toxicity", "worst grade of a term, or of any, so high or higher", "term", "grade",
                   share=True),
    "toxic_death": _row(toxic_death, "%", "death", "killed by the treatment", share=True),
}
"""Name → what it reads."""
SETTINGS: dict[str, str] = {
    "day": "day of the scenario", "days": "length of time in days", "lesion": "name of a lesion of the scenario",
    "percent": "a percentage", "term": f"one of {', '.join(TERMS)}", "grade": "a grade from 1 to 5",
}
"""Setting of an observable → what it is."""
