"""PIPBench: pictures that people and agents liked, with prompts to draw for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from prefbench.suites.converters.converter import Converter, ConverterCard
from prefbench.suites.converters.readers.pictures import Pictures
from prefbench.suites.converters.readers.rows import read_rows, the_table
from prefbench.suites.folder.writer import Judged, JudgedPicture, LeftOut

_COLUMNS = ("image_id", "category", "prompt", "ref_images", "gt_images")


def read_pipbench(source: Path, *, category: Literal["all", "real", "synthetic"] = "all") -> Iterator[Judged]:
    """Likes alone; a picture that is the target of a case has the prompt of the case.

    Args:
        source: the folder with `metadata.json`.
        category: whose likes: those of people, `real`, of agents, `synthetic`, or of both.
    """
    liked: dict[str, dict[str, str]] = defaultdict(dict)
    for row in read_rows(the_table(source, "metadata.json", "metadata.jsonl"), _COLUMNS):
        kind, number = row.text("category"), row.text("image_id")
        if category not in ("all", kind):
            continue
        if not kind or not number:
            raise row.wrong("image_id", "the number of a user, with a category")
        own = liked[f"{kind}-{number}"]
        for name in row.texts("ref_images"):
            own.setdefault(name, "")
        for name in row.texts("gt_images"):
            if own.get(name):
                yield LeftOut("of a target that another case has already", str(row))
            else:
                own[name] = row.text("prompt")
    files = Pictures(source)
    for user, own in liked.items():
        for name, prompt in own.items():
            yield JudgedPicture(files.find(name), user, True, prompt=prompt)


PIPBENCH = Converter(
    ConverterCard(
        name="pipbench",
        summary="pictures that people and agents liked, with prompts to draw for (arXiv 2607.06440)",
        source="https://huggingface.co/datasets/AirRain03/PIPBench",
        licence="CC-BY-NC-4.0",
        terms="not for commercial use; name its authors",
        get="hf download --repo-type dataset AirRain03/PIPBench --local-dir PIPBench",
        size="1,876 pictures, 1,369 cases",
        people="76 people with 645 pictures and 650 cases (real), 175 agents with 1,231 pictures and 719 cases "
        "(synthetic); likes alone",
        keeps="each picture of a user once, as a like; the prompt of a case with its target; users are called "
        "real-N and synthetic-N by image_id, the only number that groups pictures",
        drops="which pictures its cases have as references: a target is a reference of other cases, so the halves that "
        "methods and scorers see are made anew; a second prompt of one target",
        columns="as its owner's reader has them (wuyuhang05/PIPBench, pipbench/data.py)",
    ),
    read_pipbench,
)
