"""Calibrations: each a command of its own that reads the library and proposes values; none writes to it."""
