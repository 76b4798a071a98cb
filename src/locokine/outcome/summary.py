"""The figures of an experiment: a table with a row per arm, and the content of `summary.json`."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from locokine.outcome.immunity import challenge_counts, valid_challenge
from locokine.outcome.response import CODES
from locokine.outcome.survival import kaplan_meier
from locokine.results.schema import SCHEMA_VERSION, SUMMARY_PLACES, count, where

if TYPE_CHECKING:
    import pandas as pd

    from locokine.outcome.assess import Outcome


class Proportion(NamedTuple):
    """A share and its interval."""

    value: float
    low: float
    high: float


def exact_interval(successes: int, total: int, level: float = 0.95) -> Proportion:
    """Share with its exact (Clopper & Pearson 1934) interval; 0 in (0, 1) if there is nothing to count.

    Raises
    ------
    ValueError
        If there are more successes than there are subjects, or fewer than none.
    """
    from scipy.stats import binomtest

    if not 0 <= successes <= total:
        raise ValueError(f"{successes} of {total}")
    if total == 0:
        return Proportion(0.0, 0.0, 1.0)
    interval = binomtest(successes, total).proportion_ci(level, method="exact")
    return Proportion(successes / total, float(interval.low), float(interval.high))


def median(values: Any) -> float:
    """Median without nan; nan if nothing is left."""
    array = np.asarray(values, dtype=np.float64)
    array = array[~np.isnan(array)]
    return float(np.median(array)) if len(array) else nan


def _number(value: float, otherwise: float | None = 0.0) -> float | None:
    return otherwise if isnan(value) else float(value)


def _grades(values: Any) -> dict[str, int]:
    return {str(grade): count(values == grade) for grade in range(6)}


def arm_summary(outcome: Outcome, arm: str) -> dict[str, Any]:
    """One arm's part of `summary.json`."""
    rows = outcome.of(arm)
    responses = {code: count(rows["best_response"] == code) for code in CODES}
    rate = exact_interval(responses["CR"] + responses["PR"], len(rows))
    curve = kaplan_meier(rows["survival"].to_numpy(), rows["died"].to_numpy())
    return {
        "subjects": len(rows),
        "best_response": responses,
        "objective_response_rate": {"value": rate.value, "low": rate.low, "high": rate.high},
        "cured": count(rows["cured"]),
        "cure_probability": float(np.mean(rows["cure_probability"].to_numpy())),
        "median_survival_days": curve.median,
        "systemic_toxicity_grade": _grades(rows["systemic_grade"]),
        "injection_site_grade": _grades(rows["injection_site_grade"]),
        "rechallenge": {line: challenge_counts(outcome.challenges, arm, line) for line in outcome.challenge_lines},
        "il2": {
            place: {
                "peak_nM": _number(median(rows[f"il2_peak_{place}"])),
                "auc_nM_h": _number(median(rows[f"il2_auc_{place}"])),
            }
            for place in SUMMARY_PLACES
        },
        "bioavailability": _number(median(rows["bioavailability"])),
        "hypoxic_fraction_peak": _number(median(rows["hypoxic_fraction_peak"])),
        "necrotic_fraction_peak": _number(median(rows["necrotic_fraction_peak"])),
        "oedema_fraction_peak": _number(median(rows["oedema_fraction_peak"])),
        "viable_cell_mean_pO2_min_mmHg": _number(median(rows["viable_pO2_min"])),
    }


def summary(outcome: Outcome, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `summary.json`."""
    return {
        "schema_version": SCHEMA_VERSION,
        "experiment": str(manifest["experiment"]),
        "version": str(manifest["version"]),
        "seed": int(manifest["seed"]),
        "research_use_only": True,
        "arms": {arm: arm_summary(outcome, arm) for arm in outcome.arm_names},
    }


def arm_table(outcome: Outcome) -> pd.DataFrame:
    """A row per arm: responses, interval, cures, survival, grades, exposure (medians)."""
    import pandas as pd

    rows = []
    for arm in outcome.arm_names:
        part = outcome.of(arm)
        content = arm_summary(outcome, arm)
        rate = content["objective_response_rate"]
        row: dict[str, Any] = {"arm": arm, "subjects": content["subjects"], **content["best_response"]}
        row |= {"orr": rate["value"], "orr_low": rate["low"], "orr_high": rate["high"]}
        confirmed = count(part["best_response_confirmed"].isin(("CR", "PR")))
        row["orr_confirmed"] = confirmed / max(len(part), 1)
        for name in ("injected", "distant"):
            known = where(part, part[f"best_response_{name}"] != "")
            hits = count(known[f"best_response_{name}"].isin(("CR", "PR")))
            row[f"orr_{name}"] = hits / len(known) if len(known) else nan
        row |= {"cured": content["cured"], "cure_probability": content["cure_probability"]}
        row["disease_free"] = count(part["disease_free"])
        row["pseudoprogression"] = count(part["pseudoprogression"])
        row["median_survival_days"] = nan if (days := content["median_survival_days"]) is None else days
        row["died"] = count(part["died"])
        row["toxic_deaths"] = count(part["cause_of_death"] == "toxic_death")
        row["systemic_grade_3_or_more"] = count(part["systemic_grade"] >= 3)
        row["injection_site_grade_3_or_more"] = count(part["injection_site_grade"] >= 3)
        row |= {f"il2_peak_{place}": median(part[f"il2_peak_{place}"]) for place in SUMMARY_PLACES}
        row |= {f"il2_auc_{place}": median(part[f"il2_auc_{place}"]) for place in SUMMARY_PLACES}
        row["bioavailability"] = content["bioavailability"]
        rows.append(row)
    return pd.DataFrame(rows)


def rechallenge_table(outcome: Outcome) -> pd.DataFrame:
    """A row per arm and line of challenge: counts, share of naive hosts in which it took, whether that is valid."""
    import pandas as pd

    rows = []
    for arm in outcome.arm_names:
        for line in outcome.challenge_lines:
            counts = challenge_counts(outcome.challenges, arm, line)
            naive = counts["naive_challenged"]
            take = (naive - counts["naive_rejected"]) / naive if naive else nan
            rows.append({"arm": arm, "line": line, **counts, "take_rate": take, "valid": valid_challenge(counts)})
    columns = ["arm", "line", "challenged", "rejected", "naive_challenged", "naive_rejected", "take_rate", "valid"]
    return pd.DataFrame(rows, columns=columns)


def toxicity_counts(outcome: Outcome) -> pd.DataFrame:
    """Subjects by arm, term and worst grade: columns arm, term, then "0" to "5"."""
    import pandas as pd

    terms = [name for name in outcome.subjects.columns if name.startswith("grade_")]
    rows = []
    for arm in outcome.arm_names:
        part = outcome.of(arm)
        for name in [*terms, "systemic_grade", "injection_site_grade"]:
            term = {"systemic_grade": "any systemic", "injection_site_grade": "injection_site_reaction"}.get(
                name, name.removeprefix("grade_")
            )
            rows.append({"arm": arm, "term": term, **_grades(part[name])})
    return pd.DataFrame(rows)
