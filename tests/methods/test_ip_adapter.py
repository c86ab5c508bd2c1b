"""`ip-adapter`: the shipped adapter on an untrained miniature, and one in h94's layout on tiny checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from prefbench import registry
from prefbench.api import (
    Case,
    Context,
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
from prefbench.files import WEIGHTS
from prefbench.methods import ip_adapter
from prefbench.methods.ip_adapter import IpAdapter
from prefbench.methods.prompt_only import PromptOnly
from prefbench.models.backbones.cards import SD15, SDXL
from prefbench.models.backbones.loader import load_backbone
from prefbench.parameters import bind
from prefbench.suites.picturebook.miniatures.cards import MINI_SD
from tests.support import tiny

PROMPTS = ("a cat at sea", "a boat at night", "a tree on a hill")
EMBEDDING = 6
REVISION = ip_adapter.ADAPTERS["sd15"].adapter.revision
Make = Callable[..., IpAdapter]


def picture(seed: int, side: int = 32) -> Picture:
    """Flat colours in four quarters: pictures that an image tower tells apart."""
    colours = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return Picture.of(Image.fromarray(colours).resize((side, side), Image.Resampling.NEAREST))


def history(user: str, likes: int, dislikes: int) -> History:
    first = sum(map(ord, user)) * 100
    liked = tuple(Judgment(picture(first + i), PROMPTS[0], liked=True) for i in range(likes))
    return History(
        user, liked, tuple(Judgment(picture(first + 50 + i), PROMPTS[0], liked=False) for i in range(dislikes))
    )


def requests(profiles: Sequence[Profile]) -> list[Request]:
    """One a profile: what prompt and seed it has depends on the user alone."""
    numbers = [ord(profile.user[0]) for profile in profiles]
    cases = [Case(f"{p.user}/0", p.user, PROMPTS[n % 3]) for p, n in zip(profiles, numbers, strict=True)]
    return [Request(case, 0, n, p) for case, n, p in zip(cases, numbers, profiles, strict=True)]


def drawn(method: Any, histories: Sequence[History]) -> NDArray[np.float64]:
    drawings = method.generate(requests([method.profile(one) for one in histories]))
    return np.stack([to_pixels(drawing.image) for drawing in drawings]).astype(float)


def gap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The largest mean absolute difference of two drawings of a pair, in levels of 255."""
    return float(np.abs(first - second).mean((1, 2, 3)).max())


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """The method on `mini-sd` with random weights, for which the shipped adapter has the right shapes."""
    folder = tiny.save_tiny_mini_sd(tmp_path_factory.mktemp("mini") / "sd")

    def make(method: type[Any] = IpAdapter, guidance: float = 3.0, **parameters: Any) -> Any:
        made = method(**parameters)
        made.setup(
            Context(load_backbone(replace(MINI_SD, source=str(folder)), device="cpu", steps=2, guidance=guidance))
        )
        return made

    return make


USERS = (history("ann", 3, 2), history("bob", 1, 0), history("cem", 0, 2), history("dot", 3, 3), history("eve", 0, 0))
"""Differently many on both sides, or none."""


# --------------------------------------------------------------------------------------------------- what it draws


@pytest.mark.slow
@pytest.mark.parametrize("images", ["one", "concat", "mean"])
def test_it_conforms(images: str) -> None:
    findings = check_method("ip-adapter", [f"images={images}", "negative=disliked", "scale=3"])
    assert [finding for finding in findings if finding.outcome in ("FAILED", "warning")] == []


@pytest.mark.slow
def test_without_disliked_images_it_conforms_but_for_its_card() -> None:
    """The card speaks of the default; a variant that looks at less is told so."""
    findings = check_method("ip-adapter", ["negative=none", "scale=3"])
    assert {f.check for f in findings if f.outcome in ("FAILED", "warning")} == {"input disliked"}


@pytest.mark.slow
@pytest.mark.parametrize("images", ["one", "concat", "mean"])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_many_users_in_a_batch_get_what_each_gets_alone(images: str, guidance: float, mini: Make) -> None:
    method = mini(images=images, negative="disliked", scale=3.0, guidance=guidance)
    together = drawn(method, USERS)
    assert gap(together, np.concatenate([drawn(method, [user]) for user in USERS])) < 1
    assert gap(together, drawn(method, USERS[::-1])[::-1]) < 1


