"""Write the generated parts of docs/evidence.md: the scoreboard, what measures what, what is outside the model.

Runs all experiments twice (values of the library; draws of the prior): about ten minutes on two cores.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from locokine.api import cores
from locokine.cli.validate import number, observed_text, observed_unit, source_of, summary
from locokine.evidence.library import Evidence, read_evidence
from locokine.evidence.observables import OBSERVABLES, SETTINGS
from locokine.evidence.score import Score, Scoreboard, score
from locokine.parameters.library import load_library

TARGET = Path(__file__).resolve().parent.parent / "evidence.md"
DRAWS, SUBJECTS, OF_A_DRAW = 24, 48, 16


def cell(text: str) -> str:
    """Text that cannot break out of a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(cell(text) for text in row) + " |" for row in rows)])


def predicted(item: Score) -> tuple[str, str, str]:
    """Prediction with its interval, whether it agrees, log score."""
    p = item.predicted
    text = f"{number(p.value)} ({number(p.low)} to {number(p.high)})"
    return text, "yes" if item.agrees else "**no**", f"{p.log_score:.1f}"


def board_text(spread: Scoreboard, prior: Scoreboard) -> str:
    """The scoreboard with both kinds of parameters, and the totals."""
    rows = []
    for one, other in zip(spread.scores, prior.scores, strict=True):
        base = "–" if one.baseline is None else f"{one.baseline:.1f}"
        seen = f"{observed_text(one)} {observed_unit(one)}"
        rows.append((one.observation.name, one.observation.what, seen, *predicted(one), *predicted(other), base))
    head = ("id", "what", "observed (95 %)", "predicted (90 %)", "agrees", "score", "predicted, prior", "agrees", "score", "baseline")
    waiting = ", ".join(f"{name} ({', '.join(lacks)})" for name, lacks in spread.waiting.items())
    return "\n\n".join([
        table(head, rows),
        f"Values of the library with their spread between subjects ({SUBJECTS} hosts a group): {summary(spread)}",
        f"{DRAWS} draws of the prior ({OF_A_DRAW} hosts a group and draw): {summary(prior)}",
        f"Not expressible yet, with what the library lacks: {waiting or 'nothing'}.",
        f"Library `{spread.library_hash[:16]}`, seed 1.",
    ])


def observables_text() -> str:
    """What can be measured."""
    rows = [
        (f"`{name}`", item.unit, item.meaning, ", ".join(f"`{key}` ({SETTINGS[key]})" for key in item.takes), item.group)
        for name, item in OBSERVABLES.items()
    ]
    return table(("observable", "unit", "meaning", "settings under `at:`", "class of the baseline"), rows)


def outside_text(evidence: Evidence) -> str:
    """Rows that the model cannot express."""
    return table(("rows", "what", "would need"), [(", ".join(item.rows), item.what, item.needs) for item in evidence.outside])


def main() -> None:
    """Replace what stands between the markers of each part."""
    evidence, library = read_evidence(), load_library()
    parts = {"observables": observables_text(), "outside": outside_text(evidence)}
    if "--tables-only" not in sys.argv:
        spread = score(evidence, threads=cores(), subjects=SUBJECTS, library=library)
        prior = score(
            evidence, source=source_of("prior", DRAWS, 1, library), threads=cores(), subjects=OF_A_DRAW, library=library
        )
        parts["scoreboard"] = board_text(spread, prior)
    page = TARGET.read_text(encoding="utf-8")
    for name, text in parts.items():
        begin, end = f"<!-- generated: {name} begin -->", f"<!-- generated: {name} end -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        page = pattern.sub(lambda _, b=begin, t=text, e=end: f"{b}\n\n{t}\n\n{e}", page)
    TARGET.write_text(page, encoding="utf-8")
    print(f"wrote {TARGET.name}")


if __name__ == "__main__":
    main()
