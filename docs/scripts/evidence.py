"""Write the generated parts of docs/evidence.md: the scoreboard, the mix of tumours, what measures what, what is outside the model.

Runs all experiments three times (draws of the posterior that ships, values of the library, draws of the prior): about seven minutes on two cores. The scoreboards are kept in
docs/evidence.json; `--figure-only` draws the figure from it again.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from textwrap import fill
from typing import Any

from locokine.api import cores
from locokine.cli.validate import number, observed_text, observed_unit, source_of, summary
from locokine.evidence.library import Evidence, read_evidence
from locokine.evidence.mix import MixRate, run_mix
from locokine.evidence.observables import OBSERVABLES, SETTINGS
from locokine.evidence.score import Score, Scoreboard, score
from locokine.parameters.library import load_library

TARGET = Path(__file__).resolve().parent.parent / "evidence.md"
KEPT = TARGET.with_suffix(".json")
FIGURE = TARGET.parent / "figures" / "evidence.png"
OBSERVED, POSTERIOR, PRIOR, MISSED = "#1b1b1b", "#2a6f97", "#bcd4e2", "#c1440e"
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


def board_text(posterior: Scoreboard, spread: Scoreboard, prior: Scoreboard) -> str:
    """The scoreboard with draws of the posterior and with the values of the library, and the totals of all three."""
    rows = []
    for one, other in zip(posterior.scores, spread.scores, strict=True):
        base = "–" if one.baseline is None else f"{one.baseline:.1f}"
        seen = f"{observed_text(one)} {observed_unit(one)}"
        rows.append((one.observation.name, one.observation.what, seen, *predicted(one), *predicted(other), base))
    head = ("id", "what", "observed (95 %)", "predicted (90 %)", "agrees", "score", "by the values alone", "agrees", "score", "baseline")
    waiting = ", ".join(f"{name} ({', '.join(lacks)})" for name, lacks in spread.waiting.items())
    return "\n\n".join([
        table(head, rows),
        f"{DRAWS} draws of the posterior ({OF_A_DRAW} hosts a group and draw): {summary(posterior)}",
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


def mix_text(found: MixRate) -> str:
    """The mix of tumours at the library's values."""
    parts = "; ".join(
        f"{part.tumour.name} ({part.tumour.arm}) {100.0 * part.responses / part.n:.0f}" for part in found.parts
    )
    value, low, high = (100.0 * x for x in (found.value, found.low, found.high))
    return (
        f"**{value:.0f} % ({low:.0f} to {high:.0f} %)** with the values of the library, by best response at visits alone "
        f"{100.0 * found.measured:.0f} %. Per cent of the hosts of each: {parts}."
    )


def draw_figure(evidence: Evidence, kept: dict[str, Any]) -> None:
    """Observed beside predicted: shares in per cent, means as a multiple of what was observed."""
    from matplotlib.figure import Figure

    pairs = list(zip(kept["posterior"]["experiments"], kept["prior"]["experiments"], strict=True))
    known = evidence.observations
    shares = [pair for pair in pairs if known[pair[0]["id"]].likelihood.kind == "binomial"]
    means = [pair for pair in pairs if known[pair[0]["id"]].likelihood.kind in ("lognormal", "normal")
             and pair[0]["observed"]["value"] > 0.0]
    height = 0.23 * max(len(shares), len(means)) + 1.3
    figure = Figure(figsize=(15.0, height), layout="constrained")
    for axis, rows, relative in zip(figure.subplots(1, 2), (shares, means), (False, True), strict=True):
        for place, (one, other) in enumerate(rows):
            scale = one["observed"]["value"] if relative else 1.0
            for entry, colour, wide in ((other, PRIOR, 7.0), (one, POSTERIOR, 3.2)):
                low, high = (entry["predicted"][end] / scale for end in ("low", "high"))
                axis.plot([low, high], [place, place], color=colour, lw=wide, solid_capstyle="butt")
            low, high = (one["observed"][end] / scale for end in ("low", "high"))
            axis.plot([low, high], [place, place], color=OBSERVED, lw=0.8)
            axis.plot(one["observed"]["value"] / scale, place, "o", ms=4.2, color=OBSERVED if one["agrees"] else MISSED)
        names = [one["id"] for one, _ in rows]
        words = [fill(f"{name}: {known[name].what}", 68) for name in names]
        axis.set_yticks(range(len(rows)), words, fontsize=6.5, linespacing=0.95)
        axis.set_ylim(len(rows) - 0.4, -0.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="x", lw=0.3)
        if relative:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter("{x:g}")
            axis.axvline(1.0, color=OBSERVED, lw=0.5)
        axis.set_xlabel("times the observed mean" if relative else "share of hosts, lesions or courses (%)")
        axis.set_title("means" if relative else "shares", loc="left", fontsize=10)
    figure.suptitle(
        "Observed (dot, 95 % line; red: outside the prediction by the posterior) against the 90 % predictive interval "
        "of a study like it:\ndark, draws of the posterior that ships; light, draws of the prior", fontsize=9,
    )
    FIGURE.parent.mkdir(exist_ok=True)
    figure.savefig(FIGURE, dpi=110)
    print(f"wrote {FIGURE.name}")


def main() -> None:
    """Replace what stands between the markers of each part."""
    evidence, library = read_evidence(), load_library()
    if "--figure-only" in sys.argv:
        draw_figure(evidence, json.loads(KEPT.read_text(encoding="utf-8")))
        return
    spread = score(evidence, threads=cores(), subjects=SUBJECTS, library=library)
    posterior, prior = (
        score(evidence, source=source_of(name, DRAWS, 1, library), threads=cores(), subjects=OF_A_DRAW, library=library)
        for name in ("posterior", "prior")
    )
    kept = {"posterior": posterior.to_dict(), "spread": spread.to_dict(), "prior": prior.to_dict()}
    KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    draw_figure(evidence, kept)
    parts = {
        "observables": observables_text(), "outside": outside_text(evidence), "scoreboard": board_text(posterior, spread, prior),
        "mix": mix_text(run_mix(SUBJECTS, cores(), 1)),
    }
    page = TARGET.read_text(encoding="utf-8")
    for name, text in parts.items():
        begin, end = f"<!-- generated: {name} begin -->", f"<!-- generated: {name} end -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        page = pattern.sub(lambda _, b=begin, t=text, e=end: f"{b}\n\n{t}\n\n{e}", page)
    TARGET.write_text(page, encoding="utf-8")
    print(f"wrote {TARGET.name}, {KEPT.name}")


if __name__ == "__main__":
    main()
