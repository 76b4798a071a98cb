"""The well-mixed engine as a set of differential equations, for other solvers.

All states and laws of one lesion (core and rim), its draining node and its host are included. Left out is what is not a
differential equation: extinction and death, output, and the running account of exposure, for which two areas under IL-2
curves are added as states. Doses are changes of the state at a time (`trace_dose`), or given between two calls of the solver.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from locokine.engine import batch
from locokine.engine.block import Block
from locokine.engine.grid import Accuracy
from locokine.formats.symbols import Equations, Graph, Value, formulas, least, most
from locokine.population import Population, draw
from locokine.scenario.experiment import Experiment
from locokine.tissue import layout

Array = NDArray[np.float64]
AREAS = ("area_tumour", "area_plasma")
"""Areas under receptor-active IL-2 in tumour and plasma, nM h: the last two states."""
PER_SUBJECT = ("weights", "present", "share")
"""Arrays of a block that are not repeated for every subject."""


def one_subject(made: Experiment, subject: int) -> Population:
    """A population of one of the experiment's subjects."""
    people = draw(made)
    return Population(people.names, people.values[:, [subject]], people.seed)


def fresh_block(made: Experiment, arm: str, people: Population) -> tuple[batch.Setting, Block]:
    """A block of the engine with chance switched off: nobody dies of toxicity, no clonogen goes extinct."""
    chosen = next(a for a in made.protocol.arms if a.name == arm)
    plan = made.protocol
    setting = batch.prepare(made, people, chosen, plan.lesions, plan.follow_up, Accuracy())
    columns = np.minimum(np.arange(layout.WIDTH), people.subjects - 1)
    block = batch.make_block(setting, batch.parameters(setting), batch.chance(setting, "first", people.subjects),
                             columns, None)
    block.cure_draw[:] = 2.0
    block.death_draw[:] = np.inf
    return setting, block


