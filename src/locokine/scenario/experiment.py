"""The loaded experiment: protocol, library, subjects, seed and the values of its parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from locokine.errors import InputError
from locokine.parameters.library import Entry, Library
from locokine.parameters.reading import suggest
from locokine.parameters.records import Record, check_physical
from locokine.scenario.amounts import AgentUnits
from locokine.scenario.protocol import CAVITIES, Protocol
from locokine.units import dimension_of, format_quantity, parse_quantity, unit_factor

WEIGHT_NAMES = ("body_weight", "weight", "body_mass")
"""Names under which a host's record of its mass is looked for, in this order."""

MOLAR_MASS = "molar_mass"
IU_FACTOR = "fmol_per_iu"
POTENCY = "potency_"
TOXIC = ("toxic_tumour", "toxic_regulatory", "toxic_lymphocyte")
"""Records of an agent that its units of dose rest on: two names, the beginning of the names of its potencies, death rates."""


@dataclass(frozen=True)
class Experiment:
    """What a scenario means, ready to be simulated.

    Attributes
    ----------
    name, description
        As the user wrote them.
    protocol
        Lesions, arms, doses and rules in internal units.
    host
        Name of the host in the library.
    library
        The parameters.
    subjects, seed
        Hosts per arm, and seed of all draws.
    overrides
        `parameter` or `entry.parameter` → value in internal units.
    readouts
        Variables to keep; empty for all.
    source
        The scenario in the user's terms, defaults filled in (plain dicts, lists, text and numbers).
    path
        File that it came from, if any.
    uncertainty
        OWNER.NAME → draws of a posterior (internal units), over which subjects are spread; empty for the library's values.
    """

    name: str
    protocol: Protocol
    host: str
    library: Library
    subjects: int
    seed: int
    overrides: Mapping[str, float] = field(default_factory=dict)
    readouts: tuple[str, ...] = ()
    description: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    uncertainty: Mapping[str, Any] = field(default_factory=dict)

    @property
    def switches(self) -> dict[str, bool]:
        """Mechanism → on or off, for those that the scenario names (groups resolved)."""
        return self.protocol.switches

    @property
    def host_entry(self) -> Entry:
        """The host's entry of the library."""
        return self.library.hosts[self.host]

    @property
    def lines(self) -> tuple[str, ...]:
        """Tumour lines in use: those of the lesions, then those of the rechallenge; no repeats."""
        named = [plan.line for plan in self.protocol.lesions]
        if self.protocol.rechallenge is not None:
            named += self.protocol.rechallenge.lines
        return tuple(dict.fromkeys(named))

    def records(self) -> dict[str, Record]:
        """Return the records of laws and host, with the host's own law values and the overrides applied."""
        entry = self.host_entry
        merged = {**self.library.laws.records, **entry.law_overrides, **entry.records, **self._cavity_records()}
        return self._overridden(merged, self.host)

    def _cavity_records(self) -> dict[str, Record]:
        """Return the records of a cavity other than the peritoneum, from the host's data (assumed values)."""
        entry = self.host_entry
        made: dict[str, Record] = {}
        for site in {plan.site for plan in self.protocol.lesions if plan.site in CAVITIES and plan.site != "peritoneum"}:
            for name, text in entry.meta.get("cavities", {}).get(site, {}).items():
                place = f"hosts.{self.host}, cavities.{site}.{name}"
                if name not in entry.records or not name.startswith(("cavity_", "endpoint_cavity")):
                    known = [key for key in entry.records if key.startswith("cavity_")]
                    raise InputError(place, f"no parameter '{name}' of a cavity", suggest(name, known))
                record = entry.records[name]
                value = parse_quantity(text, record.unit, place, minimum=None)
                made[name] = dataclasses.replace(record.with_value(value, place), status="assumed", source=())
        return made

    def line_records(self, line: str) -> dict[str, Record]:
        """Return the records of a tumour line, overrides applied."""
        return self._overridden(self._entry("lines", line).records, line)

    def agent_records(self, agent: str) -> dict[str, Record]:
        """Return the records of an agent, overrides applied."""
        return self._overridden(self._entry("agents", agent).records, agent)

    def _entry(self, scope: str, name: str) -> Entry:
        entries = self.library.entries(scope)
        if name not in entries:
            raise InputError(scope, f"unknown name '{name}'", suggest(name, entries))
        return entries[name]

    def _overridden(self, records: Mapping[str, Record], owner: str) -> dict[str, Record]:
        made = dict(records)
        for key in (
            *(name for name in self.overrides if "." not in name),
            *(name for name in self.overrides if "." in name),
        ):
            entry, _, name = key.rpartition(".")
            if name in made and entry in ("", owner):
                made[name] = made[name].with_value(self.overrides[key], f"override {key}")
        return made

    def used_records(self) -> list[Record]:
        """Return all records that this experiment draws on: laws, host, its lines and agents."""
        found = list(self.records().values())
        for line in self.lines:
            found += self.line_records(line).values()
        for agent in self.protocol.agents:
            found += self.agent_records(agent).values()
        return found

    def bibliography(self) -> list[str]:
        """Return the references of all numbers in use, one line each."""
        return self.library.cite(self.used_records())

    @property
    def host_weight_kg(self) -> float:
        """Median mass of the host, kg."""
        weight = weight_of(self.records())
        if weight is not None:
            return weight
        raise InputError(
            f"hosts.{self.host}", "the host has no mass", f"add a parameter called {WEIGHT_NAMES[0]} in kg"
        )

    def agent_units(self, agent: str) -> AgentUnits:
        """Return how IU, mass and amount of substance of an agent are connected."""
        return agent_units(self._entry("agents", agent), self.agent_records(agent))

    def changed(
        self,
        *,
        subjects: int | None = None,
        seed: int | None = None,
        overrides: Mapping[str, str | float] | None = None,
        switches: Mapping[str, bool] | None = None,
    ) -> Experiment:
        """Return the same experiment with something changed.

        Parameters
        ----------
        subjects, seed
            New values, or None to keep them.
        overrides
            Parameter → text with unit (a bare number is taken in internal units); added to those already there.
        switches
            Mechanism or group → on or off; added to those already there.
        """
        from locokine.scenario.load import expand_switches, redose

        source = dict(self.source)
        new = dict(self.overrides)
        for key, value in (overrides or {}).items():
            place = f"override {key}"
            new[key] = resolve_override(self, key, value, place) if isinstance(value, str) else float(value)
            for record in override_targets(self, key, place):
                check_override(record, new[key], place)
        protocol = self.protocol
        if switches:
            merged = {**protocol.switches, **expand_switches(switches, "switches", {})}
            protocol = dataclasses.replace(protocol, switches=merged)
            source["switches"] = dict(merged)
        if subjects is not None:
            if subjects < 1:
                raise InputError("subjects", f"{subjects} must be at least 1", "write e.g. 100")
            source["subjects"] = subjects
        if seed is not None:
            if not 0 <= seed < 2**63:
                raise InputError("seed", f"{seed} must be between 0 and 2^63", "write e.g. 1")
            source["seed"] = seed
        made = dataclasses.replace(
            self,
            protocol=protocol,
            subjects=self.subjects if subjects is None else subjects,
            seed=self.seed if seed is None else seed,
            overrides=new,
            source=source,
        )
        return redose(made)

    def resolved(self) -> dict[str, Any]:
        """Return the whole experiment as plain data: loading it again gives the same protocol and values.

        Returns
        -------
        dict
            The scenario with all defaults, `schema_version`, `locokine` (version), `library_digest`, and `parameters`:
            every value in use as text with its unit, exact to the last bit.
        """
        from locokine import __version__
        from locokine.scenario.model import SCHEMA_VERSION

        made: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "locokine": __version__,
            "library_digest": self.library.digest,
        }
        made.update({key: value for key, value in self.source.items() if key not in made})
        overrides = {}
        for key, value in self.overrides.items():
            record = override_targets(self, key, f"override {key}")[0]
            overrides[key] = _exact(value, record.unit)
        made["overrides"] = overrides
        if self.uncertainty:
            made["uncertainty"] = draws_digest(self.uncertainty)
        records = self.records()
        hosts = {*self.host_entry.records, *self.host_entry.law_overrides}
        made["parameters"] = {
            "laws": _values({name: record for name, record in records.items() if name not in hosts}),
            self.host: _values({name: record for name, record in records.items() if name in hosts}),
            **{line: _values(self.line_records(line)) for line in self.lines},
            **{agent: _values(self.agent_records(agent)) for agent in self.protocol.agents},
        }
        return made

    def resolved_text(self) -> str:
        """Return `resolved()` as YAML text, in the order of the scenario."""
        from io import StringIO

        from ruamel.yaml import YAML

        writer = YAML()
        writer.width = 10_000  # never fold a dosing line
        stream = StringIO()
        writer.dump(self.resolved(), stream)
        return stream.getvalue()


