"""The command line: what it prints, and every way of ending it has."""

from __future__ import annotations

import errno
import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from locokine import api
from locokine.cli import main
from locokine.cli.check import duration, number
from locokine.cli.run import parse_settings, progress_bar
from locokine.errors import InputError
from locokine.parameters import load_library

COMMAND = [sys.executable, "-c", "import sys; from locokine.cli import main; sys.exit(main())"]
ELSEWHERE = os.environ | {"PYTHONPATH": str(Path(api.__file__).resolve().parents[1])}
"""So that a process of its own in another folder runs this very package."""
COMMANDS = ("new", "check", "run", "report", "audit", "schema", "parameters")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a folder of its own as its current one, and a wide terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def mouse(tmp_path: Path) -> Path:
    """A scenario as `locokine new mouse` writes it."""
    return api.new("mouse", tmp_path / "mouse.yaml")


def one_line(text: str) -> str:
    """The only line of a text; fails if there are more, or a traceback."""
    assert "Traceback" not in text
    (line,) = text.strip().splitlines()
    return line


class TestHelp:
    @pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), ["parameters", "explain"]])
    def test_every_help_text_says_research_use(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*words, "--help"]) == 0
        assert "research use only" in " ".join(capsys.readouterr().out.split()).lower()

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        import locokine

        assert main(["--version"]) == 0
        assert capsys.readouterr().out.splitlines()[0] == f"locokine {locokine.__version__}"

    def test_nothing_asked_shows_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([]) == 2
        captured = capsys.readouterr()
        assert (captured.out + captured.err).count("Usage: locokine") == 1

    def test_installed_command_ends_with_the_status(self) -> None:
        ended = subprocess.run([*COMMAND, "check", "nowhere.yaml"], capture_output=True, text=True, env=ELSEWHERE)
        assert ended.returncode == 2
        assert "nowhere.yaml" in one_line(ended.stderr)


class TestNew:
    @pytest.mark.parametrize("kind", ["mouse", "ascites", "melanoma", "intravenous"])
    def test_writes_a_commented_scenario_that_loads(self, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["new", kind]) == 0
        text = Path(f"{kind}.yaml").read_text(encoding="utf-8")
        assert text.count("#") >= 3
        assert api.load(f"{kind}.yaml").protocol.arms
        assert f"locokine check {kind}.yaml" in capsys.readouterr().out

    def test_never_replaces_a_file(self, mouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
        mouse.write_text("mine")
        assert main(["new", "mouse", str(mouse)]) == 2
        assert "exists already" in one_line(capsys.readouterr().err)
        assert mouse.read_text() == "mine"

    def test_unknown_kind(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["new", "cow"]) == 2
        line = one_line(capsys.readouterr().err)
        assert "cow" in line
        assert "mouse" in line

    def test_folder_that_is_not_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["new", "mouse", "missing/mouse.yaml"]) == 2
        assert "cannot be written" in one_line(capsys.readouterr().err)


