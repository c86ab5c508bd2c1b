"""One user's likes and dislikes, then what each run drew for that user, side by side as one picture.

python examples/side_by_side.py runs/leaderboard --user test-0003 --out docs/images/side-by-side.png
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import matplotlib
import matplotlib.pyplot as plt
from PIL import Image

import prefbench
from prefbench.api import Judgment
from prefbench.run.folder import RunFolder
from prefbench.run.prepare import load_suite

METHODS = ("prompt-only", "attribute-rewrite", "ours", "inferred")
COLUMNS = 5


@click.command()
@click.argument("runs", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--user", default="test-0003", show_default=True)
@click.option("--methods", default=",".join(METHODS), show_default=True)
@click.option("--out", default=Path("side-by-side.png"), type=click.Path(path_type=Path), show_default=True)
def main(runs: Path, user: str, methods: str, out: Path) -> None:
    """Draws the runs of METHODS below the folder RUNS for one user of picturebook."""
    suite, _ = load_suite("picturebook")
    history = suite.history(user)
    rows = [("liked", _judged(history.liked)), ("disliked", _judged(history.disliked))]
    rows += [(method, _drawn(runs, method, user)) for method in methods.split(",")]
    out.parent.mkdir(parents=True, exist_ok=True)
    draw(rows, out)
    click.echo(out)


def _judged(judgments: Sequence[Judgment]) -> list[tuple[str, Image.Image]]:
    """The first judged pictures with their prompts."""
    return [(judgment.prompt, judgment.picture.load()) for judgment in judgments[:COLUMNS]]


def _drawn(runs: Path, method: str, user: str) -> list[tuple[str, Image.Image]]:
    """The first sample of each case of a user, from the plain run of a method."""
    (path,) = [p for p in runs.iterdir() if (p / "run.json").is_file() and _is_plain(p, method)]
    folder, samples = RunFolder(path), prefbench.load(path).samples()
    chosen = samples[(samples["user"] == user) & (samples["index"] == 0)].head(COLUMNS)
    return [(str(row.prompt), folder.image(str(row.image))) for row in chosen.itertuples()]


def _is_plain(path: Path, method: str) -> bool:
    """Whether a run folder is of the method without a control."""
    run = prefbench.load(path)
    return run.method == method and run.spec["control"] is None


def draw(rows: Sequence[tuple[str, Sequence[tuple[str, Image.Image]]]], path: Path) -> None:
    """Writes one line of pictures per row, each picture above its prompt."""
    matplotlib.use("agg")
    figure, axes = plt.subplots(len(rows), COLUMNS, figsize=(8.4, 1.75 * len(rows)), squeeze=False)
    for line, (title, pictures) in zip(axes, rows, strict=True):
        line[0].text(-0.12, 0.5, title, transform=line[0].transAxes, ha="right", va="center", fontsize=11)
        for axis in line:
            axis.set_axis_off()
        for axis, (prompt, picture) in zip(line, pictures, strict=False):
            axis.imshow(picture, interpolation="nearest")
            axis.set_title(prompt.replace(", ", ",\n"), y=0, pad=-6, verticalalignment="top", fontsize=7)
    figure.subplots_adjust(left=0.18, right=0.99, top=0.99, bottom=0.04, hspace=0.32, wspace=0.05)
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
