"""Attackers: each does what its card says, by another route to the same pixels; what they pick by is on record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from prefbench.api import (
    Backbone,
    Case,
    Context,
    History,
    Judgment,
    Method,
    Picture,
    PrefbenchError,
    Request,
    Scorer,
    TrainUser,
    to_pixels,
)
from prefbench.cli.main import main
from prefbench.methods.attacks.best_of_n import BestOfN
from prefbench.methods.attacks.copy_crop import CopyCrop
from prefbench.methods.attacks.copy_flip import CopyFlip
from prefbench.methods.attacks.copy_liked import CopyLiked
from prefbench.methods.attacks.liked_image import LikedImageAttack
from prefbench.methods.attacks.mean_of_likes import MeanOfLikes
from prefbench.methods.attacks.popular_style import PopularStyle
from prefbench.methods.attacks.style_clone import StyleClone
from prefbench.methods.prompt_only import PromptOnly
from prefbench.methods.shared.candidates import candidate_seeds
from prefbench.methods.shared.phrases import popular_phrases
from prefbench.models.backbones.loader import load_backbone
from prefbench.registry import load, names
from prefbench.run.folder import RunFolder
from prefbench.run.opaque import OpaqueNames
from prefbench.run.set_up import context_of
from tests.support.brightest import Brightest
from tests.support.tiny_suite import TinySuite, history, train_user

SUPPORT = Path(__file__).parents[1] / "support"
SIDE = 32
SEEDS = (3, 10**18 + 1, 7)


@pytest.fixture(scope="module")
def backbone(tiny_sd: Path) -> Backbone:
    return load_backbone(str(tiny_sd), device="cpu", steps=1)


def picture(seed: int, side: int = SIDE) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3))
    return Picture.of(Image.fromarray(pixels.astype(np.uint8)))


def likes(n: int = 3) -> History:
    return History("test-0", tuple(Judgment(picture(i), f"prompt {i}", True) for i in range(n)), ())


def drawn(method: Method, backbone: Backbone, shown: History) -> list[np.ndarray]:
    method.setup(Context(backbone))
    return [to_pixels(drawing.image) for drawing in method.generate(requests(method, shown))]


def requests(method: Method, shown: History, prompt: str = "a fox") -> list[Request]:
    profile = method.profile(shown)
    return [Request(Case("c", shown.user, prompt), i, seed, profile) for i, seed in enumerate(SEEDS)]


def originals(shown: History) -> list[np.ndarray]:
    """The liked picture behind each sample."""
    return [to_pixels(shown.liked[seed % len(shown.liked)].picture.load()) for seed in SEEDS]


# ----------------------------------------------------------------------------------------------- liked, altered


def test_a_flip_is_the_mirror_image(backbone: Backbone) -> None:
    for made, original in zip(drawn(CopyFlip(), backbone, likes()), originals(likes()), strict=True):
        assert (made == original[:, ::-1]).all()


def test_a_crop_is_what_is_left_without_the_margin(backbone: Backbone) -> None:
    """A margin of two pixels, cut off and scaled back by other calls."""
    for made, original in zip(drawn(CopyCrop(margin=2 / SIDE), backbone, likes()), originals(likes()), strict=True):
        cut = Image.fromarray(original[2:-2, 2:-2]).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        # Beyond its box PIL sees the margin, beyond a cut image nothing: only the edges may differ.
        assert (made[3:-3, 3:-3] == to_pixels(cut)[3:-3, 3:-3]).all()
        assert (made != original).any()


def test_the_mean_is_the_mean_of_all_likes(backbone: Backbone) -> None:
    shown = likes(5)
    stack = [to_pixels(judgment.picture.load()) for judgment in shown.liked]
    for made in drawn(MeanOfLikes(), backbone, shown):
        for y, x, c in [(0, 0, 0), (5, 17, 2), (31, 31, 1), (12, 3, 0)]:
            assert made[y, x, c] == round(sum(int(image[y, x, c]) for image in stack) / 5)


def test_a_clone_holds_the_pieces_of_one_like_elsewhere(backbone: Backbone) -> None:
    def pieces(image: np.ndarray) -> list[bytes]:
        return [image[y : y + 8, x : x + 8].tobytes() for y in range(0, SIDE, 8) for x in range(0, SIDE, 8)]

    for made, original in zip(drawn(StyleClone(), backbone, likes()), originals(likes()), strict=True):
        assert Counter(pieces(made)) == Counter(pieces(original))
        assert sum(a != b for a, b in zip(pieces(made), pieces(original), strict=True)) > 8


@pytest.mark.parametrize("attacker", [CopyLiked, CopyCrop, CopyFlip, MeanOfLikes, StyleClone])
def test_likes_of_any_size_fill_the_frame(attacker: type[LikedImageAttack], backbone: Backbone) -> None:
    for made in drawn(attacker(), backbone, history("test-0", 0, 3)):
        assert made.shape == (SIDE, SIDE, 3)
    with pytest.raises(PrefbenchError, match="test-0 has no liked image to copy"):
        attacker().profile(History("test-0", (), ()))


def test_mistaken_parameters_are_named() -> None:
    for margin in (0.0, 0.5, float("nan")):
        with pytest.raises(PrefbenchError, match=r"margin must be over 0 and under 0\.5"):
            CopyCrop(margin=margin)
    with pytest.raises(PrefbenchError, match="n must be at least 1, got 0"):
        BestOfN(n=0)
    with pytest.raises(PrefbenchError, match="words must be at least 1, got 0"):
        PopularStyle(words=0)


def test_attackers_are_controls() -> None:
    cards = [load("method", name).card for name in names("method")]
    attackers = {card.name for card in cards if card.attack}
    assert attackers >= {"copy", "copy-crop", "copy-flip", "mean-of-likes", "style-clone", "best-of-n", "popular-style"}
    assert all(card.control for card in cards if card.attack)
    assert not attackers & {"ours", "prompt-only", "ideal", "inferred"}


# ----------------------------------------------------------------------------------------------------- best of n


def best_of(n: int, name: str = "Brightest") -> BestOfN:
    return BestOfN(n=n, scorer=f"{SUPPORT / 'brightest.py'}:{name}")


@pytest.mark.slow
def test_the_best_of_all_candidates_is_kept(backbone: Backbone) -> None:
    shown, method = likes(), best_of(4)
    made = drawn(method, backbone, shown)
    for request, image in zip(requests(method, shown), made, strict=True):
        candidates = [
            to_pixels(backbone.generate([request.prompt], [seed])[0]) for seed in candidate_seeds(request.seed, 4)
        ]
        brightest = max(candidates, key=lambda pixels: float(pixels.mean()))
        assert np.abs(image.astype(int) - brightest).mean() < 1
    drawings = method.generate(requests(method, shown))
    assert {drawing.nfe for drawing in drawings} == {4 * backbone.nfe}


def test_the_history_reaches_the_scorer(backbone: Backbone) -> None:
    disliking = History("test-0", (), tuple(replace(j, liked=False) for j in likes().liked))
    light, dark = (drawn(best_of(6), backbone, shown) for shown in (likes(), disliking))
    assert all(a.mean() > b.mean() for a, b in zip(light, dark, strict=True))


def test_one_candidate_is_prompt_only(backbone: Backbone) -> None:
    for one, plain in zip(drawn(best_of(1), backbone, likes()), drawn(PromptOnly(), backbone, likes()), strict=True):
        assert (one == plain).all()
    assert candidate_seeds(5, 1) == [5]
    assert len(set(candidate_seeds(5, 50))) == 50
    assert candidate_seeds(5, 3) == candidate_seeds(5, 50)[:3]


def test_scores_that_are_none_are_refused(backbone: Backbone) -> None:
    with pytest.raises(PrefbenchError, match="scorer brightest gave no number for each image of 'a fox'"):
        drawn(best_of(2, "Undecided"), backbone, likes())


def test_what_is_no_scorer_is_refused(backbone: Backbone) -> None:
    with pytest.raises(PrefbenchError, match=r"is no class derived from prefbench\.api\.Scorer"):
        BestOfN(scorer=f"{SUPPORT / 'tiny_suite.py'}:TinySuite").setup(Context(backbone))


def test_a_run_records_the_scorer_that_picked(tiny_sd: Path, tmp_path: Path) -> None:
    suite = ["--suite", f"{SUPPORT / 'audited_suite.py'}:AuditedSuite", "--backbone", str(tiny_sd), "--device", "cpu"]
    method = ["--method", "best-of-n", "-p", "n=2", "-p", f"scorer={SUPPORT / 'brightest.py'}:Brightest"]
    command = ["run", *method, *suite, "--steps", "1", "--users", "1", "--no-score", "--out", str(tmp_path)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    (path,) = tmp_path.iterdir()
    description = RunFolder(path).read_description()
    assert description["method"]["selected_by"] == ["brightest"]
    assert description["spec"]["method_version"].startswith("1+"), "the scorer's id is in the version"
    assert BestOfN.card.selected_by == (), "the class's card stays as it is"


def test_another_scorer_is_another_version(backbone: Backbone) -> None:
    digests = set()
    for name in ("Brightest", "Undecided"):
        method = best_of(2, name)
        method.setup(Context(backbone))
        digests.add(method.weights_digest)
    assert len(digests) == 2
    assert issubclass(Brightest, Scorer)


# ------------------------------------------------------------------------------------------------- popular style


def told(likes: Sequence[str], dislikes: Sequence[str] = (), *shown: Sequence[str]) -> TrainUser:
    shows = {f"picture {i}": tuple(phrases) for i, phrases in enumerate(shown)}
    return replace(train_user(0, 1), likes=tuple(likes), dislikes=tuple(dislikes), shows=shows)


def test_phrases_are_those_most_users_like() -> None:
    train_users = [
        told(["red", "flat"], ["blue"], ["red", "flat", "small"]),
        told(["red", "small"], ["flat"], ["blue", "flat"]),
        told(["red", "small", "blue"]),
    ]
    assert popular_phrases(train_users, 5) == ["red", "small"], "flat and blue are liked as often as disliked"
    assert popular_phrases(train_users, 1) == ["red"]


def test_two_values_of_one_attribute_are_not_asked_for_together() -> None:
    """Nothing shows red and blue at once; flat goes with both."""
    train_users = [
        told(["red", "blue", "flat"], [], ["red", "flat"], ["blue", "flat"]),
        told(["red", "blue"]),
        told(["red"]),
    ]
    assert popular_phrases(train_users, 3) == ["red", "flat"]


def test_popular_words_stand_in_every_prompt(backbone: Backbone) -> None:
    method = PopularStyle(words=2)
    method.setup(context_of(method, backbone, TinySuite(), OpaqueNames()))
    drawings = method.generate(requests(method, likes()))
    assert [drawing.prompt_used for drawing in drawings] == ["a fox, bright"] * 3, (
        "half like red, half blue, all bright"
    )


def test_a_suite_without_words_is_refused(backbone: Backbone) -> None:
    for context in (Context(backbone), Context(backbone, None, lambda: [replace(train_user(0, words=False))])):
        with pytest.raises(PrefbenchError, match="popular-style needs a suite with words for tastes"):
            PopularStyle().setup(context)


def test_train_users_are_for_controls(backbone: Backbone) -> None:
    honest, control = (
        context_of(method, backbone, TinySuite(), OpaqueNames()) for method in (PromptOnly(), PopularStyle())
    )
    assert honest.train_users is None
    assert honest.truth is None
    assert control.train_users is not None
    assert len(control.train_users()) == 6
