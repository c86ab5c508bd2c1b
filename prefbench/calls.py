"""What stands behind `prefbench.run`, `score`, `load`, `compare` and `report`, and what they return."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from prefbench.api import FailedSamplesError, Grid, PrefbenchError, Report, ReportContext, Suite
from prefbench.api.guard import guarded, module_of
from prefbench.api.near import unknown
from prefbench.files import make_folder
from prefbench.parameters import declared, restore
from prefbench.registry import construct, default, load_class
from prefbench.run.metric_names import check_metrics
from prefbench.run.prepare import Settings, check_names, load_suite, suite_of_run
from prefbench.run.watch import Watch

if TYPE_CHECKING:
    import pandas

    from prefbench.engines.chosen import Devices
    from prefbench.engines.ray_workers import Ray
    from prefbench.score.evaluator import Evaluator
    from prefbench.score.scored_folder import ScoredFolder

_NUMBERS: Mapping[str, tuple[int, float, str]] = {
    "run": (1, 1, "one run"),
    "runs": (1, math.inf, "one run or more"),
    "two runs": (2, math.inf, "at least two runs"),
    "runs or none": (0, math.inf, "any number of runs"),
    "none": (0, 0, "no runs"),
}
"""The least and the greatest number of runs that a report takes, and how a message says it."""


@dataclass(frozen=True)
class Run:
    """A run folder: what was drawn, and what it scored."""

    path: Path
    scored: ScoredFolder = field(repr=False)
    """The run as reports read it."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Metrics that the run offers too little for, with the reasons."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """Metrics that failed or lack what they need, with the reasons; scores of the others are kept."""
    suite: Suite | None = field(default=None, repr=False)
    """The suite that the call loaded for it."""
    is_partial: bool = False
    """Whether the call drew a part of it and other parts are not through, so that nothing was scored."""
    lacking: int = 0
    """Samples that other parts had not drawn then."""

    @classmethod
    def open(cls, path: Path) -> Run:
        """Reads a run folder. Raises `PrefbenchError` where `path` is none or holds no sample yet."""
        from prefbench.score.scored_folder import ScoredFolder

        return cls(path, ScoredFolder.open(path))

    @property
    def method(self) -> str:
        """The method's name as tables show it."""
        return self.scored.method

    @property
    def spec(self) -> Mapping[str, Any]:
        """All that decides which images are drawn: method, parameters, backbone, suite, split, seeds."""
        return self.scored.spec

    def samples(self) -> pandas.DataFrame:
        """One row per sample: user, case, prompt, seed, image digest, cost, and its value of every per-image metric."""
        return self.scored.samples_frame()

    def summary(self) -> pandas.DataFrame:
        """One row per metric column and kind of user: value, 95 % interval, number of users, samples and missing."""
        return self.scored.summary_frame()


@dataclass(frozen=True)
class ReportResult:
    """A report of some runs; everything shows the one result that was computed."""

    report: Report[Any] = field(repr=False)
    result: Any = field(repr=False)

    @property
    def tables(self) -> Sequence[Grid]:
        """The tables as a terminal shows them."""
        with self._asked("tables"):
            tables = list(self.report.tables(self.result))
            if odd := [one for one in tables if not isinstance(one, Grid)]:
                raise PrefbenchError(f"report {self.report.card.name!r}: tables holds a {type(odd[0]).__name__}")
        return tables

    @property
    def passed(self) -> bool:
        """Whether what the report checks is in order."""
        with self._asked("passed"):
            return bool(self.report.passed(self.result))

    def as_json(self) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        """Everything as plain data."""
        with self._asked("as_json"):
            content = self.report.as_json(self.result)
            json.dumps(content, allow_nan=False)
        return content

    def to_frame(self) -> pandas.DataFrame:
        """The rows of the plain data: all of it where it is a list, else its first list of rows."""
        import pandas

        return pandas.DataFrame(_rows(self.as_json()))

    def write(self, folder: Path | str) -> Sequence[Path]:
        """Writes page, data and figures into a folder and returns their paths.

        Raises `PrefbenchError` for a link within a run folder, which would lead the page out of it.
        """
        given, full = Path(folder), Path(folder).absolute()
        if full.is_symlink() and (full.parent / "run.json").is_file():
            make_folder(full, inside=full.parent)
        with self._asked("write"):
            paths = [Path(path) for path in self.report.write(self.result, full)]
        return [given / path.relative_to(full) if path.is_relative_to(full) else path for path in paths]

    def publish(self, results: Path | None = None) -> Sequence[Path]:
        """Writes what is committed below `results`, by default that folder of the clone, and returns the paths."""
        if not self.report.card.published:
            raise PrefbenchError(f"the report {self.report.card.name} is not published")
        with self._asked("publish"):
            return [Path(path) for path in self.report.publish(self.result, results)]

    def _asked(self, deed: str) -> guarded:
        return guarded(f"report {self.report.card.name!r}", deed, module=module_of(self.report))


