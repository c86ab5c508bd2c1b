"""The files of the page: what they say equals what the runs hold, and nothing from outside leaves its place."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prefbench.api import History, Judgment, Picture, PrefbenchError, UnreadableImageError
from prefbench.api.grids import printable
from prefbench.reports.page import folder as folder_module
from prefbench.reports.page.data import as_script, write_data
from prefbench.reports.page.folder import Content, write_index
from prefbench.reports.page.sheets import NOWHERE, Layout, Sheets, Wanted
from prefbench.reports.page.unscored import UnscoredRun, is_scored
from prefbench.reports.table.compare import compare
from prefbench.run.folder import RunFolder
from prefbench.run.row_kinds import ProfileRow
from prefbench.run.stamps import stamped
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.summarise import store_summary
from prefbench.stats.paired import adjusted, paired_difference
from tests.support.toy_runs import HOSTILE, build

LEVELS = {"prompt-only": 0.1, "ours": 0.5, "tally": 0.3}


def content_of(path: Path) -> Any:
    """What a data file calls the page with."""
    text = path.read_text(encoding="ascii")
    start = f'prefbench_receive("{path.stem}", '
    assert text.startswith(start)
    assert text.endswith(");\n")
    script = text[len(start) : -3]
    assert script[0] == script[-1] == "'"
    return json.loads(re.sub(r"\\(.)", r"\1", script[1:-1]))


def data(folder: Path, name: str) -> Any:
    return content_of(folder / "page" / "data" / f"{name}.js")


def cell(folder: Path, place: int) -> np.ndarray[Any, Any]:
    """The pixels of a place on the sheets of a page."""
    about = data(folder, "overview")["thumbnail"]
    sheet, within = divmod(place, about["cells"])
    row, column = divmod(within, about["columns"])
    edge = about["edge"]
    with Image.open(folder / "page" / "pictures" / f"{sheet}.webp") as image:
        return np.asarray(image.convert("RGB"))[row * edge : (row + 1) * edge, column * edge : (column + 1) * edge]


def history_of(user: str) -> History:
    """One like and one dislike."""
    pictures = [Picture.of(Image.new("RGB", (32, 32), (len(user), shade, 7))) for shade in (1, 200)]
    liked, disliked = (Judgment(one, f"of {user}", i == 0, pair="p") for i, one in enumerate(pictures))
    return History(user, (liked,), (disliked,))


@pytest.fixture
def runs(tmp_path: Path) -> list[ScoredFolder]:
    made: list[tuple[str, dict[str, float | None]]] = [
        ("prompt-only", {"ann": 0.1, "bob": None, "cyd": 0.4}),
        ("ours", {"ann": 0.5, "bob": 0.6, "cyd": 0.7}),
    ]
    return [build(tmp_path / name, name, values) for name, values in made]


def page(runs: list[ScoredFolder], folder: Path) -> Path:
    comparison = compare(runs)
    write_index(Content(comparison.runs, comparison, history_of), folder)
    return folder


def test_every_row_of_every_run_is_there_with_its_picture_and_scores(runs: list[ScoredFolder], tmp_path: Path) -> None:
    folder = page(runs, tmp_path / "report")
    people, overview = data(folder, "people"), data(folder, "overview")
    for number, run in enumerate(runs):
        rows, about = data(folder, f"rows-{number}-0"), data(folder, f"about-{number}-0")
        utility = run.columns()["utility"].scores.values
        assert about["key"] == [sample.key for sample in run.samples]
        for i, sample in enumerate(run.samples):
            assert people["users"][rows["user"][i]] == {"id": sample.user, "kind": run.kinds[sample.user]}
            assert people["prompts"][rows["prompt"][i]] == sample.prompt
            assert rows["index"][i] == sample.index
            assert rows["ok"][i] == (sample.image is not None)
            assert about["error"][i] == sample.error
            value = rows["scores"]["utility"][i]
            assert (value is None) == bool(np.isnan(utility[i]))
            assert value is None or value == utility[i]
            if sample.image is None:
                assert rows["place"][i] == NOWHERE
            else:
                assert (cell(folder, rows["place"][i]) == np.asarray(run.image(sample.image))).all()
        assert overview["runs"][number]["failed"] == sum(sample.image is None for sample in run.samples)


def test_judgments_are_shown_as_they_are(runs: list[ScoredFolder], tmp_path: Path) -> None:
    folder = page(runs, tmp_path / "report")
    people = data(folder, "people")
    for user, liked, disliked in zip(people["users"], people["liked"], people["disliked"], strict=True):
        history = history_of(user["id"])
        for [[place, prompt, rating]], (judgment,) in ((liked, history.liked), (disliked, history.disliked)):
            assert people["prompts"][prompt] == judgment.prompt
            assert rating is None
            assert (cell(folder, place) == np.asarray(judgment.picture.load())).all()


def test_numbers_of_the_page_are_those_of_the_table(runs: list[ScoredFolder], tmp_path: Path) -> None:
    overview = data(page(runs, tmp_path / "report"), "overview")
    comparison = compare(runs)
    assert len(overview["values"]) == len(comparison.rows)
    for value, row in zip(overview["values"], comparison.rows, strict=True):
        assert list(comparison.runs)[value["run"]] == row.label
        assert (value["metric"], value["kind"]) == (row.summary.metric, row.summary.kind)
        assert (value["value"], value["low"], value["high"]) == (row.summary.value, row.summary.low, row.summary.high)
        assert (value["difference"] is None) == (row.difference is None)
        if row.difference is not None:
            assert value["difference"]["value"] == row.difference.value
            assert value["difference"]["p"] == row.p_holm
    assert overview["headline"][0] == comparison.ranked_by == "utility"
    assert overview["baseline"] == "prompt-only"


def test_first_is_tested_against_each_other_method(tmp_path: Path) -> None:
    users = [f"u{i}" for i in range(12)]
    better = {name: {user: level + 0.01 * i for i, user in enumerate(users)} for name, level in LEVELS.items()}
    runs = [build(tmp_path / name, name, values) for name, values in better.items()]
    overview = data(page(runs, tmp_path / "report"), "overview")
    comparison = compare(runs)
    labels = list(comparison.runs)
    first, *others = comparison.ranks
    assert [(labels[test["first"]], labels[test["run"]]) for test in overview["rivals"]] == [(first, o) for o in others]
    scores = {label: run.columns()["utility"].scores for label, run in comparison.runs.items()}
    found = [paired_difference(scores[first], scores[other]) for other in others]
    assert [test["value"] for test in overview["rivals"]] == [one.estimate.value for one in found]
    assert [test["p"] for test in overview["rivals"]] == adjusted([one.p_value for one in found])


def test_history_that_no_method_saw_is_not_shown(runs: list[ScoredFolder], tmp_path: Path) -> None:
    runs[1].folder.append_profile(ProfileRow("ann", "0" * 64, 0.1, 0, 0, 0, "ok"))
    store_summary(ScoredFolder.open(runs[1].path))
    runs = [runs[0], ScoredFolder.open(runs[1].path)]
    people = data(page(runs, tmp_path / "report"), "people")
    shown = {user["id"]: bool(liked) for user, liked in zip(people["users"], people["liked"], strict=True)}
    assert shown == {"ann": False, "bob": True, "cyd": True}


def test_run_without_scores_is_shown_without_numbers(tmp_path: Path) -> None:
    run = build(tmp_path / "run", "ours", 0.5, truth=False)
    assert not is_scored(run)
    write_index(Content.unscored([UnscoredRun(run)], history_of), tmp_path / "report")
    overview, rows = data(tmp_path / "report", "overview"), data(tmp_path / "report", "rows-0-0")
    assert overview["tables"] == overview["values"] == []
    assert rows["scores"] == {}
    assert len(rows["place"]) == len(run.samples)


def test_scores_of_samples_that_have_changed_since_are_no_scores(tmp_path: Path) -> None:
    run = build(tmp_path / "run", "ours", 0.5)
    assert is_scored(run)
    RunFolder(run.path).append_samples([replace(run.samples[0], image=None, status="failed", error="later")])
    assert not is_scored(ScoredFolder.open(run.path))


def test_hostile_texts_are_data_and_nothing_else(tmp_path: Path) -> None:
    run = build(tmp_path / "run", "ours", {"ann": 0.5, "bob": None}, prompts={"a cat": HOSTILE}, error=HOSTILE)
    comparison = compare([run])
    write_index(Content(comparison.runs, comparison, None), tmp_path / "report")
    for path in (tmp_path / "report" / "page" / "data").iterdir():
        assert "<" not in path.read_text(encoding="ascii")
        content_of(path)
    assert printable(HOSTILE, "\n") in data(tmp_path / "report", "people")["prompts"]


def test_script_holds_no_number_that_json_lacks(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_data(tmp_path, "rows", {"value": float("nan")})
    assert as_script("\u2028</script>'") == r"""'"\\u2028\\u003c/script>\'"'"""


def test_earlier_page_is_replaced_as_a_whole(runs: list[ScoredFolder], tmp_path: Path) -> None:
    folder = page(runs, tmp_path / "report")
    (folder / "page" / "data" / "rows-9-0.js").write_text("old")
    page(runs, folder)
    assert not (folder / "page" / "data" / "rows-9-0.js").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "page"]


def test_page_that_cannot_be_written_leaves_the_earlier_one(
    runs: list[ScoredFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = page(runs, tmp_path / "report")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise PrefbenchError("the disk is full")

    monkeypatch.setattr(folder_module, "write_data", full)
    with pytest.raises(PrefbenchError, match="full"):
        page(runs, folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_what_is_no_page_is_neither_replaced_nor_followed(runs: list[ScoredFolder], tmp_path: Path) -> None:
    elsewhere, other, own = (tmp_path / name for name in ("elsewhere", "other", "own/page"))
    for folder in (elsewhere, other, own):
        folder.mkdir(parents=True)
    (elsewhere / "kept").write_text("kept")
    (own / "thesis.tex").write_text("mine")
    (other / "page").symlink_to(elsewhere)
    with pytest.raises(PrefbenchError, match="no folder of its own"):
        page(runs, other)
    with pytest.raises(PrefbenchError, match="something else than a page"):
        page(runs, own.parent)
    assert (elsewhere / "kept").read_text() == "kept"
    assert (own / "thesis.tex").read_text() == "mine"


def test_control_characters_and_names_of_the_language_are_only_texts(tmp_path: Path) -> None:
    kinds = {"ann": "constructor", "bob": "__proto__", "cyd": "noisy"}
    command = "prefbench run\nrm -rf ~\x1b[2J\u202e"
    run = build(
        tmp_path / "run", "ours", 0.5, command=command, description={"kinds": kinds}, prompts={"a cat": HOSTILE}
    )
    comparison = compare([run])
    write_index(Content(comparison.runs, comparison, None), tmp_path / "report")
    overview, people = data(tmp_path / "report", "overview"), data(tmp_path / "report", "people")
    assert overview["repeat"] == ["prefbench run rm -rf ~\ufffd[2J\ufffd"]
    assert [user["kind"] for user in people["users"]] == list(kinds.values())
    assert not any("\x1b" in json.loads(json.dumps(text)) for text in people["prompts"])


def test_damaged_audit_is_a_finding(runs: list[ScoredFolder], tmp_path: Path) -> None:
    path = runs[1].path / "audit.json"
    content = {name: value for name, value in json.loads(path.read_text()).items() if name not in ("sha256", "format")}
    for damage in (
        {"findings": ["x"]},
        {"failed": None},
        {"findings": [{"check": "a", "outcome": "odd", "detail": ""}]},
    ):
        path.write_text(json.dumps(stamped({**content, **damage})))
        audit = data(page(runs, tmp_path / "report"), "overview")["runs"][1]["audit"]
        assert audit["failed"]
        assert "is damaged" in audit["findings"][0]["text"]


def picture(size: tuple[int, int], shade: int) -> Wanted:
    image = Image.new("RGB", size, (shade, shade // 2, 9))
    return Wanted(f"{size}{shade}", lambda: image.copy())


def unreadable() -> Image.Image:
    raise UnreadableImageError("cut off")


def test_sheets_keep_the_cells_of_what_came_before(tmp_path: Path) -> None:
    sheets = Sheets(tmp_path, Layout(32, exact=True))
    first = [picture((32, 32), shade) for shade in range(3)]
    more = [picture((32, 32), shade % 256) for shade in range(2, 450)]
    assert sheets.places(first) == [0, 1, 2]
    assert sheets.places([*more, Wanted("bad", unreadable), first[0]])[:2] == [2, 3]
    assert sheets.place("bad") == sheets.place(None) == sheets.place("never seen") == NOWHERE
    assert len(list(tmp_path.glob("*.webp"))) == 1  # 256 different shades
    with Image.open(tmp_path / "0.webp") as sheet:
        assert sheet.convert("RGB").getpixel((2 * 32, 0)) == (2, 1, 9)
        assert sheet.convert("RGB").getpixel((10 * 32, 12 * 32)) == (250, 125, 9)


def test_large_pictures_are_reduced_and_keep_their_shape(tmp_path: Path) -> None:
    wanted = [picture((640, 320), shade) for shade in range(3)]
    sheets = Sheets.of(wanted, tmp_path)
    places = sheets.places(wanted)
    edge = sheets.layout.edge
    assert not sheets.layout.exact
    assert [sheets.size(place) for place in places] == [(640, 320)] * 3
    with Image.open(tmp_path / "0.webp") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    assert pixels[2, edge // 2].min() > 240  # white above a wide picture
    assert pixels[edge // 2, edge // 2].max() < 20


@pytest.mark.parametrize(("side", "edge", "exact"), [(64, 64, True), (512, 160, False)])
def test_picture_larger_than_those_before_lays_all_out_anew(tmp_path: Path, side: int, edge: int, exact: bool) -> None:
    sheets, small = Sheets(tmp_path, Layout(8, exact=True)), [picture((8, 8), shade) for shade in range(250)]
    sheets.places(small)
    places = sheets.places([*small, picture((side, side), 200)])
    assert (sheets.layout.edge, sheets.layout.exact) == (edge, exact)
    assert places == list(range(251))
    assert sheets.size(places[-1]) == (side, side)
    number, within = divmod(places[-1], sheets.layout.cells)
    row, column = divmod(within, sheets.layout.columns)
    with Image.open(tmp_path / f"{number}.webp") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    middle = pixels[row * edge + edge // 2, column * edge + edge // 2]
    assert abs(middle - (200, 100, 9)).max() < 12
    assert len(list(tmp_path.glob("*.webp"))) == number + 1


def test_picture_that_could_not_be_read_is_tried_again(tmp_path: Path) -> None:
    sheets = Sheets(tmp_path, Layout(32, exact=True))
    assert sheets.places([Wanted("one", unreadable)]) == [NOWHERE]
    assert sheets.places([Wanted("one", picture((32, 32), 7).load)]) == [0]


def test_nearest_like_is_the_one_with_the_least_difference(tmp_path: Path) -> None:
    sheets = Sheets(tmp_path, Layout(32, exact=True))
    places = sheets.places([picture((32, 32), shade) for shade in (10, 100, 200, 90)])
    assert sheets.nearest([places[3], NOWHERE, places[2]], places[:2]) == [places[1], NOWHERE, places[1]]
    assert sheets.nearest([NOWHERE], places) == sheets.nearest([places[0]], [NOWHERE]) == [NOWHERE]


def test_rows_are_cut_into_blocks(runs: list[ScoredFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "BLOCK", 5)
    folder = page(runs, tmp_path / "report")
    blocks = [data(folder, f"rows-0-{block}") for block in range(data(folder, "overview")["runs"][0]["blocks"])]
    assert [block["first"] for block in blocks] == [0, 5, 10]
    assert sum(len(block["user"]) for block in blocks) == len(runs[0].samples)
    assert [value for block in blocks for value in block["scores"]["utility"]] == [
        None if np.isnan(value) else value for value in runs[0].columns()["utility"].scores.values.tolist()
    ]
