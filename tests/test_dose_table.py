"""Dose tables: what is written, that it comes back as the same doses, and what every mistake in one says."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from locokine.errors import InputError
from locokine.scenario import Experiment, load
from locokine.scenario.dose_table import COLUMNS, EXTRA, Choice, read_table, write_table
from locokine.scenario.protocol import Dose
from small_library import attempt

LESIONS = ["flank", "axilla"]
LINES = {
    "untreated": [],
    "local": ["aldesleukin 20000 IU intratumoural in 0.1 mL into flank daily days 10-14"],
    "around": ["aldesleukin 300 IU/kg per lesion peritumoural in 0.2 mL at 2.5 mm fan of 12 daily x12 from day 3"],
    "systemic": ["aldesleukin 600000 IU/kg intravenous over 15 min q8h x14 repeated every 14 days x2"],
    "infusion": ["aldesleukin 1e6 IU/m2/day intravenous days 0-4", "aldesleukin 1.2 ug subcutaneous Mon-Fri for 2 weeks"],
    "artery and fan": ["aldesleukin 20000 IU intra-arterial over 2 h into flank days 3, 5",
                       "aldesleukin 20000 IU intratumoural in 0.1 mL fan of 5 into axilla day 4"],
    "drug": ["cyclophosphamide 50 mg per kg intraperitoneal day 9", "radiotherapy 2 Gy to flank day 9"],
    "rays alone": ["radiotherapy 2.5 Gy to flank daily x3 from day 9", "resection of axilla, flank leaving 0.1 % day 20"],
    "knife alone": ["resection of flank day 8", "resection of axilla leaving 1e4 cells day 9.5"],
    "odd": ["vehicle intraperitoneal in 0.5 mL days 1, 4, 9", "inert_protein 0.3 nmol intravenous over 7 h day 2.25"],
}


def experiment(arms: dict[str, Any], path: Path | None = None) -> Experiment:
    content = {
        "experiment": "tables", "host": "dba2_mouse", "follow-up": "60 days", "arms": arms,
        "lesions": {name: {"line": "sl2", "site": "subcutis", "cells": "1e6 cells"} for name in LESIONS},
    }
    if path is None:
        return load(content)
    import json

    path.write_text(json.dumps(content))
    return load(path)


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table)))


def same(one: Dose, other: Dose) -> bool:
    """Equal but for the line they come from; times and amounts to a few roundings (1e-12)."""
    assert one.time == pytest.approx(other.time, rel=1e-12, abs=1e-9)
    assert one.duration == pytest.approx(other.duration, rel=1e-12)
    for first, second in ((one.amount, other.amount), (one.amount_per_kg, other.amount_per_kg)):
        assert (math.isnan(first) and math.isnan(second)) or first == pytest.approx(second, rel=1e-12)
    keep = {"time": 0.0, "duration": 0.0, "amount": 0.0, "amount_per_kg": 0.0, "course": 0}
    return repr(replace(one, **keep)) == repr(replace(other, **keep))  # nan equals nan


# --- out ---


def test_equal_doses_become_one_record_with_interval_and_number() -> None:
    table = rows(write_table(experiment({"local": LINES["local"]})))
    assert list(table[0]) == [*COLUMNS, *EXTRA]
    (row,) = table
    wanted = {"ID": "1", "TIME": "240", "AMT": "20000", "RATE": "0", "CMT": "1001", "EVID": "1", "II": "24", "ADDL": "4"}
    assert {name: row[name] for name in COLUMNS} == wanted
    assert (row["UNIT"], row["ROUTE"], row["LESION"], row["VOLUME"]) == ("IU", "intratumoural", "flank", "100")


def test_the_rate_of_an_infusion_is_amount_over_duration() -> None:
    (row,) = rows(write_table(experiment({"drip": ["aldesleukin 24000 IU/day intravenous days 0-4"]})))
    assert (row["AMT"], row["RATE"], row["II"], row["ADDL"]) == ("24000", "1000", "24", "4")


def test_all_doses_are_counted_once() -> None:
    made = experiment(LINES)
    table = rows(write_table(made))
    for number, arm in enumerate(made.protocol.arms, 1):
        mine = [row for row in table if row["ID"] == str(number) and row["EVID"] == "1"]
        assert sum(1 + int(row["ADDL"]) for row in mine) == len(arm.doses)


# --- there and back ---


def test_doses_come_back_through_a_table(tmp_path: Path) -> None:
    made = experiment(LINES)
    (tmp_path / "doses.csv").write_text(write_table(made))
    arms = {name: ["table doses.csv"] if lines else [] for name, lines in LINES.items()}
    again = experiment(arms, tmp_path / "scenario.yaml")
    for arm, back in zip(made.protocol.arms, again.protocol.arms, strict=True):
        assert len(arm.doses) == len(back.doses)
        assert all(same(one, other) for one, other in zip(arm.doses, back.doses, strict=True))
        for one, other in zip(arm.acts, back.acts, strict=True):  # each is a line of its own now
            assert one.time == pytest.approx(other.time, rel=1e-12)
            assert repr(replace(one, course=0, time=0.0)) == repr(replace(other, course=0, time=0.0))


def test_a_table_comes_back_as_itself(tmp_path: Path) -> None:
    table = write_table(experiment(LINES))
    (tmp_path / "doses.csv").write_text(table)
    arms = {name: ["table doses.csv"] if lines else [] for name, lines in LINES.items()}
    assert write_table(experiment(arms, tmp_path / "scenario.yaml")) == table


def test_what_was_read_from_a_table_is_complete_in_the_resolved_scenario(tmp_path: Path) -> None:
    (tmp_path / "doses.csv").write_text(write_table(experiment({"local": LINES["local"]})))
    made = experiment({"local": ["table doses.csv"]}, tmp_path / "scenario.yaml")
    (tmp_path / "doses.csv").unlink()
    assert made.resolved()["arms"]["local"] == [
        "aldesleukin 20000 IU intratumoural in 100 mm3 into flank every 24 h x5 from day 10"
    ]
    assert load(made.resolved()).protocol == made.protocol


def test_radiotherapy_and_surgery_are_events_that_are_no_dose() -> None:
    """EVID 2 with AMT 0: what NONMEM passes over; records stand in the order of time."""
    made = rows(write_table(experiment({name: LINES[name] for name in ("drug", "rays alone")})))
    assert [(row["AGENT"], row["EVID"], row["AMT"], row["SIZE"], row["UNIT"]) for row in made if row["EVID"] == "2"] == [
        ("radiotherapy", "2", "0", "2", "Gy"), *[("radiotherapy", "2", "0", "2.5", "Gy")] * 3,
        ("resection", "2", "0", "0.1", "%"),
    ]
    assert [float(row["TIME"]) for row in made if row["ID"] == "2"] == [216.0, 240.0, 264.0, 480.0]
    assert made[-1]["LESION"] == "axilla flank"


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ("24,0,2,radiotherapy,IU,flank,2,0", "'IU' is not the unit of a radiotherapy"),
        ("24,0,2,radiotherapy,Gy,flank,.,0", "SIZE: is missing"),
        ("24,0,2,resection,cells,.,5,0", "does not say what is cut out"),
        ("24,0,2,radiotherapy,Gy,flank,2,3", "further times belong to doses"),
        ("24,0,2,observation,Gy,flank,2,0", "has no dose"),
    ],
)
def test_an_act_that_makes_no_sense_is_told(cells: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read_table(f"TIME,AMT,EVID,AGENT,UNIT,LESION,SIZE,ADDL\n{cells}\n", "t", "arm", LESIONS)
    assert told in str(caught.value)


@settings(max_examples=60)
@given(
    time=st.floats(0, 1000), amount=st.floats(1e-3, 1e9), rate=st.floats(1e-3, 1e9), interval=st.floats(0.25, 5000),
    more=st.integers(0, 50), compartment=st.sampled_from([1, 2, 3, 1001, 1002, 2002]),
)
def test_any_record_means_its_doses(
    time: float, amount: float, rate: float, interval: float, more: int, compartment: int
) -> None:
    """A NONMEM record by its definition: doses at TIME + k II for k = 0 … ADDL, each over AMT/RATE."""
    from locokine.scenario.amounts import AgentUnits
    from locokine.scenario.dosing import expand_course, parse_course
    from locokine.scenario.protocol import LesionPlan

    assume(more == 0 or amount / rate <= interval)  # infusions that overlap are refused
    table = f"TIME,AMT,RATE,CMT,EVID,II,ADDL\n{time!r},{amount!r},{rate!r},{compartment},1,{interval!r},{more}\n"
    (line,) = read_table(table, "t", "arm", LESIONS, Choice(agent="aldesleukin", unit="IU"))
    plans = tuple(LesionPlan(name, "sl2", "subcutis", cells=1.0) for name in LESIONS)
    course = parse_course(line, "here", ("aldesleukin",))
    doses, _ = expand_course(
        course, 0, plans, {name: (name,) for name in LESIONS}, AgentUnits(15.3, 4.0), 1e6, "here"
    )
    # times pass through days, to within a rounding of a double: 1e-12 of them, or 1e-9 h near zero
    assert [dose.time for dose in doses] == pytest.approx(
        [time + k * interval for k in range(more + 1)], rel=1e-12, abs=1e-9
    )
    assert doses[0].amount == pytest.approx(4.0 * amount, rel=1e-12)
    assert doses[0].duration == pytest.approx(amount / rate, rel=1e-11)  # twelve digits are written


# --- what comes from elsewhere ---


def test_a_plain_table_needs_agent_and_unit() -> None:
    table = "#ID TIME AMT RATE CMT EVID DV\n1 0 100 0 1 1 .\n1 4 . . 1 0 3.2\n2 0 200 50 1 1 .\n"
    lines = read_table(table, "t.dat", "arm", LESIONS, Choice("2", "aldesleukin", "IU"))
    assert lines == ["aldesleukin 200 IU intravenous over 4 h day 0"]


def test_separators_and_old_exponents() -> None:
    for mark in (",", ";", "\t"):
        table = mark.join(("TIME", "AMT", "CMT")) + "\n" + mark.join(("24", "1D3", "2")) + "\n"
        assert read_table(table, "t", "arm", [], Choice(agent="a", unit="IU")) == ["a 1000 IU subcutaneous day 1"]


def message(table: str, **choice: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_table(table, "t.csv", "arm", LESIONS, Choice(**({"agent": "a", "unit": "IU"} | choice)))
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("head", "row", "words"),
    [
        ("TIME,AMNT,CMT", "0,1,1", ["t.csv, row 1", "no column AMT", "did you mean AMNT"]),
        ("TME,AMT,CMT", "0,1,1", ["no column TIME"]),
        ("TIME,TIME,AMT", "0,0,1", ["two columns are called TIME"]),
        ("TIME,AMT,CMT", "0,1,7", ["t.csv, row 2, CMT", "7 is not a compartment", "1 intravenous"]),
        ("TIME,AMT,CMT", "0,1,1003", ["1003 is not a compartment"]),
        ("TIME,AMT,CMT", "0,1,1.5", ["not a whole number"]),
        ("TIME,AMT,CMT", "ten,1,1", ["row 2, TIME", "'ten' is not a number"]),
        ("TIME,AMT,CMT", "10:30,1,1", ["row 2, TIME", "is not a number"]),
        ("TIME,AMT,CMT", "-1,1,1", ["row 2, TIME", "at least 0"]),
        ("TIME,AMT,CMT", "0,nan,1", ["row 2, AMT", "not a finite number"]),
        ("TIME,AMT,CMT", "0,1e999,1", ["row 2, AMT", "not a finite number"]),
        ("TIME,AMT,CMT", ".,1,1", ["row 2, TIME", "is missing"]),
        ("TIME,AMT,CMT", "0,1,1,9", ["row 2", "4 columns instead of 3"]),
        ("TIME,AMT,CMT,EVID", "0,1,1,4", ["EVID", "a reset", "another ID"]),
        ("TIME,AMT,CMT,EVID", "0,1,1,9", ["9 is not a kind of event"]),
        ("TIME,AMT,CMT,SS", "0,1,1,1", ["a steady state is not simulated"]),
        ("TIME,AMT,CMT,RATE", "0,1,1,-2", ["a modelled rate"]),
        ("TIME,AMT,CMT,ADDL", "0,1,1,3", ["row 2, II", "need an interval"]),
        ("TIME,AMT,CMT,ADDL,II", "0,1,1,99999999,24", ["row 2, ADDL", "whole number up to"]),
        ("TIME,AMT,CMT,PER_LESION", "0,1,1,2", ["PER_LESION"]),
        ("TIME,AMT,CMT", '0,"1,1', ["is not a table"]),
        ("TIME,AMT,CMT,EVID", "0,.,1,0", ["has no dose"]),
        ("TIME,AMT", "0,1", ["row 2, CMT", "neither CMT nor ROUTE"]),
        ("TIME,AMT,CMT,DATE", "0,1,1,2021-03-04", ["row 2, DATE", "calendar", "TIME in h"]),
        ("TIME,AMT,CMT,DAT2", "0,1,1,04/03", ["row 2, DAT2", "calendar"]),
        ("TIME,AMT,CMT,DUR", "0,1,1,3", ["row 2, DUR", "DURATION"]),
        ("C,TIME,AMT,CMT", "12,0,1,1", ["row 2, C", "no mark of a comment"]),
        ("TIME,AMT,CMT,EVID,RATE", "0,0,1,1,5", ["row 2, RATE", "rate of nothing"]),
        ("TIME,AMT,CMT,RATE", "0,.,1,5", ["row 2, RATE", "rate of nothing"]),
        ("TIME,AMT,CMT,EVID", "0,5,1,0", ["row 2, AMT", "EVID 0 is not a dose"]),
        ("TIME,AMT,CMT,MDV", "0,5,1,0", ["row 2, MDV", "an observation"]),
        ("TIME,AMT,CMT,RATE,DURATION", "0,10,1,5,3", ["row 2, DURATION", "AMT/RATE is 2 h", "3 h"]),
        ("TIME,AMT,CMT,RATE,DURATION", "0,10,1,0,3", ["row 2, DURATION", "RATE 0 is a bolus"]),
        ("TIME,AMT,CMT,RATE,DURATION", "0,10,1,-2,3", ["row 2, RATE", "a modelled rate"]),
        ("TIME,AMT,CMT,ROUTE", "0,1,1,s.c.", ["row 2, CMT", "1 means intravenous", "ROUTE is s.c."]),
        ("TIME,AMT,CMT,LESION", "0,1,1001,axilla", ["row 2, CMT", "1001 means the lesion flank", "axilla"]),
    ],
)
def test_each_mistake_has_its_message(head: str, row: str, words: list[str]) -> None:
    said = message(f"{head}\n{row}\n")
    for word in words:
        assert word in said


def lines_of_table(table: str) -> list[str]:
    return read_table(table, "t.csv", "arm", LESIONS, Choice(agent="a", unit="IU"))


def test_comments_are_passed_over() -> None:
    """As `$DATA … IGNORE=C` and the default IGNORE=# do it; not even their numbers are looked at."""
    assert lines_of_table("C,ID,TIME,AMT,CMT\nC,1,0,999,1\n.,1,24,5,1\nc,1,x,y,77\n") == ["a 5 IU intravenous day 1"]
    assert lines_of_table("ID,TIME,AMT,CMT\n#1,0,999,1\n1,24,5,1\n") == ["a 5 IU intravenous day 1"]


