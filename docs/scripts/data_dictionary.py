"""Write docs/data_dictionary.md: every file, column and variable of a stored result."""

from __future__ import annotations

from pathlib import Path

from locokine.results.schema import SCHEMA_VERSION, data_dictionary

TARGET = Path(__file__).resolve().parent.parent / "data_dictionary.md"
INTRODUCTION = f"""# Data dictionary

Written by `make docs` from the package; do not edit. Schema version {SCHEMA_VERSION}. In Python the same table is
`locokine.results.data_dictionary()`.

| file | what | read with |
|---|---|---|
| `manifest.json` | which run this is; written last, so that its presence means "finished" | anything |
| `summary.json` | one object per arm: responses, cures, survival, toxicity, exposure | anything |
| `subjects.parquet` | a row per subject and arm | pandas, R (arrow), DuckDB |
| `visits.parquet` | a row per subject, arm and visit | the same |
| `lesions.parquet` | a row per subject, arm and lesion | the same |
| `challenges.parquet` | a row per challenged host | the same |
| `events.parquet` | a row per event | the same |
| `series.zarr` | quantiles over all subjects per day, full series of the first subjects, exposure | xarray |
| `fields.zarr` | radius–time fields of the first subjects | xarray |
| `scenario.yaml` | the resolved scenario: every parameter, seed, versions | anything |
| `data_dictionary.csv` | this table | anything |
| `report.html`, `figures/` | the report (one file, opens offline) and its figures as PNG and SVG | a browser |

Units are written as UDUNITS would read them; `1` is dimensionless. Values after a host's death, and of a lesion before it is
implanted, are missing (nan), except that cells are 0 before implantation.
"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION]
    for place, rows in data_dictionary().groupby("place", sort=False):
        lines = [
            f"| `{row.name_}` | {row.unit} | {row.meaning} |"
            for row in rows.rename(columns={"name": "name_"}).itertuples()
        ]
        parts += [f"## {place}", "\n".join(["| name | unit | meaning |", "|---|---|---|", *lines])]
    return "\n\n".join(part.strip() for part in parts) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
    print(f"wrote {TARGET.name}")
