"""Why a treatment works: the same subjects as counterfactual twins, mechanisms switched off alone and together.

The effect of a treatment in a world is what treated subjects have over the same subjects of a control arm in the same
world. Every combination of mechanisms makes a world; the effect is then shared out among the mechanisms by their Shapley
values (`inference.shapley`). All worlds share subjects, doses and chance, so that a subject has a contribution of its
own from each mechanism, and the interval of a mean comes from resampling subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from locokine.biology.switches import GROUPS, SWITCHES
from locokine.engine.batch import simulate_arm, simulate_rechallenge
from locokine.errors import InputError
from locokine.inference import shapley
from locokine.inference.chronology import chronology, order_table
from locokine.inference.draws import PosteriorDraws, drawn_from, parameter_draws
from locokine.inference.ensemble import evaluate
from locokine.inference.ledger import Ledger, identity
from locokine.inference.prior import population_of
from locokine.outcome import immunity
from locokine.parameters.reading import suggest
from locokine.population import Population, draw
from locokine.scenario.experiment import Experiment

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Progress = Callable[[int, int, str], None]

MECHANISMS: dict[str, tuple[str, ...]] = {
    "leak and starvation": ("leak", "starvation"),
    "NK cells": ("lak_killing",),
    "T cells (CD8/CD4)": ("t_cells",),
    "macrophages": ("macrophages",),
    "memory": ("memory",),
}
"""Mechanism → switches and groups that turn it off."""

EFFECTS = ("volume_reduction", "response", "cure")
PROTECTION = "protection"
"""Cured, and a later challenge with the first line of the scenario's rechallenge is rejected."""
LEAST = 0.05
"""Smallest effect (a difference of shares) that is shared out; below it shares are noise."""
RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Explanation:
    """Contributions of mechanisms to the effects of a treatment.

    Attributes
    ----------
    experiment, arm, control, subjects
        What was run; `control` is None where effects are outcomes themselves.
    mechanisms
        Name → switches; the order is that of the axes below.
    worth
        Effect → shape (draws, worlds, subjects): treated less control, worlds in the order of `shapley.coalitions`. Draw
        0 is the library.
    events
        See `chronology.chronology`; of the first subjects, all mechanisms on.
    host
        What a subject is called ("mouse", "patient").
    """

    experiment: str
    arm: str
    control: str | None
    subjects: int
    mechanisms: dict[str, tuple[str, ...]]
    worth: dict[str, Array]
    events: pd.DataFrame
    host: str = "subject"
    seed: int = 1
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def draws(self) -> int:
        """Draws of the parameters beside the library itself."""
        return len(next(iter(self.worth.values()))) - 1

    def shares(self) -> pd.DataFrame:
        """A row per effect and mechanism.

        Columns: effect, mechanism, contribution with low and high (95 % over subjects), share of the effect with
        share_low and share_high (nan where the effect is below `LEAST`), alone (effect with only this mechanism less
        that with none), without (effect lost when only this one is off), draws_low and draws_high (5 and 95 % of the
        contribution over draws of the parameters; nan without draws), share_draws_low and share_draws_high (the same of the
        share, over the draws in which there is an effect to share out), draws_shared (how many those are).
        """
        import pandas as pd

        rows = []
        for effect, worth in self.worth.items():
            rows += share_rows(effect, list(self.mechanisms), worth, self.seed)
        return pd.DataFrame(rows)

    def worlds(self) -> pd.DataFrame:
        """A row per world: a column per mechanism (on or not), then the mean of every effect."""
        import pandas as pd

        names = list(self.mechanisms)
        rows = []
        for code, members in enumerate(shapley.coalitions(len(names))):
            row: dict[str, Any] = {name: i in members for i, name in enumerate(names)}
            row |= {effect: float(worth[0, code].mean()) for effect, worth in self.worth.items()}
            rows.append(row)
        return pd.DataFrame(rows)

    def interactions(self, effect: str) -> pd.DataFrame:
        """Interaction of every pair of mechanisms: mechanism by mechanism, mean over subjects."""
        import pandas as pd

        names = list(self.mechanisms)
        return pd.DataFrame(shapley.interactions(self.worth[effect][0]).mean(axis=-1), index=names, columns=names)

    def total(self, effect: str) -> tuple[float, float]:
        """Mean effect with every mechanism on, and with none."""
        worth = self.worth[effect][0]
        return float(worth[-1].mean()), float(worth[0].mean())

    @property
    def main(self) -> str:
        """The effect to speak of first: cure, else response, else shrinkage, the first that is large enough."""
        for effect in ("cure", "response", "volume_reduction"):
            if effect in self.worth and self.total(effect)[0] >= LEAST:
                return effect
        return "volume_reduction" if "volume_reduction" in self.worth else next(iter(self.worth))


