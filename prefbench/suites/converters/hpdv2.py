"""HPDv2's test votes: annotators rank pictures that several models drew for one prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from prefbench.api import PrefbenchError
from prefbench.suites.converters.converter import Converter, ConverterCard
from prefbench.suites.converters.readers.choices import choice
from prefbench.suites.converters.readers.pictures import Pictures
from prefbench.suites.converters.readers.rows import Row, check_columns, read_rows, the_table
from prefbench.suites.folder.writer import Judged, LeftOut

_TOGETHER = 0.3
"""By what share more of the pairs the annotators must rank as the mean rank does than the other way."""
_VOTES = ("raw_annotations", "raw_annotation")


def read_hpdv2(source: Path) -> Iterator[Judged]:
    """A pair for every two pictures that an annotator ranks apart.

    Args:
        source: the folder with `test.json` and the pictures in `test/`.
    """
    files, table = Pictures(source, below=("test", "")), the_table(source, "test.json")
    together = compared = 0
    for row in read_rows(table, ("prompt", "image_path", "rank"), _VOTES):
        names = row.texts("image_path")
        for user, ranks in _rankings(row, len(names)):
            for i, j in combinations(range(len(names)), 2):
                sign = np.sign(ranks[i] - ranks[j])
                mean = np.sign(row.values["rank"][i] - row.values["rank"][j])
                together, compared = together + int(sign * mean), compared + abs(int(sign * mean))
                if not sign:
                    yield from [LeftOut("of a tie", str(row))] * 2
                    continue
                better, worse = (files.find(names[n]) for n in ((i, j) if sign < 0 else (j, i)))
                yield from choice(user, better, worse, pair=f"{row.number}/{i}-{j}", prompt=row.text("prompt"))
    if together < _TOGETHER * compared:
        raise PrefbenchError(f"{table}: annotators' ranks do not go with the mean rank: it is laid out in another way")


def _rankings(row: Row, n: int) -> Iterator[tuple[str, Sequence[float]]]:
    """Annotator and rank of each picture, 1 for the best."""
    check_columns(row, list(row.values), [next((name for name in _VOTES if name in row.values), _VOTES[0])])
    if not _are_ranks(row.values["rank"], n):
        raise row.wrong("rank", f"the mean rank of {n} pictures")
    votes: Any = next(row.values[name] for name in _VOTES if name in row.values)
    for vote in votes if isinstance(votes, list) else [None]:
        ranks = vote.get("rank") if isinstance(vote, dict) else None
        user = vote.get("user_hash") if isinstance(vote, dict) else None
        if not isinstance(user, str) or not user or not _are_ranks(ranks, n):
            raise row.wrong(_VOTES[0], f"a list of votes, each with user_hash and the rank of {n} pictures")
        yield user, ranks


def _are_ranks(ranks: object, n: int) -> TypeGuard[Sequence[float]]:
    return isinstance(ranks, list) and len(ranks) == n and all(isinstance(one, int | float) for one in ranks)


HPDV2 = Converter(
    ConverterCard(
        name="hpdv2",
        summary="annotators' rankings of pictures that several models drew for one prompt (arXiv 2306.09341)",
        source="https://huggingface.co/datasets/ymhao/HPDv2",
        licence="Apache-2.0",
        terms="name its authors and keep the licence with the pictures",
        get="hf download --repo-type dataset ymhao/HPDv2 test.json test.tar.gz --local-dir HPDv2, then in it: tar "
        "-xzf test.tar.gz",
        size="test.json 436 kB, test.tar.gz 158 MB; 400 prompts",
        people="people, each with the test prompts alone; 153,000 pairs of pictures when all votes are counted",
        keeps="a pair for every two pictures that one annotator ranks apart, with the prompt",
        drops="ties; train.json, which is not read; the mean rank",
        columns="as its owner's README has them (tgxs002/HPSv2), raw_annotation and raw_annotations alike; a lower "
        "rank is the better one, as in its evaluation of the mean rank, with which the votes are compared",
    ),
    read_hpdv2,
)