def test_scale_0_is_the_prompt_alone_to_the_bit(mini: Make) -> None:
    assert gap(drawn(mini(scale=0.0), USERS), drawn(mini(PromptOnly), USERS)) == 0


@pytest.mark.slow
def test_likes_and_dislikes_change_the_picture(mini: Make) -> None:
    plain, negative = (mini(scale=3.0, negative=choice) for choice in ("none", "disliked"))
    ann, rest = [USERS[0]], [replace(USERS[0], liked=USERS[3].liked)]
    assert gap(drawn(plain, ann), drawn(plain, rest)) > 1
    assert gap(drawn(plain, ann), drawn(negative, ann)) > 1
    without = [replace(USERS[0], disliked=())]
    assert gap(drawn(plain, ann), drawn(plain, without)) == 0
    assert gap(drawn(plain, ann), drawn(negative, without)) == 0


def test_images_are_combined_as_they_are_named(mini: Make) -> None:
    user = USERS[0]
    rows = {name: mini(images=name, negative="none").profile(user).payload for name in ("one", "concat", "mean")}
    each = rows["concat"][1]
    assert [tuple(rows[name].shape) for name in rows] == [(2, 1, 96), (2, 3, 96), (2, 1, 96)]
    torch.testing.assert_close(rows["mean"][1, 0], each.mean(0))
    directions = torch.nn.functional.normalize(each, dim=1)
    nearest = int((directions @ directions.mean(0)).argmax())
    torch.testing.assert_close(rows["one"][1, 0], each[nearest])
    assert all(not row[0].any() for row in rows.values()), "no image is zeros"


def test_it_is_represented_by_mean_embeddings_times_what_is_asked_about(mini: Make) -> None:
    method = mini()
    ann, asked = USERS[0], ProbeItem(picture(7), PROMPTS[1])
    liked, disliked = (
        method.embed_images([j.picture.load() for j in side]).mean(0).numpy() for side in (ann.liked, ann.disliked)
    )
    looked = method.embed_images([picture(7).load()])[0].numpy()
    for times, found in ((1, method.represent(ann)), (looked, method.represent(ann, asked))):
        assert list(found) == ["liked", "contrast"]
        np.testing.assert_allclose(found["liked"], liked * times, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found["contrast"], (liked - disliked) * times, rtol=1e-5, atol=1e-6)
    nobody = History("eve", (), ())
    assert not any(vector.any() for vector in method.represent(nobody, asked).values()), "no image is zeros"


def test_sides_of_different_lengths_are_repeated_equally(mini: Make) -> None:
    avoided, wanted = mini(images="concat", negative="disliked").profile(USERS[0]).payload
    assert len(avoided) == len(wanted) == 6
    torch.testing.assert_close(avoided, avoided[:2].repeat(3, 1))
    torch.testing.assert_close(wanted, wanted[:3].repeat(2, 1))


def test_repeating_all_images_draws_the_same(mini: Make) -> None:
    method = mini(images="concat", negative="disliked", scale=3.0)
    profile = method.profile(USERS[3])
    twice = replace(profile, payload=profile.payload.repeat(1, 2, 1))
    once, again = (method.generate(requests([one]))[0].image for one in (profile, twice))
    assert gap(to_pixels(once)[None].astype(float), to_pixels(again)[None].astype(float)) < 1


def test_evaluations_and_prompts_are_those_of_the_prompt_alone(mini: Make) -> None:
    profiles = [Profile(user.user) for user in USERS]
    plain = mini(PromptOnly).generate(requests(profiles))
    method = mini()
    drawings = method.generate(requests([method.profile(user) for user in USERS]))
    assert [(d.prompt_used, d.nfe) for d in drawings] == [(d.prompt_used, d.nfe) for d in plain]


# ------------------------------------------------------------------------------- h94's layout, in a cache of the hub


