"""Drawing in groups, for methods whose requests cannot all share one call of the backbone."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from prefbench.api import Drawing, Request


def draw_in_groups(
    requests: Sequence[Request],
    key: Callable[[Request], Hashable],
    draw: Callable[[Sequence[Request]], Sequence[Drawing]],
) -> list[Drawing]:
    """Draws requests with equal keys together; the drawings come back in the order of the requests."""
    groups: dict[Hashable, list[int]] = {}
    for row, request in enumerate(requests):
        groups.setdefault(key(request), []).append(row)
    drawings: dict[int, Drawing] = {}
    for rows in groups.values():
        drawings |= zip(rows, draw([requests[row] for row in rows]), strict=True)
    return [drawings[row] for row in range(len(requests))]
