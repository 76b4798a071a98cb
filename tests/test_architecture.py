"""The shape of the package: who may import whom, what an import costs, what must not be in the repository."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "locokine"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("_jit", "errors", "processors"),
    ("units",),
    ("parameters",),
    ("biology",),
    ("tissue",),
    ("body",),
    ("scenario",),
    ("population",),
    ("engine",),
    ("results",),
    ("outcome",),
    ("trial",),
    ("evidence",),
    ("inference",),
    ("histology",),
    ("report",),
    ("baselines",),
    ("formats",),
    ("api",),
    ("cli",),
    ("__main__",),
)
"""Folders and top modules in the order in which they build on each other."""
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def layer_of(path: Path, package: Path) -> str:
    """Name of the folder, or of the top module, that a file belongs to."""
    return path.relative_to(package).parts[0].removesuffix(".py")


def imported(path: Path, package: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything of ours that a file imports, at any depth of nesting."""
    module = ["locokine", *path.relative_to(package).with_suffix("").parts]
    parents = module[:-1]  # right for `__init__.py` too: its name is the last part
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{name}.{alias.name}") for alias in node.names)


def wrong_directions(package: Path) -> list[str]:
    """Every import in `package` that does not point up the list of `LAYERS`."""
    wrong = []
    for path in sorted(package.rglob("*.py")):
        here = layer_of(path, package)
        if here == "__init__":  # the lazy front door may name anything
            continue
        if here not in LEVEL:
            wrong.append(f"{path.name}: '{here}' has no place in the order of layers")
            continue
        for line, name in imported(path, package):
            parts = name.split(".")
            if parts[0] != "locokine" or parts[1:] == ["__version__"]:
                continue
            target = parts[1] if len(parts) > 1 else "(the package itself)"
            same_or_above = target == here or (target in LEVEL and LEVEL[target] < LEVEL[here])
            if not same_or_above:
                wrong.append(f"{path.relative_to(package)}:{line}: {here} imports {target}")
    return wrong


def test_folders_import_only_from_those_above_them() -> None:
    assert wrong_directions(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "source", "found"),
    [
        ("units.py", "from locokine.parameters import records\n", "units imports parameters"),
        ("biology/law.py", "def f():\n    import locokine.engine.step\n", "biology imports engine"),
        ("biology/law.py", "from ..report import figures\n", "biology imports report"),
        ("outcome/a.py", "from .. import trial\n", "outcome imports trial"),
        ("engine/a.py", "import locokine\n", "engine imports (the package itself)"),
        ("stray/a.py", "", "'stray' has no place"),
    ],
)
def test_the_import_test_sees_each_way_to_break_the_order(tmp_path: Path, file: str, source: str, found: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(source)
    (report,) = wrong_directions(tmp_path)
    assert found in report


def test_the_import_test_lets_the_right_direction_pass(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "a.py").write_text(
        "from __future__ import annotations\nfrom locokine import __version__\nfrom . import b\n"
        "from locokine.results.result import Result\nimport locokine.units\n"
    )
    assert wrong_directions(tmp_path) == []


def test_import_is_cheap() -> None:
    """`import locokine` takes under 0.3 s and loads nothing heavy; best of three, as a busy machine is slower."""
    code = (
        "import sys, time; start = time.perf_counter(); import locokine; taken = time.perf_counter() - start\n"
        "import json; print(json.dumps([taken, sorted(m for m in sys.modules)]))"
    )
    taken, modules = [], set()
    for _ in range(3):
        output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        seconds, names = json.loads(output)
        taken.append(seconds)
        modules |= {name.split(".")[0] for name in names}
    heavy = {
        "numba",
        "numpy",
        "scipy",
        "pandas",
        "xarray",
        "zarr",
        "pyarrow",
        "matplotlib",
        "plotly",
        "pint",
        "pydantic",
    }
    assert modules & heavy == set()
    assert min(taken) < 0.3


def test_reading_a_scenario_loads_no_compiler_and_no_plotting() -> None:
    code = (
        "import sys, locokine as lk\n"
        "lk.load(sys.argv[1])\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules} & {'numba', 'pandas', 'xarray', 'matplotlib', 'plotly'}))"
    )
    example = PACKAGE / "examples" / "ascites_sl2.yaml"
    output = subprocess.run(
        [sys.executable, "-c", code, str(example)], capture_output=True, text=True, check=True
    ).stdout
    assert output.split() == []


def test_every_public_name_resolves() -> None:
    import locokine

    for name in locokine.__all__:
        assert getattr(locokine, name) is not None
    assert set(locokine.__all__) <= set(dir(locokine))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = locokine.nonsense  # type: ignore[attr-defined]


def test_modules_stay_readable() -> None:
    """A module is about one thing: none is longer than 550 lines."""
    long = [path.name for path in PACKAGE.rglob("*.py") if path.read_text(encoding="utf-8").count("\n") > 550]
    assert long == []


def repository_files() -> list[Path]:
    """Files that are or would be tracked; without git all that are not build products."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        skipped = {".git", ".venv", "results", "build", "dist", "__pycache__"}
        return [p for p in ROOT.rglob("*") if p.is_file() and not skipped & set(p.relative_to(ROOT).parts)]
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


@pytest.mark.parametrize("page", ["data_dictionary", "parameters"])
def test_generated_pages_of_the_docs_are_current(page: str) -> None:
    """`make docs` writes them from the package; a changed variable or parameter needs it again."""
    import runpy

    module = runpy.run_path(str(ROOT / "docs" / "scripts" / f"{page}.py"))
    made = module["page"](*([module["load_library"]()] if page == "parameters" else []))
    assert (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8") == made, "run `make docs`"


TEXT = (".py", ".md", ".toml", ".yaml", ".yml", ".json", ".txt", ".cfg", ".lock", ".html", ".cff", ".bib", ".ipynb", "")
MACHINE_PATH = re.compile(r"(?<![\w./:~-])/(?:root|home|Users|work|farm|opt|mnt)/\w")
REGISTRIES = re.compile(
    "|".join(re.escape(a + b) for a, b in (("py", "pi.org"), ("python", "hosted.org"), ("conda", ".org")))
)


def test_no_path_of_a_machine_and_no_registry_in_the_repository() -> None:
    found = []
    for path in repository_files():
        if path.suffix not in TEXT or path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if MACHINE_PATH.search(line) or REGISTRIES.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line[:80]}")
    assert found == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-bench.lock"])
def test_lock_files_hold_names_versions_and_hashes_only(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entry = re.compile(r"[a-z0-9][a-z0-9._-]*==[\w.!+]+(?: ; .+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+")
    assert entry.sub("", text) == ""


def test_every_dependency_is_in_the_lock() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["optional-dependencies"]
    locked = set(
        re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    )
    wanted = [*project["dependencies"], *groups["fit"], *groups["cluster"], *groups["dev"]]
    names = {
        re.split(r"[\[>=<!~ ]", line)[0].lower().replace("_", "-").replace("ruamel.yaml", "ruamel-yaml")
        for line in wanted
    }
    assert names <= locked


@pytest.mark.slow
def test_wheel_holds_data_examples_and_templates(tmp_path: Path) -> None:
    """What `pip install .` gives is complete without the repository."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    (wheel,) = tmp_path.glob("locokine-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    data = [p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert {f"locokine/{p.relative_to(PACKAGE).as_posix()}" for p in data} <= names
    assert "locokine/py.typed" in names
    assert sum(name.startswith("locokine/examples/") for name in names) >= 5