def state_places(block: Block, shells: int, width: int, held: Any = ()) -> list[tuple[str, Any, list[int]]]:
    """Where a block keeps state: (name, view of rows by subject, rows); `held` says which agents have depots in tissue."""
    fields, count = len(layout.TISSUE_FIELDS), len(layout.TISSUE)
    lesions = len(block.tissue)
    every = len(layout.LESION_FIELDS)
    carriers = block.carriers.reshape(-1, width)
    rows = {
        "tissue": [shell * fields + f for shell in range(lesions * shells) for f in range(count)],
        "solute": list(range(0, block.solute.size // width, len(layout.SOLUTE))),
        "depot": [
            first + layout.SOLUTE.index("depot")
            for first in range(0, block.solute.size // width, len(layout.SOLUTE))
            if any(held) and held[first // (len(layout.SOLUTE) * shells) % len(held)]
        ],
        "tcells": list(range(block.tcells.size // width)),
        "carriers": [i for i in range(len(carriers)) if i % len(layout.CARRIER_POOLS)],
        "lesion": [i * every + layout.LESION_FIELDS.index(name) for i in range(lesions) for name in ("antigen", "danger")],
        "body": list(range(len(layout.BODY))),
        "pools": list(range(block.pools.size // width)),
        "node": list(range(block.node.size // width)),
    }
    arrays = {"depot": "solute"}
    return [(name, getattr(block, arrays.get(name, name)).reshape(-1, width), at) for name, at in rows.items()]


def read_state(block: Block, shells: int, held: Any = ()) -> Array:
    """State of the first subject of a block."""
    return np.concatenate([array[rows, 0] for _, array, rows in state_places(block, shells, layout.WIDTH, held)])


def write_state(block: Block, shells: int, y: Array) -> None:
    """Put a state into all subjects of a block."""
    first = 0
    for _, array, rows in state_places(block, shells, layout.WIDTH):
        array[rows] = y[first:first + len(rows), None]
        first += len(rows)


def _narrow(name: str, array: Any) -> Any:
    """The first subject of an array of a block, ready to hold formulas."""
    if name not in PER_SUBJECT:
        array = array.reshape(*array.shape[:-1], -1, layout.WIDTH)[..., 0]
        array = np.ascontiguousarray(array)
    return array.astype(object)


def _symbols(graph: Graph, block: Any) -> dict[str, float]:
    """Replace the parameters in a narrow block by symbols; return their values."""
    values: dict[str, float] = {}

    def put(array: Any, prefix: str, names: tuple[str, ...]) -> None:
        for i, name in enumerate(names):
            values[prefix + name] = float(array[i])
            array[i] = Value(graph, graph.symbol(prefix + name))

    put(block.host, "", layout.Host._fields)
    for i in range(len(block.line)):
        put(block.line[i], f"line{i}_", layout.Line._fields)
    for i in range(len(block.agent)):
        put(block.agent[i], f"agent{i}_", layout.Agent._fields)
    for i in range(len(block.agent)):
        for j in range(block.agent_arrays.shape[1]):
            name = f"agent{i}_coefficient{j}"
            values[name] = float(block.agent_arrays[i, j, 0])
            block.agent_arrays[i, j, 0] = Value(graph, graph.symbol(name))
        values[f"agent{i}_active"] = float(block.potency[i, 0])
        block.potency[i, 0] = Value(graph, graph.symbol(f"agent{i}_active"))
    for i in range(len(block.naive)):
        values[f"naive{i}"] = float(block.naive[i])
        block.naive[i] = Value(graph, graph.symbol(f"naive{i}"))
    for i in range(len(block.rate)):
        values[f"infusion{i}"] = 0.0
        block.rate[i, 0] = Value(graph, graph.symbol(f"infusion{i}"))
    return values


def narrow_block(block: Block) -> Block:
    """One subject of a block in object arrays (the last axis of two-dimensional scratch stays, of length 1)."""
    flat = ("tissue", "solute", "tcells", "carriers", "lesion", "body", "pools", "node", "naive", "host", "line", "agent",
            "plasma", "mean_plasma", "mean_node", "antigen_total", "returned", "contracted")
    made: dict[str, Any] = {}
    for name in block._fields:
        array = getattr(block, name)
        if name in PER_SUBJECT:
            made[name] = array.astype(object)
        elif name in flat:
            made[name] = _narrow(name, array)
        else:
            made[name] = np.ascontiguousarray(array[..., :1]).astype(object)
    return block._replace(**made)


def parameter_values(setting: batch.Setting, block: Block) -> dict[str, float]:
    """Values of all parameter symbols for the first subject of a block."""
    return _symbols(Graph(), narrow_block(block))


def symbolic_block(setting: batch.Setting, wide: Block, graph: Graph) -> tuple[Block, list[str], list[str]]:
    """A block of one subject whose states and parameters are symbols; the names of states and of parameters."""
    plan = setting.plan
    shells = int(plan.shells)
    block = narrow_block(wide)
    parameters = list(_symbols(graph, block))
    states: list[str] = []
    for name, array, rows in state_places(block, shells, 1, plan.held):
        for i, row in enumerate(rows):
            symbol = f"{name}_{i}"
            states.append(symbol)
            array[row, 0] = Value(graph, graph.symbol(symbol))
    _follow_at_once(block, setting)
    inner = formulas("tissue.layout")
    tissue = block.tissue.reshape(-1, len(inner.TISSUE_FIELDS))
    at = {name: i for i, name in enumerate(inner.TISSUE_FIELDS)}
    host = layout.Host(*block.host)
    for lesion in range(len(block.tissue)):  # what `implant` sets once
        block.lesion.reshape(len(block.tissue), -1)[lesion, layout.LESION_FIELDS.index("implanted")] = 1.0
        for k in range(shells):
            row = tissue[lesion * shells + k]
            row[at["core"]] = 1.0 * (k < int(plan.cores))
            row[at["cavity"]] = float(plan.cavity[lesion])
            row[at["vessel_target"]] = 1.0  # of solid tissue it is computed anew; of a cavity's wall it stays
            if plan.cavity[lesion] > 0.0 and k < int(plan.cores):
                row[at["vessel_target"]] = host.cavity_area / (6.283185307179586 * host.vessel_radius)
    return block, states, parameters


def trace(made: Experiment, arm: str) -> Equations:
    """The differential equations of a well-mixed experiment, from one infinitesimal step of its own source."""
    setting, wide = fresh_block(made, arm, one_subject(made, 0))
    return trace_block(setting, wide, Graph())


def trace_block(setting: batch.Setting, wide: Block, graph: Graph) -> Equations:
    """As `trace`, for a block that was made before."""
    plan = setting.plan
    block, states, parameters = symbolic_block(setting, wide, graph)
    places = state_places(block, int(plan.shells), 1, plan.held)
    present = np.ones(int(plan.agents))
    areas = _il2(block, setting)
    dt = Value(graph, graph.zero, graph.one)
    kernel, body_pass, tissue_pass = formulas("engine.kernel"), formulas("engine.body_pass"), formulas("engine.tissue_pass")
    kernel.remember_rest = lambda *_: None  # an account that nothing depends on
    formulas("engine.report_pass").track_exposure = lambda *_: None
    # amounts are kept from falling below 0 within a step; a solver that falls below by a rounding must come back
    body_pass.largest = lambda a, b: a if isinstance(b, float) and b == 0.0 else most(a, b)
    body_pass.outputs_pass(block.body, block.host)
    kernel.fill_scratch(block)
    for i in range(len(block.tissue)):
        tissue_pass.exchange_pass(block.tissue[i], plan.shells, block.body, block.host, block.line[i])
        kernel.move_fluid(block, plan, i, 0.0, dt)
        kernel.prepare_solutes(block, plan, i, dt)
    body_pass.clear_body_drives(block.body)
    kernel.fine_step(block, plan, 1e9, dt, 1.0, present)
    kernel.slow_step(block, plan, 1e9, dt)
    derivatives = [array[row, 0].d for _, array, rows in places for row in rows]
    inner = formulas("tissue.layout")
    tissue = block.tissue.reshape(-1, len(inner.TISSUE_FIELDS))
    at = {name: i for i, name in enumerate(inner.TISSUE_FIELDS)}
    outputs = {"volume": _volume(tissue, at, int(plan.cores)).v, "il2": areas[0].v, "il2_plasma": areas[1].v}
    return Equations(graph, [*states, *AREAS], [*derivatives, areas[0].v, areas[1].v], parameters, outputs)


def trace_dose(setting: batch.Setting, wide: Block, graph: Graph, dose: int) -> dict[str, int]:
    """What one dose changes: state → node of its value afterwards, from the engine's own source.

    Rules are left aside. An infusion into the blood changes no state; its rate is `infusion{agent}`.
    """
    block, states, _ = symbolic_block(setting, wide, graph)
    plan = setting.plan._replace(rule_kind=np.zeros(0, dtype=np.int64))
    before = [graph.symbol(name) for name in states]
    body_pass, tissue_pass = formulas("engine.body_pass"), formulas("engine.tissue_pass")
    kernel, events, shells = formulas("engine.kernel"), formulas("engine.events"), formulas("tissue.shells")
    events.note = lambda *_: None
    events.min, events.max = least, most
    body_pass.outputs_pass(block.body, block.host)
    kernel.fill_scratch(block)
    for i in range(len(block.tissue)):
        tissue_pass.exchange_pass(block.tissue[i], plan.shells, block.body, block.host, block.line[i])
        shells.place_shells(block.tissue[i], block.lesion[i], plan.shells, plan.cores, block.scratch[0])
    events.give(block, plan, dose, 0, float(plan.dose_time[dose]))
    lift = Value(graph, graph.zero).lift
    places = state_places(block, int(plan.shells), 1, plan.held)
    after = [lift(array[row, 0]).v for _, array, rows in places for row in rows]
    return {name: new for name, old, new in zip(states, before, after, strict=True) if new != old}


def _volume(tissue: Any, at: dict[str, int], cores: int) -> Any:
    return sum(tissue[k][at["volume"]] for k in range(cores))


def _follow_at_once(block: Block, setting: batch.Setting) -> None:
    """What follows from a state at once: sums over antigens, concentrations."""
    plan = setting.plan
    shells, agents, antigens = int(plan.shells), int(plan.agents), int(plan.antigens)
    at = {name: i for i, name in enumerate(layout.TISSUE_FIELDS)}
    tissue = block.tissue.reshape(len(block.tissue), shells, -1)
    solute = block.solute.reshape(len(block.tissue), agents, shells, -1)
    cells = block.tcells.reshape(len(block.tissue), shells, antigens)
    total = layout.LESION_FIELDS.index("cells")
    # depots release what then moves freely; agents that matrix binds are refused before
    binding = formulas("biology.binding")
    binding.free_concentration = lambda amount, fluid, sites, kd: amount / fluid
    binding.room = lambda concentration, fluid, sites, kd: fluid
    for i in range(len(block.tissue)):
        count: Any = 0.0
        for k in range(shells):
            tissue[i, k, at["t_all"]] = sum(cells[i, k, g] for g in range(antigens))
            tissue[i, k, at["t_specific"]] = sum(cells[i, k, g] * float(block.weights[i, g]) for g in range(antigens))
            count = count + tissue[i, k, at["viable"]] + tissue[i, k, at["loss"]]
            for g in range(agents):
                amount, fluid = solute[i, g, k, 0], tissue[i, k, at["fluid"]]
                solute[i, g, k, 1] = amount / fluid
        block.lesion.reshape(len(block.tissue), -1)[i, total] = count
    central = block.host[layout.Host._fields.index("central_volume")]
    pools = block.pools.reshape(agents, -1)
    for g in range(agents):
        block.plasma[g] = pools[g, 0] / central


def _il2(block: Block, setting: batch.Setting) -> tuple[Any, Any]:
    """Receptor-active IL-2 in the first lesion's core and in plasma."""
    agents, shells = int(setting.plan.agents), int(setting.plan.shells)
    solute = block.solute.reshape(len(block.tissue), agents, shells, -1)
    here = sum(solute[0, g, 0, 1] * block.potency[g, 0] for g in range(agents))
    plasma = sum(block.plasma[g] * block.potency[g, 0] for g in range(agents))
    return here, plasma
