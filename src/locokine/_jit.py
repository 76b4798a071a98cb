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
from functools import lru_cache
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

# a processor that has wide vectors shall use them: the loops here are nothing but arithmetic
if "+avx512f" in numba.core.codegen.get_host_cpu_features().split(","):
    numba.config.CPU_FEATURES = numba.core.codegen.get_host_cpu_features() + ",-prefer-256-bit"

# numba knows that arguments may be declared not to overlap, but does not offer it as an option of its decorators
numba.core.cpu.CPUTargetOptions.noalias = numba.core.options.TargetOptions.Mapping("noalias")
for option in (
    # the compiler gives up proving that arrays do not overlap after a few pairs, and would write small loops out before
    # it asks whether they can be vectorised; and a law is one long chain, of which a processor has to do two at a time
    "runtime-memory-check-threshold=10000", "memory-check-merge-threshold=10000", "max-dependences=10000",
    "unroll-full-max-count=8", "force-vector-interleave=2",
):
    importlib.import_module("llvmlite.binding").set_option("locokine", f"-{option}")


def law(function: F) -> F:
    """Compile a rate law: pure scalar arithmetic, inlined wherever it is used."""
    return numba.njit(error_model="numpy", forceinline=True, fastmath=FREE)(function)


def coupling(function: F) -> F:
    """Compile a law of named tuples: inlined like any law, but without the wrapper for Python that unpacks them all."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return numba.njit(error_model="numpy", forceinline=True, fastmath=FREE, **options)(function)


def access(function: F) -> F:
    """Compile a reader or writer of named fields: inlined like a law, and only called by compiled code."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return numba.njit(error_model="numpy", forceinline=True, **options)(function)


FREE = {"contract", "arcp"}
"""What the compiler may change by a rounding: fuse a product and a sum, share the reciprocal of a common divisor."""


def _compiled(**options: Any) -> Callable[[F], F]:
    # arrays are not counted: a block has eighty, and each function that is given it would count them all up and down
    return numba.njit(error_model="numpy", nogil=True, fastmath=FREE, _nrt=False, **options)


def kernel(function: F) -> F:
    """Compile a loop over subjects: cached on disk, releases the interpreter's lock."""
    return _compiled(cache=True)(function)


def loop(function: F) -> F:
    """Compile a loop over subjects whose arrays do not overlap: the compiler need not prove it before it vectorises.

    Not for functions that are given a whole block: its `state` overlaps its parts.
    """
    return _compiled(noalias=True)(function)


def part(function: F) -> F:
    """Compile a piece of a `kernel` that only compiled code calls: without the wrapper for Python, which takes long."""
    return _compiled(no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


def inner(function: F) -> F:
    """Compile a `part` into the one place that calls it: a block has eighty arrays, and a call hands over each of them."""
    return _compiled(no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)(function)


def unit(function: F) -> F:
    """Compile a `part` that is cached on disk by itself, so that another process may compile it (`engine.together`)."""
    return _compiled(cache=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


@lru_cache
def callable_alone(function: F) -> F:
    """A `part` or `unit` that Python may call, for tests and measurements (compiled once more, with a wrapper).

    Of a unit the cache holds what has no wrapper, under the same name: what Python calls must not be mixed up with it.
    """
    cached = isinstance(function._cache, numba.core.caching.NullCache)  # type: ignore[attr-defined]
    return _compiled(cache=cached)(plain(function))  # type: ignore[return-value]


def exponent(x: Any) -> Any:
    """Whole number e with x = m 2^e, 1 <= m < 2, for positive normal x (compiled: from the bits, without a branch)."""
    return importlib.import_module("numpy").frexp(x)[1] - 1.0


def mantissa(x: Any) -> Any:
    """m of `exponent`."""
    return 2.0 * importlib.import_module("numpy").frexp(x)[0]


def _bits(name: str, build: Callable[[Any, Any, Any], Any]) -> Any:
    """Function of a float made from the bits of it."""
    extending, types = importlib.import_module("numba.extending"), numba.core.types
    ir = importlib.import_module("llvmlite.ir")

    def typed(typingctx: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = ir.IntType(64)
            return builder.bitcast(build(builder, builder.bitcast(args[0], word), word), ir.DoubleType())

        return types.float64(types.float64), generate

    typed.__name__ = name
    return extending.intrinsic(typed)


_mantissa = _bits("mantissa_bits", lambda b, x, word: b.or_(b.and_(x, word((1 << 52) - 1)), word(1023 << 52)))
# the exponent in the low bits of 2^52 is 2^52 + exponent + 1023
_exponent = _bits("exponent_bits", lambda b, x, word: b.or_(b.lshr(x, word(52)), word(1075 << 52)))


@numba.extending.overload(mantissa, jit_options={"forceinline": True})
def _compiled_mantissa(x: Any) -> Any:
    def made(x: Any) -> Any:
        return _mantissa(float(x))

    return made


@numba.extending.overload(exponent, jit_options={"forceinline": True})
def _compiled_exponent(x: Any) -> Any:
    def made(x: Any) -> Any:
        return _exponent(float(x)) - 4503599627371519.0

    return made


def compiled_before() -> bool:
    """Whether these sources were compiled on this machine before (else the first run takes a while)."""
    folder = cache_folder()
    return folder.exists() and any(folder.rglob("*.nbi"))


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the Python function behind a compiled law: works on arrays, and can be traced by other back ends."""
    return getattr(function, "py_func", function)
