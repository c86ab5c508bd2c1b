"""Mistakes that one line explains."""

from __future__ import annotations

import re


class PrefbenchError(Exception):
    """A mistake of the user's or of a plug-in's that one line explains: shown without a traceback, exit code 2."""


class UnreadableImageError(PrefbenchError, ValueError):
    """A picture that cannot be decoded, must not be because of its size, or is another than its digest says.

    `picture` is the `Picture` of the suite, where it is one.
    """

    def __init__(self, message: str, picture: object = None) -> None:
        super().__init__(message)
        self.picture = picture


def unread_picture(error: BaseException | None) -> object:
    """The suite's `Picture` that an error, or what it was raised from, says cannot be read; None without one."""
    while error is not None:
        if isinstance(error, UnreadableImageError) and error.picture is not None:
            return error.picture
        error = error.__cause__
    return None


class NotMeasurableError(PrefbenchError):
    """A run offers too little for a metric to mean anything: the metric is left out and the reason reported."""


class NoSpaceError(PrefbenchError):
    """A disk or quota is full. Nothing is wrong with what was to be written: the same command goes on with room."""


class FailedSamplesError(PrefbenchError):
    """More of a run failed than was allowed. What was drawn is stored, and the same call tries the rest again."""


class PluginError(PrefbenchError):
    """A plug-in raised what no contract allows: the line names it, what it was asked for, and the exception.

    Args:
        whose: the plug-in as messages name it: `method 'mine'`.
        deed: what it was asked for: `generate`.
        reason: the exception's class and text in one line.
    """

    def __init__(self, whose: str, deed: str, reason: str) -> None:
        super().__init__(f"{whose}: {deed} raised {reason}")
        self.reason = reason


def without_addresses(text: str) -> str:
    """A message without addresses in memory, so that equal causes read alike."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)
