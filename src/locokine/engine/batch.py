"""Run arms: subjects into blocks, blocks onto threads, arrays into an `ArmRun`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from locokine.engine.block import ACTS, KINDS, ROUTES, RULES, TERMS, Block, Plan
from locokine.engine.fill import make_block
from locokine.engine.grid import Accuracy, make_grid
from locokine.engine.run import ArmRun
from locokine.engine.variables import BODY, DEATHS, FIELD, LESION
from locokine.population import derive
from locokine.population.draw import Population, stream
from locokine.scenario.protocol import CAVITIES, Arm, Dose, LesionPlan
from locokine.tissue import layout

if TYPE_CHECKING:
    from locokine.scenario.experiment import Experiment

Array = NDArray[np.float64]
DETAILED = 50
"""Subjects whose full series are kept."""
PICTURED = 8
"""Subjects whose fields are kept."""
SERIES_STEP = 4.0
FIELD_STEP = 12.0
LOCAL = ("intratumoural", "peritumoural", "intra-arterial")
LESION_KINDS = ("implanted", "extinct", "irradiated", "resected")
"""Kinds of events that belong to a lesion."""
PARTS = 8
"""Small injections that a local infusion is made of."""


@dataclass(frozen=True)
class Setting:
    """One arm ready to be run: its plan and what the blocks need to be filled with."""

    experiment: Experiment
    population: Population
    arm: Arm
    lesions: tuple[LesionPlan, ...]
    plan: Plan
    antigens: tuple[str, ...]
    weights: Array
    accuracy: Accuracy
    end: float


def simulate_arm(
    experiment: Experiment, population: Population, arm: str, first: int, count: int, threads: int = 1,
    accuracy: Accuracy | None = None,
) -> ArmRun:
    """Simulate subjects `first` to `first + count` of one arm.

    Parameters
    ----------
    experiment, population
        What is done, and to whom.
    arm
        Name of the arm.
    first, count
        Subjects; how an arm is split does not change a bit of any subject.
    threads
        Blocks run at the same time.
    accuracy
        Steps; the default is that of `Accuracy`.

    Returns
    -------
    ArmRun
    """
    chosen = next(a for a in experiment.protocol.arms if a.name == arm)
    setting = prepare(experiment, population, chosen, experiment.protocol.lesions, experiment.protocol.follow_up,
                      accuracy or Accuracy())
    return run(setting, np.arange(first, first + count), threads)


def simulate_rechallenge(
    experiment: Experiment, population: Population, run_of: ArmRun | None, line: str, threads: int = 1,
    accuracy: Accuracy | None = None,
) -> ArmRun | None:
    """Challenge the cured hosts of an arm, or naive controls, with a tumour line.

    Parameters
    ----------
    run_of
        The arm whose cured hosts are challenged, each in its own copy; None for naive controls (all subjects, never
        before with a tumour).
    line
        The line.

    Returns
    -------
    ArmRun or None
        None if nobody was cured.
    """
    plan = experiment.protocol.rechallenge
    if plan is None:
        return None
    lesion = LesionPlan("challenge", line, plan.site, cells=plan.cells, day=0.0)  # type: ignore[arg-type]
    name = "naive" if run_of is None else run_of.arm
    setting = prepare(experiment, population, Arm(name), (lesion,), plan.observe * 24.0, accuracy or Accuracy())
    if run_of is None:
        return run(setting, np.arange(population.subjects), threads, purpose=f"challenge:{line_index(experiment, line)}")
    cured = cured_subjects(run_of)
    if cured.size == 0:
        return None
    state = {key: value[..., cured] for key, value in run_of.end_state.items()}
    return run(setting, run_of.subject_ids[cured], threads, state, f"challenge:{line_index(experiment, line)}")


def line_index(experiment: Experiment, line: str) -> int:
    """Place of a line in the rechallenge (streams are named by place, not by name)."""
    plan = experiment.protocol.rechallenge
    return list(plan.lines).index(line) if plan else 0


def cured_subjects(run_of: ArmRun) -> NDArray[np.int64]:
    """Columns of an arm that are cured and alive."""
    events = run_of.events
    cured = {s for s, kind in zip(events["subject"], events["kind"], strict=True) if kind == "cured"}
    dead = {
        s for s, kind in zip(events["subject"], events["kind"], strict=True)
        if kind in DEATHS
    }
    return np.array([i for i, s in enumerate(run_of.subject_ids) if int(s) in cured - dead], dtype=np.int64)


# --- the plan --------------------------------------------------------------------------------------------------------


def prepare(experiment: Experiment, population: Population, arm: Arm, lesions: tuple[LesionPlan, ...], end: float,
            accuracy: Accuracy) -> Setting:
    """Turn an arm into arrays."""
    protocol = experiment.protocol
    antigens: dict[str, None] = {}
    for line in experiment.lines:
        for name in experiment.library.lines[line].meta.get("antigens", {}):
            antigens.setdefault(str(name))
    weights = np.zeros((len(lesions), max(len(antigens), 1)))
    for i, lesion in enumerate(lesions):
        for name, weight in experiment.library.lines[lesion.line].meta.get("antigens", {}).items():
            weights[i, list(antigens).index(str(name))] = float(weight)
    doses = [part for dose in arm.doses for part in split(dose) if dose.time < end]
    acts = [one for one in arm.acts if one.time < end]
    grid = make_grid(
        end, [*(d.time for d in doses), *(one.time for one in acts), *(lesion.day * 24.0 for lesion in lesions)],
        [d.time + d.duration for d in doses], accuracy,
        max(experiment.line_records(lesion.line)["birth_rate"].value for lesion in lesions),
    )
    shells = protocol.geometry == "shells"
    cavity = np.array([float(lesion.site in CAVITIES) for lesion in lesions])
    one = not shells or bool(cavity.all())
    cores, rims = (1, 1) if one else (protocol.shells, protocol.rim_shells)
    n = len(grid.time)
    output = np.full((n, 3), -1, dtype=np.int64)
    for column, every in ((0, 24.0), (1, SERIES_STEP), (2, FIELD_STEP)):
        wanted = output_times(end, every)
        at = np.searchsorted(grid.time, wanted - 1e-6)
        output[at, column] = np.arange(len(wanted))
    dose_first = np.searchsorted([d.time for d in doses], grid.time - 1e-6, side="left")
    dose_first = np.append(dose_first, len(doses)).astype(np.int64)
    names = [lesion.name for lesion in lesions]
    meta = experiment.host_entry.meta
    plan = Plan(
        step=grid.step, first=grid.first, fine=grid.fine, time=grid.time, output=output, dose_first=dose_first,
        dose_time=np.array([d.time for d in doses], dtype=float),
        dose_agent=np.array([1 + protocol.agents.index(d.agent) for d in doses], dtype=np.int64),
        dose_route=np.array([ROUTES.index(d.route) for d in doses], dtype=np.int64),
        dose_amount=np.array([d.amount for d in doses], dtype=float),
        dose_per_kg=np.array([d.amount_per_kg for d in doses], dtype=float),
        dose_volume=np.array([d.volume if np.isfinite(d.volume) else 0.0 for d in doses], dtype=float),
        dose_distance=np.array([d.distance for d in doses], dtype=float),
        dose_duration=np.array([d.duration for d in doses], dtype=float),
        dose_each=np.array([int(d.per_lesion) for d in doses], dtype=np.int64),
        dose_course=np.array([d.course for d in doses], dtype=np.int64),
        dose_lesion=np.array([aims(d, lesions) for d in doses], dtype=np.int64).reshape(len(doses), len(names)),
        dose_local=np.array([int(any(aims(d, lesions))) for d in doses], dtype=np.int64),
        dose_points=np.array([d.points for d in doses], dtype=np.int64),
        rule_kind=np.array([RULES.index(r.kind) for r in arm.rules], dtype=np.int64),
        rule_term=np.array([TERMS.index(r.term) for r in arm.rules], dtype=np.int64),
        rule_grade=np.array([r.grade for r in arm.rules], dtype=float),
        rule_course=np.array([r.course for r in arm.rules], dtype=np.int64),
        rule_share=np.array([r.share for r in arm.rules], dtype=float),
        act_time=np.array([one.time for one in acts], dtype=float),
        act_kind=np.array([ACTS.index(one.kind) for one in acts], dtype=np.int64),
        act_size=np.array([one.size for one in acts], dtype=float),
        act_left=np.array([one.left for one in acts], dtype=float),
        act_lesion=np.array(
            [[int(name in one.lesions) for name in names] for one in acts], dtype=np.int64
        ).reshape(len(acts), len(names)),
        implant_time=np.array([lesion.day * 24.0 for lesion in lesions], dtype=float),
        implant_cells=np.array([lesion.cells for lesion in lesions], dtype=float),
        implant_volume=np.array([lesion.volume for lesion in lesions], dtype=float),
        cavity=cavity, seed_from=np.array([names.index(x.seeded_by) if x.seeded_by else -1 for x in lesions], dtype=np.int64),
        held=flags(population, protocol.agents, HOLDING), toxic=flags(population, protocol.agents, TOXIC),
        cores=np.uint64(cores), shells=np.uint64(cores + rims),
        agents=np.uint64(1 + len(protocol.agents)), antigens=np.uint64(weights.shape[1]),
        patient=float(meta.get("treated_as") == "patient"),
    )
    return Setting(experiment, population, arm, lesions, plan, tuple(antigens), weights, accuracy, end)


HOLDING = ("matrix_sites", "matrix_sites_normal", "depot_share")
TOXIC = ("toxic_tumour", "toxic_regulatory", "toxic_lymphocyte")
"""Parameters of an agent of which one is above 0 if matrix or a depot holds it, or if it kills cells."""


def flags(population: Population, agents: tuple[str, ...], names: tuple[str, ...]) -> NDArray[np.int64]:
    """Which agents have any of the named parameters above 0 in anybody, the host's own IL-2 (never) first."""
    some = [any((population[f"agent:{agent}:{name}"] > 0.0).any() for name in names) for agent in agents]
    return np.array([False, *some], dtype=np.int64)


