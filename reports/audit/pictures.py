"""Whether what was drawn is a picture that was there already: by digest, and by thumbnails of 8x8.

Thumbnails find pictures that were stored again, mirrored, in another size or with noise. They do not find cropped ones:
how much of a user's likes a method copies is for the metric copy-rate to say.
"""

from __future__ import annotations

import numpy as np

from prefbench.api import Sample
from prefbench.check.duplicates import ALIKE, COPY, Nearest, nearest
from prefbench.check.findings import Row, fail, skip, warn

from .material import Material
from .seen import Shelf, Standing


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
    found, flipped = (nearest(drawn, shelf.thumbnails) for drawn in (material.thumbnails, material.mirrored))
    distances = np.minimum(found.distances, flipped.distances)
    copies, alike = (int((distances < limit).sum()) for limit in (COPY, ALIKE))
    pairs = f"{len(distances)} drawn images and {len(shelf.sources):,} {standing} pictures"
    detail = f"{copies} copies and {alike} alike among {pairs}, nearest {distances.min():.1f}"
    rows = [
        _row(material.drawn[i], shelf, flipped if flipped.distances[i] < found.distances[i] else found, i)
        for i in map(int, np.flatnonzero(distances < COPY))
    ]
    if rows and standing == "held-out":
        fail(detail, rows)
    if rows:
        warn(detail, rows)
    return detail


def _row(sample: Sample, shelf: Shelf, found: Nearest, i: int) -> Row:
    place = int(found.places[i])
    return {
        "key": sample.key,
        "user": sample.user,
        "found": str(shelf.sources[place]),
        "picture": shelf.digests[place],
        "distance": round(float(found.distances[i]), 2),
    }
