"""Extractors, and the cache that lets one feature pass serve every metric.

An extractor takes uint8 pictures and gives float64 features. Its id names all that
moves them: its recipe and the SHA-256 of its weights. Nothing here downloads; weights that are absent are an error that
names the command which fetches them.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from prefbench.api import Extractor, Features, PrefbenchError
from prefbench.paths import WEIGHTS, atomic_file, cache_folder
from prefbench.records import Pixels

if TYPE_CHECKING:
    import torch

_BATCH = 64
_INCEPTION_URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
_INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"


class OpenClipExtractor:
    """The two towers of an open_clip model, images through the model's own transform.

    Args:
        name: The registry's name of it, first part of the id.
        model: An open_clip model in float32.
        transform: A PIL image to a tensor (3, S, S).
        tokenizer: Texts to token ids (N, L).
        weights: The file that `model` was loaded from; hashed into the id.
        repeat_pixels: Enlarge pictures whose sides divide S by repeating pixels, before `transform` sees them.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        transform: Callable[[Image.Image], torch.Tensor],
        tokenizer: Callable[[list[str]], torch.Tensor],
        *,
        weights: Path,
        repeat_pixels: bool = False,
    ) -> None:
        import open_clip

        self.model, self.transform, self.tokenizer = model.to(_device()).eval(), transform, tokenizer
        prepare = open_clip.get_model_preprocess_cfg(model)
        self.size = int(np.max(prepare["size"]))
        self.repeat_pixels = repeat_pixels
        resize = "pixel-repeat" if repeat_pixels else f"pil-{prepare['interpolation']}-{prepare['resize_mode']}"
        self._id = f"{name}[{resize}-{self.size},norm-sqrt-d]@{_sha256(weights)}"

    @property
    def id(self) -> str:
        return self._id

    def images(self, pictures: Sequence[Pixels]) -> Features:
        """Features (N, D) of norm sqrt(D). Raises `PrefbenchError` for pictures that are not uint8 (H, W, 3)."""
        return in_batches(pictures, lambda batch: self._encode("encode_image", self._to_tensor(batch)))

    def texts(self, texts: Sequence[str]) -> Features:
        """Features (N, D) of norm sqrt(D); a text longer than the model's context is cut."""
        return in_batches(texts, lambda batch: self._encode("encode_text", self.tokenizer(list(batch))))

    def _to_tensor(self, pictures: Sequence[Pixels]) -> torch.Tensor:
        import torch

        enlarged = [self._enlarge(checked_picture(picture)) for picture in pictures]
        return torch.stack([self.transform(Image.fromarray(picture)) for picture in enlarged])

    def _enlarge(self, picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        if not self.repeat_pixels or self.size % height or self.size % width:
            return picture
        return picture.repeat(self.size // height, axis=0).repeat(self.size // width, axis=1)

    def _encode(self, tower: str, batch: torch.Tensor) -> Features:
        # CLIP compares directions; with this norm every dimension has a spread near 1, as the kernel of kid expects.
        features = run_network(getattr(self.model, tower), batch)
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        return np.asarray(features * (np.sqrt(features.shape[1]) / norms))


class InceptionExtractor:
    """Pool features (N, 2048) of the Inception network of FID, resized as clean-fid does.

    Args:
        weights: A state dict of torch-fidelity's network; only tensors are read from it.
    """

    def __init__(self, weights: Path) -> None:
        import torch

        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ModuleNotFoundError as error:
            raise PrefbenchError(
                "extractor 'inception' needs the package torch-fidelity: pip install torch-fidelity"
            ) from error
        # torch-fidelity unpickles whatever it is given, so it is given a copy of the tensors alone.
        tensors = io.BytesIO()
        torch.save(torch.load(weights, map_location="cpu", weights_only=True), tensors)
        tensors.seek(0)
        network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=tensors)
        # Its forward pass would resize on its own; its layers, without the classifier, do not.
        self.trunk = torch.nn.Sequential(*list(network.children())[:-1], torch.nn.Flatten()).to(_device()).eval()
        self._id = f"inception[pil-bicubic-float-299,pool3]@{_sha256(weights)}"

    @property
    def id(self) -> str:
        return self._id

    def images(self, pictures: Sequence[Pixels]) -> Features:
        """Features (N, 2048). Raises `PrefbenchError` for pictures that are not uint8 (H, W, 3)."""
        return in_batches(pictures, self._encode)

    def texts(self, texts: Sequence[str]) -> Features:
        """Raises `PrefbenchError`: there is no text tower."""
        raise PrefbenchError(f"extractor 'inception' has no text tower; {len(texts)} texts need another one")

    def _encode(self, pictures: Sequence[Pixels]) -> Features:
        import torch

        resized = np.stack([resize_channels(checked_picture(picture), 299) for picture in pictures])
        return run_network(self.trunk, torch.from_numpy((resized - 128) / 128))


def resize_channels(picture: Pixels, size: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The picture as float32 (3, size, size) in [0, 255]: PIL's bicubic on each channel, unrounded, then clipped.

    Parmar et al. 2022, "On aliased resizing": other filters move FID by several points.
    """
    channels = [Image.fromarray(picture[..., c].astype(np.float32)) for c in range(3)]
    return np.stack([np.asarray(c.resize((size, size), Image.Resampling.BICUBIC)) for c in channels]).clip(0, 255)


def mini_clip(folder: Path = WEIGHTS / "mini-clip") -> Extractor:
    """The shipped open_clip miniature; it learned from pictures that were doubled, so they are doubled here."""
    import open_clip

    weights = folder / "open_clip_model.safetensors"
    if not weights.is_file():
        raise PrefbenchError(f"extractor 'mini-clip' has no weights at {weights}: prefbench train mini-clip --install")
    source = f"local-dir:{folder}"
    with loading("mini-clip", folder):
        model, _, transform = open_clip.create_model_and_transforms(source, image_interpolation="bicubic")
        tokenizer = open_clip.get_tokenizer(source)
    return OpenClipExtractor("mini-clip", model, transform, tokenizer, weights=weights, repeat_pixels=True)


def open_clip_large(
    *,
    architecture: str = "ViT-L-14",
    repository: str = "timm/vit_large_patch14_clip_224.openai",
    cache: Path | None = None,
) -> Extractor:
    """OpenAI's CLIP ViT-L/14 from the local Hugging Face cache (`cache`, else the default one)."""
    import huggingface_hub
    import open_clip

    file = "open_clip_model.safetensors"
    weights = huggingface_hub.try_to_load_from_cache(repository, file, cache_dir=cache)
    if not isinstance(weights, str):
        raise PrefbenchError(f"extractor 'open-clip' has no weights in the cache: hf download {repository} {file}")
    # OpenAI trained with the approximate GELU; open_clip only knows that from its own download tags.
    with loading("open-clip", Path(weights)):
        model, _, transform = open_clip.create_model_and_transforms(architecture, weights, force_quick_gelu=True)
        tokenizer = open_clip.get_tokenizer(architecture)
    return OpenClipExtractor("open-clip", model, transform, tokenizer, weights=Path(weights))


def inception(weights: Path | None = None) -> Extractor:
    """FID's Inception network; weights from prefbench's cache folder unless given."""
    file = weights or cache_folder() / "weights" / _INCEPTION_FILE
    if not file.is_file():
        fetch = f"curl -L --create-dirs -o {file} {_INCEPTION_URL}{_INCEPTION_FILE}"
        raise PrefbenchError(f"extractor 'inception' has no weights at {file}: {fetch}")
    with loading("inception", file):
        return InceptionExtractor(file)


class FeatureCache:
    """Features of a run's images under `<run>/features/<extractor>/`, keyed by image digest.

    A shard is one `.npz` with the extractor's id, the digests (N,) and the features (N, D), written atomically, so a
    pass that is stopped keeps every finished shard and several workers may share the folder.
    """

    def __init__(self, run: Path, extractor: Extractor, *, shard: int = 1024) -> None:
        self.extractor, self.shard = extractor, shard
        self.folder = run / "features" / re.sub(r"[^\w.,-]+", "_", extractor.id)
        self._vectors: dict[str, Features] = {}
        self._read: set[Path] = set()

    def get(self, digests: Sequence[str], load_pictures: Callable[[Sequence[str]], Iterable[Pixels]]) -> Features:
        """Features (N, D) in the order of `digests`, which may repeat.

        `load_pictures` is called with the digests that are missing, at most a shard of them at a time.

        Raises:
            PrefbenchError: a shard on disk cannot be read, or the extractor gave something else than finite features.
        """
        for path in sorted(set(self.folder.glob("*.npz")) - self._read):
            self._vectors.update(self._load(path))
            self._read.add(path)
        missing = [digest for digest in dict.fromkeys(digests) if digest not in self._vectors]
        for start in range(0, len(missing), self.shard):
            part = missing[start : start + self.shard]
            self._store(part, self._extract(part, list(load_pictures(part))))
        return np.stack([self._vectors[digest] for digest in digests]) if len(digests) else np.empty((0, 0))

    def _extract(self, digests: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        if len(pictures) != len(digests):
            raise PrefbenchError(f"{len(digests)} images were to be loaded for features, {len(pictures)} were")
        features = self.extractor.images(pictures)
        if features.ndim != 2 or len(features) != len(digests):
            raise PrefbenchError(f"{self.extractor.id}: features {features.shape} for {len(digests)} images")
        bad = ~np.isfinite(features).all(axis=1)
        if bad.any():
            first = digests[int(bad.argmax())]
            raise PrefbenchError(f"{self.extractor.id}: features of {bad.sum()} images are not finite, first {first}")
        return features

    def _store(self, digests: Sequence[str], features: Features) -> None:
        path = self.folder / f"{hashlib.sha256(''.join(digests).encode()).hexdigest()[:24]}.npz"
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, extractor=np.array(self.extractor.id), digests=np.array(digests), features=features)
        self._vectors.update(zip(digests, features, strict=True))
        self._read.add(path)

    def _load(self, path: Path) -> dict[str, Features]:
        """One shard as digest to vector."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                owner, digests, features = str(stored["extractor"]), stored["digests"].tolist(), stored["features"]
            if owner != self.extractor.id:
                raise ValueError(f"it is of {owner}")
            if features.dtype != np.float64 or not np.isfinite(features).all():
                raise ValueError("it holds no finite float64 features")
            return dict(zip(digests, features, strict=True))
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise PrefbenchError(f"feature shard {path} is unusable ({error}): delete it and score again") from error


@contextmanager
def loading(name: str, source: Path) -> Iterator[None]:
    """Turns whatever the libraries raise on damaged or foreign weights into one line that names them."""
    try:
        yield
    except PrefbenchError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise PrefbenchError(f"extractor {name!r} cannot be loaded from {source} ({reason})") from error


def in_batches(items: Sequence[Any], encode: Callable[[Sequence[Any]], Features]) -> Features:
    chunks = [encode(items[start : start + _BATCH]) for start in range(0, len(items), _BATCH)]
    return np.concatenate(chunks) if chunks else np.empty((0, 0))


def run_network(network: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor) -> Features:
    """The network's output (N, D) as float64; computed in full float32 also where the device would round to TF32."""
    import torch

    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        features: Features = network(batch.to(_device())).double().cpu().numpy()
    return features


def _device() -> torch.device:
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def checked_picture(picture: Pixels) -> Pixels:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise PrefbenchError(f"extractors take uint8 pictures (H, W, 3), got {picture.dtype} {picture.shape}")
    return picture


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
