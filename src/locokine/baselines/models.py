"""The published models by name: parameters with units and meaning, start, source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace

from locokine.errors import InputError
from locokine.parameters.reading import suggest
from locokine.units import parse_quantity, unit_factor

DELAY = "tau"
"""Name of the parameter that says by how many days effector cells answer late."""
TUMOUR = "tumour"
"""Name of the start that must not be 0: its logarithm is integrated."""


@dataclass(frozen=True)
class Quantity:
    """A parameter or a start: value in `unit`, and the bounds of what can be asked for.

    Rates and sizes that the equations divide by have a smallest value above 0. The largest are far beyond biology (a cell that
    divides a hundred times a day, 1e13 cells in a host, which is more than a human body of tumour) and keep the solver finite.
    """

    name: str
    value: float
    unit: str
    meaning: str
    low: float = 0.0
    high: float = 1e4


@dataclass(frozen=True)
class Baseline:
    """A published model.

    Attributes
    ----------
    name, label, citation
        What it is called, and where it comes from.
    parameters
        Values as published, per day.
    start
        Effector cells, tumour cells, interleukin-2 on day 0 (and before, where there is a delay).
    note
        What was assumed because it was not found.
    """

    name: str
    label: str
    citation: str
    parameters: tuple[Quantity, ...]
    start: tuple[Quantity, ...]
    note: str = ""

    @property
    def values(self) -> SimpleNamespace:
        """Values of the parameters by name."""
        return SimpleNamespace(**{one.name: one.value for one in self.parameters})

    @property
    def delay(self) -> float:
        """Days by which effector cells answer late."""
        return float(getattr(self.values, DELAY, 0.0))

    def changed(self, settings: Mapping[str, str | float]) -> Baseline:
        """Return the model with other values of parameters or of the start.

        Parameters
        ----------
        settings
            Name → text with its unit, or a number in the model's own unit.

        Raises
        ------
        InputError
            On an unknown name, a wrong unit or a number out of the quantity's bounds.
        """
        known = {one.name: one for one in (*self.parameters, *self.start)}
        new: dict[str, float] = {}
        for name, value in settings.items():
            if name not in known:
                raise InputError(f"model {self.name}", f"no parameter '{name}'", suggest(name, known))
            if isinstance(value, str):
                number = parse_quantity(value, known[name].unit, f"model {self.name}, {name}")
                new[name] = number / unit_factor(known[name].unit)
            else:
                new[name] = float(value)
            if name == TUMOUR and new[name] == 0.0:
                raise InputError(f"model {self.name}, {name}", "there is no tumour to begin with", "write e.g. tumour=1 cells")
            low, high, unit = known[name].low, known[name].high, "" if known[name].unit == "1" else f" {known[name].unit}"
            if not low <= new[name] <= high:
                problem = f"{new[name]:g}{unit} is out of bounds ({known[name].meaning})"
                raise InputError(f"model {self.name}, {name}", problem, f"write a number from {low:g} to {high:g}{unit}")
        parameters = tuple(replace(one, value=new.get(one.name, one.value)) for one in self.parameters)
        start = tuple(replace(one, value=new.get(one.name, one.value)) for one in self.start)
        return replace(self, parameters=parameters, start=start)


_MOST = 1e13
"""cells, and units of interleukin-2."""
_PARAMETERS = (
    Quantity("c", 0.035, "1/day", "antigenicity: effector cells recruited per tumour cell", 0.0, 100.0),
    Quantity("mu2", 0.03, "1/day", "loss of effector cells (their life is 1/mu2)", 0.0, 100.0),
    Quantity("p1", 0.1245, "1/day", "most proliferation of effector cells by interleukin-2", 0.0, 100.0),
    Quantity("g1", 2e7, "1", "interleukin-2 at which it is half of that", 1.0, _MOST),
    Quantity("s1", 0.0, "cells/day", "effector cells given (adoptive immunotherapy)", 0.0, _MOST),
    Quantity("r2", 0.18, "1/day", "growth of the tumour", 0.0, 100.0),
    Quantity("b", 1e-9, "1/cells", "1 / largest tumour", 1.0 / _MOST, 1.0),
    Quantity("a", 1.0, "1/day", "killing", 1e-6, 1e4),
    Quantity("g2", 1e5, "cells", "tumour cells at which killing is half saturated", 1.0, _MOST),
    Quantity("p2", 5.0, "1/cells/day", "interleukin-2 made by an effector cell", 0.0, 1e4),
    Quantity("g3", 1e3, "cells", "tumour cells at which it is half of that", 1.0, _MOST),
    Quantity("mu3", 10.0, "1/day", "loss of interleukin-2", 1e-3, 1e4),
    Quantity("s2", 0.0, "1/day", "interleukin-2 given", 0.0, _MOST),
)
_DELAY = Quantity(DELAY, 0.0, "day", "how late effector cells answer to interleukin-2", 0.0, 1e4)
_START = (
    Quantity("effectors", 1.0, "cells", "effector cells", 0.0, _MOST),
    Quantity(TUMOUR, 1.0, "cells", "tumour cells", 1e-6, _MOST),
    Quantity("il2", 1.0, "1", "interleukin-2", 0.0, _MOST),
)
KIRSCHNER_PANETTA = Baseline(
    "kirschner-panetta",
    "Kirschner and Panetta 1998",
    "Kirschner D, Panetta JC. Modeling immunotherapy of the tumor-immune interaction. J Math Biol 1998;37:235-252. "
    "doi:10.1007/s002850050127",
    _PARAMETERS,
    _START,
)
BANERJEE = replace(
    KIRSCHNER_PANETTA,
    parameters=(*_PARAMETERS, _DELAY),
    name="banerjee",
    label="Banerjee 2008",
    citation="Banerjee S. Immunotherapy with interleukin-2: a study based on mathematical modeling. "
    "Int J Appl Math Comput Sci 2008;18:389-398. doi:10.2478/v10006-008-0035-6",
    # MODEL2001130001 of BioModels has them without dimension: by 1e9 cells and by 1/r2 = 5.56 days
    note="values and start as in BioModels MODEL2001130001, which has no delay; the place of the delay (stimulation of "
    "effector cells) and its length of a day were not checked at the source",
).changed({"c": 0.0056 * 0.18, "s2": 0.05 * 0.18e9, DELAY: 1.0, "effectors": 0.0, "tumour": 5e7, "il2": 5e6})
BASELINES = {one.name: one for one in (KIRSCHNER_PANETTA, BANERJEE)}
"""Name → published model."""


def baseline(name: str) -> Baseline:
    """Return a published model.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in BASELINES:
        raise InputError("--model", f"no model '{name}'", suggest(name, BASELINES))
    return BASELINES[name]
