"""A small copy of every data set that has a converter, with the traps that the real one has."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.support.published import image_bytes, write_json, write_pictures_as, write_prefgen, write_tar

USERS, EACH = 3, 8
"""People of a copy, and pictures or choices of each."""


def write_pamela(folder: Path) -> Path:
    """Ratings of shared pictures; paths start with `./`; one picture that is none; a score that is missing."""
    pictures = [f"images/{n}.png" for n in range(EACH)]
    write_pictures_as(folder, pictures)
    (folder / "images" / "broken.png").write_bytes(b"no picture")
    split_of = {"1": "pamela_train", "2": "pamela_val_unseen", "3": "pamela_test_unseen"}
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in (*split_of.values(), "pamela_test_seen")}
    for user, table in split_of.items():
        for n, name in enumerate(pictures):
            where = "pamela_test_seen" if user == "1" and n > 5 else table
            tables[where].append(
                {
                    "participant_id": user,
                    "image_id": n,
                    "image_path": f"./{name}",
                    "original_score": 1 + (n * 3) % 5,
                    "image_metadata": {"group": "Animals", "style": None, "type": "Photorealism"},
                    "age": 30,
                }
            )
    tables["pamela_train"].append({**tables["pamela_train"][0], "original_score": None})
    tables["pamela_train"].append({**tables["pamela_train"][0], "image_path": "images/broken.png"})
    for name, rows in tables.items():
        write_json(folder / "annotations" / f"{name}.json", rows)
    return folder


def write_pipbench(folder: Path) -> Path:
    """Likes alone; targets are references of other cases; `gt_images` is one text; people and agents."""
    rows: list[dict[str, Any]] = []
    for user in range(USERS):
        level, kind = ("L2", "synthetic") if user else ("L3", "real")
        names = [f"{level}-benchmark/images/{user}/{n}.png" for n in range(EACH)]
        for n, name in enumerate(names):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(image_bytes(user * EACH + n))
        for n in range(5):
            case = {"id": len(rows), "image_id": user, "category": kind, "prompt": f"prompt {user} {n}"}
            rows.append({**case, "ref_images": names[n + 1 : n + 4], "gt_images": names[n]})
    rows.append({**rows[0], "id": len(rows), "prompt": "another prompt of one target"})
    write_json(folder / "metadata.json", rows)
    return folder


def write_preferimg(folder: Path) -> Path:
    """The answer in the first turn, as in tests, or behind the question; one item without; no user ids."""
    names = [f"{n}.png" for n in range(USERS * 12 + 2)]
    write_pictures_as(folder / "data" / "PICKAPIC" / "images", names)
    items = []
    for user in range(USERS):
        own = names[user * 12 : user * 12 + 12]
        answers = [
            [{"from": "human", "value": "Image B"}],
            [
                {"value": "Which one?\nImage A or Image B?"},
                {"value": "<think>Image B(3)</think><answer>Image A</answer>"},
            ],
            [{"from": "human", "value": " Image A "}],
        ]
        items.append(
            {
                "imageA": own[10],
                "imageB": own[11],
                "prefered_images": own[:5],
                "non_prefered_images": own[5:10],
                "conversations": answers[user],
            }
        )
    lost = {**items[0], "imageA": names[-1], "imageB": names[-2], "conversations": [{"value": "neither"}]}
    write_json(folder / "data" / "PICKAPIC" / "PICKAPIC.json", [*items, lost])
    return folder


def pickapic_rows() -> list[dict[str, Any]]:
    """Rows of Pick-a-Pic: a tie, no label, equal pictures, nobody, a label of nothing, addresses; ids as integers."""
    rows = [
        {
            "are_different": True, "best_image_uid": f"u{user}-{n}-0", "caption": f"prompt {user} {n}",
            "created_at": pd.Timestamp("2023-01-01") + pd.Timedelta(days=n), "has_label": True,
            "image_0_uid": f"u{user}-{n}-0", "image_0_url": "https://example.org/0.png",
            "image_1_uid": f"u{user}-{n}-1", "image_1_url": "https://example.org/1.png",
            "jpg_0": image_bytes(100 * user + 2 * n, "JPEG"), "jpg_1": image_bytes(100 * user + 2 * n + 1, "JPEG"),
            "label_0": float(n % 2), "label_1": 1.0 - n % 2, "model_0": "sdxl", "model_1": "dreamlike",
            "ranking_id": n // 2, "user_id": user, "num_example_per_prompt": 4, "__index_level_0__": n,
        }
        for user in range(USERS)
        for n in range(EACH)
    ]  # fmt: skip
    changes: list[Mapping[str, Any]] = [
        {"label_0": 0.5, "label_1": 0.5}, {"has_label": False}, {"are_different": False}, {"image_1_uid": "u0-0-0"},
        {"label_0": 0.0, "label_1": 0.0}, {"jpg_0": None}, {"jpg_1": b"no picture"},
    ]  # fmt: skip
    return rows + [{**rows[0], **change} for change in changes]


def write_pickapic(folder: Path) -> Path:
    """Two shards, and the split of one prompt each, which repeats what the others hold."""
    frame = pd.DataFrame(pickapic_rows())
    (folder / "data").mkdir(parents=True)
    frame[::2].to_parquet(folder / "data" / "train-00000-of-00001-0a1b.parquet", index=False)
    frame[1::2].to_parquet(folder / "data" / "test-00000-of-00001-2c3d.parquet", index=False)
    frame[:4].to_parquet(folder / "data" / "validation_unique-00000-of-00001-4e5f.parquet", index=False)
    return folder


def learn_user_pref_frame() -> pd.DataFrame:
    """Two rows a user that share their history; a label of .5; a held-out picture that is in a history."""
    rows: list[dict[str, Any]] = []
    for user in range(USERS):
        liked, disliked = ([image_bytes(200 * user + 20 * side + n, "JPEG") for n in range(8)] for side in (0, 1))
        for held in range(2):
            sides = [image_bytes(200 * user + 100 + 2 * held + n, "JPEG") for n in range(2)]
            rows.append(
                {
                    "user_id": user,
                    "reference_list": liked,
                    "reference_list_bad": np.array(disliked, dtype=object),
                    "reference_prompt_list": [f"prompt {user} {n}" for n in range(8)],
                    "image0": sides[0],
                    "image1": sides[1],
                    "prompt": f"held out {user} {held}",
                    "label0": float(held),
                }
            )
    rows += [{**rows[0], "label0": 0.5}, {**rows[1], "image0": rows[0]["reference_list"][0]}]
    frame = pd.DataFrame(rows).astype({"prompt": object})
    frame.columns = pd.Index(list(frame.columns), dtype=object)
    return frame


def write_learn_user_pref(folder: Path) -> Path:
    folder.mkdir()
    (folder / "bench_test_w_bad.pkl").write_bytes(pickle.dumps(learn_user_pref_frame()))
    return folder / "bench_test_w_bad.pkl"


def write_hpdv2(folder: Path, votes: str = "raw_annotations") -> Path:
    """Everybody ranks the same pictures, some with ties; the mean rank stands beside."""
    rows: list[dict[str, Any]] = []
    for prompt in range(6):
        names = [f"{prompt}-{n}.jpg" for n in range(4)]
        for n, name in enumerate(names):
            (folder / "test").mkdir(parents=True, exist_ok=True)
            (folder / "test" / name).write_bytes(image_bytes(10 * prompt + n, "JPEG"))
        ranks = [[1, 2, 3, 4], [1, 2, 2, 4], [2, 1, 3, 4]]
        rows.append(
            {
                "prompt": f"prompt {prompt}",
                "image_path": names,
                "rank": [1, 2, 3, 4],
                votes: [{"rank": rank, "user_hash": f"hash{user}"} for user, rank in enumerate(ranks)],
            }
        )
    write_json(folder / "test.json", rows)
    return folder


def write_lapis(folder: Path) -> Path:
    """The name of a work has its kind in front and the pictures lie flat; one is missing, one response is empty."""
    names = [f"work-{n}.jpg" for n in range(EACH)]
    write_pictures_as(folder / "images", names, "JPEG")
    (folder / "images" / names[-1]).unlink()
    rows = [
        {
            "image_id": n, "image_filename": f"figurative/{name}", "participant_id": user, "response": (n * 37) % 100,
            "nationality": "british", "age": 30,
        }
        for user in range(USERS)
        for n, name in enumerate(names)
    ]  # fmt: skip
    rows[1]["response"] = None
    (folder / "annotation").mkdir()
    table = folder / "annotation" / "LAPIS_individualratings_metaANDdemodata.csv"
    pd.DataFrame(rows).astype({"response": "Int64"}).to_csv(table, index=False)
    return folder


def write_flickr_aes(folder: Path) -> Path:
    """Spaces after the commas, in the heading too."""
    names = [f"farm1_{n}.jpg" for n in range(EACH)]
    write_pictures_as(folder / "40K", names, "JPEG")
    lines = ["worker, imagePair, score"]
    lines += [f"A{user}, {name}, {1 + n % 5}" for user in range(USERS) for n, name in enumerate(names)]
    (folder / "FLICKR-AES_image_labeled_by_each_worker.csv").write_text("\n".join([*lines, "A0, farm1_1.jpg, "]) + "\n")
    return folder


SIMULACRA_TABLES = """
    CREATE TABLE survey (id INTEGER, qid INTEGER, rating INTEGER, PRIMARY KEY(id, qid));
    CREATE TABLE generations (id INTEGER PRIMARY KEY, sid INTEGER, method INTEGER, prompt TEXT, verified INTEGER);
    CREATE TABLE images (id INTEGER PRIMARY KEY AUTOINCREMENT, gid INTEGER, idx INTEGER);
    CREATE TABLE paths (iid INTEGER, path TEXT);
    CREATE TABLE ratings (sid INTEGER, iid INTEGER, rating INTEGER, verified INTEGER);
    CREATE TABLE upscales (iid INTEGER PRIMARY KEY, method INTEGER);
