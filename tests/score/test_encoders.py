"""What looks at the pictures: columns name it, and say where it is the method's own or knows other pictures alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from prefbench.api import (
    DrawnImages,
    ExtractorCard,
    Features,
    FeatureSet,
    Grid,
    ImageMetric,
    MetricCard,
    Picture,
    Pixels,
    Reference,
    Sample,
    ScoreHeader,
    ScorerRecord,
    SetMetric,
    SuiteCard,
    SummaryRow,
    User,
)
from prefbench.registry import load, names
from prefbench.reports.contrasts.contrasts import as_json, contrast
from prefbench.reports.contrasts.grids import contrast_grid, standings_grid
from prefbench.reports.shared.grid import to_latex, to_markdown
from prefbench.reports.table.compare import compare
from prefbench.reports.table.grids import run_grid, runs_grid
from prefbench.reports.table.page import rows_as_csv
from prefbench.run.folder import RunFolder
from prefbench.score.evaluator import Evaluator
from prefbench.score.material import Material
from prefbench.score.scored_folder import ScoredFolder
from prefbench.score.summarise import store_summary
from tests.support.stored import SPEC

HERE = f"{Path(__file__)}"
USERS, PROMPTS = tuple(f"user-{i}" for i in range(6)), tuple(f"prompt {i}" for i in range(4))


class Levels:
    """An extractor that learned from the pictures of the suite `cartoons` alone: features (N, 1), the mean level."""

    card = ExtractorCard("levels", "mean level", world="cartoons")
    id = "levels[mean]@1"

    def images(self, pictures: Sequence[Pixels]) -> Features:
        return np.array([[picture.mean()] for picture in pictures])

    def texts(self, texts: Sequence[str]) -> Features:
        raise NotImplementedError(texts)


class Shift(SetMetric):
    card = MetricCard("shift", "1", "mean difference", "fidelity", "down", "set", "mean")

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        return float(drawn.features.mean() - reference.features.mean())


class Level(ImageMetric):
    card = MetricCard(
        "level", "1", "mean level", "preference", "up", "image", "mean", pixel_columns=("level/pixels",)
    )  # fmt: skip
    extractor: ClassVar[str | None] = "fidelity"

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        assert drawn.features is not None
        return {"level": drawn.features[:, 0].tolist(), "level/pixels": [float(s.pixels.max()) for s in drawn.samples]}


class Photographs:
    """A suite whose pictures are not those that `Levels` knows."""

    card = SuiteCard("photographs", "1", "", "", "none", ("shift",), {"fidelity": f"{HERE}:Levels"})
    digest, truth = "d", None

    def users(self, _: str) -> Sequence[User]:
        return [User(user, "test") for user in USERS]

    def references(self, _: str) -> Sequence[Reference]:
        return [
            Reference(user, "a like", Picture.of(grey(u + 10 * i))) for u, user in enumerate(USERS) for i in range(8)
        ]

    def crowd_references(self, _: str) -> Sequence[Reference]:
        return ()


class Cartoons(Photographs):
    card = replace(Photographs.card, name="cartoons")


def grey(level: int) -> Image.Image:
    return Image.new("RGB", (4, 4), (level, level, level))


def scored(path: Path, method: str, suite: Photographs, encoders: tuple[str, ...] = ()) -> ScoredFolder:
    folder = RunFolder(path)
    names = [(user, prompt) for user in USERS for prompt in PROMPTS]
    spec = {**SPEC, "suite": suite.card.name, "method": method}
    card, kinds = {"name": method, "encoders": encoders}, dict.fromkeys(USERS, "one")
    folder.write_description({"spec": spec, "method": card, "kinds": kinds, "planned": len(names)})
    folder.append_samples(
        Sample(f"{method}/{u}/{p}", u, f"{u}/{p}", p, 0, 0, "ok", folder.put_image(grey(100 + len(method) * k % 90)))
        for k, (u, p) in enumerate(names)
    )
    scoring = Evaluator(suite, [f"{HERE}:Shift", f"{HERE}:Level"])  # type: ignore[arg-type]
    assert scoring.score(Material(folder, suite, "test")).computed == ["shift", "level"]  # type: ignore[arg-type]
    store_summary(ScoredFolder.open(path))
    return ScoredFolder.open(path)


def rows_of(run: ScoredFolder) -> dict[str, SummaryRow]:
    return {row.metric: row for row in run.summary()}


def test_every_table_names_the_encoder_of_a_column_and_every_key_stays(tmp_path: Path) -> None:
    suite = Cartoons()
    runs = [scored(tmp_path / name, name, suite) for name in ("prompt-only", "mine")]
    comparison = compare(runs)
    grid = runs_grid(comparison)
    heads = ["level (levels) ↑", "shift (levels) ↓"]
    assert [head for head in grid.columns if "(" in head] == heads
    assert all(head in to_markdown(grid) for head in heads)
    assert "level (levels)" in to_latex(grid)
    assert set(cells(run_grid(comparison, "mine"), 0)) == {*heads, "level/pixels ↑"}
    header, first = (line.split(",") for line in rows_as_csv(comparison).splitlines()[:2])
    row = dict(zip(header, first, strict=True))
    assert (row["metric"], row["extractor"]) == ("level", "levels")
    contrasts = contrast(runs, lambda: suite, metrics=("level", "level/pixels"), by="level")
    assert cells(contrast_grid(contrasts), 1) == ["level (levels) ↑", "level/pixels ↑"]
    assert contrasts.standings is not None
    assert "level (levels) ↑ [95 %]" in standings_grid(contrasts, contrasts.standings).columns
    assert [(row["metric"], row["extractor"]) for row in as_json(contrasts)["rows"]] == [
        ("level", "levels"),
        ("level/pixels", ""),
    ]


def cells(grid: Grid, column: int) -> list[str]:
    return [row[column] for section in grid.sections for row in section]


def test_a_column_that_pixels_decide_names_no_encoder(tmp_path: Path) -> None:
    rows = rows_of(scored(tmp_path / "run", "mine", Photographs(), ("levels",)))
    assert (rows["level/pixels"].extractor, rows["level/pixels"].foreign) == ("", "")


def test_an_encoder_that_knows_another_suite_alone_is_marked_with_the_reason(tmp_path: Path) -> None:
    run = scored(tmp_path / "elsewhere", "mine", Photographs())
    rows = rows_of(run)
    assert rows["shift"].foreign == rows["level"].foreign == "levels knows cartoons alone"
    text = to_markdown(runs_grid(compare([run])))
    assert "shift (levels¶) ↓" in text
    assert "¶ levels knows cartoons alone: on other pictures level, shift say little." in text
    at_home = scored(tmp_path / "home", "mine", Cartoons())
    assert {row.foreign for row in rows_of(at_home).values()} == {""}
    assert "¶" not in to_markdown(runs_grid(compare([at_home])))


def test_an_encoder_that_the_method_looks_through_too_is_marked_in_any_metric(tmp_path: Path) -> None:
    rows = rows_of(scored(tmp_path / "shares", "mine", Cartoons(), ("levels",)))
    assert rows["shift"].unranked == "shares levels with shift"
    assert rows["level"].unranked == "shares levels with level"
    apart = rows_of(scored(tmp_path / "apart", "mine", Cartoons(), ("others",)))
    assert {row.unranked for row in apart.values()} == {""}


@pytest.mark.parametrize(
    ("fields", "encoder"),
    [
        ({"extractor": "mini-clip[pixel-repeat-64,norm-sqrt-d]@5f"}, "mini-clip"),
        ({"extractor": "brightness@1"}, "brightness"),
        ({"extractor": "plain"}, "plain"),
        ({"mllm": "/models/qwen"}, "qwen"),
        ({"scorer": ScorerRecord("s", "s@1", ("lab/vit-h", "blip"), (), None)}, "vit-h, blip"),
        ({"extractor": "a[x]@1", "scorer": ScorerRecord("s", "s@1", ("a",), (), None)}, "a"),
        ({}, ""),
    ],
)
def test_the_name_is_read_from_what_the_header_says_of_the_instrument(fields: dict[str, object], encoder: str) -> None:
    header = ScoreHeader("x@1", "up", "side", "image", "s", **fields)  # type: ignore[arg-type]
    assert header.encoder_of("x") == encoder


def test_shipped_encoders_say_that_they_know_picturebook_alone() -> None:
    worlds = {name: load("extractor", name).card.world for name in names("extractor")}
    miniatures = {"mini-clip": "picturebook", "mini-dino": "picturebook"}
    assert worlds == dict.fromkeys(names("extractor")) | miniatures
    assert all(load("extractor", name).card.name == name for name in names("extractor"))
    assert load("scorer", "preference").card.world == "picturebook"
    assert load("mllm", "mini-mllm").world == "picturebook"
