"""What is exported to draw elsewhere: cases, histories and seeds, and nothing that a method may not see."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from prefbench.api import Picture, PrefbenchError, Suite, image_digest
from prefbench.api.pictures import read_picture
from prefbench.run.given.export import export_cases
from prefbench.run.given.prepare import Data, open_data
from prefbench.run.prepare import Settings, load_suite
from tests.support.finished_images import counts, given
from tests.support.judged_folders import write_layout, write_pictures, write_table

DRAWER = """
import csv, pathlib, sys
import numpy as np
from PIL import Image
export, drawn = map(pathlib.Path, sys.argv[1:])
for row in csv.DictReader((export / "cases.csv").open(encoding="utf-8")):
    pixels = np.random.default_rng(int(row["seed"])).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    path = drawn / row["image"]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))


def opened(suite: Path | str, **settings: Any) -> Data:
    return open_data(Settings("", str(suite), **settings))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def judged(root: Path) -> Path:
    """A folder whose judgments have prompts, comments and pairs of their own, in both parts."""
    rows = [
        {
            "file_name": f"{user}-{n}.png", "user": user, "liked": n % 2 == 0, "part": part,
            "prompt": f"{part} prompt {user} {n}", "comment": f"{part} comment {n}", "source": f"{part} model",
        }
        for user in ("ann", "b/en")
        for part in ("method", "scorer")
        for n in range(10 * (part == "scorer"), 10 * (part == "scorer") + 4)
    ]  # fmt: skip
    for row in rows:
        row["file_name"] = str(row["file_name"]).replace("/", "_")
    return write_table(root / "mine", rows, "a red cat\na blue dog, =1\n")


def digests(suite: Suite, viewer: Any) -> set[str]:
    """The pictures that one viewer sees."""
    histories = [suite.history(user.id, viewer) for user in suite.users("test")]
    return {one.picture.digest for history in histories for one in (*history.liked, *history.disliked)}


def test_an_export_has_a_row_for_each_image_with_the_seed_of_a_run(tmp_path: Path) -> None:
    data = opened(write_layout(tmp_path / "mine", ["ann", "zoë"]))
    written = export_cases(data, tmp_path / "export")
    rows = rows_of(tmp_path / "export" / "cases.csv")
    assert (written.users, written.images, written.pictures) == (2, 12, 12)
    assert [int(row["seed"]) for row in rows] == [planned.seed for planned in data.plan(data.draft)]
    assert rows[3] | {"seed": ""} == {
        "user": "ann", "case": "1", "prompt": "a blue dog", "sample": "1", "seed": "", "image": "ann/1-1.png",
    }  # fmt: skip
    assert rows[6]["image"] == "zoë/0-0.png"


def test_histories_are_a_folder_of_judged_pictures_as_methods_see_them(tmp_path: Path) -> None:
    data = opened(judged(tmp_path))
    export_cases(data, tmp_path / "export")
    rows = rows_of(tmp_path / "export" / "histories" / "metadata.csv")
    assert [row["file_name"] for row in rows][-4:] == [
        "b%2Fen/liked/000.png", "b%2Fen/liked/001.png", "b%2Fen/disliked/000.png", "b%2Fen/disliked/001.png",
    ]  # fmt: skip
    for row in rows:
        history = data.histories[row["user"]]
        side, n = row["file_name"].split("/")[1:]
        judgment = getattr(history, side)[int(n.removesuffix(".png"))]
        assert (row["prompt"], row["comment"]) == (judgment.prompt, judgment.comment)
        read = read_picture(tmp_path / "export" / "histories" / row["file_name"])
        assert image_digest(read) == judgment.picture.digest
    again, _ = load_suite(str(tmp_path / "export" / "histories"))
    assert [user.id for user in again.users("test")] == ["ann", "b/en"]


