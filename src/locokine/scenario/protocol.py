"""What is given, to whom and when: the typed form of an experiment, in internal units.

Everything here is immutable data. Text is turned into these types by `scenario.dosing` and `scenario.load`; the
engine reads them and never sees text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Route = Literal[
    "intratumoural", "peritumoural", "intravenous", "intraperitoneal", "subcutaneous", "intra-arterial", "intracavitary"
]
Site = Literal["skin", "subcutis", "viscera", "node", "peritoneum", "pleura", "bladder"]
CAVITIES = ("peritoneum", "pleura", "bladder")
"""Sites that are fluid cavities."""


@dataclass(frozen=True)
class Dose:
    """One administration to one host.

    Attributes
    ----------
    time
        Start, in h after day 0 00:00 of the experiment.
    agent
        Name of the agent in the scenario.
    amount
        Amount per administration, in fmol; exactly one of `amount` and `amount_per_kg` is given (the other is nan).
    amount_per_kg
        Amount per kg of body weight, in fmol/kg.
    route
        Where it is put.
    lesions
        Names of the lesions injected (local routes); empty for intravenous, intraperitoneal and subcutaneous.
        The amount is divided over them in proportion to their volume unless `per_lesion`.
    volume
        Injected volume in mm³ (per lesion if `per_lesion`, else in all); nan takes the default of the route.
    duration
        Duration in h; 0 is a bolus.
    distance
        Peritumoural only: distance from the tumour's edge in mm.
    per_lesion
        Whether amount and volume are given to each lesion.
    course
        Index of the dosing line in the arm that this dose comes from (rules act on a whole line).
    points
        Into how many places it is divided (a fan of injections). Within a lesion their pools are spread evenly over its
        volume. A place beside it is the whole shell at that distance, so that the number changes nothing there.
    """

    time: float
    agent: str
    amount: float
    route: Route
    lesions: tuple[str, ...] = ()
    volume: float = float("nan")
    duration: float = 0.0
    distance: float = 1.0
    per_lesion: bool = False
    amount_per_kg: float = float("nan")
    course: int = 0
    points: int = 1


@dataclass(frozen=True)
class Rule:
    """A treatment rule, evaluated before each dose of its course.

    `kind`: "until" (end the course once true), "hold" (skip doses while true), "stop" (end the course once true) or
    "reduce" (give `share` of every dose from then on).
    `term`: "complete_response" or a toxicity term of `outcome.toxicity` ("hypotension", "weight_gain",
    "capillary_leak", "fever", "injection_site_reaction", "any").
    `grade`: threshold grade for toxicity terms.
    """

    kind: Literal["until", "hold", "stop", "reduce"]
    term: str
    grade: int = 0
    course: int = 0
    share: float = 1.0


@dataclass(frozen=True)
class Act:
    """What is done to lesions beside doses: one fraction of radiotherapy, or a resection.

    Attributes
    ----------
    time
        In h after day 0 00:00.
    kind
        "radiotherapy" or "resection".
    size
        Radiotherapy: dose in Gy. Resection: share of the lesion's cells that is left.
    lesions
        Names of the lesions.
    left
        Resection: cells that are left, instead of a share; else nan.
    course
        Index of the line in the arm.
    """

    time: float
    kind: Literal["radiotherapy", "resection"]
    size: float
    lesions: tuple[str, ...]
    left: float = float("nan")
    course: int = 0


@dataclass(frozen=True)
class LesionPlan:
    """A tumour deposit: what, where, how much and when.

    `site` is one of "skin", "subcutis", "viscera", "node" (solid) or of `CAVITIES`.
    Exactly one of `cells` and `volume` (mm³ of solid tumour) is set, the other nan. `day` is in days.
    `seeded_by` names the lesion whose cells travel here: it begins empty (0 cells).
    """

    name: str
    line: str
    site: Site
    cells: float = float("nan")
    volume: float = float("nan")
    day: float = 0.0
    seeded_by: str = ""


@dataclass(frozen=True)
class Arm:
    """A treatment arm: its doses and acts (sorted by time) and rules; `text` keeps the user's own lines."""

    name: str
    doses: tuple[Dose, ...] = ()
    rules: tuple[Rule, ...] = ()
    text: tuple[str, ...] = ()
    acts: tuple[Act, ...] = ()

    @property
    def times(self) -> tuple[float, ...]:
        """When anything is done, doses, fractions and operations, in h and in order; empty for an untreated arm."""
        return tuple(sorted(one.time for one in (*self.doses, *self.acts)))

    @property
    def treated(self) -> bool:
        """Whether there is any treatment: radiotherapy, surgery, or a dose of something (a vehicle is nothing)."""
        return bool(self.acts) or any(dose.amount != 0.0 for dose in self.doses)


@dataclass(frozen=True)
class Rechallenge:
    """Cured hosts and naive controls receive a new tumour; rejection is read `observe` days later.

    Cured hosts are challenged at the end of follow-up (or on `day`), each line in its own copy of the host.
    """

    lines: tuple[str, ...]
    cells: float
    site: str = "subcutis"
    observe: float = 60.0


@dataclass(frozen=True)
class Protocol:
    """All that the engine needs to know of one experiment, apart from the values of the parameters.

    `follow_up` is in h, like the times of doses; `LesionPlan.day` and `Rechallenge.observe` are in days.
    """

    lesions: tuple[LesionPlan, ...]
    agents: tuple[str, ...]
    arms: tuple[Arm, ...]
    follow_up: float
    geometry: Literal["well-mixed", "shells"] = "shells"
    shells: int = 16
    rim_shells: int = 8
    rechallenge: Rechallenge | None = None
    switches: dict[str, bool] = field(default_factory=dict)

