"""How every figure of locokine looks: colours, sizes, fonts, deterministic files. Knows nothing of results.

Colours are the colour-blind-safe set of Okabe and Ito (2008), *Color Universal Design*; sequential maps are
perceptually uniform ones of matplotlib (viridis family) and stay readable in grey.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#7A7A7A"
PALE = "#D9D9D9"
INK = "#222222"

ARM_COLOURS: tuple[str, ...] = (GREY, SKY, BLUE, GREEN, ORANGE, VERMILION, PURPLE, BLACK)
"""Colours of arms by their order in the experiment; line styles tell a ninth arm from the first."""

RESPONSE_COLOURS: dict[str, str] = {"CR": GREEN, "PR": SKY, "SD": "#B8B8B8", "PD": VERMILION, "NE": "#FFFFFF"}
"""Best response: complete, partial, stable, progressive, not evaluable (drawn white with an outline)."""

GRADE_COLOURS: tuple[str, ...] = ("#E9E9E9", "#FDE3C0", "#F5B668", "#DE7F27", "#A34A0B", "#4A1C00")
"""Toxicity grades 0 to 5: one hue, darker is worse."""

CAUSE_COLOURS: dict[str, str] = {
    "deaths_starved": BLUE,
    "deaths_t": GREEN,
    "deaths_lak": ORANGE,
    "deaths_macrophage": PURPLE,
    "deaths_spontaneous": "#B8B8B8",
}

PLACE_COLOURS: dict[str, str] = {"tumour": VERMILION, "rim": ORANGE, "node": BLUE, "plasma": BLACK}

FONT_FAMILY: tuple[str, ...] = ("DejaVu Sans",)
WEB_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
PAGE_WIDTH = 13.0
"""Width of a full-width figure in inches."""


def settings() -> dict[str, Any]:
    """Matplotlib settings of all figures (pass to `matplotlib.rc_context`)."""
    return {
        "font.family": list(FONT_FAMILY),
        "font.size": 9.0,
        "axes.titlesize": 10.0,
        "axes.titleweight": "bold",
        "axes.labelsize": 9.0,
        "xtick.labelsize": 8.0,
        "ytick.labelsize": 8.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#555555",
        "axes.linewidth": 0.7,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "text.color": INK,
        "xtick.color": "#444444",
        "ytick.color": "#444444",
        "xtick.major.width": 0.7,
        "ytick.major.width": 0.7,
        "xtick.major.size": 3.0,
        "ytick.major.size": 3.0,
        "axes.axisbelow": True,
        "axes.grid": False,
        "grid.color": "#E6E6E6",
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.5,
        "lines.solid_capstyle": "round",
        "patch.linewidth": 0.0,
        "figure.dpi": 100.0,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
        "legend.frameon": False,
        "legend.fontsize": 8.0,
        "svg.hashsalt": "locokine",
        "svg.fonttype": "none",
        "text.parse_math": False,
        "path.simplify": True,
        "path.simplify_threshold": 0.2,
        "image.composite_image": False,
    }


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib's own defaults with `settings` on top, whatever the user has configured."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(settings())  # type: ignore[call-overload, arg-type]
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure (inches) that draws with Agg and never touches pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def arm_styles(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and line style of each arm, by order only: one arm blue; two arms grey and vermilion; more as listed."""
    if len(names) == 1:
        return {names[0]: (BLUE, "-")}
    if len(names) == 2:
        return {names[0]: (GREY, "-"), names[1]: (VERMILION, "-")}
    lines = ("-", "--", ":", "-.")
    count = len(ARM_COLOURS)
    return {name: (ARM_COLOURS[i % count], lines[(i // count) % len(lines)]) for i, name in enumerate(names)}


def wrap(text: str, width: int, lines: int = 3) -> str:
    """Break a name over at most `lines` lines of `width` characters; the rest is cut with an ellipsis."""
    import textwrap

    parts = textwrap.wrap(text.replace("_", " "), width, break_long_words=True) or [""]
    if len(parts) > lines:
        parts = parts[:lines]
        parts[-1] = parts[-1][: width - 1].rstrip() + "…"
    return "\n".join(parts)


def power_of_ten(exponent: int) -> str:
    """`10⁻³`, with raised digits of its own: names of arms may hold a dollar sign, so mathematical text is off."""
    return "10" + "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(d)] if d.isdigit() else "⁻" for d in str(exponent))


def spread(positions: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move label positions apart to at least `gap`, keeping order, staying near and within [low, high].

    Labels are placed from the bottom up, then pushed down from the top if they ran out of it.
    """
    order = sorted(range(len(positions)), key=lambda i: positions[i])
    placed = [0.0] * len(positions)
    floor = low
    for i in order:
        placed[i] = max(positions[i], floor)
        floor = placed[i] + gap
    ceiling = high
    for i in reversed(order):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return placed


def time_axis(axes: Axes, first: float, last: float) -> None:
    """Days on the x axis, with ticks at whole weeks where that is readable."""
    from matplotlib.ticker import MaxNLocator, MultipleLocator

    span = max(last - first, 1e-6)
    step = next((s for s in (1, 2, 5, 7, 14, 28, 56, 112, 182, 364) if span / s <= 6), None)
    axes.xaxis.set_major_locator(MultipleLocator(step) if step else MaxNLocator(5, integer=True))
    axes.set_xlim(first, last)


def svg_bytes(figure: Figure) -> bytes:
    """SVG of a figure: the same figure gives the same bytes (no date, fixed salt); coordinates to 0.01 point."""
    buffer = BytesIO()
    with styled():
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": "locokine"})
    text = buffer.getvalue().decode("utf-8")

    def shorter(match: re.Match[str]) -> str:
        return match.group(1) + re.sub(r"-?\d+\.\d{3,}", _two_decimals, match.group(2)) + '"'

    return re.sub(r'( d=")([^"]*)"', shorter, text).encode("utf-8")


def _two_decimals(match: re.Match[str]) -> str:
    return f"{float(match.group(0)):.2f}".rstrip("0").rstrip(".")


def png_bytes(figure: Figure, dpi: float = 130.0) -> bytes:
    """PNG of a figure without date or software entry, so that the same figure gives the same bytes."""
    buffer = BytesIO()
    with styled():
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def inline_svg(svg: bytes, name: str, label: str) -> str:
    """SVG element for a web page: no XML header, the ids in use made unique by `name`, page fonts, an accessible label.

    Parameters
    ----------
    svg
        Output of `svg_bytes`.
    name
        Prefix of every id inside; letters, digits and hyphens.
    label
        Text read to those who cannot see the figure.
    """
    from html import escape

    text = svg.decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    text = re.sub(r' id="([^"]+)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r'(xlink:href|href)="#([^"]+)"', rf'\1="#{name}-\2"', text)
    text = text.replace("'DejaVu Sans'", WEB_FONTS)
    box = re.search(r'<svg[^>]*?viewBox="([^"]+)"', text)
    view = box.group(1) if box else "0 0 100 100"
    head = f'<svg viewBox="{view}" role="img" aria-label="{escape(label, quote=True)}">'
    return re.sub(r"<svg[^>]*>", lambda _: head, text, count=1)