def draw_run(
    choices: Mapping[str, Any],
    metrics: Sequence[str],
    allow_failures: float,
    watch: Watch,
    *,
    scores: bool,
    devices: Devices | None = None,
    shard: str | None = None,
    ray: Ray | None = None,
) -> Run:
    """Draws what `choices` for `Settings` name, and collects representations where a metric asks for them.

    Workers on `devices`, or of a cluster, share the work; without any this process does it. A `shard` is a part of it.
    Where the call `scores` too, metrics that the suite cannot have and weights that are absent are said before.

    Raises:
        FailedSamplesError: more samples, or users' representations, failed than were allowed.
    """
    from prefbench.engines.chosen import drawing, n_lacking
    from prefbench.engines.shards import Shard, is_free
    from prefbench.score.needs import check_needs

    settings = _settings(choices)
    if not (isinstance(allow_failures, int | float) and 0 <= allow_failures <= 1):
        raise PrefbenchError(f"allow_failures must be 0 to 1, got {allow_failures!r}")
    check_names(settings)
    check_metrics(metrics)
    with drawing(settings, devices, None if shard is None else Shard.parse(shard), ray) as run:
        if scores:
            check_needs(run.suite, metrics or run.suite.card.metrics)
        path = run.folder.path
        watch.header(run)
        drawn = run.execute(bar=watch.progress)
        watch.drawn(drawn, path)
        if drawn.failed > allow_failures * drawn.planned:
            watch.failures(path)
            raise _too_many_failed("samples", drawn.failed, drawn.planned)
        if (lacking := n_lacking(run)) or (shard is not None and not is_free(run.folder)):
            return replace(Run.open(path), suite=run.suite, lacking=lacking, is_partial=True)
        if run.wants_representations(metrics or run.suite.card.metrics):
            with watch.progress("represent", len(run.kinds), "user") as advance:
                states = run.represent(advance=advance)
            watch.represented(states)
            if len(states.failed) > allow_failures * states.users:
                raise _too_many_failed("representations of users", len(states.failed), states.users)
    return replace(Run.open(path), suite=run.suite)


def score_run(
    run: Run,
    metrics: Sequence[str],
    named: str | None,
    watch: Watch,
    devices: Devices | None = None,
    ray: Ray | None = None,
) -> Run:
    """Scores what is not scored yet; workers on `devices`, or of a cluster that shares the folder, share the work."""
    check_metrics(metrics)
    from prefbench.score.score_run import score_run as score_folder

    suite = suite_of([run], named)
    with (
        watch.status(f"score {run.path.name}"),
        _evaluating(run, metrics or suite.card.metrics, named, devices, ray) as made,
    ):
        scored = score_folder(run.path, metrics, suite, made)
    outcome = scored.scoring
    watch.refused({**outcome.refused, **outcome.broken, **outcome.idle})
    return Run(run.path, scored.run, outcome.refused, outcome.broken, suite)


