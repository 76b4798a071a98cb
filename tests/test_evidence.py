"""Evidence: likelihoods and predictive distributions against analytic values, observables, the scoreboard, the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import beta, betabinom, binom, norm

from fake_runs import dose, event, healthy_run, kill, protocol, set_body, set_diameter
from locokine.cli import main
from locokine.errors import InputError
from locokine.evidence.library import Observation, read_evidence
from locokine.evidence.likelihood import Likelihood
from locokine.evidence.model import json_schema
from locokine.evidence.observables import OBSERVABLES, SETTINGS
from locokine.evidence.predictive import baseline, predict
from locokine.evidence.score import STRATA, Score, Spread, _observed, _plan, score
from locokine.evidence.trial import Trial, scaled
from locokine.inference.draws import PosteriorDraws, PriorDraws, read_posterior
from locokine.parameters import load_library
from locokine.population import draw
from locokine.scenario.load import load
from locokine.scenario.protocol import Arm
from small_evidence import GOOD, folder_of, only

LIBRARY = load_library()
EVIDENCE = read_evidence()


# --- likelihoods and predictive distributions ------------------------------------------------------------------------


def test_units_of_a_file_are_converted_to_those_of_the_observable(tmp_path: Path) -> None:
    item = only(folder_of(tmp_path, MY01=GOOD)).observations["MY01"]
    assert item.likelihood.value == pytest.approx(120.0)  # 0.12 L/min in mL/min
    half = only(folder_of(tmp_path, MY01=GOOD.replace("error: 0.15", "interval: [0.1, 0.144]"))).observations["MY01"]
    assert half.likelihood.spread == pytest.approx(np.log(1.44) / 2.0 / norm.ppf(0.975))


def test_a_count_is_predicted_by_the_beta_binomial_of_the_simulated_hosts() -> None:
    """30 of 40 simulated hosts: the share is Beta(30.5, 10.5). 4000 replicates: quantiles within one host of ten."""
    like = Likelihood("binomial", 70.0, successes=7, n=10, effective=10, share=True)
    hosts = np.repeat([1.0, 0.0], [30, 10])[None]
    found = predict(like, hosts, None, 1, "test")
    exact = betabinom(10, 30.5, 10.5)
    assert found.log_score == pytest.approx(exact.logpmf(7))
    assert found.low == pytest.approx(10.0 * exact.ppf(0.05), abs=10.0)
    assert found.high == pytest.approx(10.0 * exact.ppf(0.95), abs=10.0)
    assert found.value == pytest.approx(100.0 * 30.5 / 41.0, abs=1.0)  # Monte Carlo error of the mean: 16/sqrt(4000)


def test_the_interval_holds_sampling_of_n_hosts_and_the_paper_s_error_once() -> None:
    """Hosts N(0, 1), n = 4: standard deviation 1/2; a larger error of the paper replaces it, a smaller one does not."""
    hosts = np.random.default_rng(1).normal(size=(1, 4000))
    hosts = (hosts - hosts.mean()) / hosts.std(ddof=1)
    simulated = 1.0 / 4000.0
    for error, expected in ((0.1, 0.25), (0.7, 0.49)):
        like = Likelihood("normal", 0.0, spread=error, n=4, effective=4)
        centre, sd = like.replicate(hosts)
        assert centre[0] == pytest.approx(0.0, abs=1e-12)
        assert sd[0] ** 2 == pytest.approx(expected + simulated, rel=1e-9)
        found = predict(like, hosts, None, 1, "test")
        assert found.high == pytest.approx(norm.ppf(0.95) * sd[0], rel=0.06)  # Monte Carlo error of a 95 % quantile: 2 %
        assert found.log_score == pytest.approx(norm.logpdf(0.0, 0.0, sd[0]))


def test_groups_are_compared_by_difference_or_ratio() -> None:
    one, two = np.full((1, 50), 8.0), np.full((1, 50), 2.0)
    assert Likelihood("normal", 6.0, spread=1.0, n=9, effective=9).predict(one, two)[0] == 6.0
    ratio = Likelihood("lognormal", 4.0, spread=0.1, n=9, effective=9, ratio=True)
    assert ratio.predict(one, two)[0] == pytest.approx(4.0)
    assert ratio.log(one, two)[0] == pytest.approx(0.0, abs=1e-12)
    found = predict(ratio, one, two, 1, "test")
    assert found.value == pytest.approx(4.0, rel=0.02)
    hits, none = np.repeat([1.0, 0.0], [40, 10])[None], np.zeros((1, 50))
    order = Likelihood("ordering", 0.0, n=10, effective=10, above=0.0, share=True)
    assert order.predict(hits, none)[0] == pytest.approx(80.0)
    assert predict(order, hits, none, 1, "test").satisfied > 0.99
    assert predict(order, none, hits, 1, "test").satisfied < 0.01
    assert order.log(hits, none)[0] > -0.05 > -5.0 > order.log(none, hits)[0]


def test_equal_groups_do_not_satisfy_an_ordering() -> None:
    order = Likelihood("ordering", 0.0, n=10, effective=10, above=0.0, share=True)
    none = np.zeros((1, 400))
    assert predict(order, none, none, 1, "test").satisfied < 0.1


def test_a_bound_scores_the_probability_of_its_side() -> None:
    """Under 10 %, 5 of 1000 simulated: P(none of 10) of a beta-binomial; 4000 replicates, within 1 %."""
    like = Likelihood("bound", 10.0, n=10, effective=10, below=10.0, share=True)
    hosts = np.repeat([1.0, 0.0], [5, 995])[None]
    found = predict(like, hosts, None, 1, "test")
    assert found.satisfied == pytest.approx(betabinom.pmf(0, 10, 5.5, 995.5), abs=0.01)
    assert found.log_score == pytest.approx(np.log(found.satisfied), abs=1e-3)


def test_predictions_without_any_host_are_bad_and_finite() -> None:
    gone = np.full((1, 8), np.nan)
    for like in (
        Likelihood("binomial", 50.0, successes=5, n=10, effective=10, share=True),
        Likelihood("lognormal", 2.0, spread=0.1, n=10, effective=10),
        Likelihood("ordering", 0.0, n=10, effective=10, above=0.0, ratio=True),
    ):
        found = predict(like, gone, gone if like.kind == "ordering" else None, 1, "test")
        assert found.log_score == -50.0
        assert not Score(EVIDENCE.observations["UT01"], (50.0, 0.0, 100.0), found, None).agrees


def test_true_models_are_covered_and_score_better_than_wide_ones() -> None:
    """Studies of 20 hosts drawn from the model itself: 90 % or more are covered (counts are discrete); 400 studies, three
    standard errors are 4.5 %. A prediction of everything covers all and scores worse."""
    rng = np.random.default_rng(3)
    hosts = (np.arange(2000) < 1200).astype(float)[None]
    wide = np.stack([np.zeros(50), np.ones(50)] * 4)
    inside, ours, theirs = [], [], []
    for k, times in zip(*np.unique(rng.binomial(20, 0.6, size=400), return_counts=True), strict=True):
        like = Likelihood("binomial", 5.0 * k, successes=k, n=20, effective=20, share=True)
        found, other = predict(like, hosts, None, 1, "test"), predict(like, wide, None, 1, "wide")
        inside += [found.low <= 5.0 * k <= found.high] * times
        assert other.low <= 5.0 * k <= other.high
        ours += [found.log_score] * times
        theirs += [other.log_score] * times
    assert np.mean(inside) >= 0.9 - 0.045
    assert np.mean(ours) > np.mean(theirs) + 1.0


def test_the_baseline_predicts_the_mean_of_its_class() -> None:
    like = Likelihood("binomial", 70.0, successes=7, n=10, effective=10, share=True)
    assert baseline(like, (), ()) == pytest.approx(betabinom.logpmf(7, 10, 0.5, 0.5))
    assert baseline(like, (), [0.6, 0.8]) == pytest.approx(betabinom.logpmf(7, 10, 1.9, 1.1))
    order = Likelihood("ordering", 0.0, n=10, effective=10, above=0.0, share=True)
    assert baseline(order, (), ()) == pytest.approx(np.log(0.5))
    mean = Likelihood("lognormal", 4.0, spread=0.1, n=10, effective=10)
    assert baseline(mean, (), ()) is None
    near, far = (baseline(mean, [np.log(x)] * 5, ()) for x in (4.0, 400.0))
    assert near is not None
    assert far is not None
    assert near > far


def test_uncertain_doses_are_spread_over_the_draws() -> None:
    assert _plan((0.0, 0.0), 1, 8) == [(1.0, [0])]
    few = _plan((0.7, 0.7), 1, 8)
    assert [draws for _, draws in few] == [[0], [0], [0]]
    assert few[0][0] * few[2][0] == pytest.approx(1.0)
    assert few[2][0] == pytest.approx(np.exp(0.7 * STRATA[2]))
    many = _plan((0.7, 0.7), 7, 2)
    assert sorted(k for _, draws in many for k in draws) == list(range(7))
    cetus = _plan((0.5, 0.0), 3, 8)  # 6 IU at most
    assert cetus[2][0] == 1.0 > cetus[0][0]


# --- observables -----------------------------------------------------------------------------------------------------


class FakeTrial(Trial):
    """A trial whose arm is made up."""

    def __init__(self, run: Any, plan: Any, criteria: str = "caliper") -> None:
        class Experiment:
            protocol = plan
            host_entry = type("Host", (), {"meta": {"criteria": criteria}})

        super().__init__(Experiment, None)  # type: ignore[arg-type]
        self.made = run

    def run(self, arm: str, until: float | None = None, finer: float = 1.0) -> Any:
        return self.made


def read(name: str, run: Any, criteria: str = "caliper", **settings: Any) -> np.ndarray:
    plan = protocol(Arm("arm", (dose(0.0), dose(2.0))))
    return OBSERVABLES[name](FakeTrial(run, plan, criteria), "arm", settings)


def test_recovery_is_counted_from_the_last_dose() -> None:
    """Grade 2 of hypotension (75 of 98 mmHg) until day 6, last dose on day 2; the second never recovers, the third dies."""
    run = healthy_run(subjects=3, days=10)
    set_body(run, "mean_arterial_pressure", np.where(np.arange(11) == 0, 98.0, np.where(np.arange(11) < 7, 75.0, 98.0)), 0)
    for subject in (1, 2):
        set_body(run, "mean_arterial_pressure", np.where(np.arange(11) == 0, 98.0, 75.0), subject)
    kill(run, 5.0, "toxic_death", 2)
    found = read("recovery", run)
    assert found[:2] == pytest.approx([5.0, 8.0])
    assert np.isnan(found[2])
    assert read("toxic_death", run) == pytest.approx([0.0, 0.0, 1.0])


def test_weight_gain_is_read_in_kg_and_as_a_share_of_hosts() -> None:
    run = healthy_run(subjects=2, days=10)
    set_body(run, "weight", np.linspace(70.0, 77.0, 11), 0)
    set_body(run, "weight", 70.0, 1)
    assert read("weight_gain", run, day=5) == pytest.approx([3.5, 0.0])
    assert read("gained", run, percent=10) == pytest.approx([1.0, 0.0])
    assert read("gained", run, percent=11) == pytest.approx([0.0, 0.0])


def test_lesions_have_to_stay_away_for_the_stated_time() -> None:
    """Not palpable from day 7 on, once for ever and once for two weeks only."""
    run = healthy_run(subjects=2, days=60)
    days = np.arange(61)
    set_diameter(run, np.where(days < 7, 6.0, 0.0), 0)
    set_diameter(run, np.where((days < 7) | (days > 22), 6.0, 0.0), 1)
    assert read("lesions_cleared", run) == pytest.approx([1.0, 1.0])
    assert read("lesions_cleared_for", run, days=14) == pytest.approx([1.0, 1.0])
    assert read("lesions_cleared_for", run, days=28) == pytest.approx([1.0, 0.0])
    assert read("complete_response", run) == pytest.approx([1.0, 1.0])


def test_the_volume_of_the_dead_is_the_last_that_was_measured() -> None:
    run = healthy_run(subjects=2, days=20)
    for subject in (0, 1):
        set_diameter(run, np.linspace(2.0, 12.0, 21), subject)
    kill(run, 10.0, "humane_endpoint", 1)
    found = read("volume", run, day=20)
    assert found == pytest.approx(np.pi / 6.0 * np.array([12.0, 7.0]) ** 3)


def test_grades_are_read_by_term_and_overall() -> None:
    run = healthy_run(subjects=2, days=10)
    set_body(run, "temperature", np.where(np.arange(11) == 3, 39.5, 37.0), 0)
    event(run, "dose", 0.0)
    assert read("graded", run, term="fever", grade=2) == pytest.approx([1.0, 0.0])
    assert read("graded", run, term="any", grade=2) == pytest.approx([1.0, 0.0])
    assert read("graded", run, term="hypotension", grade=1) == pytest.approx([0.0, 0.0])


def test_every_setting_is_explained() -> None:
    assert {setting for item in OBSERVABLES.values() for setting in item.takes} == set(SETTINGS)


# --- the engine ------------------------------------------------------------------------------------------------------


def test_scaled_doses_scale_the_plasma_level() -> None:
    """Kinetics are linear where IL-2 is far above what receptors bind: peaks in proportion, to 1 %."""
    experiment = load(EVIDENCE.scenarios["bolus_human"], subjects=2)
    people = draw(experiment)
    peaks = [
        OBSERVABLES["peak_plasma"](Trial(scaled(experiment, factor), people), "intravenous") for factor in (1.0, 2.0)
    ]
    assert peaks[1] == pytest.approx(2.0 * peaks[0], rel=0.01)
    assert scaled(experiment, 1.0) is experiment


def pk(*names: str) -> list[Observation]:
    return [EVIDENCE.observations[name] for name in names]


def test_the_scoreboard_is_seeded_and_says_what_was_asked() -> None:
    once = score(EVIDENCE, pk("PK02", "PK05"), subjects=8, library=LIBRARY)
    again = score(EVIDENCE, pk("PK05", "PK02"), subjects=8, library=LIBRARY, threads=2)
    assert {s.observation.name: s.to_dict() for s in once.scores} == {s.observation.name: s.to_dict() for s in again.scores}
    tree = once.to_dict()
    assert list(tree) == ["library_hash", "experiments", "coverage"]
    assert tree["library_hash"] == LIBRARY.digest
    for entry in tree["experiments"]:
        assert list(entry) == [
            "id", "use", "observed", "predicted", "agrees", "width", "log_score", "baseline_log_score",
        ]
        assert set(entry["observed"]) == set(entry["predicted"]) == {"value", "low", "high"}
        assert entry["predicted"]["low"] < entry["predicted"]["value"] < entry["predicted"]["high"]
        assert entry["width"] == pytest.approx(entry["predicted"]["high"] - entry["predicted"]["low"])
        assert entry["agrees"] == (entry["predicted"]["low"] <= entry["observed"]["value"] <= entry["predicted"]["high"])
    assert tree["coverage"] == np.mean([entry["agrees"] for entry in tree["experiments"]])


def test_posterior_draws_move_the_prediction(tmp_path: Path) -> None:
    """Clearance itself is observed: median of subjects around the draws (subjects' spread 25 %, 16 of each: 10 %)."""
    path = tmp_path / "draws.json"
    made = {"human.clearance": {"unit": "mL/min", "draws": [230.0, 240.0, 250.0]}}
    path.write_text(json.dumps({"library": LIBRARY.entry_digests, "parameters": made}))
    posterior = read_posterior(path, LIBRARY)
    assert posterior.count == 3
    moved = score(EVIDENCE, pk("PK02"), source=posterior, subjects=16, library=LIBRARY).scores[0]
    base = score(EVIDENCE, pk("PK02"), source=Spread(), subjects=16, library=LIBRARY).scores[0]
    assert moved.predicted.value == pytest.approx(240.0 / 120.0 * base.predicted.value, rel=0.1)
    assert moved.predicted.log_score < base.predicted.log_score
    other = tmp_path / "draws.npz"
    np.savez(other, units=json.dumps({"human.clearance": "L/h"}), **{"human.clearance": np.array([13.8, 14.4, 15.0])})
    assert read_posterior(other, LIBRARY).values["human.clearance"] == pytest.approx(posterior.values["human.clearance"])
    assert posterior.thinned(2).count == 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda t: t | {"library": LIBRARY.entry_digests | {"hosts.human": "00"}}, "another version .*hosts.human changed"),
        (lambda t: {"parameters": {}}, "holds no draws"),
        (lambda t: {"draws": 1}, "not a file of posterior draws"),
        (lambda t: {"parameters": {"clearance": {"unit": "mL/min", "draws": [1.0]}}}, "whose parameter"),
        (lambda t: {"parameters": {"human.clearence": {"unit": "mL/min", "draws": [1.0]}}}, "did you mean clearance"),
        (lambda t: {"parameters": {"humam.clearance": {"unit": "mL/min", "draws": [1.0]}}}, "did you mean human"),
        (lambda t: {"parameters": {"human.clearance": {"unit": "kg", "draws": [1.0]}}}, "not a unit of this"),
        (lambda t: {"parameters": {"human.clearance": {"unit": "mL/min", "draws": [-1.0]}}}, "physical bounds"),
        (lambda t: {"parameters": {"human.clearance": {"unit": "mL/min", "draws": ["x"]}}}, "not numbers"),
        (lambda t: {"parameters": {"human.clearance": {"unit": "mL/min", "draws": []}}}, "finite numbers"),
        (
            lambda t: {"parameters": {"human.clearance": {"unit": "mL/min", "draws": [99.0]},
                                      "human.weight": {"unit": "kg", "draws": [70.0, 71.0]}}},
            "has 2 draws",
        ),
    ],
)
def test_bad_posterior_files_are_refused(tmp_path: Path, change: Callable[[dict[str, Any]], Any], problem: str) -> None:
    path = tmp_path / "draws.json"
    good = {"parameters": {"human.clearance": {"unit": "mL/min", "draws": [99.0]}}}
    path.write_text(json.dumps(change(good)))
    with pytest.raises(InputError, match=problem):
        read_posterior(path, LIBRARY)


