"""What a run costs: processor time against the number of lesions, of shells, of days and of subjects; and a slide."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cases import mouse
from locokine.scenario.experiment import Experiment
from locokine.scenario.load import load

if TYPE_CHECKING:
    from locokine.histology.state import TissueState

LESIONS = (1, 2, 4, 8)
SHELLS = (4, 12, 28, 60, 124)
DAYS = (15, 30, 60, 120)
SUBJECTS = (16, 64, 256, 1024)


def several(count: int, subjects: int) -> Experiment:
    """The mouse of the benchmark with `count` tumours, all injected."""
    base = mouse("shells", subjects).resolved()
    one = {"line": "sl2", "site": "subcutis", "cells": "1e6 cells", "day": 0}
    return load({
        "experiment": "benchmark", "host": "dba2_mouse", "lesions": {f"flank{i}": one for i in range(count)},
        "arms": {"intratumoural": ["aldesleukin 20000 IU per lesion intratumoural in 0.1 mL daily days 10-14"]},
        "subjects": subjects, "follow-up": "60 days", "geometry": "shells", "shells": 28, "seed": 1,
        "overrides": {name: value for name, value in base["overrides"].items() if name in ("endpoint_burden", "sl2.birth_rate")},
    })


def cost(made: Experiment, threads: int = 1) -> float:
    """Processor seconds of one arm, output included; best of two, compiled before."""
    from locokine.engine.batch import simulate_arm
    from locokine.population.draw import draw

    people, arm = draw(made), made.protocol.arms[0].name
    spent = []
    for _ in range(2):
        used = time.process_time()
        simulate_arm(made, people, arm, 0, made.subjects, threads)
        spent.append(time.process_time() - used)
    return min(spent)


def scaling() -> dict[str, list[tuple[int, float]]]:
    """Processor seconds against each number, the others as in the benchmark (one lesion, 28 + rim shells, 60 days, 16 hosts)."""
    cases: dict[str, tuple[tuple[int, ...], Callable[[int], Experiment]]] = {
        "lesions": (LESIONS, lambda n: several(n, 16)),
        "shells": (SHELLS, lambda n: mouse("shells", 16, shells=n)),
        "days": (DAYS, lambda n: _lasting(n)),
        "subjects": (SUBJECTS, lambda n: mouse("well-mixed", n)),
    }
    found: dict[str, list[tuple[int, float]]] = {}
    for name, (numbers, make) in cases.items():
        cost(make(numbers[0]))  # compiled, and the library read
        found[name] = [(n, cost(make(n))) for n in numbers]
    return found


def _lasting(days: int) -> Experiment:
    """Hosts followed for so many days, growing as slowly as over 60."""
    made = mouse("shells", 16)
    return replace(made, protocol=replace(made.protocol, follow_up=24.0 * days))


def _state(radius: float) -> TissueState:
    """A lymphoma of `radius` mm with a rim of 0.5 mm, a fifth of it dead."""
    from locokine.engine.variables import FIELD
    from locokine.histology.patterns import PATTERNS
    from locokine.histology.state import TissueState

    values = {
        "viable_density": (5.5e5, 0.0), "dead_fraction": (0.05, 0.0), "fluid_fraction": (0.38, 0.17), "perfusion": (0.8, 1.0),
        "hypoxic_fraction": (0.2, 0.0), "lymphocyte_density": (3e4, 1e4), "vessel_density": (60.0, 110.0),
        "erythrocyte_fraction": (0.004, 0.004), "lost_vessels": (0.0, 0.0),
    }
    fields = {item.name: np.zeros(2) for item in FIELD} | {name: np.array(pair) for name, pair in values.items()}
    return TissueState(
        "benchmark", "arm", 0, "tumour", 12.0, "well-mixed", "subcutis", np.array([radius, radius + 0.5]),
        np.array([True, False]), fields, {"nk": 2e3, "lak": 500.0, "treg": 500.0, "macrophages": 5e3},
        {"cell_volume": 1e-6, "dead_solid_share": 0.35, "dead_fluid_ratio": 3.4, "tumour_fluid_ratio": 0.5625,
         "normal_fluid_ratio": 0.2, "vessel_radius": 0.008, "birth_rate": 0.0433},
        0.03, 0.001, 0.3, (), 1, PATTERNS["lymphoma"],
    )


def slide(side: float = 4.0) -> dict[str, Any]:
    """Processor seconds and megapixels per second of a section of `side` mm at 0.5 µm, H&E; compiled before."""
    from locokine.histology import files, tiff
    from locokine.histology.populate import populate
    from locokine.histology.render import Painter
    from locokine.histology.section import cut
    from locokine.histology.stains import STAINS

    def once(radius: float, folder: Path) -> tuple[float, float, int]:
        began = time.process_time()
        scene = populate(cut(_state(radius), 4.0, 3), 3)
        placed = time.process_time()
        frame = files.Frame.around(scene, 0.5, (-500.0 * side, -500.0 * side, 1000.0 * side, 1000.0 * side))
        tiff.write_tiff(folder / "slide.ome.tif", Painter(scene, STAINS["he"], 0.5), frame, 1, "a slide")
        return placed - began, time.process_time() - placed, len(scene.cells)

    with tempfile.TemporaryDirectory() as folder:
        once(0.3, Path(folder))
        placing, painting, cells = once(0.5 * side - 0.5, Path(folder))
    pixels = (side * 2000.0) ** 2
    return {"side_mm": side, "profiles": cells, "placing_s": placing, "painting_s": painting,
            "megapixels_per_s": 1e-6 * pixels / painting}


def whole_slide(stain: str = "he", side: float = 10.0, threads: int = 2) -> dict[str, Any]:
    """All that `locokine slide` does for a section of `side` mm at 0.5 µm, in a process of its own; compiled before.

    Picture, pyramid, tables of cells and reading back: seconds on the clock and of the processor, and peak resident memory. Run
    it on an idle machine: `python -m benchmarks.scaling STAIN`.
    """
    import resource

    from locokine.histology.slide import draw_slide

    half = 500.0 * side
    with tempfile.TemporaryDirectory() as folder:
        draw_slide(_state(0.3), Path(folder), stains=(stain,), threads=threads)
        used, began = time.process_time(), time.perf_counter()
        draw_slide(
            _state(0.5 * side - 0.5), Path(folder), stains=(stain,), window=(-half, -half, 2 * half, 2 * half), threads=threads
        )
        used, took = time.process_time() - used, time.perf_counter() - began
    peak = 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"stain": stain, "side_mm": side, "threads": threads, "clock_s": took, "processor_s": used, "peak_bytes": peak}


if __name__ == "__main__":
    for name in sys.argv[1:] or ["he"]:
        print(whole_slide(name))
