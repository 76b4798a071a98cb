"""Which observations the first-pass calibration fits, in which stages, and what may move.

The stages stand in `first_pass.yaml` beside this file; the observations are those of the library of evidence.
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
class Stage:
    """Rows that are fitted together, the scopes whose values may move, and how much computing it is worth."""

    name: str
    rows: tuple[str, ...]
    free: tuple[str, ...]
    most: int
    subjects: int
    prior: int
    generations: int


@dataclass(frozen=True)
class FirstPass:
    """Scenarios by name (what `scenario.load` reads), rows, stages, names never moved, digest of the evidence."""

    scenarios: Mapping[str, Path | Mapping[str, Any]]
    rows: Mapping[str, Observation]
    stages: tuple[Stage, ...]
    fixed: frozenset[str]
    digest: str


@lru_cache(maxsize=4)
def first_pass(path: Path = FILE) -> FirstPass:
    """Read the stages, and the observations and scenarios that they name.

    Raises
    ------
    InputError
        If a stage names an observation that does not exist or must not be fitted.
    """
    tree = plain(read_yaml(read_file(path), path.name))
    evidence = read_evidence()
    stages = []
    for name, raw in tree["stages"].items():
        for row in raw["rows"]:
            _fitted(f"stages.{name}", row, evidence.observations)
        counts = [int(raw[key]) for key in ("most", "subjects", "prior", "generations")]
        stages.append(Stage(name, tuple(raw["rows"]), tuple(raw["free"]), *counts))
    rows = {row: evidence.observations[row] for stage in stages for row in stage.rows}
    scenarios = {group.scenario: evidence.scenarios[group.scenario] for row in rows.values() for group in row.groups}
    return FirstPass(scenarios, rows, tuple(stages), frozenset(tree["fixed"]), evidence.digest)


def _fitted(place: str, row: str, observations: Mapping[str, Observation]) -> None:
    if row not in observations:
        raise InputError(place, f"unknown row '{row}'", suggest(row, observations))
    item = observations[row]
    if item.use != "calibrate":
        raise InputError(place, f"'{row}' is for validation and is never fitted", "remove it")
    if any(group.switches or group.overrides for group in item.groups):
        raise InputError(place, f"'{row}' changes mechanisms or values of its scenario", "the first pass fits plain rows")
