"""An extractor as metrics meet it: each answer is guarded, and is what the contract says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from prefbench.api import Extractor, Features, Pixels, PrefbenchError, ReadsTexts, TextsRead
from prefbench.api.guard import guarded
from prefbench.registry import make

_ID_LIMIT = 300
"""Characters of an id, which names a folder."""


class GuardedExtractor:
    """Hands every question to an extractor. Raises `PrefbenchError` where it fails or breaks the contract."""

    def __init__(self, name: str, extractor: Extractor) -> None:
        self._extractor, self._whose = extractor, f"extractor {name!r}"
        self._module = str(getattr(type(extractor), "__module__", ""))  # of an object that may fail when looked at
        with self._asked("what it offers"):
            if not callable(getattr(extractor, "images", None)):
                raise PrefbenchError(f"{self._whose}: a {type(extractor).__name__} is no extractor, it lacks images")

    @cached_property
    def id(self) -> str:
        """The extractor's id, asked for once."""
        with self._asked("id"):
            identity = self._extractor.id
            if not isinstance(identity, str) or not identity.isprintable() or not 0 < len(identity) <= _ID_LIMIT:
                given = repr(identity[:60]) if isinstance(identity, str) else f"a {type(identity).__name__}"
                raise PrefbenchError(f"{self._whose}: id is {given}, not a text of up to {_ID_LIMIT} characters")
        return str(identity)

    def images(self, pictures: Sequence[Pixels]) -> Features:
        """What it returns; `FeatureCache` checks it."""
        with self._asked("images"):
            return self._extractor.images(pictures)

    def texts(self, texts: Sequence[str]) -> Features:
        """What it returns; `MetricInputs` checks it."""
        with self._asked("texts"):
            if not callable(getattr(self._extractor, "texts", None)):
                raise PrefbenchError(f"{self._whose}: it embeds pictures alone, it has no texts")
            return self._extractor.texts(texts)

    def texts_read(self, texts: Sequence[str]) -> TextsRead | None:
        """How many of these texts it cuts; None where it does not say."""
        with self._asked("texts_read"):
            read = self._extractor.texts_read(texts) if isinstance(self._extractor, ReadsTexts) else None
            if read is not None and not isinstance(read, TextsRead):
                raise PrefbenchError(f"{self._whose}: texts_read gave {type(read).__name__}, not TextsRead or None")
        return read

    def _asked(self, deed: str) -> guarded:
        return guarded(self._whose, deed, module=self._module)


def make_extractor(name: str) -> GuardedExtractor:
    """The extractor of a name. Raises `PrefbenchError` where it cannot be made or is none."""
    return GuardedExtractor(name, make("extractor", name))
