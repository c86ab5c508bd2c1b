"""The suite contract on picturebook: what is disjoint, what is pinned, what the truth says of known pictures."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from prefbench.api import SPLITS, History, Judgment, Picture, PrefbenchError, Split, Viewer, to_pixels
from prefbench.run.prepare import suite_of_run
from prefbench.suites.picturebook.suite import Picturebook
from prefbench.suites.picturebook.users.population import population
from prefbench.suites.picturebook.users.taste import TASTE_GROUPS
from prefbench.suites.picturebook.users.worlds import SECOND, WORLDS
from prefbench.suites.picturebook.world.axes import (
    AXIS,
    BY_PROMPT,
    NAMEABLE,
    STYLE,
    STYLE_NAMES,
    Scene,
    held_out_contents,
    sample_styles,
    training_contents,
)
from prefbench.suites.picturebook.world.prompts import Prompt
from prefbench.suites.picturebook.world.render import render

PINNED = {
    "1": "1601abebe4d252f0d37094b1524300f65d11c3a07477d654451a8d844d5e8545",
    "2": "90ca2fbe1769770bcd677d64196fd012e5321f194e62b73a8304411d8f73c6ec",
}
"""Digests of the worlds. Where one changes, raise the card's version: results of other digests do not compare."""
TURNED = "0057f125729fde204ac543ab31f26677f5b0bd3ed61f851aebdf7838046a6103"
"""The first world's with `crowd=0.3`, as it was when that world was the default and the card had version 1."""
PROMPT = "a cat at sea"
VIEWERS: Sequence[Viewer] = ("method", "scorer")
EVALUATED: Sequence[Split] = ("val", "test")


@pytest.fixture(scope="module")
def suite() -> Picturebook:
    return Picturebook()


def test_digests_are_pinned_and_cover_the_length_of_the_history(suite: Picturebook) -> None:
    assert suite.digest == Picturebook(world="2", history=8).digest == PINNED["2"]
    assert Picturebook(world="1").digest == PINNED["1"]
    assert len({Picturebook(history=n).digest for n in (1, 4, 8, 16)}) == 4


def test_the_first_world_keeps_its_digests_under_a_later_version_of_the_card() -> None:
    assert Picturebook.card.version == "2"
    assert Picturebook(world="1", crowd=0.3).digest == TURNED


def test_runs_that_name_no_world_are_of_the_first() -> None:
    """They were drawn before there was a second, when `history` was the only parameter."""
    spec: dict[str, Any] = {"suite": "picturebook", "suite_parameters": {"history": 8}, "suite_digest": PINNED["1"]}
    assert suite_of_run(spec).digest == PINNED["1"]
    spec["suite_parameters"]["world"] = "2"
    with pytest.raises(PrefbenchError, match="drawn for another version of picturebook"):
        suite_of_run(spec)
    assert suite_of_run({**spec, "suite_digest": PINNED["2"]}).digest == PINNED["2"]


@pytest.mark.parametrize("history", [0, 17])
def test_histories_of_impossible_length_are_refused(history: int) -> None:
    with pytest.raises(PrefbenchError, match=f"1 to 16 judgments per side, got {history}"):
        Picturebook(history=history)


# --------------------------------------------------------------------------------------------- disjointness


def test_users_belong_to_one_split(suite: Picturebook) -> None:
    ids = [user.id for split in SPLITS for user in suite.users(split)]
    assert len(ids) == len(set(ids)) == 1600
    assert all(user.split == split for split in SPLITS for user in suite.users(split))
    assert suite.users("test") == Picturebook().users("test")


OWNERS = {
    "1": ((8, "train/method"), (2, "train/scorer"), (3, "scorer/method"), (3, "scorer/scorer"), (2, "val/method"),
        (2, "val/scorer"), (2, "test/method"), (2, "test/scorer")),
    "2": ((6, "train/method"), (2, "train/scorer"), (3, "scorer/method"), (3, "scorer/scorer"), (2, "val/method"),
        (2, "val/scorer"), (2, "test/method"), (2, "test/scorer"), (1, "shifted/method"), (1, "shifted/scorer")),
}  # fmt: skip


@pytest.mark.parametrize("world", ["1", "2"])
def test_no_two_parts_share_a_scene(world: str) -> None:
    """So no two share a picture: every scene has one owner, and judgments show scenes of their own owner only.

    The owner goes by the CRC-32 of a scene's bytes, shared out in 24 parts.
    """
    parts = [name for share, name in OWNERS[world] for _ in range(share)]
    for split in SPLITS:
        for user in population(split, WORLDS[world])[:60]:
            for viewer in VIEWERS:
                judged = user.judged(viewer)
                scenes = [shown.scene.indices for shown in (*judged.liked, *judged.disliked)]
                assert {parts[zlib.crc32(bytes(scene)) % 24] for scene in scenes} == {f"{split}/{viewer}"}


