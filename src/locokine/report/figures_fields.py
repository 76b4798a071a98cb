"""Radius–time maps: what happens where in one lesion of one host, arm beside arm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locokine.report import style
from locokine.report.figures_chain import MAX_COLUMNS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


class Map(NamedTuple):
    """One field of the figure: its colours, and its scale (`floor` makes it logarithmic)."""

    variable: str
    title: str
    unit: str
    colours: str
    floor: float | None = None
    low: float | None = None
    high: float | None = None


MAPS: tuple[Map, ...] = (
    Map("il2", "IL-2", "nM", "viridis", floor=1e-3),
    Map("leak", "Leaky vessels", "state", "magma", low=0.0, high=1.0),
    Map("fluid_fraction", "Oedema", "fluid share", "YlGnBu"),
    Map("perfusion", "Blood flow", "of normal", "cividis", low=0.0),
    Map("hypoxic_fraction", "Hypoxia", "share of tissue", "magma_r", low=0.0, high=1.0),
    Map("viable_density", "Living cells", "per mm³", "viridis", low=0.0),
)
"""Maps from cause (top) to effect (bottom)."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 1.75, 1.0, 0.62, 0.55
_HEIGHT, _GAP_Y, _GAP_X = 1.0, 0.16, 0.13


def has_fields(result: Any) -> bool:
    """Whether the result holds radius–time fields of at least three shells."""
    fields = getattr(result, "fields", None)
    return fields is not None and "shell" in fields.dims and fields.sizes["shell"] >= 3 and fields.sizes["subject"] > 0


def representative(result: Any, lesion: str) -> int:
    """Label of the pictured subject that is nearest to the median of its arms, the same host in every arm.

    Distance is the mean over arms and days of |log10 caliper volume − median log10 volume of the arm|; a volume of
    zero or a dead host counts as 0.001 mm³ and as the last volume seen, so that the course of death matters too.
    """
    pictured = list(result.fields["subject"].values)
    volume = result.daily["caliper_volume"].sel(lesion=lesion).transpose("arm", "day", "subject")
    values = np.asarray(volume.values, dtype=float)
    days = np.arange(values.shape[1])[None, :, None]
    last = np.maximum.accumulate(np.where(np.isfinite(values), days, 0), axis=1)
    logs = np.log10(np.maximum(np.nan_to_num(np.take_along_axis(values, last, axis=1)), 1e-3))
    distance = np.abs(logs - np.median(logs, axis=2, keepdims=True)).mean(axis=(0, 1))
    position = {label: i for i, label in enumerate(volume["subject"].values.tolist())}
    return int(min(pictured, key=lambda label: (distance[position[int(label)]], int(label))))


def plot_fields(
    result: Any, subject: int | None = None, lesion: str | None = None, days: tuple[float, float] | None = None
) -> Figure:
    """Draw radius–time maps of one lesion of one host: rows are fields, columns arms, one colour bar per row.

    The white line is the edge of the tumour; beyond it lies the rim of host tissue. Blank: the lesion is not there,
    or the host is dead.

    Parameters
    ----------
    result
        A `Result` with fields (shell geometry). Without fields the figure says so.
    subject
        Which pictured host; default: `representative`.
    lesion
        Which lesion; default: the first.
    days
        First and last day shown; default: all.
    """
    if not has_fields(result):
        return _nothing("No radius–time fields: the tissue of this experiment was well mixed.")
    name = lesion if lesion is not None else str(result.fields["lesion"].values[0])
    host = subject if subject is not None else representative(result, name)
    fields = result.fields.sel(lesion=name, subject=host)
    if days is not None:
        closer = fields.sel(field_time=slice(*days))
        fields = closer if closer.sizes["field_time"] > 1 else fields
    arms = [arm.name for arm in result.protocol.arms][:MAX_COLUMNS]
    panel = min((style.PAGE_WIDTH - _LEFT - _RIGHT - _GAP_X * (len(arms) - 1)) / len(arms), 3.6)
    width = _LEFT + _RIGHT + panel * len(arms) + _GAP_X * (len(arms) - 1)
    total = _TOP + _BOTTOM + _HEIGHT * len(MAPS) + _GAP_Y * (len(MAPS) - 1)
    time = np.asarray(fields["field_time"].values, dtype=float)
    radius = _array(fields, "radius")
    outer = float(np.nanmax(radius)) if np.isfinite(radius).any() else 1.0
    edge_shell = _edge_shell(result, radius.shape[2])
    with style.styled():
        figure = style.new_figure(width, total)
        for r, what in enumerate(MAPS):
            bottom = total - _TOP - _HEIGHT * (r + 1) - _GAP_Y * r
            values = _array(fields, what.variable)
            norm = _norm(what, values)
            for c, arm in enumerate(arms):
                left = _LEFT + c * (panel + _GAP_X)
                axes = figure.add_axes((left / width, bottom / total, panel / width, _HEIGHT / total))
                _draw_map(axes, time, radius[c], values[c], what, norm, edge_shell)
                style.time_axis(axes, float(time[0]), float(time[-1]))
                axes.set_ylim(0.0, outer * 1.02)
                _dress(axes, first=c == 0, last_row=r == len(MAPS) - 1)
                if r == 0:
                    axes.text(
                        0.5, 1.06, style.wrap(arm, max(int(panel / 0.085), 8)), transform=axes.transAxes, ha="center",
                        va="bottom", fontsize=9.5, fontweight="bold", linespacing=1.0,
                    )  # fmt: skip
            figure.text(0.12 / width, (bottom + _HEIGHT) / total, what.title, fontsize=10, fontweight="bold", va="top")
            figure.text(
                0.12 / width, (bottom + _HEIGHT - 0.18) / total, what.unit, fontsize=7.5, color="#666666", va="top"
            )
            _colour_bar(figure, what, norm, (width - _RIGHT + 0.15) / width, bottom / total, width, total)
        x = (_LEFT + 0.5 * (width - _LEFT - _RIGHT)) / width
        figure.text(x, 0.14 / total, "days", ha="center", va="bottom", fontsize=9)
    return figure


