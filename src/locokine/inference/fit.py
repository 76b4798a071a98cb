"""Calibration: prior batches, screening of what matters, refinement of the few parameters that do.

The objective is the negative logarithm of the posterior: half the squared standard normal coordinates of the prior
(`inference.prior`) minus the log-likelihoods of the rows. A stage draws a batch from the prior of every candidate, keeps
the parameters that the rows answer to, and refines those by an evolution strategy with covariance adaptation (Hansen
2016, arXiv 1604.00772), whose generations are run as one population of the engine. Everything is seeded, and every
evaluation is kept in a file, so that an interrupted calibration goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locokine.evidence.first_pass import FirstPass, Stage
from locokine.evidence.library import Observation
from locokine.evidence.trial import Trial
from locokine.inference.prior import Free, candidates, population_of, rows_of
from locokine.parameters.library import Library, load_library
from locokine.population.draw import stream
from locokine.scenario.experiment import Experiment
from locokine.scenario.load import load

Array = NDArray[np.float64]
COLUMNS = 256
"""Engine columns of one batch: bounds the memory of long follow-ups with many lesions."""
WORTH = 0.5
"""What moving parameters has to be worth, in units of log posterior: less, and they are put back."""
LIMIT = 2.5
"""Furthest a parameter may go from the median of its prior, in standard deviations."""


@dataclass(frozen=True)
class Scores:
    """Predictions and log-likelihoods of some draws: `predicted` and `log`, each of shape (rows, draws)."""

    predicted: Array
    log: Array

    @classmethod
    def joined(cls, parts: Sequence[Scores]) -> Scores:
        """Draws side by side."""
        return cls(np.concatenate([p.predicted for p in parts], 1), np.concatenate([p.log for p in parts], 1))


@dataclass
class Bench:
    """Runs rows for draws of parameters.

    Attributes
    ----------
    data
        Scenarios and rows.
    seed
        Of subjects, prior draws and search.
    threads
        Of the engine.
    moved
        Values that earlier stages have fitted; they replace those of the library.
    library
        The parameters, read once.
    """

    data: FirstPass
    seed: int = 1
    threads: int = 1
    moved: dict[Free, float] = field(default_factory=dict)
    library: Library = field(default_factory=load_library)
    _experiments: dict[str, Experiment] = field(default_factory=dict)

    def experiment(self, scenario: str) -> Experiment:
        """The experiment of a scenario, with the seed of the calibration."""
        if scenario not in self._experiments:
            self._experiments[scenario] = load(
                self.data.scenarios[scenario], seed=self.seed, library=self.library
            )
        return self._experiments[scenario]

    def score(self, rows: Sequence[str], free: Sequence[Free], z: Array, subjects: int) -> Scores:
        """Simulate rows for draws.

        Parameters
        ----------
        rows
            Names.
        free
            Parameters that move.
        z
            Shape (draws, free): their standard normal coordinates.
        subjects
            Subjects of each draw.

        Returns
        -------
        Scores
        """
        size = max(COLUMNS // subjects, 1)
        parts = [self._score(rows, free, z[i:i + size], subjects) for i in range(0, len(z), size)]
        return Scores.joined(parts)

    def _score(self, rows: Sequence[str], free: Sequence[Free], z: Array, subjects: int) -> Scores:
        draws = len(z)
        values = {item: np.full(draws, value) for item, value in self.moved.items()}
        values |= {item: item.at(z[:, i]) for i, item in enumerate(free)}
        trials: dict[str, Trial] = {}
        predicted, log = np.empty((len(rows), draws)), np.empty((len(rows), draws))
        for i, name in enumerate(rows):
            row = self.data.rows[name]
            read = []
            for group in row.groups:
                if group.scenario not in trials:
                    experiment = self.experiment(group.scenario)
                    people = population_of(experiment, values, draws, subjects)
                    trials[group.scenario] = Trial(experiment, people, self.threads)
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)  # all hosts of a draw dead: nan
                    read.append(row.read(trials[group.scenario], group).reshape(draws, subjects))
            predicted[i], log[i] = row.likelihood.predict(*read), row.likelihood.log(*read)
        return Scores(predicted, log)


class Store:
    """Evaluations that were made before, in a file of lines; None keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known: dict[str, list[list[float]]] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    key, *found = json.loads(line)
                except ValueError:  # the line that was being written when the run was killed
                    continue
                self.known[key] = found

    def get(self, key: str, make: Callable[[], Scores]) -> Scores:
        """The scores stored under `key`, else those that `make` returns, stored."""
        if key not in self.known:
            scores = make()
            found = [scores.predicted.tolist(), scores.log.tolist()]
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([key, *found]) + "\n")
            self.known[key] = found  # type: ignore[assignment]
        predicted, log = self.known[key]
        return Scores(np.array(predicted, dtype=np.float64), np.array(log, dtype=np.float64))


