"""Pictures to redraw in a folder: the column `content` of its prompts, and that nobody's judgment of them is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefbench.api import VIEWERS, Case, PrefbenchError, Suite
from prefbench.check.suite import check_suite
from prefbench.run.prepare import load_suite
from tests.support.judged_folders import picture, write_layout, write_pictures, write_table

USERS = ("ann", "ben")
PROMPTS = "prompt,content\na red cat,contents/cat.png\na blue dog,\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))


def folder_of(tmp_path: Path, prompts: str = PROMPTS) -> Path:
    folder = write_layout(tmp_path / "mine", USERS)
    (folder / "prompts.txt").unlink()
    (folder / "prompts.csv").write_text(prompts)
    (folder / "contents").mkdir()
    picture(11).save(folder / "contents" / "cat.png")
    return folder


def suite_of(folder: Path) -> Suite:
    return load_suite(str(folder))[0]


def contents(cases: list[Case]) -> dict[str, str | None]:
    """The file that each prompt redraws."""
    paths = {case.prompt: case.content.path if case.content is not None else None for case in cases}
    return {prompt: path.name if path is not None else None for prompt, path in paths.items()}


def test_a_case_has_the_picture_that_its_row_names(tmp_path: Path) -> None:
    cases = list(suite_of(folder_of(tmp_path)).cases("ann"))
    assert contents(cases) == {"a red cat": "cat.png", "a blue dog": None}
    assert cases[0].content is not None
    assert cases[0].content.load().tobytes() == picture(11).tobytes()


def test_a_row_of_one_user_is_that_users(tmp_path: Path) -> None:
    rows = "prompt,user,content\na red cat,ann,contents/cat.png\na blue dog,,contents/dog.png\n"
    folder = folder_of(tmp_path, rows)
    write_pictures(folder, ["contents/dog.png"])
    suite = suite_of(folder)
    assert contents(list(suite.cases("ann"))) == {"a blue dog": "dog.png", "a red cat": "cat.png"}
    assert contents(list(suite.cases("ben"))) == {"a blue dog": "dog.png"}


def categorised(tmp_path: Path, prompts: str) -> Path:
    """Pictures of cats that two users judged, and prompts to draw for."""
    rows = [
        {"file_name": f"{user}-{n}.png", "user": user, "liked": n % 2 == 0, "prompt": "cats"}
        for user in USERS
        for n in range(8)
    ]
    folder = write_table(tmp_path / "mine", rows, "")
    (folder / "prompts.csv").write_text(prompts)
    return folder


def test_a_case_has_the_category_that_its_row_names_and_it_is_part_of_the_data(tmp_path: Path) -> None:
    folder = categorised(tmp_path, "prompt,category\ncats 1,cats\na red dog,\n")
    suite = suite_of(folder)
    assert [(case.prompt, case.category) for case in suite.cases("ann")] == [("cats 1", "cats"), ("a red dog", "")]
    (folder / "prompts.csv").write_text("prompt\ncats 1\na red dog\n")
    assert suite_of(folder).digest != suite.digest


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("cats 1,,cat", r"prompts.csv row 1: category is a prompt that judgments have, got 'cat'"),
        ("cats 1,,cats\ncats 1,ann,", r"row 1: a prompt has one category, and this one has others in other rows"),
    ],
)
def test_mistakes_in_categories_are_one_line_with_the_row(tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(PrefbenchError, match=message):
        suite_of(categorised(tmp_path, f"prompt,user,category\n{rows}\n"))


def test_the_digest_of_a_suite_follows_the_pixels_of_contents_and_nothing_without_them(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    first = suite_of(folder).digest
    picture(12).save(folder / "contents" / "cat.png")
    second = suite_of(folder).digest
    (folder / "prompts.csv").write_text(PROMPTS.replace("contents/cat.png", ""))
    none = suite_of(folder).digest
    (folder / "prompts.csv").write_text("prompt\na red cat\na blue dog\n")
    assert len({first, second, none}) == 3
    assert suite_of(folder).digest == none


def test_judgments_of_a_picture_to_redraw_are_seen_by_nobody(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "prompt,content\na red cat,ann/liked/ann-liked-0.png\n")
    suite = suite_of(folder)
    (case,) = suite.cases("ann")
    assert case.content is not None
    histories = [suite.history(user, viewer) for user in USERS for viewer in VIEWERS]
    judged = {j.picture.digest for history in histories for j in (*history.liked, *history.disliked)}
    assert case.content.digest not in judged
    assert len(judged) == 23
    assert suite.inventory()["judgments left out"] == "1 judgment of pictures to redraw"


def test_the_other_picture_of_a_pair_goes_with_it(tmp_path: Path) -> None:
    pairs = [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h"), ("i", "j")]
    rows = [
        {"file_name": f"{name}.png", "liked": liked, "pair": str(n)}
        for n, pair in enumerate(pairs)
        for name, liked in zip(pair, (True, False), strict=True)
    ]
    folder = write_table(tmp_path / "mine", rows, prompts="")
    (folder / "prompts.csv").write_text("prompt,content\na red cat,a.png\n")
    suite = suite_of(folder)
    assert len(suite.history("user")) + len(suite.history("user", "scorer")) == 8
    left_out = suite.inventory()["judgments left out"]
    assert "1 judgment of pictures to redraw" in left_out
    assert "1 judgment of a pair whose other picture is not there" in left_out


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a red cat,../cat.png", "row 1: content is a path inside the folder, got '../cat.png'"),
        ("a red cat,/etc/cat.png", "row 1: content is a path inside the folder"),
        (
            "a red cat,contents/dog.png",
            r"row 1: the picture to redraw cannot be read, got 'contents/dog.png \(",
        ),
        ("a red cat,prompts.csv", "row 1: the picture to redraw cannot be read, got 'prompts.csv"),
        ("a red cat,contents/cat.png\na red cat,ann/liked/ann-liked-0.png", "row 1: a prompt has one content"),
        ("a red cat,contents/cat.png\na red cat,", "row 1: a prompt has one content"),
    ],
)
def test_mistakes_in_contents_are_one_line_with_the_row(tmp_path: Path, row: str, message: str) -> None:
    folder = folder_of(tmp_path, f"prompt,content\n{row}\n")
    with pytest.raises(PrefbenchError, match=message) as caught:
        suite_of(folder)
    assert str(folder / "prompts.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_prompt_of_everybody_and_of_one_user_redraw_the_same(tmp_path: Path) -> None:
    rows = "prompt,user,content\na red cat,,contents/cat.png\na red cat,ann,ann/liked/ann-liked-0.png\n"
    with pytest.raises(PrefbenchError, match="a prompt has one content"):
        suite_of(folder_of(tmp_path, rows))


def test_a_content_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    picture(5).save(tmp_path / "outside.png")
    (folder / "contents" / "cat.png").unlink()
    (folder / "contents" / "cat.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(PrefbenchError, match="it leads out of the folder"):
        suite_of(folder)


def test_check_suite_counts_contents_and_reads_them(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    findings = {finding.check: finding for finding in check_suite(str(folder))}
    assert findings["contents"].outcome == "ok"
    assert findings["contents"].detail == "1 picture to redraw, judged by nobody, 2 cases without one"
    assert findings["other pictures"].detail.startswith("1 picture beside")
