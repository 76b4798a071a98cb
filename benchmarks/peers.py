"""The same right-hand side in other solvers: LSODA (scipy, right-hand side compiled) and libRoadRunner (CVODE)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.equations import AREAS, Equations, fresh_block, one_subject, parameter_values, read_state, write_state
from locokine.scenario.experiment import Experiment

Array = NDArray[np.float64]
MATHML = {"+": "plus", "-": "minus", "*": "times", "/": "divide", "exp": "exp", "log": "ln", "sqrt": "root", "abs": "abs"}


def source(equations: Equations) -> str:
    """Python text of a function rhs(t, y, p) -> (dy/dt, outputs), one line an operation."""
    graph, names = equations.graph, equations.used_parameters()
    ends = [*equations.derivatives, *equations.outputs.values()]
    at = {name: f"y[{i}]" for i, name in enumerate(equations.states)}
    at |= {name: f"p[{i}]" for i, name in enumerate(names)}

    def text(i: int) -> str:
        node = graph.nodes[i]
        if node[0] == "number":
            return repr(node[1])
        return at[node[1]] if node[0] == "symbol" else f"v{i}"

    lines = ["def rhs(t, y, p):"]
    for i in graph.needed(ends):
        kind, *of = graph.nodes[i]
        if kind in ("number", "symbol"):
            continue
        a = text(of[0])
        lines.append(f"    v{i} = {a} {kind} {text(of[1])}" if len(of) == 2 else f"    v{i} = {kind}({a})")
    lines.append(f"    made = np.empty({len(ends)})")
    lines += [f"    made[{k}] = {text(i)}" for k, i in enumerate(ends)]
    return "\n".join([*lines, "    return made", ""])


def compiled(equations: Equations) -> Any:
    """`source`, compiled."""
    import numba

    space: dict[str, Any] = {"np": np, "sqrt": np.sqrt, "exp": np.exp, "log": np.log}
    exec(source(equations), space)
    return numba.njit(error_model="numpy", fastmath={"contract"})(space["rhs"])


def sbml(equations: Equations) -> str:
    """The equations as SBML level 3: states by rate rules, every value used more than once by an assignment rule."""
    graph = equations.graph
    ends = {f"d_{name}": i for name, i in zip(equations.states, equations.derivatives, strict=True)}
    outputs = {f"out_{name}": i for name, i in equations.outputs.items()}
    order = graph.needed([*ends.values(), *outputs.values()])
    uses = dict.fromkeys(order, 0)
    for i in order:
        if graph.nodes[i][0] not in ("number", "symbol"):
            for j in graph.nodes[i][1:]:
                uses[j] += 1
    shared = [i for i in order if uses[i] > 1 and graph.nodes[i][0] not in ("number", "symbol")]
    named = set(shared)
    written: dict[int, str] = {}
    for i in order:  # operands come before what uses them
        kind, *of = graph.nodes[i]
        if kind == "number":
            mantissa, _, power = repr(of[0]).partition("e")
            written[i] = f'<cn type="e-notation">{mantissa}<sep/>{power}</cn>' if power else f"<cn>{mantissa}</cn>"
        elif kind == "symbol":
            written[i] = f"<ci>{of[0]}</ci>"
        else:
            inner = "".join(f"<ci>v{j}</ci>" if j in named else written[j] for j in of)
            written[i] = f"<apply><{MATHML[kind]}/>{inner}</apply>"

    def math(i: int) -> str:
        body = f"<ci>v{i}</ci>" if i in named else written[i]
        return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{body}</math>'

    def own(i: int) -> str:
        return f'<math xmlns="http://www.w3.org/1998/Math/MathML">{written[i]}</math>'

    parameters = [f'<parameter id="{name}" value="0" constant="true"/>' for name in equations.used_parameters()]
    parameters += [f'<parameter id="{name}" value="0" constant="false"/>' for name in equations.states]
    parameters += [f'<parameter id="v{i}" constant="false"/>' for i in shared]
    parameters += [f'<parameter id="{name}" constant="false"/>' for name in outputs]
    rules = [f'<assignmentRule variable="v{i}">{own(i)}</assignmentRule>' for i in shared]
    rules += [f'<assignmentRule variable="{name}">{math(i)}</assignmentRule>' for name, i in outputs.items()]
    rules += [f'<rateRule variable="{name[2:]}">{math(i)}</rateRule>' for name, i in ends.items()]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<sbml xmlns="http://www.sbml.org/sbml/level3/version1/core" level="3" version="1"><model id="well_mixed">'
        f"<listOfParameters>{''.join(parameters)}</listOfParameters><listOfRules>{''.join(rules)}</listOfRules>"
        "</model></sbml>"
    )


@dataclass
class Course:
    """What one subject did: outputs at the sample times, areas at the end, and the seconds the solver took."""

    volume: Array
    area_tumour: Array
    area_plasma: Array
    seconds: float


class Subject:
    """One subject of an experiment with its parameters, its start, and its doses as the engine gives them."""

    def __init__(self, made: Experiment, arm: str, subject: int) -> None:
        from locokine.engine.events import implant

        self.setting, self.block = fresh_block(made, arm, one_subject(made, subject))
        self.shells = int(self.setting.plan.shells)
        self.values = parameter_values(self.setting, self.block)
        for i in range(len(self.block.tissue)):
            implant(self.block, self.setting.plan, i, 0.0)
        self.start = np.concatenate([read_state(self.block, self.shells), np.zeros(len(AREAS))])
        self.doses = [float(t) for t in self.setting.plan.dose_time]

    def give(self, dose: int, y: Array) -> Array:
        """State after a dose."""
        from locokine.engine import body_pass, kernel, tissue_pass
        from locokine.engine.events import give
        from locokine.tissue import shells

        b, plan = self.block, self.setting.plan
        n = len(y) - len(AREAS)
        write_state(b, self.shells, y[:n])
        body_pass.outputs_pass(b.body, b.host)
        kernel.fill_scratch(b)
        for i in range(len(b.tissue)):
            tissue_pass.exchange_pass(b.tissue[i], plan.shells, b.body, b.host, b.line[i])
            shells.place_shells(b.tissue[i], b.lesion[i], plan.shells, plan.cores, b.scratch[0])
        give(b, plan, dose, 0, self.doses[dose])
        return np.concatenate([read_state(b, self.shells), y[n:]])


class Lsoda:
    """scipy's LSODA around the compiled right-hand side."""

    name = "SciPy LSODA"

    def __init__(self, equations: Equations) -> None:
        self.equations = equations
        self.function = compiled(equations)
        self.names = equations.used_parameters()

    def run(self, subject: Subject, times: Array, tolerance: float) -> Course:
        """Integrate one subject; outputs at `times` (h), which contain the times of the doses' ends."""
        from scipy.integrate import solve_ivp

        n = len(self.equations.states)
        p = np.array([subject.values[name] for name in self.names])
        small = absolute(subject.start, tolerance)
        seconds = 0.0
        volume, areas = [], []
        y, now = subject.start, 0.0
        for stop, dose in stops(subject.doses, times):
            if stop > now:
                began = time.thread_time()
                found = solve_ivp(lambda t, x: self.function(t, x, p)[:n], (now, stop), y, method="LSODA",
                                  rtol=tolerance, atol=small)
                seconds += time.thread_time() - began
                if not found.success:
                    raise RuntimeError(found.message)
                y, now = found.y[:, -1], stop
            if dose is None:
                volume.append(self.function(now, y, p)[n])
                areas.append(y[-2:])
            else:
                y = subject.give(dose, y)
        return Course(np.array(volume), *np.array(areas).T, seconds)


