"""The `locokine` command: what it is called with, and how every way of ending is told.

Exit status: 0 done; 1 a fault of ours (the traceback is written to a file); 2 bad input or a folder that cannot be
used (one line says what and what to do); 130 interrupted or told to end (a run goes on where it stopped).
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from locokine.cli.calibrate import calibrate
from locokine.cli.check import check, schema
from locokine.cli.explain import explain
from locokine.cli.export import export
from locokine.cli.new import new
from locokine.cli.parameters import audit, parameters_app
from locokine.cli.plan import optimise, power
from locokine.cli.run import run
from locokine.cli.sensitivity import sensitivity
from locokine.cli.show import RESEARCH_USE, report
from locokine.cli.slide import slide
from locokine.cli.tables import tables
from locokine.cli.validate import validate
from locokine.errors import InputError

DONE, FAULT, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="locokine",
    help=f"Simulate local and systemic interleukin-2 in tumour-bearing hosts, and see why.\n\n{RESEARCH_USE}",
    epilog="Start with: locokine new mouse, then locokine check mouse.yaml, then locokine run mouse.yaml --out DIR",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = (new, check, run, report, slide, tables, export, validate, calibrate, explain, sensitivity, power, optimise, audit,
            schema)
for command in COMMANDS:
    app.command(epilog=RESEARCH_USE)(command)
app.add_typer(parameters_app, name="parameters", epilog=RESEARCH_USE)


def _version(wanted: bool) -> None:
    if wanted:
        from locokine import __version__

        typer.echo(f"locokine {__version__}")
        typer.echo(RESEARCH_USE)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (the installed script passes it to the shell).

    Parameters
    ----------
    arguments
        Words after `locokine`; those of the process by default.
    """
    if threading.current_thread() is threading.main_thread():  # told to end, a run ends as when it is interrupted
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        status = app(args=None if arguments is None else list(arguments), prog_name="locokine", standalone_mode=False)
        sys.stdout.flush()
    except InputError as error:
        return _say(str(error), BAD_INPUT)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", INTERRUPTED)
    except OSError as error:
        return _environment(error)
    except MemoryError:
        return _say("memory: there is not enough; ask for fewer --subjects or fewer shells", BAD_INPUT)
    except Exception as error:
        return _usage(error) if hasattr(error, "format_message") else _fault(error)
    return status if isinstance(status, int) else DONE


def _say(message: str, status: int) -> int:
    """One line on stderr."""
    typer.echo(f"locokine: {' '.join(message.split())}", err=True)
    return status


def _usage(error: Exception) -> int:
    """Report an unknown command, option or value, in the same form as bad input."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "locokine"
    message = str(error.format_message()).replace("Value error, ", "").strip().rstrip(".?")  # type: ignore[attr-defined]
    if not message:  # no arguments at all: the help text was the answer
        return BAD_INPUT
    return _say(f"{message}; `{command} --help` lists what there is", BAD_INPUT)


_REMEDIES = {
    errno.ENOSPC: ("the disk is full", "free some space and run the same command again: what was finished is kept"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run the same command again"),
    errno.EACCES: ("permission denied", "choose a file or folder that you may use"),
    errno.EPERM: ("not permitted", "choose a file or folder that you may use"),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.ENOENT: ("no such file or folder", "check the spelling"),
    errno.ENOTDIR: ("a part of this path is a file, not a folder", "choose another folder"),
    errno.EISDIR: ("this is a folder, not a file", "name a file"),
    errno.EEXIST: ("a file of this name is in the way", "choose another folder"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
}


def _environment(error: OSError) -> int:
    """Report what the machine refused: the user can mend it, we cannot."""
    if error.errno == errno.EPIPE:  # the reader went away (`locokine parameters | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    if error.errno not in _REMEDIES:
        return _fault(error)
    problem, remedy = _REMEDIES[error.errno]
    return _say(str(InputError(str(error.filename or "disk"), problem, remedy)), BAD_INPUT)


def _fault(error: Exception) -> int:
    """Report an error of ours: short on stderr, whole in a file."""
    text = "".join(traceback.format_exception(error))
    name = f"locokine-fault-{datetime.now():%Y%m%d-%H%M%S}.txt"
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        try:
            (folder / name).write_text(text, encoding="utf-8")
        except OSError:
            continue
        where = f"the full traceback is in {folder / name}"
        break
    else:
        where = text
    summary = f"{type(error).__name__}: {error}".splitlines()[0]
    return _say(f"a fault of locokine, not of your input ({summary}); {where}; please report it", FAULT)
