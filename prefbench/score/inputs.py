"""The inputs of metrics: features of images and texts, reference sets, evidence. Extractors are loaded once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from prefbench import api
from prefbench.api.guard import guarded, module_of
from prefbench.run.states import load_states
from prefbench.score.cache import FeatureCache
from prefbench.score.guarded_extractor import make_extractor
from prefbench.score.material import Material
from prefbench.score.returned import checked_features
from prefbench.score.set_aside import SetAside
from prefbench.score.sets import take_evenly

_FEWEST_REFERENCES = 4


class ComparedSets(NamedTuple):
    """The sets that a set-level metric compares, all of one size."""

    drawn: api.FeatureSet
    reference: api.FeatureSet
    """One half of the reference images."""
    floor: api.FeatureSet
    """The other half: what it scores against `reference` is the floor."""
    crowd: api.FeatureSet | None
    """What most users like, where the suite has it: what drawing this for everybody scores."""


class MetricInputs:
    """Everything that metrics are given for runs of one suite.

    A role (`text`, `fidelity`) names an extractor on the suite's card. Features are extracted once per run folder and
    stored there.
    """

    def __init__(self, suite: api.Suite) -> None:
        self._suite = suite
        self._extractors: dict[str, api.Extractor] = {}
        self._caches: dict[tuple[Path, str], FeatureCache] = {}
        self._fitted: dict[str, dict[str, str]] = {}
        self.set_aside = SetAside(suite)

    def extractor(self, role: str) -> api.Extractor:
        """The extractor of a role. Raises `PrefbenchError` where the suite names none."""
        name = self._suite.card.extractors.get(role)
        if name is None:
            raise api.PrefbenchError(f"{self._suite.card.name} names no extractor for the role {role!r}")
        if name not in self._extractors:
            self._extractors[name] = make_extractor(name)
        return self._extractors[name]

    def features(self, role: str, samples: Sequence[api.Sample], material: Material) -> api.Features:
        """Features (N, D) of drawn samples by the extractor of a role."""
        return self.features_of(role, [sample.image or "" for sample in samples], material)

    def features_of(self, role: str, digests: Sequence[str], material: Material) -> api.Features:
        """Features (N, D) of drawn images by their digests."""
        return self._cache(role, material).get(digests, material.pixels)

    def lacking(self, role: str, digests: Sequence[str], material: Material) -> list[str]:
        """Those of the digests, once each, whose features the run folder lacks."""
        return self._cache(role, material).lacking(digests)

    def judged_features(self, role: str, material: Material, pictures: Sequence[api.Picture]) -> api.Features:
        """Features (N, D) of pictures that users judged, by the extractor of a role; stored beside the run's."""
        by_digest = {picture.digest: picture for picture in pictures}

        def pixels(digests: Sequence[str]) -> list[api.Pixels]:
            return [api.to_pixels(by_digest[digest].load()) for digest in digests]

        return self._cache(role, material).get([picture.digest for picture in pictures], pixels)

    def _cache(self, role: str, material: Material) -> FeatureCache:
        extractor = self.extractor(role)
        key = (material.folder.path, extractor.id)
        if key not in self._caches:
            self._caches[key] = FeatureCache(material.folder.path, extractor)
        return self._caches[key]

    def evidence(self, metric: api.ImageMetric | api.UserMetric, material: Material) -> api.Evidence:
        """The evidence that the metric's card asks for, and nothing else.

        Raises:
            NotMeasurableError: the card asks for user states and the run stored none.
        """
        card = metric.card
        evidence = api.Evidence(
            truth=self._suite.truth if card.asks_truth else None,
            text_features=self._text_features(metric, material),
            histories={viewer: self._histories(viewer, material) for viewer in card.asks_histories},
        )
        if metric.extractor:
            evidence = replace(evidence, judged_features=partial(self.judged_features, metric.extractor, material))
        if card.asks_representations:
            states = load_states(material.folder, self._suite, [user.id for user in material.users])
            if not states:
                raise api.NotMeasurableError(f"no representations were kept; run again with --metrics {card.name}")
            evidence = replace(evidence, representations=states)
        return evidence

    def fit(self, scorer: api.Scorer | None, material: Material) -> None:
        """Lets a scorer that learns across people learn from all users of the run's split, of whom it may draw some.

        Once for each scorer, and again when pictures were set aside.
        """
        if not isinstance(scorer, api.CrossFittedScorer):
            return
        users = self._suite.users(material.split)
        histories = {u.id: self.set_aside.readable(self._suite.history(u.id, "scorer")) for u in users}
        judgments = {user: history.digest for user, history in histories.items()}
        if self._fitted.get(scorer.id) != judgments:
            with guarded(f"scorer {scorer.card.name!r}", "fit", module=module_of(scorer)):
                scorer.fit(histories)
            self._fitted[scorer.id] = judgments

    def _histories(self, viewer: api.Viewer, material: Material) -> dict[str, api.History]:
        histories = {user.id: self._suite.history(user.id, viewer) for user in material.users}
        return {user: self.set_aside.readable(history) for user, history in histories.items()}

    def _text_features(self, metric: api.Metric, material: Material) -> Mapping[str, api.Features]:
        if metric.extractor != "text":
            return {}
        prompts = sorted({sample.prompt for sample in material.drawn})
        extractor = self.extractor("text")
        with guarded(f"extractor {extractor.id}", "texts", module=module_of(extractor)):
            features = checked_features(extractor.id, extractor.texts(prompts), prompts)
        return dict(zip(prompts, features, strict=True))

    def sets(self, metric: api.SetMetric, material: Material) -> ComparedSets:
        """The drawn images and two halves of the references, cut to the size of the smallest, spread over users.

        Raises:
            NotMeasurableError: the suite has fewer than 4 reference images of the run's users.
        """
        first, second = self._references(metric.extractor, material)
        samples = sorted(material.drawn, key=_place)
        drawn = api.FeatureSet(
            self.features(metric.extractor, samples, material),
            np.array([sample.user for sample in samples]),
            np.array([sample.prompt for sample in samples]),
        )
        n = min(len(drawn), len(first), len(second))
        of_crowd = self.set_aside.crowd_references(material)
        enough = len(of_crowd) >= n
        crowd = take_evenly(self._feature_set(of_crowd, metric.extractor, material), n) if enough else None
        first, second = take_evenly(first, n), take_evenly(second, n)
        return ComparedSets(take_evenly(drawn, n), first, second, crowd)

    def _feature_set(self, references: Sequence[api.Reference], role: str, material: Material) -> api.FeatureSet:
        features = self.judged_features(role, material, [reference.picture for reference in references])
        users, prompts = (np.array([getattr(one, name) for one in references]) for name in ("user", "prompt"))
        return api.FeatureSet(features, users, prompts)

    def _references(self, role: str, material: Material) -> tuple[api.FeatureSet, api.FeatureSet]:
        """The reference images of the run's users, split within each user into two halves."""
        users = {sample.user for sample in material.samples}
        references = self.set_aside.references(material)
        if len(references) < _FEWEST_REFERENCES:
            here = f"{api.counted(len(references), 'reference image')} of these users"
            raise api.NotMeasurableError(f"{here}; {_FEWEST_REFERENCES} are the least")
        whole = self._feature_set(references, role, material)
        half = np.zeros(len(references), dtype=np.int64)
        for user in users:
            rows = np.flatnonzero(whole.users == user)
            half[rows] = np.arange(len(rows)) % 2
        return whole.select(half == 0), whole.select(half == 1)


def _place(sample: api.Sample) -> str:
    """Where a sample stands among those that sets are cut to: the same for every method, and no choice of anybody's."""
    return hashlib.sha256(json.dumps([sample.user, sample.prompt, sample.index]).encode()).hexdigest()
