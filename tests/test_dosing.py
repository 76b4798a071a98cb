"""The dosing language: what is understood, when doses fall, and the word that an error points at."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locokine.errors import InputError
from locokine.scenario.amounts import AgentUnits
from locokine.scenario.dosing import Course, expand_course, parse_course
from locokine.scenario.grammar import MAX_DOSES, MODIFIERS, ROUTES, RULES, SCHEDULES
from locokine.scenario.protocol import Dose, LesionPlan, Rule
from small_library import attempt

AGENTS = ("kine", "brine")
KINE = AgentUnits(15.3, 4.0)
LESIONS = (
    LesionPlan("left", "alpha", "subcutis", cells=1e6),
    LesionPlan("right", "alpha", "subcutis", cells=1e6, day=5),
    LesionPlan("fluid", "alpha", "peritoneum", cells=1e4),
)
GROUPS = {"left": ("left",), "right": ("right",), "both": ("left", "right"), "fluid": ("fluid",)}


def parse(text: str) -> Course:
    return parse_course(text, "here", AGENTS)


def expand(text: str, follow_up: float = 60.0, units: AgentUnits = KINE) -> tuple[tuple[Dose, ...], tuple[Rule, ...]]:
    return expand_course(parse(text), 0, LESIONS, GROUPS, units, follow_up, "here")


def days(text: str, follow_up: float = 60.0) -> list[float]:
    return [dose.time / 24 for dose in expand(text, follow_up)[0]]


def message(text: str) -> str:
    with pytest.raises(InputError) as caught:
        expand(text)
    assert caught.value.remedy
    return str(caught.value)


# --- what is understood ---


def test_a_line_with_everything() -> None:
    course = parse(
        "kine 2 MIU per lesion peritumoural in 0.2 mL at 2 mm over 15 min into left, right "
        "daily days 10-14, until complete response"
    )
    assert (course.agent, course.route, course.per_lesion) == ("kine", "peritumoural", True)
    assert course.amount is not None
    assert course.amount.value == 2e6
    assert (course.volume, course.distance, course.duration) == (200.0, 2.0, 0.25)
    assert course.lesions == ("left", "right")
    assert course.rules == (Rule("until", "complete_response"),)


def test_the_doses_of_a_line() -> None:
    doses, rules = expand("kine 20000 IU intratumoural in 0.1 mL into left daily days 10-14")
    assert [dose.time for dose in doses] == [240.0, 264.0, 288.0, 312.0, 336.0]
    first = doses[0]
    assert (first.agent, first.amount, first.route) == ("kine", 80000.0, "intratumoural")
    assert (first.lesions, first.volume, first.duration, first.distance) == (("left",), 100.0, 0.0, 1.0)
    assert math.isnan(first.amount_per_kg)
    assert rules == ()


def test_a_dose_per_kilogram() -> None:
    doses, rules = expand(
        "kine 600000 IU/kg intravenous q8h x14 from day 0, hold while hypotension >= 3, stop at any >= 4"
    )
    assert len(doses) == 14
    assert [dose.time for dose in doses[:3]] == [0.0, 8.0, 16.0]
    assert math.isnan(doses[0].amount)
    assert doses[0].amount_per_kg == pytest.approx(2.4e6, rel=1e-12)
    assert doses[0].lesions == ()
    assert math.isnan(doses[0].volume)
    assert rules == (Rule("hold", "hypotension", 3), Rule("stop", "any", 4))


def test_the_lines_of_the_field() -> None:
    for text in (
        "kine 20000 IU intratumoural in 0.1 mL daily days 10-14",
        "kine 600000 IU/kg intravenous q8h x14 from day 0, hold while hypotension >= 3",
        "kine 3 MIU intratumoural three times weekly until complete response",
        "kine 20000 IU peritumoural at 2 mm day 3",
        "kine 20000 IU intraperitoneal days 1, 4, 9",
        "kine 20000 U[Cetus] subcutaneous weekly x4 from day 2",
        "kine 1.2 ug intralesional day 3",
        "brine intratumoural in 0.1 mL day 3",
    ):
        assert expand(text, units=AgentUnits(None, None, inert=True) if text.startswith("brine") else KINE)[0]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("day 3", [3]),
        ("day 3.5", [3.5]),
        ("days 1, 4, 9", [1, 4, 9]),
        ("days 9,1, 4", [1, 4, 9]),
        ("days 1-3, 8", [1, 2, 3, 8]),
        ("days 10-14", [10, 11, 12, 13, 14]),
        ("days 10–12", [10, 11, 12]),
        ("daily days 10-12", [10, 11, 12]),
        ("daily x3 from day 10", [10, 11, 12]),
        ("daily from day 10 x3", [10, 11, 12]),
        ("daily from day 10 for 3 days", [10, 11, 12]),
        ("every 2 days days 10-15", [10, 12, 14]),
        ("every 2 days days 10-14", [10, 12, 14]),
        ("every 2 days x3 from day 1", [1, 3, 5]),
        ("every other day x3", [0, 2, 4]),
        ("every 12 h x3 from day 1", [1, 1.5, 2]),
        ("every week x2", [0, 7]),
        ("q12h days 1-2", [1, 1.5, 2, 2.5]),
        ("Q6H x3", [0, 0.25, 0.5]),
        ("weekly x3 from day 1", [1, 8, 15]),
        ("twice weekly for 2 weeks", [0, 3, 7, 10]),
        ("three times weekly from day 3 for 2 weeks", [3, 5, 7, 10, 12, 14]),
        ("3 times a week for 1 week", [0, 2, 4]),
        ("five times per week for 1 week", [0, 1, 2, 3, 4]),
        ("once daily x2", [0, 1]),
        ("twice daily days 1-1", [1, 1.5]),
        ("three times daily x4 doses", [0, 1 / 3, 2 / 3, 1]),
    ],
)
def test_schedules(schedule: str, expected: list[float]) -> None:
    assert days(f"kine 5 IU intravenous {schedule}") == pytest.approx(expected, abs=1e-12)


def test_an_open_ended_schedule_runs_to_the_end_of_follow_up() -> None:
    assert days("kine 5 IU intravenous weekly", follow_up=21) == [0, 7, 14]  # day 21 is the end itself
    assert days("kine 5 IU intravenous three times weekly until complete response", follow_up=9) == [0, 2, 4, 7]
    assert parse("kine 5 IU intravenous daily").schedule.open_ended
    assert not parse("kine 5 IU intravenous daily x2").schedule.open_ended


def test_thirty_dose_days_at_every_eight_hours() -> None:
    assert len(days("kine 5 IU intravenous q8h days 10-14")) == 15  # as a laboratory counts them: to the end of day 14


def test_words_may_be_american_or_short() -> None:
    routes = {
        parse(f"kine 5 IU {word} day 1").route for word in ("intratumoral", "intratumoural", "i.t.", "Intralesional")
    }
    assert routes == {"intratumoural"}
    assert parse("kine 5IU i.v. in 0.1mL day 1").volume == 100.0


def test_rules_with_and_without_comma_and_grade() -> None:
    expected = (Rule("until", "complete_response"), Rule("hold", "weight_gain", 2))
    for text in (
        "until complete response, hold while weight gain >= 2",
        ", until complete response, hold while weight_gain >= grade 2",
        "until complete response hold while weight-gain ≥2",
    ):
        assert parse(f"kine 5 IU i.v. day 1 {text}").rules == expected


def test_rules_belong_to_their_line() -> None:
    course = parse("kine 5 IU i.v. day 1, stop at any >= 4")
    doses, rules = expand_course(course, 3, LESIONS, GROUPS, KINE, 60.0, "here")
    assert doses[0].course == 3
    assert rules[0].course == 3


def test_without_into_all_solid_lesions_of_the_day_are_injected() -> None:
    doses, _ = expand("kine 5 IU intratumoural days 1, 6")
    assert [dose.lesions for dose in doses] == [("left",), ("left", "right")]


def test_a_group_means_its_members() -> None:
    assert expand("kine 5 IU intratumoural into both day 6")[0][0].lesions == ("left", "right")
    assert expand("kine 5 IU intratumoural into both, left day 6")[0][0].lesions == ("left", "right")


def test_a_dose_may_be_zero_and_an_inert_agent_needs_none() -> None:
    assert expand("kine 0 IU intratumoural day 6")[0][0].amount == 0.0
    assert expand("brine intratumoural in 0.1 mL day 6", units=AgentUnits(None, None, inert=True))[0][0].amount == 0.0


def test_iu_mass_and_moles_of_one_dose_make_the_same_line() -> None:
    amounts = [
        expand(f"kine {text} intravenous day 1")[0][0].amount
        for text in ("20000 IU", "1.224 ug", "0.08 nmol", "80 pmol")
    ]
    assert amounts == pytest.approx([80000.0] * 4, rel=1e-12)  # one or two roundings


# --- what is not understood ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["the dosing line is empty"]),
        ("kin 5 IU intravenous day 1", ["word 1 'kin'", "unknown agent 'kin'", "did you mean kine"]),
        ("hold while fever >= 3", ["word 1 'hold'", "quotes around the whole line"]),
        ("kine", ["at the end of 'kine'", "a route is expected"]),
        ("kine 5 IU", ["at the end", "a route is expected"]),
        (
            "kine 5 IU intravenus day 1",
            ["word 4 'intravenus'", "unknown route 'intravenus'", "did you mean intravenous"],
        ),
        ("kine intravenous day 1", ["the dose of kine is missing", "20000 IU"]),
        ("kine five IU intravenous day 1", ["word 2 'five'", "unknown route 'five'", "without a number"]),
        ("kine 5 intravenous day 1", ["word 2", "the dose '5' has no unit"]),
        ("kine 5 U intravenous day 1", ["word 2", "a bare 'U'", "U[Cetus]"]),
        ("kine 5 mm intravenous day 1", ["word 2", "'5 mm' is not a dose"]),
        ("kine 5 mL intravenous day 1", ["'5 mL' is not a dose"]),
        ("kine -5 IU intravenous day 1", ["word 2", "must not be negative"]),
        ("kine nan IU intravenous day 1", ["word 2", "not a finite number"]),
        ("kine inf IU intravenous day 1", ["word 2", "not a finite number"]),
        ("kine 20,000 IU intravenous day 1", ["word 2 '20'", "thousands separator"]),
        ("kine 20 000 IU intravenous day 1", ["word 2 '20'", "thousands separator", "write 20000"]),
        ("kine 20 000 000 IU intravenous day 1", ["word 2 '20'", "write 20000000, not 20 000 000"]),
        ("kine 9 IU intravenous daily days 10.5-14", ["word 7 '10.5-14'", "whole days", "from day 10.5 for 4 days"]),
        ("kine 9 IU intravenous days 10.5-14", ["word 6 '10.5-14'", "whole days", "days 10.5, 11.5"]),
        ("kine 9 IU intravenous q8h x99999999 from day 0", ["word 6 'x99999999'", "1 to 20000"]),
        ("kine 5 IU intravenous", ["at the end", "a schedule is expected", "daily days 10-14"]),
        ("kine 5 IU intravenous dayly days 1-3", ["word 5 'dayly'", "did you mean daily"]),
        ("kine 5 IU intravenous in 5 mm day 1", ["word 6", "'5 mm' is not a volume"]),
        ("kine 5 IU intravenous in day 1", ["word 6 'day'", "is expected here"]),
        ("kine 5 IU intravenous in 5 day 1", ["'5 day' is not a volume"]),
        ("kine 5 IU intravenous in 1 mL in 2 mL day 1", ["word 8 'in'", "given twice"]),
        ("kine 5 IU intravenous in -1 mL day 1", ["must not be negative"]),
        ("kine 5 IU intravenous over 5 mL day 1", ["not a time"]),
        ("kine 5 IU intravenous at 2 mm day 1", ["'at DISTANCE' belongs to peritumoural"]),
        ("kine 5 IU intravenous into left day 1", ["is not given into a lesion"]),
        ("kine 5 IU per lesion intravenous day 1", ["cannot be 'per lesion'"]),
        ("kine 5 IU intratumoural into lift day 1", ["unknown lesion 'lift'", "did you mean left"]),
        ("kine 5 IU intratumoural into left, left day 1", ["word 8 'left'", "named twice"]),
        ("kine 5 IU intratumoural into day 1", ["word 6 'day'", "the name of a lesion is expected"]),
        ("kine 5 IU intratumoural into fluid day 1", ["is a fluid cavity", "intraperitoneal"]),
        ("kine 5 IU intratumoural into right day 3", ["day 3 comes before the lesion 'right' exists (day 5)"]),
        ("kine 5 IU intravenous day", ["a day is expected"]),
        ("kine 5 IU intravenous day -3", ["word 6 '-3'", "a day is expected"]),
        ("kine 5 IU intravenous day 1, 4", ["word 5 'day'", "several days need 'days'"]),
        ("kine 5 IU intravenous days 1, 1", ["day 1 is given twice"]),
        ("kine 5 IU intravenous days 14-10", ["word 6 '14-10'", "the last day is before the first"]),
        ("kine 5 IU intravenous daily x0", ["number of doses must be 1 to"]),
        ("kine 5 IU intravenous daily x5 for 5 days", ["word 7 'for'", "given twice"]),
        ("kine 5 IU intravenous daily days 1-3 from day 4", ["given twice"]),
        ("kine 5 IU intravenous daily from 10", ["word 7 '10'", "'day' is expected"]),
        ("kine 5 IU intravenous daily for 5", ["has no unit"]),
        ("kine 5 IU intravenous q0h x3", ["word 5 'q0h'", "the interval must be between"]),
        ("kine 5 IU intravenous every 2 mL", ["not a time"]),
        ("kine 5 IU intravenous three weekly", ["word 6 'weekly'", "'times' is expected"]),
        ("kine 5 IU intravenous three times", ["at the end", "'weekly' or 'daily'"]),
        ("kine 5 IU intravenous day 70", ["a dose on day 70 is not before the end of follow-up (day 60)"]),
        ("kine 5 IU intravenous daily x70", ["is not before the end of follow-up"]),
        ("kine 5 IU intravenous daily from day 60", ["the course is not before the end of follow-up"]),
        ("kine 5 IU intravenous day 1 and day 2", ["word 7 'and'", "not understood after the schedule"]),
        ("kine 5 IU intravenous day 1,", ["a rule is expected after the comma"]),
        ("kine 5 IU intravenous day 1, until cure", ["word 9 'cure'", "'complete response' is expected"]),
        ("kine 5 IU intravenous day 1, hold fever >= 3", ["word 9 'fever'", "'while' is expected"]),
        ("kine 5 IU intravenous day 1, hold while fevers >= 3", ["word 10 'fevers'", "did you mean fever"]),
        ("kine 5 IU intravenous day 1, hold while fever > 3", ["word 11 '>'", "'>=' and a grade"]),
        ("kine 5 IU intravenous day 1, hold while fever >= 6", ["word 12 '6'", "a grade from 1 to 5"]),
        ("kine 5 IU intravenous day 1, stop if any >= 4", ["word 9 'if'", "'at' is expected"]),
        ("kine 5 IU intravenous day 1, stop at any >= 4, stop at any >= 4", ["the same rule is given twice"]),
        ("kine 5 IU in 1 mL intravenous day 1", ["word 4 'in'", "a route is expected before 'in'"]),
    ],
)
def test_errors_point_at_the_word(text: str, words: list[str]) -> None:
    found = message(text)
    assert found.startswith("here")
    for word in words:
        assert word in found


def test_a_solid_route_needs_a_solid_lesion() -> None:
    course = parse("kine 5 IU intratumoural day 1")
    with pytest.raises(InputError, match="no solid lesion"):
        expand_course(course, 0, LESIONS[2:], GROUPS, KINE, 60.0, "here")
    with pytest.raises(InputError, match="comes before the lesion 'right' exists"):
        expand_course(course, 0, LESIONS[1:2], GROUPS, KINE, 60.0, "here")


def test_a_schedule_has_an_upper_limit() -> None:
    with pytest.raises(InputError, match=f"more than {MAX_DOSES} doses"):
        expand("kine 5 IU intravenous every 15 min", follow_up=3000)


WORDS = st.sampled_from(
    [
        *AGENTS,
        *ROUTES,
        *MODIFIERS,
        *SCHEDULES,
        *RULES,
        "IU",
        "mL",
        "mm",
        "5",
        "10-14",
        "x3",
        "q8h",
        "from",
        "for",
        "until",
        "complete",
        "response",
        "while",
        "any",
        ">=",
        ",",
        "left",
        "both",
        "times",
        "weekly",
        "U[Cetus]",
        "/kg",
        "-1",
        "1e400",
        "nan",
        "·",
    ]
)


@given(st.lists(WORDS, max_size=14).map(" ".join))
def test_random_words_give_doses_or_an_input_error(text: str) -> None:
    found = attempt(expand, text)
    assert isinstance(found, InputError) or all(0 <= dose.time < 60 * 24 for dose in found[0])


@given(st.lists(WORDS, max_size=8).map(lambda words: " ".join(["kine", "5 IU", "intratumoural", *words])))
def test_random_endings_give_doses_or_an_input_error(text: str) -> None:
    found = attempt(expand, text)
    assert isinstance(found, InputError) or found[0]


@given(st.text(max_size=60))
def test_random_text_gives_a_course_or_an_input_error(text: str) -> None:
    for line in (text, f"kine {text}", f"kine 5 IU intravenous {text}"):
        assert isinstance(attempt(parse, line), (Course, InputError))
