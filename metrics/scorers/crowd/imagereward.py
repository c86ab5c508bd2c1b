"""`imagereward`: how high annotators ranked a picture among others for its prompt, by a fine-tuned BLIP."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from PIL import Image

from prefbench.api import Features, ScorerCard, TextsRead, WeightFiles
from prefbench.models import hub
from prefbench.models.text_limits import read_by_transformers

from ..files import below, fitting, read_tensors, state_dict
from .base import CrowdScorer, as_numbers, exact

if TYPE_CHECKING:
    from torch import Tensor, nn

_WEIGHTS, _SETTINGS = "ImageReward.pt", "med_config.json"
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_WORDS = 35
"""Tokens per prompt: longer ones are cut, shorter ones padded."""
_MEAN, _STD = 0.16717362830052426, 1.0333394966054072
"""Mean and standard deviation of the head's outputs on the authors' data, which standardise the reward."""


class _Loaded(NamedTuple):
    encoder: Any
    head: Any
    transform: Callable[[Image.Image], Any]
    tokenizer: Any
    device: Any


class ImageReward(CrowdScorer):
    """ImageReward v1.0 (Xu et al. 2023, arXiv 2304.05977, section 3.1): BLIP, then a head of linear layers.

    Trained so that the logistic of the difference of two outputs is the probability that annotators rank the first
    higher (eq. 1); rewards are these outputs, standardised, so their differences are 1.033 times smaller.

    Args:
        source: a repository of the hub or a folder, with `ImageReward.pt` and `med_config.json`.
        tokenizer: where BERT's uncased vocabulary is.
        anchor, batch, device: see `CrowdScorer`.
    """

    card: ClassVar[ScorerCard] = ScorerCard(
        name="imagereward",
        version="1.0",
        summary="how judges would rank a picture among others for its prompt, by a tuned BLIP",
        licence="Apache-2.0",
        personal=False,
        encoders=("BLIP ViT-L",),
        trained_on=("ImageRewardDB",),
        source="https://arxiv.org/abs/2304.05977",
        scale="logistic(reward - anchor): how likely judges rank it above a picture for the same prompt that has the"
        " anchor's reward; 0 is the mean of its authors' data; compares within one prompt",
        caveats=(
            "knows the crowd and no user: orders 65.1 % of its own test pairs as the majority did, 74.0 % of HPDv2's,"
            " and 55.64 % of pairs that single users judged (learn-user-pref, table 1)",
            "words after the 35th token are not read; pictures are cropped to squares",
            "methods that select, train or guide with it win it",
        ),
    )

    def __init__(
        self,
        *,
        source: str = "THUDM/ImageReward",
        tokenizer: str = "google-bert/bert-base-uncased",
        anchor: float = 0.0,
        batch: int = 16,
        device: str | None = None,
    ) -> None:
        super().__init__(anchor=anchor, batch=batch, device=device)
        self.source, self.tokenizer = source, tokenizer

    def _points(self, prompts: list[str], pictures: list[Image.Image]) -> Features:
        import torch

        encoder, head, transform, tokenizer, device = self._loaded
        pixels = torch.stack([transform(picture) for picture in pictures])
        words = tokenizer(prompts, padding="max_length", truncation=True, max_length=_WORDS, return_tensors="pt")
        with exact():
            states = encoder(pixels.to(device), words["input_ids"].to(device), words["attention_mask"].to(device))
            return (as_numbers(head(states)[:, 0]) - _MEAN) / _STD

    def texts_read(self, texts: Sequence[str]) -> TextsRead:
        """How many texts are cut."""
        return read_by_transformers(self._loaded.tokenizer, texts, _WORDS)

    @cached_property
    def _loaded(self) -> _Loaded:
        import open_clip
        import transformers
        from transformers import BertTokenizer

        from prefbench.models.loading import choose_device, strict_loading

        from .blip import GroundedText

        name, (folder, vocabulary) = self.card.name, self._folders()
        with strict_loading(f"scorer {name!r}", vocabulary, transformers):
            tokenizer = BertTokenizer.from_pretrained(vocabulary, local_files_only=True)
        settings = hub.read_json(folder / _SETTINGS, "ImageReward's repository")
        tensors = state_dict(name, read_tensors(name, folder / _WEIGHTS), folder / _WEIGHTS)
        with fitting(name, folder / _WEIGHTS):
            encoder = GroundedText(below("blip.", tensors), settings)
            head = _head(below("mlp.layers.", tensors))
        # Shorter side to 224 by PIL's bicubic, cropped at the center, CLIP's mean and spread.
        transform = open_clip.image_transform(encoder.side, is_train=False)
        device = choose_device(self.device)
        return _Loaded(encoder.to(device).eval(), head.to(device).eval(), transform, tokenizer, device)

    @property
    def weights(self) -> tuple[WeightFiles, ...]:
        model = WeightFiles(self.source, (_WEIGHTS, _SETTINGS), licence="Apache-2.0", size=1_790_000_000)
        return model, WeightFiles(self.tokenizer, _TOKENIZER, licence="Apache-2.0", size=500_000)


def _head(tensors: Mapping[str, Tensor]) -> nn.Sequential:
    """Linear layers, under their original indices: between them is only dropout, which is off here."""
    from torch import nn

    head = nn.Sequential()
    for place in sorted({name.partition(".")[0] for name in tensors}, key=int):
        outputs, inputs = tensors[f"{place}.weight"].shape
        head.add_module(place, nn.Linear(inputs, outputs))
    head.load_state_dict(tensors)
    return head
