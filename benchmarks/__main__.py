"""Run all measurements; write benchmarks/results.json, docs/benchmarks.md and docs/figures/benchmark_*.png."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from benchmarks import page, speed
from benchmarks.compare import compare, matched
from benchmarks.physicell import locokine, measure
from benchmarks.profile import profile, share_of_limit
from benchmarks.scaling import scaling, slide

RESULTS = speed.ROOT / "benchmarks" / "results.json"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave out memory and starting times")
    parser.add_argument("--physicell", type=Path, metavar="FOLDER", help="PhysiCell with its sample heterogeneity, built")
    parser.add_argument("--only-physicell", action="store_true", help="measure only that, and keep the other results")
    options = parser.parse_args()
    quick = options.quick
    if options.only_physicell:
        if options.physicell is None:
            parser.error("--only-physicell needs --physicell FOLDER")
        kept = json.loads(RESULTS.read_text(encoding="utf-8"))
        finish(kept | {"cells": measure(options.physicell)})
        return
    found: dict[str, object] = {"machine": speed.machine()}
    print("Speed ...", flush=True)
    found["rates"] = [dataclasses.asdict(one) for one in speed.rates()]
    print("Cost ...", flush=True)
    found["scaling"], found["slide"] = scaling(), slide()
    print("Beside other solvers ...", flush=True)
    contenders, facts = compare()
    found["equations"] = facts
    found["contenders"] = [{**dataclasses.asdict(one), "error": one.error} for one in contenders]
    engine = next(one for one in contenders if one.name == "locokine")
    for name, limit in (("default", engine.error), ("one_per_cent", 0.01)):
        found[f"matched_{name}"] = {
            solver: {**dataclasses.asdict(one), "error": one.error} for solver, one in matched(contenders, limit).items()
        }
    print("Profile ...", flush=True)
    shells = profile("shells", 28)
    found["profile"] = {"shells": shells, "well-mixed": profile("well-mixed", 28), "limit": share_of_limit(shells)}
    if not quick:
        print("Memory and starting ...", flush=True)
        found["memory_mb"] = speed.memory()
        found["starts"] = speed.starts()
    if options.physicell is not None:
        print("Beside PhysiCell ...", flush=True)
        found["cells"] = measure(options.physicell)
    elif "cells" in (kept := json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}):
        found["cells"] = {"physicell": kept["cells"]["physicell"] | {"earlier": True}, "locokine": locokine()}
    finish(found)


def finish(found: dict[str, object]) -> None:
    """Keep the results and write the page."""
    speed.save(RESULTS, found)
    text = page.write(found, speed.ROOT / "docs")
    print(text)


if __name__ == "__main__":
    main()
