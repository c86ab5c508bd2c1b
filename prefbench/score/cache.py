"""The cache that lets one feature pass serve every metric."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from prefbench.api import Extractor, Features, Pixels, PrefbenchError, as_features
from prefbench.api.guard import guarded, module_of
from prefbench.files import atomic_file
from prefbench.models.memory import Batches
from prefbench.score.returned import checked_features


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
            PrefbenchError: a shard on disk cannot be read, or the extractor gave something else than finite features.
        """
        for path in sorted(set(self.folder.glob("*.npz")) - self._read):
            self._vectors.update(self._load(path))
            self._read.add(path)
        missing = [digest for digest in dict.fromkeys(digests) if digest not in self._vectors]

        def extract(start: int, stop: int) -> None:
            shard = missing[start:stop]
            self._store(shard, self._extract(shard, list(load_pictures(shard))))

        Batches(f"{self.extractor.id}: not even one picture fits into memory", self.shard).each(len(missing), extract)
        return np.stack([self._vectors[digest] for digest in digests]) if len(digests) else np.empty((0, 0))

    def _extract(self, digests: Sequence[str], pictures: Sequence[Pixels]) -> Features:
        if len(pictures) != len(digests):
            raise PrefbenchError(f"{len(digests)} images were to be loaded for features, {len(pictures)} were")
        with guarded(f"extractor {self.extractor.id}", "images", module=module_of(self.extractor)):
            return checked_features(self.extractor.id, self.extractor.images(pictures), digests)

    def _store(self, digests: Sequence[str], features: Features) -> None:
        path = self.folder / f"{hashlib.sha256(''.join(digests).encode()).hexdigest()[:24]}.npz"
        with atomic_file(path, inside=self.run) as temporary, temporary.open("wb") as file:
            np.savez(file, extractor=np.array(self.extractor.id), digests=np.array(digests), features=features)
        self._vectors.update(zip(digests, features, strict=True))
        self._read.add(path)

    def _load(self, path: Path) -> dict[str, Features]:
        """One shard as digest to vector."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                owner, digests, features = str(stored["extractor"]), stored["digests"].tolist(), stored["features"]
            if owner != self.extractor.id:
                raise ValueError(f"it is of {owner}")
            return dict(zip(digests, as_features(features, owner, digests), strict=True))
        except (PrefbenchError, OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise PrefbenchError(f"feature shard {path} is unusable ({error}): delete it and score again") from error
