"""Sensitivity, power and optimisation: against functions whose answer is known, then on the real model."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from locokine import api
from locokine.cli import main
from locokine.errors import InputError
from locokine.inference import optimise as search
from locokine.inference import power as planning
from locokine.inference import sensitivity as screening
from locokine.inference.draws import around_library
from locokine.inference.ensemble import evaluate, movable
from locokine.inference.prior import population_of
from locokine.population import draw
from locokine.scenario.dosing import parse_course
from locokine.scenario.experiment import Experiment

TREATED = "intratumoural"


@pytest.fixture(scope="module")
def experiment(examples: Path) -> Experiment:
    found = api.load(examples / "local_versus_systemic.yaml", subjects=32)
    return replace(found, protocol=replace(found.protocol, geometry="well-mixed", rechallenge=None, follow_up=30 * 24.0))


# ---------------------------------------------------------------------- power
@pytest.mark.parametrize("size", [2, 5, 9])
def test_the_tables_that_are_rejected_are_those_of_fishers_test(size: int) -> None:
    from scipy.stats import fisher_exact

    for a, b in product(range(size + 1), repeat=2):
        p = fisher_exact([[a, size - a], [b, size - b]]).pvalue  # type: ignore[attr-defined]
        assert planning.rejected(size, 0.05)[a, b] == (p <= 0.05), (a, b)


def test_exact_power_is_the_sum_over_all_tables() -> None:
    from scipy.stats import binom

    size, one, two = 8, 0.9, 0.2
    expected = sum(
        binom.pmf(a, size, one) * binom.pmf(b, size, two) * planning.rejected(size, 0.05)[a, b]
        for a, b in product(range(size + 1), repeat=2)
    )
    found = planning.exact_power(np.array([one]), np.array([two]), size, 0.05)[0]
    assert found == pytest.approx(expected, rel=1e-12)
    # without a difference a test of level 5 % rejects in at most 5 % (Fisher's: fewer)
    assert planning.exact_power(np.array([0.3]), np.array([0.3]), 40, 0.05)[0] <= 0.05
    found = planning.exact_power(np.array([0.5]), np.array([0.1]), 20, 0.05)[0]
    assert found == pytest.approx(_simulated_power(0.5, 0.1, 20), abs=0.033)  # three standard errors of 2,000 drawn trials


def _simulated_power(one: float, two: float, size: int) -> float:
    from scipy.stats import fisher_exact

    random = np.random.default_rng(3)
    hits = [(random.binomial(size, one), random.binomial(size, two)) for _ in range(2000)]
    cached = {pair: fisher_exact([[pair[0], size - pair[0]], [pair[1], size - pair[1]]]).pvalue for pair in set(hits)}  # type: ignore[attr-defined]
    return float(np.mean([cached[pair] <= 0.05 for pair in hits]))


def pools(**values: tuple[Any, Any]) -> list[dict[str, np.ndarray]]:
    return [{name: np.atleast_2d(np.asarray(pair[i], dtype=float)) for name, pair in values.items()} for i in range(2)]


def test_drop_out_and_a_small_pool_cost_power() -> None:
    hits = np.repeat([1.0, 0.0], [60, 40]), np.repeat([1.0, 0.0], [20, 80])
    table = planning._share_table(pools(cure=hits), "cure", (10, 20, 40), 0.05, 0.0, seed=1)
    assert table["power"].is_monotonic_increasing
    assert (table["low"] < table["power"]).all()
    assert (table["power"] < table["high"]).all()
    lost = planning._share_table(pools(cure=hits), "cure", (10, 20, 40), 0.05, 0.3, seed=1)
    assert (lost["power"] < table["power"]).all()
    small = pools(cure=(hits[0][::5], hits[1][::5]))
    wide = planning._share_table(small, "cure", (20,), 0.05, 0.0, seed=1).iloc[0]
    narrow = table.iloc[1]
    assert wide["power"] == pytest.approx(narrow["power"], rel=1e-12)  # the same shares
    assert wide["high"] - wide["low"] > narrow["high"] - narrow["low"]


def test_log_rank_and_mann_whitney_power_are_counted() -> None:
    random = np.random.default_rng(2)
    days = random.exponential(20.0, 400), random.exponential(60.0, 400)
    made = pools(survival=[np.minimum(day, 60.0) for day in days], died=[day < 60.0 for day in days])
    table = planning._counted_table(made, "survival", (5, 40), 0.05, 0.0, 1, 60.0)
    assert table["power"].iloc[0] < 0.8 < table["power"].iloc[1]
    censored = planning._counted_table(made, "survival", (15,), 0.05, 0.6, 1, 60.0)["power"].iloc[0]
    assert censored < planning._counted_table(made, "survival", (15,), 0.05, 0.0, 1, 60.0)["power"].iloc[0]
    same = pools(volume_reduction=(np.arange(50.0), np.arange(50.0)))
    level = planning._counted_table(same, "volume_reduction", (20,), 0.05, 0.0, 1, 60.0)["power"].iloc[0]
    assert level <= 0.09  # 5 % and three and a half standard errors of 400 trials


def test_the_size_is_the_first_that_stays_above_the_target() -> None:
    import pandas as pd

    table = pd.DataFrame({"size": [3, 4, 5, 6, 8], "expected": [0.1, 0.85, 0.7, 0.8, 0.9]})  # saw teeth
    assert planning.smallest(table, 0.8) == 6
    assert planning.smallest(table, 0.05) == 3
    assert planning.smallest(table, 0.95) is None


@pytest.mark.slow
def test_power_of_the_real_model_resumes_and_speaks(experiment: Experiment, tmp_path: Path) -> None:
    found = planning.power(experiment, TREATED, "untreated", "volume_reduction", sizes=(3, 10, 30), out=tmp_path, threads=2)
    assert found.test == "Mann–Whitney test"
    assert found.table["power"].iloc[-1] > 0.9  # treated mice shrink, untreated grow
    assert "subjects per arm are needed" in found.sentence()
    calls: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "evaluate", lambda *_: calls.append(1))
        again = planning.power(experiment, TREATED, "untreated", "volume_reduction", sizes=(3, 10, 30), out=tmp_path)
    assert not calls
    assert again.table.equals(found.table)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"outcome": "cures"}, "there is no outcome 'cures'.*did you mean cure"),
        ({"target": 1.2}, "--power: 1.2 is not a share"),
        ({"alpha": 0.0}, "--alpha: 0 is not a share"),
        ({"dropout": 1.0}, "--drop-out: 1 is not a share"),
        ({"draws": -1}, "--draws"),
        ({"sizes": (1, 5)}, "--sizes: subjects per arm must lie between 2 and 1000"),
        ({"reference": TREATED}, "cannot be compared with itself"),
    ],
)
def test_power_refuses_what_makes_no_trial(experiment: Experiment, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        planning.power(experiment, TREATED, options.pop("reference", "untreated"), **options)
    with pytest.raises(InputError, match="a pool of 5 subjects says too little"):
        planning.power(experiment.changed(subjects=5), TREATED, "untreated")


# ---------------------------------------------------------------------- sensitivity
NAMES = ("direct_on", "thrombotic_on", "direct_off")


def linear(weights: dict[str, float], frees: list[Any]) -> Any:
    """Stands for the model: an outcome that is linear in the standard normal coordinates of the parameters."""

    def made(
        experiment: Experiment, arm: str, population: Any, names: tuple[str, ...], draws: int, threads: int
    ) -> dict[str, np.ndarray]:
        total = np.zeros((draws, population.subjects // draws))
        for free in frees:
            centre = np.median(population[free.record.name].reshape(draws, -1), axis=1)
            z = np.array([free.coordinate(float(value)) for value in centre])
            total += weights.get(free.record.name, 0.0) * z[:, None]
        return dict.fromkeys(names, total)

    return made


def test_sobol_and_morris_of_a_linear_model(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    frees = around_library(movable(experiment, NAMES))
    monkeypatch.setattr(screening, "evaluate", linear({"direct_on": 2.0, "thrombotic_on": 1.0}, frees))
    monkeypatch.setattr(screening, "population_of", partial(population_of, between=False))
    found = screening.sensitivity(
        experiment, TREATED, ["response"], NAMES, trajectories=6, top=3, samples=256, subjects=1
    )
    morris = found.morris.set_index("parameter")
    assert morris["rank"].to_dict() == {"laws.direct_on": 1, "laws.thrombotic_on": 2, "laws.direct_off": 3}
    assert morris.loc["laws.direct_off", "mu_star"] == pytest.approx(0.0, abs=1e-9)
    # The effect per whole range of two of three levels (0.05 to 0.65, 0.35 to 0.95): linear, so twice as large
    assert morris.loc["laws.direct_on", "mu_star"] == pytest.approx(2 * morris.loc["laws.thrombotic_on", "mu_star"], rel=0.05)
    sobol = found.sobol.set_index("parameter")
    for key, share in (("laws.direct_on", 0.8), ("laws.thrombotic_on", 0.2), ("laws.direct_off", 0.0)):
        # 4 : 1 in variance; sampling error of 256 points, as its own interval says (below 0.1)
        assert sobol.loc[key, "first"] == pytest.approx(share, abs=0.1)
        assert sobol.loc[key, "total"] == pytest.approx(share, abs=0.1)
    tornado = found.tornado.set_index("parameter")
    assert tornado.loc["laws.direct_on", "high"] == pytest.approx(2 * 1.6449, abs=1e-3)  # z of 95 %
    assert tornado.loc["laws.direct_on", "low"] == pytest.approx(-2 * 1.6449, abs=1e-3)
    for free in frees:  # the middle is the model as it ships
        assert float(free.at(np.array(0.0))) == pytest.approx(experiment.library.laws.records[free.record.name].value, rel=1e-12)


def test_an_outcome_that_nothing_moves_has_no_shares(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "evaluate", linear({}, movable(experiment, NAMES)))
    found = screening.sensitivity(experiment, TREATED, ["cure"], NAMES, trajectories=2, top=2, samples=8, subjects=1)
    assert (found.morris["mu_star"] == 0.0).all()
    assert found.sobol["first"].isna().all()


@pytest.mark.slow
def test_draws_share_their_chance(experiment: Experiment) -> None:
    """A draw that changes nothing gives the very outcome of the scenario's own subjects, wherever it stands."""
    (free,) = movable(experiment, ["laws.direct_on"])
    value = free.record.value
    people = population_of(experiment, {free: np.array([value, 1.3 * value, value])}, 3, 16)
    names = ("volume_reduction", "survival", "cure")
    found = evaluate(experiment, "intravenous, high dose", people, names, 3, threads=2)
    alone = evaluate(experiment, "intravenous, high dose", draw(experiment.changed(subjects=16)), names)
    for name in names:
        np.testing.assert_array_equal(found[name][0], found[name][2])
        np.testing.assert_array_equal(found[name][0], alone[name][0])


