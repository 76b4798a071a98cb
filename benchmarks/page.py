"""The results as a page with tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def write(found: dict[str, Any], docs: Path) -> str:
    """Write `benchmarks.md` and its figures into `docs`; return the text."""
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    contenders_figure(found, docs / "figures" / "benchmark_solvers.png")
    profile_figure(found, docs / "figures" / "benchmark_profile.png")
    parts = [speed_part(found), solver_part(found), profile_part(found)]
    if "scaling" in found:
        scaling_figure(found, docs / "figures" / "benchmark_scaling.png")
        scaling_figure_of_cores(found, docs / "figures" / "benchmark_cores.png")
        parts.insert(1, scaling_part(found))
    text = "\n\n".join(parts) + "\n"
    (docs / "benchmarks.md").write_text(text, encoding="utf-8")
    return text


def speed_part(found: dict[str, Any]) -> str:
    """Rates, memory, starts."""
    machine = found["machine"]
    rates = table(
        ["geometry", "threads", "per second", "per second of processor time"],
        [[r["geometry"] + (" (32)" if r["geometry"] == "shells" else ""), str(r["threads"]), f"{r['per_second']:.0f}",
          f"{r['per_processor_second']:.0f}"] for r in found["rates"]],
    )
    text = f"""# Benchmarks

Made by `make bench` on {machine['processor']}, {machine['cores']} cores, Python {machine['python']}, numba {machine['numba']}
(load of the machine at the start: {machine['load']:.1f}; where others compute beside it, the last column counts).

## Speed

One unit is one lesion of one subject for 60 days, full biology, five intratumoural doses; nobody is taken out.

{rates}"""
    if "starts" in found:
        names = {
            "import_locokine_s": "`import locokine`", "locokine_version_s": "`locokine --version`",
            "first_compile_s": "first compile (once per version and machine)",
            "first_subject_from_cache_s": "first subject, compiled before",
            "locokine_run_one_subject_s": "`locokine run` of the demo with one subject, without report",
        }
        rows = [[names[key], f"{value:.2f} s"] for key, value in found["starts"].items()]
        text += "\n\n" + table(["start", "time"], [*rows, ["memory, 10,000 well-mixed subjects",
                                                           f"{found['memory_mb']:.0f} MB"]])
    return text


def exponent(points: list[Any]) -> float:
    """Power of the number that cost follows between the two largest numbers."""
    from math import log

    (n, first), (m, last) = points[-2:]
    return log(last / first) / log(m / n)


def scaling_part(found: dict[str, Any]) -> str:
    """Cost against size, two cores against one, slides, and what could not be compared."""
    words = {
        "lesions": "lesions (28 shells and rim each, 16 hosts, 60 days)", "shells": "shells of the tumour (16 hosts, 60 days)",
        "days": "days (28 shells, 16 hosts)", "subjects": "subjects (well-mixed, 60 days)",
    }
    rows = [
        [words[name], ", ".join(f"{n}: {seconds:.2f} s" for n, seconds in points), f"{exponent(points):.2f}"]
        for name, points in found["scaling"].items()
    ]
    rates: dict[str, dict[int, float]] = {}
    for one in found["rates"]:
        rates.setdefault(one["geometry"], {})[one["threads"]] = one["per_second"]
    both = ", ".join(f"{name} {rate[2] / rate[1]:.2f} times" for name, rate in rates.items() if {1, 2} <= set(rate))
    slide = found["slide"]
    return f"""## Cost against size

Processor seconds of one arm with five doses, output included; the last column is the power of the number that the cost follows
between the two largest.

{table(["number of", "processor time", "power"], rows)}

![Cost against lesions, shells, days and subjects](figures/benchmark_scaling.png)

Two cores do by the clock, against one: {both}.

![Units a second on one and two cores, beside twice the speed of one](figures/benchmark_cores.png)

A slide of {slide['side_mm']:g} × {slide['side_mm']:g} mm at 0.5 µm ({slide['profiles']:,} profiles) takes
{slide['placing_s']:.1f} s of processor time to place the cells and {slide['painting_s']:.1f} s to paint and pack the OME-TIFF:
{slide['megapixels_per_s']:.1f} megapixels a second on one core.

