"""Payloads: plain data comes back as it was, anything else is refused, and no bytes do more than that."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from prefbench.run import payloads
from prefbench.run.payloads import NotPlainError

PLAIN = {
    "mean": np.arange(3.0),
    "image": np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3)),
    "mask": np.array([[True, False]]),
    "none": np.zeros((0, 4), dtype=np.float16),
    "weights": [torch.ones(20), (torch.zeros(2, 2, dtype=torch.bfloat16),)],
    "numbers": (1, 2.5, np.float32(0.5), np.array(7), True, None),
    "words": {"prompt": "a red fox", 3: "猫"},
}


class Evil:
    """A pickle of it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def same(a: Any, b: Any) -> bool:
    """Equal in value, type, and for arrays and tensors in dtype and shape."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    return bool(a == b)


def saved(payload: Any) -> bytes:
    """What torch alone writes."""
    stream = io.BytesIO()
    torch.save(payload, stream)
    return stream.getvalue()


def flipped(data: bytes, rng: random.Random) -> bytes:
    """One bit changed."""
    damaged = bytearray(data)
    damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def resealed(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """The archive with another pickle in it, every checksum right."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name.endswith("data.pkl") else content)
    return stream.getvalue()


def test_plain_data_comes_back_as_it_was() -> None:
    assert same(payloads.parse(payloads.dump(PLAIN)), PLAIN)


def test_arrays_come_back_writable_and_apart_from_the_payload() -> None:
    back = payloads.parse(payloads.dump(PLAIN))
    back["mean"][0] = 9
    assert PLAIN["mean"][0] == 0  # type: ignore[index]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_tensors_arrive_on_the_cpu() -> None:
    assert payloads.parse(payloads.dump(torch.ones(2, device="cuda"))).device.type == "cpu"


@pytest.mark.parametrize("payload", [Path("a"), {"a": [Path("b")]}, np.array(["words"]), np.array([None, 1])])
def test_other_classes_are_refused(payload: Any) -> None:
    with pytest.raises(NotPlainError):
        payloads.parse(payloads.dump(payload))


def test_what_does_not_pickle_is_refused_in_one_line() -> None:
    with pytest.raises(NotPlainError) as caught:
        payloads.dump({"f": lambda: None})
    assert "\n" not in str(caught.value)


def test_hostile_classes_are_refused_and_not_run(tmp_path: Path) -> None:
    with pytest.raises(NotPlainError):
        payloads.parse(saved(Evil(tmp_path / "pwned")))
    assert not (tmp_path / "pwned").exists()


def test_bytes_cannot_build_types_of_numpy() -> None:
    """torch would let a pickle set the state of the one `np.dtype("float64")` that the whole process shares."""
    with pytest.raises(NotPlainError):
        payloads.parse(saved(np.arange(3.0)))


def test_a_flipped_bit_is_noticed_or_means_nothing() -> None:
    data, rng = payloads.dump(PLAIN), random.Random(5)
    noticed = 0
    for _ in range(200):
        try:
            back = payloads.parse(flipped(data, rng))
        except NotPlainError:
            noticed += 1
        else:
            assert same(back, PLAIN)
    assert noticed > 50


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_hostile_pickle_behind_right_checksums_raises_nothing_else() -> None:
    data, rng = payloads.dump(PLAIN), random.Random(6)
    refused = 0
    for _ in range(200):
        try:
            payloads.parse(resealed(data, lambda pickled: flipped(pickled, rng)))
        except NotPlainError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("data", [b"", b"PK", b"\x80\x02}.", bytes(range(256))])
def test_bytes_that_are_no_payload_are_refused(data: bytes) -> None:
    with pytest.raises(NotPlainError):
        payloads.parse(data)


def test_a_payload_that_was_cut_is_refused() -> None:
    with pytest.raises(NotPlainError):
        payloads.parse(payloads.dump(PLAIN)[:-40])
