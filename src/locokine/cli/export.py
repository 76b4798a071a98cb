"""`locokine export`: an experiment or a published model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from locokine.errors import InputError


def export(
    file: Annotated[Path | None, typer.Argument(help="Scenario (YAML).")] = None,
    model: Annotated[
        str | None, typer.Option(help="A published model instead of a scenario: kirschner-panetta or banerjee.")
    ] = None,
    sbml: Annotated[Path | None, typer.Option(help="Write the differential equations as SBML level 3.")] = None,
    doses: Annotated[Path | None, typer.Option(help="Write the doses of all arms as a NONMEM table (CSV).")] = None,
    arm: Annotated[str | None, typer.Option(help="Arm whose doses become events (SBML); needed if there are several.")] = None,
    subject: Annotated[int | None, typer.Option(help="Virtual subject (SBML); by default a host of medians.")] = None,
    geometry: Annotated[
        Literal["well-mixed"] | None,
        typer.Option(help="Take a scenario with shells as a well-mixed one (SBML): another model of the same experiment."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Another value of a parameter, with its unit."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
) -> None:
    """Write a well-mixed experiment or a published model as SBML, or doses as a NONMEM table."""
    from locokine import api
    from locokine.cli.run import parse_settings

    if (file is None) == (model is None):
        raise InputError("export", "one scenario or one --model is needed", "write locokine export FILE --sbml OUT.xml")
    if sbml is None and doses is None:
        raise InputError("export", "it is not said what to write", "add --sbml OUT.xml or --doses OUT.csv")
    changed = parse_settings(settings or [])
    if model is not None:
        if doses is not None or arm is not None or subject is not None or geometry is not None:
            raise InputError("--model", "a published model has no doses, arms or subjects", "use only --sbml and --set")
        assert sbml is not None
        _write(sbml, api.model_sbml(model, changed), force)
        return
    assert file is not None
    if sbml is None and (arm is not None or subject is not None or geometry is not None):
        raise InputError("export", "--arm, --subject and --geometry belong to SBML", "add --sbml OUT.xml, or leave them out")
    experiment = api.load(file, overrides=changed)
    if sbml is not None:
        names = [one.name for one in experiment.protocol.arms]
        if arm is None and len(names) > 1:
            raise InputError("--arm", "the experiment has several arms", f"name one: {', '.join(names)}")
        _write(sbml, api.experiment_sbml(experiment, arm or names[0], subject, well_mixed=geometry is not None), force)
    if doses is not None:
        _write(doses, api.dose_table(experiment), force)
        if any(one.rules for one in experiment.protocol.arms):
            typer.echo("A dose table has no rules: it holds all doses that are planned.", err=True)


def _write(path: Path, text: str, force: bool) -> None:
    try:
        with path.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(str(path), "exists already", "name another file, or say --force") from None
    except OSError as error:
        raise InputError(str(path), f"cannot be written ({error.strerror})", "name a file that you may write") from None
    typer.echo(f"Wrote {path}")
