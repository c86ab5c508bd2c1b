"""What a converter is: a data set as its owner publishes it, read judgment by judgment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prefbench.api import PrefbenchError
from prefbench.parameters import bind, parse_pairs
from prefbench.suites.folder.writer import Judged, Written, write_folder

_NONE = "not known"


@dataclass(frozen=True)
class ConverterCard:
    """What is known of a data set, and what its conversion makes of it.

    Attributes:
        name: of the data set.
        summary: what it holds.
        source: where its owner publishes it.
        revision: which version the conversion was written for.
        licence: its licence, or that none is stated.
        terms: what whoever converts it must accept; empty where there is nothing.
        get: how to get a local copy; prefbench downloads nothing.
        takes: what `SOURCE` is: the folder with the copy, one file, or either.
        size: pictures and bytes as published.
        people: users and judgments as published, and whether they are people.
        keeps: what becomes of a row.
        drops: what is left out, and why.
        columns: who was seen to read the columns under these names.
    """

    name: str
    summary: str
    source: str
    licence: str
    get: str
    terms: str = ""
    revision: str = _NONE
    takes: Literal["folder", "file", "folder or file"] = "folder"
    size: str = _NONE
    people: str = _NONE
    keeps: str = _NONE
    drops: str = "nothing"
    columns: str = "named by the user"


@dataclass(frozen=True)
class Converter:
    """A way from a local copy of a data set to a folder that is a suite.

    Attributes:
        card: what is known of the data set.
        read: gives the judgments of `source: Path`, and what is left out of it; its keyword-only parameters are the
            converter's (`-p`).
    """

    card: ConverterCard
    read: Callable[..., Iterator[Judged]]

    def convert(
        self, source: Path, folder: Path, parameters: Sequence[str] = (), *, licence_accepted: bool = False
    ) -> Written:
        """Writes a folder that is a suite.

        Args:
            source: the local copy.
            folder: a new one, or what an interrupted conversion left.
            parameters: of `read`, as `name=value`.
            licence_accepted: whoever converts has read the licence and the terms, and keeps to them.

        Raises:
            PrefbenchError: what `check`, `read` and `write_folder` raise.
        """
        self.check(source, licence_accepted=licence_accepted)
        bound = bind(self.read, parse_pairs(parameters))
        said = {"name": folder.resolve().name, "source": self.card.source, "licence": self.card.licence}
        return write_folder(folder, self.read(source, **bound), said)

    def check(self, source: Path, *, licence_accepted: bool) -> None:
        """Raises `PrefbenchError`: there is no such copy, it is of the wrong kind, or the licence is not accepted."""
        card = self.card
        if not source.exists():
            raise PrefbenchError(f"there is no {source}; to get it: {card.get}")
        kind = "folder" if source.is_dir() else "file"
        if kind not in card.takes:
            raise PrefbenchError(f"{source} is a {kind}, and {card.name} takes a {card.takes}; to get it: {card.get}")
        if card.terms and not licence_accepted:
            raise PrefbenchError(
                f"{card.name}: licence {card.licence}; {card.terms}; --accept-licence says that you keep to this"
            )
