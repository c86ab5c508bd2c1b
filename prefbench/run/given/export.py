"""What to draw, for methods that run elsewhere: cases, histories as folders of pictures, and how to hand images back.

It holds what a method sees here and nothing else: of a user's judgments the methods' part, of a case its prompt and
the picture to redraw.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any, Literal, get_args

from prefbench.api import Case, History, Judgment, Picture, PrefbenchError, encode_png
from prefbench.api.reports import Bar, no_bar
from prefbench.files import write_atomic
from prefbench.run.given.layout import CARD
from prefbench.run.given.prepare import Data
from prefbench.run.plan import Planned

Form = Literal["csv", "jsonl"]
HISTORIES, CONTENTS, README = "histories", "contents", "README.md"
_COLUMNS = ("user", "case", "prompt", "sample", "seed", "image")
_CONTENT = "content"
_JUDGED = ("file_name", "user", "liked", "prompt", "pair", "rating", "comment", "source")


@dataclass(frozen=True)
class Exported:
    """What was written."""

    users: int
    images: int
    """Images to draw."""
    pictures: int
    """Judged pictures in the histories."""


def export_cases(
    data: Data, folder: Path, bar: Bar = no_bar, *, form: Form = "csv", control: str | None = None
) -> Exported:
    """Writes what a suite asks for into a folder: `cases.csv` or `cases.jsonl`, `histories/` and `README.md`; under a
    control also `card.toml`, without which what is drawn would count as a method of its own.

    Each history is `histories/<user>/liked/` and `disliked/`, with all judgments in `histories/metadata.csv`, so that
    it is a folder of judged pictures itself. Pictures to redraw are in `contents/`, each once, and the column `content`
    names them. The table of cases comes last: with it an export is whole.

    Args:
        control: a registered control, which changes the histories: `other-user` gives each user another one's.

    Raises:
        PrefbenchError: the folder holds an export, a picture of a history or to redraw cannot be read, or the disk is
            full.
    """
    tables = [folder / f"cases.{one}" for one in get_args(Form)]
    if present := [path for path in tables if path.exists()]:
        raise PrefbenchError(f"{present[0]} exists already: name another folder, or delete this one")
    data = data.under(control)
    names, places = data.folders, data.targets().by_place
    contents = _contents(planned.case for planned in places.values())
    files = {content.digest: f"{CONTENTS}/{n:03d}.png" for n, content in enumerate(contents)}
    rows = [_case(place, planned, names, files) for place, planned in places.items()]
    judged: list[dict[str, Any]] = []
    with bar("write histories", sum(map(len, data.histories.values())), "img") as advance:
        for user, history in data.histories.items():
            judged += _write_history(folder, names[user], history)
            advance(len(history))
    for content in contents:
        write_atomic(folder / files[content.digest], encode_png(content.load()), inside=folder)
    _write(folder, f"{HISTORIES}/metadata.csv", _table(_JUDGED, judged))
    if control is not None:
        _write(folder, CARD, _card(control))
    _write(folder, README, _readme(data, f"cases.{form}", control, redrawn=bool(files)))
    lines = (f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    columns = (*_COLUMNS, *[_CONTENT] * bool(files))
    _write(folder, f"cases.{form}", _table(columns, rows) if form == "csv" else "".join(lines))
    return Exported(len(data.histories), len(rows), len(judged))


def command_again(data: Data, images: str, suite: str, card: Path | None = None) -> str:
    """The command that hands in what was drawn.

    Args:
        images: a word for the folder of the images.
        suite: as it is named.
        card: the one of an export under a control, which names the method.
    """
    named = '--name "my method"' if card is None else f"--card {quote(str(card))}"
    return f"prefbench score --images {images} --suite {quote(suite)} {named}{options_again(data)}"


def options_again(data: Data) -> str:
    """The options that must be given again, where they differ from the defaults."""
    draft = data.draft
    given = {"split": draft.split, "users": draft.users, "samples": draft.samples_per_case, "seed": draft.seed}
    usual = {"split": "test", "users": None, "samples": data.suite.card.samples_per_case, "seed": 0}
    own = [f" --{name} {value}" for name, value in given.items() if value != usual[name]]
    parameters = data.settings.suite_parameters
    pairs = [f"{name}={value}" for name, value in parameters.items()] if isinstance(parameters, Mapping) else parameters
    return "".join([*own, *(f" -s {quote(pair)}" for pair in pairs)])


def _contents(cases: Iterable[Case]) -> list[Picture]:
    """The pictures to redraw, each once; their files have numbers for names, since a name may tell who liked what."""
    return list({case.content.digest: case.content for case in cases if case.content is not None}.values())


def _case(
    place: tuple[str, int, int], planned: Planned, names: Mapping[str, str], files: Mapping[str, str]
) -> dict[str, Any]:
    user, case, sample = place
    image, content = f"{names[user]}/{case}-{sample}.png", planned.case.content
    row = {"user": user, "case": case, "prompt": planned.case.prompt, "sample": sample, "seed": planned.seed}
    return {**row, "image": image, **({_CONTENT: files[content.digest] if content else ""} if files else {})}


def _write_history(folder: Path, name: str, history: History) -> list[dict[str, Any]]:
    """Writes the pictures of one history, numbered in its order; the rows of its judgments."""
    rows = []
    for side, judgments in (("liked", history.liked), ("disliked", history.disliked)):
        for n, judgment in enumerate(judgments):
            file = f"{name}/{side}/{n:03d}.png"
            write_atomic(folder / HISTORIES / file, encode_png(judgment.picture.load()), inside=folder)
            rows.append({"file_name": file, "user": history.user, **_judged(judgment)})
    return rows


def _judged(judgment: Judgment) -> dict[str, Any]:
    """What a method sees of a judgment beside its picture."""
    optional = {name: getattr(judgment, name) for name in ("pair", "rating", "comment", "source")}
    liked = "true" if judgment.liked else "false"
    return {"liked": liked, "prompt": judgment.prompt, **{name: "" if v is None else v for name, v in optional.items()}}


def _table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _write(folder: Path, name: str, text: str) -> None:
    write_atomic(folder / name, text, inside=folder)


def _readme(data: Data, cases: str, control: str | None, *, redrawn: bool) -> str:
    """What to draw, what to save, what to do with it."""
    command = command_again(data, "drawn", _suite(data), None if control is None else Path(CARD))
    seen = f"`prompt`, the picture to redraw in its column `{_CONTENT}`," if redrawn else "`prompt`"
    lines = [
        f"Draw one picture for each row of `{cases}`, from its {seen} and `seed`, to the taste of its `user`, whose "
        f"likes and dislikes are in `{HISTORIES}/`.",
        "Save each under the name in its column `image`, `<user>/<case>-<n>.png`, in one folder, `drawn`.",
        *_of_control(control),
        f"Hand them back: `{command}`.",
    ]
    return "\n".join(f"{n}. {line}" for n, line in enumerate(lines, 1)) + "\n"


def _of_control(control: str | None) -> list[str]:
    """What to do with images that were drawn under a control."""
    if control is None:
        return []
    return [
        f"The histories are those that the control `{control}` shows, under the users' own names: draw with the same "
        f"method as without it. Say in `{CARD}` the method's `name` and the `backbone` that drew, both as on the card "
        "of the images without the control, and leave the rest."
    ]


def _card(control: str) -> str:
    """The card of what is drawn under a control. A backbone must be written into it before it is accepted."""
    lines = (
        ("name", "my method", "that of the images without the control"),
        ("backbone", "", "what draws, in the words of the card of the images without the control"),
        ("control", control, "leave this: the histories of the export are those that it shows"),
    )
    entries = [(f"{name} = {json.dumps(value)}", said) for name, value, said in lines]
    return "".join(f"{entry:<24} # {said}\n" for entry, said in entries)


def _suite(data: Data) -> str:
    """The suite as it is named again; of a path its last part, since where it lies is nobody's business."""
    return data.draft.suite.partition("+")[0].rstrip("/")
