"""`fabric` and `style-aligned`: what self-attention sees of judged pictures, on tiny checkpoints of both pipelines."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from diffusers.models.attention_processor import Attention
from numpy.typing import NDArray
from PIL import Image

from prefbench.api import Case, Context, History, Judgment, Method, Picture, PrefbenchError, Request, to_pixels
from prefbench.check import check_method
from prefbench.methods.fabric import Fabric
from prefbench.methods.prompt_only import PromptOnly
from prefbench.methods.shared.latents import Noising, embed, encode, invert
from prefbench.methods.shared.reference_attention import attend
from prefbench.methods.style_aligned import StyleAligned
from prefbench.models.backbones.cards import SD15, SDXL
from prefbench.models.backbones.loader import load_backbone
from tests.support import tiny

SAVED = {"sd15": (SD15, tiny.save_tiny_sd15), "sdxl": (SDXL, tiny.save_tiny_sdxl)}
Make = Callable[..., Any]


def judgments(first: int, count: int, liked: bool) -> tuple[Judgment, ...]:
    """Flat colours in four quarters."""
    colours = [np.random.default_rng(first + i).integers(0, 256, (2, 2, 3), dtype=np.uint8) for i in range(count)]
    images = [Image.fromarray(each).resize((16, 16), Image.Resampling.NEAREST) for each in colours]
    return tuple(Judgment(Picture.of(image), "a red fox", liked) for image in images)


def history(user: str, likes: int, dislikes: int) -> History:
    first = 1000 * ord(user[0])
    return History(user, judgments(first, likes, True), judgments(first + 500, dislikes, False))


ANN, BOB, CEM = history("ann", 3, 2), history("bob", 2, 0), history("cem", 0, 2)
USERS = (ANN, BOB, CEM, history("dot", 3, 2), history("eve", 0, 0))
"""Differently many on both sides, or none."""


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    root = tmp_path_factory.mktemp("backbones")
    folders = {name: save(root / name) for name, (_, save) in SAVED.items()}

    def made(method: Method, backbone: str = "sd15", *, guidance: float = 3.0, dtype: str | None = None) -> Any:
        """On random weights whose self-attention matters: as they are drawn, it hardly moves a picture."""
        card = replace(SAVED[backbone][0], source=str(folders[backbone]), resolution=tiny.RESOLUTION)
        loaded = load_backbone(card, device="cpu", steps=3, guidance=guidance, dtype=dtype)
        for name, weight in loaded.pipeline.unet.named_parameters():
            if re.search(r"attn1\.(to_.*weight)", name):
                weight.data.mul_(4)
        method.setup(Context(loaded))
        return method

    return made


def requests(method: Method, histories: Sequence[History]) -> list[Request]:
    return [Request(Case(f"{h.user}/0", h.user, "a red fox"), 0, ord(h.user[0]), method.profile(h)) for h in histories]


def drawn(method: Method, histories: Sequence[History]) -> NDArray[np.float64]:
    drawings = method.generate(requests(method, histories))
    return np.stack([to_pixels(drawing.image) for drawing in drawings]).astype(float)


def gap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The largest mean absolute difference of two drawings of a pair, in levels of 255."""
    return float(np.abs(first - second).mean((1, 2, 3)).max())


METHODS = {"fabric": Fabric, "style-aligned": StyleAligned}
BOTH = pytest.mark.parametrize("backbone", ["sd15", pytest.param("sdxl", marks=pytest.mark.slow)])
EACH = pytest.mark.parametrize("name", list(METHODS))


# --------------------------------------------------------------------------------------------------- what is drawn


@BOTH
@EACH
def test_with_weight_0_the_drawing_is_that_of_the_prompt_alone_to_the_bit(name: str, backbone: str, make: Make) -> None:
    plain = drawn(make(PromptOnly(), backbone), USERS[:2])
    method = make(METHODS[name](weight=0.0), backbone)
    assert gap(drawn(method, USERS[:2]), plain) == 0
    assert method.generate(requests(method, [ANN]))[0].nfe == method.context.backbone.nfe


