"""Questions, practice users, teacher and training task of `ours`, by counting and by naive loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from prefbench.api import History, Judgment, Picture, PrefbenchError, TrainUser
from prefbench.methods.ours.train import question_stage
from prefbench.methods.ours.train.conversations import (
    HELD_BACK,
    ConversationMaker,
    Persona,
    Sizes,
    TrainingConversation,
    judgments,
)
from prefbench.methods.ours.train.curriculum import losses
from prefbench.methods.ours.train.curriculum.described_images import DescribedImages, whitened
from prefbench.methods.ours.train.curriculum.history_batches import HistorySource
from prefbench.methods.ours.train.curriculum.losses import CurriculumLosses, summary_states
from prefbench.methods.ours.train.curriculum.synthetic_users import SyntheticUsers
from prefbench.methods.ours.train.curriculum.teacher import Teacher, learn_teacher
from prefbench.methods.ours.train.judged_images import JudgedImages, encode_images
from prefbench.methods.ours.train.question_batches import QuestionBatches
from prefbench.methods.ours.train.question_stage import MINIATURE
from prefbench.methods.ours.train.question_task import QuestionTask
from prefbench.methods.shared.questions import TEMPLATES, Shown, Templates, follow_up
from prefbench.models.mllms.conversation import images_of
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import IGNORED, Mllm
from prefbench.models.mllms.tuning import tune
from prefbench.training.loop import Batch, FitConfig
from tests.support.tiny_mllms import WIDTH
from tests.support.tiny_suite import train_user

MANY = 300


# --------------------------------------------------------------------------------------------------- questions


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
        verdicts = {id(image): verdict for verdict, image in zip(history[::2], history[1::2], strict=True)}
        for image, sign in zip(images, drawn.signs, strict=True):
            expected = {"liked": 1, "disliked": -1}.get(str(verdicts.get(id(image))), 0)
            assert sign == expected
            if sign:
                assert (colour(image) == one.likes[0]) == (sign == 1)


def test_what_is_asked_about_is_not_in_the_history(
    conversations: list[tuple[TrainUser, TrainingConversation]], judged_images: JudgedImages
) -> None:
    for _, drawn in conversations:
        shown = {id(image) for image in drawn.conversation[0].images}
        asked = [image for turn in drawn.conversation[1:] for image in turn.images]
        assert not shown & {id(image) for image in asked}
        assert not shown & {id(judged_images.load(judgment)) for side in drawn.rest for judgment in side}
        assert min(map(len, drawn.rest)) >= HELD_BACK


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
    with pytest.raises(ValueError, match=r"(0 places for 1|1 places for 2) pictures"):
        maker(train_users[0], np.random.default_rng(0), (2, 2))
    with pytest.raises(ValueError, match="0 places for 1 pictures"):
        follow_up(Shown((), ()), "nothing", "what?", Image.new("RGB", (4, 4)))


def test_everything_that_is_said_is_in_the_vocabulary() -> None:
    texts = Templates(likes=("what then?",)).texts()
    assert {"what then?", "yes", "second", "nothing", "liked"} <= set(texts)
    assert not any("{" in text for text in texts)


def test_an_unreadable_image_is_one_line_with_its_user() -> None:
    bad = Judgment(Picture("0" * 64, data=b"not an image"), "a fox", True)
    with pytest.raises(PrefbenchError, match=r"history of user 'ada' cannot be read: 000000000000.*decoded") as caught:
        Shown.of(History("ada", (bad,), ()))
    assert "\n" not in str(caught.value)
    with pytest.raises(PrefbenchError, match="user 'ada'"):
        JudgedImages([TrainUser(History("ada", (bad,), ()))])


# ---------------------------------------------------------------------------------------------------- practice


def beyond_words(train_users: list[TrainUser], seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A number of each judged picture that no phrase explains."""
    shows = {digest: phrases for one in train_users for digest, phrases in one.shows.items()}
    phrases = sorted({phrase for found in shows.values() for phrase in found})
    rows = [shows[j.picture.digest] for one in train_users for j in judgments(one)]
    known = np.array([[1.0, *(phrase in row for phrase in phrases)] for row in rows])
    drawn = np.random.default_rng(seed).standard_normal(len(rows))
    rest: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = (
        drawn - known @ np.linalg.lstsq(known, drawn, rcond=None)[0]
    )
    return (rest / rest.std()).astype(np.float32)


