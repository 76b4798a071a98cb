"""Run the example, draw docs/figures/free_against_anchored.png and write its table into docs/library.md.

The figure: what is in the tumour, what cells see, plasma, and size, of the smaller dose.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

import locokine as lk
from locokine.engine.variables import BODY, LESION
from locokine.report import style

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "figures" / "free_against_anchored.png"
PAGE = ROOT / "docs" / "library.md"
SUBJECTS = 60
DOSE = 2000.0 * 4.0
"""One injection of the smaller dose, fmol."""
ARMS = ("anchored 2 000 IU", "free 2 000 IU", "aldesleukin 2 000 IU", "gel 2 000 IU")
COLOURS = (style.VERMILION, style.BLUE, style.GREEN, style.INK)
AT = {variable.name: i for i, variable in enumerate(LESION)}
BODY_AT = {variable.name: i for i, variable in enumerate(BODY)}


def short(number: float, digits: int) -> str:
    """A number of so many digits, without an exponent where it is large."""
    rounded = float(f"{number:.{digits}g}")
    return f"{rounded:,.0f}" if rounded >= 100.0 else f"{rounded:g}"


def write(result: Any) -> None:
    """Replace the table of the page: between the lines that begin with `| arm | tumour` and the next empty one."""
    head = ["arm", "tumour", "plasma", "median survival", f"grade 2, 3 of {SUBJECTS}"]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, one in result.summary()["arms"].items():
        tumour, plasma = (one["il2"][place]["auc_nM_h"] for place in ("tumour", "plasma"))
        median, grades = one["median_survival_days"], one["systemic_toxicity_grade"]
        lived = f"over {result.protocol.follow_up / 24.0:g}" if median is None else f"{median:.1f}"
        rows.append(f"| {name} | {short(tumour, 3)} | {short(plasma, 2)} | {lived} | {grades['2']}, {grades['3']} |")
    text = PAGE.read_text(encoding="utf-8")
    made, count = re.subn(r"\| arm \| tumour .*?\n\n", lambda _: "\n".join(rows) + "\n\n", text, flags=re.DOTALL)
    assert count == 1, "the page has no table of this example"
    PAGE.write_text(made, encoding="utf-8")
    print("\n".join(rows))


def main() -> None:
    """Simulate, write the table, draw the four arms of the smaller dose and the vehicle."""
    from matplotlib.ticker import FuncFormatter

    result = lk.run(ROOT / "src" / "locokine" / "examples" / "free_against_anchored.yaml", subjects=SUBJECTS, report=False)
    write(result)
    with style.styled():
        figure = style.new_figure(9.6, 6.4)
        figure.subplots_adjust(left=0.08, right=0.985, top=0.94, bottom=0.08, wspace=0.22, hspace=0.34)
        (amount, seen), (plasma, size) = figure.subplots(2, 2)
        for name, colour in zip((*ARMS, "vehicle"), (*COLOURS, style.GREY), strict=True):
            run = result.runs[name]
            days = run.series_time / 24.0
            early = (days >= 7.5) & (days <= 26.0)
            if name != "vehicle":
                total = np.nanmedian(run.series_lesion[AT["agent_total"], 0], axis=1) / DOSE
                amount.plot(days[early], 100.0 * np.maximum(total[early], 1e-6), color=colour, label=name)
                il2 = np.nanmedian(run.series_lesion[AT["il2"], 0], axis=1)
                seen.plot(days[early], np.maximum(il2[early], 1e-4), color=colour)
                blood = np.nanmedian(run.series_body[BODY_AT["il2_plasma"]], axis=1)
                plasma.plot(days[early], np.maximum(blood[early], 1e-6), color=colour)
            volume = np.nanmedian(run.daily_lesion[AT["caliper_volume"], 0], axis=1)
            alive = np.isfinite(run.daily_lesion[AT["caliper_volume"], 0]).mean(axis=1) >= 0.5
            size.plot(run.daily_time[alive] / 24.0, np.maximum(volume[alive], 0.1), color=colour, label=name)
        amount.set(yscale="log", ylim=(0.1, 200), title="in lesion and rim, % of one injection")
        seen.set(yscale="log", ylim=(1e-2, 1e3), title="IL-2 that cells of the tumour see, nM")
        plasma.set(yscale="log", ylim=(1e-4, 10), title="IL-2 in plasma, nM", xlabel="day")
        size.set(yscale="log", ylim=(1, 2e4), title="caliper volume, mm³ (median)", xlabel="day")
        decades = FuncFormatter(lambda v, _: style.power_of_ten(round(np.log10(v))))
        for axes in (amount, seen, plasma, size):
            axes.yaxis.set_major_formatter(decades)
        amount.legend(loc="lower left", fontsize=8)
        size.legend(loc="upper left", fontsize=8)
        TARGET.write_bytes(style.png_bytes(figure))
    print(f"wrote {TARGET.name}")


if __name__ == "__main__":
    main()
