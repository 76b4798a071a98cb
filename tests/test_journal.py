"""Statistics of trials against values known otherwise, and tables as a journal prints them."""

from __future__ import annotations

from math import nan, sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fake_runs import course, dose, event, healthy_run, kill, protocol, result_of, set_volume
from locokine.cli import main
from locokine.errors import InputError
from locokine.report import journal
from locokine.results.result import Result
from locokine.scenario.protocol import Arm, LesionPlan
from locokine.trial import statistics as st

# Freireich 1963, as in every textbook: weeks of remission, 6-mercaptopurine and placebo
TREATED = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
RELAPSED = [True] * 9 + [False] * 12
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


# ---------------------------------------------------------------------- survival
def test_restricted_mean_without_censoring_is_the_mean() -> None:
    days = np.random.default_rng(1).exponential(20.0, 57)
    found = st.restricted_mean(days, np.ones(57, dtype=bool), 25.0)
    cut = np.minimum(days, 25.0)
    assert found.value == pytest.approx(cut.mean(), rel=1e-12)
    assert found.error == pytest.approx(cut.std() / sqrt(57), rel=1e-12)  # Greenwood without censoring
    assert (found.value - found.low) / found.error == pytest.approx(1.959964, abs=1e-6)


def test_restricted_mean_of_censored_data_by_hand() -> None:
    # deaths at 1 and 3, censored at 2 and 4: S = 1, 3/4 from 1, 3/8 from 3; area to 4: 1 + 2 * 3/4 + 3/8
    found = st.restricted_mean([1.0, 2.0, 3.0, 4.0], [True, False, True, False], 4.0)
    assert found.value == pytest.approx(2.875, abs=1e-12)
    variance = (15 / 8) ** 2 / (4 * 3) + (3 / 8) ** 2 / (2 * 1)
    assert found.error == pytest.approx(sqrt(variance), abs=1e-12)
    alive = st.restricted_mean([60.0, 60.0], [False, False], 60.0)
    assert (alive.value, alive.error) == (60.0, 0.0)


def test_restricted_means_of_a_textbook_differ() -> None:
    one, two = st.restricted_mean(TREATED, RELAPSED, 23.0), st.restricted_mean(PLACEBO, [True] * 21, 23.0)
    assert two.value == pytest.approx(np.mean(PLACEBO), abs=1e-12)
    found = st.restricted_mean_difference(one, two)
    assert found.low > 0.0
    assert found.p < 0.001  # as the log-rank test
    assert found.value == pytest.approx(one.value - two.value, abs=1e-12)
    same = st.restricted_mean_difference(one, one)
    assert (same.value, same.p) == (0.0, 1.0)


def by_hand(day: list[int], died: list[bool]) -> tuple[float | None, ...]:
    """Median and its interval from Greenwood's variance of log(-log S), death by death."""
    days, deaths = np.array(day, float), np.array(died)
    survival, greenwood = 1.0, 0.0
    reached: list[float | None] = [None, None, None]
    for time in np.unique(days[deaths]):
        n, d = int((days >= time).sum()), int((deaths & (days == time)).sum())
        survival *= 1.0 - d / n
        bounds = [0.0, 0.0, 0.0]
        if survival > 0.0:
            greenwood += d / (n * (n - d))
            width = 1.959964 * sqrt(greenwood) / -np.log(survival)
            bounds = [survival, survival ** np.exp(width), survival ** np.exp(-width)]
        reached = [float(time) if r is None and b <= 0.5 + 1e-12 else r for r, b in zip(reached, bounds, strict=True)]
    return tuple(reached)


def test_median_with_the_interval_of_brookmeyer_and_crowley() -> None:
    curve = st.kaplan_meier(np.array(PLACEBO, float), np.ones(21, dtype=bool))
    assert st.median_interval(curve) == by_hand(PLACEBO, [True] * 21) == (8.0, 4.0, 11.0)
    treated = st.kaplan_meier(np.array(TREATED, float), np.array(RELAPSED))
    assert st.median_interval(treated) == by_hand(TREATED, RELAPSED) == (23.0, 13.0, None)


# ---------------------------------------------------------------------- pairs
def pairs(both: int, first: int, second: int, none: int) -> tuple[np.ndarray, np.ndarray]:
    one = np.repeat([True, True, False, False], (both, first, second, none))
    two = np.repeat([True, False, True, False], (both, first, second, none))
    return one, two


