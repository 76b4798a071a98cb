"""`locokine sensitivity`: which parameters decide an outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from locokine.cli.studies import (
    FileArgument,
    ForceOption,
    GeometryOption,
    JsonOption,
    OutOption,
    SeedOption,
    SettingsOption,
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

if TYPE_CHECKING:
    from locokine.inference.sensitivity import Sensitivity
    from locokine.report.tables import Table

ROWS = 12
"""Parameters printed."""


def sensitivity(
    file: FileArgument,
    out: OutOption,
    arm: Annotated[str | None, typer.Option(help="Arm to look at; the last treated one by default.")] = None,
    outcomes: Annotated[
        list[str] | None, typer.Option("--outcome", help="End point; may be given repeatedly, the first ranks.")
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--parameter", metavar="NAME", help="Only these parameters (NAME or OWNER.NAME); all by default."),
    ] = None,
    trajectories: Annotated[int, typer.Option(help="Trajectories of the Morris screening.")] = 8,
    top: Annotated[int, typer.Option(help="Parameters whose shares of the variance are worked out; 0: none.")] = 6,
    samples: Annotated[int, typer.Option(help="Base sample of the Sobol design, a power of 2.")] = 64,
    subjects: Annotated[int, typer.Option(min=1, help="Subjects of every draw.")] = 16,
    seed: SeedOption = None,
    uncertainty: UncertaintyOption = None,
    threads: ThreadsOption = None,
    settings: SettingsOption = None,
    geometry: GeometryOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Screen the parameters of a scenario (Morris), then tornado and Sobol indices of those that matter.

    With --uncertainty they move within the 90 % of the posterior: what is left to know, and not what was unknown before.
    """
    from locokine.inference.explain import choose_arms
    from locokine.inference.sensitivity import sensitivity as run
    from locokine.report.figures import save_figure
    from locokine.report.figures_sensitivity import plot_sensitivity

    experiment = load_experiment(file, None, seed, settings, geometry)
    chosen, _ = choose_arms(experiment, arm, None)
    posterior, _ = posterior_of(uncertainty, experiment, 0)
    with study(out) as progress:
        found = run(
            experiment, chosen, outcomes or ["cure", "response", "volume_reduction"], parameters or (), trajectories,
            top, samples, subjects, out, checked_threads(threads), force, progress, posterior,
        )  # fmt: skip
        tables = {"morris": found.morris, "tornado": found.tornado, "sobol": found.sobol}
        facts = {
            "study": found.facts, "research_use_only": True, "experiment": found.experiment, "arm": found.arm,
            "median": found.median,
            "draws_without_value": found.missing, **{name: records(table) for name, table in tables.items()},
        }  # fmt: skip
        save_tables(out, tables, facts, "sensitivity")
        save_figure(plot_sensitivity(found), out, "sensitivity")
    if as_json:
        print_json(facts)
        return
    print_tables([(f"What decides {found.outcomes[0].replace('_', ' ')}", _table(found))], out)


def _table(found: Sensitivity) -> Table:
    from locokine.report.tables import NONE, Table, number

    name = found.outcomes[0]
    screened = found.morris.loc[found.morris["outcome"] == name].sort_values("rank")
    ends = {row["parameter"]: row for row in records(found.tornado) if row["outcome"] == name}
    shares = {row["parameter"]: row for row in records(found.sobol) if row["outcome"] == name}

    def share(key: str, kind: str) -> str:
        row = shares.get(key)
        return NONE if row is None or row[kind] != row[kind] else f"{row[kind] + 0.0:.2f}"

    rows = tuple(
        (
            row["parameter"], f"{number(row['mu_star'], 2)} ± {number(row['conf'], 2)}",
            f"{number(ends[row['parameter']]['low'], 2)} to {number(ends[row['parameter']]['high'], 2)}"
            if row["parameter"] in ends else NONE,
            share(row["parameter"], "first"), share(row["parameter"], "total"),
        )
        for row in records(screened)[:ROWS]
    )  # fmt: skip
    columns = ("parameter", "μ*", "low to high end", "variance alone", "and with others")
    moving = int((screened["mu_star"] > 0.0).sum())
    note = (
        f"{moving} of {len(screened)} parameters move it. At the medians: {number(found.median[name])}. "
        "μ*: mean absolute effect over the whole range."
    )
    return Table(columns, rows, 1, note)
