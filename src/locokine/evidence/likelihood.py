"""How far a simulated group may be from what was observed, and what a study of n hosts would have reported.

Five kinds. "binomial": a count of n hosts; "lognormal" and "normal": a mean of n hosts with its error; "bound": one side
is known ("over 40 %"); "ordering": one group above another. The last four may compare two groups, by their difference
or their ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kind = Literal["binomial", "lognormal", "normal", "bound", "ordering"]
KINDS: tuple[Kind, ...] = ("binomial", "lognormal", "normal", "bound", "ordering")
WORST = -50.0
"""Log-likelihood of a row whose observable does not exist (all hosts dead): bad, but finite."""
FAR = -10.0
"""Log-likelihood below which misfits count by their logarithm, so that one hopeless row does not drown the others."""
TINY = 1e-12


@dataclass(frozen=True)
class Likelihood:
    """What was seen, and how sure that is.

    Attributes
    ----------
    kind
        See the module.
    value
        Observed value in the row's unit (share in % for counts).
    spread
        Standard deviation of the observed mean: of its logarithm (lognormal), in the row's unit (normal).
    successes, n
        Of the experiment.
    effective
        Independent hosts that n counts for.
    above, below
        The known side of a bound or of an ordering, in the row's unit.
    share
        Whether the numbers per subject are shares (0 to 1, reported in %).
    ratio
        Whether two groups are compared by their ratio (else by their difference).
    """

    kind: Kind
    value: float = float("nan")
    spread: float = float("nan")
    successes: float = float("nan")
    n: float = float("nan")
    effective: float = float("nan")
    above: float = float("-inf")
    below: float = float("inf")
    share: bool = False
    ratio: bool = False

    @property
    def counts(self) -> bool:
        """Whether a group gives a share."""
        return self.share or self.kind == "binomial"

    @property
    def logarithmic(self) -> bool:
        """Whether groups are summarised by their geometric mean."""
        return not self.counts and (self.kind == "lognormal" or self.ratio)

    @property
    def hosts(self) -> float:
        """Independent hosts of a group."""
        return self.effective if np.isfinite(self.effective) else self.n

    # --- what the model says -----------------------------------------------------------------------------------------

    def predict(self, subjects: Array, other: Array | None = None) -> Array:
        """What a very large study would report, in the row's unit.

        Parameters
        ----------
        subjects
            Shape (draws, subjects): observable of every subject (for shares 0 to 1), nan where there is none.
        other
            The group that it is compared with.

        Returns
        -------
        ndarray
            Shape (draws,); nan where no subject has a value.
        """
        found = self._mean(subjects)
        return found if other is None else self.contrast(found, self._mean(other))

    def contrast(self, one: Array, two: Array) -> Array:
        """Ratio or difference of two groups."""
        return one / np.maximum(two, TINY) if self.ratio else one - two

    def _mean(self, subjects: Array) -> Array:
        centre = self.moments(subjects)[0]
        return np.exp(centre) if self.logarithmic else centre

    def moments(self, subjects: Array) -> tuple[Array, Array, Array]:
        """Mean, standard deviation and number of the subjects of each draw (of logarithms where `logarithmic`)."""
        known = np.isfinite(subjects)
        count = known.sum(axis=1)
        values = np.where(known, subjects, 1.0 if self.logarithmic else 0.0)
        if self.logarithmic:
            values = np.log(np.maximum(values, TINY))
        elif self.counts:
            values = 100.0 * values
        total = np.maximum(count, 1)
        centre = values.sum(axis=1) / total
        spread = np.sqrt((np.where(known, values - centre[:, None], 0.0) ** 2).sum(axis=1) / np.maximum(count - 1, 1))
        return np.where(count > 0, centre, np.nan), spread, count

    def beta(self, subjects: Array) -> tuple[Array, Array]:
        """Beta distribution of the share in each draw, after so few subjects (Jeffreys' prior)."""
        known = np.isfinite(subjects)
        hits = np.where(known, subjects, 0.0).sum(axis=1)
        return hits + 0.5, known.sum(axis=1) - hits + 0.5

    # --- against what was seen ---------------------------------------------------------------------------------------

    def log(self, subjects: Array, other: Array | None = None) -> Array:
        """Log-likelihood of the observation for each draw, relative to that of a perfect prediction; shape (draws,).

        A share is estimated from so few simulated subjects that half a subject is added on either side: a group
        without a single event does not rule the event out.
        """
        predicted = self.predict(subjects, other)
        with np.errstate(all="ignore"):
            if self.kind == "binomial":
                count = np.isfinite(subjects).sum(axis=1)
                p = (predicted / 100.0 * count + 0.5) / (count + 1.0)
                seen = self.successes / self.n
                found = self.effective * (_entropy(seen, p) - _entropy(seen, seen))
            elif self.kind == "lognormal":
                found = -0.5 * (np.log(np.maximum(predicted, TINY) / self.value) / self.spread) ** 2
            elif self.kind == "normal":
                found = -0.5 * ((predicted - self.value) / self.spread) ** 2
            else:
                found = self._log_satisfied(subjects, other)
            far = FAR - 10.0 * np.log1p(np.maximum(FAR - found, 0.0) / 10.0)
        return np.where(np.isfinite(predicted), np.maximum(np.where(found < FAR, far, found), WORST), WORST)

    def _log_satisfied(self, subjects: Array, other: Array | None) -> Array:
        """Log probability that a study of n hosts a group lies on the known side (means taken as normal)."""
        from scipy.stats import norm

        centre, sd = self.replicate(subjects, other)
        scale: Callable[[float], float] = (lambda x: float(np.log(max(x, TINY)))) if self.logarithmic else float
        return np.log(
            np.maximum(norm.cdf(scale(self.below), centre, sd) - norm.cdf(self._low(scale), centre, sd), 1e-300)
        )

    def _low(self, scale: Callable[[float], float]) -> float:
        return float("-inf") if self.above == float("-inf") else scale(self.above)

    def replicate(self, subjects: Array, other: Array | None = None) -> tuple[Array, Array]:
        """Mean and standard deviation of what studies of n hosts (a group) would report, each of shape (draws,).

        Of logarithms where `logarithmic`. The variance of sampling n hosts is the model's own; where the study's error is
        larger (assay, unknown n), that one is taken, so that sampling is never counted twice. The number of simulated
        subjects adds its own part.
        """
        groups = [self._replicate(group) for group in (subjects, other) if group is not None]
        centre = groups[0][0] - groups[1][0] if len(groups) > 1 else groups[0][0]
        sampled = np.sum([variance / self.hosts for _, variance, _ in groups], axis=0)
        simulated = np.sum([variance / np.maximum(count, 1) for _, variance, count in groups], axis=0)
        error = self.spread**2 if np.isfinite(self.spread) else 0.0
        return centre, np.sqrt(np.maximum(np.maximum(sampled, error) + simulated, TINY))

    def _replicate(self, subjects: Array) -> tuple[Array, Array, Array]:
        centre, spread, count = self.moments(subjects)
        if not self.counts:
            return centre, spread**2, count
        a, b = self.beta(subjects)
        p = a / (a + b)
        return np.where(count > 0, 100.0 * p, np.nan), 1e4 * p * (1.0 - p), count

    def text(self, unit: str) -> str:
        """The observation in words."""
        shown = f" {unit}" if unit != "1" else ""
        if self.kind == "binomial":
            eff = f", effective n {self.effective:g}" if self.effective != self.n else ""
            return f"{self.successes:g}/{self.n:g} ({self.value:.3g} %{eff})"
        if self.kind == "lognormal":
            return f"{self.value:g}{shown} (log-sd {self.spread:.2g})"
        if self.kind == "normal":
            return f"{self.value:g}{shown} (sd {self.spread:.2g})"
        limits = [f"{sign} {limit:g}{shown}" for sign, limit in (("≥", self.above), ("≤", self.below)) if np.isfinite(limit)]
        return " and ".join(limits)


def _entropy(seen: float, p: Any) -> Any:
    """Expected log probability of one binary observation whose long-run share is `seen`, under probability `p`."""
    hit = seen * np.log(p) if seen > 0.0 else 0.0
    miss = (1.0 - seen) * np.log1p(-np.asarray(p)) if seen < 1.0 else 0.0
    return hit + miss
