"""Tables of the report: plain text cells, made from the numbers of a result and an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from locokine.report import style
from locokine.report.figures_chain import over_lesions
from locokine.report.figures_outcome import arm_names

if TYPE_CHECKING:
    from locokine.parameters.records import Record
    from locokine.results.result import Result
    from locokine.scenario.experiment import Experiment

NONE = "–"
MOST_ROWS = 12
"""Lesions listed one by one; of more, the first are listed and the rest counted."""


class Table(NamedTuple):
    """Column heads, rows of text, and how many leading columns are text (aligned left)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int = 1
    note: str = ""


def number(value: float | None, digits: int = 3) -> str:
    """Number for people: `digits` significant digits, thousands apart, powers of ten in full (1.2 × 10⁷)."""
    if value is None or not isfinite(value):
        return NONE
    if value == 0.0:
        return "0"
    size = abs(value)
    if 1e-3 <= size < 1e6:
        decimals = max(digits - 1 - int(np.floor(np.log10(size))), 0)
        text = f"{value:,.{decimals}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−").replace(",", "\u202f")
    exponent = int(np.floor(np.log10(size)))
    head = f"{value / 10.0**exponent:.{digits - 1}f}".replace("-", "−")
    head = head.rstrip("0").rstrip(".") if "." in head else head
    return f"{head} × {style.power_of_ten(exponent)}"


def percent(share: float | None, sign: bool = True) -> str:
    """Share as whole percent; one decimal below 10 % where it matters."""
    if share is None or not isfinite(share):
        return NONE
    value = 100.0 * share
    text = f"{value:.1f}" if 0.0 < value < 9.95 and abs(value - round(value)) > 0.05 else f"{value:.0f}"
    return f"{text}\u00a0%" if sign else text


def interval(rate: dict[str, float]) -> str:
    """Share with its 95 % interval: `60 % (50–70 %)`."""
    return f"{percent(rate['value'])} ({percent(rate['low'], False)}–{percent(rate['high'])})"


def lesion_table(experiment: Experiment) -> Table:
    """What is implanted or found where."""
    from locokine.scenario.describe import describe

    rows: list[tuple[str, ...]] = []
    lesions = describe(experiment).lesions
    for lesion in lesions[:MOST_ROWS]:
        size = f"{number(lesion.cells)} cells" if lesion.cells is not None else f"{number(lesion.volume)} mm³"
        if lesion.diameter is not None:
            size += f" (⌀ {number(lesion.diameter)} mm)"
        rows.append((lesion.name, lesion.label, lesion.site, size, number(lesion.day)))
    if len(lesions) > MOST_ROWS:
        rows.append((f"… and {len(lesions) - MOST_ROWS} more", "", "", "", ""))
    return Table(("lesion", "tumour", "site", "size", "day"), tuple(rows), 4)


def dose_table(experiment: Experiment) -> Table:
    """What each dosing line gives to one host of median weight: dose, day and course in IU, µg, nmol and per kg."""
    from locokine.scenario.describe import describe

    rows: list[tuple[str, ...]] = []
    content = describe(experiment)
    for arm, courses in content.arms.items():
        for course in courses:
            dose, total = course.per_dose, course.total
            rows.append(
                (
                    arm,
                    course.text,
                    number(course.doses),
                    f"{number(course.first_day + 0.0)}–{number(course.last_day)}",
                    number(dose.iu),
                    number(dose.micrograms),
                    number(dose.nanomoles),
                    number(dose.iu_per_kg),
                    number(total.iu),
                    NONE if course.volume is None else number(course.volume / 1000.0),
                )
            )
        if not courses:
            rows.append((arm, "no treatment", *[NONE] * 8))
    columns = (
        "arm", "as written", "doses", "days", "IU per dose", "µg per dose", "nmol per dose", "IU/kg per dose",
        "IU in all", "mL per dose",
    )  # fmt: skip
    note = f"Planned amounts for a host of {number(content.host_weight_kg)} kg; rules may hold or end a course."
    return Table(columns, tuple(rows), 2, note)


def arms_table(result: Result) -> Table:
    """Return one row per arm, what an oncologist asks first, as text."""

    def severe(grades: Mapping[str, int]) -> str:
        known = sum(grades.values())
        worst = sum(count for grade, count in grades.items() if int(grade) >= 3)
        return percent(worst / known if known else None, sign=False)

    rows = []
    for name, arm in result.summary()["arms"].items():
        survival, rate = arm["median_survival_days"], arm["objective_response_rate"]
        value, low, high = (percent(rate[key], sign=False) for key in ("value", "low", "high"))
        rows.append(
            (
                name,
                str(arm["subjects"]),
                "/".join(str(arm["best_response"][word]) for word in ("CR", "PR", "SD", "PD", "NE")),
                f"{value} ({low}–{high})",
                str(arm["cured"]),
                f"> {number(result.protocol.follow_up / 24.0)}" if survival is None else number(survival),
                severe(arm["systemic_toxicity_grade"]),
                severe(arm["injection_site_grade"]),
                percent(arm["bioavailability"], sign=False) if treated(result, name) else NONE,
            )
        )
    columns = (
        *("arm", "n", "CR/PR/SD/PD/NE", "response % (95 %)", "cured", "median survival (d)"),
        *("systemic grade ≥ 3 (%)", "injection site ≥ 3 (%)", "bioavailability (%)"),
    )
    return Table(columns, tuple(rows))


