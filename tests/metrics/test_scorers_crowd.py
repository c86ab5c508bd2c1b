"""PickScore, HPS v2.1 and ImageReward on tiny checkpoints in their real layouts, against their formulas written out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision import transforms
from transformers import CLIPImageProcessor, CLIPModel, CLIPTokenizer

from prefbench.api import PrefbenchError, TextsRead
from prefbench.metrics.scorers.crowd.base import CrowdScorer
from prefbench.metrics.scorers.crowd.hpsv2 import HpsV2
from prefbench.metrics.scorers.crowd.imagereward import ImageReward
from prefbench.metrics.scorers.crowd.pickscore import PickScore
from tests.support.tiny_scorers import (
    PROMPTS,
    Explosive,
    TinyImageReward,
    history,
    hub_folder,
    pictures,
    prompts,
    save_tiny_bert_vocabulary,
    save_tiny_hps,
    save_tiny_pickscore,
    tiny_architecture,
)

SCORERS = ("pickscore", "hpsv2", "imagereward")
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HERE = {"batch": 4, "device": "cpu"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scorers")


@pytest.fixture(scope="module")
def architecture(root: Path) -> Iterator[str]:
    (root / "architectures").mkdir()
    with tiny_architecture(root / "architectures") as name:
        yield name


@pytest.fixture(scope="module")
def reward(root: Path) -> TinyImageReward:
    (root / "imagereward").mkdir()
    tiny = TinyImageReward()
    tiny.save(root / "imagereward")
    save_tiny_bert_vocabulary(root / "bert")
    return tiny


@pytest.fixture(scope="module")
def clip(root: Path) -> CLIPModel:
    return save_tiny_pickscore(root / "pickscore", root / "clip")


@pytest.fixture(scope="module")
def hps(root: Path, architecture: str) -> open_clip.CLIP:
    (root / "hps").mkdir()
    return save_tiny_hps(root / "hps" / "HPS_v2.1_compressed.pt", architecture)


@pytest.fixture(scope="module")
def make(
    root: Path, architecture: str, clip: CLIPModel, hps: open_clip.CLIP, reward: TinyImageReward
) -> Callable[..., CrowdScorer]:
    """A scorer by its name, on the tiny weights, with any parameter changed."""
    del clip, hps, reward
    made: dict[str, tuple[type[CrowdScorer], dict[str, Any]]] = {
        "pickscore": (PickScore, {"source": str(root / "pickscore"), "processor": str(root / "clip"), "anchor": 2.0}),
        "hpsv2": (HpsV2, {"source": str(root / "hps"), "architecture": architecture, "anchor": 1.0}),
        "imagereward": (ImageReward, {"source": str(root / "imagereward"), "tokenizer": str(root / "bert")}),
    }

    def build(name: str, **changes: Any) -> CrowdScorer:
        constructor, parameters = made[name]
        return constructor(**{**parameters, **HERE, **changes})

    return build


@pytest.fixture(params=SCORERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# -------------------------------------------------------------------------------------------- the formulas


@torch.no_grad()
def test_pickscore_is_the_scaled_cosine_of_its_readme(
    make: Callable[..., CrowdScorer], clip: CLIPModel, root: Path
) -> None:
    images, tokenizer = CLIPImageProcessor.from_pretrained(root / "clip"), CLIPTokenizer.from_pretrained(root / "clip")
    expected = []
    for prompt, picture in zip(prompts(5), pictures(5), strict=True):
        # Shorter side to 28 and cropped, by PIL; the processor of transformers only normalises.
        pixels = images(_squared(picture), return_tensors="pt", do_resize=False, do_center_crop=False)["pixel_values"]
        seen = clip.get_image_features(pixels).pooler_output[0]
        read = clip.get_text_features(**tokenizer([prompt], return_tensors="pt")).pooler_output[0]
        expected.append(float(clip.logit_scale.exp() * (seen / seen.norm()) @ (read / read.norm())))
    assert make("pickscore").points(prompts(5), pictures(5)) == pytest.approx(expected, abs=1e-4)
    assert np.ptp(expected) > 0.1


@pytest.mark.parametrize(("scorer", "limit"), [("pickscore", 12), ("hpsv2", 77), ("imagereward", 35)])
def test_prompts_are_cut_where_the_words_behind_move_no_score(
    make: Callable[..., CrowdScorer], scorer: str, limit: int
) -> None:
    """The scores decide: a prompt one token longer than the limit scores as it does with any end."""
    model, picture = make(scorer), pictures(1)
    words = limit - 2  # each is one token, beside those of beginning and end
    full, over, more = (" ".join(["sea"] * n) for n in (words, words + 1, words + 2))
    assert model.texts_read([full, over, more]) == TextsRead(limit, 3, 2, 0 if scorer == "hpsv2" else 2)
    assert model.points([over], picture) == pytest.approx(model.points([f"{over} snow by two boats"], picture))


@torch.no_grad()
def test_hpsv2_is_a_hundred_cosines_of_padded_pictures(make: Callable[..., CrowdScorer], hps: open_clip.CLIP) -> None:
    expected = []
    for prompt, picture in zip(prompts(5), pictures(5), strict=True):
        seen = hps.encode_image(_normalised(_padded(picture))[None])[0]
        read = hps.encode_text(open_clip.tokenize([prompt]))[0]
        expected.append(100 * float(F.cosine_similarity(seen, read, dim=0)))
    assert make("hpsv2").points(prompts(5), pictures(5)) == pytest.approx(expected, abs=1e-3)
    assert np.ptp(expected) > 0.1


@torch.no_grad()
def test_imagereward_is_blip_and_its_head_written_out(
    make: Callable[..., CrowdScorer], reward: TinyImageReward
) -> None:
    tensors = reward.original()
    words = {w: i for i, w in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *_vocabulary()))}
    expected = []
    for prompt, picture in zip(prompts(5), pictures(5), strict=True):
        ids = [words["[CLS]"], *(words[word] for word in prompt.split()), words["[SEP]"]]
        state = _grounded(tensors, _normalised(_squared(picture)), ids + [0] * (35 - len(ids)), len(ids))
        for place in (0, 2, 4, 6, 7):
            state = state @ tensors[f"mlp.layers.{place}.weight"].T + tensors[f"mlp.layers.{place}.bias"]
        expected.append((float(state[0]) - 0.16717362830052426) / 1.0333394966054072)
    assert make("imagereward").points(prompts(5), pictures(5)) == pytest.approx(expected, abs=1e-4)
    assert np.ptp(expected) > 0.01


def _vocabulary() -> list[str]:
    return sorted(set(" ".join(PROMPTS).split()))


def _squared(picture: Any) -> Image.Image:
    """The shorter side to 28 pixels by PIL's bicubic, cropped at the center."""
    return transforms.CenterCrop(28)(
        transforms.Resize(28, transforms.InterpolationMode.BICUBIC)(Image.fromarray(picture))
    )


