"""How much knowing a person is worth on real people: the figures of `fitted` on a table of choices or of ratings.

    python benchmarks/people.py choices choices.csv -p chosen=chose_left -p prompt=category --result choices.json
    python benchmarks/people.py ratings ratings.csv --showing showing --result ratings.json

The table is converted by the converter of that name. Pictures are divided into five folds; pairs of pictures of one
fold are asked about, and what is learned, across people and from each, is learned from judgments of pictures of other
folds alone: no picture that is asked about was seen with anybody's judgment. Only numbers are written.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from prefbench.api import FloatArray, History, PrefbenchError, Suite
from prefbench.files import write_atomic
from prefbench.metrics.scorers.fitted.scorer import FittedScorer
from prefbench.registry import load
from prefbench.reports.shared.published import portable
from prefbench.run.environment import code_state, versions
from prefbench.score.figures import Interval
from prefbench.score.scorer_answers import Answers, ask, shortened
from prefbench.score.scorer_figures import as_scores, difference_of, figures_of, mean_of
from prefbench.score.scorer_pairs import accuracies, answers
from prefbench.suites.folder.suite import suite_of

FOLDS = 5
PERMUTATIONS = 5
"""Other people whose history each person is given."""
SIZES = (4, 16, 64, 128, 256)
"""Pairs of each prompt, or judgments, that a person's history is cut to."""


@dataclass(frozen=True)
class Fold:
    """The same judgments with the pictures of one fold asked about."""

    suite: Suite
    again: Suite | None
    """What the same people said of the same pictures another time."""


