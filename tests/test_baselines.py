"""The published baselines: their known behaviour, the delay, and the files of a run."""

from __future__ import annotations

import csv
import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locokine import api
from locokine.baselines import Baseline, baseline, equilibria, integrate, solve, thresholds
from locokine.baselines.laws import State, change, stimulation
from locokine.baselines.models import Quantity
from locokine.baselines.solve import differentiation, leading_eigenvalue
from locokine.cli import main
from locokine.errors import InputError
from small_library import attempt

KP = baseline("kirschner-panetta")
BANERJEE = baseline("banerjee")


def with_antigenicity(c: float) -> Baseline:
    return KP.changed({"c": c})


def largest_real(c: float) -> float:
    """Growth rate of small changes around the smallest tumour that stays."""
    return equilibria(with_antigenicity(c))[1].eigenvalue.real


# --- Kirschner and Panetta: what the paper found ---


def test_without_treatment_a_host_without_tumour_is_not_safe() -> None:
    """Every single cell grows at r2: the tumour-free state is a saddle."""
    free = equilibria(KP)[0]
    assert free.state == State(0.0, 0.0, 0.0)
    assert free.eigenvalue.real == pytest.approx(0.18, rel=1e-9)  # exactly r2


def test_little_antigenic_tumours_are_large_and_stay() -> None:
    """Below c = 8.55e-5 a tumour near its largest size is stable; above there is none (as published, three digits)."""
    def large(c: float) -> bool:
        return any(one.stable and one.state.tumour > 5e8 for one in equilibria(with_antigenicity(c)))

    assert large(8.5e-5)
    assert not large(8.6e-5)
    course = integrate(with_antigenicity(5e-5), 3000)
    assert course.tumour[-1] == pytest.approx(equilibria(with_antigenicity(5e-5))[-1].state.tumour, rel=1e-3)


def test_oscillations_end_at_an_antigenicity_of_0_032() -> None:
    """The small tumour becomes stable between c = 0.032 and 0.033 (published: 0.032)."""
    assert largest_real(0.032) > 0.0 > largest_real(0.033)


def test_between_them_a_limit_cycle_below_which_and_above_which_courses_come_together() -> None:
    model = with_antigenicity(0.025)
    from_one = integrate(model, 6000.0).tumour[-2000:]
    from_many = integrate(model.changed({"tumour": 1e5, "effectors": 1e4}), 6000.0).tumour[-2000:]
    assert from_one.max() / from_one.min() > 100.0
    # highest and lowest of the cycle do not depend on the start; a day's sampling of a sharp peak costs about 1 %
    assert from_one.max() == pytest.approx(from_many.max(), rel=0.02)
    assert math.log(from_one.min()) == pytest.approx(math.log(from_many.min()), abs=0.05)


def test_antigenic_tumours_settle_small() -> None:
    model = with_antigenicity(0.05)
    state = equilibria(model)[1].state
    course = integrate(model, 4000)
    assert course.tumour[-1] == pytest.approx(state.tumour, rel=1e-3)
    assert 1e4 < state.tumour < 2e4


def test_effector_cells_clear_the_tumour_above_540_a_day() -> None:
    """s1 = r2 g2 μ2 / a = 0.18 · 1e5 · 0.03 = 540 makes the tumour-free state stable."""
    assert thresholds(KP)["s1_clears"] == pytest.approx(540.0, rel=1e-12)
    assert not equilibria(KP.changed({"s1": 530.0}))[0].stable
    assert equilibria(KP.changed({"s1": 550.0}))[0].stable
    assert integrate(KP.changed({"s1": 600.0}), 3000).fate() == "tumour below one cell"


def test_interleukin_alone_clears_only_where_effector_cells_grow_without_bound() -> None:
    """s2 = μ2 g1 μ3 / (p1 − μ2) = 6.35e7: below, the tumour-free state stays unstable; above, there is none."""
    limit = thresholds(KP)["s2_unbounded"]
    assert limit == pytest.approx(0.03 * 2e7 * 10.0 / 0.0945, rel=1e-12)
    assert not equilibria(KP.changed({"s2": 0.99 * limit}))[0].stable
    assert equilibria(KP.changed({"s2": 1.01 * limit})) == []
    effectors = integrate(KP.changed({"s2": 1.2 * limit}), 2000).effectors
    il2 = 1.2 * limit / 10.0
    rate = 0.1245 * il2 / (2e7 + il2) - 0.03  # per day, once the tumour and its IL-2 are gone
    assert rate > 0.0
    assert math.log(effectors[-1] / effectors[-501]) == pytest.approx(500.0 * rate, rel=1e-6)


