"""The sources of all numbers: a small strict reader of BibTeX and a plain-text citation style."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from locokine.errors import InputError
from locokine.parameters.reading import at_line, read_file, suggest

_ENTRY = re.compile(r"@([A-Za-z]+)\s*\{\s*([A-Za-z0-9_:./+-]+)\s*,")
_FIELD = re.compile(r"\s*([A-Za-z][A-Za-z0-9_-]*)\s*=\s*")
_REQUIRED = ("title", "year")


@dataclass(frozen=True)
class Reference:
    """One entry of the bibliography: `kind` (article, …), `key` and its `fields` in lower case."""

    key: str
    kind: str
    fields: Mapping[str, str]
    file: str = ""
    line: int = 0

    def text(self) -> str:
        """Return the reference as one line: authors (year). Title. Journal volume:pages. doi."""
        get = self.fields.get
        authors = _authors(get("author", get("organization", get("institution", ""))))
        parts = [f"{authors} ({get('year')})." if authors else f"({get('year')}).", f"{get('title', '').rstrip('.')}."]
        where = get("journal") or get("booktitle") or get("publisher") or get("howpublished") or ""
        if get("volume"):
            where += f" {get('volume')}"
        if get("pages"):
            where += f":{get('pages', '').replace('--', '–')}"
        if where.strip():
            parts.append(f"{where.strip()}.")
        for name, prefix in (("doi", "doi:"), ("pmid", "PMID ")):
            if get(name):
                parts.append(f"{prefix}{get(name)}")
        return " ".join(parts)


def _authors(text: str) -> str:
    names = [name.strip() for name in re.split(r"\s+and\s+", text) if name.strip()]
    if len(names) > 3:
        return f"{names[0]} et al."
    return "; ".join(names)


@dataclass
class Bibliography:
    """All known references by key."""

    references: dict[str, Reference] = field(default_factory=dict)

    def __contains__(self, key: object) -> bool:
        return key in self.references

    def __len__(self) -> int:
        return len(self.references)

    def add(self, references: Iterable[Reference]) -> None:
        """Add references; a key that is already there with other content is an `InputError`."""
        for reference in references:
            known = self.references.get(reference.key)
            if known is not None and dict(known.fields) != dict(reference.fields):
                raise InputError(
                    at_line(reference.file, reference.line, reference.key),
                    f"the key is already used in {known.file}, line {known.line}",
                    "choose another key",
                )
            self.references.setdefault(reference.key, reference)

    def cite(self, keys: Iterable[str]) -> list[str]:
        """Return the references of `keys` as text, without repeats, sorted by key.

        Raises
        ------
        InputError
            If a key is not in the bibliography.
        """
        lines = []
        for key in sorted(set(keys)):
            if key not in self.references:
                raise InputError("references.bib", f"no reference '{key}'", suggest(key, self.references))
            lines.append(f"[{key}] {self.references[key].text()}")
        return lines


def read_bibliography(path: Path, name: str = "") -> list[Reference]:
    """Read a .bib file.

    Raises
    ------
    InputError
        With file and line, on anything that is not a complete entry.
    """
    return parse_bibliography(read_file(path), name or str(path))


def parse_bibliography(text: str, name: str = "references.bib") -> list[Reference]:
    """Read BibTeX text: entries `@kind{key, field = {…}, …}`; text between entries must be a comment (%)."""
    found: dict[str, Reference] = {}
    position = 0
    while True:
        position = _skip_comments(text, position, name)
        if position >= len(text):
            return list(found.values())
        line = text.count("\n", 0, position) + 1
        match = _ENTRY.match(text, position)
        if match is None:
            raise InputError(at_line(name, line), "an entry must begin '@article{key,'", "check the '@' and the key")
        fields, position = _fields(text, match.end(), name, match.group(2))
        key = match.group(2)
        if key in found:
            raise InputError(
                at_line(name, line, key), f"the key is used twice (first on line {found[key].line})", "rename one"
            )
        for required in _REQUIRED:
            if not fields.get(required):
                raise InputError(at_line(name, line, key), f"{required} is missing", f"add {required} = {{…}}")
        found[key] = Reference(key, match.group(1).lower(), fields, name, line)


def _skip_comments(text: str, position: int, name: str) -> int:
    while position < len(text):
        if text[position].isspace():
            position += 1
        elif text[position] == "%":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
        elif text[position] == "@":
            return position
        else:
            line = text.count("\n", 0, position) + 1
            raise InputError(at_line(name, line), "text outside an entry", "begin a comment line with %")
    return position


def _fields(text: str, position: int, name: str, key: str) -> tuple[dict[str, str], int]:
    fields: dict[str, str] = {}
    while True:
        rest = re.compile(r"[\s,]*").match(text, position)
        position = rest.end() if rest else position
        line = text.count("\n", 0, position) + 1
        if position < len(text) and text[position] == "}":
            return fields, position + 1
        match = _FIELD.match(text, position)
        if match is None:
            raise InputError(
                at_line(name, line, key), "a field must look like name = {value}", "check braces and commas"
            )
        value, position = _value(text, match.end(), name, key)
        field_name = match.group(1).lower()
        if field_name in fields:
            raise InputError(at_line(name, line, key), f"{field_name} is given twice", "remove one")
        fields[field_name] = " ".join(value.replace("{", "").replace("}", "").split())


def _value(text: str, position: int, name: str, key: str) -> tuple[str, int]:
    line = text.count("\n", 0, position) + 1
    if position < len(text) and text[position] == '"':
        end = text.find('"', position + 1)
        if end > 0:
            return text[position + 1 : end], end + 1
    elif position < len(text) and text[position] == "{":
        depth = 0
        for index in range(position, len(text)):
            depth += {"{": 1, "}": -1}.get(text[index], 0)
            if depth == 0:
                return text[position + 1 : index], index + 1
    else:
        match = re.compile(r"\d+").match(text, position)
        if match:
            return match.group(), match.end()
    raise InputError(at_line(name, line, key), "a field's value is not closed", "put it in braces: name = {value}")
