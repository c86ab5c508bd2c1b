"""The suite `picturebook`: the embedded world behind the suite contract."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from PIL import Image

from prefbench.api import (
    SPLITS,
    Case,
    History,
    Picture,
    PrefbenchError,
    Reference,
    Split,
    Suite,
    SuiteCard,
    TrainUser,
    User,
    Viewer,
)
from prefbench.api.near import unknown
from prefbench.suites.picturebook.data.drawn import drawn_digest
from prefbench.suites.picturebook.data.kept_digest import kept_digest
from prefbench.suites.picturebook.data.train_users import judgment, train_users
from prefbench.suites.picturebook.truth import PicturebookTruth
from prefbench.suites.picturebook.users.population import MAX_HISTORY, SEED, JudgedScene, SimulatedUser, population
from prefbench.suites.picturebook.users.references import Shown, in_liked_styles, in_the_crowds_style
from prefbench.suites.picturebook.users.shares import crowd_gain, judging, pair_accuracy
from prefbench.suites.picturebook.users.worlds import FIRST, WORLDS
from prefbench.suites.picturebook.world.axes import training_contents
from prefbench.suites.picturebook.world.render import VERSION

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


_TOLD: Sequence[Split] = ("val", "test")
"""Whose pairs are told."""
_OTHERS = 200
"""Users whose mean utility stands for what everybody likes."""
_FIRST_VERSION = "1"
"""What the first world's digest says in place of the card's version for good, so that its old results compare."""
_OWN = 0.90
_IMPERSONAL = (0.58, 0.63)
"""How often the own taste, and a scorer that knows nobody, should be right."""


class Picturebook(Suite):
    """1,500 simulated users, and 100 of another prior, of a procedural world of 32x32 pictures.

    Args:
        history: judgments per side that methods see (1 to 16); sparse users show at most two likes and nothing else.
        world: "1" has users of an own taste alone; in "2" users also share a taste, mind defects, and judge in several
            ways.
        population: the seed that users follow from; another one gives as many other users of the same world.
        crowd: share of the common taste in the utility (0 to 1), in place of the world's.
        quality: what a strong defect costs of the utility in the mean over users (0 to 1), in place of the world's.
        noise: how many times less sharply users choose (0.02 or more), in place of the world's.
        silent: share of axes without words in the own part of the utility (0 to 1), in place of the world's.
    """

    card = SuiteCard(
        name="picturebook",
        version="2",
        summary="procedural 32x32 pictures, simulated users with a known utility over worded, semantic and silent axes",
        licence="Apache-2.0",
        backbone="mini-sd",
        metrics=(
            "utility",
            "preference",
            "prompt-fidelity",
            "clip-score",
            "fid",
            "kid",
            "probing",
            "diversity",
            "copy-rate",
        ),
        extractors={
            "fidelity": "mini-clip",
            "text": "mini-clip",
            "similarity": "mini-clip",
            "style": "style-statistics",
            "preference": "mini-dino",
        },
        weights=("reader",),
        kinds={
            "consistent": "one taste, little noise",
            "noisy": "one taste, three times the noise",
            "two tastes": "either of two tastes, whichever the picture fits better",
            "interacting": "one taste with a bonus for one pair of values",
            "sparse": "as consistent, but methods see two likes and no dislikes",
            "subject-bound": "one taste, and another for half of the objects or of the settings",
            "drifting": "a taste that has changed: later judgments count",
            "mainstream": "hardly a taste of an own beside the common one",
        },
    )

    unrecorded: ClassVar[Mapping[str, Any]] = {"world": "1"}
    """Runs that name no world are older than the second."""

    def __init__(
        self,
        *,
        history: int = 8,
        world: Literal["1", "2"] = "2",
        population: int = SEED,
        crowd: float | None = None,
        quality: float | None = None,
        noise: float | None = None,
        silent: float | None = None,
    ) -> None:
        if not 1 <= history <= MAX_HISTORY:
            raise PrefbenchError(f"history must be 1 to {MAX_HISTORY} judgments per side, got {history}")
        if population < 0:
            raise PrefbenchError(f"population must be a seed of 0 or more, got {population}")
        self._shown, self._seed = history, population
        self._version = _FIRST_VERSION if world == "1" else self.card.version
        self._world = WORLDS[world].turned(crowd=crowd, quality=quality, noise=noise, silent=silent)

    @cached_property
    def digest(self) -> str:
        """Covers users, tastes, judgments and cases of the evaluated splits, and the versions of card and renderer."""
        content: dict[str, Any] = {
            "version": self._version,
            "world": VERSION,
            "seed": self._seed,
            "history": self._shown,
        }
        if self._world != FIRST:
            content["dials"] = asdict(self._world)
        if self._world.drawn > 0:
            content["drawn"] = drawn_digest()
        return kept_digest(_sorted_json(content), lambda: _sha256({**content, "users": self._judging()}))

    def _judging(self) -> list[list[Any]]:
        """Who the users of the evaluated splits are, what they judged and what is drawn for them."""
        return [
            [
                user.id,
                user.taste_name,
                [_plain(user, p) for p in ("method", "scorer")],
                [prompt.text for prompt in user.prompts()],
            ]
            for split in ("val", "test", "shifted")
            for user in self._population(split)
        ]

    def users(self, split: Split) -> Sequence[User]:
        return [User(user.id, user.split, user.kind) for user in self._population(split)]

    def history(self, user: str, viewer: Viewer = "method") -> History:
        simulated = self._find(user)
        scenes = simulated.judged(viewer)
        if viewer == "method":
            scenes = scenes.latest(self._shown) if simulated.kind == "drifting" else scenes.earliest(self._shown)
        sides = ((scenes.liked, True), (scenes.disliked, False))
        liked, disliked = (
            tuple(
                judgment(scene, _picture(scene), liked=liked, pair=f"{user}/{viewer}/{i}")
                for i, scene in enumerate(side)
            )
            for side, liked in sides
        )
        return History(user, liked, disliked)

    def cases(self, user: str) -> Sequence[Case]:
        prompts = self._find(user).prompts()
        return [Case(f"{user}/{i}", user, prompt.text) for i, prompt in enumerate(prompts)]

    def references(self, split: Split) -> Sequence[Reference]:
        if self._world.prompted_references:
            return self._drawn_references(split, in_liked_styles)
        return [
            Reference(user.id, entry.scene.content.prompt, _picture(entry))
            for user in self._population(split)
            for entry in user.judged("scorer").liked
        ]

    def crowd_references(self, split: Split) -> Sequence[Reference]:
        if not self._world.prompted_references or self._world.crowd == 0:
            return ()
        return self._drawn_references(split, in_the_crowds_style)

    def _drawn_references(
        self, split: Split, scenes_of: Callable[[SimulatedUser], Iterable[Shown]]
    ) -> Sequence[Reference]:
        shown = ((user.id, *one) for user in self._population(split) for one in scenes_of(user))
        return [Reference(user, prompt.text, _picture(entry)) for user, prompt, entry in shown]

    def train_users(self) -> Sequence[TrainUser]:
        return train_users(self._population("train"))

    def training_prompts(self) -> frozenset[str]:
        return frozenset(content.prompt for content in training_contents())

    @cached_property
    def truth(self) -> PicturebookTruth:
        return PicturebookTruth(self._find, self._scene, self._world)

    def checks(self) -> Mapping[str, Callable[[], str]]:
        if self._world == FIRST:
            return {}
        users = [user for split in _TOLD for user in self._population(split)]
        return {
            "pairs told": partial(self._pairs_told, users),
            "crowd's style": lambda: f"{crowd_gain(users):.3f} of the way from the prior to each user's best",
            "ways to judge": lambda: judging(users),
        }

    def _pairs_told(self, users: Sequence[SimulatedUser]) -> str:
        told = pair_accuracy(users, self._population("train")[:_OTHERS])
        right = f"of {told.pairs} pairs the own taste is right in {told.own:.3f}"
        line = f"{right}, the mean of others in {told.impersonal:.3f} (standard error {told.error:.3f})"
        low, high = _IMPERSONAL[0] - 2 * told.error, _IMPERSONAL[1] + 2 * told.error
        if self._world in WORLDS.values() and not (told.own >= _OWN and low <= told.impersonal <= high):
            meant = f"{_OWN} at least, and {_IMPERSONAL[0]} to {_IMPERSONAL[1]}"
            raise PrefbenchError(f"{line}; {meant}, are what this world is meant to have")
        return line

    def untrained_backbone(self) -> DiffusionPipeline:
        from prefbench.suites.picturebook.miniatures.mini_sd import build_mini_sd

        return build_mini_sd()

    def _scene(self, user: str, digest: str) -> JudgedScene | None:
        """What a picture in the history that methods see of anybody shows: looked for at this user's first."""
        own = self._scenes_of((self._find(user),)) if self._is_user(user) else {}
        if digest in own:
            return own[digest]
        splits = (self._scenes_of(self._population(split)) for split in ("test", "val", "shifted", "train", "scorer"))
        return next((scenes[digest] for scenes in splits if digest in scenes), None)

    @staticmethod
    @lru_cache(maxsize=64)
    def _scenes_of(users: tuple[SimulatedUser, ...]) -> Mapping[str, JudgedScene]:
        histories = (user.judged("method") for user in users)
        return {_picture(e).digest: e for history in histories for e in (*history.liked, *history.disliked)}

    def _is_user(self, name: str) -> bool:
        return any(name in self._users(split) for split in SPLITS if name.startswith(f"{split}-"))

    def _users(self, split: Split) -> Mapping[str, SimulatedUser]:
        return {user.id: user for user in self._population(split)}

    def _population(self, split: Split) -> tuple[SimulatedUser, ...]:
        return population(split, self._world, self._seed)

    def _find(self, user: str) -> SimulatedUser:
        split = next((s for s in SPLITS if user.startswith(f"{s}-")), None)
        users = {} if split is None else self._users(split)
        if user not in users:
            raise PrefbenchError(unknown("user", user, list(users)[:5]))
        return users[user]


def _sorted_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True)


def _sha256(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_sorted_json(content).encode()).hexdigest()


def _plain(user: SimulatedUser, viewer: Viewer) -> list[list[list[int]]]:
    scenes = user.judged(viewer)
    return [[entry.numbers for entry in side] for side in (scenes.liked, scenes.disliked)]


@lru_cache(maxsize=20_000)
def _picture(entry: JudgedScene) -> Picture:
    return Picture.of(Image.fromarray(entry.pixels))
