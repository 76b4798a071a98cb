"""Prior of the parameters and populations whose columns are draws of it.

The prior of a record has its `prior`, the value before any fit, as median and its range as central 90 %: on the record's
own scale (logarithm, logit, plain) a normal distribution with a standard deviation of its own on either side. Coordinates
are standard normal numbers `z`, one per free parameter; z = 0 is the median of the prior, `Free.here` the library.

One engine column is one subject of one draw: thousands of draws run as one population. All draws share their subjects,
that is, the uniform numbers that place a subject within the spread between subjects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from locokine.errors import InputError
from locokine.parameters.library import Library
from locokine.parameters.reading import suggest
from locokine.parameters.records import Record
from locokine.population.draw import Population, draw, row_records
from locokine.population.uncertain import drawn_rows, inherited_alike, owned, part_of, rows_named
from locokine.scenario.experiment import Experiment
from locokine.units import format_quantity

Array = NDArray[np.float64]
TAIL = 1.6448536269514722
"""Standard normal quantile of 95 %."""
FREE_STATUS = ("assumed", "calibrated")
"""Values that a calibration may move; measured and derived ones stay."""


@dataclass(frozen=True)
class Free:
    """A parameter that may move: a record in the scope where it has its value.

    Attributes
    ----------
    owner
        "laws", or the host, line or agent whose value it is.
    record
        The record of the library.
    """

    owner: str
    record: Record

    @property
    def key(self) -> str:
        """OWNER.NAME."""
        return f"{self.owner}.{self.record.name}"

    @property
    def parameter(self) -> str:
        """Name of the parameter, also where its spread is what may move."""
        return part_of(self.record.name)[0]

    @property
    def spread(self) -> bool:
        """Whether it is the spread of a parameter, and not its value."""
        return part_of(self.record.name)[1] != "value"

    def at(self, z: Array) -> Array:
        """Values at standard normal coordinates, within the physical bounds."""
        centre, below, above = scale(self.record)
        moved = centre + np.where(z > 0.0, above, below) * z
        return np.clip(_back(moved, self.record.distribution), self.record.physical_low, self.record.physical_high)

    def coordinate(self, value: float) -> float:
        """Inverse of `at` for one value."""
        centre, below, above = scale(self.record)
        distance = float(_there(np.array(value), self.record.distribution)) - centre
        width = above if distance > 0.0 else below
        return distance / width if width > 0.0 else 0.0

    @property
    def here(self) -> float:
        """Coordinate of the library's value."""
        return self.coordinate(self.record.value)

    def text(self, value: float, digits: int = 3) -> str:
        """A value in the unit of the library."""
        return format_quantity(value, self.record.unit, digits)


def _there(values: Array, distribution: str) -> Array:
    if distribution == "lognormal":
        return np.log(values)
    if distribution == "logit":
        return np.log(values / (1.0 - values))
    return values


def _back(values: Array, distribution: str) -> Array:
    if distribution == "lognormal":
        return np.exp(values)
    if distribution == "logit":
        return 1.0 / (1.0 + np.exp(-values))
    return values


def scale(record: Record) -> tuple[float, float, float]:
    """Median, and standard deviations below and above it, on the record's own scale."""
    low, centre, high = (
        float(_there(np.array(v), record.distribution)) for v in (record.low, record.prior, record.high)
    )
    return centre, (centre - low) / TAIL, (high - centre) / TAIL


def candidates(
    library: Library, scopes: Iterable[str], fixed: Iterable[str] = (), statuses: Sequence[str] = FREE_STATUS,
    spreads: bool = False,
) -> list[Free]:
    """Parameters that may move, in the order of the library.

    Parameters
    ----------
    library
        The parameters.
    scopes
        "laws", or names of hosts, lines and agents. A value that a line or agent inherits unchanged counts as that of
        the entry it inherits it from, if that one is among the scopes too.
    fixed
        Names that stay.
    statuses
        Which records may move.
    spreads
        Whether spreads whose range is stated may move as well.

    Raises
    ------
    InputError
        For a scope that is not in the library.
    """
    names, found, seen = set(fixed), [], set()
    wanted = list(scopes)
    for owner in wanted:
        for record in records_owned(library, owner):
            still = record.distribution == "fixed" or record.low == record.high
            parameter, part = part_of(record.name)
            if still or record.status not in statuses or (part == "value" and parameter in names) or (
                part != "value" and not spreads
            ):
                continue
            inherited = any(
                other in seen and inherited_alike(record, library, other) for other in _lineage(library, owner) if other != owner
            )
            if not inherited:
                found.append(Free(owner, record))
        seen.add(owner)
    return found


def scopes_of(*experiments: Experiment) -> list[str]:
    """Whose values the experiments use: laws, hosts, lines and agents, each after the entries that it inherits from."""
    found = ["laws"]
    for experiment in experiments:
        for name in (experiment.host, *experiment.lines, *experiment.protocol.agents):
            found += [ancestor for ancestor in reversed(_lineage(experiment.library, name)) if ancestor != "laws"]
    return list(dict.fromkeys(found))


def records_owned(library: Library, owner: str) -> list[Record]:
    """Records of the laws, or of a host (with its own values of laws), line or agent.

    Raises
    ------
    InputError
        For an owner that is not in the library.
    """
    found = owned(library, owner)
    if not found:
        known = ["laws", *library.hosts, *library.lines, *library.agents]
        raise InputError("free", f"no host, line or agent '{owner}'", suggest(owner, known))
    return list(found.values())


def _lineage(library: Library, owner: str) -> tuple[str, ...]:
    for scope in ("hosts", "lines", "agents"):
        if owner in library.entries(scope):
            lineage = library.entries(scope)[owner].lineage
            return (*lineage, "laws") if scope == "hosts" else lineage
    return (owner,)


def rows_of(free: Free, experiment: Experiment) -> list[str]:
    """Rows of a population of this experiment that a free parameter stands in; empty if it has no part in it."""
    return rows_named(experiment, free.owner, free.record.name)


def population_of(
    experiment: Experiment, values: Mapping[Free, Array], draws: int, subjects: int, between: bool = True
) -> Population:
    """A population whose columns are the subjects of draw 0, then those of draw 1, and so on.

    Parameters
    ----------
    experiment
        Gives all parameters that do not move, and the seed.
    values
        Free parameter → values, shape (draws,).
    draws, subjects
        How many, and subjects of each.
    between
        Whether subjects differ.
    """
    base = draw(experiment, subjects)
    if between:
        columns = np.tile(base.values, (1, draws))
    else:
        columns = np.repeat(_centres(base, experiment), draws * subjects, axis=1)
    if between:
        at = {name: i for i, name in enumerate(base.names)}
        drawn = {free.key: np.asarray(centre, dtype=np.float64)[:, None] for free, centre in values.items()}
        for row, made in drawn_rows(experiment, drawn, subjects).items():
            columns[at[row]] = made.ravel()
        return Population(base.names, columns, experiment.seed, draws)
    for free, centre in values.items():
        for row in rows_of(free, experiment) if not free.spread else ():
            if row in base.names:
                columns[base.names.index(row)] = np.repeat(np.asarray(centre, dtype=np.float64), subjects)
    return Population(base.names, columns, experiment.seed, draws)


def _centres(base: Population, experiment: Experiment) -> Array:
    """Median of every row of a population, shape (rows, 1)."""
    records = row_records(experiment)
    return np.array([[records[name].value if name in records else base.values[i, 0]] for i, name in enumerate(base.names)])
