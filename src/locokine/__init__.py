"""locokine: an in-silico laboratory for local cytokine therapy of cancer.

Simulates what interleukin-2 does when it is injected at a tumour, next to it, or into the blood, from the molecule in
the tissue to the trial in a population, and says why. **Research use only: never for dosing or treating patients.**

    import locokine as lk
    experiment = lk.load("experiment.yaml")
    result = lk.run(experiment, "results/mine")
    result                      # a table in a notebook
    result.subjects             # pandas
    result.daily                # xarray, with units

Names are resolved when first used (PEP 562), so that importing the package costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from locokine.api import Estimate as Estimate
    from locokine.api import Experiment as Experiment
    from locokine.api import Result as Result
    from locokine.api import assess as assess
    from locokine.api import draw as draw
    from locokine.api import estimate as estimate
    from locokine.api import load as load
    from locokine.api import new as new
    from locokine.api import open_result as open_result
    from locokine.api import run as run
    from locokine.api import simulate as simulate
    from locokine.api import twin as twin
    from locokine.errors import InputError as InputError

__all__ = [
    "Estimate",
    "Experiment",
    "InputError",
    "Result",
    "__version__",
    "assess",
    "draw",
    "estimate",
    "load",
    "new",
    "open_result",
    "run",
    "simulate",
    "twin",
]
_ELSEWHERE = {"InputError": "locokine.errors"}
"""Public names that do not live in `locokine.api`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_ELSEWHERE.get(name, "locokine.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
