"""What a calibration leaves behind: posterior, correlations, rows, what informs what, values proposed for the library."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from locokine.evidence.library import Evidence
from locokine.evidence.score import Scoreboard, Source, score
from locokine.inference.calibrate import Posterior
from locokine.inference.draws import PosteriorDraws
from locokine.inference.ledger import Ledger
from locokine.inference.prior import Free
from locokine.inference.rows import Reading, Target
from locokine.inference.study import LIMIT, Study
from locokine.inference.sweep import UNIT
from locokine.parameters.library import Library
from locokine.population.draw import stream
from locokine.units import unit_factor

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
RECORD, DRAWS, PROPOSALS = "record.json", "posterior.json", "proposals.json"
UNKNOWN = 0.9
"""A parameter whose posterior is wider than this share of its prior is not identified by the data."""
TELLS = 0.02
"""A row informs a parameter if it narrows it by this share."""


def prior_sd() -> float:
    """Standard deviation of a coordinate under the prior, which ends at the limit."""
    from scipy.stats import truncnorm

    return float(truncnorm.std(-LIMIT, LIMIT))


def value_of(item: Free, z: float) -> tuple[float, str]:
    """Value at a coordinate, rounded to three digits but within the range, and its text."""
    value = float(item.at(np.array([z]))[0])
    for digits in (3, 4, 6, 9):
        text = item.text(value, digits)
        factor = unit_factor(item.record.unit) if item.record.unit not in ("1", "degC") else 1.0
        shown = _number(text) * factor
        if item.record.low <= shown <= item.record.high:
            return shown, text
    return value, item.text(value, 9)


def _number(text: str) -> float:
    return float(text.split()[0])


def posterior_table(study: Study, found: Posterior) -> pd.DataFrame:
    """A row per coordinate that moved: prior and posterior in units of the library, how much is known, what informs it."""
    import pandas as pd

    goals = list(study.goals)
    wide = prior_sd()
    rows = []
    for i, name in enumerate(found.names):
        z = found.draws[:, i]
        low, middle, high = np.quantile(z, (0.05, 0.5, 0.95))
        item = study.free.get(name)
        order = np.argsort(-found.informs[i], kind="stable")
        told = [goals[k] for k in order if found.informs[i, k] >= TELLS][:6]

        def text(at: float, item: Free | None = item) -> str:
            return f"{at:+.2f} sd" if item is None else item.text(float(item.at(np.array([at]))[0]))

        rows.append({
            "parameter": name, "status": "study" if item is None else item.record.status,
            "library": "" if item is None else item.text(item.record.value), "prior_median": text(0.0),
            "range_low": text(-LIMIT), "range_high": text(LIMIT), "point": text(float(found.point[i])),
            "posterior_median": text(float(middle)), "posterior_low": text(float(low)), "posterior_high": text(float(high)),
            "z_point": float(found.point[i]), "z_median": float(middle), "z_sd": float(z.std()),
            "width": float(z.std()) / wide, "identified": bool(z.std() < UNKNOWN * wide), "rows": ", ".join(told),
        })  # fmt: skip
    return pd.DataFrame(rows)


def rows_table(study: Study, found: Posterior, boards: Mapping[str, Scoreboard]) -> pd.DataFrame:
    """A row per row of evidence: seen and predicted on the row's scale, log-likelihoods, log scores, posterior check."""
    import pandas as pd

    scores = {at: {s.observation.name: s for s in board.scores} for at, board in boards.items()}
    table = []
    for row in study.rows:
        goal = study.goals[row.name]
        before, after = found.before[row.name], found.after[row.name]
        fine = found.shells.get(row.name)
        entry: dict[str, Any] = {
            "row": row.name, "what": row.what, "observed": row.likelihood.text(row.unit), "scale_low": _finite(goal.low),
            "scale_high": _finite(goal.high), "before": float(before.value[0]), "after": float(after.value[0]),
            "log_likelihood_before": float(goal.log(before)[0]), "log_likelihood_after": float(goal.log(after)[0]),
            **checked(goal, found.checked[row.name]),
            "shells": None if fine is None else float(fine[0].value[0]),
            "well_mixed": None if fine is None else float(fine[1].value[0]), "explained": found.surfaces[row.name].explained,
            "discrepancy": goal.discrepancy, "weight": goal.weight,
        }  # fmt: skip
        for at, by_name in scores.items():
            one = by_name.get(row.name)
            entry[f"score_{at}"] = None if one is None else one.predicted.log_score
            entry["baseline"] = None if one is None else one.baseline
        table.append(entry)
    return pd.DataFrame(table)


