"""What methods draw for: `prompts.txt`, one prompt a line, or `prompts.csv|jsonl|parquet` with `prompt` and `user`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from prefbench.api import PrefbenchError
from prefbench.files import read_plain
from prefbench.run.columns import check_rows, read_columns

FILES = ("prompts.txt", "prompts.csv", "prompts.jsonl", "prompts.parquet")


def read_prompts(folder: Path) -> Mapping[str, tuple[str, ...]] | None:
    """Prompts by user, those of everybody under the empty name; None where there is no such file.

    A prompt that is there twice for a user counts once.

    Raises:
        PrefbenchError: there are two files, one cannot be read, has no column `prompt`, an empty prompt or none.
    """
    files = [folder / name for name in FILES if (folder / name).exists()]
    if not files:
        return None
    if len(files) > 1:
        raise PrefbenchError(f"{folder} has {' and '.join(path.name for path in files)}: keep one of them")
    table = _lines(files[0]) if files[0].suffix == ".txt" else _table(files[0])
    if table.empty:
        raise PrefbenchError(f"{files[0]} holds no prompt")
    return {str(user): tuple(dict.fromkeys(own)) for user, own in table.groupby("user", sort=False)["prompt"]}


def _lines(path: Path) -> pd.DataFrame:
    try:
        lines = read_plain(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise PrefbenchError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start})") from error
    return pd.DataFrame({"prompt": [line.strip() for line in lines if line.strip()], "user": ""}, dtype="str")


def _table(path: Path) -> pd.DataFrame:
    columns = read_columns(path, ("prompt", "user"))
    if "prompt" not in columns:
        raise PrefbenchError(f"{path} has no column 'prompt' (columns: {', '.join(map(str, columns)) or 'none'})")
    table = columns.reindex(columns=["prompt", "user"], fill_value="")
    table = pd.DataFrame({name: table[name].str.strip() for name in ("prompt", "user")})
    check_rows(path, table["prompt"] == "", table["user"], "there is no prompt")
    return table
