"""`ip-adapter`: liked images through a second cross-attention (Ye et al. 2023, arXiv 2308.06721), run by diffusers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import diffusers
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from prefbench.api import (
    Backbone,
    Context,
    Drawing,
    Features,
    History,
    Judgment,
    Method,
    MethodCard,
    PrefbenchError,
    ProbeItem,
    Profile,
    Request,
    WeightFiles,
)
from prefbench.files import WEIGHTS
from prefbench.models import hub
from prefbench.models.loading import strict_loading

from .shared.groups import draw_in_groups
from .shared.image_tower import CLIP_H, ImageEmbedder, load_tower, most_typical, tower_name
from .shared.latest import Latest
from .shared.trained_adapter import CONFIG, FILE, AdapterConfig, MllmEyes


@dataclass(frozen=True)
class AdapterWeights:
    """An adapter, and the weights of the CLIP image tower whose embeddings it was trained on."""

    tower: WeightFiles
    """Its first file is the one that is loaded."""
    adapter: WeightFiles
    """One file."""


def _shipped(name: str, *files: str) -> WeightFiles:
    return WeightFiles(str(WEIGHTS / name), files, licence="Apache-2.0", trainer=name)


def _public(size: int, *files: str) -> WeightFiles:
    revision = "018e402774aeeddd60609b4ecdb7e298259dc729"
    return WeightFiles("h94/IP-Adapter", files, revision, licence="Apache-2.0", size=size)


_TOWER = _public(2_530_000_000, "models/image_encoder/model.safetensors", "models/image_encoder/config.json")
ADAPTERS: Mapping[str, AdapterWeights] = {
    "mini-sd": AdapterWeights(
        _shipped("mini-vision", "model.safetensors"), _shipped("mini-ip-adapter", "ip-adapter.safetensors")
    ),
    "sd15": AdapterWeights(_TOWER, _public(44_600_000, "models/ip-adapter_sd15.safetensors")),
    "sdxl": AdapterWeights(_TOWER, _public(698_000_000, "sdxl_models/ip-adapter_sdxl_vit-h.safetensors")),
}
"""Backbone to adapter."""
TOKENS = 4
"""An image has in the layout of the plain adapters."""


class IpAdapter(Method):
    """The public adapter of each backbone; on `mini-sd` the miniature trained as the public ones are.

    An embedding of zeros stands for no image, as in diffusers and in the adapter's training. It is the condition for
    users without likes, and the unconditional half of guidance unless `negative` says otherwise.

    Args:
        scale: weight of the second cross-attention; 0 draws the prompt alone.
        images: the liked image most typical of all (`one`), the tokens of all of them in one softmax (`concat`), or
            their mean embedding (`mean`).
        negative: the unconditional half of guidance: no image (`none`), or the disliked images taken as the liked ones
            are (`disliked`).
        guidance: scale of guidance by prompt and images together; 0 for the backbone's own.
        weights: folder of an adapter that `prefbench train ip-adapter` trained; by default the public one.
    """

    card = MethodCard(
        name="ip-adapter",
        version="1",
        summary="liked images through the backbone's IP-Adapter",
        paper="arXiv 2308.06721",
        backbones=tuple(ADAPTERS),
        weights=("mini-ip-adapter", "mini-vision"),
        encoders=("mini-vision",),
    )

    def __init__(
        self,
        *,
        scale: float = 0.8,
        images: Literal["one", "concat", "mean"] = "one",
        negative: Literal["none", "disliked"] = "disliked",
        guidance: float = 0.0,
        weights: str = "",
    ) -> None:
        for name, value in (("scale", scale), ("guidance", guidance)):
            if not value >= 0:
                raise PrefbenchError(f"{name} must be at least 0, got {value}")
        self.scale, self.images, self.negative, self.guidance = scale, images, negative, guidance
        self.weights = weights

    def setup(self, context: Context) -> None:
        """Raises `PrefbenchError` for weights that are not here, damaged, or of another backbone."""
        super().setup(context)
        if self.weights:
            folder = Path(self.weights)
            self.files: tuple[Path, ...] = (folder / FILE, folder / CONFIG)
            self.embed_images = AdapterConfig.load(folder).load_eyes(context.backbone)
            attach(context.backbone, self.files[0], self.embed_images)
        else:
            adapter, tower = self.files = files_for(context.backbone)
            self.embed_images = load_tower(tower.parent, context.backbone.device)
            attach(context.backbone, adapter, self.embed_images)
        pipeline = context.backbone.pipeline
        self.width = pipeline.unet.encoder_hid_proj.image_projection_layers[0].image_embeds.in_features
        pipeline.set_ip_adapter_scale(self.scale)
        self._means = Latest(self._mean)

    @property
    def card_in_use(self) -> MethodCard:
        """Names the weights and the image tower of the backbone that is drawn with."""
        if self.weights:
            folder = Path(self.weights)
            config = AdapterConfig.load(folder)
            encoder = config.eyes or tower_name(self.context.backbone, config.image_tower)
            return replace(self.card, weights=(f"folder {folder.name}",), encoders=(Path(encoder).name,))
        adapter = ADAPTERS[self.context.backbone.card.name].adapter
        return replace(self.card, weights=(adapter.source,), encoders=(CLIP_H,)) if adapter.revision else self.card

    @property
    def weights_digest(self) -> str:
        return hub.digest({file.parent: [file] for file in self.files})

    def profile(self, history: History) -> Profile:
        """Embeddings (2, images, E): of what to lead away from, and of what to lead to."""
        positive = self._condition(history.liked)
        negative = self._condition(history.disliked if self.negative == "disliked" else ())
        # Repeating all tokens of a softmax equally leaves its result as it is.
        length = math.lcm(len(negative), len(positive))
        rows = [embeddings.repeat(length // len(embeddings), 1) for embeddings in (negative, positive)]
        return Profile(history.user, torch.stack(rows))

    def generate(self, requests: Sequence[Request]) -> Sequence[Drawing]:
        # One call takes the same number of images for every sample; users differ in how many they judged.
        return draw_in_groups(requests, lambda request: request.profile.payload.shape[1], self._draw)

    def _draw(self, requests: Sequence[Request]) -> list[Drawing]:
        backbone = self.context.backbone
        negative, positive = torch.stack([request.profile.payload for request in requests]).unbind(1)
        guidance = self.guidance or backbone.card.guidance
        embeds = torch.cat([negative, positive]) if guidance > 1 else positive
        images = backbone.generate(
            [request.prompt for request in requests],
            [request.seed for request in requests],
            ip_adapter_image_embeds=[embeds.to(backbone.device, backbone.dtype)],
            guidance_scale=guidance,
        )
        nfe = backbone.nfe_at(guidance)
        return [Drawing(i, r.prompt, nfe) for i, r in zip(images, requests, strict=True)]

    def represent(self, history: History, item: ProbeItem | None = None) -> Mapping[str, Features]:
        """The mean embedding of the likes, and its difference from that of the dislikes.

        With `item`, each is multiplied element by element with the embedding of that picture, so that a linear probe
        can read their similarity.
        """
        vectors = self._means.of(history)
        if item is not None:
            picture = self.embed_images([item.picture.load()])[0]
            vectors = {name: vector * picture for name, vector in vectors.items()}
        return {name: vector.double().numpy() for name, vector in vectors.items()}

    def _mean(self, history: History) -> dict[str, Tensor]:
        liked, disliked = (self._embedded(side).mean(0) for side in (history.liked, history.disliked))
        return {"liked": liked, "contrast": liked - disliked}

    def _condition(self, judgments: Sequence[Judgment]) -> Tensor:
        """Embeddings (images, E) that stand for one side of a history; one of zeros where it is empty."""
        embeddings = self._embedded(judgments)
        if self.images == "one":
            return embeddings[most_typical(embeddings)][None]
        return embeddings.mean(0, keepdim=True) if self.images == "mean" else embeddings

    def _embedded(self, judgments: Sequence[Judgment]) -> Tensor:
        """Embeddings (N, E); one of zeros for no judgments."""
        if not judgments:
            return torch.zeros(1, self.width)
        return self.embed_images([judgment.picture.load() for judgment in judgments])


def files_for(backbone: Backbone) -> tuple[Path, Path]:
    """A backbone's adapter, and the tower whose embeddings it takes, as local files.

    Raises:
        PrefbenchError: files that are not here, with the command that gets them.
    """
    name = backbone.card.name
    if name not in ADAPTERS:
        raise PrefbenchError(f"ip-adapter has no adapter for backbone {name!r}, only for {', '.join(ADAPTERS)}")
    entry = ADAPTERS[name]
    tower, adapter = hub.require_all(f"ip-adapter on {name}", [entry.tower, entry.adapter])
    return adapter / entry.adapter.files[0], tower / entry.tower.files[0]


def attach(backbone: Backbone, adapter: Path, embed_images: ImageEmbedder | MllmEyes) -> None:
    """Loads the adapter into the backbone's pipeline. Raises `PrefbenchError` for files that do not fit."""
    _check_fit(adapter, backbone.pipeline.unet, embed_images.width, backbone.card.name)
    with strict_loading("ip-adapter", adapter, diffusers):
        backbone.pipeline.load_ip_adapter(
            str(adapter.parent),
            subfolder="",
            weight_name=adapter.name,
            image_encoder_folder=None,
            local_files_only=True,
        )