def save_h94(folder: Path, unet: Any, *, name: str, width: int = EMBEDDING) -> None:
    """A random adapter and its tower, where the public repository has them."""
    torch.manual_seed(0)
    text = unet.config.cross_attention_dim
    state = {"image_proj.proj.weight": torch.randn(4 * text, width), "image_proj.proj.bias": torch.zeros(4 * text)}
    state |= {"image_proj.norm.weight": torch.ones(text), "image_proj.norm.bias": torch.zeros(text)}
    for i, key in enumerate(unet.attn_processors):
        if "attn2" in key:
            inner = unet.get_submodule(key.removesuffix(".processor")).to_k.weight.shape[0]
            state |= {f"ip_adapter.{i}.{part}.weight": torch.randn(inner, text) for part in ("to_k_ip", "to_v_ip")}
    (folder / name).parent.mkdir(parents=True)
    save_file(state, folder / name)
    tower = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=4,
        projection_dim=EMBEDDING, initializer_range=0.3,
    )  # fmt: skip
    CLIPVisionModelWithProjection(tower).save_pretrained(folder / "models" / "image_encoder")


FILES = {name: ip_adapter.ADAPTERS[name].adapter.files[0] for name in ("sd15", "sdxl")}
SAVED = {"sd15": (SD15, tiny.save_tiny_sd15), "sdxl": (SDXL, tiny.save_tiny_sdxl)}


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the hub's cache, empty so far, would hold the public repository."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub" / "models--h94--IP-Adapter" / "snapshots" / str(REVISION)


@pytest.fixture
def backbones(tmp_path: Path) -> Callable[[str], Any]:
    def load(name: str, **options: Any) -> Any:
        card, save = SAVED[name]
        card = replace(card, source=str(save(tmp_path / name)), resolution=tiny.RESOLUTION)
        return load_backbone(card, **{"device": "cpu", "steps": 2, **options})

    return load


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SAVED))
@pytest.mark.parametrize("images", ["one", "concat"])
def test_public_weights_load_and_draw(name: str, images: Any, snapshot: Path, backbones: Callable[..., Any]) -> None:
    backbone = backbones(name)
    save_h94(snapshot, backbone.pipeline.unet, name=FILES[name])
    method = IpAdapter(scale=20.0, images=images, negative="disliked")
    method.setup(Context(backbone))
    together = drawn(method, USERS)
    assert gap(together, np.concatenate([drawn(method, [user]) for user in USERS])) < 1
    assert gap(together[:1], drawn(method, [replace(USERS[0], liked=USERS[3].liked)])) > 1
    processors = backbone.pipeline.unet.attn_processors
    kept = {type(processors[key]).__name__ for key in processors if "attn2" in key}
    assert kept == {"IPAdapterAttnProcessor2_0"}


def test_it_draws_what_the_pipeline_draws_from_the_pictures_themselves(
    snapshot: Path, backbones: Callable[..., Any]
) -> None:
    """`ip_adapter_image`, with a tower that the public loader brought, is diffusers' own way."""
    backbone = backbones("sd15")
    save_h94(snapshot, backbone.pipeline.unet, name=FILES["sd15"])
    method = IpAdapter(scale=20.0, images="concat", negative="none")
    method.setup(Context(backbone))
    ours = drawn(method, USERS[:1])
    reference = backbones("sd15")
    reference.pipeline.load_ip_adapter(
        str(snapshot), subfolder="models", weight_name="ip-adapter_sd15.safetensors", local_files_only=True
    )
    reference.pipeline.set_ip_adapter_scale(20.0)
    (request,) = requests([Profile("ann")])
    images = [judgment.picture.load() for judgment in USERS[0].liked]
    theirs = reference.generate([request.prompt], [request.seed], ip_adapter_image=[images])
    assert gap(ours, to_pixels(theirs[0])[None].astype(float)) < 1


