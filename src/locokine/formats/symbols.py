"""The engine's own source executed on formulas instead of numbers.

`Graph` keeps every distinct operation once. A `Value` is a formula and its change per hour of step, so that one step of
the engine by an infinitesimal time, run as ordinary Python, leaves behind the right-hand side of the differential
equations: no second copy of the biology is written for other solvers.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = Path(__file__).parent.parent
NAME = "formulakine"
Node = tuple[Any, ...]
"""("number", x), ("symbol", name) or (operation, index, index)."""


class Graph:
    """Distinct operations in the order in which they can be computed."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.known: dict[Node, int] = {}
        self.zero, self.one = self.number(0.0), self.number(1.0)

    def add(self, *node: Any) -> int:
        """Index of an operation, made once."""
        if node not in self.known:
            self.known[node] = len(self.nodes)
            self.nodes.append(node)
        return self.known[node]

    def number(self, x: float) -> int:
        """A constant."""
        return self.add("number", float(x))

    def symbol(self, name: str) -> int:
        """A state or a parameter."""
        return self.add("symbol", name)

    def value(self, i: int) -> float | None:
        """The number at a node, None if it is a formula."""
        return self.nodes[i][1] if self.nodes[i][0] == "number" else None

    def apply(self, operation: str, a: int, b: int = -1) -> int:
        """An operation, folded where the result is plain."""
        x, y = self.value(a), self.value(b) if b >= 0 else None
        if x is not None and (b < 0 or y is not None):
            return self.number(COMPUTE[operation](x, y) if b >= 0 else COMPUTE[operation](x))
        if operation == "+" and 0.0 in (x, y):
            return b if x == 0.0 else a
        if operation == "-" and y == 0.0:
            return a
        if operation == "-" and a == b:
            return self.zero
        if operation == "*":
            if 0.0 in (x, y):
                return self.zero
            if 1.0 in (x, y):
                return b if x == 1.0 else a
        if operation == "/":
            if x == 0.0:
                return self.zero
            if y == 1.0:
                return a
        return self.add(operation, a) if b < 0 else self.add(operation, a, b)

    def needed(self, ends: list[int]) -> list[int]:
        """Nodes that the given ones depend on, in order."""
        wanted, stack = set(), list(ends)
        while stack:
            i = stack.pop()
            if i not in wanted:
                wanted.add(i)
                if self.nodes[i][0] not in ("number", "symbol"):
                    stack.extend(self.nodes[i][1:])
        return sorted(wanted)


COMPUTE: dict[str, Any] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "sqrt": math.sqrt, "exp": math.exp, "log": math.log, "abs": abs,
}


@dataclass
class Equations:
    """dy/dt = f(y, p): a graph, the nodes of the derivatives, and the names of states and parameters.

    `outputs` are further quantities that follow from the states, by name.
    """

    graph: Graph
    states: list[str]
    derivatives: list[int]
    parameters: list[str]
    outputs: dict[str, int] = field(default_factory=dict)

    def used_parameters(self, ends: list[int] | None = None) -> list[str]:
        """Parameters on which the derivatives and outputs depend (or the nodes `ends`)."""
        needed = self.graph.needed([*self.derivatives, *self.outputs.values()] if ends is None else ends)
        names = {self.graph.nodes[i][1] for i in needed if self.graph.nodes[i][0] == "symbol"}
        return [name for name in self.parameters if name in names]

    def operations(self) -> dict[str, int]:
        """How many operations of each kind one evaluation takes."""
        count: dict[str, int] = {}
        for i in self.graph.needed(self.derivatives):
            kind = self.graph.nodes[i][0]
            if kind not in ("number", "symbol"):
                count[kind] = count.get(kind, 0) + 1
        return count

    def evaluate(self, ends: list[int], values: Mapping[str, float]) -> list[float]:
        """Values of nodes, given those of all symbols that they depend on."""
        found: dict[int, float] = {}
        for i in self.graph.needed(ends):
            kind, *of = self.graph.nodes[i]
            if kind == "number":
                found[i] = of[0]
            elif kind == "symbol":
                found[i] = float(values[of[0]])
            else:
                found[i] = COMPUTE[kind](*(found[j] for j in of))
        return [found[i] for i in ends]