def test_paired_difference_of_shares() -> None:
    found = st.paired_risk_difference(*pairs(36, 12, 2, 0))
    assert found.value == pytest.approx(0.2, abs=1e-12)
    assert found.p == pytest.approx(2 * (1 + 14 + 91) / 2**14, abs=1e-12)  # binomial: at most 2 of 14
    turned = st.paired_risk_difference(*reversed(pairs(36, 12, 2, 0)))
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low), abs=1e-12)
    # uncorrelated pairs: the interval of independent groups
    square = st.paired_risk_difference(*pairs(4, 4, 4, 4))
    independent = st.risk_difference(8, 16, 8, 16)
    assert (square.low, square.high) == pytest.approx((independent.low, independent.high), abs=1e-12)
    # pairs that go together say more than independent groups of the same size
    together = st.paired_risk_difference(*pairs(20, 6, 0, 20))
    apart = st.risk_difference(26, 46, 20, 46)
    assert together.high - together.low < apart.high - apart.low
    nobody = st.paired_risk_difference([False] * 5, [False] * 5)
    assert (nobody.value, nobody.p) == (0.0, 1.0)
    assert nobody.low < 0.0 < nobody.high
    with pytest.raises(ValueError, match="3 and 2 subjects cannot be paired"):
        st.paired_risk_difference([True] * 3, [True] * 2)


def test_the_paired_interval_covers_the_truth() -> None:
    random = np.random.default_rng(5)
    shares = np.array([0.45, 0.25, 0.1, 0.2])  # both, first, second, none: a difference of 0.15
    hits = 0
    for counts in random.multinomial(40, shares, 800):
        found = st.paired_risk_difference(*pairs(*counts))
        hits += found.low <= 0.15 <= found.high
    assert 0.93 <= hits / 800 <= 0.98  # 95 % and three standard errors of 800 trials


def test_paired_difference_of_quantities() -> None:
    first = np.array([5.0, 7.0, 9.0, nan, 6.0])
    second = np.array([4.0, 5.0, 6.0, 1.0, 2.0])
    found = st.paired_difference(first, second)
    d = np.array([1.0, 2.0, 3.0, 4.0])
    assert found.value == 2.5
    assert found.high - 2.5 == pytest.approx(3.182446 * d.std(ddof=1) / 2.0, rel=1e-6)  # t of 97.5 %, 3 degrees
    assert found.p == pytest.approx(2 / 2**4, abs=1e-12)  # all signs alike
    assert st.paired_difference(second, second).p == 1.0
    assert np.isnan(st.paired_difference([1.0], [2.0]).value)


# ---------------------------------------------------------------------- lesions
def with_lesions(*patterns: tuple[bool, ...]) -> Result:
    """A subject per pattern, a lesion per entry: it responds or grows."""
    names = [f"l{i}" for i in range(len(patterns[0]))]
    run = healthy_run("treated", subjects=len(patterns), days=30, lesions=names)
    for s, pattern in enumerate(patterns):
        for i, responds in enumerate(pattern):
            later, last = (20.0, 20.0) if responds else (300.0, 900.0)
            set_volume(run, course(30, (0, 100), (3, 100), (12, later), (30, last)), s, i)
    plans = tuple(LesionPlan(name, "sl2", "subcutis", cells=1e5) for name in names)
    return result_of(run, protocol(Arm("treated", (dose(3.0, names),)), lesions=plans, days=30))


def test_lesions_of_one_subject_go_together_or_not() -> None:
    alike = st.lesion_correlation(with_lesions((True,) * 4, (True,) * 4, (False,) * 4).outcome, "treated")
    assert (alike.hits, alike.total) == (8, 12)
    assert alike.correlation == pytest.approx(1.0, abs=1e-12)
    apart = st.lesion_correlation(with_lesions((True, False), (False, True)).outcome, "treated")
    assert apart.correlation == pytest.approx(-1.0, abs=1e-12)


def outcome_of_lesions(*patterns: tuple[bool, ...]) -> st.Clustered:
    """The estimate for given responses, without simulating any."""
    rows = [
        ("a", s, f"l{i}", "PR" if hit else "PD") for s, pattern in enumerate(patterns) for i, hit in enumerate(pattern)
    ]
    table = pd.DataFrame(rows, columns=["arm", "subject", "lesion", "best_response"])

    class Outcome:
        lesions = table

    return st.lesion_correlation(Outcome(), "a")  # type: ignore[arg-type]


