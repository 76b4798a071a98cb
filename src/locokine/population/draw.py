"""Draw subjects: every parameter of every subject from its own named stream.

A stream is named by (seed, purpose, parameter), never by the name of a host, line, agent or arm, and a subject is a
place in it: subject 17 is the same alone as among 10,000, all arms share their subjects, and renaming a line changes
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from locokine.parameters.records import Record
from locokine.tissue import layout

if TYPE_CHECKING:
    from locokine.scenario.experiment import Experiment

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Population:
    """Virtual subjects.

    Attributes
    ----------
    names
        "NAME" for hosts and laws, "line:LINE:NAME" for each line, "agent:AGENT:NAME" for each agent.
    values
        Shape (names, subjects), internal units.
    seed
        Of the streams.
    """

    names: tuple[str, ...]
    values: Array
    seed: int

    @property
    def subjects(self) -> int:
        """How many subjects."""
        return self.values.shape[1]

    def __getitem__(self, name: str) -> Array:
        return self.values[self.names.index(name)]


def stream(seed: int, purpose: str, count: int) -> Array:
    """`count` uniform numbers in (0, 1) of the stream (seed, purpose); a longer stream begins with a shorter one."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    bits = np.random.Philox(key=int.from_bytes(digest[:16], "little"))
    u = np.random.Generator(bits).random(count)
    return np.maximum(u, 1e-300)


def quantiles(record: Record, u: Array) -> Array:
    """Values of a parameter at uniform positions `u` between subjects."""
    if record.between == 0.0 or record.distribution == "fixed":
        return np.full(u.shape, record.value)
    from scipy.special import ndtri

    z = np.clip(ndtri(u), -4.0, 4.0) * record.between
    if record.distribution == "lognormal":
        values = record.value * np.exp(z)
    elif record.distribution == "normal":
        values = record.value + abs(record.value) * z
    else:
        odds = record.value / (1.0 - record.value) * np.exp(z)
        values = odds / (1.0 + odds)
    return np.clip(values, record.physical_low, record.physical_high)


def draw(experiment: Experiment, subjects: int | None = None) -> Population:
    """Draw the subjects of an experiment.

    Parameters
    ----------
    experiment
        Gives records, seed and the number of subjects.
    subjects
        Another number of subjects.

    Returns
    -------
    Population
    """
    count = experiment.subjects if subjects is None else subjects
    names: list[str] = []
    rows: list[Array] = []

    def add(prefix: str, scope: str, records: Mapping[str, Record], wanted: tuple[str, ...]) -> None:
        for name in wanted:
            if name.startswith("switch_"):
                on = experiment.switches.get(name.removeprefix("switch_"), True)
                rows.append(np.full(count, 1.0 if on else 0.0))
            else:
                rows.append(quantiles(records[name], stream(experiment.seed, f"{scope}:{name}", count)))
            names.append(prefix + name)

    add("", "host", experiment.records(), layout.parameter_names("host"))
    for line in experiment.lines:
        add(f"line:{line}:", "line", experiment.line_records(line), layout.parameter_names("line"))
    for agent in experiment.protocol.agents:
        add(f"agent:{agent}:", "agent", experiment.agent_records(agent), layout.parameter_names("agent"))
    values = np.array(rows).reshape(len(rows), count)
    if experiment.uncertainty:
        from locokine.population.uncertain import uncertain

        values = uncertain(experiment, tuple(names), values, experiment.uncertainty)
    return Population(tuple(names), values, experiment.seed)

