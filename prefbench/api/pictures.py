"""The one door for pictures, from suites and from methods: what is stored, digested and scored is what a person sees.

- Alpha, a transparent palette entry and a transparent colour are composed on white.
- The orientation that metadata name is applied; an embedded colour profile is converted to sRGB, unless it is sRGB or
  cannot be used: then, as without one, values are taken as sRGB. Gamma chunks are passed over.
- Palettes, grey, 1 bit, CMYK, YCbCr, HSV and LAB become RGB; of 16 bits a channel the upper eight are kept. Floats and
  32-bit integers are refused: nothing tells their range.
- Of an animation the first frame is taken, or the one that it was moved to.
- What is handed in as a file that `PIL.Image.open` returned is judged by the file. What is made in memory, a copy of a
  file included, is judged by its mode: 16-bit grey from 0 to 65,535, a transparent colour on the scale of the pixels.
- Files are PNG, JPEG, WebP, GIF, BMP or TIFF, at most `MAX_BYTES` long; pictures have at most `MAX_PIXELS` pixels. Both
  are looked at before anything is decoded.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from prefbench.api.colours import in_srgb
from prefbench.api.errors import PrefbenchError, UnreadableImageError, without_addresses

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""The formats that pictures are read from. Pillow knows more, and starts other programs for some of them."""
MAX_PIXELS = 64_000_000
"""Pictures with more pixels are refused before they are decoded."""
MAX_BYTES = 2**28
"""Files with more bytes are refused before they are decoded."""
RULE = "as a person sees them: upright, alpha on white, sRGB, 8 bits, the first frame"
"""The rule of this module in a line, as cards show it."""

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

_METADATA = frozenset({"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif", "icc_profile", "transparency"})
"""The entries of `Image.info` that change what a person sees."""
_KNOWN = "PNG, JPEG, WebP, GIF, BMP or TIFF"
_RANGELESS = {"F": "floats", "I": "32-bit integers"}
_OTHERS = {
    rb"\s*<(!doctype html|html|head|body)": "an HTML page, as of a download that failed",
    rb"\s*(<\?xml[^>]*>\s*)?<svg": "an SVG drawing",
    rb"version https://git-lfs": "a Git LFS pointer: git lfs pull fetches the picture",
    rb"%!PS|\xc5\xd0\xd3\xc6": "PostScript",
    rb"%PDF": "a PDF page",
    rb".{4}ftyp(avif|avis|hei|mif1)": "an AVIF or HEIC picture",
}
_SCALED = "_prefbench_scaled"
"""The attribute of a file whose transparent colour was brought to the scale of its pixels here."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what undoes it."""


def as_seen(image: Image.Image) -> Image.Image:
    """A picture of any mode as plain RGB without metadata, by the rule of this module; a plain one is returned itself.

    Raises:
        UnreadableImageError: it has no pixels or over `MAX_PIXELS`, is of a format or mode that is not read, or cannot
            be decoded.
    """
    with _explained():
        _check(image)
        _check_transparent_colour(image)
        _show_animation(image)
        frame = _frame_in_canvas(image)
        _scale_transparent_grey(image)
        image.load()
        if _is_plain(image):
            return image
        seen = _flattened(image)
        if frame is not None:
            seen = _on_white(seen.crop(frame), None, seen.size, frame[:2])
        turn = _UPRIGHT.get(_orientation(image))
        return seen if turn is None else seen.transpose(turn)


def decode_image(data: bytes, *, origin: str) -> Image.Image:
    """The bytes of a picture file as RGB, by the rule of this module; `origin` names it in errors.

    Raises:
        UnreadableImageError: not a picture of `FORMATS`, empty, cut off, or too large.
    """
    try:
        return _decoded(data)
    except UnreadableImageError as error:
        raise UnreadableImageError(f"{origin}: {error}") from error


