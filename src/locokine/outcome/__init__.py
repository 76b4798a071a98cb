"""Outcomes, read from a result and its event log: response, toxicity, immunity, survival.

Importing this folder tells `Result` how its `outcome`, `subjects` and `summary()` are made.
"""

from __future__ import annotations

from locokine.outcome.assess import Outcome, assess
from locokine.outcome.response import Criteria
from locokine.results.result import Result

Result.register_outcome(assess)

__all__ = ["Criteria", "Outcome", "assess"]
