"""Fit the assumed values to a dozen published rows, and write down what came out: `python -m calibration.first_pass`.

The library is not changed. `record.json` holds values before and after, the fit of every row, versions and hashes;
`docs/calibration.md` is the same for readers, with the table of proposed values. An interrupted calibration goes on
where it stopped (its evaluations are kept in a file of the work folder, valid for these sources and this library only).
Research use only.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from calibration.first_pass import write
from locokine._jit import source_hash
from locokine.evidence.first_pass import FILE, first_pass
from locokine.inference.fit import Bench, Fitted, Store, fit_stage, key_of

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run the stages asked for, then the tables."""
    options = parse()
    data = first_pass()
    chosen = [stage for stage in data.stages if not options.stage or stage.name in options.stage]
    unknown = set(options.stage) - {stage.name for stage in data.stages}
    if unknown:
        raise SystemExit(f"no stage {', '.join(unknown)}: choose of {', '.join(s.name for s in data.stages)}")
    bench = Bench(data, seed=options.seed, threads=options.threads)
    identity = key_of(source_hash(), bench.library.digest, FILE.read_text(encoding="utf-8"), data.digest, options.seed)
    store = Store(options.work / f"{identity}.jsonl")
    started = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - started:6.0f} s, {time.process_time():6.0f} s cpu] {text}", flush=True)

    stages: list[Fitted] = []
    for stage in chosen:
        stages.append(fit_stage(bench, stage, store, tell=tell))
        print(write.stage_text(stages[-1], data), flush=True)
    claims = write.claims_tables(bench, options.claims, tell) if options.claims else None
    record = write.record(bench, stages, claims, identity, options.seed)
    if options.stage:
        tell("some stages only: record and page are not written")
    else:
        write.save(record, ROOT / "calibration" / "first_pass" / "record.json", ROOT / "docs" / "calibration.md")
        tell("written: calibration/first_pass/record.json, docs/calibration.md")
    print(write.proposal_text(record))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m calibration.first_pass", description=__doc__)
    parser.add_argument("--stage", action="append", default=[], help="only this stage (repeat for several)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--claims", type=int, default=256, help="prior draws for the table of claims; 0 for none")
    parser.add_argument("--work", type=Path, default=ROOT / "results" / "first_pass", help="folder of evaluations")
    return parser.parse_args()


if __name__ == "__main__":
    main()
