"""A scenario file, text or dict → `Experiment`. Every complaint names file, line, field and remedy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from math import nan
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from locokine.biology.switches import GROUPS, SWITCHES
from locokine.errors import InputError
from locokine.parameters.library import Library, load_library
from locokine.parameters.reading import Block, plain, read_file, read_yaml, suggest
from locokine.scenario.acts import ACTS, expand_act, is_act, parse_act
from locokine.scenario.amounts import AgentUnits
from locokine.scenario.dose_table import is_table, lines_of
from locokine.scenario.dosing import expand_course, parse_course
from locokine.scenario.experiment import Experiment, agent_units, body_surface, override_targets, resolve_override
from locokine.scenario.limits import check_limits
from locokine.scenario.protocol import CAVITIES, Act, Arm, Dose, LesionPlan, Protocol, Rechallenge, Rule
from locokine.scenario.synonyms import agent_synonyms, by_name
from locokine.scenario.validate import Where, validate
from locokine.units import parse_quantity

if TYPE_CHECKING:
    from locokine.scenario.model import LesionModel, ScenarioModel

DAY = 24.0
RESERVED_ARMS = ("naive",)
"""Names that results use for the controls of a rechallenge."""

Groups = dict[str, tuple[str, ...]]


def load(
    source: str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | None = None,
    subjects: int | None = None,
    seed: int | None = None,
    library: Library | None = None,
) -> Experiment:
    """Read an experiment.

    Parameters
    ----------
    source
        Path of a YAML file, YAML text (anything with a line break), or a mapping of the same shape.
    overrides
        Parameter → value with unit, on top of those of the scenario.
    subjects, seed
        Instead of those of the scenario.
    library
        Instead of the built-in library (folders that the scenario names are then not allowed).

    Returns
    -------
    Experiment

    Raises
    ------
    InputError
        With file, line, field and remedy, for the first thing that is wrong.
    """
    root, name, path = _root(source)
    if not isinstance(root, dict) or not root:
        problem = "the scenario is empty" if not root else "the scenario is not a mapping of fields"
        raise InputError(
            name or "scenario", problem, "begin with 'experiment: NAME'; `locokine new` writes a complete example"
        )
    where = Where(root, name)
    changed = Block(root)
    changed.lines = getattr(root, "lines", {})
    for key, value in (("subjects", subjects), ("seed", seed)):
        if value is not None:
            changed[key] = value
            changed.lines = {item: line for item, line in changed.lines.items() if item != key}
    model = validate(changed, Where(changed, name))
    shelf = _library(model, library, path, where)
    experiment = _build(model, shelf, where, path)
    values = {
        key: resolve_override(experiment, key, value, where.place("overrides", key))
        for key, value in model.overrides.items()
    }
    experiment = dataclasses.replace(experiment, overrides=values)
    if model.parameters:
        experiment = _pin(experiment, model.parameters, where)
    extra = {
        key: resolve_override(experiment, key, value, f"override {key}") for key, value in (overrides or {}).items()
    }
    return redose(dataclasses.replace(experiment, overrides={**experiment.overrides, **extra}))


def redose(experiment: Experiment) -> Experiment:
    """Return the experiment with its doses converted by the agents' units as the overrides leave them."""
    units = {name: experiment.agent_units(name) for name in experiment.protocol.agents}
    surface = body_surface(experiment.host_entry, experiment.records())
    same_units = all(units[name] == agent_units(experiment.library.agents[name]) for name in units)
    if same_units and surface == body_surface(experiment.host_entry):
        return experiment
    groups = {name: _members(name, int(item.get("count", 1))) for name, item in experiment.source["lesions"].items()}
    protocol = experiment.protocol
    days = protocol.follow_up / DAY
    arms = tuple(
        _arm(
            arm.name, arm.text, units, protocol.lesions, groups, days, (f"arms.{arm.name}",) * len(arm.text), surface
        )
        for arm in protocol.arms
    )
    return dataclasses.replace(experiment, protocol=dataclasses.replace(protocol, arms=arms))


