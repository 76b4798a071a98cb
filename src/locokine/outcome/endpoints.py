"""End points by name: one number per subject, read from the table of subjects.

Explanations, sensitivity, power and optimisation all ask for outcomes by these names, so that a response means the same
everywhere. A subject without a value (dead before its first visit) counts as what a trial would count it: no response,
no shrinkage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locokine.engine.run import ArmRun
from locokine.errors import InputError
from locokine.outcome.assess import assess
from locokine.parameters.reading import suggest
from locokine.results.result import Result
from locokine.scenario.experiment import Experiment

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


class Endpoint(NamedTuple):
    """What a trial may be judged by.

    Attributes
    ----------
    words
        In a sentence: "the share of subjects …" or a quantity.
    unit
        Of the values; "1" for yes (1), no (0) and probabilities.
    kind
        "share" (yes or no; a mean is a share), "number", or "time" (days, censored at the end of follow-up).
    good
        Whether more of it is better.
    read
        From the table of subjects to one value each.
    """

    words: str
    unit: str
    kind: Literal["share", "number", "time"]
    good: bool
    read: Callable[[pd.DataFrame], Array]


def _column(name: str) -> Callable[[pd.DataFrame], Array]:
    return lambda table: table[name].to_numpy(dtype=np.float64)


def _or_none(name: str) -> Callable[[pd.DataFrame], Array]:
    """A column that has no value where there was no tumour: none of it."""
    return lambda table: np.nan_to_num(table[name].to_numpy(dtype=np.float64))


def _responses(*codes: str) -> Callable[[pd.DataFrame], Array]:
    return lambda table: table["best_response"].isin(codes).to_numpy(dtype=np.float64)


def _from_grade(name: str, grade: int) -> Callable[[pd.DataFrame], Array]:
    return lambda table: (table[name] >= grade).to_numpy(dtype=np.float64)


def _shrinkage(table: pd.DataFrame) -> Array:
    """Largest shrinkage at a visit, as a share of the baseline; 0 where a tumour only grew or was never seen again."""
    return np.clip(-np.nan_to_num(table["best_change"].to_numpy(dtype=np.float64)) / 100.0, 0.0, 1.0)


ENDPOINTS: dict[str, Endpoint] = {
    "volume_reduction": Endpoint("largest shrinkage of the tumour from baseline", "1", "number", True, _shrinkage),
    "response": Endpoint("objective response", "1", "share", True, _responses("CR", "PR")),
    "complete_response": Endpoint("complete response", "1", "share", True, _responses("CR")),
    "cure": Endpoint("cure", "1", "share", True, _column("cure_probability")),
    "disease_free": Endpoint("no detectable tumour at the end", "1", "share", True, _column("disease_free")),
    "survival": Endpoint("survival", "d", "time", True, _column("survival")),
    "died": Endpoint("death within follow-up", "1", "share", False, _column("died")),
    "severe_toxicity": Endpoint(
        "systemic toxicity of grade 3 or more", "1", "share", False, _from_grade("systemic_grade", 3)
    ),
    "moderate_toxicity": Endpoint(
        "systemic toxicity of grade 2 or more", "1", "share", False, _from_grade("systemic_grade", 2)
    ),
    "site_reaction": Endpoint(
        "injection-site reaction of grade 3 or more", "1", "share", False, _from_grade("injection_site_grade", 3)
    ),
    "tumour_exposure": Endpoint(
        "area under the IL-2 curve in the tumour", "nM h", "number", True, _column("il2_auc_tumour")
    ),
    "plasma_peak": Endpoint("peak of IL-2 in plasma", "nM", "number", False, _column("il2_peak_plasma")),
    "bioavailability": Endpoint("share of the dose that reaches plasma", "1", "number", False, _column("bioavailability")),
    "necrosis": Endpoint("largest necrotic share of the tumour", "1", "number", True, _or_none("necrotic_fraction_peak")),
    "oedema": Endpoint("largest oedema share of the tumour", "1", "number", False, _or_none("oedema_fraction_peak")),
    "oxygen": Endpoint("lowest oxygen pressure of living cells", "mmHg", "number", False, _column("viable_pO2_min")),
}
"""Name → end point. Cure is each subject's own extinction probability: the mean is the expected share of cures."""


def endpoint(name: str, place: str = "--outcome") -> Endpoint:
    """The end point of a name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in ENDPOINTS:
        raise InputError(place, f"there is no outcome '{name}'", suggest(name, ENDPOINTS))
    return ENDPOINTS[name]


def read_endpoints(experiment: Experiment, run: ArmRun, names: Iterable[str]) -> dict[str, Array]:
    """End points of every subject of one simulated arm.

    Parameters
    ----------
    experiment
        What was run: its protocol, and the criteria of its host.
    run
        One arm.
    names
        Of `ENDPOINTS`.

    Returns
    -------
    dict
        Name → values, shape (subjects,).
    """
    table = subject_table(experiment, run)
    return {name: ENDPOINTS[name].read(table) for name in names}


def subject_table(experiment: Experiment, run: ArmRun) -> pd.DataFrame:
    """A row per subject of one simulated arm (columns: `results.schema.SUBJECTS`)."""
    criteria = str(experiment.host_entry.meta.get("criteria", "caliper"))
    result = Result({"criteria": criteria, "experiment": experiment.name}, experiment.protocol, {run.arm: run})
    return assess(result).subjects
