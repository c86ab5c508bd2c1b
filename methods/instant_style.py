"""`instant-style`: the IP-Adapter in the style blocks alone (InstantStyle, Wang et al. 2024, arXiv 2404.02733)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor

from prefbench.api import Context, History, MethodCard, PrefbenchError

from .ip_adapter import ADAPTERS, IpAdapter


class Style(NamedTuple):
    """How a backbone is told of style alone."""

    blocks: str
    """Prefixes of names, separated by spaces."""
    scale: float = 1.0
    guidance: float = 0.0
    """0 for the backbone's own."""


STYLES: Mapping[str, Style] = {
    "mini-sd": Style("up_blocks.1", scale=1.5, guidance=2.0),
    "sd15": Style("up_blocks.1"),
    "sdxl": Style("up_blocks.0.attentions.1"),
}
"""By backbone. SDXL's blocks are the paper's (section 3.3) and 1.5's its authors' code's; all of `mini-sd`'s was chosen
on val users (`benchmarks/tuning.py`)."""


class InstantStyle(IpAdapter):
    """The adapter of `ip-adapter`, heard only by the cross-attentions in which a picture's style is decided.

    The paper's other half, taking a text embedding of the content off the picture's, is left out: the tower that the
    miniature adapter reads knows no text.

    Args:
        blocks: prefixes of names of blocks, separated by spaces, such as `up_blocks.0 mid_block`; empty for those in
            `STYLES`.
        scale: weight of the second cross-attention in them; 0 draws the prompt alone, None is that in `STYLES`.
        images: the liked image most typical of all (`one`), the tokens of all of them in one softmax (`concat`), or
            their mean embedding (`mean`).
        guidance: scale of guidance by prompt and images together; 0 for the backbone's own, None for that in `STYLES`.
    """

    card = MethodCard(
        name="instant-style",
        version="1",
        summary="liked images through the IP-Adapter's style blocks alone, which on mini-sd were chosen on val users",
        paper="arXiv 2404.02733",
        uses_disliked=False,
        backbones=tuple(ADAPTERS),
        weights=("mini-ip-adapter", "mini-vision"),
        encoders=("mini-vision",),
    )

    def __init__(
        self,
        *,
        blocks: str = "",
        scale: float | None = None,
        images: Literal["one", "concat", "mean"] = "mean",
        guidance: float | None = None,
    ) -> None:
        super().__init__(scale=scale or 0.0, images=images, negative="none", guidance=guidance or 0.0)
        self.blocks, self._scale, self._guidance = blocks, scale, guidance

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` as `ip-adapter`, and for a block without a cross-attention."""
        super().setup(context)
        own = STYLES[context.backbone.card.name]
        self.scale = own.scale if self._scale is None else self._scale
        self.guidance = own.guidance if self._guidance is None else self._guidance
        self._restrict(context.backbone.pipeline.unet.attn_processors, (self.blocks or own.blocks).split())

    def _restrict(self, processors: Mapping[str, Any], blocks: Sequence[str]) -> None:
        """What diffusers' `set_ip_adapter_scale` does with a dictionary of blocks."""
        hearing = {name: processor for name, processor in processors.items() if name.endswith("attn2.processor")}
        for block in blocks:
            if not any(_within(name, block) for name in hearing):
                known = ", ".join(dict.fromkeys(name.partition(".transformer_blocks")[0] for name in hearing))
                raise PrefbenchError(f"instant-style: no cross-attention is in {block!r}, only in {known}")
        for name, processor in hearing.items():
            processor.scale = [self.scale if any(_within(name, block) for block in blocks) else 0.0]

    def _mean(self, history: History) -> dict[str, Tensor]:
        return {"liked": self._embedded(history.liked).mean(0)}


def _within(layer: str, block: str) -> bool:
    return f"{layer}.".startswith(f"{block.removesuffix('.')}.")
