"""The command `prefbench`. Its verbs import nothing heavy before they work, so `--help` answers at once."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
import threading
from typing import Any

import click

from prefbench import __version__
from prefbench.api import PrefbenchError, plain
from prefbench.api.guard import on_second_interrupt, reason, still_running
from prefbench.cli.ablate import ablate
from prefbench.cli.audit import audit
from prefbench.cli.check import check
from prefbench.cli.compare import compare
from prefbench.cli.convert import convert
from prefbench.cli.doctor import doctor
from prefbench.cli.export import export
from prefbench.cli.list import list_
from prefbench.cli.options import command_line
from prefbench.cli.power import power
from prefbench.cli.publish import publish
from prefbench.cli.report import report
from prefbench.cli.run import run
from prefbench.cli.score import score
from prefbench.cli.show import show
from prefbench.cli.text import harmless_messages, line_of, tell
from prefbench.cli.train import train
from prefbench.cli.validate import validate
from prefbench.cli.view import view

VERBS = (
    run, score, report, view, compare, audit, power, validate, publish, show, list_,
    check, train, convert, export, ablate, doctor,
)  # fmt: skip
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DISK = (*_FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)
_NAMES = (errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR, errno.EEXIST)
"""A disk's reasons to refuse: room, quota, size, rights, a file in a folder's place; and names. Shown as one line."""

_GRACE = 5
"""Seconds that threads of plug-ins have to end by themselves."""


def _open_closed_streams() -> None:
    """Leads standard streams that the caller closed nowhere, so that no file of ours takes their place."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            setattr(sys, name, os.fdopen(number, "w" if descriptor else "r", encoding="utf-8", closefd=False))


class _Group(click.Group):
    """Shows mistakes as one line and exit code 2; `--debug` shows the traceback."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Ends with the command's exit code even where plug-ins left threads that would never let it end."""
        _open_closed_streams()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a terminal of another encoding than UTF-8 lacks some signs
                stream.reconfigure(errors="replace")
        try:
            return super().main(*args, **extra)
        except SystemExit as end:
            if left := still_running():
                tell(f"prefbench: left running and ended: {'; '.join(left)}")
                code = end.code if isinstance(end.code, int) else 1
                killer = threading.Timer(_GRACE, os._exit, (code,))
                killer.daemon = True
                killer.start()
            raise

    def invoke(self, ctx: click.Context) -> Any:
        on_second_interrupt(_stop)
        if not ctx.params.get("debug"):
            sys.unraisablehook, threading.excepthook = _log_ignored, _log_ignored
        try:
            return super().invoke(ctx)
        except (PrefbenchError, OSError) as error:
            message = _refusal(error) if isinstance(error, OSError) else str(error)
            if ctx.params.get("debug") or not message:
                raise
            tell(f"prefbench: {message}")
            ctx.exit(2)
        except click.ClickException as error:  # it may quote the name of a file
            vars(error)["message"] = line_of(error.message)
            raise
        except KeyboardInterrupt:
            _tell_stopped("stopped")
            ctx.exit(130)


def _log_ignored(happened: Any) -> None:
    """One line for an exception that ends nothing: of a `__del__`, or of a thread that a plug-in started."""
    error = happened.exc_value
    logging.getLogger(__name__).warning("ignored %s", "an exception" if error is None else reason(error))


def _stop() -> None:
    """The end of a command whose plug-in goes on after Ctrl-C: what was stored is kept."""
    _tell_stopped("ended")
    os._exit(130)


def _tell_stopped(how: str) -> None:
    click.echo(err=True)
    tell(f"{how}; the same command continues where it stopped:")
    tell(command_line())


def _refusal(error: OSError) -> str:
    """What a disk refuses, in one line; empty for any other error."""
    where = f" {error.filename}" if error.filename else ""
    if error.errno in _NAMES:
        return f"cannot use {plain(where, 200)}: {error.strerror}"
    way_on = "; make room and give the same command again" if error.errno in _FULL else ""
    return f"cannot write{where}: {error.strerror}{way_on}" if error.errno in _DISK else ""


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="prefbench")
@click.option("--debug", is_flag=True, help="Show tracebacks and debug messages.")
def main(debug: bool) -> None:
    """Measures preference-conditioned image generation on users that no method has seen."""
    harmless_messages(debug=debug)


for verb in VERBS:
    main.add_command(verb)

if __name__ == "__main__":
    main()
