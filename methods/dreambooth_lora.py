"""`dreambooth-lora`: low-rank weights per user (DreamBooth, Ruiz et al. 2022, arXiv 2208.12242; LoRA, 2106.09685)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from peft import LoraConfig
from torch import Tensor, nn

from prefbench.api import Context, Drawing, History, Method, MethodCard, PrefbenchError, Profile, Request

from .shared.groups import draw_in_groups
from .shared.latents import embed
from .shared.tuning import LikesTuner, freeze, with_identifier


class DreamBoothLora(Method):
    """A LoRA on all attentions of the denoiser, trained for every user on what they liked.

    As in DreamBooth an identifier stands for the user, `*` behind the prompts of training and drawing. Without its
    pictures of the class against forgetting: training ends after a few steps instead.

    Args:
        scale: weight of what was trained while a picture is drawn; 0 draws the prompt alone.
        steps: of training, for every user.
        rate: its learning rate.
        rank: of the matrices.
        batch: liked pictures per step.
    """

    card = MethodCard(
        name="dreambooth-lora",
        version="1",
        summary="a LoRA on the denoiser's attention, trained for every user on what they liked",
        paper="arXiv 2208.12242",
        uses_disliked=False,
        uses_prompts=True,
        training="per user",
    )

    def __init__(
        self, *, scale: float = 0.5, steps: int = 40, rate: float = 0.01, rank: int = 4, batch: int = 4
    ) -> None:
        if not 0 <= scale < float("inf"):
            raise PrefbenchError(f"scale must be 0 or more and finite, got {scale}")
        if not 0 < rate < float("inf"):
            raise PrefbenchError(f"rate must be over 0 and finite, got {rate}")
        for name, value in (("steps", steps), ("rank", rank), ("batch", batch)):
            if value < 1:
                raise PrefbenchError(f"{name} must be at least 1, got {value}")
        self.scale, self.steps, self.rate, self.rank, self.batch = scale, steps, rate, rank, batch

    def setup(self, context: Context) -> None:
        """Puts an untrained LoRA on the denoiser, in float32."""
        super().setup(context)
        freeze(context.backbone)
        unet = context.backbone.pipeline.unet
        unet.add_adapter(
            LoraConfig(r=self.rank, lora_alpha=self.rank, target_modules=["to_q", "to_k", "to_v", "to_out.0"])
        )
        self.weights: dict[str, nn.Parameter] = {n: p for n, p in unet.named_parameters() if ".lora_" in n}
        self.tuner = LikesTuner(context.backbone, steps=self.steps, rate=self.rate, batch=self.batch)
        self._start = _fresh(self.weights)

    def profile(self, history: History) -> Profile:
        """The matrices by name, in half precision; none without likes."""
        if not history.liked:
            return Profile(history.user, {})
        self._load(self._start, 1.0)
        with torch.no_grad():
            texts = {j.prompt: embed(self.context.backbone, [with_identifier(j.prompt)])[0] for j in history.liked}
        by_text = {with_identifier(prompt): embeds for prompt, embeds in texts.items()}
        self.tuner.train(
            history,
            list(self.weights.values()),
            lambda prompts: {n: torch.cat([by_text[prompt][n] for prompt in prompts]) for n in by_text[prompts[0]]},
        )
        learned = {name: weight.detach().half().cpu() for name, weight in self.weights.items()}
        return Profile(history.user, learned, sum(matrix.numel() for matrix in learned.values()))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        return draw_in_groups(requests, lambda request: self._learned(request) and request.profile.user, self._draw)

    def _learned(self, request: Request) -> Mapping[str, Tensor] | None:
        """The user's matrices; None where they change nothing."""
        return request.profile.payload if request.profile.payload and self.scale > 0 else None

    def _draw(self, requests: Sequence[Request]) -> list[Drawing]:
        """One user's, or those of all without matrices."""
        backbone, learned = self.context.backbone, self._learned(requests[0])
        unet = backbone.pipeline.unet
        if learned is not None:
            self._load(learned, self.scale)
        else:  # adding what is 0 may round otherwise
            unet.disable_adapters()
        prompts = [with_identifier(request.prompt) if learned else request.prompt for request in requests]
        try:
            images = backbone.generate(prompts, [request.seed for request in requests])
        finally:
            unet.enable_adapters()
        return [Drawing(image, prompt, backbone.nfe) for image, prompt in zip(images, prompts, strict=True)]

    @torch.no_grad()
    def _load(self, matrices: Mapping[str, Tensor], scale: float) -> None:
        for name, weight in self.weights.items():
            weight.copy_(matrices[name] * (scale if "lora_B" in name else 1.0))


def _fresh(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What training begins from: A normal, of variance 1 / rank, and B zero, so that nothing is changed yet."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.zeros(weight.shape)
        if "lora_B" in name
        else torch.randn(weight.shape, generator=generator) / weight.shape[0] ** 0.5
        for name, weight in weights.items()
    }
