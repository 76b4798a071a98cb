"""The shape of a file of evidence: names, types and limits of its fields (pydantic), before any name is looked up."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from locokine.errors import InputError
from locokine.units import SUPPLIERS, unit_factor

Text = Annotated[str, Field(min_length=1, max_length=2000)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
OTHER_SUPPLIERS = ("IU", "mass", "unknown", "any", "none")
"""Besides the names of suppliers: international units; mass or substance; not known; of no matter; nothing was given."""
SUPPLIER_WORDS = (*OTHER_SUPPLIERS, *SUPPLIERS)


def _unit(value: object) -> str:
    text = " ".join(str(value).split())
    unit_factor(text, "unit")
    return text


def _identifier(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InputError("", f"'{value}' is not an identifier", "write the number as it is printed")
    return str(value).strip()


def _switch(value: object) -> bool:
    known = {"on": True, "off": False, "true": True, "false": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() in known:
        return known[str(value).lower()]
    raise InputError("", f"'{value}' is neither on nor off", "write on or off")


Unit = Annotated[str, BeforeValidator(_unit)]
Identifier = Annotated[str, BeforeValidator(_identifier), Field(min_length=1, max_length=200)]
Switch = Annotated[bool, BeforeValidator(_switch)]


class Strict(BaseModel):
    """No unknown fields, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CitationModel(Strict):
    """Who reported it, and where it can be found."""

    authors: Text = Field(description="first author, or first author 'and others'")
    year: int | None = Field(None, ge=1900, le=2100, description="year of publication")
    journal: Text | None = Field(None, description="journal with volume and first page")
    doi: Identifier | None = Field(None, description="digital object identifier, beginning with 10.")
    pmid: Identifier | None = Field(None, description="PubMed identifier")
    url: Text | None = Field(None, description="where the number was read, if neither DOI nor PMID is known")

    @model_validator(mode="after")
    def _found(self) -> CitationModel:
        if self.doi is None and self.pmid is None and self.journal is None and self.url is None:
            raise InputError("", "nobody can find this paper", "add doi:, pmid:, or journal: with volume and page")
        if self.doi is not None and not self.doi.startswith("10."):
            raise InputError("doi", f"'{self.doi}' is not a DOI", "write it from '10.' on, without https://doi.org/")
        return self

    def text(self) -> str:
        """The citation in one line."""
        ids = [f"doi {self.doi}" if self.doi else "", f"PMID {self.pmid}" if self.pmid else ""]
        where = [self.journal or "", *ids] if any((self.journal, *ids)) else [self.url or ""]
        head = f"{self.authors} {self.year}" if self.year else f"{self.authors} (year not found)"
        return ", ".join([head, *(part for part in where if part)])


class DoseModel(Strict):
    """The dose as the paper writes it, and whose unit that is."""

    written: Text = Field(description="amount and unit as printed, e.g. 20000 U a day")
    supplier: Literal[SUPPLIER_WORDS] = Field(  # type: ignore[valid-type]
        description="whose unit it is: IU, a supplier, mass, unknown, any (the result does not depend on it), none"
    )

    @model_validator(mode="after")
    def _has_unit(self) -> DoseModel:
        if self.supplier != "none" and not any(character.isalpha() for character in self.written):
            raise InputError("written", f"the dose '{self.written}' has no unit", "write it as the paper does, e.g. 20000 U")
        return self