def checked(goal: Target, found: Reading) -> dict[str, Any]:
    """Posterior-predictive check: 90 % of predictions with their error, and whether what was seen lies among them."""
    from scipy.special import ndtri

    values = found.value[np.isfinite(found.value)]
    if not len(values):
        return {"ppc_low": None, "ppc_high": None, "ppc_holds": False}
    s = goal.scale(found)[np.isfinite(found.value)]
    errors = ndtri(stream(1, f"check:{goal.name}", 50 * len(values))).reshape(50, -1)
    low, high = np.quantile(values + s * errors, (0.05, 0.95))
    return {"ppc_low": float(low), "ppc_high": float(high), "ppc_holds": bool(goal.high >= low and goal.low <= high)}


def _finite(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None


def correlation_table(found: Posterior) -> pd.DataFrame:
    """Correlation of every pair of coordinates over the posterior draws."""
    import pandas as pd

    return pd.DataFrame(np.corrcoef(found.draws.T), index=list(found.names), columns=list(found.names))


def informs_table(study: Study, found: Posterior) -> pd.DataFrame:
    """Share by which each row narrows each coordinate: coordinates by rows."""
    import pandas as pd

    return pd.DataFrame(found.informs, index=list(found.names), columns=list(study.goals))


def proposals(study: Study, found: Posterior) -> list[dict[str, Any]]:
    """Values for the library, where they are not the library's: of what the best point moves, with the rows that inform it,
    and of what the library has elsewhere than where this calibration began (no rows)."""
    goals, out, at = list(study.goals), [], {name: i for i, name in enumerate(found.names)}
    start = study.start(found.names)
    for name, (value, text) in point_values(study, found).items():
        item, i = study.free[name], at.get(name)
        z = item.coordinate(value)
        told, ends = [], (-LIMIT, LIMIT)
        if i is not None and found.point[i] != start[i]:
            ends = np.quantile(found.draws[:, i], (0.05, 0.95))
            order = np.argsort(-found.informs[i], kind="stable")
            told = [goals[k] for k in order if found.informs[i, k] >= TELLS][:6] or [goals[int(order[0])]]
        out.append({
            "parameter": name, "before": item.text(item.record.value, 6), "after": text, "value": value,
            "was": item.record.status, "range": [item.text(item.record.low), item.text(item.record.high)],
            "posterior": [item.text(float(item.at(np.array([x]))[0])) for x in ends],
            "z": z, "rows": told, "at_prior": alike(value, item.record.prior),
        })  # fmt: skip
    return out


def moved_values(study: Study, found: Posterior) -> dict[str, str]:
    """Values of the point, as text, of what is not at the median of its prior; everything else that might have moved is."""
    return {
        name: text for name, (value, text) in all_values(study, found).items() if not alike(value, study.free[name].record.prior)
    }


def all_values(study: Study, found: Posterior) -> dict[str, tuple[float, str]]:
    """All parameters at the best point: value, rounded to three digits where it has moved, and its text."""
    values: dict[str, tuple[float, str]] = {}
    for name, item in study.free.items():
        value = study.origin.get(name, item.record.prior)
        values[name] = value, item.text(value, 9)
    for name, z, start in zip(found.names, found.point, study.start(found.names), strict=True):
        if name in study.free and z != start:
            values[name] = value_of(study.free[name], float(z))
    return values


def point_values(study: Study, found: Posterior) -> dict[str, tuple[float, str]]:
    """Those whose values at the best point are not the library's."""
    return {
        name: made for name, made in all_values(study, found).items() if not alike(made[0], study.free[name].record.value)
    }


def alike(one: float, other: float) -> bool:
    """Whether two values are the same but for rounding of the last digits (units are converted on the way)."""
    return abs(one - other) <= 1e-9 * abs(other)


def posterior_file(study: Study, found: Posterior, library: Library) -> dict[str, Any]:
    """Posterior draws in the format that `--uncertainty FILE` reads, units and their coordinates beside them.

    What does not move, but is not at the library's value, has the same value in all draws.
    """
    parameters, units = {}, {}
    for i, name in enumerate(found.names):
        z = found.draws[:, i]
        if name.startswith(UNIT):
            units[name] = [round(float(x), 4) for x in z]
            continue
        item = study.free[name]
        unit = item.record.unit
        values = item.at(z) / unit_factor(unit)
        parameters[name] = {"unit": unit, "draws": [float(f"{x:.7g}") for x in values]}
    for name, (value, _) in point_values(study, found).items():
        if name not in parameters:
            unit = study.free[name].record.unit
            parameters[name] = {"unit": unit, "draws": [float(f"{value / unit_factor(unit):.7g}")] * len(found.draws)}
    return {"library": library.entry_digests, "parameters": parameters, "units": units}


def scoreboards(
    study: Study, found: Posterior, evidence: Evidence, library: Library, ledger: Ledger, threads: int, hosts: int,
    draws: int,
) -> dict[str, Scoreboard]:
    """The scoreboard of `locokine validate` for the fitted rows: library, best point, posterior draws."""
    point = {name: np.array([value]) for name, (value, _) in point_values(study, found).items()}
    everything = {name: np.full(len(found.draws), values[0]) for name, values in point.items()}
    everything |= {
        name: study.free[name].at(found.draws[:, i]) for i, name in enumerate(found.names) if not name.startswith(UNIT)
    }
    sources: dict[str, tuple[Source | None, int]] = {
        "library": (None, hosts), "point": (PosteriorDraws(point), hosts),
        "posterior": (PosteriorDraws(everything).thinned(draws), max(hosts // 6, 2)),
    }  # fmt: skip
    boards = {}
    for name, (source, count) in sources.items():
        study.tell(f"scoreboard: {name}")
        boards[name] = score(
            evidence, list(study.rows), source=source, subjects=count, seed=study.seed, threads=threads, library=library
        )
    return boards


def board_facts(board: Scoreboard) -> dict[str, Any]:
    """Mean log score, that of the baseline, how many are compared, coverage."""
    ours, theirs, compared = board.total
    return {"log_score": ours, "baseline": theirs, "compared": compared, "coverage": board.coverage}


def unidentified(study: Study, found: Posterior) -> dict[str, list[str]]:
    """Parameters that the data do not identify: those that no row answers to, and those whose posterior is the prior."""
    table = posterior_table(study, found)
    wide = [
        str(name) for name, known in zip(table["parameter"], table["identified"], strict=True)
        if not known and not str(name).startswith(UNIT)
    ]
    return {"moved, as wide as before": wide, "not moved": [key for key in study.free if key not in found.names]}


def record(
    study: Study, found: Posterior, facts: Mapping[str, Any], boards: Mapping[str, Scoreboard], left: Mapping[str, str]
) -> dict[str, Any]:
    """Everything that identifies the calibration and what it found, as plain data."""
    return {
        "schema_version": 1, "study": dict(facts), "research_use_only": True, "versions": versions(),
        "rows": [row.name for row in study.rows], "rows_left_out": dict(left),
        "fits": fits(boards), "moved": list(found.names), "screened": found.screened, "autocorrelation_steps": found.slow,
        "scoreboard": {name: board_facts(board) for name, board in boards.items()},
        "not_identified": unidentified(study, found), "values": moved_values(study, found), "proposals": proposals(study, found),
        "trace": study.trace,
    }  # fmt: skip


def fits(boards: Mapping[str, Scoreboard]) -> dict[str, dict[str, Any]]:
    """Every row: what was seen, and prediction and log score by the library and at the point, in the unit of the row."""
    after = {one.observation.name: one.predicted for one in boards["point"].scores}
    table = {}
    for one in boards["library"].scores:
        row, before = one.observation, one.predicted
        table[row.name] = {
            "what": row.what, "source": row.source, "note": "; ".join(row.assumptions), "unit": row.unit,
            "observed": row.likelihood.text(row.unit), "before": before.value, "after": after[row.name].value,
            "score_before": before.log_score, "score_after": after[row.name].log_score,
        }
    return table


def versions() -> dict[str, str]:
    """Versions of what computes."""
    found = {"python": platform.python_version()}
    for name in ("numpy", "scipy", "numba", "emcee"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def is_finished(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The record in a folder, if it is that of this very calibration."""
    import json

    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    same = isinstance(found, dict) and found.get("study") == json.loads(json.dumps(dict(facts)))
    return found if same else None