def key_of(*parts: Any) -> str:
    """Short hash of anything that is text, numbers and arrays."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        digest.update(b"|")
    return digest.hexdigest()[:24]


def normal_draws(seed: int, purpose: str, count: int) -> Array:
    """Standard normal numbers of a named stream, within the limits of the search."""
    from scipy.special import ndtri

    return np.clip(ndtri(stream(seed, purpose, count)), -LIMIT, LIMIT)


def prior_batch(free: Sequence[Free], count: int, seed: int) -> Array:
    """Coordinates of prior draws, shape (count, free): every parameter from its own stream."""
    if not free:
        return np.zeros((count, 0))
    return np.stack([normal_draws(seed, f"prior:{item.key}", count) for item in free], axis=1)


def influence(z: Array, scores: Scores) -> Array:
    """Absolute rank correlation of each parameter with each row's prediction, shape (parameters, rows)."""
    from scipy.stats import rankdata

    x = rankdata(z, axis=0)
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12)
    found = np.zeros((z.shape[1], len(scores.predicted)))
    for i, prediction in enumerate(scores.predicted):
        y = rankdata(np.nan_to_num(prediction, nan=-1e30, posinf=1e30, neginf=-1e30))
        if y.std() > 0.0:
            found[:, i] = np.abs(x.T @ ((y - y.mean()) / y.std())) / len(y)
    return found


def strongest(strength: Array, most: int, noise: float) -> list[int]:
    """The parameters to move: in turn the strongest not yet chosen of every row, while stronger than `noise`.

    Parameters
    ----------
    strength
        Shape (parameters, rows).
    most
        How many at most.
    """
    chosen: list[int] = []
    order = np.argsort(-strength, axis=0, kind="stable")
    for place in range(len(strength)):
        for row in range(strength.shape[1]):
            item = int(order[place, row])
            if len(chosen) < most and item not in chosen and strength[item, row] > noise:
                chosen.append(item)
    return sorted(chosen)


# --- evolution strategy ----------------------------------------------------------------------------------------------


