"""Which parameters do anything: each is doubled and halved, and those that move no output are listed.

A variant is one column of a population in which all hosts are alike (the spread between subjects is off). It is
compared with a column of the same number in which nothing was changed, so that both meet the same chance. A parameter
that matters in one setting only (a cavity, a patient, a shell) is not silent: besides the given experiment the shipped
settings are run, and what moves in any of them moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from locokine.engine.batch import PICTURED, simulate_arm
from locokine.engine.run import ArmRun
from locokine.evidence.first_pass import first_pass
from locokine.inference.claim_trials import EXAMPLES
from locokine.inference.prior import population_of
from locokine.parameters.records import Record
from locokine.population.draw import row_records
from locokine.scenario.experiment import Experiment
from locokine.scenario.load import load

Array = NDArray[np.float64]
MOVED = 1e-6
"""Change of an output, relative to its largest absolute value over the run, that counts as moved: far above rounding."""
NEAR_ONE = 0.99
"""A share is not doubled beyond this."""
BATCH = 128
"""Engine columns that run together."""
HOSTS = 32
"""Hosts of a variant where chance decides."""

SETTINGS: tuple[tuple[str, str, float, int], ...] = (
    ("local_versus_systemic", "well-mixed", 40.0, 0),
    ("local_versus_systemic", "shells", 16.0, 3),
    ("ascites_sl2", "well-mixed", 30.0, 0),
    ("melanoma_intralesional", "well-mixed", 21.0, 0),
    ("high_dose_intravenous", "well-mixed", 30.0, 0),
    ("subcutaneous", "well-mixed", 30.0, 0),
    ("high_dose_mouse", "well-mixed", 7.0, 0),
    ("radiotherapy_and_il2", "well-mixed", 13.0, 0),
    ("free_against_anchored", "well-mixed", 11.0, 0),
)
"""Shipped example or scenario of the evidence, geometry, days, shells (0: as it is): one of them has to move."""

RUNNING_ON = ("exposure", "reached_plasma", "cure_probability")
"""Outputs that are not closed at a host's death."""

EXPLAINED: dict[str, str] = {
    "fmol_per_iu": "turns IU into an amount when the scenario is read, before the engine runs",
    "molar_mass": "turns mass into an amount when the scenario is read, before the engine runs",
    "artery_flow": "counts only for a dose into an artery",
    "cavity_voiding": "is 0 but in a bladder",
}
"""Parameters that rightly move nothing → why."""


def audit(
    experiment: Experiment, *, threads: int = 1, shipped: bool = True, names: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, str]:
    """Parameters that move no output, each with why (empty if nothing says why).

    Parameters
    ----------
    experiment
        Its own setting is run (well mixed) beside the shipped ones.
    threads
        Of the engine.
    shipped
        Whether the shipped settings are run too.
    names
        Only these parameters; all without.
    progress
        Called as `progress(done, settings)`.

    Returns
    -------
    dict
        Parameter → explanation, in the order of the library.
    """
    settings = [_setting(experiment, "well-mixed", experiment.protocol.follow_up / 24.0, 0)]
    if shipped:
        settings += shipped_settings()
    silent = dict.fromkeys(names or [name for item in settings for name in _records(item)])
    for number, item in enumerate(settings):
        for name in moved(item, list(silent), threads):
            silent.pop(name)
        if progress:
            progress(number + 1, len(settings))
    # what moves only a picture (fields are kept of a few subjects), or only the odds of an event: short settings first
    for item in sorted(settings, key=lambda item: len(item.protocol.arms) * item.protocol.follow_up):
        picture = item.protocol.geometry == "shells"
        open_ = [name for name in silent if name not in EXPLAINED]
        for name in moved(item, open_, threads, *((PICTURED, 1) if picture else (BATCH, HOSTS))):
            silent.pop(name)
    return {name: EXPLAINED.get(name, "") for name in silent}


