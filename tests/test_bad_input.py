"""Bad input, one test a message: each names the place, the problem and the remedy, and is never a traceback.

(Bad folders, full disks and interruptions are tested with the results and the command line.)
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import small_library
from locokine.errors import InputError
from locokine.parameters import Library, load_library
from locokine.parameters.reading import MOST_BYTES, read_file
from locokine.scenario import Experiment, load


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return load_library([small_library.write(tmp_path_factory.mktemp("library"))], builtin=False)


GOOD = small_library.SCENARIO


def complaint(source: Any, library: Library, **options: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        load(source, library=library, **options)
    error = caught.value
    assert error.place
    assert error.problem
    assert error.remedy
    assert "\n" not in str(error)
    return error


def test_the_unchanged_scenario_is_good(library: Library) -> None:
    assert load(GOOD, library=library).subjects == 12


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        # malformed YAML and shape
        ("host: shrew", "host: [shrew", ["malformed YAML", "check indentation"]),
        ("host: shrew", "host: shrew\nhost: giant", ["line 3, host", "given twice (first on line 2)"]),
        ("lesions:\n", "lesions: 5\nlesion:\n", ["unknown field 'lesion'"]),
        ("host: shrew", "host: 5", ["line 2, host", "'5' is not text"]),
        ("subjects: 12", "subjects: twelve", ["line 12, subjects", "'twelve' is not a whole number"]),
        ("subjects: 12", "subjects: 1.5", ["line 12, subjects", "not a whole number"]),
        ("subjects: 12", "subjects: true", ["line 12, subjects", "not a whole number"]),
        ("host: shrew\n", "", ["the field 'host' is missing"]),
        ("experiment: a test\n", "experiment: ''\n", ["line 1, experiment", "is empty"]),
        ("  nothing: []", "  nothing: {}", ["line 7, arms.nothing", "must be a list of dosing lines"]),
        ("  nothing: []", "  naive: []", ["line 7, arms.naive", "reserved"]),
        # unknown names
        ("host: shrew", "hots: shrew", ["line 2, hots", "unknown field 'hots'", "did you mean host"]),
        (
            "cells: 1e6 cells",
            "cels: 1e6 cells",
            ["line 4, lesions.left.cels", "unknown field 'cels'", "did you mean cells"],
        ),
        (
            "cells: 1e5 cells}",
            "cells: 1e5 cells, obsrve: 3 days}",
            ["line 14, rechallenge.obsrve", "did you mean observe"],
        ),
        ("host: shrew", "host: shrow", ["line 2, host", "unknown host 'shrow'", "did you mean shrew"]),
        ("line: alpha", "line: alfa", ["line 4, lesions.left.line", "unknown line 'alfa'", "did you mean alpha"]),
        ("line: alpha", "line: gamma", ["line 4", "'gamma' does not grow in 'shrew'", "its hosts are giant"]),
        ("site: subcutis", "site: skull", ["line 5, lesions.right.site", "unknown site 'skull'", "subcutis"]),
        ("{line: alpha,", "{line: alpha, site: viscera,", ["line 4", "has no site 'viscera'", "subcutis, peritoneum"]),
        (" site: subcutis,", "", ["line 5, lesions.right", "has no site", "add site: one of skin"]),
        (
            "[brine intra",
            "[brin intra",
            ["line 8, arms.brine[1], word 1 'brin'", "unknown agent 'brin'", "did you mean brine"],
        ),
        (
            "kine 20000 IU intratumoural",
            "kine 20000 IU intratumorous",
            ["line 10, arms.local[1], word 4", "unknown route"],
        ),
        ("lines: [alpha, beta]", "lines: [alpha, bta]", ["line 14, rechallenge.lines[2]", "unknown line 'bta'"]),
        ("lines: [alpha, beta]", "lines: [alpha, alpha]", ["line 14", "named twice"]),
        ("lines: [alpha, beta]", "lines: []", ["line 14, rechallenge.lines", "is empty"]),
        ("geometry: shells", "geometry: shell", ["line 15, geometry", "unknown geometry 'shell'", "well-mixed"]),
        ("{leak: off}", "{leaks: off}", ["line 18, switches.leaks", "unknown mechanism 'leaks'", "did you mean leak"]),
        ("{leak: off}", "{leak: maybe}", ["line 18, switches.leak", "neither on nor off"]),
        (
            "opening_ec50:",
            "opening_ec05:",
            ["line 19, overrides.opening_ec05", "unknown parameter", "did you mean opening_ec50"],
        ),
        ("beta.doubling", "gamma.doubling", ["line 19", "no host, line or agent 'gamma'"]),
        ("beta.doubling", "beta.dubling", ["line 19", "'beta' has no parameter 'dubling'"]),
        ("seed: 7", "seed: 7\nreadouts: [volume_of_caliper]", ["line 18, readouts[1]", "unknown readout"]),
        ("seed: 7", "seed: 7\nagents: [kin]", ["line 18, agents[1]", "unknown agent 'kin'"]),
        ("seed: 7", "seed: 7\nagents: [kine]", ["line 18, agents", "the arms use 'brine', which is not listed"]),
        # units
        ("1e6 cells", "1e6", ["line 4, lesions.left.cells", "has no unit", "1e6 cells"]),
        ("1e6 cells", "9 mm", ["line 4, lesions.left.cells", "'9 mm' is not a number of cells"]),
        ("100 mm3", "100", ["line 5, lesions.right.volume", "has no unit"]),
        ("follow-up: 60 days", "follow-up: 60", ["line 13, follow-up", "has no unit", "5 days"]),
        ("follow-up: 60 days", "follow-up: 60 mm", ["line 13, follow-up", "'60 mm' is not a time"]),
        ("20000 IU", "20000", ["line 10, arms.local[1], word 2", "has no unit"]),
        ("20000 IU", "20000 U", ["line 10, arms.local[1], word 2", "a bare 'U'", "U[Cetus]"]),
        ("20000 IU", "20 mm", ["line 10, arms.local[1], word 2", "'20 mm' is not a dose"]),
        ("20 nM", "20", ["line 19, overrides.opening_ec50", "has no unit"]),
        ("20 nM", "20 mm", ["line 19, overrides.opening_ec50", "not a quantity in nM"]),
        # numbers
        ("subjects: 12", "subjects: 0", ["line 12, subjects", "0 must be at least 1"]),
        ("subjects: 12", "subjects: -3", ["line 12, subjects", "-3 must be at least 1"]),
        ("seed: 7", "seed: -7", ["line 17, seed", "must be at least 0"]),
        ("shells: 8", "shells: 0", ["line 16, shells", "must be at least 1"]),
        ("1e6 cells", "-1e6 cells", ["line 4", "must be above zero"]),
        ("1e6 cells", "0 cells", ["line 4", "must be above zero"]),
        ("1e6 cells", ".nan cells", ["line 4", "not a finite number"]),
        ("1e6 cells", "inf cells", ["line 4", "not a finite number"]),
        ("1e6 cells", ".inf", ["line 4", "not a finite number"]),
        ("day: 5", "day: -5", ["line 5, lesions.right.day", "must be at least 0"]),
        ("day: 5", "day: .nan", ["line 5, lesions.right.day", "is not a finite number"]),
        ("day: 5", "day: .inf", ["line 5, lesions.right.day"]),
        ("day: 5", "day: 99", ["line 5, lesions.right.day", "not before the end of follow-up"]),
        ("20000 IU", "-20000 IU", ["line 10", "must not be negative"]),
        ("20000 IU", "nan IU", ["line 10", "not a finite number"]),
        ("follow-up: 60 days", "follow-up: -60 days", ["line 13", "must be above zero"]),
        ("20 nM", "-20 nM", ["line 19", "-20 nM is outside the physical range of opening_ec50", "above 0 nM"]),
        ("20 nM", "2 uM", ["line 19", "2000 nM is outside the physical range", "at most 1000 nM"]),
        ("20 nM", "inf nM", ["line 19", "not a finite number"]),
        # more than a host holds or lives
        ("100 mm3", "100 L", ["line 5, lesions.right", "'right' would take 100,000 mL, in a host of 0.025 kg", "its unit"]),
        ("20 nM,", "20 nM, weight: 1000 kg,", ["overrides.weight", "a weight of 1000 kg, where the library has 0.025 kg"]),
        ("follow-up: 60 days", "follow-up: 1e7 days", ["line 13, follow-up", "10,000,000 days are more than a hundred years"]),
        ("1e5 cells}", "1e5 cells, observe: 1e6 days}", ["line 14, rechallenge.observe", "more than a hundred years"]),
        ("20000 IU", "1e18 IU", ["line 10, arms.local[1]", "a dose weighs 61,200 kg, the host 0.025 kg"]),
        ("in 0.1 mL", "in 3 L", ["arms.brine[1]", "3,000 mL are more than a host of 0.025 kg holds"]),
        # meaning
        ("cells: 1e6 cells", "cells: 1e6 cells, volume: 1 mm3", ["line 4, lesions.left", "has 2 sizes", "exactly one"]),
        ("{line: alpha, cells: 1e6 cells}", "{line: alpha}", ["line 4, lesions.left", "has no size"]),
        (
            "{line: alpha, cells: 1e6 cells}",
            "{line: alpha, site: peritoneum, volume: 5 mm3}",
            ["a fluid cavity has no solid volume"],
        ),
        (
            "0.1 mL daily days 10-14\n    -",
            "0.1 mL into right day 1\n    -",
            ["line 10, arms.local[1]", "before the lesion 'right' exists (day 5)"],
        ),
        (
            "daily days 10-14\n    -",
            "daily days 50-70\n    -",
            ["line 10, arms.local[1]", "not before the end of follow-up"],
        ),
        ("  left:", "  left side:", ["line 4", "has a space or comma"]),
    ],
)
def test_each_mistake_has_its_message(library: Library, old: str, new: str, words: list[str]) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    message = str(complaint(text, library))
    for word in words:
        assert word in message, message


def test_cells_are_counted_by_their_volume(examples: Path) -> None:
    """One lesion that fills the host, and several that do so together; half a host's volume is simulated, sensible or not."""
    text = (examples / "local_versus_systemic.yaml").read_text()
    cells = re.search(r"cells: (\S+) cells", text)
    assert cells is not None
    with pytest.raises(InputError, match=r"lesions\.flank: the tumour 'flank' would take 1,000,000 mL, in a host of 0\.02"):
        load(text.replace(cells[0], "cells: 1e15 cells", 1))
    load(text.replace(cells[0], "cells: 1e10 cells", 1))
    with pytest.raises(InputError, match=r"lesions: all tumours would take 30 mL"):
        load(text.replace(cells[0], "count: 3, cells: 1e10 cells", 1))


