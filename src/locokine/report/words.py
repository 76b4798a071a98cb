"""The short text at the top of the report: sentences made from the numbers of the summary, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from locokine.report.figures_outcome import arm_names
from locokine.report.tables import interval, number, percent


def in_short(result: Any) -> list[str]:
    """Sentences on response, cure, harm, exposure, tissue and immunity; each number stands in `result.summary()`."""
    arms = result.summary()["arms"]
    names = arm_names(result)
    sentences = [
        _responses(arms, names),
        _cures(arms, names),
        _survival(arms, names),
        _harm(arms, names),
        _exposure(arms, names),
        _tissue(arms, names),
        *_rechallenge(arms, names),
    ]
    return [sentence for sentence in sentences if sentence]


def _listed(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{'; '.join(parts[:-1])}; {parts[-1]}"


def _grouped(names: Sequence[str], text: Callable[[str], str]) -> str:
    """`a, b: same text; c: other text`, so that arms that agree are said once."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(text(name), []).append(name)
    return _listed([f"{', '.join(f'‘{name}’' for name in members)} {words}" for words, members in groups.items()])


def _responses(arms: dict[str, Any], names: Sequence[str]) -> str:
    def text(name: str) -> str:
        arm = arms[name]
        hits = arm["best_response"]["CR"] + arm["best_response"]["PR"]
        unknown = arm["best_response"]["NE"]
        rest = f", {unknown} not evaluable" if unknown else ""
        return f"{hits} of {arm['subjects']}, {interval(arm['objective_response_rate'])}{rest}"

    return f"Objective responses (complete or partial, with 95 % interval): {_grouped(names, text)}."


def _cures(arms: dict[str, Any], names: Sequence[str]) -> str:
    cured = [name for name in names if arms[name]["cured"]]
    if not cured:
        return "No host was cured in any arm."
    listed = _grouped(cured, lambda name: f"{arms[name]['cured']} of {arms[name]['subjects']}")
    rest = "" if len(cured) == len(names) else "; none in the other arms" if len(names) - len(cured) > 1 else (
        f"; none in ‘{next(n for n in names if n not in cured)}’")
    return f"Cured (no tumour cell left): {listed}{rest}."


def _survival(arms: dict[str, Any], names: Sequence[str]) -> str:
    def text(name: str) -> str:
        days = arms[name]["median_survival_days"]
        return "not reached" if days is None else f"{number(days)} days"

    return f"Median survival: {_grouped(names, text)}."


def _severe(grades: dict[str, int]) -> tuple[int, int]:
    return sum(count for grade, count in grades.items() if int(grade) >= 3), sum(grades.values())


def _harm(arms: dict[str, Any], names: Sequence[str]) -> str:
    def text(key: str) -> Callable[[str], str]:
        def share(name: str) -> str:
            severe, total = _severe(arms[name][key])
            return f"{severe} of {total}"

        return share

    systemic = _grouped(names, text("systemic_toxicity_grade"))
    site = _grouped(names, text("injection_site_grade"))
    return f"Systemic toxicity of grade 3 or more: {systemic}. Injection-site reaction of grade 3 or more: {site}."


def _exposure(arms: dict[str, Any], names: Sequence[str]) -> str:
    treated = [name for name in names if arms[name]["bioavailability"]]
    if not treated:
        return ""
    parts = []
    for name in treated:
        il2 = arms[name]["il2"]
        parts.append(
            f"‘{name}’ {number(il2['tumour']['peak_nM'])} nM in the tumour and {number(il2['plasma']['peak_nM'])} nM "
            f"in plasma, {percent(arms[name]['bioavailability'])} of the dose reaching plasma"
        )
    return f"Median peak of IL-2: {_listed(parts)}."


def _tissue(arms: dict[str, Any], names: Sequence[str]) -> str:
    def text(name: str) -> str:
        arm = arms[name]
        return f"{percent(arm['hypoxic_fraction_peak'])} and {percent(arm['necrotic_fraction_peak'])}"

    return f"Largest hypoxic and necrotic share of the tumour (medians): {_grouped(names, text)}."


def _rechallenge(arms: dict[str, Any], names: Sequence[str]) -> list[str]:
    from locokine.outcome.immunity import valid_challenge

    lines = list(dict.fromkeys(line for name in names for line in arms[name]["rechallenge"]))
    sentences = []
    for line in lines:
        counts = [(name, arms[name]["rechallenge"][line]) for name in names if line in arms[name]["rechallenge"]]
        parts = [f"‘{name}’ {c['rejected']} of {c['challenged']}" for name, c in counts if c["challenged"]]
        if parts:
            naive = counts[0][1]
            sentences.append(
                f"Cured hosts that rejected a new {line} tumour: {_listed(parts)}; naive hosts "
                f"{naive['naive_rejected']} of {naive['naive_challenged']}"
                + ("." if valid_challenge(naive) else ", too few takes (below 90 %) for a valid comparison.")
            )
    return sentences