# --- Banerjee ---


def test_without_delay_it_is_the_model_of_kirschner_and_panetta() -> None:
    values = {"c": BANERJEE.values.c, "s2": BANERJEE.values.s2, "effectors": 0.0, "tumour": 5e7, "il2": 5e6}
    one, two = integrate(BANERJEE.changed({"tau": 0.0}), 60), integrate(KP.changed(values), 60)
    np.testing.assert_array_equal(one.log_tumour, two.log_tumour)


def test_a_vanishing_delay_changes_nothing() -> None:
    """Courses differ by the order of the delay: 0.01 d of a model that changes by a tenth a day."""
    none = integrate(BANERJEE.changed({"tau": 0.0}), 50)
    little = integrate(BANERJEE.changed({"tau": 0.01}), 50)
    assert np.max(np.abs(none.log_tumour - little.log_tumour)) < 0.01


def test_interleukin_makes_the_tumour_regress() -> None:
    """As the paper's abstract says, for the values of BioModels MODEL2001130001."""
    course = integrate(BANERJEE, 200)
    assert course.tumour[0] == pytest.approx(5e7)
    assert course.tumour[-1] < 1.0


def test_a_delay_moves_no_equilibrium() -> None:
    states = [[one.state for one in equilibria(BANERJEE.changed({"tau": tau}))] for tau in (0.0, 1.0, 20.0)]
    assert states[0] == states[1] == states[2]


def test_small_changes_die_out_as_the_characteristic_equation_says() -> None:
    """ln T around the stable state of an antigenic tumour, delayed by five days: envelope e^(Re λ t), period 2π/Im λ."""
    model = BANERJEE.changed({"c": 0.06, "s2": 2e7, "tau": 5.0})
    x = equilibria(model)[1]
    assert x.stable
    near = {"effectors": x.state.effectors, "tumour": 1.01 * x.state.tumour, "il2": x.state.il2}
    course = integrate(model.changed(near), 400.0, every=0.25)
    swing = course.log_tumour - math.log(x.state.tumour)
    peaks = [i for i in range(1, len(swing) - 1) if swing[i - 1] < swing[i] > swing[i + 1]]
    first, last = peaks[0], peaks[2]
    decay = math.log(swing[last] / swing[first]) / (course.days[last] - course.days[first])
    period = (course.days[last] - course.days[first]) / 2.0
    # a change of 1 % leaves second-order terms of 1 % in the rate, and peaks are read to an eighth of a day
    assert decay == pytest.approx(x.eigenvalue.real, rel=0.03)
    assert period == pytest.approx(2.0 * math.pi / x.eigenvalue.imag, rel=0.01)


def test_eigenvalues_of_the_delay_do_not_depend_on_the_points() -> None:
    model = BANERJEE.changed({"c": 0.06, "s2": 2e7, "tau": 5.0})
    x = equilibria(model)[1].state
    coarse, fine = leading_eigenvalue(model, x, 12), leading_eigenvalue(model, x, 30)
    assert abs(coarse - fine) < 1e-9  # spectral: rounding is left


def test_the_derivative_at_chebyshev_points_is_exact_for_polynomials() -> None:
    points = np.cos(np.pi * np.arange(9) / 8)
    np.testing.assert_allclose(differentiation(8) @ points**5, 5.0 * points**4, atol=1e-11)  # rounding of 81 products


def test_the_tumour_free_rate_by_hand() -> None:
    """One line of the paper at E = 2e4, T = 1e5, I = 2e7, worked out by hand."""
    x = State(2e4, 1e5, 2e7)
    p = KP.values
    assert stimulation(x, p) == pytest.approx(0.1245 * 2e4 / 2.0)
    effectors, tumour, il2 = change(x, p, stimulation(x, p))
    assert effectors == pytest.approx(0.035 * 1e5 - 0.03 * 2e4 + 1245.0)
    assert tumour == pytest.approx(0.18 * (1.0 - 1e-4) - 2e4 / 2e5)
    assert il2 == pytest.approx(5.0 * 2e4 * 1e5 / 1.01e5 - 2e8)


# --- running ---


