"""Scenarios: from YAML, text or dict to a protocol, and back."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

import small_library
from locokine.parameters import Library, load_library
from locokine.scenario import Experiment, describe, examples, json_schema, load, template_text, templates
from locokine.scenario.describe import RATES, estimate
from locokine.scenario.protocol import Dose, Protocol, Rule


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return load_library([small_library.write(tmp_path_factory.mktemp("library"))], builtin=False)


@pytest.fixture(scope="module")
def experiment(library: Library) -> Experiment:
    return load(small_library.SCENARIO, library=library)


def same(one: Protocol, other: Protocol) -> bool:
    """Equal to the last bit (texts compare nan with nan, and floats print exactly)."""
    return repr(one) == repr(other)


def scenario(**changed: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "experiment": "e",
        "host": "shrew",
        "lesions": {"left": {"line": "alpha", "cells": "1e6 cells"}},
        "arms": {"nothing": []},
        "follow-up": "60 days",
    }
    return base | {key.replace("_", "-"): value for key, value in changed.items()}


# --- meaning ---


def test_what_a_scenario_means(experiment: Experiment) -> None:
    protocol = experiment.protocol
    assert (experiment.name, experiment.host, experiment.subjects, experiment.seed) == ("a test", "shrew", 12, 7)
    left, right = protocol.lesions
    assert (left.name, left.line, left.site, left.cells, left.day) == ("left", "alpha", "subcutis", 1e6, 0.0)
    assert math.isnan(left.volume)
    assert (right.volume, right.day) == (100.0, 5.0)
    assert [arm.name for arm in protocol.arms] == ["nothing", "brine", "local"]
    assert [len(arm.doses) for arm in protocol.arms] == [0, 5, 8]
    local = protocol.arms[2]
    assert [dose.course for dose in local.doses] == [0] * 5 + [1] * 3
    assert local.rules == (Rule("hold", "fever", 3, 1), Rule("stop", "any", 4, 1))
    assert local.text[0] == "kine 20000 IU intratumoural in 0.1 mL daily days 10-14"
    assert protocol.agents == ("kine", "brine")
    assert protocol.follow_up == 60 * 24.0  # h
    assert (protocol.geometry, protocol.shells, protocol.rim_shells) == ("shells", 8, 8)
    assert protocol.rechallenge is not None
    assert (protocol.rechallenge.lines, protocol.rechallenge.cells, protocol.rechallenge.observe) == (
        ("alpha", "beta"),
        1e5,
        60.0,
    )
    assert protocol.switches == {"leak_direct": False, "leak_thrombotic": False, "leak_lymphocyte": False}
    assert experiment.lines == ("alpha", "beta")


def test_defaults(library: Library) -> None:
    made = load(scenario(), library=library)
    assert (made.subjects, made.seed) == (100, 1)
    assert (made.protocol.geometry, made.protocol.shells) == ("shells", 16)
    assert made.protocol.rechallenge is None
    assert made.protocol.agents == ()
    assert made.protocol.lesions[0].site == "subcutis"  # the first site of the line
    assert made.host_weight_kg == 0.025


def test_yaml_text_file_and_dict_are_the_same(library: Library, experiment: Experiment, tmp_path: Path) -> None:
    from ruamel.yaml import YAML

    file = tmp_path / "a scenario.yaml"
    file.write_text(small_library.SCENARIO)
    as_dict = YAML(typ="safe", pure=True).load(small_library.SCENARIO)
    for source in (file, str(file), as_dict):
        made = load(source, library=library)
        assert same(made.protocol, experiment.protocol)
        assert made.overrides == experiment.overrides


def test_doses_are_sorted_by_time(library: Library) -> None:
    arms = {"a": ["kine 5 IU intravenous day 9", "kine 5 IU intravenous days 1, 12"]}
    times = [dose.time for dose in load(scenario(arms=arms), library=library).protocol.arms[0].doses]
    assert times == [24.0, 216.0, 288.0]


def test_the_order_of_arms_does_not_change_the_order_of_agents(library: Library) -> None:
    arms = {"a": ["brine intravenous in 1 mL day 1"], "b": ["kine 5 IU intravenous day 1"]}
    turned = dict(reversed(arms.items()))
    assert load(scenario(arms=arms), library=library).protocol.agents == ("kine", "brine")
    assert load(scenario(arms=turned), library=library).protocol.agents == ("kine", "brine")


def test_many_lesions_of_varying_size(library: Library) -> None:
    lesions = {"spots": {"line": "gamma", "diameter": "9 mm", "count": 10, "spread": 0.2}}
    arms = {"a": ["kine 5 IU intratumoural into spots day 1"], "b": ["kine 5 IU intratumoural into spots_3 day 1"]}
    made = load(scenario(host="giant", lesions=lesions, arms=arms), library=library)
    plans = made.protocol.lesions
    assert [plan.name for plan in plans] == [f"spots_{index}" for index in range(1, 11)]
    diameters = [(6 * plan.volume / math.pi) ** (1 / 3) for plan in plans]
    expected = [9 * math.exp(0.2 * NormalDist().inv_cdf((index + 0.5) / 10)) for index in range(10)]
    assert diameters == pytest.approx(expected, rel=1e-12)  # a cube and its root
    assert math.prod(diameters) ** 0.1 == pytest.approx(9.0, rel=1e-12)  # symmetric about the median
    assert len(made.protocol.arms[0].doses[0].lesions) == 10
    assert made.protocol.arms[1].doses[0].lesions == ("spots_3",)
    assert plans[0].site == "skin"


def test_an_arm_may_be_one_line_or_nothing(library: Library) -> None:
    made = load(scenario(arms={"a": None, "b": "kine 5 IU intravenous day 1"}), library=library)
    assert [len(arm.doses) for arm in made.protocol.arms] == [0, 1]


def test_a_heir_of_a_host_grows_its_lines(library: Library) -> None:
    assert load(scenario(host="pygmy_shrew"), library=library).host == "pygmy_shrew"


def test_a_folder_beside_the_scenario_adds_to_the_library(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    built_in = load_library()
    host, line = next(iter(built_in.hosts)), next(iter(built_in.lines))
    (mine / "hosts.yaml").write_text(f"entries:\n  my_host: {{inherits: {host}}}\n")
    (mine / "lines.yaml").write_text(f"entries:\n  my_line: {{inherits: {line}, meta: {{hosts: [my_host]}}}}\n")
    lesions = {"one": {"line": "my_line", "site": "subcutis", "cells": "1e6 cells"}}
    from ruamel.yaml import YAML

    with (tmp_path / "s.yaml").open("w") as stream:
        YAML().dump(scenario(host="my_host", lesions=lesions, library=["mine"]), stream)
    made = load(tmp_path / "s.yaml")
    assert made.host in made.library.hosts
    assert same(load(made.resolved()).protocol, made.protocol)


# --- values ---


def test_overrides_reach_the_records(experiment: Experiment) -> None:
    assert experiment.overrides == {"opening_ec50": 20.0, "beta.doubling": 28.0}
    assert experiment.records()["opening_ec50"].value == 20.0
    assert experiment.line_records("beta")["doubling"].value == 28.0
    assert experiment.line_records("alpha")["doubling"].value == 30.0


def test_a_bare_name_overrides_every_line(library: Library) -> None:
    made = load(
        scenario(rechallenge={"lines": ["beta"], "cells": "1 cells"}), library=library, overrides={"doubling": "33 h"}
    )
    assert made.line_records("alpha")["doubling"].value == made.line_records("beta")["doubling"].value == 33.0


def test_a_host_replaces_the_values_of_laws(library: Library) -> None:
    assert load(scenario(host="pygmy_shrew"), library=library).records()["opening_ec50"].value == 5.0
    made = load(scenario(host="pygmy_shrew", overrides={"opening_ec50": "6 nM"}), library=library)
    assert made.records()["opening_ec50"].value == 6.0


def test_arguments_win_over_the_file(library: Library) -> None:
    made = load(small_library.SCENARIO, library=library, overrides={"opening_ec50": "30 nM"}, subjects=3, seed=99)
    assert (made.subjects, made.seed, made.overrides["opening_ec50"]) == (3, 99, 30.0)
    assert made.resolved()["subjects"] == 3


def test_an_override_of_an_agents_unit_changes_its_doses(library: Library) -> None:
    arms = {"a": ["kine 10 IU intravenous day 1"], "b": ["kine 40 fmol intravenous day 1"]}
    made = load(scenario(arms=arms), library=library, overrides={"fmol_per_iu": "5 fmol/IU"})
    assert [arm.doses[0].amount for arm in made.protocol.arms] == [50.0, 40.0]
    again = load(scenario(arms=arms), library=library).changed(overrides={"kine.fmol_per_iu": "5 fmol/IU"})
    assert same(again.protocol, made.protocol)


def test_changing_an_experiment(experiment: Experiment) -> None:
    twin = experiment.changed(
        subjects=5, seed=2, switches={"leak_direct": True, "memory": False}, overrides={"share": 0.3}
    )
    assert (twin.subjects, twin.seed) == (5, 2)
    assert twin.switches == {"leak_direct": True, "leak_thrombotic": False, "leak_lymphocyte": False, "memory": False}
    assert twin.records()["share"].value == 0.3
    assert twin.records()["opening_ec50"].value == 20.0
    assert twin.protocol.arms == experiment.protocol.arms
    assert experiment.subjects == 12
    assert same(load(twin.resolved_text(), library=twin.library).protocol, twin.protocol)


def test_a_single_mechanism_wins_over_its_group(library: Library) -> None:
    made = load(scenario(switches={"leak_direct": "on", "leak": "off"}), library=library)
    assert made.switches == {"leak_direct": True, "leak_thrombotic": False, "leak_lymphocyte": False}


def test_the_records_and_references_in_use(experiment: Experiment) -> None:
    names = {(record.scope, record.name) for record in experiment.used_records()}
    assert ("laws", "opening_ec50") in names
    assert ("lines.beta", "doubling") in names
    assert ("agents.kine", "molar_mass") in names
    assert ("lines.gamma", "doubling") not in names
    assert experiment.bibliography() == experiment.library.bibliography.cite(["doe1987"])


# --- there and back ---


def test_a_resolved_scenario_loads_as_the_same_experiment(experiment: Experiment, library: Library) -> None:
    resolved = experiment.resolved()
    assert resolved["schema_version"] == 1
    assert resolved["library_digest"] == library.digest
    assert resolved["seed"] == 7
    assert resolved["parameters"]["beta"]["doubling"] == "28 h"
    for source in (resolved, experiment.resolved_text()):
        again = load(source, library=library)
        assert same(again.protocol, experiment.protocol)
        assert again.overrides == experiment.overrides
        assert again.resolved() == resolved


def test_the_values_of_a_resolved_scenario_win_over_a_changed_library(experiment: Experiment, tmp_path: Path) -> None:
    laws = small_library.LAWS.replace("value: 0.2", "value: 0.25")
    lines = small_library.LINES.replace("value: 30 h", "value: 31 h")
    changed = load_library([small_library.write(tmp_path, laws=laws, lines=lines)], builtin=False)
    again = load(experiment.resolved(), library=changed)
    assert again.records()["share"].value == 0.2
    assert again.line_records("alpha")["doubling"].value == 30.0
    assert again.resolved()["parameters"] == experiment.resolved()["parameters"]


def test_awkward_values_survive_the_round_trip(library: Library) -> None:
    values = {"opening_ec50": "0.1 nM", "share": "0.3333333333333333", "alpha.doubling": "1.1 days"}
    made = load(scenario(overrides=values), library=library)
    again = load(made.resolved_text(), library=library)
    assert again.overrides == made.overrides
    assert again.records() == made.records()


@pytest.mark.parametrize(
    "name",
    ["local_versus_systemic", "ascites_sl2", "melanoma_intralesional", "high_dose_intravenous", "leak_switched_off"],
)
def test_the_shipped_examples(name: str) -> None:
    made = load(examples()[name])
    assert made.name == name
    assert same(load(made.resolved_text()).protocol, made.protocol)
    assert describe(made).arms


def test_leak_switched_off_is_the_first_example_without_leak() -> None:
    first, second = load(examples()["local_versus_systemic"]), load(examples()["leak_switched_off"])
    assert second.protocol.arms == first.protocol.arms
    assert second.protocol.lesions == first.protocol.lesions
    assert (second.seed, second.subjects, second.host) == (first.seed, first.subjects, first.host)
    assert first.switches == {}
    assert set(second.switches.values()) == {False}


def test_templates_are_commented_and_load() -> None:
    assert set(templates()) == {"mouse", "ascites", "melanoma", "intravenous"}
    for name in templates():
        text = template_text(name)
        assert "template:" not in text
        assert text.count("#") >= 3
        assert load(text).protocol.arms
    assert load(template_text("leak_switched_off")).switches


# --- before running ---


def test_the_dose_table(library: Library) -> None:
    arms = {
        "local": ["kine 20000 IU intratumoural in 0.1 mL daily days 10-14"],
        "each": ["kine 3 MIU per lesion intratumoural in 0.2 mL twice daily days 10-11 until complete response"],
        "body": ["kine 600000 IU/kg intravenous over 15 min q8h x14 from day 0, stop at any >= 4"],
        "brine": ["brine intravenous in 1 mL day 1"],
        "ballast": ["ballast 1.53 ug intravenous day 1"],
    }
    lesions = {"spots": {"line": "alpha", "volume": "100 mm3", "count": 2}}
    about = describe(load(scenario(arms=arms, lesions=lesions), library=library))
    (local,) = about.arms["local"]
    assert (local.doses, local.first_day, local.last_day, local.volume) == (5, 10.0, 14.0, 100.0)
    # 1e-12: a few roundings; 20,000 IU = 80 pmol = 1.224 µg, in a host of 25 g
    assert local.per_dose.iu == pytest.approx(20000, rel=1e-12)
    assert local.per_dose.micrograms == pytest.approx(1.224, rel=1e-12)
    assert local.per_dose.nanomoles == pytest.approx(0.08, rel=1e-12)
    assert local.per_dose.iu_per_kg == pytest.approx(800_000, rel=1e-12)
    assert local.per_day == local.per_dose
    assert local.total.iu == pytest.approx(100_000, rel=1e-12)
    (each,) = about.arms["each"]
    assert (each.per_dose.iu, each.volume) == (pytest.approx(6e6), 400.0)
    assert (each.per_day.iu, each.total.iu) == (pytest.approx(12e6), pytest.approx(24e6))
    assert each.rules == ("until complete response",)
    (body,) = about.arms["body"]
    assert (body.per_dose.iu, body.per_dose.iu_per_kg) == (pytest.approx(15000), pytest.approx(600_000))
    assert body.per_day.iu == pytest.approx(45000)
    assert (body.duration, body.rules) == (0.25, ("stop at any >= 4",))
    assert about.arms["brine"][0].per_dose.micrograms is None
    assert about.arms["ballast"][0].per_dose.iu is None
    assert about.arms["ballast"][0].per_dose.nanomoles == pytest.approx(0.1, rel=1e-12)


def test_the_rest_of_the_description(experiment: Experiment) -> None:
    about = describe(experiment)
    left, right = about.lesions
    assert (left.cells, left.volume, left.label) == (1e6, None, "line alpha")
    assert right.diameter == pytest.approx((600 / math.pi) ** (1 / 3), rel=1e-12)
    assert (about.host_label, about.host_weight_kg, about.follow_up_days) == ("a shrew", 0.025, 60.0)
    assert "alpha, beta" in about.rechallenge
    assert about.overrides == {"opening_ec50": "20 nM", "beta.doubling": "28 h"}
    import json

    assert json.loads(json.dumps(about.to_dict()))["arms"]["local"][0]["doses"] == 5


def test_the_estimate_scales_with_the_work(library: Library) -> None:
    base = estimate(load(scenario(), library=library))
    assert base.units == 100.0  # lesion-subjects of 60 days
    twice = estimate(load(scenario(subjects=200), library=library))
    assert twice.seconds == pytest.approx(2 * base.seconds)
    assert estimate(load(scenario(), library=library), threads=4).seconds == pytest.approx(base.seconds / 2)
    mixed = estimate(load(scenario(geometry="well-mixed"), library=library))
    assert mixed.seconds < base.seconds
    assert estimate(load(scenario(), library=library), rates={"shells": 10 * RATES["shells"]}).seconds == pytest.approx(
        base.seconds / 10
    )
    challenged = estimate(load(scenario(rechallenge={"lines": ["alpha"], "cells": "1 cells"}), library=library))
    assert challenged.units == 300.0  # and one line in the arm and in naive controls


# --- schema ---


def test_the_json_schema_accepts_what_ships_and_refuses_mistakes() -> None:
    from jsonschema import Draft202012Validator
    from ruamel.yaml import YAML

    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for path in examples().values():
        assert not list(validator.iter_errors(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))))
    assert not list(validator.iter_errors(scenario(arms={"a": None, "b": "one line"}, switches={"leak": "off"})))
    for bad in (scenario(subjects=0), scenario(hosts="x"), scenario(shells="many"), scenario(arms={}), {}):
        assert list(validator.iter_errors(bad))


def test_the_schema_explains_every_field() -> None:
    schema = json_schema()
    for owner in (schema, *schema["$defs"].values()):
        for name, field in owner["properties"].items():
            assert field.get("description"), name


# --- names ---


def test_no_code_of_scenario_or_parameters_names_an_entry_of_the_library() -> None:
    import ast

    library = load_library()
    names = {*library.hosts, *library.lines, *library.agents} - {"human", "mouse", "vehicle"}  # ordinary words
    package = Path(sys.modules["locokine"].__file__ or "").parent
    for path in (package / "units.py", *(package / "parameters").glob("*.py"), *(package / "scenario").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = [
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        for name in names:
            assert not any(re.search(rf"\b{re.escape(name)}\b", text) for text in texts), (path.name, name)


def _numbers(dose: Dose) -> str:
    """Everything of a dose but its names, exact to the last bit."""
    return repr((dose.time, dose.amount, dose.amount_per_kg, dose.volume, dose.duration, dose.route, dose.course))


def test_renaming_everything_changes_no_number(tmp_path: Path, library: Library, experiment: Experiment) -> None:
    """The whole library and scenario under other names: same values, doses, rules, times."""
    renames = {
        "shrew": "qa",
        "giant": "qb",
        "alpha": "qz",
        "beta": "qy",
        "gamma": "qx",
        "kine": "zz",
        "ballast": "zy",
        "brine": "aa",
    }

    def renamed(text: str) -> str:
        for old, new in renames.items():
            text = re.sub(rf"\b{old}\b", new, text)
        return text

    files = {name.split(".")[0]: renamed(text) for name, text in small_library.FILES.items() if name.endswith("yaml")}
    other = load_library([small_library.write(tmp_path, **files)], builtin=False)
    assert not set(other.lines) & set(library.lines)
    made = load(renamed(small_library.SCENARIO), library=other)
    for one, two in zip(experiment.protocol.arms, made.protocol.arms, strict=True):
        assert [_numbers(dose) for dose in one.doses] == [_numbers(dose) for dose in two.doses]
        assert one.rules == two.rules
    assert [record.value for record in experiment.used_records()] == [record.value for record in made.used_records()]


def test_importing_the_scenario_language_is_cheap() -> None:
    heavy = ("pint", "pydantic", "pandas", "numba", "matplotlib")
    code = f"import sys, locokine.scenario; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
