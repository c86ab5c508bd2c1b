"""Stage 1: the language model learns preferences from questions, and to gather a taste in its last token.

The paper trains an 8 B model that already reads images, on questions alone. A miniature that starts from nothing learns
to answer by looking back at the history, and its last token then holds no more than the next word. So a head that is
thrown away afterwards asks that token, and nothing else, which other pictures the user likes (`head_weight`; ours, not
the paper's; 0 turns it off).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from prefbench.api import Judgment, TrainUser
from prefbench.models.mllms.conversation import images_of
from prefbench.models.mllms.model import IGNORED, Mllm
from prefbench.training.loop import Batch

from ...shared.questions import load_judged
from .conversations import ConversationMaker, Drawn, Sizes, judgments, pick
from .practice import SyntheticUsers
from .teacher import PARTS, Teacher
from .teacher import WIDTH as TEACHER_WIDTH

_SEGMENTS = 16
_VERDICT = 5.0
"""An answer begins with yes or no; a loss that counts every word alike is little moved by which."""


class PreferenceHead(nn.Module):
    """Like or dislike (B, Q) of pictures from a user's state (B, W) alone: a bilinear form plus what all users like."""

    def __init__(self, state: int, picture: int, width: int = 64) -> None:
        super().__init__()
        self.user = nn.Sequential(_standard(state), nn.Linear(state, width))
        self.picture = nn.Linear(picture, width, bias=False)
        self.everyone = nn.Linear(picture, 1)

    def forward(self, state: Tensor, pictures: Tensor) -> Tensor:
        agreement = (self.user(state)[:, None] * self.picture(pictures)).sum(-1) / self.picture.out_features**0.5
        logits: Tensor = agreement + self.everyone(pictures).squeeze(-1)
        return logits