def test_a_run_writes_course_summary_and_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "kp"
    command = ["run", "--model", "kirschner-panetta", "--out", str(out), "--days", "200"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "doi:10.1007/s002850050127" in said
    assert "Research use only" in said
    about = json.loads((out / "summary.json").read_text())
    assert about["kind"] == "baseline"
    assert about["research_use_only"] is True
    rows = list(csv.DictReader((out / "course.csv").open()))
    assert len(rows) == 201
    assert float(rows[-1]["tumour"]) == pytest.approx(10.0 ** about["final"]["log10_tumour"], rel=1e-8)
    assert (out / "course.png").stat().st_size > 10_000
    assert main(command) == 0  # the same again
    assert main([*command, "--set", "c=0.02 1/day"]) == 2
    assert "another run" in capsys.readouterr().err
    assert main([*command, "--set", "c=0.02 1/day", "--force"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "kirschner"], "did you mean kirschner-panetta"),
        (["--model", "banerjee", "--set", "c=2"], "has no unit"),
        (["--model", "banerjee", "--set", "c=2 mm"], "c: '2 mm' is not"),
        (["--model", "banerjee", "--set", "cc=2 1/day"], "no parameter 'cc'"),
        (["--model", "banerjee", "--set", "c=-2 1/day"], "must not be negative"),
        (["--model", "banerjee", "--set", "tumour=0 cells"], "no tumour to begin with"),
        (["--model", "banerjee", "--set", "tau=1e-6 day"], "needs"),
        (["--model", "kirschner-panetta", "--set", "tau=5 day"], "no parameter 'tau'"),
        (["--model", "kirschner-panetta", "--set", "g1=0"], "write a number from 1 to 1e+13"),
        (["--model", "kirschner-panetta", "--set", "g2=0 cells"], "out of bounds"),
        (["--model", "kirschner-panetta", "--set", "g3=0 cells"], "out of bounds"),
        (["--model", "kirschner-panetta", "--set", "a=0 1/day"], "killing"),
        (["--model", "kirschner-panetta", "--set", "mu3=0 1/day"], "write a number from 0.001"),
        (["--model", "kirschner-panetta", "--set", "c=1e300 1/day"], "write a number from 0 to 100 1/day"),
        (["--model", "banerjee", "--set", "effectors=1e300 cells"], "out of bounds"),
        (["--model", "banerjee", "--set", "p1=100 1/day"], "effector cells grow without bound (day 17"),
        (["--model", "banerjee", "--days", "-5"], "cannot be simulated"),
        (["--model", "banerjee", "--days", "nan"], "cannot be simulated"),
        (["--model", "banerjee", "--subjects", "5"], "no subjects"),
        (["some.yaml", "--model", "banerjee"], "one scenario or one --model"),
        ([], "one scenario or one --model"),
        (["some.yaml", "--days", "5"], "belongs to a published model"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *words, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error
    assert "\n" not in error
    assert not (tmp_path / "out").exists()


def test_a_course_that_asks_for_too_many_steps_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solve, "MOST_EVALUATIONS", 100)
    with pytest.raises(InputError, match="too stiff from day"):
        integrate(KP, 1000.0)


SETTINGS = [(model, one) for model in (KP, BANERJEE) for one in (*model.parameters, *model.start)]


@settings(max_examples=40, deadline=None)  # its time is bounded by the evaluations, checked above
@given(
    which=st.sampled_from(SETTINGS), other=st.sampled_from(SETTINGS), days=st.sampled_from([1.0, 60.0]),
    places=st.tuples(*[st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])] * 2), beyond=st.sampled_from([None, -1.0, 1e300, math.nan]),
)
def test_any_value_is_a_course_or_one_line(
    which: tuple[Baseline, Quantity], other: tuple[Baseline, Quantity], days: float, places: tuple[float, float],
    beyond: float | None,
) -> None:
    """Two quantities anywhere between their bounds (by decades), or beyond them: no crash, no warning, finite numbers."""
    model, one = which
    values = {one.name: _within(one, places[0])}
    if other[1].name in {known.name for known in (*model.parameters, *model.start)}:
        values[other[1].name] = _within(other[1], places[1]) if beyond is None else beyond
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = attempt(api.run_model, model.name, days, settings=values)
    assert isinstance(found, InputError) or json.dumps(found, allow_nan=False)


def _within(one: Quantity, place: float) -> float:
    if place == 0.0 or place == 1.0:
        return one.high if place else one.low
    low = max(one.low, 1e-9)
    return low * (one.high / low) ** place


def test_from_python() -> None:
    about = api.run_model("banerjee", 100.0, settings={"tau": "2 day"})
    assert about["parameters"]["tau"]["value"] == 2.0
    with pytest.raises(InputError, match="no model"):
        api.run_model("none")
