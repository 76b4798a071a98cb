"""What happens in a treated host, in which order and when: from the first dose to the tumour's end.

A link of the chain of causes counts as reached when a quantity has made half of the largest change that treatment
brings about in it. Treatment's part is the difference from the same host in a control arm, where there is one, else
from the moment before the first dose; changes too small to matter (`Link.least`) are not reached at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locokine.engine.run import ArmRun
from locokine.engine.variables import BODY, LESION
from locokine.outcome.survival import event_times

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
_LESION = {item.name: i for i, item in enumerate(LESION)}
_BODY = {item.name: i for i, item in enumerate(BODY)}


class Link(NamedTuple):
    """One link of the chain.

    Attributes
    ----------
    words
        What happens.
    read
        From a run to values over time, shape (times, subjects).
    sign
        1 if the quantity rises, -1 if it falls.
    least
        Smallest change that counts (assumed: about a tenth of what a full response moves).
    fold
        Whether `least` is a factor over the control rather than a difference: for numbers of cells.
    local
        Whether it is a property of the tumour, which means nothing once that has (nearly) gone.
    """

    words: str
    read: Callable[[ArmRun], Array]
    sign: float
    least: float
    fold: bool = False
    local: bool = True


def _mean(name: str) -> Callable[[ArmRun], Array]:
    """Mean over the lesions that exist."""

    def read(run: ArmRun) -> Array:
        values = run.series_lesion[_LESION[name]]
        known = ~np.isnan(values)
        total = np.where(known, values, 0.0).sum(axis=0)
        return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)

    return read


def _sum(name: str) -> Callable[[ArmRun], Array]:
    return lambda run: run.series_lesion[_LESION[name]].sum(axis=0)


def _body(name: str) -> Callable[[ArmRun], Array]:
    return lambda run: run.series_body[_BODY[name]]


LINKS: dict[str, Link] = {
    "leak": Link("vessels leak", _mean("leak"), 1.0, 0.1),
    "oedema": Link("oedema", _mean("oedema_fraction"), 1.0, 0.05),
    "perfusion": Link("blood flow falls", _mean("perfusion"), -1.0, 0.1),
    "oxygen": Link("oxygen falls", _mean("viable_pO2"), -1.0, 2.0),
    "starving": Link("tumour cells starve", _sum("deaths_starved"), 1.0, 1.25, True, False),
    "dendritic": Link("dendritic cells in the node", _body("node_dendritic"), 1.0, 1.25, True, False),
    "t_dividing": Link("T cells divide in the node", _body("node_proliferating"), 1.0, 1.25, True, False),
    "t_armed": Link("armed T cells in the tumour", _sum("t_competent"), 1.0, 1.25, True, False),
    "interferon": Link("interferon holds growth and vessels", _mean("interferon"), 1.0, 0.1),
    "t_killing": Link("T cells kill", _sum("deaths_t"), 1.0, 1.25, True, False),
}
"""The chain as the blueprint tells it; what really comes first is read from the runs."""
HALVED, CLEARED = "half of the tumour cells gone", "last tumour cell gone"
"""Two last links: living tumour cells, and the engine's own event."""
NEARLY_GONE = 0.01
"""Share of the living cells at the first dose below which shares of the tumour mean nothing."""


def chronology(run: ArmRun, control: ArmRun | None, start: float) -> pd.DataFrame:
    """When each link was reached, for the subjects whose full series are kept.

    Times between two stored values (every 4 h) are interpolated: what happens within the first of them is only known to
    have happened by then.

    Parameters
    ----------
    run
        The treated arm.
    control
        The same subjects without treatment; None compares with the moment before the first dose.
    start
        Time of the first dose, h.

    Returns
    -------
    pandas.DataFrame
        A row per subject and link: subject, link (key of `LINKS`, "halved" or "cleared"), what, hours (after the first
        dose; nan if not reached).
    """
    import pandas as pd

    at = max(int(np.searchsorted(run.series_time, start + 1e-6) - 1), 0)
    times = run.series_time[at:] - start
    cells = _sum("viable_cells")(run)[at:]
    there = np.nan_to_num(cells) > NEARLY_GONE * np.nan_to_num(cells[0])
    rows = []
    for key, link in LINKS.items():
        values = link.read(run)[at:]
        if link.local:
            values = np.where(np.logical_and.accumulate(there, axis=0), values, np.nan)
        other = np.broadcast_to(values[0], values.shape) if control is None else _held(link.read(control)[at:])
        change = link.sign * ((values - values[0]) - (other - other[0]))
        large = _fold(values, other) >= link.least if link.fold else np.nan_to_num(change, nan=-np.inf).max(axis=0) >= link.least
        hours = np.where(large, half_reached(change, times), np.nan)
        rows += [(int(s), key, link.words, h) for s, h in zip(run.subject_ids, hours, strict=False)]
    gone = event_times(run, ("cured",))[0][:run.detailed] - start
    for key, words, hours in (("halved", HALVED, halved(cells, times)), ("cleared", CLEARED, gone)):
        rows += [(int(s), key, words, h) for s, h in zip(run.subject_ids, hours, strict=False)]
    return pd.DataFrame(rows, columns=["subject", "link", "what", "hours"])


