"""Verdicts and picks: a language model's own yes and no about pictures, and the pictures that it likes best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from prefbench.api import History
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.shared.picks import Picking, picks
from prefbench.methods.shared.questions import TEMPLATES, Examples, follow_up, judged_next
from prefbench.methods.shared.verdicts import Verdicts
from prefbench.models.mllms.conversation import Judged, ask
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from tests.support import tiny_mllms
from tests.support.tiny_suite import history, picture

PICTURES = [picture(colour, seed).load() for seed in range(3) for colour in ("red", "blue")]
NOBODY = History("nobody", (), ())
HISTORIES = [history("a", 0, 3), history("b", 1, 1), NOBODY]


@pytest.fixture(scope="module", params=["idefics2", "qwen"])
def reader(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mllm:
    folder = tmp_path_factory.mktemp("mllm") / request.param
    save = tiny_mllms.save_tiny_idefics2 if request.param == "idefics2" else tiny_mllms.save_tiny_qwen
    return load_mllm(save(folder), device="cpu")


@pytest.mark.parametrize("one", HISTORIES)
def test_a_verdict_is_what_the_whole_conversation_would_answer(reader: Mllm, one: History) -> None:
    """Also where the history is read once for all pictures, whatever their sizes."""
    examples = Examples.of(one)
    conversations = [follow_up(examples, "red foxes", TEMPLATES.like[0], image) for image in PICTURES]
    expected = reader.first_words(conversations, [TEMPLATES.yes, TEMPLATES.no], batch=1)[:, 0]
    found = Verdicts(reader, batch=4).after(examples, "red foxes", PICTURES)
    np.testing.assert_allclose(found, expected.numpy(), atol=5e-6)
    assert np.ptp(found) > 1e-4, "pictures differ"


@pytest.mark.parametrize("one", HISTORIES)
def test_where_words_follow_pictures_a_verdict_is_the_word_that_would_follow(mllm: Mllm, one: History) -> None:
    """The same as the probability of the two words after the picture in a row that ends with it."""
    taught = Mllm(replace(mllm.card, history="verdicts"), mllm.model, mllm.processor, folder=None, device=mllm.device)
    examples = Examples.of(one)
    history = [Judged(examples.liked, examples.disliked)] if examples else []
    found = Verdicts(taught, batch=4).after(examples, "red foxes", PICTURES)
    for image, value in zip(PICTURES, found, strict=True):
        rows = [taught.batch([[ask(*history, image, word)]], to_be_answered=False) for word in ("liked", "disliked")]
        # A word may be several tokens of this vocabulary: the first that differs is asked for.
        liked, disliked = (row["input_ids"][0] for row in rows)
        at = next(i for i, (a, b) in enumerate(zip(liked.tolist(), disliked.tolist(), strict=False)) if a != b)
        with torch.no_grad():
            logits = taught.model.eval()(**rows[0], use_cache=False).logits[0, at - 1]
        expected = logits[[int(liked[at]), int(disliked[at])]].softmax(0)[0]
        assert value == pytest.approx(float(expected), abs=5e-6)
    assert np.ptp(found) > 1e-5, "pictures differ"


def test_verdicts_follow_the_history_and_its_answer(mllm: Mllm) -> None:
    verdicts = Verdicts(mllm)
    found = [verdicts.of(one, PICTURES) for one in HISTORIES]
    assert all(0 < value < 1 for row in found for value in row)
    assert not np.allclose(found[0], found[1], atol=1e-4)
    np.testing.assert_allclose(verdicts.of(HISTORIES[0], PICTURES[:1]), found[0][:1], atol=1e-4)
    assert verdicts.of(HISTORIES[0], []).shape == (0,)


def test_picks_are_the_best_of_each_prompts_candidates(mllm: Mllm, judged_images: JudgedImages) -> None:
    images = judged_images.images
    prompts = [f"prompt {row % 5}" for row in range(len(images))]
    how = Picking(prompts=3, candidates=100)
    chosen = picks(mllm, HISTORIES, images, prompts, how=how)
    for one, rows in zip(HISTORIES, chosen, strict=True):
        assert len({prompts[row] for row in rows}) == len(rows) == 3
        yes = Verdicts(mllm).of(one, images)
        for row in rows:
            rivals = [other for other in range(len(images)) if prompts[other] == prompts[row]]
            assert yes[row] == pytest.approx(max(yes[other] for other in rivals), abs=1e-5)
    alone = picks(mllm, HISTORIES[1:2], images, prompts, how=how)
    assert alone == chosen[1:2], "what others are asked changes nothing"
    few = picks(mllm, HISTORIES[:1], images, prompts, how=Picking(prompts=1, candidates=1), seed=3)
    assert len(few[0]) == 1


def test_a_prompt_that_the_history_shows_is_not_picked_for(mllm: Mllm, judged_images: JudgedImages) -> None:
    one = HISTORIES[0]
    shown = one.liked[0].prompt
    prompts = [shown if row % 2 else "another" for row in range(len(judged_images.images))]
    rows = picks(mllm, [one], judged_images.images, prompts)[0]
    assert [prompts[row] for row in rows] == ["another"]


def test_a_pooled_model_looks_at_each_candidate_once_and_picks_what_it_would_pick(mllm: Mllm) -> None:
    pooled = Mllm(replace(mllm.card, history="verdicts"), mllm.model, mllm.processor, folder=None, device=mllm.device)
    pooled.pool_pictures()
    images, prompts = PICTURES * 2, [f"prompt {i % 3}" for i in range(len(PICTURES) * 2)]
    looks: list[int] = []
    pooled.model.model.vision_model.register_forward_hook(lambda *args: looks.append(len(args[-1].last_hidden_state)))
    histories = HISTORIES[:2]
    chosen = picks(pooled, histories, images, prompts, how=Picking(prompts=3, candidates=4))
    n_shown = sum(len(one) for one in histories)
    assert sum(looks) <= len(images) + 2 * n_shown + 8, "candidates are not looked at anew"
    for one, own in zip(histories, chosen, strict=True):
        for row in own:
            group = [i for i, prompt in enumerate(prompts) if prompt == prompts[row]]
            likes = Verdicts(pooled).of(one, [images[i] for i in group])
            assert likes[group.index(row)] == pytest.approx(likes.max(), abs=1e-3)


def test_states_before_the_word_are_those_that_a_verdict_is_read_from(mllm: Mllm) -> None:
    """Of histories of unlike length in one batch; the word itself, and what follows it, is not read."""
    taught = Mllm(replace(mllm.card, history="verdicts"), mllm.model, mllm.processor, folder=None, device=mllm.device)
    assert taught.judges_in_turn
    assert not mllm.judges_in_turn
    histories = [Examples.of(one) for one in HISTORIES]
    states = taught.states([judged_next(one, PICTURES[0]) for one in histories], before_word=True)
    other = taught.states([judged_next(one, PICTURES[0], liked=False) for one in histories], before_word=True)
    torch.testing.assert_close(states.last, other.last)
    torch.testing.assert_close(states.mean, other.mean)
    for row, one in enumerate(histories):
        begun, words = Verdicts(taught)._next_of(one, PICTURES[0])
        with torch.no_grad():
            logits = taught.model.eval()(**begun, use_cache=False).logits[0, -1]
            found = taught.model.lm_head(states.last[row, -1])
        torch.testing.assert_close(found[words], logits[words], atol=1e-4, rtol=1e-4)
