"""Writes `index.html` and the folder `page/` beside it. What stands in them is described in `docs/page.md`."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from prefbench.api import History, PrefbenchError, Sample, ScoredRun, plain
from prefbench.api.reports import Bar, no_bar
from prefbench.files import make_folder, write_atomic
from prefbench.run.environment import versions

from ..shared.labels import label_runs
from ..table.compare import Comparison
from .data import FORMAT, shown, write_data
from .overview import compared, run_rows, suite_of, uncompared
from .people import People, people_of
from .rows import BLOCK, about, as_stored, numbers, scores_of
from .sheets import NOWHERE, Sheets, Wanted

INDEX, FOLDER = "index.html", "page"
_COMMAND = 2_000
"""Characters of a command that are shown."""


@dataclass(frozen=True)
class Content:
    """What a page shows.

    Args:
        runs: label to run; they are of one suite and split.
        comparison: of these runs; None where some of them are not scored yet.
        history: gives the judgments of a user as methods saw them; None where none are shown.
        live: whether the page is served and asks whether there is something new.
    """

    runs: Mapping[str, ScoredRun]
    comparison: Comparison | None = None
    history: Callable[[str], History] | None = None
    live: bool = False

    @classmethod
    def of(cls, comparison: Comparison) -> Content:
        """That of a comparison."""
        return cls(comparison.runs, comparison, comparison.histories() if comparison.histories else None)

    @classmethod
    def unscored(cls, runs: Sequence[ScoredRun], history: Callable[[str], History] | None) -> Content:
        """That of runs of which some are not scored yet."""
        return cls(dict(zip(label_runs(runs), runs, strict=True)), None, history)

    def wanted(self, people: People) -> list[Wanted]:
        """All pictures, user by user, so that those of one user lie on few sheets: judgments, then what was drawn."""
        drawn: dict[str, list[Wanted]] = {user: [] for user in people.kinds}
        for run in self.runs.values():
            for sample in run.samples:
                if sample.image is not None:
                    drawn[sample.user].append(Wanted(sample.image, partial(run.image, sample.image)))
        return [one for user in people.kinds for one in (*people.wanted(user), *drawn[user])]


def write_index(content: Content, folder: Path, *, bar: Bar = no_bar, sheets: Sheets | None = None) -> Path:
    """Writes the page and returns the path of `index.html`.

    Args:
        content: what it shows.
        folder: where `index.html` goes; `page/` beside it is replaced.
        bar: shows how far the reading of pictures is.
        sheets: those that an earlier call in the same process wrote there, which then grow; by default new ones.
    """
    check_room(folder)
    people = people_of(list(content.runs.values()), content.history)
    wanted = content.wanted(people)
    with _replaced(folder / FOLDER) as page:
        pictures = sheets or Sheets.of(wanted, page / "pictures")
        with bar("read pictures", len({one.digest for one in wanted}), "img") as advance:
            pictures.places(wanted, advance)
        _write_all(content, people, pictures, page / "data")
        shell = _copy_assets(page)
    write_atomic(folder / INDEX, shell)
    return folder / INDEX


def check_room(folder: Path) -> None:
    """Raises `PrefbenchError` where `page` in the folder of a report is no page of an earlier one, or a link."""
    page = folder / FOLDER
    if page.is_symlink() or (page.exists() and not page.is_dir()):
        raise PrefbenchError(f"{page} is no folder of its own: nothing is written through it")
    if page.is_dir() and any(page.iterdir()) and not (page / "data" / "overview.js").is_file():
        raise PrefbenchError(f"{page} holds something else than a page of prefbench: give another folder, --out FOLDER")


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of another one once it is whole, so that a kill leaves either of the two."""
    make_folder(folder.parent, inside=folder.parent)
    new, old = (folder.with_name(f".prefbench-{secrets.token_hex(8)}.tmp") for _ in range(2))
    try:
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)


def _write_all(content: Content, people: People, pictures: Sheets, folder: Path) -> None:
    runs = list(content.runs.values())
    texts = dict.fromkeys(sample.prompt for run in runs for sample in run.samples)
    prompts = {text: i for i, text in enumerate(dict.fromkeys([*texts, *people.prompts]))}
    write_data(folder, "people", people.to_json(prompts, pictures.place))
    for number, run in enumerate(runs):
        _write_rows(run, number, people, prompts, pictures, folder)
    overview: dict[str, Any] = {
        "format": FORMAT,
        "version": versions()["prefbench"],
        "title": ", ".join(content.runs),
        "live": content.live,
        "suite": suite_of(runs),
        "size": {
            "users": len(people.kinds),
            "prompts": len(texts),
            "samples": sum(len(run.samples) for run in runs),
            "block": BLOCK,
        },
        "thumbnail": _thumbnail(pictures),
        "runs": run_rows(content.runs, BLOCK),
        **(uncompared() if content.comparison is None else compared(content.comparison)),
        "repeat": list(dict.fromkeys(run.description.get("command") for run in runs if run.description.get("command"))),
    }
    write_data(folder, "overview", shown({**overview, "repeat": [plain(one, _COMMAND) for one in overview["repeat"]]}))


def _write_rows(
    run: ScoredRun, number: int, people: People, prompts: Mapping[str, int], pictures: Sheets, folder: Path
) -> None:
    users, scores = people.places, {shown(name): as_stored(values) for name, values in scores_of(run).items()}
    near = _nearest(run.samples, people, pictures)
    for block, first in enumerate(range(0, len(run.samples), BLOCK)):
        samples: Sequence[Sample] = run.samples[first : first + BLOCK]
        places = [pictures.place(sample.image) for sample in samples]
        columns = {name: values[first : first + BLOCK] for name, values in scores.items()}
        of_block = {"run": number, "first": first, **numbers(samples, users, prompts, places), "scores": columns}
        write_data(folder, f"rows-{number}-{block}", of_block)
        sizes = [pictures.size(place) for place in places]
        write_data(folder, f"about-{number}-{block}", {**about(samples, near[first : first + BLOCK]), "size": sizes})


def _nearest(samples: Sequence[Sample], people: People, pictures: Sheets) -> list[int]:
    """The place of the like of its user that is nearest to each sample."""
    rows: dict[str, list[int]] = {user: [] for user in people.kinds}
    for row, sample in enumerate(samples):
        rows[sample.user].append(row)
    near = [NOWHERE] * len(samples)
    for user, own in rows.items():
        liked = [pictures.place(judgment.picture.digest) for judgment in people.shown(user, "liked")]
        of_user = pictures.nearest([pictures.place(samples[row].image) for row in own], liked)
        for row, place in zip(own, of_user, strict=True):
            near[row] = place
    return near


def _thumbnail(pictures: Sheets) -> dict[str, Any]:
    layout = pictures.layout
    return {"edge": layout.edge, "columns": layout.columns, "cells": layout.cells, "exact": layout.exact}


def _copy_assets(folder: Path) -> bytes:
    """The styles and the scripts, byte for byte as they ship; returns the shell, `index.html`."""
    files = _files(resources.files("prefbench.reports.page") / "assets")
    shell = files.pop(INDEX)
    for name, data in files.items():
        write_atomic(folder / name, data)
    return shell


def _files(folder: Any, before: str = "") -> dict[str, bytes]:
    """Relative path to content of every file below a folder of the package."""
    found: dict[str, bytes] = {}
    for one in folder.iterdir():
        found |= _files(one, f"{before}{one.name}/") if one.is_dir() else {f"{before}{one.name}": one.read_bytes()}
    return found
