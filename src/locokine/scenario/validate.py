"""Types and limits of a scenario's fields: pydantic's complaints in the user's words, with file, line and field."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from locokine.errors import InputError
from locokine.parameters.reading import at_line, plain, suggest

if TYPE_CHECKING:
    from locokine.scenario.model import ScenarioModel


@dataclasses.dataclass(frozen=True)
class Where:
    """Finds the line of a field: the tree as read, and the name of its file."""

    root: Any
    name: str

    def place(self, *path: str | int) -> str:
        """Return `file, line N, field.path` for a path of keys and indices."""
        line, node = None, self.root
        for key in path:
            lines = getattr(node, "lines", None)
            if isinstance(node, dict) and key in node:
                line = lines.get(str(key), line) if isinstance(lines, dict) else line
                node = node[key]
            elif isinstance(node, list) and isinstance(key, int) and key < len(node):
                line = lines[key] if isinstance(lines, list) and key < len(lines) else line
                node = node[key]
            else:
                break
        label = ""
        for key in path:
            label += f"[{key + 1}]" if isinstance(key, int) else f".{key}" if label else key
        return at_line(self.name, line, label)


def validate(root: Mapping[str, Any], where: Where) -> ScenarioModel:
    """Return the scenario with checked types and limits.

    Raises
    ------
    InputError
        For the first complaint; unknown fields come first, because they explain missing ones.
    """
    from pydantic import ValidationError

    from locokine.scenario.model import ScenarioModel

    try:
        return ScenarioModel.model_validate(plain(root))
    except ValidationError as error:
        raise _complaint(error.errors(include_url=False), where) from None


def _complaint(errors: list[Any], where: Where) -> InputError:
    """Turn pydantic's first error (unknown fields first: they explain missing ones) into ours."""
    first = min(enumerate(errors), key=lambda item: (item[1]["type"] != "extra_forbidden", item[0]))[1]
    path = tuple(key for key in first["loc"] if key not in ("[key]",) and not str(key).startswith("function-"))
    problem, remedy = _explain(first, path)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return InputError(where.place(*path) or "scenario", problem, remedy + more)


_KINDS = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "dict": "a mapping, one name per line",
    "list": "a list",
    "bool": "on or off",
    "model": "a mapping of fields",
}


def _explain(error: Mapping[str, Any], path: tuple[str | int, ...]) -> tuple[str, str]:
    """Return (problem, remedy) in plain words."""
    from locokine.scenario.model import FIELDS

    kind, context = str(error["type"]), error.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, InputError):
        return cause.problem, cause.remedy
    last = str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        return f"unknown field '{last}'", suggest(last, FIELDS.get(str(path[0]) if len(path) > 1 else "", FIELDS[""]))
    if kind == "missing":
        return f"the field '{last}' is missing", f"add '{last}:'"
    if kind in ("greater_than_equal", "less_than_equal"):
        bound = f"at least {context['ge']:g}" if "ge" in context else f"at most {context['le']:g}"
        return f"{error['input']} must be {bound}", "change the number"
    if kind == "finite_number":
        return f"{error['input']} is not a finite number", "write an ordinary number"
    if kind == "literal_error":
        known = [word.strip().strip("'") for word in str(context.get("expected", "")).replace(" or ", ",").split(",")]
        return f"unknown {last} '{error['input']}'", f"one of {', '.join(known)}"
    if kind in ("too_short", "string_too_short"):
        return "is empty", "give at least one"
    for stem, wanted in _KINDS.items():
        if kind.startswith(stem):
            given = "nothing" if error.get("input") is None else f"'{str(error.get('input'))[:60]}'"
            return f"{given} is not {wanted}", f"write {wanted}"
    return str(error["msg"]), "see the JSON Schema: locokine schema"