@BOTH
@EACH
def test_likes_change_the_drawing_and_another_user_s_change_it_otherwise(name: str, backbone: str, make: Make) -> None:
    plain, method = drawn(make(PromptOnly(), backbone), [ANN]), make(METHODS[name](weight=8.0), backbone)
    own, other = drawn(method, [ANN]), drawn(method, [replace(ANN, liked=USERS[3].liked)])
    assert gap(own, plain) > 0.05
    assert gap(own, other) > 0.05


@pytest.mark.slow
@BOTH
@EACH
def test_many_users_in_a_batch_get_what_each_gets_alone(name: str, backbone: str, make: Make) -> None:
    method = make(METHODS[name](weight=4.0), backbone)
    together = drawn(method, USERS)
    assert gap(together, np.concatenate([drawn(method, [user]) for user in USERS])) < 0.02
    assert gap(together, drawn(method, USERS[::-1])[::-1]) < 0.02


@EACH
def test_users_without_likes_get_the_prompt_alone(name: str, make: Make) -> None:
    method, nobody = make(METHODS[name]()), [USERS[-1]]
    assert gap(drawn(method, nobody), drawn(make(PromptOnly()), nobody)) == 0


@EACH
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_the_denoiser_passes_are_those_that_were_made(name: str, guidance: float, make: Make) -> None:
    """Counted by a hook of the denoiser's: rows that pass through it while one picture is drawn."""
    method = make(METHODS[name](), guidance=guidance)
    asked, rows = requests(method, [ANN]), []
    unet = method.context.backbone.pipeline.unet
    unet.conv_in.register_forward_hook(lambda _, given, __: rows.append(len(given[0])))
    told: list[float] = []
    method.context.backbone.on_evaluations = told.append
    assert method.generate(asked)[0].nfe == sum(rows) == sum(told) > method.context.backbone.nfe


def test_dislikes_matter_to_fabric_where_guidance_leads_away(make: Make) -> None:
    method, without = make(Fabric(weight=8.0)), replace(ANN, disliked=())
    assert gap(drawn(method, [ANN]), drawn(method, [without])) > 0.05
    assert gap(drawn(method, [CEM]), drawn(make(PromptOnly()), [CEM])) > 0.05, "without any likes too"
    deaf = make(Fabric(weight=8.0, disliked=0.0))
    assert gap(drawn(deaf, [ANN]), drawn(deaf, [without])) == 0
    unguided = make(Fabric(weight=8.0), guidance=1.0)
    assert gap(drawn(unguided, [ANN]), drawn(unguided, [without])) < 0.02


@EACH
def test_outside_its_part_of_the_way_it_does_not_look(name: str, make: Make) -> None:
    late = make(METHODS[name](weight=8.0, start=0.9999, end=1.0))
    assert gap(drawn(late, [ANN]), drawn(make(PromptOnly()), [ANN])) < 0.01


@EACH
def test_half_precision_draws(name: str, make: Make) -> None:
    assert drawn(make(METHODS[name](), dtype="bfloat16"), [ANN]).shape == (1, 16, 16, 3)


@pytest.mark.slow
@EACH
def test_it_conforms(name: str) -> None:
    findings = check_method(name)
    assert [finding for finding in findings if finding.outcome in ("FAILED", "warning")] == []


# -------------------------------------------------------------------------------------------------- how it is made


def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(query_dim=8, heads=2, dim_head=4)


def test_a_weight_is_the_share_in_the_softmax() -> None:
    """By hand: probabilities of seen tokens are multiplied, and all are normalised again."""
    attn, own, seen = attention(), torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    both = torch.cat([own, seen], 1)
    query, key, value = (
        t.unflatten(2, (2, 4)).transpose(1, 2) for t in (attn.to_q(own), attn.to_k(both), attn.to_v(both))
    )
    shares = (query @ key.transpose(2, 3) / 2).softmax(-1) * torch.tensor([1.0] * 3 + [0.3] * 5)
    shares = shares / shares.sum(-1, keepdim=True)
    expected = attn.to_out[0]((shares @ value).transpose(1, 2).flatten(2))
    torch.testing.assert_close(attend(attn, own, seen, weight=0.3, aligned=False), expected)
    torch.testing.assert_close(attend(attn, own, seen, weight=1e-30, aligned=False), attn(own))


