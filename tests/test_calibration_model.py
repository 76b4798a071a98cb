"""The statistical model of a calibration: what a row says, which rows a stage has, what may move, ensemble and sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from locokine.errors import InputError
from locokine.evidence.calibration import FILE, fitted_rows, read_schedule, staged
from locokine.evidence.library import Observation, read_evidence
from locokine.evidence.likelihood import Likelihood
from locokine.evidence.observables import OBSERVABLES
from locokine.evidence.predictive import predict
from locokine.evidence.score import STRATA
from locokine.inference import emulate, findings, kalman
from locokine.inference.calibration import free_of
from locokine.inference.corrected import Corrected
from locokine.inference.prior import candidates
from locokine.inference.rows import Reading, Stats, Target, below, reading, target, targets
from locokine.inference.search import without_units
from locokine.inference.study import LIMIT, Study, ranged
from locokine.inference.sweep import Setting, Sweep, doses, unit_of
from locokine.parameters.library import load_library
from small_calibration import SMALL, known
from small_calibration import row as made_row

LIBRARY = load_library()
EVIDENCE = read_evidence()
SCHEDULE = read_schedule()


# --- the statistical model -------------------------------------------------------------------------------------------


def test_a_perfect_prediction_loses_nothing_and_errors_are_those_of_student_s_t() -> None:
    """Density of t at x scales over that at 0, by SciPy, times the weight."""
    from scipy.stats import t

    goal = Target("a", 2.0, 2.0, 0.3, 0.4, weight=0.5)
    assert goal.log(known(2.0))[0] == 0.0
    expected = 0.5 * (t.logpdf(1.5 / 0.5, 4) - t.logpdf(0.0, 4))
    assert goal.log(known(3.5))[0] == pytest.approx(expected, rel=1e-12)


def test_the_distribution_of_errors_is_that_of_student_s_t() -> None:
    from scipy.stats import t

    z = np.array([-np.inf, -30.0, -1.3, 0.0, 0.4, 7.0, np.inf])
    assert below(z) == pytest.approx(t.cdf(z, 4), abs=1e-9)


def test_all_regressions_together_are_each_of_them() -> None:
    random = np.random.default_rng(4)
    z = random.uniform(-1.0, 1.0, (5, 3))
    goals = [Target("a", 0.4, 0.4, 0.3, 0.1, 0.7), Target("b", 0.2, np.inf, float("nan"), 0.2)]
    surfaces = {
        goal.name: emulate.Surface(
            np.full(3, 0.1), random.standard_normal(3), np.array([1]), np.array([0.4]), 0.3, 0.05, 1.0, 0.02
        )
        for goal in goals
    }
    expected = -0.5 * (z * z).sum(axis=1) + sum(goal.log(surfaces[goal.name](z)) for goal in goals)
    assert emulate.Density(goals, surfaces, 2.0)(z) == pytest.approx(expected, rel=1e-12)
    assert emulate.Density(goals, surfaces, 0.01)(z).max() == -np.inf


def test_a_hopeless_row_pulls_no_harder_the_further_off_it_is() -> None:
    goal = Target("a", 0.0, 0.0, 0.3, 0.4)
    slopes = [float(goal.log(known(x))[0] - goal.log(known(x + 0.01))[0]) for x in (1.0, 10.0, 100.0)]
    assert slopes[0] > slopes[1] > slopes[2] > 0.0


def test_of_a_bound_only_one_side_is_known() -> None:
    goal = Target("a", 1.0, np.inf, float("nan"), 0.2)
    assert goal.log(known(9.0))[0] == pytest.approx(0.0, abs=1e-3)
    assert goal.log(known(1.0))[0] == pytest.approx(np.log(0.5), rel=1e-9)
    assert goal.residual(np.array([0.25, 3.0])) == pytest.approx([0.75, 0.0])


def test_counts_means_and_contrasts_are_read_on_their_scales() -> None:
    rows = EVIDENCE.observations
    hits = np.array([[1.0, 0.0, 0.0, 0.0]])
    count = reading(rows["UT01"], [Stats.of(rows["UT01"].likelihood, hits)])
    assert count.value[0] == pytest.approx(np.log(1.5 / 3.5))
    assert count.chance[0] == pytest.approx(1.0 / 1.5 + 1.0 / 3.5)
    mean = reading(rows["PK02"], [Stats.of(rows["PK02"].likelihood, np.array([[100.0, 400.0]]))])
    assert np.exp(mean.value[0]) == pytest.approx(200.0)
    ratio = rows["UT11b"]
    both = [Stats.of(ratio.likelihood, np.array([[6.0, 6.0]])), Stats.of(ratio.likelihood, np.array([[2.0, 2.0]]))]
    assert np.exp(reading(ratio, both).value[0]) == pytest.approx(3.0)
    points = rows["UT05"]
    both = [Stats.of(points.likelihood, hits), Stats.of(points.likelihood, np.zeros((1, 4)))]
    assert reading(points, both).value[0] == pytest.approx(100.0 / 5.0)


def test_the_score_of_a_point_is_that_of_the_scoreboard() -> None:
    """Same formulas for counts and means; bounds by the normal law and not by replicates, whose chance is about 0.02."""
    random = np.random.default_rng(1)
    for name, values in {
        "UT01": random.random((1, 40)) < 0.5, "SY01": random.random((1, 40)) < 0.3, "PK02": random.lognormal(4.6, 0.3, (1, 40)),
        "VL05": random.normal(6.0, 2.0, (1, 40)), "IK07": random.normal(9.0, 3.0, (1, 40)),
    }.items():
        row = EVIDENCE.observations[name]
        found = reading(row, [Stats.of(row.likelihood, values.astype(float))])
        expected = predict(row.likelihood, values.astype(float), None, 1, name).log_score
        assert target(row).score(found)[0] == pytest.approx(expected, abs=0.06 if row.likelihood.kind == "bound" else 1e-6), name


def test_rows_of_one_study_share_its_weight() -> None:
    weights = {goal.name: goal.weight for goal in targets([EVIDENCE.observations[n] for n in ("PK01a", "PK01b", "PK02", "UT27")])}
    assert weights["PK02"] == pytest.approx(1.0 / (1.0 + 2 * 0.5))
    assert weights["UT27"] == 1.0


# --- stages and what may move ----------------------------------------------------------------------------------------


def test_every_row_that_may_be_fitted_has_a_stage_and_none_that_is_for_validation() -> None:
    rows, left = fitted_rows(EVIDENCE, LIBRARY, SMALL)
    assert {row.use for row in rows} == {"calibrate"}
    assert len(rows) + len(left) == sum(item.use == "calibrate" for item in EVIDENCE.observations.values())
    by_stage = staged(SCHEDULE, rows)
    assert sorted(row.name for part in by_stage.values() for row in part) == sorted(row.name for row in rows)
    assert list(by_stage) == ["pk", "leak", "tissue", "immunity", "population"]
    assert all(by_stage.values())


def test_every_observable_has_a_stage() -> None:
    assert {name for stage in SCHEDULE.stages for name in stage.observables} == set(OBSERVABLES)


def test_what_is_too_long_is_left_out_and_said() -> None:
    rows, left = fitted_rows(EVIDENCE, LIBRARY, replace(SMALL, days=1.5))
    assert {row.scenario for row in rows} == {"bolus_human"}
    assert left["UT01"] == "its scenario is too long for this size"


def test_a_stage_cannot_name_an_unknown_observable_or_one_twice(tmp_path: Path) -> None:
    text = FILE.read_text(encoding="utf-8")
    path = tmp_path / "stages.yaml"
    path.write_text(text.replace("clearance,", "clearence,"), encoding="utf-8")
    with pytest.raises(InputError, match="no observable 'clearence'; did you mean clearance"):
        read_schedule(path)
    path.write_text(text.replace("clearance,", "cured,"), encoding="utf-8")
    with pytest.raises(InputError, match="'cured' belongs to 'pk' too"):
        read_schedule(path)


def test_measured_and_derived_values_never_move() -> None:
    rows, _ = fitted_rows(EVIDENCE, LIBRARY, replace(SMALL, days=61.0, lesion_days=200.0))
    free = free_of(rows, EVIDENCE, LIBRARY)
    assert len(free) > 50
    assert {item.record.status for item in free.values()} <= {"assumed", "calibrated"}
    assert "human.supportive_care" not in free


def test_units_of_a_laboratory_or_supplier_are_shared() -> None:
    rows = EVIDENCE.observations
    assert unit_of(rows["UT01"]) == unit_of(rows["UT27"]) == "unit.unknown:UT"
    assert unit_of(rows["VL05"]) == "unit.Cetus"
    assert unit_of(rows["HM01"]) is None


def test_doses_follow_the_coordinate_of_their_unit_in_steps() -> None:
    setting = Setting("ascites", (), (), "unit.unknown:UT", (0.7, 0.7))
    z = np.array([[0.3, 0.0], [0.0, 1.1], [0.0, -0.9], [0.0, 0.2]])
    found = {round(dose, 6): list(which) for dose, which in doses(setting, ["laws.x", "unit.unknown:UT"], z)}
    assert found == {round(float(np.exp(-0.7)), 6): [2], 1.0: [0, 3], round(float(np.exp(0.7)), 6): [1]}


# --- ensemble, regression, sampler -----------------------------------------------------------------------------------


def linear(z: np.ndarray, a: np.ndarray) -> Reading:
    return Reading(z @ a, np.zeros(len(z)), np.zeros(len(z)))


def test_the_ensemble_finds_the_posterior_of_a_linear_model() -> None:
    """Two rows, three coordinates, normal errors of 0.1: mean and variance of the closed form, to the sampling error of
    2,000 members (0.05) and the few per cent that localisation and the heavier tails take."""
    a = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0]])
    seen = np.array([0.8, -0.4])
    goals = [Target(str(i), x, x, 0.1, 0.0) for i, x in enumerate(seen)]
    random = np.random.default_rng(1)
    z, left = random.standard_normal((2000, 3)), 1.0
    for _ in range(30):
        z, share = kalman.step(
            z, goals, [linear(z, row) for row in a], random.standard_normal((2000, 2)), left, 10.0
        )
        left -= share
        if left <= 1e-9:
            break
    precision = np.eye(3) + a.T @ a / 0.01
    mean = np.linalg.solve(precision, a.T @ seen / 0.01)
    assert left <= 1e-9
    assert z.mean(axis=0) == pytest.approx(mean, abs=0.08)
    assert z[:, 2].std() == pytest.approx(1.0, abs=0.05)  # nothing informs it
    assert z[:, 0].std() < 0.2


def test_coordinates_that_no_row_answers_to_stay_where_they_were() -> None:
    random = np.random.default_rng(2)
    z = random.standard_normal((64, 40))
    goals = [Target("a", 1.0, 1.0, 0.5, 0.0)]
    moved, _ = kalman.step(z, goals, [linear(z, np.eye(40)[0])], random.standard_normal((64, 1)), 1.0, 9.0, least=1.0)
    assert moved[:, 0].mean() > 0.5
    still = np.abs(moved[:, 1:] - z[:, 1:]).max(axis=0) == 0.0
    assert still.mean() > 0.9  # a correlation of 0.25 or more by chance: about one in twenty


def test_what_has_no_part_in_a_row_is_not_moved_by_it() -> None:
    random = np.random.default_rng(2)
    z = random.standard_normal((64, 40))
    goals = [Target("a", 1.0, 1.0, 0.5, 0.0)]
    plays = np.zeros((40, 1), dtype=bool)
    plays[0] = True
    prediction = linear(z, np.eye(40)[0])
    moved, _ = kalman.step(z, goals, [prediction], random.standard_normal((64, 1)), 1.0, 9.0, least=1.0, plays=plays)
    assert np.array_equal(moved[:, 1:], z[:, 1:])
    surface = emulate.fit_surfaces(z, goals, {"a": prediction}, np.full(40, 0.2), 64, plays)["a"]
    assert surface.slope[0] == pytest.approx(1.0, abs=0.02)
    assert not surface.slope[1:].any()
    assert surface(z).value == pytest.approx(z[:, 0], abs=0.1)
    nothing = emulate.fit_surfaces(z, goals, {"a": prediction}, np.zeros(40), 64, np.zeros((40, 1), dtype=bool))["a"]
    assert nothing.explained == 0.0


def test_rows_know_which_coordinates_have_a_part() -> None:
    sweep = Sweep(EVIDENCE, LIBRARY, {i.key: i for i in candidates(LIBRARY, ["laws", "human", "hnscc", "sl2"])})
    rows = EVIDENCE.observations
    assert sweep.plays(rows["UT01"], "sl2.epitopes")
    assert not sweep.plays(rows["UT01"], "hnscc.epitopes")
    assert sweep.plays(rows["UT01"], "unit.unknown:UT")
    assert not sweep.plays(rows["UT01"], "unit.Cetus")


def test_missing_predictions_count_as_the_worst() -> None:
    goal = Target("a", 1.0, 1.0, 0.1, 0.0)
    assert kalman.filled(np.array([0.5, np.nan, 9.0]), goal) == pytest.approx([0.5, 9.0, 9.0])


def test_a_regression_knows_its_error() -> None:
    """A parabola is met exactly; a step is not, and its error is in the variance (that of the points at least a tenth)."""
    random = np.random.default_rng(3)
    z = random.standard_normal((300, 5))
    goal = Target("a", 0.0, 0.0, 0.1, 0.0)
    curve = emulate.fit_surface(z, goal, Reading(z[:, 0] + 0.3 * z[:, 1] ** 2, np.zeros(300), np.zeros(300)), np.zeros(5))
    assert curve.explained > 0.99
    at = np.array([[1.0, 2.0, 0.0, 0.0, 0.0]])
    assert curve(at).value[0] == pytest.approx(2.2, abs=0.05)
    step = np.where(z[:, 0] > 0.0, 3.0, -3.0)
    rough = emulate.fit_surface(z, goal, Reading(step, np.zeros(300), np.zeros(300)), np.zeros(5))
    assert rough.variance > 0.1 * step.var()


def test_the_sampler_returns_the_posterior_of_a_linear_row() -> None:
    """One informed coordinate and one free one; sd of the first by quadrature under the t, the second that of the prior.
    10 %: 400 draws of a chain."""
    goal = Target("a", 1.0, 1.0, 0.3, 0.0)
    surface = emulate.Surface(np.zeros(2), np.array([1.0, 0.0]), np.array([0, 1]), np.zeros(2), 0.0, 0.0, 1.0, 0.0)
    density = emulate.Density([goal], {"a": surface}, LIMIT)
    draws, _ = emulate.sample(density, np.zeros((4, 2)), 1, 400, LIMIT, 1500)
    x = np.linspace(-LIMIT, LIMIT, 4001)
    weight = np.exp(-0.5 * x * x + goal.log(Reading(x, np.zeros(4001), np.zeros(4001))))
    weight /= weight.sum()
    mean = float(weight @ x)
    assert draws[:, 0].mean() == pytest.approx(mean, abs=0.06)
    assert draws[:, 0].std() == pytest.approx(float(np.sqrt(weight @ (x - mean) ** 2)), rel=0.15)
    assert draws[:, 1].std() == pytest.approx(findings.prior_sd(), rel=0.1)
    again, _ = emulate.sample(density, np.zeros((4, 2)), 1, 400, LIMIT, 1500)
    assert np.array_equal(draws, again)


def test_points_are_judged_at_every_dose_that_a_unit_may_mean() -> None:
    """A row that answers to its unit only: the score is the mean over three doses, and the point has none of its own."""
    row = made_row("a", Likelihood("lognormal", 1.0, spread=0.5, n=20, effective=20))
    names = ["laws.direct_ec50", "unit.unknown:UT"]

    def simulate(rows: Sequence[Observation], which: Sequence[str], z: np.ndarray, hosts: int) -> dict[str, Reading]:
        return {"a": Reading(z[:, 1], np.zeros(len(z)), np.zeros(len(z)))}

    study = Study([row], SCHEDULE, SMALL, {}, names[1:], simulate)
    value, simulated, found = study.judge(names, np.array([[0.0, 5.0]]))
    scores = [norm.logpdf(level, 0.0, 0.5) for level in STRATA]
    assert value[0] == pytest.approx(0.0 - 0.5 * 25.0 + np.log(np.mean(np.exp(scores))))
    assert simulated[:, 1] == pytest.approx(STRATA)
    assert found["a"].value == pytest.approx(STRATA)
    assert without_units(names, np.array([[0.4, 5.0]])).tolist() == [[0.4, 0.0]]


def test_prior_draws_end_at_the_range() -> None:
    assert np.abs(ranged(np.linspace(0.0, 1.0, 101))).max() == pytest.approx(LIMIT)
    assert ranged(np.array([0.5]))[0] == pytest.approx(0.0, abs=1e-12)


def test_what_lies_between_geometries_is_half_correction_half_error() -> None:
    pair = (known(3.0), known(1.0))
    shells = Corrected(lambda *_: {"a": known(1.5), "b": known(7.0)}, {"a": pair})
    made = shells([made_row("a"), made_row("b")], [], np.zeros((1, 0)), 1)
    assert made["a"].value[0] == 2.5
    assert made["a"].chance[0] == 1.0
    assert made["b"].value[0] == 7.0
