"""Figures, tables and the one-file HTML report of a result. Reads results and outcomes; computes no science."""
