"""The shape of a scenario file: names, types and limits of its fields (pydantic), before any name is looked up."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from locokine.errors import InputError
from locokine.units import parse_quantity

SCHEMA_VERSION = 1
SITES = ("skin", "subcutis", "viscera", "node", "peritoneum", "pleura", "bladder")


def _quantity(dimension: str, positive: bool = True) -> BeforeValidator:
    """Return a validator that checks a text with unit and keeps it as text."""

    def check(value: object) -> str:
        parse_quantity(value, dimension, "", positive=positive)
        return " ".join(str(value).split())

    return BeforeValidator(check)


def _switch(value: object) -> bool:
    """`on`, `off`, true and false; YAML 1.2 reads `off` as a word."""
    known = {"on": True, "off": False, "true": True, "false": False, "yes": True, "no": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    raise InputError("", f"'{value}' is neither on nor off", "write on or off")


def _lines(value: object) -> list[str]:
    """An arm is a list of dosing lines, one line, or nothing."""
    if value is None:
        return []
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise InputError(
            "", "an arm must be a list of dosing lines", 'write one per line after "- ", or [] for no treatment'
        )
    return list(items)


def _override(value: object) -> str | float | int:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InputError("", f"'{value}' is not a value", "write it with its unit, e.g. 20 nM")
    return value


Cells = Annotated[str, _quantity("cells"), Field(examples=["1e6 cells"])]
Volume = Annotated[str, _quantity("volume"), Field(examples=["300 mm3"])]
Length = Annotated[str, _quantity("length"), Field(examples=["9 mm"])]
Duration = Annotated[str, _quantity("time"), Field(examples=["60 days"])]
Day = Annotated[float, Field(ge=0, le=36500, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Switch = Annotated[bool, BeforeValidator(_switch)]
DosingLines = Annotated[list[str], BeforeValidator(_lines)]
Override = Annotated[str | float | int, BeforeValidator(_override)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class LesionModel(_Strict):
    """A tumour deposit, or several alike (`count`)."""

    line: Name = Field(description="tumour line, a name of the library")
    site: Literal["skin", "subcutis", "viscera", "node", "peritoneum", "pleura", "bladder"] | None = Field(
        None, description="where it grows; peritoneum, pleura and bladder are fluid cavities; default: the line's first site"
    )
    seeded_by: Name | None = Field(
        None, alias="seeded-by", description="lesion whose cells travel here: a metastasis in the draining node, empty at first"
    )
    cells: Cells | None = Field(None, description="size as a number of cells")
    volume: Volume | None = Field(None, description="size as a volume of solid tumour")
    diameter: Length | None = Field(None, description="size as the diameter of a sphere")
    day: Day = Field(0.0, description="day on which it is implanted, or first seen")
    count: int = Field(1, ge=1, le=1000, description="number of such lesions, named NAME_1, NAME_2, …")
    spread: float = Field(
        0.0,
        ge=0,
        le=3,
        allow_inf_nan=False,
        description="log-sd of the size (as written: cells, volume or diameter) over them; quantiles, not draws",
    )

    @model_validator(mode="after")
    def _one_size(self) -> LesionModel:
        given = [name for name in ("cells", "volume", "diameter") if getattr(self, name) is not None]
        if self.seeded_by is not None:
            if given or self.count != 1:
                raise InputError("", "a seeded lesion begins empty, and alone", "remove its size and count")
            return self
        if len(given) != 1:
            problem = "has no size" if not given else f"has {len(given)} sizes ({', '.join(given)})"
            raise InputError("", problem, "give exactly one of cells: 1e6 cells, volume: 300 mm3, diameter: 9 mm")
        return self


class RechallengeModel(_Strict):
    """Cured hosts and naive controls receive a new tumour."""

    lines: list[Name] = Field(min_length=1, description="tumour lines, each in its own copy of the host")
    cells: Cells = Field(description="inoculum")
    site: Literal["skin", "subcutis", "viscera"] = Field("subcutis", description="where it is implanted")
    observe: Duration = Field("60 days", description="time after which rejection is read")


class ScenarioModel(_Strict):
    """An experiment as the lab says it."""

    experiment: Name = Field(description="name of the experiment")
    description: str = Field("", description="free text, shown in the report")
    host: Name = Field(description="a host of the library")
    lesions: dict[Name, LesionModel] = Field(min_length=1, description="the tumours of every host, by name")
    agents: list[Name] | None = Field(None, min_length=1, description="agents used; default: those that the arms name")
    arms: dict[Name, DosingLines] = Field(
        min_length=1, description="name of the arm → its dosing lines; [] is untreated"
    )
    subjects: int = Field(100, ge=1, le=1_000_000, description="hosts per arm; all arms share their subjects")
    follow_up: Duration = Field(alias="follow-up", description="length of the experiment")
    rechallenge: RechallengeModel | None = Field(None, description="challenge of cured hosts beside naive controls")
    geometry: Literal["shells", "well-mixed"] = Field("shells", description="how a solid lesion is resolved in space")
    shells: int = Field(16, ge=1, le=256, description="shells of the tumour, if geometry is shells")
    rim_shells: int = Field(8, ge=1, le=64, alias="rim-shells", description="shells of the rim of host tissue")
    seed: int = Field(1, ge=0, le=2**63 - 1, description="of all random draws")
    switches: dict[Name, Switch] = Field(default_factory=dict, description="mechanism → on or off")
    overrides: dict[Name, Override] = Field(
        default_factory=dict, description="parameter, or ENTRY.parameter → value with unit"
    )
    readouts: list[Name] | None = Field(None, min_length=1, description="variables to keep; default: all")
    library: list[Name] = Field(
        default_factory=list, description="folders of further hosts, lines and agents, relative to this file"
    )
    schema_version: int | None = Field(None, description="of a resolved scenario, written by a run")
    locokine: str | None = Field(None, description="version that wrote a resolved scenario")
    library_digest: str | None = Field(None, description="digest of the library of a resolved scenario")
    uncertainty: str | None = Field(
        None, description="digest of the posterior that subjects were spread over, in a resolved scenario"
    )
    parameters: dict[str, dict[str, Any]] | None = Field(
        None, description="values of all parameters in a resolved scenario"
    )

    @model_validator(mode="after")
    def _version(self) -> ScenarioModel:
        if self.schema_version is not None and not 1 <= self.schema_version <= SCHEMA_VERSION:
            raise InputError(
                "",
                f"schema_version {self.schema_version} is not understood by this version of locokine",
                "install a newer locokine, or remove the line",
            )
        return self


FIELDS: dict[str, tuple[str, ...]] = {
    name: tuple(info.alias or key for key, info in model.model_fields.items())
    for name, model in (("", ScenarioModel), ("lesions", LesionModel), ("rechallenge", RechallengeModel))
}
"""Names of the fields as users write them: of the file, of a lesion, of the rechallenge."""