class QuestionTask(nn.Module):
    """The language loss on the answers, plus what the state before the first answer must hold.

    Batch: what `Mllm.training_batch` returns, with `queries` (B, Q) rows of `pictures` and `likes` (B, Q) in {0, 1};
    and of each of the I images `shown` (I,) its row, `signs` (I,) as in `Drawn`, `owners` (I,) its conversation;
    and of each of J verdicts on one picture (J, 3): its conversation, the column it is spoken from, and its image.

    Checkpoints hold what is trained, not the frozen weights: an 8 B model's would be 16 GB each.

    Args:
        pictures: features (N, D) of all judged pictures, for the heads and the teacher; None where there is neither.
        tower: image tokens (N, tokens, W) that frozen vision tower and connector give for them, in place of pixels;
            None where they are run each time.
        teacher: what the states are drawn to; None to learn from answers alone.
    """

    def __init__(
        self,
        mllm: Mllm,
        pictures: Tensor | None,
        *,
        head_weight: float,
        tower: Tensor | None = None,
        teacher: Teacher | None = None,
        teacher_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if pictures is None and (head_weight or teacher is not None):
            raise ValueError("heads and teachers need features of the pictures")
        self.model = mllm.model
        self.heads = None
        if pictures is not None and head_weight:
            self.heads = nn.ModuleList(PreferenceHead(mllm.width, pictures.shape[1]) for _ in range(2))
        self.followers = self.judge = None
        if teacher is not None:
            self.followers = nn.ModuleList(_follower(mllm.width) for _ in range(3))
            self.judge = nn.Sequential(_standard(mllm.width), nn.Linear(mllm.width, 3 * PARTS))
        self.register_buffer("pictures", pictures, persistent=False)
        self.tower = tower  # stays in main memory: it may be larger than an accelerator's
        self.teacher, self.teacher_weight = [teacher], teacher_weight  # in a list, so that it is not stored
        self.head_weight = head_weight
        self.parts: tuple[float, ...] = ()
        self.register_state_dict_post_hook(_keep_trained)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_frozen_are_here)  # type: ignore[no-untyped-call]

    def forward(self, batch: Batch) -> Tensor:
        out = self.model(**self._inputs(batch), use_cache=False, output_hidden_states=True)
        loss = _language_loss(out.logits, batch["labels"])
        final = out.hidden_states[-1].float()
        states = _gathered(final, batch["attention_mask"], batch["opened"])
        parts = [loss]
        if self.heads is not None:
            pictures = self.get_buffer("pictures")[batch["queries"]].float()
            tastes = [
                F.binary_cross_entropy_with_logits(head(state, pictures), batch["likes"])
                for head, state in zip(self.heads, states, strict=True)
            ]
            loss = loss + self.head_weight * sum(tastes)
            parts += tastes
        if self.followers is not None:
            errors = [
                *self._errors_of_users(states, users := self._users(batch)),
                self._error_of_images(batch, final),
                self._error_of_verdicts(batch, final, users),
            ]
            loss = loss + self.teacher_weight * sum(errors)
            parts += errors
        self.parts = tuple(part.item() for part in parts)
        return loss

    def _inputs(self, batch: Batch) -> dict[str, Any]:
        """What goes to the language model."""
        inputs: dict[str, Any] = {name: value for name, value in batch.items() if name not in _OURS}
        if self.tower is not None:
            seen = self.tower[batch["shown"].to(self.tower.device)].to(batch["input_ids"].device).float()
            inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=list(seen))}
        return inputs

    def _errors_of_users(self, states: Gathered, users: Tensor) -> list[Tensor]:
        """Mean squared errors to the teacher's users (B, W), in variances: at the last token, and in the mean."""
        assert self.followers is not None
        target = _in_deviations(users)
        return [F.mse_loss(follow(state), target) for follow, state in zip(self.followers, states, strict=False)]

    def _users(self, batch: Batch) -> Tensor:
        """What the teacher makes (B, W) of the histories."""
        teacher, _, features = self._lesson(batch)
        users, owners = len(batch["opened"]), batch["owners"]
        place = torch.arange(len(owners), device=owners.device) - torch.searchsorted(owners, owners)
        shape = (users, int(place.max()) + 1)
        signs = batch["signs"].new_zeros(shape).index_put((owners, place), batch["signs"])
        shown = features.new_zeros(*shape, features.shape[1]).index_put((owners, place), features)
        return teacher.user(signs, shown)

    def _error_of_verdicts(self, batch: Batch, final: Tensor, users: Tensor) -> Tensor:
        """Mean squared error where a verdict is spoken from: to user, picture and agreement, in the teacher's parts."""
        teacher, _, features = self._lesson(batch)
        assert self.judge is not None
        owners, columns, images = batch["verdicts"].unbind(1)
        if len(set(owners.tolist())) < 2:  # a single user has no deviations
            return _nothing(self.judge)
        target = teacher.agreement(users[owners], features[images])
        wanted = torch.cat([_in_deviations(part) for part in target], 1)
        return F.mse_loss(self.judge(final[owners, columns]), wanted)

    def _error_of_images(self, batch: Batch, final: Tensor) -> Tensor:
        """Mean squared error at the tokens of each judged image, to what the teacher makes of that image alone."""
        teacher, followers, features = self._lesson(batch)
        signs, seen_at = batch["signs"], batch["seen_at"]
        rows, columns = torch.nonzero(seen_at >= 0, as_tuple=True)
        which = seen_at[rows, columns]
        at_images = final.new_zeros(len(signs), final.shape[2]).index_add(0, which, final[rows, columns])
        at_images = at_images / torch.bincount(which, minlength=len(signs))[:, None]
        judged = signs != 0
        target = _in_deviations(teacher.shown(signs[judged, None] * features[judged]))
        return F.mse_loss(followers[2](at_images[judged]), target)

    def _lesson(self, batch: Batch) -> tuple[Teacher, nn.ModuleList, Tensor]:
        """The teacher, who follows it, and features (I, D) of the shown images."""
        assert self.teacher[0] is not None
        assert self.followers is not None
        features = self.get_buffer("pictures")[batch["shown"]].float()
        return self.teacher[0].to(features.device), self.followers, features