def treated(result: Result, name: str) -> bool:
    """Whether an arm is given any substance."""
    return any(dose.amount != 0.0 for arm in result.protocol.arms if arm.name == name for dose in arm.doses)


def closing(result: Result) -> list[tuple[str, Table]]:
    """Return the tables that end a run, with their titles: the arms, and the rechallenge if there was one."""
    found = [(f"{result.manifest['experiment']} (seed {result.manifest['seed']})", arms_table(result))]
    challenges = rechallenge_table(result)
    if challenges is not None:
        found.append(("Rechallenge of cured hosts", challenges))
    return found


def response_table(result: Any) -> Table:
    """Best response, objective responses with exact 95 % interval, cures and survival by arm."""
    from locokine.outcome.summary import exact_interval

    patients = result.manifest.get("criteria") == "recist"
    arms, more = result.summary()["arms"], result.outcome.arms.set_index("arm")
    rows: list[tuple[str, ...]] = []
    for name in arm_names(result):
        arm, extra = arms[name], more.loc[name]
        cured = exact_interval(arm["cured"], arm["subjects"])
        survival = arm["median_survival_days"]
        rows.append(
            (
                name,
                number(arm["subjects"]),
                *(number(arm["best_response"][word]) for word in ("CR", "PR", "SD", "PD", "NE")),
                interval(arm["objective_response_rate"]),
                percent(float(extra["orr_confirmed"])) if patients else number(int(extra["pseudoprogression"])),
                f"{arm['cured']}, {interval(cured._asdict())}",
                number(int(extra["disease_free"])),
                number(int(extra["died"])),
                "not reached" if survival is None else f"{number(survival)} d",
            )
        )
    columns = (
        "arm", "n", "CR", "PR", "SD", "PD", "NE", "objective response (95 %)",
        "confirmed" if patients else "swelling taken for growth", "cured (95 %)", "disease-free at end", "died",
        "median survival",
    )  # fmt: skip
    what = (
        "RECIST 1.1 at visits every six weeks"
        if patients
        else "caliper volume at three visits a week: CR none palpable at three visits running, PR ≥ 50 % smaller, "
        "PD > 25 % over the smallest"
    )
    note = f"{what[0].upper()}{what[1:]}. Intervals are exact (Clopper–Pearson). Cured: no clonogen left in any lesion."
    return Table(columns, tuple(rows), 1, note)


def rechallenge_table(result: Any) -> Table | None:
    """Rejection of a new tumour by cured hosts beside naive controls; none if no rechallenge was asked for."""
    from locokine.outcome.summary import exact_interval

    content = result.outcome.rechallenge
    if not len(content):
        return None
    rows = []
    for row in content.to_dict("records"):
        if not row["challenged"]:
            continue
        rate = exact_interval(int(row["rejected"]), int(row["challenged"]))
        rows.append(
            (
                str(row["arm"]),
                str(row["line"]),
                f"{row['rejected']} of {row['challenged']}",
                interval(rate._asdict()),
                f"{row['naive_rejected']} of {row['naive_challenged']}",
                "yes" if row["valid"] else "no",
            )
        )
    plan = result.protocol.rechallenge
    note = (
        f"Rejected: alive without a tumour of 3 mm {number(plan.observe)} days after {number(plan.cells)} cells. "
        "Valid: at least 90 % of naive hosts grew the tumour."
    )
    if not rows:
        note = "No host was cured, so none was challenged. " + note
    columns = ("arm", "challenged with", "rejected", "share (95 %)", "naive rejected", "valid")
    return Table(columns, tuple(rows), 2, note)


def exposure_table(result: Any) -> Table:
    """Median peak and AUC of receptor-active IL-2 by place, and the share of the dose that reached plasma."""
    arms = result.summary()["arms"]
    places = ("tumour", "node", "plasma")
    rows = []
    for name in arm_names(result):
        il2 = arms[name]["il2"]
        given = any(dose.amount != 0.0 for arm in result.protocol.arms if arm.name == name for dose in arm.doses)
        rows.append(
            (
                name,
                *(number(il2[place]["peak_nM"]) for place in places),
                *(number(il2[place]["auc_nM_h"]) for place in places),
                percent(arms[name]["bioavailability"]) if given else NONE,
            )
        )
    columns = (
        "arm", "peak tumour, nM", "peak node, nM", "peak plasma, nM", "AUC tumour, nM·h", "AUC node, nM·h",
        "AUC plasma, nM·h", "dose reaching plasma",
    )  # fmt: skip
    note = "Medians over hosts of receptor-active IL-2, the host’s own included; tumour: mean over lesions."
    return Table(columns, tuple(rows), 1, note)


