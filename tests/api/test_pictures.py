"""The one door for pictures: every mode, format and piece of metadata against pixels that are computed by hand."""

from __future__ import annotations

import io
import itertools
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile

from prefbench.api import (
    Picture,
    PrefbenchError,
    UnreadableImageError,
    as_seen,
    decode_image,
    encode_png,
    image_digest,
    pictures,
    to_pixels,
)
from tests.support.pictures import (
    Numbers,
    chunk,
    encoded,
    grey,
    matrix_profile,
    on_white,
    png,
    transparent,
    turned,
)

SIZES = ((5, 7), (1, 9), (16, 3))
LOSSLESS = ("PNG", "TIFF", "WEBP")


def seen(data: bytes) -> Numbers:
    return np.asarray(decode_image(data, origin="file"))


def generated(rng: np.random.Generator, height: int, width: int) -> Iterator[tuple[Image.Image, Numbers, int]]:
    """A picture in each mode that is read, what it shows, and by how many levels of 255 rounding may differ."""
    colours = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    levels, alpha = colours[..., 0], rng.choice(np.array([0, 1, 60, 128, 254, 255], np.uint8), (height, width))
    yield Image.fromarray(colours), colours, 0
    yield Image.fromarray(levels), grey(levels), 0
    yield Image.fromarray(levels > 127), grey((levels > 127) * 255), 0
    yield Image.fromarray(np.dstack([colours, alpha])), on_white(colours, alpha), 0
    yield Image.fromarray(np.dstack([levels, alpha])), on_white(grey(levels), alpha), 0
    deep = rng.integers(0, 65536, (height, width), dtype=np.uint16)
    yield Image.fromarray(deep), grey(deep // 256), 0
    big = Image.frombytes("I;16B", (width, height), deep.astype(">u2").tobytes())
    yield big, grey(deep // 256), 0
    indices = rng.integers(0, 6, (height, width), dtype=np.uint8)
    table = rng.integers(0, 256, (6, 3), dtype=np.uint8)
    yield palette(indices, table), table[indices], 0
    shares = rng.integers(0, 256, 6, dtype=np.uint8)
    clear = palette(indices, table)
    clear.info["transparency"] = shares.tobytes()
    yield clear, on_white(table[indices], shares[indices]), 0
    clear = palette(indices, table)
    clear.info["transparency"] = 2
    yield clear, on_white(table[indices], np.where(indices == 2, 0, 255)), 0
    with_alpha = Image.merge("PA", (Image.fromarray(indices), Image.fromarray(alpha)))
    with_alpha.putpalette(table.tobytes())
    yield with_alpha, on_white(table[indices], alpha), 0
    named = Image.fromarray(colours)
    named.info["transparency"] = tuple(colours[0, 0].tolist())
    yield named, on_white(colours, np.where((colours == colours[0, 0]).all(axis=2), 0, 255)), 0
    named = Image.fromarray(levels)
    named.info["transparency"] = int(levels[0, 0])
    yield named, on_white(grey(levels), np.where(levels == levels[0, 0], 0, 255)), 0
    multiplied = (colours * (alpha[..., None] / 255)).astype(np.uint8)
    shown = np.minimum(multiplied.astype(int) + 255 - alpha[..., None], 255).astype(np.uint8)
    yield Image.frombytes("RGBa", (width, height), np.dstack([multiplied, alpha]).tobytes()), shown, 1
    yield (
        Image.frombytes("La", (width, height), np.dstack([multiplied[..., :1], alpha]).tobytes()),
        grey(shown[..., 0]),
        1,
    )
    inks = rng.integers(0, 256, (height, width, 4), dtype=np.uint8)
    printed = (255.0 - inks[..., :3]) * (255.0 - inks[..., 3:]) / 255
    yield Image.frombytes("CMYK", (width, height), inks.tobytes()), np.rint(printed), 1
    yield Image.frombytes("RGBX", (width, height), inks.tobytes()), inks[..., :3], 0
    yield Image.frombytes("YCbCr", (width, height), colours.tobytes()), from_ycbcr(colours), 1


def palette(indices: Numbers, table: Numbers) -> Image.Image:
    image = Image.fromarray(indices)
    image.putpalette(table.tobytes())
    return image


def from_ycbcr(values: Numbers) -> Numbers:
    """JFIF's formula."""
    y, blue, red = (values[..., i].astype(float) for i in range(3))
    blue, red = blue - 128, red - 128
    rgb = np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], axis=2)
    return np.clip(np.rint(rgb), 0, 255)


