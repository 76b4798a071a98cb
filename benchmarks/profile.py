"""Where the time of a step goes, kernel by kernel, and how near the arithmetic comes to the machine's limit.

Compiled code hides from Python's profilers, so each kernel is called in a compiled loop on a block in mid-run. Its operations are
counted by running its source on formulas; the limit is the machine's own rate of vectorised divisions, roots and other
operations on numbers that lie in the nearest cache.
"""

from __future__ import annotations

import inspect
import time
from typing import Any

import numpy as np

from benchmarks.cases import mouse
from locokine.formats.symbols import COMPUTE

KERNELS = (
    ("body_pass", "outputs_pass"), ("tissue_pass", "exchange_pass"), ("shells", "place_shells"),
    ("shells", "step_fluid"), ("shells", "step_protein"), ("shells", "set_solute"), ("tissue_pass", "uptake_pass"),
    ("shells", "step_solute"), ("tissue_pass", "drive_pass"), ("tissue_pass", "interferon_pass"),
    ("tissue_pass", "biology_pass"), ("body_pass", "advance_pass"),
)


class Count:
    """A number that counts what is done to it."""

    __slots__ = ("tally", "x")

    def __init__(self, x: float, tally: dict[str, int]) -> None:
        self.x, self.tally = x, tally

    def _do(self, kind: str, x: float) -> Count:
        self.tally[kind] = self.tally.get(kind, 0) + 1
        return Count(x, self.tally)

    def __add__(self, o: Any) -> Count:
        return self._do("other", self.x + _number(o))

    __radd__ = __add__

    def __sub__(self, o: Any) -> Count:
        return self._do("other", self.x - _number(o))

    def __rsub__(self, o: Any) -> Count:
        return self._do("other", _number(o) - self.x)

    def __mul__(self, o: Any) -> Count:
        return self._do("other", self.x * _number(o))

    __rmul__ = __mul__

    def __truediv__(self, o: Any) -> Count:
        return self._do("divide", self.x / _number(o))

    def __rtruediv__(self, o: Any) -> Count:
        return self._do("divide", _number(o) / self.x)

    def __neg__(self) -> Count:
        return self._do("other", -self.x)

    def __abs__(self) -> Count:
        return self._do("other", abs(self.x))

    def __float__(self) -> float:
        return self.x

    def function(self, name: str) -> Count:
        """sqrt, exp or log: a root, or a polynomial of about 14 terms (for log with one division)."""
        if name == "sqrt":
            return self._do("root", COMPUTE[name](self.x))
        for _ in range(26):
            self._do("other", 0.0)
        return self._do("divide" if name == "log" else "other", COMPUTE[name](self.x))


def _number(x: Any) -> float:
    return x.x if isinstance(x, Count) else float(x)


def limits() -> dict[str, float]:
    """Nanoseconds of a vectorised division, root and addition per number, from a cache-resident loop."""
    import numba

    def loop(kind: str) -> Any:
        space: dict[str, Any] = {"sqrt": np.sqrt}
        body = {"divide": "a[i] = b[i] / a[i]", "root": "a[i] = sqrt(a[i] + b[i])",
                "other": "x = a[i]; y = b[i]; a[i] = ((((x * y + x) * y + x) * y + x) * y + x) * y + x"}[kind]
        exec(f"def run(a, b, n):\n    for _ in range(n):\n        for i in range(512):\n            {body}\n", space)
        return numba.njit(error_model="numpy", fastmath={"contract"})(space["run"])

    made = {}
    for kind, work in (("divide", 1.0), ("root", 1.0), ("other", 10.0)):
        run = loop(kind)
        a, b = np.full(512, 1.1), np.full(512, 0.9)
        run(a, b, 1)
        spent = []
        for _ in range(5):
            began = time.thread_time()
            run(a, b, 20_000)
            spent.append(time.thread_time() - began)
        made[kind] = min(spent) / (20_000 * 512 * work) * 1e9
    return made


def opened(geometry: str, shells: int) -> tuple[Any, Any]:
    """A block of the engine that has run for fifteen days, through all doses."""
    from locokine.engine import batch
    from locokine.population.draw import draw
    from locokine.tissue import layout

    made = mouse(geometry, layout.WIDTH, days=15, shells=shells)
    kept: list[Any] = []
    inner, batch.gather = batch.gather, lambda setting, subjects, daily, done: kept.append(done[0][0])  # type: ignore[assignment, return-value]
    try:
        setting = batch.prepare(made, draw(made), made.protocol.arms[0], made.protocol.lesions, made.protocol.follow_up,
                                batch.Accuracy())
        batch.run(setting, np.arange(layout.WIDTH))
    finally:
        batch.gather = inner
    return setting, kept[0]


