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
from prefbench.methods.shared.picks import Picker, Picking, parts_of, targets_picked
from prefbench.methods.shared.questions import TEMPLATES, Examples, follow_up, judged_next
from prefbench.methods.shared.verdicts import Verdicts
from prefbench.models.mllms.conversation import Judged, ask
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from tests.support import tiny_mllms
from tests.support.tiny_suite import TinySuite, history, judged, picture

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
    picker = Picker(mllm, images, prompts)
    chosen = [picker(one, how=how) for one in HISTORIES]
    for one, (best, least) in zip(HISTORIES, chosen, strict=True):
        assert len({prompts[row] for row in best}) == len(best) == 3
        yes = Verdicts(mllm).of(one, images)
        for row, worst in zip(best, least, strict=True):
            rivals = [yes[other] for other in range(len(images)) if prompts[other] == prompts[row]]
            assert prompts[row] == prompts[worst]
            assert yes[row] == pytest.approx(max(rivals), abs=1e-5)
            assert yes[worst] == pytest.approx(min(rivals), abs=1e-5)
    alone = Picker(mllm, images, prompts)(HISTORIES[1], how=how)
    assert alone == chosen[1], "what others are asked changes nothing"
    assert len(picker(HISTORIES[0], how=Picking(prompts=1, candidates=1), seed=3).best) == 1


def test_a_users_own_words_count_beside_the_verdicts(mllm: Mllm, judged_images: JudgedImages) -> None:
    """Each phrase that a picture shows is worth so much log-odds: more where it is liked, less where it is disliked."""
    images = judged_images.images
    prompts = [f"prompt {row % 3}" for row in range(len(images))]
    shows = [{"red"} if row % 2 else {"blue", "big"} for row in range(len(images))]
    yes = Verdicts(mllm).of(HISTORIES[0], images)
    for weight, likes, dislikes in (
        (1.0, ("red", "unseen"), ("blue",)),
        (0.01, ("big",), ()),
        (0.0, ("red",), ("blue",)),
    ):
        how = Picking(prompts=3, candidates=100, words=weight)
        picked = Picker(mllm, images, prompts, shows)(HISTORIES[0], how=how, likes=likes, dislikes=dislikes)
        odds = np.log(yes / (1 - yes))
        odds += [weight * (len(one & {*likes}) - len(one & {*dislikes})) for one in shows]
        for best, least in zip(picked.best, picked.least, strict=True):
            rivals = [odds[row] for row in range(len(images)) if prompts[row] == prompts[best]]
            assert (odds[best], odds[least]) == pytest.approx((max(rivals), min(rivals)), abs=1e-5)


def test_long_histories_are_read_in_parts_whose_log_odds_are_averaged(mllm: Mllm, judged_images: JudgedImages) -> None:
    """Of four judgments in parts of two: each part has judgments of both sides."""
    one, images = history("long", 2, 2), judged_images.images
    assert (len(one.liked), len(one.disliked)) == (2, 2)
    prompts = [f"prompt {row % 3}" for row in range(len(images))]
    chosen = Picker(mllm, images, prompts)(one, how=Picking(prompts=3, candidates=100, together=2))
    odds = np.zeros(len(images))
    for part in range(2):
        yes = Verdicts(mllm).of(History("long", one.liked[part::2], one.disliked[part::2]), images)
        odds += np.log(yes / (1 - yes)) / 2
    for row in chosen.best:
        rivals = [other for other in range(len(images)) if prompts[other] == prompts[row]]
        assert odds[row] == pytest.approx(max(odds[other] for other in rivals), abs=1e-5)


@pytest.mark.parametrize(("liked", "disliked", "sizes"), [
    (36, 36, [24, 24, 24]), (23, 25, [17, 16, 15]), (140, 5, [29] * 5), (30, 0, [15, 15]), (0, 3, [3]), (0, 0, [0]),
])  # fmt: skip
def test_parts_hold_everything_once_and_both_sides_where_there_are_any(
    liked: int, disliked: int, sizes: list[int]
) -> None:
    whole = History(
        "u", *(tuple(judged(side, i, liked=True) for i in range(n)) for side, n in (("red", liked), ("blue", disliked)))
    )
    parts = parts_of(whole, 24)
    assert [len(part) for part in parts] == sizes
    assert sorted(j.picture.digest for part in parts for j in part.liked) == sorted(
        j.picture.digest for j in whole.liked
    )
    assert all(bool(part.disliked) == bool(disliked) for part in parts)


def test_what_is_left_out_is_picked_only_where_nothing_else_is_left(mllm: Mllm, judged_images: JudgedImages) -> None:
    images = judged_images.images
    prompts = ["one" if row % 2 else "two" for row in range(len(images))]
    picker, how = Picker(mllm, images, prompts), Picking(prompts=2, candidates=100)
    first = picker(HISTORIES[0], how=how)
    second = picker(HISTORIES[0], how=how, without=(*first.best, *first.least))
    assert not {*first.best, *first.least} & {*second.best, *second.least}
    assert picker(HISTORIES[0], how=how, without=range(len(images))) == first


