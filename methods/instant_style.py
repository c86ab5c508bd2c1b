"""`instant-style`: the IP-Adapter in the style blocks alone (InstantStyle, Wang et al. 2024, arXiv 2404.02733)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from prefbench.api import Context, History, MethodCard, PrefbenchError

from .ip_adapter import ADAPTERS, IpAdapter

STYLE_BLOCKS: Mapping[str, str] = {
    "mini-sd": "up_blocks.1",
    "sd15": "up_blocks.1",
    "sdxl": "up_blocks.0.attentions.1",
}
"""Backbone to the blocks that carry style: SDXL's by the paper (section 3.3), `mini-sd`'s chosen on val users."""


class InstantStyle(IpAdapter):
    """The adapter of `ip-adapter`, heard only by the cross-attentions in which a picture's style is decided.

    The paper's other half, taking a text embedding of the content off the picture's, is left out: the tower that the
    miniature adapter reads knows no text.

    Args:
        blocks: prefixes of names of blocks, separated by spaces, such as `up_blocks.0 mid_block`; empty for the
            backbone's own.
        scale: weight of the second cross-attention in them; 0 draws the prompt alone.
        images: the liked image most typical of all (`one`), the tokens of all of them in one softmax (`concat`), or
            their mean embedding (`mean`).
        guidance: scale of guidance by prompt and images together; 0 for the backbone's own.
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
        scale: float = 1.5,
        images: Literal["one", "concat", "mean"] = "mean",
        guidance: float = 0.0,
    ) -> None:
        super().__init__(scale=scale, images=images, negative="none", guidance=guidance)
        self.blocks = blocks

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` as `ip-adapter`, and for a block without a cross-attention."""
        super().setup(context)
        blocks = (self.blocks or STYLE_BLOCKS[context.backbone.card.name]).split()
        layers = {
            name.partition(".transformer_blocks")[0]: processor
            for name, processor in context.backbone.pipeline.unet.attn_processors.items()
            if name.endswith("attn2.processor")
        }
        for block in blocks:
            if not any(_within(name, block) for name in layers):
                raise PrefbenchError(f"instant-style: no cross-attention is in {block!r}, only in {', '.join(layers)}")
        for name, processor in context.backbone.pipeline.unet.attn_processors.items():
            if name.endswith("attn2.processor"):
                processor.scale = [self.scale if any(_within(name, block) for block in blocks) else 0.0]

    def _mean(self, history: History) -> dict[str, Tensor]:
        return {"liked": self._embedded(history.liked).mean(0)}


def _within(layer: str, block: str) -> bool:
    return f"{layer}.".startswith(f"{block.removesuffix('.')}.")
