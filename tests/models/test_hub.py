"""Finding weights in folders and in the cache of the hub, and the digest over them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from prefbench.api import PrefbenchError, WeightFiles
from prefbench.models import hub
from prefbench.models.hub import MissingWeights
from tests.support.tiny_scorers import hub_folder


def write(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(file.encode())
    return folder


def test_a_folder_needs_one_file_of_every_pattern(tmp_path: Path) -> None:
    weights = WeightFiles(str(tmp_path), ("config.json", "model*.safetensors"), trainer="mini-dino")
    command = "prefbench train mini-dino --install"
    assert hub.locate(weights) == MissingWeights(f"there are no weights in {tmp_path}", command)
    write(tmp_path, "model-00001-of-00002.safetensors")
    assert hub.locate(weights) == MissingWeights(f"{tmp_path} has no config.json here", command)
    write(tmp_path, "config.json", "other.bin")
    assert hub.locate(weights) == tmp_path
    found = hub.files(tmp_path, weights.files)
    assert [path.name for path in found] == ["config.json", "model-00001-of-00002.safetensors"]
    assert hub.size(found) == len("config.json" + "model-00001-of-00002.safetensors")


def test_a_repository_is_looked_for_in_the_cache_by_its_revision(tmp_path: Path) -> None:
    weights = WeightFiles("some/thing", ("a/model.bin", "b.json"))
    command = 'hf download some/thing --revision main --include "a/model.bin" --include "b.json"'
    absent = MissingWeights("there is no local copy of some/thing", command)
    assert hub.locate(weights, cache=tmp_path) == absent
    snapshot = write(hub_folder(tmp_path, "some/thing"), "b.json")
    assert hub.locate(weights, cache=tmp_path) == MissingWeights("some/thing has no a/model.bin here", command)
    write(snapshot, "a/model.bin")
    assert hub.locate(weights, cache=tmp_path) == snapshot
    other = WeightFiles("some/thing", ("b.json",), revision="0" * 40)
    assert isinstance(hub.locate(other, cache=tmp_path), MissingWeights)


def test_all_that_is_missing_is_one_line_with_each_command_once(tmp_path: Path) -> None:
    write(tmp_path / "here", "x")
    here, *absent = (
        WeightFiles(str(tmp_path / name), ("x",), command=command)
        for name, command in (("here", ""), ("first", "make both"), ("second", "make both"), ("third", "make third"))
    )
    assert hub.require("a scorer", here) == tmp_path / "here"
    with pytest.raises(PrefbenchError) as caught:
        hub.require_all("a scorer", [here, *absent])
    folders = ", ".join(f"there are no weights in {tmp_path / name}" for name in ("first", "second", "third"))
    assert str(caught.value) == f"a scorer: {folders}; get it with: make both && make third"


def test_the_digest_is_over_names_and_contents(tmp_path: Path) -> None:
    write(tmp_path, "b/x.json", "a.txt", "left out")
    read = {tmp_path: [tmp_path / "b" / "x.json", tmp_path / "a.txt"]}
    hashes = [hashlib.sha256(name).digest() for name in (b"a.txt", b"b/x.json")]
    expected = hashlib.sha256(b"a.txt " + hashes[0] + b"b/x.json " + hashes[1]).hexdigest()
    assert hub.digest(read) == expected
    replaced = hub.digest(read, contents={tmp_path / "a.txt": b"as it was"})
    (tmp_path / "a.txt").write_bytes(b"as it was")
    assert hub.digest(read) == replaced != expected
