"""What intra-user probes predict: whether a user liked an image, and labels without meaning to compare with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from prefbench.api import PrefbenchError, agreeing
from prefbench.stats.table import Names

Bools = NDArray[np.bool_]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class ProbeLabels:
    """Was this image liked: one row per state of a user's history followed by one image that it does not hold.

    Args:
        liked: bool (N,); at least two users need both labels.
        users, prompts, images: (N,) names; an image belongs to one prompt, so unseen prompts mean unseen images.

    Raises:
        PrefbenchError: lengths differ, too few users have both labels, or an image stands under two prompts.
    """

    liked: Bools
    users: Names
    prompts: Names
    images: Names

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1:
            raise PrefbenchError(f"probing: columns of labels differ in length: {lengths}")
        if self.liked.dtype != np.bool_:
            raise PrefbenchError(f"probing: liked must be of dtype bool, not {self.liked.dtype}")
        both = len(np.intersect1d(self.users[self.liked], self.users[~self.liked]))
        if both < 2:
            users = f"{both} of the users {agreeing(both, 'has', 'have')}"
            raise PrefbenchError(f"probing: {users} liked and disliked images, at least 2 must")
        if len(np.unique(self.images)) != len(set(zip(self.images.tolist(), self.prompts.tolist(), strict=True))):
            raise PrefbenchError("probing: an image stands under two prompts, so folds cannot keep it apart")

    def __len__(self) -> int:
        return len(self.liked)

    def select(self, rows: Bools | Indices) -> ProbeLabels:
        """The labels of some rows."""
        return ProbeLabels(self.liked[rows], self.users[rows], self.prompts[rows], self.images[rows])

    def without_meaning(self, types: Names, seed: int) -> ProbeLabels:
        """The same rows under `control_labels` of their types, with the same share of likes."""
        return replace(self, liked=control_labels(types, share=float(self.liked.mean()), seed=seed))


def control_labels(types: Names, *, share: float = 0.5, seed: int = 0) -> Bools:
    """One random label (N,) per type, the same wherever the type stands; about `share` of the types are liked."""
    draws = {name: int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:8]) for name in set(types)}
    return np.array([draws[name] < share * 2**64 for name in types], dtype=np.bool_)
