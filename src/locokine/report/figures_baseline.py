"""The course of a published baseline: tumour, effector cells and interleukin-2 over time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from locokine.report import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DECADES = 12
"""Of each quantity no more than this many decades are drawn; what is below leaves the panel."""


def plot_baseline(course: Any, title: str, equilibria: Any = ()) -> Figure:
    """Draw the three quantities of a course on logarithmic axes.

    Parameters
    ----------
    course
        `days`, and `tumour`, `effectors`, `il2` at them.
    title
        Above the figure.
    equilibria
        States that stay: dashed lines where they are stable, dotted where not.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    rows = (
        ("tumour cells", course.tumour, style.INK, "tumour"),
        ("effector cells", course.effectors, style.BLUE, "effectors"),
        ("interleukin-2\n(units of the paper)", course.il2, style.ORANGE, "il2"),
    )
    with style.styled():
        figure = style.new_figure(7.2, 5.6)
        figure.subplots_adjust(left=0.13, right=0.97, top=0.93, bottom=0.09, hspace=0.15)
        panels = figure.subplots(3, 1, sharex=True)
        for axes, (name, values, colour, key) in zip(panels, rows, strict=True):
            top = max(float(np.max(values)), 1.0)
            low = max(float(np.min(values[values > 0.0], initial=top)), top * 10.0**-DECADES)
            axes.set_yscale("log")
            axes.plot(course.days, np.maximum(values, low * 1e-3), color=colour)
            axes.set_ylim(low / 2.0, top * 3.0)
            axes.set_ylabel(name)
            axes.yaxis.set_major_locator(LogLocator(numticks=6))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.power_of_ten(round(math.log10(value)))))
            axes.yaxis.set_minor_locator(NullLocator())
            for one in equilibria:
                level = getattr(one.state, key)
                if low / 2.0 < level < top * 3.0:
                    axes.axhline(level, color=style.GREY, linewidth=0.8, linestyle="--" if one.stable else ":")
            if name == "tumour cells" and low < 1.0:
                axes.axhspan(low / 2.0, 1.0, color=style.PALE, alpha=0.5, linewidth=0.0)
                axes.annotate("less than one cell", (0.99, 1.0), xycoords=("axes fraction", "data"), ha="right", va="top",
                              xytext=(0, -3), textcoords="offset points", fontsize=8, color=style.GREY,
                              bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0.0, "pad": 1.5})
        panels[0].set_title(title, loc="left")
        panels[-1].set_xlabel("days")
        panels[-1].set_xlim(0.0, float(course.days[-1]))
        figure.align_ylabels(panels)
    return figure
