"""Simulation-based calibration with the engine: `python docs/scripts/calibration_check.py [TRUTHS]`.

Rows of pharmacokinetics and of leak under high doses, observed under truths drawn from the prior of six parameters; about
half a minute a truth on two cores. Prints the table for docs/calibration_model.md. Research use only.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from locokine.api import cores
from locokine.evidence.library import Observation
from locokine.inference.calibration import Settings, prepare
from locokine.inference.ledger import Ledger
from locokine.inference.recovery import recover
from locokine.inference.study import Study
from locokine.inference.sweep import Sweep

SCENARIOS = ("bolus_human", "cavity_human", "high_dose_human", "high_dose_mouse")
TRUE = (
    "human.cavity_area", "laws.organ_leak_gain", "laws.systemic_conductivity_fold", "laws.resistance_drop_most",
    "laws.lymphocyte_on", "human.tissue_degradation",
)


def main() -> None:
    """Run it."""
    truths = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    job = prepare(Settings("quick", threads=cores()))
    rows = [row for row in job.rows if row.scenario in SCENARIOS and row.against is None]
    names = [name for name in TRUE if name in job.free]
    size = replace(job.schedule.sizes["quick"], prior=128, members=96, steps=2, joint=2, rounds=3, walk=1500, checked=2)
    free = {key: item for key, item in job.free.items() if key in names}
    ledger = Ledger(None, {})

    def study(chosen: Sequence[Observation], seed: int) -> Study:
        sweep = Sweep(job.evidence, job.library, free, 1, cores(), ledger)
        return Study(chosen, job.schedule, size, free, (), sweep, seed=seed)

    started = time.monotonic()
    found = recover(study, rows, names, truths, 1, tell=lambda text: print(text, flush=True))
    print(f"{truths} truths, {len(rows)} rows, {time.monotonic() - started:.0f} s")
    print(f"90 % intervals hold {100.0 * found.covered:.0f} % of the truths; uniform: p = {found.p:.2f}")
    for name, ranks in found.ranks.items():
        inside = np.mean((ranks >= 0.05) & (ranks <= 0.95))
        print(f"| {name} | {len(ranks)} | {ranks.mean():.2f} | {100.0 * inside:.0f} % |")


if __name__ == "__main__":
    main()
