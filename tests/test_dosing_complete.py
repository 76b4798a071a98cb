"""The rest of the dosing language: rates, body surface, days of the week, cycles, cavities, fans, what is not simulated."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locokine.errors import InputError
from locokine.scenario import load
from locokine.scenario.amounts import AgentUnits, parse_amount
from locokine.scenario.dosing import expand_course, parse_course
from locokine.scenario.grammar import NOT_SIMULATED
from locokine.scenario.protocol import Dose, LesionPlan

KINE = AgentUnits(15.3, 4.0)
SOLID = LesionPlan("flank", "alpha", "subcutis", cells=1e6)
FLUID = LesionPlan("ascites", "alpha", "peritoneum", cells=1e4, day=2)
SURFACE = 0.025
"""m²/kg, about that of a man."""


def expand(
    text: str, follow_up: float = 60.0, lesions: tuple[LesionPlan, ...] = (SOLID, FLUID), surface: float | None = SURFACE
) -> tuple[Dose, ...]:
    groups = {plan.name: (plan.name,) for plan in lesions}
    course = parse_course(text, "here", ("kine",))
    return expand_course(course, 0, lesions, groups, KINE, follow_up, "here", surface)[0]


def days(schedule: str, follow_up: float = 60.0) -> list[float]:
    return [dose.time / 24.0 for dose in expand(f"kine 5 IU intravenous {schedule}", follow_up)]


def message(text: str, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        expand(text, **options)  # type: ignore[arg-type]
    assert caught.value.remedy
    return str(caught.value)


# --- amounts ---


def test_an_amount_per_square_metre_follows_the_body_surface() -> None:
    """1e6 IU/m² at 0.025 m²/kg are 25,000 IU/kg, 4 fmol each."""
    (dose,) = expand("kine 1e6 IU/m2 intravenous day 1")
    assert math.isnan(dose.amount)
    assert dose.amount_per_kg == pytest.approx(1e6 * 0.025 * 4.0, rel=1e-12)  # three products of doubles


@pytest.mark.parametrize("text", ["1e6 IU/m2", "1e6 IU per m2", "1e6 IU per m²", "1 MIU/m2", "1 MIU/m²"])
def test_a_square_metre_may_be_written_in_words(text: str) -> None:
    assert expand(f"kine {text} intravenous day 1")[0].amount_per_kg == pytest.approx(1e5, rel=1e-12)


def test_per_kg_per_host_and_per_lesion_in_words() -> None:
    assert expand("kine 5 IU per kg intravenous day 1")[0].amount_per_kg == 20.0
    assert expand("kine 5 IU per host intravenous day 1")[0].amount == 20.0
    dose = expand("kine 5 IU per kg per lesion intratumoural day 1")[0]
    assert (dose.per_lesion, dose.amount_per_kg) == (True, 20.0)


def test_units_of_a_supplier_from_before_the_standard() -> None:
    assert expand("kine 5000 U[Cetus] intravenous day 1")[0].amount == 5000 * 6 * 4  # 6 IU a unit, 4 fmol an IU


@pytest.mark.parametrize(
    ("unit", "per", "rate"),
    [("IU", "host", False), ("IU/kg", "kg", False), ("IU/m2", "m2", False), ("ug/day", "host", True),
     ("nmol/kg/h", "kg", True), ("IU/m2/day", "m2", True), ("U[Roche]/m2/day", "m2", True)],
)
def test_what_an_amount_is_per(unit: str, per: str, rate: bool) -> None:
    amount = parse_amount(f"3 {unit}")
    assert (amount.per, amount.rate) == (per, rate)


@pytest.mark.parametrize("unit", ["IU/kg/m2", "IU/day2", "IU/mL", "1/day", "IU2", "m2"])
def test_what_is_no_amount(unit: str) -> None:
    with pytest.raises(InputError, match="is not a dose"):
        parse_amount(f"3 {unit}")


# --- infusions ---


def test_a_continuous_infusion_day_by_day() -> None:
    """Five days at 1e6 IU/m²/day: each dose runs 24 h, ends as the next begins, and gives one day's amount."""
    doses = expand("kine 1e6 IU/m2/day intravenous days 0-4")
    assert [dose.time for dose in doses] == [0.0, 24.0, 48.0, 72.0, 96.0]
    assert {dose.duration for dose in doses} == {24.0}
    assert sum(dose.amount_per_kg for dose in doses) == pytest.approx(5 * 1e5, rel=1e-12)


