"""What a calibration leaves behind: record.json, the page of the docs, the proposal."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from locokine import __version__
from locokine._jit import source_hash
from locokine.evidence.first_pass import FirstPass
from locokine.inference.fit import Bench, Fitted

Record = dict[str, Any]


def stage_text(fitted: Fitted, data: FirstPass) -> str:
    """A stage in lines of text: rows before and after, values, what mattered most."""
    cost = f"cost {fitted.cost_before:.2f} -> {fitted.cost_after:.2f}"
    lines = [f"--- {fitted.stage}: {cost}, {fitted.evaluations} draws, effective prior draws {fitted.effective:.1f}"]
    for name, (prediction, log) in fitted.after.items():
        row = data.rows[name]
        first, was = fitted.before[name]
        seen = row.likelihood.text(row.unit)
        lines.append(f"  {name:6} {first:9.3g} ({was:6.2f}) -> {prediction:9.3g} ({log:6.2f})  seen {seen}; {row.what}")
    for item, value in fitted.values.items():
        change = f"{item.text(item.record.value):>22} -> {item.text(value):<22}"
        lines.append(f"  {item.key:40} {change} z {item.coordinate(value):+.2f}")
    strongest = list(fitted.screened.items())[:20]
    lines.append("  influence: " + ", ".join(f"{key} {value:.2f}" for key, value in strongest))
    return "\n".join(lines)


def claims_tables(bench: Bench, draws: int, tell: Callable[[str], None]) -> Record:
    """Share of prior draws in which each claim holds, before and after the fit, and the claims at the medians."""
    from locokine.inference.claims import CLAIMS, prior_predictive

    tell(f"claims in {draws} draws of the prior")
    before = prior_predictive(draws, seed=bench.seed, threads=bench.threads, library=bench.library)
    tell("the same with the fitted values as medians, and no spread in what was fitted")
    after = prior_predictive(draws, seed=bench.seed, threads=bench.threads, library=bench.library, values=bench.moved)
    return {
        str(number): {"claim": claim.what, "before": before.shares[number], "after": after.shares[number],
                      "at_library": before.centre[number], "at_fit": after.centre[number]}
        for number, claim in CLAIMS.items()
    }


def record(bench: Bench, stages: Sequence[Fitted], claims: Record | None, identity: str, seed: int) -> Record:
    """Everything that was found, as plain data."""
    rows = {}
    for fitted in stages:
        for name, (prediction, log) in fitted.after.items():
            row = bench.data.rows[name]
            first, was = fitted.before[name]
            rows[name] = {
                "source": row.source, "what": row.what, "observed": row.likelihood.text(row.unit), "unit": row.unit,
                "before": first, "after": prediction, "log_likelihood_before": was, "log_likelihood_after": log,
                "note": "; ".join(row.assumptions), "stage": fitted.stage,
            }
    values = {
        item.key: {
            "before": item.text(item.record.value, 6), "after": item.text(value, 3), "z": item.coordinate(value),
            "range": [item.text(item.record.low), item.text(item.record.high)], "stage": fitted.stage,
            "was": item.record.status,
        }
        for fitted in stages for item, value in fitted.values.items()
    }
    return {
        "schema_version": 1, "locokine": __version__, "seed": seed, "identity": identity,
        "sources": source_hash(), "library": bench.library.digest,
        "versions": {"python": platform.python_version(), **{n: version(n) for n in ("numpy", "scipy", "numba")}},
        "stages": {
            f.stage: {"cost_before": f.cost_before, "cost_after": f.cost_after, "draws": f.evaluations,
                      "effective_prior_draws": f.effective, "influence": f.screened}
            for f in stages
        },
        "rows": rows, "values": values, "claims": claims or {},
    }


def proposal_text(found: Record) -> str:
    """The table of proposed values."""
    lines = ["parameter\tbefore\tafter\tstatus\trows"]
    for key, item in found["values"].items():
        rows = [name for name, row in found["rows"].items() if row["stage"] == item["stage"]]
        lines.append(f"{key}\t{item['before']}\t{item['after']}\tcalibrated\t{', '.join(rows)}")
    return "\n".join(lines)


def page(found: Record) -> str:
    """The page of the docs, in Markdown."""
    parts = [PAGE_HEAD.format(**found, numba=found["versions"]["numba"])]
    parts.append("## Rows\n\n| row | what | observed | before | after | log-likelihood |\n|---|---|---|---|---|---|")
    for name, row in found["rows"].items():
        unit = "" if row["unit"] == "1" else f" {row['unit']}"
        note = f" ({row['note']})" if row["note"] else ""
        parts.append(
            f"| {name} | {row['what']}{note}; {row['source']} | {row['observed']} | {row['before']:.3g}{unit} "
            f"| {row['after']:.3g}{unit} | {row['log_likelihood_after']:.2f} |"
        )
    parts.append("\n## Values\n\nz is the distance from the median of the prior in its standard deviations.\n\n"
                 "| parameter | before | after | prior range | z | stage |\n|---|---|---|---|---|---|")
    for key, item in found["values"].items():
        parts.append(
            f"| {key} | {item['before']} | {item['after']} | {item['range'][0]} to {item['range'][1]} "
            f"| {item['z']:+.2f} | {item['stage']} |"
        )
    if found["claims"]:
        parts.append(CLAIMS_HEAD)
        for number, item in found["claims"].items():
            parts.append(
                f"| {number} | {item['claim']} | {100 * item['before']:.0f} % | {100 * item['after']:.0f} % "
                f"| {_held(item['at_library'])} | {_held(item['at_fit'])} |"
            )
    return "\n".join(parts) + "\n"


def _held(found: Record) -> str:
    return ("yes: " if found["holds"] else "no: ") + found["text"]


PAGE_HEAD = """# First-pass calibration

Written by `python -m calibration.first_pass` (seed {seed}, locokine {locokine}, library {library:.12}, sources {sources},
numba {numba}); do not edit. Research use only.

Only values with status assumed or calibrated may move, measured and derived ones never. A stage draws a batch from the
prior of every candidate, keeps the parameters that its rows answer to, and refines them by an evolution strategy that
minimises the negative log posterior. A log-likelihood of 0 is a perfect prediction, -0.5 one standard deviation off,
-2 two. A row that stays far below is a misfit, and reported as one: nothing was forced.
"""
CLAIMS_HEAD = """
## Claims

Share of prior draws in which each claim of the blueprint holds, before and after the fit (fitted values then stay at
their new values, all others are drawn), and what it is at the values themselves.

| # | claim | before | after | at the library's values | at the fitted values |
|---|---|---|---|---|---|"""


def save(found: Record, record_path: Path, page_path: Path) -> None:
    """Write record and page, each whole or not at all."""
    for path, text in ((record_path, json.dumps(found, indent=1) + "\n"), (page_path, page(found))):
        part = path.with_suffix(path.suffix + ".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)
