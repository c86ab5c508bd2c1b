"""Committed pages say which rules their numbers follow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from prefbench.api import PrefbenchError
from prefbench.cli.main import main
from prefbench.reports.shared import published
from prefbench.reports.shared.published import age, results_folder
from tests.support.toy_runs import build

ROOT = Path(__file__).parents[2]
PAGES = [path for path in (ROOT / "results").rglob("*.md") if path.with_suffix(".json").is_file()]


def test_numbers_of_earlier_rules_are_named_so() -> None:
    assert age({"prefbench": "0.1.0"}).startswith("Measured with prefbench 0.1.0: ")
    assert age({"prefbench": "0.2.0"}) == age({"prefbench": None}) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_so_where_its_data_are_older(page: Path) -> None:
    sentence = age(json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["versions"])
    assert sentence in page.read_text(encoding="utf-8")


def framed(folder: Path) -> list[str]:
    """The paths of runs that can be published."""
    values = {"ours": 0.5, "prompt-only": 0.1, "inferred": 0.9}
    mismatch = build(folder / "mismatch", "ours", 0.1, spec={"control": "other-user"})
    return [*(str(build(folder / name, name, value).path) for name, value in values.items()), str(mismatch.path)]


def test_an_installed_wheel_publishes_into_no_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site-packages" / "prefbench" / "reports" / "shared" / "published.py"
    monkeypatch.setattr(published, "__file__", str(installed))
    with pytest.raises(PrefbenchError, match=r"^an installed wheel holds no results: .*--results FOLDER$"):
        results_folder()
    done = CliRunner().invoke(
        main, ["report", *framed(tmp_path), "--name", "leaderboard", "--out", str(tmp_path / "out"), "--publish"]
    )
    assert done.exit_code == 2
    assert "an installed wheel holds no results: name a folder for them, --results FOLDER" in done.output
    assert not (tmp_path / "site-packages").exists()


def test_a_folder_of_ones_own_gets_the_results_and_the_page_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "__file__", str(tmp_path / "elsewhere" / "a" / "b" / "published.py"))
    results = tmp_path / "mine" / "results"
    where = ["--results", str(results)]
    done = CliRunner().invoke(
        main,
        ["report", *framed(tmp_path), "--name", "leaderboard", "--out", str(tmp_path / "out"), "--publish", *where],
    )
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (results / "leaderboard" / "toy").iterdir()) == [
        "inferred.json", "ours.json", "ours.other-user.json", "prompt-only.json",
    ]  # fmt: skip
    page = tmp_path / "mine" / "leaderboard.md"
    assert CliRunner().invoke(main, ["publish", "leaderboard", "--check", *where]).exit_code == 0
    page.write_text("")
    assert CliRunner().invoke(main, ["publish", "leaderboard", "--check", *where]).exit_code == 1
    assert CliRunner().invoke(main, ["publish", "leaderboard", *where]).exit_code == 0
    assert "| ours |" in page.read_text(encoding="utf-8")


def test_results_are_asked_for_with_publish_and_are_a_folder(tmp_path: Path) -> None:
    runs = framed(tmp_path)
    alone = CliRunner().invoke(main, ["report", *runs, "--name", "leaderboard", "--results", str(tmp_path / "results")])
    assert (alone.exit_code, "--results is where --publish writes" in alone.output) == (2, True)
    (tmp_path / "file").write_text("")
    wrong = CliRunner().invoke(
        main, ["report", *runs, "--name", "leaderboard", "--publish", "--results", str(tmp_path / "file")]
    )
    assert (wrong.exit_code, "is a file" in wrong.output) == (2, True)
