"""`DiffusersBackbone`: one way to drive Stable Diffusion 1.5, XL and the miniature, so that a seed gives one image.

An image depends on its prompt, its seed and the settings alone: not on its neighbours, the batch size, the order of
calls or the device, up to float rounding.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from prefbench.api import BackboneCard, PrefbenchError
from prefbench.models.backbones import weights
from prefbench.models.backbones.batches import rows_of
from prefbench.models.backbones.prompts import PromptEmbedder
from prefbench.models.backbones.schedulers import fresh, hushed
from prefbench.models.backbones.texts import TextReader
from prefbench.models.memory import Batches

logger = logging.getLogger(__name__)


class DiffusersBackbone:
    """A loaded `StableDiffusionPipeline` or `StableDiffusionXLPipeline`; see `loader.load_backbone`.

    Methods may change the pipeline (adapters, attention processors, scheduler). After a change of the text encoders or
    tokenizers they call `prompts.forget`.

    Args:
        card: steps, guidance and resolution are taken from it.
        pipeline: its modules in `dtype` on `device`.
        folder: what it was loaded from; for the digest.
    """

    def __init__(self, card: BackboneCard, pipeline: Any, folder: Path, *, device: torch.device, dtype: torch.dtype):
        self.card, self.folder, self.device, self.dtype = card, folder, device, dtype
        self.pipeline = pipeline
        self.on_evaluations: Callable[[float], object] = lambda _: None
        """Is told after each denoising step how many denoiser passes it took, one or two for each image."""
        size = f"{card.resolution}x{card.resolution}"
        self.batches = Batches(
            f"backbone {card.name!r}: not even one {size} image in {_name(dtype)} fits into the memory of {device};"
            " free some, or choose a smaller backbone or another device"
        )
        self.prompts = PromptEmbedder(pipeline, device)
        self._counted_steps: dict[tuple[type, str, int], int] = {}
        pipeline.set_progress_bar_config(disable=True)
        if device.type in ("cpu", "cuda"):
            pipeline.unet.to(memory_format=torch.channels_last)
        if hasattr(pipeline.vae, "use_slicing"):
            # Decoding is where memory peaks: SDXL decodes in float32, at 1024 x 1024 pixels.
            pipeline.vae.enable_slicing()

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the files that were loaded; what methods change later does not move it."""
        return weights.digest(self.folder, weights.variant(self.card))

    @property
    def texts(self) -> TextReader:
        """Counts what of a text its encoders do not read."""
        return self.prompts.texts

    @property
    def nfe(self) -> int:
        """Denoiser passes for one image with the card's settings."""
        return self.nfe_at(self.card.guidance)

    def nfe_at(self, guidance: float) -> int:
        """Denoiser passes for one image with the card's steps; guidance takes two per time step.

        Counted on the scheduler's own time steps: PNDM takes one more than asked for, Heun nearly twice as many.
        """
        return self._time_steps() * self._passes(guidance)

    def _time_steps(self) -> int:
        """Those of a picture; counted once, as methods ask for each picture, which took a hundredth of its drawing."""
        scheduler = self.pipeline.scheduler
        known = type(scheduler), repr(scheduler.config), self.card.steps
        if known not in self._counted_steps:
            trial = fresh(scheduler)
            trial.set_timesteps(self.card.steps)
            self._counted_steps[known] = len(trial.timesteps)
        return self._counted_steps[known]

    def _passes(self, guidance: float) -> int:
        """Denoiser passes of a step for one image."""
        embeds_guidance = self.pipeline.unet.config.time_cond_proj_dim is not None
        return 2 if guidance > 1 and not embeds_guidance else 1

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        negative_prompts: Sequence[str] | None = None,
        **pipeline_arguments: Any,
    ) -> list[Image.Image]:
        """Draws one RGB image per prompt from that prompt's own seed.

        When memory runs out the batch is halved, here and in all later calls.

        Args:
            negative_prompts: one per prompt; None for the pipeline's own unconditional embedding (zeros for SDXL).
            pipeline_arguments: go to the pipeline's call and override the card's settings and the embedded prompts.
                What differs between samples is a batch-first tensor: see `batches.rows_of`. That holds for
                `ip_adapter_image_embeds` too: with guidance its tensors are (2 N, images, width), negatives first.

        Raises:
            PrefbenchError: lengths that differ, one image that does not fit into memory, values that are not numbers.
        """
        total = len(prompts)
        for what, values in (("seeds", seeds), ("negative prompts", negative_prompts)):
            if values is not None and len(values) != total:
                raise PrefbenchError(f"{total} prompts but {len(values)} {what}")
        if not total:
            return []
        arguments = self.prompts.batch(prompts, negative_prompts) | pipeline_arguments
        self.prompts.texts.note([*prompts, *(negative_prompts or ())], [*seeds, *seeds])
        chunks = self.batches.each(
            total, lambda start, stop: self._draw(seeds[start:stop], rows_of(arguments, start, stop, total))
        )
        return [image for chunk in chunks for image in chunk]

    @torch.no_grad()
    def roundtrip(self, image: Image.Image) -> Image.Image:
        """The image through the autoencoder: the best that a perfect denoiser could draw.

        Other sizes than the backbone's are resized to it before and back after (Lanczos). The latent is the mode of
        its distribution; the pipeline's scaling factor would cancel out.
        """
        rgb, side, vae = image.convert("RGB"), self.card.resolution, self.pipeline.vae
        processor = self.pipeline.image_processor
        with _precision_restored(vae):
            if vae.dtype == torch.float16 and vae.config.force_upcast:
                vae.to(dtype=torch.float32)
            pixels = processor.preprocess(_resized(rgb, (side, side))).to(self.device, vae.dtype)
            decoded = vae.decode(vae.encode(pixels).latent_dist.mode()).sample
        decoded_image = self._to_images(processor.postprocess(decoded, output_type="np"))[0]
        return _resized(decoded_image, rgb.size)

    def _draw(self, seeds: Sequence[int], arguments: dict[str, Any]) -> list[Image.Image]:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        card = self.card
        settings = {
            "num_inference_steps": card.steps,
            "guidance_scale": card.guidance,
            "height": card.resolution,
            "width": card.resolution,
        } | arguments
        settings.setdefault("latents", self._noise(generators, settings["height"], settings["width"]))
        settings["callback_on_step_end"] = self._counting(
            len(seeds) * self._passes(settings["guidance_scale"]), settings.get("callback_on_step_end")
        )
        # Multistep schedulers keep the last call's outputs.
        self.pipeline.scheduler = fresh(self.pipeline.scheduler)
        image_embeds = settings.get("ip_adapter_image_embeds")
        with _precision_restored(self.pipeline.vae), _own_image_embeds(self.pipeline, image_embeds), hushed():
            output = self.pipeline(generator=generators, output_type="np", **settings)
        return self._to_images(output.images)

    def _counting(self, passes: int, callback: Any) -> Callable[..., Any]:
        """What the pipeline calls after a step: tells the passes, then does what the method's own callback does."""

        def counted(pipeline: Any, step: int, timestep: int, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            self.on_evaluations(passes)
            changed: dict[str, Tensor] = tensors if callback is None else callback(pipeline, step, timestep, tensors)
            return changed

        return counted

    def _noise(self, generators: Sequence[torch.Generator], height: int, width: int) -> Tensor:
        """Initial latents (B, C, h, w): drawn in float32 on the CPU, each from its own generator, for every device."""
        factor = self.pipeline.vae_scale_factor
        shape = (1, self.pipeline.unet.config.in_channels, height // factor, width // factor)
        rows = [torch.randn(shape, generator=generator) for generator in generators]
        return torch.cat(rows).to(self.device, self.dtype)

    def _to_images(self, pixels: NDArray[np.floating[Any]]) -> list[Image.Image]:
        """Pixels (B, H, W, 3) in [0, 1], rounded to the nearest uint8."""
        if not np.isfinite(pixels).all():
            advice = "load it with dtype float32 or bfloat16"
            raise PrefbenchError(f"backbone {self.card.name!r} drew NaN in {_name(self.dtype)}: {advice}")
        return [Image.fromarray(np.rint(row * 255).astype(np.uint8)) for row in pixels]


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@contextmanager
def _precision_restored(vae: Any) -> Iterator[None]:
    """Undoes an upcast of the autoencoder; the SDXL pipeline leaves it behind when decoding runs out of memory."""
    before = vae.dtype
    try:
        yield
    finally:
        if vae.dtype != before:
            vae.to(dtype=before)


@contextmanager
def _own_image_embeds(pipeline: Any, embeds: Sequence[Tensor] | None) -> Iterator[None]:
    """Keeps the pipeline from repeating image embeddings for the whole batch: here each sample has its own."""
    if embeds is None:
        yield
        return
    pipeline.prepare_ip_adapter_image_embeds = lambda *_args, **_kwargs: [e.to(pipeline.device) for e in embeds]
    try:
        yield
    finally:
        del pipeline.prepare_ip_adapter_image_embeds
