"""The one module that shows things: header, progress, tables, next command. Plain lines when not on a terminal."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from prefbench.api import PrefbenchError, Suite
from prefbench.registry import BUILT_IN, Kind, entry, names, unknown

if TYPE_CHECKING:
    from prefbench.check.findings import Finding
    from prefbench.run.draw import RunResult
    from prefbench.run.prepare import Prepared
    from prefbench.run.states import CollectedStates
    from prefbench.score.summary import Run

logger = logging.getLogger(__name__)
_FAILURES_SHOWN = 5
_ROWS_SHOWN = 10
_SHARED = (
    "suite_digest", "split", "seed", "backbone_digest", "users", "samples_per_case", "steps", "guidance", "dtype",
)  # fmt: skip
"""What a run must share with the frame that it is shown beside."""


class Screen:
    """What a verb shows while it works. `quiet` keeps standard output free for JSON: all goes to standard error."""

    def __init__(self, *, quiet: bool = False) -> None:
        # Paths and commands are copied: the terminal may wrap them, a line break in them would not be theirs.
        self._out = Console(stderr=quiet, highlight=False, soft_wrap=True)

    def header(self, prepared: Prepared) -> None:
        """Method, suite, users and samples, backbone, folder."""
        spec = prepared.spec
        control = f" under the control {spec.control}" if spec.control else ""
        lines = [
            f"method    {prepared.method.card.name}{control}",
            f"suite     {spec.suite}, split {spec.split}: {len(prepared.kinds)} users, {prepared.n_samples} samples",
            f"backbone  {spec.backbone} on {prepared.backbone.device}, {spec.dtype}, {spec.steps} steps, "
            f"guidance {spec.guidance:g}",
            f"folder    {prepared.folder.path}",
        ]
        text = escape("\n".join(lines))
        if self._out.is_terminal:
            self._out.print(Panel(text, expand=False), soft_wrap=False)
        else:
            self._out.print(text)

    @contextmanager
    def progress(self, stage: str, total: int, unit: str = "img") -> Iterator[Callable[[int], Any]]:
        """One bar for a stage with rate and time left; on no terminal a plain line at its end."""
        from tqdm import tqdm

        bar = tqdm(total=total, desc=stage, unit=unit, disable=not sys.stderr.isatty())
        try:
            yield bar.update
        finally:
            bar.close()

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """A short wait."""
        if self._out.is_terminal:
            with self._out.status(escape(text)):
                yield
        else:
            self._out.print(escape(text))
            yield

    def drawn(self, result: RunResult, path: Path) -> None:
        """What was drawn now, what was there before, what failed."""
        rate = f", {result.drawn / result.seconds:.1f} a second" if result.drawn and result.seconds > 0 else ""
        before = result.planned - result.drawn
        kept = f", {before} were there already" if before else ""
        bad = f", [bold]{result.failed} failed[/bold]" if result.failed else ""
        self._out.print(f"drew {result.drawn} of {result.planned} samples{rate}{kept}{bad}: {escape(str(path))}")

    def represented(self, result: CollectedStates) -> None:
        """Whom the method was asked about now, whom before, for whom that failed."""
        before = result.users - result.collected - len(result.failed)
        kept = f", {before} were there already" if before else ""
        bad = f", [bold]{len(result.failed)} failed[/bold]" if result.failed else ""
        self._out.print(f"represented {result.collected} of {result.users} users in {result.seconds:.1f} s{kept}{bad}")
        for error, count in Counter(result.failed.values()).most_common(_FAILURES_SHOWN):
            self._out.print(f"  {count} x {escape(error)}")

    def failures(self, path: Path) -> None:
        """The most frequent errors of a run, and how to go on."""
        from prefbench.run.draw import failures
        from prefbench.run.folder import RunFolder

        for reason, count in failures(RunFolder(path).samples()).most_common(_FAILURES_SHOWN):
            self._out.print(f"  {count} x {escape(reason)}")
        self._out.print("The same command tries them again; --allow-failures SHARE goes on without them.")

    def report(self, path: Path, suite: Suite) -> None:
        """The run's table, its report and picture, and the next command."""
        from prefbench.reports.table.compare import compare
        from prefbench.reports.table.grids import run_grid
        from prefbench.reports.table.page import write_report

        run, *frame = framed(path)
        comparison = compare([run, *frame]).of_first(1)
        self.grids([run_grid(comparison, next(iter(comparison.runs)))])
        with self.status("write the report"):
            written = write_report([run], path / "report", history=suite.history, beside=frame)
        self._out.print(f"report    {escape(str(written))}")
        self.next(f"prefbench report {path.parent}/*")

    def refused(self, reasons: Mapping[str, str]) -> None:
        """Metrics that a run offers too little for."""
        for name, reason in reasons.items():
            self._out.print(f"no {escape(name)}: {escape(reason)}")

    def compare(
        self, paths: Sequence[Path], out: Path | None, *, publish: bool, named: str | None, baseline: str
    ) -> list[Path]:
        """Tables of several runs, the report, and where asked the leaderboard; returns the run folders among `paths`.

        `named` is what the user gave as the suite.
        """
        from prefbench.reports.leaderboard import publish as leaderboard
        from prefbench.reports.table.compare import compare
        from prefbench.reports.table.grids import difference_grid, run_grid, runs_grid
        from prefbench.reports.table.page import write_report
        from prefbench.run.prepare import suite_of_run
        from prefbench.score.summary import Run

        folders = self.run_folders(paths)
        runs = [Run.open(path) for path in folders]
        comparison = compare(runs, baseline=baseline)
        if len(runs) == 1:
            self.grids([run_grid(comparison, next(iter(comparison.runs)))])
        else:
            compared = any(row.difference for row in comparison.rows)
            self.grids([runs_grid(comparison), *([difference_grid(comparison)] if compared else [])])
        suite = suite_of_run(runs[0].spec, named)
        written = write_report(runs, out or runs[0].folder.path / "report", history=suite.history, baseline=baseline)
        self._out.print(f"report    {escape(str(written))}")
        if publish:
            leaderboard.publish(runs)
            self._out.print("leaderboard.md is up to date")
        return folders

    def finding(self, finding: Finding) -> None:
        """A line for a check as conformance suites show theirs, then the first rows that it is about."""
        self._out.print(escape(f"{finding.outcome:<14}  {finding.check:<22}  {finding.detail}"))
        for row in finding.rows[:_ROWS_SHOWN]:
            self._out.print(escape(f"{'':16}{', '.join(f'{name} {_short(value)}' for name, value in row.items())}"))
        if len(finding.rows) > _ROWS_SHOWN:
            self._out.print(f"{'':16}and {len(finding.rows) - _ROWS_SHOWN} more, all of them with --json")

    def audited(self, path: Path, findings: Sequence[Finding]) -> None:
        """What a run's audit came to."""
        failed = [finding.check for finding in findings if not finding.passed]
        verdict = f"{len(failed)} of {len(findings)} checks FAILED: {', '.join(failed)}" if failed else "clean"
        self._out.print(escape(f"run {path.name}: {verdict}"))

    def said(self, text: str) -> None:
        """A line of a long work: what begins."""
        self._out.print(escape(text))

    def written(self, path: Path) -> None:
        """A file that now holds what was asked for."""
        self._out.print(f"written   {escape(str(path))}")

    def next(self, command: str) -> None:
        """The command that comes next."""
        self._out.print(f"next      {escape(command)}")

    def grids(self, grids: Sequence[Any]) -> None:
        """Tables of runs."""
        from prefbench.cli.grids import show as show_grids

        show_grids(grids, stream=self._out.file)

    def run_folders(self, paths: Sequence[Path]) -> list[Path]:
        """Of several paths, as `runs/*` gives them, those that are run folders; the others are named."""
        found = [path for path in paths if (path / "run.json").is_file()]
        if len(paths) == 1 or not found:
            return list(paths)
        for path in [path for path in paths if path not in found]:
            self._out.print(f"left out  {escape(str(path))}: not a run folder")
        return found


