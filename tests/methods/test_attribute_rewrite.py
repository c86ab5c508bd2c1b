"""`attribute-rewrite` with tiny language models: one taught what two users like, others that say anything."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from prefbench.api import (
    Case,
    Context,
    Drawing,
    History,
    Judgment,
    Picture,
    PrefbenchError,
    ProbeItem,
    Profile,
    Request,
    UnreadableImageError,
    to_pixels,
)
from prefbench.check import check_method
from prefbench.methods.attribute_rewrite import AttributeRewrite, read_answer
from prefbench.methods.prompt_only import PromptOnly
from prefbench.methods.shared.questions import TEMPLATES, Examples, follow_up
from prefbench.models.backbones.cards import SD15, SDXL
from prefbench.models.backbones.loader import load_backbone
from prefbench.models.mllms.conversation import answer
from prefbench.models.mllms.loader import load_mllm
from tests.support import tiny
from tests.support.tiny_mllms import save_tiny_idefics2, save_tiny_qwen

SAYS = {
    "ann": ("at night, snow", "blurry and dark"),
    "bob": ("by the sea", "nothing"),
    "cem": ("nothing", "nothing"),
}
COLOURS = {"ann": ("red", "blue"), "bob": ("green", "black"), "cem": ("white", "gray")}
SAVED = {"sd15": (SD15, tiny.save_tiny_sd15), "sdxl": (SDXL, tiny.save_tiny_sdxl)}


def picture(colour: str) -> Image.Image:
    return Image.new("RGB", (16, 16), colour)


def history(user: str) -> History:
    liked, disliked = (Picture.of(picture(colour)) for colour in COLOURS[user])
    return History(user, (Judgment(liked, "a picture", liked=True),), (Judgment(disliked, "a picture", liked=False),))


HISTORIES = [history(user) for user in SAYS]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny Qwen2.5-VL that has learned by heart what `SAYS` says."""
    root = tmp_path_factory.mktemp("mllm")
    mllm = load_mllm(save_tiny_qwen(root / "random"), device="cpu")
    conversations = []
    for user, said in SAYS.items():
        shown = Examples(*((picture(colour),) for colour in COLOURS[user]))
        conversations.append([*follow_up(shown, said[0], TEMPLATES.dislikes[0]), answer(said[1])])
    batch = mllm.training_batch(conversations)
    batch = {name: value for name, value in batch.items() if name not in ("opened", "seen_at")}
    optimizer = torch.optim.Adam(mllm.model.parameters(), 3e-3)
    torch.manual_seed(0)
    for _ in range(100):
        mllm.model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    mllm.save(root / "taught")
    return str(root / "taught")


