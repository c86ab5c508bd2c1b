"""What the truth of picturebook says where prompts name a word, tastes depend on subjects, and defects count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from prefbench.api import FloatArray, Pixels, to_pixels
from prefbench.suites.picturebook import truth
from prefbench.suites.picturebook.suite import Picturebook
from prefbench.suites.picturebook.users.choices import rate
from prefbench.suites.picturebook.users.population import SimulatedUser, population
from prefbench.suites.picturebook.users.quality import expected_severity
from prefbench.suites.picturebook.users.taste import TASTE_GROUPS, Taste, common_taste
from prefbench.suites.picturebook.users.utilities import parts_of_utility, utilities
from prefbench.suites.picturebook.users.worlds import FIRST, SECOND
from prefbench.suites.picturebook.world.axes import (
    AXES,
    AXIS,
    CONTENTS,
    NAMEABLE,
    STYLE_NAMES,
    Content,
    IntArray,
    Scene,
    held_out_contents,
    sample_styles,
)
from prefbench.suites.picturebook.world.defects import DEFECTS
from prefbench.suites.picturebook.world.prompts import Prompt, Word
from prefbench.suites.picturebook.world.render import render

USERS = population("val", SECOND)
CAT = CONTENTS[18]
STYLES = sample_styles(np.random.default_rng(1), 40, uniform=STYLE_NAMES)


@pytest.fixture(scope="module")
def second() -> Picturebook:
    return Picturebook(world="2")


def of_kind(kind: str) -> list[SimulatedUser]:
    return [user for user in USERS if user.kind == kind]


def every_style() -> IntArray:
    """All styles that there are, (N, 9)."""
    return np.stack(np.meshgrid(*[np.arange(len(AXIS[n])) for n in STYLE_NAMES], indexing="ij"), -1).reshape(-1, 9)


def reading(contents: Sequence[Content], styles: IntArray) -> dict[str, FloatArray]:
    """What an instrument without doubts reads off these scenes."""
    scenes = np.array([content.scene(style.tolist()).indices for content, style in zip(contents, styles, strict=True)])
    return {axis.name: np.eye(len(axis))[scenes[:, a]] for a, axis in enumerate(AXES)}


def of_styles(user: SimulatedUser, prompts: Sequence[Prompt], styles: IntArray) -> Mapping[str, FloatArray]:
    return utilities(user, prompts, reading([prompt.content for prompt in prompts], styles))


# ------------------------------------------------------------------------------------------------- utility


def test_utilities_of_the_first_world_are_to_the_last_bit_those_of_the_taste() -> None:
    suite, pixels = Picturebook(world="1"), [render(CAT.scene(style), i) for i, style in enumerate(STYLES[:10])]
    prompts, read = [content.prompt for content in CONTENTS[:10]], suite.truth.read(pixels)
    assert suite.truth.groups == ("worded", "semantic", "silent", "disagreement"), "the last is the readers' own"
    for user in suite.users("test")[:6]:
        found, taste = suite.truth.utility(user.id, prompts, pixels), suite._find(user.id).taste
        assert found["total"].tobytes() == taste.of_probabilities(read).tobytes()
        for group in TASTE_GROUPS:
            assert found[group].tobytes() == taste.group(group).of_probabilities(read).tobytes()


def test_an_axis_that_the_prompt_names_is_taken_as_the_prompt_says() -> None:
    word = Word.of("palette", "neon")
    for user in USERS[:20]:
        asked = [Prompt(CAT, word)] * len(STYLES)
        obeyed = np.array([prompt.styled(style.tolist()) for prompt, style in zip(asked, STYLES, strict=True)])
        found = of_styles(user, asked, STYLES)
        np.testing.assert_allclose(found["total"], user.taste_on(CAT).of_styles(obeyed))
        for name, values in of_styles(user, asked, obeyed).items():
            np.testing.assert_allclose(values, found[name])
        bare = of_styles(user, [Prompt(CAT)] * len(STYLES), STYLES)
        np.testing.assert_allclose(bare["total"], user.taste_on(CAT).of_styles(STYLES))


def test_what_counts_is_the_taste_on_the_content_of_each_prompt() -> None:
    for user in of_kind("subject-bound"):
        prompts = [Prompt(content) for content in CONTENTS[:40]]
        expected = [user.taste_on(p.content).of_styles(STYLES[i : i + 1])[0] for i, p in enumerate(prompts)]
        np.testing.assert_allclose(of_styles(user, prompts, STYLES)["total"], expected)
        assert not np.allclose(expected, user.taste.of_styles(STYLES))


def test_crowd_and_own_are_the_two_parts_each_normalised() -> None:
    share = SECOND.crowd
    for user in of_kind("consistent")[:10]:
        found = of_styles(user, [Prompt(CAT)] * len(STYLES), STYLES)
        np.testing.assert_allclose(found["crowd"], common_taste().of_styles(STYLES))
        np.testing.assert_allclose(found["own"], Taste.of(user.spec).of_styles(STYLES))
        mixed = (1 - share) * found["own"] + share * found["crowd"]
        assert np.corrcoef(found["total"], mixed)[0, 1] == pytest.approx(1)


def test_parts_are_those_that_a_world_has() -> None:
    assert parts_of_utility(FIRST) == ("worded", "semantic", "silent")
    assert parts_of_utility(SECOND) == ("worded", "semantic", "silent", "crowd", "own", "quality")
    assert parts_of_utility(replace(SECOND, crowd=0.0))[3:] == ("quality",)
    for world in (FIRST, SECOND):
        found = of_styles(population("val", world)[0], [Prompt(CAT)], STYLES[:1])
        assert tuple(found) == ("total", *parts_of_utility(world))


def test_defects_that_are_read_cost_what_the_user_cares() -> None:
    levels = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 2, 0]])
    defects = {axis.name: np.eye(3)[levels[:, a]] for a, axis in enumerate(DEFECTS)}
    read, prompts = reading([CAT] * 3, STYLES[:3]), [Prompt(CAT)] * 3
    for user in USERS[:10]:
        clean, spoilt = utilities(user, prompts, read), utilities(user, prompts, read | defects)
        cost = user.care * expected_severity(defects)
        np.testing.assert_allclose(spoilt["total"], clean["total"] - cost)
        np.testing.assert_allclose(spoilt["quality"], -cost)
        assert np.isnan(clean["quality"]).all(), "unread, not flawless"
        assert spoilt["quality"].tolist()[1:] != [0, 0]
        np.testing.assert_array_equal(clean["own"], spoilt["own"])


def test_groups_without_weight_are_unknown_and_not_nothing() -> None:
    user = population("val", SECOND.turned(crowd=0.0, silent=0.0))[0]
    found = of_styles(user, [Prompt(CAT)] * len(STYLES), STYLES)
    assert np.isnan(found["silent"]).all()
    assert np.isfinite(found["worded"]).all()


# ------------------------------------------------------------------------------------------------ fidelity


def test_a_word_counts_for_fidelity(second: Picturebook) -> None:
    word = Word.of("background", "striped")
    prompts = [Prompt(CAT, word).text, Prompt(CAT).text]
    striped, plain = (render(CAT.scene([0, value, *[0] * 7]), 1) for value in (1, 0))
    obeyed, ignored = (second.truth.fidelity(prompts, [picture] * 2) for picture in (striped, plain))
    assert set(obeyed) == {"total", "object", "setting", "words"}
    assert obeyed["words"][0] > 0.95
    assert ignored["words"][0] < 0.05
    assert np.isnan(obeyed["words"][1])
    for found in (obeyed, ignored):
        np.testing.assert_allclose(found["total"][0], found["object"][0] * found["setting"][0] * found["words"][0])
        np.testing.assert_allclose(found["total"][1], found["object"][1] * found["setting"][1])


# --------------------------------------------------------------------------------------------------- liked


def test_liked_is_how_often_a_rating_is_4_or_5_where_the_prompt_is_shown(second: Picturebook) -> None:
    """Against ratings drawn by the simulator itself."""
    rng, prompt = np.random.default_rng(2), Prompt(CAT).text
    for user in of_kind("consistent")[:2] + of_kind("noisy")[:1]:
        best, random = second.truth.ideal(user.id, prompt, 1), render(CAT.scene(STYLES[0].tolist()), 1)
        pictures = [to_pixels(best), random]
        found = second.truth.utility(user.id, [prompt] * 2, pictures)
        fidelity = second.truth.fidelity([prompt] * 2, pictures)["total"]
        for row in range(2):
            ratings = [rate(found["total"][row], SECOND.sharpness(user.kind), rng) for _ in range(2000)]
            assert found["liked"][row] == pytest.approx(fidelity[row] * np.mean(np.array(ratings) >= 4), abs=0.04)
        assert found["liked"][0] > 0.8


def test_a_picture_of_another_prompt_is_not_liked_whatever_its_utility(second: Picturebook) -> None:
    user, other = of_kind("consistent")[0], next(c for c in CONTENTS if c.object != CAT.object)
    copied = to_pixels(second.truth.ideal(user.id, Prompt(other).text, 1))
    found = second.truth.utility(user.id, [Prompt(CAT).text], [copied])
    assert found["total"][0] > 0.5
    assert found["liked"][0] < 0.05


# -------------------------------------------------------------------------------------------------- drawing


def test_the_best_style_with_a_value_given_is_the_best_of_all_that_have_it() -> None:
    styles = every_style()
    for kind in ("two tastes", "interacting", "consistent", "drifting"):
        user = of_kind(kind)[0]
        for name, value in (("palette", 2), ("companion", 3), ("line", 0)):
            best = user.taste.best({name: value})
            assert best.get(name, value) == value
            chosen = np.array([[{name: value, **best}.get(axis, 0) for axis in STYLE_NAMES]])
            having = styles[styles[:, STYLE_NAMES.index(name)] == value]
            assert user.taste.of_styles(chosen)[0] == pytest.approx(user.taste.of_styles(having).max())


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[Scene]:
    """The scenes of all pictures that the truth draws: what they show, and not what a reader takes them for."""
    scenes: list[Scene] = []

    def noting(scene: Scene, seed: int) -> Pixels:
        scenes.append(scene)
        return render(scene, seed)

    monkeypatch.setattr(truth, "render", noting)
    return scenes


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_graded_pictures_obey_the_word_at_every_strength(
    second: Picturebook, rendered: list[Scene], strength: float
) -> None:
    for user, word in zip(USERS[:8], (Word("palette", 5), Word("background", 1)) * 4, strict=True):
        prompt = Prompt(CAT, word)
        for recoloured in (False, True):
            drawn = to_pixels(second.truth.graded(user.id, prompt.text, 5, strength=strength, recoloured=recoloured))
            shown = rendered[-1]
            np.testing.assert_array_equal(drawn, render(shown, 5))
            assert (shown.style[STYLE_NAMES.index(word.axis)], shown.content) == (word.value, CAT)
    assert len(rendered) == 16


def test_ideal_pictures_follow_the_taste_on_the_content_and_the_word(
    second: Picturebook, rendered: list[Scene]
) -> None:
    """What is drawn is the best of all styles with the word; what the readers take it for is near that on average."""
    styles = every_style()
    fixed = styles[styles[:, STYLE_NAMES.index("fill")] == 1]
    lost = []
    for user in [*of_kind("subject-bound")[:5], *of_kind("two tastes")[:3]]:
        for content in held_out_contents()[1]:
            prompt, taste = Prompt(content, Word.of("fill", "hatched")), user.taste_on(content)
            drawn, best = to_pixels(second.truth.ideal(user.id, prompt.text, 3)), taste.of_styles(fixed).max()
            shown = np.array([rendered[-1].style])
            assert shown[0, STYLE_NAMES.index("fill")] == 1
            assert taste.of_styles(shown)[0] == pytest.approx(best)
            lost.append(best - second.truth.utility(user.id, [prompt.text], [drawn])["total"][0])
    assert np.mean(lost) < 0.12


def test_inferred_styles_take_the_word_of_the_prompt(second: Picturebook) -> None:
    style, prompt = (0,) * 9, Prompt(CAT, Word.of("companion", "bird"))
    drawn = to_pixels(second.truth.render_inferred({"": style}, prompt.text, 4))
    np.testing.assert_array_equal(drawn, render(CAT.scene(prompt.styled(style)), 4))
    plain = to_pixels(second.truth.render_inferred({"": style}, Prompt(CAT).text, 4))
    assert (drawn != plain).any()


def test_inferred_words_say_the_style_of_the_prompt_but_what_the_prompt_says(second: Picturebook) -> None:
    prompt = Prompt(CAT, Word.of("palette", "ocean"))
    styles = {"": (0,) * 9, prompt.text: (3, 1, 2, 0, 1, 4, 2, 2, 2)}
    said = second.truth.inferred_words(styles, prompt.text).split(", ")
    assert said == [AXIS[name].phrases[styles[prompt.text][STYLE_NAMES.index(name)]] for name in NAMEABLE[1:]]
    said = second.truth.inferred_words(styles, CAT.prompt).split(", ")
    assert said == [AXIS[name].phrases[0] for name in NAMEABLE]


def test_words_leave_out_the_axis_that_the_prompt_names(second: Picturebook) -> None:
    for user in USERS[:20]:
        for name in NAMEABLE:
            prompt = Prompt(CAT, Word(name, 1))
            words = second.truth.words(user.id, prompt.text).split(", ")
            best = user.taste_on(CAT).best(prompt.fixed)
            assert words == [AXIS[n].phrases[best[n]] for n in NAMEABLE if n != name and n in best]
            drawn = [second.truth.random_words(prompt.text, seed).split(", ") for seed in range(10)]
            assert not {phrase for text in drawn for phrase in text} & set(AXIS[name].phrases)


def test_words_of_a_bound_taste_depend_on_the_content(second: Picturebook) -> None:
    differ = 0
    for user in of_kind("subject-bound"):
        mine, other = (next(c for c in CONTENTS if (user.taste_on(c) is user.taste) == own) for own in (True, False))
        differ += second.truth.words(user.id, mine.prompt) != second.truth.words(user.id, other.prompt)
    assert differ > 5


@pytest.mark.slow
def test_every_prompt_of_the_cases_has_an_inferred_style_with_its_word(second: Picturebook) -> None:
    user = second.users("test")[0].id
    styles = second.truth.inferred(second.history(user))
    for case in second.cases(user):
        fixed = Prompt.of(case.prompt).fixed
        assert all(styles[case.prompt][STYLE_NAMES.index(axis)] == value for axis, value in fixed.items())
