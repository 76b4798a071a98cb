"""Every number with its unit, range, source and status."""

from locokine.parameters.bibliography import Bibliography, Reference
from locokine.parameters.library import Entry, Library, load_library
from locokine.parameters.meta import Datum
from locokine.parameters.records import Record

__all__ = ["Bibliography", "Datum", "Entry", "Library", "Record", "Reference", "load_library"]