class Value:
    """A formula `v` and its change `d` per hour of an infinitesimal step."""

    __slots__ = ("d", "graph", "v")
    __array_priority__ = 100.0

    def __init__(self, graph: Graph, v: int, d: int | None = None) -> None:
        self.graph, self.v, self.d = graph, v, graph.zero if d is None else d

    def lift(self, other: Any) -> Value:
        """A number as a value."""
        return other if isinstance(other, Value) else Value(self.graph, self.graph.number(float(other)))

    def __add__(self, other: Any) -> Value:
        o, g = self.lift(other), self.graph
        return Value(g, g.apply("+", self.v, o.v), g.apply("+", self.d, o.d))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Value:
        o, g = self.lift(other), self.graph
        return Value(g, g.apply("-", self.v, o.v), g.apply("-", self.d, o.d))

    def __rsub__(self, other: Any) -> Value:
        return self.lift(other) - self

    def __neg__(self) -> Value:
        return self.lift(0.0) - self

    def __mul__(self, other: Any) -> Value:
        o, g = self.lift(other), self.graph
        change = g.apply("+", g.apply("*", self.d, o.v), g.apply("*", self.v, o.d))
        return Value(g, g.apply("*", self.v, o.v), change)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Value:
        o, g = self.lift(other), self.graph
        if o.v == g.zero:  # by the step itself: what happened in it per hour
            if self.v != g.zero:
                raise ZeroDivisionError("a finite amount divided by an infinitesimal time")
            return Value(g, g.apply("/", self.d, o.d))
        v = g.apply("/", self.v, o.v)
        return Value(g, v, g.apply("/", g.apply("-", self.d, g.apply("*", v, o.d)), o.v))

    def __rtruediv__(self, other: Any) -> Value:
        return self.lift(other) / self

    def __pow__(self, power: int) -> Value:
        made = self.lift(1.0)
        for _ in range(power):
            made = made * self
        return made

    def __abs__(self) -> Value:
        g = self.graph
        if self.v == g.zero:
            return Value(g, g.zero, g.apply("abs", self.d))
        size = g.apply("abs", self.v)
        if self.d == g.zero:
            return Value(g, size)
        sign = g.apply("/", self.v, g.apply("+", size, g.number(1e-300)))  # 0 where the value is exactly 0
        return Value(g, size, g.apply("*", self.d, sign))

    def function(self, name: str) -> Value:
        """sqrt, exp or log of the value."""
        g = self.graph
        v = g.apply(name, self.v)
        slope = {"exp": v, "log": g.apply("/", g.one, self.v), "sqrt": -1}[name] if self.d != g.zero else g.zero
        if slope == -1:
            slope = g.apply("/", g.number(0.5), v)
        return Value(g, v, g.apply("*", slope, self.d))

    def __lt__(self, other: Any) -> bool:
        return False  # only the limiter of flows asks: nothing runs dry within an infinitesimal step


def least(a: Any, b: Any) -> Any:
    """The smaller of two numbers or values."""
    return 0.5 * (a + b - abs(a - b)) if isinstance(a, Value) or isinstance(b, Value) else min(a, b)


def most(a: Any, b: Any) -> Any:
    """The larger of two numbers or values."""
    return 0.5 * (a + b + abs(a - b)) if isinstance(a, Value) or isinstance(b, Value) else max(a, b)


def elementary(name: str) -> Any:
    """sqrt, exp or log of numbers and of values."""

    def compute(x: Any) -> Any:
        return x.function(name) if hasattr(x, "function") else COMPUTE[name](x)

    return compute


class _Formulas(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports `formulakine.X` from the source of `locokine.X`: uncompiled, one subject to a block."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname.partition(".")[0] != NAME:
            return None
        base = PACKAGE.joinpath(*fullname.split(".")[1:])
        file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
        places = [str(base)] if base.is_dir() else None
        return importlib.util.spec_from_file_location(fullname, file, loader=self, submodule_search_locations=places)

    def create_module(self, spec: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        if module.__name__ == NAME:
            return
        if module.__name__ == f"{NAME}._jit":
            for name in ("law", "coupling", "access", "kernel", "loop", "inner", "part", "unit", "exponent", "mantissa"):
                setattr(module, name, lambda function: function)
            return
        text = Path(str(module.__spec__ and module.__spec__.origin)).read_text(encoding="utf-8")
        for part in ("_jit", "biology", "body", "tissue", "engine"):
            text = text.replace(f"locokine.{part}", f"{NAME}.{part}")
        text = re.sub(r"^WIDTH = \d+", "WIDTH = 1", text, flags=re.MULTILINE)
        exec(compile(text, module.__name__, "exec"), module.__dict__)
        for name in ("sqrt", "exp", "log"):  # the engine's own approximations of these are left to the other solver
            if hasattr(module, name):
                setattr(module, name, elementary(name))


def formulas(name: str) -> Any:
    """A module of the engine that works on values, e.g. `formulas("engine.kernel")`."""
    if not any(isinstance(item, _Formulas) for item in sys.meta_path):
        sys.meta_path.insert(0, _Formulas())
    return importlib.import_module(f"{NAME}.{name}")