def test_a_rate_over_a_stated_time() -> None:
    (dose,) = expand("kine 3000 IU/kg/h intravenous over 8 h day 2")
    assert (dose.duration, dose.amount_per_kg) == (8.0, pytest.approx(3000 * 8 * 4, rel=1e-12))
    assert [dose.duration for dose in expand("kine 6 IU/day intravenous over 24 h weekly x2")] == [24.0, 24.0]


def test_infusions_must_not_overlap() -> None:
    said = message("kine 3000 IU/kg/h intravenous q8h x3")
    assert "infusions of 24 h every 8 h would overlap" in said
    assert "over 8 h" in said


# --- schedules ---


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("on Mon, Wed, Fri for 2 weeks", [0, 2, 4, 7, 9, 11]),
        ("Mon-Fri for 2 weeks", [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]),
        ("weekdays days 0-6", [0, 1, 2, 3, 4]),
        ("on Monday and Thursday for 1 week", [0, 3]),
        ("on Monday Thursday", None),
        ("on tuesdays x3", [1, 8, 15]),
        ("on Mon, Wed from day 3 x3", [7, 9, 14]),  # day 3 is a Thursday
        ("on Sat-Mon x4", [0, 5, 6, 7]),
        ("daily x5 repeated every 14 days x2", [0, 1, 2, 3, 4, 14, 15, 16, 17, 18]),
        ("daily x5 then 2 days rest x2", [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]),
        ("days 1-2 then 5 days rest x3 cycles", [1, 2, 8, 9, 15, 16]),
        ("weekly x2 then 2 weeks rest x2", [0, 7, 28, 35]),  # a cycle of two weeks and two of rest
        ("q8h x3 repeated every 1 week x2", [0, 1 / 3, 2 / 3, 7, 7 + 1 / 3, 7 + 2 / 3]),
        ("three times weekly for 1 week then 1 week rest", [0, 2, 4, 14, 16, 18, 28, 30, 32, 42, 44, 46, 56, 58]),
        ("day 3 repeated every 10 days", [3, 13, 23, 33, 43, 53]),
    ],
)
def test_weekdays_cycles_and_rest(schedule: str, expected: list[float] | None) -> None:
    if expected is None:
        assert "not understood after the schedule" in message(f"kine 5 IU intravenous {schedule}")
    else:
        assert days(schedule) == pytest.approx(expected, abs=1e-12)


@given(
    block=st.integers(1, 6), rest=st.integers(0, 9), cycles=st.integers(1, 5), start=st.integers(0, 9)
)
def test_cycles_are_the_first_one_moved(block: int, rest: int, cycles: int, start: int) -> None:
    text = f"daily x{block} from day {start} repeated every {block + rest} days x{cycles}"
    wanted = [start + cycle * (block + rest) + day for cycle in range(cycles) for day in range(block)]
    assert days(text, follow_up=200.0) == pytest.approx(wanted, abs=1e-9)


@given(first=st.integers(0, 6), second=st.integers(0, 6), start=st.integers(0, 30))
def test_every_weekday_falls_on_its_day(first: int, second: int, start: int) -> None:
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    if first == second:
        return
    found = days(f"on {names[first]}, {names[second]} from day {start} x6")
    assert {int(day) % 7 for day in found} == {first, second}
    assert start <= found[0] < start + 7
    assert len(found) == 6


def test_long_lists_of_days_are_read_at_once() -> None:
    """A hundred thousand days took minutes when each was looked for among those before it."""
    import time

    begun = time.perf_counter()
    assert "not before the end of follow-up" in message("kine 5 IU intravenous days 0-19999")
    assert "more than" in message("kine 5 IU intravenous days 0-99999")
    assert time.perf_counter() - begun < 5.0


# --- where ---


def test_into_the_cavity_where_the_tumour_is() -> None:
    for text in ("kine 5 IU intracavitary day 3", "kine 5 IU intracavitary into ascites day 3"):
        (dose,) = expand(text)
        assert (dose.route, dose.lesions, dose.per_lesion) == ("intraperitoneal", (), False)


def test_a_fan_around_a_lesion() -> None:
    (dose,) = expand("kine 5 IU peritumoural at 2 mm fan of 12 injections day 1")
    assert (dose.points, dose.distance, dose.amount) == (12, 2.0, 20.0)


def test_several_agents_in_an_arm_are_several_lines() -> None:
    from locokine.scenario import load

    made = load({
        "experiment": "two", "host": "dba2_mouse",
        "lesions": {"flank": {"line": "sl2", "site": "subcutis", "cells": "1e6 cells"}},
        "arms": {"both": ["aldesleukin 5 IU intratumoural day 3", "inert_protein 1 ug intravenous day 3"]},
        "follow-up": "9 days",
    })
    assert made.protocol.agents == ("aldesleukin", "inert_protein")
    assert [dose.agent for dose in made.protocol.arms[0].doses] == ["aldesleukin", "inert_protein"]


