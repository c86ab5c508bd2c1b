"""Whether pictures show anything, and whether texts are read whole: the same counts for suites, methods and runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prefbench.api import (
    Drawing,
    PictureCounts,
    PrefbenchError,
    ReadsTexts,
    Request,
    Sample,
    Suite,
    TextsRead,
    colour_spread,
    count_pictures,
    image_digest,
)
from prefbench.check.findings import Rows, fail, skip, warn
from prefbench.registry import load


def count_drawings(requests: Sequence[Request], drawings: Sequence[Drawing]) -> PictureCounts:
    """The counts of drawings that were not stored."""
    return count_pictures(
        Sample(
            key=f"{i}",
            user=request.case.user,
            case=request.case.id,
            prompt=request.prompt,
            index=request.index,
            seed=request.seed,
            status="ok",
            image=image_digest(drawing.image),
            spread=colour_spread(drawing.image),
        )
        for i, (request, drawing) in enumerate(zip(requests, drawings, strict=True))
    )


def check_drawings(counts: PictureCounts, rows: Rows = (), *, control: bool) -> str:
    """Drawings differ and show something. What a control draws is stated: it may be meant so.

    `rows` are those that a finding is about.
    """
    detail = "; ".join(counts.lines)
    if counts.near_constant == counts.pictures and not control:
        fail(detail, rows)
    if detail and not control:
        warn(detail, rows)
    return detail or counts.in_full


def count_judged(judged: Iterable[tuple[str, str, float]]) -> PictureCounts:
    """The counts of judged pictures, from the prompt, the digest and the spread of each.

    Users may judge one picture for one prompt, so only pictures that stand for several prompts are equal to another.
    """
    return count_pictures(
        Sample("", "", "", prompt, 0, 0, "ok", digest, spread=spread) for prompt, digest, spread in judged
    )


def check_judged(counts: PictureCounts) -> str:
    """Judged pictures show something, each for one prompt."""
    if counts.lines:
        warn("; ".join(counts.lines))
    return counts.in_full


def check_texts(suite: Suite, prompts: Sequence[str]) -> str:
    """The prompts are read whole by the suite's backbone and by its extractor of texts, where these are here."""
    counts: list[tuple[str, TextsRead]] = []
    absent: list[str] = []
    readers = {"backbone": suite.card.backbone, "extractor": suite.card.extractors.get("text")}
    for kind, name in readers.items():
        try:
            read = None if name is None else _read(kind, name, prompts)
        except PrefbenchError as error:
            absent.append(f"not counted for the {kind} {name}: {error}")
        else:
            counts += [] if read is None else [(f"the {kind} {name}", read)]
    lines = [read.line("prompts", by) for by, read in counts] + absent
    if any(read.cut for _, read in counts):
        warn("; ".join(lines))
    if not counts:
        skip("; ".join(lines) or "the suite names nothing that reads prompts")
    return "; ".join(lines)


def _read(kind: str, name: str, prompts: Sequence[str]) -> TextsRead | None:
    if kind == "backbone":
        from prefbench.models.backbones.loader import read_prompts

        return read_prompts(name, prompts)
    extractor = load("extractor", name)()
    return extractor.texts_read(prompts) if isinstance(extractor, ReadsTexts) else None
