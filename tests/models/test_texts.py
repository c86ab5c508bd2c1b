"""What text encoders leave unread: counted as tokenizers from elsewhere count it, and said once instead of per text."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import CLIPTokenizer

from prefbench.files import WEIGHTS
from prefbench.models.backbones.diffusers_backbone import DiffusersBackbone
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.backbones.texts import AskedFor, TextReader
from prefbench.registry import load
from tests.support.tiny import save_tiny_sd15, save_tiny_sdxl

SHORT, LONG = "a red fox", "a red fox in the snow, two boats at night, an old house by the sea, blurry and dark"


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> DiffusersBackbone:
    return load_backbone(save_tiny_sd15(tmp_path_factory.mktemp("sd15") / "tiny"), device="cpu", steps=1)


@pytest.fixture
def texts(backbone: DiffusersBackbone) -> TextReader:
    backbone.prompts.texts.watch()
    return backbone.prompts.texts


def of_sample(texts: TextReader, prompt: str = SHORT, seed: int = 1) -> int:
    return texts.unread_of([AskedFor(prompt, prompt, seed)])[0]["other_cut"]


def test_tokens_are_counted_as_the_tokenizer_of_the_checkpoint_does(backbone: DiffusersBackbone) -> None:
    tokenizer = CLIPTokenizer.from_pretrained(backbone.folder / "tokenizer")
    length = len(tokenizer(LONG)["input_ids"])
    reader = backbone.prompts.texts
    assert length > 12
    assert reader.limit == 12
    assert reader.unread(LONG) == length - 12
    assert reader.unread(SHORT) == 0


def test_a_text_is_cut_exactly_where_its_end_changes_nothing(backbone: DiffusersBackbone) -> None:
    """The embedding decides: words behind the last token that is read do not move it, the word before does."""
    reader, words = backbone.prompts.texts, LONG.split()
    lengths = [len(backbone.pipeline.tokenizer(" ".join(words[:n]))["input_ids"]) for n in range(len(words) + 1)]
    longest = max(n for n, length in enumerate(lengths) if length <= 12)
    full, over = " ".join(words[:longest]), " ".join(words[: longest + 1])
    assert reader.unread(full) == 0 < reader.unread(over)
    more = f"{over} sea sea"
    assert backbone.prompts(over)["prompt_embeds"].equal(backbone.prompts(more)["prompt_embeds"])


def test_a_text_that_one_of_two_encoders_cuts_is_cut(tmp_path: Path) -> None:
    folder = save_tiny_sdxl(tmp_path / "sdxl")
    second = CLIPTokenizer.from_pretrained(folder / "tokenizer_2", model_max_length=6)
    second.save_pretrained(folder / "tokenizer_2")
    reader = load_backbone(folder, device="cpu", steps=1).prompts.texts
    prompt = "a red fox in the snow"
    length = len(second(prompt)["input_ids"])
    assert 6 < length <= 12
    assert (reader.limit, reader.unread(prompt)) == (6, length - 6)


def test_words_of_several_learned_tokens_count_as_many(backbone: DiffusersBackbone) -> None:
    pipeline, prompt = backbone.pipeline, "a fox, <style>"
    pipeline.load_textual_inversion({"<style>": torch.zeros(20, 16)}, token="<style>")
    backbone.prompts.forget()
    assert backbone.prompts.texts.unread(prompt) == len(pipeline.tokenizer("a fox,")["input_ids"]) + 20 - 12
    pipeline.unload_textual_inversion()
    backbone.prompts.forget()
    assert backbone.prompts.texts.unread("a fox") == 0


def test_no_prompt_of_truth_is_cut_on_picturebook() -> None:
    """The numbers in docs/belief.md."""
    suite = load("suite", "picturebook")()
    tokenizer = CLIPTokenizer.from_pretrained(WEIGHTS / "mini-sd" / "tokenizer")
    cases = [case for user in suite.users("test") for case in suite.cases(user.id)]
    prompts = {f"{case.prompt}, {suite.truth.words(case.user, case.prompt)}" for case in cases}
    lengths = [len(tokenizer(prompt)["input_ids"]) for prompt in prompts]
    assert (len(prompts), max(lengths), tokenizer.model_max_length) == (392, 28, 32)
    text = (Path(__file__).parents[2] / "docs" / "belief.md").read_text(encoding="utf-8")
    assert "With 32 tokens `mini-sd` cuts none of the 392" in text
    assert "the longest has 28" in text


def test_half_a_surrogate_pair_is_counted_and_not_raised(texts: TextReader) -> None:
    assert texts.unread("a fox \ud800") >= 0


@pytest.mark.parametrize("draw", ["generate", "pipeline", "encode_prompt"])
def test_no_paragraph_is_printed_for_a_text_that_is_cut(
    backbone: DiffusersBackbone, draw: str, caplog: pytest.LogCaptureFixture
) -> None:
    backbone.prompts.forget()
    backbone.pipeline.tokenizer.deprecation_warnings.clear()
    for name in ("diffusers", "transformers"):
        logging.getLogger(name).addHandler(caplog.handler)
    calls: dict[str, Callable[[], Any]] = {
        "generate": lambda: backbone.generate([LONG], [1]),
        "pipeline": lambda: backbone.pipeline(LONG, num_inference_steps=1, output_type="np"),
        "encode_prompt": lambda: backbone.pipeline.encode_prompt(LONG, backbone.device, 1, False),
    }
    calls[draw]()
    for name in ("diffusers", "transformers"):
        logging.getLogger(name).removeHandler(caplog.handler)
    assert not [r for r in caplog.records if "truncated" in r.getMessage() or "longer than" in r.getMessage()]


def test_a_negative_prompt_that_is_cut_belongs_to_its_own_drawing(
    backbone: DiffusersBackbone, texts: TextReader
) -> None:
    backbone.generate([SHORT] * 2, [1, 2], negative_prompts=["blurry", LONG])
    rows = texts.unread_of([AskedFor(SHORT, SHORT, seed) for seed in (1, 2)])
    assert [row["other_cut"] for row in rows] == [0, texts.unread(LONG)]


def test_a_negative_prompt_is_noted_again_although_its_embedding_is_remembered(
    backbone: DiffusersBackbone, texts: TextReader
) -> None:
    for _ in range(2):
        texts.watch()
        backbone.generate([SHORT], [1], negative_prompts=[LONG])
        assert of_sample(texts) == texts.unread(LONG)


def test_texts_that_a_method_encodes_itself_are_seen(backbone: DiffusersBackbone, texts: TextReader) -> None:
    backbone.pipeline.encode_prompt(SHORT, backbone.device, 1, True, negative_prompt=LONG)
    assert of_sample(texts) == texts.unread(LONG)
    texts.watch()
    backbone.prompts(LONG)
    assert of_sample(texts) == texts.unread(LONG)
    texts.watch()
    assert of_sample(texts) == 0


def test_the_prompt_of_a_neighbour_is_no_other_text(backbone: DiffusersBackbone, texts: TextReader) -> None:
    backbone.generate([SHORT, LONG], [1, 2])
    rows = texts.unread_of([AskedFor(SHORT, SHORT, 1), AskedFor(SHORT, LONG, 2)])
    assert [(row["prompt_used_cut"], row["other_cut"]) for row in rows] == [(0, 0), (texts.unread(LONG), 0)]
