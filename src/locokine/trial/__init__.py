"""Trials: running all arms of an experiment, and the statistics of comparing them."""

from __future__ import annotations
