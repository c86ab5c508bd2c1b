"""Stores the states of a method about each user, one file per user, for scoring alone; `probing.plan` says which.

It comes after drawing, so that a method has seen none of the probed pictures when it draws.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Features, Judgment, Method, Picture, PrefbenchError, States, Suite, UserStates
from prefbench.api.guard import reason
from prefbench.probing.plan import VERSION, ProbePlan
from prefbench.run.arrays import packed
from prefbench.run.folder import RunFolder
from prefbench.run.opaque import OpaqueNames
from prefbench.run.outputs import asking, named
from prefbench.run.row_kinds import RepresentationRow

logger = logging.getLogger(__name__)
Advance = Callable[[int], object]
_PARTS = ("halves", "answers")
_ASKED_OF = ("first", "second", "asked")


@dataclass(frozen=True)
class CollectedStates:
    """How the collection ended."""

    users: int
    collected: int
    """Users stored by this call; the other users' states were stored already."""
    failed: Mapping[str, str]
    """User to the error."""
    seconds: float


def collect_states(
    plans: Sequence[ProbePlan],
    method: Method,
    folder: RunFolder,
    *,
    advance: Advance = lambda _: None,
    names: OpaqueNames | None = None,
) -> CollectedStates:
    """Stores the states of each user that the folder lacks; the method must be set up, the folder locked.

    Each half of a history bears a name of its own, so that no state can tell them for one user's by it; `names` are
    those that the method was set up with.

    What fails for a user becomes a row with its error in `representations.jsonl`, and is tried again by the next call.
    """
    started, collected, failed = time.monotonic(), 0, {}
    stored, names = folder.representations(), names or OpaqueNames(folder.names_secret())
    for plan in plans:
        if not is_stored(folder, plan, stored.get(plan.user)):
            row, data = collect(plan, method, names)
            keep_states(folder, row, data)
            collected += data is not None
            failed.update({} if row.error is None else {plan.user: row.error})
        advance(1)
    return CollectedStates(len(plans), collected, failed, time.monotonic() - started)


def collect(plan: ProbePlan, method: Method, names: OpaqueNames) -> tuple[RepresentationRow, bytes | None]:
    """The row of one user and the arrays as bytes, which are None where the method failed; stores nothing."""
    began, error, data = time.perf_counter(), None, None
    try:
        with asking(method, "represent"):
            data = packed(_states_of(method, plan, names))
    except PrefbenchError as problem:
        error = names.told(named(problem, plan.history))
    seconds = round(time.perf_counter() - began, 6)
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    status: Literal["ok", "failed"] = "ok" if error is None else "failed"
    return RepresentationRow(plan.user, plan.key, seconds, status, error, digest), data


def keep_states(folder: RunFolder, row: RepresentationRow, data: bytes | None) -> None:
    """Stores the arrays first and the row after."""
    if data is not None:
        folder.put_representation(_name(row.user), data)
    folder.append_representation(row)


def load_states(folder: RunFolder, suite: Suite, users: Sequence[str]) -> dict[str, UserStates]:
    """The stored states of a run's users, with the judgments that the suite knows; users without any are left out.

    Raises:
        PrefbenchError: a file is damaged, of another protocol, or of pictures that the suite does not have.
    """
    pictures = {picture.digest: picture for user in users for picture in _pictures(suite, user)}
    rows = folder.representations()
    states = {}
    for user in users:
        arrays = folder.representation(_name(user))
        if arrays is not None:
            if user not in rows or not _is_whole(folder, rows[user]):
                raise PrefbenchError(folder.damaged_representation(_name(user), "it is not what its row names"))
            try:
                states[user] = _read(user, arrays, pictures, suite)
            except (KeyError, ValueError) as error:
                raise PrefbenchError(folder.damaged_representation(_name(user), reason(error))) from error
    return states


def _name(user: str) -> str:
    return hashlib.sha256(user.encode()).hexdigest()[:24]


def is_stored(folder: RunFolder, plan: ProbePlan, row: RepresentationRow | None) -> bool:
    """Whether the user's arrays are as they were written and have their row: a kill may come between the two."""
    if row is None or row.key != plan.key or not _is_whole(folder, row):
        return False
    try:
        arrays = folder.representation(_name(plan.user))
    except PrefbenchError as error:
        logger.warning("the states of %s are collected again: %s", plan.user, error)
        return False
    return arrays is not None and str(arrays.get("key")) == plan.key