def test_a_lesion_may_be_called_like_a_new_word() -> None:
    """What was understood before the words were added still is."""
    lesions = (LesionPlan("fan", "alpha", "subcutis", cells=1e6), LesionPlan("mon", "alpha", "subcutis", cells=1e6))
    assert expand("kine 5 IU intratumoural into fan, mon day 1", lesions=lesions)[0].lesions == ("fan", "mon")


# --- what is not understood, or not simulated ---


@pytest.mark.parametrize("route", NOT_SIMULATED)
def test_routes_that_are_not_simulated_say_so(route: str) -> None:
    said = message(f"kine 5 IU {route} day 1")
    assert f"the route {route} is not simulated yet" in said
    assert f"word 4 '{route}'" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kine 5 IU intravenous day 1, reduce to 0 % at any >= 2", ["a share of the dose"]),
        ("kine 5 IU intravenous day 1, reduce to 50 % while any >= 2", ["'at' is expected"]),
        ("kine 5 IU intravenous day 1, reduce by half at any >= 2", ["a share of the dose"]),
        ("kine 5 IU intravenous fan of 6 day 1", ["belongs to injections into or beside a tumour"]),
        ("kine 5 IU peritumoural fan of 1 day 1", ["from 2 to 100"]),
        ("kine 5 IU peritumoural fan of many day 1", ["from 2 to 100"]),
        ("kine 5 IU intracavitary into flank day 3", ["'flank' is not in a cavity"]),
        ("kine 5 IU intracavitary day 1", ["before the lesion 'ascites' exists (day 2)"]),
        ("kine 5 IU per lesion intracavitary day 3", ["cannot be 'per lesion'"]),
        ("kine 5 IU per lesion per host intratumoural day 3", ["word 7 'host'", "said twice"]),
        ("kine 5 IU per gram intravenous day 3", ["word 5 'gram'", "write per lesion, per host, per kg or per m2"]),
        ("kine 5 IU/kg per m2 intravenous day 3", ["is not a dose"]),
        ("kine 5 IU intravenous on day 3", ["word 6 'day'", "a day of the week is expected"]),
        ("kine 5 IU intravenous on Mon, Mon x2", ["given twice"]),
        ("kine 5 IU intravenous daily repeated every 9 days", ["of no stated length"]),
        ("kine 5 IU intravenous daily x5 repeated every 4 days", ["would begin before this one ends"]),
        ("kine 5 IU intravenous daily x5 then 9 days", ["'rest' is expected"]),
        ("kine 5 IU intravenous daily x5 repeated every 9 days x9", ["not before the end of follow-up"]),
    ],
)
def test_errors_point_at_the_word(text: str, words: list[str]) -> None:
    said = message(text)
    for word in words:
        assert word in said


def test_a_cavity_needs_a_lesion_in_it() -> None:
    assert "no lesion in a cavity" in message("kine 5 IU intracavitary day 3", lesions=(SOLID,))
    both = (FLUID, LesionPlan("second", "alpha", "peritoneum", cells=1e4))
    assert "one of several cavities" in message("kine 5 IU intracavitary into second day 3", lesions=both)


def test_a_host_without_body_surface() -> None:
    assert "body surface of this host is not known" in message("kine 5 IU/m2 intravenous day 3", surface=None)


# --- words that a lab uses as well ---


def doses_of(line: str) -> list[str]:
    """All that can be said about the doses of a line; there is at least one."""
    return [repr(dose) for dose in expand(line)] or [f"nothing in {line}"]


def test_a_rate_without_a_route_goes_into_the_blood() -> None:
    infused = doses_of("kine 1e6 IU/m2/day intravenous days 0-4")
    assert doses_of("kine 1e6 IU/m2/day days 0-4") == doses_of("kine 1e6 IU/m2/day iv days 0 to 4") == infused
    assert doses_of("kine 30 IU/h intravenous over 8 h day 2") == doses_of("kine 30 IU/h over 8 h day 2")


@pytest.mark.parametrize("words", ["days 0-4", "daily x5", "in 0.1 mL day 3", "q8h x3", "Mon-Fri"])
def test_an_amount_without_a_route_asks_for_one(words: str) -> None:
    assert f"a route is expected before '{words.split()[0]}'" in message(f"kine 20000 IU {words}")


