"""The world of picturebook: what it draws, what it calls it, what it holds out, and what a corpus of it shows."""

from __future__ import annotations

import hashlib
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chisquare

from prefbench.suites.picturebook.data.corpus import Corpus, CorpusRecipe, load_corpus
from prefbench.suites.picturebook.world.axes import (
    AXES,
    AXIS,
    BY_PROMPT,
    CONTENTS,
    NAMEABLE,
    OBJECT,
    SETTING,
    STYLE,
    STYLE_NAMES,
    Axis,
    Content,
    Scene,
    held_out_contents,
    sample_styles,
    training_contents,
)
from prefbench.suites.picturebook.world.render import SIZE, render, show

PINNED = "1827077c75aa634e7abd6ed26975db1ec749b04ef7f6690190b6de2b5829633e"
"""SHA-256 of twelve pictures. Where it changes, raise `VERSION` in render.py: all weights rest on the pixels."""
UNLIKELY = 1e-4
"""Below this p-value a distribution is not the one it should be."""


def some_scenes(n: int, seed: int = 5) -> list[Scene]:
    rng = np.random.default_rng(seed)
    contents = rng.integers(len(CONTENTS), size=n)
    styles = sample_styles(rng, n, uniform=STYLE_NAMES)
    return [CONTENTS[int(c)].scene(style) for c, style in zip(contents, styles, strict=True)]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(CorpusRecipe("captioned", 2_000, seed=11))


# ------------------------------------------------------------------------------------------------- pictures


def test_pictures_are_pinned() -> None:
    pictures = [render(scene, seed) for seed, scene in enumerate(some_scenes(12))]
    assert hashlib.sha256(b"".join(p.tobytes() for p in pictures)).hexdigest() == PINNED


@pytest.mark.parametrize("n", [1, 3, 64, 1000])
def test_uniform_styles_are_those_of_one_draw_for_each_axis(n: int) -> None:
    """The chance behind every judgment: a draw for all axes at once takes as much of it, in the same order."""
    at_once, one_by_one = np.random.default_rng(n), np.random.default_rng(n)
    columns = [one_by_one.integers(len(axis), size=n) for axis in STYLE]
    assert np.array_equal(sample_styles(at_once, n, uniform=STYLE_NAMES), np.stack(columns, axis=1))
    assert at_once.bit_generator.state == one_by_one.bit_generator.state


def test_a_picture_is_a_function_of_scene_and_seed() -> None:
    scene, other = some_scenes(2)
    again = Scene.of(**scene.named)
    np.testing.assert_array_equal(render(scene, 3), render(again, 3))
    assert (render(scene, 3) != render(scene, 4)).any()
    assert (render(scene, 3) != render(other, 3)).any()
    assert render(scene, 3).shape == (SIZE, SIZE, 3)
    assert render(scene, 3).dtype == np.uint8


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECT.values)
def test_every_value_shows_beyond_the_jitter_of_the_seed(name: str) -> None:
    """Means over seeds differ more between two values of an axis than between two sets of seeds of one value."""
    for axis in (SETTING, *STYLE):
        halves = np.stack([mean_pictures(name, axis, value) for value in range(len(axis))])
        noise = distance(halves[:, 0], halves[:, 1])
        means = halves.mean(1)
        for a, b in combinations(range(len(axis)), 2):
            assert distance(means[a], means[b]) > 1.2 * max(noise[a], noise[b]), (
                axis.name,
                axis.values[a],
                axis.values[b],
            )


def mean_pictures(name: str, axis: Axis, value: int, *, seeds: int = 12) -> NDArray[np.float64]:
    """Means over two sets of seeds, (2, 32, 32, 3), of a scene that differs from a plain one on one axis."""
    plain = {"object": name, "fill": "flat", "tilt": "upright", "vignette": "even", "composition": "close-up"}
    scene = Scene.of(**{**plain, axis.name: axis.values[value]})
    pictures = np.stack([render(scene, seed) for seed in range(2 * seeds)]).astype(np.float64)
    halves: NDArray[np.float64] = pictures.reshape(2, seeds, SIZE, SIZE, 3).mean(1)
    return halves


def distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Root mean square over the pixels."""
    values: NDArray[np.float64] = np.sqrt(((a - b) ** 2).mean(axis=(-1, -2, -3)))
    return values


def test_pictures_are_shown_enlarged_without_blur() -> None:
    picture = render(some_scenes(1)[0], 0)
    shown = np.asarray(show(picture))
    assert shown.shape == (4 * SIZE, 4 * SIZE, 3)
    np.testing.assert_array_equal(shown[::4, ::4], picture)
    np.testing.assert_array_equal(shown[3::4, 3::4], picture)


# ------------------------------------------------------------------------------------------------- captions


def test_captions_begin_with_the_content() -> None:
    for scene in some_scenes(50):
        assert scene.caption() == scene.content.prompt
        assert scene.caption(STYLE_NAMES).startswith(scene.content.prompt + ", ")
        assert BY_PROMPT[scene.caption().split(", ")[0]] == scene.content


def test_every_content_has_a_prompt_of_its_own() -> None:
    assert len(CONTENTS) == len(OBJECT) * len(SETTING) == len(BY_PROMPT)
    assert all(BY_PROMPT[content.prompt] == content for content in CONTENTS)
    assert Content(OBJECT.values.index("umbrella"), 0).prompt == "an umbrella on a hill"


def test_style_words_follow_the_order_asked_for() -> None:
    scene = Scene.of(object="cat", palette="ocean", line="dark", companion="star")
    words = scene.caption(["companion", "line", "palette"])
    assert words == "a cat on a hill, with a star, dark outline, ocean colors"


def test_silent_axes_never_have_words() -> None:
    silent = [axis.name for axis in STYLE if axis.silent]
    assert all(phrase is None for name in silent for phrase in AXIS[name].phrases)
    for scene in some_scenes(50):
        assert scene.caption(STYLE_NAMES) == scene.caption(NAMEABLE)
        assert scene.caption(silent) == scene.content.prompt


def test_phrases_tell_all_values_apart() -> None:
    phrases = [phrase for name in NAMEABLE for phrase in AXIS[name].phrases]
    assert None not in phrases
    assert len(set(phrases)) == len(phrases) == sum(len(AXIS[name]) for name in NAMEABLE)


def test_scenes_refuse_what_the_world_does_not_have() -> None:
    with pytest.raises(ValueError, match=r"unknown axes.*'colour'.*axes are"):
        Scene.of(colour="blue")
    with pytest.raises(ValueError, match="palette has values 0 to 5, got 6"):
        Scene.of(palette=6)
    with pytest.raises(ValueError, match="a scene has 11 indices, got 3"):
        Scene((0, 0, 0))


# ------------------------------------------------------------------------------------------------- held out


def test_a_fifth_of_the_contents_is_held_out() -> None:
    test, val = held_out_contents()
    held_out = {*test, *val}
    assert len(held_out) == len(test) + len(val) >= 0.2 * len(CONTENTS)
    assert held_out.isdisjoint(training_contents())
    assert held_out | set(training_contents()) == set(CONTENTS)


def test_every_object_and_setting_is_known_on_its_own() -> None:
    known = training_contents()
    for o in range(len(OBJECT)):
        assert sum(content.object == o for content in known) >= 3
    for s in range(len(SETTING)):
        assert sum(content.setting == s for content in known) >= 8


# --------------------------------------------------------------------------------------------------- corpus


@pytest.mark.slow
def test_captioned_corpus_never_shows_held_out_contents(corpus: Corpus) -> None:
    shown = {Content(*map(int, row)) for row in corpus.scenes[:, :2]}
    assert shown == set(training_contents())


@pytest.mark.slow
def test_axes_that_captions_leave_open_follow_the_prior(corpus: Corpus) -> None:
    for a, axis in enumerate(STYLE):
        values = corpus.scenes[~corpus.named[:, a], 2 + a]
        assert len(values) > 800
        assert p_value(values, np.array(axis.prior)) > UNLIKELY, axis.name


@pytest.mark.slow
def test_axes_that_captions_name_are_uniform(corpus: Corpus) -> None:
    for a, axis in enumerate(STYLE):
        values = corpus.scenes[corpus.named[:, a], 2 + a]
        if axis.silent:
            assert len(values) == 0
        else:
            assert p_value(values, np.full(len(axis), 1 / len(axis))) > UNLIKELY, axis.name


@pytest.mark.slow
def test_the_prior_and_the_uniform_can_be_told_apart(corpus: Corpus) -> None:
    """The two tests above have power: with their roles exchanged they fail. (Silent priors are nearly uniform.)"""
    for a, axis in enumerate(STYLE):
        if axis.silent:
            continue
        open_values = corpus.scenes[~corpus.named[:, a], 2 + a]
        assert p_value(open_values, np.full(len(axis), 1 / len(axis))) < UNLIKELY, axis.name


def p_value(values: NDArray[np.int8], expected: NDArray[np.float64]) -> float:
    counts = np.bincount(values, minlength=len(expected))
    return float(chisquare(counts, expected * len(values)).pvalue)


@pytest.mark.slow
def test_captions_name_what_the_corpus_says_in_random_order(corpus: Corpus) -> None:
    rng = np.random.default_rng(0)
    orders = set()
    for i in range(200):
        content, *words = corpus.caption(i, rng).split(", ")
        scene, named = corpus.scene(i), [n for n, on in zip(STYLE_NAMES, corpus.named[i], strict=True) if on]
        assert content == scene.content.prompt
        assert set(words) == {AXIS[name].phrases[scene.index(name)] for name in named}
        orders.add(tuple(words) == tuple(scene.caption(named).split(", ")[1:]))
    assert orders == {True, False}
    unnamed = (~corpus.named.any(axis=1)).mean()
    assert 0.27 < unnamed < 0.34


@pytest.mark.slow
def test_corpus_is_a_function_of_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = CorpusRecipe("uniform", 40, seed=3)
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "first"))
    first, kept = load_corpus(recipe), load_corpus(recipe)
    monkeypatch.setenv("PREFBENCH_CACHE", str(tmp_path / "second"))
    for other in (kept, load_corpus(recipe)):
        np.testing.assert_array_equal(first.pictures, other.pictures)
        np.testing.assert_array_equal(first.scenes, other.scenes)
    assert [p.name for p in (tmp_path / "first" / "corpus").iterdir()] == [f"uniform-{recipe.digest}.npz"]
    assert recipe.digest != CorpusRecipe("uniform", 40, seed=4).digest
    assert first.scenes.shape == (40, len(AXES))