def framed(path: Path) -> list[Run]:
    """A run, then the scored `prompt-only` and `inferred` runs beside it that it can be compared with."""
    from prefbench.score.summary import Run

    mine, frame = Run.open(path), dict[str, Run]()
    for other in sorted(path.parent.iterdir()):
        if other == path or not (other / "summary.json").is_file():
            continue
        try:
            run = Run.open(other)
            same = all(run.spec[name] == mine.spec[name] for name in _SHARED) and _scored_alike(run, mine)
        except (PrefbenchError, KeyError) as error:
            logger.warning("%s is left out: %s", other, error)
            continue
        if same and run.control is None and not run.undrawn and run.spec["method"] in ("prompt-only", "inferred"):
            frame[run.spec["method"]] = run
    frame.pop(mine.spec["method"] if mine.control is None else "", None)
    return [mine, *frame.values()]


def _scored_alike(run: Run, mine: Run) -> bool:
    """Whether they share metrics, all by one recipe each. One may have more: metrics of what only some methods have."""
    own, other = mine.recipes(), run.recipes()
    shared = own.keys() & other.keys()
    return bool(shared) and all(own[name] == other[name] for name in shared)


def rows_as_json(paths: Sequence[Path], *, baseline: str = "prompt-only") -> list[dict[str, Any]]:
    """The rows of runs as plain data; of a single run beside the frame in its folder, as its report shows them."""
    from prefbench.reports.table.compare import as_json, compare
    from prefbench.score.summary import Run

    runs = framed(paths[0]) if len(paths) == 1 else [Run.open(path) for path in paths]
    return list(as_json(compare(runs, baseline=baseline).of_first(len(paths)).rows))


# ------------------------------------------------------------------------------------------- list, show, doctor


