"""A calibration from its settings to its files: what is read, what identifies it, what is written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from locokine import __version__
from locokine.errors import InputError
from locokine.evidence.calibration import FILE, Schedule, fitted_rows, read_schedule, read_start
from locokine.evidence.first_pass import first_pass
from locokine.evidence.library import Evidence, Observation, read_evidence
from locokine.inference import findings
from locokine.inference.calibrate import Posterior, run
from locokine.inference.draws import SHIPPED
from locokine.inference.ledger import Ledger
from locokine.inference.prior import Free, candidates, rows_of, scale, scopes_of
from locokine.inference.requirements import Keeper
from locokine.inference.study import Study, Tell
from locokine.inference.sweep import Solid, Sweep, setting_of, unit_of
from locokine.parameters.library import Library, load_library

CORES = 2.0
"""Time is counted in processor time over so many cores: neighbours on the machine do not change the result."""
HOSTS, DRAWS = 48, 24
"""Of the scoreboards at the end, as `locokine validate` has them."""


@dataclass(frozen=True)
class Settings:
    """What a calibration is asked for: size, folders of evidence, text that rows contain, seed; threads change nothing.

    `hours` is another limit of time than that of the size; `claims` is how many draws the claims are looked at in; `rows`
    names the only rows that are fitted (all, without); `begin` is where the search begins: "start" (what earlier calibrations
    found, `evidence/calibration_start.yaml`), "prior" (the medians of the priors) or "library".
    """

    size: str = "quick"
    folders: tuple[Path, ...] = ()
    containing: str = ""
    seed: int = 1
    threads: int = 1
    hours: float | None = None
    claims: int = 0
    rows: tuple[str, ...] = ()
    begin: str = "start"


@dataclass(frozen=True)
class Job:
    """A calibration that is ready to run; `facts` identify it."""

    settings: Settings
    evidence: Evidence
    library: Library
    schedule: Schedule
    rows: tuple[Observation, ...]
    left: Mapping[str, str]
    free: Mapping[str, Free]
    units: tuple[str, ...]
    origin: Mapping[str, float]
    facts: Mapping[str, Any]

    @property
    def still(self) -> dict[str, float]:
        """Where what does not move stays, if that is not the library's value."""
        values = {key: self.origin.get(key, item.record.prior) for key, item in self.free.items()}
        return {key: value for key, value in values.items() if not findings.alike(value, self.free[key].record.value)}


def prepare(settings: Settings, library: Library | None = None) -> Job:
    """Read evidence, library and schedule.

    Raises
    ------
    InputError
        If evidence cannot be read, no row can be fitted, or emcee is not installed.
    """
    from locokine._jit import source_hash

    if find_spec("emcee") is None:
        raise InputError("calibrate", "the package emcee is not installed", "install locokine with the extra 'fit'")
    library = library or load_library()
    evidence, schedule = read_evidence(settings.folders), read_schedule()
    if settings.hours is not None:
        limited = replace(schedule.sizes[settings.size], hours=settings.hours)
        schedule = replace(schedule, sizes={**schedule.sizes, settings.size: limited})
    rows, left = fitted_rows(evidence, library, schedule.sizes[settings.size])
    if settings.containing:
        chosen = {item.name for item in evidence.selected(settings.containing)}
        rows = [row for row in rows if row.name in chosen]
        left = {name: why for name, why in left.items() if name in chosen}
    if settings.rows:
        rows = [row for row in rows if row.name in settings.rows]
        left = {name: why for name, why in left.items() if name in settings.rows}
    if not rows:
        raise InputError("--filter", "no row that may be fitted is left", "calibrate needs rows with use: calibrate")
    free = free_of(rows, evidence, library)
    origin = origin_of(settings.begin, free)
    units = tuple(sorted({unit for row in rows if (unit := unit_of(row)) is not None}))
    size = schedule.sizes[settings.size]
    facts = {
        "command": "calibrate", "version": __version__, "code": source_hash(), "library": library.digest,
        "evidence": evidence.digest, "schedule": hashlib.sha256(FILE.read_bytes()).hexdigest()[:16],
        "size": {"name": settings.size, **vars(size)}, "rows": [row.name for row in rows], "seed": settings.seed,
        "claims": settings.claims, "priors": _priors(free), "begins": _digest(origin),
    }  # fmt: skip
    return Job(settings, evidence, library, schedule, tuple(rows), left, free, units, origin, facts)


def _priors(free: Mapping[str, Free]) -> str:
    """Digest of the medians of the priors: that of the library knows its values only."""
    return _digest({key: item.record.prior for key, item in free.items()})


def _digest(values: Mapping[str, float]) -> str:
    made = {key: repr(value) for key, value in values.items()}
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]


def origin_of(begin: str, free: Mapping[str, Free]) -> dict[str, float]:
    """Where a search begins: values by key, of those that are not at the median of their prior.

    Raises
    ------
    InputError
        If `begin` is unknown, or the file of the start names what cannot move, or a value outside its range.
    """
    if begin == "prior":
        return {}
    if begin == "library":
        return {key: item.record.value for key, item in free.items() if item.here != 0.0}
    if begin != "start":
        raise InputError("--begin", f"'{begin}' is unknown", "start, prior or library")
    return read_start({key: item.record for key, item in free.items()})