def _padded(picture: Any) -> Image.Image:
    """The longer side to 28 pixels by PIL's bicubic, on black."""
    image = Image.fromarray(picture)
    width, height = (round(length * 28 / max(image.size)) for length in image.size)
    square = Image.new("RGB", (28, 28))
    square.paste(image.resize((width, height), Image.Resampling.BICUBIC), ((28 - width) // 2, (28 - height) // 2))
    return square


def _normalised(image: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(np.asarray(image).astype(np.float32) / 255)
    return ((pixels - torch.tensor(MEAN)) / torch.tensor(STD)).permute(2, 0, 1)


def _grounded(tensors: dict[str, torch.Tensor], pixels: torch.Tensor, ids: list[int], known: int) -> torch.Tensor:
    """BLIP's image-grounded text encoder by the names and defaults of its own code, one picture and text alone."""
    seen = _vision({n.removeprefix("blip.visual_encoder."): t for n, t in tensors.items()}, pixels)
    t = {n.removeprefix("blip.text_encoder."): tensor for n, tensor in tensors.items()}
    x = t["embeddings.word_embeddings.weight"][ids] + t["embeddings.position_embeddings.weight"][: len(ids)]
    x = _normed(t, "embeddings.LayerNorm", x, 1e-12)
    hidden = torch.arange(len(ids)) >= known
    for i in range(2):
        layer = f"encoder.layer.{i}"
        x = _attended(t, f"{layer}.attention", x, x, hidden)
        x = _attended(t, f"{layer}.crossattention", x, seen, torch.zeros(len(seen), dtype=torch.bool))
        inner = F.gelu(_linear(t, f"{layer}.intermediate.dense", x))
        x = _normed(t, f"{layer}.output.LayerNorm", _linear(t, f"{layer}.output.dense", inner) + x, 1e-12)
    return x[0]


def _vision(t: dict[str, torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
    patches = F.conv2d(pixels[None], t["patch_embed.proj.weight"], t["patch_embed.proj.bias"], stride=14)
    x = torch.cat([t["cls_token"][0], patches[0].flatten(1).T]) + t["pos_embed"][0]
    for i in range(2):
        normed = _normed(t, f"blocks.{i}.norm1", x, 1e-6)
        q, k, v = _linear(t, f"blocks.{i}.attn.qkv", normed).chunk(3, -1)
        x = x + _linear(t, f"blocks.{i}.attn.proj", _heads(q, k, v, 2, torch.zeros(len(x), dtype=torch.bool)))
        inner = F.gelu(_linear(t, f"blocks.{i}.mlp.fc1", _normed(t, f"blocks.{i}.norm2", x, 1e-6)))
        x = x + _linear(t, f"blocks.{i}.mlp.fc2", inner)
    return _normed(t, "norm", x, 1e-6)


def _attended(
    t: dict[str, torch.Tensor], name: str, x: torch.Tensor, to: torch.Tensor, hidden: torch.Tensor
) -> torch.Tensor:
    q, k, v = _linear(t, f"{name}.self.query", x), *(_linear(t, f"{name}.self.{w}", to) for w in ("key", "value"))
    mixed = _linear(t, f"{name}.output.dense", _heads(q, k, v, 4, hidden))
    return _normed(t, f"{name}.output.LayerNorm", mixed + x, 1e-12)


def _heads(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, hidden: torch.Tensor) -> torch.Tensor:
    mixed = []
    for a, b, c in zip(q.chunk(heads, -1), k.chunk(heads, -1), v.chunk(heads, -1), strict=True):
        scores = a @ b.T / math.sqrt(a.shape[-1])
        mixed.append(scores.masked_fill(hidden[None], -torch.inf).softmax(-1) @ c)
    return torch.cat(mixed, -1)


def _linear(t: dict[str, torch.Tensor], name: str, x: torch.Tensor) -> torch.Tensor:
    return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]


def _normed(t: dict[str, torch.Tensor], name: str, x: torch.Tensor, eps: float) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"], eps)


# ----------------------------------------------------------------------------------------- what they share


def test_values_are_the_logistic_above_the_anchor(make: Callable[..., CrowdScorer], name: str) -> None:
    points = make(name).points(prompts(4), pictures(4))
    for anchor in (0.0, 1.5):
        values = make(name, anchor=anchor).score(history(), prompts(4), pictures(4))
        assert values == pytest.approx([1 / (1 + math.exp(anchor - x)) for x in points])
    assert values.dtype == np.float64


def test_prompts_matter_and_histories_do_not(make: Callable[..., CrowdScorer], name: str) -> None:
    scorer, shown = make(name), pictures(3)
    values = scorer.score(history(), prompts(3), shown)
    assert scorer.score(history(0, 0), prompts(3), shown).tolist() == values.tolist()
    assert scorer.score(history(), prompts(3)[::-1], shown)[0] != pytest.approx(values[0], abs=1e-6)


def test_pictures_are_scored_one_by_one_whatever_the_batch(make: Callable[..., CrowdScorer], name: str) -> None:
    together = make(name, batch=8).points(prompts(7), pictures(7))
    scorer = make(name, batch=1)
    assert scorer.points(prompts(7), pictures(7)) == pytest.approx(together, abs=1e-4)
    assert scorer.points([], []).shape == (0,)


def test_the_constructor_loads_nothing_and_absence_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    constructor = {"pickscore": PickScore, "hpsv2": HpsV2, "imagereward": ImageReward}[name]
    file = {"pickscore": "model.safetensors", "hpsv2": "HPS_v2.1_compressed.pt", "imagereward": "ImageReward.pt"}[name]
    scorer = constructor(device="cpu")
    for ask in (lambda: scorer.id, lambda: scorer.score(history(), prompts(1), pictures(1))):
        with pytest.raises(PrefbenchError, match=r"there is no local copy of .*: hf download") as caught:
            ask()
        assert str(caught.value).startswith(f"scorer {name!r}: ")
        assert file in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_id_names_version_anchor_and_weights(make: Callable[..., CrowdScorer], name: str) -> None:
    first, again, other = make(name), make(name), make(name, anchor=7.5)
    assert first.id == again.id != other.id
    assert first.id.startswith(f"{name}@{first.card.version}[anchor=")
    assert len(first.id.rpartition("@")[2]) == 64


def test_other_weights_have_another_id(
    make: Callable[..., CrowdScorer], reward: TinyImageReward, tmp_path: Path
) -> None:
    reward.save(tmp_path)
    one = make("imagereward", source=str(tmp_path)).id
    assert one == make("imagereward").id
    tensors = reward.original()
    tensors["mlp.layers.0.bias"] = tensors["mlp.layers.0.bias"] + 1
    torch.save(tensors, tmp_path / "ImageReward.pt")
    assert make("imagereward", source=str(tmp_path)).id != one


@pytest.mark.parametrize(("name", "file"), [("hpsv2", "HPS_v2.1_compressed.pt"), ("imagereward", "ImageReward.pt")])
def test_code_in_a_pickle_does_not_run(
    make: Callable[..., CrowdScorer], reward: TinyImageReward, tmp_path: Path, name: str, file: str
) -> None:
    reward.save(tmp_path)
    torch.save({"state_dict": Explosive(tmp_path / "ran")}, tmp_path / file)
    scorer = make(name, source=str(tmp_path))
    with pytest.raises(PrefbenchError, match=f"scorer '{name}': .*{file} holds something else than tensors") as caught:
        scorer.score(history(), prompts(1), pictures(1))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
    # The same file does run where it is trusted.
    torch.load(tmp_path / file, weights_only=False)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a checkpoint", "holds something else than tensors"),
        ({"weights": {}}, "holds no state dict"),
        ({"state_dict": {"text": "fox"}}, "holds no state dict"),
        ({"state_dict": {"visual.proj": torch.zeros(2)}}, "does not fit its network"),
    ],
)
def test_damaged_and_foreign_checkpoints_are_one_line(
    make: Callable[..., CrowdScorer], tmp_path: Path, content: Any, message: str
) -> None:
    file = tmp_path / "HPS_v2.1_compressed.pt"
    file.write_bytes(content) if isinstance(content, bytes) else torch.save(content, file)
    with pytest.raises(PrefbenchError, match=message) as caught:
        make("hpsv2", source=str(tmp_path)).points(prompts(1), pictures(1))
    assert "\n" not in str(caught.value)


def test_a_missing_or_superfluous_tensor_of_blip_is_one_line(
    make: Callable[..., CrowdScorer], reward: TinyImageReward, tmp_path: Path
) -> None:
    reward.save(tmp_path)
    whole = reward.original()
    lacking = {n: t for n, t in whole.items() if n != "blip.text_encoder.encoder.layer.1.crossattention.self.key.bias"}
    for tensors, named in (
        (lacking, "crossattention.self.key.bias"),
        (whole | {"blip.visual_encoder.blocks.0.extra": torch.zeros(1)}, "encoder.layers.0.extra"),
    ):
        torch.save(tensors, tmp_path / "ImageReward.pt")
        with pytest.raises(PrefbenchError, match=f"does not fit its network: .*{named}"):
            make("imagereward", source=str(tmp_path)).points(prompts(1), pictures(1))
    settings = json.loads((tmp_path / "med_config.json").read_text())
    del settings["num_attention_heads"]
    (tmp_path / "med_config.json").write_text(json.dumps(settings))
    torch.save(whole, tmp_path / "ImageReward.pt")
    with pytest.raises(PrefbenchError, match=r"med_config.json has no num_attention_heads"):
        make("imagereward", source=str(tmp_path)).points(prompts(1), pictures(1))


def test_weights_of_pickscore_that_lack_a_tensor_are_refused(
    make: Callable[..., CrowdScorer], clip: CLIPModel, tmp_path: Path
) -> None:
    state = {n: t for n, t in clip.state_dict().items() if "visual_projection" not in n}
    clip.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(PrefbenchError, match="scorer 'pickscore': weights are missing"):
        make("pickscore", source=str(tmp_path)).points(prompts(1), pictures(1))


@pytest.mark.parametrize(
    ("asked", "shown", "message"),
    [
        (prompts(2), pictures(1), "2 prompts for 1 pictures"),
        (prompts(1), [np.zeros((4, 4), np.uint8)], r"uint8 pictures \(H, W, 3\), got uint8 \(4, 4\)"),
        (prompts(1), [np.zeros((4, 4, 3))], "got float64"),
    ],
)
def test_what_is_no_picture_for_a_prompt_is_refused(
    make: Callable[..., CrowdScorer], asked: list[str], shown: Any, message: str
) -> None:
    with pytest.raises(PrefbenchError, match=message):
        make("hpsv2").score(history(), asked, shown)


def test_an_unknown_architecture_and_a_batch_of_none_are_refused(make: Callable[..., CrowdScorer]) -> None:
    with pytest.raises(PrefbenchError, match="unknown architecture 'ViT-H-15'; did you mean 'ViT-H-1"):
        make("hpsv2", architecture="ViT-H-15").points(prompts(1), pictures(1))
    with pytest.raises(PrefbenchError, match="batch must be at least 1, got 0"):
        make("hpsv2", batch=0)


def test_weights_are_found_in_the_cache_of_the_hub(
    make: Callable[..., CrowdScorer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    model = hub_folder(tmp_path, "yuvalkirstain/PickScore_v1")
    save_tiny_pickscore(model, hub_folder(tmp_path, "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"))
    scorer = PickScore(device="cpu")
    assert scorer.points(prompts(3), pictures(3)) == pytest.approx(make("pickscore").points(prompts(3), pictures(3)))
    (model / "model.safetensors").unlink()
    with pytest.raises(PrefbenchError, match="scorer 'pickscore'"):
        PickScore(device="cpu").points(prompts(1), pictures(1))
