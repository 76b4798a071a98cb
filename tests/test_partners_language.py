"""Partners of IL-2 in the language: acts, seeded lesions and further routes as written, in tables, reports and exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from locokine import api
from locokine.errors import InputError
from locokine.report import figures_chain
from locokine.scenario.describe import describe
from locokine.scenario.dose_table import write_table
from locokine.scenario.experiment import Experiment
from locokine.scenario.load import load
from reference import ASCITES, FLANK

SCENARIO = {
    "experiment": "x",
    "host": "dba2_mouse",
    "follow-up": "40 days",
    "subjects": 2,
    "lesions": {**FLANK, **ASCITES, "late": {**FLANK["flank"], "day": 12}},
}


def loaded(*lines: str, **changed: Any) -> Experiment:
    return load({**SCENARIO, "arms": {"a": list(lines)}, **changed})


def test_acts_as_written() -> None:
    made = loaded("radiotherapy 2 Gy to flank, late Mon-Fri from day 14 for 2 weeks", "resection of flank leaving 0.5 % day 30")
    acts = made.protocol.arms[0].acts
    assert [act.kind for act in acts] == ["radiotherapy"] * 10 + ["resection"]
    assert acts[0].size == 2.0
    assert acts[0].lesions == ("flank", "late")
    assert acts[-1].size == pytest.approx(0.005)
    (radio, surgery) = describe(made).arms["a"]
    assert (radio.doses, radio.first_day, radio.agent, radio.route) == (10, 14.0, "radiotherapy", "2 Gy each, 20 Gy in all")
    assert surgery.doses == 1
    assert loaded("radiotherapy 2 Gy day 3").protocol.arms[0].acts[0].lesions == ("flank", "ascites")
    assert loaded("resection of flank leaving 1e4 cells day 3").protocol.arms[0].acts[0].left == 1e4
    assert write_table(made).count("\n") == 12  # headings, ten fractions, one operation; no doses


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("radiotherapy", "is expected"),
        ("radiotherapy 2 day 3", "radiation dose"),
        ("radiotherapy 2 mL day 3", "mL"),
        ("radiotherapy -2 Gy day 3", "-2"),
        ("radiotherapy 0 Gy day 3", "0"),
        ("radiotherapy 1e6 Gy day 3", "more than 100 Gy"),
        ("radiotherapy nan Gy day 3", "nan"),
        ("radiotherapy 2 Gy", "schedule"),
        ("radiotherapy 2 Gy to day 3", "name of a lesion"),
        ("radiotherapy 2 Gy to flanc day 3", "unknown lesion"),
        ("radiotherapy 2 Gy to late day 3", "exists"),
        ("radiotherapy 2 Gy day 99", "end of follow-up"),
        ("radiotherapy 2 Gy day 3, until complete response", "rules"),
        ("resection flank day 3", "'of'"),
        ("resection of day 3", "name of a lesion"),
        ("resection of ascites day 3", "fluid cavity"),
        ("resection of flank leaving day 3", "cells"),
        ("resection of flank leaving 120 % day 3", "share"),
        ("resection of flank leaving -1 cells day 3", "-1"),
        ("resection of flank leaving x % day 3", "cells"),
        ("resection of flank", "schedule"),
        ("resection of flank day 3 day 4", "not understood"),
        ("aldesleukin 5 IU intrapleural day 3", "not the pleura"),
        ("aldesleukin 5 IU intravenous fan of 3 day 3", "fan of N"),
        ("aldesleukin 5 IU intra-arterial into ascites day 3", "fluid cavity"),
        ("cisplatin intravenous day 3", "dose of cisplatin is missing"),
        ("cisplatin 5 IU intravenous day 3", "units of activity"),
        ("aldesleukin 5 IU intravenous day 3, reduce to 100 % at any >= 2", "share of the dose"),
    ],
)
def test_what_is_wrong_is_said(line: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        loaded(line)
    assert said in str(caught.value)
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("lesions", "said"),
    [
        ({"node": {"line": "sl2", "seeded-by": "flank"}}, "not a single lesion"),
        ({**FLANK, "node": {"line": "p815", "seeded-by": "flank"}}, "its line is"),
        ({**FLANK, "node": {"line": "sl2", "seeded-by": "node"}}, "not a single lesion"),
        ({**FLANK, "node": {"line": "sl2", "seeded-by": "flank", "cells": "5 cells"}}, "begins empty"),
        ({**FLANK, "node": {"line": "sl2", "seeded-by": "flank", "site": "skin"}}, "cannot be seeded"),
        ({**FLANK, "node": {"line": "sl2", "seeded-by": "flank", "count": 2}}, "begins empty"),
        ({**ASCITES, "p": {"line": "sl2", "site": "pleura", "cells": "5 cells"}}, "cavities of two kinds"),
        ({"p": {"line": "sl2", "site": "pleura", "volume": "5 mm3"}}, "no solid volume"),
        ({"p": {"line": "sl2", "cells": "5 cells"}}, "no site"),
    ],
)
def test_wrong_lesions_are_said(lesions: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load({**SCENARIO, "lesions": lesions, "arms": {"a": []}})


def test_a_host_without_data_for_a_site_says_so() -> None:
    lesions = {"c": {"line": "line10", "site": "pleura", "cells": "5 cells"}}
    with pytest.raises(InputError, match="no data for the pleura"):
        load({**SCENARIO, "host": "guinea_pig", "lesions": lesions, "arms": {"a": []}})


def test_new_routes_in_dose_tables() -> None:
    """CMT 3000 + i is the artery of lesion i and 4 a cavity that is not the peritoneum; each comes back as itself."""
    from locokine.scenario.dose_table import read_table

    for lesions, line, number in (
        (FLANK, "aldesleukin 20000 IU intra-arterial into flank day 3", "3001"),
        ({"p": {"line": "sl2", "site": "pleura", "cells": "5 cells"}}, "aldesleukin 20000 IU intrapleural in 0.1 mL day 3", "4"),
    ):
        made = load({**SCENARIO, "lesions": lesions, "arms": {"a": [line]}})
        table = write_table(made)
        assert table.splitlines()[1].split(",")[4] == number
        again = load({**SCENARIO, "lesions": lesions, "arms": {"a": read_table(table, "table", "a", list(lesions))}})
        assert repr(again.protocol.arms[0].doses) == repr(made.protocol.arms[0].doses)
        plain = f"ID,TIME,AMT,CMT,AGENT,UNIT\n1,72,20000,{number},aldesleukin,IU\n"
        (dose,) = (
            load({**SCENARIO, "lesions": lesions, "arms": {"a": read_table(plain, "table", "a", list(lesions))}})
            .protocol.arms[0]
            .doses
        )
        assert dose.route == made.protocol.arms[0].doses[0].route


def test_an_arm_of_radiotherapy_or_surgery_alone_counts_as_treated(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from locokine.cli import main
    from locokine.inference.explain import choose_arms
    from locokine.report.tables import dose_table, order_table

    arms = {"bare": [], "rays": ["radiotherapy 2 Gy daily x3 from day 3"], "knife": ["resection of flank leaving 1 % day 4"]}
    content = {**SCENARIO, "lesions": FLANK, "geometry": "well-mixed", "arms": arms}
    made = load(content)
    assert [(arm.treated, arm.times) for arm in made.protocol.arms] == [(False, ()), (True, (72.0, 96.0, 120.0)), (True, (96.0,))]
    assert choose_arms(made, None, None) == ("knife", "bare")
    table = dose_table(made)
    assert [row[:4] for row in table.rows[1:]] == [
        ("rays", arms["rays"][0], "3", "3–5"), ("knife", arms["knife"][0], "1", "4–4"),
    ]
    (tmp_path / "s.json").write_text(json.dumps(content))
    assert main(["check", str(tmp_path / "s.json")]) == 0
    shown = capsys.readouterr().out
    assert "3 fractions of radiotherapy, day 3 to 5, 2 Gy each, 6 Gy in all, into flank" in shown
    assert "1 operation of resection, day 4, surgery, into flank" in shown
    result = api.run({**content, "subjects": 2, "follow-up": "12 days"}, tmp_path / "out", report=False)
    assert order_table(result).columns == ("", "rays", "knife")
    assert figures_chain.first_dose_day(result) == 3.0


def test_acts_and_seeding_are_not_exported_as_equations() -> None:
    from locokine.formats.well_mixed import export_sbml

    made = load({**SCENARIO, "lesions": FLANK, "geometry": "well-mixed", "arms": {"a": ["radiotherapy 2 Gy day 3"]}})
    with pytest.raises(InputError, match="not written as equations"):
        export_sbml(made, "a")
