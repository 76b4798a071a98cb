"""`locokine explain`: why a treatment does what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from locokine.cli.studies import (
    FileArgument,
    ForceOption,
    GeometryOption,
    JsonOption,
    OutOption,
    SeedOption,
    SettingsOption,
    SubjectsOption,
    ThreadsOption,
    UncertaintyOption,
    checked_threads,
    load_experiment,
    posterior_of,
    print_json,
    print_tables,
    records,
    save_tables,
    study,
)
from locokine.errors import InputError

if TYPE_CHECKING:
    from locokine.inference.explain import Explanation
    from locokine.report.tables import Table


def explain(
    file: FileArgument,
    out: OutOption,
    arm: Annotated[str | None, typer.Option(help="Arm to explain; the last treated one by default.")] = None,
    against: Annotated[
        str | None, typer.Option(help="Control arm, or nothing; the first untreated one by default.")
    ] = None,
    mechanisms: Annotated[
        list[str] | None,
        typer.Option("--mechanism", metavar="NAME=SWITCH,…", help="A mechanism and what turns it off; up to six."),
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws of all parameters from their priors, for intervals over them.")] = 0,
    uncertainty: UncertaintyOption = None,
    subjects: SubjectsOption = None,
    seed: SeedOption = None,
    threads: ThreadsOption = None,
    settings: SettingsOption = None,
    geometry: GeometryOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Share out a treatment's effect among mechanisms, by counterfactual twins, and tell what happens in which order."""
    from locokine.inference import explain as inference
    from locokine.report.figures import save_figure
    from locokine.report.figures_explain import plot_explanation

    if draws < 0:
        raise InputError("--draws", f"{draws} is not a number of draws", "use 0 or more")
    experiment = load_experiment(file, subjects, seed, settings, geometry)
    chosen = inference.read_mechanisms(mechanisms or [])
    posterior, draws = posterior_of(uncertainty, experiment, draws)
    with study(out) as progress:
        found = inference.explain(
            experiment, arm, against, chosen, draws, out, checked_threads(threads), force, progress, posterior
        )
        order = inference.order_table(found.events)
        tables = {"shares": found.shares(), "worlds": found.worlds(), "events": found.events, "order": order}
        save_tables(out, tables, _facts(found, tables), "explanation")
        save_figure(plot_explanation(found), out, "explanation")
    if as_json:
        print_json(_facts(found, tables))
        return
    print_tables([*_share_tables(found), ("What happens when", _order_table(order))], out)
    for sentence in inference.sentences(found):
        typer.echo(sentence)


def _facts(found: Explanation, tables: dict[str, Any]) -> dict[str, Any]:
    from locokine.inference.explain import sentences

    return {
        "study": found.facts,
        "research_use_only": True,
        "experiment": found.experiment,
        "arm": found.arm,
        "control": found.control,
        "subjects": found.subjects,
        "mechanisms": found.mechanisms,
        "effects": {name: found.total(name)[0] for name in found.worth},
        "shares": records(tables["shares"]),
        "order": records(tables["order"]),
        "interactions": {name: found.interactions(name).to_dict() for name in found.worth},
        "sentences": sentences(found),
    }


def _share_tables(found: Explanation) -> list[tuple[str, Table]]:
    """Contributions by effect; shares and twins of the main effect; contributions over draws of the parameters."""
    from locokine.report.figures_explain import NAMES
    from locokine.report.tables import NONE, Table, percent

    rows = {(row["effect"], row["mechanism"]): row for row in records(found.shares())}
    effects, main = list(found.worth), found.main

    def band(row: dict[str, Any], value: str, low: str, high: str) -> str:
        if row[low] != row[low]:
            return NONE
        return f"{round(100.0 * row[value])} ({round(100.0 * row[low])} to {round(100.0 * row[high])})"

    def by_effect(low: str, high: str) -> tuple[tuple[str, ...], ...]:
        return tuple(
            (name, *(band(rows[effect, name], "contribution", low, high) for effect in effects))
            for name in found.mechanisms
        )

    totals = ("all of it", *(f"{100.0 * (found.total(effect)[0]):.0f}" for effect in effects))
    columns = ("mechanism", *(NAMES.get(effect, effect) for effect in effects))
    note = "Percentage points" + (f" over {found.control}" if found.control else "") + "; 95 % intervals over subjects."
    twins = tuple(
        (
            name, band(rows[main, name], "share", "share_low", "share_high"), percent(rows[main, name]["alone"], False),
            percent(rows[main, name]["without"], False),
        )
        for name in found.mechanisms
    )  # fmt: skip
    tables = [
        ("What each mechanism adds", Table(columns, (*by_effect("low", "high"), totals), 1, note)),
        (
            f"Twins: {NAMES.get(main, main)}",
            Table(("mechanism", "share of the effect %", "adds alone", "lost without it"), twins),
        ),
    ]
    if found.draws:
        note = f"Value at the library, and 5 to 95 % over {found.draws} draws of {_source(found)}."
        tables.append(("The same over parameters", Table(columns, by_effect("draws_low", "draws_high"), 1, note)))
        counted = rows[main, next(iter(found.mechanisms))]["draws_shared"]
        shared = tuple(
            (name, band(rows[main, name], "share", "share_draws_low", "share_draws_high")) for name in found.mechanisms
        )
        note = f"5 to 95 % over the {counted} draws of {found.draws} with an effect of 5 points or more."
        tables.append((f"Share over parameters: {NAMES.get(main, main)}", Table(("mechanism", "share %"), shared, 1, note)))
    return tables


def _source(found: Explanation) -> str:
    return "a posterior" if "posterior" in found.facts else "all parameters from their priors"


def _order_table(order: Any) -> Table:
    from locokine.report.tables import NONE, Table, number, percent

    rows = tuple(
        (
            row["what"], percent(row["reached"], False), number(row["median"]),
            f"{number(row['low'])} to {number(row['high'])}",
            NONE if row["after"] != row["after"] else percent(row["after"], False),
        )
        for row in records(order)
    )  # fmt: skip
    columns = ("event", "subjects %", "median h", "quartiles", "later than above %")
    return Table(columns, rows, 1, "Hours after the first dose; stored every 4 h, interpolated between.")
