"""torchmetrics' metrics of one image, and of an image and a reference: one value per drawn image."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image

from prefbench.api import (
    DrawnImages,
    FloatArray,
    History,
    ImageMetric,
    NotMeasurableError,
    Pixels,
    PrefbenchError,
    to_pixels,
)

from ..shared.columns import as_columns, rows_of_users
from .classes import build, no_downloads, one_line, weights_digest

if TYPE_CHECKING:
    from torch import Tensor
    from torchmetrics import Metric

_TRIAL_SIDE = 256
"""Pixels; MS-SSIM's five scales need over 160."""


class TorchImageMetric(ImageMetric):
    """A torchmetrics class that gives one number per image, called once per image on float32 images in 0 to 1.

    Subclasses are made by `family.member`, which fills in the class, its arguments and the card.
    """

    metric_class: ClassVar[type[Metric]]
    settings: ClassVar[Mapping[str, Any]]
    takes_reduction: ClassVar[bool]

    def __init__(self) -> None:
        self._try()
        digest = weights_digest(self._mean)
        recipe = f"{type(self).card.recipe},weights={digest}" if digest else type(self).card.recipe
        # Learned weights move the number, so the recipe of this metric, not of the class, names them.
        self.card = replace(type(self).card, recipe=recipe)  # type: ignore[misc]

    @cached_property
    def _mean(self) -> Metric:
        """Averages over the images that it is updated with; gets one at a time."""
        return self._built({})

    @cached_property
    def _each(self) -> Metric:
        """Not reduced: most classes then give one value per image, some a map per image."""
        return self._built({"reduction": "none"})

    def _values(self, images: Sequence[Tensor]) -> FloatArray:
        if self.takes_reduction and len(images[0]) > 1:
            each = _computed(self._each, *images)
            if each.size == len(images[0]):
                return each
        one_by_one = ([image[i : i + 1] for image in images] for i in range(len(images[0])))
        return np.concatenate([_computed(self._mean, *one) for one in one_by_one])

    def _try(self) -> None:
        """Values of noise, so that absent weights and wrong arguments are reported before anything is drawn."""
        import torch

        size = (2, 1, 3, _TRIAL_SIDE, _TRIAL_SIDE)
        noise = torch.rand(size, generator=torch.Generator().manual_seed(0))
        try:
            self._check_values(*noise)
        except NotMeasurableError as error:
            raise PrefbenchError(str(error)) from error

    def _check_values(self, *noise: Tensor) -> None:
        """Raises `PrefbenchError` for values that are no numbers: torchmetrics does not check all its arguments."""
        value = self.values(noise[0])[0]
        if not np.isfinite(value):
            raise PrefbenchError(f"{self.card.name} gives {value:g} with these arguments")

    def _built(self, reduction: Mapping[str, str]) -> Metric:
        from prefbench.models.loading import choose_device

        metric = build(self.metric_class, type(self).card.name, {**self.settings, **reduction})
        return metric.to(choose_device(None)).eval()

    def values(self, *images: Tensor) -> FloatArray:
        """The metric (N,) of N images (N, 3, H, W), or of N pairs of them."""
        try:
            with no_downloads(self.card.name):
                return self._values(images)
        except PrefbenchError:
            raise
        except Exception as error:  # images too small for its windows, for instance
            raise NotMeasurableError(f"{self.card.name} cannot measure these images: {one_line(error)}") from error


class NoReference(TorchImageMetric):
    """A metric of the drawn image alone."""

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """One column. Raises `NotMeasurableError` for images that the class refuses."""
        total = [self.values(as_tensor([sample.pixels]))[0] for sample in drawn.samples]
        return as_columns(self.card.name, {"total": np.array(total)})


