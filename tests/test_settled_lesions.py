"""Lesions in place: what they have already when they are first seen, and the laws of an immune response that lasts."""

from __future__ import annotations

import numpy as np
import pytest

from locokine.biology import antigen, killing, niche, traffic
from locokine.tissue import layout
from locokine.tissue.layout import WIDTH
from reference import Opened, experiment, implanted, open_run, tissue_view

SKIN = {"skin": {"line": "melanoma_skin", "site": "skin", "diameter": "9 mm", "day": 0}}


@pytest.fixture(scope="module")
def patients() -> Opened:
    """Sixteen untreated patients with one skin metastasis, followed for three weeks."""
    return open_run(experiment({"a": []}, host="human", lesions=SKIN, follow_up="21 days", subjects=16), chance=False)


def test_what_is_not_fed_is_dead_already(patients: Opened) -> None:
    """The dead share of the tumour is the share its vessels do not feed, so hardly any cell starves on the first days.

    Median below 1 % (without the dead share it would be all of that share, 5 to 20 %): pressure still settles after the
    start, and a few ill-fed tumours lose up to a tenth.
    """
    block = implanted(patients)
    viable = tissue_view(block, "viable") + tissue_view(block, "loss")
    dead = tissue_view(block, "dead").sum(axis=1)
    assert (dead > 0.0).all()
    starved = patients.lesion("deaths_starved")[0]
    cells = viable.sum(axis=1)[0]
    assert np.median(starved[12] / cells) < 0.01  # day 2
    assert np.median(starved[12] / cells) < 0.2 * np.median(dead[0] / 0.35 / (dead[0] / 0.35 + 3e-6 * cells))


def test_volume_of_a_lesion_in_place_is_what_was_asked_for(patients: Opened) -> None:
    """Dead tissue keeps its place: 9 mm are 382 mm³ within the strain at which tissue of that size rests (15 %)."""
    block = implanted(patients)
    solid = sum(tissue_view(block, name) for name in ("dead", "host", "fluid"))
    cells = tissue_view(block, "viable") + tissue_view(block, "loss")
    line = layout.Line(*block.line[0].reshape(-1, WIDTH)[:, 0])
    volume = (solid[:, 0] + cells[:, 0] * line.cell_volume)[0, 0]
    assert volume == pytest.approx(381.7, rel=0.15)


def test_the_infiltrate_is_in_balance_and_unarmed(patients: Opened) -> None:
    """T cells called in peace are there at once, stay within a factor of two for a week, and are not armed."""
    there = patients.lesion("t_specific")[0]
    assert (there[0] > 0.0).all()
    ratio = there[42] / there[0]  # day 7
    assert 0.5 < np.median(ratio) < 2.0
    assert np.median(patients.lesion("t_competent")[0][0] / there[0]) < 0.01


def test_a_transplant_starts_without_infiltrate() -> None:
    """Cells injected on day 0 meet a host that has never seen them."""
    opened = open_run(experiment({"a": []}, follow_up="3 days", subjects=16), chance=False)
    assert (opened.lesion("t_specific")[0][0] == 0.0).all()
    assert (opened.lesion("dead_volume")[0][0] == 0.0).all()


def test_alarm_has_three_causes() -> None:
    """None: the quiet share alone. Each of danger and helpers alone fills it; together never above 1."""
    assert antigen.alarm(0.0, 0.05, 0.0, 1000.0, 0.0) == 0.0
    assert antigen.alarm(0.0, 0.05, 0.0, 1000.0, 0.02) == pytest.approx(0.02, rel=1e-12)
    assert antigen.alarm(0.05, 0.05, 0.0, 1000.0, 0.0) == pytest.approx(0.5, rel=1e-12)
    assert antigen.alarm(0.0, 0.05, 1000.0, 1000.0, 0.0) == pytest.approx(0.5, rel=1e-12)
    assert antigen.alarm(0.05, 0.05, 1000.0, 1000.0, 0.0) == pytest.approx(0.75, rel=1e-12)
    assert antigen.alarm(1.0, 0.01, 1e9, 1.0, 0.05) < 1.0


