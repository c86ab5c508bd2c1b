"""Draws scenes as 32x32 RGB pictures: Pillow polygons at four times the size, then reduced.

A picture is a function of its scene and a seed and of nothing else. The seed moves what no axis describes: the position
and size of the object, a little of each colour, the phase of waves and rain.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from prefbench.api import Pixels
from prefbench.suites.picturebook.world.axes import Scene
from prefbench.suites.picturebook.world.shapes import COMPANIONS, OBJECTS, Part

SIZE = 32
"""Side of a picture in pixels."""
VERSION = 1
"""Raised whenever the same scene and seed give other pixels."""
_SUPER = 4
_CANVAS = SIZE * _SUPER

Color = tuple[int, int, int]

_ROLES = ("sky", "pattern", "ground", "main", "second", "accent", "line")
_PALETTES: Mapping[str, Sequence[str]] = {
    "ocean": ("#9fd4ea", "#5fa8d8", "#1c6f96", "#1b3fa3", "#35c8b8", "#f0fbff", "#081c3e"),
    "sunset": ("#ffc27a", "#f2884e", "#8a3a6e", "#c41f3c", "#ffe04a", "#6a2a80", "#301038"),
    "forest": ("#c4d890", "#94b866", "#4f6a2c", "#1c6a38", "#b87428", "#f4f0a0", "#102c16"),
    "pastel": ("#ecc8e0", "#c2b0e8", "#9ed8b4", "#f4809c", "#8c78d4", "#fff2b0", "#4c3864"),
    "gray": ("#c4c4c4", "#8e8e8e", "#6a6a6a", "#444444", "#ececec", "#a8a8a8", "#0c0c0c"),
    "neon": ("#5a2ab4", "#2c0f6c", "#00a890", "#ff30c0", "#28f0ff", "#ecff30", "#06000e"),
}
_TILES = ((8.0, 9.5), (24.0, 9.5), (8.0, 24.0), (24.0, 24.0))
_HALF_SIZE: Mapping[str, float] = {"close-up": 13.0, "small": 9.0, "repeated": 6.9}
_TILT: Mapping[str, float] = {"left": -22.0, "upright": 0.0, "right": 22.0}
_GAIN: Mapping[str, tuple[float, float, float]] = {
    "cool": (0.74, 0.97, 1.16),
    "neutral": (1.0, 1.0, 1.0),
    "warm": (1.16, 0.97, 0.70),
}


def render(scene: Scene, seed: int) -> Pixels:
    """The picture of a scene: uint8 (32, 32, 3). Equal arguments give equal pixels."""
    rng = np.random.default_rng(np.random.SeedSequence([VERSION, seed, *scene.indices]))
    values = scene.named
    colors = _palette(values["palette"], rng)
    image = _background(values["background"], colors, dark=values["setting"] == "at night")
    _draw_setting(image, values["setting"], colors, rng)
    _draw_objects(image, values, colors, rng)
    _draw_companion(image, values["companion"], colors)
    return _grade(np.asarray(image.reduce(_SUPER)), values["temperature"], values["vignette"])


def show(pixels: Pixels, scale: int = 4) -> Image.Image:
    """A picture for people to look at: enlarged by nearest neighbour."""
    image = Image.fromarray(pixels)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def _palette(name: str, rng: np.random.Generator) -> dict[str, Color]:
    base = _base_colours(name)
    jittered = np.clip(base + rng.normal(0, 3, base.shape), 0, 255).astype(int)
    return {role: (int(r), int(g), int(b)) for role, (r, g, b) in zip(_ROLES, jittered, strict=True)}


@cache
def _base_colours(name: str) -> NDArray[np.int64]:
    return np.array([_parse(code) for code in _PALETTES[name]])


def _parse(code: str) -> Color:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def _background(kind: str, colors: Mapping[str, Color], *, dark: bool) -> Image.Image:
    sky, pattern = (_darkened(colors[role]) if dark else colors[role] for role in ("sky", "pattern"))
    image = Image.new("RGB", (_CANVAS, _CANVAS), sky)
    if kind != "plain":
        image.paste(pattern, mask=_pattern_mask(kind))
    return image


def _darkened(color: Color) -> Color:
    r, g, b = (_levels(0.42)[value] for value in color)
    return r, g, b


@cache
def _pattern_mask(kind: str) -> Image.Image:
    """Mask of the pattern's colour; the period is eight pixels and its phase is fixed."""
    y, x = np.mgrid[0:_CANVAS, 0:_CANVAS] / _SUPER
    masks = {
        "striped": (x % 8) < 4,
        "dotted": ((x + 4 * ((y // 8) % 2)) % 8 - 4) ** 2 + (y % 8 - 4) ** 2 < 2.4**2,
        "checkered": ((x // 8) + (y // 8)) % 2 < 1,
    }
    return Image.fromarray((masks[kind] * 255).astype(np.uint8))


def _draw_setting(image: Image.Image, setting: str, colors: Mapping[str, Color], rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(image)
    wave = rng.uniform(0, 2 * math.pi)
    if setting == "on a hill":
        _ellipse(draw, 16 + 2 * math.sin(wave), 35, 23, 11.5, colors["ground"])
    elif setting == "at sea":
        _waves(draw, 23.0, wave, colors["ground"])
        _waves(draw, 27.5, wave + 2, _mix(colors["ground"], colors["sky"], 0.45))
    elif setting == "at night":
        _ellipse(draw, 5.5, 5.5, 4.5, 4.5, (255, 240, 170))
        _ellipse(draw, 7.6, 4.4, 3.6, 3.6, _mix(colors["sky"], (0, 0, 0), 0.58))
    else:
        _rain(draw, wave, _mix(colors["ground"], colors["line"], 0.3), _mix(colors["sky"], (255, 255, 255), 0.75))


@cache
def _levels(share: float, ceiling: int = 0) -> tuple[int, ...]:
    """What becomes of the values 0 to 255 of each channel: `share` of their way from `ceiling`."""
    return tuple(int(ceiling - (ceiling - v) * share) for v in range(256)) * 3


def _waves(draw: ImageDraw.ImageDraw, top: float, phase: float, color: Color) -> None:
    x = np.linspace(-1, 33, 35)
    y = top + 1.1 * np.sin(x * 2 * math.pi / 8 + phase)
    points = [(float(a) * _SUPER, float(b) * _SUPER) for a, b in zip(x, y, strict=True)]
    draw.polygon([*points, (_CANVAS, _CANVAS), (0, _CANVAS)], fill=color)


def _rain(draw: ImageDraw.ImageDraw, phase: float, cloud: Color, drop: Color) -> None:
    shift = 1.5 * math.sin(phase)
    for x in range(-2, 40, 8):
        for y in range(7, 36, 8):
            x0, y0 = (x + shift + (4 if y // 8 % 2 else 0)) * _SUPER, y * _SUPER
            draw.line([(x0, y0), (x0 - 1.6 * _SUPER, y0 + 4.4 * _SUPER)], fill=drop, width=5)
    for i, x in enumerate((3, 11, 19, 28)):
        _ellipse(draw, x + shift, 1.5, 6, 4.5 if i % 2 else 3.6, cloud)


def _ellipse(draw: ImageDraw.ImageDraw, cx: float, cy: float, rx: float, ry: float, color: Color) -> None:
    box = [(cx - rx) * _SUPER, (cy - ry) * _SUPER, (cx + rx) * _SUPER, (cy + ry) * _SUPER]
    draw.ellipse(box, fill=color)


def _draw_objects(
    image: Image.Image, values: Mapping[str, str], colors: Mapping[str, Color], rng: np.random.Generator
) -> None:
    composition = values["composition"]
    turn = math.radians(_TILT[values["tilt"]] + rng.normal(0, 2))
    size = _HALF_SIZE[composition] * rng.uniform(0.95, 1.05)
    rim = {"no": None, "dark": colors["line"], "white": (255, 255, 255)}[values["line"]]
    parts = OBJECTS[values["object"]]
    placed = [part for center in _centers(composition, rng) for part in _placed(parts, center, size, turn)]
    if rim is not None:
        _outline(image, placed, rim, 12 if composition == "close-up" else 10)
    if values["fill"] == "flat":
        _fill(image, placed, colors)
        return
    layer, mask = image.copy(), Image.new("L", image.size)
    _fill(layer, placed, colors)
    _fill(mask, placed, dict.fromkeys(colors, 255))
    box = mask.getbbox() or (0, 0, *image.size)
    image.paste(_textured(layer, values["fill"], composition, box), box[:2], mask.crop(box))


def _centers(composition: str, rng: np.random.Generator) -> Sequence[tuple[float, float]]:
    dx, dy = (float(v) for v in rng.uniform(-1, 1, 2))
    if composition == "close-up":
        return [(15.5 + dx, 17 + dy)]
    if composition == "small":
        return [(14 + 3 * dx, 19.5 + 1.5 * dy)]
    return [(x + 0.6 * dx, y + 0.6 * dy) for x, y in _TILES]


class _Placed(NamedTuple):
    """A polygon on the canvas: its role and its corners x, y, x, y and so on."""

    role: str
    corners: list[float]


def _placed(parts: Sequence[Part], center: tuple[float, float], half: float, turn: float) -> list[_Placed]:
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    middle = np.array(center)
    points = (((part.points @ rotation.T * half + middle) * _SUPER).ravel().tolist() for part in parts)
    return [_Placed(part.role, corners) for part, corners in zip(parts, points, strict=True)]


def _outline(image: Image.Image, parts: Sequence[_Placed], color: Color, width: int) -> None:
    """A rim around the silhouette, drawn before the parts cover its inner half."""
    draw, reach = ImageDraw.Draw(image), width / 2
    for _, corners in parts:
        draw.line([*corners, *corners[:4]], fill=color, width=width)
        step = 2 * max(1, len(corners) // 16)
        for x, y in zip(corners[::step], corners[1::step], strict=True):
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=color)


def _fill(image: Image.Image, parts: Sequence[_Placed], colors: Mapping[str, Color] | Mapping[str, int]) -> None:
    draw = ImageDraw.Draw(image)
    for role, corners in parts:
        draw.polygon(corners, fill=colors[role])


def _textured(layer: Image.Image, fill: str, composition: str, box: tuple[int, int, int, int]) -> Image.Image:
    """The part of a layer within a box, hatched or shaded."""
    part = layer.crop(box)
    if fill == "hatched":
        part.paste(part.point(_levels(0.45)), mask=_hatching().crop(box))
    else:
        light, dark = (mask.crop(box) for mask in _shading(composition))
        part.paste(part.point(_levels(0.35, 255)), mask=light)
        part.paste(part.point(_levels(0.28)), mask=dark)
    return part


@cache
def _hatching() -> Image.Image:
    y = np.mgrid[0:_CANVAS, 0:_CANVAS][0] / _SUPER
    return Image.fromarray(((y % 4 < 1.75) * 255).astype(np.uint8))


@cache
def _shading(composition: str) -> tuple[Image.Image, Image.Image]:
    """Masks of light from above and dark below, over the box where the composition puts its objects."""
    y = np.mgrid[0:_CANVAS, 0:_CANVAS][0] / _SUPER
    if composition == "repeated":
        depth = np.where(y < 17, (y - 3.5) / 12, (y - 18) / 12)
    else:
        middle, half = (17.0, 12.0) if composition == "close-up" else (19.5, 8.0)
        depth = (y - middle + half) / (2 * half)
    slope = np.clip(depth, 0, 1) * 2 - 1
    light, dark = np.clip(-slope, 0, 1), np.clip(slope, 0, 1)
    return Image.fromarray((light * 255).astype(np.uint8)), Image.fromarray((dark * 255).astype(np.uint8))


def _draw_companion(image: Image.Image, name: str, colors: Mapping[str, Color]) -> None:
    if name == "none":
        return
    placed = _placed(COMPANIONS[name], (25.6, 6.4), 4.6, 0.0)
    _outline(image, placed, colors["line"], 9)
    bright = _mix(colors["second"], (255, 255, 255), 0.35)
    _fill(image, placed, {"fill": bright, "core": colors["main"]})


def _mix(a: Color, b: Color, share: float) -> Color:
    r, g, b_ = (int(x * (1 - share) + y * share) for x, y in zip(a, b, strict=True))
    return r, g, b_


@cache
def _edge_weight() -> NDArray[np.float64]:
    y, x = (np.mgrid[0:SIZE, 0:SIZE] - (SIZE - 1) / 2) / (SIZE / 2)
    weight: NDArray[np.float64] = np.clip((np.hypot(x, y) - 0.55) / 0.75, 0, 1)[..., None]
    return weight


def _grade(pixels: Pixels, temperature: str, vignette: str) -> Pixels:
    """The silent colour axes, applied to the finished picture: white balance, then darkened or lightened edges."""
    graded = pixels * np.array(_GAIN[temperature])
    if vignette == "dark edges":
        graded = graded * (1 - 0.6 * _edge_weight())
    elif vignette == "light edges":
        graded = graded + (255 - graded) * 0.6 * _edge_weight()
    return np.asarray(np.clip(np.rint(graded), 0, 255), dtype=np.uint8)