@pytest.mark.parametrize("observation", ["48,0,1,.", "48,0,1,0", "48,0,1,1", "48,.,1,0"])
def test_without_evid_an_amount_of_zero_is_an_observation(observation: str) -> None:
    assert lines_of_table(f"TIME,AMT,CMT,MDV\n24,5,1,1\n{observation}\n") == ["a 5 IU intravenous day 1"]


def test_a_rate_and_a_duration_that_were_rounded_agree() -> None:
    """100/14.286 is 6.99986 h: the duration as stated counts."""
    table = "TIME,AMT,CMT,RATE,DURATION\n0,100,1,14.286,7\n"
    assert lines_of_table(table) == ["a 100 IU intravenous over 7 h day 0"]


def test_a_compartment_names_the_lesion_beside_a_route() -> None:
    table = "TIME,AMT,CMT,ROUTE\n0,1,1002,i.t.\n0,1,4,intrapleural\n0,1,3,intracavitary\n"
    assert lines_of_table(table) == [
        "a 1 IU i.t. into axilla day 0", "a 1 IU intrapleural day 0", "a 1 IU intracavitary day 0"
    ]


@pytest.mark.parametrize("line", ["aldesleukin 9 IU intravenous over 12 h every 8 h x3", "table doses.csv"])
def test_infusions_of_one_line_must_not_overlap(line: str, tmp_path: Path) -> None:
    (tmp_path / "doses.csv").write_text("TIME,AMT,RATE,CMT,II,ADDL,AGENT,UNIT\n0,12,1,1,8,2,aldesleukin,IU\n")
    with pytest.raises(InputError, match="infusions of 12 h every 8 h would overlap"):
        experiment({"drip": [line]}, tmp_path / "scenario.yaml")


