"""What is said of drawings before any metric: pictures that show nothing, that show the same, texts that were cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from prefbench.api import (
    Drawing,
    DrawnCounts,
    Method,
    MethodCard,
    PictureCounts,
    Request,
    Sample,
    TextsRead,
    colour_spread,
    count_drawn,
)
from prefbench.registry import load
from prefbench.run.execute import execute
from prefbench.run.prepare import Settings, prepare


def row(image: str | None, **values: Any) -> Sample:
    usual: dict[str, Any] = {"user": "ann", "case": "1", "prompt": "a cat", "index": 0, "seed": 1}
    return Sample(**(usual | {"key": repr(values), "status": "ok", "image": image} | values))


@pytest.mark.parametrize("seed", range(5))
def test_spread_is_the_root_mean_square_distance_from_the_mean_colour(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, rng.integers(2, 257), (int(rng.integers(1, 40)), 7, 3), dtype=np.uint8)
    expected = np.sqrt(((pixels - pixels.mean((0, 1))) ** 2.0).mean())
    assert colour_spread(Image.fromarray(pixels)) == pytest.approx(expected)


def test_every_single_colour_has_no_spread_at_all() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (200, 3)).tolist()
    assert {colour_spread(Image.new("RGB", (63, 41), tuple(colour))) for colour in colours} == {0.0}
    assert colour_spread(Image.new("L", (1, 1), 7)) == 0.0


def test_pictures_of_picturebook_are_far_from_one_colour() -> None:
    suite = load("suite", "picturebook")()
    histories = [suite.history(user.id) for user in suite.users("test")[:10]]
    pictures = [judgment.picture.load() for one in histories for judgment in (*one.liked, *one.disliked)]
    assert min(map(colour_spread, pictures)) > 20


def test_pictures_of_one_colour_are_counted_apart_from_those_that_are_nearly_so() -> None:
    rows = [row("a", spread=0.0), row("b", spread=1.99, seed=2), row("c", spread=2.0, seed=3), row(None, seed=4)]
    counts = count_drawn(rows).pictures
    assert (counts.pictures, counts.one_colour, counts.near_constant) == (3, 1, 2)
    line = "2 of 3 pictures are of one colour or nearly (pixels with a standard deviation under 2 of 255)"
    assert counts.lines == [line]
    assert count_drawn(rows[:1]).pictures.lines == ["1 of 1 picture is of one colour"]


def test_equal_pictures_are_counted_by_what_else_they_were_drawn_for() -> None:
    rows = [
        *(row("prompts", prompt=prompt) for prompt in ("a cat", "a dog")),
        *(row("users", user=user, seed=seed) for seed, user in enumerate(("ann", "bob", "cyd"))),
        *(row("seeds", seed=seed) for seed in range(4)),
        row("once", seed=9),
    ]
    counts = count_drawn(rows).pictures
    assert (counts.other_prompt, counts.other_user, counts.other_seed, counts.different) == (2, 3, 4, 4)
    kinds = "2 to one of another prompt, 3 to one of another user, 4 to one of another seed"
    assert counts.lines == [f"9 of 10 pictures equal another ({kinds}); 4 different in all"]


def test_one_picture_for_everything_counts_as_equal_for_other_prompts() -> None:
    rows = [row("x", user=u, prompt=p, seed=s) for u in ("ann", "bob") for p in ("a cat", "a dog") for s in (1, 2)]
    assert count_drawn(rows).pictures.other_prompt == 8


def test_the_same_request_twice_may_give_the_same_picture() -> None:
    assert count_drawn([row("x", case="1"), row("x", case="2")]).pictures.lines == []


def test_honest_rows_give_no_line() -> None:
    rows = [
        row(str(i), seed=i, spread=30.0, text_limit=77, prompt_cut=0, prompt_used_cut=0, other_cut=0) for i in "123"
    ]
    counts = count_drawn(rows)
    assert counts.lines == []
    assert counts.texts == ["0 of 1 prompts cut at 77 tokens"]
    assert counts.pictures.in_full == "3, 3 different, 0 of one colour or nearly"


def test_texts_are_counted_once_each_and_rewritten_ones_apart() -> None:
    cut = {"text_limit": 32, "prompt_cut": 0, "other_cut": 0}
    rows = [
        row("1", **cut, prompt_used="a cat, neon", prompt_used_cut=0),
        row("2", user="bob", **cut, prompt_used="a cat, much neon", prompt_used_cut=7),
        row("3", user="cyd", **(cut | {"other_cut": 3}), prompt_used="a cat, much neon", prompt_used_cut=7),
        row("4", prompt="a dog", **(cut | {"prompt_cut": 5}), prompt_used="a dog", prompt_used_cut=5),
    ]
    counts = count_drawn(rows)
    assert counts.prompts == TextsRead(32, 2, 1, 5)
    assert counts.rewritten == TextsRead(32, 2, 1, 7)
    assert counts.others == TextsRead(32, 4, 1, 3)
    assert counts.lines == [
        "1 of 2 prompts cut at 32 tokens, up to 5 tokens not read",
        "1 of 2 rewritten prompts cut at 32 tokens, up to 7 tokens not read",
        "1 of 4 samples drawn with a negative prompt or other text cut at 32 tokens, up to 3 tokens not read",
    ]


def test_rows_of_older_folders_are_not_taken_for_whole_texts() -> None:
    counts = count_drawn([row("1"), row("2", seed=2)])
    assert counts == DrawnCounts(PictureCounts(2, 2, 0, 0, 0, 0, 0, unmeasured=2))
    assert counts.texts == []
    assert counts.pictures.in_full.endswith("2 not looked at for their colours")


class Wordy(Method):
    """Draws with words of style behind the prompt, and away from as many."""

    card: ClassVar[MethodCard] = MethodCard(name="wordy", version="1", summary="words behind the prompt")

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        prompts = [f"{request.prompt}, {', '.join(['red and blue'] * 20)}" for request in requests]
        seeds, negative = [request.seed for request in requests], [f"not {prompt}" for prompt in prompts]
        images = self.context.backbone.generate(prompts, seeds, negative_prompts=negative)
        return [Drawing(image, prompt, 2) for image, prompt in zip(images, prompts, strict=True)]


def drawn(method: str | type[Method], tiny_sd: Path, out: Path) -> Sequence[Sample]:
    settings = Settings(method=method, backbone=str(tiny_sd), device="cpu", steps=1, users=1, batch=4, out=out)
    prepared = prepare(settings)
    execute(prepared)
    return list(prepared.folder.samples().values())


@pytest.mark.slow
def test_the_rows_of_a_run_say_what_its_text_encoder_left_unread(tiny_sd: Path, tmp_path: Path) -> None:
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(tiny_sd / "tokenizer")
    for sample in drawn(Wordy, tiny_sd, tmp_path):
        assert (sample.text_limit, sample.prompt_cut) == (32, 0)
        assert sample.prompt_used_cut == len(tokenizer(sample.prompt_used)["input_ids"]) - 32
        assert sample.other_cut == len(tokenizer(f"not {sample.prompt_used}")["input_ids"]) - 32


def test_the_rows_of_a_run_hold_the_spread_of_their_stored_picture(tiny_sd: Path, tmp_path: Path) -> None:
    rows = drawn("prompt-only", tiny_sd, tmp_path)
    (folder,) = tmp_path.iterdir()
    for sample in rows:
        path = folder / "images" / str(sample.image)[:2] / f"{sample.image}.png"
        assert sample.spread == pytest.approx(colour_spread(Image.open(path)), abs=1e-6)
        assert (sample.prompt_used_cut, sample.other_cut) == (0, 0)
