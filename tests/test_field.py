"""Hosts, lines and agents of the field: they are complete, they run, and some tumours must not be cured."""

from __future__ import annotations

from typing import Any

import pytest

from locokine import api
from locokine.parameters import load_library
from locokine.population import derive
from locokine.scenario import load
from locokine.scenario.experiment import body_surface

LIBRARY = load_library()
LOCAL = "aldesleukin 20000 IU intratumoural in 0.1 mL daily x5 from day 10"


def experiment(
    line: str, arms: dict[str, Any], days: int = 60, host: str | None = None, subjects: int = 8, **lesion: Any
) -> api.Experiment:
    entry = LIBRARY.lines[line]
    size = lesion or {"cells": "1e6 cells"}
    deposit = {"line": line, "site": (entry.meta.get("sites") or ["subcutis"])[0], **size}
    return load({
        "experiment": line, "host": host or entry.meta["hosts"][0], "lesions": {"one": deposit}, "arms": arms,
        "follow-up": f"{days} days", "geometry": "well-mixed", "subjects": subjects, "seed": 1,
    })


def cured(line: str, text: str = LOCAL, **options: Any) -> int:
    return int(api.run(experiment(line, {"arm": [text]}, **options)).summary()["arms"]["arm"]["cured"])


@pytest.mark.parametrize("line", LIBRARY.lines)
def test_every_line_loads_in_each_of_its_hosts(line: str) -> None:
    for host in LIBRARY.lines[line].meta["hosts"]:
        made = experiment(line, {"arm": [LOCAL]}, host=host)
        assert made.bibliography()
        assert made.line_records(line)["birth_rate"].value > made.line_records(line)["spontaneous_death"].value


def test_the_lines_and_hosts_of_the_field_are_there() -> None:
    assert {"sl2", "p815", "l1210", "l5178y", "el4", "rbl5", "b16", "mc2", "ae17", "line10", "boscc", "melanoma_skin",
            "melanoma_visceral", "renal_carcinoma", "hnscc"} <= set(LIBRARY.lines)
    assert {"dba2_mouse", "c57bl6_mouse", "c3h_mouse", "balbc_mouse", "guinea_pig", "cattle", "human"} <= set(LIBRARY.hosts)
    grown_in = {host for line in LIBRARY.lines.values() for host in line.meta["hosts"]}
    assert grown_in >= set(LIBRARY.hosts) - {"mouse"}  # every host but the generic one can bear a tumour


@pytest.mark.parametrize("host", LIBRARY.hosts)
def test_a_host_is_of_one_piece(host: str) -> None:
    """What physiology ties together holds in every host: plasma, blood and clearance in proportion to its size."""
    value = {name: record.value for name, record in LIBRARY.hosts[host].records.items()}
    weight = value["weight"]
    plasma = value["plasma_volume"] / 1e6 / weight  # L/kg
    assert 0.03 < plasma < 0.06
    assert 0.25 < value["erythrocyte_volume"] / (value["erythrocyte_volume"] + value["plasma_volume"]) < 0.5
    assert 0.12 < value["interstitial_volume"] / 1e6 / weight < 0.25
    assert value["central_volume"] >= 0.9 * value["plasma_volume"]
    # mL/h/kg: 720 in mice, 100 in man, between and beyond by the power −0.24 of weight
    assert value["clearance"] / 1e3 / weight == pytest.approx(720.0 * (weight / 0.02) ** -0.24, rel=0.3)
    laws = {**LIBRARY.laws.records, **LIBRARY.hosts[host].law_overrides}
    assert laws["autoregulation_least"].value < laws["autoregulation_full"].value < value["arterial_pressure"]
    import numpy as np

    p = {name: np.array([number]) for name, number in value.items()} | {"lymph_flow_at_rest": np.array([value["lymph_flow"]])}
    p |= {name: np.array([record.value]) for name, record in laws.items()}
    capillary = float(derive.host(p)["systemic_capillary_pressure"][0])
    assert 5.0 < capillary < 40.0  # mmHg that hold the host at rest: neither dry nor flooded


def test_body_surfaces_are_those_of_the_textbooks() -> None:
    """Surface of the median host, m²; 1.8 m² of a man of 72 kg, within 5 %."""
    surface = {name: (body_surface(host) or 0.0) * host.records["weight"].value for name, host in LIBRARY.hosts.items()}
    assert surface["mouse"] == pytest.approx(0.007)
    assert surface["human"] == pytest.approx(1.83, rel=0.05)
    assert 0.04 < surface["guinea_pig"] < 0.06
    assert 4.0 < surface["cattle"] < 6.0


