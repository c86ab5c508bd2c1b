"""Which extractors a folder is measured with: of those whose weights are on this disk the best for each role."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from prefbench.models import hub
from prefbench.registry import load

PREFERRED: Mapping[str, tuple[str, ...]] = {
    "fidelity": ("dinov2", "open-nsfw", "mini-clip"),
    "similarity": ("dinov2", "open-nsfw", "mini-clip"),
    "text": ("open-clip", "mini-clip"),
    "style": ("style-statistics",),
}
"""Extractors by role, the best first; the last ones always are here. Miniatures know picturebook alone."""


class Chosen(NamedTuple):
    """The extractors of a folder."""

    extractors: Mapping[str, str]
    """As `SuiteCard.extractors`."""
    line: str
    """What was chosen, and what would be better."""


def choose() -> Chosen:
    """Looks for weights and loads none. Another choice is another extractor in the header of every score."""
    here = {name for names in PREFERRED.values() for name in names if name == names[-1] or _is_here(name)}
    chosen = {role: next(name for name in names if name in here) for role, names in PREFERRED.items()}
    roles: dict[str, list[str]] = {}
    for role, name in chosen.items():
        roles.setdefault(name, []).append(role)
    parts = [f"{' and '.join(own)} by {name}{_knows(name)}" for name, own in roles.items()]
    better = dict.fromkeys(name for role, names in PREFERRED.items() for name in names[: names.index(chosen[role])])
    more = f"; better were {', '.join(better)}: prefbench doctor says how to get them" if better else ""
    return Chosen(chosen, ", ".join(parts) + more)


def _is_here(name: str) -> bool:
    sources = getattr(load("extractor", name), "weights", ())
    return all(isinstance(hub.locate(source() if callable(source) else source), Path) for source in sources)


def _knows(name: str) -> str:
    world = getattr(getattr(load("extractor", name), "card", None), "world", None)
    return f" (knows {world} alone)" if world else ""
