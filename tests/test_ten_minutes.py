"""The ten-minute page without Python: its commands are run, and its tables and messages are what they print."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.support.finished_images import write_rows
from tests.support.hostile import invoke
from tests.support.judged_folders import picture, write_pictures

PAGE = (Path(__file__).parents[1] / "docs" / "ten-minutes-own.md").read_text(encoding="utf-8")
USERS = ("ann", "ben", "cleo", "dan", "eve")
PROMPTS = ("a fox in the snow", "a boat at night", "a house by the sea")
OTHERS = ("a bowl of cherries", "a red bicycle", "two chairs")


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """60 pictures of 5 people in two folders each, 15 prompts, 30 images, as the page says; the working folder."""
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for user in USERS:
        write_pictures(
            tmp_path / "mine" / user, [f"{s}/{user}{s}{n}.png" for s in ("liked", "disliked") for n in range(6)]
        )
    rows = [{"user": user, "prompt": prompt} for user in USERS for prompt in (PROMPTS if user == "ann" else OTHERS)]
    write_rows(tmp_path / "mine" / "prompts.csv", rows)
    for number, (user, case, n) in enumerate((user, c, n) for user in USERS for c in range(3) for n in range(2)):
        path = tmp_path / "drawn" / user / f"{case}-{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(10**6 + number).resize((64, 64)).save(path)
    assert (len(list((tmp_path / "mine").rglob("*.png"))), len(rows)) == (60, 15)
    return tmp_path


def commands() -> list[str]:
    """The command lines of the page."""
    return [line for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def run(command: str, *more: str) -> tuple[int, str]:
    """What a command line of the page does, its pattern of runs spelled out as a shell does it."""
    words = [
        str(path)
        for word in shlex.split(command)[1:]
        for path in (sorted(Path().glob(word)) if word.endswith("/*") else [word])
    ]
    done = invoke(*words, *more)
    return done.exit_code, done.output


@pytest.mark.slow
def test_the_two_commands_give_a_table_and_a_page(ground: Path) -> None:
    score, report = commands()
    code, output = run(score)
    assert code == 0, output
    found = re.search(r"```text\nmy method: images for mine\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    assert _cells(found[1]) == _cells(output[: output.index("stored")])[1:]
    assert "stored 30 of 30 images: runs/mine-test-my-method-" in output
    for metric in ("clip-score", "preference", "fid"):
        assert metric in output
    code, output = run(report)
    assert code == 0, output
    pages = [path for path in ground.glob("runs/*/report/report.md") if "my method" in path.read_text()]
    assert len(pages) == 1
    assert list(pages[0].parent.glob("gallery-*.png"))


def _cells(table: str) -> list[list[str]]:
    """The words of a table's lines, without rules and empty lines."""
    return [line.split() for line in table.splitlines() if line.strip() and "──" not in line]


def spoil(ground: Path, what: str) -> None:
    """Makes one of the page's mistakes."""
    ann = ground / "drawn" / "ann"
    if what == "a folder is called `anne`":
        ann.rename(ground / "drawn" / "anne")
    elif what == "an image is called `0.png`":
        picture(1).save(ann / "0.png")
    elif what == "counted from 1":
        (ann / "0-0.png").rename(ann / "3-0.png")
    elif what == "a file is damaged":
        (ann / "0-0.png").write_bytes(b"")
    elif what == "an image is lacking":
        (ann / "0-1.png").unlink()
    elif what == "two images for one place":
        picture(1).save(ann / "0-0.jpg")
    else:
        assert what == "a name of prefbench's own"


def mistakes() -> list[tuple[str, str]]:
    """What happened, and what the page says that it says."""
    rows = re.findall(r"^\| (.*?) \| `(.*?)`(?: in the line `missing`)? \|$", PAGE, re.MULTILINE)
    return [(what, said) for what, said in rows if what != "what happened"]


@pytest.mark.parametrize(("what", "said"), mistakes())
def test_each_mistake_says_what_the_page_says(ground: Path, what: str, said: str) -> None:
    spoil(ground, what)
    name = "prompt-only" if "own" in what else "my method"
    done = invoke("score", "--images", "drawn", "--suite", "mine", "--name", name, "--dry-run")
    output = " ".join(done.output.replace("\n", " ").split())
    assert said in output
    assert done.exit_code == (0 if "`0.png`" in what else 2 if "own" in what else 1)
    assert not (ground / "runs").exists()


def test_the_page_lists_seven_mistakes() -> None:
    assert len(mistakes()) == 7


def test_two_images_for_one_place_are_refused(ground: Path) -> None:
    spoil(ground, "two images for one place")
    done = invoke("score", "--images", "drawn", "--suite", "mine", "--metrics", "diversity")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("prefbench: nothing tells which image counts: ann/0-0.png")


def test_incomplete_images_end_with_exit_code_1_and_store_nothing(ground: Path) -> None:
    shutil.rmtree(ground / "drawn" / "eve")
    done = invoke("score", "--images", "drawn", "--suite", "mine", "--metrics", "diversity")
    assert done.exit_code == 1
    assert "left out  drawn: 6 of 30 images are missing or cannot be read; --allow-missing goes on" in done.output
    assert not (ground / "runs").exists()