def share_rows(effect: str, names: Sequence[str], worth: Array, seed: int) -> list[dict[str, Any]]:
    """Rows of `Explanation.shares` of one effect; `worth` has shape (draws, worlds, subjects)."""
    values = shapley.shapley_values(worth[0])  # (mechanisms, subjects)
    players = len(names)
    random = np.random.default_rng(seed)
    chosen = random.integers(0, values.shape[1], (RESAMPLES, values.shape[1]))
    again = values[:, chosen].mean(axis=-1)  # (mechanisms, resamples)
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(again, (tail, 1.0 - tail), axis=1)
    whole, total = again.sum(axis=0), float(values.mean(axis=-1).sum())
    shared = abs(total) >= LEAST
    parts = again / np.where(np.abs(whole) > 1e-12, whole, np.nan)
    draws = shapley.shapley_values(worth[1:].mean(axis=-1).T) if len(worth) > 1 else None
    rows = []
    for i, name in enumerate(names):
        mean = float(values[i].mean())
        share_low, share_high = np.nanquantile(parts[i], (tail, 1.0 - tail)) if shared else (np.nan, np.nan)
        band = np.quantile(draws[i], (0.05, 0.95)) if draws is not None else (np.nan, np.nan)
        share_band, counted = _over_draws(draws, i)
        everything = 2**players - 1
        rows.append(
            {
                "effect": effect, "mechanism": name, "contribution": mean, "low": float(low[i]), "high": float(high[i]),
                "share": mean / total if shared else np.nan, "share_low": float(share_low), "share_high": float(share_high),
                "alone": float((worth[0, 1 << i] - worth[0, 0]).mean()),
                "without": float((worth[0, -1] - worth[0, everything & ~(1 << i)]).mean()),
                "draws_low": float(band[0]), "draws_high": float(band[1]),
                "share_draws_low": share_band[0], "share_draws_high": share_band[1], "draws_shared": counted,
            }
        )  # fmt: skip
    return rows


def _over_draws(draws: Array | None, mechanism: int) -> tuple[tuple[float, float], int]:
    """5 and 95 % of the share of a mechanism over draws (mechanisms, draws) with an effect worth sharing out; their number."""
    if draws is None:
        return (np.nan, np.nan), 0
    total = draws.sum(axis=0)
    good = np.abs(total) >= LEAST
    if not good.any():
        return (np.nan, np.nan), 0
    low, high = np.quantile(draws[mechanism, good] / total[good], (0.05, 0.95))
    return (float(low), float(high)), int(good.sum())


# --- what is asked ---------------------------------------------------------------------------------------------------