class ObservedModel(Strict):
    """What was seen, in how many."""

    n: float = Field(gt=0, allow_inf_nan=False, description="hosts of the group (or lesions, courses: see effective)")
    n_from: Literal["paper", "assumed"] = Field("paper", description="whether the paper gives n")
    effective: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="independent hosts that n counts for, if fewer"
    )
    unit: Unit | None = Field(None, description="unit of the numbers")
    successes: float | None = Field(None, ge=0, allow_inf_nan=False, description="how many of n (binomial)")
    percent: Percent | None = Field(None, description="the same as a share, where only that is printed (binomial)")
    value: Number | None = Field(None, description="mean (lognormal, normal)")
    error: float | None = Field(
        None, gt=0, allow_inf_nan=False,
        description="standard deviation of the mean: of its logarithm (lognormal), in the unit (normal)",
    )
    interval: tuple[Number, Number] | None = Field(None, description="95 % interval of the mean, instead of error")
    above: Number | None = Field(None, description="it was at least this (bound, ordering)")
    below: Number | None = Field(None, description="it was at most this (bound, ordering)")

    @model_validator(mode="before")
    @classmethod
    def _pair(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and isinstance(raw.get("interval"), list):
            return {**raw, "interval": tuple(raw["interval"])}
        return raw

    @model_validator(mode="after")
    def _consistent(self) -> ObservedModel:
        if self.effective is not None and self.effective > self.n:
            raise InputError("effective", f"{self.effective:g} is more than n ({self.n:g})", "give at most n")
        if self.successes is not None and self.successes > self.n:
            problem = f"{self.successes:g} of {self.n:g} contradict each other"
            raise InputError("successes", problem, "successes cannot exceed n")
        if self.successes is not None and self.percent is not None:
            share = 100.0 * self.successes / self.n
            if abs(share - self.percent) > 1.0:
                problem = f"contradicts successes: {self.successes:g} of {self.n:g} are {share:.3g} %, not {self.percent:g} %"
                raise InputError("percent", problem, "keep the one that the paper states")
        if self.interval is not None:
            low, high = self.interval
            if not low < high or (self.value is not None and not low <= self.value <= high):
                problem = f"[{low:g}, {high:g}] contradicts the value" if low < high else f"[{low:g}, {high:g}] is empty"
                raise InputError("interval", problem, "write the lower end first; the value lies between them")
        if self.above is not None and self.below is not None and self.above > self.below:
            problem = f"at least {self.above:g} and at most {self.below:g} contradict each other"
            raise InputError("above", problem, "exchange them")
        return self


class ChangesModel(Strict):
    """Mechanisms or values of a scenario that are changed."""

    switches: dict[Text, Switch] = Field(default_factory=dict, description="mechanism → on or off")
    overrides: dict[Text, str | float | int] = Field(default_factory=dict, description="parameter → value with unit")


class GroupModel(ChangesModel):
    """The group that another is compared with: an arm of a scenario, with mechanisms or values changed."""

    scenario: Text | dict[str, Any] | None = Field(
        None, description="name of a file in the folder scenarios/, or a scenario written out; default: the same"
    )
    arm: Text | None = Field(None, description="arm of the scenario; default: the same")


class EvidenceModel(ChangesModel):
    """One published observation with the experiment that gave it."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = Field(description="name, as the file")
    rows: list[Text] = Field(
        default_factory=list, description="rows of the table of evidence that it stands for; default: its id"
    )
    use: Literal["calibrate", "validate"] = Field(description="may be fitted, or is never fitted")
    what: Text = Field(description="what was done and seen, in words")
    citation: CitationModel
    dose: DoseModel
    scenario: Text | dict[str, Any] = Field(
        description="name of a file in the folder scenarios/, or a scenario written out"
    )
    arm: Text = Field(description="arm of the scenario that was observed")
    observable: Text = Field(description="what is read from it")
    at: dict[Text, str | float | int] = Field(default_factory=dict, description="settings of the observable")
    against: GroupModel | None = Field(None, description="group that it is compared with; what is not said is the same")
    compare: Literal["difference", "ratio"] = Field("difference", description="how the two are compared")
    likelihood: Literal["binomial", "lognormal", "normal", "bound", "ordering"]
    observed: ObservedModel
    assumptions: list[Text] = Field(default_factory=list, description="what was assumed where the paper is silent")
    data_set: Text | None = Field(None, description="data set that it comes from, if others report it too; counts once")

    @model_validator(mode="after")
    def _complete(self) -> EvidenceModel:
        seen, kind = self.observed, self.likelihood
        if kind == "binomial":
            if seen.successes is None and seen.percent is None:
                raise InputError("observed", "a binomial observation has no count", "add successes: or percent:")
        elif kind in ("lognormal", "normal"):
            for name in ("value", "unit"):
                if getattr(seen, name) is None:
                    raise InputError("observed", f"the field '{name}' is missing", f"add '{name}:'")
            if seen.error is None and seen.interval is None:
                raise InputError("observed", "nothing says how sure the value is", "add error: or interval: [low, high]")
            if kind == "lognormal" and min(seen.value or 0.0, *(seen.interval or (1.0, 1.0))) <= 0.0:
                raise InputError("observed", "a lognormal value must be above 0", "use likelihood: normal")
        else:
            if seen.above is None and seen.below is None:
                raise InputError("observed", f"the {kind} has no limit", "add above: or below:")
            if seen.unit is None:
                raise InputError("observed", "the field 'unit' is missing", "add 'unit:'")
        if (kind == "ordering") != (self.against is not None) and kind in ("ordering", "binomial", "bound"):
            problem = "an ordering needs a second group" if kind == "ordering" else f"a {kind} observation is of one group"
            raise InputError("against", problem, "add against: {arm: NAME}" if kind == "ordering" else "remove it")
        if (seen.n_from == "assumed" or self.dose.supplier in ("unknown", "any")) and not self.assumptions:
            raise InputError("assumptions", "n or the unit of the dose is assumed, and nothing says how", "add a sentence")
        return self


class OutsideModel(Strict):
    """A row of the table of evidence that the model cannot express."""

    rows: list[Text] = Field(min_length=1)
    what: Text
    needs: Text = Field(description="what the model would have to have")


class OutsideFile(Strict):
    """`outside.yaml`: rows beyond the model's reach, and names that the library is going to have."""

    planned: dict[Literal["hosts", "lines", "agents"], list[Text]]
    outside: list[OutsideModel]


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a file of evidence; units, names and dosing lines are checked when it is loaded."""
    schema = EvidenceModel.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "locokine evidence"
    switch = {"anyOf": [{"type": "boolean"}, {"enum": ["on", "off"]}]}
    for part in (schema, schema["$defs"]["GroupModel"]):
        part["properties"]["switches"]["additionalProperties"] = switch
    identifier = {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}
    for name in ("doi", "pmid"):
        schema["$defs"]["CitationModel"]["properties"][name] |= identifier
    return schema