@contextmanager
def _evaluating(
    run: Run, metrics: Sequence[str], named: str | None, devices: Devices | None, ray: Ray | None
) -> Iterator[Callable[[Suite, Sequence[str]], Evaluator]]:
    """What makes the evaluator: of this process, or one that workers share."""
    if ray is not None and not ray.collect:
        from prefbench.engines.shared_scoring import shared_scoring

        with ray.workers(devices) as actors, shared_scoring(actors, run.path, named, metrics) as evaluator_of:
            yield evaluator_of
        return
    if devices is None or ray is not None:
        from prefbench.score.evaluator import Evaluator

        yield Evaluator
        return
    from prefbench.engines.devices import devices_here, parse_devices
    from prefbench.engines.processes import process_workers
    from prefbench.engines.shared_scoring import shared_scoring

    workers = process_workers(devices_here(parse_devices(devices)))
    with shared_scoring(workers, run.path, named, metrics) as evaluator_of:
        yield evaluator_of


def measure_report(
    name: str, runs: Sequence[Run], options: Mapping[str, Any], context: ReportContext, suite: str | None
) -> ReportResult:
    """One result of one report. A suite that was named is an option too, where the report has one."""
    constructor = load_class("report", name)
    allowed = list(declared(constructor))
    for option in options:
        if option not in allowed:
            raise PrefbenchError(unknown(f"option of the report {name}", option, allowed or ["none"]))
    least, greatest, words = _NUMBERS[constructor.card.takes]
    if not least <= len(runs) <= greatest:
        raise PrefbenchError(f"the report {name} takes {words}, got {len(runs)}")
    named = {} if suite is None or "suite" not in allowed else {"suite": suite}
    report = construct(f"report {name!r}", constructor, restore(constructor, {**options, **named}))
    with guarded(f"report {name!r}", "measure", module=module_of(report)):
        return ReportResult(report, report.measure([run.scored for run in runs], context))


def _too_many_failed(what: str, failed: int, planned: int) -> FailedSamplesError:
    way_out = "the same call tries them again, allow_failures=SHARE goes on without them"
    return FailedSamplesError(f"{failed} of {planned} {what} failed; {way_out}")


def suite_of(runs: Sequence[Run], named: str | None) -> Suite:
    """The suite that runs were drawn for, loaded already or by its name; of no runs the one that is named."""
    if not runs:
        return load_suite(named or default("suite"))[0]
    return runs[0].suite or suite_of_run(runs[0].spec, named)


def _settings(choices: Mapping[str, Any]) -> Settings:
    """Settings, with the call as the command where no command was typed."""
    allowed = [one.name for one in fields(Settings)]
    for name in choices:
        if name not in allowed:
            raise PrefbenchError(unknown("setting of a run", name, allowed))
    settings = Settings(**choices)
    return settings if settings.command else replace(settings, command=_call(choices))


def _call(choices: Mapping[str, Any]) -> str:
    """The call in words, of what differs from the defaults."""
    method = choices["method"]
    words = [repr(method) if isinstance(method, str) else getattr(method, "__name__", f"{type(method).__name__}(...)")]
    defaults = {one.name: one.default for one in fields(Settings)}
    named = {name: value for name, value in choices.items() if name not in ("method", "out")}
    words += [f"{name}={value!r}" for name, value in named.items() if value != defaults[name]]
    return f"prefbench.run({', '.join(words)})"


def _rows(content: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    if not isinstance(content, Mapping):
        return content
    lists = (value for value in content.values() if isinstance(value, list) and value)
    return next((rows for rows in lists if isinstance(rows[0], Mapping)), [content])


def listed(what: str, given: Any) -> list[Any]:
    """One or several as a list. Raises `PrefbenchError` for what is neither."""
    if isinstance(given, Run | Path | str):
        return [given]
    if not isinstance(given, Iterable):
        raise PrefbenchError(f"{what} cannot be {shorten(repr(given), 60)}: give one, or several in a list")
    return sorted(given, key=str) if isinstance(given, set | frozenset) else list(given)


def path_of(what: str, given: Any) -> Path:
    """A path. Raises `PrefbenchError` for what is none."""
    if not isinstance(given, Path | str):
        raise PrefbenchError(f"{what} is given by the path of its folder, got {shorten(repr(given), 60)}")
    return Path(given)
