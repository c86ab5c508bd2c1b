"""A language model's own verdicts: how probably a user likes each of some pictures, after one history."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from prefbench.api import FloatArray, History, Judgment, Picture
from prefbench.models.mllms.conversation import fitted
from prefbench.models.mllms.endings import Beginning, reads_side_by_side
from prefbench.models.mllms.model import Mllm

from .latest import Latest
from .questions import TEMPLATES, Examples, follow_up, judged_next, likes_question

Seen = Callable[[Sequence[Image.Image]], Tensor]
_PIXELS = ("pixel_values", "pixel_attention_mask")


class Verdicts:
    """How probably a user likes a picture, in the words of the training.

    P(yes) / (P(yes) + P(no)) of the answer to "does the user like this picture"; of models that are shown histories as
    `verdicts`, the same of the word that follows the picture as if it were the history's next.

    Args:
        batch: pictures that are asked about at once.
        seen: the image tokens (N, tokens, W) of N pictures that are asked about, where they are known already; None
            runs the vision tower. Of models in which every picture is the same number of tokens.
    """

    def __init__(self, mllm: Mllm, *, batch: int = 64, seen: Seen | None = None) -> None:
        self._mllm, self._batch, self._seen = mllm, batch, seen
        self._answers = Latest(self._answer)

    def of(self, history: History, pictures: Sequence[Image.Image]) -> FloatArray:
        """One verdict (N,) per picture, each as if it were asked about alone."""
        return self.after(Examples.of(history), self._before(history), pictures) if pictures else np.zeros(0)

    @property
    def reads_answers(self) -> bool:
        """Whether a verdict depends on what the model says of what the user likes; else that need not be asked."""
        return not self._mllm.judges_in_turn

    def _before(self, history: History) -> str:
        return self.answer(history) if self.reads_answers else ""

    def answer(self, history: History) -> str:
        """What the model says of what the user likes, as verdicts are asked for after it."""
        return self._answers.of(history)

    def kept(self, history: History) -> dict[str, Any]:
        """A history and the answer as plain data for a profile, pictures no larger than the model sees them."""
        side = self._mllm.card.image_side
        shown = {
            name: [(np.asarray(fitted(judgment.picture.load(), side)), judgment.prompt) for judgment in judgments]
            for name, judgments in (("liked", history.liked), ("disliked", history.disliked))
        }
        return {**shown, "answer": self._before(history)}

    def again(self, kept: Mapping[str, Any], pictures: Sequence[Image.Image]) -> FloatArray:
        """Verdicts (N,) after what `kept` holds."""
        sides = {
            name: tuple(
                Judgment(Picture.of(Image.fromarray(np.asarray(pixels))), prompt, name == "liked")
                for pixels, prompt in kept[name]
            )
            for name in ("liked", "disliked")
        }
        return self.after(Examples.of(History("", **sides)), kept["answer"], pictures)

    def after(self, examples: Examples, answer: str, pictures: Sequence[Image.Image]) -> FloatArray:
        """The same after a history and the model's answer of what the user likes, where it `reads_answers`."""
        if not pictures:
            return np.zeros(0)
        if self._mllm.judges_in_turn:
            return self._read(*self._next_of(examples, pictures[0]), pictures)
        conversations = [follow_up(examples, answer, TEMPLATES.like[0], picture) for picture in pictures]
        words = [TEMPLATES.yes, TEMPLATES.no]
        if self._mllm.counts_alike and len(pictures) > 1:
            return self._read(self._mllm.batch(conversations[:1]), self._mllm.first_tokens(words), pictures)
        return self._mllm.first_words(conversations, words, batch=self._batch)[:, 0].double().numpy()

    def _next_of(self, examples: Examples, picture: Image.Image) -> tuple[dict[str, Tensor], list[int]]:
        """A history and a picture after it, up to the word that follows; and the tokens of liked and disliked there."""
        told = [
            self._mllm.batch([judged_next(examples, picture, liked=liked)], to_be_answered=False, pixels=liked)
            for liked in (True, False)
        ]
        ids = [one["input_ids"][0] for one in told]
        shortest = min(map(len, ids))
        column = int((ids[0][:shortest] != ids[1][:shortest]).int().argmax())
        cut = {name: told[0][name][:, :column] for name in ("input_ids", "attention_mask")}
        return {**told[0], **cut}, [int(one[column]) for one in ids]

    def _answer(self, history: History) -> str:
        examples = Examples.of(history)
        return self._mllm.answers([likes_question(examples)])[0] if examples else TEMPLATES.nothing

    def _read(self, whole: dict[str, Tensor], words: Sequence[int], pictures: Sequence[Image.Image]) -> FloatArray:
        """Probability (N,) of the first of two words at the end of a conversation, with pictures in place of its last.

        What is before that picture is read once. Only for models in which every picture is the same number of tokens,
        so that its begin is known.
        """
        mllm, model = self._mllm, self._mllm.model.eval()
        shown = (whole["input_ids"][0] == model.config.image_token_id).nonzero().flatten()
        begin = int(shown[-mllm.processor.image_seq_len])
        head = {name: whole[name][:, :begin] for name in ("input_ids", "attention_mask")}
        pixels = {name: whole[name][:, :-1] for name in _PIXELS if name in whole and whole[name].shape[1] > 1}
        beginning, ending = Beginning(model, head | pixels), whole["input_ids"][0, begin:]
        is_one_row = self._seen is not None and reads_side_by_side(model)
        read = beginning.side_by_side if is_one_row else beginning.in_rows
        chunks = [pictures[i : i + self._batch] for i in range(0, len(pictures), self._batch)]
        logits = torch.cat([read(ending, len(c), **self._looked_at(c))[:, list(words)].float().cpu() for c in chunks])
        probabilities: FloatArray = logits.softmax(-1)[:, 0].double().numpy()
        return probabilities

    def _looked_at(self, pictures: Sequence[Image.Image]) -> dict[str, Any]:
        """The inputs of the model for pictures that each are the only ones of their rows."""
        mllm = self._mllm
        if self._seen is not None:
            tokens = self._seen(pictures).to(mllm.device, mllm.model.dtype)
            return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=list(tokens))}}
        asked = mllm.processor.image_processor(
            [[fitted(picture, mllm.card.image_side)] for picture in pictures], return_tensors="pt"
        )
        return {name: asked[name].to(mllm.device) for name in _PIXELS if name in asked}
