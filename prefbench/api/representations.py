"""A method's internal representation of users, as a run stores it for probing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from prefbench.api.records import Judgment, Picture

States = Mapping[str, NDArray[np.float32]]
"""Layer name to a matrix with one row per state."""


@dataclass(frozen=True)
class UserStates:
    """A method's states about one user: after two disjoint halves of the history, and at pictures that no method sees.

    The picture of a state is given to the method as a `ProbeItem`, after the whole history and without its label.
    """

    user: str
    half_pictures: tuple[tuple[Picture, ...], tuple[Picture, ...]] = ((), ())
    """The pictures of each half."""
    half_states: States = field(default_factory=dict)
    """(2, W) each; empty where the history cannot be halved."""
    judgments: tuple[Judgment, ...] = ()
    """The pictures that the method was asked about, with the labels that it was not given."""
    item_states: States = field(default_factory=dict)
    """(N, W) each, one row per judgment; empty where there are none."""
