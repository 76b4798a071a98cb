"""`locokine slide`: a virtual section of a lesion on one day, or a series of them read back against treatment."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from locokine.cli.show import RESEARCH_USE
from locokine.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console


def slide(
    directory: Annotated[Path, typer.Argument(metavar="RESULT", help="Folder that `locokine run` filled.")],
    arm: Annotated[str, typer.Option("--arm", help="Arm.")],
    subject: Annotated[int, typer.Option("--subject", help="Subject; the tissue of the first eight is stored.")] = 0,
    day: Annotated[str | None, typer.Option("--day", help="Day of the experiment; tissue is stored every 12 h.")] = None,
    lesion: Annotated[str | None, typer.Option("--lesion", help="Lesion; the first by default.")] = None,
    stain: Annotated[
        list[str] | None,
        typer.Option("--stain", help="he, cd8, nk, cd31, ki67, pimonidazole or multiplex; may be given repeatedly."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the files; RESULT/slides by default.")] = None,
    pixel: Annotated[str, typer.Option("--pixel", help="Side of a pixel, with its unit.")] = "0.5 um",
    thickness: Annotated[str, typer.Option("--thickness", help="Thickness of the section, with its unit.")] = "4 um",
    window: Annotated[
        str | None,
        typer.Option("--window", metavar="'X Y W H'", help="Only this part: middle and size in mm from the lesion's centre."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Processor cores to use (all by default).")] = None,
    series: Annotated[bool, typer.Option("--series", help="Read slides of several days and plot them against the day.")] = False,
    days: Annotated[str | None, typer.Option("--days", metavar="D,D,...", help="Days of the series.")] = None,
    png_only: Annotated[bool, typer.Option("--png-only", help="Leave out the OME-TIFF and the tables of cells.")] = False,
) -> None:
    """Draw a virtual slide of the stored state, write it as PNG, OME-TIFF and cell tables, and read it back."""
    from rich.console import Console

    from locokine import api
    from locokine.histology.slide import make_series, make_slide
    from locokine.histology.stains import stain as find

    names = tuple(stain or ("he",))
    for name in names:
        find(name)
    _check(threads, series, day, days, names)
    size, thick = _length("--pixel", pixel, 0.1, 20.0), _length("--thickness", thickness, 1.0, 20.0)
    part, listed = _window(window), [_number("--days", text) for text in (days or "").split(",") if text.strip()]
    when = _number("--day", day or "0")
    result = api.open_result(directory)
    folder = directory / "slides" if out is None else out
    notes, console = Console(stderr=True, highlight=False, markup=False), Console(highlight=False, markup=False)

    def say(text: str) -> None:
        notes.print(text, soft_wrap=True)

    shared: dict[str, Any] = {"arm": arm, "subject": subject, "lesion": lesion, "thickness": thick}
    shared |= {"threads": threads or api.cores(), "say": say}
    if series:
        made, rows = make_series(result, folder, days=listed or None, stain=names[0], **shared)
        _print_rows(console, rows)
    else:
        made, seen, true = make_slide(
            result, folder, day=when, stains=names, pixel=size, window=part, tiff=not png_only, **shared
        )
        _print_read(console, seen, true)
    for path in made:
        console.print(str(path), soft_wrap=True)
    console.print(f"A picture of a model. {RESEARCH_USE}")


def _check(threads: int | None, series: bool, day: str | None, days: str | None, stains: tuple[str, ...]) -> None:
    """Refuse options that do not go together."""
    if threads is not None and threads < 1:
        raise InputError("--threads", f"{threads} is not a number of cores", "use 1 or more")
    if series and day is not None:
        raise InputError("--day", "a series has several days", "write for example --days 10,12,14, or leave it out")
    if not series and days is not None:
        raise InputError("--days", "is for a series", "add --series, or write --day")
    if not series and day is None:
        raise InputError("--day", "is missing", "write for example --day 12, or --series")
    if series and len(stains) > 1:
        raise InputError("--stain", "a series shows one stain", "name one; all measures are read whatever is shown")


def _number(place: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e6:
        raise InputError(place, f"'{text.strip()}' is not a number", "write for example 12 or 12.5")
    return value


def _length(place: str, text: str, low: float, high: float) -> float:
    """A length with its unit, in µm."""
    from locokine.units import parse_quantity

    value = 1000.0 * parse_quantity(text, "mm", place)
    if not low <= value <= high:
        raise InputError(place, f"{value:g} µm is out of range", f"use {low:g} to {high:g} µm")
    return value


def _window(text: str | None) -> tuple[float, float, float, float] | None:
    """Left, top, width and height in µm."""
    if text is None:
        return None
    parts = text.replace(",", " ").split()
    if len(parts) != 4:
        raise InputError("--window", f"'{text}' is not four numbers", "write 'X Y WIDTH HEIGHT' in mm, for example '2 0 1 1'")
    x, y, width, height = (1000.0 * _number("--window", part) for part in parts)
    if width < 10.0 or height < 10.0:
        raise InputError("--window", "is smaller than a cell", "give width and height in mm")
    return x - 0.5 * width, y - 0.5 * height, width, height


def _text(value: float, unit: str) -> str:
    from locokine.report.tables import NONE

    if isnan(value):
        return NONE
    return f"{100.0 * value:.1f} %" if unit == "1" else f"{value:.1f}"


def _print_read(console: Console, seen: dict[str, float], true: dict[str, float]) -> None:
    from rich import box
    from rich.table import Table

    from locokine.histology.readback import MEASURES

    table = Table(title="Read from the slide, beside the state it was drawn from", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("measure")
    table.add_column("read", justify="right")
    table.add_column("state", justify="right")
    table.add_column("meaning")
    for measure in MEASURES:
        name = measure.name.replace("_", " ") + (" per mm²" if measure.unit != "1" else "")
        table.add_row(name, _text(seen[measure.name], measure.unit), _text(true[measure.name], measure.unit), measure.meaning)
    console.print(table)
    console.print(f"Erythrocyte score {seen['erythrocyte_score']:.0f} of 3; {seen['fields']:.0f} fields of 0.066 mm² read.")


def _print_rows(console: Console, rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table

    from locokine.histology.readback import MEASURES

    table = Table(title="Read from slides (state)", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("day", justify="right")
    for measure in MEASURES:
        table.add_column(measure.name.replace("_", " "), justify="right")
    for row in rows:
        cells = [f"{_text(row[m.name], m.unit)} ({_text(row['state_' + m.name], m.unit)})" for m in MEASURES]
        table.add_row(f"{row['day']:g}", *cells)
    console.print(table)
