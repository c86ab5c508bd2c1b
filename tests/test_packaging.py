"""The wheel holds what the tree holds: an unlisted folder works when editable and is missing from the wheel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSTALLED_AS = {
    "prefbench/": "prefbench/",
    "methods/": "prefbench/methods/",
    "metrics/": "prefbench/metrics/",
    "reports/": "prefbench/reports/",
}
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files of the checkout, also those about to be added; ignored ones are not among them."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("the tree is no git checkout")
    return [name for name in listed if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no leftover of an earlier build can slip in."""
    copy = tmp_path_factory.mktemp("tree")
    for name in tracked:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    command = [
        sys.executable,
        "-P",
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(copy / "out"),
        str(copy),
    ]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = (copy / "out").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def installed_name(name: str) -> str | None:
    return next((to + name.removeprefix(of) for of, to in INSTALLED_AS.items() if name.startswith(of)), None)


def test_the_wheel_holds_the_tracked_files_and_nothing_else(wheel: Path, tracked: list[str]) -> None:
    expected = {installed for name in tracked if (installed := installed_name(name))}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert sorted(expected - held) == [], "tracked, but missing from the wheel: is its folder listed in pyproject.toml?"
    assert sorted(held - expected) == [], "in the wheel, but not tracked"
    assert {
        "prefbench/py.typed",
        "prefbench/reports/table/templates/report.md.j2",
        "prefbench/methods/__init__.py",
    } <= held
    assert sum(name.endswith(".safetensors") for name in held) >= 4


def test_the_wheel_names_its_command_and_its_licence(unpacked: Path) -> None:
    (information,) = unpacked.glob("prefbench-*.dist-info")
    assert "prefbench = prefbench.cli.main:main" in (information / "entry_points.txt").read_text()
    metadata = (information / "METADATA").read_text()
    assert "License-Expression: Apache-2.0" in metadata
    assert (information / "licenses" / "LICENSE").is_file()


def test_the_weights_stay_small() -> None:
    """Git keeps every version of them."""
    size = sum(path.stat().st_size for path in (ROOT / "prefbench" / "weights").rglob("*") if path.is_file())
    assert size <= 24 * MEGABYTE


def test_the_unpacked_wheel_works_without_the_tree(unpacked: Path, tmp_path: Path) -> None:
    program = "from prefbench.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "list", "methods", "--paths", "--json"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert rows
    assert all(Path(row["path"].rpartition(":")[0]).is_relative_to(unpacked / "prefbench" / "methods") for row in rows)
