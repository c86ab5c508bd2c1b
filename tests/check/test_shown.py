"""Checks of suites, methods and run folders say which pictures show nothing or the same, and which texts are cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from transformers import CLIPTokenizer

from prefbench.api import Method
from prefbench.check.findings import Finding
from prefbench.check.method import check_method
from prefbench.check.suite import check_suite
from prefbench.cli.main import main
from prefbench.files import WEIGHTS
from prefbench.models.backbones.loader import read_prompts
from prefbench.run.folder import RunFolder
from tests.support.long_prompts import PROMPTS, Black, Collapsed, Colours, Control, FlatPictures, LongPrompts
from tests.support.tiny import save_tiny_sdxl

FILE = Path(__file__).parents[1] / "support" / "long_prompts.py"


class Elsewhere(LongPrompts):
    card = replace(LongPrompts.card, backbone="sd15", extractors={})


def of_method(method: str | type[Method]) -> Finding:
    return {finding.check: finding for finding in check_method(method)}["pictures"]


def of_suite(suite: type[LongPrompts]) -> dict[str, Finding]:
    return {finding.check: finding for finding in check_suite(suite)}


@pytest.mark.slow
def test_a_method_that_draws_one_colour_does_not_conform() -> None:
    for method in (Black, Colours):
        finding = of_method(method)
        assert finding.outcome == "FAILED"
        assert "7 of 7 pictures are of one colour" in finding.detail


def test_a_method_that_draws_one_picture_for_all_prompts_is_warned_of() -> None:
    finding = of_method(Collapsed)
    assert finding.outcome == "warning"
    assert finding.detail == "7 of 7 pictures equal another (7 to one of another prompt); 1 different in all"


def test_of_a_control_it_is_stated_alone() -> None:
    finding = of_method(Control)
    assert (finding.outcome, finding.detail.split(" (")[0]) == ("ok", "7 of 7 pictures equal another")


@pytest.mark.slow
def test_an_honest_method_on_random_weights_is_not_complained_of() -> None:
    finding = of_method("prompt-only")
    assert (finding.outcome, finding.detail) == ("ok", "7, 7 different, 0 of one colour or nearly")


def test_a_suite_says_how_many_prompts_its_backbone_and_its_encoder_cut() -> None:
    finding = of_suite(LongPrompts)["prompts read"]
    tokenizer = CLIPTokenizer.from_pretrained(WEIGHTS / "mini-sd" / "tokenizer")
    most = max(len(tokenizer(prompt)["input_ids"]) for prompt in PROMPTS) - 32
    backbone, extractor = finding.detail.split("; ")
    assert finding.outcome == "warning"
    assert backbone == f"2 of 3 prompts cut at 32 tokens by the backbone mini-sd, up to {most} tokens not read"
    assert extractor == "2 of 3 prompts cut at 32 tokens by the extractor mini-clip"


@pytest.mark.slow
def test_a_suite_of_short_prompts_is_read_whole() -> None:
    finding = {finding.check: finding for finding in check_suite("picturebook", users=1)}["prompts read"]
    assert finding.outcome == "ok"
    assert finding.detail.startswith("0 of 28 prompts cut at 32 tokens by the backbone mini-sd; 0 of 28")


def test_a_backbone_that_is_not_here_is_named_as_not_counted() -> None:
    finding = of_suite(Elsewhere)["prompts read"]
    assert finding.outcome == "not applicable"
    assert finding.detail.startswith("not counted for the backbone sd15: ")


def test_both_tokenizers_of_a_backbone_are_read_without_its_weights(tmp_path: Path) -> None:
    folder = save_tiny_sdxl(tmp_path / "sdxl")
    second = CLIPTokenizer.from_pretrained(folder / "tokenizer_2", model_max_length=6)
    second.save_pretrained(folder / "tokenizer_2")
    read = read_prompts(folder, ["a red fox", "a red fox in the snow"])
    assert (read.limit, read.cut, read.most) == (6, 1, len(second("a red fox in the snow")["input_ids"]) - 6)


def test_the_pictures_of_a_suite_are_looked_at_too() -> None:
    finding = of_suite(FlatPictures)["pictures shown"]
    assert finding.outcome == "warning"
    assert finding.detail.startswith("40 of 120 pictures are of one colour; ")
    assert of_suite(LongPrompts)["pictures shown"].outcome == "ok"


@pytest.mark.parametrize("older", [False, True], ids=["today's rows", "rows of version 0.2"])
def test_an_audit_says_it_of_run_folders(tiny_sd: Path, tmp_path: Path, older: bool) -> None:
    settings = ["--backbone", str(tiny_sd), "--device", "cpu", "--steps", "1", "--no-score", "--out", str(tmp_path)]
    suite = ["--suite", f"{FILE}:LongPrompts"]
    done = CliRunner().invoke(main, ["run", "--method", f"{FILE}:Colours", *suite, *settings])
    assert done.exit_code == 0, done.output
    (path,) = tmp_path.iterdir()
    if older:
        folder = RunFolder(path)
        samples = [replace(one, spread=None, text_limit=None) for one in folder.samples().values()]
        folder.append_samples(samples)
    output = " ".join(CliRunner().invoke(main, ["audit", str(path), *suite]).output.split())
    assert "FAILED pictures 12 of 12 pictures are of one colour" in output
    read = "not applicable prompts read" if older else "warning prompts read 2 of 3 prompts cut at 32 tokens"
    assert read in output
