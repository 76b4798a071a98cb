"""`locokine parameters`: every number with its unit, range, source and status; `locokine audit`: which ones act."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from locokine.cli.show import RESEARCH_USE

if TYPE_CHECKING:
    from locokine.parameters import Datum, Library, Record

parameters_app = typer.Typer(
    help="List, explain and cite the parameters. Research use only.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FilterOption = Annotated[
    str, typer.Option("--filter", metavar="TEXT", help="Only those with TEXT in name, owner, status, source or note.")
]
FolderOption = Annotated[
    list[Path] | None, typer.Option("--library", metavar="DIR", help="A folder of parameters of your own, besides.")
]


@parameters_app.callback()
def parameters(context: typer.Context, containing: FilterOption = "", folders: FolderOption = None) -> None:
    """List, explain and cite the parameters. Research use only."""
    if context.invoked_subcommand is None:
        _print_list(_library(folders), containing)


@parameters_app.command("list", epilog=RESEARCH_USE)
def list_(containing: FilterOption = "", folders: FolderOption = None) -> None:
    """List every parameter: value, 90 % range, spread between subjects, status, sources."""
    _print_list(_library(folders), containing)


@parameters_app.command(epilog=RESEARCH_USE)
def explain(name: Annotated[str, typer.Argument(help="Name of a parameter.")], folders: FolderOption = None) -> None:
    """Explain one parameter: what it is, wherever it has a value, how sure it is and who says so."""
    library = _library(folders)
    data = [datum for datum in library.data() if datum.name == name]
    for datum in data:
        typer.echo(_datum_words(datum, library))
        typer.echo()
    for record in [] if data else library.find(name):
        typer.echo(explanation(record, library))
        typer.echo()


@parameters_app.command(epilog=RESEARCH_USE)
def cite(containing: FilterOption = "", folders: FolderOption = None) -> None:
    """Print the papers that the parameters come from."""
    library = _library(folders)
    keys = [key for record in matching(library, containing) for key in record.cited]
    keys += [key for datum in matching_data(library, containing) for key in datum.source]
    for line in library.bibliography.cite(keys):
        typer.echo(line)


def audit(
    file: Annotated[Path, typer.Argument(help="Scenario (YAML).")],
) -> None:
    """Double and halve each parameter of a scenario and list those that move no output."""
    from rich.console import Console

    from locokine import api
    from locokine.inference.audit import audit as run_audit

    experiment = api.load(file)
    with Console(stderr=True).status("Running the scenario twice for each parameter ..."):
        silent = run_audit(experiment)
    for name, why in silent.items():
        typer.echo(f"{name}: {why or 'moves no output, and nothing says why'}")
    unexplained = sum(not why for why in silent.values())
    typer.echo(f"{len(silent)} parameters move no output, {unexplained} of them without an explanation.")


def _library(folders: Sequence[Path] | None) -> Library:
    from locokine.parameters import load_library

    return load_library(tuple(folders or ()))


def matching(library: Library, containing: str) -> list[Record]:
    """Records with a text (any case) in name, owner, status, source or note; the underscore also reads as a space."""
    return [record for record in library.records() if _mentions(record, containing)]


def matching_data(library: Library, containing: str) -> list[Datum]:
    """Numbers among the data of entries (weights of antigens, cavities, body surface), chosen as records are."""
    return [datum for datum in library.data() if _mentions(datum, containing)]


def _mentions(one: Record | Datum, containing: str) -> bool:
    parts = (one.name, one.scope, one.status, *one.source, one.note)
    return containing.lower().replace(" ", "_") in " ".join(parts).lower().replace(" ", "_")


def _print_list(library: Library, containing: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    rows = [_row(record) for record in matching(library, containing)]
    rows += [_datum_row(datum) for datum in matching_data(library, containing)]
    console = Console(highlight=False)
    if not console.is_terminal:  # into a file or a pipe: one line each, tab separated, nothing cut off
        typer.echo("\t".join(("owner", "name", "value", "range", "between", "status", "source")))
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table("owner", "name", "value", "90 % range", "between", "status", "source")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)
    console.print(f"{len(rows)} parameters; `locokine parameters explain NAME` says more about one.")


def _row(record: Record) -> tuple[str, ...]:
    return (
        record.scope,
        record.name,
        record.text(),
        _range(record),
        f"{record.between:g}" if record.between else "",
        record.status,
        ", ".join(record.source),
    )


def _datum_row(datum: Datum) -> tuple[str, ...]:
    return (datum.scope, datum.name, datum.value, datum.range, "", datum.status, ", ".join(datum.source))


def _datum_words(datum: Datum, library: Library) -> str:
    """Return one number of an entry's data in words."""
    lines = [
        f"{datum.name} ({datum.scope}) = {datum.value}",
        f"  {datum.note}",
        f"  90 % range        {datum.range}",
        "  between subjects  the same in all subjects",
        f"  status            {datum.status}",
        *(f"  source            {line}" for line in library.bibliography.cite(datum.source)),
    ]
    return "\n".join(lines)


def _range(record: Record) -> str:
    from locokine.units import format_quantity

    if record.distribution == "fixed":
        return "fixed"
    return f"{format_quantity(record.low, record.unit, 4)} to {format_quantity(record.high, record.unit, 4)}"


_SPREADS = {
    "lognormal": "log-normal, standard deviation of the logarithm {}",
    "normal": "normal, standard deviation {} of the value",
    "logit": "logit-normal, standard deviation of the logit {}",
}


def explanation(record: Record, library: Library) -> str:
    """Return one record in words, with its references written out."""
    spread = (
        _SPREADS[record.distribution].format(f"{record.between:g}") if record.between else "the same in all subjects"
    )
    known = record.spread
    if known is not None:
        words = f"{known.between[0]:g} to {known.between[1]:g}" if known.between[1] else "not in question"
        moved = [item for item in record.spreads() if item.prior_text()]
        first = "".join(f", prior {item.name.partition('.')[2]} {item.prior_text()}" for item in moved)
        spread += f" ({known.status}; 90 % range {words}{first}{'; ' + known.note if known.note else ''})"
    lines = [
        f"{record.name} ({record.scope}) = {record.text()}",
        f"  {record.note}" if record.note else "",
        f"  90 % range        {_range(record)}",
        f"  prior             {record.prior_text()}, the value before any fit or move by hand" if record.prior_text() else "",
        f"  between subjects  {spread}",
        f"  between lesions   {100 * record.within:g} % of that variance" if record.within else "",
        f"  status            {record.status}",
        *(f"  source            {line}" for line in library.cite([record])),
    ]
    return "\n".join(line for line in lines if line)
