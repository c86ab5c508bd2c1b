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

from prefbench import __version__

ROOT = Path(__file__).parents[1]
INSTALLED_AS = {
    "prefbench/": "prefbench/",
    "methods/": "prefbench/methods/",
    "metrics/": "prefbench/metrics/",
    "reports/": "prefbench/reports/",
}
MEGABYTE = 1_000_000


def run(*command: object, cwd: Path) -> str:
    """The output of a command in a folder, without the paths that this process was given."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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
def clones(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two copies of the tree in folders that are called like the package, so that no leftover of a build slips in."""
    folders = tmp_path_factory.mktemp("one") / "prefbench", tmp_path_factory.mktemp("another") / "prefbench"
    for name in tracked:
        for folder in folders:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folders


@pytest.fixture(scope="module")
def wheel(clones: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-P", "-m", "build", "--wheel", "--no-isolation", "--outdir", out, clones[0], cwd=clones[0])
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def installed_name(name: str) -> str | None:
    return next((to + name.removeprefix(of) for of, to in INSTALLED_AS.items() if name.startswith(of)), None)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


def installed(folder: Path, *what: object) -> Path:
    """The Python of a new environment with one installation of prefbench; all else comes from the running one."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "running.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", *what, cwd=folder)
    return python


@pytest.fixture(scope="module")
def editable(clones: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("editable") / "venv", "-e", clones[0])


IMPORTS = """
import json
import prefbench
from prefbench.cli.list import location
from prefbench.registry import entry
modules = [location(entry("method", "prompt-only")), location(entry("report", "table"))]
print(json.dumps([prefbench.__version__, prefbench.__file__, *modules]))
"""


def files_imported(python: Path, cwd: Path) -> list[Path]:
    version, *files = json.loads(run(python, "-c", IMPORTS, cwd=cwd))
    assert version == __version__
    return [Path(file.partition(":")[0]) for file in files]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["elsewhere", "folder above", "clone", "inside"])
def test_an_editable_install_is_imported_from_every_folder(
    editable: Path, clones: tuple[Path, Path], tmp_path: Path, where: str
) -> None:
    """The folder above a clone holds a folder that is called like the package."""
    clone, _ = clones
    folders = {"elsewhere": tmp_path, "folder above": clone.parent, "clone": clone, "inside": clone / "docs"}
    imported = files_imported(editable, folders[where])
    assert all(path.is_relative_to(clone) for path in imported), imported


@pytest.mark.slow
def test_a_second_clone_uses_its_own_plug_ins(editable: Path, clones: tuple[Path, Path]) -> None:
    """In its folder Python finds its package first, wherever the installed one is: then all of it must be its own."""
    _, second = clones
    imported = files_imported(editable, second)
    assert all(path.is_relative_to(second) for path in imported), imported


@pytest.mark.slow
def test_an_installed_wheel_is_imported_from_every_folder(
    wheel: Path, clones: tuple[Path, Path], tmp_path: Path
) -> None:
    python = installed(tmp_path / "venv", wheel)
    for folder in (tmp_path, clones[0].parent):
        imported = files_imported(python, folder)
        assert all("site-packages" in path.parts and path.is_relative_to(tmp_path) for path in imported), imported
