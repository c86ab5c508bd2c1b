"""What a backbone's denoiser makes of a picture: diffusers' own formula, and a gradient that is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler

from prefbench.api import FloatArray, PrefbenchError
from prefbench.api.backbones import Backbone
from prefbench.api.gradients import Slopes
from prefbench.models.backbones.denoising import Denoiser
from prefbench.models.backbones.loader import load_backbone

PICTURES = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3))


@pytest.fixture(scope="module")
def backbone(tiny_sd: Path) -> Backbone:
    return load_backbone(str(tiny_sd), device="cpu", steps=1)


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_the_reconstruction_is_the_one_that_diffusers_computes(backbone: Backbone, prediction: str) -> None:
    pipeline: Any = backbone.pipeline
    scheduler = DDPMScheduler.from_config(pipeline.scheduler.config, prediction_type=prediction, clip_sample=False)
    unet = pipeline.unet
    other = SimpleNamespace(
        vae=pipeline.vae,
        tokenizer=pipeline.tokenizer,
        text_encoder=pipeline.text_encoder,
        scheduler=scheduler,
        unet=unet,
    )
    denoiser = Denoiser(cast("Backbone", SimpleNamespace(**vars(backbone) | {"pipeline": other})))
    with torch.no_grad():
        scaling = pipeline.vae.config.scaling_factor
        latents = torch.nn.functional.pixel_unshuffle(_tensor(PICTURES[:1]) / 127.5 - 1, 2) * scaling
        noise = torch.randn(latents.shape[1:], generator=torch.Generator().manual_seed(5))[None]
        noisy = scheduler.add_noise(latents, noise, torch.tensor([80]))
        empty = pipeline.tokenizer([""], padding="max_length", return_tensors="pt").input_ids
        output = unet(noisy, torch.tensor([80]), encoder_hidden_states=pipeline.text_encoder(empty)[0]).sample
        clean = scheduler.step(output, 80, noisy).pred_original_sample / scaling
        expected = (torch.nn.functional.pixel_shuffle(clean, 2) + 1) * 127.5
    made = denoiser.cleaned(PICTURES[:1], [80], [5])
    np.testing.assert_allclose(made, expected.permute(0, 2, 3, 1).numpy(), atol=2e-3)


def test_each_picture_has_its_own_step_and_noise_and_no_neighbour_matters(backbone: Backbone) -> None:
    denoiser = Denoiser(backbone)
    together = denoiser.cleaned(PICTURES, [30, 80, 150], [1, 2, 3])
    alone = denoiser.cleaned(PICTURES[1:2], [80], [2])
    np.testing.assert_allclose(together[1:2], alone, atol=1e-3)
    assert np.abs(denoiser.cleaned(PICTURES[1:2], [80], [3]) - alone).max() > 1


def test_the_gradient_through_the_denoiser_is_the_slope_of_what_is_said_of_the_reconstruction(
    backbone: Backbone,
) -> None:
    denoiser, weights = Denoiser(backbone), np.random.default_rng(1).normal(size=PICTURES[:1].shape)

    def linear(pictures: FloatArray) -> Slopes:
        return Slopes((pictures * weights).sum((1, 2, 3)), weights)

    x, towards = PICTURES[:1] * 0.2 + 100, np.random.default_rng(2).normal(size=PICTURES[:1].shape)
    slope = (denoiser.slopes_through(x, [40], [7], linear).gradients * towards).sum()
    ahead, behind = ((denoiser.cleaned(x + sign * 0.5 * towards, [40], [7]) * weights).sum() for sign in (1.0, -1.0))
    assert slope == pytest.approx(ahead - behind, rel=0.02)


def test_a_backbone_of_another_kind_is_refused_by_name(backbone: Backbone) -> None:
    card = replace(backbone.card, name="large", pipeline="StableDiffusionXLPipeline")
    with pytest.raises(PrefbenchError, match="'large' is no StableDiffusionPipeline"):
        Denoiser(cast("Backbone", SimpleNamespace(card=card)))


def _tensor(pictures: FloatArray) -> torch.Tensor:
    return torch.from_numpy(pictures.astype(np.float32)).permute(0, 3, 1, 2)
