"""Runs of given images in reports: beside runs of any backbone, never in the frame, and what is unknown is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from prefbench.api import PrefbenchError, ScoredRun
from prefbench.api.runs import NO_BACKBONE, NO_DIGEST
from prefbench.reports.contrasts.contrasts import contrast
from prefbench.reports.contrasts.grids import contrast_grid
from prefbench.reports.leaderboard.entries import entries_of
from prefbench.reports.leaderboard.page import render
from prefbench.reports.shared.frame import is_plain
from prefbench.reports.shared.labels import check_mix, label_runs
from prefbench.reports.shared.notes import drawn_lines
from prefbench.reports.table.beside import frame_beside
from prefbench.reports.table.compare import Comparison, as_json, compare
from prefbench.reports.table.grids import run_grid, runs_grid
from prefbench.reports.table.together import together
from tests.support.colours import ColourSuite
from tests.support.toy_runs import build

PEOPLE = tuple(f"user {i}" for i in range(9))
GIVEN: dict[str, Any] = {
    "backbone": NO_BACKBONE,
    "backbone_digest": NO_DIGEST,
    "steps": 0,
    "guidance": 0.0,
    "dtype": "none",
}


def given(folder: Path, name: str = "theirs") -> ScoredRun:
    return build(folder / name, f"images:{name}", 0.4, spec=GIVEN)


def lab(folder: Path, name: str = "theirs", own: float = 0.9, **card: Any) -> ScoredRun:
    """Images of a lab's generator on a suite without truth; `own` is P(liked) under the own user."""
    control, role = card.pop("control", None), card.pop("role", "")
    backbone = card.pop("backbone", "sdxl")
    version = f"{card.pop('version', '1')}+{name}{control}{role}{backbone}"
    return build(
        folder / f"{name}{control}{role}{backbone}", f"images:{name}", dict.fromkeys(PEOPLE, 0.0), present=PEOPLE,
        truth=card.pop("truth", False), gain=lambda *sample: own + 0.001 * sample[2],
        spec={**GIVEN, "control": control, "method_version": version}, method_name=name,
        description={
            "backbone": {"name": NO_BACKBONE, "stated": backbone or "not stated"},
            "given": {"stated": ["backbone"] * bool(backbone), **({"role": role} if role else {})},
        }, **card,
    )  # fmt: skip


def framed(folder: Path, crowd: float = 0.6) -> list[ScoredRun]:
    """The images of a lab with a frame of its own generator."""
    return [
        lab(folder),
        lab(folder, "plain", 0.4, role="baseline"),
        lab(folder, "popular", crowd, role="crowd"),
        lab(folder, own=0.5, control="other-user"),
    ]


def here(folder: Path, method: str, own: float = 0.3, **options: Any) -> ScoredRun:
    """The same people's images, drawn here."""
    return build(
        folder / f"{method}{options}", method, dict.fromkeys(PEOPLE, 0.0), present=PEOPLE, truth=False,
        gain=lambda *sample: own + 0.001 * sample[2], **options,
    )  # fmt: skip


def cells(comparison: Comparison, label: str) -> dict[str, str]:
    """A line of the table by its heads."""
    table = runs_grid(comparison)
    lines = [line for section in table.sections for line in section]
    (line,) = [line for line in lines if line[0].removesuffix(" ≈") == label]
    return dict(zip(table.columns, line, strict=True))


def notes(comparison: Comparison) -> str:
    return "\n".join(runs_grid(comparison).notes)


def drawn(folder: Path, method: str, **spec: Any) -> ScoredRun:
    return build(folder / f"{method}{len(spec)}", method, 0.3, spec=spec)


def test_given_images_stand_beside_runs_of_any_backbone(tmp_path: Path) -> None:
    runs = [given(tmp_path), drawn(tmp_path, "prompt-only"), drawn(tmp_path, "ours")]
    check_mix(runs)
    assert together(runs) == runs
    assert label_runs(runs) == ["images:theirs", "prompt-only", "ours"], "no label names a sampler that is not known"


