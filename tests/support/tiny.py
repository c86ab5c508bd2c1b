"""Tiny random checkpoints in the real on-disk layout: what `save_pretrained` writes for the real classes made small."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from prefbench.training.tokenizer import learn_clip_tokenizer

RESOLUTION = 16
"""Pixels a side: latents of 8x8 behind autoencoders of factor 2."""
_WIDTH = 16
_TEXTS = ("a red fox in the snow", "two boats at night", "an old house by the sea", "blurry and dark")
_SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def save_tiny_sd15(folder: Path) -> Path:
    """Stable Diffusion 1.5: one text encoder, PNDM without Runge-Kutta steps, no safety checker."""
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    pipeline = StableDiffusionPipeline(
        vae=_autoencoder(scaling_factor=0.18215),
        text_encoder=CLIPTextModel(_text_config(tokenizer)),
        tokenizer=tokenizer,
        unet=_unet(cross_attention_dim=_WIDTH),
        scheduler=PNDMScheduler(**_SCHEDULE, skip_prk_steps=True),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    return _save(pipeline, folder)


def save_tiny_sdxl(folder: Path) -> Path:
    """Stable Diffusion XL: two text encoders, pooled embeddings and sizes as added conditions, Euler."""
    torch.manual_seed(1)
    tokenizer = _tokenizer()
    pipeline = StableDiffusionXLPipeline(
        vae=_autoencoder(scaling_factor=0.13025),
        text_encoder=CLIPTextModel(_text_config(tokenizer)),
        text_encoder_2=CLIPTextModelWithProjection(_text_config(tokenizer)),
        tokenizer=tokenizer,
        tokenizer_2=_tokenizer(),
        unet=_unet(
            cross_attention_dim=2 * _WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + _WIDTH,
        ),
        scheduler=EulerDiscreteScheduler(**_SCHEDULE, timestep_spacing="leading"),
        add_watermarker=False,
    )
    return _save(pipeline, folder)


def save_tiny_mini_sd(folder: Path) -> Path:
    """`mini-sd` itself, untrained."""
    from prefbench.suites.picturebook.miniatures.mini_sd import build_mini_sd

    return _save(build_mini_sd(), folder)


def _save(pipeline: StableDiffusionPipeline | StableDiffusionXLPipeline, folder: Path) -> Path:
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def _tokenizer() -> CLIPTokenizer:
    return learn_clip_tokenizer(_TEXTS, max_length=12)


def _text_config(tokenizer: CLIPTokenizer) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=_WIDTH,
        intermediate_size=2 * _WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=12,
        projection_dim=_WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def _autoencoder(scaling_factor: float) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(_WIDTH, _WIDTH),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=RESOLUTION,
        scaling_factor=scaling_factor,
    )


def _unet(**conditions: object) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=RESOLUTION // 2,
        block_out_channels=(_WIDTH, 2 * _WIDTH),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(1, 2),
        norm_num_groups=8,
        **conditions,
    )
