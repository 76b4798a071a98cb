"""The scoreboard: every observation beside what the model predicts for a study like it.

Experiments that share a scenario share its simulations. Parameters come from a `Source`: the values of the library with
their spread between subjects, draws of the prior, or draws of a posterior (`inference.draws`). Where a paper's unit is
uncertain, doses are given at three quantiles of what that unit may be, so that this is part of the interval.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from locokine.errors import InputError
from locokine.evidence.library import Evidence, Group, Observation
from locokine.evidence.likelihood import Likelihood
from locokine.evidence.predictive import Predictive, baseline, predict
from locokine.evidence.trial import Trial, scaled
from locokine.outcome.summary import exact_interval
from locokine.parameters.library import Library, load_library
from locokine.parameters.reading import suggest
from locokine.population.draw import Population, draw
from locokine.scenario.experiment import Experiment
from locokine.units import unit_factor

Array = NDArray[np.float64]
Progress = Callable[[int, int, str], None]
COLUMNS = 256
"""Engine columns of one batch: bounds the memory of long follow-ups with many lesions."""
STRATA = (-0.9674215661017012, 0.0, 0.9674215661017012)
"""Standard normal quantiles (1/6, 1/2, 5/6) at which an uncertain dose is given."""
NORMAL_95 = 1.959963984540054


class Source(Protocol):
    """Where parameters come from."""

    @property
    def count(self) -> int:
        """How many draws of the parameters there are."""
        ...

    def population(self, experiment: Experiment, draws: Sequence[int], subjects: int) -> Population:
        """Subjects of the first of these draws, then those of the second, and so on."""
        ...


@dataclass(frozen=True)
class Spread:
    """The values of the library; subjects differ by the records' spread between subjects."""

    count: int = 1

    def population(self, experiment: Experiment, draws: Sequence[int], subjects: int) -> Population:
        """The subjects of the library."""
        return draw(experiment, subjects)


@dataclass(frozen=True)
class Score:
    """One observation against its prediction.

    Attributes
    ----------
    observation
        What was seen.
    observed
        Value, and its 95 % interval; for a bound the known side (the other end is nan where there is none).
    predicted
        Predictive distribution of the study.
    baseline
        Log score of the mean of its class; None where nothing can be compared.
    """

    observation: Observation
    observed: tuple[float, float, float]
    predicted: Predictive
    baseline: float | None

    @property
    def agrees(self) -> bool:
        """The value lies in the 90 % predictive interval; a bound or ordering holds in half of the studies or more."""
        if self.observation.likelihood.kind in ("bound", "ordering"):
            return self.predicted.satisfied >= 0.5
        return bool(self.predicted.low <= self.observed[0] <= self.predicted.high)

    @property
    def width(self) -> float:
        """Width of the predictive interval."""
        return self.predicted.high - self.predicted.low

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON of `locokine validate`."""
        def interval(value: float, low: float, high: float) -> dict[str, float | None]:
            return {"value": _finite(value), "low": _finite(low), "high": _finite(high)}

        p = self.predicted
        return {
            "id": self.observation.name, "use": self.observation.use, "observed": interval(*self.observed),
            "predicted": interval(p.value, p.low, p.high), "agrees": self.agrees, "width": _finite(self.width),
            "log_score": p.log_score, "baseline_log_score": self.baseline,
        }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


@dataclass(frozen=True)
class Scoreboard:
    """All scores, and the experiments that cannot be run yet with what is missing.

    Attributes
    ----------
    library_hash
        Digest of the parameters.
    scores
        In the order of the files.
    waiting
        Observation → what the library lacks.
    """

    library_hash: str
    scores: tuple[Score, ...]
    waiting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def coverage(self) -> float | None:
        """Share of experiments that agree."""
        return float(np.mean([score.agrees for score in self.scores])) if self.scores else None

    @property
    def total(self) -> tuple[float, float, int]:
        """Mean log score, that of the baseline in the same experiments, and how many have a baseline."""
        both = [(s.predicted.log_score, s.baseline) for s in self.scores if s.baseline is not None]
        if not both:
            return float("nan"), float("nan"), 0
        ours, theirs = np.array(both, dtype=np.float64).T
        return float(ours.mean()), float(theirs.mean()), len(both)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `locokine validate`."""
        return {
            "library_hash": self.library_hash, "experiments": [score.to_dict() for score in self.scores],
            "coverage": self.coverage,
        }


def score(
    evidence: Evidence, chosen: Sequence[Observation] | None = None, *, source: Source | None = None,
    subjects: int = 48, seed: int = 1, threads: int = 1, library: Library | None = None, progress: Progress | None = None,
) -> Scoreboard:
    """Run experiments and compare.

    Parameters
    ----------
    evidence, chosen
        All that was read, and which observations to run (all without).
    source
        Of the parameters; the library's values without.
    subjects
        Of each draw.
    seed, threads
        Of subjects and replicates; of the engine.
    library
        Instead of the built-in one.
    progress
        Called as `progress(done, scenarios, next scenario)`.

    Raises
    ------
    InputError
        If a scenario cannot be loaded for another reason than a planned entry that is missing.
    """
    library = library or load_library()
    source = source or Spread()
    wanted = list(evidence.observations.values()) if chosen is None else list(chosen)
    waiting = {item.name: _missing(item, evidence, library) for item in wanted}
    ready = [item for item in wanted if not waiting[item.name]]
    values = _simulate(ready, evidence, source, subjects, seed, threads, library, progress)
    scores = []
    for item in ready:
        read = [values[_key(item, group)] for group in item.groups]
        predicted = predict(item.likelihood, read[0], read[1] if len(read) > 1 else None, seed, item.name)
        scores.append(Score(item, _observed(item.likelihood), predicted, _baseline(item, evidence)))
    return Scoreboard(library.digest, tuple(scores), {name: lacks for name, lacks in waiting.items() if lacks})


