"""Which observations the first-pass calibration fits, and what no calibration moves.

Both stand in `first_pass.yaml` beside this file; the observations are those of the library of evidence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from locokine.errors import InputError
from locokine.evidence.library import Observation, read_evidence
from locokine.parameters.reading import plain, read_file, read_yaml, suggest

FILE = Path(__file__).parent / "first_pass.yaml"


@dataclass(frozen=True)
class FirstPass:
    """Scenarios by name (what `scenario.load` reads), rows, and names that are never moved."""

    scenarios: Mapping[str, Path | Mapping[str, Any]]
    rows: Mapping[str, Observation]
    fixed: frozenset[str]


@lru_cache(maxsize=4)
def first_pass(path: Path = FILE) -> FirstPass:
    """Read the names, and the observations and scenarios that they stand for.

    Raises
    ------
    InputError
        If an observation does not exist or must not be fitted.
    """
    tree = plain(read_yaml(read_file(path), path.name))
    evidence = read_evidence()
    rows = {row: _fitted("rows", row, evidence.observations) for row in tree["rows"]}
    scenarios = {group.scenario: evidence.scenarios[group.scenario] for row in rows.values() for group in row.groups}
    return FirstPass(scenarios, rows, frozenset(tree["fixed"]))


def _fitted(place: str, row: str, observations: Mapping[str, Observation]) -> Observation:
    if row not in observations:
        raise InputError(place, f"unknown row '{row}'", suggest(row, observations))
    item = observations[row]
    if item.use != "calibrate":
        raise InputError(place, f"'{row}' is for validation and is never fitted", "remove it")
    return item
