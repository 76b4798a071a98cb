"""SBML: what is written means the equations (checked without and with other programs), and what cannot be written."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from locokine import api
from locokine.baselines import baseline, integrate
from locokine.baselines.laws import State, change, stimulation
from locokine.cli import main
from locokine.errors import InputError
from locokine.formats import baselines as baseline_format
from locokine.formats.sbml import LAG, MOST, Content, Event, broken, sbml
from locokine.formats.symbols import Equations, Graph, Value, least, most

CORE = "{http://www.sbml.org/sbml/level3/version1/core}"
MATHML = "{http://www.w3.org/1998/Math/MathML}"


def value_of(node: Any, at: dict[str, float]) -> float:
    """Evaluate content MathML: the few operations that are written."""
    kind = node.tag.removeprefix(MATHML)
    if kind == "math":
        return value_of(node[0], at)
    if kind == "cn":
        parts = [node.text, *(child.tail for child in node)]
        return float("e".join(str(part) for part in parts))
    if kind == "ci":
        return at[node.text]
    numbers = [value_of(child, at) for child in node[1:]]
    operation = node[0].tag.removeprefix(MATHML)
    if len(numbers) == 1:
        return {"exp": math.exp, "ln": math.log, "root": math.sqrt, "abs": abs}[operation](numbers[0])
    a, b = numbers
    return {"plus": a + b, "minus": a - b, "times": a * b, "divide": a / b if b else math.inf}[operation]


def rules(text: str, kind: str) -> dict[str, Any]:
    return {rule.get("variable"): rule[0] for rule in ET.fromstring(text).iter(f"{CORE}{kind}")}


def start(text: str) -> dict[str, float]:
    found = ET.fromstring(text).iter(f"{CORE}parameter")
    return {one.get("id", ""): float(one.get("value", "nan")) for one in found}


# --- the writer ---


def small_system() -> Equations:
    """dx/dt = −k x (x + y)², dy/dt = exp(x) − y."""
    graph = Graph()
    x, y, k = (Value(graph, graph.symbol(name)) for name in ("x", "y", "k"))
    total = x + y
    return Equations(graph, ["x", "y"], [(-k * x * total * total).v, (x.function("exp") - y).v], ["k"], {"sum": total.v})


def test_rules_mean_the_equations() -> None:
    equations = small_system()
    text = sbml(equations, (), Content(values={"k": 2.0}, start={"x": 0.5, "y": 3.0}))
    at = start(text)
    rate = rules(text, "rateRule")
    assert value_of(rate["x"], at) == pytest.approx(-2.0 * 0.5 * 3.5**2)
    assert value_of(rate["y"], at) == pytest.approx(math.exp(0.5) - 3.0)
    assert value_of(rules(text, "assignmentRule")["sum"], at) == 3.5


def test_a_value_broken_off_follows_its_formula() -> None:
    equations = small_system()
    cut = broken(equations, most=7)
    assert cut
    text = sbml(equations, cut, Content(values={"k": 2.0}, start={"x": 0.5, "y": 3.0}))
    at = start(text)
    rate = rules(text, "rateRule")
    for node in cut:
        assert at[f"v{node}"] == pytest.approx(equations.evaluate([node], at)[0])  # it begins where its formula is
        assert value_of(rate[f"v{node}"], at) == pytest.approx(0.0, abs=1e-9 / LAG)
    assert value_of(rate["x"], at) == pytest.approx(-2.0 * 0.5 * 3.5**2)


def test_names_and_notes_cannot_break_the_file() -> None:
    equations = small_system()
    text = sbml(equations, (), Content(notes='<&"', labels={"x": '<&">'}))
    (label,) = [one.get("name") for one in ET.fromstring(text).iter(f"{CORE}parameter") if one.get("id") == "x"]
    assert label == '<&">'


def test_events_carry_all_changes_of_a_time() -> None:
    equations = small_system()
    graph = equations.graph
    dose = graph.apply("+", graph.symbol("x"), graph.number(5.0))
    text = sbml(equations, (), Content(values={"k": 2.0}, start={"x": 0.5, "y": 3.0}, events=[Event(7.0, {"x": dose})]))
    (event,) = ET.fromstring(text).iter(f"{CORE}event")
    (assignment,) = event.iter(f"{CORE}eventAssignment")
    assert value_of(assignment[0], start(text)) == 5.5


def test_smaller_and_larger_of_formulas() -> None:
    graph = Graph()
    x = Value(graph, graph.symbol("x"))
    equations = Equations(graph, [], [], [])
    for number in (-2.0, 0.0, 3.0):
        assert equations.evaluate([least(x, 1.0).v, most(x, 1.0).v], {"x": number}) == [min(number, 1.0), max(number, 1.0)]
    assert (least(2, 3), most(2, 3)) == (2, 3)


# --- the baselines ---


@pytest.mark.parametrize("name", ["kirschner-panetta", "banerjee"])
def test_a_baseline_in_sbml_means_its_laws(name: str) -> None:
    model = baseline(name)
    text = baseline_format.export_sbml(model)
    at = start(text) | {"effectors": 3e4, "log_tumour": math.log(2e5), "il2": 4e5}
    p = model.values
    x = State(3e4, 2e5, 4e5)
    late = at.get("late_16", stimulation(x, p))
    rate = rules(text, "rateRule")
    wanted = dict(zip(("effectors", "log_tumour", "il2"), change(x, p, late), strict=True))
    for state, number in wanted.items():
        assert value_of(rate[state], at) == pytest.approx(number, rel=1e-9)
    assert value_of(rules(text, "assignmentRule")["tumour"], at) == pytest.approx(2e5)


def test_a_late_signal_is_carried_without_change() -> None:
    """d/dt of a line of equal values is zero whatever the delay: rows of the matrix of the derivative sum to zero."""
    model = baseline("banerjee")
    text = baseline_format.export_sbml(model)
    at = start(text) | {"effectors": 3e4, "log_tumour": 10.0, "il2": 4e5}
    same = stimulation(State(3e4, math.exp(10.0), 4e5), model.values)
    at |= {f"late_{i}": same for i in range(1, 17)}
    rate = rules(text, "rateRule")
    assert max(abs(value_of(rate[f"late_{i}"], at)) for i in range(1, 17)) < 1e-9 * same * 16**2  # largest entry: n²/3


# --- other programs ---


def runner(text: str) -> Any:
    roadrunner = pytest.importorskip("roadrunner", reason="libroadrunner is a dependency of the benchmarks only")
    roadrunner.Logger.setLevel(roadrunner.Logger.LOG_FATAL)
    machine = roadrunner.RoadRunner(text)
    machine.integrator.setValue("maximum_num_steps", 200_000)
    return machine


@pytest.mark.parametrize(
    ("name", "settings"),
    [("kirschner-panetta", {}), ("kirschner-panetta", {"c": 0.025}), ("banerjee", {"c": 0.06, "s2": 2e7, "tau": 5.0})],
)
def test_libroadrunner_finds_the_same_course(name: str, settings: dict[str, float]) -> None:
    """ln T to 1e-4 over 300 days: both solve to 1e-9, the delay is carried by 16 points across one jump in its slope."""
    model = baseline(name).changed(settings)
    if model.delay:
        from locokine.baselines import equilibria

        x = equilibria(model)[1].state
        model = model.changed({"effectors": x.effectors, "tumour": 2.0 * x.tumour, "il2": x.il2})
    machine = runner(baseline_format.export_sbml(model))
    machine.integrator.setValue("relative_tolerance", 1e-9)
    machine.timeCourseSelections = ["time", "log_tumour"]
    found = np.array(machine.simulate(0, 300, 301))
    np.testing.assert_allclose(found[:, 1], integrate(model, 300).log_tumour, rtol=1e-4, atol=1e-4)


SCENARIO = {
    "experiment": "export", "host": "dba2_mouse", "follow-up": "12 days", "geometry": "well-mixed", "subjects": 3,
    "lesions": {"flank": {"line": "sl2", "site": "subcutis", "cells": "1e6 cells"}},
    "arms": {
        "local": ["aldesleukin 20000 IU intratumoural in 0.1 mL day 10"],
        "infusion": ["aldesleukin 20000 IU/kg/h intravenous over 12 h day 10"],
        "around": ["aldesleukin 20000 IU peritumoural in 0.1 mL day 10"],
        "depot": ["il2_microspheres 20000 IU intratumoural in 0.1 mL day 10"],
        "drug": ["cisplatin 100 ug intratumoural in 0.1 mL day 10"],
    },
    "overrides": {"endpoint_burden": "1e9 mm3", "death_rate": "1e-9 1/h"},
}


def engine_course(experiment: Any, arm: str) -> tuple[np.ndarray, float]:
    """Volume every 4 h and area under IL-2 in plasma of the median host, at an eighth of the default steps, without chance."""
    from locokine.engine import batch
    from locokine.engine.grid import Accuracy
    from locokine.engine.variables import LESION, PLACES
    from locokine.formats.well_mixed import median_host

    chosen = next(one for one in experiment.protocol.arms if one.name == arm)
    plan = experiment.protocol
    setting = batch.prepare(
        experiment, median_host(experiment), chosen, plan.lesions, plan.follow_up, Accuracy().finer(8)
    )
    usual = batch.chance
    batch.chance = lambda made, _, count: {
        "cure": np.full((len(made.lesions), count), 2.0), "death": np.full(count, np.inf)
    }
    try:
        run = batch.run(setting, np.arange(1), 1)
    finally:
        batch.chance = usual
    volume = [one.name for one in LESION].index("tumour_volume")
    return run.series_lesion[volume, 0, :, 0], float(run.exposure[PLACES.index("plasma"), -1, 1, 0])


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["local", "infusion", "around", "depot", "drug"])
def test_libroadrunner_finds_what_the_engine_finds(arm: str) -> None:
    """Volume within 1 % and area under plasma IL-2 within 2 %: the error of the engine's steps, which halves with them."""
    experiment = api.load(SCENARIO)
    machine = runner(api.experiment_sbml(experiment, arm))
    machine.integrator.setValue("maximum_time_step", 0.5)  # longer ones fail where a population is a fraction of a cell
    machine.timeCourseSelections = ["time", "tumour_volume", "area_plasma"]
    found = np.array(machine.simulate(0, 12 * 24, 12 * 6 + 1))
    volume, area = engine_course(experiment, arm)
    after = found[:, 0] != 240.0  # at the dose itself one shows the moment before it, the other the moment after
    np.testing.assert_allclose(found[after, 1], volume[after], rtol=0.01)
    assert found[-1, 2] == pytest.approx(area, rel=0.02)


