"""What a suite is: users, splits, histories, cases, references, and the truth where it is known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from PIL import Image

from prefbench.api.errors import PrefbenchError
from prefbench.api.features import Features
from prefbench.api.guard import note_suite
from prefbench.api.pictures import Pixels
from prefbench.api.records import VIEWERS, Case, History, Picture, Split, User, Viewer

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


@dataclass(frozen=True)
class SuiteCard:
    """A data set with its protocol, and what it is run with unless the user says otherwise.

    Its pictures count as a person sees them: upright, on white, in sRGB of 8 bits (`prefbench.api.pictures`).
    """

    name: str
    version: str
    summary: str
    licence: str
    backbone: str
    metrics: tuple[str, ...]
    extractors: Mapping[str, str]
    """What each role is filled by here: `fidelity` (fid, kid, mmd, cmmd, density, coverage), `text` (clip-score),
    `similarity` (copy-rate, clip-i, diversity), `style` (style), `dinov2` (fd-dinov2). Metrics whose role is not named
    cannot be scored."""
    samples_per_case: int = 2
    weights: tuple[str, ...] = ()
    """The shipped weights that its truth loads."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """What each kind of user is, for the note under a table that lists kinds apart."""


@dataclass(frozen=True)
class Reference:
    """One image of the reference set: an image that no method sees, as a user likes it."""

    user: str
    prompt: str
    picture: Picture


@dataclass(frozen=True)
class TrainUser:
    """What methods may learn from one user of the train split: all judgments, and words where the suite knows them."""

    history: History
    likes: tuple[str, ...] = ()
    """What the user likes, one phrase each; empty where it is unknown or has no words."""
    dislikes: tuple[str, ...] = ()
    shows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Digest of a judged picture to phrases for what it shows beside its prompt."""


class Truth(Protocol):
    """What a suite offers that knows its users' true tastes. Metrics and controls use it, honest methods never."""

    @property
    def groups(self) -> Sequence[str]:
        """The parts that `utility` tells apart beside `total`."""

    @property
    def id(self) -> str:
        """What its answers depend on beside the pictures: the world's version, the instrument and its weights."""

    def utility(self, user: str, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Mapping[str, Features]:
        """The user's utility of each picture, drawn or judged for the prompt at its place: `total` and one entry per
        group; 0 the prior's mean, 1 the best.

        By the user's taste on what the prompt is of. Looks that the prompt itself names count as asked for, whatever is
        drawn: they are matters of fidelity. NaN where a group cannot be told. A group called `liked` is no utility but
        the probability, 0 to 1, that the picture is liked as an answer to its prompt.
        """

    def fidelity(self, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Mapping[str, Features]:
        """The probability that each picture shows what its prompt names: `total`, and one entry per part.

        NaN for a part that the prompt at its place does not have.
        """

    def ideal(self, user: str, prompt: str, seed: int) -> Image.Image:
        """The best image for the user and prompt that the world can render."""

    def graded(self, user: str, prompt: str, seed: int, *, strength: float, recoloured: bool = False) -> Image.Image:
        """An image at a strength of personalisation: 0 the world's prior, 1 `ideal`.

        With one seed, axes set at a lower strength stay set at a higher one. With `recoloured`, the same image in other
        colours of the world.
        """

    def inferred(self, history: History) -> Any:
        """What can be known of the user's taste from a history under the true choice model.

        For `render_inferred` and `inferred_words`.
        """

    def render_inferred(self, inferred: Any, prompt: str, seed: int) -> Image.Image:
        """The best image for an inferred taste."""

    def inferred_words(self, inferred: Any, prompt: str) -> str:
        """An inferred taste in the words that prompts have for it, but those of the prompt; may be empty."""

    def words(self, user: str, prompt: str) -> str:
        """The user's true taste for a prompt in the words that prompts have for it, but those of the prompt; may be
        empty.
        """

    def random_words(self, prompt: str, seed: int) -> str:
        """Style words drawn at random, none of which gainsays the prompt."""


class Suite(ABC):
    """Users, splits, histories, cases and references of one data set."""

    card: ClassVar[SuiteCard]
    unrecorded: ClassVar[Mapping[str, Any]] = {}
    """Parameters that runs do not name which were drawn before the suite had them, with the values that those had."""

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """Notes which plug-in's code makes a suite: no honest method does."""
        note_suite(f"{cls.__module__}.{cls.__qualname__}")
        return super().__new__(cls)

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 over everything that scores depend on: users, histories, cases, references."""

    @abstractmethod
    def users(self, split: Split) -> Sequence[User]:
        """The users of a split, in a fixed order."""

    @abstractmethod
    def history(self, user: str, viewer: Viewer = "method") -> History:
        """A user's judgments; the two viewers see disjoint ones. Raises `PrefbenchError` for an unknown user."""

    @abstractmethod
    def cases(self, user: str) -> Sequence[Case]:
        """The cases (prompts) to draw for a user."""

    @abstractmethod
    def references(self, split: Split) -> Sequence[Reference]:
        """Images as the users like them that no method sees: their likes that only scorers see or, where the suite can
        make them, pictures of the cases' own prompts in styles that the users liked.
        """

    def crowd_references(self, split: Split) -> Sequence[Reference]:  # noqa: ARG002
        """The same prompts in the style that most users like; set-level metrics show what these would score.

        Empty where the suite knows of none.
        """
        return ()

    def train_users(self) -> Sequence[TrainUser]:
        """What methods may learn from: one `TrainUser` per user of the train split, in the order of `users`."""
        train_users = []
        for user in self.users("train"):
            first, second = (self.history(user.id, viewer) for viewer in VIEWERS)
            history = History(user.id, first.liked + second.liked, first.disliked + second.disliked)
            train_users.append(TrainUser(history))
        return train_users

    def training_prompts(self) -> frozenset[str]:
        """The prompts of all captions that shipped models were trained on, without their style words."""
        return frozenset()

    def inventory(self) -> Mapping[str, str]:
        """What of the data was found, what is left out, and why, a line under each name; none where nothing is read."""
        return {}

    def checks(self) -> Mapping[str, Callable[[], str]]:
        """Checks of this suite alone, by name, which `prefbench check suite` makes after its own.

        Each returns what it measured, and raises `PrefbenchError` where that is not as it should be.
        """
        return {}

    def untrained_backbone(self) -> DiffusionPipeline:
        """The default backbone with random weights, as conformance checks draw with: they need no trained ones.

        Raises:
            PrefbenchError: the suite has none; name a backbone.
        """
        raise PrefbenchError(f"suite {self.card.name} has no untrained backbone: name a backbone to check with")

    @property
    def truth(self) -> Truth | None:
        """The known truth, where there is one."""
        return None
