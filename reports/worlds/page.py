"""The page: what was compared, what holds, what was not done, and the tables."""

from __future__ import annotations

from collections.abc import Sequence

from prefbench.api import NOTE_LIMIT, agreeing, counted, fixed

from ..shared.escape import markdown
from ..shared.grid import to_markdown
from ..shared.published import age
from .grids import dials_text, metrics_grid, order_grid, pairs_grid, turns_grid, values_of
from .orders import is_sure
from .schema import Turn, WorldsResult

_HEAD = """# Do rankings hold?

Generated from `results/worlds/{stem}.json`; do not edit.

{methods} on {suite} in {worlds}, drawn by {backbone}, {samples} a case. A world is the suite with other
parameters, or other users; its name says in what it differs from the others{shared}.
"""
RETRAINING = """Methods were not retrained for each world: their weights, and those of the scorers behind metrics, were
learned on train users of the world that they ship for. So a turn says how fixed methods fare with other people than
those that they were made for, not how they would compare had each been made for these: a learned method can lose places
that training again would give back. What a method asks for while it is set up is of the world itself, such as its train
users, and controls that know the truth know that of the world.
"""


def render(result: WorldsResult, stem: str) -> str:
    """The page."""
    shared = f"; all have {markdown(dials_text(result['shared']))}" if result["shared"] else ""
    head = _HEAD.format(
        stem=stem,
        methods=f"{len(result['methods'])} methods and controls",
        suite=markdown(result["suite"]),
        worlds=counted(len(result["worlds"]), "world"),
        backbone=markdown(result["backbone"]),
        samples=counted(result["samples_per_case"], "sample"),
        shared=shared,
    )
    return "\n".join(
        [
            head,
            *filter(None, [age(result["versions"])]),
            *[f"- {markdown(line, NOTE_LIMIT)}" for line in findings(result)],
            "",
            RETRAINING,
            f"![Ranks of methods over worlds]({stem}.png)\n",
            "## The true order\n",
            to_markdown(order_grid(result)),
            "## Between worlds\n",
            to_markdown(pairs_grid(result)),
            "## Pairs that turn\n",
            to_markdown(turns_grid(result)),
            "## Which metric finds the true order\n",
            to_markdown(metrics_grid(result)),
        ]
    )


def findings(result: WorldsResult) -> list[str]:
    """What holds and what does not, in a line each."""
    return [*_agreement(result), _turning(result), *_metrics(result)]


def _agreement(result: WorldsResult) -> list[str]:
    known = [(pair["tau"]["value"], pair) for pair in result["pairs"] if pair["tau"]["value"] is not None]
    if not known:
        return []
    (low, least), (high, _) = min(known, key=lambda one: one[0]), max(known, key=lambda one: one[0])
    between = f"{least['first']} and {least['second']}"
    if len(known) == 1:
        return [f"Kendall's tau of the true order between {between} is {fixed(low, 2)}."]
    return [
        f"Over {counted(len(known), 'pair')} of worlds Kendall's tau of the true order lies between {fixed(low, 2)}"
        f" ({between}) and {fixed(high, 2)}."
    ]


def _turning(result: WorldsResult) -> str:
    turns = result["turns"]
    sure = [turn for turn in turns if turn["beyond_chance"]]
    pairs = f"{counted(result['method_pairs'], 'pair')} of methods and controls"
    text = f"{len(turns)} of {pairs} {agreeing(len(turns), 'changes', 'change')} places between worlds"
    beyond = f"{len(sure)} of them beyond chance" if turns else ""
    named = f": {'; '.join(map(_where, sure))}" if sure else ""
    return f"{text}{', ' * bool(beyond)}{beyond}{named}."


def _where(turn: Turn) -> str:
    """In which worlds each of the two is surely ahead."""
    sides = turn["differences"].items()
    ahead, behind = (
        [name for name, side in sides if is_sure(side) and sign * (side["value"] or 0.0) > 0] for sign in (1, -1)
    )
    return f"{turn['first']} before {turn['second']} in {', '.join(ahead)}, behind it in {', '.join(behind)}"


def _metrics(result: WorldsResult) -> list[str]:
    """The metrics by their least tau, the best first."""
    taus = {name: values_of([world["metrics"][name] for world in result["worlds"]]) for name in result["metrics"]}
    least = {name: min(values) for name, values in taus.items() if len(values) == len(result["worlds"])}
    ordered = sorted(least.items(), key=lambda one: -one[1])
    if not ordered:
        return []
    return [f"Least tau of a metric with the true order, over all worlds: {_listed(ordered)}."]


def _listed(ordered: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {fixed(value, 2)}" for name, value in ordered)
