"""How much subjects, and lesions of one subject, differ: drawn, moved by a calibration, written into the library."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from locokine.errors import InputError
from locokine.evidence.calibration import read_schedule
from locokine.evidence.library import Group, read_evidence
from locokine.inference.prior import Free, candidates, population_of, rows_of
from locokine.inference.requirements import Keeper
from locokine.inference.sweep import alike
from locokine.parameters.library import BUILTIN, Library, load_library
from locokine.parameters.write import write_values
from locokine.population import draw
from locokine.scenario.experiment import Experiment

LIBRARY = load_library()
EVIDENCE = read_evidence()
SUBJECTS = 4000
CLOSE = 0.05
"""Three standard errors of a standard deviation or correlation of 4,000 subjects."""


def experiment(scenario: str, library: Library = LIBRARY) -> Experiment:
    return EVIDENCE.experiment(Group(scenario, ""), 1, library)


def free(key: str) -> Free:
    owner = key.partition(".")[0]
    return next(item for item in candidates(LIBRARY, [owner], spreads=True) if item.key == key)


PATIENTS = experiment("intralesional_human")


def test_lesions_of_one_patient_are_as_alike_as_the_record_says() -> None:
    """Logarithms of two lesions: both with the spread of the record, and the correlation 1 - within."""
    record = PATIENTS.line_records("melanoma_skin")["immunogenicity"]
    people = draw(PATIENTS, SUBJECTS)
    first, second = (np.log(people[f"lesion:{i}:immunogenicity"]) for i in (0, 7))
    assert first.std() == pytest.approx(record.between, rel=CLOSE)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(1.0 - record.within, abs=CLOSE)


def test_a_lesion_takes_its_own_value_into_the_engine() -> None:
    from locokine.engine import batch
    from locokine.engine.grid import Accuracy
    from locokine.tissue import layout

    people = draw(PATIENTS, 5)
    setting = batch.prepare(
        PATIENTS, people, PATIENTS.protocol.arms[0], PATIENTS.protocol.lesions, 24.0, Accuracy()
    )
    at = layout.parameter_names("line").index("immunogenicity")
    inputs = batch.parameters(setting)
    for i in (0, 3):
        np.testing.assert_array_equal(inputs[f"line{i}"][at], people[f"lesion:{i}:immunogenicity"])


def test_where_lesions_are_alike_there_are_no_values_of_lesions() -> None:
    mice = experiment("ascites")
    assert not [name for name in draw(mice, 2).names if name.startswith("lesion:")]


def test_a_spread_is_free_within_the_range_of_its_record() -> None:
    item = free("human.output_reflex.between")
    spread = LIBRARY.hosts["human"].law_overrides["output_reflex"].spread
    assert spread is not None
    low, high = spread.between
    assert item.at(np.array([-1.6448536, 0.0, 1.6448536])) == pytest.approx([low, item.record.prior, high])
    assert (item.parameter, item.spread) == ("output_reflex", True)
    assert not [one for one in candidates(LIBRARY, ["laws", "human", "melanoma_skin"]) if one.spread]


def test_draws_of_a_spread_move_subjects_apart_and_leave_their_median() -> None:
    item = free("human.precursors.between")
    people = population_of(PATIENTS, {item: np.array([0.2, 0.8])}, 2, SUBJECTS)
    narrow, wide = np.log(people["precursors"]).reshape(2, -1)
    assert (narrow.std(), wide.std()) == (pytest.approx(0.2, rel=CLOSE), pytest.approx(0.8, rel=CLOSE))
    np.testing.assert_allclose((wide - np.log(3000.0)) / (narrow - np.log(3000.0)), 4.0)  # the same subjects


def test_draws_of_what_lies_between_lesions_move_lesions_apart() -> None:
    item = free("melanoma_skin.immunogenicity.within")
    people = population_of(PATIENTS, {item: np.array([0.1, 0.6])}, 2, SUBJECTS)
    pair = [np.log(people[f"lesion:{i}:immunogenicity"]).reshape(2, -1) for i in (0, 1)]
    for draw_of, within in enumerate((0.1, 0.6)):
        assert np.corrcoef(pair[0][draw_of], pair[1][draw_of])[0, 1] == pytest.approx(1.0 - within, abs=CLOSE)


def test_value_and_spread_move_together() -> None:
    value, spread = free("human.precursors"), free("human.precursors.between")
    people = population_of(PATIENTS, {value: np.array([5000.0]), spread: np.array([0.5])}, 1, SUBJECTS)
    logs = np.log(people["precursors"])
    assert (np.median(logs), logs.std()) == (pytest.approx(np.log(5000.0), abs=CLOSE), pytest.approx(0.5, rel=CLOSE))


def test_subjects_of_a_posterior_have_the_spread_of_their_draw() -> None:
    wide = replace(PATIENTS, uncertainty={"human.precursors.between": np.array([0.9])})
    assert np.log(draw(wide, SUBJECTS)["precursors"]).std() == pytest.approx(0.9, rel=CLOSE)


def test_patients_have_their_own_spread_around_the_value_of_the_law() -> None:
    """A host that states a spread only shares the value: it moves with the law, and its subjects with the host's spread."""
    law = next(item for item in candidates(LIBRARY, ["laws", "human"]) if item.record.name == "systemic_leak_half")
    assert law.owner == "laws"
    assert rows_of(law, PATIENTS) == ["systemic_leak_half"]
    people = population_of(PATIENTS, {law: np.array([3.0])}, 1, SUBJECTS)
    logs = np.log(people["systemic_leak_half"])
    between = LIBRARY.hosts["human"].law_overrides["systemic_leak_half"].between
    assert between > LIBRARY.laws.records["systemic_leak_half"].between
    assert (np.median(logs), logs.std()) == (pytest.approx(np.log(3.0), abs=CLOSE), pytest.approx(between, rel=CLOSE))


