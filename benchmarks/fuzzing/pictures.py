"""Pictures of every mode, format and metadata, whole or damaged, through the one door of `prefbench.api.pictures`.

A whole picture must show what its numbers say, computed here with numpy alone; a damaged one must be refused, or show
what these formulas make of the pixels that Pillow alone decodes.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.fuzzing.trial import Trial, WrongError, refused
from prefbench.api import as_seen, decode_image, encode_png, image_digest, to_pixels
from prefbench.api.pictures import read_picture

Numbers = NDArray[Any]
FORMATS = ("PNG", "TIFF", "BMP", "GIF", "WEBP", "JPEG")
EXIF_ORIENTATION = 0x0112
FOREIGN = (
    b"", b"<!DOCTYPE html><html></html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"%!PS-Adobe-3.0",
    b"version https://git-lfs.github.com/spec/v1\n", b"\0\0\0 ftypavif", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0",
    b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"\xff\xd8\xff\xe0", b"BM", b"P6 1 1 255 abc", b"\0" * 200, b"PK\x03\x04",
)  # fmt: skip


class Shown(NamedTuple):
    """A picture, what it shows as (H, W, 3), and by how many levels rounding may differ."""

    image: Image.Image
    pixels: Numbers
    tolerance: int = 0


def grey(levels: Numbers) -> Numbers:
    return np.repeat(np.asarray(levels, np.uint8)[..., None], 3, axis=2)


def on_white(colours: Numbers, alpha: Numbers) -> Numbers:
    share = alpha[..., None].astype(np.float64) / 255
    return np.asarray(np.floor(colours * share + 255 * (1 - share) + 0.5), np.uint8)


UPRIGHT: Mapping[int, Callable[[Numbers], Numbers]] = {
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: p[::-1].transpose(1, 0, 2),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: p.transpose(1, 0, 2)[::-1],
}
"""Stored to shown pixels, by the EXIF orientation."""


def _palette(trial: Trial, indices: Numbers) -> tuple[Image.Image, Numbers]:
    table = trial.rng.integers(0, 256, (int(indices.max()) + 1, 3), dtype=np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(table.tobytes())
    return image, table[indices]


def generated(trial: Trial) -> Shown:
    """A picture of one mode."""
    height, width = trial.number(1, 20), trial.number(1, 20)
    rgb = trial.rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    level, alpha = rgb[..., 0], trial.rng.choice(np.array([0, 1, 77, 254, 255], np.uint8), (height, width))
    mode = trial.of(
        ("RGB", "L", "1", "RGBA", "LA", "I;16", "P", "P clear", "PA", "RGB clear", "L clear", "CMYK", "RGBX")
    )
    if mode in ("RGB", "L"):
        return Shown(Image.fromarray(rgb if mode == "RGB" else level), rgb if mode == "RGB" else grey(level))
    if mode == "1":
        return Shown(Image.fromarray(level > 99), grey((level > 99) * 255))
    if mode in ("RGBA", "LA"):
        colours = rgb if mode == "RGBA" else grey(level)
        return Shown(Image.fromarray(np.dstack([rgb if mode == "RGBA" else level, alpha])), on_white(colours, alpha))
    if mode == "I;16":
        deep = trial.rng.integers(0, 65536, (height, width), dtype=np.uint16)
        return Shown(Image.fromarray(deep), grey(deep // 256))
    if mode.startswith("P"):
        return _of_palette(trial, mode, level % trial.of((2, 3, 15, 200)), alpha)
    if mode.endswith("clear"):
        colours = rgb if mode == "RGB clear" else grey(level)
        image = Image.fromarray(rgb if mode == "RGB clear" else level)
        image.info["transparency"] = tuple(rgb[0, 0].tolist()) if mode == "RGB clear" else int(level[0, 0])
        return Shown(image, on_white(colours, np.where((colours == colours[0, 0]).all(axis=2), 0, 255)))
    inks = trial.rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    if mode == "RGBX":
        return Shown(Image.frombytes("RGBX", (width, height), inks.tobytes()), inks[..., :3])
    return Shown(Image.frombytes("CMYK", (width, height), inks.tobytes()), printed(inks), 1)


def _of_palette(trial: Trial, mode: str, indices: Numbers, alpha: Numbers) -> Shown:
    image, colours = _palette(trial, indices)
    if mode == "PA":
        whole = Image.merge("PA", (Image.fromarray(indices), Image.fromarray(alpha)))
        whole.putpalette(image.getpalette() or [])
        return Shown(whole, on_white(colours, alpha))
    if mode == "P clear":
        image.info["transparency"] = clear = int(indices.ravel()[0])
        return Shown(image, on_white(colours, np.where(indices == clear, 0, 255)))
    return Shown(image, colours)


def printed(inks: Numbers) -> Numbers:
    return np.rint((255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255)


def shown_by_pillow(data: bytes) -> Numbers | None:
    """What a file shows by the formulas of this module, None where they do not cover it. Raises what Pillow raises."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        frame = image.tile[0].extents if image.format == "GIF" and image.tile else None
        image.load()
        orientation = image.getexif().get(EXIF_ORIENTATION, 1)
        covered = {"RGB", "L", "RGBA", "LA", "CMYK"} - ({"RGB", "L"} if "transparency" in image.info else set())
        unknown = image.mode not in covered or "icc_profile" in image.info or frame not in (None, (0, 0, *image.size))
        if unknown or 0 in image.size:
            return None
        values = np.asarray(image)
    if values.ndim == 2 or values.shape[2] == 2:
        colours = grey(values if values.ndim == 2 else values[..., 0])
        colours = colours if values.ndim == 2 else on_white(colours, values[..., 1])
    else:
        colours = printed(values) if image.mode == "CMYK" else values[..., :3]
        colours = on_white(colours, values[..., 3]) if image.mode == "RGBA" else colours
    return UPRIGHT.get(orientation, np.asarray)(colours)


