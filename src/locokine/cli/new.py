"""`locokine new`: a commented scenario to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def new(
    kind: Annotated[
        Literal["mouse", "ascites", "melanoma", "intravenous"],
        typer.Argument(
            help="mouse: subcutaneous lymphoma, local against systemic; ascites: lymphoma in the peritoneal cavity; "
            "melanoma: skin metastases of patients, injected; intravenous: high dose with stopping rules."
        ),
    ],
    file: Annotated[Path | None, typer.Argument(help="File to write (KIND.yaml by default).")] = None,
) -> None:
    """Write a commented scenario of one of the four settings, ready to be changed."""
    from locokine import api

    path = api.new(kind, file if file is not None else Path(f"{kind}.yaml"))
    typer.echo(f"Wrote {path}. Next: locokine check {path}")
