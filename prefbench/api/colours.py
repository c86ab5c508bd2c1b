"""Colours of pictures: an embedded profile is converted to sRGB."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_SAME = 2
"""Levels of 255 within which a profile is sRGB: then pixels stay as they are."""
_STEPS = (0, 16, 32, 64, 96, 128, 160, 192, 224, 255)


def in_srgb(colours: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours without alpha as RGB in sRGB. A profile that is damaged or of another colour space is passed over."""
    if profile and colours.mode in ("L", "RGB", "CMYK"):
        transform = _to_srgb(bytes(profile), colours.mode)
        if transform is not None:
            return transform.apply(colours)
    return colours.copy() if colours.mode == "RGB" else colours.convert("RGB")


@lru_cache(maxsize=32)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The conversion of a mode under a profile; None where the profile is sRGB or cannot be used."""
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None
    levels = np.stack(np.meshgrid(*[_STEPS] * len(mode)), axis=-1).astype(np.uint8)
    probe = Image.frombytes(mode, (levels.size // len(mode), 1), levels.tobytes())
    before, after = (np.asarray(image).astype(int) for image in (probe.convert("RGB"), transform.apply(probe)))
    return None if np.abs(after - before).max() <= _SAME else transform
