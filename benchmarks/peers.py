"""The same right-hand side in other solvers: LSODA (scipy, right-hand side compiled) and libRoadRunner (CVODE)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locokine.formats.equations import AREAS, fresh_block, one_subject, parameter_values, read_state, write_state
from locokine.formats.sbml import broken, sbml
from locokine.formats.symbols import Equations
from locokine.scenario.experiment import Experiment
from locokine.tissue import layout

Array = NDArray[np.float64]
MOST = 70_000
"""Operations of the SBML model written out: fewer states of their own make it faster, and slower to load."""
FIRST = 1e-6
"""First step of the other solvers after the start and after a dose, h: without it they step over the injection's peak."""


def source(equations: Equations, ends: list[int]) -> str:
    """Python text of a function rhs(t, y, p) that returns the values of the nodes `ends`, one line an operation."""
    graph, names = equations.graph, equations.used_parameters()
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


def values_of(equations: Equations, ends: list[int]) -> Any:
    """`source` as a Python function."""
    space: dict[str, Any] = {"np": np, "sqrt": np.sqrt, "exp": np.exp, "log": np.log}
    exec(source(equations, ends), space)
    return space["rhs"]


def compiled(equations: Equations) -> Any:
    """dy/dt and the outputs, compiled."""
    import numba

    ends = [*equations.derivatives, *equations.outputs.values()]
    return numba.njit(error_model="numpy", fastmath={"contract"})(values_of(equations, ends))


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
        from locokine.engine.settle import implant_due

        self.setting, self.block = fresh_block(made, arm, one_subject(made, subject))
        self.shells = int(self.setting.plan.shells)
        self.values = parameter_values(self.setting, self.block)
        implant_due(self.block, self.setting.plan, -1.0, 0.0)
        self.start = np.concatenate([read_state(self.block, self.shells), np.zeros(len(AREAS))])
        self.doses = [float(t) for t in self.setting.plan.dose_time]

    def give(self, dose: int, y: Array) -> Array:
        """State after a dose."""
        from locokine._jit import callable_alone
        from locokine.engine import body_pass, kernel, tissue_pass
        from locokine.engine.events import give
        from locokine.tissue import shells

        b, plan = self.block, self.setting.plan
        n = len(y) - len(AREAS)
        write_state(b, self.shells, y[:n])
        body_pass.outputs_pass(b.body, b.host)
        callable_alone(kernel.fill_scratch)(b)
        for i in range(len(b.tissue)):
            tissue_pass.exchange_pass(b.tissue[i], plan.shells, b.body, b.host, b.line[i])
            shells.place_shells(b.tissue[i], b.lesion[i], plan.shells, plan.cores, b.scratch[0])
        callable_alone(give)(b, plan, dose, 0, self.doses[dose])
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
        small, least = absolute(subject.start, tolerance), lowest(self.equations.states)
        seconds = 0.0
        volume, areas = [], []
        y, now = subject.start, 0.0
        for stop, dose in stops(subject.doses, times):
            if stop > now:
                began = time.thread_time()
                found = solve_ivp(lambda t, x: self.function(t, np.maximum(x, least), p)[:n], (now, stop), y,
                                  method="LSODA", rtol=tolerance, atol=small, first_step=FIRST)
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

        roadrunner.Logger.setLevel(roadrunner.Logger.LOG_FATAL)
        self.equations = equations
        self.names = equations.used_parameters()
        self.cut = broken(equations, most=MOST)
        began = time.perf_counter()
        self.machine = roadrunner.RoadRunner(sbml(equations, self.cut))
        self.loading = time.perf_counter() - began
        self.machine.setIntegrator("cvode")
        self.begin = values_of(equations, self.cut)
        self.look = values_of(equations, [equations.outputs["volume"]])

    def run(self, subject: Subject, times: Array, tolerance: float) -> Course:
        """Integrate one subject; outputs at `times` (h)."""
        rr = self.machine
        rr.resetAll()
        p = np.array([subject.values[name] for name in self.names])
        for name, value in zip(self.names, p, strict=True):
            rr.setValue(name, float(value))
        n = len(self.equations.states)
        small = absolute(np.concatenate([subject.start, self.begin(0.0, subject.start, p)]), tolerance)
        rr.integrator.setValue("stiff", True)
        rr.integrator.setValue("relative_tolerance", tolerance)
        rr.integrator.setValue("absolute_tolerance", [float(a) for a in small])
        rr.integrator.setValue("maximum_num_steps", 200_000)
        rr.integrator.setValue("initial_time_step", FIRST)
        place = {name: i for i, name in enumerate(rr.model.getGlobalParameterIds())}
        order = [place[name] for name in [*self.equations.states, *(f"v{i}" for i in self.cut)]]
        seconds, now = 0.0, 0.0
        volume, areas = [], []
        y = subject.start
        self._put(order, y, p)
        for stop, dose in stops(subject.doses, times):
            if stop > now:
                began = time.thread_time()
                rr.oneStep(now, stop - now, True)
                seconds += time.thread_time() - began
                now = stop
                y = self._get(order)[:n]
            if dose is None:
                volume.append(self.look(now, y, p)[0])
                areas.append(y[-2:])
            else:
                y = subject.give(dose, y)
                self._put(order, y, p, now)
        return Course(np.array(volume), *np.array(areas).T, seconds)

    def _get(self, order: list[int]) -> Array:
        return np.asarray(self.machine.model.getGlobalParameterValues(order))

    def _put(self, order: list[int], y: Array, p: Array, now: float = 0.0) -> None:
        self.machine.model.setGlobalParameterValues(order, np.concatenate([y, self.begin(0.0, y, p)]))
        self.machine.integrator.restart(now)


def absolute(start: Array, tolerance: float) -> Array:
    """Absolute tolerances: a thousandth of the relative one, of the size that a state has at the start or of 1e-3."""
    return 1e-3 * tolerance * np.maximum(np.abs(start), 1e-3)


def lowest(states: list[str]) -> Array:
    """Smallest value that a state may take in a trial step (strain and pressure may be negative)."""
    signed = {i for i, name in enumerate(layout.TISSUE) if name in ("strain_ref", "pressure_ref")}
    kinds = [name.partition("_") for name in states]
    free = [kind == "tissue" and int(at) % len(layout.TISSUE) in signed for kind, _, at in kinds]
    return np.where(free, -np.inf, 1e-30)


def stops(doses: list[float], times: Array) -> list[tuple[float, int | None]]:
    """Times to stop at, with the dose to give or None for a sample; samples come before doses of the same time."""
    marks: list[tuple[float, int | None]] = [(float(t), None) for t in times]
    marks += [(t, i) for i, t in enumerate(doses) if t <= times[-1]]
    return sorted(marks, key=lambda mark: (mark[0], -1 if mark[1] is None else mark[1]))
