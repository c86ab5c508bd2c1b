"""The variants that a method offers to `prefbench ablate`, and the request for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError

WHOLE = "whole"
"""The name of the variant of the whole method."""


@dataclass(frozen=True)
class AblationRequest:
    """One call of `prefbench ablate`. None leaves a choice to the method."""

    folder: Path
    """Folder of the finished training to ablate; variants and their runs go into `ablation/` there."""
    images: int | None = None
    """Number of images that every variant, the whole method among them, is trained on."""
    suite: str | None = None
    backbone: str | None = None
    split: str = "val"
    users: int | None = None
    samples: int = 1
    """Samples per case."""
    seeds: int = 1
    """Trainings of every variant that is trained, each with a seed of its own."""
    only: tuple[str, ...] = ()
    """Groups of variants; empty for all."""

    @property
    def work(self) -> Path:
        """Folder of variants and their runs."""
        return self.folder / "ablation"


@dataclass(frozen=True)
class Variant:
    """One way to draw. `group` names what is varied; parameters are as on the command line."""

    group: str
    name: str
    parameters: Mapping[str, Any]
    weights: Path | None = None
    """Folder of its weights where it was trained separately; None for the whole method's."""
    more_weights: tuple[Path, ...] = ()
    """Folders of the same trained with further seeds."""


@dataclass(frozen=True)
class Ablation:
    """The variants of a method, the whole one first, and the data that all were trained on."""

    variants: Sequence[Variant]
    training: Mapping[str, Any]
    defaults: Mapping[str, float]
    """The whole method's own values of parameters that are swept."""
    backbone: str | None = None
    """The backbone that all were trained for and draw with; None for the suite's."""


def checked_ablation(whose: str, returned: Any) -> Ablation:
    """What a method's ablation returned, checked.

    Raises:
        PrefbenchError: anything but an `Ablation` of `Variant`s, the whole method first, with plain data about them.
        TypeError, ValueError: data that JSON does not hold.
    """
    if not isinstance(returned, Ablation):
        raise PrefbenchError(f"{whose} returned a {type(returned).__name__}, not an Ablation")
    variants: Any = returned.variants
    if not isinstance(variants, list | tuple) or not variants:
        raise PrefbenchError(f"{whose}: variants is a {type(variants).__name__}, not a list of one Variant or more")
    for variant in variants:
        _check_variant(whose, variant)
    if variants[0].name != WHOLE:
        raise PrefbenchError(f"{whose}: the first variant must be {WHOLE!r}, got {variants[0].name!r}")
    told: dict[str, Any] = {"training": returned.training, "defaults": returned.defaults}
    for name, content in told.items():
        if not isinstance(content, Mapping):
            raise PrefbenchError(f"{whose}: {name} is a {type(content).__name__}, not a mapping")
        json.dumps(dict(content), allow_nan=False)
    backbone: Any = returned.backbone
    if not isinstance(backbone, str | None):
        raise PrefbenchError(f"{whose}: backbone is a {type(backbone).__name__}, not a name or None")
    return returned


def _check_variant(whose: str, variant: Any) -> None:
    if not isinstance(variant, Variant):
        raise PrefbenchError(f"{whose}: variants holds a {type(variant).__name__}, not a Variant")
    texts: tuple[Any, ...] = variant.group, variant.name
    if not all(isinstance(text, str) and text and text.isprintable() for text in texts):
        raise PrefbenchError(f"{whose}: group and name of a variant are printable texts, got {texts!r}"[:300])
    parameters: Any = variant.parameters
    weights: Any = variant.weights
    if not isinstance(parameters, Mapping) or not isinstance(weights, Path | str | None):
        what = f"{type(parameters).__name__} and {type(weights).__name__}"
        raise PrefbenchError(f"{whose}: parameters are a mapping and weights a folder or None, got {what}")
    json.dumps(dict(parameters), allow_nan=False, default=str)
