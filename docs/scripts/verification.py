"""Write docs/figures/verification_*.png and docs/verification/errors.md from the code that the tests run.

Every number on that page is measured by this script with this version: whatever the tests demand and however it turns out.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import test_verification_geometry as geometry  # noqa: E402  the tests' folder has to be on the path first
from locokine.engine.grid import Accuracy  # noqa: E402
from reference import experiment, open_run  # noqa: E402
from solutions import baxter_jain, decaying_mode, orders, sphere, volume_error  # noqa: E402
from test_verification_pharmacokinetics import curve  # noqa: E402

FIGURES = ROOT / "docs" / "figures"
PAGE = ROOT / "docs" / "verification" / "errors.md"
INK, BLUE, ORANGE, GREEN = "#222222", "#0072B2", "#D55E00", "#009E73"
COLUMNS = ("tumour_volume", "caliper_volume", "il2_auc", "necrotic_fraction")
HEADS = ("volume", "caliper volume", "IL-2 AUC", "necrotic fraction")


def finish(figure: plt.Figure, name: str) -> None:
    """Save one figure."""
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(FIGURES / f"verification_{name}.png", dpi=130)
    plt.close(figure)


def transport() -> str:
    """Pressure profile of a filtering sphere, and observed orders."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6))
    for alpha, colour in ((1.0, GREEN), (5.0, BLUE), (15.0, ORANGE)):
        made, found, _ = baxter_jain(16, alpha)
        r = np.linspace(1e-6, 1.0, 400)
        left.plot(r, 1.0 - np.sinh(alpha * r) / (r * np.sinh(alpha)), color=colour, lw=1.2, label=f"α = {alpha:g}")
        left.plot(0.5 * (made.edges[1:] + made.edges[:-1]) / made.edges[-1], found, "o", ms=3.5, color=colour)
    left.set(xlabel="radius / tumour radius", ylabel="pressure / stopping pressure", title="Sixteen shells (dots), exact (lines)")
    left.legend(frameon=False)
    meshes = np.array([8, 16, 32, 64])
    lines = ["| problem | shells | order | error at 16 |", "|---|---|---|---|"]
    for label, colour, errors in (
        ("pressure, α = 5", BLUE, {e: [volume_error(p, x, m["volume"]) for m, p, x in
                                        (baxter_jain(int(n), 5.0, equal=e) for n in meshes)] for e in ("thickness", "volume")}),
        ("diffusion and decay", ORANGE, {e: [volume_error(*decaying_mode(int(n), int(4 * n * n), equal=e), sphere(2.0, int(n), e))
                                              for n in meshes] for e in ("thickness", "volume")}),
    ):
        for kind, style in (("thickness", "-"), ("volume", "--")):
            right.loglog(meshes, errors[kind], style, marker="o", ms=3.5, color=colour, lw=1.2, label=f"{label}, equal {kind}")
            lines.append(f"| {label} | equal {kind} | {orders(errors[kind])[-1]:.2f} | {errors[kind][1]:.1e} |")
    right.loglog(meshes, 0.3 / meshes**2.0, color=INK, lw=0.8, ls=":", label="order 2")
    right.set(xlabel="shells", ylabel="mean square error", title="Convergence")
    right.legend(frameon=False, fontsize=7)
    finish(figure, "transport")
    return "\n".join(lines)


def plasma() -> None:
    """Plasma curves beside the closed form."""
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.4))
    for axis, host, until in ((axes[0], "dba2_mouse", 1.0), (axes[1], "human", 8.0)):
        for duration, colour in ((0.0, BLUE), (0.25, ORANGE)):
            opened, found, _ = curve(1.0, duration, host)
            fine, _, smooth = curve(64.0, duration, host)
            word = "bolus" if not duration else "15 min infusion"
            keep, dense = opened.time[: len(found)] <= until, fine.time[: len(smooth)] <= until
            axis.semilogy(fine.time[: len(smooth)][dense], smooth[dense], color=colour, lw=1.2, label=f"{word}, exact")
            axis.semilogy(opened.time[: len(found)][keep], found[keep], "o", ms=3.5, color=colour, label=f"{word}, engine")
        axis.set(xlabel="time (h)", ylabel="plasma IL-2 (nM)", title="mouse" if host != "human" else "human")
        axis.set_ylim(bottom=max(axis.get_ylim()[0], 1e-4))
        axis.legend(frameon=False, fontsize=7)
    finish(figure, "plasma")


