"""Draw docs/figures/free_against_anchored.png from the example: what is in the tumour, what cells see, plasma, and size."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from locokine.engine.batch import simulate_arm
from locokine.engine.variables import BODY, LESION
from locokine.population import draw
from locokine.report import style
from locokine.scenario.load import load

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "figures" / "free_against_anchored.png"
SUBJECTS = 32
DOSE = 2000.0 * 4.0
"""One injection of the smaller dose, fmol."""
ARMS = ("anchored 2 000 IU", "free 2 000 IU", "aldesleukin 2 000 IU", "gel 2 000 IU")
COLOURS = (style.VERMILION, style.BLUE, style.GREEN, style.INK)
AT = {variable.name: i for i, variable in enumerate(LESION)}
BODY_AT = {variable.name: i for i, variable in enumerate(BODY)}


def main() -> None:
    """Simulate the four arms of the smaller dose and the vehicle, draw and write."""
    from matplotlib.ticker import FuncFormatter

    made = load(ROOT / "src" / "locokine" / "examples" / "free_against_anchored.yaml", subjects=SUBJECTS)
    people = draw(made)
    with style.styled():
        figure = style.new_figure(9.6, 6.4)
        figure.subplots_adjust(left=0.08, right=0.985, top=0.94, bottom=0.08, wspace=0.22, hspace=0.34)
        (amount, seen), (plasma, size) = figure.subplots(2, 2)
        for name, colour in zip((*ARMS, "vehicle"), (*COLOURS, style.GREY), strict=True):
            run = simulate_arm(made, people, name, 0, SUBJECTS)
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
