"""Write values into the files of a library, leaving everything else (comments, order, layout) as it is.

Only the record of the named owner is touched: its value, status, source and note; the value before its first fit stays as
`prior`. One that is put back to that value is what it was before any fit: assumed. A value that an entry has from a
definition or an ancestor becomes a record of its own. The library is read again afterwards; if it would not be read, the
files are left as they were.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from locokine.errors import InputError
from locokine.parameters.library import Library, load_library
from locokine.parameters.reading import read_file
from locokine.parameters.records import Record

SOURCE = "calibration"
"""Key of `references.bib` that stands for what `locokine calibrate` found."""
REFERENCE = (
    "@misc{calibration, author={{locokine developers}}, title={Values that locokine calibrate fitted to the experiments of "
    "its library of evidence}, year={2026}, note={statistical model in docs/calibration_model.md}}\n"
)
NOTE = re.compile(r'note:\s*"((?:[^"\\]|\\.)*)"')
VALUE = re.compile(r"(?<![A-Za-z_])value:\s*(?P<value>[^,}]+)")
STATUS = re.compile(r"(?<![A-Za-z_])status:\s*\w+")
SOURCES = re.compile(r"(?<![A-Za-z_])source:\s*\[([^\]]*)\]")
PRIOR = re.compile(r"(?<![A-Za-z_])prior:")
OLD = r",?\s*(?<![A-Za-z_]){prior}:\s*[^,}}]+"
"""A prior with its comma, to be taken out."""
BACK = ""
"""What is added to the note of a value that goes back to what it was before any fit: nothing."""
AFTER = re.compile(r";?\s*fitted to [^;]*; [^;]* before \(\w+\)")
SPREAD = re.compile(r"(?<![A-Za-z_])spread:\s*\{[^{}]*\}")
HELD = "spread: @"


def write_values(folder: Path, values: Mapping[str, tuple[str, str]]) -> dict[str, Path]:
    """Write values as calibrated, or back to where they were before any fit.

    Parameters
    ----------
    folder
        Of the library.
    values
        OWNER.NAME (or its spread, OWNER.NAME.between) → value with unit as text, and what to add to the note; `BACK` for
        a value that goes back to its prior.

    Returns
    -------
    dict
        OWNER.NAME → file that was changed.

    Raises
    ------
    InputError
        If a record cannot be found, or the library could not be read afterwards (nothing is changed then).
    """
    library = load_library([folder], builtin=False)
    texts: dict[Path, str] = {}
    changed: dict[str, Path] = {}
    for key, (value, why) in values.items():
        owner, _, name = key.partition(".")
        scope = _scope(library, owner)
        path = folder / f"{scope}.yaml"
        text = texts.setdefault(path, read_file(path))
        texts[path] = _changed(text, library, scope, owner, name, value, why)
        changed[key] = path
    references = folder / "references.bib"
    if values and SOURCE not in library.bibliography.references:
        texts[references] = read_file(references).rstrip("\n") + "\n" + REFERENCE
    before = {path: read_file(path) for path in texts}
    try:
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
        _check(folder, values)
    except BaseException:
        for path, text in before.items():
            path.write_text(text, encoding="utf-8")
        raise
    return changed


def _check(folder: Path, values: Mapping[str, tuple[str, str]]) -> None:
    """The library must be readable again, and say what was written."""
    from locokine.units import parse_quantity

    library = load_library([folder], builtin=False)
    for key, (value, why) in values.items():
        owner, _, name = key.partition(".")
        record = _record(library, _scope(library, owner), owner, name)
        known = record.status == "calibrated" or why == BACK
        wanted = float(value) if record.unit == "1" else parse_quantity(value, record.unit, key, minimum=None)
        if abs(record.value - wanted) > 1e-9 * max(abs(wanted), 1e-300) or not known:
            raise InputError(str(folder), f"{key} could not be written", "write it by hand")


def _scope(library: Library, owner: str) -> str:
    if owner == "laws":
        return "laws"
    for scope in ("hosts", "lines", "agents"):
        if owner in library.entries(scope):
            return scope
    raise InputError(owner, "there is no such host, line or agent", "calibrate again with this library")


def _record(library: Library, scope: str, owner: str, name: str) -> Record:
    entry = library.entries(scope)["laws" if scope == "laws" else owner]
    found = {**entry.records, **entry.law_overrides}
    found |= {item.name: item for record in found.values() for item in record.spreads()}
    if name not in found:
        raise InputError(owner, f"has no parameter '{name}'", "calibrate again with this library")
    return found[name]


def _changed(text: str, library: Library, scope: str, owner: str, name: str, value: str, why: str) -> str:
    record = _record(library, scope, owner, name)
    name, _, part = name.partition(".")
    lines = text.splitlines(keepends=True)
    if scope == "laws":
        first, last = _block(lines, _find(lines, "parameters", 0, len(lines), 0), 2)
        span = _named(lines, name, first, last, 2)
    else:
        entries = _block(lines, _find(lines, "entries", 0, len(lines), 0), 2)
        head = _find(lines, owner, *entries, 2)
        first, last = _block(lines, head, 4)
        inner = _find(lines, "values", first, last, 4)
        if part and (inner < 0 or _named(lines, name, *_block(lines, inner, 6), 6) is None):
            raise InputError(owner, f"has its spread of {name} from elsewhere", "state it in the entry, then calibrate again")
        if inner < 0 or re.match(r"\s*values:\s*\{\s*\}", lines[inner]):
            at = inner if inner >= 0 else last
            new = ["    values:\n", *_own(record, name, value, why)]
            return "".join([*lines[:at], *new, *lines[at + (inner >= 0):]])
        first, last = _block(lines, inner, 6)
        span = _named(lines, name, first, last, 6)
        if span is None:
            return "".join([*lines[:first], *_own(record, name, value, why), *lines[first:]])
    if span is None:
        raise InputError(f"{scope}.yaml", f"{name} was not found", "write it by hand")
    start, end = span
    block = "".join(lines[start:end])
    if part:
        made = _respread(block, part, value, why)
    elif VALUE.search(SPREAD.sub(HELD, block, count=1)):
        made = _rewritten(block, record, value, why)
    else:  # an entry with a spread of its own around a value from elsewhere
        made = "".join(_own(record, name, value, why))
    return "".join([*lines[:start], made, *lines[end:]])


def _find(lines: list[str], name: str, first: int, last: int, indent: int) -> int:
    """Line of a key at an indentation; -1 without."""
    head = re.compile(rf"{' ' * indent}{re.escape(name)}:")
    return next((i for i in range(first, last) if head.match(lines[i])), -1)


def _block(lines: list[str], head: int, indent: int) -> tuple[int, int]:
    """Lines below a key that are indented at least so far (blank lines and comments inside count)."""
    end = head + 1
    for i in range(head + 1, len(lines)):
        bare = lines[i].strip()
        if not bare or bare.startswith("#"):
            continue
        if len(lines[i]) - len(lines[i].lstrip()) < indent:
            break
        end = i + 1
    return head + 1, end


def _named(lines: list[str], name: str, first: int, last: int, indent: int) -> tuple[int, int] | None:
    at = _find(lines, name, first, last, indent)
    if at < 0:
        return None
    end = at + 1
    while end < last and len(lines[end]) - len(lines[end].lstrip()) > indent and lines[end].strip():
        end += 1
    return at, end


def _own(record: Record, name: str, value: str, why: str) -> list[str]:
    """A whole record for an entry that had it from elsewhere."""
    from locokine.units import format_quantity

    unit = ', unit: "1"' if record.unit == "1" else ""
    low, high, prior = (format_quantity(x, record.unit, 6) for x in (record.low, record.high, record.prior))
    status, sources = ("assumed", _without(record.source)) if why == BACK else ("calibrated", _sources(record.source))
    before = "" if why == BACK else f", prior: {prior}"
    usual = 0.0, (1.0 if record.distribution == "logit" else math.inf)
    ends = record.physical_low, record.physical_high
    bounds = "" if ends == usual else f", physical: [{', '.join(_bound(x, record.unit) for x in ends)}]"
    note = "; ".join(part for part in (AFTER.sub("", record.note).strip("; "), why) if part)
    if record.within:
        bounds = f", within: {record.within:g}{bounds}"
    return [
        f"      {name}:\n",
        (f"          {{value: {value}{unit}{before}, range: [{low}, {high}], distribution: {record.distribution}, "
        f"between: {record.between:g}{bounds}, status: {status}, source: [{', '.join(sources)}],\n"),
        f'           note: "{_plain(note)}"{_spread_text(record)}}}\n',
    ]


def _spread_text(record: Record) -> str:
    spread = record.spread
    if spread is None:
        return ""
    ranges = "".join(
        f"{key}: [{low:g}, {high:g}], " + (f"prior_{key}: {prior:g}, " if prior != now else "")
        for key, (low, high), prior, now in (
            ("between", spread.between, spread.prior[0], record.between),
            ("within", spread.within, spread.prior[1], record.within),
        )
        if high
    )
    source = f", source: [{', '.join(spread.source)}]" if spread.source else ""
    return f',\n           spread: {{{ranges}status: {spread.status}{source}, note: "{_plain(spread.note)}"}}'


def _respread(block: str, part: str, value: str, why: str) -> str:
    """A record as written, with another spread, which is calibrated then."""
    held = SPREAD.search(block)
    number = re.compile(rf"(?<![A-Za-z_]){part}:\s*[\d.eE+-]+")
    rest = SPREAD.sub(HELD, block, count=1)
    now = number.search(rest)
    if held is None or now is None or STATUS.search(held.group()) is None:
        raise InputError(part, "has no value where it was looked for", "write it by hand")
    if why == BACK:
        text = re.sub(OLD.format(prior=f"prior_{part}"), "", held.group())
        if "prior_" not in text:  # the other one is not fitted either
            text = STATUS.sub("status: assumed", text, count=1)
            text = SOURCES.sub(lambda found: f"source: [{', '.join(_without(_keys(found)))}]", text, count=1)
        text = NOTE.sub(lambda found: f'note: "{_spread_note(found.group(1), part)}"', text, count=1)
        return number.sub(f"{part}: {value}", rest, count=1).replace(HELD, text)
    text = STATUS.sub("status: calibrated", held.group(), count=1)
    listed = SOURCES.search(text)
    keys = _keys(listed) if listed else ()
    cited = f"source: [{', '.join(_sources(keys))}]"
    text = SOURCES.sub(cited, text, count=1) if listed else text.replace("status: calibrated", f"status: calibrated, {cited}")
    said = NOTE.search(text)
    old = _spread_note(said.group(1), part) if said else ""
    note = f'note: "{_plain(f"{old}; {part} {why}" if old else f"{part} {why}")}"'
    text = NOTE.sub(note, text, count=1) if said else f"{text[:-1]}, {note}}}"
    if f"prior_{part}:" not in text:
        text = f"{text[:-1]}, prior_{part}: {now.group().partition(':')[2].strip()}}}"
    return number.sub(f"{part}: {value}", rest, count=1).replace(HELD, text)


def _spread_note(note: str, part: str) -> str:
    """A note without what a fit of this part of the spread has added."""
    return re.sub(rf";?\s*{part} fitted to [^;]*; [^;]* before \(\w+\)", "", note).strip("; ")


def _bound(x: float, unit: str) -> str:
    from locokine.units import format_quantity

    return format_quantity(x, unit, 6) if math.isfinite(x) else "null"


def _sources(keys: tuple[str, ...]) -> list[str]:
    return [*keys, *(() if SOURCE in keys else (SOURCE,))]


def _without(keys: tuple[str, ...]) -> list[str]:
    return [key for key in keys if key != SOURCE]


def _keys(listed: re.Match[str]) -> tuple[str, ...]:
    return tuple(key.strip() for key in listed.group(1).split(",") if key.strip())


def _plain(text: str) -> str:
    return text.replace("\\", "").replace('"', "'")


def _rewritten(block: str, record: Record, value: str, why: str) -> str:
    """A record as written, with another value, status, source and note."""
    def note(found: re.Match[str]) -> str:
        parts = (AFTER.sub("", found.group(1)).strip("; "), why)
        return f'note: "{_plain("; ".join(part for part in parts if part))}"'

    from locokine.units import format_quantity

    held = SPREAD.search(block)
    block = SPREAD.sub(HELD, block, count=1)
    if why == BACK:
        block, kept = re.sub(OLD.format(prior="prior"), "", block), ""
        status, sources = "assumed", _without(record.source)
    else:
        kept = "" if PRIOR.search(block) else f", prior: {format_quantity(record.prior, record.unit, 6)}"
        status, sources = "calibrated", _sources(record.source)
    block = VALUE.sub(f"value: {value}{kept}", block, count=1)
    block = STATUS.sub(f"status: {status}", block, count=1)
    block = SOURCES.sub(f"source: [{', '.join(sources)}]", block, count=1)
    block = NOTE.sub(note, block, count=1)
    return block if held is None else block.replace(HELD, held.group())
