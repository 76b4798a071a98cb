"""Prior, likelihoods, search, claims and audit: analytic values and invariants; the engine is run on a few hosts only."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import small_library
from locokine.errors import InputError
from locokine.evidence.first_pass import FILE, first_pass
from locokine.evidence.library import read_evidence
from locokine.evidence.likelihood import FAR, WORST, Likelihood
from locokine.evidence.observables import OBSERVABLES, half_lives
from locokine.evidence.trial import Trial
from locokine.inference import audit as auditing
from locokine.inference.claim_trials import LADDER, LOCAL, SYSTEMIC, ClaimTrials
from locokine.inference.claims import CLAIMS, EQUAL, evaluate, prior_of, prior_predictive
from locokine.inference.fit import Scores, influence, normal_draws, prior_batch, strongest
from locokine.inference.prior import FREE_STATUS, TAIL, Free, candidates, population_of, rows_of, scopes_of
from locokine.parameters.library import load_library
from locokine.population import draw
from locokine.scenario.load import load

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = load_library()


def free(owner: str, name: str) -> Free:
    """A parameter of the library, whatever its status."""
    found = candidates(LIBRARY, [owner], statuses=("measured", "derived", "calibrated", "assumed"))
    return next(item for item in found if item.record.name == name)


# --- likelihoods -----------------------------------------------------------------------------------------------------


def test_a_perfect_prediction_has_log_likelihood_zero() -> None:
    ratio = Likelihood("lognormal", 4.0, spread=0.25)
    assert ratio.log(np.full((1, 8), 4.0))[0] == pytest.approx(0.0, abs=1e-12)
    assert Likelihood("normal", 4.0, spread=0.5).log(np.full((1, 8), 4.0))[0] == 0.0
    share = Likelihood("binomial", 50.0, successes=5, n=10, effective=10)
    assert share.log(np.array([[0.0, 1.0] * 50]))[0] == pytest.approx(0.0, abs=1e-12)


def test_one_standard_deviation_costs_half() -> None:
    assert Likelihood("lognormal", 4.0, spread=0.25).log(np.full((1, 4), 4.0 * np.exp(0.25)))[0] == pytest.approx(-0.5)
    assert Likelihood("normal", 4.0, spread=0.5).log(np.full((1, 4), 3.0))[0] == pytest.approx(-2.0)


def test_a_share_is_the_binomial_log_likelihood_ratio() -> None:
    """Many subjects, so that half a subject added on either side does not show (relative error 1e-3)."""
    share = Likelihood("binomial", 70.0, successes=7, n=10, effective=10)
    subjects = np.repeat([1.0, 0.0], [4000, 6000])[None]
    expected = 7 * np.log(0.4 / 0.7) + 3 * np.log(0.6 / 0.3)
    assert share.log(subjects)[0] == pytest.approx(expected, rel=1e-3)
    halved = replace(share, effective=5)
    assert halved.log(subjects)[0] == pytest.approx(0.5 * expected, rel=1e-3)


def test_the_observed_group_may_be_empty_of_events_but_a_simulated_one_is_never_certain() -> None:
    none = Likelihood("binomial", 0.0, successes=0, n=10, effective=10)
    assert np.isfinite(none.log(np.zeros((1, 4)))).all()
    assert none.log(np.ones((1, 4)))[0] < none.log(np.zeros((1, 4)))[0] < 0.0


def test_misfits_stay_ordered_and_finite_however_far() -> None:
    row = Likelihood("normal", 0.0, spread=1.0)
    values = np.array([[1.0], [4.0], [10.0], [30.0]])
    found = row.log(values)
    assert (np.diff(found) < 0.0).all()
    assert found[1] == pytest.approx(-8.0)  # above the limit nothing is changed
    assert found[-1] > -0.5 * 30.0**2
    assert FAR > found[-1] >= WORST
    assert row.log(np.full((1, 3), np.nan))[0] == WORST


def test_the_dead_do_not_count_in_a_mean() -> None:
    row = Likelihood("lognormal", 2.0, spread=0.1)
    assert row.predict(np.array([[1.0, 4.0, np.nan]]))[0] == pytest.approx(2.0)


# --- rows ------------------------------------------------------------------------------------------------------------


def test_every_row_of_the_first_pass_can_be_run() -> None:
    data = first_pass()
    wanted = {"PK02", "PK03", "PK04", "VA02", "VA03", "VA04", "VL03", "VL04", "VL05", "VL06", "UT01", "UT03", "UT27",
              "HM02", "SY01"}
    assert wanted <= set(data.rows)
    for row in data.rows.values():
        assert row.observable in OBSERVABLES
        assert row.source
        assert row.likelihood.text(row.unit)
    for source in data.scenarios.values():
        assert load(source, library=LIBRARY).protocol.geometry == "well-mixed"


def test_the_first_pass_cannot_name_what_does_not_exist_or_is_never_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stages.yaml"
    text = FILE.read_text(encoding="utf-8")
    path.write_text(text.replace("HM02,", "HM99,"), encoding="utf-8")
    with pytest.raises(InputError, match="unknown row 'HM99'"):
        first_pass(path)
    evidence = read_evidence()
    held = replace(evidence.observations["HM02"], use="validate")
    kept = replace(evidence, observations={**evidence.observations, "HM02": held})
    monkeypatch.setattr("locokine.evidence.first_pass.read_evidence", lambda: kept)
    path.write_text(f"{text}\n", encoding="utf-8")
    first_pass.cache_clear()
    with pytest.raises(InputError, match="never fitted"):
        first_pass(path)
    first_pass.cache_clear()


def test_half_lives_of_a_sum_of_two_exponentials_are_exact() -> None:
    """Prony's method is algebra: four values of two exponentials give both rates back, up to rounding."""
    t = 0.5 * np.arange(4)
    c = 5.0 * np.exp(-3.0 * t) + 0.4 * np.exp(-0.5 * t)
    found = half_lives(np.repeat(c[:, None], 2, axis=1), 0.5)
    assert found[:, 0] == pytest.approx(np.log(2.0) / np.array([3.0, 0.5]), rel=1e-9)


