"""Pictures redrawn for real people: is what a method draws for a person better for them than what others would get?

    OMP_NUM_THREADS=1 python benchmarks/people_styles.py choices.csv --result benchmarks/results/people-styles.json

`choices.csv` has the columns user, category, left, right, chose_left, with its pictures in `pictures/` beside it (the
data of GitHub `Loni0111/preference_study`). The data are not the project's: nothing of them is kept but the numbers.

Half of the judgments are for the methods, the others, of other pictures, for the judge; both halves are the suite's.
Photographs that nobody of either half judged are redrawn for every person. The judge is the scorer `fitted` on
`open-nsfw`, which no method sees, one model a person and category, with the taste of all others as its prior; the
methods see styles alone. Utilities are in standard deviations over the pictures of the category that the person judged
for the judge (z). A run that is there already is not drawn again.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import pandas as pd
from scipy.special import logit

from prefbench.api import FloatArray, History, Pixels, PrefbenchError, Scores, Suite, to_pixels
from prefbench.files import write_atomic
from prefbench.methods.style_transfer.fitted_style import FittedStyle
from prefbench.methods.style_transfer.taste import fit_taste, scale_of
from prefbench.registry import load, make
from prefbench.run.environment import code_state, versions
from prefbench.run.execute import execute
from prefbench.run.prepare import Prepared, Settings, load_suite, prepare
from prefbench.stats.paired import paired_difference

CATEGORIES = ("flowers", "houses")
"""The photographs; the paintings of the data are judged and not redrawn."""
PERSONAL = ("nearest-like", "fitted-style")
CONTROLS = (None, "other-user", "flipped")
NOT_OURS = "the choices and pictures are not the project's: numbers alone may be kept of them"


class Drawn(NamedTuple):
    """What was drawn under one name."""

    method: str
    control: str | None

    @property
    def label(self) -> str:
        """As tables name it."""
        return self.method if self.control is None else f"{self.method} ({self.control})"


PLAIN, CROWD, COPY = Drawn("plain-style", None), Drawn("crowd-style", None), Drawn("copy", None)
DRAWN = (PLAIN, CROWD, COPY, *(Drawn(m, c) for m in PERSONAL for c in CONTROLS))


@dataclass(frozen=True)
class Judged:
    """The utilities of what was drawn.

    Attributes:
        values: by label (judges, people, contents): under the taste of each person what was drawn for each, in standard
            deviations.
        people, contents: the rows and columns; judges are the people again.
    """

    values: Mapping[str, FloatArray]
    people: Sequence[str]
    contents: Sequence[str]

    def own(self, label: str) -> FloatArray:
        """What was drawn for each person under their own taste (people, contents)."""
        return np.diagonal(self.values[label]).T

    def gain(self, label: str) -> FloatArray:
        """Under their own taste minus the mean under everybody else's, the same drawings (people, contents)."""
        others = (self.values[label].sum(axis=0) - self.own(label)) / (len(self.people) - 1)
        return self.own(label) - others