def free_of(rows: Iterable[Observation], evidence: Evidence, library: Library) -> dict[str, Free]:
    """Assumed and calibrated values that have a part in some row, by key; measured and derived ones never move."""
    experiments = {}
    for row in rows:
        for group in row.groups:
            experiments.setdefault(setting_of(row, group), evidence.experiment(group, 1, library))
    chosen = list(experiments.values())
    found = candidates(library, scopes_of(*chosen), first_pass().fixed, spreads=True)
    return {
        item.key: item for item in found
        if any(width > 0.0 for width in scale(item.record)[1:]) and any(rows_of(item, e) for e in chosen)
    }


def conduct(
    job: Job, out: Path, force: bool, tell: Tell, save: Callable[[Path, dict[str, Any], dict[str, Any], str], None]
) -> dict[str, Any]:
    """Run a calibration and write its files; returns the record.

    Raises
    ------
    InputError
        If the folder holds another study, or cannot be written.
    """
    ledger = Ledger(out, job.facts, force)

    sweep = Sweep(job.evidence, job.library, job.free, job.settings.seed, job.settings.threads, ledger, job.still, tell=tell)
    fine = Solid(replace(sweep, geometry="shells", _experiments={}))
    study = Study(
        job.rows, job.schedule, job.schedule.sizes[job.settings.size], job.free, job.units, sweep, fine,
        job.settings.seed, lambda: ledger.seconds / CORES, tell, sweep.plays,
        Keeper(job.schedule.requirements, job.library, job.free, job.still, ledger, job.settings.seed, job.settings.threads),
        job.origin,
    )
    found = run(study)
    boards = findings.scoreboards(
        study, found, job.evidence, job.library, ledger, job.settings.threads, HOSTS, DRAWS
    )
    record = findings.record(study, found, job.facts, boards, job.left)
    if job.settings.claims:
        record["claims"] = claims_table(job, study, found, job.settings.claims, tell)
    import pandas as pd

    tables = {
        "posterior": findings.posterior_table(study, found), "rows": findings.rows_table(study, found, boards),
        "correlations": findings.correlation_table(found).reset_index(names="parameter"),
        "informs": findings.informs_table(study, found).reset_index(names="parameter"),
        "trace": pd.DataFrame(study.trace),
    }  # fmt: skip
    save(out, {}, findings.posterior_file(study, found, job.library), "posterior")
    save(out, {}, {"library_hash": job.library.digest, "proposals": record["proposals"]}, "proposals")
    save(out, tables, record, "record")
    return json.loads(json.dumps(record, default=float))


def claims_table(job: Job, study: Study, found: Posterior, draws: int, tell: Tell) -> dict[str, Any]:
    """Share of draws in which each of the thirteen claims holds: of the prior, and with the posterior of what was fitted."""
    from locokine.inference.claims import CLAIMS, prior_predictive

    moved = [(i, study.free[name]) for i, name in enumerate(found.names) if name in study.free]
    fitted = {item: item.at(found.draws[:, i]) for i, item in moved}
    point = {study.free[name]: value for name, (value, _) in findings.point_values(study, found).items()}
    tell(f"claims in {draws} draws of the prior, and of the posterior")
    common: dict[str, Any] = {"seed": study.seed, "threads": job.settings.threads, "library": job.library}
    before = prior_predictive(draws, **common)
    after = prior_predictive(draws, posterior=fitted, **common)
    at_point = prior_predictive(1, values=point, **common)
    return {
        str(number): {
            "claim": claim.what, "prior": before.shares[number], "posterior": after.shares[number],
            "at_library": before.centre[number], "at_point": at_point.centre[number],
        }
        for number, claim in CLAIMS.items()
    }


def adopt(done: Mapping[str, Any], out: Path) -> dict[str, Path]:
    """Write the proposed values into the library, and the posterior draws, which then belong to the new one, beside them.

    Raises
    ------
    InputError
        If the library has changed since, or cannot be written.
    """
    from locokine.parameters.library import BUILTIN
    from locokine.parameters.write import BACK, write_values

    library = load_library()
    if done["study"]["library"] != library.digest:
        problem = "belongs to another version of the parameter library"
        raise InputError(str(out), problem, "calibrate again with this version")
    def why(item: Mapping[str, Any]) -> str:
        if item["at_prior"]:
            return BACK
        rows = ", ".join(item["rows"]) or "what earlier runs had (calibration_start.yaml)"
        return f"fitted to {rows}; {item['before']} before ({item['was']})"

    changed = write_values(BUILTIN, {item["parameter"]: (item["after"], why(item)) for item in done["proposals"]})
    from locokine.results.store import disk_errors, write_atomic

    path = out / findings.DRAWS
    draws = json.loads(path.read_text(encoding="utf-8"))
    draws["library"] = load_library().entry_digests
    text = json.dumps(draws).encode()
    for place in (path, SHIPPED):
        with disk_errors(place.parent):
            write_atomic(place, lambda stream: stream.write(text))
    return changed