def _members(name: str, count: int) -> tuple[str, ...]:
    """Return the names of the lesions that one entry of `lesions:` makes."""
    return (name,) if count == 1 else tuple(f"{name}_{index + 1}" for index in range(count))


def _root(source: str | Path | Mapping[str, Any]) -> tuple[Any, str, Path | None]:
    """Return (tree, name for errors, path or None)."""
    if isinstance(source, Mapping):
        return {str(key): value for key, value in plain(source).items()}, "", None
    if isinstance(source, str) and ("\n" in source or not source.strip()):
        return read_yaml(source, "scenario"), "scenario", None
    path = Path(source)
    return read_yaml(read_file(path), str(path)), str(path), path


# --- names and meaning -----------------------------------------------------------------------------------------------


RESERVED_AGENTS = (*ACTS, "table")
"""First words of lines that are no dose, and so no names of agents."""


def _library(model: ScenarioModel, given: Library | None, path: Path | None, where: Where) -> Library:
    library = _shelf(model, given, path, where)
    for name in library.agents:
        if name.lower() in RESERVED_AGENTS:
            problem = f"'{name}' is a word of the dosing language and cannot be given"
            raise InputError(f"agents.{name}", problem, "call the agent something else")
    return library


def _shelf(model: ScenarioModel, given: Library | None, path: Path | None, where: Where) -> Library:
    if given is not None:
        if model.library:
            raise InputError(where.place("library"), "a library was given from outside as well", "use only one of them")
        return given
    base = path.parent if path is not None else Path()
    return load_library([base / folder for folder in model.library])


def _build(model: ScenarioModel, library: Library, where: Where, path: Path | None) -> Experiment:
    if model.host not in library.hosts:
        raise InputError(where.place("host"), f"unknown host '{model.host}'", suggest(model.host, library.hosts))
    lesions, groups = _lesions(model, library, where)
    follow_up = parse_quantity(model.follow_up, "time", where.place("follow-up"), positive=True) / DAY
    for name, lesion in model.lesions.items():
        if lesion.day >= follow_up:
            raise InputError(
                where.place("lesions", name, "day"),
                f"day {lesion.day:g} is not before the end of follow-up (day {follow_up:g})",
                "lengthen follow-up, or let the lesion begin earlier",
            )
    lines, places = _arm_lines(model, [plan.name for plan in lesions], where, path, library)
    arms, used = _arms(lines, places, model.host, library, lesions, groups, follow_up, where)
    protocol = Protocol(
        lesions=lesions,
        agents=_agents(model, library, used, where),
        arms=arms,
        follow_up=follow_up * DAY,
        geometry=model.geometry,
        shells=model.shells,
        rim_shells=model.rim_shells,
        rechallenge=_rechallenge(model, library, where),
        switches=expand_switches(
            model.switches, "switches", {key: where.place("switches", key) for key in model.switches}
        ),
    )
    source = model.model_dump(
        by_alias=True,
        exclude_none=True,
        mode="python",
        exclude={"schema_version", "locokine", "library_digest", "parameters", "overrides"},
    )
    folders = [
        str(Path(folder).resolve() if path is None else (path.parent / folder).resolve()) for folder in model.library
    ]
    source["library"] = folders
    source["arms"] = lines
    made = Experiment(
        model.experiment,
        protocol,
        model.host,
        library,
        model.subjects,
        model.seed,
        {},
        _readouts(model, where),
        model.description,
        plain(source),
        path,
    )
    check_limits(made, where, places)
    return made


def _line_fits(line: str, host: str, library: Library, place: str) -> None:
    """A line must exist and, where its data name hosts, this host or one it inherits from must be among them."""
    if line not in library.lines:
        raise InputError(place, f"unknown line '{line}'", suggest(line, library.lines))
    hosts = library.lines[line].meta.get("hosts")
    if hosts and not set(library.hosts[host].lineage) & set(hosts):
        raise InputError(
            place, f"the line '{line}' does not grow in '{host}'", f"its hosts are {', '.join(map(str, hosts))}"
        )