def test_disliked_images_are_what_guidance_leads_away_from(snapshot: Path, backbones: Callable[..., Any]) -> None:
    backbone = backbones("sd15")
    save_h94(snapshot, backbone.pipeline.unet, name=FILES["sd15"])
    method = IpAdapter(scale=20.0, images="mean", negative="disliked")
    method.setup(Context(backbone))
    ours = drawn(method, USERS[:1])
    (request,) = requests([Profile("ann")])
    sides = (USERS[0].disliked, USERS[0].liked)
    embeds = [method.embed_images([judgment.picture.load() for judgment in side]).mean(0) for side in sides]
    theirs = backbone.generate([request.prompt], [request.seed], ip_adapter_image_embeds=[torch.stack(embeds)[:, None]])
    assert gap(ours, to_pixels(theirs[0])[None].astype(float)) < 1


def test_pictures_of_any_size_and_another_precision(snapshot: Path, backbones: Callable[..., Any]) -> None:
    backbone = backbones("sd15", dtype="bfloat16")
    save_h94(snapshot, backbone.pipeline.unet, name=FILES["sd15"])
    method = IpAdapter()
    method.setup(Context(backbone))
    odd = tuple(
        Judgment(Picture.of(image), PROMPTS[0], liked=True)
        for image in (Image.new("L", (1, 1)), Image.new("RGB", (90, 7)), Image.new("RGB", (3, 50)))
    )
    assert drawn(method, [History("fay", odd, ())]).shape == (1, tiny.RESOLUTION, tiny.RESOLUTION, 3)


# ---------------------------------------------------------------------------------------------------- what is wrong


def refused(backbone: Any) -> str:
    with pytest.raises(PrefbenchError) as caught:
        IpAdapter().setup(Context(backbone))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", list(SAVED))
def test_missing_public_weights_come_with_the_command(name: str, snapshot: Path, backbones: Callable[..., Any]) -> None:
    said = refused(backbones(name))
    assert said.startswith(f"ip-adapter on {name}: there is no local copy of h94/IP-Adapter; get it with: hf download")
    assert f'--revision {REVISION} --include "{FILES[name]}"' in said
    assert '--include "models/image_encoder/model.safetensors" --include "models/image_encoder/config.json" && ' in said
    assert not snapshot.exists()


def test_a_missing_tower_comes_with_the_command(snapshot: Path, backbones: Callable[..., Any]) -> None:
    backbone = backbones("sd15")
    save_h94(snapshot, backbone.pipeline.unet, name=FILES["sd15"])
    (snapshot / "models" / "image_encoder" / "model.safetensors").unlink()
    assert "has no models/image_encoder/model.safetensors here; get it with: hf download" in refused(backbone)


def test_missing_miniatures_come_with_the_commands(
    monkeypatch: pytest.MonkeyPatch, tiny_sd: Path, tmp_path: Path
) -> None:
    shipped = ip_adapter.ADAPTERS["mini-sd"]
    moved = (replace(w, source=str(tmp_path / Path(w.source).name)) for w in (shipped.tower, shipped.adapter))
    monkeypatch.setattr(ip_adapter, "ADAPTERS", {"mini-sd": ip_adapter.AdapterWeights(*moved)})
    said = refused(load_backbone(replace(MINI_SD, source=str(tiny_sd)), device="cpu"))
    assert said.endswith("prefbench train mini-vision --install && prefbench train mini-ip-adapter --install")


def change(snapshot: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    file = snapshot / FILES["sd15"]
    state = load_file(file)
    edit(state)
    save_file(state, file)


WRONG: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "narrow": (
        lambda state: state.update({"ip_adapter.1.to_k_ip.weight": torch.zeros(32, 8)}),
        "does not fit backbone 'sd15': ip_adapter.1.to_k_ip.weight is (32, 8), not (32, 16)",
    ),
    "another tower's": (
        lambda state: state.update({"image_proj.proj.weight": torch.zeros(64, 7)}),
        "image_proj.proj.weight is (64, 7), not (64, 6)",
    ),
    "deeper": (
        lambda state: state.update({"ip_adapter.99.to_k_ip.weight": torch.zeros(32, 16)}),
        "ip_adapter.99.to_k_ip.weight is (32, 16), not nothing",
    ),
    "shallower": (
        lambda state: state.pop("ip_adapter.3.to_v_ip.weight"),
        "ip_adapter.3.to_v_ip.weight is nothing, not",
    ),
    "plus": (lambda state: state.pop("image_proj.proj.weight"), "is no plain IP-Adapter"),
}


