"""Whether what was drawn is a picture that was there already: by digest, and by thumbnails of 8x8.

Thumbnails find pictures that were stored again, mirrored, in another size or with noise. They do not find cropped ones:
how much of a user's likes a method copies is for the metric copy-rate to say.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from prefbench.api import NEAR_CONSTANT, Sample, agreeing, count_pictures, counted
from prefbench.check.duplicates import ALIKE, COPY, Nearest, nearest
from prefbench.check.findings import Row, fail, skip, warn
from prefbench.check.shown import check_drawings

from .audited_run import AuditedRun
from .contents import PictureGroup, Visibility


def shown(run: AuditedRun) -> str:
    """Drawn images show something, and differ between prompts, users and seeds; of controls it is only stated."""
    if not run.measured:
        skip("there are no drawn images")
    times = Counter(sample.image for sample in run.measured)
    rows = [
        {"key": s.key, "user": s.user, "image": s.image, "spread": s.spread, "drawn": times[s.image]}
        for s in run.measured
        if times[s.image] > 1 or (s.spread or 0) < NEAR_CONSTANT
    ]
    return check_drawings(count_pictures(run.measured), rows, control=bool(run.description["method"].get("control")))


def readable(run: AuditedRun) -> str:
    """Every picture of the suite can be read and has the digest that the suite says: the others are not compared."""
    unread = run.contents.unread
    total = sum(len(group.sources) for group in run.contents.groups.values()) + len(unread)
    if unread:
        first = unread[0]
        such = f"such as {first['fault']} ({first['role']} of {first['user']})"
        fail(f"{len(unread)} of {counted(total, 'picture')} of the suite cannot be read, {such}", unread)
    return f"{counted(total, 'picture')} of the suite, all read"


def equal(run: AuditedRun) -> str:
    """No drawn image has the pixels of a picture of the suite."""
    sources: dict[str, str] = {}
    for group in run.contents.groups.values():
        for source, digest in zip(group.sources, group.digests, strict=True):
            sources.setdefault(digest, str(source))
    rows = [
        {"key": s.key, "user": s.user, "image": s.image, "found": sources[s.image]}
        for s in run.drawn
        if s.image is not None and s.image in sources
    ]
    if rows:
        of_all = f"{len(rows)} of {counted(len(run.drawn), 'drawn image')}"
        fail(f"{of_all} {agreeing(len(rows), 'is a picture', 'are pictures')} of the suite", rows)
    return f"{counted(len(run.drawn), 'drawn image')}, none among {counted(len(sources), 'picture')} of the suite"


def near(run: AuditedRun, *, visibility: Visibility) -> str:
    """Counts drawn images that are copies of a picture of one visibility; copies of held-out ones are a leak."""
    group = run.contents.groups[visibility]
    if not group.sources or not run.drawn:
        skip(f"{_both(len(run.drawn), len(group.sources), visibility)} to compare")
    both = (run.thumbnails, run.mirrored)
    with run.bar(f"compare with {visibility} pictures", sum(map(len, both)), "img") as advance:
        upright, mirrored = (nearest(drawn, group.thumbnails, advance) for drawn in both)
    distances = np.minimum(upright.distances, mirrored.distances)
    copies, alike = (int((distances < limit).sum()) for limit in (COPY, ALIKE))
    pairs = _both(len(distances), len(group.sources), visibility)
    detail = f"{copies} copies and {alike} alike among {pairs}, nearest {distances.min():.1f}"
    rows = [
        _row(run.drawn[i], group, mirrored if mirrored.distances[i] < upright.distances[i] else upright, i)
        for i in map(int, np.flatnonzero(distances < COPY))
    ]
    if rows and visibility == "held-out":
        fail(detail, rows)
    if rows:
        warn(detail, rows)
    return detail


def _row(sample: Sample, group: PictureGroup, neighbour: Nearest, i: int) -> Row:
    index = int(neighbour.places[i])
    return {
        "key": sample.key,
        "user": sample.user,
        "found": str(group.sources[index]),
        "picture": group.digests[index],
        "distance": round(float(neighbour.distances[i]), 2),
    }


def _both(n_drawn: int, n_pictures: int, visibility: Visibility) -> str:
    return f"{counted(n_drawn, 'drawn image')} and {counted(n_pictures, f'{visibility} picture')}"
