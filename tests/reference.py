"""What the verification tests share: experiments, and blocks of the engine opened up after a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import locokine
from locokine.engine import batch
from locokine.engine.block import LEDGER, Block
from locokine.engine.grid import Accuracy
from locokine.engine.run import ArmRun
from locokine.engine.variables import BODY, FIELD, LESION, PLACES
from locokine.population import Population, draw
from locokine.population.draw import row_records
from locokine.scenario.experiment import Experiment
from locokine.scenario.load import load
from locokine.scenario.protocol import Arm, Dose
from locokine.tissue import layout

Array = NDArray[np.float64]
WIDTH = layout.WIDTH
PACKAGE = Path(locokine.__file__).parent
LESION_AT = {variable.name: i for i, variable in enumerate(LESION)}
BODY_AT = {variable.name: i for i, variable in enumerate(BODY)}
FIELD_AT = {variable.name: i for i, variable in enumerate(FIELD)}
PLACE_AT = {name: i for i, name in enumerate(PLACES)}

SIGNED = tuple(name for name in ("strain_ref", "pressure_ref") if name in layout.TISSUE)
"""States of the tissue that may be negative."""

FLANK = {"flank": {"line": "sl2", "site": "subcutis", "cells": "1e6 cells", "day": 0}}
ASCITES = {"ascites": {"line": "sl2", "site": "peritoneum", "cells": "2e4 cells", "day": 0}}
SKIN = {"skin": {"line": "melanoma_skin", "site": "skin", "diameter": "9 mm", "count": 3, "spread": 0.2, "day": 0}}
COURSE = "aldesleukin 20000 IU {route} in 0.1 mL daily days 10-14"


# --- experiments -----------------------------------------------------------------------------------------------------


def experiment(arms: Mapping[str, Sequence[str]] | None = None, **changed: Any) -> Experiment:
    """A small experiment: mice with a tumour under the skin, well mixed, unless something else is said."""
    scenario: dict[str, Any] = {
        "experiment": "verification",
        "host": "dba2_mouse",
        "lesions": FLANK,
        "arms": {name: list(lines) for name, lines in (arms or {"untreated": []}).items()},
        "subjects": 4,
        "follow-up": "30 days",
        "geometry": "well-mixed",
        "seed": 1,
    }
    library = changed.pop("library", None)
    scenario.update({name.replace("_", "-") if name == "follow_up" else name: value for name, value in changed.items()})
    if "rim_shells" in scenario:
        scenario["rim-shells"] = scenario.pop("rim_shells")
    return load(scenario, library=library)


def with_doses(made: Experiment, **arms: Sequence[Dose]) -> Experiment:
    """The experiment with arms of the given doses, beyond what the dosing language lets one write."""
    new = tuple(Arm(name, tuple(doses)) for name, doses in arms.items())
    return dataclasses.replace(made, protocol=dataclasses.replace(made.protocol, arms=new))


def simulate(made: Experiment, arm: str | None = None, subjects: int | None = None, **options: Any) -> ArmRun:
    """One arm (the first unless named) with the experiment's own population."""
    population = draw(made)
    count = made.subjects if subjects is None else subjects
    return batch.simulate_arm(made, population, arm or made.protocol.arms[0].name, 0, count, **options)


def differing(one: ArmRun, other: ArmRun, but: Sequence[str] = ("arm",)) -> list[str]:
    """Names of what differs between two runs in a bit of an array or in an event; empty if nothing does."""
    found = []
    for item in dataclasses.fields(ArmRun):
        if item.name in but:
            continue
        a, b = getattr(one, item.name), getattr(other, item.name)
        if isinstance(a, np.ndarray):
            found += [item.name] if a.tobytes() != b.tobytes() else []
        elif item.name == "end_state" and a is not None and b is not None:
            found += [f"end_state.{key}" for key in a.keys() ^ b.keys()]
            found += [f"end_state.{key}" for key in a.keys() & b.keys() if a[key].tobytes() != b[key].tobytes()]
        else:
            found += [item.name] if repr(a) != repr(b) else []
    return found


# --- blocks ----------------------------------------------------------------------------------------------------------


