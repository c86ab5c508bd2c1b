"""`prompt-fidelity`: whether an image shows what its prompt names, in suites that can recognise it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from prefbench.api import DrawnImages, ImageMetric, MetricCard, PrefbenchError

from .shared.columns import as_columns


class PromptFidelity(ImageMetric):
    """The probability that the image shows what the ORIGINAL prompt names, read by the suite's own instrument.

    What can go wrong: a learned reader misreads what it never saw, such as objects in palettes that the world does not
    have (the reader of picturebook's first world: hues turned by 90 degrees and more cost it a third
    of its values).

    Columns: `prompt-fidelity`, the product of its parts, and `prompt-fidelity/<part>` for every part of a prompt that
    the suite's truth reads: in picturebook `object`, `setting` and, where some prompt names a word such as "striped
    background", `words`, which is missing for prompts that name none.
    """

    card: ClassVar[MetricCard] = MetricCard(
        name="prompt-fidelity",
        version="1",
        summary="Probability that the image shows what its original prompt names",
        question="adherence",
        direction="up",
        unit="image",
        recipe="suite-truth,original-prompt",
        bounds=(0.0, 1.0),
        proportion=True,
        asks_truth=True,
    )

    def score(self, drawn: DrawnImages) -> Mapping[str, Sequence[float | None]]:
        """One value per sample and column; None where it is not finite. Raises `PrefbenchError` without a truth."""
        if drawn.evidence.truth is None:
            raise PrefbenchError("prompt-fidelity needs a suite that knows the truth; this one does not")
        prompts, pictures = [s.prompt for s in drawn.samples], [s.pixels for s in drawn.samples]
        probabilities = drawn.evidence.truth.fidelity(prompts, pictures)
        return as_columns(self.card.name, probabilities)
