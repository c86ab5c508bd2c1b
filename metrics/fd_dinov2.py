"""`fd-dinov2`: the Frechet distance on DINOv2 features, which sees what Inception's do not."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from prefbench.api import MetricCard

from .fid import FrechetDistance


class Dinov2Distance(FrechetDistance):
    """`fid` under the extractor with the role `dinov2` (Stein et al. 2023, section 4.1), 0 for equal sets.

    Inception's features are of ImageNet's classes and of texture; in Stein et al.'s study with human judges, distances
    of DINOv2's features agreed with them better. Published numbers (FD-DINOv2) are of ViT-L/14 at 224 pixels and 50,000
    images; like `fid`, it is biased upwards, and more so with fewer samples: compare only at the same number, beside
    the floor. Copies of references win. A suite that names no such extractor cannot be scored with it.
    """

    card: ClassVar[MetricCard] = replace(
        FrechetDistance.card,
        name="fd-dinov2",
        summary="Frechet distance between Gaussians fitted to DINOv2 features of drawn and reference images",
        source="https://arxiv.org/abs/2306.04675",
    )
    extractor: ClassVar[str] = "dinov2"
