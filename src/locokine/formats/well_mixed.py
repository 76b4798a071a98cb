"""One host of a well-mixed experiment as a complete SBML model: equations, values, start, doses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from locokine.engine import batch
from locokine.engine.block import Block
from locokine.errors import InputError
from locokine.formats import equations as engine
from locokine.formats.sbml import LAG, Content, Event, broken, sbml
from locokine.formats.symbols import Equations, Graph
from locokine.population import Population, draw
from locokine.population.draw import row_records
from locokine.scenario.experiment import Experiment
from locokine.scenario.protocol import CAVITIES
from locokine.tissue import layout

BOUND = ("matrix_sites", "matrix_sites_normal")
"""Parameters of an agent that are above 0 if matrix binds it."""
FORMULAS_OF_DOSES = 8_000
"""Operations that the formulas of all doses may have together when they are written out."""


def median_host(experiment: Experiment) -> Population:
    """A population of one: every parameter at the value of its record, switches as the experiment has them."""
    drawn = draw(experiment, 1)
    records = row_records(experiment)
    values = drawn.values[:, :1].copy()
    for row, name in enumerate(drawn.names):
        if name in records:
            values[row, 0] = records[name].value
    return Population(drawn.names, values, drawn.seed)


def export_sbml(experiment: Experiment, arm: str, subject: int | None = None) -> str:
    """Return one arm of a well-mixed experiment as SBML level 3.

    Time is in h, volumes in mm³, amounts in fmol, cells in cells. Extinction, death, rules and the rechallenge are not
    differential equations and are left out.

    Parameters
    ----------
    experiment
        With `geometry: well-mixed` and all lesions on day 0.
    arm
        Name of the arm whose doses become events.
    subject
        Which virtual subject; None takes every parameter at its median.

    Raises
    ------
    InputError
        If the experiment has shells, a lesion that begins later, or no such arm or subject.
    """
    experiment = reduced(experiment, arm)
    _check(experiment, arm, subject)
    people = median_host(experiment) if subject is None else engine.one_subject(experiment, subject)
    setting, block = engine.fresh_block(experiment, arm, people)
    graph = Graph()
    traced = engine.trace_block(setting, block, graph)
    values = engine.parameter_values(setting, block)
    start = _start(setting, block)
    events, extra = _doses(setting, block, graph)
    outputs = {"tumour_volume": traced.outputs["volume"], "il2_tumour": traced.outputs["il2"],
               "il2_plasma": traced.outputs["il2_plasma"]}
    model = Equations(graph, traced.states, traced.derivatives, traced.parameters, outputs)
    cut = broken(model, [*model.derivatives, *outputs.values()])
    if extra:
        cut = sorted({*cut, *broken(model, extra, FORMULAS_OF_DOSES)})
    who = "median host" if subject is None else f"subject {subject} of seed {experiment.seed}"
    notes = (
        f"locokine: experiment {experiment.name}, arm {arm}, {who}. Time in h, volumes in mm3, amounts in fmol, IL-2 in nM. "
        f"Extinction, death, rules and rechallenge are left out; v-numbered states follow their formulas within {LAG} h. "
        "Research use only; never for dosing or treating patients."
    )
    labels = {**labels_of(setting, block), "tumour_volume": "volume of the first lesion, mm3",
              "il2_tumour": "receptor-active IL-2 in the first lesion, nM", "il2_plasma": "receptor-active IL-2 in plasma, nM"}
    return sbml(model, cut, Content("well_mixed", notes, values, start, labels, events))


def reduced(experiment: Experiment, arm: str) -> Experiment:
    """Return the experiment with one arm and the agents that this arm gives.

    Raises
    ------
    InputError
        If there is no such arm.
    """
    protocol = experiment.protocol
    chosen = next((one for one in protocol.arms if one.name == arm), None)
    if chosen is None:
        raise InputError("--arm", f"there is no arm '{arm}'", f"one of {', '.join(one.name for one in protocol.arms)}")
    given = {dose.agent for dose in chosen.doses}
    agents = tuple(name for name in protocol.agents if name in given)
    return replace(experiment, protocol=replace(protocol, arms=(chosen,), agents=agents))


def _check(experiment: Experiment, arm: str, subject: int | None) -> None:
    if subject is not None and not 0 <= subject < experiment.subjects:
        raise InputError("--subject", f"there is no subject {subject}", f"0 to {experiment.subjects - 1}")
    if experiment.protocol.geometry != "well-mixed" and any(p.site not in CAVITIES for p in experiment.protocol.lesions):
        remedy = "say --geometry well-mixed, or write geometry: well-mixed"
        raise InputError("geometry", "shells are partial differential equations", remedy)
    (chosen,) = experiment.protocol.arms
    if chosen.acts or any(plan.seeded_by for plan in experiment.protocol.lesions):
        what = "radiotherapy, surgery and seeded lesions are"
        raise InputError(f"arms.{arm}", f"{what} not written as equations", "export an arm of doses alone")
    for agent in experiment.protocol.agents:
        records = experiment.agent_records(agent)
        if any(records[name].value > 0.0 for name in BOUND):
            problem = f"'{agent}' is bound by matrix: not written as equations"
            raise InputError(f"agents.{agent}", problem, "export an experiment with agents that matrix does not bind")
        toxic = any(records[name].value > 0.0 for name in batch.TOXIC)
        # cyclophosphamide into the peritoneum: other solvers found 3.4 % less tumour than the engine, cisplatin in it 0.05 %
        if toxic and any(dose.agent == agent and dose.route != "intratumoural" for dose in chosen.doses):
            problem = f"'{agent}' kills cells from the blood: what the equations say then is not close enough to the engine"
            raise InputError(f"arms.{arm}", problem, "export an arm that gives it into the tumour, or without it")
    for plan in experiment.protocol.lesions:
        if plan.day > 0.0:
            raise InputError(f"lesions.{plan.name}.day", f"begins on day {plan.day:g}", "let all lesions begin on day 0")


def _start(setting: batch.Setting, block: Block) -> dict[str, float]:
    """State at time 0 with all lesions in place."""
    from locokine.engine.settle import implant_due

    implant_due(block, setting.plan, -1.0, 0.0)
    shells = int(setting.plan.shells)
    state = engine.read_state(block, shells, setting.plan.held)
    places = engine.state_places(block, shells, layout.WIDTH, setting.plan.held)
    names = [f"{name}_{i}" for name, _, rows in places for i in range(len(rows))]
    return {**dict(zip(names, map(float, state), strict=True)), **dict.fromkeys(engine.AREAS, 0.0)}


def _doses(setting: batch.Setting, block: Block, graph: Graph) -> tuple[list[Event], list[int]]:
    """Events of all doses and infusions, and the nodes that they need."""
    plan = setting.plan
    known: dict[tuple[object, ...], dict[str, int]] = {}
    events: list[Event] = []
    running: list[tuple[float, float, int, int]] = []
    for dose in range(len(plan.dose_time)):
        time, duration, agent = float(plan.dose_time[dose]), float(plan.dose_duration[dose]), int(plan.dose_agent[dose])
        if duration > 0.0:  # only infusions into the blood are left whole by the engine
            amount = graph.number(float(plan.dose_amount[dose]))
            if np.isnan(plan.dose_amount[dose]):
                amount = graph.apply("*", graph.number(float(plan.dose_per_kg[dose])), graph.symbol("weight"))
            running.append((time, time + duration, agent, graph.apply("/", amount, graph.number(duration))))
            continue
        columns = ("agent", "route", "amount", "per_kg", "volume", "distance", "each")
        key = (*(repr(getattr(plan, f"dose_{name}")[dose]) for name in columns), tuple(plan.dose_lesion[dose]))
        if key not in known:
            known[key] = engine.trace_dose(setting, block, graph, dose)
        events.append(Event(time, known[key]))
    events += _infusions(running, graph)
    return sorted(events, key=lambda one: one.time), [i for change in known.values() for i in change.values()]


def _infusions(running: list[tuple[float, float, int, int]], graph: Graph) -> list[Event]:
    """Events at which the rate of infusion of an agent changes."""
    events = []
    for time in sorted({mark for start, end, _, _ in running for mark in (start, end)}):
        changes = {}
        for agent in sorted({agent for _, _, agent, _ in running}):
            rate = graph.zero
            for start, end, which, node in running:
                if which == agent and start <= time < end - 1e-9:
                    rate = graph.apply("+", rate, node)
            changes[f"infusion{agent}"] = rate
        events.append(Event(time, changes))
    return events


def labels_of(setting: batch.Setting, block: Block) -> dict[str, str]:
    """Readable names of the states."""
    plan = setting.plan
    shells = int(plan.shells)
    lesions = [lesion.name for lesion in setting.lesions]
    agents = ("endogenous IL-2", *setting.experiment.protocol.agents)
    place = [f"{name}, {'core' if k < int(plan.cores) else 'rim'} {k + 1}" for name in lesions for k in range(shells)]
    antigens = [f"antigen {i + 1}" for i in range(int(plan.antigens))]
    named = {
        "tissue": [f"{where}: {field}" for where in place for field in layout.TISSUE],
        "solute": [f"{name}: {agent}, shell {k + 1}" for name in lesions for agent in agents for k in range(shells)],
        "depot": [
            f"{name}: {agent}, not yet released, shell {k + 1}"
            for name in lesions for agent, held in zip(agents, plan.held, strict=True) if held for k in range(shells)
        ],
        "tcells": [f"{where}: T cells, {antigen}" for where in place for antigen in antigens],
        "carriers": [f"{name}: dendritic transit {i}, {antigen}" for name in lesions for antigen in antigens for i in (1, 2)],
        "lesion": [f"{name}: antigen and danger" for name in lesions],
        "body": list(layout.BODY),
        "pools": [f"{agent}: {pool}" for agent in agents for pool in layout.AGENT_POOLS],
        "node": [f"node: {pool}, {antigen}" for antigen in antigens for pool in layout.NODE_POOLS],
    }
    made: dict[str, str] = {}
    for name, _, rows in engine.state_places(block, shells, layout.WIDTH, setting.plan.held):
        texts = named[name] if len(named[name]) == len(rows) else [f"{name} {i}" for i in range(len(rows))]
        made |= {f"{name}_{i}": text for i, text in enumerate(texts)}
    return made
