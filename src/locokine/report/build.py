"""The report: one HTML file that opens offline, with every figure and table and where its numbers come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from locokine.report import style, tables
from locokine.report.caveats import caveats
from locokine.report.figures import make_all, svg_all
from locokine.report.figures_chain import MAX_COLUMNS, treatment_window
from locokine.report.figures_fields import has_fields, representative
from locokine.report.plate import drawable, make_plate
from locokine.report.support import LINK_NAMES, STATUSES, link_of, support, unique_records
from locokine.report.words import in_short

if TYPE_CHECKING:
    from locokine.scenario.experiment import Experiment

RESEARCH_USE = "Research use only; never for dosing or treating patients."

LABELS: dict[str, str] = {
    "survival": "Kaplan–Meier curves of all arms with numbers at risk",
    "waterfall": "Waterfall plot: best change of tumour size of every host, by arm",
    "spider": "Spider plot: course of tumour size of every host, by arm",
    "chain": "From IL-2 to the tumour: eleven quantities over the whole follow-up, arms side by side",
    "chain_treatment": "From IL-2 to the tumour: eleven quantities over the days around treatment, arms side by side",
    "fields": "Radius–time maps of one lesion, arms side by side",
    "exposure": "Peak, area under the curve and bioavailability of IL-2 by arm",
    "toxicity": "Worst grades of systemic toxicity and injection-site reaction by arm",
    "deaths": "Causes of tumour-cell death by arm",
}
"""What is read to those who cannot see a figure."""

STATUS_COLOURS: dict[str, str] = {
    "measured": style.GREEN,
    "derived": style.SKY,
    "calibrated": style.ORANGE,
    "assumed": "#B8B8B8",
}


def write_report(result: Any, experiment: Experiment, path: str | Path, *, slides: bool = True) -> Path:
    """Write the report of a result.

    Parameters
    ----------
    result
        A `Result`.
    experiment
        The experiment it is of: for lesions, dosing lines, parameters and sources.
    path
        The HTML file; replaced whole or not at all. The same result gives the same bytes.
    slides
        With the plate of virtual slides, which takes half a minute.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If it cannot be written or the disk is full.
    """
    from locokine.results.store import disk_errors, write_atomic

    target = Path(path)
    page = render(result, experiment, slides).encode("utf-8")
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, lambda stream: stream.write(page))
    return target


def render(result: Any, experiment: Experiment, slides: bool = True) -> str:
    """Return the whole page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("locokine.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(**context(result, experiment, slides))


def context(result: Any, experiment: Experiment, slides: bool = True) -> dict[str, Any]:
    """Everything that the template shows."""
    from locokine.scenario.describe import describe

    manifest, window = result.manifest, treatment_window(result)
    return {
        "title": str(manifest.get("experiment", experiment.name)).replace("_", " "),
        "asked": describe(experiment),
        "facts": _facts(result, experiment),
        "research_use": RESEARCH_USE,
        "short": in_short(result),
        "figures": _inline(result),
        "columns": MAX_COLUMNS,
        "window": window,
        "window_is_whole": window is not None and window[1] > max(_dose_days(result), default=0.0),
        "pictured": _pictured(result),
        "plate": make_plate(result) if slides else None,
        "slides_possible": drawable(result),
        "lesions": tables.lesion_table(experiment),
        "doses": tables.dose_table(experiment),
        "responses": tables.response_table(result),
        "rechallenge": tables.rechallenge_table(result),
        "exposure": tables.exposure_table(result),
        "order": tables.order_table(result),
        "toxicity": tables.toxicity_table(result),
        "held": _held(result),
        "detailed": int(result.series.sizes["subject"]),
        "patients": manifest.get("criteria") == "recist",
        "warnings": caveats(result, experiment),
        "statuses": [(status, STATUS_COLOURS[status]) for status in STATUSES],
        **_evidence(experiment),
    }


def _facts(result: Any, experiment: Experiment) -> list[tuple[str, str]]:
    """Name and value of what identifies the run, for the head of the page."""
    manifest, protocol = result.manifest, result.protocol
    tissue = f"{protocol.shells} shells" if protocol.geometry == "shells" else "well mixed"
    return [
        ("host", experiment.host_entry.label),
        ("arms", str(len(protocol.arms))),
        ("hosts per arm", tables.number(float(manifest["subjects"]))),
        ("follow-up", f"{tables.number(protocol.follow_up / 24.0)} days"),
        ("tissue", tissue),
        ("seed", str(manifest["seed"])),
        ("version", f"locokine {manifest['version']}"),
    ]


def _dose_days(result: Any) -> list[float]:
    return [time / 24.0 for arm in result.protocol.arms for time in arm.times]


def _inline(result: Any) -> dict[str, dict[str, Any]]:
    """Each figure as safe inline SVG, with its natural width in pixels."""
    from markupsafe import Markup

    made = {}
    for name, content in svg_all(result).items():
        svg = Markup(style.inline_svg(content, name.replace("_", "-"), LABELS[name]))
        made[name] = {"svg": svg, "width": round(100.0 * make_all(result)[name].get_figwidth())}
    return made


def _pictured(result: Any) -> dict[str, Any] | None:
    """Which host and lesion the radius–time maps show."""
    if not has_fields(result):
        return None
    lesion = str(result.fields["lesion"].values[0])
    return {"lesion": lesion, "subject": representative(result, lesion), "lesions": int(result.fields.sizes["lesion"])}


def _held(result: Any) -> list[tuple[str, int, int, int]]:
    """Arms in which rules withheld doses: name, doses given, doses held, hosts concerned."""
    rows = []
    for arm in result.protocol.arms:
        group = result.subjects[result.subjects["arm"] == arm.name]
        held = group["doses_held"].astype(int)
        if int(held.sum()):
            rows.append((arm.name, int(group["doses_given"].sum()), int(held.sum()), int((held > 0).sum())))
    return rows


def _evidence(experiment: Experiment) -> dict[str, Any]:
    """Parameters by link of the chain, support of each prediction, and the bibliography."""
    records = unique_records(experiment)
    groups = []
    for link, name in LINK_NAMES.items():
        members = [record for record in records if link_of(record.name) == link]
        if members:
            counts = [(status, sum(record.status == status for record in members)) for status in STATUSES]
            groups.append({"name": name, "table": tables.parameter_table(members), "counts": counts, "n": len(members)})
    total = [(status, sum(record.status == status for record in records)) for status in STATUSES]
    return {
        "groups": groups,
        "support": support(records),
        "records": len(records),
        "totals": total,
        "bibliography": experiment.bibliography(),
    }
