"""torchmetrics' distances of two sets of images, on the features of the suite's extractor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from prefbench.api import Features, FeatureSet, NotMeasurableError, PrefbenchError, SetMetric, counted

from ..shared.checks import check_features
from .classes import build, one_line

if TYPE_CHECKING:
    from torch import nn
    from torchmetrics import Metric


class TorchSetMetric(SetMetric):
    """A torchmetrics class that compares features of drawn with features of reference images.

    It gets the features of the suite's extractor with the role `fidelity`, in float64, in place of its own network's,
    so nothing is downloaded and numbers of different extractors do not compare. Of a class that gives mean and
    deviation (KID), the value is the mean. Random subsets are drawn from the seed 0.

    `fid`, `kid` and `mmd` of prefbench answer the same questions without random subsets and leave pairs of one user
    out; these are for comparison with numbers of others. Subclasses are made by `family.member`.
    """

    metric_class: ClassVar[type[Metric]]
    settings: ClassVar[Mapping[str, Any]]

    def __init__(self) -> None:
        self._built(1)  # so that wrong arguments are reported before anything is scored

    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The value. Raises `NotMeasurableError` for too few samples, of which KID needs `subset_size`."""
        import torch

        check_features(self.card.name, drawn, reference)
        metric = self._built(drawn.features.shape[1])
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            try:
                metric.update(_as_tensor(reference.features), real=True)
                metric.update(_as_tensor(drawn.features), real=False)
                value = metric.compute()
            except PrefbenchError:
                raise
            except Exception as error:
                raise NotMeasurableError(
                    f"{self.card.name} fails: {len(drawn)} drawn and {counted(len(reference), 'reference image')}:"
                    f" {one_line(error)}"
                ) from error
        return float(value[0] if isinstance(value, tuple) else value)

    def _built(self, width: int) -> Metric:
        return build(self.metric_class, self.card.name, {**self.settings, "feature": _passing(width)})


def _passing(width: int) -> nn.Module:
    """Replaces the network that torchmetrics expects: returns the features (N, width) that it is given."""
    from torch import nn

    class Passing(nn.Identity):
        num_features = width

    return Passing()


def _as_tensor(features: Features) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(features))
