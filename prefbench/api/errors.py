"""Mistakes that one line explains."""

from __future__ import annotations


class PrefbenchError(Exception):
    """A mistake of the user's or of a plug-in's that one line explains: shown without a traceback, exit code 2."""


class NotMeasurableError(PrefbenchError):
    """A run offers too little for a metric to mean anything: the metric is left out and the reason reported."""


class FailedSamplesError(PrefbenchError):
    """More of a run failed than was allowed. What was drawn is stored, and the same call tries the rest again."""