@dataclass
class Opened:
    """One block of the engine after a run: its state beside its output."""

    setting: batch.Setting
    block: Block
    daily_lesion: Array
    daily_body: Array
    series_lesion: Array
    series_body: Array
    fields: Array
    time: Array
    stopped: float

    def lesion(self, name: str, daily: bool = False) -> Array:
        """Series of a lesion variable, shape (lesions, times, subjects)."""
        return (self.daily_lesion if daily else self.series_lesion)[LESION_AT[name]]

    def body(self, name: str, daily: bool = False) -> Array:
        """Series of a body variable, shape (times, subjects)."""
        return (self.daily_body if daily else self.series_body)[BODY_AT[name]]

    def tissue(self, name: str) -> Array:
        """A tissue field, shape (lesions, shells, subjects)."""
        return tissue_view(self.block, name)

    def total(self, name: str) -> Array:
        """A field of the lesion totals, shape (lesions, subjects)."""
        return lesion_view(self.block, name)

    def ledger(self, name: str) -> Array:
        """A column of the ledger, shape (agents, subjects)."""
        return self.block.ledger[:, LEDGER.index(name)]

    def host(self, name: str) -> Array:
        """A parameter of hosts and laws, shape (subjects,)."""
        return self.block.host.reshape(-1, WIDTH)[layout.Host._fields.index(name)]

    def line(self, name: str) -> Array:
        """A parameter of the line of the first lesion, shape (subjects,)."""
        return self.block.line[0].reshape(-1, WIDTH)[layout.Line._fields.index(name)]

    def solutes(self) -> Array:
        """Amounts of all agents, shape (lesions, agents, shells, subjects)."""
        shape = (len(self.block.tissue), len(self.block.agent), -1, len(layout.SOLUTE), WIDTH)
        return self.block.solute.reshape(shape)[:, :, :, 0]

    def exposure(self, place: str, agent: int = -1) -> tuple[Array, Array]:
        """Peak and area under the curve."""
        return self.block.peak[PLACE_AT[place], agent], self.block.auc[PLACE_AT[place], agent]


def tissue_view(block: Block, name: str) -> Array:
    """A tissue field of a block, shape (lesions, shells, subjects); writable."""
    fields = layout.TISSUE_FIELDS
    return block.tissue.reshape(len(block.tissue), -1, len(fields), WIDTH)[:, :, fields.index(name)]


def lesion_view(block: Block, name: str) -> Array:
    """A field of the lesion totals of a block, shape (lesions, subjects); writable."""
    return block.lesion.reshape(len(block.lesion), -1, WIDTH)[:, layout.LESION_FIELDS.index(name)]


def prepared(
    made: Experiment,
    arm: str | None = None,
    population: Population | None = None,
    accuracy: Accuracy | None = None,
    chance: bool = True,
) -> tuple[batch.Setting, Block]:
    """One block, filled and ready to run; without `chance` nobody dies of toxicity and no clonogen goes extinct."""
    chosen = next(a for a in made.protocol.arms if arm in (None, a.name))
    people = draw(made) if population is None else population
    setting = batch.prepare(
        made, people, chosen, made.protocol.lesions, made.protocol.follow_up, accuracy or Accuracy()
    )
    columns = np.minimum(np.arange(WIDTH), people.subjects - 1)
    draws = batch.chance(setting, "first", people.subjects)
    block = batch.make_block(setting, batch.parameters(setting), draws, columns, None)
    if not chance:
        block.cure_draw[:] = 2.0
        block.death_draw[:] = np.inf
    return setting, block


def open_run(
    made: Experiment,
    arm: str | None = None,
    population: Population | None = None,
    accuracy: Accuracy | None = None,
    every_step: bool = False,
    chance: bool = True,
    change: Callable[[Block], None] | None = None,
) -> Opened:
    """Run one block of subjects and keep it open; `every_step` writes the series at every grid point."""
    from locokine.engine.kernel import run_block

    setting, block = prepared(made, arm, population, accuracy, chance)
    if change is not None:
        change(block)
    plan = setting.plan
    if every_step:
        output = plan.output.copy()
        output[:, 1] = np.arange(len(output))
        plan = plan._replace(output=output)
    days, times, pictures = (int(plan.output[:, c].max()) + 1 for c in range(3))
    lesions = len(setting.lesions)
    out = [
        np.full((len(LESION), lesions, days, WIDTH), np.nan),
        np.full((len(BODY), days, WIDTH), np.nan),
        np.full((len(LESION), lesions, times, WIDTH), np.nan),
        np.full((len(BODY), times, WIDTH), np.nan),
        np.full((len(FIELD), lesions, pictures, int(plan.shells), WIDTH), np.nan),
    ]
    stopped = run_block(block, plan, *out)
    time = plan.time if every_step else plan.time[plan.output[:, 1] >= 0]
    return Opened(setting, block, *out, time, stopped)


