"""The README's commands do what they say: those that take seconds are run as printed, the others at least exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from locokine.cli import main
from locokine.parameters import load_library

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines() if line.split("#")[0].split()[:1] in (["locokine"], [".venv/bin/locokine"])
]
CHEAP = ("new", "check", "export", "parameters")
"""Commands that need no simulation; the run of a published model needs none either."""


def cheap(words: list[str]) -> bool:
    return words[0] in CHEAP or (words[0] == "run" and "--model" in words)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README begins with `locokine new mouse`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")  # help texts are cut to the width of the terminal
    assert main(["new", "mouse"]) == 0


def test_the_readme_has_commands_of_both_kinds() -> None:
    assert {words[0] for words in COMMANDS if cheap(words)} >= {"new", "export", "run"}
    assert any(not cheap(words) for words in COMMANDS)


@pytest.mark.parametrize("words", [words for words in COMMANDS if cheap(words)], ids=" ".join)
def test_cheap_commands_run_as_printed(words: list[str], tmp_path: Path) -> None:
    if words[0] == "new":
        Path(f"{words[1]}.yaml").unlink(missing_ok=True)
    assert main(words) == 0


@pytest.mark.parametrize("words", [words for words in COMMANDS if not cheap(words)], ids=" ".join)
def test_the_others_have_only_options_that_exist(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([words[0], "--help"]) == 0
    help_text = capsys.readouterr().out
    for word in words[1:]:
        assert not word.startswith("--") or word == "--help" or word in help_text


def test_new_names_what_the_readme_says() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`locokine new (\w+)`", text):
        Path(f"{name}.yaml").unlink(missing_ok=True)
        assert main(["new", name]) == 0


README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_claims_is_of_this_library() -> None:
    """Verdicts and shares as `docs/scripts/claims.py` wrote them beside, for the values that ship: no count by hand."""
    kept = json.loads((ROOT / "docs" / "claims.json").read_text(encoding="utf-8"))
    assert kept["library_hash"] == load_library().digest, "run docs/scripts/claims.py"
    rows = re.findall(r"^\| (\d+) \|.*\| (yes|\*\*no\*\*), (\d+) % \|", README, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 14))
    for number, verdict, share in rows:
        claim = kept["claims"][number]
        assert (verdict == "yes") == claim["holds"]
        assert int(share) == round(100.0 * claim["prior"])
    told = re.search(r"claims ([\d, ]+) hold at the values of the library,\s+([\d, ]+) do not", README)
    assert told is not None
    for numbers, wanted in zip(told.groups(), ("yes", "**no**"), strict=True):
        assert re.findall(r"\d+", numbers) == [number for number, verdict, _ in rows if verdict == wanted]


def test_counts_of_the_evidence_are_of_this_library() -> None:
    kept = json.loads((ROOT / "docs" / "evidence.json").read_text(encoding="utf-8"))["posterior"]
    assert kept["library_hash"] == load_library().digest, "run docs/scripts/evidence.py"
    rows = kept["experiments"]
    pattern = r"Held against all (\d+) experiments.*?agrees with (\d+); its log score is\s+(-[\d.]+) per experiment"
    counted = re.search(pattern, README, re.DOTALL)
    assert counted is not None
    assert int(counted[1]) == len(rows)
    assert int(counted[2]) == sum(row["agrees"] for row in rows)
    scores = [row["log_score"] for row in rows if row["baseline_log_score"] is not None]
    assert float(counted[3]) == pytest.approx(sum(scores) / len(scores), abs=0.005)
