"""Extractors on the real classes with random weights, and the cache on real folders."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from prefbench.api import Extractor, Features, Pixels, PrefbenchError
from prefbench.models.extractors.clip import mini_clip, open_clip_large
from prefbench.models.extractors.inception import inception, resize_channels
from prefbench.score.cache import FeatureCache
from prefbench.suites.picturebook.miniatures.mini_clip import build_mini_clip, save_mini_clip, to_pixels
from prefbench.suites.picturebook.reader.reader import load_reader

TEXTS = ["a red ball in a park", "a blue house", "a cat"]


def pictures(n: int, side: int = 32, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def network(seed: int) -> open_clip.CLIP:
    """mini-clip with random weights that float16 holds exactly; as built, it gives all pictures nearly one vector."""
    model = build_mini_clip(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model.half().float().eval()


@pytest.fixture(scope="module")
def mini_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mini-clip")
    save_mini_clip(network(3), folder)
    return folder


@pytest.fixture(scope="module")
def mini(mini_folder: Path) -> Extractor:
    return mini_clip(mini_folder)


def scaled(features: Features) -> Features:
    """To norm sqrt(D), as the extractors give them."""
    return np.array([row / math.sqrt(sum(row**2)) * math.sqrt(len(row)) for row in features])


def test_mini_clip_sees_what_it_was_trained_on(mini: Extractor) -> None:
    model = network(3)
    with torch.inference_mode():
        expected = model.encode_image(to_pixels(pictures(6))).double().numpy()
    assert mini.images(list(pictures(6))) == pytest.approx(scaled(expected), abs=1e-4)


def test_mini_clip_reads_texts_with_the_tokenizer_of_its_folder(mini: Extractor) -> None:
    from prefbench.suites.picturebook.world.words import picturebook_tokenizer

    tokens = picturebook_tokenizer()(TEXTS, padding="max_length", return_tensors="pt").input_ids
    with torch.inference_mode():
        expected = network(3).encode_text(tokens).double().numpy()
    assert mini.texts(TEXTS) == pytest.approx(scaled(expected), abs=1e-4)
    assert len(mini.texts(["a very long text " * 50])) == 1


def test_features_do_not_depend_on_order_or_batch(mini: Extractor) -> None:
    images = list(pictures(150))
    features = mini.images(images)
    assert features.shape == (150, 96)
    assert features.dtype == np.float64
    assert features.std(axis=0).mean() > 0.001
    order = np.random.default_rng(0).permutation(150)
    assert mini.images([images[i] for i in order]) == pytest.approx(features[order], abs=1e-5)
    assert mini.images(images[70:71]) == pytest.approx(features[70:71], abs=1e-5)
    assert mini.images([]).shape[0] == 0


def test_id_changes_with_the_weights_and_with_nothing_else(mini: Extractor, mini_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(mini_folder, tmp_path / "same")
    assert mini_clip(tmp_path / "same").id == mini.id
    save_mini_clip(network(4), tmp_path / "same")
    other = mini_clip(tmp_path / "same").id
    assert other != mini.id
    assert other.partition("@")[0] == mini.id.partition("@")[0] == "mini-clip[pixel-repeat-64,norm-sqrt-d]"


@pytest.mark.parametrize("wrong", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((3, 8, 8), np.uint8)])
def test_pictures_must_be_uint8_with_channels_last(mini: Extractor, wrong: Any) -> None:
    with pytest.raises(PrefbenchError, match="uint8 pictures"):
        mini.images([wrong])


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A Hugging Face cache with a small CLIP of the ViT-L/14 layout under the large one's file name."""
    config = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 28, "layers": 1, "width": 64, "patch_size": 14},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
    }
    (tmp_path / "ViT-small-test.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path)
    model = open_clip.create_model("ViT-small-test", force_quick_gelu=True)
    folder = tmp_path / "hub" / "models--someone--clip"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    save_file(model.state_dict(), folder / "snapshots" / "abc" / "open_clip_model.safetensors")
    options = {"architecture": "ViT-small-test", "repository": "someone/clip", "cache": tmp_path / "hub"}
    yield {"model": model, "options": options}
    open_clip.factory._MODEL_CONFIGS.pop("ViT-small-test")


def test_open_clip_large_loads_from_the_local_cache(hub: dict[str, Any]) -> None:
    extractor = open_clip_large(**hub["options"])
    model = hub["model"].eval()
    prepare = open_clip.image_transform(28, is_train=False)
    images = list(pictures(3, side=50))
    with torch.inference_mode():
        image = model.encode_image(torch.stack([prepare(Image.fromarray(p)) for p in images])).double().numpy()
        text = model.encode_text(open_clip.tokenize(TEXTS)).double().numpy()
    assert extractor.images(images) == pytest.approx(scaled(image), abs=1e-5)
    assert extractor.texts(TEXTS) == pytest.approx(scaled(text), abs=1e-5)
    assert extractor.id.startswith("open-clip[pil-bicubic-shortest-28,norm-sqrt-d]@")


def test_absent_weights_are_one_line_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path))
    with pytest.raises(PrefbenchError, match="prefbench train mini-clip --install"):
        mini_clip(tmp_path / "nothing")
    with pytest.raises(
        PrefbenchError,
        match=f"no weights in {tmp_path}; get it with: prefbench train reader --install",
    ):
        load_reader(tmp_path)
    with pytest.raises(PrefbenchError, match="hf download timm/vit_large_patch14_clip_224"):
        open_clip_large(cache=tmp_path)
    with pytest.raises(PrefbenchError, match=f"curl -L --create-dirs -o {tmp_path}"):
        inception()


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the layout of the published file."""
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="a development extra")
    folder = tmp_path_factory.mktemp("inception")

    class Random(fidelity.FeatureExtractorInceptionV3):  # type: ignore[misc, name-defined]
        def load_state_dict(self, *_: Any, **__: Any) -> None:
            """Keeps the initial weights."""

    torch.manual_seed(0)
    torch.save({}, folder / "empty.pth")
    network = Random("random", ["2048"], feature_extractor_weights_path=folder / "empty.pth")
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):  # with the default weights all pictures give nearly one vector
            torch.nn.init.kaiming_normal_(module.weight)
    torch.save(network.state_dict(), folder / "weights.pth")
    return folder / "weights.pth"


@pytest.mark.slow
def test_inception_equals_torch_fidelity_where_nothing_is_resized(inception_file: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    images = pictures(2, side=299)
    reference = FeatureExtractorInceptionV3("reference", ["2048"], feature_extractor_weights_path=inception_file)
    expected = reference(torch.from_numpy(images).permute(0, 3, 1, 2))[0].double().numpy()
    extractor = inception(inception_file)
    found = extractor.images(list(images))
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected[0] - expected[1]).mean()
    with pytest.raises(PrefbenchError, match="no text tower"):
        extractor.texts(TEXTS)


def test_inception_reads_tensors_only(tmp_path: Path) -> None:
    pytest.importorskip("torch_fidelity", reason="a development extra")
    torch.save({"weights": Path("anything")}, tmp_path / "hostile.pth")
    with pytest.raises(PrefbenchError, match=r"'inception' cannot be loaded from .*hostile\.pth .UnpicklingError"):
        inception(tmp_path / "hostile.pth")


def test_damaged_weights_are_named(mini_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(mini_folder, tmp_path / "cut")
    weights = tmp_path / "cut" / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(PrefbenchError, match=r"'mini-clip' cannot be loaded from .*cut"):
        mini_clip(tmp_path / "cut")


@pytest.mark.slow
@pytest.mark.parametrize("side", [32, 500])
def test_resizing_equals_clean_fid_and_not_the_legacy_filter(side: int) -> None:
    cleanfid = pytest.importorskip("cleanfid.resize", reason="clean-fid is a development extra")
    picture = pictures(1, side=side)[0]
    ours = resize_channels(picture, 299).transpose(1, 2, 0)
    assert ours == pytest.approx(cleanfid.build_resizer("clean")(picture), abs=1e-3)
    assert np.abs(ours - cleanfid.build_resizer("legacy_pytorch")(picture)).mean() > 3


# ------------------------------------------------------------------------------------------------------ cache


class Means:
    """A real, tiny extractor: the mean of every channel. It keeps count of what it was asked for."""

    def __init__(self, recipe: str = "mean") -> None:
        self.recipe, self.seen = recipe, 0

    @property
    def id(self) -> str:
        return f"means[{self.recipe}]@0123"

    def images(self, batch: Sequence[Pixels]) -> Features:
        self.seen += len(batch)
        return np.array([picture.mean(axis=(0, 1)) for picture in batch])

    def texts(self, texts: Sequence[str]) -> Features:
        raise PrefbenchError(f"no features of {len(texts)} texts")


IMAGES = {f"digest{i}": picture for i, picture in enumerate(pictures(10))}
DIGESTS = list(IMAGES)
EXPECTED = np.array([picture.mean(axis=(0, 1)) for picture in IMAGES.values()])


def load(digests: Sequence[str]) -> list[Pixels]:
    return [IMAGES[digest] for digest in digests]


def test_cache_extracts_each_image_once_and_keeps_the_order(tmp_path: Path) -> None:
    extractor = Means()
    cache = FeatureCache(tmp_path, extractor, shard=3)
    asked = [DIGESTS[i] for i in (4, 1, 4, 0, 2, 3)]
    assert (cache.get(asked, load) == EXPECTED[[4, 1, 4, 0, 2, 3]]).all()
    assert extractor.seen == 5
    again = FeatureCache(tmp_path, extractor, shard=3)
    assert (again.get(DIGESTS, load) == EXPECTED).all()
    assert extractor.seen == 10
    assert (cache.get(DIGESTS, load) == EXPECTED).all()
    assert extractor.seen == 10
    assert cache.get([], load).shape[0] == 0


def test_cache_never_serves_another_extractor(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    FeatureCache(tmp_path, Means()).get(DIGESTS, load)
    other = Means("other")
    FeatureCache(tmp_path, other).get(DIGESTS, load)
    assert other.seen == 10
    folders = sorted((tmp_path / "features").iterdir())
    assert len(folders) == 2
    shutil.copy(next(folders[0].glob("*.npz")), folders[1] / "stray.npz")
    FeatureCache(tmp_path, other).get(DIGESTS, load)
    assert re.search(r"stray\.npz is unusable \(it is of means\S*\) and made again", caplog.text)
    assert not (folders[1] / "stray.npz").exists()
    assert other.seen == 10


def test_stopped_pass_keeps_finished_shards(tmp_path: Path) -> None:
    def stops(digests: Sequence[str]) -> list[Pixels]:
        if DIGESTS[7] in digests:
            raise KeyboardInterrupt
        return load(digests)

    extractor = Means()
    with pytest.raises(KeyboardInterrupt):
        FeatureCache(tmp_path, extractor, shard=4).get(DIGESTS, stops)
    assert extractor.seen == 4
    assert (FeatureCache(tmp_path, extractor, shard=4).get(DIGESTS, load) == EXPECTED).all()
    assert extractor.seen == 10
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_shard_is_named_and_made_again(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    extractor = Means()
    FeatureCache(tmp_path, extractor).get(DIGESTS, load)
    shard = next(tmp_path.rglob("*.npz"))
    data = bytearray(shard.read_bytes())
    flipped = data.copy()
    flipped[data.index(EXPECTED.tobytes()) + 20] ^= 255
    shard.write_bytes(bytes({"cut": data[:-200], "flip": flipped, "empty": b"", "text": b"not a shard"}[damage]))
    assert (FeatureCache(tmp_path, extractor).get(DIGESTS, load) == EXPECTED).all()
    assert re.search(rf"{shard.name} is unusable \(.*\) and made again", caplog.text)
    assert extractor.seen == 20
    assert (FeatureCache(tmp_path, extractor).get(DIGESTS, load) == EXPECTED).all()
    assert extractor.seen == 20


def test_features_that_are_no_features_are_refused(tmp_path: Path) -> None:
    class Broken(Means):
        def images(self, batch: Sequence[Pixels]) -> Features:
            features = super().images(batch)
            features[3] = np.nan
            return features

    with pytest.raises(PrefbenchError, match="1 row of features not finite, first digest3"):
        FeatureCache(tmp_path, Broken()).get(DIGESTS, load)
    with pytest.raises(PrefbenchError, match="9 of 10 images loaded for features"):
        FeatureCache(tmp_path, Means()).get(DIGESTS, lambda digests: load(digests[1:]))
    assert not list(tmp_path.rglob("*.npz"))
