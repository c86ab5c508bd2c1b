"""What a converter is: a data set as its owner publishes it, read judgment by judgment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prefbench.api import PrefbenchError
from prefbench.parameters import bind, parse_pairs
from prefbench.suites.folder.writer import JudgedPicture, Written, write_folder


@dataclass(frozen=True)
class Converter:
    """A way from a local copy of a data set to a folder that is a suite.

    Attributes:
        name: of the data set.
        summary: what it holds, and what `SOURCE` is.
        source: where its owner publishes it.
        licence: its licence, or that none is stated.
        terms: what whoever converts it must accept; empty where there is nothing.
        get: how to get the copy; prefbench downloads nothing.
        read: gives the judgments of `source: Path`; its keyword-only parameters are the converter's (`-p`).
    """

    name: str
    summary: str
    source: str
    licence: str
    terms: str
    get: str
    read: Callable[..., Iterator[JudgedPicture]]

    def convert(
        self, source: Path, folder: Path, parameters: Sequence[str] = (), *, terms_kept: bool = False
    ) -> Written:
        """Writes a folder that is a suite.

        Args:
            source: the local copy.
            folder: a new one.
            parameters: of `read`, as `name=value`.
            terms_kept: whoever converts has read the terms and keeps to them.

        Raises:
            PrefbenchError: there is no such copy, the terms are not kept, or what `read` and `write_folder` raise.
        """
        if not source.exists():
            raise PrefbenchError(f"there is no {source}; {self.get}")
        if self.terms and not terms_kept:
            raise PrefbenchError(f"{self.name} ({self.licence}): {self.terms}; give --accept-terms if you keep to this")
        bound = bind(self.read, parse_pairs(parameters))
        said = {"name": folder.resolve().name, "source": self.source, "licence": self.licence}
        return write_folder(folder, self.read(source, **bound), said)
