"""How histories are shown is data of the weights: without a word of it they are shown as ever."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from prefbench.api import PrefbenchError
from prefbench.files import WEIGHTS
from prefbench.methods.shared.questions import TEMPLATES, Examples, likes_question
from prefbench.models.mllms.conversation import Judged, ask, images_of
from prefbench.models.mllms.folders import CARD_FILE
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm

PICTURES = tuple(Image.new("RGB", (8, 8), (20 * i, 0, 0)) for i in range(6))
SHOWN = Judged(PICTURES[:4], PICTURES[4:])


def test_both_layouts_show_every_image_with_its_word() -> None:
    assert SHOWN.parts("blocks") == [
        part
        for word, side in (("liked", PICTURES[:4]), ("disliked", PICTURES[4:]))
        for image in side
        for part in (word, image)
    ]
    parts = SHOWN.parts("verdicts")
    assert [*parts[1::2]] == ["liked", "disliked", "liked", "liked", "disliked", "liked"]
    order = [PICTURES.index(image) for image in parts[::2] if isinstance(image, Image.Image)]
    assert order == [0, 4, 1, 2, 5, 3]


def test_a_history_of_one_side_or_none() -> None:
    assert Judged(PICTURES[:2], ()).parts("verdicts") == [PICTURES[0], "liked", PICTURES[1], "liked"]
    assert Judged((), ()).parts("verdicts") == Judged((), ()).parts("blocks") == []
    assert likes_question(Examples((), ()))[0].parts == (TEMPLATES.likes[0],)


def test_images_are_those_of_all_parts() -> None:
    assert images_of([ask(SHOWN, "and this?", PICTURES[0])]) == [*PICTURES, PICTURES[0]]


def rendered(mllm: Mllm) -> str:
    conversation = likes_question(Examples(SHOWN.liked, SHOWN.disliked))
    ids = mllm.batch([conversation])["input_ids"][0]
    text = mllm.tokenizer.decode(ids[ids != mllm.tokenizer.convert_tokens_to_ids("<image>")])
    return " ".join(text.replace("<fake_token_around_image>", " . ").split())


def test_the_folder_of_the_weights_says_how_histories_are_shown(idefics2: Path, tmp_path: Path) -> None:
    before = load_mllm(idefics2, device="cpu")
    assert before.card.history == "blocks"
    assert "liked . . liked . . liked . . liked . . disliked . ." in rendered(before)
    Mllm(
        replace(before.card, history="verdicts"), before.model, before.processor, folder=None, device=before.device
    ).save(tmp_path / "saved")
    assert json.loads((tmp_path / "saved" / CARD_FILE).read_text())["history"] == "verdicts"
    again = load_mllm(tmp_path / "saved", device="cpu")
    assert ". . liked . . disliked . . liked . . liked . . disliked . . liked" in rendered(again)
    named = load_mllm(replace(again.card, history="blocks", source=str(tmp_path / "saved")), device="cpu")
    assert named.card.history == "verdicts", "a registered name takes it from the weights, too"


def test_an_unknown_layout_is_named(idefics2: Path, tmp_path: Path) -> None:
    mllm = load_mllm(idefics2, device="cpu")
    mllm.save(tmp_path / "saved") if mllm.adapter is None else None
    path = tmp_path / "saved" / CARD_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"history": "heap"}))
    with pytest.raises(PrefbenchError, match="history cannot be 'heap'"):
        load_mllm(tmp_path / "saved", device="cpu")


def test_the_shipped_model_is_shown_blocks_as_it_learned_them() -> None:
    mllm = load_mllm("mini-mllm", device="cpu")
    examples = Examples(SHOWN.liked, SHOWN.disliked)
    plain = [ask(*examples.parts("liked", "disliked"), TEMPLATES.likes[0])]
    stored = json.loads((WEIGHTS / "mini-mllm" / CARD_FILE).read_text())
    if stored.get("history", "blocks") == "blocks":
        assert mllm.batch([likes_question(examples)])["input_ids"].tolist() == mllm.batch([plain])["input_ids"].tolist()
    assert mllm.card.history == stored.get("history", "blocks")