def read_picture(path: Path) -> Image.Image:
    """A picture file as RGB. Raises `UnreadableImageError` with its path, also where it is no plain file."""
    from prefbench.files import read_plain  # imports errors of this package, so it cannot be loaded first

    try:
        data = read_plain(path, MAX_BYTES)
    except FileNotFoundError as error:
        raise UnreadableImageError(f"{path}: there is no such file") from error
    except PrefbenchError as error:
        raise UnreadableImageError(f"{path}: {error}") from error
    return decode_image(data, origin=str(path))


def image_digest(image: Image.Image) -> str:
    """SHA-256 over the size and the RGB pixels: equal for pictures that look equal, whatever file they came from."""
    return digest_of_plain(as_seen(image))


def digest_of_plain(image: Image.Image) -> str:
    """The digest of a picture that is plain RGB already."""
    return hashlib.sha256(f"RGB {image.width}x{image.height} ".encode() + image.tobytes()).hexdigest()


def encode_png(image: Image.Image) -> bytes:
    """The picture as a person sees it as PNG bytes, lossless."""
    return encode_plain(as_seen(image), "PNG")


def encode_plain(image: Image.Image, form: Literal["PNG", "BMP"]) -> bytes:
    """The bytes of a picture that is plain RGB already, in a lossless form."""
    stream = io.BytesIO()
    image.save(stream, format=form)
    return stream.getvalue()


def to_pixels(image: Image.Image) -> Pixels:
    """A picture as a person sees it as uint8 (H, W, 3)."""
    return np.asarray(as_seen(image))


