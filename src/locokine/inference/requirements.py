"""What every calibrated library must keep: physics that no row of the evidence states (`evidence/calibration.yaml`).

A row is weighed against others; a requirement is not. A point that breaks one is never the best, and draws of the
posterior that break one are left out: a cavity that runs dry, say, would buy some log score elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from locokine.engine.variables import BODY, LESION
from locokine.evidence.calibration import Requirement
from locokine.evidence.trial import Trial
from locokine.inference.ledger import Ledger
from locokine.inference.prior import Free, population_of, rows_of
from locokine.inference.sweep import COLUMNS, key_of
from locokine.parameters.library import Library
from locokine.scenario.experiment import Experiment
from locokine.scenario.load import load

Array = NDArray[np.float64]
HOSTS = 8
"""Hosts of a draw; their median is what is required."""
LEAST = 1e-9
"""Of a reading, before its logarithm is taken."""


@dataclass
class Keeper:
    """Reads the requirements in draws of the parameters.

    Attributes
    ----------
    requirements
        What is required.
    library, free
        Parameters, and those that may move, by key.
    still
        Values of parameters that stay where they are, by key, where that is not the library's value.
    ledger
        Keeps what was simulated.
    seed, threads
        Of subjects; of the engine.
    """

    requirements: Sequence[Requirement]
    library: Library
    free: Mapping[str, Free]
    still: Mapping[str, float] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=lambda: Ledger(None, {}))
    seed: int = 1
    threads: int = 1
    _experiments: dict[str, Experiment] = field(default_factory=dict)

    @property
    def low(self) -> Array:
        """See `study.Requirements`."""
        return np.log([one.low for one in self.requirements])

    @property
    def high(self) -> Array:
        """See `study.Requirements`."""
        return np.log([one.high for one in self.requirements])

    def __call__(self, names: Sequence[str], z: Array) -> Array:
        """See `study.Requirements`."""
        found = [np.maximum(np.nan_to_num(self.read(one, names, z)), LEAST) for one in self.requirements]
        return np.log(np.reshape(found, (-1, len(z))))

    def plays(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """See `study.Requirements`."""
        return np.array([
            [name in self.free and bool(rows_of(self.free[name], self.experiment(one))) for name in names]
            for one in self.requirements
        ]).reshape(-1, len(names))

    def experiment(self, one: Requirement) -> Experiment:
        """The scenario of a requirement."""
        if one.name not in self._experiments:
            self._experiments[one.name] = load(dict(one.scenario), seed=self.seed, library=self.library)
        return self._experiments[one.name]

    def read(self, one: Requirement, names: Sequence[str], z: Array) -> Array:
        """What a requirement is about, median over hosts, in each draw."""
        experiment = self.experiment(one)
        playing = [i for i, name in enumerate(names) if name in self.free and rows_of(self.free[name], experiment)]
        points, back = np.unique(z[:, playing], axis=0, return_inverse=True)
        key = key_of("requirement", one, [names[i] for i in playing], points)

        def make() -> dict[str, Array]:
            started = time.process_time()
            size, found = max(COLUMNS // HOSTS, 1), []
            for part in (points[i:i + size] for i in range(0, len(points), size)):
                values = {self.free[name]: np.full(len(part), value) for name, value in self.still.items()}
                values |= {self.free[names[i]]: self.free[names[i]].at(part[:, k]) for k, i in enumerate(playing)}
                people = population_of(experiment, values, len(part), HOSTS)
                found.append(np.median(reading(one, Trial(experiment, people, self.threads)).reshape(len(part), HOSTS), axis=1))
            return {"found": np.concatenate(found), "seconds": np.array([time.process_time() - started])}

        return self.ledger.get(key, make)["found"][back.ravel()]


def reading(one: Requirement, trial: Trial) -> Array:
    """The quantity of a requirement in each subject: on its day, or relative to the first."""
    run = trial.run(trial.experiment.protocol.arms[0].name)
    lesion = [item.name for item in LESION]
    if one.quantity in lesion:
        days = run.daily_lesion[lesion.index(one.quantity), 0]
    else:
        days = run.daily_body[[item.name for item in BODY].index(one.quantity)]
    return days[one.day] / days[0] if one.relative else days[one.day]
