"""The page of a validation, from its stored result and nothing else."""

from __future__ import annotations

import re

from ..shared.escape import code_block, markdown
from ..shared.grid import to_markdown
from ..shared.published import age, portable
from .schema import ValidationResult
from .tables import grids

_FIGURES = {
    "Rank correlation with true utility": "methods",
    "Dose and response": "dose",
    "Nuisances": "nuisances",
    "Identical methods and intervals": "nulls",
    "Number of pictures": "sizes",
}
_HEAD = """# The metrics measured against the known truth of {suite}

Generated from `{file}`; do not edit.

Systems are drawn from the truth itself: at strength s every axis that counts for a user takes the user's best value
with probability s, else the world's prior; all systems share their seeds. {users} users of the split {split}, with
{per_case} samples a case; pools of {samples} samples a case, in one of which half are copies, and of {pool_users} train
users for {pool_prompts} prompts. Learned metrics are measured with the weights that their recipes name in the JSON.

{command}
"""


def without_folders(result: ValidationResult) -> ValidationResult:
    """The result with files by their names alone: where they lie belongs to one machine."""
    left_out = {_without_folders(name): _without_folders(reason) for name, reason in result["left_out"].items()}
    return {**result, "command": portable(result["command"]), "left_out": left_out}


def _without_folders(text: str) -> str:
    return re.sub(r"(?<![\w.])/\S*/", "", text)


def render(result: ValidationResult, stem: str) -> str:
    """The page."""
    scale = result["scale"]
    lines = [
        _HEAD.format(
            suite=markdown(result["suite"]),
            file=f"{stem}.json",
            users=scale["users"] or "All",
            command=code_block(result["command"]),
            **{key: scale[key] for key in ("split", "per_case", "samples", "pool_users", "pool_prompts")},
        ),
        *filter(None, [age(result["versions"])]),
    ]
    if result["left_out"]:
        reasons = "; ".join(f"{markdown(name)}: {markdown(reason)}" for name, reason in result["left_out"].items())
        lines.append(f"Left out: {reasons}.\n")
    for heading, tables in grids(result):
        lines.append(f"## {heading}\n")
        figure = _FIGURES.get(heading)
        if figure is not None and (figure != "methods" or "of_runs" in result["parts"]):
            lines.append(f"![{heading}]({stem}.{figure}.png)\n")
        for table in tables:
            lines += [f"### {table.title}\n"] * (len(tables) > 1) + [to_markdown(table)]
    return "\n".join(lines)
