"""Dose, volume, schedule and site that reach an aim best under a limit on toxicity.

Designs are dosing lines. A tree-structured Parzen estimator for several objectives (Optuna: Akiba 2019,
doi:10.1145/3292500.3330701; Ozaki 2022, doi:10.1613/jair.1.13188) proposes the next from all before; each is tried on the
same subjects. What is best on these subjects is partly luck, so the designs that none beats in both aim and toxicity are
tried again on fresh subjects, and everything that is said about them rests on those.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from locokine.errors import InputError
from locokine.inference.ensemble import evaluate
from locokine.inference.ledger import Ledger, identity
from locokine.outcome.endpoints import endpoint
from locokine.population import draw
from locokine.scenario.dosing import parse_course
from locokine.scenario.experiment import Experiment
from locokine.scenario.grammar import NUMERIC, ROUTES, Cursor, parse_rules, parse_schedule
from locokine.scenario.load import load, redose

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Progress = Callable[[int, int, str], None]
ARM = "design"
STARTS = 12
"""Designs tried at random before the estimator has something to learn from."""
FRONT = 8
"""Designs of the front that are tried again."""
MARGIN = 0.05
"""Loss of the aim (as a share of its best) that counts as doing as well."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high` in `unit`; equal if there is nothing to choose."""

    low: float
    high: float
    unit: str


@dataclass(frozen=True)
class Space:
    """All designs that may be tried: one dosing line each."""

    arm: str
    agent: str
    dose: Range
    volume: Range | None
    routes: tuple[str, ...]
    schedules: tuple[str, ...]
    sites: tuple[str, ...] = ()

    def line(self, choice: dict[str, Any]) -> str:
        """The dosing line of a choice; numbers have three digits, so that the line is exactly what is simulated."""
        parts = [self.agent, f"{digits(choice['dose'])} {self.dose.unit}", choice["route"]]
        if self.volume is not None:
            parts.append(f"in {digits(choice['volume'])} {self.volume.unit}")
        if choice["site"]:
            parts.append(f"into {choice['site']}")
        return " ".join([*parts, choice["schedule"]])


def digits(value: float) -> str:
    """A number with three digits and no exponent: 19800."""
    return f"{float(f'{value:.3g}'):.12g}"


@dataclass(frozen=True)
class Optimum:
    """What was found.

    Attributes
    ----------
    aim, toxicity, limit
        End points and the limit.
    designs
        Every design tried: design, dose, volume, route, schedule, site, aim, toxicity, on_front, as_good.
    front
        Designs that none beats in both: as `designs`, with aim_again and toxicity_again on fresh subjects, their 95 %
        intervals (`_low`, `_high`) and sure (share of resampled trials in which it is the best that keeps the limit).
    best
        The best of the front on fresh subjects that keeps the limit, None if none does.
    flat
        What the designs that do as well have in common: dose and volume from–to, routes, schedules, sites, how many.
    """

    experiment: str
    aim: str
    toxicity: str
    limit: float
    subjects: int
    designs: pd.DataFrame
    front: pd.DataFrame
    best: dict[str, Any] | None
    flat: dict[str, Any]
    space: Space
    facts: dict[str, Any] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """Best, how sure, how flat."""
        aim, toxicity = endpoint(self.aim), endpoint(self.toxicity)
        if self.best is None:
            tried = f"None of {len(self.designs)} designs keeps {toxicity.words} at or below {self.limit:g}"
            return [f"{tried}; allow more, or widen the search."]

        def text(name: str, item: Any) -> str:
            row = self.best or {}
            value, low, high = (row[f"{name}_{end}"] for end in ("again", "low", "high"))
            if item.kind == "share":
                return f"{100 * value:.0f} % ({100 * low:.0f}–{100 * high:.0f})"
            return f"{value:.3g} ({low:.3g}–{high:.3g})" + ("" if item.unit == "1" else f" {item.unit}")

        seen = f"{aim.words} {text('aim', aim)}, {toxicity.words} {text('toxicity', toxicity)}"
        said = [f"Best of {len(self.designs)} designs: {self.best['design']}; in {self.subjects} fresh subjects {seen}."]
        said.append(f"Sure: best of the front in {100 * self.best['sure']:.0f} % of resampled trials.")
        flat, unit = self.flat, self.space.dose.unit
        volumes = ""
        if self.space.volume is not None:
            volumes = f" in {_from_to(flat['volume'])} {self.space.volume.unit}"
        said.append(
            f"Flat: {flat['count']} of the designs tried do as well (within {100 * MARGIN:.0f} %): "
            f"{_from_to(flat['dose'])} {unit}{volumes}, {' or '.join(flat['routes'])}, "
            f"{' or '.join(flat['schedules'])}."
        )
        return said