def _site(name: str, line: str, chosen: str | None, library: Library, place: str) -> Any:
    from locokine.scenario.model import SITES

    stated = library.lines[line].meta.get("sites")
    if chosen is None and not stated:
        raise InputError(place, f"'{name}' has no site", f"add site: one of {', '.join(SITES)}")
    sites = stated or list(SITES)
    site = sites[0] if chosen is None else chosen
    elsewhere = "peritoneum" in sites and site in CAVITIES  # what grows in one cavity may be put into another
    if (site not in sites and not elsewhere) or site not in SITES:
        raise InputError(
            place, f"the line '{line}' of '{name}' has no site '{site}'", f"its sites are {', '.join(map(str, sites))}"
        )
    return site


def _lesions(model: ScenarioModel, library: Library, where: Where) -> tuple[tuple[LesionPlan, ...], Groups]:
    plans: list[LesionPlan] = []
    groups: Groups = {}
    for name, lesion in model.lesions.items():
        if any(character in name for character in " ,\t\n"):
            raise InputError(
                where.place("lesions", name), f"the name '{name}' has a space or comma", "use letters, digits and _"
            )
        _line_fits(lesion.line, model.host, library, where.place("lesions", name, "line"))
        if lesion.seeded_by is not None:
            plans.append(_seeded(model, name, where))
            groups[name] = (name,)
            continue
        site = _site(name, lesion.line, lesion.site, library, where.place("lesions", name, "site"))
        if site in CAVITIES and lesion.cells is None:
            raise InputError(
                where.place("lesions", name),
                "a fluid cavity has no solid volume",
                "give its size as cells, e.g. cells: 2e4 cells",
            )
        names = _members(name, lesion.count)
        for member, size in zip(names, _sizes(lesion, where, name), strict=True):
            plans.append(LesionPlan(member, lesion.line, site, size.get("cells", nan), size.get("volume", nan), lesion.day))
        groups[name] = names
    seen = [plan.name for plan in plans]
    for name in seen:
        if seen.count(name) > 1:
            raise InputError(
                where.place("lesions"),
                f"two lesions are called '{name}'",
                "rename one; 'count' numbers its lesions NAME_1, NAME_2, …",
            )
    cavities = dict.fromkeys(plan.site for plan in plans if plan.site in CAVITIES)
    if len(cavities) > 1:
        problem = f"a host has cavities of two kinds ({', '.join(cavities)})"
        raise InputError(where.place("lesions"), problem, "one kind of cavity a host is simulated: make two experiments")
    for site in cavities:
        if site != "peritoneum" and site not in library.hosts[model.host].meta.get("cavities", {}):
            problem = f"the host '{model.host}' has no data for the {site}"
            raise InputError(where.place("lesions"), problem, f"add cavities: {{{site}: {{cavity_area: …}}}} to its meta")
    return tuple(plans), groups


def _seeded(model: ScenarioModel, name: str, where: Where) -> LesionPlan:
    """Return the plan of a lesion that begins empty and is filled by the cells of another one."""
    lesion = model.lesions[name]
    source = str(lesion.seeded_by)
    place = where.place("lesions", name, "seeded-by")
    known = [key for key, other in model.lesions.items() if other.seeded_by is None and other.count == 1 and key != name]
    if source not in known:
        raise InputError(place, f"'{source}' is not a single lesion of this host", suggest(source, known))
    if model.lesions[source].line != lesion.line:
        problem = f"its line is {lesion.line}, that of '{source}' is {model.lesions[source].line}"
        raise InputError(place, problem, "a metastasis is of the line of its source")
    if lesion.site not in (None, "node"):
        place = where.place("lesions", name, "site")
        raise InputError(place, f"'{lesion.site}' cannot be seeded", "leave it out: it is the draining node")
    return LesionPlan(name, lesion.line, "node", cells=0.0, day=lesion.day, seeded_by=source)


