"""The contracts: what methods, metrics, scorers, suites, backbones and reports are, and the records they exchange.

The one import for plug-ins. Cards are frozen data classes: what a thing is called, where it comes from, what it uses,
what it was trained on.
"""

from __future__ import annotations

from prefbench.api.backbones import BACKBONE_KINDS, Backbone, BackboneCard, BackboneKind, StyleBackbone, StyleCard
from prefbench.api.drawn import (
    NEAR_CONSTANT,
    DrawnCounts,
    PictureCounts,
    TextsRead,
    colour_spread,
    count_drawn,
    count_pictures,
)
from prefbench.api.errors import FailedSamplesError, NotMeasurableError, PrefbenchError, UnreadableImageError
from prefbench.api.features import (
    Extractor,
    ExtractorCard,
    Features,
    FeatureSet,
    FloatArray,
    ReadsTexts,
    as_features,
)
from prefbench.api.grids import NOTE_LIMIT, TEXT_LIMIT, Cells, Grid, agreeing, counted, fixed, plain, printable
from prefbench.api.methods import Context, Method, MethodCard
from prefbench.api.metrics import (
    DrawnImages,
    Evidence,
    ImageMetric,
    Metric,
    MetricCard,
    Resampling,
    Scored,
    SetMetric,
    UserMetric,
)
from prefbench.api.pictures import (
    FORMATS,
    MAX_BYTES,
    MAX_PIXELS,
    Pixels,
    as_seen,
    decode_image,
    encode_png,
    image_digest,
    to_pixels,
)
from prefbench.api.records import (
    SPLITS,
    VIEWERS,
    Bounds,
    Case,
    Drawing,
    Estimate,
    History,
    Judgment,
    Picture,
    ProbeItem,
    Profile,
    Request,
    Sample,
    Split,
    User,
    Viewer,
)
from prefbench.api.reports import Report, ReportCard, ReportContext
from prefbench.api.representations import States, UserStates
from prefbench.api.runs import ALL, Cost, ScoredRun, SummaryRow
from prefbench.api.scorers import CrossFittedScorer, PairScorer, Scorer, ScorerCard
from prefbench.api.scores import DERIVED, ROUNDING, Column, ScoreHeader, ScorerRecord, Scores
from prefbench.api.suites import Reference, Suite, SuiteCard, TrainUser, Truth
from prefbench.api.weights import WeightFiles

__all__ = [
    "ALL", "BACKBONE_KINDS", "DERIVED", "FORMATS", "MAX_BYTES", "MAX_PIXELS", "NEAR_CONSTANT", "NOTE_LIMIT", "ROUNDING",
    "SPLITS", "TEXT_LIMIT", "VIEWERS", "Backbone", "BackboneCard", "BackboneKind", "Bounds", "Case", "Cells", "Column",
    "Context", "Cost", "CrossFittedScorer", "Drawing", "DrawnCounts", "DrawnImages", "Estimate", "Evidence",
    "Extractor", "ExtractorCard", "FailedSamplesError", "FeatureSet", "Features", "FloatArray", "Grid", "History",
    "ImageMetric", "Judgment", "Method", "MethodCard", "Metric", "MetricCard", "NotMeasurableError", "PairScorer",
    "Picture", "PictureCounts", "Pixels", "PrefbenchError", "ProbeItem", "Profile", "ReadsTexts", "Reference", "Report",
    "ReportCard", "ReportContext", "Request", "Resampling", "Sample", "ScoreHeader", "Scored", "ScoredRun", "Scorer",
    "ScorerCard", "ScorerRecord", "Scores", "SetMetric", "Split", "States", "StyleBackbone", "StyleCard", "Suite",
    "SuiteCard", "SummaryRow", "TextsRead", "TrainUser", "Truth", "UnreadableImageError", "User", "UserMetric",
    "UserStates", "Viewer", "WeightFiles", "agreeing", "as_features", "as_seen", "colour_spread", "count_drawn",
    "count_pictures", "counted", "decode_image", "encode_png", "fixed", "image_digest", "plain", "printable",
    "to_pixels",
]  # fmt: skip
