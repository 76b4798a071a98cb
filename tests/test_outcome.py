"""Every definition of an outcome against series whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from fake_runs import (
    LESION_AT,
    course,
    dose,
    event,
    healthy_run,
    kill,
    protocol,
    result_of,
    set_body,
    set_diameter,
    set_volume,
    sphere,
)
from locokine.body import grades
from locokine.engine.run import ArmRun
from locokine.errors import InputError
from locokine.outcome import Criteria, assess, response, toxicity
from locokine.outcome.immunity import challenge_outcome, disease_free, valid_challenge
from locokine.outcome.survival import kaplan_meier
from locokine.results.result import Result
from locokine.results.schema import CHALLENGES, GRADE_TERMS, LESIONS, SUBJECTS, VISITS
from locokine.scenario.protocol import Arm, LesionPlan, Rechallenge

DAYS = 60
TREATED = Arm("arm", (dose(10.0), dose(11.0)))


def animal(volume: np.ndarray, cells: np.ndarray | None = None) -> dict:
    """Row of one animal first treated on day 10, with this volume by day."""
    run = healthy_run(days=DAYS)
    set_volume(run, volume, cells=cells)
    return result_of(run, protocol(TREATED)).subjects.iloc[0].to_dict()


def patient(*diameters: np.ndarray, sites: tuple[str, ...] = ("viscera",), days: int = 200) -> dict:
    """Row of one patient first treated on day 0, with these diameters of lesions by day."""
    names = [f"l{i}" for i in range(len(diameters))]
    run = healthy_run(days=days, lesions=names)
    for i, values in enumerate(diameters):
        set_diameter(run, values, lesion=i)
    plans = [LesionPlan(name, "renal", site, volume=1.0) for name, site in zip(names, sites, strict=True)]  # type: ignore[arg-type]
    plan = protocol(Arm("arm", (dose(0.0, ()),)), lesions=plans, days=days)
    return result_of(run, plan, "recist").subjects.iloc[0].to_dict()


# ---------------------------------------------------------------------- visits and baseline
def test_animals_are_seen_three_times_a_week_and_patients_every_six_weeks() -> None:
    assert response.visit_days(10.0, 22.0, Criteria()).tolist() == [10, 12, 14, 17, 19, 21]
    assert response.visit_days(0.0, 100.0, Criteria.of("recist")).tolist() == [0, 42, 84]
    assert response.visit_days(0.0, 126.0, Criteria.of("recist")).tolist() == [0, 42, 84, 126]


def test_baseline_is_before_the_first_dose_of_the_arm_else_of_any_arm_else_implantation() -> None:
    arms = (Arm("late", (dose(12.5),)), Arm("early", (dose(10.0),)), Arm("untreated"))
    plan = protocol(*arms)
    assert [response.baseline_day(plan, arm.name) for arm in arms] == [12.0, 10.0, 10.0]
    lesion = LesionPlan("tumour", "sl2", "subcutis", cells=1e5, day=3.0)
    assert response.baseline_day(protocol(Arm("untreated"), lesions=[lesion]), "untreated") == 3.0


def test_unknown_criteria_are_named() -> None:
    with pytest.raises(InputError, match=r"unknown response criteria 'who'; write recist or caliper"):
        Criteria.of("who")


# ---------------------------------------------------------------------- animals
@pytest.mark.parametrize(
    ("factor", "expected"),
    [(0.50, "PR"), (0.501, "SD"), (1.25, "SD"), (1.251, "PD"), (1.0, "SD")],
)
def test_caliper_limits_are_exact(factor: float, expected: str) -> None:
    row = animal(course(DAYS, (0, 200), (10, 200), (12, 200 * factor), (60, 200 * factor)))
    assert row["best_response"] == expected
    assert row["best_change"] == pytest.approx(100 * (factor - 1))


def test_progression_is_judged_from_the_nadir() -> None:
    down_and_up = course(DAYS, (0, 100), (10, 100), (12, 80), (14, 80), (17, 101), (60, 101))
    row = animal(down_and_up)  # +26 % over the nadir of 80, +1 % over baseline
    assert (row["best_response"], row["progression_day"]) == ("PD", 17.0)
    assert animal(np.minimum(down_and_up, 100.0))["best_response"] == "SD"  # exactly +25 %


def test_complete_response_needs_three_visits_in_a_row_without_a_palpable_tumour() -> None:
    # visits on days 10 (baseline), 12, 14, 17, 19, 21, ...
    gone = np.full(DAYS + 1, 100.0)
    gone[12:18] = 0.0
    assert animal(gone)["best_response"] == "CR"
    gone[17] = 5.0
    assert animal(gone)["best_response"] == "PR"  # two visits only, then palpable again
    just = np.full(DAYS + 1, 100.0)
    just[12:] = sphere(1.99)
    assert animal(just)["best_response"] == "CR"
    just[12:] = sphere(2.0)
    assert animal(just)["best_response"] == "PR"


def test_response_counts_after_swelling_and_the_swelling_is_reported() -> None:
    volume = course(DAYS, (0, 100), (10, 100), (12, 150), (20, 20), (60, 20))
    cells = course(DAYS, (0, 2e7), (10, 2e7), (12, 1e7), (20, 1e5), (60, 1e5))
    row = animal(volume, cells)
    assert row["best_response"] == "PR"
    assert row["pseudoprogression"]
    assert row["pseudoprogression_day"] == 12.0
    truly = animal(volume, 2e5 * volume)
    assert not truly["pseudoprogression"]


def test_times_of_response_and_relapse() -> None:
    row = animal(course(DAYS, (0, 100), (10, 100), (14, 10), (40, 10), (45, 100), (60, 100)))
    # first visit at or below 50: day 14 (day 12 has 55); first visit over 1.25 × 10: day 42 (46); day 40 has 10
    assert (row["time_to_response"], row["response_duration"], row["response_ongoing"]) == (4.0, 28.0, False)
    lasting = animal(course(DAYS, (0, 100), (10, 100), (14, 10), (60, 10)))
    assert (lasting["response_duration"], lasting["response_ongoing"]) == (46.0, True)


def test_not_evaluable_without_a_visit_or_without_a_tumour() -> None:
    run = healthy_run(subjects=3, days=DAYS)
    kill(run, 11.0, "toxic_death", subject=0)
    kill(run, 13.0, "tumour_death", subject=1)
    set_volume(run, np.zeros(DAYS + 1), subject=2)
    table = result_of(run, protocol(TREATED)).subjects
    # 0 died before the first visit; 1 was stable once and then killed by its tumour; 2 never had one
    assert table["best_response"].tolist() == ["NE", "PD", "NE"]


def test_a_tumour_that_appears_after_baseline_is_progression() -> None:
    assert animal(course(DAYS, (0, 0), (15, 0), (20, 50), (60, 500)))["best_response"] == "PD"


def test_several_lesions_are_summed_and_told_apart() -> None:
    run = healthy_run(days=DAYS, lesions=("injected", "distant"))
    set_volume(run, course(DAYS, (0, 100), (10, 100), (12, 0), (60, 0)), lesion=0)
    set_volume(run, course(DAYS, (0, 100), (10, 100), (60, 1000)), lesion=1)
    plans = [LesionPlan(name, "sl2", "subcutis", cells=1e5) for name in run.lesions]
    result = result_of(run, protocol(Arm("arm", (dose(10.0, ("injected",)),)), lesions=plans))
    row = result.subjects.iloc[0]
    assert (row["best_response_injected"], row["best_response_distant"], row["best_response"]) == ("CR", "PD", "PD")
    assert row["baseline_size"] == 200.0
    lesions = result.outcome.lesions.set_index("lesion")
    assert lesions["best_response"].to_dict() == {"injected": "CR", "distant": "PD"}
    assert lesions["injected"].to_dict() == {"injected": True, "distant": False}


def test_a_cavity_is_seen_by_its_fluid_and_belongs_to_intraperitoneal_doses() -> None:
    run = healthy_run(days=DAYS)
    set_volume(run, course(DAYS, (0, 2000), (10, 2000), (12, 400), (60, 400)))
    plan = protocol(
        Arm("arm", (dose(10.0, (), "intraperitoneal"),)),
        lesions=[LesionPlan("tumour", "sl2", "peritoneum", cells=1e5)],
    )
    row = result_of(run, plan).subjects.iloc[0]
    assert row["best_response"] == row["best_response_injected"] == "CR"  # 0.4 mL of ascites cannot be seen


# ---------------------------------------------------------------------- patients
@pytest.mark.parametrize(
    ("first", "later", "expected"),
    [
        (50.0, 35.0, "PR"),
        (50.0, 35.1, "SD"),
        (50.0, 60.0, "PD"),
        (50.0, 59.9, "SD"),
        (20.0, 24.9, "SD"),
        (50.0, 1.0, "CR"),
    ],
)
def test_recist_limits_are_exact(first: float, later: float, expected: str) -> None:
    # 20 → 24.9 mm is +24.5 % but less than 5 mm
    values = np.full(201, later)
    values[0] = first
    assert patient(values)["best_response"] == expected


def test_recist_sums_the_two_largest_targets_per_organ() -> None:
    base = np.array([[30.0], [40.0], [20.0], [9.0], [15.0], [25.0]])
    chosen = response.choose_targets(base, ("skin", "skin", "skin", "viscera", "viscera", "peritoneum"), Criteria())
    assert chosen[:, 0].tolist() == [True, True, False, False, True, False]
    many = response.choose_targets(np.full((8, 1), 20.0), tuple("aabbccdd"), Criteria())
    assert many.sum() == 5


def test_recist_new_lesion_is_progression_and_nothing_counts_after_it() -> None:
    first = np.full(201, 10.0)
    first[:43] = 50.0
    second = np.zeros(201)
    assert patient(first, second, sites=("viscera", "viscera"))["best_response"] == "PR"
    second[42:] = 5.0
    row = patient(first, second, sites=("viscera", "viscera"))
    assert (row["best_response"], row["progression_day"]) == ("PD", 42.0)
    second[42:] = 4.9
    assert patient(first, second, sites=("viscera", "viscera"))["best_response"] == "PR"


def test_recist_confirmation_at_the_next_visit() -> None:
    once = np.full(201, 50.0)
    once[42:84] = 30.0
    row = patient(once)  # 30 → 50 at the next visit is progression
    assert (row["best_response"], row["best_response_confirmed"]) == ("PR", "SD")
    twice = np.full(201, 50.0)
    twice[42:] = 30.0
    assert patient(twice)["best_response_confirmed"] == "PR"
    late = np.full(201, 50.0)
    late[168:] = 30.0  # seen at the last visit only
    assert (patient(late)["best_response"], patient(late)["best_response_confirmed"]) == ("PR", "SD")


def test_recist_without_targets_is_complete_stable_or_progressive() -> None:
    small = np.full(201, 8.0)
    assert patient(small)["best_response"] == "SD"
    small[1:] = 0.0
    assert patient(small)["best_response"] == "CR"
    small[1:] = 13.0
    assert patient(small)["best_response"] == "PD"


def test_no_visit_within_follow_up_is_not_evaluable() -> None:
    assert patient(np.full(31, 50.0), days=30)["best_response"] == "NE"


# ---------------------------------------------------------------------- toxicity
@pytest.mark.parametrize(
    ("function", "arguments", "grade"),
    [
        (grades.hypotension, (90.0, 100.0, 0.0), 0),
        (grades.hypotension, (89.9, 100.0, 0.0), 1),
        (grades.hypotension, (79.0, 100.0, 0.0), 2),
        (grades.hypotension, (65.0, 100.0, 0.0), 3),
        (grades.hypotension, (95.0, 100.0, 0.5), 3),
        (grades.hypotension, (55.0, 100.0, 0.0), 4),
        (grades.hypotension, (65.0, 100.0, 1.0), 4),
        (grades.weight_gain, (0.049,), 0),
        (grades.weight_gain, (0.05,), 1),
        (grades.weight_gain, (0.10,), 2),
        (grades.weight_gain, (0.20,), 3),
        (grades.weight_loss, (0.20,), 3),
        (grades.capillary_leak, (0.5, 0.0, 2.5), 0),
        (grades.capillary_leak, (0.0, 0.2, 2.5), 0),
        (grades.capillary_leak, (0.1, 0.02, 3.6), 1),
        (grades.capillary_leak, (0.5, 0.057, 2.2), 2),
        (grades.capillary_leak, (0.5, 0.12, 2.2), 3),
        (grades.capillary_leak, (0.5, 0.12, 3.2), 2),
        (grades.capillary_leak, (0.6, 0.16, 1.9), 4),
        (grades.lung_leak, (5.3,), 3),
        (grades.fever, (37.9,), 0),
        (grades.fever, (38.0,), 1),
        (grades.fever, (39.1,), 2),
        (grades.fever, (40.1, 24.0), 3),
        (grades.fever, (40.1, 25.0), 4),
        (grades.hypoalbuminaemia, (3.5, 4.2), 0),
        (grades.hypoalbuminaemia, (2.2, 4.2), 2),
        (grades.hypoalbuminaemia, (1.1, 2.1), 2),
        (grades.injection_site_reaction, (0.09, 23.0, 0.0, 23.0), 0),
        (grades.injection_site_reaction, (0.1, 0.0, 0.0, 0.0), 1),
        (grades.injection_site_reaction, (0.0, 24.0, 23.0, 0.0), 1),
        (grades.injection_site_reaction, (0.0, 24.0, 24.0, 0.0), 2),
        (grades.injection_site_reaction, (1.0, 48.0, 48.0, 24.0), 3),
    ],
)
def test_grades(function: object, arguments: tuple[float, ...], grade: int) -> None:
    assert function(*arguments) == grade  # type: ignore[operator]
    plain = getattr(function, "py_func", function)
    assert plain(*(np.array([value, np.nan]) for value in arguments)).tolist() == [grade, 0]  # type: ignore[operator]


def test_systemic_grade_is_the_worst_over_time_and_terms_since_baseline() -> None:
    run = healthy_run(subjects=4, days=DAYS)
    weight = course(DAYS, (0, 0.02), (10, 0.02), (20, 0.0225), (30, 0.02), (60, 0.02))  # +12.5 %
    set_body(run, "weight", weight, 0)
    set_body(run, "mean_arterial_pressure", course(DAYS, (0, 98), (20, 98), (25, 60), (30, 98), (60, 98)), 0)
    set_body(run, "temperature", course(DAYS, (0, 37), (4, 41), (8, 37), (60, 37)), 1)  # before treatment
    kill(run, 30.0, "toxic_death", 2)
    set_body(run, "organ_leak", course(DAYS, (0, 1), (10, 1), (16, 9.7), (30, 1), (60, 1)), 3)
    table = result_of(run, protocol(TREATED)).subjects
    assert table["systemic_grade"].tolist() == [3, 0, 5, 3]
    assert table["systemic_term"].tolist() == ["hypotension", "", "death", "lung_leak"]
    assert table["grade_weight_gain"].tolist() == [2, 0, 0, 0]


def test_lung_leak_is_graded_in_animals_only() -> None:
    run = healthy_run(days=DAYS)
    set_body(run, "organ_leak", course(DAYS, (0, 1), (10, 1), (16, 20), (60, 1)))
    assert result_of(run, protocol(TREATED)).subjects["grade_lung_leak"].tolist() == [4]
    assert result_of(run, protocol(TREATED), "recist").subjects["grade_lung_leak"].tolist() == [0]


def test_fever_of_grade_four_lasts_more_than_a_day() -> None:
    run = healthy_run(subjects=2, days=DAYS)
    for subject, until in ((0, 21), (1, 22)):
        hot = np.full(DAYS + 1, 37.0)
        hot[20 : until + 1] = 40.5
        set_body(run, "temperature", hot, subject)
    assert result_of(run, protocol(TREATED)).subjects["grade_fever"].tolist() == [3, 4]


def test_injection_site_grade_is_the_worst_over_injected_lesions() -> None:
    run = healthy_run(days=DAYS, lesions=("injected", "distant"))
    run.daily_lesion[LESION_AT["rim_leak"], 0, 12, 0] = 0.5
    run.daily_lesion[LESION_AT["rim_oedema"], 1, 12:14, 0] = 0.5
    plans = [LesionPlan(name, "sl2", "subcutis", cells=1e5) for name in run.lesions]

    def grade(*injected: str) -> int:
        doses = (dose(10.0, injected),) if injected else (dose(10.0, (), "intravenous"),)
        return result_of(run, protocol(Arm("arm", doses), lesions=plans)).subjects["injection_site_grade"].iloc[0]

    assert grade("injected") == 1
    assert grade("injected", "distant") == 2
    assert grade() == 0
    run.daily_lesion[LESION_AT["rim_oedema"], 1, 13, 0] = 0.0
    assert grade("distant") == 0  # a bleb that is gone the next day
    run.daily_lesion[LESION_AT["rim_oedema"], 1, :, 0] = 0.5
    assert grade("distant") == 0  # no more than before treatment
    run.daily_lesion[LESION_AT["rim_perfusion"], 0, 20, 0] = 0.0
    assert grade("injected") == 1  # a single day without flow
    run.daily_lesion[LESION_AT["rim_perfusion"], 0, 20:22, 0] = 0.0
    assert grade("injected") == 3


def test_what_the_engine_saw_between_days_counts() -> None:
    run = healthy_run(subjects=2, days=DAYS)
    run.worst_grades = np.zeros((len(grades.TERMS), 2))
    run.worst_grades[grades.TERMS.index("hypotension"), 1] = 3.0
    run.worst_grades[grades.TERMS.index("injection_site_reaction"), 0] = 2.0
    table = result_of(run, protocol(TREATED)).subjects
    assert table["systemic_grade"].tolist() == [0, 3]
    assert table["injection_site_grade"].tolist() == [2, 0]


def test_toxicity_table_names_quantity_and_source_of_every_term() -> None:
    table = toxicity.toxicity_table()
    assert set(table["term"]) == {*GRADE_TERMS, "injection_site_reaction"}
    assert (table[["quantity", "threshold", "patients", "animals"]] != "").all(axis=None)
    gain = table[table["term"] == "weight_gain"]
    assert gain["threshold"].tolist() == [">= 0.05", ">= 0.1", ">= 0.2"]
    assert table[table["term"] == "capillary_leak"]["patients"].str.contains("assumed").all()


# ---------------------------------------------------------------------- immunity and survival
def test_cured_is_not_the_same_as_free_of_disease() -> None:
    run = healthy_run(subjects=4, days=DAYS)
    for subject in (0, 1, 2):
        set_volume(run, course(DAYS, (0, 100), (10, 100), (20, 0), (60, 0)), subject)
    event(run, "cured", 25.0, 0)
    event(run, "cured", 25.0, 2)
    kill(run, 40.0, "toxic_death", 2)
    plan = protocol(TREATED)
    table = result_of(run, plan).subjects
    assert table["cured"].tolist() == [True, False, False, False]  # 2 did not live to see it
    assert table["disease_free"].tolist() == [True, True, False, False]
    assert table["cure_probability"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert disease_free(run, plan, 30.0, Criteria()).tolist() == [True, True, True, False]
    run.cure_probability = np.array([0.9, 0.3, 0.8, 0.0])
    assert result_of(run, plan).subjects["cure_probability"].tolist() == [0.9, 0.3, 0.0, 0.0]


def challenged(arm: str, line: str, diameters: list[float], dead: tuple[int, ...] = ()) -> ArmRun:
    """Hosts challenged on day 60 whose tumour has this diameter 60 days later."""
    run = healthy_run(arm, subjects=len(diameters), days=130)
    for i, diameter in enumerate(diameters):
        values = np.full(131, np.nan)
        values[60:] = 0.0
        values[118:] = diameter
        values[122:] = 20.0  # what happens after the reading does not count
        set_diameter(run, values, i)
        event(run, "challenged", 60.0, i, value=1e6)
    for i in dead:
        kill(run, 100.0, "tumour_death", i)
    return run


def test_rejection_is_read_sixty_days_after_challenge_at_three_millimetres() -> None:
    run = challenged("a", "sl2", [0.0, 2.99, 3.01, 0.0], dead=(3,))
    alive, size, rejected = challenge_outcome(run, 60.0)
    assert alive.tolist() == [True, True, True, False]
    assert rejected.tolist() == [True, True, False, False]
    np.testing.assert_allclose(size, [0.0, 2.99, 3.01, np.nan], rtol=1e-12)  # cube and cube root: rounding


@pytest.mark.parametrize(("takes", "valid"), [(10, True), (9, True), (8, False)])
def test_a_challenge_is_valid_if_nine_of_ten_naive_hosts_take(takes: int, valid: bool) -> None:
    arm = healthy_run("arm", subjects=10, days=DAYS)
    challenges = {
        ("naive", "sl2"): challenged("naive", "sl2", [10.0] * takes + [0.0] * (10 - takes)),
        ("arm", "sl2"): challenged("arm", "sl2", [0.0, 0.0, 5.0]),
    }
    plan = protocol(TREATED, rechallenge=Rechallenge(("sl2", "p815"), 1e6))
    outcome = result_of(arm, plan, challenges=challenges).outcome
    counts = outcome.summary()["arms"]["arm"]["rechallenge"]
    assert counts["sl2"] == {"challenged": 3, "rejected": 2, "naive_challenged": 10, "naive_rejected": 10 - takes}
    assert counts["p815"] == {"challenged": 0, "rejected": 0, "naive_challenged": 0, "naive_rejected": 0}
    table = outcome.rechallenge.set_index("line")
    assert bool(table["valid"]["sl2"]) is valid
    assert not valid_challenge(counts["p815"])


def test_survival_is_censored_at_the_end_of_follow_up() -> None:
    run = healthy_run(subjects=4, days=DAYS)
    for subject, (day, kind) in enumerate([(20, "tumour_death"), (30, "toxic_death"), (40, "humane_endpoint")]):
        kill(run, day, kind, subject)
    outcome = result_of(run, protocol(TREATED)).outcome
    assert outcome.subjects["survival"].tolist() == [20.0, 30.0, 40.0, 60.0]
    assert outcome.subjects["cause_of_death"].tolist() == ["tumour_death", "toxic_death", "humane_endpoint", ""]
    curve = outcome.survival("arm")
    assert curve.median == 30.0
    assert curve.at_risk.tolist() == [4, 4, 3, 2, 1]
    np.testing.assert_allclose(curve.survival[:4], [1.0, 0.75, 0.5, 0.25], rtol=1e-12)  # counts / 4: rounding


def test_median_survival_is_none_while_more_than_half_live() -> None:
    assert kaplan_meier(np.array([10.0, 60.0, 60.0]), np.array([True, False, False])).median is None
    nobody = kaplan_meier(np.array([60.0, 60.0]), np.array([False, False]))
    assert (nobody.median, nobody.survival.tolist()) == (None, [1.0])
    all_dead = kaplan_meier(np.array([1.0, 2.0]), np.array([True, True]))
    assert (all_dead.median, all_dead.survival[-1]) == (1.0, 0.0)


# ---------------------------------------------------------------------- tables and summary
def test_tables_have_exactly_the_columns_of_the_schema() -> None:
    run = healthy_run(subjects=2, days=DAYS)
    outcome = result_of(run, protocol(TREATED, rechallenge=Rechallenge(("sl2",), 1e6))).outcome
    for table, items in (
        (outcome.subjects, SUBJECTS),
        (outcome.visits, VISITS),
        (outcome.lesions, LESIONS),
        (outcome.challenges, CHALLENGES),
    ):
        assert list(table.columns) == [item.name for item in items]


def test_summary_has_the_form_that_was_agreed() -> None:
    run = healthy_run(subjects=4, days=DAYS)
    run.dosed[1] = 100.0
    run.reached_plasma[0] = 55.0  # endogenous: not given, so no part of the share
    run.reached_plasma[1] = [20.0, 30.0, 40.0, 50.0]
    run.exposure[0, -1, 0] = [1.0, 2.0, 3.0, 4.0]
    run.daily_lesion[LESION_AT["hypoxic_fraction"], 0, 30] = 0.7
    run.daily_lesion[LESION_AT["hypoxic_fraction"], 0, 5] = 0.9  # before treatment
    run.daily_lesion[LESION_AT["viable_pO2"], 0] = 20.0
    run.daily_lesion[LESION_AT["viable_pO2"], 0, 33] = 1.5
    summary = result_of(run, protocol(TREATED)).summary()
    assert {key: summary[key] for key in list(summary)[:5]} == {
        "schema_version": 1,
        "experiment": "made up",
        "version": "0.0.0",
        "seed": 7,
        "research_use_only": True,
    }
    arm = summary["arms"]["arm"]
    assert list(arm) == [
        "subjects",
        "best_response",
        "objective_response_rate",
        "cured",
        "cure_probability",
        "median_survival_days",
        "systemic_toxicity_grade",
        "injection_site_grade",
        "rechallenge",
        "il2",
        "bioavailability",
        "hypoxic_fraction_peak",
        "necrotic_fraction_peak",
        "oedema_fraction_peak",
        "viable_cell_mean_pO2_min_mmHg",
    ]
    assert arm["best_response"] == {"CR": 0, "PR": 0, "SD": 4, "PD": 0, "NE": 0}
    assert arm["systemic_toxicity_grade"] == {"0": 4, "1": 0, "2": 0, "3": 0, "4": 0, "5": 0}
    assert arm["objective_response_rate"]["high"] == pytest.approx(1 - 0.025**0.25, rel=1e-9)  # closed form for 0 of n
    assert arm["il2"] == {
        "tumour": {"peak_nM": 2.5, "auc_nM_h": 1.0},
        "node": {"peak_nM": 1.0, "auc_nM_h": 1.0},
        "plasma": {"peak_nM": 1.0, "auc_nM_h": 1.0},
    }
    assert arm["bioavailability"] == 0.35
    assert (arm["hypoxic_fraction_peak"], arm["viable_cell_mean_pO2_min_mmHg"]) == (0.7, 1.5)
    assert arm["median_survival_days"] is None
    for counts in (arm["best_response"], arm["systemic_toxicity_grade"], arm["injection_site_grade"]):
        assert all(type(value) is int for value in counts.values())
        assert sum(counts.values()) == 4


def test_other_criteria_can_be_asked_of_a_result_in_memory() -> None:
    run = healthy_run(days=DAYS)
    set_volume(run, course(DAYS, (0, 100), (10, 100), (12, 60), (60, 60)))
    result = result_of(run, protocol(TREATED))
    assert result.subjects["best_response"].tolist() == ["SD"]
    assert assess(result, Criteria(animal_pr=0.4)).subjects["best_response"].tolist() == ["PR"]


def test_an_arm_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="there is no arm 'other'; choose one of arm"):
        result_of(healthy_run()).outcome.survival("other")


def test_adding_an_arm_changes_no_other_arm() -> None:
    one = healthy_run("one", subjects=3, days=DAYS, seed=3)
    two = healthy_run("two", subjects=3, days=DAYS, seed=4)
    arms = (Arm("one", (dose(10.0),)), Arm("two", (dose(10.0),)))
    alone = result_of(one, protocol(arms[0])).subjects
    both = Result(result_of(one).manifest, protocol(*arms), {"two": two, "one": one}).subjects
    part = both[both["arm"] == "one"].reset_index(drop=True)
    assert part.equals(alone)