@pytest.mark.slow
def test_no_two_parts_share_a_picture(suite: Picturebook) -> None:
    seen: dict[str, str] = {}
    for split in EVALUATED:
        for user in suite.users(split)[:20]:
            for viewer in VIEWERS:
                history = suite.history(user.id, viewer)
                for judgment in (*history.liked, *history.disliked):
                    owner = seen.setdefault(judgment.picture.digest, f"{split}/{viewer}")
                    assert owner == f"{split}/{viewer}"
    assert len(seen) > 2000


def test_prompts_of_cases_are_in_no_history_and_no_training_caption(suite: Picturebook) -> None:
    judged = {
        shown.scene.content.prompt
        for split in SPLITS
        for user in population(split, SECOND)[:60]
        for viewer in VIEWERS
        for shown in (*user.judged(viewer).liked, *user.judged(viewer).disliked)
    }
    cases = {
        split: {case.prompt for user in suite.users(split) for case in suite.cases(user.id)} for split in EVALUATED
    }
    contents = {split: {Prompt.of(prompt).content.prompt for prompt in prompts} for split, prompts in cases.items()}
    assert contents["test"] == {content.prompt for content in held_out_contents()[0]}
    assert contents["val"] == {content.prompt for content in held_out_contents()[1]}
    assert judged == suite.training_prompts() == {content.prompt for content in training_contents()}
    assert judged.isdisjoint(contents["test"] | contents["val"])
    assert contents["test"].isdisjoint(contents["val"])


# ---------------------------------------------------------------------------------------- histories and cases


@pytest.mark.slow
def test_histories_have_their_stated_length(suite: Picturebook) -> None:
    for user in suite.users("test")[:30]:
        history = suite.history(user.id)
        likes_alone = suite._find(user.id).form == "likes"
        expected = (2, 0) if user.kind == "sparse" else (8, 0) if likes_alone else (8, 8)
        assert (len(history.liked), len(history.disliked)) == expected
        hidden = suite.history(user.id, "scorer")
        assert (len(hidden.liked), len(hidden.disliked)) == (20, 20)


@pytest.mark.slow
def test_shorter_histories_are_beginnings_of_longer_ones(suite: Picturebook) -> None:
    """Of drifting users, who are shown by what they judged last, ends. Names of pairs count from the first shown."""
    for user in suite.users("test")[:20]:
        short, long = Picturebook(history=4).history(user.id), suite.history(user.id)
        shown = slice(-4, None) if user.kind == "drifting" else slice(4)
        for few, many in ((short.liked, long.liked[shown]), (short.disliked, long.disliked[shown])):
            assert [replace(one, pair=None) for one in few] == [replace(one, pair=None) for one in many]
        assert Picturebook(history=4).history(user.id, "scorer") == suite.history(user.id, "scorer")


def test_judgments_say_what_was_judged(suite: Picturebook) -> None:
    history = suite.history("test-0001")
    assert all(judgment.liked for judgment in history.liked)
    assert not any(judgment.liked for judgment in history.disliked)
    for liked, disliked in zip(history.liked, history.disliked, strict=True):
        assert liked.pair == disliked.pair
        assert liked.prompt == disliked.prompt in BY_PROMPT
        assert liked.picture.digest != disliked.picture.digest
    assert len({judgment.pair for judgment in history.liked}) == 8


def test_users_like_what_they_like_better(suite: Picturebook) -> None:
    """Over all judgments, not in each: choices are noisy."""
    differences = {
        kind: np.mean([mean_gap(user.id, suite) for user in suite.users("test") if user.kind == kind])
        for kind in ("consistent", "noisy", "two tastes", "interacting")
    }
    assert min(differences.values()) > 0.3
    assert differences["noisy"] < differences["consistent"]


def mean_gap(user: str, suite: Picturebook) -> float:
    """True utility of the liked pictures over that of the disliked."""
    simulated = suite._find(user)
    judged = simulated.judged("scorer")
    liked, disliked = (
        simulated.taste.of_styles(np.array([shown.scene.style for shown in side])).mean()
        for side in (judged.liked, judged.disliked)
    )
    return float(liked - disliked)


def test_cases_are_five_prompts_of_the_pool(suite: Picturebook) -> None:
    counts: dict[str, int] = {}
    for user in suite.users("test"):
        cases = suite.cases(user.id)
        assert len({case.prompt for case in cases}) == len(cases) == 5
        assert [case.id for case in cases] == [f"{user.id}/{i}" for i in range(5)]
        for case in cases:
            counts[case.prompt] = counts.get(case.prompt, 0) + 1
    assert set(counts.values()) == {25}


