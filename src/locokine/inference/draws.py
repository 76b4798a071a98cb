"""Draws of the parameters for predictions: of the prior, or of a posterior that a calibration has stored.

A posterior file names parameters as OWNER.NAME (`laws.direct_ec50`, `human.clearance`, `sl2.birth_rate`), all with the
same number of draws, and says their unit:

    JSON    {"library": {"laws.laws": "…", …}, "parameters": {"laws.direct_ec50": {"unit": "nM", "draws": [12.1, …]}, …}}
    NPZ     one array a parameter, and `units`: JSON text {"laws.direct_ec50": "nM", …}; `library` as JSON text

`library` (may be left out) has the digests of the entries that the draws were made with (`Library.entry_digests`): where
one has changed since, they are refused; entries that are new, a host or a line of a user's own, do not matter.
In place of a file, `posterior` names the draws that ship: those of the calibration that the library's values come from.

Subjects of a draw share its medians and differ by the records' spread between subjects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locokine.errors import InputError
from locokine.inference.claims import DESIGN, STATUSES
from locokine.inference.fit import normal_draws
from locokine.inference.prior import Free, candidates, population_of, records_owned, rows_of, scopes_of
from locokine.parameters.library import BUILTIN, Library
from locokine.parameters.reading import suggest
from locokine.population.draw import Population
from locokine.population.uncertain import parameter_of
from locokine.scenario.experiment import Experiment, draws_digest
from locokine.units import dimension_of, unit_factor

Array = NDArray[np.float64]
POSTERIOR = "posterior"
"""Stands for the draws that ship."""
SHIPPED = BUILTIN / "posterior.json"


@dataclass(frozen=True)
class PriorDraws:
    """Draws of the prior of every parameter in use; care given and an agent's own potencies are not drawn.

    Attributes
    ----------
    count
        How many.
    seed
        Every parameter has its own stream, so all experiments share the draws of what they share.
    """

    count: int
    seed: int = 1

    def population(self, experiment: Experiment, draws: Sequence[int], subjects: int) -> Population:
        """Subjects of the first of these draws, then those of the second, and so on."""
        free = candidates(experiment.library, scopes_of(experiment), {*DESIGN, *_overridden(experiment)}, STATUSES)
        picked = list(draws)
        values = {item: item.at(normal_draws(self.seed, f"prior:{item.key}", self.count)[picked]) for item in free}
        return population_of(experiment, values, len(picked), subjects)


@dataclass(frozen=True)
class PosteriorDraws:
    """Draws of some parameters, in internal units; all others stay at the values of the library.

    Attributes
    ----------
    values
        OWNER.NAME → draws, each of shape (count,).
    """

    values: Mapping[str, Array] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many draws."""
        return min((len(values) for values in self.values.values()), default=1)

    def thinned(self, most: int) -> PosteriorDraws:
        """At most so many of them, evenly spaced."""
        kept = np.unique(np.linspace(0, self.count - 1, min(most, self.count)).round().astype(np.int64))
        return PosteriorDraws({name: values[kept] for name, values in self.values.items()})

    def population(self, experiment: Experiment, draws: Sequence[int], subjects: int) -> Population:
        """Subjects of the first of these draws, then those of the second, and so on."""
        overridden, picked = _overridden(experiment), list(draws)
        values = {
            _free(name, experiment.library): drawn[picked]
            for name, drawn in self.values.items()
            if parameter_of(name) not in overridden
        }
        return population_of(experiment, values, len(picked), subjects)


def _overridden(experiment: Experiment) -> set[str]:
    """Names whose value the experiment itself states."""
    return {key.rpartition(".")[2] for key in experiment.overrides}


def _free(name: str, library: Library) -> Free:
    owner, _, parameter = name.partition(".")
    return Free(owner, next(record for record in records_owned(library, owner) if record.name == parameter))


def read_posterior(path: Path, library: Library) -> PosteriorDraws:
    """Read draws, of a file or those that ship (`posterior`), and check them against the library.

    Raises
    ------
    InputError
        If the file cannot be read, is of another library, names an unknown parameter, has a wrong unit, differing
        numbers of draws, or values beyond the physical bounds.
    """
    if path == Path(POSTERIOR):
        path = SHIPPED
    raw, made_with = _npz(path) if path.suffix == ".npz" else _json(path)
    now = library.entry_digests
    changed = [name for name, digest in made_with.items() if now.get(name) != digest]
    if changed:
        problem = f"is a posterior of another version of the parameter library: {', '.join(changed[:3])} changed since"
        raise InputError(str(path), problem, "calibrate again with this version")
    if not raw:
        raise InputError(str(path), "holds no draws", "see docs/evidence.md for the format")
    values = {name: _checked(f"{path}, {name}", name, unit, drawn, library) for name, (unit, drawn) in raw.items()}
    counts = {name: len(drawn) for name, drawn in values.items()}
    first = next(iter(counts))
    for name, count in counts.items():
        if count != counts[first]:
            problem = f"has {count} draws, {first} has {counts[first]}"
            raise InputError(f"{path}, {name}", problem, "store the same draws of all parameters")
    return PosteriorDraws(values)


