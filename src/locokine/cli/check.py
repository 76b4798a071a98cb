"""`locokine check`: what a scenario means, before anything runs; `locokine schema`: its grammar as JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from locokine.cli.show import RESEARCH_USE

if TYPE_CHECKING:
    from rich.console import Console

    from locokine.scenario.describe import CourseRow, Description, DoseAmounts, LesionRow


def check(
    file: Annotated[Path, typer.Argument(help="Scenario (YAML).")],
    subjects: Annotated[int | None, typer.Option(min=1, help="Subjects per arm, instead of those of the scenario.")] = None,
    threads: Annotated[int | None, typer.Option(help="Processor cores for the estimate of time.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Show what a scenario means: doses in IU, µg, nmol and per kg, lesions, estimated time and memory."""
    from rich.console import Console

    from locokine import api

    description = api.describe(api.load(file, subjects=subjects), threads=threads)
    if as_json:
        typer.echo(json.dumps(description.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
        return
    console = Console(highlight=False, markup=False)
    _print_head(console, description)
    _print_lesions(console, description)
    for arm, courses in description.arms.items():
        _print_arm(console, arm, courses)
    _print_rest(console, description)


def schema() -> None:
    """Print the JSON Schema of scenarios, for editors and other programs."""
    from locokine.scenario import json_schema

    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


def _print_head(console: Console, about: Description) -> None:
    console.print(about.name, style="bold")
    if about.description:
        console.print(about.description.strip())
    where = f"{about.shells} shells" if about.geometry == "shells" else about.geometry
    console.print(f"host        {about.host_label} ({about.host}), {number(about.host_weight_kg)} kg")
    console.print(f"subjects    {about.subjects} per arm, seed {about.seed}; all arms share them")
    console.print(f"follow-up   {number(about.follow_up_days)} days; solid lesions: {where}")


def _print_lesions(console: Console, about: Description) -> None:
    console.print("\nLesions", style="bold")
    for lesion in about.lesions:
        console.print(f"  {lesion.name}: {lesion.label}, {lesion.site}, {_size(lesion)}, day {number(lesion.day)}")


def _size(lesion: LesionRow) -> str:
    if lesion.cells is not None:
        return f"{lesion.cells:.3g} cells"
    return f"{number(lesion.volume)} mm³ (diameter {number(lesion.diameter)} mm)"


def _print_arm(console: Console, arm: str, courses: tuple[CourseRow, ...]) -> None:
    from rich.padding import Padding
    from rich.table import Table

    console.print(f"\nArm: {arm}", style="bold")
    if not courses:
        console.print("  no treatment")
    for course in courses:
        console.print(f"  {course.text}", style="italic")
        console.print(f"  {_schedule(course)}")
        if course.per_dose.micrograms is None:
            continue
        table = Table("", *("IU", "µg", "nmol", "IU/kg", "µg/kg"), box=None, pad_edge=False)
        for column in table.columns[1:]:
            column.justify = "right"
        for label, amounts in (
            ("each dose", course.per_dose),
            ("largest day", course.per_day),
            ("course", course.total),
        ):
            table.add_row(label, *_amounts(amounts))
        console.print(Padding(table, (0, 0, 0, 4)))


def _amounts(amounts: DoseAmounts) -> tuple[str, ...]:
    values = (amounts.iu, amounts.micrograms, amounts.nanomoles, amounts.iu_per_kg, amounts.micrograms_per_kg)
    return tuple(number(value) for value in values)


def _schedule(course: CourseRow) -> str:
    what = {"radiotherapy": "fraction", "resection": "operation"}.get(course.agent, "dose")
    count = f"1 {what}" if course.doses == 1 else f"{course.doses} {what}s"
    first, last = number(course.first_day), number(course.last_day)
    parts = [f"{count} of {course.agent}", f"day {first}" if first == last else f"day {first} to {last}", course.route]
    if course.volume is not None:
        parts.append(f"{number(course.volume / 1000.0)} mL a time")
    if course.duration:
        parts.append(f"over {number(course.duration)} h")
    if course.distance is not None:
        parts.append(f"{number(course.distance)} mm from the edge")
    if course.points > 1:
        parts.append(f"in {course.points} places around")
    if course.lesions:
        parts.append(
            ("each of " if course.per_lesion and len(course.lesions) > 1 else "into ") + ", ".join(course.lesions)
        )
    return "; ".join([", ".join(parts), *course.rules])


def _print_rest(console: Console, about: Description) -> None:
    if about.rechallenge:
        console.print("\nRechallenge of cured hosts", style="bold")
        console.print(f"  {about.rechallenge}")
    off = [name for name, on in about.switches.items() if not on]
    if off:
        console.print(f"\nSwitched off: {', '.join(off)}")
    for name, value in about.overrides.items():
        console.print(f"Changed: {name} = {value}")
    cost = about.estimate
    console.print(f"\nEstimated time {duration(cost.seconds)}, memory {cost.memory / 1e9:.2g} GB")
    console.print(RESEARCH_USE)


def number(value: float | None) -> str:
    """Four significant digits, thousands separated; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Rounded duration in words."""
    for limit, unit, size in ((90.0, "s", 1.0), (5400.0, "min", 60.0)):
        if seconds < limit:
            return f"about {max(seconds / size, 1.0):.0f} {unit}"
    return f"about {seconds / 3600.0:.1f} h"
