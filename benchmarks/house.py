"""Sizes of the code base beside the limits that `CONTRIBUTING.md` promises; exit code 1 where one is passed.

    python benchmarks/house.py            # a table
    python benchmarks/house.py --json     # the same numbers as data

A line of code is a line that holds a token which is no comment, no docstring and no blank. The length of a function is
that of its source without its docstring.

The run path is what stands between `prefbench run` and its numbers: the modules at the root of `prefbench/` and those
of `api`, `run`, `score`, `stats`, `cli` and `engines` that the verb reaches through imports within these rooms. Other
verbs, the doors for images that something else drew and for runs of several workers, and statistics that only reports
use (effects, strengths, power) are not on it; beside it stands the size of the whole rooms, without a limit.
"""

from __future__ import annotations

import ast
import io
import json
import statistics
import tokenize
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "prefbench"
FOLDERS = ("prefbench", "methods", "metrics", "reports")
ROOMS = ("api", "run", "score", "stats", "cli", "engines")
_OTHER_DOORS = (
    "prefbench.run.given", "prefbench.score.given_images",
    "prefbench.engines.devices", "prefbench.engines.shards", "prefbench.engines.processes",
    "prefbench.engines.shared_run", "prefbench.engines.shared_scoring",
)  # fmt: skip
"""Modules that the call `score_images` enters, which stands beside `run` in the package's first file, and those that
only runs of several workers enter."""
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Size:
    """One measured number and the most that it may be."""

    name: str
    value: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether the limit is kept."""
        return self.value <= self.limit


def sources(*folders: Path) -> list[Path]:
    """Every Python file below folders, or the file itself."""
    return sorted(path for folder in folders for path in (folder.rglob("*.py") if folder.is_dir() else [folder]))


def _docstrings(tree: ast.Module) -> Iterator[range]:
    """The lines of every docstring, those of attributes included: a string that stands alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield range(node.lineno, (node.end_lineno or node.lineno) + 1)


def code_lines(path: Path) -> int:
    """Lines of code of a file."""
    text = path.read_text(encoding="utf-8")
    documented = {line for lines in _docstrings(ast.parse(text)) for line in lines}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {n for t in tokens if t.type not in _SILENT for n in range(t.start[0], t.end[0] + 1)}
    return len(lines - documented)


def function_lengths(path: Path) -> list[int]:
    """Lines of every function from `def` to its end, without its docstring; nested functions count in both."""
    lengths = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            documented = 0 if docstring is None else (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
            lengths.append((node.end_lineno or node.lineno) - node.lineno + 1 - documented)
    return lengths


def run_path() -> list[Path]:
    """The files of the run path: what the verb `run` reaches, and the group that starts it."""
    rooms = {_module(path): path for path in _rooms()}
    reached, waiting = {"prefbench.cli.main"}, ["prefbench.cli.run"]
    while waiting:
        module = waiting.pop()
        if module not in reached and not module.startswith(_OTHER_DOORS):
            reached.add(module)
            waiting += [name for name in _imports(rooms[module]) if name in rooms]
    return [rooms[name] for name in sorted(reached)]


def _rooms() -> list[Path]:
    return sources(*PACKAGE.glob("*.py"), *(PACKAGE / room for room in ROOMS))


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path) -> Iterator[str]:
    """The modules that a file of the core names; the core imports absolutely."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def measure() -> list[Size]:
    """All sizes of the checkout that this file stands in."""
    files = [path for path in sources(*(ROOT / name for name in FOLDERS)) if path.read_text().strip()]
    lines = [len(path.read_text(encoding="utf-8").splitlines()) for path in files]
    own = [count for path, count in zip(files, lines, strict=True) if path.name != "__init__.py"]
    functions = [length for path in files for length in function_lengths(path)]
    modules = list(PACKAGE.glob("*.py"))
    folders = [path for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"]
    return [
        Size("modules at the root of prefbench/", len(modules), 5),
        Size("folders at the root of prefbench/", len(folders), 12),
        Size("lines of code on the run path", sum(map(code_lines, run_path())), 8250),
        Size("lines of code of its whole rooms", sum(map(code_lines, _rooms())), inf),
        Size("lines of a file, median", statistics.median(own), 130),
        Size("lines of a file, most", max(lines), 330),
        Size("lines of a function, median", statistics.median(functions), 6),
        Size("share of functions over 50 lines", sum(n > 50 for n in functions) / len(functions), 0.002),
    ]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(as_json: bool) -> None:
    """Measures and compares with the limits."""
    sizes = measure()
    if as_json:
        click.echo(json.dumps([asdict(size) | {"holds": size.holds} for size in sizes], indent=1))
    else:
        for size in sizes:
            click.echo(f"{size.name:<36} {size.value:>8.4g}  limit {size.limit:g}  {'ok' if size.holds else 'OVER'}")
    raise SystemExit(0 if all(size.holds for size in sizes) else 1)


if __name__ == "__main__":
    main()
