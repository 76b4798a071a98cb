"""The weighted mix of animal tumours: its list, its arithmetic, its command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from locokine.cli import main
from locokine.errors import InputError
from locokine.evidence.library import read_evidence
from locokine.evidence.mix import Responded, Tumour, read_mix, run_mix, weighted_rate
from locokine.scenario.load import load


def part(weight: float, responses: float, n: int = 100) -> Responded:
    return Responded(Tumour("a", "b", "c", weight, ()), responses, n)


def test_the_rate_is_the_weighted_mean_and_its_interval_that_of_the_strata() -> None:
    """Half of it at 80 %, a quarter each at 40 and 0 %; one stratum alone has Jeffreys' interval (Brown et al. 2001)."""
    found = weighted_rate((part(2.0, 80), part(1.0, 40), part(1.0, 0)))
    assert found.value == pytest.approx(0.5)
    # standard error of the sum: sqrt(0.25 · 0.16/100 + 0.0625 · 0.24/100), the third adds next to nothing
    assert (found.high - found.low) / 2.0 == pytest.approx(1.96 * 0.0235, rel=0.08)
    alone = weighted_rate((part(3.0, 20, 40),))
    assert (alone.low, alone.high) == pytest.approx((0.350, 0.650), abs=0.006)  # beta(20.5, 20.5); error of 20,000 draws


def test_the_list_names_scenarios_arms_and_rows_that_exist() -> None:
    evidence = read_evidence()
    known = {Path(key).stem: source for key, source in evidence.scenarios.items()}
    rows = {row for name, item in evidence.observations.items() for row in (name, *item.rows)}
    mix = read_mix()
    assert sum(one.weight for one in mix) == pytest.approx(10.0)  # ten models, one of them at two sites
    for one in mix:
        assert one.arm in [arm.name for arm in load(known[one.scenario]).protocol.arms]
        assert one.rows
        assert set(one.rows) <= rows, one.name


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tumours: []", "there is no tumour in it"),
        ("tumours: [{name: a, scenario: b, arm: c, rows: []}]", "is not understood"),
        ("tumours: [{name: a, scenario: b, arm: c, weight: -1, rows: []}]", "is not a number above 0"),
        ("tumours: [{name: a, scenario: b, arm: c, weight: yes, rows: []}]", "is not a number above 0"),
    ],
)
def test_a_list_that_makes_no_sense_is_told(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "mix.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_mix(tmp_path / "mix.yaml")
    assert told in str(caught.value)


def test_some_respond_and_el4_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_mix(subjects=8)
    rates = {one.tumour.name: one.responses / one.n for one in found.parts}
    assert rates["EL4, under the skin"] == 0.0
    assert max(rates.values()) > 0.7
    assert 0.0 < found.low < found.value < found.high < 1.0
    assert main(["validate", "--mix", "--subjects", "8", "--threads", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(found.to_dict()))
