"""A conversation as one model reads it: the text of its chat template, and which of its tokens are the assistant's."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

from prefbench.api import PrefbenchError
from prefbench.models.mllms.conversation import Conversation, answer, as_messages, ask


class Token(NamedTuple):
    """A token of a rendered conversation."""

    id: int
    by_assistant: bool
    taught: bool
    """Whether training takes a loss on it."""


class ChatRenderer:
    """Renders conversations with a processor's chat template.

    Args:
        name: of the model, for messages.
    """

    def __init__(self, name: str, processor: Any) -> None:
        self.name, self.processor = name, processor

    def text(self, conversation: Conversation, *, to_be_answered: bool) -> str:
        """The conversation with one placeholder per image; `to_be_answered` opens the assistant's next turn.

        Raises:
            PrefbenchError: a conversation that the user does not begin; a part that holds a control token of the model,
                which could forge an image or a turn.
        """
        if not conversation or conversation[0].role != "user":
            raise PrefbenchError("a conversation begins with a turn of the user")
        self._refuse_control_tokens(conversation)
        rendered: str = self.processor.apply_chat_template(
            as_messages(conversation), tokenize=False, add_generation_prompt=to_be_answered
        )
        return rendered

    def tokens(self, conversation: Conversation) -> list[Token]:
        """The tokens of text (those that stand for no picture), in order.

        Raises:
            PrefbenchError: a chat template that renders turns differently when others follow.
        """
        text = self.text(conversation, to_be_answered=False)
        spans = [
            (*self._span(conversation, i, text), turn.taught)
            for i, turn in enumerate(conversation)
            if turn.role == "assistant"
        ]
        encoded = self.processor.tokenizer(text, return_offsets_mapping=True)
        tokens = []
        for token, (start, stop) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
            if token not in self.picture_tokens:
                inside = [taught for first, last, taught in spans if stop > first and start < last]
                tokens.append(Token(token, bool(inside), any(inside)))
        return tokens

    def first_token(self, word: str) -> int:
        """The first token of a word that the assistant begins its turn with."""
        return next(token.id for token in self.tokens([ask("yes or no?"), answer(word)]) if token.by_assistant)

    @cached_property
    def picture_tokens(self) -> frozenset[int]:
        """Ids of the tokens that a processor puts in for an image; their number per image is the processor's."""
        names = [getattr(self.processor, name, None) for name in ("image_token", "fake_image_token")]
        return frozenset(self.processor.tokenizer.convert_tokens_to_ids(name) for name in names if name is not None)

    def _span(self, conversation: Conversation, i: int, text: str) -> tuple[int, int]:
        """Start and end of the i-th turn in the rendered text, from after its opening to the token that ends it."""
        opened = self.text(conversation[:i], to_be_answered=True)
        closed = self.text(conversation[: i + 1], to_be_answered=False)
        if not (text.startswith(closed) and closed.startswith(opened)):
            raise PrefbenchError(f"{self.name}: its chat template rewrites earlier turns, so it cannot be tuned")
        return len(opened), len(closed.rstrip())

    def _refuse_control_tokens(self, conversation: Conversation) -> None:
        for part in (part for turn in conversation for part in turn.parts if isinstance(part, str)):
            control = next((token for token in self._control_tokens if token in part), None)
            if control is not None:
                raise PrefbenchError(
                    f"{self.name}: {part[:60]!r} holds {control}, which is a control token of the model"
                )

    @cached_property
    def _control_tokens(self) -> tuple[str, ...]:
        return tuple(self.processor.tokenizer.get_added_vocab())
