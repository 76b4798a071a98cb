"""Folders of evidence: one small YAML file an observation, shared scenarios beside them, every complaint with its place.

    FOLDER/NAME.yaml               one observation (`evidence.model.EvidenceModel`)
    FOLDER/scenarios/NAME.yaml     a scenario that several of them use; `locokine run` reads it too
    FOLDER/outside.yaml            rows beyond the model's reach (the library that ships only)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from locokine.errors import InputError
from locokine.evidence.likelihood import Likelihood
from locokine.evidence.observables import OBSERVABLES, SETTINGS, TERMS, Observable
from locokine.evidence.trial import Settings, Trial
from locokine.parameters.library import Library
from locokine.parameters.reading import plain, read_file, read_yaml, suggest
from locokine.scenario.experiment import Experiment
from locokine.scenario.load import load
from locokine.scenario.validate import Where, complaint
from locokine.units import SUPPLIERS, dimension_of, unit_factor

if TYPE_CHECKING:
    from locokine.evidence.model import EvidenceModel, GroupModel, OutsideFile

Array = NDArray[np.float64]
FOLDER = Path(__file__).parent / "library"
"""The evidence that ships."""
SCENARIOS = "scenarios"
OUTSIDE = "outside.yaml"
UNKNOWN_UNIT = 0.7
"""Log-sd of IU per unit where a paper does not say whose unit it used."""
TAIL = 1.6448536269514722
REMEDIES = {
    "n": "add 'n:'; where the paper gives none, an effective n (10 for a group of mice, 15 for cattle, 20 for patients) "
         "with n_from: assumed",
    "supplier": "add 'supplier:' to the dose: IU, mass, Cetus, …, unknown",
    "dose": "add dose: {written: 20000 U, supplier: unknown}; for untreated hosts {written: none, supplier: none}",
    "unit": "add 'unit:'",
}


@dataclass(frozen=True)
class Group:
    """An arm of a scenario, with mechanisms or values changed.

    Attributes
    ----------
    scenario
        Key of `Evidence.scenarios`.
    arm
        Its name.
    switches, overrides
        What is changed.
    """

    scenario: str
    arm: str
    switches: tuple[tuple[str, bool], ...] = ()
    overrides: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Observation:
    """One published number and how to repeat the experiment.

    Attributes
    ----------
    name, rows
        Its id, and the rows of the table of evidence that it stands for.
    use
        "calibrate" or "validate".
    source, what
        Citation in one line, and what was measured, in words.
    group, against
        Which simulated group repeats it, and which it is compared with.
    observable, at
        Name in `observables.OBSERVABLES`, and its settings.
    unit
        Unit of the numbers of `likelihood`: that of the observable.
    likelihood
        What was seen, and how sure it is.
    dose, factor
        Dose as printed with its supplier; log-sd of the amount below and above the one that the scenario gives.
    assumptions
        What was assumed.
    origin
        Data set that it counts for: the named one, or the paper.
    place
        File, for errors.
    """

    name: str
    rows: tuple[str, ...]
    use: str
    source: str
    what: str
    group: Group
    against: Group | None
    observable: str
    at: Settings
    unit: str
    likelihood: Likelihood
    dose: tuple[str, str] = ("none", "none")
    factor: tuple[float, float] = (0.0, 0.0)
    assumptions: tuple[str, ...] = ()
    origin: str = ""
    place: str = ""

    @property
    def scenario(self) -> str:
        """Key of the scenario of its group."""
        return self.group.scenario

    @property
    def arm(self) -> str:
        """Arm of its group."""
        return self.group.arm

    @property
    def words(self) -> str:
        """What `--filter` looks in."""
        return " ".join((self.name, *self.rows, self.use, self.what, self.source, self.observable, self.scenario))

    @property
    def measure(self) -> Observable:
        """What is read."""
        return OBSERVABLES[self.observable]

    @property
    def groups(self) -> tuple[Group, ...]:
        """Its group and the one it is compared with."""
        return (self.group,) if self.against is None else (self.group, self.against)

    def read(self, trial: Trial, group: Group | None = None) -> Array:
        """One number per subject of its group (or another)."""
        return self.measure(trial, (group or self.group).arm, self.at)


@dataclass(frozen=True)
class Outside:
    """Rows that the model cannot express, and what it would need."""

    rows: tuple[str, ...]
    what: str
    needs: str


@dataclass(frozen=True)
class Evidence:
    """Observations by name, scenarios by key (file or mapping), what is outside the model, and names still to come."""

    observations: Mapping[str, Observation] = field(default_factory=dict)
    scenarios: Mapping[str, Path | Mapping[str, Any]] = field(default_factory=dict)
    outside: tuple[Outside, ...] = ()
    planned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    digest: str = ""

    def selected(self, containing: str) -> list[Observation]:
        """Observations with a text (any case) in id, use, what, source, observable or scenario.

        Raises
        ------
        InputError
            If there is none.
        """
        wanted = containing.lower()
        found = [item for item in self.observations.values() if wanted in item.words.lower()]
        if not found:
            raise InputError("--filter", f"no experiment contains '{containing}'", suggest(containing, self.observations))
        return found

    def experiment(self, group: Group, seed: int, library: Library | None) -> Experiment:
        """The experiment of a group."""
        source = self.scenarios[group.scenario]
        own = isinstance(source, Path) and bool(_tree(source).get("library"))
        experiment = load(source, seed=seed, library=None if own else library)
        if not (group.switches or group.overrides):
            return experiment
        return experiment.changed(switches=dict(group.switches), overrides=dict(group.overrides))

    def missing(self, group: Group, library: Library) -> list[str]:
        """What the library does not have yet, of names that it is going to have: "line b16", "host cattle"."""
        source = self.scenarios[group.scenario]
        tree = _tree(source) if isinstance(source, Path) else source
        if tree.get("library"):
            return []
        return [
            f"{scope.removesuffix('s')} {name}"
            for scope, name in _names(tree)
            if name in self.planned.get(scope, ()) and name not in library.entries(scope)
        ]


def _names(tree: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names of hosts, lines and agents that a scenario uses."""
    yield "hosts", str(tree.get("host", ""))
    for lesion in dict(tree.get("lesions") or {}).values():
        if isinstance(lesion, Mapping):
            yield "lines", str(lesion.get("line", ""))
    agents = {str(line).split(maxsplit=1)[0] for lines in dict(tree.get("arms") or {}).values() for line in lines or () if line}
    yield from (("agents", agent) for agent in sorted(agents))


