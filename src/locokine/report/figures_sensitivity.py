"""The figure of a sensitivity analysis: tornado, heat map over outcomes, shares of the variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from locokine.outcome.endpoints import ENDPOINTS
from locokine.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from locokine.inference.sensitivity import Sensitivity

SHOWN = 12
"""Parameters of the tornado and of the heat map."""


def plot_sensitivity(found: Sensitivity) -> Figure:
    """Three panels; the third only if shares of the variance were worked out."""
    panels = 3 if len(found.sobol) else 2
    with style.styled():
        figure = style.new_figure(style.PAGE_WIDTH, 5.4)
        widths = [1.25, 0.25 + 0.16 * len(found.outcomes), 0.9][:panels]
        grid = figure.add_gridspec(
            1, panels, width_ratios=widths, left=0.155, right=0.985, top=0.84, bottom=0.17, wspace=0.85
        )
        axes = [figure.add_subplot(grid[0, i]) for i in range(panels)]
        _tornado(axes[0], found)
        _heat(axes[1], found, figure)
        if panels == 3:
            _shares(axes[2], found)
        title = f"{found.experiment}: which parameters decide what {found.arm} treatment does"
        figure.suptitle(style.wrap(title, 130, 1), x=0.01, ha="left", fontsize=12, fontweight="bold")
        over = "of the posterior, or of its record where that was not fitted" if "posterior" in found.facts else "of its record"
        note = f"Each parameter over the 90 % range {over}; means of the same {found.subjects} subjects. Research use only."
        figure.text(0.01, 0.015, note, fontsize=7.5, color=style.GREY)
    return figure


def label(key: str) -> str:
    """`laws.direct_on` → `direct on`; of other owners with the owner."""
    owner, _, name = key.partition(".")
    return style.wrap(name if owner == "laws" else f"{name} ({owner})", 30, 1)


def axis_label(name: str) -> str:
    """Name and unit of an outcome."""
    item = ENDPOINTS[name]
    return name.replace("_", " ") + ("" if item.unit == "1" else f" ({item.unit})")


def _tornado(axes: Axes, found: Sensitivity) -> None:
    name = found.outcomes[0]
    table = found.tornado.loc[found.tornado["outcome"] == name].to_dict("records")[:SHOWN]
    table.sort(key=lambda row: -abs(row["high"] - row["low"]))
    middle = found.median[name]
    for place, row in enumerate(table):
        for end, colour in (("low", style.SKY), ("high", style.ORANGE)):
            axes.barh(place, row[end] - middle, left=middle, height=0.7, color=colour, alpha=0.95)
    values = [row[end] for row in table for end in ("low", "high")]
    span = max(max([*values, middle]) - min([*values, middle]), 1e-12)
    axes.set_xlim(min([*values, middle]) - 0.36 * span, max([*values, middle]) + 0.36 * span)
    for place, row in enumerate(table):
        ends = sorted(((row["low"], row["from"]), (row["high"], row["to"])), key=lambda end: end[0])
        for (value, text), side, shift in zip(ends, ("right", "left"), (-0.012, 0.012), strict=True):
            at = min(value, middle) if side == "right" else max(value, middle)
            axes.text(at + shift * span, place, text, va="center", ha=side, fontsize=7, color=style.GREY)
    axes.axvline(middle, color=style.INK, lw=0.9)
    if ENDPOINTS[name].unit == "1":  # room for the labels, not for shares below 0 or above 1
        axes.set_xticks([tick for tick in axes.get_xticks() if -1e-9 <= tick <= 1.0 + 1e-9])
    axes.set_yticks(range(len(table)), [label(str(row["parameter"])) for row in table])
    axes.invert_yaxis()
    axes.set_xlabel(f"{axis_label(name)}, mean")
    axes.set_title("One at a time: low end blue, high end orange", loc="left")


def _heat(axes: Axes, found: Sensitivity, figure: Figure) -> None:
    wide = found.morris.pivot_table(index="parameter", columns="outcome", values="mu_star", sort=False)
    wide = wide[list(found.outcomes)]
    top = wide.max(axis=0).to_numpy(dtype=float)
    share = wide / np.where(top > 0.0, top, 1.0)
    order = share.max(axis=1).sort_values(ascending=False, kind="stable").index[:SHOWN]
    share, shown = share.loc[order], wide.loc[order]
    axes.imshow(share.to_numpy(dtype=float), cmap="viridis_r", vmin=0.0, vmax=1.0, aspect="auto")
    for i in range(len(order)):
        for j in range(len(found.outcomes)):
            value = float(shown.iloc[i, j])  # type: ignore[arg-type]
            dark = float(share.iloc[i, j]) > 0.55  # type: ignore[arg-type]
            axes.text(j, i, f"{value:.2g}", ha="center", va="center", fontsize=7, color="white" if dark else style.INK)
    axes.set_yticks(range(len(order)), [label(str(key)) for key in order])
    axes.set_xticks(
        range(len(found.outcomes)), [style.wrap(name, 16, 2) for name in found.outcomes], fontsize=7.5,
        rotation=0 if len(found.outcomes) < 3 else 35, ha="center" if len(found.outcomes) < 3 else "right",
    )
    axes.tick_params(length=0)
    axes.set_title("Screening, μ*", loc="left")


def _shares(axes: Axes, found: Sensitivity) -> None:
    name = found.outcomes[0]
    table = found.sobol.loc[found.sobol["outcome"] == name].sort_values("total", ascending=False).to_dict("records")
    for place, row in enumerate(table):
        for shift, kind, colour in ((-0.19, "first", style.BLUE), (0.19, "total", style.VERMILION)):
            axes.barh(place + shift, max(row[kind], 0.0), 0.36, color=colour, label=kind if place == 0 else None)
            low, high = row[kind] - row[f"{kind}_conf"], row[kind] + row[f"{kind}_conf"]
            axes.hlines(place + shift, max(low, 0.0), max(high, 0.0), color=style.INK, lw=0.9)
    axes.set_yticks(range(len(table)), [label(str(row["parameter"])) for row in table])
    axes.invert_yaxis()
    axes.set_xlim(0.0, max(1.05, *(row["total"] + row["total_conf"] for row in table)))
    axes.set_xlabel(f"share of the variance of {axis_label(name)}")
    axes.set_title("Sobol indices", loc="left")
    handles, _ = axes.get_legend_handles_labels()
    axes.legend(handles, ["alone", "with interactions"], loc="lower right")