class TestCheck:
    def test_shows_doses_in_every_unit(self, mouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """20,000 IU of 61 pg each are 1.22 µg, and at 15.3 kDa 0.08 nmol; five of them are 100,000 IU."""
        assert main(["check", str(mouse)]) == 0
        text = capsys.readouterr().out
        row = next(line.split() for line in text.splitlines() if line.split()[:3] == ["each", "dose", "20,000"])
        assert float(row[3]) == pytest.approx(1.22, rel=0.01)  # three digits are known
        assert float(row[4]) == pytest.approx(0.080, rel=0.01)
        assert "100,000" in text
        for word in ("flank", "untreated", "Estimated time", "GB", "Rechallenge", "Research use only"):
            assert word in text

    def test_says_the_same_in_json(self, mouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check", str(mouse), "--json", "--subjects", "7"]) == 0
        about = json.loads(capsys.readouterr().out)
        assert about["subjects"] == 7
        assert about["arms"]["untreated"] == []
        assert about["arms"]["intratumoural"][0]["per_dose"]["iu"] == pytest.approx(20_000)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "empty"),
            ("arms: [", "line"),
            ("experiment: a\nhots: dba2_mouse\n", "hots"),
            ("- a\n- b\n", "mapping"),
        ],
    )
    def test_a_malformed_file_is_one_line(
        self, text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "bad.yaml"
        file.write_text(text)
        assert main(["check", str(file)]) == 2
        line = one_line(capsys.readouterr().err)
        assert said in line
        assert "bad.yaml" in line

    def test_a_binary_file_is_one_line(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "bad.yaml").write_bytes(bytes(range(256)))
        assert main(["check", "bad.yaml"]) == 2
        one_line(capsys.readouterr().err)

    def test_a_folder_is_not_a_scenario(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["check", str(tmp_path)]) == 2
        one_line(capsys.readouterr().err)

    def test_numbers_and_durations_are_readable(self) -> None:
        assert [number(value) for value in (None, 0.0800123, 1.2e6, 999.99)] == ["–", "0.08001", "1,200,000", "1000"]
        assert [duration(s) for s in (0.1, 60, 600, 7200)] == ["about 1 s", "about 60 s", "about 10 min", "about 2.0 h"]


class TestRunInput:
    """Bad input of `run`: status 2, one line, nothing simulated and nothing written."""

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--subjects", "0"], "--subjects"),
            (["--subjects", "-3"], "--subjects"),
            (["--subjects", "many"], "--subjects"),
            (["--seed", "-1"], "--seed"),
            (["--threads", "0"], "--threads"),
            (["--set", "direct_ec50"], "NAME=VALUE"),
            (["--set", "=3 nM"], "NAME=VALUE"),
            (["--set", "no_such_parameter=3 nM"], "no_such_parameter"),
            (["--set", "direct_ec50=3"], "unit"),
            (["--set", "direct_ec50=3 mm"], "3 mm"),
            (["--set", "direct_ec50=-3 nM"], "direct_ec50"),
            (["--set", "direct_ec50=nan nM"], "nan"),
            (["--set", "direct_ec50=3 nM", "--set", "direct_ec50=4 nM"], "twice"),
            (["--nonsense"], "--nonsense"),
        ],
    )
    def test_one_line(
        self, options: list[str], said: str, mouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["run", str(mouse), "--out", str(tmp_path / "out"), *options]) == 2
        assert said in one_line(capsys.readouterr().err)
        assert not (tmp_path / "out").exists()

    def test_out_is_needed(self, mouse: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["run", str(mouse)]) == 2
        assert "out" in one_line(capsys.readouterr().err)

    def test_out_that_is_a_file(self, mouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "out").write_text("mine")
        assert main(["run", str(mouse), "--out", str(tmp_path / "out"), "--subjects", "1"]) == 2
        assert "out" in one_line(capsys.readouterr().err.splitlines()[-1])
        assert (tmp_path / "out").read_text() == "mine"

    @pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
    def test_a_folder_that_may_not_be_written(
        self, mouse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "locked").mkdir(mode=0o500)
        assert main(["run", str(mouse), "--out", str(tmp_path / "locked" / "out"), "--subjects", "1"]) == 2
        assert "locked" in one_line(capsys.readouterr().err.splitlines()[-1])

    def test_settings_are_split_at_the_first_equals_sign(self) -> None:
        assert parse_settings([" a = 1 nM", "sl2.b=x=y"]) == {"a": "1 nM", "sl2.b": "x=y"}
        with pytest.raises(InputError, match="twice"):
            parse_settings(["a=1 nM", "a = 1 nM"])


def failing(error: BaseException) -> Callable[..., Any]:
    """A stand-in for the simulation that ends in an error."""

    def run_experiment(*_: object, **__: object) -> None:
        raise error

    return run_experiment