def list_registered(kind: str | None, *, paths: bool, as_json: bool) -> None:
    """Prints what is registered, all kinds or one."""
    kinds = _kinds(kind)
    rows = [
        {
            "kind": k,
            "name": name,
            **({"path": entry(k, name).location()} if paths else {"object": entry(k, name).target}),
        }
        for k in kinds
        for name in names(k)
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    _print_table(["kind", "name", "defined at" if paths else "object"], [list(row.values()) for row in rows])


def _kinds(kind: str | None) -> list[Kind]:
    allowed: tuple[Kind, ...] = get_args(Kind)
    if kind is None:
        return list(allowed)
    singular = kind.removesuffix("s") if kind not in BUILT_IN else kind
    if singular not in BUILT_IN:
        raise PrefbenchError(unknown("kind", kind, [f"{k}s" for k in allowed]))
    return [singular]  # type: ignore[list-item]


def show(what: str, name: str | None, *, as_json: bool) -> None:
    """Prints a run's description, or a card."""
    content = _shown(what, name)
    if as_json:
        print(json.dumps(content, indent=1, default=str))
        return
    _print_table(["field", "value"], [[field, value] for field, value in content.items()])


def _shown(what: str, name: str | None) -> dict[str, Any]:
    if name is None:
        from prefbench.run.folder import RunFolder

        folder = RunFolder(Path(what))
        description = folder.read_description()
        done = len(folder.finished())
        return {**description, "drawn": done, "scored": folder.scored()}
    from prefbench.registry import load

    (kind,) = _kinds(what)
    found = load(kind, name)
    card = getattr(found, "card", found)
    if not is_dataclass(card) or isinstance(card, type):
        return {"name": name, "object": entry(kind, name).target, "summary": (found.__doc__ or "").strip()}
    return asdict(card)


def check_weights(name: str, *, as_json: bool) -> bool:
    """Measures shipped weights, prints each figure beside its floor and goal, and says whether all floors hold."""
    from prefbench.registry import load

    figures = load("weights", name)()
    if as_json:
        print(json.dumps([{**asdict(figure), "reached": figure.reached} for figure in figures], indent=1))
    else:
        rows = [
            [f.name, f"{f.value:.3f}", "" if f.floor is None else f.floor, f.goal, "ok" if f.reached else "MISSED"]
            for f in figures
        ]
        _print_table(["figure", "value", "floor", "goal", ""], rows)
    return all(figure.reached for figure in figures)


def ablate(name: str, folder: Path, *, publish: bool, as_json: bool, command: str, **choices: Any) -> None:
    """Trains and draws the variants of a method, and shows what each part is worth."""
    from prefbench.cli.grids import show as show_grids
    from prefbench.files import write_atomic
    from prefbench.reports.ablation import page
    from prefbench.reports.ablation.measure import ablate as measure
    from prefbench.training.variants import AblationRequest

    def said(text: str) -> None:
        Console(stderr=True, highlight=False, soft_wrap=True).print(escape(text))

    request = AblationRequest(folder, **choices)
    result = measure(name, request, command=command, log=said)
    path = request.work / "result.json"
    write_atomic(path, json.dumps(result, indent=1) + "\n")
    written = [path, *(page.publish(result) if publish else [])]
    if as_json:
        print(json.dumps(result, indent=1))
        return
    show_grids([page.grid(result)])
    for one in written:
        said(f"written   {one}")


def doctor(*, as_json: bool) -> None:
    """Prints versions, hardware, folders, and the weights that are present or how to get them."""
    from prefbench.environment import hardware, versions
    from prefbench.files import WEIGHTS, cache_folder

    content: dict[str, Any] = {
        "versions": versions(),
        "hardware": hardware(),
        "folders": {"cache": str(cache_folder()), "weights": str(WEIGHTS)},
        "weights": _weights(),
    }
    if as_json:
        print(json.dumps(content, indent=1))
        return
    for title, entries in content.items():
        _print_table([title, ""], [[key, value] for key, value in entries.items()])


def _weights() -> dict[str, str]:
    """Model to `present`, or the command that gets it; then for each method what it lacks on the default backbone."""
    from prefbench.files import WEIGHTS
    from prefbench.models.backbones.weights import missing
    from prefbench.models.mllms.weights import missing as missing_of_mllm
    from prefbench.registry import load

    found = {f"backbone {name}": missing(load("backbone", name)) or "present" for name in names("backbone")}
    found |= {f"mllm {name}": missing_of_mllm(load("mllm", name)) or "present" for name in names("mllm")}
    for name in [name for name in names("weights") if name not in (*names("backbone"), *names("mllm"))]:
        present = any((WEIGHTS / name).glob("*.safetensors"))
        found[name] = "present" if present else f"prefbench train {name} --install"
    default = found["backbone mini-sd"]
    return found | {f"method {name}": "ready" if default == "present" else default for name in names("method")}


def _print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        for row in rows:
            print("\t".join(_plain(cell) for cell in row))
        return
    table = Table(*headings)
    for row in rows:
        table.add_row(*(escape(_plain(cell)) for cell in row))
    console.print(table)


def _short(value: Any) -> str:
    """A value as a line shows it; of a digest its first letters."""
    text = str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{64}", text) else text


def _plain(cell: Any) -> str:
    return json.dumps(cell, default=str) if isinstance(cell, dict | list | tuple) else str(cell)
