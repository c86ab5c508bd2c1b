"""A plug-in's name is its own: of no device, no folder, and of nothing that is registered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prefbench import registry
from prefbench.api import MethodCard, MetricCard, PrefbenchError
from prefbench.api.card_checks import check_card
from prefbench.registry import is_taken, make, names
from prefbench.run.execute import execute
from prefbench.run.folder import RunFolder
from prefbench.run.metric_names import make_metrics
from prefbench.run.prepare import Settings, prepare
from prefbench.score.score_files import read_scores, write_scores
from prefbench.score.scored_folder import ScoredFolder
from tests.support import toy_runs

METRIC = """
from prefbench.api import ImageMetric, MetricCard

class Mine(ImageMetric):
    card = MetricCard({name!r}, "1", "mine", "side", "up", "image", "r")

    def score(self, drawn):
        return {{self.card.name: [1.0 for _ in drawn.samples]}}
"""
METHOD = """
from prefbench.api import Drawing, Method, MethodCard, Profile
from PIL import Image

class Mine(Method):
    card = MethodCard({name!r}, "1", "mine")

    def setup(self, context):
        pass

    def profile(self, history):
        return Profile(history.user)

    def generate(self, requests):
        return [Drawing(Image.new("RGB", (32, 32), (r.seed % 256, 0, 0)), r.prompt) for r in requests]
"""


def metric_file(folder: Path, name: str, stem: str = "mine") -> str:
    (folder / f"{stem}.py").write_text(METRIC.format(name=name))
    return f"{folder / stem}.py:Mine"


BAD = [
    "", " ", "../../outside", "..", ".hidden", "a/b", "utility/part", "a\\b", "con", "CON", "nul.txt", "COM1",
    "lpt9 .x", "aux:y", " mine", "mine ", "a\nb", "a\x1b[2Jb", "a\u202eb", "a\0b", "x" * 101, "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_card_bears_no_name_that_a_file_or_terminal_reads_otherwise(name: str, tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match="name on its card cannot be"):
        make("metric", metric_file(tmp_path, name))


GOOD = ["mine", "LPIPS (alex)", "CLIP-T+", "α-score", "コスト", "console", "comic", "x" * 100, "a.b", "C&A"]


@pytest.mark.parametrize("name", GOOD)
def test_other_names_are_taken(name: str, tmp_path: Path) -> None:
    assert make("metric", metric_file(tmp_path, name)).card.name == name


TAKEN = ["utility", "Utility", "\uff55tility", "fid", "preference", "pickscore", "torchmetrics:ssim", "gap-closed"]


@pytest.mark.parametrize("name", TAKEN)
def test_a_metric_of_a_file_takes_the_name_of_no_other(name: str, tmp_path: Path) -> None:
    with pytest.raises(PrefbenchError, match=r"the name on its card, .*, is another metric's; give it its own"):
        make("metric", metric_file(tmp_path, name))


def test_every_registered_class_bears_its_own_name() -> None:
    for kind in registry.CONTRACTS:
        for name in names(kind):
            assert not is_taken(kind, name, registry.load_class(kind, name).card.name), (kind, name)
    assert not is_taken("metric", "torchmetrics:ssim", registry.load_class("metric", "torchmetrics:ssim").card.name)


def test_two_metrics_of_one_name_are_refused_before_anything_is_scored(tmp_path: Path) -> None:
    one, other = metric_file(tmp_path, "mine", "one"), metric_file(tmp_path, "Mine", "other")
    with pytest.raises(PrefbenchError, match=r"metrics '.*one.py:Mine' and '.*other.py:Mine' both write"):
        make_metrics([one, other])
    assert list(make_metrics([one, one, "diversity"])) == ["mine", "diversity"]


def test_stored_scores_that_claim_the_column_of_another_metric_are_refused(tmp_path: Path) -> None:
    run = toy_runs.build(tmp_path / "run", "mine", 0.5)
    scores = read_scores(run.folder, "utility")
    assert scores is not None
    write_scores(run.folder, "zz", replace(scores, header=replace(scores.header, metric="zz@1[r]")))
    with pytest.raises(PrefbenchError, match="the column utility is in the scores of utility and of zz"):
        ScoredFolder.open(run.path).columns()


SHOWN = [("prompt-only", "mine.py:Mine"), ("INFERRED", "mine.py:Mine"), ("mine", "mine")]


@pytest.mark.parametrize(("name", "shown"), SHOWN)
def test_a_method_that_says_it_is_another_is_shown_by_where_it_comes_from(
    name: str, shown: str, tmp_path: Path, tiny_sd: Path
) -> None:
    (tmp_path / "mine.py").write_text(METHOD.format(name=name))
    options: dict[str, Any] = {"users": 1, "samples": 1, "steps": 1}
    method = f"{tmp_path / 'mine.py'}:Mine"
    prepared = prepare(Settings(method, backbone=str(tiny_sd), device="cpu", out=tmp_path, **options))
    execute(prepared)
    assert ScoredFolder.open(prepared.folder.path).method == shown
    assert json.loads((prepared.folder.path / "run.json").read_text())["method"]["name"] == shown


def test_cards_of_methods_have_names_of_files_too() -> None:
    check_card("method 'ours'", MethodCard("ours (steps=2)", "1", "fine"))
    with pytest.raises(PrefbenchError, match="method 'x': name on its card cannot be"):
        check_card("method 'x'", MethodCard("../x", "1", "not fine"))
    check_card("metric 'm'", MetricCard("m", "1", "s", "side", "up", "image", "r"))
    assert RunFolder(Path("runs")).score_path("a:b").name == "a%3Ab.jsonl"
