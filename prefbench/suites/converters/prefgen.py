"""PrefGen's own data: simulated users, each with pairs of a liked and a disliked picture of one prompt."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from prefbench.api import PrefbenchError
from prefbench.suites.converters.converter import Converter, ConverterCard
from prefbench.suites.converters.disjoint import disjoint_splits
from prefbench.suites.converters.readers.pictures import Pictures
from prefbench.suites.converters.readers.rows import Row, read_rows
from prefbench.suites.converters.readers.unpickle import read_pickle
from prefbench.suites.folder.writer import Judged, JudgedPicture, LeftOut

_COLUMNS = ("id", "image_file", "text", "positive_img", "negative_img", "prompt_list")
_SURE = 0.9
"""The share of users whose liked pictures must agree on a part of their names for it to be taken as the profile."""


@dataclass
class _User:
    """What one user judged: prompts by pair of liked and disliked picture, and by picture that a model was to draw."""

    pairs: dict[tuple[str, str], str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)

    @property
    def liked(self) -> set[str]:
        return {liked for liked, _ in self.pairs} | {*self.targets}

    @property
    def alone(self) -> list[str]:
        """The targets that are in no pair."""
        paired = {liked for liked, _ in self.pairs}
        return [name for name in self.targets if name not in paired]

    @property
    def pictures(self) -> set[str]:
        return self.liked | {disliked for _, disliked in self.pairs}


def read_prefgen(
    source: Path,
    *,
    part: Literal["diffusiondb", "coco"] = "diffusiondb",
    profiles: Literal["names", "attributes", "images"] = "names",
    users: int | None = None,
) -> Iterator[Judged]:
    """Pairs of a liked and a disliked picture, and the pictures that a model was to draw as likes of their own.

    Args:
        source: the folder with `json/` or `pkl/`, and the pictures in the parts of the tar or unpacked from it.
        part: where the prompts come from; each part is a suite.
        profiles: what two splits must not share beside pictures: the profile that the names of pictures hold, the
            attributes of `pkl/`, or nothing (`images`).
        users: the first so many users of the file; None for all.
    """
    people = _people(source, part, users)
    splits = disjoint_splits(_keys(source, part, profiles, people))
    files = Pictures(source, below=(part, f"{part}/{part}", f"images/{part}", ""), archives=part)
    for user, own in people.items():
        if user in splits:
            yield from _judged(user, own, files, splits[user])
        else:
            lost = LeftOut("of a user whose pictures or profiles two splits would share", f"user {user}")
            yield from (lost for _ in (*own.pairs, *own.pairs, *own.alone))


def _judged(user: str, own: _User, files: Pictures, split: str) -> Iterator[Judged]:
    for n, ((liked, disliked), prompt) in enumerate(own.pairs.items(), 1):
        for name, is_liked in ((liked, True), (disliked, False)):
            yield JudgedPicture(files.find(name), user, is_liked, pair=str(n), prompt=prompt, split=split)
    for name in own.alone:
        yield JudgedPicture(files.find(name), user, True, prompt=own.targets[name], split=split)


def _people(source: Path, part: str, limit: int | None) -> dict[str, _User]:
    """The users by their ids, in the order of the file. Raises `PrefbenchError` where there is neither file."""
    table, pickled = source / "json" / f"{part}.json", source / "pkl" / f"{part}.pkl"
    if table.is_file():
        people = _of_records(table, part, limit)
    elif pickled.is_file():
        people = _of_pickle(pickled, part, limit)
    else:
        raise PrefbenchError(f"{source} holds neither json/{part}.json nor pkl/{part}.pkl; {_GET}")
    if not people:
        raise PrefbenchError(f"{table if table.is_file() else pickled} holds no user")
    return people


def _of_records(path: Path, part: str, limit: int | None) -> dict[str, _User]:
    """Users from JSON: each has records, one for a target, whose references repeat."""
    people: dict[str, _User] = {}
    for row in read_rows(path, _COLUMNS):
        user = row.text("id")
        if not user:
            raise row.wrong("id", "the id of a user")
        if user not in people and len(people) == limit:
            continue
        liked, disliked, prompts = (row.texts(name) for name in ("positive_img", "negative_img", "prompt_list"))
        if not len(liked) == len(disliked) == len(prompts):
            counts = f"{len(liked)}, {len(disliked)} and {len(prompts)}"
            raise PrefbenchError(f"{row}: positive_img, negative_img and prompt_list are of one length, got {counts}")
        own = people.setdefault(user, _User())
        for good, bad, prompt in zip(liked, disliked, prompts, strict=True):
            own.pairs.setdefault((_name(row, good, part), _name(row, bad, part)), sys.intern(prompt.strip()))
        own.targets.setdefault(_name(row, row.text("image_file"), part), row.text("text"))
    return people


def _of_pickle(path: Path, part: str, limit: int | None) -> dict[str, _User]:
    """Users from the PKL: tuples of disliked, liked and prompt, in this order, and last of all the attributes."""
    people: dict[str, _User] = {}
    for n, (user, values) in enumerate(list(_pickled(path).items())[:limit], 1):
        row = Row(path, n, {"pairs": values})
        own = people.setdefault(str(user), _User())
        for pair in values[:-1]:
            if not isinstance(pair, tuple | list) or [type(one) for one in pair] != [str, str, str]:
                raise row.wrong("pairs", "tuples of disliked picture, liked picture and prompt")
            disliked, liked = (_name(row, name, part) for name in pair[:2])
            own.pairs.setdefault((liked, disliked), sys.intern(pair[2].strip()))
    return people


def _pickled(path: Path) -> dict[Any, list[Any]]:
    content = read_pickle(path)
    if not isinstance(content, dict) or not all(isinstance(one, list) and one for one in content.values()):
        raise PrefbenchError(f"{path} is no dictionary of a list for each user")
    return content


def _name(row: Row, name: str, part: str) -> str:
    """The file name alone: with and without the folders that the JSON has and the PKL has not."""
    parts = PurePosixPath(name).parts
    while len(parts) > 1 and parts[0] == part:
        parts = parts[1:]
    if not parts:
        raise PrefbenchError(f"{row}: a picture has no name")
    return sys.intern("/".join(parts))


def _keys(source: Path, part: str, profiles: str, people: Mapping[str, _User]) -> dict[str, set[str]]:
    """What each user must not share with users of another split: pictures, and both profiles."""
    if profiles == "names":
        place = _profile_place(people)
        return {
            user: {*own.pictures, *(f"profile {_parts(name)[place]}" for name in own.pictures)}
            for user, own in people.items()
        }
    keys = {user: own.pictures for user, own in people.items()}
    if profiles == "attributes":
        for user, values in _pickled(source / "pkl" / f"{part}.pkl").items():
            if str(user) in keys:
                keys[str(user)] |= {f"attributes {one}" for one in values[-1]}
    return keys


def _profile_place(people: Mapping[str, _User]) -> int:
    """Which part of a name, before or after the last underscore, is one for all that a user likes.

    Raises:
        PrefbenchError: neither is for nearly all users, so that names do not say what two users share.
    """
    several = [[_parts(name) for name in own.liked] for own in people.values() if len(own.liked) > 1]
    same = [sum(len({parts[place] for parts in names}) == 1 for names in several) for place in (0, 1)]
    best = max((1, 0), key=lambda place: same[place])
    if same[best] < _SURE * len(several):
        raise PrefbenchError(
            f"the names of liked pictures agree on a profile for {same[best]} of {len(several)} users alone; "
            "-p profiles=attributes takes the attributes of pkl/, -p profiles=images divides by pictures"
        )
    return best


def _parts(name: str) -> tuple[str, str]:
    before, _, after = PurePosixPath(name).stem.rpartition("_")
    return before, after


_GET = "hf download --repo-type dataset wenyii/PrefBench --local-dir PrefBench"
PREFGEN = Converter(
    ConverterCard(
        name="prefgen",
        summary="simulated users of PrefGen (arXiv 2512.06020): liked and disliked pictures in pairs of one prompt",
        source="https://huggingface.co/datasets/wenyii/PrefBench",
        revision='1795deb, "Upload folder using huggingface_hub"',
        licence="none stated",
        terms="its card states no licence, so whether you may use it is between you and its authors",
        get=_GET,
        size="diffusiondb.tar in 6 parts, about 24 GB; coco.tar in 4; the number of pictures is not stated",
        people="no people: agents with about 50 attributes; 50,153 in the paper, not counted in the release; some 8 to "
        "10 liked pictures each",
        keeps="a pair for each index of positive_img and negative_img with prompt_list, once for each user; image_file "
        "as a like with its own prompt; splits of 60, 20, 5 and 15 % that share no picture and no liked or disliked "
        "profile",
        drops="users who stand between two splits; the attributes, which are the truth about a user; of two records of "
        "a user what repeats",
        columns="the JSON as its card and a reader of the data (tmp-friends/personalized-t2i) have it, the PKL as its "
        "card and Premier's trainer have it; that names hold a profile is inferred, and checked on the names",
    ),
    read_prefgen,
)
