"""Preference questions about a history of images, as conversations in the words that the language model was trained on.

Templates are data: `Templates` can be replaced whole, and every kind of question has several wordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from prefbench.api import History, Judgment, PrefbenchError, UnreadableImageError
from prefbench.models.mllms.conversation import Conversation, Judged, Part, answer, ask


@dataclass(frozen=True)
class Templates:
    """Wordings; `{picture}` stands for an image, `{words}` for phrases, the first of each is used at test time."""

    liked: tuple[str, ...] = ("liked",)
    disliked: tuple[str, ...] = ("disliked",)
    likes: tuple[str, ...] = ("what does the user like?", "which style does the user prefer?")
    dislikes: tuple[str, ...] = ("what does the user dislike?", "which style does the user not like?")
    like: tuple[str, ...] = ("does the user like this picture {picture}?", "is this picture liked {picture}?")
    which: tuple[str, ...] = (
        "which picture does the user prefer, the first {picture} or the second {picture}?",
        "the first {picture} or the second {picture}, which is liked?",
    )
    drawn: tuple[str, ...] = ("would the user like a picture of {words}?", "would {words} be liked?")
    show: tuple[str, ...] = ("what does this picture show {picture}?", "which style is this picture {picture}?")
    yes: str = "yes"
    no: str = "no"
    because: str = "{answer}, {words}"
    first: str = "first"
    second: str = "second"
    nothing: str = "nothing"

    def texts(self) -> list[str]:
        """All words of the templates, for learning a vocabulary."""
        rows = (self.liked, self.disliked, self.likes, self.dislikes, self.like, self.which, self.drawn, self.show)
        single = [self.yes, self.no, self.first, self.second, self.nothing]
        return [text.format(picture="", words="") for row in rows for text in row] + single


TEMPLATES = Templates()


@dataclass(frozen=True)
class Examples:
    """In-context examples: the images of each side of a history, in their order."""

    liked: tuple[Image.Image, ...]
    disliked: tuple[Image.Image, ...]

    @classmethod
    def of(cls, history: History) -> Examples:
        """All of a history. Raises `PrefbenchError` where one of its images cannot be read."""
        liked, disliked = (
            tuple(load_judged(judgment, history.user) for judgment in side)
            for side in (history.liked, history.disliked)
        )
        return cls(liked, disliked)

    def __bool__(self) -> bool:
        return bool(self.liked or self.disliked)

    def parts(self, liked: str, disliked: str, *, liked_first: bool = True) -> list[Part]:
        """The parts of a turn that shows it: two blocks, in which every image follows its label."""
        blocks = (
            [part for image in self.liked for part in (liked, image)],
            [part for image in self.disliked for part in (disliked, image)],
        )
        first, second = blocks if liked_first else reversed(blocks)
        return [*first, *second]


def load_judged(judgment: Judgment, user: str) -> Image.Image:
    """The judged image. Raises `PrefbenchError` with the user and the file where it cannot be read."""
    try:
        return judgment.picture.load()
    except UnreadableImageError as error:
        raise PrefbenchError(f"an image in the history of user {user!r} cannot be read: {error}") from error


def likes_question(examples: Examples, templates: Templates = TEMPLATES) -> Conversation:
    """The conversation that the user embedding is read from: the history, then the question what the user likes."""
    history = [Judged(examples.liked, examples.disliked, (templates.liked[0], templates.disliked[0]))]
    return [ask(*(history if examples else []), templates.likes[0])]


def judged_next(
    examples: Examples, picture: Image.Image, *, liked: bool = True, templates: Templates = TEMPLATES
) -> Conversation:
    """The history, and a picture with its word as if it were the history's next."""
    words = templates.liked[0], templates.disliked[0]
    history = [Judged(examples.liked, examples.disliked, words)] if examples else []
    return [ask(*history, picture, words[not liked])]


def follow_up(
    examples: Examples, first_answer: str, question: str, *pictures: Image.Image, templates: Templates = TEMPLATES
) -> Conversation:
    """Another question after the answer to `likes_question`; `pictures` replace its `{picture}` marks."""
    return [*likes_question(examples, templates), answer(first_answer), ask(*question_parts(question, pictures))]


def question_parts(text: str, pictures: Sequence[Image.Image]) -> list[Part]:
    """The parts of a turn: `text`, with the pictures at its `{picture}` marks."""
    pieces = text.split("{picture}")
    if len(pieces) - 1 != len(pictures):
        raise ValueError(f"{text!r} has {len(pieces) - 1} `{{picture}}` marks for {len(pictures)} pictures")
    parts: list[Part] = [pieces[0].strip()]
    for picture, piece in zip(pictures, pieces[1:], strict=True):
        parts += [picture, piece.strip()]
    return [part for part in parts if part != ""]
