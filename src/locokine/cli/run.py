"""`locokine run`: from a scenario to results, a table and a report."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from locokine.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from locokine.results.result import Result
    from locokine.scenario.experiment import Experiment

Progress = Callable[[int, int, str], None]
"""Called with the subjects done, all subjects and what is next."""

NOTE_EVERY = 10.0
"""Seconds between two lines of progress where there is no terminal to draw a bar on."""


def run(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")],
    file: Annotated[Path | None, typer.Argument(help="Scenario (YAML).")] = None,
    model: Annotated[
        str | None, typer.Option(help="A published model instead of a scenario: kirschner-panetta or banerjee.")
    ] = None,
    days: Annotated[float | None, typer.Option(help="Length of the run of a published model (1000 by default).")] = None,
    subjects: Annotated[int | None, typer.Option(min=1, help="Subjects per arm, instead of those of the scenario.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed, instead of that of the scenario.")] = None,
    threads: Annotated[int | None, typer.Option(help="Processor cores to use (all by default).")] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler (tcp://HOST:PORT), or local for processes here.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Another value of a parameter, with its unit; may be given repeatedly."
        ),
    ] = None,
    uncertainty: Annotated[
        Path | None,
        typer.Option(
            metavar="posterior|FILE", help="Spread the subjects over the posterior that ships, or one from a file (JSON or NPZ)."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the results of another run in the folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json instead of the table.")] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Leave out report.html and the figures.")] = False,
    slides: Annotated[bool, typer.Option("--slides", help="A plate of virtual slides in the report (half a minute).")] = False,
) -> None:
    """Simulate a scenario. Interrupted runs go on where they stopped; a finished one is shown again."""
    from locokine import api
    from locokine.cli.show import print_result

    if threads is not None and threads < 1:
        raise InputError("--threads", f"{threads} is not a number of cores", "use 1 or more")
    if (file is None) == (model is None):
        raise InputError("run", "one scenario or one --model is needed", "write locokine run FILE --out DIR")
    if model is not None:
        if uncertainty is not None:
            raise InputError("--uncertainty", "a published model has no posterior", "leave it out")
        if subjects is not None or seed is not None:
            raise InputError("--model", "a published model has no subjects and no chance", "leave out --subjects and --seed")
        run_model(model, 1000.0 if days is None else days, parse_settings(settings or []), out, force, as_json)
        return
    if days is not None:
        raise InputError("--days", "belongs to a published model", "change follow-up in the scenario")
    if slides and no_report:
        raise InputError("--slides", "belongs to the report, which --no-report leaves out", "leave out one of them")
    assert file is not None
    experiment = api.load(file, overrides=parse_settings(settings or []), subjects=subjects, seed=seed)
    if uncertainty is not None:
        from locokine.inference.draws import with_posterior

        experiment = with_posterior(experiment, uncertainty)
    result = _simulate(experiment, out, threads=threads, force=force, cluster=cluster, report=not no_report, slides=slides)
    if as_json:
        typer.echo(json.dumps(result.summary(), indent=2, ensure_ascii=False, allow_nan=False))
        return
    typer.echo("Sources of the numbers in use (`locokine parameters explain NAME` says which number is whose):")
    for reference in experiment.bibliography():
        typer.echo(f"  {reference}")
    print_result(result, out)


def _simulate(
    experiment: Experiment, out: Path, *, threads: int | None, force: bool, cluster: str | None, report: bool, slides: bool
) -> Result:
    """Run and report with progress on the terminal; an interruption says what is kept."""
    from rich.console import Console

    from locokine import api
    from locokine.trial.execute import is_finished

    messages = Console(stderr=True, highlight=False, markup=False)
    try:
        if not is_finished(experiment, out) and api.needs_compiling():
            messages.print("Compiling the engine once, about a minute; later runs start in seconds.")
        with progress_bar(messages) as progress:
            result = api.run(
                experiment, out, threads=threads, force=force, progress=progress, report=False, cluster=cluster
            )
        if report:
            with messages.status("Writing the report ..."):
                api.write_report(result, experiment, out, slides=slides)
    except KeyboardInterrupt:
        told = f"locokine: interrupted; what is finished is kept in {out}, the same command goes on from there"
        messages.print(told, soft_wrap=True)
        raise typer.Exit(130) from None
    return result


def run_model(
    name: str, days: float, settings: dict[str, str], out: Path, force: bool, as_json: bool
) -> None:
    """Integrate a published model and say what it does."""
    from locokine import api
    from locokine.cli.check import number
    from locokine.cli.show import RESEARCH_USE

    about = api.run_model(name, days, out, settings=settings, force=force)
    if as_json:
        typer.echo(json.dumps(about, indent=2, ensure_ascii=False, allow_nan=False))
        return
    typer.echo(about["citation"])
    for one in about["equilibria"]:
        kind = "stable" if one["stable"] else "unstable"
        typer.echo(f"  {kind} at {number(one['tumour'])} tumour and {number(one['effectors'])} effector cells")
    limits = {"s1_clears": "effector cells a day that clear the tumour", "s2_unbounded": "IL-2 a day without bound"}
    typer.echo("; ".join(f"{text}: {number(about['thresholds'][key])}" for key, text in limits.items()
                         if key in about["thresholds"]))
    typer.echo(f"After {number(about['days'])} days: {about['fate']}")
    typer.echo(f"Results: {out}")
    typer.echo(RESEARCH_USE)


def parse_settings(settings: list[str]) -> dict[str, str]:
    """Split `name=value` texts; values keep their units as text.

    Raises
    ------
    InputError
        If a text has no `=`, an empty side, or a name comes twice.
    """
    overrides: dict[str, str] = {}
    for text in settings:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (equals and name and value):
            raise InputError("--set", f"'{text}' is not NAME=VALUE", 'write for example --set "direct_ec50=10 nM"')
        if name in overrides:
            raise InputError("--set", f"{name} is given twice", "give one value")
        overrides[name] = value
    return overrides


@contextmanager
def progress_bar(console: Console) -> Iterator[Progress]:
    """Yield a function that shows progress: a bar with subjects/s on a terminal, a line now and then elsewhere."""
    if not console.is_terminal:
        yield _Notes(console)
        return
    from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f} subjects/s" if task.speed else "")

    done_of_all = TextColumn("{task.completed}/{task.total} subjects")
    name = TextColumn("{task.description}", markup=False)
    with Bars(name, BarColumn(), done_of_all, Speed(), TimeRemainingColumn(), console=console) as bars:
        task = bars.add_task("starting", total=None)

        def show(done: int, total: int, what: str) -> None:
            bars.update(task, completed=done, total=total, description=what)

        yield show


class _Notes:
    """Progress as lines of text, for logs."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.last: tuple[float, int] | None = None

    def __call__(self, done: int, total: int, what: str) -> None:
        now = time.monotonic()
        if self.last is None:
            self.last = now, done
        seconds, subjects = now - self.last[0], done - self.last[1]
        if seconds < NOTE_EVERY and (done < total or not subjects):
            return
        self.last = now, done
        speed = subjects / max(seconds, 1e-3)
        left = f", {timedelta(seconds=round((total - done) / speed))} left" if done < total and speed > 0.0 else ""
        self.console.print(f"{done}/{total} subjects ({what}), {speed:.1f} subjects/s{left}", soft_wrap=True)