def _from_to(ends: tuple[float, float]) -> str:
    low, high = map(digits, ends)
    return low if low == high else f"{low} to {high}"


# --- the space -------------------------------------------------------------------------------------------------------


def make_space(
    experiment: Experiment,
    arm: str,
    dose: str | None = None,
    volume: str | None = None,
    routes: Sequence[str] = (),
    schedules: Sequence[str] = (),
    sites: Sequence[str] = (),
) -> Space:
    """Designs around the first dosing line of an arm.

    Parameters
    ----------
    experiment, arm
        Where to start from.
    dose, volume
        "LOW UNIT to HIGH UNIT"; by default a tenth to ten times the arm's dose, and its own volume.
    routes, schedules, sites
        To choose from; those of the line by default.

    Raises
    ------
    InputError
        If the arm has no dose, or a text cannot be read.
    """
    text = next((item.text for item in experiment.protocol.arms if item.name == arm), ())
    line = next(iter(text), "")
    agents = list(experiment.library.agents)
    place = f"arm {arm}"
    course = parse_course(line, place, agents)
    if course.amount is None:
        raise InputError(place, f"{course.agent} is given without an amount", "name an arm with a dose")
    words = line.split()
    if dose is None:
        number, unit = _quantity(words[1:])
        if not unit:
            raise InputError("--dose", f"the dose of '{line}' cannot be varied by itself", "write --dose 'LOW UNIT to HIGH UNIT'")
        doses = Range(number / 10.0, number * 10.0, unit)
    else:
        doses = _range(dose, "--dose")
    if volume is not None:
        volumes: Range | None = _range(volume, "--volume")
    else:
        found = [_quantity(words[i + 1:]) for i, word in enumerate(words) if word == "in"]
        volumes = Range(found[0][0], found[0][0], found[0][1]) if found else None
    for route in routes:
        if route.lower() not in ROUTES:
            from locokine.parameters.reading import suggest

            raise InputError("--route", f"unknown route '{route}'", suggest(route, [r for r in ROUTES if "." not in r]))
    own = _schedule(line)
    space = Space(
        arm, course.agent, doses, volumes, tuple(routes) or (course.route,), tuple(schedules) or (own,),
        tuple(sites) or ((",".join(course.lesions),) if course.lesions else ()),
    )
    volume_low = space.volume.low if space.volume else 0.0
    for path, schedule, site in product(space.routes, space.schedules, space.sites or ("",)):
        choice = {"dose": space.dose.low, "volume": volume_low, "route": path, "schedule": schedule, "site": site}
        _design(experiment, space.line(choice))  # says what is wrong before anything is run
    return space


def _quantity(words: Sequence[str]) -> tuple[float, str]:
    """Number and unit of the first two words (or of one, `20ug`)."""
    import re

    match = re.match(r"([\d.]+(?:[eE][+-]?\d+)?)\s*(.*)", words[0] if words else "")
    if not match or not NUMERIC.match(words[0]):
        return math.nan, ""
    return float(match[1]), match[2] or (words[1] if len(words) > 1 else "")


def _range(text: str, option: str) -> Range:
    low, word, high = text.partition(" to ")
    (a, unit), (b, other) = _quantity(low.split()), _quantity(high.split())
    if not word or math.isnan(a) or math.isnan(b) or not unit or unit != other:
        raise InputError(option, f"'{text}' is not a range", "write LOW UNIT to HIGH UNIT, both in one unit: 1000 IU to 50000 IU")
    if not 0.0 < a <= b:
        raise InputError(option, f"'{text}' does not rise from above zero", "write the smaller number first")
    return Range(a, b, unit)


def _schedule(line: str) -> str:
    """The end of a dosing line that says when (and until when): its longest part that is a schedule by itself."""
    words = line.split()
    for first in range(len(words)):
        cursor = Cursor(" ".join(words[first:]), "")
        try:
            parse_schedule(cursor)
            parse_rules(cursor)
        except InputError:
            continue
        return cursor.text
    raise InputError("--schedule", f"no schedule in '{line}'", "write one with --schedule")


def _design(experiment: Experiment, line: str) -> Experiment:
    """The experiment with one arm of this line, and no rechallenge."""
    tree = {key: value for key, value in experiment.source.items() if key not in ("rechallenge", "library")}
    made = load({**tree, "arms": {ARM: [line]}}, library=experiment.library)
    protocol = dataclasses.replace(made.protocol, geometry=experiment.protocol.geometry)
    made = dataclasses.replace(
        made, protocol=protocol, overrides=experiment.overrides, seed=experiment.seed, subjects=experiment.subjects,
        uncertainty=experiment.uncertainty,
    )
    return redose(made)


# --- the search ------------------------------------------------------------------------------------------------------


