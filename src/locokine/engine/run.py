"""What one simulated arm hands over: plain arrays, in the order of `engine.variables`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass
class ArmRun:
    """All output of one arm.

    Attributes
    ----------
    arm
        Name.
    lesions
        Names of the lesions, in the order of the lesion axis.
    agents
        Names in the order of the agent axis of `exposure`: "endogenous" first, then the agents of the protocol.
    subject_ids
        Shape (subjects,), int: which subject of the population each column is.
    daily_time
        Shape (days + 1,), h.
    daily_lesion
        Shape (len(LESION), lesions, days + 1, subjects), for every subject.
    daily_body
        Shape (len(BODY), days + 1, subjects).
    series_time
        Shape (times,), h: every few hours, closer after doses.
    series_lesion, series_body
        Shape (len(LESION), lesions, times, detailed) and (len(BODY), times, detailed): the first `detailed` subjects.
    field_time
        Shape (field times,), h.
    fields
        Shape (len(FIELD), lesions, field times, shells, pictured): the first `pictured` subjects.
    exposure
        Shape (len(PLACES), agents + 1, 2, subjects): peak in nM and AUC in nM·h; the last entry of the agent axis is
        receptor-active IL-2 (all agents weighted by their activity). "tumour" and "rim" are means over lesions.
    dosed
        Shape (agents, subjects): amount really given, fmol.
    reached_plasma
        Shape (agents, subjects): amount that entered the plasma, fmol.
    events
        Columns "subject" (int), "time_h" (float), "kind" (str), "lesion" (str, may be ""), "value" (float).
    end_state
        Lets the engine continue these hosts (rechallenge, resume): None, or arrays with the subjects on their last
        axis, possibly in nested dicts, lists and tuples; numbers and texts in it belong to all subjects.
    worst_grades
        Optional, shape (len(body.grades.TERMS), subjects): worst grade at any step since the first dose (daily values
        miss what comes and goes within a day).
    cure_probability
        Optional, shape (subjects,): extinction probability of all clonogens of the host.
    """

    arm: str
    lesions: tuple[str, ...]
    agents: tuple[str, ...]
    subject_ids: NDArray[np.int64]
    daily_time: Array
    daily_lesion: Array
    daily_body: Array
    series_time: Array
    series_lesion: Array
    series_body: Array
    field_time: Array
    fields: Array
    exposure: Array
    dosed: Array
    reached_plasma: Array
    events: dict[str, list[Any]]
    end_state: Any = None
    worst_grades: Array | None = None
    cure_probability: Array | None = None

    @property
    def subjects(self) -> int:
        """How many hosts."""
        return len(self.subject_ids)

    @property
    def detailed(self) -> int:
        """How many of them (the first ones) have full series."""
        return self.series_body.shape[-1]

    @property
    def pictured(self) -> int:
        """How many of them (the first ones) have fields."""
        return self.fields.shape[-1]

    @classmethod
    def concatenate(cls, parts: Sequence[ArmRun]) -> ArmRun:
        """Join runs of the same arm over further subjects, in the order given.

        Series and fields stay those of the *first* subjects: a part's are kept only while all subjects before it have
        theirs. Events are sorted by subject and time.

        Raises
        ------
        ValueError
            If the parts are not of the same arm, lesions, agents and times.
        """
        if not parts:
            raise ValueError("nothing to join")
        first = parts[0]
        for part in parts[1:]:
            _same_arm(first, part)
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts], axis=-1)
            for name in ("subject_ids", *_BY_SUBJECT)
        }
        for name in _OPTIONAL:
            values = [getattr(part, name) for part in parts]
            joined[name] = None if any(value is None for value in values) else np.concatenate(values, axis=-1)
        for names in (("series_lesion", "series_body"), ("fields",)):
            leading = _leading(parts, names[-1])
            for name in names:
                joined[name] = np.concatenate([getattr(part, name) for part in leading], axis=-1)
        joined["events"] = _join_events([part.events for part in parts])
        joined["end_state"] = _join_state([part.end_state for part in parts])
        return replace(first, **joined)

    def select(self, count: int) -> ArmRun:
        """The first `count` subjects alone (without the state the engine needs to go on)."""
        kept = {int(i) for i in self.subject_ids[:count]}
        rows = [i for i, subject in enumerate(self.events["subject"]) if int(subject) in kept]
        changed: dict[str, Any] = {
            name: getattr(self, name)[..., :count]
            for name in ("subject_ids", *_BY_SUBJECT, "series_lesion", "series_body", "fields")
        }
        for name in _OPTIONAL:
            value = getattr(self, name)
            changed[name] = None if value is None else value[..., :count]
        changed["events"] = {name: [column[i] for i in rows] for name, column in self.events.items()}
        return replace(self, **changed, end_state=None)

    def save(self, target: Path | IO[bytes]) -> None:
        """Write everything, `end_state` included, to one `.npz` file (exact, no pickle)."""
        arrays: dict[str, np.ndarray] = {}
        form = {item.name: _pack(getattr(self, item.name), item.name, arrays) for item in fields(self)}
        text = np.frombuffer(json.dumps(form).encode(), dtype=np.uint8)
        np.savez(target, __form__=text, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, source: Path | IO[bytes]) -> ArmRun:
        """Read what `save` wrote.

        Raises
        ------
        ValueError, OSError, KeyError
            If the file is not one of ours, or incomplete.
        """
        with np.load(source, allow_pickle=False) as arrays:
            form = json.loads(arrays["__form__"].tobytes().decode())
            return cls(**{name: _unpack(value, arrays) for name, value in form.items()})


_BY_SUBJECT = ("daily_lesion", "daily_body", "exposure", "dosed", "reached_plasma")
_OPTIONAL = ("worst_grades", "cure_probability")


def _same_arm(first: ArmRun, other: ArmRun) -> None:
    for name in ("arm", "lesions", "agents"):
        if getattr(first, name) != getattr(other, name):
            raise ValueError(f"parts differ in {name}: {getattr(first, name)!r}, {getattr(other, name)!r}")
    for name in ("daily_time", "series_time", "field_time"):
        if not np.array_equal(getattr(first, name), getattr(other, name)):
            raise ValueError(f"parts differ in {name}")


def _leading(parts: Sequence[ArmRun], name: str) -> list[ArmRun]:
    """Parts up to the first that lacks `name` for some of its subjects (that one included)."""
    kept: list[ArmRun] = []
    for part in parts:
        kept.append(part)
        if getattr(part, name).shape[-1] < part.subjects:
            break
    return kept


def _join_events(tables: Sequence[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    columns = {name: [value for table in tables for value in table[name]] for name in tables[0]}
    order = sorted(range(len(columns["subject"])), key=lambda i: (columns["subject"][i], columns["time_h"][i]))
    return {name: [column[i] for i in order] for name, column in columns.items()}


def _join_state(states: Sequence[Any]) -> Any:
    first = states[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(states, axis=-1)
    if isinstance(first, dict):
        return {key: _join_state([state[key] for state in states]) for key in first}
    if isinstance(first, (list, tuple)):
        return type(first)(_join_state(list(items)) for items in zip(*states, strict=True))
    if any(state != first for state in states):
        raise ValueError("parts end in states that do not fit together")
    return first


def _pack(value: Any, place: str, arrays: dict[str, np.ndarray]) -> Any:
    """JSON form of `value`; its arrays go to `arrays` under their place."""
    if isinstance(value, np.ndarray):
        arrays[place] = value
        return {"array": place}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {"dict": [[str(key), _pack(item, f"{place}.{key}", arrays)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        items = [_pack(item, f"{place}.{i}", arrays) for i, item in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{place}: a {type(value).__name__} cannot be stored")


def _unpack(value: Any, arrays: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "dict":
        return {key: _unpack(item, arrays) for key, item in content}
    items = (_unpack(item, arrays) for item in content)
    return tuple(items) if kind == "tuple" else list(items)
