"""Geometries of a lesion (well-mixed, shells, cavity) and the operators on them."""