def _sizes(lesion: LesionModel, where: Where, name: str) -> list[dict[str, float]]:
    """Return the size of each of `count` lesions: the quantiles (i + 1/2)/count of a log-normal distribution."""
    from math import exp, pi

    field = next(key for key in ("cells", "volume", "diameter") if getattr(lesion, key) is not None)
    dimension = {"cells": "cells", "volume": "volume", "diameter": "length"}[field]
    median = parse_quantity(getattr(lesion, field), dimension, where.place("lesions", name, field), positive=True)
    normal = NormalDist()
    sizes: list[dict[str, float]] = []
    for index in range(lesion.count):
        size = (
            median if lesion.count == 1 else median * exp(lesion.spread * normal.inv_cdf((index + 0.5) / lesion.count))
        )
        sizes.append(
            {"cells": size} if field == "cells" else {"volume": size if field == "volume" else pi / 6.0 * size**3}
        )
    return sizes


def _arm_lines(
    model: ScenarioModel, lesions: list[str], where: Where, path: Path | None, library: Library
) -> tuple[dict[str, list[str]], dict[str, tuple[str, ...]]]:
    """Return the dosing lines of every arm, dose tables read and agents by their names, and where each was written."""
    synonyms = agent_synonyms(library)
    lines: dict[str, list[str]] = {}
    places: dict[str, tuple[str, ...]] = {}
    base = path.parent if path is not None else Path()
    for name, written in model.arms.items():
        read: list[tuple[str, str]] = []
        for index, text in enumerate(written):
            place = where.place("arms", name, index)
            made = lines_of(text, name, lesions, base, place) if is_table(text) else [text]
            made = [by_name(line, synonyms, library, place) for line in made]
            read += [(line, place if len(made) == 1 else f"{place}, record {n}") for n, line in enumerate(made, 1)]
        lines[name] = [line for line, _ in read]
        places[name] = tuple(place for _, place in read)
    return lines, places


def _arms(
    written: Mapping[str, list[str]],
    places: Mapping[str, tuple[str, ...]],
    host: str,
    library: Library,
    lesions: tuple[LesionPlan, ...],
    groups: Groups,
    follow_up: float,
    where: Where,
) -> tuple[tuple[Arm, ...], set[str]]:
    arms: list[Arm] = []
    surface = body_surface(library.hosts[host])
    for name, lines in written.items():
        if name in RESERVED_ARMS:
            problem = f"'{name}' is reserved for the controls of a rechallenge"
            raise InputError(where.place("arms", name), problem, "call the arm something else")
        parsed = zip(lines, places[name], strict=True)
        named = [parse_course(text, place, library.agents).agent for text, place in parsed if not is_act(text)]
        units = {agent: agent_units(library.agents[agent]) for agent in named}
        arms.append(_arm(name, tuple(lines), units, lesions, groups, follow_up, places[name], surface))
    return tuple(arms), {dose.agent for arm in arms for dose in arm.doses}


def _arm(
    name: str,
    lines: tuple[str, ...],
    units: Mapping[str, AgentUnits],
    lesions: tuple[LesionPlan, ...],
    groups: Groups,
    follow_up: float,
    places: tuple[str, ...],
    surface: float | None,
) -> Arm:
    """Parse and expand the lines of one arm; `follow_up` in days, `surface` in m²/kg."""
    doses: list[Dose] = []
    rules: list[Rule] = []
    acts: list[Act] = []
    for index, (text, place) in enumerate(zip(lines, places, strict=True)):
        if is_act(text):
            acts += expand_act(parse_act(text, place), index, lesions, groups, follow_up, place)
            continue
        course = parse_course(text, place, units)
        new, conditions = expand_course(
            course, index, lesions, groups, units[course.agent], follow_up, place, surface
        )
        doses += new
        rules += conditions
    return Arm(name, tuple(sorted(doses, key=lambda dose: (dose.time, dose.course))), tuple(rules), lines,
               tuple(sorted(acts, key=lambda act: (act.time, act.course))))