# --- prior -----------------------------------------------------------------------------------------------------------


def test_strains_share_what_they_inherit() -> None:
    """A value of all mice has a part in every strain that does not state it; every value of a host has an owner that moves."""
    strains = {name: load(example(name)) for name in ("dba2_mouse", "c57bl6_mouse")}
    frees = candidates(LIBRARY, scopes_of(*strains.values()))
    shared = next(item for item in frees if item.key == "mouse.node_flow")
    for name, experiment in strains.items():
        assert rows_of(shared, experiment) == ["node_flow"]
        assert rows_of(Free(name, shared.record), experiment) == ["node_flow"]
        moving = {row for item in frees for row in rows_of(item, experiment)}
        records = {**experiment.host_entry.records, **experiment.host_entry.law_overrides}
        expected = {r.name for r in records.values() if r.status in FREE_STATUS and r.distribution != "fixed" and r.low < r.high}
        assert expected <= moving
    own = next(item for item in frees if item.owner == "dba2_mouse")
    assert rows_of(own, strains["dba2_mouse"])
    assert not rows_of(own, strains["c57bl6_mouse"])
    assert not any(item.owner == "dba2_mouse" and item.record.name == "node_flow" for item in frees)
    assert not rows_of(shared, load(example("human")))


def example(host: str) -> dict[str, object]:
    line, site = ("melanoma_skin", "skin") if host == "human" else ("sl2" if host == "dba2_mouse" else "b16", "subcutis")
    return {
        "experiment": "strains", "host": host, "lesions": {"one": {"line": line, "site": site, "cells": "1e6 cells", "day": 0}},
        "arms": {"untreated": []}, "subjects": 2, "follow-up": "10 days",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("owner", "name"), [("laws", "direct_ec50"), ("laws", "plugging_share"), ("laws", "normal_rest_pressure")]
)
def test_the_prior_has_the_value_before_any_fit_as_median_and_the_range_as_ninety_per_cent(owner: str, name: str) -> None:
    item = free(owner, name)
    record = item.record
    assert item.at(np.array([-TAIL, 0.0, TAIL])) == pytest.approx([record.low, record.prior, record.high], rel=1e-9)
    assert record.prior != record.value
    assert float(item.at(np.array(item.here))) == pytest.approx(record.value, rel=1e-9)
    for z in (-1.3, 0.0, 0.7):
        assert item.coordinate(float(item.at(np.array([z]))[0])) == pytest.approx(z, abs=1e-9)