def arguments(setting: Any, block: Any) -> dict[str, Any]:
    """Arguments of the kernels by their names."""
    plan = setting.plan
    scratch, d = block.scratch, block.agent_arrays[0]
    return {
        "w": block.tissue[0], "lesion": block.lesion[0], "n": plan.shells, "cores": plan.cores, "body": block.body,
        "host": block.host, "line": block.line[0], "dt": 1e-9, "solute": block.solute[0], "agents": plan.agents,
        "agent": block.agent, "weight": 1e-9, "thickness": scratch[0], "outer_pressure": scratch[3],
        "late": 0.0, "short": scratch[7], "made": scratch[8],
        "plasma": scratch[4], "outside": scratch[5], "first": np.uint64(0), "agent_diffusion": d[0],
        "agent_diffusion_rim": d[1], "permeability": d[2], "permeability_rim": d[3], "degradation": d[4], "cavity": 0.0,
        "wall": scratch[6], "at_plasma": np.uint64(0), "to_blood": block.flux[0], "to_lymph": block.flux[1],
        "lost": block.flux[2], "around": block.flux[3], "volume": block.flux[4], "protein": block.flux[5],
    }


def repeated(function: Any, names: list[str]) -> Any:
    """Compiled function (times, *arguments) that calls a kernel so many times: a call from Python takes longer than most."""
    import numba

    space: dict[str, Any] = {"kernel": function}
    listed = ", ".join(names)
    exec(f"def run(times, {listed}):\n    for _ in range(times):\n        kernel({listed})\n", space)
    return numba.njit(error_model="numpy", _nrt=False)(space["run"])


def profile(geometry: str, shells: int) -> dict[str, Any]:
    """Nanoseconds per subject and step of each kernel (solutes: of one agent and one fine step), and their share."""
    from locokine.engine import body_pass, tissue_pass
    from locokine.tissue import layout
    from locokine.tissue import shells as operators

    modules = {"body_pass": body_pass, "tissue_pass": tissue_pass, "shells": operators}
    setting, block = opened(geometry, shells)
    known = arguments(setting, block)
    made: dict[str, float] = {}
    for module, name in KERNELS:
        function = getattr(modules[module], name)
        wanted = list(inspect.signature(function.py_func).parameters)
        values = [known[key] if name != "set_solute" or key != "outside" else 1.0 for key in wanted]
        if name == "uptake_pass":
            values[wanted.index("agent")] = block.agent[0]
        run, repeats = repeated(function, wanted), max(200, 20_000 // int(setting.plan.shells))
        run(1, *values)
        spent = []
        for _ in range(5):
            began = time.thread_time()
            run(repeats, *values)
            spent.append((time.thread_time() - began) / repeats)
        made[name] = min(spent) / layout.WIDTH * 1e9
    total = sum(made.values())
    return {"ns": made, "share": {name: value / total for name, value in made.items()}, "shells": int(setting.plan.shells)}


def biology_operations() -> dict[str, int]:
    """Operations of tissue biology in one shell of one subject for one step, counted on its own source."""
    from locokine.formats.equations import narrow_block
    from locokine.formats.symbols import formulas

    _, wide = opened("well-mixed", 4)
    block = narrow_block(wide)
    tally: dict[str, int] = {}

    def counting(array: Any) -> Any:
        flat = array.reshape(-1)
        for i, x in enumerate(flat):
            flat[i] = Count(float(x), tally)
        return flat

    w, body, host, line = (counting(a) for a in (block.tissue[0], block.body, block.host, block.line[0]))
    lesion = block.lesion[0].astype(float)
    passes = formulas("engine.tissue_pass")
    passes.biology_pass(w, lesion.astype(object), np.uint64(1), np.uint64(1), body, host, line, 0.5)
    return tally


def compiled_divisions() -> dict[str, int]:
    """Divisions and roots a shell that tissue biology was compiled to, or nothing if they cannot be told.

    The compiler shares the reciprocal of a common divisor and takes those of parameters once for all shells, so there are
    fewer than the source has. They can be counted where two vectors of eight hold all subjects of a block: then the only long
    loop is that over shells.
    """
    from locokine.engine import tissue_pass
    from locokine.tissue import layout

    code = next(iter(tissue_pass.biology_pass.inspect_asm().values()), "")
    lines = [line.split() for line in code.splitlines() if line.strip()]
    place = {words[0].rstrip(":"): i for i, words in enumerate(lines) if words[0].endswith(":")}
    loops = [(place[words[-1]], i) for i, words in enumerate(lines) if words[0][0] == "j" and place.get(words[-1], i) < i]
    wide = [[words[0] for words in lines[first:last] if "%zmm" in words[-1]] for first, last in loops]
    longest = max(wide, key=len, default=[])
    if layout.WIDTH != 16 or not longest:
        return {}
    return {"divide": longest.count("vdivpd") // 2, "root": longest.count("vsqrtpd") // 2}


def share_of_limit(spent: dict[str, Any]) -> dict[str, float]:
    """How long the counted operations take at the machine's limit, against how long they took."""
    count, limit = {**biology_operations(), **compiled_divisions()}, limits()
    divide = count.get("divide", 0) * limit["divide"] + count.get("root", 0) * limit["root"]
    other = count.get("other", 0) * limit["other"]
    took = spent["ns"]["biology_pass"] / spent["shells"]
    return {"divisions": float(count.get("divide", 0)), "roots": float(count.get("root", 0)),
            "others": float(count.get("other", 0)), "limit_ns": max(divide, other), "took_ns": took,
            "share": max(divide, other) / took, **{f"{kind}_ns": value for kind, value in limit.items()}}
