"""The engine beside LSODA and libRoadRunner: time per subject at the same error, on the same differential equations."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import DAYS_COMPARED, mouse
from benchmarks.peers import Course, Lsoda, RoadRunner, Subject
from locokine.engine.grid import Accuracy
from locokine.engine.variables import LESION, PLACES
from locokine.formats.equations import trace
from locokine.formats.sbml import LAG

Array = NDArray[np.float64]
TOLERANCES = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5, 1e-6)
SUBJECTS = 4
VOLUME = [variable.name for variable in LESION].index("tumour_volume")


@dataclass
class Contender:
    """One solver at one setting: its error (median over subjects of the largest, relative) and seconds a subject."""

    name: str
    setting: str
    volume_error: float
    auc_error: float
    seconds: float

    @property
    def error(self) -> float:
        """The larger of both errors."""
        return max(self.volume_error, self.auc_error)


def errors(found: list[tuple[Array, float]], wanted: list[Course]) -> tuple[float, float]:
    """Median over subjects of the largest relative error of volume, and of the error of the IL-2 AUC in the tumour."""
    volume = [np.max(np.abs(v / w.volume - 1.0)) for (v, _), w in zip(found, wanted, strict=True)]
    auc = [abs(a / w.area_tumour[-1] - 1.0) for (_, a), w in zip(found, wanted, strict=True)]
    return float(np.median(volume)), float(np.median(auc))


def engine(made: Any, accuracy: Accuracy, wanted: list[Course], repeats: int = 3) -> Contender:
    """The engine on one thread, full blocks; seconds are those of the processor."""
    from locokine.engine import batch
    from locokine.population.draw import draw

    def no_chance(setting: Any, purpose: str, count: int) -> dict[str, Array]:
        lesions = len(setting.lesions)
        return {"cure": np.full((lesions, count), 2.0), "death": np.full(count, np.inf)}

    people = draw(made)
    arm = made.protocol.arms[0]
    setting = batch.prepare(made, people, arm, made.protocol.lesions, made.protocol.follow_up, accuracy)
    subjects = np.arange(made.subjects)
    usual, batch.chance = batch.chance, no_chance
    try:
        batch.run(setting, subjects[:1], 1)
        seconds = []
        done = None
        for _ in range(repeats):
            began = time.thread_time()
            done = batch.run(setting, subjects, 1)
            seconds.append((time.thread_time() - began) / made.subjects)
    finally:
        batch.chance = usual
    assert done is not None
    place = PLACES.index("tumour")
    found = [(done.daily_lesion[VOLUME, 0, 1:, i], float(done.exposure[place, -1, 1, i])) for i in range(len(wanted))]
    volume, auc = errors(found, wanted)
    steps = f"steps up to {accuracy.longest:g} h"
    return Contender("locokine", steps, volume, auc, float(np.median(seconds)))


def compare() -> tuple[list[Contender], dict[str, Any]]:
    """All contenders, and facts about the equations."""
    made = mouse("well-mixed", 256, DAYS_COMPARED, chance=False)
    arm = made.protocol.arms[0].name
    equations = trace(made, arm)
    times = np.arange(24.0, made.protocol.follow_up + 1e-6, 24.0)
    people = [Subject(made, arm, i) for i in range(SUBJECTS)]
    lsoda = Lsoda(equations)
    reference = [lsoda.run(subject, times, 1e-9) for subject in people]
    contenders = [engine(made, Accuracy().finer(f), reference) for f in (1, 2, 4, 8)]
    solvers: list[Any] = [lsoda]
    facts: dict[str, Any] = {
        "states": len(equations.states), "parameters": len(equations.used_parameters()),
        "operations": equations.operations(), "days": DAYS_COMPARED,
    }
    try:
        runner = RoadRunner(equations)
    except ImportError:
        facts["libroadrunner"] = "not installed"
    else:
        solvers.append(runner)
        facts["libroadrunner"] = {"loading_s": runner.loading, "broken_off": len(runner.cut), "lag_s": 3600.0 * LAG}
    for solver in solvers:
        for tolerance in TOLERANCES:
            done = [solver.run(subject, times, tolerance) for subject in people]
            volume, auc = errors([(c.volume, float(c.area_tumour[-1])) for c in done], reference)
            seconds = float(np.median([c.seconds for c in done]))
            contenders.append(Contender(solver.name, f"tolerance {tolerance:g}", volume, auc, seconds))
    return contenders, facts


def matched(contenders: list[Contender], limit: float) -> dict[str, Contender]:
    """Of every solver the fastest setting whose error is at most `limit`."""
    best: dict[str, Contender] = {}
    for one in contenders:
        if one.error <= limit and (one.name not in best or one.seconds < best[one.name].seconds):
            best[one.name] = one
    return best