def read_mechanisms(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Mechanisms from `NAME=SWITCH,SWITCH` (a bare SWITCH stands for itself); those of `MECHANISMS` if there are none.

    Raises
    ------
    InputError
        For an unknown switch, one that is named twice, or more mechanisms than an exact game has.
    """
    place = "--mechanism"
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, members = (part.strip() for part in text.partition("="))
        switches = tuple(part.strip() for part in (members if equals else name).split(",") if part.strip())
        if not name or not switches:
            raise InputError(place, f"'{text}' is not NAME=SWITCH,SWITCH", "write for example leak=leak_direct,bleeding")
        if name in found:
            raise InputError(place, f"'{name}' is given twice", "name it once")
        found[name] = switches
    found = found or dict(MECHANISMS)
    seen: dict[str, str] = {}
    for name, switches in found.items():
        for switch in expanded(switches, place):
            if switch in seen:
                raise InputError(
                    place, f"{switch} belongs to '{seen[switch]}' and to '{name}'", "give each switch to one mechanism"
                )
            seen[switch] = name
    if len(found) > shapley.MOST:
        raise InputError(
            place, f"{len(found)} mechanisms would need {2 ** len(found)} worlds",
            f"join some: at most {shapley.MOST}, NAME=SWITCH,SWITCH",
        )
    return found


def expanded(names: Sequence[str], place: str) -> list[str]:
    """Switches of names and groups."""
    found: list[str] = []
    for name in names:
        if name not in SWITCHES and name not in GROUPS:
            raise InputError(place, f"unknown mechanism '{name}'", suggest(name, [*SWITCHES, *GROUPS]))
        found += GROUPS.get(name, (name,))
    return found


def choose_arms(experiment: Experiment, arm: str | None, against: str | None) -> tuple[str, str | None]:
    """The arm to explain and its control, by default the last arm with doses and the first without.

    Raises
    ------
    InputError
        If there is no such arm, or no treated one.
    """
    arms = experiment.protocol.arms
    names = [item.name for item in arms]
    for option, name in (("--arm", arm), ("--against", against)):
        if name is not None and name not in names and not (option == "--against" and name == "nothing"):
            raise InputError(option, f"there is no arm '{name}'", suggest(name, names))
    treated = [item.name for item in arms if item.treated]
    if arm is None and not treated:
        raise InputError("--arm", "no arm of this scenario is treated", "add an arm with doses, radiotherapy or surgery")
    chosen = arm or treated[-1]
    if against is None:
        against = next((item.name for item in arms if not item.times and item.name != chosen), "nothing")
    if against == chosen:
        raise InputError("--against", f"'{chosen}' cannot be its own control", "name another arm, or nothing")
    return chosen, None if against == "nothing" else against


# --- running ---------------------------------------------------------------------------------------------------------


def explain(
    experiment: Experiment,
    arm: str | None = None,
    against: str | None = None,
    mechanisms: Mapping[str, tuple[str, ...]] | None = None,
    draws: int = 0,
    out: Path | None = None,
    threads: int = 1,
    force: bool = False,
    progress: Progress | None = None,
    posterior: PosteriorDraws | None = None,
) -> Explanation:
    """Share out the effects of a treatment among mechanisms.

    Parameters
    ----------
    experiment
        What is done; its subjects are those of every world.
    arm, against
        Treated arm and control (see `choose_arms`); "nothing" takes outcomes as they are.
    mechanisms
        Name → switches and groups; `MECHANISMS` by default. A mechanism that the scenario itself has switched off
        plays no part.
    draws
        Further draws of all parameters from their priors, for intervals over parameters.
    out
        Folder where finished evaluations are kept.
    threads
        Of the engine.
    force
        Replace another study in that folder.
    progress
        Called as `progress(done, all, what)`, in simulated subjects.
    posterior
        Where the draws come from, instead of the ranges.

    Raises
    ------
    InputError
        As for `read_mechanisms`, `choose_arms` and `Ledger`; or if fewer than two subjects are asked for.
    """
    chosen, control = choose_arms(experiment, arm, against)
    if experiment.subjects < 2:
        raise InputError("--subjects", "one subject has no interval", "ask for at least 2, better 50")
    players = _playing(experiment, dict(mechanisms or MECHANISMS))
    facts = identity("explain", experiment, arm=chosen, against=control, mechanisms=players, draws=draws, **drawn_from(posterior))
    ledger = Ledger(out, facts, force)
    arms = [chosen] if control is None else [chosen, control]
    population = draw(experiment)
    worth = _worth(experiment, players, arms, population, _drawn(experiment, draws, posterior), draws, ledger, threads, progress)
    if progress:
        total = experiment.subjects * 2 ** len(players) * len(arms) * (1 + draws)
        progress(total, total, "the order of events")
    events = _events(experiment, chosen, control, population, threads)
    return Explanation(
        experiment.name, chosen, control, experiment.subjects, players, worth, events, _noun(experiment),
        experiment.seed, facts,
    )


def _worth(
    experiment: Experiment, players: Mapping[str, tuple[str, ...]], arms: Sequence[str], population: Population,
    drawn: Population | None, draws: int, ledger: Ledger, threads: int, progress: Progress | None,
) -> dict[str, Array]:
    """Effect (treated less control) in every world, by name; shape (1 + draws, worlds, subjects)."""
    worlds = shapley.coalitions(len(players))
    total, done = experiment.subjects * len(worlds) * len(arms) * (1 + draws), 0
    effects = (*EFFECTS, *((PROTECTION,) if experiment.protocol.rechallenge else ()))
    worth = {name: np.zeros((1 + draws, len(worlds), experiment.subjects)) for name in effects}
    for code, members in enumerate(worlds):
        world = _world(experiment, players, members)
        what = "all mechanisms" if len(members) == len(players) else "without " + ", ".join(
            name for i, name in enumerate(players) if i not in members
        )
        for place, name in enumerate(arms):
            if progress:
                progress(done, total, f"{name}, {what}")
            found = ledger.get(f"{code}/{name}", lambda: _outcomes(world, name, population, effects, threads))  # noqa: B023
            for effect in effects:
                worth[effect][0, code] += found[effect] * (1 - 2 * place)
            if drawn is not None:
                found = ledger.get(
                    f"{code}/{name}/draws",
                    lambda: evaluate(world, name, _switched(drawn, world), EFFECTS, draws, threads),  # noqa: B023
                )
                for effect in EFFECTS:
                    worth[effect][1:, code] += found[effect] * (1 - 2 * place)
            done += experiment.subjects * (1 + draws)
    if draws and PROTECTION in worth:  # not drawn: rechallenge of every draw would double the cost
        worth[PROTECTION] = worth[PROTECTION][:1]
    return worth


def _playing(experiment: Experiment, mechanisms: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Mechanisms of which the scenario leaves something on."""
    on = experiment.switches
    found = {
        name: switches for name, switches in mechanisms.items()
        if any(on.get(switch, True) for switch in expanded(switches, "--mechanism"))
    }
    if not found:
        raise InputError("switches", "the scenario has switched off every mechanism that is to be explained", "turn one on")
    return found


def _world(experiment: Experiment, players: Mapping[str, tuple[str, ...]], members: Sequence[int]) -> Experiment:
    """The experiment with only some of the mechanisms; what the scenario has switched off stays off."""
    off = [
        switch for i, names in enumerate(players.values()) if i not in members
        for switch in expanded(names, "--mechanism")
    ]
    return experiment.changed(switches=dict.fromkeys(off, False)) if off else experiment


def _switched(population: Population, world: Experiment) -> Population:
    """The same subjects with the switches of a world."""
    values = population.values.copy()
    for name, on in world.switches.items():
        values[population.names.index(f"switch_{name}")] = float(on)
    return replace(population, values=values)


def _drawn(experiment: Experiment, draws: int, posterior: PosteriorDraws | None) -> Population | None:
    if not draws:
        return None
    values = parameter_draws(experiment, draws + 1, posterior)
    return population_of(experiment, {free: value[1:] for free, value in values.items()}, draws, experiment.subjects)


def _outcomes(
    world: Experiment, arm: str, population: Population, effects: Sequence[str], threads: int
) -> dict[str, Array]:
    """Outcomes of one arm in one world, each of shape (subjects,)."""
    people = _switched(population, world)
    found = {name: value[0] for name, value in evaluate(world, arm, people, EFFECTS, 1, threads).items()}
    if PROTECTION in effects:
        found[PROTECTION] = _protected(world, arm, people, found["cure"], threads)
    return found


def _protected(world: Experiment, arm: str, people: Population, cure: Array, threads: int) -> Array:
    """1 where a subject is cured and rejects the first line of the rechallenge, else 0."""
    plan = world.protocol.rechallenge
    found = np.zeros(people.subjects)
    if plan is None or not cure.any():
        return found
    run = simulate_arm(world, people, arm, 0, people.subjects, threads)
    again = simulate_rechallenge(world, people, run, plan.lines[0], threads)
    if again is not None:
        found[again.subject_ids] = immunity.challenge_outcome(again, plan.observe)[2]
    return found


def _events(
    experiment: Experiment, arm: str, control: str | None, population: Population, threads: int
) -> pd.DataFrame:
    times = next(item.times for item in experiment.protocol.arms if item.name == arm)
    start = min(times, default=0.0)
    run, other = (
        None if name is None else simulate_arm(experiment, population, name, 0, experiment.subjects, threads)
        for name in (arm, control)
    )
    assert run is not None
    return chronology(run, other, start)


def _noun(experiment: Experiment) -> str:
    """What subjects are called in a sentence: patients where the host is treated as such, else animals."""
    return "patient" if experiment.host_entry.meta.get("treated_as") == "patient" else "animal"


# --- in words --------------------------------------------------------------------------------------------------------


def sentences(found: Explanation) -> tuple[str, str]:
    """Two plain sentences for a clinician, made from the numbers: what did it, and in which order."""
    return _cause(found), _course(found)


def _percent(value: float) -> str:
    return f"{round(100.0 * value)} %"


def _cause(found: Explanation) -> str:
    effect = found.main
    total, none = found.total(effect)
    who = f"In {found.subjects} simulated {found.host}s, {found.arm} treatment"
    what = {"cure": "cure", "response": "response", "volume_reduction": "the shrinkage of the tumours"}[effect]
    over = f" over {found.control}" if found.control else ""
    if abs(total) < LEAST:
        return f"{who} had no effect worth explaining: it raised {what} by {_percent(total)}{over}."
    done = f"{who} raised {what} by {round(100.0 * total)} percentage points{over}"
    table = found.shares()
    rows = table.loc[table["effect"] == effect].sort_values("contribution", ascending=False).to_dict("records")
    rows = [row for row in rows if row["low"] > 0.0 or row["high"] < 0.0]
    if not rows:
        return f"{done}, and none of the mechanisms looked at accounts for it beyond chance."
    parts = [(f"{_percent(row['share'])} ({_bands(row)})", row["mechanism"]) for row in rows if row["contribution"] > 0.0]
    due = [f"{share} {'is due ' if i == 0 else ''}to {name}" for i, (share, name) in enumerate(parts)]
    against = [row["mechanism"] for row in rows if row["contribution"] < 0.0]
    top = rows[0]
    ending = (
        f"{top['mechanism']} alone would give {_percent(top['alone'] + none)}, and without it "
        f"{_percent(total - top['without'])} would be left"
    )
    opposing = f" ({_join(against)} worked against it)" if against else ""
    return f"{done}; of this, {_join(due)}{opposing}: {ending}."


def _bands(row: Mapping[str, Any]) -> str:
    """Intervals of a share: over subjects, and over draws of the parameters where there are some."""
    subjects = f"{round(100.0 * row['share_low'])}–{round(100.0 * row['share_high'])}"
    if not row["draws_shared"]:
        return subjects
    return f"{subjects}; over parameters {round(100.0 * row['share_draws_low'])}–{round(100.0 * row['share_draws_high'])}"


def _course(found: Explanation) -> str:
    table = order_table(found.events).to_dict("records")
    steps: dict[str, list[str]] = {}
    for row in table:
        if row["reached"] >= 0.5:
            steps.setdefault(_time(row["median"]), []).append(row["what"])
    if not steps:
        return "No step of the expected chain of events was reached in half of them."
    told = "; ".join(f"{when}: {', '.join(what)}" for when, what in steps.items())
    never = [row["what"] for row in table if row["reached"] < 0.1]
    missing = f"; hardly ever: {_join(never)}" if never else ""
    return f"After the first dose things happened in this order (median times): {told}{missing}."


def _time(hours: float) -> str:
    if hours <= 4.0:  # the first stored value
        return "within 4 h"
    return f"by {hours:.0f} h" if hours < 48.0 else f"by day {hours / 24.0:.0f}"


def _join(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
