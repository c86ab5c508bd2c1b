"""`mini-sd`: a `StableDiffusionPipeline` of 32x32 pictures, built from the real classes made small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel

from prefbench.models.backbones.space_to_depth import SpaceToDepthAutoencoder
from prefbench.suites.picturebook.data.corpus import Corpus
from prefbench.suites.picturebook.miniatures.cards import MINI_SD
from prefbench.suites.picturebook.miniatures.mini_clip import load_mini_clip
from prefbench.suites.picturebook.world.axes import CONTENTS, NAMEABLE, STYLE_NAMES, sample_styles
from prefbench.suites.picturebook.world.render import SIZE
from prefbench.suites.picturebook.world.sheets import contact_sheet
from prefbench.suites.picturebook.world.words import WIDTH, picturebook_tokenizer, text_config
from prefbench.training.convert import text_model
from prefbench.training.diffusion import CaptionBatches, DenoisingTask
from prefbench.training.loop import Checkpoint, FitConfig, Progress, fit


def build_mini_sd(seed: int = 0, text_encoder: CLIPTextModel | None = None) -> StableDiffusionPipeline:
    """The untrained pipeline: space-to-depth autoencoder, 0.35 M text tower, 4.2 M denoiser.

    Without a `text_encoder` the text tower is random too. An untrained tower hides the words from the denoiser, so
    training starts from the tower of `mini-clip`.
    """
    torch.manual_seed(seed)
    tokenizer = picturebook_tokenizer()
    encoder = text_encoder or CLIPTextModel(text_config(tokenizer))
    unet = UNet2DConditionModel(
        sample_size=SIZE // 2,
        in_channels=12,
        out_channels=12,
        block_out_channels=(32, 64, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=(1, 2, 4),
        norm_num_groups=8,
    )
    scheduler = DPMSolverMultistepScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
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


def _clip_text_tower() -> CLIPTextModel:
    return text_model(load_mini_clip(), text_config(picturebook_tokenizer()))


def train_mini_sd(
    corpora: Sequence[Corpus], config: FitConfig, folder: Path, *, compile_model: bool = False
) -> tuple[StableDiffusionPipeline, Progress]:
    """Trains `mini-sd` on one corpus of captioned pictures, writing checkpoints and sample sheets into `folder`."""
    (corpus,) = corpora
    pipeline = build_mini_sd(config.seed, _clip_text_tower())
    pipeline.set_progress_bar_config(disable=True)
    task = DenoisingTask(pipeline)
    if compile_model:
        pipeline.unet.compile()
    plain = [not any(flags) for flags in corpus.named.tolist()]
    batches = CaptionBatches(corpus, pipeline.tokenizer, plain=plain, empty=0.33)

    def sheet(checkpoint: Checkpoint) -> None:
        sample_sheet(pipeline, folder / "sheets" / f"{checkpoint.progress.images:08d}.png")

    progress = fit(task, batches, config, folder, on_checkpoint=sheet)
    return pipeline, progress


def save_mini_sd(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Writes the folder that `StableDiffusionPipeline.from_pretrained` reads; weights in float16."""
    pipeline.to(torch.float16).save_pretrained(folder)


def sample(
    pipeline: StableDiffusionPipeline, prompts: list[str], *, seed: int = 0
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Pictures uint8 (N, 32, 32, 3), one per prompt, each from its own generator, with steps and guidance of runs."""
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(prompts))]
    images = pipeline(
        prompts,
        num_inference_steps=MINI_SD.steps,
        guidance_scale=MINI_SD.guidance,
        generator=generators,
        output_type="np",
    ).images
    return np.asarray(np.rint(images * 255), dtype=np.uint8)


def sample_sheet(pipeline: StableDiffusionPipeline, path: Path, *, columns: int = 16) -> None:
    """Draws two rows with style words and one without, the same prompts every time."""
    rng = np.random.default_rng(7)
    styles = sample_styles(rng, 2 * columns, uniform=STYLE_NAMES)
    scenes = [CONTENTS[rng.integers(len(CONTENTS))].scene(style) for style in styles]
    prompts = [scene.caption(NAMEABLE) for scene in scenes] + [scene.content.prompt for scene in scenes[:columns]]
    contact_sheet(list(sample(pipeline, prompts)), path, columns=columns)