@pytest.fixture(scope="module")
def untaught(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random Idefics2: its answers never end."""
    return str(save_tiny_idefics2(tmp_path_factory.mktemp("mllm") / "random"))


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    root = tmp_path_factory.mktemp("backbones")
    folders = {name: save(root / name) for name, (_, save) in SAVED.items()}

    def set_up(method: Any, backbone: str = "sd15") -> Any:
        card = replace(SAVED[backbone][0], source=str(folders[backbone]), resolution=tiny.RESOLUTION)
        method.setup(Context(load_backbone(card, device="cpu", steps=2)))
        return method

    return set_up


def requests(profiles: Sequence[Profile]) -> list[Request]:
    return [Request(Case(f"{p.user}/0", p.user, "a red fox"), 0, ord(p.user[0]), p) for p in profiles]


def same(first: Sequence[Drawing], second: Sequence[Drawing]) -> list[bool]:
    """Whether each pair is the same picture, but for the rounding of another batch."""
    pairs = zip(first, second, strict=True)
    return [bool(np.abs(to_pixels(a.image).astype(float) - to_pixels(b.image)).mean() < 0.1) for a, b in pairs]


@pytest.mark.slow
def test_likes_and_dislikes_are_what_the_model_says(taught: str, make: Callable[..., Any]) -> None:
    method = make(AttributeRewrite(mllm=taught))
    found = {one.user: method.profile(one).payload for one in HISTORIES}
    assert found["ann"] == {"likes": "at night, snow", "dislikes": "blurry and dark"}
    assert found["bob"] == {"likes": "by the sea", "dislikes": ""}
    assert found["cem"] == {"likes": "", "dislikes": ""}


def test_a_model_that_judges_phrases_is_asked_about_these(untaught: str, make: Callable[..., Any]) -> None:
    """Also one that would answer in no words that can be used."""
    method = make(AttributeRewrite(mllm=untaught, sure=0.6))
    told = {"red": 0.6, "big": 0.9, "small": 0.8, "old": 0.5, "wet": -0.5, "blue": -0.6, "dry": -0.9, "hot": -0.7}
    method.mllm.card = replace(
        method.mllm.card, phrases=(("red", "blue"), ("big", "small"), ("old",), ("wet", "dry", "hot"))
    )
    method.asking.phrases = lambda asked: told if len(asked) else {}
    profile = method.profile(HISTORIES[0])
    assert profile.payload == {"likes": "big, red", "dislikes": "dry, blue"}
    prompts = {"a fox": "a fox, big, red", "a blue fox": "a blue fox, big", "a small, red fox": "a small, red fox"}
    for prompt, drawn in prompts.items():
        (drawing,) = method.generate([Request(Case("0", "ann", prompt), 0, 0, profile)])
        assert drawing.prompt_used == drawn
    assert method.profile(History("nobody", (), ())).payload == {"likes": "", "dislikes": ""}
    with pytest.raises(PrefbenchError, match="sure must be from 0 to 1"):
        AttributeRewrite(sure=-0.1)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", list(SAVED))
def test_they_go_into_the_prompt_and_the_negative_prompt(backbone: str, taught: str, make: Callable[..., Any]) -> None:
    method = make(AttributeRewrite(mllm=taught), backbone)
    asked = requests([method.profile(one) for one in HISTORIES])
    drawings = method.generate(asked)
    prompts = ["a red fox, at night, snow", "a red fox, by the sea", "a red fox"]
    assert [drawing.prompt_used for drawing in drawings] == prompts
    pipe, seeds = method.context.backbone, [request.seed for request in asked]
    by_hand = pipe.generate(prompts[:1], seeds[:1], negative_prompts=["blurry and dark"])
    by_hand += pipe.generate(prompts[1:], seeds[1:])  # not an empty text: on SDXL that is another condition
    assert same(drawings, [Drawing(image, "") for image in by_hand]) == [True] * 3
    without = pipe.generate(prompts[:1], seeds[:1])
    assert same(drawings[:1], [Drawing(without[0], "")]) == [False]


@pytest.mark.slow
def test_its_states_are_those_of_the_conversation_it_would_have(taught: str, make: Callable[..., Any]) -> None:
    """About a user, and at a picture after what it really said; the last token of every layer, and the mean."""
    method = make(AttributeRewrite(mllm=taught))
    bob = HISTORIES[1]
    shown = Examples(*((picture(colour),) for colour in COLOURS["bob"]))
    said = follow_up(shown, SAYS["bob"][0], TEMPLATES.like[0], picture("red"))
    found = method.represent(bob, ProbeItem(Picture.of(picture("red")), "a picture"))
    about = method.represent(bob)
    for states, represented in ((method.mllm.states([said]), found), (method.mllm.states([said[:1]]), about)):
        layers = states.last.shape[1]
        assert list(represented) == [f"{name} {i}" for name in ("last", "mean") for i in range(layers)]
        for pooling, rows in (("last", states.last[0]), ("mean", states.mean[0])):
            for i in range(layers):
                np.testing.assert_allclose(represented[f"{pooling} {i}"], rows[i].numpy(), rtol=1e-4, atol=1e-5)
    other = method.represent(HISTORIES[0], ProbeItem(Picture.of(picture("red")), "a picture"))
    assert not np.allclose(found["last 2"], other["last 2"])
    nobody = History("nobody", (), ())
    assert method.represent(nobody) == {}
    assert set(method.represent(nobody, ProbeItem(Picture.of(picture("red")), "a picture"))) == set(found)


@pytest.mark.slow
def test_many_users_in_a_batch_get_what_each_gets_alone(taught: str, make: Callable[..., Any]) -> None:
    method = make(AttributeRewrite(mllm=taught))
    asked = requests([method.profile(one) for one in HISTORIES])
    together = method.generate(asked)
    assert same(together, [method.generate([request])[0] for request in asked]) == [True] * 3
    assert same(together, method.generate(asked[::-1])[::-1]) == [True] * 3
    assert {drawing.nfe for drawing in together} == {method.context.backbone.nfe}


@pytest.mark.slow
def test_a_user_of_whom_nothing_is_known_is_not_asked_about(
    taught: str, make: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    profile = make(AttributeRewrite(mllm=taught)).profile(History("ann", (), ()))
    assert profile.payload == {"likes": "", "dislikes": ""}
    assert not caplog.records


def test_an_answer_that_never_ends_gets_one_warning_and_the_prompt_alone(
    untaught: str, make: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    method = make(AttributeRewrite(mllm=untaught))
    with caplog.at_level(logging.WARNING, "prefbench"):
        profiles = [method.profile(one) for one in HISTORIES]
    assert len(caplog.records) == len(HISTORIES)
    line = caplog.records[0].getMessage()
    assert line.startswith("attribute-rewrite: ann got an answer")
    assert line.endswith("; drawing from the prompt alone")
    assert "\n" not in line
    drawings, plain = method.generate(requests(profiles)), make(PromptOnly()).generate(requests(profiles))
    assert [drawing.prompt_used for drawing in drawings] == ["a red fox"] * 3
    assert same(drawings, plain) == [True] * 3


@pytest.mark.slow
def test_it_conforms(taught: str) -> None:
    findings = check_method("attribute-rewrite", [f"mllm={taught}"])
    assert [finding for finding in findings if not finding.passed] == []


# ---------------------------------------------------------------------------------------------------- the answers


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Room for 32 tokens; each word of picturebook is one."""
    from prefbench.suites.picturebook.world.words import picturebook_tokenizer

    return picturebook_tokenizer()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ocean colors, with a star", "ocean colors, with a star"),
        ("  ocean colors,\n with a star. ", "ocean colors, with a star"),
        ("nothing", ""),
        ("Nothing.", ""),
    ],
)
def test_answers_are_read_as_they_stand(said: str, words: str, tokenizer: Any) -> None:
    assert read_answer(said, tokenizer) == words


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("", "no answer"),
        (" ,.\n", "no answer"),
        ("star, " * 15 + "star", "answer of 33 tokens, over 32: 'star, star,"),
        ("ocean <image> colors", "answer with <image>: 'ocean <image> colors'"),
        ("ocean \x1b[31mcolors", r"answer with control characters: 'ocean \\x1b\[31mcolors'"),
    ],
)
def test_answers_that_are_no_words_are_refused(said: str, problem: str, tokenizer: Any) -> None:
    with pytest.raises(ValueError, match=problem):
        read_answer(said, tokenizer, ["<image>"])


# --------------------------------------------------------------------------------------------------- what is wrong


def test_an_unknown_language_model_is_refused(make: Callable[..., Any]) -> None:
    with pytest.raises(PrefbenchError, match="unknown mllm 'mini-mlm'; did you mean 'mini-mllm'"):
        make(AttributeRewrite(mllm="mini-mlm"))


def test_one_that_is_not_here_comes_with_the_command(make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "/nowhere")
    with pytest.raises(PrefbenchError, match="no local copy of HuggingFaceM4/idefics2-8b; get it with: hf download"):
        make(AttributeRewrite(mllm="idefics2-8b"))


@pytest.mark.slow
def test_an_unreadable_picture_is_named(taught: str, make: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    broken = Judgment(Picture("0" * 64, path=tmp_path / "broken.png"), "a picture", liked=True)
    with pytest.raises(UnreadableImageError, match=r"broken\.png: cannot be decoded"):
        make(AttributeRewrite(mllm=taught)).profile(History("ann", (broken,), ()))
