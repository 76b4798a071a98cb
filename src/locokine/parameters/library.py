"""The library of laws, hosts, tumour lines and agents: read, merged, checked, hashed.

Four YAML files (`laws.yaml`, `hosts.yaml`, `lines.yaml`, `agents.yaml`) and `references.bib` make a library. A user's
folder with any of them adds to the built-in one. A name that is already taken is an error unless the new entry says
`replaces: true`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from locokine.errors import InputError
from locokine.parameters.bibliography import Bibliography, read_bibliography
from locokine.parameters.meta import Datum, read_meta
from locokine.parameters.reading import Block, at_line, plain, read_file, read_yaml, suggest
from locokine.parameters.records import OF_ONE_VALUE, Record, build_record, check_fields, merge
from locokine.units import dimension_of, split_quantity

SCOPES = ("laws", "hosts", "lines", "agents")
BUILTIN = Path(__file__).parent / "library"
_ENTRY_FIELDS = ("label", "inherits", "meta", "values", "replaces")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*$")

Lines = dict[str, tuple[str, int]]


@dataclass(frozen=True)
class Entry:
    """A host, a tumour line or an agent (or all laws together).

    Attributes
    ----------
    name, label
        Identifier and readable name.
    meta
        Data of the entry that are no parameters, see `parameters.meta`.
    records
        Parameter name → record, one for every definition of the scope.
    law_overrides
        Hosts only: records of laws whose values differ in this host.
    lineage
        This entry and the entries that it inherits from, nearest first.
    data
        Numbers among the data that the entry states itself, with status and source.
    """

    name: str
    label: str
    meta: Mapping[str, Any]
    records: Mapping[str, Record]
    law_overrides: Mapping[str, Record] = field(default_factory=dict)
    lineage: tuple[str, ...] = ()
    data: tuple[Datum, ...] = ()


@dataclass(frozen=True)
class Library:
    """Everything that experiments can name.

    Attributes
    ----------
    laws
        The entry that holds the parameters of all laws.
    hosts, lines, agents
        Entries by name, in the order of the files.
    bibliography
        The references.
    folders
        Folders that the library was read from.
    """

    laws: Entry
    hosts: Mapping[str, Entry]
    lines: Mapping[str, Entry]
    agents: Mapping[str, Entry]
    bibliography: Bibliography
    folders: tuple[Path, ...] = ()

    def entries(self, scope: str) -> Mapping[str, Entry]:
        """Return the entries of "laws", "hosts", "lines" or "agents"."""
        return {"laws": self.laws} if scope == "laws" else getattr(self, scope)

    def records(self) -> Iterator[Record]:
        """Yield every record of the library; law values that a host replaces follow that host's own."""
        for scope in SCOPES:
            for entry in self.entries(scope).values():
                yield from entry.records.values()
                yield from entry.law_overrides.values()

    def data(self) -> Iterator[Datum]:
        """Yield the numbers among the data of entries (weights of antigens, cavities, body surface)."""
        for scope in SCOPES:
            for entry in self.entries(scope).values():
                yield from entry.data

    def find(self, name: str) -> list[Record]:
        """Return all records called `name`, in whatever scope.

        Raises
        ------
        InputError
            If there is none.
        """
        found = [record for record in self.records() if record.name == name]
        if not found:
            known = dict.fromkeys(record.name for record in self.records())
            raise InputError("parameters", f"no parameter '{name}'", suggest(name, known))
        return found

    def cite(self, records: Sequence[Record]) -> list[str]:
        """Return the bibliography of some records, one line a reference."""
        return self.bibliography.cite(key for record in records for key in record.cited)

    @property
    def digest(self) -> str:
        """SHA-256 of all values and data (not of comments, layout, notes, sources and priors), as hexadecimal text."""
        return _digest({name: self._content(entry) for name, entry in self._named()})

    @property
    def entry_digests(self) -> dict[str, str]:
        """The same of each entry (`hosts.human`), in 16 digits: what belongs to one entry is not changed by another."""
        return {name: _digest(self._content(entry))[:16] for name, entry in self._named()}

    def _named(self) -> Iterator[tuple[str, Entry]]:
        return ((f"{scope}.{name}", entry) for scope in SCOPES for name, entry in self.entries(scope).items())

    @staticmethod
    def _content(entry: Entry) -> list[Any]:
        both = (*entry.records.values(), *entry.law_overrides.values())
        records = [[repr(value) for key, value in vars(record).items() if key not in ASIDE] for record in both]
        return [entry.label, plain(entry.meta), records]


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


