"""Thumbnails of many pictures on few sheets, so that a page of 100,000 pictures loads a handful of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prefbench.api import UnreadableImageError
from prefbench.files import atomic_file

NOWHERE = -1
"""The place of a picture that there is none of: not drawn, or not readable."""
EXACT = 64
"""Pixels a side up to which a cell holds the picture itself; larger ones are reduced."""
_REDUCED, _REDUCED_OF_MANY, _MANY = 160, 96, 20_000
_SHEET = 1_920
"""Pixels a side of a sheet at most."""
_COLUMNS = 20
_QUALITY = 85
_PROBED = 64
_SIGNATURE = 8
"""Pixels a side of what two pictures are compared by."""


class Wanted(NamedTuple):
    """A picture by its digest, and what loads it; it may raise `UnreadableImageError`."""

    digest: str
    load: Callable[[], Image.Image]


@dataclass(frozen=True)
class Layout:
    """The cells of a sheet.

    Args:
        edge: pixels a side of a cell.
        exact: whether the pictures fit into a cell as they are.
    """

    edge: int
    exact: bool

    @classmethod
    def of(cls, wanted: Sequence[Wanted]) -> Layout:
        """The layout for these pictures, by the size of some of them."""
        sizes = [max(size) for size in map(_size, _spread(wanted, _PROBED)) if size is not None]
        return cls.for_size(max(sizes, default=EXACT), len({one.digest for one in wanted}))

    @classmethod
    def for_size(cls, largest: int, n: int) -> Layout:
        """The layout for n pictures, the largest of so many pixels a side."""
        if largest <= EXACT:
            return cls(largest, exact=True)
        return cls(_REDUCED_OF_MANY if n > _MANY else _REDUCED, exact=False)

    @property
    def columns(self) -> int:
        """Cells in a row, and rows of a sheet."""
        return min(_COLUMNS, _SHEET // self.edge)

    @property
    def cells(self) -> int:
        """Cells of a sheet."""
        return self.columns**2


def _spread(wanted: Sequence[Wanted], n: int) -> Sequence[Wanted]:
    return wanted[:: max(1, len(wanted) // n)][:n]


def _size(wanted: Wanted) -> tuple[int, int] | None:
    try:
        return wanted.load().size
    except UnreadableImageError:
        return None


class Sheets:
    """Sheets in a folder: each different picture has one cell, in the order in which they were asked for.

    More can be added later; the cells of those before stay, unless a picture is too large for exact cells: then all are
    laid out anew.

    Args:
        folder: where `0.webp`, `1.webp` and so on are written.
        layout: of every sheet.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self.layout = folder, layout
        self._start()

    def _start(self) -> None:
        self._places: dict[str, int] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._signatures: dict[int, NDArray[np.int16]] = {}
        self._open = self._blank()

    @classmethod
    def of(cls, wanted: Sequence[Wanted], folder: Path) -> Sheets:
        """Empty sheets for pictures like these."""
        return cls(folder, Layout.of(wanted))

    def places(self, wanted: Sequence[Wanted], advance: Callable[[int], object] = lambda _: None) -> list[int]:
        """The places of pictures, `NOWHERE` of those that cannot be read. Writes the sheets that are new or changed.

        Args:
            wanted: all pictures that are to have a place, those of earlier calls among them.
            advance: told of every further picture that was read.
        """
        while (larger := self._add(wanted, advance)) is not None:
            self.layout = Layout.for_size(larger, len({one.digest for one in wanted}))
            for sheet in self.folder.glob("*.webp"):
                sheet.unlink()
            self._start()
        return [self._places[one.digest] for one in wanted]

    def _add(self, wanted: Sequence[Wanted], advance: Callable[[int], object]) -> int | None:
        """Gives cells to the new pictures. Returns the side of the first that is too large for exact cells, if any."""
        new = {one.digest: one for one in wanted if self._places.get(one.digest, NOWHERE) == NOWHERE}
        next_place = len(self._sizes)
        for digest, image, size in self._read(list(new.values())):
            advance(1)
            if image is None or size is None:
                self._places[digest] = NOWHERE
                continue
            if self.layout.exact and max(size) > self.layout.edge:
                return max(size)
            self._paste(image, next_place)
            self._places[digest], self._sizes[next_place] = next_place, size
            next_place += 1
            if next_place % self.layout.cells == 0:
                self._write(next_place // self.layout.cells - 1)
                self._open = self._blank()
        if new and next_place % self.layout.cells:
            self._write(next_place // self.layout.cells)
        return None

    def size(self, place: int) -> tuple[int, int] | None:
        """Width and height of the picture of a place, before it was reduced; None for `NOWHERE`."""
        return self._sizes.get(place)

    def place(self, digest: str | None) -> int:
        """The place of a picture that was asked for before; `NOWHERE` of any other."""
        return NOWHERE if digest is None else self._places.get(digest, NOWHERE)

    def nearest(self, places: Sequence[int], others: Sequence[int]) -> list[int]:
        """For each place the one among others whose picture is most like, by the mean difference of 8 x 8 pixels."""
        known = [other for other in others if other != NOWHERE]
        drawn = [place for place in dict.fromkeys(places) if place != NOWHERE]
        if not known or not drawn:
            return [NOWHERE] * len(places)
        ours, theirs = (np.stack([self._signatures[place].ravel() for place in side]) for side in (drawn, known))
        least = np.stack([np.abs(ours - one).sum(axis=1, dtype=np.int64) for one in theirs]).argmin(axis=0)
        of = dict(zip(drawn, (known[i] for i in least.tolist()), strict=True))
        return [of.get(place, NOWHERE) for place in places]

    def _read(self, wanted: Sequence[Wanted]) -> Iterator[tuple[str, Image.Image | None, tuple[int, int] | None]]:
        """Pictures in their order, a sheet's worth of them read at a time, in threads: decoding releases the lock."""
        rest = iter(wanted)
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            while chunk := list(islice(rest, self.layout.cells)):
                images = pool.map(partial(_thumbnail, edge=self.layout.edge), chunk)
                for one, (image, size) in zip(chunk, images, strict=True):
                    yield one.digest, image, size

    def _paste(self, image: Image.Image, place: int) -> None:
        edge = self.layout.edge
        row, column = divmod(place % self.layout.cells, self.layout.columns)
        corner = (column * edge + (edge - image.width) // 2, row * edge + (edge - image.height) // 2)
        self._open.paste(image, corner)
        small = image.resize((_SIGNATURE, _SIGNATURE), Image.Resampling.BOX)
        self._signatures[place] = np.asarray(small, dtype=np.int16)

    def _write(self, number: int) -> None:
        with atomic_file(self.folder / f"{number}.webp") as temporary:
            if self.layout.exact:
                self._open.save(temporary, "WEBP", lossless=True, quality=20, method=1)
            else:
                self._open.save(temporary, "WEBP", quality=_QUALITY, method=2)

    def _blank(self) -> Image.Image:
        side = self.layout.edge * self.layout.columns
        return Image.new("RGB", (side, side), "white")


def _thumbnail(wanted: Wanted, *, edge: int) -> tuple[Image.Image | None, tuple[int, int] | None]:
    """A picture that fits into a cell, and the size that it has; None where it cannot be read."""
    try:
        image = wanted.load()
    except UnreadableImageError:
        return None, None
    size = image.size
    image.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    return image.convert("RGB"), size