def _agents(model: ScenarioModel, library: Library, used: set[str], where: Where) -> tuple[str, ...]:
    """Return the agents in the order of the library, so that the order of arms and words changes nothing."""
    for index, name in enumerate(model.agents or ()):
        if name not in library.agents:
            raise InputError(where.place("agents", index), f"unknown agent '{name}'", suggest(name, library.agents))
    if model.agents is not None:
        for name in used:
            if name not in model.agents:
                raise InputError(
                    where.place("agents"), f"the arms use '{name}', which is not listed", "add it, or remove 'agents:'"
                )
    chosen = used if model.agents is None else set(model.agents)
    return tuple(name for name in library.agents if name in chosen)


def _rechallenge(model: ScenarioModel, library: Library, where: Where) -> Rechallenge | None:
    plan = model.rechallenge
    if plan is None:
        return None
    for index, line in enumerate(plan.lines):
        place = where.place("rechallenge", "lines", index)
        _line_fits(line, model.host, library, place)
        _site(
            "rechallenge",
            line,
            plan.site,
            library,
            where.place("rechallenge", "site") if "site" in plan.model_fields_set else place,
        )
        if line in plan.lines[:index]:
            raise InputError(place, f"the line '{line}' is named twice", "name it once")
    cells = parse_quantity(plan.cells, "cells", where.place("rechallenge", "cells"), positive=True)
    observe = parse_quantity(plan.observe, "time", where.place("rechallenge", "observe"), positive=True) / DAY
    return Rechallenge(tuple(plan.lines), cells, plan.site, observe)


def expand_switches(switches: Mapping[str, bool], field: str, places: Mapping[str, str]) -> dict[str, bool]:
    """Return the mechanisms that are named, groups replaced by their members.

    Raises
    ------
    InputError
        If a name is neither a mechanism nor a group.
    """
    made: dict[str, bool] = {}
    for name in sorted(switches, key=lambda key: key not in GROUPS):  # a single mechanism wins over its group
        if name not in SWITCHES and name not in GROUPS:
            place = places.get(name, f"{field}.{name}")
            raise InputError(place, f"unknown mechanism '{name}'", suggest(name, (*GROUPS, *SWITCHES)))
        made.update(dict.fromkeys(GROUPS.get(name, (name,)), switches[name]))
    return {name: made[name] for name in SWITCHES if name in made}


def _readouts(model: ScenarioModel, where: Where) -> tuple[str, ...]:
    """Return the variables to keep, checked against the table of the engine."""
    from importlib import import_module

    if model.readouts is None:
        return ()
    table = import_module("locokine.engine.variables")  # data of a later folder, read by name: no code depends on it
    known = [variable.name for variable in (*table.LESION, *table.BODY)]
    for index, name in enumerate(model.readouts):
        if name not in known:
            raise InputError(where.place("readouts", index), f"unknown readout '{name}'", suggest(name, known))
    return tuple(dict.fromkeys(model.readouts))


def _pin(experiment: Experiment, parameters: Mapping[str, Mapping[str, Any]], where: Where) -> Experiment:
    """Let the values that a resolved scenario states win over those of the library."""
    overrides = dict(experiment.overrides)
    known = {"laws": experiment.records(), experiment.host: experiment.records()}
    known |= {line: experiment.line_records(line) for line in experiment.lines}
    known |= {agent: experiment.agent_records(agent) for agent in experiment.protocol.agents}
    for owner, values in parameters.items():
        if owner not in known:
            raise InputError(where.place("parameters", owner), f"'{owner}' is not in use", suggest(owner, known))
        for name, text in values.items():
            place = where.place("parameters", owner, name)
            common = owner in ("laws", experiment.host)
            key = name if common else f"{owner}.{name}"
            if common:
                override_targets(experiment, name, place)
            value = resolve_override(experiment, key, text, place)
            if value != known[owner][name].value:
                overrides[key] = value
    return dataclasses.replace(experiment, overrides=overrides)