ASIDE = ("note", "source", "prior", "stated")
"""What no prediction depends on: another note, or the value that a fit began from, does not make another library."""


@dataclass
class _Raw:
    """What was written, before merging: per scope the definitions and entries with their places."""

    definitions: dict[str, dict[str, tuple[Block, Lines, tuple[str, int]]]]
    entries: dict[str, dict[str, tuple[Block, str]]]


def load_library(paths: Sequence[Path | str] = (), *, builtin: bool = True) -> Library:
    """Read the library and any further folders.

    Parameters
    ----------
    paths
        Folders that hold some of the four YAML files and `references.bib`; later ones add to earlier ones.
    builtin
        Whether to begin with the built-in library.

    Returns
    -------
    Library
        Checked: units, ranges, bounds, sources, names. The same unchanged files are read only once.

    Raises
    ------
    InputError
        With file and line, for the first thing that is wrong.
    """
    folders = ((BUILTIN,) if builtin else ()) + tuple(Path(path) for path in paths)
    stamps = tuple(
        (str(file), file.stat().st_mtime_ns, file.stat().st_size) for folder in folders for file in _files(folder)
    )
    return _load(tuple(str(folder) for folder in folders), stamps)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(str(folder), "no such folder of parameters", "check the path")
    known = {f"{scope}.yaml" for scope in SCOPES}
    found = []
    for file in sorted(folder.iterdir()):
        if file.suffix in (".yaml", ".yml") and file.name not in known:
            raise InputError(str(file), "is not a file of a library", f"call it one of {', '.join(sorted(known))}")
        if file.name in known or file.name == "references.bib":
            found.append(file)
    if not found:
        raise InputError(
            str(folder), "holds no parameters", f"expected some of {', '.join(sorted(known))}, references.bib"
        )
    return found


@lru_cache(maxsize=8)
def _load(folders: tuple[str, ...], stamps: tuple[tuple[str, int, int], ...]) -> Library:
    raw = _Raw({scope: {} for scope in SCOPES}, {scope: {} for scope in SCOPES})
    bibliography = Bibliography()
    for path, _, _ in stamps:
        file = Path(path)
        shown = f"library/{file.name}" if file.parent == BUILTIN else path
        if file.suffix == ".bib":
            bibliography.add(read_bibliography(file, shown))
        else:
            _read(file, shown, file.stem, raw)
    laws = _laws(raw)
    built = {scope: _entries(raw, scope, laws) for scope in SCOPES if scope != "laws"}
    library = Library(
        laws, built["hosts"], built["lines"], built["agents"], bibliography, tuple(Path(item) for item in folders)
    )
    _check_sources(library, raw)
    _check_hosts(library, raw)
    return library


def _read(file: Path, shown: str, scope: str, raw: _Raw) -> None:
    """Add one file's definitions and entries to `raw`."""
    root = read_yaml(read_file(file), shown)
    if not isinstance(root, Block):
        raise InputError(shown, "is empty or not a mapping", "it needs 'parameters:' and, but for laws, 'entries:'")
    allowed = ("parameters",) if scope == "laws" else ("parameters", "entries")
    for key in root:
        if key not in allowed:
            raise InputError(at_line(shown, root.lines[key], key), f"unknown field '{key}'", suggest(key, allowed))
    for section in allowed:
        content = root.get(section)
        if content is None:
            continue
        if not isinstance(content, Block):
            raise InputError(
                at_line(shown, root.lines[section], section), "must be a mapping", "one name per line, indented"
            )
        for name, value in content.items():
            line = content.lines[name]
            if not _IDENTIFIER.match(name):
                raise InputError(
                    at_line(shown, line, name), f"'{name}' is not an identifier", "letters, digits and _ only"
                )
            if section == "parameters":
                _add_definition(raw, scope, name, value, shown, line)
            else:
                _add_entry(raw, scope, name, value, shown, line)