def test_runs_of_two_backbones_are_still_refused_with_given_images_among_them(tmp_path: Path) -> None:
    runs = [drawn(tmp_path, "prompt-only"), given(tmp_path), drawn(tmp_path, "ours", backbone_digest="c" * 64)]
    with pytest.raises(PrefbenchError, match="differ in the backbone's weights"):
        check_mix(runs)


def test_given_images_of_other_data_are_refused(tmp_path: Path) -> None:
    other = build(tmp_path / "other", "images:other", 0.4, spec={**GIVEN, "suite_digest": "e" * 64})
    with pytest.raises(PrefbenchError, match="differ in the data"):
        check_mix([drawn(tmp_path, "prompt-only"), other])


def test_given_images_are_shown_beside_their_own_frame_and_no_other(tmp_path: Path) -> None:
    for method in ("prompt-only", "crowd"):
        here(tmp_path, method)
    own, *frame = framed(tmp_path)
    lab(tmp_path, "elsewhere", 0.2, role="baseline", backbone="another")
    assert {run.path for run in frame_beside(own)} == {run.path for run in frame}
    assert {run.method for run in frame_beside(here(tmp_path, "ours"))} == {"prompt-only", "crowd"}
    assert frame_beside(given(tmp_path)) == [], "nobody knows what drew them"


@pytest.mark.parametrize("method", ["prompt-only", "inferred", "crowd"])
def test_given_images_are_never_of_the_frame(tmp_path: Path, method: str) -> None:
    run = given(tmp_path, method)
    assert not is_plain(run, method)


def test_what_nobody_said_of_the_images_stands_under_each_table(tmp_path: Path) -> None:
    assert drawn_lines(given(tmp_path))[0] == (
        "images given, not drawn here; backbone, encoders, training data, selection not stated: "
        "set against images of the same stated backbone alone"
    )
    assert not any("given" in line for line in drawn_lines(drawn(tmp_path, "ours")))


@pytest.mark.parametrize("data", ["mine:test", "mine:scorer", "mine"])
@pytest.mark.parametrize("method", ["images:theirs", "prompt-only"])
def test_training_on_what_is_measured_stands_under_each_table(tmp_path: Path, method: str, data: str) -> None:
    about = {"method": {"name": "m", "version": "1", "trained_on": ["mine:train", data]}}
    spec = {**(GIVEN if ":" in method else {}), "suite": "mine/"}
    learned = build(tmp_path / "learned", method, 0.4, spec=spec, description=about)
    line = (
        f"was trained on {data}, what it is measured on: no number of it speaks of unseen data, and prefbench audit "
        "fails it"
    )
    assert line in run_grid(compare([learned]), next(iter(compare([learned]).runs))).notes
    about["method"]["trained_on"] = ["mine:train", "other:test"]
    unseen = build(tmp_path / "unseen", method, 0.4, spec=spec, description=about)
    assert not any("trained on" in one for one in drawn_lines(unseen))
    both = compare([learned, build(tmp_path / "other", "ours", 0.4, spec=spec | {"method": "ours"})])
    assert any(one.endswith(line) and one != line for one in runs_grid(both).notes)


def test_published_images_stand_in_a_table_of_their_own(tmp_path: Path) -> None:
    runs = [drawn(tmp_path, "prompt-only"), drawn(tmp_path, "inferred"), given(tmp_path)]
    page = render(entries_of(runs))
    own = page.partition("## toy, test users, none (images given)")[2].partition("\n## ")[0]
    assert "Data dddddddddddd, images given and not drawn here, run seed 0." in own
    assert "| images:theirs |" in own
    assert "| prompt-only |" not in own
    assert "steps, guidance" not in own


