"""A result on disk: written whole or not at all, opened without running anything.

    OUT/summary.json        the figures of the experiment (`Result.summary`)
    OUT/subjects.parquet    a row per subject and arm; likewise visits, lesions, challenges, events
    OUT/series.zarr         groups daily, series and challenges (first 50 subjects), quantiles and exposure (all)
    OUT/fields.zarr         radius–time fields
    OUT/scenario.yaml       the resolved scenario
    OUT/data_dictionary.csv unit and meaning of every column and variable
    OUT/manifest.json       what run this is; written last, so that its presence means "finished"

All files are first written and flushed inside a temporary folder beside them; only when that has succeeded do they take
their places, each by one rename. An error on the way leaves the earlier result as it was.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from locokine.engine.run import ArmRun
from locokine.engine.variables import BODY, FIELD, LESION
from locokine.errors import InputError
from locokine.results.result import Result
from locokine.results.schema import (
    DETAILED,
    SCHEMA_VERSION,
    data_dictionary,
    plain,
    protocol_from_dict,
    protocol_to_dict,
)

if TYPE_CHECKING:
    import xarray as xr

TABLES = ("subjects", "visits", "lesions", "challenges")
MANIFEST = "manifest.json"
FILES = (
    "series.zarr",
    "fields.zarr",
    *(f"{name}.parquet" for name in (*TABLES, "events")),
    "data_dictionary.csv",
    "scenario.yaml",
    "summary.json",
    MANIFEST,
)
"""What `save` writes, in the order in which the files take their places."""

_LABELS = ("arm", "lesion", "agent", "place", "line")


# ---------------------------------------------------------------------- atomic writing
@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a message for the user."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                str(path),
                f"the disk is full ({reason}); earlier results are untouched",
                "free some space or choose another --out, then run the same command again: it goes on where it stopped",
            ) from error
        raise InputError(
            str(path), f"cannot be written ({reason})", "choose a folder you may write to with --out"
        ) from error


def write_atomic(path: Path, writer: Callable[[IO[bytes]], Any]) -> None:
    """Write a file whole or not at all: temporary sibling, flush to disk, rename."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            writer(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush(folder: Path) -> None:
    """Wait until every file below `folder` is on the disk."""
    from concurrent.futures import ThreadPoolExecutor

    def flush(path: Path) -> None:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())

    with ThreadPoolExecutor(32) as pool:  # many small files: the disk takes them together
        list(pool.map(flush, [path for path in folder.rglob("*") if path.is_file()]))


def _put_in_place(prepared: Path, target: Path) -> None:
    """Move every prepared file to its place; what was there goes into `prepared` and disappears with it."""
    (target / MANIFEST).unlink(missing_ok=True)  # from here until the end the folder is unfinished
    old = prepared / "old"
    old.mkdir()
    for name in FILES:
        place = target / name
        if place.is_dir() and not place.is_symlink():
            os.rename(place, old / name)
        os.replace(prepared / name, place)


# ---------------------------------------------------------------------- saving
def save(result: Result, directory: Path, *, full: bool = False) -> Path:
    """Write a result to `directory` (made if missing).

    Parameters
    ----------
    result
        A fresh or opened result.
    directory
        Where to; files of an earlier result there are replaced, nothing else is touched.
    full
        Store the day values of all subjects, not only of the first 50.

    Raises
    ------
    InputError
        If the folder cannot be written or the disk is full; an earlier result stays as it was.
    """
    count = result.manifest["subjects"] if full else DETAILED
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        prepared = Path(tempfile.mkdtemp(prefix=".locokine-", suffix=".tmp", dir=directory))
        try:
            _write_arrays(result, prepared, count)
            _write_tables(result, prepared)
            _write_text(result, prepared)
            _flush(prepared)
            _put_in_place(prepared, directory)
        finally:
            shutil.rmtree(prepared, ignore_errors=True)
    return directory


def _write_arrays(result: Result, folder: Path, count: int) -> None:
    first = slice(None, count)
    groups = {
        "daily": result.daily_of_first(count),
        "series": result.series.isel(subject=first),
        "quantiles": result.quantiles,
        "exposure": result.exposure,
        "challenges": result.challenge_daily.isel(subject=first),
    }
    for name, dataset in groups.items():
        _write_zarr(dataset, folder / "series.zarr", name)
    _write_zarr(result.fields, folder / "fields.zarr", None)


