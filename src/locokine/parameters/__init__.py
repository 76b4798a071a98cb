"""Every number with its unit, range, source and status."""

from locokine.parameters.bibliography import Bibliography, Reference
from locokine.parameters.library import Entry, Library, load_library
from locokine.parameters.records import Record

__all__ = ["Bibliography", "Entry", "Library", "Record", "Reference", "load_library"]
