"""`locokine calibrate`: fit the assumed values to published experiments, and say what is known."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from locokine.cli.studies import ForceOption, JsonOption, OutOption, ThreadsOption, checked_threads, print_json, save_tables


def calibrate(
    out: OutOption,
    quick: Annotated[bool, typer.Option("--quick", help="Half an hour on two cores instead of an hour.")] = False,
    first: Annotated[
        bool, typer.Option("--first-pass", help="A dozen rows in a quarter of an hour.")
    ] = False,
    folders: Annotated[
        list[Path] | None, typer.Option("--with", metavar="DIR", help="A folder of experiments of your own, besides.")
    ] = None,
    containing: Annotated[
        str, typer.Option("--filter", metavar="TEXT", help="Only rows with TEXT in id, words, source or scenario.")
    ] = "",
    hours: Annotated[
        float | None, typer.Option(min=0.01, help="Another limit of time, on two free cores (0.45; 0.75 without --quick).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 1,
    begin: Annotated[
        str, typer.Option(metavar="WHERE", help="Where the search begins: start (what earlier runs found), prior or library.")
    ] = "start",
    claims: Annotated[
        int, typer.Option(min=0, help="Draws in which the thirteen claims are looked at, before and after (none).")
    ] = 0,
    threads: ThreadsOption = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write the proposed values into the library, as calibrated, with a note.")
    ] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fit assumed values to published experiments. An interrupted calibration goes on where it stopped.

    The library changes with --write only. OUT/posterior.json has the draws for --uncertainty; OUT/record.json everything.
    """
    from locokine.errors import InputError
    from locokine.evidence.first_pass import first_pass
    from locokine.inference import findings
    from locokine.inference.calibration import Settings, adopt, conduct, prepare

    if first and quick:
        raise InputError("calibrate", "--first-pass and --quick are two sizes", "choose one")
    size = "first" if first else "quick" if quick else "full"
    rows = tuple(first_pass().rows) if first else ()
    settings = Settings(size, tuple(folders or ()), containing, seed, checked_threads(threads), hours, claims, rows, begin)
    job = prepare(settings)
    done = None if force else findings.is_finished(out, job.facts)
    if done is None:
        done = _conducted(out, job, force, conduct, save_tables)
    if as_json:
        print_json(done)
    else:
        _print(done, out)
    if write:
        changed = adopt(done, out)
        typer.echo(f"Written into {', '.join(sorted({path.name for path in changed.values()}))}: {len(changed)} values")


def _conducted(out: Path, job: Any, force: bool, conduct: Any, save: Any) -> dict[str, Any]:
    from rich.console import Console

    from locokine import api

    messages = Console(stderr=True, highlight=False, markup=False)
    started = time.monotonic()

    def tell(text: str) -> None:
        messages.print(f"[{(time.monotonic() - started) / 60.0:5.1f} min] {text}", soft_wrap=True)

    try:
        if api.needs_compiling():
            messages.print("Compiling the engine once, about a minute; later runs start in seconds.")
        return conduct(job, out, force, tell, save)
    except KeyboardInterrupt:
        told = f"locokine: interrupted; what is finished is kept in {out}, the same command goes on from there"
        messages.print(told, soft_wrap=True)
        raise typer.Exit(130) from None


def _print(done: dict[str, Any], out: Path) -> None:
    from locokine.cli.show import RESEARCH_USE

    typer.echo("Proposed values (parameter, library, proposed, 90 % of the posterior, rows that inform it):")
    for item in done["proposals"]:
        low, high = item["posterior"]
        rows = ", ".join(item["rows"]) or ("the median of its prior" if item["at_prior"] else "where the search began")
        typer.echo(f"  {item['parameter']}: {item['before']} -> {item['after']} ({low} to {high}); {rows}")
    for name, board in done["scoreboard"].items():
        typer.echo(
            f"Mean log score of the fitted rows, {name}: {board['log_score']:.2f} "
            f"(mean of the class {board['baseline']:.2f}, {board['compared']} rows; coverage {100 * board['coverage']:.0f} %)"
        )
    for what, names in done["not_identified"].items():
        shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more (record.json)" if len(names) > 12 else "")
        typer.echo(f"Not identified by the data ({what}): {shown or 'none'}")
    for number, claim in done.get("claims", {}).items():
        prior, after = (100.0 * claim[key] for key in ("prior", "posterior"))
        typer.echo(f"Claim {number} holds in {prior:.0f} % of draws of the prior and {after:.0f} % of the posterior")
    typer.echo(f"Record, tables and posterior draws: {out}")
    typer.echo(RESEARCH_USE)

