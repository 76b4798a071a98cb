"""Simulated arms of one experiment, run when first asked for, and how dosed amounts are scaled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from locokine.engine.batch import simulate_arm
from locokine.engine.grid import Accuracy
from locokine.engine.run import ArmRun
from locokine.population.draw import Population
from locokine.scenario.experiment import Experiment

Settings = Mapping[str, Any]
"""Settings of an observable: a day, a lesion, a grade."""


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


def scaled(experiment: Experiment, factor: float) -> Experiment:
    """The same experiment with every given amount times `factor` (the unit of a paper is not always known)."""
    if factor == 1.0:
        return experiment
    arms = tuple(
        replace(arm, doses=tuple(
            replace(dose, amount=dose.amount * factor, amount_per_kg=dose.amount_per_kg * factor) for dose in arm.doses
        ))
        for arm in experiment.protocol.arms
    )
    return replace(experiment, protocol=replace(experiment.protocol, arms=arms))
