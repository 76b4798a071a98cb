"""What one simulated arm hands over: plain arrays, in the order of `engine.variables`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Room = Callable[[tuple[int, ...], Any], np.ndarray]
"""Gives an array of a shape and dtype."""


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
        """Join runs of the same arm over further subjects, in the order given; see `gather`."""
        return cls.gather(parts, sum(part.subjects for part in parts))

    @classmethod
    def gather(cls, parts: Iterable[ArmRun], subjects: int, room: Room = np.empty) -> ArmRun:
        """Join runs of the same arm over further subjects as they come, one at a time.

        Series and fields stay those of the *first* subjects: a part's are kept only while all subjects before it have
        theirs. Events are sorted by subject and time.

        Parameters
        ----------
        parts
            In the order of their subjects; none is kept.
        subjects
            How many there are in all.
        room
            Gives an array of a shape and dtype to be filled (in memory, or on disk for very many subjects).

        Raises
        ------
        ValueError
            If there is no part, or the parts are not of the same arm, lesions, agents and times.
        """
        first, joined, at = None, {}, 0
        leading: dict[str, list[Array]] = {name: [] for names in _LEADING for name in names}
        events: list[dict[str, list[Any]]] = []
        for part in parts:
            if first is None:
                first = replace(part, end_state=None)
                named = ("subject_ids", *_BY_SUBJECT, *_OPTIONAL, "end_state")
                joined = {name: _room_for(getattr(part, name), subjects, room) for name in named}
            _same_arm(first, part)
            for name in joined:
                joined[name] = _fill(joined[name], getattr(part, name), at, at + part.subjects)
            for names in _LEADING:
                if sum(values.shape[-1] for values in leading[names[-1]]) == at:  # all before it have theirs
                    for name in names:
                        leading[name].append(getattr(part, name))
            events.append(part.events)
            at += part.subjects
        if first is None:
            raise ValueError("nothing to join")
        joined |= {name: np.concatenate(values, axis=-1) for name, values in leading.items()}
        return replace(first, **joined, events=_join_events(events))

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
_LEADING = (("series_lesion", "series_body"), ("fields",))


def _same_arm(first: ArmRun, other: ArmRun) -> None:
    for name in ("arm", "lesions", "agents"):
        if getattr(first, name) != getattr(other, name):
            raise ValueError(f"parts differ in {name}: {getattr(first, name)!r}, {getattr(other, name)!r}")
    for name in ("daily_time", "series_time", "field_time"):
        if not np.array_equal(getattr(first, name), getattr(other, name)):
            raise ValueError(f"parts differ in {name}")


def _join_events(tables: Sequence[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    columns = {name: [value for table in tables for value in table[name]] for name in tables[0]}
    order = sorted(range(len(columns["subject"])), key=lambda i: (columns["subject"][i], columns["time_h"][i]))
    return {name: [column[i] for i in order] for name, column in columns.items()}


def _room_for(value: Any, subjects: int, room: Room) -> Any:
    """`value` of one part with room for all subjects on the last axis of its arrays."""
    if isinstance(value, np.ndarray):
        return room((*value.shape[:-1], subjects), value.dtype)
    if isinstance(value, dict):
        return {key: _room_for(item, subjects, room) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_room_for(item, subjects, room) for item in value)
    return value


def _fill(whole: Any, value: Any, first: int, last: int) -> Any:
    """`whole` with the columns `first` to `last` taken from `value`; None once a part has none."""
    if isinstance(whole, np.ndarray):
        if value is None:
            return None
        whole[..., first:last] = value
        return whole
    if isinstance(whole, dict):
        return {key: _fill(item, value[key], first, last) for key, item in whole.items()}
    if isinstance(whole, (list, tuple)):
        return type(whole)(_fill(item, other, first, last) for item, other in zip(whole, value, strict=True))
    if whole is not None and value != whole:
        raise ValueError("parts end in states that do not fit together")
    return whole


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
