"""The rows of the first-pass calibration: small typed records of what was done, what was seen, and how sure that is.

They are read from `library/first_pass.yaml`: published results of the evidence table, each with the scenario that
repeats the experiment, the observable that is compared, and its likelihood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from locokine.errors import InputError
from locokine.evidence.observables import OBSERVABLES
from locokine.parameters.reading import plain, read_file, read_yaml, suggest

Array = NDArray[np.float64]
FILE = Path(__file__).parent / "library" / "first_pass.yaml"
WORST = -50.0
"""Log-likelihood of a row whose observable does not exist (all hosts dead): bad, but finite."""
FAR = -10.0
"""Log-likelihood below which misfits count by their logarithm, so that one hopeless row does not drown the others."""


@dataclass(frozen=True)
class Likelihood:
    """How far a simulated group may be from what was observed.

    Attributes
    ----------
    kind
        "binomial" (a share of subjects), "lognormal" (geometric mean of subjects) or "normal" (mean of subjects).
    value
        Observed value in the row's unit (share in % for binomial rows).
    spread
        Standard deviation of the observed mean: of its logarithm (lognormal), in the row's unit (normal).
    successes, n
        Of the experiment (binomial).
    effective
        Independent subjects that n counts for (binomial).
    """

    kind: Literal["binomial", "lognormal", "normal"]
    value: float
    spread: float = float("nan")
    successes: float = float("nan")
    n: float = float("nan")
    effective: float = float("nan")

    def predict(self, subjects: Array) -> Array:
        """What the experiment would report, in the row's unit.

        Parameters
        ----------
        subjects
            Shape (draws, subjects): observable of every subject (for shares 0 to 1), nan where there is none.

        Returns
        -------
        ndarray
            Shape (draws,).
        """
        known = np.isfinite(subjects)
        count = known.sum(axis=1)
        values = np.where(known, subjects, 1.0 if self.kind == "lognormal" else 0.0)
        if self.kind == "lognormal":
            values = np.log(np.maximum(values, 1e-12))
        mean = values.sum(axis=1) / np.maximum(count, 1)
        if self.kind == "lognormal":
            mean = np.exp(mean)
        return np.where(count > 0, 100.0 * mean if self.kind == "binomial" else mean, np.nan)

    def log(self, subjects: Array) -> Array:
        """Log-likelihood of the observation for each draw, relative to that of a perfect prediction; shape (draws,).

        A share is estimated from so few simulated subjects that half a subject is added on either side: a group
        without a single event does not rule the event out.
        """
        predicted = self.predict(subjects)
        if self.kind == "binomial":
            count = np.isfinite(subjects).sum(axis=1)
            p = (predicted / 100.0 * count + 0.5) / (count + 1.0)
            seen = self.successes / self.n
            best = _entropy(seen, seen)
            found = self.effective * (_entropy(seen, p) - best)
        elif self.kind == "lognormal":
            found = -0.5 * (np.log(np.maximum(predicted, 1e-12) / self.value) / self.spread) ** 2
        else:
            found = -0.5 * ((predicted - self.value) / self.spread) ** 2
        far = FAR - 10.0 * np.log1p(np.maximum(FAR - found, 0.0) / 10.0)
        return np.where(np.isfinite(predicted), np.maximum(np.where(found < FAR, far, found), WORST), WORST)

    def text(self, unit: str) -> str:
        """The observation in words."""
        if self.kind == "binomial":
            eff = f", effective n {self.effective:g}" if self.effective != self.n else ""
            return f"{self.successes:g}/{self.n:g} ({self.value:.3g} %{eff})"
        shown = f" {unit}" if unit != "1" else ""
        if self.kind == "lognormal":
            return f"{self.value:g}{shown} (log-sd {self.spread:g})"
        return f"{self.value:g}{shown} (sd {self.spread:g})"


def _entropy(seen: float, p: Any) -> Any:
    """Expected log probability of one binary observation whose long-run share is `seen`, under probability `p`."""
    hit = seen * np.log(p) if seen > 0.0 else 0.0
    miss = (1.0 - seen) * np.log1p(-np.asarray(p)) if seen < 1.0 else 0.0
    return hit + miss


@dataclass(frozen=True)
class Row:
    """One published number.

    Attributes
    ----------
    name
        Row of the evidence table (a letter is added where a row gives several numbers).
    source
        Author, year and where it was printed.
    what
        What was measured, in words.
    scenario, arm
        Which simulated group repeats it.
    observable
        Name in `observables.OBSERVABLES`.
    unit
        Unit of the observable.
    likelihood
        What was seen, and how sure it is.
    note
        What was assumed.
    """

    name: str
    source: str
    what: str
    scenario: str
    arm: str
    observable: str
    unit: str
    likelihood: Likelihood
    note: str = ""


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
    """All of the file: scenarios by name (mappings that `scenario.load` reads), rows, stages, names never moved."""

    scenarios: Mapping[str, Mapping[str, Any]]
    rows: Mapping[str, Row]
    stages: tuple[Stage, ...]
    fixed: frozenset[str]


@lru_cache(maxsize=4)
def first_pass(path: Path = FILE) -> FirstPass:
    """Read rows, scenarios and stages.

    Raises
    ------
    InputError
        If a row names a scenario, arm, observable or likelihood that does not exist.
    """
    tree = plain(read_yaml(read_file(path), path.name))
    scenarios = tree["scenarios"]
    rows = {name: _row(name, raw, scenarios) for name, raw in tree["rows"].items()}
    stages = []
    for name, raw in tree["stages"].items():
        for row in raw["rows"]:
            if row not in rows:
                raise InputError(f"stages.{name}", f"unknown row '{row}'", suggest(row, rows))
        counts = [int(raw[key]) for key in ("most", "subjects", "prior", "generations")]
        stages.append(Stage(name, tuple(raw["rows"]), tuple(raw["free"]), *counts))
    return FirstPass(scenarios, rows, tuple(stages), frozenset(tree["fixed"]))


def _row(name: str, raw: Mapping[str, Any], scenarios: Mapping[str, Any]) -> Row:
    place = f"rows.{name}"
    if raw["scenario"] not in scenarios:
        raise InputError(place, f"unknown scenario '{raw['scenario']}'", suggest(raw["scenario"], scenarios))
    arms = scenarios[raw["scenario"]]["arms"]
    if raw["arm"] not in arms:
        raise InputError(place, f"unknown arm '{raw['arm']}'", suggest(raw["arm"], arms))
    if raw["observable"] not in OBSERVABLES:
        raise InputError(place, f"unknown observable '{raw['observable']}'", suggest(raw["observable"], OBSERVABLES))
    given = dict(raw["likelihood"])
    if given.get("kind") == "binomial":
        given.setdefault("effective", given["n"])
        given["value"] = 100.0 * given["successes"] / given["n"]
    elif given.get("kind") not in ("lognormal", "normal"):
        raise InputError(place, f"unknown likelihood '{given.get('kind')}'", "binomial, lognormal or normal")
    return Row(
        name, raw["source"], raw["what"], raw["scenario"], raw["arm"], raw["observable"], str(raw["unit"]),
        Likelihood(**given), raw.get("note", ""),
    )
