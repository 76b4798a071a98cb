"""Tables as a journal prints them: a row per finding, a column per arm; CSV, Parquet and HTML.

Shares come with exact intervals, differences from the reference arm with Newcombe's, survival with restricted means;
contrasts of the same subjects in two arms, which only a simulation can have, stand in a table of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from locokine.errors import InputError
from locokine.parameters.reading import suggest
from locokine.report.tables import NONE, number, percent
from locokine.results.schema import GRADE_TERMS, count, where
from locokine.results.store import disk_errors, write_atomic
from locokine.trial import statistics as st

if TYPE_CHECKING:
    import pandas as pd

    from locokine.outcome.assess import Outcome
    from locokine.results.result import Result

FOLDER = "tables"
TITLES: dict[str, str] = {
    "baseline": "Table 1. Subjects at baseline",
    "efficacy": "Table 2. Response and survival",
    "toxicity": "Table 3. Worst grade of toxicity",
    "contrasts": "Table 4. Contrasts with the reference arm, subjects as their own controls",
}
NOTES: dict[str, str] = {
    "baseline": "Median (quartiles).",
    "efficacy": (
        "95 % intervals: exact (Clopper–Pearson) for shares, hybrid score (Newcombe) for differences, Brookmeyer–Crowley "
        "for medians, Greenwood for restricted means. p: Fisher's exact and log-rank test, two-sided, not adjusted for "
        "several arms. The share of lesions has an interval adjusted for the correlation within subjects."
    ),
    "toxicity": "Subjects with grade 1 or more, and with grade 3 or more, since baseline: n (%).",
    "contrasts": (
        "Arms share their simulated subjects. 95 % intervals: paired hybrid score (Newcombe) for shares, Student's t for "
        "quantities; p: exact McNemar and Wilcoxon's signed-rank test, two-sided."
    ),
}
Row = tuple[str, Callable[[str], str]]


def journal_tables(result: Result, reference: str | None = None) -> dict[str, pd.DataFrame]:
    """All tables of a result as text.

    Parameters
    ----------
    result
        Fresh or opened.
    reference
        Arm that the others are compared with; the first by default.

    Returns
    -------
    dict
        "baseline", "efficacy", "toxicity", "contrasts" (the last only with more than one arm): data frames of text.

    Raises
    ------
    InputError
        If there is no such arm.
    """
    outcome: Outcome = result.outcome
    arms = list(outcome.arm_names)
    if reference is not None and reference not in arms:
        raise InputError("--reference", f"there is no arm '{reference}'", suggest(reference, arms))
    base = reference or arms[0]
    made = {
        "baseline": _framed(arms, _baseline(outcome)),
        "efficacy": _framed(arms, _efficacy(outcome, base)),
        "toxicity": _framed(arms, _toxicity(outcome)),
    }
    if len(arms) > 1:
        made["contrasts"] = _contrasts(outcome, base)
    return made


def write_tables(result: Result, directory: str | Path, reference: str | None = None) -> list[Path]:
    """Write every table as CSV and Parquet, and all of them as one page.

    Returns
    -------
    list of pathlib.Path
        The files, in `directory/tables`.
    """
    folder = Path(directory) / FOLDER
    tables = journal_tables(result, reference)
    files: list[Path] = []
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            files += [folder / f"{name}.csv", folder / f"{name}.parquet"]
            text = table.to_csv(index=False).encode()
            write_atomic(files[-2], lambda stream, text=text: stream.write(text))
            write_atomic(files[-1], lambda stream, table=table: table.to_parquet(stream, index=False))
        files.append(folder / "tables.html")
        page = html_page(tables, str(result.manifest["experiment"]), int(result.manifest["seed"])).encode()
        write_atomic(files[-1], lambda stream: stream.write(page))
    return files


# --- the parts -------------------------------------------------------------------------------------------------------


def _framed(arms: Sequence[str], rows: Sequence[Row]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        [{"finding": label, **{arm: make(arm) for arm in arms}} for label, make in rows], columns=["finding", *arms]
    )


def _share(hits: int, total: int) -> str:
    return f"{hits} ({percent(hits / total, False)})" if total else NONE


def _with_interval(found: Any) -> str:
    return f"{percent(found.value, False)} ({percent(found.low, False)}–{percent(found.high, False)})"


def signed(value: float, low: float, high: float, scale: float = 1.0, digits: int = 2) -> str:
    """Difference with interval: `+12 (+3 to +20)`."""
    if not all(np.isfinite((value, low, high))):
        return NONE

    def one(x: float) -> str:
        text = number(abs(scale * x), digits)
        return "0" if text == "0" else ("+" if x > 0.0 else "−") + text

    return f"{one(value)} ({one(low)} to {one(high)})"


def p_text(p: float) -> str:
    """p as journals print it: two digits, `<0.001` below."""
    if not np.isfinite(p):
        return NONE
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _quartiles(values: Any) -> str:
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return NONE
    low, median, high = np.quantile(known, (0.25, 0.5, 0.75))
    return f"{number(median)} ({number(low)}–{number(high)})"


def _days(value: float | None) -> str:
    return "not reached" if value is None else number(value)


def _baseline(outcome: Outcome) -> list[Row]:
    unit = "sum of target diameters, mm" if outcome.criteria.kind == "recist" else "caliper volume, mm³"
    lesions = outcome.lesions

    def tumours(arm: str) -> str:
        rows = where(lesions, (lesions["arm"] == arm) & (lesions["baseline_size"] > 0.0))
        return _quartiles(rows.groupby("subject").size().to_numpy())

    return [
        ("Subjects", lambda arm: str(len(outcome.of(arm)))),
        (f"Tumour size ({unit})", lambda arm: _quartiles(outcome.of(arm)["baseline_size"])),
        ("Lesions per subject", tumours),
        ("Doses given", lambda arm: _quartiles(outcome.of(arm)["doses_given"])),
        ("Doses held by a rule", lambda arm: _quartiles(outcome.of(arm)["doses_held"])),
    ]


def _efficacy(outcome: Outcome, base: str) -> list[Row]:
    differences = {row["arm"]: row for row in st.compare_arms(outcome, base).to_dict("records")}
    horizon = float(outcome.subjects["survival"].to_numpy(dtype=float).max())

    def best(code: str) -> Callable[[str], str]:
        return lambda arm: _share(count(outcome.of(arm)["best_response"] == code), len(outcome.of(arm)))

    def exact(choose: Callable[[pd.DataFrame], Any]) -> Callable[[str], str]:
        return lambda arm: _with_interval(st.exact_interval(count(choose(outcome.of(arm))), len(outcome.of(arm))))

    def difference(name: str, scale: float) -> Callable[[str], str]:
        def made(arm: str) -> str:
            if arm == base:
                return "reference"
            row = differences[arm]
            return signed(row[name], row[f"{name}_low"], row[f"{name}_high"], scale)

        return made

    def p(name: str) -> Callable[[str], str]:
        return lambda arm: NONE if arm == base else p_text(differences[arm][name])

    def lasting(arm: str) -> str:
        curve = st.duration_of_response(outcome.of(arm))
        if curve is None:
            return NONE
        median, low, high = st.median_interval(curve)
        return "not reached" if median is None else f"{number(median)} ({_days(low)}–{_days(high)})"

    def survival(arm: str) -> str:
        median, low, high = st.median_interval(outcome.survival(arm))
        return "not reached" if median is None else f"{number(median)} ({_days(low)}–{_days(high)})"

    def mean(arm: str) -> str:
        part = outcome.of(arm)
        found = st.restricted_mean(part["survival"], part["died"], horizon)
        return f"{number(found.value)} ({number(found.low)}–{number(found.high)})"

    def lesions(arm: str) -> str:
        found = st.lesion_correlation(outcome, arm)
        alike = f"; ρ {found.correlation:.2f}" if np.isfinite(found.correlation) else ""
        return f"{found.hits}/{found.total}: {_with_interval(found.share)}{alike}" if found.total else NONE

    rows: list[Row] = [(f"Best response {code}, n (%)", best(code)) for code in ("CR", "PR", "SD", "PD", "NE")]
    rows += [
        ("Objective response, % (95 %)", exact(lambda part: part["best_response"].isin(("CR", "PR")))),
        ("  difference, points (95 %)", difference("response_difference", 100.0)),
        ("  p", p("response_p")),
    ]
    if outcome.criteria.kind == "recist":
        rows.append(
            ("  confirmed, % (95 %)", exact(lambda part: part["best_response_confirmed"].isin(("CR", "PR"))))
        )
    rows += [
        ("Lesions that respond, n: % (95 %); correlation within subjects", lesions),
        ("Time to response, days, median (quartiles)", lambda arm: _quartiles(outcome.of(arm)["time_to_response"])),
        ("Duration of response, days, median (95 %)", lasting),
        (
            "  ongoing at the end, n of responders",
            lambda arm: f"{count(outcome.of(arm)['response_ongoing'])}/{count(outcome.of(arm)['time_to_response'].notna())}",
        ),
        ("Cured, % (95 %)", exact(lambda part: part["cured"])),
        ("  difference, points (95 %)", difference("cure_difference", 100.0)),
        ("  p", p("cure_p")),
        ("Disease-free at the end, % (95 %)", exact(lambda part: part["disease_free"])),
        ("Died, n (%)", lambda arm: _share(count(outcome.of(arm)["died"]), len(outcome.of(arm)))),
        ("Survival, days, median (95 %)", survival),
        (f"  restricted mean to day {number(horizon)} (95 %)", mean),
        ("  difference, days (95 %)", difference("survival_gain", 1.0)),
        ("  log-rank p", p("log_rank_p")),
    ]
    return rows


def _toxicity(outcome: Outcome) -> list[Row]:
    def graded(column: str, least: int) -> Callable[[str], str]:
        return lambda arm: _share(count(outcome.of(arm)[column] >= least), len(outcome.of(arm)))

    terms = [("Any systemic", "systemic_grade"), ("Injection site", "injection_site_grade")]
    terms += [(term.replace("_", " ").capitalize(), f"grade_{term}") for term in GRADE_TERMS if term != "death"]
    rows: list[Row] = []
    for label, column in terms:
        if count(outcome.subjects[column] >= 1):
            rows += [(f"{label}, any grade", graded(column, 1)), (f"{label}, grade ≥ 3", graded(column, 3))]
    rows.append(("Death from toxicity", graded("systemic_grade", 5)))
    return rows


CONTRASTS: tuple[tuple[str, str], ...] = (
    ("Best change of size, points", "best_change"),
    ("Survival, days", "survival"),
    ("Worst systemic grade", "systemic_grade"),
)
"""Quantities compared subject by subject: label, column."""


def _contrasts(outcome: Outcome, base: str) -> pd.DataFrame:
    import pandas as pd

    own = outcome.of(base).sort_values("subject")
    found = []
    for row in st.compare_arms(outcome, base).to_dict("records"):
        part = outcome.of(row["arm"]).sort_values("subject")
        for label, name in (
            ("Objective response, points", "response"),
            ("Cure, points", "cure"),
            ("Systemic grade ≥ 3, points", "severe_toxicity"),
        ):
            text = signed(row[f"{name}_difference"], row[f"{name}_paired_low"], row[f"{name}_paired_high"], 100.0)
            found.append((row["arm"], label, text, p_text(row[f"{name}_paired_p"])))
        for label, column in CONTRASTS:
            pair = st.paired_difference(part[column].to_numpy(), own[column].to_numpy())
            found.append((row["arm"], label, signed(pair.value, pair.low, pair.high), p_text(pair.p)))
    return pd.DataFrame(found, columns=["arm", "outcome", f"difference from {base} (95 %)", "p"])


# --- the page --------------------------------------------------------------------------------------------------------

_PAGE = """<!doctype html>
<html lang="en-GB"><head><meta charset="utf-8"><title>{{ title }}: tables</title><style>
body { font: 14px/1.45 {{ fonts | safe }}; color: #222; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
h2 { font-size: 1rem; margin: 2.2rem 0 .4rem; }
table { border-collapse: collapse; border-top: 2px solid #222; border-bottom: 2px solid #222; }
th { border-bottom: 1px solid #222; text-align: left; vertical-align: bottom; font-weight: 600; }
th, td { padding: .18rem 1.1rem .18rem 0; } td:first-child { white-space: pre; padding-right: 1.6rem; }
td { font-variant-numeric: tabular-nums; vertical-align: top; } p { color: #666; font-size: .85rem; max-width: 60rem; }
.wide { overflow-x: auto; }
</style></head><body><h1>{{ title }}</h1><p>Simulated subjects, seed {{ seed }}. {{ warning }}</p>
{% for name, table in tables.items() %}<h2>{{ titles[name] }}</h2><div class="wide"><table><thead><tr>
{% for head in table.columns %}<th>{{ head }}</th>{% endfor %}</tr></thead><tbody>
{% for row in table.itertuples(index=False, name=None) %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div><p>{{ notes[name] }}</p>{% endfor %}</body></html>
"""


def html_page(tables: dict[str, pd.DataFrame], title: str, seed: int) -> str:
    """One page with all tables; opens offline."""
    from jinja2 import Environment

    from locokine.report.build import RESEARCH_USE
    from locokine.report.style import WEB_FONTS

    page = Environment(autoescape=True).from_string(_PAGE)
    return page.render(
        tables=tables, titles=TITLES, notes=NOTES, title=title, seed=seed, warning=RESEARCH_USE, fonts=WEB_FONTS
    )
