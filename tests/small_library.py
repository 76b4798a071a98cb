"""A tiny library under names that no code knows: one law, two hosts, three lines, three agents."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from locokine.errors import InputError

LAWS = """\
parameters:
  opening_ec50:
    value: 15 nM
    range: [1 nM, 40 nM]
    distribution: lognormal
    between: 0.3
    physical: [0 nM, 1 uM]
    status: calibrated
    source: [doe1987]
    note: "half-maximal opening"
  share:
    {value: 0.2, unit: "1", range: [0.1, 0.4], distribution: logit, between: 0.1, status: assumed}
"""
HOSTS = """\
parameters:
  weight: {value: 0.025 kg, range: [0.02 kg, 0.03 kg], distribution: lognormal, between: 0.1, status: assumed}
entries:
  shrew: {label: a shrew}
  pygmy_shrew:
    inherits: shrew
    label: a pygmy shrew
    values:
      opening_ec50: {value: 5 nM, range: [1 nM, 10 nM], status: measured, source: [roe1990]}
  giant: {label: a giant, values: {weight: {value: 100 kg, range: [80 kg, 120 kg], status: assumed}}}
"""
LINES = """\
parameters:
  doubling: {value: 30 h, range: [20 h, 40 h], distribution: lognormal, between: 0.1, status: assumed}
entries:
  alpha: {label: line alpha, meta: {hosts: [shrew], sites: [subcutis, peritoneum], antigens: {a: 1.0}}}
  beta:
    label: line beta
    meta: {hosts: [shrew]}
    values: {doubling: {value: 25 h, range: [20 h, 40 h], status: assumed}}
  gamma: {label: line gamma, meta: {hosts: [giant], sites: [skin, viscera]}}
"""
AGENTS = """\
parameters:
  molar_mass: {value: 15.3 kDa, distribution: fixed, status: measured, source: [doe1987]}
  fmol_per_iu: {value: 4 fmol/IU, distribution: fixed, status: derived, source: [doe1987]}
  potency_effector: {value: 1, unit: "1", range: [0.5, 2], distribution: lognormal, physical: [0, 1000], status: assumed}
entries:
  kine: {label: a cytokine}
  ballast: {label: a dummy, values: {potency_effector: {value: 0, unit: "1", distribution: fixed, status: assumed}}}
  brine: {label: a solvent, meta: {substance: false}}
"""
BIB = """\
% two papers
@article{doe1987, author = {Doe, Jane and Roe, Richard}, title = {On {IL-2}}, journal = {J Tests}, volume = 3,
  pages = {1--9}, year = 1987, doi = {10.1/x}}
@book{roe1990,
  author = "Roe, R",
  title = {Shrews},
  publisher = {House},
  year = {1990},
}
"""
FILES = {"laws.yaml": LAWS, "hosts.yaml": HOSTS, "lines.yaml": LINES, "agents.yaml": AGENTS, "references.bib": BIB}

SCENARIO = """\
experiment: a test
host: shrew
lesions:
  left: {line: alpha, cells: 1e6 cells}
  right: {line: beta, site: subcutis, volume: 100 mm3, day: 5}
arms:
  nothing: []
  brine: [brine intratumoural in 0.1 mL daily days 10-14]
  local:
    - kine 20000 IU intratumoural in 0.1 mL daily days 10-14
    - "kine 1 MIU/kg intravenous q8h x3 from day 20, hold while fever >= 3, stop at any >= 4"
subjects: 12
follow-up: 60 days
rechallenge: {lines: [alpha, beta], cells: 1e5 cells}
geometry: shells
shells: 8
seed: 7
switches: {leak: off}
overrides: {opening_ec50: 20 nM, beta.doubling: 28 h}
"""


def write(folder: Path, **changed: str) -> Path:
    """Write the library into a folder; `laws=TEXT` and so on replace a file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(changed.get(name.split(".")[0], text), encoding="utf-8")
    return folder


def attempt(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return what a call returns, or its `InputError` (which must explain itself); anything else is a failure."""
    try:
        return call(*arguments, **options)
    except InputError as error:
        return error if error.problem else AssertionError("an error without a problem")
