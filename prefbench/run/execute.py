"""Draws a prepared run into its folder, and collects what its method knows of users."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefbench.api import Method, PrefbenchError, Sample
from prefbench.api.reports import Bar, no_bar
from prefbench.registry import check_card_of, load_class
from prefbench.run.description import ADVICE, owner_of
from prefbench.run.draw import RunResult, draw
from prefbench.run.environment import code_state, hardware, versions
from prefbench.run.folder import RunFolder
from prefbench.run.opaque import OpaqueNames
from prefbench.run.outputs import asking
from prefbench.run.plan import RunSpec
from prefbench.run.prepare import Prepared
from prefbench.run.progress import Progress
from prefbench.run.reach import Reach, held_by, reached_by, unread_code
from prefbench.run.row_kinds import StartRow

if TYPE_CHECKING:
    from prefbench.run.states import CollectedStates


def execute(prepared: Prepared, *, bar: Bar = no_bar) -> RunResult:
    """Draws what the folder lacks. The folder is locked meanwhile; each start that draws is recorded in `starts.jsonl`.

    A run may be continued with another batch than it was begun with; each start records its own. `bar` shows how far
    the reading of stored images is, then how far the drawing.

    Raises:
        PrefbenchError: another process holds the folder, the disk is full, or the method broke its contract.
    """
    # By its full path: a method may go elsewhere while another batch is stored.
    # Before the lock: a git process that outlives a kill of this one would keep the folder locked.
    code, folder = code_state(), prepared.folder.absolute()
    keys = {planned.key for batch in prepared.plan for planned in batch}
    with continued(folder, prepared.spec, prepared.kinds, lambda: describe(prepared, code), bar, keys) as finished:
        if not keys <= finished.keys():
            folder.append_start(start_row(code, prepared.spec.batch))
        result = _drawn(prepared, folder, finished, bar)
        note_reach(folder, prepared.method)
        return result


def _drawn(prepared: Prepared, folder: RunFolder, finished: Collection[str], bar: Bar) -> RunResult:
    with bar("draw", prepared.n_samples, "img") as advance:
        progress, texts = Progress(advance, prepared.backbone.nfe), prepared.backbone.texts
        prepared.backbone.on_evaluations = progress.evaluated
        return draw(
            prepared.plan,
            prepared.method,
            prepared.histories,
            folder,
            texts=texts,
            progress=progress,
            finished=finished,
            names=settled(prepared.names, folder),
        )


def execute_unnamed(prepared: Prepared, *, bar: Bar = no_bar) -> RunResult:
    """Draws a run from its beginning, and writes what it is when all is drawn: while the method draws, no file says for
    which users. A run that is killed on the way is none.

    Raises:
        PrefbenchError: another process holds the folder, the disk is full, or the method broke its contract.
    """
    folder = prepared.folder.absolute()
    description = describe(prepared, code_state())
    with folder.locked():
        folder.begin(description)
        result = _drawn(prepared, folder, (), bar)
        folder.write_description(description)
        note_reach(folder, prepared.method)
    return result


@contextmanager
def continued(
    folder: RunFolder,
    spec: RunSpec,
    kinds: Mapping[str, str],
    description: Callable[[], Mapping[str, Any]],
    bar: Bar,
    only: Collection[str] | None = None,
) -> Iterator[dict[str, Sample]]:
    """Holds the folder of a run that begins, with its description, or goes on; yields `RunFolder.finished`."""
    with folder.locked():
        with folder.alone():
            if not (folder.path / "run.json").is_file():
                folder.write_description(description())
        if folder.owner.run != owner_of({"spec": spec.to_json(), "format": folder.owner.format}).run:
            raise PrefbenchError(f"{folder.path / 'run.json'} describes another run; {ADVICE}")
        if folder.read_description()["kinds"] != kinds:
            raise PrefbenchError(f"{folder.path / 'run.json'} names other users or kinds than the suite; {ADVICE}")
        yield folder.finished(bar, only)


def settled(names: OpaqueNames, folder: RunFolder) -> OpaqueNames:
    """The names, by the secret that the locked folder keeps; of a run that begins, by their own, which it keeps then.

    Raises:
        PrefbenchError: the method was shown other names, of a run that another process has begun meanwhile.
    """
    names.renew(folder.keep_names_secret(names.secret))
    return names


def note_reach(folder: RunFolder, method: Method) -> None:
    """Adds to the description what the method reached for that its source did not show."""
    note_places(folder, held_by(method))


def note_places(folder: RunFolder, places: Sequence[Reach]) -> None:
    """Adds places that a method reached for to the description, where it lacks them."""
    with folder.alone():
        description = folder.read_description()
        known = description.get("reached", [])
        if new := [place for place in map(asdict, places) if place not in known]:
            folder.write_description({**description, "reached": [*known, *new]})


def wants_representations(prepared: Prepared, metrics: Sequence[str]) -> bool:
    """Whether some metric asks for representations that the method has."""
    with asking(prepared.method, "represents"):
        represents = bool(prepared.method.represents())
    return represents and any(load_class("metric", name).card.asks_representations for name in metrics)


def execute_represent(prepared: Prepared, *, advance: Callable[[int], object] = lambda _: None) -> CollectedStates:
    """Stores what the method knows of each user, where the folder lacks it. The folder is locked meanwhile.

    Raises:
        PrefbenchError: another process holds the folder, a file in it is damaged, or the disk is full.
    """
    from prefbench.probing.plan import probe_plans
    from prefbench.run.states import collect_states

    unseen = {user: prepared.suite.history(user, "scorer") for user in prepared.histories}
    plans = probe_plans(prepared.histories, unseen)
    folder = RunFolder(prepared.folder.path.absolute())  # of all, where a shard has drawn the last part
    with folder.locked():
        names = settled(prepared.names, folder)
        return collect_states(plans, prepared.method, folder, advance=advance, names=names)


def start_row(code: Mapping[str, Any], batch: int) -> StartRow:
    """When, in which batches and by which code a run was begun or continued; `run.json` has the first one's alone."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    return StartRow(time, batch, code["commit"], code["dirty"], versions())


def describe(prepared: Prepared, code: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `run.json` of a run that is begun by this code."""
    with asking(prepared.method, "card_in_use"):
        card, represents = prepared.method.card_in_use, bool(prepared.method.represents())
    check_card_of("method", type(prepared.method).card.name, card)
    return {
        "spec": prepared.spec.to_json(),
        "method": {**asdict(card), "name": prepared.shown},
        "backbone": asdict(prepared.backbone.card),
        "represents": represents,
        "kinds": dict(prepared.kinds),
        "planned": prepared.n_samples if prepared.n_whole is None else prepared.n_whole,
        "reached": [asdict(place) for place in reached_by(type(prepared.method))],
        "unread_code": unread_code(type(prepared.method)),
        "command": prepared.command,
        "environment": {"versions": versions(), "hardware": hardware(), "code": dict(code)},
    }