def _write_zarr(dataset: xr.Dataset, path: Path, group: str | None) -> None:
    # one chunk per variable: a result is many small arrays, and each chunk is a file
    encoding = {str(name): {"chunks": tuple(max(n, 1) for n in item.shape)} for name, item in dataset.data_vars.items()}
    dataset = dataset.drop_encoding().assign_attrs(research_use_only=1, schema_version=SCHEMA_VERSION)
    dataset.to_zarr(path, group=group, mode="a", consolidated=False, zarr_format=3, encoding=encoding)


def _write_tables(result: Result, folder: Path) -> None:
    for name in TABLES:
        getattr(result.outcome, name).to_parquet(folder / f"{name}.parquet", index=False)
    result._all_events.to_parquet(folder / "events.parquet", index=False)
    data_dictionary().to_csv(folder / "data_dictionary.csv", index=False)


def _write_text(result: Result, folder: Path) -> None:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 10_000  # never fold a dosing line
    with (folder / "scenario.yaml").open("w", encoding="utf-8") as stream:
        yaml.dump({"schema_version": SCHEMA_VERSION} | plain(result.scenario), stream)
    _write_json(folder / "summary.json", result.summary())
    first = next(iter(result.runs.values()))
    challenges = [
        {"arm": arm, "line": line, "lesions": list(run.lesions), "days": len(run.daily_time), "subjects": run.subjects}
        for (arm, line), run in result.challenges.items()
    ]
    content = {
        "schema_version": SCHEMA_VERSION,
        **plain(result.manifest),
        "protocol": protocol_to_dict(result.protocol),
        "agents": list(first.agents),
        "challenges": challenges,
    }
    _write_json(folder / MANIFEST, content)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


# ---------------------------------------------------------------------- opening
def read_manifest(directory: Path) -> dict[str, Any] | None:
    """Content of the manifest of a finished result, None where there is none.

    Raises
    ------
    InputError
        If it cannot be read as ours.
    """
    path = directory / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise InputError(str(path), f"cannot be read ({error})", "name the folder of a locokine result") from error
    if not isinstance(content, dict) or "schema_version" not in content or "input_hash" not in content:
        raise InputError(str(path), "is not the manifest of a locokine result", "name another folder")
    return content


def open_result(directory: Path) -> Result:
    """Restore a result: all tables and the summary, and the series of the subjects that were stored.

    Raises
    ------
    InputError
        If there is no finished result, it is damaged, or another version of locokine wrote it.
    """
    content = read_manifest(directory)
    if content is None:
        raise InputError(
            str(directory), "holds no finished result (no manifest.json)", "name a folder that a run wrote"
        )
    if content["schema_version"] != SCHEMA_VERSION:
        raise InputError(
            str(directory),
            f"was written with schema version {content['schema_version']}, this locokine reads {SCHEMA_VERSION}",
            "open it with the version of locokine named in its manifest.json",
        )
    try:
        return _restore(directory, content)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            str(directory), f"the result is damaged, or of another version of locokine ({error})",
            "run the experiment again with --force",
        ) from error


def _restore(directory: Path, content: dict[str, Any]) -> Result:
    import pandas as pd
    from ruamel.yaml import YAML

    stored: dict[str, Any] = {
        name: _read_zarr(directory / "series.zarr", name)
        for name in ("daily", "series", "quantiles", "exposure", "challenges")
    }
    stored["fields"] = _read_zarr(directory / "fields.zarr", None)
    for name in TABLES:
        stored["challenge_table" if name == "challenges" else name] = pd.read_parquet(directory / f"{name}.parquet")
    stored["events"] = pd.read_parquet(directory / "events.parquet")
    stored["summary"] = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
    scenario = YAML(typ="safe", pure=True).load((directory / "scenario.yaml").read_text(encoding="utf-8"))
    ours = ("schema_version", "protocol", "agents", "challenges")
    result = Result(
        {name: value for name, value in content.items() if name not in ours},
        protocol_from_dict(content["protocol"]),
        {arm: _restore_run(arm, stored, content) for arm in [str(a) for a in stored["daily"]["arm"].values]},
        {
            (item["arm"], item["line"]): _restore_challenge(i, item, stored, content)
            for i, item in enumerate(content["challenges"])
        },
        scenario,
    )
    result.stored = stored
    result.complete = stored["daily"].sizes["subject"] == result.manifest["subjects"]
    return result