{cells_part(found)}"""


def cells_part(found: dict[str, Any]) -> str:
    """Cells simulated per second beside PhysiCell, where it was built."""
    if "cells" not in found:
        return ("PhysiCell's sample was not measured on this machine: it is to be built from its repository, then "
                "`python -m benchmarks --physicell FOLDER`.")
    peer, own = found["cells"]["physicell"], found["cells"]["locokine"]
    rows = [
        [f"PhysiCell {peer['version']}, sample `{peer['sample']}`, {one['threads']} thread{'s' if one['threads'] > 1 else ''}",
         f"{one['cells']:,}", f"{one['per_second']:,.0f}", f"{one['per_processor_second']:,.0f}"] for one in peer["runs"]
    ]
    rows.append([f"locokine, shells, {own['subjects']} hosts of 60 days, 1 thread", "by compartment", "",
                 f"{own['per_processor_second']:.2g}"])
    return f"""## Cells a second beside PhysiCell

Cell-hours (living cells times simulated time) a second, over {peer['hours']:g} h of the sample with its output switched off.

{table(["program", "cells at the end", "cell-hours a second", "cell-hours a second of processor time"], rows)}

The two answer different questions: PhysiCell moves each cell of a disc and knows its neighbours, locokine counts cells by shell
(its cost does not depend on their number; it does {own['host_days_per_processor_second']:,.0f} host-days a second of processor
time with node, blood and body). The rows say what is out of reach of which, not which is better. Each run was made once{
        ", that of PhysiCell in an earlier measurement" if peer.get("earlier") else ""}; on a
shared machine go by the processor time."""


def scaling_figure_of_cores(found: dict[str, Any], path: Path) -> None:
    """Units a second on one and two threads of each geometry, beside a line in proportion."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 2.8), layout="constrained")
    for axes, geometry in zip(figure.subplots(1, 2), ("shells", "well-mixed"), strict=True):
        mine = sorted((one["threads"], one["per_second"]) for one in found["rates"] if one["geometry"] == geometry)
        threads, rate = [one[0] for one in mine], [one[1] for one in mine]
        axes.plot(threads, rate, "o-", color="#0072B2", label="measured")
        axes.plot(threads, [rate[0] * n / threads[0] for n in threads], ":", color="0.6", label="in proportion")
        axes.set(title=geometry, xlabel="cores", ylabel="units a second", xlim=(0.8, 2.2), ylim=(0, 1.15 * max(rate)))
        axes.set_xticks(threads)
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def scaling_figure(found: dict[str, Any], path: Path) -> None:
    """Cost against each number, on logarithmic axes beside a straight line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 5.0), layout="constrained")
    for axes, (name, points) in zip(figure.subplots(2, 2).flat, found["scaling"].items(), strict=True):
        numbers, seconds = [p[0] for p in points], [p[1] for p in points]
        axes.loglog(numbers, seconds, "o-", color="#0072B2")
        axes.loglog(numbers, [seconds[-1] * n / numbers[-1] for n in numbers], ":", color="0.6", label="in proportion")
        axes.set(xlabel=name, ylabel="processor time (s)")
        axes.set_xticks(numbers, [str(n) for n in numbers])
        axes.minorticks_off()
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def solver_part(found: dict[str, Any]) -> str:
    """The engine beside other solvers."""
    facts = found["equations"]
    rows = [
        [c["name"], c["setting"], f"{100 * c['volume_error']:.3f} %", f"{100 * c['auc_error']:.3f} %",
         f"{1e3 * c['seconds']:.2f} ms"] for c in found["contenders"]
    ]
    ratios = []
    for key, words in (("default", "the engine's default steps"), ("one_per_cent", "1 %")):
        best = found[f"matched_{key}"]
        if "locokine" not in best:
            ratios.append(f"At {words} no measured setting of the engine is accurate enough.")
            continue
        own = best["locokine"]
        others = [
            f"{one['seconds'] / own['seconds']:.1f} times as fast as {name} ({one['setting']})"
            for name, one in best.items() if name != "locokine"
        ]
        ratios.append(f"At the error of {words} ({100 * own['error']:.2f} %, {own['setting']}) the engine is "
                      f"{' and '.join(others)}.")
    runner = facts["libroadrunner"]
    note = (
        f"libRoadRunner writes\nevery formula out where it is used; it loads the equations only after {runner['broken_off']} "
        f"values were broken off as states that follow their formula within {runner['lag_s']:.1f} s "
        f"(loading takes {runner['loading_s']:.0f} s, "
        "not counted). That lag is part of its error."
        if isinstance(runner, dict) else f"libRoadRunner: {runner}."
    )
    count = sum(facts["operations"].values())
    return f"""## Beside other solvers

