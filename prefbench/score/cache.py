"""The cache that lets one feature pass serve every metric."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prefbench.api import Extractor, Features, Pixels, PrefbenchError, as_features, counted, plain
from prefbench.api.guard import guarded, module_of
from prefbench.api.stored import FORMAT
from prefbench.files import remove, write_atomic
from prefbench.models.memory import Batches
from prefbench.run.arrays import packed, unpacked
from prefbench.run.lines import sha256
from prefbench.score.returned import checked_features

logger = logging.getLogger(__name__)


class FeatureCache:
    """Features of a run's images under `<run>/features/<extractor>/`, keyed by image digest.

    A shard is one `.npz` with the extractor's id, the digests (N,) and the features (N, D), written atomically, so a
    pass that is stopped keeps every finished shard and several workers may share the folder.
    """

    def __init__(self, run: Path, extractor: Extractor, *, shard: int = 1024) -> None:
        self.run, self.extractor, self.shard = run, extractor, shard
        self.folder = run / "features" / re.sub(r"[^\w.,-]+", "_", extractor.id)
        self._vectors: dict[str, Features] = {}
        self._read: set[Path] = set()

    def get(self, digests: Sequence[str], load_pictures: Callable[[Sequence[str]], Iterable[Pixels]]) -> Features:
        """Features (N, D) in the order of `digests`, which may repeat.

        `load_pictures` is called with the digests that are missing, at most a shard of them at a time.

        Raises:
            PrefbenchError: the extractor gave something else than finite features, or a picture cannot be loaded.
        """
        missing = self.lacking(digests)

        def extract(start: int, stop: int) -> None:
            shard = missing[start:stop]
            self._store(shard, self._extract(shard, list(load_pictures(shard))))

        Batches(f"{self.extractor.id}: not even one picture fits into memory", self.shard).each(len(missing), extract)
        return np.stack([self._vectors[digest] for digest in digests]) if len(digests) else np.empty((0, 0))

    def lacking(self, digests: Sequence[str]) -> list[str]:
        """Those of the digests, once each, that no stored shard holds."""
        for path in sorted(set(self.folder.glob("*.npz")) - self._read):
            self._vectors.update(self._load(path))
            self._read.add(path)
        return [digest for digest in dict.fromkeys(digests) if digest not in self._vectors]

    def _extract(self, digests: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        if len(pictures) != len(digests):
            wanted = counted(len(digests), "image")
            raise PrefbenchError(f"{len(pictures)} of {wanted} loaded for features")
        with guarded(f"extractor {self.extractor.id}", "images", module=module_of(self.extractor)):
            return checked_features(self.extractor.id, self.extractor.images(pictures), digests)

    def _store(self, digests: Sequence[str], features: Features) -> None:
        path = self.folder / f"{hashlib.sha256(''.join(digests).encode()).hexdigest()[:24]}.npz"
        arrays = {"extractor": np.array(self.extractor.id), "digests": np.array(digests), "features": features}
        arrays["sha256"] = np.array(_digest(arrays))
        write_atomic(path, packed({**arrays, "format": np.array(FORMAT)}), inside=self.run)
        self._vectors.update(zip(digests, features, strict=True))
        self._read.add(path)

    def _load(self, path: Path) -> dict[str, Features]:
        """One shard as digest to vector; none of a shard that is unusable, which is removed and made again."""
        try:
            return self._checked(unpacked(path))
        except (ValueError, KeyError, PrefbenchError) as error:
            logger.warning("feature shard %s is unusable (%s) and made again", path, error)
            with suppress(OSError, PrefbenchError):
                remove(path, inside=self.run)
            return {}

    def _checked(self, stored: Mapping[str, NDArray[Any]]) -> dict[str, Features]:
        """Raises `KeyError`, `ValueError` or `PrefbenchError` for no shard of this extractor as it was written."""
        owner, digests, features = str(stored["extractor"]), stored["digests"], stored["features"]
        if owner != self.extractor.id:
            raise ValueError(f"it is of {plain(owner)}")
        if str(stored["format"]) != str(FORMAT) or str(stored["sha256"]) != _digest(stored):
            raise ValueError("it is of another format, or its digest does not fit")
        features = as_features(features, owner, digests.tolist())
        if any(features.shape[1:] != vector.shape for vector in islice(self._vectors.values(), 1)):
            raise ValueError("its features are of another length")
        return dict(zip(digests.tolist(), features, strict=True))


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    return sha256(*(np.ascontiguousarray(arrays[name]).tobytes() for name in ("extractor", "digests", "features")))
