"""Draws a prepared run into its folder, and collects what its method knows of users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefbench.registry import load
from prefbench.run.draw import RunResult, draw
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.folder import append_lines
from prefbench.run.prepare import Prepared
from prefbench.run.progress import Advance, Progress

if TYPE_CHECKING:
    from prefbench.run.states import CollectedStates


def execute(prepared: Prepared, *, advance: Advance = lambda _: None) -> RunResult:
    """Draws what the folder lacks. The folder is locked meanwhile; each start that draws is recorded in `starts.jsonl`.

    A run may be continued with another batch than it was begun with; each start records its own.

    Raises:
        PrefbenchError: another process holds the folder, the disk is full, or the method broke its contract.
    """
    # Before the lock: a git process that outlives a kill of this one would keep the folder locked.
    code = code_state()
    with prepared.folder.locked():
        if not (prepared.folder.path / "run.json").is_file():
            prepared.folder.write_description(_description(prepared, code))
        finished = prepared.folder.finished()
        if any(planned.key not in finished for batch in prepared.plan for planned in batch):
            append_lines(prepared.folder.path / "starts.jsonl", [_start(code, prepared.spec.batch)])
        progress, texts = Progress(advance, prepared.backbone.nfe), prepared.backbone.prompts.texts
        prepared.backbone.on_evaluations = progress.evaluated
        return draw(prepared.plan, prepared.method, prepared.histories, prepared.folder, texts=texts, progress=progress)


def wants_representations(prepared: Prepared, metrics: Sequence[str]) -> bool:
    """Whether some metric asks for representations that the method has."""
    return prepared.method.represents() and any(load("metric", name).card.asks_representations for name in metrics)


def execute_represent(prepared: Prepared, *, advance: Callable[[int], object] = lambda _: None) -> CollectedStates:
    """Stores what the method knows of each user, where the folder lacks it. The folder is locked meanwhile.

    Raises:
        PrefbenchError: another process holds the folder, a file in it is damaged, or the disk is full.
    """
    from prefbench.probing.plan import probe_plans
    from prefbench.run.states import collect_states

    unseen = {user: prepared.suite.history(user, "scorer") for user in prepared.histories}
    plans = probe_plans(prepared.histories, unseen)
    with prepared.folder.locked():
        return collect_states(plans, prepared.method, prepared.folder, advance=advance)


def _start(code: Mapping[str, Any], batch: int) -> dict[str, Any]:
    """When, in which batches and by which code a run was begun or continued; `run.json` has the first one's alone."""
    return {"time": datetime.now(UTC).isoformat(timespec="seconds"), "batch": batch, **code, "versions": versions()}


def _description(prepared: Prepared, code: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "spec": prepared.spec.to_json(),
        "method": asdict(prepared.method.card_in_use),
        "backbone": asdict(prepared.backbone.card),
        "represents": prepared.method.represents(),
        "kinds": dict(prepared.kinds),
        "planned": prepared.n_samples,
        "command": prepared.command,
        "environment": {"versions": versions(), "hardware": hardware(), "code": dict(code)},
    }
