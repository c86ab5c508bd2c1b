"""Many endings of one conversation, in a single row or in rows, are read as each would be alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from PIL import Image

from prefbench.methods.shared.questions import TEMPLATES, Examples
from prefbench.methods.shared.verdicts import Verdicts
from prefbench.models.mllms.endings import packed, reads_side_by_side
from prefbench.models.mllms.images import encode_images
from prefbench.models.mllms.model import Mllm
from prefbench.models.mllms.pooling import narrow_local_layers
from prefbench.suites.picturebook.miniatures.cards import MINI_MLLM
from prefbench.suites.picturebook.miniatures.mini_mllm import build_mini_mllm

COLOURS = [(10 * i, 255 - 17 * i, (90 * i) % 256) for i in range(12)]
PICTURES = tuple(Image.new("RGB", (32, 32), colour) for colour in COLOURS)
HISTORIES = [Examples((), ()), Examples(PICTURES[:1], ()), Examples(PICTURES[:3], PICTURES[3:5])]


@pytest.fixture(scope="module")
def pooled() -> Mllm:
    """A miniature whose first layer sees near tokens alone."""
    model, processor = build_mini_mllm(TEMPLATES.texts())
    mllm = Mllm(
        replace(MINI_MLLM, history="verdicts"), model.eval(), processor, folder=None, device=torch.device("cpu")
    )
    mllm.pool_pictures()
    assert "sliding_attention" in mllm.model.config.text_config.layer_types
    return mllm


@pytest.fixture(params=[3, 64])
def window(pooled: Mllm, request: pytest.FixtureRequest) -> Iterator[int]:
    """How far the local layer sees: less than any history, or more."""
    before = pooled.model.config.text_config.sliding_window
    narrow_local_layers(pooled.model, by=before - request.param)
    yield request.param
    narrow_local_layers(pooled.model, by=request.param - before)


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("examples", HISTORIES)
def test_verdicts_in_one_row_are_those_of_rows_of_their_own(pooled: Mllm, examples: Examples) -> None:
    """Whatever is beside them, of histories shorter and longer than the window of the local layer."""
    tokens = encode_images(pooled, PICTURES).tokens
    row_of = {id(picture): row for row, picture in enumerate(PICTURES)}
    seen = Verdicts(pooled, seen=lambda pictures: tokens[[row_of[id(one)] for one in pictures]])
    alone = [float(Verdicts(pooled).after(examples, "", [picture])[0]) for picture in PICTURES]
    torch.testing.assert_close(torch.tensor(seen.after(examples, "", PICTURES)).tolist(), alone, atol=1e-3, rtol=0)
    assert max(alone) - min(alone) > 1e-2, "pictures differ"
    rows = Verdicts(pooled).after(examples, "", PICTURES)
    torch.testing.assert_close(rows.tolist(), alone, atol=1e-5, rtol=0)
    few = Verdicts(pooled, batch=5, seen=seen._seen).after(examples, "", PICTURES)
    torch.testing.assert_close(few.tolist(), seen.after(examples, "", PICTURES).tolist(), atol=1e-5, rtol=0)


@torch.no_grad()
def test_packed_endings_see_no_padding(pooled: Mllm) -> None:
    words = torch.tensor([*pooled.tokenizer.get_vocab().values()])[:9]
    words = words[words != pooled.model.config.image_token_id]
    row, ending, seen = words[:5][None], words[5:7][None, None], torch.tensor([4])
    alone = pooled.model(**packed(pooled.model, row, ending, seen), use_cache=False).logits[0, -1]
    padded = torch.cat([torch.zeros(1, 3, dtype=row.dtype), row], 1)
    mask = (torch.arange(8) >= 3).long()[None]
    inputs = packed(pooled.model, padded, ending, seen + 3, mask)
    torch.testing.assert_close(pooled.model(**inputs, use_cache=False).logits[0, -1], alone, atol=1e-4, rtol=0)


@pytest.mark.usefixtures("window")
@torch.no_grad()
def test_packed_endings_are_read_as_if_each_followed_what_it_sees_alone(pooled: Mllm) -> None:
    """Of different lengths, behind different shares of their rows."""
    generator = torch.Generator().manual_seed(0)
    words = torch.arange(len(pooled.tokenizer))[[*pooled.tokenizer.get_vocab().values()]]
    words = words[words != pooled.model.config.image_token_id]
    rows, endings = (words[torch.randint(len(words), size, generator=generator)] for size in ((3, 20), (3, 4, 5)))
    seen, lengths = torch.tensor([20, 7, 1]), [1, 5, 3, 2]
    logits = pooled.model(**packed(pooled.model, rows, endings, seen), use_cache=False).logits
    plain = pooled.model(input_ids=rows, use_cache=False).logits
    torch.testing.assert_close(logits[:, :20], plain, atol=1e-4, rtol=0)
    for row in range(3):
        for ending, length in enumerate(lengths):
            alone = torch.cat([rows[row, : seen[row]], endings[row, ending, :length]])[None]
            expected = pooled.model(input_ids=alone, use_cache=False).logits[0, -1]
            found = logits[row, 20 + 5 * ending + length - 1]
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_models_whose_local_layers_are_not_named_are_left_to_rows_of_their_own(pooled: Mllm) -> None:
    assert reads_side_by_side(pooled.model)
    config = pooled.model.config.text_config
    kinds, config.layer_types = config.layer_types, ["chunked_attention"]
    try:
        assert not reads_side_by_side(pooled.model)
        config.layer_types = None
        assert not reads_side_by_side(pooled.model), "a window for which no layer is named"
    finally:
        config.layer_types = kinds
