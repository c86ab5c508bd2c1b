"""Mistakes that one line explains."""

from __future__ import annotations


class PrefbenchError(Exception):
    """A mistake of the user's or of a plug-in's that one line explains: shown without a traceback, exit code 2."""


class NotMeasurableError(PrefbenchError):
    """A run offers too little for a metric to mean anything: the metric is left out and the reason reported."""


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
