"""Keeps what a method knows of users: asks it what `probing.interviews` says, a file a user, for scoring alone.

It comes after drawing, so no picture that is asked about has been before a method when it draws.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Features, Judgment, Method, Picture, PrefbenchError, States, Suite, UserStates
from prefbench.probing.interviews import VERSION, Interview
from prefbench.run.folder import RunFolder
from prefbench.run.outputs import reason

Advance = Callable[[int], object]
_PARTS = ("halves", "answers")
_ASKED_OF = ("first", "second", "asked")


@dataclass(frozen=True)
class Representing:
    """What the stage ended with: users asked about, by this call, and those it failed for."""

    users: int
    made: int
    failed: Mapping[str, str]
    """User to the error."""
    seconds: float


def represent(
    interviews: Sequence[Interview], method: Method, folder: RunFolder, *, advance: Advance = lambda _: None
) -> Representing:
    """Stores what the folder lacks of each user; the method must be set up, the folder locked.

    What fails for a user becomes a row with its error in `representations.jsonl`, and is tried again by the next call.
    """
    started, made, failed = time.monotonic(), 0, {}
    for interview in interviews:
        if _asked_before(folder, interview):
            advance(1)
            continue
        began, error = time.perf_counter(), None
        try:
            arrays = _answered(method, interview)
        except Exception as problem:
            error = failed[interview.user] = reason(problem)
        else:
            folder.put_representation(_name(interview.user), _packed(arrays))
            made += 1
        seconds = round(time.perf_counter() - began, 6)
        status = "ok" if error is None else "failed"
        row = {"user": interview.user, "key": interview.key, "seconds": seconds, "status": status, "error": error}
        folder.append_representation(row)
        advance(1)
    return Representing(len(interviews), made, failed, time.monotonic() - started)


def represented(folder: RunFolder, suite: Suite, users: Sequence[str]) -> dict[str, UserStates]:
    """What a run kept of its users, with the verdicts that the suite knows; users without any are left out.

    Raises:
        PrefbenchError: a file is damaged, of another protocol, or of pictures that the suite does not know.
    """
    shown = {picture.digest: picture for user in users for picture in _pictures(suite, user)}
    found = {}
    for user in users:
        arrays = folder.representation(_name(user))
        if arrays is not None:
            try:
                found[user] = _read(user, arrays, shown, suite)
            except (KeyError, ValueError) as error:
                raise PrefbenchError(folder.damaged_representation(_name(user), reason(error))) from error
    return found


def _name(user: str) -> str:
    return hashlib.sha256(user.encode()).hexdigest()[:24]


def _asked_before(folder: RunFolder, interview: Interview) -> bool:
    arrays = folder.representation(_name(interview.user))
    return arrays is not None and str(arrays.get("key")) == interview.key


def _answered(method: Method, interview: Interview) -> dict[str, NDArray[Any]]:
    """Everything that the file of a user holds."""
    name, halves = method.card.name, interview.halves or ()
    states = {
        "halves": _matrices(name, [method.represent(half) for half in halves]),
        "answers": _matrices(name, [method.represent(interview.history, asked) for asked in interview.questions]),
    }
    digests = [[j.picture.digest for j in (*half.liked, *half.disliked)] for half in halves] or [[], []]
    pictures = dict(zip(_ASKED_OF, [*digests, [j.picture.digest for j in interview.asked]], strict=True))
    texts = {"protocol": VERSION, "key": interview.key, "user": interview.user}
    return {
        **{key: np.array(text) for key, text in texts.items()},
        **{key: np.array(found, dtype=np.str_) for key, found in pictures.items()},
        **{f"{part} layers": np.array(list(found), dtype=np.str_) for part, found in states.items()},
        **{f"{part} {i}": matrix for part, found in states.items() for i, matrix in enumerate(found.values())},
    }


def _matrices(method: str, rows: Sequence[Mapping[str, Features]]) -> States:
    """Vectors as one matrix a layer. Raises `PrefbenchError` unless all have the same layers, finite and of one width.

    A layer without a number, or no layer at all, is none.
    """
    layers = [list(row) for row in rows]
    if odd := next((found for found in layers if found != layers[0]), None):
        raise PrefbenchError(f"{method} represents one user by the layers {layers[0]} and {odd}")
    matrices = {}
    for layer in layers[0] if layers else ():
        with np.errstate(over="ignore"):  # what float32 cannot hold is found as infinite below
            vectors = [np.asarray(row[layer], dtype=np.float32) for row in rows]
        if len({vector.shape for vector in vectors}) != 1 or vectors[0].ndim != 1 or not vectors[0].size:
            raise PrefbenchError(f"{method}: layer {layer!r} has no vector of one length, got {vectors[0].shape}")
        matrices[layer] = np.stack(vectors)
        if not np.isfinite(matrices[layer]).all():
            raise PrefbenchError(f"{method}: layer {layer!r} holds NaN or infinite numbers")
    return matrices


def _packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


def _pictures(suite: Suite, user: str) -> Iterable[Picture]:
    history = suite.history(user)
    return (judgment.picture for judgment in (*history.liked, *history.disliked))


def _read(user: str, arrays: Mapping[str, NDArray[Any]], shown: Mapping[str, Picture], suite: Suite) -> UserStates:
    """Raises `KeyError` or `ValueError` for what is not there or no state."""
    if (str(arrays["user"]), str(arrays["protocol"])) != (user, VERSION):
        raise ValueError(f"it is of user {str(arrays['user'])!r}, protocol {arrays['protocol']}, not {VERSION}")
    unseen = suite.history(user, "scorer")
    judged: dict[str, Judgment] = {j.picture.digest: j for j in (*unseen.liked, *unseen.disliked)}
    first, second, asked = (arrays[key].tolist() for key in _ASKED_OF)
    halves, answers = (_states(arrays, part) for part in _PARTS)
    return UserStates(
        user,
        (tuple(shown[digest] for digest in first), tuple(shown[digest] for digest in second)),
        halves,
        tuple(judged[digest] for digest in asked),
        answers,
    )


def _states(arrays: Mapping[str, NDArray[Any]], part: str) -> States:
    found = {str(layer): arrays[f"{part} {i}"] for i, layer in enumerate(arrays[f"{part} layers"].tolist())}
    for layer, matrix in found.items():
        if matrix.dtype != np.float32 or matrix.ndim != 2 or not np.isfinite(matrix).all():
            raise ValueError(f"layer {layer!r} holds no finite float32 matrix")
    return found