def test_a_users_histories_share_picks_but_for_prompts_that_they_show(mllm: Mllm, tmp_path: Path) -> None:
    """Picks are made after all that the user judged; where a history shows every prompt, all picks are its targets."""
    users = TinySuite().train_users()[:3]
    images = JudgedImages(users)
    prompts = {j.prompt for one in users for j in (*one.history.liked, *one.history.disliked)}
    drawn = draw_histories(users, replace(MINIATURE, histories=4, flipped=0.0))
    drawn.append(drawn[0]._replace(history=users[0].history))
    rows = targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path)
    prompt_of = {images.row(j): j.prompt for one in users for j in (*one.history.liked, *one.history.disliked)}
    for one, found in zip(drawn, rows, strict=True):
        shown = {judgment.prompt for judgment in (*one.history.liked, *one.history.disliked)}
        left = prompts - shown
        assert {prompt_of[row] for row in found} <= (left or prompts)
        judged_rows = {images.row(j) for j in (*one.whole.liked, *one.whole.disliked)}
        assert not {*found} & judged_rows, "what the user judged is no candidate"
    assert {prompt_of[row] for row in rows[-1]} == prompts, "all are shown, so none is left out"
    assert {*rows[0]} <= {*rows[-1]}


def test_a_users_opposite_gets_what_the_user_likes_least(
    mllm: Mllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown the sides exchanged; the language model is asked once, after what the user really judged."""
    monkeypatch.setattr(Picker, "__call__", lambda *_, **__: picks.Picks([0, 1], [2, 3]))
    users = TinySuite().train_users()[:1]
    images = JudgedImages(users)
    drawn = draw_histories(users, replace(MINIATURE, histories=8))
    assert {one.opposite for one in drawn} == {True, False}
    rows = targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path)
    place = [images.row(j) for j in dict.fromkeys((*users[0].history.liked, *users[0].history.disliked))][:4]
    for one, found in zip(drawn, rows, strict=True):
        assert {*one.history.liked} <= {*(users[0].history.disliked if one.opposite else users[0].history.liked)}
        assert one.whole == users[0].history
        assert {*found} <= {*(place[2:] if one.opposite else place[:2])}


def test_what_is_picked_is_kept_where_picking_is_killed(
    mllm: Mllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The users that were picked for are not asked again; another seed has other candidates."""
    monkeypatch.setattr(picks, "_KEPT_EVERY_S", 0.0)
    users = TinySuite().train_users()[:3]
    images, drawn = JudgedImages(users), draw_histories(users, replace(MINIATURE, histories=2))
    whole = targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path / "whole")
    asked: list[str] = []
    picked = Picker.__call__

    def noted(picker: Picker, one: History, **how: Any) -> picks.Picks:
        asked.append(one.user)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return picked(picker, one, **how)

    monkeypatch.setattr(Picker, "__call__", noted)
    with pytest.raises(KeyboardInterrupt):
        targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path / "killed")
    assert targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path / "killed") == whole
    names = [one.history.user for one in users]
    assert asked == [*names[:2], *names[1:]]
    targets_picked(mllm, drawn, users, images, seed=1, folder=tmp_path / "killed")
    assert asked[4:] == names


@pytest.mark.parametrize(
    "damaged", ["{", "[]", '{"a": {"best": ["x"], "least": ["x"]}}', '{"a": {"best": []}}', "\xff"]
)
def test_damaged_picks_are_one_line(damaged: str, mllm: Mllm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picker, "__call__", lambda *_, **__: picks.Picks([0], [1]))
    users = TinySuite().train_users()[:1]
    images, drawn = JudgedImages(users), draw_histories(users, replace(MINIATURE, histories=1))
    targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path)
    path = next(tmp_path.glob("picks-*.json"))
    path.write_bytes(damaged.encode("latin-1"))
    with pytest.raises(PrefbenchError, match="picked anew"):
        targets_picked(mllm, drawn, users, images, seed=0, folder=tmp_path)


def test_a_pooled_model_looks_at_each_candidate_once_and_picks_what_it_would_pick(mllm: Mllm) -> None:
    pooled = Mllm(replace(mllm.card, history="verdicts"), mllm.model, mllm.processor, folder=None, device=mllm.device)
    pooled.pool_pictures()
    images, prompts = PICTURES * 2, [f"prompt {i % 3}" for i in range(len(PICTURES) * 2)]
    looks: list[int] = []
    pooled.model.model.vision_model.register_forward_hook(lambda *args: looks.append(len(args[-1].last_hidden_state)))
    histories = HISTORIES[:2]
    picker = Picker(pooled, images, prompts)
    chosen = [picker(one, how=Picking(prompts=3, candidates=4)) for one in histories]
    n_shown = sum(len(one) for one in histories)
    assert sum(looks) <= len(images) + 2 * n_shown + 8, "candidates are not looked at anew"
    for one, own in zip(histories, chosen, strict=True):
        for row in own.best:
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