def _add_definition(raw: _Raw, scope: str, name: str, value: Any, shown: str, line: int) -> None:
    block = check_fields(value, shown, line, name)
    for other, known in raw.definitions.items():
        if name in known and not (other == scope and block.get("replaces") is True):
            file, first = known[name][2]
            raise InputError(
                at_line(shown, line, name),
                f"the parameter is already defined in {file}, line {first}",
                "rename it, or say replaces: true",
            )
    lines = {key: (shown, number) for key, number in block.lines.items()}
    raw.definitions[scope][name] = (block, lines, (shown, line))


def _add_entry(raw: _Raw, scope: str, name: str, value: Any, shown: str, line: int) -> None:
    if not isinstance(value, Block):
        raise InputError(at_line(shown, line, name), "must be a mapping", f"with {', '.join(_ENTRY_FIELDS)}")
    for key in value:
        if key not in _ENTRY_FIELDS:
            raise InputError(
                at_line(shown, value.lines[key], f"{name}.{key}"), f"unknown field '{key}'", suggest(key, _ENTRY_FIELDS)
            )
    known = raw.entries[scope].get(name)
    if known is not None and value.get("replaces") is not True:
        raise InputError(
            at_line(shown, line, name),
            f"'{name}' already exists in {known[1]}, line {known[0].line}",
            "choose another name, or say replaces: true",
        )
    value.line = line
    raw.entries[scope][name] = (value, shown)


def _laws(raw: _Raw) -> Entry:
    records = {
        name: _stated(build_record(name, block, lines, "laws", home), "laws", "laws")
        for name, (block, lines, home) in raw.definitions["laws"].items()
    }
    return Entry("laws", "laws", {}, records, {}, ("laws",))


def _lineage(raw: _Raw, scope: str, name: str) -> tuple[str, ...]:
    """Return `name` and its ancestors, nearest first."""
    chain: list[str] = []
    current: str | None = name
    while current is not None:
        block, file = raw.entries[scope][current]
        if current in chain:
            raise InputError(at_line(file, block.line, current), "inherits from itself", "remove one 'inherits'")
        chain.append(current)
        parent = block.get("inherits")
        if parent is not None and parent not in raw.entries[scope]:
            raise InputError(
                at_line(file, block.lines["inherits"], f"{current}.inherits"),
                f"no entry '{parent}'",
                suggest(str(parent), raw.entries[scope]),
            )
        current = parent
    return tuple(chain)


def _entries(raw: _Raw, scope: str, laws: Entry) -> dict[str, Entry]:
    return {name: _entry(raw, scope, name, _lineage(raw, scope, name), laws) for name in raw.entries[scope]}


def _entry(raw: _Raw, scope: str, name: str, lineage: tuple[str, ...], laws: Entry) -> Entry:
    """Merge definitions, ancestors and the entry itself, oldest first."""
    definitions = raw.definitions[scope]
    merged = {key: dict(block) for key, (block, _, _) in definitions.items()}
    lines = {key: dict(where) for key, (_, where, _) in definitions.items()}
    homes = {key: home for key, (_, _, home) in definitions.items()}
    overrides: list[str] = []
    stated = dict.fromkeys(definitions, "")
    spread = dict(stated)
    meta: dict[str, Any] = {}
    data: tuple[Datum, ...] = ()
    label = name
    for ancestor in reversed(lineage):
        block, file = raw.entries[scope][ancestor]
        label = str(block.get("label") or ancestor)
        checked, data = read_meta(scope, ancestor, _mapping(block, "meta", file, ancestor), file, block.line)
        meta.update(checked)
        values = _mapping(block, "values", file, ancestor)
        for key, value in values.items():
            line = getattr(values, "lines", {}).get(key, block.line)
            if key not in merged:
                if scope != "hosts" or key not in laws.records:
                    known = [*definitions, *(laws.records if scope == "hosts" else ())]
                    raise InputError(
                        at_line(file, line, f"{ancestor}.{key}"), f"unknown parameter '{key}'", suggest(key, known)
                    )
                law, where, _ = raw.definitions["laws"][key]
                merged[key], lines[key] = dict(law), dict(where)
                overrides.append(key)
                stated[key] = spread[key] = "laws"
            partial = check_fields(value, file, line, f"{ancestor}.{key}")
            if {"spread", "between", "within"} & set(partial):
                spread[key] = ancestor
            if "value" in partial:
                stated[key] = ancestor
                lines[key] = {field: place for field, place in lines[key].items() if field not in OF_ONE_VALUE}
            merged[key] = merge(merged[key], partial)
            lines[key].update({field: (file, number) for field, number in partial.lines.items()})
            homes[key] = (file, line)
    records = {}
    for key, raw_record in merged.items():
        place = at_line(*lines[key].get("value", homes[key]), f"{name}.{key}.value")
        _check_dimension(key, raw_record.get("value"), raw, scope, place)
        defined = (definitions.get(key) or raw.definitions["laws"][key])[0]
        record = build_record(key, raw_record, lines[key], f"{scope}.{name}", homes[key], defined.get("distribution"))
        records[key] = _stated(record, stated[key], spread[key])
    law_records = {key: records.pop(key) for key in overrides}
    return Entry(name, label, plain(meta), records, law_records, lineage, data)