def damaged(trial: Trial, data: bytes) -> bytes:
    """The file as a bad disk, a cut download, or somebody with an editor leaves it."""
    kind, at = trial.of(("flip", "cut", "zero", "repeat", "insert", "foreign", "start")), trial.number(0, len(data))
    if kind == "flip":
        changed = bytearray(data)
        for place in trial.rng.integers(0, len(data), trial.number(1, 6)):
            changed[place] = trial.number(0, 256)
        return bytes(changed)
    end = at + trial.number(1, 64)
    return {
        "cut": data[:at],
        "zero": data[:at] + b"\0" * len(data[at:end]) + data[end:],
        "repeat": data[:end] + data[at:],
        "insert": data[:at] + trial.rng.bytes(9) + data[at:],
        "foreign": trial.of(FOREIGN) + data[: trial.number(0, 2) * len(data)],
        "start": data[at:],
    }[kind]


def encoded(trial: Trial, shown: Shown, kind: str, orientation: int | None) -> bytes | None:
    """The picture as a file without loss; None where the format has no place for it."""
    exif, options = Image.Exif(), {}
    if orientation is not None:
        exif[EXIF_ORIENTATION] = orientation
    if trial.chance(0.2):
        exif[0x010E] = trial.of(("words", "\u2603" * 50, ""))
    if (clear := shown.image.info.get("transparency")) is not None:
        if kind != "PNG":
            return None
        options = {"transparency": clear}
    if kind in ("GIF", "BMP") or (kind == "WEBP" and shown.image.mode not in ("RGB", "RGBA")):
        exif = Image.Exif()
        if orientation is not None or kind == "WEBP" or shown.image.mode not in ("L", "1", "P", "RGB"):
            return None
        if kind == "GIF" and shown.image.mode == "RGB":
            return None  # it would be reduced to a palette
    stream = io.BytesIO()
    try:
        shown.image.save(stream, format=kind, exif=exif.tobytes(), lossless=True, exact=True, **options)
    except (OSError, ValueError, KeyError):
        return None
    return stream.getvalue()


