"""A folder of judged pictures as a suite: what is read, what is divided, what is left out, and what is refused."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from prefbench.api import VIEWERS, History, PrefbenchError
from prefbench.check.suite import check_suite
from prefbench.registry import check_name
from prefbench.run.prepare import Settings, load_suite, prepare, suite_of_run
from tests.support.judged_folders import picture, write_layout, write_pictures, write_table

USERS = ("ann", "ben", "cy")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def judgments(user: str, likes: int = 4, dislikes: int = 4, **values: object) -> list[dict[str, object]]:
    """Rows of a table: pictures of their own, liked and disliked."""
    sides = [True] * likes + [False] * dislikes
    return [{"file_name": f"{user}-{n}.png", "user": user, "liked": liked, **values} for n, liked in enumerate(sides)]


def histories(folder: Path, **parameters: Any) -> dict[str, tuple[History, History]]:
    """Every test user's judgments, those that methods see first."""
    suite, _ = load_suite(str(folder), parameters)
    return {user.id: (suite.history(user.id), suite.history(user.id, "scorer")) for user in suite.users("test")}


def inventory(folder: Path) -> str:
    """What is said of the data, in one text."""
    return "; ".join(f"{name}: {line}" for name, line in load_suite(str(folder))[0].inventory().items())


def digests(history: History) -> set[str]:
    return {judgment.picture.digest for judgment in (*history.liked, *history.disliked)}


def test_folders_of_likes_and_dislikes_are_halved_between_methods_and_scorers(tmp_path: Path) -> None:
    for seen, kept in histories(write_layout(tmp_path / "mine", USERS)).values():
        assert [len(seen.liked), len(seen.disliked), len(kept.liked), len(kept.disliked)] == [3] * 4
        assert not digests(seen) & digests(kept)


def test_liked_and_disliked_alone_are_one_person(tmp_path: Path) -> None:
    write_pictures(tmp_path / "mine", [f"{side}/{side}{n}.jpg" for side in ("liked", "disliked") for n in range(4)])
    assert list(histories(tmp_path / "mine")) == ["user"]


def test_likes_alone_are_enough(tmp_path: Path) -> None:
    write_pictures(tmp_path / "mine", [f"liked/{n}.png" for n in range(4)])
    [(seen, kept)] = histories(tmp_path / "mine").values()
    assert (len(seen.liked), len(kept.liked), len(seen.disliked)) == (2, 2, 0)


