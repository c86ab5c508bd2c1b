"""The report `ablation`: what each component of a method is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from prefbench.api import Grid, PrefbenchError, ReportCard, ReportContext, ScoredRun, Split
from prefbench.registry import names
from prefbench.training.variants import AblationRequest

from ..shared.escape import slug
from ..shared.published import Published, portable
from . import page
from .schema import AblationResult
from .variants import ablate


class AblationReport(Published[AblationResult]):
    """Trains and draws a method with one component left out at a time, each compared with the whole method.

    Args:
        method: whose components; may be left out where one method alone offers an ablation. Its finished training is
            expected in `<work>/<method>`, variants and their runs go into `ablation/` there.
        images: what every variant is trained on; the trainer's default where None.
        suite, backbone: None for the method's, and the suite's.
        split: whose users are drawn for.
        users: only the first so many users.
        samples: per case.
        seeds: trainings of every variant that is trained; intervals are then over users and seeds.
        only: groups of variants, separated by commas; empty for all.
    """

    card = ReportCard(
        name="ablation",
        version="1",
        summary="a method with one component left out at a time, compared with the whole method",
        takes="none",
        published="ablation",
    )

    def __init__(
        self,
        method: str | None = None,
        *,
        images: int | None = None,
        suite: Annotated[str | None, "suite"] = None,
        backbone: Annotated[str | None, "backbone"] = None,
        split: Split = "val",
        users: int | None = None,
        samples: int = 1,
        seeds: int = 1,
        only: str = "",
    ) -> None:
        self._method = method
        self._choices: dict[str, Any] = {
            "images": images, "suite": suite, "backbone": backbone, "split": split, "users": users, "samples": samples,
            "seeds": seeds, "only": tuple(filter(None, map(str.strip, only.split(",")))),
        }  # fmt: skip

    def measure(self, runs: Sequence[ScoredRun], context: ReportContext) -> AblationResult:  # noqa: ARG002
        """The ablation; what stands in `context.work` from a call before is not trained or drawn again.

        Raises:
            PrefbenchError: no method named where several offer an ablation; what `ablate` raises.
        """
        method = self._method or _only(names("ablation"))
        request = AblationRequest(context.work / method, **self._choices)
        return ablate(method, request, command=context.command, log=context.log)

    def as_json(self, result: AblationResult) -> Mapping[str, Any]:
        """The whole result."""
        return self.stored(result)

    def tables(self, result: AblationResult) -> Sequence[Grid]:
        """One row per variant."""
        return [page.grid(result)]

    def stem(self, result: AblationResult) -> str:
        """One method on one suite and backbone."""
        return ".".join(slug(text) for text in (result["method"], result["suite"], result["backbone"]))

    def stored(self, result: AblationResult) -> AblationResult:
        """The result without the folders of a machine."""
        return {**result, "command": portable(result["command"])}

    def render(self, result: AblationResult) -> str:
        """The page."""
        return page.render(result, self.stem(result))

    def draw(self, result: AblationResult, folder: Path) -> Sequence[Path]:
        """Curves of preference against prompt fidelity."""
        path = folder / f"{self.stem(result)}.png"
        page.draw(result, path)
        return [path]


def _only(methods: Sequence[str]) -> str:
    if len(methods) != 1:
        raise PrefbenchError(f"name the method: -p method={'|'.join(methods)}")
    return methods[0]
