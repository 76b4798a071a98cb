"""What a user calls from Python: thin doors to the layers below, and notebook methods on experiments and results.

    experiment = load("mouse.yaml")
    result = run(experiment, "results/mouse")      # or experiment.run(); stored, resumable
    twin(experiment, off={"leak"}).run()           # the same subjects and doses, one mechanism fewer

Research use only: never for dosing or treating patients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locokine.errors import InputError
from locokine.processors import cores
from locokine.report import notebook
from locokine.results.result import Result
from locokine.scenario.describe import Description, Estimate
from locokine.scenario.experiment import Experiment

if TYPE_CHECKING:
    from locokine.outcome import Criteria, Outcome
    from locokine.population import Population

__all__ = [
    "Description",
    "Estimate",
    "Experiment",
    "Result",
    "assess",
    "describe",
    "dose_table",
    "draw",
    "estimate",
    "experiment_sbml",
    "load",
    "model_sbml",
    "new",
    "open_result",
    "run",
    "run_model",
    "simulate",
    "twin",
    "write_report",
]

Progress = Callable[[int, int, str], None]
"""Called with the subjects done, all subjects and the name of the arm."""
Source = str | Path | Mapping[str, Any]
REPORT = "report.html"
FIGURES = "figures"


# --- experiments -----------------------------------------------------------------------------------------------------


def load(
    source: Source,
    *,
    overrides: Mapping[str, Any] | None = None,
    subjects: int | None = None,
    seed: int | None = None,
) -> Experiment:
    """Read an experiment from a YAML file, YAML text, or a mapping of the same shape.

    Parameters
    ----------
    source
        Path, text with line breaks, or mapping.
    overrides
        Parameter → value with unit (`{"direct_ec50": "10 nM"}`), on top of those of the scenario.
    subjects, seed
        Instead of those of the scenario.

    Raises
    ------
    InputError
        With file, line, field and remedy.
    """
    from locokine.scenario.load import load as read

    return read(source, overrides=overrides, subjects=subjects, seed=seed)


def new(kind: str, path: str | Path | None = None) -> Path:
    """Write a commented scenario to start from.

    Parameters
    ----------
    kind
        "mouse", "ascites", "melanoma" or "intravenous", or the name of a shipped example.
    path
        File to write, `KIND.yaml` by default; an existing file is never replaced.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If there is no such template, the file exists, or it cannot be written.
    """
    from locokine.scenario.templates import template_text

    text = template_text(kind)
    target = Path(path) if path is not None else Path(f"{kind}.yaml")
    try:
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(
            str(target), "exists already", "name another file: locokine never replaces a scenario"
        ) from None
    except OSError as error:
        raise InputError(
            str(target), f"cannot be written ({error.strerror})", "name a file in a folder that you may use"
        ) from None
    return target


def describe(experiment: Experiment | Source, *, threads: int | None = None) -> Description:
    """Say what an experiment means before it runs: doses in all units, lesions, estimated time and memory."""
    from locokine.scenario.describe import describe as explain

    return explain(_loaded(experiment), threads or cores())


def estimate(experiment: Experiment | Source, *, threads: int | None = None) -> Estimate:
    """Estimate what a run costs: `units` (lesion-subjects of 60 days), `seconds` and `memory` (bytes)."""
    from locokine.scenario.describe import estimate as reckon

    return reckon(_loaded(experiment), threads or cores())


def twin(experiment: Experiment, off: Iterable[str] | str = (), on: Iterable[str] | str = ()) -> Experiment:
    """Return the same experiment with mechanisms switched off (or on): same subjects, same doses, same random draws.

    Parameters
    ----------
    experiment
        The original; it stays as it is.
    off, on
        Names of mechanisms or groups of them (`locokine.biology.switches`), such as {"leak"} or {"t_killing"}.

    Raises
    ------
    InputError
        If there is no such mechanism, or one is both off and on.
    """
    wanted_off, wanted_on = _names(off), _names(on)
    both = sorted(wanted_off & wanted_on)
    if both:
        raise InputError("twin", f"'{both[0]}' is to be both off and on", "name it once")
    return experiment.changed(switches=dict.fromkeys(wanted_off, False) | dict.fromkeys(wanted_on, True))


def _names(names: Iterable[str] | str) -> set[str]:
    return {names} if isinstance(names, str) else set(names)


def draw(experiment: Experiment | Source) -> Population:
    """Draw the virtual subjects of an experiment: every parameter of every subject, the same in all arms."""
    from locokine.population import draw as make

    return make(_loaded(experiment))


def _loaded(experiment: Experiment | Source) -> Experiment:
    return experiment if isinstance(experiment, Experiment) else load(experiment)


# --- runs ------------------------------------------------------------------------------------------------------------


def needs_compiling() -> bool:
    """Whether the first simulation will have to compile the engine (about a minute, once)."""
    from locokine._jit import compiled_before

    return not compiled_before()


def simulate(
    experiment: Experiment | Source,
    *,
    threads: int | None = None,
    store: str | Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
    cluster: str | None = None,
) -> Result:
    """Run all arms and the rechallenge of an experiment.

    Parameters
    ----------
    experiment
        As loaded, or anything that `load` reads.
    threads
        Processor cores to use; all by default. The numbers do not depend on it.
    store
        Folder for the results; an interrupted run goes on where it stopped, a finished one is opened again. None keeps
        everything in memory.
    force
        Replace the results of another run in that folder.
    progress
        Called with the subjects done, all subjects and the name of the arm.
    cluster
        Address of a Dask scheduler, or "local" for worker processes on this machine; the numbers do not depend on it.

    Raises
    ------
    InputError
        If the scenario, the folder or the cluster cannot be used.
    """
    from locokine.trial.execute import run_experiment

    if threads is not None and threads < 1:
        raise InputError("threads", f"{threads} is not a number of cores", "use 1 or more")
    folder = None if store is None else Path(store)
    return run_experiment(
        _loaded(experiment), folder, threads=threads, force=force, progress=progress, cluster=cluster
    )


def run(
    experiment: Experiment | Source,
    out: str | Path | None = None,
    *,
    subjects: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    report: bool = True,
    cluster: str | None = None,
) -> Result:
    """Simulate an experiment and, where a folder is named, write its report and figures too.

    Parameters
    ----------
    experiment, threads, force, progress, cluster
        As for `simulate`.
    out
        Folder for results and report; None keeps everything in memory.
    subjects, seed
        Instead of those of the experiment.
    report
        Whether to write the report into `out`.
    """
    chosen = _loaded(experiment)
    if subjects is not None or seed is not None:
        chosen = chosen.changed(subjects=subjects, seed=seed)
    result = simulate(chosen, threads=threads, store=out, force=force, progress=progress, cluster=cluster)
    if out is not None and report:
        write_report(result, chosen, out)
    return result


def run_model(
    name: str,
    days: float = 1000.0,
    out: str | Path | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
) -> dict[str, Any]:
    """Run a published model ("kirschner-panetta", "banerjee") to compare with.

    Parameters
    ----------
    name, days
        Which, and for how long.
    out
        Folder for course.csv, summary.json and course.png; None writes nothing.
    settings
        Parameter → value with unit (`{"c": "0.02 1/day"}`).
    force
        Replace the result of another run in that folder.

    Returns
    -------
    dict
        Citation, parameters, equilibria with their stability, thresholds, and what became of the tumour.

    Raises
    ------
    InputError
        If there is no such model or parameter, or the folder cannot be used.
    """
    from locokine.baselines import baseline
    from locokine.baselines.run import run as integrate

    chosen = baseline(name).changed(settings or {})
    return integrate(chosen, days, None if out is None else Path(out), force=force)[1]


# --- for other programs ----------------------------------------------------------------------------------------------


def dose_table(experiment: Experiment | Source) -> str:
    """Return the doses of all arms as a table that NONMEM reads (CSV)."""
    from locokine.scenario.dose_table import write_table

    return write_table(_loaded(experiment))


def experiment_sbml(
    experiment: Experiment | Source, arm: str, subject: int | None = None, *, well_mixed: bool = False
) -> str:
    """Return one arm of a well-mixed experiment as SBML level 3: one host (of medians by default), doses as events.

    With `well_mixed` an experiment with shells is taken as if it said `geometry: well-mixed`.
    """
    from dataclasses import replace

    from locokine.formats.well_mixed import export_sbml

    made = _loaded(experiment)
    if well_mixed:
        made = replace(made, protocol=replace(made.protocol, geometry="well-mixed"))
    return export_sbml(made, arm, subject)


def model_sbml(name: str, settings: Mapping[str, Any] | None = None) -> str:
    """Return a published model as SBML level 3."""
    from locokine.baselines import baseline
    from locokine.formats.baselines import export_sbml

    return export_sbml(baseline(name).changed(settings or {}))


def open_result(directory: str | Path) -> Result:
    """Open the results that a run stored.

    Raises
    ------
    InputError
        If the folder holds no finished result, or one that this version cannot read.
    """
    return Result.open(directory)


def assess(result: Result, criteria: Criteria | None = None) -> Outcome:
    """Read responses, toxicity, immunity and survival from a result, by other criteria than its own if given."""
    from locokine.outcome import assess as read  # importing it also tells results how to do this themselves

    return read(result) if criteria is None else read(result, criteria)


Result.register_outcome(assess)


def write_report(result: Result, experiment: Experiment | None, directory: str | Path, *, slides: bool = False) -> Path:
    """Write `report.html` and the figures of a result into its folder; a report newer than the result stays as it is.

    Parameters
    ----------
    result, experiment
        What happened, and what was asked (None: read from the scenario stored with the result).
    directory
        Folder of the result.
    slides
        Write it in any case, with a plate of virtual slides (half a minute).

    Returns
    -------
    pathlib.Path
        The report.
    """
    folder = Path(directory)
    page, manifest = folder / REPORT, folder / "manifest.json"
    if not slides and page.exists() and manifest.exists() and page.stat().st_mtime_ns >= manifest.stat().st_mtime_ns:
        return page
    from locokine.report.build import write_report as write
    from locokine.report.figures import save_all

    save_all(result, folder / FIGURES)
    write(result, experiment if experiment is not None else load(result.scenario), page, slides=slides)
    return page


# --- notebooks ---------------------------------------------------------------------------------------------------------


def _attach() -> None:
    """Give experiments and results the methods that people expect on them."""
    methods: dict[type, dict[str, Callable[..., Any]]] = {
        Experiment: {"run": run, "twin": twin, "_repr_html_": notebook.experiment_html, "__repr__": notebook.experiment_text},
        Result: {"_repr_html_": notebook.result_html} | {f"plot_{name}": notebook.plot(name) for name in notebook.PLOTS},
    }
    for owner, named in methods.items():
        for name, method in named.items():
            setattr(owner, name, method)


_attach()
