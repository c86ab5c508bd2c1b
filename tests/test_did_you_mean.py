"""A name that is nearly right is answered with the one that was meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prefbench.api import PrefbenchError
from prefbench.registry import check_name, check_source, entry
from prefbench.run.folder import RunFolder
from tests.support import toy_runs

EXAMPLES = Path(__file__).parents[1] / "examples"
LONG = "x" * 5000
MEANT: dict[str, tuple[Callable[[], None], str]] = {
    "another case": (lambda: check_name("method", "PROMPT-only"), "did you mean 'prompt-only'?"),
    "a letter too few": (lambda: check_name("metric", "utilty"), "did you mean 'utility'?"),
    "a file of nearly that name": (
        lambda: check_name("method", f"{EXAMPLES / 'Liked_color.py'}:LikedColors"),
        f"did you mean {EXAMPLES / 'liked_colors.py'}?",
    ),
    "a file without its class": (
        lambda: check_name("method", str(EXAMPLES / "liked_colors.py")),
        "must name a class too: .*liked_colors.py:LikedColors",
    ),
    "a hub id": (
        lambda: check_source("backbone", "stable-diffusion-v1-5/stable-diffusion-v1-5"),
        "did you mean 'sd15', whose weights are stable-diffusion-v1-5/stable-diffusion-v1-5?",
    ),
    "a hub id in another case": (
        lambda: check_source("backbone", "StabilityAI/Stable-Diffusion-XL-base-1.0"),
        "did you mean 'sdxl'",
    ),
    "a language model's hub id": (
        lambda: check_source("mllm", "HuggingFaceM4/idefics2-8b"),
        "did you mean 'idefics2-8b'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MEANT)
def test_what_was_meant_is_named(what: str) -> None:
    check, words = MEANT[what]
    with pytest.raises(PrefbenchError, match=words.replace("?", r"\?")):
        check()


@pytest.mark.parametrize(
    "check",
    [
        lambda: check_source("backbone", LONG),
        lambda: check_source("backbone", f"a/{LONG}"),
        lambda: check_name("method", LONG),
        lambda: check_name("method", f"{LONG}.py:Class"),
        lambda: check_name("method", f"{LONG}.py"),
        lambda: entry("metric", LONG),
        lambda: check_source("backbone", "a/b\0c"),
        lambda: check_name("method", "a\0b.py:Class"),
        lambda: RunFolder(Path(LONG)).read_description(),
    ],
)
def test_a_name_of_any_length_is_one_line(check: Callable[[], None]) -> None:
    with pytest.raises(PrefbenchError) as caught:
        check()
    assert "\n" not in str(caught.value)


def test_runs_one_level_down_are_named(tmp_path: Path) -> None:
    for name in ("one", "other"):
        toy_runs.build(tmp_path / "runs" / name, name, 0.5)
    with pytest.raises(PrefbenchError, match=r"runs is not a run folder: it has no run.json, but 2 runs below it; did"):
        RunFolder(tmp_path / "runs").read_description()
    with pytest.raises(PrefbenchError, match=r"it has no run.json; did you mean .*runs/other\?"):
        RunFolder(tmp_path / "runs" / "Othr").read_description()
    with pytest.raises(PrefbenchError, match=r"quite-another is not a run folder: it has no run.json$"):
        RunFolder(tmp_path / "runs" / "quite-another").read_description()