def test_only_assumed_and_calibrated_values_may_move() -> None:
    found = candidates(LIBRARY, ["laws", "human", "dba2_mouse", "sl2", "melanoma_skin"])
    assert found
    assert {item.record.status for item in found} <= {"assumed", "calibrated"}
    assert all(item.record.low < item.record.high for item in found)


def test_what_is_inherited_moves_with_its_ancestor_and_what_is_stated_by_itself(tmp_path: Path) -> None:
    """Whatever the numbers are: a fit that makes two of them alike does not join them."""
    both = candidates(LIBRARY, ["melanoma_skin", "melanoma_visceral"])
    own = {name for name, record in LIBRARY.lines["melanoma_visceral"].records.items() if record.stated == "melanoma_visceral"}
    assert own
    assert {item.record.name for item in both if item.owner == "melanoma_visceral" and not item.spread} <= own
    alike = "      weight: {value: 0.025 kg, range: [0.02 kg, 0.03 kg], status: assumed}\n"
    for hosts, expected in (
        (small_library.HOSTS, ["shrew.weight"]),
        (small_library.HOSTS.replace("    values:\n", "    values:\n" + alike, 1), ["shrew.weight", "pygmy_shrew.weight"]),
    ):
        library = load_library([small_library.write(tmp_path / str(len(expected)), hosts=hosts)], builtin=False)
        found = candidates(library, ["shrew", "pygmy_shrew"])
        assert [item.key for item in found if item.record.name == "weight"] == expected


def test_an_unknown_scope_is_named() -> None:
    with pytest.raises(InputError, match="no host, line or agent 'sl3'; did you mean sl2"):
        candidates(LIBRARY, ["sl3"])


def test_a_law_that_the_host_replaces_does_not_move_it() -> None:
    patients = load(first_pass().scenarios["systemic_human"])
    mice = load(first_pass().scenarios["ascites"])
    law = free("laws", "ctl_kill_rate")
    assert rows_of(law, mice) == ["ctl_kill_rate"]
    assert rows_of(law, patients) == []
    assert rows_of(free("human", "ctl_kill_rate"), patients) == ["ctl_kill_rate"]
    assert rows_of(free("melanoma_skin", "epitopes"), patients) == ["line:melanoma_visceral:epitopes"]


def test_columns_are_the_subjects_of_the_draws() -> None:
    """Column d * subjects + s is subject s of a population drawn with the values of draw d: the same bits."""
    experiment = load(first_pass().scenarios["ascites"], subjects=5)
    law, line = free("laws", "direct_ec50"), free("sl2", "birth_rate")
    values = {
        law: law.record.value * np.array([1.0, 2.0]), line: np.append(line.record.value, line.at(np.array([0.5])))
    }
    found = population_of(experiment, values, 2, 5)
    assert found.names == draw(experiment).names
    assert np.array_equal(found.values[:, :5], draw(experiment).values)
    changed = experiment.changed(
        overrides={"direct_ec50": float(values[law][1]), "sl2.birth_rate": float(values[line][1])}
    )
    assert found.values[:, 5:] == pytest.approx(draw(changed).values, rel=1e-12)


