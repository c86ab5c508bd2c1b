"""Pick-a-Pic: people's choices between two pictures that were drawn for their own prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from prefbench.api import PrefbenchError
from prefbench.suites.converters.converter import Converter, ConverterCard
from prefbench.suites.converters.readers.choices import Found, choice
from prefbench.suites.converters.readers.pictures import Member, Pictures
from prefbench.suites.converters.readers.rows import Row, read_rows
from prefbench.suites.folder.writer import Judged, LeftOut

_COLUMNS = ("caption", "image_0_uid", "image_1_uid", "label_0", "label_1", "ranking_id", "user_id")
_OPTIONAL = ("has_label", "are_different", "created_at", "jpg_0", "jpg_1", "image_0_url", "image_1_url")
_SUFFIXES = ("", ".jpg", ".png", ".jpeg", ".webp")


def read_pickapic(
    source: Path,
    *,
    split: Literal["all", "train", "validation", "test", "validation_unique", "test_unique"] = "all",
    pictures: str = "",
) -> Iterator[Judged]:
    """Choices as pairs, in the order of the files.

    Args:
        source: the folder with the Parquet files.
        split: files of which split; `all` are train, validation and test. The owner's splits share people, so they are
            no splits of users.
        pictures: the folder with pictures called by their uid, for copies without `jpg_0` and `jpg_1`.
    """
    files = Pictures(Path(pictures) if pictures else source, by_name=True)
    for table in _tables(source, split):
        for row in read_rows(table, _COLUMNS, _OPTIONAL):
            reason = _no_choice(row)
            if reason:
                yield from [LeftOut(reason, str(row))] * 2
                continue
            first = 0 if row.float("label_0") == 1 else 1
            sides = [_picture(row, n, files) for n in (first, 1 - first)]
            # a ranking has several choices, so the number of the row tells them apart
            pair = f"{table.stem}/{row.number}"
            yield from choice(row.text("user_id"), *sides, pair=pair, prompt=row.text("caption"), time=_time(row))


def _tables(source: Path, split: str) -> Sequence[Path]:
    splits = ("train", "validation", "test") if split == "all" else (split,)
    tables = [path for path in sorted(source.rglob("*.parquet")) if path.stem.partition("-")[0] in splits]
    if not tables:
        raise PrefbenchError(
            f"{source} has no Parquet files of {' or '.join(splits)}, such as {splits[0]}-00000-....parquet"
        )
    return tables


def _no_choice(row: Row) -> str:
    """Why a row says nothing about two pictures; empty where it does."""
    if row.values.get("has_label") is False:
        return "of a choice that was not made (has_label is false)"
    if row.values.get("are_different") is False or row.text("image_0_uid") == row.text("image_1_uid"):
        return "of a choice between equal pictures"
    if not row.text("user_id"):
        return "of a choice by nobody"
    labels = (row.float("label_0"), row.float("label_1"))
    if labels == (0.5, 0.5):
        return "of a tie"
    if labels not in ((0.0, 1.0), (1.0, 0.0)):
        return "of a choice whose labels are not 0 and 1"
    return ""


def _picture(row: Row, side: int, files: Pictures) -> Found:
    """The bytes in the row, else the file called by the uid."""
    data = row.values.get(f"jpg_{side}")
    if data:
        return files.pick(data)
    uid = row.text(f"image_{side}_uid")
    found = [files.find(uid + suffix) for suffix in _SUFFIXES]
    there = next((one for one in found if isinstance(one, Path | Member)), None)
    if there is None and row.text(f"image_{side}_url"):
        return files.pick(row.text(f"image_{side}_url"))
    return found[1] if there is None else there


def _time(row: Row) -> str:
    moment = row.values.get("created_at")
    return moment.isoformat() if isinstance(moment, datetime) else ""


_KEEPS = "a pair for each choice with caption and time, pictures from jpg_0 and jpg_1 or from files called by their uid"
_DROPS = (
    "ties (labels of .5), choices without a label, between equal pictures or by nobody; validation_unique and "
    "test_unique, which repeat; the owner's splits, since they share people; model_0 and model_1"
)
PICKAPIC_V1 = Converter(
    ConverterCard(
        name="pickapic-v1",
        summary="people's choices between two pictures drawn for a prompt of their own (arXiv 2305.01569)",
        source="https://huggingface.co/datasets/yuvalkirstain/pickapic_v1",
        licence="none stated",
        terms="its card states no licence, and it was reported gone from the hub in July 2025 (youweiliang/RichHF "
        "issue 1): a copy is yours to answer for",
        get="hf download --repo-type dataset yuvalkirstain/pickapic_v1 --local-dir pickapic_v1, where it is to be had",
        size="train 583,747, validation 17,439, test 14,073 choices; 202 GB",
        people="4,375 people after its paper's filter",
        keeps=_KEEPS,
        drops=_DROPS,
        columns="as its card has them; that .5 is a tie is not in the card but general knowledge",
    ),
    read_pickapic,
)
PICKAPIC_V2 = Converter(
    ConverterCard(
        name="pickapic-v2",
        summary="people's choices between two pictures drawn for a prompt of their own, more of them than v1",
        source="https://huggingface.co/datasets/yuvalkirstain/pickapic_v2",
        licence="none stated",
        terms="no licence is stated, and the hub has had no copy since 30 April 2025 (yuvalkirstain/PickScore issue "
        "36): a copy is yours to answer for",
        get="hf download --repo-type dataset yuvalkirstain/pickapic_v2 --local-dir pickapic_v2, where it is to be had",
        size="train 959,040, validation 20,596, test 20,716 choices; 322 GB",
        people="about 5,000 people",
        keeps=_KEEPS,
        drops=_DROPS,
        columns="as the card of v1 and loaders of v2 have them; that .5 is a tie is general knowledge",
    ),
    read_pickapic,
)
