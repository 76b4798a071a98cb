"""How many subjects per arm a trial needs to see a difference that the model predicts.

Both arms are simulated once in a large pool of subjects; trials are then drawn from it. For shares the power of Fisher's
exact test is worked out by adding up the probabilities of all tables that reject, without simulation; for survival
(log-rank test) and quantities (Mann–Whitney test) it is counted over many drawn trials. What is not known enters as
draws: the pool is finite, and the parameters have ranges; the mean of the power over them is what a planner may expect
(assurance: O'Hagan, Stevens and Campbell 2005, doi:10.1002/pst.175).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from locokine.errors import InputError
from locokine.inference.draws import PosteriorDraws, drawn_from, parameter_draws
from locokine.inference.ensemble import evaluate
from locokine.inference.ledger import Ledger, identity
from locokine.inference.prior import population_of
from locokine.outcome.endpoints import endpoint
from locokine.scenario.experiment import Experiment

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Progress = Callable[[int, int, str], None]
SIZES = (3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200)
"""Subjects per arm that are looked at."""
TRIALS = 400
"""Trials drawn for one size where power is counted: its standard error is at most 2.5 points."""
CHANCE = 200
"""Draws of the shares that the finite pool allows."""
DIED = "died"


@dataclass(frozen=True)
class Power:
    """Power by size.

    Attributes
    ----------
    experiment, arm, reference, outcome, test
        What is compared, and how.
    means
        Outcome of the arm and of the reference at the library's values: shares, means, or mean survival in days.
    table
        size, power (at the library's values), expected (mean over what is not known), low, high (5 and 95 %).
    size
        Smallest size whose expected power, and that of all larger ones, reaches `target`; None if none does.
    """

    experiment: str
    arm: str
    reference: str
    outcome: str
    test: str
    means: tuple[float, float]
    table: pd.DataFrame
    size: int | None
    target: float
    alpha: float
    dropout: float
    subjects: int
    draws: int
    facts: dict[str, Any] = field(default_factory=dict)

    def sentence(self) -> str:
        """The answer in words."""
        name = self.outcome.replace("_", " ")
        here, there = (self._text(value) for value in self.means)
        start = (
            f"To see the difference in {name} between {self.arm} ({here}) and {self.reference} ({there}) with a "
            f"probability of {100 * self.target:.0f} % at a two-sided level of {100 * self.alpha:g} % ({self.test})"
        )
        lost = f", allowing for {100 * self.dropout:g} % drop-out" if self.dropout else ""
        if self.size is None:
            return f"{start}{lost}, even {self.table['size'].to_numpy().max()} subjects per arm are too few."
        return f"{start}{lost}, {self.size} subjects per arm are needed."

    def _text(self, value: float) -> str:
        kind, unit = endpoint(self.outcome).kind, endpoint(self.outcome).unit
        return f"{100 * value:.0f} %" if kind == "share" else f"{value:.3g}" + ("" if unit == "1" else f" {unit}")


def power(
    experiment: Experiment,
    arm: str,
    reference: str,
    outcome: str = "response",
    target: float = 0.8,
    alpha: float = 0.05,
    dropout: float = 0.0,
    draws: int = 0,
    sizes: Sequence[int] = SIZES,
    out: Path | None = None,
    threads: int = 1,
    force: bool = False,
    progress: Progress | None = None,
    posterior: PosteriorDraws | None = None,
) -> Power:
    """Subjects per arm to see a difference.

    Parameters
    ----------
    experiment
        Its subjects are the pool.
    arm, reference
        What is compared.
    outcome
        End point. A share is tested by Fisher's exact test, survival by the log-rank test, a quantity by the
        Mann–Whitney test; all two-sided.
    target, alpha
        Wanted power and level.
    dropout
        Share of subjects that are lost. Lost subjects count as not having responded (intention to treat), are censored
        at a random day (survival), or are left out (quantities).
    draws
        Draws of all parameters from their priors.
    sizes
        Subjects per arm to look at.
    out, threads, force, progress, posterior
        As for `explain`.

    Raises
    ------
    InputError
        For an unknown outcome, numbers out of range, or the same arm twice.
    """
    item = endpoint(outcome)
    _check(target, alpha, dropout, draws, sizes, arm, reference, experiment.subjects)
    facts = identity("power", experiment, arm=arm, against=reference, outcome=outcome, draws=draws, **drawn_from(posterior))
    ledger = Ledger(out, facts, force)
    names = (outcome, *((DIED,) if item.kind == "time" else ()))
    pools = [
        _pool(experiment, name, names, draws, ledger, threads, progress, i, posterior)
        for i, name in enumerate((arm, reference))
    ]
    if progress:
        total = 2 * experiment.subjects * (1 + draws)
        progress(total, total, "trials")
    sizes = sorted(set(sizes))
    if item.kind == "share":
        test, table = "Fisher's exact test", _share_table(pools, outcome, sizes, alpha, dropout, experiment.seed)
    else:
        test = "log-rank test" if item.kind == "time" else "Mann–Whitney test"
        follow_up = experiment.protocol.follow_up / 24.0
        table = _counted_table(pools, outcome, sizes, alpha, dropout, experiment.seed, follow_up)
    means = tuple(float(pool[outcome][0].mean()) for pool in pools)
    size = smallest(table, target)
    if size is not None and item.kind == "share":  # the sizes between those looked at
        below = max([s for s in sizes if s < size], default=1)
        between = _share_table(pools, outcome, range(below + 1, size + 1), alpha, dropout, experiment.seed)
        size = smallest(between, target) or size
    return Power(
        experiment.name, arm, reference, outcome, test, (means[0], means[1]), table, size, target, alpha, dropout,
        experiment.subjects, draws, facts,
    )


def smallest(table: pd.DataFrame, target: float) -> int | None:
    """Smallest size from which on the expected power stays at or above `target`."""
    good = (table["expected"] >= target).to_numpy()[::-1]
    last = int(np.argmin(good)) if not good.all() else len(good)
    return int(table["size"].iloc[len(good) - last]) if last else None


def _check(
    target: float, alpha: float, dropout: float, draws: int, sizes: Sequence[int], arm: str, reference: str, pool: int
) -> None:
    for option, value, low, high in (
        ("--power", target, 0.0, 1.0), ("--alpha", alpha, 0.0, 1.0), ("--drop-out", dropout, -1e-12, 1.0)
    ):
        if not low < value < high:
            raise InputError(option, f"{value:g} is not a share between 0 and 1", "write for example 0.2")
    if draws < 0:
        raise InputError("--draws", f"{draws} is not a number of draws", "use 0 or more")
    if arm == reference:
        raise InputError("--against", f"'{arm}' cannot be compared with itself", "name another arm")
    if not sizes or min(sizes) < 2 or max(sizes) > 1000:
        raise InputError("--sizes", "subjects per arm must lie between 2 and 1000", "write for example 5,10,20,40")
    if pool < 20:
        raise InputError("--subjects", f"a pool of {pool} subjects says too little", "use 20 or more, better 200")


def _pool(
    experiment: Experiment, arm: str, names: Sequence[str], draws: int, ledger: Ledger, threads: int,
    progress: Progress | None, place: int, posterior: PosteriorDraws | None = None,
) -> dict[str, Array]:
    """Outcomes of an arm, shape (1 + draws, subjects) each: the library first."""
    count = 1 + draws
    values = parameter_draws(experiment, count, posterior) if draws else {}
    parts = []
    for draw in range(count):
        if progress:
            done = experiment.subjects * (place * count + draw)
            progress(done, 2 * experiment.subjects * count, arm)

        def make() -> dict[str, Array]:
            one = {free: value[draw:draw + 1] for free, value in values.items()}  # noqa: B023
            return evaluate(experiment, arm, population_of(experiment, one, 1, experiment.subjects), names, 1, threads)

        parts.append(ledger.get(f"{arm}/{draw}", make))
    return {name: np.concatenate([np.atleast_2d(part[name]) for part in parts]) for name in names}


# --- shares ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def rejected(size: int, alpha: float) -> NDArray[np.bool_]:
    """Which tables Fisher's exact test rejects: shape (size + 1, size + 1), hits of the two arms of `size` subjects."""
    from scipy.stats import hypergeom

    found = np.zeros((size + 1, size + 1), dtype=bool)
    for hits in range(2 * size + 1):
        x = np.arange(max(hits - size, 0), min(hits, size) + 1)
        chance = hypergeom.pmf(x, 2 * size, size, hits)
        # two-sided as usual: all tables that are no more likely than the one seen
        p = np.array([chance[chance <= value * (1.0 + 1e-7)].sum() for value in chance])
        found[x, hits - x] = p <= alpha
    return found


def exact_power(first: Array, second: Array, size: int, alpha: float) -> Array:
    """Power of Fisher's exact test for true shares of the two arms (arrays of the same shape (n,))."""
    from scipy.stats import binom

    hits = np.arange(size + 1)
    one, two = (binom.pmf(hits, size, np.asarray(share)[:, None]) for share in (first, second))
    return np.einsum("ni,ij,nj->n", one, rejected(size, alpha).astype(np.float64), two)


def _share_table(
    pools: Sequence[dict[str, Array]], outcome: str, sizes: Sequence[int], alpha: float, dropout: float, seed: int
) -> pd.DataFrame:
    import pandas as pd

    random = np.random.default_rng(seed)
    known, unknown = [], []
    for pool in pools:
        values = pool[outcome]
        draws, n = values.shape
        hits = values.sum(axis=1)
        each = hits if draws == 1 else hits[1:]
        chosen = np.resize(each, max(CHANCE, len(each)))
        # Jeffreys' posterior of a share of which `hits` of `n` were seen
        unknown.append(random.beta(chosen + 0.5, n - chosen + 0.5) * (1.0 - dropout))
        known.append(np.array([hits[0] / n]) * (1.0 - dropout))
    rows = []
    for size in sizes:
        at = float(exact_power(known[0], known[1], size, alpha)[0])
        over = exact_power(unknown[0], unknown[1], size, alpha)
        rows.append((size, at, float(over.mean()), *map(float, np.quantile(over, (0.05, 0.95)))))
    return pd.DataFrame(rows, columns=["size", "power", "expected", "low", "high"])


# --- survival and quantities -----------------------------------------------------------------------------------------


def _counted_table(
    pools: Sequence[dict[str, Array]], outcome: str, sizes: Sequence[int], alpha: float, dropout: float, seed: int,
    follow_up: float,
) -> pd.DataFrame:
    import pandas as pd
    from scipy.stats import binomtest

    draws = pools[0][outcome].shape[0]
    rows = []
    for size in sizes:
        random = np.random.default_rng([seed, size])
        hits = np.zeros((draws, 2))  # rejected, drawn
        for number in range(TRIALS if draws == 1 else 2 * TRIALS):
            draw = 0 if draws == 1 or number < TRIALS else 1 + number % (draws - 1)
            arms = [_trial(pool, outcome, draw, size, dropout, follow_up, random) for pool in pools]
            hits[draw] += (_p_value(arms) <= alpha, 1.0)
        share = hits[:, 0] / hits[:, 1]
        if draws == 1:
            band = binomtest(int(hits[0, 0]), int(hits[0, 1])).proportion_ci(0.9, method="exact")
            rows.append((size, share[0], share[0], float(band.low), float(band.high)))
        else:
            rows.append((size, share[0], share[1:].mean(), *map(float, np.quantile(share[1:], (0.05, 0.95)))))
    return pd.DataFrame(rows, columns=["size", "power", "expected", "low", "high"])


def _trial(
    pool: dict[str, Array], outcome: str, draw: int, size: int, dropout: float, follow_up: float,
    random: np.random.Generator,
) -> tuple[Array, Array | None]:
    """Values (and deaths) of one arm of one trial."""
    chosen = random.integers(0, pool[outcome].shape[1], size)
    values = pool[outcome][draw, chosen]
    lost = random.random(size) < dropout
    if DIED not in pool:
        kept = values[~lost]
        return kept[~np.isnan(kept)], None
    died = pool[DIED][draw, chosen] > 0.5
    leaves = np.where(lost, random.random(size) * follow_up, np.inf)
    return np.minimum(values, leaves), np.asarray(died & (values <= leaves), dtype=np.float64)


def _p_value(arms: Sequence[tuple[Array, Array | None]]) -> float:
    from scipy.stats import mannwhitneyu

    from locokine.trial.statistics import log_rank

    (one, died), (two, died_two) = arms
    if died is not None and died_two is not None:
        found = log_rank(one, died, two, died_two).p
        return 1.0 if np.isnan(found) else found
    if len(one) < 2 or len(two) < 2:
        return 1.0
    return float(mannwhitneyu(one, two).pvalue)
