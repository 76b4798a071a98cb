"""The library: records, inheritance, user folders, bibliography, and what every mistake in them says."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import small_library
from locokine.cli.parameters import explanation
from locokine.errors import InputError
from locokine.parameters import Library, load_library
from locokine.parameters.bibliography import parse_bibliography
from locokine.parameters.library import BUILTIN, SCOPES
from locokine.parameters.reading import Block, Items, read_yaml, suggest
from locokine.parameters.records import DISTRIBUTIONS, STATUSES
from locokine.units import parse_quantity


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return load_library([small_library.write(tmp_path_factory.mktemp("library"))], builtin=False)


def broken(folder: Path, **changed: str) -> str:
    """Message of the error that a changed library gives."""
    with pytest.raises(InputError) as caught:
        load_library([small_library.write(folder, **changed)], builtin=False)
    assert caught.value.problem
    assert caught.value.remedy
    return str(caught.value)


# --- what is read ---


def test_a_record_in_internal_units(library: Library) -> None:
    record = library.laws.records["opening_ec50"]
    assert (record.value, record.low, record.high) == (15.0, 1.0, 40.0)
    assert (record.physical_low, record.physical_high) == (0.0, 1000.0)
    assert (record.unit, record.distribution, record.between) == ("nM", "lognormal", 0.3)
    assert (record.status, record.source, record.note) == ("calibrated", ("doe1987",), "half-maximal opening")
    assert record.scope == "laws"
    assert record.text() == "15 nM"


def test_defaults_of_a_record(library: Library) -> None:
    share = library.laws.records["share"]
    assert (share.unit, share.physical_low, share.physical_high) == ("1", 0.0, 1.0)  # a logit share
    weight = library.hosts["giant"].records["weight"]
    assert (weight.value, weight.physical_high, weight.distribution) == (100.0, math.inf, "lognormal")
    mass = library.agents["kine"].records["molar_mass"]
    assert mass.low == mass.value == mass.high  # fixed: no range needed


def test_an_entry_inherits_and_replaces(library: Library) -> None:
    pygmy = library.hosts["pygmy_shrew"]
    assert pygmy.lineage == ("pygmy_shrew", "shrew")
    assert pygmy.records["weight"].value == 0.025
    assert pygmy.law_overrides["opening_ec50"].value == 5.0
    assert pygmy.law_overrides["opening_ec50"].source == ("roe1990",)
    assert pygmy.law_overrides["opening_ec50"].between == 0.3  # from the definition
    assert pygmy.law_overrides["opening_ec50"].note == ""  # a note on another number is not inherited
    assert library.hosts["shrew"].law_overrides == {}
    assert library.lines["beta"].records["doubling"].value == 25.0
    assert library.lines["alpha"].meta["antigens"] == {"a": 1.0}


def test_an_entry_inherits_data_and_values_through_two_generations(tmp_path: Path) -> None:
    lines = small_library.LINES + "  delta: {inherits: beta, meta: {sites: [skin]}}\n  epsilon: {inherits: delta}\n"
    made = load_library([small_library.write(tmp_path, lines=lines)], builtin=False)
    assert made.lines["epsilon"].records["doubling"].value == 25.0
    assert made.lines["epsilon"].meta == {"hosts": ["shrew"], "sites": ["skin"]}
    assert made.lines["epsilon"].records["doubling"].scope == "lines.epsilon"


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("carcinome", "unknown kind of tumour 'carcinome': did you mean"),
        ("[solid]", "unknown kind of tumour ['solid']: use one of: solid, lymphoma"),
        ("3", "unknown kind of tumour 3: use one of"),
    ],
)
def test_an_unknown_kind_of_tumour_is_told_where_it_stands(tmp_path: Path, kind: str, told: str) -> None:
    """Where it is written, not where it is inherited, and when the library is read, not when a slide is wanted."""
    lines = small_library.LINES + f"  delta: {{inherits: beta, meta: {{histology: {kind}}}}}\n  epsilon: {{inherits: delta}}\n"
    with pytest.raises(InputError) as caught:
        load_library([small_library.write(tmp_path, lines=lines)], builtin=False)
    assert "delta.meta.histology" in str(caught.value.place)
    assert "line 10" in str(caught.value.place)
    assert told in f"{caught.value.problem}: {caught.value.remedy}"


def test_a_folder_adds_to_another(tmp_path: Path, library: Library) -> None:
    base, mine = small_library.write(tmp_path / "base"), tmp_path / "mine"
    mine.mkdir()
    (mine / "lines.yaml").write_text("entries:\n  zeta: {inherits: alpha, label: mine}\n")
    made = load_library([base, mine], builtin=False)
    assert made.lines["zeta"].records["doubling"].value == 30.0
    (mine / "lines.yaml").write_text("entries:\n  beta: {label: mine}\n")
    with pytest.raises(InputError, match=r"'beta' already exists in .*lines.yaml, line 5"):
        load_library([base, mine], builtin=False)
    (mine / "lines.yaml").write_text("entries:\n  beta: {label: mine, replaces: true}\n")
    assert load_library([base, mine], builtin=False).lines["beta"].records["doubling"].value == 30.0


def test_a_new_law_and_a_new_agent_are_yaml_only(tmp_path: Path) -> None:
    base, mine = small_library.write(tmp_path / "base"), tmp_path / "mine"
    mine.mkdir()
    (mine / "laws.yaml").write_text(
        "parameters:\n  extra_rate: {value: 2 1/day, distribution: fixed, status: assumed}\n"
    )
    (mine / "agents.yaml").write_text("entries:\n  big: {values: {molar_mass: {value: 60 kDa, status: assumed}}}\n")
    made = load_library([base, mine], builtin=False)
    assert made.laws.records["extra_rate"].value == pytest.approx(2 / 24)
    assert made.agents["big"].records["molar_mass"].text() == "60 kDa"


def test_the_digest_follows_values_and_not_comments(tmp_path: Path, library: Library) -> None:
    commented = load_library(
        [small_library.write(tmp_path / "a", laws="# a comment\n" + small_library.LAWS)], builtin=False
    )
    other = load_library(
        [small_library.write(tmp_path / "b", laws=small_library.LAWS.replace("15 nM", "16 nM"))], builtin=False
    )
    assert commented.digest == library.digest
    assert other.digest != library.digest
    assert re.fullmatch("[0-9a-f]{64}", library.digest)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    folder = small_library.write(tmp_path)
    assert load_library([folder], builtin=False) is load_library([folder], builtin=False)
    (folder / "laws.yaml").write_text(small_library.LAWS.replace("15 nM", "16.5 nM"))
    assert load_library([folder], builtin=False).laws.records["opening_ec50"].value == 16.5


def test_finding_and_citing(library: Library) -> None:
    found = library.find("opening_ec50")
    assert [record.scope for record in found] == ["laws", "hosts.pygmy_shrew"]
    assert library.cite(found) == [
        "[doe1987] Doe, Jane; Roe, Richard (1987). On IL-2. J Tests 3:1–9. doi:10.1/x",
        "[roe1990] Roe, R (1990). Shrews. House.",
    ]
    with pytest.raises(InputError, match="did you mean opening_ec50"):
        library.find("opening_ec5")


def test_another_central_value_keeps_the_width_of_the_range(library: Library) -> None:
    record = library.laws.records["opening_ec50"]
    inside, outside = record.with_value(20.0, "x"), record.with_value(150.0, "x")
    assert (inside.value, inside.low, inside.high) == (20.0, 1.0, 40.0)
    assert (outside.low, outside.high) == (10.0, 400.0)  # the same factors below and above
    with pytest.raises(
        InputError,
        match="2000 nM is outside the physical range of opening_ec50; it must be above 0 nM and at most 1000 nM",
    ):
        record.with_value(2000.0, "x")


# --- the value before any fit ---


def with_prior(folder: Path, prior: str, **changed: str) -> Library:
    laws = small_library.LAWS.replace("value: 15 nM", f"value: 15 nM\n    prior: {prior}")
    return load_library([small_library.write(folder, laws=laws, **changed)], builtin=False)


def test_a_prior_has_the_unit_of_its_value_and_is_the_value_where_none_is_stated(tmp_path: Path, library: Library) -> None:
    assert with_prior(tmp_path, "0.006 uM").laws.records["opening_ec50"].prior == pytest.approx(6.0)
    plain = library.laws.records["opening_ec50"]
    assert (plain.prior, plain.prior_text()) == (plain.value, "")


def test_the_prior_of_a_number_is_a_number(tmp_path: Path) -> None:
    laws = small_library.LAWS.replace('value: 0.2, unit: "1"', 'value: 0.2, unit: "1", prior: 0.3')
    share = load_library([small_library.write(tmp_path, laws=laws)], builtin=False).laws.records["share"]
    assert (share.value, share.prior, share.prior_text()) == (0.2, 0.3, "0.3")


@pytest.mark.parametrize(
    ("prior", "told"),
    [
        ("60 nM", "opening_ec50.prior: the prior 60 nM is outside the range 1 nM to 40 nM; state the value before any fit"),
        ("0.5 nM", "the prior 0.5 nM is outside the range"),
        ("-3 nM", "the prior -3 nM is outside the range"),
        ("6", "'6' has no unit"),
        ("6 h", "'6 h' is not a quantity in nM"),
    ],
)
def test_a_prior_that_makes_no_sense_is_refused(tmp_path: Path, prior: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        with_prior(tmp_path, prior)
    assert told in str(caught.value)
    assert "line 4" in str(caught.value)


def test_a_record_with_its_own_value_has_not_the_prior_below(tmp_path: Path) -> None:
    made = with_prior(tmp_path, "30 nM")
    assert made.hosts["pygmy_shrew"].law_overrides["opening_ec50"].prior == 5.0  # below, 30 nM lay outside its range
    stated = "{value: 5 nM, range: [1 nM, 10 nM], status: measured, source: [roe1990]}"
    hosts = small_library.HOSTS.replace(stated, "{between: 0.5}")
    spread_only = with_prior(tmp_path / "b", "30 nM", hosts=hosts).hosts["pygmy_shrew"].law_overrides["opening_ec50"]
    assert (spread_only.value, spread_only.prior, spread_only.between) == (15.0, 30.0, 0.5)


def test_no_prediction_and_no_digest_depends_on_a_prior(tmp_path: Path, library: Library) -> None:
    assert with_prior(tmp_path, "6 nM").digest == library.digest


def test_another_central_value_leaves_the_prior_or_moves_it_with_the_range(tmp_path: Path) -> None:
    record = with_prior(tmp_path, "6 nM").laws.records["opening_ec50"]
    inside, outside = record.with_value(20.0, "x"), record.with_value(150.0, "x")
    assert (inside.low, inside.prior, inside.high) == (1.0, 6.0, 40.0)
    assert (outside.low, outside.prior, outside.high) == pytest.approx((10.0, 60.0, 400.0))


def test_another_central_value_of_a_share_keeps_the_prior_in_its_range(tmp_path: Path) -> None:
    laws = small_library.LAWS.replace('value: 0.2, unit: "1"', 'value: 0.2, unit: "1", prior: 0.39')
    moved = load_library([small_library.write(tmp_path, laws=laws)], builtin=False).laws.records["share"].with_value(0.95, "x")
    assert moved.low <= moved.prior <= moved.high <= 1.0


# --- the library that ships ---


def test_the_shipped_library_is_complete() -> None:
    library = load_library()
    records = list(library.records())
    assert len(records) > 50
    assert {record.scope.split(".")[0] for record in records} == set(SCOPES)
    for record in records:
        assert record.distribution in DISTRIBUTIONS
        assert record.status in STATUSES
        assert record.low <= record.value <= record.high
        assert record.low <= record.prior <= record.high
        assert record.physical_low <= record.value <= record.physical_high
        assert record.source or record.status == "assumed"
        assert record.note, f"{record.scope}.{record.name} says nothing about itself"
    assert library.cite(records)


def test_what_was_fitted_remembers_where_it_began() -> None:
    """Inside its range, with width on either side; nothing measured or derived has a prior of its own."""
    for record in load_library().records():
        assert (record.prior != record.value) or record.status != "calibrated", f"{record.scope}.{record.name}"
        if record.prior != record.value:
            assert record.status in ("assumed", "calibrated")
            assert record.low < record.prior < record.high
        spreads = record.spreads()
        assert all(one.low < one.prior < one.high for one in spreads)
        if record.spread is not None and record.spread.status == "calibrated":
            assert any(one.prior != one.value for one in spreads), f"{record.scope}.{record.name}"


BY_HAND_BEFORE = {
    "thrombotic_on", "niche_division", "danger_half", "treg_weight", "division_without", "systemic_leak_half",
    "tissue_degradation",
}
"""Their note names a value that was chosen by hand before the fit (docs/model/chosen_by_hand.md)."""


def test_notes_and_priors_tell_the_same_story() -> None:
    """A note that says "0.3 before (assumed)" names the prior, unless that had been moved by hand."""
    told = 0
    for record in load_library().records():
        before = re.search(r"; ([^;]*) before \(assumed\)", record.note)
        if before and record.name not in BY_HAND_BEFORE:
            assert parse_quantity(before[1], record.unit, record.name, minimum=None) == pytest.approx(record.prior, rel=1e-3)
            told += 1
        for one in record.spreads():
            part = one.name.partition(".")[2]
            moved = re.search(rf"{part} fitted to [^;]*; ([\d.]+) before \(assumed\)", one.note)
            if moved and record.scope != "lines.melanoma_visceral":  # by hand before, 0.6
                assert float(moved[1]) == one.prior
                told += 1
    assert told > 30


def test_a_prior_is_shown_where_it_is_not_the_value() -> None:
    library = load_library()
    assert "  prior             15 nM, the value before any fit" in explanation(library.laws.records["direct_ec50"], library)
    assert "\n  prior " not in explanation(library.laws.records["bleeding_rate"], library)
    patients = library.lines["melanoma_visceral"].records["immunogenicity"]
    assert "90 % range 0.5 to 2, prior between 0.6, prior within 0.3;" in explanation(patients, library)


def test_every_reference_that_ships_is_used() -> None:
    library = load_library()
    used = {key for record in library.records() for key in record.cited}
    used |= {key for datum in library.data() for key in datum.source}
    assert set(library.bibliography.references) == used


def test_no_parameter_file_names_an_internet_address_of_a_registry() -> None:
    for file in BUILTIN.iterdir():
        assert "http://localhost" not in file.read_text(encoding="utf-8")


# --- mistakes ---


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("value: 15 nM", "value: 15", ["line 3", "opening_ec50.value", "'15' has no unit"]),
        ("value: 15 nM", "value: 15 mm", ["line 4", "'1 nM' is not a quantity in mm"]),  # the range no longer fits
        ("value: 15 nM", "value: .nan", ["line 3", "not a finite number"]),
        ("value: 15 nM", "value: 50 nM", ["line 4", "the range does not contain the value 50 nM"]),
        ("value: 15 nM", "valu: 15 nM", ["line 3", "unknown field 'valu'", "did you mean value"]),
        ("    value: 15 nM\n", "", ["value is missing"]),
        ("    range: [1 nM, 40 nM]\n", "", ["range is missing"]),
        ("range: [1 nM, 40 nM]", "range: [1 nM]", ["line 4", "range must be two values"]),
        ("range: [1 nM, 40 nM]", "range: [1, 40 nM]", ["line 4", "'1' has no unit"]),
        ("range: [1 nM, 40 nM]", "range: [0 nM, 40 nM]", ["line 4", "outside the physical range"]),
        ("range: [1 nM, 40 nM]", "range: [1 nM, 4 uM]", ["line 4", "outside the physical range"]),
        ("[0 nM, 1 uM]", "[1 uM, 0 nM]", ["line 7", "lower bound is above"]),
        ("distribution: lognormal", "distribution: log", ["line 5", "unknown distribution 'log'", "lognormal"]),
        ("distribution: lognormal", "distribution: logit", ["line 5", "logit is for shares"]),
        ("distribution: lognormal", "distribution: fixed", ["line 6", "a fixed parameter cannot differ"]),
        ("    distribution: lognormal\n", "", ["distribution is missing"]),
        ("between: 0.3", "between: -0.3", ["line 6", "is not a spread"]),
        ("between: 0.3", "between: .inf", ["line 6", "is not a spread"]),
        ("status: calibrated", "status: guessed", ["line 8", "unknown status 'guessed'"]),
        ("source: [doe1987]", "source: []", ["a calibrated value needs a source"]),
        ("source: [doe1987]", "source: [doe1978]", ["line 2", "no reference 'doe1978'", "did you mean doe1987"]),
        ("source: [doe1987]", "source: doe1987", ["line 9", "source must be a list"]),
        ('note: "half-maximal opening"', "note: [1]", ["line 10", "note must be text"]),
        ('unit: "1"', "unit: nM", ["unit 'nM' is not understood"]),
        ("  share:", "  opening_ec50:", ["line 11", "'opening_ec50' is given twice (first on line 2)"]),
        ("  share:", "  a share:", ["line 11", "is not an identifier"]),
        ("parameters:", "parameter:", ["line 1", "unknown field 'parameter'", "did you mean parameters"]),
        ("    value: 15 nM", "   value: 15 nM", ["malformed YAML"]),
    ],
)
def test_mistakes_in_a_law(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in small_library.LAWS
    message = broken(tmp_path, laws=small_library.LAWS.replace(old, new, 1))
    assert "laws.yaml" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("hosts", "inherits: shrew", "inherits: shrow", ["line 6", "no entry 'shrow'", "did you mean shrew"]),
        ("hosts", "shrew: {label: a shrew}", "shrew: {inherits: pygmy_shrew}", ["inherits from itself"]),
        ("hosts", "opening_ec50:", "opening_ec5:", ["line 9", "unknown parameter 'opening_ec5'", "opening_ec50"]),
        ("hosts", ", status: measured, source: [roe1990]", "", ["status is missing"]),
        ("hosts", "range: [1 nM, 10 nM], ", "", ["range is missing"]),
        (
            "hosts",
            "value: 5 nM, range: [1 nM, 10 nM]",
            "value: 5 mm, range: [1 mm, 9 mm]",
            ["line 9", "the unit mm does not fit the definition's unit nM"],
        ),
        ("hosts", "label: a pygmy shrew", "labels: x", ["line 7", "unknown field 'labels'"]),
        ("hosts", "  weight:", "  share:", ["already defined in", "laws.yaml, line 11"]),
        ("lines", "doubling: {value: 25 h", "opening_ec50: {value: 25 h", ["unknown parameter 'opening_ec50'"]),
        (
            "lines",
            "doubling: {value: 25 h, range: [20 h, 40 h]",
            "doubling: {value: 25 mm, range: [20 mm, 40 mm]",
            ["the unit mm does not fit the definition's unit h"],
        ),
        ("lines", "hosts: [giant]", "hosts: [gaint]", ["unknown host 'gaint'", "did you mean giant"]),
        ("lines", "hosts: [giant]", "hosts: giant", ["must be a list of hosts"]),
        ("bib", "year = {1990}", "yeer = {1990}", []),
    ],
)
def test_mistakes_in_entries(tmp_path: Path, file: str, old: str, new: str, words: list[str]) -> None:
    name = "references.bib" if file == "bib" else f"{file}.yaml"
    text = small_library.FILES[name]
    assert old in text
    message = broken(tmp_path, **{name.split(".")[0]: text.replace(old, new, 1)})
    assert name in message
    for word in words:
        assert word in message


def test_mistakes_in_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_library([tmp_path / "nowhere"], builtin=False)
    with pytest.raises(InputError, match="holds no parameters"):
        load_library([tmp_path], builtin=False)
    (tmp_path / "law.yaml").write_text("parameters: {}\n")
    with pytest.raises(InputError, match="is not a file of a library"):
        load_library([tmp_path], builtin=False)
    (tmp_path / "law.yaml").unlink()
    (tmp_path / "laws.yaml").write_text("")
    with pytest.raises(InputError, match="is empty"):
        load_library([tmp_path], builtin=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("article{a, title={t}, year=1}", "text outside an entry"),
        ("@article{a title={t}}", "an entry must begin"),
        ("@article{a, title={t}, year=1", "a field must look like"),
        ("@article{a, title={t, year=1", "not closed"),
        ("@article{a, title={t}}", "year is missing"),
        ("@article{a, title={t}, title={u}, year=1}", "title is given twice"),
        ("@article{a, title={t}, year=1}\n@article{a, title={t}, year=1}", "used twice"),
    ],
)
def test_mistakes_in_a_bibliography(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        parse_bibliography(text)
    assert "references.bib, line" in str(caught.value)


# --- reading YAML ---


def test_yaml_remembers_lines_and_follows_version_1_2() -> None:
    tree = read_yaml("a: off\nb:\n  - 1e6\n  - 12\n  - 'x: y'\nc: {d: null, e: true}\n", "f")
    assert isinstance(tree, Block)
    assert tree == {"a": "off", "b": [1e6, 12, "x: y"], "c": {"d": None, "e": True}}
    assert tree.lines == {"a": 1, "b": 2, "c": 6}
    assert isinstance(tree["b"], Items)
    assert tree["b"].lines == [3, 4, 5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2\n", "line 2, a: 'a' is given twice"),
        ("a: &x 1\nb: *x\n", "anchors"),
        ("a: !!python/name:os.system x\n", "tag"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("a: [1, 2\n", "malformed YAML"),
        ("a: b: c\n", "malformed YAML"),
        ("\tx: 1\n", "malformed YAML"),
        ("<<: {a: 1}\n", "merge keys"),
        ("? [a]\n: 1\n", "a key must be a plain word"),
        ("[" * 50 + "]" * 50, "nested too deeply"),
        ("a: \x00", "malformed YAML"),
    ],
)
def test_yaml_that_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        read_yaml(text, "f")


@given(st.text(alphabet=st.sampled_from("ab:-[]{}#&*!|>'\"%@`,?\n \t01.\x00\u2028é"), max_size=60))
def test_random_yaml_gives_a_tree_or_an_input_error(text: str) -> None:
    tree = small_library.attempt(read_yaml, text, "f")
    assert tree is None or isinstance(tree, (Block, Items, str, int, float, InputError))


@given(st.text(alphabet=st.sampled_from('@{}",=% \nab1'), max_size=40))
def test_random_bibliographies_give_references_or_an_input_error(text: str) -> None:
    assert isinstance(small_library.attempt(parse_bibliography, text), (list, InputError))


def test_suggestions() -> None:
    assert suggest("hypotensoin", ["hypotension", "fever"]) == "did you mean hypotension?"
    assert suggest("HYPOTENSION", ["hypotension"]) == "did you mean hypotension?"
    assert suggest("zzz", ["a", "b"]) == "known: a, b"
    assert "none" in suggest("zzz", [])


# --- bounds, whatever the distribution ---


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("radius: {value: 0 nm, distribution: fixed, status: assumed}", "0 nm is outside the physical range of radius"),
        ("radius: {value: 1 m, distribution: fixed, status: assumed}", "outside the physical range of radius"),
        ("matrix_kd: {value: 0 nM, distribution: fixed, status: assumed}", "0 nM is outside the physical range of matrix_kd"),
        ("release_rate: {value: 0 1/h, distribution: fixed, status: assumed}", "outside the physical range of release_rate"),
        ("molar_mass: {value: 0 kDa, distribution: fixed, status: assumed}", "outside the physical range of molar_mass"),
    ],
)
def test_zero_is_refused_whatever_the_distribution(tmp_path: Path, value: str, said: str) -> None:
    (tmp_path / "agents.yaml").write_text(f"entries:\n  mine:\n    values:\n      {value}\n")
    with pytest.raises(InputError, match=said):
        load_library([tmp_path])


def test_zero_stays_possible_where_the_definition_says_so(tmp_path: Path) -> None:
    """A protein without a receptor, without a site in the matrix, that is not cleared."""
    zero = 'distribution: fixed, status: assumed}'
    values = "".join(f'      {name}: {{value: 0, unit: "1", {zero}\n' for name in ("potency_effector", "clearance_factor"))
    (tmp_path / "agents.yaml").write_text(f"entries:\n  mine:\n    values:\n{values}      matrix_sites: {{value: 0 nM, {zero}\n")
    mine = load_library([tmp_path]).agents["mine"].records
    assert [mine[name].value for name in ("potency_effector", "clearance_factor", "matrix_sites")] == [0.0, 0.0, 0.0]


# --- data that are no parameters ---


@pytest.mark.parametrize(
    ("scope", "meta", "said"),
    [
        ("agents", "{particals: true}", ["mine.meta.particals", "unknown data 'particals'", "did you mean particles"]),
        ("agents", "{particles: yes}", ["neither true nor false"]),
        ("agents", "{synonyms: rIL-2}", ["must be a list of synonyms"]),
        ("lines", "{antigens: [a]}", ["mapping of antigens to weights"]),
        ("lines", "{antigens: {a: -1}}", ["mine.meta.antigens.a", "'-1' is not a weight"]),
        ("lines", "{antigens: {a: .nan}}", ["not a finite number"]),
        ("lines", "{antigens: {a: {value: 1, status: guessed}}}", ["unknown status 'guessed'"]),
        ("lines", "{antigens: {a: {value: 1, status: measured}}}", ["a measured value needs a source"]),
        ("lines", "{antigens: {a: {value: 1, status: measured, source: [nobody1900]}}}", ["no reference 'nobody1900'"]),
        ("lines", "{antigens: {a: {weight: 1}}}", ["unknown field 'weight'"]),
        ("hosts", "{criteria: calipers}", ["unknown criteria 'calipers'"]),
        ("hosts", "{surface: {area: 5}}", ["not an area with its weight"]),
        ("hosts", "{cavities: {pleura: 5}}", ["mapping of cavities"]),
    ],
)
def test_data_of_an_entry_are_checked(tmp_path: Path, scope: str, meta: str, said: list[str]) -> None:
    (tmp_path / f"{scope}.yaml").write_text(f"entries:\n  mine:\n    meta: {meta}\n")
    with pytest.raises(InputError) as caught:
        load_library([tmp_path])
    assert "line 3" in str(caught.value)
    for words in said:
        assert words in str(caught.value)


def test_numbers_among_the_data_are_listed_with_their_status(tmp_path: Path) -> None:
    (tmp_path / "lines.yaml").write_text(
        "entries:\n  mine:\n    meta:\n      antigens:\n        plain: 0.5\n"
        "        known: {value: 0.25, range: [0.1, 0.5], status: derived, source: [maas1991], note: half as often}\n"
    )
    library = load_library([tmp_path])
    assert library.lines["mine"].meta["antigens"] == {"plain": 0.5, "known": 0.25}  # what the engine reads
    plain, known = (datum for datum in library.data() if datum.scope == "lines.mine")
    assert (plain.name, plain.value, plain.range, plain.status) == ("antigens.plain", "0.5", "fixed", "assumed")
    assert (known.range, known.status, known.source, known.note) == ("0.1 to 0.5", "derived", ("maas1991",), "half as often")


def test_every_antigen_and_cavity_of_the_library_is_listed() -> None:
    library = load_library()
    names = {(datum.scope, datum.name) for datum in library.data()}
    for line in library.lines.values():
        owners = [f"lines.{one}" for one in line.lineage]
        for antigen in line.meta["antigens"]:
            assert any((owner, f"antigens.{antigen}") in names for owner in owners)
    assert ("hosts.human", "cavities.bladder.cavity_voiding") in names