def _missing(item: Observation, evidence: Evidence, library: Library) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lack for group in item.groups for lack in evidence.missing(group, library)))


# --- simulation ------------------------------------------------------------------------------------------------------

Setting = tuple[str, tuple[tuple[str, bool], ...], tuple[tuple[str, str], ...], tuple[float, float]]
Reading = tuple[Setting, str, str, tuple[tuple[str, Any], ...]]


def _key(item: Observation, group: Group) -> Reading:
    setting = (group.scenario, group.switches, group.overrides, item.factor)
    return setting, group.arm, item.observable, tuple(sorted(item.at.items()))


def _simulate(
    ready: Sequence[Observation], evidence: Evidence, source: Source, subjects: int, seed: int, threads: int,
    library: Library, progress: Progress | None,
) -> dict[Reading, Array]:
    """Numbers per subject of everything that is read; each of shape (draws, subjects)."""
    settings: dict[Setting, dict[Reading, tuple[Observation, Group]]] = {}
    for item in ready:
        for group in item.groups:
            key = _key(item, group)
            settings.setdefault(key[0], {})[key] = (item, group)
    found: dict[Reading, Array] = {}
    for number, (setting, readings) in enumerate(settings.items()):
        if progress:
            progress(number, len(settings), setting[0])
        item, group = next(iter(readings.values()))
        experiment = _experiment(evidence, item, group, seed, library)
        _check_settings(readings, experiment)
        parts: dict[Reading, list[Array]] = {key: [] for key in readings}
        for factor, draws in _plan(item.factor, source.count, max(COLUMNS // subjects, 1)):
            people = source.population(experiment, draws, subjects)
            trial = Trial(scaled(experiment, factor), people, threads)
            for key, (reader, place) in readings.items():
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)  # all hosts dead: nan
                    parts[key].append(reader.read(trial, place).reshape(len(draws), subjects))
        found |= {key: np.concatenate(part) for key, part in parts.items()}
    return found


def _experiment(evidence: Evidence, item: Observation, group: Group, seed: int, library: Library) -> Experiment:
    """The experiment of a group; errors name the file of the observation where they do not name that of a scenario."""
    try:
        return evidence.experiment(group, seed, library)
    except InputError as error:
        if error.place.startswith(group.scenario) or ".yaml" in error.place:
            raise
        raise InputError(f"{item.place}, {error.place}", error.problem, error.remedy) from None


def _check_settings(readings: Mapping[Reading, tuple[Observation, Group]], experiment: Experiment) -> None:
    """Lesion and day of what is read must exist in the scenario."""
    lesions = [plan.name for plan in experiment.protocol.lesions]
    last = experiment.protocol.follow_up / 24.0
    for item, _ in readings.values():
        if "lesion" in item.at and item.at["lesion"] not in lesions:
            problem = f"the scenario has no lesion '{item.at['lesion']}'"
            raise InputError(f"{item.place}, at.lesion", problem, suggest(str(item.at["lesion"]), lesions))
        if float(item.at.get("day", 0.0)) > last:
            problem = f"day {item.at['day']:g} is after the end of the scenario (day {last:g})"
            raise InputError(f"{item.place}, at.day", problem, "lengthen follow-up, or read earlier")


def _plan(factor: tuple[float, float], count: int, most: int) -> list[tuple[float, list[int]]]:
    """Dose factor and draws of each batch: uncertain doses are spread over the draws (over copies of them if few)."""
    if factor == (0.0, 0.0):
        parts = [(1.0, list(range(count)))]
    else:
        doses = [float(np.exp(z * factor[0 if z < 0.0 else 1])) for z in STRATA]
        every = len(doses) if count >= len(doses) else 1
        parts = [(dose, list(range(k if every > 1 else 0, count, every))) for k, dose in enumerate(doses)]
    return [(dose, draws[i:i + most]) for dose, draws in parts for i in range(0, len(draws), most)]


# --- what was observed -----------------------------------------------------------------------------------------------


def _observed(like: Likelihood) -> tuple[float, float, float]:
    """Observed value with its 95 % interval, in the row's unit."""
    if like.kind == "binomial":
        n = max(round(like.hosts), 1)
        found = exact_interval(round(like.value / 100.0 * n), n)
        return like.value, 100.0 * found.low, 100.0 * found.high
    if like.kind == "lognormal":
        fold = float(np.exp(NORMAL_95 * like.spread))
        return like.value, like.value / fold, like.value * fold
    if like.kind == "normal":
        return like.value, like.value - NORMAL_95 * like.spread, like.value + NORMAL_95 * like.spread
    low, high = like.above, like.below
    if like.share and like.kind == "bound":
        low, high = max(low, 0.0), min(high, 100.0)
    return like.value, low, high


def _baseline(item: Observation, evidence: Evidence) -> float | None:
    """Log score of the mean of the class: the other data sets of the same group of observables."""
    like, group = item.likelihood, item.measure.group
    others = [
        other for other in evidence.observations.values()
        if other.measure.group == group and other.against is None and other.name != item.name
    ]
    shares = [other.likelihood.value / 100.0 for other in others if other.likelihood.kind == "binomial"]
    if item.against is not None:
        return baseline(like, (), ())
    base = np.log(unit_factor(item.unit))
    means = [
        float(np.log(other.likelihood.value * unit_factor(other.unit)) - base)
        for other in others
        if other.likelihood.kind == "lognormal"
    ]
    return baseline(like, means, shares)


__all__ = ["Score", "Scoreboard", "Source", "Spread", "score"]