def test_without_spread_all_subjects_are_the_median() -> None:
    experiment = load(first_pass().scenarios["ascites"])
    found = population_of(experiment, {}, 1, 3, between=False)
    assert np.ptp(found.values, axis=1).max() == 0.0
    assert found["direct_ec50"][0] == free("laws", "direct_ec50").record.value


# --- search ----------------------------------------------------------------------------------------------------------


def test_prior_draws_do_not_depend_on_their_company() -> None:
    items = candidates(LIBRARY, ["laws"])[:4]
    assert np.array_equal(prior_batch(items, 8, 1)[:, 2], prior_batch(items[2:], 8, 1)[:, 0])
    assert np.array_equal(prior_batch(items, 16, 1)[:8], prior_batch(items, 8, 1))


def test_influence_and_choice_find_what_matters() -> None:
    """300 draws: rank correlations of the inert ones stay below 3.3/sqrt(300) = 0.19, those of the active ones above."""
    z = np.stack([normal_draws(3, str(i), 300) for i in range(6)], axis=1)
    predicted = np.stack([np.exp(z[:, 1]), z[:, 4] ** 3, np.zeros(300)])
    strength = influence(z, Scores(predicted, np.zeros((3, 300))))
    assert strength[1, 0] == pytest.approx(1.0)
    assert strength[4, 1] == pytest.approx(1.0)
    assert (strength[:, 2] == 0.0).all()
    assert strongest(strength, 6, 3.3 / np.sqrt(300)) == [1, 4]
    assert strongest(strength, 1, 0.0) == [1]


# --- the engine ------------------------------------------------------------------------------------------------------


def test_kinetics_read_from_the_engine_are_those_of_two_compartments() -> None:
    """Half-lives and clearance against the closed form; 5 %: steps of first order, 32 times finer than usual."""
    experiment = load(first_pass().scenarios["bolus_human"], subjects=4)
    people = draw(experiment)
    trial = Trial(experiment, people)
    k10 = people["clearance"] / people["central_volume"]
    k12 = people["distribution_flow"] / people["central_volume"]
    k21 = people["distribution_flow"] / people["peripheral_volume"]
    total, root = k10 + k12 + k21, np.sqrt((k10 + k12 + k21) ** 2 - 4.0 * k10 * k21)
    for name, rate in (("half_life_first", total + root), ("half_life_second", total - root)):
        expected = 60.0 * np.log(2.0) / (0.5 * rate)
        assert OBSERVABLES[name](trial, "intravenous") == pytest.approx(expected, rel=0.05), name
    assert OBSERVABLES["clearance"](trial, "intravenous") == pytest.approx(people["clearance"] / 60e3, rel=0.05)


# --- claims ----------------------------------------------------------------------------------------------------------


def test_there_are_thirteen_claims() -> None:
    assert list(CLAIMS) == list(range(1, 14))
    assert all(claim.what for claim in CLAIMS.values())


def test_care_and_the_agents_own_potency_are_not_drawn() -> None:
    names = {item.record.name for item in prior_of(LIBRARY)}
    assert not names & {"supportive_care", "potency_effector", "fmol_per_iu"}
    assert {"direct_ec50", "birth_rate", "clearance", "vessel_pressure"} <= names


def test_claims_under_the_prior_are_seeded_shares() -> None:
    once = prior_predictive(3, subjects=2, numbers=(1, 2), library=LIBRARY)
    again = prior_predictive(3, subjects=2, numbers=(1, 2), library=LIBRARY)
    assert set(once.shares) == {1, 2}
    assert all(0.0 <= share <= 1.0 for share in once.shares.values())
    assert once.shares == again.shares
    assert once.centre == again.centre
    assert once.holds[1].shape == (3,)


@pytest.mark.slow
def test_every_claim_can_be_read() -> None:
    found = prior_predictive(2, subjects=2, library=LIBRARY)
    assert set(found.shares) == set(CLAIMS)
    for number, centre in found.centre.items():
        assert isinstance(centre["holds"], bool), number
        assert centre["text"], number


