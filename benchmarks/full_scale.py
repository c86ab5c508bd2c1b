"""`ours` at full size with random weights: an Idefics2 of 8 B and an SDXL in bfloat16, through the code that is used.

    python benchmarks/full_scale.py --out benchmarks/results/full_scale.json    # one GPU of 80 GB; 25 GB of disk
    python benchmarks/full_scale.py --size tiny                                 # the same path on a CPU, in a minute

Checkpoints in the public layout are written to a temporary folder and loaded as any others. Random weights draw noise,
but take the time and the memory of trained ones. Measured: reading a user's history of 8 + 8 images, training steps of
both stages, and images per second with and without the second cross-attention; how many operations that are, as PyTorch
counts them, beside the rate of one large matrix product on the same GPU. Where PyTorch (as 2.11
does) lacks the count of an attention, the rates stand alone.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2ImageProcessor,
    Idefics2Processor,
)

from prefbench.api import History, Judgment, Picture, PrefbenchError, TrainUser
from prefbench.files import write_atomic
from prefbench.methods.ours import weights
from prefbench.methods.ours.fusion import Widths
from prefbench.methods.ours.train.conversations import ConversationMaker, Sizes
from prefbench.methods.ours.train.injection_task import InjectionTask
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.ours.train.question_batches import QuestionBatches
from prefbench.methods.ours.train.question_task import QuestionTask
from prefbench.methods.shared.questions import TEMPLATES, Examples, likes_question
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.tuning import tune
from prefbench.run.environment import code_state, hardware, versions
from prefbench.suites.picturebook.miniatures.mini_mllm import build_mini_mllm
from prefbench.training.adapter import AdapterTask
from prefbench.training.tokenizer import learn_clip_tokenizer


@dataclass(frozen=True)
class Size:
    """What the checkpoints are like, and what is asked of them."""

    language: dict[str, Any]
    vision: dict[str, Any]
    perceiver: dict[str, Any]
    pixels: dict[str, int]
    """Of an image before the vision tower."""
    unet: dict[str, Any]
    text: tuple[dict[str, Any], dict[str, Any]]
    autoencoder: dict[str, Any]
    dtype: str
    drawn: int
    """Pictures a batch."""


FULL = Size(
    language={},  # Mistral 7B, the default of the class
    vision={
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "image_size": 980,
        "patch_size": 14,
    },
    perceiver={"resampler_n_latents": 64},
    pixels={"shortest_edge": 378, "longest_edge": 980},
    unet={
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "layers_per_block": 2,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "cross_attention_dim": 2048,
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    text=(
        {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
        {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20},
    ),
    autoencoder={"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "sample_size": 1024},
    dtype="bfloat16",
    drawn=4,
)
_SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
TINY = Size(
    language={**_SMALL, "num_key_value_heads": 2},
    vision={**_SMALL, "image_size": 28, "patch_size": 14},
    perceiver={"resampler_n_latents": 4, "resampler_n_heads": 2, "resampler_head_dim": 16, "num_key_value_heads": 1},
    pixels={"shortest_edge": 28, "longest_edge": 28},
    unet={
        "sample_size": 8,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": (1, 2),
        "cross_attention_dim": 64,
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + 32,
    },
    text=(_SMALL, _SMALL),
    autoencoder={"block_out_channels": (32, 32, 32, 32), "layers_per_block": 1, "sample_size": 64},
    dtype="float32",
    drawn=2,
)
HISTORY, PROMPT = 8, "a red fox in the snow, watercolour"


@click.command()
@click.option("--size", type=click.Choice(["full", "tiny"]), default="full", show_default=True)
@click.option("--rounds", default=5, show_default=True, help="Timed repetitions, after one that is not timed.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(size: str, rounds: int, out: Path | None) -> None:
    """Prints rates and peak memory."""
    if size == "full" and not torch.cuda.is_available():
        raise click.ClickException(
            "the full size needs a GPU of about 80 GB, and there is none here; --size tiny runs the same path anywhere"
        )
    chosen = FULL if size == "full" else TINY
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in (
            _matrices(chosen),
            _language_model(chosen, Path(folder) / "mllm"),
            _denoiser(chosen, Path(folder)),
        ):
            for what, unit, n, work in part:
                rows.append(_timed(what, unit, n, work, rounds))
                rows[-1]["share"] = _ratio(rows[-1]["tflops"], rows[0]["tflops"])
                _echo(rows[-1])
                if out is not None:
                    _write(out, size, rows)


def _ratio(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a / b


def _echo(row: dict[str, Any]) -> None:
    parts = [f"{row['what']:48s} {row['value']:10.3f} {row['unit']:9s}"]
    if row["share"] is not None:
        parts.append(f"{row['tflops']:8.3f} TFLOP/s, {row['share']:.2f} of the first row's")
    if row["peak_gib"] is not None:
        parts.append(f"peak {row['peak_gib']:.1f} GiB")
    click.echo("  ".join(parts))


def _write(out: Path, size: str, rows: list[dict[str, Any]]) -> None:
    """After every row, so that what was measured before a failure is kept."""
    content = {"size": size, "rows": rows, "code": code_state(), "hardware": hardware(), "versions": versions()}
    write_atomic(out, json.dumps(content, indent=1) + "\n")


Work = tuple[str, str, int, Callable[[], object]]
"""What is measured, in which unit, how many of it a call does, and the call."""


def _matrices(size: Size) -> Iterator[Work]:
    """One product of square matrices, the most that a GPU can be asked for."""
    place = "cuda" if torch.cuda.is_available() else "cpu"
    side = 8192 if size is FULL else 256
    a, b = (torch.randn(side, side, device=place, dtype=getattr(torch, size.dtype)) for _ in range(2))
    yield f"matrix products of side {side}", "calls/s", 1, lambda: a @ b


def _language_model(size: Size, folder: Path) -> Iterator[Work]:
    _save_mllm(size, folder)
    mllm = load_mllm(str(folder))
    mllm.card = replace(mllm.card, tuning="lora", image_side=448, context=8192)
    train_user = _random_train_user(np.random.default_rng(0), 448)
    mllm.model.requires_grad_(False)  # the counter of operations hooks what has gradients, which reading has not
    shown = Examples(*(tuple(j.picture.load() for j in side[:HISTORY]) for side in _sides(train_user)))
    yield "read a history of 8 + 8 images", "users/s", 1, lambda: mllm.states([likes_question(shown)])
    tune(mllm)
    judged_images = JudgedImages([train_user])
    maker = ConversationMaker(judged_images.load, questions=1)
    batches = QuestionBatches(mllm, [train_user], judged_images, maker, Sizes(HISTORY))
    task = QuestionTask(mllm).to(mllm.device)
    batch = {name: value.to(mllm.device) for name, value in batches(np.random.default_rng(1), 2).items()}
    yield "questions: LoRA steps of 2 conversations", "steps/s", 1, _step(task, batch)


def _denoiser(size: Size, parent: Path) -> Iterator[Work]:
    folder = parent / "sdxl"
    _save_backbone(size, folder)
    backbone = load_backbone(str(folder), dtype=size.dtype)
    device, n = backbone.device, size.drawn
    prompts, seeds = [PROMPT] * n, list(range(n))
    yield "draw by the prompt alone", "images/s", n, lambda: backbone.generate(prompts, seeds)
    widths = Widths(sem=4 * 4096, core=4096, img=1280)
    text = int(backbone.pipeline.unet.config.cross_attention_dim)
    adapter = weights.attach(backbone, weights.Config("sdxl", "", "", widths, text, tokens=4))
    vectors = torch.randn(2 * n, 1, widths.total, device=device, dtype=backbone.dtype)

    def personal() -> object:
        return backbone.generate(prompts, seeds, ip_adapter_image_embeds=[vectors])

    yield "draw by prompt and user", "images/s", n, personal
    task = InjectionTask(AdapterTask(backbone.pipeline, adapter), backbone.dtype, alignment="mmd", weight=0.1)
    embedded = backbone.prompts(PROMPT)
    side, channels = backbone.card.resolution, int(backbone.pipeline.unet.config.in_channels)
    latent = side // backbone.pipeline.vae_scale_factor
    batch = {
        "pictures": torch.rand(n, 3, side, side) * 2 - 1,
        "features": torch.randn(n, widths.total),
        "conditioned": torch.ones(n, dtype=torch.bool),
        "words": embedded["prompt_embeds"].float().repeat(n, 1, 1),
        "spoken": torch.ones(n, embedded["prompt_embeds"].shape[1], dtype=torch.bool),
        "u": torch.linspace(0.1, 0.9, n),
        "noise": torch.randn(n, channels, latent, latent),
        **{name: value.repeat(n, *[1] * (value.ndim - 1)) for name, value in embedded.items()},
    }
    task.to(device)
    batch = {name: value.to(device) for name, value in batch.items()}
    yield f"injection: steps of {n} images", "steps/s", 1, _step(task, batch)


def _step(task: torch.nn.Module, batch: dict[str, Any]) -> Callable[[], object]:
    optimizer = torch.optim.AdamW([p for p in task.parameters() if p.requires_grad], lr=1e-5)

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(task(batch))
        optimizer.step()

    return step


def _timed(what: str, unit: str, n: int, work: Callable[[], object], rounds: int) -> dict[str, Any]:
    """The median rate of `rounds` calls, each of which does `n` of the unit, and the most memory that any took.

    The operations are those of a call before, which is not timed: products of matrices, convolutions and attention.
    """
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    operations = _operations(work)
    rates = []
    for _ in range(rounds):
        if cuda:
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if cuda:
            torch.cuda.synchronize()
        rates.append(n / (time.perf_counter() - start))
    peak = torch.cuda.max_memory_allocated() / 2**30 if cuda else None
    value = statistics.median(rates)
    tflops = None if operations is None else value * operations / n / 1e12
    return {"what": what, "unit": unit, "value": value, "tflops": tflops, "peak_gib": peak}


def _operations(work: Callable[[], object]) -> int | None:
    """Floating-point operations of a call; None where this PyTorch cannot count those of an attention."""
    try:
        with FlopCounterMode(display=False) as counter:
            work()
    except AssertionError:  # grouped queries, in 2.11
        work()
        return None
    return int(counter.get_total_flops())


def _random_train_user(rng: np.random.Generator, side: int) -> TrainUser:
    sides = []
    for liked in (True, False):
        images = [Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)) for _ in range(2 * HISTORY)]
        sides.append(tuple(Judgment(Picture.of(image), PROMPT, liked) for image in images))
    return TrainUser(History("user", *sides), likes=("watercolour",), dislikes=("photographs",))


def _sides(train_user: TrainUser) -> tuple[tuple[Judgment, ...], tuple[Judgment, ...]]:
    return train_user.history.liked, train_user.history.disliked


def _save_mllm(size: Size, folder: Path) -> None:
    _, small = build_mini_mllm(TEMPLATES.texts())
    tokenizer = small.tokenizer
    tokenizer.model_max_length = 8192
    images = Idefics2ImageProcessor(size=size.pixels, do_image_splitting=False)
    latents = size.perceiver["resampler_n_latents"]
    processor = Idefics2Processor(images, tokenizer, image_seq_len=latents, chat_template=small.chat_template)
    config = Idefics2Config(
        vision_config=size.vision,
        perceiver_config={**size.perceiver, "hidden_size": size.language.get("hidden_size", 4096)},
        text_config={
            "model_type": "mistral",
            "vocab_size": 32003,
            "max_position_embeddings": 8192,
            "sliding_window": None,
            "pad_token_id": tokenizer.pad_token_id,
            **size.language,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    _save(lambda: Idefics2ForConditionalGeneration(config), size, folder)
    processor.save_pretrained(folder)


def _save_backbone(size: Size, folder: Path) -> None:
    tokenizers = [learn_clip_tokenizer([PROMPT], max_length=77) for _ in range(2)]
    encoders = []
    for kind, given, tokenizer in zip((CLIPTextModel, CLIPTextModelWithProjection), size.text, tokenizers, strict=True):
        config = CLIPTextConfig(
            vocab_size=len(tokenizer),
            projection_dim=given["hidden_size"],
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            **given,
        )
        encoders.append(kind(config))
    blocks = len(size.autoencoder["block_out_channels"])
    pipeline = StableDiffusionXLPipeline(
        vae=AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * blocks,
            up_block_types=("UpDecoderBlock2D",) * blocks,
            latent_channels=4,
            scaling_factor=0.13025,
            **size.autoencoder,
        ),
        text_encoder=encoders[0],
        text_encoder_2=encoders[1],
        tokenizer=tokenizers[0],
        tokenizer_2=tokenizers[1],
        unet=UNet2DConditionModel(addition_embed_type="text_time", **size.unet),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            steps_offset=1,
            timestep_spacing="leading",
        ),
        add_watermarker=False,
    )
    pipeline.to(getattr(torch, size.dtype)).save_pretrained(folder)


def _save(build: Callable[[], Any], size: Size, folder: Path) -> None:
    """Builds where it is fast, and writes the checkpoint."""
    place, usual = "cuda" if torch.cuda.is_available() else "cpu", torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, size.dtype))
    try:
        with torch.device(place):
            build().save_pretrained(folder)
    finally:
        torch.set_default_dtype(usual)
    if place == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    try:
        main()
    except PrefbenchError as error:
        raise SystemExit(f"full_scale: {error}") from error