def described_of(train_users: list[TrainUser]) -> DescribedImages:
    """Components of a hidden number, the colour that phrases name, and another hidden number."""
    colours = np.array([colour(j.picture.load()) == "red" for one in train_users for j in judgments(one)])
    hidden, other = (beyond_words(train_users, seed) for seed in (0, 1))
    components = torch.from_numpy(np.stack([hidden, colours + 0.1 * hidden, other], 1).astype(np.float32))
    return DescribedImages.of(train_users, components, torch.diag(torch.tensor([2.0, 3.0, 0.1])), directions=2)


def test_what_users_care_about_beyond_words_is_found_first(train_users: list[TrainUser]) -> None:
    """The metric weighs the colour most, but a phrase says it; next comes the hidden number."""
    count = sum(len(judgments(one)) for one in train_users)
    found = described_of(train_users)
    assert found.shown.shape == (count, len(found.phrases))
    rows = [j for one in train_users for j in judgments(one)]
    shows = {digest: phrases for one in train_users for digest, phrases in one.shows.items()}
    for row, judgment in enumerate(rows):
        assert {found.phrases[i] for i in np.flatnonzero(found.shown[row])} == set(shows[judgment.picture.digest])
    assert abs(np.corrcoef(found.unlabelled[:, 0], beyond_words(train_users, 0))[0, 1]) > 0.99
    assert abs(np.corrcoef(found.unlabelled[:, 1], beyond_words(train_users, 1))[0, 1]) > 0.9
    np.testing.assert_allclose(found.unlabelled.std(0), 1, atol=0.02)
    varied = found.shown.std(0) > 0
    np.testing.assert_allclose(found.features[:, : len(varied)].numpy()[:, varied].std(0), 1, atol=1e-3)


def test_practice_users_like_what_their_words_say(train_users: list[TrainUser]) -> None:
    """They share a real user's words, and lean along the hidden number."""
    synthetic, rng = SyntheticUsers(train_users, described_of(train_users)), np.random.default_rng(0)
    words = {(one.likes, one.dislikes) for one in train_users}
    gaps = []
    for _ in range(200):
        user = synthetic(rng)
        assert (len(user.history.liked), len(user.history.disliked)) == (24, 24)
        assert (user.likes, user.dislikes) in words
        likes, dislikes = (
            np.mean([user.likes[0] in user.shows[j.picture.digest] for j in side])
            for side in (user.history.liked, user.history.disliked)
        )
        gaps.append(likes - dislikes)
    assert np.mean(gaps) > 0.3
    assert np.mean(np.array(gaps) > 0) > 0.9