@click.command()
@click.argument("converter")
@click.argument("table", type=click.Path(path_type=Path, exists=True))
@click.option("-p", "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Of the converter.")
@click.option("--showing", help="The column that says which time a picture was judged; the first time is asked about.")
@click.option("--encoder", default="open-nsfw", show_default=True)
@click.option("--division", default=0, show_default=True, help="Another number divides the pictures otherwise.")
@click.option("--source", default="", help="Where the table is from, for the result.")
@click.option("--result", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
def main(
    converter: str,
    table: Path,
    parameters: tuple[str, ...],
    showing: str | None,
    encoder: str,
    division: int,
    source: str,
    result: Path | None,
) -> None:
    """Prints the figures, by size of history and by prompt, and writes them."""
    scorer = FittedScorer(encoder=encoder)
    with tempfile.TemporaryDirectory() as folder:
        parts, shorter = [], []
        for fold in _folds(converter, table, parameters, showing, Path(folder), division):
            parts.append(ask(scorer, fold.suite, permutations=PERMUTATIONS, again=fold.again, sizes=()))
            shorter.append(_by_size(scorer, fold.suite, parts[-1]))
            click.echo(f"fold {len(parts)}: {len(parts[-1].right['own']):,} pairs")
    whole = replace(Answers.joined(parts), sizes={n: np.concatenate([one[n] for one in shorter]) for n in shorter[0]})
    content = _figures(whole, scorer.id, converter)
    for name, figure in content.items():
        click.echo(f"{name}: {_shown(figure)}")
    if result is not None:
        said = [portable(one) for one in parameters]
        about = {"data": source, "converter": converter, "parameters": said, "folds": FOLDS, "division": division}
        stamp = {"code": code_state(), "versions": versions()}
        write_atomic(result, json.dumps({**about, **content, **stamp}, indent=1, default=str) + "\n")


def _folds(
    converter: str, table: Path, parameters: tuple[str, ...], showing: str | None, folder: Path, division: int = 0
) -> Iterator[Fold]:
    """Five suites of one conversion, each with the pictures of another fold asked about."""
    tables = [table] if showing is None else _times(table, showing, folder)
    place = [] if any(one.startswith("pictures=") for one in parameters) else [f"pictures={_pictures(table)}"]
    for n, one in enumerate(tables):
        load("converter", converter).convert(one, folder / f"time-{n}", (*parameters, *place))
    times = [pd.read_parquet(folder / f"time-{n}" / "metadata.parquet") for n in range(len(tables))]
    for fold in range(FOLDS):
        suites = []
        for n, judged in enumerate(times):
            path = folder / f"fold-{fold}-{n}"
            _write_fold(judged, folder / f"time-{n}", path, _fold_of(judged, division) == fold)
            suites.append(suite_of(str(path))())
        yield Fold(suites[0], suites[1] if len(suites) > 1 else None)


def _times(table: Path, showing: str, folder: Path) -> list[Path]:
    """The table cut into the first and the second time that people judged."""
    rows = pd.read_csv(table, dtype=str)
    if showing not in rows:
        raise PrefbenchError(f"{table} has no column {showing!r}; its columns are {', '.join(map(str, rows))}")
    paths = []
    for n, value in enumerate(sorted(rows[showing].unique())[:2]):
        paths.append(folder / f"time-{n}.csv")
        rows[rows[showing] == value].to_csv(paths[-1], index=False)
    return paths


def _pictures(table: Path) -> Path:
    beside = table.resolve().parent / "pictures"
    return beside if beside.is_dir() else table.resolve().parent


def _write_fold(judged: pd.DataFrame, source: Path, folder: Path, asked: pd.Series[bool]) -> None:
    """The judgments whose pictures lie on one side of a fold; the pictures are linked."""
    parts = judged.assign(part=np.where(asked, "method", "scorer"))
    if "pair" in judged and (judged["pair"] != "").any():
        parts = parts[parts.groupby(["user", "pair"])["part"].transform("nunique") == 1]
    for name in parts["file_name"].unique():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(source / name, folder / name)
    parts.to_parquet(folder / "metadata.parquet", index=False)


def _fold_of(judged: pd.DataFrame, division: int) -> pd.Series[int]:
    """The fold of each judgment's picture: as many of each prompt in every fold, in an order of chance."""
    rng = np.random.default_rng(division)
    folds: dict[str, int] = {}
    prompts = judged["prompt"] if "prompt" in judged else pd.Series("", judged.index)
    for _, names in judged.groupby(prompts.fillna(""))["file_name"]:
        every = sorted(set(names) - {*folds})
        folds |= {every[place]: n % FOLDS for n, place in enumerate(rng.permutation(len(every)))}
    return judged["file_name"].map(folds)


def _by_size(scorer: FittedScorer, suite: Suite, asked: Answers) -> dict[int, FloatArray]:
    """Accuracy with histories of so many pairs of each prompt, or judgments."""
    histories = [suite.history(user.user, "scorer") for user in asked.users]
    return {
        size: accuracies(answers(scorer, [_of_each_prompt(h, size) for h in histories], asked.users), asked.users)
        for size in SIZES
    }


def _of_each_prompt(history: History, size: int) -> History:
    prompts = dict.fromkeys(judgment.prompt for judgment in (*history.liked, *history.disliked))
    kept = [
        shortened(
            History(history.user, *(tuple(j for j in side if j.prompt == prompt) for side in _sides(history))), size
        )
        for prompt in prompts
    ]
    return History(history.user, *(tuple(j for one in kept for j in _sides(one)[n]) for n in (0, 1)))


def _sides(history: History) -> tuple[Sequence[Any], Sequence[Any]]:
    return history.liked, history.disliked


def _figures(whole: Answers, scorer: str, suite: str) -> dict[str, Any]:
    figures = figures_of(whole, scorer=scorer, suite=suite)
    scores = {name: as_scores(values, whole.users) for name, values in whole.right.items()}
    own, others = scores["own"], scores["population"]
    people = np.unique(own.users)
    gains = np.array([(own.values - others.values)[own.users == person].mean() for person in people])
    return {
        **figures.to_json(),
        "permuted_people": asdict(difference_of(scores["mismatched"], scores["permuted"])),
        "people_above_population": int((gains > 0).sum()),
        "pairs_a_person": float(len(own) / len(people)),
        "by_prompt": {
            str(prompt): {name: asdict(_mean(one, own.prompts == prompt)) for name, one in scores.items()}
            for prompt in np.unique(own.prompts)
        },
    }


def _mean(scores: Any, rows: Any) -> Interval:
    values = scores.values[rows]
    return Interval(None, None, None) if np.isnan(values).all() else mean_of(scores.select(rows))


def _shown(figure: Any) -> str:
    if isinstance(figure, dict) and {*figure} == {"value", "low", "high"} and figure["value"] is not None:
        return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
    return json.dumps(figure, default=str)[:3000]


if __name__ == "__main__":
    main()
