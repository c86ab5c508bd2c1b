"""The contracts: what a method, a metric, a scorer, a suite and a backbone are.

Plug-ins import this package and `records` only. Cards are frozen data classes: what a thing is called, where it comes
from, what it uses, what it was trained on.
"""

from __future__ import annotations

from prefbench.api.backbones import Backbone, BackboneCard
from prefbench.api.errors import NotMeasurableError, PrefbenchError
from prefbench.api.features import Extractor, Features, FeatureSet
from prefbench.api.methods import Context, Method, MethodCard
from prefbench.api.metrics import Evidence, ImageMetric, Metric, MetricCard, Scored, SetMetric, UserMetric
from prefbench.api.representations import Represented, States
from prefbench.api.scorers import Scorer, ScorerCard
from prefbench.api.suites import Lesson, Reference, Suite, SuiteCard, Truth

__all__ = [
    "Backbone",
    "BackboneCard",
    "Context",
    "Evidence",
    "Extractor",
    "FeatureSet",
    "Features",
    "ImageMetric",
    "Lesson",
    "Method",
    "MethodCard",
    "Metric",
    "MetricCard",
    "NotMeasurableError",
    "PrefbenchError",
    "Reference",
    "Represented",
    "Scored",
    "Scorer",
    "ScorerCard",
    "SetMetric",
    "States",
    "Suite",
    "SuiteCard",
    "Truth",
    "UserMetric",
]
