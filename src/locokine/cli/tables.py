"""`locokine tables`: the tables of a finished run as a journal prints them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from locokine.cli.show import RESEARCH_USE


def tables(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `locokine run` filled.")],
    reference: Annotated[
        str | None, typer.Option(help="Arm that the others are compared with; the first by default.")
    ] = None,
    name: Annotated[
        str, typer.Option("--show", help="Table to print: baseline, efficacy, toxicity or contrasts.")
    ] = "contrasts",
) -> None:
    """Write baseline, efficacy, toxicity and paired contrasts of a finished run as CSV, Parquet and HTML."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from locokine import api
    from locokine.errors import InputError
    from locokine.report import journal

    if name not in journal.TITLES:
        raise InputError("--show", f"there is no table '{name}'", f"choose one of {', '.join(journal.TITLES)}")
    result = api.open_result(directory)
    files = journal.write_tables(result, directory, reference)
    made = journal.journal_tables(result, reference)
    console = Console(highlight=False, markup=False)
    if name in made:
        table = made[name]
        title = journal.TITLES[name]
        shown = Table(*map(str, table.columns), box=box.SIMPLE_HEAD, show_edge=False, title_justify="left", title=title)
        for row in table.itertuples(index=False, name=None):
            shown.add_row(*map(str, row))
        console.print(shown)
        console.print(journal.NOTES[name], style="dim")
    console.print(f"All tables: {files[-1]}; single ones beside it as CSV and Parquet", soft_wrap=True)
    console.print(RESEARCH_USE)
