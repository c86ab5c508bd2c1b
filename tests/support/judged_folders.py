"""Small folders of judged pictures, written as a user would: pictures of one colour each, so that no two are equal."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def picture(number: int) -> Image.Image:
    """The picture of a number: noise that no other number has, 16 pixels wide."""
    return Image.fromarray(np.random.default_rng(number).integers(0, 255, (16, 16, 3), dtype=np.uint8))


def write_pictures(folder: Path, names: Iterable[str]) -> None:
    """One picture for each file name; equal stems are equal pictures."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(sum(ord(c) * 131**i for i, c in enumerate(path.stem)) % 2**32).save(path)


def write_layout(folder: Path, users: Sequence[str], judged: int = 6) -> Path:
    """Users with so many liked and so many disliked pictures, and prompts to draw for."""
    for user in users:
        names = [f"{user}/{side}/{user}-{side}-{n}.png" for side in ("liked", "disliked") for n in range(judged)]
        write_pictures(folder, names)
    (folder / "prompts.txt").write_text("a red cat\na blue dog\n\na green house\n")
    return folder


def write_table(folder: Path, rows: Sequence[Mapping[str, Any]], prompts: str = "a red cat\n") -> Path:
    """A folder with `metadata.csv` and a picture for each of its names; no prompts where these are empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_pictures(folder, {str(row["file_name"]) for row in rows if row.get("file_name")})
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    if prompts:
        (folder / "prompts.txt").write_text(prompts)
    return folder
