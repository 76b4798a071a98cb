"""Run the commands of the pages on explanation, trials and sensitivity, and put in what they print and draw.

    python docs/scripts/studies.py            all of them, about six minutes on two cores
    python docs/scripts/studies.py explain …  only these

A page says its command itself (the first that begins with `locokine NAME`), so that it cannot show what another gave. Between
marks `<!-- printed: NAME begin -->` and `… end -->` stands what it prints: the table named here, and the sentences at the end.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LAST = "Research use only"
"""Line that ends the tables; sentences follow."""


@dataclass(frozen=True)
class Study:
    """A command of a page, the title of the table that is shown ("" none), the line before which it ends, and the figure."""

    page: str
    figure: str
    title: str = ""
    until: str = "Tables and figure"


STUDIES = {
    "explain": Study("explain.md", "explanation", "What each mechanism adds", "Twins"),
    "power": Study("trials.md", "power"),
    "optimise": Study("trials.md", "optimum"),
    "sensitivity": Study("sensitivity.md", "sensitivity", "What decides", "What decides"),
}


def command_of(text: str, name: str) -> list[str]:
    """Words of the first command of a page that begins with `locokine NAME`."""
    found = re.search(rf"^locokine {name} (?:.*\\\n)*.*$", text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"the page has no command `locokine {name}`")
    return shlex.split(found.group().replace("\\\n", " "))[1:]


def printed(study: Study, output: str) -> str:
    """The table and the sentences of an output, as Markdown."""
    lines = [line.rstrip() for line in output.splitlines()]
    parts = []
    if study.title:
        first = next(i for i, line in enumerate(lines) if line.startswith(study.title))
        last = next(i for i, line in enumerate(lines[first + 1:], first + 1) if line.startswith((study.until, "Tables and figure")))
        parts.append("```\n" + "\n".join(lines[first:last]).rstrip() + "\n```")
    ends = max(i for i, line in enumerate(lines) if line.startswith(LAST))
    told = [line for line in lines[ends + 1:] if line]
    return "\n\n".join(["\n>\n".join("> " + line for line in told)] * bool(told) + parts)


def main() -> None:
    """Run, copy the figure, rewrite the page."""
    for name in sys.argv[1:] or STUDIES:
        study = STUDIES[name]
        page = DOCS / study.page
        text = page.read_text(encoding="utf-8")
        words = command_of(text, name)
        out = ROOT / words[words.index("--out") + 1]
        run = subprocess.run(
            [sys.executable, "-m", "locokine", *words, "--force"], cwd=ROOT, capture_output=True, text=True,
            env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"},
        )
        if run.returncode:
            raise SystemExit(run.stderr)
        begin, end = f"<!-- printed: {name} begin -->", f"<!-- printed: {name} end -->"
        before, rest = text.split(begin)
        page.write_text(f"{before}{begin}\n\n{printed(study, run.stdout)}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")
        shutil.copy(out / f"{study.figure}.png", DOCS / "figures" / f"{study.figure}.png")
        print(f"{name}: {study.page}, figures/{study.figure}.png", flush=True)


if __name__ == "__main__":
    main()
