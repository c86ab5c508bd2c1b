"""Stores given images as a run: the same folder, rows and digests as of a run that was drawn here."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError, Sample, image_digest
from prefbench.api.pictures import read_picture
from prefbench.api.reports import Bar, no_bar
from prefbench.api.runs import NO_BACKBONE
from prefbench.run.environment import code_state, versions
from prefbench.run.execute import continued, start_row
from prefbench.run.folder import RunFolder
from prefbench.run.given.coverage import Expected
from prefbench.run.given.prepare import GivenRun


def store(run: GivenRun, bar: Bar = no_bar) -> int:
    """Stores what the folder lacks, and returns how many images that was. The same call again goes on where one ended.

    Raises:
        PrefbenchError: a sample has two different images, a file is another than when it was read, another process
            holds the folder, or the disk is full.
    """
    if conflicts := run.coverage.conflicts:
        more = f" (and {len(conflicts) - 1:,} more)" if len(conflicts) > 1 else ""
        raise PrefbenchError(f"nothing tells which image counts: {conflicts[0]}{more}")
    code = code_state()
    with continued(run.folder, run.spec, run.data.kinds, lambda: describe(run, code), bar) as finished:
        stored = run.folder.samples()
        rows = [(one, one.row(planned.key)) for one, planned in zip(run.coverage.expected, run.plan, strict=True)]
        lacking = [(one, row) for one, row in rows if not _is_stored(row, stored, finished)]
        if lacking:
            run.folder.append_start(start_row(code, run.spec.batch))
        with bar("store images", len(lacking), "img") as advance:
            for start in range(0, len(lacking), run.spec.batch):
                batch = lacking[start : start + run.spec.batch]
                for one, _ in batch:
                    _put(run.folder, one)
                run.folder.append_samples([row for _, row in batch])
                advance(len(batch))
    return sum(row.image is not None for _, row in lacking)


def describe(run: GivenRun, code: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `run.json`. What drew the images is not known: versions and code are of what stored them."""
    coverage = run.coverage
    return {
        "spec": run.spec.to_json(),
        "method": run.card.described(),
        "backbone": {"name": NO_BACKBONE, "stated": run.card.backbone or "not stated"},
        "represents": False,
        "kinds": dict(run.data.kinds),
        "planned": len(run.plan),
        "command": run.data.settings.command,
        "given": {
            "stated": list(run.card.stated),
            **({"role": run.card.role} if run.card.role else {}),
            "seeds": coverage.seeds or "not stated",
            "found": len(coverage.of("found")),
            "missing": len(coverage.of("missing")),
            "unreadable": len(coverage.of("unreadable")),
            "unused": len(coverage.unused),
            "copies": coverage.copies,
        },
        "environment": {"versions": versions(), "hardware": {"drawn on": "not stated"}, "code": dict(code)},
    }


def _is_stored(row: Sample, stored: Mapping[str, Sample], finished: Mapping[str, Sample]) -> bool:
    return stored.get(row.key) == row and (row.image is None or row.key in finished)


def _put(folder: RunFolder, one: Expected) -> None:
    """Stores the picture of a file. Raises `PrefbenchError` where it is another than the one that was read before."""
    if one.image is None or one.digest is None:
        return
    picture = read_picture(one.image.path)
    if image_digest(picture) != one.digest:
        raise PrefbenchError(f"{one.image.origin}: the file was changed meanwhile; give the same command again")
    folder.put_image(picture)


def of_other_images(run: GivenRun) -> list[Path]:
    """Folders beside the run's own with other images or another card of the same method: reports show each."""
    beside = []
    paths = sorted(run.folder.path.parent.glob("*/run.json"))
    for path in (path.parent for path in paths if path.parent != run.folder.path):
        with suppress(PrefbenchError):
            spec = RunFolder(path).read_description()["spec"]
            same = all(
                spec[name] == getattr(run.spec, name) for name in ("method", "control", "suite_digest", "split", "seed")
            )
            beside += [path] if same else []
    return beside
