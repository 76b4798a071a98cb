"""Draw docs/figures/baselines.png: what the model of Kirschner and Panetta does by antigenicity, and three of its courses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from locokine.baselines import baseline, equilibria, integrate
from locokine.report import style

TARGET = Path(__file__).resolve().parent.parent / "figures" / "baselines.png"
COURSES = ((5e-5, style.VERMILION), (0.02, style.BLUE), (0.05, style.GREEN))


def main() -> None:
    """Draw and write."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    model = baseline("kirschner-panetta")

    def decades(axis: object) -> None:
        axis.set_major_locator(LogLocator(numticks=8))  # type: ignore[attr-defined]
        axis.set_minor_locator(NullLocator())  # type: ignore[attr-defined]
        axis.set_major_formatter(FuncFormatter(lambda v, _: style.power_of_ten(round(np.log10(v)))))  # type: ignore[attr-defined]

    with style.styled():
        figure = style.new_figure(9.6, 3.9)
        figure.subplots_adjust(left=0.07, right=0.985, top=0.9, bottom=0.13, wspace=0.2)
        left, right = figure.subplots(1, 2)
        points = [(c, one.state.tumour, one.stable) for c in np.geomspace(1e-5, 0.1, 300)
                  for one in equilibria(model.changed({"c": float(c)}))[1:]]
        for stable, colour, size, label in ((False, "#B0B0B0", 2.0, "unstable"), (True, style.INK, 4.0, "stable")):
            here = [(c, t) for c, t, kind in points if kind is stable]
            left.plot(*zip(*here, strict=True), ".", markersize=size, color=colour, label=label)
        ends = [(c, *np.quantile(integrate(model.changed({"c": c}), 8000).tumour[-3000:], (0.0, 1.0)))
                for c in map(float, np.linspace(0.014, 0.0325, 24))]
        for column, label in ((1, "lowest and highest of the limit cycle"), (2, None)):
            left.plot([row[0] for row in ends], [row[column] for row in ends], color=style.BLUE, linewidth=1.0, label=label)
        left.set(xscale="log", yscale="log", xlabel="antigenicity c, per day", ylim=(1e-9, 1e10))
        left.set_title("tumour cells that stay, and the cycle", loc="left")
        for c, text in ((8.55e-5, "8.55e-5"), (0.0325, "0.0325")):
            left.axvline(c, color=style.GREY, linewidth=0.7, linestyle="--")
            left.annotate(text, (c, 1e3), textcoords="offset points", xytext=(-3, 0), ha="right", fontsize=8, color=style.GREY)
        left.legend(loc="lower left", bbox_to_anchor=(0.0, 0.04), frameon=True, facecolor="white", edgecolor="white")
        for c, colour in COURSES:
            course = integrate(model.changed({"c": c}), 1500, every=0.5)
            right.plot(course.days, np.maximum(course.tumour, 1e-5), color=colour, label=f"c = {c:g}")
        right.axhspan(1e-5, 1.0, color=style.PALE, alpha=0.5, linewidth=0.0)
        right.annotate("less than one cell", (0.98, 0.03), xycoords="axes fraction", ha="right", fontsize=8, color=style.GREY)
        right.set(yscale="log", xlabel="days", xlim=(0, 1500), ylim=(1e-5, 1e11))
        right.set_title("tumour cells over time", loc="left")
        right.legend(loc="upper right", ncols=3)
        for axis in (left.xaxis, left.yaxis, right.yaxis):
            decades(axis)
        TARGET.write_bytes(style.png_bytes(figure))
    print(f"wrote {TARGET.name}")


if __name__ == "__main__":
    main()
