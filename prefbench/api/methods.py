"""What a method is: histories to profiles, profiles and prompts to images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

from prefbench.api.backbones import Backbone, BackboneKind, StyleBackbone
from prefbench.api.errors import PrefbenchError
from prefbench.api.features import Features
from prefbench.api.records import Drawing, History, ProbeItem, Profile, Request
from prefbench.api.suites import TrainUser, Truth


@dataclass(frozen=True)
class MethodCard:
    """What a method is and what it uses, as conformance checks verify."""

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
    """Names of the backbones it runs on; None for any of its kind."""
    backbone_kind: BackboneKind | None = "text-to-image"
    """The kind of backbone that it draws with; None for a method that draws with none and runs on any."""
    trained_on: tuple[str, ...] = ()
    """Data it was trained on, as `suite:split`; what contamination checks read."""
    encoders: tuple[str, ...] = ()
    """Encoders whose features it uses or was trained on; a scorer that shares one says nothing about it."""
    selected_by: tuple[str, ...] = ()
    """Scorers that it trained with or picks by."""
    asks_people: bool = False
    """Whether it learns from other people's judgments when it is set up (`Context.people`)."""
    control: bool = False
    """Whether it exists to expose a weakness of a metric; it may read the suite's truth and is never ranked."""
    attack: str = ""
    """For an attack, how it wins a metric without doing what is asked; empty for every other method."""
    imports: tuple[str, ...] = ()
    """What its code imports that no honest method may: of `suite`, `truth` and `reader`; for controls and attacks."""
    weights: tuple[str, ...] = ()
    """The shipped weights that it loads on the shipped backbone, in order of training.

    Later ones build on earlier ones; their cards say what data they saw.
    """


@dataclass(frozen=True)
class Context:
    """What a method is set up with. Only controls get `truth` and `train_users`; honest methods get None.

    An honest method learns from the train users earlier, in its trainer, or from `people`.
    """

    backbone: Backbone
    """Of a method whose card says `style-transfer` it is a `StyleBackbone`: see `style_backbone`."""
    truth: Truth | None = None
    train_users: Callable[[], Sequence[TrainUser]] | None = None
    """Returns the judgments of the suite's train users."""
    people: Callable[[], Sequence[TrainUser]] | None = None
    """For methods whose cards ask for it: returns the train users, or where a suite has none the users of the split
    that is drawn with what methods see of them. Of those a method leaves out the user that it draws for."""

    @property
    def style_backbone(self) -> StyleBackbone:
        """The backbone, of a method whose card says `style-transfer`. Raises `PrefbenchError` for another kind."""
        card = self.backbone.card
        if card.kind != "style-transfer":
            raise PrefbenchError(f"backbone {card.name!r} draws by {card.kind}, not by style-transfer")
        return cast("StyleBackbone", self.backbone)


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
        """What the method makes of one history. Called once per user, timed, cached by the history's digest."""
        return Profile(history.user)

    @abstractmethod
    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        """One drawing per request, in order. A batch may mix users.

        The noise of a request comes from its own seed alone, so an image does not depend on its neighbours.
        """

    @property
    def card_in_use(self) -> MethodCard:
        """The card of this instance: a parameter may name a scorer, an encoder or other weights.

        Runs record it. Called after `setup`.
        """
        return self.card

    @property
    def weights_digest(self) -> str:
        """SHA-256 over the weights of its own that `setup` loaded: other weights are another run. Empty without any."""
        return ""

    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:  # noqa: ARG002
        """Layer name to vector (D,): what the method knows of a user, for probing.

        With `item`, the method's state at that picture after this history; its layers may differ from those without
        `item`, in name and in width. Either set of layers is the same for every user. Methods without representations
        do not override this.
        """
        return {}

    @classmethod
    def represents(cls) -> bool:
        """Whether the class has representations."""
        return cls.represent is not Method.represent
