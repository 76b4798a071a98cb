"""All figures of a result by name, and their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from locokine.report import style
from locokine.report.figures_bars import plot_deaths, plot_exposure, plot_toxicity
from locokine.report.figures_chain import plot_chain, treatment_window
from locokine.report.figures_fields import has_fields, plot_fields
from locokine.report.figures_outcome import plot_spider, plot_survival, plot_waterfall

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "make_all", "plot_chain", "plot_deaths", "plot_exposure", "plot_fields", "plot_spider", "plot_survival",
    "plot_toxicity", "plot_waterfall", "save_all", "save_figure",
]  # fmt: skip

_MADE: WeakKeyDictionary[Any, dict[str, Figure]] = WeakKeyDictionary()
_SVG: WeakKeyDictionary[Any, dict[str, bytes]] = WeakKeyDictionary()


def make_all(result: Any) -> dict[str, Figure]:
    """Draw every figure that the result has data for, once per result.

    Returns
    -------
    dict
        "survival", "waterfall", "spider", "chain", "deaths", "exposure" and "toxicity"; "chain_treatment" (the days
        around the doses) where the follow-up is much longer than the treatment; "fields" where tissue has shells.
    """
    if result in _MADE:
        return _MADE[result]
    makers: dict[str, Callable[[], Figure]] = {
        "survival": lambda: plot_survival(result),
        "waterfall": lambda: plot_waterfall(result),
        "spider": lambda: plot_spider(result),
        "chain": lambda: plot_chain(result),
        "deaths": lambda: plot_deaths(result),
        "exposure": lambda: plot_exposure(result),
        "toxicity": lambda: plot_toxicity(result),
    }
    window = treatment_window(result)
    if window is not None:
        makers["chain_treatment"] = lambda: plot_chain(result, days=window)
    if has_fields(result):
        makers["fields"] = lambda: plot_fields(result, days=window)
    made = {name: maker() for name, maker in makers.items()}
    _MADE[result] = made
    return made


def svg_all(result: Any) -> dict[str, bytes]:
    """SVG of every figure of `make_all`, made once per result: for the page and for the files."""
    if result not in _SVG:
        _SVG[result] = {name: style.svg_bytes(figure) for name, figure in make_all(result).items()}
    return _SVG[result]


def save_all(result: Any, directory: str | Path) -> list[Path]:
    """Write every figure as PNG and SVG; the same result gives the same bytes.

    Parameters
    ----------
    result
        A `Result`.
    directory
        Folder, made if missing; figures of the same names are replaced, each whole or not at all.

    Returns
    -------
    list of pathlib.Path
        The files, `NAME.png` and `NAME.svg` of each figure of `make_all`.

    Raises
    ------
    InputError
        If the folder cannot be written or the disk is full.
    """
    return [
        path
        for name, svg in svg_all(result).items()
        for path in save_figure(make_all(result)[name], directory, name, svg)
    ]


def save_figure(figure: Figure, directory: str | Path, name: str, svg: bytes | None = None) -> list[Path]:
    """Write NAME.png and NAME.svg of one figure, each whole or not at all; `svg` if it was made before.

    Raises
    ------
    InputError
        If the folder cannot be written or the disk is full.
    """
    from locokine.results.store import disk_errors, write_atomic

    folder = Path(directory)
    paths: list[Path] = []
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, content in (("png", style.png_bytes(figure)), ("svg", svg or style.svg_bytes(figure))):
            path = folder / f"{name}.{suffix}"
            write_atomic(path, lambda stream, content=content: stream.write(content))
            paths.append(path)
    return paths
