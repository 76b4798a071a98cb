"""Write docs/tutorial.ipynb: the cells below, executed.

The cells run in a fresh folder, so that nothing of this machine gets into the notebook.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TARGET = Path(__file__).resolve().parent.parent / "tutorial.ipynb"

CELLS: tuple[tuple[str, str], ...] = (
    (
        "text",
        """# locokine in an hour

**Research use only: never for dosing or treating patients.**

We take an experiment in mice from its text to an answer: what happens to a lymphoma under the skin when interleukin-2 is
injected into it, next to it, or into the blood, and which mechanism did it.

This page is written by `make docs`: the outputs are what this version of locokine really gives.""",
    ),
    (
        "text",
        """## A scenario

`locokine new mouse` (or `lk.new`) writes a commented scenario. It is the experiment as the lab would say it: host, lesions, arms
with lines of dosing, follow-up, rechallenge.""",
    ),
    (
        "code",
        """import locokine as lk

path = lk.new("mouse", "mouse.yaml")
print(path.read_text())""",
    ),
    (
        "text",
        """## What does it mean?

Before anything runs, look at what was understood. Every line of dosing has become doses in internal units; a mistake would have been
answered with file, line, field and remedy.""",
    ),
    (
        "code",
        """experiment = lk.load("mouse.yaml", subjects=16)
experiment""",
    ),
    ("code", 'cost = lk.estimate(experiment)\nprint(f"about {cost.seconds:.0f} s, {cost.memory / 1e9:.1g} GB")'),
    (
        "code",
        """try:
    lk.load(path.read_text().replace("20000 IU", "20000 U"))
except lk.InputError as error:
    print(error)""",
    ),
    (
        "text",
        """## Run

Sixteen subjects are enough to look around, not enough for a response rate. With a folder (`experiment.run("results/mouse")`) the
run is stored, and goes on where it stopped if it is interrupted.""",
    ),
    (
        "code",
        """result = experiment.run()
result""",
    ),
    (
        "text",
        """## Tables and arrays

`result.subjects` has a row per subject and arm, `result.events` one per event; `result.daily`, `.series`, `.fields` and `.exposure` are
xarray datasets whose variables carry unit and meaning.""",
    ),
    ("code", "result.subjects.head()"),
    ("code", 'result.events.groupby(["arm", "kind"]).size().unstack(fill_value=0)'),
    (
        "code",
        """volume = result.daily["caliper_volume"]
print(volume.attrs)
volume.median("subject").squeeze("lesion").to_pandas().T.iloc[::5].round(1)""",
    ),
    (
        "text",
        """## Why

The chain of causes, arms side by side: interleukin-2 → leak, oedema, pressure → perfusion, oxygen → necrosis → antigen → T and NK
cells → living cells, beside what a caliper would have measured.""",
    ),
    ("code", "result.plot_chain()"),
    (
        "text",
        """## One mechanism fewer

A twin is the same experiment, the same subjects and doses, with a mechanism switched off. If local treatment works through leaking
vessels, it should be worse without the leak; if only through lymphocytes, it should not matter.""",
    ),
    (
        "code",
        """import pandas as pd

twins = {
    "whole": result,
    "without leak": lk.twin(experiment, off={"leak"}).run(),
    "without T and NK killing": lk.twin(experiment, off={"immunity"}).run(),
}
pd.DataFrame(
    {name: {arm: row["cured"] for arm, row in one.summary()["arms"].items()} for name, one in twins.items()}
).rename_axis("cured, of 16")""",
    ),
    (
        "text",
        """## Whose numbers?

Every parameter has a unit, a range, a status and a source; results rest on the weakest of them.""",
    ),
    (
        "code",
        """from locokine.parameters import load_library

library = load_library()
for record in library.find("direct_ec50"):
    print(record.name, record.text(), record.status, record.note, sep=" · ")
print(*library.cite(library.find("direct_ec50")), sep="\\n")""",
    ),
)


def notebook() -> nbformat.NotebookNode:
    """The notebook, not yet executed; cell ids are fixed so that the file changes only where its content does."""
    make = {"text": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    cells = [make[kind](source) for kind, source in CELLS]
    for number, cell in enumerate(cells, 1):
        cell["id"] = f"cell-{number:02d}"
    return nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )


def main() -> None:
    """Execute and write."""
    book = notebook()
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(book, timeout=1200, kernel_name="python3", resources={"metadata": {"path": folder}})
        client.execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)  # times of this machine
    book.metadata.pop("language_info", None)
    nbformat.write(book, TARGET)
    print(f"wrote {TARGET.name}")


if __name__ == "__main__":
    main()