The right-hand side is not written a second time: the engine's own source is executed on formulas for one infinitesimal
step, and what each state changes by is its derivative ({facts['states']} states, {facts['parameters']} parameters, {count}
operations).
Included: core and rim, all of fluid, protein, IL-2 (given and endogenous), endothelium, vessels, oxygen, growth and death,
NK, T, regulatory T cells and macrophages, antigen, node, blood, circulation and its support. Left out on both sides:
extinction and death by chance. Only the engine also writes output, tracks exposure and grades toxicity. Doses are given
between two calls of a solver by the engine's own event and not counted. LSODA calls the compiled right-hand side; {note}

Errors are against LSODA at 1e-9: medians over four mice of the largest relative error of tumour volume on any of
{facts['days']} days (until two days after the last dose), and of the AUC of IL-2 in the tumour. Times are processor time of one
thread per subject.

{table(["solver", "setting", "error of volume", "error of IL-2 AUC", "per subject"], rows)}

{' '.join(ratios)}

![Error against time](figures/benchmark_solvers.png)"""


def profile_part(found: dict[str, Any]) -> str:
    """Where the time goes."""
    shells, mixed, limit = (found["profile"][key] for key in ("shells", "well-mixed", "limit"))
    rows = [
        [f"`{name}`", f"{shells['ns'][name] / shells['shells']:.0f}", f"{100 * shells['share'][name]:.1f} %",
         f"{mixed['ns'][name] / mixed['shells']:.0f}", f"{100 * mixed['share'][name]:.1f} %"] for name in shells["ns"]
    ]
    return f"""## Where the time goes

Each kernel alone, in a loop, on hosts in mid-run; ns per subject and shell, solutes for one agent and one fine step (a
step has one to fifteen of them per agent).

{table(["kernel", "ns, 32 shells", "share", "ns, well-mixed", "share"], rows)}

![Profile](figures/benchmark_profile.png)

Tissue biology takes {limit['divisions']:.0f} divisions, {limit['roots']:.0f} roots and about
{limit['others']:.0f} other operations a shell. At the machine's own rate for vectors in the nearest cache
({limit['divide_ns']:.2f} ns a division, {limit['root_ns']:.2f} ns a root, {limit['other_ns']:.3f} ns another)
that is {limit['limit_ns']:.0f} ns; it takes {limit['took_ns']:.0f} ns:
**{100 * limit['share']:.0f} % of the machine's limit**."""


def contenders_figure(found: dict[str, Any], path: Path) -> None:
    """Error against time of every solver."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    marks = {"locokine": ("o", "#0072B2"), "SciPy LSODA": ("s", "#E69F00"), "libRoadRunner CVODE": ("^", "#009E73")}
    for name, (mark, colour) in marks.items():
        mine = [c for c in found["contenders"] if c["name"] == name]
        axes.loglog([1e3 * c["seconds"] for c in mine], [100 * c["error"] for c in mine], mark + "-", color=colour, label=name)
    axes.axhline(1.0, color="0.6", linewidth=0.8)
    axes.set(xlabel="processor time per subject (ms)", ylabel="largest error (%)")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def profile_figure(found: dict[str, Any], path: Path) -> None:
    """Shares of the kernels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 3.8), layout="constrained")
    axes = figure.add_subplot()
    names = list(found["profile"]["shells"]["ns"])
    for i, (geometry, colour) in enumerate((("shells", "#0072B2"), ("well-mixed", "#E69F00"))):
        share = found["profile"][geometry]["share"]
        axes.barh([k + 0.4 * i for k in range(len(names))], [100 * share[n] for n in names], 0.38, color=colour, label=geometry)
    axes.set_yticks([k + 0.2 for k in range(len(names))], names)
    axes.invert_yaxis()
    axes.set(xlabel="share of the time of these kernels (%)")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)
