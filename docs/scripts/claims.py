"""Write the table of the thirteen claims into the README: `python docs/scripts/claims.py` (some minutes on two cores).

Numbers come from the shipped examples, with exact 95 % intervals over subjects. Whether a claim holds in its strict wording
(`inference/claims.py`), at the values of the library and in what share of prior draws, goes into the table and, with the
numbers it rests on, into `docs/claims.json`. Nothing is judged here but by numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest

from locokine import api
from locokine.evidence.mix import run_mix
from locokine.inference.claim_trials import LADDER, SYSTEMIC, TRIALS, ClaimTrials
from locokine.inference.claims import CENTRE, CLAIMS, Finding, evaluate, prior_predictive
from locokine.parameters import load_library
from locokine.parameters.reading import plain, read_file, read_yaml

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "src" / "locokine" / "examples"
BEGIN, END = "<!-- generated: claims begin -->", "<!-- generated: claims end -->"
RUN = "`locokine run {} --out DIR`"
SELF = "`python docs/scripts/claims.py`"
DRAWS = 64
"""Draws of the prior in which each claim is looked at."""


class Group(NamedTuple):
    """What one arm of an example gave."""

    subjects: int
    table: Any
    daily: Any
    challenge: Mapping[str, Any]

    def many(self, count: int) -> str:
        """A count with its share and interval."""
        low, high = binomtest(count, self.subjects).proportion_ci(0.95, "exact")
        return f"{count} of {self.subjects} ({100 * low:.0f}–{100 * high:.0f} %)"

    def cured(self) -> str:
        """How many are cured."""
        return self.many(int(self.table.cured.sum()))

    def response(self, *best: str) -> str:
        """How many had one of these best responses."""
        return self.many(int(self.table.best_response.isin(best).sum()))

    def severe(self) -> str:
        """How many had systemic toxicity of grade 3 or more."""
        return self.many(int((self.table.systemic_grade >= 3).sum()))

    def median(self, column: str) -> float:
        """Median of a column."""
        return float(self.table[column].median())

    def highest(self, variable: str) -> float:
        """Median over subjects of the highest daily value."""
        return float(self.daily[variable].max("day").median())


@cache
def run(example: str, subjects: int, off: tuple[str, ...] = ()) -> dict[str, Group]:
    """Arms of a shipped example, with mechanisms switched off."""
    experiment = api.load(EXAMPLES / f"{example}.yaml", subjects=subjects)
    return groups(api.twin(experiment, off=set(off)) if off else experiment)


def groups(experiment: api.Experiment) -> dict[str, Group]:
    """Arms of an experiment."""
    result = api.run(experiment)
    summary = result.summary()["arms"]
    return {
        str(arm): Group(len(part), part, result.daily.sel(arm=arm), summary[str(arm)].get("rechallenge") or {})
        for arm, part in result.subjects.groupby("arm", sort=False)
    }


def local(off: tuple[str, ...] = ()) -> Group:
    """Intratumoural mice of the demo; 100, or 48 with a mechanism off."""
    return run("local_versus_systemic", 48 if off else 100, off)["intratumoural"]


def demo(arm: str) -> Group:
    """An arm of the demo."""
    return run("local_versus_systemic", 100)[arm]


def patients(example: str) -> Group:
    """The treated arm of an example with patients."""
    return next(group for arm, group in run(example, 50).items() if arm != "untreated")


@cache
def findings() -> dict[int, Finding]:
    """Claims in their strict wording at the values of the library, of which the table shows single numbers."""
    return evaluate(ClaimTrials({}, 1, CENTRE, threads=2), (4, 10, 11))


def strict(claim: int, number: str) -> float:
    """A number that a claim rests on in its strict wording."""
    return float(findings()[claim].numbers[number][0])


@cache
def equal() -> tuple[str, Group]:
    """Mice of the demo given the intravenous dose that does as much as the local treatment, and what that is."""
    dose = strict(4, "i.v. IU q8h")
    arm = next(name for name, one in LADDER.items() if one == dose)
    tree = plain(read_yaml(read_file(EXAMPLES / "local_versus_systemic.yaml"), "local_versus_systemic"))
    del tree["rechallenge"]
    return arm, groups(api.load({**tree, "arms": {arm: TRIALS[SYSTEMIC]["arms"][arm]}}, subjects=100))[arm]


def rejects(line: str) -> str:
    """Cured mice that reject a line, beside naive ones."""
    found = local().challenge[line]
    low, high = binomtest(found["rejected"], max(found["challenged"], 1)).proportion_ci(0.95, "exact")
    return (f"{found['rejected']} of {found['challenged']} ({100 * low:.0f}–{100 * high:.0f} %) reject {line.upper()}, "
            f"naive {found['naive_rejected']} of {found['naive_challenged']}")


def claims() -> list[tuple[str, Callable[[], str], str]]:
    """Claim, what the model gives, command."""
    treated, untreated, vehicle = local(), demo("untreated"), demo("vehicle intratumoural")
    strong, beside = demo("intravenous, high dose"), demo("peritumoural")
    dose, same = equal()
    skin, blood = patients("melanoma_intralesional"), patients("high_dose_intravenous")
    skin_alone, blood_alone = (run(name, 50)["untreated"] for name in ("melanoma_intralesional", "high_dose_intravenous"))
    ascites = run("ascites_sl2", 50)["intraperitoneal"]
    without = {name: local((name,)) for name in ("t_killing", "starvation", "lak_killing")}
    leakless = run("leak_switched_off", 50)["intratumoural"]
    mixture = run_mix(48, threads=2)
    fall = strict(11, "fall")
    made = math.floor(math.log10(max(untreated.highest("il2_endogenous"), 1e-9)))
    return [
        ("leukocytes make very little IL-2; a dose is many orders larger",
         lambda: f"tumour: endogenous peak about 1e{made} nM untreated, {treated.median('il2_peak_tumour'):.0f} nM after 20,000 IU into it",
         "`make demo`"),
        ("IL-2 stimulates T lymphocytes and NK cells",
         lambda: f"cured without killing by T cells {without['t_killing'].cured()}, without killing by LAK cells "
         f"{without['lak_killing'].cured()}, with all {treated.cured()}",
         "`switches: {t_killing: off}` in the demo"),
        ("IL-2 makes vessels leak",
         lambda: f"leak state of the tumour {untreated.highest('leak'):.2f} untreated, {treated.highest('leak'):.2f} treated; oedema "
         f"{treated.median('oedema_fraction_peak'):.2f} of the caliper volume at its peak (vehicle {vehicle.median('oedema_fraction_peak'):.2f}); "
         f"lung leak index {strong.highest('organ_leak'):.1f} under the high dose, {same.highest('organ_leak'):.1f} under {dose}",
         f"`make demo`; {SELF}"),
        ("vascular leak limits systemic, not local, treatment",
         lambda: f"grade ≥ 3, patients: {blood.severe()} intravenous, {skin.severe()} intralesional; mice: {treated.severe()} intratumoural, "
         f"{same.severe()} {dose}, which kills as much (cured {same.cured()}); {strong.severe()} 100,000 IU q8h (cured {strong.cured()})",
         f"{RUN.format('examples/high_dose_intravenous.yaml --subjects 50')}; mice: {SELF}"),
        ("systemic: few responses, high toxicity",
         lambda: f"response {blood.response('CR', 'PR')}, complete {blood.response('CR')}, untreated "
         f"{blood_alone.response('CR', 'PR')}; published 16 % (43/270), 6 %",
         RUN.format("examples/high_dose_intravenous.yaml --subjects 50")),
        ("local: hardly toxic; partial, complete regression, cure",
         lambda: f"mice: complete {treated.response('CR')}, partial {treated.response('PR')}, cured {treated.cured()}; peritumoural "
         f"{beside.cured()}, high dose into the blood {strong.cured()}, untreated {untreated.cured()}; ascites {ascites.cured()} "
         "(published 70 %); grade ≥ 3 see 4", "`make demo`"),
        ("local: about 50–70 % objective responses",
         lambda: f"weighted mix of eleven animal tumours {100 * mixture.value:.0f} % "
         f"({100 * mixture.low:.0f}–{100 * mixture.high:.0f} %) with cures counted, {100 * mixture.measured:.0f} % by visits alone; patients with ten skin metastases, complete "
         f"{skin.response('CR')}, partial {skin.response('PR')}, untreated {skin_alone.response('CR', 'PR')} "
         "(published complete 62.5 and 69 %)", "`locokine validate --mix`"),
        ("local: only inflammation at the injection site",
         lambda: f"median grade at the site {treated.median('injection_site_grade'):.0f} (vehicle {vehicle.median('injection_site_grade'):.0f}), "
         f"systemic {treated.median('systemic_grade'):.0f}", "`make demo`"),
        ("histology shows oedema and necrosis",
         lambda: f"necrotic share {untreated.median('necrotic_fraction_peak'):.2f} untreated, {treated.median('necrotic_fraction_peak'):.2f} "
         "treated (medians of the peaks); [slides](docs/histology.md)", "`make demo`"),
        ("oedema → less oxygen and nutrients → necrosis",
         lambda: f"viable cells' mean pO2 at its lowest {untreated.median('viable_pO2_min'):.1f} untreated, "
         f"{treated.median('viable_pO2_min'):.1f} mmHg treated; day of leak {strict(10, 'day of leak'):.0f}, oedema "
         f"{strict(10, 'day of oedema'):.0f}, hypoxia {strict(10, 'day of hypoxic'):.0f}, necrosis {strict(10, 'day of necrotic'):.0f} "
         f"after the first dose (medians); necrotic share {strict(10, 'necrosis'):.2f}, without leak {strict(10, 'without leak'):.2f}",
         f"`make demo`; days: {SELF}"),
        ("dead cells → immune reaction",
         lambda: f"cured when cells cannot starve {without['starvation'].cured()}; specific T cells in the tumour "
         f"{'fall' if fall > 0 else 'rise'} by {abs(100 * fall):.0f} % (claimed: fall by 80 %)",
         f"`switches: {{starvation: off}}` in the demo; T cells: {SELF}"),
        ("cured hosts are specifically immune", lambda: f"{rejects('sl2')}; {rejects('p815')}", "`make demo`"),
        ("leak and immune stimulation both contribute",
         lambda: f"cured {treated.cured()}; without leak {leakless.cured()}, without killing by T cells {without['t_killing'].cured()}; "
         "`locokine explain` gives each its share", RUN.format("examples/leak_switched_off.yaml --subjects 50")),
    ]


def main() -> None:
    """Run the examples and put the table into the README."""
    np.seterr(all="ignore")
    prior = prior_predictive(DRAWS, threads=2)
    record = {
        number: {"claim": CLAIMS[number].what, "prior_draws": DRAWS, "prior": prior.shares[number], **prior.centre[number]}
        for number in CLAIMS
    }
    kept = {"library_hash": load_library().digest, "claims": record}
    (ROOT / "docs" / "claims.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    lines = [
        "| # | claim | what the model gives (95 % intervals over subjects) | strict wording: holds here, in prior draws | command |",
        "|---|---|---|---|---|",
    ]
    for number, (what, found, command) in enumerate(claims(), 1):
        held = f"{'yes' if prior.centre[number]['holds'] else '**no**'}, {100 * prior.shares[number]:.0f} %"
        lines.append(f"| {number} | {what} | {found()} | {held} | {command} |")
    page = ROOT / "README.md"
    text = page.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    after = old.split("\n\n", 2)[2] if old.count("\n\n") >= 2 else ""
    page.write_text(f"{head}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{after}{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
