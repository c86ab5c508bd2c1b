"""Stored images are decoded again where their files may have changed, and only there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prefbench.api import PrefbenchError, Sample
from prefbench.run import images
from prefbench.run.folder import RunFolder

LIST = Path("images") / ".verified"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A folder of six samples."""
    folder, rng = RunFolder(tmp_path / "run"), np.random.default_rng(0)
    for key in "abcdef":
        image = folder.put_image(Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)))
        folder.append_samples([Sample(key, "ann", "ann/0", "a cat", 0, 1, "ok", image)])
    return folder


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Digests of the images that are decoded, as they are."""
    seen: list[str] = []
    is_intact = images.is_intact

    def watched(run: Path, digest: str) -> bool:
        seen.append(digest)
        return is_intact(run, digest)

    monkeypatch.setattr(images, "is_intact", watched)
    return seen


def image_of(folder: RunFolder, key: str) -> Path:
    return folder.image_path(folder.samples()[key].image or "")


def flip_last_byte(path: Path) -> None:
    """Another content of the same size under the same time of change, as `touch -r` leaves it."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_was_written_is_not_decoded(folder: RunFolder, decoded: list[str]) -> None:
    assert set(folder.finished()) == set("abcdef")
    assert decoded == []


def test_a_file_that_was_edited_under_its_old_time_is_decoded(folder: RunFolder, decoded: list[str]) -> None:
    flip_last_byte(image_of(folder, "c"))
    assert set(folder.finished()) == set("abdef")
    assert decoded == [folder.samples()["c"].image]


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda path: path.write_bytes(b"\xff\n\0" * 99)], ids=["lost", "noise"]
)
def test_without_the_list_all_are_decoded_once(
    folder: RunFolder, decoded: list[str], damage: Callable[[Path], object]
) -> None:
    damage(folder.path / LIST)
    assert set(folder.finished()) == set("abcdef")
    assert len(decoded) == 6
    assert set(folder.finished()) == set("abcdef")
    assert len(decoded) == 6, "the second time they are known"


def test_a_copied_folder_is_decoded_once(folder: RunFolder, decoded: list[str], tmp_path: Path) -> None:
    copy = RunFolder(Path(shutil.copytree(folder.path, tmp_path / "copy")))
    flip_last_byte(image_of(copy, "a"))
    assert [set(copy.finished()), set(copy.finished())] == [set("bcdef")] * 2
    assert len(decoded) == 7, "the damaged one both times"


def test_a_line_for_another_image_vouches_for_none(folder: RunFolder, decoded: list[str]) -> None:
    first, second = image_of(folder, "a"), image_of(folder, "b")
    shutil.copyfile(first, second)
    assert set(folder.finished()) == set("acdef")
    assert decoded == [second.stem]


def test_a_list_that_is_a_link_is_not_written_through(folder: RunFolder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("")
    (folder.path / LIST).unlink()
    (folder.path / LIST).symlink_to(elsewhere)
    with pytest.raises(PrefbenchError, match="link"):
        folder.finished()
    assert elsewhere.read_text() == ""
