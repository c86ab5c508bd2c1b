"""Asks a language model about a user: states after a history, and at a picture that it is asked about."""

from __future__ import annotations

from torch import Tensor

from prefbench.api import Features, History, PrefbenchError, ProbeItem, UnreadableImageError
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.states import HiddenStates

from .latest import Latest
from .questions import TEMPLATES, Examples, follow_up, judged_next, likes_question


class Asking:
    """Asks `mllm` in the words of its training: what the user likes, and then whether a picture is liked."""

    def __init__(self, mllm: Mllm) -> None:
        self._mllm = mllm
        self._shown, self._answers, self._states = Latest(Examples.of), Latest(self._answer), Latest(self._about)

    def about(self, history: History) -> HiddenStates | None:
        """The states of one conversation, about to say what the user likes; None for an empty history."""
        return self._states.of(history)

    def phrases(self, history: History) -> dict[str, float]:
        """The model's phrases, each with its verdict in [-1, 1]; none without a history, or where it judges none."""
        states = self._states.of(history) if self._mllm.card.phrases else None
        if states is None or states.verdicts is None:
            return {}
        return dict(zip(self._mllm.card.judged_phrases, states.verdicts[0].tolist(), strict=True))

    def at(self, history: History, item: ProbeItem) -> HiddenStates:
        """The states of one conversation, about to say whether the user likes the picture, in the model's own way."""
        try:
            picture = item.picture.load()
        except UnreadableImageError as error:
            raise PrefbenchError(f"a picture to ask about cannot be read: {error}") from error
        examples = self._shown.of(history)
        if self._mllm.judges_in_turn:
            return self._mllm.states([judged_next(examples, picture)], before_word=True)
        return self._mllm.states([follow_up(examples, self._answers.of(history), TEMPLATES.like[0], picture)])

    def _about(self, history: History) -> HiddenStates | None:
        examples = self._shown.of(history)
        return self._mllm.states([likes_question(examples)]) if examples else None

    def _answer(self, history: History) -> str:
        examples = self._shown.of(history)
        return self._mllm.answers([likes_question(examples)])[0] if examples else TEMPLATES.nothing


def by_layer(states: HiddenStates) -> dict[str, Features]:
    """The vectors of one conversation: `last 0`, `last 1`, ..., `mean 0`, ... to vectors."""
    pooled: dict[str, Tensor] = {"last": states.last[0], "mean": states.mean[0]}
    return {f"{name} {i}": row.double().numpy() for name, rows in pooled.items() for i, row in enumerate(rows)}