def test_names_of_many_lesions_must_not_clash(library: Library) -> None:
    text = GOOD.replace(
        "  left:", "  spot_1: {line: alpha, cells: 1 cells}\n  spot: {line: alpha, cells: 1 cells, count: 2}\n  left:"
    )
    assert "two lesions are called 'spot_1'" in str(complaint(text, library))


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "{}\n"])
def test_an_empty_scenario(library: Library, text: str) -> None:
    error = complaint(text, library)
    assert error.problem == "the scenario is empty"
    assert "locokine new" in error.remedy


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\nmore\n", "5\n...\n"])
def test_a_scenario_that_is_no_mapping(library: Library, text: str) -> None:
    assert "not a mapping" in complaint(text, library).problem


def test_files_that_cannot_be_read(library: Library, tmp_path: Path) -> None:
    assert "no such file" in str(complaint(tmp_path / "none.yaml", library))
    assert "is a folder" in str(complaint(tmp_path, library))
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in str(complaint(tmp_path / "bytes.yaml", library))
    (tmp_path / "empty.yaml").write_text("")
    assert str(complaint(tmp_path / "empty.yaml", library)).startswith(str(tmp_path / "empty.yaml"))


def test_a_file_is_named_with_line_and_field(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD.replace("subjects: 12", "subjects: 0"))
    message = str(complaint(file, library))
    assert message == f"{file}, line 12, subjects: 0 must be at least 1; change the number"