@pytest.mark.slow
def test_references_of_the_first_world_are_likes_that_methods_never_see() -> None:
    suite = Picturebook(world="1")
    references = suite.references("test")
    assert len(references) == 20 * len(suite.users("test"))
    by_user: dict[str, list[str]] = {}
    for reference in references:
        by_user.setdefault(reference.user, []).append(reference.picture.digest)
    for user in suite.users("test")[:20]:
        assert by_user[user.id] == [j.picture.digest for j in suite.history(user.id, "scorer").liked]
        shown = suite.history(user.id)
        assert {j.picture.digest for j in (*shown.liked, *shown.disliked)}.isdisjoint(by_user[user.id])


def test_pictures_carry_their_own_bytes(suite: Picturebook) -> None:
    picture = suite.history("test-0000").liked[0].picture
    assert Picture.of(picture.load()) == picture
    assert picture.load().size == (32, 32)


# ---------------------------------------------------------------------------------------------------- truth


@pytest.mark.slow
def test_ideal_pictures_have_utility_near_the_best_that_prompts_leave(suite: Picturebook) -> None:
    """Which is 1 where a prompt names no style word."""
    found, best = [], []
    for user in suite.users("test")[:20]:
        prompts = [case.prompt for case in suite.cases(user.id)]
        ideals = [to_pixels(suite.truth.ideal(user.id, prompt, seed=7)) for prompt in prompts]
        found += suite.truth.utility(user.id, prompts, ideals)["total"].tolist()
        best += [best_with(suite, user.id, Prompt.of(prompt)) for prompt in prompts]
    lost, unworded = np.array(best) - found, np.isclose(best, 1)
    assert unworded.mean() > 0.4
    assert np.mean(lost) < 0.05
    assert np.mean(lost[unworded]) < 0.05
    assert np.quantile(lost, 0.9) < 0.1


def best_with(suite: Picturebook, user: str, prompt: Prompt) -> float:
    """The user's utility of the best style for a prompt."""
    taste = suite._find(user).taste_on(prompt.content)
    best = dict.fromkeys(STYLE_NAMES, 0) | dict(prompt.fixed) | dict(taste.best(prompt.fixed))
    return float(taste.of_styles(np.array([[best[name] for name in STYLE_NAMES]]))[0])


@pytest.mark.slow
def test_pictures_in_the_prior_style_have_utility_near_zero(suite: Picturebook) -> None:
    contents = 20 * held_out_contents()[0]
    styles = sample_styles(np.random.default_rng(0), 200)
    pictures = [
        render(content.scene(style), i) for i, (content, style) in enumerate(zip(contents, styles, strict=True))
    ]
    prompts = [content.prompt for content in contents]
    found = [suite.truth.utility(user.id, prompts, pictures) for user in suite.users("test")[:10]]
    for column in ("total", "crowd", "own", *TASTE_GROUPS):
        assert np.mean([utility[column] for utility in found]) == pytest.approx(0, abs=0.06), column


@pytest.mark.slow
def test_utility_as_read_is_the_utility_of_the_scene(suite: Picturebook) -> None:
    """Also for single pictures and in the groups: the readers add little noise, most to tastes for combinations."""
    styles = sample_styles(np.random.default_rng(1), 100, uniform=STYLE_NAMES)
    pictures = [render(training_contents()[i % 30].scene(style), i) for i, style in enumerate(styles)]
    for user in suite.users("test")[:10]:
        read = suite.truth.utility(user.id, [PROMPT] * 100, pictures)
        taste = suite._find(user.id).taste_on(BY_PROMPT[PROMPT])
        assert np.corrcoef(read["total"], taste.of_styles(styles))[0, 1] > 0.95
        assert np.abs(read["total"] - taste.of_styles(styles)).mean() < 0.06
        for group in TASTE_GROUPS:
            expected = taste.group(group).of_styles(styles)
            assert np.abs(read[group] - expected).mean() < 0.12


def test_true_renders_are_faithful_to_their_prompts_and_others_are_not(suite: Picturebook) -> None:
    contents = [*held_out_contents()[0]] * 10
    styles = sample_styles(np.random.default_rng(2), len(contents), uniform=STYLE_NAMES)
    pictures = [
        render(content.scene(style), i) for i, (content, style) in enumerate(zip(contents, styles, strict=True))
    ]
    prompts = [content.prompt for content in contents]
    right, wrong = suite.truth.fidelity(prompts, pictures), suite.truth.fidelity([*prompts[1:], prompts[0]], pictures)
    assert right["total"].mean() > 0.94
    assert wrong["object"].mean() < 0.05
    assert set(right) == {"total", "object", "setting"}
    np.testing.assert_allclose(right["total"], right["object"] * right["setting"])


