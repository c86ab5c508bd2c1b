"""Rows of judged pictures: where a fresh model learns to judge a picture by those before it.

In a conversation little is about that; here the word after each picture is all that is taught, and that after phrases
behind the row: would the user who likes these pictures like "gray colors"?
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from prefbench.api import Judgment, PrefbenchError, TrainUser
from prefbench.models.mllms.conversation import Conversation, Part, ask
from prefbench.models.mllms.model import Mllm
from prefbench.training.frozen import store_trained_alone
from prefbench.training.loop import Batch

from ...shared.questions import TEMPLATES
from .phrase_labels import PhraseLabels
from .sorted_pictures import SortedPictures

PICTURES = 32
"""Pictures per row."""
_UNEVEN = 3
"""Pictures by which one side may have more than half of a row."""
_FEWEST = 4
"""Pictures after which a phrase is asked about, at least."""


class VerdictRows:
    """Draws rows: pictures of a user, or of the opposite of one, in a random order, or pictures sorted by a rule.

    Args:
        rows: digest of an image to its row of the tower's tokens.
        flip: share of the rows with the opposite of a user.
        rules: draws the pictures of a rule.
        ruled: share of the rows that are sorted by a rule.
        phrases: draws the phrases that are asked about; None, or of users without words, for none.
    """

    def __init__(
        self,
        train_users: Sequence[TrainUser],
        rows: Mapping[str, int],
        rules: SortedPictures,
        *,
        flip: float,
        ruled: float,
        phrases: PhraseLabels | None = None,
    ) -> None:
        self.rules, self.flip, self.ruled, self.phrases = rules, flip, ruled, phrases
        histories = [train_user.history for train_user in train_users]
        self._sides = [(_rows(h.liked, rows), _rows(h.disliked, rows)) for h in histories]
        self._pairs = [(_pairs(h.liked), _pairs(h.disliked)) for h in histories]

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        """`shown` (B, 32) rows of images and `liked` (B, 32) in {0, 1}.

        With phrases also `asked` (B, 12) and `preferred` (B, 12), see `phrase_labels.Asked`, and `after` (B,), how many
        of the pictures they are asked about after.
        """
        rows = [self._row(rng) for _ in range(size)]
        return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}

    def _row(self, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
        ruled = rng.random() < self.ruled
        user, flipped = int(rng.integers(len(self._sides))), bool(rng.random() < self.flip)
        sides = self.rules(rng, PICTURES) if ruled else self._of_user(user, flipped, rng)
        shown, liked = np.concatenate(sides), np.repeat([1, 0], [len(side) for side in sides])
        order = rng.permutation(PICTURES)
        row: dict[str, NDArray[Any]] = {"shown": shown[order], "liked": liked[order]}
        if not self.phrases:
            return row
        after = int(rng.integers(_FEWEST, PICTURES + 1))
        told = (
            self.phrases.of_pictures(row["shown"][:after], row["liked"][:after], rng)
            if ruled
            else self.phrases.of_user(user, rng, flipped=flipped)
        )
        return row | dict(zip(("asked", "preferred"), told, strict=True)) | {"after": np.array(after)}

    def _of_user(
        self, user: int, flipped: bool, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Random pictures of each side, about as many of the one as of the other; a short side is used again.

        Of a pair one picture alone: pictures of one prompt are alike, and the other one is known to be on the other
        side, so that with both a row taught that what is alike is judged differently.
        """
        order = (1, 0) if flipped else (0, 1)
        (liked, disliked), (first, second) = ([of[user][side] for side in order] for of in (self._sides, self._pairs))
        many = PICTURES // 2 + int(rng.integers(-_UNEVEN, _UNEVEN + 1))
        chosen = rng.permutation(len(liked))[:many]
        others = np.flatnonzero(~np.isin(second, first[chosen][first[chosen] >= 0]))
        disliked = disliked[others] if len(others) else disliked
        return _filled(liked[chosen], many, rng), _some(disliked, PICTURES - many, rng)


class VerdictTask(nn.Module):
    """Cross-entropy of the word after each picture, given the pictures and words before it, and of that after phrases.

    Between the two words alone: to make both likelier than a vocabulary's other words is learned first, and leaves the
    two embeddings, which are input too, hardly different.

    Args:
        tower: image tokens (N, tokens, W) of all judged images.
    """

    def __init__(self, mllm: Mllm, tower: Tensor) -> None:
        super().__init__()
        self.model = mllm.model
        self._tower, self._phrases = tower, mllm.phrases(mllm.card.judged_phrases)
        self._ids, self._words_at = _rows_of_words(mllm)
        store_trained_alone(self)

    def forward(self, batch: Batch) -> Tensor:
        device, shown = self.model.device, batch["shown"]
        ids, liked = self._ids.to(device)[:1].repeat(len(shown), 1), batch["liked"]
        words = self._ids.to(device)[:, self._words_at[0]]
        ids[:, self._words_at] = words[liked]
        tokens = self._tower[shown.flatten().to(self._tower.device)].to(device).float()
        seen = {"image": BaseModelOutputWithPooling(pooler_output=list(tokens))}
        inputs: dict[str, Any] = {"input_ids": ids}
        if "asked" in batch:
            columns = torch.tensor(self._words_at, device=device)[batch["after"] - 1] + 1
            inputs, ends = self._phrases.behind(self.model, inputs, batch["asked"], columns)
        logits = self.model(**inputs, mm_encoder_outputs=seen, use_cache=False).logits
        before = [column - 1 for column in self._words_at]
        loss = F.cross_entropy(logits[:, before][..., words].float().flatten(0, 1), liked.flatten())
        return loss if "asked" not in batch else loss + self._phrases.loss(logits, ends, batch["preferred"])


def _rows_of_words(mllm: Mllm) -> tuple[Tensor, list[int]]:
    """Tokens (2, tokens) of a row of disliked and of one of liked pictures, and the words' columns.

    Raises:
        PrefbenchError: words that are more than one token.
    """
    picture = Image.new("RGB", (8, 8))
    rows: list[Conversation] = []
    for word in (TEMPLATES.disliked[0], TEMPLATES.liked[0]):
        parts: list[Part] = [part for _ in range(PICTURES) for part in (picture, word)]
        rows.append([ask(*parts)])
    ids = mllm.batch(rows, to_be_answered=False, pixels=False)["input_ids"].cpu()
    words_at = torch.nonzero(ids[0] != ids[1]).flatten().tolist()
    if len(words_at) != PICTURES:
        raise PrefbenchError(f"{mllm.card.name}: the words for liked and disliked are not one token each")
    return ids[:, : words_at[-1] + 1], words_at


def _rows(judgments: Sequence[Judgment], rows: Mapping[str, int]) -> NDArray[np.int64]:
    return np.array([rows[judgment.picture.digest] for judgment in judgments], np.int64)


def _pairs(judgments: Sequence[Judgment]) -> NDArray[np.int64]:
    """The number of each judgment's pair, one for both sides; -1 without a pair."""
    return np.array([-1 if one.pair is None else zlib.crc32(one.pair.encode()) for one in judgments], np.int64)


def _some(side: NDArray[np.int64], many: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return _filled(rng.permutation(side)[:many], many, rng)


def _filled(some: NDArray[np.int64], many: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """So many; where there are fewer, of them at random."""
    return some if len(some) == many else rng.choice(some, size=many)
