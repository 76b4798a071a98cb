"""Keep what a full calibration found in `calibration/full`, and fill its page.

    python docs/scripts/calibration.py OUT     the folder of `locokine calibrate`
    python docs/scripts/calibration.py         only the page, anew, from what is kept

The record has hashes, versions, trace and values; beside it lie the tables of rows, of the posterior and of the trace. Between
the marks `<!-- generated: calibration begin -->` and `… end -->` of docs/calibration_model.md stands what they say.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "calibration" / "full"
PAGE = ROOT / "docs" / "calibration_model.md"
FILES = ("record.json", "rows.csv", "posterior.csv", "trace.csv")
BEGIN, END = "<!-- generated: calibration begin -->\n", "<!-- generated: calibration end -->"
BOARDS = {"library": "the library", "point": "the point that it proposes", "posterior": "its posterior"}


def main() -> None:
    """Copy and fill."""
    if len(sys.argv) > 1:
        KEPT.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copyfile(Path(sys.argv[1]) / name, KEPT / name)
    record = json.loads((KEPT / "record.json").read_text(encoding="utf-8"))
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + section(record, pd.read_csv(KEPT / "rows.csv")) + END + rest.split(END)[1], encoding="utf-8")


def section(record: dict[str, Any], rows: pd.DataFrame) -> str:
    """What stands between the marks."""
    study, trace, values = record["study"], record["trace"], record["values"]
    screening = next(line for line in trace if line["stage"] == "screening")
    kept = next(line for line in trace if line["stage"] == "requirements")
    wide = record["not_identified"]["moved, as wide as before"]
    shells = [line for line in trace if line["stage"] == "shells"][-1]
    return "\n".join([
        (f"{len(study['rows'])} rows, {screening['of']} parameters of which {screening['moving']} may move, {screening['units']} units; seed "
        f"{study['seed']}; {trace[-1]['minutes']:.0f} minutes of counted time (locokine {study['version']}, sources {study['code']}, evidence "
        f"{study['evidence'][:12]}, schedule {study['schedule']})."),
        "",
        "| | log score per fitted row | coverage |",
        "|---|---|---|",
        *(f"| {name} | {board['log_score']:.2f} | {100 * board['coverage']:.0f} % |"
          for key, name in BOARDS.items() for board in [record["scoreboard"][key]]),
        f"| mean of the class | {record['scoreboard']['library']['baseline']:.2f} | |",
        "",
        "| search | round | worth of the best point | minutes |",
        "|---|---|---|---|",
        *(f"| {line['stage']} | {line['round']} | {line['worth']:.1f} | {line['minutes']:.0f} |"
          for line in trace if line["stage"] in ("point", "corrected")),
        "",
        (f"{len(values)} values are not at the median of their prior; of the {screening['moving']} that might have moved, {len(wide)} are as wide as "
        f"before, {len(set(wide) & set(values))} of the {len(values)} among them (moved because together they gain, not because the rows know them). Of "
        f"{kept['draws']} draws of the posterior {kept['kept']} keep the requirements. Shells change {shells['rows']} rows, in the median by "
        f"{shells['apart']} of the discrepancy that is allowed for. The autocorrelation of the sampler is "
        f"{record['autocorrelation_steps']:.0f} of {study['size']['walk']:,} steps. {proposed(record, rows)}"),
        "",
    ])


def proposed(record: dict[str, Any], rows: pd.DataFrame) -> str:
    """What would change in the library, in a sentence."""
    if not record["proposals"]:
        return "It proposes no other value than the library has."
    return (f"It proposes {len(record['proposals'])} values. Rows that lost most and gained most against the library, in log score: "
            f"{changes(rows, True)}; {changes(rows, False)}.")


def changes(rows: pd.DataFrame, lost: bool) -> str:
    """The six rows that lost or gained most."""
    gain = (rows["score_point"] - rows["score_library"]).set_axis(rows["row"]).sort_values(ascending=lost)[:6]
    return ", ".join(f"{name} {value:+.1f}" for name, value in gain.items())


if __name__ == "__main__":
    main()