def _check_fit(file: Path, unet: Any, width: int, backbone: str) -> None:
    """Raises `PrefbenchError` for weights of another shape: diffusers would load only some, or fail while drawing."""
    layout, shapes = _layout(unet, width), _shapes(file)
    if "image_proj.proj.weight" not in shapes:
        raise PrefbenchError(f"{file} is no plain IP-Adapter: it has no image_proj.proj.weight")
    for name in layout | shapes:
        if layout.get(name) != shapes.get(name):
            here, there = (shape or "nothing" for shape in (shapes.get(name), layout.get(name)))
            raise PrefbenchError(f"{file} does not fit backbone {backbone!r}: {name} is {here}, not {there}")


def _layout(unet: Any, width: int) -> dict[str, tuple[int, ...]]:
    """Name to shape in the public layout, for image embeddings of a width."""
    attentions = [
        unet.get_submodule(name.removesuffix(".processor"))
        for name in unet.attn_processors
        if name.endswith("attn2.processor")
    ]
    text = attentions[0].to_k.weight.shape[1]
    projection = {"proj.weight": (TOKENS * text, width), "proj.bias": (TOKENS * text,)}
    norm = {"norm.weight": (text,), "norm.bias": (text,)}
    layout = {f"image_proj.{name}": shape for name, shape in (projection | norm).items()}
    for i, attention in enumerate(attentions):
        for part in ("to_k_ip", "to_v_ip"):
            # Odd numbers: the layout counts the self-attentions too.
            layout[f"ip_adapter.{2 * i + 1}.{part}.weight"] = tuple(attention.to_k.weight.shape)
    return layout


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(file, framework="pt") as stored:
            return {name: tuple(stored.get_slice(name).get_shape()) for name in stored.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise PrefbenchError(f"{file} cannot be read: {error}") from error
