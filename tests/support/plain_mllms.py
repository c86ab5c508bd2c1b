"""Language models asked through transformers alone, one conversation at a time: what `Mllm` is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from prefbench.models.mllms.conversation import Conversation, Part, Turn, answer, ask

SIZES = ((13, 9), (40, 7), (5, 31), (24, 24), (20, 21))


def picture(seed: int, size: tuple[int, int] | None = None) -> Image.Image:
    """Noise, by default of one of five sizes, of which only one is square."""
    width, height = size or SIZES[seed % len(SIZES)]
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def history(liked: int, disliked: int, seed: int = 0) -> Turn:
    """A turn that shows images of two sides and asks about them."""
    images = [picture(seed + i) for i in range(liked + disliked)]
    return ask("liked", *images[:liked], "disliked", *images[liked:], "What does the user like?")


def train_user() -> Conversation:
    """Three answers, the second of which is not taught, and images in two turns."""
    return [
        history(2, 1),
        answer("yes, red foxes"),
        ask("Which one?", picture(3)),
        answer("the first", taught=False),
        ask("What does the user like?"),
        answer("no"),
    ]


@dataclass
class Plain:
    """A model and processor as transformers load them, and how their family writes turns.

    Attributes:
        begins: what stands before the assistant's words.
        gap: what stands between that and its first word.
        ends: the token that ends a turn.
    """

    folder: Path
    begins: str
    gap: str
    ends: str

    def __post_init__(self) -> None:
        self.model: Any = AutoModelForImageTextToText.from_pretrained(self.folder, dtype=torch.float32).eval()
        self.processor: Any = AutoProcessor.from_pretrained(self.folder)
        self.tokenizer = self.processor.tokenizer
        if hasattr(self.processor.image_processor, "do_image_splitting"):
            self.processor.image_processor.do_image_splitting = False

    def text(self, conversation: Conversation) -> str:
        """The conversation, about to be answered; a space before words that follow an image."""
        messages = [
            {"role": turn.role, "content": [_content(part, first=i == 0) for i, part in enumerate(turn.parts)]}
            for turn in conversation
        ]
        return str(self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def inputs(self, conversation: Conversation) -> dict[str, Any]:
        """Of one conversation alone, without padding; images are not cut into pieces."""
        images = [part for turn in conversation for part in turn.parts if isinstance(part, Image.Image)]
        return dict(self.processor(text=[self.text(conversation)], images=images or None, return_tensors="pt"))

    def first_token(self, word: str) -> int:
        """The token that an answer begins with."""
        opened = self.tokenizer(self.begins)["input_ids"]
        return int(self.tokenizer(self.begins + self.gap + word)["input_ids"][len(opened)])

    @torch.no_grad()
    def states(self, conversation: Conversation) -> torch.Tensor:
        """(layers + 1, tokens, width)."""
        out = self.model(**self.inputs(conversation), output_hidden_states=True, use_cache=False)
        return torch.cat(out.hidden_states)

    @torch.no_grad()
    def logits(self, conversation: Conversation) -> torch.Tensor:
        """(vocabulary,) of what comes next."""
        logits: torch.Tensor = self.model(**self.inputs(conversation), use_cache=False).logits[0, -1]
        return logits

    @torch.no_grad()
    def greedy(self, conversation: Conversation, tokens: int, forbidden: Sequence[str]) -> str:
        """The most probable next token again and again, by whole passes."""
        inputs = self.inputs(conversation)
        images = {name: inputs[name] for name in inputs if "pixel" in name or "grid" in name}
        ids, said = inputs["input_ids"], list[int]()
        never = self.tokenizer.convert_tokens_to_ids(list(forbidden))
        while len(said) < tokens:
            kinds = {"mm_token_type_ids": _kinds(ids, self.model.config)} if "mm_token_type_ids" in inputs else {}
            logits = self.model(input_ids=ids, attention_mask=torch.ones_like(ids), **images, **kinds).logits[0, -1]
            logits[never] = -torch.inf
            said.append(int(logits.argmax()))
            if said[-1] == self.tokenizer.convert_tokens_to_ids(self.ends):
                break
            ids = torch.cat([ids, torch.tensor([said[-1:]])], 1)
        return str(self.tokenizer.decode(said, skip_special_tokens=True)).strip()


def _content(part: Part, *, first: bool) -> dict[str, str]:
    if not isinstance(part, str):
        return {"type": "image"}
    return {"type": "text", "text": part if first else f" {part}"}


def _kinds(ids: torch.Tensor, config: Any) -> torch.Tensor:
    return (ids == config.image_token_id).long()
