"""The figure of an explanation: who contributes what, what each can do alone, and what happens when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from locokine.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from locokine.inference.explain import Explanation

NAMES = {
    "volume_reduction": "shrinkage", "response": "response", "cure": "cure", "protection": "cure and protection",
}  # fmt: skip
COLOURS = (style.VERMILION, style.ORANGE, style.BLUE, style.PURPLE, style.GREEN, style.SKY)
"""Of mechanisms, by their order."""


def plot_explanation(found: Explanation) -> Figure:
    """Three panels: contributions by effect, twins of the main effect, order of events.

    Parameters
    ----------
    found
        See `inference.explain`.
    """
    with style.styled():
        figure = style.new_figure(style.PAGE_WIDTH, 5.4)
        grid = figure.add_gridspec(
            1, 3, width_ratios=(1.1, 0.9, 1.2), left=0.065, right=0.985, top=0.86, bottom=0.2, wspace=0.6
        )
        axes = [figure.add_subplot(grid[0, i]) for i in range(3)]
        _contributions(axes[0], found)
        _twins(axes[1], found)
        _timeline(axes[2], found)
        control = f" less {found.control}" if found.control else ""
        title = f"{found.experiment}: why {found.arm} treatment does what it does ({found.subjects} {found.host}s{control})"
        figure.suptitle(style.wrap(title, 130, 1), x=0.01, ha="left", fontsize=12, fontweight="bold")
        note = (
            "Left: Shapley values, whiskers 95 % over subjects. Right: time at which half of the change was made; dots subjects, "
            "bars medians, grey before the first stored value. Research use only."
        )
        figure.text(0.01, 0.015, note, fontsize=7.5, color=style.GREY)
    return figure


def _contributions(axes: Axes, found: Explanation) -> None:
    """Grouped bars: percentage points of each effect that are due to each mechanism."""
    table = found.shares()
    effects, names = list(found.worth), list(found.mechanisms)
    height = 0.8 / len(names)
    for i, name in enumerate(names):
        rows = table.loc[table["mechanism"] == name].set_index("effect")
        value = 100.0 * rows["contribution"].reindex(effects).to_numpy(dtype=float)
        low = 100.0 * rows["low"].reindex(effects).to_numpy(dtype=float)
        high = 100.0 * rows["high"].reindex(effects).to_numpy(dtype=float)
        y = np.arange(len(effects)) + (i - (len(names) - 1) / 2.0) * height
        axes.barh(y, value, height * 0.92, color=COLOURS[i % len(COLOURS)], label=name)
        axes.hlines(y, low, high, color=style.INK, lw=0.9)
    axes.set_yticks(range(len(effects)), [_effect_label(found, effect) for effect in effects])
    axes.invert_yaxis()
    axes.axvline(0.0, color=style.INK, lw=0.7)
    axes.set_xlabel("contribution, percentage points")
    axes.set_title("What each mechanism adds", loc="left")
    axes.legend(loc="upper left", bbox_to_anchor=(-0.2, -0.13), ncols=3, handlelength=1.0, columnspacing=1.0)


def _effect_label(found: Explanation, effect: str) -> str:
    return style.wrap(NAMES.get(effect, effect), 10, 2) + f"\n({100.0 * found.total(effect)[0]:.0f} %)"


def _twins(axes: Axes, found: Explanation) -> None:
    """Main effect with all, without each, with only each, with none."""
    effect, names = found.main, list(found.mechanisms)
    worth = found.worth[effect][0].mean(axis=-1)
    every = len(worth) - 1
    rows: list[tuple[str, float, str]] = [("all mechanisms", worth[every], style.INK)]
    rows += [(f"without {name}", worth[every & ~(1 << i)], COLOURS[i % len(COLOURS)]) for i, name in enumerate(names)]
    rows += [(f"only {name}", worth[1 << i], COLOURS[i % len(COLOURS)]) for i, name in enumerate(names)]
    rows.append(("none of them", worth[0], style.INK))
    y = np.arange(len(rows), dtype=float)
    y[1:] += 0.35
    y[1 + len(names):] += 0.35
    y[-1] += 0.35
    for place, (_, value, colour) in zip(y, rows, strict=True):
        axes.hlines(place, 0.0, 100.0 * value, color=style.PALE, lw=2.2)
        axes.plot(100.0 * value, place, "o", color=colour, ms=6)
    axes.set_yticks(y, [style.wrap(label, 30, 1) for label, _, _ in rows])
    axes.invert_yaxis()
    values = [100.0 * row[1] for row in rows]
    axes.set_xlim(min(0.0, *values) - 4.0, max(5.0, *values) + 6.0)
    axes.set_xlabel(f"{NAMES.get(effect, effect)}, %" + (" more than control" if found.control else ""))
    axes.set_title("The same subjects as twins", loc="left")


def _timeline(axes: Axes, found: Explanation) -> None:
    """Every subject's time of every link, with the median; a logarithmic axis of time after the first dose."""
    from locokine.inference.chronology import order_table

    table = [row for row in order_table(found.events).to_dict("records") if row["reached"] > 0.0]
    random = np.random.default_rng(1)  # only spreads points that would lie on each other
    for place, row in enumerate(table):
        hours = found.events.loc[found.events["link"] == row["link"], "hours"].dropna().to_numpy(dtype=float)
        axes.plot(
            np.maximum(hours, 1.0), place + random.uniform(-0.22, 0.22, len(hours)), "o", ms=3, color=style.SKY,
            alpha=0.7, mec="none",
        )
        axes.vlines(max(row["median"], 1.0), place - 0.34, place + 0.34, color=style.INK, lw=2.0)
    labels = [
        style.wrap(row["what"] + ("" if row["reached"] > 0.995 else f" ({100 * row['reached']:.0f} %)"), 28, 2)
        for row in table
    ]
    axes.set_yticks(range(len(table)), labels)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_xscale("log")
    ticks: dict[float, str] = {1: "1 h", 4: "4 h", 12: "12 h", 24: "1 d", 72: "3 d", 168: "7 d", 504: "21 d", 1440: "60 d"}
    last = max([24.0, *found.events["hours"].dropna()])
    shown = {t: text for t, text in ticks.items() if t <= 1.3 * last}
    axes.set_xlim(1.0, 1.3 * last)
    axes.set_xticks(list(shown), list(shown.values()))
    axes.set_xticks([], minor=True)
    axes.axvspan(1.0, 4.0, color="#F4F4F4", zorder=0)
    axes.set_xlabel("time after the first dose")
    axes.set_title("What happens when", loc="left")
