"""A baseline into a folder: course as a table, summary, figure."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from locokine.baselines.models import Baseline
from locokine.baselines.solve import Course, equilibria, integrate, thresholds
from locokine.errors import InputError

SUMMARY, TABLE, FIGURE = "summary.json", "course.csv", "course.png"


def summary(model: Baseline, course: Course) -> dict[str, Any]:
    """What the model is and does, as plain data (`kind` tells it from the summary of an experiment)."""
    return {
        "schema_version": 1,
        "kind": "baseline",
        "model": model.name,
        "citation": model.citation,
        "note": model.note,
        "research_use_only": True,
        "days": float(course.days[-1]),
        "parameters": {one.name: {"value": one.value, "unit": one.unit} for one in (*model.parameters, *model.start)},
        "equilibria": [
            {
                **{name: float(value) for name, value in one.state._asdict().items()},
                "stable": one.stable,
                "eigenvalue_per_day": [one.eigenvalue.real, one.eigenvalue.imag],
            }
            for one in equilibria(model)
        ],
        "thresholds": thresholds(model),
        "fate": course.fate(),
        "final": {
            "effectors": float(course.effectors[-1]), "log10_tumour": float(course.log_tumour[-1]) / math.log(10.0),
            "il2": float(course.il2[-1]),
        },
    }


def table(course: Course) -> str:
    """The course as CSV: day, effector cells, tumour cells and their decadic logarithm, interleukin-2."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("day", "effectors", "tumour", "log10_tumour", "il2"))
    columns = (course.days, course.effectors, course.tumour, course.log_tumour / math.log(10.0), course.il2)
    for row in zip(*columns, strict=True):
        writer.writerow([f"{value:.10g}" for value in row])
    return stream.getvalue()


def run(model: Baseline, days: float, folder: Path | None = None, *, force: bool = False) -> tuple[Course, dict[str, Any]]:
    """Integrate a model and, where a folder is named, write course, summary and figure into it.

    Raises
    ------
    InputError
        If the folder holds another result, or cannot be used.
    """
    course = integrate(model, days)
    about = summary(model, course)
    if folder is None:
        return course, about
    text = json.dumps(about, indent=2, ensure_ascii=False) + "\n"
    there = folder / SUMMARY
    if there.exists() and not force and there.read_text(encoding="utf-8") != text:
        raise InputError(str(folder), "holds the result of another run", "choose another folder, or say --force")
    from locokine.report.figures_baseline import plot_baseline
    from locokine.report.style import png_bytes
    from locokine.results.store import disk_errors, write_atomic

    picture = png_bytes(plot_baseline(course, f"{model.label}: {about['fate']}", equilibria(model)))
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((TABLE, table(course).encode()), (FIGURE, picture), (SUMMARY, text.encode())):
            write_atomic(folder / name, lambda stream, content=content: stream.write(content))
    return course, about