@pytest.mark.slow
def test_libsbml_finds_no_error(tmp_path: Path) -> None:
    libsbml = pytest.importorskip("libsbml", reason="python-libsbml is a dependency of the benchmarks only")
    for text in (api.model_sbml("banerjee"), api.experiment_sbml(SCENARIO, "local")):
        document = libsbml.readSBMLFromString(text)
        document.checkConsistency()
        errors = [document.getError(i) for i in range(document.getNumErrors())]
        assert [one.getMessage() for one in errors if one.getSeverity() >= libsbml.LIBSBML_SEV_ERROR] == []


def test_what_matrix_binds_is_not_written_as_equations() -> None:
    line = "collagen_anchored_il2 1 nmol intratumoural in 0.1 mL day 10"
    with pytest.raises(InputError) as caught:
        api.experiment_sbml({**SCENARIO, "arms": {"a": [line]}}, "a")
    assert "'collagen_anchored_il2' is bound by matrix" in caught.value.problem


def test_a_drug_in_the_blood_is_not_written_as_equations() -> None:
    line = "cyclophosphamide 50 mg per kg intraperitoneal day 9"
    with pytest.raises(InputError, match="kills cells from the blood"):
        api.experiment_sbml({**SCENARIO, "arms": {"a": [line]}}, "a")


