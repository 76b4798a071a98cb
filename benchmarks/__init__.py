"""Measurements of speed and accuracy beside other solvers: `make bench`, or `python -m benchmarks`."""
