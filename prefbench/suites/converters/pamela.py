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
_OF_NEW_PEOPLE: dict[str, Split] = {"pamela_val_unseen": "val", "pamela_test_unseen": "test"}


def read_pamela(source: Path, *, splits: Literal["official", "none"] = "official") -> Iterator[Judged]:
    """One rating a row.

    Args:
        source: the folder with `annotations/` and `images/`.
        splits: `official` has the people of `pamela_test_unseen` for `test`, those of `pamela_val_unseen` for `val`,
            and all others with all their ratings for `train`; `none` has everybody for `test`.
    """
    tables = _tables(source)
    split_of: dict[str, Split] = {}
    for table in tables:
        if (split := _OF_NEW_PEOPLE.get(table.stem)) and splits == "official":
            split_of |= {row.text("participant_id"): split for row in read_rows(table, _COLUMNS)}
    files = Pictures(source, below=("", "PAMELA"))
    for table in tables:
        for row in read_rows(table, _COLUMNS, ["prompt"]):
            person, score = row.text("participant_id"), row.float("original_score")
            picture = files.pick(row.values["image_path"])
            if not person or score is None:
                yield LeftOut("without a participant or a score", str(row))
            elif isinstance(picture, LeftOut):
                yield picture
            else:
                split = split_of.get(person, "train") if splits == "official" else "test"
                yield JudgedPicture(picture, person, rating=score, prompt=row.text("prompt"), split=split)


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
        keeps="each rating; whose ratings are in a split of new people are its users, all others are train",
        drops="ratings without a participant or a score; age, nationality and what else is told of people; group, "
        "style and type of a picture; that some ratings of people in train are the owner's tests on known people",
        columns="participant_id, image_path, original_score as a reader of the data has them "
        "(vivekchakraverty/mr-ai-marketer), files and numbers as its card; a prompt column was not seen and is read "
        "where there is one",
    ),
    read_pamela,
)
