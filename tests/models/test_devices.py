"""One device rule: a model, its batches and its outputs agree on every machine, also on one with Apple's GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from prefbench.api import Extractor, PrefbenchError
from prefbench.methods.shared.image_tower import load_tower
from prefbench.metrics.scorers.crowd.base import CrowdScorer
from prefbench.metrics.scorers.crowd.hpsv2 import HpsV2
from prefbench.metrics.scorers.crowd.imagereward import ImageReward
from prefbench.metrics.scorers.crowd.pickscore import PickScore
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.extractors.clip import mini_clip
from prefbench.models.extractors.dinov2 import mini_dino
from prefbench.models.loading import choose_device
from prefbench.models.mllms.conversation import ask
from prefbench.models.mllms.loader import load_mllm
from prefbench.suites.picturebook.miniatures.mini_clip import build_mini_clip, save_mini_clip
from prefbench.suites.picturebook.miniatures.mini_dino import build_mini_dino, save_mini_dino
from tests.support.apple import CPU, MPS, apple_machine, device_of
from tests.support.tiny_scorers import (
    TinyImageReward,
    pictures,
    prompts,
    save_tiny_bert_vocabulary,
    save_tiny_hps,
    save_tiny_pickscore,
    tiny_architecture,
)


def clip_extractor(folder: Path) -> Callable[[], Extractor]:
    save_mini_clip(build_mini_clip(3), folder)
    return lambda: mini_clip(folder)


def dino_extractor(folder: Path) -> Callable[[], Extractor]:
    save_mini_dino(build_mini_dino(3), folder)
    return lambda: mini_dino(folder)


def devices_of(network: Any) -> set[torch.device]:
    return {device_of(parameter) for parameter in network.parameters()}


@pytest.mark.parametrize("save", [clip_extractor, dino_extractor])
def test_an_extractor_and_its_batches_are_on_one_device(
    save: Callable[[Path], Callable[[], Extractor]], tmp_path: Path
) -> None:
    load, images = save(tmp_path), pictures(3)
    expected = load().images(images)
    with apple_machine():
        extractor: Any = load()
        features = extractor.images(images)
        (network,) = (value for value in vars(extractor).values() if isinstance(value, torch.nn.Module))
        assert devices_of(network) == {MPS}
    assert extractor.device == MPS
    assert features.dtype == np.float64
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-5)


def pickscore(folder: Path) -> Callable[[], CrowdScorer]:
    save_tiny_pickscore(folder / "pickscore", folder / "clip")
    return lambda: PickScore(source=str(folder / "pickscore"), processor=str(folder / "clip"))


def hpsv2(folder: Path) -> Callable[[], CrowdScorer]:
    save_tiny_hps(folder / "HPS_v2.1_compressed.pt", "ViT-tiny-scorer")
    return lambda: HpsV2(source=str(folder), architecture="ViT-tiny-scorer")


def imagereward(folder: Path) -> Callable[[], CrowdScorer]:
    TinyImageReward().save(folder)
    save_tiny_bert_vocabulary(folder / "bert")
    return lambda: ImageReward(source=str(folder), tokenizer=str(folder / "bert"))


@pytest.fixture
def architecture(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "architectures").mkdir()
    with tiny_architecture(tmp_path / "architectures") as name:
        yield name


@pytest.mark.usefixtures("architecture")
@pytest.mark.parametrize("save", [pickscore, hpsv2, imagereward])
def test_a_crowd_scorer_works_where_there_is_no_float64(
    save: Callable[[Path], Callable[[], CrowdScorer]], tmp_path: Path
) -> None:
    (tmp_path / "weights").mkdir()
    load = save(tmp_path / "weights")
    expected = load().points(prompts(3), pictures(3))
    with apple_machine():
        points = load().points(prompts(3), pictures(3))
    np.testing.assert_allclose(points, expected, rtol=1e-5)


def test_a_language_model_gives_its_states_on_the_cpu(idefics2: Path) -> None:
    asked = [[ask("a cat")], [ask("two dogs")]]
    expected = load_mllm(idefics2).states(asked)
    with apple_machine():
        mllm = load_mllm(idefics2)
        states = mllm.states(asked)
        assert devices_of(mllm.model) == {MPS}
        assert {device_of(states.last), device_of(states.mean)} == {CPU}
    torch.testing.assert_close(states.mean, expected.mean, rtol=0, atol=1e-5)


def test_an_image_tower_follows_its_backbone(tiny_sd: Path, tmp_path: Path) -> None:
    config = transformers.CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    transformers.CLIPVisionModelWithProjection(config).save_pretrained(tmp_path)
    with apple_machine():
        backbone = load_backbone(tiny_sd)
        tower = load_tower(tmp_path, backbone.device)
        assert devices_of(tower.tower) == devices_of(backbone.pipeline.unet) == {MPS}


def test_devices_are_chosen_by_what_is_here() -> None:
    with apple_machine():
        assert choose_device(None) == choose_device("mps") == MPS
        assert choose_device("cpu") == CPU
        with pytest.raises(PrefbenchError, match=r"there is no device 'cuda' here \(found: mps, cpu\)"):
            choose_device("cuda")


def test_the_simulated_machine_refuses_what_apples_gpus_refuse() -> None:
    with apple_machine():
        there = torch.ones(2).to(MPS)
        assert device_of(there + 1) == device_of(torch.zeros(2, device=MPS)) == MPS
        assert device_of(there.cpu()) == CPU
        with pytest.raises(RuntimeError, match="tensors on cpu and mps"):
            there + torch.ones(2)
        with pytest.raises(TypeError, match="float64"):
            there.double()
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
