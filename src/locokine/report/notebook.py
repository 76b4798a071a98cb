"""What notebooks show of experiments and results; `locokine.api` puts these onto their classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from locokine.results.result import Result
    from locokine.scenario.experiment import Experiment

PLOTS = ("chain", "survival", "waterfall", "spider", "exposure", "toxicity", "deaths", "fields")


def html_table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of text cells."""
    from html import escape

    def line(tag: str, cells: Iterable[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<table><thead>{line('th', columns)}</thead><tbody>{body}</tbody></table>"


def result_html(result: Result) -> str:
    """Tables of the arms and of the rechallenge, for notebooks."""
    from html import escape

    from locokine.report.build import RESEARCH_USE
    from locokine.report.tables import closing

    parts = []
    for title, table in closing(result):
        parts += [f"<strong>{escape(title)}</strong>", html_table(table.columns, table.rows), escape(table.note)]
    return "".join(f"<div>{part}</div>" for part in [*parts, f"<em>{RESEARCH_USE}</em>"] if part)


def experiment_html(experiment: Experiment) -> str:
    """What the experiment means, for notebooks."""
    from html import escape

    from locokine.processors import cores
    from locokine.report.build import RESEARCH_USE
    from locokine.report.tables import NONE, number
    from locokine.scenario.describe import describe

    about = describe(experiment, cores())
    lesions = "; ".join(f"{row.name}: {row.label}, {row.site}, day {row.day:g}" for row in about.lesions)
    head = (
        f"<strong>{escape(about.name)}</strong>: {escape(about.host_label)}, {about.subjects} subjects per arm, "
        f"{about.follow_up_days:g} days, seed {about.seed}<br>{escape(lesions)}"
    )
    rows = []
    for arm, courses in about.arms.items():
        rows += [(arm, course.text, str(course.doses), number(course.total.micrograms)) for course in courses]
        if not courses:
            rows.append((arm, "no treatment", "0", NONE))
    return head + html_table(("arm", "dosing", "doses", "µg in all"), rows) + f"<em>{RESEARCH_USE}</em>"


def experiment_text(experiment: Experiment) -> str:
    """One line: the whole content of an experiment, library included, would fill pages."""
    return (
        f"<locokine experiment: {experiment.name}, host {experiment.host}, {len(experiment.protocol.arms)} arms, "
        f"{experiment.subjects} subjects each, seed {experiment.seed}; research use only>"
    )


def plot(name: str) -> Callable[..., Any]:
    """Return a method of results that draws one figure and can show it in any notebook."""

    def method(self: Result, *arguments: Any, **options: Any) -> Any:
        from locokine.report import figures, style

        figure = getattr(figures, f"plot_{name}")(self, *arguments, **options)
        # figures are made without pyplot, which is what would teach a notebook to show them
        figure._repr_png_ = lambda: style.png_bytes(figure)
        return figure

    method.__name__ = f"plot_{name}"
    method.__doc__ = (
        f"Draw the figure `{name}` (see `locokine.report.figures.plot_{name}`); returns a matplotlib figure."
    )
    return method
