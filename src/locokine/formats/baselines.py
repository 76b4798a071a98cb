"""The baselines as SBML: the same law functions, executed on formulas."""

from __future__ import annotations

from math import log
from types import SimpleNamespace

from locokine.baselines.laws import State, change, stimulation
from locokine.baselines.models import DELAY, Baseline
from locokine.baselines.solve import POINTS, differentiation
from locokine.formats.sbml import Content, sbml
from locokine.formats.symbols import Equations, Graph, Value

LOG = "log_tumour"
"""The state that is integrated instead of the tumour."""


def export_sbml(model: Baseline) -> str:
    """Return a baseline as SBML level 3 (time in days).

    SBML's own delays are understood by few programs. A delay is therefore written as a line of Chebyshev points along which
    the late signal is carried (`late_1` … `late_16`), exact to far more digits than the parameters have.
    """
    graph = Graph()
    names = [one.name for one in model.parameters]
    symbols = {name: Value(graph, graph.symbol(name)) for name in names}
    p = SimpleNamespace(**symbols)
    tumour = Value(graph, graph.symbol(LOG)).function("exp")
    x = State(Value(graph, graph.symbol("effectors")), tumour, Value(graph, graph.symbol("il2")))
    signal = stimulation(x, p)
    late = [Value(graph, graph.symbol(f"late_{i}")) for i in range(1, POINTS + 1)] if model.delay > 0.0 else []
    rates = change(x, p, late[-1] if late else signal)
    start = {one.name: one.value for one in model.start}
    states = ["effectors", LOG, "il2"]
    derivatives = [rate.v for rate in rates]
    begin = {"effectors": start["effectors"], "il2": start["il2"]}
    begin[LOG] = log(start["tumour"])
    if late:
        before = stimulation(State(start["effectors"], start["tumour"], start["il2"]), model.values)
        matrix = differentiation(POINTS)
        for row in range(1, POINTS + 1):
            slope = signal * float(matrix[row, 0])
            for column in range(1, POINTS + 1):
                slope = slope + late[column - 1] * float(matrix[row, column])
            states.append(f"late_{row}")
            derivatives.append((slope * 2.0 / symbols[DELAY]).v)
            begin[f"late_{row}"] = before
    equations = Equations(graph, states, derivatives, names, {"tumour": tumour.v})
    labels = {one.name: f"{one.meaning}, {one.unit}" for one in model.parameters}
    labels |= {"effectors": "effector cells", "tumour": "tumour cells", "il2": "interleukin-2", LOG: "ln of tumour cells"}
    notes = f"{model.citation} {model.note} Time in days. Written by locokine; research use only.".replace("  ", " ")
    values = {one.name: one.value for one in model.parameters}
    return sbml(equations, (), Content(model.name.replace("-", "_"), notes, values, begin, labels))

