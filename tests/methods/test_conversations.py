"""Questions of `ours`, and the answers that judgments give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from prefbench.api import History, Judgment, Picture, PrefbenchError, TrainUser
from prefbench.methods.ours.train.conversations import (
    HELD_BACK,
    ConversationMaker,
    Persona,
    Sizes,
    TrainingConversation,
)
from prefbench.methods.ours.train.judged_images import JudgedImages
from prefbench.methods.shared.questions import TEMPLATES, Examples, Templates, follow_up
from prefbench.models.mllms.conversation import images_of
from tests.support.tiny_suite import train_user

MANY = 300


def colour(image: Image.Image) -> str:
    red, _, blue = np.asarray(image).reshape(-1, 3).mean(0)
    return "red" if red > blue else "blue"


def said(drawn: TrainingConversation) -> list[tuple[str, list[Image.Image], str]]:
    """Question, its images and answer, after the taste in words."""
    turns = drawn.conversation[2:]
    pairs = zip(turns[::2], turns[1::2], strict=True)
    texts = [(" ".join(p for p in ask.parts if isinstance(p, str)), [*ask.images], answer) for ask, answer in pairs]
    return [(text, images, "".join(map(str, answer.parts))) for text, images, answer in texts]


def without_places(templates: tuple[str, ...]) -> set[str]:
    return {" ".join(" ".join(piece.strip() for piece in t.split("{picture}")).split()) for t in templates}


@pytest.fixture(scope="module")
def conversations(
    train_users: list[TrainUser], judged_images: JudgedImages
) -> list[tuple[TrainUser, TrainingConversation]]:
    maker, rng = ConversationMaker(judged_images.load, flip=0.0), np.random.default_rng(0)
    return [
        (one, maker(one, rng, Sizes().draw(rng))) for one in (train_users[i % len(train_users)] for i in range(MANY))
    ]


def test_every_kind_of_question_is_asked_and_answered_from_the_judgments(
    conversations: list[tuple[TrainUser, TrainingConversation]],
) -> None:
    asked = {"like": 0, "which": 0, "drawn": 0, "show": 0}
    for one, drawn in conversations:
        (liked, bright), (disliked, _) = one.likes, one.dislikes
        assert bright == "bright"
        for text, images, answer in said(drawn):
            words = " ".join(text.split())
            colours = [colour(image) for image in images]
            if words in without_places(TEMPLATES.like):
                asked["like"] += 1
                assert answer == (f"yes, {liked}" if colours == [liked] else f"no, {disliked}")
            elif words in without_places(TEMPLATES.which):
                asked["which"] += 1
                assert sorted(colours) == ["blue", "red"]
                assert answer == ("first" if colours[0] == liked else "second")
            elif words in without_places(TEMPLATES.show):
                asked["show"] += 1
                assert colours[0] in answer
                assert ("noisy" in answer) == (colours[0] == liked)
            elif words not in TEMPLATES.dislikes:
                asked["drawn"] += 1
                assert not images
                good = any(word in words for word in one.likes)
                assert good != any(word in words for word in one.dislikes)
                assert answer == ("yes" if good else "no")
    shares = np.array(list(asked.values())) / sum(asked.values())
    np.testing.assert_allclose(shares, [0.6, 0.2, 0.1, 0.1], atol=0.05)


def test_the_taste_comes_first(conversations: list[tuple[TrainUser, TrainingConversation]]) -> None:
    for one, drawn in conversations:
        first, answered = drawn.conversation[:2]
        assert first.parts[-1] in TEMPLATES.likes
        assert sorted(str(answered.parts[0]).split(", ")) == sorted(one.likes)
        assert answered.taught


def test_signs_are_what_the_conversation_shows_image_by_image(
    conversations: list[tuple[TrainUser, TrainingConversation]],
) -> None:
    for one, drawn in conversations:
        images = images_of(drawn.conversation)
        assert len(images) == len(drawn.signs)
        history = drawn.conversation[0].parts[:-1]
        answers = {id(image): answer for answer, image in zip(history[::2], history[1::2], strict=True)}
        for image, sign in zip(images, drawn.signs, strict=True):
            expected = {"liked": 1, "disliked": -1}.get(str(answers.get(id(image))), 0)
            assert sign == expected
            if sign:
                assert (colour(image) == one.likes[0]) == (sign == 1)


def test_what_is_asked_about_is_not_in_the_history(
    conversations: list[tuple[TrainUser, TrainingConversation]], judged_images: JudgedImages
) -> None:
    for one, drawn in conversations:
        shown = {id(image) for image in drawn.conversation[0].images}
        asked = [image for turn in drawn.conversation[1:] for image in turn.images]
        assert not shown & {id(image) for image in asked}
        for side in (one.history.liked, one.history.disliked):
            assert sum(id(judged_images.load(judgment)) not in shown for judgment in side) >= HELD_BACK


def test_a_reversed_user_swaps_sides_and_words(train_users: list[TrainUser], judged_images: JudgedImages) -> None:
    one = train_users[0]
    persona = Persona.of(one, flipped=True)
    assert (persona.liked, persona.disliked) == (one.history.disliked, one.history.liked)
    assert (persona.likes, persona.dislikes) == (one.dislikes, one.likes)
    drawn = ConversationMaker(judged_images.load, flip=1.0, questions=0)(one, np.random.default_rng(0), (2, 2))
    liked = [i for i, sign in zip(images_of(drawn.conversation), drawn.signs, strict=True) if sign == 1]
    assert {colour(image) for image in liked} <= {one.dislikes[0]}
    assert set(str(drawn.conversation[1].parts[0]).split(", ")) == set(one.dislikes)


def test_sizes_stay_in_their_bounds_and_some_histories_have_one_side() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([Sizes(most=16, one_sided=0.2).draw(rng) for _ in range(4000)])
    assert drawn.min() == 0
    assert drawn.max() == 16
    assert (drawn.sum(1) > 0).all()
    one_sided = (drawn == 0).any(1)
    assert one_sided.mean() == pytest.approx(0.2, abs=0.02)
    assert (drawn[one_sided][:, 1] == 0).mean() == pytest.approx(0.7, abs=0.04)
    both = drawn[~one_sided]
    assert set(np.unique(both)) == set(range(1, 17))
    assert np.median(both) == pytest.approx(4, abs=1), "log-uniform: half show at most the root of 16"


def test_nothing_is_asked_that_has_no_answer(judged_images: JudgedImages) -> None:
    wordless = train_user(0, words=False)
    maker, rng = ConversationMaker(judged_images.load), np.random.default_rng(0)
    for _ in range(60):
        drawn = maker(wordless, rng, (3, 3))
        assert {" ".join(text.split()) for text, _, _ in said(drawn)} <= without_places(
            TEMPLATES.like + TEMPLATES.which
        )
        assert drawn.conversation[1].parts == ("nothing",)
        assert not drawn.conversation[1].taught, "nobody knows that the user likes nothing"
        assert {answer for _, _, answer in said(drawn)} <= {"yes", "no", "first", "second"}
    one_worded = replace(train_user(0), dislikes=())
    kinds = {" ".join(text.split()) for _ in range(60) for text, _, _ in said(maker(one_worded, rng, (3, 3)))}
    assert kinds <= without_places(TEMPLATES.like + TEMPLATES.which + TEMPLATES.show + TEMPLATES.dislikes)


def test_a_template_without_a_place_for_its_picture_is_refused(
    train_users: list[TrainUser], judged_images: JudgedImages
) -> None:
    broken = replace(TEMPLATES, like=("liked?",), which=("this {picture}?",))
    maker = ConversationMaker(judged_images.load, templates=broken, questions=8)
    with pytest.raises(ValueError, match=r"(0 `\{picture\}` marks for 1|1 `\{picture\}` marks for 2) pictures"):
        maker(train_users[0], np.random.default_rng(0), (2, 2))
    with pytest.raises(ValueError, match=r"0 `\{picture\}` marks for 1 pictures"):
        follow_up(Examples((), ()), "nothing", "what?", Image.new("RGB", (4, 4)))


def test_everything_that_is_said_is_in_the_vocabulary() -> None:
    texts = Templates(likes=("what then?",)).texts()
    assert {"what then?", "yes", "second", "nothing", "liked"} <= set(texts)
    assert not any("{" in text for text in texts)


def test_an_unreadable_image_is_one_line_with_its_user() -> None:
    bad = Judgment(Picture("0" * 64, data=b"not an image"), "a fox", True)
    with pytest.raises(PrefbenchError, match=r"history of user 'ada' cannot be read: 000000000000.*decoded") as caught:
        Examples.of(History("ada", (bad,), ()))
    assert "\n" not in str(caught.value)
    with pytest.raises(PrefbenchError, match="user 'ada'"):
        JudgedImages([TrainUser(History("ada", (bad,), ()))])