"""


def write_simulacra(folder: Path) -> Path:
    """Pictures in a tar; a survey of 21 answers; ratings of nothing, of nobody and of a picture without a path."""
    folder.mkdir()
    with sqlite3.connect(folder / "sac_public_2022_06_29.sqlite") as made:
        made.executescript(SIMULACRA_TABLES)
        for user in range(USERS + 1):
            made.executemany("INSERT INTO survey VALUES (?, ?, 5)", [(user, q) for q in range(20 + (user == USERS))])
        for n in range(EACH):
            made.execute("INSERT INTO generations VALUES (?, 0, 3, ?, 1)", (n, f"prompt {n}"))
            made.execute("INSERT INTO images VALUES (?, ?, 1)", (n, n))
            made.execute("INSERT INTO paths VALUES (?, ?)", (n, f"{n}_prompt_{n}_1.png"))
            made.executemany(
                "INSERT INTO ratings VALUES (?, ?, ?, 1)", [(u, n, 1 + (n * 3) % 10) for u in range(USERS + 1)]
            )
        made.executemany("INSERT INTO ratings VALUES (?, ?, ?, 1)", [(0, 0, None), (None, 0, 5), (0, 99, 5)])
    made.close()
    write_tar(folder / "sac-000000.tar", {f"{n}_prompt_{n}_1.png": image_bytes(n) for n in range(EACH)})
    return folder


COPIES: Mapping[str, Callable[[Path], Path]] = {
    "prefgen": partial(write_prefgen, users=24),
    "pamela": write_pamela,
    "pipbench": write_pipbench,
    "preferimg": write_preferimg,
    "pickapic-v1": write_pickapic,
    "pickapic-v2": write_pickapic,
    "learn-user-pref": write_learn_user_pref,
    "hpdv2": write_hpdv2,
    "lapis": write_lapis,
    "flickr-aes": write_flickr_aes,
    "simulacra": write_simulacra,
}
"""Name of a converter to what writes a copy into a new folder and gives `SOURCE`."""
