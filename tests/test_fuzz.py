"""Scenarios and dose tables made at random from the words that people write: never a traceback, a hang or a file.

Every example has a deadline; what loads is described and written as a dose table, which must come back as the same doses.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locokine.errors import InputError
from locokine.parameters import load_library
from locokine.parameters.library import BUILTIN
from locokine.scenario import Experiment, load
from locokine.scenario.describe import describe
from locokine.scenario.dose_table import read_table, write_table
from locokine.scenario.experiment import agent_units
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
        lines = read_table(table, "table", arm.name, names) if arm.doses or arm.acts else []
        source = {**found.source, "arms": {arm.name: lines}}
        (again,) = load(source, library=found.library).protocol.arms
        assert len(again.doses) == len(arm.doses)
        for one, other in zip(arm.doses, again.doses, strict=True):
            assert one.time == pytest.approx(other.time, rel=1e-12, abs=1e-9)  # through days and back
            for name in ("amount", "amount_per_kg", "volume"):
                assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-12, nan_ok=True)
            assert one.duration == pytest.approx(other.duration, rel=1e-11)
            same = ("agent", "route", "lesions", "per_lesion", "points", *(("distance",) if one.route == "peritumoural" else ()))
            assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]
        assert len(again.acts) == len(arm.acts)
        for act, back in zip(arm.acts, again.acts, strict=True):
            assert act.time == pytest.approx(back.time, rel=1e-12, abs=1e-9)
            assert (act.kind, set(act.lesions)) == (back.kind, set(back.lesions))
            assert (act.size, act.left) == pytest.approx((back.size, back.left), rel=1e-12, nan_ok=True)


@settings(max_examples=150, deadline=DEADLINE)
@given(scenario=scenarios())
def test_random_scenarios(scenario: dict[str, Any]) -> None:
    check(attempt(load, scenario))


FIELDS = mostly(
    ["value", "range", "distribution", "between", "status", "source", "note", "physical"], ["valeu", "unit", "within"]
)
CONTENTS = mostly(
    [0, 1, 0.5, "15.3 kDa", "0 nm", "4 nm", "100 nM", "0 nM", "0.02 1/h", "lognormal", "logit", "fixed", "assumed", "measured",
     [], ["proleukin2024"], [0.1, 1], ["1 nm", "9 nm"], "a note"],
    [None, True, -1, float("nan"), float("inf"), "1e999 nm", "nm", {"a": 1}, [[]], "", "nobody1900", -0.0, 10**400],
)
META = st.dictionaries(
    mostly(["synonyms", "substance", "particles", "endogenous"], ["particals", "antigens", ""]),
    mostly([True, False, ["rIL-2"], []], [None, 5, "rIL-2", [5], {"a": {}}]), max_size=3,
)


@st.composite
def agent_files(draw: st.DrawFn) -> dict[str, Any]:
    """An agent of one's own, right or nearly right."""
    names = mostly(list(LIBRARY.agents["aldesleukin"].records), ["raduis", "weight", "opening_ec50", ""])
    values = draw(st.dictionaries(names, st.dictionaries(FIELDS, CONTENTS, max_size=6), max_size=3))
    entry: dict[str, Any] = {"meta": draw(META), "values": values}
    if draw(st.booleans()):
        entry["inherits"] = draw(mostly(["aldesleukin", "endogenous_il2"], ["mine", "nobody", 5]))
    return {"entries": {draw(mostly(["mine"], ["aldesleukin", "table", "two words", "radiotherapy"])): entry}}


@pytest.fixture(scope="module")
def agents_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of the definitions of agents and the first two of them: reading all of it for each example takes minutes."""
    folder = tmp_path_factory.mktemp("base")
    text = (BUILTIN / "agents.yaml").read_text(encoding="utf-8").partition("\n  inert_protein:")[0]
    (folder / "agents.yaml").write_text(text, encoding="utf-8")
    records = [one for name in ("endogenous_il2", "aldesleukin") for one in LIBRARY.agents[name].records.values()]
    cited = sorted({key for one in records for key in one.cited})
    references = "".join(f"@misc{{{key}, author={{A}}, title={{T}}, year={{2000}}}}\n" for key in cited)
    (folder / "references.bib").write_text(references)
    return folder


@settings(max_examples=60, deadline=DEADLINE)
@given(content=agent_files())
def test_random_agents_are_a_library_or_an_input_error(
    content: dict[str, Any], agents_alone: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What loads holds finite numbers, sizes and affinities above 0, and can be given."""
    folder = tmp_path_factory.mktemp("agents")
    (folder / "agents.yaml").write_text(json.dumps(content))
    found = attempt(load_library, [agents_alone, folder], builtin=False)
    if isinstance(found, InputError):
        assert "\n" not in str(found)
        return
    for agent in found.agents.values():
        assert all(math.isfinite(record.value) for record in agent.records.values())
        assert min(agent.records[name].value for name in ("radius", "matrix_kd", "molar_mass", "toxic_half")) > 0.0
        assert agent_units(agent).molar_mass is None or agent.meta.get("substance") is not False


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