def test_the_frame_of_given_images_is_what_cards_say_of_the_same_backbone(tmp_path: Path) -> None:
    comparison = compare(framed(tmp_path))
    assert list(comparison.runs) == [
        "theirs",
        "plain (stated baseline)",
        "popular (stated crowd)",
        "theirs + other-user (stated control)",
    ]
    rates = {n: row.summary.value for n, row in comparison.of("theirs").items() if n.startswith("win-rate")}
    over = "win-rate over {} (stated)".format
    assert rates == {over("baseline"): 1.0, over("crowd"): 1.0, over("other-user"): 1.0}
    assert comparison.of("theirs")["personal-gain"].baseline == "plain (stated baseline)"
    assert comparison.unbeaten == {"theirs": []}
    assert comparison.lacking == {}
    assert "(stated): the run named is what it is by its card.toml alone" in notes(comparison)
    assert "⊕" not in notes(comparison)


def test_given_images_that_do_not_beat_their_own_crowd_are_marked(tmp_path: Path) -> None:
    comparison = compare(framed(tmp_path, crowd=0.95))
    assert comparison.unbeaten == {"theirs": ["crowd (stated)"]}
    assert "≈ theirs does not beat crowd (stated)" in notes(comparison)


def test_a_stated_frame_is_none_of_drawn_runs_nor_a_drawn_one_of_given_images(tmp_path: Path) -> None:
    """A crowd that draws nothing would let any method beat it."""
    runs = [*framed(tmp_path), here(tmp_path, "ours", 0.8), here(tmp_path, "prompt-only"), here(tmp_path, "crowd", 0.9)]
    comparison = compare(runs)
    assert {n for n in comparison.of("ours") if n.startswith("win-rate")} == {
        "win-rate over prompt-only",
        "win-rate over crowd",
    }
    assert comparison.of("ours")["personal-gain"].baseline == "prompt-only"
    assert comparison.unbeaten == {"theirs": [], "ours": ["crowd"]}
    assert cells(comparison, "theirs")["win-rate over crowd ↑"] == "— (images given)"
    assert cells(comparison, "ours")["win-rate over crowd (stated) ↑"] == "— (drawn here)"
    assert "rank: given images stand among images of other backbones" in notes(comparison)


@pytest.mark.parametrize(
    "card", [{"backbone": "another"}, {"backbone": ""}, {"version": "2"}], ids=["backbone", "nothing", "version"]
)
def test_cards_that_say_something_else_frame_nothing(tmp_path: Path, card: dict[str, str]) -> None:
    own, *frame = framed(tmp_path)
    other = lab(tmp_path / "other", own=0.7, control="other-user", **card)
    lacking = compare([own, *frame[:2], other]).lacking
    assert list(lacking)[:1] == ["theirs + other-user"]


def test_given_images_without_a_stated_backbone_have_no_frame_and_the_line_says_what_to_write(tmp_path: Path) -> None:
    comparison = compare([lab(tmp_path, "nameless", backbone=""), *framed(tmp_path)[1:3]])
    assert not any(name.startswith("win-rate") for name in comparison.of("nameless"))
    assert comparison.of("nameless")["personal-gain"].difference is None
    assert comparison.lacking["the backbone of nameless"] == 'its card.toml: backbone = "..."'


def test_what_is_missing_from_a_stated_frame_is_said_with_commands_that_bring_it(tmp_path: Path) -> None:
    comparison = compare([lab(tmp_path), here(tmp_path, "prompt-only"), here(tmp_path, "crowd")])
    assert comparison.lacking == {
        "baseline of sdxl": "prefbench score --images BASELINE --suite toy; its card.toml: "
        'role = "baseline", backbone = "sdxl"',
        "crowd of sdxl": 'prefbench score --images CROWD --suite toy; its card.toml: role = "crowd", backbone = "sdxl"',
        "theirs + other-user": "prefbench export cases toy FOLDER --control other-user; the card.toml of what is drawn "
        'from it: name = "theirs", control = "other-user", backbone = "sdxl"',
    }
    assert "prefbench run" not in notes(comparison)


def test_two_crowds_of_one_stated_backbone_are_refused_and_a_report_takes_the_first(tmp_path: Path) -> None:
    runs = [*framed(tmp_path), lab(tmp_path, "second", 0.1, role="crowd")]
    with pytest.raises(PrefbenchError, match="one crowd of images by sdxl, got 2: popular"):
        compare(runs)
    assert together(runs) == runs[:-1]


