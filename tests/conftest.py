"""Shared by all tests: reproducible property tests, the examples, and one small run made once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from locokine.api import Experiment, Result

# Same examples on every machine and every day: a test that fails, fails for everybody.
settings.register_profile(
    "locokine", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("locokine")

LONG = (
    "test_histology_reading", "test_cli", "test_calibrate", "test_histology_commands", "test_inference", "test_cluster",
    "test_baseline", "test_export", "test_partners", "test_held_agents", "test_journal", "test_mix", "test_planning",
)
"""Files that take longest, in this order: two processes end together where the long ones do not come last.

The first needs no compiled engine for a while, which the process that has the second compiles meanwhile.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; else as collected."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


EXAMPLES = Path(__file__).resolve().parent.parent / "src" / "locokine" / "examples"


@pytest.fixture(scope="session")
def examples() -> Path:
    """Folder of the scenarios that ship."""
    return EXAMPLES


@pytest.fixture(scope="session")
def small_experiment() -> Experiment:
    """All arms of the first example, eight subjects."""
    from locokine import api

    return api.load(EXAMPLES / "local_versus_systemic.yaml", subjects=8)


@pytest.fixture(scope="session")
def small_result(small_experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A finished run of `small_experiment`, stored on disk once for all tests (read it, do not change it)."""
    from locokine import api

    return api.run(small_experiment, tmp_path_factory.mktemp("small") / "run", report=False)