class FullReference(TorchImageMetric):
    """A metric of the drawn image and a reference: here each picture that its user liked and no method has seen.

    Columns, in torchmetrics' own unit: the mean over all of the user's held-out likes; `/nearest`, the best of them;
    `/others`, the mean over those of the next user in the suite's order who has any. Pictures of another prompt are
    never alike pixel by pixel, so the mean means little by itself: read it beside `/others`, which measures the same
    against another user's likes. `/nearest` is best for copies. Pictures are resized to the drawn image's size.
    """

    def _check_values(self, *noise: Tensor) -> None:
        """Raises `PrefbenchError` where a near copy is not better than an unrelated image, as of PSNR with base 0."""
        near, far = (float(self.values(noise[0], image)[0]) for image in (0.99 * noise[0] + 0.01 * noise[1], noise[1]))
        if not np.isfinite([near, far]).all() or near == far or (near > far) != (self.card.direction == "up"):
            raise PrefbenchError(
                f"{self.card.name} means nothing with these arguments: it gives {near:g} for a near copy of an image "
                f"and {far:g} for an unrelated one"
            )

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """Three columns; None without likes. Raises `NotMeasurableError` for images that the class refuses."""
        histories = drawn.evidence.histories["scorer"]
        best = np.max if self.card.direction == "up" else np.min
        parts = {part: np.full(len(drawn.samples), np.nan) for part in ("total", "nearest", "others")}
        for user, rows in rows_of_users(drawn.samples).items():
            likes, others = (_Likes(history) for history in (histories.get(user), next_with_likes(user, histories)))
            for row in rows:
                pixels = drawn.samples[row].pixels
                if len(own := self._against(pixels, likes)):
                    parts["total"][row], parts["nearest"][row] = own.mean(), best(own)
                if len(foreign := self._against(pixels, others)):
                    parts["others"][row] = foreign.mean()
        return as_columns(self.card.name, parts)

    def _against(self, pixels: Pixels, likes: _Likes) -> FloatArray:
        """The metric (L,) of one drawn image and each like."""
        references = likes.at(pixels.shape[1], pixels.shape[0])
        if references is None:
            return np.empty(0)
        return self.values(as_tensor([pixels]).expand(len(references), -1, -1, -1), references)


class _Likes:
    """The liked pictures of one user, decoded once for each size of drawn image."""

    def __init__(self, history: History | None) -> None:
        self._pictures = [judgment.picture for judgment in history.liked] if history is not None else []
        self._tensors: dict[tuple[int, int], Tensor] = {}

    def at(self, width: int, height: int) -> Tensor | None:
        """(L, 3, height, width), None where there are none."""
        if not self._pictures:
            return None
        if (width, height) not in self._tensors:
            images = [picture.load() for picture in self._pictures]
            resized = [
                image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BICUBIC)
                for image in images
            ]
            self._tensors[width, height] = as_tensor([to_pixels(image) for image in resized])
        return self._tensors[width, height]


def next_with_likes(user: str, histories: Mapping[str, History]) -> History | None:
    """The history of the next user in the suite's order, which wraps around, with any like; None if none has."""
    users = list(histories)
    start = users.index(user) + 1 if user in users else 0
    following = [other for other in users[start:] + users[:start] if other != user and histories[other].liked]
    return histories[following[0]] if following else None


def as_tensor(pictures: Sequence[Pixels]) -> Tensor:
    """float32 (N, 3, H, W) in 0 to 1, of uint8 pictures (H, W, 3) of one size."""
    import torch

    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def _computed(metric: Metric, *images: Tensor) -> FloatArray:
    import torch

    # `reset` leaves some classes' sums as they are (RMSE-SW's map), so what holds no weights is copied as it was made.
    metric = metric if any(True for _ in metric.parameters()) else copy.deepcopy(metric)
    with torch.no_grad():
        metric.reset()
        metric.update(*(image.to(metric.device) for image in images))
        value = metric.compute()
    if not isinstance(value, torch.Tensor):
        raise ValueError("it gives more than one value")
    return np.asarray(value.double().cpu().numpy()).reshape(-1)
