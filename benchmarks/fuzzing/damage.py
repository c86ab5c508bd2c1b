"""Damage to text files of JSON and lines: by a disk, a careless hand, another run, or somebody who means it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.fuzzing.trial import Trial

HOSTILE: tuple[str, ...] = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1", "0", "1.5", "true", "null", '""', '"x"', "[]", "{}", "[[[]]]",
    '{"a":{"b":[1]}}', "1" * 400, "9007199254740993", '"\\u001b[2J"', '"\\ud800"', '"../../etc"',
    '"' + "y" * 5000 + '"',
    "[" * 3000 + "]" * 3000, '"=cmd()"', '"a\\nb"', "-0.0", "1e-320", '"NaN"', '"1"', "[1,2,3]", "2147483648",
    "\"None\"",
)  # fmt: skip
"""JSON, or what some readers take for it."""
_MARK = "\x00mark\x00"


def places(content: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in some plain data, fields and entries alike."""
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [at, *(way for key, value in entries for way in places(value, (*at, key)))]


def edited(trial: Trial, text: str) -> str:
    """JSON with one value replaced, renamed, removed, added or repeated; the text itself where it is no JSON."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return text
    ways = [way for way in places(content) if way]
    if not ways:
        return trial.of(HOSTILE)
    way = trial.of(ways)
    holder = content
    for key in way[:-1]:
        holder = holder[key]
    key, deed = way[-1], trial.of(("retype", "retype", "retype", "remove", "rename", "add", "nudge"))
    if deed == "remove":
        del holder[key]
    elif isinstance(holder, dict) and deed in ("rename", "add"):
        holder[trial.of(("x", "", "Key", "format", "sha256", "n", "\u202e", "key "))] = holder[key]
        if deed == "rename":
            holder.pop(key, None)
    elif deed == "nudge" and isinstance(holder[key], int | float | str):
        holder[key] = holder[key] + ("x" if isinstance(holder[key], str) else 1)
    else:
        holder[key] = _MARK
    return json.dumps(content).replace(json.dumps(_MARK), trial.of(HOSTILE))


def on_lines(trial: Trial, data: bytes, foreign: bytes) -> bytes:
    """Lines that are lost, repeated, moved, joined, edited, or of another run."""
    lines = data.splitlines(keepends=True)
    others = foreign.splitlines(keepends=True)
    if not lines:
        return foreign
    i, j = trial.number(0, len(lines)), trial.number(0, len(lines))
    deed = trial.of(
        ("lose", "repeat", "swap", "join", "edit", "edit", "foreign", "replace", "blank", "reverse", "from")
    )
    if deed == "edit":
        lines[i] = edited(trial, lines[i].decode(errors="replace")).encode(errors="surrogatepass") + b"\n"
    elif deed == "swap":
        lines[i], lines[j] = lines[j], lines[i]
    elif deed == "join":
        lines[i] = lines[i].rstrip(b"\n")
    elif deed in ("foreign", "replace") and others:
        lines[i : i + (deed == "replace")] = [trial.of(others)]
    else:
        some = {"lose": lines[:i] + lines[i + 1 :], "repeat": [*lines, lines[i]], "reverse": lines[::-1]}
        lines = some.get(deed) or {"from": lines[i:]}.get(deed) or [*lines[:i], b"\n", *lines[i:]]
    return b"".join(lines)


def on_bytes(trial: Trial, data: bytes, foreign: bytes) -> bytes:
    """The file cut, emptied, flipped, filled up, re-encoded, or another's."""
    at = trial.number(0, max(1, len(data)))
    deeds: Mapping[str, Callable[[], bytes]] = {
        "cut": lambda: data[:at],
        "empty": lambda: b"",
        "flip": lambda: data[:at] + bytes([trial.number(0, 256)]) + data[at + 1 :],
        "zero": lambda: data[:at] + b"\0" * len(data[at : at + 50]) + data[at + 50 :],
        "insert": lambda: data[:at] + trial.rng.bytes(3) + data[at:],
        "append": lambda: data + trial.of((b"x", b"\n", b"\0" * 99, b"{}\n", b"[]", data, b'{"a": 1}\n', b"\xff")),
        "foreign": lambda: foreign,
        "mark": lambda: b"\xef\xbb\xbf" + data,
        "ends": lambda: data.replace(b"\n", b"\r\n"),
        "wide": lambda: data.decode("latin-1").encode("utf-16"),
        "deep": lambda: b"[" * 100_000 + b"]" * 100_000,
    }
    return deeds[trial.of(tuple(deeds))]()