_OURS = ("queries", "likes", "shown", "opened", "signs", "owners", "seen_at", "labels", "verdicts")
"""What of a batch the language model is not given."""


def _language_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of taught tokens, a mean in which those that begin an answer, the verdicts, weigh `_VERDICT` times.

    Args:
        logits: (B, tokens, V).
        labels: (B, tokens).
    """
    taught = labels[:, 1:] != IGNORED
    begins = taught & (labels[:, :-1] == IGNORED)
    weights = taught + (_VERDICT - 1.0) * begins
    spread = logits[:, :-1].float().transpose(1, 2)
    losses = F.cross_entropy(spread, labels[:, 1:], ignore_index=IGNORED, reduction="none")
    return (losses * weights).sum() / weights.sum().clamp(min=1.0)


def _keep_trained(task: nn.Module, state: dict[str, Any], prefix: str, _: object) -> None:
    """Drops frozen weights from a state, and second names of tied ones."""
    kept = {name for name, parameter in task.named_parameters() if parameter.requires_grad}
    kept |= {name for name, _ in task.named_buffers()}
    for name in [name for name in state if name.removeprefix(prefix) not in kept]:
        del state[name]


def _frozen_are_here(task: nn.Module, keys: Any) -> None:
    """Lets a state without frozen weights be loaded."""
    kept = {name for name, parameter in task.named_parameters() if parameter.requires_grad}
    frozen = [name for name in keys.missing_keys if name not in kept]
    for name in frozen:
        keys.missing_keys.remove(name)


def _standard(width: int) -> nn.Module:
    """What a state holds is small beside what all states share. With less `eps` states would shrink to nothing."""
    return nn.BatchNorm1d(width, affine=False, eps=0.01)


def _nothing(module: nn.Module) -> Tensor:
    """Zero that reaches all parameters, as training in several processes needs."""
    return 0.0 * torch.stack([parameter.sum() for parameter in module.parameters()]).sum()


def _follower(width: int) -> nn.Module:
    return nn.Sequential(_standard(width), nn.Linear(width, TEACHER_WIDTH))


def _in_deviations(target: Tensor) -> Tensor:
    """Targets (N, W) over the mean standard deviation of their numbers."""
    return target / target.std(0, correction=0).mean().clamp(min=1e-6)


class Gathered(NamedTuple):
    """States (B, W) that must hold the taste."""

    last: Tensor
    mean: Tensor


def _gathered(states: Tensor, mask: Tensor, opened: Tensor) -> Gathered:
    """States (B, tokens, W) at the last token before the first answer, and in the mean up to it."""
    before = mask * (torch.arange(mask.shape[1], device=mask.device) <= opened[:, None])
    mean = (states * before[..., None]).sum(1) / before.sum(1, keepdim=True)
    return Gathered(states[torch.arange(len(opened), device=opened.device), opened], mean)


class QuestionBatches:
    """Draws conversations with users of the train split; those of a batch show histories of about one size.

    Args:
        queries: pictures a user that the heads are asked about.
        pixels: False leaves them out, where the task has the vision tower's image tokens.
        practised: share of practice users.
    """

    def __init__(
        self,
        mllm: Mllm,
        train_users: Sequence[TrainUser],
        pictures: JudgedImages,
        maker: ConversationMaker,
        sizes: Sizes,
        *,
        queries: int = 24,
        pixels: bool = True,
        practice: SyntheticUsers | None = None,
        practised: float = 0.0,
    ) -> None:
        self.practice, self.practised = practice, practised
        self.mllm, self.train_users, self.pictures, self.queries = mllm, train_users, pictures, queries
        self.maker, self.sizes, self.pixels = maker, sizes, pixels

    def __call__(self, rng: np.random.Generator, size: int) -> Batch:
        sizes = self.sizes.draw(rng)
        drawn = [self.maker(self._lesson(rng), rng, sizes) for _ in range(size)]
        conversations = [d.conversation for d in drawn]
        batch: dict[str, Tensor] = self.mllm.training_batch(conversations, pixels=self.pixels)
        images = [(owner, image) for owner, c in enumerate(conversations) for image in images_of(c)]
        batch["owners"] = torch.tensor([owner for owner, _ in images])
        batch["shown"] = torch.tensor([self.pictures.row_of_image(image) for _, image in images])
        batch["signs"] = torch.tensor([sign for d in drawn for sign in d.signs])
        batch["verdicts"] = _verdicts(batch["labels"], drawn)
        likes = rng.random((size, self.queries)) < 0.5
        asked = [
            [self.pictures.row(pick(d.rest[0 if like else 1], rng)) for like in row]
            for d, row in zip(drawn, likes, strict=True)
        ]
        return batch | {"queries": torch.tensor(asked), "likes": torch.from_numpy(likes).float()}

    def _lesson(self, rng: np.random.Generator) -> TrainUser:
        if self.practice is not None and rng.random() < self.practised:
            return self.practice(rng)
        return pick(self.train_users, rng)


def _verdicts(labels: Tensor, drawn: Sequence[Drawn]) -> Tensor:
    """Of every verdict on one picture (J, 3): conversation, column before the answer, image in the batch."""
    taught = labels != IGNORED
    begins = taught[:, 1:] & ~taught[:, :-1]
    found, before = [], 0
    for row, one in enumerate(drawn):
        columns = torch.nonzero(begins[row]).flatten().tolist()
        found += [(row, c, before + image) for c, image in zip(columns, one.judged, strict=True) if image >= 0]
        before += len(one.signs)
    return torch.tensor(found, dtype=torch.long).reshape(-1, 3)


class JudgedImages:
    """The judged pictures of all lessons, decoded once: a row a judgment, and the last of those that judge one picture.

    Raises:
        PrefbenchError: an image that cannot be read, with its user and file.
    """

    def __init__(self, train_users: Sequence[TrainUser]) -> None:
        judged = [(j, train_user.history.user) for train_user in train_users for j in judgments(train_user)]
        self.images: list[Image.Image] = [load_judged(j, user) for j, user in judged]
        self.rows = {j.picture.digest: row for row, (j, _) in enumerate(judged)}
        self._row_of_image = {id(image): row for row, image in enumerate(self.images)}

    def row(self, judgment: Judgment) -> int:
        return self.rows[judgment.picture.digest]

    def load(self, judgment: Judgment) -> Image.Image:
        return self.images[self.row(judgment)]

    def row_of_image(self, image: Image.Image) -> int:
        """Of one of its own images."""
        return self._row_of_image[id(image)]


@torch.no_grad()
def seen_by(mllm: Mllm, images: Sequence[Image.Image], *, batch: int = 64) -> tuple[Tensor, Tensor]:
    """What vision tower and connector make of each image, for models that make as many tokens of any image.

    Returns:
        States (N, 16 x width), averaged in 16 segments of patches, and image tokens (N, tokens, W); both float16.
    """
    states, tokens = [], []
    for start in range(0, len(images), batch):
        part = [[image] for image in images[start : start + batch]]
        inputs = mllm.processor.image_processor(part, return_tensors="pt")
        seen = mllm.model.get_image_features(**{k: v.to(mllm.device) for k, v in inputs.items()})
        segments = F.adaptive_avg_pool1d(seen.last_hidden_state.float().transpose(1, 2), _SEGMENTS)
        states.append(segments.flatten(1).half().cpu())
        tokens.append(torch.stack(list(seen.pooler_output)).half().cpu())
    return torch.cat(states), torch.cat(tokens)
