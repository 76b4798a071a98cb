"""Evaluations that are kept: a file of lines from which an interrupted study goes on.

Explanations, sensitivity, power and optimisation are many independent evaluations of the model. Each finished one is a
line of `evaluations.jsonl` in the output folder. The same command reads them back and computes what is missing; since an
evaluation depends on nothing but its key and what identifies the study, the result is the same as without interruption.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locokine import __version__
from locokine.errors import InputError
from locokine.results.schema import plain
from locokine.results.store import disk_errors
from locokine.scenario.experiment import Experiment

Array = NDArray[np.float64]
Values = dict[str, Array]
FILE = "evaluations.jsonl"


def identity(command: str, experiment: Experiment, **settings: Any) -> dict[str, Any]:
    """What an evaluation depends on beside its key: command, version, code, resolved scenario and settings."""
    from locokine._jit import source_hash

    text = json.dumps(plain(experiment.resolved()), sort_keys=True)
    return {
        "command": command,
        "version": __version__,
        "code": source_hash(),
        "experiment": experiment.name,
        "scenario": hashlib.sha256(text.encode()).hexdigest()[:16],
        **plain(settings),
    }


class Ledger:
    """Evaluations by key.

    Parameters
    ----------
    folder
        Where the file lies (made if missing); None keeps them in memory.
    facts
        See `identity`.
    force
        Whether evaluations of another study in the folder may be dropped.

    Raises
    ------
    InputError
        If the folder holds evaluations of another study, or cannot be written.
    """

    def __init__(self, folder: Path | None, facts: Mapping[str, Any], force: bool = False) -> None:
        self.path = None if folder is None else folder / FILE
        self.known: dict[str, Values] = {}
        self.used: dict[str, None] = {}
        if folder is None:
            return
        if folder.exists() and not folder.is_dir():
            raise InputError(str(folder), "is a file, not a folder", "choose another --out")
        wanted = json.loads(json.dumps(dict(facts)))
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lines = self.path.read_bytes().split(b"\n") if self.path is not None and self.path.exists() else []
        found = _parsed(lines[0]) if lines else None
        if found is not None and found != wanted and not force:
            raise InputError(
                str(folder), f"holds another study ({_difference(found, wanted)})",
                "choose another --out, or replace it with --force",
            )
        # what follows the last line break was being written when the study was stopped
        kept = [line for line in lines[1:-1] if _parsed(line) is not None] if found == wanted else []
        with disk_errors(folder):
            assert self.path is not None
            self.path.write_bytes(b"\n".join([json.dumps(wanted).encode(), *kept, b""]))
        for line in kept:
            entry = json.loads(line)
            self.known[entry["key"]] = {name: np.array(v, dtype=np.float64) for name, v in entry["values"].items()}

    def get(self, key: str, make: Callable[[], Mapping[str, Array]]) -> Values:
        """What is kept under `key`, else what `make` returns, kept."""
        if key not in self.known:
            self.put(key, make())
        self.used[key] = None
        return self.known[key]

    @property
    def seconds(self) -> float:
        """Processor time of what was asked for so far: what an interrupted study has kept for later does not count yet."""
        return float(sum(self.known[key]["seconds"].sum() for key in self.used if "seconds" in self.known[key]))

    def put(self, key: str, values: Mapping[str, Array]) -> None:
        """Keep an evaluation."""
        self.known[key] = {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}
        if self.path is not None:
            line = json.dumps({"key": key, "values": {name: v.tolist() for name, v in self.known[key].items()}})
            with disk_errors(self.path.parent), self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _difference(found: Any, wanted: Mapping[str, Any]) -> str:
    """The first fact in which two studies differ, in words."""
    if not isinstance(found, dict):
        return "or a file that is not ours"
    if found.get("command") == wanted["command"] and found.get("version") == wanted["version"] and (
        found.get("code") != wanted["code"]
    ):
        return "made by other code of the same version"
    for name in wanted:
        if found.get(name) != wanted[name]:
            if name == "scenario":
                return f"{found.get('experiment')} with other settings"
            return f"{name} {found.get(name)}, not {wanted[name]}"
    return "with other settings"