def test_nothing_that_methods_may_not_see_is_exported(tmp_path: Path) -> None:
    """The scorers' part of the judgments, chosen and rejected pictures: neither pixels nor words of them."""
    folder = judged(tmp_path)
    (folder / "prompts.txt").unlink()  # then cases are of judged prompts, with pictures chosen and rejected
    suite, _ = load_suite(str(folder))
    assert any(isinstance(case.chosen, Picture) for case in suite.cases("ann"))
    export_cases(opened(folder), tmp_path / "export")
    files = [path for path in (tmp_path / "export").rglob("*") if path.is_file()]
    pictures = {image_digest(read_picture(path)) for path in files if path.suffix == ".png"}
    assert pictures == digests(suite, "method")
    assert not pictures & digests(suite, "scorer")
    text = "\n".join(path.read_text() for path in files if path.suffix != ".png")
    assert "method comment" in text
    assert "scorer comment" not in text
    assert "scorer model" not in text
    asked = {case.prompt for user in suite.users("test") for case in suite.cases(user.id)}
    unasked = {
        one.prompt
        for user in suite.users("test")
        for one in (*suite.history(user.id, "scorer").liked, *suite.history(user.id, "scorer").disliked)
    } - asked
    assert not any(prompt in text for prompt in unasked)


def with_contents(root: Path) -> Path:
    """A folder whose cases have pictures to redraw, the two of them for three prompts, with names that tell."""
    folder = write_layout(root / "mine", ["ann", "ben"])
    (folder / "prompts.txt").unlink()
    names = [f"contents/{name}.png" for name in ("what ann likes", "plain", "what ann likes")]
    lines = [f"{prompt},{name}" for prompt, name in zip(("a cat", "a dog", "a cow"), names, strict=True)]
    (folder / "prompts.csv").write_text("\n".join(["prompt,content", *lines]))
    write_pictures(folder, names)
    return folder


def test_pictures_to_redraw_are_exported_once_each_and_named_in_the_rows(tmp_path: Path) -> None:
    folder = with_contents(tmp_path)
    export_cases(opened(folder, samples=1), tmp_path / "export")
    rows = rows_of(tmp_path / "export" / "cases.csv")
    contents = [f"contents/{n:03d}.png" for n in (0, 1, 0)]
    assert [row["content"] for row in rows] == contents * 2
    for row, name in zip(rows, ("what ann likes", "plain", "what ann likes"), strict=False):
        redrawn = read_picture(tmp_path / "export" / row["content"])
        assert image_digest(redrawn) == image_digest(read_picture(folder / "contents" / f"{name}.png"))
    assert "the picture to redraw in its column `content`" in (tmp_path / "export" / "README.md").read_text()


def test_of_pictures_to_redraw_nothing_is_exported_but_their_pixels(tmp_path: Path) -> None:
    folder = with_contents(tmp_path)
    write_pictures(folder, ["ann/liked/plain.png"])
    note = PngInfo()
    note.add_text("Comment", "liked by ann")
    with Image.open(folder / "contents" / "plain.png") as image:
        image.save(folder / "contents" / "plain.png", pnginfo=note)
    export_cases(opened(folder), tmp_path / "export")
    files = [path for path in (tmp_path / "export").rglob("*") if path.is_file()]
    assert len([path for path in files if path.parent.name == "contents"]) == 2
    assert not any(b"what ann likes" in path.read_bytes() or b"liked by ann" in path.read_bytes() for path in files)
    judged_pictures = {image_digest(read_picture(path)) for path in files if "liked" in path.parent.name}
    assert image_digest(read_picture(folder / "contents" / "plain.png")) not in judged_pictures


def test_cases_without_pictures_to_redraw_have_no_column_for_them(tmp_path: Path) -> None:
    export_cases(opened(write_layout(tmp_path / "mine", ["ann"])), tmp_path / "export")
    assert "content" not in rows_of(tmp_path / "export" / "cases.csv")[0]
    assert not (tmp_path / "export" / "contents").exists()


def test_a_table_of_cases_with_contents_comes_back_whole(tmp_path: Path) -> None:
    export_cases(opened(with_contents(tmp_path)), tmp_path / "export")
    subprocess.run([sys.executable, "-c", DRAWER, *[str(tmp_path / "export")] * 2], check=True)
    assert counts(given(tmp_path, tmp_path / "export").coverage) == {"expected": 12, "found": 12}