@dataclass
class Evolution:
    """State of a covariance-adapting evolution strategy (standard constants of Hansen 2016).

    Attributes
    ----------
    mean, sigma, covariance
        Of the distribution that candidates are drawn from; `mean` of shape (n,).
    size
        Candidates a generation.
    """

    mean: Array
    sigma: float
    size: int
    covariance: Array = field(default_factory=lambda: np.zeros((0, 0)))
    path_c: Array = field(default_factory=lambda: np.zeros(0))
    path_s: Array = field(default_factory=lambda: np.zeros(0))
    generation: int = 0

    def __post_init__(self) -> None:
        n = len(self.mean)
        if self.covariance.size == 0:
            self.covariance = np.eye(n)
            self.path_c, self.path_s = np.zeros(n), np.zeros(n)

    def ask(self, normal: Array) -> Array:
        """Candidates from standard normal numbers, both of shape (size, n)."""
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 1e-12))
        return np.clip(self.mean + self.sigma * normal @ root.T, -LIMIT, LIMIT)

    def tell(self, x: Array, cost: Array) -> None:
        """Adapt mean, step and covariance to the costs of the candidates."""
        n, mu = len(self.mean), self.size // 2
        w = np.log(mu + 0.5) - np.log(np.arange(1, mu + 1))
        w /= w.sum()
        mueff = 1.0 / (w**2).sum()
        cc = (4.0 + mueff / n) / (n + 4.0 + 2.0 * mueff / n)
        cs = (mueff + 2.0) / (n + mueff + 5.0)
        c1 = 2.0 / ((n + 1.3) ** 2 + mueff)
        cmu = min(1.0 - c1, 2.0 * (mueff - 2.0 + 1.0 / mueff) / ((n + 2.0) ** 2 + mueff))
        damp = 1.0 + 2.0 * max(0.0, np.sqrt((mueff - 1.0) / (n + 1.0)) - 1.0) + cs
        usual = np.sqrt(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n))
        best = x[np.argsort(cost, kind="stable")[:mu]]
        steps = (best - self.mean) / self.sigma
        move = w @ steps
        values, vectors = np.linalg.eigh(self.covariance)
        whitened = vectors @ ((vectors.T @ move) / np.sqrt(np.maximum(values, 1e-12)))
        self.generation += 1
        self.path_s = (1.0 - cs) * self.path_s + np.sqrt(cs * (2.0 - cs) * mueff) * whitened
        length = np.linalg.norm(self.path_s)
        steady = length / np.sqrt(1.0 - (1.0 - cs) ** (2 * self.generation)) < (1.4 + 2.0 / (n + 1.0)) * usual
        self.path_c = (1.0 - cc) * self.path_c + steady * np.sqrt(cc * (2.0 - cc) * mueff) * move
        missing = (1.0 - steady) * cc * (2.0 - cc)
        self.covariance = (
            (1.0 - c1 - cmu + c1 * missing) * self.covariance
            + c1 * np.outer(self.path_c, self.path_c)
            + cmu * (steps.T * w) @ steps
        )
        self.mean = self.mean + self.sigma * move
        self.sigma = float(np.clip(self.sigma * np.exp((cs / damp) * (length / usual - 1.0)), 1e-3, 2.0))


# --- a stage ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fitted:
    """What a stage found.

    Attributes
    ----------
    stage
        Its name.
    values
        Free parameter → value.
    screened
        Parameter key → influence, all candidates, strongest first.
    before, after
        Row → (prediction, log-likelihood) with `check` subjects.
    cost_before, cost_after
        Negative log posterior of the search.
    evaluations
        Draws that were simulated.
    effective
        Prior draws that carry the likelihood (effective sample size of the prior batch).
    """

    stage: str
    values: dict[Free, float]
    screened: dict[str, float]
    before: dict[str, tuple[float, float]]
    after: dict[str, tuple[float, float]]
    cost_before: float
    cost_after: float
    evaluations: int
    effective: float


Tell = Callable[[str], None]


def fit_stage(
    bench: Bench, stage: Stage, store: Store | None = None, check: int = 64, tell: Tell = lambda text: None
) -> Fitted:
    """Fit one stage; `bench.moved` afterwards holds its values too.

    Parameters
    ----------
    bench
        Scenarios, rows, seed, and what earlier stages have moved.
    stage
        What to fit with how much computing.
    store
        Evaluations made before.
    check
        Subjects with which the rows are read before and after.
    tell
        Told what is happening, a line at a time.
    """
    store = store or Store(None)
    held = {item.key for item in bench.moved}
    free = [item for item in candidates(bench.library, stage.free, bench.data.fixed) if item.key not in held]
    free = [item for item in free if _plays(item, bench, stage)]
    base = key_of(stage.rows, stage.subjects, bench.seed, sorted((k.key, v) for k, v in bench.moved.items()))

    def evaluate(items: Sequence[Free], z: Array, subjects: int = stage.subjects) -> Scores:
        key = key_of(base, [item.key for item in items], z, subjects)
        return store.get(key, lambda: bench.score(stage.rows, items, z, subjects))

    tell(f"{stage.name}: {stage.prior} draws from the prior of {len(free)} parameters")
    z = prior_batch(free, stage.prior, bench.seed)
    parts = [evaluate(free, z[i:i + 64]) for i in range(0, stage.prior, 64)]
    prior = Scores.joined(parts)
    strength = influence(z, prior)
    chosen = strongest(strength, stage.most, 3.3 / np.sqrt(stage.prior))
    top = strength.max(axis=1, initial=0.0)
    kept = [free[i] for i in chosen]
    tell(f"{stage.name}: moving {', '.join(item.key for item in kept) or 'nothing: no parameter matters'}")
    before = evaluate([], np.zeros((1, 0)), check)
    best, cost, cost_before, used = _refine(bench, stage, kept, z[:, chosen], prior, evaluate, tell)
    if cost >= cost_before:
        best, cost = np.zeros(len(kept)), cost_before
    best = prune(best, lambda x: 0.5 * (x * x).sum(axis=1) - evaluate(kept, x).log.sum(axis=0))
    after = evaluate(kept, best[None], check)
    values = {item: float(item.at(best[i:i + 1])[0]) for i, item in enumerate(kept) if best[i] != 0.0}
    bench.moved.update(values)
    screened = {free[i].key: float(top[i]) for i in np.argsort(-top, kind="stable")}
    return Fitted(
        stage.name, values, screened, _read(stage, before), _read(stage, after), cost_before, cost,
        stage.prior + used, effective_size(prior.log.sum(axis=0)),
    )


