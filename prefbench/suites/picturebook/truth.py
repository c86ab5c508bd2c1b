"""The known truth of picturebook: exact utilities of pictures as the reader sees them, and the best pictures."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prefbench.api import FloatArray, History, Judgment, Pixels, PrefbenchError, Split
from prefbench.api.gradients import Slopes
from prefbench.files import WEIGHTS
from prefbench.suites.picturebook.users.cases import case_prompts
from prefbench.suites.picturebook.users.choices import LIKED_RATINGS, rating_probabilities
from prefbench.suites.picturebook.users.inference import infer
from prefbench.suites.picturebook.users.likelihood import judged_styles
from prefbench.suites.picturebook.users.population import JudgedScene, SimulatedUser
from prefbench.suites.picturebook.users.posterior import Posterior
from prefbench.suites.picturebook.users.utilities import parts_of_utility, utilities
from prefbench.suites.picturebook.users.worlds import FIRST, World
from prefbench.suites.picturebook.world.axes import AXIS, NAMEABLE, STYLE, STYLE_NAMES, Scene, sample_styles
from prefbench.suites.picturebook.world.prompts import Prompt
from prefbench.suites.picturebook.world.render import SIZE, VERSION, render

if TYPE_CHECKING:
    from prefbench.suites.picturebook.reader.panel import Panel

READER = WEIGHTS / "reader"
_COLOURS = ("palette", "temperature")
InferredStyles = Mapping[str, tuple[int, ...]]
"""The best style of a posterior for the prompts that were asked about; under the empty text for any other."""
_LIKED, _DISAGREEMENT = "liked", "disagreement"


class PicturebookTruth:
    """Implements `prefbench.api.Truth`.

    `user_of` finds a simulated user by id; `scene_of` what a picture of a method's history shows, by its digest, first
    among those of a user (`inferred` reasons about styles and not about pixels).
    """

    def __init__(
        self,
        user_of: Callable[[str], SimulatedUser],
        scene_of: Callable[[str, str], JudgedScene | None],
        world: World,
    ) -> None:
        self._user_of, self._scene_of, self._world = user_of, scene_of, world

    @cached_property
    def groups(self) -> Sequence[str]:
        """The parts of utility, but for the first world `liked`, and of several readers `disagreement`.

        The last is the mean total variation between them: a picture that they read differently is not to be trusted
        with any utility.
        """
        liked = () if self._world == FIRST else (_LIKED,)
        unsure = () if len(self._panel.readers) == 1 else (_DISAGREEMENT,)
        return (*parts_of_utility(self._world), *liked, *unsure)

    @cached_property
    def id(self) -> str:
        files = sorted(path for path in READER.iterdir() if path.suffix == ".safetensors" or path.name == "config.json")
        weights = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
        return f"picturebook,world {VERSION},reader {weights[:12]}"

    @cached_property
    def _panel(self) -> Panel:
        from prefbench.suites.picturebook.reader.reader import load_reader

        return load_reader(READER)

    def read(self, pictures: Sequence[Pixels]) -> Mapping[str, FloatArray]:
        """The reader's probabilities (N, values) for every axis. Pictures of another size are reduced by area."""
        return self._panel.read(np.stack([_fit(picture) for picture in pictures]))

    def utility(self, user: str, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Mapping[str, FloatArray]:
        """Expected utility under the reader's probabilities: `total` and one entry for each of `groups`.

        `users.utilities` says what counts. `liked` is no utility: the probability that the picture shows its prompt and
        that the user, asked for a rating of one of this utility, gives 4 or 5.
        """
        whose, asked, read = self._user_of(user), [Prompt.of(prompt) for prompt in prompts], self.read(pictures)
        parts = dict(utilities(whose, asked, read))
        if _LIKED in self.groups:
            rated = rating_probabilities(parts["total"], whose.world.sharpness(whose.kind))
            good = rated[:, np.array(LIKED_RATINGS) - 1].sum(axis=1)
            parts[_LIKED] = good * _shown(asked, read)["total"]
        if _DISAGREEMENT in self.groups:
            parts[_DISAGREEMENT] = self._panel.disagreement(np.stack([_fit(picture) for picture in pictures]))
        return parts

    def utility_slopes(self, user: str, prompts: Sequence[str], pictures: FloatArray) -> Slopes:
        """The total utility, and how it changes with the pixels: `prefbench.api.gradients.SlopedTruth`."""
        from prefbench.suites.picturebook.reader.slopes import expected_slopes

        whose, asked = self._user_of(user), [Prompt.of(prompt) for prompt in prompts]

        def total(read: Mapping[str, FloatArray]) -> FloatArray:
            return utilities(whose, asked * (len(read["object"]) // len(asked)), read)["total"]

        return expected_slopes(self._panel, pictures, total)

    def fidelity(self, prompts: Sequence[str], pictures: Sequence[Pixels]) -> Mapping[str, FloatArray]:
        """The reader's probability of the prompt's object, of its setting, of its word, and of all (`total`).

        `words` is there where some prompt names a word, and NaN for those that name none.
        """
        return _shown([Prompt.of(prompt) for prompt in prompts], self.read(pictures))

    def ideal(self, user: str, prompt: str, seed: int) -> Image.Image:
        """The user's best style for the prompt; axes that the user does not care about follow the world's prior."""
        return self.graded(user, prompt, seed, strength=1.0)

    def graded(self, user: str, prompt: str, seed: int, *, strength: float, recoloured: bool = False) -> Image.Image:
        """Each axis that counts takes the user's best value with probability `strength`, else the world's prior.

        With one seed, an axis that has its best value keeps it at every greater strength. With `recoloured`, palette
        and temperature are then exchanged for other ones, each alike. What the prompt names is drawn at any strength.
        Raises `PrefbenchError` for a strength outside [0, 1].
        """
        if not 0 <= strength <= 1:
            raise PrefbenchError(f"strength must lie in [0, 1], got {strength}")
        asked, rng = Prompt.of(prompt), np.random.default_rng(seed)
        style = sample_styles(rng, 1)[0]
        takes_best = rng.random(len(STYLE_NAMES)) < strength
        for name, value in self._best(user, asked).items():
            column = STYLE_NAMES.index(name)
            style[column] = value if takes_best[column] else style[column]
        for name in _COLOURS if recoloured else ():
            column, n = STYLE_NAMES.index(name), len(AXIS[name])
            style[column] = (style[column] + rng.integers(1, n)) % n
        return _render(asked, style, seed)

    def _best(self, user: str, prompt: Prompt) -> Mapping[str, int]:
        """The user's best values for the prompt, on the axes that count; what the prompt names stays."""
        return self._user_of(user).taste_on(prompt.content).best(prompt.fixed)

    def inferred(self, history: History) -> InferredStyles:
        """The style of highest posterior mean utility given the history, for each prompt of the cases."""
        posterior = self.posterior(history)
        if self._world == FIRST:
            return {"": posterior.best_style()}
        splits: tuple[Split, ...] = ("val", "test")
        prompts = [prompt for split in splits for prompt in case_prompts(split, worded=self._world.worded_prompts)]
        styles = {prompt.text: posterior.best_style(prompt.content, prompt.fixed) for prompt in prompts}
        return {"": posterior.best_style(), **styles}

    def posterior(self, history: History) -> Posterior:
        """The posterior over tastes that the history leaves open."""
        liked, disliked = (
            [self._shown(history.user, judgment) for judgment in side] for side in (history.liked, history.disliked)
        )
        seen = judged_styles(liked, disliked, self._world)
        # The seed of the search follows from what it may use, not from prompts or names.
        seed = zlib.crc32(seen.liked.styles.tobytes() + b"|" + seen.disliked.styles.tobytes())
        return infer(seen, world=self._world, seed=seed)

    def _shown(self, user: str, judgment: Judgment) -> JudgedScene:
        """What a picture of a history shows, rated as the judgment says; controls exchange histories."""
        scene = self._scene_of(user, judgment.picture.digest)
        if scene is None:
            shown = judgment.picture.digest[:12]
            raise PrefbenchError(
                f"a judgment of {user} is not from picturebook: no method history shows picture {shown}"
            )
        return replace(scene, rating=None if judgment.rating is None else round(judgment.rating))

    def render_inferred(self, inferred: InferredStyles, prompt: str, seed: int) -> Image.Image:
        """The prompt's content in an inferred style, with the word that the prompt names."""
        return _render(Prompt.of(prompt), inferred.get(prompt, inferred[""]), seed)

    def inferred_words(self, inferred: InferredStyles, prompt: str) -> str:
        """Words for an inferred style on all axes that have words, but what the prompt says itself."""
        asked = Prompt.of(prompt)
        scene = asked.content.scene(inferred.get(prompt, inferred[""]))
        return ", ".join(scene.phrases([name for name in NAMEABLE if name not in asked.fixed]))

    def words(self, user: str, prompt: str) -> str:
        """Words for the best values on the axes that count and have words, but what the prompt says itself."""
        asked = Prompt.of(prompt)
        best = self._best(user, asked)
        scene = Scene.of(**best)
        return ", ".join(scene.phrases([name for name in NAMEABLE if name in best and name not in asked.fixed]))

    def random_words(self, prompt: str, seed: int) -> str:
        """Words for uniformly random values of one worded axis in two, but for the one that the prompt names."""
        asked, rng = Prompt.of(prompt), np.random.default_rng(seed)
        style = sample_styles(rng, 1, uniform=STYLE_NAMES)[0]
        scene = Scene.of(**{axis.name: int(v) for axis, v in zip(STYLE, style, strict=True)})
        named = [name for name in NAMEABLE if rng.random() < 0.5]
        return ", ".join(scene.phrases([name for name in named if name not in asked.fixed]))


def _shown(asked: Sequence[Prompt], read: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """The probabilities that what was read shows what each prompt names: `PicturebookTruth.fidelity`."""
    rows = np.arange(len(asked))
    objects = read["object"][rows, [prompt.content.object for prompt in asked]]
    settings = read["setting"][rows, [prompt.content.setting for prompt in asked]]
    parts = {"total": objects * settings, "object": objects, "setting": settings}
    if any(prompt.word for prompt in asked):
        words = np.array([read[p.word.axis][i, p.word.value] if p.word else np.nan for i, p in enumerate(asked)])
        parts |= {"total": objects * settings * np.where(np.isnan(words), 1.0, words), "words": words}
    return parts


def _render(prompt: Prompt, style: Sequence[int], seed: int) -> Image.Image:
    """The prompt's content in a style, with the word that the prompt names."""
    return Image.fromarray(render(prompt.content.scene(prompt.styled(style)), seed))


def _fit(picture: Pixels) -> NDArray[np.uint8]:
    if picture.shape == (SIZE, SIZE, 3):
        return picture
    return np.asarray(Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BOX))
