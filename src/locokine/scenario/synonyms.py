"""Other names of agents (`meta: {synonyms: [rIL-2]}`) at the beginning of dosing lines."""

from __future__ import annotations

from collections.abc import Mapping

from locokine.errors import InputError
from locokine.parameters.library import Library


def agent_synonyms(library: Library) -> dict[str, tuple[str, ...]]:
    """Return synonym in lower case → agents that state it themselves (one that only inherits it is another substance)."""
    found: dict[str, list[str]] = {}
    for name, entry in library.agents.items():
        inherited = {word for parent in entry.lineage[1:] for word in library.agents[parent].meta.get("synonyms", [])}
        for word in entry.meta.get("synonyms", []):
            if word not in inherited:
                found.setdefault(" ".join(word.lower().split()), []).append(name)
    return {word: tuple(names) for word, names in found.items()}


def by_name(line: str, synonyms: Mapping[str, tuple[str, ...]], library: Library, place: str) -> str:
    """Return a dosing line whose agent is called by its name; a name of an agent is never a synonym.

    Raises
    ------
    InputError
        If several agents have the synonym.
    """
    words = line.split()
    if not words or words[0] in library.agents:
        return line
    for count in range(min(len(words), 5), 0, -1):
        names = list(synonyms.get(" ".join(words[:count]).lower(), ()))
        if not names:
            continue
        if len(names) > 1:
            said = " ".join(words[:count])
            raise InputError(place, f"'{said}' may be {' or '.join(names)}", "write the name of the agent")
        return " ".join([names[0], *words[count:]])
    return line