def test_per_lesion_and_per_host_as_a_unit() -> None:
    lesion, host = doses_of("kine 5 IU per lesion intratumoural day 3"), doses_of("kine 5 IU per host intravenous day 3")
    assert doses_of("kine 5 IU/lesion intratumoural day 3") == doses_of("kine 5IU/lesion i.t. day 3") == lesion
    assert doses_of("kine 5 IU/host intravenous day 3") == doses_of("kine 5 IU intravenous day 3") == host
    assert doses_of("kine 5 IU/kg per lesion intratumoural day 3") == doses_of("kine 5 IU/lesion/kg intratumoural day 3")
    assert "said twice" in message("kine 5 IU/lesion per host intratumoural day 3")


@pytest.mark.parametrize(
    ("short", "long"),
    [("iv", "intravenous"), ("SC", "subcutaneous"), ("ip", "intraperitoneal"), ("it", "intratumoural"), ("pt", "peritumoural"),
     ("ia", "intra-arterial")],
)
def test_routes_without_dots(short: str, long: str) -> None:
    assert doses_of(f"kine 5 IU {long} day 3") == doses_of(f"kine 5 IU {short} day 3")


def test_and_and_to_between_days() -> None:
    assert days("Mon, Wed and Fri for 1 weeks") == days("Mon, Wed, and Fri for 1 weeks") == [0.0, 2.0, 4.0]
    assert days("days 1, 4 and 9") == days("days 1 and 4, and 9") == [1.0, 4.0, 9.0]
    assert days("days 2 to 4") == days("daily days 2 to 4") == [2.0, 3.0, 4.0]
    assert "the last day is before the first" in message("kine 5 IU iv days 4 to 2")
    assert "several days need 'days'" in message("kine 5 IU iv day 4 and 5")


def test_a_number_after_several_times_a_day_must_say_what_of() -> None:
    """`twice daily x5` was read as five doses, and five days are meant as often."""
    assert "x5 may mean 5 doses or 5 days; write x5 doses, or for 5 days" in message("kine 5 IU iv twice daily x5")
    assert "x2 may mean 2 doses or 2 weeks" in message("kine 5 IU iv three times weekly x2 from day 1")
    assert days("twice daily x5 doses") == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert len(days("twice daily for 5 days")) == 10
    assert len(days("daily x5")) == len(days("once daily x5")) == len(days("daily x5 doses")) == 5


def test_a_metastasis_that_is_not_there_yet_is_not_injected_unless_it_is_named() -> None:
    node = LesionPlan("node", "alpha", "node", cells=0.0, seeded_by="flank")
    (dose,) = expand("kine 5 IU intratumoural day 3", lesions=(SOLID, node))
    assert dose.lesions == ("flank",)
    (dose,) = expand("kine 5 IU intratumoural into flank and node day 3", lesions=(SOLID, node))
    assert dose.lesions == ("flank", "node")


BASE = {
    "experiment": "words", "host": "dba2_mouse", "follow-up": "30 days",
    "lesions": {"flank": {"line": "sl2", "site": "subcutis", "cells": "1e6 cells"}},
}


@pytest.mark.parametrize(
    ("written", "read"),
    [("rIL-2 5 IU iv day 3", "aldesleukin"), ("proleukin 5 IU iv day 3", "aldesleukin"), ("PEG-rIL-2 5 IU it day 3", "peg_il2"),
     ("not-alpha IL-2 5 IU it day 3", "beta_biased_il2"), ("CY 1 mg ip day 3", "cyclophosphamide")],
)
def test_other_names_of_agents(written: str, read: str) -> None:
    made = load({**BASE, "arms": {"a": [written]}})
    assert made.protocol.agents == (read,)
    assert made.protocol.arms[0].text[0].split()[0] == read  # what `locokine check` shows


def test_a_name_that_two_agents_share_is_told(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text("entries:\n  mine: {inherits: peg_il2, meta: {synonyms: [RIL-2]}}\n")
    with pytest.raises(InputError, match="'rIL-2' may be aldesleukin or mine"):
        load({**BASE, "library": [str(tmp_path)], "arms": {"a": ["rIL-2 5 IU iv day 3"]}})


def test_an_inherited_synonym_is_not_one(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text("entries:\n  mine: {inherits: peg_il2}\n")
    made = load({**BASE, "library": [str(tmp_path)], "arms": {"a": ["PEG-rIL-2 5 IU it day 3"]}})
    assert made.protocol.agents == ("peg_il2",)


@pytest.mark.parametrize("agent", ["vehicle", "saline"])
def test_a_solvent_has_no_amount(agent: str) -> None:
    with pytest.raises(InputError, match="carries no substance"):
        load({**BASE, "arms": {"a": [f"{agent} 5 ug intratumoural in 0.1 mL day 3"]}})
