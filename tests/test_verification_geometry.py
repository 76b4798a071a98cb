"""Geometries against each other, steps and meshes against finer ones, and the engine against a stiff solver."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from locokine.engine.grid import Accuracy
from locokine.engine.run import ArmRun
from reference import ASCITES, COURSE, FLANK, LESION_AT, SKIN, WIDTH, Opened, differing, experiment, open_run, simulate
from solutions import Stiff

LOCAL = {"it": [COURSE.format(route="intratumoural")]}
SYSTEMIC = {"iv": [COURSE.format(route="intravenous")]}


BOUND = 0.01
"""What the project asks of step and mesh."""


def test_one_shell_is_the_well_mixed_lesion() -> None:
    """One shell and a rim are the same arrays as the well-mixed geometry: every bit."""
    mixed = simulate(experiment(LOCAL, follow_up="20 days"))
    one = simulate(experiment(LOCAL, follow_up="20 days", geometry="shells", shells=1, rim_shells=1))
    assert differing(mixed, one) == []


def _closed(made: Any, n: int) -> Opened:
    """A run in which nothing crosses a face: conductivities and diffusivities of the tissue are nil."""

    def shut(block: Any) -> None:
        from locokine.tissue import layout

        rows = block.host.reshape(-1, WIDTH)
        for name in ("tumour_conductivity", "normal_conductivity"):
            rows[layout.Host._fields.index(name)] = 1e-300
        block.agent_arrays[:, :2] = 1e-300

    return open_run(made, chance=False, change=shut)


@pytest.mark.parametrize("shells", [2, 5])
def test_uniform_shells_without_flux_are_the_well_mixed_lesion(shells: int) -> None:
    """n equal shells that exchange nothing, started alike and dosed through the blood, add up to the one shell: 1e-6.

    Every law is per volume or per cell, so the sums agree to rounding that grows with the tumour; 1e-6 leaves the
    treatment course room to amplify 1e-13 a million times.
    """
    one = _closed(experiment(SYSTEMIC, follow_up="20 days", subjects=16), 1)
    many = _closed(
        experiment(SYSTEMIC, follow_up="20 days", subjects=16, geometry="shells", shells=shells, rim_shells=1), shells
    )
    for name in (
        "tumour_volume",
        "viable_cells",
        "fluid_volume",
        "il2",
        "necrotic_fraction",
        "perfusion",
        "t_specific",
        "vessel_density",
        "protein",
        "hypoxic_fraction",
    ):
        a, b = one.lesion(name)[0], many.lesion(name)[0]
        seen = np.isfinite(a) & np.isfinite(b)
        assert seen.mean() > 0.5
        scale = np.abs(a[seen]).max()
        np.testing.assert_allclose(b[seen], a[seen], rtol=1e-6, atol=1e-9 * scale, err_msg=name)


def test_shells_approach_the_well_mixed_lesion_as_transport_gets_fast() -> None:
    """With D and K a thousandfold a small lesion of shells is stirred: IL-2 and volume within 1 % on day 12.

    What is left is the exchange with the rim, which a single shell sees through its mean.
    """
    runs = []
    for extra in ({"geometry": "well-mixed"}, {"geometry": "shells", "shells": 6, "rim_shells": 1}):
        made = experiment(SYSTEMIC, follow_up="16 days", subjects=16, **extra)

        def stir(block: Any) -> None:
            from locokine.tissue import layout

            rows = block.host.reshape(-1, WIDTH)
            rows[layout.Host._fields.index("tumour_conductivity")] *= 1e3
            block.agent_arrays[:, 0] *= 1e3

        runs.append(open_run(made, chance=False, change=stir))
    mixed, shells = runs
    at = np.searchsorted(mixed.time, 12.0 * 24.0)
    for name in ("tumour_volume", "il2"):
        a, b = mixed.lesion(name)[0, at], shells.lesion(name)[0, at]
        assert np.isfinite(a - b).sum() > 4
        assert np.nanmedian(np.abs(b / a - 1.0)) < 0.01, name


# --- finer steps and meshes ------------------------------------------------------------------------------------------


def difference(coarse: Opened, fine: Opened, until: float) -> dict[str, float]:
    """Largest relative differences up to `until` h: volume and IL-2 AUC; necrotic fraction absolute.

    Medians over the sixteen hosts: cure and no cure part on a ridge, and one host beside it says nothing about steps.
    """
    at = coarse.time <= until + 1e-6
    made = {}
    for name in ("tumour_volume", "caliper_volume", "necrotic_fraction"):
        i = LESION_AT[name]
        a, b = coarse.series_lesion[i, 0][at], fine.series_lesion[i, 0][at]
        both = np.isfinite(a) & np.isfinite(b)
        error = np.where(both, np.abs(a - b), 0.0)
        if name != "necrotic_fraction":
            error = error / np.where(both, b, 1.0)
        made[name] = float(np.median(error.max(axis=0)))
    made["il2_auc"] = float(np.median(np.abs(coarse.exposure("tumour")[1] / fine.exposure("tumour")[1] - 1.0)))
    return made


STAY = {"endpoint_burden": "1e9 mm3"}
"""Nobody is taken out: that happens at a grid point, and when it does is no error of what is integrated (a tumour that
grows by 3 % per h has 2 % less area if its host leaves 40 min earlier)."""
CASES: dict[str, dict[str, Any]] = {
    "untreated": {"arms": {"untreated": []}, "overrides": STAY},
    "intratumoural": {"arms": LOCAL, "overrides": STAY},
    "intravenous": {"arms": SYSTEMIC, "overrides": STAY},
}


@pytest.mark.parametrize("case", list(CASES))
def test_four_times_finer_steps_and_shells(case: str) -> None:
    """Volume, IL-2 AUC and necrotic fraction within 1 % of a four times finer mesh and step, until the last dose + 2 d."""
    made = {"follow_up": "16 days", "subjects": 16, "geometry": "shells", **CASES[case]}
    coarse = open_run(experiment(**made), chance=False)
    fine = open_run(experiment(shells=64, rim_shells=32, **made), accuracy=Accuracy().finer(4.0), chance=False)
    found = difference(coarse, fine, 384.0)
    assert max(found.values()) < BOUND, found


@pytest.mark.parametrize("case", list(CASES))
def test_four_times_finer_steps_well_mixed(case: str) -> None:
    """The same for the step alone."""
    made = experiment(follow_up="16 days", subjects=16, **CASES[case])
    found = difference(
        open_run(made, chance=False), open_run(made, accuracy=Accuracy().finer(4.0), chance=False), 384.0
    )
    assert max(found.values()) < BOUND, found


SLOW: dict[str, dict[str, Any]] = {
    "mouse": {
        "host": "c57bl6_mouse", "lesions": {"flank": {"line": "b16", "site": "subcutis", "cells": "1e6 cells", "day": 0}},
        "follow_up": "30 days", "overrides": STAY,
    },
    "patient": {"host": "human", "lesions": {"skin": {**SKIN["skin"], "count": 1}}, "follow_up": "60 days"},
}


@pytest.mark.parametrize("case", list(SLOW))
def test_long_steps_do_not_swing(case: str) -> None:
    """Slow lines take steps of 2 and 4 h: no one of sixteen hosts has a volume more than 1 % from that of steps four times finer.

    With flow that answers to the pressure of the beginning of a step some swing, and single hosts are 10 % and more off.
    """
    made = experiment(subjects=16, **SLOW[case])
    runs = [open_run(made, accuracy=accuracy, chance=False) for accuracy in (Accuracy(), Accuracy().finer(4.0))]
    assert runs[0].setting.plan.step.max() == pytest.approx({"mouse": 2.0, "patient": 4.0}[case])
    a, b = (run.lesion("tumour_volume")[0] for run in runs)
    seen = np.isfinite(a) & np.isfinite(b)
    assert seen.mean() > 0.9
    assert np.abs(a[seen] / b[seen] - 1.0).max() < BOUND


SMALL = ("2e4 cells", "1e6 cells")
"""Inocula of SL2 that begin below a cubic millimetre."""
WHOLE = ("tumour_volume", "caliper_volume", "viable_cells")


def every_host(cells: str) -> tuple[ArmRun, dict[str, dict[str, float]]]:
    """Untreated mice with shells until day 10: the run, and what is coarse → variable → largest error of all 32 on all days."""
    lesions = {"flank": {**FLANK["flank"], "cells": cells}}
    made = {"lesions": lesions, "geometry": "shells", "subjects": 32, "follow_up": "10 days"}
    coarse = simulate(experiment(**made))
    fine = {
        "step": simulate(experiment(**made), accuracy=Accuracy().finer(4.0)),
        "mesh": simulate(experiment(shells=32, rim_shells=16, **made)),
    }
    return coarse, {
        what: {
            name: float(np.abs(coarse.daily_lesion[at, 0] / run.daily_lesion[at, 0] - 1.0).max())
            for name, at in ((name, LESION_AT[name]) for name in WHOLE)
        }
        for what, run in fine.items()
    }


@pytest.mark.parametrize("cells", SMALL)
def test_small_tumours_do_not_swing(cells: str) -> None:
    """No one of 32 mice has a tumour volume more than 1 % from that of steps four times, or of a mesh twice, finer, on any day.

    A tumour of a cubic millimetre is at the pressure of the tissue around it. While nothing held its last fluid it was squeezed
    empty, its flows were cut to what was left, and every step drew what the one before had let in: medians were right, and
    single hosts up to 70 % off.
    """
    coarse, errors = every_host(cells)
    assert max(max(found.values()) for found in errors.values()) < BOUND, errors
    swing = np.abs(np.diff(coarse.series_lesion[LESION_AT["rim_oedema"], 0], 2, axis=0))[6:]  # the first day settles
    assert swing.max() < 0.005  # strain of the innermost rim, in which it showed first: 0.02 to 1 before


def test_nk_cells_of_a_tumour_that_clears_the_blood() -> None:
    """A tumour of cubic centimetres clears its host's blood within a step: its NK cells are within 1 % all the same.

    Until day 13, when it has 3 cm³; not limited by what blood holds at the beginning of a step, but with what enters.
    """
    made = experiment(follow_up="13 days", subjects=16, **CASES["untreated"])
    coarse, fine = (open_run(made, accuracy=a, chance=False) for a in (Accuracy(), Accuracy().finer(4.0)))
    at = coarse.time >= 24.0
    assert np.nanmedian(fine.lesion("tumour_volume")[0, -1]) > 1500.0
    error = np.abs(coarse.lesion("nk")[0, at] / fine.lesion("nk")[0, at] - 1.0)
    assert np.nanmedian(error, axis=1).max() < BOUND


@pytest.mark.parametrize("case", list(CASES))
def test_errors_fall_with_the_step(case: str) -> None:
    """Steps four times finer leave at most a quarter of the error (second order leaves a sixteenth; the ridge blurs it).

    From steps a quarter of the default on: at the default errors of both signs partly cancel.
    """
    made = experiment(follow_up="16 days", subjects=16, **CASES[case])
    runs = [open_run(made, accuracy=Accuracy().finer(f), chance=False) for f in (4.0, 16.0, 64.0)]
    first, second = (difference(run, runs[2], 384.0) for run in runs[:2])
    for name in first:
        assert second[name] < 0.25 * first[name] + 2e-4, (name, first[name], second[name])


# --- a stiff solver --------------------------------------------------------------------------------------------------


STIFF: dict[str, tuple[dict[str, Any], tuple[float, ...]]] = {
    "untreated": ({"arms": {"a": []}, "follow_up": "13 days"}, (2, 5, 8, 12)),
    "intratumoural": ({"arms": {"a": LOCAL["it"]}, "follow_up": "16 days"}, (10, 11, 12, 13, 14, 15)),
    "intravenous": (
        # fewer cells than in the others, so that the host lives through it
        {"arms": {"a": SYSTEMIC["iv"]}, "lesions": {"flank": {**FLANK["flank"], "cells": "3e5 cells"}}, "follow_up": "16 days"},
        (10, 12, 13, 15),
    ),
    "cavity": (
        {
            "arms": {"a": ["aldesleukin 20000 IU intraperitoneal in 0.5 mL daily days 1-2"]},
            "lesions": {"ascites": {**ASCITES["ascites"], "cells": "3e8 cells"}},
            "follow_up": "4 days",
        },
        (1, 2, 3),
    ),
    "human": (
        {
            "arms": {"a": ["aldesleukin 3 MIU intratumoural in 2 mL daily days 0-1"]},
            "host": "human",
            "lesions": {"skin": {**SKIN["skin"], "count": 1}},
            "follow_up": "7 days",
        },
        (1, 2, 3, 6),
    ),
}


@cache
def stiff(case: str) -> tuple[Any, dict[str, np.ndarray], np.ndarray]:
    """The experiment, what the stiff solver finds for subject 0, and the times (h)."""
    made = experiment(subjects=1, **STIFF[case][0])
    times = np.array(STIFF[case][1]) * 24.0
    return made, Stiff(made, "a").run(times, rtol=1e-4), times


def against_stiff(case: str, factor: float) -> dict[str, float]:
    """Largest errors of the engine at steps `factor` times finer: relative, necrotic fraction absolute."""
    made, exact, times = stiff(case)
    opened = open_run(made, chance=False, accuracy=Accuracy().finer(factor))
    at = np.searchsorted(opened.time, times - 1e-6)
    found = {}
    for name in ("tumour_volume", "caliper_volume"):
        found[name] = float(np.abs(opened.lesion(name)[0, at, 0] / exact[name] - 1.0).max())
    found["necrotic_fraction"] = float(
        np.abs(opened.lesion("necrotic_fraction")[0, at, 0] - exact["necrotic_fraction"]).max()
    )
    short = experiment(subjects=1, **{**STIFF[case][0], "follow_up": f"{times[-1] / 24.0:g} days"})
    ended = open_run(short, chance=False, accuracy=Accuracy().finer(factor))
    if len(ended.block.tissue) == 1:  # the engine keeps the mean over lesions
        found["il2_auc"] = float(abs(ended.exposure("tumour")[1][0] / exact["il2_auc"][-1] - 1.0))
    found["plasma_auc"] = float(abs(ended.exposure("plasma")[1][0] / exact["plasma_auc"][-1] - 1.0))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("case", list(STIFF))
def test_engine_against_a_stiff_solver(case: str) -> None:
    """Volume, IL-2 AUC and necrotic fraction within 1 % of scipy's BDF at a relative tolerance of 1e-4."""
    found = against_stiff(case, 1.0)
    assert max(found.values()) < BOUND, found


@pytest.mark.slow
@pytest.mark.parametrize("case", list(STIFF))
def test_engine_converges_to_the_stiff_solver(case: str) -> None:
    """At steps 64 times finer the engine is within 1 % of it and has come closer: both integrate the same equations.

    1 % is the bound of the issue; "closer" means at most half, with 2e-3 for errors that were small to begin with.
    """
    coarse, fine = against_stiff(case, 1.0), against_stiff(case, 64.0)
    for name in fine:
        assert fine[name] < 0.01, (name, coarse[name], fine[name])
        assert fine[name] < 0.5 * coarse[name] + 2e-3, (name, coarse[name], fine[name])