def _values(records: Mapping[str, Record]) -> dict[str, str]:
    return {name: _exact(record.value, record.unit) for name, record in records.items()}


def draws_digest(drawn: Mapping[str, Any]) -> str:
    """Digest of draws of parameters: names and numbers."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(drawn):
        digest.update(f"{name}|{[float(x) for x in drawn[name]]!r}|".encode())
    return digest.hexdigest()[:16]


def _exact(value: float, unit: str) -> str:
    return format_quantity(value, unit)


def agent_units(entry: Entry, records: Mapping[str, Record] | None = None) -> AgentUnits:
    """Return the unit system of an agent.

    Mass and amount of substance are connected by the record `molar_mass`, activity by `fmol_per_iu`. An agent whose
    potencies are all zero has no activity, hence no IU; `meta: {substance: false}` marks one without any substance,
    `particles: true` one that is not put into blood.

    Parameters
    ----------
    entry
        The agent.
    records
        Its records, if other than those of the library (overrides applied).

    Raises
    ------
    InputError
        If the agent has a substance but no molar mass.
    """
    found = entry.records if records is None else records
    if entry.meta.get("substance") is False:
        return AgentUnits(None, None, inert=True)
    if MOLAR_MASS not in found or found[MOLAR_MASS].value <= 0.0:
        raise InputError(
            f"agents.{entry.name}",
            f"{MOLAR_MASS} is missing or zero",
            f"add the parameter {MOLAR_MASS} in kDa, or mark a vehicle by meta: {{substance: false}}",
        )
    potencies = [record.value for name, record in found.items() if name.startswith(POTENCY)]
    without = bool(potencies) and not any(potencies)
    inert = without and not any(found[name].value > 0.0 for name in TOXIC if name in found)
    activity = found.get(IU_FACTOR)
    fmol_per_iu = activity.value if activity is not None and activity.value > 0.0 and not without else None
    return AgentUnits(found[MOLAR_MASS].value / unit_factor("kDa"), fmol_per_iu, inert, entry.meta.get("particles") is True)


def weight_of(records: Mapping[str, Record]) -> float | None:
    """Median mass of the host with these records, kg; None where none of them says."""
    return next((records[name].value for name in WEIGHT_NAMES if name in records), None)


def body_surface(entry: Entry, records: Mapping[str, Record] | None = None) -> float | None:
    """Return the body surface per body mass of a host of median weight, m²/kg.

    The host's data give one measured pair, `surface: {area: 0.007 m2, weight: 0.02 kg}`; other weights follow by the
    power 2/3 (Meeh's rule). None where the host does not say, or has no weight.

    Parameters
    ----------
    entry
        The host.
    records
        Its records, if other than those of the library (overrides applied).

    Raises
    ------
    InputError
        If the data are not an area and a weight.
    """
    stated = entry.meta.get("surface")
    found = entry.records if records is None else records
    weight = weight_of(found)
    if stated is None or weight is None:
        return None
    place = f"hosts.{entry.name}, meta.surface"
    if not isinstance(stated, Mapping) or not {"area", "weight"} <= set(stated):
        raise InputError(place, "is not an area with its weight", "write {area: 0.007 m2, weight: 0.02 kg}")
    area = parse_quantity(stated["area"], "mm2", place, positive=True) * 1e-6
    measured = parse_quantity(stated["weight"], "body mass", place, positive=True)
    return area * (weight / measured) ** (2.0 / 3.0) / weight


HEAVIER = 10.0
"""Factor by which a host may weigh more or less than that of the library."""


def check_override(record: Record, value: float, place: str) -> None:
    """Raise an `InputError` unless `value` (internal units) can take the place of the value of a record of the library."""
    check_physical(record, value, place)
    if record.name in WEIGHT_NAMES and not record.value / HEAVIER <= value <= record.value * HEAVIER:
        asked, usual = (format_quantity(x, record.unit, 4) for x in (value, record.value))
        raise InputError(place, f"a weight of {asked}, where the library has {usual}", "look at the unit, or name another host")


def override_targets(experiment: Experiment, key: str, place: str) -> Sequence[Record]:
    """Return the library records that an override acts on.

    `parameter` means laws and host, or else all lines and agents in use; `ENTRY.parameter` means that entry.

    Raises
    ------
    InputError
        If there is no such parameter or entry.
    """
    library = experiment.library
    entry = experiment.host_entry
    common = {**library.laws.records, **entry.law_overrides, **entry.records}
    others = {
        **{name: library.lines[name].records for name in experiment.lines},
        **{name: library.agents[name].records for name in experiment.protocol.agents},
    }
    owner, _, name = key.rpartition(".")
    if owner:
        owners = {experiment.host: common, **others}
        if owner not in owners:
            raise InputError(place, f"no host, line or agent '{owner}' in this experiment", suggest(owner, owners))
        if name not in owners[owner]:
            raise InputError(place, f"'{owner}' has no parameter '{name}'", suggest(name, owners[owner]))
        return [owners[owner][name]]
    if name in common:
        return [common[name]]
    found = [records[name] for records in others.values() if name in records]
    if not found:
        known = dict.fromkeys((*common, *(item for records in others.values() for item in records)))
        raise InputError(place, f"unknown parameter '{name}'", suggest(name, known))
    return found


def resolve_override(experiment: Experiment, key: str, value: object, place: str) -> float:
    """Return the value of an override in internal units.

    Raises
    ------
    InputError
        On an unknown parameter, a wrong or missing unit, or a value outside the physical range.
    """
    targets = override_targets(experiment, key, place)
    unit = targets[0].unit
    number = parse_quantity(value, unit if dimension_of(unit) else "1", place, minimum=None)
    for record in targets:
        check_override(record, number, place)
    return number
