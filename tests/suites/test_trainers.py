"""`prefbench train mini-...` end to end: on a few pictures for a few steps, and what is written loads again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from prefbench.cli.main import main
from prefbench.registry import load
from prefbench.suites.picturebook.data.corpus import CorpusRecipe, held_out, load_corpus
from prefbench.suites.picturebook.miniatures import quality, trainers
from prefbench.suites.picturebook.reader.reader import load_reader
from prefbench.training.figures import QualityFigure

PICTURES, STEPS, BATCH = 40, 3, 8


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipes as they ship, with few pictures to learn from and to be measured on."""
    for name, recipe in trainers.RECIPES.items():
        config = replace(recipe.config, images=STEPS * BATCH, batch=BATCH, warmup_steps=1)
        corpora = tuple(replace(corpus, n=PICTURES) for corpus in recipe.corpora)
        # As many held-out pictures as hold all values of all axes in either half; drawn ones cost more and need none.
        n = 4 if name in DRAWING else 200
        monkeypatch.setitem(trainers.RECIPES, name, trainers.Recipe(config, corpora, n))


def weights_of(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".json", ".txt"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name != "card.json"}


DRAWING = ("mini-sd", "mini-ip-adapter")
"""Their sheets and figures are drawn in 16 steps each."""


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "reader" else [pytest.mark.slow]) for name in trainers.RECIPES]
)
@pytest.mark.slow
def test_a_miniature_is_trained_measured_and_loads_again(name: str, tmp_path: Path) -> None:
    """By the verb, in a folder of its own; the quality that the card names is what the written folder gives again."""
    result = CliRunner().invoke(main, ["train", name, "--out", str(tmp_path), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    folder = tmp_path / name / "final"
    card = json.loads((folder / "card.json").read_text())
    assert card["name"] == name
    assert (card["training"]["steps"], card["training"]["images_seen"]) == (STEPS, STEPS * BATCH)
    assert [corpus["n"] for corpus in card["data"]["corpora"]] == [PICTURES] * len(trainers.RECIPES[name].corpora)
    losses = (tmp_path / name / "loss.csv").read_text().splitlines()
    assert np.isfinite(float(losses[-1].split(",")[-1]))
    measure: Callable[..., list[QualityFigure]] = load("weights", name)
    again = {figure.name: figure.value for figure in measure(folder, n=trainers.RECIPES[name].measured_on)}
    assert again == pytest.approx({figure: held["value"] for figure, held in card["figures"].items()}, abs=1e-4)
    assert all(0 <= value <= 1 or figure == "gain on the prompt alone" for figure, value in again.items())


@pytest.mark.usefixtures("tiny")
def test_training_goes_on_where_it_stopped_and_installs_a_whole_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainers, "WEIGHTS", tmp_path / "weights")
    train = ["train", "reader", "--out", str(tmp_path)]
    first = CliRunner().invoke(main, [*train, "--images", str(2 * BATCH)], catch_exceptions=False)
    assert first.exit_code == 0, first.output
    assert not (tmp_path / "weights").exists(), "installed only where --install says so"
    short = weights_of(tmp_path / "reader" / "final")
    longer = CliRunner().invoke(main, [*train, "--images", str(3 * BATCH), "--install"], catch_exceptions=False)
    assert longer.exit_code == 0, longer.output
    card = json.loads((tmp_path / "weights" / "reader" / "card.json").read_text())
    assert card["training"]["steps"] == 3, "two steps of the first call and one more"
    assert weights_of(tmp_path / "weights" / "reader") == weights_of(tmp_path / "reader" / "final") != short


def test_shares_of_prompts_obeyed_and_distances_to_the_prior_are_what_the_reader_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Drawn by the renderer itself, every attribute obeys; drawn in one style, the distance is that of what is read.

    The reader reads this style right but for a few pictures, so the distance is near what the prior says of it.
    """
    from prefbench.suites.picturebook.world.axes import BY_PROMPT, CONTENTS, STYLE, Scene
    from prefbench.suites.picturebook.world.render import render

    n = 24

    def obedient(pipeline: object, prompts: list[str]) -> NDArray[np.uint8]:
        del pipeline
        return np.stack([render(scene, i) for i, scene in enumerate(scenes_of[len(prompts)])])

    scenes_of = {n: quality._held_out_scenes(n, uniform=True)}
    monkeypatch.setattr(quality, "_draw", obedient)
    obeyed = {figure.name: figure.value for figure in quality.prompt_obedience(None, load_reader(), n=n)}
    assert obeyed["object"] == obeyed["setting"] == 1
    assert obeyed["mean over axes"] > 0.97

    first = {axis.name: 0 for axis in STYLE}
    scenes_of[n] = [Scene.of(object=i % 12, setting=0, **first) for i in range(n)]
    distances = {figure.name: figure.value for figure in quality.prior_distance(None, load_reader(), n=n)}
    read = load_reader().read(obedient(None, [""] * n))
    for axis in STYLE:
        shares = [float((read[axis.name].argmax(1) == value).mean()) for value in range(len(axis))]
        above = sum(max(0.0, share - prior) for share, prior in zip(shares, axis.prior, strict=True))
        assert distances[f"prior {axis.name}"] == pytest.approx(above)
        assert distances[f"prior {axis.name}"] == pytest.approx(1 - axis.prior[0], abs=0.1)
    assert len(BY_PROMPT) == len(CONTENTS)


@pytest.mark.slow
def test_a_small_corpus_holds_the_first_pictures_of_one_that_processes_share() -> None:
    small, large = (load_corpus(CorpusRecipe("captioned", n, seed=5)) for n in (10, 1010))
    assert np.array_equal(small.pictures, large.pictures[:10])
    assert np.array_equal(small.named, large.named[:10])
    assert held_out(10) == CorpusRecipe("uniform", 10, seed=3)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_robust_readers_are_trained_one_after_the_other_and_load_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robust, tiny = trainers.ROBUST_READERS, trainers.RECIPES["reader"]
    monkeypatch.setattr(
        trainers, "ROBUST_READERS", replace(robust, config=tiny.config, corpora=tiny.corpora, measured_on=60)
    )
    train = ["train", "reader", "-p", "robust=true", "--out", str(tmp_path), "--json"]
    done = CliRunner().invoke(main, train, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "reader" / "final" / "card.json").read_text())
    assert card["training"]["images_seen"] == 2 * STEPS * BATCH
    assert card["command"].startswith("prefbench train reader -p robust=true --images")
    assert {"blur", "noise", "misregistration", "blotches", "tilt"} <= set(card["figures"])
    panel = load_reader(tmp_path / "reader" / "final")
    assert [reader.network for reader in panel.readers] == ["fine", "coarse"]
    first = weights_of(tmp_path / "reader" / "final")
    CliRunner().invoke(main, train, catch_exceptions=False)
    assert weights_of(tmp_path / "reader" / "final") == first, "both were done: nothing is trained again"