class TestEndings:
    """What the shell is told when a simulation does not come to its end."""

    def end(self, error: BaseException, mouse: Path, monkeypatch: pytest.MonkeyPatch) -> int:
        monkeypatch.setattr("locokine.trial.execute.run_experiment", failing(error))
        return main(["run", str(mouse), "--out", "out"])

    def test_interruption_is_130_and_says_how_to_go_on(
        self, mouse: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.end(KeyboardInterrupt(), mouse, monkeypatch) == 130
        message = " ".join(capsys.readouterr().err.split())
        assert "interrupted" in message
        assert "same command goes on" in message

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (InputError("out", "holds the results of another run", "use --force"), "another run"),
            (OSError(errno.ENOSPC, "No space left on device", "out/a"), "disk is full"),
            (PermissionError(errno.EACCES, "Permission denied", "out"), "permission denied"),
            (MemoryError(), "memory"),
        ],
    )
    def test_what_the_user_can_mend_is_2(
        self,
        error: Exception,
        said: str,
        mouse: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        assert self.end(error, mouse, monkeypatch) == 2
        text = capsys.readouterr().err
        assert said in text
        assert "Traceback" not in text

    def test_a_fault_of_ours_is_1_and_the_traceback_is_in_a_file(
        self, mouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.end(ZeroDivisionError("somewhere deep"), mouse, monkeypatch) == 1
        text = capsys.readouterr().err
        assert "Traceback" not in text
        assert "ZeroDivisionError: somewhere deep" in text
        (file,) = tmp_path.glob("locokine-fault-*.txt")
        assert str(file) in text
        assert "Traceback" in file.read_text()
        assert "run_experiment" in file.read_text()


class TestProgress:
    def test_lines_in_a_log(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No terminal: a line at most every ten seconds and one at the end; subjects kept from before do not count.

        What is left is told at the present speed: five of 100 at five per second.
        """
        import io

        from rich.console import Console

        clock = iter([0.0, 1.0, 11.0, 12.0])
        monkeypatch.setattr("locokine.cli.run.time.monotonic", lambda: next(clock))
        stream = io.StringIO()
        with progress_bar(Console(file=stream, width=120)) as show:
            for done in (40, 50, 95, 100):  # 40 were there from before
                show(done, 100, "untreated")
        lines = stream.getvalue().splitlines()
        assert lines == [
            "95/100 subjects (untreated), 5.0 subjects/s, 0:00:01 left", "100/100 subjects (untreated), 5.0 subjects/s",
        ]


class TestParameters:
    def test_lists_every_record_with_its_unit(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["parameters"]) == 0
        lines = capsys.readouterr().out.splitlines()
        library = load_library()
        assert len(lines) == 1 + len(list(library.records())) + len(list(library.data()))
        assert all(len(line.split("\t")) == 7 for line in lines)

    @pytest.mark.parametrize("words", [["parameters", "--filter"], ["parameters", "list", "--filter"]])
    def test_filter(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main([*words, "Direct EC50"]) == 0
        header, *lines = capsys.readouterr().out.splitlines()
        assert header.startswith("owner")
        assert lines
        assert all("direct_ec50" in line for line in lines)

    def test_explain_says_value_range_status_and_reference(self, capsys: pytest.CaptureFixture[str]) -> None:
        (record,) = load_library().find("direct_ec50")
        assert main(["parameters", "explain", "direct_ec50"]) == 0
        text = capsys.readouterr().out
        for part in (record.text(), "90 % range", record.status, record.note, *record.source):
            assert part in text

    def test_explain_proposes_a_name(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["parameters", "explain", "direct_ec5"]) == 2
        assert "did you mean direct_ec50" in one_line(capsys.readouterr().err)

    def test_cite_lists_each_reference_once(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["parameters", "cite"]) == 0
        lines = capsys.readouterr().out.splitlines()
        library = load_library()
        used = {key for record in library.records() for key in record.cited}  # of values and of spreads
        used |= {key for datum in library.data() for key in datum.source}
        assert sorted(line.split("]")[0].removeprefix("[") for line in lines) == sorted(used)


def test_schema_is_json_schema_of_the_shipped_scenarios(examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import jsonschema
    from ruamel.yaml import YAML

    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    files = sorted(examples.glob("*.yaml"))
    assert len(files) >= 5
    for file in files:
        content = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
        jsonschema.validate(content, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "nonsense": 1}, schema)


def test_report_of_a_folder_without_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "no finished result" in one_line(capsys.readouterr().err)


@pytest.mark.slow
class TestRun:
    """The real engine, on the smallest of the shipped examples (a fluid cavity, no shells)."""

    def run(self, examples: Path, out: Path, *options: str) -> int:
        return main(["run", str(examples / "ascites_sl2.yaml"), "--out", str(out), "--subjects", "3", *options])

    def test_result_table_report_and_again(
        self, examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "out"
        assert self.run(examples, out) == 0
        first = capsys.readouterr().out
        arms = list(json.loads((out / "summary.json").read_text())["arms"])
        for part in (*arms, "CR/PR/SD/PD/NE", "Sources of the numbers", str(out / "report.html"), "Research use only"):
            assert part in first
        page = (out / "report.html").read_bytes()
        assert self.run(examples, out) == 0  # the finished run is shown again
        assert capsys.readouterr().out == first
        assert (out / "report.html").read_bytes() == page
        assert main(["report", str(out)]) == 0
        assert str(out / "report.html") in capsys.readouterr().out

    def test_json_is_the_summary_and_nothing_else(
        self, examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "out"
        assert self.run(examples, out, "--json", "--no-report") == 0
        assert json.loads(capsys.readouterr().out) == json.loads((out / "summary.json").read_text())
        assert not (out / "report.html").exists()

    def test_another_run_needs_force(self, examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "out"
        assert self.run(examples, out, "--no-report") == 0
        before = (out / "summary.json").read_bytes()
        capsys.readouterr()
        assert self.run(examples, out, "--no-report", "--seed", "2") == 2
        assert "--force" in one_line(capsys.readouterr().err)
        assert (out / "summary.json").read_bytes() == before
        assert self.run(examples, out, "--no-report", "--seed", "2", "--force") == 0
        assert json.loads((out / "summary.json").read_text())["seed"] == 2

    def test_interrupted_or_killed_and_resumed_gives_the_same_bytes(self, examples: Path, tmp_path: Path) -> None:
        scenario = str(examples / "ascites_sl2.yaml")
        # so many subjects that much is left to do when the first part is written, on a busy machine too
        words = [*COMMAND, "run", scenario, "--subjects", "400", "--no-report", "--out"]
        whole = tmp_path / "whole"
        assert subprocess.run([*words, str(whole)], capture_output=True, env=ELSEWHERE).returncode == 0
        pipes: dict[str, Any] = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True}
        for end, code in ((signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)):
            broken = tmp_path / end.name
            # a process started in the background ignores SIGINT, and so would its children: here they listen
            listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
            process = subprocess.Popen([*words, str(broken)], env=ELSEWHERE, preexec_fn=listen, **pipes)
            deadline = time.monotonic() + 120.0
            while not list(broken.glob(".locokine-run/*.npz")) and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(end)
            message = process.communicate()[1]
            assert process.returncode == code, f"{end.name}: {message}"
            assert ("interrupted" in message) == (end != signal.SIGKILL)
            assert not (broken / "summary.json").exists()
            if end == signal.SIGTERM:
                continue  # ends by the same way as SIGINT: what is left is the same
            assert subprocess.run([*words, str(broken)], capture_output=True, env=ELSEWHERE).returncode == 0
            for name in ("summary.json", "subjects.parquet", "events.parquet"):
                assert (broken / name).read_bytes() == (whole / name).read_bytes()

    def test_notebook_methods(self, examples: Path) -> None:
        experiment = api.load(examples / "ascites_sl2.yaml", subjects=2)
        html = experiment._repr_html_()  # type: ignore[attr-defined]
        assert "aldesleukin 20000 IU" in html or "U[" in html
        result = api.twin(experiment, off={"leak"}).run()  # type: ignore[attr-defined]
        assert not any(on for name, on in result.scenario["switches"].items() if name.startswith("leak_"))
        assert "CR/PR/SD/PD/NE" in result._repr_html_()
        assert result.plot_survival()._repr_png_()[:4] == b"\x89PNG"
        assert len(result.subjects) == 2 * len(result.arms)


class TestTwin:
    def test_groups_are_resolved_and_nothing_else_changes(self, mouse: Path) -> None:
        experiment = api.load(mouse)
        off = api.twin(experiment, off={"leak"})
        assert {name for name, on in off.switches.items() if not on} == {
            "leak_direct",
            "leak_thrombotic",
            "leak_lymphocyte",
        }
        assert off.protocol.arms == experiment.protocol.arms
        assert off.overrides == experiment.overrides
        assert api.twin(off, on="leak").switches == dict.fromkeys(off.switches, True)
        assert not experiment.switches

    def test_unknown_mechanism(self, mouse: Path) -> None:
        with pytest.raises(InputError, match="lek"):
            api.twin(api.load(mouse), off={"lek"})

    def test_both_off_and_on(self, mouse: Path) -> None:
        with pytest.raises(InputError, match="both off and on"):
            api.twin(api.load(mouse), off="leak", on={"leak"})


def test_new_writes_every_shipped_example(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from locokine.scenario.templates import examples

    for name in examples():
        assert main(["new", name]) == 0
        assert api.load(tmp_path / f"{name}.yaml").name
    assert main(["new", "guinea_pig"]) == 2
    assert "did you mean guinea_pig_line10" in capsys.readouterr().err


def test_data_of_entries_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parameters", "list", "--filter", "antigens"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.strip().splitlines()[1:]]
    assert ["lines.el4", "antigens.el4", "0.1", "fixed", "", "assumed", ""] in rows
    assert main(["parameters", "explain", "cavities.pleura.cavity_area"]) == 0
    said = capsys.readouterr().out
    assert "(hosts.human) = 2e5 mm2" in said
    assert "status            assumed" in said
    assert main(["parameters", "cite", "--filter", "surface"]) == 0
    assert "Nair" in capsys.readouterr().out