def test_an_infusion_per_square_metre_in_a_patient() -> None:
    """18e6 IU/m²/day for a man of 72 kg and 1.83 m² are 33 MIU a day."""
    made = experiment("renal_metastasis", {"arm": ["aldesleukin 18e6 IU/m2/day intravenous days 0-4"]})
    (row,) = api.describe(made).arms["arm"]
    assert row.per_day.iu == pytest.approx(18e6 * 1.83, rel=0.01)
    assert (row.doses, row.duration) == (5, 24.0)


def test_a_changed_weight_changes_the_surface() -> None:
    made = experiment("renal_metastasis", {"arm": ["aldesleukin 1 MIU/m2 intravenous day 1"]})
    lighter = made.changed(overrides={"weight": "36 kg"})
    ratio = lighter.protocol.arms[0].doses[0].amount_per_kg / made.protocol.arms[0].doses[0].amount_per_kg
    assert ratio == pytest.approx(0.5 ** (-1.0 / 3.0))  # surface per kg by the power −1/3 of weight


def test_saline_carries_nothing_and_polyethylene_glycol_carries_mass() -> None:
    made = experiment("sl2", {"a": ["saline intratumoural in 0.1 mL day 3"], "b": ["peg_il2 20000 IU intratumoural day 3"]})
    assert api.describe(made).arms["a"][0].per_dose.micrograms is None
    peg = made.protocol.arms[1].doses[0]
    free = experiment("sl2", {"b": ["aldesleukin 20000 IU intratumoural day 3"]}).protocol.arms[0].doses[0]
    assert peg.amount == 2.0 * free.amount  # half the activity per molecule


def test_larger_molecules_leave_more_slowly() -> None:
    import numpy as np

    def leaving(agent: str) -> float:
        records = LIBRARY.agents[agent].records
        return float(derive.agent({name: np.array([record.value]) for name, record in records.items()})["permeability"][0])

    assert leaving("peg_il2") < 0.7 * leaving("aldesleukin") == 0.7 * leaving("beta_biased_il2")


@pytest.mark.slow
@pytest.mark.parametrize(("line", "least", "most"), [
    ("sl2", 16, 32), ("l5178y", 16, 32), ("mc2", 16, 32),  # complete regressions were published: half and more
    ("el4", 0, 0), ("b16", 0, 4),  # no effect on EL4; an established B16 is not cured
    ("rbl5", 0, 16),  # partial effects: less than half
])
def test_which_tumours_local_treatment_cures(line: str, least: int, most: int) -> None:
    """Of 32 hosts, so that what is cured in three of four is not below half by chance (1 in 1,000)."""
    assert least <= cured(line, subjects=32) <= most


@pytest.mark.slow
def test_a_large_tumour_with_little_antigen_is_not_cured() -> None:
    """SL2 is cured at 1e6 cells; as large as 1 mL and with the antigen of EL4 it must not be."""
    made = experiment("sl2", {"arm": ["aldesleukin 20000 IU intratumoural in 0.1 mL daily x5"]}, cells="1e9 cells")
    poor = made.changed(overrides={"sl2.immunogenicity": "0.1", "sl2.epitopes": "0.2"})
    assert api.run(poor).summary()["arms"]["arm"]["cured"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(("line", "size"), [
    ("line10", {"cells": "1e6 cells"}), ("boscc", {"diameter": "20 mm"}), ("colon26", {"cells": "1e6 cells"}),
    ("ae17", {"cells": "1e6 cells"}), ("hnscc", {"diameter": "20 mm"}), ("renal_metastasis", {"diameter": "20 mm"}),
])
def test_other_hosts_run_to_the_end(line: str, size: dict[str, str]) -> None:
    """Untreated tumours grow in every new host and nobody dies of toxicity."""
    import numpy as np

    result = api.run(experiment(line, {"untreated": []}, days=40, **size).changed(subjects=32))
    cells = result.daily["viable_cells"].sel(arm="untreated").transpose("day", ...).values
    cells = cells.reshape(len(cells), -1)
    last = [column[np.isfinite(column)][-1] for column in cells.T]  # of hosts that a fast tumour killed as well
    # lines of outbred hosts differ widely, some tumours shrink by themselves
    assert np.mean(last / cells[1] > 1.0) > 0.6
    assert result.summary()["arms"]["untreated"]["systemic_toxicity_grade"].get("5", 0) == 0
