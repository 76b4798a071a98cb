"""Results: what a run hands over, how it lies on disk, and what every column means."""

from __future__ import annotations

from locokine.results.result import Result
from locokine.results.schema import SCHEMA_VERSION, data_dictionary

__all__ = ["SCHEMA_VERSION", "Result", "data_dictionary"]
