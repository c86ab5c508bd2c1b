"""Whether a method's code reaches for a suite, its truth or its reader: only a control may, and says so on its card."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import Method
from prefbench.api.guard import suites_made
from prefbench.check.findings import fail, warn
from prefbench.run.reach import Reach, held_by, reached_by, unread_code


def check_code(constructor: type[Method]) -> str:
    """The source of the class, its bases and their package imports or names none, and loads none."""
    told = _judged(constructor, reached_by(constructor))
    if unread := unread_code(constructor):
        warn(f"the source of {', '.join(unread)} cannot be read")
    return told or "imports no suite, truth or reader"


def check_held(method: Method) -> str:
    """Once it has drawn, the method holds none and made none."""
    made = {suite for who, suites in suites_made.items() if who[0].startswith("check ") for suite in suites}
    places = [
        *held_by(method),
        *(Reach(type(method).__module__, 0, f"made the suite {suite}") for suite in sorted(made)),
    ]
    return _judged(type(method), [*held_by(method), *places]) or "holds no suite, truth or reader, and made none"


def _judged(constructor: type[Method], places: Sequence[Reach]) -> str:
    """Fails where a method that declares nothing reaches; empty where nothing is reached."""
    declared = constructor.card.imports if constructor.card.control else ()
    if places and not declared:
        more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
        fail(f"{places[0]}{more}, which only a control may whose card says imports=(...)")
    return f"a control that declares {', '.join(declared)}: {places[0]}" if places else ""
