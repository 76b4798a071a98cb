"""Results as a table in the terminal, and `locokine report`: the report of results that exist."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table as Drawn

    from locokine.report.tables import Table
    from locokine.results.result import Result


RESEARCH_USE = "Research use only; never for dosing or treating patients."
"""As in the report; written here too, so that `--help` need not load it."""


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `locokine run` filled.")],
) -> None:
    """Write report.html and the figures of a finished run anew, with a plate of virtual slides, and print its table.

    The report of `locokine run` leaves the plate out unless asked for it (--slides): it takes half a minute.
    """
    from locokine import api

    result = api.open_result(directory)
    api.write_report(result, None, directory, slides=True)
    print_result(result, directory)


def print_result(result: Result, directory: Path) -> None:
    """Print the table of arms, the rechallenge, where the report is, and what this is not for."""
    from rich.console import Console

    from locokine import api
    from locokine.report.tables import closing

    console = Console(highlight=False, markup=False)
    for title, table in closing(result):
        if table.rows:
            console.print(drawn(title, table, 1 if console.width >= 100 else 0))
        if table.note:
            console.print(table.note, style="dim")
    page = directory / api.REPORT
    console.print(f"Report: {page}" if page.exists() else f"Results: {directory}", soft_wrap=True)
    console.print(RESEARCH_USE)


SHORTER = {"injection": "inj.", "bioavailability": "bioavail- ability"}
"""Words of headings that would make a column wider than 80 characters allow."""


def drawn(title: str, table: Table, gap: int) -> Drawn:
    """Table for the terminal: headings wrap between words, numbers do not; the first columns take what is left."""
    from rich import box
    from rich.table import Table as Drawn
    from rich.text import Text

    made = Drawn(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0), show_edge=False)
    for position, column in enumerate(table.columns):
        heading = " ".join(SHORTER.get(word, word) for word in column.split())
        cells = [row[position] for row in table.rows]
        if position < table.text_columns:
            made.add_column(Text(heading), min_width=8, overflow="fold")
        else:
            made.add_column(Text(heading), justify="right", width=max(map(len, [*heading.split(), *cells])))
    for row in table.rows:
        made.add_row(*(Text(cell) for cell in row))
    return made
