"""LAPIS: people's ratings of works of art."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prefbench.api import PrefbenchError
from prefbench.suites.converters.converter import Converter, ConverterCard
from prefbench.suites.converters.readers.pictures import Pictures
from prefbench.suites.converters.readers.rows import SUFFIXES, read_rows
from prefbench.suites.folder.writer import Judged, JudgedPicture, LeftOut

_COLUMNS = ("participant_id", "image_filename", "response")


def read_lapis(source: Path) -> Iterator[Judged]:
    """One rating a row.

    Args:
        source: the folder with the table of individual ratings, here or below, and the pictures anywhere in it.
    """
    table, files = _table(source), Pictures(source, below=("", "images", "datasetImages_originalSize"), by_name=True)
    for row in read_rows(table, _COLUMNS):
        person, score = row.text("participant_id"), row.float("response")
        if not person or score is None:
            yield LeftOut("without a participant or a response", str(row))
        else:
            yield JudgedPicture(files.find(row.text("image_filename")), person, rating=score)


def _table(source: Path) -> Path:
    """The one table of individual ratings. Raises `PrefbenchError` where there is none, or one that is not read."""
    found = [path for path in sorted(source.rglob("*")) if "individualratings" in path.name.lower() and path.is_file()]
    tables = [path for path in found if path.suffix.lower() in SUFFIXES]
    if len(tables) == 1:
        return tables[0]
    if len(tables) > 1:
        raise PrefbenchError(f"{source} has {' and '.join(path.name for path in tables[:3])}: keep one of them")
    if found:
        raise PrefbenchError(f"{found[0]} is not read: save it as CSV beside it")
    raise PrefbenchError(f"{source} has no table of individual ratings: a CSV with individualratings in its name")


LAPIS = Converter(
    ConverterCard(
        name="lapis",
        summary="people's ratings, 0 to 100, of works of art (arXiv 2504.07670)",
        source="https://huggingface.co/datasets/asmaerten/LAPIS, https://github.com/Anne-SofieMaerten/LAPIS",
        licence="none stated",
        terms="its owners give it for research on request; no licence is stated, and rights in the works may be "
        "others'",
        get="ask for it as https://github.com/Anne-SofieMaerten/LAPIS says, or hf download --repo-type dataset "
        "asmaerten/LAPIS --local-dir LAPIS",
        size="11,723 works of art",
        people="people, about 24 a work; 316,000 rows on the hub by one count",
        keeps="each rating",
        drops="ratings without a participant or a response; what is told of people and works; works are photographs, "
        "and no prompts exist: write what to draw for into prompts.txt",
        columns="participant_id, image_filename, response as a co-author's reader has them "
        "(lwchen6309/aesthetics_transfer_learning); the hub's table of single ratings was not seen",
    ),
    read_lapis,
)
