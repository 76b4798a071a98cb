"""`locokine power` and `locokine optimise`: planning an experiment."""

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
    from locokine.inference.optimise import Optimum
    from locokine.inference.power import Power
    from locokine.report.tables import Table


def power(
    file: FileArgument,
    out: OutOption,
    arm: Annotated[str | None, typer.Option(help="Arm; the last treated one by default.")] = None,
    against: Annotated[str | None, typer.Option(help="Reference arm; the first untreated one by default.")] = None,
    outcome: Annotated[str, typer.Option(help="End point that the trial is judged by.")] = "response",
    target: Annotated[float, typer.Option("--power", help="Wanted probability of seeing the difference.")] = 0.8,
    alpha: Annotated[float, typer.Option(help="Two-sided level of the test.")] = 0.05,
    dropout: Annotated[float, typer.Option("--drop-out", help="Share of subjects that are lost.")] = 0.0,
    draws: Annotated[int, typer.Option(help="Draws of all parameters from their priors.")] = 0,
    uncertainty: UncertaintyOption = None,
    sizes: Annotated[str | None, typer.Option(help="Subjects per arm to look at, e.g. 5,10,20.")] = None,
    subjects: SubjectsOption = None,
    seed: SeedOption = None,
    threads: ThreadsOption = None,
    settings: SettingsOption = None,
    geometry: GeometryOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find how many subjects per arm a trial needs to see a difference that the model predicts."""
    from locokine.inference import power as inference
    from locokine.inference.explain import choose_arms
    from locokine.report.figures import save_figure
    from locokine.report.figures_plan import plot_power

    experiment = load_experiment(file, subjects, seed, settings, geometry)
    chosen, reference = choose_arms(experiment, arm, against)
    if reference is None:
        raise InputError("--against", "there is no arm to compare with", "name one")
    posterior, draws = posterior_of(uncertainty, experiment, draws)
    with study(out) as progress:
        found = inference.power(
            experiment, chosen, reference, outcome, target, alpha, dropout, draws, _sizes(sizes) or inference.SIZES,
            out, checked_threads(threads), force, progress, posterior,
        )  # fmt: skip
        facts = {
            "study": found.facts, "research_use_only": True, "arm": found.arm, "reference": found.reference,
            "outcome": found.outcome, "test": found.test, "means": found.means, "target": found.target,
            "alpha": found.alpha, "drop_out": found.dropout, "size": found.size, "table": records(found.table),
            "sentence": found.sentence(),
        }  # fmt: skip
        save_tables(out, {"power": found.table}, facts, "power")
        save_figure(plot_power(found), out, "power")
    if as_json:
        print_json(facts)
        return
    print_tables([("Power by subjects per arm", _power_table(found))], out)
    typer.echo(found.sentence())


def _sizes(text: str | None) -> list[int]:
    if text is None:
        return []
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InputError("--sizes", f"'{text}' is not a list of numbers", "write for example 5,10,20") from None


def _power_table(found: Power) -> Table:
    from locokine.report.tables import Table, percent

    rows = tuple(
        (
            str(row["size"]), percent(row["power"], False), percent(row["expected"], False),
            f"{percent(row['low'], False)} to {percent(row['high'], False)}",
        )
        for row in records(found.table)
    )  # fmt: skip
    over = f"{found.draws} draws of the parameters" if found.draws else f"the chance of a pool of {found.subjects}"
    note = f"{found.test}. Expected: mean over {over}."
    return Table(("per arm", "power %", "expected %", "5 to 95 %"), rows, 1, note)


def optimise(
    file: FileArgument,
    out: OutOption,
    arm: Annotated[str | None, typer.Option(help="Arm to start from; the last treated one by default.")] = None,
    aim: Annotated[str, typer.Option(help="End point to make best.")] = "cure",
    limit_on: Annotated[str, typer.Option("--toxicity", help="End point that must stay low.")] = "severe_toxicity",
    limit: Annotated[float, typer.Option(help="Largest share (or value) of it that is accepted.")] = 0.1,
    dose: Annotated[str | None, typer.Option(help='Range, e.g. "1000 IU to 200000 IU"; a tenth to ten times by default.')] = None,
    volume: Annotated[str | None, typer.Option(help='Range, e.g. "0.02 mL to 0.2 mL"; as it is by default.')] = None,
    routes: Annotated[list[str] | None, typer.Option("--route", help="Route; may be given repeatedly.")] = None,
    schedules: Annotated[
        list[str] | None, typer.Option("--schedule", help='E.g. "daily days 10-14"; may be given repeatedly.')
    ] = None,
    sites: Annotated[list[str] | None, typer.Option("--into", help="Lesion to inject; may be given repeatedly.")] = None,
    evaluations: Annotated[int, typer.Option(help="Designs to try.")] = 60,
    subjects: SubjectsOption = None,
    seed: SeedOption = None,
    uncertainty: UncertaintyOption = None,
    threads: ThreadsOption = None,
    settings: SettingsOption = None,
    geometry: GeometryOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find dose, volume, schedule and site that reach an aim under a toxicity limit; say how sure and how flat that is.

    With --uncertainty every subject has the medians of a draw of the posterior: the best design is best on average over them.
    """
    from locokine.inference import optimise as inference
    from locokine.inference.explain import choose_arms
    from locokine.report.figures import save_figure
    from locokine.report.figures_plan import plot_optimum

    experiment = load_experiment(file, subjects, seed, settings, geometry)
    if uncertainty is not None:
        from locokine.inference.draws import with_posterior

        experiment = with_posterior(experiment, uncertainty)
    chosen, _ = choose_arms(experiment, arm, None)
    space = inference.make_space(experiment, chosen, dose, volume, routes or (), schedules or (), sites or ())
    with study(out) as progress:
        found = inference.optimise(
            experiment, space, aim, limit_on, limit, evaluations, out, checked_threads(threads), force, progress
        )
        facts = {
            "study": found.facts, "research_use_only": True, "aim": found.aim, "toxicity": found.toxicity,
            "limit": found.limit, "best": found.best, "flat": found.flat, "front": records(found.front),
            "sentences": found.sentences(),
        }  # fmt: skip
        save_tables(out, {"designs": found.designs, "front": found.front}, facts, "optimum")
        save_figure(plot_optimum(found), out, "optimum")
    if as_json:
        print_json(facts)
        return
    print_tables([("Designs that none beats in both", _front_table(found))], out)
    for sentence in found.sentences():
        typer.echo(sentence)


def _front_table(found: Optimum) -> Table:
    from locokine.outcome.endpoints import endpoint
    from locokine.report.tables import Table, number, percent

    def text(row: dict[str, Any], name: str, outcome: str) -> tuple[str, str]:
        share = endpoint(outcome).kind == "share"
        first, again, low, high = (
            percent(row[key], False) if share else number(row[key], 2)
            for key in (name, f"{name}_again", f"{name}_low", f"{name}_high")
        )
        return first, f"{again} ({low}–{high})"

    rows = tuple(
        (row["design"], *text(row, "aim", found.aim), *text(row, "toxicity", found.toxicity), percent(row["sure"], False))
        for row in records(found.front)
    )
    names = [
        name.replace("_", " ") + (" %" if endpoint(name).kind == "share" else "") for name in (found.aim, found.toxicity)
    ]
    columns = ("design", names[0], "fresh subjects", names[1], "fresh subjects", "best in %")
    note = f"{len(found.designs)} designs tried; 95 % intervals from subjects of another seed, which choose the best."
    return Table(columns, rows, 1, note)
