"""Rate laws of the tissue: pure scalar functions, one mechanism a file.

Every law is branch-free arithmetic, so that the compiler can evaluate it for many subjects at once and so that the
same source can be traced by other back ends. Units are the internal ones (mm, h, fmol, mmHg, cells, µg).
"""
