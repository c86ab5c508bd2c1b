"""The weights folder of `ours` for one backbone: adapter, layers, scales, and the models they were trained with."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from prefbench.api import Backbone, PrefbenchError
from prefbench.files import WEIGHTS, write_atomic
from prefbench.models import hub
from prefbench.models.folders import atomic_folder
from prefbench.models.loading import one_line
from prefbench.models.mllms.loader import load_mllm
from prefbench.models.mllms.model import Mllm
from prefbench.training.adapter import Adapter

from ..shared.image_tower import ImageEmbedder, load_image_tower
from .fusion import Fusion, Widths
from .vectors import HistoryReader, Layers, Reference, Scales

logger = logging.getLogger(__name__)

FILE, CONFIG, LAYERS = "adapter.safetensors", "config.json", "layers.json"
_DAMAGES = (OSError, ValueError, KeyError, TypeError, SafetensorError)


@dataclass(frozen=True)
class Config:
    """The models and the fusion that the weights belong to."""

    backbone: str
    backbone_digest: str
    mllm: str
    """A folder, seen from the folder of the weights, or a registered name."""
    widths: Widths
    text: int
    tokens: int
    without: tuple[str, ...] = ()
    mllm_digest: str = ""
    """Empty in weights that were stored before it was noted."""
    image_tower: str = ""
    """Empty for the backbone's own."""
    image_tower_digest: str = ""
    """Empty in weights that were stored before it was noted."""
    reference: Reference = field(default="typical", repr=False)
    """Which liked picture stands for all; weights that were stored before it was noted use the most typical one."""

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        write_atomic(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Config:
        """Reads what `save` wrote."""
        stored = json.loads(path.read_text(encoding="utf-8"))
        return cls(**stored | {"widths": Widths(**stored["widths"]), "without": tuple(stored["without"])})


def folder_for(backbone: str, method: str = "ours") -> Path:
    """Folder of a method's shipped weights for a backbone."""
    return WEIGHTS / f"{method}-{backbone}"


def save(folder: Path, config: Config, adapter: Adapter, layers: Layers, scales: Scales) -> None:
    """Writes the folder, in place of what was there; weights in float16, scales in float32."""
    state = {name: tensor.detach().half().contiguous().cpu() for name, tensor in adapter.state_dict().items()}
    state |= {"scales.mean": scales.mean.float(), "scales.std": scales.std.float()}
    with atomic_folder(folder) as fresh:
        save_file(state, fresh / FILE)
        layers.save(fresh / LAYERS)
        config.save(fresh / CONFIG)


def load(folder: Path, backbone: Backbone, method: str = "ours") -> tuple[Config, Adapter, Layers, Scales]:
    """Attaches the stored adapter to the backbone.

    Raises:
        PrefbenchError: nothing there, damaged, or trained with another kind of backbone.
    """
    command = _command(backbone, method)
    if not (folder / CONFIG).is_file():
        name = backbone.card.name
        raise PrefbenchError(f"{method} has no weights for backbone {name!r} in {folder}; train them: {command}")
    try:
        config = Config.load(folder / CONFIG)
        layers = Layers.load(folder / LAYERS)
        state = load_file(folder / FILE)
        scales = Scales(state.pop("scales.mean"), state.pop("scales.std"))
        if scales.mean.shape != (config.widths.total,):
            raise ValueError(f"{len(scales.mean)} scales for vectors of {config.widths.total}")
    except _DAMAGES as error:
        raise PrefbenchError(f"{folder} is damaged ({one_line(error)}); train again: {command}") from error
    width = int(backbone.pipeline.unet.config.cross_attention_dim)
    if config.text != width:
        raise PrefbenchError(
            f"{folder} was trained with {config.backbone!r}, whose cross-attention is {config.text} wide; that of"
            f" {backbone.card.name!r} is {width}; train for it: {command}"
        )
    if config.backbone_digest != backbone.digest:
        logger.warning("%s was trained with other weights than those of backbone %r", folder, backbone.card.name)
    adapter = attach(backbone, config)
    _fill(adapter, state, folder, backbone)
    return config, adapter, layers, scales


def digest(folder: Path, config: Config, reader: HistoryReader, embed_images: ImageEmbedder) -> str:
    """SHA-256 over all that pixels depend on: adapter, layers, shape, reader and image tower."""
    files = hub.digest({folder: [folder / FILE, folder / LAYERS]})
    shape = replace(config, mllm="", image_tower="", image_tower_digest="")
    later = "" if config.reference == "typical" else f" {config.reference}"
    return hashlib.sha256(f"{files} {shape} {reader.digest} {embed_images.digest}{later}".encode()).hexdigest()


def attach(backbone: Backbone, config: Config) -> Adapter:
    """A fresh adapter on the backbone."""
    fusion = Fusion(config.widths, config.text, tokens=config.tokens, without=config.without)
    return Adapter(backbone.pipeline.unet, fusion, tokens=fusion.total)


def load_language_model(folder: Path, config: Config, backbone: Backbone) -> Mllm:
    """The language model that reads histories as the adapter in `folder` knows them.

    Raises:
        PrefbenchError: it is not here, or not the one that the adapter was trained with.
    """
    beside = folder / config.mllm
    mllm = load_mllm(beside if beside.is_dir() else config.mllm, device=str(backbone.device))
    if config.mllm_digest not in ("", mllm.digest):
        raise PrefbenchError(
            f"{folder} was trained with another state of mllm {mllm.card.name!r} than the one here; train it again:"
            f" {_command(backbone)}"
        )
    _check_width(folder, "hidden states", mllm.width, config.widths.core, _command(backbone))
    return mllm


def load_image_embedder(folder: Path, config: Config, backbone: Backbone, method: str = "ours") -> ImageEmbedder:
    """The image tower that `e_img` is of.

    Raises:
        PrefbenchError: it is not here, or not the one that the adapter was trained with.
    """
    embed_images = load_image_tower(backbone, config.image_tower)
    command = _command(backbone, method)
    if config.image_tower_digest not in ("", embed_images.digest):
        raise PrefbenchError(
            f"{folder} was trained with another image tower than the one here; train it again: {command}"
        )
    _check_width(folder, "image embeddings", embed_images.width, config.widths.img, command)
    return embed_images


def _check_width(folder: Path, what: str, here: int, needed: int, command: str) -> None:
    if here != needed:
        raise PrefbenchError(
            f"{folder} needs {what} of width {needed}, here they have width {here}; train it again: {command}"
        )


def _fill(adapter: Adapter, state: Mapping[str, Tensor], folder: Path, backbone: Backbone) -> None:
    try:
        adapter.load_state_dict(state)
    except RuntimeError as error:
        raise PrefbenchError(f"{folder} does not fit backbone {backbone.card.name!r}: {one_line(error)}") from error


def _command(backbone: Backbone, method: str = "ours") -> str:
    return f"prefbench train {method} -p backbone={backbone.card.name} --install"
