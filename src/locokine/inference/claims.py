"""The thirteen claims of the blueprint, computed from small trials, and the share of prior draws in which each holds.

A claim is a function of `ClaimTrials` that returns numbers of every draw and whether the claim holds in it. Where the
blueprint says "few", "hardly" or "many", the limit that stands for the word is written in the claim's text. Nothing is
adjusted to make a claim hold: one that does not is reported.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locokine.engine.variables import PLACES
from locokine.inference.claim_trials import (
    LADDER,
    LOCAL,
    NONE,
    SYSTEMIC,
    TREATED,
    TRIALS,
    ClaimTrials,
    trial_experiment,
)
from locokine.inference.prior import Free, candidates, scale, scopes_of
from locokine.outcome import response
from locokine.parameters.library import Library, load_library

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
LEAK = ("leak",)
IMMUNITY = ("immunity",)
EQUAL = 0.3
"""Effects (log10) that are no further apart are equal: a factor of two."""
DESIGN = frozenset((
    "supportive_care", "potency_effector", "potency_regulatory", "potency_endothelium", "clearance_factor",
    "degradation_factor", "implant_take",
))
"""Not drawn: what care is given, how a lesion was put there, and what an agent is relative to native IL-2."""
STATUSES = ("measured", "derived", "calibrated", "assumed")


@dataclass(frozen=True)
class Finding:
    """A claim in some draws: `holds` of shape (draws,) and the numbers it rests on, each of shape (draws,)."""

    holds: Bools
    numbers: Mapping[str, Array]

    def text(self, draw: int = 0) -> str:
        """The numbers of one draw in words."""
        return ", ".join(f"{name} {values[draw]:.3g}" for name, values in self.numbers.items())


@dataclass(frozen=True)
class Claim:
    """A claim: what it says, with its limits, and the function that reads it."""

    what: str
    read: Callable[[ClaimTrials], Finding]


CLAIMS: dict[int, Claim] = {}
"""Number → claim, in the order of the blueprint."""


def claim(number: int, what: str) -> Callable[[Callable[[ClaimTrials], Finding]], Callable[[ClaimTrials], Finding]]:
    """Register a claim."""

    def register(function: Callable[[ClaimTrials], Finding]) -> Callable[[ClaimTrials], Finding]:
        CLAIMS[number] = Claim(what, function)
        return function

    return register


def _most(values: Array) -> Array:
    """Largest over time; shape (draws, subjects)."""
    return np.nanmax(values, axis=0)


def _median(values: Array) -> Array:
    """Median over the subjects of a draw; shape (draws,)."""
    return np.nanmedian(values, axis=-1)


def _share(true: Array | Bools) -> Array:
    """Share of the subjects of a draw; shape (draws,)."""
    return np.nanmean(np.asarray(true, dtype=np.float64), axis=-1)


def _fold(a: Array, b: Array, floor: float = 1e-12) -> Array:
    return np.asarray(a) / np.maximum(b, floor)


@claim(1, "the given IL-2 peaks in an injected tumour at 1,000 times or more of what leukocytes make there")
def endogenous(t: ClaimTrials) -> Finding:
    run = t.run("mouse")
    agents = list(run.agents)
    peak = run.exposure[PLACES.index("tumour"), :, 0]
    given = _median(t.shaped(peak[agents.index("aldesleukin")]))
    made = _median(t.shaped(peak[agents.index("endogenous")]))
    fold = _fold(given, made)
    return Finding(fold >= 1e3, {"given nM": given, "made nM": made, "fold": fold})


@claim(2, "IL-2 at least doubles the armed share of NK and of specific T cells in the tumour, over untreated")
def stimulation(t: ClaimTrials) -> Finding:
    def armed(part: str, whole: str, arm: str) -> Array:
        shares = t.lesion(part, "mouse", arm)[:10] / t.lesion(whole, "mouse", arm)[:10]
        return _median(_most(shares))

    nk, nk_none = armed("lak", "nk", LOCAL), armed("lak", "nk", NONE)
    t_cells, t_none = armed("t_competent", "t_specific", LOCAL), armed("t_competent", "t_specific", NONE)
    numbers = {"LAK share": nk, "untreated": nk_none, "armed T share": t_cells, "T untreated": t_none}
    return Finding((nk >= 2.0 * nk_none) & (t_cells >= 2.0 * t_none), numbers)


def _killed(t: ClaimTrials, arm: str, off: tuple[str, ...] = (), trial: str = "mouse") -> Array:
    """Effect: fall of log10 viable cells from the first dose to their minimum in 20 days; shape (draws, subjects)."""
    cells = t.lesion("viable_cells", trial, arm, off)[:21]
    return np.log10(np.maximum(cells[0], 1.0)) - np.log10(np.maximum(np.nanmin(cells, axis=0), 1.0))


def _of_equal_effect(t: ClaimTrials, read: Callable[[str], Array]) -> tuple[Array, Array]:
    """Intravenous dose (IU, q8h) that does as much as the local treatment in each draw, and what is read of its arm.

    The least of the ladder whose kill comes within a factor of two of the local one; the largest where none does.
    """
    local = _median(_killed(t, LOCAL))
    enough = np.array([_median(_killed(t, arm, trial=SYSTEMIC)) >= local - EQUAL for arm in LADDER])
    which = np.where(enough.any(axis=0), enough.argmax(axis=0), len(LADDER) - 1)
    found = np.array([read(arm) for arm in LADDER])
    return np.array(list(LADDER.values()))[which], found[which, np.arange(t.draws)]


@claim(3, "vessels leak: at the injected tumour (leak state 0.1 over untreated), in the lung after an intravenous dose of "
          "equal effect (twofold)")
def leak(t: ClaimTrials) -> Finding:
    def fold(arm: str) -> Array:
        index = t.body("organ_leak", SYSTEMIC, arm)
        return _median(_most(index) / index[0])

    local = _median(_most(t.lesion("leak", "mouse", LOCAL)))
    none = _median(_most(t.lesion("leak", "mouse", NONE)))
    dose, lung = _of_equal_effect(t, fold)
    numbers = {"local": local, "untreated": none, "lung fold": lung, "i.v. IU q8h": dose}
    return Finding((local >= none + 0.1) & (lung >= 2.0), numbers)


@claim(4, "leak limits systemic treatment: of mice given the intravenous dose of equal effect (kill within a factor of two of "
          "the local one; the least of 30,000 to 3,000,000 IU q8h) and of patients at the doses of practice at least 30 % "
          "have grade 3 or more, of those treated locally at most 10 %")
def limits(t: ClaimTrials) -> Finding:
    dose, systemic = _of_equal_effect(t, lambda arm: _share(t.grades(SYSTEMIC, arm)[0] >= 3.0))
    local = _share(t.grades("mouse", LOCAL)[0] >= 3.0)
    patients, injected = _share(t.grades("viscera")[0] >= 3.0), _share(t.grades("skin")[0] >= 3.0)
    holds = (systemic >= 0.3) & (local <= 0.1) & (patients >= 0.3) & (injected <= 0.1)
    return Finding(holds, {
        "i.v. IU q8h": dose, "mice grade >= 3 i.v.": systemic, "i.t.": local, "patients grade >= 3 i.v.": patients,
        "intralesional": injected,
    })


@claim(5, "systemic, patients: few responses (some, at most 35 %) with high toxicity (grade 3 or more in half)")
def systemic_trial(t: ClaimTrials) -> Finding:
    rate, toxic = _share(t.responded("viscera")), _share(t.grades("viscera")[0] >= 3.0)
    return Finding((rate > 0.0) & (rate <= 0.35) & (toxic >= 0.5), {"response": rate, "grade >= 3": toxic})


@claim(6, "local: hardly toxic (grade 3 or more in at most 10 % of mice and of patients), with partial, complete "
          "responses and cures")
def local_trial(t: ClaimTrials) -> Finding:
    mice, patients = _share(t.grades("mouse")[0] >= 3.0), _share(t.grades("skin")[0] >= 3.0)
    codes = np.concatenate([t.codes("mouse"), t.codes("skin")], axis=-1)
    partial, complete = _share(codes == response.PR), _share(codes == response.CR)
    cured = np.maximum(_share(t.cured("mouse")), _share(t.cured("ascites")))
    holds = (mice <= 0.1) & (patients <= 0.1) & (partial > 0.0) & (complete > 0.0) & (cured >= 0.05)
    return Finding(holds, {"mice grade >= 3": mice, "patients": patients, "PR": partial, "CR": complete,
                           "cured": cured})


MIX = ("mouse", "mouse p815", "ascites", "skin")
"""Mix of tumours of claim 7, with equal weights: SL2 and P815 under the skin, SL2 ascites, melanoma of the skin."""


@claim(7, "local: 50 to 70 % objective responses over a mix of tumours (SL2, P815, SL2 ascites, skin melanoma, equal "
          "weights; within the sampling error of the trial)")
def response_rate(t: ClaimTrials) -> Finding:
    rates = {name: _share(t.cured(name) > 0.5 if name == "ascites" else t.responded(name)) for name in MIX}
    mean = np.mean(list(rates.values()), axis=0)
    error = 1.96 * np.sqrt(np.maximum(mean * (1.0 - mean), 0.0) / (len(MIX) * t.subjects))
    return Finding((mean + error >= 0.5) & (mean - error <= 0.7), {"mix": mean, **rates})


@claim(8, "local: inflammation at the injection site (median grade 1 or more) and no more (median systemic grade 0 or 1)")
def site_only(t: ClaimTrials) -> Finding:
    systemic, site = (np.concatenate(pair, axis=-1) for pair in zip(t.grades("mouse"), t.grades("skin"), strict=True))
    numbers = {"site": _median(site), "systemic": _median(systemic)}
    return Finding((numbers["site"] >= 1.0) & (numbers["systemic"] <= 1.0), numbers)


def _swelling(t: ClaimTrials, arm: str) -> tuple[Array, Array]:
    """Peaks of oedema and of the necrotic share within 20 days."""
    oedema, necrosis = (t.lesion(f"{name}_fraction", "mouse", arm)[:21] for name in ("oedema", "necrotic"))
    return _most(oedema), _most(necrosis)


@claim(9, "treated tumours show oedema (5 % of the volume over untreated) and necrosis (20 % over untreated)")
def tissue(t: ClaimTrials) -> Finding:
    (oedema, necrosis), (dry, living) = _swelling(t, LOCAL), _swelling(t, NONE)
    more, dead = _median(oedema - dry), _median(necrosis - living)
    return Finding((more >= 0.05) & (dead >= 0.2), {"oedema": more, "necrosis": dead})


def _first_day(values: Array, rise: float) -> Array:
    """First day on which a quantity is `rise` above its value at the first dose; inf without."""
    reached = np.nan_to_num(values - values[0], nan=-np.inf) >= rise
    return np.where(reached.any(axis=0), reached.argmax(axis=0), np.inf)


@claim(10, "leak (0.1) and oedema (5 %) come no later than hypoxia (5 % more), that no later than necrosis (10 % more) "
           "in 80 % of hosts, and without leak there is less necrosis")
def order(t: ClaimTrials) -> Finding:
    window = slice(0, 15)
    limits_of = {"leak": 0.1, "oedema_fraction": 0.05, "hypoxic_fraction": 0.05, "necrotic_fraction": 0.1}
    days = [_first_day(t.lesion(name, "mouse")[window], rise) for name, rise in limits_of.items()]
    leaky, wet, airless, dead = days
    ordered = _share((np.maximum(leaky, wet) <= airless) & (airless <= dead) & np.isfinite(dead))
    with_leak = _median(_most(t.lesion("necrotic_fraction", "mouse")[window]))
    without = _median(_most(t.lesion("necrotic_fraction", "mouse", LOCAL, LEAK)[window]))
    names = (f"day of {name.removesuffix('_fraction')}" for name in limits_of)
    numbers = dict(zip(names, map(_median, days), strict=True))
    holds = (ordered >= 0.8) & (without < 0.9 * with_leak)
    return Finding(holds, {"in order": ordered, **numbers, "necrosis": with_leak, "without leak": without})


@claim(11, "dead cells start the immune reaction: specific T cells fall by 80 % or more when starvation is prevented")
def antigen(t: ClaimTrials) -> Finding:
    def reaction(off: tuple[str, ...]) -> Array:
        inside = t.lesion("t_specific", "mouse", LOCAL, off)[:21]
        return _median(_most(inside))

    full, prevented = reaction(()), reaction(("starvation",))
    fall = 1.0 - _fold(prevented, full)
    return Finding((full > 1.0) & (fall >= 0.8), {"T cells": full, "without necrosis": prevented, "fall": fall})


@claim(12, "cured mice are specifically immune: 80 % or more reject SL2, at most half as many reject P815, and both "
           "take in 90 % of naive mice")
def memory(t: ClaimTrials) -> Finding:
    (same, took), (other, took_other) = t.rechallenge("sl2"), t.rechallenge("p815")
    cured = np.sum(np.isfinite(same), axis=-1)
    own, foreign = _share(same), _share(other)
    valid = (_share(took) >= 0.9) & (_share(took_other) >= 0.9)
    holds = (cured > 0) & valid & (np.nan_to_num(own) >= 0.8) & (np.nan_to_num(foreign) <= 0.5 * np.nan_to_num(own))
    return Finding(holds, {"cured": cured.astype(np.float64), "reject SL2": own, "reject P815": foreign,
                           "naive take": _share(took)})


@claim(13, "leak and immune killing both contribute (each at least 10 % of the effect, as Shapley values of twins)")
def both(t: ClaimTrials) -> Finding:
    effect = {off: np.nanmean(_killed(t, LOCAL, off), axis=-1) for off in ((), LEAK, IMMUNITY, (*LEAK, *IMMUNITY))}
    total = effect[()] - effect[(*LEAK, *IMMUNITY)]
    by_leak = 0.5 * (effect[()] - effect[LEAK] + effect[IMMUNITY] - effect[(*LEAK, *IMMUNITY)])
    with np.errstate(all="ignore"):  # no effect, no share
        share = np.where(total > 0.05, by_leak / total, np.nan)
    holds = (np.nan_to_num(share, nan=-1.0) >= 0.1) & (np.nan_to_num(share, nan=2.0) <= 0.9)
    return Finding(holds, {"effect log10": total, "share of leak": share, "share of immunity": 1.0 - share})


# --- under the prior -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predictive:
    """Claims under the prior.

    Attributes
    ----------
    draws, subjects
        How many prior draws, and hosts of each.
    shares
        Claim number → share of draws in which it holds.
    holds
        Claim number → whether it holds in each draw, shape (draws,).
    centre
        Claim number → {"holds": bool, "text": numbers} at the median of the prior, with `CENTRE` hosts.
    """

    draws: int
    subjects: int
    shares: dict[int, float]
    holds: dict[int, Bools]
    centre: dict[int, dict[str, Any]]


CENTRE = 32
"""Hosts per arm at the median of the prior."""
COLUMNS = 256
"""Engine columns of a batch."""


def prior_of(library: Library) -> list[Free]:
    """Every parameter of the trials that the prior of claims is drawn over."""
    experiments = [trial_experiment(name, 1, library) for name in TRIALS]
    found = candidates(library, scopes_of(*experiments), DESIGN, STATUSES)
    return [item for item in found if any(width > 0.0 for width in scale(item.record)[1:])]


def evaluate(trials: ClaimTrials, numbers: tuple[int, ...] = ()) -> dict[int, Finding]:
    """Read claims (all without `numbers`) from one batch of draws."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # all-nan slices: dead hosts
        return {number: CLAIMS[number].read(trials) for number in numbers or CLAIMS}


