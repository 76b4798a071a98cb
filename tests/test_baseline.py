"""Results that may not move unnoticed: a change here is a line of the CHANGELOG and a new baseline.

`python tests/test_baseline.py` writes the file anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import locokine
from locokine.engine import batch
from locokine.engine.variables import LESION
from locokine.population import draw

BASELINE = Path(__file__).with_name("baseline.json")
CASES = (
    ("local_versus_systemic", "untreated", 14), ("local_versus_systemic", "intratumoural", 12),
    ("ascites_sl2", "intraperitoneal", 12), ("high_dose_intravenous", "high dose intravenous", 10),
    ("melanoma_intralesional", "intralesional", 10),
)
WATCHED = ("caliper_volume", "viable_cells", "leak", "viable_pO2", "t_specific")


def measure(name: str, arm: str, day: int) -> dict[str, Any]:
    """Medians over 16 hosts, well mixed, on one day, and the exposure of the whole run."""
    scenario = f"{Path(locokine.__file__).parent}/examples/{name}.yaml"
    experiment = locokine.load(scenario, subjects=16)
    population = draw(experiment)
    run = batch.simulate_arm(experiment, population, arm, 0, 16, 2)
    names = [variable.name for variable in LESION]
    found = {key: float(np.nanmedian(run.daily_lesion[names.index(key), 0, day])) for key in WATCHED}
    found["il2_auc_tumour"] = float(np.median(run.exposure[0, -1, 1]))
    found["doses_given"] = run.events["kind"].count("dose")
    return found


@pytest.mark.parametrize(("name", "arm", "day"), CASES)
def test_results_have_not_moved(name: str, arm: str, day: int) -> None:
    """Another processor may round differently; 1e-6 leaves room for that and for nothing else."""
    wanted = json.loads(BASELINE.read_text())[f"{name}/{arm}"]
    assert measure(name, arm, day) == pytest.approx(wanted, rel=1e-6)


if __name__ == "__main__":
    BASELINE.write_text(json.dumps({f"{n}/{a}": measure(n, a, d) for n, a, d in CASES}, indent=1) + "\n")
