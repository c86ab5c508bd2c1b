"""The contracts: what a method, a metric, a suite and a backbone are. Plug-ins import this module and `records` only.

Cards are frozen data classes: what a thing is called, where it comes from, what it uses, what it was trained on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prefbench.records import PARTS, Case, Drawing, History, Part, Picture, Pixels, Profile, Request, Split, User

if TYPE_CHECKING:
    import torch
    from diffusers import DiffusionPipeline

Features = NDArray[np.float64]


class PrefbenchError(Exception):
    """A mistake of the user's or of a plug-in's that one line explains: shown without a traceback, exit code 2."""


class NotMeasurableError(PrefbenchError):
    """A run offers too little for a metric to mean anything: the metric is left out and the reason said."""


# --------------------------------------------------------------------------------------------------- methods


@dataclass(frozen=True)
class MethodCard:
    """What a method is and what it uses; conformance checks hold it to that."""

    name: str
    version: str
    summary: str
    paper: str | None = None
    licence: str = "Apache-2.0"
    uses_liked: bool = True
    uses_disliked: bool = True
    uses_prompts: bool = False
    uses_comments: bool = False
    training: Literal["none", "once", "per user"] = "none"
    backbones: tuple[str, ...] | None = None
    """Names of the backbones it runs on; None for any."""
    trained_on: tuple[str, ...] = ()
    """Data it was trained on, as `suite:split`; what contamination checks read."""
    control: bool = False
    """Exists to expose a metric; it may ask the suite's truth and is never ranked."""


@dataclass(frozen=True)
class Context:
    """What a method is set up with. `truth` is given to controls only; honest methods get None."""

    backbone: Backbone
    truth: Truth | None = None


class Method(ABC):
    """Turns a history into a profile, and profiles with prompts into images.

    The constructor's keyword arguments are the method's parameters (`-p scale=0.6`), parsed by their annotations; each
    needs a default.
    """

    card: ClassVar[MethodCard]

    def setup(self, context: Context) -> None:
        """Called once before anything else; loads what the method needs."""
        self.context = context

    def profile(self, history: History) -> Profile:
        """What the method makes of one history. Called once a user, timed, cached by the history's digest."""
        return Profile(history.user)

    @abstractmethod
    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        """One drawing a request, in order. A batch may mix users.

        The noise of a request comes from its own seed alone, so an image does not depend on its neighbours.
        """

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the weights of its own that `setup` loaded: other weights are another run. Empty without any."""
        return ""

    def represent(self, history: History) -> Mapping[str, Features]:  # noqa: ARG002
        """Layer name to vector, for probing. Methods without representations leave it empty."""
        return {}


# ------------------------------------------------------------------------------------------------- backbones


@dataclass(frozen=True)
class BackboneCard:
    """How a backbone is loaded and driven."""

    name: str
    pipeline: str
    """Class name in diffusers."""
    source: str
    """Hub id, or the folder of shipped weights."""
    revision: str | None
    resolution: int
    steps: int
    guidance: float
    dtype: Literal["float32", "float16", "bfloat16"]
    licence: str


class Backbone(Protocol):
    """A text-to-image pipeline that methods drive."""

    card: BackboneCard
    pipeline: DiffusionPipeline
    device: torch.device
    dtype: torch.dtype

    @property
    def digest(self) -> str:
        """SHA-256 over the weights."""

    def generate(
        self,
        prompts: Sequence[str],
        seeds: Sequence[int],
        *,
        negative_prompts: Sequence[str] | None = None,
        **pipeline_arguments: Any,
    ) -> list[Image.Image]:
        """Draws one image a prompt from that prompt's own seed; text embeddings are computed once a prompt and run."""

    def roundtrip(self, image: Image.Image) -> Image.Image:
        """The image through the autoencoder: what a perfect denoiser could draw at best."""

    @property
    def evaluations(self) -> int:
        """Denoiser passes for one image with the card's settings."""

    def evaluations_at(self, guidance: float) -> int:
        """Denoiser passes for one image with another guidance scale."""


# ---------------------------------------------------------------------------------------------------- suites


@dataclass(frozen=True)
class SuiteCard:
    """A data set with its protocol, and what it is run with unless the user says otherwise."""

    name: str
    version: str
    summary: str
    licence: str
    backbone: str
    metrics: tuple[str, ...]
    extractors: Mapping[str, str]
    """What each role is filled by here: `fidelity` (fid, kid), `text` (clip-score)."""
    samples_per_case: int = 2


@dataclass(frozen=True)
class Reference:
    """One image of the reference set: a user's own liked image that no method sees."""

    user: str
    prompt: str
    picture: Picture