def test_arms_last_where_targets_are_few() -> None:
    """`tiring`: 1 without targets, 1 + most among very many; a T cell then loses its arms that much faster."""
    assert killing.tiring(0.0, 100.0, 6000.0, 5.0) == 1.0
    assert killing.tiring(1e12, 100.0, 6000.0, 5.0) == pytest.approx(6.0, rel=1e-6)
    kept = killing.competence(1.0, 0.0, 12.0, 120.0, 1.0, 6.0)
    lost = killing.competence(1.0, 0.0, 12.0, 120.0, 6.0, 6.0)
    assert kept == pytest.approx(np.exp(-6.0 / 120.0), rel=1e-4)  # the step is second order: (z³/6 at z = 0.05)
    assert lost == pytest.approx(np.exp(-36.0 / 120.0), rel=5e-3)  # and at z = 0.3


def test_blood_natural_killers_settle_at_supply_over_loss() -> None:
    """(1 + marrow h)/(1 - survival h): at rest 1; Meropol's 10 pM give h = 0.29 and with 6 and 0.6 a 3.3-fold number."""
    made, lost = traffic.natural_killers(0.1, 6.0, 0.6, 0.0)
    assert made == lost == 0.1
    occupied = 0.010 / (0.010 + 0.025)
    made, lost = traffic.natural_killers(0.1, 6.0, 0.6, occupied)
    assert made / lost == pytest.approx((1 + 6 * occupied) / (1 - 0.6 * occupied), rel=1e-12)
    assert made / lost == pytest.approx(3.28, abs=0.01)


def test_nanomolar_il2_is_followed_by_a_rebound_and_accompanied_by_lymphopenia() -> None:
    """Blood lymphocytes fall below a half at once, and rise above twice normal within days after the last dose."""
    arms = {"a": ["aldesleukin 600000 IU/kg intravenous over 15 min q8h x14 from day 0"]}
    late = {"late": {"line": "melanoma_visceral", "site": "viscera", "cells": "1e6 cells", "day": 9}}
    opened = open_run(experiment(arms, host="human", lesions=late, follow_up="10 days", subjects=16), chance=False)
    seen = np.nanmedian(opened.body("blood_lymphocytes"), axis=-1)
    assert seen[1] < 0.5  # four hours in
    assert seen[6 * 5 : 6 * 8].max() > 2.0


def test_a_niche_fills_until_division_meets_loss() -> None:
    """`niche.division` falls from `fastest` to half where T cells are as many as places; with a loss r their number tends to
    places x (fastest/r - 1), stepped here by its own law to within the last step's change (1e-6)."""
    places = niche.places(50.0, 400.0, 10.0)
    assert places == pytest.approx(200_000.0, rel=1e-12)
    assert niche.division(0.4, places, 0.0) == pytest.approx(0.4, rel=1e-12)
    assert niche.division(0.4, places, places) == pytest.approx(0.2, rel=1e-12)
    assert niche.division(0.4, 0.0, 10.0) == 0.0
    cells, loss = 10.0, 0.25
    for _ in range(4000):
        cells *= 1.0 + 0.05 * (niche.division(0.4, places, cells) - loss)
    assert cells == pytest.approx(places * (0.4 / loss - 1.0), rel=1e-4)


CATTLE = {"eye": {"line": "boscc", "site": "skin", "diameter": "20 mm", "day": 0}}
LOW = {"untreated": [], "low": ["aldesleukin 20000 U[Eurocetus] peritumoural in 1 mL at 2 mm daily x10 from day 0"]}


def test_a_low_dose_needs_the_cells_that_a_tumour_has_kept() -> None:
    """A slow tumour of cattle gathers hundreds of T cells per mm³, unarmed; a low dose arms them and T cells kill tens of times
    as many as where the niche is off; without a dose they do nothing (medians of 16, ratios far beyond their spread)."""
    killed, density, armed = {}, {}, {}
    for on in ("on", "off"):
        made = experiment(LOW, host="cattle", lesions=CATTLE, follow_up="30 days", subjects=16, switches={"niche": on})
        for arm in LOW:
            opened = open_run(made, arm, chance=False)
            killed[on, arm] = np.median(opened.lesion("deaths_t")[0][-1])
            there = opened.lesion("t_specific")[0][0]
            density[on, arm] = np.median(there / opened.lesion("tumour_volume")[0][0])
            armed[on, arm] = np.median(opened.lesion("t_competent")[0][0] / there)
    assert density["on", "untreated"] > 100.0 > 10.0 * density["off", "untreated"]
    assert armed["on", "untreated"] < 0.01
    assert killed["on", "low"] > 30.0 * killed["off", "low"]
    assert killed["on", "untreated"] < 0.01 * killed["on", "low"]