def test_only_the_agents_of_the_arm_are_looked_at_and_written() -> None:
    """Agents of other arms, one of which could not be written, change nothing: neither the file nor the subject."""
    alone = {**SCENARIO, "arms": {"local": SCENARIO["arms"]["local"]}}
    arms = {"anchored": ["collagen_anchored_il2 1 nmol intratumoural in 0.1 mL day 10"], **alone["arms"]}
    arms["systemic drug"] = ["cyclophosphamide 50 mg per kg intraperitoneal day 9"]
    text = api.experiment_sbml(alone, "local", 1)
    assert api.experiment_sbml({**SCENARIO, "arms": arms}, "local", 1) == text
    assert "il2_microspheres" not in api.experiment_sbml(SCENARIO, "local", 1)


def test_several_lesions_are_written_with_a_limit_of_their_own() -> None:
    """Three lesions have twice the distinct operations that one may have written out: three for each are written, and the
    equations by which shared values follow theirs (two for each)."""
    lesions = {f"spot{i}": SCENARIO["lesions"]["flank"] for i in range(3)}
    text = api.experiment_sbml({**SCENARIO, "lesions": lesions, "arms": {"a": []}}, "a")
    operations = text.count("<apply>")
    assert MOST < operations < 3 * MOST
    assert "spot2, core 1: " in text


