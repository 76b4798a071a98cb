"""Draw subjects: every parameter of every subject from its own named stream.

A stream is named by (seed, purpose, parameter), never by the name of a host, line, agent or arm, and a subject is a
place in it: subject 17 is the same alone as among 10,000, all arms share their subjects, and renaming a line changes
nothing.
"""

from __future__ import annotations

import hashlib
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
        "NAME" for hosts and laws, "line:LINE:NAME" for each line, "agent:AGENT:NAME" for each agent, and
        "lesion:I:NAME" for each lesion in which a value of its line is its own.
    values
        Shape (names, subjects), internal units.
    seed
        Of the streams.
    copies
        How many times over the columns hold the same subjects (with other parameters): a subject meets the same chance in
        every copy, so that copies differ by their parameters and not by luck.
    """

    names: tuple[str, ...]
    values: Array
    seed: int
    copies: int = 1

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


def standing(seed: int, row: str, count: int, within: Array | float = 0.0) -> Array:
    """Where subjects stand in a row of a population, standard normal; a lesion stands near its subject.

    Parameters
    ----------
    seed, count
        Of the streams, and how many subjects.
    row
        As in `Population.names`.
    within
        Share of the variance that lies between the lesions of one subject; of shape (n, 1) for several of them.

    Returns
    -------
    ndarray
        Shape (subjects,) or (n, subjects).
    """
    from scipy.special import ndtri

    kind, _, name = (row if ":" in row else f"host::{row}").split(":")
    own = np.asarray(ndtri(stream(seed, f"{'line' if kind == 'lesion' else kind}:{name}", count)))
    if kind == "lesion":
        mine = np.asarray(ndtri(stream(seed, row, count)))
        own = np.sqrt(1.0 - np.asarray(within)) * own + np.sqrt(within) * mine
    return np.clip(own, -4.0, 4.0)


def spread(record: Record, centres: Array | float, between: Array | float, z: Array) -> Array:
    """Values at standard normal places `z` around some medians, with a spread; shapes as NumPy broadcasts them."""
    centres = np.asarray(centres, dtype=np.float64)
    if record.distribution == "fixed" or not np.any(between):
        shape = np.broadcast_shapes(centres.shape, np.shape(between), z.shape)
        return np.broadcast_to(centres, shape).copy()
    moved = z * between
    if record.distribution == "lognormal":
        values = centres * np.exp(moved)
    elif record.distribution == "normal":
        values = centres + np.abs(centres) * moved
    else:
        odds = centres / (1.0 - centres) * np.exp(moved)
        values = odds / (1.0 + odds)
    return np.clip(values, record.physical_low, record.physical_high)


def lesion_rows(experiment: Experiment, line: str, name: str) -> list[str]:
    """Rows of a population for the lesions of a line, in which they have a value of their own."""
    return [f"lesion:{i}:{name}" for i, plan in enumerate(experiment.protocol.lesions) if plan.line == line]


def row_records(experiment: Experiment) -> dict[str, Record]:
    """Row of a population → its record, in the order of the rows; without the switches."""
    found: dict[str, Record] = {}
    common = experiment.records()
    for name in layout.parameter_names("host"):
        if not name.startswith("switch_"):
            found[name] = common[name]
    for line in experiment.lines:
        records = experiment.line_records(line)
        found |= {f"line:{line}:{name}": records[name] for name in layout.parameter_names("line")}
    for agent in experiment.protocol.agents:
        records = experiment.agent_records(agent)
        found |= {f"agent:{agent}:{name}": records[name] for name in layout.parameter_names("agent")}
    for line in dict.fromkeys(plan.line for plan in experiment.protocol.lesions):
        for name, record in experiment.line_records(line).items():
            if record.within > 0.0:
                found |= dict.fromkeys(lesion_rows(experiment, line, name), record)
    return found


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
    found = {
        name: np.full(count, 1.0 if experiment.switches.get(name.removeprefix("switch_"), True) else 0.0)
        for name in layout.parameter_names("host") if name.startswith("switch_")
    }
    for row, record in row_records(experiment).items():
        found[row] = spread(record, record.value, record.between, standing(experiment.seed, row, count, record.within))
    names, values = tuple(found), np.array(list(found.values())).reshape(len(found), count)
    if experiment.uncertainty:
        from locokine.population.uncertain import uncertain

        values = uncertain(experiment, names, values, experiment.uncertainty)
    return Population(names, values, experiment.seed)