@click.command()
@click.argument("choices", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs/people-styles"), show_default=True)
@click.option("--contents", default=8, show_default=True, help="Photographs of each category that are redrawn.")
@click.option("--seed", default=0, show_default=True, help="Of the photographs.")
@click.option("--result", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
def main(choices: Path, out: Path, contents: int, seed: int, result: Path | None) -> None:
    """Redraws photographs for everybody in CHOICES with all methods and controls, and compares them."""
    click.echo(NOT_OURS)
    folder = out / "people"
    if not (folder / "prompts.csv").is_file():
        _convert(choices, folder, contents, seed)
    suite = load_suite(str(folder))[0]
    runs = {one: _draw(one, folder, out / "runs") for one in DRAWN}
    judged = _judge(suite, {one.label: run for one, run in runs.items()})
    rows = [_contrast(judged, *pair) for pair in _pairs()]
    for row in rows:
        click.echo(_line(row))
    content = _content(suite, judged, runs, rows) | {"contents": contents * len(CATEGORIES), "seed": seed}
    for label, gain in content["personal_gain"].items():
        click.echo(
            f"{label}, own minus others' taste: z {gain['value']:+.2f} [{gain['low']:+.2f}, {gain['high']:+.2f}]"
        )
    if result is not None:
        write_atomic(result, json.dumps(content, indent=1) + "\n")


def _convert(choices: Path, folder: Path, contents: int, seed: int) -> None:
    """The choices as a suite whose cases are photographs to redraw; the suite sees nobody's judgment of these."""
    if not (folder / "metadata.parquet").is_file():
        load("converter", "choices").convert(choices, folder, ["chosen=chose_left", "prompt=category"])
    table = pd.read_parquet(folder / "metadata.parquet")
    rng = np.random.default_rng(seed)
    rows = [("prompt", "content")]
    for category in CATEGORIES:
        names = sorted(table["file_name"][table["prompt"] == category].unique())
        if len(names) < contents:
            raise PrefbenchError(f"{choices} has {len(names)} pictures of {category}, {contents} are asked for")
        rows += [(f"{category} {n}", name) for n, name in enumerate(rng.choice(names, contents, replace=False), 1)]
    temporary = folder / "prompts.csv.part"
    with temporary.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    temporary.replace(folder / "prompts.csv")


def _draw(one: Drawn, folder: Path, out: Path) -> Prepared:
    settings = Settings(
        one.method, suite=str(folder), backbone="magenta", control=one.control, samples=1, device="cpu", out=out
    )
    prepared = prepare(settings)
    outcome = execute(prepared)
    click.echo(f"{one.label}: {outcome.planned} pictures, {outcome.drawn} drawn now, {outcome.failed} failed")
    if outcome.failed:
        raise PrefbenchError(f"{prepared.folder.path}: {outcome.failed} pictures were not drawn")
    return prepared


def _judge(suite: Suite, runs: Mapping[str, Prepared]) -> Judged:
    """Each drawing under the taste of every person."""
    people = [user.id for user in suite.users("test")]
    prompts = [case.prompt for case in suite.cases(people[0])]
    histories = {person: suite.history(person, "scorer") for person in people}
    judge = make("scorer", "fitted")
    judge.fit(histories)
    pictures = {label: _pictures(prepared) for label, prepared in runs.items()}
    values = {label: np.full((len(people), len(people), len(prompts)), np.nan) for label in runs}
    categories = [prompt.partition(" ")[0] for prompt in prompts] * len(people)
    for i, person in enumerate(people):
        scale = {category: _spread(judge, histories[person], category) for category in CATEGORIES}
        for label, drawn in pictures.items():
            each = [drawn[user, prompt] for user in people for prompt in prompts]
            utilities = logit(judge.score(histories[person], categories, each))
            values[label][i] = (utilities / [scale[category] for category in categories]).reshape(len(people), -1)
    return Judged(values, people, prompts)


def _pictures(prepared: Prepared) -> dict[tuple[str, str], Pixels]:
    rows = prepared.folder.samples().values()
    return {(row.user, row.prompt): to_pixels(prepared.folder.image(row.image)) for row in rows if row.image}


def _spread(judge: Any, history: History, category: str) -> float:
    """The standard deviation of a person's utility over the pictures of a category that they judged for the judge."""
    own = {j.picture.digest: j.picture for j in (*history.liked, *history.disliked) if j.prompt == category}
    pictures = [to_pixels(picture.load()) for picture in own.values()]
    return float(np.std(logit(judge.score(history, [category] * len(pictures), pictures))))


def _pairs() -> list[tuple[str, str]]:
    """What is compared with what."""
    against = [(Drawn(m, None), [*(Drawn(m, c) for c in CONTROLS[1:]), CROWD, PLAIN, COPY]) for m in PERSONAL]
    pairs = [(own.label, other.label) for own, others in against for other in others]
    return [*pairs, (CROWD.label, PLAIN.label), (COPY.label, PLAIN.label)]


def _contrast(judged: Judged, first: str, second: str) -> dict[str, Any]:
    """The mean difference in z and the share of contents on which the first is better, with intervals over people."""
    gains = judged.own(first) - judged.own(second)
    wins = (gains > 0) + (gains == 0) / 2
    of_category = np.array([prompt.partition(" ")[0] for prompt in judged.contents])
    parts = {category: float(gains[:, of_category == category].mean()) for category in CATEGORIES}
    return {
        "first": first,
        "second": second,
        "z": _over_people(judged.people, gains.mean(axis=1), 0.0),
        "win_rate": _over_people(judged.people, wins.mean(axis=1), 0.5),
        "z_by_category": parts,
        "people_above_0": int((gains.mean(axis=1) > 0).sum()),
    }


def _over_people(people: Sequence[str], values: FloatArray, chance: float) -> dict[str, Any]:
    """The mean over people with its interval by the rule of all paired differences; `p` is of `chance`."""
    names, prompts = np.array(people), np.full(len(people), "all")
    difference = paired_difference(Scores(values, names, prompts), Scores(np.full(len(values), chance), names, prompts))
    estimate = difference.estimate
    ends = [None if end is None else end + chance for end in (estimate.value, estimate.low, estimate.high)]
    return dict(zip(("value", "low", "high"), ends, strict=True)) | {"p": difference.p_value, "n": estimate.n_users}


def _line(row: Mapping[str, Any]) -> str:
    z, wins, people = row["z"], row["win_rate"], f"{row['people_above_0']} of {row['z']['n']} people"
    return (
        f"{row['first']} - {row['second']}: z {z['value']:+.2f} [{z['low']:+.2f}, {z['high']:+.2f}] ({people}), "
        f"better on {wins['value']:.0%} [{wins['low']:.0%}, {wins['high']:.0%}]"
    )


def _foretold(suite: Suite, method: FittedStyle, precision: float = 3.0) -> dict[str, Any]:
    """The share of a person's choices that `fitted-style`'s model foretells where it saw neither picture.

    In the methods' half, five folds of pictures: by the person's own choices, the next person's, and all others'.
    """
    chosen = {user.id: _chosen(suite.history(user.id)) for user in suite.users("test")}
    people, rng = list(chosen), np.random.default_rng(0)
    judged = {
        j.picture.digest: j for person in people for j in suite.history(person).liked + suite.history(person).disliked
    }
    styles = dict(zip(judged, method.styles_of(judged.values()), strict=True))
    fold, scale = {digest: rng.integers(5) for digest in sorted(judged)}, scale_of(np.stack(list(styles.values())))
    width = len(next(iter(styles.values())))
    hits: dict[str, list[float]] = {"own": [], "next person": [], "all others": []}
    for i, person in enumerate(people):
        sources = {
            "own": [person],
            "next person": [people[(i + 1) % len(people)]],
            "all others": [*people[:i], *people[i + 1 :]],
        }
        for whose, members in sources.items():
            right = []
            for held_out in range(5):
                test = [pair for pair in chosen[person] if fold[pair[0]] == held_out]
                seen = {digest for pair in test for digest in pair}
                learned = [pair for one in members for pair in chosen[one] if not seen & {*pair}]
                rows, asked = (
                    np.array([styles[a] - styles[b] for a, b in pairs]).reshape(len(pairs), width)
                    for pairs in (learned, test)
                )
                right += list(asked @ fit_taste(rows, precision=precision * scale) > 0)
            hits[whose].append(float(np.mean(right)))
    return {whose: _over_people(people, np.array(values), 0.5) for whose, values in hits.items()}


def _chosen(history: History) -> list[tuple[str, str]]:
    """The chosen picture and the other one of each pair, by their digests."""
    others = {judgment.pair: judgment.picture.digest for judgment in history.disliked}
    return [(judgment.picture.digest, others[judgment.pair]) for judgment in history.liked if judgment.pair in others]


def _content(
    suite: Suite, judged: Judged, runs: Mapping[Drawn, Prepared], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    history = suite.history(judged.people[0])
    prepared = runs[PLAIN]
    return {
        "data": f"GitHub Loni0111/preference_study; {NOT_OURS}",
        "people": len(judged.people),
        "judgments_a_person": {viewer: len(suite.history(judged.people[0], viewer)) for viewer in ("method", "scorer")},
        "pairs_for_methods": len(history.liked),
        "suite_digest": suite.digest,
        "backbone": {"name": prepared.backbone.card.name, "digest": prepared.backbone.digest},
        "judge": make("scorer", "fitted").id,
        "mean_z": {label: float(judged.own(label).mean()) for label in judged.values},
        "personal_gain": {
            label: _over_people(judged.people, judged.gain(label).mean(axis=1), 0.0) for label in judged.values
        },
        "foretold": _foretold(suite, runs[Drawn("fitted-style", None)].method),
        "contrasts": list(rows),
        "code": code_state(),
        "versions": versions(),
    }


if __name__ == "__main__":
    main()
