"""Files of evidence small enough to be read in a test, written by hand."""

from __future__ import annotations

from pathlib import Path

from locokine.evidence.library import Evidence, read_evidence

GOOD = """\
id: MY01
use: validate
what: clearance in patients
citation: {authors: Somebody and others, year: 1999, doi: 10.1000/xyz}
dose: {written: 1e6 U/m2, supplier: any}

scenario: bolus_human
arm: intravenous
observable: clearance

likelihood: lognormal
observed: {value: 0.12, unit: L/min, error: 0.15, n: 12}
assumptions:
  - kinetics are linear in the dose
"""
COUNT = """\
id: MY02
use: validate
what: cured
citation: {authors: Somebody, pmid: 123}
dose: {written: 20000 U, supplier: unknown}
scenario: ascites
arm: intraperitoneal
observable: cured
likelihood: binomial
observed: {successes: 7, n: 10}
assumptions: [one unit is one IU]
"""


def folder_of(tmp_path: Path, **files: str) -> Path:
    """A user's folder of evidence."""
    folder = tmp_path / "mine"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def only(folder: Path) -> Evidence:
    return read_evidence((folder,), shipped=False)
