"""PAMELA: people's ratings of pictures that FLUX.2 and Nano Banana drew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from prefbench.api import PrefbenchError, Split
from prefbench.suites.converters.converter import Converter, ConverterCard
from prefbench.suites.converters.readers.pictures import Pictures
from prefbench.suites.converters.readers.rows import read_rows
from prefbench.suites.folder.writer import Judged, JudgedPicture, LeftOut

_COLUMNS = ("participant_id", "image_path", "original_score")
_NEW_PEOPLE: dict[Split, str] = {"test": "pamela_test_unseen", "val": "pamela_val_unseen"}
_SHARED = "of a picture that people of another split rated"


def read_pamela(source: Path, *, splits: Literal["none", "official"] = "none") -> Iterator[Judged]:
    """One rating a row.

    Args:
        source: the folder with `annotations/` and `images/`.
        splits: `none` has everybody for `test`; `official` has the people of `pamela_test_unseen` for `test`, those of
            `pamela_val_unseen` for `val`, and all others for `train`. A picture then counts in one split alone, in that
            of `test` first, in that of `train` last.
    """
    tables = _tables(source)
    people, pictures = _held_out(tables) if splits == "official" else ({}, {})
    files = Pictures(source, below=("", "PAMELA"))
    for table in tables:
        for row in read_rows(table, _COLUMNS, ["prompt"]):
            person, score = row.text("participant_id"), row.float("original_score")
            split = people.get(person, "train") if splits == "official" else "test"
            picture = files.pick(row.values["image_path"])
            if not person or score is None:
                yield LeftOut("without a participant or a score", str(row))
            elif isinstance(picture, LeftOut):
                yield picture
            elif pictures.get(row.text("image_path"), split) != split:
                yield LeftOut(_SHARED, str(row))
            else:
                yield JudgedPicture(picture, person, rating=score, prompt=row.text("prompt"), split=split)


def _held_out(tables: Sequence[Path]) -> tuple[dict[str, Split], dict[str, Split]]:
    """The split of new people, and of the pictures that they rated."""
    people: dict[str, Split] = {}
    pictures: dict[str, Split] = {}
    for split, name in _NEW_PEOPLE.items():
        for row in (row for table in tables if table.stem == name for row in read_rows(table, _COLUMNS)):
            people.setdefault(row.text("participant_id"), split)
            pictures.setdefault(row.text("image_path"), split)
    return people, pictures


def _tables(source: Path) -> Sequence[Path]:
    folders = [source / "annotations", source / "PAMELA" / "annotations"]
    tables = [path for folder in folders for path in sorted(folder.glob("pamela_*.json"))]
    if not tables:
        raise PrefbenchError(f"{source} has no annotations/pamela_*.json")
    return tables


PAMELA = Converter(
    ConverterCard(
        name="pamela",
        summary="people's ratings, 1 to 5, of pictures that FLUX.2 and Nano Banana drew (arXiv 2604.07427)",
        source="https://huggingface.co/datasets/bethgelab/PAMELA",
        licence="CC-BY-4.0",
        terms="name its authors wherever you show the pictures or figures from them",
        get="hf download --repo-type dataset bethgelab/PAMELA --local-dir PAMELA",
        size="5,077 pictures, about 2.25 GB",
        people="199 people, 69,904 ratings, about 15 people a picture",
        keeps="each rating; everybody is in test, or with -p splits=official new people in val and test, others in "
        "train",
        drops="ratings without a participant or a score; age, nationality and what else is told of people; group, "
        "style and type of a picture; with official splits, ratings whose picture another split has; the owner's tests "
        "of known people, whose ratings stand beside their others",
        columns="participant_id, image_path, original_score as a reader of the data has them "
        "(vivekchakraverty/mr-ai-marketer), files and numbers as its card; a prompt column was not seen and is read "
        "where there is one",
    ),
    read_pamela,
)
