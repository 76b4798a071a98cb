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

    from locokine.scenario.model import FIELDS, ScenarioModel

    try:
        return ScenarioModel.model_validate(plain(root))
    except ValidationError as error:
        raise complaint(error.errors(include_url=False), where, FIELDS, "scenario") from None


def complaint(
    errors: list[Any], where: Where, fields: Mapping[str, tuple[str, ...]], root: str,
    remedies: Mapping[str, str] | None = None,
) -> InputError:
    """Turn pydantic's first error (unknown fields first: they explain missing ones) into ours.

    Parameters
    ----------
    errors
        Of pydantic.
    where
        Finds lines.
    fields
        Known fields by the first field of the path ("" for the file itself).
    root
        What the file is called where no field is at fault.
    remedies
        Field → what to do if it is missing, where that is not obvious.
    """
    first = min(enumerate(errors), key=lambda item: (item[1]["type"] != "extra_forbidden", item[0]))[1]
    path = tuple(key for key in first["loc"] if key not in ("[key]",) and not str(key).startswith("function-"))
    problem, remedy = _explain(first, path, fields)
    if first["type"] == "missing" and path:
        remedy = (remedies or {}).get(str(path[-1]), remedy)
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    cause = first.get("ctx", {}).get("error")
    inside = (cause.place,) if isinstance(cause, InputError) and cause.place.isidentifier() else ()
    return InputError(where.place(*path, *inside) or root, problem, remedy + more)


_KINDS = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "dict": "a mapping, one name per line",
    "list": "a list",
    "bool": "on or off",
    "model": "a mapping of fields",
}


def _explain(
    error: Mapping[str, Any], path: tuple[str | int, ...], fields: Mapping[str, tuple[str, ...]]
) -> tuple[str, str]:
    """Return (problem, remedy) in plain words."""
    kind, context = str(error["type"]), error.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, InputError):
        return cause.problem, cause.remedy
    last = str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        return f"unknown field '{last}'", suggest(last, fields.get(str(path[0]) if len(path) > 1 else "", fields[""]))
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
    if kind == "string_pattern_mismatch":
        return f"'{error['input']}' has characters that are not allowed", "use letters, digits and _ . -"
    if kind in ("too_short", "string_too_short"):
        return "is empty", "give at least one"
    for stem, wanted in _KINDS.items():
        if kind.startswith(stem):
            given = "nothing" if error.get("input") is None else f"'{str(error.get('input'))[:60]}'"
            return f"{given} is not {wanted}", f"write {wanted}"
    return str(error["msg"]), "see the JSON Schema: locokine schema"
