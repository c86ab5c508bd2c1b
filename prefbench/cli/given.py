"""`prefbench score --images`: images of one method or of several to runs, and the table of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefbench.api import FailedSamplesError, PrefbenchError, counted
from prefbench.cli.screen import Screen

if TYPE_CHECKING:
    from prefbench.run.given.prepare import Data, GivenRun


class ImagesScreen(Screen):
    """The output of `score --images`."""

    def covered(self, given: GivenRun) -> None:
        """What was found of the images that are expected."""
        self.grids([given.coverage.grid()])

    def stored(self, given: GivenRun, count: int) -> None:
        """How many images were stored now and before, and what nobody said of the method."""
        from prefbench.run.given.store import of_other_images

        there = len(given.coverage.of("found")) - count
        before = f", {there} were there already" if there else ""
        self.line(f"stored {count} of {counted(len(given.plan), 'image')}{before}: {given.folder.path}")
        if given.card.not_stated:
            self.line(f"not stated: {', '.join(given.card.not_stated)}; a card.toml says it")
        for path in of_other_images(given):
            self.line(f"also there: {path}, of the same name with other images or another card")


def score_images(
    images: Sequence[Path],
    metrics: Sequence[str],
    suite: str | None,
    options: Mapping[str, Any],
    screen: ImagesScreen,
    *,
    full: bool,
) -> tuple[list[Any], int]:
    """The rows of all methods, of a dry run what was found of each; and the exit code."""
    from prefbench.cli.options import command_line
    from prefbench.run.given.prepare import open_data
    from prefbench.score.given_images import SETTINGS, given_settings

    chosen = {name: options[name] for name in SETTINGS if name in options}
    data = open_data(given_settings({**chosen, "suite": suite, "command": command_line()}))
    allowed = bool(options.get("allow_missing"))
    given = _prepared(data, images, options.get("name", ()), options.get("card", ()), screen)
    incomplete = any(not one.coverage.complete for one in given)
    if options.get("dry_run"):
        undecided = any(one.coverage.conflicts for one in given)
        return [one.coverage.as_json() for one in given], int(undecided or (incomplete and not allowed))
    rows: list[Any] = []
    code = 0
    for one in given:
        try:
            new, ended = _score(one, metrics, suite, screen, allowed=allowed, full=full)
        except PrefbenchError as error:
            if len(given) == 1 and not isinstance(error, FailedSamplesError):
                raise
            screen.line(f"left out  {str(error).replace('allow_missing', '--allow-missing')}")
            new, ended = [], 1 if isinstance(error, FailedSamplesError) else 2
        rows += new
        code = max(code, ended)
    return rows, code


def _prepared(
    data: Data, images: Sequence[Path], names: Sequence[str], cards: Sequence[Path], screen: ImagesScreen
) -> list[GivenRun]:
    """The runs of all methods, what was found of each shown. Nothing is stored."""
    from prefbench.run.given.layout import methods_in
    from prefbench.run.given.prepare import only_method, prepare_given

    for what, several in (("--name", names), ("--card", cards)):
        if several and len(several) != len(images):
            raise PrefbenchError(f"{what} is given once for each --images: {len(several)} for {len(images)}")
    runs: dict[str, GivenRun] = {}
    for i, path in enumerate(images):
        own = bool(names or cards)
        methods = dict([only_method(path, data.folders)]) if own else methods_in(path, data.folders)
        for usual, source in methods.items():
            name, card = names[i] if names else None, cards[i] if cards else None
            run = prepare_given(data, source, usual, name, card, screen.progress)
            screen.covered(run)
            if (twin := runs.setdefault(run.card.shown, run)) is not run:
                raise PrefbenchError(f"two methods are called {twin.card.shown!r}: name each with --name")
    return list(runs.values())


def _score(
    given: GivenRun, metrics: Sequence[str], suite: str | None, screen: ImagesScreen, *, allowed: bool, full: bool
) -> tuple[list[Any], int]:
    import prefbench
    from prefbench.calls import Run
    from prefbench.cli.outcome import report_run
    from prefbench.score.given_images import store_given

    path = store_given(given, metrics, screen, allow_missing=allowed)
    scored = prefbench.score(Run.open(path), metrics, suite=suite, watch=screen)
    rows = report_run(screen, scored, suite, full=full)
    return rows, 2 if scored.broken else 1 if metrics and scored.refused else 0
