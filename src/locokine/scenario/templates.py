"""The scenarios that ship with locokine, and which of them `locokine new` writes.

A shipped file names the template it serves in a comment, `# template: NAME`; nothing here knows the names.
"""

from __future__ import annotations

import re
from pathlib import Path

from locokine.errors import InputError
from locokine.parameters.reading import suggest

FOLDER = Path(__file__).parent.parent / "examples"
_TEMPLATE = re.compile(r"^#\s*template:\s*(\w+)\s*$", re.MULTILINE)


def examples() -> dict[str, Path]:
    """Return the shipped scenarios: name → file."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def templates() -> dict[str, Path]:
    """Return what `locokine new NAME` can write: name → file."""
    found: dict[str, Path] = {}
    for path in examples().values():
        match = _TEMPLATE.search(path.read_text(encoding="utf-8"))
        if match:
            found[match.group(1)] = path
    return found


def template_text(name: str) -> str:
    """Return the commented scenario of a template, or of a shipped example by its own name.

    Raises
    ------
    InputError
        If there is no such template.
    """
    known = {**examples(), **templates()}
    if name not in known:
        raise InputError("new", f"no template or example '{name}'", suggest(name, (*templates(), *examples())))
    text = known[name].read_text(encoding="utf-8")
    return re.sub(r"^#\s*template:.*\n", "", text, flags=re.MULTILINE)
