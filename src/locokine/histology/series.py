"""What was read from slides against the day, beside what the state says, under the slides themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from locokine.histology.picture import NOTICE, pixel_of
from locokine.histology.readback import MEASURES
from locokine.histology.render import Picture
from locokine.histology.state import TissueState

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#7A7A7A"
"""Of the colour-blind-safe set of Okabe and Ito."""
TITLES = {
    "oedema_fraction": "Oedema",
    "interstitial_fraction": "Fluid between living cells",
    "necrotic_area": "Necrosis",
    "hypoxic_fraction": "Hypoxia (pimonidazole)",
    "vessel_density": "Vessels (CD31)",
    "cd8_centre": "CD8 in the tumour",
    "cd8_rim": "CD8 in the rim",
    "erythrocyte_fraction": "Erythrocytes outside vessels",
    "erythrocyte_score": "Erythrocyte score (0 to 3)",
}
"""What stands above the panels, in their order."""
UNITS = {measure.name: {"1": "share", "1/mm2": "per mm²"}[measure.unit] for measure in MEASURES} | {"erythrocyte_score": "score"}


def plot_series(
    rows: Sequence[dict[str, Any]], views: Sequence[Picture], doses: Sequence[float], state: TissueState, stain: str
) -> Figure:
    """Draw views of every day above nine panels: dots were read from the slide, lines are the state.

    Parameters
    ----------
    rows
        Per day: "day", every measure, and "state_..." of it.
    views
        RGB pictures of equal size, one a day.
    doses
        Days of doses of this arm.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = len(rows)
    width = 15.0
    strip = min(width / max(count, 4), 3.2)
    height = 0.75 * strip + 8.6
    figure = Figure(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(figure)
    for i, (row, shown) in enumerate(zip(rows, views, strict=True)):
        bottom_edge, tall = (height - 0.42 - 0.75 * strip) / height, 0.75 * strip / height
        axes = figure.add_axes(((i + 0.02) * strip / width, bottom_edge, 0.96 * strip / width, tall))
        axes.imshow(shown, interpolation="antialiased")
        axes.set_axis_off()
        axes.set_title(f"day {row['day']:g} · 10×", fontsize=10, pad=3)
        length = 200.0 / pixel_of(10)
        bottom, right = shown.shape[0] - 14, shown.shape[1] - 12
        axes.plot([right - length, right], [bottom, bottom], color="black", linewidth=2.0)
        if i == 0:
            axes.text(right - 0.5 * length, bottom - 8, "200 µm", ha="center", va="bottom", fontsize=7,
                      bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1.0})
    grid = figure.add_gridspec(
        3, 3, left=0.05, right=0.985, top=7.55 / height, bottom=0.75 / height, hspace=0.46, wspace=0.2
    )
    for i, name in enumerate(TITLES):
        _panel(figure.add_subplot(grid[i // 3, i % 3]), rows, name, doses)
    figure.text(
        0.05, 0.018,
        f"{stain} · {state.arm} · subject {state.subject} · {state.lesion} · {state.experiment.replace('_', ' ')} · {NOTICE}.   "
        "Dots: read from the slides by stain separation and segmentation. Lines: the state they were drawn from. "
        "Triangles: doses.",
        fontsize=8, color="#444444",
    )
    return figure


def _panel(axes: Axes, rows: Sequence[dict[str, Any]], name: str, doses: Sequence[float]) -> None:
    """One measure over time."""
    days = np.array([row["day"] for row in rows])
    read, true = (np.array([row[key] for row in rows]) for key in (name, f"state_{name}"))
    axes.plot(days, true, "-", color=GREY, linewidth=1.5, zorder=1)
    axes.plot(days, read, "o", color=VERMILION, markersize=5.5, zorder=2)
    most = max(float(np.nanmax(np.concatenate([read, true, [1e-6]]))), 3.0 if name.endswith("score") else 1e-6)
    axes.set_ylim(0.0, 1.14 * most)
    low, high = float(days.min()) - 0.4, float(days.max()) + 0.4
    for day in doses:
        if low <= day <= high:
            axes.plot([day], [1.10 * most], marker="v", color=BLUE, markersize=4, clip_on=False)
    axes.set_xlim(low, high)
    axes.set_title(TITLES[name], fontsize=10, fontweight="bold", loc="left")
    axes.set_ylabel(UNITS[name], fontsize=8)
    if name.endswith("score"):
        axes.set_yticks(range(4))
    axes.set_xlabel("day", fontsize=8)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
