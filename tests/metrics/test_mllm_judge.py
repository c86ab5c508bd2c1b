"""The pairwise judge against transformers alone, one question at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from prefbench.api import History, PrefbenchError, to_pixels
from prefbench.check import check_scorer
from prefbench.metrics.scorers.judge.mllm_judge import MllmJudge
from prefbench.models.mllms.conversation import ask
from tests.support.plain_mllms import Plain, picture
from tests.support.tiny_mllms import save_tiny_qwen
from tests.support.tiny_scorers import history

PROMPTS = ("an old house by the sea", "red foxes", "")
FIRST, SECOND = ([to_pixels(picture(i)) for i in rows] for rows in ((0, 1, 2), (3, 4, 5)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_qwen(tmp_path_factory.mktemp("judge") / "qwen")


@pytest.mark.slow
def test_it_is_the_probability_of_first_among_first_and_second(folder: Path) -> None:
    judged = history(3, 3)
    answers = MllmJudge(mllm=str(folder), examples=2, batch=2, device="cpu").prefer_first(
        judged, PROMPTS, FIRST, SECOND
    )
    plain = Plain(folder, "<|im_start|>assistant\n", "", "<|im_end|>")
    ids = [plain.first_token(word) for word in ("First", "Second")]
    examples: list[Any] = []
    for label, side in (("liked", judged.liked), ("disliked", judged.disliked)):
        for one in side[1:]:
            examples += [f"A picture that this person {label}:", one.picture.load()]
    for answer, prompt, first, second in zip(answers, PROMPTS, FIRST, SECOND, strict=True):
        drawn = f"Both were drawn for '{prompt}'. " if prompt else ""
        pair: list[Any] = ["The first picture:", Image.fromarray(first), "The second picture:", Image.fromarray(second)]
        question = f"{drawn}Which one would this person like better? Answer First or Second."
        logits = plain.logits([ask(*examples, *pair, question)])
        one, other = torch.exp(logits[ids].double()).tolist()
        assert answer == pytest.approx(one / (one + other), abs=1e-4)
    assert len({round(float(one), 5) for one in answers}) == 3


@pytest.mark.slow
def test_it_conforms(folder: Path) -> None:
    findings = check_scorer("mllm-judge", [f"mllm={folder}", "device=cpu"])
    assert all(finding.passed for finding in findings), [one for one in findings if not one.passed]
    assert "position bias" in {one.check: one.detail for one in findings}["probabilities"]


def test_absent_weights_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    findings = {finding.check: finding for finding in check_scorer("mllm-judge")}
    assert findings["weights"].outcome == "warning"
    assert "get it with: hf download" in findings["weights"].detail


def test_its_card_names_the_model_that_answers(folder: Path) -> None:
    assert MllmJudge().card.encoders == ("Qwen/Qwen2.5-VL-7B-Instruct",)
    assert MllmJudge(mllm=str(folder)).card.encoders == ("qwen",)


def test_settings_below_one_are_refused() -> None:
    with pytest.raises(PrefbenchError, match="examples is at least 1, got 0"):
        MllmJudge(examples=0)


def test_a_picture_of_the_history_that_is_gone_is_one_line(folder: Path, tmp_path: Path) -> None:
    from prefbench.api import Judgment, Picture

    gone = Judgment(Picture("0" * 64, path=tmp_path / "gone.png"), "p", True)
    with pytest.raises(PrefbenchError, match=r"a judged picture cannot be read: .*gone\.png"):
        MllmJudge(mllm=str(folder), device="cpu").prefer_first(History("u", (gone,), ()), ["p"], FIRST[:1], SECOND[:1])
