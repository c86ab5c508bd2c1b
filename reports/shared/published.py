"""Committed results: where they stand, how they are written and read, and whether a page follows from its data."""

from __future__ import annotations

import json
import re
import shlex
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from prefbench.api import PrefbenchError, Report
from prefbench.files import write_atomic

R = TypeVar("R", bound=Mapping[str, Any])
T = TypeVar("T")
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError)
"""The errors of reading and rendering a file that is damaged or no result at all."""


def results_folder() -> Path:
    """The committed results: `results/` in the root of a clone.

    Raises:
        PrefbenchError: prefbench is an installed wheel, which holds none.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").is_file() or not (root / "results").is_dir():
        raise PrefbenchError("an installed wheel holds no results: name a folder for them, --results FOLDER")
    return root / "results"


def write_json(path: Path, content: Mapping[str, Any], *, sort_keys: bool = False) -> Path:
    """Writes a result whole and returns its path. NaN and infinity are refused."""
    write_atomic(path, json.dumps(content, indent=1, sort_keys=sort_keys, allow_nan=False) + "\n")
    return path


def read_json(paths: Sequence[Path], parse: Callable[[Any], T], what: str) -> list[T]:
    """Every file's content as `parse` makes it. Raises `PrefbenchError` naming the file that is no `what`."""
    contents = []
    for path in sorted(paths):
        try:
            contents.append(parse(json.loads(path.read_text(encoding="utf-8"))))
        except _UNREADABLE as error:
            raise PrefbenchError(f"{path} is no {what} ({type(error).__name__}: {error})") from error
    return contents


def age(versions: Mapping[str, str | None]) -> str:
    """A sentence for the head of a page whose numbers were measured under rules that have changed since; else empty."""
    version = versions.get("prefbench") or ""
    if not version.startswith("0.1."):
        return ""
    return (
        f"Measured with prefbench {version}: intervals, p values, kid, mmd and the pictures that set metrics compare "
        "follow the rules of that version, not those that pages of today explain (CHANGELOG.md, 0.2.0).\n"
    )


def stale(page: Path, text: str) -> list[str]:
    """The names of what is not up to date: the page where it is another text, pictures that it shows and lacks."""
    is_current = page.is_file() and page.read_text(encoding="utf-8") == text
    pictures = [page.parent / name for name in _PICTURE.findall(text)]
    return [page.name] * (not is_current) + [path.name for path in pictures if not path.is_file()]


_PATHS = ("--suite", "--images", "--card", "suite")


def _last(path: str) -> str:
    """A path from its last part on."""
    return path.rstrip("/").rpartition("/")[2] or path


def portable(command: str) -> str:
    """The command without `--out` and the folders of paths: nothing of it belongs to one machine alone.

    Of what may be a name of a hub, `organisation/model`, the folder stays unless the path is absolute or begins with a
    dot; `--suite`, `--images` and `--card` take paths or names without a slash.
    """
    words = [re.sub(r"(^|[=(])(?:[/~]|\.{1,2}/).*/(?=.)", r"\1", word) for word in shlex.split(command)]
    words = [_last(word) if before in _PATHS else word for before, word in zip(["", *words], words, strict=False)]
    words = [f"{o}={_last(v)}" if eq and o in _PATHS else w for w in words for o, eq, v in [w.partition("=")]]
    portable_words = [
        w for i, w in enumerate(words) if w != "--out" and not w.startswith("--out=") and words[i - 1 : i] != ["--out"]
    ]
    return shlex.join(portable_words)


class Published(Report[R]):
    """A report with one page per result: `<stem>.json`, and `<stem>.md` and figures rendered from it and nothing else.

    They stand in the folder of `results/` that the card names.
    """

    @abstractmethod
    def stem(self, result: R) -> str:
        """The name of a result's files."""

    @abstractmethod
    def render(self, result: R) -> str:
        """The page of a stored result; names pictures as `<stem>...png`."""

    @abstractmethod
    def draw(self, result: R, folder: Path) -> Sequence[Path]:
        """Writes the figures of a stored result and returns their paths."""

    def stored(self, result: R) -> R:
        """The result as it is stored: without what belongs to one machine alone."""
        return result

    def publish(self, result: R, results: Path | None = None) -> Sequence[Path]:
        """Writes figures, data and page below `results`."""
        return self.write(result, self._folder(results))

    def write(self, result: R, folder: Path) -> Sequence[Path]:
        """Writes figures, data and page into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        content = self.stored(result)
        page, text = folder / f"{self.stem(content)}.md", self.render(content)
        figures = self.draw(content, folder)
        data = write_json(folder / f"{self.stem(content)}.json", content)
        write_atomic(page, text)
        return [page, data, *figures]

    def stale(self, results: Path | None = None) -> Sequence[str]:
        """The committed pages and figures that are not up to date."""
        folder = self._folder(results)
        return [n for one in self.committed(results) for n in stale(folder / f"{self.stem(one)}.md", self.render(one))]

    def rebuild(self, results: Path | None = None) -> Sequence[Path]:
        """Writes the committed pages and figures again, from the committed data."""
        return [path for one in self.committed(results) for path in self.publish(one, results)]

    def committed(self, results: Path | None = None) -> Sequence[R]:
        """Every committed result. Raises `PrefbenchError` naming the file that cannot be read."""

        def parse(content: R) -> R:
            self.render(content)
            return content

        return read_json(list(self._folder(results).glob("*.json")), parse, f"{self.card.name} report")

    def _folder(self, results: Path | None) -> Path:
        return (results or results_folder()) / self.card.published