def test_an_export_that_a_script_draws_comes_back_whole(tmp_path: Path) -> None:
    export_cases(opened(judged(tmp_path)), tmp_path / "export")
    paths = [str(tmp_path / name) for name in ("export", "drawn")]
    subprocess.run([sys.executable, "-c", DRAWER, *paths], check=True)
    assert counts(given(tmp_path, tmp_path / "drawn").coverage) == {"expected": 8, "found": 8}


def test_the_table_of_cases_can_be_handed_back_with_the_images_beside_it(tmp_path: Path) -> None:
    export_cases(opened(judged(tmp_path)), tmp_path / "export")
    subprocess.run([sys.executable, "-c", DRAWER, *[str(tmp_path / "export")] * 2], check=True)
    coverage = given(tmp_path, tmp_path / "export").coverage
    assert counts(coverage) == {"expected": 8, "found": 8}
    assert coverage.seeds == "8 of 8 images drawn from the exported seed"


def test_the_rows_can_be_json_lines(tmp_path: Path) -> None:
    data = opened(judged(tmp_path))
    export_cases(data, tmp_path / "one", form="jsonl")
    export_cases(data, tmp_path / "two")
    lines = (tmp_path / "one" / "cases.jsonl").read_text().splitlines()
    rows = [{name: str(value) for name, value in json.loads(line).items()} for line in lines]
    assert rows == rows_of(tmp_path / "two" / "cases.csv")


def test_the_read_me_names_the_command_with_the_options_that_it_needs(tmp_path: Path) -> None:
    data = opened(write_layout(tmp_path / "my suite", ["ann", "ben"]), users=1, samples=3, suite_parameters=["least=2"])
    export_cases(data, tmp_path / "export")
    lines = (tmp_path / "export" / "README.md").read_text().splitlines()
    assert len(lines) == 3
    command = "prefbench score --images drawn --suite 'my suite' --name \"my method\" --users 1 --samples 3 -s least=2"
    assert f"`{command}`" in lines[2]


def test_an_export_is_never_written_over_another(tmp_path: Path) -> None:
    data = opened(write_layout(tmp_path / "mine", ["ann"]))
    export_cases(data, tmp_path / "export")
    with pytest.raises(PrefbenchError, match=r"cases.csv exists already: name another folder"):
        export_cases(data, tmp_path / "export", form="jsonl")


def test_an_interrupted_export_goes_on(tmp_path: Path) -> None:
    """The table of cases comes last."""
    data = opened(write_layout(tmp_path / "mine", ["ann"]))
    export_cases(data, tmp_path / "export")
    before = {path: path.read_bytes() for path in (tmp_path / "export").rglob("*") if path.is_file()}
    (tmp_path / "export" / "cases.csv").unlink()
    export_cases(data, tmp_path / "export")
    assert {path: path.read_bytes() for path in (tmp_path / "export").rglob("*") if path.is_file()} == before


def test_a_control_exports_the_histories_that_it_shows_and_the_same_cases(tmp_path: Path) -> None:
    suite = write_layout(tmp_path / "mine", ("ann", "ben", "cy"))
    export_cases(opened(suite), tmp_path / "own")
    export_cases(opened(suite), tmp_path / "other", control="other-user")
    assert rows_of(tmp_path / "own/cases.csv") == rows_of(tmp_path / "other/cases.csv")
    for user, shown in {"ann": "ben", "ben": "cy", "cy": "ann"}.items():
        own, other = (tmp_path / which / "histories" / name for which, name in (("own", shown), ("other", user)))
        pictures = [[path.read_bytes() for path in sorted(folder.rglob("*.png"))] for folder in (own, other)]
        assert pictures[0] == pictures[1]
    readme = (tmp_path / "other/README.md").read_text()
    assert "Hand them back: `prefbench score --images drawn --suite mine --card card.toml`." in readme
    assert not (tmp_path / "own/card.toml").exists()
    assert "control" not in (tmp_path / "own/README.md").read_text()
    with pytest.raises(PrefbenchError, match="unknown control 'other'; did you mean 'other-user'"):
        export_cases(opened(suite), tmp_path / "third", control="other")
