"""Code that the loaders of models share: device, precision, and the check that no weight stays random."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import torch

from prefbench import registry
from prefbench.api import PrefbenchError
from prefbench.models import hub
from prefbench.models.devices import DEVICES, check_device, check_dtype
from prefbench.registry import Kind

C = TypeVar("C")
logger = logging.getLogger(__name__)


def find_card(kind: Kind, source: str | Path | C, card_class: type[C], of_folder: Callable[[Path], C]) -> C:
    """The card itself, or that of a registered name, of `path/to/file.py:CARD` or of a folder."""
    if isinstance(source, card_class):
        return source
    registry.check_source(kind, str(source))
    if str(source) not in registry.names(kind) and registry.file_of(str(source)) is None:
        return of_folder(Path(str(source)))
    card = registry.load(kind, str(source))
    if not isinstance(card, card_class):
        raise PrefbenchError(f"{kind} {str(source)!r} is a {type(card).__name__}, not a {card_class.__name__}")
    return card


def choose_device(name: str | None) -> torch.device:
    """The named device, or the best that is here. Raises `PrefbenchError` for one unknown or not here."""
    check_device(name)
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name is None:
        return torch.device(next(kind for kind in DEVICES if here[kind]))
    kind, _, index = name.partition(":")
    if not here[kind] or (kind == "cuda" and index and int(index) >= torch.cuda.device_count()):
        raise PrefbenchError(f"there is no device {name!r} here (found: {', '.join(k for k in DEVICES if here[k])})")
    return torch.device(name)


def choose_dtype(name: str | None, preferred: str, device: torch.device) -> torch.dtype:
    """The named dtype, or float32 on the CPU and the card's elsewhere. Raises `PrefbenchError` for one unknown."""
    check_dtype(name)
    if name is None:
        name = "float32" if device.type == "cpu" else preferred
    elif device.type == "cpu" and name != "float32":
        logger.warning("%s on the CPU is many times slower than float32: up to 60 times", name)
    dtype: torch.dtype = getattr(torch, name)
    return dtype


@contextmanager
def strict_loading(what: str, folder: Path, *libraries: ModuleType) -> Iterator[None]:
    """Context of the libraries' `from_pretrained`: silent, and every reason not to use its output is one line.

    Args:
        what: whose weights they are, as messages name it: `backbone 'sdxl'`.
        libraries: diffusers, transformers; their warnings are collected and their progress bars hidden.

    Raises:
        PrefbenchError: files that cannot be loaded, and parameters without weights, which stay random: the libraries
            only warn of them.
    """
    hub.check_configurations(folder)
    with collected_warnings(*libraries) as messages:
        try:
            yield
        except Exception as error:  # damaged files raise anything
            raise PrefbenchError(f"{what}: {folder} cannot be loaded: {one_line(error)}") from error
    for warning in messages:
        logger.debug("loading %s: %s", folder, warning)
        if "newly initialized" in warning:
            raise PrefbenchError(f"{what}: weights are missing in {folder}: {one_line(warning)}")


def one_line(problem: object) -> str:
    """A library's error or warning without line breaks and terminal colours, at most 300 characters."""
    return " ".join(re.sub(r"\x1b\[[\d;]*m", "", str(problem)).split())[:300]


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.warnings: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.warnings.append(record.getMessage())


@contextmanager
def collected_warnings(*libraries: ModuleType) -> Iterator[list[str]]:
    """Collects the libraries' warnings in place of showing them, and hides their progress bars."""
    collector, loggers = _Collector(), [logging.getLogger(library.__name__) for library in libraries]
    settings = [(one.handlers, one.propagate, one.level) for one in loggers]
    for one in loggers:
        one.handlers, one.propagate = [collector], False
        one.setLevel(logging.WARNING)
    try:
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", FutureWarning)
            for library in libraries:
                stack.enter_context(_bars_hidden(library.utils.logging))
            yield collector.warnings
    finally:
        for one, (handlers, propagate, level) in zip(loggers, settings, strict=True):
            one.handlers, one.propagate = handlers, propagate
            one.setLevel(level)


@contextmanager
def _bars_hidden(settings: Any) -> Iterator[None]:
    active = settings._tqdm_active  # diffusers has no public name for it
    settings.disable_progress_bar()
    try:
        yield
    finally:
        if active:
            settings.enable_progress_bar()