class RoadRunner:
    """libRoadRunner's CVODE on the equations as SBML."""

    name = "libRoadRunner CVODE"

    def __init__(self, equations: Equations) -> None:
        import roadrunner

        roadrunner.Config.setValue(roadrunner.Config.LOADSBMLOPTIONS_CONSERVED_MOIETIES, False)
        roadrunner.Logger.setLevel(roadrunner.Logger.LOG_FATAL)
        self.equations = equations
        self.names = equations.used_parameters()
        self.machine = roadrunner.RoadRunner(sbml(equations))
        self.machine.setIntegrator("cvode")

    def run(self, subject: Subject, times: Array, tolerance: float) -> Course:
        """Integrate one subject; outputs at `times` (h)."""
        rr, states = self.machine, self.equations.states
        rr.resetAll()
        for name in self.names:
            rr.setValue(name, subject.values[name])
        rr.integrator.setValue("relative_tolerance", tolerance)
        rr.integrator.setValue("absolute_tolerance", [float(a) for a in absolute(subject.start, tolerance)])
        rr.integrator.setValue("stiff", True)
        rr.integrator.setValue("maximum_num_steps", 200_000)
        seconds, now = 0.0, 0.0
        volume, areas = [], []
        self._put(subject.start)
        for stop, dose in stops(subject.doses, times):
            if stop > now:
                began = time.thread_time()
                rr.oneStep(now, stop - now, True)
                seconds += time.thread_time() - began
                now = stop
            if dose is None:
                volume.append(rr.getValue("out_volume"))
                areas.append([rr.getValue(name) for name in AREAS])
            else:
                y = np.array([rr.getValue(name) for name in states])
                self._put(subject.give(dose, y))
        return Course(np.array(volume), *np.array(areas).T, seconds)

    def _put(self, y: Array) -> None:
        for name, value in zip(self.equations.states, y, strict=True):
            self.machine.setValue(name, float(value))
        self.machine.integrator.restart(0.0)


def absolute(start: Array, tolerance: float) -> Array:
    """Absolute tolerances: a thousandth of the relative one, of the size that a state has at the start or of 1e-3."""
    return 1e-3 * tolerance * np.maximum(np.abs(start), 1e-3)


def stops(doses: list[float], times: Array) -> list[tuple[float, int | None]]:
    """Times to stop at, with the dose to give or None for a sample; samples come before doses of the same time."""
    marks: list[tuple[float, int | None]] = [(float(t), None) for t in times]
    marks += [(t, i) for i, t in enumerate(doses) if t <= times[-1]]
    return sorted(marks, key=lambda mark: (mark[0], -1 if mark[1] is None else mark[1]))