def test_a_named_baseline_of_another_backbone_marks_each_number_that_mixes(tmp_path: Path) -> None:
    runs = [*framed(tmp_path), here(tmp_path, "ours", 0.8), here(tmp_path, "ip-adapter", 0.7)]
    comparison = compare(runs, baseline="ours")
    mixed = {(row["label"], row["mixed"]) for row in as_json(comparison.rows) if row["baseline"] == "ours"}
    assert ("theirs", True) in mixed
    assert ("ip-adapter", False) in mixed
    assert cells(comparison, "theirs")["win-rate over ours ↑"].split("\n")[0].endswith(" ⊕")
    assert "⊕" not in cells(comparison, "ip-adapter")["win-rate over ours ↑"]
    assert "⊕ over or minus a run that is not known to have the same backbone" in notes(comparison)


def test_the_way_to_the_ceiling_is_no_share_of_given_images(tmp_path: Path) -> None:
    comparison = compare([given(tmp_path), drawn(tmp_path, "prompt-only"), drawn(tmp_path, "inferred")])
    label = "images:theirs"
    assert "gap-closed" not in comparison.of(label)
    assert comparison.of(label)["utility"].difference is None
    assert [v for n, v in cells(comparison, label).items() if n.startswith("gap-closed")] == ["— (images given)"]
    alone = run_grid(compare([given(tmp_path)]), label)
    assert "no gap-closed: it is made from prompt-only and inferred of one backbone, and these images are given." in (
        alone.notes
    )


def test_published_images_have_a_frame_of_their_own_which_the_page_marks(tmp_path: Path) -> None:
    runs = framed(tmp_path)
    page = render(entries_of(runs))
    assert "## toy, test users, none (images given)" in page
    assert "images given and not drawn here, by their cards from sdxl, run seed 0." in page
    assert "| popular (stated crowd) |" in page
    assert "| theirs + other-user (stated control) |" in page
    assert "win-rate over crowd (stated)" in page
    with pytest.raises(PrefbenchError, match=r"needs among the runs crowd of sdxl \(prefbench score --images CROWD"):
        entries_of([runs[0], runs[1], runs[3]])
    frame = [here(tmp_path, "prompt-only"), here(tmp_path, "crowd")]
    with pytest.raises(PrefbenchError, match="needs among the runs baseline of sdxl"):
        entries_of([runs[0], runs[3], *frame])


def test_published_images_of_two_stated_backbones_stand_in_two_tables(tmp_path: Path) -> None:
    entries = entries_of(framed(tmp_path))
    others = [{**entry, "stated": {"backbone": "another", "part": ""}} for entry in entries[:1]]
    assert render([*entries, *others]).count("## toy, test users") == 2


def test_a_contrast_of_given_and_drawn_images_is_marked(tmp_path: Path) -> None:
    runs = [here(tmp_path, "ours", 0.8), here(tmp_path, "prompt-only"), lab(tmp_path)]
    grid = contrast_grid(contrast(runs, ColourSuite, baseline="prompt-only", metrics=["personal-gain"]))
    names = [line[0] for section in grid.sections for line in section]
    assert names == ["ours − prompt-only", "theirs − prompt-only ⊕"]
    assert any(note.startswith("⊕ over or minus a run that is not known") for note in grid.notes)
    alike = contrast_grid(contrast(framed(tmp_path)[:2], ColourSuite, all_pairs=True, metrics=["personal-gain"]))
    assert not any("⊕" in text for text in (*alike.notes, *(line[0] for line in alike.sections[0])))


def test_copies_of_judged_pictures_are_named_under_each_table(tmp_path: Path) -> None:
    run = given(tmp_path)
    assert not any("judged" in line for line in drawn_lines(run))
    cast("dict[str, Any]", run.description)["given"] = {"found": 12, "copies": 5}
    assert "5 of 12 images are no drawing but what a user judged" in drawn_lines(run)
