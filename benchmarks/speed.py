"""How fast the engine is: subjects per second, memory, compiling and starting."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import DAYS, mouse

ROOT = Path(__file__).parent.parent


@dataclass
class Rate:
    """Lesion-subjects of 60 days per second: by the clock, and per second of processor time."""

    geometry: str
    threads: int
    subjects: int
    per_second: float
    per_processor_second: float


def rate(geometry: str, subjects: int, threads: int, repeats: int = 3) -> Rate:
    """Median of repeats, full biology, output included, compiled before; nothing else of a run (files, report)."""
    from locokine.engine.batch import simulate_arm
    from locokine.population.draw import draw

    made = mouse(geometry, subjects)
    people = draw(made)
    arm = made.protocol.arms[0].name
    simulate_arm(made, people, arm, 0, 1, 1)
    clock, processor = [], []
    for _ in range(repeats):
        began, used = time.perf_counter(), os.times()
        done = simulate_arm(made, people, arm, 0, subjects, threads)
        clock.append(time.perf_counter() - began)
        now = os.times()
        processor.append(now.user + now.system - used.user - used.system)
        ends = {kind for kind in done.events["kind"] if kind == "humane_endpoint"}
        assert not ends, "a host was taken out: not all of the work was done"
    unit = subjects * made.protocol.follow_up / (24.0 * DAYS)
    return Rate(geometry, threads, subjects, unit / float(np.median(clock)), unit / float(np.median(processor)))


def rates() -> list[Rate]:
    """Both geometries on one and two threads."""
    made = []
    for geometry, subjects in (("shells", 64), ("well-mixed", 1024)):
        made += [rate(geometry, subjects, threads) for threads in (1, 2)]
    return made


def python(code: str, **environment: str) -> str:
    """Run Python text in a fresh process from the root of the repository; its standard output."""
    place = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
                           env={**os.environ, **place, **environment})
    return found.stdout


def memory(subjects: int = 10_000) -> float:
    """Largest resident memory in MB of a process that simulates `subjects` well-mixed subjects."""
    code = (
        "from benchmarks.cases import mouse\nfrom locokine.engine.batch import simulate_arm\n"
        "from locokine.population.draw import draw\nimport resource\n"
        f"made = mouse('well-mixed', {subjects})\n"
        f"done = simulate_arm(made, draw(made), 'intratumoural', 0, {subjects}, 2)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return float(python(code).split()[-1]) / unit


def seconds(code: str, repeats: int = 5, **environment: str) -> float:
    """Median seconds that a fresh process takes for Python text, the start of the interpreter left out."""

    def once(text: str) -> float:
        began = time.perf_counter()
        python(text, **environment)
        return time.perf_counter() - began

    return float(np.median([once(code) for _ in range(repeats)]) - np.median([once("") for _ in range(repeats)]))


def starts() -> dict[str, float]:
    """Seconds of the first compile and of later starts."""
    run_one = (
        "import sys, tempfile\nfrom locokine.cli import main\nfolder = tempfile.mkdtemp()\n"
        "sys.argv = ['locokine', 'run', 'examples/local_versus_systemic.yaml', '--out', folder, '--subjects', '1', "
        "'--no-report', '--force']\nmain()"
    )
    one = (
        "from benchmarks.cases import mouse\nfrom locokine.engine.batch import simulate_arm\n"
        "from locokine.population.draw import draw\nmade = mouse('well-mixed', 1, days=15)\n"
        "simulate_arm(made, draw(made), 'intratumoural', 0, 1, 1)"
    )
    with tempfile.TemporaryDirectory() as empty:
        compiling = seconds(one, 1, LOCOKINE_CACHE_DIR=empty)
    return {
        "import_locokine_s": seconds("import locokine"),
        "locokine_version_s": seconds(
            "import sys\nfrom locokine.cli import main\nsys.argv = ['locokine', '--version']\nmain()"
        ),
        "first_compile_s": compiling,
        "first_subject_from_cache_s": seconds(one, 3),
        "locokine_run_one_subject_s": seconds(run_one, 1),
    }



def machine() -> dict[str, Any]:
    """What the measurements were made on."""
    import platform

    from locokine._jit import numba

    model = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next((s.split(":")[1].strip() for s in info.read_text().splitlines() if s.startswith("model name")), "")
    return {"processor": model or platform.processor(), "cores": os.cpu_count(), "python": platform.python_version(),
            "numba": numba.__version__, "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None}


def save(path: Path, content: dict[str, Any]) -> None:
    """Write the results."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
