"""Writes `index.html` and the folder `page/` beside it. What stands in them is described in `docs/page.md`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from prefbench.api import History, Sample, ScoredRun
from prefbench.api.reports import Bar, no_bar
from prefbench.files import atomic_file, make_folder, write_atomic
from prefbench.run.environment import versions

from ..shared.labels import label_runs
from ..table.compare import Comparison
from .data import FORMAT, write_data
from .overview import compared, run_rows, suite_of, uncompared
from .people import People, people_of
from .rows import BLOCK, about, numbers, rounded, scores_of
from .sheets import Sheets, Wanted

INDEX, FOLDER = "index.html", "page"


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
    people = people_of(list(content.runs.values()), content.history)
    wanted = content.wanted(people)
    _make_room(folder)
    pictures = sheets or Sheets.of(wanted, folder / FOLDER / "pictures")
    with bar("read pictures", len({one.digest for one in wanted}), "img") as advance:
        pictures.places(wanted, advance)
    _write_all(content, people, pictures, folder / FOLDER / "data")
    _copy_assets(folder)
    return folder / INDEX


def _make_room(folder: Path) -> None:
    """Removes what an earlier page left, through no link. Raises `PrefbenchError` where `page` is one."""
    make_folder(folder / FOLDER, inside=folder)
    shutil.rmtree(folder / FOLDER)


def _write_all(content: Content, people: People, pictures: Sheets, folder: Path) -> None:
    runs = list(content.runs.values())
    texts = dict.fromkeys(sample.prompt for run in runs for sample in run.samples)
    prompts = {text: i for i, text in enumerate(dict.fromkeys([*texts, *people.prompts]))}
    write_data(folder, "people", people.to_json(prompts, pictures.place))
    for number, run in enumerate(runs):
        _write_rows(run, number, people, prompts, pictures, folder)
    overview = {
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
        "repeat": list(dict.fromkeys(str(run.description.get("command") or "") for run in runs)),
    }
    write_data(folder, "overview", overview)


def _write_rows(
    run: ScoredRun, number: int, people: People, prompts: Mapping[str, int], pictures: Sheets, folder: Path
) -> None:
    users, scores = people.places, {name: rounded(values) for name, values in scores_of(run).items()}
    liked = {user: [pictures.place(j.picture.digest) for j in people.shown(user, "liked")] for user in people.kinds}
    for block, first in enumerate(range(0, len(run.samples), BLOCK)):
        samples: Sequence[Sample] = run.samples[first : first + BLOCK]
        places = [pictures.place(sample.image) for sample in samples]
        near = [pictures.nearest(place, liked[sample.user]) for place, sample in zip(places, samples, strict=True)]
        columns = {name: values[first : first + BLOCK] for name, values in scores.items()}
        of_block = {"run": number, "first": first, **numbers(samples, users, prompts, places), "scores": columns}
        write_data(folder, f"rows-{number}-{block}", of_block)
        write_data(folder, f"about-{number}-{block}", about(samples, near))


def _thumbnail(pictures: Sheets) -> dict[str, Any]:
    layout, sizes = pictures.layout, sorted(pictures.sizes)
    return {
        "edge": layout.edge,
        "columns": layout.columns,
        "cells": layout.cells,
        "exact": pictures.exact,
        "original": list(sizes[-1]) if sizes else None,
    }


def _copy_assets(folder: Path) -> None:
    """The shell, the styles and the scripts, byte for byte as they ship."""
    assets = resources.files("prefbench.reports.page") / "assets"
    for name, data in sorted(_files(assets).items()):
        if name == INDEX:
            write_atomic(folder / INDEX, data)
            continue
        with atomic_file(folder / FOLDER / name) as temporary:
            temporary.write_bytes(data)


def _files(folder: Any, before: str = "") -> dict[str, bytes]:
    """Relative path to content of every file below a folder of the package."""
    found: dict[str, bytes] = {}
    for one in folder.iterdir():
        found |= _files(one, f"{before}{one.name}/") if one.is_dir() else {f"{before}{one.name}": one.read_bytes()}
    return found