def toxicity_table(result: Any) -> Table:
    """Hosts by worst grade, a row per arm and term in which any host had a grade above 0."""
    rows: list[tuple[str, ...]] = []
    shown = ""
    for row in result.outcome.toxicity.to_dict("records"):
        counts = [int(row[str(grade)]) for grade in range(6)]
        term = str(row["term"])
        if sum(counts[1:]) == 0 and term not in ("any systemic", "injection_site_reaction"):
            continue
        total = max(sum(counts), 1)
        severe = sum(counts[3:])
        words = term.replace("_", " ")
        arm = "" if shown == row["arm"] else str(row["arm"])
        shown = row["arm"]
        rows.append((arm, words, *map(str, counts), f"{severe} ({percent(severe / total)})"))
    columns = ("arm", "term", *(f"grade {grade}" for grade in range(6)), "grade ≥ 3")
    note = "Worst grade of each host. Terms in which no host of the arm had any grade are left out."
    return Table(columns, tuple(rows), 2, note)


class Extreme(NamedTuple):
    """A quantity whose extreme is dated: how lesions are put together, whether the largest value counts, and the
    least change worth a date."""

    variable: str
    over_lesions: str
    name: str
    largest: bool
    unit: str
    least: float


EXTREMES: tuple[Extreme, ...] = (
    Extreme("il2", "mean", "most IL-2 in the tumour", True, "nM", 1e-3),
    Extreme("leak", "mean", "leakiest vessels", True, "", 0.01),
    Extreme("oedema_fraction", "mean", "most oedema", True, "", 0.01),
    Extreme("interstitial_pressure", "mean", "highest tissue pressure", True, "mmHg", 0.1),
    Extreme("perfusion", "mean", "lowest blood flow", False, "of normal", 0.01),
    Extreme("viable_pO2", "mean", "lowest oxygen of living cells", False, "mmHg", 0.2),
    Extreme("hypoxic_fraction", "mean", "most hypoxia", True, "", 0.01),
    Extreme("necrotic_fraction", "mean", "most necrosis", True, "", 0.01),
    Extreme("antigen", "sum", "most antigen and danger", True, "cells", 10.0),
    Extreme("node_dendritic", "body", "most dendritic cells in the node", True, "cells", 10.0),
    Extreme("t_specific", "sum", "most specific T cells in the tumour", True, "cells", 10.0),
)
"""Links of the chain in the order from cause to effect."""


def order_table(result: Any) -> Table:
    """When each link of the chain was at its extreme: median day after the arm's first treatment, with the median value."""
    series = result.series
    treated = [arm for arm in result.protocol.arms if arm.times]
    columns = []
    for arm in treated:
        first = arm.times[0] / 24.0
        data = series.sel(arm=arm.name, time=slice(first - 1e-6, None))
        days = np.asarray(data["time"].values, dtype=float) - first
        columns.append([_extreme(over_lesions(data, e.variable, e.over_lesions), days, e) for e in EXTREMES])
    rows = tuple((e.name, *cells) for e, *cells in zip(EXTREMES, *columns, strict=True)) if columns else ()
    note = (
        "Day after the arm’s first treatment on which the quantity was at its extreme, and its value then (medians over "
        "hosts, each as long as it lived); a dash where it hardly changed."
    )
    return Table(("", *(arm.name for arm in treated)), rows, 1, note)


def _extreme(values: Any, days: Any, what: Extreme) -> str:
    """`day 3.5 · 0.42 unit`; a dash where no host has a value or the median host hardly changed."""
    known = np.isfinite(values).any(axis=0)
    if not known.any():
        return NONE
    part = values[:, known]
    if np.median(np.nanmax(part, axis=0) - np.nanmin(part, axis=0)) < what.least:
        return NONE
    filled = np.where(np.isfinite(part), part, -np.inf if what.largest else np.inf)
    at = filled.argmax(axis=0) if what.largest else filled.argmin(axis=0)
    extreme = float(np.median(filled[at, np.arange(at.size)]))
    return f"day {np.median(days[at]):.1f} · {number(extreme, 2)} {what.unit}".rstrip()


def parameter_table(records: Sequence[Record]) -> Table:
    """Value, 90 % range, spread between hosts, status and sources of some parameters."""
    from locokine.units import format_quantity

    rows = []
    for record in records:
        fixed = record.distribution == "fixed" or record.low == record.high
        span = NONE if fixed else f"{format_quantity(record.low, record.unit, 3)} – {record_high(record)}"
        owner = "" if record.scope == "laws" else record.scope.split(".", 1)[-1]
        rows.append(
            (
                record.name,
                owner,
                record.text(),
                span,
                number(record.between) if record.between else NONE,
                record.status,
                ", ".join(record.source) or NONE,
                record.note,
            )
        )
    columns = ("parameter", "of", "value", "90 % range", "between hosts", "status", "sources", "note")
    return Table(columns, tuple(rows), 8)


def record_high(record: Record) -> str:
    """Upper end of the range, with its unit."""
    from locokine.units import format_quantity

    return format_quantity(record.high, record.unit, 3)
