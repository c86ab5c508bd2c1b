"""PreferImg-Bench: a history of likes and dislikes, and a pair of pictures of which the same user prefers one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from prefbench.suites.converters.converter import Converter, ConverterCard
from prefbench.suites.converters.readers.choices import choice
from prefbench.suites.converters.readers.pictures import Pictures
from prefbench.suites.converters.readers.rows import Row, read_rows, the_table
from prefbench.suites.folder.writer import Judged, JudgedPicture, LeftOut

_COLUMNS = ("imageA", "imageB", "prefered_images", "non_prefered_images", "conversations")
_ANSWER = re.compile(r"(?:.*<answer>)?\s*Image ([AB])\s*(?:</answer>\s*)?", re.DOTALL)


def read_preferimg(
    source: Path, *, test: Literal["PICKAPIC", "MP_ID", "MP_OD", "SP_ID", "SP_OD"] = "PICKAPIC"
) -> Iterator[Judged]:
    """The history is for methods, the pair for scorers.

    Args:
        source: the folder with `data/`.
        test: which of its tests; `PICKAPIC` alone is of people.
    """
    files = Pictures(source, below=(f"data/{test}/images", f"{test}/images", f"data/{test}", ""))
    table = the_table(source, f"data/{test}/{test}.json", f"{test}/{test}.json")
    for row in read_rows(table, _COLUMNS, ["user_id", "prompt"]):
        user = row.text("user_id") or f"case {row.number}"
        for name, liked in (("prefered_images", True), ("non_prefered_images", False)):
            for picture in row.texts(name):
                yield JudgedPicture(files.find(picture), user, liked, part="method")
        answer = _answer(row)
        if not answer:
            yield from [LeftOut("of a pair without an answer", str(row))] * 2
            continue
        sides = [files.find(row.text(f"image{side}")) for side in ("AB" if answer == "A" else "BA")]
        yield from choice(user, *sides, pair=f"case {row.number}", prompt=row.text("prompt"), part="scorer")


def _answer(row: Row) -> str:
    """`A` or `B`: of the turns of a conversation, in the test the first and in training the second is the answer."""
    turns = row.values["conversations"]
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise row.wrong("conversations", "a list of turns")
    answers = [_ANSWER.fullmatch(str(turn.get("value") or "")) for turn in turns]
    return next((found[1] for found in answers if found), "")


PREFERIMG = Converter(
    ConverterCard(
        name="preferimg",
        summary="likes and dislikes, and a pair of which the same user prefers one (PreferThinker, arXiv 2511.00609)",
        source="https://huggingface.co/datasets/ZhouSimple/PreferImg-Bench",
        licence="MIT",
        terms="PICKAPIC holds pictures and choices of Pick-a-Pic, whose own card states no licence",
        get="hf download --repo-type dataset ZhouSimple/PreferImg-Bench --local-dir PreferImg-Bench",
        size="2,394 cases",
        people="894 cases of people (PICKAPIC); 250 each in MP_ID and MP_OD, 500 each in SP_ID and SP_OD of agents",
        keeps="prefered_images and non_prefered_images for methods, imageA and imageB as a pair for scorers; a user is "
        "user_id, or a case where there is none",
        drops="pairs without an answer; pictures of a pair that are in a history, or the other way round; what models "
        "wrote of the pictures",
        columns="as its owner's evaluation has them (Shengqi77/PreferThinker, eval_PreferThinker.py), the answer also "
        "where its training has it; user_id and prompt were not seen in the tests and are read where they are",
    ),
    read_preferimg,
)
