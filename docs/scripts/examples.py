"""Run the named examples at small size, draw each (docs/figures/example_*.png) and write docs/examples.md.

    python docs/scripts/examples.py            all of them, about five minutes on two cores
    python docs/scripts/examples.py NAME …     only these; the page keeps what it says of the others
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np

import locokine as lk
from locokine.report import style
from locokine.scenario.templates import examples

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "examples.md"
FIGURES = ROOT / "docs" / "figures"
SUBJECTS = 32
NAMED = (
    "guinea_pig_line10", "bovine_boscc_doses", "c3h_mammary_peritumoural", "b16_perilesional", "melanoma_three_schedules",
    "high_dose_intravenous",
)
"""Those that the page shows, in this order."""
HEAD = """# Examples, drawn

Written by `python docs/scripts/examples.py`; do not edit. Each example is run as it ships with {subjects} subjects an arm. `locokine new NAME` writes it, to be changed. Left: caliper volume
of all lesions, median of those alive. Right: those alive (animals), or best response (patients). What the papers found stands beside it in [the library](library.md); free against anchored IL-2
is there too. No response is counted where there was nothing to measure at the first dose (mice treated from day 1, nodes): what is cured there is in the column of cures.
With {subjects} subjects a share of one half is known to about 17 %.
"""
MARK = "<!-- {} -->"


def draw(result: Any, name: str) -> None:
    """Volume by arm, and survival or response."""
    from matplotlib.ticker import FuncFormatter

    arms = result.arms
    styles = style.arm_styles(arms)
    volume = result.daily["caliper_volume"].sum("lesion", skipna=False)
    with style.styled():
        figure = style.new_figure(9.6, 3.9)
        figure.subplots_adjust(left=0.075, right=0.985, top=0.92, bottom=0.26, wspace=0.24)
        left, right = figure.subplots(1, 2)
        for arm in arms:
            values = np.asarray(volume.sel(arm=arm).transpose("day", "subject"))
            days, alive = np.asarray(volume["day"]), np.isfinite(values).sum(axis=1)
            shown = alive >= 0.25 * values.shape[1]
            middle = np.array([np.nanmedian(row) for row in values[shown]])
            colour, line = styles[arm]
            left.plot(days[shown], np.maximum(middle, 1.0), color=colour, linestyle=line, label=arm)
        left.set(yscale="log", xlabel="day", title="caliper volume, mm³ (median of those alive)")
        left.yaxis.set_major_formatter(FuncFormatter(lambda v, _: style.power_of_ten(round(np.log10(v)))))
        if result.manifest["criteria"] == "recist":
            bars(right, result.summary()["arms"])
        else:
            for arm in arms:
                alive = np.isfinite(np.asarray(result.daily["weight"].sel(arm=arm).transpose("day", "subject"))).mean(axis=1)
                colour, line = styles[arm]
                right.step(np.asarray(result.daily["day"]), 100.0 * alive, where="post", color=colour, linestyle=line)
            right.set(xlabel="day", title="alive, %", ylim=(-3, 103))
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncol=min(4, len(labels)), fontsize=8, frameon=False)
        (FIGURES / f"example_{name}.png").write_bytes(style.png_bytes(figure))


def bars(axes: Any, arms: dict[str, Any]) -> None:
    """Best responses of every arm as a stack."""
    left = np.zeros(len(arms))
    for kind, colour in style.RESPONSE_COLOURS.items():
        share = np.array([100.0 * one["best_response"][kind] / one["subjects"] for one in arms.values()])
        if share.any():
            axes.barh(range(len(arms)), share, left=left, color=colour, label=kind, edgecolor=style.GREY, linewidth=0.4)
        left += share
    axes.set_yticks(range(len(arms)), [style.wrap(name, 16, 2) for name in arms], fontsize=8)
    axes.invert_yaxis()
    axes.set(title="best response, %", xlim=(0, 100))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncol=5, fontsize=8, frameon=False)


def section(result: Any, name: str) -> str:
    """Heading, figure and table of one example."""
    patients = result.manifest["criteria"] == "recist"
    head = ["arm", "subjects", "complete", "partial", "cured", "median survival, days", "dead of toxicity"]
    rows = [head, ["---"] * len(head)]
    for arm, one in result.summary()["arms"].items():
        count, median = one["subjects"], one["median_survival_days"]
        rows.append([
            arm, str(count), *(f"{100.0 * n / count:.0f} %" for n in (
                one["best_response"]["CR"], one["best_response"]["PR"], one["cured"])),
            "not reached" if median is None else f"{median:.0f}",
            f"{100.0 * one['systemic_toxicity_grade']['5'] / count:.0f} %",
        ])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    title = result.scenario.get("description", "").strip().split("\n")[0] or name
    what = "volume and best response" if patients else "volume and survival"
    return f"## `{name}`\n\n{title}\n\n![{what} by arm](figures/example_{name}.png)\n\n{table}"


def main(chosen: list[str]) -> None:
    """Run, draw and write."""
    kept: dict[str, str] = {}
    if PAGE.exists():
        parts = re.split(r"<!-- (\w+) -->\n", PAGE.read_text(encoding="utf-8"))
        kept = {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    for name in chosen or NAMED:
        result = lk.run(examples()[name], subjects=SUBJECTS, report=False)
        draw(result, name)
        kept[name] = section(result, name)
        print(name, json.dumps({arm: one["best_response"] for arm, one in result.summary()["arms"].items()}), flush=True)
    parts = [HEAD.format(subjects=SUBJECTS).strip()]
    parts += [f"{MARK.format(name)}\n{kept[name]}" for name in NAMED if name in kept]
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
