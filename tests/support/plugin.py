"""An installed package that registers names, made of a few lines of metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from prefbench.registry import Kind


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, targets: Mapping[str, str]) -> None:
    """Puts a package on the path whose entry points name the targets; modules in `folder` can be imported too."""
    information = folder / "plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    lines = [f"{name} = {target}" for name, target in targets.items()]
    (information / "entry_points.txt").write_text("\n".join([f"[prefbench.{kind}]", *lines, ""]))
    monkeypatch.syspath_prepend(folder)
