"""Differential equations as SBML level 3 version 1, in a form that libRoadRunner can load.

The text is written directly: the equations are a graph of operations, and a formula is what hangs below a node.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from locokine.formats.symbols import Equations

LAG = 0.001
"""Time (in the unit of the model) with which values that are states of their own follow their formulas."""
MOST = 8_000
"""Operations that a model may have when its formulas are written out without sharing; libRoadRunner loads it in seconds."""
PER_NODE = 3.0
"""The same, for each distinct operation of a model of several lesions: what a model of one has."""
NODES_AT_ONCE = 5_000
"""Distinct operations for each of which one more node is broken off at a time."""
MATHML = {"+": "plus", "-": "minus", "*": "times", "/": "divide", "exp": "exp", "log": "ln", "sqrt": "root", "abs": "abs"}
MATH = '<math xmlns="http://www.w3.org/1998/Math/MathML">'
CORE = "http://www.sbml.org/sbml/level3/version1/core"


@dataclass(frozen=True)
class Event:
    """At `time` every variable named takes the value of a node (all computed before any changes)."""

    time: float
    changes: Mapping[str, int]


@dataclass(frozen=True)
class Content:
    """What a file holds beside the equations.

    Attributes
    ----------
    name, notes
        Identifier and free text (what was left out, sources, purpose).
    values
        Parameter → value.
    start
        State → value at time 0.
    labels
        Any variable → readable name.
    events
        Doses and the like.
    """

    name: str = "model"
    notes: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[Event] = ()


def broken(equations: Equations, ends: Sequence[int] | None = None, most: int = MOST) -> list[int]:
    """Nodes to keep as states of their own, so that the formulas written out without sharing have at most `most` terms.

    libRoadRunner writes a formula out wherever it is used, behind assignment rules too. Written out, the well-mixed
    engine has 3e10 operations instead of 2,300; each node that is broken off (the one that saves most first) divides
    that. Of more than `MOST / PER_NODE` distinct operations (several lesions), `PER_NODE` times as many are allowed, and
    several nodes are broken off at a time.
    """
    graph = equations.graph
    tops = list(equations.derivatives if ends is None else ends)
    order = [i for i in graph.needed(tops) if graph.nodes[i][0] not in ("number", "symbol")]
    place = {i: k for k, i in enumerate(order)}
    inner = [[place[j] for j in graph.nodes[i][1:] if j in place] for i in order]
    ends_of = [place[i] for i in tops if i in place]
    plain = len(tops) - len(ends_of)
    most = max(most, round(PER_NODE * len(order))) if most >= MOST else most
    at_once = 1 + len(order) // NODES_AT_ONCE
    kept = [False] * len(order)
    cut: list[int] = []
    while True:
        size = [1.0] * len(order)  # operations of a node written out
        for k, of in enumerate(inner):
            size[k] = 1.0 + sum(1.0 if kept[j] else size[j] for j in of)
        if plain + sum(size[k] for k in ends_of) + sum(size[k] for k in cut) <= most or len(cut) == len(order):
            return [order[k] for k in cut]
        times = [0.0] * len(order)  # how often it is written
        for k in (*ends_of, *cut):
            times[k] += 1.0
        for k in range(len(order) - 1, -1, -1):
            here = 1.0 if kept[k] else times[k]
            for j in inner[k]:
                times[j] += here
        free = (k for k in range(len(order)) if not kept[k])
        for k in heapq.nlargest(at_once, free, key=lambda k: (times[k] - 1.0) * (size[k] - 1.0)):
            kept[k] = True
            cut.append(k)


def sbml(equations: Equations, cut: Sequence[int] = (), content: Content | None = None) -> str:
    """Return the equations as SBML: rate rules, assignment rules for the outputs, events.

    Parameters
    ----------
    equations
        States, derivatives, outputs and parameters.
    cut
        Nodes that become states `vNUMBER` and follow their formula within the time `LAG` (see `broken`).
    content
        Values, start and events; without it everything is 0 and the caller sets it.
    """
    about = content or Content()
    tops = [*equations.derivatives, *cut, *equations.outputs.values()]
    tops += [node for event in about.events for node in event.changes.values()]
    written, own = _formulas(equations, tops, cut)
    begin = equations.evaluate([*cut], {**about.values, **about.start}) if about.start else [0.0] * len(cut)
    used = equations.used_parameters(tops)
    changed = {name for event in about.events for name in event.changes}
    parameters = [_parameter(name, about.values.get(name, 0.0), about.labels, name not in changed) for name in used]
    parameters += [_parameter(name, about.start.get(name, 0.0), about.labels, False) for name in equations.states]
    parameters += [_parameter(f"v{i}", value, {}, False) for i, value in zip(cut, begin, strict=True)]
    parameters += [_parameter(name, None, about.labels, False) for name in equations.outputs]
    pairs = zip(equations.states, equations.derivatives, strict=True)
    rules = [_rule("rateRule", name, own.get(i, written[i])) for name, i in pairs]
    rules += [
        _rule("rateRule", f"v{i}", f"<apply><divide/><apply><minus/>{own[i]}<ci>v{i}</ci></apply><cn>{LAG}</cn></apply>")
        for i in cut
    ]
    rules += [_rule("assignmentRule", name, own.get(i, written[i])) for name, i in equations.outputs.items()]
    events = [
        _event(f"event_{number}", event.time, {name: own.get(i, written[i]) for name, i in event.changes.items()})
        for number, event in enumerate(about.events)
    ]
    notes = f'<notes><p xmlns="http://www.w3.org/1999/xhtml">{escape(about.notes)}</p></notes>' if about.notes else ""
    return "\n".join([
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<sbml xmlns="{CORE}" level="3" version="1"><model id="{about.name}">{notes}',
        "<listOfParameters>", *parameters, "</listOfParameters>",
        "<listOfRules>", *rules, "</listOfRules>",
        *(["<listOfEvents>", *events, "</listOfEvents>"] if events else []),
        "</model></sbml>", "",
    ])


def _formulas(
    equations: Equations, tops: Sequence[int], cut: Sequence[int]
) -> tuple[dict[int, str], dict[int, str]]:
    """Return MathML of every node as it is used, and of the cut nodes as they are computed."""
    graph, states = equations.graph, set(cut)
    written: dict[int, str] = {}
    own: dict[int, str] = {}
    for i in graph.needed(list(tops)):  # operands come before what uses them
        kind, *of = graph.nodes[i]
        if kind == "number":
            written[i] = _number(of[0])
        elif kind == "symbol":
            written[i] = f"<ci>{of[0]}</ci>"
        else:
            written[i] = f"<apply><{MATHML[kind]}/>{''.join(written[j] for j in of)}</apply>"
            if i in states:
                own[i] = written[i]
                written[i] = f"<ci>v{i}</ci>"
    return written, own


def _number(value: float) -> str:
    mantissa, _, power = repr(float(value)).partition("e")
    return f'<cn type="e-notation">{mantissa}<sep/>{power}</cn>' if power else f"<cn>{mantissa}</cn>"


def _parameter(name: str, value: float | None, labels: Mapping[str, str], constant: bool) -> str:
    label = f" name={quoteattr(labels[name])}" if name in labels else ""
    start = "" if value is None else f' value="{float(value)!r}"'
    return f'<parameter id="{name}"{label}{start} constant="{"true" if constant else "false"}"/>'


def _rule(kind: str, name: str, body: str) -> str:
    return f'<{kind} variable="{name}">{MATH}{body}</math></{kind}>'


def _event(name: str, time: float, changes: Mapping[str, str]) -> str:
    """Variables → MathML of their new values; the trigger is false before, so that an event at time 0 happens too."""
    clock = '<csymbol encoding="text" definitionURL="http://www.sbml.org/sbml/symbols/time">time</csymbol>'
    trigger = f"{MATH}<apply><geq/>{clock}{_number(time)}</apply></math>"
    assignments = "".join(
        f'<eventAssignment variable="{variable}">{MATH}{body}</math></eventAssignment>'
        for variable, body in changes.items()
    )
    return (
        f'<event id="{name}" useValuesFromTriggerTime="true">'
        f'<trigger initialValue="false" persistent="true">{trigger}</trigger>'
        f"<listOfEventAssignments>{assignments}</listOfEventAssignments></event>"
    )
