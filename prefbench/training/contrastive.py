"""Trains a CLIP model on pictures with captions, and distils its image tower into a transformers one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from open_clip import CLIP
from torch import Tensor, nn
from transformers import CLIPVisionModelWithProjection

from prefbench.training.frozen import Frozen
from prefbench.training.loop import Batch


class ContrastiveTask(nn.Module):
    """The CLIP loss (Radford et al. 2021) where equal captions are positives of each other.

    Batch: `pixels` (B, 3, S, S) normalised, `tokens` (B, L), `caption` (B,) an id that equal captions share.
    """

    def __init__(self, model: CLIP, *, max_logit_scale: float = 50.0) -> None:
        super().__init__()
        self.model = model
        self.max_logit_scale = max_logit_scale

    def forward(self, batch: Batch) -> Tensor:
        image, text, scale = self.model(batch["pixels"], batch["tokens"])[:3]
        logits = scale.clamp(max=self.max_logit_scale) * image @ text.T
        equal = (batch["caption"][:, None] == batch["caption"][None]).float()
        targets = equal / equal.sum(1, keepdim=True)
        return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2


class DistillationTask(nn.Module):
    """Teaches a `CLIPVisionModelWithProjection` the embedding of a trained image tower: 1 - cosine similarity.

    Batch: `pixels` in the teacher's format, `student_pixels` in the student's.
    """

    def __init__(self, teacher: CLIP, student: CLIPVisionModelWithProjection) -> None:
        super().__init__()
        self.student = student
        self._teacher = Frozen(teacher.eval())

    def forward(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            target = self._teacher.module.encode_image(batch["pixels"], normalize=True)
        embedding = self.student(pixel_values=batch["student_pixels"]).image_embeds
        return (1 - F.cosine_similarity(embedding, target)).mean()
