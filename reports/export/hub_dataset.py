"""The form `hub`: a folder that can be pushed as a dataset of the Hugging Face hub, and loads from disk as one.

- `samples/`: Parquet, one row per sample, its picture as the `Image` feature of `datasets` (bytes and name). Whatever
  reads Parquet without `datasets` sees a struct.
- `summary/`: Parquet, one row per number with its interval.
- `README.md`: the card, with the YAML front matter of https://huggingface.co/docs/hub/datasets-cards and the
  configurations of https://huggingface.co/docs/hub/datasets-manual-configuration.
- `eval/`: results as https://huggingface.co/docs/hub/eval-results (October 2026) documents them: `eval.yaml` for the
  root of a dataset that is registered as a benchmark, and for each method `<method>.yaml` for `.eval_results/` in the
  repository of its model. They stand in a folder of their own: the hub checks an `eval.yaml` in the root when it is
  pushed, and names of harnesses stand on a list (huggingface.js, `packages/tasks/src/eval.ts`) that lacks this one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from prefbench.api import ReportCard

from . import hub_card
from .exporter import PICTURES, Exporter
from .rows import Export, RunRows, SampleRow, plain_row

if TYPE_CHECKING:
    import pyarrow as pa

SCORE = "score/"
"""In front of the name of a column of scores, which may be that of another column."""
_ROWS = 100
"""Rows of a group: the hub's viewer reads a group whole, pictures too."""
_TEXTS = ("run", "key", "user", "kind", "case", "prompt", "prompt_used", "status", "error", "image_digest")
_COUNTS = ("index", "seed", "nfe")
_OF_SUMMARY = {
    "string": (
        "run", "method", "control", "metric", "kind", "direction", "question", "unranked", "scorer", "extractor",
        "foreign",
    ),
    "float64": ("value", "low", "high", "floor", "crowd"),
    "int64": ("n_users", "n_prompts", "n_samples", "missing", "few", "n_pairs", "unpaired", "shared"),
    "bool": ("users_only", "alike"),
}  # fmt: skip


class HubDataset(Exporter):
    """A dataset of all samples with their pictures and scores, a card, and results.

    Args:
        pictures: pictures of each run that are handed over at most; what is left out is said.
        repository: where the folder will be pushed, `organisation/name`; results name it.
    """

    card: ClassVar[ReportCard] = ReportCard(
        "hub", "1", "scored runs as a dataset folder of the Hugging Face hub", "runs"
    )

    def __init__(self, pictures: int = PICTURES, repository: str = "OWNER/DATASET") -> None:
        super().__init__(pictures)
        self._repository = repository

    def fill(self, export: Export, folder: Path) -> Path:
        """Writes the rows, then the card."""
        (folder / "samples").mkdir()
        (folder / "summary").mkdir()
        columns = sorted({name for run in export.runs for name in run.columns})
        for run in export.runs:
            _write_samples(run, columns, folder / "samples" / f"{run.name}.parquet")
        _write_summary(export, folder / "summary" / "summary.parquet")
        hub_card.write_results(export, self._repository, folder / "eval")
        readme = folder / "README.md"
        readme.write_text(hub_card.readme(export, self._repository, columns), encoding="utf-8")
        return readme


def _write_samples(run: RunRows, columns: Sequence[str], path: Path) -> None:
    """Streams the rows, so that a run of any size takes the memory of one group."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = _schema(columns)
    rows = (_row(run, sample, columns) for sample in run.samples())
    with parquet.ParquetWriter(path, schema) as writer:
        for group in _groups(rows):
            writer.write_table(pa.Table.from_pylist(group, schema))


def _groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    iterator = iter(rows)
    while group := list(islice(iterator, _ROWS)):
        yield group


def _row(run: RunRows, sample: SampleRow, columns: Sequence[str]) -> dict[str, Any]:
    stated = asdict(sample)
    scores, shown, digest = stated.pop("scores"), stated.pop("shown"), stated.pop("image")
    picture = {"bytes": run.png(digest), "path": f"{digest}.png"} if shown and digest else None
    return {
        "run": run.label,
        "is_control": run.is_control,
        **stated,
        "image_digest": digest,
        "image": picture,
        **{f"{SCORE}{name}": scores.get(name) for name in columns},
    }


def _schema(columns: Sequence[str]) -> pa.Schema:
    """The columns of `samples/`, with what `datasets` takes a picture and a number for."""
    import pyarrow as pa

    kinds: dict[str, pa.DataType] = {"run": pa.string(), "is_control": pa.bool_(), "image": _picture_type()}
    kinds |= dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_COUNTS, pa.int64()) | {"seconds": pa.float64()}
    kinds |= {f"{SCORE}{name}": pa.float64() for name in columns}
    features = {
        name: {"_type": "Value", "dtype": str(kind).replace("double", "float64")} for name, kind in kinds.items()
    }
    info = {"info": {"features": {**features, "image": {"_type": "Image"}}}}
    return pa.schema(kinds).with_metadata({"huggingface": json.dumps(info)})


def _picture_type() -> pa.DataType:
    import pyarrow as pa

    return pa.struct({"bytes": pa.binary(), "path": pa.string()})


def _write_summary(export: Export, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    named = {"string": pa.string(), "float64": pa.float64(), "int64": pa.int64(), "bool": pa.bool_()}
    kinds = {name: named[kind] for kind, names in _OF_SUMMARY.items() for name in names}
    schema = pa.schema({**kinds, "won_by": pa.list_(pa.string())})
    rows = [{"run": run.label, **plain_row(row)} for run in export.runs for row in run.summary]
    parquet.write_table(pa.Table.from_pylist(rows, schema), path)
