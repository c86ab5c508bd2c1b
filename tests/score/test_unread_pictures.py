"""A picture that cannot be read fails what needs it and nothing else, in one line with its name, user and side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from prefbench.api import DrawnImages, History, ImageMetric, MetricCard, Picture, Reference, Sample, encode_png
from prefbench.registry import load
from prefbench.reports.shared.notes import drawn_lines
from prefbench.run.folder import RunFolder
from prefbench.score.evaluator import Evaluator, Scoring
from prefbench.score.material import Material
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.summarise import store_summary
from tests.score.test_evaluator import USERS, World, level
from tests.support.stored import SPEC, scores_of

WORLD = f"{Path(__file__).parent / 'test_evaluator.py'}"


class Seen(ImageMetric):
    """How many likes a metric that opens them itself is shown."""

    card = MetricCard("seen", "1", "likes", "side", "up", "image", "count", asks_histories=("scorer",))

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        histories = drawn.evidence.histories["scorer"]
        counts = {user: float(len([j.picture.load() for j in one.liked])) for user, one in histories.items()}
        return {"seen": [counts[sample.user] for sample in drawn.samples]}


def cut(picture: Picture) -> Picture:
    return replace(picture, data=(picture.data or b"")[:40])


class Damaged(World):
    """Of user-1 one like that scorers see, and of user-2 some references, are downloads that stopped."""

    def __init__(self, references: int = 1, *, likes: bool = True) -> None:
        super().__init__()
        self.lost, self.likes = references, likes

    def history(self, user: str, viewer: str) -> History:
        history = super().history(user, viewer)
        if not self.likes or (user, viewer) != ("user-1", "scorer"):
            return history
        second = replace(history.liked[0], picture=Picture.of(level(250)))
        return replace(history, liked=(replace(history.liked[0], picture=cut(history.liked[0].picture)), second))

    def references(self, split: str) -> Sequence[Reference]:
        references = list(super().references(split))
        first = USERS.index("user-2") * 13 if self.lost < 60 else 0
        for i in range(first, first + self.lost):
            references[i] = replace(references[i], picture=cut(references[i].picture))
        return references


class Misnamed(World):
    """The author took file names for digests."""

    def references(self, split: str) -> Sequence[Reference]:
        named = enumerate(super().references(split))
        return [replace(r, picture=replace(r.picture, digest=f"{i % 13}.png")) for i, r in named]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    about = {"spec": SPEC, "method": {"name": "m"}, "kinds": dict.fromkeys(USERS, "user"), "planned": 18}
    folder.write_description(about)
    folder.append_samples(
        Sample(f"{user}/{i}", user, user, f"prompt {i}", i, 0, "ok", folder.put_image(level(10 * u + i)))
        for u, user in enumerate(USERS)
        for i in range(3)
    )
    return folder


def score(folder: RunFolder, world: World, *metrics: str) -> Scoring:
    evaluator = Evaluator(world, metrics)  # type: ignore[arg-type]
    return evaluator.score(Material(folder, evaluator._suite, "test"))


def values(folder: RunFolder, name: str) -> dict[str, float]:
    return {row["key"]: row["value"] for row in scores_of(folder, name)[1]}


SEEN = f"{Path(__file__)}:Seen"
NEAR, SHIFT, BLIND = (f"{WORLD}:{name}" for name in ("NearLikes", "MeanShift", "Blind"))


def test_a_metric_over_sets_stands_on_the_other_references_and_says_so(folder: RunFolder) -> None:
    scoring = score(folder, Damaged(), SHIFT, BLIND)
    assert (set(scoring.computed), scoring.refused, scoring.broken) == ({"shift", "blind"}, {}, {})
    headers = ScoredFolder.open(folder.path).headers
    unread = headers["shift"].unread or ""
    lost = super(Damaged, world := Damaged()).references("test")[26].picture.digest
    assert unread.startswith(f"1 of 78 references could not be read, such as {lost[:12]}: cannot be decoded")
    assert unread.endswith("(reference of user-2)")
    assert headers["blind"].unread is None
    assert world.references("test")[26].picture.digest == lost


@pytest.mark.parametrize("metric", [SEEN, NEAR], ids=["opens them itself", "by its extractor"])
def test_a_metric_over_histories_stands_on_the_other_judgments_and_says_so(folder: RunFolder, metric: str) -> None:
    scoring = score(folder, Damaged(0), metric, BLIND)
    assert (scoring.refused, scoring.broken, len(scoring.computed)) == ({}, {}, 2)
    name = load("metric", metric).card.name
    header = ScoredFolder.open(folder.path).headers[name]
    assert (header.unread or "").startswith("1 of 7 judged pictures could not be read, such as ")
    assert (header.unread or "").endswith("(liked by user-1)")
    scores = values(folder, name)
    assert scores["user-1/0"] == (1 if metric == SEEN else 240)


def test_the_lines_of_a_run_name_the_metrics_that_stand_on_fewer(folder: RunFolder) -> None:
    score(folder, Damaged(), SHIFT, SEEN, NEAR, BLIND)
    store_summary(ScoredFolder.open(folder.path))
    lines = [line for line in drawn_lines(ScoredFolder.open(folder.path)) if "could not be read" in line]
    assert sorted(line.partition(":")[0] for line in lines) == [
        "fewer pictures behind near-likes, seen",
        "fewer pictures behind shift",
    ]


def test_pictures_that_are_back_are_scored_on_again(folder: RunFolder) -> None:
    whole = Damaged(0, likes=False)
    score(folder, whole, SHIFT)
    expected = values(folder, "shift")
    folder.drop_scores("shift")
    for shard in (folder.path / "features").rglob("*.npz"):
        shard.unlink()
    score(folder, Damaged(5), SHIFT)
    assert values(folder, "shift") != expected
    assert score(folder, whole, SHIFT).computed == ["shift"]
    assert values(folder, "shift") == expected
    assert ScoredFolder.open(folder.path).headers["shift"].unread is None
    assert score(folder, whole, SHIFT).computed == []


@pytest.mark.parametrize("lost", [75, 78])
def test_too_few_that_can_be_read_is_the_reason_for_refusing(folder: RunFolder, lost: int) -> None:
    scoring = score(folder, Damaged(lost), SHIFT, BLIND)
    assert scoring.computed == ["blind"]
    assert f"{lost} of 78 references could not be read, such as " in scoring.refused["shift"]
    assert "\n" not in scoring.refused["shift"]


def test_references_under_other_digests_than_their_pixels_are_refused(folder: RunFolder) -> None:
    scoring = score(folder, Misnamed(), SHIFT, BLIND)
    assert scoring.computed == ["blind"]
    assert "0.png: its pixels have the digest" in scoring.refused["shift"]
    assert "(reference of user-0)" in scoring.refused["shift"]


def damage(folder: RunFolder, *keys: str) -> list[Path]:
    """Puts other pictures in the place of the drawn ones."""
    paths = [folder.image_path(folder.samples()[key].image or "") for key in keys]
    for path in paths:
        path.write_bytes(encode_png(level(77)))
    return paths


def test_a_damaged_drawing_is_missing_where_it_is_looked_at_and_nowhere_else(folder: RunFolder) -> None:
    assert score(folder, World(), SHIFT).computed == ["shift"]
    whole = values(folder, "shift")
    (path,) = damage(folder, "user-2/1")
    scoring = score(folder, World(), SHIFT, BLIND)
    assert (scoring.computed, scoring.refused, scoring.broken) == (["blind"], {}, {})
    assert values(folder, "shift") == whole, "its features are stored: it needs no picture"
    assert set(values(folder, "blind")) == set(folder.samples()) - {"user-2/1"}
    run = ScoredFolder.open(folder.path)
    assert run.headers["shift"].unread is None
    assert run.headers["blind"].unread == (
        f"1 of 18 drawn images could not be read, such as {path} holds another picture than its name says;"
        " the run's own command draws it again (drawn for user-2)"
    )
    store_summary(run)
    (row,) = [row for row in ScoredFolder.open(folder.path).summary() if row.metric == "blind" and row.kind == "all"]
    assert (row.n_samples, row.missing) == (17, 1)


def test_the_line_about_a_damaged_drawing_names_the_command_that_draws_it_again(folder: RunFolder) -> None:
    folder.write_description({**folder.read_description(), "command": "prefbench run --method m"})
    damage(folder, "user-2/1", "user-0/0")
    assert score(folder, World(), SHIFT).computed == ["shift"]
    line = ScoredFolder.open(folder.path).headers["shift"].unread or ""
    assert line.startswith("2 of 18 drawn images could not be read, such as ")
    assert "; prefbench run --method m draws it again (drawn for user-" in line


def test_a_drawing_that_is_back_is_scored_again(folder: RunFolder) -> None:
    (path,) = damage(folder, "user-2/1")
    score(folder, World(), BLIND)
    path.unlink()
    folder.put_image(level(21))
    assert score(folder, World(), BLIND).computed == ["blind"]
    assert ScoredFolder.open(folder.path).headers["blind"].unread is None
    assert set(values(folder, "blind")) == set(folder.samples())
    assert score(folder, World(), BLIND).computed == []


def test_damaged_drawings_and_damaged_references_are_both_set_aside(folder: RunFolder) -> None:
    damage(folder, "user-0/1")
    assert score(folder, Damaged(), SHIFT).computed == ["shift"]
    line = ScoredFolder.open(folder.path).headers["shift"].unread or ""
    assert line.startswith("1 of 78 references could not be read, such as ")
    assert "; 1 of 18 drawn images could not be read, such as " in line


def test_a_run_of_which_no_drawing_can_be_read_breaks_what_looks_at_them_alone(folder: RunFolder) -> None:
    assert score(folder, World(), SHIFT).computed == ["shift"]
    damage(folder, *folder.samples())
    scoring = score(folder, World(), SHIFT, BLIND)
    assert (folder.scored(), scoring.computed, scoring.refused) == (["shift"], [], {})
    assert scoring.broken["blind"].startswith("18 of 18 drawn images could not be read, such as ")
