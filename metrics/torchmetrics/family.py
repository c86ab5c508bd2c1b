"""`torchmetrics:NAME`: a class of torchmetrics as a metric of prefbench, with a card read off the class."""

from __future__ import annotations

import inspect
import re
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from prefbench.api import ImageMetric, MetricCard, SetMetric

from .names import FAMILY, Reference, as_text, parse

if TYPE_CHECKING:
    from torchmetrics import Metric

    from .classes import Inputs

_WRONG_DIRECTIONS: dict[str, Literal["up", "down"]] = {"SpectralDistortionIndex": "down"}
"""Metrics whose direction torchmetrics states wrongly: 0 for equal images, larger with distortion."""
_QUESTIONS: dict[Inputs, Literal["fidelity", "preference", "side"]] = {
    "image": "side",
    "pair": "preference",
    "sets": "fidelity",
}
_OF = {
    "image": "of the drawn image",
    "pair": "of the drawn image and its user's held-out likes, the mean over these",
    "sets": "between the features of drawn and of reference images",
}
_RECIPES = {
    "image": "images-0-to-1",
    "pair": "images-0-to-1,mean-over-held-out-likes,likes-resized-bicubic,others=next-user",
    "sets": "float64-features-of-the-suite,seed-0",
}


@cache
def member(text: str) -> type[ImageMetric] | type[SetMetric]:
    """The metric of a text such as `ssim` or `ssim(sigma=2.0)`, as a class that takes no parameters.

    Direction, arguments and inputs come from torchmetrics' class. Its `plot_lower_bound` and `plot_upper_bound` are
    ends of axes and no bounds: SSIM and KID go below theirs, so the card leaves bounds open.

    Raises:
        PrefbenchError: an unknown name or argument, a class that cannot score a run, or a package that it needs.
    """
    reference = parse(text)

    from .classes import find_class, inputs_of, settings_of
    from .image import FullReference, NoReference
    from .sets import TorchSetMetric

    metric_class = find_class(reference)
    inputs = inputs_of(metric_class, reference.name)
    settings = settings_of(metric_class, reference)
    base = {"image": NoReference, "pair": FullReference, "sets": TorchSetMetric}[inputs]
    attributes: dict[str, Any] = {
        "__doc__": base.__doc__,
        "__module__": __name__,
        "card": _card(reference, metric_class, inputs, settings),
        "metric_class": metric_class,
        "settings": settings,
        "takes_reduction": "reduction" in inspect.signature(metric_class.__init__).parameters,
    }
    return type(reference.class_name, (base,), attributes)


def _card(reference: Reference, metric_class: type[Metric], inputs: Inputs, settings: dict[str, Any]) -> MetricCard:
    installed = version(FAMILY)
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", reference.class_name).capitalize()
    recipe = [reference.class_name, *([as_text(settings)] if settings else []), _RECIPES[inputs]]
    upwards: Literal["up", "down"] = "up" if metric_class.higher_is_better else "down"
    return MetricCard(
        name=reference.name,
        version=installed,
        summary=f"{words} {_OF[inputs]}, by torchmetrics",
        question=_QUESTIONS[inputs],
        direction=_WRONG_DIRECTIONS.get(reference.class_name, upwards),
        unit="set" if inputs == "sets" else "image",
        recipe=",".join(recipe),
        source=f"https://github.com/Lightning-AI/torchmetrics/blob/v{installed}/src/torchmetrics/image/{reference.module}.py",
        asks_histories=("scorer",) if inputs == "pair" else (),
        undirected=(f"{reference.name}/others",) if inputs == "pair" else (),
        won_by=() if inputs == "image" else ("copy",),
        won_how="" if inputs == "image" else "copied pictures are real ones, whatever the prompt",
    )
