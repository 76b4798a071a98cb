"""The command line: thin, no science. `main` is the entry point of the `locokine` command."""

from __future__ import annotations

from locokine.cli.main import main

__all__ = ["main"]
