"""Whether what was drawn is a picture that was there already: by digest, and by thumbnails of 8x8.

Thumbnails find pictures that were stored again, in another size or with noise. They find neither mirrored nor cropped
ones: how much of a user's likes a method copies is for the metric copy-rate to say.
"""

from __future__ import annotations

import numpy as np

from prefbench.audit.material import Material
from prefbench.audit.seen import Shelf, Standing
from prefbench.duplicates import ALIKE, COPY, nearest
from prefbench.testing.findings import Row, fail, skip, warn


def equal(material: Material) -> str:
    """No drawn image has the pixels of a picture of the suite."""
    known: dict[str, str] = {}
    for shelf in material.seen.shelves.values():
        for source, digest in zip(shelf.sources, shelf.digests, strict=True):
            known.setdefault(digest, str(source))
    found = [
        {"key": s.key, "user": s.user, "image": s.image, "found": known[s.image]}
        for s in material.drawn
        if s.image is not None and s.image in known
    ]
    if found:
        fail(f"{len(found)} of {len(material.drawn)} drawn images are pictures of the suite", found)
    return f"{len(material.drawn)} drawn images, none among {len(known):,} pictures of the suite"


def near(material: Material, *, standing: Standing) -> str:
    """Counts drawn images that are copies of a picture of one standing; copies of held-out ones are a leak."""
    shelf = material.seen.shelves[standing]
    if not shelf.sources or not material.drawn:
        skip(f"there are {len(material.drawn)} drawn images and {len(shelf.sources)} {standing} pictures to compare")
    found = nearest(material.thumbnails, shelf.thumbnails)
    copies = np.flatnonzero(found.distances < COPY)
    detail = (
        f"{len(copies)} copies and {int((found.distances < ALIKE).sum())} alike among {len(material.drawn)} drawn"
        f" images and {len(shelf.sources):,} {standing} pictures, nearest {found.distances.min():.1f}"
    )
    rows = [_row(material, shelf, int(i), int(found.places[i]), float(found.distances[i])) for i in copies]
    if rows and standing == "held-out":
        fail(detail, rows)
    if rows:
        warn(detail, rows)
    return detail


def _row(material: Material, shelf: Shelf, drawn: int, place: int, distance: float) -> Row:
    sample = material.drawn[drawn]
    return {
        "key": sample.key,
        "user": sample.user,
        "found": str(shelf.sources[place]),
        "picture": shelf.digests[place],
        "distance": round(distance, 2),
    }
