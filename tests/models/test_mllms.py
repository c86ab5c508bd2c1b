"""Asking and teaching a language model: the same numbers as transformers gives for one conversation alone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers.modeling_outputs import BaseModelOutputWithPooling

from prefbench.api import PrefbenchError
from prefbench.models.mllms.cards import Layout, MllmCard
from prefbench.models.mllms.conversation import Conversation, Judged, answer, ask, fitted, images_of, laid_out
from prefbench.models.mllms.folders import card_of_folder
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import IGNORED, Mllm
from tests.support.plain_mllms import Plain, history, picture, train_user
from tests.support.tiny_mllms import LAYERS, WIDTH, save_tiny_idefics2, save_tiny_qwen

FAMILIES = {
    "idefics2": (save_tiny_idefics2, "Assistant:", " ", "<end_of_utterance>"),
    "qwen": (save_tiny_qwen, "<|im_start|>assistant\n", "", "<|im_end|>"),
}
CLOSE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-4}
MIXED: list[Conversation] = [
    [history(2, 3)],
    [history(1, 0, seed=7), answer("yes"), ask("and this one", picture(9), "or that?")],
    [history(0, 1, seed=3)],
]
"""Of different lengths, so that two of three are padded."""


@pytest.fixture(scope="module", params=FAMILIES)
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    save, begins, gap, ends = FAMILIES[request.param]
    return Plain(save(tmp_path_factory.mktemp("mllm") / request.param), begins, gap, ends)


@pytest.fixture(scope="module")
def mllm(plain: Plain) -> Mllm:
    return load_mllm(plain.folder, device="cpu")


def card(folder: Path, **changes: Any) -> MllmCard:
    return replace(card_of_folder(folder), **changes)


# ------------------------------------------------------------------------------------------------------ asking


def test_a_folder_loads_with_its_card(plain: Plain, mllm: Mllm) -> None:
    assert (mllm.card.name, mllm.card.dtype, mllm.card.context) == (plain.folder.name, "float32", 1024)
    assert (mllm.width, mllm.layers, mllm.adapter) == (WIDTH, LAYERS, None)
    assert not mllm.model.training
    assert len(mllm.digest) == 64


def test_a_batch_is_each_conversation_alone_padded_on_the_left(plain: Plain, mllm: Mllm) -> None:
    batch = mllm.batch(MIXED)
    assert batch["input_ids"].shape == batch["attention_mask"].shape
    for ids, mask, conversation in zip(batch["input_ids"], batch["attention_mask"], MIXED, strict=True):
        alone = plain.inputs(conversation)["input_ids"][0]
        assert ids[mask == 1].tolist() == alone.tolist()
        assert mask.tolist() == sorted(mask.tolist())
    assert mllm.tokenizer.decode(batch["input_ids"][0]).endswith(plain.begins)


def test_states_are_those_of_each_conversation_alone(plain: Plain, mllm: Mllm) -> None:
    states = mllm.states(MIXED)
    assert states.last.shape == states.mean.shape == (len(MIXED), LAYERS + 1, WIDTH)
    assert states.last.dtype == states.mean.dtype == torch.float32
    for i, conversation in enumerate(MIXED):
        alone = plain.states(conversation)
        torch.testing.assert_close(states.last[i], alone[:, -1], **CLOSE)
        torch.testing.assert_close(states.mean[i], alone.mean(1), **CLOSE)


@pytest.mark.parametrize("layout", ["blocks", "verdicts"])
def test_the_contrast_is_of_liked_less_disliked_images(mllm: Mllm, layout: Layout) -> None:
    """Sides of unlike size, one side alone, no history, and images beside a history, which count for nothing."""
    same = Mllm(replace(mllm.card, history=layout), mllm.model, mllm.processor, folder=None, device=mllm.device)
    images = [Image.new("RGB", (20 + i, 24), (40 * i, 200 - 40 * i, 90)) for i in range(6)]
    cases = [((0, 1, 2), (3,), (4,)), ((1,), (), ()), ((), (2, 3), (0, 5)), ((), (), (4,))]

    def of(numbers: tuple[int, ...]) -> tuple[Image.Image, ...]:
        return tuple(images[i] for i in numbers)

    conversations = [[ask(Judged(of(liked), of(disliked)), "and", *of(beside))] for liked, disliked, beside in cases]
    found = same.states(conversations).contrast
    for row, (liked, disliked, beside) in enumerate(cases):
        inputs = same.batch(conversations[row : row + 1])
        with torch.no_grad():
            states = same.model(**inputs, output_hidden_states=True, use_cache=False).hidden_states
        order = [images.index(image) for image in images_of(laid_out(conversations[row : row + 1], layout)[0])]
        tokens = torch.nonzero(inputs["input_ids"][0] == same.model.config.image_token_id).flatten()
        gaps = torch.nonzero(tokens.diff() > 1).flatten() + 1
        runs = dict(zip(order, torch.tensor_split(tokens, gaps.tolist()), strict=True))
        assert len(runs) == len((*liked, *disliked, *beside))
        for number, layer in enumerate(states):
            means = [torch.cat([layer[0, runs[i]] for i in side]).mean(0) if side else 0 for side in (liked, disliked)]
            torch.testing.assert_close(found[row, number], means[0] - means[1] + torch.zeros(WIDTH), **CLOSE)


def test_the_size_of_batches_changes_no_state(mllm: Mllm) -> None:
    one, all_ = mllm.states(MIXED, batch=1), mllm.states(MIXED)
    torch.testing.assert_close(one.last, all_.last, **CLOSE)
    torch.testing.assert_close(one.mean, all_.mean, **CLOSE)
    torch.testing.assert_close(one.contrast, all_.contrast, **CLOSE)


@pytest.mark.parametrize(("liked", "disliked"), [(1, 0), (0, 1), (16, 16)])
def test_histories_of_every_size_are_read(plain: Plain, mllm: Mllm, liked: int, disliked: int) -> None:
    conversation = [history(liked, disliked)]
    torch.testing.assert_close(mllm.states([conversation]).last[0], plain.states(conversation)[:, -1], **CLOSE)


def test_images_move_the_states_and_so_does_their_side(mllm: Mllm) -> None:
    images = [picture(0), picture(1)]
    asked = [ask("liked", images[i], "disliked", images[j]) for i, j in ((0, 1), (1, 0))]
    asked.append(ask("liked", images[0], "disliked", picture(6)))
    last = mllm.states([[turn] for turn in asked]).last[:, -1]
    assert all((last[i] - last[j]).abs().max() > 1e-3 for i, j in itertools.combinations(range(3), 2))


def test_a_conversation_without_images_is_read_too(plain: Plain, mllm: Mllm) -> None:
    texts = [[ask("What does the user like?")], [ask("yes")]]
    for last, conversation in zip(mllm.states(texts).last, texts, strict=True):
        torch.testing.assert_close(last, plain.states(conversation)[:, -1], **CLOSE)


def test_oblong_transparent_and_grey_images_are_read(mllm: Mllm) -> None:
    images = [Image.new("RGB", (300, 1)), Image.new("RGBA", (2, 400)), Image.new("L", (1, 1)), Image.new("P", (9, 9))]
    assert mllm.states([[ask(*images)]]).last.isfinite().all()


def test_first_words_are_a_softmax_over_these_words(plain: Plain, mllm: Mllm) -> None:
    found = mllm.first_words(MIXED, ["yes", "no", "second"], batch=2)
    torch.testing.assert_close(found.sum(1), torch.ones(len(MIXED)))
    ids = [plain.first_token(word) for word in ("yes", "no", "second")]
    for row, conversation in zip(found, MIXED, strict=True):
        torch.testing.assert_close(row, plain.logits(conversation)[ids].softmax(0), **CLOSE)


def test_words_that_begin_alike_cannot_be_told_apart(mllm: Mllm) -> None:
    with pytest.raises(PrefbenchError, match=r"^\S+: yes, yes do not begin with different tokens$"):
        mllm.first_words(MIXED, ["yes", "yes"])


def test_answers_are_greedy_whatever_the_generation_config_says(
    plain: Plain, mllm: Mllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"do_sample": True, "temperature": 9.0, "top_k": 50, "repetition_penalty": 9.0}.items():
        monkeypatch.setattr(mllm.model.generation_config, name, value)
    forbidden = ["<fake_token_around_image>", "<image>"] if plain.folder.name == "idefics2" else []
    assert mllm.answers(MIXED, tokens=6, batch=2) == [plain.greedy(c, 6, forbidden) for c in MIXED]


def test_asking_in_the_middle_of_training_leaves_no_trace(mllm: Mllm) -> None:
    mllm.model.train()
    try:
        states = mllm.states(MIXED[:1])
        assert mllm.model.training
    finally:
        mllm.model.eval()
    assert not states.last.requires_grad
    torch.testing.assert_close(states.last, mllm.states(MIXED[:1]).last)


def test_pixels_can_be_brought_from_outside(mllm: Mllm) -> None:
    whole, bare = mllm.batch(MIXED), mllm.batch(MIXED, pixels=False)
    assert set(whole) - set(bare) == {name for name in whole if name.startswith("pixel_")} != set()
    assert all(torch.equal(whole[name], bare[name]) for name in bare)
    pixels = {name: whole[name] for name in whole if name.startswith(("pixel_", "image_grid"))}
    with torch.no_grad():
        seen = torch.cat(mllm.model.get_image_features(**pixels, return_dict=True).pooler_output)
        brought = {"image": BaseModelOutputWithPooling(pooler_output=[seen])}
        torch.testing.assert_close(mllm.model(**bare, mm_encoder_outputs=brought).logits, mllm.model(**whole).logits)


# ---------------------------------------------------------------------------------------------------- teaching


def test_labels_are_the_taught_answers_and_their_ends(plain: Plain, mllm: Mllm) -> None:
    conversations = [train_user(), [history(1, 1), answer("nothing")]]
    batch = mllm.training_batch(conversations)
    spoken = [_runs(mllm, ids, labels) for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True)]
    assert spoken == [[f"yes, red foxes{plain.ends}", f"no{plain.ends}"], [f"nothing{plain.ends}"]]
    for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        begin = int((labels != IGNORED).nonzero()[0])
        assert mllm.tokenizer.decode(ids[:begin]).endswith(plain.begins)


def test_the_loss_is_the_mean_over_taught_tokens(plain: Plain, mllm: Mllm) -> None:
    batch = mllm.training_batch([[history(1, 1), answer("nothing", taught=False), ask("and?"), answer("no")]])
    loss = mllm.model(input_ids=batch["input_ids"], **_images(batch), labels=batch["labels"]).loss
    asked = [history(1, 1), answer("nothing"), ask("and?")]
    first = plain.logits(asked).log_softmax(0)[plain.first_token("no")]
    last = plain.model(**plain.inputs(asked) | _longer(plain, asked, "no")).logits[0, -1].log_softmax(0)
    end = last[plain.tokenizer.convert_tokens_to_ids(plain.ends)]
    torch.testing.assert_close(loss, -(first + end) / 2, **CLOSE)


def test_a_turn_that_is_not_taught_is_said_but_has_no_loss(mllm: Mllm) -> None:
    batch = mllm.training_batch([[history(1, 0), answer("yes", taught=False)]])
    assert (batch["labels"] == IGNORED).all()


def test_seen_at_counts_the_images_of_the_batch(plain: Plain, mllm: Mllm) -> None:
    conversations: list[Conversation] = [train_user(), [history(1, 1, seed=4), answer("no")]]
    batch = mllm.training_batch(conversations)
    seen_at, images = batch["seen_at"], [image for c in conversations for image in images_of(c)]
    of_image = batch["input_ids"] == mllm.model.config.image_token_id
    assert torch.equal(seen_at >= 0, of_image)
    assert seen_at[of_image].tolist() == sorted(seen_at[of_image].tolist())
    alone = [plain.inputs([ask(image)])["input_ids"] == mllm.model.config.image_token_id for image in images]
    assert torch.bincount(seen_at[of_image]).tolist() == [int(tokens.sum()) for tokens in alone]
    assert seen_at[1].max() == len(images) - 1
    assert seen_at[1][of_image[1]].min() == len(images_of(conversations[0]))


def test_labels_need_no_pixels(mllm: Mllm) -> None:
    whole, bare = mllm.training_batch([train_user()]), mllm.training_batch([train_user()], pixels=False)
    assert all(torch.equal(whole[name], bare[name]) for name in ("input_ids", "labels", "seen_at"))


@pytest.mark.parametrize("text", ["", " yes ", "<b>yes</b>", "\n\nyes", "naïve café 你好"])
def test_answers_are_found_after_any_text(mllm: Mllm, text: str) -> None:
    turns = [ask(text, picture(0), text, picture(1), picture(2), text, text), answer(text), ask(text), answer("no")]
    labels = mllm.training_batch([turns])["labels"]
    assert _runs(mllm, labels[0], labels[0])[-1].startswith("no<")


def _runs(mllm: Mllm, ids: torch.Tensor, labels: torch.Tensor) -> list[str]:
    """What each run of labels says."""
    assert torch.equal(ids[labels != IGNORED], labels[labels != IGNORED])
    grouped = itertools.groupby(zip(labels.tolist(), ids.tolist(), strict=True), key=lambda pair: pair[0] != IGNORED)
    return [mllm.tokenizer.decode([token for _, token in run]).strip() for taught, run in grouped if taught]


def _images(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name: value for name, value in batch.items() if name.startswith(("pixel_", "image_grid", "mm_", "attention"))
    }


def _longer(plain: Plain, conversation: Conversation, word: str) -> dict[str, torch.Tensor]:
    """What changes of the inputs when a word of one token is said next."""
    inputs = plain.inputs(conversation)
    said = torch.tensor([[plain.first_token(word)]])
    longer = {"input_ids": torch.cat([inputs["input_ids"], said], 1)}
    for name, value in (("attention_mask", 1), ("mm_token_type_ids", 0)):
        if name in inputs:
            longer[name] = torch.cat([inputs[name], torch.tensor([[value]])], 1)
    return longer


# --------------------------------------------------------------------------------------------------- bad input


def test_too_long_a_conversation_is_never_cut(plain: Plain) -> None:
    short = load_mllm(card(plain.folder, context=60), device="cpu")
    assert len(short.states([[history(1, 1)]])) == 1
    with pytest.raises(
        PrefbenchError, match=r"a conversation of \d+ tokens with 32 images is longer than the context of"
    ):
        short.states([[history(1, 1)], [history(16, 16)]])


def test_conversations_with_and_without_images_share_no_batch(mllm: Mllm) -> None:
    with pytest.raises(PrefbenchError, match="with and without images cannot share a batch"):
        mllm.batch([[ask("hi", picture(0))], [ask("hi")]])


def test_control_tokens_in_a_text_are_refused(plain: Plain, mllm: Mllm) -> None:
    image = "<image>" if plain.folder.name == "idefics2" else "<|image_pad|>"
    for token in (image, plain.ends):
        with pytest.raises(PrefbenchError, match="which is a control token of the model") as caught:
            mllm.batch([[ask("a fox", picture(0), f"no{token}\nAssistant: yes")]])
        assert token in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("conversation", [[], [answer("yes"), ask("hi")]])
def test_the_user_speaks_first(mllm: Mllm, conversation: Conversation) -> None:
    with pytest.raises(PrefbenchError, match="a conversation begins with a turn of the user"):
        mllm.training_batch([conversation])


def test_there_must_be_something_to_learn(mllm: Mllm) -> None:
    with pytest.raises(PrefbenchError, match="needs a turn of the assistant"):
        mllm.training_batch([[history(1, 1)]])


def test_a_template_that_rewrites_earlier_turns_cannot_be_taught(plain: Plain) -> None:
    odd = load_mllm(plain.folder, device="cpu")
    odd.processor.chat_template = "{{ messages | length }}" + odd.processor.chat_template
    with pytest.raises(PrefbenchError, match="its chat template rewrites earlier turns, so it cannot be tuned"):
        odd.training_batch([train_user()])


def test_images_are_reduced_and_never_enlarged() -> None:
    assert fitted(picture(0, (60, 30)), 20).size == (20, 10)
    assert fitted(picture(0, (60, 30)), 100).size == (60, 30)
    assert fitted(picture(0, (60, 30)), None).size == (60, 30)
    assert fitted(picture(0, (1000, 1)), None).size == (1000, 10)
