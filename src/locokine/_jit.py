"""Compile settings, made before numba is imported.

Numba's own cache looks only at the file of the function it compiled: edit a rate law in another file and it would run
the old physics. The cache folder is therefore keyed by a hash of all sources that are compiled, of the names and
order of the parameters, and of the versions that matter.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

PACKAGE = Path(__file__).parent
F = TypeVar("F", bound=Callable[..., Any])


COMPILED = ("_jit.py", "biology", "body", "tissue", "engine")
"""What compiled code is made from, beside the names of the parameters."""


def source_hash(package: Path = PACKAGE) -> str:
    """Hash of all sources that compiled code depends on below `package` (hex, 16 characters).

    Of the library only the names and the order of its parameters count: values reach the code as data.
    """
    digest = hashlib.sha256()
    for part in COMPILED:
        path = package / part
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(str(file.relative_to(package)).encode())
            digest.update(file.read_bytes())
    for file in sorted((package / "parameters" / "library").glob("*.yaml")):
        definitions = file.read_text(encoding="utf-8").partition("\nentries:")[0]
        digest.update("\n".join(re.findall(r"^  (\w+):", definitions, re.MULTILINE)).encode())
    for text in (version("numba"), version("numpy"), sys.version, platform.machine()):
        digest.update(text.encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Folder of the compiled code of exactly these sources."""
    base = os.environ.get("LOCOKINE_CACHE_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.join(Path.home(), ".cache"), "locokine"
    )
    return Path(base) / source_hash()


os.environ["NUMBA_CACHE_DIR"] = str(cache_folder())

numba: Any = importlib.import_module("numba")  # only now: the cache folder has to be set first

numba.config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]  # in case numba was imported before us


def law(function: F) -> F:
    """Compile a rate law: pure scalar arithmetic, inlined wherever it is used."""
    return numba.njit(error_model="numpy", forceinline=True)(function)


def kernel(function: F) -> F:
    """Compile a loop over subjects: cached on disk, releases the interpreter's lock."""
    return numba.njit(error_model="numpy", nogil=True, cache=True)(function)


def compiled_before() -> bool:
    """Whether these sources were compiled on this machine before (else the first run takes a while)."""
    folder = cache_folder()
    return folder.exists() and any(folder.rglob("*.nbi"))


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the Python function behind a compiled law: works on arrays, and can be traced by other back ends."""
    return getattr(function, "py_func", function)