def prior_predictive(
    draws: int, *, subjects: int = 8, seed: int = 1, threads: int = 1, values: Mapping[Free, float] | None = None,
    numbers: tuple[int, ...] = (), library: Library | None = None, progress: Callable[[int, int], None] | None = None,
    posterior: Mapping[Free, Array] | None = None,
) -> Predictive:
    """In what share of prior draws does each claim hold.

    Parameters
    ----------
    draws, subjects
        Prior draws, and hosts of each: all hosts of a draw share its medians and differ by the spread between subjects.
    seed, threads
        Of the draws; of the engine.
    values
        Values that are known: they stay there in every draw.
    numbers
        Which claims; all without.
    library
        Instead of the built-in one.
    progress
        Called as `progress(done, draws)`.
    posterior
        Draws of what a calibration has fitted, shape (any number,): used in turn instead of the prior.
    """
    from locokine.inference.fit import prior_batch

    library = library or load_library()
    known = {item.key: (item, value) for item, value in (values or {}).items()}
    fitted = {item: np.asarray(drawn) for item, drawn in (posterior or {}).items() if item.key not in known}
    free = [item for item in prior_of(library) if item.key not in {*known, *(item.key for item in fitted)}]
    z = prior_batch(free, draws, seed)
    found: dict[int, list[Bools]] = {number: [] for number in numbers or CLAIMS}
    size = max(COLUMNS // subjects, 1)
    for first in range(0, draws, size):
        part = z[first:first + size]
        batch = {item: np.full(len(part), value) for item, value in known.values()}
        batch |= {item: drawn[np.arange(first, first + len(part)) % len(drawn)] for item, drawn in fitted.items()}
        batch |= {item: item.at(part[:, i]) for i, item in enumerate(free)}
        trials = ClaimTrials(batch, len(part), subjects, seed, threads, library)
        for number, finding in evaluate(trials, numbers).items():
            found[number].append(finding.holds)
        if progress:
            progress(min(first + size, draws), draws)
    holds = {number: np.concatenate(parts) for number, parts in found.items()}
    middle = {item: np.full(1, value) for item, value in known.values()}
    at_median = evaluate(ClaimTrials(middle, 1, CENTRE, seed, threads, library), numbers)
    centre = {n: {"holds": bool(f.holds[0]), "text": f.text()} for n, f in at_median.items()}
    shares = {number: float(np.mean(values_)) for number, values_ in holds.items()}
    return Predictive(draws, subjects, shares, holds, centre)


__all__ = ["CLAIMS", "TREATED", "Claim", "Finding", "Predictive", "evaluate", "prior_of", "prior_predictive"]
