"""Weights that are here and that are missing: per backbone, language model, extractor, scorer, suite, metric and
method. Loads no weights; `prefbench doctor` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prefbench.api import BackboneCard, MethodCard, Metric, Scorer, StyleCard, SuiteCard, WeightFiles
from prefbench.files import WEIGHTS
from prefbench.models import hub
from prefbench.models.backbones import weights as of_backbones
from prefbench.models.backbones.cards import style_weights
from prefbench.models.hub import MissingWeights
from prefbench.models.mllms import weights as of_mllms
from prefbench.models.mllms.cards import MllmCard
from prefbench.registry import Kind, load, make, names


@dataclass(frozen=True)
class InventoryRow:
    """One registered object and the weights that it needs."""

    kind: Kind
    name: str
    missing: tuple[str, ...]
    """Missing weights, one phrase each; empty for what is ready."""
    command: str
    """The command that gets them; empty for what is ready, and for a metric that the suite has no extractor for."""
    bytes_here: int
    """Bytes of the weights on this disk."""
    bytes_missing: int | None
    """Bytes to download as published, rounded; None where unknown or the weights are trained here."""
    licences: tuple[str, ...]
    """Licences of the weights."""

    @property
    def ready(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True)
class _Part:
    """Weights of one source."""

    where: Path | MissingWeights
    files: Sequence[Path]
    licence: str
    size: int | None = None


class Inventory:
    """Looks for what is registered.

    Args:
        suite: names the backbone and the extractors that methods and metrics are run with.
        weights: the folder of shipped weights, in place of the package's own.
    """

    def __init__(self, suite: SuiteCard, weights: Path = WEIGHTS) -> None:
        self._suite, self._weights = suite, weights

    def rows(self) -> list[InventoryRow]:
        """One row per registered object, methods on the suite's backbone and metrics with the suite's extractors."""
        parts_of = {
            "backbone": self._backbone,
            "mllm": self._mllm,
            "extractor": self._extractor,
            "scorer": self._scorer,
            "metric": self._metric,
            "method": self._method,
        }
        kinds: list[Kind] = ["backbone", "mllm", "extractor", "scorer", "metric", "method"]
        rows = [_row(kind, name, parts_of[kind](name)) for kind in kinds for name in names(kind)]
        return [*rows, _row("suite", self._suite.name, self._shipped(self._suite.weights))]

    def _backbone(self, name: str) -> list[_Part]:
        card: BackboneCard = load("backbone", name)
        if isinstance(card, StyleCard):
            return [self._part(style_weights(card))]
        where = of_backbones.find(replace(card, source=self._moved(card.source)))
        files = of_backbones.files_read(where, of_backbones.variant(card)) if isinstance(where, Path) else []
        return [_Part(where, files, card.licence, card.size)]

    def _mllm(self, name: str) -> list[_Part]:
        card: MllmCard = load("mllm", name)
        where = of_mllms.find(replace(card, source=self._moved(card.source)))
        files = of_mllms.files_read(where) if isinstance(where, Path) else []
        return [_Part(where, files, card.licence, card.size)]

    def _extractor(self, name: str) -> list[_Part]:
        sources = getattr(load("extractor", name), "weights", ())
        return [self._part(weights() if callable(weights) else weights) for weights in sources]

    def _scorer(self, name: str) -> list[_Part]:
        return self._of_scorer(make("scorer", name))

    def _of_scorer(self, scorer: Scorer) -> list[_Part]:
        return [*self._encoders(scorer.card.encoders), *map(self._part, scorer.weights)]

    def row_of(self, metric: Metric) -> InventoryRow:
        """The weights of one metric, which need not be registered."""
        return _row("metric", metric.card.name, self._of_metric(metric))

    def _metric(self, name: str) -> list[_Part]:
        return self._of_metric(make("metric", name))

    def _of_metric(self, metric: Metric) -> list[_Part]:
        extractor = self._suite.extractors.get(metric.extractor) if metric.extractor is not None else None
        if metric.extractor is not None and extractor is None:
            what = f"suite {self._suite.name!r} names no extractor for {metric.extractor!r}"
            return [_Part(MissingWeights(what, ""), [], "")]
        scorer: Scorer | None = getattr(metric, "scorer", None)
        mllm: str | None = getattr(metric, "mllm", None)
        return [
            *(self._extractor(extractor) if extractor is not None else ()),
            *(self._of_scorer(scorer) if scorer is not None else ()),
            *(self._mllm(mllm) if mllm in names("mllm") else ()),
            *(self._shipped(self._suite.weights) if metric.card.asks_truth else ()),
        ]

    def _method(self, name: str) -> list[_Part]:
        card: MethodCard = load("method", name).card
        # Reversed, so in the order of training: a card lists weights before those that they were trained on.
        return [*self._backbone(self._drawn_with(card)), *self._shipped(reversed(card.weights), by=name)]

    def _drawn_with(self, card: MethodCard) -> str:
        """The suite's backbone; of another kind the first registered one that the method draws with."""
        kinds = {name: load("backbone", name).kind for name in (self._suite.backbone, *names("backbone"))}
        return next(name for name, kind in kinds.items() if card.backbone_kind in (None, kind))

    def _encoders(self, encoders: Iterable[str]) -> list[_Part]:
        """The encoders of a card that are loaded; cards also name those that a model was tuned from."""
        mllms = {load("mllm", name).source: name for name in names("mllm")}
        parts = []
        for encoder in encoders:
            if encoder in names("extractor"):
                parts += self._extractor(encoder)
            elif encoder in mllms:
                parts += self._mllm(mllms[encoder])
        return parts

    def _shipped(self, weights: Iterable[str], by: str = "") -> list[_Part]:
        """Shipped weights by their names; those without a trainer of their own come from the trainer `by`."""
        parts = []
        for name in weights:
            trainer = _trainer(name) or _trainer(by)
            files = WeightFiles(str(self._weights / name), ("*.safetensors",), licence="Apache-2.0", trainer=trainer)
            parts += self._mllm(name) if name in names("mllm") else [self._part(files)]
        return parts

    def _part(self, weights: WeightFiles) -> _Part:
        moved = replace(weights, source=self._moved(weights.source))
        where = hub.locate(moved)
        files = hub.files(where, weights.files) if isinstance(where, Path) else []
        return _Part(where, files, weights.licence, weights.size)

    def _moved(self, source: str) -> str:
        path = Path(source)
        return str(self._weights / path.relative_to(WEIGHTS)) if path.is_relative_to(WEIGHTS) else source


def _trainer(name: str) -> str | None:
    return name if name in names("trainer") else None


def _row(kind: Kind, name: str, parts: Sequence[_Part]) -> InventoryRow:
    missing = {part.where: part.size for part in parts if isinstance(part.where, MissingWeights)}
    sizes = [size for size in missing.values() if size is not None]
    together = hub.together(list(missing)) if missing else None
    return InventoryRow(
        kind,
        name,
        missing=tuple(one.what for one in missing),
        command=together.command if together is not None else "",
        bytes_here=hub.size({path for part in parts for path in part.files}),
        bytes_missing=sum(sizes) if len(sizes) == len(missing) else None,
        licences=tuple(dict.fromkeys(part.licence for part in parts if part.licence)),
    )
