"""`mini-sd`: a `StableDiffusionPipeline` of 32x32 pictures, built from the real classes made small."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from prefbench.backbones.space_to_depth import SpaceToDepthAutoencoder
from prefbench.suites.picturebook.axes import AXES, BY_PROMPT
from prefbench.suites.picturebook.corpus import CorpusRecipe, load_corpus
from prefbench.suites.picturebook.render import SIZE
from prefbench.training.diffusion import CaptionBatches, DenoisingTask
from prefbench.training.loop import Checkpoint, FitConfig, Progress, fit
from prefbench.training.tokenizer import learn_clip_tokenizer

CORPUS = CorpusRecipe("captioned", 120_000, seed=1)
TEXT_LENGTH = 32
_WIDTH = 128


def picturebook_tokenizer() -> CLIPTokenizer:
    """The tokenizer shared by every picturebook model: each word of the world is one token."""
    phrases = [phrase for axis in AXES for phrase in axis.phrases if phrase is not None]
    spare = "picture of drawing image user likes dislikes liked disliked prefer yes no which first second left right not and or without style"
    texts = itertools.chain(BY_PROMPT, phrases, spare.split(), ["a, b"])
    return learn_clip_tokenizer(texts, max_length=TEXT_LENGTH)


def text_config(tokenizer: CLIPTokenizer, *, projection: int) -> CLIPTextConfig:
    """The text tower of `mini-sd` and `mini-clip`: 3 layers, 128 wide."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=_WIDTH,
        intermediate_size=3 * _WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TEXT_LENGTH,
        projection_dim=projection,
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def separate_words(encoder: CLIPTextModel) -> None:
    """Starts the word embeddings well above the positions, so that words stay apart before any training.

    With the default scale, two in a hundred parts of the variance of a token's state depend on its word, and the
    denoiser cannot hear the prompt.
    """
    embeddings = encoder.get_input_embeddings()
    torch.nn.init.normal_(embeddings.weight, std=0.4)


def build_mini_sd(seed: int = 0) -> StableDiffusionPipeline:
    """The untrained pipeline: space-to-depth autoencoder, 0.7 M text tower, 4.2 M denoiser."""
    torch.manual_seed(seed)
    tokenizer = picturebook_tokenizer()
    encoder = CLIPTextModel(text_config(tokenizer, projection=96))
    separate_words(encoder)
    unet = UNet2DConditionModel(
        sample_size=SIZE // 2,
        in_channels=12,
        out_channels=12,
        block_out_channels=(32, 64, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=_WIDTH,
        attention_head_dim=(1, 2, 4),
        norm_num_groups=8,
    )
    scheduler = DPMSolverMultistepScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        steps_offset=1,
    )
    return StableDiffusionPipeline(
        vae=SpaceToDepthAutoencoder(sample_size=SIZE),
        text_encoder=encoder,
        tokenizer=tokenizer,
        unet=unet.to(memory_format=torch.channels_last),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def train_mini_sd(config: FitConfig, folder: Path, *, compile_model: bool = False) -> tuple[StableDiffusionPipeline, Progress]:
    """Trains `mini-sd`, writing checkpoints and sample sheets into `folder`."""
    corpus = load_corpus(CORPUS)
    pipeline = build_mini_sd(config.seed)
    pipeline.set_progress_bar_config(disable=True)
    task = DenoisingTask(pipeline)
    if compile_model:
        pipeline.unet.compile()
    plain = ~corpus.named.any(axis=1)
    batches = CaptionBatches(corpus, pipeline.tokenizer, plain=plain.tolist(), empty=0.33)

    def sheet(checkpoint: Checkpoint) -> None:
        from prefbench.suites.picturebook.sheets import sample_sheet

        sample_sheet(pipeline, folder / "sheets" / f"{checkpoint.progress.images:08d}.png")

    progress = fit(task, batches, config, folder, on_checkpoint=sheet)
    return pipeline, progress


def sample(
    pipeline: StableDiffusionPipeline, prompts: list[str], *, seed: int = 0, steps: int = 16, guidance: float = 3.0
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Pictures uint8 (N, 32, 32, 3), one a prompt, each from its own generator."""
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(prompts))]
    images = pipeline(
        prompts, num_inference_steps=steps, guidance_scale=guidance, generator=generators, output_type="np"
    ).images
    return np.rint(images * 255).astype(np.uint8)
