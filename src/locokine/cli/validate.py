"""`locokine validate`: published experiments beside what the model predicts for studies like them."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locokine.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from locokine.evidence.score import Score, Scoreboard, Source
    from locokine.parameters.library import Library


WIDE = 150
"""Width of the table in a file or a pipe, and from which it has room for words."""


def validate(
    folders: Annotated[
        list[Path] | None, typer.Option("--with", metavar="DIR", help="A folder of experiments of your own, besides.")
    ] = None,
    containing: Annotated[
        str, typer.Option("--filter", metavar="TEXT", help="Only those with TEXT in id, use, words, source or scenario.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the scoreboard as JSON.")] = False,
    subjects: Annotated[int | None, typer.Option(min=2, help="Simulated hosts a group and draw (48; 16 with draws).")] = None,
    uncertainty: Annotated[
        str,
        typer.Option(
            metavar="posterior|spread|prior|FILE",
            help="Parameters: draws of the posterior that ships, the library's values with their spread between subjects alone, "
                 "draws of the prior, or of a posterior from a file (JSON or NPZ).",
        ),
    ] = "posterior",
    draws: Annotated[int, typer.Option(min=1, help="Draws of the prior or posterior.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Of all random draws.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor cores to use (all by default).")] = None,
    mix: Annotated[
        bool, typer.Option("--mix", help="Response rate to local IL-2 over the listed, weighted mix of animal tumours, and stop.")
    ] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of a file of evidence and stop.")] = False,
) -> None:
    """Run published experiments and score the model against them."""
    if schema:
        from locokine.evidence.model import json_schema

        typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    if mix:
        _mix(subjects or 48, threads, seed, as_json)
        return
    from rich.console import Console

    from locokine import api
    from locokine.evidence.library import read_evidence
    from locokine.evidence.score import score
    from locokine.parameters import load_library

    library = load_library()
    evidence = read_evidence(tuple(folders or ()))
    chosen = evidence.selected(containing) if containing else None
    source = source_of(uncertainty, draws, seed, library)
    messages = Console(stderr=True, highlight=False, markup=False)
    if api.needs_compiling():
        messages.print("Compiling the engine once, about a minute; later runs start in seconds.")
    started = time.monotonic()
    with messages.status("Running experiments ...") as status:
        board = score(
            evidence, chosen, source=source, subjects=subjects or (48 if source.count == 1 else 16), seed=seed,
            threads=threads or api.cores(), library=library,
            progress=lambda done, total, name: status.update(f"Scenario {done + 1} of {total}: {Path(name).stem}"),
        )
    if as_json:
        typer.echo(json.dumps(board.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        console = Console(highlight=False, markup=False)
        _print(console if console.is_terminal else Console(highlight=False, markup=False, width=WIDE), board, uncertainty)
    _notes(messages, board, time.monotonic() - started)


def _mix(subjects: int, threads: int | None, seed: int, as_json: bool) -> None:
    """Run and show the mix of tumours."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from locokine import api
    from locokine.cli.show import RESEARCH_USE
    from locokine.evidence.mix import run_mix

    with Console(stderr=True).status("Running the mix ..."):
        found = run_mix(subjects, threads or api.cores(), seed)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
        return
    table = Table("tumour", "arm", "weight", "responses", "share", box=box.SIMPLE_HEAD, show_edge=False)
    for part in found.parts:
        share = f"{100.0 * part.responses / part.n:.0f} %"
        table.add_row(part.tumour.name, part.tumour.arm, f"{part.tumour.weight:g}", f"{part.responses:.1f} of {part.n}", share)
    console = Console(highlight=False, markup=False)
    console.print(table)
    rate = f"{100.0 * found.value:.0f} % (95 % interval {100.0 * found.low:.0f} to {100.0 * found.high:.0f} %)"
    console.print(f"Weighted rate of objective responses: {rate}; expected from the published work 50 to 70 %.")
    console.print(
        f"By best response at visits alone {100.0 * found.measured:.0f} %: "
        "some are cured of what was too small to measure, or swells."
    )
    console.print(RESEARCH_USE)


