"""Toxicity grades: one table of terms, simulated quantities, thresholds and sources.

The thresholds themselves stand in `locokine.body.grades`, where the engine's treatment rules use them as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locokine.body import grades
from locokine.engine.run import ArmRun
from locokine.engine.variables import BODY, LESION
from locokine.results.schema import GRADE_TERMS

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
Grades = NDArray[np.int64]

_BODY = {item.name: i for i, item in enumerate(BODY)}
_LESION = {item.name: i for i, item in enumerate(LESION)}
CTCAE = "CTCAE v5.0"
ASSUMED = "assumed"
_SIGNS = f"{CTCAE} (wording); threshold assumed"


class Threshold(NamedTuple):
    """One row of the table: from where on a simulated quantity means this grade of this term."""

    term: str
    quantity: str
    threshold: str
    grade: int
    patients: str
    animals: str


def _rows(
    term: str, quantity: str, sign: str, limits: tuple[float, ...], patients: str, animals: str
) -> list[Threshold]:
    return [Threshold(term, quantity, f"{sign} {limit:g}", i + 1, patients, animals) for i, limit in enumerate(limits)]


def _table() -> tuple[Threshold, ...]:
    pressure = "mean arterial pressure / before treatment"
    site = "injection_site_reaction"
    rows = _rows("hypotension", pressure, "<", grades.HYPOTENSION, _SIGNS, ASSUMED)
    rows += [
        Threshold("hypotension", "pressor support", f"> {grades.PRESSOR[0]:g}", 3, _SIGNS, ASSUMED),
        Threshold(
            "hypotension",
            f"pressor support with pressure ratio < {grades.HYPOTENSION[2]:g}",
            f"> {grades.PRESSOR[1]:g}",
            4,
            _SIGNS,
            ASSUMED,
        ),
    ]
    rows += _rows("weight_gain", "gain of weight / before treatment", ">=", grades.WEIGHT_GAIN, CTCAE, ASSUMED)
    rows += _rows("weight_loss", "loss of weight / before treatment", ">=", grades.WEIGHT_LOSS, CTCAE, ASSUMED)
    quantity = "systemic leak state and gain of weight"
    for i, (leak, gain) in enumerate(zip(grades.LEAK_STATE, grades.LEAK_GAIN, strict=True)):
        limit = f">= {leak:g} and >= {gain:g}"
        if i >= 2:
            limit += f", with albumin < {grades.LEAK_ALBUMIN[i - 2]:g} g/dL"
        rows.append(Threshold("capillary_leak", quantity, limit, i + 1, _SIGNS, ASSUMED))
    rows += _rows("lung_leak", "albumin leak index of the lung", ">=", grades.LUNG_LEAK, "not used", ASSUMED)
    for i, (sign, limit) in enumerate(zip((">=", ">", ">"), grades.FEVER, strict=True)):
        rows.append(Threshold("fever", "temperature", f"{sign} {limit:g} degC", i + 1, CTCAE, ASSUMED))
    hot = f"> {grades.FEVER[2]:g} degC for more than {grades.FEVER_HOURS:g} h"
    rows.append(Threshold("fever", "temperature", hot, 4, CTCAE, ASSUMED))
    albumin = f"albumin in g/dL, scaled to a normal of {grades.ALBUMIN_NORMAL:g}"
    rows += _rows("hypoalbuminaemia", albumin, "<", grades.ALBUMIN, CTCAE, ASSUMED)
    rows.append(Threshold("death", "event toxic_death", "occurs", 5, CTCAE, "definition"))
    oedema = f"fluid strain of the rim above that before treatment, for {grades.SITE_OEDEMA_HOURS:g} h"
    perfusion = "perfusion of the rim / normal"
    rows.append(Threshold(site, "leak state of the rim", f">= {grades.SITE_LEAK:g}", 1, _SIGNS, ASSUMED))
    rows += _rows(site, oedema, ">=", grades.SITE_OEDEMA, _SIGNS, ASSUMED)
    ulcer = f"< {grades.SITE_PERFUSION:g} for {grades.SITE_HOURS:g} h"
    rows.append(Threshold(site, perfusion, ulcer, 3, _SIGNS, ASSUMED))
    return tuple(rows)


TABLE: tuple[Threshold, ...] = _table()
"""Term → simulated quantity → threshold → grade → source for patients and for animals."""


def toxicity_table() -> pd.DataFrame:
    """`TABLE` as a data frame."""
    import pandas as pd

    return pd.DataFrame(TABLE, columns=list(Threshold._fields))


def _on_arrays(function: Any) -> Callable[..., Array]:
    """The uncompiled grade function, whose arithmetic works on arrays."""
    return getattr(function, "py_func", function)


def _hours_in_a_row(true: NDArray[np.bool_], times: Array) -> Array:
    """Hours since a condition became true, at each time; `true` has shape (times, subjects)."""
    hours = np.zeros(true.shape)
    for i in range(1, len(times)):
        hours[i] = np.where(true[i] & true[i - 1], hours[i - 1] + times[i] - times[i - 1], 0.0)
    return hours


def _worst(values: Array) -> Grades:
    return np.max(np.nan_to_num(values), axis=0, initial=0.0).astype(np.int64)


def systemic_grades(
    run: ArmRun, first: int, toxic_death: NDArray[np.bool_], animals: bool
) -> dict[str, Grades]:
    """Worst grade per systemic term and subject, from the day index `first` (baseline) on.

    Daily values are used, and the engine's own record of the worst step where it kept one.
    """
    body = {name: run.daily_body[i, first:] for name, i in _BODY.items()}
    normal = {name: values[0] for name, values in body.items()}
    hot = _hours_in_a_row(body["temperature"] > grades.FEVER[2], run.daily_time[first:])
    with np.errstate(divide="ignore", invalid="ignore"):
        gained = body["weight"] / normal["weight"] - 1.0
        values = {
            "hypotension": _on_arrays(grades.hypotension)(
                body["mean_arterial_pressure"], normal["mean_arterial_pressure"], body["pressor"]
            ),
            "weight_gain": _on_arrays(grades.weight_gain)(gained),
            "weight_loss": _on_arrays(grades.weight_loss)(-gained),
            "capillary_leak": _on_arrays(grades.capillary_leak)(body["systemic_leak"], gained, body["albumin"]),
            "lung_leak": _on_arrays(grades.lung_leak)(body["organ_leak"] / normal["organ_leak"]) * animals,
            "fever": _on_arrays(grades.fever)(body["temperature"], hot),
            "hypoalbuminaemia": _on_arrays(grades.hypoalbuminaemia)(body["albumin"], normal["albumin"]),
        }
    found = {term: _worst(value) for term, value in values.items()}
    if run.worst_grades is not None:
        for i, term in enumerate(grades.TERMS):
            if term in found:
                found[term] = np.maximum(found[term], np.nan_to_num(run.worst_grades[i]).astype(np.int64))
    found["death"] = 5 * toxic_death.astype(np.int64)
    return {term: found[term] for term in GRADE_TERMS}


def worst_systemic(found: dict[str, Grades]) -> tuple[Grades, list[str]]:
    """Worst grade over terms, and the first term that has it ("" for grade 0)."""
    table = np.stack([found[term] for term in GRADE_TERMS])
    worst = table.max(axis=0)
    term = [GRADE_TERMS[i] if grade else "" for i, grade in zip(table.argmax(axis=0), worst, strict=True)]
    return worst, term


def injection_site_grades(run: ArmRun, first: int, injected: frozenset[str]) -> Grades:
    """Worst injection-site reaction per subject over the injected lesions; 0 where none is injected."""
    worst = np.zeros(run.subjects, dtype=np.int64)
    for i, name in enumerate(run.lesions):
        if name not in injected:
            continue
        oedema, leak, perfusion = (
            run.daily_lesion[_LESION[variable], i, first:] for variable in ("rim_oedema", "rim_leak", "rim_perfusion")
        )
        times, more = run.daily_time[first:], oedema - oedema[0]
        swollen, tense = (_hours_in_a_row(more >= limit, times) for limit in grades.SITE_OEDEMA)
        shut = _hours_in_a_row(perfusion < grades.SITE_PERFUSION, times)
        worst = np.maximum(worst, _worst(_on_arrays(grades.injection_site_reaction)(leak, swollen, tense, shut)))
    if run.worst_grades is not None and injected:
        recorded = run.worst_grades[grades.TERMS.index("injection_site_reaction")]
        worst = np.maximum(worst, np.nan_to_num(recorded).astype(np.int64))
    return worst
