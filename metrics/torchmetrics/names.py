"""Names of torchmetrics' image metrics, read without importing it, so that a wrong name is reported at once."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from prefbench.api import PrefbenchError
from prefbench.api.near import unknown

FAMILY = "torchmetrics"
ABBREVIATIONS = {
    "DeepImageStructureAndTextureSimilarity": "dists",
    "ErrorRelativeGlobalDimensionlessSynthesis": "ergas",
    "FrechetInceptionDistance": "fid",
    "KernelInceptionDistance": "kid",
    "LearnedPerceptualImagePatchSimilarity": "lpips",
    "MemorizationInformedFrechetInceptionDistance": "mifid",
    "MultiScaleStructuralSimilarityIndexMeasure": "ms-ssim",
    "PeakSignalNoiseRatio": "psnr",
    "PeakSignalNoiseRatioWithBlockedEffect": "psnrb",
    "RelativeAverageSpectralError": "rase",
    "RootMeanSquaredErrorUsingSlidingWindow": "rmse-sw",
    "SpatialCorrelationCoefficient": "scc",
    "SpectralAngleMapper": "sam",
    "StructuralSimilarityIndexMeasure": "ssim",
    "UniversalImageQualityIndex": "uqi",
    "VisualInformationFidelity": "vif",
}
"""Common names of some classes; every other class has its own name in lower case, such as `total-variation`."""

OF_IMAGES = ("reduction",)
OF_FEATURES = (
    *("feature", "reset_real_features", "normalize"),
    *("feature_extractor_weights_path", "input_img_size", "antialias"),
)
"""Parameters that prefbench sets itself: values per image, and features of the suite's own extractor."""


@dataclass(frozen=True)
class Reference:
    """A class of torchmetrics and arguments of its constructor, as a user named them."""

    short: str
    class_name: str
    module: str
    arguments: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The metric's name, equal for equal references: `torchmetrics:ssim(k2=0.05,sigma=2.0)`."""
        return f"{FAMILY}:{self.short}" + (f"({as_text(self.arguments)})" if self.arguments else "")


def parse(text: str) -> Reference:
    """Reads `ssim` or `ssim(sigma=2.0, k2=0.05)`; values are Python literals, or plain words.

    Raises:
        PrefbenchError: no such metric or parameter, with the nearest match, or arguments that cannot be read.
    """
    short, parenthesis, rest = text.partition("(")
    classes = {short_name(name): (name, module) for name, module in image_classes().items()}
    if short not in classes:
        class_names = {class_name: name for name, (class_name, _) in classes.items()}
        raise PrefbenchError(unknown(f"metric of {FAMILY}", short, sorted(classes), class_names))
    reference = Reference(short, *classes[short], _arguments(text, f"f({rest}") if parenthesis else {})
    _check_parameters(reference)
    return reference


def short_name(class_name: str) -> str:
    """The name of a class on the command line.

    Example:
        >>> short_name("StructuralSimilarityIndexMeasure"), short_name("TotalVariation")
        ('ssim', 'total-variation')
    """
    return ABBREVIATIONS.get(class_name, re.sub(r"(?<=[a-z])(?=[A-Z])", "-", class_name).lower())


@cache
def image_classes() -> dict[str, str]:
    """The image metrics of the installed torchmetrics: class name to the module that defines it."""
    files = sorted(_folder().glob("[!_]*.py"))
    pattern = re.compile(r"^class ([A-Z]\w*)\(Metric\):", re.MULTILINE)
    return {name: file.stem for file in files for name in pattern.findall(file.read_text(encoding="utf-8"))}


def _folder() -> Path:
    spec = find_spec(FAMILY)
    if spec is None or spec.submodule_search_locations is None:
        raise PrefbenchError(f"{FAMILY} is not installed: pip install {FAMILY}")
    return Path(spec.submodule_search_locations[0]) / "image"


def parameters_of(class_name: str) -> list[str]:
    """The parameters of a class's constructor that a user may set, from its source."""
    file = _folder() / f"{image_classes()[class_name]}.py"
    classes = (node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef))
    body = next(node.body for node in classes if node.name == class_name)
    functions = (node for node in body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    names = [argument.arg for function in functions for argument in (*function.args.args, *function.args.kwonlyargs)]
    ours = OF_FEATURES if "feature" in names else OF_IMAGES
    return [name for name in names if name not in ("self", *ours)]


def _check_parameters(reference: Reference) -> None:
    allowed = parameters_of(reference.class_name)
    for name in reference.arguments:
        if name not in allowed:
            raise PrefbenchError(unknown(f"parameter of {FAMILY}:{reference.short}", name, allowed or ["none"]))


def as_text(arguments: Mapping[str, Any]) -> str:
    """`kernel_size=5,net_type=vgg`, sorted by name."""
    return ",".join(f"{name}={_value_text(value)}" for name, value in sorted(arguments.items()))


def _value_text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value).replace(" ", "")


def _arguments(text: str, call: str) -> dict[str, Any]:
    mistake = PrefbenchError(f"metric '{FAMILY}:{text}': arguments read as in ssim(sigma=2.0)")
    try:
        parsed = ast.parse(call, mode="eval").body
        if not isinstance(parsed, ast.Call) or not isinstance(parsed.func, ast.Name) or parsed.args:
            raise mistake
        return {str(keyword.arg): _literal(keyword.value) for keyword in parsed.keywords}
    except (SyntaxError, ValueError) as error:
        raise mistake from error


def _literal(node: ast.expr) -> Any:
    """A plain word, a number, a truth value, None, or a tuple of them. Raises `ValueError` for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    value = ast.literal_eval(node)
    if isinstance(value, str) and not re.fullmatch(r"[\w.-]+", value):
        raise ValueError("a text in a metric's name must be one word")
    return tuple(value) if isinstance(value, list) else value