def test_larger_pictures_are_read_like_their_originals(suite: Picturebook) -> None:
    picture = render(Scene.of(object="cat", palette="neon"), 0)
    enlarged = np.asarray(Image.fromarray(picture).resize((128, 128), Image.Resampling.NEAREST))
    expected, found = suite.truth.read([picture]), suite.truth.read([enlarged])
    for name in AXIS:
        np.testing.assert_array_equal(expected[name], found[name])


@pytest.mark.slow
def test_inferred_pictures_please_more_than_the_prior(suite: Picturebook) -> None:
    """Against the exact utility; `test_inference.py` has the rest."""
    found = []
    for user in suite.users("test")[:6]:
        styles = suite.truth.inferred(suite.history(user.id))
        found.append(suite._find(user.id).taste.of_styles(np.array([styles[""]]))[0])
        image = suite.truth.render_inferred(styles, "a cat at sea", 3)
        np.testing.assert_array_equal(to_pixels(image), render(BY_PROMPT["a cat at sea"].scene(styles[""]), 3))
    assert np.mean(found) > 0.4


@pytest.mark.slow
def test_inference_takes_the_histories_that_controls_make(suite: Picturebook) -> None:
    """Another user's under one's own name, flipped, one-sided and empty."""
    own, other = suite.history("test-0000"), suite.history("test-0001")
    permuted_difference = replace(other, user=own.user)
    flipped = History(own.user, flip(own.disliked), flip(own.liked))
    for history in (
        permuted_difference,
        flipped,
        replace(own, liked=()),
        replace(own, disliked=()),
        History(own.user, (), ()),
    ):
        styles = suite.truth.inferred(history)
        assert len(styles[""]) == len(STYLE_NAMES)
        assert styles == suite.truth.inferred(history)
    taste = suite._find(own.user).taste
    right, wrong = (taste.of_styles(np.array([suite.truth.inferred(h)[""]]))[0] for h in (own, flipped))
    assert right > wrong


def flip(judgments: tuple[Judgment, ...]) -> tuple[Judgment, ...]:
    return tuple(replace(judgment, liked=not judgment.liked) for judgment in judgments)


def test_words_name_the_best_values_and_nothing_silent(suite: Picturebook) -> None:
    for user in suite.users("test")[:30]:
        best = suite._find(user.id).taste_on(BY_PROMPT[PROMPT]).best()
        words = suite.truth.words(user.id, PROMPT).split(", ")
        assert words == [AXIS[name].phrases[best[name]] for name in NAMEABLE if name in best]
        assert set(best) - set(NAMEABLE) <= {axis.name for axis in STYLE if axis.silent}


def test_random_words_are_words_of_the_world(suite: Picturebook) -> None:
    known = {phrase for name in NAMEABLE for phrase in AXIS[name].phrases}
    drawn = [suite.truth.random_words(PROMPT, seed) for seed in range(200)]
    words = [word for text in drawn if text for word in text.split(", ")]
    assert set(words) == known
    assert len(words) / len(drawn) == pytest.approx(len(NAMEABLE) / 2, abs=0.4)
    assert drawn == [suite.truth.random_words(PROMPT, seed) for seed in range(200)]


# --------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("user", ["test-9999", "nobody", "", "train-1"])
def test_unknown_users_are_refused(suite: Picturebook, user: str) -> None:
    for ask in (suite.history, suite.cases):
        with pytest.raises(PrefbenchError, match="user"):
            ask(user)
    with pytest.raises(PrefbenchError, match="user"):
        suite.truth.words(user, PROMPT)
    with pytest.raises(PrefbenchError, match="user"):
        suite.truth.utility(user, [PROMPT], [render(Scene.of(), 0)])


def test_unknown_prompts_are_refused(suite: Picturebook) -> None:
    with pytest.raises(PrefbenchError, match="no prompt 'a red fox'"):
        suite.truth.fidelity(["a red fox"], [render(Scene.of(), 0)])
    with pytest.raises(PrefbenchError, match="no prompt"):
        suite.truth.utility("test-0000", ["a red fox"], [render(Scene.of(), 0)])
    with pytest.raises(PrefbenchError, match="no prompt"):
        suite.truth.ideal("test-0000", "a red fox", 0)
    with pytest.raises(PrefbenchError, match="no prompt"):
        suite.truth.render_inferred({"": (0,) * 9}, "a red fox", 0)


@pytest.mark.slow
def test_judgments_from_elsewhere_are_refused(suite: Picturebook) -> None:
    own = suite.history("test-0000")
    unseen = replace(own.liked[0], picture=Picture.of(Image.new("RGB", (32, 32))))
    with pytest.raises(PrefbenchError, match="not from picturebook"):
        suite.truth.inferred(replace(own, liked=(unseen,)))