def test_movable_parameters_have_ranges_and_a_part_in_the_scenario(experiment: Experiment) -> None:
    frees = movable(experiment)
    assert len({free.key for free in frees}) == len(frees) > 100
    assert all(free.record.low < free.record.high for free in frees)
    owners = {free.key.partition(".")[0] for free in frees}
    assert {"laws", "sl2"} <= owners
    assert "human" not in owners
    fixed = experiment.changed(overrides={"direct_on": "2 h"})
    assert not any(free.record.name == "direct_on" for free in movable(fixed))
    with pytest.raises(InputError, match=r"no parameter 'direct_onn'.*did you mean direct_on"):
        movable(experiment, ["direct_onn"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"parameters": NAMES[:1]}, "one parameter has nothing to be compared with"),
        ({"trajectories": 1}, "1 trajectories have no spread"),
        ({"samples": 20}, "20 is not a power of 2"),
        ({"top": 1}, "1 parameters make no variance to share"),
        ({"subjects": 0}, "0 must be at least 1"),
        ({"outcomes": ["nothing"]}, "there is no outcome 'nothing'"),
    ],
)
def test_sensitivity_refuses_what_makes_no_design(experiment: Experiment, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        screening.sensitivity(experiment, TREATED, **{"outcomes": ["cure"], "parameters": NAMES} | options)


# ---------------------------------------------------------------------- optimisation
def test_the_space_begins_with_the_arms_own_line(experiment: Experiment) -> None:
    space = search.make_space(experiment, TREATED)
    assert (space.agent, space.routes, space.schedules) == ("aldesleukin", ("intratumoural",), ("daily days 10-14",))
    assert space.dose == search.Range(2000.0, 200000.0, "IU")
    assert space.volume == search.Range(0.1, 0.1, "mL")
    line = space.line({"dose": 123456.0, "volume": 0.05, "route": "peritumoural", "schedule": "day 10", "site": "flank"})
    assert line == "aldesleukin 123000 IU peritumoural in 0.05 mL into flank day 10"
    assert parse_course(line, "", ["aldesleukin"]).text == line
    wide = search.make_space(experiment, TREATED, "1 ug to 1000 ug", "0.01 mL to 0.2 mL", ["i.v."], ["weekly from day 10"])
    assert wide.dose == search.Range(1.0, 1000.0, "ug")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dose": "1000"}, "--dose: '1000' is not a range"),
        ({"dose": "1000 IU to 2 MIU"}, "both in one unit"),
        ({"dose": "2000 IU to 1000 IU"}, "does not rise"),
        ({"volume": "much"}, "--volume: 'much' is not a range"),
        ({"routes": ["oral"]}, "unknown route 'oral'"),
        ({"schedules": ["sometimes"]}, "sometimes"),
        ({"schedules": ["daily days 50-60"]}, "is not before the end of follow-up"),
        ({"dose": "1 kg to 2 kg"}, "kg"),
        ({"sites": ["liver"]}, "unknown lesion 'liver'"),
    ],
)
def test_designs_that_cannot_be_given(experiment: Experiment, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        search.make_space(experiment, TREATED, **options)
    with pytest.raises(InputError, match="empty"):
        search.make_space(experiment, "untreated")


def test_the_front_is_what_none_beats() -> None:
    random = np.random.default_rng(1)
    a, b = np.round(random.random((2, 60)), 1)  # ties
    for i, kept in enumerate(search.pareto(a, b)):
        beaten = any(a[j] >= a[i] and b[j] >= b[i] and (a[j] > a[i] or b[j] > b[i]) for j in range(60))
        assert kept == (not beaten)


class Saturating:
    """Stands for the model: cure rises with the logarithm of the dose, toxicity sets in above 50,000 IU."""

    def __init__(self) -> None:
        self.calls = 0
        self.stop_at: int | None = None

    def __call__(
        self, design: Experiment, arm: str, population: Any, names: tuple[str, ...], draws: int, threads: int
    ) -> dict[str, np.ndarray]:
        if self.calls == self.stop_at:
            self.stop_at = None
            raise KeyboardInterrupt
        self.calls += 1
        iu = design.protocol.arms[0].doses[0].amount / design.agent_units("aldesleukin").fmol_per_iu  # type: ignore[operator]
        u = np.random.default_rng(design.seed).random(population.subjects)
        local = design.protocol.arms[0].doses[0].route == "intratumoural"
        cure = u < 0.9 / (1.0 + (10000.0 / iu) ** 2) * (1.0 if local else 0.5)
        return {"cure": cure[None].astype(float), "severe_toxicity": (u < (iu - 5e4) / 1e5)[None].astype(float)}


def test_the_best_design_under_the_limit_is_found_confirmed_and_resumed(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Saturating()
    monkeypatch.setattr(search, "evaluate", model)
    many = experiment.changed(subjects=400)
    space = search.make_space(many, TREATED, dose="1000 IU to 1000000 IU", routes=["intratumoural", "intravenous"])
    found = search.optimise(many, space, limit=0.1, evaluations=40, out=tmp_path / "whole")
    assert found.best is not None
    assert found.best["route"] == "intratumoural"
    # cure is flat above 30,000 IU, 10 % toxicity is reached at 60,000: anything between does
    assert 20000.0 < found.best["dose"] < 66000.0
    assert found.best["toxicity_again"] <= 0.1
    assert found.best["aim_low"] < found.best["aim_again"] < found.best["aim_high"]
    low, high = found.flat["dose"]
    assert low < found.best["dose"] * 1.001
    assert 20000.0 < low < high < 66000.0
    assert found.front["sure"].sum() <= 1.0 + 1e-12
    assert any(text.startswith("Flat:") for text in found.sentences())
    calls = model.calls
    model.stop_at = calls + 7
    with pytest.raises(KeyboardInterrupt):
        search.optimise(many, space, limit=0.1, evaluations=40, out=tmp_path / "part")
    again = search.optimise(many, space, limit=0.1, evaluations=40, out=tmp_path / "part")
    assert again.designs.equals(found.designs)
    assert again.best == found.best
    assert model.calls == 2 * calls  # nothing was simulated twice


def test_a_limit_that_nothing_keeps_is_said(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "evaluate", Saturating())
    space = search.make_space(experiment, TREATED, dose="200000 IU to 300000 IU")
    found = search.optimise(experiment, space, limit=0.0, evaluations=3)
    assert found.best is None
    assert "None of 3 designs keeps" in found.sentences()[0]
    for options, words in (
        ({"aim": "fun"}, "--aim: there is no outcome 'fun'"),
        ({"toxicity": "cure"}, "is the aim already"),
        ({"evaluations": 1}, "1 is no search"),
    ):
        with pytest.raises(InputError, match=words):
            search.optimise(experiment, space, **options)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- the commands
@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "file", "key"),
    [
        (["power", "--subjects", "24", "--sizes", "3,5,15", "--outcome", "cure"], "power", "size"),
        (["sensitivity", "--parameter", "direct_on", "--parameter", "ctl_kill_rate", "--trajectories", "2", "--top", "2",
          "--samples", "8", "--outcome", "volume_reduction", "--outcome", "oedema"], "sensitivity", "sobol"),
        (["optimise", "--subjects", "16", "--evaluations", "4", "--dose", "5000 IU to 50000 IU", "--toxicity",
          "moderate_toxicity", "--limit", "1"], "optimum", "best"),
    ],
)  # fmt: skip
def test_the_commands_write_tables_and_figures(
    examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], file: str, key: str
) -> None:
    command = [words[0], str(examples / "local_versus_systemic.yaml"), *words[1:]]
    command += ["--geometry", "well-mixed", "--out", str(tmp_path)]
    assert main([*command, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts[key] is not None
    assert facts["research_use_only"] is True
    assert json.loads((tmp_path / f"{file}.json").read_text()) == facts
    assert (tmp_path / f"{file}.png").stat().st_size > 10_000
    assert main(command) == 0  # from what is kept
    assert "Research use only" in capsys.readouterr().out
    assert main([*command, "--threads", "0"]) == 2
    assert main([*command, "--geometry", "cube"]) == 2
    assert "unknown geometry 'cube'" in " ".join(capsys.readouterr().err.split())


# --- parameters drawn from a posterior -------------------------------------------------------------------------------


def test_a_sensitivity_study_of_a_posterior_moves_within_what_is_known() -> None:
    """Range and median of the draws replace those of the record; a parameter that was not fitted keeps its own."""
    from locokine.inference.draws import PosteriorDraws, known_ranges
    from locokine.inference.prior import candidates
    from locokine.parameters.library import load_library

    frees = {item.key: item for item in candidates(load_library(), ["laws"])}
    fitted, other = frees["laws.direct_ec50"], frees["laws.thrombotic_on"]
    drawn = np.linspace(10.0, 20.0, 101)
    known, kept = known_ranges([fitted, other], PosteriorDraws({"laws.direct_ec50": drawn}))
    assert (known.record.low, known.record.value, known.record.high) == (10.5, 15.0, 19.5)
    assert known.at(np.array([0.0]))[0] == pytest.approx(15.0)
    assert kept == other


def test_designs_are_tried_in_subjects_of_the_posterior(examples: Path) -> None:
    from locokine.inference.optimise import _design
    from locokine.scenario.load import load

    drawn = {"laws.direct_ec50": np.array([5.0, 25.0])}
    made = replace(load(examples / "ascites_sl2.yaml"), uncertainty=drawn)
    arm = next(one for one in made.protocol.arms if one.text)
    assert _design(made, arm.text[0]).uncertainty is drawn