def _held(values: Array) -> Array:
    """Values where the dead keep their last one."""
    held = np.array(values)
    for i in range(1, len(held)):
        held[i] = np.where(np.isnan(held[i]), held[i - 1], held[i])
    return held


def _fold(values: Array, other: Array) -> Array:
    """Largest ratio to the control over time, of counts (one more than each, so that none over none is 1)."""
    return np.nan_to_num((1.0 + np.maximum(values, 0.0)) / (1.0 + np.maximum(other, 0.0))).max(axis=0, initial=0.0)


def half_reached(change: Array, times: Array) -> Array:
    """Time at which each column first makes half of its largest value (linear between times); nan if it never rises.

    Parameters
    ----------
    change
        Shape (times, subjects); nan after death.
    times
        Shape (times,), h.
    """
    change = np.nan_to_num(change, nan=-np.inf)
    top = change.max(axis=0, initial=-np.inf)
    return _crossing(change, times, np.where(top > 0.0, top / 2.0, np.inf))


def halved(values: Array, times: Array) -> Array:
    """Time at which each column first falls to half of its first value (linear between times); nan if never."""
    share = np.divide(values, values[0], out=np.full_like(values, np.nan), where=values[0] > 0.0)
    return _crossing(np.nan_to_num(1.0 - share, nan=-np.inf), times, np.full(values.shape[1], 0.5))


def _crossing(rising: Array, times: Array, level: Array) -> Array:
    reached = rising >= level
    place = reached.argmax(axis=0)
    column = np.arange(rising.shape[1])
    before = np.maximum(place - 1, 0)
    low, high = rising[before, column], rising[place, column]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(high > low, (level - low) / (high - low), 1.0)
    part = np.where(np.isfinite(low), np.clip(part, 0.0, 1.0), 1.0)
    found = times[before] + part * (times[place] - times[before])
    return np.where(reached.any(axis=0), found, np.nan)


def order_table(events: pd.DataFrame) -> pd.DataFrame:
    """Links in the order of their median time: how many subjects reached each, when, and how sure the order is.

    Columns: link, what, reached (share of subjects), median, low and high (quartiles, h after the first dose), after
    (share of the subjects with both in which it comes after the link of the row above).
    """
    import pandas as pd

    words = dict(zip(events["link"], events["what"], strict=True))
    times = {
        str(key): part.sort_values("subject")["hours"].to_numpy(dtype=np.float64)
        for key, part in events.groupby("link", sort=False)
    }
    medians = {key: float(np.median(hours[~np.isnan(hours)])) if (~np.isnan(hours)).any() else np.nan
               for key, hours in times.items()}
    order = sorted(medians, key=lambda key: (np.isnan(medians[key]), medians[key]))
    rows, above = [], None
    for key in order:
        hours = times[key]
        after = np.nan
        if above is not None:
            both = ~np.isnan(hours) & ~np.isnan(times[above])
            after = float((hours[both] >= times[above][both]).mean()) if both.any() else np.nan
        known = hours[~np.isnan(hours)]
        low, median, high = np.quantile(known, (0.25, 0.5, 0.75)) if len(known) else (np.nan,) * 3
        rows.append((key, words[key], len(known) / max(len(hours), 1), float(median), float(low), float(high), after))
        above = key
    return pd.DataFrame(rows, columns=["link", "what", "reached", "median", "low", "high", "after"])
