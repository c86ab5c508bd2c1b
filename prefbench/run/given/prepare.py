"""From a path with finished images to a run that is ready to be stored: its spec, plan, card and coverage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from prefbench.api import SPLITS, Case, History, PrefbenchError, Split, Suite
from prefbench.api.near import unknown
from prefbench.api.reports import Bar, no_bar
from prefbench.api.runs import NO_BACKBONE, NO_DIGEST
from prefbench.registry import load, names
from prefbench.run.folder import RunFolder
from prefbench.run.given.card import GivenCard, read_card
from prefbench.run.given.coverage import Coverage, cover
from prefbench.run.given.layout import CARD, methods_in, read_folder
from prefbench.run.given.names import folder_names
from prefbench.run.given.table import read_images
from prefbench.run.given.targets import Targets
from prefbench.run.plan import Planned, RunSpec, make_plan
from prefbench.run.prepare import (
    Settings,
    cases_of,
    check_data,
    controlled,
    kinds_of_users,
    load_suite,
    suite_name,
)

_BATCH = 32
"""Images that are stored at once."""


@dataclass(frozen=True)
class Data:
    """What a suite asks for with some settings: loaded once for the images of several methods."""

    settings: Settings
    suite: Suite
    draft: RunSpec
    """The spec of a run of it, without method."""
    kinds: Mapping[str, str]
    histories: Mapping[str, History] = field(repr=False)
    cases: Sequence[Case] = field(repr=False)

    def plan(self, spec: RunSpec) -> list[Planned]:
        """The samples in their order."""
        return [planned for batch in make_plan(spec, self.cases, self.histories) for planned in batch]

    @property
    def folders(self) -> Mapping[str, str]:
        """User to the name of the user's folder, of all users of the split."""
        return folder_names(user.id for user in self.suite.users(self.draft.split))

    def under(self, control: str | None) -> Data:
        """The same with the histories that a registered control shows. Raises `PrefbenchError` for another name."""
        if control is None:
            return self
        if control not in names("control"):
            raise PrefbenchError(unknown("control", control, names("control")))
        return replace(self, histories=controlled(control, load("control", control), self.histories))

    @cached_property
    def judged(self) -> frozenset[str]:
        """Digests of the pictures that these users judged, whoever sees the judgments."""
        kept = [self.suite.history(user, "scorer") for user in self.kinds]
        return frozenset(
            judgment.picture.digest
            for history in (*self.histories.values(), *kept)
            for judgment in (*history.liked, *history.disliked)
        )

    def targets(self) -> Targets:
        """What images are expected of."""
        others = {user.id for split in SPLITS for user in self.suite.users(split)} - self.kinds.keys()
        return Targets(self.plan(self.draft), self.draft.samples_per_case, frozenset(others))


@dataclass(frozen=True)
class GivenRun:
    """A run of given images that is ready to be stored."""

    data: Data
    spec: RunSpec
    card: GivenCard
    coverage: Coverage
    plan: Sequence[Planned] = field(repr=False)
    folder: RunFolder = field(repr=False)


def open_data(settings: Settings) -> Data:
    """Loads the suite and plans what it asks for. Raises `PrefbenchError` with one line for any mistake.

    No backbone is looked at: `settings` name a suite, split, users, samples, run seed and folder.
    """
    check_data(settings)
    suite, parameters = load_suite(settings.suite, settings.suite_parameters)
    split = cast("Split", settings.split)
    kinds = kinds_of_users(suite, split, settings.users)
    draft = RunSpec(
        suite=suite_name(settings.suite),
        suite_parameters=parameters,
        suite_digest=suite.digest,
        split=split,
        method="",
        method_version="",
        parameters={},
        control=None,
        backbone=NO_BACKBONE,
        backbone_digest=NO_DIGEST,
        steps=0,
        guidance=0.0,
        dtype="none",
        seed=settings.seed,
        samples_per_case=settings.samples or suite.card.samples_per_case,
        users=settings.users,
        batch=_BATCH,
    )
    return Data(settings, suite, draft, kinds, suite.histories(kinds), cases_of(suite, kinds, split))


def prepare_given(
    data: Data, source: Path, usual: str, name: str | None = None, card: Path | None = None, bar: Bar = no_bar
) -> GivenRun:
    """Reads the images of one method, and plans the run that they are.

    Args:
        data: what the suite asks for.
        source: a table, or a folder of users, as `methods_in` gives them.
        usual: the method's name where neither `name` nor its card says one.
        name: of the method.
        card: its `card.toml`; by default the one in the folder of the images, or beside the table.
        bar: shows how far the reading is.

    Raises:
        PrefbenchError: what cannot be read; the card or the name is wrong.
    """
    own = read_card(card or _card_beside(source), name, usual)
    given = read_folder(source, data.folders) if source.is_dir() else read_images(source)
    data = data.under(own.control)
    coverage = cover(own.shown, data.suite.card.name, given, data.targets(), bar)
    coverage = replace(coverage, copies=sum(one.digest in data.judged for one in coverage.expected))
    spec = replace(data.draft, method=f"images:{own.card.name}", method_version=_version(own, coverage))
    spec = replace(spec, control=own.control)
    folder = RunFolder(data.settings.out / spec.id)
    return GivenRun(data, spec, own, coverage, data.plan(spec), folder)


def only_method(images: Path, folders: Mapping[str, str]) -> tuple[str, Path]:
    """The usual name and the source of the one method of a path. Raises `PrefbenchError` for images of several."""
    methods = methods_in(images, folders)
    if len(methods) > 1:
        raise PrefbenchError(
            f"{images} holds images of {len(methods)} methods ({', '.join(list(methods)[:5])}): "
            "a name, a card and one run are of one method; give its path"
        )
    [found] = methods.items()
    return found


def _card_beside(source: Path) -> Path | None:
    """The card of a folder is in it, that of a table beside it."""
    paths = [source / CARD] if source.is_dir() else [source.with_suffix(".toml"), source.with_name(CARD)]
    return next((path for path in paths if path.exists()), None)


def _version(own: GivenCard, coverage: Coverage) -> str:
    """The card's version, and a digest of the card and of all images: others are another run."""
    content: dict[str, Any] = {**own.described(), "backbone": own.backbone, **({"role": own.role} if own.role else {})}
    digest = hashlib.sha256(json.dumps([content, coverage.digest], sort_keys=True).encode()).hexdigest()
    return f"{own.card.version}+{digest[:12]}"