class Pictures:
    """The campaign."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def answer(self, trial: Trial) -> str:
        shown, kind = generated(trial), trial.of((*FORMATS, "memory"))
        if kind == "memory":
            return _in_memory(trial, shown)
        orientation = trial.of((None, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 65535))
        data = encoded(trial, shown, kind, orientation)
        if data is None:
            return _in_memory(trial, shown)
        if trial.chance(0.45):
            return _of_damaged(trial, damaged(trial, data))
        upright = UPRIGHT.get(orientation or 1, np.asarray)(shown.pixels)
        what = f"{kind} {shown.image.mode} {orientation}"
        return _same_everywhere(trial, data, upright, 40 if kind == "JPEG" else shown.tolerance, what)


def _in_memory(trial: Trial, shown: Shown) -> str:
    """A picture as a method returns it."""
    rangeless = trial.chance(0.1)
    if rangeless:
        values = trial.rng.normal(0, 300, shown.pixels.shape[:2])
        image = Image.fromarray(values.astype(np.float32 if trial.chance(0.5) else np.int32))
        if not refused(lambda: to_pixels(image))[1]:
            raise WrongError(f"a picture of mode {image.mode} has no range and was not refused")
        return "refused"
    orientation = trial.number(1, 9)
    if shown.image.mode in ("RGB", "L", "RGBA") and trial.chance(0.5):
        shown.image.getexif()[EXIF_ORIENTATION] = orientation
        shown = shown._replace(pixels=UPRIGHT.get(orientation, np.asarray)(shown.pixels))
    _compare(to_pixels(shown.image), shown.pixels, shown.tolerance, f"in memory {shown.image.mode}")
    _check_digest(shown.image)
    return "right"


def _of_damaged(trial: Trial, data: bytes) -> str:
    seen, refusal = refused(lambda: decode_image(data, origin="file"))
    if seen is None:
        return "refused" if refusal.startswith("file: ") else _raise(f"the file is not named: {refusal}")
    try:
        expected = shown_by_pillow(data)
    except Exception as error:
        raise WrongError(f"shown, and Pillow alone cannot: {type(error).__name__}: {error}") from error
    if expected is None:
        return "unchecked"
    _compare(np.asarray(seen), expected, 1, "a damaged file")
    trial.folder.joinpath("picture").write_bytes(data)
    _compare(np.asarray(read_picture(trial.folder / "picture")), np.asarray(seen), 0, "read from disk")
    return "right"


def _same_everywhere(trial: Trial, data: bytes, expected: Numbers, tolerance: int, what: str) -> str:
    """A whole file must be shown, and equal by every way in."""
    seen = decode_image(data, origin="file")
    if tolerance < 40:  # JPEG loses more of noise than a bound could tell: it is compared with Pillow below
        _compare(np.asarray(seen), expected, tolerance, what)
    elif (decoded := shown_by_pillow(data)) is not None:
        _compare(np.asarray(seen), decoded, 1, what)
    lazy = Image.open(io.BytesIO(data))
    _compare(to_pixels(lazy), np.asarray(seen), 0, f"{what}, opened by a method")
    _check_digest(lazy)
    path = trial.folder / trial.of(("a.png", "a.jpg", "no suffix", "ü.gif"))
    path.write_bytes(data)
    _compare(np.asarray(read_picture(path)), np.asarray(seen), 0, f"{what}, read from disk")
    return "right"


def _check_digest(image: Image.Image) -> None:
    seen = as_seen(image)
    if (seen.mode, seen.info) != ("RGB", {}) or as_seen(seen) is not seen:
        raise WrongError(f"what is seen is no plain picture: {seen.mode}, {seen.info}")
    own = hashlib.sha256(f"RGB {seen.width}x{seen.height} ".encode() + np.asarray(seen).tobytes()).hexdigest()
    stored = decode_image(encode_png(image), origin="file")
    if not image_digest(image) == own == image_digest(stored):
        raise WrongError("the digest is not that of what is seen, or changes with storing")


def _compare(found: Numbers, expected: Numbers, tolerance: int, what: str) -> None:
    if found.shape != expected.shape:
        raise WrongError(f"{what}: shape {found.shape}, not {expected.shape}")
    if (gap := int(np.abs(found.astype(int) - expected.astype(int)).max())) > tolerance:
        raise WrongError(f"{what}: {gap} levels off")


def _raise(text: str) -> str:
    raise WrongError(text)
