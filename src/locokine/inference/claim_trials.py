"""The small trials that the claims of the blueprint are read from: shipped examples, well mixed, one column a host.

A `ClaimTrials` holds one batch of prior draws. Every trial is run when it is first asked for, in the same draws and the
same subjects; counterfactual twins differ in switches alone. Everything is returned with shape (draws, subjects).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locokine.engine.batch import simulate_rechallenge
from locokine.engine.run import ArmRun
from locokine.engine.variables import BODY, LESION
from locokine.evidence.trial import Trial
from locokine.inference.prior import Free, population_of
from locokine.outcome import immunity, response, survival, toxicity
from locokine.parameters.library import Library
from locokine.parameters.reading import plain, read_file, read_yaml
from locokine.scenario.experiment import Experiment
from locokine.scenario.load import load

Array = NDArray[np.float64]
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
_BODY = {item.name: i for i, item in enumerate(BODY)}
_LESION = {item.name: i for i, item in enumerate(LESION)}
LOCAL, HIGH, NONE = "intratumoural", "intravenous, high dose", "untreated"
"""Arms of the first example."""
SYSTEMIC = "mouse systemic"
"""The trial of `LADDER`."""
LADDER: dict[str, float] = {
    f"intravenous {dose:,} IU q8h": float(dose) for dose in (30_000, 100_000, 300_000, 1_000_000, 3_000_000)
}
"""Arms of the same mice, and their doses (IU): the least that does as much as the local treatment is of equal effect."""
TRIALS: dict[str, dict[str, Any]] = {
    "mouse": {"example": "local_versus_systemic"},
    SYSTEMIC: {
        "example": "local_versus_systemic",
        "arms": {arm: [f"aldesleukin {dose:.0f} IU intravenous in 0.1 mL q8h days 10-14"] for arm, dose in LADDER.items()},
    },
    "mouse p815": {"example": "local_versus_systemic", "line": "p815"},
    "ascites": {"example": "ascites_sl2"},
    "skin": {"example": "melanoma_intralesional", "days": 84.0},
    "viscera": {"example": "high_dose_intravenous", "days": 84.0},
}
"""Trials by name: which example, which line and arms instead of its own, how long."""
TREATED: dict[str, str] = {
    "mouse": LOCAL, SYSTEMIC: next(iter(LADDER)), "mouse p815": LOCAL, "ascites": "intraperitoneal", "skin": "intralesional",
    "viscera": "high dose intravenous",
}
"""The arm of each trial that is read."""


def trial_experiment(name: str, seed: int, library: Library | None = None) -> Experiment:
    """The experiment of a trial: a shipped example, well mixed, with its rechallenge."""
    wanted = TRIALS[name]
    tree = plain(read_yaml(read_file(EXAMPLES / f"{wanted['example']}.yaml"), wanted["example"]))
    if "line" in wanted:
        for lesion in tree["lesions"].values():
            lesion["line"] = wanted["line"]
    tree["arms"] = wanted.get("arms", tree["arms"])
    if {"line", "arms"} & set(wanted):
        tree.pop("rechallenge", None)
    tree["geometry"] = "well-mixed"
    experiment = load(tree, seed=seed, library=library)
    days = wanted.get("days")
    if days is None:
        return experiment
    return replace(experiment, protocol=replace(experiment.protocol, follow_up=days * 24.0))


@dataclass
class ClaimTrials:
    """One batch of draws.

    Attributes
    ----------
    values
        Parameter → values, shape (draws,).
    draws, subjects
        How many, and hosts of each.
    seed, threads
        Of subjects; of the engine.
    library
        Instead of the built-in one.
    """

    values: Mapping[Free, Array]
    draws: int
    subjects: int
    seed: int = 1
    threads: int = 1
    library: Library | None = None
    _trials: dict[tuple[str, tuple[str, ...]], Trial] = field(default_factory=dict)
    _grades: dict[tuple[str, str], tuple[Array, Array]] = field(default_factory=dict)
    _challenges: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    def trial(self, name: str, off: tuple[str, ...] = ()) -> Trial:
        """A trial, with some mechanisms switched off."""
        if (name, off) not in self._trials:
            experiment = trial_experiment(name, self.seed, self.library)
            if off:
                experiment = experiment.changed(switches=dict.fromkeys(off, False))
            people = population_of(experiment, self.values, self.draws, self.subjects)
            self._trials[(name, off)] = Trial(experiment, people, self.threads)
        return self._trials[(name, off)]

    def run(self, name: str, arm: str = "", off: tuple[str, ...] = ()) -> ArmRun:
        """An arm of a trial; its treated arm without a name."""
        return self.trial(name, off).run(arm or TREATED[name])

    def shaped(self, values: NDArray[Any]) -> Array:
        """From (..., columns) to (..., draws, subjects)."""
        return np.asarray(values, dtype=np.float64).reshape(*values.shape[:-1], self.draws, self.subjects)

    def start(self, name: str) -> int:
        """Day of the first dose."""
        return int(response.baseline_day(self.trial(name).experiment.protocol, TREATED[name]))

    def lesion(self, variable: str, name: str, arm: str = "", off: tuple[str, ...] = ()) -> Array:
        """Day values from the first dose on, sum over lesions: shape (days, draws, subjects); nan after death."""
        values = self.run(name, arm, off).daily_lesion[_LESION[variable], :, self.start(name):]
        return self.shaped(values.sum(axis=0))

    def body(self, variable: str, name: str, arm: str = "") -> Array:
        """Day values of the host from the first dose on: shape (days, draws, subjects)."""
        return self.shaped(self.run(name, arm).daily_body[_BODY[variable], self.start(name):])

    def codes(self, name: str, arm: str = "") -> Array:
        """Best response (codes of `outcome.response`) of every host."""
        trial, run = self.trial(name), self.run(name, arm)
        protocol = trial.experiment.protocol
        criteria = response.Criteria.of(str(trial.experiment.host_entry.meta.get("criteria", "caliper")))
        days = response.visit_days(float(self.start(name)), float(run.daily_time[-1]) / 24.0, criteria)
        at = response.day_index(run, days)
        sites = response.sites_of(protocol, run.lesions)
        sizes = response.measure(run, sites, at, criteria)
        return self.shaped(response.respond(sizes, response.viable_cells(run, at), days, sites, criteria).best)

    def responded(self, name: str, arm: str = "") -> Array:
        """1 for a complete or partial response, else 0."""
        return (self.codes(name, arm) <= response.PR).astype(np.float64)

    def cured(self, name: str, arm: str = "") -> Array:
        """Probability of cure; 0 for the dead."""
        run = self.run(name, arm)
        known = np.zeros(run.subjects) if run.cure_probability is None else np.nan_to_num(run.cure_probability)
        return self.shaped(np.where(np.isnan(run.daily_body[0, -1]), 0.0, known))

    def grades(self, name: str, arm: str = "") -> tuple[Array, Array]:
        """Worst systemic grade and worst grade at the injection site."""
        key = (name, arm)
        if key not in self._grades:
            experiment, run = self.trial(name).experiment, self.run(name, arm)
            dead = survival.deaths(run)
            toxic = np.array([cause == "toxic_death" for cause in dead.cause], dtype=bool)
            animals = experiment.host_entry.meta.get("criteria", "caliper") == "caliper"
            with np.errstate(all="ignore"):
                found = toxicity.systemic_grades(run, self.start(name), toxic, animals)
                injected = response.injected_lesions(experiment.protocol, arm or TREATED[name])
                site = toxicity.injection_site_grades(run, self.start(name), injected)
            worst = toxicity.worst_systemic(found)[0]
            self._grades[key] = (self.shaped(worst), self.shaped(site))
        return self._grades[key]

    def rechallenge(self, line: str) -> tuple[Array, Array]:
        """Rejected (1, 0, nan where not cured) of the mice cured by local treatment; took (1, 0) in naive ones."""
        if line not in self._challenges:
            trial, run = self.trial("mouse"), self.run("mouse")
            plan = trial.experiment.protocol.rechallenge
            observe = plan.observe if plan else 0.0
            rejected = np.full(run.subjects, np.nan)
            cured = simulate_rechallenge(trial.experiment, trial.population, run, line, self.threads)
            if cured is not None:
                rejected[cured.subject_ids] = immunity.challenge_outcome(cured, observe)[2]
            naive = simulate_rechallenge(trial.experiment, trial.population, None, line, self.threads)
            took = np.zeros(run.subjects) if naive is None else ~immunity.challenge_outcome(naive, observe)[2]
            self._challenges[line] = (self.shaped(rejected), self.shaped(np.asarray(took, dtype=np.float64)))
        return self._challenges[line]
