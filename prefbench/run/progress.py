"""How far a run is, in whole pictures, also in the middle of a batch."""

from __future__ import annotations

from collections.abc import Callable

Advance = Callable[[int], object]
"""Called with the number of pictures done since the last call."""


class Progress:
    """Tells whole pictures: those of finished batches, and within a batch evaluations over those that a picture takes.

    Args:
        advance: is told; all calls add up to the pictures told by `drawn`.
        nfe: evaluations of a picture until a batch has shown how many: a method may draw several and keep one.
    """

    def __init__(self, advance: Advance, nfe: float = 0) -> None:
        self._advance, self.nfe = advance, nfe
        self._batch = self._share = self._evaluations = self._told = 0.0

    def begin(self, size: int, new: int) -> None:
        """A batch of `size` samples begins, `new` of which are counted: the others were stored before."""
        self._batch, self._share, self._evaluations, self._told = new, new / max(size, 1), 0.0, 0

    def evaluated(self, count: float) -> None:
        """So many denoiser passes more; the last picture of a batch is told by `drawn` alone."""
        self._evaluations += count
        if self.nfe:
            self._tell(min(self._share * self._evaluations / self.nfe, self._batch - 1))

    def drawn(self, nfe: float = 0) -> None:
        """The batch is drawn; `nfe` are the mean evaluations of its pictures."""
        self._tell(self._batch)
        self.nfe = nfe

    def _tell(self, pictures: float) -> None:
        more = int(pictures) - int(self._told)
        if more > 0:
            self._told += more
            self._advance(more)
