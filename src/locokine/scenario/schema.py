"""The JSON Schema of scenario files, for editors and other programs."""

from __future__ import annotations

from typing import Any


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a scenario.

    It describes names, types and limits; units, dosing lines and names of the library are checked when a file is
    loaded.
    """
    from locokine.scenario import dosing
    from locokine.scenario.model import ScenarioModel

    schema = ScenarioModel.model_json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "locokine scenario"
    form = " ".join((dosing.__doc__ or "").split())
    schema["properties"]["arms"]["description"] += f". {form}"
    line_or_lines = {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}, {"type": "null"}]}
    schema["properties"]["arms"]["additionalProperties"] = line_or_lines
    switch = {"anyOf": [{"type": "boolean"}, {"enum": ["on", "off"]}]}
    schema["properties"]["switches"]["additionalProperties"] = switch
    return schema