@pytest.mark.parametrize("wrong", list(WRONG))
def test_weights_that_do_not_fit_are_refused(wrong: str, snapshot: Path, backbones: Callable[..., Any]) -> None:
    backbone = backbones("sd15")
    save_h94(snapshot, backbone.pipeline.unet, name=FILES["sd15"])
    edit, said = WRONG[wrong]
    change(snapshot, edit)
    assert said in refused(backbone)


def test_damaged_weights_are_refused(snapshot: Path, backbones: Callable[..., Any]) -> None:
    backbone = backbones("sd15")
    save_h94(snapshot, backbone.pipeline.unet, name=FILES["sd15"])
    file = snapshot / FILES["sd15"]
    file.write_bytes(file.read_bytes()[:100])
    assert f"{file} cannot be read" in refused(backbone)


def test_another_backbone_is_refused(tiny_sd: Path) -> None:
    assert "no adapter for backbone 'tiny-sd', only for mini-sd, sd15, sdxl" in refused(
        load_backbone(tiny_sd, device="cpu")
    )


@pytest.mark.slow
def test_an_unreadable_picture_is_named(mini: Make, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    broken = Judgment(Picture("0" * 64, path=tmp_path / "broken.png"), PROMPTS[0], liked=True)
    with pytest.raises(UnreadableImageError, match=r"broken\.png: cannot be decoded"):
        mini().profile(History("ann", (broken,), ()))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"images": "two"}, "images"),
        ({"negative": "liked"}, "negative"),
        ({"scales": "1"}, "did you mean 'scale'"),
        ({"scale": "much"}, "scale"),
    ],
)
def test_unknown_options_are_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(PrefbenchError, match=said):
        bind(registry.load("method", "ip-adapter"), given)


@pytest.mark.parametrize("scale", [-0.1, float("nan")])
def test_a_scale_below_0_is_refused(scale: float) -> None:
    with pytest.raises(PrefbenchError, match="scale must be at least 0"):
        IpAdapter(scale=scale)


# -------------------------------------------------------------------------------------------------- the miniature


def test_the_miniature_is_in_the_public_layout(tiny_sd: Path, tmp_path: Path) -> None:
    """What the trainer saves is what it attached to the backbone, to half precision."""
    from prefbench.suites.picturebook.miniatures.mini_ip_adapter import build_mini_ip_adapter, save_mini_ip_adapter

    backbone = load_backbone(replace(MINI_SD, source=str(tiny_sd)), device="cpu", steps=2)
    adapter = build_mini_ip_adapter(backbone)
    adapter.set_scale(3.0)
    embeds = torch.randn(2, 1, 96, generator=torch.Generator().manual_seed(1))
    attached = backbone.generate(["a cat"], [1], ip_adapter_image_embeds=[embeds])[0]
    save_mini_ip_adapter(adapter, tmp_path)
    fresh = load_backbone(replace(MINI_SD, source=str(tiny_sd)), device="cpu", steps=2)
    fresh.pipeline.load_ip_adapter(
        str(tmp_path), subfolder="", weight_name="ip-adapter.safetensors", image_encoder_folder=None
    )
    fresh.pipeline.set_ip_adapter_scale(3.0)
    loaded = fresh.generate(["a cat"], [1], ip_adapter_image_embeds=[embeds])[0]
    plain = load_backbone(replace(MINI_SD, source=str(tiny_sd)), device="cpu", steps=2).generate(["a cat"], [1])[0]
    pixels = [to_pixels(image)[None].astype(float) for image in (attached, loaded, plain)]
    assert gap(pixels[0], pixels[1]) < 1
    assert gap(pixels[0], pixels[2]) > 1


def test_the_shipped_miniature_is_described() -> None:
    import json

    folder = WEIGHTS / "mini-ip-adapter"
    card = json.loads((folder / "card.json").read_text())
    assert card["measured_by"] == "prefbench check weights mini-ip-adapter"
    assert all(f["floor"] is None or f["value"] >= f["floor"] for f in card["figures"].values())
    assert {str(tensor.dtype) for tensor in load_file(folder / "ip-adapter.safetensors").values()} == {"torch.float16"}
