"""What a calibration leaves and who takes it over: subjects of a posterior, values written into the library."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from locokine import api
from locokine.cli.main import main
from locokine.errors import InputError
from locokine.inference import findings
from locokine.inference.calibration import Settings, origin_of, prepare
from locokine.inference.claims import prior_of, prior_predictive
from locokine.inference.draws import read_posterior, with_posterior
from locokine.inference.fit import prior_batch
from locokine.inference.prior import Free, candidates
from locokine.inference.study import LIMIT
from locokine.parameters.library import BUILTIN, load_library
from locokine.parameters.write import BACK, write_values
from locokine.population import draw
from locokine.population.uncertain import owned
from locokine.units import parse_quantity

LIBRARY = load_library()
ROOT = Path(__file__).resolve().parent.parent


# --- subjects of a posterior -----------------------------------------------------------------------------------------


@pytest.fixture
def posterior(tmp_path: Path) -> Path:
    content = {"library": LIBRARY.entry_digests, "parameters": {
        "laws.direct_ec50": {"unit": "nM", "draws": [5.0, 30.0]}, "sl2.birth_rate": {"unit": "1/h", "draws": [0.02, 0.04]},
        "human.clearance": {"unit": "mL/min", "draws": [100.0, 120.0]},
    }}  # fmt: skip
    path = tmp_path / "posterior.json"
    path.write_text(json.dumps(content))
    return path


def test_subjects_are_spread_over_the_draws(posterior: Path, examples: Path) -> None:
    """Subject i has the medians of draw i, and its own place around them; 17 alone is 17 of many."""
    plain = api.load(examples / "ascites_sl2.yaml", subjects=5)
    spread = with_posterior(plain, posterior)
    ratio = draw(spread)["direct_ec50"] / draw(plain)["direct_ec50"]
    value = LIBRARY.laws.records["direct_ec50"].value
    assert ratio == pytest.approx([5.0 / value if i % 2 == 0 else 30.0 / value for i in range(5)], rel=1e-9)
    assert np.array_equal(draw(spread, 2).values, draw(spread).values[:, :2])
    assert np.array_equal(draw(spread)["clearance"], draw(plain)["clearance"])  # of another host
    stated = with_posterior(plain.changed(overrides={"direct_ec50": "9 nM"}), posterior)
    assert np.array_equal(draw(stated)["direct_ec50"], draw(plain.changed(overrides={"direct_ec50": "9 nM"}))["direct_ec50"])


def test_a_posterior_makes_another_run(posterior: Path, examples: Path) -> None:
    from locokine.trial.execute import make_manifest

    plain = api.load(examples / "ascites_sl2.yaml", subjects=2)
    spread = with_posterior(plain, posterior)
    assert make_manifest(spread)["input_hash"] != make_manifest(plain)["input_hash"]
    assert api.load(spread.resolved_text()).name == plain.name


def test_a_posterior_of_other_hosts_is_refused(tmp_path: Path, examples: Path) -> None:
    path = tmp_path / "posterior.json"
    path.write_text(json.dumps({"parameters": {"human.clearance": {"unit": "mL/min", "draws": [100.0]}}}))
    with pytest.raises(InputError, match="no parameter of the file has a part in the scenario"):
        with_posterior(api.load(examples / "ascites_sl2.yaml"), path)


def test_run_and_power_take_a_posterior(
    posterior: Path, examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = str(examples / "ascites_sl2.yaml")
    out = str(tmp_path / "run")
    assert main(["run", scenario, "--subjects", "2", "--no-report", "--uncertainty", str(posterior), "--out", out]) == 0
    assert "uncertainty:" in (tmp_path / "run" / "scenario.yaml").read_text()
    words = ["power", scenario, "--subjects", "20", "--draws", "2", "--sizes", "5,10", "--uncertainty", str(posterior)]
    assert main([*words, "--out", str(tmp_path / "power"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out.partition("\n{")[2].join(["{", ""]) or "{}")
    assert facts["study"]["posterior"]
    assert main(["run", scenario, "--uncertainty", "nowhere.json", "--out", out]) == 2


def test_claims_are_looked_at_in_draws_of_a_posterior() -> None:
    """What was fitted comes from its draws, in turn; the rest from the prior: with the draws of the prior nothing changes."""
    item = next(i for i in prior_of(LIBRARY) if i.key == "laws.direct_ec50")
    plain = prior_predictive(2, subjects=2, numbers=(1,), library=LIBRARY)
    same = item.at(prior_batch([item], 2, 1)[:, 0])
    assert prior_predictive(2, subjects=2, numbers=(1,), library=LIBRARY, posterior={item: same}).shares == plain.shares


def test_the_posterior_that_ships_is_that_of_the_library() -> None:
    """Draws made for these very values, inside the ranges; the library's value is no stranger among them.

    The point is the mode of a skewed posterior and was judged by another score, so that some lie in its tail: nine of ten
    are within the central 98 % of their draws.
    """
    made_with = json.loads((BUILTIN / "posterior.json").read_text(encoding="utf-8"))["library"]
    assert made_with == LIBRARY.entry_digests
    shipped = read_posterior(Path("posterior"), LIBRARY)
    assert shipped.count >= 100
    inside = []
    for name, drawn in shipped.values.items():
        owner, _, parameter = name.partition(".")
        record = owned(LIBRARY, owner)[parameter]
        assert record.low * (1.0 - 1e-6) <= drawn.min() or record.low - drawn.min() < 1e-6 * abs(record.low), name
        assert drawn.max() <= record.high + 1e-6 * abs(record.high), name
        inside.append(np.quantile(drawn, 0.01) <= record.value <= np.quantile(drawn, 0.99))
    assert np.mean(inside) >= 0.9


def test_a_posterior_holds_beside_entries_of_ones_own(tmp_path: Path) -> None:
    """A line more does not make other draws; another value in one of theirs does."""
    (tmp_path / "lines.yaml").write_text("entries: {mine: {label: my lymphoma, inherits: sl2}}\n")
    assert read_posterior(Path("posterior"), load_library([tmp_path])).count >= 100
    (tmp_path / "hosts.yaml").write_text("entries: {balbc_mouse: {replaces: true, label: BALB/c, inherits: mouse}}\n")
    with pytest.raises(InputError, match=r"hosts\.balbc_mouse changed"):
        read_posterior(Path("posterior"), load_library([tmp_path]))


def record_kept() -> dict[str, Any]:
    return json.loads((ROOT / "calibration" / "full" / "record.json").read_text(encoding="utf-8"))


def test_the_library_that_ships_is_what_the_calibration_found() -> None:
    """All values that may move, from the record that is kept: those that it names; all others are at their priors."""
    values, free = record_kept()["values"], prepare(Settings("full"), LIBRARY).free
    assert set(values) <= set(free)
    assert len(values) > 50
    for key, item in free.items():
        text = values.get(key)
        wanted = item.record.prior if text is None else parse_quantity(text, item.record.unit, key, minimum=None)
        assert item.record.value == pytest.approx(wanted, rel=1e-8), key


def test_the_calibration_that_is_kept_began_at_the_start() -> None:
    """What it found is the start but for what it proposes, after rounds of a search in both geometries."""
    record, free = record_kept(), prepare(Settings("full"), LIBRARY).free
    start = origin_of("start", free)
    moved = []
    for key, item in free.items():
        text = record["values"].get(key)
        found = item.record.prior if text is None else parse_quantity(text, item.record.unit, key, minimum=None)
        if found != pytest.approx(start.get(key, item.record.prior), rel=1e-8):
            moved.append(key)
    assert sorted(moved) == sorted(item["parameter"] for item in record["proposals"])
    rounds = {stage: [line for line in record["trace"] if line["stage"] == stage] for stage in ("point", "corrected")}
    assert all(len(lines) > 2 for lines in rounds.values())


# --- into the library ------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    shutil.copytree(BUILTIN, folder)
    return folder


def free_of_owner(owner: str, inherited: bool) -> Free:
    """Some parameter of an owner that it has from elsewhere, or not."""
    text = (BUILTIN / ("hosts.yaml" if owner in LIBRARY.hosts else "lines.yaml")).read_text()
    own = re.split(r"\n  \w+:\n", text.partition(f"\n  {owner}:\n")[2])[0]
    found = [i for i in candidates(LIBRARY, [owner]) if (f"\n      {i.record.name}:" in own) != inherited]
    return next(i for i in found if i.record.distribution == "lognormal")


def test_every_value_that_may_move_can_be_written(shelf: Path) -> None:
    """All laws, and all values of a host, a line and an agent (`supply_spread` was once taken for a spread of its record)."""
    items = [i for i in candidates(LIBRARY, ["laws", "human", "melanoma_skin", "aldesleukin"]) if not i.spread]
    assert len(items) > 150
    values = {item.key: findings.value_of(item, 0.4) for item in items}
    write_values(shelf, {key: (text, "fitted to UT01; 1 nM before (assumed)") for key, (_, text) in values.items()})
    after = load_library([shelf], builtin=False)
    for item in items:
        owner, _, name = item.key.partition(".")
        entry = after.entries(item.record.scope.partition(".")[0])[owner]
        assert {**entry.records, **entry.law_overrides}[name].value == pytest.approx(values[item.key][0], rel=1e-9)


def test_values_are_written_where_they_belong_and_nothing_else_changes(shelf: Path) -> None:
    items = [
        next(i for i in candidates(LIBRARY, ["laws"]) if i.record.name == "direct_ec50"),
        free_of_owner("human", False), free_of_owner("sl2", False),
        free_of_owner("human", True), free_of_owner("renal_carcinoma", True),
    ]  # fmt: skip
    values = {item.key: findings.value_of(item, 0.5) for item in items}
    write_values(shelf, {key: (text, "fitted to UT01, VL02; 1 nM before (assumed)") for key, (_, text) in values.items()})
    after = load_library([shelf], builtin=False)
    for item in items:
        owner, _, name = item.key.partition(".")
        scope = item.record.scope.partition(".")[0]
        entry = after.entries(scope)[owner]
        record = {**entry.records, **entry.law_overrides}[name]
        assert record.value == pytest.approx(values[item.key][0], rel=1e-9)
        assert record.status == "calibrated"
        assert "calibration" in record.source
        assert "fitted to UT01, VL02; 1 nM before (assumed)" in record.note
        assert (record.low, record.high) == pytest.approx((item.record.low, item.record.high), rel=1e-5)
        assert record.between == item.record.between
    before = {(r.scope, r.name): (r.value, r.status) for r in LIBRARY.records()}
    moved = {(r.scope, r.name) for r in after.records() if before.get((r.scope, r.name)) != (r.value, r.status)}
    own = {(item.record.scope, item.record.name) for item in items}
    assert own <= moved
    comments = [line for line in (BUILTIN / "laws.yaml").read_text().splitlines() if line.lstrip().startswith("#")]
    assert [line for line in (shelf / "laws.yaml").read_text().splitlines() if line.lstrip().startswith("#")] == comments


def test_a_second_calibration_replaces_the_note_of_the_first(shelf: Path) -> None:
    write_values(shelf, {"laws.direct_ec50": ("12 nM", "fitted to UT01; 15 nM before (assumed)")})
    write_values(shelf, {"laws.direct_ec50": ("11 nM", "fitted to UT05; 12 nM before (calibrated)")})
    record = load_library([shelf], builtin=False).laws.records["direct_ec50"]
    assert record.note.count("fitted to") == 1
    assert record.note.endswith("fitted to UT05; 12 nM before (calibrated)")
    assert record.source.count("calibration") == 1


def test_the_value_before_the_first_fit_stays_as_the_prior(shelf: Path) -> None:
    """Of a record that states none, of an inherited one, and of a spread: it is entered once, and later fits leave it."""
    fresh = next(i for i in candidates(LIBRARY, ["laws"]) if i.here == 0.0 and i.record.status == "assumed")
    inherited = free_of_owner("human", True)
    spread = next(
        i for i in candidates(LIBRARY, ["renal_metastasis"], spreads=True) if i.spread and i.here == 0.0
    )
    for z in (0.4, -0.3):
        values = {item.key: findings.value_of(item, z)[1] for item in (fresh, inherited, spread)}
        write_values(shelf, {key: (text, "fitted to UT01; 1 nM before (assumed)") for key, text in values.items()})
    after = load_library([shelf], builtin=False)
    for item in (fresh, inherited, spread):
        owner, _, name = item.key.partition(".")
        record = owned(after, owner)[name]
        assert record.value == pytest.approx(findings.value_of(item, -0.3)[0], rel=1e-9)
        assert record.prior == pytest.approx(item.record.prior, rel=1e-5)


def test_a_value_that_goes_back_to_its_prior_is_what_it_was_before_any_fit(shelf: Path) -> None:
    """A law, a spread and a host's own value: status, sources, note and range are those of before, and nothing says `prior`."""
    chosen = [next(i for i in candidates(LIBRARY, ["laws"]) if i.here == 0.0 and i.record.status == "assumed" and i.record.note)]
    spreads = [i for i in candidates(LIBRARY, ["renal_metastasis"], spreads=True) if i.spread]
    chosen += [next(i for i in spreads if i.record.status == "assumed")]
    chosen += [next(i for i in candidates(LIBRARY, ["human"]) if i.here == 0.0 and i.record.scope == "hosts.human")]
    files = {path.name: path.read_text() for path in shelf.iterdir()}
    why = "fitted to UT01; 1 nM before (assumed)"
    write_values(shelf, {item.key: (findings.value_of(item, 0.4)[1], why) for item in chosen})
    assert {path.name: path.read_text() for path in shelf.iterdir()} != files
    write_values(shelf, {item.key: (item.text(item.record.value, 9), BACK) for item in chosen})
    after = load_library([shelf], builtin=False)
    for item in chosen:
        owner, _, name = item.key.partition(".")
        now = owned(after, owner)[name]
        assert replace(now, positive=item.record.positive) == item.record, item.key


