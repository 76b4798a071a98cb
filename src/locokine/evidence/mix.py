"""The rate of objective responses to local IL-2 over a listed, weighted mix of animal tumours (`mix.yaml`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from locokine.errors import InputError
from locokine.evidence import responses
from locokine.evidence.library import Evidence, read_evidence
from locokine.evidence.trial import Trial
from locokine.parameters.library import Library
from locokine.parameters.reading import plain, read_yaml
from locokine.population.draw import draw
from locokine.scenario.load import load
from locokine.scenario.protocol import CAVITIES

MIX = Path(__file__).with_name("mix.yaml")
DRAWS = 20_000
"""Of the interval."""


@dataclass(frozen=True)
class Tumour:
    """One tumour of the mix: what it is called, the scenario and arm that treat it, its weight, rows of evidence."""

    name: str
    scenario: str
    arm: str
    weight: float
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Responded:
    """How many of `n` hosts with a tumour responded: best response complete or partial, or (in expectation) cured.

    `measured` leaves out the cured whose best response was neither, or could not be judged.
    """

    tumour: Tumour
    responses: float
    n: int
    measured: float = 0.0


@dataclass(frozen=True)
class MixRate:
    """The weighted rate with its 95 % interval (sampling of hosts only), and what it is made of."""

    value: float
    low: float
    high: float
    parts: tuple[Responded, ...]
    measured: float
    """The same without the cured whose best response was neither complete nor partial, or could not be judged."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and numbers, ready for JSON."""
        return asdict(self)


def read_mix(path: Path = MIX) -> tuple[Tumour, ...]:
    """Read a list of tumours.

    Raises
    ------
    InputError
        If the file cannot be read, or a tumour lacks a part or has a weight that is not above 0.
    """
    listed = plain(read_yaml(path.read_text(encoding="utf-8"), str(path))).get("tumours", [])
    found = []
    for index, item in enumerate(listed):
        place = f"{path}, tumours[{index}]"
        wanted = {"name", "scenario", "arm", "weight", "rows"}
        if not isinstance(item, dict) or set(item) != wanted:
            raise InputError(place, "is not understood", f"write {', '.join(sorted(wanted))}")
        weight = item["weight"]
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0.0 < weight < float("inf"):
            raise InputError(f"{place}.weight", f"{weight!r} is not a number above 0", "write e.g. 1")
        found.append(Tumour(str(item["name"]), item["scenario"], str(item["arm"]), float(weight), tuple(item["rows"])))
    if not found:
        raise InputError(str(path), "there is no tumour in it", "list some under 'tumours'")
    return tuple(found)


def weighted_rate(parts: tuple[Responded, ...], seed: int = 1) -> MixRate:
    """Weighted mean of the rates, and its interval from posteriors of each rate (Jeffreys' prior, independent)."""
    weights = np.array([part.tumour.weight for part in parts])
    weights = weights / weights.sum()
    hits, n = np.array([part.responses for part in parts]), np.array([float(part.n) for part in parts])
    random = np.random.Generator(np.random.Philox(seed))
    drawn = random.beta(hits + 0.5, n - hits + 0.5, (DRAWS, len(parts))) @ weights
    low, high = np.quantile(drawn, (0.025, 0.975))
    measured = float(weights @ (np.array([part.measured for part in parts]) / n))
    return MixRate(float(weights @ (hits / n)), float(low), float(high), parts, measured)


def run_mix(
    subjects: int = 48, threads: int = 1, seed: int = 1, library: Library | None = None, evidence: Evidence | None = None,
    progress: Callable[[int, int, str], None] = lambda *_: None,
) -> MixRate:
    """Treat every tumour of the mix in `subjects` hosts with the values of the library and their spread.

    Raises
    ------
    InputError
        If the list names a scenario or an arm that is not there.
    """
    known = {Path(key).stem: source for key, source in (evidence or read_evidence()).scenarios.items()}
    parts, mix = [], read_mix()
    for index, tumour in enumerate(mix):
        progress(index, len(mix), tumour.name)
        if tumour.scenario not in known:
            raise InputError(str(MIX), f"there is no scenario '{tumour.scenario}'", f"known: {', '.join(sorted(known))}")
        experiment = load(known[tumour.scenario], subjects=subjects, seed=seed, library=library)
        if tumour.arm not in [arm.name for arm in experiment.protocol.arms]:
            raise InputError(str(MIX), f"'{tumour.scenario}' has no arm '{tumour.arm}'", "name an arm of the scenario")
        trial = Trial(experiment, draw(experiment), threads)
        fluid = all(plan.site in CAVITIES for plan in experiment.protocol.lesions)
        hits = seen = responses.cured(trial, tumour.arm, {})
        if not fluid:  # the cured count where the visits have nothing to measure at the first dose, or swelling hides it
            seen = responses.objective_response(trial, tumour.arm, {})
            hits = np.maximum(hits, seen)
        parts.append(Responded(tumour, float(np.sum(hits)), subjects, float(np.sum(seen))))
    return weighted_rate(tuple(parts))
