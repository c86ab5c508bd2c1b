"""prefbench: a benchmark for preference-conditioned image generation.

Six calls do what the command line does:

    import prefbench

    run = prefbench.run("prompt-only", users=3)  # draws and scores; the same call again repeats nothing
    run.samples(), run.summary()  # DataFrames
    prefbench.compare(["runs/one", "runs/another"]).to_frame()
    prefbench.report(["runs/one", "runs/another"]).write("report")

Nothing heavy is imported before a call needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

# Loaded before the calls of the same names are defined: loading a package sets it as an attribute of this one.
import prefbench.run
import prefbench.score

if TYPE_CHECKING:
    from prefbench.api import Method
    from prefbench.calls import ReportResult, Run
    from prefbench.engines.ray_workers import Ray
    from prefbench.run.watch import Watch

    Runs: TypeAlias = Run | Path | str | Iterable[Run | Path | str]

__version__ = "0.2.0"
__all__ = ["compare", "load", "report", "run", "score", "score_images"]

if not Path(__file__).with_name("methods").is_dir():
    # A checkout: its own plug-ins stand beside the package, whichever checkout is installed.
    __path__.append(str(Path(__file__).parents[1]))


def run(
    method: str | type[Method] | Method,
    *,
    suite: str | None = None,
    split: str = "test",
    users: int | None = None,
    out: Path | str = "runs",
    metrics: str | Iterable[str] = (),
    score: bool = True,
    allow_failures: float = 0.0,
    devices: str | int | Iterable[str] | None = None,
    shard: str | None = None,
    ray: Ray | None = None,
    watch: Watch | None = None,
    **settings: Any,
) -> Run:
    """Draws for the users of a split and scores what was drawn. The same call again continues, or repeats nothing.

    Args:
        method: a registered name, `path/to/file.py:Class`, a class derived from `prefbench.api.Method`, or an instance
            of one. An instance must keep each parameter of its constructor as an attribute, `x` or `_x`.
        suite: a registered name or `path/to/file.py:Class`; None for the default suite.
        split: `train`, `scorer`, `val` or `test`.
        users: only the first so many users of the split; None for all.
        out: the folder that the run's own folder is made in.
        metrics: one name or several; the suite's where none are named. All are known before anything is drawn.
        score: False draws only.
        allow_failures: the share of samples, and of users' representations, that may fail.
        devices: what works at it at once, a process per device: `8` accelerators, `"all"`, `"cuda:0,cuda:2"`, or
            `"cpu:2"` for two processes on the CPU. A script asks for this below `if __name__ == "__main__"`.
        shard: `"3/16"` draws the third of 16 fixed parts, beside other processes that share the folder. It is scored
            by the part that finds all samples there, else by the same call without a shard.
        ray: a Ray cluster, `prefbench.engines.ray_workers.Ray`, whose actors work at it in place of processes.
        watch: is told how the run goes; `prefbench.cli.screen.Screen()` shows it.
        settings: the other fields of `prefbench.run.prepare.Settings`: `parameters` of the method and
            `suite_parameters` (by name), `control`, `backbone`, `steps`, `guidance`, `device`, `dtype`, `seed`,
            `samples` per case, `batch`.

    Returns:
        The run; `samples()` and `summary()` are DataFrames.

    Raises:
        PrefbenchError: any mistake, in one line that says what to do; more failures than were allowed.

    Example:
        >>> run = prefbench.run("prompt-only", users=3)  # doctest: +SKIP
        >>> run.summary().query("kind == 'all'")[["metric", "value", "low", "high"]]  # doctest: +SKIP
    """
    from prefbench.calls import draw_run, listed, path_of
    from prefbench.run.watch import Watch

    named, metrics = {} if suite is None else {"suite": suite}, listed("metrics", metrics)
    settings |= {"method": method, "split": split, "users": users, "out": path_of("out", out), **named}
    workers: dict[str, Any] = {"devices": devices, "ray": ray}
    drawn = draw_run(settings, metrics, allow_failures, watch or Watch(), scores=score, shard=shard, **workers)
    if not score or drawn.is_partial:
        return drawn
    return prefbench.score(drawn, metrics, suite=suite, watch=watch, **workers)


def score(
    run: Run | Path | str,
    metrics: str | Iterable[str] = (),
    *,
    suite: str | None = None,
    devices: str | int | Iterable[str] | None = None,
    ray: Ray | None = None,
    watch: Watch | None = None,
) -> Run:
    """Scores a run; what is scored already is not repeated.

    Args:
        run: a run or its folder.
        metrics: one name or several; the suite's where none are named.
        suite: where the run's suite is a file's class, `path/to/file.py:Class`: a run folder alone loads no code.
        devices: what works at it at once, as of `run`.
        ray: a Ray cluster whose nodes share the run folder, as of `run`.
        watch: is told how it goes.

    Returns:
        The run with its numbers; `refused` names the metrics that it offers too little for.

    Raises:
        PrefbenchError: an unknown metric, a folder that is no run or was drawn for another suite.

    Example:
        >>> prefbench.score("runs/picturebook-test-ours-c5b2a9d1", ["utility", "fid"]).refused  # doctest: +SKIP
        {}
    """
    from prefbench.calls import listed, score_run
    from prefbench.run.watch import Watch

    return score_run(load(run), listed("metrics", metrics), suite, watch or Watch(), devices, ray)


def score_images(
    images: Path | str,
    *,
    suite: str | None = None,
    name: str | None = None,
    card: Path | str | None = None,
    out: Path | str = "runs",
    metrics: str | Iterable[str] = (),
    allow_missing: bool = False,
    watch: Watch | None = None,
    **settings: Any,
) -> Run:
    """Stores images that something else drew as a run, and scores it. No backbone is loaded; the same call goes on.

    Args:
        images: of one method: a table with the columns `user`, `prompt` or `case`, and `image`, a path relative to the
            table; or a folder `<user>/<case>-<n>.png`. `prefbench export cases` writes what to draw.
        suite: a registered name, a folder or `path/to/file.py:Class`; None for the default suite.
        name: of the method; by default that on its card, or of the file or folder.
        card: a `card.toml`; by default the one in the folder, or beside the table.
        out: the folder that the run's own folder is made in.
        metrics: one name or several; the suite's where none are named.
        allow_missing: goes on where an image is missing or cannot be read; each is a failed sample.
        watch: is told how it goes.
        settings: `split`, `users`, `seed` and `suite_parameters` as of `run`; `samples`, how many images a case has.

    Returns:
        The run with its numbers.

    Raises:
        PrefbenchError: any mistake, in one line; an image that is missing, cannot be read, or is there twice.

    Example:
        >>> run = prefbench.score_images("drawn", suite="mine", name="my method")  # doctest: +SKIP
    """
    from prefbench.calls import Run, listed, path_of
    from prefbench.run.watch import Watch
    from prefbench.score.given_images import read_given, store_given

    own, metrics, watch = card and path_of("card", card), listed("metrics", metrics), watch or Watch()
    settings |= {"suite": suite, "out": path_of("out", out)}
    given = read_given(settings, path_of("images", images), name, own or None, watch)
    path = store_given(given, metrics, watch, allow_missing=allow_missing)
    return prefbench.score(Run.open(path), metrics, suite=suite, watch=watch)


def load(path: Run | Path | str) -> Run:
    """A run folder that was drawn before. Raises `PrefbenchError` where `path` is none or holds no sample yet.

    Example:
        >>> prefbench.load("runs/picturebook-test-ours-c5b2a9d1").samples()["utility"].mean()  # doctest: +SKIP
    """
    from prefbench.calls import Run, path_of

    return path if isinstance(path, Run) else Run.open(path_of("a run", path))


def compare(runs: Runs, baseline: str | None = None, **options: Any) -> ReportResult:
    """Tests scored runs against each other: paired contrasts with effect sizes, ranks and strengths.

    Args:
        runs: at least two of them, or their folders, in any iterable; of one suite, split, seed and backbone.
        baseline: the method that the others are compared with; None for the report's default.
        options: of the report `contrasts`, such as `pairs="all"` or `metrics=("fid",)`; and those of `report`.

    Returns:
        `to_frame()` has one row per metric and pair: both values, difference with 95 % interval, p values.

    Raises:
        PrefbenchError: runs that do not belong together or lack a metric.

    Example:
        >>> contrasts = prefbench.compare(["runs/one", "runs/another"], baseline="prompt-only")  # doctest: +SKIP
        >>> contrasts.to_frame()[["metric", "method", "difference", "low", "high", "p_holm"]]  # doctest: +SKIP
    """
    return report(runs, "contrasts", **options | ({} if baseline is None else {"baseline": baseline}))


def report(
    runs: Runs = (),
    name: str = "table",
    *,
    suite: str | None = None,
    work: Path | str = "runs",
    command: str = "",
    log: Callable[[str], object] = lambda _: None,
    watch: Watch | None = None,
    **options: Any,
) -> ReportResult:
    """Measures one report of scored runs, once; tables, page and plain data all show the same result.

    Args:
        runs: runs or their folders, as many as the report takes.
        name: a registered report (`prefbench list reports`), or `path/to/file.py:Class`.
        suite: where the runs' suite is a file's class, `path/to/file.py:Class`.
        work: where a report that draws or trains on its own keeps what it can resume from.
        command: what a page names as the way to repeat it.
        log: is told in one line what begins.
        watch: is told how far long stages are.
        options: of the report, by name.

    Returns:
        The result: `to_frame()`, `tables`, `as_json()`, `write(folder)`.

    Raises:
        PrefbenchError: an unknown report or option, too few or too many runs, and what the report refuses.

    Example:
        >>> page = prefbench.report(["runs/one", "runs/another"])  # doctest: +SKIP
        >>> page.write("report")[0]  # doctest: +SKIP
        PosixPath('report/report.md')
    """
    from prefbench.api import ReportContext
    from prefbench.calls import listed, measure_report, path_of, suite_of
    from prefbench.run.watch import Watch

    opened = [load(one) for one in listed("runs", runs)]
    bar = (watch or Watch()).progress
    context = ReportContext(lambda: suite_of(opened, suite), command, path_of("work", work), log, bar)
    return measure_report(name, opened, options, context, suite)