def stiff() -> str:
    """The engine beside the stiff solver, and its error by step."""
    lines = ["| case | steps | " + " | ".join(HEADS) + " | plasma AUC |", "|---" * 7 + "|"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6))
    made, exact, times = geometry.stiff("intratumoural")
    for factor, colour in ((1.0, ORANGE), (4.0, BLUE), (64.0, GREEN)):
        opened = open_run(made, chance=False, accuracy=Accuracy().finer(factor))
        left.semilogy(opened.time / 24.0, opened.lesion("tumour_volume")[0, :, 0], color=colour, lw=1.2,
                      label="default step" if factor == 1.0 else f"{factor:g} times finer")
    left.semilogy(times / 24.0, exact["tumour_volume"], "o", color=INK, ms=4, label="stiff solver")
    left.set(xlabel="day", ylabel="tumour volume (mm³)", title="Intratumoural, subject 0, well mixed")
    left.legend(frameon=False, fontsize=8)
    factors = (1.0, 2.0, 4.0, 16.0, 64.0)
    for case, colour in zip(geometry.STIFF, (GREEN, ORANGE, BLUE, "#CC79A7", "#56B4E9"), strict=True):
        errors = [geometry.against_stiff(case, factor) for factor in factors]
        right.loglog(factors, [e["tumour_volume"] for e in errors], "o-", ms=3.5, lw=1.2, color=colour, label=case)
        for factor, error in zip(factors, errors, strict=True):
            if factor in (1.0, 4.0, 64.0):
                cells = [f"{100 * error[c]:.1f} %" if c in error else "—" for c in (*COLUMNS, "plasma_auc")]
                lines.append(f"| {case} | {'default' if factor == 1.0 else f'÷ {factor:g}'} | " + " | ".join(cells) + " |")
    right.axhline(0.01, color=INK, lw=0.8, ls=":")
    right.set(xlabel="steps finer by", ylabel="largest error of the volume", title="Error against the stiff solver")
    right.legend(frameon=False, fontsize=7)
    finish(figure, "stiff")
    return "\n".join(lines)


def meshes() -> str:
    """Steps and meshes against finer ones, each cause apart."""
    base, lines = Accuracy(), ["| case | what is coarse | " + " | ".join(HEADS) + " |", "|---" * 6 + "|"]
    fields = ("longest", "division", "settled", "later", "growth", "biology", "shortest")
    for case, arms in geometry.CASES.items():
        made = {"follow_up": "16 days", "subjects": 16, **arms}
        fine = open_run(experiment(**made), accuracy=base.finer(32.0), chance=False)
        for label, accuracy in (
            ("the default step", base),
            *((f"all of the step but `{f}`", replace(base, **{f: getattr(base, f) / 8.0})) for f in fields),
            ("nothing (step ÷ 8)", base.finer(8.0)),
        ):
            error = geometry.difference(open_run(experiment(**made), accuracy=accuracy, chance=False), fine, 384.0)
            lines.append(f"| {case}, well mixed | {label} | " + " | ".join(f"{100 * error[c]:.1f} %" for c in COLUMNS) + " |")
        shells = {**made, "geometry": "shells"}
        best = open_run(experiment(shells=64, rim_shells=32, **shells), accuracy=base.finer(4.0), chance=False)
        for label, n, rim, factor in (("step and mesh (default)", 16, 8, 1.0), ("mesh", 16, 8, 4.0),
                                      ("tumour shells", 16, 32, 4.0), ("rim shells", 64, 8, 4.0)):
            run = open_run(experiment(shells=n, rim_shells=rim, **shells), accuracy=base.finer(factor), chance=False)
            error = geometry.difference(run, best, 384.0)
            lines.append(f"| {case}, shells | {label} | " + " | ".join(f"{100 * error[c]:.1f} %" for c in COLUMNS) + " |")
    return "\n".join(lines)


def hosts() -> str:
    """The largest error of all hosts, where medians would hide a few."""
    lines = ["| SL2 | what is coarse | volume | caliper volume | living cells |", "|---" * 5 + "|"]
    for cells in geometry.SMALL:
        for what, error in geometry.every_host(cells)[1].items():
            lines.append(f"| {cells} | the {what} | " + " | ".join(f"{100 * error[c]:.2f} %" for c in geometry.WHOLE) + " |")
    return "\n".join(lines)


def main() -> None:
    """Make all figures and the page."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    plasma()
    PAGE.write_text(f"""# Errors, as measured

Written by `docs/scripts/verification.py`. Percentages of necrotic fraction are points; all others are relative. Medians of
16 hosts of the largest error up to two days after the last dose, except against the stiff solver (one host).

## Transport alone

{transport()}

![Pressure of a filtering sphere and convergence](../figures/verification_transport.png)

Equal volumes, which the engine uses, lose order where a profile is smooth (n^-7/6, from the wide innermost shell) and keep
it in boundary layers, where tumours have theirs.

## Against a stiff solver

scipy's BDF, relative tolerance 1e-4, on the engine's own coupled laws taken as dy/dt.

{stiff()}

![Engine beside the stiff solver](../figures/verification_stiff.png)

## Steps and meshes

{meshes()}

## Every host

Largest error of 32 untreated mice on any day until day 10, shells, against steps four times and a mesh twice finer. Near the edge
of cure a host may end on either side, whatever the step: there ensembles are compared, not hosts.

{hosts()}

## Plasma

![Plasma curves](../figures/verification_plasma.png)

Implicit steps smear minutes and keep the area exactly.
""", encoding="utf-8")


if __name__ == "__main__":
    main()
