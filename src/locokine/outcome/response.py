"""Tumour response as it would be read at visits: RECIST 1.1 for patients, caliper volume for animals.

Patients follow Eisenhauer et al. 2009 (RECIST 1.1): sums of longest diameters of target lesions, non-target and new
lesions, nadir, confirmation. Where RECIST leaves a judgement to the reader ("unequivocal", "disappeared"), the number
that stands for it here is a field of `Criteria` and marked assumed.

Animals are measured three times a week: complete response (CR) = nothing palpable (< 2 mm) at three consecutive visits,
partial response (PR) = at least 50 % smaller than at baseline, progression (PD) = more than 25 % over the nadir. In
animals a later response counts although swelling looked like progression before; in patients nothing counts after
progression. Swelling that looks like progression while viable cells fall is reported as pseudoprogression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locokine.engine.run import ArmRun
from locokine.engine.variables import LESION
from locokine.errors import InputError
from locokine.scenario.protocol import CAVITIES, Protocol

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

CODES = ("CR", "PR", "SD", "PD", "NE")
"""Response categories, best first; their place is their code."""
CR, PR, SD, PD, NE = range(5)
BASELINE = 5
STATUS = (*CODES, "baseline")
ROUND = 1e-9
"""Relative allowance for rounding, so that a change of exactly the threshold counts as reaching it."""

_LESION = {item.name: i for i, item in enumerate(LESION)}


@dataclass(frozen=True)
class Criteria:
    """What is measured when, and where the limits of the categories lie.

    Attributes
    ----------
    kind
        "recist" (patients) or "caliper" (animals).
    detectable
        Smallest diameter that is felt or seen, mm (animals: definition; patients: assumed).
    ascites
        Smallest volume of a fluid cavity that is seen, mm³ (assumed: 0.5 mL in a mouse; 100 mL by ultrasound in man).
    visit_days
        Days of visits after baseline within one `visit_period` (d).
    animal_pr, animal_pd, animal_visits
        Shrinkage for PR, growth over nadir for PD, consecutive visits without tumour for CR.
    recist_interval
        Days between visits (6 weeks).
    recist_pr, recist_pd, recist_pd_mm
        Shrinkage for PR; growth over nadir, and its smallest absolute size in mm, for PD.
    recist_measurable, recist_targets, recist_per_organ
        Smallest diameter of a target lesion (mm); targets in all and per organ (here: per site).
    recist_new
        Diameter from which a new lesion is unequivocal, mm (assumed).
    recist_confirm
        Days after which a response is confirmed (4 weeks).
    """

    kind: Literal["recist", "caliper"] = "caliper"
    detectable: float = 2.0
    ascites: float = 500.0
    visit_days: tuple[float, ...] = (2.0, 4.0, 7.0)
    visit_period: float = 7.0
    animal_pr: float = 0.50
    animal_pd: float = 0.25
    animal_visits: int = 3
    recist_interval: float = 42.0
    recist_pr: float = 0.30
    recist_pd: float = 0.20
    recist_pd_mm: float = 5.0
    recist_measurable: float = 10.0
    recist_targets: int = 5
    recist_per_organ: int = 2
    recist_new: float = 5.0
    recist_confirm: float = 28.0

    @classmethod
    def of(cls, kind: str) -> Criteria:
        """The usual criteria of "recist" or "caliper".

        Raises
        ------
        InputError
            For any other word.
        """
        if kind == "recist":
            return cls(kind="recist", ascites=100_000.0)
        if kind == "caliper":
            return cls()
        raise InputError(
            "criteria", f"unknown response criteria {kind!r}", "write recist or caliper in the meta data of the host"
        )


class Assessment(NamedTuple):
    """Response of each subject. Axes: V visits (the first is baseline), S subjects.

    `status` (V, S) codes of `STATUS`; `burden` (V, S) in mm³ or mm, nan after death; `best`, `confirmed` (S,) codes;
    `counted` (V, S) visits that count for the best response; `false_progression` (V, S) progression with fewer viable
    cells than at the nadir.
    """

    status: NDArray[np.int8]
    burden: Array
    best: NDArray[np.int8]
    confirmed: NDArray[np.int8]
    counted: Bools
    false_progression: Bools


# ---------------------------------------------------------------------- visits and measurements
def diameter(volume: Array | float) -> Array:
    """Diameter in mm of the sphere of `volume` mm³ (a volume of nan counts as none)."""
    return np.cbrt(np.nan_to_num(np.asarray(volume, dtype=np.float64)) * 6.0 / pi)


def sphere(diameter_mm: float) -> float:
    """Volume in mm³ of a sphere of this diameter."""
    return pi / 6.0 * diameter_mm**3


def baseline_day(protocol: Protocol, arm: str) -> float:
    """Day of the baseline visit: the arm's first dose; untreated: the earliest dose of any arm, else implantation.

    A day value is that of the moment before a dose given at the same time.
    """
    own = [time for item in protocol.arms if item.name == arm for time in item.times]
    every = own or [time for item in protocol.arms for time in item.times]
    if every:
        return float(np.floor(min(every) / 24.0 + ROUND))
    return float(np.floor(min((lesion.day for lesion in protocol.lesions), default=0.0)))


def visit_days(baseline: float, follow_up: float, criteria: Criteria) -> Array:
    """Days of all visits until `follow_up` (days), the baseline visit first."""
    if criteria.kind == "recist":
        count = int(max(follow_up - baseline, 0.0) / criteria.recist_interval + ROUND)
        return baseline + criteria.recist_interval * np.arange(count + 1, dtype=np.float64)
    weeks = np.arange(int(max(follow_up - baseline, 0.0) / criteria.visit_period) + 1) * criteria.visit_period
    later = (weeks[:, None] + np.asarray(criteria.visit_days)).ravel()
    days = baseline + np.concatenate([[0.0], later])
    return days[days <= follow_up + ROUND]


def day_index(run: ArmRun, days: Array | float) -> NDArray[np.int64]:
    """Index of the last day value at or before each of `days`."""
    found = np.searchsorted(run.daily_time, np.asarray(days) * 24.0 + 1e-6, side="right") - 1
    return np.clip(found, 0, len(run.daily_time) - 1)


def alive(run: ArmRun, at: NDArray[np.int64]) -> Bools:
    """Whether hosts live at these day indices; shape (len(at), subjects). Values after death are nan."""
    return ~np.isnan(run.daily_body[0, at, :])


def sites_of(protocol: Protocol, lesions: Sequence[str]) -> tuple[str, ...]:
    """Site of each lesion; subcutis for one that the protocol does not name (a challenge)."""
    known = {plan.name: str(plan.site) for plan in protocol.lesions}
    return tuple(known.get(name, "subcutis") for name in lesions)


def injected_lesions(protocol: Protocol, arm: str) -> frozenset[str]:
    """Lesions of an arm that are injected, irradiated or cut, or lie in the cavity that is injected."""
    found: set[str] = set()
    for item in protocol.arms:
        if item.name == arm:
            for dose in item.doses:
                found.update(dose.lesions)
                if dose.route == "intraperitoneal":
                    found.update(plan.name for plan in protocol.lesions if plan.site == "peritoneum")
                elif dose.route == "intracavitary":
                    found.update(plan.name for plan in protocol.lesions if plan.site in CAVITIES)
            for act in item.acts:
                found.update(act.lesions)
    return frozenset(found)


def measure(run: ArmRun, sites: Sequence[str], at: NDArray[np.int64], criteria: Criteria) -> Array:
    """What is felt or seen of each lesion: shape (lesions, len(at), subjects); 0 below detection, nan after death.

    Animals: caliper volume in mm³. Patients: longest diameter in mm, of the swollen lesion under the skin and of the
    tumour itself in the viscera (imaging tells it from oedema around it).
    """
    sizes = np.empty((len(sites), len(at), run.subjects))
    for i, site in enumerate(sites):
        name = "tumour_volume" if criteria.kind == "recist" and site == "viscera" else "caliper_volume"
        volume = np.nan_to_num(run.daily_lesion[_LESION[name], i, at, :])
        if site in CAVITIES:
            seen = volume >= criteria.ascites
        else:
            seen = diameter(volume) >= criteria.detectable * (1.0 - ROUND)
        size = volume if criteria.kind == "caliper" else diameter(volume)
        sizes[i] = np.where(seen, size, 0.0)
    sizes[:, ~alive(run, at)] = np.nan
    return sizes


def viable_cells(run: ArmRun, at: NDArray[np.int64], lesions: Sequence[int] | None = None) -> Array:
    """Living tumour cells, sum over lesions; shape (len(at), subjects), nan after death."""
    chosen = list(range(len(run.lesions))) if lesions is None else list(lesions)
    cells = np.nansum(run.daily_lesion[_LESION["viable_cells"]][chosen][:, at, :], axis=0)
    return np.where(alive(run, at), cells, np.nan)


# ---------------------------------------------------------------------- animals
def caliper_response(sizes: Array, viable: Array, criteria: Criteria) -> Assessment:
    """Response by caliper volume.

    Parameters
    ----------
    sizes
        Shape (lesions, V, S), mm³; the first visit is the baseline; 0 not palpable, nan after death.
    viable
        Shape (V, S), living tumour cells.
    """
    burden = sizes.sum(axis=0)
    visits, subjects = burden.shape
    status = np.full((visits, subjects), NE, dtype=np.int8)
    status[0] = np.where(np.isnan(burden[0]), NE, BASELINE)
    false = np.zeros((visits, subjects), dtype=bool)
    base = burden[0]
    floor = sphere(criteria.detectable)  # regrowth from nothing is judged against the smallest palpable tumour
    nadir, cells_at_nadir = base.copy(), viable[0].copy()
    without = np.zeros(subjects, dtype=np.int64)
    for v in range(1, visits):
        now = burden[v]
        seen = ~np.isnan(now)
        without = np.where(seen & (now == 0.0), without + 1, 0)
        grown = now > (1.0 + criteria.animal_pd) * np.maximum(nadir, floor) * (1.0 + ROUND)
        shrunk = (base > 0.0) & (now <= (1.0 - criteria.animal_pr) * base * (1.0 + ROUND))
        gone = (base > 0.0) & (without >= criteria.animal_visits)
        judged = np.where(gone, CR, np.where(grown, PD, np.where(shrunk, PR, np.where(base > 0.0, SD, NE))))
        status[v] = np.where(seen, judged, NE)
        false[v] = seen & grown & (viable[v] < cells_at_nadir)
        lower = seen & (now < nadir)
        nadir = np.where(lower, now, nadir)
        cells_at_nadir = np.where(lower, viable[v], cells_at_nadir)
    counted = np.ones((visits, subjects), dtype=bool)
    counted[0] = False
    # an animal that progressed and never responded is progressive, however stable it was before
    best = np.select(
        [(status == code).any(axis=0) for code in (CR, PR, PD, SD)], [CR, PR, PD, SD], default=NE
    ).astype(np.int8)
    return Assessment(status, burden, best, best.copy(), counted, false)


# ---------------------------------------------------------------------- patients
def choose_targets(base: Array, sites: Sequence[str], criteria: Criteria) -> Bools:
    """Target lesions: the largest measurable ones, at most so many in all and per site.

    `base` are diameters at baseline, shape (lesions, S); returns the same shape.
    """
    lesions, subjects = base.shape
    chosen = np.zeros((lesions, subjects), dtype=bool)
    organs = sorted(set(sites))
    organ = np.array([organs.index(site) for site in sites], dtype=np.int64)
    taken = np.zeros((max(len(organs), 1), subjects), dtype=np.int64)
    order = np.argsort(-base, axis=0, kind="stable")
    everyone = np.arange(subjects)
    for rank in range(lesions):
        lesion = order[rank]
        group = organ[lesion]
        fits = (
            (base[lesion, everyone] >= criteria.recist_measurable * (1.0 - ROUND))
            & (taken.sum(axis=0) < criteria.recist_targets)
            & (taken[group, everyone] < criteria.recist_per_organ)
            & np.array([sites[i] not in CAVITIES for i in lesion], dtype=bool)  # effusions are not measurable
        )
        chosen[lesion, everyone] = fits
        taken[group, everyone] += fits
    return chosen


def recist_response(
    sizes: Array, viable: Array, days: Array, sites: Sequence[str], criteria: Criteria
) -> Assessment:
    """Response by RECIST 1.1.

    Parameters
    ----------
    sizes
        Shape (lesions, V, S), longest diameters in mm; the first visit is the baseline; 0 not seen, nan after death.
    viable
        Shape (V, S), living tumour cells.
    days
        Shape (V,), days of the visits (for confirmation).
    sites
        Site of each lesion; RECIST's organs.
    """
    base = np.nan_to_num(sizes[:, 0])
    target = choose_targets(base, sites, criteria)
    present, fresh = base > 0.0, base == 0.0
    measured = np.where(target[:, None], sizes, 0.0).sum(axis=0)
    other = np.where((present & ~target)[:, None], sizes, 0.0).sum(axis=0)
    large = np.nan_to_num(sizes) >= criteria.recist_new * (1.0 - ROUND)
    new: Bools = np.any(fresh[:, None] & large, axis=0)
    dead: Bools = np.any(np.isnan(sizes), axis=0)
    burden = np.where(dead, np.nan, measured)
    visits, subjects = burden.shape
    status = np.full((visits, subjects), NE, dtype=np.int8)
    status[0] = np.where(dead[0], NE, BASELINE)
    false = np.zeros((visits, subjects), dtype=bool)
    nadir, other_nadir, cells_at_nadir = measured[0].copy(), other[0].copy(), viable[0].copy()
    has_target, has_any = target.any(axis=0), present.any(axis=0)
    for v in range(1, visits):
        seen = ~dead[v]
        grown = _recist_growth(measured[v], nadir, criteria) | _recist_growth(other[v], other_nadir, criteria) | new[v]
        gone = has_any & (measured[v] == 0.0) & (other[v] == 0.0)
        shrunk = has_target & (measured[v] <= (1.0 - criteria.recist_pr) * measured[0] * (1.0 + ROUND))
        judged = np.where(grown, PD, np.where(gone, CR, np.where(shrunk, PR, np.where(has_any, SD, NE))))
        status[v] = np.where(seen, judged, NE)
        false[v] = seen & grown & (viable[v] < cells_at_nadir)
        lower = seen & (measured[v] < nadir)
        nadir = np.where(lower, measured[v], nadir)
        cells_at_nadir = np.where(lower, viable[v], cells_at_nadir)
        other_nadir = np.where(seen, np.minimum(other[v], other_nadir), other_nadir)
    counted = ~np.logical_or.accumulate(status == PD, axis=0)
    counted[0] = False
    confirmed = _confirmed(status, counted, days, criteria)
    return Assessment(status, burden, _best(status, counted), confirmed, counted, false)


def _recist_growth(now: Array, nadir: Array, criteria: Criteria) -> Bools:
    relative = now >= (1.0 + criteria.recist_pd) * nadir * (1.0 - ROUND)
    return relative & (now - nadir >= criteria.recist_pd_mm * (1.0 - ROUND))


def _best(status: NDArray[np.int8], counted: Bools) -> NDArray[np.int8]:
    """Best of the visits before progression; PD if there is only that; NE without a visit."""
    before = [((status == code) & counted).any(axis=0) for code in (CR, PR, SD)]
    return np.select([*before, (status == PD).any(axis=0)], [CR, PR, SD, PD], default=NE).astype(np.int8)


def _confirmed(status: NDArray[np.int8], counted: Bools, days: Array, criteria: Criteria) -> NDArray[np.int8]:
    """As `_best`, where CR and PR count only if the next visit at least 4 weeks later shows (at least) the same."""
    visits, subjects = status.shape
    complete, partial = np.zeros(subjects, dtype=bool), np.zeros(subjects, dtype=bool)
    for v in range(1, visits):
        later = np.flatnonzero(days >= days[v] + criteria.recist_confirm * (1.0 - ROUND))
        if not len(later):
            break
        then = later[0]
        lasts = counted[v] & counted[then]
        complete |= lasts & (status[v] == CR) & (status[then] == CR)
        partial |= lasts & (status[v] <= PR) & (status[then] <= PR)
    stable = ((status <= SD) & counted).any(axis=0)
    progressed = (status == PD).any(axis=0)
    return np.select([complete, partial, stable, progressed], [CR, PR, SD, PD], default=NE).astype(np.int8)


def respond(sizes: Array, viable: Array, days: Array, sites: Sequence[str], criteria: Criteria) -> Assessment:
    """Response by the criteria's kind; see `caliper_response` and `recist_response`."""
    if criteria.kind == "recist":
        return recist_response(sizes, viable, days, sites, criteria)
    return caliper_response(sizes, viable, criteria)
