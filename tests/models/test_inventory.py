"""What `prefbench doctor` says of weights, with folders of shipped weights in which some are missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from prefbench.api import SuiteCard
from prefbench.files import WEIGHTS
from prefbench.models.inventory import Inventory, InventoryRow
from prefbench.registry import Kind, load, names

SUITE: SuiteCard = load("suite", "picturebook").card
LOADING = (
    "ours", "teacher-adapter", "ip-adapter", "instant-style", "attribute-rewrite", "tally", "best-of-n",
    "best-of-reader", "feature-match", "look-up-id", "look-up-pictures",
    "reader-noise", "scorer-noise", "clip-noise", "joint-noise",
)  # fmt: skip
"""Methods that load weights beside the backbone's."""


def inventory(*shipped: str, folder: Path) -> dict[tuple[Kind, str], InventoryRow]:
    """Of a folder that holds these shipped weights alone, and an empty cache of the hub."""
    for name in shipped:
        shutil.copytree(WEIGHTS / name, folder / name)
    return {(row.kind, row.name): row for row in Inventory(SUITE, folder).rows()}


@pytest.fixture(autouse=True)
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def trainers(row: InventoryRow) -> list[str]:
    """The trainers in a row's command, which is nothing but calls of trainers."""
    words = [command.split() for command in row.command.split(" && ")]
    assert all((word[:2], word[3:]) == (["prefbench", "train"], ["--install"]) for word in words), row.command
    return [word[2] for word in words]


def drawing_from_text() -> list[str]:
    """Methods that need the suite's backbone; the weights of those that redraw pictures come in a package."""
    return [name for name in names("method") if load("method", name).card.backbone_kind != "style-transfer"]


def test_without_weights_every_method_is_missing_and_its_trainers_exist(tmp_path: Path) -> None:
    rows = inventory(folder=tmp_path / "weights")
    for name in drawing_from_text():
        row = rows["method", name]
        assert not row.ready, name
        assert row.bytes_here == 0
        assert "mini-sd" in trainers(row)
        assert set(trainers(row)) <= set(names("trainer"))
    assert trainers(rows["method", "ours"]) == ["mini-sd", "mini-vision", "ours"]
    assert trainers(rows["method", "ip-adapter"]) == ["mini-sd", "mini-vision", "mini-ip-adapter"]
    assert trainers(rows["metric", "preference"]) == ["mini-dino", "preference"]
    assert trainers(rows["metric", "utility"]) == trainers(rows["suite", "picturebook"]) == ["reader"]
    assert trainers(rows["metric", "fid"]) == ["mini-clip"]
    assert rows["metric", "style"].ready, "its extractor has no weights"


def test_with_the_backbone_alone_what_needs_more_is_missing(tmp_path: Path) -> None:
    rows = inventory("mini-sd", folder=tmp_path / "weights")
    missing = {name for name in drawing_from_text() if not rows["method", name].ready}
    assert missing == set(LOADING)
    assert trainers(rows["method", "ours"]) == ["mini-vision", "ours"]
    assert any("ours-mini-sd" in what for what in rows["method", "ours"].missing)
    assert rows["method", "prompt-only"].command == ""
    assert rows["method", "prompt-only"].bytes_here == rows["backbone", "mini-sd"].bytes_here > 1_000_000


def test_with_all_shipped_weights_only_downloads_are_missing(tmp_path: Path) -> None:
    rows = inventory(*(path.name for path in WEIGHTS.iterdir()), folder=tmp_path / "weights")
    missing = {key: row for key, row in rows.items() if not row.ready}
    assert missing.pop(("method", "teacher-adapter")).command == "prefbench train teacher-adapter --install"
    assert missing.pop(("scorer", "prefdisc-like")).command == "prefbench train prefdisc-like --install"
    assert not any(kind == "method" for kind, _ in missing)
    assert {("backbone", "sdxl"), ("mllm", "idefics2-8b"), ("scorer", "pickscore"), ("metric", "vqa-score")} <= set(
        missing
    )
    assert missing.pop(("extractor", "mini-words")).command == "prefbench train mini-words --install"
    unscored = missing.pop(("metric", "fd-dinov2"))
    assert (unscored.missing, unscored.command) == (("suite 'picturebook' names no extractor for 'dinov2'",), "")
    assert all(row.command.startswith(("hf download ", "curl ")) for row in missing.values())


def test_a_row_says_size_and_licence(tmp_path: Path) -> None:
    rows = inventory("mini-sd", "mini-vision", "mini-ip-adapter", folder=tmp_path / "weights")
    assert rows["backbone", "sd15"].bytes_missing == 2_130_000_000
    assert rows["backbone", "sd15"].licences == ("CreativeML Open RAIL-M",)
    assert rows["scorer", "viper-proxy"].bytes_missing is None, "nobody noted the adapter's size"
    adapter = rows["method", "ip-adapter"]
    read = ["mini-vision/model.safetensors", "mini-ip-adapter/ip-adapter.safetensors"]
    expected = sum((WEIGHTS / file).stat().st_size for file in read) + rows["backbone", "mini-sd"].bytes_here
    assert (adapter.ready, adapter.bytes_here, adapter.bytes_missing) == (True, expected, 0)
    assert adapter.licences == ("Apache-2.0",)


def test_a_backbone_without_one_component_is_missing(tmp_path: Path) -> None:
    shutil.copytree(WEIGHTS / "mini-sd", tmp_path / "weights" / "mini-sd")
    next((tmp_path / "weights" / "mini-sd" / "unet").glob("*.safetensors")).unlink()
    row = inventory(folder=tmp_path / "weights")["method", "prompt-only"]
    assert row.missing == (f"{tmp_path / 'weights' / 'mini-sd'} has no files of unet",)
    assert trainers(row) == ["mini-sd"]