def test_the_dose_of_equal_effect_is_the_least_that_does_as_much() -> None:
    """Viable cells of the median mouse after each dose of the ladder, against twice those after the local treatment."""
    trials = ClaimTrials({}, 1, 6, library=LIBRARY)
    chosen = evaluate(trials, (3,))[3].numbers["i.v. IU q8h"][0]

    def kept(trial: str, arm: str) -> float:
        cells = trials.lesion("viable_cells", trial, arm)[:21, 0]
        return float(np.median(np.log10(np.maximum(np.nanmin(cells, axis=0), 1.0)) - np.log10(cells[0])))

    least = {dose: kept(SYSTEMIC, arm) for arm, dose in LADDER.items()}
    enough = [dose for dose, value in least.items() if value <= kept("mouse", LOCAL) + EQUAL]
    rising = [value for dose, value in least.items() if dose <= chosen]
    assert rising == sorted(rising, reverse=True)  # more of it kills more, until nearly all are dead
    assert chosen == min(enough)
    assert min(LADDER.values()) < chosen < max(LADDER.values())  # the ladder reaches below and beyond it


# --- audit -----------------------------------------------------------------------------------------------------------


def test_variants_stay_within_bounds() -> None:
    share = free("laws", "plugging_share").record
    low, high = auditing.variants(share)
    assert 0.0 < low < share.value < high < 1.0
    care = LIBRARY.hosts["human"].records["fluids_most"]
    assert all(value >= care.physical_low for value in auditing.variants(care))


def test_audit_lists_what_moves_nothing_and_only_that(examples: Path) -> None:
    """`peritoneum_absorption` acts on a cavity without tumour only: in ascites alone it is silent, and unexplained."""
    experiment = load(examples / "ascites_sl2.yaml")
    names = ("direct_ec50", "birth_rate", "molar_mass", "peritoneum_absorption")
    found = auditing.audit(experiment, shipped=False, names=names)
    assert set(found) == {"molar_mass", "peritoneum_absorption"}
    assert found["molar_mass"]
    assert not found["peritoneum_absorption"]


@pytest.mark.slow
def test_every_parameter_does_something_or_says_why_not(examples: Path) -> None:
    found = auditing.audit(load(examples / "ascites_sl2.yaml"), threads=2)
    assert [name for name, why in found.items() if not why] == []


# --- the record ------------------------------------------------------------------------------------------------------


def test_record_and_page_say_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from calibration.first_pass import write

    score = {"log_score": -3.0, "baseline": -3.5}
    found: dict[str, Any] = {
        "study": {"seed": 1, "version": "0", "library": "0" * 24, "code": "abc"},
        "fits": {"UT01": {"what": "cured", "source": "somebody", "note": "", "unit": "%", "observed": "7/10", "before": 70.0,
                          "after": 68.0, "score_before": -1.5, "score_after": -1.25}},
        "scoreboard": {"library": score, "point": score, "posterior": score},
        "proposals": [{"parameter": "laws.direct_ec50", "before": "15 nM", "after": "20 nM", "range": ["1 nM", "40 nM"],
                       "z": 0.5, "rows": ["UT01"]}],
        "claims": {"1": {"claim": "made little", "prior": 0.5, "posterior": 0.75,
                         "at_library": {"holds": True, "text": "fold 9"}, "at_point": {"holds": False, "text": "fold 2"}}},
    }
    write.save(found, tmp_path / "record.json", tmp_path / "page.md")
    assert json.loads((tmp_path / "record.json").read_text())["proposals"][0]["parameter"] == "laws.direct_ec50"
    page = (tmp_path / "page.md").read_text()
    assert "| UT01 | cured; somebody | 7/10 | 70 % | 68 % | -1.50 → -1.25 |" in page
    assert "| laws.direct_ec50 | 15 nM | 20 nM | 1 nM to 40 nM | +0.50 | UT01 |" in page
    assert "| 1 | made little | 50 % | 75 % | yes: fold 9 | no: fold 2 |" in page