def _plays(item: Free, bench: Bench, stage: Stage) -> bool:
    names = {bench.data.rows[name].scenario for name in stage.rows}
    return any(rows_of(item, bench.experiment(name)) for name in names)


def _read(stage: Stage, scores: Scores) -> dict[str, tuple[float, float]]:
    return {
        name: (float(scores.predicted[i, 0]), float(scores.log[i, 0])) for i, name in enumerate(stage.rows)
    }


def _refine(
    bench: Bench, stage: Stage, kept: Sequence[Free], z: Array, prior: Scores,
    evaluate: Callable[..., Scores], tell: Tell,
) -> tuple[Array, float, float, int]:
    """Search from the best of the prior draws; returns coordinates, their cost, the cost at 0, evaluations."""
    n = len(kept)
    start = evaluate([], np.zeros((1, 0)))
    cost_before = -float(start.log.sum())
    if n == 0:
        return np.zeros(0), cost_before, cost_before, 0
    size = 8 * max(2, int(np.ceil((4 + 3 * np.log(n)) / 8.0)) + 1)
    elite = np.argsort(-(prior.log.sum(axis=0) - 0.5 * (z * z).sum(axis=1)), kind="stable")[:max(size // 4, 4)]
    mean = z[elite].mean(axis=0)  # the others averaged out
    search = Evolution(mean, 0.6, size)
    best, cost = np.zeros(n), cost_before
    for generation in range(stage.generations):
        normal = normal_draws(bench.seed, f"search:{stage.name}:{generation}", size * n).reshape(size, n)
        x = search.ask(normal)
        x[0] = search.mean if generation else 0.0
        x = np.clip(x, -LIMIT, LIMIT)
        costs = 0.5 * (x * x).sum(axis=1) - evaluate(kept, x).log.sum(axis=0)
        search.tell(x, costs)
        if costs.min() < cost:
            best, cost = x[costs.argmin()].copy(), float(costs.min())
        place = f"{stage.name}: generation {generation + 1} of {stage.generations}"
        tell(f"{place}, cost {cost:.2f} (was {cost_before:.2f})")
    return best, cost, cost_before, size * stage.generations + 1


def prune(best: Array, cost: Callable[[Array], Array]) -> Array:
    """Put the least moved parameters back to the library's value, as many as cost no more than `WORTH` together."""
    order = np.argsort(np.abs(best), kind="stable")
    trials = np.repeat(best[None], len(best) + 1, axis=0)
    for k in range(len(best)):
        trials[k + 1:, order[k]] = 0.0
    costs = cost(trials)
    return trials[np.flatnonzero(costs <= costs[0] + WORTH)[-1]]


def effective_size(log: Array) -> float:
    """Effective number of prior draws under weights exp(log)."""
    w = np.exp(log - log.max())
    return float(w.sum() ** 2 / (w * w).sum())


def score_rows(
    bench: Bench, rows: Sequence[str], values: Mapping[Free, float], subjects: int
) -> Iterator[tuple[Observation, float, float]]:
    """Row, prediction and log-likelihood at the given values, one row after another."""
    held, bench.moved = bench.moved, dict(values)
    try:
        scores = bench.score(rows, [], np.zeros((1, 0)), subjects)
    finally:
        bench.moved = held
    for i, name in enumerate(rows):
        yield bench.data.rows[name], float(scores.predicted[i, 0]), float(scores.log[i, 0])
