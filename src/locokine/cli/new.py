"""`locokine new`: a commented scenario to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def new(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="mouse: subcutaneous lymphoma, local against systemic; ascites: lymphoma in the peritoneal cavity; "
            "melanoma: skin metastases of patients, injected; intravenous: high dose with stopping rules; "
            "or the name of a shipped example such as guinea_pig_line10 (a wrong name lists them).",
        ),
    ],
    file: Annotated[Path | None, typer.Argument(help="File to write (NAME.yaml by default).")] = None,
) -> None:
    """Write a commented scenario, one of the four settings or a shipped example, ready to be changed."""
    from locokine import api

    path = api.new(kind, file if file is not None else Path(f"{kind}.yaml"))
    typer.echo(f"Wrote {path}. Next: locokine check {path}")
