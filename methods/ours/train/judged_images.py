"""The judged images of all train users, and their states in a vision tower."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from prefbench.api import Judgment, TrainUser
from prefbench.models.mllms.model import Mllm

from ...shared.questions import load_judged
from .conversations import judgments

_SEGMENTS = 16


class JudgedImages:
    """Decoded once: one row per judgment, in the order of `judgments`; an image judged twice has the last of its rows.

    Raises:
        PrefbenchError: an image that cannot be read, with its user and file.
    """

    def __init__(self, train_users: Sequence[TrainUser]) -> None:
        pairs = [(j, train_user.history.user) for train_user in train_users for j in judgments(train_user)]
        self.images: list[Image.Image] = [load_judged(j, user) for j, user in pairs]
        self.rows = {j.picture.digest: row for row, (j, _) in enumerate(pairs)}
        self._row_of_image = {id(image): row for row, image in enumerate(self.images)}

    def row(self, judgment: Judgment) -> int:
        return self.rows[judgment.picture.digest]

    def load(self, judgment: Judgment) -> Image.Image:
        return self.images[self.row(judgment)]

    def row_of_image(self, image: Image.Image) -> int:
        """The row of one of its own images."""
        return self._row_of_image[id(image)]


@torch.no_grad()
def encode_images(mllm: Mllm, images: Sequence[Image.Image], *, batch: int = 64) -> tuple[Tensor, Tensor]:
    """Outputs of vision tower and connector for each image, for models with the same number of tokens per image.

    Returns:
        States (N, 16 x width), averaged in 16 segments of patches, and image tokens (N, tokens, W); both float16.
    """
    states, tokens = [], []
    for start in range(0, len(images), batch):
        chunk = [[image] for image in images[start : start + batch]]
        inputs = mllm.processor.image_processor(chunk, return_tensors="pt")
        encoded = mllm.model.get_image_features(**{k: v.to(mllm.device) for k, v in inputs.items()})
        segments = F.adaptive_avg_pool1d(encoded.last_hidden_state.float().transpose(1, 2), _SEGMENTS)
        states.append(segments.flatten(1).half().cpu())
        tokens.append(torch.stack(list(encoded.pooler_output)).half().cpu())
    return torch.cat(states), torch.cat(tokens)
