"""YAML text → plain mappings and lists that remember the line of every key.

Only the part of YAML that people write by hand is accepted: one document, text keys, no anchors, tags or merge keys.
Everything else is an `InputError` with file and line.
"""

from __future__ import annotations

import difflib
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from locokine.errors import InputError

_INTEGER = re.compile(r"[+-]?\d{1,18}$")
_FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$")
_WORDS: dict[str, object] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    ".inf": float("inf"),
    "-.inf": float("-inf"),
    ".nan": float("nan"),
    ".NaN": float("nan"),
    ".Inf": float("inf"),
    "-.Inf": float("-inf"),
    ".INF": float("inf"),
    ".NAN": float("nan"),
}
_MAX_DEPTH = 30
MOST_BYTES = 50_000_000
"""Largest text file that is read, bytes; a dose table with all of its 100,000 rows takes a fifth of it."""


class Block(dict[str, Any]):
    """A mapping that knows the line it starts on (`line`) and the line of every key (`lines`)."""

    line: int = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lines: dict[str, int] = {}


class Items(list[Any]):
    """A list that knows the line it starts on (`line`) and the line of every item (`lines`)."""

    line: int = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lines: list[int] = []


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the remedy for an unknown name: the nearest known names, or the list of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    if not close:
        lowered = {candidate.lower(): candidate for candidate in names}
        close = [lowered[match] for match in difflib.get_close_matches(name.lower(), list(lowered), n=2, cutoff=0.6)]
    if close:
        return f"did you mean {' or '.join(close)}?"
    if not names:
        return "there are none to choose from"
    shown = ", ".join(names[:20])
    return f"known: {shown}" + (", …" if len(names) > 20 else "")


def at_line(name: str, line: int | None, field: str = "") -> str:
    """Return the place of an error: `file, line 3, field` with the parts that are known."""
    parts = [name] if name else []
    if line:
        parts.append(f"line {line}")
    if field:
        parts.append(field)
    return ", ".join(parts)


def read_file(path: Path) -> str:
    """Return the text of a file.

    Raises
    ------
    InputError
        If it does not exist, cannot be read, is no regular file (a device, a pipe), larger than `MOST_BYTES`, or not UTF-8 text.
    """
    try:
        kind = path.stat()
        if stat.S_ISDIR(kind.st_mode):
            raise IsADirectoryError
        if not stat.S_ISREG(kind.st_mode):
            raise InputError(str(path), "is no regular file", "give a file, not a device or a pipe")
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise InputError(str(path), f"is larger than {MOST_BYTES // 10**6} MB", "split it, or give another file")
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        raise InputError(str(path), "no such file", "check the path") from None
    except IsADirectoryError:
        raise InputError(str(path), "is a folder", "give a file") from None
    except UnicodeDecodeError:
        raise InputError(str(path), "is not UTF-8 text", "save it as UTF-8") from None
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(str(path), f"cannot be read ({error})", "check the path and its permissions") from None


def read_yaml(text: str, name: str) -> Any:
    """Read one YAML document.

    Parameters
    ----------
    text
        The document.
    name
        What errors call it, usually the path.

    Returns
    -------
    Block, Items, str, int, float, bool or None
        Plain scalars follow YAML 1.2 (`off` and `no` are words, `1e6` is a number).

    Raises
    ------
    InputError
        If the text is malformed, has duplicate keys, anchors, tags, or more than one document.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return _Builder(iter(YAML(typ="safe", pure=True).parse(text)), name).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(str(error.problem or error.context or "cannot be read").split())
        line = mark.line + 1 if mark is not None else None
        remedy = "check indentation, colons and quotes; a text with ':' or '#' needs quotes"
        raise InputError(at_line(name, line), f"malformed YAML: {problem}", remedy) from None
    except (YAMLError, ValueError, RecursionError, AttributeError, IndexError, AssertionError) as error:
        if isinstance(error, InputError):
            raise
        detail = " ".join(str(error).split())[:120]
        raise InputError(
            name, f"malformed YAML: {detail}", "check for unprintable characters and indentation"
        ) from None


class _Builder:
    """Builds the tree from the parser's events."""

    def __init__(self, events: Iterator[Any], name: str) -> None:
        self.events = events
        self.name = name

    def document(self) -> Any:
        from ruamel.yaml import events as kinds

        root: Any = None
        seen = 0
        for event in self.events:
            if isinstance(event, kinds.DocumentStartEvent):
                seen += 1
                if seen > 1:
                    line = event.start_mark.line + 1
                    raise InputError(at_line(self.name, line), "a second document begins here", "remove the line '---'")
            elif isinstance(event, (kinds.StreamStartEvent, kinds.StreamEndEvent, kinds.DocumentEndEvent)):
                continue
            else:
                root = self._value(event, 0)
        return root

    def _refuse(self, event: Any, what: str, remedy: str) -> InputError:
        return InputError(at_line(self.name, event.start_mark.line + 1), what, remedy)

    def _value(self, event: Any, depth: int) -> Any:
        from ruamel.yaml import events as kinds

        if depth > _MAX_DEPTH:
            raise self._refuse(event, "nested too deeply", "no field is nested that deeply")
        if isinstance(event, kinds.AliasEvent) or getattr(event, "anchor", None):
            raise self._refuse(
                event, "anchors and aliases (& and *) are not understood", "write the value out, or quote it"
            )
        if getattr(event, "ctag", None) is not None and str(event.tag) != "None":
            raise self._refuse(event, f"the tag {event.tag} is not understood", "remove it, or quote the text")
        if isinstance(event, kinds.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, kinds.SequenceStartEvent):
            items = Items()
            items.line = event.start_mark.line + 1
            for item in self.events:
                if isinstance(item, kinds.SequenceEndEvent):
                    break
                items.lines.append(item.start_mark.line + 1)
                items.append(self._value(item, depth + 1))
            return items
        return self._mapping(event, depth)

    def _mapping(self, event: Any, depth: int) -> Block:
        from ruamel.yaml import events as kinds

        block = Block()
        block.line = event.start_mark.line + 1
        for key_event in self.events:
            if isinstance(key_event, kinds.MappingEndEvent):
                break
            if not isinstance(key_event, kinds.ScalarEvent):
                raise self._refuse(key_event, "a key must be a plain word", "put quotes around it")
            if key_event.anchor or str(key_event.tag) != "None":
                raise self._refuse(key_event, "a key must be a plain word", "remove the anchor or tag")
            key = str(key_event.value)
            line = key_event.start_mark.line + 1
            if key == "<<" and key_event.style is None:
                raise self._refuse(key_event, "merge keys (<<) are not understood", "write the fields out")
            if key in block:
                problem = f"'{key}' is given twice (first on line {block.lines[key]})"
                raise InputError(at_line(self.name, line, key), problem, "remove or rename one of them")
            block[key] = self._value(next(self.events), depth + 1)
            block.lines[key] = line
        return block

    @staticmethod
    def _scalar(event: Any) -> Any:
        text = str(event.value)
        if event.style is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.match(text):
            return int(text)
        if _FLOAT.match(text):
            return float(text)
        return text


def plain(value: Any) -> Any:
    """Return the tree as ordinary dicts and lists."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
