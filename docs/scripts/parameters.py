"""Write docs/parameters.md: every parameter of the library with its range, status and source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from locokine.parameters import Entry, Library, Record, load_library
from locokine.units import format_quantity

TARGET = Path(__file__).resolve().parent.parent / "parameters.md"
HEAD = "| name | value | 90 % range | between | status | source | note |\n|---|---|---|---|---|---|---|"
INTRODUCTION = """# Parameters

Written by `make docs` from the library; do not edit. The value is the median (log-normal, logit) or mean (normal); the range
covers 90 % of what is believed about it, with the *prior* as median where that is not the value (the value before any fit or
move by hand towards outcomes); *between* is the spread between subjects (standard deviation of the logarithm, of the
value relative to the mean, or of the logit). Status: *measured*, *derived* from measured values, *calibrated* to experiments, or
*assumed*. `locokine parameters explain NAME` shows one of them with its references.
"""


def cell(text: str) -> str:
    """Text that cannot break out of a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def row(record: Record) -> str:
    """One line of a table."""
    if record.distribution == "fixed":
        spread = "fixed"
    else:
        spread = " to ".join(format_quantity(limit, record.unit, 4) for limit in (record.low, record.high))
        spread += f", prior {record.prior_text()}" if record.prior_text() else ""
    source = ", ".join(f"[{key}](#{key})" for key in record.source)
    between = f"{record.between:g}" if record.between else ""
    first = {item.name.partition(".")[2]: f", prior {item.prior:g}" for item in record.spreads() if item.prior_text()}
    if record.spread is not None:
        low, high = record.spread.between
        between += f" ({low:g} to {high:g}{first.get('between', '')}, {record.spread.status})"
    if record.within:
        within = f" (prior {100 * record.spread.prior[1]:g} %)" if record.spread and "within" in first else ""
        between += f", {100 * record.within:g} %{within} of the variance within a subject"
    cells = (f"`{record.name}`", record.text(), spread, between, record.status, source, record.note)
    return "| " + " | ".join(cell(text) for text in cells) + " |"


def table(records: Iterable[Record]) -> str:
    """A table of records."""
    return "\n".join([HEAD, *(row(record) for record in records)])


def section(entry: Entry) -> str:
    """All values of one host, line or agent."""
    parts = [f"### {entry.label} (`{entry.name}`)", table(entry.records.values())]
    if entry.law_overrides:
        parts += ["Laws that differ in this host:", table(entry.law_overrides.values())]
    if entry.data:
        rows = "\n".join(
            "| " + " | ".join(cell(text) for text in (
                f"`{one.name}`", one.value, one.range, "", one.status, ", ".join(f"[{key}](#{key})" for key in one.source), one.note,
            )) + " |"
            for one in entry.data
        )
        parts += ["Data, the same in all subjects:", f"{HEAD}\n{rows}"]
    return "\n\n".join(parts)


def page(library: Library) -> str:
    """The whole page."""
    parts = [INTRODUCTION, "## Laws", table(library.laws.records.values())]
    for title, scope in (("Hosts", "hosts"), ("Tumour lines", "lines"), ("Agents", "agents")):
        parts += [f"## {title}", *(section(entry) for entry in library.entries(scope).values())]
    references = [
        f'- <a id="{key}"></a>**{key}**: {library.bibliography.references[key].text()}'
        for key in sorted({key for one in (*library.records(), *library.data()) for key in one.source})
    ]
    parts += ["## References", "\n".join(references)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(load_library()), encoding="utf-8")
    print(f"wrote {TARGET.name}")
