"""What a method knows of a user in its own numbers, as a run keeps it for probing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from prefbench.api.records import Judgment, Picture

States = Mapping[str, NDArray[np.float32]]
"""Layer name to a matrix with a row a state."""


@dataclass(frozen=True)
class UserStates:
    """The states of a method about one user: after two disjoint halves of the history, and at pictures it was asked
    about after all of it."""

    user: str
    shown: tuple[tuple[Picture, ...], tuple[Picture, ...]] = ((), ())
    """The pictures of each half."""
    halves: States = field(default_factory=dict)
    """(2, W) each; empty where the history cannot be halved."""
    asked: tuple[Judgment, ...] = ()
    """What was asked, with the verdicts that the method was not told."""
    answers: States = field(default_factory=dict)
    """(N, W) each, a row for each asked picture; empty where none was asked."""