def _is_whole(folder: RunFolder, row: RepresentationRow) -> bool:
    """Whether the file is that which the row names; rows of format 1 name none."""
    return folder.owner.format == 1 or row.arrays == folder.representation_digest(_name(row.user))


def _states_of(method: Method, plan: ProbePlan, names: OpaqueNames) -> dict[str, NDArray[Any]]:
    """All arrays of a user's file."""
    name, halves, history = method.card.name, plan.halves or (), names.history(plan.history)
    shown = [names.history(half, part) for half, part in zip(halves, _ASKED_OF, strict=False)]
    states = {
        "halves": _matrices(name, [method.represent(half) for half in shown]),
        "answers": _matrices(name, [method.represent(history, names.item(item)) for item in plan.items]),
    }
    digests = [[j.picture.digest for j in (*half.liked, *half.disliked)] for half in halves] or [[], []]
    pictures = dict(zip(_ASKED_OF, [*digests, [j.picture.digest for j in plan.judgments]], strict=True))
    texts = {"protocol": VERSION, "key": plan.key, "user": plan.user}
    return {
        **{key: np.array(text) for key, text in texts.items()},
        **{key: np.array(values, dtype=np.str_) for key, values in pictures.items()},
        **{f"{part} layers": np.array(list(layers), dtype=np.str_) for part, layers in states.items()},
        **{f"{part} {i}": matrix for part, layers in states.items() for i, matrix in enumerate(layers.values())},
    }


def _matrices(method: str, rows: Sequence[Mapping[str, Features]]) -> States:
    """The vectors of each layer stacked into one matrix (rows, D).

    Raises:
        PrefbenchError: rows with different layers; a layer whose vectors are empty, differ in length or are not finite.
    """
    layers = [list(row) for row in rows]
    if odd := next((names for names in layers if names != layers[0]), None):
        raise PrefbenchError(f"{method} represents one user by the layers {layers[0]} and {odd}")
    matrices = {}
    for layer in layers[0] if layers else ():
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is refused below
            vectors = [np.asarray(row[layer], dtype=np.float32) for row in rows]
        if len({vector.shape for vector in vectors}) != 1 or vectors[0].ndim != 1 or not vectors[0].size:
            raise PrefbenchError(f"{method}: layer {layer!r} has no vector of one length, got {vectors[0].shape}")
        matrices[layer] = np.stack(vectors)
        if not np.isfinite(matrices[layer]).all():
            raise PrefbenchError(f"{method}: layer {layer!r} holds NaN or infinite numbers")
    return matrices


def _pictures(suite: Suite, user: str) -> Iterable[Picture]:
    history = suite.history(user)
    return (judgment.picture for judgment in (*history.liked, *history.disliked))


def _read(user: str, arrays: Mapping[str, NDArray[Any]], pictures: Mapping[str, Picture], suite: Suite) -> UserStates:
    """Raises `KeyError` for a missing array or an unknown picture, `ValueError` for one that holds no states."""
    if (str(arrays["user"]), str(arrays["protocol"])) != (user, VERSION):
        raise ValueError(f"it is of user {str(arrays['user'])!r}, protocol {arrays['protocol']}, not {VERSION}")
    unseen = suite.history(user, "scorer")
    judgment_of: dict[str, Judgment] = {j.picture.digest: j for j in (*unseen.liked, *unseen.disliked)}
    first, second, item_digests = (arrays[key].tolist() for key in _ASKED_OF)
    halves, answers = (_states(arrays, part) for part in _PARTS)
    return UserStates(
        user,
        (tuple(pictures[digest] for digest in first), tuple(pictures[digest] for digest in second)),
        halves,
        tuple(judgment_of[digest] for digest in item_digests),
        answers,
    )


def _states(arrays: Mapping[str, NDArray[Any]], part: str) -> States:
    states = {str(layer): arrays[f"{part} {i}"] for i, layer in enumerate(arrays[f"{part} layers"].tolist())}
    for layer, matrix in states.items():
        if matrix.dtype != np.float32 or matrix.ndim != 2 or not np.isfinite(matrix).all():
            raise ValueError(f"layer {layer!r} holds no finite float32 matrix")
    return states
