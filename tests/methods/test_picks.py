"""Verdicts and picks: a language model's own yes and no about pictures, and the pictures that it likes best."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from prefbench.api import History, PrefbenchError
from prefbench.methods.ours.train.history_states import draw_histories
from prefbench.methods.ours.train.injection_recipe import MINIATURE
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.shared import picks
from prefbench.methods.shared.picks import Picker, Picking, targets_picked
from prefbench.methods.shared.questions import TEMPLATES, Examples, follow_up, judged_next, likes_question
from prefbench.methods.shared.verdicts import Verdicts
from prefbench.models.mllms.conversation import Judged, ask
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from tests.support import tiny_mllms
from tests.support.tiny_suite import TinySuite, history, picture

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


def judging(mllm: Mllm) -> Mllm:
    """The model with two phrases of three that `SHOWS` knows."""
    card = replace(mllm.card, history="verdicts", phrases=(("red", "blue"),))
    return Mllm(card, mllm.model, mllm.processor, folder=mllm.folder, device=mllm.device)


def picked(picker: Picker, one: History, **how: Any) -> list[int]:
    return picker(one, picker.phrases([one])[0], **how)


def test_picks_are_the_best_of_each_prompts_candidates(mllm: Mllm, judged_images: JudgedImages) -> None:
    images = judged_images.images
    prompts = [f"prompt {row % 5}" for row in range(len(images))]
    how = Picking(prompts=3, candidates=100)
    picker = Picker(mllm, images, prompts)
    chosen = [picked(picker, one, how=how) for one in HISTORIES]
    for one, best in zip(HISTORIES, chosen, strict=True):
        assert len({prompts[row] for row in best}) == len(best) == 3
        yes = Verdicts(mllm).of(one, images)
        for row in best:
            rivals = [yes[other] for other in range(len(images)) if prompts[other] == prompts[row]]
            assert yes[row] == pytest.approx(max(rivals), abs=1e-5)
    assert picked(Picker(mllm, images, prompts), HISTORIES[1], how=how) == chosen[1], "what others are asked is nothing"
    assert len(picked(picker, HISTORIES[0], how=Picking(prompts=1, candidates=1), seed=3)) == 1


def test_phrases_that_a_model_likes_after_a_history_choose_candidates(mllm: Mllm, judged_images: JudgedImages) -> None:
    """Of two candidates both show the likelier phrase; a picture that shows an unknown phrase counts nothing."""
    images = judged_images.images
    prompts = [f"prompt {row % 3}" for row in range(len(images))]
    shows = [[{"red"}, {"blue", "unknown"}, {"unknown"}, ()][row // 3 % 4] for row in range(len(images))]
    picker = Picker(judging(mllm), images, prompts, shows)
    told = picker.phrases(HISTORIES)
    assert [row.shape for row in told] == [(2,)] * 3
    assert not told[2].any(), "nothing is known of who judged nothing"
    for row, one in zip(told[:2], HISTORIES, strict=False):
        alone = judging(mllm).states([likes_question(Examples.of(one))]).verdicts
        np.testing.assert_allclose(row, np.asarray(alone)[0], atol=1e-5)
    for phrases, wanted in (([0.1, 0.0], {"red"}), ([-0.1, 0.2], {"blue", "unknown"}), ([-0.2, -0.1], {"unknown"})):
        for row in picker(HISTORIES[0], np.array(phrases), how=Picking(prompts=3, candidates=1)):
            assert {*shows[row]} in ([wanted, set()] if wanted == {"unknown"} else [wanted])
    yes = Verdicts(judging(mllm)).of(HISTORIES[0], images)
    for best in picker(HISTORIES[0], np.array([0.1, 0.0]), how=Picking(prompts=3, candidates=2)):
        reds = [row for row in range(len(images)) if prompts[row] == prompts[best] and "red" in shows[row]]
        assert best in reds
        assert len([row for row in reds if yes[row] > yes[best] + 1e-6]) <= max(0, len(reds) - 2)


def test_what_is_left_out_is_picked_only_where_nothing_else_is_left(mllm: Mllm, judged_images: JudgedImages) -> None:
    images = judged_images.images
    prompts = ["one" if row % 2 else "two" for row in range(len(images))]
    picker, how = Picker(mllm, images, prompts), Picking(prompts=2, candidates=100)
    first = picked(picker, HISTORIES[0], how=how)
    second = picked(picker, HISTORIES[0], how=how, without=first)
    assert not {*first} & {*second}
    assert picked(picker, HISTORIES[0], how=how, without=range(len(images))) == first


def test_picks_are_under_prompts_that_a_history_does_not_show(
    mllm: Mllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it shows every prompt, under any; what the user judged is no candidate."""
    monkeypatch.setattr(picks, "PICKING", Picking(prompts=100))
    users = TinySuite().train_users()[:3]
    images = JudgedImages(users)
    prompt_of = {images.row(j): j.prompt for one in users for j in (*one.history.liked, *one.history.disliked)}
    drawn = draw_histories(users, replace(MINIATURE, histories=4))
    drawn.append(drawn[0]._replace(history=users[0].history))
    rows = targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path)
    own = {one.history.user: {images.row(j) for j in (*one.history.liked, *one.history.disliked)} for one in users}
    for one, found in zip(drawn, rows, strict=True):
        shown = {judgment.prompt for judgment in (*one.history.liked, *one.history.disliked)}
        assert {prompt_of[row] for row in found} <= ({*prompt_of.values()} - shown or {*prompt_of.values()})
        assert not {*found} & own[one.history.user]
    assert {prompt_of[row] for row in rows[-1]} == {*prompt_of.values()}, "all are shown, so none is left out"


