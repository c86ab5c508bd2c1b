"""From judgments as a table has them to likes and dislikes of pictures: ratings, repetitions, contradictions."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from prefbench.run.columns import check_rows


def with_likes(rows: pd.DataFrame, left_out: dict[str, int], source: Path) -> pd.DataFrame:
    """One row per judgment that says like or dislike, `liked` true or false in each.

    - A rating becomes a like above the user's own median, a dislike below, and neither at it. Of a picture that the
      user rated several times the mean counts. A rating beside a `liked` of its own changes nothing.
    - The two rows of a pair are one liked and one not; a pair of which one picture cannot be read is left out whole.
    - The same judgment twice counts once; where a user likes and dislikes a picture, outside of pairs, neither counts.
    """
    rows = _rated(rows, left_out)
    rows = _paired(rows, left_out, source)
    judged = ["user", "digest", "pair"]
    rows = _kept(rows, ~rows.duplicated([*judged, "liked"]), "repeated", left_out)
    contradicted = (rows["pair"] == "") & rows.duplicated(judged, keep=False)
    return _kept(rows, ~contradicted, "contradict each other", left_out)


def _rated(rows: pd.DataFrame, left_out: dict[str, int]) -> pd.DataFrame:
    rated = rows["liked"].isna()
    if not rated.any():
        return rows.assign(liked=rows["liked"].astype(bool))
    ratings = rows[rated].assign(rating=rows[rated].groupby(["user", "digest"])["rating"].transform("mean"))
    ratings = ratings.drop_duplicates(["user", "digest"])
    medians = ratings.groupby("user")["rating"].transform("median")
    ratings = ratings.assign(liked=ratings["rating"] > medians)
    ratings = _kept(ratings, ratings["rating"] != medians, "rated at the user's own median", left_out)
    return pd.concat([rows[~rated], ratings]).sort_index().astype({"liked": bool})


def _paired(rows: pd.DataFrame, left_out: dict[str, int], source: Path) -> pd.DataFrame:
    paired = rows[rows["pair"] != ""]
    if paired.empty:
        return rows
    groups = paired.groupby(["user", "pair"], sort=False)["liked"]
    sizes, likes = groups.transform("size"), groups.transform("sum")
    wrong = (sizes > 2) | ((sizes == 2) & (likes != 1))
    check_rows(source, wrong, paired["pair"], "a pair is two rows of one user, one liked and one not")
    lone = pd.Series(False, rows.index)
    lone[paired.index[sizes == 1]] = True
    return _kept(rows, ~lone, "of a pair whose other picture is not there", left_out)


def _kept(rows: pd.DataFrame, keep: pd.Series[bool], reason: str, left_out: dict[str, int]) -> pd.DataFrame:
    if not keep.all():
        left_out[reason] = left_out.get(reason, 0) + int((~keep).sum())
    return kept(rows, keep)


def kept(rows: pd.DataFrame, keep: pd.Series[bool]) -> pd.DataFrame:
    """Some of the rows; all of them without a copy, which of a million costs as much as reading them."""
    return rows if keep.all() else rows[keep]