def test_every_kind_of_table_says_the_same(tmp_path: Path) -> None:
    rows = [row for user in ("007", "8") for row in judgments(user, prompt="", rating=0.5)]
    folders = [write_table(tmp_path / kind / "data", rows) for kind in ("csv", "jsonl", "parquet")]
    frame = pd.DataFrame(rows)
    for folder in folders[1:]:
        (folder / "metadata.csv").unlink()
    (folders[1] / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    frame.to_parquet(folders[2] / "metadata.parquet")
    suites = [load_suite(str(folder))[0] for folder in folders]
    assert [user.id for user in suites[0].users("test")] == ["007", "8"]
    assert len({suite.digest for suite in suites}) == 1


def test_a_rating_above_the_users_own_median_is_a_like(tmp_path: Path) -> None:
    ratings = {"ann": (1, 2, 2, 3, 3, 1), "ben": (8, 9, 9, 10, 10, 8)}
    rows = [
        {"file_name": f"{user}-{n}.png", "user": user, "rating": rating}
        for user, own in ratings.items()
        for n, rating in enumerate(own)
    ]
    for seen, kept in histories(write_table(tmp_path / "mine", rows)).values():
        both = [*seen.liked, *kept.liked], [*seen.disliked, *kept.disliked]
        assert [len(side) for side in both] == [2, 2]
        assert min(j.rating or 0 for j in both[0]) > max(j.rating or math.inf for j in both[1])


def test_the_mean_of_a_picture_rated_twice_counts(tmp_path: Path) -> None:
    rows = [
        {"file_name": f"{n}.png", "user": "ann", "rating": rating}
        for n, rating in [(0, 1.0), (0, 5.0), (1, 2.0), (2, 2.5), (3, 4.0), (4, 0.0), (5, 6.0)]
    ]
    [(seen, kept)] = histories(write_table(tmp_path / "mine", rows)).values()
    ratings = {j.rating for history in (seen, kept) for j in history.liked}
    assert ratings == {3.0, 4.0, 6.0}


def test_the_two_pictures_of_a_choice_stay_in_one_part_with_all_that_they_chain_to(tmp_path: Path) -> None:
    rows = []
    for chain in range(8):
        for n in range(2):  # pictures 0-1 and 1-2: one chain of three pictures
            pair = {"user": "ann", "pair": f"{chain}-{n}"}
            rows += [{**pair, "file_name": f"{chain}-{n + side}.png", "liked": bool(side)} for side in (0, 1)]
    [(seen, kept)] = histories(write_table(tmp_path / "mine", rows)).values()
    assert not digests(seen) & digests(kept)
    for history in (seen, kept):
        assert len(history.liked) == len(history.disliked) == 8
        assert {j.pair for j in history.liked} == {j.pair for j in history.disliked}


def test_the_last_user_may_have_judged_nothing_that_another_did_not(tmp_path: Path) -> None:
    shared = [{**row, "user": user} for user in ("ben", "cy") for row in judgments("both")]
    found = histories(write_table(tmp_path / "mine", [*judgments("ann"), *judgments("bob"), *shared]))
    sizes = [(len(seen.liked), len(seen.disliked)) for seen, _ in found.values()]
    assert sizes == [(2, 2)] * 4


def test_where_everybody_judges_the_same_pairs_those_that_fall_apart_are_used_by_nobody(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = [(n, m) for n in range(12) for m in range(n)]
    rows = []
    for user in USERS:
        for number, pair in enumerate(pairs):
            first = rng.integers(2)
            rows += [
                {"file_name": f"{name}.png", "user": user, "pair": number, "liked": side == first}
                for side, name in enumerate(pair)
            ]
    folder = write_table(tmp_path / "mine", rows)
    everybody = histories(folder).values()
    seen, kept = (set().union(*(digests(both[part]) for both in everybody)) for part in (0, 1))
    assert (len(seen), len(kept)) == (6, 6)
    assert not seen & kept
    assert all(len(history.liked) == 15 for both in everybody for history in both)
    assert f"{3 * 36 * 2} judgments of pairs that fell apart into both parts" in inventory(folder)


def test_no_prompt_of_a_history_is_drawn_for(tmp_path: Path) -> None:
    rows = [
        {"file_name": f"{user}-{n}.png", "user": user, "liked": n % 2 == 0, "prompt": f"prompt {n // 2}"}
        for user in USERS
        for n in range(12)
    ]
    folder = write_table(tmp_path / "mine", rows, prompts="")
    suite, _ = load_suite(str(folder))
    seen = {j.prompt for user in USERS for j in suite.history(user).liked}
    cases = [case for user in USERS for case in suite.cases(user)]
    assert len(seen) == 3
    assert not seen & {case.prompt for case in cases}
    assert all(case.chosen and case.rejected for case in cases)
    (folder / "prompts.txt").write_text("prompt 1\nprompt 4\n")
    suite, _ = load_suite(str(folder))
    assert [case.prompt for case in suite.cases("ann")] == ["prompt 1", "prompt 4"]
    assert not {j.prompt for user in USERS for j in suite.history(user).liked} & {"prompt 1", "prompt 4"}


def test_the_latest_judgments_are_shown(tmp_path: Path) -> None:
    rows = [{**row, "time": f"2025-01-{28 - n:02}"} for n, row in enumerate(judgments("ann", 8, 8))]
    [(seen, _)] = histories(write_table(tmp_path / "mine", rows), history=2).values()
    [(whole, _)] = histories(tmp_path / "mine").values()
    assert seen.liked == whole.liked[-2:]
    names = [int(j.picture.path.stem.partition("-")[2]) for j in whole.liked if j.picture.path]
    assert names == sorted(names, reverse=True)


def test_splits_and_parts_of_the_table_are_kept(tmp_path: Path) -> None:
    rows = [{**row, "split": "train"} for row in judgments("ann")] + [
        {**row, "split": "validation", "part": VIEWERS[n % 2]} for n, row in enumerate(judgments("ben"))
    ]
    rows = [{"part": VIEWERS[n % 2], **row} for n, row in enumerate(rows)]
    suite, _ = load_suite(str(write_table(tmp_path / "mine", rows)))
    assert [[user.id for user in suite.users(split)] for split in ("train", "val", "test")] == [["ann"], ["ben"], []]
    assert [len(suite.history("ben", viewer).liked) for viewer in VIEWERS] == [2, 2]


def test_what_is_left_out_is_named_and_counted(tmp_path: Path) -> None:
    rows = judgments("ann", 5) + judgments("ben", 1, 1)
    rows += [rows[1], {**rows[3], "liked": False}]
    folder = write_table(tmp_path / "mine", [{**row, "age": 30} for row in rows])
    (folder / "ann-0.png").write_bytes(b"no picture")
    (folder / "ann-8.png").unlink()
    lines = inventory(folder)
    for line in (
        "1 of 2 users", "ann-0.png (cannot be decoded", "ann-8.png (there is no such file)", "1 judgment repeated",
        "2 judgments contradict each other", "ben", "column age",
    ):  # fmt: skip
        assert line in lines, line


def test_judgments_of_pictures_that_cannot_be_read_are_told_once_with_the_reasons(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{**row, "user": user} for user in ("ann", "ben") for row in judgments("both", 6, 6)]
    folder = write_table(tmp_path / "mine", rows)
    load_suite(str(folder))
    assert not caplog.messages
    (folder / "both-0.png").rename(folder / "both-0.PNG")
    (folder / "both-8.png").unlink()
    (folder / "both-9.png").write_bytes(b"no picture")
    suites = [load_suite(str(folder))[0] for _ in range(2)]
    assert caplog.messages == [
        f"{folder}: 6 of 24 judgments left out, whose pictures cannot be read (there is no such file: 4, cannot be "
        "decoded: 2); prefbench check suite names them"
    ]
    assert "6 judgments of pictures that cannot be read" in suites[0].inventory()["judgments left out"]


def test_equal_pictures_under_two_names_are_one(tmp_path: Path) -> None:
    folder = write_table(tmp_path / "mine", judgments("ann", 6, 6))
    shutil.copy(folder / "ann-1.png", folder / "ann-2.png")
    assert "1 judgment repeated" in inventory(folder)


def test_another_pixel_another_judgment_or_another_prompt_is_another_suite(tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "mine", USERS)
    suites = [load_suite(str(folder))[0].digest]
    assert load_suite(str(folder))[0].digest == suites[0]
    picture(1).save(folder / "ann/liked/ann-liked-0.png")
    suites.append(load_suite(str(folder))[0].digest)
    (folder / "ann/liked/ann-liked-1.png").rename(folder / "ann/disliked/x.png")
    suites.append(load_suite(str(folder))[0].digest)
    (folder / "prompts.txt").write_text("a red cat\n")
    suites.append(load_suite(str(folder))[0].digest)
    assert len(set(suites)) == 4


def test_the_digests_of_a_folder_and_its_histories_stay_those_of_stored_runs(tmp_path: Path) -> None:
    """Another digest makes every run that was drawn for a folder one of another suite."""
    other = judgments("ben", rating=0.1, prompt="a cat", source="sd15")
    folder = write_table(tmp_path / "mine", [*judgments("ann", comment="c'est ça"), *other])
    suite, _ = load_suite(str(folder), {"history": 3})
    assert suite.digest == "5f3b232a149ed36c8c7cfa422feef54a60b276535d783c79e1931368e4b4d9f2"
    shown = [suite.history(user).digest[:16] for user in ("ann", "ben")]
    assert shown == ["63e411f0c4846da2", "ead9921f28e9e472"]


def test_the_name_of_the_folder_does_not_matter_where_it_lies(tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "mine", USERS)
    spec = prepare(Settings("prompt-only", suite=str(folder), out=tmp_path / "runs", steps=1)).spec
    moved = shutil.move(folder, tmp_path / "elsewhere" / "mine")
    again = prepare(Settings("prompt-only", suite=str(moved), out=tmp_path / "runs", steps=1)).spec
    assert (spec.suite, spec.id) == ("mine/", again.id)
    description = {"suite": spec.suite, "suite_parameters": spec.suite_parameters, "suite_digest": spec.suite_digest}
    assert suite_of_run(description, str(moved)).digest == spec.suite_digest
    with pytest.raises(PrefbenchError, match="only read when you name it: --suite path/to/mine/"):
        suite_of_run(description)


def test_a_claimed_digest_spares_the_decoding_and_is_compared_when_the_picture_is_read(tmp_path: Path) -> None:
    rows = [{**row, "digest": f"{n:064x}"} for n, row in enumerate(judgments("ann"))]
    [(seen, _)] = histories(write_table(tmp_path / "mine", rows)).values()
    with pytest.raises(PrefbenchError, match="its pixels have the digest"):
        seen.liked[0].picture.load()


def test_pictures_are_decoded_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_layout(tmp_path / "mine", USERS)
    digest = load_suite(str(folder))[0].digest
    monkeypatch.setattr("prefbench.suites.folder.pictures._read", lambda path: pytest.fail(f"{path} was read again"))
    assert load_suite(str(folder))[0].digest == digest
    monkeypatch.undo()
    [stored] = (cache / "pictures").iterdir() if (cache / "pictures").exists() else [None]
    if stored is not None:
        stored.write_bytes(b"damaged")
    assert load_suite(str(folder))[0].digest == digest


def test_a_conforming_folder_passes_the_checks(tmp_path: Path) -> None:
    findings = check_suite(str(write_layout(tmp_path / "mine", USERS)))
    assert [finding.check for finding in findings if not finding.passed] == []
    assert "36 of 36 judgments" in next(finding.detail for finding in findings if finding.check == "data")


BAD_ROWS: tuple[tuple[dict[str, object], str], ...] = (
    ({"file_name": "../outside.png"}, "row 9: file_name is a path inside the folder, got '../outside.png'"),
    ({"file_name": "/etc/x.png"}, "row 9: file_name is a path inside the folder"),
    ({"file_name": ""}, "row 9: file_name is a path inside the folder"),
    ({"liked": "maybe"}, "row 9: liked is true or false, got 'maybe'"),
    ({"liked": ""}, "row 9: neither liked nor rating has a value"),
    ({"liked": "", "rating": "nan"}, "row 9: rating is a finite number, got 'nan'"),
    ({"user": ""}, "row 9: no user is named"),
    ({"split": "tset"}, "row 9: unknown split 'tset'; did you mean 'test'"),
    ({"split": "val"}, "row 9: a user is in one split, and this one is in two"),
    ({"part": "scorer"}, "row 1: part is given for other rows and not for this one"),
    ({"time": "yesterday"}, "row 9: time is a number or ISO 8601, got 'yesterday'"),
    ({"digest": "abc"}, "row 9: digest is the SHA-256 of the pixels, got 'abc'"),
    ({"user": "a" * 2000}, "row 9: user has at most 1,000 characters"),
)


@pytest.mark.parametrize(("changes", "message"), BAD_ROWS)
def test_a_wrong_value_is_one_line_with_its_row(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    good = {"split": "test" if "split" in changes else "", "file_name": "last.png", "user": "ann", "liked": True}
    rows = [{**row, **({"split": "test"} if "split" in changes else {})} for row in judgments("ann")]
    folder = write_table(tmp_path / "mine", rows)
    write_pictures(folder, ["last.png"])
    table = pd.concat([pd.DataFrame(rows), pd.DataFrame([{**good, **changes}])])
    table.to_csv(folder / "metadata.csv", index=False)
    with pytest.raises(PrefbenchError) as error:
        load_suite(str(folder))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no judged pictures"),
        ({"metadata.csv": b""}, "cannot be read"),
        ({"metadata.csv": b"file_name,user\nx.png,ann\n"}, "has no column liked (or rating)"),
        ({"metadata.csv": b"user,liked\nann,true\n"}, "has no column file_name"),
        ({"metadata.csv": b"file_name,liked\n"}, "has no rows"),
        ({"metadata.csv": b"file_name,liked,liked\nx.png,1,1\n"}, "has the column 'liked' twice"),
        ({"metadata.csv": b"file_name,liked\nx.png,true,5\n"}, "Expected 2 columns, got 3"),
        ({"metadata.csv": b"file_name,liked\n\xff\xfe.png,true\n"}, "cannot be read"),
        ({"metadata.jsonl": b'{"file_name": "x.png"'}, "cannot be read"),
        ({"metadata.parquet": b"PAR1"}, "cannot be read"),
        ({"metadata.csv": b"a", "metadata.jsonl": b"b"}, "has metadata.csv and metadata.jsonl: keep one of them"),
        ({"ann/like/x.png": b"", "ben/liked/y.png": b""}, "ann has neither liked/ nor disliked/"),
        ({"ann/liked/x.png": b"", "ann/Disliked/y.png": b""}, "ann/Disliked is not read; did you mean disliked/?"),
        ({"disliked/x.png": b"", "likes/y.png": b""}, "likes is not read; did you mean liked/?"),
        ({"metadata.csv": b"file_name,users,liked\nx.png,ann,1\n"}, "column 'users' is not read; did you mean 'user'?"),
        ({"metadata.csv": b"file_name,user_id,liked\nx.png,ann,1\n"}, "'user_id' is not read; did you mean 'user'?"),
        ({"metadata.csv": b"file_name,User,liked\nx.png,ann,1\n"}, "column 'User' is not read; did you mean 'user'?"),
        ({"metadata.csv": b"file_name,liked, split\nx.png,1,test\n"}, "' split' is not read; did you mean 'split'?"),
        ({"liked/readme.txt": b"x"}, "holds no pictures"),
        ({"liked/x.png": b"x", "liked/y.png": b"y"}, "unreadable: liked/x.png"),
        ({"liked/x.png": b"x", "suite.toml": b"nmae = 'x'"}, "unknown entry 'nmae'; did you mean 'name'"),
        ({"liked/x.png": b"x", "prompts.txt": b"\n"}, "prompts.txt holds no prompt"),
        ({"liked/x.png": b"x", "prompts.csv": b"text\na\n"}, "has no column 'prompt'"),
        ({"liked/x.png": b"x", "prompts.csv": b"prompt,User\na,b\n"}, "'User' is not read; did you mean 'user'?"),
    ],
)
def test_a_folder_that_is_none_is_one_line(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    with pytest.raises(PrefbenchError) as error:
        load_suite(str(folder))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_column_or_folder_that_resembles_none_is_named_and_passed_over(tmp_path: Path) -> None:
    rows = [{**row, "participant": 1, "quality": 2} for row in judgments("ann")]
    assert "not used: column participant, column quality" in inventory(write_table(tmp_path / "table", rows))
    folder = write_layout(tmp_path / "mine", USERS)
    write_pictures(folder, ["ben/neutral/x.png"])
    assert "not used: 1 folder beside liked/ and disliked/, as ben/neutral/" in inventory(folder)


def test_a_prompt_of_somebody_unknown_is_refused_and_somebody_without_one_is_named(tmp_path: Path) -> None:
    folder = write_table(tmp_path / "mine", [row for user in USERS for row in judgments(user)], prompts="")
    (folder / "prompts.csv").write_text("user,prompt\nanne,a cat\nben,a cat\ncy,a cat\n")
    with pytest.raises(
        PrefbenchError, match=r"a prompt is for 'anne', of whom there is no judgment; did you mean 'ann'"
    ):
        load_suite(str(folder))
    (folder / "prompts.csv").write_text("user,prompt\nben,a cat\n")
    assert "users without a prompt: ann, cy" in inventory(folder)


def test_a_link_that_leads_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    folder = write_layout(tmp_path / "mine", USERS)
    picture(5).save(tmp_path / "secret.png")
    (folder / "ann/liked/z.png").symlink_to(tmp_path / "secret.png")
    assert "z.png (it leads out of the folder)" in inventory(folder)


def test_a_linked_folder_that_leads_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    write_pictures(tmp_path / "secret", ["1.png", "2.png"])
    rows = [*judgments("ann"), *({**row, "file_name": f"in/{row['file_name']}"} for row in judgments("ben"))]
    folder = write_table(tmp_path / "mine", rows)
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "within").symlink_to(folder / "in")
    table = (folder / "metadata.csv").read_text()
    more = "out/1.png,ann,True\nout/2.png,ann,False\nwithin/ben-0.png,ann,True\n"
    (folder / "metadata.csv").write_text(table + more)
    said = inventory(folder)
    assert "unreadable: out/1.png (it leads out of the folder), out/2.png (it leads out of the folder);" in said
    assert "17 of 19 judgments" in said


def test_a_folder_without_prompts_says_so_when_it_is_drawn_for(tmp_path: Path) -> None:
    folder = write_table(tmp_path / "mine", judgments("ann"), prompts="")
    with pytest.raises(PrefbenchError) as refused:
        prepare(Settings("prompt-only", suite=str(folder), out=tmp_path / "runs"))
    assert str(refused.value) == (
        "write prompts.txt, one prompt a line, or prompts.csv with the columns prompt and user: suite 'mine' has no "
        "case to draw for users of test"
    )


def test_users_without_a_prompt_are_named_where_nobody_else_is_drawn_for(tmp_path: Path) -> None:
    folder = write_table(tmp_path / "mine", [row for user in USERS for row in judgments(user)], prompts="")
    (folder / "prompts.csv").write_text(f"user,prompt\n{USERS[-1]},a cat\n")
    with pytest.raises(
        PrefbenchError, match=r"^suite 'mine' has no case to draw for users of test; no prompt is for ann, ben$"
    ):
        prepare(Settings("prompt-only", suite=str(folder), users=2, out=tmp_path / "runs"))


@pytest.mark.parametrize("name", ["", " "])
def test_a_name_of_nothing_is_not_the_working_folder(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_layout(tmp_path / "mine", USERS))
    check_name("suite", ".")
    with pytest.raises(PrefbenchError, match="unknown suite"):
        check_name("suite", name)


def test_a_folder_is_no_method(tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="unknown method"):
        check_name("method", str(tmp_path))


def test_a_folder_with_the_name_of_a_registered_suite_takes_none_of_its_figures(tmp_path: Path) -> None:
    suite, _ = load_suite(str(write_layout(tmp_path / "picturebook", ("ann", "ben"))))
    assert suite.card.name == "picturebook (folder)"
    assert load_suite(str(write_layout(tmp_path / "mine", ("ann", "ben"))))[0].card.name == "mine"