def source_of(uncertainty: str, draws: int, seed: int, library: Library) -> Source:
    """Where parameters come from: "spread", "prior", "posterior", or a file of posterior draws.

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    from locokine.evidence.score import Spread

    if uncertainty == "spread":
        return Spread()
    from locokine.inference.draws import POSTERIOR, PriorDraws, read_posterior

    if uncertainty == "prior":
        return PriorDraws(draws, seed)
    path = Path(uncertainty)
    if uncertainty != POSTERIOR and not path.exists():
        raise InputError("--uncertainty", f"'{uncertainty}' is neither spread, prior, posterior nor a file", "write one of them")
    return read_posterior(path, library).thinned(draws)


def _print(console: Console, board: Scoreboard, uncertainty: str) -> None:
    from rich import box
    from rich.table import Table

    if board.scores:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), title_justify="left",
                      title=f"Published experiments against the model (parameters: {uncertainty})")
        table.add_column("experiment", no_wrap=True)
        if console.width >= WIDE:
            table.add_column("what", ratio=1)
        for name in ("unit", "observed (95 %)", "predicted (90 %)", "width", "agrees", "log score", "baseline"):
            table.add_column(name, justify="left" if name == "unit" else "right")
        for item in board.scores:
            cells = _cells(item)
            table.add_row(*(cells if console.width >= WIDE else (cells[0], *cells[2:])))
        console.print(table)
    for name, lacks in board.waiting.items():
        console.print(f"{name}: not expressible yet: {', '.join(lacks)} unknown", soft_wrap=True)
    console.print(summary(board), soft_wrap=True)
    from locokine.cli.show import RESEARCH_USE

    console.print(RESEARCH_USE)


def _cells(item: Score) -> tuple[str, ...]:
    observation, p = item.observation, item.predicted
    mark = "" if observation.use == "calibrate" else " (validation)"
    return (
        observation.name + mark, observation.what, observed_unit(item), observed_text(item),
        f"{number(p.value)} ({number(p.low)} to {number(p.high)})", number(item.width), "yes" if item.agrees else "no",
        f"{p.log_score:.2f}", "–" if item.baseline is None else f"{item.baseline:.2f}",
    )


def observed_unit(item: Score) -> str:
    """Unit of the numbers of a score."""
    if item.observation.against is None:
        return "" if item.observation.unit == "1" else item.observation.unit
    return "ratio" if item.observation.likelihood.ratio else f"{item.observation.unit} more"


def observed_text(item: Score) -> str:
    """Observed value with its interval; of a bound, its known side."""
    value, low, high = item.observed
    like = item.observation.likelihood
    if like.kind in ("bound", "ordering"):
        sides = [f"{sign} {number(limit)}" for sign, limit in ((">", like.above), ("<", like.below)) if math.isfinite(limit)]
        return ", ".join(sides)
    return f"{number(value)} ({number(low)} to {number(high)})"


def number(value: float) -> str:
    """Three significant digits."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.3g}" if abs(value) < 1e5 else f"{value:.1e}"


def summary(board: Scoreboard) -> str:
    """Coverage and score in a sentence."""
    if not board.scores:
        return "No experiment can be expressed yet."
    agreeing = sum(item.agrees for item in board.scores)
    ours, theirs, compared = board.total
    text = f"{agreeing} of {len(board.scores)} experiments agree (coverage {100.0 * (board.coverage or 0.0):.0f} %, 90 % wanted)."
    if not compared:
        return text
    verdict = "better" if ours > theirs else "worse"
    return (
        f"{text} Mean log score {ours:.2f} against {theirs:.2f} of the mean of the class in {compared} experiments: {verdict}."
    )


def _notes(messages: Any, board: Scoreboard, seconds: float) -> None:
    waiting = f"; {len(board.waiting)} not expressible yet" if board.waiting else ""
    messages.print(f"{len(board.scores)} experiments in {seconds:.0f} s{waiting}", soft_wrap=True)