def test_mistakes_of_choice() -> None:
    two = "ID,TIME,AMT,CMT\n1,0,1,1\n2,0,1,1\n"
    assert "several IDs (1, 2)" in message(two)
    assert "there is no ID 3" in message(two, number="3")
    assert "does not say what is given" in message(two, number="1", agent=None)
    assert "does not say the unit" in message(two, number="1", unit=None)
    assert "is empty" in message("\n \n")


def test_mistakes_in_the_line_name_the_arm(tmp_path: Path) -> None:
    def said(line: str) -> str:
        with pytest.raises(InputError) as caught:
            experiment({"local": [line]}, tmp_path / "scenario.yaml")
        return str(caught.value)

    assert "no such file" in said("table nowhere.csv")
    assert "arms.local[1]" in said("table")
    (tmp_path / "doses.csv").write_text("TIME,AMT,CMT,AGENT,UNIT\n0,1,1,aldesleukine,IU\n")
    assert "unknown agent 'aldesleukine'" in said("table doses.csv")
    assert "given twice" in said("table doses.csv id 1 id 2")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in said("table binary.csv")


# --- anything at all ---

CELLS = st.sampled_from(
    ["0", "1", "24", "-2", "1e6", ".", "", "nan", "IU", "aldesleukin", "intravenous", "1001", "x", '"', "1e400", "\x00"]
)
HEADS = st.sampled_from([*COLUMNS, *EXTRA, "SS", "DV", "time", "?"])


@given(
    head=st.lists(HEADS, max_size=8), body=st.lists(st.lists(CELLS, max_size=9), max_size=4),
    mark=st.sampled_from([",", ";", "\t", " "]),
)
def test_random_tables_are_lines_or_an_input_error(head: list[str], body: list[list[str]], mark: str) -> None:
    text = "\n".join(mark.join(cells) for cells in [["TIME", "AMT", *head], *body])
    found = attempt(read_table, text, "t", "arm", LESIONS, Choice(agent="aldesleukin", unit="IU"))
    assert isinstance(found, InputError) or all(line.startswith(("aldesleukin", "")) for line in found)


@given(text=st.text(max_size=120))
def test_random_text_is_lines_or_an_input_error(text: str) -> None:
    assert isinstance(attempt(read_table, text, "t", "arm", LESIONS), (list, InputError))
