"""Small copies of data sets as their owners publish them: the real columns, types and traps, pictures of noise."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.judged_folders import picture


def image_bytes(number: int, form: str = "PNG") -> bytes:
    """The file of the picture of a number."""
    stream = io.BytesIO()
    picture(number).save(stream, form)
    return stream.getvalue()


def write_json(path: Path, rows: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1))


def write_tar(path: Path, members: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def cut(path: Path, pieces: int) -> None:
    """A file in parts, as `split` cuts it, in its place."""
    data = path.read_bytes()
    size = -(-len(data) // pieces)
    for n in range(pieces):
        path.with_name(f"{path.name}.part-{n:05d}").write_bytes(data[n * size : (n + 1) * size])
    path.unlink()


def prefgen_records(users: int = 12, part: str = "diffusiondb") -> list[dict[str, Any]]:
    """Two records a user that share their references; user n likes profile n and dislikes n + 1: a chain of all."""
    records: list[dict[str, Any]] = []
    for user in range(users):
        liked, disliked = f"{user:07d}", f"{(user + 1) % users:07d}"
        references = [100 * (user % 3) + n for n in range(2)]
        for target in (900 + user, 950 + user):
            records.append(
                {
                    "id": str(user),
                    "image_file": f"{part}/{target}_{liked}.png",
                    "text": f"target {target}",
                    "positive_img": [f"{part}/{n}_{liked}.png" for n in references],
                    "negative_img": [f"{part}/{n}_{disliked}.png" for n in references],
                    "prompt_list": [f"prompt {n}" for n in references],
                }
            )
    return records


def prefgen_members(records: list[dict[str, Any]]) -> dict[str, bytes]:
    """The pictures that records name: the picture of a name is the same in every copy."""
    names = [name for row in records for name in (row["image_file"], *row["positive_img"], *row["negative_img"])]
    return {name: image_bytes(n) for n, name in enumerate(dict.fromkeys(names))}


def prefgen_pickle(records: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """The PKL of the same users: the dislike first, names without the part, the pair of attributes last."""
    users: dict[str, list[Any]] = {}
    for row in records:
        pairs = zip(row["negative_img"], row["positive_img"], row["prompt_list"], strict=True)
        bare = [(bad.split("/")[1], good.split("/")[1], prompt) for bad, good, prompt in pairs]
        number = int(row["id"])
        users[row["id"]] = [*bare, [f"style {(number + 1) % (len(records) // 2)}", f"style {number}"]]
    return users


def write_prefgen(folder: Path, users: int = 12, pieces: int = 3) -> Path:
    """A copy with JSON, PKL and a tar in pieces."""
    records = prefgen_records(users)
    write_json(folder / "json" / "diffusiondb.json", records)
    (folder / "pkl").mkdir()
    (folder / "pkl" / "diffusiondb.pkl").write_bytes(pickle.dumps(prefgen_pickle(records)))
    write_tar(folder / "diffusiondb.tar", prefgen_members(records))
    cut(folder / "diffusiondb.tar", pieces)
    return folder


def write_pictures_as(folder: Path, names: list[str], form: str = "PNG") -> None:
    """A picture for each name, its noise that of its place in the list."""
    for n, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image_bytes(n, form))