def test_picks_follow_the_history_that_is_shown(mllm: Mllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what else the user judged: an opposite user's are picked after the exchanged sides."""
    asked: list[History] = []

    def noted(_: Picker, one: History, *__: Any, **___: Any) -> list[int]:
        asked.append(one)
        return [len(asked) - 1]

    monkeypatch.setattr(Picker, "__call__", noted)
    users = TinySuite().train_users()[:1]
    images = JudgedImages(users)
    drawn = draw_histories(users, replace(MINIATURE, histories=8))
    own = {judgment.picture.digest for judgment in users[0].history.liked}
    assert len({bool(own & {j.picture.digest for j in one.history.liked}) for one in drawn if one.history.liked}) == 2
    rows = targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path)
    assert asked == list({one.history.digest: one.history for one in drawn}.values())
    places = [images.row(j) for j in dict.fromkeys((*users[0].history.liked, *users[0].history.disliked))]
    assert rows == [[places[asked.index(one.history)]] for one in drawn]


def test_what_is_picked_is_kept_where_picking_is_killed(
    mllm: Mllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was picked after a history is not picked again; another seed has other candidates."""
    monkeypatch.setattr(picks, "_KEPT_EVERY_S", 0.0)
    users = TinySuite().train_users()[:3]
    images, drawn = JudgedImages(users), draw_histories(users, replace(MINIATURE, histories=1))
    whole = targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path / "whole")
    asked: list[str] = []
    really = Picker.__call__

    def noted(picker: Picker, one: History, *args: Any, **how: Any) -> list[int]:
        asked.append(one.user)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return really(picker, one, *args, **how)

    monkeypatch.setattr(Picker, "__call__", noted)
    with pytest.raises(KeyboardInterrupt):
        targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path / "killed")
    assert targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path / "killed") == whole
    names = [one.history.user for one in users]
    assert asked == [*names[:2], *names[1:]]
    targets_picked(mllm, drawn, users, images, seed=1, folder=tmp_path / "killed")
    assert asked[4:] == names


@pytest.mark.parametrize("damaged", ["{", "[]", '{"a": ["x"]}', '{"a": []}', '{"a": {"best": []}}', "\xff"])
def test_damaged_picks_are_one_line(damaged: str, mllm: Mllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picker, "__call__", lambda *_, **__: [0])
    users = TinySuite().train_users()[:1]
    images, drawn = JudgedImages(users), draw_histories(users, replace(MINIATURE, histories=1))
    targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path)
    path = next(tmp_path.glob("picks-*.json"))
    path.write_bytes(damaged.encode("latin-1"))
    with pytest.raises(PrefbenchError, match="picked anew"):
        targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path)


def test_other_words_for_what_pictures_show_are_other_picks(
    mllm: Mllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Picker, "__call__", lambda *_, **__: [0])
    users = TinySuite().train_users()[:1]
    images, drawn = JudgedImages(users), draw_histories(users, replace(MINIATURE, histories=1))
    digests = [j.picture.digest for j in users[0].history.liked]
    for shows in ({}, {digests[0]: ("red",)}, {digests[1]: ("red",)}, {digests[1]: ("red",)}):
        told = [replace(users[0], shows=shows)]
        targets_picked(judging(mllm), drawn, told, images, seed=0, folder=tmp_path)
    assert len([*tmp_path.glob("picks-*.json")]) == 3


def test_a_pooled_model_looks_at_each_candidate_once_and_picks_what_it_would_pick(mllm: Mllm) -> None:
    pooled = Mllm(replace(mllm.card, history="verdicts"), mllm.model, mllm.processor, folder=None, device=mllm.device)
    pooled.pool_pictures()
    images, prompts = PICTURES * 2, [f"prompt {i % 3}" for i in range(len(PICTURES) * 2)]
    looks: list[int] = []
    pooled.model.model.vision_model.register_forward_hook(lambda *args: looks.append(len(args[-1].last_hidden_state)))
    histories = HISTORIES[:2]
    picker = Picker(pooled, images, prompts)
    chosen = [picked(picker, one, how=Picking(prompts=3, candidates=4)) for one in histories]
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
