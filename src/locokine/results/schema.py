"""Names, units and meanings of everything a result holds, and the form in which a protocol is stored."""

from __future__ import annotations

from dataclasses import asdict
from math import isnan, nan
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from locokine.engine.variables import BODY, EVENTS, FIELD, LESION, PLACES, Variable
from locokine.scenario.protocol import Arm, Dose, LesionPlan, Protocol, Rechallenge, Rule

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
"""Version of the files of a result; a change that older readers cannot follow raises it."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles over living subjects that are stored for every day."""

DETAILED = 50
"""Subjects whose full series are stored unless all are asked for."""

GRADE_TERMS = (
    "hypotension",
    "weight_gain",
    "weight_loss",
    "capillary_leak",
    "lung_leak",
    "fever",
    "hypoalbuminaemia",
    "death",
)
"""Systemic terms of toxicity, one column `grade_<term>` each."""

SUMMARY_PLACES = ("tumour", "node", "plasma")
"""Places whose IL-2 exposure is in `summary.json`."""

_RESPONSE = "CR, PR, SD, PD or NE"

SUBJECTS: tuple[Variable, ...] = (
    Variable("arm", "text", "treatment arm"),
    Variable("subject", "count", "number of the subject in the population; the same host in every arm"),
    Variable("baseline_day", "d", "day of the baseline visit: the last day value at or before the first dose"),
    Variable("baseline_size", "mm3 or mm", "caliper volume (animals), sum of target diameters (patients) at baseline"),
    Variable("best_response", "text", f"best overall response, without confirmation: {_RESPONSE}"),
    Variable("best_response_confirmed", "text", f"the same with confirmation 4 weeks later (patients): {_RESPONSE}"),
    Variable("best_response_injected", "text", "best response of the injected lesions alone; empty without any"),
    Variable("best_response_distant", "text", "best response of the lesions never injected; empty without any"),
    Variable("best_change", "%", "smallest tumour at a visit after baseline, relative to baseline; growth is positive"),
    Variable("time_to_response", "d", "first visit with a response, after baseline"),
    Variable("response_duration", "d", "first response to progression or death, else to the end of follow-up"),
    Variable("response_ongoing", "bool", "the response lasted to the end of follow-up"),
    Variable("progression_day", "d", "first visit with progression, day of the experiment"),
    Variable("pseudoprogression", "bool", "a visit showed progression with fewer viable cells than at the nadir"),
    Variable("pseudoprogression_day", "d", "first such visit, day of the experiment"),
    Variable("disease_free", "bool", "alive without a detectable tumour at the end of follow-up"),
    Variable("cured", "bool", "no clonogen left in any lesion, and alive at the end of follow-up"),
    Variable("cure_day", "d", "day on which the last clonogen was gone"),
    Variable("cure_probability", "1", "extinction probability of all clonogens of the host (0 after death)"),
    Variable("survival", "d", "day of death or humane endpoint, else end of follow-up"),
    Variable("died", "bool", "died or reached the humane endpoint within follow-up"),
    Variable("cause_of_death", "text", "toxic_death, tumour_death or humane_endpoint; empty if alive"),
    Variable("doses_given", "count", "doses really given"),
    Variable("doses_held", "count", "doses withheld by a treatment rule"),
    *(
        Variable(f"grade_{term}", "grade", f"worst grade of {term.replace('_', ' ')} since baseline")
        for term in GRADE_TERMS
    ),
    Variable("systemic_grade", "grade", "worst systemic grade over time and terms; 5 is death from toxicity"),
    Variable("systemic_term", "text", "term that gave it first"),
    Variable("injection_site_grade", "grade", "worst injection-site reaction over the injected lesions"),
    *(
        Variable(f"il2_{what}_{place}", unit, f"{meaning} of receptor-active IL-2, {place}")
        for place in PLACES
        for what, unit, meaning in (("peak", "nM", "peak"), ("auc", "nM h", "area under the curve"))
    ),
    Variable("dosed", "fmol", "amount of all agents really given"),
    Variable("bioavailability", "1", "share of it that entered the plasma; 0 if nothing was given"),
    Variable("hypoxic_fraction_peak", "1", "largest hypoxic fraction since baseline, mean over lesions"),
    Variable("necrotic_fraction_peak", "1", "largest necrotic fraction since baseline, mean over lesions"),
    Variable("oedema_fraction_peak", "1", "largest oedema fraction since baseline, mean over lesions"),
    Variable("viable_pO2_min", "mmHg", "smallest oxygen pressure since baseline, mean over all viable cells"),
)
"""Columns of `subjects.parquet`."""

VISITS: tuple[Variable, ...] = (
    Variable("arm", "text", "treatment arm"),
    Variable("subject", "count", "number of the subject in the population"),
    Variable("day", "d", "day of the experiment"),
    Variable("size", "mm3 or mm", "caliper volume of all lesions (animals) or sum of target diameters (patients)"),
    Variable("change", "%", "size relative to baseline; 0 is no change"),
    Variable("viable_cells", "cells", "living tumour cells in all lesions"),
    Variable("status", "text", f"{_RESPONSE}; baseline for the visit before treatment"),
)
"""Columns of `visits.parquet`: a row per subject, arm and visit, while the subject is alive."""

