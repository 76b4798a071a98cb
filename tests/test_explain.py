"""Explanations: exact shares, the order of events, twins of the real model, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from locokine import api
from locokine.cli import main
from locokine.errors import InputError
from locokine.inference import chronology, shapley
from locokine.inference import explain as inference
from locokine.inference.ledger import FILE, Ledger
from locokine.scenario.experiment import Experiment


# ---------------------------------------------------------------------- shares
def game(players: int, worth: Callable[[set[int]], float]) -> np.ndarray:
    return np.array([worth(set(members)) for members in shapley.coalitions(players)])


def test_the_glove_game() -> None:
    # one left glove (player 0), two right ones; a pair is worth 1: in 4 of 6 orders the left one completes it
    values = shapley.shapley_values(game(3, lambda s: float(0 in s and bool(s & {1, 2}))))
    np.testing.assert_allclose(values, [2 / 3, 1 / 6, 1 / 6], atol=1e-15)  # rounding only


def test_shapley_values_are_the_mean_over_all_orders() -> None:
    worth = np.random.default_rng(4).normal(size=(2**4, 3))
    expected = np.zeros((4, 3))
    for order in permutations(range(4)):
        code = 0
        for player in order:
            expected[player] += (worth[code | 1 << player] - worth[code]) / 24.0
            code |= 1 << player
    values = shapley.shapley_values(worth)
    np.testing.assert_allclose(values, expected, atol=1e-14)  # rounding of 24 terms
    np.testing.assert_allclose(values.sum(axis=0), worth[-1] - worth[0], atol=1e-14)


def test_who_does_nothing_gets_nothing_and_who_needs_each_other_shares() -> None:
    weights = np.array([3.0, -1.0, 0.0, 0.5])
    additive = game(4, lambda s: sum(weights[i] for i in s))
    np.testing.assert_allclose(shapley.shapley_values(additive), weights, atol=1e-14)
    np.testing.assert_allclose(shapley.interactions(additive), 0.0, atol=1e-14)
    both = game(3, lambda s: float({0, 1} <= s))
    np.testing.assert_allclose(shapley.shapley_values(both), [0.5, 0.5, 0.0], atol=1e-15)
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[1, 0] = 1.0
    np.testing.assert_allclose(shapley.interactions(both), expected, atol=1e-15)
    either = game(2, lambda s: float(bool(s)))
    assert shapley.interactions(either)[0, 1] == -1.0  # one can stand in for the other


def test_a_game_with_missing_coalitions_is_refused() -> None:
    with pytest.raises(ValueError, match="6 coalitions"):
        shapley.shapley_values(np.zeros(6))


def test_shares_are_contributions_over_the_effect_and_small_effects_are_not_shared() -> None:
    subjects = 40
    random = np.random.default_rng(1)
    cured = (random.random(subjects) < 0.7).astype(float)
    worth = np.stack([np.zeros(subjects), np.zeros(subjects), np.zeros(subjects), cured])[None]  # needs both
    first, second = inference.share_rows("cure", ["a", "b"], worth, seed=1)
    assert first["contribution"] == second["contribution"] == pytest.approx(cured.mean() / 2.0, abs=1e-15)
    assert first["low"] < first["contribution"] < first["high"]
    # binomial standard error of half a share of 40 subjects, within the noise of 2,000 resamples
    width = (first["high"] - first["low"]) / (2 * 1.96)
    assert width == pytest.approx(0.5 * np.sqrt(cured.mean() * (1 - cured.mean()) / subjects), rel=0.1)
    assert (first["share"], first["share_low"], first["share_high"]) == pytest.approx((0.5, 0.5, 0.5))
    assert (first["alone"], first["without"]) == pytest.approx((0.0, cured.mean()))
    nothing = inference.share_rows("cure", ["a", "b"], 0.01 * worth, seed=1)
    assert all(np.isnan(row["share"]) for row in nothing)


# ---------------------------------------------------------------------- order and times
def test_half_of_a_change_is_found_between_stored_values() -> None:
    times = np.arange(0.0, 41.0, 4.0)
    ramp = np.minimum(times / 20.0, 1.0)[:, None]
    assert chronology.half_reached(ramp, times)[0] == pytest.approx(10.0, abs=1e-12)  # linear: exact
    assert np.isnan(chronology.half_reached(-ramp, times)[0])
    dead = np.where(times[:, None] > 12.0, np.nan, ramp)  # died at 12 h with 0.6: half of that is at 6 h
    assert chronology.half_reached(dead, times)[0] == pytest.approx(6.0, abs=1e-12)
    decay = np.exp(-np.log(2.0) * times / 10.0)[:, None]
    assert chronology.halved(decay, times)[0] == pytest.approx(10.0, abs=0.15)  # chord of an exponential over 4 h
    assert np.isnan(chronology.halved(np.ones((3, 1)), times[:3])[0])


def test_the_order_is_that_of_the_medians_and_tells_how_sure_it_is() -> None:
    rows = [(s, "a", "first", 1.0 + s) for s in range(4)] + [(s, "b", "second", (5.0, 6.0, 7.0, 2.0)[s]) for s in range(4)]
    rows += [(s, "c", "never", np.nan) for s in range(4)]
    table = chronology.order_table(pd.DataFrame(rows, columns=["subject", "link", "what", "hours"]))
    assert table["link"].tolist() == ["a", "b", "c"]
    assert table["reached"].tolist() == [1.0, 1.0, 0.0]
    assert table["median"].tolist()[:2] == [2.5, 5.5]
    assert table["after"].tolist()[1] == 0.75  # in subject 3 it came before


# ---------------------------------------------------------------------- the real model
@pytest.fixture(scope="module")
def experiment(examples: Path) -> Experiment:
    found = api.load(examples / "local_versus_systemic.yaml", subjects=16)
    return replace(found, protocol=replace(found.protocol, geometry="well-mixed", rechallenge=None, follow_up=40 * 24.0))


PAIR = {"starving": ("leak", "starvation"), "T cells": ("t_cells",)}


@pytest.fixture(scope="module")
def explained(experiment: Experiment) -> inference.Explanation:
    return inference.explain(experiment, "intratumoural", mechanisms=PAIR, threads=2)


@pytest.mark.slow
def test_worlds_are_the_twins_that_a_user_can_make(experiment: Experiment, explained: inference.Explanation) -> None:
    """What is shared out is the difference that `api.twin` and `api.simulate` give, to the bit."""
    for code, off in ((3, ()), (2, PAIR["starving"]), (0, (*PAIR["starving"], *PAIR["T cells"]))):
        subjects = api.simulate(api.twin(experiment, off=off)).outcome.subjects
        treated, control = (subjects.loc[subjects["arm"] == arm] for arm in ("intratumoural", "untreated"))
        expected = treated["cure_probability"].to_numpy() - control["cure_probability"].to_numpy()
        np.testing.assert_array_equal(explained.worth["cure"][0, code], expected)
    assert explained.control == "untreated"


@pytest.mark.slow
def test_contributions_add_up_and_the_mechanisms_come_out(explained: inference.Explanation) -> None:
    shares = explained.shares()
    for effect in inference.EFFECTS:
        whole, none = explained.total(effect)
        rows = shares.loc[shares["effect"] == effect]
        assert rows["contribution"].sum() == pytest.approx(whole - none, abs=1e-12)  # rounding only
    order = chronology.order_table(explained.events).set_index("link")
    # claim 10 of the blueprint, in the mouse: leak, then less oxygen, then starving cells; T cells kill later
    assert order.loc["leak", "median"] <= order.loc["oxygen", "median"] < order.loc["starving", "median"]
    assert order.loc["starving", "median"] < order.loc["t_killing", "median"]
    cause, course = inference.sentences(explained)
    assert cause.startswith("In 16 simulated animals, intratumoural treatment")
    assert "untreated" in cause
    assert course.index("vessels leak") < course.index("T cells kill")


@pytest.mark.slow
def test_an_interrupted_explanation_goes_on(
    experiment: Experiment, explained: inference.Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real = inference._outcomes

    def counted(world: Experiment, arm: str, *rest: Any) -> dict[str, np.ndarray]:
        if len(calls) == 3 and "again" not in calls:
            calls.append("again")
            raise KeyboardInterrupt
        calls.append(arm)
        return real(world, arm, *rest)

    monkeypatch.setattr(inference, "_outcomes", counted)
    with pytest.raises(KeyboardInterrupt):
        inference.explain(experiment, "intratumoural", mechanisms=PAIR, out=tmp_path, threads=2)
    with (tmp_path / FILE).open("a", encoding="utf-8") as file:
        file.write('{"key": "1/untreated", "values": {"cu')  # the line that was being written
    found = inference.explain(experiment, "intratumoural", mechanisms=PAIR, out=tmp_path, threads=2)
    assert len(calls) == 1 + 2 * 4  # every evaluation once
    for effect in inference.EFFECTS:
        np.testing.assert_array_equal(found.worth[effect], explained.worth[effect])


@pytest.mark.slow
def test_intervals_over_draws_of_the_parameters(experiment: Experiment) -> None:
    found = inference.explain(experiment.changed(subjects=4), "intratumoural", "nothing", PAIR, draws=3, threads=2)
    assert found.worth["cure"].shape == (4, 4, 4)
    assert np.ptp(found.worth["volume_reduction"][:, -1].mean(axis=-1)) > 0.0  # parameters matter
    table = found.shares()
    assert (table["draws_low"] <= table["draws_high"]).all()


def test_shares_over_draws_are_of_those_with_an_effect() -> None:
    """Three draws: shares 3/4 and 1/4, the other way round, and no effect at all, which has no shares."""
    library = np.zeros((1, 4, 2))
    library[0, :] = np.array([0.0, 0.6, 0.2, 0.8])[:, None]  # worlds: none, first, second, both
    worlds = [[0.0, 0.6, 0.2, 0.8], [0.0, 0.2, 0.6, 0.8], [0.0, 0.0, 0.0, 0.0]]
    worth = np.concatenate([library, np.repeat(np.array(worlds)[:, :, None], 2, axis=2)])
    first, second = inference.share_rows("cure", ["a", "b"], worth, 1)
    assert first["draws_shared"] == second["draws_shared"] == 2
    assert first["share"] == pytest.approx(0.75)
    # quantiles of two values, interpolated
    assert (first["share_draws_low"], first["share_draws_high"]) == pytest.approx((0.275, 0.725))
    assert (second["share_draws_low"], second["share_draws_high"]) == pytest.approx((0.275, 0.725))
    (alone,) = inference.share_rows("cure", ["a"], worth[:1, :2], 1)
    assert alone["draws_shared"] == 0
    assert np.isnan(alone["share_draws_low"])


@pytest.mark.slow
def test_the_command_writes_tables_figure_and_sentences(
    examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "explain", str(examples / "ascites_sl2.yaml"), "--out", str(tmp_path), "--subjects", "8", "--geometry", "well-mixed",
        "--mechanism", "T cells=t_killing", "--mechanism", "leak", "--json",
    ]  # fmt: skip
    assert main(words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["mechanisms"] == {"T cells": ["t_killing"], "leak": ["leak"]}
    assert len(facts["sentences"]) == 2
    stored = json.loads((tmp_path / "explanation.json").read_text())
    assert stored == facts
    names = {path.name for path in tmp_path.iterdir()}
    assert {"shares.csv", "worlds.csv", "events.csv", "order.csv", "explanation.png", "explanation.svg"} <= names
    assert len(pd.read_csv(tmp_path / "worlds.csv")) == 4
    # the same folder, another question
    assert main([*words[:-1], "--seed", "5"]) == 2
    assert "holds another study (ascites_sl2 with other settings)" in " ".join(capsys.readouterr().err.split())


# ---------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["leaks"], "unknown mechanism 'leaks'.*did you mean leak"),
        (["a=leak", "a=memory"], "'a' is given twice"),
        (["a=leak", "b=leak_direct"], "leak_direct belongs to 'a' and to 'b'"),
        (["a="], "is not NAME=SWITCH"),
        (["leak", "starvation", "memory", "macrophages", "lak_killing", "t_killing", "bleeding"], "would need 128 worlds"),
    ],
)
def test_mechanisms_that_cannot_be_read(texts: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        inference.read_mechanisms(texts)


def test_arms_that_cannot_be_explained(experiment: Experiment) -> None:
    assert inference.choose_arms(experiment, None, None) == ("intratumoural", "untreated")
    assert inference.choose_arms(experiment, "peritumoural", "nothing") == ("peritumoural", None)
    for arm, against, words in (
        ("intratumour", None, "there is no arm 'intratumour'"),
        (None, "placebo", "there is no arm 'placebo'"),
        ("untreated", "untreated", "cannot be its own control"),
    ):
        with pytest.raises(InputError, match=words):
            inference.choose_arms(experiment, arm, against)
    bare = replace(experiment, protocol=replace(experiment.protocol, arms=experiment.protocol.arms[:1]))
    with pytest.raises(InputError, match="no arm of this scenario is treated"):
        inference.choose_arms(bare, None, None)
    with pytest.raises(InputError, match="one subject has no interval"):
        inference.explain(experiment.changed(subjects=1))
    off = experiment.changed(switches={"leak": False})
    with pytest.raises(InputError, match="switched off every mechanism"):
        inference.explain(off, mechanisms={"leak": ("leak",)})


FACTS = {"command": "explain", "version": "1", "code": "abc", "experiment": "mine", "scenario": "0"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "0"}, "version 0, not 1"),
        ({"code": "old"}, "made by other code of the same version"),
        ({"scenario": "9"}, "mine with other settings"),
        ({"command": "power"}, "command power, not explain"),
    ],
)
def test_evaluations_of_another_study_are_refused_without_force(tmp_path: Path, change: dict[str, str], words: str) -> None:
    Ledger(tmp_path, FACTS | change).put("a", {"x": np.ones(2)})
    with pytest.raises(InputError, match=rf"holds another study \({words}\); choose another --out, or .* --force"):
        Ledger(tmp_path, FACTS)
    assert Ledger(tmp_path, FACTS | change).known.keys() == {"a"}  # untouched
    assert Ledger(tmp_path, FACTS, force=True).known == {}


def test_a_ledger_keeps_numbers_exactly_and_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    values = np.array([1.0 / 3.0, np.nan, 1e-300])
    Ledger(tmp_path / "deep" / "er", FACTS).put("a", {"x": values})
    found = Ledger(tmp_path / "deep" / "er", FACTS).get("a", dict)
    np.testing.assert_array_equal(found["x"], values)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file, not a folder"):
        Ledger(tmp_path / "file", FACTS)
