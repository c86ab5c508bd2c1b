"""Tables of choices and ratings to folders that are suites: every judgment arrives, mistakes are one line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from prefbench.api import Judgment, PrefbenchError
from prefbench.check.suite import check_suite
from prefbench.run.prepare import load_suite
from prefbench.suites.converters.tables import CHOICES, RATINGS
from prefbench.suites.folder.writer import write_folder
from tests.support.hostile import invoke
from tests.support.judged_folders import write_pictures

SAID = {"name": "mine", "licence": "none", "source": "a test"}


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "cache"))


def table(folder: Path, rows: list[dict[str, object]], name: str = "judged.csv") -> Path:
    """A table beside the pictures that it names."""
    names = {str(row[column]) for row in rows for column in ("left", "right", "picture") if column in row}
    write_pictures(folder / "pictures", names)
    pd.DataFrame(rows).to_csv(folder / name, index=False)
    return folder / name


def choices(chosen: object = "left", **values: object) -> list[dict[str, object]]:
    """Eight choices of two people, none sharing a picture."""
    return [
        {"user": user, "left": f"{user}{n}.png", "right": f"{user}{n + 8}.png", "chosen": chosen, **values}
        for user in ("ann", "ben")
        for n in range(8)
    ]


def judgments(folder: Path) -> list[Judgment]:
    suite, _ = load_suite(str(folder))
    histories = [suite.history(user.id, viewer) for user in suite.users("test") for viewer in ("method", "scorer")]
    return [judgment for history in histories for judgment in (*history.liked, *history.disliked)]


@pytest.mark.parametrize("chosen", ["left", "TRUE", 1, "ann0.png"])
def test_a_choice_is_a_pair_of_a_liked_and_a_disliked_picture(tmp_path: Path, chosen: object) -> None:
    rows = choices("left")
    rows[0]["chosen"] = chosen
    source = table(tmp_path / "source", rows)
    written = write_folder(tmp_path / "mine", CHOICES.read(source), SAID)
    assert (written.judgments, written.pictures, dict(written.left_out)) == (32, 32, {})
    judged = judgments(tmp_path / "mine")
    assert len(judged) == 32
    first = next(j for j in judged if j.liked and j.picture.load().tobytes() == first_of(source, "ann0.png"))
    other = next(j for j in judged if j.pair == first.pair and not j.liked)
    assert other.picture.load().tobytes() == first_of(source, "ann8.png")


def first_of(source: Path, name: str) -> bytes:
    from prefbench.api.pictures import read_picture

    return read_picture(source.parent / "pictures" / name).tobytes()


def test_ratings_keep_their_numbers(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"person": user, "picture": f"{user}{n}.png", "score": n / 2, "prompt": f"p{n}"}
        for user in ("ann", "ben")
        for n in range(9)
    ]
    source = table(tmp_path / "source", rows)
    written = write_folder(tmp_path / "mine", RATINGS.read(source, user="person", rating="score"), SAID)
    assert written.judgments == 18
    judged = judgments(tmp_path / "mine")
    assert sorted(j.rating or 0.0 for j in judged if j.liked) == [2.5, 2.5, 3.0, 3.0, 3.5, 3.5, 4.0, 4.0]
    assert {j.prompt for j in judged} == {f"p{n}" for n in range(9) if n != 4}


def test_a_converted_folder_conforms(tmp_path: Path) -> None:
    written = invoke("convert", "choices", str(table(tmp_path / "source", choices())), str(tmp_path / "mine"))
    assert written.exit_code == 0, written.output
    assert "32 judgments of 32 pictures" in written.stdout
    (tmp_path / "mine" / "prompts.txt").write_text("a cat\n")
    assert [finding for finding in check_suite(str(tmp_path / "mine")) if not finding.passed] == []


def test_what_cannot_be_read_is_counted_with_an_example(tmp_path: Path) -> None:
    source = table(tmp_path / "source", choices())
    (source.parent / "pictures" / "ann0.png").write_bytes(b"no picture")
    (source.parent / "pictures" / "ben3.png").unlink()
    written = write_folder(tmp_path / "mine", CHOICES.read(source), SAID)
    assert (written.judgments, dict(written.left_out)) == (30, {"a picture that cannot be read": 2})
    assert "ann0.png" in written.examples["a picture that cannot be read"]
    lost = load_suite(str(tmp_path / "mine"))[0].inventory()["judgments left out"]
    assert lost == "2 judgments of a pair whose other picture is not there"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chosen": "both"}, "row 1: the choice is left or right, true or false for left, or the file"),
        ({"user": ""}, "row 1: user has no value"),
        ({"chosen": None}, "row 1: chosen has no value"),
    ],
)
def test_a_wrong_row_is_one_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    rows = choices()
    rows[0] |= changes
    with pytest.raises(PrefbenchError, match=message):
        list(CHOICES.read(table(tmp_path / "source", rows)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["choises", "{source}", "{out}"], "unknown converter 'choises'; did you mean 'choices'?"),
        (["choices", "{source}x", "{out}"], "there is no "),
        (["choices", "{source}", "{out}", "-p", "left=lefd"], "unknown column left 'lefd'; did you mean 'left'?"),
        (["choices", "{source}", "{out}", "-p", "lefft=x"], "unknown parameter of read_choices 'lefft'"),
        (["choices", "{source}", "{full}"], "metadata.csv exists already: name another folder"),
        (["ratings", "{source}", "{out}"], "unknown column picture 'picture'"),
    ],
)
def test_a_wrong_command_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    source, full = table(tmp_path / "source", choices()), tmp_path / "full"
    full.mkdir()
    (full / "metadata.csv").write_text("")
    names = {"source": str(source), "out": str(tmp_path / "mine"), "full": str(full)}
    done = invoke("convert", *[argument.format(**names) for argument in arguments])
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_conversion_that_was_interrupted_is_made_again(tmp_path: Path) -> None:
    source = table(tmp_path / "source", choices())
    judged = CHOICES.read(source)
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "mine", interrupted(judged), SAID)
    assert not (tmp_path / "mine" / "metadata.parquet").exists()
    assert write_folder(tmp_path / "mine", CHOICES.read(source), SAID).judgments == 32


def interrupted(judged):  # type: ignore[no-untyped-def]
    yield next(judged)
    raise KeyboardInterrupt
