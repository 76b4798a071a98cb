"""Evidence: the files that ship, and what is answered to files with mistakes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import jsonschema
import pytest

from locokine.errors import InputError
from locokine.evidence.library import FOLDER, read_evidence
from locokine.evidence.model import json_schema
from locokine.evidence.score import score
from locokine.parameters import load_library
from locokine.parameters.reading import plain, read_file, read_yaml
from small_evidence import COUNT, GOOD, folder_of, only

LIBRARY = load_library()
EVIDENCE = read_evidence()


# --- what ships ------------------------------------------------------------------------------------------------------


def test_every_file_that_ships_fits_the_schema_and_is_named_by_its_id() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    files = [path for path in FOLDER.glob("*.yaml") if path.name != "outside.yaml"]
    assert len(files) == len(EVIDENCE.observations)
    for path in files:
        tree = plain(read_yaml(read_file(path), path.name))
        validator.validate(tree)
        assert tree["id"] == path.stem


def test_every_experiment_loads_or_waits_for_a_planned_entry() -> None:
    for item in EVIDENCE.observations.values():
        for group in item.groups:
            if not EVIDENCE.missing(group, LIBRARY):
                experiment = EVIDENCE.experiment(group, 1, LIBRARY)
                assert group.arm in [arm.name for arm in experiment.protocol.arms], item.name


def test_rows_are_expressed_or_outside_and_every_assumption_is_said() -> None:
    """UT15 names several tumours, of which one can be expressed."""
    inside = {row for item in EVIDENCE.observations.values() for row in item.rows}
    outside = {row for item in EVIDENCE.outside for row in item.rows}
    assert inside & outside == {"UT15"}
    assert {"UT01", "HM02", "SY01", "VA04", "PK05", "BO03", "GP01"} <= inside
    assert all(item.needs for item in EVIDENCE.outside)
    for item in EVIDENCE.observations.values():
        assert item.assumptions or item.dose[1] not in ("unknown", "any"), item.name


def test_one_data_set_counts_once() -> None:
    """The reports of SL2 ascites, of the cattle and of the shared patients are one file each."""
    holders = {row: {item.name for item in EVIDENCE.observations.values() if row in item.rows} for row in
               ("UT01", "UT06", "UT13", "BO03", "BO10", "SY04", "SY07", "SY16", "SY13", "SY19")}
    assert holders["UT01"] == holders["UT06"] == holders["UT13"]
    assert holders["BO03"] == holders["BO10"]
    assert holders["SY04"] == holders["SY07"] == holders["SY16"]
    assert holders["SY13"] == holders["SY19"]
    assert all(len(names) == 1 for names in holders.values())


def test_what_is_not_expressible_yet_starts_to_count_when_the_entry_exists() -> None:
    item = EVIDENCE.observations["UT14"]
    hosts = {name: entry for name, entry in LIBRARY.hosts.items() if name != "c57bl6_mouse"}
    lines = {name: entry for name, entry in LIBRARY.lines.items() if name != "el4"}
    board = score(EVIDENCE, [item], library=dataclasses.replace(LIBRARY, hosts=hosts, lines=lines))
    assert board.scores == ()
    assert board.waiting == {"UT14": ("host c57bl6_mouse", "line el4")}
    assert board.coverage is None
    board = score(EVIDENCE, [item], library=LIBRARY, subjects=4)
    assert [found.observation.name for found in board.scores] == ["UT14"]
    assert not board.waiting


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "place", "problem"),
    [
        (", n: 12", "", "line 12, observed.n", "'n' is missing; .*effective n"),
        ("unit: L/min, ", "", "line 12, observed", "'unit' is missing"),
        ("unit: L/min", "unit: kg", "line 12, observed.unit", "kg is not a unit of 'clearance'"),
        ("unit: L/min", "unit: furlong/min", "observed.unit", "unknown unit"),
        (", error: 0.15", "", "line 12, observed", "how sure"),
        ("error: 0.15", "interval: [0.2, 0.3]", "observed", "contradicts the value"),
        ("error: 0.15", "interval: [0.3, 0.1]", "observed", "is empty"),
        ("written: 1e6 U/m2", "written: '20000'", "dose", "has no unit"),
        (", supplier: any", "", "dose.supplier", "is missing"),
        ("supplier: any", "supplier: Acme", "dose.supplier", "unknown supplier"),
        (", doi: 10.1000/xyz", "", "citation", "nobody can find"),
        ("doi: 10.1000/xyz", "doi: https://doi.org/10.1/x", "citation", "is not a DOI"),
        ("observable: clearance", "observable: clearence", "line 9, observable", "cannot express 'clearence'.*mean clearance"),
        ("observable: clearance", "observable: albumin", "observable", "needs day"),
        ("observable: clearance", "observable: clearance\nat: {day: 3}", "at.day", "no setting 'day'"),
        ("observable: clearance", "observable: graded\nat: {term: gout, grade: 3}", "at.term", "unknown term 'gout'"),
        ("observable: clearance", "observable: cured", "likelihood", "share of hosts"),
        ("likelihood: lognormal", "likelihood: binomial", "observed", "no count"),
        ("likelihood: lognormal", "likelihood: bound", "observed", "no limit"),
        ("likelihood: lognormal", "likelihood: cauchy", "likelihood", "unknown likelihood"),
        ("value: 0.12", "value: -1", "observed", "above 0"),
        ("scenario: bolus_human", "scenario: bolus_man", "line 7, scenario", "no scenario 'bolus_man'.*did you mean bolus_human"),
        ("arm: intravenous", "arm: oral", "line 8, arm", "has no arm 'oral'"),
        ("use: validate", "use: fit", "use", "unknown use 'fit'"),
        ("use: validate", "use: validate\ncolour: blue", "line 3, colour", "unknown field"),
        ("assumptions:\n  - kinetics are linear in the dose\n", "", "assumptions", "nothing says how"),
        ("supplier: any", "supplier: Cetus", "dose.supplier", r"is not written in it; .*U\[Cetus\]"),
        ("id: MY01", "id: 'a b'", "id", "characters that are not allowed"),
        (GOOD, "", "MY01.yaml", "empty"),
        (GOOD, "- 1\n- 2\n", "MY01.yaml", "mapping"),
    ],
)
def test_bad_files_are_answered_with_file_field_and_remedy(tmp_path: Path, old: str, new: str, place: str, problem: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=problem) as found:
        only(folder_of(tmp_path, MY01=GOOD.replace(old, new)))
    assert "MY01.yaml" in found.value.place
    assert place in found.value.place
    assert found.value.remedy


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("successes: 7", "successes: 11", "11 of 10 contradict"),
        ("successes: 7", "successes: 7, percent: 50", "contradicts successes: 7 of 10 are 70 %"),
        ("n: 10", "n: 0", "0"),
        ("n: 10", "n: 10, effective: 20", "more than n"),
        ("n: 10", "n: .inf", "finite"),
        ("binomial", "binomial\nagainst: {arm: untreated}", "of one group"),
        ("binomial\nobserved: {successes: 7,", 'ordering\nobserved: {above: 0, unit: "%",', "needs a second group"),
        (
            "binomial\nobserved: {successes: 7,",
            'bound\nobserved: {above: 60, below: 40, unit: "%",',
            "at least 60 and at most 40 contradict",
        ),
        (
            "binomial\nobserved: {successes: 7,",
            'ordering\nagainst: {arm: untreated}\ncompare: ratio\nobserved: {above: 1, unit: "1",',
            "compared by their difference",
        ),
    ],
)
def test_contradictory_observations_are_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    assert old in COUNT
    with pytest.raises(InputError, match=problem):
        only(folder_of(tmp_path, MY02=COUNT.replace(old, new)))


def test_the_same_observation_twice_is_refused_whether_it_agrees_or_not(tmp_path: Path) -> None:
    twice = folder_of(tmp_path, a=COUNT, b=COUNT.replace("MY02", "MY03"))
    with pytest.raises(InputError, match="repeats MY02"):
        only(twice)
    folder_of(tmp_path, b=COUNT.replace("MY02", "MY03").replace("successes: 7", "successes: 2"))
    with pytest.raises(InputError, match=r"contradicts MY02.*2/10.*7/10"):
        only(twice)
    folder_of(tmp_path, b=COUNT.replace("MY02", "MY03").replace("pmid: 123", "pmid: 124"))
    assert len(only(twice).observations) == 2  # another paper, other animals
    folder_of(tmp_path, a=COUNT + "data_set: mice\n")
    folder_of(tmp_path, b=COUNT.replace("MY02", "MY03").replace("pmid: 123", "pmid: 124") + "data_set: mice\n")
    with pytest.raises(InputError, match="repeats MY02"):
        only(twice)
    with pytest.raises(InputError, match="'UT01' is taken"):
        read_evidence((folder_of(tmp_path, a=GOOD.replace("MY01", "UT01"), b=COUNT),))


def test_folders_without_evidence_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        only(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no file"):
        only(tmp_path)


def test_what_a_users_scenario_names_wrongly_is_an_error_and_not_something_planned(tmp_path: Path) -> None:
    scenarios = tmp_path / "mine" / "scenarios"
    scenarios.mkdir(parents=True)
    text = (FOLDER / "scenarios" / "ascites.yaml").read_text().replace("line: sl2", "line: sl3")
    (scenarios / "ascites.yaml").write_text(text)
    with pytest.raises(InputError, match=r"ascites.yaml, line \d+, .*unknown line 'sl3'; did you mean sl2"):
        score(only(folder_of(tmp_path, MY02=COUNT)), library=LIBRARY)
    inline = COUNT.replace("scenario: ascites", """scenario:
  experiment: mine
  host: dba2_mouse
  lesions: {a: {line: sl3, site: peritoneum, cells: 2e4 cells}}
  arms: {intraperitoneal: [aldesleukin 20000 IU intraperitoneal in 0.5 mL day 3]}
  follow-up: 10 days""")
    with pytest.raises(InputError, match=r"MY02.yaml, lesions.a.line: unknown line 'sl3'"):
        score(only(folder_of(tmp_path, MY02=inline)), library=LIBRARY)


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        ("observable: lesion_response\nat: {lesion: leg}", "no lesion 'leg'"),
        ("observable: graded\nat: {term: any, grade: 3}\nswitches: {hope: off}", "unknown mechanism 'hope'"),
        ("observable: graded\nat: {term: any, grade: 3}\noverrides: {hope: 3}", "unknown parameter 'hope'"),
    ],
)
def test_settings_that_the_scenario_does_not_know_name_the_file(tmp_path: Path, new: str, problem: str) -> None:
    evidence = only(folder_of(tmp_path, MY02=COUNT.replace("observable: cured", new)))
    with pytest.raises(InputError, match=problem) as found:
        score(evidence, library=LIBRARY)
    assert "MY02.yaml" in found.value.place


def test_a_day_after_the_end_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("observable: clearance", "observable: blood_nk\nat: {day: 30}").replace("L/min", '"1"')
    with pytest.raises(InputError, match="day 30 is after the end"):
        score(only(folder_of(tmp_path, MY01=text)), library=LIBRARY)
