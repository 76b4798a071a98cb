"""What the first pass leaves behind: record.json and the page of the docs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]


def page(found: Record) -> str:
    """The page of the docs, in Markdown, from the record of a calibration."""
    parts = [PAGE_HEAD.format(**found["study"])]
    parts.append("## Rows\n\n| row | what | observed | before | after | log score |\n|---|---|---|---|---|---|")
    for name, row in found["fits"].items():
        unit = "" if row["unit"] == "1" else f" {row['unit']}"
        note = f" ({row['note']})" if row["note"] else ""
        parts.append(
            f"| {name} | {row['what']}{note}; {row['source']} | {row['observed']} | {row['before']:.3g}{unit} "
            f"| {row['after']:.3g}{unit} | {row['score_before']:.2f} → {row['score_after']:.2f} |"
        )
    board = found["scoreboard"]
    parts.append(
        f"\nMean log score: library {board['library']['log_score']:.2f}, point {board['point']['log_score']:.2f}, draws of the "
        f"posterior {board['posterior']['log_score']:.2f}; the mean of the class {board['library']['baseline']:.2f}.\n"
    )
    parts.append("## Values\n\nz is the distance from the median of the prior in its standard deviations.\n\n"
                 "| parameter | before | after | prior range | z | rows that inform it |\n|---|---|---|---|---|---|")
    for item in (one for one in found["proposals"] if one["rows"]):
        parts.append(
            f"| {item['parameter']} | {item['before']} | {item['after']} | {item['range'][0]} to {item['range'][1]} "
            f"| {item['z']:+.2f} | {', '.join(item['rows'])} |"
        )
    if found.get("claims"):
        parts.append(CLAIMS_HEAD)
        for number, item in found["claims"].items():
            parts.append(
                f"| {number} | {item['claim']} | {100 * item['prior']:.0f} % | {100 * item['posterior']:.0f} % "
                f"| {_held(item['at_library'])} | {_held(item['at_point'])} |"
            )
    return "\n".join(parts) + "\n"


def _held(found: Record) -> str:
    return ("yes: " if found["holds"] else "no: ") + found["text"]


PAGE_HEAD = """# First-pass calibration

Written by `python -m calibration.first_pass` (seed {seed}, locokine {version}, library {library:.12}, sources {code}); do not
edit. Research use only.

The method is that of `locokine calibrate` ([the statistical model](calibration_model.md)), on a dozen rows and in a quarter of an
hour. It begins where that does, and what it does not move stays there; "before" is the library that ships, which was fitted to
many more rows. Only values with status assumed or calibrated may move, measured and derived ones never. A row that stays far
off is a misfit, and reported as one: nothing was forced.
"""
CLAIMS_HEAD = """
## Claims

Share of draws in which each claim of the blueprint holds: of the prior, and with what was fitted drawn from the posterior;
and what it is at the values themselves.

| # | claim | prior | posterior | at the library's values | at the fitted values |
|---|---|---|---|---|---|"""


def save(found: Record, record_path: Path, page_path: Path) -> None:
    """Write record and page, each whole or not at all."""
    for path, text in ((record_path, json.dumps(found, indent=1) + "\n"), (page_path, page(found))):
        part = path.with_suffix(path.suffix + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