def _read_zarr(path: Path, group: str | None) -> xr.Dataset:
    import xarray as xr

    with xr.open_zarr(path, group=group, chunks=None, consolidated=False) as opened:
        dataset = opened.load()
    dataset.attrs = {}
    # labels as plain objects, as in a fresh result, whatever the reader made of them
    labels = {
        name: (dataset[name].dims, dataset[name].values.astype(object), dataset[name].attrs)
        for name in _LABELS
        if name in dataset.coords
    }
    return dataset.assign_coords(labels)


def _events_of(stored: dict[str, Any], arm: str, line: str, subjects: np.ndarray) -> dict[str, list[Any]]:
    table = stored["events"]
    rows = table[(table["arm"] == arm) & (table["challenge"] == line) & table["subject"].isin(subjects)]
    return {name: rows[name].tolist() for name in ("subject", "time_h", "kind", "lesion", "value")}


def _restore_run(arm: str, stored: dict[str, Any], content: dict[str, Any]) -> ArmRun:
    daily, series, exposure = (stored[name].sel(arm=arm) for name in ("daily", "series", "exposure"))
    subjects = daily["subject"].values
    exposure = exposure.sel(subject=subjects)
    given = exposure.sel(agent=content["agents"])
    return ArmRun(
        arm=arm,
        lesions=tuple(str(name) for name in daily["lesion"].values),
        agents=tuple(content["agents"]),
        subject_ids=subjects,
        daily_time=daily["day_h"].values,
        daily_lesion=np.stack([daily[item.name].values for item in LESION]),
        daily_body=np.stack([daily[item.name].values for item in BODY]),
        series_time=series["time_h"].values,
        series_lesion=np.stack([series[item.name].values for item in LESION]),
        series_body=np.stack([series[item.name].values for item in BODY]),
        field_time=stored["fields"]["field_time_h"].values,
        fields=np.stack([stored["fields"].sel(arm=arm)[item.name].values for item in FIELD]),
        exposure=np.stack([exposure["peak_nM"].values, exposure["auc_nM_h"].values], axis=2),
        dosed=given["dosed_fmol"].values,
        reached_plasma=given["reached_plasma_fmol"].values,
        events=_events_of(stored, arm, "", subjects),
    )


def _restore_challenge(i: int, item: dict[str, Any], stored: dict[str, Any], content: dict[str, Any]) -> ArmRun:
    """A rechallenge with its day values; the store keeps no finer series of it."""
    daily = stored["challenges"].isel(challenge=i)
    ids = daily["subject_id"].values
    count, days = int(np.sum(ids >= 0)), item["days"]
    daily = daily.isel(day=slice(None, days), subject=slice(None, count))
    lesion = np.stack([daily[v.name].sel(lesion=item["lesions"]).values for v in LESION])
    body = np.stack([daily[v.name].values for v in BODY])
    agents, places = tuple(content["agents"]), stored["exposure"].sizes["place"]
    return ArmRun(
        arm=item["arm"],
        lesions=tuple(item["lesions"]),
        agents=agents,
        subject_ids=ids[:count],
        daily_time=daily["time_h"].values,
        daily_lesion=lesion,
        daily_body=body,
        series_time=np.empty(0),
        series_lesion=np.empty((len(LESION), len(item["lesions"]), 0, 0)),
        series_body=np.empty((len(BODY), 0, 0)),
        field_time=np.empty(0),
        fields=np.empty((len(FIELD), len(item["lesions"]), 0, 0, 0)),
        exposure=np.full((places, len(agents) + 1, 2, count), np.nan),
        dosed=np.full((len(agents), count), np.nan),
        reached_plasma=np.full((len(agents), count), np.nan),
        events=_events_of(stored, item["arm"], item["line"], ids[:count]),
    )
