"""Phrases that a model judges after a history."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from prefbench.api import PrefbenchError
from prefbench.methods.shared.questions import Examples, likes_question
from prefbench.models.mllms.conversation import Judged, ask
from prefbench.models.mllms.folders import CARD_FILE
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.phrases import after_histories
from tests.support.tiny_mllms import save_tiny_qwen

GROUPS = (("red", "a fox in the snow"), ("liked",))
PHRASES = ("red", "a fox in the snow", "liked")


@pytest.fixture
def asked(mllm: Mllm) -> Mllm:
    """A model that judges in turn, and is asked about phrases."""
    mllm.card = dataclasses.replace(mllm.card, history="verdicts")
    mllm.ask_about(GROUPS)
    return mllm


def shown(*colors: str) -> tuple[Image.Image, ...]:
    return tuple(Image.new("RGB", (32, 32), color) for color in colors)


HISTORIES = [
    Examples(shown("red"), shown("blue", "green")),
    Examples(shown("yellow", "black", "white", "pink"), shown("gray")),
    Examples((), shown("red")),
]


@torch.no_grad()
def test_a_phrase_is_read_as_if_it_followed_the_history_alone(asked: Mllm) -> None:
    """Whatever it stands beside, and however the rows of a batch are padded."""
    together = asked.states([likes_question(one) for one in HISTORIES])
    assert together.phrases is not None
    assert together.verdicts is not None
    assert together.verdicts.shape == (3, 3)
    words = asked.phrases(("liked", "disliked")).tokens[:, 0]
    for row, one in enumerate(HISTORIES):
        verdicts, states = [], []
        for phrase in PHRASES:
            conversation = [ask(Judged(one.liked, one.disliked), phrase)]
            inputs = asked.batch([conversation], to_be_answered=False)
            end = max(torch.nonzero(inputs["input_ids"][0] == asked.phrases([phrase]).tokens[0, -1]).flatten())
            cut = {name: inputs[name][:, : end + 1] for name in ("input_ids", "attention_mask")}
            out = asked.model(**inputs | cut, output_hidden_states=True)
            liked, disliked = out.logits[0, -1, words].softmax(-1)
            verdicts.append(float(liked - disliked))
            states.append(torch.stack([layer[0, -1] for layer in out.hidden_states]))
        assert together.verdicts[row].tolist() == pytest.approx(verdicts, abs=1e-4)
        mean = sum(verdict * state for verdict, state in zip(verdicts, states, strict=True)) / 3
        torch.testing.assert_close(together.phrases[row], mean, atol=1e-4, rtol=0)


def test_what_was_read_before_stays_as_it_was(asked: Mllm) -> None:
    with_phrases = asked.states([likes_question(one) for one in HISTORIES])
    asked.ask_about(())
    plain = asked.states([likes_question(one) for one in HISTORIES])
    assert plain.phrases is None
    for name in ("last", "mean", "contrast"):
        torch.testing.assert_close(getattr(with_phrases, name), getattr(plain, name), atol=1e-4, rtol=0)


def test_a_phrase_stands_behind_the_last_word_of_a_history(asked: Mllm) -> None:
    one = HISTORIES[1]
    conversation = [ask(Judged(one.liked, one.disliked), "what of this?", one.liked[0])]
    inputs = asked.batch([conversation], to_be_answered=False)
    ids = inputs["input_ids"]
    signs = [[1, 1, -1, 1, 1, 0]]
    column = int(after_histories(ids, asked._seen_at(ids), signs, asked._renderer.picture_tokens)[0])
    assert asked.tokenizer.decode(ids[0, column - 1 : column]).strip() == "liked"
    assert asked.tokenizer.decode(ids[0, column:]).strip().startswith("what of this?")


def test_a_model_that_cannot_judge_phrases_does_not_do_so_in_silence(tmp_path: Path) -> None:
    qwen = load_mllm(save_tiny_qwen(tmp_path / "qwen"), device="cpu")
    qwen.card = dataclasses.replace(qwen.card, history="verdicts", phrases=GROUPS)
    with pytest.raises(PrefbenchError, match="is said to judge phrases"):
        qwen.states([likes_question(HISTORIES[0])])


def test_phrases_are_stored_with_the_weights(asked: Mllm, tmp_path: Path) -> None:
    asked.save(tmp_path / "m")
    assert load_mllm(tmp_path / "m").card.phrases == GROUPS
    assert load_mllm(tmp_path / "m").card.judged_phrases == PHRASES
    path = tmp_path / "m" / CARD_FILE
    stored = json.loads(path.read_text())
    wrongs: list[Any] = ["red", ["red"], [[]], [[""]], [["red"], ["red"]], [[1]], None]
    for wrong in wrongs:
        path.write_text(json.dumps(stored | {"phrases": wrong}))
        with pytest.raises(PrefbenchError, match="phrases cannot be"):
            load_mllm(tmp_path / "m")
