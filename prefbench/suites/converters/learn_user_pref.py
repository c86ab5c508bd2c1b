"""learn-user-pref: users of Pick-a-Pic v2, each row with pairs for the history and one pair that is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from prefbench.suites.converters.converter import Converter, ConverterCard
from prefbench.suites.converters.readers.choices import choice
from prefbench.suites.converters.readers.frames import read_frame
from prefbench.suites.converters.readers.rows import Row, read_rows
from prefbench.suites.folder.writer import Judged, LeftOut

_COLUMNS = (
    "user_id", "reference_list", "reference_list_bad", "reference_prompt_list", "image0", "image1", "prompt", "label0",
)  # fmt: skip


def read_learn_user_pref(source: Path) -> Iterator[Judged]:
    """The pairs of the history are for methods, the pair that is held out for scorers.

    Args:
        source: a pickled `DataFrame` as published, or the same table as Parquet.
    """
    rows = read_frame(source, _COLUMNS) if source.suffix == ".pkl" else read_rows(source, _COLUMNS)
    seen: set[bytes] = set()
    for row in rows:
        user = row.text("user_id")
        if not user:
            yield LeftOut("of a row without a user", str(row))
            continue
        for liked, disliked, prompt in _history(row):
            pair = _pair(liked, disliked)
            if (once := f"{user} {pair}".encode()) not in seen:
                seen.add(once)
                yield from choice(user, liked, disliked, pair=pair, prompt=prompt, part="method")
        label = row.float("label0")
        if label not in (0.0, 1.0):
            yield from [LeftOut("of a tie" if label == 0.5 else "of a choice without a label", str(row))] * 2
            continue
        sides = [_bytes(row, name) for name in (("image0", "image1") if label else ("image1", "image0"))]
        pair = f"held out {row.number}"
        yield from choice(user, *sides, pair=pair, prompt=row.text("prompt"), part="scorer")


def _history(row: Row) -> Iterator[tuple[bytes, bytes, str]]:
    """Liked picture, disliked picture and prompt at each index."""
    lists = [row.values[name] for name in _COLUMNS[1:4]]
    if not all(isinstance(one, list) for one in lists) or len({len(one) for one in lists}) != 1:
        raise row.wrong("reference_list", "as long a list as reference_list_bad and reference_prompt_list")
    for good, bad, prompt in zip(*lists, strict=True):
        if not isinstance(good, bytes) or not isinstance(bad, bytes):
            raise row.wrong("reference_list", "a list of encoded pictures")
        yield good, bad, str(prompt or "").strip()


def _bytes(row: Row, name: str) -> bytes:
    value = row.values[name]
    if not isinstance(value, bytes):
        raise row.wrong(name, "an encoded picture")
    return value


def _pair(liked: bytes, disliked: bytes) -> str:
    """The same for the same two pictures: rows of a user repeat pairs."""
    return hashlib.sha256(hashlib.sha256(liked).digest() + hashlib.sha256(disliked).digest()).hexdigest()[:16]


LEARN_USER_PREF = Converter(
    ConverterCard(
        name="learn-user-pref",
        summary="users of Pick-a-Pic v2: pairs of a liked and a disliked picture, and one pair that is held out",
        source="https://huggingface.co/datasets/wenyii/learn-user-pref",
        revision="7cec9b4 (of the model of the same name)",
        licence="MIT",
        terms="its pictures and choices come from Pick-a-Pic v2, which was withdrawn and states no licence",
        get="hf download --repo-type dataset wenyii/learn-user-pref bench_test_w_bad.pkl --local-dir learn-user-pref",
        takes="file",
        size="bench_test_w_bad.pkl 551 MB; the parts of train 6 to 8 GB each, above the 2 GB that are read",
        people="people; rows and users are not stated; 8 pairs a row where its evaluation reads them",
        keeps="the history for methods, once for each user; image0 and image1 as a pair for scorers, by label0",
        drops="held-out pairs with a label of .5, which its own loader passes over; pictures of a held-out pair that "
        "are in a history, or the other way round",
        columns="as its card and its owner's evaluation have them (Mowenyii/learn-user-pref, eval.py); the pickle is "
        "read as DataFrames of pandas 1.3 or later are written, and never run",
    ),
    read_learn_user_pref,
)
