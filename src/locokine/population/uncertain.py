"""Where a parameter stands in a population, and subjects whose medians come from draws of a posterior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from locokine.parameters.library import Library
from locokine.parameters.records import Record
from locokine.population.draw import lesion_rows, row_records, spread, standing

if TYPE_CHECKING:
    from locokine.scenario.experiment import Experiment

Array = NDArray[np.float64]


def owned(library: Library, owner: str) -> Mapping[str, Record]:
    """Records of the laws, or of a host (with its own values of laws), line or agent; empty for an unknown owner.

    Spreads that are uncertain are among them ("NAME.between", "NAME.within").
    """
    for scope in ("laws", "hosts", "lines", "agents"):
        entries = library.entries(scope)
        if owner in entries:
            found = {**entries[owner].records, **entries[owner].law_overrides}
            return found | {item.name: item for record in found.values() for item in record.spreads()}
    return {}


def part_of(name: str) -> tuple[str, str]:
    """A parameter and what of it: ("x", "value"), or for "x.between" ("x", "between")."""
    parameter, _, part = name.partition(".")
    return parameter, part or "value"


def parameter_of(key: str) -> str:
    """Parameter of OWNER.NAME, or of OWNER.NAME.between."""
    return part_of(key.partition(".")[2])[0]


def inherited_alike(record: Record, library: Library, ancestor: str) -> bool:
    """Whether an ancestor has its value (or spread) from the same statement: then they move together, whatever it is now."""
    other = owned(library, ancestor).get(record.name)
    return other is not None and other.stated == record.stated


def rows_named(experiment: Experiment, owner: str, name: str) -> list[str]:
    """Rows of a population of this experiment in which a parameter of an owner stands; empty if it has no part in it.

    Parameters
    ----------
    owner
        "laws", or a host, line or agent. A law that the host replaces has no part; hosts, lines and agents that inherit the
        value unchanged share it, and a host that has a spread of its own around the value of a law.
    name
        Of the parameter, or of its spread ("NAME.between").
    """
    library, parameter = experiment.library, part_of(name)[0]
    if owner == "laws":
        own = owned(library, experiment.host).get(name)
        replaced = parameter in experiment.host_entry.law_overrides
        shared = not replaced or (own is not None and inherited_alike(own, library, "laws"))
        return [parameter] if shared else []
    if owner in library.hosts:
        own = owned(library, experiment.host).get(name)
        shared = owner in experiment.host_entry.lineage and own is not None and inherited_alike(own, library, owner)
        return [parameter] if owner == experiment.host or shared else []
    for prefix, entries, used in (
        ("line", library.lines, experiment.lines), ("agent", library.agents, experiment.protocol.agents)
    ):
        if owner in entries:
            found = []
            for item in used:
                record = owned(library, item).get(name)
                if item != owner and not (
                    owner in entries[item].lineage and record is not None and inherited_alike(record, library, owner)
                ):
                    continue
                found.append(f"{prefix}:{item}:{parameter}")
                if prefix == "line" and experiment.line_records(item)[parameter].within > 0.0:
                    found += lesion_rows(experiment, item, parameter)
            return found
    return []


def drawn_rows(experiment: Experiment, drawn: Mapping[str, Array], subjects: int) -> dict[str, Array]:
    """Rows of a population of which medians or spreads are drawn: row → values, shape (draws, subjects) or (subjects,).

    Parameters
    ----------
    drawn
        OWNER.NAME, OWNER.NAME.between or OWNER.NAME.within → draws in internal units, all of the same number: of shape
        (draws, 1), all of which then have the same subjects, or one for each subject, (subjects,).
    """
    moved: dict[str, dict[str, Array]] = {}
    for key, values in drawn.items():
        owner, _, name = key.partition(".")
        for row in rows_named(experiment, owner, name):
            moved.setdefault(row, {})[part_of(name)[1]] = values
    records = row_records(experiment) if moved else {}
    found = {}
    for row, parts in moved.items():
        if row in records:
            record = records[row]
            z = standing(experiment.seed, row, subjects, parts.get("within", record.within))
            values = spread(record, parts.get("value", record.value), parts.get("between", record.between), z)
            found[row] = np.broadcast_to(values, np.broadcast_shapes(*(part.shape for part in parts.values()), (subjects,)))
    return found


def uncertain(experiment: Experiment, names: tuple[str, ...], values: Array, drawn: Mapping[str, Array]) -> Array:
    """A population in which subject i has the medians and spreads of draw i (from the first again after the last).

    Parameters
    ----------
    names, values
        Of the population at the library's values, shape (names, subjects).
    drawn
        As for `drawn_rows`. What the experiment itself states stays.
    """
    stated = {key.rpartition(".")[2] for key in experiment.overrides}
    subjects = values.shape[1]
    which = np.arange(subjects)
    each = {
        key: np.asarray(draws, dtype=np.float64)[which % len(draws)]
        for key, draws in drawn.items() if parameter_of(key) not in stated
    }
    found, at = values.copy(), {name: i for i, name in enumerate(names)}
    for row, made in drawn_rows(experiment, each, subjects).items():
        found[at[row]] = made
    return found
