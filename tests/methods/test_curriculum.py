"""Described images, synthetic users and teacher of `ours`, by planted answers and formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from prefbench.api import History, Judgment, Picture, TrainUser
from prefbench.methods.ours.train.conversations import (
    judgments,
)
from prefbench.methods.ours.train.curriculum.described_images import DescribedImages, whitened
from prefbench.methods.ours.train.curriculum.history_batches import HistorySource
from prefbench.methods.ours.train.curriculum.synthetic_users import SyntheticUsers
from prefbench.methods.ours.train.curriculum.teacher import Teacher, learn_teacher


def colour(image: Image.Image) -> str:
    red, _, blue = np.asarray(image).reshape(-1, 3).mean(0)
    return "red" if red > blue else "blue"


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


@pytest.mark.slow
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