def test_arguments_are_checked_like_the_file(library: Library) -> None:
    assert str(complaint(GOOD, library, subjects=0)).startswith("scenario, subjects: 0 must be at least 1")
    assert "override opening_ec50" in str(complaint(GOOD, library, overrides={"opening_ec50": "2 uM"}))
    assert "has no unit" in str(complaint(GOOD, library, overrides={"opening_ec50": 20.0}))
    assert "did you mean" in str(complaint(GOOD, library, overrides={"opening": "20 nM"}))


def test_changes_of_an_experiment_are_checked(library: Library) -> None:
    experiment = load(GOOD, library=library)
    for changes, words in (
        ({"subjects": 0}, "at least 1"),
        ({"seed": -1}, "between 0"),
        ({"switches": {"leaks": False}}, "unknown mechanism"),
        ({"overrides": {"share": 1.5}}, "outside the physical range"),
        ({"overrides": {"share": float("nan")}}, "outside the physical range"),
        ({"overrides": {"nothing": "1 nM"}}, "unknown parameter"),
    ):
        with pytest.raises(InputError, match=words):
            experiment.changed(**changes)


def test_a_newer_resolved_scenario_is_refused(library: Library) -> None:
    resolved = load(GOOD, library=library).resolved()
    assert "is not understood by this version" in str(complaint(resolved | {"schema_version": 2}, library))


