"""Scenarios and dose tables made at random from the words that people write: never a traceback, a hang or a file.

Every example has a deadline; what loads is described and written as a dose table, which must come back as the same doses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locokine.errors import InputError
from locokine.parameters import load_library
from locokine.scenario import Experiment, load
from locokine.scenario.describe import describe
from locokine.scenario.dose_table import read_table, write_table
from locokine.scenario.grammar import NOT_SIMULATED, ROUTES
from small_library import attempt

LIBRARY = load_library()
HOSTED = {
    host: [name for name, line in LIBRARY.lines.items() if host in line.meta["hosts"]] for host in LIBRARY.hosts
}
"""Host → lines that grow in it."""
DEADLINE = 5000.0
"""ms for one example; the slowest takes a tenth of that on a slow machine."""

def mostly(good: Sequence[Any], bad: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Nine right choices in ten: a scenario of twenty choices would hardly ever load otherwise."""
    return st.integers(0, 9).flatmap(lambda dice: st.sampled_from(bad if dice == 9 else good))


NAMES = st.sampled_from(["flank", "ascites", "spot"])
AMOUNTS = mostly(
    ["20000 IU", "3 MIU", "1e6 IU/m2/day", "600000 IU/kg", "5000 U[Cetus]", "1.2 ug", "80 pmol", "0 IU", "5 IU per kg"],
    ["20 mL", "-5 IU", "5", "1e400 IU", "nan IU", "20,000 IU", "3 IU/h", "5 IU/kg per m2", "5 IU per kg per lesion", ""],
)
MODIFIERS = mostly(
    ["in 0.1 mL", "over 15 min", "over 7 h", ""],
    ["in 1e9 L", "over 0 h", "into flank", "into spot", "into ascites", "at 2 mm", "fan of 12", "in -1 mL", "over 5"],
)
SCHEDULES = mostly(
    ["daily days 10-14", "day 7", "days 7, 9, 14", "daily x5 from day 10", "every 2 days days 7-19", "q8h x14 from day 9",
     "q8h x14 from day 8 repeated every 14 days x2", "weekly from day 7", "three times weekly from day 7 for 2 weeks",
     "on Mon, Wed, Fri from day 7 for 2 weeks", "Mon-Fri from day 7", "weekdays days 7-20",
     "daily x5 from day 7 then 2 days rest", "daily x3 from day 7 then 9 days rest x3", "days 8-9 repeated every 11 days"],
    ["daily", "days 0-99999", "every 15 min", "every 0 days", "daily x20000 repeated every 1 days x20000", "on", "then", "day -1",
     "days 0-4 repeated every 2 days", ""],
)
ACTS = mostly(
    ["radiotherapy 2 Gy", "radiotherapy 20 Gy to flank", "radiotherapy 1.5Gy to flank, spot", "resection of flank",
     "resection of flank leaving 0.1 %", "resection of spot leaving 1e4 cells"],
    ["radiotherapy", "radiotherapy 2", "radiotherapy nan Gy", "radiotherapy 1e9 Gy to flank", "resection", "resection of",
     "resection of ascites", "resection of flank leaving", "resection of flank leaving 200 %",
     "resection of flank leaving % cells"],
)
SPLIT = {"seeded-by": "flank"}
"""A lesion that begins empty."""
RULES = mostly(
    ["", ", until complete response", ", hold while hypotension >= 3", ", stop at any >= 4", ", reduce to 50 % at fever >= 3"],
    [", reduce to 0 % at fever >= 3", ", reduce to 50 %", ", hold", ", until", ", stop at any > 4"],
)
AGENTS = mostly(list(LIBRARY.agents), ["aldesleukine", "table"])
ROUTE_WORDS = mostly(list(ROUTES), [*NOT_SIMULATED, "by mouth"])


@st.composite
def dosing_lines(draw: st.DrawFn) -> str:
    """A line of the language, most of its parts in order, sometimes with a word too many or too few."""
    words = [draw(AGENTS), draw(AMOUNTS), draw(ROUTE_WORDS), draw(MODIFIERS), draw(SCHEDULES)]
    if draw(st.integers(0, 5)) == 0:
        words = [draw(ACTS), draw(SCHEDULES)]
    damage = draw(st.integers(0, 19))
    if damage == 18:
        words.pop(draw(st.integers(0, len(words) - 1)))
    elif damage == 19:
        words.insert(draw(st.integers(0, len(words))), draw(st.text(max_size=8)))
    return " ".join(words) + draw(RULES)


