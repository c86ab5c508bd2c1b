"""Pictures of one token each: what is shown, what is stored, and where it cannot be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from prefbench.api import PrefbenchError
from prefbench.methods.shared.questions import TEMPLATES, Examples, likes_question
from prefbench.methods.shared.verdicts import Verdicts
from prefbench.models.mllms.folders import CARD_FILE
from prefbench.models.mllms.images import encode_images
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.pooling import mean_token
from prefbench.suites.picturebook.miniatures.cards import MINI_MLLM
from prefbench.suites.picturebook.miniatures.mini_mllm import LATENTS, build_mini_mllm
from tests.support.tiny_mllms import save_tiny_qwen

COLOURS = [(250, 20, 20), (20, 250, 20), (20, 20, 250), (200, 200, 20), (20, 200, 200)]
PICTURES = tuple(Image.new("RGB", (32, 32), colour) for colour in COLOURS)
QUESTION = likes_question(Examples(PICTURES[:2], PICTURES[2:4]))


def mini(*, pooled: bool = True) -> Mllm:
    """The untrained miniature."""
    model, processor = build_mini_mllm(TEMPLATES.texts())
    card = replace(MINI_MLLM, history="verdicts")
    mllm = Mllm(card, model.eval(), processor, folder=None, device=torch.device("cpu"))
    if pooled:
        mllm.pool_pictures()
    return mllm


def image_tokens(mllm: Mllm) -> int:
    return int((mllm.batch([QUESTION])["input_ids"] == mllm.model.config.image_token_id).sum())


def test_each_picture_is_the_mean_of_its_tokens_as_large_as_they_are() -> None:
    whole, pooled = (encode_images(mini(pooled=one), PICTURES).tokens.float() for one in (False, True))
    assert whole.shape[1:] == (LATENTS, 128)
    assert pooled.shape[1:] == (1, 128)
    mean = whole.mean(1)
    factor = whole.square().mean((1, 2)).sqrt() / mean.square().mean(1).sqrt()
    torch.testing.assert_close(pooled[:, 0], mean * factor[:, None], atol=2e-3, rtol=2e-3)
    assert factor.min() > 1.02, "tokens of a picture differ"


def test_a_mean_of_nothing_is_nothing() -> None:
    assert mean_token(torch.zeros(2, 3, 4)).eq(0).all()


def test_a_conversation_has_one_token_for_each_picture() -> None:
    assert image_tokens(mini(pooled=False)) == 4 * LATENTS
    assert image_tokens(mini()) == 4


def test_pixels_and_pooled_tokens_of_the_tower_are_the_same_to_the_language_model() -> None:
    """What training reads in place of pixels."""
    mllm = mini()
    seen = encode_images(mllm, [*PICTURES[:1], *PICTURES[2:3], *PICTURES[1:2], *PICTURES[3:4]]).tokens
    direct = mllm.states([QUESTION])
    inputs = mllm.batch([QUESTION], pixels=False)
    places = inputs["input_ids"][0] == mllm.model.config.image_token_id
    embedded = mllm.model.get_input_embeddings()(inputs["input_ids"]).detach()
    embedded[0, places] = seen[:, 0].float()
    with torch.no_grad():
        out = mllm.model(inputs_embeds=embedded, attention_mask=inputs["attention_mask"], output_hidden_states=True)
    torch.testing.assert_close(direct.last[0, -1], out.hidden_states[-1][0, -1], atol=2e-2, rtol=2e-2)


def test_a_verdict_read_after_a_kept_history_is_that_of_the_whole_row() -> None:
    mllm = mini()
    history = Examples(PICTURES[:2], PICTURES[2:4])
    together = Verdicts(mllm).after(history, "", PICTURES)
    alone = [float(Verdicts(mllm).after(history, "", [picture])[0]) for picture in PICTURES]
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(set(together.round(6))) > 1


def test_what_is_stored_is_pooled_when_it_is_loaded_and_its_own_files_are_those_of_a_whole_one(tmp_path: Path) -> None:
    mllm = mini()
    mllm.save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / CARD_FILE).read_text())["pooled"] is True
    again = load_mllm(tmp_path / "saved", device="cpu")
    assert again.card.pooled
    assert again.processor.image_seq_len == 1
    assert again.model.config.text_config.sliding_window == 3, "narrowed once"
    torch.testing.assert_close(again.states([QUESTION]).last, mllm.states([QUESTION]).last, atol=2e-2, rtol=2e-2)
    again.save(tmp_path / "twice")
    stored = [json.loads((tmp_path / name / "processor_config.json").read_text()) for name in ("saved", "twice")]
    assert [one["image_seq_len"] for one in stored] == [LATENTS, LATENTS]
    named = load_mllm(replace(MINI_MLLM, source=str(tmp_path / "saved")), device="cpu")
    assert named.card.pooled, "a registered name takes it from the weights"


def test_local_layers_see_a_picture_and_its_word_alone() -> None:
    """After the first layer, a word's state is of its own picture, pooled or not."""
    for pooled in (True, False):
        mllm = mini(pooled=pooled)
        language = mllm.model.model.text_model
        language.layers = language.layers[:1]
        states: list[torch.Tensor] = []
        language.register_forward_hook(lambda *args, kept=states: kept.append(args[-1].last_hidden_state[0]))
        for first in (PICTURES[0], PICTURES[4]):
            row = likes_question(Examples((first, *PICTURES[1:2]), PICTURES[2:4]))
            with torch.no_grad():
                mllm.model(**mllm.batch([row]), use_cache=False)
        words = mllm.batch([QUESTION])["input_ids"][0].tolist()
        liked, disliked = (mllm.first_tokens([word])[0] for word in (TEMPLATES.liked[0], TEMPLATES.disliked[0]))
        moved = (states[0] != states[1]).any(1)
        own, following = words.index(liked), words.index(disliked)
        assert moved[own]
        assert not moved[following:].any()


def test_pooling_twice_is_pooling_once() -> None:
    mllm = mini()
    mllm.pool_pictures()
    assert image_tokens(mllm) == 4
    assert mllm.model.config.text_config.sliding_window == 3


def test_a_model_whose_pictures_differ_in_tokens_is_refused(tmp_path: Path) -> None:
    mllm = load_mllm(save_tiny_qwen(tmp_path / "qwen"), device="cpu")
    with pytest.raises(PrefbenchError, match="only pictures of equally many tokens each can be pooled"):
        mllm.pool_pictures()