def test_a_resolved_scenario_with_a_foreign_parameter_is_refused(library: Library) -> None:
    resolved = load(GOOD, library=library).resolved()
    resolved["parameters"] = {"laws": {"opening_ec05": "20 nM"}}
    assert "did you mean opening_ec50" in str(complaint(resolved, library))
    resolved["parameters"] = {"gamma": {"doubling": "20 h"}}
    assert "'gamma' is not in use" in str(complaint(resolved, library))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["alpha", "5 days", "1e6 cells"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "experiment",
        "host",
        "lesions",
        "agents",
        "arms",
        "subjects",
        "follow-up",
        "rechallenge",
        "geometry",
        "shells",
        "seed",
        "switches",
        "overrides",
        "readouts",
        "parameters",
        "schema_version",
        "other",
    ]
)


@given(changes=st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
def test_random_fields_give_an_experiment_or_an_input_error(changes: dict[str, Any], library: Library) -> None:
    from ruamel.yaml import YAML

    base = YAML(typ="safe", pure=True).load(GOOD)
    found = small_library.attempt(load, base | changes, library=library)
    assert isinstance(found, Experiment) or found.place


@given(position=st.integers(0, len(GOOD)), removed=st.integers(0, 8), added=st.text(max_size=6))
def test_random_edits_give_an_experiment_or_an_input_error(
    position: int, removed: int, added: str, library: Library
) -> None:
    text = GOOD[:position] + added + GOOD[position + removed :]
    assert isinstance(small_library.attempt(load, text, library=library), (Experiment, InputError))


@given(text=st.text(max_size=80).map(lambda text: text + "\n"))
def test_random_text_is_an_input_error(text: str, library: Library) -> None:
    with pytest.raises(InputError):
        load(text, library=library)


def test_devices_and_pipes_are_no_files(tmp_path: Path) -> None:
    """They would be read forever, or waited for."""
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(InputError, match="is no regular file"):
            read_file(path)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.csv").open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)  # sparse: takes no room
    with pytest.raises(InputError, match="larger than 50 MB"):
        read_file(tmp_path / "large.csv")


@pytest.mark.parametrize("name", ["radiotherapy", "Resection", "table"])
def test_an_agent_must_not_be_called_like_what_is_no_dose(tmp_path: Path, name: str) -> None:
    agents = small_library.AGENTS + f"  {name}: {{label: mine}}\n"
    library = load_library([small_library.write(tmp_path, agents=agents)], builtin=False)
    with pytest.raises(InputError, match=f"'{name}' is a word of the dosing language"):
        load(small_library.SCENARIO, library=library)
