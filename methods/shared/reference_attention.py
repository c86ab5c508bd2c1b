"""Self-attention that sees other pictures: their tokens stand beside the drawing's own as keys and values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .latents import Embeds, predict

GIVEN = "references"
"""The name under `cross_attention_kwargs` by which a call of the pipeline hands tensors on, batch first."""


class Reference(NamedTuple):
    """What one half of guidance sees at one step."""

    latents: Tensor
    """(B, K, C, h, w): K pictures per drawing, as noisy as it is at this step."""
    embeds: Embeds
    """Their texts, (B * K, ...)."""
    weight: float
    """Of a token of theirs in the softmax, beside 1 for the drawing's own; over 0."""


Choice = Callable[[Mapping[str, Tensor], Tensor, int], Sequence[Reference | None]]
"""From what was given, the time step and the number of halves of guidance: what each half sees, the unconditional one
first; None for nothing."""


class ReferenceAttention:
    """Put on a denoiser: before it looks at a drawing it looks at references, and remembers every layer's tokens.

    A call without references is the denoiser as it was, to the bit.

    Args:
        unet: its self-attention processors are replaced.
        choose: the references of a step.
        aligned: also gives queries and keys the mean and spread of the references' (AdaIN), as StyleAligned does.
        told: is told how many passes of the denoiser the references took.
    """

    def __init__(
        self, unet: Any, choose: Choice, *, aligned: bool, told: Callable[[float], object] = lambda _: None
    ) -> None:
        self._choose, self.aligned, self._told = choose, aligned, told
        self.written: dict[str, Tensor] | None = None
        """While the denoiser looks at references: tokens (B * K, T, D) by layer."""
        self.seen: Sequence[tuple[Mapping[str, Tensor], float]] = ()
        """While it looks at drawings: for each half of guidance, tokens (B, K * T, D) by layer, and their weight."""
        unet.set_attn_processor(
            {
                name: _Processor(self, name, processor) if name.endswith("attn1.processor") else processor
                for name, processor in unet.attn_processors.items()
            }
        )
        unet.register_forward_pre_hook(self._before, with_kwargs=True)
        unet.register_forward_hook(self._after, always_call=True)

    def _before(self, unet: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        given = (named.get("cross_attention_kwargs") or {}).get(GIVEN)
        if self.written is not None or given is None:
            return None
        noisy, t = arguments[:2]
        halves = len(noisy) // len(next(iter(given.values())))
        self.seen = [self._look(unet, t, reference) for reference in self._choose(given, torch.as_tensor(t), halves)]
        return arguments, named | {"cross_attention_kwargs": None}

    def _look(self, unet: Any, t: Tensor, reference: Reference | None) -> tuple[Mapping[str, Tensor], float]:
        if reference is None:
            return {}, 0.0
        rows, self.written = len(reference.latents), {}
        try:
            predict(unet, reference.latents.flatten(0, 1).to(unet.device), t, reference.embeds)
            tokens = {name: states.reshape(rows, -1, states.shape[-1]) for name, states in self.written.items()}
        finally:
            self.written = None
        self._told(reference.latents.shape[0] * reference.latents.shape[1])
        return tokens, reference.weight

    def _after(self, *_: Any) -> None:
        if self.written is None:
            self.seen = ()


class _Processor:
    """The self-attention of one layer."""

    def __init__(self, shared: ReferenceAttention, name: str, plain: Any) -> None:
        self._shared, self._name, self._plain = shared, name, plain

    def __call__(self, attn: Any, hidden_states: Tensor, **named: Any) -> Tensor:
        shared = self._shared
        if shared.written is not None:
            shared.written[self._name] = hidden_states
        if shared.written is not None or not shared.seen:
            alone: Tensor = self._plain(attn, hidden_states, **named)
            return alone
        halves = zip(hidden_states.chunk(len(shared.seen)), shared.seen, strict=True)
        return torch.cat([self._half(attn, own, tokens, weight, named) for own, (tokens, weight) in halves])

    def _half(self, attn: Any, own: Tensor, tokens: Mapping[str, Tensor], weight: float, named: Any) -> Tensor:
        if not tokens:
            alone: Tensor = self._plain(attn, own, **named)
            return alone
        return attend(attn, own, tokens[self._name], weight=weight, aligned=self._shared.aligned)


def attend(attn: Any, own: Tensor, seen: Tensor, *, weight: float, aligned: bool) -> Tensor:
    """The attention of own tokens (B, T, D) to themselves and to seen ones (B, S, D).

    A seen token has `weight` times the share that its score alone would give it in the softmax.
    """
    query, key, value = (_heads(layer(own), attn.heads) for layer in (attn.to_q, attn.to_k, attn.to_v))
    seen_key, seen_value = (_heads(layer(seen), attn.heads) for layer in (attn.to_k, attn.to_v))
    if aligned:
        query, key = _moments_of(_heads(attn.to_q(seen), attn.heads), query), _moments_of(seen_key, key)
    bias = torch.zeros(own.shape[1] + seen.shape[1], device=own.device, dtype=own.dtype)
    bias[own.shape[1] :] = math.log(weight)
    keys, values = torch.cat([key, seen_key], 2), torch.cat([value, seen_value], 2)
    # Of a full shape: some kernels do not broadcast a mask.
    mask = bias.expand(own.shape[0], 1, own.shape[1], -1)
    mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask).transpose(1, 2).flatten(2)
    out: Tensor = attn.to_out[1](attn.to_out[0](mixed)) / attn.rescale_output_factor
    return out


def _heads(states: Tensor, heads: int) -> Tensor:
    """(B, T, D) to (B, heads, T, D / heads)."""
    return states.reshape(*states.shape[:2], heads, -1).transpose(1, 2)


def _moments_of(style: Tensor, content: Tensor) -> Tensor:
    """Content with the style's mean and spread over tokens (AdaIN, Huang and Belongie 2017, arXiv 1703.06868)."""
    mean, std = content.mean(2, keepdim=True), content.std(2, keepdim=True) + 1e-5
    return (content - mean) / std * (style.std(2, keepdim=True) + 1e-5) + style.mean(2, keepdim=True)