def shipped_settings() -> list[Experiment]:
    """The settings of `SETTINGS`, each as an experiment."""
    data = first_pass()
    found = []
    for name, geometry, days, shells in SETTINGS:
        source = data.scenarios[name] if name in data.scenarios else EXAMPLES / f"{name}.yaml"
        found.append(_setting(load(source), geometry, days, shells))
    return found


def _setting(experiment: Experiment, geometry: str, days: float, shells: int) -> Experiment:
    protocol = replace(
        experiment.protocol, geometry=geometry, follow_up=min(days * 24.0, experiment.protocol.follow_up),
        rechallenge=None,
    )
    if shells:
        protocol = replace(protocol, shells=shells, rim_shells=2)
    return replace(experiment, protocol=protocol)


def _records(experiment: Experiment) -> dict[str, list[tuple[str, Record]]]:
    """Parameter → rows of the population that it stands in, with their records."""
    found: dict[str, list[tuple[str, Record]]] = {}
    for row, record in row_records(experiment).items():
        found.setdefault(row.rpartition(":")[2], []).append((row, record))
    return found


def variants(record: Record) -> tuple[float, float]:
    """Half and double of a value within its bounds; the ends of the range where the value is zero."""
    if record.value == 0.0:
        low, high = record.low, record.high
    else:
        low, high = 0.5 * record.value, 2.0 * record.value
    if record.distribution == "logit":
        high = min(high, NEAR_ONE)
    return tuple(float(np.clip(x, record.physical_low, record.physical_high)) for x in (low, high))  # type: ignore


def moved(
    experiment: Experiment, names: Sequence[str], threads: int = 1, batch: int = BATCH, hosts: int = 1
) -> set[str]:
    """Those of the parameters that move an output of any arm of this setting.

    Populations have `batch` columns, `hosts` for each variant: alike, but each with a chance of its own.
    """
    rows = _records(experiment)
    present = [name for name in names if name in rows]
    found: set[str] = set()
    size, width = max(batch // (2 * hosts), 1), 2 * hosts
    for first in range(0, len(present), size):
        part = present[first:first + size]
        base = replace(population_of(experiment, {}, width * len(part), 1, between=False), copies=1)
        changed = base.values.copy()
        at = {name: i for i, name in enumerate(base.names)}
        for column, name in enumerate(part):
            for row, record in rows[name]:
                if row in at:
                    changed[at[row], width * column:width * (column + 1)] = np.repeat(variants(record), hosts)
        other = replace(base, values=changed)
        for arm in experiment.protocol.arms:
            runs = [simulate_arm(experiment, people, arm.name, 0, people.subjects, threads) for people in (base, other)]
            hit = differs(*runs).reshape(len(part), width)
            found.update(name for i, name in enumerate(part) if hit[i].any())
    return found


def differs(one: ArmRun, two: ArmRun) -> NDArray[np.bool_]:
    """Whether any output of each subject differs between two runs by more than `MOVED`; shape (subjects,)."""
    outputs = ["daily_lesion", "daily_body", "exposure", "dosed", "reached_plasma", "worst_grades", "cure_probability"]
    if one.pictured == one.subjects:
        outputs.append("fields")
    result = np.zeros(one.subjects, dtype=bool)
    for name in outputs:
        a, b = getattr(one, name), getattr(two, name)
        if a is None or b is None:
            continue
        a, b = (np.asarray(x, dtype=np.float64) for x in (a, b))
        if a.ndim == 1:
            a, b = a[None], b[None]
        size = np.nan_to_num(np.abs(a))
        if name.startswith("daily"):
            size = size.max(axis=-2, keepdims=True)  # over time
        if name in RUNNING_ON:  # what the engine goes on adding up after death says nothing
            a, b = (np.where(np.isnan(run.daily_body[0, -1]), 0.0, x) for run, x in ((one, a), (two, b)))
        lived = np.isnan(a) != np.isnan(b)
        apart = np.nan_to_num(np.abs(a - b)) > MOVED * size + 1e-12
        result |= (lived | apart).reshape(-1, one.subjects).any(axis=0)
    return result