def test_prior_draws_are_shared_and_leave_alone_what_an_experiment_states() -> None:
    source = PriorDraws(4, seed=1)
    one = load(EVIDENCE.scenarios["bolus_human"], library=LIBRARY)
    two = load(EVIDENCE.scenarios["systemic_human"], library=LIBRARY)
    first, second = (source.population(e, [0, 3], 3)["clearance"] for e in (one, two))
    assert (first == second).all()
    assert len(set(first.reshape(2, 3)[:, 0])) == 2
    alone = source.population(one, [3], 3)["clearance"]
    assert (first[3:] == alone).all()
    fixed = one.changed(overrides={"clearance": "100 mL/min"})
    stated = source.population(fixed, [0, 3], 3)["clearance"]
    assert (stated[:3] == stated[3:]).all()
    assert PosteriorDraws({"human.clearance": np.ones(2)}).population(fixed, [1], 3)["clearance"] == pytest.approx(stated[:3])


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_runs_a_folder_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of(tmp_path, MY01=GOOD)
    arguments = ["validate", "--with", str(folder), "--filter", "MY01", "--subjects", "4", "--threads", "1"]
    assert main([*arguments, "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert [(entry["id"], entry["use"]) for entry in tree["experiments"]] == [("MY01", "validate")]
    assert tree["experiments"][0]["observed"]["value"] == pytest.approx(120.0)
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "MY01 (validation)" in shown
    assert "coverage" in shown
    assert "Research use only" in shown
    assert main(["validate", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--filter", "nothing like it"], "no experiment contains"),
        (["--with", "nowhere"], "no such folder"),
        (["--uncertainty", "posteriors"], "neither spread, prior, posterior nor a file"),
        (["--subjects", "1"], "--subjects"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", *arguments]) == 2
    told = capsys.readouterr().err
    assert problem in told
    assert len(told.strip().splitlines()) == 1


def test_observed_intervals_are_exact_for_counts() -> None:
    board = score(EVIDENCE, pk("PK02"), subjects=4, library=LIBRARY)
    seen = board.scores[0].observed
    assert seen[1] == pytest.approx(120.0 * np.exp(-norm.ppf(0.975) * 0.15))
    value, low, high = _observed(EVIDENCE.observations["HM01"].likelihood)
    assert (value, low, high) == pytest.approx((62.5, 100 * beta.ppf(0.025, 15, 10), 100 * beta.ppf(0.975, 16, 9)))
    assert binom.sf(14, 24, low / 100.0) == pytest.approx(0.025, rel=1e-6)
