"""Whether a simulated arm holds numbers: a state that left them is an error, never a result of zeros."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from locokine.engine.run import ArmRun
from locokine.engine.variables import BODY, DEATHS, LESION
from locokine.errors import InputError
from locokine.outcome.survival import event_times


def check_finite(run: ArmRun) -> None:
    """Check the daily values of an arm: all are finite as long as their host lives, those of a lesion from its implantation on.

    Raises
    ------
    InputError
        With arm, subject, day and quantity of the first value that is no number.
    """
    died, _ = event_times(run, DEATHS)
    alive = ~(run.daily_time[:, None] >= died[None, :])  # nan: never
    body = ~np.isfinite(run.daily_body) & alive
    lesion = ~np.isfinite(run.daily_lesion) & ~_awaited(run) & alive
    broken = body.any(axis=0) | lesion.any(axis=(0, 1))
    if not broken.any():
        return
    day, column = (int(index) for index in np.argwhere(broken)[0])
    wrong = np.concatenate([lesion[:, :, day, column].any(axis=1), body[:, day, column]])
    names = [(*LESION, *BODY)[index].name for index in np.flatnonzero(wrong)]
    raise InputError(
        f"arm {run.arm}, subject {int(run.subject_ids[column])}, day {run.daily_time[day] / 24.0:g}",
        f"the simulation left the numbers ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})",
        "a parameter or dose is beyond what the model can simulate: look at what was changed last",
    )


def _awaited(run: ArmRun) -> NDArray[np.bool_]:
    """Which lesions are still to be implanted, shape (lesions, days, subjects): from day 0 on no cell, and no other value."""
    cells = [variable.name for variable in LESION].index("viable_cells")
    nothing = np.isnan(np.delete(run.daily_lesion, cells, axis=0)).all(axis=0) & (run.daily_lesion[cells] == 0.0)
    return np.logical_and.accumulate(nothing, axis=1)
