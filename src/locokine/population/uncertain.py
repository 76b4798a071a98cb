"""Where a parameter stands in a population, and subjects whose medians come from draws of a posterior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from locokine.parameters.library import Library
from locokine.parameters.records import Record

if TYPE_CHECKING:
    from locokine.scenario.experiment import Experiment

Array = NDArray[np.float64]


def owned(library: Library, owner: str) -> Mapping[str, Record]:
    """Records of the laws, or of a host (with its own values of laws), line or agent; empty for an unknown owner."""
    for scope in ("laws", "hosts", "lines", "agents"):
        entries = library.entries(scope)
        if owner in entries:
            return {**entries[owner].records, **entries[owner].law_overrides}
    return {}


def inherited_alike(record: Record, library: Library, ancestor: str) -> bool:
    """Whether an ancestor has the same value and range."""
    other = owned(library, ancestor).get(record.name)
    return other is not None and (other.value, other.low, other.high) == (record.value, record.low, record.high)


def rows_named(experiment: Experiment, owner: str, name: str) -> list[str]:
    """Rows of a population of this experiment in which a parameter of an owner stands; empty if it has no part in it.

    Parameters
    ----------
    owner
        "laws", or a host, line or agent. A law that the host replaces has no part; lines and agents that inherit the
        value unchanged share it.
    """
    library = experiment.library
    if owner == "laws":
        return [] if name in experiment.host_entry.law_overrides else [name]
    if owner in library.hosts:
        return [name] if owner == experiment.host else []
    for prefix, entries, used in (
        ("line", library.lines, experiment.lines), ("agent", library.agents, experiment.protocol.agents)
    ):
        if owner in entries:
            return [
                f"{prefix}:{item}:{name}"
                for item in used
                if item == owner
                or (owner in entries[item].lineage and inherited_alike(entries[item].records[name], library, owner))
            ]
    return []


def spread(record: Record, centres: Array, u: Array) -> Array:
    """Values of subjects at uniform positions `u` around each of some medians; shapes as NumPy broadcasts them."""
    from scipy.special import ndtri

    if record.between == 0.0 or record.distribution == "fixed":
        return np.broadcast_to(centres, np.broadcast_shapes(centres.shape, u.shape)).copy()
    z = np.clip(ndtri(u), -4.0, 4.0) * record.between
    if record.distribution == "lognormal":
        values = centres * np.exp(z)
    elif record.distribution == "normal":
        values = centres + np.abs(centres) * z
    else:
        odds = centres / (1.0 - centres) * np.exp(z)
        values = odds / (1.0 + odds)
    return np.clip(values, record.physical_low, record.physical_high)


def uncertain(experiment: Experiment, names: tuple[str, ...], values: Array, drawn: Mapping[str, Array]) -> Array:
    """A population in which subject i has the medians of draw i (from the first again after the last).

    Parameters
    ----------
    names, values
        Of the population at the library's values, shape (names, subjects).
    drawn
        OWNER.NAME → draws in internal units, all of the same number. What the experiment itself states stays.
    """
    from locokine.population.draw import stream

    stated = {key.rpartition(".")[2] for key in experiment.overrides}
    found, at = values.copy(), {name: i for i, name in enumerate(names)}
    which = np.arange(values.shape[1])
    for key, draws in drawn.items():
        owner, _, name = key.partition(".")
        record = owned(experiment.library, owner).get(name)
        if record is None or name in stated:
            continue
        for row in rows_named(experiment, owner, name):
            if row in at:
                kind = row.split(":")[0] if ":" in row else "host"
                u = stream(experiment.seed, f"{kind}:{name}", values.shape[1])
                found[at[row]] = spread(record, np.asarray(draws, dtype=np.float64)[which % len(draws)], u)
    return found