@pytest.mark.slow
def test_a_subject_has_its_own_values() -> None:
    texts = [api.experiment_sbml(SCENARIO, "local", subject) for subject in (0, 1, None)]
    clearance = [start(text)["clearance"] for text in texts]
    assert len(set(clearance)) == 3
    assert clearance[2] == api.load(SCENARIO).records()["clearance"].value


# --- the command ---


def test_export_of_a_model_and_of_doses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xml, table = tmp_path / "m.xml", tmp_path / "d.csv"
    assert main(["export", "--model", "banerjee", "--set", "tau=2 day", "--sbml", str(xml)]) == 0
    assert start(xml.read_text())["tau"] == 2.0
    example = Path(api.__file__).parent / "examples" / "high_dose_intravenous.yaml"
    assert main(["export", str(example), "--doses", str(table)]) == 0
    assert table.read_text().startswith("ID,TIME,AMT,RATE,CMT,EVID,II,ADDL")
    assert "no rules" in capsys.readouterr().err
    before = table.read_bytes()
    assert main(["export", str(example), "--doses", str(table)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert table.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "one scenario or one --model"),
        (["--model", "banerjee"], "not said what to write"),
        (["--model", "banerjee", "--doses", "x.csv"], "has no doses"),
        (["--model", "none", "--sbml", "x.xml"], "no model 'none'"),
        (["EXAMPLE", "--sbml", "x.xml"], "several arms"),
        (["EXAMPLE", "--sbml", "x.xml", "--arm", "nothing"], "no arm 'nothing'"),
        (["EXAMPLE", "--sbml", "x.xml", "--arm", "untreated"], "--geometry well-mixed"),
        (["EXAMPLE", "--doses", "x.csv", "--geometry", "well-mixed"], "belong to SBML"),
        (["nowhere.yaml", "--sbml", "x.xml"], "no such file"),
        (["--model", "banerjee", "--sbml", "missing/x.xml"], "cannot be written"),
    ],
)
def test_mistakes_are_one_line_and_write_nothing(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    example = str(Path(api.__file__).parent / "examples" / "local_versus_systemic.yaml")
    assert main(["export", *(example if word == "EXAMPLE" else word for word in words)]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
    assert list(tmp_path.iterdir()) == []


def test_a_lesion_in_place_starts_as_in_the_engine() -> None:
    """A lesion given by its volume has dead tissue and T cells from the start: the equations begin with the same.

    What is dead follows from the host's blood and pressure, so both have to know them before. Only the order of a sum
    differs (1e-12).
    """
    from locokine.formats import equations, well_mixed
    from reference import SKIN, experiment, open_run, tissue_view

    made = experiment(
        {"it": ["aldesleukin 3 MIU intratumoural in 2 mL daily days 0-1"]}, host="human", follow_up="7 days", subjects=1,
        lesions={"skin": {**SKIN["skin"], "count": 1}},
    )
    setting, block = equations.fresh_block(made, "it", equations.one_subject(made, 0))
    well_mixed._start(setting, block)
    opened = open_run(made, chance=False)
    viable = (tissue_view(block, "viable") + tissue_view(block, "loss"))[0, 0, 0]
    assert tissue_view(block, "dead")[0, 0, 0] > 0.0
    assert viable == pytest.approx(opened.lesion("viable_cells")[0, 0, 0], rel=1e-12)
