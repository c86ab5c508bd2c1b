"""What a method must not have learned from, and what its card says of that."""

from __future__ import annotations

from prefbench.api import ScoredRun


def evaluated_on(suite: str, split: str) -> frozenset[str]:
    """The data that numbers of a split stand on, as cards name it: its users, the scorer users, the whole suite."""
    return frozenset({f"{suite}:{split}", f"{suite}:scorer", suite})


def learned_lines(run: ScoredRun) -> list[str]:
    """That a method by its card learned from what it is measured on; empty where it did not.

    A run names a folder or file by where it lies; the figures of its scorers name the suite as its card does.
    """
    figures = [header.scorer.figures for header in run.headers.values() if header.scorer is not None]
    suites = [run.spec["suite"], run.spec["suite"].rstrip("/"), *(str(one["suite"]) for one in figures if one)]
    data = frozenset[str]().union(*(evaluated_on(suite, run.spec["split"]) for suite in suites))
    common = [one for one in dict.fromkeys(run.description["method"].get("trained_on", ())) if one in data]
    said = f"was trained on {', '.join(common)}, what it is measured on: no number of it speaks of unseen data"
    return [f"{said}, and prefbench audit fails it"] * bool(common)