def test_aligned_queries_and_keys_have_the_moments_of_what_is_seen() -> None:
    """Shifted and stretched own tokens attend as before, where their values are kept; unaligned they do not."""
    attn, own, seen = attention(), torch.randn(2, 6, 8), torch.randn(2, 6, 8)
    attn.to_v.weight.data.zero_()
    attn.to_v.weight.data[:, 0] = 1.0  # the values read one channel alone, which is left as it is
    moved = own.clone()
    for layer in (attn.to_q, attn.to_k):
        layer.weight.data[:, 0] = 0.0
    moved[..., 1:] = 3 * own[..., 1:] + torch.randn(7)
    outputs = {
        aligned: [attend(attn, tokens, seen, weight=1.0, aligned=aligned) for tokens in (own, moved)]
        for aligned in (True, False)
    }
    torch.testing.assert_close(*outputs[True], rtol=1e-3, atol=1e-3)
    assert (outputs[False][0] - outputs[False][1]).abs().max() > 0.01
    torch.testing.assert_close(
        attend(attn, own, own, weight=1.0, aligned=True), attn(own), rtol=1e-3, atol=1e-4, msg="own moments are kept"
    )


@pytest.mark.slow
def test_a_picture_that_was_inverted_is_drawn_again_by_ddim() -> None:
    """Forwards by diffusers' own DDIM, from the noise that the way ends in."""
    backbone = load_backbone("mini-sd", device="cpu")
    prompt, picture = "a cat at sea", backbone.generate(["a cat at sea"], [3])[0]
    latents, embeds = encode(backbone, [picture]), embed(backbone, [prompt])[0]
    times, way = invert(backbone, Noising(backbone), latents, embeds)
    assert (len(times), way.shape) == (16, (16, 1, 12, 16, 16))
    scheduler = DDIMScheduler.from_config(backbone.pipeline.scheduler.config, clip_sample=False, set_alpha_to_one=True)
    images = []
    for noise in (way[-1], torch.randn(way[-1].shape)):
        backbone.pipeline.scheduler = scheduler
        options: dict[str, Any] = {"latents": noise, "guidance_scale": 1.0, "num_inference_steps": 50}
        images.append(backbone.generate([prompt], [0], **options)[0])
    pixels = [to_pixels(image).astype(float) for image in (picture, *images)]
    again, elsewhere = (float(np.abs(pixels[0] - each).mean()) for each in pixels[1:])
    assert again < 10 < 40 < elsewhere


def test_a_profile_holds_prompts_and_the_way_of_the_most_typical_likes(make: Make) -> None:
    method = make(StyleAligned(images=2))
    payload = method.profile(ANN).payload
    assert payload["way"].shape == (3, 2, 4, 8, 8)
    assert payload["way"].dtype == torch.half
    assert len(payload["prompts"]) == 2


def test_the_likes_that_are_looked_at_are_the_last(make: Make) -> None:
    method = make(Fabric(images=2))
    payload = method.profile(ANN).payload
    latents = encode(method.context.backbone, [judgment.picture.load() for judgment in ANN.liked[1:]])
    torch.testing.assert_close(payload["liked"], latents)
    assert len(payload["disliked"]) == 2


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        (Fabric, {"weight": -1.0}, "weight must be 0 or more and finite, got -1"),
        (Fabric, {"disliked": math.inf}, "disliked must be 0 or more and finite, got inf"),
        (Fabric, {"start": 0.5, "end": 0.5}, "start and end must be 0 <= start < end <= 1, got 0.5 and 0.5"),
        (Fabric, {"images": 0}, "images must be at least 1, got 0"),
        (StyleAligned, {"weight": math.nan}, "weight must be 0 or more and finite, got nan"),
        (StyleAligned, {"end": 1.5}, "start and end must be"),
        (StyleAligned, {"images": 0}, "images must be at least 1, got 0"),
    ],
)
def test_parameters_out_of_range_are_refused(
    method: type[Fabric | StyleAligned], parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(PrefbenchError, match=message):
        method(**parameters)


def test_a_denoiser_that_predicts_the_picture_itself_is_refused(tmp_path: Path) -> None:
    backbone = load_backbone(str(tiny.save_tiny_sd15(tmp_path / "sd")), device="cpu", steps=2)
    backbone.pipeline.scheduler.register_to_config(prediction_type="sample")
    with pytest.raises(PrefbenchError, match="predicts sample, not noise or velocity"):
        Fabric().setup(Context(backbone))