def _stated(record: Record, value: str, spread: str) -> Record:
    """A record that knows which entries state its value and its spread."""
    return replace(record, stated=value, spread=record.spread and replace(record.spread, stated=spread))


def _check_dimension(name: str, value: object, raw: _Raw, scope: str, place: str) -> None:
    """The unit of an entry's value must have the dimension of the definition's."""
    definition = (raw.definitions[scope].get(name) or raw.definitions["laws"][name])[0].get("value")
    if isinstance(value, str) and isinstance(definition, str):
        given, wanted = split_quantity(value, place)[1], split_quantity(definition, place)[1]
        if dimension_of(given, place) != dimension_of(wanted, place):
            problem = f"the unit {given or '1'} does not fit the definition's unit {wanted or '1'}"
            raise InputError(place, problem, f"give the value in {wanted or 'no unit'}")


def _mapping(block: Block, key: str, file: str, name: str) -> Block:
    value = block.get(key)
    if value is None:
        return Block()
    if not isinstance(value, Block):
        raise InputError(
            at_line(file, block.lines[key], f"{name}.{key}"), "must be a mapping", "one name per line, indented"
        )
    return value


def _check_sources(library: Library, raw: _Raw) -> None:
    for datum in library.data():
        for key in datum.source:
            if key not in library.bibliography:
                scope, _, owner = datum.scope.partition(".")
                block, file = raw.entries[scope][owner]
                place = at_line(file, block.lines.get("meta", block.line), f"{owner}.meta.{datum.name}")
                raise InputError(place, f"no reference '{key}' in references.bib", suggest(key, library.bibliography.references))
    for record in library.records():
        for key in record.cited:
            if key not in library.bibliography:
                scope, _, owner = record.scope.partition(".")
                file, line = _home(raw, scope, owner, record.name)
                raise InputError(
                    at_line(file, line, f"{owner}.{record.name}" if owner else record.name),
                    f"no reference '{key}' in references.bib",
                    suggest(key, library.bibliography.references),
                )


def _home(raw: _Raw, scope: str, owner: str, name: str) -> tuple[str, int]:
    """Return file and line of the nearest place where a record states something."""
    for ancestor in _lineage(raw, scope, owner) if owner else ():
        block, file = raw.entries[scope][ancestor]
        values = block.get("values")
        if isinstance(values, Block) and name in values:
            return file, values.lines[name]
    definition = raw.definitions[scope].get(name) or raw.definitions["laws"][name]
    return definition[2]


def _check_hosts(library: Library, raw: _Raw) -> None:
    """Hosts that a line's data name must exist."""
    for name, entry in library.lines.items():
        block, file = raw.entries["lines"][name]
        hosts = entry.meta.get("hosts", [])
        if not isinstance(hosts, list):
            raise InputError(
                at_line(file, block.line, f"{name}.meta.hosts"), "must be a list of hosts", "write hosts: [name]"
            )
        for host in hosts:
            if host not in library.hosts:
                raise InputError(
                    at_line(file, block.line, f"{name}.meta.hosts"),
                    f"unknown host '{host}'",
                    suggest(str(host), library.hosts),
                )