def close(found: Numbers, expected: Numbers, tolerance: int) -> bool:
    return found.shape == expected.shape and np.abs(found.astype(int) - expected.astype(int)).max() <= tolerance


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_every_mode_is_shown_as_its_numbers_say(seed: int, height: int, width: int) -> None:
    for image, expected, tolerance in generated(np.random.default_rng(seed), height, width):
        assert close(to_pixels(image), expected, tolerance), (image.mode, image.info)


@pytest.mark.parametrize("kind", LOSSLESS)
@pytest.mark.parametrize("orientation", [None, *range(10)])
def test_every_mode_in_every_file_is_shown_upright(kind: str, orientation: int | None) -> None:
    tried = 0
    for image, expected, tolerance in generated(np.random.default_rng(orientation), 5, 7):
        exif = Image.Exif()
        if orientation is not None:
            exif[0x0112] = orientation
        clear = image.info.get("transparency")
        options = {} if clear is None or kind != "PNG" else {"transparency": clear}
        if kind != "PNG" and clear is not None:
            continue
        try:
            data = encoded(image, kind, exif=exif, lossless=True, exact=True, **options)
        except (OSError, ValueError, KeyError):  # a mode that the format has no place for
            continue
        if kind == "WEBP" and image.mode not in ("RGB", "RGBA", "L"):
            continue  # its encoder changes the pixels of others
        upright = turned(expected, orientation if orientation and orientation < 9 else 1)
        assert close(seen(data), upright, tolerance), (kind, image.mode)
        lazy = Image.open(io.BytesIO(data))
        assert close(to_pixels(lazy), upright, tolerance), (kind, image.mode, "as a method returns it")
        assert close(to_pixels(lazy.copy() if kind == "TIFF" else lazy), upright, tolerance), "looked at again"
        tried += 1
    assert tried >= (3 if kind == "WEBP" else 7)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_shown_upright(orientation: int) -> None:
    stored = np.zeros((32, 48, 3), np.uint8)
    stored[:16, :24] = (200, 30, 30)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(stored)
    assert close(seen(encoded(image, "JPEG", exif=exif, quality=100, subsampling=0)), turned(stored, orientation), 3)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(to_pixels(image), turned(stored, orientation))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_grey_of_a_png_is_found_at_every_depth(depth: int) -> None:
    n = min(2**depth, 8)
    values = np.array([0, 1, 3, 7, 100, 255, 30000, 65535][:n]) if depth > 4 else np.arange(n) * (2**depth // n)
    bits = "".join(f"{value % 2**depth:0{depth}b}" for value in values)
    row = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
    values = values % 2**depth
    levels = values // 256 if depth == 16 else values * 255 // (2**depth - 1)
    for value in values.tolist():
        expected = on_white(grey(levels[None]), np.where(values == value, 0, 255)[None])
        assert np.array_equal(seen(png(depth, 0, [row], n, extra=transparent(value))), expected), value


def test_a_transparent_colour_of_sixteen_bits_is_refused() -> None:
    data = png(16, 2, [struct.pack(">3H", 1, 2, 3)], 1, extra=transparent(1, 2, 3))
    with pytest.raises(UnreadableImageError, match="a transparent colour of 16 bits a channel"):
        seen(data)


def test_sixteen_bits_a_channel_keep_the_upper_eight() -> None:
    values = (0, 255, 256, 30000, 65280, 65535)
    row = struct.pack(">6H", *values)
    assert seen(png(16, 2, [row], 2)).ravel().tolist() == [value // 256 for value in values]
    assert seen(png(16, 0, [row], 6))[0, :, 0].tolist() == [value // 256 for value in values]


def test_a_ramp_of_sixteen_bits_is_no_white_picture() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, 0)
    shown = seen(encoded(Image.fromarray(ramp), "PNG"))
    assert (shown.mean(), (shown == 255).mean()) == (127.5, 1 / 256)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_a_picture_without_a_range_is_refused_by_name(mode: str) -> None:
    image = Image.new(mode, (3, 2))
    for look in (lambda: to_pixels(image), lambda: seen(encoded(image, "TIFF"))):
        with pytest.raises(UnreadableImageError, match=rf"\(mode {mode}\), whose range nothing tells; give RGB"):
            look()


@pytest.mark.parametrize(("bits", "photometric"), [(12, 1), (16, 0)])
def test_a_grey_tiff_that_pillow_would_show_otherwise_is_refused(bits: int, photometric: int) -> None:
    tags = {256: 2, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 134, 277: 1, 278: 1, 279: 2 * bits // 8}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + b"\0\0\0\0"
    with pytest.raises(UnreadableImageError, match="a grey TIFF of 12 bits, or of 16 with 0 as white"):
        seen(data.ljust(134, b"\0") + b"\x12\x34\x56\x78")


def test_what_lies_under_full_transparency_is_not_shown_and_not_digested() -> None:
    sticker = np.zeros((16, 16, 4), np.uint8)
    sticker[4:12, 4:12] = (0, 200, 0, 255)
    hidden, fainter = sticker.copy(), sticker.copy()
    hidden[hidden[..., 3] == 0] = (255, 0, 255, 0)
    fainter[4:12, 4:12, 3] = 60
    first, second, third = (image_digest(Image.fromarray(pixels)) for pixels in (sticker, hidden, fainter))
    assert first == second != third
    assert image_digest(Image.fromarray(on_white(sticker[..., :3], sticker[..., 3]))) == first


def test_pictures_that_look_the_same_have_one_digest_whatever_file_they_come_from() -> None:
    pixels = grey(np.random.default_rng(0).integers(0, 256, (6, 4), dtype=np.uint8))
    opaque = np.dstack([pixels, np.full((6, 4), 255, np.uint8)])
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [encoded(Image.fromarray(pixels), kind, lossless=True) for kind in (*LOSSLESS, "BMP")]
    files += [encoded(Image.fromarray(pixels[..., 0]), "GIF"), encoded(Image.fromarray(opaque), "PNG")]
    files += [encoded(Image.fromarray(turned(pixels, 8)), "PNG", exif=exif)]
    assert {image_digest(decode_image(data, origin="file")) for data in files} == {
        image_digest(Image.fromarray(pixels))
    }


def test_digests_of_ordinary_pictures_are_those_of_version_0_2() -> None:
    image = Image.frombytes("RGB", (4, 3), bytes(range(36)))
    assert image_digest(image) == "a256b64e18fd928e01ce7d82e4c7aa9ad37bd057a12d7941391c24c42ab192f2"
    assert to_pixels(image).tobytes() == bytes(range(36))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 2
    assert close(seen(data)[0, :1], np.array([[255, 0, 0]]), 1)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_the_frame_that_an_animation_was_moved_to_is_taken_whole(at: int) -> None:
    """Later frames of a GIF hold what changed alone; a person sees it on what was there before."""
    frames = [Image.new("RGB", (8, 8), "red")]
    for n in (1, 2):
        frames.append(frames[-1].copy())
        frames[-1].putpixel((n, n), (0, 0, 255))
    with Image.open(io.BytesIO(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))) as image:
        image.seek(at)
        assert close(to_pixels(image), np.asarray(frames[at]), 1)


def apng_with_a_still_picture() -> bytes:
    """Blue where nothing moves; its one animated frame is red."""
    still, frame = (encoded(Image.new("RGB", (4, 4), colour), "PNG") for colour in ("blue", "red"))
    (head, *_, end), data = chunks(still), dict(chunks(still))[b"IDAT"]
    control = struct.pack(">IIIIIHHBB", 0, 4, 4, 0, 0, 1, 1, 0, 0)
    parts = [head, (b"acTL", struct.pack(">II", 1, 0)), (b"IDAT", data), (b"fcTL", control)]
    parts += [(b"fdAT", struct.pack(">I", 1) + dict(chunks(frame))[b"IDAT"]), end]
    return still[:8] + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    at, found = 8, []
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += length + 12
    return found


def test_of_an_animated_png_a_still_picture_that_is_no_frame_is_not_shown() -> None:
    assert np.array_equal(seen(apng_with_a_still_picture())[0, 0], (255, 0, 0))


def test_a_decoded_file_is_seen_as_its_file_or_refused() -> None:
    """Decoding loses the scale of a transparent colour; the place of a GIF's first frame it keeps."""
    grey = Image.new("L", (2, 1))
    grey.putdata([0, 85])
    data = encoded(grey, "PNG", bits=2, transparency=1)
    assert np.array_equal(seen(data)[0], [(0, 0, 0), (255, 255, 255)])
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        with pytest.raises(UnreadableImageError, match="was decoded with a transparent colour"):
            to_pixels(image)
    with Image.open(io.BytesIO(small_first_frame())) as gif:
        gif.load()
        assert np.array_equal(to_pixels(gif), seen(small_first_frame()))


def test_nothing_is_shown_around_a_first_frame_that_is_smaller_than_its_canvas() -> None:
    expected = np.full((4, 4, 3), 255)
    expected[1:3, 1:3] = (255, 0, 0)
    assert np.array_equal(seen(small_first_frame()), expected)


def small_first_frame() -> bytes:
    """A GIF of 4 x 4 pixels whose first frame is red and covers the middle four."""
    data = bytearray(encoded(Image.new("P", (2, 2)), "GIF"))
    table = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    data[13:16] = (255, 0, 0)
    data[6:10] = struct.pack("<HH", 4, 4)
    place = data.index(b",", table)
    data[place + 1 : place + 5] = struct.pack("<HH", 1, 1)
    return bytes(data)


def test_a_cmyk_photograph_is_shown_in_its_inks() -> None:
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[..., 0] = 255
    cyan = encoded(Image.frombytes("CMYK", (8, 8), inks.tobytes()), "JPEG", quality=95)
    assert b"Adobe" in cyan
    assert close(seen(cyan), np.broadcast_to([0, 255, 255], (8, 8, 3)), 3)


P3 = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])
SRGB = np.array([[0.4361, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
"""XYZ of the primaries under D50, of Display P3 and of sRGB (www.color.org)."""


def test_an_embedded_colour_profile_is_converted_to_srgb() -> None:
    colours = np.random.default_rng(0).integers(80, 180, (6, 6, 3), dtype=np.uint8)
    linear = (colours / 255) ** 1.8 @ (np.linalg.inv(SRGB) @ P3).T
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)
    inside = ((expected >= 0) & (expected <= 255)).all(axis=2)
    profile = matrix_profile(P3, 1.8)
    for kind in ("PNG", "TIFF", "WEBP"):
        shown = seen(encoded(Image.fromarray(colours), kind, icc_profile=profile, lossless=True))
        assert np.abs(shown - expected)[inside].max() <= 2
        assert np.abs(shown.astype(int) - colours).max() > 10
    assert inside.mean() > 0.9


@pytest.mark.parametrize(
    "profile",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        matrix_profile(SRGB, 2.2)[:200],
        b"no profile at all",
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    ],
    ids=["sRGB", "cut", "text", "another space"],
)
def test_a_profile_that_is_srgb_or_cannot_be_used_changes_no_pixel(profile: bytes) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    assert np.array_equal(seen(encoded(Image.fromarray(colours), "PNG", icc_profile=profile)), colours)


def test_damaged_metadata_leave_the_picture_as_it_is_stored() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    for exif in (b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03", b"Exif\0\0" + b"\xff" * 40):
        data = png(8, 2, [row.tobytes() for row in colours], 6, extra=chunk(b"eXIf", exif[6:]))
        assert np.array_equal(seen(data), colours)


def test_a_subclass_of_image_is_shown_and_stored_as_a_plain_one() -> None:
    class Layer(Image.Image):
        def convert(self, *_: Any, **__: Any) -> Image.Image:
            raise NotImplementedError

    image = Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    image.__class__ = Layer
    assert type(as_seen(image)) is Image.Image
    assert (to_pixels(image) == 255).all()
    assert decode_image(encode_png(image), origin="file").tobytes() == b"\xff" * 12


def test_a_picture_that_went_through_the_door_goes_through_it_unchanged() -> None:
    for image, _, _ in generated(np.random.default_rng(3), 5, 7):
        image.getexif()[0x0112] = 6
        once = as_seen(image)
        assert (once.mode, once.info, type(once)) == ("RGB", {}, Image.Image)
        assert as_seen(once) is once


PAGE = {
    b"": "is empty",
    b"<html>403 Forbidden</html>": "is an HTML page, as of a download that failed, no PNG",
    b"\n<!DOCTYPE html>\n<p>": "is an HTML page",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n": "is a Git LFS pointer: git lfs pull",
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n": "is PostScript, no PNG",
    b"<?xml version='1.0'?><svg xmlns='x'/>": "is an SVG drawing, no PNG",
    b"\0\0\0\x1cftypavif\0\0\0\0": "is an AVIF or HEIC picture, no PNG",
    b"any other bytes": "cannot be decoded: it is no PNG, JPEG, WebP, GIF, BMP or TIFF, or its beginning is damaged",
}


@pytest.mark.parametrize("data", PAGE, ids=lambda data: data[:12].decode("latin-1"))
def test_what_is_no_picture_is_named(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "downloaded.png"
    path.write_bytes(data)
    with pytest.raises(PrefbenchError) as caught:
        Picture("0" * 64, path=path).load()
    assert str(caught.value).startswith(f"{path}: {PAGE[data]}")
    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_file_that_breaks_off_is_refused_whatever_a_plug_in_allowed(
    kind: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind, quality=95)
    with pytest.raises(UnreadableImageError, match="file: cannot be decoded"):
        seen(data[: int(len(data) * share)])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_limits_are_looked_at_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", never)
    for size in ((8001, 8000), (20_000, 9_000)):
        huge = struct.pack(">IIBBBBB", *size, 1, 0, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", huge) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
        with pytest.raises(UnreadableImageError, match="over 64000000 pixels"):
            seen(data)
    monkeypatch.setattr(pictures, "MAX_BYTES", 10)
    with pytest.raises(UnreadableImageError, match="has 11 bytes; at most 10 are read"):
        seen(b"\x89PNG\r\n\x1a\n123")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")
def test_only_plain_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    sparse = tmp_path / "sparse.png"
    with sparse.open("wb") as file:
        file.truncate(2**36)
    for path in (*tmp_path.iterdir(), tmp_path / "absent.png", tmp_path / ("x" * 5000), tmp_path / "null\0.png"):
        with pytest.raises(UnreadableImageError) as caught:
            Picture("0" * 64, path=path).load()
        assert str(caught.value).startswith(f"{path}: ")


def test_no_program_is_started_for_a_file_that_calls_itself_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ghostscript, page = tmp_path / "gs", tmp_path / "page.png"
    ghostscript.write_text(f"#!/bin/sh\ntouch {tmp_path / 'started'}\n")
    ghostscript.chmod(ghostscript.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    start = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    for data in (start, b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, len(start)) + b"\0" * 20 + start):
        page.write_bytes(data)
        for look in (Picture("0" * 64, path=page).load, lambda: as_seen(Image.open(page))):
            with pytest.raises(UnreadableImageError):
                look()
    assert not (tmp_path / "started").exists()


def test_a_picture_under_another_digest_than_its_pixels_is_refused_where_it_is_read(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (4, 4), colour) for colour in ("red", "blue"))
    path = tmp_path / "0.png"
    first.save(path)
    assert Picture(image_digest(first), path=path).load().tobytes() == first.tobytes()
    for picture, name in (
        (Picture("0.png", path=path), str(path)),
        (Picture("0.png", data=encode_png(first)), "0.png"),
        (Picture(image_digest(second), path=path), str(path)),
    ):
        with pytest.raises(PrefbenchError, match="the suite says") as caught:
            picture.load()
        assert str(caught.value).startswith(f"{name}: its pixels have the digest {image_digest(first)[:12]}")


def test_any_changed_byte_gives_a_picture_or_a_refusal() -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (12, 12, 4), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = {"PNG": image, "WEBP": image, "TIFF": image, "GIF": image.convert("P"), "JPEG": image.convert("CMYK")}
    for (kind, picture), _ in itertools.product(kinds.items(), range(150)):
        data = bytearray(encoded(picture, kind, exif=exif, icc_profile=matrix_profile(P3, 1.8)))
        for place in rng.integers(0, len(data), 3):
            data[place] = rng.integers(0, 256)
        with suppress(UnreadableImageError):
            assert seen(bytes(data)).shape[2] == 3
