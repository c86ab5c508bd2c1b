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
from prefbench.cli.report import report
from prefbench.cli.run import run
from prefbench.cli.score import score
from prefbench.cli.show import show
from prefbench.cli.train import train
from prefbench.cli.validate import validate

VERBS = (run, score, report, compare, audit, power, validate, show, list_, check, train, ablate, doctor)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)
"""What a disk refuses for: room, quota, size, rights, a file in a folder's place. Shown as one line, no traceback."""


class _Group(click.Group):
    """Shows mistakes as one line and exit code 2; `--debug` shows the traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PrefbenchError as error:
            if ctx.params.get("debug"):
                raise
            click.echo(f"prefbench: {error}", err=True)
            ctx.exit(2)
        except OSError as error:
            if ctx.params.get("debug") or error.errno not in _DISK:
                raise
            where = f" {error.filename}" if error.filename else ""
            click.echo(f"prefbench: cannot write{where}: {error.strerror}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo(f"\nstopped; the same command continues where it stopped:\n  {command_line()}", err=True)
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="prefbench")
@click.option("--debug", is_flag=True, help="Show tracebacks and debug messages.")
def main(debug: bool) -> None:
    """Measures preference-conditioned image generation on users that no method has seen."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s %(message)s")


<<<<<<< HEAD
for verb in VERBS:
    main.add_command(verb)
=======
def _command() -> str:
    import shlex

    return shlex.join(["prefbench", *sys.argv[1:]])


@main.command()
@click.option("--method", required=True, help="A registered method, or path/to/file.py:Class.")
@click.option("--suite", default="picturebook", show_default=True)
@click.option("--split", default="test", show_default=True, help="train, scorer, val or test.")
@click.option("--control", help="Wrap the method: other-user, flipped.")
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the method.")
@click.option("-s", "--suite-parameter", "suite_parameters", multiple=True, metavar="NAME=VALUE")
@click.option("--backbone", help="A registered backbone or a folder; default: the suite's.")
@click.option("--steps", type=click.IntRange(1), help="Solver steps; default: the backbone's.")
@click.option("--guidance", type=float, help="Guidance scale; default: the backbone's.")
@click.option("--device", help="cpu, cuda, mps; default: the best there is.")
@click.option("--dtype", help="float32, float16, bfloat16; default: by device.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--samples", type=click.IntRange(1), help="Samples a case; default: the suite's.")
@click.option("--users", type=int, help="Only the first so many users.")
@click.option("--batch", type=click.IntRange(1), default=100, show_default=True, help="Samples drawn together.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option("--allow-failures", type=click.FloatRange(0, 1), default=0.0, show_default=True, metavar="SHARE")
@click.option("--metrics", help="Comma-separated; default: the suite's.")
@click.option("--no-score", is_flag=True, help="Draw only.")
@as_json
def run(allow_failures: float, metrics: str | None, no_score: bool, as_json: bool, **options: Any) -> None:
    """Draw for a split's users, score what was drawn, and report. The same command again continues."""
    from prefbench.cli import screen as display
    from prefbench.run.prepare import (
        Settings,
        check_metrics,
        execute,
        execute_represent,
        prepare,
        wants_representations,
    )

    check_metrics(_names(metrics))
    screen = display.Screen(quiet=as_json)
    prepared = prepare(Settings(command=_command(), **options))
    screen.header(prepared)
    with screen.progress("draw", prepared.n_samples) as advance:
        result = execute(prepared, advance=advance)
    path = prepared.folder.path
    screen.drawn(result, path)
    if result.failed > allow_failures * result.planned:
        screen.failures(path)
        raise SystemExit(1)
    if wants_representations(prepared, _names(metrics) or prepared.suite.card.metrics):
        with screen.progress("represent", len(prepared.kinds), "user") as advance:
            found = execute_represent(prepared, advance=advance)
        screen.represented(found)
        if len(found.failed) > allow_failures * found.users:
            raise SystemExit(1)
    complete = True
    if no_score:
        screen.next(f"prefbench score {path}")
    else:
        complete = _score_and_report([path], metrics, screen, suite=prepared.suite)
    if as_json:
        click.echo(json.dumps([] if no_score else display.rows_as_json([path]), indent=1))
    raise SystemExit(0 if complete else 1)


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--metrics", help="Comma-separated; default: the suite's.")
@click.option(
    "--suite", help="The suite, where it is a file's class: a run folder alone never makes prefbench load code."
)
@as_json
def score(runs: tuple[Path, ...], metrics: str | None, suite: str | None, as_json: bool) -> None:
    """Score run folders; what is scored already is not repeated."""
    from prefbench.cli import screen as display

    complete = _score_and_report(runs, metrics, display.Screen(quiet=as_json), named=suite)
    if as_json:
        click.echo(json.dumps(display.rows_as_json(runs), indent=1))
    raise SystemExit(0 if complete else 1)


def _score_and_report(
    runs: Any, metrics: str | None, screen: Any, *, suite: Any = None, named: str | None = None
) -> bool:
    """Scores and reports each run; whether every metric that was asked for by name could be computed."""
    from prefbench.run.folder import RunFolder
    from prefbench.run.prepare import check_metrics, suite_of_run
    from prefbench.score.scoring import score_run

    check_metrics(_names(metrics))
    complete = True
    for path in runs:
        spec = RunFolder(path).description()["spec"]
        if suite is None or suite.digest != spec["suite_digest"]:
            suite = suite_of_run(spec, named)
        with screen.status(f"score {path.name}"):
            scoring = score_run(path, _names(metrics), suite).scoring
        with RunFolder(path).locked():
            screen.report(path, suite)
        screen.refused({**scoring.refused, **scoring.idle})
        complete = complete and not (metrics and scoring.refused)
    return complete


def _names(metrics: str | None) -> list[str]:
    return [name.strip() for name in (metrics or "").split(",") if name.strip()]


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the report; default: report/ in the first run.")
@click.option("--baseline", default="prompt-only", show_default=True, help="The method that differences are to.")
@click.option("--publish", is_flag=True, help="Write the runs' results into the leaderboard.")
@click.option("--suite", help="The suite, where it is a file's class.")
@as_json
def report(
    runs: tuple[Path, ...], out: Path | None, baseline: str, publish: bool, suite: str | None, as_json: bool
) -> None:
    """Tables, figures and galleries of one or more scored runs."""
    from prefbench.cli import screen as display

    folders = display.Screen(quiet=as_json).compare(runs, out, publish=publish, named=suite, baseline=baseline)
    if as_json:
        click.echo(json.dumps(display.rows_as_json(folders, baseline=baseline), indent=1))


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--baseline", default="prompt-only", show_default=True, help="The method that all others are held against."
)
@click.option("--pairs", type=click.Choice(["baseline", "all"]), default="baseline", show_default=True)
@click.option("--metrics", help="Comma-separated, parts too (utility/silent); default: all that every run has.")
@click.option("--by", help="The metric of ranks and strengths; default: utility, else the first of preference.")
@click.option("--swaps", type=click.IntRange(1), default=499, show_default=True, help="Label swaps, metrics over sets.")
@click.option("--suite", help="The suite, where it is a file's class.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the numbers as JSON.")
@as_json
def compare(
    runs: tuple[Path, ...], pairs: str, metrics: str | None, suite: str | None, out: Path | None, as_json: bool,
    **choices: Any,
) -> None:  # fmt: skip
    """Test scored runs against each other: paired contrasts, effect sizes, ranks, strengths, and what turns them."""
    from prefbench.cli import screen as display
    from prefbench.cli import verdicts

    choices |= {"all_pairs": pairs == "all", "metrics": _names(metrics)}
    screen = display.Screen(quiet=as_json)
    found = verdicts.compare(screen, runs, out, named=suite, command=_command(), **choices)
    if as_json:
        click.echo(json.dumps(found, indent=1))


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--suite", help="The suite, where it is a file's class.")
@as_json
def audit(runs: tuple[Path, ...], suite: str | None, as_json: bool) -> None:
    """Look for leaks, copies and slips in run folders; exit code 1 where one is found.

    Users, rows, seeds, prompts, training data, images, scores: each is held against the suite. The first run of a suite
    takes a minute or two for 100,000 pictures, further ones seconds.
    """
    from prefbench.cli import screen as display
    from prefbench.cli import verdicts

    found = verdicts.audit(display.Screen(quiet=as_json), runs, named=suite)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    raise SystemExit(0 if all(run["passed"] for run in found) else 1)


_SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@main.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--metric", help="A metric over images; default: utility, else the first of preference.")
@click.option("--baseline", default="prompt-only", show_default=True, help="The method that differences are to.")
@click.option("--effect", "effects", multiple=True, type=click.FloatRange(0, min_open=True), help="May be repeated.")
@click.option("--power", type=_SHARE, default=0.8, show_default=True)
@click.option("--alpha", type=_SHARE, default=0.05, show_default=True)
@click.option("--prompts", type=click.IntRange(1), help="Prompts a user in the study; default: the pilot's.")
@click.option("--samples", type=click.IntRange(1), help="Samples a prompt in the study; default: the pilot's.")
@click.option(
    "--accuracy", type=click.FloatRange(0.5, 1, min_open=True), default=1.0, show_default=True,
    help="How often the metric orders two images as their user does: effects are true ones, of which it shows less.",
)  # fmt: skip
@as_json
def power(
    runs: tuple[Path, ...], effects: tuple[float, ...], power: float, alpha: float, accuracy: float, as_json: bool,
    **choices: Any,
) -> None:  # fmt: skip
    """Users that a study needs, from a pilot: one scored run, or several held against a baseline."""
    from prefbench.cli import screen as display
    from prefbench.cli import verdicts

    question = {"effects": effects, "power": power, "alpha": alpha, "accuracy": accuracy}
    found = verdicts.power(display.Screen(quiet=as_json), runs, question, **choices)
    if as_json:
        click.echo(json.dumps(found, indent=1))


