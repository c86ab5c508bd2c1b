"""The command `prefbench`. Its verbs import nothing heavy before they work, so `--help` answers at once."""

from __future__ import annotations

import errno
import logging
from typing import Any

import click

from prefbench import __version__
from prefbench.api import PrefbenchError
from prefbench.cli.ablate import ablate
from prefbench.cli.audit import audit
from prefbench.cli.check import check
from prefbench.cli.compare import compare
from prefbench.cli.doctor import doctor
from prefbench.cli.list import list_
from prefbench.cli.options import command_line
from prefbench.cli.power import power
from prefbench.cli.publish import publish
from prefbench.cli.report import report
from prefbench.cli.run import run
from prefbench.cli.score import score
from prefbench.cli.show import show
from prefbench.cli.train import train
from prefbench.cli.validate import validate

VERBS = (run, score, report, compare, audit, power, validate, publish, show, list_, check, train, ablate, doctor)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)
"""A disk's reasons to refuse: room, quota, size, rights, a file in a folder's place. Shown as one line."""


class _Group(click.Group):
    """Shows mistakes as one line and exit code 2; `--debug` shows the traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (PrefbenchError, OSError) as error:
            message = _refusal(error) if isinstance(error, OSError) else str(error)
            if ctx.params.get("debug") or not message:
                raise
            click.echo(f"prefbench: {message}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo(f"\nstopped; the same command continues where it stopped:\n  {command_line()}", err=True)
            ctx.exit(130)


def _refusal(error: OSError) -> str:
    """What a disk refuses, in one line; empty for any other error."""
    where = f" {error.filename}" if error.filename else ""
    return f"cannot write{where}: {error.strerror}" if error.errno in _DISK else ""


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="prefbench")
@click.option("--debug", is_flag=True, help="Show tracebacks and debug messages.")
def main(debug: bool) -> None:
    """Measures preference-conditioned image generation on users that no method has seen."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s %(message)s")


for verb in VERBS:
    main.add_command(verb)

if __name__ == "__main__":
    main()