def _decoded(data: bytes) -> Image.Image:
    if not data:
        raise UnreadableImageError("is empty")
    if len(data) > MAX_BYTES:
        raise UnreadableImageError(f"has {len(data):,} bytes; at most {MAX_BYTES:,} are read")
    other = next((name for start, name in _OTHERS.items() if re.match(start, data, re.DOTALL | re.IGNORECASE)), None)
    if other is not None:
        raise UnreadableImageError(f"is {other}, no {_KNOWN}")
    with _explained(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        return as_seen(image)


@contextmanager
def _explained() -> Iterator[None]:
    """Strict decoding, whatever a plug-in set; what Pillow raises (files can make it raise anything) as one line."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, MAX_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        message = f"cannot be decoded: it is no {_KNOWN}, or its beginning is damaged"
        raise UnreadableImageError(message) from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"has over {MAX_PIXELS} pixels") from error
    except Exception as error:
        raise UnreadableImageError(
            f"cannot be decoded ({type(error).__name__}: {without_addresses(str(error))})"
        ) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before


def _check(image: Image.Image) -> None:
    """Raises `UnreadableImageError` for what must not be decoded or cannot be told how to be shown."""
    if not isinstance(image, Image.Image):
        raise UnreadableImageError(f"is {type(image).__name__}, not a PIL image")
    if 0 in image.size:
        raise UnreadableImageError(f"has no pixels ({image.width}x{image.height})")
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImageError(f"is {image.width}x{image.height}, over {MAX_PIXELS} pixels")
    if isinstance(image, ImageFile.ImageFile) and image.format not in (*FORMATS, "MPO"):  # MPO: a JPEG with more
        raise UnreadableImageError(f"is a file of format {image.format}, no {_KNOWN}")
    if image.mode in _RANGELESS:
        kind = f"{_RANGELESS[image.mode]} (mode {image.mode})"
        raise UnreadableImageError(f"is of {kind}, whose range nothing tells; give RGB or L of 8 bits, or I;16")
    tags = getattr(image, "tag_v2", None)
    if tags is not None and image.mode.startswith("I;16") and (tags.get(258), tags.get(262)) != ((16,), 1):
        raise UnreadableImageError("is a grey TIFF of 12 bits, or of 16 with 0 as white; give 8, or 16 with 0 as black")


def _check_transparent_colour(image: Image.Image) -> None:
    """Raises `UnreadableImageError` for a PNG that is decoded already: the scale of its transparent colour is lost."""
    is_decoded = isinstance(image, ImageFile.ImageFile) and image.format == "PNG" and not image.tile
    has_colour = image.mode in ("L", "RGB") and image.info.get("transparency") is not None
    if is_decoded and has_colour and not hasattr(image, _SCALED):
        raise UnreadableImageError(
            "was decoded with a transparent colour, whose scale its file alone tells; give it undecoded, or as RGBA"
        )


def _is_plain(image: Image.Image) -> bool:
    """Whether it is RGB in memory and nothing beside its pixels changes what is seen."""
    return (
        type(image) is Image.Image
        and image.mode == "RGB"
        and _METADATA.isdisjoint(image.info)
        and _orientation(image) == 1
    )


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none, or none that can be read."""
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata raise anything; viewers show such a picture as it is stored
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _show_animation(image: Image.Image) -> None:
    """Goes to the first frame of an animated PNG whose still picture, shown where nothing moves, is no frame of it."""
    if getattr(image, "default_image", False) and not image.tell():
        image.seek(1)


def _frame_in_canvas(image: Image.Image) -> tuple[int, int, int, int] | None:
    """The part of a GIF's canvas that its first frame covers, where that is not all; viewers show nothing around it."""
    if not isinstance(image, ImageFile.ImageFile) or image.format != "GIF" or image.tell():
        return None
    extents = image.tile[0].extents if image.tile else getattr(image, "dispose_extent", None)
    return None if extents is None or extents == (0, 0, *image.size) else extents


def _scale_transparent_grey(image: Image.Image) -> None:
    """Brings the transparent colour of a PNG to the scale of its pixels; Pillow leaves it as the file has it.

    Raises:
        UnreadableImageError: a colour of 16 bits a channel, which the upper eight do not tell from others.
    """
    if not isinstance(image, ImageFile.ImageFile) or image.format != "PNG" or not image.tile:
        return
    raw_mode, transparent = image.tile[0].args, image.info.get("transparency")
    if transparent is not None and raw_mode == "RGB;16B":
        raise UnreadableImageError("has a transparent colour of 16 bits a channel; give it an alpha channel")
    setattr(image, _SCALED, True)
    if isinstance(transparent, int) and raw_mode in ("L;2", "L;4"):
        image.info["transparency"] = transparent * (85 if raw_mode == "L;2" else 17)


def _flattened(image: Image.Image) -> Image.Image:
    """The pixels in sRGB on white, without metadata, as they are stored: not turned."""
    colours, alpha = _parts(image.copy())
    seen = in_srgb(colours, image.info.get("icc_profile"))
    seen.info = {}
    return seen if alpha is None else _on_white(seen, alpha, seen.size, (0, 0))


def _on_white(seen: Image.Image, alpha: Image.Image | None, size: tuple[int, int], at: tuple[int, int]) -> Image.Image:
    """A picture on a white page: `alpha * colour + (255 - alpha) * 255` over 255, rounded."""
    page = Image.new("RGB", size, "white")
    page.paste(seen, at, alpha)
    return page


def _parts(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours of a picture in memory, and its alpha where it has any."""
    if image.mode.startswith("I;16"):
        return _upper_eight(image)
    if image.mode in ("La", "RGBa"):  # colours are stored multiplied by alpha
        image = image.convert(image.mode.upper())
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    if image.mode in ("LA", "RGBA"):
        return image.convert(image.mode[:-1]), image.getchannel("A")
    if image.mode == "1":
        image = image.convert("L")
    if image.mode in ("L", "RGB") and image.info.get("transparency") is not None:
        return image, image.convert("RGBA").getchannel("A")
    return image, None


def _upper_eight(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Grey of 16 bits as grey of 8; a transparent grey as alpha."""
    levels, transparent = np.asarray(image), image.info.get("transparency")
    grey = Image.fromarray((levels >> 8).astype(np.uint8))
    alpha = None if transparent is None else Image.fromarray(np.where(levels == transparent, 0, 255).astype(np.uint8))
    return grey, alpha
