"""The drawn images of a run folder as files: PNG, named by the digest of what they show, whole or drawn again."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

from PIL import Image

from prefbench.api import MAX_BYTES, MAX_PIXELS, UnreadableImageError, image_digest
from prefbench.api.pictures import digest_of_plain, read_picture
from prefbench.files import read_plain
from prefbench.run.progress import Advance
from prefbench.run.verified import note_verified, state_of, verified_images

OWN_COMMAND = "the run's own command"
_AT_ONCE = 8
_WAY_OUT = f"{OWN_COMMAND} draws it again"


def image_path(run: Path, digest: str) -> Path:
    """Where the image with a digest is stored in the run folder `run`."""
    return run / "images" / digest[:2] / f"{digest}.png"


def read_image(run: Path, digest: str) -> Image.Image:
    """A stored image. Raises `UnreadableImageError` where it is missing, damaged, or not what its name says."""
    path = image_path(run, digest)
    if not path.exists():
        raise UnreadableImageError(f"{path.relative_to(run)} is missing; {_WAY_OUT}")
    try:
        image = read_picture(path)
    except UnreadableImageError as error:
        raise UnreadableImageError(f"{error}; {_WAY_OUT}") from error
    if image_digest(image) != digest:
        raise UnreadableImageError(f"{path} holds another picture than its name says; {_WAY_OUT}")
    return image


def intact(run: Path, digests: Iterable[str], advance: Advance = lambda _: None) -> set[str]:
    """Those of the stored images that show what their names say.

    Files that `verified` knows are believed; all others are decoded, on all cores, a few at a time.
    """
    names = set(digests)
    whole = verified_images(run, names)
    advance(len(whole))
    unknown = sorted(names - whole)
    parts = [unknown[i : i + _AT_ONCE] for i in range(0, len(unknown), _AT_ONCE)]
    decoded: list[tuple[str, str]] = []
    with ThreadPoolExecutor() as threads:
        try:
            for part, found in zip(parts, threads.map(partial(_decoded, run), parts), strict=True):
                decoded += found
                advance(len(part))
        except BaseException:  # Ctrl-C waits for no image that is not begun
            threads.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            note_verified(run, decoded)
    return whole | {name for name, _ in decoded}


def _decoded(run: Path, digests: Sequence[str]) -> list[tuple[str, str]]:
    """Those that are intact, with the states of their files before they were read."""
    states = [(digest, state_of(str(image_path(run, digest)))) for digest in digests]
    return [(digest, state) for digest, state in states if state is not None and is_intact(run, digest)]


def is_intact(run: Path, digest: str) -> bool:
    """Whether a stored image shows what its name says. Touches no state of Pillow, so threads may call it."""
    try:
        stream = io.BytesIO(read_plain(image_path(run, digest), MAX_BYTES))
        with Image.open(stream, formats=("PNG",)) as image:
            small = image.width * image.height <= MAX_PIXELS
            return small and image.mode == "RGB" and digest_of_plain(image) == digest
    except Exception:  # damaged files make Pillow raise anything; each is drawn again
        return False


def make_room(run: Path, digest: str) -> None:
    """Moves aside what stands in the place of an image and is no file, or in that of its folder and is no folder."""
    path = image_path(run, digest)
    for place, foreign in ((path.parent.parent, Path.is_file), (path.parent, Path.is_file), (path, Path.is_dir)):
        if foreign(place) and not place.is_symlink():
            names = (place.with_name(f"{place.name}.foreign{i}") for i in count())
            with suppress(FileNotFoundError):  # who stores another image beside it was first
                place.rename(next(name for name in names if not name.exists()))