def posterior_for(path: Path, experiment: Experiment) -> PosteriorDraws:
    """Draws of a file for an experiment.

    Raises
    ------
    InputError
        As for `read_posterior`; also if no parameter of the file has a part in the experiment.
    """
    found = read_posterior(path, experiment.library)
    if not any(rows_of(_free(name, experiment.library), experiment) for name in found.values):
        problem = f"no parameter of the file has a part in the scenario '{experiment.name}'"
        raise InputError(str(path), problem, "calibrate with rows of this host, line or agent")
    return found


def with_posterior(experiment: Experiment, path: Path) -> Experiment:
    """The same experiment with its subjects spread over the draws of a file: subject i has the medians of draw i.

    Raises
    ------
    InputError
        As for `posterior_for`.
    """
    return replace(experiment, uncertainty=dict(posterior_for(path, experiment).values))


def parameter_draws(
    experiment: Experiment, count: int, posterior: PosteriorDraws | None = None
) -> Mapping[Free, Array]:
    """Draws of parameters for a study: of the prior of all that have a part, or of a posterior; shape (count,) each.

    Draw 0 is the library itself.
    """
    from locokine.inference.ensemble import movable, prior_draws

    if posterior is None:
        return prior_draws(movable(experiment), count, experiment.seed)
    overridden, found = _overridden(experiment), {}
    which = np.linspace(0, posterior.count - 1, max(count - 1, 1)).round().astype(np.int64)[:count - 1]
    for name, drawn in posterior.values.items():
        item = _free(name, experiment.library)
        if item.parameter not in overridden and rows_of(item, experiment):
            found[item] = np.concatenate([[item.record.value], drawn[which]])
    return found


def around_library(frees: Sequence[Free]) -> list[Free]:
    """The same parameters with the library's value as median and the range of the record: a study of the model as it ships.

    Under the prior, before any fit, hardly a tumour is cured: what moves an outcome there is another question.
    """
    return [Free(item.owner, replace(item.record, prior=item.record.value)) for item in frees]


def known_ranges(frees: Sequence[Free], posterior: PosteriorDraws) -> list[Free]:
    """The same parameters with the median of a posterior as value and its central 90 % as range, where it has them.

    A study of sensitivity then asks what is left to know, and not what was unknown before any data.
    """
    found = []
    for item in frees:
        drawn = posterior.values.get(item.key)
        if drawn is None:
            found.append(item)
            continue
        low, middle, high = (float(x) for x in np.quantile(drawn, (0.05, 0.5, 0.95)))
        narrowed = replace(item.record, value=middle, prior=middle, low=low, high=high)
        found.append(Free(item.owner, narrowed) if low < high else item)
    return found


def drawn_from(posterior: PosteriorDraws | None) -> dict[str, str]:
    """What identifies the draws of a study beside their number: nothing for those of the ranges."""
    return {} if posterior is None else {"posterior": draws_digest(posterior.values)}


def _checked(place: str, name: str, unit: str, drawn: Any, library: Library) -> Array:
    owner, dot, parameter = name.partition(".")
    if not dot:
        raise InputError(place, "does not say whose parameter it is", "write OWNER.NAME, e.g. laws.direct_ec50")
    try:
        records = {record.name: record for record in records_owned(library, owner)}
    except InputError as error:
        raise InputError(place, error.problem, error.remedy) from None
    if parameter not in records:
        raise InputError(place, f"'{owner}' has no parameter '{parameter}'", suggest(parameter, records))
    record = records[parameter]
    if dimension_of(unit, place) != dimension_of(record.unit):
        raise InputError(place, f"{unit} is not a unit of this parameter", f"write e.g. {record.unit}")
    try:
        values = np.asarray(drawn, dtype=np.float64) * unit_factor(unit, place)
    except (TypeError, ValueError):
        raise InputError(place, "the draws are not numbers", "write a list of numbers") from None
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise InputError(place, "the draws are not a list of finite numbers", "write a list of numbers")
    if (values < record.physical_low).any() or (values > record.physical_high).any():
        raise InputError(place, "some draws are beyond the physical bounds", "see `locokine parameters explain` for them")
    return values


def _json(path: Path) -> tuple[dict[str, tuple[str, Any]], dict[str, str]]:
    from locokine.parameters.reading import read_file

    try:
        tree = json.loads(read_file(path))
        found = {str(name): (str(item["unit"]), item["draws"]) for name, item in tree["parameters"].items()}
        return found, {str(name): str(digest) for name, digest in tree.get("library", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(str(path), "is not a file of posterior draws", "see docs/evidence.md for the format") from None


def _npz(path: Path) -> tuple[dict[str, tuple[str, Any]], dict[str, str]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            units = json.loads(str(file["units"]))
            made_with = dict(json.loads(str(file["library"]))) if "library" in file else {}
            return {name: (str(unit), file[name]) for name, unit in units.items()}, made_with
    except FileNotFoundError:
        raise InputError(str(path), "no such file", "check the path") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(str(path), "is not a file of posterior draws", "see docs/evidence.md for the format") from None
