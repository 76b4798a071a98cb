"""Fit the assumed values to a dozen published rows, and write down what came out: `python -m calibration.first_pass`.

It is `locokine calibrate --first-pass` with the claims before and after, and a page of the docs. The library is not
changed. `record.json` holds what was found; `docs/calibration.md` is the same for readers. An interrupted calibration goes
on where it stopped (its evaluations are kept in the work folder). Research use only.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from calibration.first_pass import write
from locokine.cli.studies import save_tables
from locokine.evidence.first_pass import first_pass
from locokine.inference import findings
from locokine.inference.calibration import Settings, conduct, prepare

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Calibrate, then write record and page."""
    options = parse()
    rows = tuple(first_pass().rows)
    job = prepare(Settings("first", seed=options.seed, threads=options.threads, claims=options.claims, rows=rows))
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - started:6.0f} s, {time.process_time():6.0f} s cpu] {text}", flush=True)

    done = findings.is_finished(options.work, job.facts) or conduct(job, options.work, options.force, tell, save_tables)
    write.save(done, ROOT / "calibration" / "first_pass" / "record.json", ROOT / "docs" / "calibration.md")
    tell("written: calibration/first_pass/record.json, docs/calibration.md")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m calibration.first_pass", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--claims", type=int, default=64, help="draws for the table of claims; 0 for none")
    parser.add_argument("--work", type=Path, default=ROOT / "results" / "first_pass", help="folder of evaluations")
    parser.add_argument("--force", action="store_true", help="replace another study in the folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
