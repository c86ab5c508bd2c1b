"""Checks what methods return: a breach of the contract is one line that names the method."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from textwrap import shorten
from typing import Any

from PIL import Image

from prefbench.api import Drawing, History, Method, PrefbenchError, Profile, UnreadableImageError, as_seen, counted
from prefbench.api.errors import unread_picture
from prefbench.api.guard import guarded, module_of, reason
from prefbench.run.texts import text_fault


def asking(method: Method, deed: str) -> guarded:
    """The guard of one call of a method."""
    return guarded(whose(method), deed, module=module_of(method))


def whose(method: Method) -> str:
    """A method as messages name it."""
    return f"method {type(method).card.name!r}"


def checked_drawings(method: str, drawings: Any, requested: int) -> list[Drawing]:
    """The drawings, checked; not what their images show, which `seen` looks at.

    Raises:
        PrefbenchError: anything but one `Drawing` per request, in their order.
    """
    if not isinstance(drawings, Sequence):
        raise PrefbenchError(f"{method} returned {_type(drawings)}, not a sequence of drawings")
    if len(drawings) != requested:
        given, asked = counted(len(drawings), "drawing"), counted(requested, "request")
        raise PrefbenchError(f"{method} returned {given} for {asked}")
    odd = next((_type(drawing) for drawing in drawings if not isinstance(drawing, Drawing)), None)
    if odd is not None:
        raise PrefbenchError(f"{method} returned {odd} where a Drawing belongs")
    return [_checked_drawing(method, drawing) for drawing in drawings]


def _checked_drawing(method: str, drawing: Drawing) -> Drawing:
    """The drawing with a plain count. Raises `PrefbenchError` for one that no row could hold."""
    image, prompt, nfe = drawing.image, drawing.prompt_used, _count(drawing.nfe)
    if not isinstance(image, Image.Image):
        raise PrefbenchError(
            f"{method} returned a drawing whose image is {_type(image)}, not a PIL image;"
            " Image.fromarray makes one of a uint8 array (H, W, 3)"
        )
    if not isinstance(prompt, str):
        raise PrefbenchError(f"{method} returned a drawing whose prompt_used is {_type(prompt)}, not a text")
    if fault := text_fault(prompt):
        raise PrefbenchError(f"{method} returned a drawing with a wrong prompt_used: texts {fault}")
    if nfe is None:
        raise PrefbenchError(f"{method} returned {_shown(drawing.nfe)} as nfe; it is a {_WHOLE}")
    return Drawing(image, prompt, nfe)


def seen(method: str, drawing: Drawing) -> Drawing:
    """The drawing with its image as a person sees it. Raises `UnreadableImageError` where it cannot be seen."""
    try:
        return replace(drawing, image=as_seen(drawing.image))
    except UnreadableImageError as error:
        raise UnreadableImageError(f"{method} returned an image that {error}") from error


def named(error: Exception, history: History) -> str:
    """An error as the rows of a run hold it; of a picture that cannot be read, with the side that it stands on."""
    picture = unread_picture(error)
    sides = ["liked" if j.liked else "disliked" for j in (*history.liked, *history.disliked) if j.picture == picture]
    return reason(error) + (f" ({sides[0]} by {history.user})" if sides else "")


_MOST = 2**63 - 1
_WHOLE = "whole number from 0 to 2^63 - 1"


def _shown(value: Any) -> str:
    """A value as an error names it. Python writes out no number of over 4,300 digits."""
    is_huge = isinstance(value, int) and value.bit_length() > 64
    return f"{'-' * (value < 0)}2^{value.bit_length() - 1} or more" if is_huge else shorten(repr(value), 60)


def _count(value: Any) -> int | None:
    """A whole number as `_WHOLE` says as int, also one of numpy's; None for anything else."""
    try:
        count = operator.index(value)
    except TypeError:
        return None
    return count if 0 <= count <= _MOST else None


def _type(value: Any) -> str:
    return type(value).__name__


def checked_profile(method: str, output: Any, user: str) -> Profile:
    """The profile with a plain count. Raises `PrefbenchError` for anything but a `Profile` of this user."""
    if not isinstance(output, Profile):
        raise PrefbenchError(f"{method} returned {_type(output)}, not a Profile")
    if output.user != user:
        raise PrefbenchError(f"{method} returned the profile of {output.user!r} for {user!r}")
    trained = _count(output.trained_parameters)
    if trained is None:
        raise PrefbenchError(
            f"{method} returned {_shown(output.trained_parameters)} trained parameters; they are a {_WHOLE}"
        )
    return replace(output, trained_parameters=trained)