def split(dose: Dose) -> list[Dose]:
    """A local infusion as several small injections; everything else as it is."""
    if dose.duration <= 0.0 or dose.route == "intravenous":
        return [dose]
    from dataclasses import replace

    return [
        replace(dose, time=dose.time + dose.duration * i / PARTS, amount=dose.amount / PARTS,
                amount_per_kg=dose.amount_per_kg / PARTS, volume=dose.volume / PARTS, duration=0.0)
        for i in range(PARTS)
    ]


def aims(dose: Dose, lesions: tuple[LesionPlan, ...]) -> list[int]:
    """Which lesions a dose goes into: those named; all, for a local dose without names; cavities, for the cavity."""
    if dose.route == "intraperitoneal":
        return [int(lesion.site == "peritoneum") for lesion in lesions]
    if dose.route == "intracavitary":
        return [int(lesion.site in CAVITIES) for lesion in lesions]
    if dose.route not in LOCAL:
        return [0] * len(lesions)
    return [int(not dose.lesions or lesion.name in dose.lesions) for lesion in lesions]


def output_times(end: float, every: float) -> Array:
    """Output times from 0 to `end` h."""
    return np.arange(0.0, end + 1e-6, every)


# --- running ---------------------------------------------------------------------------------------------------------


def run(setting: Setting, subjects: NDArray[np.int64], threads: int = 1, state: dict[str, Array] | None = None,
        purpose: str = "first") -> ArmRun:
    """Run the given subjects of a setting and gather the output."""
    from locokine.engine.kernel import run_block

    plan, lesions = setting.plan, len(setting.lesions)
    n_daily, n_series, n_field = (int(plan.output[:, c].max()) + 1 for c in range(3))
    count, width = len(subjects), layout.WIDTH
    blocks = -(-count // width)
    inputs = parameters(setting)
    draws = chance(setting, purpose, int(subjects.max()) + 1 if count else 1)

    daily = [np.empty((len(LESION), lesions, n_daily, count)), np.empty((len(BODY), n_daily, count))]

    def one(index: int) -> tuple[Block, list[Array]]:
        columns = subjects[index * width:(index + 1) * width]
        padded = np.concatenate([columns, np.repeat(columns[-1:], width - len(columns))])
        held = None
        if state is not None:
            place = np.minimum(np.arange(index * width, (index + 1) * width), count - 1)
            held = {key: value[..., place] for key, value in state.items()}
        block = make_block(setting, inputs, draws, padded, held)
        detailed = index * width < DETAILED
        pictured = index * width < PICTURED
        out = [
            np.full((len(LESION), lesions, n_daily, width), np.nan), np.full((len(BODY), n_daily, width), np.nan),
            np.full((len(LESION), lesions, n_series if detailed else 0, width), np.nan),
            np.full((len(BODY), n_series if detailed else 0, width), np.nan),
            np.full((len(FIELD), lesions, n_field if pictured else 0, int(plan.shells), width), np.nan),
        ]
        mine = plan
        if not (detailed and pictured):
            output = plan.output.copy()
            output[:, 1] = output[:, 1] if detailed else -1
            output[:, 2] = output[:, 2] if pictured else -1
            mine = plan._replace(output=output)
        run_block(block, mine, *out)
        for whole, part in zip(daily, out[:2], strict=True):  # of all subjects, so that it is held only once
            whole[..., index * width:(index + 1) * width] = part[..., :len(columns)]
        return block, out[2:]

    if threads > 1 and blocks > 1:
        with ThreadPoolExecutor(threads) as pool:
            done = list(pool.map(one, range(blocks)))
    else:
        done = [one(i) for i in range(blocks)]
    return gather(setting, subjects, daily, done)


def parameters(setting: Setting) -> dict[str, Array]:
    """Parameter arrays of all subjects: "host", ("line", i) per lesion, ("agent", i), with what is derived."""
    population, experiment = setting.population, setting.experiment
    row = {name: population.values[i] for i, name in enumerate(population.names)}
    host = {name: row[name] for name in layout.parameter_names("host")}
    made = derive.host({**host, "lymph_flow_at_rest": host["lymph_flow"]})
    out = {"host": np.array([*host.values(), *(made[name] for name in layout.DERIVED_HOST)])}
    out["resting_protein"] = derive.resting_protein({**host, "lymph_flow_at_rest": host["lymph_flow"]})
    own = setting.lesions is experiment.protocol.lesions  # a tumour given later stands where its host does
    for i, lesion in enumerate(setting.lesions):
        out[f"line{i}"] = np.array([
            row[f"lesion:{i}:{name}" if own and f"lesion:{i}:{name}" in row else f"line:{lesion.line}:{name}"]
            for name in layout.parameter_names("line")
        ])
    for i, name in enumerate(("", *experiment.protocol.agents)):
        if i == 0:  # what the host makes itself is native IL-2: potency 1, its size, no spread
            native = native_agent(experiment)
            values = {key: np.full(population.subjects, value) for key, value in native.items()}
        else:
            values = {key: row[f"agent:{name}:{key}"] for key in layout.parameter_names("agent")}
        extra = derive.agent(values)
        out[f"agent{i}"] = np.array([*values.values(), *(extra[key] for key in layout.DERIVED_AGENT)])
    naive = np.zeros((len(setting.antigens), population.subjects))
    for line in experiment.lines:
        epitopes = row[f"line:{line}:epitopes"]
        for antigen, weight in experiment.library.lines[line].meta.get("antigens", {}).items():
            k = setting.antigens.index(str(antigen))
            naive[k] = np.maximum(naive[k], host["precursors"] * epitopes * float(weight))
    out["naive"] = naive
    return out


def native_agent(experiment: Experiment) -> dict[str, float]:
    """Parameters of the IL-2 that the host makes itself: the agent whose data say `endogenous: true`."""
    entry = next(e for e in experiment.library.agents.values() if e.meta.get("endogenous"))
    return {name: entry.records[name].value for name in layout.parameter_names("agent")}


def chance(setting: Setting, purpose: str, count: int) -> dict[str, Array]:
    """Draws of chance events of the first `count` subjects: extinction per lesion, death from toxicity."""
    population = setting.population
    apart = population.subjects // population.copies

    def drawn(event: str) -> Array:
        return np.resize(stream(population.seed, f"{purpose}:{event}", min(apart, count)), count)

    cure = np.array([drawn(f"extinction:{i}") for i in range(len(setting.lesions))])
    return {"cure": cure.reshape(len(setting.lesions), count), "death": -np.log(drawn("death"))}


def gather(setting: Setting, subjects: NDArray[np.int64], daily: list[Array],
           done: list[tuple[Block, list[Array]]]) -> ArmRun:
    """Put the blocks' output side by side and cut the padding."""
    count, width = len(subjects), layout.WIDTH
    blocks = [block for block, _ in done]
    agents = ("endogenous", *setting.experiment.protocol.agents)

    def joined(parts: list[Array], keep: int = count) -> Array:
        return np.concatenate(parts, axis=-1)[..., :keep]

    detailed, pictured = min(count, DETAILED), min(count, PICTURED)
    with_series = [out for _, out in done if out[1].shape[1]]
    with_fields = [out for _, out in done if out[2].shape[2]]
    events = read_log(setting, subjects, blocks)
    exposure = np.stack([joined([b.peak for b in blocks]), joined([b.auc for b in blocks])], axis=2)
    exponent = cure_exponent(blocks, setting)
    return ArmRun(
        arm=setting.arm.name, lesions=tuple(lesion.name for lesion in setting.lesions), agents=agents,
        subject_ids=np.asarray(subjects, dtype=np.int64), daily_time=output_times(setting.end, 24.0),
        daily_lesion=daily[0], daily_body=daily[1],
        series_time=output_times(setting.end, SERIES_STEP),
        series_lesion=joined([out[0] for out in with_series], detailed),
        series_body=joined([out[1] for out in with_series], detailed),
        field_time=output_times(setting.end, FIELD_STEP), fields=joined([out[2] for out in with_fields], pictured),
        exposure=exposure, dosed=joined([b.dosed for b in blocks]), reached_plasma=joined([b.entered for b in blocks]),
        events=events,
        end_state={
            "body": joined([b.body.reshape(-1, width) for b in blocks]),
            "node": joined([b.node.reshape(-1, width) for b in blocks]),
            "pools": joined([b.pools.reshape(-1, width) for b in blocks]),
        },
        worst_grades=joined([b.worst for b in blocks]), cure_probability=np.exp(-exponent[:count]),
    )


def cure_exponent(blocks: list[Block], setting: Setting) -> Array:
    """-log of the probability that no clonogen is left in any lesion, per subject."""
    width, tissue = layout.WIDTH, layout.TISSUE_FIELDS
    cores = int(setting.plan.cores)
    at = {name: i for i, name in enumerate(layout.LESION_FIELDS)}
    parts = []
    for block in blocks:
        shells = block.tissue.reshape(len(setting.lesions), -1, len(tissue), width)[:, :cores]
        lesion = block.lesion.reshape(len(setting.lesions), -1, width)
        total = np.zeros(width)
        for name, j in (("viable", "j_viable"), ("loss", "j_loss")):
            cells = shells[:, :, tissue.index(name)].sum(axis=1)
            total += (cells / (1.0 + cells * lesion[:, at[j]])).sum(axis=0)
        parts.append(total)
    return np.concatenate(parts)


def read_log(setting: Setting, subjects: NDArray[np.int64], blocks: list[Block]) -> dict[str, list[Any]]:
    """The event log as columns, by subject and time."""
    columns: dict[str, list[Any]] = {"subject": [], "time_h": [], "kind": [], "lesion": [], "value": []}
    names = [lesion.name for lesion in setting.lesions]
    for i, subject in enumerate(subjects):
        block, s = blocks[i // layout.WIDTH], i % layout.WIDTH
        for row in range(int(block.logged[s])):
            time, kind, lesion, value = block.log[row, :, s]
            name = KINDS[int(kind)]
            columns["subject"].append(int(subject))
            columns["time_h"].append(float(time))
            columns["kind"].append(name)
            columns["lesion"].append(names[int(lesion)] if name in LESION_KINDS else "")
            columns["value"].append(float(value))
    return columns