def test_a_value_that_was_fitted_goes_back_too(shelf: Path) -> None:
    item = next(i for i in candidates(LIBRARY, ["laws"]) if i.record.status == "calibrated")
    write_values(shelf, {item.key: (item.text(item.record.prior, 9), BACK)})
    now = load_library([shelf], builtin=False).laws.records[item.record.name]
    assert now.value == now.prior == pytest.approx(item.record.prior, rel=1e-9)
    assert now.status == "assumed"
    assert "calibration" not in now.source
    assert "fitted to" not in now.note


def test_a_value_that_cannot_be_written_leaves_the_files_alone(shelf: Path) -> None:
    before = {path.name: path.read_bytes() for path in shelf.iterdir()}
    with pytest.raises(InputError):
        write_values(shelf, {"laws.direct_ec50": ("12 mmHg", "fitted to UT01; 15 nM before (assumed)")})
    with pytest.raises(InputError, match="no such host, line or agent"):
        write_values(shelf, {"sl9.birth_rate": ("1 1/h", "x")})
    assert {path.name: path.read_bytes() for path in shelf.iterdir()} == before


def test_proposed_values_stay_within_the_range() -> None:
    for item in candidates(LIBRARY, ["laws", "human"]):
        for z in (-LIMIT, -0.3, LIMIT):
            value, text = findings.value_of(item, z)
            assert item.record.low <= value <= item.record.high, (item.key, text)
