"""`attribute-rewrite`: a language model says what a user likes and dislikes, for the prompt and the negative prompt."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from prefbench.api import (
    Context,
    Drawing,
    Features,
    History,
    Method,
    MethodCard,
    PrefbenchError,
    ProbeItem,
    Profile,
    Request,
)
from prefbench.models.mllms.conversation import Conversation
from prefbench.models.mllms.loader import load_mllm

from .shared.asking import Asking, by_layer
from .shared.groups import draw_in_groups
from .shared.phrases import beside, surest
from .shared.questions import TEMPLATES, Examples, follow_up, likes_question

logger = logging.getLogger(__name__)


class AttributeRewrite(Method):
    """ViPer's idea (Salehi et al. 2024) without users' comments: it can draw only preferences that words express.

    An answer that is not a list of words, or is too long for the prompt, is not used: a warning is logged, and images
    for that user are drawn from the prompt alone. A model that judges phrases is asked about these instead.

    Args:
        mllm: a registered language model, or a folder of one.
        sure: of a model that judges phrases, the verdict, P(liked) - P(disliked) or the reverse, from which on a phrase
            is among the words.
    """

    card = MethodCard(
        name="attribute-rewrite",
        version="1",
        summary="a language model's words for likes and dislikes, in the prompt and the negative prompt",
        paper="after arXiv 2407.17365",
        training="once",
        trained_on=("picturebook:train",),
        weights=("mini-mllm",),
        encoders=("mini-mllm", "mini-vision"),
    )

    def __init__(self, *, mllm: Annotated[str, "mllm"] = "mini-mllm", sure: float = 0.0) -> None:
        if not 0 <= sure <= 1:
            raise PrefbenchError(f"sure must be from 0 to 1, got {sure}")
        self.name, self.sure = mllm, sure

    def setup(self, context: Context) -> None:
        super().setup(context)
        self.mllm = load_mllm(self.name, device=str(context.backbone.device))
        self.asking = Asking(self.mllm)

    @property
    def card_in_use(self) -> MethodCard:
        """Names the language model that was given."""
        if self.name == "mini-mllm":
            return self.card
        return replace(self.card, weights=(self.name,), encoders=(self.mllm.base,))

    @property
    def weights_digest(self) -> str:
        return self.mllm.digest

    def profile(self, history: History) -> Profile:
        """`likes` and `dislikes`, phrases joined by commas; empty where there are none."""
        return Profile(history.user, dict(zip(("likes", "dislikes"), self._words(history), strict=True)))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        # Without dislikes guidance leads away from what it always does, which an empty negative prompt is not on SDXL.
        return draw_in_groups(requests, lambda request: bool(self._beside(request, "dislikes")), self._draw)

    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:
        """The language model's states by layer and pooling; none for an empty history."""
        states = self.asking.about(history) if item is None else self.asking.at(history, item)
        return {} if states is None else by_layer(states)

    def _draw(self, requests: Sequence[Request]) -> list[Drawing]:
        backbone = self.context.backbone
        prompts = [", ".join(filter(None, (r.prompt, self._beside(r, "likes")))) for r in requests]
        negative = [self._beside(request, "dislikes") for request in requests]
        seeds = [request.seed for request in requests]
        images = backbone.generate(prompts, seeds, negative_prompts=negative if any(negative) else None)
        return [Drawing(image, prompt, backbone.nfe) for image, prompt in zip(images, prompts, strict=True)]

    def _beside(self, request: Request, side: str) -> str:
        """The words of a side; of phrases those that the prompt leaves open."""
        return beside(request.prompt, request.profile.payload[side], self.mllm.card.phrases)

    def _words(self, history: History) -> tuple[str, str]:
        if not len(history):
            return "", ""
        if told := self.asking.phrases(history):
            groups = self.mllm.card.phrases
            return surest(told, groups, self.sure), surest(told, groups, self.sure, liked=False)
        examples = Examples(*(tuple(j.picture.load() for j in side) for side in (history.liked, history.disliked)))
        tokenizer, control = self.context.backbone.pipeline.tokenizer, self.mllm.tokenizer.get_added_vocab()
        try:
            first = self._ask(likes_question(examples))
            likes = read_answer(first, tokenizer, control)
            dislikes = read_answer(self._ask(follow_up(examples, first, TEMPLATES.dislikes[0])), tokenizer, control)
        except ValueError as error:
            logger.warning("%s: %s %s; drawing from the prompt alone", self.card.name, history.user, error)
            return "", ""
        return likes, dislikes

    def _ask(self, conversation: Conversation) -> str:
        # Twice what there is room for: an answer that is cut off is then too long as well.
        room = self.context.backbone.pipeline.tokenizer.model_max_length
        return self.mllm.answers([conversation], tokens=2 * room)[0]


def read_answer(answer: str, tokenizer: Any, control_tokens: Iterable[str] = ()) -> str:
    """The phrases of an answer, ready for a prompt; empty where the answer is `TEMPLATES.nothing`.

    Args:
        tokenizer: of the text encoder that will read them.
        control_tokens: of the language model; no phrase holds any.

    Raises:
        ValueError: an empty answer, one that the text encoder has no room for, or one with control tokens.
    """
    words = " ".join(answer.split()).strip(" ,.;")
    if not words:
        raise ValueError("got no answer")
    control = next((token for token in control_tokens if token in words), None)
    if control is not None or not words.isprintable():
        raise ValueError(f"got an answer with {control or 'control characters'}: {words[:60]!r}")
    length, room = len(tokenizer(words, verbose=False)["input_ids"]), tokenizer.model_max_length
    if length > room:
        raise ValueError(f"got an answer of {length} tokens, over {room}: {words[:60]!r}")
    return "" if words.lower() == TEMPLATES.nothing else words
