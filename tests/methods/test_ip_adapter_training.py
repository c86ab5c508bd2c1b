"""`train ip-adapter`: the same data, targets and eyes as `ours`, drawn with by `ip-adapter -p weights=`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from prefbench.api import Case, Context, PrefbenchError, Request
from prefbench.methods import ip_adapter_training
from prefbench.methods.ip_adapter import IpAdapter
from prefbench.methods.ip_adapter_training import train
from prefbench.methods.ours.train.injection_recipe import MINIATURE
from prefbench.methods.shared.trained_adapter import CONFIG, FILE, AdapterConfig, fresh_adapter
from prefbench.models.backbones.loader import load_backbone
from prefbench.training.requests import TrainRequest
from tests.support import tiny_suite
from tests.support.tiny import save_tiny_sd15
from tests.support.tiny_suite import history, save_tiny_tower

pytestmark = pytest.mark.slow
"""An adapter is trained for each kind of target, on tiny models."""

SUITE = f"{tiny_suite.__file__}:TinySuite"
STEPS = 64


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, idefics2: Path) -> dict[str, str]:
    root = tmp_path_factory.mktemp("models")
    return {
        "backbone": str(save_tiny_sd15(root / "sd15")),
        "tower": str(save_tiny_tower(root / "tower")),
        "mllm": str(idefics2),
    }


def trained(folder: Path, models: dict[str, str], **changes: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"suite": SUITE, "backbone": models["backbone"], "mllm": models["mllm"], "histories": 2}
    card = train(TrainRequest(folder, STEPS), **options | changes)
    assert card is not None
    return card


def drawn(folder: Path, models: dict[str, str], users: int = 2) -> list[Any]:
    method = IpAdapter(weights=str(folder / "final"), scale=4.0, guidance=3.0)
    method.setup(Context(load_backbone(models["backbone"], device="cpu", steps=2)))
    profiles = [method.profile(history(f"test-{i}", i, 3)) for i in range(users)]
    requests = [Request(Case(f"c{i}", p.user, tiny_suite.PROMPTS[0]), 0, 7, p) for i, p in enumerate(profiles)]
    return [np.asarray(drawing.image, float) for drawing in method.generate(requests)]


@pytest.mark.parametrize("targets", ["captions", "likes", "picks"])
def test_every_kind_of_target_trains_and_draws(targets: str, models: dict[str, str], tmp_path: Path) -> None:
    card = trained(tmp_path, models, targets=targets, image_tower=models["tower"])
    assert (card["recipe"]["targets"], card["training"]["seen"], card["data"]["users"]) == (targets, STEPS, 6)
    assert card["data"]["samples"] == (84 if targets == "captions" else pytest.approx(12, abs=3))
    images = drawn(tmp_path, models)
    assert np.abs(images[0] - images[1]).mean() > 0.1, "users of other likes are drawn other pictures"
    card_of = IpAdapter(weights=str(tmp_path / "final"))
    card_of.setup(Context(load_backbone(models["backbone"], device="cpu", steps=2)))
    assert card_of.card_in_use.encoders == ("tower",)
    assert len(card_of.weights_digest) == 64


def test_a_language_models_eyes_are_used_in_training_and_in_drawing(models: dict[str, str], tmp_path: Path) -> None:
    trained(tmp_path, models, eyes=models["mllm"])
    config = AdapterConfig.load(tmp_path / "final")
    assert config.eyes == models["mllm"]
    assert config.eyes_digest
    images = drawn(tmp_path, models)
    assert np.abs(images[0] - images[1]).mean() > 0.1
    stored = (tmp_path / "final" / CONFIG).read_text()
    (tmp_path / "final" / CONFIG).write_text(stored.replace(config.eyes_digest, "0" * 64))
    with pytest.raises(PrefbenchError, match="trained with other eyes"):
        drawn(tmp_path, models)


def test_what_is_stopped_goes_on_and_ends_the_same(
    models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(tmp_path / "whole", models, image_tower=models["tower"])
    real = ip_adapter_training.save_adapter
    monkeypatch.setattr(ip_adapter_training, "save_adapter", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "again", models, image_tower=models["tower"])
    monkeypatch.setattr(ip_adapter_training, "save_adapter", real)
    trained(tmp_path / "again", models, image_tower=models["tower"])
    files = [(tmp_path / name / "final" / FILE).read_bytes() for name in ("whole", "again")]
    assert files[0] == files[1]
    with pytest.raises(PrefbenchError, match="does not fit this training"):
        trained(tmp_path / "again", models, image_tower=models["tower"], targets="captions")


def test_picks_of_another_language_model_are_another_training(models: dict[str, str], tmp_path: Path) -> None:
    """Of the same name: its picks differ, and what was learned of the former ones is not gone on with."""
    mllm = tmp_path / "mllm"
    shutil.copytree(models["mllm"], mllm)
    card = trained(tmp_path / "out", models, targets="picks", mllm=str(mllm), image_tower=models["tower"])
    assert card["recipe"]["initial_scale"] == MINIATURE.initial_scale == 0.01
    weights = load_file(mllm / "model.safetensors")
    save_file(
        {name: -value if "lm_head" in name else value for name, value in weights.items()},
        mllm / "model.safetensors",
        {"format": "pt"},
    )
    with pytest.raises(PrefbenchError, match="does not fit this training"):
        trained(tmp_path / "out", models, targets="picks", mllm=str(mllm), image_tower=models["tower"])


def test_first_tokens_are_as_large_as_the_recipe_says(models: dict[str, str]) -> None:
    backbone, images = load_backbone(models["backbone"], device="cpu"), torch.randn(3, 5)
    whole, small = (fresh_adapter(backbone, 5, 4, 0, scale).projection(images) for scale in (1.0, 0.01))
    torch.testing.assert_close(small, whole / 100)


def test_a_target_is_never_its_own_condition_but_among_captions(models: dict[str, str], tmp_path: Path) -> None:
    samples: list[Any] = []
    real = ip_adapter_training._samples

    def noted(*given: Any) -> Any:
        samples.append(real(*given))
        return samples[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ip_adapter_training, "_samples", noted)
        for targets in ("likes", "captions"):
            trained(tmp_path / targets, models, targets=targets, image_tower=models["tower"])
    assert all(one.shown and not set(one.shown) & set(one.wanted) for one in samples[0])
    assert all(not one.shown and len(one.wanted) == 1 for one in samples[1])


def test_wrong_calls_are_one_line(models: dict[str, str], tmp_path: Path) -> None:
    for changes, line in (
        ({"eyes": models["mllm"], "image_tower": models["tower"]}, "not with both"),
        ({"histories": 0}, "histories must be at least 1"),
        ({"suite": f"{tiny_suite.__file__}:EmptySuite"}, "has no train user"),
    ):
        with pytest.raises(PrefbenchError, match=line):
            trained(tmp_path, models, **changes)
    with pytest.raises(PrefbenchError, match="holds no trained adapter"):
        drawn(tmp_path / "nothing", models)