def _tree(path: Path) -> Mapping[str, Any]:
    return _tree_of(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _tree_of(path: Path, changed: int) -> Mapping[str, Any]:
    """A scenario as plain data; read again if the file has changed."""
    tree = plain(read_yaml(read_file(path), str(path)))
    if not isinstance(tree, dict):
        raise InputError(str(path), "is not a scenario", "begin with 'experiment: NAME'")
    return tree


# --- reading ---------------------------------------------------------------------------------------------------------


def read_evidence(folders: Sequence[Path] = (), shipped: bool = True) -> Evidence:
    """Read the evidence that ships and further folders.

    Parameters
    ----------
    folders
        A user's own, besides.
    shipped
        Whether to read what ships.

    Raises
    ------
    InputError
        With file, line, field and remedy; also if two files have one id, or state one observation twice.
    """
    observations: dict[str, Observation] = {}
    scenarios: dict[str, Path | Mapping[str, Any]] = {}
    digest = hashlib.sha256()
    outside, planned = _outside(FOLDER / OUTSIDE)
    stated: dict[tuple[Any, ...], Observation] = {}
    for folder in [*([FOLDER] if shipped else []), *(Path(f) for f in folders)]:
        for path in _files(folder):
            item, found = _observation(path, folder)
            digest.update(path.read_bytes())
            for key, source in found.items():
                scenarios[key] = source
                digest.update(source.read_bytes() if isinstance(source, Path) else json.dumps(source, sort_keys=True).encode())
            if item.name in observations:
                raise InputError(
                    item.place, f"the id '{item.name}' is taken by {observations[item.name].place}", "choose another"
                )
            _once(item, stated)
            observations[item.name] = item
    return Evidence(observations, scenarios, outside if shipped else (), planned, digest.hexdigest())


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(str(folder), "no such folder", "give the folder that holds your files of evidence")
    found = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml") and path.name != OUTSIDE)
    if not found:
        raise InputError(str(folder), "holds no file of evidence (*.yaml)", "see docs/evidence.md for how to write one")
    return found


def _once(item: Observation, stated: dict[tuple[Any, ...], Observation]) -> None:
    """One data set counts once: the same quantity of the same group, from the same paper or data set, is stated once."""
    key = (item.origin, item.group, item.against, item.observable, tuple(sorted(item.at.items())))
    if key in stated:
        first = stated[key]
        same = first.likelihood == item.likelihood
        problem = f"{'repeats' if same else 'contradicts'} {first.name} ({first.place})"
        if not same:
            problem += f": {item.likelihood.text(item.unit)} against {first.likelihood.text(first.unit)} of the same group"
        raise InputError(item.place, problem, "keep one: a data set counts once (list both under rows:)")
    stated[key] = item


@lru_cache(maxsize=1)
def _outside(path: Path) -> tuple[tuple[Outside, ...], Mapping[str, tuple[str, ...]]]:
    from locokine.evidence.model import OutsideFile

    file: OutsideFile = _validated(OutsideFile, path)[0]
    rows = tuple(Outside(tuple(item.rows), item.what, item.needs) for item in file.outside)
    return rows, {scope: tuple(names) for scope, names in file.planned.items()}


def _validated(model: Any, path: Path) -> tuple[Any, Where]:
    """Read a file by a pydantic model."""
    from pydantic import ValidationError

    root = read_yaml(read_file(path), str(path))
    where = Where(root, str(path))
    if not isinstance(root, dict):
        raise InputError(str(path), "is empty, or not a mapping of fields", "begin with 'id: NAME'; see docs/evidence.md")
    try:
        return model.model_validate(plain(root)), where
    except ValidationError as error:
        raise complaint(error.errors(include_url=False), where, _fields(), str(path), REMEDIES) from None


@lru_cache(maxsize=1)
def _fields() -> Mapping[str, tuple[str, ...]]:
    from locokine.evidence import model as m

    parts = {"": m.EvidenceModel, "citation": m.CitationModel, "dose": m.DoseModel, "observed": m.ObservedModel,
             "against": m.GroupModel}
    return {name: tuple(part.model_fields) for name, part in parts.items()}


def _observation(path: Path, folder: Path) -> tuple[Observation, dict[str, Path | Mapping[str, Any]]]:
    from locokine.evidence.model import EvidenceModel

    model: EvidenceModel
    model, where = _validated(EvidenceModel, path)
    scenarios: dict[str, Path | Mapping[str, Any]] = {}
    main = _group(model, model, (), folder, where, scenarios)
    against = None
    if model.against is not None:
        against = _group(model.against, model, ("against",), folder, where, scenarios)
    measure = _measure(model, where)
    return Observation(
        model.id, tuple(model.rows) or (model.id,), model.use, model.citation.text(), model.what, main, against,
        model.observable, model.at, measure.unit, _likelihood(model, measure, where),
        (model.dose.written, str(model.dose.supplier)), _factor(str(model.dose.supplier), scenarios, main, where),
        tuple(model.assumptions), model.data_set or model.citation.text(), str(path),
    ), scenarios


def _group(
    group: GroupModel | EvidenceModel, main: EvidenceModel, path: tuple[str, ...], folder: Path, where: Where,
    scenarios: dict[str, Path | Mapping[str, Any]],
) -> Group:
    named = main.scenario if group.scenario is None else group.scenario
    arm = main.arm if group.arm is None else group.arm
    place = where.place(*path, "scenario")
    if isinstance(named, str):
        source: Path | Mapping[str, Any] = _find(named, folder, place)
        key = str(source)
        key = named if Path(key).parent == FOLDER / SCENARIOS else key
        arms = _tree(Path(str(source))).get("arms")
    else:
        source, key, arms = named, f"{where.name}:{'.'.join((*path, 'scenario'))}", named.get("arms")
    if not isinstance(arms, Mapping) or arm not in arms:
        known = list(arms) if isinstance(arms, Mapping) else []
        raise InputError(where.place(*path, "arm"), f"the scenario has no arm '{arm}'", suggest(arm, known))
    scenarios[key] = source
    overrides = tuple((name, str(value)) for name, value in sorted(group.overrides.items()))
    return Group(key, arm, tuple(sorted(group.switches.items())), overrides)


def _find(name: str, folder: Path, place: str) -> Path:
    """File of a shared scenario: in the folder's own scenarios/, else in those that ship."""
    for base in (folder / SCENARIOS, FOLDER / SCENARIOS):
        path = base / f"{name}.yaml"
        if path.exists():
            return path
    known = sorted({path.stem for base in (folder, FOLDER) for path in (base / SCENARIOS).glob("*.yaml")})
    raise InputError(place, f"there is no scenario '{name}' in {SCENARIOS}/", suggest(name, known))


def _measure(model: EvidenceModel, where: Where) -> Observable:
    name = model.observable
    if name not in OBSERVABLES:
        problem = f"the model cannot express '{name}': there is no such observable"
        raise InputError(where.place("observable"), problem, suggest(name, OBSERVABLES))
    measure = OBSERVABLES[name]
    for setting in measure.takes:
        if setting not in model.at:
            problem = f"'{name}' needs {setting} ({SETTINGS[setting]})"
            raise InputError(where.place("observable"), problem, f"add at: {{{setting}: …}}")
    for setting, value in model.at.items():
        place = where.place("at", setting)
        if setting not in measure.takes:
            known = suggest(setting, measure.takes) if measure.takes else "remove it"
            raise InputError(place, f"'{name}' has no setting '{setting}'", known)
        if setting == "term" and value not in TERMS:
            raise InputError(place, f"unknown term '{value}'", suggest(str(value), TERMS))
        if setting not in ("term", "lesion") and (isinstance(value, str) or value < 0):
            raise InputError(place, f"'{value}' is not a number of at least 0", "write a number")
    return measure


def _likelihood(model: EvidenceModel, measure: Observable, where: Where) -> Likelihood:
    """The observation in the unit of the observable."""
    seen, kind = model.observed, model.likelihood
    if kind == "binomial" and not measure.share:
        raise InputError(where.place("likelihood"), f"'{model.observable}' is not a share of hosts", "use lognormal or normal")
    if kind == "lognormal" and measure.share:
        raise InputError(where.place("likelihood"), f"'{model.observable}' is a share of hosts", "use binomial")
    if kind == "normal" and measure.share and model.against is None:
        raise InputError(where.place("likelihood"), f"'{model.observable}' is a share of hosts", "use binomial")
    if measure.share and model.against is not None and model.compare == "ratio":
        raise InputError(where.place("compare"), "shares are compared by their difference", "write compare: difference")
    if kind == "lognormal" and model.against is not None and model.compare != "ratio":
        raise InputError(where.place("compare"), "a lognormal contrast is a ratio", "write compare: ratio")
    ratio = model.against is not None and model.compare == "ratio"
    factor = _conversion(model, "1" if ratio else measure.unit, where)
    common: dict[str, Any] = {"n": seen.n, "effective": seen.effective or seen.n, "share": measure.share, "ratio": ratio}
    if kind == "binomial":
        percent = seen.percent if seen.percent is not None else 100.0 * (seen.successes or 0.0) / seen.n
        hits = seen.successes if seen.successes is not None else seen.n * percent / 100.0
        return Likelihood(kind, percent, successes=hits, **common)
    if kind in ("lognormal", "normal"):
        return Likelihood(kind, factor * float(seen.value or 0.0), _error(model, factor), **common)
    above = float("-inf") if seen.above is None else factor * seen.above
    below = float("inf") if seen.below is None else factor * seen.below
    return Likelihood(kind, above if np.isfinite(above) else below, above=above, below=below, **common)


def _conversion(model: EvidenceModel, unit: str, where: Where) -> float:
    given = model.observed.unit
    if given is None:
        return 1.0
    if dimension_of(given) != dimension_of(unit):
        place = where.place("observed", "unit")
        raise InputError(place, f"{given} is not a unit of '{model.observable}', which is read in {unit}", f"write e.g. {unit}")
    return unit_factor(given) / unit_factor(unit)


def _error(model: EvidenceModel, factor: float) -> float:
    """Standard deviation of the observed mean, of logarithms or in the unit of the observable."""
    seen, wide = model.observed, 2.0 * 1.959963984540054
    if model.likelihood == "lognormal":
        if seen.error is not None:
            return seen.error
        low, high = seen.interval or (1.0, 1.0)
        return float(np.log(high / low) / wide)
    if seen.error is not None:
        return factor * seen.error
    low, high = seen.interval or (0.0, 0.0)
    return factor * (high - low) / wide


def _factor(
    supplier: str, scenarios: Mapping[str, Path | Mapping[str, Any]], group: Group, where: Where
) -> tuple[float, float]:
    """Log-sd of the dose below and above what the scenario gives, from the supplier of the unit."""
    source = scenarios[group.scenario]
    tree = _tree(source) if isinstance(source, Path) else source
    lines = " ".join(str(line) for line in _lines(tree, group.arm))
    if supplier in SUPPLIERS:
        if lines and f"U[{supplier}]" not in lines:
            problem = f"the paper's unit is that of {supplier}, and the arm '{group.arm}' is not written in it"
            raise InputError(where.place("dose", "supplier"), problem, f"write the dose as U[{supplier}] in the scenario")
        unit = SUPPLIERS[supplier]
        return float(np.log(unit.iu / unit.low)) / TAIL, float(np.log(unit.high / unit.iu)) / TAIL
    return (UNKNOWN_UNIT, UNKNOWN_UNIT) if supplier == "unknown" else (0.0, 0.0)


def _lines(tree: Mapping[str, Any], arm: str) -> Iterable[Any]:
    found = dict(tree.get("arms") or {}).get(arm) or ()
    return [found] if isinstance(found, str) else found
