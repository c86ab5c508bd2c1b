"""Inputs and arguments of a torchmetrics class, from its signatures; builds it without downloading anything."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import io
import shlex
import typing
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from prefbench.api import PrefbenchError
from prefbench.registry import Entry

from .names import FAMILY, Reference, parameters_of

if TYPE_CHECKING:
    from torchmetrics import Metric

Inputs = Literal["image", "pair", "sets"]
"""One image; an image and a reference image; a set of images and a set of references."""


def find_class(reference: Reference) -> type[Metric]:
    """Imports the class. Raises `PrefbenchError` naming a package that it needs."""
    target = f"{FAMILY}.image.{reference.module}:{reference.class_name}"
    metric_class: type[Metric] = Entry("metric", reference.name, target).load()
    return metric_class


def inputs_of(metric_class: type[Metric], name: str) -> Inputs:
    """The inputs that the class compares, by the signature of its `update`.

    Raises:
        PrefbenchError: it takes what a run does not have, such as a generator, or class probabilities.
    """
    hints = typing.get_type_hints(metric_class.update)
    names = list(inspect.signature(metric_class.update).parameters)[1:]
    kinds = [getattr(hints[one], "__name__", str(hints[one])) for one in names]
    has_features = "feature" in inspect.signature(metric_class.__init__).parameters
    if kinds == ["Tensor", "bool"] and has_features:
        return "sets"
    if kinds == ["Tensor", "Tensor"]:
        return "pair"
    if kinds == ["Tensor"] and not has_features:
        return "image"
    needs = "class probabilities of its own network" if has_features else " and ".join(names)
    raise PrefbenchError(f"{name} cannot score a run: it needs {needs}, and a run holds drawn and liked images alone")


def settings_of(metric_class: type[Metric], reference: Reference) -> dict[str, Any]:
    """The arguments of the constructor that are not prefbench's own: those given, and defaults for images in 0 to 1.

    Raises:
        PrefbenchError: a word where the class takes a number.
    """
    hints = typing.get_type_hints(metric_class.__init__)
    signature = inspect.signature(metric_class.__init__).parameters
    parameters = {name: signature[name] for name in parameters_of(reference.class_name)}
    for name, value in reference.arguments.items():
        if isinstance(value, str) and not _takes_words(hints.get(name, str)):
            raise PrefbenchError(f"parameter {name} of {FAMILY}:{reference.short} cannot be {value!r}")
    ranges = {"data_range": 1.0} if "data_range" in parameters else {}
    scaled = {"normalize": True} if hints.get("normalize") is bool and "normalize" in parameters else {}
    defaults = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
    return {**defaults, **ranges, **scaled, **reference.arguments}


def _takes_words(annotation: Any) -> bool:
    options = get_args(annotation)
    return annotation is str or any(isinstance(one, str) or _takes_words(one) for one in options)


def build(metric_class: type[Metric], name: str, settings: Mapping[str, Any]) -> Metric:
    """A metric, ready to be updated.

    Raises:
        PrefbenchError: arguments that the class refuses, or weights that are not on this machine.
    """
    try:
        with no_downloads(name), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # KID's warning that it keeps all features
            return metric_class(**settings)
    except PrefbenchError:
        raise
    except Exception as error:  # a library's constructor may raise anything
        raise PrefbenchError(f"{name}: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """The message of a library's error, without line breaks."""
    return " ".join(str(error).split())[:300] or type(error).__name__


@contextlib.contextmanager
def no_downloads(name: str) -> Iterator[None]:
    """Context in which weights that are not in torch's cache are refused, with the command that gets them.

    torchvision's weights and torchmetrics' own all come through this one function of `torch.hub`, which announces a
    download on standard output before it calls it.
    """
    import torch.hub

    def refuse(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
        del hash_prefix, progress
        command = shlex.join(["curl", "-fL", "--create-dirs", "-o", dst, url])
        raise PrefbenchError(f"{name} needs weights that are not here; get them with: {command}")

    before = torch.hub.download_url_to_file
    torch.hub.download_url_to_file = refuse
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        torch.hub.download_url_to_file = before


def weights_digest(metric: Metric) -> str:
    """The first 12 digits of the SHA-256 of all learned tensors; empty for a metric that has none."""
    tensors = sorted(metric.state_dict().items())
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12] if tensors else ""