@main.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--suite", default="picturebook", show_default=True, help="One that knows the truth.")
@click.option("--metrics", help="Comma-separated, utility among them; default: all that are registered.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/validation"), show_default=True)
@click.option("--publish", is_flag=True, help="Write the report into the package's reports too.")
@as_json
def validate(runs: tuple[Path, ...], suite: str, metrics: str | None, out: Path, publish: bool, as_json: bool) -> None:
    """Measure the metrics against a known truth: systems that personalise so much, nuisances, identical methods.

    RUNS are scored runs of the suite whose true ranking the metrics must find. The same command again continues.
    """
    from prefbench.cli import screen as display
    from prefbench.cli import verdicts

    screen = display.Screen(quiet=as_json)
    found = verdicts.validate(
        screen, runs, out, metrics=_names(metrics), suite=suite, publish=publish, command=_command()
    )
    if as_json:
        click.echo(json.dumps(found, indent=1))


@main.command()
@click.argument("what")
@click.argument("name", required=False)
@click.option("--measure", metavar="SUITE", help="Measure a scorer on the suite's test users and keep its figures.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw a scorer's reliability as PNG.")
@as_json
def show(what: str, name: str | None, measure: str | None, plot: Path | None, as_json: bool) -> None:
    """Show a run folder, or the card of a method, metric, scorer, suite or backbone: `show method prompt-only`."""
    from prefbench.cli import screen as display
    from prefbench.cli import verdicts

    if what in ("scorer", "scorers") and name is not None:
        content = verdicts.scorer(display.Screen(quiet=as_json), name, measure, plot)
        if as_json:
            click.echo(json.dumps(content, indent=1))
    elif measure is not None or plot is not None:
        raise PrefbenchError(f"--measure and --plot are for a scorer: prefbench show scorer NAME, not {what}")
    else:
        display.show(what, name, as_json=as_json)


@main.command(name="list")
@click.argument("kind", required=False)
@click.option("--paths", is_flag=True, help="Where each is defined, as file:line.")
@as_json
def list_(kind: str | None, paths: bool, as_json: bool) -> None:
    """List what is registered: methods, metrics, scorers, suites, backbones, extractors, controls, trainers."""
    from prefbench.cli import screen as display

    display.list_registered(kind, paths=paths, as_json=as_json)


@main.command()
@click.argument("kind", type=click.Choice(["method", "metric", "scorer", "suite", "weights"]))
@click.argument("name")
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE")
@as_json
def check(kind: str, name: str, parameters: tuple[str, ...], as_json: bool) -> None:
    """Check a method, metric or scorer for conformance, prove a suite's splits disjoint, or measure shipped weights."""
    from prefbench.cli import screen as display

    if kind == "weights":
        raise SystemExit(0 if display.check_weights(name, as_json=as_json) else 1)
    from prefbench import check

    raise SystemExit(0 if check.check(kind, name, parameters, as_json=as_json) else 1)


@main.command()
@click.argument("name")
@click.option("--images", type=click.IntRange(min=1), help="Samples to see in all; default: the trainer's.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/train"), show_default=True)
@click.option("--install", is_flag=True, help="Copy the result into the package's weights.")
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Of the trainer.")
@as_json
def train(name: str, out: Path, parameters: tuple[str, ...], as_json: bool, **choices: Any) -> None:
    """Train a method or a miniature; the same command again continues. `prefbench list trainer` names them."""
    from prefbench.parameters import bind, parse_pairs
    from prefbench.registry import load
    from prefbench.training.requests import TrainRequest

    trainer = load("trainer", name)
    bound = bind(trainer, parse_pairs(parameters))
    card = trainer(TrainRequest(out / name, **choices), **bound)
    if as_json and card is not None:  # one process of several has it
        click.echo(json.dumps(card, indent=1))


@main.command()
@click.argument("name")
@click.option("--images", type=click.IntRange(min=1), help="What every variant is trained on; default: the trainer's.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/train"), show_default=True)
@click.option("--suite", help="Default: picturebook.")
@click.option("--backbone", help="A registered backbone or a folder; default: the suite's.")
@click.option("--split", default="val", show_default=True, help="Whose users are drawn for.")
@click.option("--users", type=click.IntRange(1), help="Only the first so many users.")
@click.option("--samples", type=click.IntRange(1), default=1, show_default=True, help="Samples a case.")
@click.option("--publish", is_flag=True, help="Write the result into the package's reports.")
@as_json
def ablate(name: str, out: Path, publish: bool, as_json: bool, **choices: Any) -> None:
    """Train and draw a method with one part left out at a time. The same command again continues.

    Starts from the training in --out, whose last stage it repeats for every variant.
    """
    from prefbench.cli import screen as display

    display.ablate(name, out / name, publish=publish, as_json=as_json, command=_command(), **choices)


@main.command()
@as_json
def doctor(as_json: bool) -> None:
    """Versions, device, memory, folders, and which weights are present or how to get them."""
    from prefbench.cli import screen as display

    display.doctor(as_json=as_json)

>>>>>>> e91a3aa (The summary is the hand-over: computed once when a run is scored, stored with typed headers and rows, and read by every report)

if __name__ == "__main__":
    main()
