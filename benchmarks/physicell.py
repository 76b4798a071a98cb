"""Cells simulated per second by PhysiCell's sample `heterogeneity`, where somebody has built it, and by locokine.

    git clone https://github.com/MathCancer/PhysiCell && cd PhysiCell && make heterogeneity-sample && make
    python -m benchmarks --physicell PATH/PhysiCell        # all of it, or with --only-physicell this row alone

The sample moves every cell of a growing disc in two dimensions and diffuses one substrate; the folder is not written to.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE = "heterogeneity"
MINUTES = 240.0
"""Simulated time of the sample, min."""
_STATUS = re.compile(r"current simulated time: ([\d.e+]+) min.*\n.*total agents: (\d+)")


def physicell(folder: Path) -> dict[str, Any]:
    """Cell-hours per second of PhysiCell on one and two threads, by the clock and per processor second; output switched off.

    Raises
    ------
    SystemExit
        If the folder holds no built sample.
    """
    if not (folder / SAMPLE).is_file() or not (folder / "config" / "PhysiCell_settings.xml").is_file():
        raise SystemExit(f"{folder} holds no built {SAMPLE}: make {SAMPLE}-sample && make")
    version = (folder / "VERSION.txt").read_text(encoding="utf-8").strip()
    return {"version": version, "sample": SAMPLE, "hours": MINUTES / 60.0, "runs": [_run(folder, n) for n in (1, 2)]}


def _run(folder: Path, threads: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        shutil.copytree(folder / "config", here / "config")
        (here / "output").mkdir()
        path = here / "config" / "PhysiCell_settings.xml"
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"(<max_time[^>]*>)[^<]*", rf"\g<1>{MINUTES:g}", text)
        text = re.sub(r"(<omp_num_threads>)[^<]*", rf"\g<1>{threads}", text)
        save = text.index("<save>"), text.index("</save>")
        off = text[save[0]:save[1]].replace("<enable>true</enable>", "<enable>false</enable>")
        path.write_text(text[:save[0]] + off + text[save[1]:], encoding="utf-8")
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        said = subprocess.run(
            [str((folder / SAMPLE).resolve()), str(path)], cwd=here, capture_output=True, text=True, check=True,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        ).stdout
        clock, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    found = np.array([[float(minute), float(cells)] for minute, cells in _STATUS.findall(said)])
    hours = float(np.trapezoid(found[:, 1], found[:, 0])) / 60.0
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"threads": threads, "cells": int(found[-1, 1]), "cell_hours": hours, "per_second": hours / clock,
            "per_processor_second": hours / processor}


def locokine(subjects: int = 16) -> dict[str, Any]:
    """The same of locokine's benchmark with shells on one thread: living tumour cells, which it counts by compartment."""
    from benchmarks.cases import mouse
    from locokine.engine.batch import simulate_arm
    from locokine.engine.variables import LESION
    from locokine.population.draw import draw

    made = mouse("shells", subjects)
    people, arm = draw(made), made.protocol.arms[0].name
    simulate_arm(made, people, arm, 0, 1, 1)
    used = time.process_time()
    run = simulate_arm(made, people, arm, 0, subjects, 1)
    processor = time.process_time() - used
    living = run.daily_lesion[[one.name for one in LESION].index("viable_cells")].sum(axis=(0, 2))
    hours = float(np.trapezoid(living, run.daily_time))
    return {"subjects": subjects, "cell_hours": hours, "per_processor_second": hours / processor,
            "host_days_per_processor_second": subjects * made.protocol.follow_up / 24.0 / processor}


def measure(folder: Path) -> dict[str, Any]:
    """Both."""
    return {"physicell": physicell(folder), "locokine": locokine()}
