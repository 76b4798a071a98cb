"""What the studies of a scenario share on the command line: options, messages, tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locokine.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from locokine.cli.run import Progress
    from locokine.inference.draws import PosteriorDraws
    from locokine.report.tables import Table
    from locokine.scenario.experiment import Experiment

FileArgument = Annotated[Path, typer.Argument(help="Scenario (YAML).")]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for tables, figure and finished evaluations.")]
SubjectsOption = Annotated[int | None, typer.Option(min=1, help="Subjects, instead of those of the scenario.")]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Seed, instead of that of the scenario.")]
ThreadsOption = Annotated[int | None, typer.Option(help="Processor cores to use (all by default).")]
SettingsOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Another value of a parameter, with its unit.")
]
GeometryOption = Annotated[
    str | None, typer.Option(help="well-mixed (about seven times faster) or shells, instead of the scenario's.")
]
UncertaintyOption = Annotated[
    Path | None,
    typer.Option(
        "--uncertainty", metavar="posterior|FILE",
        help="Draw parameters from the posterior that ships, or from a file of locokine calibrate (JSON or NPZ).",
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace another study in the folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead of tables.")]


def load_experiment(
    file: Path, subjects: int | None, seed: int | None, settings: list[str] | None, geometry: str | None
) -> Experiment:
    """A scenario with what the options change.

    Raises
    ------
    InputError
        As for `locokine run`; for an unknown geometry.
    """
    from locokine import api
    from locokine.cli.run import parse_settings

    experiment = api.load(file, overrides=parse_settings(settings or []), subjects=subjects, seed=seed)
    if geometry is None:
        return experiment
    if geometry not in ("shells", "well-mixed"):
        raise InputError("--geometry", f"unknown geometry '{geometry}'", "write shells or well-mixed")
    protocol = replace(experiment.protocol, geometry=geometry)
    return replace(experiment, protocol=protocol, source={**experiment.source, "geometry": geometry})


DRAWS = 24
"""Draws of a posterior, if not said otherwise."""


def posterior_of(path: Path | None, experiment: Experiment, draws: int) -> tuple[PosteriorDraws | None, int]:
    """Draws of a file for an experiment, and how many of them; (None, draws) without a file.

    Raises
    ------
    InputError
        If the file cannot be used.
    """
    if path is None:
        return None, draws
    from locokine.inference.draws import posterior_for

    return posterior_for(path, experiment), draws or DRAWS


def checked_threads(threads: int | None) -> int:
    """Threads to use.

    Raises
    ------
    InputError
        For fewer than one.
    """
    from locokine import api

    if threads is not None and threads < 1:
        raise InputError("--threads", f"{threads} is not a number of cores", "use 1 or more")
    return threads or api.cores()


@contextmanager
def study(out: Path) -> Iterator[Progress]:
    """Progress on stderr; an interruption is told with what is kept."""
    from rich.console import Console

    from locokine import api
    from locokine.cli.run import progress_bar

    messages = Console(stderr=True, highlight=False, markup=False)
    try:
        if api.needs_compiling():
            messages.print("Compiling the engine once, about a minute; later runs start in seconds.")
        with progress_bar(messages) as progress:
            yield progress
    except KeyboardInterrupt:
        told = f"locokine: interrupted; what is finished is kept in {out}, the same command goes on from there"
        messages.print(told, soft_wrap=True)
        raise typer.Exit(130) from None


def save_tables(out: Path, tables: dict[str, pd.DataFrame], facts: dict[str, Any], name: str) -> None:
    """Write NAME.json and a CSV file for every table."""
    import json

    from locokine.results.schema import plain
    from locokine.results.store import disk_errors, write_atomic

    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for title, table in tables.items():
            text = table.to_csv(index=False).encode()
            write_atomic(out / f"{title}.csv", lambda stream, text=text: stream.write(text))
        content = json.dumps(plain(facts), indent=2, ensure_ascii=False, allow_nan=False).encode()
        write_atomic(out / f"{name}.json", lambda stream: stream.write(content))


def print_json(facts: dict[str, Any]) -> None:
    """Print facts as JSON."""
    import json

    from locokine.results.schema import plain

    typer.echo(json.dumps(plain(facts), indent=2, ensure_ascii=False, allow_nan=False))


def print_tables(tables: Sequence[tuple[str, Table]], out: Path) -> None:
    """Print tables, where the files are, and what this is not for."""
    from rich.console import Console

    from locokine.cli.show import RESEARCH_USE, drawn

    console = Console(highlight=False, markup=False)
    for title, table in tables:
        console.print(drawn(title, table, 1 if console.width >= 100 else 0))
        if table.note:
            console.print(table.note, style="dim")
    console.print(f"Tables and figure: {out}", soft_wrap=True)
    console.print(RESEARCH_USE)


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table as plain mappings."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
