"""The judged images of all train users."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from prefbench.api import Judgment, TrainUser

from ...shared.questions import load_judged
from .conversations import judgments


class JudgedImages:
    """Decoded once: one row per judgment, in the order of `judgments`; an image judged twice has the last of its rows.

    Raises:
        PrefbenchError: an image that cannot be read, with its user and file.
    """

    def __init__(self, train_users: Sequence[TrainUser]) -> None:
        pairs = [(j, train_user.history.user) for train_user in train_users for j in judgments(train_user)]
        self.images: list[Image.Image] = [load_judged(j, user) for j, user in pairs]
        self.rows = {j.picture.digest: row for row, (j, _) in enumerate(pairs)}
        self._row_of_image = {id(image): row for row, image in enumerate(self.images)}

    def row(self, judgment: Judgment) -> int:
        return self.rows[judgment.picture.digest]

    def load(self, judgment: Judgment) -> Image.Image:
        return self.images[self.row(judgment)]

    def row_of_image(self, image: Image.Image) -> int:
        """The row of one of its own images."""
        return self._row_of_image[id(image)]