LESIONS: tuple[Variable, ...] = (
    Variable("arm", "text", "treatment arm"),
    Variable("subject", "count", "number of the subject in the population"),
    Variable("lesion", "text", "lesion"),
    Variable("injected", "bool", "injected (into it or beside it) in this arm"),
    Variable("baseline_size", "mm3 or mm", "caliper volume (animals) or longest diameter (patients) at baseline"),
    Variable("best_change", "%", "smallest size at a visit after baseline, relative to baseline"),
    Variable("best_response", "text", f"the response criteria applied to this lesion alone: {_RESPONSE}"),
)
"""Columns of `lesions.parquet`."""

CHALLENGES: tuple[Variable, ...] = (
    Variable("arm", "text", "arm in which the host was cured, or naive"),
    Variable("line", "text", "tumour line of the challenge"),
    Variable("subject", "count", "number of the subject in the population"),
    Variable("alive", "bool", "alive at the reading"),
    Variable("diameter", "mm", "diameter of the largest tumour at the reading"),
    Variable("rejected", "bool", "alive and no tumour of 3 mm or more at the reading"),
)
"""Columns of `challenges.parquet`."""

EVENT_COLUMNS: tuple[Variable, ...] = (
    Variable("arm", "text", "treatment arm"),
    Variable("subject", "count", "number of the subject in the population"),
    Variable("time_h", "h", "time after day 0 00:00"),
    Variable("kind", "text", "one of " + ", ".join(EVENTS)),
    Variable("lesion", "text", "lesion concerned; may be empty"),
    Variable("value", "depends on kind", "size of the event (dose: amount in fmol)"),
    Variable("challenge", "text", "line of the challenge in which it happened; empty in the experiment itself"),
)
"""Columns of `events.parquet`."""

EXPOSURE: tuple[Variable, ...] = (
    Variable("peak_nM", "nM", "peak concentration; agent `active` is receptor-active IL-2 of all agents"),
    Variable("auc_nM_h", "nM h", "area under the concentration curve"),
    Variable("dosed_fmol", "fmol", "amount really given"),
    Variable("reached_plasma_fmol", "fmol", "amount that entered the plasma"),
    Variable("bioavailability", "1", "share of the amount given that entered the plasma"),
)
"""Variables of the group `exposure` of `series.zarr`."""

_TABLES = (
    ("subjects.parquet", SUBJECTS),
    ("visits.parquet", VISITS),
    ("lesions.parquet", LESIONS),
    ("challenges.parquet", CHALLENGES),
    ("events.parquet", EVENT_COLUMNS),
    ("series.zarr: daily, series, quantiles, challenges (per lesion)", LESION),
    ("series.zarr: daily, series, quantiles, challenges (per host)", BODY),
    ("series.zarr: exposure", EXPOSURE),
    ("fields.zarr", FIELD),
)


def data_dictionary() -> pd.DataFrame:
    """Every column and variable of a stored result: `place`, `name`, `unit`, `meaning`."""
    import pandas as pd

    rows = [(place, item.name, item.unit, item.meaning) for place, items in _TABLES for item in items]
    return pd.DataFrame(rows, columns=["place", "name", "unit", "meaning"])


def where(table: pd.DataFrame, chosen: Any) -> pd.DataFrame:
    """Rows of a table for which `chosen` (one truth value per row) holds."""
    return cast("pd.DataFrame", table[np.asarray(chosen, dtype=bool)])


def count(true: Any) -> int:
    """How many of these truth values hold."""
    return int(np.count_nonzero(np.asarray(true, dtype=bool)))


def plain(value: Any) -> Any:
    """`value` with what JSON cannot hold replaced: nan → None, infinities → text, numpy → Python, tuples → lists."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value) if isinstance(value, (set, frozenset)) else value
        return [plain(item) for item in items]
    if hasattr(value, "tolist"):  # numpy arrays and scalars
        return plain(value.tolist())
    if isinstance(value, float):
        if isnan(value):
            return None
        return value if abs(value) != float("inf") else str(value)
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return str(value)


def protocol_to_dict(protocol: Protocol) -> dict[str, Any]:
    """Protocol in a form that JSON holds exactly (nan is None)."""
    return plain(asdict(protocol))


def _restore(kind: type, content: dict[str, Any]) -> Any:
    known = {name: content[name] for name in kind.__dataclass_fields__ if name in content}  # type: ignore[attr-defined]
    for name, value in known.items():
        if value is None and str(kind.__dataclass_fields__[name].type) == "float":  # type: ignore[attr-defined]
            known[name] = nan
        elif isinstance(value, list):
            known[name] = tuple(value)
    return kind(**known)


def protocol_from_dict(content: dict[str, Any]) -> Protocol:
    """Inverse of `protocol_to_dict`."""
    arms = tuple(
        _restore(
            Arm,
            arm
            | {
                "doses": [_restore(Dose, dose) for dose in arm["doses"]],
                "rules": [_restore(Rule, rule) for rule in arm["rules"]],
            },
        )
        for arm in content["arms"]
    )
    again = content.get("rechallenge")
    return _restore(
        Protocol,
        content
        | {
            "arms": arms,
            "lesions": [_restore(LesionPlan, lesion) for lesion in content["lesions"]],
            "rechallenge": _restore(Rechallenge, again) if again else None,
        },
    )
