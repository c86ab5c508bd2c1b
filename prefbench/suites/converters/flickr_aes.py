"""FLICKR-AES: workers' ratings of photographs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prefbench.suites.converters.converter import Converter, ConverterCard
from prefbench.suites.converters.readers.pictures import Pictures
from prefbench.suites.converters.readers.rows import read_rows, the_table
from prefbench.suites.folder.writer import Judged, JudgedPicture, LeftOut

_TABLE = "FLICKR-AES_image_labeled_by_each_worker.csv"
_COLUMNS = ("worker", "imagePair", "score")


def read_flickr_aes(source: Path) -> Iterator[Judged]:
    """One rating a row; names and values have a space in front.

    Args:
        source: the folder with the table and the photographs in `40K/`.
    """
    files = Pictures(source, below=("40K", "FLICKR-AES-001/40K", ""), by_name=True)
    for row in read_rows(the_table(source, _TABLE, f"FLICKR-AES-001/{_TABLE}"), _COLUMNS):
        worker, score = row.text("worker"), row.float("score")
        if not worker or score is None:
            yield LeftOut("without a worker or a score", str(row))
        else:
            yield JudgedPicture(files.find(row.text("imagePair")), worker, rating=score)


FLICKR_AES = Converter(
    ConverterCard(
        name="flickr-aes",
        summary="workers' ratings, 1 to 5, of photographs (Ren et al., ICCV 2017)",
        source="https://github.com/alanspike/personalizedImageAesthetics",
        licence="photographs under Creative Commons licences of their own",
        terms="for research; each photograph keeps its own Creative Commons licence",
        get="follow the link in the README of https://github.com/alanspike/personalizedImageAesthetics to "
        f"FLICKR-AES-001.zip (5.76 GB) and {_TABLE}, and unpack the one beside the other",
        size="40,988 photographs, 5.76 GB",
        people="210 workers, 193,208 ratings, 5 workers a photograph",
        keeps="each rating",
        drops="ratings without a worker or a score; the mean scores; photographs have no prompts: write what to draw "
        "for into prompts.txt",
        columns="worker, imagePair, score as several readers have them, one with spaces in front of the names",
    ),
    read_flickr_aes,
)