def test_whitened_components_have_variance_one_and_span_the_features() -> None:
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(500, 4, generator=rng) @ torch.randn(4, 12, generator=rng) + 3
    found = whitened(features, 4)
    torch.testing.assert_close(found.std(0), torch.ones(4), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(torch.corrcoef(found.T), torch.eye(4), rtol=0, atol=0.02)
    known = torch.cat([found, torch.ones(500, 1)], 1)
    rest = features - known @ torch.linalg.lstsq(known, features).solution
    assert rest.abs().max() < 1e-3
    torch.testing.assert_close(found, whitened(features, 4))


# ----------------------------------------------------------------------------------------------------- teacher


def planted(n_users: int, rng: np.random.Generator, *, random: bool) -> tuple[list[TrainUser], Tensor, dict[str, int]]:
    """Users with a linear taste over 6 of 12 numbers of a picture, 24 judgments each; or without any taste."""
    features: list[np.ndarray[tuple[int, int], np.dtype[np.float32]]] = []
    train_users, row = [], {}
    for user in range(n_users):
        own = rng.standard_normal((24, 12)).astype(np.float32)
        taste = rng.standard_normal(6) / 6**0.5
        liking = rng.standard_normal(24) if random else own[:, :6] @ taste
        sides: tuple[list[Judgment], list[Judgment]] = ([], [])
        for i, one in enumerate(np.argsort(-liking)):
            digest = f"{user}/{one}"
            row[digest] = len(features) + int(one)
            sides[i >= 12].append(Judgment(Picture(digest), "", i < 12))
        features += list(own)
        train_users.append(TrainUser(History(str(user), tuple(sides[0]), tuple(sides[1]))))
    return train_users, torch.from_numpy(np.stack(features)), row


@pytest.mark.parametrize("hidden", [0, 64])
@pytest.mark.parametrize(("random", "low", "high"), [(False, 0.75, 1.0), (True, 0.44, 0.56)])
def test_the_teacher_learns_a_planted_metric_and_nothing_from_noise(
    random: bool, low: float, high: float, hidden: int
) -> None:
    train_users, features, row = planted(200, np.random.default_rng(0), random=random)
    found = learn_teacher(HistorySource(train_users[:150], row, features), hidden=hidden, steps=150)
    torch.testing.assert_close(found.metric, found.metric.T)
    assert not any(parameter.requires_grad for parameter in found.parameters())
    right = []
    for one in train_users[150:]:
        sides = [[row[j.picture.digest] for j in side] for side in (one.history.liked, one.history.disliked)]
        shown = torch.tensor([[*sides[0][:8], *sides[1][:8]]])
        signs = torch.tensor([[1] * 8 + [-1] * 8])
        liked, disliked = (found(signs, features[shown], features[torch.tensor([side[8:]])])[0] for side in sides)
        right.append((liked[:, None] > disliked[None]).float().mean().item())
    assert low < np.mean(right) < high


def test_a_teachers_user_is_the_difference_of_shrunk_means() -> None:
    torch.manual_seed(0)
    found, features = Teacher(5, hidden=0), torch.randn(1, 4, 5)
    found.requires_grad_(False)
    doubt = found.doubt.exp()
    user = found.user(torch.tensor([[1, -1, 1, 0]]), features)
    liked, disliked = features[0, [0, 2]].sum(0) / (2 + doubt), features[0, 1] / (1 + doubt)
    torch.testing.assert_close(user[0], found.shown(liked - disliked))
    signs, pictures = torch.tensor([[1, -1, 1, 0]]), torch.randn(1, 6, 5)
    agreed = torch.einsum("bhd,de,bqe->bhq", features, found.gain * found.shown.weight.T @ found.asked.weight, pictures)
    shares = torch.tensor([1 / (2 + doubt), -1 / (1 + doubt), 1 / (2 + doubt), 0])
    expected = torch.einsum("h,bhq->bq", shares, agreed) + found.everyone(pictures).squeeze(-1)
    torch.testing.assert_close(found(signs, features, pictures), expected)
    with_network = Teacher(5)
    with_network.load_state_dict(found.state_dict(), strict=False)
    torch.testing.assert_close(with_network.user(signs, features), user, msg="it begins as no correction")


# ------------------------------------------------------------------------------------------------------ tuning


def test_summary_states_equal_a_naive_loop() -> None:
    rng = torch.Generator().manual_seed(0)
    states, mask = torch.randn(3, 7, 4, generator=rng), torch.ones(3, 7, dtype=torch.long)
    mask[0, :2], mask[2, :1] = 0, 0
    opened = torch.tensor([4, 6, 1])
    last, mean = summary_states(states, mask, opened)
    for row in range(3):
        before = [states[row, i] for i in range(int(opened[row]) + 1) if mask[row, i]]
        torch.testing.assert_close(last[row], states[row, opened[row]])
        torch.testing.assert_close(mean[row], torch.stack(before).mean(0))


@pytest.fixture
def batches(mllm: Mllm, train_users: list[TrainUser], judged_images: JudgedImages) -> Callable[[bool], Batch]:
    def draw(pixels: bool) -> Batch:
        maker = ConversationMaker(judged_images.load)
        return QuestionBatches(mllm, train_users, judged_images, maker, Sizes(), pixels=pixels)(
            np.random.default_rng(3), 3
        )

    return draw


def features_of(judged_images: JudgedImages, width: int = 10) -> Tensor:
    return torch.randn(len(judged_images.images), width, generator=torch.Generator().manual_seed(5))


def task_of(
    mllm: Mllm, features: Tensor, *, teacher: Teacher | None = None, tower: Tensor | None = None
) -> QuestionTask:
    torch.manual_seed(0)
    curriculum = CurriculumLosses(mllm.width, features, head_weight=1.0, teacher=teacher)
    return QuestionTask(mllm, curriculum, tower=tower)


def test_image_tokens_stand_for_pixels(
    mllm: Mllm, judged_images: JudgedImages, batches: Callable[[bool], Batch]
) -> None:
    """The same conversations give the same loss whether the vision tower runs or its tokens were kept."""
    mllm.model.eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(mllm.model.model.connector.perceiver_resampler.latents)  # all equal in a fresh one
    _, tokens = encode_images(mllm, judged_images.images)
    assert tokens.shape == (len(judged_images.images), 4, WIDTH)
    with_pixels, without = batches(True), batches(False)
    assert "pixel_values" in with_pixels
    assert "pixel_values" not in without
    features = features_of(judged_images)
    with torch.no_grad():
        seen = task_of(mllm, features)(with_pixels)
        kept, moved = (task_of(mllm, features, tower=rows)(without) for rows in (tokens, tokens.roll(1, 0)))
    assert abs(moved - kept) > 1e-4, "the loss does depend on them"
    assert abs(seen - kept) < 0.05 * abs(moved - kept)


def test_what_the_teacher_wants_is_its_user(
    mllm: Mllm, judged_images: JudgedImages, batches: Callable[[bool], Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    features, found = features_of(judged_images), Teacher(10)
    assert found.correction is not None
    torch.nn.init.normal_(found.correction[-1].weight)
    task, batch = task_of(mllm, features, teacher=found), batches(True)
    wanted: list[Tensor] = []
    real = torch.nn.functional.mse_loss

    def noted(x: Tensor, y: Tensor) -> Tensor:
        wanted.append(y.detach())
        return real(x, y)

    monkeypatch.setattr(losses.F, "mse_loss", noted)
    task(batch)
    users = []
    for i in range(3):
        own = torch.nonzero(batch["owners"] == i).flatten()
        users.append(found.user(batch["signs"][own][None], features[batch["shown"][own]][None])[0])
    stacked = torch.stack(users)
    expected = stacked / stacked.std(0, correction=0).mean()
    torch.testing.assert_close(wanted[0], expected)
    torch.testing.assert_close(wanted[1], expected)
    judged = batch["signs"] != 0
    local = found.shown(batch["signs"][judged, None] * features[batch["shown"][judged]])
    torch.testing.assert_close(wanted[2], local / local.std(0, correction=0).mean())


def test_verdicts_stand_where_their_answers_begin(
    mllm: Mllm, train_users: list[TrainUser], judged_images: JudgedImages
) -> None:
    """Each names the token before yes or no, and the image that was asked about."""
    maker = ConversationMaker(judged_images.load, questions=5)
    batch = QuestionBatches(mllm, train_users, judged_images, maker, Sizes())(np.random.default_rng(8), 4)
    ids, decode = batch["input_ids"], mllm.tokenizer.decode
    assert len(batch["verdicts"]) > 4
    for row, column, image in batch["verdicts"].tolist():
        assert decode(ids[row, column + 1]).strip(" ,") in ("yes", "no")
        assert batch["labels"][row, column] == IGNORED
        assert batch["labels"][row, column + 1] == ids[row, column + 1]
        assert batch["owners"][image] == row
        assert batch["signs"][image] == 0, "not of the history"
        seen = torch.nonzero(batch["seen_at"][row] == image).flatten()
        assert len(seen) == 4
        assert seen.max() < column
        assert not (batch["seen_at"][row, seen.max() + 1 : column + 1] >= 0).any(), "the image just asked about"


def test_what_a_verdict_must_hold_is_user_picture_and_agreement(
    mllm: Mllm, judged_images: JudgedImages, batches: Callable[[bool], Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    features, found, batch = features_of(judged_images), Teacher(10).requires_grad_(False), batches(True)
    found.find_components(torch.randn(300, 64), features)
    wanted: list[Tensor] = []
    real = torch.nn.functional.mse_loss

    def noted(x: Tensor, y: Tensor) -> Tensor:
        wanted.append(y.detach())
        return real(x, y)

    monkeypatch.setattr(losses.F, "mse_loss", noted)
    task_of(mllm, features, teacher=found)(batch)
    rows, _, images = batch["verdicts"].T
    users = []
    for row in rows.tolist():
        own = torch.nonzero(batch["owners"] == row).flatten()
        users.append(found.user(batch["signs"][own][None], features[batch["shown"][own]][None])[0])
    user = torch.stack(users) @ found.user_components
    picture = features[batch["shown"][images]] @ found.picture_components
    parts = [part / part.std(0, correction=0).mean() for part in (user, picture, user * picture)]
    torch.testing.assert_close(wanted[3], torch.cat(parts, 1))


def test_the_parts_of_an_agreement_add_up_to_it() -> None:
    torch.manual_seed(2)
    found = Teacher(12, hidden=0).requires_grad_(False)
    features = torch.randn(400, 12)
    users = found.shown(torch.randn(500, 12))  # no more directions than parts
    found.find_components(users, features)
    _, _, products = found.agreement(users[:50], features[:50])
    whole = found.gain * (found.asked(features[:50]) * users[:50]).sum(1)
    torch.testing.assert_close(products.sum(1), whole, atol=1e-3, rtol=1e-2)
    variances = (users @ found.user_components).var(0)[:12] * (features @ found.picture_components).var(0)[:12]
    assert (variances[:-1] >= variances[1:] - 1e-4).all(), "the most important first"


def test_gradients_reach_the_language_model_and_not_frozen_eyes(
    mllm: Mllm, judged_images: JudgedImages, batches: Callable[[bool], Batch]
) -> None:
    task = task_of(mllm, features_of(judged_images), teacher=Teacher(10).requires_grad_(False))
    torch.autograd.backward(task(batches(True)))
    assert len(task.terms) == 1 + 2 + 4
    inside = mllm.model.model
    assert all(p.grad is None for part in (inside.vision_model, inside.connector) for p in part.parameters())
    taught = task.curriculum
    assert taught is not None
    for module in (inside.text_model, *(taught.heads or ()), *(taught.followers or ()), taught.judge):
        assert module is not None
        gradients = [p.grad for p in module.parameters() if p.requires_grad]
        assert any(g is not None and g.abs().sum() > 0 for g in gradients)


def test_a_batch_without_a_word_to_teach_has_a_loss(mllm: Mllm, judged_images: JudgedImages) -> None:
    """Users of whom nobody knows what they like, asked nothing: transformers gives NaN."""
    wordless = [train_user(i, words=False) for i in range(2)]
    batches = QuestionBatches(
        mllm, wordless, judged_images, ConversationMaker(judged_images.load, questions=0), Sizes(), pixels=True
    )
    loss = task_of(mllm, features_of(judged_images))(batches(np.random.default_rng(0), 2))
    assert torch.isfinite(loss)
    assert loss > 0, "the heads still learn"


def test_checkpoints_hold_what_is_trained_alone(mllm: Mllm, judged_images: JudgedImages) -> None:
    task = task_of(mllm, features_of(judged_images))
    state = task.state_dict()
    assert any("text_model" in name for name in state)
    assert not any("vision_model" in name or "connector" in name for name in state)
    other = task_of(mllm, features_of(judged_images))
    other.load_state_dict(state)
    former = {name.removeprefix("curriculum."): value for name, value in state.items()}
    assert "heads.0.user.1.weight" in former
    other.load_state_dict(former)  # as version 0.1 named them
    del state["curriculum.heads.0.user.1.weight"]
    with pytest.raises(RuntimeError, match=r"curriculum\.heads\.0\.user\.1\.weight"):
        other.load_state_dict(state)


def test_without_a_curriculum_answers_alone_are_taught(mllm: Mllm, batches: Callable[[bool], Batch]) -> None:
    task, batch = QuestionTask(mllm), batches(True)
    loss = task(batch)
    assert task.terms == (pytest.approx(loss.item()),)
    assert not any(name.startswith("curriculum") for name in task.state_dict())


def test_the_miniatures_recipe_runs_and_goes_on(
    idefics2: Path, train_users: list[TrainUser], judged_images: JudgedImages, tmp_path: Path
) -> None:
    short = FitConfig(images=4, batch=2, ema=0.9, warmup_steps=1)
    recipe = replace(MINIATURE, summary_pretraining=short, questions=short, metric_steps=3, teacher_steps=3)
    model = tune(load_mllm(idefics2, device="cpu"), "full")
    before = model.model.lm_head.weight.clone()
    progress = question_stage.teach(model, train_users, judged_images, recipe, tmp_path)
    assert [p.step for p in progress] == [2, 2]
    assert not torch.equal(before, model.model.lm_head.weight)
    longer = replace(recipe, questions=replace(short, images=6))
    again = tune(load_mllm(idefics2, device="cpu"), "full")
    assert [p.step for p in question_stage.teach(again, train_users, judged_images, longer, tmp_path)] == [2, 3]
    with pytest.raises(PrefbenchError, match=r"does not fit this training \(it was made by another recipe"):
        question_stage.teach(again, train_users, judged_images, replace(recipe, flip=0.1), tmp_path)
    with pytest.raises(PrefbenchError, match=r"seen\.pt is of 56 pictures, this training of 14; use another --out"):
        question_stage.teach(again, train_users[:1], JudgedImages(train_users[:1]), recipe, tmp_path)
