"""The preference model of two matrices, by planted answers and formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from prefbench.api import History, Judgment, Picture, TrainUser
from prefbench.methods.shared.taste_histories import HistorySource
from prefbench.methods.shared.taste_model import TasteModel, learn_taste


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
@pytest.mark.parametrize(("random", "low", "high"), [(False, 0.75, 1.0), (True, 0.44, 0.56)])
def test_a_planted_metric_is_learned_and_nothing_from_noise(random: bool, low: float, high: float) -> None:
    train_users, features, row = planted(200, np.random.default_rng(0), random=random)
    found = learn_taste(HistorySource(train_users[:150], row, features), steps=150)
    assert not any(parameter.requires_grad for parameter in found.parameters())
    right = []
    for one in train_users[150:]:
        sides = [[row[j.picture.digest] for j in side] for side in (one.history.liked, one.history.disliked)]
        shown = torch.tensor([[*sides[0][:8], *sides[1][:8]]])
        signs = torch.tensor([[1] * 8 + [-1] * 8])
        liked, disliked = (found(signs, features[shown], features[torch.tensor([side[8:]])])[0] for side in sides)
        right.append((liked[:, None] > disliked[None]).float().mean().item())
    assert low < np.mean(right) < high


def test_a_user_is_the_difference_of_shrunk_means() -> None:
    torch.manual_seed(0)
    found, features = TasteModel(5), torch.randn(1, 4, 5)
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