def test_a_fitted_spread_is_written_and_nothing_else_changes(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    shutil.copytree(BUILTIN, folder)
    write_values(folder, {
        "human.precursors.between": ("0.41", "fitted to HM01; 0.3 before (assumed)"),
        "melanoma_skin.immunogenicity.within": ("0.44", "fitted to HM02; 0.3 before (assumed)"),
        "melanoma_skin.immunogenicity": ("0.7", "fitted to HM01; 0.5 before (assumed)"),
    })
    made = load_library([folder], builtin=False)
    host, line = made.hosts["human"].records["precursors"], made.lines["melanoma_skin"].records["immunogenicity"]
    assert host.spread is not None
    assert line.spread is not None
    assert (host.between, host.spread.status, host.spread.source[-1]) == (0.41, "calibrated", "calibration")
    assert (line.value, line.within, line.spread.status) == (0.7, 0.44, "calibrated")
    assert "within fitted to HM02; 0.3 before (assumed)" in line.spread.note
    old = LIBRARY.hosts["human"].records["precursors"]
    assert replace(host, between=old.between, spread=old.spread) == old
    for name, entry in made.hosts.items():
        rest = {key: record for key, record in entry.records.items() if (name, key) != ("human", "precursors")}
        assert all(record == LIBRARY.hosts[name].records[key] for key, record in rest.items())


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("spread: {between: [0.15, 1.2]", "spread: {between: [0.5, 1.2]", "the range of between does not contain its value"),
        ("spread: {between: [0.15, 1.2], status: assumed", "spread: {between: [0.15, 1.2]", "unknown status 'None'"),
        ("spread: {between: [0.15, 1.2]", "within: 0.3, spread: {between: [0.15, 1.2]", "only values of a line can differ"),
        ("spread: {between: [0.15, 1.2]", "spread: {betwen: [0.15, 1.2]", "is not the uncertainty of a spread"),
        ("spread: {between: [0.15, 1.2]", "spread: {prior_between: 2, between: [0.15, 1.2]", "the prior '2' of between"),
        ("spread: {between: [0.15, 1.2]", "spread: {prior_between: much, between: [0.15, 1.2]", "the prior 'much' of between"),
        ("spread: {between: [0.15, 1.2]", "spread: {prior_within: 0.2, between: [0.15, 1.2]", "the prior '0.2' of within"),
    ],
)
def test_a_spread_that_makes_no_sense_is_refused(tmp_path: Path, old: str, new: str, problem: str) -> None:
    folder = tmp_path / "library"
    shutil.copytree(BUILTIN, folder)
    path = folder / "hosts.yaml"
    text = path.read_text(encoding="utf-8")
    head, found, tail = text.partition("      precursors:\n          {value: 3000 cells")
    assert found
    plain = 'spread: {between: [0.15, 1.2], status: assumed, note: "of patients"}'  # as before any fit
    tail = re.sub(r"spread: \{.*?\}", plain, tail, count=1)
    assert old in tail
    path.write_text(head + found + tail.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        load_library([folder], builtin=False)


def test_a_spread_has_the_prior_that_its_record_states_and_the_digest_does_not_follow_it(tmp_path: Path) -> None:
    priors = {one.name: one.prior for one in LIBRARY.lines["melanoma_skin"].records["loss_share"].spreads()}
    assert priors == {"loss_share.between": 1.5, "loss_share.within": 0.3}
    assert [one.prior for one in LIBRARY.hosts["human"].records["precursors"].spreads()] == [0.3]  # none stated: the value
    folder = tmp_path / "library"
    shutil.copytree(BUILTIN, folder)
    path = folder / "lines.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("prior_between: 1.5", "prior_between: 1.4"), encoding="utf-8")
    made = load_library([folder], builtin=False)
    assert made.lines["melanoma_skin"].records["loss_share"].spreads()[0].prior == 1.4
    assert made.digest == load_library([BUILTIN], builtin=False).digest


def test_a_library_keeps_what_is_required_and_a_leaking_cavity_does_not() -> None:
    """Walls as permeable as their range allows let an empty cavity run dry (what a fit had once proposed)."""
    moving = {item.key: item for item in candidates(LIBRARY, ["laws", "dba2_mouse"])}
    keeper = Keeper(read_schedule().requirements, LIBRARY, moving)
    name = "laws.protein_permeability_normal"
    readings = keeper([name], np.array([[0.0], [-1.6], [1.6]]))
    inside = ((readings >= keeper.low[:, None]) & (readings <= keeper.high[:, None])).all(axis=0)
    assert inside[0]
    assert not inside.all()
    assert keeper.plays([name, "dba2_mouse.cavity_lymph"])[:, 1].tolist() == [
        one.scenario["host"] == "dba2_mouse" for one in keeper.requirements
    ]


def test_points_that_are_alike_are_simulated_once() -> None:
    first, back = alike(np.array([[1.0, 2.0], [0.0, 5.0], [1.0, 2.0], [0.0, 5.0]]))
    assert (list(first), list(back)) == ([0, 1], [0, 1, 0, 1])
    first, back = alike(np.empty((3, 0)))
    assert (list(first), list(back)) == ([0], [0, 0, 0])
