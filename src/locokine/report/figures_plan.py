"""Figures of planning: power by size, and designs by aim and toxicity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from locokine.outcome.endpoints import endpoint
from locokine.report import style
from locokine.report.figures_sensitivity import axis_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from locokine.inference.optimise import Optimum
    from locokine.inference.power import Power

MARKS = ("o", "s", "^", "D", "v", "P")


def plot_power(found: Power) -> Figure:
    """Power against subjects per arm, with the band of what is not known and the size that reaches the target."""
    table = found.table
    with style.styled():
        figure = style.new_figure(7.6, 4.4)
        axes = figure.add_axes((0.1, 0.15, 0.86, 0.68))
        size = table["size"].to_numpy(dtype=float)
        names = ("low", "high", "expected", "power")
        low, high, expected, known = (100.0 * table[name].to_numpy(dtype=float) for name in names)
        axes.fill_between(size, low, high, color=style.SKY, alpha=0.3, lw=0, label="5 to 95 %")
        axes.plot(size, expected, "-o", color=style.BLUE, ms=4, label="expected")
        axes.plot(size, known, "--", color=style.GREY, lw=1.2, label="at the library's values")
        axes.axhline(100.0 * found.target, color=style.INK, lw=0.7)
        if found.size is not None:
            axes.axvline(found.size, color=style.VERMILION, lw=1.2)
            axes.text(found.size * 1.03, 4.0, f"{found.size} per arm", color=style.VERMILION, fontsize=9)
        axes.set_xscale("log")
        ticks = [s for s in (2, 3, 5, 10, 20, 50, 100, 200, 500, 1000) if size.min() <= s <= size.max()]
        axes.set_xticks(ticks, [str(s) for s in ticks])
        axes.set_xticks([], minor=True)
        axes.set_ylim(0.0, 102.0)
        axes.set_xlabel("subjects per arm")
        axes.set_ylabel("power, %")
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, 1.02))
        figure.text(0.01, 0.94, style.wrap(
            f"{found.arm} against {found.reference}: {found.outcome.replace('_', ' ')}, {found.test}", 80, 1
        ), fontsize=11, fontweight="bold")
        figure.text(0.01, 0.02, "Research use only.", fontsize=7.5, color=style.GREY)
    return figure


def plot_optimum(found: Optimum) -> Figure:
    """Left: all designs by toxicity and aim, the front and the limit. Right: aim by dose, and what does as well."""
    with style.styled():
        figure = style.new_figure(style.PAGE_WIDTH, 5.6)
        left, right = figure.add_axes((0.06, 0.26, 0.38, 0.6)), figure.add_axes((0.53, 0.26, 0.45, 0.6))
        _front(left, found)
        _by_dose(right, found)
        title = f"{found.experiment}: {found.aim.replace('_', ' ')} against {found.toxicity.replace('_', ' ')}"
        figure.suptitle(style.wrap(title, 120, 1), x=0.01, ha="left", fontsize=12, fontweight="bold")
        best = f"Best that keeps the limit: {found.best['design']}. " if found.best else ""
        note = f"{best}{found.subjects} subjects a design. Research use only."
        figure.text(0.01, 0.015, note, fontsize=7.5, color=style.GREY)
    return figure


def _groups(found: Optimum) -> list[tuple[str, str, str, str]]:
    """Combinations of route and schedule with label, mark and colour."""
    pairs = list(dict.fromkeys(zip(found.designs["route"], found.designs["schedule"], strict=True)))
    colours = (style.BLUE, style.VERMILION, style.GREEN, style.ORANGE, style.PURPLE, style.SKY, style.GREY)
    return [(r, s, MARKS[i % len(MARKS)], colours[i % len(colours)]) for i, (r, s) in enumerate(pairs)]


def _front(axes: Axes, found: Optimum) -> None:
    table = found.designs
    for route, schedule, mark, colour in _groups(found):
        rows = table.loc[(table["route"] == route) & (table["schedule"] == schedule)]
        axes.plot(rows["toxicity"], rows["aim"], mark, ms=6, color=colour, alpha=0.55, mec="none")
    front = table.loc[table["on_front"]].sort_values("toxicity")
    step = "post" if endpoint(found.aim).good else "pre"
    axes.step(front["toxicity"], front["aim"], where=step, color=style.INK, lw=1.0)
    if len(found.front):
        x, y = found.front["toxicity_again"].to_numpy(dtype=float), found.front["aim_again"].to_numpy(dtype=float)
        across = np.abs(found.front[["toxicity_low", "toxicity_high"]].to_numpy(dtype=float).T - x)
        along = np.abs(found.front[["aim_low", "aim_high"]].to_numpy(dtype=float).T - y)
        axes.errorbar(x, y, along, across, fmt="o", ms=4, color=style.INK, mfc="white", elinewidth=0.6, lw=0)
    axes.axvline(found.limit, color=style.VERMILION, lw=1.0, ls="--")
    axes.text(found.limit, 1.01, " limit", transform=axes.get_xaxis_transform(), color=style.VERMILION, fontsize=8)
    axes.set_xlabel(axis_label(found.toxicity))
    axes.set_ylabel(axis_label(found.aim))
    axes.set_title("Designs; line: none beats; white: fresh subjects", loc="left", pad=14)


def _by_dose(axes: Axes, found: Optimum) -> None:
    table = found.designs
    for route, schedule, mark, colour in _groups(found):
        rows = table.loc[(table["route"] == route) & (table["schedule"] == schedule)]
        good = rows["as_good"].to_numpy(dtype=bool)
        name = style.wrap(f"{route}, {schedule}", 60, 1)
        axes.plot(rows["dose"][~good], rows["aim"][~good], mark, ms=6, color=colour, mfc="none", mew=1.2)
        axes.plot(rows["dose"][good], rows["aim"][good], mark, ms=6.5, color=colour, label=name if good.any() else None)
        if not good.any():
            axes.plot([], [], mark, ms=6, color=colour, mfc="none", mew=1.2, label=name)
    axes.set_xscale("log")
    doses = table["dose"].to_numpy(dtype=float)
    low, high = float(doses.min()), float(doses.max())
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [m * 10.0**d for d in decades for m in (1, 2, 5) if 0.8 * low <= m * 10.0**d <= 1.25 * high]
    axes.set_xticks(ticks, [f"{tick:.12g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(f"dose, {found.space.dose.unit}")
    axes.set_ylabel(axis_label(found.aim))
    axes.set_title("Filled: does as well as the best and keeps the limit", loc="left", pad=14)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.05, -0.15), ncols=2, handletextpad=0.3)