def implanted(opened: Opened) -> Block:
    """A fresh block of the same hosts with all lesions as they were implanted."""
    from locokine.engine.settle import implant_due

    setting = opened.setting
    columns = np.minimum(np.arange(WIDTH), setting.population.subjects - 1)
    draws = batch.chance(setting, "first", setting.population.subjects)
    block = batch.make_block(setting, batch.parameters(setting), draws, columns, None)
    implant_due(block, setting.plan, -1.0, np.inf)
    return block


def random_population(made: Experiment, seed: int) -> Population:
    """Sixteen hosts whose every parameter lies anywhere in the 90 % range of its record."""
    names = draw(made, 1).names
    random = np.random.default_rng(seed)
    records = row_records(made)
    rows = []
    for name in names:
        if name.startswith("switch_"):
            rows.append(np.ones(WIDTH))
            continue
        record = records[name]
        low, high = record.low, record.high
        if record.distribution == "fixed" or low is None or high is None or not low < high:
            rows.append(np.full(WIDTH, record.value))
        elif low > 0.0 and record.distribution == "lognormal":
            rows.append(np.exp(random.uniform(np.log(low), np.log(high), WIDTH)))
        else:
            rows.append(random.uniform(low, high, WIDTH))
    return Population(names, np.array(rows), seed)


def state(opened: Opened, s: int) -> dict[str, Any]:
    """Arguments of the tissue laws for host `s`, pushed off the values at which a law happens to be silent."""
    block = opened.block
    shell = block.tissue[0].reshape(-1, len(layout.TISSUE_FIELDS), WIDTH)[0, :, s]
    body = block.body.reshape(-1, WIDTH)[:, s]

    def taken(kind: Any, fields: tuple[str, ...], values: np.ndarray) -> Any:
        first = fields.index(kind._fields[0])
        return kind(*values[first : first + len(kind._fields)])

    first = layout.BODY_FIELDS.index(layout.BODY_OUTPUTS[0])
    x = taken(layout.Tissue, layout.TISSUE_FIELDS, shell)
    a = layout.Inputs(*shell[len(layout.TISSUE) : len(layout.TISSUE) + len(layout.INPUTS)])
    at = len(layout.TISSUE) + len(layout.INPUTS)
    e = layout.Exchange(*shell[at : at + len(layout.EXCHANGE)])
    x = x._replace(
        armed=0.6,
        lak_level=0.5,
        nk=max(x.nk, 1e4),
        macrophages=max(x.macrophages, 1e4),
        viable=max(x.viable, 1e6),
        treg=max(x.treg, 1e3),
        e_direct=0.3,
        e_thrombotic=0.4,
        e_lymphocyte=0.2,
        perfusion=0.25,
    )
    a = a._replace(
        t_specific=max(a.t_specific, 1e5), t_all=max(a.t_all, 1e5), g_direct=0.7, g_thrombotic=0.6, g_treg=0.5,
        upstream=0.4, interferon=0.5,
    )
    told = layout.BODY_FIELDS.index(layout.BODY_INPUTS[0])
    return {
        "x": x,
        "a": a,
        "e": e,
        "b": layout.BodyOutputs(*body[first : first + len(layout.BODY_OUTPUTS)]),
        "p": layout.Host(*block.host.reshape(-1, WIDTH)[:, s]),
        "l": layout.Line(*block.line[0].reshape(-1, WIDTH)[:, s]),
        "body": layout.Body(*body[: len(layout.BODY)]),
        "told": layout.BodyInputs(*body[told : told + len(layout.BODY_INPUTS)])._replace(
            g_direct=0.5, occupied=0.6, il2_plasma=2.0, il2_node=5.0
        ),
    }
