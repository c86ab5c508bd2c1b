"""The validation report: results of `prefbench validate` as JSON; page and figures rendered from them, nothing else.

`python -m prefbench.reports.validation.page` writes the published ones; with `--check` it fails where one is not
up to date.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from prefbench.api import PrefbenchError
from prefbench.files import write_atomic

from ..shared.escape import code_block, markdown, slug
from ..shared.grid import to_markdown
from ..shared.published import portable
from .figures import draw
from .schema import ValidationResult
from .tables import grids

FOLDER = Path(__file__).resolve().parents[2] / "results" / "validation"
_FIGURES = {
    "Rank correlation with true utility": "methods",
    "Dose and response": "dose",
    "Nuisances": "nuisances",
    "Identical methods and intervals": "nulls",
    "Number of pictures": "sizes",
}
_HEAD = """# The metrics measured against the known truth of {suite}

Generated from `{file}`; do not edit.

Systems are drawn from the truth itself: at strength s every axis that counts for a user takes the user's best value
with probability s, else the world's prior; all systems share their seeds. {users} users of the split {split}, with
{per_case} samples a case; pools of {samples} samples a case, in one of which half are copies, and of {pool_users} train
users for {pool_prompts} prompts. Learned metrics are measured with the weights that their recipes name in the JSON.

{command}
"""


def write(result: ValidationResult, folder: Path, stem: str = "validation") -> list[Path]:
    """Writes the figures, the data and the page, in one folder under one name; returns their paths."""
    stored = without_folders(result)
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / f"{stem}.md", folder / f"{stem}.json"
    figures = draw(stored, folder / stem)
    write_atomic(data, json.dumps(stored, indent=1, allow_nan=False) + "\n")
    write_atomic(page, render(stored, stem))
    return [page, data, *figures]


def without_folders(result: ValidationResult) -> ValidationResult:
    """The result with files by their names alone: where they lie belongs to one machine."""
    left_out = {_without_folders(name): _without_folders(reason) for name, reason in result["left_out"].items()}
    return result | {"command": portable(result["command"]), "left_out": left_out}


def _without_folders(text: str) -> str:
    return re.sub(r"(?<![\w.])/\S*/", "", text)


def publish(result: ValidationResult, folder: Path = FOLDER) -> list[Path]:
    """Writes the report among the package's data."""
    return write(result, folder, slug(result["suite"]))


def render(result: ValidationResult, stem: str) -> str:
    """The page."""
    scale = result["scale"]
    lines = [
        _HEAD.format(
            suite=markdown(result["suite"]),
            file=f"{stem}.json",
            users=scale["users"] or "All",
            command=code_block(result["command"]),
            **{key: scale[key] for key in ("split", "per_case", "samples", "pool_users", "pool_prompts")},
        )
    ]
    if result["left_out"]:
        reasons = "; ".join(f"{markdown(name)}: {markdown(reason)}" for name, reason in result["left_out"].items())
        lines.append(f"Left out: {reasons}.\n")
    for heading, tables in grids(result):
        lines.append(f"## {heading}\n")
        figure = _FIGURES.get(heading)
        if figure is not None and (figure != "methods" or "of_runs" in result["parts"]):
            lines.append(f"![{heading}]({stem}.{figure}.png)\n")
        for table in tables:
            lines += [f"### {table.title}\n"] * (len(tables) > 1) + [to_markdown(table)]
    return "\n".join(lines)


def load_results(folder: Path = FOLDER) -> list[ValidationResult]:
    """Every published result. Raises `PrefbenchError` naming the file that cannot be read."""
    results = []
    for path in sorted(folder.glob("*.json")):
        try:
            content: ValidationResult = json.loads(path.read_text(encoding="utf-8"))
            render(content, path.stem)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise PrefbenchError(f"{path} is no validation ({type(error).__name__}: {error})") from error
        results.append(content)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes pages and figures, or with `--check` only compares the pages; 1 where one is not up to date."""
    parser = argparse.ArgumentParser(prog="python -m prefbench.reports.validation.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is not up to date")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    stale = []
    for result in load_results(options.folder):
        stem = slug(result["suite"])
        page = options.folder / f"{stem}.md"
        if not options.check:
            publish(result, options.folder)
        elif not page.is_file() or page.read_text(encoding="utf-8") != render(result, stem):
            stale.append(page.name)
    if stale:
        sys.stderr.write(f"{', '.join(stale)} not up to date: run python -m prefbench.reports.validation.page\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