def optimise(
    experiment: Experiment,
    space: Space,
    aim: str = "cure",
    toxicity: str = "severe_toxicity",
    limit: float = 0.1,
    evaluations: int = 60,
    out: Path | None = None,
    threads: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> Optimum:
    """Search the designs of a space.

    Parameters
    ----------
    experiment
        Host, lesions, follow-up and subjects.
    space
        See `make_space`.
    aim, toxicity
        End points; the aim is made as large (small, if less of it is good) as it gets while the other one's mean stays
        at or below `limit`.
    evaluations
        Designs to try.
    out, threads, force, progress
        As for `explain`.

    Raises
    ------
    InputError
        For an unknown end point, the same twice, or too few evaluations.
    """
    import pandas as pd

    wanted, unwanted = endpoint(aim, "--aim"), endpoint(toxicity, "--toxicity")
    if aim == toxicity:
        raise InputError("--toxicity", f"'{aim}' is the aim already", "name another end point")
    if evaluations < 2:
        raise InputError("--evaluations", f"{evaluations} is no search", "use 2 or more, better 60")
    facts = identity(
        "optimise", experiment, aim=aim, toxicity=toxicity, limit=limit, space=dataclasses.asdict(space),
    )
    ledger = Ledger(out, facts, force)
    tried = _trials(experiment, (aim, toxicity), ledger, threads, progress, experiment.subjects * (evaluations + FRONT))
    sign = 1.0 if wanted.good else -1.0
    worse = -1.0 if unwanted.good else 1.0
    seen: dict[str, dict[str, Array]] = {}

    def score(line: str) -> tuple[float, float, float]:
        """What the search sees: aim (to be large), toxicity (to be small), by how much it breaks the limit."""
        seen[line] = tried(line, experiment.seed)
        gain, harm = sign * float(np.nanmean(seen[line][aim])), worse * float(np.nanmean(seen[line][toxicity]))
        return gain, harm, harm - worse * limit

    choices = {line: choice for choice, line in _proposals(space, evaluations, experiment.seed, score)}
    rows = [
        {"design": line, **choice, "aim": float(np.nanmean(seen[line][aim])),
         "toxicity": float(np.nanmean(seen[line][toxicity]))}
        for line, choice in choices.items()
    ]  # fmt: skip
    designs = pd.DataFrame(rows)
    designs["on_front"] = pareto(sign * designs["aim"].to_numpy(), -worse * designs["toxicity"].to_numpy())
    again, lines = _again(designs, sign, worse, limit, lambda line: tried(line, experiment.seed + 1))
    front = _front(designs, lines, again, aim, toxicity, sign, worse, limit, experiment.seed)
    kept = front.loc[worse * front["toxicity_again"] <= worse * limit + 1e-12]
    best = None
    flat: dict[str, Any] = {}
    designs["as_good"] = False
    if len(kept):
        row = kept.loc[(sign * kept["aim_again"]).idxmax()]
        best = {str(key): value for key, value in row.to_dict().items()}
        designs["as_good"] = as_good(designs, seen, str(row["design"]), aim, sign, worse, limit)
        flat = _flat(designs.loc[designs["as_good"]])
    return Optimum(
        experiment.name, aim, toxicity, limit, experiment.subjects, designs, front, best, flat, space, facts
    )


def _trials(
    experiment: Experiment, wanted: tuple[str, str], ledger: Ledger, threads: int, progress: Progress | None, total: int
) -> Callable[[str, int], dict[str, Array]]:
    """Function (dosing line, seed) -> end points of every subject, simulated unless the ledger has them."""
    told: dict[tuple[str, int], None] = {}

    def tried(line: str, seed: int) -> dict[str, Array]:
        if progress and (line, seed) not in told:
            progress(min(experiment.subjects * len(told), total), total, line)
        told[line, seed] = None

        def make() -> dict[str, Array]:
            design = _design(experiment, line).changed(seed=seed)
            found = evaluate(design, ARM, draw(design), wanted, 1, threads)
            return {name: value[0] for name, value in found.items()}

        return ledger.get(f"{seed}/{line}", make)

    return tried


def _proposals(
    space: Space, count: int, seed: int, score: Callable[[str], tuple[float, float, float]]
) -> list[tuple[dict[str, Any], str]]:
    """Designs in the order in which they were proposed; the same space, seed and scores give the same."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    made: list[tuple[dict[str, Any], str]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the constraints of the sampler are marked experimental
        sampler = optuna.samplers.TPESampler(
            seed=seed % 2**32, n_startup_trials=STARTS, multivariate=True,
            constraints_func=lambda trial: (trial.user_attrs["excess"],),
        )
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        for _ in range(count):
            trial = study.ask()
            choice = _choice(space, trial)
            line = space.line(choice)
            made.append((choice, line))
            gain, harm, excess = score(line)
            trial.set_user_attr("excess", excess)
            study.tell(trial, [gain, harm])
    return made


def _choice(space: Space, trial: Any) -> dict[str, Any]:
    def number(name: str, item: Range) -> float:
        value = trial.suggest_float(name, item.low, item.high, log=True) if item.low < item.high else item.low
        return float(f"{value:.3g}")

    def one(name: str, items: Sequence[str]) -> str:
        return trial.suggest_categorical(name, list(items)) if len(items) > 1 else items[0]

    return {
        "dose": number("dose", space.dose),
        "volume": number("volume", space.volume) if space.volume else math.nan,
        "route": one("route", space.routes),
        "schedule": one("schedule", space.schedules),
        "site": one("site", space.sites) if space.sites else "",
    }


def pareto(first: Array, second: Array) -> NDArray[np.bool_]:
    """Which points no other beats: at least as large in both, larger in one."""
    a, b = np.asarray(first)[:, None], np.asarray(second)[:, None]
    as_large, larger = (a <= a.T) & (b <= b.T), (a < a.T) | (b < b.T)
    beaten = as_large & larger
    return np.asarray(~beaten.any(axis=1))


def _again(
    designs: pd.DataFrame, sign: float, worse: float, limit: float, tried: Callable[[str], dict[str, Array]]
) -> tuple[list[dict[str, Array]], list[str]]:
    """The front on fresh subjects: of many designs, those with the best aim that keep the limit go first."""
    front = designs.loc[designs["on_front"]].copy()
    front["late"] = worse * front["toxicity"] > worse * limit + 1e-12
    front["rank"] = -sign * front["aim"]
    lines = list(front.sort_values(["late", "rank", "dose"], kind="stable")["design"])[:FRONT]
    return [tried(line) for line in lines], lines


def _front(
    designs: pd.DataFrame, lines: Sequence[str], again: Sequence[dict[str, Array]], aim: str, toxicity: str, sign: float,
    worse: float, limit: float, seed: int,
) -> pd.DataFrame:
    """Rows of `Optimum.front`: intervals and how sure, by resampling the fresh subjects (the same for all designs)."""
    gain = np.array([np.nan_to_num(found[aim]) for found in again])
    harm = np.array([np.nan_to_num(found[toxicity]) for found in again])
    random = np.random.default_rng(seed)
    chosen = random.integers(0, gain.shape[1], (RESAMPLES, gain.shape[1]))
    gains, harms = gain[:, chosen].mean(axis=2), harm[:, chosen].mean(axis=2)  # (designs, resamples)
    score = np.where(worse * harms <= worse * limit + 1e-12, sign * gains, -np.inf)
    top = np.isfinite(score) & (score >= score.max(axis=0))
    shared = top / np.maximum(top.sum(axis=0), 1)  # equals share a win
    made = designs.set_index("design").loc[list(lines)].reset_index()
    for name, values, draws, kind in (
        ("aim", gain, gains, endpoint(aim).kind), ("toxicity", harm, harms, endpoint(toxicity).kind)
    ):
        made[f"{name}_again"] = values.mean(axis=1)
        bounds = np.array([_interval(v, d, kind) for v, d in zip(values, draws, strict=True)])
        made[f"{name}_low"], made[f"{name}_high"] = bounds[:, 0], bounds[:, 1]
    made["sure"] = shared.mean(axis=1)
    return made


def _interval(values: Array, resampled: Array, kind: str) -> tuple[float, float]:
    """95 % interval of a mean: exact for yes and no, else from resampling."""
    from locokine.outcome.summary import exact_interval

    if kind == "share":
        found = exact_interval(round(float(values.sum())), len(values))
        return found.low, found.high
    low, high = np.quantile(resampled, (0.025, 0.975))
    return float(low), float(high)


def as_good(
    designs: pd.DataFrame, seen: dict[str, dict[str, Array]], best: str, aim: str, sign: float, worse: float, limit: float
) -> NDArray[np.bool_]:
    """Which designs keep the limit and lose at most `MARGIN` of the best one's aim, on the same subjects."""
    top = float(np.nanmean(seen[best][aim]))
    means = np.array([float(np.nanmean(seen[line][aim])) for line in designs["design"]])
    harm = designs["toxicity"].to_numpy(dtype=float)
    return (sign * means >= sign * top - MARGIN * abs(top) - 1e-12) & (worse * harm <= worse * limit + 1e-12)


def _flat(designs: pd.DataFrame) -> dict[str, Any]:
    dose, volume = (designs[name].to_numpy(dtype=np.float64) for name in ("dose", "volume"))
    return {
        "count": len(designs),
        "dose": (float(dose.min()), float(dose.max())),
        "volume": (float(volume.min()), float(volume.max())),
        "routes": sorted(set(designs["route"])),
        "schedules": sorted(set(designs["schedule"])),
        "sites": sorted(set(designs["site"])),
    }
