"""`textual-inversion` and `dreambooth-lora`: what is trained of a user's own, on tiny checkpoints of both pipelines."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from prefbench.api import Context, Method, PrefbenchError
from prefbench.check import check_method
from prefbench.methods.dreambooth_lora import DreamBoothLora
from prefbench.methods.prompt_only import PromptOnly
from prefbench.methods.shared.latents import embed, encode
from prefbench.methods.textual_inversion import TextualInversion
from prefbench.models.backbones.loader import load_backbone
from tests.methods.test_reference_attention import ANN, BOB, CEM, SAVED, USERS, drawn, gap, requests
from tests.support import tiny

Make = Callable[..., Any]
QUICK: dict[str, Callable[..., Method]] = {
    "textual-inversion": lambda **changed: TextualInversion(**{"steps": 4, "rate": 1.0} | changed),
    "dreambooth-lora": lambda **changed: DreamBoothLora(**{"steps": 4, "rate": 0.1} | changed),
}
STRENGTH = {"textual-inversion": "strength", "dreambooth-lora": "scale"}
EACH = pytest.mark.parametrize("name", list(QUICK))
BOTH = pytest.mark.parametrize("backbone", ["sd15", pytest.param("sdxl", marks=pytest.mark.slow)])


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    root = tmp_path_factory.mktemp("backbones")
    folders = {name: save(root / name) for name, (_, save) in SAVED.items()}

    def made(method: Method, backbone: str = "sd15", dtype: str | None = None) -> Any:
        card = replace(SAVED[backbone][0], source=str(folders[backbone]), resolution=tiny.RESOLUTION)
        loaded = load_backbone(card, device="cpu", steps=2, guidance=3.0, dtype=dtype)
        for name, weight in loaded.pipeline.unet.named_parameters():
            if re.search(r"attn2\.(to_.*weight)", name):  # random weights hardly read the text
                weight.data.mul_(4)
        method.setup(Context(loaded))
        return method

    return made


# --------------------------------------------------------------------------------------------------- what is drawn


@BOTH
@EACH
def test_at_strength_0_the_drawing_is_that_of_the_prompt_alone_to_the_bit(name: str, backbone: str, make: Make) -> None:
    plain = drawn(make(PromptOnly(), backbone), USERS[:2])
    method = make(QUICK[name](**{STRENGTH[name]: 0.0}), backbone)
    assert gap(drawn(method, USERS[:2]), plain) == 0
    assert {drawing.prompt_used for drawing in method.generate(requests(method, [ANN]))} == {"a red fox"}


@BOTH
@EACH
def test_likes_change_the_drawing_and_another_user_s_change_it_otherwise(name: str, backbone: str, make: Make) -> None:
    method = make(QUICK[name](), backbone)
    plain = drawn(make(PromptOnly(), backbone), [ANN])
    own, other = drawn(method, [ANN]), drawn(method, [replace(ANN, liked=USERS[3].liked)])
    assert gap(own, plain) > 0.02
    assert gap(own, other) > 0.02


@BOTH
@EACH
def test_many_users_in_a_batch_get_what_each_gets_alone(name: str, backbone: str, make: Make) -> None:
    method = make(QUICK[name](), backbone)
    asked = requests(method, USERS)
    both = [method.generate(asked), [method.generate([one])[0] for one in asked]]
    together, alone = (np.stack([np.asarray(d.image, float) for d in drawings]) for drawings in both)
    assert gap(together, alone) < 0.02
    assert [d.nfe for d in both[0]] == [method.context.backbone.nfe] * len(USERS)
    used = "a red fox, *"
    assert [d.prompt_used for d in both[0]] == [used if user.liked else "a red fox" for user in USERS]


@EACH
def test_users_without_likes_get_the_prompt_alone_whoever_was_trained_before(name: str, make: Make) -> None:
    method = make(QUICK[name]())
    asked = requests(method, [ANN, CEM])
    assert method.generate(asked[:1])
    (drawing,) = method.generate(asked[1:])
    assert gap(np.asarray(drawing.image, float)[None], drawn(make(PromptOnly()), [CEM])) == 0
    assert asked[1].profile.trained_parameters == 0


@EACH
def test_a_user_s_training_can_be_repeated_after_another_s(name: str, make: Make) -> None:
    method = make(QUICK[name]())
    first, _, again = (method.profile(user).payload for user in (ANN, BOB, ANN))
    for one, other in zip(*(p.values() if isinstance(p, dict) else p for p in (first, again)), strict=True):
        assert torch.equal(one, other)


@EACH
def test_what_is_not_trained_on_changes_nothing(name: str, make: Make) -> None:
    method = make(QUICK[name]())
    commented = tuple(replace(judgment, comment="too bright") for judgment in ANN.liked)
    others = replace(ANN, user="another name", liked=commented, disliked=BOB.liked)
    learned = (method.profile(user).payload for user in (ANN, others))
    for one, other in zip(*(p.values() if isinstance(p, dict) else p for p in learned), strict=True):
        assert torch.equal(one, other)


@EACH
def test_no_weight_of_the_backbone_changes(name: str, make: Make) -> None:
    method = make(QUICK[name]())
    parts = method.context.backbone.pipeline.components.values()
    weights = {
        name: weight
        for part in parts
        if isinstance(part, torch.nn.Module)
        for name, weight in part.named_parameters()
        if ".lora_" not in name
    }
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    method.profile(ANN)
    assert all(torch.equal(before[name], weight) and weight.grad is None for name, weight in weights.items())


@pytest.mark.slow
@EACH
def test_training_lowers_the_loss_on_noise_that_it_did_not_see(name: str, make: Make) -> None:
    user = replace(ANN, liked=ANN.liked[:1])
    losses = []
    for steps in (1, 60):
        method = make(QUICK[name](steps=steps, rate=1e-6 if steps == 1 else 0.05))
        request = requests(method, [user])[0]
        method.generate([request])  # lets the word, or the weights, be this user's
        embeds = embed(method.context.backbone, ["a red fox, *"])[0]
        latents = encode(method.context.backbone, [user.liked[0].picture.load()]).repeat(64, 1, 1, 1)
        rows = {key: rows.repeat(64, *[1] * (rows.ndim - 1)) for key, rows in embeds.items()}
        with torch.no_grad():
            losses.append(float(method.tuner._loss(latents, rows, np.random.default_rng(9))))
    assert losses[1] < losses[0]


@EACH
def test_two_likes_and_half_precision_are_enough(name: str, make: Make) -> None:
    method = make(QUICK[name](), dtype="bfloat16")
    assert method.context.backbone.pipeline.unet.dtype == torch.bfloat16
    assert drawn(method, [BOB]).shape == (1, 16, 16, 3)
    payload = method.profile(BOB).payload
    assert all(part.isfinite().all() for part in (payload.values() if isinstance(payload, dict) else payload))


@pytest.mark.slow
@EACH
def test_it_conforms(name: str) -> None:
    rate = {"textual-inversion": "1.0", "dreambooth-lora": "0.1"}[name]
    findings = check_method(name, ["steps=3", f"rate={rate}"])
    assert [finding for finding in findings if finding.outcome in ("FAILED", "warning")] == []


# -------------------------------------------------------------------------------------------------- what is learned


@BOTH
def test_the_learned_word_stands_where_the_identifier_is(backbone: str, make: Make) -> None:
    """A word that means what `fox` means is read as `fox`."""
    method = make(QUICK["textual-inversion"](), backbone)
    pipeline = method.context.backbone.pipeline
    (fox,) = pipeline.tokenizer("fox", add_special_tokens=False)["input_ids"]
    method._set_words([word.layer.weight[fox].detach() for word in method.words])
    (said, _), (meant, _) = (embed(method.context.backbone, [text]) for text in ("a red fox", "a red *"))
    for name, rows in said.items():
        torch.testing.assert_close(rows, meant[name])
    other = embed(method.context.backbone, ["a red house"])[0]["prompt_embeds"]
    assert not torch.allclose(other, meant["prompt_embeds"])


def test_a_profile_is_one_embedding_for_each_text_encoder(make: Make) -> None:
    for backbone, encoders in (("sd15", 1), ("sdxl", 2)):
        profile = make(QUICK["textual-inversion"](steps=1), backbone).profile(ANN)
        assert [tuple(vector.shape) for vector in profile.payload] == [(16,)] * encoders
        assert profile.trained_parameters == 16 * encoders


def test_the_learned_matrices_are_what_is_added_to_the_weights(make: Make) -> None:
    """By hand: W + scale B A, in a backbone without peft."""
    method = make(QUICK["dreambooth-lora"](scale=2.0, rank=3))
    (request,) = requests(method, [ANN])
    matrices = request.profile.payload
    assert request.profile.trained_parameters == sum(matrix.numel() for matrix in matrices.values())
    assert any(matrix.any() for name, matrix in matrices.items() if "lora_B" in name)
    plain = make(PromptOnly()).context.backbone
    for name, below in matrices.items():
        if "lora_A" in name:
            above = matrices[name.replace("lora_A", "lora_B")]
            assert below.shape[0] == above.shape[1] == 3
            layer = plain.pipeline.unet.get_submodule(name.partition(".lora_A")[0])
            layer.weight.data += 2.0 * above.float() @ below.float()
    by_hand = plain.generate(["a red fox, *"], [request.seed])
    ours = method.generate([request])
    assert gap(*(np.asarray(image, float)[None] for image in (ours[0].image, by_hand[0]))) < 0.02


def test_all_attentions_are_trained(make: Make) -> None:
    names = make(QUICK["dreambooth-lora"]()).weights
    for attention in ("attn1", "attn2"):
        for layer in ("to_q", "to_k", "to_v", "to_out.0"):
            assert any(f"{attention}.{layer}.lora_A" in name for name in names)


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        (TextualInversion, {"strength": -1.0}, "strength must be 0 or more and finite, got -1"),
        (TextualInversion, {"steps": 0}, "steps must be at least 1, got 0"),
        (TextualInversion, {"rate": 0.0}, "rate must be over 0 and finite, got 0"),
        (DreamBoothLora, {"scale": float("nan")}, "scale must be 0 or more and finite, got nan"),
        (DreamBoothLora, {"rank": 0}, "rank must be at least 1, got 0"),
        (DreamBoothLora, {"batch": 0}, "batch must be at least 1, got 0"),
        (DreamBoothLora, {"rate": float("inf")}, "rate must be over 0 and finite, got inf"),
    ],
)
def test_parameters_out_of_range_are_refused(
    method: type[TextualInversion | DreamBoothLora], parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(PrefbenchError, match=message):
        method(**parameters)