@dataclass(frozen=True)
class Lesson:
    """What methods may learn from one user of the train split: all judgments, and words where the suite knows them."""

    history: History
    likes: tuple[str, ...] = ()
    """What the user likes, a phrase each; empty where nobody knows or no words exist."""
    dislikes: tuple[str, ...] = ()
    shows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Digest of a judged picture to phrases for what it shows beside its prompt."""


class Truth(Protocol):
    """What a suite offers that knows its users' true taste. Metrics and controls ask it, honest methods never."""

    groups: Sequence[str]

    @property
    def id(self) -> str:
        """What its answers depend on beside the pictures: the world's version, the instrument and its weights."""

    def utility(self, user: str, pictures: Sequence[Pixels]) -> Mapping[str, Features]:
        """The user's utility of each picture: `total` and one entry a group of axes; 0 the prior's mean, 1 the best."""

    def fidelity(self, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Mapping[str, Features]:
        """The probability that each picture shows what its prompt names: `total`, and one entry a part."""

    def ideal(self, user: str, prompt: str, seed: int) -> Image.Image:
        """The best image for the user and prompt that the world can render."""

    def inferred(self, history: History) -> Any:
        """What can be known of the user's taste from a history under the true choice model; for `render_inferred`."""

    def render_inferred(self, inferred: Any, prompt: str, seed: int) -> Image.Image:
        """The best image for an inferred taste."""

    def words(self, user: str) -> str:
        """The user's true taste in the words that prompts have for it; may be empty."""

    def random_words(self, seed: int) -> str:
        """Style words drawn at random."""


class Suite(ABC):
    """Users, splits, histories, cases and references of one data set."""

    card: ClassVar[SuiteCard]

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 over everything that scores depend on: users, histories, cases, references."""

    @abstractmethod
    def users(self, split: Split) -> Sequence[User]:
        """The users of a split, in a fixed order."""

    @abstractmethod
    def history(self, user: str, part: Part = "method") -> History:
        """The judgments of a user; parts are disjoint. Raises `PrefbenchError` for an unknown user."""

    @abstractmethod
    def cases(self, user: str) -> Sequence[Case]:
        """What is to be drawn for a user."""

    @abstractmethod
    def references(self, split: Split) -> Sequence[Reference]:
        """The users' own liked images that no method sees."""

    def lessons(self) -> Sequence[Lesson]:
        """What methods may learn from: one lesson a user of the train split, in the order of `users`."""
        lessons = []
        for user in self.users("train"):
            seen, kept = (self.history(user.id, part) for part in PARTS)
            lessons.append(Lesson(History(user.id, seen.liked + kept.liked, seen.disliked + kept.disliked)))
        return lessons

    def training_prompts(self) -> frozenset[str]:
        """The prompts of all captions that shipped models were trained on, without words of style."""
        return frozenset()

    @property
    def truth(self) -> Truth | None:
        """The known truth, where there is one."""
        return None


# --------------------------------------------------------------------------------------------------- metrics


@dataclass(frozen=True)
class MetricCard:
    """What a metric measures and how to read it. `recipe` names every choice that moves the number."""

    name: str
    version: str
    summary: str
    question: Literal["fidelity", "adherence", "preference", "side"]
    direction: Literal["up", "down"]
    unit: Literal["image", "set"]
    recipe: str
    bounds: tuple[float | None, float | None] = (None, None)
    source: str | None = None
    asks_truth: bool = False
    """Whether it needs the suite's truth; only then does it get to see it."""
    won_by: tuple[str, ...] = ()
    """Controls that can win it without doing what it asks; tables mark it so."""

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}[{self.recipe}]"


@dataclass(frozen=True)
class Scored:
    """A drawn sample as metrics see it: key, user, original prompt, pixels uint8 (H, W, 3)."""

    key: str
    user: str
    prompt: str
    pixels: Pixels


class Extractor(Protocol):
    """Turns images and texts into features; one pass serves every metric that names it."""

    @property
    def id(self) -> str:
        """Name, recipe and weights hash: the cache key."""

    def images(self, pictures: Sequence[Pixels]) -> Features:
        """Features (N, D) of uint8 pictures."""

    def texts(self, texts: Sequence[str]) -> Features:
        """Features (N, D) of texts. Raises `PrefbenchError` where the extractor has no text tower."""


class ImageMetric(ABC):
    """One value a sample."""

    card: ClassVar[MetricCard]
    extractor: ClassVar[str | None] = None
    """The role of the extractor it needs (`text`, `fidelity`), or None."""

    @abstractmethod
    def score(
        self, samples: Sequence[Scored], features: Features | None, evidence: Evidence
    ) -> Mapping[str, Sequence[float | None]]:
        """Column name to one value a sample; the first column is the metric's own name, further ones are its parts."""


class SetMetric(ABC):
    """One value for a set of samples against a set of references."""

    card: ClassVar[MetricCard]
    extractor: ClassVar[str] = "fidelity"

    @abstractmethod
    def compare(self, drawn: FeatureSet, reference: FeatureSet) -> float:
        """The value. Raises `NotMeasurableError` where there are too few samples for it to mean anything."""

    def exchanged(
        self, first: FeatureSet, second: FeatureSet, reference: FeatureSet
    ) -> Callable[[NDArray[np.bool_]], float]:
        """What `first` scores more than `second`, as a function of the users whose rows the two exchange.

        Both hold the same users and prompts row by row; the function takes a mark for each user, in the order of their
        names. A metric for which that is faster prepares here what does not change, and returns the same numbers.
        """
        rows = np.unique(first.users, return_inverse=True)[1]

        def difference(marked: NDArray[np.bool_]) -> float:
            swapped = marked[rows][:, None]
            own = FeatureSet(np.where(swapped, second.features, first.features), first.users, first.prompts)
            other = FeatureSet(np.where(swapped, first.features, second.features), first.users, first.prompts)
            return self.compare(own, reference) - self.compare(other, reference)

        return difference


@dataclass(frozen=True)
class FeatureSet:
    """Features (N, D) with the user and the prompt each row belongs to. Concatenation merges sets exactly."""

    features: Features
    users: NDArray[np.str_]
    prompts: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.features)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> FeatureSet:
        """The set of some rows."""
        return FeatureSet(self.features[rows], self.users[rows], self.prompts[rows])


@dataclass(frozen=True)
class Evidence:
    """What a metric may ask beside the samples: text features, the suite's truth."""

    truth: Truth | None
    text_features: Mapping[str, Features]
    """Prompt to its vector (D,) under the metric's extractor."""


Metric = ImageMetric | SetMetric