@st.composite
def lesions(draw: st.DrawFn, line: str) -> dict[str, Any]:
    """One lesion, not always of a kind that exists."""
    made: dict[str, Any] = {"line": line, **draw(mostly(
        [{"cells": "1e6 cells"}, {"volume": "300 mm3"}, {"diameter": "9 mm"}], [{}, {"cells": "1e6", "volume": "1 mm3"}]
    ))}
    cavities = ["peritoneum", "subcutis", "pleura", "bladder"]
    made["site"] = draw(mostly(["subcutis", "skin"] if "cells" not in made else cavities, ["node", "lung", 5]))
    made["day"] = draw(mostly([0, 3, 3.5], [-1, float("nan"), 1e9]))
    made["count"] = draw(mostly([1, 3], [0, 1001]))
    return made


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, Any]:
    """A scenario, right or nearly right."""
    host = draw(mostly([name for name in HOSTED if HOSTED[name]], ["mousse", "human"]))
    lines = mostly(HOSTED.get(host) or ["sl2"], ["sl3", "boscc"])
    made = {name: draw(lesions(draw(lines))) for name in draw(st.lists(NAMES, min_size=1, max_size=2, unique=True))}
    if "flank" in made and draw(st.booleans()):
        extra = draw(mostly([{}], [{"cells": "5 cells"}, {"count": 2}, {"site": "skin"}]))
        made["node"] = {"line": made["flank"]["line"], **SPLIT, **extra}
    arms = st.dictionaries(mostly(["a", "b"], ["naive"]), st.lists(dosing_lines(), max_size=2), min_size=1, max_size=2)
    return {
        "experiment": "random", "host": host, "lesions": made, "arms": draw(arms), "subjects": 2,
        "follow-up": draw(mostly(["60 days", "20 weeks"], ["1 h", "0 days", "60"])),
        "geometry": draw(mostly(["shells", "well-mixed"], ["block"])),
    }


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every test runs in an empty folder and leaves it empty."""
    monkeypatch.chdir(tmp_path)
    yield
    assert os.listdir(tmp_path) == []


def check(found: Any) -> None:
    """What loads can be described, and its doses survive a dose table."""
    if isinstance(found, InputError):
        assert "\n" not in str(found)
        assert found.problem
        return
    assert isinstance(found, Experiment)
    assert describe(found).arms
    names = [plan.name for plan in found.protocol.lesions]
    table = write_table(found)
    for arm in found.protocol.arms:
        lines = read_table(table, "table", arm.name, names) if arm.doses else []
        source = {**found.source, "arms": {arm.name: lines}}
        (again,) = load(source).protocol.arms
        assert len(again.doses) == len(arm.doses)
        for one, other in zip(arm.doses, again.doses, strict=True):
            assert one.time == pytest.approx(other.time, rel=1e-12, abs=1e-9)  # through days and back
            assert one.amount == pytest.approx(other.amount, rel=1e-12, nan_ok=True)


@settings(max_examples=150, deadline=DEADLINE)
@given(scenario=scenarios())
def test_random_scenarios(scenario: dict[str, Any]) -> None:
    check(attempt(load, scenario))


SOLID = {
    "experiment": "random", "host": "dba2_mouse", "follow-up": "80 days",
    "lesions": {"flank": {"line": "sl2", "site": "subcutis", "cells": "1e6 cells"},
                "ascites": {"line": "p815", "site": "peritoneum", "cells": "2e4 cells"}},
}


@settings(max_examples=200, deadline=DEADLINE)
@given(line=dosing_lines())
def test_random_dosing_lines(line: str) -> None:
    check(attempt(load, {**SOLID, "arms": {"a": [line]}}))


@settings(max_examples=60, deadline=DEADLINE)
@given(text=st.text(max_size=40))
def test_random_tails_of_table_lines(text: str) -> None:
    found = attempt(load, {**SOLID, "arms": {"a": [f"table {text}"]}})
    assert isinstance(found, InputError)


@settings(max_examples=100, deadline=DEADLINE)
@given(
    position=st.integers(0, 400), removed=st.integers(0, 6), added=st.text(max_size=5),
)
def test_a_damaged_table_is_doses_or_an_input_error(position: int, removed: int, added: str) -> None:
    table = write_table(load({**SOLID, "arms": {
        "a": ["aldesleukin 20000 IU intratumoural in 0.1 mL daily x3", "aldesleukin 3 IU/kg/h intravenous over 8 h day 2"],
        "b": ["vehicle intracavitary in 0.5 mL weekly x2", "aldesleukin 3 IU intra-arterial into flank day 2"],
    }}))
    damaged = table[:position] + added + table[position + removed:]
    found = attempt(read_table, damaged, "table", "a", ["flank", "ascites"])
    assert isinstance(found, InputError) or found