def _array(fields: Any, variable: str) -> Array:
    """Values with shape (arms, times, shells)."""
    return np.asarray(fields[variable].transpose("arm", "field_time", "shell").values, dtype=float)


def _edge_shell(result: Any, shells: int) -> int | None:
    """Index of the outermost shell of the tumour, if there is a rim of host tissue beyond it."""
    protocol = result.protocol
    inner = shells - protocol.rim_shells
    return inner - 1 if 0 < protocol.rim_shells < shells else None


def _norm(what: Map, values: Array) -> Any:
    """Colour scale common to all arms of a row."""
    from matplotlib.colors import LogNorm, Normalize

    finite = values[np.isfinite(values)]
    high = what.high if what.high is not None else float(finite.max()) if finite.size else 1.0
    if what.floor is not None:
        return LogNorm(what.floor, max(high, what.floor * 10.0), clip=True)
    low = what.low if what.low is not None else float(finite.min()) if finite.size else 0.0
    return Normalize(low, high if high > low else low + 1.0)


def _draw_map(
    axes: Axes, time: Array, radius: Array, values: Array, what: Map, norm: Any, edge_shell: int | None
) -> None:
    """One map as coloured cells on the moving shells; `radius` and `values` have shape (times, shells)."""
    from matplotlib import colormaps

    present = np.asarray(np.isfinite(radius).all(axis=1))
    if time.size < 2 or not present.any():
        where = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        axes.text(0.5, 0.5, "no lesion", color="#999999", fontsize=8, **where)
        return
    middle = 0.5 * (time[1:] + time[:-1])
    edges = np.concatenate([[time[0]], middle, [time[-1]]])
    borders = np.concatenate([np.zeros((time.size, 1)), np.where(present[:, None], radius, 0.0)], axis=1)
    shown = values if what.floor is None else np.maximum(values, what.floor)
    colours = colormaps[what.colours]
    for start, stop in _runs(present):
        axes.pcolormesh(
            np.repeat(edges[start : stop + 1, None], borders.shape[1], axis=1),
            _at_edges(borders[start:stop]),
            np.ma.masked_invalid(shown[start:stop]),
            cmap=colours,
            norm=norm,
            shading="flat",
            rasterized=True,
            linewidth=0,
            antialiased=False,
        )
        if edge_shell is not None:
            axes.plot(time[start:stop], radius[start:stop, edge_shell], "-", color="white", linewidth=1.6)
            axes.plot(time[start:stop], radius[start:stop, edge_shell], "-", color=style.INK, linewidth=0.7)


def _runs(present: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open index ranges in which the lesion is there."""
    padded = np.concatenate([[False], present, [False]]).astype(np.int8)
    change = np.diff(padded)
    return list(zip(np.flatnonzero(change == 1).tolist(), np.flatnonzero(change == -1).tolist(), strict=True))


def _at_edges(borders: Array) -> Array:
    """Radii (times, shells + 1) at the edges in time of the cells: means of neighbours, ends repeated."""
    return np.concatenate([borders[:1], 0.5 * (borders[1:] + borders[:-1]), borders[-1:]])


def _dress(axes: Axes, first: bool, last_row: bool) -> None:
    """Axis labels only where they are needed."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_facecolor("#FAFAFA")
    if first:
        axes.set_ylabel("radius, mm", fontsize=8)
    else:
        axes.tick_params(labelleft=False, left=False)
        axes.spines["left"].set_visible(False)
    if not last_row:
        axes.tick_params(labelbottom=False, length=2)


def _colour_bar(figure: Figure, what: Map, norm: Any, left: float, bottom: float, width: float, total: float) -> None:
    """Colour bar to the right of a row."""
    from matplotlib.cm import ScalarMappable

    axes = figure.add_axes((left, bottom, 0.13 / width, _HEIGHT / total))
    bar = figure.colorbar(ScalarMappable(norm, what.colours), cax=axes)
    bar.solids.set_rasterized(True)  # type: ignore[union-attr]
    bar.outline.set_visible(False)  # type: ignore[operator]
    axes.tick_params(labelsize=7.5, length=2)
    if what.floor is not None:
        decades = int(np.ceil(np.log10(norm.vmax / norm.vmin)))
        powers = [norm.vmin * 10.0**k for k in range(0, decades + 1, max(1, decades // 3))]
        ticks = [tick for tick in powers if tick <= norm.vmax]
        bar.set_ticks(ticks, labels=[f"{t:g}" for t in ticks], minor=False)
        bar.ax.minorticks_off()
    elif norm.vmax >= 1e4:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        bar.ax.yaxis.set_major_locator(MaxNLocator(4))
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / 1e3:,.0f} k" if x else "0"))


def _nothing(message: str) -> Figure:
    with style.styled():
        figure = style.new_figure(style.PAGE_WIDTH, 1.0)
        figure.text(0.5, 0.5, message, ha="center", va="center", color="#666666")
    return figure