def test_correlation_within_subjects() -> None:
    alike = outcome_of_lesions(*[(True,) * 5] * 8, *[(False,) * 5] * 4)
    assert alike.correlation == pytest.approx(1.0, abs=1e-12)
    subjects = st.exact_interval(8, 12)
    assert alike.share.value == subjects.value
    # forty lesions that go together say as much as twelve subjects (Wilson's interval is narrower than the exact one)
    assert alike.share.low == pytest.approx(subjects.low, abs=0.05)
    opposite = outcome_of_lesions(*[(True, False)] * 9)
    assert opposite.correlation == pytest.approx(-1.0, abs=1e-12)
    random = np.random.default_rng(3)
    mixed = outcome_of_lesions(*(tuple(row) for row in random.random((400, 10)) < 0.5))
    assert abs(mixed.correlation) < 0.04  # independent: three standard errors of 400 subjects of ten
    assert np.isnan(outcome_of_lesions((True, True)).correlation)


# ---------------------------------------------------------------------- tables
@pytest.fixture(scope="module")
def result() -> Result:
    """Eight subjects: untreated ones die, five of the treated shrink, two of them are cured, one suffers."""
    arms = (Arm("untreated"), Arm("a <b> & c", (dose(3.0),)))
    runs = {}
    for arm in arms:
        run = healthy_run(arm.name, subjects=8, days=40)
        for s in range(8):
            if not arm.doses:
                set_volume(run, course(40, (0, 100), (3, 100), (20, 4000), (40, 9000)), s)
                kill(run, 20.0 + s, "tumour_death", s)
            elif s < 5:
                set_volume(run, course(40, (0, 100), (3, 100), (12, 20), (24, 20), (40, 20 if s < 3 else 200)), s)
            if arm.doses and s < 2:
                event(run, "cured", 15.0, s)
        runs[arm.name] = run
    plan = protocol(*arms, days=40)
    return Result(result_of(runs["untreated"]).manifest, plan, runs)


def test_tables_say_what_happened(result: Result) -> None:
    made = journal.journal_tables(result)
    assert list(made) == ["baseline", "efficacy", "toxicity", "contrasts"]
    treated = made["efficacy"].set_index("finding")["a <b> & c"]
    assert treated["Best response PR, n (%)"] == "5 (62)"
    low, high = (round(100 * x) for x in st.exact_interval(5, 8)[1:])
    assert treated["Objective response, % (95 %)"] == f"62 ({low}–{high})"
    assert treated["  p"].iloc[0] == journal.p_text(st.exact_test(5, 8, 0, 8))
    assert treated["Cured, % (95 %)"].startswith("25 (")
    assert treated["  ongoing at the end, n of responders"] == "3/5"
    assert treated["Died, n (%)"] == "0 (0)"
    assert treated["Survival, days, median (95 %)"] == "not reached"
    assert made["efficacy"].set_index("finding")["untreated"]["  log-rank p"] == "–"
    contrasts = made["contrasts"].set_index("outcome")
    assert contrasts.loc["Objective response, points", "p"] == journal.p_text(2 / 2**5)  # 5 discordant pairs, one way


def test_responses_that_end_have_a_duration(result: Result) -> None:
    part = result.outcome.of("a <b> & c")
    curve = st.duration_of_response(part)
    assert curve is not None
    assert int(curve.at_risk[0]) == 5
    assert st.duration_of_response(result.outcome.of("untreated")) is None


def test_files_hold_the_same_and_the_page_is_safe(result: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result.save(tmp_path)
    assert main(["tables", str(tmp_path), "--show", "efficacy"]) == 0
    assert "Objective response" in capsys.readouterr().out
    for name, table in journal.journal_tables(result).items():
        stem = tmp_path / "tables" / name
        for read in (pd.read_csv(f"{stem}.csv", dtype=str), pd.read_parquet(f"{stem}.parquet")):
            assert read.to_numpy().tolist() == table.to_numpy().tolist()
    page = (tmp_path / "tables" / "tables.html").read_text()
    assert "a &lt;b&gt; &amp; c" in page
    assert "<b>" not in page
    assert "http" not in page  # opens offline
    assert "Research use only" in page


def test_tables_refuse_unknown_arms_and_tables(
    result: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="there is no arm 'placebo'"):
        journal.journal_tables(result, "placebo")
    result.save(tmp_path)
    assert main(["tables", str(tmp_path), "--show", "figures"]) == 2
    assert main(["tables", str(tmp_path / "nowhere")]) == 2
    messages = capsys.readouterr().err.splitlines()
    assert "there is no table 'figures'; choose one of baseline" in messages[0]
    assert str(tmp_path / "nowhere") in messages[1]


def test_numbers_are_printed_as_journals_do() -> None:
    assert [journal.p_text(p) for p in (0.0004, 0.0123, 0.5, 1.0, nan)] == ["<0.001", "0.012", "0.50", "1.00", "–"]
    assert journal.signed(0.12, -0.034, 0.2, 100.0) == "+12 (−3.4 to +20)"
    assert journal.signed(nan, 0.0, 0.0) == "–"
